/**
 * Many TCP clients at once: opens them all, sends each one's messages one after the other, checks every byte that comes
 * back, and prints how fast and how evenly they were served.
 *
 * Read the percentiles rather than the mean: one in a hundred messages waited for p99 or longer, and a page that needs a
 * hundred messages makes nearly everyone wait that long. Compare how many clients each worker got: the kernel hashes
 * addresses, it does not count.
 *
 * First terminal: `deno run -N=127.0.0.1 -R=cli.ts,tcp --unstable-net tcp/threaded_server.ts`, or any other echo server.
 * This one: `deno run -N=127.0.0.1 tcp/many_clients.ts`. Both: `deno task tcp:threaded`. API: Deno.connect, Promise.all.
 *
 * @module
 */
import { clientOptions, connect, count, Failure, formatAddress, integer, printable, run, within } from "../cli.ts";
import { ENQ } from "./_enquiry.ts";
import { reportLatencies } from "./_latencies.ts";
import { progress } from "./_progress.ts";
import { explain } from "./_socket_errors.ts";
import { traced } from "./_trace.ts";
import { writeAll } from "./_write_all.ts";

/** Sends one message and checks that it comes back. `buffer` has its size. @throws {Failure} when a byte differs. */
async function roundTrip(conn: Deno.TcpConn, message: Uint8Array, buffer: Uint8Array): Promise<void> {
  const read = async () => {
    for (let got = 0; got < message.length;) {
      const n = await conn.read(buffer.subarray(got));
      if (n === null) throw new Failure(`the server closed after ${got} of ${message.length} bytes`);
      got += n;
    }
  };
  await Promise.all([writeAll(conn, message), read()]); // at the same time: see echo_client.ts
  const wrong = message.findIndex((byte, i) => byte !== buffer[i]);
  if (wrong >= 0) throw new Failure(`byte ${wrong} differs: sent ${message[wrong]}, received ${buffer[wrong]}`);
}

/** Asks which worker serves this connection: a line with its name, or the ENQ itself from any other echo server. */
async function askWorker(conn: Deno.TcpConn): Promise<string> {
  await writeAll(conn, Uint8Array.of(ENQ));
  const buffer = new Uint8Array(64);
  for (let got = 0; got < buffer.length;) {
    const n = await conn.read(buffer.subarray(got));
    if (n === null) throw new Failure("the server closed the connection");
    got += n;
    if (buffer[0] === ENQ) return "the server";
    const end = buffer.indexOf(10);
    if (end >= 0) return printable(buffer.subarray(0, end));
  }
  throw new Failure("the server answered the first byte (ENQ) with neither a worker's name nor an echo");
}

const command = {
  name: "many_clients",
  about: "Opens many TCP clients to an echo server at once, checks every byte, and measures.",
  run: "deno run -N=127.0.0.1 tcp/many_clients.ts",
  examples: [
    "deno task many-clients --clients 50",
    "deno task many-clients --port 7007 --messages 1000 --size 1024",
  ],
  options: {
    ...clientOptions(7008),
    "clients": integer(200, "clients, all open at the same time", 1, 20_000),
    "messages": integer(100, "messages that each client sends", 1, 1_000_000),
    "size": integer(64, "bytes in a message", 1, 1 << 20),
  },
};

await run(command, async (flags) => {
  const { clients, messages, size } = flags;
  const all = clients * messages;
  const server = { hostname: flags.host, port: flags.port };
  if (all > 10_000_000) throw new Failure("more than 10 million messages: lower --clients or --messages", 2);
  const latencies = new Float64Array(all); // milliseconds
  const workers = new Map<string, number>();
  const problems: string[] = [];
  const showProgress = progress("messages", all);
  let done = 0;

  // All of them connect before the first message, so that the server has them all at the same time.
  const conns = await Promise.all(Array.from({ length: clients }, async () => {
    const conn = traced(await connect(flags, Deno.connect), flags);
    conn.setNoDelay(true);
    return conn;
  }));
  console.log(`${count(clients, "client")} connected to ${formatAddress(server)}`);

  const start = performance.now();
  await Promise.all(conns.map(async (conn, client) => {
    const late = (what: string) => `${formatAddress(server)} took longer than ${flags.timeout} s ${what}`;
    try {
      const name = await within(flags.timeout, askWorker(conn), late("to send its worker's name"));
      workers.set(name, (workers.get(name) ?? 0) + 1);
      const buffer = new Uint8Array(size);
      for (let i = 0; i < messages; i++) {
        const message = pattern(client * messages + i, size);
        const sent = performance.now();
        await within(flags.timeout, roundTrip(conn, message, buffer), late(`to echo message ${i + 1}`));
        latencies[done++] = performance.now() - sent;
        showProgress(done);
      }
    } catch (error) {
      const known = explain(error, server);
      if (!(known instanceof Failure)) throw error;
      problems.push(`client ${client + 1}: ${known.message}`);
    }
  }));
  const elapsed = (performance.now() - start) / 1000;
  showProgress(all);
  for (const conn of conns) conn.close(); // not before all are done: they are to be open at the same time

  for (const line of reportLatencies(latencies.subarray(0, done).sort(), elapsed)) console.log(line);
  for (const [name, served] of [...workers].sort()) console.log(`${name} served ${count(served, "client")}`);
  if (done < all || problems.length > 0) {
    for (const problem of problems.slice(0, 5)) console.error(problem);
    throw new Failure(`${all - done} of ${all} messages lost, ${count(problems.length, "client")} failed`);
  }
  console.log(`all ${all} messages came back, every byte the same`);
});

/** Bytes that differ from message to message, so that an answer to another client's message is noticed. */
function pattern(seed: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let x = (seed + 1) * 2654435761 >>> 0;
  for (let i = 0; i < size; i++) {
    x = Math.imul(x, 1664525) + 1013904223 >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}
