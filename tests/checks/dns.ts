/**
 * Checks for a DNS server that is authoritative for the sample zone, `dns/example.com.zone`: on the wire, over UDP and TCP.
 *
 * @module
 */
import { decode, encode, type Message, type Question, rcodeName, rcodes } from "../../dns/message.ts";
import { parseMasterFile } from "../../dns/master_file.ts";
import { printData, typeName, typeNumber } from "../../dns/record.ts";
import { FormatError, same } from "../../dns/wire.ts";
import { localAddress } from "../../udp/local_address.ts";
import { fail, inTime, limits, Peer, quote, type Server, type Suite } from "./suite.ts";

const type = (name: string): number => typeNumber(name) ?? 0;
const idle = { qr: false, opcode: 0, aa: false, tc: false, rd: false, ra: false, ad: false, cd: false, rcode: 0 };

interface Asking {
  readonly edns?: { size: number; version: number };
  readonly opcode?: number;
}

/** A query with a random id. */
function query(
  name: string,
  typeName: string,
  { edns, opcode = 0 }: Asking = {},
): { id: number; question: Question; bytes: Uint8Array } {
  const id = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  const question = { name, type: type(typeName), class: 1 };
  const message = { id, flags: { ...idle, opcode }, questions: [question], answers: [], authority: [], additional: [] };
  return { id, question, bytes: encode({ ...message, ...edns && { edns: { ...edns, dnssecOk: false } } }) };
}

/** A UDP socket of its own; what is sent is sent again after a second, as it may be lost. */
async function udp<T>(
  server: Server,
  use: (exchange: (bytes: Uint8Array, limit?: number) => Promise<Uint8Array | undefined>) => Promise<T>,
): Promise<T> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: localAddress(server.hostname), port: 0 });
  const to: Deno.NetAddr = { transport: "udp", hostname: server.hostname, port: server.port };
  let receiving: Promise<[Uint8Array, Deno.Addr]> | undefined;
  try {
    return await use(async (bytes, limit = limits.patience) => {
      const until = Date.now() + limit;
      do {
        await socket.send(bytes, to);
        receiving ??= socket.receive();
        const got = await inTime(receiving, Math.max(1, Math.min(1000, until - Date.now())));
        if (!got) continue;
        receiving = undefined;
        if (((got[0][0] ?? 0) << 8 | (got[0][1] ?? 0)) === ((bytes[0] ?? 0) << 8 | (bytes[1] ?? 0))) return got[0];
      } while (Date.now() < until || server.starting?.());
      return undefined;
    });
  } finally {
    receiving?.catch(() => {});
    socket.close();
  }
}

