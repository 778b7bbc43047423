/**
 * Zones without a process: the words of a zone file, fields and their ranges, what a zone has for a name, and the answer made
 * of it. `dns_test.ts` imports it.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { answer } from "../../dns/_answer.ts";
import { parseInteger, uint16, uint32, uint8, type Word } from "../../dns/_field.ts";
import { parseMasterFile, ZoneError } from "../../dns/_master_file.ts";
import type { Question } from "../../dns/_message.ts";
import { FormatError, toWire } from "../../dns/_name.ts";
import { NameTable } from "../../dns/_name_table.ts";
import { parseTtl, printBytes, quoteText, toAbsolute, unescapeText } from "../../dns/_presentation.ts";
import { printData, type ResourceRecord } from "../../dns/_record.ts";
import { className, isDataType, typeName, typeNumber } from "../../dns/_record_types.ts";
import { printParameters } from "../../dns/_svcb.ts";
import { readZones } from "../../dns/_zone_files.ts";
import { describeZone, findZone, lookUp, parseZone } from "../../dns/_zone.ts";
import { ZoneNames } from "../../dns/_zone_names.ts";
import { below, seeded } from "../support/fuzz.ts";
import { stub } from "../support/stub.ts";

const question = (name: string, word = "A", class_ = 1): Question => (
  { name, type: typeNumber(word) ?? 0, class: class_ }
);
const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(/\s/g, ""));
const ascii = (text: string) => new TextEncoder().encode(text);

/** What an action throws, in one word and a text. */
function thrown(action: () => unknown): string {
  try {
    return `no error: ${action()}`;
  } catch (error) {
    if (error instanceof Failure) return `${error.code}: ${error.message}`;
    if (error instanceof ZoneError) return `${error.file}:${error.line}: ${error.message}`;
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

Deno.test("fields: numbers and their ranges, texts and their lengths, data as bytes", () => {
  const words = (...texts: string[]): Word[] => texts.map((text) => ({ text, quoted: false }));
  for (const [field, limit] of [[uint8, 256], [uint16, 65_536], [uint32, 4_294_967_296]] as const) {
    assertEquals([field.parse(words("0"), "."), field.parse(words(`${limit - 1}`), ".")], [0, limit - 1]);
    for (const wrong of [`${limit}`, "-1", "1.5", "1e1", "0x1", ""]) {
      assertEquals(thrown(() => field.parse(words(wrong), ".")), `expected a number below ${limit}, not ${wrong}`);
    }
    assertEquals(thrown(() => field.parse([], ".")), "expected a number, but the record ends here");
    assertEquals(field.print(limit - 1), `${limit - 1}`);
  }
  assertEquals(thrown(() => parseInteger("12", 12)), "expected a number below 12, not 12");
  const data = (text: string) =>
    thrown(() =>
      parseMasterFile(`$ORIGIN x.\na 1 ${text}`).map(({ record }) => printData(record.type, record.data)).join()
    )
      .replace("no error: ", "");
  const a = (length: number) => "a".repeat(length);
  assertEquals(data(`TXT ${a(255)}`), `"${a(255)}"`);
  assertEquals(data(`TXT ${a(256)}`), ":2: expected a character string of at most 255 bytes");
  assertEquals(data(`CAA 128 ${a(255)} x`), `128 ${a(255)} "x"`);
  assertEquals(data(`CAA 128 ${a(256)} x`), `:2: expected a tag of letters and digits, not ${a(256)}`);
  assertEquals(data(`CAA 128 "" x`), ":2: expected a tag of letters and digits, not ");
  assertEquals(data("AAAA 2001:DB8::1"), "2001:db8::1");
  assertEquals(data("TYPE65280 \\# 0"), "\\# 0");
  assertEquals(data("TYPE65280 \\# 2 0A 0b"), "\\# 2 0a0b");
  for (const wrong of ["1 0A0B", "3 0A0B", "1", "", "x 0A", "1 0", "1 0G", "-1 0A"]) {
    assertEquals(data(`TYPE65280 \\# ${wrong}`), ":2: expected \\#, a length and as many bytes in hexadecimal");
  }
  assertEquals(data(`TYPE65280 \\# 65535 ${"00".repeat(65_535)}`).length, "\\# 65535 ".length + 2 * 65_535);
  const tooLong = ":2: expected at most 65535 bytes of data"; // their number would not fit into two bytes
  assertEquals(data(`TYPE65280 \\# 65536 ${"00".repeat(65_536)}`), tooLong);
  const strings = Array.from({ length: 255 }, () => a(255)).join(" ");
  assertEquals([data(`TXT ${strings} ${a(254)}`).length, data(`TXT ${strings} ${a(255)}`)], [255 * 258 + 256, tooLong]);
  assertEquals(data(`TXT "\\#" 1 0A`), `"#" "1" "0A"`);
  assertEquals(data("MX \\# 4 0001 0161").slice(0, 2), ":2");
  assertEquals(data("MX \\# 5 0001 0161 00"), "1 a.");
  assertEquals(
    data("TYPE65280 1"),
    ":2: expected \\# LENGTH HEX (RFC 3597): this program does not know the format of TYPE65280",
  );
  // Sets of record types: windows in order, of 1 to 32 bytes.
  assertEquals(data("NSEC \\# 5 00 0002 0002"), ". TYPE14");
  assertEquals(data("NSEC \\# 9 00 0001 40 0101 80 0200"), ":2: a set of record types is malformed");
  assertEquals(data("NSEC \\# 7 00 0001 40 0101 80"), ". A URI");
  assertEquals(data(`NSEC \\# 35 00 0020 ${"00".repeat(31)}01`), ". ANY");
  for (const wrong of ["3 00 0000", `36 00 0021 ${"00".repeat(33)}`, "7 00 0101 40 0101 40", "7 00 0101 40 0001 40"]) {
    assertEquals(data(`NSEC \\# ${wrong}`), ":2: a set of record types is malformed", wrong);
  }
  assertEquals(data("NSEC . A TYPE9 TYPE8 TYPE7 NS TYPE256 TYPE65535"), ". A NS TYPE7 TYPE8 TYPE9 URI TYPE65535");
  // Times of signatures.
  const time = (word: string) =>
    data(`RRSIG A 5 3 1 ${word} 0 1 . AA==`).replace(/^A 5 3 1 (\d+) 19700101000000 1 \. AA==$/, "$1");
  assertEquals([time("4294967295"), time("21060207062815"), time("0")], [
    "21060207062815",
    "21060207062815",
    "19700101000000",
  ]);
  assertEquals([time("19991231235959"), time("946684799"), time("19700101000000")], [
    ...["19991231235959", "19991231235959", "19700101000000"],
  ]);
  for (const wrong of ["21060207062816", "19691231235959", "20230229000000", "20231301000000", "20230100000000"]) {
    assertEquals(time(wrong), `:2: expected a time as YYYYMMDDHHmmSS, not ${wrong}`);
  }
});

Deno.test("LOC: to the thousandth of a second and the centimetre, and at each border (RFC 1876)", () => {
  const loc = (text: string) =>
    thrown(() => parseMasterFile(`a. 1 LOC ${text}`).map(({ record }) => printData(record.type, record.data)).join())
      .replace("no error: ", "");
  const rest = "0m 1m 10000m 10m"; // the sizes when they are left out
  assertEquals(loc("90 N 180 E 0"), `90 0 0.000 N 180 0 0.000 E ${rest}`);
  assertEquals(loc("89 59 59.999 s 179 59 59.999 w 0.5"), `89 59 59.999 S 179 59 59.999 W 0.50m ${rest.slice(3)}`);
  assertEquals(loc("0 0 0.001 S 0 1 W 100M"), `0 0 0.001 S 0 1 0.000 W 100m ${rest.slice(3)}`);
  assertEquals(loc("1 2 3.4 N 5 6 7 E -0.01 0.05 123 90000000"), "1 2 3.400 N 5 6 7.000 E -0.01m 0.05m 100m 90000000m");
  assertEquals(loc("1 N 1 E 42849672.95m"), `1 0 0.000 N 1 0 0.000 E 42849672.95m ${rest.slice(3)}`);
  assertEquals(loc("1 N 1 E 42849672.96m"), ":1: expected metres from -100000 to 42849672.95, not 42849672.96m");
  assertEquals(loc("1 N 1 E -100000.01m"), ":1: expected metres from -100000 to 42849672.95, not -100000.01m");
  assertEquals(loc("1 N 1 E -100000m").slice(0, 36), "1 0 0.000 N 1 0 0.000 E -100000m 1m ");
  assertEquals(loc("1 N 1 E 0 -0.01"), ":1: expected metres from 0 to 90000000, not -0.01");
  assertEquals(loc("180 0 0.001 N 1 E 0"), ":1: expected at most 90 degrees");
  assertEquals(loc("1 N 180 0 0.001 E 0"), ":1: expected at most 180 degrees");
  assertEquals(loc("1 60 N 1 E 0"), ":1: expected degrees, minutes, seconds and N or S, not 60");
  assertEquals(loc("1 59 60 N 1 E 0"), ":1: expected degrees, minutes, seconds and N or S, not 60");
  // Sizes that are no digit and power of ten, or another version: printed as bytes.
  const raw = (sizes: string) => loc(`\\# 16 ${sizes} 80000000 80000000 00989680`);
  assertEquals(raw("00 99 09 90"), "0 0 0.000 N 0 0 0.000 E 0m 90000000m 0m 0.09m");
  for (const wrong of ["00 a0 00 00", "00 0a 00 00", "00 00 00 a9", "01 00 00 00"]) {
    assertEquals(raw(wrong), `\\# 16 ${wrong.replaceAll(" ", "")}800000008000000000989680`);
  }
  assertEquals(loc("\\# 1 01"), "\\# 1 01", "another version may have another length");
  assertEquals(loc("\\# 1 00"), ":1: the data of LOC does not have 16 bytes");
});

Deno.test("master file: words, lines, TTLs and classes, files within files", () => {
  const lines = (text: string) =>
    thrown(() =>
      parseMasterFile(text).map(({ record: { name, ttl, type, data }, line }) =>
        `${line} ${name} ${ttl} ${typeName(type)} ${printData(type, data)}`
      ).join("\n")
    ).replace("no error: ", "");
  const head = "$ORIGIN x.\n$TTL 9\n";
  assertEquals(
    lines(
      `${head}a TXT ( "one\ntwo"\n three ; a ) comment\n ) "a;b" ;end\n\r\n\tA 1.1.1.1\r\nb\fA\u00a01.1.1.2\nc\tTXT d\\\ne "" \\;`,
    ),
    [
      '3 a.x. 9 TXT "one\\010two" "three" "a;b"',
      "8 a.x. 9 A 1.1.1.1",
      "9 b.x. 9 A 1.1.1.2",
      '10 c.x. 9 TXT "d\\010e" "" ";"',
    ].join("\n"),
  );
  assertEquals(
    lines(`${head}a TXT "\n\n"\nb X`),
    ":6: expected a type of record, not X: TYPE and its number stand for any other type",
  );
  assertEquals(lines(`${head}a TXT b\\\nc\nb X`).slice(0, 4), ":5: ");
  assertEquals(lines(`${head}a TXT (\n\nb`), ":3: a ( without a )");
  assertEquals(lines(`${head}a TXT ( ( a ) )\nb TXT (\nc\n)\n)`), ":7: a ) without a (");
  assertEquals(lines(`${head}a TXT \\`), ":3: unexpected \\");
  assertEquals(lines(`${head}a TXT "b\\"`), ":3: a quoted string has no end");
  assertEquals(lines(`${head}"$TTL" A 1.1.1.1`), "3 \\$TTL.x. 9 A 1.1.1.1");
  assertEquals(
    lines(`${head} A 1.1.1.1`),
    ":3: expected a name: there is no previous record whose name this line could repeat",
  );
  assertEquals(lines("a. A 1.1.1.1"), ":1: expected a TTL: there is no $TTL and no previous record");
  assertEquals(lines(`${head}a`), ":3: expected a type of record");
  assertEquals(lines(`${head}a TYPE41 \\# 0`), ":3: expected a type that a zone may have, not TYPE41");
  for (const form of ["5 IN", "IN 5", "5 CLASS1", "class1 5s", "5"]) {
    assertEquals(lines(`${head}a ${form} A 1.1.1.1`), "3 a.x. 5 A 1.1.1.1");
  }
  assertEquals(lines(`${head}a in A 1.1.1.1`), "3 a.x. 9 A 1.1.1.1");
  assertEquals(lines(`${head}a IN IN IN A 1.1.1.1`).slice(0, 41), ":3: expected a type of record, not IN: TY");
  assertEquals(lines(`${head}a 5 IN 6 A 1.1.1.1`).slice(0, 40), ":3: expected a type of record, not 6: TY");
  for (const other of ["HS", "cs", "CLASS3", "CLASS10"]) {
    assertEquals(lines(`${head}a ${other} A 1.1.1.1`), `:3: expected class IN, not ${other}`);
  }
  // $TTL, else the record before, else the SOA record's last field.
  const soa =
    "x. SOA a. b. 1 2 3 4 7\ny. A 1.1.1.1\nz. 8 A 1.1.1.1\nz. A 1.1.1.2\n$TTL 6\nz. A 1.1.1.3\nz. 5 A 1.1.1.4\nz. A 1.1.1.5";
  assertEquals(lines(soa).split("\n").map((line) => line.split(" ")[2]), ["7", "7", "8", "8", "6", "5", "6"]);
  assertEquals(lines(`${head}$ORIGIN y\na A 1.1.1.1\n$ORIGIN y.\n@ A 1.1.1.1`).split("\n"), [
    "4 a.y.x. 9 A 1.1.1.1",
    "6 y. 9 A 1.1.1.1",
  ]);
  assertEquals(lines(`${head}$TTL`), ":3: expected a time in seconds, not ");
  assertEquals(lines(`${head}$TTL 1 2`), ":3: expected the end of the line, not 2");
  // Files within each other: ten, and no more; a thousand in all.
  const nested = (deepest: number) =>
    thrown(() =>
      parseMasterFile("$INCLUDE 1", (name) => ({
        file: name,
        text: Number(name) < deepest ? `$INCLUDE ${Number(name) + 1}` : "a. 1 A 1.1.1.1",
      })).length
    );
  assertEquals([nested(10), nested(11)], [
    "no error: 1",
    "10:1: expected at most 1000 included files, 10 within each other",
  ]);
  const many = (n: number) =>
    thrown(() => parseMasterFile("$INCLUDE a\n".repeat(n), (file) => ({ file, text: "" })).length);
  assertEquals([many(999), many(1000)], [
    "no error: 0",
    ":1000: expected at most 1000 included files, 10 within each other",
  ]);
});

Deno.test("$GENERATE: how many records, which numbers, in which form", () => {
  const lines = (line: string) =>
    thrown(() =>
      parseMasterFile(`$ORIGIN x.\n$TTL 1\n$GENERATE ${line} TXT x`).map(({ record }) => record.name.slice(0, -3))
        .join()
    )
      .replace("no error: ", "");
  assertEquals(lines("5-5 a$"), "a5");
  assertEquals(lines("0-7/3 a$"), "a0,a3,a6");
  assertEquals(lines("0-6/3 a${0,2}"), "a00,a03,a06");
  assertEquals(lines("9-11 ${0,2,x}"), "09,0a,0b");
  assertEquals(lines("8-8 ${1,0,o}"), "11");
  assertEquals(lines("171-171 ${0,0,X}.${0,0,N}.${0,3,n}"), "AB.B.A.b.a");
  assertEquals(lines("10-10 ${0,1,n}-${0,3,n}-${0,4,n}-${0,5,n}"), "a-a.0-a.0.-a.0.0");
  assertEquals(lines("1-1 ${-1}"), "0");
  assertEquals(lines("1-1 ${-2}"), ":3: expected ${OFFSET,WIDTH,BASE}, and a number from 0, not ${-2}");
  assertEquals(lines("1-1 ${0,64}").slice(0, 10), ":3: 000000");
  assertEquals(lines("1-1 ${0,256}"), ":3: expected ${OFFSET,WIDTH,BASE}, and a number from 0, not ${0,256}");
  assertEquals(lines("1-1 ${0,63}"), `${"0".repeat(62)}1`);
  for (const wrong of ["2-1", "1-2/0", "1", "-1-2", "1-2/", "12345678901-12345678902"]) {
    assertEquals(lines(`${wrong} a$`), `:3: expected START-STOP or START-STOP/STEP, not ${wrong}`);
  }
  assertEquals(lines("0-131072/2 a$"), ":3: expected at most 65536 records, not 0-131072/2");
  assertEquals(lines("0-9999999999/9999999999 a$"), "a0,a9999999999");
});

Deno.test("presentation: times, names, bytes behind backslashes", () => {
  for (
    const [word, total] of [
      ...[["0", 0], ["1s", 1], ["1m", 60], ["1h", 3600], ["1d", 86_400], ["1w", 604_800], ["1W1D1H1M1S", 694_861]],
      ...[["2147483647", 2_147_483_647], ["3d2", 259_202]],
    ] as const
  ) assertEquals(parseTtl(word), total);
  for (const wrong of ["", "2147483648", "1x", "h", "1 h", "-1", "1.5"]) {
    assertEquals(thrown(() => parseTtl(wrong)), `expected a time in seconds, not ${wrong}`);
  }
  assertEquals(["a", "a.", "a\\.", "a\\\\.", "@"].map((name) => toAbsolute(name, "x.")), [
    "a.x.",
    "a.",
    "a\\..x.",
    "a\\\\.",
    "x.",
  ]);
  assertEquals([toAbsolute("a", "."), toAbsolute("\\097\\046", ".")], ["a.", "a\\.."]);
  assertEquals(thrown(() => toAbsolute("", "x.")), "expected a name, not an empty word");
  const long = "a.".repeat(127);
  assertEquals([toAbsolute(long, "."), thrown(() => toAbsolute(`${long}a.`, "."))], [
    long,
    `${long}a.: longer than 255 bytes`,
  ]);
  assertEquals(thrown(() => toAbsolute("a".repeat(64), ".")), `${"a".repeat(64)}.: a label longer than 63 bytes`);
  assertEquals([...unescapeText("ü\\255\\a\\\\\\")], [0xc3, 0xbc, 255, 97, 92, 92]);
  assertEquals(thrown(() => unescapeText("\\256")), "expected a byte after \\, not 256");
  assertEquals(
    printBytes(Uint8Array.of(32, 33, 126, 127, 34, 92, 59, 40, 41, 0)),
    "\\032!~\\127\\034\\092\\059\\040\\041\\000",
  );
  assertEquals(quoteText(Uint8Array.of(31, 32, 126, 127, 34, 92, 59, 0)), '"\\031 ~\\127\\"\\\\;\\000"');
});

Deno.test("types and classes: by name and by number", () => {
  assertEquals(["A", "mx", "TYPE16", "type65535", "TYPE0", "CAA"].map(typeNumber), [1, 15, 16, 65535, 0, 257]);
  assertEquals(["TYPE65536", "TYPE", "TYPE-1", "TYPE100000", "B", ""].map(typeNumber), Array(6).fill(undefined));
  assertEquals([typeName(28), typeName(3), className(1), className(2), className(255)], [
    "AAAA",
    "TYPE3",
    "IN",
    "CLASS2",
    "ANY",
  ]);
  assertEquals([0, 1, 40, 41, 42, 127, 128, 255, 256, 65534, 65535].filter(isDataType), [1, 40, 42, 127, 256, 65534]);
});

/** The failure of a promise: its code and message. */
async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => promise);
  return error instanceof Failure ? `${error.code}: ${error.message}` : `${error}`;
}

