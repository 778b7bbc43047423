/** The WebSocket server and client: the bytes of RFC 6455, the handshake, limits, hostile peers, other people's programs. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "jsr:@std/assert@1";
import {
  closeCodes,
  decodeClose,
  decodeFrame,
  encodeClose,
  encodeFrame,
  type Frame,
  opcodes,
  WebSocketError,
} from "../http/_websocket_frame.ts";
import { acceptHandshake, acceptKey, HandshakeError, handshakeFault } from "../http/_websocket_handshake.ts";
import { MessageJoiner } from "../http/_websocket_message.ts";
import { parseRequest, parseResponse } from "../http/_message.ts";
import { Peer } from "./suites/_peer.ts";
import { Gone } from "./suites/_suite.ts";
import { SocketPeer } from "./suites/_websocket_peer.ts";
import {
  certificate,
  client,
  failedWith,
  listening,
  refusedWith,
  runClient,
  serve,
  signals,
  suiteTest,
  testWith,
} from "./support/helpers.ts";
import { judge, patiently } from "./support/judge.ts";
import { Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";
import "./parts/websocket.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));
const fromClient = { masked: true, maxFrame: 1 << 20 };
const fromServer = { masked: false, maxFrame: 1 << 20 };

/** The code that decoding these bytes fails with; 0 if it does not. */
function failure(data: Uint8Array, rules = fromClient): number {
  try {
    decodeFrame(data, rules);
    return 0;
  } catch (error) {
    if (error instanceof WebSocketError) return error.code;
    throw error;
  }
}

Deno.test("frames: the examples of RFC 6455 §5.7", () => {
  const text = (payload: string, fin = true, opcode: number = opcodes.text): Frame => (
    { fin, opcode, payload: bytes(payload) }
  );
  const key = hex("37fa213d");
  const cases: [string, Frame, Uint8Array?][] = [
    ["81 05 48 65 6c 6c 6f", text("Hello")],
    ["81 85 37 fa 21 3d 7f 9f 4d 51 58", text("Hello"), key],
    ["01 03 48 65 6c", text("Hel", false)],
    ["80 02 6c 6f", text("lo", true, opcodes.continuation)],
    ["89 05 48 65 6c 6c 6f", text("Hello", true, opcodes.ping)],
    ["8a 85 37 fa 21 3d 7f 9f 4d 51 58", text("Hello", true, opcodes.pong), key],
  ];
  for (const [wire, frame, key] of cases) {
    assertEquals(encodeFrame(frame, key), hex(wire));
    const rules = key ? fromClient : fromServer;
    assertEquals(decodeFrame(hex(wire), rules), { frame, size: hex(wire).length });
    for (let i = 0; i < hex(wire).length; i++) assertEquals(decodeFrame(hex(wire).subarray(0, i), rules), undefined);
  }
  assertEquals(encodeFrame({ fin: true, opcode: 2, payload: new Uint8Array(256) }).subarray(0, 4), hex("827e0100"));
  const long = encodeFrame({ fin: true, opcode: 2, payload: new Uint8Array(65_536) });
  assertEquals(long.subarray(0, 10), hex("827f0000000000010000"));
});

Deno.test("frames: every length at a border comes back, behind other bytes too", () => {
  for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 65_537]) {
    const payload = new Uint8Array(length).map((_, i) => i);
    const frame = { fin: true, opcode: opcodes.binary, payload };
    const wire = encodeFrame(frame, hex("01020304"));
    const shifted = new Uint8Array([7, 7, 7, ...wire, 9]).subarray(3);
    assertEquals(decodeFrame(shifted, fromClient), { frame, size: wire.length });
  }
});

Deno.test("frames: what breaks the rules is refused with its code", () => {
  const { protocolError, tooBig } = closeCodes;
  for (const bit of ["c1", "a1", "91"]) assertEquals(failure(hex(`${bit}80`)), protocolError, `reserved bit ${bit}`);
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    assertEquals(failure(hex(`8${opcode.toString(16)}80`)), 1002);
  }
  assertEquals(failure(hex("8100")), protocolError, "not masked");
  assertEquals(failure(hex("8180"), fromServer), protocolError, "masked");
  assertEquals(failure(hex("0980")), protocolError, "a fragmented ping");
  assertEquals(failure(hex("89fe")), protocolError, "a long ping");
  assertEquals(failure(hex("81fe007d")), protocolError, "125 in two bytes");
  assertEquals(failure(hex("81ff000000000000ffff")), protocolError, "65535 in eight bytes");
  assertEquals(failure(hex("81ff8000000000000000")), protocolError, "the first bit of a length");
  assertEquals(failure(hex("81ff7fffffffffffffff")), tooBig);
  assertEquals(failure(hex("81ff0000000000100001")), tooBig);
  assertEquals(failure(hex("81ff0000000000100000")), 0);
});

