/**
 * What every script shares, and no protocol: options, help, exit codes, one-line failures, Ctrl-C. Read `run` first.
 *
 * @module
 */
import { parseArgs } from "jsr:@std/cli@1/parse-args";
import { help, proposal, usage } from "./tcp/_help.ts";
import { codeOf, explain } from "./tcp/_socket_errors.ts";
import { shellCommand, wholeCommand } from "./tcp/_whole_command.ts";

/** A script: what `--help` says about it, and its options. `run` is the command that starts it with the least permissions. */
export interface Command<O> {
  readonly name: string;
  readonly about: string;
  readonly run: string;
  readonly args?: string;
  readonly examples?: readonly string[];
  readonly groups?: Readonly<Record<string, readonly string[]>>; // a title, and the names of the options below it
  readonly options: O;
}

/**
 * An expected failure: `run` prints it as one line. Exit code 1: the exchange failed; 2: wrong usage; 3: this machine lacks
 * something. `permission` is a flag of `deno run` that is missing; `run` then shows the whole command.
 */
export class Failure extends Error {
  constructor(message: string, readonly code: 1 | 2 | 3 = 1, readonly permission = "") {
    super(message);
  }
}

/**
 * Runs a script: parses its options, calls `body`, and exits with 0, or with the `Deno.exitCode` that `body` has set. A
 * `Failure` becomes one line on stderr and its exit code. Any other error is a bug and keeps its stack trace.
 */
export async function run<O extends Options>(command: Command<O>, body: (flags: Flags<O>) => Promise<void>) {
  let addr: Address | undefined;
  try {
    const flags = parseFlags(command, Deno.args);
    if (flags && "host" in flags && "port" in flags) addr = { hostname: String(flags.host), port: Number(flags.port) };
    if (flags && command.run.includes("--unstable-net") && !("listenDatagram" in Deno)) {
      throw new Failure("this script needs an unstable API of Deno: add --unstable-net", 2, "--unstable-net");
    }
    if (flags && "pcap" in flags && flags.pcap !== "") createFile(String(flags.pcap));
    await (flags ? body(flags) : console.log(help(command)));
  } catch (thrown) {
    const isFull = thrown instanceof Error && Reflect.get(thrown, "code") === "ENOSPC";
    const explained = addr ? explain(thrown, addr) : thrown;
    const error = isFull ? new Failure("the disk that its output goes to is full") : explained;
    if (!(error instanceof Failure)) throw error;
    const whole = wholeCommand(command, error, addr);
    console.error(`${command.name}: ${error.message}${whole && `: ${whole}`}`);
    Deno.exit(error.code);
  }
  Deno.exit(); // do not wait for a pending timer or a read of stdin
}

/** Creates an empty file for what the script writes later. @throws {Failure} with code 2, before anything else is opened. */
function createFile(path: string): void {
  const name = printable(path);
  try {
    Deno.writeFileSync(path, new Uint8Array());
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) {
      throw new Failure(`cannot write ${name}: is there such a folder?`, 2);
    }
    throw new Failure(`no permission to write ${name}: add ${shellCommand([`-W=${path}`])}`, 2, `-W=${path}`);
  }
}

/** A command-line option. One without `value` is a flag: it is there or not. `parse` throws a RangeError on a wrong value. */
export interface Option<T> {
  readonly default: T;
  readonly help: string;
  readonly value?: string;
  readonly parse?: (raw: string) => T;
  readonly many?: true; // may be repeated; its values form a list
  readonly alone?: string; // the value it has when it stands alone, as `--trace` does
  readonly short?: string; // its name of one letter
}

type Options = Record<string, Option<unknown>>;
/** A parsed command line: a value for each option, and the remaining arguments. */
export type Flags<O> = { [K in keyof O]: O[K] extends Option<infer T> ? T : never } & { args: string[] };

/** An option that is there or not. */
export const flag = (help: string): Option<boolean> => ({ default: false, help });

/** An option whose value is any text. */
export const text = (initial: string, help: string, value = "TEXT"): Option<string> => (
  { default: initial, help, value, parse: (raw) => raw }
);

/** An option that may be repeated. */
export const list = (help: string, value = "TEXT", short = ""): Option<string[]> => (
  { default: [], help, value, many: true, short }
);

/** An option whose value is a whole number from `min` to `max`. */
export const integer = (initial: number, help: string, min: number, max: number, value = "N"): Option<number> => ({
  ...{ default: initial, help, value },
  parse(raw) {
    if (/^\d+$/.test(raw) && Number(raw) >= min && Number(raw) <= max) return Number(raw);
    throw new RangeError(`a whole number from ${min} to ${max}`);
  },
});

/**
 * An option whose value is a time in seconds, up to a day; fractions are allowed. For a limit, 0 is no limit; where that cannot
 * be, `zero` is false, and 0 is refused.
 */
