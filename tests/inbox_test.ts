/** The inbox: its API, its pages in a browser, what a mail can do to it, and who may change it. */
import { Ajv2020 } from "npm:ajv@8/dist/2020.js";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "jsr:@std/assert@1";
import { openapi } from "../smtp/_inbox_openapi.ts";
import { accessibility } from "./support/accessibility.ts";
import { inBrowser, keep, openPage } from "./support/browser.ts";
import { failedWith, listening, signals, until } from "./support/helpers.ts";
import { type Fields, fields, mail, newMaildir, put } from "./support/mails.ts";
import { Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";
import type { Page } from "./support/types/playwright.d.ts";

const windows = Deno.build.os === "windows";
const bytes = (text: string) => new TextEncoder().encode(text);

/** The inbox of a Maildir; with the permission to change it unless `readOnly`. */
async function startInbox(path: string, readOnly = false) {
  const flags = ["-N=127.0.0.1", `-R=${path}`, ...readOnly ? [] : [`-W=${path}`], "smtp/inbox.ts", "--maildir", path];
  const { program, port } = await listening((port) => ["deno", "run", "--no-prompt", ...flags, "--port", `${port}`]);
  const at = `http://127.0.0.1:${port}`;
  const request = async (path: string, init?: RequestInit) => {
    const response = await fetch(at + path, init);
    const body = await response.text();
    const isJson = /json$/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, headers: response.headers, body, json: isJson ? JSON.parse(body) : undefined };
  };
  return { program, port, at, request, [Symbol.asyncDispose]: () => program.stop() };
}

/** The subjects of a list. */
const subjects = (list: { mails: { subject: string }[] }) => list.mails.map(({ subject }) => subject);

Deno.test("inbox: a Maildir that does not exist, or may not be read, is one line and exit code 1", async () => {
  const start = async (...args: string[]) => {
    const program = new Program(["deno", "run", "--no-prompt", ...args, "--port=0"], { cwd: root });
    await program.end();
    return program;
  };
  const missing = await start("-N=127.0.0.1", "-R", "smtp/inbox.ts", "--maildir", "no-such-folder");
  failedWith(
    missing,
    1,
    /^inbox: cannot watch no-such-folder\/new: there is no such folder: start the server with --maildir first$/m,
  );
  failedWith(
    await start("-N=127.0.0.1", "smtp/inbox.ts"),
    2,
    /^inbox: no permission to watch mail\/new: add -R=mail: deno run .* smtp\/inbox\.ts --port=0$/m,
  );
});

Deno.test("inbox: on loopback it answers only to the names of loopback; a malformed name is 400", async () => {
  await using maildir = await newMaildir();
  await using inbox = await startInbox(maildir.path);
  const { port } = inbox;
  for (
    const [host, status] of [
      ...[["127.0.0.1", 200], ["localhost", 200], ["evil.example", 421], ["127.evil.example", 421]],
      ...[["a b", 400], ["a/b", 400], ["a@b", 400]],
    ]
  ) {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(bytes(`GET / HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`));
    assertStringIncludes(await new Response(conn.readable).text(), `HTTP/1.1 ${status} `, `${host}`);
  }
  assertEquals(inbox.program.stderr, "");
});

