/**
 * Starts programs, and stops them together with their children.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { Failure } from "../../cli.ts";

/** How a program ended: its exit code, or the signal that ended it (then the code is 128 + the signal's number). */
export type Ended = Deno.CommandStatus;

/** How much output is collected of a program whose output goes somewhere else. */
const KEPT = 16_384;

/**
 * What every program finds in its environment: its output is plain text, and is not held back. The runtime does not ask in the
 * internet for a newer one, for which it needs descriptors. And where there is no Node, it puts a link to itself in its place,
 * which is a copy where the cache is on another drive: once is enough.
 */
const ENVIRONMENT = {
  NO_COLOR: "1",
  PYTHONUNBUFFERED: "1",
  DENO_NO_UPDATE_CHECK: "1",
  DENO_DISABLE_NODE_SHIM: "1",
};

/**
 * How many programs can run at once and be heard. On Windows, the runtime reads their output with four threads a processor, two
 * for each program; those that start when all wait are not heard until another one ends.
 */
export const programsAtOnce = Deno.build.os === "windows" ? 2 * navigator.hardwareConcurrency : Infinity;

/** A running program. Its output is collected, and a test can wait for a line of it. */
export class Program {
  readonly #child: Deno.ChildProcess;
  readonly #command: string;
  #changed = Promise.withResolvers<void>();
  #ended: Ended | undefined;
  /** Ends the reading of its output. */
  readonly #pipes = new AbortController();
  /** How many characters it has printed. */
  #length = 0;
  /** Everything it has printed so far. */
  stdout = "";
  stderr = "";
  /** Whether it was stopped from here while it was running. */
  stopped = false;
  readonly #most: number;
  /** Whether it was stopped because it printed more than `most` characters. */
  tooMuch = false;
  /** Settles when it has ended and all its output has been read. */
  readonly ended: Promise<Ended>;

