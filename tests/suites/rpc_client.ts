/**
 * Checks for a client of JSON-RPC 2.0 over TCP that calls `add`: here the suite plays the server.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { encodeFrame } from "../../tcp/_rpc_frames.ts";
import type { Json } from "../../tcp/_rpc_message.ts";
import { complained, noServer, playServer, succeeded } from "./_clients.ts";
import { isObject, readMessage } from "./_rpc_peer.ts";
import type { Peer } from "./_peer.ts";
import { words } from "./_random.ts";
import { step } from "./_record.ts";
import { type Check, type Client, contentOf, fail, Gone, randomOf, type Suite } from "./_suite.ts";

const orders = contentOf((random) => {
  const content = { a: random.integer(1, 9999), b: random.integer(1, 9999) };
  return { content, values: { a: `${content.a}`, b: `${content.b}` } };
});

/** What the server sends back to the call with this id. */
type Answer = (peer: Peer, id: Json, result: number) => Promise<void>;

const framed = (message: Json): Uint8Array => encodeFrame("headers", JSON.stringify(message));
const resultOf = (id: Json, result: Json): Json => ({ jsonrpc: "2.0", id, result });
const errorOf = (id: Json, code: number, message: string): Json => ({ jsonrpc: "2.0", id, error: { code, message } });

/** Reads the call, and checks it. @returns its id */
async function readCall(peer: Peer, { a, b }: { a: number; b: number }): Promise<Json> {
  const hint =
    'send {"jsonrpc": "2.0", "id": 1, "method": "add", "params": [A, B]} behind Content-Length: NUMBER\\r\\n\\r\\n';
  const { message } = await readMessage(peer, new Uint8Array(), hint);
  const call = isObject(message) ? message : {};
  const { id, method, params } = call;
  const shown = printable(JSON.stringify(message));
  if (call.jsonrpc !== "2.0") fail('"jsonrpc": "2.0" in the call', shown, hint);
  if (method !== "add") fail('"method": "add"', shown, hint);
  if (typeof id !== "number" && typeof id !== "string") {
    fail(
      "an id that is a number or a text",
      shown,
      "without an id a call is a notification, and gets no response (§4.1)",
    );
  }
  const given = Array.isArray(params) ? params : isObject(params) ? [params.a, params.b] : [];
  if (given.length !== 2 || given[0] !== a || given[1] !== b) {
    fail(`the parameters ${a} and ${b}, as numbers`, shown, "send the numbers {a} and {b}, which are also in A and B");
  }
  return id;
}

/** Plays the server for one run of the client. The result is not the sum: the client prints what it receives. */
async function play(client: Client, answer: Answer) {
  const order = orders.of(client);
  const result = randomOf(client).integer(1_000_000, 9_000_000);
  const { program } = await playServer(client, "end when the response has come", async (peer) => {
    const id = await readCall(peer, order);
    await answer(peer, id, result).catch((error) => {
      if (!(error instanceof Gone)) throw error; // it did not wait for all: what it has printed tells
    });
  });
  return { program, result };
}

/** The client must print the result. */
async function answered(client: Client, answer: Answer, hint: string): Promise<void> {
  const { program, result } = await play(client, answer);
  if (!program.stdout.includes(`${result}`)) fail(`${result} on stdout`, `"${printable(program.tail(3))}"`, hint);
  succeeded(program);
}

const needs = ["a call"];

const takes = (
  name: string,
  why: string,
  points: number,
  level: Check<Client>["level"],
  hint: string,
  answer: Answer,
) => ({
  ...{ name, why, points, level, needs },
  run: (client: Client) => answered(client, answer, hint),
});

const complains = (name: string, why: string, level: Check<Client>["level"], about: string, answer: Answer) => ({
  ...{ name, why, points: 1, level, needs: [...needs, "an error", "no server"] },
  async run(client: Client) {
    complained((await play(client, answer)).program, about);
  },
});

const pause = (milliseconds: number) => new Promise((go) => setTimeout(go, milliseconds));

