/**
 * Parses mails for the inbox. A library does it; this limits what a large or hostile mail can cost.
 *
 * @module
 */
import { unescape } from "jsr:@std/html@1/entities";
import PostalMime, { type Address, type Email } from "npm:postal-mime@4";

/** A name, which may be empty, and an address. */
export interface Mailbox {
  readonly name: string;
  readonly address: string;
}

/** What a list shows of a mail, and what a search looks at. */
export interface Summary {
  readonly from: readonly Mailbox[];
  readonly to: readonly Mailbox[];
  readonly cc: readonly Mailbox[];
  /** The recipients of the envelope, if the server has written them down (Delivered-To): here is also who is in Bcc. */
  readonly recipients: readonly string[];
  readonly subject: string;
  readonly excerpt: string;
  readonly size: number;
  readonly hasAttachments: boolean;
  /** The beginning of its text, in lower case, for a search. */
  readonly text: string;
}

/** A mail and its parts. */
export interface ParsedMail {
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly from: readonly Mailbox[];
  readonly to: readonly Mailbox[];
  readonly cc: readonly Mailbox[];
  readonly replyTo: readonly Mailbox[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly attachments: readonly {
    readonly name: string;
    readonly type: string;
    /** The Content-ID, by which the mail's HTML refers to it (RFC 2392). */
    readonly id: string;
    readonly content: Uint8Array<ArrayBuffer>;
  }[];
}

/** What a summary keeps, in characters and mailboxes. A header may be much longer. */
const KEPT = { field: 320, mailboxes: 100, excerpt: 160, text: 2000, html: 32_768 };

const parse = (raw: Uint8Array<ArrayBuffer>): Promise<Email> =>
  PostalMime.parse(raw, { maxNestingDepth: 50, maxHeadersSize: 1 << 20 });

/** Parses the beginning of a mail of `size` bytes. */
export async function parseSummary(beginning: Uint8Array<ArrayBuffer>, size: number): Promise<Summary> {
  try {
    const { from, to, cc, headers, subject, text, html, attachments } = await parse(beginning);
    const envelope = headers.filter(({ key }) => key === "delivered-to").map(({ value }) => value);
    const words = (text?.slice(0, KEPT.text) || textOf(html ?? "")).replace(/\s+/g, " ").trim();
    return {
      ...{ from: mailboxes(from ? [from] : []), to: mailboxes(to), cc: mailboxes(cc) },
      recipients: envelope.slice(0, KEPT.mailboxes).map(cut),
      subject: cut(subject ?? ""),
      excerpt: copyText(words.slice(0, KEPT.excerpt)),
      ...{ size, hasAttachments: attachments.length > 0, text: copyText(words.slice(0, KEPT.text).toLowerCase()) },
    };
  } catch (error) {
    // Whatever the library throws at this mail, it must not hide the others.
    if (!(error instanceof Error)) throw error;
    const nobody = { from: [], to: [], cc: [], recipients: [] };
    return { ...nobody, subject: UNPARSED, excerpt: "", size, hasAttachments: false, text: "" };
  }
}

/** Parses a whole mail. */
export async function parseMail(raw: Uint8Array<ArrayBuffer>): Promise<ParsedMail> {
  try {
    const { headers, from, to, cc, replyTo, subject = "", text = "", html = "", attachments } = await parse(raw);
    return {
      ...{ from: allMailboxes(from ? [from] : []), to: allMailboxes(to), cc: allMailboxes(cc) },
      ...{ replyTo: allMailboxes(replyTo), subject, text, html },
      headers: headers.map(({ originalKey, value }) => ({ name: originalKey, value })),
      attachments: attachments.map(({ filename, mimeType, contentId, content }, i) => ({
        name: filename || `part-${i + 1}`,
        type: mimeType,
        id: (contentId ?? "").replace(/^<|>$/g, ""),
        content: typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content),
      })),
    };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return {
      ...{ headers: [], from: [], to: [], cc: [], replyTo: [], subject: UNPARSED, html: "", attachments: [] },
      text: `This mail cannot be parsed: ${error.message}. You can still read its source.`,
    };
  }
}

const UNPARSED = "(this mail cannot be parsed)";

/** The mailboxes of an address field; those of groups (RFC 5322 §3.4) one by one. */
const allMailboxes = (addresses: readonly Address[] = []): Mailbox[] =>
  addresses.flatMap((each) => each.group ?? [each]).map(({ name, address }) => ({ name, address }));

const mailboxes = (addresses: readonly Address[] = []): Mailbox[] =>
  allMailboxes(addresses).slice(0, KEPT.mailboxes).map(({ name, address }) => ({
    name: cut(name),
    address: cut(address),
  }));

const cut = (text: string): string => copyText(text.length > KEPT.field ? `${text.slice(0, KEPT.field)}…` : text);

/** A copy of a short text. A part of a string keeps the whole string in memory, here the whole beginning of a mail. */
export const copyText = (text: string): string => new TextDecoder().decode(new TextEncoder().encode(text));

/** The words of HTML, roughly: for a line in a list. */
function textOf(html: string): string {
  const [head = "", ...bodies] = html.slice(0, KEPT.html).split(/<body\b/i);
  const body = bodies.length > 0 ? `<body${bodies.join("")}` : head;
  const visible = body.split(/<(?:style|script|title)\b/i).map((part, i) =>
    i === 0 ? part : /<\/(?:style|script|title)(.*)/is.exec(part)?.[1]?.replace(/^/, "<") ?? ""
  );
  return unescape(visible.join(" ").replace(/<[^<>]*(>|$)/g, " "));
}
