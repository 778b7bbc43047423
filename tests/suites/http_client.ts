/**
 * Checks for an HTTP client that requests a URL and prints the body: here the suite plays the server. Path, query and body
 * differ in every run, so that a client must look at what it receives.
 *
 * @module
 */
import { headLength, MessageError, parseRequest, type RequestHead } from "../../http/_message.ts";
import { concat } from "../../http/_concat.ts";
import { printable } from "../../cli.ts";
import type { Program } from "../support/program.ts";
import { complained, noServer, playServer, succeeded } from "./_clients.ts";
import type { Peer } from "./_peer.ts";
import { type Random, word, words } from "./_random.ts";
import { type Check, type Client, contentOf, fail, quote, type Suite } from "./_suite.ts";

/** What this run asks for, and what the server has there. */
interface Page {
  readonly path: string;
  readonly text: string;
  readonly utf8: string;
  readonly long: string;
}

const makePage = (random: Random): Page => ({
  path: `/${word(random)}/${word(random)}.txt?${word(random)}=${random.integer(1, 9999)}`,
  text: `A page with ${words(random, 6)}.`,
  utf8: `Grüße und ${words(random, 4)}, 世界 👋: ${word(random)}.`,
  long: `A long page: ${words(random, 15_000)}.`,
});

const pages = contentOf((random) => ({ content: makePage(random), values: {} }));
const page = pages.of;

/** The client's request, how it was written, and the client after its end. */
interface Played {
  readonly request: RequestHead;
  readonly bareLf: boolean;
  readonly program: Program;
}

/** How the suite's server answers. */
interface Answer {
  /** The pieces of the response, with a pause after each. */
  readonly pieces: readonly (string | Uint8Array)[];
  /** Whether the connection stays open after the response, unless the client has asked for its end. */
  readonly open?: boolean;
  readonly path?: string;
}

/** Answers one request of the client. */
async function play(client: Client, { pieces, open = false, path = "/" }: Answer): Promise<Played> {
  const hint = "stop reading at the end of the body, close the connection, and exit";
  const { program, result } = await playServer(
    client,
    hint,
    async (peer) => {
      const { request, bareLf } = await receive(peer);
      const pause = pieces.length > 10 ? 1 : 100;
      for (const piece of pieces) {
        await peer.send(piece).catch(() => {}); // a client that has read enough may have closed
        if (pieces.length > 1) await new Promise((go) => setTimeout(go, pause));
      }
      // A client that asks for it, or speaks HTTP/1.0, may read until the server closes the connection.
      const closes = !open || request.minor === 0 || request.fields.lists("connection", "close");
      if (closes) await peer.end().catch(() => {});
      return { request, bareLf };
    },
    (port) => ({ url: `http://127.0.0.1:${port}${path}` }),
  );
  return { ...result, program };
}

/** Reads the client's request. It may be malformed in a way that only its own check minds. */
async function receive(peer: Peer): Promise<{ request: RequestHead; bareLf: boolean }> {
  let bytes = new Uint8Array();
  const complete = () => /\r?\n\r?\n/.test(new TextDecoder("latin1").decode(bytes));
  while (!complete()) {
    const hint = "end the request with an empty line: \\r\\n\\r\\n";
    const more = await peer.some(bytes.length > 0 ? hint : "send a request after connecting");
    if (more.length === 0) {
      const got = bytes.length > 0 ? `only ${quote(bytes)}` : "the end of the connection";
      fail("a request", got, bytes.length > 0 ? hint : "send a request after connecting");
    }
    bytes = concat([bytes, more]);
  }
  const text = new TextDecoder("latin1").decode(bytes);
  const lines = text.slice(0, text.search(/\r?\n\r?\n/)).split(/\r?\n/);
  const [first = "", ...fields] = lines;
  // Host has a check of its own: the others accept a request without it.
  const hosts = fields.filter((line) => /^host:/i.test(line)).length;
  const request = [first, ...hosts === 1 ? fields : fields.filter((line) => !/^host:/i.test(line)), "", ""];
  if (hosts !== 1) request.splice(1, 0, "Host: missing");
  const head = Uint8Array.from(request.join("\r\n"), (char) => char.charCodeAt(0));
  try {
    return { request: parseRequest(head.subarray(0, headLength(head))), bareLf: /(?<!\r)\n/.test(text) };
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    return fail(
      "a request line such as GET / HTTP/1.1, and a line Name: value for each field",
      `${quote(bytes)}: ${error.message}`,
      "write the request as RFC 9112 §3 says",
    );
  }
}

