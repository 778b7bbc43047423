/**
 * DNS messages and their exchange, without a process: the bytes, their limits, what is cached and for how long, who is asked and
 * answered. `dns_test.ts` imports it: what takes milliseconds comes before what takes seconds.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { dissect, fieldsOf, showFields, summary } from "../../dns/_dissect.ts";
import { findOptFault } from "../../dns/_edns.ts";
import { Exchange, type QueryOptions } from "../../dns/_exchange.ts";
import { Forwarder } from "../../dns/_forwarder.ts";
import { firstMessage, MAX_FRAME, withLength } from "../../dns/_framing.ts";
import { ZoneError } from "../../dns/_master_file.ts";
import { decode, encode, type Flags, type Message, type Question, rcodes } from "../../dns/_message.ts";
import { FormatError, isSubdomain, parentName, parseName } from "../../dns/_name.ts";
import { parseQuestion } from "../../dns/_parse_question.ts";
import { buildQuery, decodeResponse, mismatch, randomizeCase } from "../../dns/_query_message.ts";
import { QuickAnswers } from "../../dns/_quick_answer.ts";
import { RateLimit } from "../../dns/_rate_limit.ts";
import { printData, type ResourceRecord } from "../../dns/_record.ts";
import { typeName, typeNumber } from "../../dns/_record_types.ts";
import { Responder } from "../../dns/_responder.ts";
import { ResponseCache } from "../../dns/_response_cache.ts";
import { isSameAddress, parseServer, resolveServer } from "../../dns/_server_address.ts";
import { SilentClients } from "../../dns/_silent_clients.ts";
import { Reader, Writer } from "../../dns/_wire.ts";
import { parseZone } from "../../dns/_zone.ts";
import { ask } from "../../dns/query.ts";
import { type Client, Clients } from "../../tcp/_clients.ts";
import { below, mutate, seeded } from "../support/fuzz.ts";
import { Captured, stub, Timers } from "../support/stub.ts";

const flags: Flags = {
  ...{ qr: false, opcode: 0, aa: false, tc: false, rd: false, ra: false, ad: false, cd: false, rcode: 0 },
};
const empty: Message = { id: 7, flags, questions: [], answers: [], authority: [], additional: [] };
const question = (name: string, word = "A", class_ = 1): Question => (
  { name, type: typeNumber(word) ?? 0, class: class_ }
);
const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(/\s/g, ""));
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

/** The clock, which goes only where the test says. */
class Clock {
  now = 1000;
  readonly #stub = stub(performance, "now", () => this.now);

  [Symbol.dispose](): void {
    this.#stub[Symbol.dispose]();
  }
}

/** Random numbers that count: 0, 1, 2 and so on, in each element of what is asked for. */
class Counted {
  next = 0;
  readonly #stub = stub(
    crypto,
    "getRandomValues",
    (array: Uint8Array | Uint16Array) => array.fill(this.next++),
  );

  [Symbol.dispose](): void {
    this.#stub[Symbol.dispose]();
  }
}

/** A response of every kind of field: a question, an SOA record, OPT with an option, and two bytes too many. */
const response = hex(`
  0a0b 8583 0001 0001 0001 0001
  0161 00 0001 0001
  c00c 0001 0001 0000003c 0004 c0000201
  00 0006 00fe 80000000 0016 0000 00000001 00000002 00000003 00000004 00000005
  00 0029 04d0 01028000 0006 000a 0002 abcd
  ffff
`);

Deno.test("dissect: every field with its offset, OPT in its own words, and what follows the message", () => {
  assertEquals(
    dissect(response).split("\n"),
    [
      "       0  id 0x0a0b",
      "       2  flags 0x8583  QR AA RD RA  opcode 0  NXDOMAIN",
      "       4  questions 1",
      "       6  answers 1",
      "       8  authority 1",
      "      10  additional 1",
      "      12  question a.",
      "      15  type A",
      "      17  class IN",
      "      19  answers a.",
      "      21  type A",
      "      23  class IN",
      "      25  ttl 60 s",
      "      29  length 4",
      "      31  data 192.0.2.1",
      "      35  authority .",
      "      36  type SOA",
      "      38  class NONE",
      "      40  ttl 2147483648 s",
      "      44  length 22",
      "      46  data . . 1 2 3 4 5",
      "      68  additional .",
      "      69  type OPT",
      "      71  UDP payload size 1232",
      "      73  extended rcode 1, version 2, flags 32768",
      "      77  length 6",
      "      79  data \\# 6 000a0002abcd",
      "      85  2 bytes after the message",
    ],
  );
  const fields = fieldsOf(response);
  assertEquals(fields[0], { start: 0, end: 2, text: "id 0x0a0b" });
  assertEquals(fields.at(-1), { start: 85, end: 87, text: "2 bytes after the message" });
  // Each field begins where the one before it ends.
  assertEquals(fields.slice(1).map(({ start }) => start), fields.slice(0, -1).map(({ end }) => end));
  const bits = (flags: string) => fieldsOf(hex(`0000 ${flags} 0000 0000 0000 0000`))[1]?.text;
  for (
    const [flags, text] of [
      ...[["0000", "-  opcode 0  NOERROR"], ["8000", "QR  opcode 0  NOERROR"], ["7800", "-  opcode 15  NOERROR"]],
      ...[["0400", "AA  opcode 0  NOERROR"], ["0200", "TC  opcode 0  NOERROR"], ["0100", "RD  opcode 0  NOERROR"]],
      ...[["0080", "RA  opcode 0  NOERROR"], ["0020", "AD  opcode 0  NOERROR"], ["0010", "CD  opcode 0  NOERROR"]],
      ...[["000f", "-  opcode 0  RCODE15"], ["0040", "-  opcode 0  NOERROR"], ["0800", "-  opcode 1  NOERROR"]],
    ]
  ) assertEquals(bits(flags ?? ""), `flags 0x${flags}  ${text}`);
  assertEquals(fieldsOf(response.subarray(0, 85)).at(-1)?.text, "data \\# 6 000a0002abcd", "nothing follows");
  // A message without data, and broken ones: the last line says where, and never behind the end.
  assertEquals(
    fieldsOf(hex("0000 0000 0000 0001 0000 0000 00 0010 0001 00000000 0000")).at(-1)?.text.slice(0, 6),
    "broken",
  );
  assertEquals(fieldsOf(hex("0000 0000 0000 0001 0000 0000 00 ff00 0001 00000000 0000")).at(-1)?.text, "length 0");
  for (let length = 0; length < 85; length++) {
    const last = fieldsOf(response.subarray(0, length)).at(-1);
    assert(last?.text.startsWith("broken: "), `${length}`);
    assert(last && last.start <= length && last.end <= length, `${length}`);
  }
  assertEquals(fieldsOf(response.subarray(0, 11)).at(-1), {
    ...{ start: 11, end: 11, text: "broken: the message ends at byte 11, in the middle of a field" },
  });

  using console = new Captured();
  showFields(response, "json");
  showFields(response, "diagram");
  showFields(response, "");
  assertEquals(console.error, []);
  showFields(response, "text");
  assertEquals(console.error, [dissect(response)]);
});

