/**
 * Sends one mail over SMTP, and shows the dialogue with the server.
 *
 * Look at where addresses appear: in the envelope (MAIL, RCPT), which decides where the mail goes, and in the mail's header,
 * which its reader sees. SMTP does not compare them. So blind copies work, and so do forged senders.
 *
 * This terminal: `deno run -N=127.0.0.1 smtp/send.ts --from a@example.com --to b@example.com --text Hello`. The other:
 * `deno run -N=127.0.0.1 smtp/server.ts`. Both: `deno task smtp:send`.
 * For a server elsewhere: `deno run -N -R smtp/send.ts --host mail.example.com --port 587 --tls required --user ada …`
 * RFC 5321 (SMTP), RFC 5322 (mails), RFC 3207 (STARTTLS), RFC 4954 (AUTH). API: Deno.connect, Deno.startTls.
 *
 * @module
 */
import { promptSecret } from "jsr:@std/cli@1/prompt-secret";
import { clientOptions, connect, count, Failure, flag, list, printable, run, seconds, text } from "../cli.ts";
import { readText } from "../tcp/_read_file.ts";
import { caOption, explainTls, readCertificates } from "../tcp/_tls_client.ts";
import { needsUtf8 } from "./_address.ts";
import { cramMd5Response, fromBase64, mechanisms, toBase64 } from "./_authentication.ts";
import { ClientConnection, describeReply } from "./_client_connection.ts";
import { composeMail, type OutgoingMail } from "./_compose.ts";
import { DataDecoder, encodeData } from "./_data.ts";
import type { Reply } from "./_reply.ts";

/** Sends a mail: the whole dialogue but QUIT. Returns the recipients that the server refused, with the reasons. */
async function sendMail(connection: ClientConnection, mail: OutgoingMail, options: SendOptions): Promise<string[]> {
  if (options.tls === "implicit") await connection.startTls(options.caCerts);
  requireKind(await connection.reply(), 2, "the server refused the connection");
  let extensions = await hello(connection, options.helo);
  if (!connection.isTls && options.tls !== "off" && extensions.has("STARTTLS")) {
    requireKind(await connection.ask("STARTTLS"), 2, "STARTTLS was refused");
    await connection.startTls(options.caCerts);
    // Forget the extensions from before TLS: an attacker could have changed them (RFC 3207 §4.2).
    extensions = await hello(connection, options.helo);
  }
  if (!connection.isTls && options.tls === "required") {
    throw new Failure("the server offers no STARTTLS, and --tls is required");
  }
  if (options.user) await authenticate(connection, extensions.get("AUTH") ?? "", options);
  const content = encodeContent(mail, extensions);
  const refused = await sendEnvelope(connection, mail, content.parameters, extensions.has("PIPELINING"));
  await sendContent(connection, content);
  return refused;
}

/** Sends EHLO, or HELO to a server that does not know EHLO. Returns the service extensions that the server offers. */
async function hello(connection: ClientConnection, name: string): Promise<Map<string, string>> {
  const reply = await connection.ask(`EHLO ${name}`);
  if (reply.code >= 500) {
    requireKind(await connection.ask(`HELO ${name}`), 2, "HELO was refused");
    return new Map();
  }
  requireKind(reply, 2, "EHLO was refused");
  return new Map(
    reply.lines.slice(1).map((line) => {
      const [, keyword = "", parameters = ""] = /^([A-Za-z0-9-]+)[ =]?(.*)$/.exec(line) ?? [];
      return [keyword.toUpperCase(), parameters];
    }),
  );
}

