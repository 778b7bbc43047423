/**
 * Checks for an HTTP/1.1 server that serves the files of a folder. Each check names its section of RFC 9110 or RFC 9112. A
 * server may close the connection after each response, or keep it open.
 *
 * @module
 */
import { malformedRequests } from "./_http_malformed.ts";
import { ask, get, HttpPeer, last, once, type Response, status } from "./_http_peer.ts";
import { makeSite, type Site, type SiteFile } from "./_http_site.ts";
import { Peer, reset } from "./_peer.ts";
import type { Random } from "./_random.ts";
import { type Check, contentOf, fail, Gone, quote, sameBytes, type Server, type Suite } from "./_suite.ts";

const sites = contentOf(async (random: Random, folder: string) => {
  const content = await makeSite(random, folder);
  return { content, values: { root: content.folder } };
});
const site = sites.of;

/** The response; fails unless its status is 200. */
const good = (response: Response | undefined, hint: string): Response => {
  if (response?.head.status !== 200) fail("status 200", status(response), hint);
  return response;
};

const serveFolder = "the path of the request names a file in the folder {root} (the environment variable ROOT): " +
  "send status 200 and the bytes of that file; / is its index.html";

/** Requests a file; fails unless the response has its bytes. */
async function getFile(server: Server, { target, bytes }: SiteFile, hint: string): Promise<Response> {
  const response = good(await ask(server, once(target), `answer GET ${target}: ${hint}`), `GET ${target}: ${hint}`);
  sameBytes(response.body, bytes, hint);
  return response;
}

/** A file that the server must send, byte for byte. */
/** Fails if more bytes follow, or the connection stays open. */
async function ended(peer: HttpPeer, hint: string): Promise<void> {
  if ((await peer.rest(hint)).length === 0) return;
  fail("the end of the connection", "more bytes", "close the connection after the response");
}

const sends = (
  name: string,
  why: string,
  points: number,
  level: Check<Server>["level"],
  which: (site: Site) => SiteFile,
  hint: string,
  needs: readonly string[] = ["a page", "another file"],
): Check<Server> => ({
  ...{ name, why, points, level, needs },
  run: async (server) => void await getFile(server, which(site(server)), hint),
});

/** What nearly every check needs, one that asks for other files, and one that connects more than once. */
const needs = ["a page"];
const needsFiles = ["a page", "another file"];
const needsNext = ["a page", "one client after another"];

