/**
 * The plumbing every script shares: flags and usage, exit codes, one-line failures, waiting with a limit, shutdown,
 * printing bytes safely, and the progress bar. Nothing here knows a protocol.
 *
 * @module
 */
import { parseArgs } from "jsr:@std/cli@1/parse-args";

/** An expected failure: `run` prints its message as one line and exits with its code. */
export class Failure extends Error {
  constructor(message: string, readonly code: 1 | 2 | 3 = 1) {
    super(message);
  }
}

/**
 * A command-line option; one without `value` is a switch. `parse` throws when the text is not of its type. With `many` it
 * may be given several times, and is what it was given as; `short` is its name of one letter.
 */
export interface Option<T> {
  readonly default: T;
  readonly help: string;
  readonly value?: string;
  readonly parse?: (raw: string) => T;
  readonly many?: true;
  readonly short?: string;
}

type Options = Record<string, Option<unknown>>;

/** What a command line came to: a value for each option, and the arguments that were left. */
export type Flags<O> = { [K in keyof O]: O[K] extends Option<infer T> ? T : never } & { args: string[] };

/** A script, as `--help` tells of it. `run` is how to start it with the least permissions. */
export interface Command<O> {
  readonly name: string;
  readonly about: string;
  readonly run: string;
  readonly args?: string;
  readonly options: O;
}

/** An option that is there or not. */
export const toggle = (help: string): Option<boolean> => ({ default: false, help });

/** An option that takes text. */
export const text = (initial: string, help: string, value = "TEXT"): Option<string> => (
  { default: initial, help, value, parse: (raw) => raw }
);

/** An option that takes text, and may be given several times. */
export const texts = (help: string, value = "TEXT", short?: string): Option<string[]> => (
  { default: [], help, value, many: true, short }
);

const number = (
  initial: number,
  help: string,
  value: string,
  form: RegExp,
  min: number,
  max: number,
  kind: string,
) => ({
  default: initial,
  help,
  value,
  parse(raw: string) {
    if (form.test(raw) && Number(raw) >= min && Number(raw) <= max) return Number(raw);
    throw new RangeError(`${kind} from ${min} to ${max}`);
  },
});

/** An option that takes a whole number from `min` to `max`. */
export const whole = (initial: number, help: string, min: number, max: number, value = "N"): Option<number> =>
  number(initial, help, value, /^\d+$/, min, max, "a whole number");

/** An option that takes a time in seconds, fractions allowed, up to a day. */
export const seconds = (initial: number, help: string): Option<number> =>
  number(initial, help, "S", /^\d*\.?\d+$/, 0, 86_400, "a number of seconds");

/**
 * A host as a user gives it: a name or an address, an IPv6 one with or without brackets. Letters beyond ASCII become what
 * the DNS has them as (RFC 5891).
 *
 * @throws {RangeError} when it is of another form.
 */
