/**
 * ICMP messages as pure functions: RFC 792 for IPv4, RFC 4443 for IPv6.
 *
 * @module
 */

/** The messages of the two versions differ in their types and in the checksum. */
export type IpVersion = 4 | 6;

/** What a request and its reply have in common. */
export interface Echo {
  readonly identifier: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** A received message. In an error, `echo` is the request that caused it, as far as the error quotes it. */
export type Message =
  | { readonly kind: "reply"; readonly echo: Echo }
  | { readonly kind: "error"; readonly text: string; readonly timeExceeded: boolean; readonly echo: Echo }
  | { readonly kind: "other" };

const types = {
  4: { request: 8, reply: 0, unreachable: 3, exceeded: 11, tooBig: undefined },
  6: { request: 128, reply: 129, unreachable: 1, exceeded: 3, tooBig: 2 },
} as const;

const unreachable = {
  4: ["network", "host", "protocol", "port", "fragmentation needed", "source route failed"],
  6: ["no route", "prohibited", "beyond scope", "address", "port", "source address failed policy", "route rejected"],
} as const;

/**
 * The Internet checksum (RFC 1071): the one's complement of the one's complement sum of all 16-bit words. The checksum of
 * a message that contains its correct checksum is 0.
 */
export function checksum(data: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < data.length; i += 2) sum += ((data[i] ?? 0) << 8) + (data[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/**
 * Encodes an echo request. The checksum of ICMPv6 covers a pseudo-header with both addresses (RFC 4443 §2.3), which only
 * the kernel knows; it fills in this checksum.
 *
 * ```ts
 * encodeEchoRequest(4, { identifier: 1, sequence: 1, payload: new Uint8Array(56) });
 * ```
 */
export function encodeEchoRequest(
  version: IpVersion,
  { identifier, sequence, payload }: Echo,
): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(8 + payload.length);
  const view = new DataView(message.buffer);
  view.setUint8(0, types[version].request);
  view.setUint16(4, identifier);
  view.setUint16(6, sequence);
  message.set(payload, 8);
  if (version === 4) view.setUint16(2, checksum(message));
  return message;
}

/**
 * Strips the IPv4 header that a raw socket delivers: 20 bytes, or more with options (RFC 791 §3.1). Also returns the TTL.
 * Returns `undefined` for a packet that is truncated or not ICMP.
 */
export function stripIpv4Header(packet: Uint8Array): { ttl: number; message: Uint8Array } | undefined {
  const first = packet[0] ?? 0;
  const length = (first & 15) * 4;
  if (first >>> 4 !== 4 || length < 20 || packet.length < length || packet[9] !== 1) return undefined;
  return { ttl: packet[8] ?? 0, message: packet.subarray(length) };
}

/**
 * Undoes what the kernel of macOS does to an error: when it has checked the checksum, it turns the length of the quoted packet
 * into its own byte order, and the checksum is wrong.
 */
export function restoreQuotedLength(message: Uint8Array): Uint8Array {
  if (message.length < 28 || checksum(message) === 0) return message;
  const restored = message.slice();
  restored.set([message[11] ?? 0, message[10] ?? 0], 10);
  return checksum(restored) === 0 ? restored : message;
}

/** Decodes an ICMP message. One that is too short, has a wrong checksum (IPv4) or another type is `other`. */
export function decodeMessage(version: IpVersion, message: Uint8Array): Message {
  const type = types[version];
  if (message.length < 8 || (version === 4 && checksum(message) !== 0)) return { kind: "other" };
  if (message[0] === type.reply) return { kind: "reply", echo: decodeEcho(message) };
  const timeExceeded = message[0] === type.exceeded;
  if (!timeExceeded && message[0] !== type.unreachable && message[0] !== type.tooBig) return { kind: "other" };
  // An error quotes the packet that caused it, header and all, or as much of it as fits (RFC 792; RFC 4443 §2.4).
  const quoted = version === 4 ? stripIpv4Header(message.subarray(8))?.message : stripIpv6Header(message.subarray(8));
  if (!quoted || quoted.length < 8 || quoted[0] !== type.request) return { kind: "other" };
  const code = message[1] ?? 0;
  const text = timeExceeded
    ? (code === 0 ? "time to live exceeded" : "reassembly time exceeded")
    : message[0] === type.tooBig
    ? "packet too big"
    : `destination unreachable: ${unreachable[version][code] ?? `code ${code}`}`;
  return { kind: "error", text, timeExceeded, echo: decodeEcho(quoted) };
}

function stripIpv6Header(packet: Uint8Array): Uint8Array | undefined {
  return (packet[0] ?? 0) >>> 4 === 6 && packet[6] === 58 && packet.length >= 48 ? packet.subarray(40) : undefined;
}

function decodeEcho(message: Uint8Array): Echo {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  return { identifier: view.getUint16(4), sequence: view.getUint16(6), payload: message.subarray(8) };
}
