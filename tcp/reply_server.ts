/**
 * A TCP server that prints each message and answers it: the first lab of most networking courses.
 *
 * Look at `answer`: one `read` is taken for one message. That works on a quiet network and with a client that waits for
 * the reply, as here, but TCP promises nothing of the kind: two messages can arrive in one read, and one in two. A real
 * protocol says where a message ends: by its length, by a line end, or by closing.
 *
 * ```sh
 * deno run -N=127.0.0.1 tcp/reply_server.ts
 * deno run -N -S=networkInterfaces tcp/reply_server.ts --host 0.0.0.0 --port 65432   # for clients on other machines
 * ```
 *
 * Then, in a second terminal: `deno run -N=127.0.0.1 tcp/reply_client.ts`. Both at once: `deno task tcp:reply`.
 *
 * RFC 9293 §3.7 (segments are not messages). API: Deno.listen, Deno.networkInterfaces.
 *
 * @module
 */
import { announce, bind, onStop, printable, run, serverOptions, text, toggle, whole } from "../cli.ts";
import { type Client, Clients } from "./clients.ts";
import { traced } from "./trace.ts";
import { writeAll } from "./write_all.ts";

const command = {
  name: "reply_server",
  about: "Prints each message it receives over TCP and answers it.",
  run: "deno run -N=127.0.0.1 tcp/reply_server.ts",
  options: {
    ...serverOptions(12345, "close a client that is silent for this long; 0: never"),
    "reply": text("Hello from the server!", "what to answer"),
    "close": toggle("close after the first reply"),
    "size": whole(65536, "the longest message, in bytes: a longer one is taken for several", 1, 1 << 20),
    "max-clients": whole(1000, "clients at one time; more wait for their turn", 1, 1_000_000),
  },
};

await run(command, async (flags) => {
  const reply = new TextEncoder().encode(flags.reply);
  const listener = bind({ hostname: flags.host, port: flags.port }, (addr) => Deno.listen(addr));
  const clients = new Clients({ max: flags["max-clients"], idle: flags.timeout, log: console.log });
  onStop(() => clients.stop(listener)); // before anyone can know that there is something to stop
  announce("Server", listener.addr);

  while (true) {
    const conn = await clients.next(() => listener.accept());
    if (conn === undefined) break;
    const served = clients.serve(flags.trace ? traced(conn, flags.trace) : conn, answer);
    if (!flags.once) continue;
    clients.stop(listener);
    if (!await served) Deno.exit(1);
    break;
  }
  await clients.finished();

  async function answer(client: Client): Promise<void> {
    const { conn, name } = client;
    console.log(`Connected by ${name}`);
    const buffer = new Uint8Array(flags.size);
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      console.log(`Received from client: ${printable(buffer.subarray(0, n))}`);
      await writeAll(conn, reply);
      client.quiet = 0;
      if (flags.close) return;
    }
    console.log(`${name} closed the connection`);
  }
});
