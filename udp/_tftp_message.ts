/**
 * The packets of TFTP (RFC 1350 §5), and their options (RFC 2347). No socket here.
 *
 * @module
 */

/** The error codes of RFC 1350 §5 and RFC 2347. */
export const errorCodes = {
  undefined: 0,
  notFound: 1,
  accessViolation: 2,
  diskFull: 3,
  illegalOperation: 4,
  unknownTransferId: 5,
  fileExists: 6,
  optionRefused: 8,
} as const;

/** A packet. A block number has 16 bits and wraps to 0. */
export type Packet =
  | { kind: "read" | "write"; file: string; mode: string; options: Map<string, string> }
  | { kind: "data"; block: number; data: Uint8Array }
  | { kind: "ack"; block: number }
  | { kind: "error"; code: number; text: string }
  | { kind: "options"; options: Map<string, string> };

const opcodes = { read: 1, write: 2, data: 3, ack: 4, error: 5, options: 6 } as const;

/** Bytes that are no packet of TFTP. */
export class PacketError extends Error {}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A packet as bytes. */
export function encode(packet: Packet): Uint8Array {
  const head = (second: number) => [0, opcodes[packet.kind], second >> 8, second & 255];
  switch (packet.kind) {
    case "read":
    case "write":
      return Uint8Array.of(0, opcodes[packet.kind], ...texts(packet.file, packet.mode, ...[...packet.options].flat()));
    case "data": {
      const bytes = new Uint8Array(4 + packet.data.length);
      bytes.set(head(packet.block));
      bytes.set(packet.data, 4);
      return bytes;
    }
    case "ack":
      return Uint8Array.from(head(packet.block));
    case "error":
      return Uint8Array.of(...head(packet.code), ...texts(packet.text));
    case "options":
      return Uint8Array.of(0, opcodes.options, ...texts(...[...packet.options].flat()));
  }
}

/** Texts, each with a zero byte behind it. */
const texts = (...words: string[]): number[] => words.flatMap((word) => [...encoder.encode(word), 0]);

/** The packet in a datagram. @throws {PacketError} */
export function decode(bytes: Uint8Array): Packet {
  const opcode = (bytes[0] ?? 0) << 8 | (bytes[1] ?? 0);
  const number = (bytes[2] ?? 0) << 8 | (bytes[3] ?? 0);
  if (bytes.length < 4) throw new PacketError("a packet has at least four bytes");
  switch (opcode) {
    case opcodes.read:
    case opcodes.write: {
      const [file = "", mode = "", ...rest] = decodeTexts(bytes.subarray(2));
      if (file === "" || mode === "") throw new PacketError("a request has the name of a file and a mode");
      return { kind: opcode === 1 ? "read" : "write", file, mode: mode.toLowerCase(), options: decodeOptions(rest) };
    }
    case opcodes.data:
      return { kind: "data", block: number, data: bytes.subarray(4) };
    case opcodes.ack:
      return { kind: "ack", block: number };
    case opcodes.error:
      return { kind: "error", code: number, text: decoder.decode(bytes.subarray(4)).replace(/\0[^]*/, "") };
    case opcodes.options:
      return { kind: "options", options: decodeOptions(decodeTexts(bytes.subarray(2))) };
  }
  throw new PacketError(`there is no opcode ${opcode}`);
}

/** Texts that each end with a zero byte. Some clients leave the last one out. */
function decodeTexts(bytes: Uint8Array): string[] {
  const words = decoder.decode(bytes).split("\0");
  if (words.at(-1) === "") words.pop();
  return words;
}

/** Names, in any case (RFC 2347), and values in turn. A name without a value is left out; the first of a name counts. */
function decodeOptions(words: string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (let i = 0; i + 1 < words.length; i += 2) {
    const name = (words[i] ?? "").toLowerCase();
    if (!options.has(name)) options.set(name, words[i + 1] ?? "");
  }
  return options;
}

/** What both sides agree on for one transfer. */
export interface Terms {
  /** Bytes of a block; a shorter one is the last (RFC 2348). */
  readonly blockSize: number;
  /** How many blocks are sent before an acknowledgement (RFC 7440). */
  readonly window: number;
  /** Seconds until something is sent again (RFC 2349). */
  readonly timeout: number;
}

export const plainTerms: Terms = { blockSize: 512, window: 1, timeout: 1 };

/**
 * The terms that a server accepts of those that a client asks for, and the options of its answer (OACK): only those that it
 * accepts, with a value no larger than asked (RFC 2347, 2348 §3, 2349, 7440 §3). Others are left out, as if not asked.
 * `size` is the size of the file that will be sent; undefined when the client sends it.
 */
export function negotiate(
  asked: Map<string, string>,
  limits: Terms,
  size?: number,
): { terms: Terms; answer: Map<string, string> } {
  const answer = new Map<string, string>();
  const number = (name: string, min: number, max: number, limit: number, initial: number) => {
    const value = wholeNumber(asked.get(name), min, max);
    if (value === undefined) return initial;
    const accepted = Math.min(value, limit);
    answer.set(name, `${accepted}`);
    return accepted;
  };
  const blockSize = number("blksize", 8, 65_464, limits.blockSize, plainTerms.blockSize);
  const window = number("windowsize", 1, 65_535, limits.window, plainTerms.window);
  // A time limit may only be taken as it is, or left out: a longer one would keep the transfer longer than this side allows.
  const wanted = wholeNumber(asked.get("timeout"), 1, Math.min(255, limits.timeout));
  if (wanted !== undefined) answer.set("timeout", `${wanted}`);
  const announced = wholeNumber(asked.get("tsize"), 0, Number.MAX_SAFE_INTEGER);
  if (announced !== undefined) answer.set("tsize", `${size ?? announced}`);
  return { terms: { blockSize, window, timeout: wanted ?? limits.timeout }, answer };
}

/** The terms in a server's answer to what was asked for; undefined when it answers what was not asked. */
export function acceptTerms(answer: Map<string, string>, asked: Terms): Terms | undefined {
  const blockSize = wholeNumber(answer.get("blksize") ?? `${plainTerms.blockSize}`, 8, 65_464);
  const window = wholeNumber(answer.get("windowsize") ?? "1", 1, 65_535);
  if (blockSize === undefined || window === undefined) return undefined;
  const isTooMuch = blockSize > Math.max(asked.blockSize, plainTerms.blockSize) || window > asked.window;
  return isTooMuch ? undefined : { blockSize, window, timeout: asked.timeout };
}

/** The number in an option's value; undefined when it is not a whole number from `min` to `max`. */
export function wholeNumber(text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}
