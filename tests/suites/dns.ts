/**
 * Checks for a DNS server that is authoritative for the sample zone, `dns/example.com.zone`, over UDP and TCP.
 *
 * @module
 */
import { join } from "node:path";
import { count } from "../../cli.ts";
import { type Message, rcodes } from "../../dns/_message.ts";
import { canonicalName } from "../../dns/_name.ts";
import { parseMasterFile } from "../../dns/_master_file.ts";
import { printData } from "../../dns/_record.ts";
import { typeName, types } from "../../dns/_record_types.ts";
import { ask, data, exchangeTcp, exchangeUdp, expectCode, expectData, parseResponse, query } from "./_dns_peer.ts";
import { Peer } from "./_peer.ts";
import { fail, quote, type Server, type Suite } from "./_suite.ts";

function expectSoa(message: Message): void {
  const [soa, more] = message.authority;
  if (message.answers.length > 0) {
    fail("no answer", data(message).join(", "), "leave the answer section empty: there is no such record");
  }
  if (soa?.type !== types.SOA || more) {
    fail(
      "only the SOA record in the authority section",
      "another content",
      "put the zone's SOA record, and nothing else, into the authority section (RFC 2308 §3)",
    );
  }
  if (soa.ttl !== 300) {
    fail(
      "a TTL of 300, the last field of SOA",
      `${soa.ttl}`,
      "use the smaller of the SOA record's TTL and its last field (RFC 2308 §3)",
    );
  }
}

async function alive(server: Server): Promise<void> {
  expectData(
    await ask(server, "ns2.example.com.", "A"),
    ["A 192.0.2.2"],
    "the server must keep answering other queries",
  );
}

const zoneFile = () => Deno.readTextFileSync(join(import.meta.dirname ?? "", "../../dns/example.com.zone"));

