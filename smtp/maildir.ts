/**
 * Where received mails are kept: a Maildir, one file a mail, which any mail program can read.
 *
 * @module
 */

/** A mail that is coming in. Either `keep` or `abandon` is called at its end. */
export interface Incoming {
  /** Takes a part of it; the bytes are copied. */
  add(content: Uint8Array): void;
  /** Waits until no more of it than a buffer is in memory. */
  drain(): Promise<void>;
  /** Keeps it for good; returns its name. @throws when the disk does not take it. */
  keep(): Promise<string>;
  abandon(): Promise<void>;
}

/** How much of a mail is in memory while it comes, in bytes. */
const BUFFER = 262_144;

let count = 0;

/**
 * A Maildir is three folders: a mail is written to `tmp`, flushed to the disk, and renamed to `new`, whence mail programs
 * move it to `cur`. The renaming is one step: a mail is there as a whole or not at all, without any locks.
 */
export class Maildir {
  constructor(readonly path: string, readonly host: string) {}

  /** Makes the folders that are missing, and throws away what an interrupted server has left half-written. */
  async open(): Promise<void> {
    for (const name of ["tmp", "new", "cur"]) {
      await Deno.mkdir(`${this.path}/${name}`, { recursive: true, mode: 0o700 });
    }
    for await (const { name } of Deno.readDir(`${this.path}/tmp`)) {
      const { mtime } = await Deno.stat(`${this.path}/tmp/${name}`);
      if (mtime && Date.now() - mtime.getTime() > 36 * 3_600_000) await Deno.remove(`${this.path}/tmp/${name}`);
    }
  }

  receive(): Incoming {
    // Unique on this machine, and on every other that writes to the same Maildir.
    const name = `${Date.now()}.P${Deno.pid}Q${++count}R${crypto.randomUUID().slice(0, 8)}.${this.host}`;
    return new Receiving(`${this.path}/tmp/${name}`, `${this.path}/new/${name}`, name);
  }
}

class Receiving implements Incoming {
  #parts: Uint8Array[] = [];
  #size = 0;
  #file: Deno.FsFile | undefined;

  constructor(readonly temporary: string, readonly final: string, readonly name: string) {}

  add(content: Uint8Array): void {
    this.#parts.push(content.slice());
    this.#size += content.length;
  }

  async drain(): Promise<void> {
    if (this.#size >= BUFFER) await this.#write();
  }

  async #write(): Promise<Deno.FsFile> {
    this.#file ??= await Deno.open(this.temporary, { write: true, createNew: true, mode: 0o600 });
    const all = new Uint8Array(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    [this.#parts, this.#size] = [[], 0];
    for (let written = 0; written < all.length;) written += await this.#file.write(all.subarray(written));
    return this.#file;
  }

  async keep(): Promise<string> {
    try {
      const file = await this.#write();
      await file.syncData(); // before anyone is told that the mail is safe, it is
      file.close();
      this.#file = undefined;
      await Deno.rename(this.temporary, this.final);
      return this.name;
    } catch (error) {
      await this.abandon();
      throw error;
    }
  }

  async abandon(): Promise<void> {
    [this.#parts, this.#size] = [[], 0];
    if (!this.#file) return;
    this.#file.close();
    this.#file = undefined;
    await Deno.remove(this.temporary);
  }
}

/** Takes mails and keeps none: for servers that only look at them. */
export const nowhere = (): Incoming => ({
  add() {},
  drain: () => Promise.resolve(),
  keep: () => Promise.resolve(""),
  abandon: () => Promise.resolve(),
});
