/** The parts of the proxy: what its cache may keep and send (RFC 9111), what it passes on (RFC 9110 §7.6), where it may connect. */
import { assertEquals, assertThrows } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { parseCacheControl, requestDirectives, secondsOf } from "../../http/_cache_control.ts";
import {
  type CacheRequest,
  type CacheResponse,
  conditions,
  freshnessLifetime,
  initialAge,
  invalidated,
  isAbout,
  judge,
  matches,
  mayServeOnError,
  mayStore,
  selectingFields,
  updatedFields,
} from "../../http/_cache_rules.ts";
import { decodeLatin1, encodeLatin1 } from "../../http/_latin1.ts";
import { Fields, MessageError, parseRequest, type ResponseHead } from "../../http/_message.ts";
import { AllowedServers, parseRule } from "../../http/_proxy_allow.ts";
import { ResponseCache } from "../../http/_proxy_cache.ts";
import { absoluteTarget, connectRequest, proxyOf, proxyOption } from "../../http/_proxy_option.ts";
import { FinalRecipient, forwarded, parseProxyRequest, ProxyError } from "../../http/_proxy_request.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Fields of lines such as `Cache-Control: no-store`. */
const fieldsOf = (...lines: string[]) =>
  new Fields(lines.map((line) => {
    const [, name = "", value = ""] = /^([^:]+): ?(.*)$/s.exec(line) ?? [];
    return [name, value] as const;
  }));

const request = (...lines: string[]): CacheRequest => ({ method: "GET", fields: fieldsOf(...lines) });
const response = (status: number, ...lines: string[]): ResponseHead => (
  { status, reason: "", minor: 1, fields: fieldsOf(...lines) }
);
const date = "Date: Sun, 06 Nov 1994 08:49:37 GMT";
const received = Date.UTC(1994, 10, 6, 8, 49, 37);

Deno.test("Cache-Control: directives, arguments in quotes, and what is malformed (RFC 9111 §5.2)", () => {
  const parse = (...values: string[]) =>
    [...parseCacheControl(fieldsOf(...values.map((v) => `Cache-Control: ${v}`)))].map((pair) => pair.join("="));
  assertEquals(parse("no-cache"), ["no-cache="]);
  assertEquals(parse("MAX-AGE=60, Public"), ["max-age=60", "public="]);
  assertEquals(parse("max-age=60", "private"), ["max-age=60", "private="], "several fields are one list");
  assertEquals(parse('private="set-cookie, x", max-age="60"'), ["private=set-cookie, x", "max-age=60"]);
  assertEquals(parse(" ,, a=1 ,no-store,"), ["a=1", "no-store="]);
  assertEquals(parse("max-age=1, max-age=9"), ["max-age=1"], "the first counts (§4.2.1)");
  assertEquals(parse("toString"), ["tostring="]);
  // Something that is malformed must not hide what is behind it.
  for (const broken of ["@, no-store", '"", no-store', 'max-age="60, no-store', "=, no-store", "a b, no-store"]) {
    assertEquals(parse(broken).includes("no-store="), true, broken);
  }
  const long = parseCacheControl(fieldsOf(`Cache-Control: ${'"'.repeat(8000)}`));
  assertEquals(long.size, 0);
  const age = (value: string) => secondsOf(parseCacheControl(fieldsOf(`Cache-Control: ${value}`)), "max-age");
  assertEquals([age("public"), age("max-age=60"), age('max-age="60"')], [undefined, 60, 60]);
  assertEquals([age("max-age"), age("max-age=-1"), age("max-age=1.5"), age("max-age=x")], [0, 0, 0, 0]);
  assertEquals(age("max-age=99999999999999999999"), 2 ** 31, "§1.2.2");
  const asks = (...lines: string[]) => requestDirectives(fieldsOf(...lines)).has("no-cache");
  assertEquals([asks("Pragma: no-cache"), asks("Pragma: x"), asks("Cache-Control: no-cache")], [true, false, true]);
  assertEquals(asks("Pragma: no-cache", "Cache-Control: max-age=9"), false, "Pragma counts only alone (§5.4)");
});

