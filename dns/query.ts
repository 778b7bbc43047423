/**
 * A DNS client that builds its query byte by byte, sends it over UDP, and asks again over TCP when the response is truncated.
 *
 * Anyone can forge the source address of a datagram. So a response counts only if it comes from the server's address and
 * port and repeats our id and our question, in the same random upper and lower case: look at `receiveResponse` here and
 * `mismatch` in `_query_message.ts`. With `--trace` you see every packet field by field. `--iterate` asks server after
 * server, from the root to the answer (`_walk.ts`); for AXFR, `receiveZone` takes a whole zone.
 *
 * First terminal: `deno run -N=127.0.0.1 -R=dns --unstable-net dns/server.ts`. This one:
 * `deno run -N=127.0.0.1 --unstable-net dns/query.ts www.example.com`. Both: `deno task dns:lookup`.
 * RFC 1035 §4, RFC 5452 (forgery), RFC 5936 (AXFR). API: Deno.listenDatagram, Deno.connect.
 *
 * @module
 */
import { connect, Failure, flag, formatAddress, printable, run, seconds } from "../cli.ts";
import { text, traceOptions, type Tracing, within } from "../cli.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { explain } from "../tcp/_socket_errors.ts";
import { traced as tracedTcp } from "../tcp/_trace.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { localAddress } from "../udp/_local_address.ts";
import { traced as tracedUdp } from "../udp/_trace.ts";
import { showFields, summary } from "./_dissect.ts";
import { Exchange, type QueryOptions, type QueryResult } from "./_exchange.ts";
import { firstMessage, MAX_FRAME, withLength } from "./_framing.ts";
import { type Question, rcodes } from "./_message.ts";
import { parseQuestion } from "./_parse_question.ts";
import { describeRcode, printAnswers, printJson, printResponse, printZone } from "./_print_response.ts";
import { printWalk } from "./_print_walk.ts";
import { buildQuery } from "./_query_message.ts";
import { types } from "./_record_types.ts";
import { parseServer, resolveServer } from "./_server_address.ts";
import { ZoneTransfer } from "./_transfer.ts";
import { Walk } from "./_walk.ts";

/** Sends the query over UDP, and again if no response comes: a datagram can be lost, and nobody reports it. */
async function askUdp(exchange: Exchange): Promise<QueryResult> {
  const { server, tracing } = exchange;
  // Port 0: the system chooses a random port for each question, about 15 more bits that a forger must guess.
  const hostname = localAddress(server.hostname);
  const socket = tracedUdp(Deno.listenDatagram({ transport: "udp", hostname, port: 0 }), tracing, "client", summary);
  const response = receiveResponse(socket, exchange);
  response.catch(() => {}); // it fails when the socket is closed
  try {
    for (let attempt = 1; exchange.mayTry(attempt - 1); attempt++) {
      const query = exchange.nextDatagram(attempt);
      await socket.send(query, server);
      showFields(query, tracing.trace);
      const result = await within(exchange.patience(attempt), response, () => undefined);
      if (result) return result; // otherwise one of the two was lost, or the response is late
    }
  } finally {
    socket.close();
  }
  throw exchange.noAnswer();
}

/** Receives datagrams until one is the response to one of the queries. Anyone can send to this port. */
async function receiveResponse(socket: Deno.DatagramConn, exchange: Exchange): Promise<QueryResult> {
  const buffer = new Uint8Array(65535);
  while (true) {
    const [packet, from] = await socket.receive(buffer);
    const result = exchange.accept(packet, from);
    if (result) return result;
  }
}

/** Asks over TCP: it has room for any response, and nobody can forge the server's address. */
async function askTcp(exchange: Exchange): Promise<QueryResult> {
  const { server, tracing } = exchange;
  const target = { host: server.hostname, port: server.port, wait: 0, timeout: exchange.secondsLeft };
  const conn = tracedTcp(await connect(target, Deno.connect), tracing);
  try {
    const query = exchange.nextStream();
    await writeAll(conn, withLength(query));
    showFields(query, tracing.trace);
    const packet = await within(
      exchange.secondsLeft,
      readMessage(new BufferedReader(conn, MAX_FRAME)),
      () => undefined,
    );
    const result = packet && exchange.accept(packet, server);
    if (result) return result;
    throw exchange.noStream();
  } finally {
    conn.close();
  }
}

/** Reads one message: TCP is a stream without boundaries, so each message follows its length (RFC 1035 §4.2.2). */
async function readMessage(reader: BufferedReader): Promise<Uint8Array> {
  for (let message = firstMessage(reader.unread);; message = firstMessage(reader.unread)) {
    if (message) {
      reader.consume(2 + message.length);
      return message; // valid until the next call
    }
    if (!await reader.fill()) throw new Failure(`the server closed the connection before the end of its response`);
  }
}

/**
 * Asks for a whole zone (AXFR), and returns its records message after message, until the SOA record has come a second time.
 * Nothing is kept: a zone may be larger than the memory.
 */
