/** `deno task watch`: the merged picture of an exchange, its server, and its page in a browser. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "jsr:@std/assert@1";
import { type Event, formatJson } from "../tcp/_trace_event.ts";
import { encodeFrame } from "../http/_websocket_frame.ts";
import { dissect, protocols, says, type Subject } from "./watch/dissect.ts";
import type { Arrow, Mark } from "./watch/entries.ts";
import { LIMITS, Model, type Source } from "./watch/model.ts";
import { gap, layout, layoutToScale, visibleRange } from "./watch/page/layout.js";
import { Store } from "./watch/page/store.js";
import { parseEvent } from "./watch/parse_event.ts";
import { planCommand, planPair, splitWords } from "./watch/plan.ts";
import { Lines, runPlan } from "./watch/run.ts";
import { answer, saved, type Show } from "./watch/server.ts";
import { accessibility } from "./support/accessibility.ts";
import { inBrowser, openPage } from "./support/browser.ts";
import { failedWith, noSignals, refusedWith, signals, testWith, until } from "./support/helpers.ts";
import { portInUse } from "./support/processes.ts";
import { Program } from "./support/program.ts";
import { stub } from "./support/stub.ts";
import { command, root } from "./support/tasks.ts";
import { arrowsOf, isWatched, marksOf, serveShow, shown, watched } from "./support/watching.ts";

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

Deno.test("watch: a datagram sent again is tied to the first; one that nobody has received is lost at the end", () => {
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

const NEAR = "127.0.0.1:9998";
const FAR = "127.0.0.1:41000";

/** A picture of a relay, and how to add what it traces. `programs`: whose traces are read, too. */
function behindRelay(transport: "tcp" | "udp", ...programs: Source[]) {
  return behind({ side: "relay", name: "relay" }, transport, ...programs);
}

function behind(relay: Source, transport: "tcp" | "udp", ...programs: Source[]) {
  const model = new Model();
  for (const source of [relay, ...programs]) model.addSource(source);
  const add = (t: number, from: string, text: string, note: string, more: Partial<Event> = {}) => {
    const [to, via] = from === SERVER ? [CLIENT, [FAR, NEAR]] as const : [SERVER, [NEAR, FAR]] as const;
    const event = { side: "relay", transport, from, to, via, data: encode(text), note, ...more } as const;
    model.addLine(relay, formatJson({ t: T + t, ...event }), T + t);
  };
  return { model, relay, add };
}

const lanesOf = (model: Model) => shown(model).filter((entry) => entry.kind === "lane");

/** From which lane to which, when, and what became of it: ✗ for a lost one, ≈ for one that goes out as it came in. */
const ways = (model: Model) => {
  const names = new Map(lanesOf(model).map(({ id, name }) => [id, name.replace(/ .*/, "")]));
  return arrowsOf(model).map(({ from, to, departed, arrived, came, isLost, isSame }) => {
    const times = [came, departed, arrived].map((t) => t === undefined ? "" : t - T).join(" ");
    return `${names.get(from)} → ${names.get(to)} ${times}${isLost ? " ✗" : ""}${isSame ? " ≈" : ""}`;
  });
};

Deno.test("watch: behind a relay: what comes in, what goes out when, and what is lost there", () => {
  const { model, add } = behindRelay("udp");
  add(0, CLIENT, "x", "lost", { half: "in" });
  add(700_000, CLIENT, "x", "datagram", { half: "in" });
  add(900_000, CLIENT, "x", "delayed 200 ms", { half: "out", came: T + 700_000 });
  add(900_001, SERVER, "y", "datagram");
  add(900_002, SERVER, "z", "sent twice");
  add(900_002, SERVER, "z", "sent twice", { half: "out", came: T + 900_002 });
  add(900_003, SERVER, "a", "datagram", { half: "in" });
  add(900_003, SERVER, "q", "bit 3 flipped", { half: "out", came: T + 900_003 });
  assertEquals(ways(model), [
    ...["client → relay  0 ✗", "client → relay  700000", "relay → server 700000 900000  ≈"].map((way) =>
      way.replace("relay  ", "relay   ")
    ),
    ...["server → relay   900001", "relay → client 900001 900001  ≈"],
    ...["server → relay   900002", "relay → client 900002 900002  ≈", "relay → client 900002 900002  ≈"],
    ...["server → relay   900003", "relay → client 900003 900003 "],
  ]);
  const [lost, first, out] = arrowsOf(model);
  assertEquals([first?.again, out?.again, out?.through], [lost?.id, undefined, first?.id], "the client sent it again");
  const server = lanesOf(model).find(({ side }) => side === "server")?.id;
  assertEquals(lost?.beyond, server);
  const [front, back] = model.connections;
  assertEquals([front?.client, front?.server, back?.client, back?.server, back?.partOf], [
    ...[CLIENT, NEAR, FAR, SERVER, front?.id],
  ]);
});

Deno.test("watch: behind a relay: what it holds until the end is lost; each client has a lane", () => {
  const { model, add } = behindRelay("udp");
  add(0, CLIENT, "x", "datagram", { half: "in" });
  add(5, "127.0.0.1:50001", "y", "datagram", { via: [NEAR, "127.0.0.1:41001"] });
  model.finish();
  assertEquals(arrowsOf(model).map(({ isLost, note }) => [isLost === true, note]), [
    ...[[true, "held until the end"], [false, ""], [false, ""]],
  ]);
  assertEquals(lanesOf(model).map(({ name }) => name), [
    ...["relay", `client ${CLIENT}`, "client 127.0.0.1:50001", `server ${SERVER}`],
  ]);
});

