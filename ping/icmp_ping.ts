/**
 * The pinger of the networking labs, written out: sends an ICMP echo request each second, waits up to a second for its
 * reply, and counts it as lost if none comes.
 *
 * Look at `mine`, below: ICMP has no ports. Every reply that reaches the machine reaches every raw socket, so a program
 * knows its own only by the identifier, the sequence number and the payload that it put in. Deno has no raw sockets: this
 * one is opened through the C library (`socket.ts`), which needs a right that few users have.
 *
 * ```sh
 * deno run -N=127.0.0.1 --allow-ffi ping/icmp_ping.ts 127.0.0.1
 * ```
 *
 * No partner: the kernel of the other machine answers. Task: `deno task ping:icmp`.
 *
 * RFC 792 and RFC 4443 (echo), RFC 1071 (checksum). API: Deno.dlopen.
 *
 * @module
 */
import { count, onStop, printable, run, seconds, toggle, whole } from "../cli.ts";
import { hostArgument } from "./host.ts";
import { type Echo, echoRequest, parseMessage } from "./icmp.ts";
import { resolve } from "./resolve.ts";
import { IcmpSocket, type Packet } from "./socket.ts";
import { plot, statistics, summary } from "./statistics.ts";

const command = {
  name: "icmp_ping",
  about: "Sends ICMP echo requests of its own and times the replies.",
  run: "deno run -N=127.0.0.1 --allow-ffi ping/icmp_ping.ts",
  args: "[HOST]",
  options: {
    "count": whole(4, "echo requests to send", 1, 10_000),
    "interval": seconds(1, "time between them"),
    "timeout": seconds(1, "how long to wait for each reply"),
    "size": whole(56, "bytes of payload", 16, 65_507, "BYTES"),
    "ttl": whole(64, "routers to pass at most", 1, 255),
    "ipv6": toggle("use IPv6"),
    "json": toggle("print one JSON object instead"),
  },
};

await run(command, async (flags) => {
  const host = hostArgument(flags.args, flags.ipv6);
  const { version, bytes: address } = await resolve(host, flags.ipv6 ? 6 : 4);

  const socket = new IcmpSocket(version, flags.ttl);
  const say = (line: string) => flags.json || console.log(line);
  const identifier = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  const secret = crypto.getRandomValues(new Uint8Array(8));
  const sentAt: number[] = [];
  const times: (number | undefined)[] = [];
  const settled: PromiseWithResolvers<void>[] = [];
  const stopped = Promise.withResolvers<void>();
  let stopping = false;
  onStop(() => {
    stopping = true;
    stopped.resolve();
  });

  /** Which request this is about, if it is one of ours: a datagram socket has the kernel choose the identifier. */
  function mine({ identifier: id, sequence, payload }: Echo): number | undefined {
    if (socket.raw && id !== identifier) return undefined;
    const quoted = payload.subarray(0, secret.length); // an error may quote no more than the first 8 bytes of a message
    if (!quoted.every((byte, i) => byte === secret[i])) return undefined;
    return sequence >= 1 && sequence <= sentAt.length ? sequence - 1 : undefined;
  }

  function hear({ from, ttl, message }: Packet): void {
    const heard = parseMessage(version, message);
    if (heard.kind === "other") return;
    const i = mine(heard.echo);
    if (i === undefined) return;
    const time = performance.now() - (sentAt[i] ?? 0);
    const what = `sequence ${i + 1}`;
    if (heard.kind === "error") {
      say(`${what}: ${heard.text}, says ${from}`);
      settled[i]?.resolve();
    } else if (heard.echo.payload.length !== flags.size) say(`${what}: reply from ${from} with another payload`);
    else if (times[i] !== undefined) say(`${what}: reply from ${from}, a duplicate`);
    else if (time > flags.timeout * 1000) say(`${what}: reply from ${from} after ${time.toFixed(3)} ms, too late`);
    else {
      times[i] = time;
      const hops = ttl === undefined ? "" : ` ttl ${ttl}`;
      say(`${count(heard.echo.payload.length + 8, "byte")} from ${from}: ${what}${hops} time ${time.toFixed(3)} ms`);
      settled[i]?.resolve();
    }
  }

  let receiving = true;
  const hearing = (async () => {
    while (receiving) {
      const packet = await socket.receive();
      if (packet) hear(packet);
    }
  })();

  try {
    say(`PING ${printable(host)}: ${count(flags.size, "byte")} of payload, ${socket.raw ? "raw" : "datagram"} socket`);
    for (let i = 0; i < flags.count && !stopping; i++) {
      const payload = Uint8Array.from({ length: flags.size }, (_, at) => at);
      payload.set(secret);
      new DataView(payload.buffer).setFloat64(8, Date.now());
      const answer = settled[i] = Promise.withResolvers<void>();
      times[i] = undefined;
      const next = after(flags.interval);
      const late = after(flags.timeout);
      sentAt[i] = performance.now();
      socket.send(echoRequest(version, { identifier, sequence: i + 1, payload }), address);
      await Promise.race([answer.promise, late.promise, stopped.promise]);
      if (times[i] === undefined && !stopping) say(`sequence ${i + 1}: no reply in ${flags.timeout} s`);
      if (i + 1 < flags.count) await Promise.race([next.promise, stopped.promise]);
      next.cancel();
      late.cancel();
    }
  } finally {
    receiving = false;
    await hearing;
    await socket.close();
  }

  const figures = statistics(times);
  if (flags.json) console.log(JSON.stringify({ host, times: times.map((time) => time ?? null), ...figures }));
  else console.log(`\n${printable(host)}: ${summary(figures)}\n${plot(times)}`);
  if (figures.received === 0) Deno.exit(1);
});

function after(limit: number): { promise: Promise<void>; cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limit * 1000);
  return { promise, cancel: () => clearTimeout(timer) };
}
