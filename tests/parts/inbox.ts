/**
 * The parts of the inbox, without a process: its API and its pages as responses to requests, its Maildir, its mails.
 * `smtp_test.ts` imports it: what takes milliseconds comes before what takes seconds.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { visible } from "../../http/_page.ts";
import { problemOf } from "../../smtp/_inbox_api.ts";
import { Arrivals } from "../../smtp/_inbox_arrivals.ts";
import { frameOf, linkedText } from "../../smtp/_inbox_html.ts";
import { parseMail, parseSummary } from "../../smtp/_inbox_mail.ts";
import { inboxPage, mailPage } from "../../smtp/_inbox_page.ts";
import { matches, parseInteger, parseMatch, parseSince } from "../../smtp/_inbox_query.ts";
import { Problem } from "../../http/_problem.ts";
import { answer, decode, Inbox } from "../../smtp/_inbox_server.ts";
import { MaildirReader } from "../../smtp/_maildir_reader.ts";
import { webRequest } from "../support/http.ts";
import { fields, mail, newMaildir, put } from "../support/mails.ts";
import { stub } from "../support/stub.ts";

const windows = Deno.build.os === "windows";
const bytes = (text: string) => new TextEncoder().encode(text);

/** An inbox without a socket: `ask` gives it a request. */
async function open(path: string) {
  const inbox = await Inbox.open(path);
  const ask = async (target: string, method = "GET", headers: Record<string, string> = {}) => {
    const response = await answer(
      webRequest(new Request(`http://localhost:8025${target}`, { method, headers })),
      inbox,
    );
    const body = await response.text();
    const type = response.headers.get("content-type") ?? "";
    return {
      status: response.status,
      headers: response.headers,
      body,
      json: /json$/.test(type) ? JSON.parse(body) : {},
    };
  };
  return { inbox, ask, [Symbol.dispose]: () => inbox.arrivals.close() };
}

/** The status code of the refusal that a function throws; what it returns if it throws none. */
function result(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    if (error instanceof Problem) return error.status;
    throw error;
  }
}

Deno.test("inbox: the parameters of a request, at their limits", () => {
  const params = (query: string) => new URLSearchParams(query);
  const number = (value: string, min = 1, max = 20) =>
    result(() => parseInteger(params(value === "" ? "" : `n=${value}`), "n", 7, min, max));
  assertEquals(["", "1", "20", "0", "21", "-1", "1x", "007", "+5", "1e1"].map((value) => number(value)), [
    ...[7, 1, 20, 400, 400, 400, 400, 7, 400, 400],
  ]);
  assertEquals([number("999999999", 0, 1e12), number("1000000000", 0, 1e12)], [999_999_999, 400]);
  const since = (value: string) => result(() => parseSince(params(`since=${encodeURIComponent(value)}`)));
  assertEquals(parseSince(params("")), undefined);
  assertEquals([since("0"), since("999999999999999"), since("1000000000000000"), since(""), since("yesterday")], [
    ...[0, 999_999_999_999_999, 400, 400, 400],
  ]);
  assertEquals([
    since("2026-01-31T12:00:00Z"),
    since("2026-01-31t12:00:00.5+01:00"),
    since("2026-01-31"),
    since("2026-13-31T12:00:00Z"),
  ], [
    ...[Date.UTC(2026, 0, 31, 12), Date.UTC(2026, 0, 31, 11) + 500, 400, 400],
  ]);
  const match = (query: string, ...others: string[]) => result(() => parseMatch(params(query), others));
  assertEquals(match("q=+A+b&to=C&page=2", "page"), { q: "a b", from: "", to: "c", subject: "" });
  assertEquals([match("page=2"), match("qq=x"), match("a=1", "b")], [400, 400, 400]);
  assertEquals([match(`q=${"x".repeat(201)}`), match(`subject=${"x".repeat(201)}`)], [400, 400]);
  assertEquals(match(`from=${"x".repeat(200)}`), { q: "", from: "x".repeat(200), to: "", subject: "" });
  const listed = {
    ...{ id: "i", folder: "new", file: "f", received: 0, isRead: false, size: 0, hasAttachments: false, excerpt: "" },
    ...{ from: [{ name: "Ada", address: "ada@a" }], to: [{ name: "Bob", address: "b@b" }], subject: "Your Code" },
    ...{ cc: [{ name: "", address: "c@c" }], recipients: ["Hidden@h"], text: "the text" },
  };
  const found = (query: string) => matches(parseMatch(params(query)))(listed);
  for (
    const query of [
      "",
      "q=ada",
      "q=bob+code",
      "q=text+HIDDEN",
      "from=ada+%3Cada",
      "to=c@c",
      "to=hidden",
      "subject=code",
      "from=ada&to=bob",
    ]
  ) {
    assert(found(query), query);
  }
  for (
    const query of [
      "q=eve",
      "q=ada+eve",
      "from=bob",
      "to=ada",
      "subject=text",
      "from=ada&to=eve",
      "from=eve&to=bob",
      "to=bob&subject=x",
    ]
  ) {
    assert(!found(query), query);
  }
});

