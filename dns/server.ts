/**
 * A DNS server: answers from zone files over UDP and TCP, and passes other questions on if told to.
 *
 * Look at the two loops below. A datagram is a whole query; over TCP each message follows its length, for a stream has no
 * boundaries. Everything between the bytes of a query and those of its response is in `responder.ts` and `zone.ts`, which
 * touch no socket. The zone, `example.com.zone`, has every type of record and every kind of answer.
 *
 * ```sh
 * deno run -N=127.0.0.1 -R=dns --unstable-net dns/server.ts
 * ```
 *
 * Then, in a second terminal: `deno run -N=127.0.0.1 --unstable-net dns/query.ts www.example.com`, or `dig -p 5300 @127.0.0.1
 * www.example.com`. Server, lookup and query at once: `deno task dns:lookup`.
 *
 * RFC 1034, RFC 1035, RFC 6891, RFC 7766 (TCP). API: Deno.listenDatagram, Deno.listen.
 *
 * @module
 */
import {
  announce,
  bind,
  Failure,
  onStop,
  printable,
  readText,
  run,
  seconds,
  serverOptions,
  text,
  whole,
} from "../cli.ts";
import { type Client, Clients } from "../tcp/clients.ts";
import { traced as tracedTcp } from "../tcp/trace.ts";
import { writeAll } from "../tcp/write_all.ts";
import { traced as tracedUdp } from "../udp/trace.ts";
import { Forwarder } from "./forward.ts";
import { ZoneError } from "./master_file.ts";
import { withLength } from "./message.ts";
import { RateLimit } from "./rate.ts";
import { Responder } from "./responder.ts";
import { parseServer } from "./server_address.ts";
import { describe, parseZone, type Zone } from "./zone.ts";

const command = {
  name: "server",
  about:
    "Answers DNS queries from zone files. The arguments are the files; without any it serves dns/example.com.zone.",
  run: "deno run -N=127.0.0.1 -R=dns --unstable-net dns/server.ts",
  args: "[ZONEFILE ...]",
  options: {
    ...serverOptions(5300, "close a TCP client that is silent for this long; 0: never"),
    "forward": text("", "ask this resolver for what is in no zone", "HOST[:PORT]"),
    "forward-timeout": seconds(5, "how long the other resolver may take"),
    "rate": whole(1000, "responses a second for one source over UDP; 0: any number", 0, 1_000_000),
    "max-clients": whole(1000, "TCP clients at one time; more wait for their turn", 1, 1_000_000),
  },
};

