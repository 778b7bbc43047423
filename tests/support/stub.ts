/**
 * Replaces functions of the runtime while a test runs: the clock, timers, the terminal.
 *
 * @module
 */

/** Replaces a property of an object, until the result is disposed of. */
export function stub(object: object, name: string, value: unknown): Disposable {
  const own = Object.getOwnPropertyDescriptor(object, name);
  Object.defineProperty(object, name, { value, configurable: true, writable: true });
  return {
    [Symbol.dispose]() {
      if (own) Object.defineProperty(object, name, own);
      else Reflect.deleteProperty(object, name);
    },
  };
}

/** What `console.log` and `console.error` print, until it is disposed of. */
export class Captured {
  readonly log: string[] = [];
  readonly error: string[] = [];
  readonly #stubs = [
    stub(console, "log", (...parts: unknown[]) => void this.log.push(parts.map(String).join(" "))),
    stub(console, "error", (...parts: unknown[]) => void this.error.push(parts.map(String).join(" "))),
  ];

  [Symbol.dispose](): void {
    for (const each of this.#stubs) each[Symbol.dispose]();
  }
}

/** Counts the files that are closed, until it is disposed of. */
export class ClosedFiles {
  count = 0;
  readonly #stub: Disposable;

  constructor() {
    const { close } = Deno.FsFile.prototype;
    const onClose = () => void this.count++;
    this.#stub = stub(Deno.FsFile.prototype, "close", function (this: Deno.FsFile) {
      onClose();
      close.call(this);
    });
  }

  [Symbol.dispose](): void {
    this.#stub[Symbol.dispose]();
  }
}

/** Timers that run only when the test says so. */
export class Timers {
  readonly started: { run: () => void; delay: number }[] = [];
  readonly #stubs = ["setTimeout", "setInterval"].map((name) =>
    stub(globalThis, name, (run: () => void, delay = 0) => this.started.push({ run, delay }))
  );

  /** The delays that were asked for, in milliseconds. */
  get delays(): number[] {
    return this.started.map(({ delay }) => delay);
  }

  [Symbol.dispose](): void {
    for (const each of this.#stubs) each[Symbol.dispose]();
  }
}
