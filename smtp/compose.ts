/**
 * A mail from what the command line says. MIME is the work of a library; here its input is checked.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import MailComposer from "npm:nodemailer@10/lib/mail-composer";
import addressParser from "npm:nodemailer@10/lib/addressparser";
import { Failure, printable } from "../cli.ts";
import { isMailbox } from "./address.ts";

/** What a mail is made of. Addresses may have names: `Ada <ada@example.com>`. */
export interface Parts {
  readonly from: string;
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly bcc: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly attachments: readonly { readonly filename: string; readonly content: Uint8Array }[];
}

/** A mail, and where it goes: recipients are in the envelope alone, those of `bcc` are nowhere else. */
export interface Mail {
  readonly from: string;
  readonly recipients: readonly string[];
  readonly content: Uint8Array;
}

const control = /[\p{Cc}\p{Zl}\p{Zp}]/u;

/** The mailbox in an address. @throws {Failure} with code 2 when there is none, or anything that would break a header. */
function mailboxOf(option: string, address: string): string {
  const wrong = () => new Failure(`--${option} wants an address as ada@example.com, not ${printable(address)}`, 2);
  if (control.test(address)) throw wrong();
  const [parsed, ...more] = addressParser(address);
  const mailbox = parsed && "address" in parsed ? parsed.address ?? "" : "";
  if (more.length > 0 || !isMailbox(mailbox)) throw wrong();
  return mailbox;
}

/** Makes the mail. @throws {Failure} with code 2 on an address or a subject that is none. */
export async function compose(parts: Parts): Promise<Mail> {
  const { from, to, cc, bcc, subject, text, html, attachments } = parts;
  if (control.test(subject)) throw new Failure("--subject wants one line, without control characters", 2);
  const sender = from === "" ? "" : mailboxOf("from", from);
  const lists: [string, readonly string[]][] = [["to", to], ["cc", cc], ["bcc", bcc]];
  const recipients = [...new Set(lists.flatMap(([option, list]) => list.map((each) => mailboxOf(option, each))))];
  if (recipients.length === 0) throw new Failure("nobody to send to: --to, --cc or --bcc", 2);
  for (const { filename } of attachments) {
    if (control.test(filename)) throw new Failure(`a file name with control characters: ${printable(filename)}`, 2);
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
