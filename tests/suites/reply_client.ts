/**
 * Checks for the client of the first lab, which sends a message and prints the reply: here the suite plays the server.
 *
 * @module
 */
import { complained, firstMessage, noServer, playServer, printed, succeeded } from "./_clients.ts";
import type { Check, Client, Suite } from "./_suite.ts";

const afterwards = "close the connection after the reply, and exit";

const prints = (name: string, why: string, points: number, text: string): Check<Client> => ({
  name,
  why,
  points,
  async run(client) {
    const reply = new TextEncoder().encode(text);
    const { program } = await playServer(client, afterwards, async (peer) => {
      await firstMessage(peer);
      await peer.send(reply);
    });
    succeeded(program);
    printed(program, reply, "print the reply");
  },
});

const suite: Suite = {
  role: "client",
  about: "a client that sends a message and prints the reply",
  checks: [
    prints(
      "sends, receives, prints",
      "The first lab: send a message, receive the reply, print it.",
      4,
      "Hello from the checks!",
    ),
    prints("a reply in UTF-8", "A reply may contain more than ASCII: decode it as UTF-8.", 1, "Grüße, 世界"),
    {
      name: "the server closes without a reply",
      why: "The end of the stream is not a reply: the client must report an error, and must not wait.",
      points: 1,
      async run(client) {
        const { program } = await playServer(client, afterwards, async (peer) => {
          await firstMessage(peer);
          await peer.end();
        });
        complained(program, "a stream that ends before a reply");
      },
    },
    noServer,
  ],
};

export default suite;
