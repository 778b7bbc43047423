import { parseAddress } from "../tcp/_address.ts";

/**
 * Response rate limiting: the server sends one network at most `limit` responses per second.
 *
 * A UDP source address is easy to forge, and a response is larger than its query: without a limit, an attacker could use this
 * server to flood a victim (amplification). Above the limit, a query gets only its own question with TC set, which is no longer
 * than the query. A real client then asks over TCP, where a forged source cannot complete the handshake. Some servers send
 * nothing to a part of the queries: that spares the victim more, but then a client that shares its network waits in vain, and
 * a forger has more time (CVE-2013-5661).
 *
 * A host has many IPv6 addresses to choose from, and a flood fills the line of a whole network: so a network counts as one
 * source, its first 24 bits with IPv4, 56 with IPv6.
 */
export class RateLimit {
  readonly #limit: number;
  #second = 0;
  /** How many queries each network has sent in this second. */
  #counts = new Map<string, number>();

  /** `limit`: responses per second to one network; 0: no limit. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether the next query from this address gets its full response, not a truncated one. */
  allows(address: string): boolean {
    if (this.#limit === 0) return true;
    const second = Math.floor(performance.now() / 1000);
    // Counts are kept for one second, and for a limited number of networks, so memory is bounded.
    if (second !== this.#second || this.#counts.size > 100_000) {
      this.#second = second;
      this.#counts = new Map();
    }
    const network = networkOf(address);
    const count = (this.#counts.get(network) ?? 0) + 1;
    this.#counts.set(network, count);
    return count <= this.#limit;
  }
}

/** The network of an address as text. */
function networkOf(address: string): string {
  const isIPv6 = address.includes(":") && !address.includes("."); // ::ffff:192.0.2.1 is an IPv4 address
  if (isIPv6) return parseAddress(address)?.subarray(0, 7).toHex() ?? address;
  return address.slice(0, address.lastIndexOf("."));
}
