/**
 * Reads a Maildir: which mails it has, in which order, and which of them were read. It also marks and deletes them.
 *
 * @module
 */
import { lengthOf } from "../tcp/_read_file.ts";
import { copyText, type ParsedMail, parseMail, parseSummary, type Summary } from "./_inbox_mail.ts";

/** A mail in a Maildir, as the name of its file describes it. */
export interface Entry {
  /** The name without its flags: it stays the same when the mail is read. */
  readonly id: string;
  readonly folder: string;
  readonly file: string;
  /** When it arrived, in milliseconds since 1970. */
  readonly received: number;
  readonly isRead: boolean;
}

/** The line of a mail in a list. */
export type ListedMail = Entry & Summary;

/** Limits that keep a large or hostile mail, or many of them, from filling the memory. */
const LIMITS = { summaries: 20_000, bytesForSummary: 65_536, bytesOfMail: 64 << 20 };

/** What stands before a mail's flags. Windows allows no `:` in a name: there mail programs write `;`. */
const SEPARATOR = Deno.build.os === "windows" ? ";" : ":";

/** The mails in the folders `new` and `cur` of a Maildir. */
export class MaildirReader {
  /** What was read of each mail's file, by the mail's id: a mail in a Maildir never changes. */
  readonly #summaries = new Map<string, Summary>();
  /** When the files were written whose name does not tell. */
  readonly #times = new Map<string, number>();

  constructor(readonly path: string) {}

  /**
   * All mails, newest first. It only reads the names of the files, with blocking calls: for 10,000 names these take 10 ms,
   * and the asynchronous ones five times as long.
   */
  entries(): Entry[] {
    const entries = new Map<string, Entry>();
    for (const folder of ["new", "cur"]) {
      for (const file of this.#filesIn(folder)) {
        const [, id = "", flags = ""] = /^(.*?)(?:[:;]2,(\w*))?$/s.exec(file) ?? [];
        const received = timeOf(id) ?? this.#writtenAt(folder, file, id);
        // A mail is moved from `new` to `cur`: what was seen in both is in `cur` now.
        entries.set(id, { id, folder, file, received, isRead: folder === "cur" && flags.includes("S") });
      }
    }
    return [...entries.values()].sort((a, b) => b.received - a.received || collator.compare(b.id, a.id));
  }

  *#filesIn(folder: string): Iterable<string> {
    try {
      for (const { name, isFile } of Deno.readDirSync(`${this.path}/${folder}`)) {
        if (isFile && !name.startsWith(".")) yield name;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // no mail program has made `cur` yet
    }
  }

  #writtenAt(folder: string, file: string, id: string): number {
    let time = this.#times.get(id);
    if (time === undefined) {
      try {
        time = Deno.lstatSync(`${this.path}/${folder}/${file}`).mtime?.getTime() ?? 0;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        return 0; // it was moved or deleted just now
      }
      remember(this.#times, id, time);
    }
    return time;
  }

  /** The mail with this id. The id is compared with names that exist, and never becomes a part of a path. */
  find(id: string): Entry | undefined {
    return this.entries().find((entry) => entry.id === id);
  }

  /** Adds what a list shows. `undefined`: the file was moved or deleted since it was listed. */
  listed(entry: Entry): Promise<ListedMail> | ListedMail | undefined {
    const known = this.#summaries.get(entry.id);
    return known ? { ...entry, ...known } : this.#readSummary(entry);
  }