Deno.test("what may be kept (RFC 9111 §3)", () => {
  const keeps = (asked: CacheRequest, answer: CacheResponse, heuristic = 0.1) =>
    mayStore(asked, answer, heuristic, received);
  const plain = request();
  const modified = "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT";
  const cases: [name: string, wanted: boolean, asked: CacheRequest, answer: CacheResponse, heuristic?: number][] = [
    ["max-age", true, plain, response(200, "Cache-Control: max-age=60")],
    ["s-maxage", true, plain, response(200, "Cache-Control: s-maxage=60")],
    ["Expires", true, plain, response(200, date, "Expires: Sun, 06 Nov 1994 09:49:37 GMT")],
    ["neither lifetime nor validator", false, plain, response(200)],
    ["heuristic", true, plain, response(200, modified)],
    ["no heuristic", false, plain, response(200, modified), 0],
    ["no heuristic, but public", true, plain, response(200, modified, "Cache-Control: public"), 0],
    ["an ETag alone", true, plain, response(200, 'ETag: "1"')],
    ["404 with a lifetime", true, plain, response(404, "Cache-Control: max-age=60")],
    ["302 without a lifetime", false, plain, response(302, 'ETag: "1"')],
    ["302 with a lifetime", true, plain, response(302, "Cache-Control: max-age=60")],
    ["a status that nobody knows, with a lifetime", true, plain, response(299, "Cache-Control: max-age=60")],
    ["the same with must-understand", false, plain, response(299, "Cache-Control: max-age=60, must-understand")],
    ["must-understand, no-store, 200", true, plain, response(200, "Cache-Control: max-age=9,must-understand,no-store")],
    ["206", false, plain, response(206, "Cache-Control: max-age=60")],
    ["304", false, plain, response(304, "Cache-Control: max-age=60")],
    ["no-store", false, plain, response(200, "Cache-Control: no-store, max-age=60")],
    ["private", false, plain, response(200, "Cache-Control: private, max-age=60")],
    ["private with a field", false, plain, response(200, 'Cache-Control: private="x", max-age=60')],
    ["no-cache, which may be kept", true, plain, response(200, "Cache-Control: no-cache", 'ETag: "1"')],
    ["max-age=0 with a validator", true, plain, response(200, "Cache-Control: max-age=0", 'ETag: "1"')],
    ["max-age=0 without one", false, plain, response(200, "Cache-Control: max-age=0")],
    [
      "a request with no-store",
      false,
      request("Cache-Control: no-store"),
      response(200, "Cache-Control: max-age=60"),
    ],
    ["Vary: *", false, plain, response(200, "Cache-Control: max-age=60", "Vary: Accept, *")],
    ["Vary: Accept", true, plain, response(200, "Cache-Control: max-age=60", "Vary: Accept")],
    ["Set-Cookie", false, plain, response(200, "Cache-Control: max-age=60", "Set-Cookie: a=1")],
    ["Set-Cookie and public", true, plain, response(200, "Cache-Control: public, max-age=60", "Set-Cookie: a=1")],
    ["a range", false, request("Range: bytes=0-1"), response(200, "Cache-Control: max-age=60")],
    ["a GET with a body", false, { ...plain, hasBody: true }, response(200, "Cache-Control: max-age=60")],
    ["POST", false, { ...plain, method: "POST" }, response(200, "Cache-Control: max-age=60")],
    ["HEAD", false, { ...plain, method: "HEAD" }, response(200, "Cache-Control: max-age=60")],
  ];
  for (const [name, wanted, asked, answer, heuristic] of cases) {
    assertEquals(keeps(asked, answer, heuristic), wanted, name);
  }
  // §3.5: the answer to credentials is for others only if the server says so.
  const signed = request("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  const allowed = ["max-age=60", "public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60", "no-cache"]
    .map((value) => keeps(signed, response(200, `Cache-Control: ${value}`, 'ETag: "1"')));
  assertEquals(allowed, [false, true, true, true, false]);
});

Deno.test("how long a response is fresh (RFC 9111 §4.2.1, §4.2.2)", () => {
  const lifetime = (heuristic: number, ...lines: string[]) =>
    freshnessLifetime(response(200, ...lines), heuristic, received);
  assertEquals(lifetime(0.1, "Cache-Control: max-age=60"), 60);
  assertEquals(lifetime(0.1, "Cache-Control: max-age=60, s-maxage=30"), 30, "a shared cache");
  const expires = "Expires: Sun, 06 Nov 1994 09:49:37 GMT";
  assertEquals(lifetime(0.1, date, expires), 3600);
  assertEquals(lifetime(0.1, expires), 3600, "without Date, the time of receipt");
  assertEquals(lifetime(0.1, date, expires, "Cache-Control: max-age=60"), 60, "max-age goes before Expires");
  assertEquals(lifetime(0.1, date, "Expires: 0", "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT"), 0);
  assertEquals(lifetime(0.1, date, "Expires: tomorrow"), 0);
  assertEquals(lifetime(0.1, date, "Expires: Sun, 06 Nov 1994 08:00:00 GMT"), 0);
  assertEquals(lifetime(0.1, date, "Expires: Sunday, 06-Nov-94 09:49:37 GMT"), 3600, "the old form");
  assertEquals(lifetime(0.1, date, "Last-Modified: Sun, 06 Nov 1994 08:39:37 GMT"), 60, "a tenth of ten minutes");
  assertEquals(lifetime(0.5, date, "Last-Modified: Sun, 06 Nov 1994 08:39:37 GMT"), 300);
  assertEquals(lifetime(0, date, "Last-Modified: Sun, 06 Nov 1994 08:39:37 GMT"), 0);
  assertEquals(lifetime(0.1, date, "Last-Modified: Sun, 06 Nov 1904 08:39:37 GMT"), 86_400, "a day at most");
  assertEquals(lifetime(0.1, date, "Last-Modified: Mon, 07 Nov 1994 08:39:37 GMT"), 0, "in the future");
  assertEquals(lifetime(0.1, date), 0);
  const found = response(302, date, "Last-Modified: Sun, 06 Nov 1994 08:39:37 GMT");
  assertEquals(freshnessLifetime(found, 0.1, received), 0, "302 is not fresh without a word");
});

Deno.test("how old a response is when it arrives (RFC 9111 §4.2.3)", () => {
  const age = (delay: number, late: number, ...lines: string[]) => {
    const responseTime = received + late * 1000;
    return initialAge({ ...response(200, ...lines), requestTime: responseTime - delay * 1000, responseTime });
  };
  assertEquals(age(0, 0, date), 0);
  assertEquals(age(0, 10, date), 10, "by its Date");
  assertEquals(age(2, 0, date), 2, "the time on the way counts");
  assertEquals(age(2, 10, date, "Age: 100"), 102, "by its Age");
  assertEquals(age(2, 200, date, "Age: 100"), 200, "by the larger one");
  assertEquals(age(0, -500, date), 0, "a Date in the future");
  assertEquals(age(0, 0, "Age: x"), 0);
  assertEquals(age(0, 0, date, "Age: 7, 90"), 7, "the first of a list (§5.1)");
  assertEquals(age(0, 0, date, "Age: -7"), 0);
});

Deno.test("whether a stored response may be sent unasked (RFC 9111 §4.2, §5.2)", () => {
  const verdict = (says: string, lifetime: number, age: number, ...lines: string[]) =>
    judge({ says: parseCacheControl(fieldsOf(`Cache-Control: ${says}`)), lifetime, age }, request(...lines));
  const asks = (value: string) => `Cache-Control: ${value}`;
  assertEquals(verdict("max-age=60", 60, 10), "fresh");
  assertEquals(verdict("max-age=60", 60, 60), "stale", "fresh means younger than its lifetime");
  assertEquals(verdict("no-cache, max-age=60", 60, 10), "stale");
  assertEquals(verdict("max-age=60", 60, 10, asks("no-cache")), "request");
  assertEquals(verdict("max-age=60", 60, 10, "Pragma: no-cache"), "request");
  assertEquals(verdict("max-age=60", 60, 10, asks("max-age=5")), "request");
  assertEquals(verdict("max-age=60", 60, 10, asks("max-age=20")), "fresh");
  assertEquals(verdict("max-age=60", 60, 0, asks("max-age=0")), "request", "how browsers reload");
  assertEquals(verdict("max-age=60", 60, 10, asks("max-age=nonsense")), "request");
  assertEquals(verdict("max-age=60", 60, 10, asks("min-fresh=40")), "fresh");
  assertEquals(verdict("max-age=60", 60, 10, asks("min-fresh=51")), "request");
  assertEquals(verdict("max-age=60", 60, 70, asks("max-stale")), "stale, but allowed");
  assertEquals(verdict("max-age=60", 60, 70, asks("max-stale=10")), "stale, but allowed");
  assertEquals(verdict("max-age=60", 60, 71, asks("max-stale=10")), "stale");
  for (const rule of ["must-revalidate", "proxy-revalidate", "s-maxage=60"]) {
    assertEquals(verdict(`max-age=60, ${rule}`, 60, 70, asks("max-stale")), "stale", rule);
    assertEquals(verdict(`max-age=60, ${rule}`, 60, 10, asks("max-stale")), "fresh", rule);
  }
  const onError = (says: string, age: number, ...lines: string[]) =>
    mayServeOnError(
      { says: parseCacheControl(fieldsOf(`Cache-Control: ${says}`)), lifetime: 60, age },
      request(...lines),
    );
  assertEquals(onError("max-age=60", 61), false, "only if the server has allowed it");
  assertEquals(onError("max-age=60, stale-if-error=30", 90), true, "RFC 5861 §4");
  assertEquals(onError("max-age=60, stale-if-error=30", 91), false);
  assertEquals(onError("max-age=60, stale-if-error=30, must-revalidate", 61), false);
  assertEquals(onError("max-age=60, stale-if-error=30", 61, "Cache-Control: no-cache"), false);
});

Deno.test("validation: conditions, a 304 and what it changes (RFC 9111 §4.3)", () => {
  const modified = "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT";
  assertEquals(conditions(response(200, 'ETag: "1"', modified)), [
    ["If-None-Match", '"1"'],
    ["If-Modified-Since", "Sun, 06 Nov 1994 08:00:00 GMT"],
  ]);
  assertEquals(conditions(response(200, "X: 1")), []);
  const stored = response(200, 'ETag: "1"', "Content-Type: text/a", "Age: 40", "X-Old: 1", "Cache-Control: max-age=1");
  const about = (...lines: string[]) => isAbout(response(304, ...lines), stored);
  assertEquals([about(), about('ETag: "1"'), about('ETag: W/"9"'), about('ETag: "2"')], [true, true, true, false]);
  const updated = updatedFields(
    stored.fields,
    fieldsOf("cache-control: max-age=99", "content-type: text/b", "Content-Length: 0", "X-New: 2"),
  );
  assertEquals([...updated].map((field) => field.join(": ")), [
    'ETag: "1"',
    "Content-Type: text/a",
    "X-Old: 1",
    "cache-control: max-age=99",
    "X-New: 2",
  ]);
});

Deno.test("Vary: the fields of the request are the second part of the key (RFC 9111 §4.1)", () => {
  const key = (vary: string, ...lines: string[]) => selectingFields(response(200, `Vary: ${vary}`), request(...lines));
  assertEquals(key("Accept-Language, ACCEPT", "Accept-Language: de"), [["accept-language", "=de"], ["accept", ""]]);
  const stored = key("accept", "Accept: a/b, c/d");
  assertEquals(matches(stored, request("Accept: a/b,  c/d")), true, "spaces make no difference");
  assertEquals(matches(stored, request("Accept: a/b", "Accept: c/d")), true, "nor does a second line");
  assertEquals(matches(stored, request("accept: a/b")), false);
  assertEquals(matches(stored, request()), false);
  assertEquals(matches(key("accept"), request("Accept: ")), false, "an empty field is not a missing one");
  assertEquals(matches([], request("Accept: x")), true);
});

Deno.test("invalidation: after a method that may change something (RFC 9111 §4.4)", () => {
  const url = "http://a.test/x";
  const of = (method: string, status: number, ...lines: string[]) =>
    invalidated(method, url, response(status, ...lines));
  assertEquals(of("GET", 200), []);
  assertEquals(of("OPTIONS", 200), []);
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "PURGE"]) assertEquals(of(method, 204), [url], method);
  assertEquals(of("PUT", 404), [], "an error has changed nothing");
  assertEquals(of("PUT", 302), [url]);
  assertEquals(of("POST", 201, "Location: /y", "Content-Location: http://a.test/z"), [
    url,
    "http://a.test/y",
    "http://a.test/z",
  ]);
  assertEquals(
    of("POST", 201, "Location: http://evil.test/y", "Content-Location: http://["),
    [url],
    "of the same server",
  );
});