Deno.test("inbox API: list, pages, search, one mail, read and unread, deletion, and what is refused", async () => {
  await using maildir = await newMaildir();
  for (let i = 1; i <= 3; i++) await put(maildir.path, `170000000${i}.M250000P1.host`, mail(fields(`Mail ${i}`)));
  const parts = mail(
    { ...fields("Parts"), "Content-Type": "multipart/mixed; boundary=x" },
    '--x\nContent-Type: text/plain\n\nHi\n--x\nContent-Type: application/pdf; name="a/b\'ü.pdf"\n' +
      "Content-ID: <c1>\nContent-Disposition: attachment\n\nPDF\n--x--\n",
  );
  await put(maildir.path, "1700000009.p", parts);
  using opened = await open(maildir.path);
  const { ask, inbox } = opened;
  assertEquals(inbox.isReadOnly, false);
  const list = async (query: string) => {
    const { json } = await ask(`/api/mails?${query}`);
    return [
      json.total,
      json.unread,
      json.offset,
      json.limit,
      ...json.mails.map(({ subject }: { subject: string }) => subject),
    ];
  };
  assertEquals(await list(""), [4, 4, 0, 50, "Parts", "Mail 3", "Mail 2", "Mail 1"]);
  assertEquals(await list("limit=1&offset=0"), [4, 4, 0, 1, "Parts"]);
  assertEquals(await list("limit=2&offset=1"), [4, 4, 1, 2, "Mail 3", "Mail 2"]);
  assertEquals(await list("q=mail&limit=1&offset=2"), [3, 3, 2, 1, "Mail 1"]);
  assertEquals(await list("offset=999999999&limit=1000"), [4, 4, 999_999_999, 1000]);
  for (const query of ["limit=0", "limit=1001", "offset=-1", "offset=1000000000", "page=1"]) {
    assertEquals((await ask(`/api/mails?${query}`)).status, 400, query);
  }
  const { headers } = await ask("/api/mails");
  const etag = headers.get("etag") ?? "";
  const again = await ask("/api/mails", "GET", { "if-none-match": etag });
  assertEquals([again.status, again.body, again.headers.get("content-type"), again.headers.get("etag")], [
    304,
    "",
    null,
    etag,
  ]);
  assertEquals((await ask("/api/mails", "GET", { "if-none-match": '"x"' })).status, 200);
  assertEquals([
    headers.get("cache-control"),
    headers.get("referrer-policy"),
    headers.get("cross-origin-resource-policy"),
  ], [
    ...["private, no-cache", "no-referrer", "same-origin"],
  ]);

  const one = (await ask("/api/mails/1700000009.p")).json;
  assertEquals([one.id, one.text, one.received, one.read, one.hasAttachments], [
    ...["1700000009.p", "Hi\n", "2023-11-14T22:13:29.000Z", false, true],
  ]);
  assertEquals(one.size, bytes(parts).length);
  assertEquals([one.source, one.attachments], ["/mail/1700000009.p/raw", [
    { name: "a/b'ü.pdf", type: "application/pdf", contentId: "c1", size: 4, url: "/mail/1700000009.p/part/0" },
  ]]);
  const part = await ask("/mail/1700000009.p/part/0");
  assertEquals([part.body, part.headers.get("content-type")], ["PDF\n", "application/octet-stream"]);
  assertEquals(part.headers.get("content-disposition"), "attachment; filename*=UTF-8''a_b%27%C3%BC.pdf");
  assertMatch(part.headers.get("content-security-policy") ?? "", /sandbox/);
  const raw = await ask("/mail/1700000009.p/raw");
  assertEquals([raw.body, raw.headers.get("content-type")], [parts, "text/plain; charset=UTF-8"]);

  const unread = async () => (await ask("/api/mails")).json.unread;
  assertEquals([(await ask("/api/mails/1700000009.p/read", "PUT")).status, await unread()], [204, 3]);
  assertEquals([(await ask("/api/mails/1700000009.p/read", "PUT")).status, await unread()], [204, 3]);
  assertEquals((await ask("/api/mails/1700000009.p")).json.read, true);
  assertEquals([(await ask("/api/mails/1700000009.p/read", "DELETE")).status, await unread()], [204, 4]);
  const changed = await ask("/api/mails/1700000009.p", "DELETE");
  assertEquals([changed.status, changed.body, changed.headers.get("cache-control")], [204, "", "no-store"]);

  for (
    const [method, target, status] of [
      ["GET", "/api/mails/1700000009.p", 404],
      ["DELETE", "/api/mails/1700000009.p", 404],
      ["PUT", "/api/mails/1700000009.p/read", 404],
      ["GET", "/api/mails/%zz", 404],
      ["GET", "/api/nothing", 404],
      ["GET", "/nothing", 404],
      ["GET", "/mail/none/", 404],
      ["GET", "/mail/none/raw", 404],
      ["GET", "/mail/1700000001.M250000P1.host/part/0", 404],
      ["POST", "/api/mails", 405],
      ["toString", "/api/mails", 405],
      ["PUT", "/", 405],
      ["GET", "/?page=0", 400],
      ["GET", "/?page=9999999", 200],
      ["GET", "/?page=10000000", 400],
      ["GET", "/?q=x&page=2", 200],
      ["GET", "/page.js", 200],
      ["GET", "/openapi.json", 200],
      ["HEAD", "/api/mails", 200],
      ["DELETE", "/api/mails?limit=1", 400],
    ] as const
  ) {
    const response = await ask(target, method);
    assertEquals(response.status, status, `${method} ${target}`);
    const type = response.headers.get("content-type");
    if (status >= 400) {
      assertEquals(type, target.startsWith("/api/") ? "application/problem+json" : "text/plain; charset=UTF-8");
    }
  }
  assertEquals((await ask("/api/mails", "POST")).json, {
    ...{ type: "about:blank", title: "Method Not Allowed", status: 405, detail: "POST is not allowed here" },
  });
  assertEquals((await ask("/", "PUT")).body, "405 Method Not Allowed: PUT is not allowed here\n");
  const deleted = await ask("/api/mails?subject=2", "DELETE");
  assertEquals([deleted.json, deleted.headers.get("content-type")], [{ deleted: 1 }, "application/json"]);
  assertEquals([(await ask("/api/mails", "DELETE")).json, await unread()], [{ deleted: 2 }, 0]);
  assertEquals([decode("%20"), decode("%"), decode("%ff")], [" ", "", ""]);

  using _ = stub(inbox, "isReadOnly", true);
  const denied = await ask("/api/mails", "DELETE");
  assertEquals([denied.status, denied.json.detail], [403, `this inbox is read only: start it with -W=${maildir.path}`]);
  assertEquals((await ask("/api/mails")).status, 200);
});

