/** DNS: zone files and record types, and a zone full of hard cases, served here and by NSD. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "jsr:@std/assert@1";
import { type Include, parseMasterFile, ZoneError } from "../dns/_master_file.ts";
import { decode, encode, type Flags, type Message, rcodes } from "../dns/_message.ts";
import { canonicalName, FormatError } from "../dns/_name.ts";
import { printData, type ResourceRecord } from "../dns/_record.ts";
import { typeName, typeNumber } from "../dns/_record_types.ts";
import { Responder } from "../dns/_responder.ts";
import { parseZone } from "../dns/_zone.ts";
import { ask } from "../dns/query.ts";
import { freePort } from "./support/free_port.ts";
import { listening, nsdCommand, testWith } from "./support/helpers.ts";
import { has, Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";

const flags: Flags = {
  ...{ qr: false, opcode: 0, aa: false, tc: false, rd: false, ra: false, ad: false, cd: false, rcode: 0 },
};
const empty: Message = { id: 7, flags, questions: [], answers: [], authority: [], additional: [] };
const question = (name: string, word = "A", class_ = 1) => ({ name, type: typeNumber(word) ?? 0, class: class_ });

/** A zone with the hard cases of names, of record types, and of the places where they stand. */
const nasty = String.raw`$ORIGIN n.
$TTL 1h
@ SOA ns host ( 1 4h 30m 2w 5m )
@ NS ns
@ NS ns.sub
@ TXT "apex"
ns A 192.0.2.1
; names with escapes, in other spellings of the same name
abc\100 A 192.0.2.2
a\046b A 192.0.2.3
\_foo A 192.0.2.4
\119WW A 192.0.2.5
sp\ ace TXT "a space"
\195\188 TXT "a letter beyond ASCII"
\*.w TXT "an asterisk is an asterisk"
*.star.x TXT "below star"
q\"uo\;te\\\(\)\@\$ TXT "special"
n\000ul TXT "zero"
long63aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa A 192.0.2.6
; the same record twice, and the same with another case or TTL
dup A 192.0.2.7
dup A 192.0.2.7
dup 5 A 192.0.2.7
dup MX 10 Mail.n.
dup MX 10 mail.n.
dup TXT "x"
dup TXT "X"
; RFC 3597
gen A \# 4 c0000208
gen TYPE1 \# 4 c0000209
gen TYPE1 192.0.2.10
gen CLASS1 60 TXT \# 4 03 616263
gen MX \# 10 000a 046d61696c 016e 00
gen TYPE65281 \# 3 010203
gen TYPE65281 \# 0
; the types
t DS 60485 5 1 ( 2BB183AF5F22588179A53B0A 98631FAD1A292118 )
t DS 60485 RSASHA256 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A
t CDS 0 0 0 00
t CDNSKEY 0 3 0 AA==
t DNSKEY 256 3 5 ( AQPSKmynfzW4kyBv015MUG2DeIQ3
          Cbl+BBZH4b/0PY1kxkmvHjcZc8no kfzj31GajIQKY+5CptLr3buXA10h WqTkF7H6RfoRqXQeogmMHfpftf6z )
t RRSIG A 5 3 86400 20030322173103 ( 20030220173103 2642 example.com. oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTr )
t RRSIG TXT 5 3 86400 21060207062815 19700101000000 2642 n. AAAA
t NSEC host.n. ( A MX RRSIG NSEC TYPE1234 )
t TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
t SMIMEA 3 0 0 aabb
t SSHFP 2 1 123456789abcdef67890123456789abcdef67890
t LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
t LOC 42 S 180 W 0
t LOC 0 0 0.001 N 0 0 0 W 42849672.95m 90000000.00m 1m 0.01m
t RP Admin.Example.com. sam.people
t AFSDB 1 afs.n.
t URI 10 1 "ftp://ftp1.example.com/public"
t SPF "v=spf1 " "-all"
t OPENPGPKEY mQENBFVHm5sBCADBkwD9vYAYSQaZEnJXW+1VbZFBAcOi
t HINFO "" "\255"
t NAPTR 1 1 "" "" "a\\\\b" T.n.
t CAA 0 issue ""
t SVCB 0 t.n.
t HTTPS 1 . alpn="f\\\\oo\\,bar,h2" port=53 key667="hello\210qoo"
t SVCB 16 foo.example.org. ( alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 )
; signatures stand beside an alias
signed CNAME t
signed RRSIG CNAME 5 3 86400 20300322173103 20300220173103 2642 n. AAAA
signed NSEC t.n. CNAME RRSIG NSEC
; redirections
d DNAME away.example.
d TXT "at the owner"
in DNAME t2
a.t2 A 192.0.2.20
b.c.t2 CNAME a.t2
*.t2 TXT "wild at the target"
root DNAME .
toself DNAME x.toself2
toself2 DNAME in
toolong DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.n.
todname CNAME x.in
todeep CNAME a.d
; zone cuts
sub NS ns.sub
sub NS ns2.other.example.
sub DS 1 8 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a
ns.sub A 192.0.2.53
ns.sub AAAA 2001:db8::53
deeper.sub NS ns.deeper.sub
occluded.sub TXT "not ours"
insecure NS ns.insecure
insecure NS ns
ns.insecure A 192.0.2.54
tocut CNAME host.sub
; wildcards
*.wild A 192.0.2.30
*.wild MX 10 x.wild
*.wildcname CNAME a.t2
*.wilddname CNAME q.in
a.b.c.wild TXT "below the wildcard"
*.*.twice TXT "a wildcard below an asterisk"
sub.*.ent TXT "the wildcard has nothing itself"
; an empty non-terminal, and a long way down
1.2.3.4.5.6.7.8.9.deep PTR a
`;