Deno.test("watch: behind a relay: its trace and those of both programs are merged, in any order", () => {
  const [client, server]: Source[] = [{ side: "client", name: "client" }, { side: "server", name: "server" }];
  if (!client || !server) throw new Error("two programs");
  for (const order of [[0, 1, 2, 3, 4, 5, 6, 7], [3, 7, 2, 6, 1, 5, 0, 4], [4, 5, 6, 7, 0, 1, 2, 3]]) {
    const { model, add } = behindRelay("tcp", client, server);
    const own = (source: Source, t: number, text: string, note = "") => {
      const [from, to] = source === client ? [CLIENT, NEAR] : [FAR, SERVER];
      const event = { t: T + t, side: source.side, transport: "tcp", from, to, data: encode(text), note } as const;
      model.addLine(source, formatJson(event), T + t);
    };
    const lines = [
      () => own(client, 0, "", "connected"),
      () => add(2, CLIENT, "", "connected"),
      () => own(server, 4, "", "accepted"),
      () => own(client, 10, "hello"),
      () => add(12, CLIENT, "hello", "", { half: "in" }),
      () => add(20, CLIENT, "hel", "", { half: "out", came: T + 12 }),
      () => add(30, CLIENT, "lo", "", { half: "out", came: T + 12 }),
      () => own(server, 35, "hello"),
    ];
    for (const i of order) lines[i]?.();
    assertEquals(ways(model).sort(), [
      ...["client → relay  0 2", "client → relay  10 12", "relay → server 12 20 35", "relay → server 12 30 35"],
      "relay → server 2 2 4 ≈",
    ], `${order}`);
  }
});

Deno.test("watch: behind a relay that cuts a connection off: resets go both ways, what comes later is lost there", () => {
  const { model, add } = behindRelay("tcp");
  add(0, CLIENT, "", "connected");
  add(1, CLIENT, "abc", "lost: reset", { half: "in" });
  add(2, CLIENT, "", "RST", { half: "out" });
  add(3, SERVER, "", "RST", { half: "out" });
  add(4, CLIENT, "d", "lost: stall", { half: "in" });
  add(5, CLIENT, "", "stall", { half: "in" });
  assertEquals(ways(model).slice(2), [
    ...["client → relay   1 ✗", "relay → server  2 ", "relay → client  3 ", "client → relay   4 ✗"],
  ]);
  assertEquals(marksOf(model).map(({ text }) => text), ["stall"]);
});

Deno.test("watch: a line of a relay with a mistake is a mark at its lane, and nothing else is lost", () => {
  const { model, add } = behindRelay("udp");
  for (const more of [{ via: [NEAR] }, { via: 7 }, { half: "both" }, { came: "x" }, { came: 2 * T }]) {
    add(0, CLIENT, "x", "datagram", more as Partial<Event>);
  }
  add(1, CLIENT, "x", "datagram");
  assertEquals([marksOf(model).length, arrowsOf(model).length], [5, 2]);
  assert(marksOf(model).every(({ lane }) => lane === lanesOf(model)[0]?.id));
});

/** What the page shows of a picture, with and without the relay's lane. */
function viewOf(model: Model, isRelayShown: boolean) {
  const store = new Store();
  store.add(shown(model));
  store.change({ isRelayChosen: isRelayShown });
  store.select();
  const names = new Map(store.lanes.map(({ id, name }: { id: number; name: string }) => [id, name.replace(/ .*/, "")]));
  return {
    lanes: store.shownLanes.map(({ side }: { side: string }) => side),
    choices: store.choices().map(({ name }: { name: string }) => name),
    shown: store.shown.map((item: Arrow | Mark) =>
      item.kind === "arrow"
        ? `${names.get(item.from)} → ${names.get(item.to)} ${(item.departed ?? T) - T} ${(item.arrived ?? T) - T}` +
          `${item.isLost ? " ✗" : ""}${item.again ? " again" : ""}`
        : `${names.get(item.lane)}: ${item.text}`
    ),
  };
}

Deno.test("watch: the page shows the relay's lane, or each message as one arrow from its sender to its receiver", () => {
  const { model, relay, add } = behindRelay("udp");
  add(0, CLIENT, "x", "lost", { half: "in" });
  add(700_000, CLIENT, "x", "datagram", { half: "in" });
  add(900_000, CLIENT, "x", "delayed 200 ms", { half: "out", came: T + 700_000 });
  model.addMark(relay, "network: perfect", T + 1_000_000);
  const [whole, lanes] = [viewOf(model, false), viewOf(model, true)];
  assertEquals([whole.lanes, lanes.lanes], [["client", "server"], ["client", "relay", "server"]]);
  assertEquals(whole.shown, [
    ...["client → server 0 0 ✗", "client → server 700000 900000 again", "client: network: perfect"],
  ]);
  assertEquals(lanes.shown.length, 4);
  assertEquals(whole.choices, [`${CLIENT} ↔ ${SERVER} (udp)`], "both parts are one connection");
});

Deno.test("watch: what a relay passes on at once stands beside its arrival, and has no second text", () => {
  const items = [
    { kind: "arrow", departed: 0, arrived: 50 },
    { kind: "arrow", departed: 50, came: 50, isSame: true },
    { kind: "arrow", departed: 60, arrived: 90 },
    { kind: "arrow", departed: 1_000_000, came: 90, isSame: true },
  ];
  const { rows: [first, second, third, fourth] } = layout(items, 1);
  assertEquals([second?.top, second?.came, second?.hasText], [first?.bottom, first?.bottom, false]);
  assert((third?.top ?? 0) - (first?.top ?? 0) >= 20);
  assertEquals([fourth?.came, fourth?.hasText], [third?.bottom, true], "a second later there is room");
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
    "sends GET / HTTP/1.1",
    data.length,
    0,
  ]);
});

