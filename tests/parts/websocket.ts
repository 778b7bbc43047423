/**
 * One connection without a process: of WebSocket its frames, messages, handshake and closing; of the web server its requests,
 * responses and when it may be used again. `websocket_test.ts` imports it.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { Fields, parseResponse, type RequestHead } from "../../http/_message.ts";
import { WebConnection } from "../../http/_web_connection.ts";
import { closeFailure, describeClose, WebSocketConnection } from "../../http/_websocket_connection.ts";
import {
  closeCodes,
  decodeClose,
  decodeFrame,
  describeFrame,
  encodeClose,
  encodeFrame,
  type Frame,
  MAX_CONTROL,
  MAX_HEADER,
  opcodes,
  WebSocketError,
} from "../../http/_websocket_frame.ts";
import {
  acceptHandshake,
  asksForWebSocket,
  HandshakeError,
  handshakeFault,
  handshakeRequest,
  newKey,
} from "../../http/_websocket_handshake.ts";
import { type Message, MessageJoiner } from "../../http/_websocket_message.ts";
import { BufferedReader } from "../../tcp/_buffered_reader.ts";
import type { Client } from "../../tcp/_clients.ts";
import { Captured, stub } from "../support/stub.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(/\s/g, ""));

/** Both ends of a connection on loopback. */
async function pair(): Promise<{ own: Deno.TcpConn; other: Deno.TcpConn }> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const [other, own] = await Promise.all([Deno.connect({ hostname: "127.0.0.1", port }), listener.accept()]);
  return { own, other };
}

/** What decoding says. */
function refused(action: () => unknown): string {
  try {
    return `accepted: ${JSON.stringify(action())}`;
  } catch (error) {
    if (error instanceof WebSocketError) return `${error.code}: ${error.message}`;
    if (error instanceof HandshakeError) return `${error.status}: ${error.message} ${error.fields.join(";")}`;
    throw error;
  }
}

Deno.test("frames: lengths at each border, and the words for each broken rule", () => {
  const header = (length: number, key?: Uint8Array) => {
    const frame = encodeFrame({ fin: true, opcode: 2, payload: new Uint8Array(length) }, key);
    return frame.subarray(0, frame.length - length).toHex();
  };
  assertEquals([125, 126, 65_535, 65_536].map((n) => header(n)), [
    ...["827d", "827e007e", "827effff", "827f0000000000010000"],
  ]);
  assertEquals([0, 126, 65_536].map((n) => header(n, hex("01020304"))), [
    ...["828001020304", "82fe007e01020304", "82ff000000000001000001020304"],
  ]);
  assertEquals(
    encodeFrame({ fin: false, opcode: 0, payload: bytes("abcde") }, hex("00ff0001")).subarray(6),
    hex("619d636565"),
  );
  const decode = (text: string, maxFrame = 200, masked = false) =>
    refused(() => decodeFrame(hex(text), { masked, maxFrame }));
  const most = "a frame has 201 bytes, and 200 are the most";
  for (
    const [text, expected] of [
      ["827e00c9", `1009: ${most}`],
      ["827e00c8", "accepted: undefined"],
      ["827e007d", "1002: the length 125 is written in 2 bytes"],
      ["827e007e", "accepted: undefined"],
      ["827f000000000000ffff", "1002: the length 65535 is written in 8 bytes"],
      ["827f8000000000000000", "1002: the first bit of a length is set"],
      ["827f4000000000000000", "1009: a frame has 4611686018427388000 bytes, and 200 are the most"],
      ["827e00", "accepted: undefined"],
      ["827f00000000000000", "accepted: undefined"],
      ["82", "accepted: undefined"],
      ["c200", "1002: a reserved bit is set, and no extension was agreed on"],
      ["9200", "1002: a reserved bit is set, and no extension was agreed on"],
      ["8300", "1002: the opcode 3 is reserved"],
      ["8700", "1002: the opcode 7 is reserved"],
      ["8b00", "1002: the opcode 11 is reserved"],
      ["8280", "1002: a frame of the server is masked"],
      ["0800", "1002: a control frame is fragmented"],
      ["897e", "1002: a control frame has more than 125 bytes"],
      ["897d", "accepted: undefined"],
      ["88", "accepted: undefined"],
    ] as const
  ) assertEquals(decode(text), expected, text);
  assertEquals(decode("8200", 200, true), "1002: a frame of the client is not masked");
  assertEquals(decodeFrame(hex("0203 010203 ff"), { masked: false, maxFrame: 3 }), {
    ...{ frame: { fin: false, opcode: 2, payload: hex("010203") }, size: 5 },
  });
  assertEquals([MAX_CONTROL, MAX_HEADER], [125, 14]);
});

