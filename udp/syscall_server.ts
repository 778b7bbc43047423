/**
 * A UDP echo server that receives and sends many datagrams with one system call each: recvmmsg and sendmmsg.
 *
 * UDP has no connections, so one socket serves every client, and the datagrams of all of them wait in the same queue. Under
 * load one call empties it. `--calls` prints each call. Compare `chat_server.ts`, which takes them one by one.
 *
 * This terminal: `deno run --allow-ffi udp/syscall_server.ts`. The other: `deno run --allow-ffi udp/syscall_client.ts`.
 * Both at once: `deno task udp:syscalls`. Linux only. RFC 862 (echo), RFC 768 (UDP). API: Deno.dlopen.
 *
 * @module
 */
import { bind, count, flag, onStop, run, serverOptions } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { DatagramBatch, openCalls } from "./_datagram_batch.ts";

/** Sends every datagram back to where it came from, until the socket is closed. Returns how many. */
async function echo(batch: DatagramBatch, onEcho: () => void): Promise<number> {
  const { port } = batch.addr;
  let total = 0;
  for (let n = await batch.receive(); n >= 0; n = await batch.receive()) {
    for (let i = 0; i < n; i++) {
      // A datagram with this server's own address as its forged source would go round for ever.
      if (batch.sender(i).port === port) continue;
      batch.reply(i, batch.datagram(i));
      total++;
    }
    batch.flush();
    onEcho();
  }
  return total;
}

const { timeout: _, ...options } = serverOptions(9997, "");
const command = {
  name: "syscall_server",
  about: "Sends back every datagram it receives over UDP, by the system calls of Linux.",
  run: "deno run --allow-ffi udp/syscall_server.ts",
  examples: [
    "deno task datagram-server",
  ],
  options: {
    ...options,
    "once": flag("exit after one second without a datagram"),
    "calls": flag("print each system call on stderr"),
  },
};

await run(command, async (flags) => {
  const calls = openCalls(flags.calls);
  const batch = await bind(flags, (addr) => DatagramBatch.open(calls, addr, flags));
  onStop(() => batch.close());
  announce("Datagram server", batch.addr);
  let last = 0;
  // UDP has no end of an exchange: with --once, a second of silence is one.
  const timer = setInterval(() => {
    if (flags.once && last > 0 && performance.now() - last > 1000) batch.close();
  }, 100);
  const total = await echo(batch, () => last = performance.now());
  clearInterval(timer);
  console.log(`${count(total, "datagram")} echoed`);
});
