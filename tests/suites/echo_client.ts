/**
 * Checks for a client of a TCP echo server: here the suite plays the server.
 *
 * @module
 */
import { complained, firstMessage, noServer, playServer, printed, succeeded } from "./_clients.ts";
import type { Peer } from "./_peer.ts";
import type { Suite } from "./_suite.ts";

const afterwards = "close the connection when the echo is complete, and exit";

/** Echoes until the client closes its side, in pieces of `size` bytes. Returns what the client sent. */
async function echo(peer: Peer, size: number): Promise<Uint8Array> {
  const all: number[] = [];
  let data = await firstMessage(peer);
  while (data.length > 0) {
    all.push(...data);
    for (let at = 0; at < data.length; at += size) {
      await peer.send(data.subarray(at, at + size));
      // Pieces that are sent together can be read together: this pause lets the client read the first one alone.
      if (at === 0 && size < data.length) await new Promise((go) => setTimeout(go, 200));
    }
    data = await peer.some(afterwards).catch(() => new Uint8Array());
  }
  await peer.end().catch(() => {}); // the client may have closed both sides already
  return Uint8Array.from(all);
}

/** The first line of what was sent, without its end. */
const firstLine = (sent: Uint8Array) => sent.subarray(0, sent.indexOf(10) < 0 ? sent.length : sent.indexOf(10));

const suite: Suite = {
  role: "client",
  about: "a client of an echo server",
  checks: [
    {
      name: "sends, receives, prints",
      why: "The client sends a message, receives the echo, and prints it.",
      points: 3,
      async run(client) {
        const { program, result: sent } = await playServer(client, afterwards, (peer) => echo(peer, 65536));
        succeeded(program);
        printed(program, firstLine(sent), "print the echo");
      },
    },
    {
      name: "an echo in pieces",
      why: "What one send sent can need several receives: the client must read until it has as many bytes as it sent.",
      points: 2,
      async run(client) {
        const { program, result: sent } = await playServer(client, afterwards, (peer) => echo(peer, 1));
        succeeded(program);
        printed(program, firstLine(sent), "call recv in a loop until the whole echo has arrived");
      },
    },
    {
      name: "a wrong byte",
      why: "The client must compare the echo with what it sent, and report a difference.",
      points: 1,
      async run(client) {
        const { program } = await playServer(client, afterwards, async (peer) => {
          const data = Uint8Array.from(await firstMessage(peer));
          data[0] = (data[0] ?? 0) ^ 1;
          await peer.send(data);
        });
        complained(program, "a byte that differs");
      },
    },
    {
      name: "the server closes early",
      why:
        "If the stream ends in the middle of a message, the client must report an error; it must not wait, or print the part as a message.",
      points: 1,
      async run(client) {
        const { program } = await playServer(client, afterwards, async (peer) => {
          const data = await firstMessage(peer);
          if (data.length > 1) await peer.send(data.subarray(0, data.length - 1));
          await peer.end();
        });
        complained(program, "a stream that ends before the whole echo has arrived");
      },
    },
    noServer,
  ],
};

export default suite;
