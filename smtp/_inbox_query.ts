/**
 * The parameters of the inbox's requests, and which mails they mean. Pure functions.
 *
 * @module
 */
import type { Mailbox } from "./_inbox_mail.ts";
import { Problem } from "../http/_problem.ts";
import type { ListedMail } from "./_maildir_reader.ts";

/** Which mails are meant. Upper and lower case count as the same; an empty text matches every mail. */
export interface Match {
  /** Words that all stand in the sender, the recipients, the subject, or the beginning of the text. */
  readonly q: string;
  readonly from: string;
  /** A part of a recipient's name or address: in To, in Cc, or in the envelope. */
  readonly to: string;
  readonly subject: string;
}

const MATCH = ["q", "from", "to", "subject"];
const MAX_LENGTH = 200;

/** @throws {Problem} 400 if a parameter is too long, or has a name that is not known: a misspelled one would match all mails. */
export function parseMatch(params: URLSearchParams, others: readonly string[] = []): Match {
  for (const name of params.keys()) {
    if (![...MATCH, ...others].includes(name)) {
      throw new Problem(400, `there is no such parameter: known are ${[...MATCH, ...others].join(", ")}`);
    }
  }
  const text = (name: string) => {
    const value = params.get(name) ?? "";
    if (value.length > MAX_LENGTH) throw new Problem(400, `${name} must have at most ${MAX_LENGTH} characters`);
    return value.trim().toLowerCase();
  };
  return { q: text("q"), from: text("from"), to: text("to"), subject: text("subject") };
}

/** A whole number. @throws {Problem} 400 */
export function parseInteger(params: URLSearchParams, name: string, initial: number, min: number, max: number): number {
  const value = params.get(name);
  if (value === null) return initial;
  if (/^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value);
  throw new Problem(400, `${name} must be a whole number from ${min} to ${max}`);
}

/** A time: milliseconds since 1970, or as in RFC 3339. @throws {Problem} 400 */
export function parseSince(params: URLSearchParams): number | undefined {
  const value = params.get("since");
  if (value === null) return undefined;
  const time = /^\d{1,15}$/.test(value) ? Number(value) : RFC_3339.test(value) ? Date.parse(value) : NaN;
  if (!Number.isNaN(time)) return time;
  throw new Problem(400, "since must be a time such as 2026-01-31T12:00:00Z, or in milliseconds since 1970");
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i;

/** Whether a mail is meant. */
export function matches({ q, from, to, subject }: Match): (mail: ListedMail) => boolean {
  const words = q.split(/\s+/).filter((word) => word !== "");
  return (mail) => {
    const sender = line(mail.from);
    const recipients = `${line([...mail.to, ...mail.cc])} ${mail.recipients.join(" ").toLowerCase()}`;
    const title = mail.subject.toLowerCase();
    if (!sender.includes(from) || !recipients.includes(to) || !title.includes(subject)) return false;
    return words.every((word) => [sender, recipients, title, mail.text].some((part) => part.includes(word)));
  };
}

const line = (mailboxes: readonly Mailbox[]) =>
  mailboxes.map(({ name, address }) => `${name} <${address}>`).join(" ").toLowerCase();