Deno.test("frames: what a close says, and a frame in words", () => {
  for (const code of [1000, 1003, 1007, 1014, 3000, 4999]) {
    assertEquals(decodeClose(encodeClose(code, "é")), { code, reason: "é" });
  }
  for (const code of [999, 1004, 1005, 1006, 1015, 2999, 5000]) {
    const payload = Uint8Array.of(code >> 8, code & 255);
    assertEquals(refused(() => decodeClose(payload)), `1002: the code ${code} must not be sent`);
  }
  assertEquals(refused(() => decodeClose(hex("03"))), "1002: a close frame has half a code");
  assertEquals(refused(() => decodeClose(hex("03e8 ff"))), "1007: the reason of a close frame is not UTF-8");
  assertEquals([decodeClose(hex("")), decodeClose(hex("03e8 efbbbf"))], [
    ...[{ code: 1005, reason: "" }, { code: 1000, reason: "\ufeff" }],
  ]);
  assertEquals([encodeClose(1005, "x"), encodeClose(1000)], [hex(""), hex("03e8")]);
  assertEquals(encodeClose(1000, "x".repeat(200)).length, 125);
  const words = (opcode: number, payload: Uint8Array, fin = true) => describeFrame({ fin, opcode, payload });
  assertEquals([words(1, bytes("a\x1b")), words(1, bytes("a"), false), words(2, bytes("a")), words(9, hex(""))], [
    ...[
      'frame: text, 2 bytes "a\\x1b"',
      'frame: text, more follows, 1 byte "a"',
      "frame: binary, 1 byte",
      "frame: ping, 0 bytes",
    ],
  ]);
  assertEquals([words(8, hex("03e9 6162")), words(8, hex("03e9")), words(8, hex("03")), words(8, hex(""))], [
    ...[
      'frame: close, 4 bytes, 1001 "ab"',
      'frame: close, 2 bytes, 1001 ""',
      'frame: close, 1 byte "\\x03"',
      "frame: close, 0 bytes",
    ],
  ]);
  assertEquals([words(1, bytes("x".repeat(61))), words(5, hex(""))], [
    ...[`frame: text, 61 bytes "${"x".repeat(60)}"`, "frame: opcode 5, 0 bytes"],
  ]);
});

Deno.test("messages: at their limits, and one after another", () => {
  const joiner = new MessageJoiner(4);
  const push = (fin: boolean, opcode: number, payload: Uint8Array, to = joiner) => to.push({ fin, opcode, payload });
  assertEquals([push(true, 1, bytes("abcd")), push(true, 2, bytes("abcd"))], ["abcd", bytes("abcd")]);
  assertEquals([push(false, 2, bytes("ab")), push(true, 0, bytes("cd"))], [undefined, bytes("abcd")]);
  assertEquals(push(false, 1, hex("efbbbf")), undefined);
  assertEquals(push(true, 0, hex("")), "\ufeff");
  const most = "4 bytes and 65536 fragments are the most";
  assertEquals(refused(() => push(true, 1, bytes("abcde"))), `1009: a message is too long: ${most}`);
  const long = new MessageJoiner(4);
  for (let i = 0; i < 65_535; i++) push(false, i === 0 ? 2 : 0, hex(""), long);
  assertEquals(push(true, 0, hex("01"), long), hex("01"));
  for (let i = 0; i < 65_536; i++) push(false, i === 0 ? 2 : 0, hex(""), long);
  assertEquals(refused(() => push(true, 0, hex(""), long)), `1009: a message is too long: ${most}`);
  const told = (...frames: [boolean, number, Uint8Array][]) => {
    const fresh = new MessageJoiner(9);
    return refused(() => frames.map((frame) => push(...frame, fresh)).at(-1));
  };
  assertEquals(told([true, 0, hex("")]), "1002: a fragment belongs to no message");
  assertEquals(told([false, 2, hex("")], [true, 1, hex("")]), "1002: a message begins within another one");
  assertEquals(told([false, 1, hex("c3")], [true, 0, hex("a9")]), 'accepted: "é"');
  assertEquals(told([true, 1, hex("c3")]), "1007: a text message is not UTF-8");
  assertEquals(told([false, 1, hex("ff")]), "1007: a text message is not UTF-8");
});

