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
