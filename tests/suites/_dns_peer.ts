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
import { byHand, received, sent, step } from "./_record.ts";
import { fail, inSeconds, inTime, limits, type Server } from "./_suite.ts";

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

type Exchange = (bytes: Uint8Array, limit?: number) => Promise<Uint8Array | undefined>;

/**
 * Opens a UDP socket for `use`. A query without a response is sent again after a second, because it may be lost. `onStray` is
 * told of a datagram with another id.
 */
export async function exchangeUdp<T>(
  server: Server,
  use: (exchange: Exchange) => Promise<T>,
  onStray: (bytes: Uint8Array) => void = () => {},
): Promise<T> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: localAddress(server.hostname), port: 0 });
  const to: Deno.NetAddr = { transport: "udp", hostname: server.hostname, port: server.port };
  let receiving: Promise<[Uint8Array, Deno.Addr]> | undefined;
  try {
    let answers = false; // a server that has answered anything has started
    return await use(async (bytes, limit = limits.patience) => {
      const until = Date.now() + limit;
      do {
        await socket.send(bytes, to);
        sent(bytes, "UDP");
        const again = Date.now() + Math.min(limit, server.starting?.() ? 200 : 1000);
        do {
          receiving ??= socket.receive();
          const got = await inTime(receiving, Math.max(1, again - Date.now()));
          if (!got) {
            step("no response so far", "UDP");
            break;
          }
          receiving = undefined;
          answers = true;
          received(got[0], "UDP");
          if (idOf(got[0]) === idOf(bytes)) return got[0];
          onStray(got[0]);
        } while (Date.now() < again);
        if (server.program?.()?.status) return undefined; // it has ended, and will not answer any more
      } while (Date.now() < until || !answers && server.starting?.());
      return undefined;
    });
  } finally {
    receiving?.catch(() => {});
    socket.close();
  }
}

const idOf = (bytes: Uint8Array) => (bytes[0] ?? 0) << 8 | (bytes[1] ?? 0);

const isServfail = (bytes: Uint8Array | undefined) => ((bytes?.[3] ?? 0) & 15) === 2;

/** The bytes of a message in hexadecimal, for a report. */
export const hex = (bytes: Uint8Array): string =>
  [...bytes.subarray(0, 60)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ") +
  (bytes.length > 60 ? ` … (${bytes.length} bytes)` : "");

/** Decodes a response; fails if there is none, or if it is malformed. */
export function parseResponse(bytes: Uint8Array | undefined, what: string): Message {
  if (!bytes) {
    fail(
      `a response to ${what}`,
      `nothing in ${inSeconds(limits.patience)}`,
      "receive in a loop, and answer every query, if necessary with an error code only",
    );
  }
  try {
    return decode(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return fail(
      `a DNS message (RFC 1035 §4.1) in response to ${what}`,
      `${hex(bytes)}: ${error.message}`,
      "check the four counts in the header, the length before the data of each record, and the bytes of each number: " +
        "the higher byte comes first",
    );
  }
}

/** Sends a query over UDP and returns the response. */
export async function ask(server: Server, name: string, typeName: string, options?: QueryOptions): Promise<Message> {
  const { id, bytes } = query(name, typeName, options);
  const { hostname, port } = server;
  byHand(`dig +norec ${options?.edns ? "" : "+noedns "}@${hostname} -p ${port} ${name} ${typeName}`);
  let stray: Uint8Array | undefined;
  const once = () => exchangeUdp(server, (exchange) => exchange(bytes), (bytes) => stray = bytes);
  let got = await once();
  for (const until = Date.now() + limits.patience; isServfail(got) && server.starting?.() && Date.now() < until;) {
    step("SERVFAIL: a server that has just started may not have read its zone yet");
    await inTime(new Promise(() => {}), 200);
    got = await once();
  }
  if (!got && stray) {
    fail(
      `a response with the id of the query, ${hex(bytes.subarray(0, 2))}`,
      `a datagram that begins with ${hex(stray.subarray(0, 2))}`,
      "copy the first two bytes of the query into the response",
    );
  }
  const message = parseResponse(got, `${name} ${typeName}`);
  if (message.id !== id || !message.flags.qr) {
    fail("a response with QR set", "QR clear", "set the highest bit of the third byte: this message is a response");
  }
  return message;
}

/** The data of the answers, sorted. */
export const data = (message: Message): string[] =>
  message.answers.map(({ type, data }) => `${typeName(type)} ${canonicalName(printData(type, data))}`).sort();

export function expectData(message: Message, wanted: string[], hint: string): void {
  const got = data(message);
  if (got.join("\n") === [...wanted].sort().join("\n")) return;
  const [question] = message.questions;
  const to = question ? ` to ${question.name} ${typeName(question.type)}` : "";
  const code = message.flags.rcode === 0 ? "" : ` (${rcodeName(message.flags.rcode)})`;
  fail(`${wanted.join(", ")}${to}`, (got.join(", ") || "no answer") + code, hint);
}

export function expectCode(message: Message, code: number, hint: string): void {
  const { rcode } = message.flags;
  if (rcode !== code) fail(`the code ${rcodeName(code)}`, rcodeName(rcode), hint);
}

/** Sends queries over one TCP connection, in pieces of `size` bytes, and returns the responses that arrive. */
export async function exchangeTcp(server: Server, queries: Uint8Array[], size = 1000): Promise<Uint8Array[]> {
  const until = Date.now() + limits.patience; // a server may begin to listen with TCP a moment after UDP
  const starting = () => server.starting?.() === true && Date.now() < until;
  using peer = await Peer.connect({ ...server, starting });
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