Deno.test("inbox: only its own page may change mails", async () => {
  await using maildir = await newMaildir();
  using opened = await open(maildir.path);
  type Headers = Record<string, string>;
  const status = async (headers: Headers) => (await opened.ask("/api/mails", "DELETE", headers)).status;
  const own = "http://localhost:8025";
  const same = { "sec-fetch-site": "same-origin" };
  const [allowed, refused]: Headers[][] = [
    [{}, { origin: own }, same, { origin: own, ...same }],
    [
      ...[{ origin: "null" }, { origin: "http://localhost:8026" }, { origin: "http://evil.example" }],
      ...[{ "sec-fetch-site": "none" }, { "sec-fetch-site": "cross-site", origin: own }],
      { ...same, origin: "http://evil.example" },
    ],
  ];
  for (const headers of allowed ?? []) assertEquals(await status(headers), 200);
  for (const headers of refused ?? []) assertEquals(await status(headers), 403, JSON.stringify(headers));
  assertEquals((await opened.ask("/api/mails", "GET", { origin: "http://evil.example" })).status, 200);
});

Deno.test("inbox API: wait", async () => {
  await using maildir = await newMaildir();
  const names = ["1700000001.a", "1700000002.b", "1700000003500.c"];
  for (const [i, name] of names.entries()) await put(maildir.path, name, mail(fields(`Mail ${i + 1}`)));
  using opened = await open(maildir.path);
  const { ask, inbox } = opened;
  const wait = async (query: string) => {
    const { status, json } = await ask(`/api/wait?${query}`);
    return status === 200 ? json.subject : status;
  };
  assertEquals(await wait("since=0"), "Mail 1", "the oldest");
  assertEquals([await wait("since=0&subject=2"), await wait("since=0&to=nobody&timeout=0")], ["Mail 2", 404]);
  assertEquals([await wait("since=1700000001999"), await wait("since=1700000002000")], ["Mail 1", "Mail 2"]);
  assertEquals([await wait("since=1700000003500"), await wait("since=1700000003501&timeout=0")], ["Mail 3", 404]);
  assertEquals(await wait("timeout=0"), 404, "only what arrives later");
  for (const query of ["timeout=301", "timeout=-1", "since=x", "limit=1"]) assertEquals(await wait(query), 400, query);
  inbox.waiting = 100;
  const busy = await ask("/api/wait?timeout=0");
  assertEquals([busy.status, busy.headers.get("retry-after")], [503, "1"]);
  inbox.waiting = 99;
  assertEquals([await wait("timeout=0"), inbox.waiting], [404, 99]);
  inbox.waiting = 0;
  {
    let now = 0; // ten seconds pass from one look at the clock to the next
    using _ = stub(performance, "now", () => now += 10_000);
    assertEquals((await ask("/api/wait")).json.detail, "no mail that matches arrived within 10 s");
  }

  const waiting = wait("timeout=300&subject=new");
  assertEquals(inbox.waiting, 1);
  await put(maildir.path, "1700000004.d", mail(fields("Other")));
  await put(maildir.path, "1700000005.e", mail(fields("New one")));
  assertEquals([await waiting, inbox.waiting], ["New one", 0]);
  let limit = -1;
  const timeout = setTimeout;
  {
    // A file system that reports nothing: it is looked at again after a second.
    using _ = stub(inbox.arrivals, "next", () => new Promise(() => {}));
    using __ = stub(globalThis, "setTimeout", (run: () => void, delay: number) => {
      limit = Math.max(limit, delay);
      return timeout(run, 1);
    });
    const silent = wait("timeout=300&subject=silent");
    await put(maildir.path, "1700000006.f", mail(fields("Silent")));
    assertEquals([await silent, limit], ["Silent", 1000]);
  }
  const last = wait("timeout=300&to=nobody");
  inbox.arrivals.close();
  assertEquals(await last, 503, "the inbox stops");
});