Deno.test("inbox API: pages of the list, search, one mail with its parts, read and unread, deletion", async () => {
  await using maildir = await newMaildir();
  for (let i = 1; i <= 5; i++) await put(maildir.path, `170000000${i}.M1P1.host`, mail(fields(`Mail ${i}`)));
  const parts = mail(
    {
      ...fields("An invoice", { To: "Grace <grace@example.com>, Team: a@example.com, b@example.com;" }),
      ...{ "Delivered-To": "hidden@example.com", "Content-Type": "multipart/mixed; boundary=x" },
    },
    `--x\nContent-Type: text/plain\n\nPlease PAY soon.\n--x\n` +
      `Content-Type: application/pdf; name="back\\\\slash.pdf"\nContent-Disposition: attachment\n\nPDF\n--x--\n`,
  );
  await put(maildir.path, "1700000009.M1P1.host", parts);
  await using inbox = await startInbox(maildir.path);
  const { request } = inbox;

  const all = (await request("/api/mails")).json;
  assertEquals([all.total, all.unread, all.offset, all.limit], [6, 6, 0, 50]);
  assertEquals(subjects(all), ["An invoice", "Mail 5", "Mail 4", "Mail 3", "Mail 2", "Mail 1"]);
  assertEquals(subjects((await request("/api/mails?limit=2&offset=1")).json), ["Mail 5", "Mail 4"]);
  for (
    const [query, found] of [
      ...[["q=mail+3", 1], ["q=soon+INVOICE", 1], ["q=nothing", 0], ["subject=mail", 5], ["from=ADA%40", 6]],
      ...[["to=grace", 1], ["to=b%40example.com", 1], ["to=hidden", 1], ["to=alan&subject=4", 1], ["to=ada", 0]],
    ] as const
  ) assertEquals([query, (await request(`/api/mails?${query}`)).json.total], [query, found]);

  const { id } = all.mails[0];
  const one = (await request(`/api/mails/${id}`)).json;
  assertEquals(one.to.map(({ address }: { address: string }) => address), [
    ...["grace@example.com", "a@example.com", "b@example.com"],
  ]);
  assertEquals([one.text, one.recipients, one.read], ["Please PAY soon.\n", ["hidden@example.com"], false]);
  assertEquals([one.received, one.hasAttachments], ["2023-11-14T22:13:29.000Z", true]);
  const [attachment] = one.attachments;
  assertEquals([attachment.name, attachment.size], ["back\\slash.pdf", 4]);
  const part = await request(attachment.url);
  assertEquals([part.body, part.headers.get("content-type")], ["PDF\n", "application/octet-stream"]);
  assertEquals(part.headers.get("content-disposition"), "attachment; filename*=UTF-8''back_slash.pdf");
  assertEquals((await request(one.source)).body, parts);

  assertEquals((await request(`/api/mails/${id}/read`, { method: "PUT" })).status, 204);
  const flag = windows ? ";" : ":";
  assertEquals([...Deno.readDirSync(`${maildir.path}/cur`)].map(({ name }) => name), [`${id}${flag}2,S`]);
  assertEquals((await request("/api/mails")).json.unread, 5);
  assertEquals((await request(`/api/mails/${id}`)).json.read, true); // the id stays the same
  assertEquals((await request(`/api/mails/${id}/read`, { method: "DELETE" })).status, 204);
  assertEquals((await request("/api/mails")).json.unread, 6);

  assertEquals((await request(`/api/mails/${id}`, { method: "DELETE" })).status, 204);
  assertEquals((await request(`/api/mails/${id}`, { method: "DELETE" })).status, 404);
  assertEquals((await request("/api/mails?subject=mail+2", { method: "DELETE" })).json, { deleted: 1 });
  assertEquals((await request("/api/mails", { method: "DELETE" })).json, { deleted: 4 });
  assertEquals((await request("/api/mails")).json, { total: 0, unread: 0, offset: 0, limit: 50, mails: [] });
  assertEquals(inbox.program.stderr, "");
});

Deno.test("inbox API: every response is as openapi.json says", async () => {
  await using maildir = await newMaildir();
  await put(maildir.path, "1700000001.a", mail(fields("One", { "Content-Type": 'text/plain; name="x.txt"' })));
  await put(maildir.path, "1700000002.b", mail({}));
  await put(maildir.path, "1700000003.c", "");
  await using inbox = await startInbox(maildir.path);
  const { request } = inbox;
  const document = (await request("/openapi.json")).json;
  assertEquals(document, JSON.parse(JSON.stringify(openapi)));
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, "api");
  const wrong = ["limit=0", "limit=1001", "limit=x", "offset=-1", "subjct=x", `q=${"x".repeat(201)}`];
  for (
    const [method, path, template, status] of [
      ["GET", "/api/mails", "/api/mails", 200],
      ["GET", "/api/mails?limit=1&q=one", "/api/mails", 200],
      ...wrong.map((query) => ["GET", `/api/mails?${query}`, "/api/mails", 400] as const),
      ...["1700000001.a", "1700000002.b", "1700000003.c"].map((id) =>
        ["GET", `/api/mails/${id}`, "/api/mails/{id}", 200] as const
      ),
      ...["no-such", "..", "%2e%2e%2fx", "%00", "%zz"].map((id) =>
        ["GET", `/api/mails/${id}/read/..`.replace("/read/..", id === ".." ? "/read/../../x" : ""), "", 404] as const
      ),
      ["PUT", "/api/mails/1700000001.a/read", "/api/mails/{id}/read", 204],
      ["PUT", "/api/mails/no-such/read", "/api/mails/{id}/read", 404],
      ["DELETE", "/api/mails/1700000001.a/read", "/api/mails/{id}/read", 204],
      ["GET", "/api/wait?since=0&subject=one", "/api/wait", 200],
      ["GET", "/api/wait?since=0&subject=two&timeout=0", "/api/wait", 404],
      ["GET", "/api/wait?timeout=301", "/api/wait", 400],
      ["GET", "/api/wait?since=yesterday", "/api/wait", 400],
      ["DELETE", "/api/mails/1700000001.a", "/api/mails/{id}", 204],
      ["DELETE", "/api/mails?q=nothing", "/api/mails", 200],
    ] as const
  ) {
    const response = await request(path, { method });
    assertEquals([method, path, response.status], [method, path, status]);
    const described = document.paths[template]?.[method.toLowerCase()]?.responses[status];
    if (template) assert(described, `${method} ${template} says nothing about ${status}`);
    const name = described
      ? Object.values<{ schema: { $ref: string } }>(described.content ?? {})[0]?.schema.$ref
      : undefined;
    if (name) assert(ajv.validate(`api${name}`, response.json), `${path}: ${ajv.errorsText()}\n${response.body}`);
    else assertEquals(status === 204 ? response.body : "", "");
  }
  const post = await request("/api/mails", { method: "POST" });
  assertEquals([post.status, post.headers.get("allow")], [405, "GET, HEAD, DELETE, OPTIONS"]);
  assertEquals((await request("/api/x")).json.status, 404);
});

