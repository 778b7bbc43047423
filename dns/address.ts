/**
 * Internet addresses as text and as bytes.
 *
 * @module
 */

/** The 4 or 16 bytes of an address written in numbers; `undefined` when it is none. */
export function parseAddress(text: string): Uint8Array | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (four) {
    const [, a, b, c, d] = four;
    const fits = Number(a) < 256 && Number(b) < 256 && Number(c) < 256 && Number(d) < 256;
    return fits ? Uint8Array.of(Number(a), Number(b), Number(c), Number(d)) : undefined;
  }
  if (!text.includes(":") || !URL.canParse(`http://[${text}]/`)) return undefined;
  // The URL parser knows every way to write an IPv6 address, and turns it into groups with at most one "::".
  const [left = [], right = []] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split("::")
    .map((part) => part === "" ? [] : part.split(":").map((group) => parseInt(group, 16)));
  const groups = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

/** An address as text, an IPv6 one in the form of RFC 5952. */
export function printAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = bytes.toHex().replace(/(....)(?=.)/g, "$1:");
  return new URL(`http://[${groups}]/`).hostname.slice(1, -1);
}

/**
 * The name under which an address is looked up in reverse (RFC 1035 §3.5, RFC 3596 §2.5).
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
