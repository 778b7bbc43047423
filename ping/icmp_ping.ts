/**
 * The pinger of the networking labs: sends an ICMP echo request every second, waits up to a second for its reply, and counts
 * the request as lost if none arrives.
 *
 * Look at `matchRequest`: ICMP has no ports. The kernel gives every reply to every raw socket, so a program recognises its
 * own by identifier, sequence number and payload. Deno has no ICMP sockets: `_icmp_socket.ts` opens one through the C
 * library, which usually requires root.
 *
 * This terminal: `deno run -N=127.0.0.1 --allow-ffi ping/icmp_ping.ts 127.0.0.1`. No other: the kernel of the host answers.
 * Task: `deno task icmp-ping`. RFC 792 and RFC 4443 (echo), RFC 1071 (checksum). API: Deno.dlopen.
 *
 * @module
 */
import { count, flag, integer, onStop, printable, run, seconds, traceOptions } from "../cli.ts";
import { printAddress } from "../tcp/_address.ts";
import { hostArgument } from "./_host.ts";
import { decodeMessage, type Echo, encodeEchoRequest } from "./_icmp.ts";
import { elapsed, IcmpSocket, isOver, type Moment, type Packet } from "./_icmp_socket.ts";
import { resolve } from "./_resolve.ts";
import { plot, statistics, summary } from "./_statistics.ts";
import { IcmpTrace } from "./_trace.ts";

/** Sends the requests, one per interval, and waits for the reply to each. The times are then in `pinger.times`. */
async function ping(pinger: Pinger, address: Uint8Array, requests: number, interval: number): Promise<void> {
  const { socket, timeout } = pinger;
  await receive(pinger, { steady: performance.now() }, 0); // compiled here, and not while the first reply waits
  for (let i = 0; i < requests && !pinger.stopping; i++) {
    const payload = Uint8Array.from({ length: pinger.size }, (_, at) => at);
    payload.set(pinger.secret);
    const message = encodeEchoRequest(socket.version, { identifier: pinger.identifier, sequence: i + 1, payload });
    pinger.times[i] = undefined;
    const sent = pinger.sentAt[i] = socket.send(message, address);
    pinger.trace.sent(message, sent, pinger.ttl);
    await receive(pinger, sent, timeout, i);
    if (!pinger.answered.has(i) && !pinger.stopping) pinger.log(`sequence ${i + 1}: no reply in ${timeout} s`);
    // What arrives until the next request is late, or arrives a second time.
    if (i + 1 < requests) await receive(pinger, sent, interval);
  }
}

/** Receives packets for so many seconds after a request, or until request number `awaited` has its answer. */
async function receive(pinger: Pinger, sent: Moment, limit: number, awaited?: number): Promise<void> {
  let packet: Packet | undefined;
  do {
    packet = await pinger.socket.receive(sent.steady + limit * 1000);
    if (packet) take(pinger, packet);
    if (awaited !== undefined && pinger.answered.has(awaited)) return;
  } while (!pinger.stopping && !isOver(sent, limit * 1000, packet));
}

/** If a packet is the reply to one of the requests, stores the round-trip time. */
function take(pinger: Pinger, packet: Packet): void {
  const { from, ttl, message, received: at } = packet;
  const received = decodeMessage(pinger.socket.version, message);
  if (received.kind === "other") return;
  const i = matchRequest(pinger, received.echo);
  const sent = pinger.sentAt[i ?? -1];
  if (i === undefined || !sent) return;
  pinger.trace.received(packet);
  const time = elapsed(sent, at);
  const name = `sequence ${i + 1}`;
  const ms = `${time.toFixed(3)} ms`;
  if (received.kind === "error") {
    pinger.log(`${name}: ${received.text}, says ${from}`);
    pinger.answered.add(i);
  } else if (received.echo.payload.length !== pinger.size) {
    pinger.log(`${name}: reply from ${from} with another payload`);
  } else if (pinger.times[i] !== undefined) pinger.log(`${name}: reply from ${from}, a duplicate`);
  else if (time > pinger.timeout * 1000) pinger.log(`${name}: reply from ${from} after ${ms}, too late`);
  else {
    pinger.times[i] = time;
    const hops = ttl === undefined ? "" : ` ttl ${ttl}`;
    pinger.log(`${count(received.echo.payload.length + 8, "byte")} from ${from}: ${name}${hops} time ${ms}`);
    pinger.answered.add(i);
  }
}

