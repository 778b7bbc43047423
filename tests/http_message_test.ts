/** HTTP messages: heads, bodies, conditions, ranges and paths, with cases from RFC 9110 and RFC 9112. */
import { assert, assertEquals, assertThrows } from "jsr:@std/assert@1";
import { authorityOf } from "../http/_authority.ts";
import { Body, encodeChunk, type Framing, requestFraming, responseFraming } from "../http/_body.ts";
import { concat } from "../http/_concat.ts";
import { codingWeight, evaluatePreconditions, parseRanges } from "../http/_conditions.ts";
import { parseDate } from "../http/_date.ts";
import { humanSize, listing } from "../http/_listing.ts";
import {
  encodeRequest,
  encodeResponse,
  Fields,
  HEAD_LIMITS,
  headLength,
  MessageError,
  parseField,
  parseRequest,
  parseResponse,
} from "../http/_message.ts";
import { reasonPhrase } from "../http/_reason_phrase.ts";
import { isHidden, isSpecialOnWindows, parseTargetPath } from "../http/_path.ts";
import "./parts/http_limits.ts";
import "./parts/http.ts";
import { numbers } from "./support/fuzz.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

/** Parses a whole request, as a server does. */
function request(raw: string) {
  const data = bytes(raw);
  const length = headLength(data);
  assert(length > 0, `no end of the head in ${JSON.stringify(raw)}`);
  const head = parseRequest(data.subarray(0, length));
  return { head, framing: requestFraming(head) };
}

function refused(raw: string, status: number): void {
  const error = assertThrows(() => request(raw), MessageError);
  assertEquals<unknown>(
    error instanceof MessageError && error.status,
    status,
    `${JSON.stringify(raw)}: ${String(error)}`,
  );
}

Deno.test("a request: RFC 9112 §2.1's example", () => {
  const raw =
    "GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\nAccept-Language: en, mi\r\n\r\n";
  const { head, framing } = request(raw);
  assertEquals([head.method, head.target, head.minor], ["GET", "/hello.txt", 1]);
  assertEquals(head.fields.get("accept-language"), "en, mi");
  assertEquals(framing, { kind: "none" });
  assertEquals(text(encodeRequest(head)), raw);
});

Deno.test("a response: RFC 9110 §3.9's example, and its body", () => {
  const head =
    'HTTP/1.1 200 OK\r\nDate: Mon, 27 Jul 2009 12:28:53 GMT\r\nServer: Apache\r\nETag: "34aa387-d-1568eb00"\r\n' +
    "Accept-Ranges: bytes\r\nContent-Length: 51\r\nVary: Accept-Encoding\r\nContent-Type: text/plain\r\n\r\n";
  const content = "Hello World! My content includes a trailing CRLF.\r\n";
  const data = bytes(head + content);
  const length = headLength(data);
  const parsed = parseResponse(data.subarray(0, length));
  assertEquals([parsed.status, parsed.reason], [200, "OK"]);
  assertEquals(text(encodeResponse(parsed)), head);
  const body = new Body(responseFraming(parsed, "GET"));
  let got = "";
  assertEquals(body.push(data.subarray(length), (part) => got += text(part)), 51);
  assertEquals([got, body.done], [content, true]);
});

