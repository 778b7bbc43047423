/**
 * The answer to a question: the algorithm of RFC 1034 §4.3.2, with RFC 2308 (negative answers) and RFC 8482 (ANY).
 *
 * @module
 */
import { type Question, rcodes } from "./_message.ts";
import { canonicalName } from "./_name.ts";
import type { ResourceRecord } from "./_record.ts";
import { classes, types } from "./_record_types.ts";
import { findRRset, findZone, lookUp, type RRsets, type Zone, type Zones } from "./_zone.ts";

/** The response code, the AA flag and three sections. */
export interface Answer {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  readonly additional: readonly ResourceRecord[];
}

/** How many aliases in a row are followed. */
const MAX_ALIASES = 16;

/**
 * Answers a question from the zones: with records, a referral, NODATA, NXDOMAIN, or REFUSED for a name in none of them.
 *
 * ```ts
 * const zone = parseZone(await Deno.readTextFile("dns/example.com.zone"));
 * answer(new Map([[zone.origin, zone]]), { name: "www.example.com.", type: 1, class: 1 });
 * ```
 */
export function answer(zones: Zones, question: Question): Answer {
  let { name } = question;
  let zone = findZone(zones, name);
  if (!zone || question.type === types.AXFR || question.type === types.IXFR) return refused;

  // Follow the CNAME records while they stay in our zones, and stop at a loop. All but the last step is an alias.
  const aliases: ResourceRecord[] = [];
  while (zone && aliases.length < MAX_ALIASES && !hasOwner(aliases, name)) {
    const found = lookUp(zone, name);
    if (found.kind === "delegation") return referral(zones, aliases, found.servers);
    if (found.kind === "nothing") return negative(zone, aliases, rcodes.NXDOMAIN);

    const [alias] = findRRset(found.sets, types.CNAME) ?? [];
    const target = alias?.data[0];
    const isFinal = typeof target !== "string" || question.type === types.CNAME || question.type === types.ANY;
    if (alias && !isFinal) {
      aliases.push(withOwner(alias, name));
      name = target;
      zone = findZone(zones, name);
      continue;
    }
    const set = question.type === types.ANY ? minimalSet(found.sets) : findRRset(found.sets, question.type);
    return set ? positive(zones, aliases, set, name) : negative(zone, aliases, rcodes.NOERROR);
  }
  // The last target is outside of our zones: the resolver continues from there.
  return { rcode: rcodes.NOERROR, authoritative: true, answers: aliases, authority: [], additional: [] };
}

const refused: Answer = { rcode: rcodes.REFUSED, authoritative: false, answers: [], authority: [], additional: [] };

function positive(zones: Zones, aliases: ResourceRecord[], set: ResourceRecord[], name: string): Answer {
  const answers = aliases;
  for (const record of set) answers.push(withOwner(record, name));
  return { rcode: rcodes.NOERROR, authoritative: true, answers, authority: [], additional: addresses(zones, set) };
}

/** NXDOMAIN, or NODATA: NOERROR without an answer. The SOA record's TTL says how long it may be cached (RFC 2308 §3). */
function negative({ soa }: Zone, answers: ResourceRecord[], rcode: number): Answer {
  const minimum = soa.data[6];
  const ttl = typeof minimum === "number" ? Math.min(soa.ttl, minimum) : soa.ttl;
  return { rcode, authoritative: true, answers, authority: [{ ...soa, ttl }], additional: [] };
}

/** The servers of another zone. AA applies to the aliases before the zone cut; a referral alone is not authoritative. */
function referral(zones: Zones, answers: ResourceRecord[], servers: ResourceRecord[]): Answer {
  const authoritative = answers.length > 0;
  const additional = addresses(zones, servers);
  return { rcode: rcodes.NOERROR, authoritative, answers, authority: servers, additional };
}

/** The answer to ANY: the CNAME if there is one, else a made-up HINFO record (RFC 8482 §4.2). */
function minimalSet(sets: RRsets): ResourceRecord[] | undefined {
  if (sets.length === 0) return undefined;
  const data = [new TextEncoder().encode("RFC8482"), new Uint8Array()];
  return findRRset(sets, types.CNAME) ?? [{ name: "", type: types.HINFO, class: classes.IN, ttl: 3600, data }];
}

/** The record under another name: a wildcard's for the name in the question, or with its letters as in the question. */
function withOwner(record: ResourceRecord, name: string): ResourceRecord {
  return record.name === name ? record : { ...record, name };
}

function hasOwner(records: readonly ResourceRecord[], name: string): boolean {
  return records.some((record) => canonicalName(record.name) === canonicalName(name));
}

/** The addresses of the hosts that NS, MX and SRV records name, as far as our zones have them. */
function addresses(zones: Zones, set: readonly ResourceRecord[]): ResourceRecord[] {
  const type = set[0]?.type;
  if (type !== types.NS && type !== types.MX && type !== types.SRV) return [];
  const found: ResourceRecord[] = [];
  for (const { data } of set) {
    const host = data.at(-1);
    if (typeof host !== "string") continue;
    const sets = findZone(zones, host)?.names.get(canonicalName(host));
    found.push(...findRRset(sets, types.A) ?? [], ...findRRset(sets, types.AAAA) ?? []);
  }
  return found;
}
