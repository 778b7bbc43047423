/**
 * Checks for a DNS server that is authoritative for the zone in a file, over UDP and TCP.
 *
 * @module
 */
import { AssertionError } from "jsr:@std/assert@1";
import { count } from "../../cli.ts";
import { type Message, rcodeName, rcodes } from "../../dns/_message.ts";
import { canonicalName } from "../../dns/_name.ts";
import { typeName, types } from "../../dns/_record_types.ts";
import { ask, data, exchangeTcp, exchangeUdp, expectCode, expectData, hex, parseResponse, query } from "./_dns_peer.ts";
import { type LabZone, makeZone, sampleZone } from "./_dns_zone.ts";
import { Peer } from "./_peer.ts";
import type { Random } from "./_random.ts";
import { type Check, contentOf, fail, inTime, type Server, type Suite } from "./_suite.ts";

const zones = contentOf(async (random: Random, folder: string) => {
  const content = await makeZone(random, folder);
  return { content, values: { zone: content.file } };
});
/** The zone of this run; that of the lab sheet for a server that was running before. */
const zoneOf = (server: Server): LabZone => zones.find(server) ?? sampleZone();

const needs = ["an address"];

const check = (
  name: string,
  why: string,
  points: number,
  level: Check<Server>["level"],
  run: (server: Server, zone: LabZone) => Promise<void>,
  more: readonly string[] = needs,
): Check<Server> => ({ ...{ name, why, points, level, needs: more }, run: (server) => run(server, zoneOf(server)) });

/** Asks for all records of a name and a type, which must be in the answer. */
async function expectRecords(
  server: Server,
  zone: LabZone,
  name: string,
  type: string,
  hint: string,
): Promise<Message> {
  const message = await ask(server, name, type);
  expectData(message, zone.records(name, type).data, hint);
  return message;
}

function expectSoa(message: Message, ttl: number): void {
  const [soa, more] = message.authority;
  if (soa?.type !== types.SOA || more) {
    fail(
      "only the SOA record of the zone in the authority section",
      message.authority.map(({ type }) => typeName(type)).join(", ") || "an empty section",
      "put the zone's SOA record, and nothing else, into the authority section (RFC 2308 §3)",
    );
  }
  if (soa.ttl !== ttl) {
    fail(
      `a TTL of ${ttl} for the SOA record`,
      `${soa.ttl}`,
      "use the smaller of the SOA record's TTL and its last field (RFC 2308 §3)",
    );
  }
}

function expectNothing(message: Message, hint: string): void {
  expectCode(message, rcodes.NOERROR, hint);
  if (message.answers.length > 0) fail("no answer", data(message).join(", "), hint);
}

async function alive(server: Server): Promise<void> {
  const zone = zoneOf(server);
  await expectRecords(server, zone, zone.hosts[0] ?? "", "A", "the server must keep answering other queries");
}