Deno.test("what could be read in two ways is refused, with the status that says so", () => {
  const host = "Host: a\r\n";
  for (
    const [raw, status] of [
      [`GET / HTTP/1.1\r\n\r\n`, 400], // no Host, RFC 9112 §3.2
      [`GET / HTTP/1.1\r\n${host}Host: b\r\n\r\n`, 400],
      [`GET / HTTP/1.1\r\n${host}Host: a\r\n\r\n`, 400],
      [`GET / HTTP/1.1\r\nHost: a b\r\n\r\n`, 400],
      [`GET / HTTP/1.1\r\nHost: a/b\r\n\r\n`, 400],
      [`GET / HTTP/1.1\r\nHost: user@a\r\n\r\n`, 400],
      ...["x:99999", "x:8o", "x%zz", "[:::::1]", "[::1", "::1", "[::1]x"].map((host) =>
        [`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 400] as const
      ),
      ...["http://a:99999/", "http://u@a/", "http://:80/", "http:///", "http://[:::::1]/", "ftp://a/"].map((target) =>
        [`GET ${target} HTTP/1.1\r\n${host}\r\n`, 400] as const
      ),
      [`CONNECT a HTTP/1.1\r\n${host}\r\n`, 400], // §3.2.3: with a port
      [`GET / HTTP/1.1\r\nHost : a\r\n\r\n`, 400], // §5.1
      [`GET / HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`, 400], // §5.2
      [`GET / HTTP/1.1\r\n ${host}\r\n`, 400],
      [`GET / HTTP/1.1\r\n${host}X: a\rY: b\r\n\r\n`, 400], // §2.2
      [`GET / HTTP/1.1\r\n${host}X: a\0\r\n\r\n`, 400],
      [`GET / HTTP/1.1\r\n${host}X: a\x07b\r\n\r\n`, 400],
      [`GET / HTTP/1.1\r\n${host}: a\r\n\r\n`, 400],
      [`GET / HTTP/1.1\r\n${host}no colon\r\n\r\n`, 400],
      [`GET / HTTP/1.1\r\n${host}X(y): a\r\n\r\n`, 400],
      [`GET / HTTP/1.1\n${host}\r\n`, 400],
      [`GET  / HTTP/1.1\r\n${host}\r\n`, 400], // §3: one space
      [`GET / HTTP/1.1 \r\n${host}\r\n`, 400],
      [` GET / HTTP/1.1\r\n${host}\r\n`, 400],
      [`GET\t/\tHTTP/1.1\r\n${host}\r\n`, 400],
      [`GET / http/1.1\r\n${host}\r\n`, 400],
      [`GET / HTTP/1.1.1\r\n${host}\r\n`, 400],
      [`GET / HTTP/11\r\n${host}\r\n`, 400],
      [`GET /\r\n\r\n`, 400], // HTTP/0.9
      [`G@T / HTTP/1.1\r\n${host}\r\n`, 400],
      [`GET a HTTP/1.1\r\n${host}\r\n`, 400],
      [`GET /ü HTTP/1.1\r\n${host}\r\n`, 400],
      [`GET /#f HTTP/1.1\r\n${host}\r\n`, 400],
      [`GET * HTTP/1.1\r\n${host}\r\n`, 400],
      [`GET / HTTP/2.0\r\n${host}\r\n`, 505],
      [`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, 505],
      [`POST / HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n`, 400], // §6.1
      [`POST / HTTP/1.1\r\n${host}Content-Length: 4\r\nContent-Length: 5\r\n\r\n`, 400], // §6.3
      [`POST / HTTP/1.1\r\n${host}Content-Length: 4, 5\r\n\r\n`, 400],
      ...["+4", "-4", "4x", "0x4", "4.0", "1e3", "", "٤"].map((length) =>
        [`POST / HTTP/1.1\r\n${host}Content-Length: ${length}\r\n\r\n`, 400] as const
      ),
      [`POST / HTTP/1.1\r\n${host}Content-Length: 9999999999999999\r\n\r\n`, 413],
      [`POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip\r\n\r\n`, 400], // §6.3: chunked is last
      [`POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked, gzip\r\n\r\n`, 400],
      [`POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n`, 501],
      [`POST / HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n`, 400],
      [`POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n`, 400], // §6.1
      [`GET /${"a".repeat(HEAD_LIMITS.line)} HTTP/1.1\r\n${host}\r\n`, 414],
      [`GET / HTTP/1.1\r\n${host}X: ${"a".repeat(HEAD_LIMITS.line)}\r\n\r\n`, 431],
      [`GET / HTTP/1.1\r\n${host}${`X: ${"a".repeat(1000)}\r\n`.repeat(40)}\r\n`, 431],
      [`GET / HTTP/1.1\r\n${host}${"X: y\r\n".repeat(HEAD_LIMITS.fields)}\r\n`, 431],
    ] as const
  ) refused(raw, status);
});

Deno.test("what is allowed is taken", () => {
  assertEquals(request("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").head.method, "GET");
  assertEquals(request("GET / HTTP/1.0\r\n\r\n").head.minor, 0);
  assertEquals(request("GET / HTTP/1.7\r\nHost:\r\n\r\n").head.minor, 1);
  assertEquals(request("OPTIONS * HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n").head.target, "*");
  for (const host of ["x%20y", "x:65535", "[::ffff:127.0.0.1]:1", "a_b", "x:"]) {
    assertEquals(request(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`).head.fields.get("host"), host);
  }
  const absolute = request("GET http://b:80/x HTTP/1.1\r\nHost: a\r\n\r\n").head;
  assertEquals([authorityOf(absolute), authorityOf({ ...absolute, target: "/x" })], ["b:80", "a"]);
  assertEquals(request("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n").head.method, "CONNECT");
  assertEquals(request("GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n").head.target, "http://a/b?c");
  assertEquals(request("GET / HTTP/1.1\r\nHost: a\r\nX:\t y \t\r\nx: z\r\n\r\n").head.fields.get("x"), "y, z");
  assertEquals(request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n").framing, {
    kind: "length",
    length: 7,
  });
  assertEquals(request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n").framing, {
    kind: "chunked",
  });
  assertEquals(parseResponse(bytes("HTTP/1.1 404 Nicht da: ü\r\n\r\n")).reason, "Nicht da: ü");
  assertEquals(parseResponse(bytes("HTTP/1.0 200\r\n\r\n")).minor, 0);
});

