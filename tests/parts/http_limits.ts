/**
 * HTTP messages at their limits: each number on both of its sides, and the status code of each refusal.
 *
 * @module
 */
import { assert, assertEquals } from "jsr:@std/assert@1";
import { isAuthority, isTarget } from "../../http/_authority.ts";
import { Body, type Framing, requestFraming, responseFraming } from "../../http/_body.ts";
import { codingWeight, evaluatePreconditions, parseRanges } from "../../http/_conditions.ts";
import { parseDate } from "../../http/_date.ts";
import { humanSize, listing } from "../../http/_listing.ts";
import { encodeRequest, Fields, headLength, MessageError, parseRequest, parseResponse } from "../../http/_message.ts";
import { folderPath, parseTargetPath } from "../../http/_path.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** What a function returns, or the status code that it throws. */
function result(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    return `${error.status}`;
  }
}

Deno.test("heads: the lines, the fields and the whole, each as long as allowed, and one more", () => {
  const length = (head: string) => result(() => headLength(bytes(head)));
  assertEquals([length(""), length("GET"), length("GET / HTTP/1.1\r\n"), length("\r\n\r\n"), length("a\r\n\r\nb")], [
    ...[-1, -1, -1, -1, 5],
  ]);
  assertEquals([length("a\n"), length("\n"), length("a\nb\r\n\r\n"), length("a\r\nb\n\r\n")], [
    "400",
    "400",
    "400",
    "400",
  ]);
  for (const rest of [9000, 40_000]) assertEquals(length(`\n${"x".repeat(rest)}`), "400");
  assertEquals([length("\r\n".repeat(50) + "a\r\n\r\n"), length("\r\n".repeat(51) + "a")], [105, "400"]);
  assertEquals([length("a".repeat(8192)), length("a".repeat(8193))], [-1, "414"]);
  assertEquals([length(`${"a".repeat(8191)}\r\n\r\n`), length(`${"a".repeat(8192)}\r\n\r\n`)], [8195, "414"]);
  assertEquals([length(`a\r\n${"b".repeat(8191)}\r\n\r\n`), length(`a\r\n${"b".repeat(8192)}\r\n\r\n`)], [8198, "431"]);
  assertEquals([length(`\r\n${"a".repeat(8192)}`), length(`\r\n${"a".repeat(8193)}`)], [-1, "414"]);
  assertEquals(length(`${"a".repeat(5000)}\r\n`.repeat(4) + "\r\n"), 20_010, "each line is short enough");
  const section = `${"a".repeat(8000)}\r\n`.repeat(4);
  assertEquals([
    length(section + "b".repeat(32_768 - section.length)),
    length(section + "b".repeat(32_769 - section.length)),
  ], [-1, "431"]);
  const last = (n: number) => length(`${section}${"b".repeat(n - section.length - 3)}\r\n\r\n`);
  assertEquals([last(32_768), last(32_769)], [32_769, "431"]);
  assertEquals(length("a\r\n" + "b:c\r\n".repeat(100) + "\r\n"), 505);
  assertEquals([length("a\r\n" + "b:c\r\n".repeat(100)), length("a\r\n" + "b:c\r\n".repeat(101))], [-1, "431"]);
});

