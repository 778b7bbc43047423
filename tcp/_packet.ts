/**
 * Packets made from messages: the headers of IP, TCP and UDP that the kernel had, and does not show to a program without the
 * right to capture. Pure functions.
 *
 * @module
 */

/** An address of 4 or 16 bytes, and a port. */
export interface Endpoint {
  readonly address: Uint8Array;
  readonly port: number;
}

/** The numbers of an IP header's protocol field. */
const protocols = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;

export const SYN = 2, FIN = 1, RST = 4, PSH = 8, ACK = 16;

/** The most bytes of payload that fit into one packet, the length of which has 16 bits. */
export const maxSegment = ({ address }: Endpoint): number => 65_535 - (address.length === 4 ? 40 : 60);

/** What a TCP header says. */
export interface Segment {
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly data: Uint8Array;
}

/** A TCP segment in an IP packet (RFC 9293 §3.1). */
export function tcpPacket(
  from: Endpoint,
  to: Endpoint,
  { flags, sequence, acknowledgement, data }: Segment,
): Uint8Array {
  // A SYN announces the largest segment and a window scale of 2^14: then the window is large enough for any exchange.
  const options = flags & SYN ? [2, 4, maxSegment(from) >> 8, maxSegment(from) & 255, 1, 3, 3, 14] : [];
  const header = new Uint8Array(20 + options.length);
  const view = new DataView(header.buffer);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  view.setUint32(4, sequence >>> 0);
  view.setUint32(8, acknowledgement >>> 0);
  header[12] = header.length / 4 << 4;
  header[13] = flags;
  view.setUint16(14, 65_535);
  header.set(options, 20);
  view.setUint16(16, transportChecksum(from, to, protocols.tcp, header, data));
  return ipPacket(from, to, protocols.tcp, header, data);
}

/** A UDP datagram in an IP packet (RFC 768). */
export function udpPacket(from: Endpoint, to: Endpoint, data: Uint8Array): Uint8Array {
  const header = new Uint8Array(8);
  const view = new DataView(header.buffer);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  view.setUint16(4, 8 + data.length);
  // 0 means that there is no checksum: a checksum of 0 is sent as its other form, all ones.
  view.setUint16(6, transportChecksum(from, to, protocols.udp, header, data) || 0xffff);
  return ipPacket(from, to, protocols.udp, header, data);
}

/** An ICMP message in an IP packet, with its checksum, which the kernel computes for some sockets (RFC 792, RFC 4443 §2.3). */
export function icmpPacket(from: Endpoint, to: Endpoint, message: Uint8Array, ttl?: number): Uint8Array {
  const data = message.slice();
  const isIpv4 = from.address.length === 4;
  data.fill(0, 2, 4);
  const sum = isIpv4 ? checksum(data) : transportChecksum(from, to, protocols.icmpv6, new Uint8Array(), data);
  [data[2], data[3]] = [sum >> 8, sum & 255]; // a message that is too short for it has none: nothing is written behind its end
  return ipPacket(from, to, isIpv4 ? protocols.icmp : protocols.icmpv6, new Uint8Array(), data, ttl);
}

function ipPacket(
  from: Endpoint,
  to: Endpoint,
  protocol: number,
  header: Uint8Array,
  data: Uint8Array,
  ttl = 64,
): Uint8Array {
  const isIpv4 = from.address.length === 4;
  const start = isIpv4 ? 20 : 40;
  const packet = new Uint8Array(start + header.length + data.length);
  const view = new DataView(packet.buffer);
  if (isIpv4) { // RFC 791 §3.1
    packet.set([0x45, 0]);
    view.setUint16(2, packet.length);
    packet.set([0x40, 0, ttl, protocol], 6); // do not fragment
    packet.set(from.address, 12);
    packet.set(to.address, 16);
    view.setUint16(10, checksum(packet.subarray(0, start)));
  } else { // RFC 8200 §3
    packet[0] = 0x60;
    view.setUint16(4, header.length + data.length);
    packet.set([protocol, ttl], 6);
    packet.set(from.address, 8);
    packet.set(to.address, 24);
  }
  packet.set(header, start);
  packet.set(data, start + header.length);
  return packet;
}

/** The checksum of TCP and UDP also covers the addresses, the protocol and the length (RFC 9293 §3.1, RFC 8200 §8.1). */
function transportChecksum(
  from: Endpoint,
  to: Endpoint,
  protocol: number,
  header: Uint8Array,
  data: Uint8Array,
): number {
  const length = header.length + data.length;
  const pseudo = [protocol, length >>> 16, length & 0xffff].reduce((sum, word) => sum + word);
  return checksum(data, sum16(header, sum16(to.address, sum16(from.address, pseudo))));
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Uint8Array, sum = 0): number {
  let total = sum16(bytes, sum);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}

function sum16(bytes: Uint8Array, sum: number): number {
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) << 8 | (bytes[i + 1] ?? 0);
  return sum;
}
