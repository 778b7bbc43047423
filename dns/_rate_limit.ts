/**
 * Response rate limiting: the server sends one source at most `limit` responses per second.
 *
 * A UDP source address is easy to forge, and a response is larger than its query: without a limit, an attacker could use this
 * server to flood a victim (amplification). Above the limit, every second query gets only a header with TC set, the others get
 * nothing. A real client then asks over TCP, where a forged source cannot complete the handshake.
 */
export class RateLimit {
  readonly #limit: number;
  #second = 0;
  /** How many queries each source has sent in this second. */
  #counts = new Map<string, number>();

  /** `limit`: responses per second to one source; 0: no limit. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Decides what the next query from this source gets: the full response, a truncated one, or none. */
  decide(source: string): "full" | "truncated" | "drop" {
    if (this.#limit === 0) return "full";
    const second = Math.floor(performance.now() / 1000);
    // Counts are kept for one second, and for a limited number of sources, so memory is bounded.
    if (second !== this.#second || this.#counts.size > 100_000) {
      this.#second = second;
      this.#counts = new Map();
    }
    const count = (this.#counts.get(source) ?? 0) + 1;
    this.#counts.set(source, count);
    if (count <= this.#limit) return "full";
    return count % 2 === 0 ? "truncated" : "drop";
  }
}