Deno.test("handshake: each refusal with its fields, and what the client sends and checks", () => {
  const base: [string, string][] = [
    ...[["Host", "h:1"], ["Upgrade", "websocket"], ["Connection", "Upgrade"], ["Sec-WebSocket-Version", "13"]] as const,
    ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
  ].map(([name = "", value = ""]) => [name, value]);
  const request = (change: Record<string, string | undefined> = {}, more: Partial<RequestHead> = {}): RequestHead => {
    const fields = base.filter(([name]) => !(name in change));
    for (const [name, value] of Object.entries(change)) if (value !== undefined) fields.push([name, value]);
    return { method: "GET", target: "/", minor: 1, fields: new Fields(fields), ...more };
  };
  const told = (...args: Parameters<typeof request>) =>
    refused(() => [...acceptHandshake(request(...args), ["http://ok"])].length);
  const upgrade = "Upgrade,websocket;Sec-WebSocket-Version,13";
  const missing = `426: this path is a WebSocket: Upgrade: websocket and Connection: Upgrade are missing ${upgrade}`;
  const version = `426: only version 13 of the protocol is spoken here ${upgrade}`;
  const key = "400: Sec-WebSocket-Key must be 16 bytes in base64 ";
  const origin = "403: pages of this origin may not connect: --allow-origin allows it ";
  for (
    const [change, expected, more] of [
      [{}, "accepted: 3"],
      [{}, "405: a handshake is a GET request Allow,GET", { method: "POST" }],
      [{}, "400: a handshake needs HTTP/1.1 ", { minor: 0 as const }],
      [{ Upgrade: undefined }, missing],
      [{ Connection: "close" }, missing],
      [{ "Sec-WebSocket-Version": "8" }, version],
      [{ "Sec-WebSocket-Version": undefined }, version],
      [{ "Sec-WebSocket-Key": undefined }, key],
      [{ "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZR==" }, key],
      [{ "Content-Length": "0" }, "accepted: 3"],
      [{ "Content-Length": "1" }, "400: a handshake has no body "],
      [{ "Transfer-Encoding": "chunked" }, "400: a handshake has no body "],
      [{ Origin: "http://h:1" }, "accepted: 3"],
      [{ Origin: "HTTPS://H:1" }, "accepted: 3"],
      [{ Origin: "http://h" }, origin],
      [{ Origin: "null" }, origin],
      [{ Origin: "http://ok" }, "accepted: 3"],
      [{ Origin: "http://undefined", Host: undefined }, origin],
    ] as const
  ) assertEquals(told(change, more), expected);
  assertEquals([asksForWebSocket(request()), asksForWebSocket(request({ Upgrade: "h2c" }))], [true, false]);
  assertEquals(
    refused(() => acceptHandshake(request({ Origin: "x" }), ["*"]).get("sec-websocket-accept")),
    'accepted: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="',
  );
  assertEquals(Uint8Array.fromBase64(newKey()).length, 16);
  const { method, target, fields } = handshakeRequest("h:1", "/t", "k");
  assertEquals([method, target, [...fields].map((each) => each.join(": "))], [
    ...["GET", "/t", [
      "Host: h:1",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Key: k",
      "Sec-WebSocket-Version: 13",
    ]],
  ]);
  const fault = (...lines: string[]) =>
    handshakeFault(parseResponse(bytes([...lines, "", ""].join("\r\n"))), "dGhlIHNhbXBsZSBub25jZQ==");
  const [status, ...good] = [
    "HTTP/1.1 101 x",
    "Upgrade: WebSocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
  ];
  assertEquals(fault(status ?? "", ...good), "");
  assertEquals(fault("HTTP/1.1 200 x", ...good), "the status is 200, not 101");
  const faults = [
    "Upgrade: websocket is missing",
    "Connection: Upgrade is missing",
    "Sec-WebSocket-Accept does not belong to the key",
  ];
  for (const [i, expected] of faults.entries()) assertEquals(fault(status ?? "", ...good.toSpliced(i, 1)), expected);
  for (const name of ["sec-websocket-extensions", "sec-websocket-protocol"]) {
    assertEquals(fault(status ?? "", ...good, `${name}: x`), `nobody has asked for ${name}`);
  }
});

