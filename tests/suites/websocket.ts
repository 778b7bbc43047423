/**
 * Checks for a WebSocket server that sends each message back (RFC 6455): the handshake, the frames, the end.
 *
 * @module
 */
import { acceptKey } from "../../http/_websocket_handshake.ts";
import { encodeClose, encodeFrame, opcodes } from "../../http/_websocket_frame.ts";
import { concat } from "../../http/_concat.ts";
import { words } from "./_random.ts";
import { step } from "./_record.ts";
import { reset } from "./_peer.ts";
import { fail, quote, randomOf, sameBytes, type Server, type Suite } from "./_suite.ts";
import { frameOf, SocketPeer } from "./_websocket_peer.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const { continuation, text, binary, close, ping, pong } = opcodes;

/** Expects the message back, as one of the same kind. */
async function comesBack(socket: SocketPeer, opcode: number, data: string | Uint8Array, hint: string): Promise<void> {
  const got = await socket.message(hint);
  if (got.opcode !== opcode) fail(`a message with opcode ${opcode}`, `one with opcode ${got.opcode}`, hint);
  sameBytes(got.data, typeof data === "string" ? encode(data) : data, hint);
}

/** Sends a message, and expects it back. */
async function echoes(socket: SocketPeer, opcode: number, data: string | Uint8Array, hint: string): Promise<void> {
  await socket.send(opcode, data);
  await comesBack(socket, opcode, data, hint);
}

/** Sends bytes that break a rule: the program must close the connection, with this code if it sends one. */
async function refuses(server: Server, bytes: Uint8Array, code: number, hint: string): Promise<void> {
  using socket = await SocketPeer.open(server);
  await socket.peer.send(bytes);
  await socket.closesWith([code], hint, true);
}

/** Sends a request that is no right handshake: the program must not answer it with 101. */
async function refusesRequest(server: Server, change: (request: string) => string, status: number[], hint: string) {
  const { socket, response } = await SocketPeer.ask(server, change);
  using _ = socket;
  if (!status.includes(response.status)) fail(`status ${status.join(" or ")}`, `status ${response.status}`, hint);
  return response;
}

const open = ["the handshake"];
const first = [...open, "a text message"];

