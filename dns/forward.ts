/**
 * Asks another resolver for what is in no zone here, and keeps the answers as long as they last.
 *
 * @module
 */
import { Failure } from "../cli.ts";
import { ask } from "./ask.ts";
import { encode, type Message, rcodes, UDP_PAYLOAD } from "./message.ts";
import type { ResourceRecord } from "./record.ts";
import { responseFlags } from "./responder.ts";
import { same } from "./wire.ts";

interface Kept {
  readonly message: Message;
  /** Milliseconds since the start. */
  readonly since: number;
  readonly until: number;
}

/** How many answers are kept, and how many questions may be under way. */
const KEPT = 10_000;
const UNDER_WAY = 200;

/** A resolver that answers for this server. */
export class Forwarder {
  readonly #upstream: Deno.NetAddr;
  readonly #timeout: number;
  readonly #kept = new Map<string, Kept>();
  readonly #underWay = new Map<string, Promise<Message | undefined>>();

  constructor(upstream: Deno.NetAddr, timeout: number) {
    this.#upstream = upstream;
    this.#timeout = timeout;
  }

  /** The response to a query; SERVFAIL when the other resolver does not answer (RFC 1035 §4.1.1). */
  async respond(query: Message, limit: number): Promise<Uint8Array> {
    const [question] = query.questions;
    const said = question && await this.#ask(question);
    const edns = query.edns && { edns: { size: UDP_PAYLOAD, version: 0, dnssecOk: false } };
    const { answers = [], authority = [] } = said ?? {};
    const flags = { ...responseFlags(query.flags, said?.flags.rcode ?? rcodes.SERVFAIL), ra: true };
    return encode(
      { id: query.id, flags, questions: query.questions, answers, authority, additional: [], ...edns },
      limit,
    );
  }

  async #ask(question: Message["questions"][number]): Promise<Message | undefined> {
    const key = `${same(question.name)} ${question.type} ${question.class}`;
    const kept = this.#kept.get(key);
    const now = performance.now();
    if (kept && kept.until > now) return aged(kept.message, Math.floor((now - kept.since) / 1000));
    // The same question twice at the same time is asked once: a forger would have a chance with each.
    const already = this.#underWay.get(key);
    if (already) return await already;
    if (this.#underWay.size >= UNDER_WAY) return undefined;
    const asking = ask(this.#upstream, question, { timeout: this.#timeout }).then(({ message }) => {
      this.#keep(key, message);
      return message;
    }).catch((error) => {
      if (!(error instanceof Failure)) throw error;
      console.error(`forward: ${error.message}`);
      return undefined;
    }).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, asking);
    return await asking;
  }

  #keep(key: string, message: Message): void {
    const { rcode } = message.flags;
    if (rcode !== rcodes.NOERROR && rcode !== rcodes.NXDOMAIN) return;
    const records = message.answers.length > 0 ? message.answers : message.authority;
    if (records.length === 0) return;
    const ttl = Math.min(86_400, ...records.map(({ ttl }) => ttl)); // RFC 2308 §5 for the SOA record of a negative answer
    if (this.#kept.size >= KEPT) {
      const [oldest] = this.#kept.keys();
      if (oldest !== undefined) this.#kept.delete(oldest);
    }
    const since = performance.now();
    if (ttl > 0) this.#kept.set(key, { message, since, until: since + ttl * 1000 });
  }
}

/** A message whose records have been kept for so many seconds. */
function aged(message: Message, age: number): Message {
  const older = (records: readonly ResourceRecord[]) =>
    records.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - age) }));
  return { ...message, answers: older(message.answers), authority: older(message.authority) };
}