async function* receiveZone(transfer: ZoneTransfer, server: Deno.NetAddr, flags: Tracing & { timeout: number }) {
  const { hostname: host, port } = await resolveServer(server);
  const dialed = connect({ host, port, wait: 0, timeout: flags.timeout }, Deno.connect).catch((error) => {
    throw explain(error, server);
  });
  const conn = tracedTcp(await dialed, flags);
  try {
    await writeAll(conn, withLength(transfer.query.bytes));
    showFields(transfer.query.bytes, flags.trace);
    const reader = new BufferedReader(conn, MAX_FRAME);
    while (!transfer.complete) {
      const message = await within(flags.timeout, readMessage(reader), `no more messages in ${flags.timeout} s`);
      showFields(message, flags.trace);
      yield transfer.accept(message);
    }
  } catch (error) {
    throw transfer.explain(explain(error, server));
  } finally {
    conn.close();
  }
}

/** Asks over UDP; over TCP if the response is truncated. @throws {Failure} when no response comes. */
export async function ask(server: Deno.NetAddr, question: Question, options: QueryOptions): Promise<QueryResult> {
  try {
    const exchange = new Exchange(await resolveServer(server), question, options);
    while (true) {
      const overUdp = options.tcp ? undefined : await askUdp(exchange);
      const result = overUdp && !overUdp.message.flags.tc ? overUdp : await askTcp(exchange).catch((error) => {
        throw overUdp ? afterTruncation(explain(error, server)) : error;
      });
      if (!exchange.retriesWithoutEdns(result)) return result;
    }
  } catch (error) {
    throw explain(error, server);
  }
}

/** Why there is no response over TCP: the server is there, it has answered over UDP. */
function afterTruncation(error: unknown): unknown {
  if (!(error instanceof Failure)) return error;
  return new Failure(`the answer over UDP is truncated; over TCP: ${error.message}`, error.code, error.permission);
}

/** Asks, and again while there is no answer yet, for `wait` seconds from the start of the program. */
async function askPatiently(server: Deno.NetAddr, question: Question, wait: number, options: QueryOptions) {
  while (true) {
    const isEarly = performance.now() < wait * 1000;
    try {
      return await ask(server, question, isEarly ? { ...options, timeout: 0.6 } : options);
    } catch (error) {
      if (!isEarly || !(error instanceof Failure) || error.code !== 1) throw error;
      await new Promise((again) => setTimeout(again, 50)); // over TCP, and on Windows, a refusal comes at once
    }
  }
}

const command = {
  name: "query",
  about: "Builds a DNS query byte by byte, sends it and prints the response. For an IP address it asks for the name " +
    "(PTR), for the type AXFR it receives a whole zone.",
  run: "deno run -N=127.0.0.1 --unstable-net dns/query.ts",
  args: "NAME [TYPE]",
  examples: [
    "deno task dns-query www.example.com",
    "deno task dns-query --trace example.com MX",
    "deno task dns-query --tcp --short example.com NS",
    "deno task dns-query example.com AXFR",
  ],
  options: {
    "server": text("127.0.0.1:5300", "the server to ask; with --iterate, the root server", "HOST[:PORT]"),
    "iterate": flag("walk from the root to the answer, server by server"),
    "tcp": flag("ask over TCP from the start, not over UDP first"),
    "short": flag("print only the data of the answers"),
    "json": flag("print the whole response as JSON"),
    "no-recurse": flag("clear the RD flag: the server must not ask other servers"),
    "wait": seconds(0, "keep asking for this long while nobody answers yet"),
    "timeout": seconds(5, "how long each server has to answer, all tries together; 0: no limit"),
    ...traceOptions,
  },
};

if (import.meta.main) {
  await run(command, async (flags) => {
    const question = parseQuestion(flags.args);
    const server = parseServer("--server", flags.server);
    if (flags.short && flags.json) throw new Failure("--short and --json exclude each other", 2);
    if (flags.iterate && question.type === types.AXFR) throw new Failure("--iterate and AXFR exclude each other", 2);
    let rcode: number = rcodes.NOERROR;
    if (question.type === types.AXFR) {
      const transfer = new ZoneTransfer(buildQuery(question, false));
      await printZone(transfer, receiveZone(transfer, server, flags), flags);
    } else if (flags.iterate) {
      // Every server has an address of its own, and here the same port: an address record has no place for one.
      const walk = new Walk(server.hostname, (hostname, question) => {
        const options = { ...flags, recurse: false, tracing: flags };
        return askPatiently({ ...server, hostname }, question, flags.wait, options);
      }, 10 * flags.timeout);
      rcode = await printWalk(walk, question, { ...flags, live: flags.wait === 0 });
    } else {
      const options = { ...flags, recurse: !flags["no-recurse"], tracing: flags };
      const result = await askPatiently(server, question, flags.wait, options);
      if (flags.short) printAnswers(result.message);
      else if (flags.json) printJson(result, formatAddress(server));
      else printResponse(result, formatAddress(server));
      ({ rcode } = result.message.flags);
    }
    if (rcode !== rcodes.NOERROR) throw new Failure(`${printable(flags.args[0] ?? "")}: ${describeRcode(rcode)}`);
  });
}
