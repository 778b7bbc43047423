/**
 * Checks for an HTTP/1.1 server, whatever it serves, as long as there is something at `/`. Each quotes the section of RFC 9110
 * or RFC 9112 that it is about. A server that closes after each response is as good as one that does not.
 *
 * @module
 */
import { HttpPeer, type Response } from "./http_peer.ts";
import { type Check, fail, Gone, Peer, quote, type Server, type Suite } from "./suite.ts";

const get = (more = "", target = "/", version = "HTTP/1.1") =>
  `GET ${target} ${version}\r\nHost: localhost\r\n${more}\r\n`;
const last = get("Connection: close\r\n");

/** One request on a connection of its own. */
async function ask(server: Server, request: string, hint: string, method = "GET"): Promise<Response | undefined> {
  using peer = await HttpPeer.connect(server);
  try {
    await peer.send(request);
  } catch (error) {
    // A server may answer and close before it has read all of a bad request: then the answer counts.
    if (!(error instanceof Gone)) throw error;
  }
  return await peer.response(method, hint);
}

const status = (response: Response | undefined) => response ? `status ${response.head.status}` : "a closed connection";

async function alive(server: Server): Promise<void> {
  const response = await ask(server, last, "a bad request must not end the server");
  if (response?.head.status !== 200) fail("status 200 for a good request after it", status(response), "go on serving");
}

/** A request that must be refused with one of these status codes. A closed connection will do where the RFC allows. */
const refused = (
  name: string,
  section: string,
  why: string,
  request: string,
  codes: number[],
  hint: string,
  closed = false,
): Check<Server> => ({
  name,
  why: `${section}: ${why}`,
  points: 1,
  async run(server) {
    const response = await ask(server, request, hint);
    if (!(response ? codes.includes(response.head.status) : closed)) {
      fail(`status ${codes.join(" or ")}`, status(response), hint);
    }
    await alive(server);
  },
});

/**
 * A message that two programs could read in two ways, with a second request after it. The answers to that must not show that
 * this server has cut the stream in the middle of something: all responses but the first must be good ones.
 */
const ambiguous = (
  name: string,
  section: string,
  why: string,
  message: string,
  most: number,
  hint: string,
): Check<Server> => ({
  name,
  why: `${section}: ${why}`,
  points: 2,
  async run(server) {
    {
      using peer = await HttpPeer.connect(server);
      await peer.send(message + last);
      const first = await peer.response("GET", hint);
      let answers = first ? 1 : 0; // closed without a word is safe, too
      for (let next = first && await peer.response("GET", hint); next; next = await peer.response("GET", hint)) {
        answers++;
        if (next.head.status !== 200) fail("the next request to be read from where it starts", status(next), hint);
      }
      if (answers > most) {
        fail(`${most === 1 ? "the connection to be closed" : "two responses"}`, `${answers} responses`, hint);
      }
    } // its connection is closed: a server may serve one at a time
    await alive(server);
  },
});

/** The response, when it is a good one. */
const good = (response: Response | undefined, hint: string): Response => {
  if (response?.head.status !== 200) fail("status 200", status(response), hint);
  return response;
};