Deno.test("frames: codes and reasons of a close", () => {
  assertEquals(decodeClose(encodeClose(1000, "bye 👋")), { code: 1000, reason: "bye 👋" });
  assertEquals(decodeClose(encodeClose(closeCodes.noCode)), { code: 1005, reason: "" });
  assertEquals(encodeClose(1000, "ü".repeat(100)).length, 124, "cut at a character");
  const codeOf = (payload: Uint8Array) => {
    const error = assertThrows(() => decodeClose(payload), WebSocketError);
    return error.code;
  };
  assertEquals(codeOf(hex("03")), 1002);
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65_535]) {
    assertEquals(codeOf(new Uint8Array([code >> 8, code & 255])), 1002, `${code}`);
  }
  for (const code of [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999]) {
    assertEquals(decodeClose(new Uint8Array([code >> 8, code & 255])).code, code);
  }
  assertEquals(codeOf(hex("03e8ff")), 1007);
});

Deno.test("messages: fragments are joined, in the right order alone, up to the limit", () => {
  const joiner = new MessageJoiner(10);
  const push = (fin: boolean, opcode: number, payload: string | Uint8Array, to = joiner) =>
    to.push({ fin, opcode, payload: typeof payload === "string" ? bytes(payload) : payload });
  assertEquals(push(false, 1, "Hel"), undefined);
  assertEquals(push(true, 0, "lo"), "Hello");
  assertEquals(push(false, 1, ""), undefined);
  for (const byte of bytes("€👋").subarray(0, 6)) assertEquals(push(false, 0, new Uint8Array([byte])), undefined);
  assertEquals(push(true, 0, bytes("€👋").subarray(6)), "€👋");
  assertEquals(push(false, 2, hex("ff00")), undefined);
  assertEquals(push(true, 0, hex("01")), hex("ff0001"));
  const refused = (...frames: [boolean, number, string | Uint8Array][]) => {
    const fresh = new MessageJoiner(10);
    return assertThrows(() => frames.forEach((frame) => push(...frame, fresh)), WebSocketError).code;
  };
  assertEquals(refused([true, 0, "x"]), 1002);
  assertEquals(refused([false, 1, "x"], [true, 1, "y"]), 1002);
  assertEquals(refused([false, 1, "12345"], [false, 0, "123456"]), 1009);
  assertEquals(refused([false, 1, hex("ce ba e1 bd b9 ff")]), 1007, "at once, not at the end");
  assertEquals(refused([false, 1, hex("e2")], [true, 0, ""]), 1007, "half a character");
  assertEquals(refused([true, 1, hex("eda080")]), 1007, "a surrogate");
  assertEquals(
    refused(...Array.from({ length: 65_537 }, (_, i): [boolean, number, string] => [false, i ? 0 : 1, ""])),
    1009,
  );
});

const request = (...more: string[]) => {
  const base = ["Host: server.example.com", "Upgrade: websocket", "Connection: Upgrade"];
  base.push("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13");
  const [first = "", ...fields] = more[0]?.includes(" HTTP/") ? more : ["GET /chat HTTP/1.1", ...more];
  const replaced = new Set(fields.map((field) => field.split(":")[0]));
  const kept = base.filter((field) => !replaced.has(field.split(":")[0]));
  const lines = [...kept, ...fields.filter((field) => !field.endsWith(": -"))];
  return parseRequest(bytes([first, ...lines, "", ""].join("\r\n")));
};