Deno.test("dissect: a message in a few words", () => {
  assertEquals(summary(response.subarray(0, 85)), "RCODE19, 1 answer: a. A");
  assertEquals(summary(response), "broken: 2 bytes after the message");
  assertEquals(summary(encode({ ...empty, questions: [question("x.", "MX")] })), "x. MX?");
  assertEquals(summary(encode({ ...empty, flags: { ...flags, qr: true } })), "NOERROR, 0 answers: no question");
});

Deno.test("names: limits, escapes, the name above", () => {
  const label = "a".repeat(63);
  const longest = `${label}.${label}.${label}.${"b".repeat(61)}.`; // 255 bytes
  assertEquals(parseName(longest).map(({ length }) => length), [63, 63, 63, 61]);
  assertEquals(parseName("a.\\255\\128.\x7f."), [[97], [255, 128], [127]]);
  for (
    const [name, why] of [
      [`${label}a.`, "a label longer than 63 bytes"],
      [longest.replace("b", "bb"), "longer than 255 bytes"],
      ["a..b.", "an empty label"],
      [".", ""],
      ["..", "an empty label"],
      ["a", "no dot at the end"],
      ["a.b", "no dot at the end"],
      ["a\\256.", "expected a byte behind a backslash"],
      ["a\\", "expected a byte behind a backslash"],
      ["\x80.", "expected ASCII: write an A-label (xn--..., RFC 5891), or each byte as \\DDD"],
    ]
  ) assertEquals(thrown(() => parseName(name ?? "")), why === "" ? "no error: " : `${name}: ${why}`);
  for (
    const [name, above] of [
      ...[["a\\.b.c.", "c."], ["a\\\\.c.", "c."], ["a\\046b.c.", "c."], ["a.b\\.c.", "b\\.c."], ["c.", "."], [
        ".",
        undefined,
      ]],
      ...[["abc", undefined], ["a\\.", undefined], ["a\\.b", undefined]],
    ]
  ) assertEquals(parentName(name ?? ""), above, name);
  for (
    const [name, zone, is] of [
      ...[["a.", ".", true], ["a.", "a.", true], ["b.a.", "a.", true], ["ba.", "a.", false], ["b\\.a.", "a.", false]],
      ...[["b\\\\.a.", "a.", true], ["b\\\\\\.a.", "a.", false], ["b.", "a.", false], ["a.", "b.a.", false]],
    ] as const
  ) assertEquals(isSubdomain(name, zone), is, `${name} ${zone}`);
});

Deno.test("wire: numbers, the limits of names and pointers", () => {
  const reader = new Reader(hex("ff fffe fffffffd 0102"));
  assertEquals([reader.u8(), reader.u16(), reader.u32(), reader.offset], [255, 65534, 4294967293, 7]);
  assertEquals(thrown(() => reader.take(-1)), "the data of a record ends before byte 7");
  assertEquals(thrown(() => reader.take(3)), "the message ends at byte 9, before 10");
  assertEquals([[...reader.take(2)], reader.offset, [...reader.take(0)]], [[1, 2], 9, []]);
  assertEquals(thrown(() => reader.u8()), "the message ends at byte 9, in the middle of a field");
  const writer = new Writer(new Uint8Array(9));
  writer.u8(255);
  writer.u16(65534);
  writer.u32(4294967293);
  writer.put(Uint8Array.of(1, 2));
  assertEquals(writer.bytes(), reader.bytes);
  assertEquals(thrown(() => writer.u8(0)), "a message longer than 9 bytes");
  assertEquals(thrown(() => writer.put(Uint8Array.of(1))), "a message longer than 9 bytes");
  writer.setU16(3, 0x1234);
  writer.truncate(5);
  assertEquals(writer.bytes(), hex("ff fffe 1234"));

  const at = (bytes: Uint8Array, offset = 0, compressed = true) => {
    const reader = new Reader(bytes, compressed);
    reader.offset = offset;
    return thrown(() => `${reader.name()} to ${reader.offset}`).replace("no error: ", "");
  };
  const labels = (...lengths: number[]) => [...lengths.flatMap((n) => [n, ...Array<number>(n).fill(97)]), 0];
  assertEquals(at(Uint8Array.from(labels(63, 63, 63, 61))).slice(-6), "to 255");
  assertEquals(at(Uint8Array.from(labels(63, 63, 63, 62))), "a name is longer than 255 bytes");
  assertEquals(at(hex("01 61 c000"), 2), "the pointer at byte 2 does not lead backward", "a loop through a label");
  assertEquals(at(hex("0161 00 c000"), 3), "a. to 5");
  assertEquals(at(hex("0161 00 c000"), 3, false), "expected a name without compression");
  assertEquals(at(hex("00 c001"), 1), "the pointer at byte 1 does not lead backward");
  assertEquals(at(hex("00 00 c002 c002"), 2), "the pointer at byte 2 does not lead backward");
  assertEquals(at(hex("40 00")), "byte 0 is neither the length of a label nor a pointer");
  assertEquals(at(hex("bf 00")), "byte 0 is neither the length of a label nor a pointer");
  assertEquals(at(hex("01 61")), "a name runs over the end of the message");
  assertEquals(at(hex("00 c0"), 1), "a name runs over the end of the message");
  const far = new Uint8Array(0x4000);
  far.set([1, 98, 0], 0x3f01);
  far.set([2, 97, 97, 0xff, 0x01], 0x3ff0);
  assertEquals(at(far, 0x3ff0), "aa.b. to 16373", "an offset of 14 bits");
  for (const [start, expected] of [[0x3fff, "016100" + "ffff"], [0x4000, "016100" + "014100"]] as const) {
    const writer = new Writer();
    writer.put(new Uint8Array(start));
    writer.name("a.");
    writer.name("A.");
    assertEquals(writer.bytes().subarray(start).toHex(), expected);
  }
  const wrong = (name: string) => thrown(() => new Writer().name(name));
  const long = `${"a".repeat(63)}.`.repeat(3);
  assertEquals(wrong(`${long}${"a".repeat(62)}.`), `${long}${"a".repeat(62)}.: longer than 255 bytes`);
  assertEquals(wrong(`${long}${"a".repeat(61)}.`), "no error: undefined");
  assertEquals(wrong(`${"a".repeat(64)}.`), `${"a".repeat(64)}.: not a name`);
  for (const name of [".a.", "a..b.", "a", "a\\256."]) assertEquals(wrong(name), `${name}: not a name`);
  const escaped = new Writer();
  escaped.name("a\\.\\255\\\\.");
  assertEquals(escaped.bytes(), hex("04 61 2e ff 5c 00"));
});