export const seconds = (initial: number, help: string, zero = true): Option<number> => ({
  ...{ default: initial, help, value: "S" },
  parse(raw) {
    if (/^\d*\.?\d+$/.test(raw) && Number(raw) <= 86_400 && (zero || Number(raw) > 0)) return Number(raw);
    throw new RangeError(`a number of seconds ${zero ? "from 0" : "above 0, up"} to 86400`);
  },
});

/** Parses a name (letters beyond ASCII become A-labels, RFC 5891) or an address. @throws {RangeError} on any other form. */
export function parseHost(raw: string): string {
  const bare = raw.replace(/^\[(.*)\]$/, "$1");
  const isIPv6 = bare.includes(":");
  // A zone (fe80::1%eth0, RFC 4007 §11) is right here, and wrong in a URL.
  const form = isIPv6 ? `[${bare.replace(/%[\w.-]+$/, "")}]` : bare;
  if (!/[\s/?#@\\%]/.test(form) && URL.canParse(`http://${form}/`)) {
    return isIPv6 ? bare : new URL(`http://${form}/`).hostname;
  }
  throw new RangeError("a name or an address, without a port");
}

/** How `--trace` shows a message; "" without it. */
export type TraceForm = "" | "text" | "json" | "diagram";

/** The options that make an exchange visible. */
export interface Tracing {
  readonly trace: TraceForm;
  /** The file that gets every message as a capture; "" for none. */
  readonly pcap: string;
}

const traceOption: Option<TraceForm> = {
  ...{ default: "", help: "show each message on stderr: text, json, diagram", value: "[=json]", alone: "text" },
  parse(raw) {
    if (raw === "text" || raw === "json" || raw === "diagram") return raw;
    throw new RangeError("text, json or diagram");
  },
};

export const traceOptions = {
  trace: traceOption,
  pcap: text("", "write each message to FILE, for Wireshark", "FILE"),
};

/** The options of every server; `timeout` is the help of its time limit. */
export const serverOptions = (port: number, timeout: string) => ({
  host: { ...text("127.0.0.1", "address to listen on", "HOST"), parse: parseHost },
  port: integer(port, "port to listen on; 0: any free port", 0, 65535, "PORT"),
  once: flag("exit after the first client's exchange"),
  timeout: seconds(300, timeout),
  ...traceOptions,
});

/** The options of every client. */
export const clientOptions = (port: number) => ({
  host: { ...text("127.0.0.1", "the server's address or name", "HOST"), parse: parseHost },
  port: integer(port, "the server's port", 1, 65535, "PORT"),
  wait: seconds(0, "keep trying for this long while nobody listens yet"),
  timeout: seconds(5, "how long to wait for each step; 0: no limit"),
  ...traceOptions,
});

/** Parses a command line; `undefined` when it asks for help. @throws {Failure} with code 2 and the usage line. */
export function parseFlags<O extends Options>(command: Command<O>, argv: string[]): Flags<O> | undefined {
  const usageError = (why: string) => new Failure(`${why}\n${usage(command)} (--help lists the options)`, 2);
  const options = Object.entries(command.options);
  const named = (has: (option: Option<unknown>) => unknown) => options.filter(([, o]) => has(o)).map(([name]) => name);
  // --trace alone must not take the next argument for its value.
  const alone = (arg: string) => arg.startsWith("--") && command.options[arg.slice(2)]?.alone;
  const words = argv.map((arg, i) => alone(arg) && !argv.slice(0, i).includes("--") ? `${arg}=${alone(arg)}` : arg);
  // In `--wait -1` the number is the option's value, and a wrong one; it is no option.
  for (let i = words.length - 1; i > 0; i--) {
    const option = words[i - 1] ?? "";
    if (!/^-\.?\d/.test(words[i] ?? "") || !option.startsWith("--") || words.slice(0, i).includes("--")) continue;
    if (command.options[option.slice(2)]?.value) words.splice(i - 1, 2, `${option}=${words[i]}`);
  }
  const parsed: Record<string, unknown> = parseArgs(words, {
    string: [...named(({ value }) => value), "_"],
    boolean: [...named(({ value }) => !value), "help"],
    collect: named(({ many }) => many),
    alias: { help: "h", ...Object.fromEntries(options.map(([name, { short }]) => [name, short || []])) },
    unknown(arg: string, key?: string) {
      if (key !== undefined) throw usageError(`unknown option ${printable(arg)}${proposal(arg, named(() => true))}`);
    },
  });
  if (parsed.help === true) return undefined;
  const args = Array.isArray(parsed._) ? parsed._.map(String) : [];
  const flags: Record<string, unknown> = { args };
  for (const [name, option] of options) {
    const given = parsed[name];
    flags[name] = given ?? option.default;
    if (option.value === undefined || given === undefined) continue;
    const raws = (Array.isArray(given) ? given : [given]).map(String);
    if (raws.includes("")) throw usageError(`--${name} needs a value`);
    try {
      flags[name] = option.many ? raws : option.parse?.(raws[0] ?? "");
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw usageError(`--${name} needs ${error.message}, not ${printable(raws[0] ?? "")}`);
    }
  }
  if (!command.args && args[0] !== undefined) throw usageError(`unexpected argument ${printable(args[0])}`);
  return flags as Flags<O>; // each option was given a value of its own type just above
}

/** Where a socket listens, or which server it connects to. */
export type Address = { hostname: string; port: number };

/** `HOST:PORT`, an IPv6 address in brackets (RFC 3986 §3.2.2). */
export const formatAddress = ({ hostname, port }: Address): string =>
  hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;

/** Opens a socket where the flags say: `bind(flags, Deno.listen)`. */
export function bind<T>(flags: { host: string; port: number }, listen: (addr: Address) => T): T;
export function bind(flags: { host: string; port: number }, listen: typeof Deno.listen): Deno.TcpListener;
export function bind(flags: { host: string; port: number }, listen: (addr: Address) => unknown): unknown {
  return listen({ hostname: flags.host, port: flags.port });
}

type Target = { host: string; port: number; wait: number; timeout: number };
type Dial<T> = (addr: Address & { signal?: AbortSignal }) => Promise<T>;
/** Connects where the flags say: `await connect(flags, Deno.connect)`. Tries for `flags.wait` seconds while it is refused. */
export function connect<T>(flags: Target, dial: Dial<T>): Promise<T>;
export function connect(flags: Target, dial: typeof Deno.connect): Promise<Deno.TcpConn>;
export async function connect(flags: Target, dial: Dial<unknown>): Promise<unknown> {
  const until = Date.now() + flags.wait * 1000;
  while (true) {
    try {
      const signal = flags.timeout > 0 ? AbortSignal.timeout(flags.timeout * 1000) : undefined;
      return await dial({ hostname: flags.host, port: flags.port, signal });
    } catch (error) {
      if (codeOf(error) !== "ECONNREFUSED" || Date.now() >= until) throw error;
      // By chance, or all clients that wait would come in the same millisecond.
      await new Promise((again) => setTimeout(again, 25 + 50 * Math.random()));
    }
  }
}

/** Waits for `promise`, at most `limit` seconds (0: no limit); then fails with `late`, or returns what `late` returns. */
export async function within<T, L = T>(limit: number, promise: Promise<T>, late: string | (() => L)): Promise<T | L> {
  if (limit === 0) return await promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeUp = new Promise<void>((resolve) => timer = setTimeout(resolve, limit * 1000)).then(() => {
    if (typeof late === "string") throw new Failure(late);
    return late();
  });
  return await Promise.race([promise, timeUp]).finally(() => clearTimeout(timer));
}

/**
 * Calls `stop` at the first Ctrl-C or SIGTERM; a second one, half a second later or more, exits with code 1 at once. `more`
 * are further signals that ask for the same, such as SIGHUP: the terminal is closed. Call it when the socket is open: Deno
 * asks for a missing permission before, and there Ctrl-C must end the script.
 */
export function onStop(stop: () => void, ...more: Deno.Signal[]): void {
  let first: number | undefined;
  const onSignal = () => {
    // A terminal sends Ctrl-C to `deno task` and to the script, and `deno task` passes its own on: one key, two signals.
    if (first !== undefined && performance.now() - first > 500) Deno.exit(1);
    if (first === undefined) stop();
    first ??= performance.now();
  };
  const asking: Deno.Signal[] = ["SIGINT", Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM", ...more];
  for (const signal of asking) Deno.addSignalListener(signal, onSignal);
}

// Controls, separators and invisible formatting such as direction overrides; not the joiners of emoji and some scripts.
const unsafe = /(?![\u200c\u200d])[\p{Cc}\p{Zl}\p{Zp}\p{Cf}\p{Cs}]/gu;
const named: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Text that may go to a terminal: control characters escaped, bytes that are not UTF-8 shown as U+FFFD. */
export function printable(data: Uint8Array | string): string {
  const plain = typeof data === "string" ? data : new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);
  if (/^[ -~]*$/.test(plain)) return plain; // most text is, and this test is quick
  return plain.replace(unsafe, (char) => {
    const code = (char.codePointAt(0) ?? 0).toString(16);
    return named[char] ?? (code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u{${code}}`);
  });
}

/** A line of text for a terminal: as `printable`, but tabs stay tabs. */
export const printableLine = (line: string): string => line.split("\t").map(printable).join("\t");

/** `1 byte`, `2 bytes`. */
export const count = (n: number, unit: string): string => `${n} ${unit}${n === 1 ? "" : "s"}`;