/** Fails unless the client has printed this text, and ended with exit code 0. Says how much of it was printed. */
function printedText(program: Program, text: string, hint: string): void {
  if (!program.stdout.includes(text)) {
    let [most, least] = [text.length, 0];
    while (most - least > 1) {
      const middle = (most + least) >> 1;
      if (program.stdout.includes(text.slice(0, middle))) least = middle;
      else most = middle;
    }
    const bytes = new TextEncoder().encode(text);
    const some = least > 5 ? `only its first ${size(text.slice(0, least))} bytes` : "";
    const got = program.stdout === "" ? "nothing" : some || quote(new TextEncoder().encode(program.stdout));
    fail(`the body on stdout, ${quote(bytes)}`, got, hint);
  }
  succeeded(program, hint);
}

const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n";
const size = (text: string) => new TextEncoder().encode(text).length;
const whole = (text: string) => `${ok}Content-Length: ${size(text)}\r\n\r\n${text}`;
const bytesOf = (text: string) => [...new TextEncoder().encode(text)].map((byte) => Uint8Array.of(byte));
const chunks = (text: string) =>
  `${ok}Transfer-Encoding: chunked\r\n\r\n7;a=b\r\n${text.slice(0, 7)}\r\n00${size(text.slice(7)).toString(16)}\r\n` +
  `${text.slice(7)}\r\n`;

const needs = ["a page"];

/** A response that the client must print. */
const prints = (
  name: string,
  why: string,
  points: number,
  level: Check<Client>["level"],
  answer: (page: Page) => Omit<Answer, "path"> & { text?: string },
  hint: string,
  more: readonly string[] = needs,
): Check<Client> => ({
  ...{ name, why, points, level, needs: more },
  async run(client) {
    const { text, ...given } = answer(page(client));
    printedText((await play(client, given)).program, text ?? page(client).text, hint);
  },
});

/** A response that the client must report as an error. */
const complains = (
  name: string,
  why: string,
  level: Check<Client>["level"],
  pieces: (text: string) => (string | Uint8Array)[],
  about: string,
  more: readonly string[] = [],
): Check<Client> => ({
  ...{ name, why, level, points: 1, needs: [...needs, "no server", ...more] },
  async run(client) {
    const { program } = await play(client, { pieces: pieces(page(client).text) });
    complained(program, about);
  },
});