/** What parsing these lines, as a request to a proxy called `me`, gives. */
const parsed = (...lines: string[]) => parseProxyRequest(parseRequest(bytes([...lines, "", ""].join("\r\n"))), "me");
const refusal = (...lines: string[]) => {
  const error = assertThrows(() => parsed(...lines));
  return error instanceof ProxyError || error instanceof MessageError ? error.status : error;
};

Deno.test("a request to a proxy: its target, Host and fields (RFC 9112 §3.2, RFC 9110 §7.6)", () => {
  const { method, to, url, target, fields, hasBody } = parsed(
    "GET http://A.Test:8080/x?y=1 HTTP/1.1",
    "Host: other.test",
    "Connection: keep-alive, X-Hop",
    "X-Hop: 1",
    "Keep-Alive: 5",
    "TE: trailers",
    "Upgrade: h2c",
    "Proxy-Connection: keep-alive",
    "Proxy-Authorization: Basic YTpi",
    "X-End: 2",
    "Content-Length: 3",
  );
  assertEquals([method, to, target, url, hasBody], [
    "GET",
    { hostname: "a.test", port: 8080 },
    "/x?y=1",
    "http://a.test:8080/x?y=1",
    true,
  ]);
  assertEquals([...fields], [["Host", "a.test:8080"], ["X-End", "2"]]);
  const target_ = (line: string) => {
    const { url, target, to } = parsed(`${line} HTTP/1.1`, "Host: x");
    return [target, url, to.port].join(" ");
  };
  assertEquals(target_("GET http://a.test"), "/ http://a.test/ 80");
  assertEquals(target_("GET HTTP://a.test:80/"), "/ http://a.test/ 80", "the default port is left out");
  assertEquals(target_("GET http://a.test?x"), "/?x http://a.test/?x 80");
  assertEquals(target_("OPTIONS http://a.test"), "* http://a.test/ 80");
  assertEquals(target_("OPTIONS http://a.test/"), "/ http://a.test/ 80");
  assertEquals(target_("GET http://0x7f.1:81/"), "/ http://127.0.0.1:81/ 81");
  assertEquals(target_("GET http://[::1]:81/"), "/ http://[::1]:81/ 81");
  assertEquals(target_("GET http://a.test./"), "/ http://a.test/ 80");
  assertEquals(parsed("CONNECT a.test:443 HTTP/1.1", "Host: x").to, { hostname: "a.test", port: 443 });
  assertEquals(parsed("GET http://a.test/ HTTP/1.0", "Expect: 100-continue").fields.has("expect"), false);
  assertEquals(parsed("GET http://a.test/ HTTP/1.1", "Host: x", "Expect: 100-continue").fields.has("expect"), true);
  assertEquals(refusal("GET / HTTP/1.1", "Host: x"), 400);
  assertEquals(refusal("GET https://a.test/ HTTP/1.1", "Host: x"), 501);
  assertEquals(refusal("CONNECT a.test:0 HTTP/1.1", "Host: x"), 400);
  assertEquals(refusal("GET http://1.2.3.4.5/ HTTP/1.1", "Host: x"), 400);
  const both = ["Content-Length: 1", "Transfer-Encoding: chunked"];
  assertEquals(refusal("POST http://a.test/ HTTP/1.1", "Host: x", ...both), 400);
  assertEquals(refusal("CONNECT a.test:1 HTTP/1.1", "Host: x", ...both), 400);
});