const basic: readonly Check<Server>[] = [
  {
    name: "a page",
    why: "RFC 9110 §15.3.1: GET / gets status 200 and the bytes of index.html in the folder {root}.",
    points: 3,
    level: "basic",
    async run(server) {
      const page = sites.find(server)?.page;
      if (page) await getFile(server, page, serveFolder);
      else good(await ask(server, last, "answer GET / with a page"), "serve a page at /");
    },
  },
  sends(
    "another file",
    "RFC 9110 §7.1: the path in the request names the file; each path has its own content.",
    3,
    "basic",
    ({ text }) => text,
    "take the path from the request line, and open that file below {root}",
    needs,
  ),
  sends(
    "a picture",
    "RFC 9110 §6.4: a body is a sequence of bytes. A PNG file is no text in any encoding, and arrives byte for byte.",
    3,
    "basic",
    ({ picture }) => picture,
    'open files as bytes, not as text: open(path, "rb"), FileInputStream, readFile without an encoding',
  ),
  {
    name: "a length in bytes",
    why: "RFC 9110 §8.6: Content-Length counts bytes. In UTF-8 the letter ü has two, and 👋 four.",
    points: 2,
    level: "basic",
    needs: needsFiles,
    async run(server) {
      const { target, bytes } = site(server).utf8;
      using peer = await HttpPeer.connect(server);
      await peer.send(once(target));
      const { head, body } = good(await peer.response("GET", "answer"), serveFolder);
      const more = await peer.trailing();
      if (more.length > 0 && head.fields.has("content-length")) {
        fail(
          `a Content-Length of ${bytes.length}`,
          `${head.fields.get("content-length")}, and ${quote(more)} after the body`,
          "count bytes and not characters: len(text.encode()), Buffer.byteLength(text), text.getBytes(UTF_8).length",
        );
      }
      sameBytes(body, bytes, "send the bytes of the file as they are");
    },
  },
  {
    name: "five megabytes",
    why: "RFC 9293 §3.8: a socket takes only as many bytes at a time as fit into its buffers. Here the client waits " +
      "before it reads.",
    points: 3,
    level: "basic",
    needs: needsFiles,
    async run(server) {
      const { target, bytes } = site(server).big;
      const hint =
        "send all bytes: sendall, or send again what the last send did not take; and read the file to its end";
      using peer = await HttpPeer.connect(server);
      await peer.send(once(target));
      await new Promise((go) => setTimeout(go, 300));
      const { body } = good(await peer.response("GET", hint), serveFolder);
      sameBytes(body, bytes, hint);
    },
  },
  {
    name: "a path that does not exist",
    why: "RFC 9110 §15.5.5: a path that does not exist gets the status 404, not 200 with a page that says so.",
    points: 2,
    level: "basic",
    needs: needsFiles,
    async run(server) {
      const response = await ask(server, once("/no/such/thing"), "answer 404, and go on");
      if (response?.head.status !== 404) {
        fail("status 404", status(response), "when the file cannot be opened, send HTTP/1.1 404 Not Found");
      }
    },
  },
  {
    name: "one client after another",
    why: "A server serves its next client after it has served one.",
    points: 2,
    level: "basic",
    needs: needs,
    async run(server) {
      const { page } = site(server);
      for (let i = 0; i < 4; i++) await getFile(server, page, "go back to accept when a client is served");
    },
  },
  {
    name: "Content-Type",
    why:
      "RFC 9110 §8.3: Content-Type tells the client what the bytes are. A browser shows a picture as letters without " +
      "it. Asked for: text/html, text/plain, image/png.",
    points: 2,
    level: "basic",
    needs: [...needsNext, "another file", "a picture"],
    async run(server) {
      const { page, text, picture } = site(server);
      for (const file of [page, text, picture]) {
        const { head } = good(await ask(server, once(file.target), "answer"), serveFolder);
        const type = head.fields.get("content-type");
        if (type?.split(";")[0]?.trim().toLowerCase() === file.type) continue;
        fail(
          `Content-Type: ${file.type} for GET ${file.target}`,
          type ?? "no Content-Type",
          "choose the type by the end of the file's name: .html, .txt, .png",
        );
      }
    },
  },
  sends(
    "a space in a path",
    "RFC 3986 §2.1: a byte that a URL cannot have is written as % and two digits: %20 is a space.",
    2,
    "basic",
    ({ space }) => space,
    "decode the path before you open the file: urllib.parse.unquote, decodeURIComponent, URLDecoder",
  ),
  {
    name: "a query",
    why:
      "RFC 3986 §3.4: what follows the ? is the query. It is no part of the path: a file is sent with and without it.",
    points: 1,
    level: "basic",
    needs: needsFiles,
    async run(server) {
      const { text } = site(server);
      await getFile(server, { ...text, target: `${text.target}?a=1&b=2` }, "cut the path at the first ?");
    },
  },
  {
    name: "lines end in CR LF",
    why: "RFC 9112 §2.1: each line of the head ends in CR LF (13, 10). Some clients accept LF alone, others do not.",
    points: 1,
    level: "basic",
    needs: needsNext,
    async run(server) {
      for (const target of ["/", "/no/such/thing"]) {
        const response = await ask(server, once(target), "answer");
        if (response?.bareLf) {
          fail("a head whose lines end in \\r\\n", "a line that ends in \\n alone", "end each header line with \\r\\n");
        }
      }
    },
  },
];

