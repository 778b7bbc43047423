/**
 * Mutated inputs, the same for the same seed.
 *
 * @module
 */

/** A number from 0 to 1, another at each call. */
export type Random = () => number;

/** A generator of pseudo-random numbers (Mulberry32): fast, and the same numbers for the same seed. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let t = Math.imul(state ^ state >>> 15, state | 1);
    t = t + Math.imul(t ^ t >>> 7, t | 61) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}

/** A whole number below `limit`. */
export const below = (random: Random, limit: number): number => Math.floor(random() * limit);

/** One of `items`. */
export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[below(random, items.length)];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}

/** Bytes that parsers treat in a special way. */
const SPECIAL = [0, 9, 10, 13, 32, 34, 46, 58, 60, 92, 127, 128, 192, 255];

/**
 * Changes a real input in one to four places: cuts it, repeats or moves a part, flips a bit, puts in a special byte, or
 * joins it with a part of itself.
 */
export function mutate(input: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  let bytes: number[] = [...input];
  for (let changes = 1 + below(random, 4); changes > 0; changes--) {
    const at = below(random, bytes.length + 1);
    const part = bytes.slice(at, at + 1 + below(random, 24));
    switch (below(random, 6)) {
      case 0:
        bytes = bytes.slice(0, at);
        break;
      case 1:
        for (let n = 1 + below(random, 40); n > 0 && bytes.length < 65_536; n--) bytes.splice(at, 0, ...part);
        break;
      case 2:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ 1 << below(random, 8);
        break;
      case 3:
        bytes.splice(at, below(random, 2), pick(random, SPECIAL));
        break;
      case 4:
        bytes.splice(at, part.length);
        break;
      default:
        bytes.splice(below(random, bytes.length + 1), 0, ...part);
    }
  }
  return Uint8Array.from(bytes);
}

/** Whole numbers below a limit, the same for the same seed: `next(10)` is from 0 to 9. */
export function numbers(seed: number): (limit: number) => number {
  const random = seeded(seed);
  return (limit) => below(random, limit);
}
