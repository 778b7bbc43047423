/**
 * The parts of `smtp/` that parse, decide and format, without a process. `smtp_test.ts` imports it: what takes milliseconds
 * comes before what takes seconds.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { isMailbox, needsUtf8, parsePath } from "../../smtp/_address.ts";
import { Authentication, cramMd5Response, fromBase64, toBase64 } from "../../smtp/_authentication.ts";
import { ClientConnection, describeReply } from "../../smtp/_client_connection.ts";
import { COMMAND_LINE, decodeLine } from "../../smtp/_command_line.ts";
import { composeMail, type MailFlags } from "../../smtp/_compose.ts";
import { DataDecoder, encodeData } from "../../smtp/_data.ts";
import { Excerpt, receivedFields } from "../../smtp/_header.ts";
import { discardingWriter, Maildir } from "../../smtp/_maildir_writer.ts";
import { encodeReplies, REPLY, type Reply, ReplyError, ReplyParser } from "../../smtp/_reply.ts";
import { ServerConnection } from "../../smtp/_server_connection.ts";
import { Session } from "../../smtp/_session.ts";
import { type Settings, settingsOf } from "../../smtp/_settings.ts";
import type { Client } from "../../tcp/_clients.ts";
import { ClosedFiles, stub, Timers } from "../support/stub.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

const settings: Settings = {
  ...{
    name: "test",
    size: 1000,
    recipients: 2,
    errors: 100,
    tls: true,
    insecureAuth: false,
    line: 998,
    lenient: false,
  },
  recipientPolicy: (mailbox) => mailbox.startsWith("no") ? "reject" : mailbox.startsWith("later") ? "defer" : undefined,
};

/** A session with these settings, in which these commands were given. */
function session(more: Partial<Settings> = {}, tls = false, ...commands: string[]): Session {
  const session = new Session({ ...settings, ...more }, tls);
  for (const command of commands) session.command(bytes(command));
  return session;
}

/** A reply to a command: its codes, what comes next, and its lines. */
function answer(session: Session, command: string): string {
  const { reply: { code, enhanced, lines }, next } = session.command(bytes(command));
  return `${code} ${enhanced} ${next}: ${lines.join("|")}`;
}

const hello = ["EHLO x"];
const begun = [...hello, "MAIL FROM:<a@b>"];

