/**
 * Response rate limiting: how many responses one source may draw in a second.
 *
 * The source of a datagram is easily forged, and a response is larger than its query: without a limit, anyone could make a
 * server flood whom they like. Of the responses over the limit every other is a short one that says "truncated": a client
 * that was meant asks again over TCP, which nobody can forge, and a victim gets little.
 */
export class RateLimit {
  readonly #limit: number;
  #second = 0;
  #drawn = new Map<string, number>();

  /** `limit`: responses a second for one source; 0: any number. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** What one more response to this source is to be. What is remembered is of this second only, so it stays small. */
  next(source: string): "whole" | "short" | "none" {
    if (this.#limit === 0) return "whole";
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second || this.#drawn.size > 100_000) {
      this.#second = second;
      this.#drawn = new Map();
    }
    const drawn = (this.#drawn.get(source) ?? 0) + 1;
    this.#drawn.set(source, drawn);
    if (drawn <= this.#limit) return "whole";
    return drawn % 2 === 0 ? "short" : "none";
  }
}
