/**
 * Checks for an SMTP server that accepts mail for everyone from clients at 127.0.0.1, and keeps each mail in a file. Each check
 * names its section of the RFC; an extension is checked only if EHLO offers it.
 *
 * @module
 */
import { expectKept, findMails, type Mailbox, mailboxes, newMail } from "./_smtp_mailbox.ts";
import { word, words } from "./_random.ts";
import { SmtpPeer } from "./_smtp_peer.ts";
import { type Check, fail, type Server, type Suite } from "./_suite.ts";

const mail = "Subject: check\r\n\r\nHello.\r\n";
const needs = ["a mail"];
type Level = Check<Server>["level"];

const check = (
  name: string,
  why: string,
  points: number,
  level: Level,
  run: (server: Server) => Promise<void>,
  more: readonly string[] = needs,
): Check<Server> => ({ name, why, points, level, needs: more, run });

/** A check that begins after EHLO. */
const dialogue = (
  name: string,
  why: string,
  points: number,
  level: Level,
  run: (peer: SmtpPeer, offers: Map<string, string>) => Promise<void>,
  more?: readonly string[],
): Check<Server> =>
  check(name, why, points, level, async (server) => {
    using peer = await SmtpPeer.connect(server);
    await run(peer, await peer.hello());
  }, more);

/** A check of what the server has kept. */
const keeps = (
  name: string,
  why: string,
  points: number,
  level: Level,
  run: (server: Server, mailbox: Mailbox) => Promise<void>,
  more: readonly string[] = [...needs, "one client after another", "the mail is kept"],
): Check<Server> =>
  check(name, why, points, level, async (server) => {
    await run(server, mailboxes.of(server));
  }, more);

/** Sends a mail with these lines, dots added, on its own connection. */
async function deliver(server: Server, lines: readonly string[]): Promise<void> {
  using peer = await SmtpPeer.connect(server);
  await peer.hello();
  await peer.mail(lines.map((line) => `${line.startsWith(".") ? "." : ""}${line}\r\n`).join(""));
  await peer.ask("QUIT", [221], "answer QUIT with 221");
}

/**
 * A mail with a sequence that some servers take for its end, and commands after that. The commands must not be executed: the
 * mail ends only at CR LF . CR LF, and there it is refused or accepted as a whole.
 */
const smuggling = (name: string, end: string): Check<Server> =>
  dialogue(
    name,
    "RFC 5321 §2.3.8, §4.1.1.4: only CR LF . CR LF ends a mail; if something else does, an attacker can hide a forged " +
      "mail inside another one.",
    1,
    "strict",
    async (peer) => {
      await peer.data();
      await peer.peer.send(
        `Subject: one\r\n\r\nfirst${end}MAIL FROM:<smuggled@example.com>\r\nRCPT TO:<victim@example.com>\r\n`,
      );
      await peer.peer.send("DATA\r\nSubject: two\r\n\r\nsecond\r\n.\r\n");
      const first = await peer.next("reply at the end of the mail, CR LF . CR LF");
      if (!first) return; // the server has closed the connection, which is safe
      if (await peer.repliesAgain()) {
        fail(
          "one reply to one mail",
          "more than one",
          "end a mail only at \\r\\n.\\r\\n, and refuse a mail with a CR or LF alone: do not read it with a function " +
            "that takes other line ends, too",
        );
      }
    },
    [...needs, "several mails"],
  );

