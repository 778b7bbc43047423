/**
 * The walk from the root of the name space to an answer, as a resolver does it (RFC 1034 §5.3.3): a server of the root refers
 * to the servers of a zone below, one of those to the next zone, until one answers. It asks through a function, and touches
 * no socket; `_walk_outcome.ts` judges the responses, `_print_walk.ts` draws the tree.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";
import type { QueryResult } from "./_exchange.ts";
import { type Question, rcodes } from "./_message.ts";
import { canonicalName, parentName } from "./_name.ts";
import { printData, type ResourceRecord } from "./_record.ts";
import { typeName, types } from "./_record_types.ts";
import { type Delegation, judge, type NameServer, type Outcome } from "./_walk_outcome.ts";

/** The walk of one question. Zones that it has seen are known from then on, as in the cache of a resolver. */
export class Walk {
  readonly #ask: Ask;
  readonly #zones = new Map<string, Delegation>();
  readonly #end: number;
  /** Queries that were sent so far. */
  queries = 0;

  /** `seconds`: how long the whole walk may take; 0: no limit. */
  constructor(rootServer: string, ask: Ask, seconds: number) {
    this.#ask = ask;
    this.#end = seconds === 0 ? Infinity : performance.now() + seconds * 1000;
    const servers = [{ name: ROOT_SERVER, glue: [rootServer], ignored: [] }];
    this.#zones.set(".", { zone: ".", servers, omitted: 0 });
  }

  /** Walks to the answer, and on from each alias that leads to another name. `pending`: the lookups that wait for this one. */
  async resolve(question: Question, tree: WalkTree, pending: readonly string[] = []): Promise<WalkAnswer> {
    const records: ResourceRecord[] = [];
    const names = new Set<string>();
    let at = { question, tree };
    while (true) {
      const name = canonicalName(at.question.name);
      if (names.has(name)) throw at.tree.fail(`the aliases lead back to ${name}: a loop`);
      if (names.size > MAX_ALIASES) throw at.tree.fail(`more than ${MAX_ALIASES} aliases in a row`);
      names.add(name);
      const { outcome, tree } = await this.#descend(at.question, at.tree, pending);
      if (outcome.kind === "nothing") return { rcode: outcome.rcode, records };
      records.push(...outcome.records);
      if (outcome.kind === "answer") return { rcode: rcodes.NOERROR, records };
      const next = { ...question, name: outcome.target };
      at = { question: next, tree: tree.lookup(next, this.#deepestZone(next).zone, "alias") };
    }
  }

  /** Asks the servers of one zone after another, each below the one before it. */
  async #descend(question: Question, tree: WalkTree, pending: readonly string[]): Promise<Found> {
    let [cut, below] = [this.#deepestZone(question), tree];
    while (true) {
      const { outcome, tree } = await this.#askZone(cut, question, below, pending);
      if (outcome.kind !== "referral") return { outcome, tree };
      this.#zones.set(outcome.to.zone, outcome.to);
      [cut, below] = [outcome.to, tree];
    }
  }

  /** Asks the servers of a zone one after another, until one answers for it. A resolver would begin with the fastest. */
  async #askZone(cut: Delegation, question: Question, tree: WalkTree, pending: readonly string[]) {
    let last = "none has an address";
    for await (const [server, address] of this.#addresses(cut, tree, pending)) {
      if (this.queries >= MAX_QUERIES) throw tree.fail(`no answer after ${MAX_QUERIES} queries`);
      if (performance.now() > this.#end) throw tree.fail("the time of this walk is over");
      this.queries += 1;
      const { zone } = cut;
      const { outcome, result } = await this.#askServer(address, question, zone);
      const source = zone === "." ? "given" : server.glue.length > 0 ? "glue" : "lookup";
      const child = tree.step({ zone, server: server.name, address, source, result, outcome });
      if (outcome.kind !== "lame") return { outcome, tree: child };
      last = `${address}: ${outcome.why}`;
    }
    throw tree.fail(`no server of ${cut.zone} answers for it; ${last}`);
  }

  async #askServer(address: string, question: Question, zone: string): Promise<Asked> {
    try {
      const result = await this.#ask(address, question);
      return { result, outcome: judge(result.message, question, zone) };
    } catch (error) {
      // A server that does not answer is no reason to give up; a missing permission is.
      if (!(error instanceof Failure) || error.code !== 1) throw error;
      return { result: undefined, outcome: { kind: "lame", why: error.message } };
    }
  }

  /** The addresses of a zone's servers: first those that the zone above gave along, then those that must be looked up. */
  async *#addresses({ servers }: Delegation, tree: WalkTree, pending: readonly string[]): AsyncGenerator<Address> {
    for (const server of servers) for (const address of server.glue) yield [server, address];
    for (const server of servers.filter(({ glue }) => glue.length === 0).slice(0, MAX_LOOKUPS)) {
      const question = { name: server.name, type: types.A, class: 1 };
      const below = tree.lookup(question, this.#deepestZone(question).zone, "address");
      try {
        // Two zones may each have their only server in the other one: neither can be reached.
        if (pending.includes(server.name)) throw below.fail("a loop: this lookup has begun above");
        if (pending.length >= MAX_DEPTH) throw below.fail(`more than ${MAX_DEPTH} lookups that wait for each other`);
        const { records } = await this.resolve(question, below, [...pending, server.name]);
        for (const { type, data } of records) if (type === types.A) yield [server, printData(type, data)];
      } catch (error) {
        if (!(error instanceof DeadEnd)) throw error; // and try the next server
      }
    }
  }

  /** The zone nearest to the name whose servers are known. The DS records of a zone are in the zone above it (RFC 4035 §3.1.4.1). */
  #deepestZone({ name, type }: Question): Delegation {
    const canonical = canonicalName(name);
    let at: string | undefined = type === types.DS ? parentName(canonical) : canonical;
    for (; at !== undefined; at = parentName(at)) {
      const known = this.#zones.get(at);
      if (known) return known;
    }
    throw new Error("the root is always known");
  }
}