Deno.test("watch: a call of fetch is found by its bytes on the one connection that the server's trace has", () => {
  const [request, response] = ["GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"];
  const picture = (...ports: number[]) => {
    const { model, client, server } = pair("tcp");
    const called = (t: number, from: string, to: string, text: string) => {
      const event = { t: T + t, side: "client", transport: "tcp", from, to, data: encode(text), note: "" } as const;
      model.addLine(client, formatJson(event), T + t);
    };
    called(0, "fetch_client", SERVER, request.toLowerCase().replace("get /a http", "GET /a HTTP"));
    called(30, SERVER, "fetch_client", response);
    called(40, SERVER, "fetch_client", "3\r\nabc\r\n");
    for (const port of ports) {
      const served = (t: number, isRequest: boolean, text: string, note = "") => {
        const [from, to] = isRequest ? [`127.0.0.1:${port}`, SERVER] : [SERVER, `127.0.0.1:${port}`];
        const data = encode(text);
        model.addLine(server, formatJson({ t: T + t, side: "server", transport: "tcp", from, to, data, note }), T + t);
      };
      served(5, true, "", "accepted");
      served(10, true, request);
      served(20, false, response);
      served(35, false, "abc");
      served(50, true, "", "FIN");
    }
    model.finish();
    return model;
  };
  const found = picture(50_000);
  assertEquals(told(found), [[0, 5, 0, "connected"], [0, 10, 28, ""], [20, 30, 19, ""], [35, 40, 3, ""], [
    ...["", 50, 0, "FIN"],
  ]]);
  assertEquals(marksOf(found), [], "the arrows say it");
  assertEquals([...found.data.keys()].length, 3);
  const two = picture(50_000, 50_001);
  assertEquals(marksOf(two).length, 3, "which of two it is, nobody knows");
  assert(arrowsOf(two).every(({ departed, arrived }) => departed === undefined || arrived === undefined));
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
  ...{ transport: "tcp", isFromClient: true, before: new Uint8Array(), earlier: () => new Uint8Array() },
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
  const inputs = Uint8Array.fromHex("534731020000000000000007000000090203" + "02");
  const texts = (data: Uint8Array) => dissect(subject(data, udp), "game").map(({ text }) => text);
  assertEquals(texts(inputs), [
    ...["SG1", "kind 2 inputs", "cookie 0000000000000007", "last input 9", "inputs 2", "input 8 down", "input 9 right"],
  ]);
  const state = Uint8Array.fromHex(
    "5347310c" + "00000050" + "00000009" + "030101" + "03" + "00e6" + "0096" + "0401" + "04616e6e6100000000" + "0207",
  );
  assertEquals(texts(state).slice(2), [
    ...["tick 80", "last input done 9", "you are player 3", "players 1", "dots 1"],
    ...["player 3 anna at 23,15, 4 dots, 1 rounds won", "dot at 2,7"],
  ]);
  const query = Uint8Array.fromHex("b34f0100000100000000000001610000010001");
  const expected = ["id 0xb34f", "question a.", "type A", "class IN"];
  const found = dissect(subject(query, udp)).map(({ text }) => text);
  assertEquals(found.filter((text) => expected.includes(text)), expected);
  const framed = dissect(subject(Uint8Array.of(0, query.length, ...query)), "dns");
  assertEquals(framed[0], { start: 0, end: 2, text: `length ${query.length}` });
  assertEquals(framed.at(-1), { start: 19, end: 21, text: "class IN" });
});

Deno.test("watch: ICMP: requests, replies, and a router's error with the request that it quotes", () => {
  const request = Uint8Array.fromHex("0800f7ff12340007" + "6162");
  const icmp = { transport: "icmp" };
  assertEquals(dissect(subject(request, icmp)), [
    { start: 0, end: 1, text: "type 8 echo request" },
    { start: 1, end: 2, text: "code 0" },
    { start: 2, end: 4, text: "checksum 0xf7ff" },
    { start: 4, end: 6, text: "identifier 0x1234" },
    { start: 6, end: 8, text: "sequence 7" },
    { start: 8, end: 10, text: "payload 2 bytes" },
  ]);
  const header = Uint8Array.fromHex("4500001e000040000101000" + "00a0901010a090201");
  const exceeded = new Uint8Array([11, 0, 0, 0, 0, 0, 0, 0, ...header, ...request]);
  const texts = dissect(subject(exceeded, icmp)).map(({ text }) => text);
  assertEquals([texts[0], texts[5], texts[6], texts[7], texts[11]], [
    ...["type 11 time exceeded", "quoted ttl 1", "quoted destination 10.9.2.1"],
    ...["quoted type 8 echo request", "quoted sequence 7"],
  ]);
});

Deno.test("watch: a request that a router drops is lost; a host that pings itself is a client and a kernel", () => {
  const { model, client } = pair("udp");
  const request = Uint8Array.fromHex("0800f7ff12340007");
  const exceeded = new Uint8Array([11, 0, 0, 0, 0, 0, 0, 0, ...new Uint8Array(20), ...request]);
  exceeded.set([0x45, 0, 0, 28, 0, 0, 0, 0, 1, 1], 8);
  const reply = Uint8Array.fromHex("0000fff712340007");
  const add = (t: number, from: string, to: string, data: Uint8Array, note: string) =>
    model.addLine(client, formatJson({ t: T + t, side: "client", transport: "icmp", from, to, data, note }), T + t);
  add(0, "10.9.1.1", "10.9.2.1", request, "echo request 7, ttl 1");
  add(5, "10.9.1.2", "10.9.1.1", exceeded, "time to live exceeded: request 7");
  add(10, "127.0.0.1", "127.0.0.1", request, "echo request 7, ttl 64");
  add(15, "127.0.0.1", "127.0.0.1", reply, "echo reply 7");
  assertEquals(arrowsOf(model).map(({ isLost, text, note }) => [isLost === true, text, note.slice(0, 12)]), [
    [true, "", "echo request"],
    [false, "", "time to live"],
    [false, "", "echo request"],
    [false, "", "echo reply 7"],
  ]);
  assert(arrowsOf(model).every(({ from, to }) => from !== to));
});

