/**
 * Zones: reads them from master files, and finds names in them.
 *
 * @module
 */
import { parseMasterFile, ZoneError } from "./_master_file.ts";
import { canonicalName, isSubdomain, parentName } from "./_name.ts";
import type { ResourceRecord } from "./_record.ts";
import { types } from "./_record_types.ts";

/**
 * The RRsets of a name: its records, those of one type together (RFC 2181 §5). A list, not a map: few names have more than a
 * few types, and the maps would take most of the memory. The list is empty for an empty non-terminal, a name that only has
 * names below it.
 */
export type RRsets = ResourceRecord[][];

/** The part of the name space that one SOA record begins. The names are in canonical form. */
export interface Zone {
  readonly origin: string;
  readonly soa: ResourceRecord;
  readonly names: ReadonlyMap<string, RRsets>;
}

/** The zones of a server by their origins. */
export type Zones = ReadonlyMap<string, Zone>;

/** The records of one type; `undefined` when there are none. */
export function findRRset(sets: RRsets | undefined, type: number): ResourceRecord[] | undefined {
  return sets?.find((set) => set[0]?.type === type);
}

/**
 * Reads the zone in a master file.
 *
 * @throws {ZoneError} when a line is wrong, when there is not exactly one SOA record, or when records contradict each other.
 */
export function parseZone(text: string): Zone {
  const entries = parseMasterFile(text);
  const [soaEntry, secondSoa] = entries.filter(({ record }) => record.type === types.SOA);
  if (!soaEntry) throw new ZoneError(entries.at(-1)?.line ?? 1, "expected an SOA record");
  if (secondSoa) throw new ZoneError(secondSoa.line, "expected only one SOA record");
  const soa = soaEntry.record;
  const origin = canonicalName(soa.name);
  const names = new Map<string, RRsets>();
  for (const { record, line } of entries) {
    const name = canonicalName(record.name);
    if (!isSubdomain(name, origin)) throw new ZoneError(line, `expected a name in ${origin}, not ${record.name}`);
    const sets = names.get(name) ?? addName(names, name, origin);
    if (!addRecord(sets, record)) {
      throw new ZoneError(line, `expected no other record beside the CNAME of ${record.name}`);
    }
  }
  if (!findRRset(names.get(origin), types.NS)) {
    throw new ZoneError(soaEntry.line, `expected an NS record for ${soa.name}`);
  }
  return { origin, soa, names };
}

/** Adds a name, and the names between it and the origin: they exist too, without records of their own (RFC 4592 §2.2.2). */
function addName(names: Map<string, RRsets>, name: string, origin: string): RRsets {
  const sets: RRsets = [];
  names.set(name, sets);
  for (let above = parentName(name); above !== undefined; above = parentName(above)) {
    if (above.length < origin.length || names.has(above)) break;
    names.set(above, []);
  }
  return sets;
}

/** Adds a record to its set. Returns false beside a CNAME: it must be the only record of its name (RFC 1034 §3.6.2). */
function addRecord(sets: RRsets, record: ResourceRecord): boolean {
  const isAlias = record.type === types.CNAME || findRRset(sets, types.CNAME) !== undefined;
  if (isAlias && sets.length > 0) return false;
  const set = findRRset(sets, record.type);
  if (set) set.push({ ...record, ttl: set[0]?.ttl ?? record.ttl }); // one TTL for the whole set (RFC 2181 §5.2)
  else sets.push([record]);
  return true;
}

/** The zone of a name: the one with the longest origin that is the name or above it. */
export function findZone(zones: Zones, name: string): Zone | undefined {
  for (let at: string | undefined = canonicalName(name); at !== undefined; at = parentName(at)) {
    const zone = zones.get(at);
    if (zone) return zone;
  }
}

/** What a zone has for a name: its records, a delegation to another zone's servers, or nothing. */
export type LookupResult =
  | { readonly kind: "records"; readonly sets: RRsets }
  | { readonly kind: "delegation"; readonly servers: ResourceRecord[] }
  | { readonly kind: "nothing" };

/** Looks up a name in its zone. */
export function lookUp(zone: Zone, name: string): LookupResult {
  const canonical = canonicalName(name);
  const sets = zone.names.get(canonical);
  // Walk up to the origin. On the way there may be NS records: another zone begins there. The highest of them count.
  let servers: ResourceRecord[] | undefined;
  let closestEncloser: string | undefined; // the longest name above this one that exists
  for (let at = canonical; at !== zone.origin; at = parentName(at) ?? zone.origin) {
    const here = at === canonical ? sets : zone.names.get(at);
    if (!here) continue;
    closestEncloser ??= at;
    servers = findRRset(here, types.NS) ?? servers;
  }
  if (servers) return { kind: "delegation", servers };
  if (sets) return { kind: "records", sets };
  // Only the wildcard of the closest encloser counts, none above it (RFC 4592 §3.3.1).
  const wildcard = zone.names.get(wildcardName(closestEncloser ?? zone.origin));
  return wildcard ? { kind: "records", sets: wildcard } : { kind: "nothing" };
}

const wildcardName = (name: string) => name === "." ? "*." : `*.${name}`;

/** One line about a zone for the log. */
export function describeZone(zone: Zone): string {
  const allTypes = new Set<number>();
  let count = 0;
  for (const sets of zone.names.values()) {
    for (const set of sets) {
      if (set[0]) allTypes.add(set[0].type);
      count += set.length;
    }
  }
  return `${zone.origin} ${count} records of ${allTypes.size} types, serial ${zone.soa.data[2]}`;
}
