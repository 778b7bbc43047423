/**
 * One direction between a client and its server, behind a relay: what waits there, and what goes on.
 *
 * @module
 */
import type { Fates, Line } from "../tcp/_fate.ts";

/** Milliseconds that a datagram waits for the next one, which is to overtake it. */
const HOLD = 1000;

export class Way {
  count = 0;
  lost = 0;
  /** Bytes that wait. */
  waiting = 0;
  /** Sends the datagram that waits to be overtaken. */
  #held: (() => void) | undefined;
  /** Settles when the last datagram so far is sent. */
  #sending: Promise<unknown> = Promise.resolve();

  constructor(
    readonly fates: Fates,
    readonly line: Line,
    readonly deliver: (data: Uint8Array) => Promise<unknown>,
    readonly onError: (error: unknown) => void,
  ) {}

  /** Sends a datagram after those before it: two calls of a socket's `send` at the same time may change places. */
  transmit(data: Uint8Array): void {
    this.#sending = this.#sending.then(() => this.deliver(data)).catch(this.onError);
  }

  /** Calls `deliver` after so many milliseconds. Returns what calls it earlier. */
  after(size: number, ms: number, deliver: () => void): () => void {
    this.waiting += size;
    let isDone = false;
    const once = () => {
      clearTimeout(timer);
      if (isDone) return;
      isDone = true;
      this.waiting -= size;
      deliver();
    };
    const timer = setTimeout(once, ms);
    return once;
  }

  /** Calls `deliver` when the next datagram has overtaken this one, or none has come for a while. */
  hold(size: number, deliver: () => void): void {
    this.#held = this.after(size, HOLD, deliver);
  }

  /** What sends the datagram that is held: this one overtakes it. */
  overtake(): (() => void) | undefined {
    const held = this.#held;
    this.#held = undefined;
    return held;
  }
}