/** A handshake, and a frame as a client and as a server sends it. */
const upgrade = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n";
const masked = encodeFrame({ fin: true, opcode: 1, payload: encode("Hello") }, Uint8Array.of(1, 2, 3, 4));

Deno.test("watch: WebSocket: the handshake, then frames, also one that begins in an earlier message", () => {
  assertEquals(dissect(subject(upgrade), "websocket")[3]?.text, "Host: x");
  const earlier = () => encode(upgrade);
  const frame = [
    { start: 0, end: 1, text: "FIN 1, the message ends" },
    { start: 0, end: 1, text: "opcode 1 text" },
    { start: 1, end: 2, text: "mask 1, by the client" },
    { start: 1, end: 2, text: "length 5" },
    { start: 2, end: 6, text: "masking key 01020304" },
    { start: 6, end: 11, text: "payload Hello" },
  ];
  assertEquals(dissect(subject(masked, { earlier })), frame, "the handshake tells what follows");
  const [start, rest] = [masked.subarray(0, 8), masked.subarray(8)];
  assertEquals(dissect(subject(start, { earlier }), "websocket").at(-1)?.text, "payload He (3 to come)");
  const later = { earlier: () => new Uint8Array([...encode(upgrade), ...start]) };
  assertEquals(dissect(subject(rest, later)), [{ start: 0, end: 3, text: "payload Hello" }]);
  const close = encodeFrame({ fin: true, opcode: 8, payload: Uint8Array.of(3, 232, 111, 107) });
  assertEquals(dissect(subject(close), "websocket").at(-1)?.text, "payload code 1000 ok");
});

Deno.test("watch: what stands on an arrow: of a frame its text, of a DNS message its question", () => {
  const { model, client, server, add } = pair("tcp");
  add(client, 0, CLIENT, upgrade);
  add(server, 1, CLIENT, upgrade);
  const frame = {
    t: T + 2,
    side: "client",
    transport: "tcp",
    from: CLIENT,
    to: SERVER,
    data: masked,
    note: "",
  } as const;
  model.addEvent(client, frame);
  model.addEvent(client, { ...frame, data: new Uint8Array(), note: 'frame: text, 5 bytes "Hello"' });
  assertEquals(arrowsOf(model).map(({ text }) => text), ["GET / HTTP/1.1…", 'text "Hello"']);
  assertEquals(marksOf(model), [], "the arrow says it");
  const query = Uint8Array.fromHex("b34f0100000100000000000001610000010001");
  const dns = new Model("dns");
  dns.addEvent({ side: "client", name: "" }, { ...frame, transport: "udp", data: query });
  assertEquals(arrowsOf(dns)[0]?.text, "a. A?");
});

Deno.test("watch: any bytes can be taken apart, and every field stands in them", () => {
  for (const protocol of [undefined, ...protocols]) {
    for (let i = 0; i < 200; i++) {
      const data = crypto.getRandomValues(new Uint8Array(i));
      for (const isFromClient of [true, false]) {
        for (const transport of ["tcp", "udp", "icmp"]) {
          assert((says(subject(data, { isFromClient, transport }), protocol) ?? "").length < 1000);
          for (const { start, end } of dissect(subject(data, { isFromClient, transport }), protocol)) {
            assert(0 <= start && start <= end && end <= data.length, `${protocol}: ${start} to ${end} of ${data}`);
          }
        }
      }
    }
  }
});

Deno.test("watch: time grows downwards, no two texts overlap, and only what is visible is found", () => {
  assert(gap(100) < gap(10_000) && gap(1e12) === gap(1e13));
  const items = Array.from({ length: 1000 }, (_, i) => ({ kind: "arrow", departed: i * 50, arrived: i * 50 + 120 }));
  const { rows, height } = layout(items, 1);
  for (const [i, { top, bottom }] of rows.entries()) {
    assert(bottom >= top && bottom <= height);
    if (i > 0) assert(top - (rows[i - 1]?.top ?? 0) >= 20);
  }
  const [first = 0, last = 0] = visibleRange(rows, 5000, 6000, 100);
  assert(first > 150 && last < 400 && last - first < 60, `${first} to ${last}`);
  const scaled = layoutToScale([...items, { kind: "arrow", departed: 1e6, arrived: 1e6 }], 1);
  const top = (i: number) => scaled.rows[i]?.top ?? NaN;
  assertEquals(Math.round(top(1000) / (top(200) - top(100))), 200, "twice the time, twice the height");
  assert(scaled.rows.filter((row: { hasText: boolean }) => row.hasText).length < 100, "texts for which there is room");
});

Deno.test("watch: the words of a task's command, and lines that arrive in parts", () => {
  assertEquals(splitWords("deno run a.ts --x 'two words' b"), ["deno", "run", "a.ts", "--x", "two words", "b"]);
  const lines = new Lines();
  assertEquals([lines.split("ab"), lines.split("c\r\nd\n"), lines.split("e"), lines.split("\n")], [
    [],
    ["abc", "d"],
    [],
    ["e"],
  ]);
  assertEquals(lines.split("x".repeat(5 << 20)).length, 1, "a line without an end is not kept for ever");
});

