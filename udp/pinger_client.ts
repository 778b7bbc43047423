/**
 * A pinger over UDP: sends numbered datagrams, one after another, and says how long each answer took and how many are lost.
 *
 * UDP reports no loss. The only sign is that no answer comes in time, and an answer that comes later must not be taken for
 * that of the next datagram: so each has a number. `ping/icmp_ping.ts` does the same one layer below.
 *
 * First terminal: `deno run -N=127.0.0.1 --unstable-net udp/pinger_server.ts`. This one:
 * `deno run -N=127.0.0.1 --unstable-net udp/pinger_client.ts`. Both at once: `deno task udp:pinger`.
 * RFC 768 (UDP). API: Deno.listenDatagram.
 *
 * @module
 */
import { clientOptions, Failure, formatAddress, integer, run, seconds } from "../cli.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { localAddress } from "./_local_address.ts";
import { traced } from "./_trace.ts";

/** Sends one datagram and waits for its answer. Returns the round-trip time in milliseconds; undefined when it is lost. */
async function ping(replies: Replies, number: number, timeout: number): Promise<number | undefined> {
  const sent = performance.now();
  const text = `Ping ${number} ${new Date().toISOString()}`;
  await replies.send(text);
  const until = sent + timeout * 1000;
  while (true) {
    const reply = await replies.next(until);
    if (reply === undefined) return undefined;
    // Other responders send the text back as it was, or in capitals: both are an answer, and none of an earlier datagram is.
    if (reply.text.toUpperCase() === text.toUpperCase()) return reply.received - sent;
  }
}

/** What the server sends, in order; a time limit loses none of it. */
class Replies {
  readonly #socket: Deno.DatagramConn;
  readonly #server: Deno.NetAddr;
  #receiving: ReturnType<Deno.DatagramConn["receive"]> | undefined;
  /** Whether a datagram of the server has come, be it too late or no answer. */
  heard = false;

  constructor(socket: Deno.DatagramConn, server: Deno.NetAddr) {
    this.#socket = socket;
    this.#server = server;
  }

  async send(text: string): Promise<void> {
    await this.#socket.send(new TextEncoder().encode(text), this.#server);
  }

  /** The next datagram of the server; undefined when none has come until `performance.now()` is `until`. */
  async next(until: number): Promise<{ text: string; received: number } | undefined> {
    while (true) {
      this.#receiving ??= this.#socket.receive(new Uint8Array(65_535));
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), Math.max(0, until - performance.now()));
      });
      try {
        const result = await Promise.race([this.#receiving, late]);
        if (result === undefined) return undefined;
        this.#receiving = undefined;
        const [datagram, from] = result;
        if (from.transport !== "udp" || from.port !== this.#server.port) continue; // anyone can send to this port
        this.heard = true;
        return { text: new TextDecoder().decode(datagram), received: performance.now() };
      } catch (error) {
        this.#receiving = undefined;
        if (codeOf(error) !== "ECONNRESET") throw error; // Windows: nobody listens there; that is a loss, too
      } finally {
        clearTimeout(timer);
      }
    }
  }
}

const { timeout: _, ...options } = clientOptions(12000);
const command = {
  name: "pinger_client",
  about: "Sends datagrams to a UDP responder and measures the round-trip time and the loss.",
  run: "deno run -N=127.0.0.1 --unstable-net udp/pinger_client.ts",
  examples: [
    "deno task pinger-client",
    "deno task pinger-client --count 3 --trace=diagram",
  ],
  options: {
    ...options,
    "wait": { ...options.wait, help: "keep sending the first datagram for this long while nobody answers" },
    "count": integer(10, "datagrams to send", 1, 100_000),
    "interval": seconds(0, "how long to wait between an answer and the next datagram"),
    "timeout": seconds(1, "how long to wait for an answer before it is lost", false),
  },
};

await run(command, async (flags) => {
  const server: Deno.NetAddr = { transport: "udp", hostname: flags.host, port: flags.port };
  const listen = { transport: "udp", hostname: localAddress(flags.host), port: 0 } as const;
  const socket = traced(Deno.listenDatagram(listen), flags);
  const replies = new Replies(socket, server);
  const limit = flags.timeout;
  const times: number[] = [];
  const start = performance.now();
  for (let number = 1; number <= flags.count; number++) {
    let ms = await ping(replies, number, limit);
    while (ms === undefined && times.length === 0 && performance.now() - start < flags.wait * 1000) {
      ms = await ping(replies, number, limit);
    }
    if (ms !== undefined) times.push(ms);
    console.log(ms === undefined ? `${number}: lost, no answer in ${limit} s` : `${number}: ${ms.toFixed(3)} ms`);
    if (number < flags.count && flags.interval > 0) {
      await new Promise((passed) => setTimeout(passed, flags.interval * 1000));
    }
  }
  const lost = flags.count - times.length;
  if (times.length === 0) {
    const advice = replies.heard ? ", only late or other datagrams: raise --timeout" : ": is the server running?";
    throw new Failure(`no answer from ${formatAddress(server)} in ${limit} s${advice}`);
  }
  const mean = times.reduce((sum, ms) => sum + ms, 0) / times.length;
  const [min, avg, max] = [Math.min(...times), mean, Math.max(...times)].map((ms) => ms.toFixed(3));
  console.log(`${flags.count} sent, ${times.length} received, ${Math.round(lost / flags.count * 100)} % lost`);
  console.log(`round trip min/avg/max ${min}/${avg}/${max} ms`);
});
