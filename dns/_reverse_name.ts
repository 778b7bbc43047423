import { parseAddress } from "../tcp/_address.ts";

/**
 * The name of an address in the reverse zones (RFC 1035 §3.5, RFC 3596 §2.5); `undefined` when the text is not an address.
 *
 * ```ts
 * reverseName("192.0.2.1"); // "1.2.0.192.in-addr.arpa."
 * ```
 */
export function reverseName(address: string): string | undefined {
  const bytes = parseAddress(address);
  if (!bytes) return undefined;
  if (bytes.length === 4) return `${[...bytes].reverse().join(".")}.in-addr.arpa.`;
  return `${[...bytes.toHex()].reverse().join(".")}.ip6.arpa.`;
}