// `deno task campaign` takes every lesson.
for (const lesson of ["tcp:echo", "udp:chat", "dns:walk", "http:files"]) isWatched(lesson);

Deno.test("watch: the settings of a network may have a seed", async () => {
  const { relay } = await planPair("udp:chat", "loss=20% seed=7 delay=1ms");
  const command = relay?.command.join(" ") ?? "";
  assertMatch(
    command,
    /^deno run -N=127\.0\.0\.1 udp\/relay\.ts .* --network loss=20% +delay=1ms --seed 7 --control --trace=json$/,
  );
});

Deno.test("watch: a pair behind a relay that delays all datagrams: each is held so long, and every end is known", async () => {
  const { model } = await watched(await planPair("udp:chat", "delay=30ms"));
  const out = arrowsOf(model).filter(({ came }) => came !== undefined);
  const held = out.map(({ came = 0, departed = 0 }) => departed - came);
  // A timer of 30 ms may be a little early on another clock.
  assert(held.length >= 6 && held.every((t) => t >= 29_000), `${held}`);
  assert(out.every(({ isSame, isLost }) => isSame && !isLost));
  const isWhole = (arrow: Arrow) => arrow.departed !== undefined && arrow.arrived !== undefined;
  // The last reply to a client that has gone already is read by nobody.
  assert(arrowsOf(model).filter((arrow) => !isWhole(arrow)).length <= 1, ways(model).join("\n"));
});

Deno.test("watch: behind a relay: the resolver, which asks over TCP, too, and TFTP, whose server answers from another port", async () => {
  for (const name of ["dns:lookup", "udp:tftp"]) {
    const { model } = await watched(await planPair(name, "delay=1ms"));
    assertEquals(marksOf(model).filter(({ isFailure }) => isFailure).map(({ text }) => text), [], name);
    assert(arrowsOf(model).filter(({ came }) => came !== undefined).length >= 4, ways(model).join("\n"));
    assertEquals(lanesOf(model).filter(({ side }) => side === "relay").length, 1);
  }
});

Deno.test("watch: a command of one's own behind a relay, and one that ends in the middle", async () => {
  const server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    const conn = await server.accept();
    await conn.read(new Uint8Array(10));
    await conn.write(encode("220 welcome\r\n"));
    conn.close();
  })();
  const code = `const conn = await Deno.connect({ hostname: Deno.args[0], port: Number(Deno.args[1]) });
await conn.write(new TextEncoder().encode("hello"));
await conn.read(new Uint8Array(20));
console.error("{ not a trace");
Deno.exit(7);`;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, code);
  const to = `127.0.0.1:${server.addr.port}`;
  const words = ["deno", "run", "-N=127.0.0.1", file, "{host}", "{port}"];
  const { model } = await watched(planCommand(words, { to, over: "tcp", network: "", cwd: root }));
  await serving;
  server.close();
  await Deno.remove(file);
  const texts = arrowsOf(model).filter(({ came }) => came === undefined).map(({ text }) => text).filter((text) => text);
  assertEquals(texts, ["hello", "220 welcome"]);
  assertEquals(marksOf(model).map(({ text, isFailure }) => [text, isFailure]), [
    ["{ not a trace", undefined],
    ["ended with exit code 7", true],
  ]);
});

/** A show of one exchange, without a process. */
function exampleShow(): Show {
  const { model, server, client, add } = pair("tcp");
  add(client, 0, CLIENT, "", "connected");
  add(client, 10, CLIENT, "GET / HTTP/1.1\r\nHost: </script><!--\r\n\r\n");
  add(server, 20, CLIENT, "GET / HTTP/1.1\r\nHost: </script><!--\r\n\r\n");
  model.addMark(server, "<b>a note</b>", T + 30);
  return { model, title: "a <title>", run: "7" };
}

Deno.test("watch: the saved page holds every entry and every byte, and markup in them ends nothing", () => {
  const show = exampleShow();
  const page = saved(show);
  const [, json = ""] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page) ?? [];
  const { entries, messages } = JSON.parse(json);
  assertEquals(entries, shown(show.model));
  assertEquals(Object.keys(messages).map(Number), [...show.model.data.keys()]);
  for (const [id, data] of show.model.data) assertEquals(messages[id].data, data.toBase64());
  assertStringIncludes(page, "<title>a &lt;title&gt;</title>");
  assert(!/(src|href)="(?!data:)/.test(page), "nothing is loaded");
});

Deno.test("watch: the server: page, script, message, events from the start or from where a browser was", async () => {
  const show = exampleShow();
  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    answer(new Request(`http://127.0.0.1:8000${path}`, { method, headers }), show);
  const status = async (...request: Parameters<typeof get>) => (await get(...request)).status;
  assertEquals(await status("/"), 200);
  assertMatch((await get("/")).headers.get("content-security-policy") ?? "", /script-src 'self'/);
  assertEquals(await status("/page.js"), 200);
  assertEquals(await status("/", { host: "evil.example" }), 403);
  assertEquals(await status("/", {}, "POST"), 405);
  for (const path of ["/again", "/network"]) {
    assertEquals(await status(path, {}, "POST"), 409, "there is no relay, and no pair");
    assertEquals(await status(path, { "sec-fetch-site": "cross-site" }, "POST"), 403);
  }
  for (const path of ["/x", "/message/", "/message/999", "/message/1", "/../deno.json", "/?pair=tcp:echo"]) {
    assertEquals(await status(path), 404, path);
  }
  const [id] = show.model.data.keys();
  const { fields } = await (await get(`/message/${id}`)).json();
  assertEquals(fields[0], { start: 0, end: 3, text: "method GET" });

  const read = async (lastId: string) => {
    const reader = (await get("/events", { "last-event-id": lastId })).body?.getReader();
    const { value = new Uint8Array() } = await reader?.read() ?? {};
    await reader?.cancel();
    const [, place = "", json = ""] = /^retry: 300\nid: (.*)\ndata: (.*)\n\n$/.exec(new TextDecoder().decode(value)) ??
      [];
    return { place, entries: JSON.parse(json).entries.length };
  };
  const all = await read("");
  assertEquals(all.entries, shown(show.model).length);
  show.model.addMark({ side: "client", name: "" }, "one more", T + 40);
  assertEquals((await read(all.place)).entries, 1);
  assertEquals((await read("6 3")).entries, all.entries + 1, "of another run it has all");
  const whole = { place: `${show.run} ${show.model.log.length}`, entries: all.entries + 1 };
  for (const place of ["abc", "", "-1", "1.5", "NaN", "1e1", "999999", "9".repeat(400)]) {
    assertEquals(await read(`${show.run} ${place}`), whole, `"${place}" is no place: it has all`);
  }
});

