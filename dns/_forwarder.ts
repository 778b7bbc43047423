/**
 * Forwards questions outside of our zones to another resolver, and caches the responses for their TTL.
 *
 * @module
 */
import { Failure } from "../cli.ts";
import { encode, type Message, type Question, rcodes, UDP_PAYLOAD } from "./_message.ts";
import { canonicalName } from "./_name.ts";
import type { ResourceRecord } from "./_record.ts";
import { responseFlags } from "./_responder.ts";

/** Asks the other resolver. Fails with a `Failure` when it does not answer. */
export type Ask = (question: Question) => Promise<Message>;

/** A cached response; times in milliseconds since the start of the program. */
interface CacheEntry {
  readonly message: Message;
  readonly storedAt: number;
  readonly expiresAt: number;
}

const MAX_CACHED = 10_000;
const MAX_PENDING = 200;
const MAX_TTL = 86_400; // seconds

/** Answers in place of another resolver. */
export class Forwarder {
  readonly #ask: Ask;
  readonly #cache = new Map<string, CacheEntry>();
  readonly #pending = new Map<string, Promise<Message | undefined>>();

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** The response to a query; SERVFAIL when the other resolver does not answer (RFC 1035 §4.1.1). */
  async respond(query: Message, limit: number): Promise<Uint8Array> {
    const { id, questions } = query;
    const received = questions[0] && await this.#resolve(questions[0]);
    const { answers = [], authority = [] } = received ?? {};
    const flags = { ...responseFlags(query.flags, received?.flags.rcode ?? rcodes.SERVFAIL), ra: true };
    const message = { id, flags, questions, answers, authority, additional: [] };
    const withOpt = query.edns && { ...message, edns: { size: UDP_PAYLOAD, version: 0, dnssecOk: false } };
    return encode(withOpt ?? message, limit);
  }

  /** The other resolver's response, from the cache if it is there; `undefined` when there is none. */
  async #resolve(question: Question): Promise<Message | undefined> {
    const key = `${canonicalName(question.name)} ${question.type} ${question.class}`;
    const cached = this.#cache.get(key);
    const now = performance.now();
    if (cached && cached.expiresAt > now) return withAge(cached.message, Math.floor((now - cached.storedAt) / 1000));
    // Identical concurrent questions share one query: each outstanding query is another chance for a forged response
    // (RFC 5452 §5).
    const pending = this.#pending.get(key);
    if (pending) return await pending;
    if (this.#pending.size >= MAX_PENDING) return undefined;
    const response = this.#query(key, question).finally(() => this.#pending.delete(key));
    this.#pending.set(key, response);
    return await response;
  }

  async #query(key: string, question: Question): Promise<Message | undefined> {
    try {
      const message = await this.#ask(question);
      this.#store(key, message);
      return message;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      console.error(`forward: ${error.message}`);
      return undefined;
    }
  }

  #store(key: string, message: Message): void {
    const { rcode } = message.flags;
    if (rcode !== rcodes.NOERROR && rcode !== rcodes.NXDOMAIN) return;
    // A negative response has no answers; the TTL of its SOA record then says how long to cache it (RFC 2308 §5).
    const records = message.answers.length > 0 ? message.answers : message.authority;
    if (records.length === 0) return;
    const ttl = Math.min(MAX_TTL, ...records.map((record) => record.ttl));
    if (ttl === 0) return;
    const [oldest] = this.#cache.keys();
    if (this.#cache.size >= MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
    const storedAt = performance.now();
    this.#cache.set(key, { message, storedAt, expiresAt: storedAt + ttl * 1000 });
  }
}

/** A message that was cached for `age` seconds: its TTLs are lower by as much. */
function withAge(message: Message, age: number): Message {
  const older = (records: readonly ResourceRecord[]) =>
    records.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - age) }));
  return { ...message, answers: older(message.answers), authority: older(message.authority) };
}