Deno.test("a session's replies, word for word", () => {
  assertEquals(session().greeting(), { code: 220, enhanced: "", lines: ["test ESMTP"] });
  const extensions = "PIPELINING|SIZE 1000|8BITMIME|SMTPUTF8|ENHANCEDSTATUSCODES";
  const credentials = { user: "tim", password: "secret" };
  for (
    const [given, command, expected] of [
      [session(), "EHLO x", `250  command: test greets x|${extensions}|STARTTLS`],
      [session({ tls: false }), "EHLO x", `250  command: test greets x|${extensions}`],
      [session({}, true), "EHLO x", `250  command: test greets x|${extensions}`],
      [session({ credentials }, true), "EHLO x", `250  command: test greets x|${extensions}|AUTH PLAIN LOGIN CRAM-MD5`],
      [session({ credentials }), "EHLO x", `250  command: test greets x|${extensions}|STARTTLS|AUTH CRAM-MD5`],
      [
        session({ credentials, insecureAuth: true }),
        "ehlo x",
        `250  command: test greets x|${extensions}|STARTTLS|AUTH PLAIN LOGIN CRAM-MD5`,
      ],
      [session(), "HELO x", "250  command: test greets x"],
      [session(), `HELO ${"x".repeat(255)}`, `250  command: test greets ${"x".repeat(255)}`],
      [
        session(),
        `EHLO ${"x".repeat(256)}`,
        "501 5.5.4 command: EHLO and HELO need your host name: EHLO client.example.com",
      ],
      [session(), "MAIL FROM:<a@b>", "503 5.5.1 command: send EHLO first"],
      [session({}, false, ...hello), "MAIL FROM:<a@b>", "250 2.1.0 command: sender a@b"],
      [
        session({}, false, ...hello),
        "MAIL FROM:<>",
        "250 2.1.0 command: sender empty (<>), as in a delivery failure notice",
      ],
      [session({}, false, ...begun, "MAIL FROM:<c@d>"), "RCPT TO:<e@f>", "250 2.1.5 command: recipient e@f"],
      [
        session({}, false, ...begun),
        "MAIL FROM:<c@d>",
        "503 5.5.1 command: a mail has already begun: continue with RCPT or DATA, or cancel it with RSET",
      ],
      [session({ credentials }, false, ...hello), "MAIL FROM:<a@b>", "530 5.7.0 command: log in with AUTH first"],
      [
        session({}, false, "HELO x"),
        "MAIL FROM:<a@b> SIZE=1",
        "555 5.5.4 command: parameters need EHLO: you sent HELO",
      ],
      ...[
        " SIZE=1000",
        " SIZE=00000000000000000001",
        " BODY=7bit",
        " BODY=8BITMIME",
        " SMTPUTF8",
        " AUTH=<>",
        " AUTH=x",
      ]
        .map((more) =>
          [
            session({}, false, ...hello),
            `MAIL FROM:<a@b>${more}`,
            "250 2.1.0 command: sender a@b",
          ] as const
        ),
      ...["SIZE", "SIZE=1x", "SIZE=000000000000000000001", "BODY", "BODY=x", "SMTPUTF8=1", "AUTH"].map((more) =>
        [
          session({}, false, ...hello),
          `MAIL FROM:<a@b> ${more}`,
          `501 5.5.4 command: bad value for ${more.replace(/=.*/, "")}`,
        ] as const
      ),
      [session({}, false, ...hello), "MAIL FROM:<a@b> X=1", "555 5.5.4 command: unknown parameter X"],
      [
        session({}, false, ...hello),
        "MAIL FROM:<a@b> SIZE=1001",
        "552 5.3.4 command: the mail is too large: at most 1000 bytes",
      ],
      [session({ size: 0 }, false, ...hello), "MAIL FROM:<a@b>", "250 2.1.0 command: sender a@b"],
      [
        session({}, false, ...hello),
        "MAIL FROM:a@b",
        "501 5.1.7 command: malformed sender: use MAIL FROM:<address> (RFC 5321 §4.1.2)",
      ],
      [session({}, false, ...hello), "MAIL FROM:<ü@b>", "553 5.6.7 command: this address needs the parameter SMTPUTF8"],
      [session(), "RCPT TO:<a@b>", "503 5.5.1 command: send MAIL first"],
      [session({}, false, ...begun), "RCPT TO:<a@b> X", "555 5.5.4 command: RCPT takes no parameters on this server"],
      [
        session({}, false, ...begun),
        "RCPT TO:<>",
        "501 5.1.3 command: malformed recipient: use RCPT TO:<address> (RFC 5321 §4.1.2)",
      ],
      [session({}, false, ...begun), "RCPT TO:<Postmaster>", "250 2.1.5 command: recipient Postmaster"],
      [
        session({}, false, ...begun),
        "RCPT TO:<ü@b>",
        "553 5.6.7 command: this address needs the parameter SMTPUTF8 at MAIL",
      ],
      [session({}, false, "EHLO x", "MAIL FROM:<a@b> SMTPUTF8"), "RCPT TO:<ü@b>", "250 2.1.5 command: recipient ü@b"],
      [session({}, false, ...begun, "RCPT TO:<a@b>"), "RCPT TO:<c@d>", "250 2.1.5 command: recipient c@d"],
      [
        session({}, false, ...begun, "RCPT TO:<a@b>", "RCPT TO:<c@d>"),
        "RCPT TO:<e@f>",
        "452 4.5.3 command: too many recipients (at most 2): use another mail for the rest",
      ],
      [session({}, false, ...begun), "RCPT TO:<no@b>", "550 5.1.1 command: there is no mailbox no@b"],
      [
        session({}, false, ...begun),
        "RCPT TO:<later@b>",
        "450 4.2.1 command: the mailbox later@b is busy: try again later",
      ],
      [session(), "DATA", "503 5.5.1 command: send MAIL and RCPT first"],
      [session({}, false, ...begun), "DATA", "554 5.5.1 command: no recipient was accepted: send RCPT first"],
      [
        session({}, false, ...begun, "RCPT TO:<a@b>"),
        "DATA",
        "354  data: end the mail with a dot on a line of its own",
      ],
      [session({}, false, ...begun, "RSET"), "DATA", "503 5.5.1 command: send MAIL and RCPT first"],
      [session({}, false, ...begun, "EHLO y"), "DATA", "503 5.5.1 command: send MAIL and RCPT first"],
      ...["DATA", "RSET", "QUIT", "STARTTLS"].map((name) =>
        [session(), `${name} x`, `501 5.5.4 command: ${name} takes no argument`] as const
      ),
      [session(), "RSET", "250 2.0.0 command: envelope cleared"],
      [session(), "NOOP x", "250 2.0.0 command: nothing done"],
      [session(), "quit", "221 2.0.0 close: goodbye"],
      [session(), "VRFY", "501 5.5.4 command: VRFY needs a user name or an address"],
      [session(), "VRFY x", "252 2.0.0 command: cannot verify the user, but mail for any address is accepted"],
      [
        session(),
        "HELP",
        "214 2.0.0 command: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP STARTTLS AUTH (RFC 5321)",
      ],
      [session(), "EXPN x", "502 5.5.1 command: this server has no mailing lists to expand"],
      [session(), "STARTTLS", "220 2.0.0 starttls: ready to start TLS"],
      [
        session({ tls: false }),
        "STARTTLS",
        "502 5.5.1 command: STARTTLS is not offered: this server has no certificate",
      ],
      [session({}, true), "STARTTLS", "503 5.5.1 command: this connection already uses TLS"],
      [session(), "FOO", "500 5.5.2 command: unknown command: HELP lists the commands"],
      [session(), "A\x01", "500 5.5.2 command: a command must be UTF-8 without control characters"],
      [session(), "GET / HTTP/1.1", "421 4.7.0 close: this is SMTP, not HTTP"],
      [session({}, true, ...hello), "AUTH PLAIN", "502 5.5.1 command: this server has no users: AUTH is not needed"],
      [session({ credentials }, true), "AUTH PLAIN", "503 5.5.1 command: send EHLO first"],
      [session({ credentials }, true, "HELO x"), "AUTH PLAIN", "503 5.5.1 command: send EHLO first"],
      [
        session({ credentials: "any" }, true, ...begun),
        "AUTH PLAIN",
        "503 5.5.1 command: AUTH is not allowed inside a mail",
      ],
      [
        session({ credentials }, true, ...hello),
        "AUTH X",
        "504 5.5.4 command: unknown AUTH mechanism: the reply to EHLO lists the ones offered",
      ],
      [
        session({ credentials }, false, ...hello),
        "AUTH LOGIN",
        "538 5.7.11 command: LOGIN needs TLS: without it, others could read the password",
      ],
      [session({ credentials }, true, ...hello), "AUTH PLAIN", "334  command: "],
      [session({ credentials }, true, ...hello), "AUTH LOGIN", `334  command: ${toBase64("Username:")}`],
      [
        session({ credentials }, true, ...hello),
        `AUTH LOGIN ${toBase64("tim")}`,
        `334  command: ${toBase64("Password:")}`,
      ],
      [
        session({ credentials }, true, ...hello),
        `AUTH PLAIN ${toBase64("\0tim\0secret")}`,
        "235 2.7.0 command: logged in",
      ],
      [session({ credentials }, true, ...hello), "AUTH PLAIN =", "501 5.5.2 command: login cancelled or malformed"],
      [
        session({ credentials }, true, ...hello),
        `AUTH PLAIN ${toBase64("\0tim\0x")}`,
        "535 5.7.8 command: wrong user name or password",
      ],
      [
        session({ credentials }, true, ...hello, `AUTH PLAIN ${toBase64("\0tim\0secret")}`),
        "AUTH PLAIN",
        "503 5.5.1 command: you are already logged in",
      ],
      [session({ credentials }, true, ...hello, "AUTH PLAIN", "*"), "NOOP", "250 2.0.0 command: nothing done"],
    ] as const
  ) assertEquals(answer(given, command), expected, command);
});

