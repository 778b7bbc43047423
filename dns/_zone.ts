/**
 * Zones: reads them from master files, and finds names in them.
 *
 * @module
 */
import { type Entry, type Include, noInclude, readMasterFile, ZoneError } from "./_master_file.ts";
import { canonicalName, parentName } from "./_name.ts";
import { printData, type ResourceRecord } from "./_record.ts";
import { typeName, types } from "./_record_types.ts";
import { ZoneBuilder } from "./_zone_builder.ts";
import { type RRsets, type ZoneMemory, ZoneNames } from "./_zone_names.ts";

/** The part of the name space that one SOA record begins. The origin is in canonical form. */
export interface Zone {
  readonly origin: string;
  readonly soa: ResourceRecord;
  readonly names: ZoneNames;
  /** Whether there are delegations: NS records below the origin. */
  readonly delegates: boolean;
  /** Whether there are DNAME records. */
  readonly redirects: boolean;
}

/** The zones of a server by their origins. */
export type Zones = ReadonlyMap<string, Zone>;

/** A zone in a form that can be sent to another thread, which then shares its memory. */
export type SharedZone = Omit<Zone, "names"> & { readonly memory: ZoneMemory };

export const shareZones = (zones: Zones): SharedZone[] =>
  Array.from(zones.values(), ({ names, ...zone }) => ({ ...zone, memory: names.memory }));

export const receiveZones = (zones: readonly SharedZone[]): Zones =>
  new Map(zones.map(({ memory, ...zone }) => [zone.origin, { ...zone, names: new ZoneNames(memory) }]));

/** The records of one type; `undefined` when there are none. */
export function findRRset(sets: RRsets | undefined, type: number): ResourceRecord[] | undefined {
  return sets?.find((set) => set[0]?.type === type);
}

/**
 * Reads the zone in a master file. `include` reads the files that it includes.
 *
 * @throws {ZoneError} when a line is wrong, when there is not exactly one SOA record, or when records contradict each other.
 */
export function parseZone(text: string, include: Include = noInclude): Zone {
  let builder: ZoneBuilder | undefined;
  let delegates = false;
  const known: KnownData = new WeakMap();
  const redirections: Entry[] = [];
  /** What stands before the SOA record, which is usually the first. */
  const early: Entry[] = [];
  let soaEntry: Entry | undefined;
  let origin = "";
  let last: Entry | undefined;

  const add = (record: ResourceRecord, line: number, file: string, builder: ZoneBuilder) => {
    const sets = builder.open(record.name);
    if (!sets) throw new ZoneError(line, `expected a name in ${origin}, not ${record.name}`, file);
    const isOrigin = record.name.length === origin.length; // no other name in the zone is as short
    const conflict = findConflict(sets, record, isOrigin);
    if (conflict) throw new ZoneError(line, conflict, file);
    addRecord(sets, record, known);
    if (record.type === types.NS && !isOrigin) delegates = true;
    if (record.type === types.DNAME) redirections.push({ record, line, file });
  };
  readMasterFile(text, include, (record, line, file) => {
    if (soaEntry && builder) {
      if (record.type === types.SOA && !isSame(record, soaEntry.record)) {
        throw new ZoneError(line, "expected only one SOA record", file);
      }
      return add(record, line, file, builder);
    }
    last = { record, line, file };
    early.push(last);
    if (record.type !== types.SOA) return;
    soaEntry = last;
    origin = canonicalName(record.name);
    builder = new ZoneBuilder(record.name, text.length);
    for (const entry of early.splice(0)) add(entry.record, entry.line, entry.file, builder);
  });
  if (!soaEntry || !builder) throw new ZoneError(last?.line ?? 1, "expected an SOA record", last?.file);
  const soa = soaEntry.record;
  const names = builder.finish();
  if (!names.getSet(origin, types.NS)) {
    throw new ZoneError(soaEntry.line, `expected an NS record for ${soa.name}`, soaEntry.file);
  }
  if (redirections.length > 0) checkRedirections(redirections, names);
  return { origin, soa, names, delegates, redirects: redirections.length > 0 };
}

/** Whether two records have the same name and data: a record may be there twice (RFC 2181 §5). */
const isSame = (a: ResourceRecord, b: ResourceRecord) =>
  canonicalName(a.name) === canonicalName(b.name) && dataKey(a) === dataKey(b);

/** Nothing exists below the owner of a DNAME record (RFC 6672 §2.4). */
function checkRedirections(redirections: readonly Entry[], names: ZoneNames): void {
  const owners = new Map(redirections.map((entry) => [canonicalName(entry.record.name), entry]));
  for (const [name] of names) {
    for (let above = parentName(name); above !== undefined; above = parentName(above)) {
      const entry = owners.get(above);
      if (!entry) continue;
      throw new ZoneError(
        entry.line,
        `expected no name below the DNAME of ${entry.record.name}, not ${name}`,
        entry.file,
      );
    }
  }
}

