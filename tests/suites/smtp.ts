/**
 * Checks for an SMTP server that accepts mail for everyone from clients at 127.0.0.1. Each check names its section of the RFC;
 * an extension is checked only if EHLO offers it.
 *
 * @module
 */
import { SmtpPeer } from "./_smtp_peer.ts";
import { type Check, fail, type Server, type Suite } from "./_suite.ts";

const mail = "Subject: check\r\n\r\nHello.\r\n";

const check = (name: string, why: string, points: number, run: (server: Server) => Promise<void>): Check<Server> => (
  { name, why, points, run }
);

/** A check that begins after EHLO. */
const dialogue = (
  name: string,
  why: string,
  points: number,
  run: (peer: SmtpPeer, offers: Map<string, string>) => Promise<void>,
): Check<Server> =>
  check(name, why, points, async (server) => {
    using peer = await SmtpPeer.connect(server);
    await run(peer, await peer.hello());
  });

/**
 * A mail with a sequence that some servers take for its end, and commands after that. The commands must not be executed: the
 * mail ends only at CR LF . CR LF, and there it is refused or accepted as a whole.
 */
const smuggling = (name: string, end: string): Check<Server> =>
  dialogue(
    name,
    "RFC 5321 §2.3.8, §4.1.1.4: only CR LF . CR LF ends a mail; if something else does, an attacker can hide a forged mail inside another one.",
    2,
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
          "end a mail only at CR LF . CR LF, and refuse a CR or LF alone",
        );
      }
    },
  );