Deno.test("watch: wrong usage is one line with exit code 2", async () => {
  for (
    const [args, line] of [
      [[], /give the name of a pair: tcp:echo/],
      [["no:such"], /there is no pair no:such: tcp:echo/],
      [["ping:icmp", "--network", "loss=1%"], /ping:icmp has no server/],
      [["--to", "nowhere"], /--to needs HOST:PORT/],
      [["tcp:echo", "--protocol", "x"], /--protocol needs one of dns, /],
      [["tcp:echo", "--network", "seed=7 los=3%"], /^watch: --network, column 8: expected one of delay, /],
      [["udp:chat", "--script", "client: drop 1; server: dorp 2"], /^watch: --script, column 25: expected drop, /],
      [["--to", "127.0.0.1:9", "--network", "loss=", "--", "x"], /^watch: --network, column 6: loss needs a share/],
      [["tcp:echo", "tcp:reply", "--save", "x"], /--save takes one pair/],
    ] as const
  ) {
    const program = new Program(["deno", "task", "--quiet", "watch", ...args], { cwd: root });
    await program.end();
    refusedWith(program, line);
  }
});

Deno.test("watch: the task prints its address, serves the page, and --save writes it and ends", async () => {
  const folder = await Deno.makeTempDir();
  const env = { INIT_CWD: folder };
  const saving = new Program(["deno", "task", "--quiet", "watch", "tcp:reply", "--save", "a.html"], { cwd: root, env });
  assertEquals((await saving.end(60)).code, 0, saving.stderr);
  assertStringIncludes(await Deno.readTextFile(`${folder}/a.html`), "Hello from the client!");
  await Deno.remove(folder, { recursive: true });
  await using program = new Program(["deno", "task", "--quiet", "watch", "udp:pinger"], { cwd: root });
  const [, url = ""] = await program.line(/open (http:\S+)/);
  const response = await fetch(url);
  assertStringIncludes(await response.text(), "udp:pinger");
});

Deno.test("watch: a port in use is one line", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const args = ["deno", "task", "--quiet", "watch", "tcp:echo"];
  const taken = new Program([...args, "--port", `${listener.addr.port}`], { cwd: root });
  await taken.end();
  listener.close();
  failedWith(taken, 1, /^watch: 127\.0\.0\.1:\d+ is in use/);
});

Deno.test("watch: several pairs are shown one after another, each with a page of its own", async () => {
  await using program = new Program(["deno", "task", "--quiet", "demo", "--watch", "tcp:reply", "udp:chat"], {
    cwd: root,
  });
  const [, url = ""] = await program.line(/open (http:\S+)/);
  await program.line(/the page stays until Ctrl-C/, 60);
  const text = async (path: string) => await (await fetch(`${url}${path}`)).text();
  const page = await text("");
  assertMatch(page, /<a href="\/\?pair=tcp%3Areply" data-name="tcp:reply">tcp:reply ✓<\/a>/);
  assertMatch(
    page,
    /<a href="\/\?pair=udp%3Achat" data-name="udp:chat" aria-current="page">udp:chat …<\/a>|chat ✓<\/a>/,
  );
  assertMatch(await text("?pair=tcp:reply"), /<title>tcp:reply<\/title>/);
  const reader = (await fetch(`${url}events?pair=tcp:reply`)).body?.getReader();
  assertStringIncludes(new TextDecoder().decode((await reader?.read())?.value), "Hello from the client!");
  // Who waits for more of an exchange that is over does not keep the server busy.
  const more = reader?.read();
  for (let i = 0; i < 50; i++) {
    const again = await fetch(url, { signal: AbortSignal.timeout(20_000) });
    assertMatch(await again.text(), /udp:chat/);
  }
  await reader?.cancel();
  await more;
  assertEquals((await fetch(`${url}events?pair=x`)).status, 404);
});

