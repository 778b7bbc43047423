/**
 * Reads the captures that `--pcap` writes, and checks every length and checksum in them: a second reading of the formats, so
 * that the tests need no other program.
 *
 * @module
 */
import { assert, assertEquals } from "jsr:@std/assert@1";

/** One packet of a capture. */
export interface CapturedPacket {
  /** Microseconds since 1970. */
  readonly t: number;
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  /** The letters of a TCP header's flags, such as "SA" for SYN and ACK. */
  readonly flags: string;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly data: Uint8Array;
  readonly comment: string;
}

/** The packets of a capture. @throws {AssertionError} when something in it is not right. */
export function readCapture(bytes: Uint8Array): CapturedPacket[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const packets: CapturedPacket[] = [];
  for (let at = 0; at < bytes.length;) {
    const [type, length] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    assert(length % 4 === 0 && at + length <= bytes.length, `a block of ${length} bytes at ${at}`);
    assertEquals(view.getUint32(at + length - 4, true), length, "the length stands at both ends of a block");
    const body = bytes.subarray(at + 8, at + length - 4);
    if (at === 0) assertEquals(type, 0x0a0d0d0a, "a file begins with a section");
    if (type === 0x0a0d0d0a) assertEquals(view.getUint32(at + 8, true), 0x1a2b3c4d);
    else if (type === 1) assertEquals(view.getUint16(at + 8, true), 101, "link type RAW");
    else {
      assertEquals(type, 6, "an enhanced packet block");
      const size = view.getUint32(at + 20, true);
      const t = view.getUint32(at + 12, true) * 2 ** 32 + view.getUint32(at + 16, true);
      const options = body.subarray(20 + Math.ceil(size / 4) * 4);
      const comment = options.length > 4
        ? new TextDecoder().decode(options.subarray(4, 4 + (options[2] ?? 0) + (options[3] ?? 0) * 256))
        : "";
      packets.push({ t, comment, ...readPacket(body.subarray(20, 20 + size)) });
    }
    at += length;
  }
  return packets;
}

function readPacket(packet: Uint8Array): Omit<CapturedPacket, "t" | "comment"> {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const isIpv4 = (packet[0] ?? 0) >> 4 === 4;
  const start = isIpv4 ? 20 : 40;
  assertEquals(isIpv4 ? view.getUint16(2) : 40 + view.getUint16(4), packet.length, "the length in the IP header");
  if (isIpv4) assertEquals(onesSum([...packet.subarray(0, start)]), 0xffff, "the checksum of the IP header");
  const protocol = packet[isIpv4 ? 9 : 6] ?? 0;
  const addresses = [...packet.subarray(isIpv4 ? 12 : 8, start)];
  const payload = packet.subarray(start);
  const pseudo = [
    ...addresses,
    0,
    payload.length >> 16,
    payload.length >> 8 & 255,
    payload.length & 255,
    0,
    0,
    0,
    protocol,
  ];
  const isIcmp = protocol === 1; // its checksum covers its message alone (RFC 792)
  assertEquals(onesSum([...isIcmp ? [] : pseudo, ...payload]), 0xffff, "the checksum behind the IP header");
  const half = addresses.length / 2;
  const [ports, bits] = [view.getUint32(start), payload[13] ?? 0];
  const name = (address: number[], port: number) =>
    `${isIpv4 ? address.join(".") : new Uint8Array(address).toHex()}:${port}`;
  const isTcp = protocol === 6;
  if (isIcmp || protocol === 58) {
    const none = { flags: "", sequence: 0, acknowledgement: 0 };
    return {
      from: name(addresses.slice(0, half), 0),
      to: name(addresses.slice(half), 0),
      protocol,
      ...none,
      data: payload,
    };
  }
  if (!isTcp) assertEquals(view.getUint16(start + 4), payload.length, "the length in the UDP header");
  return {
    from: name(addresses.slice(0, half), ports >>> 16),
    to: name(addresses.slice(half), ports & 0xffff),
    protocol,
    flags: isTcp ? [..."FSRPA"].filter((_, bit) => bits >> bit & 1).join("") : "",
    sequence: isTcp ? view.getUint32(start + 4) : 0,
    acknowledgement: isTcp ? view.getUint32(start + 8) : 0,
    data: payload.slice(isTcp ? (payload[12] ?? 0) >> 2 : 8),
  };
}

/** The sum of 16-bit words in ones' complement (RFC 1071); 0xffff when a checksum among them is right. */
function onesSum(bytes: number[]): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
