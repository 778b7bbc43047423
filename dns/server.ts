/**
 * A DNS server: answers from zone files over UDP and TCP, and forwards other questions if it is told to.
 *
 * A datagram is one whole query. A TCP stream has no boundaries, so there each message follows its length. From the bytes
 * of a query to the bytes of its response no socket is involved: that is in `_responder.ts` and `_answer.ts`. The sample
 * zone, `example.com.zone`, has the common types of records and every kind of answer.
 *
 * This terminal: `deno run -N=127.0.0.1 -R=dns --unstable-net dns/server.ts`. The other:
 * `deno run -N=127.0.0.1 --unstable-net dns/query.ts www.example.com`. With a lookup too: `deno task dns:lookup`.
 * RFC 1034, RFC 1035, RFC 6891 (EDNS), RFC 7766 (TCP). API: Deno.listenDatagram, Deno.listen.
 *
 * @module
 */
import { bind, Failure, flag, integer, list, onStop, printable, run, seconds } from "../cli.ts";
import { serverOptions, text } from "../cli.ts";
import { parseAddress, printAddress } from "../tcp/_address.ts";
import { announce } from "../tcp/_announce.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { type Client, Clients, isClosedLocally, maxClients } from "../tcp/_clients.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { DatagramBatch, openCalls } from "../udp/_datagram_batch.ts";
import { traced } from "../udp/_trace.ts";
import { answerBatches, type DatagramService, forwardTo, logError } from "./_answer_batches.ts";
import { AnswerThreads } from "./_answer_threads.ts";
import { summary } from "./_dissect.ts";
import { firstMessage, MAX_FRAME, withLength } from "./_framing.ts";
import { questionKey } from "./_question_key.ts";
import { RateLimit } from "./_rate_limit.ts";
import { Responder } from "./_responder.ts";
import { SilentClients } from "./_silent_clients.ts";
import { describeZone, shareZones, type Zones } from "./_zone.ts";
import { readZones } from "./_zone_files.ts";

/** Answers queries over UDP until the socket is closed: a datagram is one query, and so is its response. */
async function answerDatagrams(socket: Deno.DatagramConn, service: Service): Promise<void> {
  const { responder, forwarder, rateLimit, onQuery } = service;
  const buffer = new Uint8Array(65535);
  while (true) {
    try {
      const [packet, from] = await socket.receive(buffer);
      if (from.transport !== "udp" || from.port === 0) continue; // nobody can be answered at port 0
      onQuery(packet);
      const outcome = responder.respond(packet, true);
      if (outcome.kind === "nothing") continue;
      // Anyone can send a query with a forged source, and the response would flood that victim.
      if (!rateLimit.allows(from.hostname)) {
        await socket.send(responder.truncated(packet), from);
      } else if (outcome.kind === "response") {
        await socket.send(outcome.bytes, from);
      } else {
        // Not awaited: while the other resolver takes its time, the loop answers other clients.
        forwarder?.respond(outcome.query, outcome.limit).then((bytes) => socket.send(bytes, from)).catch(logError);
      }
    } catch (error) {
      if (isClosedLocally(error)) return;
      logError(error);
    }
  }
}

/** Answers one client over TCP until it closes its side. It may send queries without waiting (RFC 7766 §6.2.1.1). */
async function answerStream(client: Client, service: Service): Promise<void> {
  const { conn } = client;
  const { responder, forwarder, silent, onQuery } = service;
  const isSecondary = service.secondaries.has(conn.remoteAddr.hostname.replace(/^::ffff:(?=\d+\.)/, ""));
  conn.setNoDelay(true);
  const reader = new BufferedReader(conn, MAX_FRAME, 512);
  silent.touch(client);
  while (await reader.fill()) {
    for (let query = firstMessage(reader.unread); query; query = firstMessage(reader.unread)) {
      onQuery(query);
      const zone = isSecondary ? responder.transfer(query) : undefined;
      const outcome = zone ? undefined : responder.respond(query, false);
      if (outcome?.kind === "nothing") return;
      const response = outcome?.kind === "forward"
        ? await forwarder?.respond(outcome.query, outcome.limit)
        : outcome?.bytes;
      // Each message of a zone is made when the one before it is taken.
      for (const message of zone ?? (response ? [response] : [])) {
        await writeAll(conn, withLength(message));
        client.idleTicks = 0;
        silent.touch(client);
      }
      reader.consume(2 + query.length);
    }
  }
}

/** What all clients share. */
interface Service extends DatagramService {
  readonly silent: SilentClients;
  /** The addresses of the secondary servers, which may have whole zones. */
  readonly secondaries: ReadonlySet<string>;
}

