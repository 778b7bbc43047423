/**
 * A TCP server that sends back every byte it receives, to any number of clients at once.
 *
 * Look at `echo`, below: one loop, one buffer. TCP is a stream, so a chunk is whatever has arrived, not what the client
 * wrote: the server needs to know neither. It ends when `read` says `null`: the client has closed its side (FIN), and may
 * still be reading what comes back.
 *
 * ```sh
 * deno run -N=127.0.0.1 tcp/echo_server.ts
 * ```
 *
 * Then, in a second terminal: `deno run -N=127.0.0.1 tcp/echo_client.ts hello`. Both at once: `deno task tcp:echo`.
 *
 * RFC 862 (the echo protocol), RFC 9293 §3.6 (half-close). API: Deno.listen, Deno.Conn.
 *
 * @module
 */
import { announce, bind, count, onStop, run, serverOptions, whole } from "../cli.ts";
import { type Client, Clients } from "./clients.ts";
import { traced } from "./trace.ts";
import { writeAll } from "./write_all.ts";

const command = {
  name: "echo_server",
  about: "Sends back every byte it receives over TCP.",
  run: "deno run -N=127.0.0.1 tcp/echo_server.ts",
  options: {
    ...serverOptions(7007, "close a client that is silent for this long; 0: never"),
    "chunk": whole(65536, "bytes to read at a time, at most", 1, 1 << 20),
    "max-clients": whole(10_000, "clients at one time; more wait for their turn", 1, 1_000_000),
  },
};

await run(command, async (flags) => {
  const listener = bind({ hostname: flags.host, port: flags.port }, (addr) => Deno.listen(addr));
  const clients = new Clients({ max: flags["max-clients"], idle: flags.timeout, log: console.log });
  onStop(() => clients.stop(listener)); // before anyone can know that there is something to stop
  announce("Echo server", listener.addr);

  // Not awaited: while one client thinks, the loop accepts and serves the others.
  const serve = (conn: Deno.TcpConn) => clients.serve(flags.trace ? traced(conn, flags.trace) : conn, echo);

  while (true) {
    const conn = await clients.next(() => listener.accept());
    if (conn === undefined) break;
    const served = serve(conn);
    if (!flags.once) continue;
    clients.stop(listener);
    if (!await served) Deno.exit(1);
    break;
  }
  await clients.finished();

  async function echo(client: Client): Promise<void> {
    const { conn, name } = client;
    console.log(`Connected by ${name}`);
    // Without this, Nagle's algorithm holds back a small chunk until the one before it is acknowledged (RFC 1122 §4.2.3.4).
    conn.setNoDelay(true);
    let buffer = new Uint8Array(Math.min(4096, flags.chunk));
    let total = 0;
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      await writeAll(conn, buffer.subarray(0, n));
      client.quiet = 0;
      total += n;
      // A client that fills the buffer has much to say: a larger one saves it system calls, and the others memory.
      if (n === buffer.length && n < flags.chunk) buffer = new Uint8Array(Math.min(2 * n, flags.chunk));
    }
    console.log(`${name} is done: ${count(total, "byte")} echoed`);
  }
});
