/**
 * A TCP server that prints each message and replies to it: the first lab of most networking courses.
 *
 * It takes what one `read` returns for one message. That works on a quiet network and with a client that waits for the
 * reply. TCP does not promise it: two messages can arrive in one read, and one message in two (RFC 9293 §3.7). A real
 * protocol says where a message ends: by its length, by a line end, or by closing the connection.
 *
 * This terminal: `deno run -N=127.0.0.1 tcp/reply_server.ts`. The other: `deno run -N=127.0.0.1 tcp/reply_client.ts`.
 * Both at once: `deno task tcp:reply`. API: Deno.listen, Deno.networkInterfaces (with --host 0.0.0.0).
 *
 * @module
 */
import { bind, flag, integer, onStop, printable, run, serverOptions, text } from "../cli.ts";
import { announce } from "./_announce.ts";
import { type Client, Clients, maxClients } from "./_clients.ts";
import { writeAll } from "./_write_all.ts";

/** Prints each message of one client and replies to it, until the client closes its side. */
async function converse(client: Client, reply: Uint8Array, options: { size: number; close: boolean }): Promise<void> {
  const { conn, name } = client;
  console.log(`Connected by ${name}`);
  const buffer = new Uint8Array(options.size);
  for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
    console.log(`Received from client: ${printable(buffer.subarray(0, n))}`);
    await writeAll(conn, reply);
    client.idleTicks = 0;
    if (options.close) return;
  }
  console.log(`${name} closed the connection`);
}

const command = {
  name: "reply_server",
  about: "Prints each message it receives over TCP and replies to it.",
  run: "deno run -N=127.0.0.1 tcp/reply_server.ts",
  examples: [
    "deno task reply-server",
    "deno task reply-server --reply Welcome --close",
    "deno task reply-server --port 0 --once --trace",
  ],
  options: {
    ...serverOptions(12345, "close a client that is silent for this long; 0: never"),
    "reply": text("Hello from the server!", "what to reply"),
    "close": flag("close after the first reply"),
    "size": integer(65536, "the longest message, in bytes; a longer one counts as several", 1, 1 << 20),
    "max-clients": maxClients(1000),
  },
};

await run(command, async (flags) => {
  const reply = new TextEncoder().encode(flags.reply);
  const clients = new Clients(flags);
  const listener = bind(flags, Deno.listen);
  onStop(() => clients.interrupt());
  announce("Server", listener.addr);

  for await (const conn of clients.accept(listener)) {
    clients.serve(conn, (client) => converse(client, reply, flags));
  }
  await clients.finished();
});