const basic: readonly Check<Server>[] = [
  check(
    "a mail",
    "RFC 5321 §3.3: the server greets with 220, answers EHLO, MAIL and each RCPT with 250, DATA with 354, the mail with " +
      "250, and QUIT with 221; then it closes the connection.",
    3,
    "basic",
    async (server) => {
      const random = mailboxes.find(server)?.random;
      using peer = await SmtpPeer.connect(server);
      await peer.hello();
      const to = Array.from({ length: random?.integer(2, 5) ?? 2 }, (_, i) => `b${i}@example.com`);
      await peer.data(to);
      await peer.peer.send(`${mail}.\r\n`);
      peer.expect(await peer.reply("answer 250 to the mail"), [250], "answer 250 after the line with the dot");
      await peer.ask("QUIT", [221], "answer QUIT with 221");
      if (await peer.next("close the connection after QUIT")) {
        fail("the end of the connection", "another reply", "close the connection after 221");
      }
    },
    [],
  ),
  check(
    "one client after another",
    "A server serves its next client after it has served one.",
    1,
    "basic",
    async (server) => {
      for (let i = 0; i < 4; i++) {
        using peer = await SmtpPeer.connect(server);
        await peer.hello();
        await peer.ask("QUIT", [221], "answer QUIT with 221, and go back to accept");
      }
    },
  ),
  keeps(
    "the mail is kept",
    "RFC 5321 §4.2.5, §6.1: with the 250 the server takes over responsibility. Here it keeps each mail, header and text, " +
      "in a file of its own below {mailbox}.",
    3,
    "basic",
    async (server, mailbox) => {
      const { mark, lines } = newMail(mailbox.random, ["Two lines,", "", "", "and empty ones between them."]);
      await deliver(server, lines);
      await expectKept(mailbox, mark, lines, "keep all lines that come after DATA, in their order, header and text");
    },
    needs,
  ),
  keeps(
    "each mail in its own file",
    "RFC 5321 §6.1: a server must not lose a mail that it has accepted: the next one is another file.",
    1,
    "basic",
    async (server, mailbox) => {
      const mails = [1, 2, 3].map(() => newMail(mailbox.random));
      for (const { lines } of mails) await deliver(server, lines);
      for (const { mark, lines } of mails) {
        await expectKept(mailbox, mark, lines, "choose a new name for each file: the time and a number, or a UUID");
      }
    },
  ),
  keeps(
    "dots",
    "RFC 5321 §4.5.2: the client adds a dot to each line that begins with one, and the server removes it. A line with " +
      "two dots does not end the mail.",
    2,
    "basic",
    async (server, mailbox) => {
      const { mark, lines } = newMail(mailbox.random, [".", "..", ".text", "...", "a.b", "."]);
      await deliver(server, lines);
      await expectKept(
        mailbox,
        mark,
        lines,
        "a line of the mail that begins with a dot: remove this one dot, and nothing else",
      );
    },
  ),
  keeps(
    "a long mail",
    "RFC 5321 §4.5.3.1.7: a server must accept mails of at least 64 KB. They arrive in many pieces.",
    2,
    "basic",
    async (server, mailbox) => {
      const text = Array.from({ length: 1500 }, () => words(mailbox.random, 8));
      const { mark, lines } = newMail(mailbox.random, text);
      await deliver(server, lines);
      await expectKept(mailbox, mark, lines, "call recv in a loop until \\r\\n.\\r\\n has arrived, and keep all of it");
    },
  ),
  check(
    "lines end in CR LF",
    "RFC 5321 §2.3.8: each line of a reply ends in CR LF (13, 10); some clients wait for ever after LF alone.",
    1,
    "basic",
    async (server) => {
      using peer = await SmtpPeer.connect(server);
      await peer.hello();
      if (peer.bareLf) {
        fail("replies that end in \\r\\n", "a line that ends in \\n alone", "end each line of a reply with \\r\\n");
      }
    },
  ),
  check(
    "HELO",
    "RFC 5321 §4.1.1.1: a client that does not know EHLO can send HELO.",
    1,
    "basic",
    async (server) => {
      using peer = await SmtpPeer.connect(server);
      await peer.ask("HELO check.example.com", [250], "answer HELO with 250");
      await peer.mail(mail);
    },
  ),
  dialogue(
    "several mails",
    "RFC 5321 §3.3: a connection can carry several mails, each with its own envelope.",
    2,
    "basic",
    async (peer) => {
      for (let i = 0; i < 3; i++) await peer.mail(mail);
      await peer.refusesData("forget sender and recipients after each mail: DATA needs new ones");
    },
  ),
  check(
    "commands in order",
    "RFC 5321 §4.1.4: EHLO, MAIL, RCPT, DATA: a command in the wrong order gets 503 (or another 5yz).",
    2,
    "basic",
    async (server) => {
      using peer = await SmtpPeer.connect(server);
      await peer.refuses("RCPT TO:<b@example.com>", "answer 503 to RCPT before MAIL");
      await peer.hello();
      await peer.refusesData("answer 503 to DATA before MAIL");
      await peer.from();
      await peer.refusesData("answer 503 to DATA before RCPT");
      await peer.refuses("MAIL FROM:<a@example.com>", "answer 503 to a second MAIL before the mail is sent");
    },
    [...needs, "several mails"],
  ),
  dialogue(
    "an unknown command",
    "RFC 5321 §4.2.4: an unknown command gets 500, and the connection stays usable.",
    1,
    "basic",
    async (peer) => {
      await peer.refuses("BREW coffee", "answer 500 to an unknown command");
      await peer.mail(mail);
    },
  ),
  dialogue(
    "upper and lower case",
    "RFC 5321 §2.4: commands are the same in upper and lower case.",
    1,
    "basic",
    async (peer) => {
      await peer.ask("mail from:<a@example.com>", [250], "compare commands without case: mail is MAIL");
      await peer.ask("Rcpt To:<b@example.com>", [250], "compare commands without case: Rcpt is RCPT");
      await peer.ask("rset", [250], "compare commands without case: rset is RSET");
    },
  ),
];

