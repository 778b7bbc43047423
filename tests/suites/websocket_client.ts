/**
 * Checks for a WebSocket client that sends one message and prints what comes (RFC 6455): here the suite plays the server.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { concat } from "../../http/_concat.ts";
import { headLength, MessageError, parseRequest, type RequestHead } from "../../http/_message.ts";
import { encodeClose, encodeFrame, opcodes } from "../../http/_websocket_frame.ts";
import { acceptKey } from "../../http/_websocket_handshake.ts";
import type { Program } from "../support/program.ts";
import { complained, noServer, playServer, succeeded } from "./_clients.ts";
import type { Peer } from "./_peer.ts";
import { word, words } from "./_random.ts";
import { step } from "./_record.ts";
import { type Check, type Client, contentOf, fail, Gone, quote, randomOf, sameBytes, type Suite } from "./_suite.ts";
import { SocketPeer } from "./_websocket_peer.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const { continuation, text, binary, close, ping, pong } = opcodes;

const orders = contentOf((random) => {
  const content = {
    target: `/${word(random)}?${word(random)}=${random.integer(1, 9999)}`,
    text: greeting(words(random, 2)),
  };
  return { content, values: content };
});

const greeting = (names: string) => `Grüße an ${names}, 世界 👋`;

/** One frame of a server: it has no mask. */
const frameOf = (opcode: number, payload: string | Uint8Array, fin = true) =>
  encodeFrame({ fin, opcode, payload: typeof payload === "string" ? encode(payload) : payload });

/** The client's request, and its key. */
interface Handshake {
  readonly request: RequestHead;
  readonly key: string;
}

/** The response that opens the WebSocket. */
const accepted = (key: string) =>
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  `Sec-WebSocket-Accept: ${acceptKey(key)}\r\n\r\n`;

/** Reads the client's handshake, and checks it. */
async function readHandshake(peer: Peer, wanted: string, host: string): Promise<Handshake> {
  let bytes: Uint8Array = new Uint8Array();
  const hint = "send GET PATH HTTP/1.1, the fields of a handshake, each line with \\r\\n, and an empty line; then wait";
  try {
    let length = headLength(bytes);
    for (; length < 0; length = headLength(bytes)) {
      const more = await peer.some(hint);
      if (more.length === 0) fail("a handshake", "the end of the connection", hint);
      bytes = concat([bytes, more]);
    }
    if (bytes.length > length) {
      fail(
        "nothing before the response",
        quote(bytes.subarray(length)),
        "send frames when the response has come (RFC 6455 §4.1)",
      );
    }
    const request = parseRequest(bytes.subarray(0, length));
    return { request, key: checkHandshake(request, wanted, host) };
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    fail("a request of HTTP/1.1", `${error.message}: ${quote(bytes)}`, hint);
  }
}

/** What RFC 6455 §4.1 demands. `host` is "" when the client reaches the checker over a relay. @returns the key */
function checkHandshake({ method, target, minor, fields }: RequestHead, wanted: string, host: string): string {
  const line = `${method} ${target} HTTP/1.${minor}`;
  if (line !== `GET ${wanted} HTTP/1.1`) {
    fail(`GET ${wanted} HTTP/1.1`, printable(line), "take the path and the query from {url} or {target} (URL, TARGET)");
  }
  const field = (name: string, isRight: (value: string) => boolean, right: string, hint: string): string => {
    const value = fields.get(name.toLowerCase());
    if (value !== undefined && isRight(value)) return value;
    fail(`${name}: ${right}`, value === undefined ? "no such field" : `${name}: ${printable(value)}`, hint);
  };
  field("Host", (value) => host === "" || value === host, host, "a port that is not 80 stands in Host (RFC 9110 §7.2)");
  field("Upgrade", () => fields.lists("upgrade", "websocket"), "websocket", "it names the protocol that you ask for");
  field("Connection", () => fields.lists("connection", "upgrade"), "Upgrade", "Upgrade is for this connection alone");
  field("Sec-WebSocket-Version", (value) => value === "13", "13", "the version of RFC 6455 is 13");
  const isKey = (value: string) => /^[A-Za-z0-9+/]{21}[AQgw]==$/.test(value);
  return field("Sec-WebSocket-Key", isKey, "16 bytes in base64", "make 16 random bytes, and write them in base64");
}