  #readSummary(entry: Entry): Promise<ListedMail> | ListedMail | undefined {
    // Blocking calls, as the writer of a Maildir uses them: on files this small they are seven times as fast.
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(`${this.path}/${entry.folder}/${entry.file}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (isExhausted(error)) throw error;
      return { ...entry, ...unreadable }; // without permission, for example: it must not hide the others
    }
    using _ = file;
    const size = lengthOf(file);
    const buffer = new Uint8Array(Math.min(size, LIMITS.bytesForSummary));
    let got = 0;
    for (let n = file.readSync(buffer); n; n = file.readSync(buffer.subarray(got))) got += n;
    return parseSummary(buffer.subarray(0, got), size).then((summary) => {
      remember(this.#summaries, entry.id, summary);
      return { ...entry, ...summary };
    });
  }

  /** Those mails of a list that match, in its order. The first search reads all mails; later ones only the new ones. */
  async filter(entries: readonly Entry[], matches: (mail: ListedMail) => boolean): Promise<ListedMail[]> {
    const found: ListedMail[] = [];
    let parsed = 0;
    for (const entry of entries) {
      let mail = this.listed(entry);
      if (mail instanceof Promise) {
        mail = await mail;
        // Other requests are answered in between.
        if (++parsed % 32 === 0) await new Promise((resume) => setTimeout(resume, 0));
      }
      if (mail && matches(mail)) found.push(mail);
    }
    return found;
  }

  /** Reads a whole mail. `undefined`: it was moved or deleted since it was listed. */
  async read({ folder, file }: Entry): Promise<ParsedMail | undefined> {
    const path = `${this.path}/${folder}/${file}`;
    try {
      const { size } = await Deno.stat(path);
      return size > LIMITS.bytesOfMail ? tooLarge(size) : await parseMail(await Deno.readFile(path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Opens a mail's file. `undefined`: it was moved or deleted since it was listed. */
  async open({ folder, file }: Entry): Promise<Deno.FsFile | undefined> {
    try {
      return await Deno.open(`${this.path}/${folder}/${file}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /**
   * Marks a mail as read, or as unread: a mail that was seen lies in `cur` and has the flag S, as mail programs write it too.
   * Returns whether it was there.
   */
  async mark({ id, folder, file, isRead }: Entry, read: boolean): Promise<boolean> {
    if (isRead === read) return true;
    const [, flags = ""] = /[:;]2,(\w*)$/.exec(file) ?? [];
    const others = [...flags].filter((flag) => flag !== "S");
    const marked = `${id}${SEPARATOR}2,${[...others, ...read ? ["S"] : []].sort().join("")}`; // sorted, as Maildir demands
    return await ifPresent(async () => {
      await Deno.mkdir(`${this.path}/cur`, { recursive: true, mode: 0o700 });
      await Deno.rename(`${this.path}/${folder}/${file}`, `${this.path}/cur/${marked}`);
    });
  }

  /** Deletes a mail. Returns whether it was there. */
  async delete({ folder, file }: Entry): Promise<boolean> {
    return await ifPresent(() => Deno.remove(`${this.path}/${folder}/${file}`));
  }
}

const collator = new Intl.Collator("en", { numeric: true });

/**
 * The time in a mail's name: in milliseconds, as `server.ts` writes it, or in seconds, to which other programs add the
 * microseconds behind an M (`1700000000.V1I2M345678.host`, `1700000000.M345678P9.host`).
 */
function timeOf(id: string): number | undefined {
  const [, digits, microseconds = "0"] = /^(\d{9,13})\.(?:[^.]*?M(\d{1,6})(?!\d))?/.exec(id) ?? [];
  if (digits === undefined) return undefined;
  return digits.length > 11 ? Number(digits) : Number(digits) * 1000 + Math.floor(Number(microseconds) / 1000);
}

/** Keeps a value; of too many values it drops the oldest. */
function remember<T>(map: Map<string, T>, id: string, value: T): void {
  const [oldest] = map.keys();
  if (map.size >= LIMITS.summaries && oldest !== undefined) map.delete(oldest);
  map.set(copyText(id), value);
}

/** Whether this process has no descriptor left: then nothing is wrong with the file. */
const isExhausted = (error: unknown) => error instanceof Error && Reflect.get(error, "code") === "EMFILE";

const unreadable: Summary = {
  ...{ from: [], to: [], cc: [], recipients: [], size: 0, hasAttachments: false, text: "" },
  ...{ subject: "(this mail cannot be read)", excerpt: "" },
};

function tooLarge(size: number): ParsedMail {
  const text = `This mail is too large to be shown (${Math.ceil(size / 2 ** 20)} MiB). You can still read its source.`;
  return {
    ...{ headers: [], from: [], to: [], cc: [], replyTo: [], subject: "(a large mail)", text, html: "" },
    attachments: [],
  };
}

async function ifPresent(change: () => Promise<void>): Promise<boolean> {
  try {
    await change();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
