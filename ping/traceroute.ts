/**
 * Shows the routers on the path to a host: sends echo requests with TTL 1, 2, 3, … and prints which router reports "time
 * exceeded".
 *
 * Look at the loop in `traceroute`: no message asks for the path. Each router decrements the TTL; the router where it
 * reaches 0 drops the packet and reports that to the sender. A router that does not report appears as `*`.
 *
 * This terminal, as root on Linux: `deno run -N=127.0.0.1 --allow-ffi ping/traceroute.ts 127.0.0.1`. No other: the kernels
 * on the path answer. Task: `deno task traceroute`. RFC 792 (time exceeded), RFC 1812 §5.3.1 (TTL). API: Deno.dlopen.
 *
 * @module
 */
import { count, Failure, flag, integer, printable, run, seconds, traceOptions } from "../cli.ts";
import { printAddress } from "../tcp/_address.ts";
import { hostArgument } from "./_host.ts";
import { decodeMessage, encodeEchoRequest } from "./_icmp.ts";
import { elapsed, IcmpSocket, isOver, type Moment, type Packet } from "./_icmp_socket.ts";
import { resolve } from "./_resolve.ts";
import { IcmpTrace } from "./_trace.ts";

/** Prints a line for each TTL from 1 on, until the destination replies or a router knows no path to it. */
async function traceroute(trace: Trace, address: Uint8Array, flags: Settings): Promise<void> {
  const { socket, answers } = trace;
  await receive(trace, { steady: performance.now() }, 0); // compiled here, and not while the first answer waits
  for (let ttl = 1; ttl <= flags.hops && !hasEnded(trace); ttl++) {
    socket.setTtl(ttl);
    const first = answers.length;
    for (let i = 0; i < flags.count && !trace.unreachable; i++) {
      const echo = { identifier: trace.identifier, sequence: answers.length + 1, payload: new Uint8Array(32) };
      const message = encodeEchoRequest(socket.version, echo);
      answers.push(undefined);
      const sent = socket.send(message, address);
      trace.sentAt.push(sent);
      trace.shown.sent(message, sent, ttl);
      await receive(trace, sent, flags.timeout);
    }
    // A request that was cut short by news about an earlier one has not waited: no `*` for it.
    const row = answers.slice(first, trace.unreachable && !answers.at(-1) ? -1 : undefined);
    if (row.length > 0) console.log(`${String(ttl).padStart(3)}  ${formatRow(row)}`);
  }
}

/** Receives packets for so many seconds after the last request, or until it has its answer, or no path is left. */
async function receive(trace: Trace, sent: Moment, limit: number): Promise<void> {
  let packet: Packet | undefined;
  do {
    packet = await trace.socket.receive(sent.steady + limit * 1000);
    if (packet) take(trace, packet);
    if (trace.answers.at(-1) || trace.unreachable) return;
  } while (!isOver(sent, limit * 1000, packet));
}

/** If a packet answers one of the requests, stores the answer with its request. */
function take(trace: Trace, packet: Packet): void {
  const { from, message, received } = packet;
  const answer = decodeMessage(trace.socket.version, message);
  // A raw socket receives every ICMP message of this machine: skip those for other programs.
  if (answer.kind === "other" || answer.echo.identifier !== trace.identifier) return;
  trace.shown.received(packet);
  const i = answer.echo.sequence - 1;
  const sent = trace.sentAt[i];
  if (!sent || trace.answers[i]) return;
  // A router says that a host is unreachable after it has asked for the host's link address for some seconds (ARP). That
  // says nothing about the distance, so such an answer has no time. It may arrive when later requests are already sent.
  const problem = answer.kind === "error" && !answer.timeExceeded ? answer.text : "";
  if (problem) trace.unreachable = `${problem}, says ${from}`;
  if (answer.kind === "reply") trace.reached = true;
  trace.answers[i] = { from, time: problem ? undefined : elapsed(sent, received), problem };
}

/** The answer to one request. */
interface Answer {
  readonly from: string;
  readonly time: number | undefined;
  readonly problem: string;
}

/** One run: its requests, numbered from 1, and what has come back. */
interface Trace {
  readonly socket: IcmpSocket;
  readonly shown: IcmpTrace;
  readonly identifier: number;
  readonly sentAt: Moment[];
  readonly answers: (Answer | undefined)[];
  /** Set when the destination has replied. */
  reached: boolean;
  /** Set when a router has reported that there is no path further on. */
  unreachable: string;
}

const hasEnded = ({ reached, unreachable }: Trace) => reached || unreachable !== "";

interface Settings {
  readonly hops: number;
  readonly count: number;
  readonly timeout: number;
}

const command = {
  name: "traceroute",
  about: "Shows the routers on the path to a host, each with three round-trip times.",
  run: "deno run -N=127.0.0.1 --allow-ffi ping/traceroute.ts",
  args: "[HOST]",
  examples: [
    "deno task traceroute 127.0.0.1",
    "deno task traceroute --hops 5 --count 1 127.0.0.1",
  ],
  options: {
    "hops": integer(30, "the highest TTL: how many routers at most", 1, 255),
    "count": integer(3, "echo requests for each TTL", 1, 10),
    "timeout": seconds(1, "how long to wait for each answer", false),
    "ipv6": flag("use IPv6"),
    ...traceOptions,
  },
};

await run(command, async (flags) => {
  const host = hostArgument(flags.args, flags.ipv6);
  const { version, bytes } = await resolve(host, flags.ipv6 ? 6 : 4);
  const socket = new IcmpSocket(version, true);
  const identifier = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  const shown = new IcmpTrace(flags, socket, printAddress(bytes), bytes);
  const trace: Trace = { socket, shown, identifier, sentAt: [], answers: [], reached: false, unreachable: "" };
  console.log(`to ${printable(host)}, ${count(flags.hops, "hop")} at most`);
  await traceroute(trace, bytes, flags);
  if (trace.reached) return;
  throw new Failure(
    `${printable(host)} was not reached${
      trace.unreachable ? `: ${trace.unreachable}` : ` in ${count(flags.hops, "hop")}`
    }`,
  );
});

/** The answers to one TTL. Each sender is printed once, `*` for a request without an answer. */
function formatRow(answers: readonly (Answer | undefined)[]): string {
  let last = "";
  const cells = answers.map((answer) => {
    if (!answer) return "*";
    const from = answer.from === last ? "" : `${answer.from}  `;
    last = answer.from;
    return from + (answer.time === undefined ? answer.problem : `${answer.time.toFixed(3)} ms`);
  });
  return cells.join("  ");
}
