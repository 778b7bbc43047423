/** `deno task watch`: the merged picture of an exchange, its server, and its page in a browser. */
import { assert, assertEquals } from "jsr:@std/assert@1";
import { type Event, formatJson } from "../tcp/_trace_event.ts";
import { dissect, type Subject } from "./watch/dissect.ts";
import type { Arrow, Entry, Mark } from "./watch/entries.ts";
import { LIMITS, Model, type Source } from "./watch/model.ts";
import { parseEvent } from "./watch/parse_event.ts";
import { stub } from "./support/stub.ts";

const encode = (text: string) => new TextEncoder().encode(text);

const CLIENT = "127.0.0.1:50000";
const SERVER = "127.0.0.1:7007";
const T = 1_800_000_000_000_000;

/** A picture of a client and a server, and how to add what each of them traces. */
function pair(transport: "tcp" | "udp") {
  const model = new Model();
  const server: Source = { side: "server", name: "server" };
  const client: Source = { side: "client", name: "client" };
  model.addSource(server);
  model.addSource(client);
  const add = (source: Source, t: number, from: string, text: string, note = transport === "udp" ? "datagram" : "") => {
    const to = from === CLIENT ? SERVER : CLIENT;
    const event: Event = { t: T + t, side: source.side, transport, from, to, data: encode(text), note };
    model.addLine(source, formatJson(event), T + t);
  };
  return { model, server, client, add };
}

/** What the picture shows now, each entry once. */
const shown = (model: Model): Entry[] => [...new Set(model.log)];
const arrowsOf = (model: Model): Arrow[] =>
  shown(model).filter((entry) => entry.kind === "arrow").filter(({ isGone }) => !isGone);
const marksOf = (model: Model): Mark[] => shown(model).filter((entry) => entry.kind === "mark");

/** From when to when, how many bytes, and what was said. */
const told = (model: Model) =>
  arrowsOf(model).map(({ departed, arrived, bytes, note }) => [
    departed === undefined ? "" : departed - T,
    arrived === undefined ? "" : arrived - T,
    bytes,
    note,
  ]);

Deno.test("watch: a write and its read are one arrow, whichever line comes first", () => {
  for (const order of [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]]) {
    const { model, server, client, add } = pair("tcp");
    const lines = [
      () => add(client, 0, CLIENT, "", "connected"),
      () => add(server, 5, CLIENT, "", "accepted"),
      () => add(client, 10, CLIENT, "hello"),
      () => add(server, 20, CLIENT, "hello"),
    ];
    for (const i of order) lines[i]?.();
    assertEquals(told(model).sort((a, b) => Number(a[0]) - Number(b[0])), [[0, 5, 0, "connected"], [10, 20, 5, ""]]);
    assert(arrowsOf(model).every(({ from, to }) => from !== to && from !== 0 && to !== 0));
  }
});

Deno.test("watch: a write arrives when its last byte is read, and a read may end several writes", () => {
  const { model, server, client, add } = pair("tcp");
  add(client, 0, CLIENT, "abc");
  add(client, 1, CLIENT, "defg");
  add(server, 10, CLIENT, "a");
  add(server, 20, CLIENT, "bcdefg");
  assertEquals(told(model), [[0, 20, 3, ""], [1, 20, 4, ""]]);
});

Deno.test("watch: a read whose writes come later becomes those writes, and only the rest is left of it", () => {
  const { model, server, client, add } = pair("tcp");
  add(server, 20, CLIENT, "abcdefg");
  assertEquals(told(model), [["", 20, 7, ""]]);
  add(client, 0, CLIENT, "abc");
  assertEquals(told(model), [["", 20, 4, ""], [0, 20, 3, ""]]);
  add(client, 1, CLIENT, "defg");
  assertEquals(told(model), [[0, 20, 3, ""], [1, 20, 4, ""]]);
  assertEquals([...model.data.values()].map((data) => new TextDecoder().decode(data)), ["abc", "defg"]);
});

Deno.test("watch: without the sender's trace each read is an arrow", () => {
  const { model, server, add } = pair("tcp");
  add(server, 0, CLIENT, "abc");
  add(server, 5, CLIENT, "de");
  assertEquals(told(model), [["", 0, 3, ""], ["", 5, 2, ""]]);
});

Deno.test("watch: nothing arrives before it has departed, although two processes have two clocks", () => {
  const { model, server, client, add } = pair("tcp");
  add(client, 10, CLIENT, "abc");
  add(server, 7, CLIENT, "abc");
  assertEquals(told(model), [[10, 10, 3, ""]]);
});

Deno.test("watch: the end of each direction is an arrow; a close after it is a mark; a reset says so", () => {
  const { model, server, client, add } = pair("tcp");
  add(client, 0, CLIENT, "", "FIN");
  add(server, 1, CLIENT, "", "FIN");
  add(server, 2, SERVER, "", "closed");
  add(client, 3, SERVER, "", "RST");
  add(client, 4, CLIENT, "", "closed");
  assertEquals(told(model), [[0, 1, 0, "FIN"], [2, 3, 0, "RST"]]);
  assertEquals(marksOf(model).map(({ text }) => text), [`closed ${SERVER}`]);
});