/** A WebSocket connection of one side, and the other end of it. */
async function socketOf(side: "client" | "server", trace: "" | "json" = "") {
  const { own, other } = await pair();
  let arrivals = 0;
  const limits = { maxFrame: 200, maxMessage: 300, trace, pcap: "" };
  const socket = new WebSocketConnection(own, new BufferedReader(own, 400), side, limits, () => arrivals++);
  const reader = new BufferedReader(other, 70_000);
  return {
    ...{ socket, other, arrivals: () => arrivals },
    send: async (opcode: number, payload: Uint8Array, fin = true) => {
      await other.write(encodeFrame({ fin, opcode, payload }, side === "server" ? hex("01020304") : undefined));
    },
    /** The next frame that the connection has sent, in words; "end" at the end of the stream. */
    next: async (): Promise<string> => {
      while (true) {
        const found = decodeFrame(reader.unread, { masked: side === "client", maxFrame: 70_000 });
        if (found) {
          reader.consume(found.size);
          return describeFrame(found.frame).replace("frame: ", "");
        }
        if (!await reader.fill()) return "end";
      }
    },
  };
}

Deno.test("connection: messages, pings, closing from each side, and what breaks a rule", async () => {
  for (const side of ["client", "server"] as const) {
    const { socket, other, send, next, arrivals } = await socketOf(side);
    const messages = socket.messages();
    await send(opcodes.ping, bytes("p"));
    await send(opcodes.pong, bytes("unasked"));
    await send(opcodes.text, bytes("a"), false);
    await send(opcodes.ping, bytes("within"));
    await send(opcodes.continuation, bytes("b"));
    assertEquals(await messages.next(), { done: false, value: "ab" });
    assertEquals([await next(), await next()], ['pong, 1 byte "p"', 'pong, 6 bytes "within"']);
    assert(arrivals() >= 1);
    const sending = socket.send("text");
    assertEquals(socket.unsent, side === "client" ? 2 + 4 + 4 : 2 + 4, "the bytes that are on their way");
    await Promise.all([sending, socket.send(hex("0102")), socket.ping()]);
    assertEquals(socket.unsent, 0);
    assertEquals([await next(), await next(), await next()], [
      'text, 4 bytes "text"',
      "binary, 2 bytes",
      "ping, 0 bytes",
    ]);
    await send(opcodes.close, encodeClose(1001, "bye"));
    assertEquals(await messages.next(), { done: true, value: undefined });
    assertEquals(socket.closed, { code: 1001, reason: "bye" });
    await socket.close(1000);
    await socket.send("after the close frame");
    assertEquals(await next(), 'close, 2 bytes, 1001 ""', "answered with the same code");
    await other.closeWrite();
    await socket.ended();
    assertEquals(await next(), "end", "and nothing after it");
    other.close();
  }
  const broken: [string, string, Frame[]][] = [
    ['close, 36 bytes, 1002 "a fragment belongs to no message"', "1002: a fragment belongs to no message", [
      { fin: true, opcode: 0, payload: hex("") },
    ]],
    [
      'close, 45 bytes, 1009 "a frame has 201 bytes, and 200 are the most"',
      "1009: a frame has 201 bytes, and 200 are the most",
      [
        { fin: true, opcode: 2, payload: new Uint8Array(201) },
      ],
    ],
  ];
  for (const [frame, told, sent] of broken) {
    const { socket, other, send, next } = await socketOf("server");
    for (const each of sent) await send(each.opcode, each.payload, each.fin);
    assertEquals(await socket.messages().next(), { done: true, value: undefined });
    assertEquals([describeClose(socket.closed)], [told]);
    assertEquals((await next()).replace(/\d+ bytes/, "N bytes"), frame.replace(/\d+ bytes/, "N bytes"));
    socket.conn.close();
    other.close();
  }
  // The other side leaves without a close frame.
  const { socket, other } = await socketOf("server");
  other.close();
  assertEquals(await Array.fromAsync<Message>(socket.messages()), []);
  assertEquals([socket.closed, describeClose(socket.closed)], [{ code: 1006, reason: "" }, "without a close frame"]);
  socket.conn.close();
});