export function parseHost(raw: string): string {
  const bare = raw.replace(/^\[(.*)\]$/, "$1");
  const six = bare.includes(":");
  // A zone (fe80::1%eth0, RFC 4007 §11) is right here, and wrong in a URL.
  const form = six ? `[${bare.replace(/%[\w.-]+$/, "")}]` : bare;
  if (/[\s/?#@\\%]/.test(form) || !URL.canParse(`http://${form}/`)) {
    throw new RangeError("a name or an address, without a port");
  }
  return six ? bare : new URL(`http://${form}/`).hostname;
}

/** An option that takes a host. */
const host = (help: string): Option<string> => ({ ...text("127.0.0.1", help, "HOST"), parse: parseHost });

/** `--trace`, or `--trace=json`. */
export const traceOption: Option<"" | "text" | "json"> = {
  default: "",
  help: "show every message on stderr, as text or as json",
  value: "[=json]",
  parse(raw) {
    if (raw === "text" || raw === "json") return raw;
    throw new RangeError("text or json");
  },
};

/** The options of every server: where to listen, when to stop, what to show. */
export const serverOptions = (port: number, timeout: string) => ({
  host: host("address to listen on"),
  port: whole(port, "port to listen on; 0 takes a free one", 0, 65535, "PORT"),
  once: toggle("exit after the first client's exchange"),
  timeout: seconds(300, timeout),
  trace: traceOption,
});

/** The options of every client: where to connect, how long to try, what to show. */
export const clientOptions = (port: number) => ({
  host: host("the server's address or name"),
  port: whole(port, "the server's port", 1, 65535, "PORT"),
  wait: seconds(0, "keep trying to connect for this long"),
  timeout: seconds(5, "how long one step may take"),
  trace: traceOption,
});

/**
 * Reads a command line. Returns `undefined` when it asks for help.
 *
 * @throws {Failure} with code 2 on an unknown flag, a missing or a malformed value.
 */
export function readFlags<O extends Options>(command: Command<O>, argv: string[]): Flags<O> | undefined {
  const wrong = (why: string) => new Failure(`${why}\n${usage(command)}`, 2);
  const names = Object.keys(command.options);
  const switches = names.filter((name) => command.options[name]?.value === undefined);
  const end = argv.includes("--") ? argv.indexOf("--") : argv.length;
  // --trace alone means text: it must not take the argument after it for its value.
  const parsed: Record<string, unknown> = parseArgs(
    argv.map((arg, i) => arg === "--trace" && i < end ? "--trace=text" : arg),
    {
      string: [...names.filter((name) => !switches.includes(name)), "_"],
      boolean: [...switches, "help"],
      collect: names.filter((name) => command.options[name]?.many),
      alias: Object.fromEntries([["help", "h"], ...names.map((name) => [name, command.options[name]?.short ?? []])]),
      unknown(arg: string, key?: string) {
        if (key !== undefined) throw wrong(`unknown option ${printable(arg)}`);
      },
    },
  );
  if (parsed.help === true) return undefined;
  const args = Array.isArray(parsed._) ? parsed._.map(String) : [];
  const flags: Record<string, unknown> = { args };
  for (const [name, option] of Object.entries(command.options)) {
    const given = parsed[name];
    const raws = option.value === undefined || given === undefined ? [] : Array.isArray(given) ? given : [given];
    if (raws.includes("")) throw wrong(`--${name} needs a value`);
    if (option.many) flags[name] = raws.map(String);
    else if (option.value === undefined) flags[name] = given ?? option.default;
    else {
      const [raw] = raws;
      try {
        flags[name] = raw === undefined ? option.default : option.parse?.(String(raw));
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        throw wrong(`--${name} wants ${error.message}, not ${printable(String(raw))}`);
      }
    }
  }
  if (!command.args && args[0] !== undefined) throw wrong(`unexpected argument ${printable(args[0])}`);
  return flags as Flags<O>; // each option was given a value of its own type just above
}

const usage = (command: Command<unknown>) =>
  `usage: ${command.run} [OPTION ...]${command.args ? ` ${command.args}` : ""} (--help tells more)`;

function help(command: Command<Options>): string {
  const rows = Object.entries(command.options).map(([name, option]): [string, string] => [
    `--${name}${option === traceOption ? "" : " "}${option.value ?? ""}${option.short ? `, -${option.short}` : ""}`,
    option.help +
    (option.many ? "; may be repeated" : option.value && option.default !== "" ? ` (${option.default})` : ""),
  ]);
  return [command.about, usage(command), ...rows.map(([flag, what]) => `  ${flag.padEnd(20)}  ${what}`)].join("\n");
}

/**
 * Runs a script: reads its flags, does `body`, exits 0. A `Failure` is one line on stderr and its exit code; anything
 * else is a bug and keeps its stack trace.
 */
export async function run<O extends Options>(
  command: Command<O>,
  body: (flags: Flags<O>) => Promise<void>,
): Promise<void> {
  try {
    const flags = readFlags(command, Deno.args);
    if (flags) await body(flags);
    else console.log(help(command));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(`${command.name}: ${error.message}`);
    Deno.exit(error.code);
  }
  Deno.exit(0); // a read of stdin or a timer that is still pending does not hold up the end
}

/** `HOST:PORT`, an IPv6 address in brackets (RFC 3986 §3.2.2). */
export function place(addr: { hostname: string; port: number }): string {
  return addr.hostname.includes(":") ? `[${addr.hostname}]:${addr.port}` : `${addr.hostname}:${addr.port}`;
}

/** What an error says. `fetch` throws one TypeError for all that can go wrong, and the reason stands in its cause. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  return `${error.name} ${error.message} ${error.cause instanceof Error ? error.cause.message : ""}`;
}

const isRefused = (error: unknown) =>
  error instanceof Deno.errors.ConnectionRefused ||
  (error instanceof TypeError && /connection refused/i.test(wordsOf(error)));

/** Turns what a socket call threw into one line that says what was tried and what to do; a bug comes back unchanged. */
export function explain(error: unknown, addr: { hostname: string; port: number }): unknown {
  const at = place(addr);
  const is = (...kinds: (new () => Error)[]) => kinds.some((kind) => error instanceof kind);
  const words = wordsOf(error);
  const says = (pattern: RegExp) => pattern.test(words);
  const { errors } = Deno;
  if (isRefused(error)) return new Failure(`${at} refused the connection: is the server running?`);
  if (is(errors.AddrInUse)) return new Failure(`${at} is in use: stop the other program, or choose another --port`);
  if (is(errors.NotCapable)) return new Failure(`no permission to use ${at}: add -N=${at} to deno run`);
  if (is(errors.PermissionDenied)) return new Failure(`this user may not use ${at}: choose a --port from 1024 up`);
  if (is(errors.AddrNotAvailable)) {
    return new Failure(`${addr.hostname} is not an address of this machine: check --host`);
  }
  const cut = /reading a body|connection (closed|error|reset)|incomplete message/i;
  if (is(errors.ConnectionReset, errors.BrokenPipe, errors.ConnectionAborted) || (is(TypeError) && says(cut))) {
    return new Failure(`${at} reset the connection in the middle of the exchange`);
  }
  if (says(/lookup address|no addresses|empty host|invalid IPv6|dns error/i)) {
    return new Failure(`no address found for ${printable(addr.hostname)}: check the name`);
  }
  const [, tls] = /(invalid peer certificate: [^:)]*|corrupt message[^:)]*|handshake [^:)]*)/i.exec(words) ?? [];
  if (tls !== undefined) return new Failure(`no TLS with ${at}: ${printable(tls).trim()}`);
  if (says(/too many open files/i)) return new Failure("this process is out of file descriptors: raise ulimit -n");
  if (says(/TimeoutError|TimedOut/)) return new Failure(`${at} did not answer in time: is it the right host?`);
  if (says(/unreachable/i)) return new Failure(`${at} cannot be reached from this machine: is it the right host?`);
  if (says(/requests to port \d+ are blocked/i)) {
    return new Failure(`${at}: fetch refuses this port, as browsers do, for it belongs to another protocol`);
  }
  const [, odd] = is(TypeError) ? /client error \(\w+\): (.*)/.exec(words) ?? [] : [];
  if (odd !== undefined) return new Failure(`${at} did not answer as an HTTP server does: ${printable(odd)}`);
  return error;
}