Deno.test("inbox: requests that look again share one look, for half a second or until something changes", async () => {
  await using maildir = await newMaildir();
  await put(maildir.path, "1700000001.a", mail(fields("One")));
  using opened = await open(maildir.path);
  const { inbox } = opened;
  let now = 10_000;
  using _ = stub(performance, "now", () => now);
  const first = inbox.recentEntries();
  now += 500;
  assertEquals([first.length, inbox.recentEntries() === first], [1, true]);
  now += 1;
  const second = inbox.recentEntries();
  assert(second !== first);
  inbox.arrivals.changes++;
  assert(inbox.recentEntries() !== second);
  assertEquals(await inbox.withMail("1700000001.a", (entry) => Promise.resolve(entry.file)), "1700000001.a");
  let attempts = 0;
  const gone = await inbox.withMail("1700000001.a", () => {
    attempts++;
    return Promise.resolve(undefined);
  }).catch((error) => error);
  assert(gone instanceof Problem && gone.status === 404);
  assertEquals(attempts, 2);
});

Deno.test("inbox: the first change is told at once, those that follow it together", async () => {
  await using maildir = await newMaildir();
  const arrivals = Arrivals.of(maildir.path);
  const next = arrivals.next();
  await put(maildir.path, "1.a", "x");
  await next;
  assert(arrivals.changes > 0);
  const again = arrivals.next();
  assert(again !== next);
  await put(maildir.path, "2.a", "x");
  await again;
  assertEquals(arrivals.closed, false);
  const last = arrivals.next();
  arrivals.close();
  arrivals.close();
  await last;
  assertEquals(arrivals.closed, true);
  assertThrows(() => Arrivals.of("no-such-folder"), Failure, "cannot watch no-such-folder/new");
  using _ = stub(Deno, "watchFs", () => {
    throw new Deno.errors.NotCapable("Requires read access to x, run again with --allow-read");
  });
  const denied = assertThrows(
    () => Arrivals.of("m"),
    Failure,
    "no permission to watch m/new: add -R=m",
  );
  assertEquals(denied instanceof Failure && [denied.code, denied.permission], [2, "-R=m"]);
});

Deno.test("inbox: what the file system refuses", () => {
  const status = (code: unknown, error = new Error("x")) => problemOf(Object.assign(error, { code }))?.status;
  assertEquals(["EMFILE", "EACCES", "EPERM", "EROFS", "EIO", "ENOSPC"].map((code) => status(code)), [
    ...[503, 403, 403, 403, 503, 503],
  ]);
  assertEquals(
    [status("x"), status(undefined), status(5), problemOf("EIO"), problemOf(new TypeError("a bug"))],
    Array(5).fill(undefined),
  );
  assertEquals(problemOf(new Deno.errors.NotCapable("x"))?.status, 403);
  assertEquals(problemOf(Object.assign(new Error("x"), { code: "EMFILE" }))?.headers, { "retry-after": "1" });
  const own = new Problem(418, "x");
  assertEquals(problemOf(own), own);
});

