/**
 * What becomes of each message that a relay passes on: by the script, or by chance, the same for the same seed.
 *
 * @module
 */
import type { Network, Rule, Side } from "./_network.ts";

/** What becomes of one message. */
export interface Fate {
  readonly isLost: boolean;
  readonly isTwice: boolean;
  /** It arrives after the next one. */
  readonly isLate: boolean;
  /** Which bit is flipped, as a share of all of them. */
  readonly flipAt: number | undefined;
  /** Milliseconds that it takes longer. */
  readonly delay: number;
  /** TCP: how often in a row it was lost, and sent again by the kernel. */
  readonly losses: number;
  /** What the script does with the connection: stall, reset, close or half-open. */
  readonly command: string | undefined;
}

/** The fates of the messages of one direction of one client. */
export class Fates {
  readonly #network: Network;
  readonly #rules: readonly Rule[];
  readonly #random: () => number;
  #number = 0;

  /** `client` is the number of the client: each has chances of its own, whatever the others do. */
  constructor(network: Network, rules: readonly Rule[], side: Side, seed: number, client: number) {
    this.#network = network;
    this.#rules = rules.filter((rule) => rule.side === side);
    this.#random = generator(seed, 2 * client + (side === "client" ? 0 : 1));
  }

  /** The fate of the next message. */
  next(): Fate {
    const number = ++this.#number;
    const { loss, duplicate, reorder, flip, delay, jitter } = this.#network;
    const rules = this.#rules.filter(({ numbers }) =>
      numbers.some(([first, last]) => first <= number && number <= last)
    );
    const has = (command: string) => rules.some((rule) => rule.command === command);
    const extra = rules.reduce((sum, { time }) => sum + time, 0);
    // Always as many numbers for a message: whether one is lost does not change the fate of those behind it.
    const [a = 0, b = 0, c = 0, d = 0, bit = 0, e = 0] = Array.from({ length: 6 }, this.#random);
    const losses = a < loss ? Math.min(6, loss < 1 ? Math.floor(Math.log(a) / Math.log(loss)) : 6) : 0;
    return {
      isLost: a < loss || has("drop"),
      isTwice: b < duplicate || has("duplicate"),
      isLate: c < reorder || has("swap"),
      flipAt: d < flip || has("flip") ? bit : undefined,
      delay: delay + e * jitter + extra,
      losses,
      command: rules.find(({ command }) => ["stall", "reset", "close", "half-open"].includes(command))?.command,
    };
  }
}

/** Random numbers from 0 to 1 that are the same for the same seed (the generator is Mulberry32, public domain). */
function generator(seed: number, stream: number): () => number {
  let state = Math.imul(seed ^ Math.imul(stream + 1, 0x9e3779b1), 0x85ebca6b);
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

/** A line of limited bandwidth, which may change: says when a message has left it. */
export class Line {
  readonly #network: Network;
  #free = 0;

  constructor(network: Network) {
    this.#network = network;
  }

  /** Milliseconds from now until the last of `size` bytes is on its way. */
  wait(size: number): number {
    const now = performance.now();
    const { rate } = this.#network;
    this.#free = Math.max(this.#free, now) + (rate === Infinity ? 0 : size / rate * 1000);
    return this.#free - now;
  }
}