/** The index of our request that a message answers. The identifier is not compared where the kernel has chosen it. */
function matchRequest(pinger: Pinger, { identifier, sequence, payload }: Echo): number | undefined {
  const { secret, socket, sentAt } = pinger;
  if (!socket.hasKernelIdentifier && identifier !== pinger.identifier) return undefined;
  const start = payload.subarray(0, secret.length); // an error may quote only the first 8 bytes of a message
  if (!start.every((byte, i) => byte === secret[i])) return undefined;
  return sequence >= 1 && sequence <= sentAt.length ? sequence - 1 : undefined;
}

/** One run: what marks its requests, and what has become of each. */
class Pinger {
  readonly identifier = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  /** The first bytes of each payload. */
  readonly secret = crypto.getRandomValues(new Uint8Array(8));
  readonly sentAt: Moment[] = [];
  /** The round-trip times in milliseconds; `undefined` for a request without a reply. */
  readonly times: (number | undefined)[] = [];
  /** The requests that have a reply, or an error instead: nothing more is to come. */
  readonly answered = new Set<number>();
  stopping = false;

  constructor(
    readonly socket: IcmpSocket,
    readonly trace: IcmpTrace,
    readonly size: number,
    readonly ttl: number,
    readonly timeout: number,
    readonly log: (line: string) => void,
  ) {}
}

const command = {
  name: "icmp_ping",
  about: "Sends its own ICMP echo requests and times the replies.",
  run: "deno run -N=127.0.0.1 --allow-ffi ping/icmp_ping.ts",
  args: "[HOST]",
  examples: [
    "deno task icmp-ping 127.0.0.1",
    "deno task icmp-ping --count 10 --interval 0.2 127.0.0.1",
  ],
  options: {
    "count": integer(4, "echo requests to send", 1, 10_000),
    "interval": seconds(1, "time between two requests"),
    "timeout": seconds(1, "how long to wait for each reply", false),
    "size": integer(56, "bytes of payload", 16, 65_507, "BYTES"),
    "ttl": integer(64, "how many routers a packet may pass, at most", 1, 255),
    "ipv6": flag("use IPv6"),
    "json": flag("print one JSON object instead"),
    ...traceOptions,
  },
};

await run(command, async (flags) => {
  const host = hostArgument(flags.args, flags.ipv6);
  const { version, bytes } = await resolve(host, flags.ipv6 ? 6 : 4);
  const socket = new IcmpSocket(version);
  socket.setTtl(flags.ttl);
  const trace = new IcmpTrace(flags, socket, printAddress(bytes), bytes);
  const log = (line: string) => flags.json || console.log(line);
  const pinger = new Pinger(socket, trace, flags.size, flags.ttl, flags.timeout, log);
  onStop(() => pinger.stopping = true);

  pinger.log(
    `PING ${printable(host)}: ${count(flags.size, "byte")} of payload, ${socket.raw ? "raw" : "datagram"} socket`,
  );
  await ping(pinger, bytes, flags.count, flags.interval);
  socket.close();

  const { times } = pinger;
  const figures = statistics(times);
  if (flags.json) console.log(JSON.stringify({ host, times: times.map((time) => time ?? null), ...figures }));
  else console.log(`\n${printable(host)}: ${summary(figures)}\n${plot(times)}`);
  if (figures.received === 0) Deno.exitCode = 1;
});