Deno.test("inbox: its pages, with and without mails, and with what mails may contain", async () => {
  const listed = {
    ...{ id: "1:2", folder: "new", file: "f", received: Date.UTC(2026, 0, 2, 3, 4, 5), isRead: false, size: 2048 },
    ...{ from: [{ name: " ", address: "ada@a" }, { name: "Eve", address: "eve@e" }], to: [], cc: [], recipients: [] },
    ...{ subject: " ", excerpt: "<b>", text: "", hasAttachments: true },
  };
  const none = { mails: [], total: 0, unread: 0, q: "", number: 1, pageSize: 2, isReadOnly: false };
  const empty = inboxPage(none);
  assert(empty.includes("<title>Inbox</title>") && empty.includes("No mail yet.") && !empty.includes('id="clear"'));
  assert(empty.includes('<p id="summary">0 mails</p>') && empty.includes('<nav id="pages" aria-label="Pages"></nav>'));
  const nothing = inboxPage({ ...none, q: "a<b" });
  assert(nothing.includes("No mail matches this search.") && nothing.includes("0 mails with “a&lt;b”"));
  const page = (more: Record<string, unknown>) => inboxPage({ ...none, mails: [listed], total: 1, unread: 1, ...more });
  const one = page({});
  assert(one.includes("<title>(1) Inbox</title>") && one.includes('<p id="summary">1 mail, 1 unread</p>'));
  assert(one.includes('data-total="1">Delete all</button>') && !one.includes("No mail") && !one.includes("Read only."));
  assert(one.includes('class="unread"><a href="/mail/1%3A2/"><span class="state">Unread</span>'));
  assert(one.includes('<span class="from" title="ada@a, Eve &lt;eve@e&gt;"><bdi>ada@a, Eve</bdi></span>'));
  assert(
    one.includes("<bdi>To (nobody)</bdi>") && one.includes("<bdi>(no subject)</bdi>") && one.includes("&lt;b&gt;"),
  );
  assert(one.includes('<time datetime="2026-01-02T03:04:05.000Z">2026-01-02 03:04</time>') && one.includes("2.0 KiB"));
  assert(one.includes("with attachments") && one.includes('class="delete"'));
  const read = page({
    mails: [{ ...listed, isRead: true, hasAttachments: false, from: [] }],
    unread: 0,
    q: "x",
    isReadOnly: true,
  });
  assert(read.includes("<title>Inbox</title>") && read.includes('class="read"') && read.includes("Read only."));
  assert(
    read.includes('<span class="state"></span>') && !read.includes("with attachments") &&
      !read.includes("<button type="),
  );
  assert(
    read.includes("<bdi>(nobody)</bdi>") && read.includes("1 mail with “x”, 0 unread") &&
      read.includes("data-read-only"),
  );
  assert(page({ q: "x" }).includes("Delete these"));
  const pages = (total: number, number: number, q = "") =>
    /<nav id="pages"[^>]*>(.*)<\/nav>/.exec(page({ total, number, q }))?.[1]?.replace(/<span><\/span>/g, "_")
      .replace(/<a href="([^"]*)">[^<]*<\/a>/g, "[$1]").replace(/<\/?span>/g, "");
  assertEquals([pages(2, 1), pages(3, 1), pages(3, 2), pages(4, 2), pages(5, 2)], [
    ...["", "_1–2 of 3[/?page=2]", "[/?]3–3 of 3_", "[/?]3–4 of 4_", "[/?]3–4 of 5[/?page=3]"],
  ]);
  assertEquals([pages(3, 9), pages(2, 2), pages(9, 3, "a&b")], [
    ...["[/?page=2]3 in all_", "[/?]2 in all_", "[/?q=a%26b&amp;page=2]5–6 of 9[/?q=a%26b&amp;page=4]"],
  ]);

  const parsed = await parseMail(bytes(mail(fields("S", { "Reply-To": "r@r", Cc: "" }))));
  const shown = (more: Record<string, unknown> = {}, readOnly = false, beside = {}) =>
    mailPage(listed, { ...parsed, ...more }, beside, readOnly);
  const plain = shown();
  assert(
    plain.includes("<title>S</title>") && plain.includes("<dt>Reply to</dt><dd><bdi>r@r</bdi></dd>") &&
      !plain.includes("<dt>Cc"),
  );
  assert(
    plain.includes('<details class="text" open><summary>Text') && plain.includes('<details class="header"><summary>'),
  );
  assert(
    !plain.includes("<iframe") && plain.includes('id="mark"') && plain.includes('data-unread=""') &&
      !plain.includes("Attachments"),
  );
  assert(!plain.includes("Newer") && !plain.includes("Older") && !plain.includes("data-read-only"));
  const html = shown(
    { html: "<b>", attachments: [{ name: "a", type: "t", id: "", content: new Uint8Array(5) }] },
    true,
    {
      ...{ newer: "n/1", older: "o" },
    },
  );
  assert(
    html.includes('<details class="text"><summary>Text') && html.includes('src="/mail/1%3A2/html"') &&
      html.includes("data-read-only"),
  );
  assert(
    html.includes('<a href="/mail/n%2F1/">Newer</a>') && html.includes('<a href="/mail/o/">Older</a>') &&
      !html.includes('id="mark"'),
  );
  assert(html.includes('/mail/1%3A2/part/0" download><bdi>a</bdi>') && html.includes("<bdi>t</bdi>, 5 B"));
  assert(!shown({ text: "" }).includes("<summary>Text"));

  await using maildir = await newMaildir();
  for (const i of [1, 2, 3]) {
    await put(maildir.path, `170000000${i}.a`, mail({ ...fields(`M${i}`), "Content-Type": "text/html" }, "<p>x"));
  }
  using opened = await open(maildir.path);
  const { ask } = opened;
  const middle = await ask("/mail/1700000002.a/");
  assert(
    middle.body.includes('href="/mail/1700000003.a/">Newer') &&
      middle.body.includes('href="/mail/1700000001.a/">Older'),
  );
  assertEquals(middle.headers.get("x-dns-prefetch-control"), "off");
  const frame = await ask("/mail/1700000002.a/html");
  assert(frame.body.startsWith('<!DOCTYPE html>\n<base target="_blank">\n<p>x'));
  assertMatch(frame.headers.get("content-security-policy") ?? "", /sandbox allow-same-origin/);
  const alone = await ask("/mail/1700000002.a/html", "GET", { "sec-fetch-dest": "document" });
  assertEquals([alone.status, alone.headers.get("location")], [302, "./"]);
  assertEquals((await ask("/mail/1700000002.a/html", "GET", { "sec-fetch-dest": "iframe" })).status, 200);
  assert((await ask("/?q=M3")).body.includes("1 mail with “M3”, 1 unread"));
  assert((await ask("/?page=2")).body.includes("3 in all"));
});

Deno.test("inbox: pictures that a mail refers to, and how many of them", () => {
  const parsed = { headers: [], from: [], to: [], cc: [], replyTo: [], subject: "", text: "" };
  const part = (id: string, type: string, size: number) => ({ name: "", id, type, content: new Uint8Array(size) });
  const frame = (html: string, ...attachments: ReturnType<typeof part>[]) =>
    frameOf({ ...parsed, html, attachments }).replace('<!DOCTYPE html>\n<base target="_blank">\n', "");
  const picture = part("a@b", "image/png", 3);
  assertEquals(frame("<img src=cid:a@b>", picture), "<img src=data:image/png;base64,AAAA>");
  assertEquals(frame('<img\nSRC = "CID:a%40b">', picture), '<img\nSRC = "data:image/png;base64,AAAA">');
  assertEquals(frame("<img src='cid:a@b'>", part("a@b", "image/svg+xml", 3)), "<img src='cid:a@b'>");
  assertEquals(frame("<img src=cid:x>", picture), "<img src=cid:x>");
  assertEquals(
    frame("<img src=cid:a@b>", picture, part("a@b", "image/gif", 6)),
    "<img src=data:image/png;base64,AAAA>",
    "the first",
  );
  // 32 MiB of characters, in which three bytes are four.
  const room = 32 << 20;
  const half = part("h", "image/gif", room / 8 * 3);
  const twice = frame("<img src=cid:h><img src=cid:h><img src=cid:h>", half);
  assertEquals([twice.split("data:").length - 1, twice.split("cid:").length - 1], [2, 1]);
  assertEquals(
    frame("<img src=cid:h><img src=cid:i>", half, part("i", "image/gif", room / 8 * 3 + 1)).split("data:").length - 1,
    1,
  );
});

