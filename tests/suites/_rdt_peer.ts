/**
 * The packets of the reliable transfer in udp/README.md, for the suites of its sender and of its receiver.
 *
 * @module
 */
import { fail, quote } from "./_suite.ts";

export const kinds = ["data", "end", "acknowledgement"] as const;

export interface Packet {
  readonly kind: (typeof kinds)[number];
  /** Of data and of the end: its place, from 0. Of an acknowledgement: the number that is awaited next. */
  readonly number: number;
  readonly data: Uint8Array;
}

const header = 8;
export const most = 512;

/** RFC 1071: the complement of the ones' complement sum; 0 for a packet that has its checksum in it. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export function encode(kind: Packet["kind"], number: number, data = new Uint8Array()): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(header + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number);
  view.setUint8(6, kinds.indexOf(kind));
  bytes.set(data, header);
  view.setUint16(4, checksum(bytes));
  return bytes;
}

/** Decodes what the program has sent, over a path that spoils nothing. Fails if it is no packet. */
export function decode(bytes: Uint8Array): Packet {
  if (bytes.length < header) {
    fail(
      "a packet with a header of 8 bytes",
      quote(bytes),
      "4 bytes of number, 2 of checksum, 1 of kind, 1 zero, the higher byte first",
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (checksum(bytes) !== 0) {
    const zeroed = bytes.slice();
    zeroed.fill(0, 4, 6);
    const hex = (value: number) => `0x${value.toString(16).padStart(4, "0")}`;
    fail(
      `the checksum ${hex(checksum(zeroed))} in bytes 4 and 5`,
      `${hex(view.getUint16(4))} in ${quote(bytes)}`,
      "RFC 1071: set the two bytes to 0, add up header and data in words of 16 bits (an odd last byte is a word's higher one), " +
        "add what exceeds 16 bits to the lower ones, and invert",
    );
  }
  const kind = kinds[view.getUint8(6)];
  if (!kind) fail("the kind 0 (data), 1 (end) or 2 (acknowledgement) in byte 6", `${view.getUint8(6)}`, "see --list");
  const packet: Packet = { kind, number: view.getUint32(0), data: bytes.slice(header) };
  if (kind === "data" ? packet.data.length < 1 || packet.data.length > most : packet.data.length > 0) {
    fail(
      kind === "data" ? `1 to ${most} bytes of data` : "no data",
      `${packet.data.length} bytes in ${described(packet)}`,
      "only a data packet has bytes of the file, 512 at most",
    );
  }
  return packet;
}

/** The packet in words: "data 3". */
export const described = ({ kind, number }: Pick<Packet, "kind" | "number">): string => `${kind} ${number}`;

/** The packet with one bit wrong; the checksum shows it. */
export function spoiled(bytes: Uint8Array<ArrayBuffer>, at: number, bit = 1): Uint8Array<ArrayBuffer> {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ bit;
  return copy;
}

/** The file in pieces, as a sender may cut it. */
export const pieces = (bytes: Uint8Array<ArrayBuffer>, size = most): Uint8Array<ArrayBuffer>[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
