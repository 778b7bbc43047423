/**
 * A TCP client that sends messages to an echo server, compares every byte that comes back, and times the round trip.
 *
 * Look at `echoed`, below: it writes and reads at the same time. A client that first writes all and then reads can hang for
 * ever with a large message: the server stops reading while nobody takes what it sends back, and both wait.
 *
 * ```sh
 * deno run -N=127.0.0.1 tcp/echo_client.ts hello world     # the arguments are one message
 * deno run -N=127.0.0.1 tcp/echo_client.ts                 # each line typed, or piped in, is one
 * deno run -N=127.0.0.1 tcp/echo_client.ts --binary < photo.jpg > same.jpg
 * ```
 *
 * Start `deno run -N=127.0.0.1 tcp/echo_server.ts` in another terminal first. Both at once: `deno task tcp:echo`.
 *
 * RFC 862 (the echo protocol). API: Deno.connect, Deno.Conn.
 *
 * @module
 */
import { clientOptions, count, explain, Failure, place, printable, reach, run, toggle, within } from "../cli.ts";
import { traced } from "./trace.ts";
import { writeAll } from "./write_all.ts";

const command = {
  name: "echo_client",
  about: "Sends messages to an echo server and checks that every byte comes back. Without arguments it reads stdin.",
  run: "deno run -N=127.0.0.1 tcp/echo_client.ts",
  args: "[MESSAGE ...]",
  options: {
    ...clientOptions(7007),
    "binary": toggle("send stdin as raw bytes, and write what comes back to stdout"),
  },
};

await run(command, async (flags) => {
  const server = { hostname: flags.host, port: flags.port };
  const connected = await reach(flags, (signal) => Deno.connect({ ...server, signal }));
  const conn = flags.trace ? traced(connected, flags.trace) : connected;
  conn.setNoDelay(true);

  const raw = flags.binary && !Deno.stdout.isTerminal();
  let bytes = 0;
  let time = 0;
  try {
    for await (const message of messages()) {
      const start = performance.now();
      const back = await within(flags.timeout, echoed(message), `no echo from ${place(server)} in ${flags.timeout} s`);
      const took = performance.now() - start;
      bytes += back.length;
      time += took;
      if (raw) await writeOut(back);
      else console.log(`Received: ${printable(back)} (${count(back.length, "byte")}, ${took.toFixed(2)} ms)`);
    }
    // Our side is done, so the server's end of stream is next. Anything else is more than we sent.
    await conn.closeWrite();
    const end = conn.read(new Uint8Array(1024));
    const extra = await within(flags.timeout, end, `${place(server)} did not close its side in ${flags.timeout} s`);
    if (extra) throw new Failure(`${place(server)} sent ${count(extra, "byte")} more than it received`);
  } catch (error) {
    throw explain(error, server);
  }
  if (raw) console.error(`${count(bytes, "byte")} came back as sent, in ${time.toFixed(2)} ms`);
  conn.close();

  /** Sends one message and takes as many bytes back. @throws {Failure} when one differs or is missing. */
  async function echoed(message: Uint8Array): Promise<Uint8Array> {
    const back = new Uint8Array(message.length);
    const sent = writeAll(conn, message);
    const received = (async () => {
      for (let got = 0; got < back.length;) {
        const n = await conn.read(back.subarray(got));
        if (n === null) throw new Failure(`${place(server)} closed after ${got} of ${back.length} bytes`);
        for (const end = got + n; got < end; got++) {
          if (back[got] === message[got]) continue;
          throw new Failure(`byte ${got} of ${back.length} differs: sent ${message[got]}, received ${back[got]}`);
        }
      }
    })();
    await Promise.all([sent, received]);
    return back;
  }

  async function* messages(): AsyncGenerator<Uint8Array> {
    const encoder = new TextEncoder();
    if (flags.binary) yield* Deno.stdin.readable;
    else if (flags.args.length > 0) yield encoder.encode(flags.args.join(" "));
    else {
      const [{ createInterface }, { default: process }] = [await import("node:readline"), await import("node:process")];
      const terminal = Deno.stdin.isTerminal();
      const input = createInterface({ input: process.stdin, output: terminal ? process.stdout : undefined });
      if (terminal) input.prompt();
      for await (const line of input) {
        if (line !== "") yield encoder.encode(line);
        if (terminal) input.prompt();
      }
    }
  }
});

async function writeOut(data: Uint8Array): Promise<void> {
  for (let written = 0; written < data.length;) written += await Deno.stdout.write(data.subarray(written));
}
