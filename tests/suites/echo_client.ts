/**
 * Checks for a client of a TCP echo server: here the suite plays the server.
 *
 * @module
 */
import { complained, firstMessage, noServer, playServer, printed, succeeded } from "./_clients.ts";
import type { Peer } from "./_peer.ts";
import { words } from "./_random.ts";
import { type Client, contentOf, fail, Gone, inSeconds, limits, quote, type Suite } from "./_suite.ts";

const afterwards = "close the connection when the echo is complete, and exit";

/** What the client sends next: nothing when it has closed the connection. */
async function next(peer: Peer): Promise<Uint8Array> {
  try {
    return await peer.some(afterwards);
  } catch (error) {
    if (error instanceof Gone) return new Uint8Array(); // closed with bytes that it has not read
    const hint =
      "close it when you have as many bytes as you sent: the server ends its side only after you have ended yours";
    fail("the end of the connection", `none in ${inSeconds(limits.patience)}`, hint);
  }
}

/** Echoes until the client closes its side, in pieces of `size` bytes. Returns what the client sent. */
async function echo(peer: Peer, size: number, wrong = false): Promise<Uint8Array> {
  const all: number[] = [];
  let data = await firstMessage(peer);
  while (data.length > 0) {
    const first = all.length === 0;
    all.push(...data);
    if (wrong && first) data = data.map((byte, i) => i === 0 ? byte ^ 1 : byte);
    for (let at = 0; at < data.length; at += size) {
      await peer.send(data.subarray(at, at + size));
      // Pieces that are sent together can be read together: this pause lets the client read the first one alone.
      if (at === 0 && size < data.length) await new Promise((go) => setTimeout(go, 200));
    }
    data = await next(peer);
  }
  await peer.end().catch(() => {}); // the client may have closed both sides already
  return Uint8Array.from(all);
}

/** The message that the client is told to send. */
const orders = contentOf((random) => {
  const text = words(random, 4);
  return { content: { text }, values: { text } };
});

/** Fails unless the client has sent the text that it was given, with a line end or without. */
function sentText(client: Client, sent: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(orders.of(client).text);
  const got = sent.subarray(0, sent.findLastIndex((byte) => byte !== 10 && byte !== 13) + 1);
  const hint = "send the text that is given as {text}, or in the environment variable TEXT, and nothing else";
  if (!text.every((byte, i) => byte === got[i]) || got.length !== text.length) fail(quote(text), quote(sent), hint);
  return text;
}

const needs = ["sends, receives, prints"];

const suite: Suite = {
  role: "client",
  about: "a client of an echo server",
  given: "{host} and {port} (HOST, PORT): the server. {text} (TEXT): the message, a line of words without a line end.",
  prints: "the echo, on stdout; what you like before and after it",
  exits:
    "0 when the whole echo has come back; another code and one line about it when a byte differs, when the server " +
    "closes early, and when no server listens",
  limits: "it ends by itself, at most twice --timeout after the last byte",
  sheet: "tcp/README.md#echo",
  prepare: orders.prepare,
  checks: [
    {
      name: "sends, receives, prints",
      why: "The client sends a message, receives the echo, and prints it.",
      points: 3,
      byHand: "nc -l {port}    (in a second terminal: your client; what you see is what it sent)",
      async run(client) {
        const { program, result: sent } = await playServer(client, afterwards, (peer) => echo(peer, 65536));
        succeeded(program);
        printed(program, sentText(client, sent), "print the echo");
      },
    },
    {
      name: "an echo in pieces",
      why: "What one send sent can need several receives: the client must read until it has as many bytes as it sent.",
      points: 2,
      needs,
      async run(client) {
        const { program, result: sent } = await playServer(client, afterwards, (peer) => echo(peer, 1));
        succeeded(program);
        printed(program, sentText(client, sent), "call recv in a loop until the whole echo has arrived");
      },
    },
    {
      name: "a wrong byte",
      why: "The client must compare the echo with what it sent, and report a difference.",
      points: 1,
      level: "robust",
      needs,
      async run(client) {
        const { program } = await playServer(client, afterwards, (peer) => echo(peer, 65536, true));
        complained(program, "a byte that differs");
      },
    },
    {
      name: "the server closes early",
      why:
        "If the stream ends in the middle of a message, the client must report an error; it must not wait, or print the part as a message.",
      points: 1,
      level: "robust",
      needs,
      async run(client) {
        const { program } = await playServer(client, afterwards, async (peer) => {
          const data = await firstMessage(peer);
          if (data.length > 1) await peer.send(data.subarray(0, data.length - 1));
          await peer.end();
        });
        complained(program, "a stream that ends before the whole echo has arrived");
      },
    },
    { ...noServer, needs, level: "robust" },
  ],
};

export default suite;
