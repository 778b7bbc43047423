/**
 * From the bytes of a query to the bytes of its response. It touches no socket.
 *
 * @module
 */
import { type Answer, answer } from "./_answer.ts";
import { decode, encode, type Flags, headerResponse, type Message, rcodes, UDP_PAYLOAD } from "./_message.ts";
import { FormatError } from "./_name.ts";
import { classes } from "./_record_types.ts";
import { ResponseCache } from "./_response_cache.ts";
import { findZone, type Zones } from "./_zone.ts";

/** The largest UDP payload for a client without EDNS (RFC 1035 §4.2.1). */
const PLAIN_LIMIT = 512;
const MAX_MESSAGE = 65535;

/** The outcome of a query: a response, a query to forward, or nothing. */
export type QueryOutcome =
  | { readonly kind: "response"; readonly bytes: Uint8Array }
  | { readonly kind: "forward"; readonly query: Message; readonly limit: number }
  | { readonly kind: "nothing" };

/** Answers queries from zones, and caches its responses over UDP. */
export class Responder {
  #zones: Zones;
  readonly #forwards: boolean;
  readonly #cache = new ResponseCache();

  /** `forwards`: forward questions outside of the zones instead of answering REFUSED. */
  constructor(zones: Zones, forwards: boolean) {
    this.#zones = zones;
    this.#forwards = forwards;
  }

  /** Replaces the zones. */
  reload(zones: Zones): void {
    this.#zones = zones;
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
    const cached = this.#cache.get(packet);
    if (cached) return { kind: "response", bytes: cached };
    const outcome = this.#decide(packet, udp);
    if (outcome.kind === "response") this.#cache.set(packet, outcome.bytes);
    return outcome;
  }

  #decide(packet: Uint8Array, udp: boolean): QueryOutcome {
    const query = tryDecode(packet);
    if (!query) return header(packet, rcodes.FORMERR);
    const { flags, questions, edns } = query;
    if (flags.opcode !== 0) return header(packet, rcodes.NOTIMP);
    const [question] = questions;
    if (!question || questions.length > 1) return header(packet, rcodes.FORMERR);

    const limit = udp ? Math.min(Math.max(edns?.size ?? 0, PLAIN_LIMIT), UDP_PAYLOAD) : MAX_MESSAGE;
    if (edns && edns.version > 0) return respondTo(query, limit, { ...empty, rcode: rcodes.BADVERS }); // RFC 6891 §6.1.3
    if (question.class !== classes.IN && question.class !== classes.ANY) {
      return respondTo(query, limit, { ...empty, rcode: rcodes.REFUSED });
    }
    if (this.#forwards && flags.rd && !findZone(this.#zones, question.name)) return { kind: "forward", query, limit };
    return respondTo(query, limit, answer(this.#zones, question));
  }
}

const empty = { authoritative: false, answers: [], authority: [], additional: [] };

function tryDecode(packet: Uint8Array): Message | undefined {
  try {
    return decode(packet);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return undefined;
  }
}

function header(packet: Uint8Array, rcode: number): QueryOutcome {
  return { kind: "response", bytes: headerResponse(packet, { rcode }) };
}

function respondTo({ id, flags, questions, edns }: Message, limit: number, answer: Answer): QueryOutcome {
  const { rcode, authoritative, answers, authority, additional } = answer;
  const responded = { ...responseFlags(flags, rcode), aa: authoritative };
  const message = { id, flags: responded, questions, answers, authority, additional };
  // A client that sent an OPT record gets one, any other gets none (RFC 6891 §6.1.1).
  const withOpt = edns && { ...message, edns: { size: UDP_PAYLOAD, version: 0, dnssecOk: edns.dnssecOk } };
  return { kind: "response", bytes: encode(withOpt ?? message, limit) };
}

/** The flags of a response to a query with these flags (RFC 1035 §4.1.1). */
export function responseFlags(query: Flags, rcode: number): Flags {
  return { ...query, qr: true, aa: false, tc: false, ra: false, ad: false, rcode };
}
