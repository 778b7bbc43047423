/**
 * Checks for an HTTP client that requests `http://HOST:PORT/` and prints the body: here the suite plays the server.
 *
 * @module
 */
import { headLength, MessageError, parseRequest, type RequestHead } from "../../http/_message.ts";
import { printable } from "../../cli.ts";
import type { Program } from "../support/program.ts";
import { complained, noServer, playServer, printed, succeeded } from "./_clients.ts";
import type { Peer } from "./_peer.ts";
import { type Check, type Client, fail, quote, type Suite } from "./_suite.ts";

const text = "A page of the checks.";
const afterwards = "stop reading at the end of the body, and exit";

/** The client's request, and the client after its end. */
interface Played {
  readonly request: RequestHead;
  readonly program: Program;
}

/**
 * Answers one request of the client with these pieces, with a pause after each. With `open` the connection stays open on this
 * side until the client has ended.
 */
async function play(client: Client, pieces: (string | Uint8Array)[], open: boolean): Promise<Played> {
  const { program, result } = await playServer(client, afterwards, async (peer, port) => {
    const request = await receive(peer);
    const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
    const host = request.fields.get("host") ?? "none";
    if (!hosts.includes(host)) {
      fail(`Host: ${hosts[0]}`, printable(host), "send the name and the port of the URL in Host (RFC 9110 §7.2)");
    }
    for (const piece of pieces) {
      await peer.send(piece).catch(() => {}); // a client that has read enough may have closed
      if (pieces.length > 1) await new Promise((go) => setTimeout(go, pieces.length > 10 ? 1 : 100));
    }
    if (!open) await peer.end().catch(() => {});
    return request;
  });
  return { request: result, program };
}

/** Reads the client's request. */
async function receive(peer: Peer): Promise<RequestHead> {
  let bytes = new Uint8Array();
  try {
    while (headLength(bytes) < 0) {
      const more = await peer.some("send a request");
      if (more.length === 0) fail("a request", "the end of the connection", "send a request after connecting");
      bytes = Uint8Array.from([...bytes, ...more]);
    }
    return parseRequest(bytes.subarray(0, headLength(bytes)));
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    return fail("a request in the form of RFC 9112", `${error.message}: ${quote(bytes)}`, "end every line with CR LF");
  }
}

function printedText(program: Program, hint: string): void {
  printed(program, new TextEncoder().encode(text), hint);
  succeeded(program, hint);
}

const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
const whole = `${ok}Content-Length: ${text.length}\r\n\r\n${text}`;

/** A response that the client must print. */
const prints = (
  name: string,
  why: string,
  points: number,
  pieces: string[],
  hint: string,
  open = true,
): Check<Client> => ({
  name,
  why,
  points,
  run: async (client) => printedText((await play(client, pieces, open)).program, hint),
});

/** A response that the client must report as an error. */
const complains = (name: string, why: string, pieces: (string | Uint8Array)[], about: string): Check<Client> => ({
  name,
  why,
  points: 1,
  run: async (client) => complained((await play(client, pieces, false)).program, about),
});

const chunks = `${ok}Transfer-Encoding: chunked\r\n\r\n7;a=b\r\n${text.slice(0, 7)}\r\n00e\r\n${text.slice(7)}\r\n`;

const suite: Suite = {
  role: "client",
  about: "an HTTP client that requests http://HOST:PORT/ and prints the body",
  checks: [
    {
      name: "a page",
      why:
        "RFC 9112 §3, §6.3: request / with GET, read exactly as many bytes as Content-Length says, and do not wait for more.",
      points: 3,
      async run(client) {
        const { request, program } = await play(client, [whole], true);
        if (request.method !== "GET" || request.target !== "/") {
          fail("GET /", printable(`${request.method} ${request.target}`), "send the path of the URL as the target");
        }
        printedText(program, "read as many bytes as Content-Length says");
      },
    },
    prints(
      "a response in single bytes",
      "RFC 9293 §3.7: TCP may cut a response anywhere.",
      2,
      [...whole],
      "call recv in a loop until the whole response has arrived",
    ),
    prints(
      "chunks",
      "RFC 9112 §7.1: the sizes between the chunks are not part of the body.",
      2,
      [chunks + "0\r\n\r\n"],
      "remove the sizes between the chunks",
    ),
    prints("chunks in single bytes, with trailers", "RFC 9112 §7.1.2: fields may follow the last chunk.", 1, [
      ...chunks,
      ..."0\r\nX: y\r\n\r\n",
    ], "decode the chunks, even if they arrive in single bytes"),
    prints(
      "until the end",
      "RFC 9112 §6.3: a body without a length ends when the connection ends.",
      1,
      [`${ok}\r\n${text.slice(0, 9)}`, text.slice(9)],
      "read until recv returns nothing",
      false,
    ),
    prints(
      "1xx before the response",
      "RFC 9110 §15.2: interim responses may arrive before the final one, any number of them.",
      1,
      [
        "HTTP/1.1 100 Continue\r\n\r\n",
        `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${whole}`,
      ],
      "skip responses with status 1xx",
    ),
    prints(
      "field names in upper and lower case",
      "RFC 9110 §5.1: upper and lower case are the same in field names.",
      1,
      [
        whole.replace("Content-Length", "cONTENT-lENGTH"),
      ],
      "compare field names without case",
    ),
    {
      name: "204 has no body",
      why: "RFC 9110 §15.3.5: a 204 ends after its head: do not wait for a body.",
      points: 1,
      async run(client) {
        const { program } = await play(client, ["HTTP/1.1 204 No Content\r\n\r\n"], true);
        succeeded(program, "exit with code 0: a 204 is a success");
      },
    },
    complains(
      "a truncated body",
      "RFC 9112 §8: a body shorter than Content-Length is incomplete: report an error.",
      [whole.slice(0, -4)],
      "a body that is shorter than Content-Length",
    ),
    complains(
      "truncated chunks",
      "RFC 9112 §8: without the last chunk (size 0) the body is incomplete: report an error.",
      [chunks],
      "a missing last chunk",
    ),
    complains(
      "a truncated head",
      "RFC 9112 §8: half a head is not a response.",
      [ok],
      "a connection that ends in the middle of the head",
    ),
    complains("no response", "A server may close the connection without a response.", [], "a closed connection"),
    complains(
      "another protocol",
      "RFC 9112 §4: a response that does not start with HTTP/ is not HTTP.",
      ["SSH-2.0-OpenSSH_9.2\r\n"],
      "a response that is not HTTP",
    ),
    complains("malformed chunk sizes", "RFC 9112 §7.1: a size is a hexadecimal number.", [
      `${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n${text}\r\n0\r\n\r\n`,
    ], "a malformed chunk"),
    noServer,
  ],
};

export default suite;
