/**
 * Checks for the client of the first lab, which sends a message and prints the reply: here the suite plays the server.
 *
 * @module
 */
import { complained, firstMessage, noServer, playServer, printed, succeeded } from "./_clients.ts";
import { words } from "./_random.ts";
import { type Check, type Client, randomOf, type Suite } from "./_suite.ts";

const needs = ["sends, receives, prints"];
const afterwards = "close the connection after the reply, and exit";

const prints = (name: string, why: string, points: number, start: string): Check<Client> => ({
  name,
  why,
  points,
  needs: start === "" ? [] : needs,
  byHand: "nc -l {port}    (in a second terminal: your client; then type a reply)",
  async run(client) {
    const reply = new TextEncoder().encode(`${start}${words(randomOf(client), 4)}`);
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
  given: "{host} and {port} (HOST, PORT): the server",
  prints: "the reply, on stdout, in UTF-8; what you like before and after it",
  exits:
    "0 after a reply; another code and one line about it when the server closes without one, or when no server listens",
  limits: "the message is any text, at least one byte; it ends by itself, at most twice --timeout after the reply",
  sheet: "tcp/README.md#reply",
  checks: [
    prints(
      "sends, receives, prints",
      "The first lab: send a message, receive the reply, print it.",
      4,
      "",
    ),
    prints("a reply in UTF-8", "A reply may contain more than ASCII: decode it as UTF-8.", 1, "Grüße, 世界 "),
    {
      name: "the server closes without a reply",
      why: "The end of the stream is not a reply: the client must report an error, and must not wait.",
      points: 1,
      level: "robust",
      needs,
      async run(client) {
        const { program } = await playServer(client, afterwards, async (peer) => {
          await firstMessage(peer);
          await peer.end();
        });
        complained(program, "a stream that ends before a reply");
      },
    },
    { ...noServer, needs, level: "robust" },
  ],
};

export default suite;