const suite: Suite = {
  role: "client",
  about: "an HTTP client that requests a URL and prints the body",
  prepare: pages.prepare,
  given: "{url} (URL): http://127.0.0.1:PORT/… to request.",
  prints: "the body of the response on stdout, among other lines if you like; or one line about what went wrong",
  exits: "0 when it has printed the whole body; another code when there is no whole response",
  sheet: "http/README.md#the-client",
  checks: [
    prints(
      "a page",
      "RFC 9112 §3: the client sends GET, and prints the body of the response. What the body says differs in every run.",
      3,
      "basic",
      ({ text }) => ({ pieces: [whole(text)] }),
      "print the body: everything after the first empty line",
      [],
    ),
    {
      name: "the path of the URL",
      why: "RFC 9112 §3.2.1: the target in the request line is the path and the query of the URL, unchanged.",
      points: 2,
      level: "basic",
      needs,
      async run(client) {
        const { path, text } = page(client);
        const { request } = await play(client, { pieces: [whole(text)], path });
        if (request.method !== "GET" || request.target !== path) {
          fail(
            `GET ${path}`,
            printable(`${request.method} ${request.target}`),
            "take the path and the query from the URL that the client is given ({url}, or the environment variable URL)",
          );
        }
      },
    },
    {
      name: "lines end in CR LF",
      why: "RFC 9112 §2.1: each line of the request ends in CR LF (13, 10); some servers refuse LF alone.",
      points: 1,
      level: "basic",
      needs,
      async run(client) {
        const { bareLf } = await play(client, { pieces: [whole(page(client).text)] });
        if (bareLf) {
          fail("lines that end in \\r\\n", "a line that ends in \\n alone", "end each header line with \\r\\n");
        }
      },
    },
    prints(
      "a long page",
      "RFC 9293 §3.8: a long response arrives in many pieces, and one call of recv returns the first of them.",
      3,
      "basic",
      ({ long }) => ({ pieces: [whole(long)], text: long }),
      "call recv in a loop until the whole body has arrived, then print all of it",
    ),
    prints(
      "letters beyond ASCII",
      "RFC 9110 §8.6: Content-Length counts bytes; in UTF-8 a letter beyond ASCII has two to four.",
      2,
      "basic",
      ({ utf8 }) => ({ pieces: [whole(utf8)], text: utf8 }),
      "collect bytes, count bytes, and decode them as UTF-8 when all are there",
    ),
    {
      name: "Host",
      why: "RFC 9110 §7.2: Host is required in HTTP/1.1. It has the name of the URL, and its port if that is not 80.",
      points: 1,
      level: "basic",
      needs,
      async run(client) {
        let wanted: string[] = [];
        const { request } = await play({
          ...client,
          start: (port, values) => {
            wanted = [`127.0.0.1:${port}`, `localhost:${port}`];
            return client.start(port, values);
          },
        }, { pieces: [whole(page(client).text)] });
        const host = request.fields.get("host") ?? "";
        if (request.minor === 0 || wanted.includes(host)) return; // HTTP/1.0 has no Host
        fail(
          `one field Host: ${wanted[0]}`,
          host === "missing" ? "none, or several" : `Host: ${printable(host)}`,
          "send the name and the port of the URL in Host",
        );
      },
    },
    prints(
      "a response in single bytes",
      "RFC 9293 §3.7: TCP may cut a response anywhere, even in the middle of CR LF CR LF or of a letter.",
      2,
      "robust",
      ({ utf8 }) => ({ pieces: bytesOf(whole(utf8)), text: utf8 }),
      "call recv in a loop until the whole response has arrived",
      [...needs, "a long page", "letters beyond ASCII"],
    ),
    prints(
      "an open connection",
      "RFC 9112 §6.3: the body has as many bytes as Content-Length says. The server may keep the connection open after " +
        "it, unless the client has sent Connection: close.",
      2,
      "robust",
      ({ text }) => ({ pieces: [whole(text)], open: true }),
      "read as many bytes as Content-Length says and no more, or send Connection: close",
    ),
    prints(
      "until the end",
      "RFC 9112 §6.3: a body without a length ends when the connection ends.",
      1,
      "robust",
      ({ text }) => ({ pieces: [`${ok}\r\n${text.slice(0, 9)}`, text.slice(9)] }),
      "read until recv returns nothing",
      [...needs, "a long page"],
    ),
    prints(
      "chunks",
      "RFC 9112 §7.1: a body may come in chunks, each after its size in hexadecimal; the sizes are no part of the body.",
      2,
      "robust",
      ({ text }) => ({ pieces: [chunks(text) + "0\r\n\r\n"], open: true }),
      "when Transfer-Encoding is chunked, read a size, then so many bytes, until the size is 0",
    ),
    prints(
      "field names in upper and lower case",
      "RFC 9110 §5.1: upper and lower case are the same in field names.",
      1,
      "robust",
      ({ text }) => ({ pieces: [whole(text).replace("Content-Length", "cONTENT-lENGTH")], open: true }),
      "compare field names without case",
      [...needs, "an open connection"],
    ),
    {
      name: "204 has no body",
      why: "RFC 9110 §15.3.5: a 204 ends after its head: do not wait for a body.",
      points: 1,
      level: "robust",
      needs,
      async run(client) {
        const { program } = await play(client, { pieces: ["HTTP/1.1 204 No Content\r\n\r\n"], open: true });
        succeeded(program, "exit with code 0: a 204 is a success");
      },
    },
    {
      ...noServer,
      needs,
      level: "basic",
      run: (client) =>
        noServer.run({ ...client, start: (port) => client.start(port, { url: `http://127.0.0.1:${port}/` }) }),
    },
    complains(
      "no response",
      "A server may close the connection without a response: the client says so, and its exit code is not 0.",
      "robust",
      () => [],
      "a closed connection",
    ),
    complains(
      "a truncated body",
      "RFC 9112 §8: a body shorter than Content-Length is incomplete: the client says so, and its exit code is not 0.",
      "robust",
      (text) => [whole(text).slice(0, -4)],
      "a body that is shorter than Content-Length",
      ["a long page", "an open connection"],
    ),
    prints(
      "chunks in single bytes, with trailers",
      "RFC 9112 §7.1.2: fields may follow the last chunk.",
      1,
      "strict",
      ({ text }) => ({ pieces: bytesOf(chunks(text) + "0\r\nX: y\r\n\r\n"), open: true }),
      "decode the chunks, even if they arrive in single bytes, and read the lines after the last one",
      [...needs, "a long page", "chunks"],
    ),
    prints(
      "1xx before the response",
      "RFC 9110 §15.2: interim responses may arrive before the final one, any number of them; a client must read them.",
      1,
      "strict",
      ({ text }) => ({
        pieces: ["HTTP/1.1 100 Continue\r\n\r\n", `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${whole(text)}`],
        open: true,
      }),
      "skip responses with status 1xx",
      [...needs, "a long page", "an open connection"],
    ),
    complains(
      "truncated chunks",
      "RFC 9112 §8: without the last chunk (size 0) the body is incomplete: the client says so.",
      "strict",
      (text) => [chunks(text)],
      "a missing last chunk",
      ["chunks"],
    ),
    complains(
      "malformed chunk sizes",
      "RFC 9112 §7.1: a size is a hexadecimal number; anything else is an error.",
      "strict",
      (text) => [`${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n${text}\r\n0\r\n\r\n`],
      "a malformed chunk",
      ["chunks"],
    ),
    complains(
      "another protocol",
      "RFC 9112 §4: a response that does not start with HTTP/ is not HTTP: the client says so.",
      "strict",
      () => ["SSH-2.0-OpenSSH_9.2\r\n"],
      "a response that is not HTTP",
    ),
  ],
};

export default suite;
