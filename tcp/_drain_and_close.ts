/**
 * Closes a connection in a way that the last message arrives.
 *
 * @module
 */
import { within } from "../cli.ts";
import { codeOf } from "./_socket_errors.ts";

/**
 * Closes this side, then reads and drops what the client still sends, until the client closes its side too, `limit` bytes
 * have come or `seconds` have passed (RFC 9112 §9.6). Whoever serves the client closes the socket afterwards.
 *
 * If the socket were closed at once, the kernel would answer later bytes with a reset. A reset makes the client's kernel
 * drop what it has received but not yet delivered: the very message that says what was wrong.
 */
export async function drainAndClose(
  conn: Pick<Deno.Conn, "read" | "closeWrite">,
  limit = 1 << 20,
  seconds = 2,
): Promise<void> {
  await conn.closeWrite();
  const drain = async () => {
    const buffer = new Uint8Array(16384);
    let n: number | null = 0;
    for (let left = limit; left > 0 && n !== null; left -= n ?? 0) n = await conn.read(buffer);
  };
  try {
    await within(seconds, drain(), () => {});
  } catch (error) {
    if (codeOf(error) !== "ECONNRESET") throw error; // the client has closed it in its own way
  }
}