Deno.test("inbox API: wait answers with the next mail that matches, or one that is there since a time", async () => {
  await using maildir = await newMaildir();
  await put(maildir.path, "1700000001.old", mail(fields("Welcome 1")));
  await put(maildir.path, "1700000002.old", mail(fields("Welcome 2")));
  await using inbox = await startInbox(maildir.path);
  const { request } = inbox;
  const wait = async (query: string) => (await request(`/api/wait?${query}`)).json.subject;
  assertEquals(await wait("subject=welcome&since=0"), "Welcome 1"); // the oldest of them
  assertEquals(await wait("subject=welcome&since=1700000001500"), "Welcome 1"); // its name knows no fraction of a second
  assertEquals(await wait("subject=welcome&since=2023-11-14T22:13:22Z"), "Welcome 2");
  assertEquals((await request("/api/wait?subject=welcome&timeout=0")).status, 404); // only mail that arrives later

  // Several requests wait at the same time, and mails that do not match arrive in between.
  let answered = 0;
  const count = async (query: string) => {
    const subject = await wait(query);
    answered++;
    return subject;
  };
  const waiting = [count("to=bob&timeout=60"), count("subject=code&q=ada&timeout=60"), count("timeout=60&to=carol")];
  await until(async () => {
    // When these requests were read is not known: so mails arrive until all are answered.
    const n = crypto.randomUUID();
    await put(maildir.path, `${Date.now()}.${n}x`, mail(fields("Nothing for anybody")));
    await put(maildir.path, `${Date.now()}.${n}b`, mail(fields("For Bob", { To: "Bob <bob@example.com>" })));
    await put(maildir.path, `${Date.now()}.${n}c`, mail(fields("Your code")));
    await put(maildir.path, `${Date.now()}.${n}d`, mail(fields("Bcc", { "Delivered-To": "carol@example.com" })));
    return answered === 3;
  }, "all three are answered");
  assertEquals(await Promise.all(waiting), ["For Bob", "Your code", "Bcc"]);

  if (!signals) return;
  // Ctrl-C ends what waits.
  const last = request("/api/wait?to=nobody&timeout=60");
  await inbox.request("/api/mails"); // on another connection: the first request was read before its response
  inbox.program.signal("SIGINT");
  assertEquals([503, 404].includes((await last.catch(() => ({ status: 503 }))).status), true);
  assertEquals((await inbox.program.end()).code, 0);
  assertEquals(inbox.program.stderr, "");
});

Deno.test("inbox API: a client that leaves while it waits, or sends without end, gives its place to another", async () => {
  await using maildir = await newMaildir();
  await using inbox = await startInbox(maildir.path);
  const { port } = new URL(inbox.at);
  const head = "GET /api/wait?timeout=300 HTTP/1.1\r\nHost: localhost\r\n";
  const waiting = await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    await conn.write(bytes(i % 2 ? `${head}\r\n` : `${head}Content-Length: 5\r\n\r\n`));
    return conn;
  }));
  const status = async () => (await inbox.request("/api/wait?timeout=0")).status;
  await until(async () => await status() === 503, "all places are taken");
  for (const [i, conn] of waiting.entries()) {
    if (i % 3 === 1) await conn.closeWrite();
    else if (i % 3 === 2) await conn.write(new Uint8Array(20_000));
    else conn.close();
  }
  await until(async () => await status() === 404, "their places are free");
  const texts = waiting.filter((_, i) => i % 3 > 0).map((conn) => new Response(conn.readable).text().catch(() => ""));
  for (const text of await Promise.all(texts)) assertMatch(text, /^(HTTP\/1\.1 400 |$)/);

  // A request that came while the client waited is answered afterwards, on the same connection.
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  const last = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  await conn.write(bytes(`${head.replace("300", "1")}\r\n${last.slice(0, 9)}`));
  await conn.write(bytes(last.slice(9)));
  const text = await new Response(conn.readable).text();
  assertEquals(text.match(/(?<=HTTP\/1\.1 )\d+/g), ["404", "200"]);
  assertEquals(inbox.program.stderr, "");
});

