/**
 * The client of a DNS server under check: queries and responses over UDP and TCP.
 *
 * @module
 */
import { decode, encode, type Message, type Question, rcodeName } from "../../dns/_message.ts";
import { canonicalName, FormatError } from "../../dns/_name.ts";
import { printData } from "../../dns/_record.ts";
import { typeName, typeNumber } from "../../dns/_record_types.ts";
import { localAddress } from "../../udp/_local_address.ts";
import { Peer } from "./_peer.ts";
import { fail, inTime, limits, type Server } from "./_suite.ts";

const noFlags = { qr: false, opcode: 0, aa: false, tc: false, rd: false, ra: false, ad: false, cd: false, rcode: 0 };

interface QueryOptions {
  readonly edns?: { size: number; version: number };
  readonly opcode?: number;
}

/** A query with a random id. */
export function query(
  name: string,
  typeName: string,
  { edns, opcode = 0 }: QueryOptions = {},
): { id: number; question: Question; bytes: Uint8Array } {
  const id = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  const question = { name, type: typeNumber(typeName) ?? 0, class: 1 };
  const message = {
    id,
    flags: { ...noFlags, opcode },
    questions: [question],
    answers: [],
    authority: [],
    additional: [],
  };
  return { id, question, bytes: encode({ ...message, ...edns && { edns: { ...edns, dnssecOk: false } } }) };
}

/** Opens a UDP socket for `use`. A query without a response is sent again after a second, because it may be lost. */
export async function exchangeUdp<T>(
  server: Server,
  use: (exchange: (bytes: Uint8Array, limit?: number) => Promise<Uint8Array | undefined>) => Promise<T>,
): Promise<T> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: localAddress(server.hostname), port: 0 });
  const to: Deno.NetAddr = { transport: "udp", hostname: server.hostname, port: server.port };
  let receiving: Promise<[Uint8Array, Deno.Addr]> | undefined;
  try {
    return await use(async (bytes, limit = limits.patience) => {
      const until = Date.now() + limit;
      do {
        await socket.send(bytes, to);
        receiving ??= socket.receive();
        const got = await inTime(receiving, Math.max(1, Math.min(1000, until - Date.now())));
        if (!got) continue;
        receiving = undefined;
        if (((got[0][0] ?? 0) << 8 | (got[0][1] ?? 0)) === ((bytes[0] ?? 0) << 8 | (bytes[1] ?? 0))) return got[0];
      } while (Date.now() < until || server.starting?.());
      return undefined;
    });
  } finally {
    receiving?.catch(() => {});
    socket.close();
  }
}

/** Decodes a response; fails if there is none, or if it is malformed. */
export function parseResponse(bytes: Uint8Array | undefined, what: string): Message {
  if (!bytes) {
    fail(
      `a response to ${what}`,
      `nothing in ${limits.patience / 1000} s`,
      "answer every query, if necessary with an error code only",
    );
  }
  try {
    return decode(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return fail(
      "a complete DNS message (RFC 1035 §4.1)",
      error.message,
      "check the counts in the header, and every length",
    );
  }
}

/** Sends a query over UDP and returns the response. */
export async function ask(server: Server, name: string, typeName: string, options?: QueryOptions): Promise<Message> {
  const { id, question, bytes } = query(name, typeName, options);
  const what = `${name} ${typeName}`;
  const message = parseResponse(await exchangeUdp(server, (exchange) => exchange(bytes)), what);
  if (message.id !== id || !message.flags.qr) {
    fail(
      "a response with the query's id and QR set",
      "another id, or QR clear",
      "copy the id from the query, and set QR",
    );
  }
  const [got] = message.questions;
  if (got?.name !== question.name || got.type !== question.type) {
    fail(
      `the question ${what} unchanged`,
      `${got?.name} ${typeName}`,
      "copy the question with the case of its letters",
    );
  }
  return message;
}

/** The data of the answers, sorted. */
export const data = (message: Message): string[] =>
  message.answers.map(({ type, data }) => `${typeName(type)} ${canonicalName(printData(type, data))}`).sort();

export function expectData(message: Message, wanted: string[], hint: string): void {
  const got = data(message);
  if (got.join("\n") !== [...wanted].sort().join("\n")) fail(wanted.join(", "), got.join(", ") || "no answer", hint);
}

export function expectCode(message: Message, code: number, hint: string): void {
  const { rcode } = message.flags;
  if (rcode !== code) fail(rcodeName(code), rcodeName(rcode), hint);
}

/** Sends queries over one TCP connection, in pieces of `size` bytes, and returns the responses that arrive. */
export async function exchangeTcp(server: Server, queries: Uint8Array[], size = 1000): Promise<Uint8Array[]> {
  using peer = await Peer.connect(server);
  const all = Uint8Array.from(queries.flatMap((bytes) => [bytes.length >> 8, bytes.length & 255, ...bytes]));
  for (let at = 0; at < all.length; at += size) await peer.send(all.subarray(at, at + size));
  const responses: Uint8Array[] = [];
  while (responses.length < queries.length) {
    const [high, low] = await peer.upTo(2);
    if (high === undefined || low === undefined) break;
    responses.push(await peer.upTo(high << 8 | low));
  }
  return responses;
}