Deno.test("Maildir: what a summary and a mail may cost", async () => {
  await using maildir = await newMaildir();
  const reader = new MaildirReader(maildir.path);
  const find = (id: string) => {
    const entry = reader.find(id);
    if (!entry) throw new Error(`there is no ${id}`);
    return entry;
  };
  // The summary is read from the first 65,536 bytes.
  const long = (n: number) => `X: ${"y".repeat(n)}\r\nSubject: far\r\n\r\n`;
  const end = (n: number) => long(n).indexOf("far") + 3;
  const fits = 65_536 - end(0);
  await put(maildir.path, "1700000001.a", long(fits));
  await put(maildir.path, "1700000002.a", long(fits + 1));
  const subject = async (id: string) => (await reader.listed(find(id)))?.subject;
  assertEquals([await subject("1700000001.a"), await subject("1700000002.a")], ["far", "fa"]);
  assertEquals((await reader.listed(find("1700000001.a")))?.size, end(fits) + 4);
  for (const [id, more, shown] of [["1700000003.a", 0, ""], ["1700000004.a", 1, "(a large mail)"]] as const) {
    await Deno.writeTextFile(`${maildir.path}/new/${id}`, "\r\n");
    await Deno.truncate(`${maildir.path}/new/${id}`, (64 << 20) + more);
    if (more > 0) {
      const read = await reader.read(find(id));
      assertEquals([read?.subject, read?.text.includes("(65 MiB)")], [shown, true]);
    }
  }
  const entry = find("1700000001.a");
  {
    using _ = stub(Deno, "openSync", () => {
      throw Object.assign(new Error("x"), { code: "EACCES" });
    });
    const denied = new MaildirReader(maildir.path);
    assertEquals((await denied.listed(entry))?.subject, "(this mail cannot be read)");
  }
  {
    using _ = stub(Deno, "openSync", () => {
      throw Object.assign(new Error("x"), { code: "EMFILE" });
    });
    assertThrows(() => new MaildirReader(maildir.path).listed(entry), Error, "x");
  }
  assertEquals([await reader.mark(entry, false), await reader.mark(entry, true), await reader.delete(entry)], [
    true,
    true,
    false,
  ]);
  assertEquals(await reader.open(entry), undefined);
  const marked = find("1700000001.a");
  assertEquals([marked.folder, marked.isRead, marked.file.endsWith("2,S")], ["cur", true, true]);
  (await reader.open(marked))?.close();
  assertEquals(await reader.delete(marked), true);
  await Deno.remove(`${maildir.path}/cur`, { recursive: true });
  assertEquals(reader.entries().length, 3);
  using _ = stub(Deno, "stat", () => Promise.reject(new TypeError("a bug")));
  await assertRejects(() => reader.read(entry), TypeError);
  using __ = stub(Deno, "remove", () => Promise.reject(new TypeError("a bug")));
  await assertRejects(() => reader.delete(entry), TypeError);
});

Deno.test("Maildir: the time in a name", async () => {
  await using maildir = await newMaildir();
  const received = async (name: string) => {
    await Deno.writeTextFile(`${maildir.path}/new/${name}`, "");
    await Deno.utime(`${maildir.path}/new/${name}`, 5, 5);
    return new MaildirReader(maildir.path).find(name)?.received;
  };
  assertEquals(await received("1700000001.M345678P9.host"), 1_700_000_001_345);
  assertEquals(await received("1700000001.V1I2M999999.host"), 1_700_000_001_999);
  assertEquals(await received("1700000001.M999000.host"), 1_700_000_001_999);
  assertEquals(await received("1700000001.M1234567.host"), 1_700_000_001_000);
  assertEquals(await received("17000000012.x"), 17_000_000_012_000);
  assertEquals(await received("170000000123.x"), 170_000_000_123);
  assertEquals([await received("123456789.x"), await received("12345678.x"), await received("12345678901234.x")], [
    ...[123_456_789_000, 5000, 5000],
  ]);
});

Deno.test("Maildir: a mail that goes while it is looked at, and one that is too large to be read", async () => {
  await using maildir = await newMaildir();
  await put(maildir.path, "no time", mail(fields("Here")));
  {
    using _ = stub(Deno, "lstatSync", () => {
      throw new Deno.errors.NotFound("x");
    });
    assertEquals(new MaildirReader(maildir.path).find("no time")?.received, 0);
  }
  {
    using _ = stub(Deno, "lstatSync", () => {
      throw new Deno.errors.PermissionDenied("x");
    });
    assertThrows(() => new MaildirReader(maildir.path).find("no time"), Deno.errors.PermissionDenied);
  }
  const reader = new MaildirReader(maildir.path);
  const entry = reader.find("no time");
  if (!entry) throw new Error("not found");
  const subject = async (size: number) => {
    using _ = stub(Deno, "stat", () => Promise.resolve({ size }));
    return (await reader.read(entry))?.subject;
  };
  assertEquals(await subject(64 << 20), "Here");
  assert(await subject((64 << 20) + 1) !== "Here");
});