const apex = "$ORIGIN x.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\n";
const zoneOf = (text: string) => parseZone(apex + text);

Deno.test("zone: names between, conflicts, duplicates, what the log says", () => {
  const zone = zoneOf("a A 1.1.1.1\nb.c.d TXT x\n");
  const names = [...zone.names].map(([name, sets]) => `${name} ${sets.length}`);
  assertEquals(names, ["x. 2", "a.x. 1", "b.c.d.x. 1", "c.d.x. 0", "d.x. 0"]);
  assertEquals([zone.origin, zone.redirects, describeZone(zone)], ["x.", false, "x. 4 records of 4 types, serial 1"]);
  assertEquals(
    describeZone(zoneOf("a A 1.1.1.1\na A 1.1.1.2\nb A 1.1.1.1\n")),
    "x. 5 records of 3 types, serial 1",
  );
  const spelled = parseZone("$ORIGIN LaB.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\nA.b A 1.1.1.1\na.B A 1.1.1.2\n");
  const owners = ["lab.", "a.b.lab."].map((name) => spelled.names.get(name)?.flat().map(({ name }) => name).join());
  assertEquals(owners, ["LaB.,LaB.", "A.b.LaB.,A.b.LaB."], "as they are spelled the first time");
  const wrong = (text: string) => thrown(() => zoneOf(text).origin);
  for (
    const right of [
      "a CNAME b\na RRSIG CNAME 5 3 1 2 1 1 . AA==\na NSEC b CNAME\na CNAME B\n",
      "a RRSIG CNAME 5 3 1 2 1 1 . AA==\na CNAME b\n",
      "d DNAME a\nd DNAME A\n",
      "@ DNAME y.\n", // beside the NS records of the origin
      "d NS a\nd NS b\nd TXT x\n",
      "*d NS a\n",
      "@ SOA A b 1 2 3 4 5\n", // the same record twice
    ]
  ) assertEquals(wrong(right), "no error: x.", right);
  for (
    const [text, why] of [
      ["a TXT x\na CNAME b\n", "6: expected no other record beside the CNAME of a.x."],
      ["a CNAME b\na NSEC b A\na TXT x\n", "7: expected no other record beside the CNAME of a.x."],
      ["a NSEC b A\na CNAME b\na CNAME c\n", "7: expected no other record beside the CNAME of a.x."],
      ["d DNAME a\nd DNAME b\n", "6: expected only one DNAME record for d.x."],
      ["d TXT x\nd NS a\nd DNAME b\n", "7: expected no NS record beside the DNAME of d.x."],
      ["d DNAME b\nd NS a\n", "6: expected no NS record beside the DNAME of d.x."],
      ["*.d NS a\n", "5: expected no NS record for the wildcard *.d.x."],
      ["*.d DNAME a\n", "5: expected no DNAME record for the wildcard *.d.x."],
      ["d DNAME a\nb.c.d TXT x\n", "5: expected no name below the DNAME of d.x., not b.c.d.x."],
      ["a SOA a b 1 2 3 4 5\n", "5: expected only one SOA record"],
      ["@ SOA a b 1 2 3 4 6\n", "5: expected only one SOA record"],
      ["b.xx. TXT a\n", "5: expected a name in x., not b.xx."],
      ["x.y. TXT a\n", "5: expected a name in x., not x.y."],
      ["y. TXT a\n", "5: expected a name in x., not y."],
      [". TXT a\n", "5: expected a name in x., not ."],
      ["a\\.x. TXT a\n", "5: expected a name in x., not a\\.x."],
    ]
  ) assertEquals(wrong(text ?? ""), `:${why}`, text);
  assertEquals(thrown(() => parseZone("$TTL 1\na. A 1.1.1.1\nb. A 1.1.1.1\n")), ":3: expected an SOA record");
  assertEquals(thrown(() => parseZone("")), ":1: expected an SOA record");
  const withoutNs = "a. 1 SOA a. b. 1 2 3 4 5\na. A 1.1.1.1\n";
  assertEquals(thrown(() => parseZone(withoutNs)), ":1: expected an NS record for a.");
  // The same data once; one TTL for a set, but the signatures keep their own.
  const signed = "d 7 RRSIG A 5 3 1 2 1 1 . AA==\nd 8 RRSIG TXT 5 3 1 2 1 1 . AA==\n";
  const sets = zoneOf(`d 7 A 1.1.1.1\nd 8 A 1.1.1.2\nd A 1.1.1.1\nd A 1.1.1.2\n${signed}`);
  assertEquals(sets.names.get("d.x.")?.map((set) => set.map(({ ttl }) => ttl)), [[7, 7], [7, 8]]);
  const zones = new Map([["x.", zone], [".", sets], ["c.x.", zone]]);
  assert(findZone(zones, "A.c.X.") === zone && findZone(zones, "b.x.") === zone && findZone(zones, "y.") === sets);
  assertEquals(findZone(new Map([["x.", zone]]), "y."), undefined);
});