Deno.test("connection: how it was closed, in words, and what is a failure", async () => {
  for (
    const [closed, words, isProper] of [
      [undefined, "without a close frame", false],
      [{ code: 1006, reason: "" }, "without a close frame", false],
      [{ code: 1005, reason: "" }, "without a code", true],
      [{ code: 1000, reason: "" }, "1000", true],
      [{ code: 1001, reason: "gone" }, "1001: gone", true],
      [{ code: 1002, reason: "wrong" }, "1002: wrong", false],
    ] as const
  ) {
    assertEquals([describeClose(closed), closeFailure(closed)?.message], [
      ...[words, isProper ? undefined : `the connection was closed ${words}`],
    ]);
  }
  assertEquals(Object.values(closeCodes), [1000, 1001, 1002, 1003, 1005, 1007, 1008, 1009, 1011]);
  using console = new Captured();
  const { socket, other, send, next } = await socketOf("client", "json");
  await socket.send("hi");
  await send(opcodes.close, hex(""));
  await socket.messages().next();
  assertEquals([await next(), await next()], ['text, 2 bytes "hi"', "close, 0 bytes"]);
  const shown = console.error.map((line) => JSON.parse(line)).map(({ side, from, to, note }) => [side, from, to, note]);
  const [own, far] = [socket.conn.localAddr, socket.conn.remoteAddr].map(({ port }) => `127.0.0.1:${port}`);
  assertEquals(shown, [
    ["client", own, far, 'frame: text, 2 bytes "hi"'],
    ["client", far, own, "frame: close, 0 bytes"],
    ["client", own, far, "frame: close, 0 bytes"],
  ]);
  other.close();
  const reset = stub(
    socket.reader,
    "fill",
    () => Promise.reject(Object.assign(new Error("x"), { code: "ECONNRESET" })),
  );
  await socket.ended();
  reset[Symbol.dispose]();
});

/** A connection of the web server, and the client's end of it. */
async function web() {
  const { own, other } = await pair();
  const client: Client = { conn: own, name: "client", idleTicks: 3 };
  const connection = new WebConnection(client);
  const ask = async (...lines: string[]) => {
    await other.write(bytes([...lines, "", ""].join("\r\n")));
    const request = await connection.receive();
    if (!request) throw new Error("the stream has ended");
    return request;
  };
  /** All that was sent until the server closes. */
  const rest = async () => {
    own.close();
    const got = await new Response(other.readable).text();
    return got.replace(/date: .*?\r\n/g, "").replaceAll("\r\n", "\n");
  };
  return { own, other, client, connection, ask, rest };
}

Deno.test("web connection: whose turn it is, and whether it may be used again", async () => {
  const { own, client, connection, ask, rest } = await web();
  assertEquals(connection.state, "idle");
  const first = await ask("GET /a HTTP/1.1", "Host: h");
  assertEquals([connection.state, client.idleTicks, first.url.href], ["responding", -Infinity, "http://h/a"]);
  const send = (request: RequestHead | undefined, init: ResponseInit = {}, body: string | null = "x", last = false) =>
    connection.send(new Response(body, init), request, last);
  {
    // Each write that is taken counts as a sign of life: a slow reader is not silent.
    const ticks: number[] = [];
    const { write } = own;
    using _ = stub(own, "write", (data: Uint8Array) => {
      ticks.push(client.idleTicks);
      client.idleTicks = 4;
      return write.call(own, data.subarray(0, 100));
    });
    assertEquals([await send(first), client.idleTicks], [true, 0]);
    assertEquals(ticks, [0, 0]);
  }
  assertEquals(await send(first, {}, "x", true), false);
  assertEquals(await send(undefined), false);
  assertEquals(await send(first, { headers: { connection: "close" } }), false);
  assertEquals(await send(await ask("GET / HTTP/1.1", "Host: h", "Connection: close")), false);
  assertEquals(await send(await ask("GET / HTTP/1.0")), false);
  assertEquals(await send(await ask("GET http://h:8/b?c HTTP/1.0", "Connection: keep-alive")), true);
  const head = await ask("HEAD /d HTTP/1.1", "Host: h");
  assertEquals(await send(head), true);
  assertEquals(await send(first, { status: 204 }, null), true);
  assertEquals(await send(first, { status: 304 }, null), true);
  assertEquals(await send(first, { headers: { "content-length": "1" } }), true);
  assertEquals(await send(head, { headers: { "content-length": "1" } }), true);
  const ok = "HTTP/1.1 200 OK\ncontent-type: text/plain;charset=UTF-8\n";
  const safe = "x-content-type-options: nosniff\n";
  const close = `${safe}connection: close\n`;
  const one = "content-length: 1\n";
  const sized = `HTTP/1.1 200 OK\n${one}content-type: text/plain;charset=UTF-8\n${safe}\n`;
  assertEquals(
    await rest(),
    [
      ...[`${ok}${safe}${one}\nx`, ...Array(5).fill(`${ok}${close}${one}\nx`)],
      `${ok}${safe}connection: keep-alive\n${one}\nx`,
      ...[`${ok}${safe}${one}\n`, `HTTP/1.1 204 No Content\n${safe}\n`, `HTTP/1.1 304 Not Modified\n${safe}\n`],
      ...[`${sized}x`, sized],
    ].join(""),
  );
});

