/**
 * Where a message ends: frames on a stream of bytes, in the two forms that JSON-RPC is sent in.
 *
 * `headers`: a header with `Content-Length`, an empty line, and as many bytes, as the Language Server Protocol has it.
 * `lines`: one message a line; JSON has no line end inside.
 *
 * @module
 */
import { Failure } from "../cli.ts";
import type { BufferedReader } from "./_buffered_reader.ts";

export type FrameForm = "headers" | "lines";

/** The bytes of the headers of a frame, at most. */
const MAX_HEADER = 4096;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** A message as it is sent. */
export function encodeFrame(form: FrameForm, text: string): Uint8Array {
  const body = encoder.encode(text);
  if (form === "lines") return encoder.encode(`${text}\n`);
  // The length counts bytes, not characters.
  const head = encoder.encode(`Content-Length: ${body.length}\r\n\r\n`);
  const frame = new Uint8Array(head.length + body.length);
  frame.set(head);
  frame.set(body, head.length);
  return frame;
}

/**
 * Reads the next message; undefined at the end of the stream. `limit` is the longest one, in bytes; the reader's own limit
 * must have room for it and its headers.
 *
 * @throws {Failure} when the bytes are no frame: where the next one begins is then unknown.
 */
export async function readFrame(reader: BufferedReader, form: FrameForm, limit: number): Promise<string | undefined> {
  const [start, length] = form === "lines" ? await findLine(reader, limit) : await findBody(reader, limit);
  if (length === undefined) return undefined;
  while (reader.unread.length < start + length) {
    if (!await reader.fill()) throw new Failure("closed in the middle of a message");
  }
  try {
    return decoder.decode(reader.unread.subarray(start, start + length));
  } catch {
    throw new Failure("sent a message that is not UTF-8");
  } finally {
    reader.consume(start + length + (form === "lines" ? 1 : 0));
  }
}

/** Room for the longest frame. */
export const frameRoom = (limit: number): number => limit + MAX_HEADER + 1;

type Found = [start: number, length: number | undefined];

async function findLine(reader: BufferedReader, limit: number): Promise<Found> {
  let searched = 0;
  while (true) {
    const end = reader.unread.indexOf(10, searched);
    if ((end < 0 ? reader.unread.length : end) > limit) throw new Failure(`sent a message of more than ${limit} bytes`);
    if (end >= 0) return [0, end];
    searched = reader.unread.length;
    if (await reader.fill()) continue;
    if (searched > 0) throw new Failure("closed in the middle of a message");
    return [0, undefined];
  }
}

async function findBody(reader: BufferedReader, limit: number): Promise<Found> {
  let end = -1;
  for (let searched = 0; end < 0;) {
    end = indexOfEmptyLine(reader.unread, searched);
    if (end >= 0) break;
    if (reader.unread.length > MAX_HEADER) throw new Failure(`sent headers of more than ${MAX_HEADER} bytes`);
    searched = Math.max(0, reader.unread.length - 3);
    if (await reader.fill()) continue;
    if (reader.unread.length > 0) throw new Failure("closed in the middle of a message");
    return [0, undefined];
  }
  const fields = new TextDecoder("latin1").decode(reader.unread.subarray(0, end)).split("\r\n");
  const lengths = fields.flatMap((field) => /^content-length:[ \t]*(\d{1,15})[ \t]*$/i.exec(field)?.[1] ?? []);
  const length = Number(lengths[0]);
  // Two lengths, even equal ones: a proxy that believes the other one sees other messages than we do.
  if (lengths.length !== 1) throw new Failure("sent headers without one Content-Length");
  if (length > limit) throw new Failure(`sent a message of more than ${limit} bytes`);
  return [end + 4, length];
}

/** Where CR LF CR LF begins. */
function indexOfEmptyLine(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(13, from); at >= 0; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at;
  }
  return -1;
}
