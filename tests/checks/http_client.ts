/**
 * Checks for an HTTP client that gets `http://HOST:PORT/` and prints the body: here the suite plays the server.
 *
 * @module
 */
import { headLength, MessageError, parseRequest, type RequestHead } from "../../http/message.ts";
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

const text = "A page of the checks.";

/** What the client asked, and how it ended. */
interface Played {
  readonly request: RequestHead;
  readonly program: Program;
}

/**
 * Serves one request of the client with these pieces, a moment apart. With `open` the connection stays open afterwards, on
 * this side, until the client has ended.
 */
async function play(client: Client, pieces: (string | Uint8Array)[], open: boolean): Promise<Played> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const program = client.start(port);
  try {
    const conn = await inTime(listener.accept(), limits.patience * 2);
    if (!conn) {
      fail("a connection", `none in ${limits.patience * 2 / 1000} s`, "connect to the host and port it is given");
    }
    using peer = new Peer(conn);
    const request = await receive(peer);
    const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
    const host = request.fields.get("host") ?? "none";
    if (!hosts.includes(host)) {
      fail(`Host: ${hosts[0]}`, printable(host), "RFC 9110 §7.2: Host is the name and the port of the URL");
    }
    for (const piece of pieces) {
      // A client that has seen enough may have closed.
      await peer.send(piece).catch(() => {});
      if (pieces.length > 1) await new Promise((go) => setTimeout(go, pieces.length > 10 ? 1 : 100));
    }
    if (!open) await peer.end().catch(() => {});
    const ended = await inTime(program.ended, limits.patience * 2);
    if (!ended) {
      fail(
        "the client to end",
        `it still runs ${limits.patience * 2 / 1000} s later`,
        "know where the body ends, and exit",
      );
    }
    return { request, program };
  } finally {
    listener.close();
    await program.stop();
  }
}

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
    return fail("a request as RFC 9112 has it", `${error.message}: ${quote(bytes)}`, "every line ends in CR LF");
  }
}

function printed(program: Program, hint: string): void {
  if (!program.stdout.includes(text)) fail(`"${text}" on stdout`, `"${printable(program.tail(3))}"`, hint);
  if (program.status?.code !== 0) fail("exit code 0", `${program.status?.code}: ${printable(program.tail(1))}`, hint);
}

const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
const whole = `${ok}Content-Length: ${text.length}\r\n\r\n${text}`;

/** A response that the client is to print. */
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
  run: async (client) => printed((await play(client, pieces, open)).program, hint),
});

/** A response that the client is to take for an error. */
const complains = (name: string, why: string, pieces: (string | Uint8Array)[], about: string): Check<Client> => ({
  name,
  why,
  points: 1,
  run: async (client) => complained((await play(client, pieces, false)).program, about),
});

const chunks = `${ok}Transfer-Encoding: chunked\r\n\r\n7;a=b\r\n${text.slice(0, 7)}\r\n00e\r\n${text.slice(7)}\r\n`;

const suite: Suite = {
  role: "client",
  about: "an HTTP client that gets http://HOST:PORT/ and prints the body",
  checks: [
    {
      name: "a page",
      why:
        "RFC 9112 §3, §6.3: the request is a GET of /, and the body is as long as Content-Length says: no longer wait.",
      points: 3,
      async run(client) {
        const { request, program } = await play(client, [whole], true);
        if (request.method !== "GET" || request.target !== "/") {
          fail("GET /", printable(`${request.method} ${request.target}`), "the target is the path of the URL");
        }
        printed(program, "read as many bytes as Content-Length says");
      },
    },
    prints(
      "a response in single bytes",
      "RFC 9293 §3.7: TCP may cut a response anywhere.",
      2,
      [...whole],
      "loop over recv",
    ),
    prints(
      "chunks",
      "RFC 9112 §7.1: the sizes between the chunks are not part of the body.",
      2,
      [chunks + "0\r\n\r\n"],
      "decode the chunks",
    ),
    prints("chunks in single bytes, with trailers", "RFC 9112 §7.1.2: fields may follow the last chunk.", 1, [
      ...chunks,
      ..."0\r\nX: y\r\n\r\n",
    ], "decode the chunks, whatever the pieces"),
    prints(
      "until the end",
      "RFC 9112 §6.3: without a length the body goes on until the connection ends.",
      1,
      [`${ok}\r\n${text.slice(0, 9)}`, text.slice(9)],
      "read until recv returns nothing",
      false,
    ),
    prints("1xx before it", "RFC 9110 §15.2: any number of interim responses may come before the final one.", 1, [
      "HTTP/1.1 100 Continue\r\n\r\n",
      `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${whole}`,
    ], "skip status 1xx"),
    prints("names in any case", "RFC 9110 §5.1: the names of fields have no case.", 1, [
      whole.replace("Content-Length", "cONTENT-lENGTH"),
    ], "compare names without case"),
    {
      name: "204 has no body",
      why: "RFC 9110 §15.3.5: after the head of a 204 there is nothing to wait for.",
      points: 1,
      async run(client) {
        const { program } = await play(client, ["HTTP/1.1 204 No Content\r\n\r\n"], true);
        if (program.status?.code !== 0) fail("exit code 0", `${program.status?.code}`, "a 204 is a success");
      },
    },
    complains(
      "a body cut short",
      "RFC 9112 §8: fewer bytes than promised are not the whole.",
      [whole.slice(0, -4)],
      "a body that is shorter than Content-Length",
    ),
    complains(
      "chunks cut short",
      "RFC 9112 §8: without the last chunk it is not the whole.",
      [chunks],
      "a missing last chunk",
    ),
    complains("a head cut short", "RFC 9112 §8: half a head is no response.", [ok], "an end inside of the head"),
    complains("no response", "A server may close without a word.", [], "a closed connection"),
    complains(
      "another protocol",
      "RFC 9112 §4: what does not start as HTTP is none.",
      ["SSH-2.0-OpenSSH_9.2\r\n"],
      "a response that is not HTTP",
    ),
    complains("chunk sizes of garbage", "RFC 9112 §7.1: a size is a hexadecimal number.", [
      `${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n${text}\r\n0\r\n\r\n`,
    ], "a malformed chunk"),
    noServer,
  ],
};

export default suite;
