/**
 * One question to one DNS server, by hand: RFC 1035 §4.2 (UDP, TCP), RFC 5452 (which answers to believe).
 *
 * @module
 */
import { explain, Failure, place, show, within } from "../cli.ts";
import { traced as tracedTcp } from "../tcp/trace.ts";
import { writeAll } from "../tcp/write_all.ts";
import { localAddress } from "../udp/local_address.ts";
import { traced as tracedUdp } from "../udp/trace.ts";
import { dissect } from "./dissect.ts";
import { decode, encode, type Message, type Question, rcodes, UDP_PAYLOAD, withLength } from "./message.ts";
import { FormatError, Reader, same } from "./wire.ts";

/** How to ask. Times in seconds. */
export interface Manner {
  readonly timeout: number;
  readonly tcp?: boolean;
  /** Recursion desired: the server is to find out what it does not know. */
  readonly recurse?: boolean;
  readonly trace?: "" | "text" | "json";
}

/** An answer, and how it came. */
export interface Asked {
  readonly message: Message;
  readonly size: number;
  /** Milliseconds from the query that was answered to its answer. */
  readonly time: number;
  readonly transport: "UDP" | "TCP";
}

const tries = 3;

/**
 * Asks, over UDP up to three times, and over TCP when the answer says that it was cut short.
 *
 * @throws {Failure} when no answer comes, or none that is to this question.
 */
export async function ask(server: Deno.NetAddr, question: Question, manner: Manner): Promise<Asked> {
  try {
    if (manner.tcp) return await askTcp(server, question, manner);
    const asked = await askUdp(server, question, manner);
    return asked.message.flags.tc ? await askTcp(server, question, manner) : asked;
  } catch (error) {
    throw explain(error, server);
  }
}

function query(question: Question, recurse: boolean): { id: number; asked: Question; bytes: Uint8Array<ArrayBuffer> } {
  const id = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  const flags = { qr: false, opcode: 0, aa: false, tc: false, rd: recurse, ra: false, ad: false, cd: false, rcode: 0 };
  const edns = { size: UDP_PAYLOAD, version: 0, dnssecOk: false };
  const message = { id, flags, questions: [question], answers: [], authority: [], additional: [], edns };
  return { id, asked: question, bytes: encode(message) };
}

/** Letters in random case: a forger must guess one more bit for each of them (0x20; servers copy the question as it is). */
function mixed(name: string): string {
  const bits = crypto.getRandomValues(new Uint8Array(name.length));
  return name.replace(/[a-z]/gi, (letter, at) => (bits[at] ?? 0) & 1 ? letter.toUpperCase() : letter.toLowerCase());
}

/** Why this message is no answer to that question; `undefined` when it is one. */
export function mismatch(message: Message, id: number, asked: Question): string | undefined {
  const [question] = message.questions;
  if (!message.flags.qr) return "a query";
  if (message.id !== id) return "another id";
  if (!question && [rcodes.FORMERR, rcodes.NOTIMP].some((code) => code === message.flags.rcode)) return undefined;
  if (!question || message.questions.length > 1) return "no question, or more than one";
  if (same(question.name) !== same(asked.name)) return "another name";
  if (question.name !== asked.name) return "the name in another case";
  if (question.type !== asked.type || question.class !== asked.class) return "another type or class";
}

