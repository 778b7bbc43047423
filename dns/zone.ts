/**
 * A zone and the answers from it: the algorithm of RFC 1034 §4.3.2, with RFC 2308 (negative answers), RFC 4592 (wildcards)
 * and RFC 8482 (ANY).
 *
 * @module
 */
import { parseMasterFile, ZoneError } from "./master_file.ts";
import { type Question, rcodes } from "./message.ts";
import { type ResourceRecord, typeNumber } from "./record.ts";
import { isWithin, parent, same } from "./wire.ts";

const type = (name: string): number => {
  const number = typeNumber(name);
  if (number === undefined) throw new TypeError(`no type ${name}`);
  return number;
};
const [A, AAAA, NS, CNAME, SOA, MX, SRV, HINFO, ANY, AXFR, IXFR] = //
  ["A", "AAAA", "NS", "CNAME", "SOA", "MX", "SRV", "HINFO", "ANY", "AXFR", "IXFR"].map(type);

/**
 * All records of a name, those of one type together: a list, for few names have more than a few types, and a map for each
 * would take the most of the memory. A name that only has names below it has none (an empty non-terminal).
 */
type Node = ResourceRecord[][];

/** The records of one type. */
const setOf = (node: Node | undefined, type = 0) => node?.find((set) => set[0]?.type === type);

/** The part of the name space that one SOA record begins. */
export interface Zone {
  /** As `same` has it. */
  readonly origin: string;
  readonly soa: ResourceRecord;
  readonly nodes: ReadonlyMap<string, Node>;
}

/** What is to be said to a question. */
export interface Answer {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  readonly additional: readonly ResourceRecord[];
}

/**
 * Reads the zone in a master file.
 *
 * @throws {ZoneError} when a line is wrong, when there is not one SOA record, or when the records contradict one another.
 */
export function parseZone(text: string): Zone {
  const records = parseMasterFile(text);
  const soas = records.filter(({ record }) => record.type === SOA);
  if (!soas[0]) throw new ZoneError(records.at(-1)?.line ?? 1, "expected an SOA record");
  if (soas[1]) throw new ZoneError(soas[1].line, "expected only one SOA record");
  const soa = soas[0].record;
  const origin = same(soa.name);
  const nodes = new Map<string, Node>();
  for (const { record, line } of records) {
    const name = same(record.name);
    if (!isWithin(name, origin)) throw new ZoneError(line, `expected a name in ${origin}, not ${record.name}`);
    let node = nodes.get(name);
    if (!node) {
      nodes.set(name, node = []);
      for (let above = parent(name); above !== undefined && above.length >= origin.length; above = parent(above)) {
        if (nodes.has(above)) break;
        nodes.set(above, []);
      }
    }
    const set = setOf(node, record.type);
    // RFC 1034 §3.6.2: an alias is an alias and nothing else.
    const alias = record.type === CNAME || setOf(node, CNAME) !== undefined;
    if (alias && node.length > 0) {
      throw new ZoneError(line, `expected no other record beside the CNAME of ${record.name}`);
    }
    if (!set) node.push([record]);
    else set.push({ ...record, ttl: set[0]?.ttl ?? record.ttl }); // RFC 2181 §5.2: one TTL a set
  }
  if (!setOf(nodes.get(origin), NS)) throw new ZoneError(soas[0].line, `expected an NS record for ${soa.name}`);
  return { origin, soa, nodes };
}

/** The zone of a name: the one whose origin is nearest above it. */
export function zoneOf(zones: ReadonlyMap<string, Zone>, name: string): Zone | undefined {
  for (let at: string | undefined = same(name); at !== undefined; at = parent(at)) {
    const zone = zones.get(at);
    if (zone) return zone;
  }
}

/**
 * Answers a question from the zones: an answer, a referral, NODATA, NXDOMAIN, or REFUSED for what is in none of them.
 *
 * ```ts
 * const zone = parseZone(await Deno.readTextFile("dns/example.com.zone"));
 * answer(new Map([[zone.origin, zone]]), { name: "www.example.com.", type: 1, class: 1 });
 * ```
 */
