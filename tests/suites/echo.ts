/**
 * Checks for a TCP echo server (RFC 862), which sends back what it receives from each client until the client ends its side.
 *
 * @module
 */
import { connectMany, Peer, reset } from "./_peer.ts";
import { type Random, words } from "./_random.ts";
import { byHand, step } from "./_record.ts";
import { fail, Gone, inTime, quote, randomOf, sameBytes, type Server, type Suite } from "./_suite.ts";

/** Random letters. Many are the same ones again and again, in a length that no buffer has: 16 MiB by chance take seconds. */
function letters(random: Random, size: number): Uint8Array<ArrayBuffer> {
  const part = random.bytes(Math.min(size, 262_139)).map((byte) => 97 + byte % 26);
  const all = new Uint8Array(size);
  for (let at = 0; at < size; at += part.length) all.set(part.subarray(0, size - at), at);
  return all;
}

/** A line of random words. A server that waits for line ends answers it; other checks catch that mistake. */
const aLine = (server: Server) => `${words(randomOf(server), 3)}\n`;

async function echoes(peer: Peer, data: Uint8Array | string, hint: string): Promise<void> {
  const sent = typeof data === "string" ? new TextEncoder().encode(data) : data;
  // Not awaited: the echo of a large message arrives while the message is still being sent. What could not be sent is
  // missing in the echo.
  const sending = peer.send(sent).catch(() => {});
  const [got] = await Promise.all([peer.upTo(sent.length), sending]);
  sameBytes(got, sent, hint);
}

async function client(server: Server, data: Uint8Array | string, hint: string): Promise<void> {
  using peer = await Peer.connect(server);
  await echoes(peer, data, hint);
}

const exact = ["exact bytes"];
const several = [...exact, "one byte at a time"];