/** Why the file system refused, without the call and the number that Deno puts behind it. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return printable(String(error));
  return printable(error.message.replace(/ \(os error \d+\).*$/s, ""));
}

/** Reads a file that the command line names. @throws {Failure} with code 2 that says why it cannot. */
export async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    const why = error instanceof Deno.errors.NotCapable
      ? `no permission: add -R=${printable(path)} to deno run`
      : reason(error);
    throw new Failure(`cannot read ${printable(path)}: ${why}`, 2);
  }
}

/** The same, as text. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readFile(path));
}

/** Binds a socket by calling `listen`; `{port: 0}` takes a free port. @throws {Failure} that says why it cannot. */
export function bind<T>(addr: { hostname: string; port: number }, listen: (at: typeof addr) => T): T {
  try {
    return listen(addr);
  } catch (error) {
    throw explain(error, addr);
  }
}

/**
 * Connects, trying again for `flags.wait` seconds while nobody listens there yet. `signal` ends an attempt that takes
 * longer than `flags.timeout`.
 */
export async function reach<T>(
  flags: { host: string; port: number; wait: number; timeout: number },
  connect: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const until = Date.now() + flags.wait * 1000;
  while (true) {
    try {
      return await connect(AbortSignal.timeout(flags.timeout * 1000));
    } catch (error) {
      if (!isRefused(error) || Date.now() >= until) throw explain(error, { hostname: flags.host, port: flags.port });
      await new Promise((again) => setTimeout(again, 50));
    }
  }
}