const suite: Suite = {
  role: "server",
  about: "a WebSocket server that echoes each message",
  given: "{host} and {port} in its command, or HOST and PORT in its environment. The WebSocket is at the path /.",
  prints: "what you like",
  exits: "it runs until the checker stops it",
  limits:
    "a message has up to 1 MiB; up to 20 connections are open at the same time; a reply may be fragmented in any way",
  sheet: "http/README.md#websocket",
  checks: [
    {
      name: "the handshake",
      why: "RFC 6455 §4.2.2: status 101, Upgrade, Connection, and the hash of this request's key with the GUID.",
      points: 3,
      level: "basic",
      byHand: "curl -i -N -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' " +
        "-H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' http://{host}:{port}/",
      async run(server) {
        const { socket, response, key } = await SocketPeer.ask(server);
        using _ = socket;
        if (response.status !== 101) {
          fail("status 101", `status ${response.status}`, "answer with 101 Switching Protocols");
        }
        const got = response.fields.get("sec-websocket-accept") ?? "no such field";
        const hint =
          "base64(SHA-1(key + 258EAFA5-E914-47DA-95CA-C5AB0DC85B11)), of the bytes of the hash and not its hex";
        if (got !== acceptKey(key)) fail(`Sec-WebSocket-Accept: ${acceptKey(key)}`, got, hint);
      },
    },
    {
      name: "a text message",
      why: "RFC 6455 §5.3: what a client sends is masked; what a server sends is not.",
      points: 3,
      level: "basic",
      needs: open,
      async run(server) {
        using socket = await SocketPeer.open(server);
        for (let i = 0; i < 3; i++) {
          await echoes(socket, text, words(randomOf(server), 3), "remove the mask, send the text");
        }
        await echoes(socket, text, "grüß 世界 👋", "the length of a frame counts bytes, not characters");
      },
    },
    {
      name: "fields in other letters",
      why:
        "RFC 6455 §4.2.1: names of fields and these values are compared without case; Firefox sends keep-alive, Upgrade.",
      points: 1,
      level: "basic",
      needs: open,
      async run(server) {
        const change = (request: string) =>
          request.replace("Connection: Upgrade", "connection: keep-alive, Upgrade")
            .replace("Upgrade: websocket", "UPGRADE: WebSocket").replace("Sec-WebSocket-Key", "sec-websocket-key");
        await refusesRequest(server, change, [101], "compare in lower case, and take Connection for a list");
      },
    },
    {
      name: "binary messages",
      why: "RFC 6455 §5.6: a message is text or bytes, and the echo has the same kind.",
      points: 2,
      level: "basic",
      needs: first,
      async run(server) {
        using socket = await SocketPeer.open(server);
        await echoes(socket, binary, randomOf(server).bytes(100), "keep the opcode: 2 stands for bytes");
        await echoes(socket, binary, new Uint8Array(256).map((_, i) => i), "bytes are not text");
        await echoes(socket, text, "", "an empty message is a message");
      },
    },
    {
      name: "all three lengths",
      why: "RFC 6455 §5.2: up to 125 bytes in 7 bits, up to 65535 in two more bytes, above that in eight.",
      points: 3,
      level: "basic",
      needs: [...first, "binary messages"],
      async run(server) {
        using socket = await SocketPeer.open(server);
        for (const size of [125, 126, 127, 128, 65_535, 65_536, 100_000]) {
          step(`a message of ${size} bytes`);
          const hint =
            "126 means that two bytes with the length follow, 127 eight; read on until the whole frame is here";
          await echoes(socket, binary, randomOf(server).bytes(size), hint);
        }
      },
    },
    {
      name: "frames in single bytes",
      why: "TCP is a stream: a frame arrives in any pieces.",
      points: 2,
      level: "basic",
      needs: first,
      async run(server) {
        using socket = await SocketPeer.open(server);
        const hint = "collect bytes until the frame is complete";
        for (const [i, byte] of frameOf(text, "piece by piece").entries()) {
          await socket.peer.send(new Uint8Array([byte]));
          // Without pauses the kernels would join some of the pieces.
          if (i % 5 === 0) await new Promise((sent) => setTimeout(sent, 20));
        }
        await comesBack(socket, text, "piece by piece", hint);
      },
    },
    {
      name: "several frames at once",
      why: "TCP is a stream: one read may return several frames, and a part of the next.",
      points: 2,
      level: "basic",
      needs: first,
      async run(server) {
        using socket = await SocketPeer.open(server);
        const messages = Array.from({ length: 20 }, () => words(randomOf(server), 2));
        await socket.peer.send(concat(messages.map((message) => frameOf(text, message))));
        for (const message of messages) {
          await comesBack(socket, text, message, "keep what is behind a frame for the next");
        }
      },
    },
    {
      name: "fragments",
      why:
        "RFC 6455 §5.4: a message may come in several frames; all but the last have FIN 0, all but the first opcode 0.",
      points: 3,
      level: "basic",
      needs: [...first, "binary messages", "several frames at once"],
      async run(server) {
        using socket = await SocketPeer.open(server);
        const hint = "collect the payloads until a frame has FIN 1; the first one has the kind of the message";
        await socket.send(text, "Hel", false);
        await socket.send(continuation, "", false);
        await socket.send(continuation, "lo", true);
        await comesBack(socket, text, "Hello", hint);
        for (let i = 0; i < 100; i++) await socket.send(i ? continuation : binary, new Uint8Array([i]), i === 99);
        await comesBack(socket, binary, new Uint8Array(100).map((_, i) => i), hint);
      },
    },
    {
      name: "a ping",
      why: "RFC 6455 §5.5.3: a ping is answered with a pong that has the same payload.",
      points: 2,
      level: "basic",
      needs: open,
      async run(server) {
        using socket = await SocketPeer.open(server);
        for (const payload of [randomOf(server).bytes(9), new Uint8Array(), randomOf(server).bytes(125)]) {
          await socket.send(ping, payload);
          const hint = "answer opcode 9 with opcode 10 and the same payload, without its mask";
          const frame = await socket.receive(hint);
          if (frame?.opcode !== pong) fail("a pong", frame ? `opcode ${frame.opcode}` : "the end", hint);
          sameBytes(frame.payload, payload, hint);
        }
      },
    },
    {
      name: "a ping between fragments",
      why: "RFC 6455 §5.4: control frames come between the fragments of a message, and are answered at once.",
      points: 2,
      level: "robust",
      needs: ["fragments", "a ping"],
      async run(server) {
        using socket = await SocketPeer.open(server);
        const hint = "a control frame does not belong to the message: answer it, and go on with the fragments";
        await socket.send(text, "one ", false);
        await socket.send(ping, "alive?");
        const frame = await socket.receive(hint);
        if (frame?.opcode !== pong) {
          fail("a pong before the end of the message", frame ? `opcode ${frame.opcode}` : "the end", hint);
        }
        await socket.send(continuation, "two");
        await comesBack(socket, text, "one two", hint);
      },
    },
    {
      name: "a pong nobody asked for",
      why: "RFC 6455 §5.5.3: an unsolicited pong gets no answer.",
      points: 1,
      level: "robust",
      needs: [...first, "several frames at once"],
      async run(server) {
        using socket = await SocketPeer.open(server);
        await socket.send(pong, "unasked");
        await echoes(socket, text, "still here", "ignore a pong");
      },
    },
    {
      name: "the close handshake",
      why: "RFC 6455 §5.5.1, §7.1.1: a close frame is answered with one; then the server ends the TCP connection.",
      points: 3,
      level: "basic",
      needs: open,
      async run(server) {
        using socket = await SocketPeer.open(server);
        await socket.send(close, encodeClose(1000, "bye"));
        await socket.closesWith([1000], "answer opcode 8 with opcode 8 and the same code");
        await socket.ends("close the socket after the close frame");
      },
    },
    {
      name: "a close without a code",
      why: "RFC 6455 §7.1.5: the payload of a close frame may be empty; 1005 is never sent.",
      points: 1,
      level: "robust",
      needs: ["the close handshake"],
      async run(server) {
        using socket = await SocketPeer.open(server);
        await socket.send(close, "");
        await socket.closesWith(
          [1000, 1005],
          "a close frame without a payload has no code: answer without one, or with 1000",
        );
      },
    },
    {
      name: "another version",
      why: "RFC 6455 §4.2.2: the answer to another version is 426 (or 400) with Sec-WebSocket-Version: 13.",
      points: 1,
      level: "robust",
      needs: open,
      async run(server) {
        const hint = "check Sec-WebSocket-Version, and say which one you speak";
        const change = (request: string) => request.replace("Version: 13", "Version: 99");
        const { fields } = await refusesRequest(server, change, [400, 426], hint);
        const version = fields.get("sec-websocket-version") ?? "no such field";
        if (!version.split(/, */).includes("13")) fail("Sec-WebSocket-Version: 13", version, hint);
      },
    },
    {
      name: "no handshake",
      why: "RFC 6455 §4.2.1: without Upgrade or a key, a request opens no WebSocket.",
      points: 1,
      level: "robust",
      needs: open,
      async run(server) {
        const hint = "check Upgrade and Sec-WebSocket-Key before you answer with 101";
        const not101 = Array.from({ length: 400 }, (_, i) => i + 200);
        await refusesRequest(server, (request) => request.replace("Upgrade: websocket\r\n", ""), not101, hint);
        await refusesRequest(server, (request) => request.replace(/Sec-WebSocket-Key: .*\r\n/, ""), not101, hint);
      },
    },
    {
      name: "a frame without a mask",
      why: "RFC 6455 §5.1: a server closes the connection when a client does not mask.",
      points: 1,
      level: "robust",
      needs: first,
      async run(server) {
        const frame = encodeFrame({ fin: true, opcode: text, payload: encode("open") });
        await refuses(server, frame, 1002, "the first bit of the second byte must be 1: close with 1002");
      },
    },
    {
      name: "reserved bits and opcodes",
      why: "RFC 6455 §5.2: a bit or an opcode without a meaning is an error, 1002.",
      points: 2,
      level: "strict",
      needs: first,
      async run(server) {
        for (const byte of [0xc1, 0xa1, 0x91, 0x83, 0x87, 0x8b, 0x8f]) {
          step(`the first byte is ${byte.toString(16)}`);
          const frame = frameOf(text, "x");
          frame[0] = byte;
          await refuses(server, frame, 1002, "close with 1002 on a reserved bit or opcode");
        }
      },
    },
    {
      name: "control frames that are too long or divided",
      why: "RFC 6455 §5.5: a control frame has at most 125 bytes, and no fragments.",
      points: 1,
      level: "strict",
      needs: ["a ping"],
      async run(server) {
        await refuses(server, frameOf(ping, new Uint8Array(126)), 1002, "close with 1002 on a ping of 126 bytes");
        await refuses(server, frameOf(ping, "x", false), 1002, "close with 1002 on a ping without FIN");
      },
    },
    {
      name: "fragments in the wrong place",
      why: "RFC 6455 §5.4: a fragment continues a message that has begun, and no message begins within another.",
      points: 2,
      level: "strict",
      needs: ["fragments"],
      async run(server) {
        await refuses(server, frameOf(continuation, "x"), 1002, "opcode 0 without a message: close with 1002");
        const two = concat([frameOf(text, "a", false), frameOf(text, "b")]);
        await refuses(server, two, 1002, "opcode 1 within a message: close with 1002");
      },
    },
    {
      name: "text that is not UTF-8",
      why: "RFC 6455 §8.1: text that is not UTF-8 is an error, 1007; but a character may be divided between fragments.",
      points: 2,
      level: "robust",
      needs: ["fragments"],
      async run(server) {
        const socket = await SocketPeer.open(server);
        using closed = new DisposableStack();
        closed.use(socket);
        const divided = encode("€");
        await socket.send(text, divided.subarray(0, 1), false);
        await socket.send(continuation, divided.subarray(1));
        await comesBack(socket, text, "€", "decode the whole message, not each fragment");
        closed.dispose(); // a server that serves one client at a time is caught by another check
        for (const bytes of [[0xff], [0xed, 0xa0, 0x80], [0xc0, 0xaf], [0xe2, 0x82]]) {
          const hint =
            "decode strictly, and close with 1007 (a surrogate, a long form and half a character are errors)";
          await refuses(server, frameOf(text, new Uint8Array(bytes)), 1007, hint);
        }
      },
    },
    {
      name: "wrong close frames",
      why: "RFC 6455 §7.4: half a code, or one that must not be sent, such as 1005, is an error, 1002.",
      points: 1,
      level: "strict",
      needs: ["the close handshake"],
      async run(server) {
        for (const payload of [[3], [3, 237], [3, 238], [0, 0], [3, 231]]) {
          step(`a close frame with the bytes ${payload.join(", ")}`);
          await refuses(server, frameOf(close, new Uint8Array(payload)), 1002, "check the code: close with 1002");
        }
      },
    },
    {
      name: "a length in too many bytes",
      why:
        "RFC 6455 §5.2: the first bit of eight is 0. A length in more bytes than it needs is refused, or read as it is.",
      points: 1,
      level: "strict",
      needs: first,
      async run(server) {
        const long = new Uint8Array([0x81, 0xfe, 0, 1, 0, 0, 0, 0, 0x78]);
        {
          using socket = await SocketPeer.open(server);
          await socket.peer.send(long);
          const hint = "1 in two bytes: close with 1002, or read one byte";
          const frame = await socket.receive(hint);
          const isEcho = frame?.opcode === text && frame.payload.length === 1 && frame.payload[0] === 0x78;
          if (frame && frame.opcode !== close && !isEcho) {
            fail('a close frame, or the echo "x"', quote(frame.payload), hint);
          }
        }
        const negative = new Uint8Array([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        using socket = await SocketPeer.open(server);
        await socket.peer.send(negative);
        await socket.closesWith([1002, 1009], "a length of 2^63: close with 1002, do not wait for its bytes", true);
      },
    },
    {
      name: "twenty at once, one of them silent",
      why: "A server serves many clients at the same time.",
      points: 2,
      level: "robust",
      needs: first,
      async run(server) {
        using _silent = await SocketPeer.open(server);
        using sockets = new DisposableStack();
        for (let i = 0; i < 19; i++) {
          const socket = sockets.use(await SocketPeer.open(server));
          await echoes(socket, text, words(randomOf(server), 2), "serve each client in a thread or task of its own");
        }
      },
    },
    {
      name: "a client that resets",
      why: "A client that resets its connection (RST) must not end the server.",
      points: 1,
      level: "robust",
      needs: first,
      async run(server) {
        const request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        for (let i = 0; i < 3; i++) await reset(server, request);
        using socket = await SocketPeer.open(server);
        await echoes(socket, text, "next", "catch the errors of a connection, and serve the next client");
      },
    },
  ],
};

export default suite;