/** Sends one question to the server at an address. @throws {Failure} when it does not answer. */
export type Ask = (address: string, question: Question) => Promise<QueryResult>;

/** Where the steps of a walk are shown. */
export interface WalkTree {
  /** A server was asked. Returns the place for what follows from its response. */
  step(step: Step): WalkTree;
  /** A lookup begins here, from a zone that is known: of an alias, or of the address of a server. */
  lookup(question: Question, from: string, reason: "alias" | "address"): WalkTree;
  /** The lookup ends here without an answer. Returns what to throw. */
  fail(why: string): DeadEnd;
}

/** One server, and what came of asking it. */
export interface Step {
  readonly zone: string;
  readonly server: string;
  readonly address: string;
  /** Where the address comes from. */
  readonly source: "given" | "glue" | "lookup";
  /** The response; `undefined` when there was none. */
  readonly result: QueryResult | undefined;
  readonly outcome: Outcome;
}

/** What a walk has found: all records on the way, the aliases first. */
export interface WalkAnswer {
  readonly rcode: number;
  readonly records: readonly ResourceRecord[];
}

/** A lookup that cannot go on. */
export class DeadEnd extends Failure {
  constructor(question: Question, why: string) {
    super(`${printable(question.name)} ${typeName(question.type)}: ${printable(why)}`);
  }
}

type Address = [server: NameServer, address: string];
type Asked = { outcome: Outcome; result: QueryResult | undefined };
type Found = { outcome: Exclude<Outcome, { kind: "referral" | "lame" }>; tree: WalkTree };

/** What the first server is called: only its address is known. */
const ROOT_SERVER = "root server";

// The owner of a zone decides how many servers, aliases and lookups there are on the way: all of them have a limit.
const MAX_QUERIES = 100;
const MAX_ALIASES = 16;
/** Servers of one zone whose addresses are looked up (against the NXNS attack). */
const MAX_LOOKUPS = 3;
/** Lookups that wait for each other. */
const MAX_DEPTH = 4;