Deno.test("a session: contents, lines that are refused, and how many errors it takes", () => {
  const told = ({ reply: { code, enhanced, lines }, next }: ReturnType<Session["rejectLine"]>) =>
    `${code} ${enhanced} ${next}: ${lines.join("|")}`;
  const one = session({}, false, ...begun);
  assertEquals(one.envelope, { from: "a@b", to: [], helo: "x", protocol: "ESMTP" });
  assertEquals(told(one.replyToContent({ stored: "n" })), "250 2.0.0 command: stored as n");
  assertEquals(one.envelope, undefined);
  assertEquals(told(one.replyToContent({ stored: "" })), "250 2.0.0 command: accepted, but not stored");
  assertEquals(told(one.replyToContent("bare")).slice(0, 18), "550 5.6.11 command");
  assertEquals(told(one.replyToContent("long")), "550 5.6.0 command: the mail contains a line of more than 998 octets");
  assertEquals(told(one.replyToContent("size")), "552 5.3.4 command: the mail is too large: at most 1000 bytes");
  assertEquals(
    told(one.replyToContent(new Error("x"))),
    "452 4.3.1 command: the mail could not be stored: try again later",
  );
  assertEquals(told(one.rejectLine("long")), "500 5.5.2 command: the line is too long");
  assertMatch(told(one.rejectLine("bare")), /^500 5\.5\.2 command: the line ends in LF alone/);
  const two = session({ errors: 2 });
  assertEquals(answer(two, "VRFY x").slice(0, 3), "252", "no error");
  assertEquals(two.replyToContent(new Error("x")).next, "command", "not the client's fault");
  assertEquals(answer(two, "FOO").slice(0, 3), "500");
  assertEquals(answer(two, "FOO"), "421 4.7.0 close: unknown command: HELP lists the commands: too many errors");

  const credentials = { user: "tim", password: "secret" };
  const login = `AUTH PLAIN ${toBase64("\0tim\0secret")}`;
  for (
    const [tls, commands, protocol] of [
      [false, ["HELO x", "MAIL FROM:<a@b>"], "SMTP"],
      [true, ["EHLO x", "MAIL FROM:<a@b>"], "ESMTPS"],
      [true, ["EHLO x", login, "MAIL FROM:<a@b>"], "ESMTPSA"],
      [true, ["EHLO x", login, "MAIL FROM:<a@b> SMTPUTF8"], "UTF8SMTPSA"],
      [false, ["EHLO x", "MAIL FROM:<a@b> SMTPUTF8"], "UTF8SMTP"],
      [true, ["HELO x", "MAIL FROM:<a@b>"], "SMTP"],
    ] as const
  ) {
    const given = session(commands.some((each) => each === login) ? { credentials } : {}, tls, ...commands);
    assertEquals(given.envelope?.protocol, protocol);
  }
  assertEquals(session().maxLineLength, COMMAND_LINE.plain);
  assertEquals(session({ credentials }, true, ...hello, "AUTH PLAIN").maxLineLength, COMMAND_LINE.auth);
  assertEquals([COMMAND_LINE.plain, COMMAND_LINE.auth], [2048, 12_288]);
  assertEquals([decodeLine(bytes("a\tü")), decodeLine(bytes("a\x7f")), decodeLine(Uint8Array.of(0xff))], [
    ...["a\tü", undefined, undefined],
  ]);
});