Deno.test("inbox: another site can neither change nor read mails, and no response is kept without asking", async () => {
  await using maildir = await newMaildir();
  await put(maildir.path, "1700000001.a", mail(fields("One")));
  await using inbox = await startInbox(maildir.path);
  const { request, at } = inbox;
  const { port } = new URL(at);
  const foreign: Fields[] = [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: `http://127.0.0.1:${Number(port) + 1}` },
    { origin: at, "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "none" },
  ];
  for (const headers of foreign) {
    for (const [method, path] of [["DELETE", "/api/mails"], ["DELETE", "/api/mails/1700000001.a"]] as const) {
      assertEquals((await request(path, { method, headers })).json.status, 403);
    }
    assertEquals((await request("/api/mails/1700000001.a/read", { method: "PUT", headers })).status, 403);
  }
  const preflight = await request("/api/mails", { method: "OPTIONS", headers: { origin: "https://evil.example" } });
  assertEquals(preflight.status, 403);
  for (
    const path of ["/", "/page.js", "/api/mails", "/mail/1700000001.a/", "/mail/1700000001.a/raw", "/openapi.json"]
  ) {
    const { status, headers } = await request(path, { headers: { origin: "https://evil.example" } });
    assertEquals([path, status, headers.get("access-control-allow-origin")], [path, 200, null]);
    assertEquals(headers.get("cross-origin-resource-policy"), "same-origin");
    assertEquals([headers.get("cache-control"), headers.get("x-content-type-options")], [
      "private, no-cache",
      "nosniff",
    ]);
    assertEquals(headers.get("referrer-policy"), "no-referrer");
  }
  const own = { origin: at, "sec-fetch-site": "same-origin" };
  assertEquals((await request("/api/mails", { method: "DELETE", headers: own })).json, { deleted: 1 });
  assertEquals(inbox.program.stderr, "");
});

Deno.test("inbox: without the permission to write it is read only, and says so", async () => {
  await using maildir = await newMaildir();
  await put(maildir.path, "1700000001.a", mail(fields("One")));
  await using inbox = await startInbox(maildir.path, true);
  const { request } = inbox;
  for (
    const [method, path] of [["DELETE", ""], ["DELETE", "/1700000001.a"], ["PUT", "/1700000001.a/read"]] as const
  ) {
    const { json } = await request(`/api/mails${path}`, { method });
    assertEquals([json.status, json.detail], [403, `this inbox is read only: start it with -W=${maildir.path}`]);
  }
  for (const path of ["/", "/mail/1700000001.a/"]) assert(!(await request(path)).body.includes("<button type="));
  assertStringIncludes((await request("/")).body, "Read only.");
  assertMatch(inbox.program.stdout, /^read only: .* add -W=/m);
  assertEquals((await request("/api/mails")).json.total, 1);
});

const fits = async (page: Page) => await page.evaluate("document.documentElement.scrollWidth <= innerWidth");

/** A mail with a text and HTML. */
const both = (more: Fields, text: string, html: string): string =>
  mail(
    { ...more, "Content-Type": "multipart/alternative; boundary=x" },
    `--x\nContent-Type: text/plain; charset=utf-8\n\n${text}\n--x\nContent-Type: text/html; charset=utf-8\n\n${html}\n--x--\n`,
  );

const confirmation = both(
  {
    From: "Bluebird Accounts <accounts@bluebird.example>",
    To: "Grace Hopper <grace@example.com>",
    Subject: "Confirm your email address",
  },
  "Hello Grace,\n\nplease confirm your address: https://bluebird.example/confirm?token=8f3a\n\nThe link is valid for 24 hours.",
  `<div style="font-family: sans-serif; max-width: 30rem; margin: 1rem auto"><h1>Welcome to Bluebird</h1><p>Hello Grace,
please confirm your address.</p><p><a href="https://bluebird.example/confirm?token=8f3a" style="background: #0a55b8;
color: white; padding: .7rem 1.2rem; border-radius: 6px; text-decoration: none">Confirm</a></p><p>The link is valid for 24 hours.</p></div>`,
);