Deno.test("web connection: bodies, and what is left of them before the next request", async () => {
  const { other, connection, ask, rest } = await web();
  const post = (...more: string[]) => ask("POST / HTTP/1.1", "Host: h", ...more);
  const read = async ({ body }: { body: AsyncIterable<Uint8Array> }) => {
    let all = "";
    for await (const part of body) all += text(part);
    return all;
  };
  const again = (request: RequestHead) => connection.send(new Response(null, { status: 204 }), request, false);
  // A client that waits is told to go on; one that has sent its body, or speaks HTTP/1.0, is not.
  const waiting = await post("Content-Length: 2", "Expect: 100-continue");
  const body = read(waiting);
  const told = new Uint8Array(100);
  assertEquals(text(told.subarray(0, await other.read(told) ?? 0)), "HTTP/1.1 100 Continue\r\n\r\n");
  await other.write(bytes("ok"));
  assertEquals([await body, await again(waiting)], ["ok", true]);
  const whole = await ask("POST / HTTP/1.1", "Host: h", "Content-Length: 2", "Expect: 100-continue", "", "ok");
  assertEquals([await read(whole), await again(whole)], ["ok", true]);
  const old = await ask("POST / HTTP/1.0", "Content-Length: 2", "Expect: 100-continue", "Connection: keep-alive");
  await other.write(bytes("no"));
  assertEquals([await read(old), await again(old)], ["no", true]);
  const none = await post("Content-Length: 0", "Expect: 100-continue");
  assertEquals([await read(none), await again(none)], ["", true]);
  const arrived = await ask("POST / HTTP/1.1", "Host: h", "Content-Length: 4", "", "body");
  assertEquals(await again(arrived), true, "not read, but it has arrived");
  const missing = await post("Content-Length: 9");
  assertEquals(await again(missing), false, "the rest of it is not waited for");
  assertEquals((await rest()).split("HTTP/1.1 204").length, 7);
});

Deno.test("web connection: content of a length that was told, shorter and longer", async () => {
  const { connection, ask, rest } = await web();
  const request = await ask("GET / HTTP/1.1", "Host: h");
  let cancelled = 0;
  const stream = (parts: string[]) =>
    new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        const part = parts.shift();
        if (part === undefined) controller.close();
        else controller.enqueue(bytes(part));
      },
      cancel: () => void cancelled++,
    }, { highWaterMark: 0 });
  const send = (request: RequestHead, ...parts: string[]) =>
    connection.send(new Response(stream(parts), { headers: { "content-length": "4" } }), request, false);
  assertEquals([await send(request, "ab", "cd"), cancelled], [true, 1]);
  assertEquals([await send(request, "ab", "cde", "f"), cancelled], [true, 2]);
  assertEquals([await send({ ...request, method: "HEAD" }, "abcd"), cancelled], [true, 3]);
  const error = await assertRejects(() => send(request, "ab", "c"), Failure);
  assertEquals([error.message, cancelled], ["the content became shorter while it was sent", 3]);
  const bodies = (await rest()).split(/HTTP[^]*?\n\n/);
  assertEquals(bodies, ["", "abcd", "abcd", "", "abc"]);
  const gone = await web();
  const asked = await gone.ask("GET / HTTP/1.1", "Host: h");
  gone.own.close();
  await assertRejects(() =>
    gone.connection.send(new Response(stream(["x"]), { headers: { "content-length": "1" } }), asked, false)
  );
  assertEquals(cancelled, 4, "its file is closed");
  gone.other.close();
});

Deno.test("web connection: a head in pieces, the end of the stream, hosts that are none", async () => {
  const { other, connection, rest } = await web();
  const receiving = connection.receive();
  await other.write(bytes("GET / HT"));
  while (connection.state !== "receiving") await new Promise((turn) => setTimeout(turn, 1));
  await other.write(bytes("TP/1.1\r\nHost: h\r\n\r\nGET"));
  assertEquals((await receiving)?.url.pathname, "/");
  const half = connection.receive();
  assertEquals(connection.state, "receiving", "the next one has begun");
  await other.closeWrite();
  assertEquals(await half, undefined);
  await rest();
  const wrong = await web();
  await assertRejects(() => wrong.ask("GET / HTTP/1.1", "Host: 1.2.3.4.5"), Error, "malformed Host field");
  wrong.own.close();
  wrong.other.close();
});