Deno.test("message: flags, counts, TTLs, OPT and TSIG, bit by bit", () => {
  const bits = [["qr", 0x8000], ["aa", 0x400], ["tc", 0x200], ["rd", 0x100], ["ra", 0x80], ["ad", 0x20], ["cd", 0x10]];
  for (const [name = "", bit = 0] of bits) {
    const bytes = encode({ ...empty, id: 0x8001, flags: { ...flags, [name]: true, opcode: 5, rcode: 10 } });
    assertEquals(bytes.toHex(), `8001${(Number(bit) | 5 << 11 | 10).toString(16).padStart(4, "0")}0000000000000000`);
    assertEquals(decode(bytes).flags, { ...flags, [name]: true, opcode: 5, rcode: 10 });
  }
  const record = (name: string, ttl: number): ResourceRecord => ({ name, type: 1, class: 1, ttl, data: [0x01020304] });
  const message = {
    ...empty,
    questions: [question("a.", "MX", 3), question("b.")],
    answers: [record("a.", 1), record("c.", 2), record("d.", 3)],
    authority: [record("b.", 2 ** 31 - 1)],
    additional: [record("a.", 5), record(".", 6)],
  };
  const bytes = encode(message);
  assertEquals(bytes.subarray(4, 12).toHex(), "0002000300010002");
  assertEquals(decode(bytes), message);
  const high = encode({ ...empty, answers: [record("a.", 2 ** 31)] });
  assertEquals([high.subarray(19, 23).toHex(), decode(high).answers[0]?.ttl], ["80000000", 0], "RFC 2181 §8");
  assertEquals(thrown(() => decode(response)), "2 bytes after the message");
  const read = decode(response.subarray(0, 85));
  assertEquals([read.edns, read.flags.rcode, read.additional.length], [
    { size: 1232, version: 2, dnssecOk: true },
    19,
    0,
  ]);

  // The OPT record of an answer with the code 0xabc: its upper eight bits are in the place of the TTL.
  const edns = { size: 0x1234, version: 3, dnssecOk: true };
  const opt = encode({ ...empty, flags: { ...flags, rcode: 0xabc }, edns });
  assertEquals(opt.toHex(), "0007000c" + "0000000000000001" + "00" + "0029" + "1234" + "ab038000" + "0000");
  assertEquals([decode(opt).flags.rcode, decode(opt).edns], [0xabc, edns]);
  assertEquals(encode({ ...empty, edns: { ...edns, dnssecOk: false } }).subarray(17, 21).toHex(), "00030000");
  const plain = { name: ".", type: 41, class: 512, ttl: 0, data: [new Uint8Array()] };
  assertEquals(findOptFault(plain), undefined);
  assertEquals(findOptFault({ ...plain, name: "a." }), "an OPT record with an owner");
  assertEquals(findOptFault({ ...plain, data: [] }), "an OPT record without data");
  const options = (text: string) => findOptFault({ ...plain, data: [hex(text)] });
  const over = "an option that runs over the end of the OPT record";
  for (const right of ["00010000", "0001000101", "000100000002000101"]) assertEquals(options(right), undefined, right);
  for (const wrong of ["00", "000100", "00010001", "000100000002000201", "0001010000"]) {
    assertEquals(options(wrong), over, wrong);
  }
  assertEquals(options(`00010100${"00".repeat(256)}`), undefined);
  const twice = { ...empty, edns, additional: [plain] };
  assertEquals(thrown(() => decode(encode(twice))), "two OPT records");
  const tsig = {
    ...plain,
    name: "k.",
    type: 250,
    class: 255,
    data: ["h.", new Uint8Array(6), 300, hex("aa"), 7, 0, hex("")],
  };
  const signed = decode(encode({ ...empty, edns, tsig, additional: [record("a.", 5)] }));
  assertEquals([signed.tsig, signed.additional.length, signed.edns], [tsig, 1, edns]);
  assertEquals(
    thrown(() => decode(encode({ ...empty, additional: [tsig, record("a.", 5)] }))),
    "a TSIG record that is not the last one",
  );
  assertEquals(printData(250, tsig.data), "h. 0 300 1 qg== 7 0 0");
  assertEquals(printData(250, tsig.data.with(1, hex("000102030405"))), `h. ${0x102030405} 300 1 qg== 7 0 0`);
});

Deno.test("message: what fits into a limit, to the byte", () => {
  const text = (size: number): ResourceRecord => ({
    name: ".",
    type: 16,
    class: 1,
    ttl: 1,
    data: [new Uint8Array(size - 12)],
  });
  const shape = (message: Partial<Message>, limit: number, glue = 0) => {
    const bytes = encode({ ...empty, ...message }, limit, glue);
    const { flags: { tc }, answers, authority, additional, edns } = decode(bytes);
    return [bytes.length, tc, answers.length, authority.length, additional.length, edns !== undefined].join(" ");
  };
  const edns = { size: 512, version: 0, dnssecOk: false };
  assertEquals(shape({ answers: [text(88)] }, 100), "100 false 1 0 0 false");
  assertEquals(shape({ answers: [text(88)] }, 99), "12 true 0 0 0 false");
  assertEquals(shape({ answers: [text(88)], edns }, 111), "111 false 1 0 0 true");
  assertEquals(shape({ answers: [text(88)], edns }, 110), "23 true 0 0 0 true");
  assertEquals(shape({ answers: [text(44)], authority: [text(44)] }, 100), "100 false 1 1 0 false");
  assertEquals(shape({ answers: [text(44)], authority: [text(44)] }, 99), "12 true 0 0 0 false");
  const three = [text(20), text(20), text(20)];
  assertEquals(shape({ additional: three }, 72), "72 false 0 0 3 false");
  assertEquals(shape({ additional: three }, 71), "52 false 0 0 2 false", "additional records are optional");
  assertEquals(shape({ additional: three }, 52, 2), "52 false 0 0 2 false");
  assertEquals(shape({ additional: three }, 51, 2), "12 true 0 0 0 false", "glue is not");
  assertEquals(shape({ additional: three, edns }, 83, 2), "83 false 0 0 3 true");
  assertEquals(shape({ additional: three, edns }, 63, 2), "63 false 0 0 2 true");
});

