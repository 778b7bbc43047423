/**
 * A DNS client that builds its query byte by byte, sends it over UDP, and asks again over TCP when the response is truncated.
 *
 * Anyone can forge the source address of a datagram. So a response counts only if it comes from the server's address and
 * port and repeats our id and our question, in the same random upper and lower case: look at `mismatch` in
 * `_query_message.ts`. With `--trace` you see every packet field by field.
 *
 * First terminal: `deno run -N=127.0.0.1 -R=dns --unstable-net dns/server.ts`. This one:
 * `deno run -N=127.0.0.1 --unstable-net dns/query.ts www.example.com`. Both: `deno task dns:lookup`.
 * RFC 1035 §4, RFC 5452 (forgery). API: Deno.listenDatagram, Deno.connect.
 *
 * @module
 */
import { connect, explain, Failure, flag, formatAddress, printable, run, seconds } from "../cli.ts";
import { text, type TraceForm, traceOption, within } from "../cli.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { showMessage, traced as tracedTcp } from "../tcp/_trace.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { localAddress } from "../udp/_local_address.ts";
import { traced as tracedUdp } from "../udp/_trace.ts";
import { showFields } from "./_dissect.ts";
import { firstMessage, MAX_FRAME, withLength } from "./_framing.ts";
import { type Question, rcodes } from "./_message.ts";
import { parseQuestion } from "./_parse_question.ts";
import { describeRcode, printAnswers, printResponse } from "./_print_response.ts";
import { buildQuery, decodeResponse, mismatch, type Query, randomizeCase } from "./_query_message.ts";
import type { QueryOptions, QueryResult } from "./_query_message.ts";
import { parseServer } from "./_server_address.ts";

/** Asks over UDP; over TCP if the response is truncated. @throws {Failure} when no response comes. */
export async function ask(server: Deno.NetAddr, question: Question, options: QueryOptions): Promise<QueryResult> {
  try {
    const result = options.tcp ? undefined : await askUdp(server, question, options);
    return result && !result.message.flags.tc ? result : await askTcp(server, question, options);
  } catch (error) {
    throw explain(error, server);
  }
}

/** Sends the query over UDP, and again if no response comes: a datagram can be lost, and nobody reports it. */
async function askUdp(server: Deno.NetAddr, question: Question, options: QueryOptions): Promise<QueryResult> {
  const { timeout, recurse = true, trace = "" } = options;
  // Port 0: the system chooses a random port for each question, about 15 more bits that a forger must guess.
  const hostname = localAddress(server.hostname);
  const socket = tracedUdp(Deno.listenDatagram({ transport: "udp", hostname, port: 0 }), trace);
  const state: State = { server, query: buildQuery(question, recurse), ignored: "" };
  const response = receiveResponse(socket, state, trace);
  response.catch(() => {}); // it fails when the socket is closed
  try {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      // Some servers do not preserve the case: the last attempt does not randomise it.
      state.query = buildQuery(attempt < ATTEMPTS ? randomizeCase(question) : question, recurse);
      const start = performance.now();
      await socket.send(state.query.bytes, server);
      showFields(state.query.bytes, trace);
      const packet = await within(timeout / ATTEMPTS, response, () => undefined);
      if (packet) return toResult(packet, question, "UDP", start, trace); // otherwise one of the two was lost
    }
  } finally {
    socket.close();
  }
  const ignored = state.ignored && `; the last packet was ignored: ${state.ignored}`;
  throw new Failure(`no answer from ${formatAddress(server)} in ${timeout} s (${ATTEMPTS} tries)${ignored}`);
}

/** Receives datagrams until one is the response to the query that was sent last. Anyone can send one to this port. */
async function receiveResponse(socket: Deno.DatagramConn, state: State, trace: TraceForm): Promise<Uint8Array> {
  while (true) {
    const [packet, from] = await socket.receive(new Uint8Array(65535));
    if (from.transport !== "udp") continue;
    const isServer = from.hostname === state.server.hostname && from.port === state.server.port;
    const reason = isServer ? mismatch(packet, state.query) : "it comes from another address";
    if (reason === undefined) return packet;
    state.ignored = reason;
    showMessage(trace, formatAddress(from), "", new Uint8Array(), `ignored: ${reason}`);
  }
}

/** Asks over TCP: it has room for any response, and nobody can forge the server's address. */
async function askTcp(server: Deno.NetAddr, question: Question, options: QueryOptions): Promise<QueryResult> {
  const { timeout, recurse = true, trace = "" } = options;
  const target = { host: server.hostname, port: server.port, wait: 0, timeout };
  const conn = tracedTcp(await connect(target, Deno.connect), trace);
  try {
    const query = buildQuery(question, recurse);
    const start = performance.now();
    await writeAll(conn, withLength(query.bytes));
    showFields(query.bytes, trace);
    const late = `no answer from ${formatAddress(server)} over TCP in ${timeout} s`;
    const packet = await within(timeout, readMessage(conn), late);
    const reason = mismatch(packet, query);
    if (reason === undefined) return toResult(packet, question, "TCP", start, trace);
    throw new Failure(`${formatAddress(server)} sent a wrong answer over TCP: ${reason}`);
  } finally {
    conn.close();
  }
}

/** Reads one message: TCP is a stream without boundaries, so each message follows its length (RFC 1035 §4.2.2). */
async function readMessage(conn: Deno.TcpConn): Promise<Uint8Array> {
  const reader = new BufferedReader(conn, MAX_FRAME);
  while (await reader.fill()) {
    const message = firstMessage(reader.unread);
    if (message) return message;
  }
  throw new Failure(`the server closed the connection before the end of its response`);
}

const ATTEMPTS = 3;

/** What the sending and the receiving part share: the query that was sent last, and why the last packet was ignored. */
interface State {
  readonly server: Deno.NetAddr;
  query: Query;
  ignored: string;
}

const command = {
  name: "query",
  about:
    "Builds a DNS query byte by byte, sends it and prints the response. For an IP address it asks for the name (PTR).",
  run: "deno run -N=127.0.0.1 --unstable-net dns/query.ts",
  args: "NAME [TYPE]",
  options: {
    "server": text("127.0.0.1:5300", "the server to ask", "HOST[:PORT]"),
    "tcp": flag("ask over TCP from the start, not over UDP first"),
    "short": flag("print only the data of the answers"),
    "no-recurse": flag("clear the RD flag: the server must not ask other servers"),
    "timeout": seconds(5, "how long to wait for an answer, all tries together; 0: no limit"),
    "trace": traceOption,
  },
};

if (import.meta.main) {
  await run(command, async (flags) => {
    const question = parseQuestion(flags.args);
    const server = parseServer("--server", flags.server);
    const result = await ask(server, question, { ...flags, recurse: !flags["no-recurse"] });
    if (flags.short) printAnswers(result.message);
    else printResponse(result, formatAddress(server));
    const { rcode } = result.message.flags;
    if (rcode !== rcodes.NOERROR) throw new Failure(`${printable(flags.args[0] ?? "")}: ${describeRcode(rcode)}`);
  });
}

function toResult(
  packet: Uint8Array,
  question: Question,
  transport: "UDP" | "TCP",
  start: number,
  trace: TraceForm,
): QueryResult {
  const time = performance.now() - start;
  showFields(packet, trace);
  return { message: decodeResponse(packet, question), size: packet.length, time, transport };
}
