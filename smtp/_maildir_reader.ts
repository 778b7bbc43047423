/**
 * Reads the mails of a Maildir. A library parses them.
 *
 * @module
 */
import PostalMime, { type Address } from "npm:postal-mime@4";

/** The line of a mail in a list. */
export interface MailSummary {
  /** The name of its file. */
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  /** When it was stored, in milliseconds since 1970. */
  readonly received: number;
  readonly size: number;
}

/** A mail and its parts. */
export interface ParsedMail {
  readonly headers: readonly { readonly name: string; readonly value: string }[];
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
  readonly raw: Uint8Array<ArrayBuffer>;
}

/** Limits that keep a large or hostile mail from filling the memory. */
const LIMITS = {
  mailsInList: 200,
  bytesForSummary: 65_536,
  bytesOfMail: 64 << 20,
  bytesOfHeader: 1 << 20,
  nestedParts: 50,
};

const parse = (raw: Uint8Array<ArrayBuffer>) =>
  PostalMime.parse(raw, { maxNestingDepth: LIMITS.nestedParts, maxHeadersSize: LIMITS.bytesOfHeader });

/** The mails in the folders `new` and `cur` of a Maildir. */
export class MaildirReader {
  constructor(readonly path: string) {}

  /** The newest mails, newest first. */
  async list(): Promise<MailSummary[]> {
    const files: { folder: string; name: string }[] = [];
    for (const folder of ["new", "cur"]) {
      try {
        for await (const { name, isFile } of Deno.readDir(`${this.path}/${folder}`)) {
          if (isFile) files.push({ folder, name });
        }
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // no mail program has made `cur` yet
      }
    }
    // A file's name starts with the time.
    files.sort((a, b) => parseFloat(b.name) - parseFloat(a.name) || (a.name < b.name ? 1 : -1));
    const summaries: MailSummary[] = [];
    for (const { folder, name } of files.slice(0, LIMITS.mailsInList)) {
      const summary = await readSummary(`${this.path}/${folder}/${name}`, name);
      if (summary) summaries.push(summary);
    }
    return summaries;
  }

  /** Reads one mail. Returns `undefined` if there is no mail of that name, or if it is too large to be shown. */
  async read(name: string): Promise<ParsedMail | undefined> {
    if (!/^[\w.,:=-]+$/.test(name) || name.startsWith(".")) return undefined; // never a path
    for (const folder of ["new", "cur"]) {
      try {
        const path = `${this.path}/${folder}/${name}`;
        const { size, isFile } = await Deno.lstat(path);
        if (!isFile || size > LIMITS.bytesOfMail) return undefined;
        return await parseMail(await Deno.readFile(path));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // try the other folder
      }
    }
    return undefined;
  }
}

/** Reads the beginning of a mail's file. Returns `undefined` if the file was moved since it was listed. */
async function readSummary(path: string, name: string): Promise<MailSummary | undefined> {
  try {
    using file = await Deno.open(path);
    const { size, mtime } = await file.stat();
    const buffer = new Uint8Array(Math.min(size, LIMITS.bytesForSummary));
    let got = 0;
    for (let n = await file.read(buffer); n; n = await file.read(buffer.subarray(got))) {
      if ((got += n) === buffer.length) break;
    }
    const { from, to, subject } = await parse(buffer.subarray(0, got));
    return {
      ...{ name, size, received: mtime?.getTime() ?? 0, subject: subject || "(no subject)" },
      ...{ from: formatMailboxes(from ? [from] : []) || "(nobody)", to: formatMailboxes(to) },
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (isLimitError(error)) {
      return { name, from: "?", to: "?", subject: "(this mail cannot be parsed)", received: 0, size: 0 };
    }
    throw error;
  }
}

async function parseMail(raw: Uint8Array<ArrayBuffer>): Promise<ParsedMail> {
  try {
    const { headers, subject = "", text = "", html = "", attachments } = await parse(raw);
    return {
      ...{ subject, text, html, raw, headers: headers.map(({ originalKey, value }) => ({ name: originalKey, value })) },
      attachments: attachments.map(({ filename, mimeType, contentId, content }, i) => ({
        name: (filename ?? "").replace(/^.*[/\\]/, "") || `part-${i + 1}`,
        type: mimeType,
        id: (contentId ?? "").replace(/^<|>$/g, ""),
        content: typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content),
      })),
    };
  } catch (error) {
    if (!isLimitError(error)) throw error;
    const text = `This mail cannot be parsed: ${error.message}. You can still read its source.`;
    return { headers: [], subject: "(this mail cannot be parsed)", text, html: "", attachments: [], raw };
  }
}

const formatMailboxes = (addresses: Address[] | undefined) =>
  (addresses ?? []).map(({ name, address }) => address && name ? `${name} <${address}>` : address || name).join(", ");

/** Whether the library stopped at one of its limits: it has no error class for that. */
const isLimitError = (error: unknown): error is Error =>
  error instanceof Error && /nesting|headers? size/i.test(error.message);
