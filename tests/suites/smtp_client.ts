/**
 * Checks for a mail client that sends one mail, without TLS and without a password: here the suite plays the server. Recipient
 * and text differ in every run.
 *
 * @module
 */
import { DataDecoder } from "../../smtp/_data.ts";
import { parseMail } from "../../smtp/_inbox_mail.ts";
import { count, printable } from "../../cli.ts";
import type { Program } from "../support/program.ts";
import { complained, noServer, playServer, succeeded } from "./_clients.ts";
import type { Peer } from "./_peer.ts";
import { type Random, word, words } from "./_random.ts";
import { type Check, type Client, contentOf, fail, Gone, quote, type Suite } from "./_suite.ts";

/** The mail that the client is told to send. */
interface Order {
  readonly to: string;
  /** The text, with \n between its lines. */
  readonly text: string;
  /** A text with lines that begin with a dot. */
  readonly dots: string;
}

const makeOrder = (random: Random): Order => ({
  to: `${word(random)}@${word(random)}.example`,
  text: `Hello ${word(random)},\n\n${words(random, 8)}\n${words(random, 8)}`,
  dots: `${words(random, 3)}\n.\n.${words(random, 3)}\n..\n${words(random, 2)}.\nThe end of ${word(random)}`,
});

const orders = contentOf((random) => {
  const content = makeOrder(random);
  return { content, values: { to: content.to, text: content.text } };
});
const orderOf = orders.of;

type Verb = "EHLO" | "HELO" | "MAIL" | "RCPT" | "DATA" | "QUIT";

/** The server's reply to each command, its greeting, and its reply to the mail. `undefined`: it closes the connection instead. */
type Script = Partial<Record<"greeting" | Verb | "content", string | undefined>>;

const usualScript = {
  greeting: "220 check.example.com ESMTP\r\n",
  EHLO: "250-check.example.com\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
  HELO: "250 check.example.com\r\n",
  MAIL: "250 2.1.0 ok\r\n",
  RCPT: "250 2.1.5 ok\r\n",
  DATA: "354 send the mail\r\n",
  content: "250 2.0.0 accepted\r\n",
  QUIT: "221 2.0.0 bye\r\n",
};

interface Served {
  readonly commands: string[];
  /** The mail, without the added dots; undefined if none arrived. */
  content?: Uint8Array<ArrayBuffer>;
  /** Whether a line of a command or of the mail ends in LF alone. */
  bareLf: boolean;
}

interface Played extends Served {
  readonly program: Program;
}

const wholeReply = "a reply may have several lines: read on until a line has a space, and not a hyphen, after its code";

/** Plays the server for one run of the client. `pieces` is how many bytes of a reply are sent at a time. */
async function play(client: Client, changes: Script, pieces = 1000, text = orderOf(client).text): Promise<Played> {
  const served: Served = { commands: [], bareLf: false };
  const { program } = await playServer(
    client,
    "after the reply to QUIT close the connection, and exit",
    async (peer) => {
      await new Conversation(peer, { ...usualScript, ...changes }, pieces, served).run();
      peer.close();
    },
    () => ({ to: orderOf(client).to, text }),
  );
  return { ...served, program };
}

/** The server's side of one connection. As a real server does, it refuses what cannot follow: RCPT after a refused MAIL. */
class Conversation {
  #sender = false;
  #recipients = 0;

  constructor(
    readonly peer: Peer,
    readonly script: Script,
    readonly pieces: number,
    readonly served: Served,
  ) {}