/** Logs in, by the best mechanism that the server offers. */
async function authenticate(connection: ClientConnection, offered: string, options: SendOptions): Promise<void> {
  const { user, password } = options;
  const names = offered.toUpperCase().split(/\s+/);
  const usable = mechanisms.filter((name) => names.includes(name));
  // PLAIN and LOGIN send the password itself, so they need TLS. CRAM-MD5 only proves that the client knows it.
  const maySendPassword = connection.isTls || options.insecureAuth;
  const mechanism = usable.find((name) => maySendPassword ? name !== "CRAM-MD5" : name === "CRAM-MD5") ??
    (maySendPassword ? usable[0] : undefined);
  if (usable.length === 0) {
    throw new Failure("the server offers none of the login methods that this client knows (PLAIN, LOGIN, CRAM-MD5)");
  }
  if (!mechanism) {
    throw new Failure("the password was not sent, because there is no TLS; --insecure-auth sends it anyway");
  }
  const respond = (text: string) => connection.ask(toBase64(text), "********");
  let reply: Reply;
  if (mechanism === "PLAIN") {
    reply = await connection.ask(`AUTH PLAIN ${toBase64(`\0${user}\0${password}`)}`, "AUTH PLAIN ********");
  } else {
    reply = await connection.ask(`AUTH ${mechanism}`);
    if (mechanism === "LOGIN" && kindOf(reply) === 3) reply = await respond(user);
    if (kindOf(reply) === 3) {
      const challenge = fromBase64(reply.lines[0] ?? "");
      if (mechanism === "CRAM-MD5" && !challenge) {
        await connection.ask("*"); // cancels the login (RFC 4954 §4)
        throw new Failure("the server sent a challenge that is not base64: login cancelled");
      }
      reply = await respond(mechanism === "LOGIN" ? password : cramMd5Response({ user, password }, challenge ?? ""));
    }
  }
  requireKind(reply, 2, "the password was refused");
}

/** Sends MAIL and a RCPT for each recipient. Returns the recipients that the server refused, with the reasons. */
async function sendEnvelope(
  connection: ClientConnection,
  { from, recipients }: OutgoingMail,
  parameters: string,
  pipelining: boolean,
): Promise<string[]> {
  const commands = [`MAIL FROM:<${from}>${parameters}`, ...recipients.map((mailbox) => `RCPT TO:<${mailbox}>`)];
  // With PIPELINING all of them go out at once, and the replies arrive in the same order (RFC 2920).
  if (pipelining) await connection.send(commands);
  const replies: Reply[] = [];
  for (const command of commands) {
    if (!pipelining) await connection.send([command]);
    replies.push(await connection.reply());
    if (!pipelining && replies[0] && kindOf(replies[0]) !== 2) break; // without a sender there are no recipients
  }
  const [sender, ...answers] = replies;
  if (sender) requireKind(sender, 2, "the sender was refused");
  const refused = answers.flatMap((reply, i) =>
    kindOf(reply) === 2 ? [] : [`${printable(recipients[i] ?? "")} (${describeReply(reply)})`]
  );
  if (refused.length === recipients.length) {
    throw new Failure(`the server accepted no recipient: ${refused.join("; ")}`);
  }
  return refused;
}

/** Sends DATA and the content. The last reply says that the server has taken over the responsibility for the mail. */
async function sendContent(connection: ClientConnection, { wire, size }: Content): Promise<void> {
  requireKind(await connection.ask("DATA"), 3, "DATA was refused");
  await connection.sendContent(wire, `(${count(size, "byte")} of mail, and a line with a dot)`);
  requireKind(await connection.reply(), 2, "the mail was refused");
}

/** A mail's content on the wire, its size without the dots that are added there, and what MAIL says about it. */
interface Content {
  readonly wire: Uint8Array;
  readonly size: number;
  readonly parameters: string;
}

/** Encodes a mail's content. @throws {Failure} if it needs an extension that the server does not offer. */
function encodeContent(mail: OutgoingMail, extensions: Map<string, string>): Content {
  const wire = encodeData(mail.content);
  const decoder = new DataDecoder();
  decoder.push(wire, () => {});
  const { size } = decoder; // SIZE does not count the doubled dots and the final dot (RFC 1870 §5)
  const maxSize = Number(extensions.get("SIZE") ?? 0);
  if (maxSize > 0 && size > maxSize) {
    throw new Failure(`the mail has ${size} bytes, but the server accepts at most ${maxSize}`);
  }
  let parameters = extensions.has("SIZE") ? ` SIZE=${size}` : "";
  if (mail.content.some((byte) => byte > 127)) {
    if (!extensions.has("8BITMIME")) {
      throw new Failure("the mail contains 8-bit bytes, but the server does not offer 8BITMIME");
    }
    parameters += " BODY=8BITMIME";
  }
  if ([mail.from, ...mail.recipients].some(needsUtf8)) {
    if (!extensions.has("SMTPUTF8")) {
      throw new Failure("an address contains non-ASCII letters, but the server does not offer SMTPUTF8");
    }
    parameters += " SMTPUTF8";
  }
  return { wire, size, parameters };
}