/** Names to ask for, besides the owners. */
const more = String
  .raw`nobody x.nobody abcd a\.b a.b _FOO wWw sp\032ace w *.w x.w star.x y.star.x *.star.x q\"uo\;te\\\(\)\@\$
  x.d a.b.d A.IN b.c.in a.in nothing.in in x.root www.toself 12345678901234567.toolong toolong x.toself2 x.todname
  sub x.sub ns.sub deeper.sub x.deeper.sub occluded.sub insecure x.insecure ns.insecure
  x.wild y.x.wild b.c.wild c.wild x.c.wild a.b.c.wild *.wild x.wildcname x.wilddname x.twice y.x.twice *.twice y.*.twice
  x.ent *.ent y.sub.x.ent ent deep 9.deep 1.2.3.4.5.6.7.8.9.deep 0.2.3.4.5.6.7.8.9.deep @ t2 c.t2 x.c.t2 x.y.t2`.split(
  /\s+/,
);

const words = "A NS CNAME SOA PTR MX TXT AAAA DNAME DS RRSIG DNSKEY LOC HTTPS TYPE65281".split(" ");

const nsd = Deno.build.os === "linux" && await has("sh", "-c", "command -v nsd");

const data = (text: string): string[] =>
  parseMasterFile(`$ORIGIN x.\n$TTL 1\n${text}\n`).map(({ record: { name, type, data } }) =>
    `${name} ${typeName(type)} ${printData(type, data)}`
  );

/** The data of one record as hexadecimal digits. */
function wire(text: string): string {
  const answers = parseMasterFile(`$ORIGIN x.\n${text}`).map(({ record }) => ({ ...record, name: "." }));
  const bytes = encode({ ...empty, answers });
  return bytes.subarray(23).toHex();
}

function zoneError(parse: () => unknown, why: string): ZoneError {
  const error: unknown = assertThrows(parse, ZoneError, why);
  if (!(error instanceof ZoneError)) throw error;
  return error;
}

const responderFor = (...zones: string[]) => {
  const parsed = zones.map((text) => parseZone(text));
  return new Responder(new Map(parsed.map((zone) => [zone.origin, zone])), false);
};

function respond(responder: Responder, query: Partial<Message> | Uint8Array, udp = true): Message {
  const outcome = responder.respond(query instanceof Uint8Array ? query : encode({ ...empty, ...query }), udp);
  if (outcome.kind !== "response") throw new Error(`expected a response, not ${outcome.kind}`);
  return decode(outcome.bytes.slice());
}

const lines = (records: readonly ResourceRecord[]) =>
  records.map(({ name, type, data }) => `${name} ${typeName(type)} ${printData(type, data)}`);

Deno.test("names: each spelling of a name is the same name, in a zone and in a question", () => {
  const responder = responderFor(nasty);
  for (
    const [name, address] of [
      ...[["abcd.n.", "192.0.2.2"], ["a\\.b.n.", "192.0.2.3"], ["_foo.n.", "192.0.2.4"], ["WWW.n.", "192.0.2.5"]],
    ] as const
  ) {
    assertEquals(lines(respond(responder, { questions: [question(name)] }).answers), [`${name} A ${address}`]);
  }
  assertEquals(data("\\*.w A 1.1.1.1\n\\119\\A\\046b A 1.1.1.1"), ["*.w.x. A 1.1.1.1", "wA\\.b.x. A 1.1.1.1"]);
  for (const [name, why] of [["ü", "ASCII"], ["a\\256", "byte"], ["a..b", "empty label"], ["a\\ü", "ASCII"]] as const) {
    assertThrows(() => data(`${name} A 1.1.1.1`), ZoneError, why);
  }
  assertThrows(() => data(`"" A 1.1.1.1`), ZoneError, "empty word");
});

