/**
 * The echo requests of ICMP that are on their way. A router that drops one says so, and quotes it.
 *
 * @module
 */
import { quotedEcho } from "./dissect_icmp.ts";
import type { Arrow } from "./entries.ts";

/** Requests that are remembered. */
const REMEMBERED = 2000;

export class Echoes {
  readonly #sent = new Map<string, Arrow>();

  /** Adds a message. Returns the request that it says is dropped. */
  add(data: Uint8Array, arrow: Arrow): Arrow | undefined {
    const quoted = quotedEcho(data);
    if (quoted !== undefined) return this.#sent.get(key(data.subarray(quoted)));
    if (arrow.departed === undefined) return undefined; // a reply
    this.#sent.set(key(data), arrow);
    const [oldest] = this.#sent.keys();
    if (this.#sent.size > REMEMBERED && oldest !== undefined) this.#sent.delete(oldest);
  }
}

/** The identifier and the sequence number. */
const key = (message: Uint8Array) => message.subarray(4, 8).toHex();
