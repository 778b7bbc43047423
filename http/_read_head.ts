import type { BufferedReader } from "../tcp/_buffered_reader.ts";
import { headLength } from "./_message.ts";

/**
 * Reads until the empty line that ends the head of a message, and passes the bytes of the head to `parse`. `onBytes` is called
 * when the first of them are here. Returns `undefined` at the end of the stream, if nothing, or only a part of a head, has come.
 *
 * @throws {MessageError} as soon as the head is too long, or a line does not end in CR LF.
 */
export async function readHead<T>(
  reader: BufferedReader,
  parse: (head: Uint8Array) => T,
  onBytes: () => void = () => {},
): Promise<T | undefined> {
  let length = headLength(reader.unread);
  while (length < 0) {
    if (reader.unread.length > 0) onBytes();
    if (!await reader.fill()) return undefined;
    length = headLength(reader.unread);
  }
  onBytes();
  const head = parse(reader.unread.subarray(0, length));
  reader.consume(length); // what is behind it stays in the reader
  return head;
}