/** Mails as people get them. */
const ordinary: string[] = [
  mail(
    fields("Server report: all 14 checks passed", { From: "Monitor <monitor@ops.example>", To: "ops@example.com" }),
    "disk 41 %, memory 63 %, load 0.4\nhttps://ops.example/reports/20314\n",
  ),
  both(
    {
      From: "Fernweh Reisen <post@fernweh.example>",
      To: "Grace Hopper <grace@example.com>",
      Subject: "Ihre Buchung nach Århus",
    },
    "Gute Reise! Ihr Zug fährt um 08:14 von Gleis 7.",
    "<p>Gute Reise!</p>",
  ),
  mail(
    fields("Re: Tea on Thursday?", {
      From: "Alan Turing <alan@example.com>",
      To: "Ada Lovelace <ada@example.com>",
      Cc: "grace@example.com",
    }),
    "Four o'clock suits me well. I bring the biscuits, if you bring the engine.\n\n> Would Thursday suit you?\n",
  ),
  mail(
    {
      ...fields("Invoice 2026-1107", {
        From: "Corner Books <billing@cornerbooks.example>",
        To: "Grace Hopper <grace@example.com>",
      }),
      "Content-Type": "multipart/mixed; boundary=x",
    },
    `--x\nContent-Type: text/plain\n\nThank you for your order. The invoice over 34.90 EUR is attached.\n--x\n` +
      `Content-Type: application/pdf\nContent-Disposition: attachment; filename="invoice-2026-1107.pdf"\n\n${
        "PDF\n".repeat(9000)
      }--x--\n`,
  ),
  mail(
    fields("=?utf-8?B?zqPPhc69zqzOvc+EzrfPg863IM+EzrfOvSDOoM6xz4HOsc+DzrrOtc+Fzq4=?=", {
      From: "=?utf-8?B?zpXOu86tzr3OtyDOk861z4nPgc6zzq/Ov8+F?= <eleni@example.gr>",
    }),
    "The meeting is on Friday at ten.\n",
  ),
  mail(
    fields("<script>document.title='owned'</script>", { From: '"<img src=x onerror=alert(1)>" <mallory@example.net>' }),
    "plain <b>text</b>\n",
  ),
  confirmation,
];

inBrowser(
  "the inbox' list: new mail, search, focus, delete, clear, by keyboard and mouse, narrow and wide",
  async () => {
    await using maildir = await newMaildir();
    await using inbox = await startInbox(maildir.path);
    await using opened = await openPage(1100);
    const { page, errors } = opened;
    await page.goto(inbox.at);
    await page.waitForSelector("text=No mail yet");
    const now = Date.now();
    for (const [i, content] of ordinary.entries()) {
      await put(maildir.path, `${now - (ordinary.length - i) * 1_000_000}.Q${i}.host`, content);
    }
    await page.waitForSelector("text=Confirm your email address"); // by itself
    await until(async () => await page.locator("#mails li").count() === ordinary.length, "all mails");
    await inbox.request(`/api/mails/${now - 3 * 1_000_000}.Q4.host/read`, { method: "PUT" });
    await page.waitForSelector("#summary:has-text('7 mails, 6 unread')");
    assertEquals(await page.title(), "(6) Inbox");
    assertEquals(await accessibility(page), []);
    await page.setViewportSize({ width: 1100, height: 660 });
    await keep(page, "smtp/inbox.png");

    // The focus survives a new mail, and a row that has it, is the same element as before.
    const link = page.locator("#mails a", { hasText: "Invoice" });
    await link.focus();
    await put(maildir.path, `${now + 1}.focus`, mail(fields("A newer one")));
    await page.waitForSelector("text=A newer one");
    assertEquals(
      await page.evaluate("document.activeElement.querySelector('.subject')?.textContent"),
      "Invoice 2026-1107",
    );

    // Keys: an arrow moves on, Delete deletes and moves the focus to the next mail, Enter opens.
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Delete");
    await page.waitForSelector("#status:has-text('Deleted:')");
    await until(async () => await page.locator("#mails li").count() === 7, "one mail less");
    assertEquals(
      await page.evaluate("document.activeElement.querySelector('.subject')?.textContent"),
      "Invoice 2026-1107",
    );
    await page.locator("[data-id$='.focus'] .delete").click();
    await until(async () => await page.locator("#mails li").count() === 6, "one more");

    // Search.
    await page.fill("[name=q]", "grace");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#summary:has-text('4 mails with “grace”')");
    await put(maildir.path, `${now + 2}.other`, mail(fields("Not found by this search")));
    await put(maildir.path, `${now + 3}.found`, mail(fields("Found: Grace")));
    await page.waitForSelector("text=Found: Grace");
    assertEquals(await page.locator("text=Not found by this search").count(), 0);
    page.once("dialog", (dialog) => dialog.dismiss());
    await page.click("#clear");
    assertEquals((await inbox.request("/api/mails")).json.total, 8);
    page.once("dialog", (dialog) => {
      assertMatch(dialog.message(), /^Delete 5 mails\?/);
      return dialog.accept();
    });
    await page.click("#clear");
    await page.waitForSelector("text=No mail matches this search");
    assertEquals((await inbox.request("/api/mails")).json.total, 3);
    await page.click("h1 a");
    await page.waitForSelector("#summary:has-text('3 mails')");
    page.once("dialog", (dialog) => dialog.accept());
    await page.click("#clear");
    await page.waitForSelector("text=No mail yet");
    assertEquals(await accessibility(page), []);
    assertEquals(errors, []);
    assertEquals(inbox.program.stderr, "");
  },
);

