/**
 * A TCP client that sends messages to an echo server, compares every byte that comes back, and times the round trip.
 *
 * It writes and reads at the same time. A client that first writes everything and then reads can hang for ever with a large
 * message: the server stops reading while nobody takes what it sends back, and both wait.
 *
 * First terminal: `deno run -N=127.0.0.1 tcp/echo_server.ts`. This one: `deno run -N=127.0.0.1 tcp/echo_client.ts hello`;
 * without a message it sends each line that you type. Both at once: `deno task tcp:echo`.
 * RFC 862 (echo). API: Deno.connect, Deno.Conn.
 *
 * @module
 */
import { clientOptions, connect, count, Failure, flag, formatAddress, printable, run, within } from "../cli.ts";
import { traced } from "./_trace.ts";
import { writeAll } from "./_write_all.ts";

/** Sends one message and reads as many bytes back. @throws {Failure} when one differs or is missing. */
async function echo(conn: Deno.TcpConn, message: Uint8Array): Promise<Uint8Array> {
  const received = new Uint8Array(message.length);
  const read = async () => {
    for (let got = 0; got < received.length;) {
      const n = await conn.read(received.subarray(got)); // any part of the message, or all of it
      if (n === null) {
        throw new Failure(`${formatAddress(conn.remoteAddr)} closed after ${got} of ${received.length} bytes`);
      }
      for (const end = got + n; got < end; got++) {
        if (received[got] === message[got]) continue;
        throw new Failure(
          `byte ${got} of ${received.length} differs: sent ${message[got]}, received ${received[got]}`,
        );
      }
    }
  };
  await Promise.all([writeAll(conn, message), read()]);
  return received;
}

/** Closes this side and waits for the server to close its own: it must have nothing more to send. */
async function finish(conn: Deno.TcpConn): Promise<void> {
  await conn.closeWrite();
  const extra = await conn.read(new Uint8Array(1024));
  if (extra !== null) {
    throw new Failure(`${formatAddress(conn.remoteAddr)} sent ${count(extra, "byte")} more than it received`);
  }
}

const command = {
  name: "echo_client",
  about: "Sends messages to an echo server and checks that every byte comes back. Without arguments it reads stdin.",
  run: "deno run -N=127.0.0.1 tcp/echo_client.ts",
  args: "[MESSAGE ...]",
  examples: [
    "deno task echo-client Hello",
    "deno task echo-client --trace one two three",
    "deno task echo-client --port 7008 --wait 5 Hello",
  ],
  options: {
    ...clientOptions(7007),
    "binary": flag("send stdin as raw bytes, and write what comes back to stdout"),
  },
};

await run(command, async (flags) => {
  const conn = traced(await connect(flags, Deno.connect), flags);
  const server = formatAddress(conn.remoteAddr);
  conn.setNoDelay(true);
  const raw = flags.binary && !Deno.stdout.isTerminal();
  let bytes = 0;
  let time = 0;
  for await (const message of flags.binary ? Deno.stdin.readable : messages(flags.args)) {
    const start = performance.now();
    const received = await within(flags.timeout, echo(conn, message), `no echo from ${server} in ${flags.timeout} s`);
    const ms = performance.now() - start;
    bytes += received.length;
    time += ms;
    if (raw) await writeAll(Deno.stdout, received);
    else console.log(`Received: ${printable(received)} (${count(received.length, "byte")}, ${ms.toFixed(2)} ms)`);
  }
  await within(flags.timeout, finish(conn), `${server} did not close its side in ${flags.timeout} s`);
  conn.close();
  if (raw) console.error(`${count(bytes, "byte")} came back as sent, in ${time.toFixed(2)} ms`);
});

/** The arguments as one message, or each line of stdin. */
async function* messages(args: string[]): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  if (args.length > 0) return yield encoder.encode(args.join(" "));
  const [{ createInterface }, { default: process }] = [await import("node:readline"), await import("node:process")];
  const isTerminal = Deno.stdin.isTerminal();
  const input = createInterface({ input: process.stdin, output: isTerminal ? process.stdout : undefined });
  if (isTerminal) input.prompt();
  for await (const line of input) {
    if (line !== "") yield encoder.encode(line);
    if (isTerminal) input.prompt();
  }
}
