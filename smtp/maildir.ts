/**
 * Where received mails are kept: a Maildir, one file a mail, which any mail program can read.
 *
 * @module
 */

import { writeAll } from "../tcp/write_all.ts";

/** A mail that is coming in. Either `keep` or `abandon` is called at its end. */
export interface Incoming {
  /** Takes a part of it; the bytes are copied. */
  add(content: Uint8Array): void;
  /** Waits until no more of it than a buffer is in memory. Does not throw: what goes wrong is for `keep` to say. */
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

/**
 * A small mail is written with blocking calls: they touch memory alone, which takes less time than the way to another thread
 * and back. The disk is waited for in `syncData`, and meanwhile other clients are served.
 */
class Receiving implements Incoming {
  #buffer = new Uint8Array(8192);
  #filled = 0;
  #file: Deno.FsFile | undefined;
  #failed: unknown;

  constructor(readonly temporary: string, readonly final: string, readonly name: string) {}

  add(content: Uint8Array): void {
    if (this.#failed) return;
    const needed = this.#filled + content.length;
    if (needed > this.#buffer.length) {
      this.#buffer = new Uint8Array(this.#buffer.buffer.transfer(Math.max(needed, 2 * this.#buffer.length)));
    }
    this.#buffer.set(content, this.#filled);
    this.#filled = needed;
  }

  async drain(): Promise<void> {
    if (this.#filled < BUFFER) return;
    try {
      await writeAll(this.#open(), this.#buffer.subarray(0, this.#filled));
      this.#filled = 0;
    } catch (error) {
      this.#failed = error; // for `keep`: the reply comes at the end of the mail, not in the middle
      await this.abandon();
    }
  }

  #open(): Deno.FsFile {
    return this.#file ??= Deno.openSync(this.temporary, { write: true, createNew: true, mode: 0o600 });
  }

  async keep(): Promise<string> {
    if (this.#failed) throw this.#failed;
    try {
      const file = this.#open();
      for (let at = 0; at < this.#filled;) at += file.writeSync(this.#buffer.subarray(at, this.#filled));
      await file.syncData(); // before anyone is told that the mail is safe, it is
      file.close();
      this.#file = undefined;
      Deno.renameSync(this.temporary, this.final);
      return this.name;
    } catch (error) {
      await this.abandon();
      throw error;
    }
  }

  async abandon(): Promise<void> {
    this.#filled = 0;
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
