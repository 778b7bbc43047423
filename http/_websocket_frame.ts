/**
 * The frames of a WebSocket connection (RFC 6455 §5): encodes them, and decodes them from bytes that arrive in any pieces.
 * Pure functions.
 *
 * @module
 */
import { count, printable } from "../cli.ts";

/** What a frame is (RFC 6455 §11.8). From 8 on they are control frames, which may come between the fragments of a message. */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Why a connection is closed (RFC 6455 §7.4.1). */
export const closeCodes = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  noCode: 1005, // never sent: it stands for a close frame without a code
  invalidData: 1007,
  policy: 1008,
  tooBig: 1009,
  internalError: 1011,
} as const;

/** A frame that breaks the rules, or a limit. `code` goes into the close frame that answers it. */
export class WebSocketError extends Error {
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** One frame. `payload` is not masked. */
export interface Frame {
  /** Whether this is the last fragment of its message. */
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Uint8Array;
}

/** Which frames a side accepts. */
export interface FrameRules {
  /** A client masks all its frames, a server none (RFC 6455 §5.1). */
  readonly masked: boolean;
  /** The longest payload, in bytes. */
  readonly maxFrame: number;
}

/** The longest payload of a control frame (RFC 6455 §5.5). */
export const MAX_CONTROL = 125;

/** The most bytes before a payload: two, eight for its length, four for the masking key. */
export const MAX_HEADER = 14;

/**
 * Encodes a frame. With `key`, four random bytes, the payload is masked: a client must do that.
 *
 * ```ts
 * encodeFrame({ fin: true, opcode: opcodes.text, payload: new TextEncoder().encode("Hello") }); // 81 05 48 65 6c 6c 6f
 * ```
 */
export function encodeFrame({ fin, opcode, payload }: Frame, key?: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = payload;
  const lengthSize = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const start = 2 + lengthSize + (key ? 4 : 0);
  const bytes = new Uint8Array(start + length);
  const view = new DataView(bytes.buffer);
  bytes[0] = (fin ? 0x80 : 0) | opcode;
  bytes[1] = (key ? 0x80 : 0) | (lengthSize === 0 ? length : lengthSize === 2 ? 126 : 127);
  if (lengthSize === 2) view.setUint16(2, length);
  if (lengthSize === 8) view.setBigUint64(2, BigInt(length));
  bytes.set(payload, start);
  if (key) {
    bytes.set(key, start - 4);
    mask(bytes.subarray(start), key);
  }
  return bytes;
}

/** Masks a payload in place, or removes its mask: XOR with the key, again and again (RFC 6455 §5.3). */
export function mask(payload: Uint8Array, key: Uint8Array): void {
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] ?? 0) ^ (key[i & 3] ?? 0);
}

/**
 * Decodes the first frame of `bytes`. Returns it, and how many bytes it has; `undefined` while it is not complete.
 *
 * @throws {WebSocketError} as soon as the bytes that are there break a rule: the payload need not arrive for that.
 */
export function decodeFrame(bytes: Uint8Array, rules: FrameRules): { frame: Frame; size: number } | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  const fin = (first & 0x80) !== 0;
  const opcode = first & 0x0f;
  checkHeader(first, second, rules);
  const short = second & 0x7f;
  const lengthSize = short === 126 ? 2 : short === 127 ? 8 : 0;
  if (bytes.length < 2 + lengthSize) return undefined;
  const length = lengthSize === 0 ? short : extendedLength(bytes, lengthSize);
  if (length > rules.maxFrame) {
    throw new WebSocketError(closeCodes.tooBig, `a frame has ${length} bytes, and ${rules.maxFrame} are the most`);
  }
  const start = 2 + lengthSize + (rules.masked ? 4 : 0);
  const size = start + length;
  if (bytes.length < size) return undefined;
  const payload = bytes.slice(start, size);
  if (rules.masked) mask(payload, bytes.subarray(start - 4, start));
  return { frame: { fin, opcode, payload }, size };
}

/** Checks the two bytes that every frame begins with. */
function checkHeader(first: number, second: number, { masked }: FrameRules): void {
  const opcode = first & 0x0f;
  const error = (message: string) => new WebSocketError(closeCodes.protocolError, message);
  if (first & 0x70) throw error("a reserved bit is set, and no extension was agreed on");
  if (opcode > opcodes.pong || (opcode > opcodes.binary && opcode < opcodes.close)) {
    throw error(`the opcode ${opcode} is reserved`);
  }
  if (masked !== ((second & 0x80) !== 0)) {
    throw error(masked ? "a frame of the client is not masked" : "a frame of the server is masked");
  }
  if (opcode < opcodes.close) return;
  if (!(first & 0x80)) throw error("a control frame is fragmented");
  if ((second & 0x7f) > MAX_CONTROL) throw error(`a control frame has more than ${MAX_CONTROL} bytes`);
}

/** A length in two or eight bytes. A number that fits into fewer bytes must be written in fewer (RFC 6455 §5.2). */
function extendedLength(bytes: Uint8Array, size: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = size === 2 ? BigInt(view.getUint16(2)) : view.getBigUint64(2);
  if (length >> 63n) throw new WebSocketError(closeCodes.protocolError, "the first bit of a length is set");
  if (length < (size === 2 ? 126n : 65_536n)) {
    throw new WebSocketError(closeCodes.protocolError, `the length ${length} is written in ${size} bytes`);
  }
  return Number(length);
}

/**
 * Encodes the payload of a close frame: a code, and a reason in UTF-8, cut at a character so that it fits (RFC 6455 §5.5.1).
 * The code 1005 stands for none: then the payload is empty.
 */
export function encodeClose(code: number, reason = ""): Uint8Array {
  if (code === closeCodes.noCode) return new Uint8Array();
  const payload = new Uint8Array(MAX_CONTROL);
  new DataView(payload.buffer).setUint16(0, code);
  return payload.subarray(0, 2 + new TextEncoder().encodeInto(reason, payload.subarray(2)).written);
}

/**
 * Decodes the payload of a close frame.
 *
 * @throws {WebSocketError} when the payload has one byte, a code that must not be sent, or a reason that is not UTF-8.
 */
export function decodeClose(payload: Uint8Array): { code: number; reason: string } {
  if (payload.length === 0) return { code: closeCodes.noCode, reason: "" };
  if (payload.length === 1) throw new WebSocketError(closeCodes.protocolError, "a close frame has half a code");
  const code = new DataView(payload.buffer, payload.byteOffset).getUint16(0);
  if (!isCloseCode(code)) throw new WebSocketError(closeCodes.protocolError, `the code ${code} must not be sent`);
  try {
    return { code, reason: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload.subarray(2)) };
  } catch {
    throw new WebSocketError(closeCodes.invalidData, "the reason of a close frame is not UTF-8");
  }
}

/** Whether a close frame may have this code: one that IANA has registered, or one of a library or an application. */
const isCloseCode = (code: number) =>
  (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);

/** One frame in words, for a trace. */
export function describeFrame({ fin, opcode, payload }: Frame): string {
  const name = Object.entries(opcodes).find(([, value]) => value === opcode)?.[0] ?? `opcode ${opcode}`;
  const head = `frame: ${name}${fin ? "" : ", more follows"}, ${count(payload.length, "byte")}`;
  if (opcode === opcodes.close && payload.length > 1) {
    return `${head}, ${(payload[0] ?? 0) * 256 + (payload[1] ?? 0)} "${printable(payload.subarray(2))}"`;
  }
  return opcode === opcodes.binary || payload.length === 0 ? head : `${head} "${printable(payload.subarray(0, 60))}"`;
}