Deno.test("SVCB: the test vectors of RFC 9460 appendix D", () => {
  const target = "0010" + "03666f6f076578616d706c65036f726700";
  const escaped = target + "0001000c" + "08665c6f6f2c626172" + "026832";
  for (
    const [text, expected] of [
      ["0 foo.example.com.", "0000" + "03666f6f076578616d706c6503636f6d00"],
      ["1 .", "0001" + "00"],
      ["16 foo.example.com. port=53", "0010" + "03666f6f076578616d706c6503636f6d00" + "000300020035"],
      ["1 foo.example.com. key667=hello", "0001" + "03666f6f076578616d706c6503636f6d00" + "029b000568656c6c6f"],
      [
        `1 foo.example.com. key667="hello\\210qoo"`,
        "0001" + "03666f6f076578616d706c6503636f6d00" + "029b0009" + "68656c6c6fd2716f6f",
      ],
      [
        `1 foo.example.com. ( ipv6hint="2001:db8::1,2001:db8::53:1" )`,
        "0001" + "03666f6f076578616d706c6503636f6d00" + "00060020" + "20010db8000000000000000000000001" +
        "20010db8000000000000000000530001",
      ],
      [
        "16 foo.example.org. ( alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 )",
        target + "0000000400010004" + "00010009" + "026832" + "0568332d3139" + "00040004c0000201",
      ],
      [`16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"`, escaped],
      [`16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2`, escaped],
    ] as const
  ) {
    assertEquals(wire(`a 1 SVCB ${text}`), expected, text);
    const [printed = ""] = data(`a 1 SVCB ${text}`);
    assertEquals(wire(printed.replace("SVCB", "1 SVCB")), expected, printed);
  }
  for (
    const wrong of [
      ...["key123=abc key123=def", "mandatory", "alpn", "port", "ipv4hint", "ipv6hint", "no-default-alpn=abc"],
      ...["mandatory=key123", "mandatory=mandatory", "mandatory=key123,key123 key123=abc", "no-default-alpn", "ech"],
      ...["alpn=,h2", "port=65536", "ipv4hint=::1", "key0123=a", "key65535=a", "nonsense=1", `alpn="h2`, `alpn=h"2"`],
    ]
  ) assertThrows(() => data(`a SVCB 1 foo.example.com. ${wrong}`), ZoneError, undefined, wrong);
  // Values that are not in their key's form arrive in messages: they are printed as bytes, and read as the same bytes.
  for (
    const hex of ["00030001ff", "0004000301020300".slice(0, 14), "000100020568", "000000010a", "00020001ff", "00050000"]
  ) {
    const bytes = `0001 00 ${hex}`;
    const [printed = ""] = data(`a SVCB \\# ${3 + hex.length / 2} ${bytes}`);
    assertEquals(wire(printed.replace("SVCB", "1 SVCB")), bytes.replaceAll(" ", ""), printed);
  }
});

Deno.test("records: the bytes of the types whose RFC shows them", () => {
  for (
    const [text, expected] of [
      // RFC 4034 §5.4, §4.3, §3.2
      ["DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", "ec4505012bb183af5f22588179a53b0a98631fad1a292118"],
      [
        "NSEC host.example.com. ( A MX RRSIG NSEC TYPE1234 )",
        "04686f7374076578616d706c6503636f6d00" + "0006400100000003" + "041b" + "00".repeat(26) + "20",
      ],
      ["NSEC . TYPE0 TYPE255 A A", "00" + "0020c0" + "00".repeat(30) + "01"],
      [
        "RRSIG A RSASHA1 3 86400 20030322173103 1045762263 2642 . AAEC",
        "0001" + "05" + "03" + "00015180" + "3e7c9dd7" + "3e5510d7" + "0a52" + "00" + "000102",
      ],
      ["DNSKEY 256 3 ECDSAP256SHA256 AAEC", "0100030d000102"],
      // RFC 1876 §2: the angles count from 2^31, the altitude from 100 km below the sea
      ["LOC 42 21 54 N 71 06 18 W -24m 30m", "00331613" + "89172dd0" + "70be15f0" + "00988d20"],
      ["LOC 0 N 0 W 0", "00121613" + "80000000" + "80000000" + "00989680"],
      ["LOC 90 S 180 E -100000m 90000000.00m 0m 0.09m", "00990090" + "6cb02700" + "a69fb200" + "00000000"],
      // RFC 7553, RFC 6698, RFC 4255, RFC 1183
      [`URI 10 1 "ftp://x"`, "000a0001" + "6674703a2f2f78"],
      ["TLSA 3 1 1 00 FF", "03010100ff"],
      ["SSHFP 2 1 00ff", "020100ff"],
      ["RP a. b.", "016100" + "016200"],
      [`SPF "a" "b"`, "01610162"],
      ["A \\# 4 C0 000205", "c0000205"],
      [
        "SOA \\# 22 00 00 00000001 00000002 00000003 00000004 00000005",
        "0000" + "0000000100000002000000030000000400000005",
      ],
    ] as const
  ) {
    assertEquals(wire(`a 1 ${text}`), expected, text);
  }
  for (const { record } of parseMasterFile(nasty)) {
    assertEquals(decode(encode({ ...empty, answers: [record] })).answers, [record], record.name);
    const line = `${record.name} ${record.ttl} IN ${typeName(record.type)} ${printData(record.type, record.data)}`;
    assertEquals(parseMasterFile(line).map(({ record }) => record), [record], line);
  }
  for (
    const [wrong, why] of [
      ["TYPE41 \\# 0", "a type that a zone may have"],
      ...["TYPE0 \\# 0", "TYPE128 \\# 0", "TYPE252 \\# 0", "ANY \\# 0", "TSIG \\# 0", "TYPE65535 \\# 0"].map((text) =>
        [text, "a type that a zone may have"] as const
      ),
      ["CLASS2 A 1.1.1.1", "expected class IN, not CLASS2"],
      ["CLASS11 A 1.1.1.1", "expected class IN, not CLASS11"],
      ["A \\# 5 0102030405", "does not match its data"],
      ["A \\# 3 010203", "the message ends at byte 3"],
      ["A \\# x 01020304", "a length and as many bytes"],
      ["MX \\# 6 000a0161c002", "without compression"],
      ["CAA \\# 5 0005616263", "the message ends at byte 5"],
      ["DS 1 8 2 ABC", "pairs of hexadecimal digits"],
      ["DS 1 8 2", "the record ends here"],
      ["DS 1 NONE 2 AB", "a number below 256, not NONE"],
      ["DNSKEY 256 3 8 A=B", "expected base64"],
      ["RRSIG NOTYPE 5 3 1 2 1 1 . AA==", "expected a type of record, not NOTYPE"],
      ["RRSIG A 5 3 1 20031322173103 1 1 . AA==", "expected a time as YYYYMMDDHHmmSS"],
      ["RRSIG A 5 3 1 22031122173103 1 1 . AA==", "expected a time as YYYYMMDDHHmmSS"],
      ["RRSIG A 5 3 1 4294967296 1 1 . AA==", "a number below 4294967296"],
      ["LOC 91 N 0 E 0", "at most 90 degrees"],
      ["LOC 90 0 0.001 N 0 E 0", "at most 90 degrees"],
      ["LOC 1 60 N 0 E 0", "expected degrees, minutes, seconds and N or S, not 60"],
      ["LOC 1 2 3 4 N 0 E 0", "expected degrees, minutes, seconds and N or S, not 4"],
      ["LOC N 0 E 0", "not N"],
      ["LOC 1 N 0 E", "an altitude"],
      ["LOC 1 N 0 E 1.234m", "expected metres"],
      ["LOC 1 N 0 E -100000.01m", "expected metres"],
      ["LOC 1 N 0 E 0 90000001m", "expected metres"],
      ["LOC 1 N 0 E 0 1 1 1 1", "the end of the record"],
      ["CAA 0 a_b x", "a tag of letters and digits"],
      ["NSEC . A NOTYPE", "expected a type of record, not NOTYPE"],
    ] as const
  ) assertThrows(() => data(`a ${wrong}`), ZoneError, why, wrong);
  // The tag of a CAA record in a message must not run into the next record.
  const answers = parseMasterFile('. 1 CAA 0 a "x"\n. 1 A 1.1.1.1').map(({ record }) => record);
  const bytes = encode({ ...empty, answers });
  bytes[24] = 6;
  assertThrows(() => decode(bytes), FormatError, "ends before byte");
  // A tag that is none arrives in a message: it is printed as a zone file would have it.
  assertEquals(data("a CAA \\# 4 00 01 1b 78"), ['a.x. CAA 0 \\027 "x"']);
});

