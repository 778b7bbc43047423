/**
 * The time limits of a client's exchange.
 *
 * @module
 */
import { Failure, within } from "../cli.ts";

/** Each step of an exchange, such as a whole head or a piece of content, has `timeout` seconds; all together `max-time`. */
export class TimeLimit {
  readonly #server: string;
  readonly #limits: { readonly timeout: number; readonly "max-time": number };
  readonly #start = performance.now();

  /** `server` is its name in an error message; 0 stands for no limit. */
  constructor(server: string, limits: { readonly timeout: number; readonly "max-time": number }) {
    this.#server = server;
    this.#limits = limits;
  }

  /**
   * Waits for one step. `late` says what the server did not do: "sent nothing for" gives "… sent nothing for 5 s".
   *
   * @throws {Failure} when it takes too long.
   */
  async step<T>(step: Promise<T>, late: () => string): Promise<T> {
    const { timeout, "max-time": maxTime } = this.#limits;
    const left = maxTime > 0 ? maxTime - (performance.now() - this.#start) / 1000 : Infinity;
    const limit = Math.min(timeout || Infinity, left);
    const fail = () => {
      const why = limit === left ? `did not finish in ${maxTime} s (--max-time)` : `${late()} ${timeout} s`;
      throw new Failure(`${this.#server} ${why}`);
    };
    step.catch(() => {}); // after the limit nobody waits for it
    return limit <= 0 ? fail() : await within(limit === Infinity ? 0 : limit, step, fail);
  }
}