Deno.test("mails: what a summary keeps of each", async () => {
  const summary = async (text: string) => await parseSummary(bytes(text), 7);
  const one = await summary(mail({ ...fields("Hi"), Cc: "c@c", "Delivered-To": "d@d" }, " One \n two\n"));
  assertEquals([one.excerpt, one.text, one.size, one.hasAttachments, one.recipients], ["One two", "one two", 7, false, [
    "d@d",
  ]]);
  assertEquals([one.from, one.cc], [[{ name: "Ada", address: "ada@example.com" }], [{ name: "", address: "c@c" }]]);
  const subject = async (n: number) => (await summary(`Subject: ${"s".repeat(n)}\r\n\r\n`)).subject;
  assertEquals([(await subject(320)).length, await subject(321)], [320, `${"s".repeat(320)}…`]);
  const words = await summary(`\r\n${"w".repeat(3000)}`);
  assertEquals([words.excerpt.length, words.text.length], [160, 2000]);
  const many = await summary(
    `To: ${Array.from({ length: 101 }, (_, i) => `a${i}@b`).join(", ")}\r\n${"Delivered-To: d@d\r\n".repeat(101)}\r\n`,
  );
  assertEquals([many.to.length, many.recipients.length], [100, 100]);
  const html = async (body: string) => (await summary(mail({ "Content-Type": "text/html" }, body))).excerpt;
  assertEquals(await html("<title>no</title><p>a<br>b</p><script>no</script>c<style>no</style >d"), "a b c d");
  assertEquals(await html("no<BODY class=x>yes<p"), "yes");
  assertEquals(await html(`${"x".repeat(32_767)}yz`).then((text) => text.length), 160);
  assertEquals(await html(`<style>${"x".repeat(32_750)}</style>late`), "lat", "of the beginning alone");
  const parsed = await parseMail(
    bytes(
      mail(
        { ...fields("S"), "Content-Type": "multipart/mixed; boundary=x" },
        "--x\nContent-Disposition: attachment\nContent-Type: a/b\nContent-ID: <i@d>\n\nq\n--x--\n",
      ),
    ),
  );
  assertEquals(parsed.attachments.map(({ name, id, type }) => [name, id, type]), [["part-1", "i@d", "a/b"]]);
  assertEquals(parsed.headers[0], { name: "From", value: "Ada <ada@example.com>" });
  const broken = `X: ${"y".repeat(2 << 20)}\r\n\r\n`;
  assertEquals((await summary(broken)).subject, "(this mail cannot be parsed)");
  assertMatch(
    (await parseMail(bytes(broken))).text,
    /^This mail cannot be parsed: .* You can still read its source\.$/,
  );
});

Deno.test("links: where each ends", () => {
  const links = (text: string) => [...linkedText(text).matchAll(/>([^<]*)<\/a>/g)].map(([, shown]) => shown);
  assertEquals(links("http://a.b/c. http://a.b/(c) (http://a.b/c) [http://a.b/[c]] {http://a.b/}, http://a.b/c?!"), [
    ...["http://a.b/c", "http://a.b/(c)", "http://a.b/c", "http://a.b/[c]", "http://a.b/", "http://a.b/c"],
  ]);
  assertEquals(links("((http://a.b/c))) http://a.b/c_(d)_e)"), ["http://a.b/c", "http://a.b/c_(d)_e"]);
  assertEquals(
    linkedText("a http://a.b/ c@d.e f"),
    'a <a href="http://a.b/" target="_blank" rel="noopener noreferrer">http://a.b/</a> ' +
      '<a href="mailto:c@d.e" target="_blank" rel="noopener noreferrer">c@d.e</a> f',
  );
  assertEquals(linkedText("a\r\n\tb \x00"), "a\r\n\tb \\x00");
  assertEquals(linkedText(" \n "), " \n ");
});

Deno.test("Maildir: names in seconds, microseconds and milliseconds, flags, and names without a time", async () => {
  await using maildir = await newMaildir();
  const flag = windows ? ";" : ":";
  const names = [
    ...["new/1700000001000.P1Q1R1.localhost", "new/1700000001.M500000P9.host", "new/1700000002.V1I2M3.host"],
    ...["new/1700000002.Q10", "new/1700000002.Q9", `cur/1700000003.x${flag}2,FS`, `cur/1700000004.y${flag}2,`],
    ...["cur/1700000005.z;2,S", "new/99999999999999999999.far", "new/no time at all", "new/.hidden"],
  ];
  for (const name of names) await Deno.writeTextFile(`${maildir.path}/${name}`, mail(fields(name)));
  for (const name of ["99999999999999999999.far", "no time at all"]) {
    await Deno.utime(`${maildir.path}/new/${name}`, 1000, 1000);
  }
  await Deno.mkdir(`${maildir.path}/new/1700000009.folder`);
  const reader = new MaildirReader(maildir.path);
  assertEquals(reader.entries().map(({ id, isRead }) => `${id}${isRead ? " read" : ""}`), [
    ...["1700000005.z read", "1700000004.y", "1700000003.x read", "1700000002.V1I2M3.host", "1700000002.Q10"],
    ...["1700000002.Q9", "1700000001.M500000P9.host", "1700000001000.P1Q1R1.localhost"],
    ...["no time at all", "99999999999999999999.far"],
  ]);
  const flagged = reader.find("1700000003.x");
  if (!flagged) throw new Error("not found");
  assertEquals(await reader.mark(flagged, false), true);
  assert([...Deno.readDirSync(`${maildir.path}/cur`)].some(({ name }) => name === `1700000003.x${flag}2,F`));
  assertEquals(await reader.mark(flagged, false), false, "it was moved");
  assertEquals([reader.find("../tmp"), reader.find(""), reader.find(".hidden")], [undefined, undefined, undefined]);
});

