/**
 * Checks for an echo server that serves many clients at once, with threads or in another way.
 *
 * @module
 */
import { connectMany, Peer, reset } from "./_peer.ts";
import { type Random, word } from "./_random.ts";
import { step } from "./_record.ts";
import { inTime, randomOf, sameBytes, type Server, type Suite } from "./_suite.ts";

/** Opens `clients` connections. Each sends `messages` messages of its own and compares the echoes, all at the same time. */
async function crowd(server: Server, clients: number, messages: number, hint: string): Promise<void> {
  const random = randomOf(server);
  const peers = await connectMany(server, clients, (peer) => talk(peer, random, 1, hint));
  try {
    await Promise.all(peers.map((peer) => talk(peer, random, messages, hint)));
  } finally {
    for (const peer of peers) peer.close();
  }
}

async function talk(peer: Peer, random: Random, messages: number, hint: string): Promise<void> {
  for (let n = 0; n < messages; n++) {
    const message = new TextEncoder().encode(`${word(random, 64)}\n`);
    await peer.send(message);
    sameBytes(await peer.upTo(message.length), message, hint);
  }
}

const separate = "give each client its own thread or task, with its own buffer";

const suite: Suite = {
  role: "server",
  about: "an echo server for many clients at once",
  given:
    "{host} and {port} in its command, or HOST and PORT in its environment: where it listens. It needs nothing else.",
  prints: "what you like",
  exits: "it runs until the checker stops it",
  limits: "connections come one after another; up to 100 are open at the same time; messages have 65 bytes",
  sheet: "tcp/README.md#threaded",
  checks: [
    {
      name: "a silent client",
      why: "A client that sends nothing must not delay another.",
      points: 2,
      byHand: "nc {host} {port} & sleep 1; echo hello | nc -N {host} {port}; kill %1",
      async run(server) {
        step("a first client connects and sends nothing");
        using _silent = await Peer.connect(server);
        await crowd(server, 10, 5, separate);
      },
    },
    {
      name: "a hundred clients at once",
      why: "A hundred connections are open at the same time, and each client gets its own bytes back.",
      points: 3,
      needs: ["a silent client"],
      run: (server) => crowd(server, 100, 20, separate),
    },
    {
      name: "a client that never reads",
      why: "A write to this client blocks when the buffers are full: only the thread of this client may wait.",
      points: 2,
      level: "robust",
      needs: ["a silent client"],
      async run(server) {
        step("a client sends until its own buffers and the server's are full, and never reads");
        using notReading = await Peer.connect(server);
        const chunk = new Uint8Array(65536).fill(120);
        // Until a write blocks: from then on the server's write to this client blocks, too.
        for (let i = 0; i < 400; i++) {
          if (await inTime(notReading.conn.write(chunk).catch(() => undefined), 300) === undefined) break;
        }
        await crowd(server, 10, 5, "do not write to one client in the loop that serves the others");
      },
    },
    {
      name: "clients that come and go",
      why: "After two hundred connections were opened and closed, no threads and no descriptors of theirs may be left.",
      points: 2,
      level: "robust",
      needs: ["a silent client"],
      async run(server) {
        for (let i = 0; i < 200; i++) {
          using peer = await Peer.connect(server);
          await talk(peer, randomOf(server), 1, "serve the next client when one has left");
        }
        await crowd(server, 10, 5, "end a client's thread and close its socket when recv returns nothing");
      },
    },
    {
      name: "clients that reset",
      why: "An error in the thread of one client must not affect the others.",
      points: 1,
      level: "robust",
      needs: ["a silent client"],
      async run(server) {
        const resets = (async () => {
          for (let i = 0; i < 10; i++) await reset(server);
        })();
        await Promise.all([resets, crowd(server, 10, 20, "catch the errors of one client in its own thread")]);
      },
    },
  ],
};

export default suite;