const checks: Check<Client>[] = [
  {
    name: "a call",
    why:
      "JSON-RPC §4, §5: the client calls add with two numbers, and prints the result that the server sends, whatever it is.",
    points: 4,
    run: (client) =>
      answered(
        client,
        (peer, id, result) => peer.send(framed(resultOf(id, result))),
        "print the result of the response",
      ),
  },
  {
    name: "an error",
    why:
      "JSON-RPC §5.1: instead of a result an error may come. The client prints its message, and its exit code is not 0.",
    points: 2,
    needs,
    async run(client) {
      const message = `Grüße 世界 ${words(randomOf(client), 2)}`;
      const { program } = await play(client, (peer, id) => peer.send(framed(errorOf(id, -32000, message))));
      complained(program, "the error that the server has sent");
      const printed = program.stdout + program.stderr;
      if (!printed.includes(message)) {
        const hint = "print the message of the error; Content-Length counts bytes, and a letter may have several";
        fail(`"${message}" in the output`, `"${printable(program.tail(3))}"`, hint);
      }
    },
  },
  { ...noServer, needs: [...needs, "an error"] },
  takes(
    "a response in single bytes",
    "TCP is a stream: one recv may return half of a header.",
    2,
    "robust",
    "collect bytes until the empty line is there, then until the body is as long as Content-Length says",
    async (peer, id, result) => {
      for (const byte of framed(resultOf(id, result))) {
        await peer.send(Uint8Array.of(byte));
        await pause(2);
      }
    },
  ),
  {
    ...takes(
      "a notification first",
      "JSON-RPC §4.1: the server may send notifications at any time: a message with a method is no response.",
      1,
      "robust",
      "skip messages that have a method, and keep the bytes behind the body of a frame: they belong to the next one",
      (peer, id, result) => {
        const notification = { jsonrpc: "2.0", method: "$/progress", params: { value: 50 } };
        return peer.send(Uint8Array.from([...framed(notification), ...framed(resultOf(id, result))]));
      },
    ),
    needs: [...needs, "a response in single bytes"],
  },
  {
    ...takes(
      "another id",
      "JSON-RPC §5: the id says which call a response belongs to. One with another id is not the answer.",
      2,
      "robust",
      "compare the id of a response with that of the call, and read on when it is another",
      async (peer, id, result) => {
        const other = typeof id === "number" ? id + 1 : `${id}x`;
        await peer.send(framed(resultOf(other, result + 1)));
        await pause(50);
        await peer.send(framed(resultOf(id, result)));
      },
    ),
    needs: [...needs, "a notification first"],
  },
  {
    ...takes(
      "a long response",
      "A response of 200,000 bytes comes in many pieces.",
      1,
      "robust",
      "call recv until the whole body is there",
      (peer, id, result) => peer.send(framed({ jsonrpc: "2.0", id, more: "x".repeat(200_000), result })),
    ),
    needs: [...needs, "a response in single bytes"],
  },
  complains(
    "the server closes early",
    "A connection may end in the middle of a message: the client says so, and its exit code is not 0.",
    "robust",
    "a connection that ends before the response",
    async (peer, id, result) => {
      await peer.send(framed(resultOf(id, result)).subarray(0, -5));
      step("the server closes the connection");
      peer.close();
    },
  ),
  complains(
    "not JSON",
    "A body that is not JSON is no response: the client says so, in one line.",
    "robust",
    "a body that is not JSON",
    (peer, _id, result) => peer.send(encodeFrame("headers", `{"jsonrpc": "2.0", "result": ${result}`)),
  ),
  complains(
    "an error without an id",
    "JSON-RPC §5: if the server could not read the call, its error has the id null, and no other response will come.",
    "strict",
    "an error with the id null",
    (peer) => peer.send(framed(errorOf(null, -32700, "Parse error"))),
  ),
  takes(
    "other fields in the header",
    "The header may have other fields, and names of fields are compared without case.",
    1,
    "strict",
    "read lines up to the empty one, and look for content-length among them, in lower case",
    (peer, id, result) => {
      const text = JSON.stringify(resultOf(id, result));
      return peer.send(
        `Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
      );
    },
  ),
];

const suite: Suite = {
  role: "client",
  about: "a client of JSON-RPC 2.0 over TCP that calls add",
  given: "{host} and {port} (HOST, PORT): the server. {a} and {b} (A, B): the two numbers, for the method add.",
  prints: "the result that the server sends; for an error its message",
  exits: "0 when the result has come; another code and one line about it otherwise",
  limits: "it makes one call on one connection, and ends by itself, at most twice --timeout after the last byte",
  sheet: "tcp/README.md#calling-functions",
  prepare: orders.prepare,
  checks,
};

export default suite;
