/**
 * Stores received mails in a Maildir: a folder with one file per mail, which most mail programs can read.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";
import { reason } from "../tcp/_read_file.ts";
import { writeAll } from "../tcp/_write_all.ts";

/** Writes one mail. At its end either `commit` or `discard` must be called. */
export interface MailWriter {
  /** Adds a part of the mail; the bytes are copied. */
  add(content: Uint8Array): void;
  /** Writes a full buffer to the disk. Never throws: `commit` reports the error. */
  flush(): Promise<void>;
  /** Stores the mail, and returns its name. @throws if it cannot be written. */
  commit(): Promise<string>;
  /** Gives the mail up. Never throws. */
  discard(): Promise<void>;
}

/** The most bytes of a mail that are held in memory while it arrives. */
const BUFFER = 262_144;

let count = 0;

/**
 * A Maildir is three folders. A mail is written to `tmp`, flushed to the disk, and renamed to `new`; mail programs later move
 * it to `cur`. The rename is atomic: a mail is complete or absent, without locks.
 */
export class Maildir {
  /** The folder `new`; not on Windows, where a folder cannot be opened. */
  #folder: FolderFlush | undefined;

  constructor(readonly path: string, readonly host: string) {}

  /** Creates missing folders, and deletes incomplete mails that are older than 36 hours. @throws {Failure} if it cannot. */
  async open(): Promise<void> {
    const path = printable(this.path);
    try {
      await this.#open();
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) {
        const flags = `-R=${path} -W=${path}`;
        throw new Failure(`no permission to use ${path}: add ${flags}`, 2, flags);
      }
      throw new Failure(`cannot use ${path} as a Maildir: ${reason(error)}`);
    }
  }

  async #open(): Promise<void> {
    for (const name of ["tmp", "new", "cur"]) {
      await Deno.mkdir(`${this.path}/${name}`, { recursive: true, mode: 0o700 });
    }
    if (Deno.build.os !== "windows") this.#folder = new FolderFlush(await Deno.open(`${this.path}/new`));
    for await (const { name, isFile } of Deno.readDir(`${this.path}/tmp`)) {
      if (isFile) await removeOld(`${this.path}/tmp/${name}`);
    }
  }

  /** Begins a mail. */
  write(): MailWriter {
    // Unique on this machine, and among all machines that write to the same Maildir.
    const name = `${Date.now()}.P${Deno.pid}Q${++count}R${crypto.randomUUID().slice(0, 8)}.${this.host}`;
    return new MaildirWriter(`${this.path}/tmp/${name}`, `${this.path}/new/${name}`, name, this.#folder);
  }
}

/** Deletes a file that is older than 36 hours. Another server on the same Maildir may do so at the same time. */
async function removeOld(path: string): Promise<void> {
  try {
    const { mtime } = await Deno.lstat(path);
    if (mtime && Date.now() - mtime.getTime() > 36 * 3_600_000) await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Flushes a folder to the disk. Mails that are moved there during a flush share the next one: each waits for the disk. */
class FolderFlush {
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(readonly folder: Deno.FsFile) {}

  async flush(): Promise<void> {
    await (this.#running ? this.#next ??= this.#running.then(() => this.#begin(), () => this.#begin()) : this.#begin());
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    return this.#running = this.folder.sync().finally(() => this.#running = undefined);
  }
}

/**
 * Writes a small mail with blocking calls: they only fill the page cache, which is faster than a round trip to another thread.
 * Only the flushing waits for the disk, and meanwhile the server serves other clients.
 */
class MaildirWriter implements MailWriter {
  #buffer = new Uint8Array(8192);
  #filled = 0;
  #file: Deno.FsFile | undefined;
  #error: unknown;

  constructor(
    readonly temporary: string,
    readonly final: string,
    readonly name: string,
    readonly folder: FolderFlush | undefined,
  ) {}

  add(content: Uint8Array): void {
    if (this.#error) return;
    const needed = this.#filled + content.length;
    if (needed > this.#buffer.length) {
      this.#buffer = new Uint8Array(this.#buffer.buffer.transfer(Math.max(needed, 2 * this.#buffer.length)));
    }
    this.#buffer.set(content, this.#filled);
    this.#filled = needed;
  }

  async flush(): Promise<void> {
    if (this.#error || this.#filled < BUFFER) return;
    try {
      await writeAll(this.#open(), this.#buffer.subarray(0, this.#filled));
      this.#filled = 0;
    } catch (error) {
      this.#error = error; // for `commit`: the reply comes at the end of the mail, not in the middle
      await this.discard();
    }
  }

  #open(): Deno.FsFile {
    return this.#file ??= Deno.openSync(this.temporary, { write: true, createNew: true, mode: 0o600 });
  }

  async commit(): Promise<string> {
    if (this.#error) throw this.#error;
    try {
      const file = this.#open();
      for (let at = 0; at < this.#filled;) at += file.writeSync(this.#buffer.subarray(at, this.#filled));
      await file.syncData(); // first flush it to the disk: the reply 250 promises that the mail is safe
      file.close();
      this.#file = undefined;
      Deno.renameSync(this.temporary, this.final);
      await this.folder?.flush(); // the file's new name is in the folder, which is flushed on its own
      return this.name;
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  async discard(): Promise<void> {
    this.#file?.close();
    this.#file = undefined;
    try {
      await Deno.remove(this.temporary);
    } catch {
      // A small mail was never written, or the disk fails: `open` deletes what is old.
    }
  }
}

/** Stores nothing: for a server that only shows its mails. */
export const discardingWriter: MailWriter = {
  add() {},
  flush: () => Promise.resolve(),
  commit: () => Promise.resolve(""),
  discard: () => Promise.resolve(),
};