const robust: readonly Check<Server>[] = [
  {
    name: "HEAD has no body",
    why: "RFC 9110 §9.3.2: the answer to HEAD is the answer to GET without the body; a client would read any further " +
      "byte as the next response.",
    points: 2,
    level: "robust",
    needs,
    async run(server) {
      using peer = await HttpPeer.connect(server);
      await peer.send(last.replace("GET", "HEAD"));
      const response = await peer.response("HEAD", "answer HEAD");
      if (response?.head.status !== 200) {
        fail("status 200", status(response), "answer HEAD like GET, without the body");
      }
      const more = await peer.trailing();
      if (more.length > 0) fail("no body", quote(more), "after HEAD send the head only, with its empty line");
    },
  },
  {
    name: "a request in single bytes",
    why: "RFC 9293 §3.7: TCP may cut a request anywhere, even in the middle of CR LF CR LF.",
    points: 2,
    level: "robust",
    needs,
    async run(server) {
      const hint = "call recv in a loop, and collect its bytes until the empty line (\\r\\n\\r\\n) has arrived";
      using peer = await HttpPeer.connect(server);
      try {
        for (const char of last) {
          await peer.send(char);
          await new Promise((go) => setTimeout(go, 1));
        }
      } catch (error) {
        if (!(error instanceof Gone)) throw error;
        fail("a server that reads the whole request", "a close before its end", hint);
      }
      good(await peer.response("GET", hint), hint);
    },
  },
  {
    name: "a slow client at the same time",
    why: "A client that sends half a request and waits must not stop the server from serving the others.",
    points: 2,
    level: "robust",
    needs: needsNext,
    async run(server) {
      using slow = await Peer.connect(server);
      await slow.send("GET / HTTP/1.1\r\nHost: loc");
      const hint =
        "the server accepts nobody else while it waits for the first: give each client its own thread or task";
      good(await ask(server, last, hint), hint);
    },
  },
  {
    name: "no path leaves the folder",
    why:
      "RFC 9110 §17.3: a path with dots, in any encoding, must not reach files outside of the folder, also not in a " +
      "folder beside it whose name begins with the same letters.",
    points: 3,
    level: "robust",
    needs: needsNext,
    async run(server) {
      const { secret } = site(server);
      const up = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "%252e%252e/", "..\\", "..%5c", "....//", "..;/"];
      const paths = up.flatMap((dots) => [
        `/${secret.path.replace("../", dots)}`,
        `/${dots.repeat(12)}${secret.absolute.replace(/^[/\\]/, "").replaceAll("\\", "/")}`,
      ]);
      for (const target of [...paths, `/${secret.absolute}`, `/${secret.absolute.replaceAll("/", "%2f")}`]) {
        const response = await ask(server, once(target.replaceAll(" ", "%20")), "answer 400 or 404");
        if (!new TextDecoder().decode(response?.body).includes(secret.text)) continue;
        fail(
          "no file from outside of the folder",
          `the file ${secret.absolute} to GET ${target}`,
          "decode the path, resolve the dots (os.path.realpath), then test that it is the folder or begins with the " +
            "folder and a slash",
        );
      }
    },
  },
  {
    name: "a client that leaves",
    why: "A client may reset the connection in the middle of a download. Only its own thread may notice that.",
    points: 1,
    level: "robust",
    needs: needsNext,
    async run(server) {
      for (let i = 0; i < 3; i++) await reset(server, once(site(server).big.target));
      good(
        await ask(server, last, "go on after a client has reset the connection"),
        "catch the error of send and recv (BrokenPipeError, ConnectionResetError), close that client, and go on",
      );
    },
  },
  {
    name: "Connection: close",
    why: "RFC 9112 §9.6: after a request with Connection: close, the server closes the connection.",
    points: 1,
    level: "robust",
    needs,
    async run(server) {
      using peer = await HttpPeer.connect(server);
      await peer.send(last);
      good(await peer.response("GET", "answer"), "answer");
      await ended(peer, "close the connection after the response: the client waits for that");
    },
  },
  {
    name: "HTTP/1.0",
    why: "RFC 9112 §9.3: an HTTP/1.0 client may send no Host field, and it waits until the connection closes.",
    points: 1,
    level: "robust",
    needs: ["a page", "Connection: close"],
    async run(server) {
      using peer = await HttpPeer.connect(server);
      await peer.send("GET / HTTP/1.0\r\n\r\n");
      const { head } = good(await peer.response("GET", "answer"), "accept HTTP/1.0 without a Host field");
      if (head.fields.has("transfer-encoding")) {
        fail("no chunks", "Transfer-Encoding", "send no chunks to an HTTP/1.0 client: it does not know them");
      }
      await ended(peer, "close the connection after the response to HTTP/1.0");
    },
  },
  {
    name: "another method",
    why: "RFC 9110 §9.1: an unknown method gets an error (501 or 405), not a page.",
    points: 1,
    level: "robust",
    needs,
    async run(server) {
      const response = await ask(server, last.replace("GET", "BREW"), "answer 405 or 501");
      if (!response || ![400, 405, 501].includes(response.head.status)) {
        fail("status 501 or 405", status(response), "look at the method: only GET and HEAD get a file");
      }
    },
  },
  {
    name: "two requests on one connection",
    why: "RFC 9112 §9.3: in HTTP/1.1 a connection stays open; a server that closes it after each response must say " +
      "Connection: close.",
    points: 1,
    level: "robust",
    needs,
    async run(server) {
      using peer = await HttpPeer.connect(server);
      await peer.send(get());
      const first = good(await peer.response("GET", "answer"), "answer");
      if (first.head.minor === 0 || first.head.fields.lists("connection", "close")) return;
      await peer.send(last).catch(() => {});
      const hint = "send Connection: close with each response when you close; else read the next request";
      const second = await peer.response("GET", hint);
      if (!second) fail("a second response, or Connection: close in the first", "the end of the connection", hint);
      good(second, "answer the second request like the first");
    },
  },
  {
    name: "pipelining",
    why: "RFC 9112 §9.3.2: requests that arrive together are answered in their order, unless the server closes.",
    points: 1,
    level: "robust",
    needs: [...needsFiles, "two requests on one connection"],
    async run(server) {
      using peer = await HttpPeer.connect(server);
      const { page, text } = site(server);
      await peer.send(get() + get("", text.target) + last);
      const hint = "keep the bytes that arrived after the first request: they are the next one";
      for (const file of [page, text, page]) {
        const response = await peer.response("GET", hint);
        if (!response && file !== page) return; // a server may close after any response
        sameBytes(good(response, hint).body, file.bytes, hint);
        if (response?.head.minor === 0 || response?.head.fields.lists("connection", "close")) return;
      }
    },
  },
  sends(
    "letters beyond ASCII in a path",
    "RFC 3986 §2.5: a letter beyond ASCII is written as the bytes of its UTF-8: ü is %C3%BC.",
    1,
    "robust",
    ({ letters }) => letters,
    "decode %XX to bytes, and these as UTF-8",
    [...needsFiles, "a space in a path"],
  ),
];