Deno.test("Via and Max-Forwards: a request does not go in a circle (RFC 9110 §7.6.2, §7.6.3)", () => {
  const line = "GET http://a.test/ HTTP/1.1";
  assertEquals(refusal(line, "Host: x", "Via: 1.0 fred, 1.1 me"), 508);
  assertEquals(refusal(line, "Host: x", "Via: 1.1 me (comment)"), 508);
  assertEquals(refusal(line, "Host: x", "Via: HTTP/1.1\tme"), 508);
  assertEquals(refusal("CONNECT a.test:443 HTTP/1.1", "Host: x", "Via: 1.1 me"), 508);
  assertEquals(parsed(line, "Host: x", "Via: 1.1 mean, 1.1 some").to.port, 80, "another name");
  const left = (method: string, value: string) =>
    parsed(`${method} http://a.test/ HTTP/1.1`, "Host: x", `Max-Forwards: ${value}`).fields.get("max-forwards");
  assertEquals([left("TRACE", "3"), left("OPTIONS", "1"), left("GET", "3"), left("TRACE", "x")], ["2", "0", "3", "x"]);
  assertThrows(() => left("TRACE", "0"), FinalRecipient);
  assertThrows(() => left("OPTIONS", "0"), FinalRecipient);
});

Deno.test("a response as it is passed on (RFC 9110 §7.6)", () => {
  const pass = (status: number, ...lines: string[]) =>
    [...forwarded(response(status, ...lines), "me").fields].map((field) => field.join(": "));
  assertEquals(
    pass(
      200,
      date,
      "Connection: close, X-Hop",
      "X-Hop: 1",
      "Transfer-Encoding: chunked",
      "Trailer: x",
      "X: 2",
      "Via: 1.0 a",
    ),
    [date, "X: 2", "Via: 1.0 a", "Via: 1.1 me"],
  );
  assertEquals(pass(200, date, "Content-Length: 5", "Connection: content-length"), [
    date,
    "Content-Length: 5",
    "Via: 1.1 me",
  ], "a length is not for one connection alone");
  assertEquals(pass(204, date, "Content-Length: 5"), [date, "Via: 1.1 me"]);
  assertEquals(pass(200).map((field) => field.replace(/: .*/, "")), ["Date", "Via"], "a Date is added");
  assertEquals(pass(100), ["Via: 1.1 me"]);
});

