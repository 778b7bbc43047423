/**
 * One question to one server: the queries that were sent, the time that is left, and which packet is the response.
 *
 * @module
 */
import { Failure, formatAddress, type Tracing } from "../cli.ts";
import { showMessage } from "../tcp/_trace.ts";
import { showFields } from "./_dissect.ts";
import { type Message, type Question, rcodes } from "./_message.ts";
import { buildQuery, decodeResponse, findQuery, type Query, randomizeCase } from "./_query_message.ts";
import { isSameAddress } from "./_server_address.ts";

/** How to ask. */
export interface QueryOptions {
  /** Seconds to wait for a response, all attempts together. 0: no limit. */
  readonly timeout: number;
  /** Use TCP from the start. */
  readonly tcp?: boolean;
  /** Recursion desired (RD): the server may ask other servers. The default. */
  readonly recurse?: boolean;
  /** Shows what is sent and received. */
  readonly tracing?: Tracing;
}

/** A response, and how it came. */
export interface QueryResult {
  readonly message: Message;
  /** Its bytes. */
  readonly size: number;
  /** How many of them follow the end of the message. */
  readonly extra: number;
  /** Milliseconds from the query to its response. */
  readonly time: number;
  readonly transport: "UDP" | "TCP";
}

/** Times that a query is sent over UDP. Without a time limit, it is sent until there is a response. */
const ATTEMPTS = 3;
/** Seconds between two attempts without a time limit. */
const INTERVAL = 2;

/** What one call of `ask` knows. */
export class Exchange {
  readonly server: Deno.NetAddr;
  readonly tracing: Tracing;
  readonly #question: Question;
  readonly #options: QueryOptions;
  readonly #end: number;
  /** All queries stay valid to the end: the response to an earlier one may only be late. */
  #sent: (Query & { time: number; transport: "UDP" | "TCP" })[] = [];
  #ignored = "";
  #edns = true;

  constructor(server: Deno.NetAddr, question: Question, options: QueryOptions) {
    this.server = server;
    this.tracing = options.tracing ?? { trace: "", pcap: "" };
    this.#question = question;
    this.#options = options;
    this.#end = performance.now() + options.timeout * 1000;
  }

  /** Seconds until the time limit; 0: there is none. */
  get secondsLeft(): number {
    return this.#options.timeout === 0 ? 0 : Math.max(0.001, (this.#end - performance.now()) / 1000);
  }

  /** Whether there is one more attempt over UDP after so many. */
  mayTry(attempts: number): boolean {
    return attempts < ATTEMPTS || this.#options.timeout === 0;
  }

  /** Seconds that this attempt over UDP may take: its share of the time that is left. */
  patience(attempt: number): number {
    return this.secondsLeft === 0 ? INTERVAL : this.secondsLeft / Math.max(1, ATTEMPTS + 1 - attempt);
  }

  /** The bytes of the next query over UDP. Some servers do not keep the case of a name: the last attempt leaves it as it is. */
  nextDatagram(attempt: number): Uint8Array<ArrayBuffer> {
    return this.#next("UDP", attempt < ATTEMPTS ? randomizeCase(this.#question) : this.#question);
  }

  /** The bytes of the query over TCP. */
  nextStream(): Uint8Array<ArrayBuffer> {
    return this.#next("TCP", this.#question);
  }

  #next(transport: "UDP" | "TCP", question: Question): Uint8Array<ArrayBuffer> {
    const query = buildQuery(question, this.#options.recurse ?? true, this.#edns);
    this.#sent = [...this.#sent, { ...query, time: performance.now(), transport }].slice(-ATTEMPTS);
    return query.bytes;
  }

  /** The result, if these bytes are the response; otherwise they are ignored. */
  accept(packet: Uint8Array, from: Deno.Addr): QueryResult | undefined {
    const time = performance.now();
    if (!("hostname" in from)) return undefined;
    const query = isSameAddress(from, this.server) ? findQuery(packet, this.#sent) : "it comes from another address";
    if (typeof query === "string") {
      this.#ignored = query;
      const nothing = { data: new Uint8Array(), note: `ignored: ${query}` };
      showMessage(this.tracing, { side: "client", transport: "udp", from: formatAddress(from), to: "", ...nothing });
      return undefined;
    }
    showFields(packet, this.tracing.trace);
    const response = decodeResponse(packet, this.#question);
    return { ...response, size: packet.length, time: time - query.time, transport: query.transport };
  }

  /** Whether to ask again without EDNS: an old server does not understand the OPT record (RFC 6891 §7). Then `edns` is off. */
  retriesWithoutEdns({ message: { flags, edns } }: QueryResult): boolean {
    const isRejected = (flags.rcode === rcodes.FORMERR || flags.rcode === rcodes.NOTIMP) && edns === undefined;
    const retries = this.#edns && isRejected;
    if (retries) [this.#edns, this.#sent] = [false, []];
    return retries;
  }

  /** No response came over UDP. */
  noAnswer(): Failure {
    const { timeout } = this.#options;
    const ignored = this.#ignored && `; the last packet was ignored: ${this.#ignored}`;
    return new Failure(`no answer from ${formatAddress(this.server)} in ${timeout} s (${ATTEMPTS} tries)${ignored}`);
  }

  /** No response came over TCP, or a wrong one. */
  noStream(): Failure {
    const at = formatAddress(this.server);
    if (this.#ignored) return new Failure(`${at} sent a wrong answer over TCP: ${this.#ignored}`);
    return new Failure(`no answer from ${at} over TCP in ${this.#options.timeout} s`);
  }
}