inBrowser("the inbox' list stays a list, whatever is in a mail, and its pages have a count", async () => {
  await using maildir = await newMaildir();
  const long = "x".repeat(3000);
  const odd: Fields[] = [
    {
      Subject: "=?utf-8?q?=00=00=00?=",
      From: "=?utf-8?q?=00?= <a@b.example>",
      To: "=?utf-8?q?=E2=80=AEevil?= <c@d.example>",
    },
    { Subject: long, From: `${long}@example.com`, To: `a${long}@example.com, `.repeat(20) },
    { Subject: "=?utf-8?q?=E2=80=8B?=" },
    {},
    { Subject: "\u202egpj.exe", From: "שלום <a@b.example>" },
    { Subject: "</a></li></ul><h1>gone</h1>", From: '"><script>alert(1)</script>' },
  ];
  for (const [i, each] of odd.entries()) await put(maildir.path, `180000000${i}.odd`, mail(each));
  for (let i = 100; i < 200; i++) await put(maildir.path, `1700000${i}.plain`, mail(fields(`Mail ${i}`)));
  await using inbox = await startInbox(maildir.path);
  await using opened = await openPage(1100);
  const { page, errors } = opened;
  await page.goto(inbox.at);
  for (const width of [1100, 600, 320]) {
    await page.setViewportSize({ width, height: 640 });
    assertEquals(await fits(page), true, `${width} pixels`);
    const heights = await page.locator("#mails li").evaluateAll((rows) =>
      rows.map((row) => Math.round((row as unknown as { offsetHeight: number }).offsetHeight))
    );
    assert(Math.max(...heights) - Math.min(...heights) <= 8, `${width} pixels: rows of ${heights.join()}`);
  }
  assertEquals(await accessibility(page), []); // at the narrow width; the wide one is looked at above
  const texts = await page.locator("#mails li:nth-child(-n+6) .subject").allTextContents();
  assertEquals(texts.toReversed(), [
    ...["\\x00\\x00\\x00", `${"x".repeat(320)}…`, "\\u{200b}", "(no subject)", "\\u{202e}gpj.exe"],
    "</a></li></ul><h1>gone</h1>",
  ]);
  await page.setViewportSize({ width: 1100, height: 640 });
  await page.waitForSelector("#pages:has-text('1–50 of 106')");
  await page.click("text=Older →");
  await page.waitForSelector("#pages:has-text('51–100 of 106')");
  await page.click("text=Older →");
  await page.waitForSelector("#pages:has-text('101–106 of 106')");
  assertEquals(await page.locator("text=Older →").count(), 0);
  assertEquals(await page.locator("#mails li").count(), 6);
  await page.goto(`${inbox.at}/?page=999`);
  await page.click("text=← Newer");
  await page.waitForSelector("#pages:has-text('101–106 of 106')");
  for (const i of odd.keys()) {
    await page.goto(`${inbox.at}/mail/180000000${i}.odd/`);
    assert((await page.textContent("h1") ?? "").trim() !== "");
    await page.setViewportSize({ width: 320, height: 640 });
    await page.click("summary:has-text('Header')");
    assertEquals([i, await fits(page)], [i, true]);
  }
  assertEquals(errors, []);
  assertEquals(inbox.program.stderr, "");
});