Deno.test("which servers a proxy may connect to", () => {
  const at = (rules: string[], host: string, port = 8000) => {
    const allowed = new AllowedServers(rules.map(parseRule), { hostname: "127.0.0.1", port: 3128 });
    try {
      return allowed.hostsOf({ hostname: host, port }).join(" ");
    } catch (error) {
      if (error instanceof ProxyError) return `${error.status} ${error.type}`;
      throw error;
    }
  };
  const denied = "403 http_request_denied";
  const itself = "403 destination_ip_prohibited";
  assertEquals(at([], "localhost"), "127.0.0.1 ::1");
  assertEquals(at([], "a.localhost"), "127.0.0.1 ::1");
  assertEquals([at([], "127.0.0.1"), at([], "127.9.9.9"), at([], "[::1]")], ["127.0.0.1", "127.9.9.9", "::1"]);
  assertEquals(at([], "[::ffff:7f00:1]"), "127.0.0.1", "IPv4 in IPv6");
  for (
    const host of ["example.com", "10.0.0.1", "[fe80::1]", "0.0.0.0", "[::]", "127.0.0.1.nip.io", "localhost.evil.test"]
  ) {
    assertEquals(at([], host), denied, host);
  }
  for (const host of ["localhost", "127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:7f00:1]"]) {
    assertEquals(at([], host, 3128), itself, host);
    assertEquals(at(["localhost:3128", "127.0.0.2:3128"], host, 3128), itself, host);
  }
  assertEquals(at(["example.com:80"], "example.com", 80), "example.com");
  assertEquals(at(["Example.com:80"], "example.com", 80), "example.com");
  assertEquals(at(["example.com:80"], "example.com", 443), denied);
  assertEquals(at(["example.com:80"], "sub.example.com", 80), denied);
  assertEquals(at(["example.com:80"], "localhost", 80), denied, "--allow takes the place of loopback");
  assertEquals(at(["example.com:*"], "example.com", 4711), "example.com");
  assertEquals(at(["localhost:8000"], "127.0.0.1"), "127.0.0.1");
  assertEquals(at(["127.0.0.1:8000"], "localhost"), "127.0.0.1", "not ::1, which is not named");
  assertEquals(at(["localhost:8000"], "127.0.0.2"), denied);
  assertEquals(at(["[2001:db8::1]:80"], "[2001:db8::1]", 80), "2001:db8::1");
  assertEquals(at(["0.0.0.0:80"], "0.0.0.0", 80), denied, "an address that stands for any");
  for (const wrong of ["example.com", ":80", "a b:80", "x:0", "x:70000", "http://x:80", "u@x:80", "x:y"]) {
    assertThrows(() => parseRule(wrong), Failure, "--allow needs HOST:PORT", wrong);
  }
});

