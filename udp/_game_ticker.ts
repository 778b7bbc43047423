import { TICKS_PER_SECOND } from "./_game_world.ts";

const TICK = 1000 / TICKS_PER_SECOND;

/** Calls a function twenty times a second. A timer alone would be late by a little each time, and lose seconds in a minute. */
export class Ticker {
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #ended = Promise.withResolvers<void>();

  constructor(action: () => Promise<void>) {
    let next = performance.now() + TICK;
    const run = async () => {
      try {
        await action();
      } catch (error) {
        return this.#ended.reject(error);
      }
      const now = performance.now();
      // After a pause, such as a closed lid, the ticks that were missed are not made up for.
      next = Math.max(next + TICK, now);
      if (this.#timer !== undefined) this.#timer = setTimeout(run, next - now);
    };
    this.#timer = setTimeout(run, TICK);
  }

  /** Fails when the function has failed; settles when it is stopped. */
  get running(): Promise<void> {
    return this.#ended.promise;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#ended.resolve();
  }
}
