/**
 * A server's side of the dialogue: a command line in, a reply and what to do next out (RFC 5321 §4.1, §4.3). No socket here.
 *
 * @module
 */
import { needsUtf8, parsePath } from "./address.ts";
import { Authentication, type Credentials } from "./authentication.ts";
import type { Fault } from "./data.ts";
import type { Reply } from "./reply.ts";

/** What a server offers and allows. */
export interface Settings {
  /** The server's own name, for the greeting. */
  readonly name: string;
  /** The largest mail, in bytes. */
  readonly size: number;
  readonly recipients: number;
  /** After so many errors the client is dismissed. */
  readonly errors: number;
  /** Whether STARTTLS can be offered. */
  readonly tls: boolean;
  /** Who may send; without it, anyone. */
  readonly credentials?: Credentials;
  /** Whether passwords may be told without TLS. */
  readonly insecureAuth: boolean;
  /** What to say to a recipient: nothing to take it. */
  judge(mailbox: string): "reject" | "defer" | undefined;
}

/** Who a mail is from, and to whom it goes: what matters for its way, whatever its header says (RFC 5321 §2.3.1). */
export interface Envelope {
  /** "" for a notification of failure, which nobody is to answer. */
  readonly from: string;
  readonly to: readonly string[];
  /** How the client has introduced itself. */
  readonly helo: string;
  /** `ESMTPSA` and the like (RFC 3848), for the Received field. */
  readonly protocol: string;
  /** What MAIL has said of the size, in bytes; 0 where it did not. */
  readonly size: number;
}

/** What to do once the reply is sent: read the next command, the content, a TLS handshake, or nothing more. */
export type Next = "command" | "data" | "starttls" | "close";

export interface Step {
  readonly reply: Reply;
  readonly next: Next;
}

/** The longest command line with its CR LF, and the longest of an AUTH exchange (RFC 5321 §4.5.3.1.4, RFC 4954 §4). */
export const COMMAND_LINE = { plain: 2048, auth: 12_288 };

const step = (code: number, enhanced: string, text: string, next: Next = "command"): Step => ({
  reply: { code, enhanced, lines: [text] },
  next,
});

/** One client's dialogue. */
export class Session {
  readonly #settings: Settings;
  readonly #secure: boolean;
  #helo = "";
  #extended = false;
  #user = "";
  #envelope: { from: string; to: string[]; utf8: boolean; size: number } | undefined;
  #authentication: Authentication | undefined;
  #errors = 0;

  /** `secure` says that TLS is already there. */
  constructor(settings: Settings, secure: boolean) {
    this.#settings = settings;
    this.#secure = secure;
  }

  /** What the server says first. */
  greeting(): Reply {
    return { code: 220, enhanced: "", lines: [`${this.#settings.name} ESMTP`] };
  }

  /** How long the next line may be, with its CR LF. */
  get longest(): number {
    return this.#authentication ? COMMAND_LINE.auth : COMMAND_LINE.plain;
  }

