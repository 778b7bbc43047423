/**
 * A TCP client that sends a message and prints the reply.
 *
 * Look at the one `read`: it returns the first bytes that arrive, as `recv(1024)` does in every language. If the reply came
 * in two segments, this would print the first. See `echo_client.ts` for a client that knows how much to expect.
 *
 * ```sh
 * deno run -N=127.0.0.1 tcp/reply_client.ts
 * deno run -N tcp/reply_client.ts --host 192.0.2.7 --port 65432 Good evening   # a server on another machine
 * ```
 *
 * Start `deno run -N=127.0.0.1 tcp/reply_server.ts` in another terminal first. Both at once: `deno task tcp:reply`.
 *
 * API: Deno.connect, Deno.Conn.
 *
 * @module
 */
import { clientOptions, explain, Failure, place, printable, reach, run, whole, within } from "../cli.ts";
import { traced } from "./trace.ts";
import { writeAll } from "./write_all.ts";

const command = {
  name: "reply_client",
  about: "Sends a message over TCP and prints the reply. The arguments are the message.",
  run: "deno run -N=127.0.0.1 tcp/reply_client.ts",
  args: "[MESSAGE ...]",
  options: {
    ...clientOptions(12345),
    "size": whole(65536, "the longest reply, in bytes: the rest of a longer one is not read", 1, 1 << 20),
  },
};

await run(command, async (flags) => {
  const server = { hostname: flags.host, port: flags.port };
  const message = flags.args.join(" ") || "Hello from the client!";
  const connected = await reach(flags, (signal) => Deno.connect({ ...server, signal }));
  const conn = flags.trace ? traced(connected, flags.trace) : connected;
  try {
    await writeAll(conn, new TextEncoder().encode(message));
    const buffer = new Uint8Array(flags.size);
    const n = await within(flags.timeout, conn.read(buffer), `no reply from ${place(server)} in ${flags.timeout} s`);
    if (n === null) throw new Failure(`${place(server)} closed the connection without a reply`);
    console.log(`Received from server: ${printable(buffer.subarray(0, n))}`);
  } catch (error) {
    throw explain(error, server);
  }
  conn.close();
});