Deno.test("question: what the words of a command ask", () => {
  const asked = (...args: string[]) => {
    try {
      const { name, type, class: class_ } = parseQuestion(args);
      return `${name} ${typeName(type)} ${class_}`;
    } catch (error) {
      return error instanceof Failure ? `${error.code}: ${error.message}` : error;
    }
  };
  assertEquals(asked("www.example.com"), "www.example.com. A 1");
  assertEquals(asked("www.example.com.", "mx"), "www.example.com. MX 1");
  assertEquals(asked("192.0.2.1"), "1.2.0.192.in-addr.arpa. PTR 1");
  assertEquals(asked("192.0.2.1", "TXT"), "1.2.0.192.in-addr.arpa. TXT 1");
  assertEquals(asked("::1"), `1.${"0.".repeat(31)}ip6.arpa. PTR 1`);
  assertEquals([asked("@"), asked("bücher.example"), asked("~.x")], [
    "\\@. A 1",
    "xn--bcher-kva.example. A 1",
    "~.x. A 1",
  ]);
  assertEquals([asked("."), asked("a b")], [". A 1", "a\\032b. A 1"]);
  const usage = "2: give one name and at most one type, for example: www.example.com MX";
  assertEquals([asked(), asked("a", "A", "b")], [usage, usage]);
  assertEquals(asked("a", "B\x1b"), "2: there is no type B\\x1b");
  assertEquals(asked("a..b"), "2: a..b.: an empty label");
  assertEquals(`${asked("ü/")}`.slice(0, 22), "2: ü/.: expected ASCII");
});

Deno.test("query: its bytes, its random case, and which answer is its own", () => {
  using random = new Counted();
  assertEquals(
    [buildQuery(question("a.", "MX"), true).bytes.toHex(), buildQuery(question("a."), false, false).bytes.toHex()],
    [
      "000001000001000000000001" + "016100000f0001" + "0000290" + "4d0000000000000",
      "000100000001000000000000" + "01610000010001",
    ],
  );
  random.next = 0;
  assertEquals(["aB1\\z.", "aB1\\z."].map((name) => randomizeCase(question(name)).name), ["ab1\\z.", "AB1\\Z."]);
  const query = buildQuery(question("a.b."), true, false);
  const reply: Message = { ...decode(query.bytes), flags: { ...flags, qr: true } };
  assertEquals(mismatch(reply, query), undefined);
  assertEquals(mismatch({ ...reply, id: query.id + 1 }, query), "its id differs from the query's");
  assertEquals(mismatch({ ...reply, flags }, query), "it is a query, not a response");
  const two = [question("a.b."), question("a.b.")];
  assertEquals(mismatch({ ...reply, questions: two }, query), "it has no question, or more than one");
  assertEquals(mismatch({ ...reply, questions: [] }, query), "it has no question, or more than one");
  assertEquals(
    mismatch({ ...reply, questions: [], flags: { ...flags, qr: true, rcode: rcodes.REFUSED } }, query),
    undefined,
  );
  assertEquals(
    mismatch({ ...reply, questions: two, flags: { ...flags, qr: true, rcode: 5 } }, query),
    "it has no question, or more than one",
  );
  assertEquals(mismatch({ ...reply, questions: [question("a.c.")] }, query), "its question is for another name");
  assertEquals(
    mismatch({ ...reply, questions: [question("a.B.")] }, query),
    "its question has the name in another case",
  );
  for (const other of [question("a.b.", "MX"), question("a.b.", "A", 3)]) {
    assertEquals(mismatch({ ...reply, questions: [other] }, query), "its question is for another type or class");
  }
  // The letters of the question come back; what is no letter stays.
  const asked = (sent: string, name: string) => {
    const bytes = encode({
      ...empty,
      questions: [question(sent)],
      answers: [{ name: sent, type: 1, class: 1, ttl: 1, data: [1] }],
    });
    const { message: { questions, answers }, extra } = decodeResponse(bytes, question(name));
    assertEquals(extra, 0);
    return [questions[0]?.name, answers[0]?.name].join(" ");
  };
  assertEquals(asked("aZAz.", "AzaZ."), "AzaZ. AzaZ.");
  assertEquals([asked("`.", "\\@."), asked("{.", "[."), asked("a.", "b.")], ["`. `.", "{. {.", "a. a."]);
  assertEquals(decodeResponse(encode(empty), question("a.")), { message: empty, extra: 0 });
});

const server: Deno.NetAddr = { transport: "udp", hostname: "192.0.2.53", port: 53 };

/** The answer to a query, from its bytes. */
function answerTo(bytes: Uint8Array, { rcode = 0, edns = false, tc = false } = {}): Uint8Array {
  const { id, questions, edns: opt } = decode(bytes);
  const message = { ...empty, id, questions, flags: { ...flags, qr: true, rcode, tc } };
  return encode(edns && opt ? { ...message, edns: opt } : message);
}

function exchange(options: Partial<QueryOptions> = {}, asked = question("ab.")): Exchange {
  return new Exchange(server, asked, { timeout: 6, ...options });
}

Deno.test("exchange: the time that is left, and how it is shared by the attempts", () => {
  using clock = new Clock();
  const limited = exchange();
  assertEquals([limited.secondsLeft, ...[1, 2, 3, 4].map((n) => limited.patience(n))], [6, 2, 3, 6, 6]);
  clock.now += 4500;
  assertEquals([limited.secondsLeft, limited.patience(2)], [1.5, 0.75]);
  clock.now += 1499.5;
  assertEquals(limited.secondsLeft, 0.001, "never 0, which would be no limit");
  clock.now += 10_000;
  assertEquals([limited.secondsLeft, limited.patience(3)], [0.001, 0.001]);
  assertEquals([0, 2, 3].map((n) => limited.mayTry(n)), [true, true, false]);
  const endless = exchange({ timeout: 0 });
  assertEquals([endless.secondsLeft, endless.patience(1), endless.mayTry(1000)], [0, 2, true]);
});

Deno.test("exchange: which packets are its response, and what is said about the others", () => {
  using clock = new Clock();
  using random = new Counted();
  random.next = 1; // the case of the name takes 1, the id 2, and so on
  const one = exchange();
  const sent = [one.nextDatagram(1), one.nextDatagram(2), one.nextDatagram(3)];
  assertEquals(
    sent.map((bytes) => decode(bytes).questions[0]?.name),
    ["AB.", "AB.", "ab."],
    "the last attempt is plain",
  );
  assertEquals(sent.map((bytes) => [decode(bytes).id, decode(bytes).edns?.size, decode(bytes).flags.rd]), [
    ...[[2, 1232, true], [4, 1232, true], [5, 1232, true]],
  ]);
  clock.now += 250;
  const [first = new Uint8Array()] = sent;
  const result = one.accept(Uint8Array.of(...answerTo(first), 1, 2), server);
  assertEquals([result?.size, result?.extra, result?.time, result?.transport], [
    ...[answerTo(first).length + 2, 2, 250, "UDP"],
  ]);
  assertEquals(result?.message.questions, [question("ab.")], "with the letters that were asked for");
  assertEquals(one.noAnswer().message, "no answer from 192.0.2.53:53 in 6 s (3 tries)");
  assertEquals(one.noStream().message, "no answer from 192.0.2.53:53 over TCP in 6 s");
  const others: Deno.Addr[] = [
    ...[{ ...server, port: 54 }, { ...server, hostname: "192.0.2.54" }, { transport: "unix" as const, path: "/x" }],
  ];
  for (const from of others) assertEquals(one.accept(answerTo(first), from), undefined);
  assertEquals(
    [one.noAnswer().message, one.noStream().message],
    [
      "no answer from 192.0.2.53:53 in 6 s (3 tries); the last packet was ignored: it comes from another address",
      "192.0.2.53:53 sent a wrong answer over TCP: it comes from another address",
    ],
  );
  // A fourth query: the first one is forgotten.
  const last = one.nextStream();
  assertEquals(one.accept(answerTo(first), server), undefined);
  assertEquals(one.accept(answerTo(sent[1] ?? first), server)?.transport, "UDP");
  assertEquals(one.accept(answerTo(last), server)?.transport, "TCP");

  using console = new Captured();
  const traced = exchange({ tracing: { trace: "text", pcap: "" }, recurse: false });
  const query = traced.nextStream();
  assertEquals(decode(query).flags.rd, false);
  assertEquals(traced.accept(query, server), undefined);
  assert(console.error[0]?.includes("ignored: it is a query, not a response"), console.error[0]);
  console.error.length = 0;
  traced.accept(answerTo(query), server);
  assertEquals(console.error, [dissect(answerTo(query))]);
});