/** What a reply means: the first digit of its code. The others say more, and a client must live with any (RFC 5321 §4.3.2). */
const kindOf = (reply: Reply) => Math.floor(reply.code / 100);

/** @throws {Failure} when the reply is of another kind. */
function requireKind(reply: Reply, kind: 2 | 3, otherwise: string): void {
  if (kindOf(reply) !== kind) throw new Failure(`${otherwise} ${describeReply(reply)}`);
}

const tlsModes = ["required", "opportunistic", "implicit", "off"] as const;

interface SendOptions {
  readonly tls: typeof tlsModes[number];
  readonly caCerts: string[] | undefined;
  readonly helo: string;
  readonly user: string;
  readonly password: string;
  readonly insecureAuth: boolean;
}

const command = {
  name: "send",
  about: "Sends one mail over SMTP. The text comes from --text, a file, or stdin.",
  run: "deno run -N=127.0.0.1 smtp/send.ts",
  examples: [
    "deno task smtp-send --to alan@example.com --text Hello",
    "deno task smtp-send --to alan@example.com --text Hello --tls off --trace",
  ],
  groups: {
    "Connection": ["tls", "ca", "helo"],
    "Login": ["user", "password-file", "password-env", "insecure-auth"],
  },
  options: {
    ...clientOptions(2525),
    "timeout": seconds(30, "how long one step may take; 0: no limit"),
    "from": text("", "the sender; default: empty (<>), as in failure notices", "ADDRESS"),
    "to": list("recipient", "ADDRESS"),
    "cc": list("recipient of a copy", "ADDRESS"),
    "bcc": list("recipient of a hidden copy", "ADDRESS"),
    "subject": text("", "the subject"),
    "text": text("", "the text"),
    "text-file": text("", "a file with the text", "FILE"),
    "html": text("", "a file with the text as HTML", "FILE"),
    "attach": list("a file to attach", "FILE"),
    "tls": {
      default: "opportunistic" as typeof tlsModes[number],
      help: `one of ${tlsModes.join(", ")}`,
      value: "MODE",
      parse(raw: string) {
        const mode = tlsModes.find((mode) => mode === raw);
        if (!mode) throw new RangeError(`one of ${tlsModes.join(", ")}`);
        return mode;
      },
    },
    "ca": caOption,
    "user": text("", "the user to log in as; asks for the password", "NAME"),
    "password-file": text("", "a file with the password in its first line", "FILE"),
    "password-env": text("", "an environment variable with the password", "VARIABLE"),
    "insecure-auth": flag("send the password even without TLS"),
    "helo": text("localhost", "the host name to give in EHLO", "NAME"),
  },
};

await run(command, async (flags) => {
  if (/[^!-~]/.test(flags.helo)) throw new Failure("--helo needs a name without spaces, in ASCII", 2);
  const mail = await composeMail(flags);
  const options: SendOptions = {
    ...{ tls: flags.tls, helo: flags.helo, user: flags.user, insecureAuth: flags["insecure-auth"] },
    password: flags.user ? await readPassword(flags) : "",
    caCerts: await readCertificates(flags.ca),
  };
  const server = { hostname: flags.host, port: flags.port };
  const conn = await connect(flags, Deno.connect);
  const connection = new ClientConnection(conn, server, { ...flags, show: console.log });
  let refused: string[];
  try {
    refused = await sendMail(connection, mail, options);
  } catch (error) {
    throw explainTls(error, server);
  } finally {
    await connection.close();
  }
  if (refused.length > 0) throw new Failure(`refused recipients: ${refused.join("; ")}`);
});

async function readPassword(flags: Record<"user" | "password-file" | "password-env", string>): Promise<string> {
  if (/[\0\r\n]/.test(flags.user)) throw new Failure("--user needs a name without control characters", 2);
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
    throw new Failure("cannot ask for the password without a terminal: use --password-file or --password-env", 2);
  }
  return typed;
}