Deno.test("watch: a port that is used for a second connection begins a new one", () => {
  const { model, server, client, add } = pair("tcp");
  for (const t of [0, 100]) {
    add(client, t, CLIENT, "", "connected");
    add(server, t + 1, CLIENT, "", "accepted");
    add(client, t + 2, CLIENT, "hi");
    add(server, t + 3, CLIENT, "hi");
  }
  assertEquals(model.connections.length, 2);
  assertEquals(told(model).length, 4);
});

Deno.test("watch: a datagram that is sent again is tied to the first; one that nobody has received is lost at the end", () => {
  const { model, server, client, add } = pair("udp");
  add(client, 0, CLIENT, "/name anna");
  add(client, 1000, CLIENT, "/name anna");
  add(server, 1001, CLIENT, "other");
  add(server, 1002, CLIENT, "/name anna");
  model.finish();
  const [first, second, other] = arrowsOf(model);
  assertEquals([second?.again, other?.again], [first?.id, undefined]);
  assertEquals(arrowsOf(model).map(({ isLost }) => isLost === true), [false, true, false]);
});

Deno.test("watch: without the receiver's trace nobody knows whether a datagram is lost", () => {
  const { model, server, add } = pair("udp");
  add(server, 0, CLIENT, "query");
  add(server, 1, SERVER, "answer");
  model.finish();
  assertEquals(arrowsOf(model).map(({ isLost }) => isLost), [undefined, undefined]);
});

Deno.test("watch: a relay's trace: what it delays slants, what it loses does not arrive, each client has a lane", () => {
  const model = new Model();
  const relay: Source = { side: "relay", name: "relay", to: SERVER };
  model.addSource(relay);
  const add = (t: number, from: string, to: string, note: string) =>
    model.addLine(
      relay,
      formatJson({ t: T + t, side: "relay", transport: "udp", from, to, data: encode("x"), note }),
      T + t,
    );
  add(0, CLIENT, SERVER, "lost");
  add(900_000, CLIENT, SERVER, "delayed 200 ms");
  add(900_001, SERVER, CLIENT, "datagram");
  add(900_002, "127.0.0.1:50001", SERVER, "datagram");
  assertEquals(told(model).map(([from, to]) => [from, to]), [[0, ""], [700_000, 900_000], [900_001, 900_001], [
    ...[900_002, 900_002],
  ]]);
  assertEquals(arrowsOf(model).map(({ isLost }) => isLost === true), [true, false, false, false]);
  const lanes = shown(model).filter((entry) => entry.kind === "lane").map(({ name }) => name);
  assertEquals(lanes, [`client ${CLIENT}`, `server ${SERVER}`, "client 127.0.0.1:50001"]);
});

Deno.test("watch: a line that is no trace becomes a mark, whatever it holds", () => {
  const { model, client, server, add } = pair("tcp");
  const garbage = [
    ...["{", "{}", "[1]", "null", "hello \x1b[31m", '{"t":1}', "x".repeat(100_000), '{"t":-1,"side":"client"}', ""],
    '{"t":1,"side":"client","transport":"tcp","from":"a","to":"b","data":"not base64!","note":""}',
    '{"t":"1","side":"client","transport":"tcp","from":"a","to":"b","data":"","note":""}',
    '{"t":1,"side":"judge","transport":"tcp","from":"a","to":"b","data":"","note":""}',
  ];
  for (const line of garbage) {
    assertEquals(parseEvent(line), undefined, line);
    model.addLine(client, line, T);
  }
  const marks = marksOf(model);
  assertEquals(marks.length, garbage.length - 1, "an empty line says nothing");
  assert(marks.every(({ text }) => text.length <= 300 && !text.includes("\x1b")));
  add(client, 5, CLIENT, "still here");
  add(server, 6, CLIENT, "still here");
  assertEquals(told(model), [[5, 6, 10, ""]]);
});

Deno.test("watch: messages of fetch, which has no address, are marks with their bytes", () => {
  const { model, client } = pair("tcp");
  const data = encode("GET / HTTP/1.1\r\n\r\n");
  const rest = { side: "client", transport: "tcp", from: "fetch_client", to: SERVER, note: "" } as const;
  model.addLine(client, formatJson({ t: T, ...rest, data }), T);
  const [mark] = marksOf(model);
  assertEquals([mark?.text, mark?.bytes, arrowsOf(model).length], [
    "fetch_client: GET / HTTP/1.1",
    data.length,
    0,
  ]);
});

