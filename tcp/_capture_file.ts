/**
 * A capture file in the format pcapng (IETF draft-ietf-opsawg-pcapng), link type RAW: each packet begins with its IP header.
 *
 * @module
 */

const COMMENT =
  `The messages in this file are real. Their IP, TCP and UDP headers are made by the program that wrote it: \
it sees messages and not packets. So handshakes, sequence numbers, acknowledgements and the sizes of segments are plausible \
and not measured. What went over TLS is in plain. A name without a known address has one of 192.0.2.0/24.`;

const LINKTYPE_RAW = 101;
/** The types of blocks. */
const SECTION_HEADER = 0x0a0d0d0a, INTERFACE = 1, PACKET = 6;
/** The codes of options. */
const OPT_COMMENT = 1, SHB_USERAPPL = 4, IF_TSRESOL = 9;

/** Packets, appended to a file. */
export class CaptureFile {
  #file: Deno.FsFile | undefined;

  /**
   * Each thread that appends to a file opens a section of its own, and writes a block in one go. All sections are alike, so
   * the blocks of several threads may stand in any order.
   */
  constructor(path: string) {
    this.#file = Deno.openSync(path, { append: true });
    this.#write(join([sectionHeader(), interfaceDescription()]));
  }

  /** Appends a packet; `t` in microseconds since 1970. */
  add(t: number, packet: Uint8Array, comment = ""): void {
    const head = new Uint8Array(20);
    const view = new DataView(head.buffer);
    view.setUint32(4, Math.floor(t / 2 ** 32), true);
    view.setUint32(8, t % 2 ** 32, true);
    view.setUint32(12, packet.length, true);
    view.setUint32(16, packet.length, true);
    this.#write(block(PACKET, [head, padded(packet), ...comment ? options([[OPT_COMMENT, encode(comment)]]) : []]));
  }

  /** A full disk must not end the exchange: the capture ends there. */
  #write(bytes: Uint8Array): void {
    try {
      this.#file?.writeSync(bytes);
    } catch (error) {
      console.error(`the capture ends here: ${error instanceof Error ? error.message : error}`);
      this.#file = undefined;
    }
  }
}

/** A section in the byte order of this code, of unknown length. */
function sectionHeader(): Uint8Array {
  const head = new Uint8Array(16);
  const view = new DataView(head.buffer);
  view.setUint32(0, 0x1a2b3c4d, true);
  view.setUint16(4, 1, true); // version 1.0
  view.setBigInt64(8, -1n, true);
  return block(SECTION_HEADER, [
    head,
    ...options([[OPT_COMMENT, encode(COMMENT)], [SHB_USERAPPL, encode("socketlab")]]),
  ]);
}

function interfaceDescription(): Uint8Array {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint16(0, LINKTYPE_RAW, true); // the rest is 0: packets of any length
  return block(INTERFACE, [head, ...options([[IF_TSRESOL, Uint8Array.of(6)]])]); // 10⁻⁶ seconds
}

/** A block: its type, its length, the parts, and its length again, so that a file can be read from its end. */
function block(type: number, parts: Uint8Array[]): Uint8Array {
  const length = 12 + parts.reduce((sum, part) => sum + part.length, 0);
  return join([word(type), word(length), ...parts, word(length)]);
}

/** Options, each with its code and length, and the one that ends them. */
function options(list: [code: number, value: Uint8Array][]): Uint8Array[] {
  return [...list.flatMap(([code, value]) => [word(code | value.length << 16), padded(value)]), word(0)];
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** The bytes, and zeros up to a multiple of four. */
function padded(bytes: Uint8Array): Uint8Array {
  if (bytes.length % 4 === 0) return bytes;
  const whole = new Uint8Array(bytes.length + 4 - bytes.length % 4);
  whole.set(bytes);
  return whole;
}

function join(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const encode = (text: string) => new TextEncoder().encode(text);
