/**
 * Watches a Maildir for new mails.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";
import { reason } from "../tcp/_read_file.ts";

/** Tells when something in the Maildir has changed. */
export class Arrivals {
  #next = Promise.withResolvers<void>();
  /** How many changes there were so far. */
  changes = 0;
  closed = false;

  private constructor(readonly watcher: Deno.FsWatcher) {
    this.#watch();
  }

  /** Watches the folder in which new mails appear. @throws {Failure} if there is no such folder, or it may not be read. */
  static of(maildir: string): Arrivals {
    return new Arrivals(watch(maildir));
  }

  /** Settles at the next change, at most ten times per second: mails can arrive by the hundred. */
  next(): Promise<void> {
    return this.#next.promise;
  }

  async #watch(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = 0;
    for await (const { kind } of this.watcher) {
      if (kind === "access") continue; // the inbox itself reads the mails
      this.changes++;
      // The first change is told at once, those that follow it together.
      timer ??= setTimeout(() => {
        timer = undefined;
        last = performance.now();
        this.#tell();
      }, Math.max(0, last + 100 - performance.now()));
    }
    clearTimeout(timer);
  }

  #tell(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }

  /** Ends the watch, and with it all waiting. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.watcher.close();
    this.#tell();
  }
}

function watch(maildir: string): Deno.FsWatcher {
  const folder = printable(`${maildir}/new`);
  try {
    return Deno.watchFs(`${maildir}/new`);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new Failure(`no permission to watch ${folder}: add -R=${printable(maildir)}`, 2, `-R=${maildir}`);
    }
    const why = error instanceof Deno.errors.NotFound ? "there is no such folder" : reason(error);
    throw new Failure(`cannot watch ${folder}: ${why}: start the server with --maildir first`);
  }
}