/** Waits for `promise`, at most `limit` seconds; then fails with `message`. */
export async function within<T>(limit: number, promise: Promise<T>, message: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Failure(message)), limit * 1000);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Calls `stop` at the first SIGINT or SIGTERM; the second does not wait for anyone and exits with code 1. */
export function onStop(stop: () => void): void {
  let stopping = false;
  const onSignal = () => {
    if (stopping) Deno.exit(1);
    stopping = true;
    stop();
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
}

/** The line that says where a server listens; bound to every address, also the ones to give to other machines. */
export function announce(what: string, addr: { hostname: string; port: number }): void {
  console.log(`${what} listening on ${place(addr)}`);
  if (addr.hostname !== "0.0.0.0" && addr.hostname !== "::") return;
  try {
    for (const { address, family, name } of Deno.networkInterfaces()) {
      const local = /^(127\.|::1$|fe80:)/.test(address) || (family === "IPv6" && addr.hostname === "0.0.0.0");
      if (!local) console.log(`from other machines: ${place({ ...addr, hostname: address })} (${name})`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    console.log("to see the addresses for other machines, add -S=networkInterfaces to deno run");
  }
}

/** `1 byte`, `2 bytes`. */
export const count = (n: number, unit: string): string => `${n} ${unit}${n === 1 ? "" : "s"}`;

// Controls, line and paragraph separators, and invisible formatting (bidi overrides and the like), but not the joiners
// that emoji and some scripts are written with.
const unsafe = /(?![\u200c\u200d])[\p{Cc}\p{Zl}\p{Zp}\p{Cf}\p{Cs}]/gu;
const hex = (byte: number) => byte.toString(16).padStart(2, "0");
const named: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Text that may go to a terminal: control characters escaped, bytes that are not UTF-8 shown as U+FFFD. */
export function printable(data: Uint8Array | string): string {
  const plain = typeof data === "string" ? data : new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);
  if (/^[ -~]*$/.test(plain)) return plain; // most text is, and this test is quick
  return plain.replace(unsafe, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return named[char] ?? (code < 256 ? `\\x${hex(code)}` : `\\u{${code.toString(16)}}`);
  });
}

/** A line of text for a terminal: as `printable`, but tabs stay tabs. */
export const printableLine = (line: string): string => line.split("\t").map(printable).join("\t");

/** A progress bar on stderr, when that is a terminal: call what it returns with how much of `total` is done. */
export function progress(label: string, total: number): (done: number) => void {
  if (!Deno.stderr.isTerminal()) return () => {};
  let shown = -1;
  return (done) => {
    const step = Math.floor(Math.min(1, done / total) * 40);
    if (step === shown) return;
    shown = step;
    const bar = `\r${label} ${"█".repeat(step)}${"·".repeat(40 - step)} ${Math.round(step * 2.5)} %`;
    Deno.stderr.writeSync(new TextEncoder().encode(step < 40 ? bar : `\r${" ".repeat(bar.length)}\r`));
  };
}

/** Shows one message of the wire on stderr: when, from where to where, how many bytes, and the bytes or a note. */
export function show(form: "text" | "json", from: string, to: string, data: Uint8Array, note = ""): void {
  const t = new Date().toISOString();
  if (form === "json") {
    return console.error(JSON.stringify({ t, from, to, bytes: data.length, data: data.toBase64(), note }));
  }
  const head = `${t.slice(11, 23)} ${from} → ${to}`;
  if (data.length === 0) return console.error(`${head}  ${note || "0 bytes"}`);
  const part = data.subarray(0, 512); // enough to see what it is; --trace=json has every byte
  const rest = data.length > part.length ? ` … and ${data.length - part.length} more` : "";
  const plain = new TextDecoder("utf-8", { ignoreBOM: true }).decode(part, { stream: rest !== "" });
  console.error(`${head}  ${count(data.length, "byte")}${note && `  ${note}`}`);
  // deno-lint-ignore no-control-regex -- a message with other controls than line ends and tabs is shown as bytes
  if (!/[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]/.test(plain)) return console.error(`    "${printable(plain)}"${rest}`);
  for (let at = 0; at < part.length; at += 16) {
    const row = part.subarray(at, at + 16);
    const ascii = Array.from(row, (byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".").join("");
    console.error(`    ${at.toString(16).padStart(4, "0")}  ${Array.from(row, hex).join(" ").padEnd(47)}  ${ascii}`);
  }
  if (rest) console.error(`   ${rest}`);
}