const command = {
  name: "server",
  about:
    "Answers DNS queries from zone files. The arguments are the files; without any it serves dns/example.com.zone.",
  run: "deno run -N=127.0.0.1 -R=dns --unstable-net dns/server.ts",
  args: "[ZONEFILE ...]",
  examples: [
    "deno task dns-server",
    "deno task dns-server --trace dns/example.com.zone",
    "deno task dns-server --port 5301 --rate 20",
    "deno task dns-server --allow-transfer 127.0.0.1",
  ],
  options: {
    ...serverOptions(5300, "close a TCP client that is silent for this long; 0: never"),
    "forward": text("", "forward questions about other names to this resolver", "HOST[:PORT]"),
    "forward-timeout": seconds(5, "how long to wait for the other resolver; 0: no limit"),
    "rate": integer(1000, "most UDP responses per second to one network; 0: no limit", 0, 1_000_000),
    "fast": flag("receive and send many datagrams at a time, by Linux' own system calls; needs --allow-ffi"),
    "threads": integer(1, "with --fast, threads that answer over UDP, all from the same zones", 1, 64),
    "allow-transfer": list("give this address whole zones (AXFR)", "ADDRESS"),
    "max-clients": maxClients(1000),
    "exit-after": integer(0, "as --once, but after this many different questions; 0: never", 0, 1_000_000),
  },
};

await run(command, async (flags) => {
  const { threads } = flags;
  if (threads > 1 && !flags.fast) throw new Failure("--threads needs --fast", 2);
  if (threads > 1 && flags.pcap) throw new Failure("--pcap needs --threads 1: one thread writes the file", 2);
  const calls = flags.fast ? openCalls() : undefined;
  const files = flags.args.length > 0 ? flags.args : [sampleZone()];
  const zones = await readZones(files);
  const forwarder = forwardTo(flags.forward, flags["forward-timeout"]);
  const secondaries = new Set(flags["allow-transfer"].map(parseSecondary));
  const responder = new Responder(zones, forwarder !== undefined);
  const rateLimit = new RateLimit(Math.ceil(flags.rate / threads)); // each thread gets its part of a network's queries

  const clients = new Clients({ ...flags, once: false }, { onLimited: (most) => silent.limit(most) });
  const silent = new SilentClients(clients);
  const stop = () => {
    if (!clients.stopping) clients.interrupt();
  };
  let others: AnswerThreads | undefined;
  onHangup(() =>
    reload(files, (zones) => {
      responder.reload(zones);
      others?.reload(zones);
    })
  );
  // UDP has no end of an exchange: with --once the server stops after one second without a query.
  const idle = restartTimer(1000, stop);
  const enough = flags.once ? 1 : flags["exit-after"];
  const questions = new Set<string>(); // a client repeats its question when the answer is late: that counts once
  const onQuestion = (asked: string) => {
    if (questions.size < enough) questions.add(asked);
    if (questions.size >= enough) idle();
  };
  const onQuery = (packet: Uint8Array) => enough > 0 && onQuestion(questionKey(packet));
  const service = { responder, forwarder, rateLimit, silent, secondaries, onQuery };

  const listener = bind(flags, Deno.listen);
  onStop(stop);
  const { port } = listener.addr; // with --port 0, the one that the system chose
  const batch = calls && await bind({ ...flags, port }, (addr) => DatagramBatch.open(calls, addr, flags, threads > 1));
  if (threads > 1) others = await AnswerThreads.start({ ...flags, port, zones: shareZones(zones) }, onQuestion);
  const socket = batch
    ? undefined
    : bind({ ...flags, port }, (addr) => Deno.listenDatagram({ ...addr, transport: "udp" }));
  for (const zone of zones.values()) console.log(`zone ${describeZone(zone)}`);
  announce("DNS server", listener.addr);

  // Not awaited: UDP and TCP are served at the same time.
  if (batch) answerBatches(batch, service);
  if (socket) answerDatagrams(traced(socket, flags, "server", summary), service);
  for await (const conn of clients.accept(listener)) {
    clients.serve(conn, (client) => answerStream(client, service).finally(() => silent.remove(client)));
    silent.makeRoom();
  }
  await clients.finished();
});

/** The path of the sample zone, which is beside this file. */
function sampleZone(): string {
  const { dirname } = import.meta;
  if (dirname === undefined) {
    throw new Failure("give a zone file: a script that is started by URL has no example.com.zone beside it", 2);
  }
  return `${dirname}/example.com.zone`;
}

/** Reads the zones again. If one of them is wrong, the old ones stay in use. */
async function reload(files: readonly string[], use: (zones: Zones) => void): Promise<void> {
  try {
    use(await readZones(files));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(`not reloaded, the old zones stay in use: ${error.message}`);
  }
}

/** Calls `action` at each SIGHUP, which asks a server to read its files again. Windows has no such signal. */
function onHangup(action: () => void): void {
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGHUP", action);
}

/** A function that calls `action` when it was not called itself for `ms` milliseconds. */
function restartTimer(ms: number, action: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, ms);
  };
}

/** The address of a secondary server in the form that a connection has. @throws {Failure} with code 2 */
function parseSecondary(address: string): string {
  const bytes = parseAddress(address);
  if (!bytes) throw new Failure(`--allow-transfer needs an address, not ${printable(address)}`, 2);
  return printAddress(bytes);
}
