/**
 * Writes every byte of `data`. One `write` takes only what the kernel's send buffer has room for. The rest is written as
 * the other side reads and makes room; until then this waits, and that waiting is TCP's flow control (RFC 9293 §3.8.6).
 */
export async function writeAll(conn: Pick<Deno.Conn, "write">, data: Uint8Array): Promise<void> {
  let written = await conn.write(data);
  while (written < data.length) written += await conn.write(data.subarray(written));
}
