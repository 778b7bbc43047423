/**
 * Ending a connection so that what was said last arrives.
 *
 * @module
 */

/**
 * Ends this side and then reads, and throws away, what the client still sends, until it ends its side too, `limit` bytes
 * have come or `seconds` have passed (RFC 9112 §9.6).
 *
 * Were the socket closed at once, bytes that come later would be answered by a reset, and a reset makes the client's
 * kernel forget what it has received and not yet handed over: the very words that say what was wrong.
 */
export async function linger(conn: Deno.TcpConn, limit = 1 << 20, seconds = 2): Promise<void> {
  await conn.closeWrite();
  const buffer = new Uint8Array(16384);
  let left = limit;
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), seconds * 1000);
  try {
    while (left > 0) {
      const n = await Promise.race([conn.read(buffer), late.promise]);
      if (n === null) break;
      left -= n;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error; // the client ends it its own way
  } finally {
    clearTimeout(timer);
  }
}