function read(bytes: Uint8Array | undefined, what: string): Message {
  if (!bytes) {
    fail(
      `a response to ${what}`,
      `nothing in ${limits.patience / 1000} s`,
      "answer every query, if only with an rcode",
    );
  }
  try {
    return decode(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return fail(
      "a whole DNS message (RFC 1035 §4.1)",
      error.message,
      "look at the counts in the header, and at every length",
    );
  }
}

async function ask(server: Server, name: string, typeName: string, asking?: Asking): Promise<Message> {
  const { id, question, bytes } = query(name, typeName, asking);
  const what = `${name} ${typeName}`;
  const message = read(await udp(server, (exchange) => exchange(bytes)), what);
  if (message.id !== id || !message.flags.qr) {
    fail("a response with the query's id and QR set", "another", "copy the id");
  }
  const [got] = message.questions;
  if (got?.name !== question.name || got.type !== question.type) {
    fail(
      `the question ${what} as it was asked`,
      `${got?.name} ${typeName}`,
      "copy the question, the case of its letters too",
    );
  }
  return message;
}

/** The data of the answers, sorted. */
const data = (message: Message): string[] =>
  message.answers.map(({ type, data }) => `${typeName(type)} ${same(printData(type, data))}`).sort();

function expectData(message: Message, wanted: string[], hint: string): void {
  const got = data(message);
  if (got.join("\n") !== [...wanted].sort().join("\n")) fail(wanted.join(", "), got.join(", ") || "no answer", hint);
}

function expectCode(message: Message, code: number, hint: string): void {
  const { rcode } = message.flags;
  if (rcode !== code) fail(rcodeName(code), rcodeName(rcode), hint);
}

function expectSoa(message: Message): void {
  const [soa, more] = message.authority;
  if (message.answers.length > 0) fail("no answer", data(message).join(", "), "an answer is for what there is");
  if (soa?.type !== type("SOA") || more) fail("just the SOA record in the authority section", "another", "RFC 2308 §3");
  if (soa.ttl !== 300) {
    fail("a TTL of 300, the last field of SOA", `${soa.ttl}`, "RFC 2308 §3: the smaller of SOA's TTL and its minimum");
  }
}

async function alive(server: Server): Promise<void> {
  expectData(await ask(server, "ns2.example.com.", "A"), ["A 192.0.2.2"], "the server is to go on serving");
}

const zoneFile = () => Deno.readTextFileSync(new URL("../../dns/example.com.zone", import.meta.url));

const suite: Suite = {
  role: "server",
  about: "a DNS server for dns/example.com.zone",
  checks: [
    {
      name: "an address",
      why: "RFC 1035 §4.1.1: the answer, with AA, for the server knows it from the zone itself.",
      points: 2,
      async run(server) {
        const message = await ask(server, "mail.example.com.", "A");
        expectCode(message, rcodes.NOERROR, "the name is in the zone");
        expectData(message, ["A 192.0.2.25"], "look the name up in the zone");
        if (!message.flags.aa) fail("AA set", "AA clear", "the server is authoritative for its zone");
      },
    },
    {
      name: "every record of the zone",
      why: "Each type has its own form on the wire, and a set of records is answered whole (RFC 2181 §5).",
      points: 3,
      async run(server) {
        const sets = new Map<string, string[]>();
        for (const { record } of parseMasterFile(zoneFile())) {
          if (/^(.*\.)?sub\.example|^\*|^big/.test(record.name)) continue; // below a cut, a pattern, too big for UDP
          const key = `${record.name} ${typeName(record.type)}`;
          sets.set(key, [
            ...sets.get(key) ?? [],
            `${typeName(record.type)} ${same(printData(record.type, record.data))}`,
          ]);
        }
        for (const [key, wanted] of sets) {
          const [name = "", word = ""] = key.split(" ");
          const message = await ask(server, name, word, { edns: { size: 1232, version: 0 } });
          expectData(message, wanted, `${key}: write the data as its type has it`);
        }
      },
    },
    {
      name: "aliases",
      why: "RFC 1034 §4.3.2: CNAME records are followed as far as the zone goes.",
      points: 1,
      async run(server) {
        expectData(
          await ask(server, "alias.example.com.", "A"),
          ["CNAME www.example.com.", "CNAME web.example.com.", "A 192.0.2.80", "A 192.0.2.81"],
          "put the alias into the answer, and go on with its target",
        );
        expectData(await ask(server, "away.example.com.", "A"), ["CNAME www.example.net."], "stop where the zone ends");
        expectCode(await ask(server, "loop.example.com.", "A"), rcodes.NOERROR, "a loop of aliases has an end");
      },
    },
    {
      name: "no such name",
      why: "RFC 2308 §2.1: NXDOMAIN, with the SOA record that says how long that may be kept.",
      points: 1,
      async run(server) {
        const message = await ask(server, "nobody.example.com.", "A");
        expectCode(message, rcodes.NXDOMAIN, "there is no such name in the zone");
        expectSoa(message);
      },
    },
    {
      name: "no such records",
      why:
        "RFC 2308 §2.2: a name that exists without such records is NOERROR with no answer; so is one that only has names below it.",
      points: 2,
      async run(server) {
        for (const name of ["mail.example.com.", "b.deep.example.com."]) {
          const message = await ask(server, name, "MX");
          expectCode(message, rcodes.NOERROR, `${name} exists (RFC 8020), if without MX records`);
          expectSoa(message);
        }
      },
    },
    {
      name: "wildcards",
      why: "RFC 4592: *.wild answers for every name below wild that does not exist, under the name that was asked for.",
      points: 1,
      async run(server) {
        const message = await ask(server, "any.thing.wild.example.com.", "A");
        expectData(message, ["A 192.0.2.42"], "use the wildcard of the closest name that exists");
        const owner = message.answers[0]?.name ?? "";
        if (same(owner) !== "any.thing.wild.example.com.") {
          fail("the name that was asked for as the owner", owner, "RFC 4592 §3.3.1");
        }
        const other = await ask(server, "no.wild.example.com.", "A");
        expectCode(other, rcodes.NOERROR, "a name that exists is not for the wildcard");
        expectSoa(other);
      },
    },
    {
      name: "delegations",
      why: "RFC 1034 §4.2.1: for names below a cut the server only says who is to be asked, without AA, and with glue.",
      points: 2,
      async run(server) {
        const message = await ask(server, "host.sub.example.com.", "A");
        expectCode(message, rcodes.NOERROR, "a referral is no error");
        if (message.flags.aa) fail("AA clear", "AA set", "the other zone's servers are authoritative, not this one");
        const servers = message.authority.filter(({ type }) => typeName(type) === "NS");
        if (servers.length !== 2) {
          fail("the two NS records of sub in the authority section", `${servers.length}`, "refer to its servers");
        }
        const glue = message.additional.some(({ name }) => same(name) === "ns.sub.example.com.");
        if (!glue) {
          fail("the address of ns.sub in the additional section", "none", "without glue nobody can reach that server");
        }
      },
    },
    {
      name: "other zones",
      why: "RFC 8906 §3.1.2: what is in no zone of this server is REFUSED, not guessed.",
      points: 1,
      async run(server) {
        expectCode(await ask(server, "www.example.org.", "A"), rcodes.REFUSED, "this server has only example.com");
      },
    },
    {
      name: "upper and lower case",
      why: "RFC 4343: names are the same in any case, and the question comes back as it was asked.",
      points: 1,
      async run(server) {
        expectData(
          await ask(server, "MaIl.eXaMPle.cOM.", "A"),
          ["A 192.0.2.25"],
          "compare names without regard to case",
        );
        expectData(await ask(server, "mixed.example.com.", "A"), ["A 192.0.2.99"], "those of the zone too");
      },
    },
    {
      name: "EDNS",
      why: "RFC 6891 §6.1.1: who sends OPT gets OPT, who does not gets none, and an unknown version is BADVERS.",
      points: 2,
      async run(server) {
        if (!(await ask(server, "mail.example.com.", "A", { edns: { size: 1232, version: 0 } })).edns) {
          fail("an OPT record", "none", "answer EDNS with EDNS");
        }
        if ((await ask(server, "mail.example.com.", "A")).edns) {
          fail("no OPT record", "one", "the client may not know EDNS");
        }
        const version = await ask(server, "mail.example.com.", "A", { edns: { size: 1232, version: 1 } });
        expectCode(version, rcodes.BADVERS, "RFC 6891 §6.1.3");
      },
    },
    {
      name: "too big for a datagram",
      why: "RFC 1035 §4.2.1, RFC 2181 §9: what does not fit is marked with TC, and is whole over TCP.",
      points: 2,
      async run(server) {
        const { bytes } = query("big.example.com.", "TXT");
        const got = await udp(server, (exchange) => exchange(bytes));
        const short = read(got, "big.example.com. TXT");
        if (!short.flags.tc) fail("TC set", "TC clear", "the answer has more than 512 bytes");
        if ((got?.length ?? 0) > 512) fail("at most 512 bytes", `${got?.length}`, "without EDNS no client takes more");
        const [whole] = await tcp(server, [bytes]);
        if (read(whole, "the same over TCP").answers.length !== 14) {
          fail("14 records over TCP", "fewer", "TCP has no such limit");
        }
      },
    },
    {
      name: "several queries on a connection",
      why: "RFC 7766 §6.2.1: a TCP connection carries query after query, in pieces of any size.",
      points: 2,
      async run(server) {
        const names = ["mail", "web", "ns1"].map((name) => query(`${name}.example.com.`, "A"));
        for (const size of [1, 3, 1000]) {
          const got = await tcp(server, names.map(({ bytes }) => bytes), size);
          const ids = got.map((bytes) => read(bytes, "a query over TCP").id).sort();
          const wanted = names.map(({ id }) => id).sort();
          if (ids.join() !== wanted.join()) {
            fail("an answer to each of three queries", `${got.length}`, "loop: length, message, length, …");
          }
        }
      },
    },
    {
      name: "ANY",
      why: "RFC 8482: ANY is what floods are made of; the answer is small.",
      points: 1,
      async run(server) {
        const { bytes } = query("example.com.", "ANY", { edns: { size: 4096, version: 0 } });
        const got = await udp(server, (exchange) => exchange(bytes));
        read(got, "example.com. ANY");
        if ((got?.length ?? 0) > 200) {
          fail("at most 200 bytes", `${got?.length}`, "answer with one record set, or HINFO");
        }
      },
    },
    {
      name: "what is not understood",
      why:
        "RFC 1035 §4.1.1: another opcode is NOTIMP, a query that cannot be read FORMERR; silence makes clients wait.",
      points: 1,
      async run(server) {
        const status = query("mail.example.com.", "A", { opcode: 2 });
        expectCode(
          read(await udp(server, (exchange) => exchange(status.bytes)), "opcode 2"),
          rcodes.NOTIMP,
          "only QUERY is known",
        );
        const lying = Uint8Array.from(query("mail.example.com.", "A").bytes);
        lying[5] = 2; // two questions, says the header
        expectCode(
          read(await udp(server, (exchange) => exchange(lying)), "a count that lies"),
          rcodes.FORMERR,
          "check every length",
        );
      },
    },
    {
      name: "no answer to an answer",
      why: "Two servers that answered each other's responses would never stop.",
      points: 1,
      async run(server) {
        await alive(server);
        const reply = Uint8Array.from(query("mail.example.com.", "A").bytes);
        reply[2] = 0x80;
        const got = await udp({ ...server, starting: undefined }, (exchange) => exchange(reply, 300));
        if (got) fail("nothing", quote(got), "drop what has QR set");
      },
    },
    {
      name: "garbage",
      why: "Loops of pointers, labels over the end, random bytes: anyone can send them, and the server goes on.",
      points: 2,
      async run(server) {
        const head = [0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        const bombs = [
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
          bombs.push(Uint8Array.from({ length: 12 + i % 90 }, () => (seed = seed * 48271 % 0x7fffffff) & 0xff));
        }
        await udp({ ...server, starting: undefined }, async (exchange) => {
          for (const bomb of bombs) await exchange(bomb, 1);
        });
        await alive(server);
        for (const bomb of bombs.slice(0, 8)) {
          using peer = await Peer.connect(server);
          await peer.send(Uint8Array.of(bomb.length >> 8, bomb.length & 255, ...bomb)).catch(() => {});
        }
        await alive(server);
        if ((await tcp(server, [query("mail.example.com.", "A").bytes])).length !== 1) {
          fail("an answer over TCP", "none", "go on");
        }
      },
    },
  ],
};

/** Sends queries over one TCP connection, in pieces of so many bytes, and returns as many answers as come. */
async function tcp(server: Server, queries: Uint8Array[], size = 1000): Promise<Uint8Array[]> {
  using peer = await Peer.connect(server);
  const all = Uint8Array.from(queries.flatMap((bytes) => [bytes.length >> 8, bytes.length & 255, ...bytes]));
  for (let at = 0; at < all.length; at += size) await peer.send(all.subarray(at, at + size));
  const answers: Uint8Array[] = [];
  while (answers.length < queries.length) {
    const [high, low] = await peer.upTo(2);
    if (high === undefined || low === undefined) break;
    answers.push(await peer.upTo(high << 8 | low));
  }
  return answers;
}

export default suite;
