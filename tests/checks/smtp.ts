/**
 * Checks for an SMTP server that takes mail for anyone from anyone at 127.0.0.1. Each quotes the section that it is about; what
 * is an extension is looked at where EHLO offers it.
 *
 * @module
 */
import { type Reply, ReplyError, ReplyParser } from "../../smtp/reply.ts";
import { type Check, fail, Gone, inTime, limits, Peer, quote, type Server, type Suite } from "./suite.ts";

/** A client of the server under check. */
export class SmtpPeer {
  readonly #parser = new ReplyParser();
  readonly #replies: Reply[] = [];

  private constructor(readonly peer: Peer) {}

  /** Connects and takes the greeting. */
  static async connect(server: Server): Promise<SmtpPeer> {
    const peer = new SmtpPeer(await Peer.connect(server));
    try {
      peer.expect(await peer.reply("greet"), [220], "greet with 220");
      return peer;
    } catch (error) {
      peer.peer.close(); // a server that serves one at a time is not kept from the next
      throw error;
    }
  }

  /** The next reply; `undefined` when the connection ends instead, be it by a reset. */
  async next(hint: string): Promise<Reply | undefined> {
    while (this.#replies.length === 0) {
      let bytes: Uint8Array;
      try {
        bytes = await this.peer.some(hint);
      } catch (error) {
        if (error instanceof Gone) return undefined;
        throw error;
      }
      if (bytes.length === 0) return undefined;
      try {
        this.#replies.push(...this.#parser.push(bytes));
      } catch (error) {
        if (!(error instanceof ReplyError)) throw error;
        fail("a reply: three digits, a space or a hyphen, text", quote(bytes), "RFC 5321 §4.2");
      }
    }
    return this.#replies.shift();
  }

  async reply(hint: string): Promise<Reply> {
    return await this.next(hint) ?? fail("a reply", "the end of the connection", hint);
  }

  /** Whether something more has been said within a moment. */
  async saysMore(): Promise<boolean> {
    const more = await inTime(this.next("").catch(() => undefined), Math.min(300, limits.patience));
    return more !== undefined;
  }

  expect(reply: Reply, codes: number[], hint: string): Reply {
    if (!codes.includes(reply.code)) fail(codes.join(" or "), `${reply.code} ${reply.lines.join(" / ")}`, hint);
    return reply;
  }

  /** A command, and a reply with one of these codes. */
  async ask(command: string, codes: number[], hint: string): Promise<Reply> {
    await this.peer.send(`${command}\r\n`);
    return this.expect(await this.reply(hint), codes, hint);
  }

  /** EHLO; returns what is offered, by its first word. */
  async hello(): Promise<Map<string, string>> {
    const { lines } = await this.ask("EHLO check.example.com", [250], "answer EHLO with 250");
    return new Map(
      lines.slice(1).map((line) => {
        const [name = "", ...rest] = line.split(" ");
        return [name.toUpperCase(), rest.join(" ")];
      }),
    );
  }

  /** Everything up to the 354 of DATA. */
  async data(to = ["b@example.com"]): Promise<void> {
    await this.ask("MAIL FROM:<a@example.com>", [250], "take a sender");
    for (const mailbox of to) await this.ask(`RCPT TO:<${mailbox}>`, [250], "take a recipient");
    await this.ask("DATA", [354], "answer DATA with 354");
  }

  /** A whole mail, which is to be taken. */
  async mail(content: string): Promise<void> {
    await this.data();
    await this.peer.send(`${content}.\r\n`);
    this.expect(await this.reply("take the mail"), [250], "take the mail");
  }

  [Symbol.dispose](): void {
    this.peer.close();
  }
}

const mail = "Subject: check\r\n\r\nHello.\r\n";

const check = (name: string, why: string, points: number, run: (server: Server) => Promise<void>): Check<Server> => (
  { name, why, points, run }
);

/** A check that talks to a server which has been greeted. */
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
 * A content that one server may take for the end of a mail and another not, with commands behind it. They must not be
 * carried out: the mail ends only where the standard says, and is refused or taken as a whole there.
 */
const smuggling = (name: string, end: string): Check<Server> =>
  dialogue(
    name,
    "RFC 5321 §2.3.8, §4.1.1.4: only CR LF . CR LF ends a mail; else a forged one can ride in another.",
    2,
    async (peer) => {
      await peer.data();
      await peer.peer.send(
        `Subject: one\r\n\r\nfirst${end}MAIL FROM:<smuggled@example.com>\r\nRCPT TO:<victim@example.com>\r\n`,
      );
      await peer.peer.send("DATA\r\nSubject: two\r\n\r\nsecond\r\n.\r\n");
      const first = await peer.next("answer at the true end of the mail");
      if (!first) return; // closed: safe
      if (await peer.saysMore()) {
        fail(
          "one reply, to one mail",
          "more than one",
          "take only CR LF . CR LF for the end, and refuse bare CR and LF",
        );
      }
    },
  );