Deno.test("settings: who may send, and to whom", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/p`, "secret\r\nrest");
  const none = {
    ...{ size: 5, "max-line": 6, lenient: true, "max-recipients": 7, "max-errors": 8, user: "", "password-file": "" },
    ...{ "accept-any-password": false, "insecure-auth": false, reject: ["Bad"], defer: ["slow", "bad"] },
  };
  const made = await settingsOf(none, false);
  assertEquals([made.size, made.line, made.lenient, made.recipients, made.errors, made.tls], [5, 6, true, 7, 8, false]);
  assertEquals([made.credentials, made.insecureAuth], [undefined, false]);
  assertEquals(["x@BAD.example", "SLOW@x", "a@b"].map((mailbox) => made.recipientPolicy(mailbox)), [
    ...["reject", "defer", undefined],
  ]);
  const user = { user: "ada", "password-file": `${folder}/p` };
  assertEquals((await settingsOf({ ...none, ...user }, true)).credentials, { user: "ada", password: "secret" });
  assertEquals((await settingsOf({ ...none, "accept-any-password": true }, true)).credentials, "any");
  for (
    const wrong of [
      ...[{ user: "ada" }, { "password-file": "p" }, { ...user, "accept-any-password": true }],
      { ...user, "password-file": `${folder}/none` },
    ]
  ) {
    const error = await assertRejects(() => settingsOf({ ...none, ...wrong }, false), Failure);
    assertEquals(error instanceof Failure && error.code, 2);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("AUTH: each mechanism, step by step", () => {
  const credentials = { user: "tim", password: "tanstaaf" };
  const respond = (mechanism: "PLAIN" | "LOGIN" | "CRAM-MD5", who: typeof credentials | "any", ...lines: string[]) => {
    const exchange = new Authentication(mechanism, who, "h");
    exchange.start();
    return lines.map((line) => exchange.respond(line)).at(-1)?.kind;
  };
  for (
    const [plain, kind] of [
      ...[["\0tim\0tanstaaf", "success"], ["tim\0tim\0tanstaaf", "success"], ["ann\0tim\0tanstaaf", "failure"]],
      ...[["\0tim\0x", "failure"], ["\0x\0tanstaaf", "failure"], ["tim\0tanstaaf", "malformed"]],
      ...[["\0tim\0tanstaaf\0", "malformed"], ["\0\0", "failure"]],
    ]
  ) assertEquals(respond("PLAIN", credentials, toBase64(plain ?? "")), kind, plain);
  assertEquals(respond("PLAIN", "any", toBase64("\0x\0y")), "success");
  assertEquals(respond("PLAIN", "any", toBase64("x")), "malformed");
  assertEquals(respond("LOGIN", credentials, toBase64("tim")), "challenge");
  assertEquals(respond("LOGIN", credentials, toBase64("tim"), toBase64("tanstaaf")), "success");
  assertEquals(respond("LOGIN", credentials, toBase64("tom"), toBase64("tanstaaf")), "failure");
  assertEquals(respond("LOGIN", credentials, toBase64("tim"), "*"), "malformed");
  assertEquals([respond("LOGIN", credentials, "%"), respond("PLAIN", "any", "%")], ["malformed", "malformed"]);
  assertEquals(respond("LOGIN", credentials, "=", toBase64("x")), "failure");
  const exchange = new Authentication("CRAM-MD5", credentials, "host");
  const challenge = fromBase64(exchange.start()) ?? "";
  assertMatch(challenge, /^<[^@]+@host>$/);
  assertEquals(exchange.respond(toBase64(cramMd5Response(credentials, challenge))).kind, "success");
  assertEquals(exchange.respond(toBase64(cramMd5Response(credentials, "<other>"))).kind, "failure");
  assertEquals(new Authentication("PLAIN", "any", "h").start(), "");
  assertEquals(["", "YQ==", "YWI=", "YWJj", "YQ", "YQ=", "=", "Y===", "YWJj\n", "YQ==YQ=="].map(fromBase64), [
    ...["", "a", "ab", "abc", undefined, undefined, undefined, undefined, undefined, undefined],
  ]);
});

Deno.test("addresses and paths: the length of each part, and what lenient takes", () => {
  const domain = (length: number) => "x".repeat(60).concat(".").repeat(9).slice(0, length - 1) + "y";
  for (const lenient of [false, true]) {
    assert(isMailbox(`${"x".repeat(64)}@${domain(255)}`, lenient));
    assert(!isMailbox(`${"x".repeat(65)}@b`, lenient));
    assert(!isMailbox(`a@${domain(256)}`, lenient));
    assert(!isMailbox(`${"ü".repeat(33)}@b`, lenient), "in bytes");
  }
  assertEquals([isMailbox("a..b@c"), isMailbox("a..b@c", true), isMailbox("a@b\0", true)], [false, true, false]);
  assertEquals([needsUtf8("a@b\x7f"), needsUtf8("a@b\x80")], [false, true]);
  assertEquals([parsePath(" <a@b>"), parsePath("a@b"), parsePath("<a..b@c>")], [undefined, undefined, undefined]);
  assertEquals(parsePath(" <a..b@c>", true)?.mailbox, "a..b@c");
  assertEquals(parsePath("a@b X=1", true), { mailbox: "a@b", parameters: new Map([["X", "1"]]) });
  assertEquals([parsePath("", true), parsePath("<a@b", true), parsePath("a b@c", true)], [
    undefined,
    undefined,
    undefined,
  ]);
  assertEquals(parsePath("<>")?.mailbox, "");
  assertEquals(parsePath("<postMASTER>")?.mailbox, "postMASTER");
  assertEquals(parsePath("<@a,@b:c@d>")?.mailbox, "c@d");
  assertEquals(parsePath("<a@b> x=y")?.parameters, new Map([["X", "y"]]));
  assertEquals(parsePath("<a@b> X=1 x=2"), undefined);
});

Deno.test("contents: the longest line in pieces, and how dots and line ends are written", () => {
  const decoded = (maxLine: number, ...pieces: string[]) => {
    const decoder = new DataDecoder(maxLine);
    let got = "";
    const onData = (data: Uint8Array) => {
      assert(data.length > 0, "no empty parts");
      got += text(data);
    };
    const used = pieces.map((piece) => decoder.push(bytes(piece), onData));
    return [got, decoder.size, decoder.fault, decoder.done, used.at(-1)];
  };
  assertEquals(decoded(3, "ab", "c\r\n", "abc\r\n.\r\nQ"), ["abc\r\nabc\r\n", 10, undefined, true, 8]);
  assertEquals(decoded(3, "ab", "cd"), ["abcd", 4, "long", false, 2]);
  assertEquals(
    decoded(3, "abc\nabc\r\n.\r\n"),
    ["abc\nabc\r\n", 9, "bare", true, 12],
    "a bare LF begins a line to count",
  );
  assertEquals(decoded(3, "abcd\n\r\n"), ["abcd\n\r\n", 7, "long", false, 7], "the first fault");
  assertEquals(decoded(3, "a\n", "bcd\r\n"), ["a\nbcd\r\n", 7, "bare", false, 5]);
  assertEquals(decoded(3, ".abc\r\n", "."), ["abc\r\n", 5, undefined, false, 1]);
  for (
    const [content, wire] of [
      ["", ".\r\n"],
      ["a", "a\r\n.\r\n"],
      ["a\r\n", "a\r\n.\r\n"],
      [".", "..\r\n.\r\n"],
      ["a.\n.b\r..c", "a.\r\n..b\r\n...c\r\n.\r\n"],
      ["\n\n", "\r\n\r\n.\r\n"],
      ["\r\r", "\r\n\r\n.\r\n"],
      ["\0", "\0\r\n.\r\n"],
    ] as const
  ) assertEquals(text(encodeData(bytes(content))), wire, JSON.stringify(content));
});

Deno.test("replies: their limits, letters in two pieces, and what is told of a wrong one", () => {
  const parse = (...pieces: (string | Uint8Array)[]) => {
    const parser = new ReplyParser();
    return pieces.flatMap((piece) => parser.push(typeof piece === "string" ? bytes(piece) : piece));
  };
  const long = `250 ${"x".repeat(REPLY.line - 4)}`;
  assertEquals(parse(long, "\n")[0]?.lines[0]?.length, REPLY.line - 4);
  assertThrows(() => parse(`${long}x`), ReplyError, "too long");
  assertThrows(() => parse(`${long}x\n`), ReplyError, "too long");
  assertEquals(parse("250-x\n".repeat(REPLY.lines - 1), "250 x\n")[0]?.lines.length, REPLY.lines);
  assertThrows(() => parse("250-x\n".repeat(REPLY.lines), "250 x\n"), ReplyError, "too many lines");
  assertEquals([REPLY.line, REPLY.lines], [4096, 200]);
  const wrong = assertThrows(() => parse(`${"y".repeat(101)}\n`), ReplyError);
  assertEquals(wrong instanceof Error && wrong.message, `not a reply: ${"y".repeat(100)}`);
  assertEquals(parse("250 ", bytes("ü").subarray(0, 1), bytes("ü").subarray(1), "\r\n")[0]?.lines, ["ü"]);
  assertEquals(parse("\n250 x".slice(1), "\n"), [{ code: 250, enhanced: "", lines: ["x"] }]);
  assertThrows(() => parse("\n"), ReplyError, "not a reply: ");
  assertThrows(() => parse(`\n${"x".repeat(5000)}`), ReplyError, "not a reply: ");
  assertEquals(parse("550-5.1.1 a\r\n550-b\r\n550 5.1.1\r\n"), [{
    code: 550,
    enhanced: "5.1.1",
    lines: ["a", "b", ""],
  }]);
  assertEquals(parse("250 2.1.0x\n250 3.1.0 x\n"), [
    { code: 250, enhanced: "", lines: ["2.1.0x"] },
    { code: 250, enhanced: "", lines: ["3.1.0 x"] },
  ]);
  for (const [wire, pending] of [["", false], ["2", true], ["250-x\n", true], ["250 x\n", false]] as const) {
    const parser = new ReplyParser();
    parser.push(bytes(wire));
    assertEquals(parser.pending, pending, wire);
  }
  const encoded = (line: string) => text(encodeReplies({ code: 250, enhanced: "", lines: [line] }));
  assertEquals(encoded("x".repeat(480)), `250 ${"x".repeat(480)}\r\n`);
  assertEquals(encoded("x".repeat(481)), `250 ${"x".repeat(480)}...\r\n`);
  const reply = (code: number, enhanced = ""): Reply => ({ code, enhanced, lines: ["a", "b\x1b"] });
  assertEquals([reply(500, "5.1.1"), reply(499), reply(400), reply(399)].map(describeReply), [
    ...["permanently: 500 5.1.1 a / b\\x1b", "temporarily: 499 a / b\\x1b", "temporarily: 400 a / b\\x1b"],
    "with an unexpected reply: 399 a / b\\x1b",
  ]);
});

Deno.test("the header of a received mail, and its beginning for the log", () => {
  const envelope = { from: "a@b", to: ["c@d"], helo: "x", protocol: "ESMTP" };
  assertMatch(
    text(receivedFields(envelope, "192.0.2.1", "me")),
    /^Return-Path: <a@b>\r\nDelivered-To: c@d\r\nReceived: from x \(\[192\.0\.2\.1\]\)\r\n\tby me with ESMTP\r\n\tfor <c@d>;\r\n\t\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000\r\n$/,
  );
  const two = text(receivedFields({ ...envelope, to: ["c@d", "e@f"] }, "2001:db8::1", "me"));
  assertMatch(
    two,
    /Delivered-To: c@d\r\nDelivered-To: e@f\r\nReceived: from x \(\[IPv6:2001:db8::1\]\)\r\n\tby me with ESMTP;/,
  );
  const excerpt = (limit: number, ...pieces: string[]) => {
    const excerpt = new Excerpt(limit);
    for (const piece of pieces) excerpt.add(bytes(piece));
    return excerpt;
  };
  assertEquals(excerpt(20, "a\r\nb", "c\r\n").lines(), ["a", "bc"]);
  assertEquals(excerpt(6, "a\r\nb", "c", "d", "e").lines(), ["a", "bcd", "…"]);
  assertEquals(excerpt(7, "a\r\nb", "c", "d").lines(), ["a", "bcd"]);
  const cut = new Excerpt(20);
  for (const byte of bytes("\ufeffaü")) cut.add(Uint8Array.of(byte));
  assertEquals(cut.lines(), ["\ufeffaü"]);
  const subject = (mail: string) => excerpt(1000, mail).subject();
  assertEquals(subject("X: y\r\nsubject: Hello\r\n world\r\n\r\nSubject: no"), "Hello world");
  assertEquals(subject("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n"), "Grüße");
  assertEquals([subject("X: y\r\n\r\nSubject: x"), subject("\r\nSubject: x"), subject("Subject: x")], [
    ...["no subject", "no subject", "no subject"],
  ]);
});

Deno.test("a mail is composed of checked options", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/t.txt`, "from a file");
  await Deno.writeTextFile(`${folder}/h.html`, "<p>Hi</p>");
  const none: MailFlags = {
    ...{ from: "", subject: "", text: "x", "text-file": "", html: "", to: ["a@b"], cc: [], bcc: [], attach: [] },
  };
  const mail = await composeMail({ ...none, cc: ["c@d", "a@b"], bcc: ["Eve <e@f>"], from: "Ada <ada@b>" });
  assertEquals([mail.from, mail.recipients], ["ada@b", ["a@b", "c@d", "e@f"]]);
  assertMatch(text(mail.content), /^From: Ada <ada@b>\r\nTo: a@b\r\nCc: c@d, a@b\r\n/);
  assert(!text(mail.content).includes("e@f"));
  assertEquals((await composeMail(none)).from, "");
  const whole = await composeMail({
    ...none,
    ...{ text: "", "text-file": `${folder}/t.txt`, html: `${folder}/h.html`, attach: [`${folder}/t.txt`] },
  });
  assertMatch(text(whole.content), /from a file[^]*<p>Hi<\/p>[^]*filename=t\.txt/);
  for (
    const wrong of [
      ...[{ to: [] }, { to: ["a"] }, { to: ["a@b, c@d"] }, { to: ["a@b\n"] }, { to: [""] }, { to: ["g: a@b;"] }],
      ...[{ from: "x" }, { subject: "a\nb" }, { "text-file": "y" }, { attach: ["none"] }, { html: "none" }],
      ...[{ cc: ["x"] }, { bcc: ["x"] }],
    ]
  ) {
    const error = await assertRejects(() => composeMail({ ...none, ...wrong }), Failure);
    assertEquals(error instanceof Failure && error.code, 2, JSON.stringify(wrong));
  }
  if (Deno.build.os !== "windows") {
    await Deno.writeTextFile(`${folder}/a\nb`, "");
    await assertRejects(() => composeMail({ ...none, attach: [`${folder}/a\nb`] }), Failure, "--attach needs");
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a Maildir: written to tmp, moved to new; what was begun and given up leaves nothing", async () => {
  const folder = await Deno.makeTempDir();
  const list = (name: string) => [...Deno.readDirSync(`${folder}/${name}`)].map(({ name }) => name);
  const maildir = new Maildir(folder, "host");
  await maildir.open();
  assertEquals([list("tmp"), list("new"), list("cur")], [[], [], []]);
  const now = Date.now();
  for (const [name, age] of [["old", 36 * 3600 + 60], ["young", 36 * 3600 - 60]] as const) {
    await Deno.writeTextFile(`${folder}/tmp/${name}`, "");
    await Deno.utime(`${folder}/tmp/${name}`, now / 1000 - age, now / 1000 - age);
  }
  await Deno.mkdir(`${folder}/tmp/folder`);
  await new Maildir(folder, "host").open();
  assertEquals(list("tmp").sort(), ["folder", "young"]);
  await Deno.remove(`${folder}/tmp/young`);
  await Deno.remove(`${folder}/tmp/folder`);

  let syncs = 0;
  const { sync } = Deno.FsFile.prototype;
  using _ = stub(Deno.FsFile.prototype, "sync", function (this: Deno.FsFile) {
    syncs++;
    return sync.call(this);
  });
  using closed = new ClosedFiles();
  {
    const unlucky = maildir.write();
    unlucky.add(new Uint8Array(300_000));
    {
      using _ = stub(Deno, "openSync", () => {
        throw new Error("Too many open files (os error 24)");
      });
      await unlucky.flush();
    }
    unlucky.add(new Uint8Array(300_000));
    await unlucky.flush(); // a file could be opened again by now: the mail must still be refused
    await assertRejects(() => unlucky.commit(), Error, "Too many open files");
    assertEquals(list("tmp"), []);
  }
  const writer = maildir.write();
  writer.add(bytes("abc"));
  await writer.flush();
  assertEquals(list("tmp"), [], "a small mail stays in memory");
  writer.add(new Uint8Array(8189).fill(120));
  writer.add(bytes("z"));
  const [name, other] = await Promise.all([
    writer.commit(),
    (async () => {
      const second = maildir.write();
      second.add(bytes("second"));
      return await second.commit();
    })(),
  ]);
  assertMatch(name, new RegExp(`^\\d{13}\\.P${Deno.pid}Q\\d+R[\\da-f]{8}\\.host$`));
  assert(name !== other);
  assertEquals(await Deno.readTextFile(`${folder}/new/${name}`), `abc${"x".repeat(8189)}z`);
  assertEquals([await Deno.readTextFile(`${folder}/new/${other}`), list("tmp")], ["second", []]);
  assertEquals([closed.count, syncs > 0 || Deno.build.os === "windows"], [2, true], "the folder is flushed, too");

  const large = maildir.write();
  large.add(new Uint8Array(262_143).fill(97));
  await large.flush();
  assertEquals(list("tmp").length, 0);
  large.add(bytes("b"));
  await large.flush();
  assertEquals(list("tmp").length, 1, "a full buffer is written");
  large.add(bytes("c"));
  const stored = await large.commit();
  const content = await Deno.readTextFile(`${folder}/new/${stored}`);
  assertEquals([content.length, content.slice(-3), list("tmp")], [262_145, "abc", []]);
  await large.discard();
  assertEquals(list("new").length, 3, "a mail that is stored stays");

  const dropped = maildir.write();
  dropped.add(new Uint8Array(300_000));
  await dropped.flush();
  await dropped.discard();
  assertEquals([list("tmp"), list("new").length, closed.count], [[], 3, 4]);
  await maildir.write().discard();

  // A folder that is gone: the mail is refused at its end.
  await Deno.rename(`${folder}/tmp`, `${folder}/away`);
  const failing = maildir.write();
  failing.add(new Uint8Array(300_000));
  await failing.flush();
  failing.add(bytes("more"));
  await assertRejects(() => failing.commit(), Deno.errors.NotFound);
  await assertRejects(() => maildir.write().commit(), Deno.errors.NotFound);
  await Deno.rename(`${folder}/away`, `${folder}/tmp`);
  await Deno.rename(`${folder}/new`, `${folder}/gone`);
  const unmoved = maildir.write();
  unmoved.add(bytes("x"));
  await assertRejects(() => unmoved.commit(), Deno.errors.NotFound);
  assertEquals(list("tmp"), [], "a mail that cannot be moved is removed");
  await Deno.writeTextFile(`${folder}/file`, "");
  const error = await assertRejects(() => new Maildir(`${folder}/file`, "host").open(), Failure, "as a Maildir");
  assertEquals(error instanceof Failure && error.code, 1);
  {
    using _ = stub(Deno, "mkdir", () => Promise.reject(new Deno.errors.NotCapable("x")));
    const denied = await assertRejects(() => new Maildir("m", "host").open(), Failure, "add -R=m -W=m");
    assertEquals(denied instanceof Failure && [denied.code, denied.permission], [2, "-R=m -W=m"]);
  }
  discardingWriter.add(bytes("x"));
  assertEquals([await discardingWriter.commit(), await discardingWriter.discard()], ["", undefined]);
  await Deno.remove(folder, { recursive: true });
});