Deno.test("watch: ten thousand messages are merged quickly, and a picture that is full says so", () => {
  using _ = stub(LIMITS, "entries", 10_000);
  const { model, server, client, add } = pair("tcp");
  for (let i = 0; i < 6000; i++) {
    add(client, 10 * i, CLIENT, `message ${i}`);
    add(server, 10 * i + 2, CLIENT, `message ${i}`);
    add(server, 10 * i + 3, SERVER, `answer ${i}`);
    add(client, 10 * i + 5, SERVER, `answer ${i}`);
  }
  assertEquals(arrowsOf(model).length, 10_000);
  assertEquals(marksOf(model).map(({ isFailure, text }) => [isFailure, text]), [
    [true, "the picture is full: what follows is not kept"],
  ]);
  assertEquals(model.data.size, 10_000);
});

const subject = (text: string | Uint8Array, more: Partial<Subject> = {}): Subject => ({
  data: typeof text === "string" ? encode(text) : text,
  ...{ transport: "tcp", isFromClient: true, before: new Uint8Array() },
  ...more,
});

/** The fields of a message, each with the bytes it stands in. */
const fields = (of: Subject, protocol?: Parameters<typeof dissect>[1]) =>
  dissect(of, protocol).map(({ start, end, text }) =>
    `${JSON.stringify(new TextDecoder().decode(of.data.subarray(start, end)))} ${text}`
  );

Deno.test("watch: HTTP field by field, and where it is broken", () => {
  assertEquals(fields(subject("GET /a HTTP/1.1\r\nHost: x\r\n\r\nabc")), [
    '"GET" method GET',
    '"/a" target /a',
    '"HTTP/1.1\\r\\n" version HTTP/1.1',
    '"Host: x\\r\\n" Host: x',
    '"\\r\\n" end of the head',
    '"abc" content 3 bytes',
  ]);
  assertEquals(fields(subject("HTTP/1.1 404 Not Found\r\n\r\n")).slice(0, 3), [
    '"HTTP/1.1" version HTTP/1.1',
    '"404" status 404',
    '"Not Found\\r\\n" reason Not Found',
  ]);
  const broken = fields(subject("GET / HTTP/1.1\r\nHost : x\r\n\r\n")).at(-1) ?? "";
  assert(broken.startsWith('"" broken: malformed field name'), broken);
});

Deno.test("watch: SMTP commands, replies and the mail", () => {
  assertEquals(fields(subject("MAIL FROM:<a@b>\r\nDATA\r\n")), [
    '"MAIL" command MAIL',
    '"FROM:<a@b>\\r\\n" argument FROM:<a@b>',
    '"DATA\\r\\n" command DATA',
  ]);
  assertEquals(fields(subject("250 2.1.0 sender ok\r\n", { isFromClient: false })), [
    '"250" code 250 (success)',
    '" " last line',
    '"2.1.0" enhanced code 2.1.0',
    '" sender ok\\r\\n" text sender ok',
  ]);
  assertEquals(fields(subject("Subject: hi\r\n\r\nText\r\n.\r\n", { before: encode("354 go on\r\n") })), [
    '"Subject: hi\\r\\n" Subject: hi',
    '"\\r\\n" end of the header',
    '"Text\\r\\n" body 6 bytes',
    '".\\r\\n" end of the mail',
  ]);
});

Deno.test("watch: the chat, TFTP, and DNS over UDP and TCP", () => {
  const udp = { transport: "udp" };
  assertEquals(fields(subject("/say 7 Hi, é", udp), "chat"), [
    '"/say 7 Hi, é" kind message',
    '"/say" command /say',
    '"7" id 7',
    '"Hi, é" text Hi, é',
  ]);
  assertEquals(fields(subject("#7 anna: Hi", { ...udp, isFromClient: false }), "chat"), [
    '"#7 anna: Hi" kind echo',
    '"#7" id #7',
    '"anna:" name anna:',
    '"Hi" text Hi',
  ]);
  assertEquals(fields(subject("\0\x01file\0octet\0tsize\x000\0", udp), "tftp").map((line) => line.split('" ')[1]), [
    ...["opcode 1 read", "file file", "mode octet", "option tsize", "value 0"],
  ]);
  const query = Uint8Array.fromHex("b34f0100000100000000000001610000010001");
  const expected = ["id 0xb34f", "question a.", "type A", "class IN"];
  const found = dissect(subject(query, udp)).map(({ text }) => text);
  assertEquals(found.filter((text) => expected.includes(text)), expected);
  const framed = dissect(subject(Uint8Array.of(0, query.length, ...query)), "dns");
  assertEquals(framed[0], { start: 0, end: 2, text: `length ${query.length}` });
  assertEquals(framed.at(-1), { start: 19, end: 21, text: "class IN" });
});

Deno.test("watch: any bytes can be taken apart, and every field stands in them", () => {
  for (const protocol of [undefined, "dns", "http", "smtp", "chat", "tftp"] as const) {
    for (let i = 0; i < 200; i++) {
      const data = crypto.getRandomValues(new Uint8Array(i));
      for (const isFromClient of [true, false]) {
        for (const transport of ["tcp", "udp"]) {
          for (const { start, end } of dissect(subject(data, { isFromClient, transport }), protocol)) {
            assert(0 <= start && start <= end && end <= data.length, `${protocol}: ${start} to ${end} of ${data}`);
          }
        }
      }
    }
  }
});
