/**
 * A mail client: connects to a mail server, holds the dialogue and hands over one mail, showing what is said.
 *
 * Look at the two times that addresses are told: in the envelope (MAIL, RCPT), which decides where the mail goes, and in the
 * header of the mail, which is what its reader sees. Nothing makes them agree: so a blind copy works, and so does forging.
 *
 * ```sh
 * deno run -N=127.0.0.1 smtp/send.ts --from ada@example.com --to alan@example.com --subject Hello --text "How are you?"
 * deno run -N -R smtp/send.ts --host mail.example.com --port 587 --tls required --user ada --password-file secret \
 *   --from ada@example.com --to alan@example.com --attach picture.png < letter.txt
 * ```
 *
 * Start `deno run -N=127.0.0.1 smtp/server.ts` in another terminal first. Both at once: `deno task smtp:send`.
 *
 * RFC 5321 (SMTP), RFC 5322 and 2045 (the mail itself), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 2920 (PIPELINING).
 * API: Deno.connect, Deno.connectTls, Deno.startTls.
 *
 * @module
 */
import { promptSecret } from "jsr:@std/cli@1/prompt-secret";
import {
  clientOptions,
  count,
  explain,
  Failure,
  printable,
  reach,
  readFile,
  readText,
  run,
  seconds,
  text,
  texts,
  toggle,
} from "../cli.ts";
import { readCertificates } from "../tcp/certificates.ts";
import { needsUtf8 } from "./address.ts";
import { cramMd5, fromBase64, toBase64 } from "./authentication.ts";
import { compose, type Mail } from "./compose.ts";
import { DataDecoder, encodeData } from "./data.ts";
import { Dialogue, verdict } from "./dialogue.ts";
import type { Reply } from "./reply.ts";

const modes = ["required", "opportunistic", "implicit", "off"] as const;

const command = {
  name: "send",
  about: "Sends one mail over SMTP and shows the dialogue. The text comes from --text, a file, or stdin.",
  run: "deno run -N=127.0.0.1 smtp/send.ts",
  options: {
    ...clientOptions(2525),
    "timeout": seconds(30, "how long one step may take"),
    "from": text("", "who it is from; default: nobody, as a notification of failure is", "ADDRESS"),
    "to": texts("who gets it", "ADDRESS"),
    "cc": texts("who gets a copy", "ADDRESS"),
    "bcc": texts("who gets a copy, unknown to the others", "ADDRESS"),
    "subject": text("", "what it is about"),
    "text": text("", "the text itself"),
    "text-file": text("", "a file with the text", "FILE"),
    "html": text("", "a file with the text as HTML", "FILE"),
    "attach": texts("a file to go with it", "FILE"),
    "tls": {
      default: "opportunistic" as typeof modes[number],
      help: `one of ${modes.join(", ")}`,
      value: "MODE",
      parse(raw: string) {
        const mode = modes.find((mode) => mode === raw);
        if (!mode) throw new RangeError(modes.join(", "));
        return mode;
      },
    },
    "ca": text("", "the certificate that the server's is signed with, if no public one", "FILE"),
    "user": text("", "who you are to the server; the password is asked for", "NAME"),
    "password-file": text("", "a file with the password in its first line", "FILE"),
    "password-env": text("", "an environment variable with the password", "VARIABLE"),
    "insecure-auth": toggle("tell the password without TLS, too"),
    "helo": text("localhost", "your own name, as the server is told it", "NAME"),
  },
};