  /** A mail that is being sent: the last RCPT has been answered, and the content comes next. */
  get envelope(): Envelope | undefined {
    if (!this.#envelope) return undefined;
    const { from, to, size, utf8 } = this.#envelope;
    const kind = `${utf8 ? "UTF8" : this.#extended ? "E" : ""}SMTP`;
    const protocol = this.#extended ? `${kind}${this.#secure ? "S" : ""}${this.#user ? "A" : ""}` : kind;
    return { from, to, helo: this.#helo, protocol, size };
  }

  /** Answers a command, given without its CR LF. */
  command(line: Uint8Array): Step {
    let answered: Step;
    const text = decode(line);
    if (text === undefined) answered = step(500, "5.5.2", "a command is text in UTF-8, without controls");
    else if (this.#authentication) answered = this.#continue(text);
    else answered = this.#answer(text);
    if (answered.reply.code < 400) return answered;
    return this.fault(answered);
  }

  /** Counts an error: who makes too many is dismissed. */
  fault(answered: Step): Step {
    if (answered.reply.code < 500 || ++this.#errors < this.#settings.errors) return answered;
    return step(421, "4.7.0", `${answered.reply.lines[0]}: too many errors`, "close");
  }

  /** Answers a line that was too long, or did not end in CR LF: what follows it may be part of anything. */
  unreadable(why: "long" | "bare"): Step {
    return why === "long"
      ? step(500, "5.5.2", "the line is too long", "close")
      : step(500, "5.5.2", "a line ends in CR LF, not in one of them alone (try nc -C)", "close");
  }

  /** The content has come, and `kept` says what became of it. The next mail starts anew. */
  delivered(fault: Fault | "size" | undefined, kept: string | Error): Step {
    this.#envelope = undefined;
    if (fault === "bare") {
      return this.fault(step(550, "5.6.11", "bare CR or LF: a line ends in CR LF"));
    }
    if (fault === "long") return this.fault(step(550, "5.6.0", "a line of more than 1000 octets"));
    if (fault === "size") return this.fault(step(552, "5.3.4", `a mail has at most ${this.#settings.size} bytes`));
    if (kept instanceof Error) return step(452, "4.3.1", "the mail could not be kept: try again");
    return step(250, "2.0.0", kept === "" ? "taken; mails are not kept here" : `kept as ${kept}`);
  }

  #answer(text: string): Step {
    const [, verb = "", argument = ""] = /^([A-Za-z]*) ?(.*)$/s.exec(text) ?? [];
    switch (verb.toUpperCase()) {
      case "EHLO":
      case "HELO":
        return this.#hello(verb.toUpperCase() === "EHLO", argument.trim());
      case "MAIL":
        return this.#mail(argument);
      case "RCPT":
        return this.#rcpt(argument);
      case "DATA":
        if (argument !== "") return step(501, "5.5.4", "DATA takes no argument");
        if (!this.#envelope) return step(503, "5.5.1", "MAIL comes first");
        if (this.#envelope.to.length === 0) return step(554, "5.5.1", "no recipient was taken");
        return step(354, "", "end the mail with a dot on a line of its own", "data");
      case "RSET":
        if (argument !== "") return step(501, "5.5.4", "RSET takes no argument");
        this.#envelope = undefined;
        return step(250, "2.0.0", "forgotten");
      case "NOOP":
        return step(250, "2.0.0", "nothing done");
      case "QUIT":
        if (argument !== "") return step(501, "5.5.4", "QUIT takes no argument");
        return step(221, "2.0.0", "goodbye", "close");
      case "VRFY":
        if (argument === "") return step(501, "5.5.4", "VRFY whom?");
        return step(252, "2.0.0", "mail for anyone is taken; whether someone reads it is another matter");
      case "HELP":
        return step(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP STARTTLS AUTH (RFC 5321)");
      case "EXPN":
        return step(502, "5.5.1", "there are no lists here");
      case "STARTTLS":
        return this.#starttls(argument);
      case "AUTH":
        return this.#auth(argument);
      case "GET":
      case "POST":
      case "HEAD":
      case "CONNECT":
        // A browser that was made to talk to this port: its fields must not be read as commands.
        return step(421, "4.7.0", "this is SMTP, not HTTP", "close");
      default:
        return step(500, "5.5.2", "no such command: HELP tells which there are");
    }
  }

  #hello(extended: boolean, name: string): Step {
    // The name is not checked further than this: many a client has no proper one (RFC 5321 §4.1.4).
    if (!/^[^\s<>()]{1,255}$/.test(name)) return step(501, "5.5.4", "tell your name: EHLO client.example.com");
    [this.#helo, this.#extended, this.#envelope] = [name, extended, undefined];
    const settings = this.#settings;
    const greeting = `${settings.name} greets ${name}`;
    if (!extended) return { reply: { code: 250, enhanced: "", lines: [greeting] }, next: "command" };
    const lines = [greeting, "PIPELINING", `SIZE ${settings.size}`, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"];
    if (settings.tls && !this.#secure) lines.push("STARTTLS");
    const offersAuth = this.#offersAuth();
    if (offersAuth.length > 0) lines.push(`AUTH ${offersAuth.join(" ")}`);
    return { reply: { code: 250, enhanced: "", lines }, next: "command" };
  }

  /** The ways to tell a password that are offered now: those that tell it to everyone on the way only over TLS. */
  #offersAuth(): string[] {
    if (!this.#settings.credentials) return [];
    return this.#secure || this.#settings.insecureAuth ? ["PLAIN", "LOGIN", "CRAM-MD5"] : ["CRAM-MD5"];
  }

  #mail(argument: string): Step {
    if (this.#helo === "") return step(503, "5.5.1", "EHLO comes first");
    if (this.#envelope) return step(503, "5.5.1", "a mail is under way: DATA or RSET");
    if (this.#settings.credentials && this.#user === "") return step(530, "5.7.0", "AUTH comes first");
    const path = parsePath(/^FROM:(.*)$/is.exec(argument)?.[1] ?? "");
    if (!path) return step(501, "5.1.7", "MAIL FROM:<address>, as RFC 5321 writes addresses");
    let size = 0;
    for (const [name, value] of path.parameters) {
      if (!this.#extended) return step(555, "5.5.4", "parameters are for those who said EHLO");
      if (name === "SIZE" && /^\d{1,20}$/.test(value)) size = Number(value);
      else if (name === "BODY" && /^(7BIT|8BITMIME)$/i.test(value)) continue;
      else if (name === "SMTPUTF8" && value === "") continue;
      else if (name === "AUTH" && value !== "") continue; // who sent it, as another server says (RFC 4954 §5): not believed
      else return step(/^(SIZE|BODY|SMTPUTF8|AUTH)$/.test(name) ? 501 : 555, "5.5.4", `the parameter ${name}`);
    }
    const utf8 = path.parameters.has("SMTPUTF8");
    if (needsUtf8(path.mailbox) && !utf8) return step(553, "5.6.7", "such an address needs the parameter SMTPUTF8");
    if (size > this.#settings.size) return step(552, "5.3.4", `a mail has at most ${this.#settings.size} bytes`);
    this.#envelope = { from: path.mailbox, to: [], utf8, size };
    return step(250, "2.1.0", `from ${path.mailbox || "nobody, as a notification is"}`);
  }

  #rcpt(argument: string): Step {
    if (!this.#envelope) return step(503, "5.5.1", "MAIL comes first");
    const path = parsePath(/^TO:(.*)$/is.exec(argument)?.[1] ?? "");
    if (!path || path.mailbox === "") return step(501, "5.1.3", "RCPT TO:<address>, as RFC 5321 writes addresses");
    if (path.parameters.size > 0) return step(555, "5.5.4", "RCPT takes no parameters here");
    const { mailbox } = path;
    if (needsUtf8(mailbox) && !this.#envelope.utf8) return step(553, "5.6.7", "such an address needs SMTPUTF8 at MAIL");
    if (this.#envelope.to.length >= this.#settings.recipients) {
      return step(452, "4.5.3", `at most ${this.#settings.recipients} recipients: the others in another mail`);
    }
    const judged = this.#settings.judge(mailbox);
    if (judged === "reject") return step(550, "5.1.1", `no mailbox ${mailbox} here`);
    if (judged === "defer") return step(450, "4.2.1", `not now: try ${mailbox} later`);
    this.#envelope.to.push(mailbox);
    return step(250, "2.1.5", `to ${mailbox}`);
  }

  #starttls(argument: string): Step {
    if (argument !== "") return step(501, "5.5.4", "STARTTLS takes no argument");
    if (!this.#settings.tls) return step(502, "5.5.1", "there is no certificate here");
    if (this.#secure) return step(503, "5.5.1", "it is TLS already");
    return step(220, "2.0.0", "go ahead", "starttls");
  }

  #auth(argument: string): Step {
    const { credentials } = this.#settings;
    if (!credentials) return step(502, "5.5.1", "nobody needs a password here");
    if (!this.#extended) return step(503, "5.5.1", "EHLO comes first");
    if (this.#envelope) return step(503, "5.5.1", "not in the middle of a mail");
    if (this.#user !== "") return step(503, "5.5.1", "you have said who you are");
    const [, mechanism = "", initial] = /^(\S+)(?: (\S+))?$/.exec(argument) ?? [];
    const known = ["PLAIN", "LOGIN", "CRAM-MD5"].includes(mechanism.toUpperCase());
    if (!known) return step(504, "5.5.4", "no such mechanism: EHLO tells which there are");
    if (!this.#offersAuth().includes(mechanism.toUpperCase())) {
      return step(538, "5.7.11", "not without TLS: everyone on the way could read the password");
    }
    this.#authentication = new Authentication(mechanism.toUpperCase(), credentials, this.#settings.name);
    return initial === undefined ? this.#ask(this.#authentication.start()) : this.#continue(initial);
  }

  #ask(challenge: string): Step {
    return { reply: { code: 334, enhanced: "", lines: [challenge] }, next: "command" };
  }

  #continue(line: string): Step {
    const outcome = this.#authentication?.answer(line);
    if (outcome?.kind === "ask") return this.#ask(outcome.challenge);
    this.#authentication = undefined;
    if (outcome?.kind === "known") {
      this.#user = outcome.user;
      return step(235, "2.7.0", "welcome");
    }
    if (outcome?.kind === "unknown") return step(535, "5.7.8", "wrong name or password");
    return step(501, "5.5.2", "the exchange was broken off");
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(line: Uint8Array): string | undefined {
  try {
    const text = utf8.decode(line);
    // deno-lint-ignore no-control-regex -- none of them has a meaning in a command
    return /[\0-\x08\x0a-\x1f\x7f]/.test(text) ? undefined : text;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}