const suite: Suite = {
  role: "server",
  about: "an SMTP server that takes mail for b@example.com",
  checks: [
    dialogue("a mail", "RFC 5321 §3.3: MAIL, RCPT, DATA, and the mail is taken.", 3, async (peer) => {
      await peer.mail(mail);
      await peer.ask("QUIT", [221], "answer QUIT with 221");
      if (await peer.next("close after QUIT")) fail("the end of the connection", "another reply", "close after 221");
    }),
    check(
      "HELO",
      "RFC 5321 §4.1.1.1: a client that knows no EHLO is served, with no extensions.",
      1,
      async (server) => {
        using peer = await SmtpPeer.connect(server);
        const { lines } = await peer.ask("HELO check.example.com", [250], "answer HELO with 250");
        if (lines.length > 1) fail("one line", `${lines.length}`, "HELO offers no extensions");
        await peer.mail(mail);
      },
    ),
    dialogue(
      "several mails",
      "RFC 5321 §3.3: a connection carries mail after mail, each with an envelope of its own.",
      2,
      async (peer) => {
        for (let i = 0; i < 3; i++) await peer.mail(mail);
        await peer.ask("DATA", [503, 554], "the envelope is gone with its mail");
      },
    ),
    check("commands in order", "RFC 5321 §4.1.4: what comes too early is 503.", 2, async (server) => {
      using peer = await SmtpPeer.connect(server);
      await peer.ask("RCPT TO:<b@example.com>", [503, 501, 554], "no RCPT before MAIL");
      await peer.ask("DATA", [503, 554], "no DATA before RCPT");
      await peer.hello();
      await peer.ask("DATA", [503, 554], "no DATA before MAIL");
      await peer.ask("MAIL FROM:<a@example.com>", [250], "take a sender");
      await peer.ask("DATA", [503, 554], "no DATA without a recipient");
      await peer.ask("MAIL FROM:<a@example.com>", [503], "no MAIL inside of a mail");
    }),
    dialogue("RSET", "RFC 5321 §4.1.1.5: it forgets the envelope and nothing else.", 1, async (peer) => {
      await peer.ask("MAIL FROM:<a@example.com>", [250], "take a sender");
      await peer.ask("RCPT TO:<b@example.com>", [250], "take a recipient");
      await peer.ask("RSET", [250], "answer RSET with 250");
      await peer.ask("RCPT TO:<b@example.com>", [503], "the sender is forgotten");
      await peer.mail(mail);
    }),
    dialogue("EHLO in the middle", "RFC 5321 §4.1.4: EHLO starts anew, as RSET does.", 1, async (peer) => {
      await peer.ask("MAIL FROM:<a@example.com>", [250], "take a sender");
      await peer.hello();
      await peer.ask("RCPT TO:<b@example.com>", [503], "the sender is forgotten");
    }),
    dialogue("upper and lower case", "RFC 5321 §2.4: commands have no case.", 1, async (peer) => {
      await peer.ask("mail from:<a@example.com>", [250], "mail is MAIL");
      await peer.ask("Rcpt To:<b@example.com>", [250], "Rcpt is RCPT");
      await peer.ask("rset", [250], "rset is RSET");
      await peer.ask("nOoP", [250], "nOoP is NOOP");
    }),
    dialogue("an unknown command", "RFC 5321 §4.2.4: 500, and the dialogue goes on.", 1, async (peer) => {
      await peer.ask("BREW coffee", [500, 502], "answer 500 to what is no command");
      await peer.mail(mail);
    }),
    dialogue("malformed addresses", "RFC 5321 §4.1.2: a path is a mailbox in angle brackets.", 2, async (peer) => {
      for (const path of ["", "<", "a b", "<a@b", "<a@b>>", "<a@@b>", "<a b@c>", "<@>", "<a@>"]) {
        const { code } = await (async () => {
          await peer.peer.send(`MAIL FROM:${path}\r\n`);
          return await peer.reply("answer 501");
        })();
        if (code < 500 || code > 599) fail(`5xx to MAIL FROM:${path}`, `${code}`, "parse what is between the brackets");
      }
      await peer.ask("MAIL FROM:<a@example.com>", [250], "take a sender");
      await peer.ask("RCPT TO:<>", [501, 550, 553, 554, 555], "nobody is no recipient");
    }),
    dialogue(
      "a quoted local part",
      "RFC 5321 §4.1.2: what stands in quotes may hold nearly anything.",
      1,
      async (peer) => {
        await peer.ask('MAIL FROM:<"a b@c>d"@example.com>', [250], "parse quoted strings");
      },
    ),
    dialogue(
      "the null sender",
      "RFC 5321 §4.5.5: a notification is from nobody, so that nobody answers it.",
      1,
      async (peer) => {
        await peer.ask("MAIL FROM:<>", [250], "take <>");
        await peer.ask("RCPT TO:<b@example.com>", [250], "take a recipient");
      },
    ),
    dialogue(
      "postmaster",
      "RFC 5321 §4.5.1: mail for Postmaster, without a domain, is taken everywhere.",
      1,
      async (peer) => {
        await peer.ask("MAIL FROM:<a@example.com>", [250], "take a sender");
        await peer.ask("RCPT TO:<Postmaster>", [250], "take it, in any case");
      },
    ),
    dialogue(
      "dots",
      "RFC 5321 §4.5.2: a line that starts with a dot has one more; two dots end nothing.",
      2,
      async (peer) => {
        await peer.mail("Subject: dots\r\n\r\n..\r\n...\r\n..text\r\n");
        await peer.mail(".\r\n".replace(".\r\n", "")); // no content at all
      },
    ),
    dialogue(
      "long lines",
      "RFC 5321 §4.5.3.1.6: a line of 1000 octets, with its CR LF, must be taken.",
      1,
      async (peer) => {
        await peer.mail(`Subject: long\r\n\r\n${"x".repeat(998)}\r\n`);
      },
    ),
    dialogue("bytes over 127", "RFC 6152: where 8BITMIME is offered, so are they.", 1, async (peer, offers) => {
      if (!offers.has("8BITMIME")) return;
      await peer.ask("MAIL FROM:<a@example.com> BODY=8BITMIME", [250], "take the parameter BODY");
      await peer.ask("RCPT TO:<b@example.com>", [250], "take a recipient");
      await peer.ask("DATA", [354], "answer DATA with 354");
      await peer.peer.send("Subject: 8\r\n\r\nGrüße, 世界\r\n.\r\n");
      peer.expect(await peer.reply("take the mail"), [250], "take bytes over 127");
    }),
    dialogue("SMTPUTF8", "RFC 6531: where it is offered, an address may have any letters.", 1, async (peer, offers) => {
      if (!offers.has("SMTPUTF8")) return;
      await peer.ask("MAIL FROM:<ü@exämple.com> SMTPUTF8", [250], "take the parameter SMTPUTF8");
      await peer.ask("RCPT TO:<δοκιμή@example.com>", [250], "take UTF-8 in an address");
    }),
    dialogue(
      "too big",
      "RFC 1870 §6: what is larger than SIZE is 552, as soon as that is known.",
      1,
      async (peer, offers) => {
        const most = Number(offers.get("SIZE") ?? 0);
        if (most === 0) return;
        await peer.ask(`MAIL FROM:<a@example.com> SIZE=${most + 1}`, [552], "compare SIZE with what is offered");
        await peer.ask("MAIL FROM:<a@example.com> SIZE=100", [250], "what is smaller is taken");
      },
    ),
    dialogue("unknown parameters", "RFC 5321 §4.1.1.11: 555, not a guess.", 1, async (peer) => {
      await peer.ask("MAIL FROM:<a@example.com> COLOUR=blue", [555, 501, 504], "refuse what is not known");
    }),
    dialogue(
      "pipelining",
      "RFC 2920 §3.1: commands that come together are answered in their order.",
      2,
      async (peer, offers) => {
        if (!offers.has("PIPELINING")) return;
        await peer.peer.send(
          "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nBREW\r\nRCPT TO:<c@example.com>\r\nDATA\r\n",
        );
        const codes: number[] = [];
        for (let i = 0; i < 5; i++) codes.push((await peer.reply("answer all of them")).code);
        if (!/^250,250,50\d,250,354$/.test(codes.join())) {
          fail(
            "250,250,500,250,354",
            codes.join(),
            "answer each in its turn",
          );
        }
        await peer.peer.send(`${mail}.\r\nNOOP\r\nQUIT\r\n`);
        for (const code of [250, 250, 221]) {
          peer.expect(
            await peer.reply("go on after the mail"),
            [code],
            "keep what comes after the dot",
          );
        }
      },
    ),
    check(
      "one byte at a time",
      "RFC 9293 §3.7: TCP may cut a dialogue anywhere, also inside of CR LF . CR LF.",
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
      "commands behind STARTTLS",
      "RFC 3207 §6: what was sent in the clear must not be taken as said under TLS.",
      2,
      async (peer, offers) => {
        if (!offers.has("STARTTLS")) return;
        await peer.peer.send("STARTTLS\r\nNOOP\r\nMAIL FROM:<injected@example.com>\r\n");
        const first = await peer.next("answer STARTTLS");
        if (first?.code !== 220) return; // refused, or closed: safe
        if (await peer.saysMore()) {
          fail(
            "nothing more before the handshake",
            "a reply",
            "throw away what came with STARTTLS",
          );
        }
      },
    ),
    check(
      "a line of a million bytes",
      "RFC 5321 §4.5.3.1.4: a command line that is longer than any should be is 500, not memory.",
      1,
      async (server) => {
        using peer = await SmtpPeer.connect(server);
        await peer.peer.send(`${"x".repeat(1_000_000)}\r\n`).catch(() => {}); // it may close before all has come
        const reply = await peer.next("answer 500, or close");
        if (reply && reply.code < 400) fail("4xx, 5xx, or the end", `${reply.code}`, "limit the line");
        using other = await SmtpPeer.connect(server);
        await other.hello();
        await other.mail(mail);
      },
    ),
    check(
      "a client that is silent beside",
      "While one client says nothing the others must be served.",
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
      "A mail that was broken off is no mail, and no reason to stop.",
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