Deno.test("zone memory: the records of the file in any order, of few names and many, in each thread (fixed seed)", () => {
  const random = seeded(3);
  const lines: string[] = [];
  for (let i = 0; i < 4000; i++) {
    // Some names have one record, others hundreds; one record in ten is there twice.
    const name = i % 2 ? `n${i}` : `many${below(random, 1 + below(random, 20))}${".few".repeat(below(random, 3))}`;
    const text = below(random, 2)
      ? `A 10.0.${below(random, 4)}.${below(random, 250)}`
      : `TXT "${"t".repeat(below(random, 200))}"`;
    lines.push(
      `${random() < 0.1 ? lines[below(random, lines.length)] ?? "" : `${name} ${60 + below(random, 9)} ${text}`}\n`
        .trim(),
    );
  }
  const zone = zoneOf(lines.map((line) => `${line}\n`).join(""));
  // What the zone must have: each record once, and one TTL for those of one type.
  const expected = new Map<string, Map<string, Set<string>>>();
  for (const { record: { name, type, data } } of parseMasterFile(`$ORIGIN x.\n${lines.join("\n")}`)) {
    const sets = expected.get(name) ?? new Map<string, Set<string>>();
    expected.set(name, sets);
    sets.set(typeName(type), (sets.get(typeName(type)) ?? new Set()).add(printData(type, data)));
  }
  const sizes = [...expected.values()].map((sets) => [...sets.values()].reduce((sum, { size }) => sum + size, 0));
  assert(Math.max(...sizes) > 100 && sizes.filter((size) => size === 1).length > 1000);
  const copy = new ZoneNames(structuredClone(zone.names.memory));
  for (const names of [zone.names, copy]) {
    for (const [name, sets] of expected) {
      const found = names.get(name)?.map((set): [string, Set<string>] => {
        assertEquals(new Set(set.map(({ name, ttl, class: class_ }) => `${name} ${ttl} ${class_}`)).size, 1);
        return [typeName(set[0]?.type ?? 0), new Set(set.map(({ type, data }) => printData(type, data)))];
      });
      assertEquals(new Map(found), sets, name);
      for (const [word, { size }] of sets) assertEquals(names.getSet(name, typeNumber(word) ?? 0)?.length, size);
      assertEquals(names.getSet(name, 99), undefined);
    }
    assertEquals([names.get("few.x.")?.length, names.get("none.x."), names.getSet("none.x.", 1)], [
      0,
      undefined,
      undefined,
    ]);
    const all = [...names].flatMap(([, sets]) => sets.flat()).length;
    assertEquals(names.count(), { records: all, types: 4 });
  }
  assert(zone.names.memory.bytes.buffer instanceof SharedArrayBuffer, "threads have it without copying");
});

