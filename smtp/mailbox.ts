/**
 * The mails of a Maildir, taken apart by a library.
 *
 * @module
 */
import PostalMime, { type Address } from "npm:postal-mime@4";

/** A mail in a list. */
export interface Summary {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  /** When it came, in milliseconds. */
  readonly received: number;
  readonly size: number;
}

/** A mail with all that is in it. */
export interface Mail {
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly attachments: readonly {
    readonly name: string;
    readonly type: string;
    /** How the mail's HTML names it (RFC 2392). */
    readonly id: string;
    readonly content: Uint8Array<ArrayBuffer>;
  }[];
  readonly raw: Uint8Array<ArrayBuffer>;
}

/** How many mails are listed, and how much of each is read for that; the largest mail that is shown, in bytes. */
const LIMITS = { listed: 200, head: 65_536, mail: 64 << 20 };

const limits = { maxNestingDepth: 50, maxHeadersSize: 1 << 20 };

/** Reads a Maildir. */
export class Mailbox {
  constructor(readonly path: string) {}

  /** The newest mails, the newest first. */
  async list(): Promise<Summary[]> {
    const found: { folder: string; name: string }[] = [];
    for (const folder of ["new", "cur"]) {
      try {
        for await (const { name, isFile } of Deno.readDir(`${this.path}/${folder}`)) {
          if (isFile) found.push({ folder, name });
        }
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // a Maildir that nobody has read yet has no cur
      }
    }
    // A name starts with the time.
    found.sort((a, b) => parseFloat(b.name) - parseFloat(a.name) || (a.name < b.name ? 1 : -1));
    const summaries: Summary[] = [];
    for (const { folder, name } of found.slice(0, LIMITS.listed)) {
      const summary = await summarize(`${this.path}/${folder}/${name}`, name);
      if (summary) summaries.push(summary);
    }
    return summaries;
  }

  /** One mail; `undefined` when there is none of that name, or it is too large to be shown. */
  async read(name: string): Promise<Mail | undefined> {
    if (!/^[\w.,:=-]+$/.test(name) || name.startsWith(".")) return undefined; // a name, and no path
    for (const folder of ["new", "cur"]) {
      try {
        const path = `${this.path}/${folder}/${name}`;
        const { size, isFile } = await Deno.lstat(path);
        if (!isFile || size > LIMITS.mail) return undefined;
        return await parse(await Deno.readFile(path));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // in the other folder, perhaps
      }
    }
    return undefined;
  }
}

const shown = (addresses: Address[] | undefined) =>
  (addresses ?? []).map(({ name, address }) => address && name ? `${name} <${address}>` : address || name).join(", ");

/** Whether the library gave a mail up, which is nested too deep or has too long a header. */
const isUnreadable = (error: unknown): error is Error =>
  error instanceof Error && /nesting|headers? size/i.test(error.message);

async function summarize(path: string, name: string): Promise<Summary | undefined> {
  try {
    using file = await Deno.open(path);
    const { size, mtime } = await file.stat();
    const buffer = new Uint8Array(Math.min(size, LIMITS.head));
    let got = 0;
    for (let n = await file.read(buffer); n; n = await file.read(buffer.subarray(got))) {
      if ((got += n) === buffer.length) break;
    }
    const { from, to, subject } = await PostalMime.parse(buffer.subarray(0, got), limits);
    return {
      ...{ name, size, received: mtime?.getTime() ?? 0, subject: subject || "(no subject)" },
      ...{ from: shown(from ? [from] : []) || "(nobody)", to: shown(to) },
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined; // moved since it was listed
    if (isUnreadable(error)) {
      return { name, from: "?", to: "?", subject: "(this mail cannot be read)", received: 0, size: 0 };
    }
    throw error;
  }
}

async function parse(raw: Uint8Array<ArrayBuffer>): Promise<Mail> {
  try {
    const { headers, subject = "", text = "", html = "", attachments } = await PostalMime.parse(raw, limits);
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
    if (!isUnreadable(error)) throw error;
    const text = `This mail cannot be taken apart: ${error.message}. Its source can be read.`;
    return { headers: [], subject: "(this mail cannot be read)", text, html: "", attachments: [], raw };
  }
}