Deno.test("heads: what is in them, and the status code of each error", () => {
  const request = (head: string) => result(() => parseRequest(bytes(head)).method);
  assertEquals(request("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "GET");
  for (
    const [head, status] of [
      ["GET / HTTP/1.1\r\nHost: a\r\n", "400"],
      ["GET / HTTP/1.1\r\nHost: a", "400"],
      ["\ufeffGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"],
      ["GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", "400"],
      ["G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"],
      ["GET / HTTP/x\r\nHost: a\r\n\r\n", "400"],
      ["GET / HTTP/0.9\r\nHost: a\r\n\r\n", "505"],
      ["GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"],
      ["GET x HTTP/1.1\r\nHost: a\r\n\r\n", "400"],
      ["GET / HTTP/1.1\r\n\r\n", "400"],
      ["GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "400"],
      ["GET / HTTP/1.0\r\nHost: /\r\n\r\n", "400"],
      ["GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "400"],
      ["GET / HTTP/1.1\r\nHost: a\r\nb\r\n\r\n", "400"],
      ["GET / HTTP/1.1\r\nHost: a\r\nb : c\r\n\r\n", "400"],
      ["GET / HTTP/1.1\r\nHost: a\r\nb: c\x01\r\n\r\n", "400"],
    ] as const
  ) assertEquals(request(head), status, head);
  const response = (head: string) =>
    result(() => {
      const { status, reason, minor } = parseResponse(bytes(`${head}\r\n\r\n`));
      return [status, reason, minor].join();
    });
  assertEquals([response("HTTP/1.1 200 OK"), response("HTTP/1.0 404"), response("HTTP/1.9 599 ")], [
    ...["200,OK,1", "404,,0", "599,,1"],
  ]);
  for (
    const head of [
      "HTTP/1.1 099 x",
      "HTTP/1.1 600 x",
      "HTTP/1.1 20 x",
      "HTTP/1.1  200",
      "HTTP/1.1 200 a\x7f",
      "x 200 OK",
    ]
  ) {
    assertEquals(response(head), "400", head);
  }
  assertEquals(response("HTTP/3.0 200 OK"), "505");
  for (const [method, target] of [["A B", "/"], ["GET", "/ x"], ["GET", ""], ["GET", "/ü"]] as const) {
    assertEquals(result(() => encodeRequest({ method, target, fields: new Fields() })), "400");
  }
  assertEquals(result(() => new Fields([["a b", ""]])), "400");
  assertEquals(result(() => new Fields([["a", "\x7f"]])), "400");
  const fields = new Fields([["A", "x, Close"], ["b", "1"], ["a", "y"]]);
  assertEquals([fields.get("a"), fields.get("b"), fields.get("c"), fields.all("a")], ["x, Close, y", "1", undefined, [
    "x, Close",
    "y",
  ]]);
  assertEquals(
    [fields.lists("a", "close"), fields.lists("a", "x"), fields.lists("b", "close"), fields.lists("c", "x")],
    [
      ...[true, true, false, false],
    ],
  );
  assertEquals([fields.has("a"), fields.has("c")], [true, false]);
  const value = (line: string) => parseRequest(bytes(`GET / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`)).fields.get("b");
  assertEquals([value("b:"), value("b: "), value("b:\t \t"), value("b:x"), value("b: \tx y\t "), value("B: \u00fc")], [
    ...["", "", "", "x", "x y", "\u00fc"],
  ]);
});

/** Feeds a whole body; returns its data, or the status code of an error. */
function decode(framing: Framing, raw: string): unknown {
  const body = new Body(framing);
  let size = 0;
  return result(() => {
    const used = body.push(bytes(raw), (data) => size += data.length);
    return [size, body.size, used, body.done].join();
  });
}

Deno.test("bodies at their limits", () => {
  const chunked: Framing = { kind: "chunked" };
  assertEquals(decode({ kind: "length", length: 0 }, "x"), "0,0,0,true");
  assertEquals(decode({ kind: "length", length: 1 }, ""), "0,0,0,false");
  assertEquals(decode({ kind: "length", length: 1 }, "xy"), "1,1,1,true");
  assertEquals(decode({ kind: "none" }, "x"), "0,0,0,true");
  assertEquals(decode({ kind: "close" }, "xyz"), "3,3,3,false");
  assertEquals(decode(chunked, `1f\r\n${"x".repeat(31)}\r\n0\r\n\r\nG`), "31,31,42,true");
  assertEquals([decode(chunked, "000000000001\r\nx"), decode(chunked, "0000000000001\r\nx")], ["1,1,15,false", "413"]);
  const extension = (n: number) => decode(chunked, `1;${"x".repeat(n - 4)}\r\ny`);
  assertEquals([extension(8192), extension(8193)], ["1,1,8193,false", "431"]);
  const trailers = (n: number) => decode(chunked, `0\r\n${"a: b\r\n".repeat(n)}\r\n`);
  assertEquals([trailers(100), trailers(101)], ["0,0,605,true", "431"]);
  for (const wrong of ["x\r\n", "\r\n", "1\n", "1\r\nxy\r\n", "1 2\r\n", "1;\x01\r\n", "-1\r\n"]) {
    assertEquals(decode(chunked, wrong), "400", JSON.stringify(wrong));
  }
  for (const framing of [chunked, { kind: "length", length: 1 }] as const) {
    assertEquals(result(() => new Body(framing).end()), "400");
  }

  const framing = (fields: [string, string][], minor: 0 | 1 = 1) =>
    result(() => requestFraming({ method: "POST", target: "/", minor, fields: new Fields(fields) }));
  assertEquals(framing([]), { kind: "none" });
  assertEquals(framing([["Content-Length", "0"]]), { kind: "none" });
  assertEquals(framing([["Content-Length", "999999999999999"]]), { kind: "length", length: 999_999_999_999_999 });
  assertEquals(framing([["Content-Length", "1000000000000000"]]), "413");
  assertEquals(framing([["Content-Length", "1"], ["Content-Length", "1"]]), "400");
  assertEquals(framing([["Transfer-Encoding", "chunked"]], 0), "400");
  assertEquals(framing([["Transfer-Encoding", "gzip, chunked"]]), "501");
  assertEquals(framing([["Transfer-Encoding", "chunked, chunked"]]), "501");
  assertEquals(framing([["Transfer-Encoding", ""]]), "400");
  assertEquals(framing([["Transfer-Encoding", "chunked"], ["Content-Length", "1"]]), "400");
  const of = (status: number, method: string, fields: [string, string][] = [["Content-Length", "0"]]) =>
    result(() => responseFraming({ status, reason: "", minor: 1, fields: new Fields(fields) }, method));
  for (const status of [100, 199, 204, 304]) assertEquals(of(status, "GET"), { kind: "none" });
  for (const status of [200, 203, 205, 303, 305]) assertEquals(of(status, "GET"), { kind: "length", length: 0 });
  assertEquals([of(200, "HEAD"), of(200, "GET", [])], [{ kind: "none" }, { kind: "close" }]);
});

Deno.test("targets and authorities: the four forms, and ports", () => {
  for (
    const ok of ["a", "", "a:", "a:0", "a:9999", "a:10000", "a:65535", "%20:65535", "[::1]:65535", "1.2.3.4", "a~"]
  ) {
    assert(isAuthority(ok), ok);
  }
  for (const wrong of ["a:65536", "a:100000", "[::1]:65536", "[::1", "[::g]", "[1]", "a b", "a@b", "%2", "a:b"]) {
    assert(!isAuthority(wrong), wrong);
  }
  for (
    const [method, target, expected] of [
      ["GET", "/", true],
      ["GET", "/!~", true],
      ["GET", "/#", false],
      ["GET", "/\x7f", false],
      ["CONNECT", "/", false],
      ["CONNECT", "a:1", true],
      ["CONNECT", "a", false],
      ["CONNECT", "a b:1", false],
      ["OPTIONS", "*", true],
      ["GET", "*", false],
      ["GET", "http://a", true],
      ["GET", "HTTPS://a?b", true],
      ["GET", "http://a b/", false],
      ["GET", "http://a/#b", false],
      ["GET", "http://", false],
      ["GET", "http://:1/", false],
      ["GET", "http://a:65536/", false],
      ["GET", "a", false],
    ] as const
  ) assertEquals(isTarget(method, target), expected, `${method} ${target}`);
  assertEquals([folderPath(["a b", ""]), folderPath([])], ["/a%20b//", "//"]);
  assertEquals([parseTargetPath("/a//"), parseTargetPath("/?/.."), parseTargetPath("/a/?b")], [["a", ""], [""], [
    "a",
    "",
  ]]);
  for (const target of ["/..", "/%5c", "/%2f", "/%00", "/%"]) {
    assertEquals(result(() => parseTargetPath(target)), "400");
  }
});

Deno.test("ranges, weights, dates and conditions at their limits", () => {
  const validators = { etag: '"a"', modified: Date.UTC(2000, 0, 1, 0, 0, 0, 999) };
  const ranges = (value: string, size = 100) =>
    parseRanges(new Fields([["Range", value]]), size, validators)?.map(({ start, end }) => `${start}-${end}`).join();
  assertEquals(ranges(`bytes=${Array.from({ length: 16 }, (_, i) => `${i}-${i}`).join()}`)?.split(",").length, 16);
  assertEquals(ranges(`bytes=${Array.from({ length: 17 }, (_, i) => `${i}-${i}`).join()}`), undefined);
  assertEquals([ranges("bytes=0-49,50-99"), ranges("bytes=0-50,50-99"), ranges("bytes=0-99,0-0")], [
    ...["0-49,50-99", undefined, undefined],
  ]);
  assertEquals([ranges("bytes=99-"), ranges("bytes=100-"), ranges("bytes=99-99"), ranges("bytes=100-100")], [
    ...["99-99", "", "99-99", ""],
  ]);
  assertEquals([ranges("bytes=-1"), ranges("bytes=-100"), ranges("bytes=-101"), ranges("bytes=-0")], [
    ...["99-99", "0-99", "0-99", ""],
  ]);
  assertEquals([ranges("bytes=5-5"), ranges("bytes=5-4"), ranges("bytes=0-0", 0), ranges("bytes=-1", 0)], [
    ...["5-5", undefined, "", ""],
  ]);
  assertEquals([ranges("bytes=1-2-3"), ranges("bytes=,"), ranges("BYTES=0-0"), ranges("bytes=-")], [
    ...[undefined, undefined, "0-0", undefined],
  ]);
  assertEquals(parseRanges(new Fields(), 100, validators), undefined);
  const onlyIf = (condition: string) =>
    parseRanges(new Fields([["Range", "bytes=0-0"], ["If-Range", condition]]), 100, validators)?.length;
  assertEquals([onlyIf('"a"'), onlyIf("Sat, 01 Jan 2000 00:00:00 GMT")], [1, 1]);
  const none = ['"b"', 'W/"a"', "Fri, 31 Dec 1999 23:59:59 GMT", "Sat, 01 Jan 2000 00:00:01 GMT", "no date"];
  assertEquals(none.map(onlyIf), Array(5).fill(undefined));

  const year = new Date().getUTCFullYear();
  for (const ahead of [-49, 0, 50]) {
    const date = `Sunday, 06-Nov-${`${(year + ahead) % 100}`.padStart(2, "0")} 08:49:37 GMT`;
    assertEquals(parseDate(date), Date.UTC(year + ahead, 10, 6, 8, 49, 37), date);
  }
  for (
    const [i, month] of ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"].entries()
  ) {
    assertEquals(
      parseDate(`Mon, 01 ${month} 0099 23:59:59 GMT`),
      new Date(`0099-${`${i + 1}`.padStart(2, "0")}-01T23:59:59Z`).getTime(),
    );
  }
  assertEquals(parseDate("Mon Jan  1 00:00:00 2001"), Date.UTC(2001, 0, 1));

  const state = (...fields: [string, string][]) => evaluatePreconditions(new Fields(fields), validators);
  const [before, same, after] = [
    "Fri, 31 Dec 1999 23:59:59 GMT",
    "Sat, 01 Jan 2000 00:00:00 GMT",
    "Sat, 01 Jan 2000 00:00:01 GMT",
  ];
  assertEquals([before, same, after].map((date) => state(["If-Modified-Since", date])), [200, 304, 304]);
  assertEquals([before, same, after].map((date) => state(["If-Unmodified-Since", date])), [412, 200, 200]);
  assertEquals(state(["If-Match", '"a"'], ["If-Unmodified-Since", before]), 200, "the tag goes before the date");
  assertEquals(state(["If-None-Match", '"b" , "a"']), 304);
  const weight = (header: string) => [codingWeight(header, "gzip"), codingWeight(header, "identity")];
  assertEquals(weight("gzip;q=0.001"), [0.001, 0.0001]);
  assertEquals([weight("gzip;q=1.000"), weight("gzip;q=1.001"), weight("gzip;q=0."), weight("gzip;x=1;q=0.5")], [
    ...[[1, 0.0001], [0, 0.0001], [0, 0.0001], [0.5, 0.0001]],
  ]);
  assertEquals([weight("*;q=0.5"), weight("*;q=0, gzip;q=0.2")], [[0.5, 0.0001], [0.2, 0]]);
});

Deno.test("the page of a folder: sizes, times, and what stands in it when", () => {
  assertEquals(
    [1, 1023, 1024, 100 * 1024 - 1, 100 * 1024, 100.5 * 1024, 1024 ** 4, 1024 ** 5, 5 * 1024 ** 5].map(humanSize),
    [
      ...["1 B", "1023 B", "1.0 KiB", "100.0 KiB", "100 KiB", "101 KiB", "1.0 TiB", "1024 TiB", "5120 TiB"],
    ],
  );
  const file = { name: "f", folder: false, size: 5, modified: new Date(Date.UTC(2001, 1, 3, 4, 5, 6, 7)) };
  const root = listing([""], [], 0);
  assert(
    root.includes("This folder is empty.") && !root.includes("more.</p>") && !root.includes('<a href="../">../</a>'),
  );
  assert(root.includes('<a href="./">root</a>') && root.includes("<title>/</title>"));
  const inside = listing(["a", "b", ""], [file, { ...file, name: "d", folder: true, modified: null }, {
    ...file,
    name: "x\\y",
  }], 1);
  assert(
    !inside.includes("empty.") && inside.includes("<p>… and 1 more.</p>") && inside.includes('<a href="../">../</a>'),
  );
  assert(inside.includes('<a href="../../">root</a> / <a href="../">a</a> / <a href="./">b</a>'));
  assert(inside.includes('<time datetime="2001-02-03T04:05:06.007Z">2001-02-03 04:05</time>'));
  assert(inside.includes('<td class="size" title="5 bytes">5 B</td>') && inside.includes('<td class="size">–</td>'));
  assert(inside.includes("a name with a backslash cannot be requested") && inside.includes('<a href="d/">d/</a>'));
  assert(listing(["a", ""], [file], 0).includes('<a href="../">../</a>'));
  assert(inside.indexOf(">d/<") < inside.indexOf(">f<"), "folders first");
});