const suite: Suite = {
  role: "server",
  about: "a TCP echo server",
  given:
    "{host} and {port} in its command, or HOST and PORT in its environment: where it listens. It needs nothing else.",
  prints: "what you like",
  exits: "it runs until the checker stops it",
  limits: "connections come one after another; up to 50 are open at the same time; a message has up to 16 MiB",
  sheet: "tcp/README.md#echo",
  checks: [
    {
      name: "exact bytes",
      why: "An echo server sends back exactly the bytes it received (RFC 862).",
      points: 2,
      async run(server) {
        const text = `  ${words(randomOf(server), 3)} \r\n`;
        byHand(`printf '${text.replace("\r\n", "\\r\\n")}' | nc -N ${server.hostname} ${server.port} | xxd`);
        using peer = await Peer.connect(server);
        await echoes(peer, text, "send back what recv returned, all of it and nothing added");
        await peer.end();
        const rest = await peer.upTo(100);
        if (rest.length > 0) fail("no more bytes", quote(rest), "send back only what was received");
      },
    },
    {
      name: "one byte at a time",
      why:
        "TCP may cut a stream anywhere: a server must not wait for a full buffer or a line, and not stop after one message.",
      points: 1,
      needs: exact,
      byHand: "(printf a; sleep 1; printf b; sleep 1) | nc {host} {port}",
      async run(server) {
        using peer = await Peer.connect(server);
        for (const letter of letters(randomOf(server), 12)) {
          await echoes(
            peer,
            Uint8Array.of(letter),
            "call recv in a loop until it returns nothing, and send back what it returns at once, without waiting for more",
          );
        }
      },
    },
    {
      name: "binary 0–255",
      why: "A byte stream is not text: decoding it loses the bytes that are not valid UTF-8.",
      points: 1,
      needs: exact,
      byHand: "printf '\\000\\377\\n' | nc -N {host} {port} | xxd",
      async run(server) {
        const first = randomOf(server).integer(1, 255);
        const all = Array.from({ length: 256 }, (_, i) => (first + i) % 256);
        await client(server, Uint8Array.of(...all, 10), "echo the bytes; do not decode them to a string");
      },
    },
    {
      name: "words that look like commands",
      why: "An echo server has no commands: only the client's end of the stream ends a connection.",
      points: 1,
      needs: several,
      async run(server) {
        using peer = await Peer.connect(server);
        for (const word of ["quit", "exit", "bye", "END", "", "."]) {
          await echoes(peer, `${word}\n${aLine(server)}`, `send back "${word}" like any other text, and go on`);
          if (await peerEnded(peer)) {
            fail("an open connection", `its end after "${word}"`, "no text ends the connection");
          }
        }
      },
    },
    {
      name: "1 MiB",
      why: "A message larger than any buffer arrives in many chunks, and write may take only a part of one.",
      points: 2,
      needs: several,
      byHand: "head -c 1048576 /dev/urandom > sent; nc -N {host} {port} < sent | cmp - sent",
      run: (server) =>
        client(server, letters(randomOf(server), 1 << 20), "loop until recv returns nothing, and use sendall"),
    },
    {
      name: "many small writes",
      why: "TCP may join separate writes: a thousand writes can arrive in one read.",
      points: 1,
      needs: several,
      async run(server) {
        using peer = await Peer.connect(server);
        const all = letters(randomOf(server), 10_000);
        const sending = (async () => {
          for (let at = 0; at < all.length; at += 10) await peer.send(all.subarray(at, at + 10));
        })().catch(() => {});
        const [got] = await Promise.all([peer.upTo(all.length), sending]);
        sameBytes(got, all, "loop: one recv may hold many messages, or half of one");
      },
    },
    {
      name: "half-close",
      why:
        "A client that has ended its side (FIN) may still read: the server must send the rest and then end its side, too.",
      points: 2,
      needs: ["1 MiB"],
      byHand: "seq 50000 | nc -N {host} {port} | tail -1",
      async run(server) {
        using peer = await Peer.connect(server);
        const sent = letters(randomOf(server), 300_000);
        const sending = peer.send(sent).then(() => peer.end()).catch(() => {});
        const [got] = await Promise.all([peer.upTo(sent.length), sending]);
        sameBytes(got, sent, "recv returns nothing when the client has sent everything: send the rest, then close");
        const more = await inTime(peer.conn.read(new Uint8Array(1)).catch(() => 0));
        if (more === undefined) {
          fail("the end of the stream", "a connection left open", "close the connection when recv returns nothing");
        }
      },
    },
    {
      name: "ten clients in turn",
      why: "A server must serve every client, not only the first.",
      points: 1,
      needs: exact,
      byHand: "for i in 1 2 3; do echo $i | nc -N {host} {port}; done",
      async run(server) {
        for (let i = 0; i < 10; i++) await client(server, aLine(server), "call accept again when a client has left");
      },
    },
    {
      name: "fifty at once, one of them silent",
      why: "While one client sends nothing, the others must be served.",
      points: 3,
      level: "robust",
      needs: ["ten clients in turn"],
      byHand: "nc {host} {port} & sleep 1; echo hello | nc -N {host} {port}; kill %1",
      async run(server) {
        step("a first client connects and sends nothing");
        using _silent = await Peer.connect(server);
        const hint =
          "the server accepts nobody else while it serves the first: give each client its own thread or task";
        const peers = await connectMany(server, 49, (peer) => echoes(peer, aLine(server), hint));
        for (const peer of peers) peer.close();
      },
    },
    {
      name: "a slow reader",
      why: "A client may read late: send then takes only a part of the bytes, and the server must send the rest later.",
      points: 2,
      level: "robust",
      needs: ["1 MiB"],
      byHand: "head -c 16777216 /dev/zero | nc -N {host} {port} | (sleep 2; wc -c)",
      async run(server) {
        using peer = await Peer.connect(server);
        const all = letters(randomOf(server), 1 << 24);
        let done = 0;
        step("the checker sends 16 MiB, and reads nothing until they no longer fit");
        const sending = (async () => {
          for (; done < all.length; done += 1 << 16) await peer.send(all.subarray(done, done + (1 << 16)));
          await peer.end(); // a server that keeps what it cannot send yet must send it also after this
        })().catch(() => {});
        for (let before = -1; before !== done && done < all.length;) {
          before = done;
          await inTime(sending, 300);
        }
        const [got] = await Promise.all([peer.upTo(all.length), sending]);
        sameBytes(
          got,
          all,
          "send may take a part only: use sendall, or send the rest when the socket is writable, and close after that",
        );
      },
    },
    {
      name: "a client that resets",
      why: "A client that resets its connection (RST) must not end the server.",
      points: 1,
      level: "robust",
      needs: ["ten clients in turn"],
      async run(server) {
        for (let i = 0; i < 5; i++) await reset(server);
        await client(server, aLine(server), "catch the error of recv and send, and serve the next client");
      },
    },
  ],
};

/** Whether the program has ended the connection. */
async function peerEnded(peer: Peer): Promise<boolean> {
  try {
    await peer.send("still here?\n");
    return (await peer.upTo(12)).length < 12;
  } catch (error) {
    if (error instanceof Gone) return true;
    throw error;
  }
}

export default suite;