const basic: readonly Check<Server>[] = [
  check(
    "an address",
    "RFC 1035 §4.1: the response to a query for an address (A) has the id of the query, QR set, and the address.",
    3,
    "basic",
    async (server, zone) => {
      for (const host of zone.hosts) {
        const message = await expectRecords(server, zone, host, "A", "look the name up in the file {zone}");
        expectCode(message, rcodes.NOERROR, "answer with the code NOERROR (0): the name is in the zone");
      }
    },
    [],
  ),
  check(
    "the question",
    "RFC 1035 §4.1.2: a response repeats the question of the query, and counts it in the header.",
    1,
    "basic",
    async (server, zone) => {
      const [host = ""] = zone.hosts;
      const [question] = (await ask(server, host, "A")).questions;
      if (canonicalName(question?.name ?? "") !== canonicalName(host) || question?.type !== types.A) {
        fail(
          `the question ${host} A`,
          question ? `${question.name} ${typeName(question.type)}` : "no question",
          "copy the question from the query into the response, and write 1 into the first count",
        );
      }
    },
  ),
  check(
    "the TTL",
    "RFC 1035 §3.2.1: the TTL says for how many seconds the record may be cached: four bytes, the highest first.",
    1,
    "basic",
    async (server, zone) => {
      for (const host of zone.hosts) {
        const { ttl } = zone.records(host, "A");
        const got = (await ask(server, host, "A")).answers[0]?.ttl;
        if (got === ttl) continue;
        const swapped = new DataView(new ArrayBuffer(4));
        swapped.setUint32(0, ttl);
        fail(
          `a TTL of ${ttl} for ${host} A`,
          `${got}`,
          got === swapped.getUint32(0, true)
            ? "write the four bytes of the TTL with the highest first (network byte order)"
            : "send the TTL that the zone has for this record",
        );
      }
    },
  ),
  check(
    "no such name",
    "RFC 1035 §4.1.1: the code NXDOMAIN (3) says that there is no such name.",
    2,
    "basic",
    async (server, zone) => {
      const message = await ask(server, `nobody.${zone.origin}`, "A");
      expectCode(message, rcodes.NXDOMAIN, "answer with NXDOMAIN: there is no such name in the zone");
    },
  ),
  check(
    "no record of this type",
    "RFC 2308 §2.2: if the name exists but has no record of this type, the code is NOERROR, without answers.",
    2,
    "basic",
    async (server, zone) =>
      expectNothing(
        await ask(server, zone.hosts[0] ?? "", "MX"),
        "compare name and type; the name exists, so the code is NOERROR (0), and the answer is empty",
      ),
  ),
  check(
    "several addresses",
    "RFC 2181 §5: a response contains all records of a name and a type.",
    1,
    "basic",
    async (server, zone) =>
      void await expectRecords(server, zone, zone.web, "A", "put all of them into the answer section, and count them"),
    [...needs, "no record of this type"],
  ),
  check(
    "an IPv6 address",
    "RFC 3596 §2: an IPv6 address is a record of the type AAAA (28) with 16 bytes; a query for A gets the IPv4 address.",
    1,
    "basic",
    async (server, zone) => {
      await expectRecords(server, zone, zone.both, "AAAA", "look at the type of the question: 28 is AAAA");
      await expectRecords(server, zone, zone.both, "A", "look at the type of the question: 1 is A");
    },
    [...needs, "no record of this type"],
  ),
  check(
    "a mail server",
    "RFC 1035 §3.3.9: the data of MX is a preference of two bytes, and a name.",
    1,
    "basic",
    async (server, zone) =>
      void await expectRecords(server, zone, zone.origin, "MX", "write the preference in two bytes before the name"),
    [...needs, "no record of this type"],
  ),
  check(
    "a text",
    "RFC 1035 §3.3.14: the data of TXT is one string or several, each after a byte with its length.",
    1,
    "basic",
    async (server, zone) =>
      void await expectRecords(server, zone, zone.text, "TXT", "write the length of each string in a byte before it"),
    [...needs, "no record of this type"],
  ),
  check(
    "an alias",
    "RFC 1034 §4.3.2: for an alias the answer has its CNAME record, and the records of the name it stands for.",
    2,
    "basic",
    async (server, zone) => {
      const [www, alias] = zone.aliases;
      const hint = "put the CNAME record into the answer, and continue with its target until there is no further alias";
      const web = zone.records(zone.web, "A").data;
      expectData(await ask(server, www, "A"), [...zone.records(www, "CNAME").data, ...web], hint);
      const chain = [...zone.records(alias, "CNAME").data, ...zone.records(www, "CNAME").data];
      expectData(await ask(server, alias, "A"), [...chain, ...web], hint);
    },
    [...needs, "several addresses"],
  ),
  check(
    "upper and lower case",
    "RFC 4343: names are compared without case, but the response repeats the question in the case of the query.",
    1,
    "basic",
    async (server, zone) => {
      const [host = ""] = zone.hosts;
      const asked = [...host].map((char, i) => i % 2 === 0 ? char.toUpperCase() : char).join("");
      const message = await ask(server, asked, "A");
      expectData(message, zone.records(host, "A").data, "compare names without case");
      const question = message.questions[0]?.name ?? "";
      if (question !== asked) fail(`the question ${asked}`, question, "copy the question with the case of its letters");
      const lower = zone.mixed.toLowerCase();
      expectData(
        await ask(server, lower, "A"),
        zone.records(lower, "A").data,
        "compare the names in the zone without case, too",
      );
    },
    [...needs, "the question"],
  ),
];