Deno.test("name table: every name is found by its bytes in either case, and no other", () => {
  const table = new NameTable();
  const bytes = new Uint8Array(255);
  const names = [".", ...Array.from({ length: 1000 }, (_, i) => `${i % 7 ? "n" : "N"}${i}.${"long".repeat(i % 15)}x.`)];
  for (const [number, name] of names.entries()) {
    assertEquals(table.numberOf(name), -1, name);
    assertEquals(table.add(bytes, 0, toWire(name, bytes)), number);
    assertEquals(table.add(bytes, 0, toWire(name.toUpperCase(), bytes)), number, "it is there already");
  }
  const same = new NameTable(table.memory);
  for (const [number, name] of names.entries()) {
    assertEquals([table.numberOf(name.toUpperCase()), same.numberOf(name.toLowerCase())], [number, number]);
    assertEquals(same.nameAt(number), name);
  }
  // A byte that differs by 32 is the same only if it is a letter.
  for (const [a, b] of [["\\064.", "\\096."], ["\\091.", "\\123."], ["\\193.", "\\225."], ["a.b.", "a\\.b."]]) {
    table.add(bytes, 0, toWire(a ?? "", bytes));
    assertEquals(table.numberOf(b ?? ""), -1, b);
  }
  assertEquals([same.size, table.size], [1001, 1005]);
});