/** Both ends of a connection on loopback. */
async function pair(): Promise<{ own: Deno.TcpConn; other: Deno.TcpConn }> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [own, other] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  return { own, other };
}

const readFrom = async (conn: Deno.Conn) => {
  const buffer = new Uint8Array(65_536);
  return text(buffer.subarray(0, await conn.read(buffer) ?? 0));
};

Deno.test("the server's side: lines up to a limit, replies in one write, and a last word", async () => {
  const { own, other } = await pair();
  const client: Client = { conn: own, name: "x", idleTicks: 3 };
  const connection = new ServerConnection(client, 0);
  const reply = (code: number): Reply => ({ code, enhanced: "", lines: ["x"] });
  connection.queue(reply(220));
  await other.write(bytes("\n1234567\r\n12345678\r\nbare\n\r\nunfinished"));
  const read = async (max: number) => {
    const line = await connection.readLine(max);
    return line instanceof Uint8Array ? `=${text(line)}` : line;
  };
  assertEquals([await read(9), client.idleTicks, await read(9)], ["bare", 0, "=1234567"]);
  client.idleTicks = 4;
  assertEquals([await read(9), await read(9), await read(9)], ["long", "bare", "="]);
  assertEquals(client.idleTicks, 0);
  connection.queue(reply(250));
  client.idleTicks = 2;
  const next = read(20);
  let got = "";
  while (got.length < 14) got += await readFrom(other);
  assertEquals(got, "220 x\r\n250 x\r\n");
  await other.write(bytes("x".repeat(5000)));
  await other.write(bytes("x".repeat(70_000) + "\r\nNOOP\r\n"));
  assertEquals([await next, await read(20)], ["long", "=NOOP"], "a line that is too long is dropped up to its end");
  client.idleTicks = 2;
  await other.write(bytes("half"));
  await other.closeWrite();
  assertEquals([await read(20), client.idleTicks], [undefined, 2]);
  await connection.dismiss(reply(421));
  await connection.dismiss(reply(421));
  await connection.close(true);
  own.close();
  assertEquals(await new Response(other.readable).text(), "421 x\r\n", "one last reply");
});

