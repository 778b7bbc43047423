/**
 * Shows the routers on the way to a host: sends echo requests that may pass one router, then two, then three, and prints who
 * says each time that it was too far.
 *
 * Look at the loop: nothing asks for the way. Each router takes one off a packet's time to live, and the one that comes to
 * zero throws it away and tells the sender (time exceeded). That the answers name the way is a side effect, and a router
 * that does not answer is a row of stars.
 *
 * ```sh
 * deno run -N=127.0.0.1 --allow-ffi ping/traceroute.ts 127.0.0.1      # as root
 * ```
 *
 * No partner: the kernels on the way answer. Task: `deno task ping:traceroute`.
 *
 * RFC 792 (time exceeded), RFC 1812 §5.3.1. API: Deno.dlopen.
 *
 * @module
 */
import { Failure, printable, run, seconds, toggle, whole } from "../cli.ts";
import { hostArgument } from "./host.ts";
import { echoRequest, parseMessage } from "./icmp.ts";
import { resolve } from "./resolve.ts";
import { IcmpSocket } from "./socket.ts";

const command = {
  name: "traceroute",
  about: "Shows the routers on the way to a host, each with three round-trip times.",
  run: "deno run -N=127.0.0.1 --allow-ffi ping/traceroute.ts",
  args: "[HOST]",
  options: {
    "hops": whole(30, "routers at most", 1, 255),
    "count": whole(3, "echo requests to each", 1, 10),
    "timeout": seconds(1, "how long to wait for each answer"),
    "ipv6": toggle("use IPv6"),
  },
};

await run(command, async (flags) => {
  const host = hostArgument(flags.args, flags.ipv6);
  const { version, bytes: address } = await resolve(host, flags.ipv6 ? 6 : 4);
  const identifier = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  console.log(`to ${printable(host)}, ${flags.hops} hops at most`);
  let sequence = 0;

  for (let ttl = 1; ttl <= flags.hops; ttl++) {
    const socket = new IcmpSocket(version, ttl, true);
    const answers: string[] = [];
    let last = "";
    let arrived = false;
    try {
      for (let i = 0; i < flags.count; i++) {
        sequence++;
        const start = performance.now();
        socket.send(echoRequest(version, { identifier, sequence, payload: new Uint8Array(32) }), address);
        let answer = "*";
        while (answer === "*" && performance.now() - start < flags.timeout * 1000) {
          const packet = await socket.receive();
          const heard = packet && parseMessage(version, packet.message);
          if (!heard || heard.kind === "other") continue;
          if (heard.echo.identifier !== identifier || heard.echo.sequence !== sequence) continue;
          const time = `${(performance.now() - start).toFixed(3)} ms`;
          const problem = heard.kind === "error" && !heard.exceeded ? ` (${heard.text})` : "";
          arrived ||= heard.kind === "reply" || problem !== "";
          answer = `${packet.from === last ? "" : `${packet.from}  `}${time}${problem}`;
          last = packet.from;
        }
        answers.push(answer);
      }
    } finally {
      await socket.close();
    }
    console.log(`${String(ttl).padStart(3)}  ${answers.join("  ")}`);
    if (arrived) return;
  }
  throw new Failure(`${printable(host)} was not reached in ${flags.hops} hops`);
});