await run(command, async (flags) => {
  const files = flags.args.length > 0 ? flags.args : [new URL("example.com.zone", import.meta.url).pathname];
  const zones = await load(files);
  const forwarder = flags.forward
    ? new Forwarder(parseServer("--forward", flags.forward), flags["forward-timeout"])
    : undefined;
  const responder = new Responder(zones, forwarder !== undefined);
  const rate = new RateLimit(flags.rate);

  const listener = bind({ hostname: flags.host, port: flags.port }, (addr) => Deno.listen(addr));
  const addr = { hostname: flags.host, port: listener.addr.port };
  const opened = bind(addr, (addr) => Deno.listenDatagram({ ...addr, transport: "udp" }));
  const socket = flags.trace ? tracedUdp(opened, flags.trace) : opened;

  const clients = new Clients({ max: flags["max-clients"], idle: flags.timeout, log: console.log });
  const stopped = Promise.withResolvers<void>();
  const stop = () => {
    if (clients.stopping) return;
    clients.stop(listener);
    stopped.resolve();
  };
  onStop(stop);
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGHUP", () => {
      load(files).then((zones) => responder.reload(zones), (error) => {
        if (!(error instanceof Failure)) throw error;
        console.error(`${error.message}: the zones stay as they are`);
      });
    });
  }
  for (const zone of zones.values()) console.log(`zone ${describe(zone)}`);
  announce("DNS server", listener.addr);

  // There is no end of an exchange over UDP: with --once, a second without a query is taken for one.
  let quiet: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    if (!flags.once) return;
    clearTimeout(quiet);
    quiet = setTimeout(stop, 1000);
  };

  async function datagrams(): Promise<void> {
    const buffer = new Uint8Array(65535);
    while (true) {
      try {
        const [packet, from] = await socket.receive(buffer);
        if (from.transport !== "udp") continue;
        heard();
        const outcome = responder.respond(packet, true);
        if (outcome.kind === "nothing") continue;
        const allowed = rate.next(from.hostname);
        if (allowed === "none") continue;
        if (allowed === "short") await socket.send(truncated(packet), from);
        else if (outcome.kind === "response") await socket.send(outcome.bytes, from);
        else forwarder?.respond(outcome.query, outcome.limit).then((bytes) => socket.send(bytes, from)).catch(unsent);
      } catch (error) {
        unsent(error);
      }
    }
  }

  async function accept(): Promise<void> {
    while (true) {
      const conn = await clients.next(() => listener.accept());
      if (conn === undefined) return;
      clients.serve(flags.trace ? tracedTcp(conn, flags.trace) : conn, stream);
    }
  }

  async function stream(client: Client): Promise<void> {
    client.conn.setNoDelay(true);
    let buffer = new Uint8Array(512);
    let filled = 0;
    for (let n = await client.conn.read(buffer); n !== null; n = await client.conn.read(buffer.subarray(filled))) {
      filled += n;
      let at = 0;
      // A client may send several queries without waiting (RFC 7766 §6.2.1.1); they may come in one piece, or in many.
      for (let size = sizeAt(buffer, at, filled); at + 2 + size <= filled; size = sizeAt(buffer, at, filled)) {
        heard();
        const outcome = responder.respond(buffer.subarray(at + 2, at + 2 + size), false);
        if (outcome.kind === "nothing") return;
        const { bytes } = outcome.kind === "response"
          ? outcome
          : { bytes: await forwarder?.respond(outcome.query, outcome.limit) };
        if (bytes) await writeAll(client.conn, withLength(bytes));
        client.quiet = 0;
        at += 2 + size;
      }
      buffer.copyWithin(0, at, filled);
      filled -= at;
      if (filled < buffer.length) continue;
      const larger = new Uint8Array(Math.min(65537, 2 * buffer.length));
      larger.set(buffer);
      buffer = larger;
    }
  }

  await Promise.race([datagrams(), Promise.all([accept(), stopped.promise])]);
  await clients.finished();
});

/** The length that a message over TCP begins with; infinite when there is not so much as that. */
function sizeAt(buffer: Uint8Array, at: number, filled: number): number {
  return at + 2 <= filled ? (buffer[at] ?? 0) << 8 | (buffer[at + 1] ?? 0) : Infinity;
}

/** The query as a response that says nothing but "truncated". */
function truncated(packet: Uint8Array): Uint8Array {
  const header = packet.slice(0, 12);
  header.set([0x82 | (header[2] ?? 0) & 0x79, 0, 0, 0], 2);
  return header.fill(0, 4);
}

function unsent(error: unknown): void {
  const expected = error instanceof Failure || (error instanceof Error && Reflect.has(error, "code"));
  console.error(expected ? error.message : error); // a bug keeps its stack trace
}

/** Reads the zones. @throws {Failure} with code 2 that names the file, the line, and what was expected. */
async function load(files: readonly string[]): Promise<Map<string, Zone>> {
  const zones = new Map<string, Zone>();
  for (const file of files) {
    try {
      const zone = parseZone(await readText(file));
      if (zones.has(zone.origin)) throw new ZoneError(1, `expected another zone: ${zone.origin} has been read already`);
      zones.set(zone.origin, zone);
    } catch (error) {
      if (error instanceof ZoneError) {
        throw new Failure(`${printable(file)}:${error.line}: ${printable(error.message)}`, 2);
      }
      throw error;
    }
  }
  return zones;
}