Deno.test("zone: cuts, redirections and wildcards on the way to a name", () => {
  const zone = zoneOf(
    "cut NS a\ncut DS 1 8 2 AA\ndeep.cut NS b\nhost.cut A 1.1.1.1\n*.w A 1.1.1.1\nb.w TXT x\nd DNAME y\n*.e.b.w TXT z\n",
  );
  const found = (name: string, type = 1) => {
    const result = lookUp(zone, name, type);
    switch (result.kind) {
      case "records":
        return result.sets.map(([first]) => `${first?.name} ${typeName(first?.type ?? 0)}`).join();
      case "delegation":
        return `to ${result.servers.map(({ name, data }) => `${name} ${data}`)}`;
      case "redirection":
        return `by ${result.dname.name}`;
      case "nothing":
        return "nothing";
    }
  };
  for (
    const [name, expected, type] of [
      ["x.", "x. SOA,x. NS"],
      ["CUT.x.", "to cut.x. a.x."],
      ["cut.x.", "cut.x. NS,cut.x. DS", 43],
      ["host.cut.x.", "to cut.x. a.x.", 43],
      ["y.deep.cut.x.", "to cut.x. a.x."],
      ["q.w.x.", "*.w.x. A"],
      ["r.q.w.x.", "*.w.x. A"],
      ["b.w.x.", "b.w.x. TXT"],
      ["q.b.w.x.", "nothing"],
      ["q.e.b.w.x.", "*.e.b.w.x. TXT"],
      ["w.x.", ""],
      ["d.x.", "d.x. DNAME"],
      ["q.d.x.", "by d.x."],
      ["q.x.", "nothing"],
    ] as const
  ) assertEquals(found(name, type), expected, name);
  const all = parseZone("$TTL 60\n. SOA a. b. 1 2 3 4 5\n. NS a.\n*. TXT x\n");
  assertEquals(lookUp(all, "any.name.", 16).kind, "records");
  const top = zoneOf("@ DNAME y.\n");
  assertEquals([lookUp(top, "q.x.", 1).kind, lookUp(top, "x.", 1).kind], ["redirection", "records"]);
});