inBrowser(
  "a mail in the inbox: links open a new tab, it is marked as read, and unread again, and deleted",
  async () => {
    await using maildir = await newMaildir();
    const visits: { path: string; referrer: string | null }[] = [];
    const site = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      visits.push({ path: new URL(request.url).pathname, referrer: request.headers.get("referer") });
      return new Response("<title>Confirmed</title>", { headers: { "content-type": "text/html" } });
    });
    const elsewhere = `http://127.0.0.1:${site.addr.port}`;
    const html =
      `<a id="plain" href="${elsewhere}/plain">a</a> <a id="self" target="_self" href="${elsewhere}/self">b</a>
    <a id="top" target="_top" href="${elsewhere}/top">c</a> <a id="path" href="/api/mails">d</a> <a id="js" href="javascript:1">e</a>
    <a id="place" href="#here">f</a> <p id="here" style="margin-top: 3000px">here</p>`;
    await put(maildir.path, "1700000001.a", both(fields("Confirm"), `Open ${elsewhere}/text now.`, html));
    await put(maildir.path, "1700000002.b", confirmation);
    await using inbox = await startInbox(maildir.path);
    await using opened = await openPage(900);
    const { page, errors } = opened;
    await page.goto(inbox.at);
    await page.click("text=Confirm >> nth=-1");
    await page.waitForURL("**/mail/1700000001.a/");
    await until(async () => (await inbox.request("/api/mails?subject=confirm")).json.unread === 1, "it is read");
    const frame = page.frameLocator("iframe");
    await frame.locator("#plain[rel='noopener noreferrer'][target=_blank]").waitFor();
    const context = page.context();
    for (const name of ["plain", "self", "top"]) {
      const [tab] = await Promise.all([context.waitForEvent("page"), frame.locator(`#${name}`).click()]);
      await tab.waitForURL(`${elsewhere}/${name}`);
      assertEquals([await tab.title(), await tab.evaluate("window.opener")], ["Confirmed", null]);
      await tab.close();
    }
    for (const name of ["path", "js", "place"]) await frame.locator(`#${name}`).click();
    assertEquals([context.pages().length, page.url()], [1, `${inbox.at}/mail/1700000001.a/`]);
    assertEquals(await frame.locator("#here").count(), 1);
    await page.click("summary:has-text('Text')");
    const [tab] = await Promise.all([context.waitForEvent("page"), page.click("#text a")]);
    await tab.waitForURL(`${elsewhere}/text`);
    await tab.close();
    assertEquals(visits.filter(({ path }) => path !== "/favicon.ico"), [
      ...["plain", "self", "top", "text"].map((name) => ({ path: `/${name}`, referrer: null })),
    ]);
    assertEquals(await accessibility(page), []);
    await page.setViewportSize({ width: 360, height: 640 });
    assertEquals(await fits(page), true);
    await page.click("#mark");
    await page.waitForURL(`${inbox.at}/`);
    await page.waitForSelector("#summary:has-text('2 mails, 2 unread')");
    await page.click("text=Confirm your email address");
    await page.click("text=Older");
    await page.waitForURL("**/mail/1700000001.a/");
    await page.click("#delete");
    await page.waitForURL(`${inbox.at}/`);
    await page.waitForSelector("#summary:has-text('1 mail')");
    await site.shutdown();
    assertEquals(errors.filter((error) => !/javascript:/i.test(error)), []);
    assertEquals(inbox.program.stderr, "");
  },
);

inBrowser("the inbox in eight tabs: each is answered, and each shows a new mail", async () => {
  await using maildir = await newMaildir();
  await using inbox = await startInbox(maildir.path);
  await using opened = await openPage(900);
  const context = await opened.browser.newContext();
  const tabs: Page[] = [];
  while (tabs.length < 8) tabs.push(await context.newPage());
  for (const tab of tabs) await tab.goto(inbox.at); // a browser opens six connections to a server, no more
  await put(maildir.path, "1700000001.a", mail(fields("For every tab")));
  for (const tab of tabs) await tab.waitForSelector("text=For every tab");
});