Deno.test("a head is too long as soon as it is, not when it ends", () => {
  assertThrows(() => headLength(bytes("G".repeat(HEAD_LIMITS.line + 1))), MessageError);
  assertEquals(headLength(bytes("G".repeat(HEAD_LIMITS.line))), -1);
  assertThrows(() => headLength(bytes("GET / HTTP/1.1\nHost: a\n")), MessageError, "nc -C");
  assertThrows(() => headLength(bytes("a\r\n".repeat(HEAD_LIMITS.fields + 2))), MessageError, "more than 100 fields");
  assertThrows(() => headLength(bytes("\r\n".repeat(HEAD_LIMITS.fields))), MessageError, "empty lines");
  assertEquals(headLength(bytes(`GET / HTTP/1.1\r\n${"a:b\r\n".repeat(HEAD_LIMITS.fields)}\r\n`)), 518);
});

Deno.test("many spaces in a row cost no more than other bytes", () => { // with a square of them this would take hours
  const value = `a${" ".repeat(4_000_000)}b`;
  const fields = new Fields();
  parseField(`If-None-Match:  \t${value}\t `, fields);
  parseField(`If-Match: *`, fields);
  assertEquals(fields.get("if-none-match"), value);
  assertEquals(evaluatePreconditions(fields, validators), 200);
  assertEquals(evaluatePreconditions(new Fields([["If-Match", value]]), validators), 412);
  assertEquals(codingWeight(value, "gzip"), 0);
  assertEquals(parseRanges(new Fields([["Range", `bytes=0-${" ".repeat(4_000_000)}x`]]), 9, validators), undefined);
  assertEquals(parseDate(`Sun${value}`), undefined);
  assertEquals(parseTargetPath(`/${"/".repeat(4_000_000)}`), [""]);
});

Deno.test("no value writes a line of its own", () => {
  for (const value of ["a\r\nX: y", "a\nb", "a\rb", "a\0"]) {
    assertThrows(() => new Fields([["X", value]]), MessageError);
  }
  for (const name of ["", "a b", "a:", "a\r\n", "ä"]) assertThrows(() => new Fields([[name, ""]]), MessageError);
  const fields = new Fields();
  for (const target of ["/a b", "/a\r\nX: y", ""]) {
    assertThrows(() => encodeRequest({ method: "GET", target, fields }), MessageError);
  }
  assertThrows(() => encodeRequest({ method: "GET /", target: "/", fields }), MessageError);
});

/** A body, fed in pieces of `size` bytes; returns it, and what was left over. */
function decode(framing: Framing, raw: string, size: number): { body: Body; data: string; rest: string } {
  const body = new Body(framing);
  const all = bytes(raw);
  let data = "";
  let at = 0;
  while (at < all.length && !body.done) at += body.push(all.subarray(at, at + size), (part) => data += text(part));
  return { body, data, rest: text(all.subarray(at)) };
}