const suite: Suite = {
  role: "server",
  about: "an HTTP/1.1 server with something at /",
  checks: [
    {
      name: "a page",
      why: "RFC 9110 §15.3.1, §6.6.1: the answer to GET / has status 200, and tells when it was made.",
      points: 3,
      async run(server) {
        const { head } = good(await ask(server, last, "answer GET / with a page"), "put something at /");
        const date = head.fields.get("date") ?? "";
        if (!/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(date)) {
          fail("a Date as Sun, 06 Nov 1994 08:49:37 GMT", date || "none", "a server with a clock sends Date");
        }
      },
    },
    {
      name: "what is not there",
      why: "RFC 9110 §15.5.5: a path that names nothing is 404.",
      points: 1,
      async run(server) {
        const response = await ask(server, get("Connection: close\r\n", "/no/such/thing"), "answer 404");
        if (response?.head.status !== 404) fail("status 404", status(response), "answer 404 where there is nothing");
      },
    },
    {
      name: "HEAD has no body",
      why:
        "RFC 9110 §9.3.2: the answer to HEAD is that to GET without the body; a byte more is read as the next response.",
      points: 2,
      async run(server) {
        using peer = await HttpPeer.connect(server);
        await peer.send(get("Connection: close\r\n").replace("GET", "HEAD"));
        const response = await peer.response("HEAD", "answer HEAD");
        if (response?.head.status !== 200) fail("status 200", status(response), "answer HEAD as GET");
        const more = await peer.rest("close after Connection: close");
        if (more.length > 0) fail("no body", quote(more), "send the head alone");
      },
    },
    {
      name: "a request in single bytes",
      why: "RFC 9293 §3.7: TCP may cut a request anywhere, also inside of its CR LF CR LF.",
      points: 2,
      async run(server) {
        using peer = await HttpPeer.connect(server);
        for (const char of last) {
          await peer.send(char);
          await new Promise((go) => setTimeout(go, 1));
        }
        good(await peer.response("GET", "read until the empty line"), "read until the empty line");
      },
    },
    {
      name: "two requests on one connection",
      why: "RFC 9112 §9.3: in HTTP/1.1 a connection stays open unless one side says Connection: close.",
      points: 1,
      async run(server) {
        using peer = await HttpPeer.connect(server);
        await peer.send(get());
        const first = good(await peer.response("GET", "answer"), "answer");
        if (first.head.minor === 0 || first.head.fields.lists("connection", "close")) return; // it is not offered
        await peer.send(last).catch(() => {});
        const second = await peer.response("GET", "answer the second request");
        if (!second) fail("a second response", "a closed connection", "keep the connection, or say Connection: close");
        good(second, "answer the second as the first");
      },
    },
    {
      name: "pipelining",
      why: "RFC 9112 §9.3.2: requests that come together are answered in their order.",
      points: 2,
      async run(server) {
        using peer = await HttpPeer.connect(server);
        await peer.send(get() + get("", "/no/such/thing") + last);
        const first = good(await peer.response("GET", "answer"), "answer");
        if (first.head.minor === 0 || first.head.fields.lists("connection", "close")) return;
        const codes = [200];
        for (let i = 0; i < 2; i++) codes.push((await peer.response("GET", "answer all three"))?.head.status ?? 0);
        if (codes.join() !== "200,404,200") {
          fail(
            "200, 404, 200",
            codes.join(", ").replaceAll("0,", "closed,"),
            "keep what was read after the first request",
          );
        }
      },
    },
    {
      name: "Connection: close",
      why: "RFC 9112 §9.6: after it the server closes the connection.",
      points: 1,
      async run(server) {
        using peer = await HttpPeer.connect(server);
        await peer.send(last);
        good(await peer.response("GET", "answer"), "answer");
        if (await peer.response("GET", "close the connection")) fail("the end", "another response", "close");
      },
    },
    {
      name: "HTTP/1.0",
      why: "RFC 9112 §9.3: a client of HTTP/1.0 sends no Host, and waits for the connection to close.",
      points: 1,
      async run(server) {
        using peer = await HttpPeer.connect(server);
        await peer.send("GET / HTTP/1.0\r\n\r\n");
        const { head } = good(await peer.response("GET", "answer"), "HTTP/1.0 needs no Host");
        if (head.fields.has("transfer-encoding")) fail("no chunks", "Transfer-Encoding", "HTTP/1.0 does not know them");
        if (await peer.response("GET", "close the connection")) fail("the end", "another response", "close");
      },
    },
    {
      name: "a whole URI as target",
      why: "RFC 9112 §3.2.2: a server accepts the absolute form, whoever sends it.",
      points: 1,
      async run(server) {
        good(
          await ask(server, get("Connection: close\r\n", "http://localhost/"), "answer"),
          "take the path out of the URI",
        );
      },
    },
    {
      name: "an empty line first",
      why: "RFC 9112 §2.2: a server should ignore an empty line before the request line.",
      points: 1,
      run: async (server) => void good(await ask(server, `\r\n${last}`, "skip it"), "skip the empty line"),
    },
    {
      name: "another method",
      why:
        "RFC 9110 §9.1, §15.5.6: a method that is not known is 501, one that is not allowed 405, which lists those that are.",
      points: 1,
      async run(server) {
        const response = await ask(server, last.replace("GET", "BREW"), "answer 405 or 501");
        if (!response || ![405, 501].includes(response.head.status)) {
          fail("status 405 or 501", status(response), "do not take every method for GET");
        }
        if (response.head.status === 405 && !response.head.fields.has("allow")) {
          fail("Allow", "none", "tell with 405 which methods are allowed");
        }
      },
    },
    {
      name: "304 has no body",
      why: "RFC 9110 §13.1, §15.4.5: to a client whose copy is still good only that is said.",
      points: 1,
      async run(server) {
        const { head } = good(await ask(server, last, "answer"), "answer");
        const [tag, modified] = [head.fields.get("etag"), head.fields.get("last-modified")];
        if (tag === undefined && modified === undefined) return; // it offers no validators
        const condition = tag === undefined ? `If-Modified-Since: ${modified}\r\n` : `If-None-Match: ${tag}\r\n`;
        using peer = await HttpPeer.connect(server);
        await peer.send(get(`${condition}Connection: close\r\n`));
        const response = await peer.response("GET", "answer 304");
        if (response?.head.status !== 304) fail(`status 304 to ${condition.trim()}`, status(response), "compare them");
        if (await peer.response("GET", "no body")) fail("no body", "more", "a 304 ends with its head");
      },
    },
    {
      name: "ranges",
      why: "RFC 9110 §14: a part of a file, where Accept-Ranges offers it, and 416 beyond its end.",
      points: 2,
      async run(server) {
        const { head, body } = good(await ask(server, last, "answer"), "answer");
        if (head.fields.get("accept-ranges") !== "bytes" || body.length < 4) return;
        const size = body.length;
        for (
          const [range, start, end] of [["0-1", 0, 2], [`${size - 2}-`, size - 2, size], [
            "-3",
            size - 3,
            size,
          ]] as const
        ) {
          const part = await ask(server, get(`Range: bytes=${range}\r\nConnection: close\r\n`), "answer 206");
          const promised = `bytes ${start}-${end - 1}/${size}`;
          if (part?.head.status !== 206 || part.head.fields.get("content-range") !== promised) {
            fail(
              `206 with ${promised}`,
              `${status(part)}, ${part?.head.fields.get("content-range")}`,
              "both ends count",
            );
          }
          if (part.body.join() !== body.subarray(start, end).join()) {
            fail(quote(body.subarray(start, end)), quote(part.body), "send just these bytes");
          }
        }
        const beyond = await ask(server, get(`Range: bytes=${size}-\r\nConnection: close\r\n`), "answer 416");
        if (beyond?.head.status !== 416) fail("status 416 beyond the end", status(beyond), "bytes are counted from 0");
      },
    },
    {
      name: "no path leaves the root",
      why: "RFC 9110 §17.3: a path with dots, in whatever coding, must not reach the rest of the disk.",
      points: 2,
      async run(server) {
        const up = ["../", "..%2f", "%2e%2e/", "%252e%252e/", "..\\", "..%5c", "....//", "..;/"];
        for (const dots of up) {
          const target = `/${dots.repeat(8)}etc/passwd`;
          const response = await ask(server, get("Connection: close\r\n", target), "answer 400 or 404");
          if (new TextDecoder().decode(response?.body).includes("root:")) {
            fail("no file of the system", target, "resolve the path, and then look whether it is still under the root");
          }
        }
      },
    },
    {
      name: "a client that is slow beside",
      why: "A client that sends half a request and waits must not keep the server from the others.",
      points: 2,
      async run(server) {
        using slow = await Peer.connect(server);
        await slow.send("GET / HTTP/1.1\r\nHost: loc");
        good(await ask(server, last, "serve clients at the same time"), "give each client its own task or thread");
      },
    },
    refused(
      "no Host",
      "RFC 9112 §3.2",
      "a request of HTTP/1.1 without Host is refused with 400.",
      "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
      [400],
      "look for Host",
    ),
    refused(
      "two Hosts",
      "RFC 9112 §3.2",
      "with two Hosts nobody knows which site is meant.",
      get("Host: other\r\nConnection: close\r\n"),
      [400],
      "count the Host fields",
    ),
    refused(
      "a space before the colon",
      "RFC 9112 §5.1",
      "some read this as the field, some as another: it is refused with 400.",
      get("Content-Length : 0\r\nConnection: close\r\n"),
      [400],
      "a field name is a token",
    ),
    refused(
      "two lengths",
      "RFC 9112 §6.3",
      "with two different lengths nobody knows where the next request starts.",
      get("Content-Length: 4\r\nContent-Length: 5\r\n") + "abcde",
      [400],
      "refuse it, and close",
    ),
    refused(
      "a length that is no number",
      "RFC 9112 §6.3",
      "what one program's parser takes for 4 is 0 to the next.",
      "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4x\r\nConnection: close\r\n\r\n",
      [400],
      "digits only",
    ),
    refused(
      "a request line of garbage",
      "RFC 9112 §3",
      "what is no request is 400.",
      "hello?\r\n\r\n",
      [400, 405, 501],
      "a method, a target, a version",
      true,
    ),
    refused(
      "HTTP/3.0 on a line",
      "RFC 9110 §15.6.6",
      "a major version that is not spoken here is 505.",
      last.replace("HTTP/1.1", "HTTP/3.0"),
      [505, 400],
      "look at the version",
    ),
    refused(
      "a request line without end",
      "RFC 9112 §3",
      "a line that is longer than any should be is 414, not memory.",
      get("Connection: close\r\n", `/${"a".repeat(200_000)}`),
      [414, 400, 431],
      "limit the line",
      true,
    ),
    refused(
      "a head without end",
      "RFC 6585 §5",
      "a head that is longer than any should be is 431, not memory.",
      get(`X: ${"a".repeat(100)}\r\n`.repeat(4000)),
      [431, 400, 413],
      "limit the head",
      true,
    ),
    ambiguous(
      "a GET with a body",
      "RFC 9112 §6.3",
      "the body of a request is read to its end, or the connection closed.",
      get("Content-Length: 5\r\n").replace("\r\n\r\n", "\r\n\r\nhello"),
      2,
      "read and throw away the body, or close the connection",
    ),
    ambiguous(
      "a GET with chunks",
      "RFC 9112 §7.1",
      "so are chunks, with their extensions and trailers.",
      get("Transfer-Encoding: chunked\r\n") + "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
      2,
      "read the chunks, or close the connection",
    ),
    ambiguous(
      "both lengths",
      "RFC 9112 §6.1",
      "with Content-Length and Transfer-Encoding the connection is closed after the answer.",
      "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      1,
      "refuse it, and close: this is how requests are smuggled past a proxy",
    ),
    ambiguous(
      "a bare CR",
      "RFC 9112 §2.2",
      "a CR alone is no line end.",
      get("X: a\rContent-Length: 4\r\n"),
      2,
      "refuse it, or take it for a space",
    ),
    ambiguous(
      "a folded line",
      "RFC 9112 §5.2",
      "a line that starts with a space is refused, or belongs to the one before.",
      get("X: a\r\n Content-Length: 4\r\n"),
      2,
      "refuse it with 400",
    ),
  ],
};

export default suite;