testWith(signals, noSignals, "watch: Ctrl-C ends everything that it has started", async () => {
  const flags = ["-N=127.0.0.1,0.0.0.0", "--allow-run", "-E", "-R", "-W"];
  const words = ["--udp", "--", "deno", "run", "-N=127.0.0.1", "udp/chat_server.ts", "--port", "{port}"];
  const program = new Program(["deno", "run", ...flags, "tests/watch.ts", ...words], { cwd: root });
  const [, page = ""] = await program.line(/open (http:\S+)/);
  const [, address = ""] = await program.line(/Chat server listening on (\S+)/);
  const [, relay = ""] = await program.line(/connect your client to (\S+)/);
  const client = new Program(
    command("udp/chat_client.ts", Number(relay.split(":")[1]), "--name", "anna", "--message", "hi", "--timeout", "10"),
    { cwd: root },
  );
  assertEquals((await client.end()).code, 0, client.stderr);
  const events = async () => {
    const reader = (await fetch(`${page}events`)).body?.getReader();
    const { value } = await reader?.read() ?? {};
    await reader?.cancel();
    return new TextDecoder().decode(value);
  };
  assertStringIncludes(await events(), "/name anna");
  const change = async (network: string) => {
    const response = await fetch(`${page}network?network=${encodeURIComponent(network)}`, { method: "POST" });
    return [response.status, await response.text()];
  };
  const [status, mistake] = await change("client: los=3%");
  assertEquals([status, `${mistake}`.slice(0, 35)], [409, "network, column 9: expected one of "]);
  assertEquals(await change("client: loss=100%"), [200, "network: client: loss=100%"]);
  await program.line(/^relay: network: client: loss=100%$/);
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  await socket.send(encode("gone"), { transport: "udp", hostname: "127.0.0.1", port: Number(relay.split(":")[1]) });
  socket.close();
  await until(
    async () => /"note":"lost","text":"gone","arrived":\d+,"isLost":true/.test(await events()),
    "it is lost",
  );
  program.signal("SIGINT");
  assertEquals((await program.end()).code, 0, program.stderr);
  for (const each of [address, relay]) {
    assertEquals(portInUse(Number(each.split(":")[1]), "udp"), false, `${each} is still in use`);
  }
});