async function askUdp(server: Deno.NetAddr, question: Question, manner: Manner): Promise<Asked> {
  const hostname = localAddress(server.hostname);
  // A port that the system chooses anew for every question: 16 more bits that a forger must guess.
  const opened = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  const socket = manner.trace ? tracedUdp(opened, manner.trace) : opened;
  const note = (why: string, from: Deno.Addr) => {
    if (manner.trace && from.transport === "udp") {
      show(manner.trace, place(from), "", new Uint8Array(), `ignored: ${why}`);
    }
  };
  /** The next datagram, if one comes within so many milliseconds. */
  let receiving: Promise<[Uint8Array, Deno.Addr]> | undefined;
  async function received(limit: number): Promise<[Uint8Array, Deno.Addr] | undefined> {
    // A receive that nothing has come for goes on waiting: the next call takes it up.
    receiving ??= socket.receive(new Uint8Array(65535));
    receiving.catch(() => {}); // the socket is closed while it waits
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), limit));
    const got = await Promise.race([receiving, late]).finally(() => clearTimeout(timer));
    if (got) receiving = undefined;
    return got;
  }

  let ignored = "";
  const plain = query(question, false);
  try {
    for (let attempt = 1; attempt <= tries; attempt++) {
      // Not every server copies the case of the name: the last attempt does without.
      const name = attempt < tries ? mixed(question.name) : question.name;
      const { id, asked, bytes } = query({ ...question, name }, manner.recurse ?? true);
      const start = performance.now();
      await socket.send(bytes, server);
      if (manner.trace === "text") console.error(dissect(bytes));
      const until = start + manner.timeout * 1000 / tries;
      while (true) {
        const got = await received(until - performance.now());
        if (!got) break;
        const [packet, from] = got;
        const here = from.transport === "udp" && from.port === server.port && from.hostname === server.hostname;
        let message: Message | undefined;
        let why = here ? undefined : "it comes from another address";
        try {
          message = decode(packet);
          why ??= mismatch(message, id, asked);
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
          why ??= `not a DNS message: ${error.message}`;
        }
        if (why === undefined && message) {
          if (manner.trace === "text") console.error(dissect(packet));
          // The name as it was asked for, so that those of the answer, which point to its letters, are not mixed.
          if (message.questions.length > 0) packet.set(plain.bytes.subarray(12, 12 + nameLength(plain.bytes)), 12);
          message = decode(packet);
          return { message, size: packet.length, time: performance.now() - start, transport: "UDP" };
        }
        ignored = why ?? "";
        note(ignored, from);
      }
    }
  } finally {
    socket.close();
  }
  const but = ignored && `; what came was no answer: ${ignored}`;
  throw new Failure(`no answer from ${place(server)} in ${manner.timeout} s (${tries} tries)${but}`);
}

/** The length of the name in the question of a message. */
function nameLength(bytes: Uint8Array): number {
  const reader = new Reader(bytes);
  reader.offset = 12;
  reader.name();
  return reader.offset - 12;
}

async function askTcp(server: Deno.NetAddr, question: Question, manner: Manner): Promise<Asked> {
  const { hostname, port } = server;
  const connected = await Deno.connect({ hostname, port, signal: AbortSignal.timeout(manner.timeout * 1000) });
  const conn = manner.trace ? tracedTcp(connected, manner.trace) : connected;
  try {
    const { id, asked, bytes } = query(question, manner.recurse ?? true);
    const start = performance.now();
    await writeAll(conn, withLength(bytes));
    if (manner.trace === "text") console.error(dissect(bytes));
    const late = `no answer from ${place(server)} over TCP in ${manner.timeout} s`;
    const packet = await within(manner.timeout, framed(conn), late);
    const message = decode(packet);
    const why = mismatch(message, id, asked);
    if (why !== undefined) throw new Failure(`${place(server)} answered over TCP with ${why}`);
    if (manner.trace === "text") console.error(dissect(packet));
    return { message, size: packet.length, time: performance.now() - start, transport: "TCP" };
  } catch (error) {
    if (error instanceof FormatError) {
      throw new Failure(`${place(server)} answered over TCP, but not with a DNS message: ${error.message}`);
    }
    throw error;
  } finally {
    conn.close();
  }
}

/** One message from a TCP connection: its length in two bytes, and itself. */
async function framed(conn: Deno.TcpConn): Promise<Uint8Array> {
  const read = async (size: number) => {
    const part = new Uint8Array(size);
    for (let got = 0; got < size;) {
      const n = await conn.read(part.subarray(got));
      if (n === null) throw new FormatError(`the connection was closed after ${got} of ${size} bytes`);
      got += n;
    }
    return part;
  };
  const [high = 0, low = 0] = await read(2);
  return await read(high << 8 | low);
}