const robust: readonly Check<Server>[] = [
  check(
    "one byte at a time",
    "RFC 9293 §3.7: TCP may cut the commands anywhere, even in the middle of CR LF . CR LF.",
    2,
    "robust",
    async (server) => {
      using peer = await SmtpPeer.connect(server);
      const hint = "collect bytes until \\r\\n has arrived: one call of recv is not one line";
      const slowly = async (text: string, code: number) => {
        for (const char of text) {
          await peer.peer.send(char);
          await new Promise((go) => setTimeout(go, 1));
        }
        peer.expect(await peer.reply(hint), [code], hint);
      };
      await slowly("EHLO check\r\n", 250);
      await slowly("MAIL FROM:<a@b.c>\r\n", 250);
      await slowly("RCPT TO:<b@example.com>\r\n", 250);
      await slowly("DATA\r\n", 354);
      await slowly("a\r\n..\r\n.\r\n", 250);
    },
  ),
  check(
    "a silent client at the same time",
    "While one client sends nothing, and another half a mail, the others are served.",
    2,
    "robust",
    async (server) => {
      using _silent = await SmtpPeer.connect(server);
      const hint =
        "the server serves nobody else while it waits for the first client: give each its own thread or task";
      try {
        using half = await SmtpPeer.connect(server);
        await half.hello();
        await half.data();
        await half.peer.send("Subject: half a mail\r\n");
        using peer = await SmtpPeer.connect(server);
        await peer.hello();
        await peer.mail(mail);
      } catch (error) {
        if (error instanceof Error && /nothing in/.test(error.message)) fail("a reply", "nothing", hint);
        throw error;
      }
    },
  ),
  keeps(
    "a client that vanishes",
    "RFC 5321 §4.1.1.4: a mail is there when its last line has arrived: half a mail is not kept, and the server goes on.",
    1,
    "robust",
    async (server, mailbox) => {
      const mark = word(mailbox.random, 12);
      for (let i = 0; i < 3; i++) {
        using peer = await SmtpPeer.connect(server);
        await peer.hello();
        await peer.data();
        await peer.peer.send(`Subject: half\r\nX-Mark: ${mark}\r\n\r\nHalf a mail\r\n`);
      }
      await deliver(server, newMail(mailbox.random).lines);
      const [half] = await findMails(mailbox, mark, false);
      if (half !== undefined) fail("no file with half a mail", "one", "write the file after the line with the dot");
    },
  ),
  dialogue(
    "RSET",
    "RFC 5321 §4.1.1.5: RSET forgets sender and recipients, and nothing else.",
    1,
    "robust",
    async (peer) => {
      await peer.from();
      await peer.ask("RCPT TO:<b@example.com>", [250], "answer a correct RCPT with 250");
      await peer.ask("RSET", [250], "answer RSET with 250");
      await peer.refuses("RCPT TO:<b@example.com>", "after RSET forget the sender: RCPT needs a new MAIL");
      await peer.mail(mail);
    },
    [...needs, "commands in order"],
  ),
  dialogue(
    "EHLO in the middle",
    "RFC 5321 §4.1.4: EHLO forgets sender and recipients, as RSET does.",
    1,
    "robust",
    async (peer) => {
      await peer.from();
      await peer.hello();
      await peer.refuses("RCPT TO:<b@example.com>", "after EHLO forget the sender: RCPT needs a new MAIL");
    },
    [...needs, "commands in order"],
  ),
  dialogue(
    "the null sender",
    "RFC 5321 §4.5.5: a delivery notification has the empty sender <>, so that no program answers it.",
    1,
    "robust",
    async (peer) => {
      await peer.ask("MAIL FROM:<>", [250], "accept the sender <>");
      await peer.ask("RCPT TO:<b@example.com>", [250], "answer a correct RCPT with 250");
    },
  ),
  dialogue(
    "long lines",
    "RFC 5321 §4.5.3.1.6: a server must accept a line of 1000 octets, including CR LF.",
    1,
    "robust",
    async (peer) => await peer.mail(`Subject: long\r\n\r\n${"x".repeat(998)}\r\n`),
  ),
  check(
    "a line of a million bytes",
    "RFC 5321 §4.5.3.1.4: limit the length of a command line and answer 500, or a client can fill the server's memory.",
    1,
    "robust",
    async (server) => {
      {
        using peer = await SmtpPeer.connect(server);
        await peer.peer.send(`${"x".repeat(1_000_000)}\r\n`).catch(() => {}); // the server may close before the end
        const reply = await peer.next("answer 500, or close");
        if (reply && reply.code < 400) {
          fail("4yz, 5yz, or the end of the connection", `${reply.code}`, "limit the length of a command line");
        }
      }
      using other = await SmtpPeer.connect(server);
      await other.hello();
      await other.mail(mail);
    },
    [...needs, "a client that vanishes"],
  ),
  dialogue(
    "postmaster",
    "RFC 5321 §4.5.1: every server must accept mail for Postmaster, without a domain, in upper and lower case.",
    1,
    "robust",
    async (peer) => {
      await peer.from();
      await peer.ask("RCPT TO:<Postmaster>", [250], "accept RCPT TO:<Postmaster>");
    },
  ),
];

