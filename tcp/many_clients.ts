/**
 * Many TCP clients at once: opens them all, has each send its messages one after the other, checks every byte that comes
 * back, and says how fast and how evenly they were served.
 *
 * Look at the percentiles rather than the mean: p99 is what one in a hundred messages waited at least, and with a hundred
 * messages to a page that is nearly everyone. Look also at how many clients each worker got: the kernel hashes addresses,
 * it does not count.
 *
 * ```sh
 * deno run -N=127.0.0.1 tcp/many_clients.ts --clients 200 --messages 100 --size 64
 * deno run -N=127.0.0.1 tcp/many_clients.ts --port 7007      # any echo server will do
 * ```
 *
 * Start `deno run -N=127.0.0.1 -R=cli.ts,tcp --unstable-net tcp/threaded_server.ts` first. Both: `deno task tcp:threaded`.
 *
 * API: Deno.connect, Promise.all.
 *
 * @module
 */
import {
  clientOptions,
  count,
  explain,
  Failure,
  place,
  printable,
  progress,
  reach,
  run,
  whole,
  within,
} from "../cli.ts";
import { traced } from "./trace.ts";
import { writeAll } from "./write_all.ts";

const command = {
  name: "many_clients",
  about: "Opens many TCP clients to an echo server at once, checks every byte, and measures.",
  run: "deno run -N=127.0.0.1 tcp/many_clients.ts",
  options: {
    ...clientOptions(7008),
    "clients": whole(200, "clients, all open at the same time", 1, 20_000),
    "messages": whole(100, "messages of each client", 1, 1_000_000),
    "size": whole(64, "bytes in a message", 1, 1 << 20),
  },
};

/** ASCII's enquiry: `threaded_server.ts` answers it with the worker's name; any other echo server sends it back. */
const ENQ = 5;

await run(command, async (flags) => {
  const { clients, messages, size } = flags;
  if (clients * messages > 10_000_000) {
    throw new Failure("more than 10 million messages: lower --clients or --messages", 2);
  }
  const server = { hostname: flags.host, port: flags.port };
  const latencies = new Float64Array(clients * messages); // milliseconds
  const workers = new Map<string, number>();
  const problems: string[] = [];
  const bar = progress("messages", clients * messages);
  let done = 0;

  // All of them connect before the first message, so that the server has them all at the same time.
  const conns = await Promise.all(Array.from({ length: clients }, async () => {
    const conn = await reach(flags, (signal) => Deno.connect({ ...server, signal }));
    conn.setNoDelay(true);
    return flags.trace ? traced(conn, flags.trace) : conn;
  }));
  console.log(`${count(clients, "client")} connected to ${place(server)}`);

  const start = performance.now();
  await Promise.all(conns.map(async (conn, client) => {
    try {
      const name = await step(whoAreYou(conn), "to say who it is");
      workers.set(name, (workers.get(name) ?? 0) + 1);
      const buffer = new Uint8Array(size);
      for (let message = 0; message < messages; message++) {
        const sent = pattern(client * messages + message, size);
        const before = performance.now();
        await step(roundTrip(conn, sent, buffer), `to echo message ${message + 1}`);
        latencies[done++] = performance.now() - before;
        bar(done);
      }
    } catch (error) {
      const known = explain(error, server);
      if (!(known instanceof Failure)) throw error;
      problems.push(`client ${client + 1}: ${known.message}`);
    }
  }));
  const elapsed = (performance.now() - start) / 1000;
  bar(clients * messages);
  for (const conn of conns) conn.close(); // not before all are done: see the first comment

  report(latencies.subarray(0, done).sort(), elapsed);
  for (const [name, served] of [...workers].sort()) console.log(`${name} served ${count(served, "client")}`);
  const lost = clients * messages - done;
  if (lost > 0 || problems.length > 0) {
    for (const problem of problems.slice(0, 5)) console.error(problem);
    throw new Failure(`${lost} of ${clients * messages} messages lost, ${count(problems.length, "client")} failed`);
  }
  console.log(`all ${clients * messages} messages came back, every byte the same`);

  function step<T>(promise: Promise<T>, what: string): Promise<T> {
    return within(flags.timeout, promise, `${place(server)} took longer than ${flags.timeout} s ${what}`);
  }
});

async function whoAreYou(conn: Deno.TcpConn): Promise<string> {
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
  throw new Failure("the server's answer to ENQ is neither a line nor an echo");
}

async function roundTrip(conn: Deno.TcpConn, sent: Uint8Array, buffer: Uint8Array): Promise<void> {
  const read = async () => {
    for (let got = 0; got < sent.length;) {
      const n = await conn.read(buffer.subarray(got));
      if (n === null) throw new Failure(`the server closed after ${got} of ${sent.length} bytes`);
      got += n;
    }
  };
  await Promise.all([writeAll(conn, sent), read()]); // at once: see echo_client.ts
  const wrong = sent.findIndex((byte, i) => byte !== buffer[i]);
  if (wrong >= 0) throw new Failure(`byte ${wrong} differs: sent ${sent[wrong]}, received ${buffer[wrong]}`);
}

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

function report(sorted: Float64Array, elapsed: number): void {
  const at = (p: number) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0).toFixed(2);
  console.log(
    `${sorted.length} messages in ${elapsed.toFixed(2)} s: ${Math.round(sorted.length / elapsed)} messages/s`,
  );
  if (sorted.length === 0) return;
  console.log(`round trip in ms: p50 ${at(0.5)}  p95 ${at(0.95)}  p99 ${at(0.99)}  max ${at(1)}`);
  // Each row covers twice the time of the row before: latencies spread over orders of magnitude.
  const buckets = new Map<number, number>();
  for (const ms of sorted) {
    const bucket = Math.ceil(Math.log2(Math.max(ms, 1 / 64)));
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
  }
  const most = Math.max(...buckets.values());
  for (let bucket = Math.min(...buckets.keys()); bucket <= Math.max(...buckets.keys()); bucket++) {
    const n = buckets.get(bucket) ?? 0;
    console.log(
      `  up to ${String(2 ** bucket).padStart(8)} ms ${"█".repeat(Math.ceil(n / most * 30)).padEnd(30)} ${n}`,
    );
  }
}
