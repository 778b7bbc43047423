/**
 * Internet addresses as text and as bytes.
 *
 * @module
 */

/** The 32 bits of an IPv4 address as a number; `undefined` when the text is no IPv4 address. */
export function parseIpv4(text: string): number | undefined {
  let [address, byte, digits, dots] = [0, 0, 0, 0];
  // Digit by digit: a zone has millions of them, and a regular expression takes four times as long.
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46 && digits > 0) {
      address = address * 256 + byte;
      [byte, digits] = [0, 0];
      dots++;
    } else if (code >= 48 && code <= 57 && digits < 3) {
      byte = byte * 10 + code - 48;
      digits++;
    } else return undefined;
    if (byte > 255) return undefined;
  }
  return dots === 3 && digits > 0 ? address * 256 + byte : undefined;
}

/** The 4 or 16 bytes of a numeric address; `undefined` when the text is a name, or anything else. */
export function parseAddress(text: string): Uint8Array | undefined {
  const four = parseIpv4(text);
  if (four !== undefined) return bytesOf(four);
  if (!text.includes(":") || !URL.canParse(`http://[${text}]/`)) return undefined;
  // The URL parser knows every way to write an IPv6 address, and turns it into groups with at most one "::".
  const [left = [], right = []] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split("::")
    .map((part) => part === "" ? [] : part.split(":").map((group) => parseInt(group, 16)));
  const groups = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

/** The bytes of an IPv4 address. */
export const bytesOf = (address: number): Uint8Array =>
  Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address);

/** An address as text, an IPv6 one in the form of RFC 5952. */
export function printAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = bytes.toHex().replace(/(....)(?=.)/g, "$1:");
  return new URL(`http://[${groups}]/`).hostname.slice(1, -1);
}