Deno.test("exchange: a server that does not know EDNS is asked again without it, once", () => {
  for (
    const [rcode, edns, again] of [
      ...[[rcodes.FORMERR, false, true], [rcodes.NOTIMP, false, true], [rcodes.FORMERR, true, false]],
      ...[[rcodes.NOTIMP, true, false], [rcodes.SERVFAIL, false, false], [rcodes.NOERROR, false, false]],
    ] as const
  ) {
    const one = exchange();
    const query = one.nextStream();
    const result = one.accept(answerTo(query, { rcode, edns }), server);
    if (!result) throw new Error("no result");
    assertEquals(one.retriesWithoutEdns(result), again, `${rcode} ${edns}`);
    assertEquals(one.accept(answerTo(query), server) === undefined, again, "an answer to the old query is too late");
    assertEquals(decode(one.nextStream()).edns === undefined, again);
    assertEquals(one.retriesWithoutEdns(result), false, "once");
  }
});

/** A server on loopback, over UDP and TCP at one port, and what it does with a query. */
function dnsServer(
  udp: (query: Uint8Array) => Uint8Array | undefined,
  tcp: (query: Uint8Array, conn: Deno.TcpConn) => Promise<unknown>,
) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const addr: Deno.NetAddr = { ...listener.addr, transport: "udp" };
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: addr.port });
  const conns: Deno.Conn[] = [];
  const serving = [
    (async () => {
      for await (const [query, from] of socket) {
        const bytes = udp(query);
        if (bytes) await socket.send(bytes, from);
      }
    })(),
    (async () => {
      for await (const conn of listener) {
        conns.push(conn);
        const buffer = new Uint8Array(512);
        const n = await conn.read(buffer) ?? 0;
        await tcp(firstMessage(buffer.subarray(0, n)) ?? new Uint8Array(), conn);
      }
    })(),
  ];
  return {
    addr,
    async [Symbol.asyncDispose]() {
      socket.close();
      listener.close();
      await Promise.allSettled(serving);
      for (const conn of conns) conn.close();
    },
  };
}

/** The failure of a promise: its code and message. */
async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => promise);
  return error instanceof Failure ? `${error.code}: ${error.message}` : `${error}`;
}

Deno.test("ask: over TCP within the time limit, after a truncated answer, and at a server that closes or is wrong", async () => {
  const asked = question("ab.");
  {
    // It says nothing: without a limit this would never end.
    await using silent = await dnsServer(() => undefined, () => Promise.resolve());
    const at = `127.0.0.1:${silent.addr.port}`;
    const overTcp = await failure(ask(silent.addr, asked, { timeout: 0.5, tcp: true }));
    assertEquals(overTcp, `1: no answer from ${at} over TCP in 0.5 s`);
    const overUdp = await failure(ask(silent.addr, asked, { timeout: 0.09 }));
    assertEquals(overUdp, `1: no answer from ${at} in 0.09 s (3 tries)`);
  }
  {
    await using truncating = await dnsServer(
      (query) => answerTo(query, { tc: true }),
      (query, conn) => conn.write(withLength(answerTo(query))),
    );
    const { transport, message } = await ask(truncating.addr, asked, { timeout: 5 });
    assertEquals([transport, message.flags.tc], ["TCP", false]);
  }
  {
    await using closing = await dnsServer((query) => answerTo(query, { tc: true }), (_, conn) => conn.closeWrite());
    const ended = "the server closed the connection before the end of its response";
    const after = await failure(ask(closing.addr, asked, { timeout: 5 }));
    assertEquals(after, `1: the answer over UDP is truncated; over TCP: ${ended}`);
    assertEquals(await failure(ask(closing.addr, asked, { timeout: 5, tcp: true })), `1: ${ended}`);
  }
  {
    await using wrong = await dnsServer((query) => answerTo(query), (query, conn) => conn.write(withLength(query)));
    assertEquals((await ask(wrong.addr, asked, { timeout: 5 })).transport, "UDP");
    assertEquals(
      await failure(ask(wrong.addr, asked, { timeout: 5, tcp: true })),
      `1: 127.0.0.1:${wrong.addr.port} sent a wrong answer over TCP: it is a query, not a response`,
    );
  }
});

Deno.test("framing: the length before each message", () => {
  const message = new Uint8Array(0x1234).fill(7);
  const frame = withLength(message);
  assertEquals([frame.length, frame[0], frame[1], frame[2], MAX_FRAME], [0x1236, 0x12, 0x34, 7, 65_537]);
  assertEquals(firstMessage(frame)?.length, 0x1234);
  assertEquals([frame.subarray(0, 0x1235), hex("00"), hex("")].map(firstMessage), [undefined, undefined, undefined]);
  assertEquals(firstMessage(hex("0000ff"))?.length, 0);
});

