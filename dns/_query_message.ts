/**
 * A query, and which messages are responses to it (RFC 5452 §4, §9.1).
 *
 * @module
 */
import { decode, decodePrefix, encode, type Message, type Question, rcodes, UDP_PAYLOAD } from "./_message.ts";
import { canonicalName, FormatError } from "./_name.ts";
import { Writer } from "./_wire.ts";

/** A query as it is sent. */
export interface Query {
  readonly id: number;
  readonly question: Question;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Builds a query with a random id. `recurse` sets RD, `edns` adds an OPT record. */
export function buildQuery(question: Question, recurse: boolean, edns = true): Query {
  const [id = 0] = crypto.getRandomValues(new Uint16Array(1));
  const flags = { qr: false, opcode: 0, aa: false, tc: false, rd: recurse, ra: false, ad: false, cd: false, rcode: 0 };
  const message = { id, flags, questions: [question], answers: [], authority: [], additional: [] };
  const opt = { size: UDP_PAYLOAD, version: 0, dnssecOk: false };
  return { id, question, bytes: encode(edns ? { ...message, edns: opt } : message) };
}

/**
 * The question with the letters of its name in random upper and lower case (the "0x20" trick): servers copy the question
 * unchanged, so each letter is one more bit that a forger must guess.
 */
export function randomizeCase(question: Question): Question {
  const bits = crypto.getRandomValues(new Uint8Array(question.name.length));
  const name = question.name.replace(
    /[a-z]/gi,
    (letter, at) => (bits[at] ?? 0) & 1 ? letter.toUpperCase() : letter.toLowerCase(),
  );
  return { ...question, name };
}

/** The one of these queries that the bytes are the response to, or the reason why they are the response to none. */
export function findQuery<Q extends Query>(packet: Uint8Array, queries: readonly Q[]): Q | string {
  let message: Message;
  try {
    ({ message } = decodePrefix(packet));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return `it is not a DNS message: ${error.message}`;
  }
  let reason: string | undefined = "it has another id than the query";
  for (const query of queries) {
    if (message.id !== query.id) continue;
    reason = mismatch(message, query);
    if (reason === undefined) return query;
  }
  return reason ?? "";
}

/** Why a message is not the response to this query; `undefined` if it is. */
export function mismatch(message: Message, { id, question }: Query): string | undefined {
  const { flags, questions } = message;
  const [copy] = questions;
  if (!flags.qr) return "it is a query, not a response";
  if (message.id !== id) return "its id differs from the query's";
  // A server that could not read the query, or does not want to, may leave the question out.
  if (!copy && questionless.includes(flags.rcode)) return undefined;
  if (!copy || questions.length > 1) return "it has no question, or more than one";
  if (canonicalName(copy.name) !== canonicalName(question.name)) return "its question is for another name";
  if (copy.name !== question.name) return "its question has the name in another case";
  if (copy.type !== question.type || copy.class !== question.class) return "its question is for another type or class";
}

const questionless: readonly number[] = [rcodes.FORMERR, rcodes.SERVFAIL, rcodes.NOTIMP, rcodes.REFUSED];

/**
 * Decodes the response to a query for this question, which may have been sent with its name in another case. `extra`: how
 * many bytes follow the message.
 */
export function decodeResponse(packet: Uint8Array, question: Question): { message: Message; extra: number } {
  const { message, length } = decodePrefix(packet);
  const extra = packet.length - length;
  // Restore the original case in the question: compressed names in the response point to these letters.
  const writer = new Writer();
  writer.name(question.name);
  const name = writer.bytes();
  const isPlain = message.questions.length > 0 && name.every((byte, i) => isSameLetter(byte, packet[HEADER_SIZE + i]));
  if (!isPlain) return { message, extra }; // no question, or its name is a pointer
  const restored = packet.slice(0, length);
  restored.set(name, HEADER_SIZE);
  return { message: decode(restored), extra };
}

/** Whether two bytes are the same, or the same letter in different case. A length is never 65 or more. */
function isSameLetter(one: number, other: number | undefined): boolean {
  const lower = (byte: number) => byte >= 65 && byte <= 90 ? byte + 32 : byte;
  return other !== undefined && lower(one) === lower(other);
}

const HEADER_SIZE = 12;