/** What a check may change. */
interface Play {
  /** The text that the client is given, if not that of the run. */
  readonly text?: string;
  /** Sends the response to the handshake. */
  readonly respond?: (peer: Peer, key: string) => Promise<void>;
}

const hintEnd = "answer the server's close frame, close the connection, and exit";

/** Plays the server for one run: opens the WebSocket, receives the client's message, and talks. */
async function play(client: Client, talk: (socket: SocketPeer) => Promise<void>, change: Play = {}) {
  const order = orders.of(client);
  const said = change.text ?? order.text;
  const { program, result } = await playServer(
    client,
    hintEnd,
    async (peer, port) => {
      const handshake = await readHandshake(peer, order.target, client.isShaken ? "" : `127.0.0.1:${port}`);
      await (change.respond?.(peer, handshake.key) ?? peer.send(accepted(handshake.key)));
      const socket = new SocketPeer(peer, "server");
      const hint = "when the response has come, send {text} (TEXT) as one text message, in UTF-8: opcode 1, masked";
      const message = await socket.message(hint);
      if (message.opcode !== text) fail("a text message (opcode 1)", `one with opcode ${message.opcode}`, hint);
      sameBytes(message.data, encode(said), "the length of a frame counts bytes, not characters; UTF-8");
      await talk(socket);
      peer.close();
      return { socket, ...handshake };
    },
    (port) => ({ ...urlOf(order.target, port), text: said }),
  );
  return { program, ...result };
}

const urlOf = (target: string, port: number) => ({ url: `ws://127.0.0.1:${port}${target}`, target });

/** Closes as a server does, and waits for the answer. What the answer must be has its own check. */
async function hangUp(socket: SocketPeer): Promise<void> {
  try {
    await socket.send(close, encodeClose(1000));
    for (let frame = await socket.receive(hintEnd); frame && frame.opcode !== close;) {
      frame = await socket.receive(hintEnd);
    }
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
  }
}

/** The client must print these texts in their order, and exit with 0. */
async function shows(
  client: Client,
  texts: readonly string[],
  hint: string,
  send: (socket: SocketPeer) => Promise<void>,
  change: Play = {},
): Promise<void> {
  const { program } = await play(client, async (socket) => {
    await send(socket);
    await hangUp(socket);
  }, change);
  printedInOrder(program, texts, hint);
  succeeded(program, "exit with code 0 when the server has closed with 1000");
}

function printedInOrder({ stdout }: Program, texts: readonly string[], hint: string): void {
  let at = 0;
  for (const each of texts) {
    const found = stdout.indexOf(each, at);
    if (found < 0) {
      const where = at > 0 ? " behind the one before it" : "";
      fail(`${quote(encode(each))} on stdout${where}`, quote(encode(stdout.slice(at).trimStart())), hint);
    }
    at = found + each.length;
  }
}

/** Sends bytes that break a rule: the client must close with one of these codes, or end the connection, and say why. */
async function breaks(
  client: Client,
  bytes: Uint8Array,
  codes: readonly number[],
  about: string,
  hint: string,
): Promise<void> {
  const { program } = await play(client, async (socket) => {
    await socket.peer.send(bytes);
    await socket.closesWith(codes, hint, true);
  });
  complained(program, about);
}

/** Sends a response that opens no WebSocket: the client must end the connection, send no frame, and say why. */
async function refuses(client: Client, respond: (key: string) => string, about: string, hint: string): Promise<void> {
  const order = orders.of(client);
  const { program } = await playServer(
    client,
    hint,
    async (peer) => {
      const { key } = await readHandshake(peer, order.target, "");
      await peer.send(respond(key));
      const more = await peer.some(hint).catch((error) => {
        if (!(error instanceof Gone)) throw error;
        return new Uint8Array();
      });
      if (more.length > 0) fail("the end of the connection", quote(more), hint);
      peer.close(); // a client that has ended its side may wait for the server's end
    },
    (port) => urlOf(order.target, port),
  );
  complained(program, about);
}

