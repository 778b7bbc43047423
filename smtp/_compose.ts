/**
 * Builds a mail from the options of `send.ts`. A library writes the MIME format; this module checks its input.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import MailComposer from "npm:nodemailer@10/lib/mail-composer";
import addressParser from "npm:nodemailer@10/lib/addressparser";
import { Failure, printable } from "../cli.ts";
import { readFile, readText } from "../tcp/_read_file.ts";
import { isMailbox } from "./_address.ts";

/** The parts of a mail. An address may have a name: `Ada <ada@example.com>`. */
interface MailParts {
  readonly from: string;
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly bcc: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly attachments: readonly { readonly filename: string; readonly content: Uint8Array }[];
}

/** A mail and its envelope. Those of `bcc` are in the envelope only, never in the header. */
export interface OutgoingMail {
  readonly from: string;
  readonly recipients: readonly string[];
  readonly content: Uint8Array;
}

const control = /[\p{Cc}\p{Zl}\p{Zp}]/u;

/** Returns the mailbox of an address. @throws {Failure} with code 2 if it is malformed, or would break the header. */
function mailboxOf(option: string, address: string): string {
  const usageError = () =>
    new Failure(`--${option} needs an address like ada@example.com, not ${printable(address)}`, 2);
  if (control.test(address)) throw usageError();
  const [parsed, ...more] = addressParser(address);
  const mailbox = parsed && "address" in parsed ? parsed.address ?? "" : "";
  if (more.length > 0 || !isMailbox(mailbox)) throw usageError();
  return mailbox;
}

/** Builds the mail. @throws {Failure} with code 2 if an address, the subject or a file name is malformed. */
async function compose(parts: MailParts): Promise<OutgoingMail> {
  const { from, to, cc, bcc, subject, text, html, attachments } = parts;
  if (control.test(subject)) throw new Failure("--subject must be one line without control characters", 2);
  const sender = from === "" ? "" : mailboxOf("from", from);
  const lists: [string, readonly string[]][] = [["to", to], ["cc", cc], ["bcc", bcc]];
  const recipients = [...new Set(lists.flatMap(([option, list]) => list.map((each) => mailboxOf(option, each))))];
  if (recipients.length === 0) throw new Failure("no recipient: give --to, --cc or --bcc", 2);
  for (const { filename } of attachments) {
    if (control.test(filename)) {
      throw new Failure(`--attach needs a file name without control characters, not ${printable(filename)}`, 2);
    }
  }
  const composer = new MailComposer({
    from: from || undefined,
    to: [...to],
    cc: [...cc],
    subject,
    text,
    html: html || undefined,
    attachments: attachments.map(({ filename, content }) => ({ filename, content: Buffer.from(content) })),
    newline: "\r\n",
    disableUrlAccess: true,
    disableFileAccess: true,
  });
  return { from: sender, recipients, content: await composer.compile().build() };
}

/** The options of `send.ts` that a mail is built from. */
export type MailFlags =
  & Record<"from" | "subject" | "text" | "text-file" | "html", string>
  & {
    readonly [name in "to" | "cc" | "bcc" | "attach"]: string[];
  };

/** Reads the files that the options name, and builds the mail. @throws {Failure} with code 2 if an option is wrong. */
export async function composeMail(flags: MailFlags): Promise<OutgoingMail> {
  if (flags.text && flags["text-file"]) throw new Failure("give --text or --text-file, not both", 2);
  const text = flags.text || (flags["text-file"] ? await readText(flags["text-file"]) : await readStdin());
  const folders = Deno.build.os === "windows" ? /^.*[/\\]/s : /^.*\//s; // elsewhere a name may contain a backslash
  const attachments = await Promise.all(
    flags.attach.map(async (path) => ({ filename: path.replace(folders, ""), content: await readFile(path) })),
  );
  const { from, to, cc, bcc, subject } = flags;
  const html = flags.html ? await readText(flags.html) : "";
  return await compose({ from, to, cc, bcc, subject, text, html, attachments });
}

async function readStdin(): Promise<string> {
  if (Deno.stdin.isTerminal()) console.error("Type the mail, and end it with Ctrl-D.");
  return await new Response(Deno.stdin.readable).text();
}