inBrowser("the inbox: a hostile mail does nothing, its pictures and attachments are shown and kept", async () => {
  await using maildir = await newMaildir();
  await using inbox = await startInbox(maildir.path);
  let leaked = 0;
  const leak = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    leaked++;
    return new Response("");
  });
  const evil = `http://127.0.0.1:${leak.addr.port}`;
  await put(
    maildir.path,
    "1700000001.evil",
    mail(
      { ...fields("<script>document.title='owned'</script>"), "Content-Type": "multipart/mixed; boundary=x" },
      `--x\nContent-Type: multipart/alternative; boundary=y\n
--y\nContent-Type: text/plain\n\nplain <b>text</b>\n--y\nContent-Type: text/html\n
<meta http-equiv="refresh" content="0; url=${evil}/refresh"><link rel="stylesheet" href="${evil}/css">
<link rel="dns-prefetch" href="//leak.invalid"><h1>Offer</h1><img src="${evil}/pixel">
<script>parent.document.title = "owned"; fetch("${evil}/script"); fetch("/api/mails", { method: "DELETE" })</script>
<a href="javascript:parent.document.title='owned'" id="js">click</a>
<form action="${evil}/form" method="post"><button id="submit">send</button></form>
<form action="/api/mails" method="post"><button id="own">send</button></form><iframe src="${evil}/frame"></iframe>
<style>@import url(${evil}/import); body { background: url(${evil}/background) }</style><img src=/mail/1700000001.evil/raw>
<svg onload="parent.document.title='owned'"></svg><object data="${evil}/object"></object><base href="${evil}/">
--y--\n--x\nContent-Type: text/html; name="<b>\u202egpj.html"\nContent-Disposition: attachment\n\n<script>alert(1)</script>\n--x--\n`,
    ),
  );
  await using opened = await openPage(900);
  const { page, errors } = opened;
  await page.goto(`${inbox.at}/mail/1700000001.evil/`);
  const frame = page.frameLocator("iframe");
  await frame.locator("h1").waitFor();
  for (const id of ["#js", "#submit", "#own"]) await frame.locator(id).click({ timeout: 5000 });
  await page.waitForTimeout(500); // a refresh, a script or a click would have had its time
  assertEquals(leaked, 0, "nothing was fetched from elsewhere");
  assertEquals(await page.textContent("h1"), "<script>document.title='owned'</script>");
  assertEquals(await page.textContent("#text"), "plain <b>text</b>\n");
  assertEquals(page.url(), `${inbox.at}/mail/1700000001.evil/`);
  assert(await page.title() !== "owned");
  assertEquals(await page.textContent(".files a"), "<b>\\u{202e}gpj.html");
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(".files a")]);
  assert(!file.suggestedFilename().includes("\u202e"), file.suggestedFilename());
  // The HTML by itself, without the page around it: the browser is sent to that page.
  await page.goto(`${inbox.at}/mail/1700000001.evil/html`);
  assertEquals(page.url(), `${inbox.at}/mail/1700000001.evil/`);
  const paths = ["..%2f..%2fetc%2fpasswd", "no-such", "%00", "%zz"].map((id) => `/mail/${id}/`);
  for (const path of [...paths, "/mail/../../etc/passwd/", "/x", "/mail/1700000001.evil/part/7", "/events"]) {
    assertEquals([path, (await inbox.request(path)).status], [path, 404]);
  }

  // Its HTML shows pictures that came with it: one by its id, one with the id escaped; the last one is no picture.
  const picture = mail(
    { ...fields("a picture"), "Content-Type": "multipart/related; boundary=x" },
    `--x\nContent-Type: text/html\n\n<img src="cid:one@x"><img src='cid:one%40x'><img src=cid:two@x>\n--x
Content-Type: image/gif\nContent-ID: <one@x>\nContent-Transfer-Encoding: base64\n
R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7\n--x
Content-Type: image/svg+xml\nContent-ID: <two@x>\n\n<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n--x--\n`,
  );
  await put(maildir.path, "1700000002.picture", picture);
  await page.goto(`${inbox.at}/mail/1700000002.picture/`);
  const pictures = page.frameLocator("iframe").locator("img");
  await pictures.first().waitFor();
  const widths = () => pictures.evaluateAll((all) => all.map((each) => Number(Reflect.get(each, "naturalWidth"))));
  await until(async () => (await widths())[0] === 1, "the first picture");
  assertEquals(await widths(), [1, 1, 0]);
  // What the policy has stopped, the browser reports; nothing else went wrong.
  const stopped = /: csp$|Content.Security.Policy|sandbox|Blocked|ERR_BLOCKED|ERR_ABORTED|net::ERR/i;
  assertEquals(errors.filter((error) => !stopped.test(error)), []);
  assertEquals(inbox.program.stderr, "");
  await leak.shutdown();
});