Deno.test("watch: a pair is started again over another network; not while it runs, nor by another site", async () => {
  await using program = new Program(["deno", "task", "--quiet", "watch", "udp:chat"], { cwd: root });
  const [, url = ""] = await program.line(/open (http:\S+)/);
  const again = async (network: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${url}again?network=${encodeURIComponent(network)}`, { method: "POST", headers });
    await response.body?.cancel();
    return response.status;
  };
  await program.line(/the exchange is over, with 6 messages/);
  assertEquals(await again("", { "sec-fetch-site": "cross-site" }), 403);
  await until(async () => await again("delay=20ms") === 200, "the first run has ended");
  assertEquals(await again("delay=20ms"), 409);
  await program.line(/^relay: UDP relay to /);
  await until(async () => (await (await fetch(url)).text()).includes("udp:chat, delay=20ms"), "the new title");
});

inBrowser("watch in a browser: a pair appears as it happens; keys and clicks open messages and fields", async () => {
  const plan = await planPair("dns:lookup", "");
  const show: Show = { model: new Model(plan.protocol), title: plan.title, run: "1" };
  let [asked, changed] = ["", ""];
  show.again = (network) => {
    asked = network;
    return "";
  };
  show.change = (network) => {
    changed = network;
    return Promise.resolve("");
  };
  Object.assign(show, { network: "delay=1ms", transport: "udp" });
  await using server = serveShow(show);
  await using opened = await openPage(1280);
  const { page, errors } = opened;
  await page.goto(server.url);
  await runPlan(plan, show.model, () => {});
  await page.waitForSelector("text=ended with exit code 0");
  assertEquals(await page.locator("#lanes span").allTextContents(), ["dns/lookup.ts", "dns/server.ts", "dns/query.ts"]);
  await page.locator(".arrow:has-text('NOERROR')").last().locator(".hit").click({ force: true });
  await page.waitForSelector("#fields");
  const field = page.locator("#fields button", { hasText: /^data 192\.0\.2\.80/ });
  await field.hover();
  await until(async () => await page.locator("#bytes .lit").count() === 8, "four bytes, in both columns");
  const lit = await page.locator("#bytes .lit").allTextContents();
  assertEquals(lit.filter((text) => text.length === 2), ["c0", "00", "02", "50"]);
  await page.locator("#bytes [data-at='0']").first().hover();
  await until(async () => await page.locator("#fields .lit").count() === 1, "the field of the first byte");
  assertMatch(await page.locator("#fields .lit").textContent() ?? "", /^id 0x/);
  assertEquals(await accessibility(page), []);
  await page.locator("#picture").focus();
  await page.keyboard.press("Home");
  await page.waitForSelector("[aria-selected=true]");
  const first = await page.locator("#picture").getAttribute("aria-activedescendant");
  await page.keyboard.press("ArrowDown");
  await until(
    async () => await page.locator("#picture").getAttribute("aria-activedescendant") !== first,
    "the next message is chosen",
  );
  await page.keyboard.press("b");
  await page.waitForSelector("text=/^1 events, \\d+ more to come$/");
  await page.keyboard.press("s");
  await page.waitForSelector("text=/^2 events, /");
  await page.keyboard.press("p");
  await page.waitForSelector("text=/^\\d+ events$/");
  const [, one] = await page.locator("#connections option").evaluateAll((all) =>
    all.map((option) => String(Reflect.get(option, "value")))
  );
  await page.selectOption("#connections", one ?? "");
  await page.waitForSelector("text=/^[23] events$/");
  const svg = page.waitForEvent("download");
  await page.click("#svg");
  const text = await Deno.readTextFile(await (await svg).path());
  assertMatch(text, /^<svg xmlns=.*<\/svg>$/s);
  assertEquals(
    text.match(/class="arrow/g)?.length,
    arrowsOf(show.model).filter((a) => a.connection === Number(one)).length,
  );
  const mermaid = page.waitForEvent("download");
  await page.click("#mermaid");
  assertMatch(
    await Deno.readTextFile(await (await mermaid).path()),
    /^sequenceDiagram\n {2}participant L\d+ as dns\/.*->>/s,
  );
  await page.setViewportSize({ width: 360, height: 640 });
  assertEquals(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
  await page.click("#network summary");
  await page.fill("[name='client.delay']", "5");
  await page.fill("[name='server.delay']", "5");
  await page.fill("[name='server.loss']", "12.5");
  await page.keyboard.press("Tab");
  await until(() => changed === "delay=5ms; server: loss=12.5%", "what is set reaches the relay");
  await page.waitForSelector("#settings:text-is('delay=5ms; server: loss=12.5%')");
  assertEquals(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
  assertEquals(await accessibility(page), []);
  await page.fill("[name=seed]", "7");
  await page.click("text=Run again");
  await until(() => asked === "delay=5ms; server: loss=12.5% seed=7", "the network of the panel");
  assertEquals(errors, []);
});

inBrowser("watch in a browser: the relay's lane, in the page, as SVG and as Mermaid; a key hides it", async () => {
  const { model, add } = behindRelay("udp");
  add(0, CLIENT, "gone", "lost", { half: "in" });
  add(700_000, CLIENT, "hello", "datagram", { half: "in" });
  add(900_000, CLIENT, "hello", "delayed 200 ms, sent twice", { half: "out", came: T + 700_000 });
  add(900_001, CLIENT, "hello", "delayed 200 ms, sent twice", { half: "out", came: T + 700_000 });
  await using server = serveShow({ model, title: "a relay", run: "1" });
  await using opened = await openPage(1000);
  const { page, errors } = opened;
  await page.goto(server.url);
  const lanes = () => page.locator("#lanes span").allTextContents();
  await page.waitForSelector("text=4 events");
  assertEquals((await lanes()).length, 3);
  assertEquals([await page.locator(".passage").count(), await page.locator(".relay").count()], [2, 1]);
  assertEquals(await page.locator("#picture [stroke-dasharray='7 4']").count(), 0, "beside a relay nothing is unknown");
  await page.locator(".arrow .hit").last().click({ force: true });
  await page.waitForSelector("text=/held by the relay for 200.001 ms/");
  const download = async (button: string) => {
    const file = page.waitForEvent("download");
    await page.click(button);
    return await Deno.readTextFile(await (await file).path());
  };
  const mermaid = await download("#mermaid");
  assertMatch(
    mermaid,
    /^sequenceDiagram\n( {2}participant L\d+ as .*\n){3} {2}L(\d+)-xL(\d+): gone .*\n {2}L\2->>L\3: hello/,
  );
  const svg = await download("#svg");
  assertEquals([svg.match(/class="passage"/g)?.length, svg.match(/class="relay"/g)?.length], [2, 1]);
  assertEquals(await accessibility(page), []);
  // Without the page its own style draws everything.
  const drawn = `(() => {
    const image = document.body.appendChild(document.createElement("div"));
    image.attachShadow({ mode: "open" }).innerHTML = ${JSON.stringify(svg)};
    const { stroke } = getComputedStyle(image.shadowRoot.querySelector(".lost path"));
    image.remove();
    return stroke;
  })()`;
  assertMatch(String(await page.evaluate(drawn)), /^rgb/, "the cross of a lost message");
  await page.keyboard.press("r");
  await page.waitForSelector("text=3 events");
  assertEquals(await lanes(), [`client ${CLIENT}`, `server ${SERVER}`]);
  assertEquals([await page.locator(".lost").count(), await page.locator("#relay[aria-pressed=false]").count()], [1, 1]);
  assertMatch(await download("#mermaid"), /-xL\d+: gone .*\n.*hello.*\n.*hello.*\n$/);
  await page.locator("#picture").focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  await page.waitForSelector("text=/^sent at 700.000 ms, read at 900.000 ms, 200.000 ms on its way/");
  assertEquals(errors, []);
});

inBrowser("watch in a browser: a relay that only looks on has no lane until its network is changed", async () => {
  const { model, relay, add } = behind({ side: "relay", name: "relay", isPassive: true }, "tcp");
  add(0, CLIENT, "hello", "");
  await using server = serveShow({ model, title: "a relay", run: "1" });
  await using opened = await openPage(1000);
  const { page } = opened;
  await page.goto(server.url);
  await page.waitForSelector("text=1 events");
  assertEquals(await page.locator("#lanes span").count(), 2);
  model.addMark(relay, "network: loss=10%", T + 5);
  await page.waitForSelector("text=3 events");
  assertEquals(await page.locator("#lanes span").count(), 3);
});

inBrowser("watch in a browser: the saved page opens without a server, markup stays text", async () => {
  const show = exampleShow();
  const file = await Deno.makeTempFile({ suffix: ".html" });
  await Deno.writeTextFile(file, saved(show));
  await using opened = await openPage(900);
  const { page, errors } = opened;
  await page.goto(`file://${file}`);
  await page.waitForSelector("text=<b>a note</b>");
  await page.locator(".arrow text:not(.time)").last().click({ force: true });
  await page.waitForSelector("text=Host: </script><!--");
  assertEquals(await accessibility(page), []);
  assertEquals(errors, []);
  await Deno.remove(file);
});

inBrowser("watch in a browser: of ten thousand messages only those in view are drawn", async () => {
  const { model, server, client, add } = pair("tcp");
  await using serving = serveShow({ model, title: "many", run: "1" });
  await using opened = await openPage(900);
  const { page, errors } = opened;
  await page.goto(serving.url);
  for (let i = 0; i < 10_000; i++) {
    add(client, 100 * i, CLIENT, `message ${i}`);
    add(server, 100 * i + 50, CLIENT, `message ${i}`);
  }
  await page.waitForSelector("text=10000 events");
  await page.waitForSelector("text=message 9999");
  assert(await page.locator(".arrow").count() < 100);
  await page.locator("#picture").focus();
  await page.keyboard.press("Home");
  await page.waitForSelector("text=message 0");
  assertEquals(errors, []);
});