const suite: Suite = {
  role: "server",
  about: "a DNS server for dns/example.com.zone",
  checks: [
    {
      name: "an address",
      why: "RFC 1035 §4.1.1: the response has AA set, because the server has the zone itself.",
      points: 2,
      async run(server) {
        const message = await ask(server, "mail.example.com.", "A");
        expectCode(message, rcodes.NOERROR, "answer with NOERROR: the name is in the zone");
        expectData(message, ["A 192.0.2.25"], "look the name up in the zone");
        if (!message.flags.aa) fail("AA set", "AA clear", "set AA: the server is authoritative for its zone");
      },
    },
    {
      name: "every record of the zone",
      why: "Each type has its own format on the wire, and a response contains all records of a set (RFC 2181 §5).",
      points: 3,
      async run(server) {
        const sets = new Map<string, string[]>();
        for (const { record } of parseMasterFile(zoneFile())) {
          if (/^(.*\.)?sub\.example|^\*|^big/.test(record.name)) continue; // below a delegation, a wildcard, too big for UDP
          const key = `${record.name} ${typeName(record.type)}`;
          sets.set(key, [
            ...sets.get(key) ?? [],
            `${typeName(record.type)} ${canonicalName(printData(record.type, record.data))}`,
          ]);
        }
        for (const [key, wanted] of sets) {
          const [name = "", word = ""] = key.split(" ");
          const message = await ask(server, name, word, { edns: { size: 1232, version: 0 } });
          expectData(message, wanted, `${key}: write the data in the format of its type`);
        }
      },
    },
    {
      name: "aliases",
      why: "RFC 1034 §4.3.2: the server follows CNAME records to the last one in its zone.",
      points: 1,
      async run(server) {
        expectData(
          await ask(server, "alias.example.com.", "A"),
          ["CNAME www.example.com.", "CNAME web.example.com.", "A 192.0.2.80", "A 192.0.2.81"],
          "put the CNAME record into the answer, and continue with its target",
        );
        expectData(
          await ask(server, "away.example.com.", "A"),
          ["CNAME www.example.net."],
          "stop when the target is in another zone",
        );
        expectCode(
          await ask(server, "loop.example.com.", "A"),
          rcodes.NOERROR,
          "stop following aliases (CNAME) when they form a loop",
        );
      },
    },
    {
      name: "no such name",
      why:
        "RFC 2308 §2.1: the response is NXDOMAIN, with the SOA record, which says how long the response may be cached.",
      points: 1,
      async run(server) {
        const message = await ask(server, "nobody.example.com.", "A");
        expectCode(message, rcodes.NXDOMAIN, "answer with NXDOMAIN: there is no such name in the zone");
        expectSoa(message);
      },
    },
    {
      name: "no such records",
      why:
        "RFC 2308 §2.2: if the name exists but has no record of this type, the response is NOERROR without answers; the same if only names below it exist.",
      points: 2,
      async run(server) {
        for (const name of ["mail.example.com.", "b.deep.example.com."]) {
          const message = await ask(server, name, "MX");
          expectCode(message, rcodes.NOERROR, `answer with NOERROR: ${name} exists (RFC 8020), without MX records`);
          expectSoa(message);
        }
      },
    },
    {
      name: "wildcards",
      why:
        "RFC 4592: *.wild answers for every name below wild that does not exist; the owner in the answer is the name from the question.",
      points: 1,
      async run(server) {
        const message = await ask(server, "any.thing.wild.example.com.", "A");
        expectData(message, ["A 192.0.2.42"], "use the wildcard of the closest name that exists");
        const owner = message.answers[0]?.name ?? "";
        if (canonicalName(owner) !== "any.thing.wild.example.com.") {
          fail(
            "the name from the question as the owner",
            owner,
            "use the name from the question, not *.wild (RFC 4592 §3.3.1)",
          );
        }
        const other = await ask(server, "no.wild.example.com.", "A");
        expectCode(other, rcodes.NOERROR, "do not use the wildcard for a name that exists");
        expectSoa(other);
      },
    },
    {
      name: "delegations",
      why:
        "RFC 1034 §4.2.1: for a name below a delegation (zone cut) the server sends a referral: the NS records, no AA flag, and the addresses of the name servers (glue).",
      points: 2,
      async run(server) {
        const message = await ask(server, "host.sub.example.com.", "A");
        expectCode(message, rcodes.NOERROR, "answer with NOERROR: a referral is not an error");
        if (message.flags.aa) {
          fail("AA clear", "AA set", "clear AA: the servers of the other zone are authoritative, not this one");
        }
        const servers = message.authority.filter(({ type }) => typeName(type) === "NS");
        if (servers.length !== 2) {
          fail(
            "the two NS records of sub in the authority section",
            `${servers.length}`,
            "send the NS records of sub.example.com",
          );
        }
        const glue = message.additional.some(({ name }) => canonicalName(name) === "ns.sub.example.com.");
        if (!glue) {
          fail(
            "the address of ns.sub in the additional section",
            "none",
            "add the address of ns.sub: without this glue no client can reach that server",
          );
        }
      },
    },
    {
      name: "other zones",
      why: "RFC 8906 §3.1.2: a name outside the server's zones gets REFUSED.",
      points: 1,
      async run(server) {
        expectCode(
          await ask(server, "www.example.org.", "A"),
          rcodes.REFUSED,
          "answer with REFUSED: this server has only example.com",
        );
      },
    },
    {
      name: "upper and lower case",
      why: "RFC 4343: names are compared without case, but the response repeats the question in the case of the query.",
      points: 1,
      async run(server) {
        expectData(
          await ask(server, "MaIl.eXaMPle.cOM.", "A"),
          ["A 192.0.2.25"],
          "compare names without case",
        );
        expectData(
          await ask(server, "mixed.example.com.", "A"),
          ["A 192.0.2.99"],
          "compare the names in the zone without case, too",
        );
      },
    },
    {
      name: "EDNS",
      why:
        "RFC 6891 §6.1.1: a query with OPT gets a response with OPT, a query without gets none, and an unknown EDNS version gets BADVERS.",
      points: 2,
      async run(server) {
        if (!(await ask(server, "mail.example.com.", "A", { edns: { size: 1232, version: 0 } })).edns) {
          fail("an OPT record", "none", "answer a query with an OPT record with an OPT record");
        }
        if ((await ask(server, "mail.example.com.", "A")).edns) {
          fail("no OPT record", "one", "send no OPT record to a client that has sent none");
        }
        const version = await ask(server, "mail.example.com.", "A", { edns: { size: 1232, version: 1 } });
        expectCode(version, rcodes.BADVERS, "answer EDNS version 1 with BADVERS (RFC 6891 §6.1.3)");
      },
    },
    {
      name: "too big for a datagram",
      why:
        "RFC 1035 §4.2.1, RFC 2181 §9: a response that does not fit has the TC flag set; the client gets the complete one over TCP.",
      points: 2,
      async run(server) {
        const { bytes } = query("big.example.com.", "TXT");
        const got = await exchangeUdp(server, (exchange) => exchange(bytes));
        const short = parseResponse(got, "big.example.com. TXT");
        if (!short.flags.tc) fail("TC set", "TC clear", "set TC: the response has more than 512 bytes");
        if ((got?.length ?? 0) > 512) {
          fail(
            "at most 512 bytes",
            `${got?.length}`,
            "truncate the response: without EDNS a client accepts at most 512 bytes",
          );
        }
        const [whole] = await exchangeTcp(server, [bytes]);
        if (parseResponse(whole, "the same query over TCP").answers.length !== 14) {
          fail("14 records over TCP", "fewer", "send the complete response over TCP, which has no such limit");
        }
      },
    },
    {
      name: "several queries on a connection",
      why: "RFC 7766 §6.2.1: a TCP connection carries several queries, one after another, in pieces of any size.",
      points: 2,
      async run(server) {
        const names = ["mail", "web", "ns1"].map((name) => query(`${name}.example.com.`, "A"));
        for (const size of [1, 3, 1000]) {
          const got = await exchangeTcp(server, names.map(({ bytes }) => bytes), size);
          const ids = got.map((bytes) => parseResponse(bytes, "a query over TCP").id).sort();
          const wanted = names.map(({ id }) => id).sort();
          if (ids.join() !== wanted.join()) {
            fail(
              "a response to each of three queries",
              count(got.length, "response"),
              "read in a loop: length, message, length, message",
            );
          }
        }
      },
    },
    {
      name: "ANY",
      why: "RFC 8482: attackers use ANY to get very large responses, so a server answers it with a small one.",
      points: 1,
      async run(server) {
        const { bytes } = query("example.com.", "ANY", { edns: { size: 4096, version: 0 } });
        const got = await exchangeUdp(server, (exchange) => exchange(bytes));
        parseResponse(got, "example.com. ANY");
        if ((got?.length ?? 0) > 200) {
          fail("at most 200 bytes", `${got?.length}`, "answer with one record set, or HINFO");
        }
      },
    },
    {
      name: "unknown opcode, malformed query",
      why:
        "RFC 1035 §4.1.1: answer an unknown opcode with NOTIMP and a malformed query with FORMERR; without an answer, the client waits.",
      points: 1,
      async run(server) {
        const status = query("mail.example.com.", "A", { opcode: 2 });
        expectCode(
          parseResponse(await exchangeUdp(server, (exchange) => exchange(status.bytes)), "opcode 2"),
          rcodes.NOTIMP,
          "answer every opcode except QUERY (0) with NOTIMP",
        );
        const malformed = Uint8Array.from(query("mail.example.com.", "A").bytes);
        malformed[5] = 2; // the header claims two questions
        expectCode(
          parseResponse(await exchangeUdp(server, (exchange) => exchange(malformed)), "a query with a wrong count"),
          rcodes.FORMERR,
          "compare the counts with the length of the message, and answer with FORMERR",
        );
      },
    },
    {
      name: "no response to a response",
      why: "Two servers that answered each other's responses would never stop.",
      points: 1,
      async run(server) {
        await alive(server);
        const reply = Uint8Array.from(query("mail.example.com.", "A").bytes);
        reply[2] = 0x80;
        const got = await exchangeUdp({ ...server, starting: undefined }, (exchange) => exchange(reply, 300));
        if (got) fail("nothing", quote(got), "ignore messages with QR set");
      },
    },
    {
      name: "garbage",
      why: "Anyone can send pointers in a loop, labels that go past the end, or random bytes: none may end the server.",
      points: 2,
      async run(server) {
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
        for (const packet of packets.slice(0, 8)) {
          using peer = await Peer.connect(server);
          await peer.send(Uint8Array.of(packet.length >> 8, packet.length & 255, ...packet)).catch(() => {});
        }
        await alive(server);
        if ((await exchangeTcp(server, [query("mail.example.com.", "A").bytes])).length !== 1) {
          fail("a response over TCP", "none", "keep answering after a malformed packet");
        }
      },
    },
  ],
};

export default suite;
