/**
 * From the bytes of a query to the bytes of its response. It touches no socket.
 *
 * @module
 */
import { type Answer, answer } from "./_answer.ts";
import { decode, EdnsError, encode, type Flags, type Message, PLAIN_PAYLOAD, rcodes, UDP_PAYLOAD } from "./_message.ts";
import { canonicalName, FormatError } from "./_name.ts";
import { QuickAnswers } from "./_quick_answer.ts";
import type { ResourceRecord } from "./_record.ts";
import { classes, types } from "./_record_types.ts";
import { ResponseCache } from "./_response_cache.ts";
import { isUpToDate, transferMessages } from "./_transfer.ts";
import { findZone, type Zones } from "./_zone.ts";

const MAX_MESSAGE = 65535;

/** The error code in a TSIG record that says that the server does not know the key (RFC 8945 §3). */
const BADKEY = 17;

/** The outcome of a query: a response, a query to forward, or nothing. */
export type QueryOutcome =
  | { readonly kind: "response"; readonly bytes: Uint8Array }
  | { readonly kind: "forward"; readonly query: Message; readonly limit: number }
  | { readonly kind: "nothing" };

/** Answers queries from zones, and caches its responses over UDP. */
export class Responder {
  #zones: Zones;
  readonly #forwards: boolean;
  #quick: QuickAnswers;
  /** What the quick way does not answer. */
  readonly #cache = new ResponseCache();

  /** `forwards`: forward questions outside of the zones instead of answering REFUSED. */
  constructor(zones: Zones, forwards: boolean) {
    this.#zones = zones;
    this.#quick = new QuickAnswers(zones);
    this.#forwards = forwards;
  }

  /** Replaces the zones. */
  reload(zones: Zones): void {
    this.#zones = zones;
    this.#quick = new QuickAnswers(zones);
    this.#cache.clear();
  }

  /**
   * Returns the outcome of a query, for any bytes. Over UDP, a response is limited to what fits into a datagram, and is valid
   * until the next call, because it may be a view of the cache.
   */
  respond(packet: Uint8Array, udp: boolean): QueryOutcome {
    // Ignore a message shorter than a header. Never answer a response: two servers could loop forever.
    const isResponse = ((packet[2] ?? 0) & 0x80) !== 0;
    if (packet.length < 12 || isResponse) return { kind: "nothing" };
    if (!udp) return this.#decide(packet, udp);
    const cached = this.#quick.answer(packet) ?? this.#cache.get(packet);
    if (cached) return { kind: "response", bytes: cached };
    const outcome = this.#decide(packet, udp);
    if (outcome.kind === "response") this.#cache.set(packet, outcome.bytes);
    return outcome;
  }

  /**
   * The messages with the whole zone that a query from a secondary server asks for; `undefined` for any other query. IXFR, the
   * question for the changes alone, gets the whole zone too, or one SOA record when there is nothing new (RFC 1995 §4).
   */
  transfer(packet: Uint8Array): Iterable<Uint8Array> | undefined {
    const query = tryDecode(packet);
    const [question, second] = query?.questions ?? [];
    if (!query || query.error || query.tsig || !question || second) return undefined;
    const { id, flags, questions, edns } = query;
    if (flags.qr || flags.opcode !== 0 || question.class !== classes.IN) return undefined;
    if (question.type !== types.AXFR && question.type !== types.IXFR) return undefined;
    const zone = this.#zones.get(canonicalName(question.name));
    if (!zone) return [failure(query, MAX_MESSAGE, rcodes.NOTAUTH)]; // RFC 5936 §2.2.1
    const head = { ...empty, id, flags: { ...responseFlags(flags, rcodes.NOERROR), aa: true }, questions };
    if (question.type === types.AXFR || !isUpToDate(zone, query)) return transferMessages(withOpt(head, edns), zone);
    return [encode(withOpt({ ...head, answers: [zone.soa] }, edns))];
  }

  /**
   * A response without records that tells the client to ask over TCP. It is no longer than the query, and it has the
   * question: a client ignores a response without one (RFC 5452 §9.1).
   */
  truncated(packet: Uint8Array): Uint8Array {
    const query = tryDecode(packet);
    if (!query) return headerOnly(packet, rcodes.FORMERR);
    const { id, flags, questions, edns } = query;
    const message = { ...empty, id, flags: { ...responseFlags(flags, rcodes.NOERROR), tc: true }, questions };
    return encode(withOpt(message, edns), PLAIN_PAYLOAD);
  }