Deno.test("bodies, cut at every byte", () => {
  const chunked = '4;x=y\r\nWiki\r\n006 ; q="s"\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nA: b\r\nC: d\r\n\r\nGET';
  for (let size = 1; size <= chunked.length; size++) {
    const { body, data, rest } = decode({ kind: "chunked" }, chunked, size);
    assertEquals([data, rest, body.done, body.size], ["Wikipedia in \r\n\r\nchunks.", "GET", true, 24]);
    assertEquals([...body.trailers], [["A", "b"], ["C", "d"]]);
    const plain = decode({ kind: "length", length: 5 }, "helloGET", size);
    assertEquals([plain.data, plain.rest, plain.body.done], ["hello", "GET", true]);
    const close = decode({ kind: "close" }, "hello", size);
    assertEquals([close.data, close.body.done], ["hello", false]);
    close.body.end();
    assert(close.body.done);
  }
});

Deno.test("bodies that are malformed or cut short are errors", () => {
  for (
    const raw of [
      "x\r\n",
      "-1\r\n",
      "0x5\r\nhello\r\n",
      "5\r\nhello!\r\n",
      "5\nhello\r\n",
      " 5\r\n",
      "5 5\r\n",
      "\r\n",
      "fffffffffffff\r\n",
      "0\r\n X: y\r\n\r\n",
      "0\r\nX : y\r\n\r\n",
      `0\r\n${"X: y\r\n".repeat(200)}`,
      ";".repeat(10_000),
    ]
  ) assertThrows(() => decode({ kind: "chunked" }, raw, 7), MessageError, undefined, raw.slice(0, 20));
  for (const raw of ["", "5", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\nX: y\r\n"]) {
    assertThrows(() => decode({ kind: "chunked" }, raw, 3).body.end(), MessageError, "a last chunk");
  }
  assertThrows(
    () => decode({ kind: "length", length: 6 }, "hello", 9).body.end(),
    MessageError,
    "after 5 bytes of the body; expected 6",
  );
  assertEquals(text(encodeChunk(bytes("hello world, all"))), "10\r\nhello world, all\r\n");
});

Deno.test("reason phrases, and byte arrays joined", () => {
  assertEquals([200, 404, 299].map(reasonPhrase), ["OK", "Not Found", ""]);
  assertEquals(text(concat([bytes("a"), bytes(""), bytes("bc")])), "abc");
});

Deno.test("which responses have a body, and how it ends (RFC 9112 §6.3)", () => {
  const of = (head: string, method = "GET") =>
    responseFraming(parseResponse(bytes(`HTTP/1.1 ${head}\r\n\r\n`)), method).kind;
  assertEquals(of("200 OK\r\nContent-Length: 3"), "length");
  assertEquals(of("200 OK"), "close");
  assertEquals(of("200 OK\r\nTransfer-Encoding: gzip"), "close");
  assertEquals(of("200 OK\r\nTransfer-Encoding: gzip, chunked"), "chunked");
  assertEquals(of("200 OK\r\nContent-Length: 3", "HEAD"), "none");
  for (const status of ["100 Continue", "204 No Content", "304 Not Modified"]) {
    assertEquals(of(`${status}\r\nContent-Length: 3`), "none");
  }
  assertThrows(() => of("200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked"), MessageError);
});

Deno.test("random bytes end in an error or in nothing, and what is parsed is written the same", () => {
  const random = numbers(1);
  const start = "POST /a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  let parsed = 0;
  for (let i = 0; i < 20_000; i++) {
    const data = bytes(start);
    for (let n = random(4); n >= 0; n--) data[random(data.length)] = random(256);
    try {
      const length = headLength(data);
      if (length < 0) continue;
      const head = parseRequest(data.subarray(0, length));
      new Body(requestFraming(head)).push(data.subarray(length), () => {});
      assertEquals(parseRequest(encodeRequest(head)).target, head.target);
      assertEquals([...parseRequest(encodeRequest(head)).fields], [...head.fields]);
      parsed++;
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
    }
  }
  assert(parsed > 1000, `${parsed}`);
});

const validators = { etag: '"abc"', modified: Date.UTC(1994, 10, 6, 8, 49, 37, 500) };
const fields = (...lines: [string, string][]) => new Fields(lines);

Deno.test("HTTP dates: the three forms of RFC 9110 §5.6.7", () => {
  const time = Date.UTC(1994, 10, 6, 8, 49, 37);
  for (const date of ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]) {
    assertEquals(parseDate(date), time, date);
  }
  assertEquals(parseDate("Thursday, 29-Feb-24 00:00:00 GMT"), Date.UTC(2024, 1, 29));
  for (
    const date of [
      ...[undefined, "", "yesterday", "1994-11-06T08:49:37Z", "784111777", "Sun, 06 Nov 1994 08:49:37"],
      ...["PST", "+0100", "UTC", "gmt", "GMT+1"].map((zone) => `Sun, 06 Nov 1994 08:49:37 ${zone}`),
      ...["Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT"],
      ...["Sun, 6 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT", "sun, 06 nov 1994 08:49:37 GMT"],
    ]
  ) assertEquals(parseDate(date), undefined, date);
});