Deno.test("zone files: $GENERATE", () => {
  const owners = (line: string) => data(line).map((line) => line.replace(/\.x\. A 1\.1\.1\.\d+$/, ""));
  assertEquals(data("$GENERATE 1-3 h$ A 192.0.2.$"), [1, 2, 3].map((i) => `h${i}.x. A 192.0.2.${i}`));
  assertEquals(data('$GENERATE 0-4/2 h$ 60 IN TXT "$ \\$ $$"'), [0, 2, 4].map((i) => `h${i}.x. TXT "${i} $ $"`));
  assertEquals(owners("$GENERATE 8-10 h${1,3} A 1.1.1.$"), ["h009", "h010", "h011"]);
  assertEquals(owners("$GENERATE 9-10 h${-9}-${0,2,x}-${0,0,X}-${0,4,o} A 1.1.1.$"), ["h0-09-9-0011", "h1-0a-A-0012"]);
  assertEquals(owners("$GENERATE 26-26 ${0,0,n}-${0,7,n}-${0,4,N}z A 1.1.1.$"), ["a.1-a.1.0.0-A.1.z"]);
  for (
    const [line, why] of [
      ["$GENERATE 3-1 h$ A 1.1.1.$", "START-STOP"],
      ["$GENERATE 1-3/0 h$ A 1.1.1.$", "START-STOP"],
      ["$GENERATE x h$ A 1.1.1.$", "START-STOP"],
      ["$GENERATE", "START-STOP"],
      ["$GENERATE 0-65536 h$ A 1.1.1.1", "at most 65536 records"],
      ["$GENERATE 1-2 h${-2} A 1.1.1.1", "a number from 0, not ${-2}"],
      ["$GENERATE 1-2 h${1,x} A 1.1.1.1", "${OFFSET,WIDTH,BASE}"],
      ["$GENERATE 1-2 h${} A 1.1.1.1", "${OFFSET,WIDTH,BASE}"],
      ["$GENERATE 255-256 h$ A 1.1.1.$", "an IPv4 address, not 1.1.1.256"],
      ["$GENERATE 1-2", "expected a"],
    ] as const
  ) assertThrows(() => data(line), ZoneError, why, line);
  assertEquals(data("$GENERATE 0-65535 h$ A 1.1.1.1").length, 65_536);
});