const first = ["the handshake"];
const sends = [...first, "a message is sent"];
const prints = [...sends, "messages are printed"];
const flows = [...prints, "several frames at once"];
const fails = [...prints, "no server"];

const checks: Check<Client>[] = [
  {
    name: "the handshake",
    why:
      "RFC 6455 §4.1: GET with the path and query of the URL, Host, Upgrade, Connection, the version 13, a key of 16 bytes.",
    points: 3,
    async run(client) {
      const { target } = orders.of(client);
      await playServer(
        client,
        "end when the server ends the connection",
        async (peer, port) => {
          const { key } = await readHandshake(peer, target, client.isShaken ? "" : `127.0.0.1:${port}`);
          await peer.send(accepted(key)).catch(() => {});
          const socket = new SocketPeer(peer, "server");
          await socket.peer.send(frameOf(close, encodeClose(1001))).catch(() => {});
          await peer.upTo(1); // what it sends is for the next checks
          peer.close();
        },
        (port) => urlOf(target, port),
      );
    },
  },
  {
    name: "a message is sent",
    why:
      "RFC 6455 §5.1, §5.6: when the response has come, the client sends the text as one text message, and masks it.",
    points: 3,
    needs: first,
    run: async (client) => void await play(client, hangUp),
  },
  {
    name: "messages are printed",
    why: "The client prints each text message that comes, until the server closes; then it exits with 0.",
    points: 3,
    needs: sends,
    async run(client) {
      const texts = [words(randomOf(client), 3), greeting(words(randomOf(client), 2))];
      await shows(client, texts, "print the text of each message, and go on until the close frame", async (socket) => {
        for (const each of texts) {
          await socket.send(text, each);
          await new Promise((go) => setTimeout(go, 50));
        }
      });
    },
  },
  {
    name: "several frames at once",
    why: "TCP is a stream: one read may return several frames, and a part of the next.",
    points: 2,
    needs: prints,
    async run(client) {
      const texts = Array.from({ length: 20 }, () => words(randomOf(client), 2));
      const send = (socket: SocketPeer) => socket.peer.send(concat(texts.map((each) => frameOf(text, each))));
      await shows(client, texts, "keep what is behind a frame for the next", send);
    },
  },
  {
    name: "longer texts are sent",
    why: "RFC 6455 §5.2: up to 125 bytes the length has 7 bits; then 126 stands there, and two more bytes follow.",
    points: 1,
    needs: sends,
    async run(client) {
      for (const size of [125, 126, 300]) {
        step(`a text of ${size} bytes`);
        await play(client, hangUp, { text: words(randomOf(client), 100).slice(0, size - 1) + "." });
      }
    },
  },
  {
    name: "a new key",
    why: "RFC 6455 §4.1: the key is chosen at random for each connection, so that an old response does not fit.",
    points: 1,
    level: "robust",
    needs: sends,
    async run(client) {
      const keys = [(await play(client, hangUp)).key, (await play(client, hangUp)).key];
      if (keys[0] === keys[1]) fail("another key in each run", `${keys[0]} twice`, "make 16 random bytes in each run");
    },
  },
  {
    name: "all three lengths",
    why: "RFC 6455 §5.2: up to 125 bytes in 7 bits, up to 65535 in two more bytes, above that in eight.",
    points: 2,
    needs: flows,
    async run(client) {
      const all = words(randomOf(client), 20_000);
      const texts = [125, 126, 127, 128, 65_535, 65_536, 100_000].map((size, i) => all.slice(i, i + size - 1) + ".");
      const hint =
        "126 means that two bytes with the length follow, 127 eight; read on until the whole frame is here, and " +
        "print all of it (in Node, process.exit cuts off what is not written yet)";
      await shows(client, texts, hint, async (socket) => {
        for (const each of texts) await socket.send(text, each);
      });
    },
  },
  {
    name: "binary messages",
    why: "RFC 6455 §5.6: a message is text or bytes. Of one with bytes, the client prints how many there are.",
    points: 1,
    needs: flows,
    async run(client) {
      const sizes = [randomOf(client).integer(60, 120), randomOf(client).integer(1000, 9000)];
      const hint = "opcode 2: the payload is no text; print the number of its bytes";
      await shows(client, sizes.map(String), hint, async (socket) => {
        for (const size of sizes) await socket.send(binary, randomOf(client).bytes(size));
      });
    },
  },
  {
    name: "all in single bytes",
    why: "TCP is a stream: the response, and each frame, arrive in any pieces.",
    points: 2,
    needs: flows,
    async run(client) {
      const said = words(randomOf(client), 3);
      const trickle = async (peer: Peer, bytes: Uint8Array) => {
        for (const byte of bytes) {
          await peer.send(Uint8Array.of(byte));
          await new Promise((go) => setTimeout(go, 2)); // or the kernels would join them
        }
      };
      const hint = "collect bytes until the empty line is there, and then until a frame is complete";
      const respond = (peer: Peer, key: string) => trickle(peer, encode(accepted(key)));
      await shows(client, [said], hint, (socket) => trickle(socket.peer, frameOf(text, said)), { respond });
    },
  },
  {
    name: "a frame behind the response",
    why: "RFC 6455 §4.2.2: after its response the server may send at once: one read may return both.",
    points: 1,
    level: "robust",
    needs: flows,
    async run(client) {
      const said = words(randomOf(client), 3);
      const respond = (peer: Peer, key: string) => peer.send(concat([encode(accepted(key)), frameOf(text, said)]));
      await shows(client, [said], "keep what is behind the empty line: these are frames", async () => {}, { respond });
    },
  },
  {
    name: "fragments",
    why:
      "RFC 6455 §5.4: a message may come in several frames; all but the last have FIN 0, all but the first opcode 0.",
    points: 2,
    needs: flows,
    async run(client) {
      const [start, end] = [word(randomOf(client)), word(randomOf(client))];
      const many = words(randomOf(client), 30);
      const hint = "collect the payloads until a frame has FIN 1, and print them as one message";
      await shows(client, [start + end, many], hint, async (socket) => {
        await socket.send(text, start, false);
        await socket.send(continuation, "", false);
        await socket.send(continuation, end);
        for (const [i, letter] of [...many].entries()) {
          await socket.send(i ? continuation : text, letter, i === many.length - 1);
        }
      });
    },
  },
  {
    name: "a ping",
    why: "RFC 6455 §5.5.3: a ping is answered with a pong that has the same payload, and is masked.",
    points: 2,
    needs: sends,
    run: async (client) =>
      void await play(client, async (socket) => {
        for (const size of [9, 0, 125]) await answersPing(socket, randomOf(client).bytes(size));
        await hangUp(socket);
      }),
  },
  {
    name: "new masks",
    why: "RFC 6455 §5.3: each frame has a new mask, from random numbers that nobody can foresee.",
    points: 2,
    level: "robust",
    needs: [...sends, "a ping"],
    async run(client) {
      const masks: string[] = [];
      for (let i = 0; i < 2; i++) {
        const { socket } = await play(client, async (socket) => {
          for (let i = 0; i < 5; i++) await answersPing(socket, randomOf(client).bytes(4));
          await hangUp(socket);
        });
        masks.push(...socket.masks.map((mask) => mask.toHex()));
      }
      const hint = "take four new bytes from os.urandom, crypto.randomBytes or the like for each frame";
      const twice = masks.find((mask, i) => masks.indexOf(mask) < i);
      if (twice) fail(`${masks.length} different masks in two runs`, `${twice} twice`, hint);
    },
  },
  {
    name: "a ping between fragments",
    why: "RFC 6455 §5.4: control frames come between the fragments of a message, and are answered at once.",
    points: 1,
    level: "robust",
    needs: ["fragments", "a ping"],
    async run(client) {
      const [start, end] = [word(randomOf(client)), word(randomOf(client))];
      const hint = "a control frame does not belong to the message: answer it, and go on with the fragments";
      await shows(client, [start + end], hint, async (socket) => {
        await socket.send(text, start, false);
        await answersPing(socket, encode("alive?"), hint);
        await socket.send(continuation, end);
      });
    },
  },
  {
    name: "a pong nobody asked for",
    why: "RFC 6455 §5.5.3: an unsolicited pong gets no answer.",
    points: 1,
    level: "robust",
    needs: flows,
    async run(client) {
      const said = words(randomOf(client), 3);
      await shows(client, [said], "ignore a pong", async (socket) => {
        await socket.send(pong, "unasked");
        await socket.send(text, said);
      });
    },
  },
  {
    name: "the close handshake",
    why: "RFC 6455 §5.5.1: a close frame is answered with one that has the same code; nothing follows it.",
    points: 3,
    needs: sends,
    async run(client) {
      for (const code of [1000, randomOf(client).integer(4000, 4999)]) {
        step(`the checker closes with ${code}`);
        await play(client, async (socket) => {
          await socket.send(close, encodeClose(code, "see you"));
          await socket.closesWith([code], "answer opcode 8 with opcode 8 and the same two bytes, masked");
          socket.peer.close();
        });
      }
    },
  },
  {
    name: "a close without a code",
    why: "RFC 6455 §7.1.5: the payload of a close frame may be empty; 1005 is never sent.",
    points: 1,
    level: "robust",
    needs: [...sends, "the close handshake"],
    run: async (client) =>
      void await play(client, async (socket) => {
        await socket.send(close, "");
        await socket.closesWith([1000, 1005], "a close frame without a payload: answer without one, or with 1000");
      }),
  },
  {
    ...noServer,
    needs: prints,
    run(client) {
      const { target } = orders.of(client);
      return noServer.run({ ...client, start: (port) => client.start(port, urlOf(target, port)) });
    },
  },
  {
    name: "another status",
    why:
      "RFC 6455 §4.1: only 101 opens a WebSocket. After any other status the client says so, and its exit code is not 0.",
    points: 1,
    needs: fails,
    async run(client) {
      const hint = "check that the status is 101 before you send a frame";
      const body = "there is no WebSocket here\n";
      const rest = `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
      await refuses(client, () => `HTTP/1.1 404 Not Found\r\n${rest}`, "the status 404", hint);
      const fields = (key: string) => accepted(key).replace(/^.*\r\n/, "");
      await refuses(client, (key) => `HTTP/1.1 200 OK\r\n${fields(key)}`, "a status that is not 101", hint);
    },
  },
  {
    name: "the hash of another key",
    why: "RFC 6455 §4.1: Sec-WebSocket-Accept belongs to the key, or the server has not read this request.",
    points: 2,
    level: "robust",
    needs: fails,
    async run(client) {
      const other = (key: string) => accepted(`${key === "A".repeat(22) + "==" ? "B" : "A"}${"A".repeat(21)}==`);
      const hint = "compare Sec-WebSocket-Accept with base64(SHA-1(key + 258EAFA5-E914-47DA-95CA-C5AB0DC85B11))";
      await refuses(client, other, "a Sec-WebSocket-Accept that does not belong to the key", hint);
      const without = (key: string) => accepted(key).replace(/Sec-WebSocket-Accept.*\r\n/, "");
      await refuses(client, without, "a response without Sec-WebSocket-Accept", hint);
    },
  },
  {
    name: "fields in other letters",
    why:
      "RFC 6455 §4.1: names of fields, websocket and Upgrade are compared without case; other fields may stand there.",
    points: 1,
    level: "robust",
    needs: flows,
    async run(client) {
      const said = words(randomOf(client), 3);
      const respond = (peer: Peer, key: string) =>
        peer.send(
          `HTTP/1.1 101 Go on\r\nDate: ${new Date().toUTCString()}\r\nsec-websocket-accept:${acceptKey(key)}\r\n` +
            "UPGRADE: WebSocket\r\nconnection: keep-alive, upgrade\r\nX-Lab: 1\r\n\r\n",
        );
      const hint = "compare names of fields in lower case, take Connection for a list, and pass over other fields";
      await shows(client, [said], hint, (socket) => socket.send(text, said), { respond });
    },
  },
  {
    name: "no Upgrade",
    why: "RFC 6455 §4.1: without Upgrade: websocket or Connection: Upgrade the response opens no WebSocket.",
    points: 1,
    level: "strict",
    needs: fails,
    async run(client) {
      for (const name of ["Upgrade", "Connection"]) {
        const without = (key: string) => accepted(key).replace(new RegExp(`\r\n${name}: .*`), "");
        await refuses(client, without, `a response without ${name}`, `look for ${name} in the response`);
      }
    },
  },
  {
    name: "what nobody asked for",
    why: "RFC 6455 §4.1: a server may choose among the extensions and subprotocols of the request, and no others.",
    points: 1,
    level: "strict",
    needs: fails,
    async run(client) {
      for (const name of ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"]) {
        const more = (key: string) => accepted(key).replace(/\r\n$/, `${name}: x-socketlab\r\n\r\n`);
        await refuses(client, more, `${name}: x-socketlab`, `refuse a ${name} that your request has not offered`);
      }
    },
  },
  {
    name: "the server breaks off",
    why:
      "RFC 6455 §7.1.5: an end without a close frame is no proper end: the client says so, and its exit code is not 0.",
    points: 2,
    level: "robust",
    needs: fails,
    async run(client) {
      const about = "a connection that ends without a close frame";
      complained((await play(client, () => Promise.resolve())).program, about);
      step("once more, within a frame");
      const half = frameOf(text, "to be continued").subarray(0, 9);
      complained((await play(client, (socket) => socket.peer.send(half))).program, about);
    },
  },
  {
    name: "the server closes with an error",
    why:
      "RFC 6455 §7.4.1: 1011 says that the server has failed: the client prints the reason, and its exit code is not 0.",
    points: 1,
    level: "robust",
    needs: [...fails, "the close handshake"],
    async run(client) {
      const reason = words(randomOf(client), 3);
      const { program } = await play(client, async (socket) => {
        await socket.send(close, encodeClose(1011, reason));
        await socket.closesWith([1011], "answer with the same code");
      });
      complained(program, "the code 1011");
      if (!(program.stdout + program.stderr).includes(reason)) {
        fail(
          `"${reason}" in the output`,
          `"${printable(program.tail(3))}"`,
          "print the code and the reason of the close frame",
        );
      }
    },
  },
  {
    name: "text that is not UTF-8",
    why: "RFC 6455 §8.1: text that is not UTF-8 is an error, 1007; but a character may be divided between fragments.",
    points: 2,
    level: "robust",
    needs: [...fails, "fragments"],
    async run(client) {
      const [name, euro] = [word(randomOf(client)), encode("€")];
      await shows(client, [`${name}€`], "decode the whole message, not each fragment", async (socket) => {
        await socket.send(text, concat([encode(name), euro.subarray(0, 1)]), false);
        await socket.send(continuation, euro.subarray(1));
      });
      for (const bad of ["666fff", "c0af", "eda080"]) {
        step(`a text message with the bytes ${bad}`);
        const about = "a text message that is not UTF-8";
        await breaks(client, frameOf(text, Uint8Array.fromHex(bad)), [1007], about, "decode strictly: close with 1007");
      }
    },
  },
  {
    name: "a frame with a mask",
    why: "RFC 6455 §5.1: a server does not mask; a client that receives a masked frame closes with 1002.",
    points: 1,
    level: "strict",
    needs: fails,
    run: (client) => {
      const masked = encodeFrame({ fin: true, opcode: text, payload: encode("masked") }, randomOf(client).bytes(4));
      return breaks(client, masked, [1002], "a masked frame", "the first bit of the second byte is 1: close with 1002");
    },
  },
  {
    name: "reserved bits and opcodes",
    why: "RFC 6455 §5.2: a bit or an opcode without a meaning is an error, 1002.",
    points: 1,
    level: "strict",
    needs: fails,
    async run(client) {
      for (const byte of [0xc1, 0x91, 0x83, 0x8b]) {
        step(`the first byte is ${byte.toString(16)}`);
        const frame = frameOf(text, "x");
        frame[0] = byte;
        await breaks(client, frame, [1002], "a reserved bit or opcode", "close with 1002 on a reserved bit or opcode");
      }
    },
  },
  {
    name: "control frames that are too long or divided",
    why: "RFC 6455 §5.5: a control frame has at most 125 bytes, and no fragments.",
    points: 1,
    level: "strict",
    needs: [...fails, "a ping"],
    async run(client) {
      const about = "a control frame that breaks the rules";
      await breaks(client, frameOf(ping, new Uint8Array(126)), [1002], about, "close with 1002 on a ping of 126 bytes");
      await breaks(client, frameOf(ping, "x", false), [1002], about, "close with 1002 on a ping without FIN");
    },
  },
  {
    name: "fragments in the wrong place",
    why: "RFC 6455 §5.4: a fragment continues a message that has begun, and no message begins within another.",
    points: 1,
    level: "strict",
    needs: [...fails, "fragments"],
    async run(client) {
      const about = "a fragment in the wrong place";
      await breaks(client, frameOf(continuation, "x"), [1002], about, "opcode 0 without a message: close with 1002");
      const two = concat([frameOf(text, "a", false), frameOf(text, "b")]);
      await breaks(client, two, [1002], about, "opcode 1 within a message: close with 1002");
    },
  },
  {
    name: "wrong close frames",
    why: "RFC 6455 §7.4: half a code, or one that must not be sent, such as 1005, is an error, 1002.",
    points: 1,
    level: "strict",
    needs: [...fails, "the close handshake"],
    async run(client) {
      for (const payload of ["03", "03ed", "03e7"]) {
        step(`a close frame with the payload ${payload}`);
        const about = "a close frame that breaks the rules";
        const hint = "a payload has no or at least two bytes, and the code is none that must not be sent";
        await breaks(client, frameOf(close, Uint8Array.fromHex(payload)), [1002], about, hint);
      }
    },
  },
  {
    name: "a frame without bounds",
    why: "RFC 6455 §10.4: a length may say 4 EiB: the client has a limit, and closes with 1009 (or 1002).",
    points: 1,
    level: "strict",
    needs: [...fails, "all three lengths"],
    async run(client) {
      const head = Uint8Array.fromHex("827f4000000000000000");
      const hint = "do not wait for more than you can hold: refuse the frame when you have read its length";
      await breaks(client, head, [1009, 1002], "a frame that is too long", hint);
    },
  },
];

/** Sends a ping: the next frame must be its pong. */
async function answersPing(
  socket: SocketPeer,
  payload: Uint8Array,
  hint = "answer opcode 9 with opcode 10 and the same payload, masked",
): Promise<void> {
  await socket.send(ping, payload);
  const frame = await socket.receive(hint);
  if (frame?.opcode !== pong) fail("a pong", frame ? `a frame with opcode ${frame.opcode}` : "the end", hint);
  sameBytes(frame.payload, payload, hint);
}

const suite: Suite = {
  role: "client",
  about: "a WebSocket client that sends one message, and prints what comes until the server closes",
  given:
    "{url} (URL): ws://127.0.0.1:PORT/…, or {host}, {port} and {target} of it. {text} (TEXT): the message to send.",
  prints:
    "the text of each text message, and of each binary message how many bytes it has; for an error one line, with the " +
    "reason of the server's close frame",
  exits:
    "0 when the server has closed with 1000; another code when it refuses, breaks off, breaks a rule or closes with an error",
  limits:
    "messages have up to 100,000 bytes; the client may offer extensions, the server takes none; where a rule is broken, " +
    "it closes with the code that a check names, or ends the connection",
  sheet: "http/README.md#websocket",
  prepare: orders.prepare,
  checks,
};

export default suite;
