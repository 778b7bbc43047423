/**
 * Random content for the suites: the same seed gives the same content.
 *
 * @module
 */

/** A source of random numbers that a seed determines. Not for secrets. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** The next 32 bits (xorshift, Marsaglia 2003). */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return this.#state = x >>> 0;
  }

  /** A whole number from `min` to `max`. */
  integer(min: number, max: number): number {
    return min + this.next() % (max - min + 1);
  }

  bytes(size: number): Uint8Array<ArrayBuffer> {
    const numbers = new Uint32Array(Math.ceil(size / 4));
    for (let i = 0; i < numbers.length; i++) numbers[i] = this.next();
    return new Uint8Array(numbers.buffer, 0, size);
  }
}

/** A seed that differs in every run. */
export const randomSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0] || 1;

/** A word of letters that nobody has seen before. */
export function word(random: Random, length = 8): string {
  let letters = "";
  while (letters.length < length) {
    letters += "bdfgklmnprstvz"[random.integer(0, 13)] ?? "";
    letters += "aeiou"[random.integer(0, 4)] ?? "";
  }
  return letters.slice(0, length);
}

/** So many words, with spaces between them. */
export const words = (random: Random, count: number): string =>
  Array.from({ length: count }, () => word(random, random.integer(3, 8))).join(" ");
