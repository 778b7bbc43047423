/**
 * A query, and which messages are responses to it (RFC 5452 §4, §9.1).
 *
 * @module
 */
import type { TraceForm } from "../cli.ts";
import { decode, encode, type Message, type Question, rcodes, UDP_PAYLOAD } from "./_message.ts";
import { canonicalName, FormatError } from "./_name.ts";
import { Writer } from "./_wire.ts";

/** How to send a query. */
export interface QueryOptions {
  /** Seconds to wait for a response, all attempts together. 0: no limit. */
  readonly timeout: number;
  /** Use TCP from the start. */
  readonly tcp?: boolean;
  /** Recursion desired (RD): the server may ask other servers. The default. */
  readonly recurse?: boolean;
  readonly trace?: TraceForm;
}

/** A response, and how it came. */
export interface QueryResult {
  readonly message: Message;
  /** Its bytes. */
  readonly size: number;
  /** Milliseconds from the query to its response. */
  readonly time: number;
  readonly transport: "UDP" | "TCP";
}

/** A query as it is sent. */
export interface Query {
  readonly id: number;
  readonly question: Question;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Builds a query with a random id. `recurse` sets RD. */
export function buildQuery(question: Question, recurse: boolean): Query {
  const [id = 0] = crypto.getRandomValues(new Uint16Array(1));
  const flags = { qr: false, opcode: 0, aa: false, tc: false, rd: recurse, ra: false, ad: false, cd: false, rcode: 0 };
  const edns = { size: UDP_PAYLOAD, version: 0, dnssecOk: false };
  const message = { id, flags, questions: [question], answers: [], authority: [], additional: [], edns };
  return { id, question, bytes: encode(message) };
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

/** Why these bytes are not the response to this query; `undefined` if they are. */
export function mismatch(packet: Uint8Array, { id, question }: Query): string | undefined {
  let message: Message;
  try {
    message = decode(packet);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return `it is not a DNS message: ${error.message}`;
  }
  const { flags, questions } = message;
  const [copy] = questions;
  if (!flags.qr) return "it is a query, not a response";
  if (message.id !== id) return "its id differs from the query's";
  // A server that could not read the query cannot copy its question.
  if (!copy && (flags.rcode === rcodes.FORMERR || flags.rcode === rcodes.NOTIMP)) return undefined;
  if (!copy || questions.length > 1) return "it has no question, or more than one";
  if (canonicalName(copy.name) !== canonicalName(question.name)) return "its question is for another name";
  if (copy.name !== question.name) return "its question has the name in another case";
  if (copy.type !== question.type || copy.class !== question.class) return "its question is for another type or class";
}

/** Decodes the response to a query for this question, which may have been sent with its name in another case. */
export function decodeResponse(packet: Uint8Array, question: Question): Message {
  const message = decode(packet);
  if (message.questions.length === 0) return message;
  // Restore the original case in the question: compressed names in the response point to these letters.
  const writer = new Writer();
  writer.name(question.name);
  const restored = packet.slice();
  restored.set(writer.bytes(), HEADER_SIZE);
  return decode(restored);
}

const HEADER_SIZE = 12;