await run(command, async (flags) => {
  if (/[^!-~]/.test(flags.helo)) throw new Failure("--helo wants a name without spaces", 2);
  const mail = await composed();
  const password = flags.user ? await passwordOf() : "";
  const caCerts = flags.ca ? await readCertificates(flags.ca) : undefined;
  const server = { hostname: flags.host, port: flags.port };
  const implicit = flags.tls === "implicit";
  const connected = await reach(
    flags,
    (signal): Promise<Deno.TcpConn | Deno.TlsConn> =>
      implicit ? Deno.connectTls({ ...server, caCerts }) : Deno.connect({ ...server, signal }),
  );
  const dialogue = new Dialogue(connected, server, flags.timeout, console.log, flags.trace);
  let refused: string[];
  try {
    refused = await exchange(dialogue);
  } catch (error) {
    throw explain(error, server);
  } finally {
    await dialogue.close();
  }
  if (refused.length > 0) throw new Failure(`not to ${refused.join("; not to ")}`);

  /** The whole dialogue; returns the recipients that were refused, with the reasons. */
  async function exchange(dialogue: Dialogue): Promise<string[]> {
    expect(await dialogue.reply(), 220, "the connection was refused");
    let offers = await hello(dialogue);
    let secure = implicit;
    if (!secure && flags.tls !== "off" && offers.has("STARTTLS")) {
      expect(await dialogue.ask("STARTTLS"), 220, "STARTTLS was refused");
      await dialogue.startTls(caCerts);
      secure = true;
      offers = await hello(dialogue); // what was offered before was offered by anyone
    }
    if (!secure && flags.tls === "required") throw new Failure("the server offers no STARTTLS, and --tls is required");
    if (flags.user) await authenticate(dialogue, offers.get("AUTH") ?? "", secure);
    return await hand(dialogue, offers);
  }

  /** EHLO, or HELO to a server that does not know it; returns what the server offers. */
  async function hello(dialogue: Dialogue): Promise<Map<string, string>> {
    const reply = await dialogue.ask(`EHLO ${flags.helo}`);
    const offers = new Map<string, string>();
    if (reply.code === 250) {
      for (const line of reply.lines.slice(1)) {
        const [, name = "", rest = ""] = /^([A-Za-z0-9-]+)[ =]?(.*)$/.exec(line) ?? [];
        offers.set(name.toUpperCase(), rest);
      }
    } else if (reply.code >= 500) expect(await dialogue.ask(`HELO ${flags.helo}`), 250, "HELO was refused");
    else expect(reply, 250, "EHLO was refused");
    return offers;
  }

  async function authenticate(dialogue: Dialogue, offered: string, secure: boolean): Promise<void> {
    const mechanisms = offered.toUpperCase().split(/\s+/);
    const open = secure || flags["insecure-auth"];
    const known = ["PLAIN", "LOGIN", "CRAM-MD5"].filter((name) => mechanisms.includes(name));
    // CRAM-MD5 does not tell the password, only proves it: without TLS it is the one to use.
    const mechanism = known.find((name) => open ? name !== "CRAM-MD5" : name === "CRAM-MD5") ??
      (open ? known[0] : undefined);
    if (mechanism === undefined) {
      throw new Failure(
        known.length > 0
          ? "the password is not told without TLS: --insecure-auth does it all the same"
          : "the server offers no way to tell a password that is known here",
      );
    }
    const secret = async (text: string) => await dialogue.ask(toBase64(text), "********");
    let reply: Reply;
    if (mechanism === "PLAIN") {
      reply = await dialogue.ask(`AUTH PLAIN ${toBase64(`\0${flags.user}\0${password}`)}`, "AUTH PLAIN ********");
    } else {
      reply = await dialogue.ask(`AUTH ${mechanism}`);
      if (mechanism === "LOGIN" && reply.code === 334) reply = await secret(flags.user);
      if (reply.code === 334) {
        const challenge = fromBase64(reply.lines[0] ?? "") ?? "";
        reply = await secret(mechanism === "LOGIN" ? password : cramMd5({ user: flags.user, password }, challenge));
      }
    }
    expect(reply, 235, "the password was refused");
  }

  /** The envelope and the content. */
  async function hand(dialogue: Dialogue, offers: Map<string, string>): Promise<string[]> {
    const wire = encodeData(mail.content);
    const decoder = new DataDecoder();
    decoder.push(wire, () => {});
    const { size } = decoder; // without what is only there for the way (RFC 1870 §5)
    const most = Number(offers.get("SIZE") ?? 0);
    if (most > 0 && size > most) throw new Failure(`the mail has ${size} bytes, and the server takes ${most}`);
    let parameters = offers.has("SIZE") ? ` SIZE=${size}` : "";
    if (mail.content.some((byte) => byte > 127)) {
      if (!offers.has("8BITMIME")) throw new Failure("the mail has bytes over 127, and the server offers no 8BITMIME");
      parameters += " BODY=8BITMIME";
    }
    if ([mail.from, ...mail.recipients].some(needsUtf8)) {
      if (!offers.has("SMTPUTF8")) {
        throw new Failure("an address has letters beyond ASCII, and the server offers no SMTPUTF8");
      }
      parameters += " SMTPUTF8";
    }
    const commands = [
      `MAIL FROM:<${mail.from}>${parameters}`,
      ...mail.recipients.map((mailbox) => `RCPT TO:<${mailbox}>`),
    ];
    const pipelining = offers.has("PIPELINING");
    if (pipelining) await dialogue.send(commands);
    const refused: string[] = [];
    let taken = 0;
    let sender: Reply | undefined;
    for (const [i, line] of commands.entries()) {
      if (!pipelining) await dialogue.send([line]);
      const reply = await dialogue.reply();
      if (i === 0) sender = reply;
      if (i === 0 && reply.code !== 250 && !pipelining) break;
      if (i === 0) continue;
      if (reply.code === 250 || reply.code === 251) taken++;
      else refused.push(`${printable(mail.recipients[i - 1] ?? "")}, ${verdict(reply)}`);
    }
    if (sender) expect(sender, 250, "the sender was refused");
    if (taken === 0) throw new Failure(`nobody was taken: not to ${refused.join("; not to ")}`);
    expect(await dialogue.ask("DATA"), 354, "DATA was refused");
    await dialogue.sendContent(wire, `(${count(size, "byte")} of mail, and a line with a dot)`);
    expect(await dialogue.reply(), 250, "the mail was refused");
    return refused;
  }

  async function composed(): Promise<Mail> {
    if (flags.text && flags["text-file"]) throw new Failure("--text or --text-file, not both", 2);
    const text = flags.text || (flags["text-file"] ? await readText(flags["text-file"]) : await readStdin());
    const attachments = await Promise.all(
      flags.attach.map(async (path) => ({ filename: path.replace(/^.*[/\\]/, ""), content: await readFile(path) })),
    );
    const { from, to, cc, bcc, subject } = flags;
    const html = flags.html ? await readText(flags.html) : "";
    return await compose({ from, to, cc, bcc, subject, text, html, attachments });
  }

  async function passwordOf(): Promise<string> {
    if (/[\0\r\n]/.test(flags.user)) throw new Failure("--user wants a name without control characters", 2);
    if (flags["password-file"]) return (await readText(flags["password-file"])).split(/\r?\n/)[0] ?? "";
    if (flags["password-env"]) {
      const value = Deno.env.get(flags["password-env"]);
      if (value === undefined) {
        throw new Failure(`there is no environment variable ${printable(flags["password-env"])}`, 2);
      }
      return value;
    }
    const typed: unknown = Deno.stdin.isTerminal() ? promptSecret(`Password of ${printable(flags.user)}:`) : undefined;
    if (typeof typed !== "string") {
      throw new Failure("no terminal to ask for the password: --password-file or --password-env", 2);
    }
    return typed;
  }
});

/** @throws {Failure} when the reply has another code. */
function expect(reply: Reply, code: number, otherwise: string): void {
  if (reply.code !== code) throw new Failure(`${otherwise} ${verdict(reply)}`);
}

async function readStdin(): Promise<string> {
  if (Deno.stdin.isTerminal()) console.error("Type the mail, and end it with Ctrl-D.");
  return await new Response(Deno.stdin.readable).text();
}
