/** SMTP: the parts with cases from the RFCs, the server and the client in use and misuse, and with other programs. */
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "jsr:@std/assert@1";
import PostalMime from "npm:postal-mime@4";
import { X509Certificate } from "node:crypto";
import { isMailbox, parsePath } from "../smtp/_address.ts";
import { cramMd5Response } from "../smtp/_authentication.ts";
import { DataDecoder, encodeData } from "../smtp/_data.ts";
import { encodeReplies, ReplyError, ReplyParser } from "../smtp/_reply.ts";
import { Session } from "../smtp/_session.ts";
import type { Settings } from "../smtp/_settings.ts";
import { selfSigned } from "../tcp/_self_signed.ts";
import { freePort } from "./support/free_port.ts";
import { below, seeded } from "./support/fuzz.ts";
import {
  certificate,
  descriptors,
  failedWith,
  listening,
  memory,
  noSignals,
  serve,
  signals,
  suiteTest,
  testWith,
  until,
} from "./support/helpers.ts";
import { optionsTest } from "./support/options.ts";
import { has, Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";
import "./parts/smtp.ts";
import "./parts/inbox.ts";

const linux = Deno.build.os === "linux";
const windows = Deno.build.os === "windows"; // it has its own words for errors of files, in the user's language
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

const settings: Settings = {
  ...{ name: "test", size: 1000, recipients: 3, errors: 5, tls: true, insecureAuth: false, line: 998, lenient: false },
  recipientPolicy: (mailbox) => mailbox.startsWith("no") ? "reject" : mailbox.startsWith("later") ? "defer" : undefined,
};

/** A session's replies to commands. */
function answers(session: Session, ...commands: string[]): string[] {
  return commands.map((command) => {
    const { reply, next } = session.command(bytes(command));
    return `${reply.code}${reply.enhanced && ` ${reply.enhanced}`}${next === "command" ? "" : ` ${next}`}`;
  });
}

Deno.test("a session: RFC 5321's example D.1, and commands in the wrong order", () => {
  const session = new Session(settings, false);
  assertEquals(
    answers(
      session,
      "MAIL FROM:<a@b>",
      "EHLO bar.com",
      "RCPT TO:<a@b>",
      "DATA",
      "MAIL FROM:<Smith@bar.com>",
      "MAIL FROM:<a@b>",
    ),
    ["503 5.5.1", "250", "503 5.5.1", "503 5.5.1", "250 2.1.0", "503 5.5.1"],
  );
  const other = new Session(settings, false);
  assertEquals(
    answers(
      other,
      "EHLO bar.com",
      "MAIL FROM:<Smith@bar.com>",
      "RCPT TO:<Jones@foo.com>",
      "RCPT TO:<nobody@foo.com>",
      "RCPT TO:<later@foo.com>",
      "RCPT TO:<Brown@foo.com>",
      "RCPT TO:<c@d>",
      "RCPT TO:<e@f>",
      "DATA",
    ),
    ["250", "250 2.1.0", "250 2.1.5", "550 5.1.1", "450 4.2.1", "250 2.1.5", "250 2.1.5", "452 4.5.3", "354 data"],
  );
  assertEquals(other.envelope?.to, ["Jones@foo.com", "Brown@foo.com", "c@d"]);
  assertEquals(other.replyToContent({ stored: "x" }).reply.code, 250);
  assertEquals(answers(other, "DATA", "QUIT"), ["503 5.5.1", "221 2.0.0 close"]);
});

Deno.test("a session: sizes, letters beyond ASCII, parameters, HTTP, STARTTLS, errors", () => {
  const one = () => {
    const session = new Session({ ...settings, errors: 100 }, false);
    answers(session, "EHLO x");
    return session;
  };
  for (
    const [command, answer] of [
      ["MAIL FROM:<a@b> SIZE=1000", "250 2.1.0"],
      ["MAIL FROM:<a@b> SIZE=1001", "552 5.3.4"],
      ["MAIL FROM:<a@b> SIZE=x", "501 5.5.4"],
      ["MAIL FROM:<a@b> BODY=8BITMIME SMTPUTF8", "250 2.1.0"],
      ["MAIL FROM:<a@b> BODY=9BIT", "501 5.5.4"],
      ["MAIL FROM:<a@b> SIZE=1 SIZE=2", "501 5.1.7"],
      ["MAIL FROM:<a@b> RET=FULL", "555 5.5.4"],
      ["MAIL FROM:<ü@b>", "553 5.6.7"],
      ["MAIL FROM:<ü@b> SMTPUTF8", "250 2.1.0"],
      ["MAIL FROM:a@b", "501 5.1.7"],
      ["MAIL FROM: <a@b>", "501 5.1.7"],
      ["MAIL TO:<a@b>", "501 5.1.7"],
      ["MAIL FROM:<@x,@y:a@b>", "250 2.1.0"],
      ["DATA x", "501 5.5.4"],
      ["GET / HTTP/1.1", "421 4.7.0 close"],
      ["OPTIONS * HTTP/1.1", "421 4.7.0 close"],
      ["STARTTLS", "220 2.0.0 starttls"],
      ["STARTTLS x", "501 5.5.4"],
      ["AUTH PLAIN AAAA", "502 5.5.1"],
      ["EHLO", "501 5.5.4"],
      ["EHLO a b", "501 5.5.4"],
      ["NOOP\0", "500 5.5.2"],
      ["EHLO a\u0085b", "500 5.5.2"],
      ["EHLO a\u202eb", "501 5.5.4"],
      ["MAIL FROM:<a@under_score.com>", "501 5.1.7"],
      ["VRFY", "501 5.5.4"],
      ["", "500 5.5.2"],
    ] as const
  ) assertEquals(answers(one(), command), [answer], command);
  assertEquals(one().command(Uint8Array.of(0x4e, 0xff)).reply.code, 500);
  assertEquals(answers(new Session(settings, true), "EHLO x", "STARTTLS"), ["250", "503 5.5.1"]);
  const lenient = new Session({ ...settings, lenient: true }, false);
  assertEquals(
    answers(
      lenient,
      "EHLO x",
      "MAIL FROM: <a@under_score.com> SIZE=5",
      "RCPT TO:b@c",
      "RCPT TO: <d..e@f>",
      "RCPT TO:<a b@c>",
    ),
    ["250", "250 2.1.0", "250 2.1.5", "250 2.1.5", "501 5.1.3"],
  );
  assertEquals(lenient.envelope?.to, ["b@c", "d..e@f"]);
  const clumsy = new Session({ ...settings, errors: 3 }, false);
  assertEquals(
    [clumsy.rejectLine("long"), clumsy.rejectLine("bare"), clumsy.rejectLine("long")].map(({ next }) => next),
    ["command", "command", "close"],
    "such a line is an error among others",
  );
  const rude = new Session(settings, false);
  assertEquals(answers(rude, "A", "B", "C", "D", "E").at(-1), "421 4.7.0 close");
  const careless = new Session({ ...settings, errors: 2 }, false);
  assertEquals(careless.replyToContent("bare").reply.code, 550);
  assertEquals(careless.replyToContent("long").next, "close", "refused contents are errors, too");
  assertEquals(careless.replyToContent(new Error("disk full")).reply.code, 452);
});

Deno.test("AUTH: RFC 4616, RFC 2195, and the order of commands", () => {
  const credentials = { user: "tim", password: "tanstaaftanstaaf" };
  // RFC 2195 §2's example.
  assertEquals(
    cramMd5Response(credentials, "<1896.697170952@postoffice.reston.mci.net>"),
    "tim b913a602c7eda7a495b4e6e7334d3890",
  );
  const b64 = (text: string) => bytes(text).toBase64();
  const secure = () => {
    const session = new Session({ ...settings, credentials }, true);
    answers(session, "EHLO x");
    return session;
  };
  assertEquals(answers(secure(), `AUTH PLAIN ${b64("\0tim\0tanstaaftanstaaf")}`, "MAIL FROM:<a@b>"), [
    "235 2.7.0",
    "250 2.1.0",
  ]);
  assertEquals(answers(secure(), "AUTH PLAIN", b64("tim\0tim\0tanstaaftanstaaf")), ["334", "235 2.7.0"]);
  assertEquals(answers(secure(), "auth login", b64("tim"), b64("tanstaaftanstaaf")), ["334", "334", "235 2.7.0"]);
  assertEquals(answers(secure(), `AUTH LOGIN ${b64("tim")}`, b64("wrong")), ["334", "535 5.7.8"]);
  assertEquals(answers(secure(), "MAIL FROM:<a@b>"), ["530 5.7.0"]);
  for (const wrong of ["\0tim\0wrong", "\0tom\0tanstaaftanstaaf", "ann\0tim\0tanstaaftanstaaf", "\0tim\0"]) {
    assertEquals(answers(secure(), `AUTH PLAIN ${b64(wrong)}`), ["535 5.7.8"], wrong);
  }
  for (const broken of ["*", "no base64!", b64("tim"), b64("a\0b\0c\0d")]) {
    assertEquals(answers(secure(), "AUTH PLAIN", broken), ["334", "501 5.5.2"], broken);
  }
  assertEquals(answers(secure(), "AUTH GSSAPI"), ["504 5.5.4"]);
  // Whoever wants to log in may do so; the others need not.
  const any = () => {
    const session = new Session({ ...settings, credentials: "any" }, false);
    answers(session, "EHLO x");
    return session;
  };
  assertEquals(answers(any(), "MAIL FROM:<a@b>"), ["250 2.1.0"]);
  assertEquals(answers(any(), `AUTH PLAIN ${b64("\0x\0y")}`, "MAIL FROM:<a@b>"), ["235 2.7.0", "250 2.1.0"]);
  assertEquals(answers(any(), "AUTH LOGIN", b64("x"), b64("y"), "AUTH PLAIN"), [
    "334",
    "334",
    "235 2.7.0",
    "503 5.5.1",
  ]);
  assertEquals(answers(any(), "AUTH CRAM-MD5", b64("x 00")), ["334", "235 2.7.0"]);
  assertEquals(answers(any(), "AUTH PLAIN", b64("x")), ["334", "501 5.5.2"]);
  const waiting = secure();
  assertEquals(answers(waiting, "AUTH PLAIN"), ["334"]);
  assertEquals(waiting.rejectLine("long").reply.code, 500);
  assertEquals(answers(waiting, "NOOP"), ["250 2.0.0"], "a line that is too long ends the exchange (RFC 4954 §4)");
  const open = new Session({ ...settings, credentials }, false);
  assertEquals(answers(open, "AUTH PLAIN", "EHLO x", "AUTH PLAIN"), ["503 5.5.1", "250", "538 5.7.11"]);
  const { reply } = open.command(bytes("AUTH CRAM-MD5"));
  const challenge = text(Uint8Array.fromBase64(reply.lines[0] ?? ""));
  assertEquals(answers(open, b64(cramMd5Response(credentials, challenge))), ["235 2.7.0"]);
});

/** Decodes a content in pieces of `size` bytes. */
function decode(wire: string, size: number) {
  const decoder = new DataDecoder();
  const all = bytes(wire);
  const parts: number[] = [];
  let at = 0;
  while (at < all.length && !decoder.done) {
    at += decoder.push(all.subarray(at, at + size), (part) => parts.push(...part));
  }
  assertEquals(decoder.size, parts.length);
  return { got: text(Uint8Array.from(parts)), rest: text(all.subarray(at)), done: decoder.done, fault: decoder.fault };
}

Deno.test("contents: dots, line ends and the end of the mail, cut at every byte", () => {
  for (
    const [wire, got, rest, fault] of [
      ["Hello.\r\n.\r\nQUIT", "Hello.\r\n", "QUIT", undefined],
      [".\r\n", "", "", undefined],
      ["..\r\n...\r\n..a\r\n.\r\n", ".\r\n..\r\n.a\r\n", "", undefined],
      [".a\r\n.\r\n", "a\r\n", "", undefined],
      ["a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", "", "bare"],
      ["a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", "", "bare"],
      ["a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", "", "bare"],
      ["a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", "", "bare"],
      ["a\r.\r\r\n.\r\n", "a\r.\r\r\n", "", "bare"],
      ["a\r\r\n.\r\n", "a\r\r\n", "", "bare"],
      [`${"x".repeat(998)}\r\n.\r\n`, `${"x".repeat(998)}\r\n`, "", undefined],
      [`${"x".repeat(999)}\r\n.\r\n`, `${"x".repeat(999)}\r\n`, "", "long"],
    ] as const
  ) {
    for (const size of [1, 2, 3, 5, 7, 5000]) {
      assertEquals(decode(wire, size), { got, rest, done: true, fault }, JSON.stringify([wire.slice(0, 20), size]));
    }
  }
  assertEquals(decode("a\r\n.\r", 3).done, false);
});

Deno.test("contents: 8 MiB of bare CRs are decoded in one pass, and refused", () => {
  const block = bytes("\rA".repeat(32_768));
  const decoder = new DataDecoder();
  for (let sent = 0; sent < 8 << 20; sent += block.length) assertEquals(decoder.push(block, () => {}), block.length);
  assertEquals([decoder.size, decoder.fault, decoder.done], [8 << 20, "bare", false]);
  assertEquals(decoder.push(bytes("\r\n.\r\nQUIT"), () => {}), 5);
  assertEquals([decoder.size, decoder.fault, decoder.done], [(8 << 20) + 2, "bare", true]);
});

Deno.test("contents: decoding what was encoded returns it unchanged", () => {
  let seed = 5;
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  for (let i = 0; i < 2000; i++) {
    const lines = Array.from(
      { length: random(6) },
      () => Array.from({ length: random(8) }, () => "..ab\u00fc"[random(5)]).join(""),
    );
    const content = lines.map((line) => `${line}\r\n`).join("");
    const { got, done, fault } = decode(text(encodeData(bytes(content))), 1 + random(9));
    assertEquals([got, done, fault], [content, true, undefined]);
  }
  assertEquals(
    text(encodeData(bytes("a\nb\rc\r\nd"))),
    "a\r\nb\r\nc\r\nd\r\n.\r\n",
    "every kind of line end becomes CR LF",
  );
});

Deno.test("replies: one line, several, in pieces, and malformed ones", () => {
  const wire = "250-foo.com greets bar.com\r\n250-8BITMIME\r\n250 HELP\r\n550 5.1.1 nobody\r\n354\r\n";
  for (let size = 1; size < wire.length; size++) {
    const parser = new ReplyParser();
    const replies = [];
    for (let at = 0; at < wire.length; at += size) replies.push(...parser.push(bytes(wire.slice(at, at + size))));
    assertEquals(replies, [
      { code: 250, enhanced: "", lines: ["foo.com greets bar.com", "8BITMIME", "HELP"] },
      { code: 550, enhanced: "5.1.1", lines: ["nobody"] },
      { code: 354, enhanced: "", lines: [""] },
    ]);
    assertEquals(parser.pending, false);
  }
  for (
    const wrong of [
      "hello\r\n",
      "25 x\r\n",
      "999 x\r\n",
      "250-a\r\n251 b\r\n",
      "250x\r\n",
      `250 ${"x".repeat(5000)}`,
      "250-a\r\n".repeat(300),
    ]
  ) {
    assertThrows(() => new ReplyParser().push(bytes(wrong)), ReplyError);
  }
  assertEquals(
    text(
      encodeReplies({ code: 250, enhanced: "2.1.0", lines: ["a\r\n250 b", "c"] }, {
        code: 354,
        enhanced: "",
        lines: ["d"],
      }),
    ),
    "250-2.1.0 a??250 b\r\n250 2.1.0 c\r\n354 d\r\n",
  );
  for (const long of ["x".repeat(2000), "\u00fc".repeat(1000), "a" + "\u{1f44b}".repeat(500)]) {
    const line = encodeReplies({ code: 250, enhanced: "2.1.0", lines: [long] });
    assert(line.length <= 512 && line.length > 480, `${line.length} octets (RFC 5321 §4.5.3.1.5)`);
    assertMatch(new TextDecoder("utf-8", { fatal: true }).decode(line), /^250 2\.1\.0 [^\ufffd]+\.\.\.\r\n$/);
  }
  assertEquals(text(encodeReplies({ code: 250, enhanced: "", lines: ["a\x9b\u202e\u2028b"] })), "250 a???b\r\n");
});

Deno.test("addresses: RFC 5321 §4.1.2, and malformed ones", () => {
  for (
    const mailbox of [
      "a@b",
      "a.b+c@d.example",
      '"a b"@c',
      '"a\\"b"@c',
      "a@[127.0.0.1]",
      "a@[IPv6:::1]",
      "ü@exämple",
      `${"x".repeat(64)}@b`,
    ]
  ) {
    assert(isMailbox(mailbox), mailbox);
  }
  for (
    const wrong of [
      "",
      "a",
      "@b",
      "a@",
      "a b@c",
      "a..b@c",
      ".a@b",
      "a.@b",
      "a@b c",
      "a@-b",
      "a@b-",
      "a@b..c",
      "a@b@c",
      "a\r\n@b",
      "a@b\0",
      "<a@b>",
      `${"x".repeat(65)}@b`,
      "a@b\u2028",
      "\u202ea@b",
    ]
  ) assert(!isMailbox(wrong), JSON.stringify(wrong));
  assertEquals(parsePath('<"a>b"@c> SIZE=1')?.mailbox, '"a>b"@c');
  assertEquals(parsePath("<a@b>   SIZE=1  BODY=7BIT ")?.parameters, new Map([["SIZE", "1"], ["BODY", "7BIT"]]));
  for (const wrong of ["", "<", "<a@b", "<a@b>x", "<<a@b>>", '<"a@b>', "<a@b> =", "<a@b> A A"]) {
    assertEquals(parsePath(wrong), undefined, wrong);
  }
  // Each takes a moment if the work grows with the length, and for ever if it grows with the length's third power.
  for (const part of [" ", '"', '""', '"\\', "<", ">", 'a"', "a.", "@a,", "A=1 ", "-", "a-"]) {
    for (const [head, tail] of [["<a@b> ", "\u2028"], ["<", ">"], ["<", "\u2028"], ["<a@", ">"]]) {
      parsePath(head + part.repeat(20_000 / part.length) + tail);
      parsePath(head + part.repeat(20_000 / part.length) + tail, true);
    }
  }
});

/** A client's side of a dialogue, written by hand: it can stop, be silent or break the rules at any point. */
class HandClient {
  readonly #buffer = new Uint8Array(65_536);

  constructor(readonly conn: Deno.TcpConn | Deno.TlsConn) {}

  /** Connects and reads the greeting. */
  static async connect(port: number): Promise<HandClient> {
    const client = new HandClient(await Deno.connect({ hostname: "127.0.0.1", port }));
    assertMatch(await client.read(), /^220 /);
    return client;
  }

  /** Connects and goes as far as the reply 220 to STARTTLS. Returns the connection, on which the handshake comes next. */
  static async untilStartTls(port: number): Promise<Deno.TcpConn> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const client = new HandClient(conn);
    assertMatch(await client.read(), /^220 /);
    assertMatch(await client.ask("EHLO x"), /STARTTLS/);
    assertMatch(await client.ask("STARTTLS"), /^220 /);
    return conn;
  }

  static async startTls(port: number, caCerts: string[]): Promise<HandClient> {
    const conn = await HandClient.untilStartTls(port);
    return new HandClient(await Deno.startTls(conn, { hostname: "localhost", caCerts }));
  }

  /** What one read returns; "" at the end of the stream. */
  async read(): Promise<string> {
    return text(this.#buffer.subarray(0, await this.conn.read(this.#buffer) ?? 0));
  }

  /** Everything up to the end of the stream. */
  async rest(): Promise<string> {
    let all = "";
    for (let part = await this.read(); part !== ""; part = await this.read()) all += part;
    return all;
  }

  async write(data: string | Uint8Array): Promise<void> {
    const all = typeof data === "string" ? bytes(data) : data;
    for (let at = 0; at < all.length;) at += await this.conn.write(all.subarray(at));
  }

  async ask(line: string): Promise<string> {
    await this.write(`${line}\r\n`);
    return await this.read();
  }

  /** Sends the commands before a content. */
  async untilData(): Promise<void> {
    for (const line of ["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>"]) assertMatch(await this.ask(line), /^250/);
    assertMatch(await this.ask("DATA"), /^354 /);
  }

  [Symbol.dispose](): void {
    this.conn.close();
  }
}

/** Starts the server with options and the permission to use a folder. */
async function start(folder: string, ...args: string[]): Promise<{ program: Program; port: number }> {
  const flags = ["-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, "smtp/server.ts", ...args];
  return await listening((port) => ["deno", "run", ...flags, "--port", `${port}`]);
}

/** Sends a mail with `send.ts`. */
async function send(
  port: number,
  args: string[],
  options: { stdin?: string; env?: Record<string, string> } = {},
): Promise<Program> {
  const flags = ["-N=127.0.0.1,localhost", "-R", "-E=SMTP_PASSWORD"];
  const command = ["deno", "run", ...flags, "smtp/send.ts", "--port", `${port}`, ...args];
  const program = new Program(command, { cwd: root, stdin: options.stdin !== undefined, env: options.env });
  if (options.stdin !== undefined) await program.input(options.stdin);
  await program.end();
  return program;
}

const basic = ["--from", "Ada <ada@example.com>", "--to", "alan@example.com", "--subject", "Hello", "--text", "Hi."];

async function mails(folder: string): Promise<string[]> {
  const names = [...Deno.readDirSync(`${folder}/new`)].map(({ name }) => name).sort();
  return await Promise.all(names.map((name) => Deno.readTextFile(`${folder}/new/${name}`)));
}

optionsTest("smtp/server.ts", {
  "host": "127.0.0.1",
  "port": "2525, 0 to 65535",
  "timeout": "300",
  "inbox": "0, 0 to 65535",
  "tls-port": "0, 0 to 65535",
  "delay": "0",
  "size": "52428800, 1 to 1099511627776",
  "max-line": "998, 1 to 1099511627776",
  "max-recipients": "100, 1 to 100000",
  "max-errors": "20, 1 to 1000000",
  "max-clients": "1000, 1 to 1000000",
});
optionsTest("smtp/send.ts", {
  "host": "127.0.0.1",
  "port": "2525, 1 to 65535",
  "wait": "0",
  "timeout": "30",
  "tls": "opportunistic",
  "helo": "localhost",
});
optionsTest("smtp/inbox.ts", {
  "host": "127.0.0.1",
  "port": "8025, 0 to 65535",
  "timeout": "300",
  "maildir": "mail",
  "max-clients": "1000, 1 to 1000000",
});

suiteTest(
  "smtp:server",
  "smtp/server.ts --trace",
  ({ mailbox = "" }) => start(mailbox, "--maildir", mailbox, "--trace"),
);
const folderOfSuite = await Deno.makeTempDir();
const certificateOfSuite = await certificate(folderOfSuite);
suiteTest("smtp:server", "smtp/server.ts with TLS", ({ mailbox = "" }) => {
  const { cert, key } = certificateOfSuite;
  const folders = `${folderOfSuite},${mailbox}`;
  return start(folders, "--maildir", mailbox, "--cert", cert, "--key", key);
});
globalThis.addEventListener("unload", () => Deno.removeSync(folderOfSuite, { recursive: true }));

Deno.test("a mail: stored with its trace fields, printed with its subject; bcc in the envelope only", async () => {
  const folder = await Deno.makeTempDir();
  const { program, port } = await start(folder, "--maildir", folder, "--show");
  await using _ = program;
  const sent = await send(port, [
    ...["--from", "Ada <ada@example.com>", "--to", "alan@example.com", "--cc", "Grace <grace@example.com>"],
    ...["--bcc", "hidden@example.com", "--subject", "Grüße, 世界"],
  ], { stdin: ".leading dot\n..two\n\nlast line without end" });
  assertEquals(sent.status?.code, 0, sent.stderr);
  assertMatch(
    sent.stdout,
    /C: MAIL FROM:<ada@example\.com> SIZE=\d+\nC: RCPT TO:<alan@example\.com>\nC: RCPT TO:<grace@example\.com>\nC: RCPT TO:<hidden@example\.com>\n/,
  );
  const [raw = ""] = await mails(folder);
  assertMatch(
    raw,
    /^Return-Path: <ada@example\.com>\r\nDelivered-To: alan@example\.com\r\n[^]*\r\nReceived: from localhost \(\[127\.0\.0\.1\]\)\r\n\tby localhost with ESMTP;\r\n/,
  );
  const mail = await PostalMime.parse(raw);
  assertEquals([mail.subject, mail.to?.[0]?.address, mail.cc?.[0]?.name], ["Grüße, 世界", "alan@example.com", "Grace"]);
  assertEquals(mail.text?.replaceAll("\r\n", "\n").trimEnd(), ".leading dot\n..two\n\nlast line without end");
  assert(!raw.slice(raw.indexOf("From:")).includes("hidden"), "the header does not show a blind copy");
  await program.line(
    /^mail from <ada@example\.com> to <alan@example\.com> <grace@example\.com> <hidden@example\.com>, \d+ bytes: Grüße, 世界$/,
  );
  assertEquals([...Deno.readDirSync(`${folder}/tmp`)].length, 0);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("round trip: any text and any attachment arrive byte for byte", async () => {
  const folder = await Deno.makeTempDir();
  const { program, port } = await start(folder, "--maildir", `${folder}/mail`, "--quiet");
  await using _ = program;
  let seed = 11;
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  const alphabet = [
    ".",
    "..",
    "\n",
    "\n.",
    "\n.\n",
    "a",
    "From ",
    "=",
    "ü",
    "世",
    "👋",
    "\t",
    " ",
    "x".repeat(1200),
    "\u00a0",
    "~",
  ];
  for (let i = 0; i < 8; i++) {
    const body = Array.from({ length: 60 }, () => alphabet[random(alphabet.length)]).join("") + "end";
    const data = new Uint8Array(3000).map(() => random(256));
    await Deno.writeFile(`${folder}/päck ${i}.bin`, data);
    const args = [
      "--from",
      "a@example.com",
      "--to",
      "b@example.com",
      "--subject",
      body.replace(/\p{Cc}/gu, " ").slice(0, 200),
    ];
    const sent = await send(port, [...args, "--attach", `${folder}/päck ${i}.bin`], { stdin: body });
    assertEquals(sent.status?.code, 0, sent.stderr);
    const raw = (await mails(`${folder}/mail`)).at(-1) ?? "";
    assert(raw.split("\r\n").every((line) => bytes(line).length <= 998 && !/[\r\n]/.test(line)));
    const mail = await PostalMime.parse(raw);
    assertEquals(mail.text?.replaceAll("\r\n", "\n").replace(/\n$/, ""), body);
    assertEquals(mail.subject?.trim(), args[5]?.trim());
    assertEquals(mail.attachments[0]?.filename, `päck ${i}.bin`);
    const content = mail.attachments[0]?.content;
    assertEquals(content instanceof ArrayBuffer ? new Uint8Array(content) : content, data);
    for (const { name } of Deno.readDirSync(`${folder}/mail/new`)) await Deno.remove(`${folder}/mail/new/${name}`);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("send.ts: wrong input is exit code 2 before anything is sent", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let connections = 0;
  (async () => {
    for await (const conn of listener) {
      connections++;
      conn.close();
    }
  })();
  for (
    const args of [
      ["--to", "b@example.com\r\nRCPT TO:<c@example.com>", "--text", "x"],
      ["--to", "b@example.com", "--from", "a@example.com\nBcc: x@y", "--text", "x"],
      ["--to", "b@example.com", "--subject", "a\r\nBcc: x@example.com", "--text", "x"],
      ["--to", "nobody", "--text", "x"],
      ["--to", "a@b, c@d", "--text", "x"],
      ["--text", "x"],
      ["--to", "b@example.com", "--text", "x", "--attach", "no-such-file"],
      ["--to", "b@example.com", "--text", "x", "--text-file", "README.md"],
      ["--to", "b@example.com", "--text", "x", "--helo", "a b"],
      ["--to", "b@example.com", "--text", "x", "--user", "ada"],
      ["--to", "b@example.com", "--text", "x", "--user", "ada", "--password-env", "NONE_SUCH"],
    ]
  ) {
    const program = await send(listener.addr.port, args, { env: { SMTP_PASSWORD: "" } });
    assert(program.status?.code === 2 || /NONE_SUCH/.test(program.stderr), `${args}: ${program.stderr}`);
    assertEquals(program.stdout, "");
  }
  assertEquals(connections, 0);
  listener.close();
});

Deno.test("send.ts: names each refused recipient, sends the mail to the others, and exits with 1", async () => {
  const folder = await Deno.makeTempDir();
  const { program, port } = await start(folder, "--maildir", folder, "--reject", "nobody", "--defer", "later");
  await using _ = program;
  const some = await send(port, [...basic, "--cc", "nobody@example.com", "--bcc", "later@example.com"]);
  failedWith(
    some,
    1,
    /^send: refused recipients: nobody@example\.com \(permanently: 550 5\.1\.1 .*\); later@example\.com \(temporarily: 450 4\.2\.1 /m,
  );
  assertEquals((await mails(folder)).length, 1);
  const none = await send(port, ["--from", "a@example.com", "--to", "nobody@example.com", "--text", "x"]);
  failedWith(none, 1, /^send: the server accepted no recipient: nobody@example\.com \(permanently: 550 /m);
  assertEquals((await mails(folder)).length, 1);
  const { program: small, port: other } = await start(folder, "--size", "100");
  await using __ = small;
  failedWith(await send(other, basic), 1, /^send: the mail has \d+ bytes, but the server accepts at most 100$/m);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("TLS: STARTTLS, implicit, required, refused; passwords only under TLS, and masked", async () => {
  const folder = await Deno.makeTempDir();
  const { cert, key } = await certificate(folder);
  await Deno.writeTextFile(`${folder}/password`, "s3cr3t\n");
  const auth = ["--user", "ada", "--password-file", `${folder}/password`];
  const tlsPort = freePort();
  const { program, port } = await start(folder, "--cert", cert, "--key", key, "--tls-port", `${tlsPort}`, ...auth);
  await using _ = program;
  await program.line(new RegExp(`TLS from the first byte listening on 127\\.0\\.0\\.1:${tlsPort}`));
  const args = ["--host", "localhost", "--ca", cert, ...basic];
  for (const [mode, at] of [["opportunistic", port], ["required", port], ["implicit", tlsPort]] as const) {
    const sent = await send(at, [...args, "--tls", mode, ...auth]);
    assertEquals(sent.status?.code, 0, sent.stderr);
    assert(!/s3cr3t|AHMzY3IzdA|czNjcjN0/.test(sent.stdout + sent.stderr), "the password is masked");
    assertStringIncludes(sent.stdout, "C: AUTH PLAIN ********");
    if (mode !== "implicit") assertEquals(sent.stdout.split("C: EHLO").length, 3, "EHLO again after STARTTLS");
  }
  const environment = await send(port, [...args, "--user", "ada", "--password-env", "SMTP_PASSWORD"], {
    env: { SMTP_PASSWORD: "s3cr3t" },
  });
  assertEquals(environment.status?.code, 0, environment.stderr);
  const wrong = await send(port, [...args, "--user", "ada", "--password-env", "SMTP_PASSWORD"], {
    env: { SMTP_PASSWORD: "wrong" },
  });
  failedWith(wrong, 1, /^send: the password was refused permanently: 535 5\.7\.8 /m);
  // Without TLS the client proves that it knows the password, and does not send it.
  const cram = await send(port, [...args, "--tls", "off", ...auth]);
  assertEquals(cram.status?.code, 0, cram.stderr);
  assertStringIncludes(cram.stdout, "C: AUTH CRAM-MD5");
  failedWith(
    await send(port, [...basic, "--host", "localhost"]),
    1,
    /^send: no TLS with localhost:\d+: no known authority has signed its certificate/m,
  );
  await Deno.remove(folder, { recursive: true });
});

/** A server that sends fixed replies, one after each read, and records what the client sends. */
function canned(...says: string[]): { port: number; said: () => string; [Symbol.dispose](): void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let said = "";
  (async () => {
    for await (const conn of listener) {
      const buffer = new Uint8Array(4096);
      for (const line of says) {
        await conn.write(bytes(line));
        const n = await conn.read(buffer);
        if (n === null) break;
        said += text(buffer.subarray(0, n));
      }
      conn.close();
    }
  })().catch(() => {}); // closed by the test
  return { port: listener.addr.port, said: () => said, [Symbol.dispose]: () => listener.close() };
}

Deno.test("send.ts: no password without TLS, no trust in replies from before TLS, and what --tls required means", async () => {
  const auth = ["--user", "ada", "--password-env", "SMTP_PASSWORD"];
  const env = { SMTP_PASSWORD: "s3cr3t" };
  {
    using server = canned("220 x\r\n", "250-x\r\n250 AUTH PLAIN LOGIN\r\n");
    failedWith(
      await send(server.port, [...basic, ...auth], { env }),
      1,
      /^send: the password was not sent, because there is no TLS/m,
    );
    assert(!server.said().includes("AUTH"));
  }
  {
    using server = canned("220 x\r\n", "250-x\r\n250 AUTH PLAIN\r\n", "235 ok\r\n", "421 enough\r\n");
    const program = await send(server.port, [...basic, ...auth, "--insecure-auth"], { env });
    assertStringIncludes(server.said(), `AUTH PLAIN ${bytes("\0ada\0s3cr3t").toBase64()}`);
    assert(!program.stdout.includes(bytes("\0ada\0s3cr3t").toBase64()));
    failedWith(program, 1, /ended the dialogue temporarily: 421 enough$/m);
  }
  {
    using server = canned("220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n");
    failedWith(
      await send(server.port, [...basic, ...auth], { env }),
      1,
      /sent more than the 220 reply before TLS; an attacker may have added it, so the client closed$/m,
    );
  }
  {
    using server = canned("220 x\r\n", "250-x\r\n250 SIZE\r\n");
    failedWith(
      await send(server.port, [...basic, "--tls", "required"]),
      1,
      /offers no STARTTLS, and --tls is required$/m,
    );
  }
  {
    using server = canned(
      "220 x\r\n",
      "250-x\r\n250 STARTTLS\r\n",
      "220 go\r\n",
      "this is not a TLS message\r\n",
    );
    failedWith(await send(server.port, basic), 1, /^send: no TLS with 127\.0\.0\.1:\d+: /m);
  }
  {
    // Closes instead of a handshake.
    using server = canned("220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n");
    failedWith(await send(server.port, basic), 1, /^send: 127\.0\.0\.1:\d+ .* in the middle of the exchange$/m);
  }
  {
    using server = canned("220 \u001b[2J\r\n", "500 \u0007\r\n", "500 \u009b31m no\r\n");
    const program = await send(server.port, basic);
    // deno-lint-ignore no-control-regex -- the test looks for control characters
    assert(!/[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(program.stdout + program.stderr), JSON.stringify(program.stdout));
  }
});

Deno.test("send.ts: --timeout limits a whole reply, which may come byte by byte; 0 is no limit", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const conn of listener) {
      for (const byte of "220 a slow server\r\n") {
        await conn.write(bytes(byte)).catch(() => {}); // the client has given up
        await new Promise((go) => setTimeout(go, 100));
      }
      conn.close();
    }
  })().catch(() => {}); // closed below
  const slow = await send(listener.addr.port, [...basic, "--timeout", "0.5"]);
  failedWith(slow, 1, /^send: 127\.0\.0\.1:\d+ did not answer connecting in 0\.5 s$/m);
  const patient = await send(listener.addr.port, [...basic, "--timeout", "0"]);
  failedWith(patient, 1, /^send: 127\.0\.0\.1:\d+ /m);
  assertMatch(patient.stdout, /^S: 220 a slow server\nC: EHLO localhost\n/);
  listener.close();
});

Deno.test("send.ts: a code's first digit decides: an unknown 2yz is success, and DATA needs a 3yz", async () => {
  const replies = ["220 x\r\n", "250 x\r\n", "251 ok\r\n", "259 ok\r\n", "399 go\r\n", "252 taken\r\n", "221 bye\r\n"];
  {
    using server = canned(...replies);
    const sent = await send(server.port, basic);
    assertEquals([sent.status?.code, sent.stderr], [0, ""]);
  }
  for (
    const [step, reply, says] of [
      [2, "350 x\r\n", /^send: the sender was refused with an unexpected reply: 350 x$/m],
      [4, "250 x\r\n", /^send: DATA was refused with an unexpected reply: 250 x$/m],
      [5, "354 x\r\n", /^send: the mail was refused with an unexpected reply: 354 x$/m],
      [5, "499 x\r\n", /^send: the mail was refused temporarily: 499 x$/m],
      [5, "599 x\r\n", /^send: the mail was refused permanently: 599 x$/m],
    ] as const
  ) {
    using server = canned(...replies.with(step, reply));
    failedWith(await send(server.port, basic), 1, says);
    assert(server.said().endsWith("QUIT\r\n"));
  }
});

Deno.test("send.ts: a challenge that is not base64 is not answered", async () => {
  const auth = ["--user", "ada", "--password-env", "SMTP_PASSWORD"];
  for (const challenge of ["no base64!", ""]) {
    const hello = "250-x\r\n250 AUTH CRAM-MD5\r\n";
    using server = canned("220 x\r\n", hello, `334 ${challenge}\r\n`, "501 cancelled\r\n", "221 bye\r\n");
    const program = await send(server.port, [...basic, ...auth], { env: { SMTP_PASSWORD: "s3cr3t" } });
    failedWith(program, 1, /^send: the server sent a challenge that is not base64: login cancelled$/m);
    assertMatch(server.said(), /AUTH CRAM-MD5\r\n\*\r\nQUIT\r\n$/);
  }
});

Deno.test("send.ts: a TLS handshake has its time, too", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const program = await send(listener.addr.port, [...basic, "--tls", "implicit", "--timeout", "0.5"]);
  failedWith(program, 1, /^send: 127\.0\.0\.1:\d+ did not finish the TLS handshake in 0\.5 s$/m);
  (await accepted).close();
  listener.close();
});

testWith(
  Deno.build.os !== "windows",
  "names with a backslash",
  "send.ts: a file's name may contain a backslash",
  async () => {
    const folder = await Deno.makeTempDir();
    const { program, port } = await start(folder, "--maildir", `${folder}/mail`);
    await using _ = program;
    await Deno.writeTextFile(`${folder}/back\\slash.txt`, "x");
    const sent = await send(port, [...basic, "--attach", `${folder}/back\\slash.txt`]);
    assertEquals([sent.status?.code, sent.stderr], [0, ""]);
    const [raw = ""] = await mails(`${folder}/mail`);
    assertEquals((await PostalMime.parse(raw)).attachments[0]?.filename, "back\\slash.txt");
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(linux, "kill -9", "smtp/server.ts: a mail that was acknowledged survives kill -9", async () => {
  const folder = await Deno.makeTempDir();
  let acknowledged = 0;
  for (let round = 0; round < 2; round++) {
    const { program, port } = await start(folder, "--maildir", folder, "--quiet");
    const clients = Array.from({ length: 6 }, async () => {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      const buffer = new Uint8Array(4096);
      const ask = async (line: string) => {
        await conn.write(bytes(line));
        const n = await conn.read(buffer);
        if (n === null) throw new Deno.errors.ConnectionReset();
        return text(buffer.subarray(0, n));
      };
      try {
        await conn.read(buffer);
        await ask("EHLO x\r\n");
        while (true) {
          await ask("MAIL FROM:<a@b>\r\n");
          await ask("RCPT TO:<c@d>\r\n");
          await ask("DATA\r\n");
          if ((await ask(`Subject: x\r\n\r\n${"y".repeat(900)}\r\n.\r\n`)).startsWith("250")) acknowledged++;
        }
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)) throw error;
      }
    });
    await until(() => acknowledged > (round + 1) * 60, "some mails");
    program.signal("SIGKILL");
    await Promise.all(clients);
    await program.ended;
  }
  const kept = await mails(folder);
  assert(kept.length >= acknowledged, `${kept.length} of ${acknowledged}`);
  assert(kept.every((mail) => mail.endsWith(`${"y".repeat(900)}\r\n`)), "each is complete");
  await Deno.remove(folder, { recursive: true });
});

testWith(
  await has("strace", "-f", "true"),
  "strace, or the right to use it",
  "smtp/server.ts: flushes the mail, moves it, and flushes the folder before it answers",
  async () => {
    const folder = await Deno.makeTempDir();
    const { program, port } = await listening((port) => {
      const calls = ["strace", "-f", "-o", `${folder}/calls`, "-e", "trace=fdatasync,fsync,rename,renameat,renameat2"];
      const flags = ["-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, "smtp/server.ts", "--maildir", `${folder}/mail`];
      return [...calls, Deno.execPath(), "run", ...flags, "--port", `${port}`];
    });
    await using _ = program;
    using client = await HandClient.connect(port);
    await client.untilData();
    await client.write("Subject: x\r\n\r\n.\r\n");
    assertMatch(await client.read(), /^250 /);
    const calls = (await Deno.readTextFile(`${folder}/calls`)).match(/(?<=^\d+ +)(fdatasync|rename|fsync)/gm);
    assertEquals(calls, ["fdatasync", "rename", "fsync"]);
    await program.stop();
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(
  linux,
  "/proc of Linux",
  "smtp/server.ts: 50 MiB at flat memory, 552 for more than --size, and nothing left in tmp",
  async () => {
    const folder = await Deno.makeTempDir();
    const { program, port } = await start(folder, "--maildir", folder, "--quiet");
    await using _ = program;
    const before = await memory(program.pid);
    const dialogue = async (size: number) => {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      const buffer = new Uint8Array(4096);
      const read = async () => text(buffer.subarray(0, await conn.read(buffer) ?? 0));
      const write = async (data: Uint8Array) => {
        for (let at = 0; at < data.length;) at += await conn.write(data.subarray(at));
      };
      await read();
      for (const line of ["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA"]) {
        await write(bytes(`${line}\r\n`));
        await read();
      }
      const line = bytes(`${"z".repeat(70)}\r\n`);
      const block = new Uint8Array(line.length * 1000);
      for (let i = 0; i < 1000; i++) block.set(line, i * line.length);
      for (let sent = 0; sent < size; sent += block.length) await write(block);
      await write(bytes(".\r\n"));
      return await read();
    };
    assertMatch(await dialogue(49 << 20), /^250 /);
    const grown = await memory(program.pid) - before;
    assert(grown < 60, `${grown} MiB more`);
    assertMatch(await dialogue(52 << 20), /^552 5\.3\.4 /);
    assertEquals([...Deno.readDirSync(`${folder}/tmp`)].length, 0);
    assertEquals([...Deno.readDirSync(`${folder}/new`)].length, 1);
    await Deno.remove(folder, { recursive: true });
  },
);

const mounts = linux && await has("unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt");
testWith(
  mounts,
  "right to mount",
  "smtp/server.ts: on a full disk a mail is refused temporarily, not lost",
  async () => {
    const folder = await Deno.makeTempDir();
    const port = freePort();
    const flags = `-N=127.0.0.1 -R=${folder} -W=${folder}`;
    const start = `mount -t tmpfs -o size=64k none ${folder} && exec ${Deno.execPath()} run ${flags} smtp/server.ts ` +
      `--port ${port} --maildir ${folder}`;
    await using program = new Program(["unshare", "-m", "sh", "-c", start], { cwd: root });
    await program.line(/listening on /i);
    const sent = await send(port, ["--from", "a@b", "--to", "c@d"], { stdin: "x".repeat(100_000) });
    failedWith(sent, 1, /^send: the mail was refused temporarily: 452 4\.3\.1 /m);
    // Larger than the buffer: the disk is full in the middle of the mail, and the reply comes at its end.
    const large = await send(port, ["--from", "a@b", "--to", "c@d"], { stdin: "x".repeat(3_000_000) });
    failedWith(large, 1, /^send: the mail was refused temporarily: 452 4\.3\.1 /m);
    const small = await send(port, basic);
    assertEquals(small.status?.code, 0, small.stderr);
  },
);

testWith(linux, "/proc of Linux", "smtp/server.ts: silence, slowness and garbage leave nothing behind", async () => {
  const { program, port } = await serve("smtp/server.ts", "--timeout", "1", "--quiet");
  await using _ = program;
  (await HandClient.connect(port)).conn.close(); // what the server opens for itself is open now
  const before = await descriptors(program.pid);
  const silent = await Promise.all(Array.from({ length: 200 }, () => Deno.connect({ hostname: "127.0.0.1", port })));
  assertEquals((await send(port, basic)).status?.code, 0);
  const random = seeded(3);
  const start = "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\nQUIT\r\n";
  for (let i = 0; i < 1000; i += 50) {
    await Promise.all(Array.from({ length: 50 }, async () => {
      const data = bytes(start);
      for (let n = below(random, 6); n >= 0; n--) data[below(random, data.length)] = below(random, 256);
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      try {
        await conn.write(data);
        await conn.closeWrite();
        while (await conn.read(new Uint8Array(4096)) !== null);
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)) throw error;
      }
    }));
  }
  const buffer = new Uint8Array(1000);
  for (const conn of silent.slice(0, 5)) {
    let said = "";
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) said += text(buffer.subarray(0, n));
    assertMatch(said, /^220 [^]*421 4\.4\.2 you were silent for too long\r\n$/);
  }
  for (const conn of silent) conn.close();
  await until(async () => await descriptors(program.pid) <= before + 5, "the descriptors back");
  assertEquals(program.stderr, "");
});

Deno.test("smtp/server.ts: a mail that drips is too slow, one of many blocks that each take a while is not", async () => {
  const { program, port } = await serve("smtp/server.ts", "--timeout", "1", "--quiet");
  await using _ = program;
  using dripping = await HandClient.connect(port);
  await dripping.untilData();
  const dismissed = dripping.rest();
  let closed = false;
  dismissed.finally(() => closed = true).catch(() => {});
  for (let i = 0; i < 200 && !closed; i++) { // at a byte each tenth of a second it would be there for 20 s
    await dripping.write("x").catch(() => closed = true);
    await new Promise((next) => setTimeout(next, 100));
  }
  assert(closed, "after 20 s it is still there");
  assertMatch(await dismissed, /^421 4\.4\.2 you were silent for too long\r\n$/);
  using steady = await HandClient.connect(port);
  await steady.untilData();
  for (let i = 0; i < 4; i++) { // more time than --timeout in all
    await steady.write(`${"y".repeat(70)}\r\n`.repeat(300));
    await new Promise((next) => setTimeout(next, 500));
  }
  assertMatch(await steady.ask("."), /^250 /);
});

testWith(linux, "/proc of Linux", "TLS: failed handshakes leave nothing behind", async () => {
  const folder = await Deno.makeTempDir();
  const { cert, key } = await certificate(folder);
  const caCerts = [await Deno.readTextFile(cert)];
  const tlsPort = freePort();
  const args = ["--cert", cert, "--key", key, "--tls-port", `${tlsPort}`, "--timeout", "2", "--quiet"];
  const { program, port } = await start(folder, ...args);
  await using _ = program;
  const greeted = async () => {
    using client = await HandClient.startTls(port, caCerts);
    assertMatch(await client.ask("EHLO x"), /^250-/);
  };
  await greeted();
  const before = await descriptors(program.pid);
  // Silent in the middle of the handshake: the idle timer closes these.
  const silent = await Promise.all(Array.from({ length: 20 }, () => HandClient.untilStartTls(port)));
  const silentAtOnce = await Deno.connect({ hostname: "127.0.0.1", port: tlsPort });
  await silentAtOnce.write(Uint8Array.of(22, 3, 1)); // the first bytes of a handshake
  /** Runs `count` clients, twenty at a time. */
  const many = async (count: number, client: () => Promise<void>) => {
    for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: 20 }, client));
  };
  await many(200, async () => {
    using client = new HandClient(await HandClient.untilStartTls(port));
    await client.write("this is not a handshake\r\n");
    // TLS says what is wrong (an alert), and the connection ends; no plain reply is among it.
    assert(!/^\d\d\d /m.test(await client.rest().catch(() => "")));
  });
  await many(200, async () => (await HandClient.untilStartTls(port)).close());
  let rejected = 0;
  await many(100, async () => {
    const conn = await HandClient.untilStartTls(port);
    try {
      using tls = await Deno.startTls(conn, { hostname: "localhost" }); // does not know the certificate
      await tls.handshake();
    } catch (error) {
      if (!(error instanceof Deno.errors.InvalidData)) throw error;
      rejected++;
    }
  });
  assertEquals(rejected, 100);
  await greeted();
  for (const conn of [...silent, silentAtOnce]) {
    assertEquals(await new HandClient(conn).rest().catch(() => ""), "", "nothing in plain text after STARTTLS");
    conn.close();
  }
  await until(async () => await descriptors(program.pid) <= before, "as few descriptors as before");
  await greeted();
  assertEquals(program.stderr, "");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("TLS: 100 connections, 20 at a time, and each hands over its mail", async () => {
  const folder = await Deno.makeTempDir();
  const { cert, key } = await certificate(folder);
  const caCerts = [await Deno.readTextFile(cert)];
  const tlsPort = freePort();
  const { program, port } = await start(folder, "--cert", cert, "--key", key, "--tls-port", `${tlsPort}`, "--quiet");
  await using _ = program;
  let next = 0;
  let done = 0;
  await Promise.all(Array.from({ length: 20 }, async () => {
    while (next < 100) {
      const implicit = next++ % 2 === 0;
      using client = implicit
        ? new HandClient(await Deno.connectTls({ hostname: "localhost", port: tlsPort, caCerts }))
        : await HandClient.startTls(port, caCerts);
      if (implicit) assertMatch(await client.read(), /^220 /);
      await client.untilData();
      await client.write(`Subject: x\r\n\r\n${"y".repeat(3000)}`.replace(/(y{70})/g, "$1\r\n") + "\r\n.\r\n");
      assertMatch(await client.read(), /^250 /);
      assertMatch(await client.ask("QUIT"), /^221 /);
      assertEquals(await client.read(), "", "the end of the stream, said by TLS");
      done++;
    }
  }));
  assertEquals([done, program.stderr], [100, ""]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("TLS: a dismissed client reads why under TLS, inside DATA too, and at Ctrl-C", async () => {
  const folder = await Deno.makeTempDir();
  const { cert, key } = await certificate(folder);
  const caCerts = [await Deno.readTextFile(cert)];
  const { program, port } = await start(folder, "--cert", cert, "--key", key, "--timeout", "1", "--quiet");
  await using _ = program;
  for (const inside of [true, false]) {
    using client = await HandClient.startTls(port, caCerts);
    if (inside) await client.untilData();
    if (inside) await client.write("Subject: x\r\n\r\nhalf a li");
    // A plain byte in the TLS stream would be an error of TLS here.
    assertMatch(await client.rest(), /^421 4\.4\.2 you were silent for too long\r\n$/);
  }
  const { program: stopping, port: other } = await start(folder, "--cert", cert, "--key", key, "--quiet");
  await using __ = stopping;
  using waiting = await HandClient.startTls(other, caCerts);
  assertMatch(await waiting.ask("EHLO x"), /^250-/);
  using sending = await HandClient.startTls(other, caCerts);
  await sending.untilData();
  using beginning = new HandClient(await HandClient.untilStartTls(other));
  if (signals) {
    stopping.signal("SIGINT");
    assertMatch(await waiting.rest(), /^421 4\.3\.2 the server is stopping\r\n$/);
    assertEquals(await beginning.rest().catch(() => ""), "");
    await sending.write("Subject: x\r\n\r\ny\r\n.\r\n");
    assertMatch(await sending.read(), /^250 /);
    assertMatch(await sending.ask("QUIT"), /^221 /);
    assertEquals((await stopping.end()).code, 0, stopping.stderr);
  }
  assertEquals(stopping.stderr, "");
  await Deno.remove(folder, { recursive: true });
});

testWith(
  signals,
  noSignals,
  "smtp/server.ts: --once, a connected client, then Ctrl-C: exit code 0 and no stack trace",
  async () => {
    const { program, port } = await serve("smtp/server.ts", "--once");
    await using _ = program;
    using client = await HandClient.connect(port);
    program.signal("SIGINT");
    assertMatch(await client.rest(), /^421 4\.3\.2 /);
    assertEquals([(await program.end()).code, program.stderr], [0, ""]);
  },
);

Deno.test("smtp/server.ts: 8 MiB of bare CRs stop nobody else, and are refused at the end of the mail", async () => {
  const { program, port } = await serve("smtp/server.ts");
  await using _ = program;
  using client = await HandClient.connect(port);
  await client.untilData();
  const block = bytes("\rA".repeat(32_768));
  let sent = 0;
  let greeted = 0;
  const sending = (async () => {
    for (; sent < 8 << 20; sent += block.length) await client.write(block);
  })();
  while (sent < 8 << 20) {
    (await HandClient.connect(port)).conn.close();
    greeted++;
  }
  await sending;
  assert(greeted > 0);
  await client.write("\r\n.\r\n");
  assertMatch(await client.read(), /^550 5\.6\.11 /);
  assertMatch(await client.ask("QUIT"), /^221 /);
  await program.line(/^refused a mail from 127\.0\.0\.1:\d+: a CR or an LF alone$/);
});

Deno.test("smtp/server.ts: a Maildir that it must not use is one line that shows the command, and exit code 1", async () => {
  const args = ["-N=127.0.0.1", "smtp/server.ts", "--port=0", "--maildir", "no-such-folder"];
  const program = new Program(["deno", "run", "--no-prompt", ...args], { cwd: root });
  await program.end();
  const flags = "-R=no-such-folder -W=no-such-folder";
  failedWith(
    program,
    2,
    new RegExp(
      `^server: no permission to use no-such-folder: add ${flags}: deno run ${flags} "?-N=.* smtp/server.ts `,
      "m",
    ),
  );
});

Deno.test("smtp/server.ts: too many errors end the dialogue, after a refused mail too", async () => {
  const { program, port } = await serve("smtp/server.ts", "--max-errors", "1");
  await using _ = program;
  using client = await HandClient.connect(port);
  await client.untilData();
  await client.write("bare\nend\r\n.\r\n");
  assertMatch(await client.rest(), /^421 4\.7\.0 .*: too many errors\r\n$/);
});

testWith(
  await has("python3", "--version"),
  "python3",
  "Python's smtplib: plain, and under TLS with a password",
  async () => {
    const folder = await Deno.makeTempDir();
    const plain = await start(folder, "--maildir", folder, "--quiet");
    await using _ = plain.program;
    const python = async (script: string) => {
      const program = new Program(["python3", "-c", script]);
      assertEquals((await program.end()).code, 0, program.stderr);
    };
    const any = await serve("smtp/server.ts", "--accept-any-password");
    await using ___ = any.program;
    for (const mechanism of ["CRAM-MD5", "PLAIN", "LOGIN"]) {
      await python(
        `import smtplib; s = smtplib.SMTP("127.0.0.1", ${any.port}); s.ehlo(); s.esmtp_features["auth"] = "${mechanism}"
s.login("anyone", "anything"); s.sendmail("a@b", ["c@d"], "Subject: x\\r\\n\\r\\n"); s.quit()`,
      );
    }
    const both = new Program(
      ["deno", "run", "-N=127.0.0.1", "smtp/server.ts", "--accept-any-password", "--user=a", "--password-file=b"],
      { cwd: root },
    );
    await both.end();
    assertEquals([both.status?.code, both.stderr], [2, "server: --user or --accept-any-password, not both\n"]);
    const message = String.raw`"From: a@b\r\nSubject: py\r\n\r\n.dot\r\n" + "x" * 500 + "\r\n"`;
    await python(
      `import smtplib; s = smtplib.SMTP("127.0.0.1", ${plain.port}); assert s.sendmail("a@b", ["c@d"], ${message}) == {}; s.quit()`,
    );
    assertStringIncludes((await mails(folder))[0] ?? "", "\r\n\r\n.dot\r\nxxx");
    const { cert, key } = await certificate(folder);
    await Deno.writeTextFile(`${folder}/password`, "s3cr3t\n");
    const secure = await start(
      folder,
      "--cert",
      cert,
      "--key",
      key,
      "--user",
      "ada",
      "--password-file",
      `${folder}/password`,
    );
    await using __ = secure.program;
    await python(
      `import smtplib, ssl; s = smtplib.SMTP("localhost", ${secure.port}); s.starttls(context=ssl.create_default_context(cafile="${cert}"))
s.login("ada", "s3cr3t"); assert s.sendmail("a@b", ["c@d"], ${message}) == {}; assert s.quit()[0] == 221`,
    );
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(
  await has("swaks", "--version"),
  "swaks",
  "swaks: sends to the server, with a password by CRAM-MD5",
  async () => {
    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(`${folder}/password`, "s3cr3t\n");
    const { program, port } = await start(
      folder,
      "--maildir",
      `${folder}/m`,
      "--user",
      "ada",
      "--password-file",
      `${folder}/password`,
      "--insecure-auth",
    );
    await using _ = program;
    for (const mechanism of ["PLAIN", "LOGIN"]) {
      const swaks = new Program([
        ...[
          "swaks",
          "--server",
          "127.0.0.1",
          "--port",
          `${port}`,
          "--from",
          "a@b.example",
          "--to",
          "c@d.example,e@f.example",
        ],
        ...["--auth", mechanism, "--auth-user", "ada", "--auth-password", "s3cr3t", "--header", "Subject: swaks"],
      ]);
      assertEquals((await swaks.end()).code, 0, swaks.tail(20));
    }
    assertEquals((await mails(`${folder}/m`)).length, 2);
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(await has("curl", "--version"), "curl", "curl: sends a mail, also under implicit TLS", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/mail.txt`, "From: a@b\r\nSubject: curl\r\n\r\n.dot\r\n");
  const tls = await certificate(folder);
  const tlsPort = freePort();
  const more = ["--cert", tls.cert, "--key", tls.key, "--tls-port", `${tlsPort}`];
  const { program, port } = await start(folder, "--maildir", `${folder}/m`, ...more);
  await using _ = program;
  for (const url of [`smtp://127.0.0.1:${port}`, `smtps://localhost:${tlsPort}`]) {
    const envelope = ["--mail-from", "a@b.example", "--mail-rcpt", "c@d.example", "-T", `${folder}/mail.txt`];
    const curl = new Program(["curl", "-sS", url, "--cacert", tls.cert, ...envelope]);
    assertEquals((await curl.end()).code, 0, curl.stderr);
  }
  const kept = await mails(`${folder}/m`);
  assert(
    kept.length === 2 && kept.every((mail) => mail.endsWith("Subject: curl\r\n\r\n.dot\r\n")),
    kept.join(),
  );
  await Deno.remove(folder, { recursive: true });
});

const aiosmtpd = await has("/usr/bin/aiosmtpd", "--version");
testWith(aiosmtpd, "aiosmtpd (python3-aiosmtpd)", "send.ts: aiosmtpd takes its mail", async () => {
  const port = freePort();
  await using server = new Program(["/usr/bin/aiosmtpd", "-n", "-l", `127.0.0.1:${port}`]);
  const sent = await send(port, [...basic, "--wait", "10", "--attach", "http/site/about.txt"]);
  assertEquals(sent.status?.code, 0, sent.stderr);
  await until(() => server.stdout.includes("END MESSAGE"), "the mail");
  assertStringIncludes(server.stdout, "Subject: Hello");
});

Deno.test("malformed certificates and keys: one line, exit code 2", async () => {
  const folder = await Deno.makeTempDir();
  const [{ cert, key }, other] = [await certificate(folder), `${folder}/other`];
  await Deno.mkdir(other);
  const { key: otherKey } = await certificate(other);
  const broken = `${folder}/broken.pem`;
  await Deno.writeTextFile(broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const none = `${folder}/none.pem`;
  await Deno.writeTextFile(none, "none\n");
  const refused = async (line: RegExp, ...args: string[]) => {
    const program = new Program(["deno", "run", "-N=127.0.0.1,localhost", `-R=${folder}`, ...args], { cwd: root });
    await program.end();
    assertMatch(program.stderr, line);
    assertEquals(program.status?.code, 2);
  };
  for (const [cert_, key_] of [[none, key], [broken, key], [cert, none], [cert, otherKey], [cert, cert]] as const) {
    await refused(
      /^server: expected a certificate and its key, both PEM: .*\n$/,
      "smtp/server.ts",
      "--port=0",
      "--cert",
      cert_,
      "--key",
      key_,
    );
  }
  const clients = [["smtp/send.ts", ...basic], ["http/raw_client.ts", "https://localhost/"]];
  for (const client of [...clients, ["http/fetch_client.ts", "https://localhost/"]]) {
    for (const ca of [none, broken]) {
      await refused(/^\w+: \S+: expected a certificate in PEM\n$/, ...client, "--ca", ca);
    }
    const missing = windows ? /^\w+: cannot read \S+: .+\n$/ : /^\w+: cannot read \S+: No such file or directory\n$/;
    await refused(missing, ...client, "--ca", `${folder}/no.pem`);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("smtp/server.ts: a dismissed client receives the reason, even while it is sending", async () => {
  const { program, port } = await serve("smtp/server.ts");
  await using _ = program;
  using client = new HandClient(await Deno.connect({ hostname: "127.0.0.1", port }));
  await client.write(`GET / HTTP/1.1\r\n${"x".repeat(500_000)}`);
  assertMatch(await client.rest(), /^220 [^]*\r\n421 4\.7\.0 .*\r\n$/);
});

Deno.test("smtp/server.ts: a line too long, or ended by LF alone, gets 500, and the dialogue goes on", async () => {
  const { program, port } = await serve("smtp/server.ts");
  await using _ = program;
  using client = await HandClient.connect(port);
  assertMatch(await client.ask(`EHLO ${"x".repeat(200_000)}`), /^500 5\.5\.2 .*\r\n$/);
  await client.write("EHLO a\n");
  assertMatch(await client.read(), /^500 5\.5\.2 .*\r\n$/);
  assertMatch(await client.ask("MAIL FROM:<a@b>"), /^503 /, "the line before was not executed");
  await client.untilData();
  await client.write("Subject: x\r\n\r\n.\r\n");
  assertMatch(await client.read(), /^250 /);
  assertMatch(await client.ask("QUIT"), /^221 /);
});

Deno.test("smtp/server.ts: --max-line and --lenient take what is refused without them", async () => {
  const strict = await serve("smtp/server.ts");
  await using _ = strict.program;
  const lenient = await serve("smtp/server.ts", "--max-line", "5000", "--lenient");
  await using __ = lenient.program;
  for (const [{ port }, code] of [[strict, "550"], [lenient, "250"]] as const) {
    using client = await HandClient.connect(port);
    await client.untilData();
    await client.write(`Subject: x\r\n\r\n${"y".repeat(5000)}\r\n.\r\n`);
    assertEquals((await client.read()).slice(0, 3), code);
    assertEquals((await client.ask("MAIL FROM: <a@under_score.com>")).slice(0, 3), code === "250" ? "250" : "501");
  }
  using client = await HandClient.connect(lenient.port);
  await client.untilData();
  await client.write(`Subject: x\r\n\r\n${"y".repeat(5001)}\r\n.\r\n`);
  assertMatch(await client.read(), /^550 5\.6\.0 the mail contains a line of more than 5000 octets\r\n$/);
});

Deno.test("smtp/server.ts: a mail that cannot be moved to its place is refused temporarily, and leaves nothing", async () => {
  const folder = await Deno.makeTempDir();
  const { program, port } = await start(folder, "--maildir", folder);
  await using _ = program;
  using client = await HandClient.connect(port);
  await Deno.rename(`${folder}/new`, `${folder}/gone`);
  for (const size of [10, 500_000]) {
    await client.untilData();
    await client.write(`Subject: x\r\n\r\n${"y".repeat(70)}\r\n`.padEnd(size, "z\r\n") + "\r\n.\r\n");
    assertMatch(await client.read(), /^452 4\.3\.1 /);
    assertEquals([...Deno.readDirSync(`${folder}/tmp`)], []);
  }
  await Deno.remove(`${folder}/tmp`);
  await client.untilData();
  await client.write("Subject: x\r\n\r\n.\r\n");
  assertMatch(await client.read(), /^452 4\.3\.1 /);
  assertMatch(
    windows ? program.stderr.replace(/[^:\n]+$/gm, " No such file or directory") : program.stderr,
    /^(server: a mail could not be stored: No such file or directory.*\n){3}$/,
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("--self-signed: makes a pair once, keeps it, and says how to trust it", async () => {
  const folder = await Deno.makeTempDir();
  const cert = `${folder}/new/local.pem`.replaceAll("\\", "/"); // a pattern below
  const key = `${folder}/new/local.key`;
  const run = async (path: string, ...permissions: string[]) => {
    const flags = ["--no-prompt", "-N=127.0.0.1", ...permissions, "smtp/server.ts", "--port=0", "--self-signed", path];
    const program = new Program(["deno", "run", ...flags], { cwd: root });
    await Promise.race([program.ended, program.line(/listening on/).catch(() => {})]);
    return program;
  };
  const all = [`-R=${folder}`, `-W=${folder}`];
  await using first = await run(cert, ...all);
  await first.line(new RegExp(`^${cert} is a certificate for localhost: trust it with smtp-send --ca ${cert}$`));
  if (linux) assertEquals(((await Deno.stat(key)).mode ?? 0) & 0o777, 0o600);
  const made = [await Deno.readTextFile(cert), await Deno.readTextFile(key)];
  const port = Number((await first.line(/listening on 127\.0\.0\.1:(\d+)$/))[1]);
  for (const host of ["localhost", "127.0.0.1"]) {
    const sent = await send(port, [...basic, "--host", host, "--tls", "required", "--ca", cert]);
    assertEquals([sent.status?.code, sent.stderr], [0, ""]);
  }
  await using second = await run(cert, `-R=${folder}`); // needs no right to write
  await second.line(/listening on/);
  assertEquals([await Deno.readTextFile(cert), await Deno.readTextFile(key)], made, "the pair is kept");

  /** It fails with code 2, and changes nothing. */
  const refused = async (line: RegExp, path: string, ...permissions: string[]) => {
    await using program = await run(path, ...permissions);
    await program.end();
    assertMatch(program.stderr, line);
    assertEquals([program.status?.code, program.stderr.split("\n").length], [2, 2]);
  };
  await Deno.writeTextFile(`${folder}/text.pem`, "precious\n");
  await refused(
    /^server: \S+text\.pem and \S+text\.key are not a pair that --self-signed has made: /,
    `${folder}/text.pem`,
    ...all,
  );
  assertEquals(await Deno.readTextFile(`${folder}/text.pem`), "precious\n");
  const notAFolder = windows ? /^server: cannot keep a certificate in \S+: .+\n$/ : /: Not a directory\n$/;
  await refused(notAFolder, `${cert}/x.pem`, ...all);
  await refused(
    /^server: no permission to make a certificate: add -W=(\S+) -R=\1: deno run "?-W=\1"? "?-R=\1"? "?-N=127\.0\.0\.1"? smtp/,
    `${folder}/new.pem`,
    `-R=${folder}`,
  );
  await Deno.writeTextFile(key, selfSigned().key);
  await refused(/local\.pem and \S+local\.key are not a pair/, cert, ...all);
  // One that has expired is made again.
  const old = selfSigned(Date.UTC(2020, 0));
  await Deno.writeTextFile(key, old.key);
  await Deno.writeTextFile(cert, old.cert);
  await using again = await run(cert, ...all);
  await again.line(/listening on/);
  assert(new X509Certificate(await Deno.readTextFile(cert)).validTo.includes(`${new Date().getFullYear() + 1}`));
  for (const wrong of [["--self-signed", "a", "--cert", "b", "--key", "c"], ["--cert", "a"], ["--self-signed"]]) {
    const program = new Program(["deno", "run", "-N=127.0.0.1", "smtp/server.ts", ...wrong], { cwd: root });
    await program.end();
    assertEquals(program.status?.code, 2, program.stderr);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("TLS: the last reply reaches a client that is still sending; broken records end the stream", async () => {
  const folder = await Deno.makeTempDir();
  const { cert, key } = await certificate(folder);
  const caCerts = [await Deno.readTextFile(cert)];
  const { program, port } = await start(folder, "--cert", cert, "--key", key, "--timeout", "0");
  await using _ = program;
  using client = await HandClient.startTls(port, caCerts);
  await client.write("GET / HTTP/1.1\r\n");
  assertMatch(await client.read(), /^421 4\.7\.0 .*\r\n$/);
  // Were the connection closed at once, one of these would be answered with a reset, which can overtake the reply.
  for (let i = 0; i < 50; i++) {
    await client.write("x".repeat(1000));
    await new Promise((next) => setTimeout(next, 1));
  }
  assertEquals(await client.read(), "", "the end of the stream");

  // A proxy that adds plain text to an encrypted stream. Without a time limit only TLS itself can notice it.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connecting = HandClient.startTls(listener.addr.port, caCerts);
  using outside = await listener.accept();
  using inside = await Deno.connect({ hostname: "127.0.0.1", port });
  outside.readable.pipeTo(inside.writable, { preventClose: true }).catch(() => {});
  const closed = inside.readable.pipeTo(outside.writable).catch(() => {});
  using victim = await connecting;
  assertMatch(await victim.ask("EHLO x"), /^250-/);
  await inside.write(bytes("MAIL FROM:<a@b>\r\n"));
  await program.line(/^127\.0\.0\.1:\d+ broke TLS: /);
  await closed;
  listener.close();
  assertEquals(program.stderr, "");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("smtp/server.ts: --inbox shows its mails in the same process, and ends with it", async () => {
  const folder = await Deno.makeTempDir();
  const inboxPort = freePort();
  const { program, port } = await start(folder, "--maildir", folder, "--inbox", `${inboxPort}`);
  await using _ = program;
  await program.line(new RegExp(`^Inbox listening on .*127\\.0\\.0\\.1:${inboxPort}`));
  using client = await HandClient.connect(port);
  await client.untilData();
  await client.write("Subject: shown at once\r\n\r\n.\r\n");
  assertMatch(await client.read(), /^250 /);
  assertStringIncludes(await (await fetch(`http://127.0.0.1:${inboxPort}/`)).text(), "shown at once");
  await client.untilData();
  if (signals) program.signal("SIGINT"); // the mail that is being sent still arrives
  if (signals) await until(() => program.stdout.includes("stopping: waiting"), "the signal");
  await client.write("Subject: the last\r\n\r\n.\r\n");
  assertMatch(await client.read(), /^250 /);
  assertMatch(await client.ask("QUIT"), /^221 /);
  if (signals) assertEquals((await program.end()).code, 0);
  else await program.stop();
  assertEquals(program.stderr, "");
  assertEquals((await mails(folder)).length, 2);
  // --once ends it after the mail, and not after a request.
  const once = await start(folder, "--maildir", folder, "--inbox", `${inboxPort}`, "--once");
  await using __ = once.program;
  await once.program.line(/^Inbox listening on /);
  assertEquals((await send(once.port, basic)).status?.code, 0);
  assertEquals([(await once.program.end()).code, once.program.stderr], [0, ""]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("smtp/server.ts: wrong usage opens nothing, and a port in use is named", async () => {
  const folder = await Deno.makeTempDir();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const refused = async (code: number, line: RegExp, ...args: string[]) => {
    const flags = ["-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, "smtp/server.ts", "--port=0"];
    const program = new Program(["deno", "run", ...flags, ...args], { cwd: root });
    await program.end();
    assertMatch(program.stderr, line);
    assertEquals(program.status?.code, code);
  };
  const maildir = ["--maildir", `${folder}/mail`];
  await refused(2, /^server: --inbox needs --maildir\n$/, "--inbox", "8025");
  await refused(2, /^server: --tls-port needs --cert and --key, or --self-signed\n$/, ...maildir, "--tls-port", "4650");
  await refused(2, /^server: give --user and --password-file together\n$/, ...maildir, "--user", "ada");
  for (const wrong of [["--max-line", "0"], ["--max-line", "x"], ["--inbox", "65536"]]) {
    await refused(2, /^server: --[a-z-]+ needs a whole number from .*\nusage: .*\n$/, ...maildir, ...wrong);
  }
  assertEquals([...Deno.readDirSync(folder)], []);
  const { port } = taken.addr;
  const inUse = (option: string) =>
    new RegExp(`^server: 127\\.0\\.0\\.1:${port} is in use: .* choose another ${option}\n$`);
  await refused(1, inUse("--inbox"), ...maildir, "--inbox", `${port}`);
  const { cert, key } = await certificate(folder);
  const tls = ["--cert", cert, "--key", key, "--tls-port", `${port}`];
  await refused(1, inUse("--tls-port"), ...tls);
  await Deno.remove(folder, { recursive: true });
});