Deno.test("answer: aliases, referrals with glue, negative answers and their TTL, ANY, addresses that help", () => {
  const aliases = Array.from({ length: 20 }, (_, i) => `c${i} CNAME c${i + 1}\n`).join("");
  const zone = parseZone(
    "$ORIGIN x.\n$TTL 60\n@ SOA a b 1 2 3 4 30\n@ NS a\na A 1.1.1.1\na AAAA ::1\n@ MX 1 a\n@ MX 2 m.sub\ns SRV 1 2 3 a\n" +
      "loop CNAME pool\npool CNAME LOOP\nout CNAME y.\nsub NS n.sub\nsub NS a\nn.sub A 1.1.1.2\n*.w TXT w\n" +
      `to CNAME host.sub\nsigned CNAME a\nsigned NSEC t CNAME\n${aliases}`,
  );
  const low = parseZone("$ORIGIN l.\n@ 20 SOA a.x. b 1 2 3 4 30\n@ NS a.x.\n");
  const zones = new Map([["x.", zone], ["l.", low]]);
  const show = (records: readonly ResourceRecord[]) =>
    records.map(({ name, type, ttl }) => `${name} ${ttl} ${typeName(type)}`).join();
  const answered = (name: string, word = "A") => {
    const { rcode, authoritative, answers, authority, additional, glue } = answer(zones, question(name, word));
    return [rcode, authoritative, show(answers), show(authority), show(additional), glue].join("|");
  };
  const servers = "sub.x. 60 NS,sub.x. 60 NS|n.sub.x. 60 A,a.x. 60 A,a.x. 60 AAAA|1";
  const addresses = "a.x. 60 A,a.x. 60 AAAA";
  for (
    const [question, expected] of [
      ["A.x. A", "0|true|A.x. 60 A|||"],
      ["x. MX", `0|true|x. 60 MX,x. 60 MX||${addresses}|`],
      ["x. NS", `0|true|x. 60 NS||${addresses}|`],
      ["s.x. SRV", `0|true|s.x. 60 SRV||${addresses}|`],
      ["x. SOA", "0|true|x. 60 SOA|||"],
      ["x. TXT", "0|true||x. 30 SOA||"], // NODATA: the lower of the SOA's TTL and its last field
      ["none.x. A", "3|true||x. 30 SOA||"],
      ["none.l. A", "3|true||l. 20 SOA||"],
      ["y. A", "5|false||||"],
      ["x. AXFR", "5|false||||"],
      ["x. IXFR", "5|false||||"],
      ["out.x. A", "0|true|out.x. 60 CNAME|||"],
      ["out.x. CNAME", "0|true|out.x. 60 CNAME|||"],
      ["out.x. ANY", "0|true|out.x. 60 CNAME|||"],
      ["signed.x. A", "0|true|signed.x. 60 CNAME,a.x. 60 A|||"],
      ["signed.x. NSEC", "0|true|signed.x. 60 NSEC|||"],
      ["a.x. ANY", "0|true|a.x. 3600 HINFO|||"],
      ["w.x. ANY", "0|true||x. 30 SOA||"], // an empty non-terminal
      ["Q.w.x. TXT", "0|true|Q.w.x. 60 TXT|||"],
      ["loop.x. A", "0|true|loop.x. 60 CNAME,pool.x. 60 CNAME|||"],
      ["h.sub.x. A", `0|false||${servers}`],
      ["to.x. A", `0|true|to.x. 60 CNAME|${servers}`],
    ]
  ) {
    const [name = "", word] = question?.split(" ") ?? [];
    assertEquals(answered(name, word), expected, question);
  }
  const followed = (name: string) => {
    const { rcode, answers } = answer(zones, question(name));
    return [rcode, answers.length];
  };
  assertEquals([followed("c0.x."), followed("c4.x."), followed("c5.x.")], [[0, 16], [0, 16], [3, 15]]);
  assertEquals(answer(zones, question("a.x.", "ANY")).answers[0]?.data, [ascii("RFC8482"), new Uint8Array()]);
});