  #decide(packet: Uint8Array, udp: boolean): QueryOutcome {
    const query = tryDecode(packet);
    // The messages of another opcode may have another form.
    const isStandard = ((packet[2] ?? 0) & 0x78) === 0;
    if (!query) return response(headerOnly(packet, isStandard ? rcodes.FORMERR : rcodes.NOTIMP));
    const { flags, questions, edns, tsig, error } = query;
    const limit = udp ? Math.min(Math.max(edns?.size ?? 0, PLAIN_PAYLOAD), UDP_PAYLOAD) : MAX_MESSAGE;
    const fail = (rcode: number, signature?: ResourceRecord) => response(failure(query, limit, rcode, signature));
    if (!isStandard) return fail(rcodes.NOTIMP);
    const [question] = questions;
    if (error || !question || questions.length > 1) return fail(rcodes.FORMERR);
    if (tsig) return fail(rcodes.NOTAUTH, unknownKey(tsig)); // this server has no keys (RFC 8945 §5.2.1)
    if (edns && edns.version > 0) return fail(rcodes.BADVERS); // RFC 6891 §6.1.3
    if (question.class !== classes.IN && question.class !== classes.ANY) return fail(rcodes.REFUSED);
    if (this.#forwards && flags.rd && !findZone(this.#zones, question.name)) return { kind: "forward", query, limit };
    return response(success(query, limit, answer(this.#zones, question)));
  }
}

const empty = { answers: [], authority: [], additional: [] };

const response = (bytes: Uint8Array): QueryOutcome => ({ kind: "response", bytes });

/** A query as far as it can be decoded: with `error`, all but its OPT record. `undefined` when it cannot. */
function tryDecode(packet: Uint8Array): Message & { error?: EdnsError } | undefined {
  try {
    return decode(packet);
  } catch (error) {
    if (error instanceof EdnsError) return { ...error.query, error };
    if (!(error instanceof FormatError)) throw error;
    return undefined;
  }
}

/** A response that is only a header, to a query that cannot be decoded. */
function headerOnly(query: Uint8Array, rcode: number): Uint8Array {
  const bytes = new Uint8Array(12);
  bytes.set(query.subarray(0, 2)); // the id
  bytes[2] = 0x80 | (query[2] ?? 0) & 0x79; // QR, and the opcode and RD of the query
  bytes[3] = rcode;
  return bytes;
}

/** A client that sent an OPT record gets one, any other gets none (RFC 6891 §6.1.1). */
function withOpt(message: Message, edns: Message["edns"]): Message {
  return edns ? { ...message, edns: { size: UDP_PAYLOAD, version: 0, dnssecOk: edns.dnssecOk } } : message;
}

function success({ id, flags, questions, edns }: Message, limit: number, answer: Answer): Uint8Array {
  const { rcode, authoritative, answers, authority, additional, glue } = answer;
  // No server is authoritative for all classes at once (RFC 1035 §6.2).
  const aa = authoritative && questions[0]?.class !== classes.ANY;
  const message = { id, flags: { ...responseFlags(flags, rcode), aa }, questions, answers, authority, additional };
  return encode(withOpt(message, edns), limit, glue);
}

function failure(
  { id, flags, questions, edns }: Message,
  limit: number,
  rcode: number,
  tsig?: ResourceRecord,
): Uint8Array {
  const message = { ...empty, id, flags: responseFlags(flags, rcode), questions: questions.slice(0, 1) };
  const bytes = encode({ ...withOpt(message, edns), ...tsig && { tsig } }, limit);
  return bytes.length <= limit ? bytes : encode(withOpt(message, edns), limit);
}

/** The TSIG record of a response to a query with this one: without a signature, because there is no key for it. */
function unknownKey(tsig: ResourceRecord): ResourceRecord {
  const [algorithm = ".", time = new Uint8Array(6), fudge = 0, , id = 0] = tsig.data;
  const none = new Uint8Array();
  return { ...tsig, class: classes.ANY, ttl: 0, data: [algorithm, time, fudge, none, id, BADKEY, none] };
}

/** The flags of a response to a query with these flags (RFC 1035 §4.1.1). */
export function responseFlags(query: Flags, rcode: number): Flags {
  return { ...query, qr: true, aa: false, tc: false, ra: false, ad: false, rcode };
}