Deno.test("handshake: the example of RFC 6455 §1.3", () => {
  assertEquals(acceptKey("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  const fields = acceptHandshake(request("Origin: http://server.example.com"));
  assertEquals(fields.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  acceptHandshake(request("Connection: keep-alive, Upgrade", "Upgrade: WebSocket")); // as Firefox sends it
});

Deno.test("handshake: what is refused, and how", () => {
  const status = (allowed: string[], ...lines: string[]) =>
    assertThrows(() => acceptHandshake(request(...lines), allowed), HandshakeError);
  assertEquals(status([], "POST /chat HTTP/1.1").status, 405);
  assertEquals(status([], "GET /chat HTTP/1.0").status, 400);
  assertEquals(status([], "Upgrade: -").status, 426);
  assertEquals(status([], "Connection: close").status, 426);
  for (const version of ["-", "8", "12, 13"]) {
    const error = status([], `Sec-WebSocket-Version: ${version}`);
    assertEquals([error.status, new Map(error.fields).get("Sec-WebSocket-Version")], [426, "13"]);
  }
  for (const key of ["-", "abc", "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZQ==, x"]) {
    assertEquals(status([], `Sec-WebSocket-Key: ${key}`).status, 400);
  }
  assertEquals(status([], "Content-Length: 3").status, 400);
  assertEquals(status([], "Origin: http://evil.example").status, 403);
  assertEquals(status(["http://a.example"], "Origin: null").status, 403);
  acceptHandshake(request("Origin: http://a.example"), ["http://a.example"]);
  acceptHandshake(request("Origin: http://a.example"), ["*"]);
});

Deno.test("handshake: what a client refuses", () => {
  const key = "dGhlIHNhbXBsZSBub25jZQ==";
  const fault = (...lines: string[]) => handshakeFault(parseResponse(bytes([...lines, "", ""].join("\r\n"))), key);
  const good = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="];
  assertEquals(fault("HTTP/1.1 101 Switching Protocols", ...good), "");
  assertStringIncludes(fault("HTTP/1.1 200 OK", ...good), "200");
  for (let i = 0; i < 3; i++) assert(fault("HTTP/1.1 101 x", ...good.filter((_, j) => i !== j)) !== "");
  assertStringIncludes(fault("HTTP/1.1 101 x", ...good, "Sec-WebSocket-Extensions: x"), "extensions");
});

Deno.test("frames: random bytes never break the decoder", () => {
  for (let i = 0; i < 3000; i++) {
    const data = crypto.getRandomValues(new Uint8Array(i % 40));
    failure(data);
    failure(data, fromServer);
  }
});

suiteTest("http:websocket", "websocket_server.ts --echo", () => serve("http/websocket_server.ts", "--echo"));

const connected = (port: number, path = "/chat") => SocketPeer.open({ hostname: "127.0.0.1", port }, path);
const textOf = async (socket: SocketPeer) => new TextDecoder().decode((await socket.message("a message")).data);

Deno.test("chat: a message goes to all others; bytes are refused with 1003; each path has its answer", async () => {
  const { program, port } = await serve("http/websocket_server.ts");
  await using _ = program;
  using a = await connected(port);
  using b = await connected(port);
  using c = await connected(port);
  await a.send(opcodes.text, "<b>hi</b> 👋");
  assertEquals([await textOf(b), await textOf(c)], ["<b>hi</b> 👋", "<b>hi</b> 👋"]);
  await b.send(opcodes.text, "to a");
  assertEquals(await textOf(a), "to a");
  await c.send(opcodes.binary, "bytes");
  await c.closesWith([1003], "the chat is for text");
  await c.send(opcodes.text, "too late");
  await b.send(opcodes.text, "next");
  assertEquals(await textOf(a), "next");
  const status = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    return [response.status, (await response.text()).length > 0, response.headers.get("sec-websocket-version")];
  };
  assertEquals(await status("/"), [200, true, null]);
  assertEquals(await status("/", { method: "HEAD" }), [200, false, null]);
  assertEquals(await status("/", { method: "POST" }), [405, true, null]);
  assertEquals(await status("/nothing"), [404, true, null]);
  assertEquals(await status("/chat"), [426, true, "13"]);
  assertEquals(await status("/chat", { method: "POST" }), [405, true, null]);
  const server = { hostname: "127.0.0.1", port };
  const asked = async (from: string, to: string) => {
    const { socket, response } = await SocketPeer.ask(server, (request) => request.replace(from, to), "/chat");
    socket[Symbol.dispose]();
    return response.status;
  };
  assertEquals(await asked("Upgrade:", "Origin: http://evil.example\r\nUpgrade:"), 403);
  assertEquals(await asked("Upgrade:", `Origin: http://127.0.0.1:${port}\r\nUpgrade:`), 101);
  assertEquals(await asked(/Host: .*/.exec(`Host: 127.0.0.1:${port}`)?.[0] ?? "", "Host: evil.example"), 421);
  assertEquals(program.stderr, "");
});

Deno.test("limits: a frame, a message, and a peer that does not answer a ping", async () => {
  const limits = ["--echo", "--max-frame", "1000", "--max-message", "2000", "--timeout", "1"];
  const { program, port } = await serve("http/websocket_server.ts", ...limits);
  await using _ = program;
  using frame = await connected(port, "/");
  await frame.send(opcodes.text, "x".repeat(1001));
  await frame.closesWith([1009], "a frame is too long");
  using message = await connected(port, "/");
  for (let i = 0; i < 3; i++) await message.send(i ? opcodes.continuation : opcodes.text, "x".repeat(700), false);
  await message.closesWith([1009], "a message is too long");
  using silent = await connected(port, "/");
  const ping = await silent.receive("a ping");
  assertEquals(ping?.opcode, opcodes.ping);
  await silent.closesWith([1008], "no pong");
  using alive = await connected(port, "/");
  for (let i = 0; i < 4; i++) {
    const ping = await alive.receive("a ping");
    assertEquals(ping?.opcode, opcodes.ping, "a client that answers stays");
    await alive.send(opcodes.pong, ping?.payload ?? "");
  }
  await program.line(/was silent for 1 s: closed/);
});

Deno.test("limits: a client that is closed for its silence gets the close frame, answers it, and sees the end of the stream", async () => {
  const { program, port } = await serve("http/websocket_server.ts", "--timeout", "0.5");
  await using _ = program;
  using silent = await connected(port);
  await silent.closesWith([1008], "no pong");
  await silent.send(opcodes.close, encodeClose(1008));
  await silent.send(opcodes.pong, "too late"); // a closed socket answers this with a reset
  assertEquals(await silent.peer.conn.read(new Uint8Array(10)), null);
});

Deno.test("limits: a handshake that comes byte by byte, or only half of it, is 408 (RFC 9110 §15.5.9)", async () => {
  const { program, port } = await serve("http/websocket_server.ts", "--timeout", "0.6");
  await using _ = program;
  const answer = async (drips: boolean) => {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(bytes("GET /chat HTTP/1.1\r\nHost: "));
    let isOver = false;
    const dripping = (async () => {
      while (drips && !isOver) {
        await conn.write(bytes("a"));
        await new Promise((next) => setTimeout(next, 50));
      }
    })().catch(() => {}); // the server has closed
    const text = await new Response(conn.readable).text();
    isOver = true;
    await dripping;
    return text;
  };
  for (const text of await Promise.all([answer(true), answer(false)])) {
    assertStringIncludes(text, "HTTP/1.1 408 Request Timeout\r\n");
  }
  await program.line(/ 408 Request Timeout: the request was not complete after 0\.6 s$/);
});

Deno.test("chat: a member that does not read is dropped, and the others get everything", async () => {
  const { program, port } = await serve("http/websocket_server.ts", "--max-unsent", "100000");
  await using _ = program;
  using speaker = await connected(port);
  using reader = await connected(port);
  using _deaf = await connected(port);
  const text = "x".repeat(60_000);
  const dropped = program.line(/does not read: dropped/);
  let isDropped = false;
  dropped.then(() => isDropped = true);
  for (let i = 0; i < 2000 && !isDropped; i++) {
    await speaker.send(opcodes.text, text);
    assertEquals((await reader.message("each message")).data.length, text.length);
  }
  await dropped;
  await speaker.send(opcodes.text, "after it");
  assertEquals(await textOf(reader), "after it");
});

Deno.test("server: random bytes after the handshake, and before it, end one connection alone", async () => {
  const { program, port } = await serve("http/websocket_server.ts", "--echo");
  await using _ = program;
  for (let i = 0; i < 60; i++) {
    const random = crypto.getRandomValues(new Uint8Array(1 + i * 7));
    if (i % 2) random[0] = [0x81, 0x82, 0x88, 0x89, 0x01, 0x80][i % 6] ?? 0;
    using peer = i % 3 === 0
      ? new SocketPeer(await Peer.connect({ hostname: "127.0.0.1", port }))
      : await connected(port, "/");
    await peer.peer.send(random).catch((error) => assert(error instanceof Gone));
  }
  using socket = await connected(port, "/");
  await socket.send(opcodes.text, "still here");
  assertEquals(await textOf(socket), "still here");
  assertEquals(program.stderr, "");
});

Deno.test("server: Ctrl-C closes with 1001; --exit-after ends it", async () => {
  const { program, port } = await serve("http/websocket_server.ts", "--exit-after", "2");
  await using _ = program;
  for (let i = 0; i < 2; i++) {
    using socket = await connected(port);
    await socket.send(opcodes.close, encodeClose(1000));
    await socket.closesWith([1000], "its code comes back");
  }
  assertEquals((await program.end()).code, 0, program.stderr);
  if (!signals) return;
  const second = await serve("http/websocket_server.ts");
  await using server = second.program;
  using socket = await connected(second.port);
  server.signal("SIGINT");
  await socket.closesWith([1001], "going away");
  await socket.send(opcodes.close, encodeClose(1001));
  assertEquals((await server.end()).code, 0, server.stderr);
});

for (const way of [[], ["--raw"]]) {
  Deno.test(`client ${way}: sends, shows what comes, and closes; a server that is no WebSocket is one line`, async () => {
    const { program, port } = await serve("http/websocket_server.ts", "--echo");
    await using _ = program;
    const args = [...way, "--listen", "0.5", "Hello", "\u{1b}[31mgrüß"];
    const client = await runClient("http/websocket_client.ts", port, ...args);
    assertEquals(client.status?.code, 0, client.stderr);
    assertEquals(client.stdout, "Received: Hello\nReceived: \\x1b[31mgrüß\nClosed: 1000\n");
    const lost = await runClient("http/websocket_client.ts", port, ...way, "--path", "/none");
    failedWith(lost, 1, /opened no WebSocket/);
  });
}

Deno.test("client --raw: a server that breaks the rules is one line", async () => {
  for (
    const [wire, why] of [["8185000000004141414141", /1002: a frame of the server is masked/], [
      "c100",
      /reserved/,
    ]] as const
  ) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const program = client("http/websocket_client.ts", listener.addr.port, "--raw");
    await using _ = program;
    using peer = new Peer(await listener.accept());
    const head = new TextDecoder().decode(await peer.some("a handshake"));
    const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(head)?.[1] ?? "";
    const fields = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(key)}`;
    await peer.send(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n\r\n`);
    await peer.send(hex(wire));
    const answer = await peer.upTo(8);
    assertEquals(answer[0], 0x88, "a close frame");
    peer.close();
    await program.end();
    failedWith(program, 1, why);
  }
});

