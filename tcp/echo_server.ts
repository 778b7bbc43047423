/**
 * A TCP server that sends back every byte it receives, to any number of clients at once.
 *
 * TCP is a stream: `read` returns whatever has arrived, not what the client wrote in one go, and the server needs to know
 * neither. It returns `null` when the client has closed its side (FIN); the client may still be reading what comes back.
 *
 * This terminal: `deno run -N=127.0.0.1 tcp/echo_server.ts`. The other: `deno run -N=127.0.0.1 tcp/echo_client.ts hello`.
 * Both at once: `deno task tcp:echo`. RFC 862 (echo), RFC 9293 §3.6 (half-close). API: Deno.listen, Deno.Conn.
 *
 * @module
 */
import { bind, count, integer, onStop, run, serverOptions } from "../cli.ts";
import { announce } from "./_announce.ts";
import { type Client, Clients, maxClients } from "./_clients.ts";
import { writeAll } from "./_write_all.ts";

/** Echoes one client until it closes its side. Returns how many bytes came back. */
async function echo(client: Client, chunk: number): Promise<number> {
  const { conn } = client;
  conn.setNoDelay(true); // Nagle's algorithm would hold back a small chunk (RFC 1122 §4.2.3.4)
  let buffer = new Uint8Array(Math.min(4096, chunk));
  let total = 0;
  for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
    const written = await conn.write(buffer.subarray(0, n));
    // Less than all: the client does not read, and the kernel has no room for more. Wait until it has.
    if (written < n) await writeAll(conn, buffer.subarray(written, n));
    client.idleTicks = 0;
    total += n;
    // Double a full buffer: fewer system calls for a busy client, little memory for an idle one.
    if (n === buffer.length && n < chunk) buffer = new Uint8Array(Math.min(2 * n, chunk));
  }
  return total;
}

const command = {
  name: "echo_server",
  about: "Sends back every byte it receives over TCP.",
  run: "deno run -N=127.0.0.1 tcp/echo_server.ts",
  examples: [
    "deno task echo-server",
    "deno task echo-server --port 7010 --trace",
    "deno task echo-server --once --max-clients 5",
  ],
  options: {
    ...serverOptions(7007, "close a client that is silent for this long; 0: never"),
    "chunk": integer(65536, "bytes to read at a time, at most", 1, 1 << 20),
    "max-clients": maxClients(10_000),
  },
};

await run(command, async (flags) => {
  const clients = new Clients(flags);
  const listener = bind(flags, Deno.listen);
  onStop(() => clients.interrupt());
  announce("Echo server", listener.addr);

  for await (const conn of clients.accept(listener)) {
    // Not awaited: while one client waits, the loop accepts and serves the others.
    clients.serve(conn, async (client) => {
      console.log(`Connected by ${client.name}`);
      console.log(`${client.name} is done: ${count(await echo(client, flags.chunk), "byte")} echoed`);
    });
  }
  await clients.finished();
});