/** Why a record must not stand beside those that its name has; `undefined` when it may. */
function findConflict(sets: RRsets, record: ResourceRecord, isOrigin: boolean): string | undefined {
  const { name, type } = record;
  if (sets.length === 0 && type !== types.NS && type !== types.DNAME) return undefined;
  const set = findRRset(sets, type);
  const isDuplicate = () => set !== undefined && set.some((other) => dataKey(other) === dataKey(record));
  // Beside a CNAME, a name has no other record (RFC 1034 §3.6.2) than those of DNSSEC (RFC 4035 §2.5).
  const excludes = (type: number) => type !== types.RRSIG && type !== types.NSEC;
  const others = sets.filter(([other]) => other && excludes(other.type));
  const isAlias = type === types.CNAME || others.some(([other]) => other?.type === types.CNAME);
  if (isAlias && excludes(type) && others.length > 0 && !isDuplicate()) {
    return `expected no other record beside the CNAME of ${name}`;
  }
  if (type !== types.NS && type !== types.DNAME) return undefined;
  // What these would mean is not defined (RFC 4592 §4.2, §4.4).
  if (name.startsWith("*.")) return `expected no ${typeName(type)} record for the wildcard ${name}`;
  if (type === types.DNAME && set && !isDuplicate()) return `expected only one DNAME record for ${name}`; // RFC 6672 §2.4
  const other = type === types.NS ? types.DNAME : types.NS;
  if (!isOrigin && findRRset(sets, other)) return `expected no NS record beside the DNAME of ${name}`; // RFC 6672 §2.3
}

/** The data of the records of each set that has more than one, to find the same record a second time. */
type KnownData = WeakMap<ResourceRecord[], Set<string>>;

/** A record's data as text that is the same for the same data: names are compared without case. */
function dataKey({ type, data }: ResourceRecord): string {
  return printData(type, data.map((value) => typeof value === "string" ? canonicalName(value) : value));
}

/** Adds a record to its set, unless it is there already (RFC 2181 §5). */
function addRecord(sets: RRsets, record: ResourceRecord, known: KnownData): void {
  const set = findRRset(sets, record.type);
  const [first] = set ?? [];
  if (!set || !first) {
    sets.push([record]);
    return;
  }
  const keys = known.get(set) ?? new Set(set.map(dataKey));
  known.set(set, keys);
  const key = dataKey(record);
  if (keys.has(key)) return;
  keys.add(key);
  // One TTL for the whole set (RFC 2181 §5.2); signatures have those of the sets that they sign (RFC 4034 §3).
  set.push(record.type === types.RRSIG ? record : { ...record, ttl: first.ttl });
}

/** The zone of a name: the one with the longest origin that is the name or above it. */
export function findZone(zones: Zones, name: string): Zone | undefined {
  for (let at: string | undefined = canonicalName(name); at !== undefined; at = parentName(at)) {
    const zone = zones.get(at);
    if (zone) return zone;
  }
}

/** What a zone has for a name: its records, a delegation to another zone's servers, a DNAME above it, or nothing. */
export type LookupResult =
  | { readonly kind: "records"; readonly sets: RRsets }
  | { readonly kind: "delegation"; readonly servers: ResourceRecord[] }
  | { readonly kind: "redirection"; readonly dname: ResourceRecord }
  | { readonly kind: "nothing" };

/** Looks up a name in its zone, for a question of this type. */
export function lookUp(zone: Zone, name: string, type: number): LookupResult {
  const canonical = canonicalName(name);
  const sets = zone.names.get(canonical);
  // Walk up to the origin. On the way there may be NS records: another zone begins there. The highest of them count. So do
  // DNAME records, which concern the names below theirs.
  let servers: ResourceRecord[] | undefined;
  let dname: ResourceRecord | undefined;
  let closestEncloser: string | undefined; // the longest name above this one that exists
  for (let at = canonical; at !== zone.origin; at = parentName(at) ?? zone.origin) {
    const here = at === canonical ? sets : zone.names.get(at);
    if (!here) continue;
    closestEncloser ??= at;
    const cut = findRRset(here, types.NS);
    // The DS records of another zone are in the zone above it (RFC 4035 §3.1.4.1).
    if (cut && !(at === canonical && type === types.DS)) [servers, dname] = [cut, undefined];
    if (!zone.redirects || at === canonical) continue;
    const redirection = findRRset(here, types.DNAME)?.[0];
    if (redirection) [servers, dname] = [undefined, redirection];
  }
  if (zone.redirects && canonical !== zone.origin) {
    dname = zone.names.getSet(zone.origin, types.DNAME)?.[0] ?? dname;
  }
  if (dname) return { kind: "redirection", dname };
  if (servers) return { kind: "delegation", servers };
  if (sets) return { kind: "records", sets };
  // Only the wildcard of the closest encloser counts, none above it (RFC 4592 §3.3.1).
  const wildcard = zone.names.get(wildcardName(closestEncloser ?? zone.origin));
  return wildcard ? { kind: "records", sets: wildcard } : { kind: "nothing" };
}

const wildcardName = (name: string) => name === "." ? "*." : `*.${name}`;

/** One line about a zone for the log. */
export function describeZone({ origin, soa, names }: Zone): string {
  const { records, types } = names.count();
  return `${origin} ${records} records of ${types} types, serial ${soa.data[2]}`;
}