Deno.test("preconditions in their order (RFC 9110 §13.2.2)", () => {
  const later = "Sun, 06 Nov 1994 08:49:38 GMT";
  const same = "Sun, 06 Nov 1994 08:49:37 GMT";
  const earlier = "Sun, 06 Nov 1994 08:49:36 GMT";
  for (
    const [lines, state] of [
      [[], 200],
      [[["If-None-Match", '"abc"']], 304],
      [[["If-None-Match", 'W/"abc"']], 304],
      [[["If-None-Match", '"x", "abc"']], 304],
      [[["If-None-Match", "*"]], 304],
      [[["If-None-Match", '"x"']], 200],
      [[["If-None-Match", '"x"'], ["If-Modified-Since", later]], 200], // the tag goes before the date
      [[["If-Modified-Since", same]], 304],
      [[["If-Modified-Since", later]], 304],
      [[["If-Modified-Since", earlier]], 200],
      [[["If-Modified-Since", "garbage"]], 200],
      [[["If-Match", '"abc"']], 200],
      [[["If-Match", "*"]], 200],
      [[["If-Match", '"x"']], 412],
      [[["If-Match", 'W/"abc"']], 412],
      [[["If-Unmodified-Since", earlier]], 412],
      [[["If-Unmodified-Since", same]], 200],
      [[["If-Match", '"abc"'], ["If-None-Match", '"abc"']], 304],
    ] as [[string, string][], number][]
  ) assertEquals(evaluatePreconditions(fields(...lines), validators), state, JSON.stringify(lines));
});

