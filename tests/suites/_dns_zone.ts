/**
 * The zone that a DNS server under check answers for. Its names, addresses and times differ in every run. The file has one
 * record a line, with complete names, so that a program can read it with `split`; it is also a master file (RFC 1035 §5).
 *
 * @module
 */
import { join } from "node:path";
import { parseMasterFile } from "../../dns/_master_file.ts";
import { canonicalName } from "../../dns/_name.ts";
import { printData } from "../../dns/_record.ts";
import { typeName } from "../../dns/_record_types.ts";
import { needsCheckout, root } from "../support/tasks.ts";
import { type Random, word, words } from "./_random.ts";

/** The names of the zone, by what they are there for. All are complete. */
export interface LabZone {
  /** The path of the file. */
  readonly file: string;
  readonly origin: string;
  /** Names with one address each, and no other record. */
  readonly hosts: readonly string[];
  /** A name with an IPv4 and an IPv6 address. */
  readonly both: string;
  /** A name with several addresses, and its aliases: the second is an alias of the first. */
  readonly web: string;
  readonly aliases: readonly [string, string];
  /** An alias for a name outside of the zone, and aliases in a loop. */
  readonly away: string;
  readonly loop: string;
  /** A name written in upper and lower case. */
  readonly mixed: string;
  /** The parent of a wildcard, and a name below it that exists. */
  readonly wild: string;
  readonly noWild: string;
  /** A name without records that has names below it. */
  readonly empty: string;
  /** A delegation: its name, and the name server below it that needs glue. */
  readonly cut: string;
  readonly cutServer: string;
  /** A name whose TXT records do not fit into 512 bytes, and how many they are. */
  readonly big: string;
  readonly bigCount: number;
  readonly text: string;
  readonly services: readonly string[];
  readonly unknown: string;
  /** The records of a name and a type, as text, sorted, and their TTL. */
  records(name: string, type: string): { data: string[]; ttl: number };
  /** How long "no such name" may be cached: the smaller of the SOA record's TTL and its last field. */
  readonly negativeTtl: number;
}

