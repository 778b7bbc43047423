/**
 * Checks for an echo server that serves many clients at once, with threads or in another way.
 *
 * @module
 */
import { Peer, reset } from "./_peer.ts";
import { inTime, sameBytes, type Server, type Suite } from "./_suite.ts";

/** Opens `clients` connections. Each sends `messages` messages of its own and compares the echoes. */
async function crowd(server: Server, clients: number, messages: number, hint: string): Promise<void> {
  const peers = await Promise.all(Array.from({ length: clients }, () => Peer.connect(server)));
  try {
    await Promise.all(peers.map(async (peer, i) => {
      for (let n = 0; n < messages; n++) {
        const message = new TextEncoder().encode(`client ${i} says ${n}; `.repeat(4));
        await peer.send(message);
        sameBytes(await peer.upTo(message.length), message, hint);
      }
    }));
  } finally {
    for (const peer of peers) peer.close();
  }
}

const separate = "give each client its own thread or task, with its own buffer";

const suite: Suite = {
  role: "server",
  about: "an echo server for many clients at once",
  checks: [
    {
      name: "a hundred clients at once",
      why: "A hundred connections are open at the same time, and each client gets its own bytes back.",
      points: 3,
      run: (server) => crowd(server, 100, 20, separate),
    },
    {
      name: "a silent client",
      why: "A client that sends nothing must not delay another.",
      points: 2,
      async run(server) {
        const silent = await Promise.all(Array.from({ length: 10 }, () => Peer.connect(server)));
        try {
          await crowd(server, 10, 5, separate);
        } finally {
          for (const peer of silent) peer.close();
        }
      },
    },
    {
      name: "a client that never reads",
      why: "A write to this client blocks when the buffers are full: only the thread of this client may wait.",
      points: 2,
      async run(server) {
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
      async run(server) {
        for (let i = 0; i < 200; i++) (await Peer.connect(server)).close();
        await crowd(server, 10, 5, "end a client's thread and close its socket when recv returns nothing");
      },
    },
    {
      name: "clients that reset",
      why: "An error in the thread of one client must not affect the others.",
      points: 1,
      async run(server) {
        const resets = Promise.all(Array.from({ length: 10 }, () => reset(server)));
        await Promise.all([resets, crowd(server, 10, 20, "catch the errors of one client in its own thread")]);
      },
    },
  ],
};

export default suite;