Deno.test("wss: both clients with the certificate, without it, and at a server without TLS; one line each", async () => {
  const folder = await Deno.makeTempDir();
  const { cert, key } = await certificate(folder);
  const flags = ["-N=127.0.0.1", `-R=${folder}`, "http/websocket_server.ts", "--echo", "--cert", cert, "--key", key];
  const { program, port } = await listening((port) => ["deno", "run", ...flags, "--port", `${port}`]);
  await using _ = program;
  await program.line(/^WebSocket server with TLS listening on /);
  const plain = await serve("http/websocket_server.ts", "--echo");
  await using _plain = plain.program;
  const run = async (...args: string[]) => {
    const words = ["deno", "run", "-N", `-R=${folder}`, "http/websocket_client.ts", "--listen", "0.5", ...args];
    const program = new Program(words, { cwd: root });
    await program.end();
    return program;
  };
  await Promise.all([[], ["--raw"]].map(async (way) => {
    const large = "x".repeat(20_000); // several records of TLS; a command of Windows has no more than 32,767 characters
    const trusted = await run(...way, "--ca", cert, `wss://localhost:${port}/chat?a=1`, "grüß", large);
    assertEquals([trusted.stdout, trusted.status?.code], [`Received: grüß\nReceived: ${large}\nClosed: 1000\n`, 0]);
    failedWith(
      await run(...way, `wss://localhost:${port}/chat`, "x"),
      1,
      /: no TLS with localhost:\d+: no known authority has signed its certificate.*--ca FILE/,
    );
    failedWith(await run(...way, `wss://localhost:${plain.port}/`), 1, /it does not speak TLS there: try ws:\/\/$/m);
    failedWith(await run(...way, `ws://localhost:${port}/`), 1, /opened no WebSocket|without an answer/);
  }));
  const traced = await run("--trace", "--ca", cert, `wss://localhost:${port}/`, "Hello");
  assertStringIncludes(traced.stderr, 'frame: text, 5 bytes "Hello"'); // and not the bytes of TLS
  assertEquals(program.stderr + plain.program.stderr, "");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("wss: clients that break the TLS handshake, or never end it, stop nobody", async () => {
  const folder = await Deno.makeTempDir();
  const { cert, key } = await certificate(folder);
  const limits = ["--echo", "--timeout", "2", "--cert", cert, "--key", key];
  const flags = ["-N=127.0.0.1", `-R=${folder}`, "http/websocket_server.ts", ...limits];
  const { program, port } = await listening((port) => ["deno", "run", ...flags, "--port", `${port}`]);
  await using _ = program;
  using silent = await Deno.connect({ hostname: "127.0.0.1", port });
  await silent.write(hex("16 03 01")); // a record begins
  for (const data of [bytes("GET / HTTP/1.1\r\n\r\n"), hex("16 03 01 00 05 68 65 6c 6c 6f"), new Uint8Array()]) {
    for (let i = 0; i < 10; i++) {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      await conn.write(data);
      await conn.closeWrite();
      await conn.read(new Uint8Array(99)).catch(() => {}); // an alert, or a reset
    }
  }
  await program.line(/ no TLS: /);
  const client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(cert)] });
  const socket = new WebSocket(`wss://localhost:${port}/chat`, { client });
  const message = new Promise<unknown>((resolve) => {
    socket.addEventListener("open", () => socket.send("still here"));
    socket.addEventListener("message", ({ data }) => resolve(data));
    socket.addEventListener("error", resolve);
  });
  assertEquals(await message, "still here");
  const page = await fetch(`https://localhost:${port}/`, { client });
  assertStringIncludes(await page.text(), "<h1>Chat</h1>");
  const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
  socket.close(1000);
  await closed;
  client.close();
  while (await silent.read(new Uint8Array(99)) !== null); // the server ends it
  await program.line(/was silent for 2 s: closed$/);
  assertEquals(program.stderr, "");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("client: a URL says server, path and TLS; a wrong one is wrong usage", async () => {
  const { program, port } = await serve("http/websocket_server.ts", "--echo");
  await using _ = program;
  const to = (...args: string[]) => runClient("http/websocket_client.ts", port, "--listen", "0.2", ...args);
  for (const way of [[], ["--raw"]]) {
    const client = await to(...way, `WS://127.0.0.1:${port}`, "ws://is/a/message");
    assertEquals(client.stdout, "Received: ws://is/a/message\nClosed: 1000\n", client.stderr);
  }
  for (const url of ["ws://", "ws://a:b@127.0.0.1/", "ws://127.0.0.1/#x", "wss://127.0.0.1:99999/"]) {
    refusedWith(await to(url), /: a URL is ws:\/\/HOST:PORT\/PATH or wss:/);
  }
});

const npm = ["deno", "run", "--no-config", "--no-lock", "-A", "tests/support/websocket_npm.mjs", "npm:ws@8"];
const cached = new Program(["deno", "cache", "--no-config", "--no-lock", "npm:ws@8"], {
  cwd: root,
});
const hasNpm = (await cached.end()).code === 0;

testWith(hasNpm, "package ws, and none came from the npm registry", "npm:ws as client, and as server", async () => {
  const { program, port } = await serve("http/websocket_server.ts", "--echo");
  await using _ = program;
  const other = new Program([...npm, "client", `${port}`, "one", "x".repeat(70_000)], { cwd: root });
  await other.end();
  assertEquals(other.stdout, "got 3\ngot 70000\nclosed 1000\n", other.stderr);
  const server = await listening((port) => [...npm, "server", `${port}`]);
  await using _server = server.program;
  for (const way of [[], ["--raw"]]) {
    const args = [...way, "--path", "/", "--listen", "0.5", "Hello", "ws"];
    const ours = await runClient("http/websocket_client.ts", server.port, ...args);
    assertEquals(ours.stdout, "Received: Hello\nReceived: ws\nClosed: 1000\n", ours.stderr);
  }
});

testWith(hasNpm, "package ws, and none came from the npm registry", "npm:ws passes http:websocket-client", async () => {
  // Some of its checks: each starts the runtime and loads the package.
  const some = ["a message is sent", "messages are printed", "fields in other letters", "what nobody asked for"];
  const results = await patiently(10_000, () => judge("http:websocket-client", [...npm, "checked"], some));
  assertEquals(results.length, some.length);
  assertEquals(results.filter(({ state }) => state !== "passed").map(({ problem }) => problem), []);
});