  /**
   * Starts a program in a process group of its own, so that `stop` reaches its children too.
   *
   * @throws {Failure} with code 3 when there is no such program, or no such folder to start it in.
   */
  constructor(
    command: readonly string[],
    options: {
      env?: Record<string, string>;
      cwd?: string;
      stdin?: boolean;
      most?: number;
      /** Gets all output; then only its end is collected. */
      onText?: (text: string, stream: "stdout" | "stderr") => void;
    } = {},
  ) {
    this.#most = options.most ?? Infinity;
    const [name = "", ...args] = command;
    this.#command = command.join(" ");
    try {
      this.#child = new Deno.Command(name === "deno" ? Deno.execPath() : name, {
        args,
        env: { ...ENVIRONMENT, ...options.env },
        cwd: options.cwd,
        stdin: options.stdin ? "piped" : "null",
        stdout: "piped",
        stderr: "piped",
        detached: true,
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.PermissionDenied) {
        throw new Failure(`${name} cannot be executed: run chmod +x on it, or name its interpreter before it`, 3);
      }
      if (error instanceof Error && /os error (8|193)\)/.test(error.message)) { // ENOEXEC, ERROR_BAD_EXE_FORMAT
        throw new Failure(`${name} is no program for this machine: begin a script with #!, or name its interpreter`, 3);
      }
      if (!isMissing(error, name)) throw error;
      if (options.cwd !== undefined && !isFolder(options.cwd)) {
        throw new Failure(`there is no folder ${options.cwd}`, 3);
      }
      const python = Deno.build.os === "windows" && /^python[\d.]*$/.test(name) ? ", which is py on Windows" : "";
      throw new Failure(`there is no program ${name} on this machine: install it, or check the name${python}`, 3);
    }
    running.add(this);
    const child = this.#child;
    const { onText } = options;
    const collect = (stream: "stdout" | "stderr") =>
      this.#collect(child[stream], (text) => {
        onText?.(text, stream);
        this[stream] = onText ? `${this[stream]}${text}`.slice(-KEPT) : this[stream] + text;
      });
    const [out, err] = [collect("stdout"), collect("stderr")];
    this.ended = (async () => {
      this.#ended = await child.status;
      this.#notify();
      await this.#drained(Promise.all([out, err]));
      return this.#ended;
    })();
  }

  /**
   * Waits for the end of its output. On Windows, a program that another thread starts at the same moment inherits these pipes,
   * too, and may keep them open: there, eight seconds without output are the end. (Fewer would lose what waits to be read: see
   * `programsAtOnce`.)
   */
  async #drained(all: Promise<unknown>): Promise<void> {
    let [isRead, length] = [Deno.build.os !== "windows", -1];
    while (!isRead && length !== this.#length) {
      length = this.#length;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const timer = setTimeout(resolve, 8000, false);
      isRead = await Promise.race([promise, all.then(() => true)]).finally(() => clearTimeout(timer));
    }
    if (isRead) await all;
    else this.#pipes.abort();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** How it ended; undefined while it is running. */
  get status(): Ended | undefined {
    return this.#ended;
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, add: (text: string) => void): Promise<void> {
    const { signal } = this.#pipes;
    try {
      for await (const text of stream.pipeThrough(new TextDecoderStream(), { signal })) {
        this.#length += text.length;
        if (this.tooMuch) continue;
        add(text);
        if (this.stdout.length + this.stderr.length > this.#most) {
          this.tooMuch = true;
          await this.#killAll("SIGKILL");
        }
        this.#notify();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /**
   * Waits for a line on its stdout or stderr that matches, and returns the match.
   *
   * @throws {Failure} if no line matches within `limit` seconds, or before the program ends.
   */
  async line(pattern: RegExp, limit = 20): Promise<RegExpExecArray> {
    const search = () => {
      for (const line of `${this.stdout}\n${this.stderr}`.split("\n")) {
        const match = pattern.exec(line);
        if (match) return match;
      }
    };
    const until = Date.now() + limit * 1000;
    while (true) {
      const over = this.#ended !== undefined;
      if (over) await this.ended;
      const match = search();
      if (match) return match;
      const left = until - Date.now();
      if (over || left <= 0) {
        throw new Failure(
          `${this.#command}: no line ${pattern} ${over ? "before it ended" : `in ${limit} s`}\n${this.tail()}`,
        );
      }
      const timer = Promise.withResolvers<void>();
      const late = setTimeout(timer.resolve, left);
      await Promise.race([this.#changed.promise, timer.promise]);
      clearTimeout(late);
    }
  }

  /** Writes to its stdin, and closes it unless `more` follows. */
  async input(text: string | Uint8Array, more = false): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(typeof text === "string" ? new TextEncoder().encode(text) : Uint8Array.from(text));
    if (more) writer.releaseLock();
    else await writer.close();
  }

  /** The last lines of its output, for a report. */
  tail(lines = 5): string {
    return `${this.stdout}${this.stderr}`.trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Sends a signal to the program, not to its children. */
  signal(signal: Deno.Signal): void {
    if (!this.#ended) this.#child.kill(signal);
  }

  /** Sends a signal to the program and to its children, as a terminal does with Ctrl-C. */
  signalGroup(signal: Deno.Signal): void {
    Deno.kill(-this.pid, signal);
  }

  /** Waits for its end. After `limit` seconds it stops the program and fails. */
  async end(limit = 20): Promise<Ended> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#killAll("SIGKILL");
    }, limit * 1000);
    const ended = await this.ended.finally(() => clearTimeout(timer));
    running.delete(this);
    if (late) throw new Failure(`${this.#command} did not end in ${limit} s\n${this.tail()}`);
    return ended;
  }

  /** Stops the program and its children: SIGTERM, and a second later SIGKILL for those that are left. */
  async stop(): Promise<void> {
    this.stopped ||= this.#ended === undefined;
    await this.#killAll("SIGTERM");
    const timer = setTimeout(() => this.#killAll("SIGKILL"), 1000);
    await this.ended.finally(() => clearTimeout(timer));
    await this.#killAll("SIGKILL"); // a child may have outlived the program itself
    running.delete(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #killAll(signal: Deno.Signal): Promise<void> {
    try {
      if (Deno.build.os !== "windows") Deno.kill(-this.pid, signal); // a negative number is the process group
      // The number of a program that has ended may already be another one's.
      else if (!this.#ended && !await has("taskkill", "/t", "/f", "/pid", `${this.pid}`)) this.#child.kill(signal);
    } catch (error) {
      // It has already ended. Until the runtime has taken note of that, macOS forbids a signal to its group.
      const { NotFound, PermissionDenied } = Deno.errors;
      const isEnded = error instanceof NotFound || error instanceof PermissionDenied || error instanceof TypeError;
      if (!isEnded) throw error;
    }
  }
}

const running = new Set<Program>();

/** Whether an error of a start says that there is no such program. On Windows that of a path has neither class nor code. */
const isMissing = (error: unknown, name: string): boolean =>
  error instanceof Deno.errors.NotFound || (/[/\\]/.test(name) && !existsSync(name));

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const folders = new Set<string>();

/** Makes a temporary folder; its path has no link. It does not stay when this program is stopped, either. */
export async function temporaryFolder(prefix: string): Promise<string> {
  // On macOS the folder of such folders is behind a link. A program that compares paths would take its own for another's.
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix }));
  folders.add(path);
  return path;
}

/** Removes a temporary folder, once. */
export async function removeTemporary(path: string): Promise<void> {
  if (folders.delete(path)) await Deno.remove(path, { recursive: true });
}

/** Stops every program that was started here, and removes the temporary folders. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((program) => program.stop()));
  await Promise.all([...folders].map(removeTemporary));
}

/** Whether a program of this name can be started, and exits with 0. */
export async function has(name: string, ...args: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(name, { args, stdin: "null", stdout: "null", stderr: "null" }).output();
    return success;
  } catch (error) {
    if (isMissing(error, name)) return false;
    throw error;
  }
}

/**
 * What a command prints; "" where there is no such program. The tests use it to read /proc: Deno itself may read that only
 * with all permissions.
 */
export async function output(name: string, ...args: string[]): Promise<string> {
  try {
    return new TextDecoder().decode(
      (await new Deno.Command(name, { args, stdin: "null", stderr: "null" }).output()).stdout,
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
