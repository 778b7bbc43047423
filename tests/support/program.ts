/**
 * A program that was started, and is stopped again together with whatever it started itself.
 *
 * @module
 */
import { Failure } from "../../cli.ts";

/** How a program ended: its exit code, or the signal that ended it (then the code is 128 and the signal's number). */
export type Ended = Deno.CommandStatus;

/** A running program: what it prints is collected, and can be waited for. */
export class Program {
  readonly #child: Deno.ChildProcess;
  readonly #command: string;
  #changed = Promise.withResolvers<void>();
  #ended: Ended | undefined;
  /** All it has printed so far. */
  stdout = "";
  stderr = "";
  /** Settles when it has ended and all it printed has been read. */
  readonly ended: Promise<Ended>;

  /**
   * Starts a program in a process group of its own, so that `stop` reaches its children too.
   *
   * @throws {Failure} with code 3 when there is no such program, or no such folder to start it in.
   */
  constructor(
    command: readonly string[],
    options: { env?: Record<string, string>; cwd?: string; stdin?: boolean } = {},
  ) {
    const [name = "", ...args] = command;
    this.#command = command.join(" ");
    try {
      this.#child = new Deno.Command(name === "deno" ? Deno.execPath() : name, {
        args,
        env: { NO_COLOR: "1", PYTHONUNBUFFERED: "1", ...options.env },
        cwd: options.cwd,
        stdin: options.stdin ? "piped" : "null",
        stdout: "piped",
        stderr: "piped",
        detached: true,
      }).spawn();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      if (options.cwd !== undefined && !isFolder(options.cwd)) {
        throw new Failure(`there is no folder ${options.cwd}`, 3);
      }
      throw new Failure(`there is no program ${name} on this machine: install it, or check the name`, 3);
    }
    running.add(this);
    const child = this.#child;
    const out = this.#collect(child.stdout, (text) => this.stdout += text);
    const err = this.#collect(child.stderr, (text) => this.stderr += text);
    this.ended = (async () => {
      this.#ended = await child.status;
      this.#tell();
      await Promise.all([out, err]);
      return this.#ended;
    })();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** How it ended; undefined while it runs. */
  get status(): Ended | undefined {
    return this.#ended;
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, take: (text: string) => void): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      take(text);
      this.#tell();
    }
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /**
   * Waits until a line of its stdout or stderr matches, and returns the match.
   *
   * @throws {Failure} when none does within `limit` seconds, or it ends before.
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

  /** Writes to its stdin, and then closes it unless `more` is to come. */
  async input(text: string | Uint8Array, more = false): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(typeof text === "string" ? new TextEncoder().encode(text) : Uint8Array.from(text));
    if (more) writer.releaseLock();
    else await writer.close();
  }

  /** The last lines it printed, for a report. */
  tail(lines = 5): string {
    return `${this.stdout}${this.stderr}`.trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Sends a signal to the program alone. */
  signal(signal: Deno.Signal): void {
    if (!this.#ended) this.#child.kill(signal);
  }

  /** Waits for its end; after `limit` seconds it is stopped and this fails. */
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

  /** Ends the program and its children: SIGTERM, and SIGKILL for what is left of them a second later. */
  async stop(): Promise<void> {
    this.#killAll("SIGTERM");
    const timer = setTimeout(() => this.#killAll("SIGKILL"), 1000);
    await this.ended.finally(() => clearTimeout(timer));
    this.#killAll("SIGKILL"); // a child may have outlived the program itself
    running.delete(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #killAll(signal: Deno.Signal): void {
    try {
      if (Deno.build.os === "windows") {
        new Deno.Command("taskkill", { args: ["/t", "/f", "/pid", `${this.pid}`], stdout: "null", stderr: "null" })
          .outputSync();
      } else Deno.kill(-this.pid, signal); // a negative number is the process group
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound || error instanceof TypeError)) throw error; // it is gone: as wanted
    }
  }
}

const running = new Set<Program>();

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Stops every program that was started here. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((program) => program.stop()));
}

/** True when a program of this name can be started. */
export async function has(name: string, ...args: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(name, { args, stdin: "null", stdout: "null", stderr: "null" }).output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