const suite: Suite = {
  role: "server",
  about: "an SMTP server that accepts mail for b@example.com",
  checks: [
    dialogue("a mail", "RFC 5321 §3.3: after MAIL, RCPT and DATA the server accepts the mail.", 3, async (peer) => {
      await peer.mail(mail);
      await peer.ask("QUIT", [221], "answer QUIT with 221");
      if (await peer.next("close after QUIT")) fail("the end of the connection", "another reply", "close after 221");
    }),
    check(
      "HELO",
      "RFC 5321 §4.1.1.1: a client that does not know EHLO can send HELO, and gets no extensions.",
      1,
      async (server) => {
        using peer = await SmtpPeer.connect(server);
        const { lines } = await peer.ask("HELO check.example.com", [250], "answer HELO with 250");
        if (lines.length > 1) fail("one line", `${lines.length}`, "offer no extensions in the reply to HELO");
        await peer.mail(mail);
      },
    ),
    dialogue(
      "several mails",
      "RFC 5321 §3.3: a connection can carry several mails, each with its own envelope.",
      2,
      async (peer) => {
        for (let i = 0; i < 3; i++) await peer.mail(mail);
        await peer.ask("DATA", [503, 554], "clear the envelope after each mail");
      },
    ),
    check("commands in order", "RFC 5321 §4.1.4: a command in the wrong order gets 503.", 2, async (server) => {
      using peer = await SmtpPeer.connect(server);
      await peer.ask("RCPT TO:<b@example.com>", [503, 501, 554], "refuse RCPT before MAIL");
      await peer.ask("DATA", [503, 554], "refuse DATA before RCPT");
      await peer.hello();
      await peer.ask("DATA", [503, 554], "refuse DATA before MAIL");
      await peer.ask("MAIL FROM:<a@example.com>", [250], "answer a correct MAIL with 250");
      await peer.ask("DATA", [503, 554], "refuse DATA without a recipient");
      await peer.ask("MAIL FROM:<a@example.com>", [503], "refuse a second MAIL before the mail is sent");
    }),
    dialogue("RSET", "RFC 5321 §4.1.1.5: RSET clears the envelope and nothing else.", 1, async (peer) => {
      await peer.ask("MAIL FROM:<a@example.com>", [250], "answer a correct MAIL with 250");
      await peer.ask("RCPT TO:<b@example.com>", [250], "answer a correct RCPT with 250");
      await peer.ask("RSET", [250], "answer RSET with 250");
      await peer.ask("RCPT TO:<b@example.com>", [503], "clear the sender, so that RCPT gets 503");
      await peer.mail(mail);
    }),
    dialogue("EHLO in the middle", "RFC 5321 §4.1.4: EHLO clears the envelope, as RSET does.", 1, async (peer) => {
      await peer.ask("MAIL FROM:<a@example.com>", [250], "answer a correct MAIL with 250");
      await peer.hello();
      await peer.ask("RCPT TO:<b@example.com>", [503], "clear the sender, so that RCPT gets 503");
    }),
    dialogue(
      "upper and lower case",
      "RFC 5321 §2.4: commands are the same in upper and lower case.",
      1,
      async (peer) => {
        await peer.ask("mail from:<a@example.com>", [250], "accept mail like MAIL");
        await peer.ask("Rcpt To:<b@example.com>", [250], "accept Rcpt like RCPT");
        await peer.ask("rset", [250], "accept rset like RSET");
        await peer.ask("nOoP", [250], "accept nOoP like NOOP");
      },
    ),
    dialogue(
      "an unknown command",
      "RFC 5321 §4.2.4: an unknown command gets 500, and the connection stays usable.",
      1,
      async (peer) => {
        await peer.ask("BREW coffee", [500, 502], "answer 500 to an unknown command");
        await peer.mail(mail);
      },
    ),
    dialogue(
      "malformed addresses",
      "RFC 5321 §4.1.2: the argument of MAIL and RCPT is an address in angle brackets; anything else gets 501.",
      2,
      async (peer) => {
        for (const path of ["", "<", "a b", "<a@b", "<a@b>>", "<a@@b>", "<a b@c>", "<@>", "<a@>"]) {
          const { code } = await (async () => {
            await peer.peer.send(`MAIL FROM:${path}\r\n`);
            return await peer.reply("answer a malformed address with 501");
          })();
          if (code < 500 || code > 599) {
            fail(
              `5xx to MAIL FROM:${path}`,
              `${code}`,
              "parse the address between the brackets, and answer 501",
            );
          }
        }
        await peer.ask("MAIL FROM:<a@example.com>", [250], "answer a correct MAIL with 250");
        await peer.ask("RCPT TO:<>", [501, 550, 553, 554, 555], "refuse RCPT TO:<>: a recipient must have an address");
      },
    ),
    dialogue(
      "a quoted local part",
      "RFC 5321 §4.1.2: a local part in quotes may contain nearly any character.",
      1,
      async (peer) => {
        await peer.ask('MAIL FROM:<"a b@c>d"@example.com>', [250], "accept a quoted local part");
      },
    ),
    dialogue(
      "the null sender",
      "RFC 5321 §4.5.5: a delivery notification has the empty sender <>, so that no program answers it.",
      1,
      async (peer) => {
        await peer.ask("MAIL FROM:<>", [250], "accept the sender <>");
        await peer.ask("RCPT TO:<b@example.com>", [250], "answer a correct RCPT with 250");
      },
    ),
    dialogue(
      "postmaster",
      "RFC 5321 §4.5.1: every server must accept mail for Postmaster, without a domain.",
      1,
      async (peer) => {
        await peer.ask("MAIL FROM:<a@example.com>", [250], "answer a correct MAIL with 250");
        await peer.ask("RCPT TO:<Postmaster>", [250], "accept it in upper and lower case");
      },
    ),
    dialogue(
      "dots",
      "RFC 5321 §4.5.2: the client adds a dot to each line that starts with one, so a line with two dots does not end the mail.",
      2,
      async (peer) => {
        await peer.mail("Subject: dots\r\n\r\n..\r\n...\r\n..text\r\n");
        await peer.mail(""); // no content
      },
    ),
    dialogue(
      "long lines",
      "RFC 5321 §4.5.3.1.6: a server must accept a line of 1000 octets, including CR LF.",
      1,
      async (peer) => {
        await peer.mail(`Subject: long\r\n\r\n${"x".repeat(998)}\r\n`);
      },
    ),
    dialogue(
      "bytes over 127",
      "RFC 6152: a server that offers 8BITMIME must accept bytes over 127.",
      1,
      async (peer, offers) => {
        if (!offers.has("8BITMIME")) return;
        await peer.ask("MAIL FROM:<a@example.com> BODY=8BITMIME", [250], "accept the parameter BODY");
        await peer.ask("RCPT TO:<b@example.com>", [250], "answer a correct RCPT with 250");
        await peer.ask("DATA", [354], "answer DATA with 354");
        await peer.peer.send("Subject: 8\r\n\r\nGrüße, 世界\r\n.\r\n");
        peer.expect(await peer.reply("accept the mail"), [250], "accept bytes over 127");
      },
    ),
    dialogue(
      "SMTPUTF8",
      "RFC 6531: a server that offers SMTPUTF8 must accept letters beyond ASCII in addresses.",
      1,
      async (peer, offers) => {
        if (!offers.has("SMTPUTF8")) return;
        await peer.ask("MAIL FROM:<ü@exämple.com> SMTPUTF8", [250], "accept the parameter SMTPUTF8");
        await peer.ask("RCPT TO:<δοκιμή@example.com>", [250], "accept UTF-8 in an address");
      },
    ),
    dialogue(
      "too big",
      "RFC 1870 §6: a mail larger than SIZE gets 552, if possible already at MAIL.",
      1,
      async (peer, offers) => {
        const most = Number(offers.get("SIZE") ?? 0);
        if (most === 0) return;
        await peer.ask(
          `MAIL FROM:<a@example.com> SIZE=${most + 1}`,
          [552],
          "compare the parameter SIZE with the offered limit",
        );
        await peer.ask("MAIL FROM:<a@example.com> SIZE=100", [250], "accept a mail smaller than the limit");
      },
    ),
    dialogue("unknown parameters", "RFC 5321 §4.1.1.11: an unknown parameter gets 555.", 1, async (peer) => {
      await peer.ask("MAIL FROM:<a@example.com> COLOUR=blue", [555, 501, 504], "refuse unknown parameters with 555");
    }),
    dialogue(
      "pipelining",
      "RFC 2920 §3.1: commands that arrive together are answered in their order.",
      2,
      async (peer, offers) => {
        if (!offers.has("PIPELINING")) return;
        await peer.peer.send(
          "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nBREW\r\nRCPT TO:<c@example.com>\r\nDATA\r\n",
        );
        const codes: number[] = [];
        for (let i = 0; i < 5; i++) codes.push((await peer.reply("answer every command")).code);
        if (!/^250,250,50\d,250,354$/.test(codes.join())) {
          fail(
            "250,250,500,250,354",
            codes.join(),
            "answer each command in its turn",
          );
        }
        await peer.peer.send(`${mail}.\r\nNOOP\r\nQUIT\r\n`);
        for (const code of [250, 250, 221]) {
          peer.expect(
            await peer.reply("answer the commands after the mail"),
            [code],
            "keep the bytes that arrive after the dot",
          );
        }
      },
    ),
    check(
      "one byte at a time",
      "RFC 9293 §3.7: TCP may cut the commands anywhere, even in the middle of CR LF . CR LF.",
      2,
      async (server) => {
        using peer = await SmtpPeer.connect(server);
        const slowly = async (text: string, code: number) => {
          for (const char of text) {
            await peer.peer.send(char);
            await new Promise((go) => setTimeout(go, 1));
          }
          peer.expect(await peer.reply("read until CR LF"), [code], "read until CR LF");
        };
        await slowly("EHLO check\r\n", 250);
        await slowly("MAIL FROM:<a@b.c>\r\n", 250);
        await slowly("RCPT TO:<b@example.com>\r\n", 250);
        await slowly("DATA\r\n", 354);
        await slowly("a\r\n..\r\n.\r\n", 250);
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
      2,
      async (peer, offers) => {
        if (!offers.has("STARTTLS")) return;
        await peer.peer.send("STARTTLS\r\nNOOP\r\nMAIL FROM:<injected@example.com>\r\n");
        const first = await peer.next("answer STARTTLS");
        if (first?.code !== 220) return; // refused, or closed: both are safe
        if (await peer.repliesAgain()) {
          fail(
            "nothing more before the handshake",
            "a reply",
            "discard the bytes that arrived with STARTTLS",
          );
        }
      },
    ),
    check(
      "a line of a million bytes",
      "RFC 5321 §4.5.3.1.4: limit the length of a command line and answer 500, or a client can fill the server's memory.",
      1,
      async (server) => {
        using peer = await SmtpPeer.connect(server);
        await peer.peer.send(`${"x".repeat(1_000_000)}\r\n`).catch(() => {}); // the server may close before it has read all of it
        const reply = await peer.next("answer 500, or close");
        if (reply && reply.code < 400) {
          fail("4xx, 5xx, or the end of the connection", `${reply.code}`, "limit the length of a command line");
        }
        using other = await SmtpPeer.connect(server);
        await other.hello();
        await other.mail(mail);
      },
    ),
    check(
      "a silent client at the same time",
      "While one client sends nothing, the others must be served.",
      2,
      async (server) => {
        using _silent = await SmtpPeer.connect(server);
        using half = await SmtpPeer.connect(server);
        await half.hello();
        await half.data();
        await half.peer.send("Subject: half a mail\r\n");
        using peer = await SmtpPeer.connect(server);
        await peer.hello();
        await peer.mail(mail);
      },
    ),
    check(
      "a client that vanishes",
      "A mail whose connection ended too early must be discarded, and the server must keep running.",
      1,
      async (server) => {
        for (let i = 0; i < 3; i++) {
          using peer = await SmtpPeer.connect(server);
          await peer.hello();
          await peer.data();
          await peer.peer.send("Subject: half\r\n");
        }
        using peer = await SmtpPeer.connect(server);
        await peer.hello();
        await peer.mail(mail);
      },
    ),
  ],
};

export default suite;
