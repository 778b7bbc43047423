/**
 * A UDP responder that loses some of what it receives: the partner of a pinger, as in the well-known second lab.
 *
 * A real network loses datagrams where nobody sees it. This server does so on purpose: it throws a die (`--loss`, in
 * percent) for each datagram, the same one each time for the same `--seed`. What it does not lose it sends back in capitals.
 *
 * This terminal: `deno run -N=127.0.0.1 --unstable-net udp/pinger_server.ts`. The other:
 * `deno run -N=127.0.0.1 --unstable-net udp/pinger_client.ts`. Both at once: `deno task udp:pinger`.
 * RFC 768 (UDP). API: Deno.listenDatagram.
 *
 * @module
 */
import { bind, count, formatAddress, integer, onStop, printable, run, seconds, serverOptions } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { traced } from "./_trace.ts";

/** Answers datagrams until the socket is closed, except those that the die loses. */
async function respond(socket: Deno.DatagramConn, loss: Loss, report: (line: string) => void): Promise<void> {
  const buffer = new Uint8Array(65_535);
  const own = socket.addr.transport === "udp" ? socket.addr.port : 0;
  while (true) {
    try {
      const [datagram, from] = await socket.receive(buffer);
      // A datagram with this server's own address as its forged source would go round for ever.
      if (from.transport !== "udp" || from.port === own) continue;
      const text = new TextDecoder().decode(datagram);
      const isLost = loss.next();
      report(`${formatAddress(from)}: ${printable(text)}${isLost ? " (lost)" : ""}`);
      if (isLost) continue;
      if (loss.delay > 0) await new Promise((passed) => setTimeout(passed, loss.delay * 1000));
      const answer = new TextEncoder().encode(text.toUpperCase());
      // A source may be forged, and capitals can be longer than the text: what cannot be sent is lost, and no more than that.
      await socket.send(answer, from).catch((error) => console.error(unsent(error, from)));
    } catch (error) {
      if (codeOf(error) !== "ECONNRESET") throw error; // Windows: an answer before this one was refused
    }
  }
}

const unsent = (error: unknown, to: Deno.NetAddr) =>
  `to ${formatAddress(to)}: not sent: ${error instanceof Error ? error.message : error}`;

/** A die that comes up the same way for the same seed. */
class Loss {
  #state: number;

  constructor(readonly percent: number, seed: number, readonly delay: number) {
    this.#state = seed >>> 0;
  }

  /** Whether the next datagram is lost (Mulberry32). */
  next(): boolean {
    this.#state = this.#state + 0x6d2b79f5 >>> 0;
    let t = Math.imul(this.#state ^ this.#state >>> 15, this.#state | 1);
    t = t + Math.imul(t ^ t >>> 7, t | 61) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32 * 100 < this.percent;
  }
}

const { timeout: _, ...options } = serverOptions(12000, "");
const command = {
  name: "pinger_server",
  about: "Sends each datagram back in capitals, except those that it loses on purpose.",
  run: "deno run -N=127.0.0.1 --unstable-net udp/pinger_server.ts",
  examples: [
    "deno task pinger-server",
    "deno task pinger-server --loss 50 --seed 7",
  ],
  options: {
    ...options,
    "loss": integer(30, "how many datagrams of a hundred it loses", 0, 100),
    "seed": integer(1, "which ones: the same for the same number", 0, 2 ** 32 - 1),
    "delay": seconds(0, "how long it waits before it answers"),
  },
};

await run(command, async (flags) => {
  const stopped = Promise.withResolvers<void>();
  const listen = (addr: { hostname: string; port: number }) => Deno.listenDatagram({ ...addr, transport: "udp" });
  const socket = traced(bind(flags, listen), flags, "server");
  onStop(stopped.resolve);
  if (socket.addr.transport === "udp") announce(`Responder (${flags.loss} % lost)`, socket.addr);
  let received = 0;
  let quiet: ReturnType<typeof setTimeout> | undefined;
  const report = (line: string) => {
    console.log(line);
    received++;
    // UDP has no end of an exchange: with --once, two seconds without a datagram are one.
    clearTimeout(quiet);
    if (flags.once) quiet = setTimeout(stopped.resolve, 2000);
  };
  await Promise.race([stopped.promise, respond(socket, new Loss(flags.loss, flags.seed, flags.delay), report)]);
  console.log(`${count(received, "datagram")} received`);
});