Deno.test("zone files: $INCLUDE has its own origin, owner and TTL, names its file in errors, and has an end", () => {
  const files: Record<string, string> = {
    a: "in A 1.1.1.1\n$ORIGIN other.x.\n$TTL 7\nlast A 1.1.1.2\n$INCLUDE b",
    b: "deep A 1.1.1.3\n",
    loop: "$INCLUDE loop",
    wrong: "ok A 1.1.1.1\n\nx A nonsense",
    open: "x TXT ( a",
  };
  const asked: string[] = [];
  const include: Include = (name, from) => {
    asked.push(`${name} from ${from || "the zone"}`);
    return { file: `/${name}`, text: files[name] ?? "" };
  };
  const parse = (text: string) => parseMasterFile(`$ORIGIN x.\n$TTL 60\n${text}`, include);
  assertEquals(
    parse('o A 1.1.1.0\n$INCLUDE a sub\n  A 1.1.1.4\n$INCLUDE "b"').map(({ record: { name, ttl, data } }) =>
      `${name} ${ttl} ${printData(1, data)}`
    ),
    [
      "o.x. 60 1.1.1.0",
      "in.sub.x. 60 1.1.1.1",
      "last.other.x. 7 1.1.1.2",
      "deep.other.x. 7 1.1.1.3",
      "o.x. 60 1.1.1.4",
      "deep.x. 60 1.1.1.3",
    ],
  );
  assertEquals(asked, ["a from the zone", "b from /a", "b from the zone"]);
  for (
    const [text, file, line, why] of [
      ["$INCLUDE wrong", "/wrong", 3, "expected an IPv4 address, not nonsense"],
      ["$INCLUDE open", "/open", 1, "a ( without a )"],
      ["$INCLUDE loop", "/loop", 1, "at most 1000 included files, 10 within each other"],
      ["$INCLUDE", "", 3, "expected a file after $INCLUDE"],
      ["$INCLUDE a b c", "", 3, "expected the end of the line, not c"],
      ["$ORIGIN a b", "", 3, "expected the end of the line, not b"],
      ["$TTL 1 2", "", 3, "expected the end of the line, not 2"],
      ["$ORIGIN", "", 3, "expected a name"],
      ["$INCLUDE b\n".repeat(1001), "", 1002, "at most 1000 included files"],
    ] as const
  ) {
    const error = zoneError(() => parse(text), why);
    assertEquals([error.file, error.line], [file, line], text);
  }
});

Deno.test("zone files: the one of the lab sheet", async () => {
  const sheet = await Deno.readTextFile(new URL("../dns/README.md", import.meta.url));
  const text = /```text\n(\$ORIGIN example\.org[^`]*)```/.exec(sheet)?.[1] ?? "";
  const zone = parseZone(text, (file) => ({ file, text: "@ A 192.0.2.25\n" }));
  const zones = new Responder(new Map([[zone.origin, zone]]), false);
  for (
    const [name, ...answers] of [
      ["host2", "A 192.0.2.12"],
      ["mail", "A 192.0.2.25"],
      ["www.old", "DNAME new.example.org.", "CNAME www.new.example.org.", "A 192.0.2.90"],
      ["raw", "A 192.0.2.99"],
    ]
  ) {
    const { answers: got } = respond(zones, { questions: [question(`${name}.example.org.`)] });
    assertEquals(lines(got).map((line) => line.slice(line.indexOf(" ") + 1)), answers);
  }
});

Deno.test("server: $INCLUDE reads files in the folder of the zone, and no other", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/zone/more`, { recursive: true });
  await Deno.writeTextFile(`${folder}/secret`, "secret words\n");
  if (Deno.build.os !== "windows") await Deno.symlink(`${folder}/secret`, `${folder}/zone/link`);
  await Deno.writeTextFile(`${folder}/zone/more/a`, "a A 192.0.2.1\n$INCLUDE ../b\n");
  await Deno.writeTextFile(`${folder}/zone/b`, "b A 192.0.2.2\n");
  const file = `${folder}/zone/x.zone`;
  const start = async (line: string, granted = folder) => {
    await Deno.writeTextFile(file, `$ORIGIN x.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\n${line}\n`);
    const flags = ["--no-prompt", "-N=127.0.0.1", `-R=${granted}`];
    return new Program(["deno", "run", ...flags, "dns/server.ts", "--port=0", file], { cwd: root });
  };
  await using right = await start("$INCLUDE more/a");
  await right.line(/^zone x\. 4 records/);
  const names = [
    "../secret",
    "more/../../secret",
    `${folder}/secret`,
    ".",
    ...Deno.build.os === "windows" ? [] : ["link"],
  ];
  for (const name of names) {
    const program = await start(`$INCLUDE ${name}`);
    assertEquals((await program.end()).code, 2);
    assertEquals(program.stderr, `server: ${file}:5: expected a file in the folder of the zone, not ${name}\n`);
  }
  const missing = await start("$INCLUDE none");
  assertEquals((await missing.end()).code, 2);
  assertStringIncludes(missing.stderr, `server: ${file}:5: cannot read none: `);
  const denied = await start("$INCLUDE b", file);
  assertEquals((await denied.end()).code, 2);
  assertEquals(denied.stderr.split("\n").length, 2, denied.stderr);
  assertStringIncludes(denied.stderr, "no permission: add -R=");
  await Deno.remove(folder, { recursive: true });
});

const soa = "$ORIGIN x.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\n";

Deno.test("zone: the same record twice is there once (RFC 2181 §5)", () => {
  const zone = parseZone(
    `${soa}@ SOA a b 1 2 3 4 5\nd A 1.1.1.1\nd 5 A 1.1.1.1\nd MX 1 M\nd MX 1 m\nd TXT a\nd TXT A\n`,
  );
  assertEquals(zone.names.get("d.x.")?.map((set) => set.length), [1, 1, 2]);
  assertEquals(zone.names.get("x.")?.map((set) => set.length), [1, 1]);
  assertThrows(() => parseZone(`${soa}@ SOA a b 2 2 3 4 5\n`), ZoneError, "only one SOA");
});