Deno.test("forwarder: what is cached, for how long, with which TTL; what is not; who shares a query", async () => {
  using clock = new Clock();
  using console = new Captured();
  let asked = 0;
  let next: () => Promise<Message> = () => Promise.reject(new Failure("silent"));
  const forwarder = new Forwarder(() => (asked++, next()));
  const record = (ttl: number): ResourceRecord => ({ name: "a.", type: 1, class: 1, ttl, data: [1] });
  const respond = async (name: string, edns?: Message["edns"], limit = 1232) => {
    const query = { ...empty, id: 9, questions: [question(name)], flags: { ...flags, rd: true, cd: true } };
    return decode(await forwarder.respond(edns ? { ...query, edns } : query, limit));
  };
  const gives = (change: Partial<Message>) => next = () => Promise.resolve({ ...empty, ...change });
  /** How often the other resolver was asked, and the TTLs of the response. */
  const ttls = async (name: string) => {
    const before = asked;
    const { answers, authority } = await respond(name);
    return [asked - before, ...[...answers, ...authority].map(({ ttl }) => ttl)];
  };

  const silent = await respond("silent.");
  const failed = { ...flags, qr: true, rd: true, cd: true, ra: true, rcode: rcodes.SERVFAIL };
  assertEquals([silent.id, silent.flags, silent.questions], [9, failed, [question("silent.")]]);
  assertEquals([silent.edns, console.error], [undefined, ["forward: silent"]]);
  await respond("silent.");
  assertEquals(asked, 2, "a failure is not cached");
  next = () => Promise.reject(new TypeError("a bug"));
  await assertRejects(() => respond("bug."), TypeError, "a bug");

  gives({ answers: [record(10), record(100)], authority: [record(5)] });
  assertEquals(await ttls("a."), [1, 10, 100, 5]);
  clock.now += 6999;
  assertEquals(await ttls("A."), [0, 4, 94, 0], "the TTLs of the answers decide; none falls below 0");
  clock.now += 3000;
  assertEquals(await ttls("a."), [0, 1, 91, 0]);
  clock.now += 1;
  assertEquals(await ttls("a."), [1, 10, 100, 5], "it is over");
  const { edns } = await respond("a.", { size: 4096, version: 0, dnssecOk: true });
  assertEquals(edns, { size: 1232, version: 0, dnssecOk: false });
  assertEquals((await respond("a.", undefined, 40)).flags.tc, true, "the client's limit");

  gives({ flags: { ...flags, rcode: rcodes.NXDOMAIN }, authority: [record(20)] });
  assertEquals([(await respond("no.")).flags.rcode, ...await ttls("no.")], [3, 0, 20], "a negative answer, by its SOA");
  gives({ flags: { ...flags, rcode: rcodes.REFUSED }, authority: [record(20)] });
  assertEquals([await ttls("r."), await ttls("r.")], [[1, 20], [1, 20]]);
  gives({});
  assertEquals([await ttls("empty."), await ttls("empty.")], [[1], [1]]);
  gives({ answers: [record(0), record(5)] });
  assertEquals([await ttls("zero."), await ttls("zero.")], [[1, 0, 5], [1, 0, 5]]);
  gives({ answers: [record(1)] });
  assertEquals([await ttls("one."), await ttls("one.")], [[1, 1], [0, 1]]);
  gives({ answers: [record(100_000)] });
  await respond("long.");
  clock.now += 86_399_999;
  assertEquals(await ttls("long."), [0, 100_000 - 86_399], "at most a day");
  clock.now += 1;
  assertEquals(await ttls("long."), [1, 100_000]);

  // The same question at the same time is asked once; at most 200 are open.
  const hold = Promise.withResolvers<Message>();
  next = () => hold.promise;
  const before = asked;
  const waiting = [respond("x0."), respond("X0."), ...Array.from({ length: 199 }, (_, i) => respond(`x${i + 1}.`))];
  await Promise.resolve();
  assertEquals(asked - before, 200);
  assertEquals((await respond("x200.")).flags.rcode, rcodes.SERVFAIL);
  assertEquals([asked - before, (await respond("long.")).answers.length], [200, 1], "what is cached is answered");
  hold.resolve({ ...empty, answers: [record(60)] });
  assertEquals((await Promise.all(waiting)).every(({ answers }) => answers.length === 1), true);
  gives({ answers: [record(60)] });
  assertEquals([await ttls("x200."), await ttls("x0.")], [[1, 60], [0, 60]]);
});

Deno.test("forwarder: the oldest of 10,000 answers makes room", async () => {
  using clock = new Clock();
  let asked = 0;
  const answers = [{ name: ".", type: 1, class: 1, ttl: 60, data: [1] }];
  const forwarder = new Forwarder(() => (asked++, Promise.resolve({ ...empty, answers })));
  const respond = (type: number) => forwarder.respond({ ...empty, questions: [{ name: ".", type, class: 1 }] }, 512);
  for (let type = 0; type < 10_000; type++) await respond(type);
  await respond(0);
  assertEquals(asked, 10_000);
  await respond(10_000);
  await respond(1);
  assertEquals(asked, 10_001);
  await respond(0);
  assertEquals([asked, clock.now], [10_002, 1000]);
});

Deno.test("rate: so many answers for a network in a second, of 100,000 networks", () => {
  using clock = new Clock();
  const rate = new RateLimit(2);
  const allowed = (...addresses: string[]) => addresses.map((address) => rate.allows(address) ? "y" : "n").join("");
  assertEquals(allowed("192.0.2.1", "192.0.2.255", "192.0.2.1", "192.0.3.1"), "yyny");
  assertEquals(allowed("2001:db8::1", "2001:db8:0:ff::1", "2001:db8:0:80::", "2001:db8:0:100::"), "yyny");
  assertEquals(allowed("::ffff:192.0.4.1", "::ffff:192.0.4.2", "::ffff:192.0.4.3", "::ffff:192.0.5.1"), "yyny");
  clock.now += 999;
  assertEquals(allowed("192.0.2.1"), "n");
  clock.now += 1;
  assertEquals(allowed("192.0.2.1", "192.0.2.1", "192.0.2.1"), "yyn");
  const unlimited = new RateLimit(0);
  assertEquals([1, 2, 3].map(() => unlimited.allows("192.0.2.1")), [true, true, true]);
  const many = new RateLimit(1);
  for (let i = 0; i < 100_000; i++) many.allows(`${i}.1`);
  assertEquals([many.allows("0.1"), many.allows("0.2")], [false, false]);
  const begun = [many.allows("x.1"), many.allows("0.1"), many.allows("0.2")];
  assertEquals(begun, [true, true, false], "one too many: all begin again");
});

Deno.test("response cache: the id of the query, the bytes of a slot, the next query in it", () => {
  const cache = new ResponseCache();
  const query = Uint8Array.from({ length: 50 }, (_, i) => i);
  assertEquals(cache.get(query), undefined);
  cache.set(query, new Uint8Array(202).fill(7));
  const other = query.with(0, 99).with(1, 98);
  assertEquals(cache.get(other)?.slice(0, 4), Uint8Array.of(99, 98, 7, 7));
  assertEquals(cache.get(other)?.length, 202);
  for (const each of [query.with(2, 99), query.with(49, 99), query.subarray(0, 49)]) {
    assertEquals(cache.get(each), undefined);
  }
  cache.clear();
  assertEquals(cache.get(query), undefined);
  cache.set(query, new Uint8Array(203));
  assertEquals(cache.get(query), undefined, "too long for a slot");
  const slot = (bytes: Uint8Array) => {
    const one = new ResponseCache();
    one.set(bytes, Uint8Array.of(0, 0, 1));
    return one.get(bytes)?.byteOffset ?? 0;
  };
  assert(slot(hex("0000 01")) !== slot(hex("0000 02")));
  assertEquals(slot(hex("0000 01")) % 256, 4 + 3, "behind two lengths and the query");
  assertEquals(slot(hex("ffff 01")), slot(hex("0000 01")), "the id chooses no slot");
});

