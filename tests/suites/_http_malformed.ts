/**
 * Checks with requests that an HTTP/1.1 server must refuse, or that two programs could read in different ways.
 *
 * @module
 */
import { ask, get, HttpPeer, last, status } from "./_http_peer.ts";
import { type Check, fail, Gone, inTime, limits, type Server } from "./_suite.ts";

async function alive(server: Server): Promise<void> {
  const response = await ask(server, last, "a bad request must not end the server");
  if (response?.head.status !== 200) {
    fail("status 200 for a good request after a bad one", status(response), "keep serving after a bad request");
  }
}

/** A request that must be refused with one of these status codes; with `closed`, the server may also close without a response. */
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
  level: "strict",
  async run(server) {
    const response = await ask(server, request, hint);
    if (!(response ? codes.includes(response.head.status) : closed)) {
      fail(`status ${codes.join(" or ")}`, status(response), hint);
    }
    await alive(server);
  },
});

/** A head without an end, of which up to eight megabytes are sent: the server must answer or close before that. */
const endless = (name: string, why: string, start: string, more: string, hint: string): Check<Server> => ({
  name,
  why,
  points: 1,
  level: "strict",
  async run(server) {
    using peer = await HttpPeer.connect(server);
    // A response, whatever it says, or the end: a server that closes while bytes come in resets the connection.
    const answered = peer.rest(hint).then(() => true, (error) => error instanceof Gone);
    let taken = false;
    const until = Date.now() + limits.patience;
    const sending = (async () => {
      await peer.send(start);
      for (let sent = 0; sent < 8_000_000 && !taken && Date.now() < until; sent += more.length) await peer.send(more);
    })().catch(() => {});
    const limited = await Promise.race([answered, sending.then(() => inTime(answered, 1000))]);
    taken = true;
    if (!limited) fail("a response, or the end of the connection, before 8 MB", "a server that still reads", hint);
    peer[Symbol.dispose]();
    await sending;
    await alive(server);
  },
});

/**
 * A message that two programs could read in different ways, and a second request after it. The responses show whether the
 * server began to read the second request at the right byte: all of them except the first must have status 200.
 */
const ambiguous = (
  name: string,
  section: string,
  why: string,
  message: string,
  most: number,
  hint: string,
  needs: readonly string[] = [],
): Check<Server> => ({
  name,
  why: `${section}: ${why}`,
  points: 1,
  level: "strict",
  needs: ["pipelining", "Connection: close", ...needs],
  async run(server) {
    {
      using peer = await HttpPeer.connect(server);
      await peer.send(message + last);
      const first = await peer.response("GET", hint);
      let answers = first ? 1 : 0; // a close without a response is safe, too
      for (let next = first && await peer.response("GET", hint); next; next = await peer.response("GET", hint)) {
        answers++;
        if (next.head.status !== 200) fail("the next request to be read from its first byte", status(next), hint);
      }
      if (answers > most) {
        fail(`${most === 1 ? "the connection to be closed" : "two responses"}`, `${answers} responses`, hint);
      }
    } // this closes the connection: a server may serve one client at a time
    await alive(server);
  },
});

export const malformedRequests: readonly Check<Server>[] = [
  refused(
    "no Host",
    "RFC 9112 §3.2",
    "an HTTP/1.1 request without Host must be refused with 400.",
    "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    [400],
    "answer 400 if there is no Host field",
  ),
  refused(
    "two Hosts",
    "RFC 9112 §3.2",
    "with two Host fields it is unclear which site is meant, so the request must be refused with 400.",
    get("Host: other\r\nConnection: close\r\n"),
    [400],
    "answer 400 if there is more than one Host field",
  ),
  refused(
    "a space before the colon",
    "RFC 9112 §5.1",
    "some programs read this as Content-Length, some as another field, so it must be refused with 400.",
    get("Content-Length : 0\r\nConnection: close\r\n"),
    [400],
    "answer 400 if there is a space between the field name and the colon",
  ),
  refused(
    "two lengths",
    "RFC 9112 §6.3",
    "with two different lengths it is unclear where the next request starts.",
    get("Content-Length: 4\r\nContent-Length: 5\r\n") + "abcde",
    [400],
    "answer 400 and close the connection",
  ),
  refused(
    "a length that is not a number",
    "RFC 9112 §6.3",
    '"4x" is not a number: one parser reads 4, another reads 0, and they disagree where the request ends.',
    "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4x\r\nConnection: close\r\n\r\n",
    [400],
    "answer 400 unless Content-Length contains only digits",
  ),
  {
    name: "a malformed request line",
    why:
      "RFC 9112 §3: a request line that is none gets an error (400), or the connection is closed; the server goes on.",
    points: 1,
    level: "strict",
    async run(server) {
      const hint = "answer 400 unless the line has a method, a target and a version";
      const response = await ask(server, "hello?\r\n\r\n", hint);
      if (response && response.head.status < 400) fail("status 400", status(response), hint);
      await alive(server);
    },
  },
  {
    name: "a version of the future",
    why: "RFC 9110 §2.5, §15.6.6: a server may refuse HTTP/3.0 in a request line with 505, or answer as it can; the " +
      "answer begins with a status line, and the next client is served.",
    points: 1,
    level: "strict",
    async run(server) {
      const request = last.replace("HTTP/1.1", "HTTP/3.0");
      await ask(server, request, "check the version, and answer 505");
      await alive(server);
    },
  },
  endless(
    "an endless request line",
    "RFC 9112 §3: a server limits the length of the request line and answers 414, or a client can fill its memory.",
    `GET /${"a".repeat(65_000)}`,
    "a".repeat(65_000),
    "count the bytes while you wait for the end of the line; at 8000 or more answer 414 and close",
  ),
  endless(
    "an endless head",
    "RFC 6585 §5: a server limits the size of the head and answers 431, or a client can fill its memory.",
    get().slice(0, -2),
    `X: ${"a".repeat(1000)}\r\n`.repeat(60),
    "count the bytes while you wait for the empty line; at a limit of your choice answer 431 and close",
  ),
  ambiguous(
    "a GET with a body",
    "RFC 9112 §6.3",
    "the server reads the body of a request to its end, or closes the connection.",
    get("Content-Length: 5\r\n").replace("\r\n\r\n", "\r\n\r\nhello"),
    2,
    "read and discard the body, or close the connection",
  ),
  ambiguous(
    "a GET with chunks",
    "RFC 9112 §7.1",
    "a chunked body, with extensions and trailers, is read to its end, or the connection is closed.",
    get("Transfer-Encoding: chunked\r\n") + "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
    2,
    "read the chunks, or close the connection",
    ["a GET with a body"],
  ),
  ambiguous(
    "both lengths",
    "RFC 9112 §6.1",
    "after a request with Content-Length and Transfer-Encoding, the connection is closed.",
    "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    1,
    "answer 400 and close the connection: attackers smuggle requests past a proxy in this way",
    ["a GET with a body"],
  ),
  ambiguous(
    "a bare CR",
    "RFC 9112 §2.2",
    "a CR without LF is not a line end.",
    get("X: a\rContent-Length: 4\r\n"),
    2,
    "answer 400, or replace the CR with a space",
  ),
  ambiguous(
    "a folded line",
    "RFC 9112 §5.2",
    "a field line that starts with a space must be refused, or joined to the line before it.",
    get("X: a\r\n Content-Length: 4\r\n"),
    2,
    "answer 400",
  ),
];