Deno.test("the server's side: --delay comes before the replies, and a client that is silent is not drained for ever", async () => {
  const { own, other } = await pair();
  const connection = new ServerConnection({ conn: own, name: "x", idleTicks: 0 }, 0.5);
  {
    using timers = new Timers();
    await connection.flush();
    assertEquals(timers.delays, [], "nothing to send");
    connection.queue({ code: 250, enhanced: "", lines: ["x"] });
    const flushed = connection.flush();
    assertEquals(timers.delays, [500]);
    timers.started[0]?.run();
    await flushed;
  }
  assertEquals(await readFrom(other), "250 x\r\n");
  await other.write(bytes("still sending"));
  const closing = connection.close(true);
  assertEquals(await other.read(new Uint8Array(1)), null);
  await other.closeWrite();
  await closing;
  assertEquals([connection.isTls, connection.isReceiving], [false, false]);
  const plain = await pair();
  const simple = new ServerConnection({ conn: plain.own, name: "x", idleTicks: 0 }, 0);
  await simple.close();
  await simple.close(true);
  await plain.own.write(bytes("open")); // without TLS there is nothing to end
  {
    using timers = new Timers();
    const deaf = new ServerConnection({ conn: plain.own, name: "x", idleTicks: 0 }, 0);
    using _ = stub(plain.own, "write", () => new Promise(() => {}));
    const dismissed = deaf.dismiss({ code: 421, enhanced: "", lines: ["x"] });
    assertEquals(timers.delays, [1000]);
    timers.started[0]?.run();
    await dismissed;
  }
  plain.own.close();
  plain.other.close();
  own.close();
  other.close();
});