Deno.test("server's address: a name or an address, with a port or not", async () => {
  const parsed = (text: string) =>
    thrown(() => {
      const { hostname, port, transport } = parseServer("--server", text);
      return `${transport} ${hostname} ${port}`;
    });
  for (
    const [text, expected] of [
      ...[["192.0.2.1", "192.0.2.1 53"], ["192.0.2.1:1", "192.0.2.1 1"], ["ns.example:65535", "ns.example 65535"]],
      ...[["::1", "::1 53"], ["[::1]", "::1 53"], ["[2001:DB8::1]:5300", "2001:DB8::1 5300"]],
      ["bücher.example", "xn--bcher-kva.example 53"],
    ]
  ) assertEquals(parsed(text ?? ""), `no error: udp ${expected}`);
  for (
    const wrong of ["", "a:0", "a:65536", "a:", ":53", "[::1", "::1]:53", "a b", "a:5:3", "[g]:1", "[::1]53", "a/b"]
  ) {
    assertEquals(parsed(wrong), `2: --server needs HOST[:PORT], not ${wrong}`);
  }
  const at = (hostname: string, port = 53): Deno.NetAddr => ({ transport: "udp", hostname, port });
  assert(isSameAddress(at("::1"), at("0:0::1")) && isSameAddress(at("192.0.2.1"), at("192.0.2.1")));
  assert(!isSameAddress(at("::1"), at("::2")) && !isSameAddress(at("::1"), at("::1", 54)));
  assertEquals(await resolveServer(at("2001:DB8:0:0::1", 5)), at("2001:db8::1", 5));
  assertEquals((await resolveServer(at("localhost"))).hostname, "127.0.0.1", "IPv4 first");
  assertEquals(await failure(resolveServer(at("a..b"))), "1: no address found for a..b: check the name");
});

Deno.test("silent clients: when there are too many, the one that is silent for longest leaves, after half a second", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  using clock = new Clock();
  using timers = new Timers();
  const all = new Clients({ "max-clients": 10, timeout: 0, once: false, trace: "", pcap: "" });
  let size = 3;
  const closed: string[] = [];
  using _size = stub(all, "size", size);
  using _close = stub(all, "close", ({ name }: Client) => {
    closed.push(name);
    Object.defineProperty(all, "size", { value: --size, configurable: true });
  });
  const client = (name: string): Client => ({ conn, name, idleTicks: 0 });
  const [a, b, c] = [client("a"), client("b"), client("c")];
  const silent = new SilentClients(all);
  for (const each of [a, b, c]) {
    silent.touch(each);
    clock.now += 100;
  }
  silent.makeRoom();
  assertEquals([closed, timers.delays], [[], []], "there is room for all");
  silent.limit(4);
  assertEquals([closed, timers.delays], [[], []]);
  silent.limit(3); // the third must leave room for the next one
  assertEquals([closed, timers.delays], [[], [200]], "a came at 1000, it is 1300");
  clock.now = 1499;
  timers.started[0]?.run();
  assertEquals([closed, timers.delays], [[], [200, 1]]);
  clock.now = 1500;
  timers.started[1]?.run();
  assertEquals([closed, timers.delays], [["a"], [200, 1]], "one is enough");
  silent.touch(b); // it has its answer: c is silent for longer now
  silent.limit(1);
  assertEquals([closed, timers.delays.slice(2)], [["a"], [200]]);
  silent.remove(c);
  silent.makeRoom();
  assertEquals([closed, timers.delays.slice(3)], [["a"], [500]]);
  clock.now = 3000;
  silent.makeRoom();
  assertEquals(closed, ["a", "b"]);
  silent.touch(a);
  clock.now = 4000;
  silent.limit(0);
  assertEquals([size, closed], [1, ["a", "b"]], "one may always stay");
});

const apex = "$ORIGIN x.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\n";
const zoneOf = (text: string) => parseZone(apex + text);

Deno.test("responder: limits over UDP and TCP, opcodes, versions, classes, what is forwarded", () => {
  const texts = Array.from({ length: 30 }, (_, i) => `t TXT "${String(i).padStart(85, "x")}"\n`).join("");
  const strings = (n: number) => `"${"x".repeat(255)}" "${"x".repeat(n)}"`;
  // A query of 24 bytes, and 16 of the record before its strings: 256 + 1 + 215 more are 512.
  const zone = zoneOf(`a A 1.1.1.1\n${texts}fits TXT ${strings(219)}\nover TXT ${strings(220)}\n`);
  const responder = new Responder(new Map([["x.", zone]]), false);
  const ask = (query: Partial<Message>, udp = true, from = responder) => {
    const outcome = from.respond(encode({ ...empty, ...query }), udp);
    return outcome.kind === "response" ? { size: outcome.bytes.length, ...decode(outcome.bytes.slice()) } : outcome;
  };
  const sized = (name: string, payload?: number, udp = true) => {
    const edns = payload === undefined ? {} : { edns: { size: payload, version: 0, dnssecOk: true } };
    const result = ask({ questions: [question(name, "TXT")], ...edns }, udp);
    return "size" in result ? [result.size, result.flags.tc, result.edns?.dnssecOk, result.edns?.size] : [];
  };
  assertEquals(sized("t.x."), [21, true, undefined, undefined]);
  assertEquals(sized("t.x.", 4096), [32, true, true, 1232]);
  assertEquals(sized("t.x.", undefined, false), [21 + 30 * 98, false, undefined, undefined]);
  assertEquals([sized("fits.x."), sized("over.x.")].map(([size, tc]) => [size, tc]), [[512, false], [24, true]]);
  assertEquals([sized("fits.x.", 0)[1], sized("fits.x.", 511)[1], sized("fits.x.", 523)[1]], [true, true, false]);
  const query = encode({ ...empty, questions: [question("a.x.")] });
  const raw = (bytes: Uint8Array, udp = true) => {
    const outcome = responder.respond(bytes, udp);
    return outcome.kind === "response" ? outcome.bytes.toHex() : outcome.kind;
  };
  for (const none of [query.subarray(0, 11), query.with(2, 0x80), hex("")]) assertEquals(raw(none), "nothing");
  assertEquals(raw(query.subarray(0, 12)), "000780010000000000000000", "FORMERR, with a header alone");
  assertEquals(raw(query.subarray(0, 12).with(2, 0x79)), "0007f9040000000000000000", "NOTIMP; opcode and RD come back");
  assertEquals(raw(query.subarray(0, 12).with(2, 0x07), false), "000781010000000000000000");
  const rcode = (change: Partial<Message>) => {
    const result = ask({ questions: [question("a.x.")], ...change });
    return "size" in result ? [result.flags.rcode, result.flags.aa, result.questions.length].join(" ") : result.kind;
  };
  const edns = { size: 512, version: 0, dnssecOk: false };
  assertEquals(rcode({}), "0 true 1");
  assertEquals(rcode({ flags: { ...flags, opcode: 15 } }), `${rcodes.NOTIMP} false 1`);
  assertEquals(rcode({ questions: [] }), `${rcodes.FORMERR} false 0`);
  assertEquals(rcode({ questions: [question("a.x."), question("a.x.")] }), `${rcodes.FORMERR} false 1`);
  assertEquals([rcode({ edns }), rcode({ edns: { ...edns, version: 1 } })], ["0 true 1", `${rcodes.BADVERS} false 1`]);
  assertEquals(rcode({ questions: [question("a.x.", "A", 255)] }), "0 false 1", "no server has all classes");
  assertEquals(rcode({ questions: [question("a.x.", "A", 3)] }), `${rcodes.REFUSED} false 1`);
  const asked = { ...flags, rd: true, ra: true, ad: true, cd: true, aa: true, tc: true };
  const returned = ask({ questions: [question("a.x.")], flags: asked });
  if (!("size" in returned)) throw new Error("no response");
  assertEquals(returned.flags, { ...flags, qr: true, aa: true, rd: true, cd: true });

  const forwarding = new Responder(new Map([["x.", zone]]), true);
  const forwarded = (name: string, rd: boolean) => {
    const wanted = { questions: [question(name)], flags: { ...flags, rd }, edns: { ...edns, size: 700 } };
    const result = ask(wanted, true, forwarding);
    return "kind" in result ? `${result.kind} ${result.kind === "forward" && result.limit}` : result.flags.rcode;
  };
  assertEquals([forwarded("y.", true), forwarded("y.", false), forwarded("a.x.", true)], ["forward 700", 5, 0]);
  const short = responder.truncated(
    encode({ ...empty, questions: [question("a.x.")], edns: { ...edns, dnssecOk: true } }),
  );
  assertEquals([decode(short).flags, decode(short).edns?.dnssecOk], [{ ...flags, qr: true, tc: true }, true]);
  assertEquals(responder.truncated(query.subarray(0, 12)).toHex(), "000780010000000000000000");
});