Deno.test("SVCB: keys and values at their limits, in both directions (RFC 9460)", () => {
  const svcb = (parameters: string) =>
    thrown(() =>
      parseMasterFile(`a. 1 SVCB 1 . ${parameters}`)
        .map(({ record: { type, data } }) => printData(type, data).slice(4)).join()
    ).replace("no error: ", "");
  for (
    const each of [
      ...["port=65535", "port=0", "key65534=x", "key7", `alpn=${"a".repeat(255)}`, "ech=AQID", "mandatory=port port=1"],
      ...["ipv4hint=1.2.3.4,5.6.7.8", "mandatory=alpn,port alpn=h2 port=1", "alpn=h2 no-default-alpn"],
    ]
  ) assertEquals(svcb(each), each);
  assertEquals(svcb("port=1 key0=\\000\\003 alpn=b"), "mandatory=port alpn=b port=1", "sorted by their keys");
  assertEquals(svcb("key3=\\001"), "key3=\\001", "no port");
  assertEquals(svcb("alpn=a\\\\,b,c\\\\\\\\d"), "alpn=a\\092,b,c\\092\\092d");
  for (
    const [wrong, why] of [
      ["port=65536", "expected a port after port=, not 65536"],
      ["port=123456", "expected a port after port=, not 123456"],
      ["key65535=x", "expected a parameter, not key65535"],
      ["key01=x", "expected a parameter, not key01"],
      ["alpn=a,,b", "expected protocols, separated by commas, after alpn=, not a,,b"],
      [`alpn=${"a".repeat(256)}`, `expected protocols, separated by commas, after alpn=, not ${"a".repeat(256)}`],
      ["ech=", "expected base64 after ech=, not "],
      ["ech=A", "expected base64 after ech=, not A"],
      ["mandatory=", "expected parameters, separated by commas, after mandatory=, not "],
      ["mandatory=mandatory", "expected other parameters after mandatory=, not itself"],
      ["mandatory=port,port port=1", "expected port once after mandatory="],
      ["mandatory=port", "expected the parameter port, which mandatory= names"],
      ["no-default-alpn", "expected alpn beside no-default-alpn"],
      ["alpn=h2 no-default-alpn=1", "expected nothing after no-default-alpn=, not 1"],
      ["port=1 key3=\\000\\001", "expected port once"],
      ["ipv4hint=::1", "expected IPv4 addresses, separated by commas, after ipv4hint=, not ::1"],
      ["ipv6hint=1.1.1.1", "expected IPv6 addresses, separated by commas, after ipv6hint=, not 1.1.1.1"],
      ["ipv4hint=", "expected IPv4 addresses, separated by commas, after ipv4hint=, not "],
      [`key9=${"a".repeat(65_536)}`, "expected at most 65535 bytes after key9="],
    ]
  ) assertEquals(svcb(wrong ?? ""), `:1: ${why}`);
  for (
    const [bytes, text] of [
      ["0000 0004 0001 0003", "mandatory=alpn,port"],
      ["0000 0003 0001 00", "key0=\\000\\001\\000"],
      ["0001 0003 02 6832", "alpn=h2"],
      ["0001 0003 03 6832", "key1=\\003h2"],
      ["0001 0002 0000", "key1=\\000\\000"],
      ["0002 0000 0003 0002 0102", "no-default-alpn port=258"],
      ["0002 0001 41", "key2=A"],
      ["0003 0003 010203", "key3=\\001\\002\\003"],
      ["0004 0004 01020304", "ipv4hint=1.2.3.4"],
      ["0004 0000 0005 0000", "key4 key5"],
      ["0004 0003 010203", "key4=\\001\\002\\003"],
      [`0006 0010 ${"00".repeat(15)}01`, "ipv6hint=::1"],
      ["0006 0004 01020304", "key6=\\001\\002\\003\\004"],
      ["0005 0001 41 0007 0001 41", "ech=QQ== key7=A"],
    ] as const
  ) assertEquals(printParameters(hex(bytes)), text);
  // In a message, the keys must ascend, and the last value must end with the record.
  const raw = (bytes: string) =>
    thrown(() => parseMasterFile(`a. 1 SVCB \\# ${hex(bytes).length + 3} 0001 00 ${bytes}`).length);
  assertEquals(raw("0003 0002 0001 0004 0004 01010101"), "no error: 1");
  for (const wrong of ["0003 0000 0003 0000", "0003 0000 0002 0000"]) {
    assertEquals(raw(wrong), ":1: the parameters of SVCB are not in ascending order");
  }
  assertEquals(raw("0003 0003 0001"), ":1: the message ends at byte 9, before 10");
});

