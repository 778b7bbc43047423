/**
 * The server's side of the dialogue, without a socket: a command line in, the reply and what to do next out (RFC 5321 §4.1,
 * §4.3).
 *
 * @module
 */
import { needsUtf8, parsePath } from "./_address.ts";
import { Authentication, mechanisms } from "./_authentication.ts";
import { COMMAND_LINE, decodeLine } from "./_command_line.ts";
import type { Fault } from "./_data.ts";
import type { Reply } from "./_reply.ts";
import { type Envelope, offeredMechanisms, type Settings } from "./_settings.ts";

/** What to do after the reply: read the next command, read a mail's content, start TLS, or close the connection. */
export type Next = "command" | "data" | "starttls" | "close";

export interface Step {
  readonly reply: Reply;
  readonly next: Next;
}

const step = (code: number, enhanced: string, text: string | string[], next: Next = "command"): Step => ({
  reply: { code, enhanced, lines: [text].flat() },
  next,
});

/** One client's dialogue. */
export class Session {
  readonly #settings: Settings;
  readonly #tls: boolean;
  #helo = "";
  /** Whether the client said EHLO, and so knows service extensions. */
  #esmtp = false;
  #user = "";
  #envelope: { from: string; to: string[]; utf8: boolean } | undefined;
  #authentication: Authentication | undefined;
  #errors = 0;

  /** `tls`: whether the connection already uses TLS. */
  constructor(settings: Settings, tls: boolean) {
    this.#settings = settings;
    this.#tls = tls;
  }

  greeting(): Reply {
    return { code: 220, enhanced: "", lines: [`${this.#settings.name} ESMTP`] };
  }

  /** The longest next line, with its CR LF. */
  get maxLineLength(): number {
    return this.#authentication ? COMMAND_LINE.auth : COMMAND_LINE.plain;
  }

