/**
 * Checks for a TCP echo server (RFC 862), which sends back what it receives from each client until the client ends its side.
 *
 * @module
 */
import { Peer, reset } from "./_peer.ts";
import { fail, inTime, quote, sameBytes, type Server, type Suite } from "./_suite.ts";

/** Letters that do not repeat after any power of two, so that a lost or repeated piece does not go unnoticed. */
const letters = (size: number) => Uint8Array.from({ length: size }, (_, i) => 97 + (i * 7 + (i >> 8)) % 26);

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

const suite: Suite = {
  role: "server",
  about: "a TCP echo server",
  checks: [
    {
      name: "exact bytes",
      why: "An echo server sends back exactly the bytes it received.",
      points: 2,
      async run(server) {
        using peer = await Peer.connect(server);
        await echoes(peer, "Hello, echo!\r\n", "send back what recv returned, all of it and nothing added");
        await peer.end();
        const rest = await peer.upTo(100);
        if (rest.length > 0) fail("no more bytes", quote(rest), "send back only what was received");
      },
    },
    {
      name: "binary 0–255",
      why: "A byte stream is not text: decoding it loses the bytes that are not valid UTF-8.",
      points: 1,
      run: (server) =>
        client(server, Uint8Array.from({ length: 256 }, (_, i) => i), "echo the bytes; do not decode them to a string"),
    },
    {
      name: "1 MiB",
      why: "A message larger than any buffer arrives in many chunks, and write may take only a part of one.",
      points: 2,
      run: (server) => client(server, letters(1 << 20), "loop until recv returns nothing, and use sendall"),
    },
    {
      name: "one byte at a time",
      why: "TCP may cut a stream anywhere: a server that waits for a full buffer or a line never answers.",
      points: 1,
      async run(server) {
        using peer = await Peer.connect(server);
        for (const letter of "byte by byte") {
          await echoes(peer, letter, "send back what has arrived, without waiting for more");
        }
      },
    },
    {
      name: "many small writes",
      why: "TCP may join separate writes: a thousand writes can arrive in one read.",
      points: 1,
      async run(server) {
        using peer = await Peer.connect(server);
        const all = letters(10_000);
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
      async run(server) {
        using peer = await Peer.connect(server);
        const sent = letters(300_000);
        const sending = peer.send(sent).then(() => peer.end()).catch(() => {});
        const [got] = await Promise.all([peer.upTo(sent.length + 1), sending]);
        sameBytes(got, sent, "recv returns nothing when the client has sent everything: send the rest, then close");
        if (await inTime(peer.conn.read(new Uint8Array(1)).catch(() => 0)) !== null) {
          fail("the end of the stream", "a connection left open", "close the connection when recv returns nothing");
        }
      },
    },
    {
      name: "ten clients in turn",
      why: "A server must serve every client, not only the first.",
      points: 1,
      async run(server) {
        for (let i = 0; i < 10; i++) await client(server, `client ${i}`, "call accept again when a client has left");
      },
    },
    {
      name: "fifty at once, one of them silent",
      why: "While one client sends nothing, the others must be served.",
      points: 3,
      async run(server) {
        using _silent = await Peer.connect(server);
        const peers = await Promise.all(Array.from({ length: 49 }, () => Peer.connect(server)));
        try {
          const hint = "give each client its own thread or task, or use select";
          await Promise.all(peers.map((peer, i) => echoes(peer, `I am client ${i}`, hint)));
        } finally {
          for (const peer of peers) peer.close();
        }
      },
    },
    {
      name: "a client that resets",
      why: "A client that resets its connection (RST) must not end the server.",
      points: 1,
      async run(server) {
        for (let i = 0; i < 5; i++) await reset(server);
        await client(server, "still there?", "catch the error of recv and send, and serve the next client");
      },
    },
  ],
};

export default suite;