const robust: readonly Check<Server>[] = [
  check(
    "TCP",
    "RFC 7766 §5: a server also answers over TCP, where each message comes after its length in two bytes.",
    2,
    "robust",
    async (server, zone) => {
      const [host = ""] = zone.hosts;
      const [bytes] = await exchangeTcp(server, [query(host, "A").bytes]).catch((error) => {
        if (error instanceof AssertionError) return []; // nobody listens, or the connection is reset
        throw error;
      });
      if (!bytes) {
        fail(
          "a response over TCP",
          "none",
          "listen on the same port with TCP; read two bytes of length, then the message; send the response in this form",
        );
      }
      expectData(parseResponse(bytes, `${host} A over TCP`), zone.records(host, "A").data, "answer as over UDP");
    },
  ),
  check(
    "several queries on a connection",
    "RFC 7766 §6.2.1: a TCP connection carries several queries, one after another, in pieces of any size.",
    2,
    "robust",
    async (server, zone) => {
      const names = zone.hosts.map((host) => query(host, "A"));
      const wanted = names.map(({ id }) => id).sort();
      for (const size of [1, 3, 1000]) {
        const got = await exchangeTcp(server, names.map(({ bytes }) => bytes), size);
        const ids = got.map((bytes) => parseResponse(bytes, "a query over TCP").id).sort();
        if (ids.join() === wanted.join()) continue;
        fail(
          `a response to each of ${names.length} queries, sent in pieces of ${count(size, "byte")}`,
          count(got.length, "response"),
          "read in a loop: length, message, length, message; read until all bytes of a message are there",
        );
      }
    },
    [...needs, "TCP"],
  ),
  check(
    "too big for a datagram",
    "RFC 1035 §4.2.1, RFC 2181 §9: a response that does not fit into 512 bytes has the TC flag set; the client gets the " +
      "complete one over TCP.",
    2,
    "robust",
    async (server, zone) => {
      const { bytes } = query(zone.big, "TXT");
      const got = await exchangeUdp(server, (exchange) => exchange(bytes));
      if ((got?.length ?? 0) > 512) {
        fail(
          "at most 512 bytes over UDP",
          `${got?.length}`,
          "when the response is longer than 512 bytes, leave out the records, and set TC (without EDNS no client takes more)",
        );
      }
      const short = parseResponse(got, `${zone.big} TXT`);
      if (!short.flags.tc) fail("TC set", "TC clear", "set TC, so that the client asks again over TCP");
      const [whole] = await exchangeTcp(server, [bytes]);
      const { answers } = parseResponse(whole, "the same query over TCP");
      if (answers.length !== zone.bigCount) {
        fail(`${zone.bigCount} records over TCP`, `${answers.length}`, "send the complete response over TCP");
      }
    },
    [...needs, "several addresses", "a text", "TCP"],
  ),
  check(
    "authoritative",
    "RFC 1035 §4.1.1: AA is set in the answer of a server that has the zone itself.",
    1,
    "robust",
    async (server, zone) => {
      const { flags } = await ask(server, zone.hosts[0] ?? "", "A");
      if (!flags.aa) fail("AA set", "AA clear", "set AA (0x0400 in the flags): this server has the zone itself");
    },
  ),
  check(
    "other zones",
    "RFC 8906 §3.1.2: for a name outside of its zones a server answers REFUSED (5), or a referral: it cannot know " +
      "whether that name exists.",
    1,
    "robust",
    async (server) => {
      const message = await ask(server, "www.example.org.", "A");
      const hint = "answer with REFUSED: this server has only the zone in the file";
      const { rcode, aa } = message.flags;
      if (message.answers.length > 0) fail("no answer", data(message).join(", "), hint);
      const referral = rcode === rcodes.NOERROR && !aa;
      if (!referral && ![rcodes.REFUSED, rcodes.SERVFAIL, rcodes.NOTAUTH].some((code) => code === rcode)) {
        fail("the code REFUSED", rcodeName(rcode), hint);
      }
    },
  ),
  check(
    "no response to a response",
    "Two servers that answered each other's responses would never stop: a message with QR set gets none.",
    1,
    "robust",
    async (server, zone) => {
      await alive(server);
      const reply = Uint8Array.from(query(zone.hosts[0] ?? "", "A").bytes);
      reply[2] = 0x80;
      const got = await exchangeUdp({ ...server, starting: undefined }, (exchange) => exchange(reply, 300));
      if (got) fail("nothing", hex(got), "ignore messages with QR set (the highest bit of the third byte)");
    },
  ),
  check(
    "one response",
    "A query gets one response: a second one is a gift to those who attack others with your answers.",
    1,
    "robust",
    async (server, zone) => {
      await exchangeUdp({ ...server, starting: undefined }, async (exchange) => {
        const { bytes } = query(zone.hosts[0] ?? "", "A");
        await exchange(bytes);
        const silent = Uint8Array.of(...bytes.subarray(0, 2), 0x80); // a message that gets no response
        const second = await exchange(silent, 200);
        if (second) fail("one response", "two", "send each response once");
      });
    },
    [...needs, "no response to a response"],
  ),
  check(
    "garbage",
    "Anyone can send pointers in a loop, labels that go past the end, or random bytes: none may end the server.",
    2,
    "robust",
    async (server, zone) => {
      const head = [0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
      const packets = [
        [...head, 0xc0, 12, 0, 1, 0, 1],
        [...head, 1, 97, 0xc0, 12, 0, 1, 0, 1],
        [...head, 0xc0, 0xff, 0, 1, 0, 1],
        [...head, 63, 97],
        [...head, 0x40, 0, 0, 1, 0, 1],
        [0x12, 0x34, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255],
        [...head, ...Array(200).fill([1, 97]).flat(), 0, 0, 1, 0, 1],
        [1],
        [],
      ].map((bytes) => Uint8Array.from(bytes));
      let seed = 42;
      for (let i = 0; i < 200; i++) {
        packets.push(Uint8Array.from({ length: 12 + i % 90 }, () => (seed = seed * 48271 % 0x7fffffff) & 0xff));
      }
      await exchangeUdp({ ...server, starting: undefined }, async (exchange) => {
        for (const packet of packets) await exchange(packet, 1);
      });
      await alive(server);
      const [host = ""] = zone.hosts;
      const [works] = await exchangeTcp(server, [query(host, "A").bytes]).catch(() => []);
      if (!works) return; // this server has no TCP: another check says so
      for (const packet of packets.slice(0, 8)) {
        using peer = await Peer.connect(server);
        await peer.send(Uint8Array.of(packet.length >> 8, packet.length & 255, ...packet)).catch(() => {});
      }
      await alive(server);
      if ((await exchangeTcp(server, [query(host, "A").bytes])).length !== 1) {
        fail("a response over TCP", "none", "keep answering after a malformed message");
      }
    },
  ),
];

const strict: readonly Check<Server>[] = [
  check(
    "the SOA record of a negative answer",
    "RFC 2308 §3: NXDOMAIN and an empty answer have the SOA record in the authority section: it says how long they may " +
      "be cached.",
    2,
    "strict",
    async (server, zone) => {
      expectSoa(await ask(server, `nobody.${zone.origin}`, "A"), zone.negativeTtl);
      expectSoa(await ask(server, zone.hosts[0] ?? "", "MX"), zone.negativeTtl);
    },
    [...needs, "no record of this type", "the TTL"],
  ),
  check(
    "an empty name",
    "RFC 8020: a name without records exists when there are names below it: NOERROR, without answers.",
    1,
    "strict",
    async (server, zone) =>
      expectNothing(await ask(server, zone.empty, "A"), "a name exists when another name in the zone ends with it"),
    [...needs, "no such name"],
  ),
  check(
    "wildcards",
    "RFC 4592: a record of *.name answers for every name below it that does not exist; its owner in the answer is the " +
      "name from the question.",
    1,
    "strict",
    async (server, zone) => {
      const asked = `any.thing.${zone.wild}`;
      const message = await ask(server, asked, "A");
      expectData(
        message,
        zone.records(`*.${zone.wild}`, "A").data,
        "when the name does not exist, look for * below the closest name that exists",
      );
      const owner = message.answers[0]?.name ?? "";
      if (canonicalName(owner) !== asked) {
        fail(`the owner ${asked}`, owner, "use the name from the question, not the one with * (RFC 4592 §3.3.1)");
      }
      const hint = "do not use the wildcard for a name that exists, nor below it";
      expectNothing(await ask(server, zone.noWild, "A"), hint);
      expectCode(await ask(server, `x.${zone.noWild}`, "A"), rcodes.NXDOMAIN, hint);
    },
    [...needs, "no record of this type", "no such name"],
  ),
  check(
    "delegations",
    "RFC 1034 §4.2.1: for a name below a delegation (zone cut) the server sends a referral: the NS records, no AA flag, " +
      "and the addresses of the name servers (glue).",
    2,
    "strict",
    async (server, zone) => {
      const message = await ask(server, `host.${zone.cut}`, "A");
      expectNothing(message, "answer with NOERROR and no answer: a referral is not an error");
      if (message.flags.aa) {
        fail("AA clear", "AA set", "clear AA: the servers of the other zone are authoritative, not this one");
      }
      const servers = message.authority.filter(({ type }) => typeName(type) === "NS");
      if (servers.length !== 2) {
        fail(
          `the two NS records of ${zone.cut} in the authority section`,
          `${servers.length}`,
          "send the NS records of the delegation",
        );
      }
      if (!message.additional.some(({ name }) => canonicalName(name) === zone.cutServer)) {
        fail(
          `the address of ${zone.cutServer} in the additional section`,
          "none",
          "add the address: without this glue no client can reach that server",
        );
      }
    },
  ),
  check(
    "aliases that lead away",
    "RFC 1034 §3.6.2, §4.3.2: the server stops when an alias leads out of the zone; aliases in a loop get their records " +
      "or SERVFAIL, and the server goes on.",
    1,
    "strict",
    async (server, zone) => {
      expectData(
        await ask(server, zone.away, "A"),
        zone.records(zone.away, "CNAME").data,
        "answer with the CNAME record alone when its target is in another zone",
      );
      const { rcode } = (await ask(server, zone.loop, "A")).flags;
      if (rcode !== rcodes.NOERROR && rcode !== rcodes.SERVFAIL) {
        fail("the code NOERROR or SERVFAIL", rcodeName(rcode), "stop following aliases when they form a loop");
      }
      await alive(server);
    },
    [...needs, "an alias"],
  ),
  check(
    "services",
    "RFC 2782, RFC 8659: SRV has three numbers of two bytes and a name; CAA a byte, a string after its length, and a text.",
    1,
    "strict",
    async (server, zone) => {
      const [srv = "", caa = ""] = zone.services;
      await expectRecords(server, zone, srv, "SRV", "write priority, weight and port in two bytes each, then the name");
      await expectRecords(server, zone, caa, "CAA", "write flags, the tag after its length, then the value");
    },
    [...needs, "no record of this type"],
  ),
  check(
    "an unknown type",
    "RFC 3597 §5: the zone has a type that nobody knows as its number and the bytes of its data: TYPE65280 \\# 4 c0000201.",
    1,
    "strict",
    async (server, zone) =>
      void await expectRecords(server, zone, zone.unknown, "TYPE65280", "send the bytes as the zone has them"),
    [...needs, "no record of this type"],
  ),
  check(
    "EDNS",
    "RFC 6891 §6.1.1, §7: a query with an OPT record gets a response with one or, from a server that does not know it, " +
      "none or FORMERR; a query without gets none.",
    1,
    "strict",
    async (server, zone) => {
      const [host = ""] = zone.hosts;
      const message = await ask(server, host, "A", { edns: { size: 1232, version: 0 } });
      if (message.flags.rcode !== rcodes.FORMERR) {
        expectData(
          message,
          zone.records(host, "A").data,
          "answer a query with an OPT record in the additional section",
        );
      }
      if ((await ask(server, host, "A")).edns) {
        fail("no OPT record", "one", "send no OPT record to a client that has sent none");
      }
    },
  ),
  check(
    "an unknown version of EDNS",
    "RFC 6891 §6.1.3: a server that knows EDNS answers an unknown version with BADVERS.",
    1,
    "strict",
    async (server, zone) => {
      const [host = ""] = zone.hosts;
      if (!(await ask(server, host, "A", { edns: { size: 1232, version: 0 } })).edns) return; // it does not know EDNS
      const message = await ask(server, host, "A", { edns: { size: 1232, version: 1 } });
      expectCode(message, rcodes.BADVERS, "answer EDNS version 1 with BADVERS (16)");
    },
  ),
  check(
    "ANY",
    "RFC 1035 §3.2.3, RFC 8482: a query for ANY gets all records of the name, some of them, or NOTIMP or REFUSED.",
    1,
    "strict",
    async (server, zone) => {
      const { bytes } = query(zone.origin, "ANY", { edns: { size: 1232, version: 0 } });
      const message = parseResponse(await exchangeUdp(server, (exchange) => exchange(bytes)), `${zone.origin} ANY`);
      const { rcode, tc } = message.flags;
      if ([rcodes.NOTIMP, rcodes.REFUSED, rcodes.FORMERR].some((code) => code === rcode)) return;
      expectCode(message, rcodes.NOERROR, "the name exists: answer with some of its records, or refuse");
      if (message.answers.length === 0 && !tc) fail("a record", "none", "answer with one set of records, or HINFO");
    },
    [...needs, "a mail server", "a text"],
  ),
  check(
    "an unknown opcode",
    "RFC 1035 §4.1.1, RFC 8906 §3.1.4: an opcode that the server does not know gets NOTIMP (4).",
    1,
    "strict",
    async (server, zone) => {
      const { bytes } = query(zone.hosts[0] ?? "", "A", { opcode: 2 });
      const message = parseResponse(await exchangeUdp(server, (exchange) => exchange(bytes)), "opcode 2");
      expectCode(message, rcodes.NOTIMP, "answer every opcode except QUERY (0) with NOTIMP");
    },
  ),
  check(
    "a wrong count",
    "RFC 1035 §4.1.1: a query whose header counts two questions where there is one gets FORMERR (1), or no response.",
    1,
    "strict",
    async (server, zone) => {
      const malformed = Uint8Array.from(query(zone.hosts[0] ?? "", "A").bytes);
      malformed[5] = 2;
      const quick = { ...server, starting: undefined };
      const got = await inTime(exchangeUdp(quick, (exchange) => exchange(malformed, 500)), 2000);
      if (got) {
        const message = parseResponse(got, "a query with a wrong count");
        expectCode(message, rcodes.FORMERR, "compare the counts with the length of the message");
      }
      await alive(server);
    },
  ),
];

const suite: Suite = {
  role: "server",
  about: "a DNS server for the zone in a file",
  prepare: zones.prepare,
  given:
    "{zone} (ZONE): a file with the zone, one record a line: NAME TTL IN TYPE DATA, names complete. {port} (PORT): where to listen, on 127.0.0.1, over UDP and TCP.",
  limits: "Over UDP, a response has up to 512 bytes without EDNS.",
  sheet: "dns/README.md#the-server",
  over: "both",
  checks: [...basic, ...robust, ...strict],
};

export default suite;