Deno.test("where a connection has come out: DNS rebinding, and the proxy under another address", () => {
  const allowed = new AllowedServers([parseRule("example.com:3128")], { hostname: "0.0.0.0", port: 3128 });
  const tcp = (hostname: string, port: number): Deno.NetAddr => ({ transport: "tcp", hostname, port });
  const check = (host: string, from: string, to: string, port = 80) => {
    try {
      allowed.check(host, tcp(from, 40_000), tcp(to, port));
      return "";
    } catch (error) {
      return error instanceof ProxyError ? error.message : `${error}`;
    }
  };
  assertEquals(check("example.com", "192.0.2.7", "192.0.2.9"), "");
  assertEquals(check("127.0.0.1", "127.0.0.1", "127.0.0.1"), "");
  const rebound = "example.com is a name of this machine: use localhost";
  for (const to of ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "127.8.8.8"]) {
    assertEquals(check("example.com", "127.0.0.1", to), rebound, to);
  }
  assertEquals(check("example.com", "192.0.2.7", "192.0.2.7", 3128), "that is the proxy itself");
  assertEquals(check("192.0.2.7", "192.0.2.7", "192.0.2.7", 3128), "that is the proxy itself");
  assertEquals(check("127.0.0.1", "127.0.0.1", "127.0.0.1", 3128), "that is the proxy itself");
  assertEquals(check("example.com", "192.0.2.7", "192.0.2.9", 3128), "", "the same port elsewhere");
});

