/**
 * Shows the routers on the path to a host: sends echo requests with TTL 1, 2, 3, … and prints which router reports "time
 * exceeded".
 *
 * Look at the loop in `traceroute`: no message asks for the path. Each router decrements the TTL; the router where it
 * reaches 0 drops the packet and reports that to the sender. A router that does not report appears as `*`.
 *
 * This terminal, as root: `deno run -N=127.0.0.1 --allow-ffi ping/traceroute.ts 127.0.0.1`. No other: the kernels on the
 * path answer. Task: `deno task traceroute`. RFC 792 (time exceeded), RFC 1812 §5.3.1 (TTL). API: Deno.dlopen.
 *
 * @module
 */
import { Failure, flag, integer, printable, run, seconds } from "../cli.ts";
import { hostArgument } from "./_host.ts";
import { decodeMessage, encodeEchoRequest, type IpVersion } from "./_icmp.ts";
import { IcmpSocket } from "./_icmp_socket.ts";
import { resolve } from "./_resolve.ts";

/** Prints a line for each TTL from 1 on. Returns true when the destination has answered, false after the last hop. */
async function traceroute(version: IpVersion, address: Uint8Array, flags: Settings): Promise<boolean> {
  const identifier = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  let sequence = 0;
  for (let ttl = 1; ttl <= flags.hops; ttl++) {
    const socket = new IcmpSocket(version, ttl, true);
    const answers: (Answer | undefined)[] = [];
    try {
      for (let i = 0; i < flags.count; i++) {
        const echo = { identifier, sequence: ++sequence, payload: new Uint8Array(32) };
        const start = performance.now();
        socket.send(encodeEchoRequest(version, echo), address);
        answers.push(await receive(socket, version, echo, start, flags.timeout));
      }
    } finally {
      await socket.close();
    }
    console.log(`${String(ttl).padStart(3)}  ${formatRow(answers)}`);
    if (answers.some((answer) => answer?.final)) return true;
  }
  return false;
}

/** Waits for the reply to a request, or an error about it. `undefined` when neither arrives within `limit` seconds. */
async function receive(
  socket: IcmpSocket,
  version: IpVersion,
  { identifier, sequence }: { identifier: number; sequence: number },
  start: number,
  limit: number,
): Promise<Answer | undefined> {
  while (performance.now() - start < limit * 1000) {
    const packet = await socket.receive();
    const message = packet && decodeMessage(version, packet.message);
    if (!message || message.kind === "other") continue;
    // A raw socket receives every ICMP message of this machine: skip those for other programs and earlier requests.
    if (message.echo.identifier !== identifier || message.echo.sequence !== sequence) continue;
    const time = performance.now() - start;
    const problem = message.kind === "error" && !message.timeExceeded ? message.text : "";
    return { from: packet.from, time, problem, final: message.kind === "reply" || problem !== "" };
  }
}

/** The answer to one request. A `final` one is the destination's, or says that there is no path further on. */
interface Answer {
  readonly from: string;
  readonly time: number;
  readonly problem: string;
  readonly final: boolean;
}

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
  options: {
    "hops": integer(30, "the highest TTL: how many routers at most", 1, 255),
    "count": integer(3, "echo requests for each TTL", 1, 10),
    "timeout": seconds(1, "how long to wait for each answer"),
    "ipv6": flag("use IPv6"),
  },
};

await run(command, async (flags) => {
  const host = hostArgument(flags.args, flags.ipv6);
  const { version, bytes } = await resolve(host, flags.ipv6 ? 6 : 4);
  console.log(`to ${printable(host)}, ${flags.hops} hops at most`);
  if (await traceroute(version, bytes, flags)) return;
  throw new Failure(`${printable(host)} was not reached in ${flags.hops} hops`);
});

/** The answers to one TTL. Each sender is printed once, `*` for a request without an answer. */
function formatRow(answers: readonly (Answer | undefined)[]): string {
  let last = "";
  const cells = answers.map((answer) => {
    if (!answer) return "*";
    const from = answer.from === last ? "" : `${answer.from}  `;
    last = answer.from;
    return `${from}${answer.time.toFixed(3)} ms${answer.problem && ` (${answer.problem})`}`;
  });
  return cells.join("  ");
}
