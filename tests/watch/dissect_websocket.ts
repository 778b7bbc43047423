/**
 * The frames of a WebSocket connection (RFC 6455 §5.2). A frame may begin in one message and end in another: TCP keeps no
 * boundaries.
 *
 * @module
 */
import { count } from "../../cli.ts";
import { decodeFrame, describeFrame, mask, opcodes, WebSocketError } from "../../http/_websocket_frame.ts";
import { dissectHttp, isHttp } from "./dissect_http.ts";
import { type Field, type Subject, textOf } from "./dissect.ts";

/** Whether what a side has sent begins with its part of the handshake. */
export const isUpgrade = (sent: Uint8Array): boolean =>
  isHttp(sent.subarray(0, 9000)) && /\\nupgrade: *websocket/i.test(textOf(sent, 0, Math.min(sent.length, 9000)));

/** The fields of a message: of the handshake, or of all frames of which a part stands in it. */
export function dissectWebSocket({ data, earlier }: Subject): Field[] {
  if (isHttp(data)) return dissectHttp(data);
  const sent = earlier();
  const all = new Uint8Array(sent.length + data.length);
  all.set(sent);
  all.set(data, sent.length);
  const fields: Field[] = [];
  for (let at = endOfHead(all); at < all.length;) {
    const frame = frameAt(all, at);
    fields.push(...frame.fields);
    at = frame.end;
  }
  const start = sent.length;
  // What stands in earlier messages is cut off; a field that stands there as a whole is left out.
  return fields.filter(({ end }) => end > start).map((field) => (
    { ...field, start: Math.max(0, field.start - start), end: field.end - start }
  ));
}

/** Where the frames begin: behind the handshake, if it is there. */
function endOfHead(all: Uint8Array): number {
  if (!isHttp(all.subarray(0, 9000))) return 0;
  const found = new TextDecoder("latin1").decode(all).indexOf("\r\n\r\n");
  return found < 0 ? all.length : found + 4;
}

/** The fields of a frame, as far as it is there, and its end. */
function frameAt(all: Uint8Array, at: number): { fields: Field[]; end: number } {
  const view = new DataView(all.buffer, all.byteOffset, all.length);
  const [first = 0, second = 0] = all.subarray(at, at + 2);
  const opcode = first & 15;
  const name = Object.entries(opcodes).find(([, value]) => value === opcode)?.[0] ?? "reserved";
  const fields: Field[] = [
    { start: at, end: at + 1, text: `FIN ${first >> 7}${first >> 7 ? ", the message ends" : ", more follows"}` },
    { start: at, end: at + 1, text: `opcode ${opcode} ${name}` },
  ];
  if (all.length < at + 2) return { fields, end: all.length };
  const isMasked = second >> 7 === 1;
  const short = second & 127;
  const size = short === 126 ? 2 : short === 127 ? 8 : 0;
  const keyAt = at + 2 + size;
  const start = keyAt + (isMasked ? 4 : 0);
  fields.push({ start: at + 1, end: at + 2, text: `mask ${isMasked ? "1, by the client" : "0, by the server"}` });
  if (all.length < start) return { fields, end: all.length };
  const length = size === 2 ? view.getUint16(at + 2) : size === 8 ? Number(view.getBigUint64(at + 2)) : short;
  fields.push({ start: at + 1, end: keyAt, text: `length ${length}` });
  if (isMasked) fields.push({ start: keyAt, end: start, text: `masking key ${all.subarray(keyAt, start).toHex()}` });
  const end = Math.min(all.length, start + length);
  const payload = all.slice(start, end);
  if (isMasked) mask(payload, all.subarray(keyAt, start));
  const missing = start + length - end;
  const rest = missing > 0 ? ` (${missing} to come)` : "";
  if (length > 0) fields.push({ start, end, text: `payload ${inWords(payload, opcode)}${rest}` });
  return { fields, end };
}

/** A payload without its mask: text, or the number of its bytes; of a close frame its code and its reason. */
function inWords(payload: Uint8Array, opcode: number): string {
  if (opcode === opcodes.close && payload.length >= 2) {
    return `code ${(payload[0] ?? 0) * 256 + (payload[1] ?? 0)} ${textOf(payload, 2, payload.length)}`.trim();
  }
  const shown = payload.subarray(0, 200);
  return opcode === opcodes.binary
    ? count(payload.length, "byte")
    : `${textOf(shown, 0, shown.length)}${payload.length > 200 ? "…" : ""}`;
}

/** The frames of a message that begins and ends with one, in words. */
export function saysWebSocket({ data, isFromClient }: Subject): string | undefined {
  if (isHttp(data)) return undefined;
  const said: string[] = [];
  try {
    for (let at = 0; at < data.length;) {
      const found = decodeFrame(data.subarray(at), { masked: isFromClient, maxFrame: data.length });
      if (!found) return undefined;
      said.push(describeFrame(found.frame).replace(/^frame: /, "").replace(/, \d+ bytes?/, ""));
      at += found.size;
    }
  } catch (error) {
    if (!(error instanceof WebSocketError)) throw error;
    return undefined;
  }
  return said.join("; ");
}
