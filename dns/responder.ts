/**
 * From the bytes of a query to the bytes of the response: what a DNS server does between its sockets.
 *
 * @module
 */
import { decode, encode, type Flags, IN, type Message, rcodes, UDP_PAYLOAD } from "./message.ts";
import { answer, type Zone, zoneOf } from "./zone.ts";
import { ResponseCache } from "./response_cache.ts";
import { FormatError } from "./wire.ts";

/** The largest UDP payload of a client that does not say (RFC 1035 §4.2.1). */
const PLAIN_LIMIT = 512;
const ANY_CLASS = 255;

/** What comes of a query: the response, or that somebody else must be asked, or nothing at all. */
export type Outcome =
  | { readonly kind: "response"; readonly bytes: Uint8Array }
  | { readonly kind: "forward"; readonly query: Message; readonly limit: number }
  | { readonly kind: "nothing" };

const none = { answers: [], authority: [], additional: [] };

/** The flags of a response to these, with this code (RFC 1035 §4.1.1). */
export function responseFlags(query: Flags, rcode: number): Flags {
  return { ...query, qr: true, aa: false, tc: false, ra: false, ad: false, rcode };
}

/** Answers queries from zones, and remembers what it said to the same bytes before. */
export class Responder {
  #zones: ReadonlyMap<string, Zone>;
  readonly #forwards: boolean;
  readonly #cache = new ResponseCache();

  /** `forwards`: what is not in a zone is for somebody else, and not REFUSED. */
  constructor(zones: ReadonlyMap<string, Zone>, forwards: boolean) {
    this.#zones = zones;
    this.#forwards = forwards;
  }

  /** Serves other zones from now on. */
  reload(zones: ReadonlyMap<string, Zone>): void {
    this.#zones = zones;
    this.#cache.clear();
  }

  /**
   * The response to a query that came over UDP or TCP. Never throws, whatever the bytes. What is said over UDP is valid until
   * the next query.
   */
  respond(packet: Uint8Array, udp: boolean): Outcome {
    // Less than a header cannot be answered; a response must not be, or two servers would talk for ever.
    if (packet.length < 12 || ((packet[2] ?? 0) & 0x80) !== 0) return { kind: "nothing" };
    const before = udp ? this.#cache.get(packet) : undefined;
    if (before) return { kind: "response", bytes: before };
    const outcome = this.#compute(packet, udp);
    if (udp && outcome.kind === "response") this.#cache.set(packet, outcome.bytes);
    return outcome;
  }

  #compute(packet: Uint8Array, udp: boolean): Outcome {
    let query: Message;
    try {
      query = decode(packet);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return { kind: "response", bytes: refusal(packet, rcodes.FORMERR) };
    }
    const { id, flags, questions, edns } = query;
    const limit = udp ? Math.min(Math.max(edns?.size ?? 0, PLAIN_LIMIT), UDP_PAYLOAD) : 65535;
    const reply = (
      rcode: number,
      sections: Omit<Message, "id" | "flags" | "questions" | "edns"> = none,
      aa = false,
    ): Outcome => {
      const message = {
        id,
        flags: { ...responseFlags(flags, rcode), aa },
        questions,
        ...sections,
        ...edns && { edns: { size: UDP_PAYLOAD, version: 0, dnssecOk: edns.dnssecOk } },
      };
      return { kind: "response", bytes: encode(message, limit) };
    };
    if (flags.opcode !== 0) return { kind: "response", bytes: refusal(packet, rcodes.NOTIMP) };
    const [question] = questions;
    if (!question || questions.length > 1) return { kind: "response", bytes: refusal(packet, rcodes.FORMERR) };
    if (edns && edns.version > 0) return reply(rcodes.BADVERS); // RFC 6891 §6.1.3
    if (question.class !== IN && question.class !== ANY_CLASS) return reply(rcodes.REFUSED);
    if (this.#forwards && flags.rd && !zoneOf(this.#zones, question.name)) return { kind: "forward", query, limit };
    const said = answer(this.#zones, question);
    return reply(said.rcode, said, said.authoritative);
  }
}

/** A response of a header only, to a query that cannot be read or is not understood. */
function refusal(packet: Uint8Array, rcode: number): Uint8Array {
  const header = new Uint8Array(12);
  header.set(packet.subarray(0, 3));
  header[2] = 0x80 | (header[2] ?? 0) & 0x79; // QR, the opcode and RD of the query
  header[3] = rcode;
  return header;
}