for (
  const [text, line, why] of [
    ["*.n NS a\n", 5, "expected no NS record for the wildcard *.n.x."],
    ["\\*.n NS a\n", 5, "expected no NS record for the wildcard *.n.x."],
    ["*.n DNAME a\n", 5, "expected no DNAME record for the wildcard *.n.x."],
    ["d DNAME a\nd DNAME b\n", 6, "expected only one DNAME record for d.x."],
    ["d DNAME a\nd NS b\n", 6, "expected no NS record beside the DNAME of d.x."],
    ["d NS a\nd DNAME b\n", 6, "expected no NS record beside the DNAME of d.x."],
    ["d DNAME a\nd CNAME b\n", 6, "expected no other record beside the CNAME of d.x."],
    ["a.b.d A 1.1.1.1\nd DNAME a\n", 6, "expected no name below the DNAME of d.x., not a.b.d.x."],
    ["@ DNAME y.\na A 1.1.1.1\n", 5, "expected no name below the DNAME of x., not a.x."],
    ["c CNAME a\nc RRSIG A 5 3 1 2 1 1 . AA==\nc TXT b\n", 7, "expected no other record beside the CNAME of c.x."],
  ] as const
) {
  Deno.test(`zone: ${JSON.stringify(text)}: ${why}`, () => {
    assertEquals(zoneError(() => parseZone(soa + text), why).line, line);
  });
}

Deno.test("answer: the DS records of a zone cut are in the zone above it (RFC 4035 §3.1.4.1)", () => {
  const parent = `${soa}a A 1.1.1.1\nsub NS ns.sub\nsub DS 1 8 2 AA\nns.sub A 1.1.1.2\nno NS a\n`;
  const child = "$ORIGIN sub.x.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS ns\nns A 1.1.1.2\n";
  const ask = (responder: Responder, name: string, word: string) => {
    const { flags: { aa, rcode }, answers, authority } = respond(responder, { questions: [question(name, word)] });
    return [aa, rcode, ...lines(answers), ...authority.map(({ name, type }) => `${name} ${typeName(type)}`)];
  };
  for (const responder of [responderFor(parent), responderFor(child, parent)]) {
    assertEquals(ask(responder, "sub.x.", "DS"), [true, 0, "sub.x. DS 1 8 2 aa"]);
    assertEquals(ask(responder, "no.x.", "DS"), [true, 0, "x. SOA"]);
    assertEquals(ask(responder, "no.x.", "A"), [false, 0, "no.x. NS"]);
  }
  assertEquals(ask(responderFor(parent), "x.sub.x.", "DS"), [false, 0, "sub.x. NS"]);
  assertEquals(ask(responderFor(child), "sub.x.", "DS"), [true, 0, "sub.x. SOA"]);
  // The zone above delegates the zone between them: its servers have the DS records.
  const grandchild = child.replaceAll("sub.x.", "a.sub.x.");
  assertEquals(ask(responderFor(parent, grandchild), "a.sub.x.", "DS"), [true, 0, "a.sub.x. SOA"]);
});

Deno.test("answer: DNAME (RFC 6672)", () => {
  const responder = responderFor(nasty);
  const ask = (name: string, word = "A") => {
    const { flags: { rcode, aa }, answers } = respond(responder, { questions: [question(name, word)] }, false);
    assert(aa);
    return [rcode, ...lines(answers)];
  };
  assertEquals(ask("a.B.d.n."), [0, "d.n. DNAME away.example.", "a.B.d.n. CNAME a.b.away.example."]);
  assertEquals(ask("d.n.", "TXT"), [0, 'd.n. TXT "at the owner"']);
  assertEquals(ask("a.in.n."), [0, "in.n. DNAME t2.n.", "a.in.n. CNAME a.t2.n.", "a.t2.n. A 192.0.2.20"]);
  assertEquals(ask("a.in.n.", "CNAME"), [0, "in.n. DNAME t2.n.", "a.in.n. CNAME a.t2.n."]);
  assertEquals(ask("x.root.n."), [0, "root.n. DNAME .", "x.root.n. CNAME x."]);
  assertEquals(ask(`${"1234567890".repeat(6)}.toolong.n.`)[0], rcodes.YXDOMAIN);
  assertEquals(ask("\\.x.in.n.", "TXT").at(-1), '\\.x.t2.n. TXT "wild at the target"');
  const apex = responderFor("$ORIGIN x.\n$TTL 60\n@ SOA a.y. b 1 2 3 4 5\n@ NS a.y.\n@ DNAME y.\n");
  assertEquals(lines(respond(apex, { questions: [question("b.x.")] }).answers), ["x. DNAME y.", "b.x. CNAME b.y."]);
  assertEquals(lines(respond(apex, { questions: [question("x.", "NS")] }).answers), ["x. NS a.y."]);
  const rootZone = responderFor("$TTL 60\n. SOA a. b. 1 2 3 4 5\n. NS a.x.\n. DNAME x.\n");
  assertEquals(lines(respond(rootZone, { questions: [question("b.")] }).answers).slice(0, 2), [
    ". DNAME x.",
    "b. CNAME b.x.",
  ]);
});