/** Writes a zone to a file in `folder`. */
export async function makeZone(random: Random, folder: string): Promise<LabZone> {
  const origin = `${word(random)}.example.`;
  const below = (name = word(random)) => `${name}.${origin}`;
  /** A TTL that is another positive number when its bytes are in the wrong order: the lowest one is less than 128. */
  const ttl = (): number => {
    const seconds = random.integer(1, 200) * 300;
    return (seconds & 0x80) === 0 && (seconds & 0xff) > 0 ? seconds : ttl();
  };
  let hosts = random.integer(0, 50);
  const ipv4 = () => `192.0.2.${++hosts}`;
  const ipv6 = () => `2001:db8::${random.integer(1, 0xffff).toString(16)}:${(++hosts).toString(16)}`;
  const negativeTtl = random.integer(2, 60) * 10;
  const [ns1, ns2, web, www, alias, away] = [below("ns1"), below("ns2"), below(), below("www"), below(), below()];
  const [loop, loop2, mixed, wild] = [below(), below(), below(`Mi${word(random)}XEd`), below()];
  const [noWild, deep, cut, big, both] = [`no.${wild}`, below(), below(), below(), below("mail")];
  const names = [below(), below(), below()];
  const [text, unknown, secure] = [below(), below(), below()];
  const services = [`_http._tcp.${origin}`, secure];
  const lines: [name: string, ttl: number, type: string, data: string][] = [
    [origin, 3600, "SOA", `${ns1} hostmaster.${origin} 2026010101 14400 1800 1209600 ${negativeTtl}`],
    [origin, 3600, "NS", ns1],
    [origin, 3600, "NS", ns2],
    [origin, ttl(), "A", ipv4()],
    [origin, ttl(), "MX", `10 ${both}`],
    [ns1, ttl(), "A", ipv4()],
    [ns2, ttl(), "A", ipv4()],
    [both, ttl(), "A", ipv4()],
    [both, ttl(), "AAAA", ipv6()],
    ...names.map((name): [string, number, string, string] => [name, ttl(), "A", ipv4()]),
    [www, ttl(), "CNAME", web],
    [alias, ttl(), "CNAME", www],
    [away, ttl(), "CNAME", `www.${word(random)}.test.`],
    [loop, ttl(), "CNAME", loop2],
    [loop2, ttl(), "CNAME", loop],
    [mixed, ttl(), "A", ipv4()],
    [text, ttl(), "TXT", `"${words(random, 6)}" "${words(random, 3)}"`],
    [
      services[0] ?? "",
      ttl(),
      "SRV",
      `${random.integer(0, 9)} ${random.integer(1, 99)} ${random.integer(1, 9999)} ${web}`,
    ],
    [secure, ttl(), "CAA", `0 issue "${word(random)}.example"`],
    [unknown, ttl(), "TYPE65280", `\\# 4 ${random.integer(0x10000000, 0x7fffffff).toString(16)}`],
    [`*.${wild}`, ttl(), "A", ipv4()],
    [noWild, ttl(), "TXT", `"${words(random, 4)}"`],
    [`a.b.${deep}`, ttl(), "A", ipv4()],
    [cut, 3600, "NS", `ns.${cut}`],
    [cut, 3600, "NS", ns2],
    [`ns.${cut}`, ttl(), "A", ipv4()],
  ];
  const webTtl = ttl(); // the records of a set have one TTL (RFC 2181 §5.2)
  for (let i = 0; i < random.integer(2, 3); i++) lines.push([web, webTtl, "A", ipv4()]);
  lines.push([web, webTtl, "AAAA", ipv6()]);
  const bigTtl = ttl();
  const bigCount = random.integer(12, 16);
  for (let i = 0; i < bigCount; i++) lines.push([big, bigTtl, "TXT", `"${i} ${words(random, 14).slice(0, 90)}"`]);
  const file = join(folder, `${origin}zone`);
  const content = lines.map(([name, ttl, type, data]) => `${name} ${ttl} IN ${type} ${data}\n`).join("");
  await Deno.writeTextFile(file, content);
  return {
    ...{
      file,
      origin,
      hosts: names,
      both,
      web,
      aliases: [www, alias],
      away,
      loop,
      mixed,
      wild,
      noWild,
      cut,
      big,
      bigCount,
    },
    ...{ empty: `b.${deep}`, cutServer: `ns.${cut}`, text, services, unknown, negativeTtl },
    records: reader(content),
  };
}

/** The sample zone of the lab sheet, for a server that is running already. */
export function sampleZone(): LabZone {
  needsCheckout();
  const file = join(root, "dns/example.com.zone");
  const origin = "example.com.";
  const at = (name: string) => `${name}.${origin}`;
  return {
    ...{ file, origin, hosts: [at("ns2"), at("mixed")], both: at("mail"), web: at("web") },
    ...{ aliases: [at("www"), at("alias")], away: at("away"), loop: at("loop"), mixed: at("MiXed"), wild: at("wild") },
    ...{ noWild: at("no.wild"), empty: at("b.deep"), cut: at("sub"), cutServer: at("ns.sub"), big: at("big") },
    ...{ bigCount: 14, text: origin, services: [at("_http._tcp"), origin], unknown: at("unknown"), negativeTtl: 300 },
    records: reader(Deno.readTextFileSync(file)),
  };
}

function reader(content: string): LabZone["records"] {
  const entries = parseMasterFile(content).map(({ record }) => record);
  return (name, type) => {
    const found = entries.filter((record) =>
      canonicalName(record.name) === canonicalName(name) && typeName(record.type) === type
    );
    const data = found.map((record) => `${type} ${canonicalName(printData(record.type, record.data))}`).sort();
    return { data, ttl: found[0]?.ttl ?? 0 };
  };
}