  /** The envelope of the mail that MAIL has begun. */
  get envelope(): Envelope | undefined {
    if (!this.#envelope) return undefined;
    const { from, to, utf8 } = this.#envelope;
    const kind = `${utf8 ? "UTF8" : this.#esmtp ? "E" : ""}SMTP`;
    const protocol = this.#esmtp ? `${kind}${this.#tls ? "S" : ""}${this.#user ? "A" : ""}` : kind;
    return { from, to, helo: this.#helo, protocol };
  }

  /** Replies to a command line, given without its CR LF. */
  command(line: Uint8Array): Step {
    const text = decodeLine(line);
    if (text === undefined) {
      return this.#countError(step(500, "5.5.2", "a command must be UTF-8 without control characters"));
    }
    return this.#countError(this.#authentication ? this.#continueAuth(text) : this.#handleCommand(text));
  }

  /** Replies to a line that is too long or does not end in CR LF. It is not executed, and the dialogue goes on (§4.3.2). */
  rejectLine(why: Fault): Step {
    this.#authentication = undefined;
    return this.#countError(
      why === "long" ? step(500, "5.5.2", "the line is too long") : step(
        500,
        "5.5.2",
        "the line ends in LF alone: every line must end in CR LF (with nc, use nc -C, on macOS nc -c)",
      ),
    );
  }

  /** Replies to a mail's content that was refused, stored under a name ("" if mails are not stored), or not stored. */
  replyToContent(outcome: Fault | "size" | { readonly stored: string } | Error): Step {
    this.#envelope = undefined;
    if (outcome instanceof Error) return step(452, "4.3.1", "the mail could not be stored: try again later");
    switch (outcome) {
      case "bare":
        return this.#countError(
          step(550, "5.6.11", "the mail contains a CR or an LF alone: every line must end in CR LF"),
        );
      case "long":
        return this.#countError(
          step(550, "5.6.0", `the mail contains a line of more than ${this.#settings.line} octets`),
        );
      case "size":
        return this.#countError(this.#tooLarge());
      default:
        return step(250, "2.0.0", outcome.stored ? `stored as ${outcome.stored}` : "accepted, but not stored");
    }
  }

  #tooLarge(): Step {
    return step(552, "5.3.4", `the mail is too large: at most ${this.#settings.size} bytes`);
  }

  /** Counts a 5yz reply. After too many, replies 421 and closes. */
  #countError(counted: Step): Step {
    if (counted.reply.code < 500 || ++this.#errors < this.#settings.errors) return counted;
    return step(421, "4.7.0", `${counted.reply.lines[0]}: too many errors`, "close");
  }

  #handleCommand(text: string): Step {
    // A web page can make a browser connect to this port: close, before its header fields are read as commands.
    if (/ HTTP\/\d/.test(text)) return step(421, "4.7.0", "this is SMTP, not HTTP", "close");
    const [, verb = "", argument = ""] = /^([A-Za-z]*) ?(.*)$/s.exec(text) ?? [];
    const name = verb.toUpperCase();
    if (/^(DATA|RSET|QUIT|STARTTLS)$/.test(name) && argument !== "") {
      return step(501, "5.5.4", `${name} takes no argument`);
    }
    switch (name) {
      case "EHLO":
      case "HELO":
        return this.#hello(name === "EHLO", argument.trim());
      case "MAIL":
        return this.#mail(argument);
      case "RCPT":
        return this.#rcpt(argument);
      case "DATA":
        if (!this.#envelope) return step(503, "5.5.1", "send MAIL and RCPT first");
        if (this.#envelope.to.length === 0) return step(554, "5.5.1", "no recipient was accepted: send RCPT first");
        return step(354, "", "end the mail with a dot on a line of its own", "data");
      case "RSET":
        this.#envelope = undefined;
        return step(250, "2.0.0", "envelope cleared");
      case "NOOP":
        return step(250, "2.0.0", "nothing done");
      case "QUIT":
        return step(221, "2.0.0", "goodbye", "close");
      case "VRFY":
        if (argument === "") return step(501, "5.5.4", "VRFY needs a user name or an address");
        return step(252, "2.0.0", "cannot verify the user, but mail for any address is accepted");
      case "HELP":
        return step(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP STARTTLS AUTH (RFC 5321)");
      case "EXPN":
        return step(502, "5.5.1", "this server has no mailing lists to expand");
      case "STARTTLS":
        if (!this.#settings.tls) return step(502, "5.5.1", "STARTTLS is not offered: this server has no certificate");
        if (this.#tls) return step(503, "5.5.1", "this connection already uses TLS");
        return step(220, "2.0.0", "ready to start TLS", "starttls");
      case "AUTH":
        return this.#auth(argument);
      default:
        return step(500, "5.5.2", "unknown command: HELP lists the commands");
    }
  }

  #hello(esmtp: boolean, name: string): Step {
    // The name is not checked further: many clients have no proper one (RFC 5321 §4.1.4).
    if (!/^[^\s\p{C}<>()]{1,255}$/u.test(name)) {
      return step(501, "5.5.4", "EHLO and HELO need your host name: EHLO client.example.com");
    }
    [this.#helo, this.#esmtp, this.#envelope] = [name, esmtp, undefined];
    const lines = [`${this.#settings.name} greets ${name}`];
    if (esmtp) {
      lines.push("PIPELINING", `SIZE ${this.#settings.size}`, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES");
      if (this.#settings.tls && !this.#tls) lines.push("STARTTLS");
      const offered = offeredMechanisms(this.#settings, this.#tls);
      if (offered.length > 0) lines.push(`AUTH ${offered.join(" ")}`);
    }
    return step(250, "", lines);
  }

  #mail(argument: string): Step {
    if (this.#helo === "") return step(503, "5.5.1", "send EHLO first");
    if (this.#envelope) {
      return step(503, "5.5.1", "a mail has already begun: continue with RCPT or DATA, or cancel it with RSET");
    }
    if (typeof this.#settings.credentials === "object" && this.#user === "") {
      return step(530, "5.7.0", "log in with AUTH first");
    }
    const path = parsePath(/^FROM:(.*)$/is.exec(argument)?.[1] ?? "", this.#settings.lenient);
    if (!path) return step(501, "5.1.7", "malformed sender: use MAIL FROM:<address> (RFC 5321 §4.1.2)");
    let size = 0;
    for (const [name, value] of path.parameters) {
      if (!this.#esmtp) return step(555, "5.5.4", "parameters need EHLO: you sent HELO");
      if (name === "SIZE" && /^\d{1,20}$/.test(value)) size = Number(value);
      else if (name === "BODY" && /^(7BIT|8BITMIME)$/i.test(value)) continue;
      else if (name === "SMTPUTF8" && value === "") continue;
      else if (name === "AUTH" && value !== "") continue; // the submitter, as another server claims (RFC 4954 §5): ignored
      else if (/^(SIZE|BODY|SMTPUTF8|AUTH)$/.test(name)) return step(501, "5.5.4", `bad value for ${name}`);
      else return step(555, "5.5.4", `unknown parameter ${name}`);
    }
    const utf8 = path.parameters.has("SMTPUTF8");
    if (needsUtf8(path.mailbox) && !utf8) return step(553, "5.6.7", "this address needs the parameter SMTPUTF8");
    if (size > this.#settings.size) return this.#tooLarge();
    this.#envelope = { from: path.mailbox, to: [], utf8 };
    return step(250, "2.1.0", `sender ${path.mailbox || "empty (<>), as in a delivery failure notice"}`);
  }

  #rcpt(argument: string): Step {
    if (!this.#envelope) return step(503, "5.5.1", "send MAIL first");
    const path = parsePath(/^TO:(.*)$/is.exec(argument)?.[1] ?? "", this.#settings.lenient);
    if (!path || path.mailbox === "") {
      return step(501, "5.1.3", "malformed recipient: use RCPT TO:<address> (RFC 5321 §4.1.2)");
    }
    if (path.parameters.size > 0) return step(555, "5.5.4", "RCPT takes no parameters on this server");
    const { mailbox } = path;
    if (needsUtf8(mailbox) && !this.#envelope.utf8) {
      return step(553, "5.6.7", "this address needs the parameter SMTPUTF8 at MAIL");
    }
    if (this.#envelope.to.length >= this.#settings.recipients) {
      return step(
        452,
        "4.5.3",
        `too many recipients (at most ${this.#settings.recipients}): use another mail for the rest`,
      );
    }
    const decision = this.#settings.recipientPolicy(mailbox);
    if (decision === "reject") return step(550, "5.1.1", `there is no mailbox ${mailbox}`);
    if (decision === "defer") return step(450, "4.2.1", `the mailbox ${mailbox} is busy: try again later`);
    this.#envelope.to.push(mailbox);
    return step(250, "2.1.5", `recipient ${mailbox}`);
  }

  #auth(argument: string): Step {
    const { credentials } = this.#settings;
    if (!credentials) return step(502, "5.5.1", "this server has no users: AUTH is not needed");
    if (!this.#esmtp) return step(503, "5.5.1", "send EHLO first");
    if (this.#envelope) return step(503, "5.5.1", "AUTH is not allowed inside a mail");
    if (this.#user !== "") return step(503, "5.5.1", "you are already logged in");
    const [, name = "", initial] = /^(\S+)(?: (\S+))?$/.exec(argument) ?? [];
    const mechanism = mechanisms.find((each) => each === name.toUpperCase());
    if (!mechanism) return step(504, "5.5.4", "unknown AUTH mechanism: the reply to EHLO lists the ones offered");
    if (!offeredMechanisms(this.#settings, this.#tls).includes(mechanism)) {
      return step(538, "5.7.11", `${mechanism} needs TLS: without it, others could read the password`);
    }
    this.#authentication = new Authentication(mechanism, credentials, this.#settings.name);
    return initial === undefined ? step(334, "", this.#authentication.start()) : this.#continueAuth(initial);
  }

  #continueAuth(line: string): Step {
    const result = this.#authentication?.respond(line);
    if (result?.kind === "challenge") return step(334, "", result.challenge);
    this.#authentication = undefined;
    if (result?.kind === "failure") return step(535, "5.7.8", "wrong user name or password");
    if (result?.kind !== "success") return step(501, "5.5.2", "login cancelled or malformed");
    this.#user = result.user;
    return step(235, "2.7.0", "logged in");
  }
}