Deno.test("responder: a class of its own, errors with EDNS and TSIG, glue that does not fit", () => {
  const glue = Array.from({ length: 40 }, (_, i) => `ns.sub A 1.1.1.${i}\n`).join("");
  const siblings = Array.from({ length: 40 }, (_, i) => `ns A 1.1.1.${i}\n`).join("");
  const responder = responderFor(`${soa}a A 1.1.1.1\nsub NS ns.sub\nother NS ns\n${glue}${siblings}`);
  const edns = { size: 512, version: 0, dnssecOk: false };
  const one = [question("a.x.")];

  const any = respond(responder, { questions: [question("a.x.", "A", 255)] });
  assertEquals([any.flags.aa, any.answers.length], [false, 1]); // RFC 1035 §6.2
  assertEquals(respond(responder, { questions: [question("a.x.", "A", 3)] }).flags.rcode, rcodes.REFUSED);

  const codes = (query: Partial<Message> | Uint8Array) => {
    const { flags: { rcode, tc }, edns, questions, answers } = respond(responder, query);
    return [rcode, edns !== undefined, questions.length, answers.length, tc];
  };
  const opcode = { ...flags, opcode: 2 };
  assertEquals(codes({ questions: one, flags: opcode, edns }), [rcodes.NOTIMP, true, 1, 0, false]);
  assertEquals(codes({ questions: one, flags: opcode }), [rcodes.NOTIMP, false, 1, 0, false]);
  assertEquals(codes(Uint8Array.of(0, 7, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)), [rcodes.NOTIMP, false, 0, 0, false]);
  assertEquals(codes({ questions: [], edns }), [rcodes.FORMERR, true, 0, 0, false]);
  assertEquals(codes({ questions: [...one, ...one], edns }), [rcodes.FORMERR, true, 1, 0, false]);
  assertEquals(codes({ questions: one, edns: { ...edns, version: 1 } }), [rcodes.BADVERS, true, 1, 0, false]);
  const withOptions = (...options: number[]) => {
    const bytes = encode({ ...empty, questions: one, edns });
    bytes[bytes.length - 1] = options.length;
    return Uint8Array.of(...bytes, ...options);
  };
  assertEquals(codes(withOptions(0, 10, 0, 2, 1, 2)), [rcodes.NOERROR, true, 1, 1, false]);
  assertEquals(codes(withOptions(0, 10, 0, 3, 1, 2)), [rcodes.FORMERR, true, 1, 0, false]);
  assertEquals(codes(withOptions(0, 10, 0)), [rcodes.FORMERR, true, 1, 0, false]);
  const opt = { name: ".", type: 41, class: 512, ttl: 0, data: [new Uint8Array()] };
  assertEquals(codes({ questions: one, edns, additional: [opt] }), [rcodes.FORMERR, true, 1, 0, false]);
  assertEquals(codes({ questions: one, additional: [{ ...opt, name: "a." }] }), [rcodes.FORMERR, true, 1, 0, false]);

  // RFC 8945 §5.2.1: the server does not know the key.
  const none = new Uint8Array();
  const time = Uint8Array.of(0, 0, 1, 2, 3, 4);
  const signature = { name: "key.", type: 250, class: 255, ttl: 0 };
  const tsig = { ...signature, data: ["hmac-sha256.", time, 300, new Uint8Array(32), 7, 0, none] };
  for (const with_ of [{}, { edns }]) {
    const signed = respond(responder, { questions: one, tsig, ...with_ });
    assertEquals([signed.flags.rcode, signed.edns !== undefined], [rcodes.NOTAUTH, "edns" in with_]);
    assertEquals(signed.tsig, { ...signature, data: ["hmac-sha256.", time, 300, none, 7, 17, none] });
  }
  assertEquals(codes({ questions: one, additional: [tsig, opt] }), [rcodes.FORMERR, false, 0, 0, false]);
  const long = {
    ...tsig,
    name: `${"a".repeat(62)}.`.repeat(4),
    data: [`${"b".repeat(62)}.`.repeat(4), ...tsig.data.slice(1)],
  };
  assertEquals(codes({ questions: [question(`${"c".repeat(62)}.`.repeat(4))], tsig: long }), [9, false, 1, 0, false]);

  // RFC 9471 §3: without the addresses inside the other zone the response is incomplete; others are optional.
  assertEquals(codes({ questions: [question("a.sub.x.")] }), [0, false, 1, 0, true]);
  assertEquals(codes({ questions: [question("a.other.x.")] }), [0, false, 1, 0, false]);
  assertEquals(respond(responder, { questions: [question("a.sub.x.")] }, false).additional.length, 40);

  // A truncated response is no longer than its query, and is the response to it.
  for (const query of [{ questions: one }, { questions: one, edns }]) {
    const bytes = encode({ ...empty, ...query });
    const short = responder.truncated(bytes);
    const { id, flags: { qr, tc, rcode }, questions, edns: opt } = decode(short);
    assertEquals([short.length, id, qr, tc, rcode, questions], [bytes.length, 7, true, true, 0, one]);
    assertEquals(opt !== undefined, "edns" in query);
  }
  assertEquals(responder.truncated(new Uint8Array(12).fill(255)).length, 12);
});