Deno.test("ranges (RFC 9110 §14.1.2: of 10000 bytes)", () => {
  const of = (range: string, ...more: [string, string][]) =>
    parseRanges(fields(["Range", range], ...more), 10_000, validators)?.map(({ start, end }) => `${start}-${end}`)
      .join();
  assertEquals(of("bytes=0-499"), "0-499");
  assertEquals(of("bytes=500-999"), "500-999");
  assertEquals(of("bytes=-500"), "9500-9999");
  assertEquals(of("bytes=9500-"), "9500-9999");
  assertEquals(of("bytes=0-0,-1"), "0-0,9999-9999");
  assertEquals(of("bytes= 0-999, 4500-5499, -1000"), "0-999,4500-5499,9000-9999");
  assertEquals(of("bytes=9000-99999"), "9000-9999");
  assertEquals(of("bytes=-99999"), "0-9999");
  assertEquals(of("bytes=10000-"), "", "beyond the end: 416");
  assertEquals(of("bytes=-0"), "");
  for (
    const range of ["bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "lines=1-2", "bytes 0-1", "bytes=0-9999,0-9999"]
  ) {
    assertEquals(of(range), undefined, range);
  }
  assertEquals(of(`bytes=${"0-0,".repeat(17)}`), undefined, "so many that someone wants harm");
  assertEquals(of("bytes=0-1", ["If-Range", '"abc"']), "0-1");
  assertEquals(of("bytes=0-1", ["If-Range", '"old"']), undefined);
  assertEquals(of("bytes=0-1", ["If-Range", 'W/"abc"']), undefined);
  assertEquals(of("bytes=0-1", ["If-Range", "Sun, 06 Nov 1994 08:49:37 GMT"]), "0-1");
  assertEquals(of("bytes=0-1", ["If-Range", "Sun, 06 Nov 1994 08:49:36 GMT"]), undefined);
});

Deno.test("Accept-Encoding (RFC 9110 §12.5.3): weights", () => {
  for (
    const [header, gzip, identity] of [
      [undefined, 0, 0.0001],
      ["", 0, 0.0001],
      ["gzip", 1, 0.0001],
      ["GZIP, br", 1, 0.0001],
      ["x-gzip", 1, 0.0001],
      ["br;q=1, gzip;q=0.5", 0.5, 0.0001],
      ["gzip;q=0.1, identity;q=1", 0.1, 1],
      ["gzip ; Q=0.123", 0.123, 0.0001],
      ["gzip;q=0", 0, 0.0001],
      ["gzip; q=0.000", 0, 0.0001],
      ["gzip;q=2", 0, 0.0001], // malformed
      ["gzip;q=0.1234", 0, 0.0001],
      ["*", 1, 0.0001],
      ["*;q=0", 0, 0],
      ["*;q=0, identity", 0, 1],
      ["gzip;q=0, *", 0, 0.0001],
      ["xgzip", 0, 0.0001],
    ] as const
  ) assertEquals([codingWeight(header, "gzip"), codingWeight(header, "identity")], [gzip, identity], header);
});

Deno.test("paths are decoded once, and none leads up", () => {
  assertEquals(parseTargetPath("/"), [""]);
  assertEquals(parseTargetPath("/a%20b/c?d=/../e"), ["a b", "c"]);
  assertEquals(parseTargetPath("//a///b/"), ["a", "b", ""]);
  assertEquals(parseTargetPath("http://host/a"), ["a"]);
  assertEquals(parseTargetPath("http://host"), [""]);
  assertEquals(parseTargetPath("/%252e%252e/x"), ["%2e%2e", "x"]);
  assertEquals(parseTargetPath("/%C3%BC"), ["ü"]);
  for (
    const target of [
      "/..",
      "/../x",
      "/a/../b",
      "/.",
      "/%2e%2e/x",
      "/.%2E/x",
      "/..%2fx",
      "/a%2fb",
      "/a\\b",
      "/a%5cb",
      "/%00",
      "/a%00.txt",
      "/%",
      "/%zz",
      "/%ff",
      "/%c0%ae%c0%ae/x",
    ]
  ) assertThrows(() => parseTargetPath(target), MessageError, undefined, target);
});

Deno.test("names that are hidden, and names that Windows takes for something else", () => {
  assertEquals([".git", ".", "a.b", ".well-known", "..."].map(isHidden), [true, true, false, false, true]);
  const special = [
    "a.txt::$DATA",
    "NUL",
    "nul.txt",
    "com1",
    "LPT¹.log",
    "con .txt",
    "a.",
    "a ",
    "a?b",
    "conin$",
    "x\x01",
  ];
  assertEquals(special.filter((name) => !isSpecialOnWindows(name)), []);
  const plain = ["a.txt", "null", "com", "com10", "console.log", "a b", "nul-x", "a.nul", "", "GIT~1"];
  assertEquals(plain.filter(isSpecialOnWindows), []);
});

Deno.test("the page of a folder escapes names, sorts as people do, and keeps its links relative", () => {
  const entry = (name: string, folder = false) => ({ name, folder, size: 1536, modified: new Date(0) });
  const page = listing(["a b", "<i>", ""], [
    entry("file10"),
    entry("file2"),
    entry("javascript:alert(1)"),
    entry("zoo", true),
    entry('"><script>alert(1)</script>.txt'),
  ], 3);
  assert(!page.includes("<script>") && !page.includes("<i>"));
  assert(page.includes('href="javascript%3Aalert(1)"'));
  assert(page.includes('href="%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E.txt"'));
  assert(page.indexOf(">zoo/<") < page.indexOf(">file2<") && page.indexOf(">file2<") < page.indexOf(">file10<"));
  assert(page.includes("1.5 KiB") && page.includes("1970-01-01 00:00") && page.includes("… and 3 more."));
  assert(page.includes('<a href="../">a b</a> / <a href="./">&lt;i&gt;</a>'));
  assertEquals([0, 1023, 1024, 1 << 20, 5.5 * 2 ** 30].map(humanSize), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.0 MiB",
    "5.5 GiB",
  ]);
});
