/** DNS: the wire format, zone files, the server compared with dig and NSD, forged responses and floods. */
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "jsr:@std/assert@1";
import { cpSync } from "node:fs";
import { printable } from "../cli.ts";
import { parseAddress, printAddress } from "../tcp/_address.ts";
import { reverseName } from "../dns/_reverse_name.ts";
import { dissect } from "../dns/_dissect.ts";
import { Exchange } from "../dns/_exchange.ts";
import { firstMessage, withLength } from "../dns/_framing.ts";
import { parseMasterFile, ZoneError } from "../dns/_master_file.ts";
import { decode, encode, type Flags, type Message, rcodes } from "../dns/_message.ts";
import { canonicalName, FormatError, formatName, isSubdomain, parentName, parseName } from "../dns/_name.ts";
import { parseTtl, toAbsolute } from "../dns/_presentation.ts";
import { buildQuery, decodeResponse, findQuery, randomizeCase } from "../dns/_query_message.ts";
import { RateLimit } from "../dns/_rate_limit.ts";
import { printData, type ResourceRecord } from "../dns/_record.ts";
import { typeName, typeNumber } from "../dns/_record_types.ts";
import { Responder } from "../dns/_responder.ts";
import { Reader, Writer } from "../dns/_wire.ts";
import { parseZone } from "../dns/_zone.ts";
import { ask } from "../dns/query.ts";
import { Peer } from "./suites/_peer.ts";
import { freePort } from "./support/free_port.ts";
import { numbers } from "./support/fuzz.ts";
import {
  failedWith,
  listening,
  noSignals,
  nsdCommand,
  serve,
  signals,
  suiteTest,
  testWith,
  until,
} from "./support/helpers.ts";
import { has, output, Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";
import "./parts/dns.ts";
import "./parts/zones.ts";

const ascii = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const sample = Deno.readTextFileSync(new URL("../dns/example.com.zone", import.meta.url));
const noFlags: Flags = {
  qr: false,
  opcode: 0,
  aa: false,
  tc: false,
  rd: true,
  ra: false,
  ad: false,
  cd: false,
  rcode: 0,
};
const empty: Message = { id: 7, flags: noFlags, questions: [], answers: [], authority: [], additional: [] };
const server = (port: number): Deno.NetAddr => ({ transport: "udp", hostname: "127.0.0.1", port });
const question = (name: string, word = "A") => ({ name, type: typeNumber(word) ?? 0, class: 1 });

suiteTest(
  "dns:server",
  "server.ts",
  ({ zone = "" }) =>
    listening((port) => ["deno", "run", "-N=127.0.0.1", `-R=${zone}`, "dns/server.ts", `--port=${port}`, zone]),
);

Deno.test("wire: the compressed names of RFC 1035 §4.1.4", () => {
  const bytes = new Uint8Array(93);
  bytes.set(ascii("\x01F\x03ISI\x04ARPA\0"), 20);
  bytes.set([...ascii("\x03FOO"), 0xc0, 20], 40);
  bytes.set([0xc0, 26], 64);
  bytes.set([0], 92);
  const at = (offset: number) => {
    const reader = new Reader(bytes);
    reader.offset = offset;
    return [reader.name(), reader.offset];
  };
  assertEquals(at(20), ["F.ISI.ARPA.", 32]);
  assertEquals(at(40), ["FOO.F.ISI.ARPA.", 46]);
  assertEquals(at(64), ["ARPA.", 66]);
  assertEquals(at(92), [".", 93]);

  const writer = new Writer();
  for (const name of ["f.isi.arpa.", "FOO.F.ISI.ARPA.", "arpa.", "."]) writer.name(name);
  assertEquals(writer.bytes(), Uint8Array.from([...ascii("\x01f\x03isi\x04arpa\0\x03FOO"), 0xc0, 0, 0xc0, 6, 0]));
});

Deno.test("wire: a pointer may lead to the end of any earlier name, and none to a name that was dropped", () => {
  const writer = new Writer();
  writer.name("www.example.com.");
  const { length } = writer;
  writer.name("mail.example.com.");
  writer.name("example.com."); // after www, at byte 4
  writer.truncate(length);
  writer.name("mail.example.com.");
  writer.name("srv.example.com.", false);
  assertEquals(
    writer.bytes().subarray(length),
    Uint8Array.from([...ascii("\x04mail"), 0xc0, 4, ...ascii("\x03srv\x07example\x03com\0")]),
  );
  assertThrows(() => new Writer(new Uint8Array(16)).name("www.example.com."), FormatError, "longer than 16 bytes");
  for (const name of ["a", "a..b.", "é€.", `${"a".repeat(64)}.`, `${"a.".repeat(128)}`]) {
    assertThrows(() => new Writer().name(name), FormatError, undefined, name);
  }
});

Deno.test("framing: a message is complete when all the bytes of its length are there", () => {
  const message = Uint8Array.from({ length: 300 }, (_, i) => i);
  const stream = Uint8Array.from([...withLength(message), ...withLength(message)]);
  for (const n of [0, 1, 2, 301]) assertEquals(firstMessage(stream.subarray(0, n)), undefined);
  for (const n of [302, 303, 604]) assertEquals(firstMessage(stream.subarray(0, n)), message);
  assertEquals(firstMessage(Uint8Array.of(0, 0)), new Uint8Array());
});

Deno.test("query: which messages are its response (RFC 5452)", () => {
  const asked = { name: "wWw.eXample.com.", type: 1, class: 1 };
  const query = buildQuery(asked, true);
  const response = { ...decode(query.bytes), flags: { ...noFlags, qr: true } };
  const found = (packet: Uint8Array, ...queries: typeof query[]) => {
    const found = findQuery(packet, queries);
    return typeof found === "string" ? found : queries.indexOf(found);
  };
  const reason = (change: Partial<Message>) => {
    const match = found(encode({ ...response, ...change }), query);
    return match === 0 ? undefined : `${match}`;
  };
  assertEquals(reason({}), undefined);
  assertMatch(reason({ flags: noFlags }) ?? "", /it is a query/);
  assertMatch(reason({ id: query.id ^ 1 }) ?? "", /another id/);
  assertMatch(reason({ questions: [] }) ?? "", /no question/);
  for (const rcode of [rcodes.FORMERR, rcodes.SERVFAIL, rcodes.NOTIMP, rcodes.REFUSED]) {
    assertEquals(reason({ questions: [], flags: { ...noFlags, qr: true, rcode } }), undefined);
  }
  assertMatch(reason({ questions: [], flags: { ...noFlags, qr: true, rcode: rcodes.NXDOMAIN } }) ?? "", /no question/);
  assertMatch(reason({ questions: [question("other.example.com.")] }) ?? "", /another name/);
  assertMatch(reason({ questions: [question("www.example.com.")] }) ?? "", /another case/);
  assertMatch(reason({ questions: [{ ...asked, type: 2 }] }) ?? "", /another type/);
  assertMatch(`${found(query.bytes.subarray(0, 20), query)}`, /not a DNS message/);

  // The response to an earlier query may only be late: all that were sent stay valid.
  const [later, last] = [buildQuery(asked, true), buildQuery(question("www.example.com."), true)];
  const replyTo = ({ id, bytes }: typeof query) => encode({ ...decode(bytes), id, flags: { ...noFlags, qr: true } });
  for (const [i, each] of [query, later, last].entries()) assertEquals(found(replyTo(each), query, later, last), i);

  // In the response, all names that point to the question have its letters; they are restored.
  const plain = question("www.example.com.");
  const mixed = randomizeCase(plain);
  assertEquals(canonicalName(mixed.name), plain.name);
  const answer = { name: mixed.name, type: 1, class: 1, ttl: 1, data: [1] };
  const bytes = encode({ ...empty, questions: [mixed], answers: [answer] });
  const { message: { questions, answers }, extra } = decodeResponse(bytes, plain);
  assertEquals([questions[0]?.name, answers[0]?.name, extra], [plain.name, plain.name, 0]);
  assertEquals(decodeResponse(Uint8Array.of(...bytes, 1, 2), plain).extra, 2);
  // The name of the question may be a pointer to a zero byte: the root.
  const pointer = Uint8Array.of(0, 7, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 4, 0, 2, 0, 1);
  assertEquals(decodeResponse(pointer, question(".", "NS")).message.questions, [question(".", "NS")]);
});

Deno.test("wire: names hold any byte, and show special ones as escapes", () => {
  for (
    const [bytes, text] of [["a.b", "a\\.b."], ["\\", "\\\\."], ["\0\xff ", "\\000\\255\\032."], [
      '";@',
      '\\"\\;\\@.',
    ]] as const
  ) {
    const label = [...ascii(bytes)];
    assertEquals(formatName([label]), text);
    assertEquals(parseName(text), [label]);
  }
  assertEquals(parseName("\\097b."), [[97, 98]]);
  assertEquals([parentName("a\\.b.c."), parentName("c."), parentName(".")], ["c.", ".", undefined]);
  assert(
    isSubdomain("a.example.com.", "example.com.") && isSubdomain("example.com.", "example.com.") &&
      isSubdomain("x.", "."),
  );
  assert(!isSubdomain("anexample.com.", "example.com.") && !isSubdomain("a\\.example.com.", "example.com."));
  assert(isSubdomain("a\\\\.example.com.", "example.com."));
});

Deno.test("wire: names that are not valid", () => {
  const label = "a".repeat(63);
  assertEquals(parseName(`${label}.${label}.${label}.${"a".repeat(61)}.`).length, 4);
  for (const name of [`${label}a.`, `${label}.${label}.${label}.${"a".repeat(62)}.`, "a..b.", ".a.", "a", "é€.", ""]) {
    if (name !== "") assertThrows(() => parseName(name), FormatError, undefined, name);
  }
  const read = (...bytes: number[]) => () => new Reader(Uint8Array.from(bytes)).name();
  for (
    const broken of [
      read(0xc0, 0), // to itself
      read(0xc0, 5, 0, 0, 0, 0), // forward
      read(1, 97, 0xc0, 0), // a loop through a label
      read(3, 97, 98), // a label over the end
      read(0xc0), // half a pointer
      read(0x40, 0), // a length of neither kind
      read(1, 97), // no end
      read(...Array(128).fill([1, 97]).flat(), 0), // 257 bytes
      read(),
    ]
  ) assertThrows(broken, FormatError);
  const reader = new Reader(Uint8Array.from([0, 0xc0, 0, 0xc0, 1, 0xc0, 3]));
  reader.offset = 5; // a chain of pointers, each backward, is long but no loop
  assertEquals(reader.name(), ".");
});

Deno.test("message: a query, byte by byte", () => {
  const bytes = encode({ ...empty, id: 0x1234, questions: [question("www.example.com.", "AAAA")] });
  assertEquals(
    [...bytes],
    [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...ascii("\x03www\x07example\x03com\0"), 0, 28, 0, 1],
  );
  const edns = encode({ ...empty, flags: { ...noFlags, rcode: 16 }, edns: { size: 1232, version: 0, dnssecOk: true } });
  assertEquals([...edns.subarray(12)], [0, 0, 41, 4, 0xd0, 1, 0, 0x80, 0, 0, 0]);
  assertEquals(decode(edns).flags.rcode, 16);
  assertEquals(decode(edns).edns, { size: 1232, version: 0, dnssecOk: true });
});

Deno.test("message: if the records do not fit, TC is set and all are omitted; additional records are omitted without TC", () => {
  const text = (n: number): ResourceRecord => ({
    name: "a.example.",
    type: 16,
    class: 1,
    ttl: 1,
    data: [new Uint8Array(n)],
  });
  const long = encode({ ...empty, answers: [text(200), text(200), text(200)] }, 512);
  assertEquals([decode(long).flags.tc, decode(long).answers.length, long.length], [true, 0, 12]);
  const extra = decode(encode({ ...empty, answers: [text(200)], additional: [text(200), text(200)] }, 512));
  assertEquals([extra.flags.tc, extra.answers.length, extra.additional.length], [false, 1, 1]);
  const huge = Array.from({ length: 300 }, () => text(250));
  assertEquals(decode(encode({ ...empty, answers: huge })).flags.tc, true);
});

Deno.test("message: wrong counts, records that run over the end, extra bytes", () => {
  const good = encode({
    ...empty,
    questions: [question("example.")],
    answers: [{ name: "example.", type: 1, class: 1, ttl: 1, data: [0x01020304] }],
  });
  assertEquals(decode(good).answers.length, 1);
  for (let length = 0; length < good.length; length++) {
    assertThrows(() => decode(good.subarray(0, length)), FormatError);
  }
  assertThrows(() => decode(Uint8Array.from([...good, 0])), FormatError, "1 bytes after the message");
  for (const at of [5, 7, 9, 11]) {
    const wrong = Uint8Array.from(good);
    wrong[at] = 200;
    assertThrows(() => decode(wrong), FormatError);
  }
  const longer = Uint8Array.from(good);
  longer[good.length - 5] = 5; // the length field now claims 5 bytes
  assertThrows(() => decode(longer), FormatError);
});

Deno.test("records: RFC 9460 appendix D; every record of the sample zone is encoded and decoded, printed and parsed", () => {
  const svcb = parseMasterFile("example.com. 7200 SVCB 16 foo.example.com. port=53")[0]?.record;
  assert(svcb);
  const bytes = encode({ ...empty, answers: svcb ? [svcb] : [] });
  assertStringIncludes(bytes.toHex(), "0010" + "03666f6f076578616d706c6503636f6d00" + "000300020035");
  const mandatory = parseMasterFile(
    "example.com. 1 SVCB 16 foo.example.org. (alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1)",
  );
  const wanted = "0010" + "03666f6f076578616d706c65036f726700" + "0000000400010004" + "00010009026832" +
    "0568332d3139" + "00040004c0000201";
  assertStringIncludes(encode({ ...empty, answers: mandatory.map(({ record }) => record) }).toHex(), wanted);

  for (const { record } of parseMasterFile(sample)) {
    const there = encode({ ...empty, answers: [record] });
    assertEquals(decode(there).answers, [record], record.name);
    const line = `${record.name} ${record.ttl} IN ${typeName(record.type)} ${printData(record.type, record.data)}`;
    assertEquals(parseMasterFile(line).map(({ record }) => record), [record], line);
  }
});

Deno.test("message: mutated packets are decoded or refused, and encoding a decoded one changes nothing (fixed seed)", () => {
  const packets = parseMasterFile(sample).map(({ record }, i) =>
    encode({
      ...empty,
      id: i,
      questions: [{ name: record.name, type: record.type, class: 1 }],
      answers: [record, record],
      edns: { size: 1232, version: 0, dnssecOk: false },
    })
  );
  const random = numbers(20260101);
  let understood = 0;
  for (let round = 0; round < 10_000; round++) {
    const bytes = Uint8Array.from(packets[random(packets.length)] ?? []);
    for (let change = random(4); change >= 0; change--) bytes[random(bytes.length)] = random(256);
    const packet = random(4) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes;
    dissect(packet);
    let message: Message;
    try {
      message = decode(packet);
    } catch (error) {
      assert(error instanceof FormatError, `${packet.toHex()}: ${error}`);
      continue;
    }
    understood++;
    for (const { type, data } of message.answers) printData(type, data);
    assertEquals(decode(encode(message)), message, packet.toHex());
  }
  assert(understood > 1700 && understood < 9700, `${understood} of 10000`);
});

Deno.test("addresses: as text, as bytes, in reverse", () => {
  for (const text of ["192.0.2.1", "::", "::1", "2001:db8::ff00:42:8329"]) {
    const bytes = parseAddress(text);
    assertEquals(bytes && printAddress(bytes), text);
  }
  for (const text of ["1.2.3", "1.2.3.256", "1:2", "g::", "[::1]"]) assertEquals(parseAddress(text), undefined, text);
  assertEquals(reverseName("192.0.2.1"), "1.2.0.192.in-addr.arpa.");
  assertEquals(
    reverseName("4321:0:1:2:3:4:567:89ab"), // RFC 3596 §2.5
    "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa.",
  );
});

Deno.test("master file: the example of RFC 1035 §5.3", () => {
  const records = parseMasterFile(`$ORIGIN ISI.EDU.
@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32
`).map(({ record }) => `${record.name} ${record.ttl} ${typeName(record.type)} ${printData(record.type, record.data)}`);
  assertEquals(records, [
    "ISI.EDU. 60 SOA VENERA.ISI.EDU. Action\\.domains.ISI.EDU. 20 7200 600 3600000 60",
    "ISI.EDU. 60 NS A.ISI.EDU.",
    "ISI.EDU. 60 NS VENERA.ISI.EDU.",
    "ISI.EDU. 60 MX 10 VENERA.ISI.EDU.",
    "ISI.EDU. 60 MX 20 VAXA.ISI.EDU.",
    "A.ISI.EDU. 60 A 26.3.0.103",
    "VENERA.ISI.EDU. 60 A 10.1.0.52",
    "VENERA.ISI.EDU. 60 A 128.9.0.32",
  ]);
  assertEquals([parseTtl("1h30m"), parseTtl("90"), parseTtl("1W")], [5400, 90, 604800]);
  assertEquals([toAbsolute("a", "x."), toAbsolute("a.", "x."), toAbsolute("a\\.", "x."), toAbsolute("@", "x.")], [
    "a.x.",
    "a.",
    "a\\..x.",
    "x.",
  ]);
});

const soa = "$ORIGIN x.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\n";
for (
  const [text, line, says] of [
    ["a A 1.2.3.4\n", 1, "expected $ORIGIN before the name a"],
    ["", 1, "expected an SOA record"],
    [`${soa}\n\nb A 1.2.3\n`, 7, "expected an IPv4 address, not 1.2.3"],
    [`${soa}b AAAA 1.2.3.4\n`, 5, "expected an IPv6 address, not 1.2.3.4"],
    [`${soa}b MX mail\n`, 5, "expected a number below 65536, not mail"],
    [`${soa}b MX 10\n`, 5, "expected a domain name, but the record ends here"],
    [`${soa}b A 1.2.3.4 5\n`, 5, "expected the end of the record, not 5"],
    [`${soa}b WKS x\n`, 5, "expected a type of record, not WKS"],
    [`${soa}b CH A 1.2.3.4\n`, 5, "expected class IN, not CH"],
    [`${soa}b TXT "open\n`, 5, "a quoted string has no end"],
    [`${soa}b TXT ( "a"\n\n`, 5, "a ( without a )"],
    [`${soa}b TXT a )\n`, 5, "a ) without a ("],
    [`${soa}$INCLUDE f\n`, 5, "expected no $INCLUDE of f: this zone is not in a file"],
    [`${soa}$NONSENSE f\n`, 5, "expected $ORIGIN, $TTL, $INCLUDE, $GENERATE or a record, not $NONSENSE"],
    [`${soa}b.y. A 1.2.3.4\n`, 5, "expected a name in x., not b.y."],
    [`${soa}b CNAME c\nb A 1.2.3.4\n`, 6, "expected no other record beside the CNAME of b.x."],
    [`${soa}b CNAME c\nb CNAME d\n`, 6, "expected no other record beside the CNAME of b.x."],
    [`${soa}@ SOA a b 2 2 3 4 5\n`, 5, "expected only one SOA record"],
    ["$ORIGIN x.\n@ 1 SOA a b 1 2 3 4 5\n", 2, "expected an NS record for x."],
    [`${soa}${"a".repeat(64)} A 1.2.3.4\n`, 5, "a label longer than 63 bytes"],
    [`${soa}b SVCB 1 c port=x\n`, 5, "expected a port after port=, not x"],
    [`${soa}b TYPE999 \\# 3 0102\n`, 5, "expected \\#, a length and as many bytes in hexadecimal"],
    [`${soa}b TXT ${"a".repeat(256)}\n`, 5, "expected a character string of at most 255 bytes"],
  ] as const
) {
  Deno.test(`zone file: line ${line}: ${says}`, () => {
    const error: unknown = assertThrows(() => parseZone(text));
    if (!(error instanceof ZoneError)) throw error;
    assertStringIncludes(error.message, says);
    assertEquals(error.line, line);
  });
}

Deno.test("responder: it survives any bytes (fixed seed), and a cached response has the id of its query", () => {
  const zone = parseZone(sample);
  const responder = new Responder(new Map([[zone.origin, zone]]), false);
  const random = numbers(99);
  const query = encode({ ...empty, questions: [question("www.example.com.")] });
  for (let round = 0; round < 20_000; round++) {
    const bytes = Uint8Array.from(query);
    for (let change = random(5); change > 0; change--) bytes[random(bytes.length)] = random(256);
    const outcome = responder.respond(bytes.subarray(0, random(8) ? bytes.length : random(bytes.length)), true);
    if (outcome.kind === "response") assert(outcome.bytes.length <= 1232 && outcome.bytes[0] === bytes[0]);
  }
  for (const id of [1, 0xabcd]) {
    const outcome = responder.respond(encode({ ...empty, id, questions: [question("www.example.com.")] }), true);
    assert(outcome.kind === "response");
    if (outcome.kind === "response") {
      assertEquals([decode(outcome.bytes).id, decode(outcome.bytes).answers.length], [id, 3]);
    }
  }
});

Deno.test("records: IPv4 addresses from text to bytes and back, and invalid ones", () => {
  const zone = (address: string) => parseMasterFile(`$ORIGIN a.\n$TTL 1\n@ A ${address}\n`);
  for (const address of ["0.0.0.0", "192.0.2.1", "127.255.255.255", "128.0.0.0", "255.255.255.255"]) {
    const [{ record } = { record: undefined }] = zone(address);
    const [read] = record ? decode(encode({ ...empty, answers: [record] })).answers : [];
    assertEquals(read && printData(read.type, read.data), address);
  }
  for (const none of ["1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-1", "1.2.3.", "a.b.c.d", "::1", "1.2.3.0004"]) {
    assertThrows(() => zone(none), ZoneError, "expected an IPv4 address, not");
  }
});

Deno.test("responder: a cached response is the same as the first one, and the cache is cleared when the zones change (fixed seed)", () => {
  const zone = parseZone(sample);
  const zones = new Map([[zone.origin, zone]]);
  const responder = new Responder(zones, false);
  const bytes = (query: Uint8Array, from = responder) => {
    const outcome = from.respond(query, true);
    return outcome.kind === "response" ? outcome.bytes.toHex() : outcome.kind;
  };
  let seed = 7;
  const random = (below: number) => (seed = seed * 48271 % 0x7fffffff) % below;
  const names = [
    "www.example.com.",
    "WWW.example.com.",
    "alias.example.com.",
    "big.example.com.",
    "example.com.",
    "a.b.",
  ];
  const queries = Array.from({ length: 200 }, () => {
    const name = names[random(names.length)] ?? "";
    const edns = random(2) ? { edns: { size: 1232, version: 0, dnssecOk: false } } : {};
    const query = encode({
      ...empty,
      ...edns,
      questions: [question(name, ["A", "NS", "MX", "TXT", "AAAA", "ANY"][random(6)])],
    });
    if (random(3) === 0) query[random(query.length)] = random(256);
    return query;
  });
  for (let round = 0; round < 3; round++) {
    for (const query of queries) {
      query[0] = random(256); // another id
      assertEquals(bytes(query), bytes(query, new Responder(zones, false)));
    }
  }
  const query = encode({ ...empty, questions: [question("www.example.com.")] });
  const before = bytes(query);
  responder.reload(new Map());
  assert(bytes(query) !== before && decode(Uint8Array.fromHex(bytes(query))).flags.rcode === rcodes.REFUSED);
});

Deno.test("server: a zone file that cannot be read is one line and exit code 2", async () => {
  const folder = await Deno.makeTempDir();
  for (const [file, why] of [[folder, "Is a directory"], [`${folder}/none`, "No such file or directory"]] as const) {
    const flags = ["-N=127.0.0.1", `-R=${folder}`, "--unstable-net"];
    const program = new Program(["deno", "run", ...flags, "dns/server.ts", "--port=0", file], { cwd: root });
    assertEquals((await program.end()).code, 2);
    // Windows has its own words for both, in the language of the user.
    const said = signals ? program.stderr : program.stderr.replace(/: [^:\n]+\n$/, `: ${why}\n`);
    assertEquals(said, `server: cannot read ${printable(file)}: ${why}\n`);
  }
  await Deno.remove(folder);
});

Deno.test("server: finds the sample zone in a folder with a space and a percent sign in its name", async () => {
  const folder = await Deno.makeTempDir({ prefix: "a b%20c " });
  for (const name of ["cli.ts", "deno.json", "deno.lock", "dns", "tcp", "udp"]) {
    cpSync(root + name, `${folder}/${name}`, { recursive: true });
  }
  const flags = ["-N=127.0.0.1", `-R=${folder}`];
  await using program = new Program(["deno", "run", ...flags, `${folder}/dns/server.ts`, "--port=0"], { cwd: folder });
  await program.line(/^DNS server listening/);
  await program.stop(); // on Windows a folder cannot be removed while a program runs in it
  await Deno.remove(folder, { recursive: true });
});

Deno.test("lookup: --server needs an IP address", async () => {
  const program = await client("lookup", "--server=localhost", "www.example.com");
  assertEquals(
    program.stderr,
    "lookup: --server needs an IP address: the runtime's resolver does not accept a host name there\n",
  );
  assertEquals(program.status?.code, 2);
});

/** Whether the runtime can read whom the system asks. Wine's registry, for one, does not say it. */
const hasResolver = await has(
  ...[Deno.execPath(), "run", "--no-prompt"] as const,
  "data:text/javascript,await Deno.resolveDns('x', 'A').catch((e) => Deno.exit(e instanceof Deno.errors.NotCapable ? 0 : 1))",
);
testWith(
  hasResolver,
  "configuration of a resolver that the runtime can read",
  "lookup: without the right to ask the system's resolver it says the whole command",
  async () => {
    const args = ["-N=127.0.0.1", "dns/lookup.ts", "--type", "MX", "example.com"];
    const program = new Program(["deno", "run", "--no-prompt", ...args], { cwd: root });
    await program.end();
    const line =
      /^lookup: no --server, and no permission to ask the system's resolver: add -N: deno run -N dns\/lookup\.ts --type MX example\.com$/m;
    failedWith(program, 2, line);
  },
);

Deno.test("lookup: an invalid name is one line and exit code 2", async () => {
  for (const name of ["a..b", `${"x".repeat(64)}.com`, "abcdefgh.".repeat(40), "a_b.example.com"]) {
    const program = await client("lookup", "--server=127.0.0.1:1", "--timeout=1", name);
    assertEquals(
      program.stderr,
      `lookup: the runtime's resolver does not accept the name ${name}; query.ts can ask for any name\n`,
    );
    assertEquals(program.status?.code, 2);
  }
});

Deno.test("rate: a network has so many full responses in a second (/24 with IPv4, /56 with IPv6)", () => {
  // A second may end in between, and then the count begins again: up to six full responses instead of three.
  const full = (rate: RateLimit, ...addresses: string[]) =>
    addresses.map((address) => rate.allows(address)).filter((allowed) => allowed).length;
  const many = (...addresses: string[]) => Array.from({ length: 50 }, (_, i) => addresses[i % addresses.length] ?? "");
  const rate = new RateLimit(3);
  for (
    const network of [
      ["192.0.2.1", "192.0.2.254"],
      ["192.0.3.1"],
      ["2001:db8::1", "2001:db8:0:ff:ffff::"],
      ["2001:db8:0:100::1"],
      ["::1"],
      ["::ffff:192.0.4.1"],
      ["::ffff:192.0.5.1"],
    ]
  ) {
    const count = full(rate, ...many(...network));
    assert(count >= 3 && count <= 6, `${network}: ${count}`);
  }
  assertEquals(full(new RateLimit(0), ...many("192.0.2.1")), 50);
});

testWith(
  await has("python3", "-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 17)"),
  "right to raw sockets (Python)",
  "server: a query from port 0, where nobody can be answered, is neither answered nor a line on stderr",
  async () => {
    const { program, port } = await serve("dns/server.ts");
    await using _ = program;
    const query = encode({ ...empty, questions: [question("www.example.com.")] });
    const script = "import socket,struct,sys\nport,data=int(sys.argv[1]),bytes.fromhex(sys.argv[2])\n" +
      "s=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_UDP)\n" +
      "s.sendto(struct.pack('!HHHH',0,port,8+len(data),0)+data,('127.0.0.1',0))\n";
    assert(await has("python3", "-c", script, `${port}`, query.toHex()));
    const { message } = await ask(server(port), question("www.example.com."), { timeout: 10 });
    assertEquals([message.answers.length, program.stderr], [3, ""]);
  },
);

Deno.test("query: no wait is negative or endless, however long after the time limit a flood lets the timers run", () => {
  const exchange = new Exchange(server(53), question("x."), { timeout: 0.001 });
  const start = performance.now();
  while (performance.now() < start + 5); // as when packets are taken without end
  for (const attempt of [1, 2, 3, 4]) {
    const wait = exchange.patience(attempt);
    assert(wait > 0 && wait <= 0.001, `attempt ${attempt}: ${wait} s`);
  }
});

Deno.test("server: --rate limits a flood over UDP, and a client over TCP still gets its answer", async () => {
  const { program, port } = await serve("dns/server.ts", "--rate", "10");
  await using _ = program;
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const query = encode({ ...empty, questions: [question("www.example.com.")] });
  let [whole, short] = [0, 0];
  const hearing = (async () => {
    for await (const [packet] of socket) decode(packet).flags.tc ? short++ : whole++;
  })().catch(() => {});
  for (let i = 0; i < 200; i++) await socket.send(query, server(port));
  assertEquals(
    (await ask(server(port), question("www.example.com."), { timeout: 10, tcp: true })).message.answers.length,
    3,
  );
  await until(() => whole > 0 && short > 0, "some answers");
  socket.close();
  await hearing;
  assert(whole <= 30 && short > 0, `${whole} whole and ${short} short answers to 200 queries`);
});

testWith(
  signals,
  noSignals,
  "server: SIGHUP reloads the zones; a wrong file leaves the old ones in use, and its line is printed",
  async () => {
    const file = await Deno.makeTempFile({ suffix: ".zone" });
    const zone = (address: string) => Deno.writeTextFile(file, `${soa}a A ${address}\n`);
    await zone("192.0.2.1");
    const port = freePort();
    await using program = new Program(
      ["deno", "run", "-N=127.0.0.1", `-R=${file}`, "dns/server.ts", "--port", `${port}`, file],
      { cwd: root },
    );
    await program.line(/listening/);
    const address = async () => {
      const { message } = await ask(server(port), question("a.x."), { timeout: 5 });
      return message.answers.map(({ type, data }) => printData(type, data)).join();
    };
    assertEquals(await address(), "192.0.2.1");
    await zone("192.0.2.2");
    program.signal("SIGHUP");
    await until(async () => await address() === "192.0.2.2", "the new address");
    await zone("nonsense");
    program.signal("SIGHUP");
    await program.line(/^not reloaded, the old zones stay in use: .*:5: expected an IPv4 address, not nonsense$/);
    assertEquals(await address(), "192.0.2.2");
    program.signal("SIGTERM");
    assertEquals((await program.end()).code, 0);
    const start = new Program(["deno", "run", "-N=127.0.0.1", `-R=${file}`, "dns/server.ts", "--port", "0", file], {
      cwd: root,
    });
    assertEquals((await start.end()).code, 2);
    assertEquals(start.stderr, `server: ${file}:5: expected an IPv4 address, not nonsense\n`);
    assertEquals(start.stdout, "");
    await Deno.remove(file);
  },
);

Deno.test("server --forward: caches the response for its TTL, which decreases; SERVFAIL when the other resolver is silent", async () => {
  const upstream = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const at = "port" in upstream.addr ? upstream.addr.port : 0;
  const asked: string[] = [];
  const answering = (async () => {
    for await (const [packet, from] of upstream) {
      const query = decode(packet);
      const [first] = query.questions;
      const name = first?.name ?? "";
      asked.push(canonicalName(name));
      if (canonicalName(name).startsWith("silent")) continue;
      const answers = [{ name, type: 1, class: 1, ttl: 100, data: [0xc0000209] }];
      await upstream.send(encode({ ...query, flags: { ...query.flags, qr: true }, answers }), from);
    }
  })().catch(() => {});
  const { program, port } = await serve("dns/server.ts", "--forward", `127.0.0.1:${at}`, "--forward-timeout", "0.6");
  const first = await ask(server(port), question("other.example.org."), { timeout: 5 });
  assertEquals(first.message.answers.map(({ ttl, data }) => [ttl, printData(1, data)]), [[100, "192.0.2.9"]]);
  assertEquals([first.message.flags.ra, first.message.flags.aa], [true, false]);
  await until(async () => {
    const { message } = await ask(server(port), question("OTHER.example.org."), { timeout: 5 });
    return message.answers[0]?.ttl === 99;
  }, "a TTL that is a second less");
  assertEquals(asked, ["other.example.org."]);
  // The server answers for its own zone itself, and refuses to forward a query without RD.
  assertEquals((await ask(server(port), question("ns1.example.com."), { timeout: 5 })).message.flags.aa, true);
  const refused = await ask(server(port), question("other.example.org."), { timeout: 5, recurse: false });
  assertEquals(refused.message.flags.rcode, 5);
  const silent = await ask(server(port), question("silent.example.org."), { timeout: 10 });
  assertEquals(silent.message.flags.rcode, 2);
  await program.stop();
  upstream.close();
  await answering;
});

/** Runs `query.ts` or `lookup.ts` to its end. */
async function client(script: string, ...args: string[]): Promise<Program> {
  const program = new Program(["deno", "run", "-N", `dns/${script}.ts`, ...args], { cwd: root });
  await program.end();
  return program;
}

Deno.test("query and lookup: output and exit codes", async () => {
  const { program, port } = await serve("dns/server.ts");
  await using _ = program;
  const at = `127.0.0.1:${port}`;
  const full = await client("query", "--server", at, "mail.example.com", "AAAA");
  assertMatch(
    full.stdout,
    /^;; NOERROR, id \d+, flags qr aa rd, opcode 0\n;; EDNS version 0, UDP payload 1232\n;; question: mail\.example\.com\. AAAA\n\n;; answer\nmail\.example\.com\. +3600 +IN AAAA +2001:db8::25\n\n;; 73 bytes from 127\.0\.0\.1:\d+ over UDP in [\d.]+ ms\n$/,
  );
  assertEquals(
    (await client("query", "--server", at, "--short", "example.com", "mx")).stdout,
    "10 mail.example.com.\n20 mail.example.net.\n",
  );
  assertMatch((await client("query", "--server", at, "big.example.com", "TXT")).stdout, /over TCP/);
  failedWith(
    await client("query", "--server", at, "--short", "no.example.com"),
    1,
    /^query: no\.example\.com: no such name \(NXDOMAIN\)$/m,
  );
  failedWith(
    await client("query", "--server", at, "--short", "example.org"),
    1,
    /does not answer for this name \(REFUSED\)$/m,
  );
  const trace = await client("query", "--server", at, "--short", "--trace", "ns2.example.com");
  assertMatch(trace.stderr, /^ {6}12 {2}question ns2\.example\.com\.$/im);
  assertMatch(trace.stderr, /^ +\d+ {2}data 192\.0\.2\.2$/m);

  const lookup = await client("lookup", "--server", at, "www.example.com");
  assertEquals(
    lookup.stdout.split("\n").sort().join("\n").trim(),
    [
      "www.example.com  A      192.0.2.80",
      "www.example.com  A      192.0.2.81",
      "www.example.com  AAAA   2001:db8::80",
    ].join("\n"),
  );
  failedWith(
    await client("lookup", "--server", at, "nobody.example.com"),
    1,
    /^lookup: no address found for nobody\.example\.com$/m,
  );
  failedWith(
    await client("lookup", "--server", at, "--type", "MX", "web.example.com"),
    1,
    /^lookup: web\.example\.com has no records of type MX$/m,
  );
  const json = JSON.parse((await client("lookup", "--server", at, "--json", "--type", "mx", "example.com")).stdout);
  assertEquals(json[0], { name: "example.com", type: "MX", value: { preference: 10, exchange: "mail.example.com." } });

  const nobody = `127.0.0.1:${freePort()}`;
  failedWith(
    await client("query", "--server", nobody, "--timeout", "0.3", "a"),
    1,
    /^query: no answer from 127\.0\.0\.1:\d+ in 0\.3 s \(3 tries\)$/m,
  );
  failedWith(
    await client("lookup", "--server", nobody, "--timeout", "0.3", "a.example"),
    1,
    /^lookup: no answer from 127\.0\.0\.1:\d+ in 0\.3 s$/m,
  );
  assertEquals((await client("query", "--server", at, "a..b")).status?.code, 2);
  assertEquals((await client("query", "--server", at, "a", "NOTYPE")).status?.code, 2);
  assertEquals((await client("lookup", "--server", at, "--type", "NOTYPE", "a")).status?.code, 2);
});

const dig = await has("dig", "-v");
const nsd = Deno.build.os === "linux" && await has("sh", "-c", "command -v nsd");

testWith(dig, "dig", "dig: prints every record of the sample zone as the file has it", async () => {
  const { program, port } = await serve("dns/server.ts");
  await using _ = program;
  for (const { record: { name, type, data } } of parseMasterFile(sample)) {
    if (/^\*|sub\.example/.test(name)) continue;
    const word = typeName(type);
    // The dig of macOS does not know the youngest types: it takes their names for more names to ask for.
    const said = await output("dig", "+short", "+norecurse", "-p", `${port}`, "@127.0.0.1", name, `TYPE${type}`);
    // dig prints hexadecimal in capitals, and some escapes differently: compare the parsed data.
    const parse = (text: string) => parseMasterFile(`${name} 1 ${word} ${text}`)[0]?.record.data;
    assert(
      said.trim().split("\n").some((line) => printData(type, parse(line) ?? []) === printData(type, data)),
      `${name} ${word}: ${said}`,
    );
  }
});

testWith(nsd, "nsd", "NSD: the same answers from the same zone file", async () => {
  const folder = await Deno.makeTempDir();
  const theirs = freePort();
  await using other = new Program(await nsdCommand(folder, theirs, { "example.com": `${root}dns/example.com.zone` }));
  await other.line(/nsd started/);
  const { program, port } = await serve("dns/server.ts");
  await using _ = program;
  const names = new Set(parseMasterFile(sample).map(({ record }) => record.name.replace("*", "any.star")));
  for (
    const more of ["nobody", "x.nobody", "deep", "b.deep", "x.no.wild", "x.y.wild", "WwW", "sub", "a.b.sub", "ns.sub"]
  ) {
    names.add(`${more}.example.com.`);
  }
  const sorted = (records: readonly ResourceRecord[]) =>
    records.map(({ name, ttl, type, data }) =>
      canonicalName(`${name} ${ttl} ${typeName(type)} ${printData(type, data)}`)
    )
      .sort();
  for (const name of names) {
    for (const word of ["A", "AAAA", "MX", "TXT", "NS", "SOA", "CNAME", "SRV", "HTTPS", "TYPE65280"]) {
      if (name === "loop.example.com." || name === "loop2.example.com.") continue; // no RFC says where to stop
      const [mine, its] = await Promise.all([port, theirs].map(async (port) => {
        const { message: { flags, answers, authority } } = await ask(server(port), question(name, word), {
          timeout: 10,
          recurse: false,
        });
        // NSD adds the zone's servers to an answer, which is optional: compare only what is required.
        const needed = answers.length > 0 && flags.aa ? [] : sorted(authority);
        return { rcode: flags.rcode, aa: flags.aa, answers: sorted(answers), authority: needed };
      }));
      assertEquals(mine, its, `${name} ${word}`);
    }
  }
  await other.stop();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("server: --exit-after 2 waits for a slow second question, and ends after it; one sent twice counts once", async () => {
  const { program, port } = await serve("dns/server.ts", "--exit-after", "2");
  await using _ = program;
  const answers = async (name: string) =>
    (await ask(server(port), question(name), { timeout: 10 })).message.answers.length;
  assert(await answers("www.example.com.") > 0);
  // A client on a busy machine: it has sent its question again, from another port, when the first answer came.
  assert(await answers("WWW.example.com.") > 0);
  await new Promise((later) => setTimeout(later, 1500)); // longer than --once would wait
  assert(await answers("web.example.com.") > 0);
  assertEquals([(await program.end()).code, program.stderr], [0, ""]);
});

Deno.test("Deno.resolveDns: gets the records of the sample zone, of every type that it knows", async () => {
  const { program, port } = await serve("dns/server.ts");
  await using _ = program;
  const options = { nameServer: { ipAddr: "127.0.0.1", port } };
  const sets = new Map<string, ResourceRecord[]>();
  for (const { record } of parseMasterFile(sample)) {
    const known = ["A", "AAAA", "CAA", "CNAME", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "TXT"].includes(
      typeName(record.type),
    );
    // The answer for names below sub is a referral; the runtime's resolver does not accept the other names.
    if (!known || /^\*|sub\.example|\\/.test(record.name)) continue;
    const key = `${record.name} ${typeName(record.type)}`;
    sets.set(key, [...sets.get(key) ?? [], record]);
  }
  const words = (value: unknown): string =>
    value !== null && typeof value === "object" ? Object.values(value).map(words).join(" ") : String(value);
  for (const [key, records] of sets) {
    const [name = "", type = ""] = key.split(" ");
    const found: unknown[] = await Deno.resolveDns(name, type as "TXT", options);
    assertEquals(found.length, records.length, key);
    const numbers = (text: string) => text.match(/[\w:.-]+/g)?.join(" ").toLowerCase();
    // It shows texts and flags in its own form: compare only how many there are.
    if (/TXT|CAA|NAPTR/.test(type)) continue;
    assertEquals(
      found.map((value) => numbers(words(value))).sort(),
      records.map(({ type, data }) => numbers(printData(type, data))).sort(),
      key,
    );
  }
  assert(sets.size > 20, `${sets.size}`);
});

Deno.test("server: a query over TCP may have 65,535 bytes, and the next one is answered too", async () => {
  const { program, port } = await serve("dns/server.ts");
  await using _ = program;
  using peer = await Peer.connect({ hostname: "127.0.0.1", port });
  const query = encode({ ...empty, questions: [question("ns2.example.com.")] });
  for (const size of [600, 5000, 65535]) {
    const long = new Uint8Array(size);
    long.set(query); // the rest is bytes after the message: FORMERR, in a header
    await peer.send(withLength(long));
    assertEquals([...await peer.upTo(14)], [0, 12, 0, 7, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    await peer.send(withLength(query));
    const [high = 0, low = 0] = await peer.upTo(2);
    assertEquals(decode(await peer.upTo(high << 8 | low)).answers.length, 1);
  }
});