export function answer(zones: ReadonlyMap<string, Zone>, question: Question): Answer {
  const answers: ResourceRecord[] = [];
  const none = { answers, authority: [], additional: [] };
  let name = question.name;
  let zone = zoneOf(zones, name);
  if (!zone || question.type === AXFR || question.type === IXFR) {
    return { rcode: rcodes.REFUSED, authoritative: false, ...none };
  }
  // A chain of aliases is followed as far as it stays here, and until it comes back to where it has been: every answer so
  // far is an alias.
  const been = () => answers.some((alias) => same(alias.name) === same(name));
  while (answers.length < 16 && !been()) {
    const found = find(zone, name);
    if (found.kind === "referral") {
      const additional = addresses(zones, found.servers);
      // What came before the cut is authoritative, the referral itself is not.
      const authoritative = answers.length > 0;
      return { rcode: rcodes.NOERROR, authoritative, answers, authority: found.servers, additional };
    }
    if (found.kind === "none") {
      return { rcode: rcodes.NXDOMAIN, authoritative: true, ...none, authority: [negativeSoa(zone)] };
    }
    const as = (record: ResourceRecord) => record.name === name ? record : { ...record, name };
    const alias = setOf(found.node, CNAME)?.[0];
    if (question.type === ANY && found.node.length > 0) {
      answers.push(as(minimal(found.node, name)));
      return { rcode: rcodes.NOERROR, authoritative: true, ...none };
    }
    if (!alias || question.type === CNAME) {
      const set = setOf(found.node, question.type);
      if (!set) return { rcode: rcodes.NOERROR, authoritative: true, ...none, authority: [negativeSoa(zone)] };
      for (const record of set) answers.push(as(record));
      return { rcode: rcodes.NOERROR, authoritative: true, answers, authority: [], additional: addresses(zones, set) };
    }
    answers.push(as(alias));
    const target = alias.data[0];
    if (typeof target !== "string") break;
    name = target;
    const next = zoneOf(zones, name);
    if (!next) break; // the alias leads out of here: whoever asked goes on from there
    zone = next;
  }
  return { rcode: rcodes.NOERROR, authoritative: true, ...none };
}

type Found =
  | { readonly kind: "node"; readonly node: Node }
  | { readonly kind: "referral"; readonly servers: ResourceRecord[] }
  | { readonly kind: "none" };

function find(zone: Zone, name: string): Found {
  const wanted = same(name);
  const node = zone.nodes.get(wanted);
  // Any name between the origin and this one may be where another zone begins; the highest counts.
  let servers: ResourceRecord[] | undefined;
  let encloser: string | undefined;
  for (let at = wanted; at !== zone.origin; at = parent(at) ?? zone.origin) {
    const here = at === wanted ? node : zone.nodes.get(at);
    if (!here) continue;
    encloser ??= at;
    servers = setOf(here, NS) ?? servers;
  }
  if (servers) return { kind: "referral", servers };
  if (node) return { kind: "node", node };
  // RFC 4592 §3.3.1: the wildcard of the closest encloser, and of none above it.
  const wildcard = zone.nodes.get(star(encloser ?? zone.origin));
  return wildcard ? { kind: "node", node: wildcard } : { kind: "none" };
}

const star = (name: string) => name === "." ? "*." : `*.${name}`;

/** The SOA record of a negative answer: its TTL is how long the answer may be kept (RFC 2308 §3). */
function negativeSoa({ soa }: Zone): ResourceRecord {
  const minimum = soa.data[6];
  return typeof minimum === "number" ? { ...soa, ttl: Math.min(soa.ttl, minimum) } : soa;
}

/** The answer to ANY: a record that says that there is no more to it (RFC 8482 §4.2), or the alias that is all there is. */
function minimal(node: Node, name: string): ResourceRecord {
  const alias = setOf(node, CNAME)?.[0];
  const data = [new TextEncoder().encode("RFC8482"), new Uint8Array()];
  return alias ?? { name, type: HINFO ?? 0, class: 1, ttl: 3600, data };
}

/** The addresses of the hosts that NS, MX and SRV records name, as far as they are known here. */
function addresses(zones: ReadonlyMap<string, Zone>, records: readonly ResourceRecord[]): ResourceRecord[] {
  const result: ResourceRecord[] = [];
  for (const record of records) {
    if (record.type !== NS && record.type !== MX && record.type !== SRV) return result;
    const host = record.data.at(-1);
    if (typeof host !== "string") continue;
    const node = zoneOf(zones, host)?.nodes.get(same(host));
    result.push(...setOf(node, A) ?? [], ...setOf(node, AAAA) ?? []);
  }
  return result;
}

/** One line about a zone for the log. */
export function describe(zone: Zone): string {
  const types = new Set<number>();
  let count = 0;
  for (const node of zone.nodes.values()) {
    for (const set of node) {
      types.add(set[0]?.type ?? 0);
      count += set.length;
    }
  }
  return `${zone.origin} ${count} records of ${types.size} types, serial ${zone.soa.data[2]}`;
}
