/**
 * A TCP client that sends a message and prints the reply.
 *
 * It reads once, and `read` returns the first bytes that arrive, as `recv(1024)` does in every language. If the reply came
 * in two segments, this would print the first. `echo_client.ts` knows how many bytes to expect.
 *
 * First terminal: `deno run -N=127.0.0.1 tcp/reply_server.ts`. This one: `deno run -N=127.0.0.1 tcp/reply_client.ts`.
 * Both at once: `deno task tcp:reply`. API: Deno.connect, Deno.Conn.
 *
 * @module
 */
import { clientOptions, connect, Failure, formatAddress, integer, printable, run, within } from "../cli.ts";
import { traced } from "./_trace.ts";
import { writeAll } from "./_write_all.ts";

/** Sends a message and returns the reply: the first bytes that arrive. */
async function request(conn: Deno.TcpConn, message: string, size: number): Promise<Uint8Array> {
  await writeAll(conn, new TextEncoder().encode(message));
  const buffer = new Uint8Array(size);
  const n = await conn.read(buffer);
  if (n === null) throw new Failure(`${formatAddress(conn.remoteAddr)} closed the connection without a reply`);
  return buffer.subarray(0, n);
}

const command = {
  name: "reply_client",
  about: "Sends a message over TCP and prints the reply. The arguments are the message.",
  run: "deno run -N=127.0.0.1 tcp/reply_client.ts",
  args: "[MESSAGE ...]",
  examples: [
    "deno task reply-client Hello",
    "deno task reply-client --trace --wait 5 Hello",
  ],
  options: {
    ...clientOptions(12345),
    "size": integer(65536, "the longest reply, in bytes; the rest of a longer one is not read", 1, 1 << 20),
  },
};

await run(command, async (flags) => {
  const message = flags.args.join(" ") || "Hello from the client!";
  const conn = traced(await connect(flags, Deno.connect), flags);
  const late = `no reply from ${formatAddress(conn.remoteAddr)} in ${flags.timeout} s`;
  const reply = await within(flags.timeout, request(conn, message, flags.size), late);
  console.log(`Received from server: ${printable(reply)}`);
  conn.close();
});