testWith(nsd, "nsd", "NSD: the same answers from a zone full of hard cases", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/n.zone`;
  await Deno.writeTextFile(file, nasty);
  const theirs = freePort();
  await using other = new Program(await nsdCommand(folder, theirs, { n: file }));
  await other.line(/nsd started/);
  const ours = await listening((
    port,
  ) => ["deno", "run", "-N=127.0.0.1", `-R=${folder}`, "dns/server.ts", "--rate=0", `--port=${port}`, file]);
  await using _ = ours.program;
  const entries = parseMasterFile(nasty);
  const names = new Set(entries.map(({ record }) => record.name));
  for (const name of more) names.add(parseMasterFile(`$ORIGIN n.\n${name} 1 A 1.1.1.1`)[0]?.record.name ?? "");
  const sorted = (records: readonly ResourceRecord[]) =>
    records.map(({ name, ttl, type, data }) =>
      `${canonicalName(name)} ${ttl} ${typeName(type)} ${
        printData(type, data.map((value) => typeof value === "string" ? canonicalName(value) : value))
      }`
    ).sort();
  const answerOf = async (port: number, name: string, word: string) => {
    const to: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };
    const { message } = await ask(to, question(name, word), { timeout: 10, recurse: false });
    const { flags: { rcode, aa }, answers, authority, additional } = message;
    // NSD adds the zone's servers to an answer, which is optional.
    const needed = answers.length > 0 && aa ? authority.filter(({ type }) => typeName(type) === "SOA") : authority;
    return { rcode, aa, answers: sorted(answers), authority: sorted(needed), glue: aa ? [] : sorted(additional) };
  };
  const all = [...names].flatMap((name) => {
    const own = entries.filter(({ record }) => record.name === name).map(({ record }) => typeName(record.type));
    return [...new Set([...words, ...own])].map((word) => ({ name, word }));
  });
  for (const { name, word } of all) {
    const [mine, its] = [await answerOf(ours.port, name, word), await answerOf(theirs, name, word)];
    assertEquals(mine, its, `${name} ${word}`);
  }
  assert(all.length > 1000, `${all.length} questions`);
  await other.stop();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("zone files: a plain line means the same as one with a comment, in parentheses, or with odd spaces", () => {
  const head = "$ORIGIN x.\n$TTL 1h\n@ SOA ns host 1 4h 30m 2w 5m\n@ NS ns\n";
  const lines = [
    "a A 192.0.2.1",
    "b 300 IN AAAA 2001:db8::1",
    "c\tIN\t5m\tMX\t10 a",
    "*.d CNAME a.x.",
    "\tTXT word other",
    "e-1._tcp SRV 0 0 53 a",
    "f TYPE300 \\# 2 abcd",
    'g TXT "in quotes"',
  ];
  const plain = parseMasterFile(`${head}${lines.join("\n")}`);
  const others = [
    lines.map((line) => `${line} ; a comment`),
    lines.map((line) => `${line} ( )`),
    lines.map((line) => `${line} \t\r`),
  ];
  const apart = lines.flatMap((line) => ["", line, " ", ";"]);
  for (const other of others) {
    assertEquals(parseMasterFile(`${head}${other.join("\n")}\n`), plain, other.join("\n"));
  }
  const records = (entries: ReturnType<typeof parseMasterFile>) => entries.map(({ record }) => record);
  assertEquals(records(parseMasterFile(`${head}${apart.join("\n")}`)), records(plain));
  // A vertical tab is a space, too.
  const vertical = lines.slice(0, 4).map((line) => line.replace(/[ \t](?=\S+$)/, "\u000b"));
  assertEquals(records(parseMasterFile(head + vertical.join("\n"))), records(plain).slice(0, 6));
});

Deno.test("zone files: the first wrong line is named; records may stand before the SOA record", () => {
  const soa = "@ SOA ns host 1 4h 30m 2w 5m\n";
  const wrong = (text: string) => {
    const error: unknown = assertThrows(() => parseZone(`$ORIGIN x.\n$TTL 1h\n${text}`));
    return error instanceof ZoneError ? `${error.line}: ${error.message}` : `${error}`;
  };
  assertEquals(wrong(`${soa}a.y. A 1.1.1.1\nb A 1.1.1\n`), "4: expected a name in x., not a.y.");
  assertEquals(wrong(`${soa}b A 1.1.1\na.y. A 1.1.1.1\n`), "4: expected an IPv4 address, not 1.1.1");
  assertEquals(wrong(`a.y. A 1.1.1.1\n${soa}`), "3: expected a name in x., not a.y.");
  assertEquals(wrong("a A 1.1.1.1\n\nb A 1.1.1.1\n"), "5: expected an SOA record");
  assertEquals(wrong(`${soa}@ SOA other host 1 4h 30m 2w 5m\n`), "4: expected only one SOA record");
  const zone = parseZone(`$ORIGIN x.\n$TTL 1h\na A 1.1.1.1\n@ NS ns\n${soa}b A 1.1.1.2\n${soa}`);
  assertEquals([...zone.names].map(([name]) => name).sort(), ["a.x.", "b.x.", "x."]);
});