Deno.test("the client's side: the dialogue as it is shown, and what a server may do wrong", async () => {
  const { own, other } = await pair();
  const lines: string[] = [];
  const show = (line: string) => void lines.push(line);
  const server = { hostname: "127.0.0.1", port: 25 };
  const connection = new ClientConnection(own, server, { timeout: 5, trace: "", pcap: "", show });
  await other.write(bytes("220-a\r\n220 5.1.1 b\x1b\r\n250 2.0.0 ok\r\n"));
  assertEquals((await connection.reply()).code, 220);
  assertEquals((await connection.reply()).enhanced, "2.0.0");
  await connection.send(["A b", "C d"], ["A *"]);
  assertEquals(await readFrom(other), "A b\r\nC d\r\n");
  await connection.sendContent(new Uint8Array(10), "(a mail)");
  assertEquals((await readFrom(other)).length, 10);
  await other.write(bytes("250 x\r\n250 y\r\n"));
  await connection.reply();
  await assertRejects(() => connection.startTls(undefined), Failure, "127.0.0.1:25 sent more than the 220 reply");
  await connection.close();
  assertEquals(lines, ["S: 220-a", "S: 220 5.1.1 b\\x1b", "S: 250 2.0.0 ok", "C: A *", "C: (a mail)", "S: 250 x"]);
  other.close();

  const failing = async (reply: string | undefined, expected: string, ask = true) => {
    const { own, other } = await pair();
    const shown: string[] = [];
    const connection = new ClientConnection(own, server, {
      timeout: 0.05,
      trace: "",
      pcap: "",
      show: (line) => void shown.push(line),
    });
    if (reply === "") await other.closeWrite();
    else if (reply !== undefined) await other.write(bytes(reply));
    await assertRejects(() => ask ? connection.ask("NOOP x") : connection.reply(), Failure, expected);
    await connection.close();
    assert(!shown.includes("C: QUIT"), "nothing is sent on a connection that has failed");
    other.close();
  };
  await failing("421 4.3.2 bye\r\n", "127.0.0.1:25 ended the dialogue temporarily: 421 4.3.2 bye");
  await failing("", "closed the connection after NOOP");
  await failing("", "closed the connection after connecting", false);
  await failing(undefined, "did not answer NOOP in 0.05 s");
  await failing("hello\r\n", "does not speak SMTP: not a reply: hello");
  const ended = await pair();
  const last = new ClientConnection(ended.own, server, { timeout: 5, trace: "", pcap: "", show });
  await ended.other.write(bytes("500 no\r\n"));
  await last.close();
  assertEquals(lines.slice(-2), ["C: QUIT", "S: 500 no"]);
  ended.other.close();
});
