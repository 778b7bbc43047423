/**
 * Checks for an HTTP/1.1 server that has any page at `/`. Each check names its section of RFC 9110 or RFC 9112. A server may
 * close the connection after each response, or keep it open.
 *
 * @module
 */
import { malformedRequests } from "./_http_malformed.ts";
import { ask, get, HttpPeer, last, type Response, status } from "./_http_peer.ts";
import { Peer } from "./_peer.ts";
import { fail, quote, type Suite } from "./_suite.ts";

/** The response; fails unless its status is 200. */
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
      why: "RFC 9110 §15.3.1, §6.6.1: the answer to GET / has status 200 and a Date field.",
      points: 3,
      async run(server) {
        const { head } = good(await ask(server, last, "answer GET / with a page"), "serve a page at /");
        const date = head.fields.get("date") ?? "";
        if (!/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(date)) {
          fail(
            "a Date in the form Sun, 06 Nov 1994 08:49:37 GMT",
            date || "none",
            "send a Date field in every response",
          );
        }
      },
    },
    {
      name: "a path that does not exist",
      why: "RFC 9110 §15.5.5: a path that does not exist gets 404.",
      points: 1,
      async run(server) {
        const response = await ask(server, get("Connection: close\r\n", "/no/such/thing"), "answer 404");
        if (response?.head.status !== 404) {
          fail("status 404", status(response), "answer 404 when the path does not exist");
        }
      },
    },
    {
      name: "HEAD has no body",
      why:
        "RFC 9110 §9.3.2: the answer to HEAD is the answer to GET without the body; a client would read any further byte as the next response.",
      points: 2,
      async run(server) {
        using peer = await HttpPeer.connect(server);
        await peer.send(get("Connection: close\r\n").replace("GET", "HEAD"));
        const response = await peer.response("HEAD", "answer HEAD");
        if (response?.head.status !== 200) {
          fail("status 200", status(response), "answer HEAD like GET, without the body");
        }
        const more = await peer.rest("close after Connection: close");
        if (more.length > 0) fail("no body", quote(more), "send only the head");
      },
    },
    {
      name: "a request in single bytes",
      why: "RFC 9293 §3.7: TCP may cut a request anywhere, even in the middle of CR LF CR LF.",
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
        if (first.head.minor === 0 || first.head.fields.lists("connection", "close")) return; // the server does not keep connections open
        await peer.send(last).catch(() => {});
        const second = await peer.response("GET", "answer the second request");
        if (!second) {
          fail("a second response", "a closed connection", "keep the connection open, or send Connection: close");
        }
        good(second, "answer the second request like the first");
      },
    },
    {
      name: "pipelining",
      why: "RFC 9112 §9.3.2: requests that arrive together are answered in their order.",
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
            "keep the bytes that were read after the first request",
          );
        }
      },
    },
    {
      name: "Connection: close",
      why: "RFC 9112 §9.6: after a request with Connection: close, the server closes the connection.",
      points: 1,
      async run(server) {
        using peer = await HttpPeer.connect(server);
        await peer.send(last);
        good(await peer.response("GET", "answer"), "answer");
        if (await peer.response("GET", "close the connection")) {
          fail("the end of the connection", "another response", "close the connection after the response");
        }
      },
    },
    {
      name: "HTTP/1.0",
      why: "RFC 9112 §9.3: an HTTP/1.0 client may send no Host field, and it waits until the connection closes.",
      points: 1,
      async run(server) {
        using peer = await HttpPeer.connect(server);
        await peer.send("GET / HTTP/1.0\r\n\r\n");
        const { head } = good(await peer.response("GET", "answer"), "accept HTTP/1.0 without a Host field");
        if (head.fields.has("transfer-encoding")) {
          fail("no chunks", "Transfer-Encoding", "send no chunks to an HTTP/1.0 client: it does not know them");
        }
        if (await peer.response("GET", "close the connection")) {
          fail("the end of the connection", "another response", "close the connection after the response");
        }
      },
    },
    {
      name: "a complete URI as the target",
      why: "RFC 9112 §3.2.2: a server must accept a complete URI as the target (absolute form), not only from proxies.",
      points: 1,
      async run(server) {
        good(
          await ask(server, get("Connection: close\r\n", "http://localhost/"), "answer"),
          "use the path of the URI",
        );
      },
    },
    {
      name: "an empty line first",
      why: "RFC 9112 §2.2: a server should ignore an empty line before the request line.",
      points: 1,
      run: async (server) => void good(await ask(server, `\r\n${last}`, "skip the empty line"), "skip the empty line"),
    },
    {
      name: "another method",
      why:
        "RFC 9110 §9.1, §15.5.6: answer an unknown method with 501 and a method that is not allowed with 405; a 405 must list the allowed methods in Allow.",
      points: 1,
      async run(server) {
        const response = await ask(server, last.replace("GET", "BREW"), "answer 405 or 501");
        if (!response || ![405, 501].includes(response.head.status)) {
          fail("status 405 or 501", status(response), "do not treat every method like GET");
        }
        if (response.head.status === 405 && !response.head.fields.has("allow")) {
          fail("an Allow field", "none", "list the allowed methods in Allow");
        }
      },
    },
    {
      name: "304 has no body",
      why: "RFC 9110 §13.1, §15.4.5: if the client's cached copy is still valid, the answer is 304 and has no body.",
      points: 1,
      async run(server) {
        const { head } = good(await ask(server, last, "answer"), "answer");
        const [tag, modified] = [head.fields.get("etag"), head.fields.get("last-modified")];
        if (tag === undefined && modified === undefined) return; // the server has no validators
        const condition = tag === undefined ? `If-Modified-Since: ${modified}\r\n` : `If-None-Match: ${tag}\r\n`;
        using peer = await HttpPeer.connect(server);
        await peer.send(get(`${condition}Connection: close\r\n`));
        const response = await peer.response("GET", "answer 304");
        if (response?.head.status !== 304) {
          fail(
            `status 304 to ${condition.trim()}`,
            status(response),
            `compare ${tag === undefined ? "the time" : "the tag"}`,
          );
        }
        if (await peer.response("GET", "no body")) fail("no body", "more bytes", "send only the head of a 304");
      },
    },
    {
      name: "ranges",
      why:
        "RFC 9110 §14: if the server sends Accept-Ranges, it must answer Range with that part (206), and with 416 if the range starts after the end.",
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
              "include the last byte of the range: 0-1 is two bytes",
            );
          }
          if (part.body.join() !== body.subarray(start, end).join()) {
            fail(quote(body.subarray(start, end)), quote(part.body), "send exactly these bytes");
          }
        }
        const beyond = await ask(server, get(`Range: bytes=${size}-\r\nConnection: close\r\n`), "answer 416");
        if (beyond?.head.status !== 416) {
          fail("status 416 after the end", status(beyond), "count bytes from 0, and answer 416");
        }
      },
    },
    {
      name: "no path leaves the root",
      why: "RFC 9110 §17.3: a path with dots, in any encoding, must not reach files outside the server's folder.",
      points: 2,
      async run(server) {
        const up = ["../", "..%2f", "%2e%2e/", "%252e%252e/", "..\\", "..%5c", "....//", "..;/"];
        for (const dots of up) {
          const target = `/${dots.repeat(8)}etc/passwd`;
          const response = await ask(server, get("Connection: close\r\n", target), "answer 400 or 404");
          if (new TextDecoder().decode(response?.body).includes("root:")) {
            fail(
              "no file from outside the folder",
              target,
              "decode and resolve the path, then test whether it is still in the folder",
            );
          }
        }
      },
    },
    {
      name: "a slow client at the same time",
      why: "A client that sends half a request and waits must not stop the server from serving the others.",
      points: 2,
      async run(server) {
        using slow = await Peer.connect(server);
        await slow.send("GET / HTTP/1.1\r\nHost: loc");
        good(await ask(server, last, "serve clients at the same time"), "give each client its own thread or task");
      },
    },
    ...malformedRequests,
  ],
};

export default suite;
