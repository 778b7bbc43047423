/** A plain loop of read and write for each client: the limit of Deno's TCP, for `deno task bench`. */
const listener = Deno.listen({ hostname: "127.0.0.1", port: Number(Deno.args[0]) });
console.log(`listening on 127.0.0.1:${Deno.args[0]}`);
for await (const conn of listener) echo(conn).catch(() => {});

async function echo(conn: Deno.TcpConn): Promise<void> {
  conn.setNoDelay(true);
  const buffer = new Uint8Array(65_536);
  for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
    for (let sent = 0; sent < n;) sent += await conn.write(buffer.subarray(sent, n));
  }
  conn.close();
}
