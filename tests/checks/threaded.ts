/**
 * Checks for an echo server that serves many clients at once, on threads or otherwise.
 *
 * @module
 */
import { inTime, Peer, reset, sameBytes, type Server, type Suite } from "./suite.ts";

/** Opens `clients` connections, and has each send `messages` messages of its own and compare what comes back. */
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

const apart = "give each client its own thread or task, with its own buffer";

const suite: Suite = {
  role: "server",
  about: "an echo server for many clients at once",
  checks: [
    {
      name: "a hundred clients at once",
      why: "All are open at the same time, and each gets its own bytes back.",
      points: 3,
      run: (server) => crowd(server, 100, 20, apart),
    },
    {
      name: "a silent client",
      why: "A client that sends nothing must not hold up another.",
      points: 2,
      async run(server) {
        const silent = await Promise.all(Array.from({ length: 10 }, () => Peer.connect(server)));
        try {
          await crowd(server, 10, 5, apart);
        } finally {
          for (const peer of silent) peer.close();
        }
      },
    },
    {
      name: "a client that never reads",
      why: "A write to it blocks once its buffers are full: only its own thread may wait for that.",
      points: 2,
      async run(server) {
        using deaf = await Peer.connect(server);
        const chunk = new Uint8Array(65536).fill(120);
        // Bounded, and until a write is stuck: from then on the server's write to it is stuck as well.
        for (let i = 0; i < 400; i++) {
          if (await inTime(deaf.conn.write(chunk).catch(() => undefined), 300) === undefined) break;
        }
        await crowd(server, 10, 5, "do not write to one client in the loop that serves the others");
      },
    },
    {
      name: "clients that come and go",
      why: "Two hundred connections opened and dropped leave neither threads nor descriptors behind.",
      points: 2,
      async run(server) {
        for (let i = 0; i < 200; i++) (await Peer.connect(server)).close();
        await crowd(server, 10, 5, "end a client's thread and close its socket when recv returns nothing");
      },
    },
    {
      name: "clients that reset",
      why: "An error in one client's thread is that client's alone.",
      points: 1,
      async run(server) {
        const resets = Promise.all(Array.from({ length: 10 }, () => reset(server)));
        await Promise.all([resets, crowd(server, 10, 20, "catch the errors of one client in its own thread")]);
      },
    },
  ],
};

export default suite;