  /** Serves the client up to QUIT or the end of the connection. */
  async run(): Promise<void> {
    if (!await this.#reply(this.script.greeting)) return;
    let refused = false;
    for (let line = await this.#line(); line !== ""; line = await this.#line()) {
      this.served.commands.push(line.trimEnd());
      const verb = (line.split(/[ :\r\n]/)[0] ?? "").toUpperCase();
      if (verb === "QUIT") {
        await this.#reply(this.script.QUIT).catch(() => {}); // the client may not wait for this reply
        return;
      }
      const answer = this.#answer(verb);
      try {
        if (!await this.#reply(answer)) return;
      } catch (error) {
        // A client that sent several commands at once (RFC 2920) may leave at the first refusal, and not wait for the other replies.
        if (refused && error instanceof Gone) return;
        if (!(error instanceof Gone)) throw error;
        fail(
          "the client to read the reply to each command",
          `a client that has left before it has read the one to ${printable(line.trimEnd())}`,
          wholeReply,
        );
      }
      refused ||= /^[45]/.test(answer ?? "");
      if (verb !== "DATA" || this.#recipients === 0 || !this.script.DATA?.startsWith("354")) continue;
      await this.#mail();
      this.#sender = false;
      this.#recipients = 0;
      // A client may not wait for this reply either: that is for the checks to find out.
      if (!await this.#reply(this.script.content).catch(() => false)) return;
    }
  }

  #answer(verb: string): string | undefined {
    switch (verb) {
      case "EHLO":
      case "HELO":
        return this.script[verb];
      case "MAIL":
        this.#sender = this.script.MAIL?.startsWith("2") ?? false;
        return this.script.MAIL;
      case "RCPT":
        if (!this.#sender) return "503 5.5.1 MAIL first\r\n";
        if (this.script.RCPT?.startsWith("2")) this.#recipients++;
        return this.script.RCPT;
      case "DATA":
        return this.#recipients > 0 ? this.script.DATA : "503 5.5.1 RCPT first\r\n";
      case "RSET":
      case "NOOP":
        return "250 ok\r\n";
      default:
        return "502 5.5.1 not implemented\r\n";
    }
  }

  /** Sends a reply; returns false if the server must close the connection instead. */
  async #reply(text: string | undefined): Promise<boolean> {
    if (text === undefined) return false;
    for (let at = 0; at < text.length; at += this.pieces) {
      try {
        await this.peer.send(text.slice(at, at + this.pieces));
      } catch (error) {
        if (!(error instanceof Gone) || this.pieces >= text.length) throw error;
        fail(
          "the client to wait for the rest of the reply",
          `a client that has left after ${count(at, "byte")} of it`,
          "a reply is a whole line: call recv again until its \\r\\n has arrived",
        );
      }
      if (this.pieces < 1000) await new Promise((go) => setTimeout(go, 2));
    }
    return true;
  }

  /** Reads a line with its end; "" at the end of the connection, even in the middle of a line. */
  async #line(): Promise<string> {
    let line = "";
    while (!line.endsWith("\n")) {
      const more = await this.peer.upTo(1); // byte by byte, because what follows may be the mail
      if (more.length === 0) return "";
      line += new TextDecoder("latin1").decode(more);
    }
    if (!line.endsWith("\r\n")) this.served.bareLf = true;
    return line;
  }

  /** Reads the mail up to its end, and removes the added dots. */
  async #mail(): Promise<void> {
    const decoder = new DataDecoder(Infinity);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let ending = ""; // the last bytes, to recognize an end in LF . LF
    while (!decoder.done) {
      const more = await this.peer.upTo(1);
      if (more.length === 0) {
        const lf = ending.endsWith("\n.\n");
        fail(
          "the end of the mail: a line with a dot alone",
          lf ? "a dot between two LF" : "nothing more",
          // A client that has taken 250 for the answer to DATA leaves, perhaps with QUIT.
          ending === "" || ending === "QUIT\r\n"
            ? `send the mail after 354; ${wholeReply}`
            : lf
            ? "end each line of the mail with \\r\\n, also the last one: \\r\\n.\\r\\n"
            : "end the mail with \\r\\n.\\r\\n",
        );
      }
      ending = (ending + String.fromCharCode(more[0] ?? 0)).slice(-7); // QUIT, and the byte before it
      decoder.push(more, (part) => parts.push(part.slice()));
    }
    if (decoder.fault === "bare") this.served.bareLf = true;
    this.served.content = new Uint8Array(await new Blob(parts).arrayBuffer());
  }
}

function delivered({ program, content, commands }: Played, hint: string): void {
  if (content === undefined) {
    const got = commands.map(printable).join(" / ");
    fail("EHLO, MAIL, RCPT, DATA, and a mail", got || "no command", hint);
  }
  succeeded(program, hint);
}

const needs = ["a mail"];

const delivers = (
  name: string,
  why: string,
  points: number,
  level: Check<Client>["level"],
  script: Script,
  hint: string,
  pieces?: number,
): Check<Client> => ({
  ...{ name, why, points, level, needs },
  run: async (client) => delivered(await play(client, script, pieces), hint),
});

const complains = (
  name: string,
  why: string,
  level: Check<Client>["level"],
  script: Script,
  about: string,
  more: readonly string[] = [],
): Check<Client> => ({
  ...{ name, why, level, points: 1, needs: [...needs, "no server", ...more] },
  async run(client) {
    const played = await play(client, script);
    complained(played.program, about);
    if (played.content !== undefined && !("content" in script)) {
      fail("no mail to be sent after that", "a mail", `stop at ${about}`);
    }
  },
});

/** The text of a mail, decoded, with \n between its lines. */
async function textOf(content: Uint8Array<ArrayBuffer>): Promise<string> {
  const { text } = await parseMail(content);
  return (text ?? "").replaceAll("\r\n", "\n").trimEnd();
}

/** Fails unless the mail has this text. Names the first line that is wrong. */
async function expectText(content: Uint8Array<ArrayBuffer> | undefined, wanted: string, hint: string): Promise<void> {
  const got = await textOf(content ?? new Uint8Array());
  if (got === wanted) return;
  const [lines, theirs] = [wanted.split("\n"), got.split("\n")];
  const at = lines.findIndex((line, i) => line !== theirs[i]);
  const show = (line: string | undefined) =>
    line === undefined ? "the end of the mail" : line === "" ? "an empty line" : quote(new TextEncoder().encode(line));
  if (at < 0) fail("the end of the mail", show(theirs[lines.length]), hint);
  fail(`${show(lines[at])} as line ${at + 1} of the text`, got === "" ? "no text" : show(theirs[at]), hint);
}

const refusal = "550 5.1.1 no such mailbox\r\n";

const suite: Suite = {
  role: "client",
  about: "a mail client that sends one mail",
  prepare: orders.prepare,
  given:
    "{host} (HOST), {port} (PORT): the server. {to} (TO): the recipient. {text} (TEXT): the text, of several lines.",
  prints: "one line about what went wrong",
  exits: "0 when the server has accepted the mail; another code otherwise",
  limits: "The text may be encoded as MIME allows.",
  sheet: "smtp/README.md#the-client",
  checks: [
    {
      name: "a mail",
      why:
        "RFC 5321 §3.3: after the greeting the client sends EHLO (or HELO), MAIL, RCPT, DATA and the mail, and its exit " +
        "code is 0 when the server has accepted it.",
      points: 3,
      level: "basic",
      async run(client) {
        const played = await play(client, {});
        delivered(played, "send these commands, and read the reply to each");
        const verbs = played.commands.map((line) => line.split(/[ :]/)[0]?.toUpperCase());
        if (verbs[0] !== "EHLO" && verbs[0] !== "HELO") {
          fail("EHLO as the first command", verbs[0] ?? "none", "begin with EHLO and your name");
        }
        // A program that sends the same whatever it is told has sent no mail.
        const text = await textOf(played.content ?? new Uint8Array());
        const { to } = orderOf(client);
        if (!text.includes(orderOf(client).text.split("\n")[0] ?? "") && !played.commands.join().includes(to)) {
          fail(
            `a mail to ${to} with the text that the client is given`,
            `${printable(played.commands.find((line) => /^RCPT/i.test(line)) ?? "no RCPT")}, another text`,
            "take recipient and text from the arguments ({to}, {text}) or the environment variables TO and TEXT",
          );
        }
      },
    },
    {
      name: "the recipient",
      why: "RFC 5321 §4.1.1.3: RCPT TO: has the address that the client is given, in angle brackets.",
      points: 2,
      level: "basic",
      needs,
      async run(client) {
        const { commands } = await play(client, {});
        const { to } = orderOf(client);
        const rcpt = commands.find((line) => /^RCPT/i.test(line)) ?? "no RCPT";
        const [, address] = /^RCPT TO:<([^>]*)>/i.exec(rcpt) ?? [];
        if (address === to) return;
        fail(
          `RCPT TO:<${to}>`,
          printable(rcpt),
          address === undefined
            ? "put the address in angle brackets, without a space after the colon"
            : "take the address from the arguments ({to}) or the environment variable TO",
        );
      },
    },
    {
      name: "the sender",
      why: "RFC 5321 §4.1.1.2: MAIL FROM: has an address in angle brackets, without a space after the colon.",
      points: 1,
      level: "basic",
      needs,
      async run(client) {
        const { commands } = await play(client, {});
        const mail = commands.find((line) => /^MAIL/i.test(line)) ?? "no MAIL";
        if (!/^MAIL FROM:<[^\s<>]+@[^\s<>]+>( |$)/i.test(mail)) {
          fail(
            "MAIL FROM:<you@example.com>",
            printable(mail),
            "put the address in angle brackets, without a space after the colon",
          );
        }
      },
    },
    {
      name: "the text",
      why:
        "RFC 5322 §2.1: a mail is a header, an empty line, and the text. The text is that which the client is given, all " +
        "its lines.",
      points: 2,
      level: "basic",
      needs,
      async run(client) {
        const { content } = await play(client, {});
        await expectText(
          content,
          orderOf(client).text,
          "send the header, an empty line, and then the text of {text} or TEXT, each line with \\r\\n",
        );
      },
    },
    {
      name: "lines end in CR LF",
      why:
        "RFC 5321 §2.3.8: each command and each line of the mail ends in CR LF; many servers refuse a mail with LF alone.",
      points: 1,
      level: "basic",
      needs,
      async run(client) {
        if ((await play(client, {})).bareLf) {
          fail(
            "lines that end in \\r\\n",
            "a line that ends in \\n or \\r alone",
            'end every line with \\r\\n, also those of the text: text.replace("\\n", "\\r\\n")',
          );
        }
      },
    },
    {
      name: "dots",
      why:
        "RFC 5321 §4.5.2: a line with a dot alone ends the mail. So the client sends one dot more before each line that " +
        "begins with one, and the server removes it.",
      points: 2,
      level: "basic",
      needs: [...needs, "the text", "lines end in CR LF"],
      async run(client) {
        const { dots } = orderOf(client);
        const { content, program } = await play(client, {}, 1000, dots);
        const hint = "add a dot to each line that begins with one, and to no other";
        await expectText(content, dots, hint);
        succeeded(program, hint);
      },
    },
    {
      name: "From and Date",
      why: "RFC 5322 §3.6: every mail has a header with From and Date.",
      points: 1,
      level: "basic",
      needs,
      async run(client) {
        const { content } = await play(client, {});
        const [header = ""] = new TextDecoder().decode(content).replaceAll("\r\n", "\n").split("\n\n");
        for (const name of ["From", "Date"]) {
          if (new RegExp(`^${name}: *\\S`, "im").test(header)) continue;
          fail(`a line ${name}: … in the header`, "none", "send From: and Date: before the empty line");
        }
      },
    },
    {
      name: "QUIT",
      why: "RFC 5321 §4.1.1.10: the client sends QUIT before it closes the connection.",
      points: 1,
      level: "basic",
      needs,
      async run(client) {
        const { commands } = await play(client, {});
        const last = commands.at(-1) ?? "nothing";
        if (last.toUpperCase() !== "QUIT") fail("QUIT as the last command", printable(last), "send QUIT at the end");
      },
    },
    { ...noServer, needs, level: "basic" },
    complains(
      "the recipient is refused",
      "RFC 5321 §4.2.1: 5yz is a permanent error: the mail is not sent, the client says so, and its exit code is not 0.",
      "basic",
      { RCPT: refusal },
      "a refused recipient",
    ),
    complains(
      "the mail is refused",
      "RFC 5321 §4.2.5: the mail is accepted only by the 250 after the dot.",
      "basic",
      { content: "554 5.7.1 spam\r\n" },
      "a refused mail",
      ["the recipient is refused"],
    ),
    delivers(
      "replies in single bytes",
      "RFC 9293 §3.7: TCP may cut a reply anywhere.",
      2,
      "robust",
      {},
      "collect bytes until \\r\\n has arrived: one call of recv is not one reply",
      1,
    ),
    delivers(
      "a greeting of several lines",
      "RFC 5321 §4.2.1: a hyphen after the code means that more lines follow.",
      1,
      "robust",
      { greeting: "220-check.example.com\r\n220-welcome\r\n220 ESMTP\r\n" },
      "read until a line with a space after the code",
    ),
    delivers(
      "no extensions",
      "RFC 5321 §2.2: the client may use only the extensions that EHLO offers.",
      1,
      "robust",
      { EHLO: "250 check.example.com\r\n" },
      "without PIPELINING, wait for each reply before the next command",
    ),
    complains(
      "554 instead of a greeting",
      "RFC 5321 §3.1: a server that greets with 554 serves nobody.",
      "robust",
      { greeting: "554 no service\r\n" },
      "a 554 instead of the greeting",
      ["the recipient is refused"],
    ),
    complains(
      "the sender is refused",
      "RFC 5321 §4.2.1: 5yz is a permanent error: the mail is not sent.",
      "robust",
      { MAIL: "550 5.1.8 no\r\n" },
      "a refused sender",
      ["the recipient is refused"],
    ),
    complains(
      "the recipient is refused temporarily",
      "RFC 5321 §4.2.1: 4yz is a temporary error: the mail was not sent; the client says so.",
      "robust",
      { RCPT: "450 4.2.1 later\r\n" },
      "a recipient that is refused temporarily",
      ["the recipient is refused"],
    ),
    complains(
      "DATA is refused",
      "RFC 5321 §4.1.1.4: without the reply 354 the client must not send the mail.",
      "robust",
      { DATA: "451 4.3.0 not now\r\n" },
      "a refused DATA",
      ["the recipient is refused"],
    ),
    {
      name: "QUIT after a refusal",
      why: "RFC 5321 §4.1.1.10: a client sends QUIT before it closes, also after a refusal.",
      points: 1,
      level: "robust",
      needs: [...needs, "QUIT", "the recipient is refused"],
      async run(client) {
        const { commands } = await play(client, { RCPT: refusal });
        const last = commands.at(-1) ?? "nothing";
        if (last.toUpperCase() !== "QUIT") {
          fail("QUIT as the last command", printable(last), "send QUIT before you close the connection");
        }
      },
    },
    complains(
      "closed after EHLO",
      "A server may close the connection at any time: the client says so, and its exit code is not 0.",
      "robust",
      { EHLO: undefined },
      "a closed connection",
    ),
    complains(
      "closed after the mail",
      "RFC 5321 §4.1.1.4: without the 250 the client must not assume that the mail was accepted.",
      "robust",
      { content: undefined },
      "a closed connection",
      ["the mail is refused"],
    ),
    {
      name: "no EHLO",
      why: "RFC 5321 §3.2: if the server does not know EHLO, the client tries HELO, and uses no extension.",
      points: 1,
      level: "strict",
      needs,
      async run(client) {
        const played = await play(client, { EHLO: "500 what?\r\n" });
        delivered(played, "try HELO after a 5yz to EHLO");
        const parameters = played.commands.find((line) => /^MAIL FROM:<[^>]*> \S/i.test(line));
        if (parameters) fail("MAIL without parameters", printable(parameters), "use only what EHLO has offered");
      },
    },
    delivers(
      "replies without text",
      "RFC 5321 §4.2: a reply may have no text: only the code matters.",
      1,
      "strict",
      { MAIL: "250 \r\n", RCPT: "250\r\n", DATA: "354\r\n", content: "250 \r\n" },
      "decide by the three digits only",
    ),
    delivers(
      "QUIT unanswered",
      "RFC 5321 §4.1.1.10: the server has already accepted the mail, so a missing reply to QUIT is not an error.",
      1,
      "strict",
      { QUIT: undefined },
      "exit with code 0: the mail was accepted",
    ),
    complains(
      "421 after MAIL",
      "RFC 5321 §3.8: a server may end the connection with 421 at any time.",
      "strict",
      { MAIL: "421 4.3.2 shutting down\r\n" },
      "the reply 421",
      ["the recipient is refused"],
    ),
    complains(
      "another protocol",
      "RFC 5321 §4.2: a line that does not start with three digits is not an SMTP reply.",
      "strict",
      { greeting: "SSH-2.0-OpenSSH_9.2\r\n" },
      "a greeting that is not SMTP",
    ),
  ],
};

export default suite;