Deno.test("quick answers: byte for byte those of the general way, and only for what they are made for (fixed seed)", () => {
  const texts = Array.from({ length: 8 }, (_, i) => `t TXT "${String(i).padStart(136, "x")}"\n`).join("");
  const zone = zoneOf(
    `@ A 1.1.1.1\na A 1.1.1.2\na A 1.1.1.3\na AAAA ::1\nA TXT a\nMiXed A 1.1.1.4\nsp\\032ace A 1.1.1.5\n*.w A 1.1.1.6\n` +
      `c CNAME a\nc NSEC a CNAME\ncut NS host.cut\ncut A 1.1.1.8\nhost.cut A 1.1.1.9\nd.e A 1.1.2.1\nz A 1.1.2.2\n` +
      `one TXT "${"y".repeat(250)}" "${"y".repeat(225)}"\none SSHFP 1 1 AA\nlo\\.ng A 1.1.2.3\n${texts}`,
  );
  const inner = parseZone("$ORIGIN z.x.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\na A 1.1.3.1\n@ CAA 0 issue x\n");
  const redirecting = parseZone(
    "$ORIGIN r.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\na A 1.1.4.1\nd DNAME x.\n@ A 1.1.4.2\n",
  );
  const zones = new Map([["x.", zone], ["z.x.", inner], ["r.", redirecting]]);
  const [quick, responder] = [new QuickAnswers(zones), new Responder(zones, false)];
  const more = [
    ".",
    "none.x.",
    "q.w.x.",
    "q.cut.x.",
    "A.z.X.",
    "q.d.r.",
    "A.X.",
    "mIxEd.x.",
    "y.",
    `${"l".repeat(63)}.x.`,
  ];
  const names = new Set([...[...zones.values()].flatMap(({ names }) => [...names].map(([name]) => name)), ...more]);
  const random = seeded(14);
  const answered = new Map<string, number>();
  const compare = (query: Uint8Array) => {
    const response = quick.answer(query)?.toHex();
    // A query with the flag TC is none of the frequent ones, and its response is the same.
    const outcome = responder.respond(query.with(2, (query[2] ?? 0) | 2), true);
    assert(quick.answer(query.with(2, (query[2] ?? 0) | 2)) === undefined);
    if (response !== undefined) {
      assertEquals(response, outcome.kind === "response" && outcome.bytes.toHex(), query.toHex());
    }
    return response !== undefined;
  };
  for (const name of names) {
    for (
      const word of [
        "A",
        "AAAA",
        "TXT",
        "CAA",
        "SSHFP",
        "TLSA",
        "NS",
        "MX",
        "CNAME",
        "SOA",
        "ANY",
        "DS",
        "NSEC",
        "TYPE999",
      ]
    ) {
      for (const size of [undefined, 0, 511, 522, 523, 1223, 1224, 1232, 4096]) {
        const [rd, cd, ad, dnssecOk] = Array.from({ length: 4 }, () => random() < 0.5);
        const asked = { ...flags, rd: rd ?? false, cd: cd ?? false, ad: ad ?? false };
        const edns = size === undefined ? {} : { edns: { size, version: 0, dnssecOk: dnssecOk ?? false } };
        const query = encode({
          ...empty,
          id: below(random, 65_536),
          flags: asked,
          questions: [question(name, word)],
          ...edns,
        });
        if (compare(query)) answered.set(`${name} ${word}`, (answered.get(`${name} ${word}`) ?? 0) + 1);
        const damaged = mutate(query, random);
        if (damaged.length >= 12) compare(damaged);
        if (size !== undefined) { // another version, a flag that nobody knows, an option
          compare(query.with(-5, 1));
          compare(query.with(-1, 4));
          compare(query.with(-3, 0x40));
          compare(Uint8Array.of(...query.with(-1, 4), 0, 10, 0, 0));
        }
      }
    }
  }
  const all = [
    "a.x. A",
    "a.x. AAAA",
    "a.x. TXT",
    "A.X. A",
    "A.X. AAAA",
    "A.X. TXT",
    "x. A",
    "mixed.x. A",
    "mIxEd.x. A",
    "sp\\032ace.x. A",
    "*.w.x. A",
  ];
  all.push("d.e.x. A", "lo\\.ng.x. A", "one.x. SSHFP", "z.x. CAA", "a.z.x. A", "A.z.X. A");
  for (const each of all) assertEquals(answered.get(each), 9, each);
  // With its header and question, the text has 512 bytes, and the eight have 1,213. An OPT record has 11.
  assertEquals([answered.get("one.x. TXT"), answered.get("t.x. TXT")], [6, 3]);
  assertEquals([...answered.keys()].filter((each) => !all.includes(each)).sort(), ["one.x. TXT", "t.x. TXT"]);
  assertEquals(new QuickAnswers(new Map()).answer(encode({ ...empty, questions: [question("a.x.")] })), undefined);
});
