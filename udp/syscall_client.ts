/**
 * A UDP client that sends datagrams in batches, by the system call sendmmsg, and counts those that come back.
 *
 * UDP does not say what was lost: the client numbers its datagrams, keeps some of them on the way, and gives up on those
 * that are not back in time. Send more at once than a socket has room for (`--batch`), and see some of them get lost.
 *
 * First terminal: `deno run --allow-ffi udp/syscall_server.ts`. This one: `deno run --allow-ffi udp/syscall_client.ts`.
 * Both at once: `deno task udp:syscalls`. Linux only. RFC 862 (echo), RFC 768 (UDP). API: Deno.dlopen.
 *
 * @module
 */
import { clientOptions, connect, count, Failure, flag, formatAddress, integer, run, seconds } from "../cli.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { DatagramBatch, openCalls } from "./_datagram_batch.ts";

/** Sends numbered datagrams, a batch at a time, and waits for each batch to come back. Returns how many did. */
async function exchange(batch: DatagramBatch, flags: Settings): Promise<number> {
  const datagram = new Uint8Array(flags.size);
  const number = new DataView(datagram.buffer);
  let returned = 0;
  for (let first = 0; first < flags.count; first += flags.batch) {
    const missing = new Set<number>();
    for (let i = first; i < Math.min(first + flags.batch, flags.count); i++) {
      number.setUint32(0, i);
      batch.send(datagram);
      missing.add(i);
    }
    batch.flush();
    const until = performance.now() + flags.timeout * 1000;
    while (missing.size > 0) {
      const n = await batch.receive(until);
      if (n <= 0) break; // what is not back by now is lost, or late
      for (let i = 0; i < n; i++) {
        const received = batch.datagram(i);
        if (received.length !== flags.size) continue;
        if (missing.delete(new DataView(received.buffer, received.byteOffset).getUint32(0))) returned++; // each once
      }
    }
  }
  return returned;
}

type Settings = { count: number; size: number; batch: number; timeout: number };

const { timeout: _, ...options } = clientOptions(9997);
const command = {
  name: "syscall_client",
  about: "Sends datagrams to a UDP echo server by the system calls of Linux, and counts those that come back.",
  run: "deno run --allow-ffi udp/syscall_client.ts",
  examples: [
    "deno task datagram-client",
  ],
  options: {
    ...options,
    "count": integer(10_000, "datagrams to send", 1, 10_000_000),
    "size": integer(64, "bytes of a datagram", 4, 65_507),
    "batch": integer(32, "datagrams on the way at the same time", 1, 10_000),
    "timeout": seconds(1, "how long to wait for a batch to come back", false),
    "calls": flag("print each system call on stderr"),
  },
};

await run(command, async (flags) => {
  const calls = openCalls(flags.calls);
  const server = { hostname: flags.host, port: flags.port };
  // UDP does not tell whether anybody listens. The other machine's kernel does, if it wants to (ICMP port unreachable): with
  // --wait, ask it with one datagram until there is a server.
  await connect(flags, async (addr) => {
    const first = await DatagramBatch.connect(calls, addr, flags);
    await exchange(first, { ...flags, count: 1 }).finally(() => first.close());
  }).catch((error) => {
    if (codeOf(error) !== "ECONNREFUSED") throw error;
    throw new Failure(`no server listens at ${formatAddress(server)}: its kernel says "port unreachable"`);
  });
  const batch = await DatagramBatch.connect(calls, server, flags);
  const start = performance.now();
  const returned = await exchange(batch, flags);
  const s = (performance.now() - start) / 1000;
  await batch.close();
  if (returned === 0) {
    throw new Failure(`no answer from ${formatAddress(server)} in ${flags.timeout} s: is the server running?`);
  }
  console.log(`${count(returned, "datagram")} of ${flags.count} came back in ${s.toFixed(2)} s`);
  console.log(`${Math.round(returned / s)} round trips/s, ${flags.count - returned} lost`);
  if (returned < flags.count) Deno.exitCode = 1;
});
