/**
 * Checks for TCP clients: here the suite plays the server.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import type { Program } from "../program.ts";
import {
  type Check,
  type Client,
  complained,
  fail,
  inTime,
  limits,
  noServer,
  Peer,
  quote,
  type Suite,
} from "./suite.ts";

/** A server for one client: `serve` talks to it. Returns the client's program once it has ended. */
async function play(client: Client, serve: (peer: Peer, program: Program) => Promise<void>): Promise<Program> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const program = client.start(listener.addr.port);
  try {
    const conn = await inTime(listener.accept(), limits.patience * 2);
    if (!conn) {
      fail("a connection", `none in ${limits.patience * 2 / 1000} s`, "connect to the host and port it is given");
    }
    using peer = new Peer(conn);
    await serve(peer, program);
    // The client is to end by itself while the connection is still open on this side.
    const ended = await inTime(program.ended, limits.patience * 2);
    if (!ended) fail("the client to end", `it still runs ${limits.patience * 2 / 1000} s later`, "close, and exit");
    return program;
  } finally {
    listener.close();
    await program.stop();
  }
}

/** What the client sends first. */
async function first(peer: Peer): Promise<Uint8Array> {
  const data = await peer.some("send a message after connecting");
  if (data.length === 0) fail("a message", "the end of the connection", "send a message before you close");
  return data;
}

/** Echoes all that comes until the client closes, in pieces of `size` bytes. */
async function echo(peer: Peer, size: number, start?: Uint8Array): Promise<Uint8Array> {
  const all: number[] = [];
  let data = start ?? await first(peer);
  while (data.length > 0) {
    all.push(...data);
    for (let at = 0; at < data.length; at += size) {
      await peer.send(data.subarray(at, at + size));
      // Time for the client to read the first piece alone: what comes at once can be read at once.
      if (at === 0 && size < data.length) await new Promise((go) => setTimeout(go, 200));
    }
    data = await peer.some("close the connection when you are done").catch(() => new Uint8Array());
  }
  await peer.end().catch(() => {}); // it may have closed both sides already
  return Uint8Array.from(all);
}

function succeeded(program: Program): void {
  if (program.status?.code !== 0) {
    fail("exit code 0", `${program.status?.code}: ${printable(program.tail(1))}`, "exit with 0 when all went well");
  }
}

function printed(program: Program, text: Uint8Array, hint: string): void {
  const wanted = new TextDecoder().decode(text).trim();
  if (!program.stdout.includes(wanted)) fail(`${quote(text)} on stdout`, `"${printable(program.stdout)}"`, hint);
}

/** Checks for a client of an echo server. */
export const echoClient: Suite = {
  role: "client",
  about: "a client of an echo server",
  checks: [
    {
      name: "sends, receives, prints",
      why: "The lab: a message goes out, comes back, and is shown.",
      points: 3,
      async run(client) {
        let sent = new Uint8Array();
        const program = await play(client, async (peer) => void (sent = Uint8Array.from(await echo(peer, 65536))));
        succeeded(program);
        printed(
          program,
          sent.subarray(0, sent.indexOf(10) < 0 ? sent.length : sent.indexOf(10)),
          "print what came back",
        );
      },
    },
    {
      name: "an echo in pieces",
      why: "One send can come back as many receives: the client must go on until it has as many bytes as it sent.",
      points: 2,
      async run(client) {
        let sent = new Uint8Array();
        const program = await play(client, async (peer) => void (sent = Uint8Array.from(await echo(peer, 1))));
        succeeded(program);
        printed(program, sent.subarray(0, sent.indexOf(10) < 0 ? sent.length : sent.indexOf(10)), "loop over recv");
      },
    },
    {
      name: "a wrong byte",
      why: "An echo that differs is not an echo: a client that checks nothing shows nothing.",
      points: 1,
      async run(client) {
        const program = await play(client, async (peer) => {
          const data = Uint8Array.from(await first(peer));
          data[0] = (data[0] ?? 0) ^ 1;
          await peer.send(data);
        });
        complained(program, "a byte that differs");
      },
    },
    {
      name: "the server closes early",
      why:
        "The end of the stream in the middle of a message is an error, not a message, and not a reason to wait for ever.",
      points: 1,
      async run(client) {
        const program = await play(client, async (peer) => {
          const data = await first(peer);
          if (data.length > 1) await peer.send(data.subarray(0, data.length - 1));
          await peer.end();
        });
        complained(program, "an end of the stream before all has come back");
      },
    },
    noServer,
  ],
};

const replies = (name: string, why: string, points: number, text: string): Check<Client> => ({
  name,
  why,
  points,
  async run(client) {
    const reply = new TextEncoder().encode(text);
    const program = await play(client, async (peer) => {
      await first(peer);
      await peer.send(reply);
    });
    succeeded(program);
    printed(program, reply, "print the reply");
  },
});

/** Checks for the first lab's client: it sends a message and prints the reply. */
export const replyClient: Suite = {
  role: "client",
  about: "a client that sends a message and prints the reply",
  checks: [
    replies("sends, receives, prints", "The lab.", 4, "Hello from the checks!"),
    replies("a reply in UTF-8", "Text is more than ASCII.", 1, "Grüße, 世界"),
    {
      name: "the server closes without a reply",
      why: "The end of the stream is not a reply, and not a reason to wait for ever.",
      points: 1,
      async run(client) {
        const program = await play(client, async (peer) => {
          await first(peer);
          await peer.end();
        });
        complained(program, "an end of the stream instead of a reply");
      },
    },
    noServer,
  ],
};