const strict: readonly Check<Server>[] = [
  dialogue(
    "malformed addresses",
    "RFC 5321 §4.1.2: the argument of MAIL and RCPT is an address in angle brackets; anything else gets 501.",
    1,
    "strict",
    async (peer) => {
      for (const path of ["", "<", "a b", "<a@b", "<a@b>>", "<a@@b>", "<a b@c>", "<@>", "<a@>"]) {
        await peer.refuses(`MAIL FROM:${path}`, "parse the address between the brackets, and answer 501");
      }
      await peer.from();
      await peer.refuses("RCPT TO:<>", "refuse RCPT TO:<>: a recipient must have an address");
    },
  ),
  dialogue(
    "a quoted local part",
    "RFC 5321 §4.1.2: a local part in quotes may contain a space.",
    1,
    "strict",
    async (peer) => void await peer.ask('MAIL FROM:<"a b"@example.com>', [250], "accept a quoted local part"),
  ),
  keeps(
    "bytes over 127",
    "RFC 6152: a server that offers 8BITMIME accepts bytes over 127, and keeps them.",
    1,
    "strict",
    async (server, mailbox) => {
      using peer = await SmtpPeer.connect(server);
      if (!(await peer.hello()).has("8BITMIME")) return;
      const { mark, lines } = newMail(mailbox.random, ["Grüße, 世界"]);
      await peer.ask("MAIL FROM:<a@example.com> BODY=8BITMIME", [250], "accept the parameter BODY");
      await peer.ask("RCPT TO:<b@example.com>", [250], "answer a correct RCPT with 250");
      await peer.ask("DATA", [354], "answer DATA with 354");
      await peer.peer.send(`${lines.join("\r\n")}\r\n.\r\n`);
      peer.expect(await peer.reply("accept the mail"), [250], "accept bytes over 127");
      await expectKept(mailbox, mark, lines, "read and write the mail as bytes, or with one encoding for all bytes");
    },
  ),
  dialogue(
    "SMTPUTF8",
    "RFC 6531: a server that offers SMTPUTF8 accepts letters beyond ASCII in addresses.",
    1,
    "strict",
    async (peer, offers) => {
      if (!offers.has("SMTPUTF8")) return;
      await peer.ask("MAIL FROM:<ü@exämple.com> SMTPUTF8", [250], "accept the parameter SMTPUTF8");
      await peer.ask("RCPT TO:<δοκιμή@example.com>", [250], "accept UTF-8 in an address");
    },
  ),
  dialogue(
    "too big",
    "RFC 1870 §6: a server that offers SIZE refuses a mail that says at MAIL that it is larger, with 552.",
    1,
    "strict",
    async (peer, offers) => {
      const most = Number(offers.get("SIZE") ?? 0);
      if (most === 0) return;
      const hint = "compare the parameter SIZE with the offered limit";
      await peer.ask(`MAIL FROM:<a@example.com> SIZE=${most + 1}`, [552, 452], hint);
      await peer.ask("MAIL FROM:<a@example.com> SIZE=100", [250], "accept a mail smaller than the limit");
    },
  ),
  dialogue(
    "unknown parameters",
    "RFC 5321 §4.1.1.11: an unknown parameter of MAIL gets 555.",
    1,
    "strict",
    async (peer) => await peer.refuses("MAIL FROM:<a@example.com> COLOUR=blue", "refuse unknown parameters with 555"),
  ),
  dialogue(
    "pipelining",
    "RFC 2920 §3.1: if the server offers PIPELINING, commands that arrive together are answered in their order.",
    1,
    "strict",
    async (peer, offers) => {
      if (!offers.has("PIPELINING")) return;
      await peer.peer.send(
        "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nNOOP\r\nRCPT TO:<c@example.com>\r\nDATA\r\n",
      );
      const codes: number[] = [];
      for (let i = 0; i < 5; i++) codes.push((await peer.reply("answer every command")).code);
      if (codes.join() !== "250,250,250,250,354") {
        fail(
          "250, 250, 250, 250, 354",
          codes.join(", "),
          "keep the bytes after the first line: they are the next command",
        );
      }
      await peer.peer.send(`${mail}.\r\nNOOP\r\nQUIT\r\n`);
      for (const code of [250, 250, 221]) {
        const hint = "keep the bytes that arrive after the dot: they are the next commands";
        peer.expect(await peer.reply(hint), [code], hint);
      }
    },
  ),
  smuggling("smuggling by LF . LF", "\n.\n"),
  smuggling("smuggling by LF . CR LF", "\n.\r\n"),
  smuggling("smuggling by CR . CR", "\r.\r"),
  smuggling("smuggling by CR LF . CR", "\r\n.\r"),
  smuggling("smuggling by CR LF . LF", "\r\n.\n"),
  dialogue(
    "commands after STARTTLS",
    "RFC 3207 §6: commands sent before the handshake must not be executed after it.",
    1,
    "strict",
    async (peer, offers) => {
      if (!offers.has("STARTTLS")) return;
      await peer.peer.send("STARTTLS\r\nNOOP\r\nMAIL FROM:<injected@example.com>\r\n");
      const first = await peer.next("answer STARTTLS");
      if (first?.code !== 220) return; // refused, or closed: both are safe
      if (await peer.repliesAgain()) {
        fail("nothing more before the handshake", "a reply", "discard the bytes that arrived with STARTTLS");
      }
    },
  ),
];

const suite: Suite = {
  role: "server",
  about: "an SMTP server that accepts mail for everyone, and keeps it",
  prepare: mailboxes.prepare,
  given:
    "{mailbox} (MAILBOX): a folder; each mail that is accepted is a file of its own in it or below it. {port} (PORT): where to listen, on 127.0.0.1.",
  limits: "It accepts mails of 100 KB and lines of 1000 bytes. It may add fields to the header of a mail.",
  sheet: "smtp/README.md#the-server",
  checks: [...basic, ...robust, ...strict],
};

export default suite;
