/**
 * The answer to a question: the algorithm of RFC 1034 §4.3.2, with RFC 2308 (negative answers) and RFC 8482 (ANY).
 *
 * @module
 */
import { type Question, rcodes } from "./_message.ts";
import { canonicalName, FormatError, isSubdomain, parentName, parseName } from "./_name.ts";
import type { ResourceRecord } from "./_record.ts";
import { classes, types } from "./_record_types.ts";
import { findRRset, findZone, lookUp, type Zone, type Zones } from "./_zone.ts";
import type { RRsets } from "./_zone_names.ts";

/** The response code, the AA flag and three sections. The first `glue` records of `additional` must not be omitted. */
export interface Answer {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  readonly additional: readonly ResourceRecord[];
  readonly glue?: number;
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
  const find = question.type === types.DS ? findParentZone : findZone;
  let zone = find(zones, name);
  if (!zone || question.type === types.AXFR || question.type === types.IXFR) return refused;

  // Follow the CNAME and DNAME records while they stay in our zones, and stop at a loop. All but the last step is an alias.
  const aliases: ResourceRecord[] = [];
  while (zone && aliases.length < MAX_ALIASES && !hasOwner(aliases, name)) {
    const found = lookUp(zone, name, question.type);
    if (found.kind === "delegation") return referral(zones, aliases, found.servers);
    if (found.kind === "redirection") {
      const { dname } = found;
      if (!aliases.some(({ type, name }) => type === types.DNAME && name === dname.name)) aliases.push(dname);
      const target = redirect(name, dname);
      // The name would be too long (RFC 6672 §3.2).
      if (target === undefined) return { ...empty, rcode: rcodes.YXDOMAIN, authoritative: true, answers: aliases };
      // Most clients do not know DNAME: they follow this alias, which is made for the one name (RFC 6672 §3.1).
      aliases.push({ name, type: types.CNAME, class: classes.IN, ttl: dname.ttl, data: [target] });
      if (question.type === types.CNAME || question.type === types.ANY) break;
      name = target;
      zone = find(zones, name);
      continue;
    }
    if (found.kind === "nothing") return negative(zone, aliases, rcodes.NXDOMAIN);

    const [alias] = findRRset(found.sets, types.CNAME) ?? [];
    const target = alias?.data[0];
    const set = question.type === types.ANY ? minimalSet(found.sets) : findRRset(found.sets, question.type);
    // The records of DNSSEC stand beside an alias, and are not followed.
    if (alias && typeof target === "string" && !set) {
      aliases.push(withOwner(alias, name));
      name = target;
      zone = find(zones, name);
      continue;
    }
    return set ? positive(zones, aliases, set, name) : negative(zone, aliases, rcodes.NOERROR);
  }
  // The last target is outside of our zones: the resolver continues from there.
  return { ...empty, authoritative: true, answers: aliases };
}

const empty: Answer = { rcode: rcodes.NOERROR, authoritative: false, answers: [], authority: [], additional: [] };
const refused: Answer = { ...empty, rcode: rcodes.REFUSED };

/** The zone that has the DS records of a name: above the zone that begins there, if that is ours (RFC 4035 §3.1.4.1). */
function findParentZone(zones: Zones, name: string): Zone | undefined {
  const zone = findZone(zones, name);
  const parent = parentName(name);
  if (zone?.origin !== canonicalName(name) || parent === undefined) return zone;
  const above = findZone(zones, parent);
  return above && lookUp(above, name, types.DS).kind === "records" ? above : zone;
}

/** The name with the DNAME's owner at its end replaced by the DNAME's target; `undefined` when that is too long. */
function redirect(name: string, { name: owner, data: [target] }: ResourceRecord): string | undefined {
  // In lower case: the client may have chosen the case of its question at random.
  const labels = canonicalName(owner === "." ? name : name.slice(0, -owner.length));
  const redirected = target === "." ? labels : `${labels}${target}`;
  try {
    parseName(redirected);
    return redirected;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return undefined;
  }
}

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
  // Without the addresses of the servers inside of the other zone nobody could reach them (RFC 9471 §3).
  const cut = canonicalName(servers[0]?.name ?? ".");
  const found = addresses(zones, servers);
  const glue = found.filter(({ name }) => isSubdomain(canonicalName(name), cut));
  const additional = [...glue, ...found.filter((record) => !glue.includes(record))];
  return { rcode: rcodes.NOERROR, authoritative, answers, authority: servers, additional, glue: glue.length };
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

function hasOwner(aliases: readonly ResourceRecord[], name: string): boolean {
  return aliases.some((alias) => alias.type === types.CNAME && canonicalName(alias.name) === canonicalName(name));
}

/** The addresses of the hosts that NS, MX and SRV records name, as far as our zones have them. */
function addresses(zones: Zones, set: readonly ResourceRecord[]): ResourceRecord[] {
  const type = set[0]?.type;
  if (type !== types.NS && type !== types.MX && type !== types.SRV) return [];
  const found: ResourceRecord[] = [];
  for (const { data } of set) {
    const host = data.at(-1);
    if (typeof host !== "string") continue;
    const names = findZone(zones, host)?.names;
    found.push(...names?.getSet(host, types.A) ?? [], ...names?.getSet(host, types.AAAA) ?? []);
  }
  return found;
}