Deno.test("the cache: variants, what is used last, its limits, and changes that overtake a response", () => {
  const cache = new ResponseCache({ total: 30_000, object: 8000, heuristic: 0 });
  const now = { requestTime: Date.now(), responseTime: Date.now() };
  const put = (url: string, body: string, asked = request(), ...lines: string[]) => {
    using copy = cache.record(url, asked, response(200, "Cache-Control: max-age=60", ...lines), now);
    for (const part of body.match(/.{1,999}/gs) ?? []) copy?.add(bytes(part));
    copy?.commit();
    return copy !== undefined;
  };
  const found = (url: string, asked = request()) => {
    const { stored, verdict } = cache.find(url, asked);
    return stored ? `${verdict} ${new TextDecoder().decode(stored.body).slice(0, 9)}` : verdict;
  };
  assertEquals(found("/a"), "uri-miss");
  put("/a", "A");
  assertEquals(found("/a"), "fresh A");
  assertEquals(found("/a", { ...request(), method: "HEAD" }), "fresh A");
  assertEquals(found("/a", { ...request(), method: "POST" }), "method");
  assertEquals(found("/a", request("Range: bytes=0-1")), "bypass");
  // Variants of one URL.
  put("/v", "deutsch", request("Accept-Language: de"), "Vary: Accept-Language");
  put("/v", "english", request("Accept-Language: en"), "Vary: Accept-Language");
  assertEquals(found("/v", request("Accept-Language: de")), "fresh deutsch");
  assertEquals(found("/v", request("Accept-Language: en")), "fresh english");
  assertEquals(found("/v", request("Accept-Language: fr")), "vary-miss");
  put("/v", "DEUTSCH", request("Accept-Language: de"), "Vary: Accept-Language");
  assertEquals(found("/v", request("Accept-Language: de")), "fresh DEUTSCH", "the newer one takes its place");
  for (let i = 0; i < 99; i++) put("/v", "x", request(`Accept-Language: x${i}`), "Vary: Accept-Language");
  assertEquals(cache.size <= 30_000, true, `${cache.size} bytes`);
  // The one that was used last stays.
  const small = new ResponseCache({ total: 12_000, object: 8000, heuristic: 0 });
  const keep = (url: string) => {
    using copy = small.record(url, request(), response(200, "Cache-Control: max-age=60"), now);
    copy?.add(new Uint8Array(1000));
    copy?.commit();
  };
  for (const url of ["/1", "/2", "/3"]) keep(url);
  small.find("/1", request());
  keep("/4");
  assertEquals(["/1", "/2", "/3", "/4"].map((url) => small.find(url, request()).verdict), [
    "fresh",
    "uri-miss",
    "fresh",
    "fresh",
  ]);
  // Too large: by its length, or when it turns out.
  assertEquals(put("/large", "", request(), "Content-Length: 9000"), false);
  assertEquals(put("/large", "x".repeat(9000)), true);
  assertEquals(found("/large"), "uri-miss");
  // A response that was on its way while the resource was changed is not stored.
  using late = cache.record("/b", request(), response(200, "Cache-Control: max-age=60"), now);
  cache.invalidate("PUT", "/b", response(204));
  late?.commit();
  assertEquals(found("/b"), "uri-miss");
  put("http://a.test/c", "C");
  cache.invalidate("DELETE", "http://a.test/c", response(500));
  assertEquals(found("http://a.test/c"), "fresh C");
  cache.invalidate("DELETE", "http://a.test/c", response(204));
  assertEquals(found("http://a.test/c"), "uri-miss");
  assertEquals(new ResponseCache({ total: 0, object: 1, heuristic: 0 }).size, 0);
});