const strict: readonly Check<Server>[] = [
  {
    name: "Date",
    why: "RFC 9110 §6.6.1: a server with a clock sends a Date field, in the form Sun, 06 Nov 1994 08:49:37 GMT.",
    points: 1,
    level: "strict",
    needs,
    async run(server) {
      const { head } = good(await ask(server, last, "answer"), "answer");
      const date = head.fields.get("date") ?? "";
      if (!/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(date)) {
        fail("a Date such as Sun, 06 Nov 1994 08:49:37 GMT", date || "none", "send a Date field in every response");
      }
    },
  },
  {
    name: "a complete URI as the target",
    why: "RFC 9112 §3.2.2: a server must accept a complete URI as the target (absolute form), not only from proxies.",
    points: 1,
    level: "strict",
    needs,
    async run(server) {
      good(await ask(server, once("http://localhost/"), "answer"), "use the path of the URI: / in http://localhost/");
    },
  },
  {
    name: "Allow",
    why: "RFC 9110 §15.5.6: a server that answers 405 must send Allow, with the methods that are allowed.",
    points: 1,
    level: "strict",
    needs,
    async run(server) {
      const response = await ask(server, last.replace("GET", "BREW"), "answer 405 or 501");
      if (response?.head.status === 405 && !response.head.fields.has("allow")) {
        fail("an Allow field with the status 405", "none", "add Allow: GET, HEAD");
      }
    },
  },
  {
    name: "304 has no body",
    why: "RFC 9110 §13.1, §15.4.5: a server that sends ETag or Last-Modified answers 304, without a body, when the " +
      "client's copy is still valid.",
    points: 1,
    level: "strict",
    needs: needsNext,
    async run(server) {
      const { head } = good(await ask(server, last, "answer"), "answer");
      const [tag, modified] = [head.fields.get("etag"), head.fields.get("last-modified")];
      if (tag === undefined && modified === undefined) return; // the server has no validators
      const condition = tag === undefined ? `If-Modified-Since: ${modified}` : `If-None-Match: ${tag}`;
      using peer = await HttpPeer.connect(server);
      await peer.send(get(`${condition}\r\nConnection: close\r\n`));
      const response = await peer.response("GET", "answer 304");
      if (response?.head.status !== 304) {
        fail(`status 304 to ${condition}`, status(response), "compare it with the file's own, and answer 304");
      }
      const more = await peer.trailing();
      if (more.length > 0) fail("no body", quote(more), "send only the head of a 304");
    },
  },
  {
    name: "ranges",
    why: "RFC 9110 §14: a server that sends Accept-Ranges: bytes answers Range with that part (206), and with 416 if " +
      "the range starts after the end.",
    points: 1,
    level: "strict",
    needs: needsNext,
    async run(server) {
      const { head, body } = good(await ask(server, last, "answer"), "answer");
      if (head.fields.get("accept-ranges") !== "bytes") return;
      const size = body.length;
      const ranges: [string, number, number][] = [["0-1", 0, 2], [`${size - 2}-`, size - 2, size], [
        "-3",
        size - 3,
        size,
      ]];
      for (const [range, start, end] of ranges) {
        const part = await ask(server, get(`Range: bytes=${range}\r\nConnection: close\r\n`), "answer 206");
        const promised = `bytes ${start}-${end - 1}/${size}`;
        if (part?.head.status !== 206 || part.head.fields.get("content-range") !== promised) {
          fail(
            `206 with Content-Range: ${promised}`,
            `${status(part)}, ${part?.head.fields.get("content-range") ?? "no Content-Range"}`,
            "include the last byte of the range: 0-1 is two bytes",
          );
        }
        sameBytes(part.body, body.subarray(start, end), "include the last byte of the range: 0-1 is two bytes");
      }
      const beyond = await ask(server, get(`Range: bytes=${size}-\r\nConnection: close\r\n`), "answer 416");
      if (beyond?.head.status !== 416) {
        fail("status 416 after the end", status(beyond), "count bytes from 0, and answer 416");
      }
    },
  },
  ...malformedRequests.map((check) => ({ ...check, needs: [...needsNext, ...check.needs ?? []] })),
];

const suite: Suite = {
  role: "server",
  about: "an HTTP/1.1 server for the files of a folder",
  prepare: sites.prepare,
  given:
    "{root} (ROOT): a folder. / is its index.html, and /NAME its file NAME. {port} (PORT): where to listen, on 127.0.0.1.",
  limits:
    "It may close the connection after each response, or keep it open. Files have up to 5 MB, request lines 200 bytes.",
  sheet: "http/README.md#the-server",
  checks: [...basic, ...robust, ...strict],
};

export default suite;