Deno.test("Maildir: a mail is read from its file once; one that is deleted, or may not be read, is no error", async () => {
  await using maildir = await newMaildir();
  for (const i of [1, 2, 3]) await put(maildir.path, `170000000${i}.a`, mail(fields(`Mail ${i}`)));
  const reader = new MaildirReader(maildir.path);
  const list = async () => (await reader.filter(reader.entries(), () => true)).map(({ subject }) => subject);
  assertEquals(await list(), ["Mail 3", "Mail 2", "Mail 1"]);
  await Deno.writeTextFile(`${maildir.path}/new/1700000002.a`, "Subject: another\r\n\r\n");
  assertEquals(await list(), ["Mail 3", "Mail 2", "Mail 1"], "from the memory");
  const before = reader.entries();
  await Deno.remove(`${maildir.path}/new/1700000001.a`);
  await put(maildir.path, "1700000004.a", mail(fields("Mail 4")));
  const listed = reader.entries();
  await Deno.remove(`${maildir.path}/new/1700000004.a`);
  assertEquals((await reader.filter(listed, () => true)).map(({ subject }) => subject), ["Mail 3", "Mail 2"]);
  const gone = before.at(-1);
  if (!gone) throw new Error("not found");
  assertEquals([await reader.read(gone), await reader.delete(gone)], [undefined, false]);
});

Deno.test("mails: whatever is in them is parsed, cut to what a list needs, and searched", async () => {
  const summary = async (text: string) => await parseSummary(bytes(text), text.length);
  const long = await summary(mail(fields("s".repeat(10_000), { To: "a@b.example, ".repeat(5000) + "c@d.example" })));
  assert(long.subject.length < 400 && long.to.length <= 100 && long.from.length === 1);
  const html = await summary(
    mail(
      { "Content-Type": "text/html" },
      "<head><style>p { color: red }</style></head><body><p>Fish &amp;\n chips</body>",
    ),
  );
  assertEquals(html.excerpt, "Fish & chips");
  assertEquals((await summary(mail({ "Content-Type": "text/html" }, "<style>p { color: red }"))).excerpt, "");
  assertMatch((await parseMail(bytes("--\r\n".repeat(3)))).subject, /^$/);
  // Parts of a mail in random order: seeded, so that a failure comes again.
  const pieces = [
    "\r\n",
    "\r\n\r\n",
    "--x",
    "--x--",
    "\0",
    "\xff",
    "Content-Type: ",
    "multipart/mixed; boundary=x",
    "\r\n ",
  ];
  pieces.push(
    "message/rfc822",
    "text/html",
    "=?utf-8?q?=ff=00?=",
    "Subject: ",
    "From: ",
    "<",
    ">",
    ",",
    ";",
    ":",
    '"',
    "(",
  );
  pieces.push(
    "Content-Transfer-Encoding: base64",
    "=?x?b?=",
    "To: ",
    "charset=utf-7",
    "a@b",
    "<body",
    "<style>",
    "&#x110000;",
  );
  let seed = 1;
  const random = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n;
  for (let i = 0; i < 2000; i++) {
    const text = Array.from({ length: random(40) }, () => pieces[random(pieces.length)]).join("");
    await summary(text);
    await parseMail(bytes(text));
  }
});

Deno.test("text of other people: what misleads is shown, and URLs are links", () => {
  assertEquals(visible("a\0b\x1b[1m"), "a\\x00b\\x1b[1m");
  assertEquals(visible("cod\u202etxt.exe"), "cod\\u{202e}txt.exe");
  assertEquals(visible("שלום\u200f 👩‍🚀"), "שלום\u200f 👩‍🚀");
  assertEquals([visible("\u200b"), visible("\0"), visible("")], ["\\u{200b}", "\\x00", ""]);
  const links = (text: string) => [...linkedText(text).matchAll(/<a href="([^"]*)"/g)].map(([, href]) => href);
  assertEquals(links("See http://a.example/x?y=1&z=2, and (https://b.example/(c)).\nhttps://d.example."), [
    ...["http://a.example/x?y=1&amp;z=2", "https://b.example/(c)", "https://d.example/"],
  ]);
  assertEquals(links("write to ada@example.com, or <alan@example.com>"), [
    "mailto:ada@example.com",
    "mailto:alan@example.com",
  ]);
  assertEquals(links("javascript:alert(1) data:text/html,x http:// https://[ //x @x x@ a@b"), []);
  assertEquals(linkedText('<b>"\t\u202e\n'), "&lt;b&gt;&quot;\t\\u{202e}\n");
  assertMatch(linkedText("https://a.example/<script>"), /^<a [^>]* target="_blank" rel="noopener noreferrer">/);
  // Linear: a quadratic search would take hours here.
  for (const text of ["http://", "a@", "a.", "http://x))))", ".....", "a@b.c."]) linkedText(text.repeat(200_000));
});