Deno.test("the cache: a 304 makes a response fresh, or says that it is about another one", () => {
  const cache = new ResponseCache({ total: 1 << 20, object: 1 << 20, heuristic: 0 });
  const old = Date.now() - 100_000;
  const put = () => {
    const answer = response(200, "Cache-Control: max-age=60", 'ETag: "1"', "Age: 5");
    using copy = cache.record("/a", request(), answer, { requestTime: old, responseTime: old });
    copy?.add(bytes("A"));
    copy?.commit();
    return cache.find("/a", request());
  };
  const { stored, verdict } = put();
  if (!stored) throw new Error(verdict);
  assertEquals(verdict, "stale");
  const now = { requestTime: Date.now(), responseTime: Date.now() };
  const updated = cache.refresh(stored, response(304, 'ETag: "1"', "X-New: 1"), now);
  assertEquals([updated?.fields.get("x-new"), updated?.body.length], ["1", 1]);
  assertEquals(cache.find("/a", request()).verdict, "fresh");
  const again = put().stored;
  assertEquals(again && cache.refresh(again, response(304, 'ETag: "2"'), now), undefined);
  assertEquals(cache.find("/a", request()).verdict, "uri-miss", "it is gone");
  const last = put().stored;
  assertEquals(last && cache.refresh(last, response(304, "Cache-Control: no-store"), now)?.body.length, 1, "sent once");
  assertEquals(cache.find("/a", request()).verdict, "uri-miss");
});

Deno.test("ISO 8859-1: every byte comes back", () => {
  const all = Uint8Array.from({ length: 256 * 40 }, (_, i) => i % 256);
  assertEquals(encodeLatin1(decodeLatin1(all)), all);
  assertEquals(encodeLatin1("abc"), bytes("abc"));
});

Deno.test("--proxy: its value, the target and CONNECT", () => {
  assertEquals(proxyOf("[::1]:3128"), { hostname: "::1", port: 3128 });
  assertEquals(proxyOf("localhost:80"), { hostname: "localhost", port: 80 });
  assertEquals(proxyOf(""), undefined);
  for (const wrong of ["localhost", "http://x:1", "x:0", "x:70000", "a b:1", ":80", "x:"]) {
    assertThrows(() => proxyOption.parse?.(wrong), RangeError, "HOST:PORT", wrong);
  }
  const server = { hostname: "::1", port: 80 };
  assertEquals(absoluteTarget({ tls: false, server, target: "/x?y" }), "http://[::1]/x?y");
  assertEquals(
    new TextDecoder().decode(connectRequest({ hostname: "a.test", port: 443 })),
    "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
  );
});
