/**
 * Checks for the server of the first lab, which replies to each message of a client with any text.
 *
 * @module
 */
import { Peer, reset } from "./_peer.ts";
import { words } from "./_random.ts";
import { fail, Gone, randomOf, type Server, type Suite } from "./_suite.ts";

async function ask(peer: Peer, message: string | Uint8Array, hint: string): Promise<Uint8Array> {
  await peer.send(message);
  const reply = await peer.some(hint);
  if (reply.length === 0) fail("a reply", "the end of the connection", hint);
  return reply;
}

async function client(server: Server, message: string | Uint8Array, hint: string): Promise<void> {
  using peer = await Peer.connect(server);
  await ask(peer, message, hint);
}

const atOnce =
  "reply after the first recv: a message has no line end, and the client does not close before it has its reply";

const suite: Suite = {
  role: "server",
  about: "a TCP server that replies to messages",
  given:
    "{host} and {port} in its command, or HOST and PORT in its environment: where it listens. It needs nothing else.",
  prints: "what you like",
  exits: "it runs until the checker stops it",
  limits:
    "a message is text without a line end, and the client waits for its reply before it sends another or closes; a reply is " +
    "any text, at least one byte; one client at a time, except in the last check",
  sheet: "tcp/README.md#reply",
  checks: [
    {
      name: "answers a message",
      why: "The first lab: the client sends a message, the server replies.",
      points: 4,
      byHand: "(printf hello; sleep 1) | nc {host} {port}",
      run: (server) => client(server, `Hello from ${words(randomOf(server), 2)}!`, atOnce),
    },
    {
      name: "answers a client that ends its side",
      why: "A client may end its side (FIN) as soon as it has sent its message; it still waits for the reply.",
      points: 1,
      needs: ["answers a message"],
      byHand: "printf hello | nc -N {host} {port}",
      async run(server) {
        using peer = await Peer.connect(server);
        await peer.send("That is all.");
        await peer.end();
        const reply = await peer.some("reply to what was received even when the client has ended its side");
        if (reply.length === 0) fail("a reply", "the end of the connection", "reply before you close");
      },
    },
    {
      name: "the next client",
      why: "After a client has left, the server must serve the next one.",
      points: 2,
      needs: ["answers a message"],
      async run(server) {
        for (let i = 1; i <= 3; i++) await client(server, `I am client ${i}`, "call accept in a loop");
      },
    },
    {
      name: "bytes that are not text",
      why: "A client can send any bytes: a byte that is not valid UTF-8 must not end the server.",
      points: 1,
      level: "robust",
      needs: ["answers a message", "the next client"],
      async run(server) {
        {
          using peer = await Peer.connect(server);
          await peer.send(Uint8Array.of(0xff, 0xfe, 0, 0x1b, 0x80));
          await peer.some("decode with errors='replace', or print the bytes").catch(() => {}); // it need not reply to these
        } // closed: a server may serve one client at a time
        await client(
          server,
          "still there?",
          "decode with errors='replace', or catch the error and serve the next client",
        );
      },
    },
    {
      name: "a client that says nothing",
      why: "A client may connect and leave: recv then returns nothing, which is not a message.",
      points: 1,
      level: "robust",
      needs: ["answers a message", "the next client"],
      async run(server) {
        {
          using silent = await Peer.connect(server);
          await silent.end();
          await silent.some("close").catch(() => {}); // so that the server has met it before the next one comes
        }
        await client(
          server,
          "still there?",
          "when recv returns nothing, close the connection and accept the next client",
        );
      },
    },
    {
      name: "a client that resets",
      why: "A client that resets its connection (RST) must not end the server.",
      points: 1,
      level: "robust",
      needs: ["answers a message", "the next client", "a client that says nothing"],
      async run(server) {
        for (let i = 0; i < 3; i++) await reset(server);
        // Not one alone: a thread may meet the reset only while another serves the next client.
        for (let i = 0; i < 3; i++) {
          await client(server, "still there?", "catch the error of recv and send, and accept the next client");
        }
      },
    },
    {
      name: "a conversation",
      why: "A connection can carry more than one message: each gets a reply, until the client closes.",
      points: 2,
      needs: ["answers a message", "the next client"],
      byHand: "(echo one; sleep 1; echo two; sleep 1) | nc {host} {port}",
      async run(server) {
        const hint = "loop over recv and send until recv returns nothing";
        using peer = await Peer.connect(server);
        for (const message of ["one", "two", "three"]) {
          try {
            await ask(peer, message, hint);
          } catch (error) {
            // Who closes after the first reply, and has not read the second message, resets the connection.
            if (error instanceof Gone && message !== "one") {
              fail(`a reply to "${message}"`, "a closed connection", hint);
            }
            throw error;
          }
        }
      },
    },
    {
      name: "a silent client at the same time",
      why: "While one client sends nothing, the next must be served.",
      points: 2,
      level: "robust",
      needs: ["answers a message", "the next client"],
      async run(server) {
        using _silent = await Peer.connect(server);
        await client(server, "Me too?", "give each client its own thread or task, or use select");
      },
    },
  ],
};

export default suite;