Deno.test("zone files: those of a server, and what they include", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/z/more`, { recursive: true });
  const write = (name: string, text: string) => Deno.writeTextFile(`${folder}/${name}`, text);
  await write("z/a", `${apex}$INCLUDE more/b\n`);
  await write("z/more/b", "b A 1.1.1.1\n$INCLUDE c\n");
  await write("z/more/c", "c A 1.1.1.1\n");
  await write("z/y", apex.replace("x.", "y."));
  await write("secret", "words\n");
  const zones = await readZones([`${folder}/z/a`, `${folder}/z/y`]);
  assertEquals([...zones.keys()], ["x.", "y."]);
  assertEquals([...zones.get("x.")?.names ?? []].map(([name]) => name), ["x.", "b.x.", "c.x."]);
  const wrong = async (...names: string[]) => {
    const said = await failure(readZones(names.map((name) => `${folder}/${name}`)));
    return said.replaceAll(folder, "F").replaceAll("\\", "/");
  };
  assertEquals(await wrong("z/a", "z/a"), "2: F/z/a:1: the zone x. is in two of the files");
  const including = async (name: string) => {
    await write("z/w", `${apex}$INCLUDE ${name}\n`);
    return (await wrong("z/w")).replace(/(: cannot read [\w.]+): .*/, "$1"); // the rest is in the system's language
  };
  for (
    const name of ["../secret", ".", "more/../../secret", ...Deno.build.os === "windows" ? [] : [`${folder}/secret`]]
  ) {
    const shown = name.replace(folder, "F");
    assertEquals(await including(name), `2: F/z/w:5: expected a file in the folder of the zone, not ${shown}`);
  }
  for (const name of ["none", "..b"]) assertEquals(await including(name), `2: F/z/w:5: cannot read ${name}`);
  await write("z/more/c", "c A nonsense\n");
  assertEquals(await wrong("z/a"), "2: F/z/more/c:1: expected an IPv4 address, not nonsense");
  {
    using _ = stub(Deno, "readFileSync", () => {
      throw new Deno.errors.NotCapable("x");
    });
    assertEquals(await wrong("z/a"), "2: cannot read F/z/more/b: no permission: add -R=F/z/more/b");
  }
  await Deno.remove(folder, { recursive: true });
});
