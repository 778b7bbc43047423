/**
 * Runs the checks of a suite on a program: starts it, tells one cause once, keeps to the time limit, ends what is left.
 *
 * @module
 */
import { AssertionError } from "jsr:@std/assert@1";
import { type Address, count, Failure, formatAddress, printableLine } from "../../cli.ts";
import { Random } from "../suites/_random.ts";
import { hasHeard, inTerminal, recordIn, Recording, step } from "../suites/_record.ts";
import {
  type Check,
  type Client,
  inSeconds,
  inTime,
  limits,
  NotKnown,
  type Prepared,
  Refused,
  type Server,
  type Suite,
  type Values,
} from "../suites/_suite.ts";
import { freePort } from "./free_port.ts";
import { type Relay, relayTo } from "./network.ts";
import { endMarked, listeningAddresses, marked, portInUse } from "./processes.ts";
import { type Ended, Program, removeTemporary, temporaryFolder } from "./program.ts";

/** The result of one check. */
export interface Result {
  readonly check: Check<never>;
  readonly state: "passed" | "failed" | "not run";
  /** What was wrong, or why it was not run; "" if it passed. */
  readonly problem: string;
  /** Whether it counts: a check that nobody could run does not. */
  readonly counts: boolean;
  readonly seconds: number;
  readonly recording: Recording;
  /** Where the server has listened, the program or the checker; 0 if there was none. */
  readonly port: number;
}

/** One run of a suite. */
export interface Run {
  readonly suite: Suite;
  /** The checks to run, in their order. */
  readonly checks: readonly Check<never>[];
  /** The command of the program; none for a server that is running at `at`. */
  readonly words: readonly string[];
  readonly at?: Address;
  /** The port that a server is given; 0: a free one for each start. */
  readonly port: number;
  readonly seed: number;
  /** Where the suite writes its content; it stays there. Without it, a temporary folder. */
  readonly folder?: string;
  /** The folder in which the program is started. */
  readonly cwd: string;
  /** The settings of a relay between the checker and the program; without them, nothing stands between. */
  readonly network?: string;
  /** How many seconds the checks that fail may take together. */
  readonly limit: number;
}

/** Runs one check on the program: a suite for servers has checks for servers. */
type Attempt = (check: Check<never>) => Promise<void>;

/** Runs the checks, one after another. @throws {Failure} with code 3 if the program could not be started. */
export async function* runSuite(run: Run): AsyncGenerator<Result> {
  const { suite } = run;
  const mark = `SOCKETLAB_CHECK=${crypto.randomUUID()}`;
  const folder = run.folder ?? await temporaryFolder("check-");
  try {
    const prepared = run.at && !run.folder ? undefined : await suite.prepare?.(new Random(run.seed), folder);
    await using started = new Started(run, mark, prepared);
    if (suite.role === "client") await started.shakeClient();
    const attempt: Attempt = suite.role === "server"
      ? async ({ name }) => {
        const check = suite.checks.find((check) => check.name === name);
        await started.withServer(async (server) => await check?.run(server));
      }
      : async ({ name }) => await suite.checks.find((check) => check.name === name)?.run(started.client());
    yield* runChecks(run, started, attempt);
  } finally {
    await removeTemporary(folder);
  }
}

async function* runChecks(run: Run, started: Started, attempt: Attempt): AsyncGenerator<Result> {
  const [patience, limit] = [limits.patience, run.limit * 1000];
  const failed = new Set<string>();
  const least = Math.max(1000, run.suite.leastPatience ?? 0);
  let lost = 0; // milliseconds in checks that failed
  let startup = 0; // the longest time, in milliseconds, until the program was heard of
  let cause = ""; // why no further check can be run
  for (const check of run.checks) {
    const recording = new Recording();
    recording.apart = (run.suite.over ?? "tcp") !== "tcp";
    const result = (state: Result["state"], problem = "", counts = true): Result => {
      if (state !== "passed") failed.add(check.name);
      recording.byHand ||= inTerminal(started.fill(check.byHand ?? ""));
      return { check, state, problem, counts, seconds: recording.seconds, recording, port: started.port };
    };
    const missing = check.needs?.find((name) => failed.has(name));
    if (cause || missing !== undefined) {
      yield result("not run", `not run: ${cause || `"${missing}" must pass first`}`);
      continue;
    }
    // The more time was lost, the less there is for a next step: the whole ends in `limit`.
    if (lost > 0) {
      // What starts slowly, or on a busy machine, is not hurried; nor is what rightly waits a second before it sends again.
      const slow = Math.min(patience, Math.max(least, 2 * startup));
      recording.patience = Math.max(slow, Math.min(patience, limit / 6 - lost / 3));
      recording.start = Math.max(2 * recording.patience, 4 * startup);
    }
    started.begin();
    const deadline = Promise.withResolvers<"late">();
    const timer = setTimeout(() => deadline.resolve("late"), limit - lost);
    try {
      const running = recordIn(recording, () => attempt(check));
      running.catch(() => {}); // after the deadline nobody waits for it
      if (await Promise.race([running, deadline.promise]) === "late") {
        cause = `the ${run.limit} s for checks that fail were over (--limit)`;
        throw new AssertionError(
          `expected the check to end, got none in ${run.limit} s\nhint: answer sooner, or use --limit`,
        );
      }
      started.hasAnswered();
      yield result("passed");
    } catch (error) {
      if (error instanceof NotKnown) {
        yield result("not run", `not run: ${error.message}`, false);
        continue;
      }
      if (!(error instanceof Error && error instanceof AssertionError)) throw error;
      // A TCP server that could be connected to was there; a sent datagram says nothing.
      const touched = recording.entries.some(({ kind, text }) => kind !== "step" || /^(connected|nothing)/.test(text));
      if (run.suite.role === "client" && touched) started.answered = true;
      if (recording.received > 0 || run.suite.over !== "udp" && recording.sent > 0) started.hasAnswered();
      const diagnosis = started.answered ? "" : await started.diagnose(error instanceof Refused);
      if (diagnosis) cause ||= diagnosis.split("\n")[0] ?? diagnosis;
      const isClosed = recording.entries.some(({ text }) => /^(the program has ended its side|a reset)/.test(text));
      const report = await started.report(isClosed ? 1000 : 200);
      yield result("failed", diagnosis || withHint(error.message, report.hint) + report.text);
      lost += recording.seconds * 1000;
    } finally {
      clearTimeout(timer);
      const first = recording.entries.find(({ kind, text }) => kind !== "step" || text.startsWith("connected"));
      startup = Math.max(startup, first?.time ?? 0);
    }
  }
  await started.verify();
}

/** The program under check: its process, or its address if it was running before. */
class Started {
  readonly #run: Run;
  readonly #mark: string;
  readonly #prepared: Prepared<object> | undefined;
  #program: Program | undefined;
  #since = 0;
  /** Whether it listens, but not where it should. */
  #elsewhere = false;
  /** Whether it may have left a process behind when it ended: a daemon. */
  #hasLeft = true;
  readonly #random: Random;
  #address: Address;
  /** Whether it has ever done something right. */
  answered = false;
  /** The program that has done something since its start: it is not starting any more. */
  #awake: Program | undefined;
  /** How much it had printed when the running check began. */
  #printed = { stdout: 0, stderr: 0 };
  /** With `--network`: the port of the relay, and of what is behind it. */
  #relay: Relay & { to: number } = { port: 0, programs: [], to: 0 };

  constructor(run: Run, mark: string, prepared: Prepared<object> | undefined) {
    this.#run = run;
    this.#mark = mark;
    this.#random = new Random(run.seed ^ 0x5eed); // other words than those that `prepare` makes
    this.#prepared = prepared;
    this.#address = run.at ?? { hostname: "127.0.0.1", port: run.port };
  }

  /** A check begins: what the program has printed before belongs to others. */
  begin(): void {
    const { stdout = "", stderr = "" } = this.#program ?? {};
    this.#printed = { stdout: stdout.length, stderr: stderr.length };
  }

  /** A server that runs. One that has ended, by a crash or on purpose, is started again: one failure does not cause others. */
  async server(): Promise<Server> {
    const [content, random] = [this.#prepared?.content, this.#random];
    if (this.#run.at) return { ...await this.#shaken(this.#run.at), content, random };
    if (this.#program) await inTime(this.#program.ended, 100); // one that ends after its first client needs a moment
    if (!this.#program || this.#program.status && (await marked(this.#mark)).length === 0) {
      const { over = "tcp" } = this.#run.suite;
      let port = this.#run.port || freePort();
      // Another program of this machine may take a free port before this one does.
      while (!this.#run.port && portInUse(port, over)) port = freePort();
      this.#address = { hostname: "127.0.0.1", port };
      if (this.#run.port && (this.#program ? portInUse(port, over) : await isUsed(this.#address, over))) {
        throw new Failure(
          `${formatAddress(this.#address)} is in use before your program starts: stop the program that runs there ` +
            "(an earlier run of yours?), or choose another --port",
          3,
        );
      }
      const program = this.#start(this.#address);
      if (!this.answered) this.#look(program, over === "udp" ? "udp" : "tcp");
      // A relay accepts at once: whether the program listens is no longer seen by connecting to it.
      if (this.#run.network) await this.#listens(program, over === "udp" ? "udp" : "tcp");
    }
    const [program, since] = [this.#program, this.#since];
    // One that has ended with 0 may have left a daemon, which is still starting.
    const starting = () =>
      !this.#elsewhere && program !== this.#awake &&
      (program?.status === undefined
        ? Date.now() < since + limits.start
        : program.status.code === 0 && Date.now() < since + (this.#hasLeft ? limits.start : 3000));
    return { ...await this.#shaken(this.#address), starting, content, random, program: () => program };
  }

  /**
   * Runs a check on a server that runs. A server that has served its only client may end just when the check begins: then the
   * check, which has heard nothing, runs once more on a new start. Other checks are made for such a server.
   */
  async withServer(check: (server: Server) => Promise<void>): Promise<void> {
    const before = this.#program;
    const server = await this.server();
    try {
      await check(server);
    } catch (error) {
      // What is sent to a port on which nobody listens yet is lost with UDP: only TCP's checks wait for the start.
      const isTcp = (this.#run.suite.over ?? "tcp") === "tcp";
      if (!isTcp || !before || before !== this.#program || hasHeard()) throw error;
      if (!await inTime(before.ended, 200) || before.stopped) throw error;
      step("the program has ended after the check before this one: it is started again");
      await check(await this.server());
    }
  }

  /** The address of a server, or with `--network` that of the relay before it. */
  async #shaken(address: Address, port?: number): Promise<Address> {
    const { network, suite: { over = "tcp" } } = this.#run;
    if (!network) return address;
    if (this.#relay.to !== address.port) {
      await this.#stopRelay();
      this.#relay = { ...await relayTo(address, over, network, port), to: address.port };
    }
    return { hostname: "127.0.0.1", port: this.#relay.port };
  }

  /** With `--network`, starts the relay to which a client connects, before the suite's server. */
  async shakeClient(): Promise<void> {
    if (!this.#run.network) return;
    await this.#shaken({ hostname: "127.0.0.1", port: freePort() }, this.#run.port || freePort());
  }

  /** @throws {Failure} if the program has ended and its port still answers: then another one has passed the checks. */
  async verify(): Promise<void> {
    const { suite: { over = "tcp", role }, at } = this.#run;
    const program = this.#program;
    if (role !== "server" || at || !program?.status || program.stopped) return;
    if (!await isUsed(this.#address, over) || (await marked(this.#mark)).length > 0) return;
    const address = formatAddress(this.#address);
    throw new Failure(`your program has ended, and ${address} still answers: another program listens there`, 3);
  }

  /** Stops the program, what it has left behind where that is found, and the relay. */
  async [Symbol.asyncDispose](): Promise<void> {
    await endMarked(this.#mark);
    await this.#program?.stop();
    await this.#stopRelay();
  }

  async #stopRelay(): Promise<void> {
    await Promise.all(this.#relay.programs.map((program) => program.stop()));
  }

  /** Waits until a program listens, for as long as a start may take. Where that cannot be seen, for a second. */
  async #listens(program: Program, over: "tcp" | "udp"): Promise<void> {
    const isSeen = Deno.build.os !== "windows";
    const end = Date.now() + (isSeen ? 10_000 : 1000);
    while (Date.now() < end && !program.status) {
      const addresses = isSeen ? await listeningAddresses(this.#mark, over) : [];
      if (addresses.some((each) => each.endsWith(`:${this.#address.port}`))) return;
      await inTime(program.ended, 50);
    }
  }

  /** Looks after three seconds whether a server that has not answered yet listens on another port. */
  async #look(program: Program, over: "tcp" | "udp"): Promise<void> {
    this.#hasLeft = true;
    program.ended.then(async () => this.#hasLeft = (await marked(this.#mark)).length > 0);
    if (await inTime(program.ended, 3000) || this.answered) return;
    const addresses = await listeningAddresses(this.#mark, over);
    const reachable = (each: string) => each.endsWith(`:${this.#address.port}`) && !each.startsWith("[::1]");
    this.#elsewhere = addresses.length > 0 && !addresses.some(reachable);
  }

  get port(): number {
    return this.#address.port;
  }

  client(): Client {
    return {
      content: this.#prepared?.content,
      random: this.#random,
      port: this.#relay.to || this.#run.port,
      isShaken: this.#relay.to > 0,
      start: (port, values = {}) => {
        const { to, port: relay } = this.#relay;
        if (port !== to) return this.#start({ hostname: "127.0.0.1", port }, values);
        // The client knows the relay alone, also where a URL has the port.
        const known = Object.entries(values).map(([name, value]) => [name, value.replaceAll(`:${to}`, `:${relay}`)]);
        return this.#start({ hostname: "127.0.0.1", port: relay }, Object.fromEntries(known));
      },
    };
  }

  /** Starts the program. It finds the address, and what the suite has made, in its arguments or in its environment. */
  #start(address: Address, more: Values = {}): Program {
    this.#address = address;
    const [name = "", value = ""] = this.#mark.split("=");
    const values = this.#values(more);
    const command = this.#run.words.map((word) => replace(word, values));
    const env = Object.fromEntries(Object.entries(values).map(([name, value]) => [name.toUpperCase(), value]));
    this.#since = Date.now();
    this.#printed = { stdout: 0, stderr: 0 };
    return this.#program = new Program(command, {
      ...{ env: { ...env, [name]: value }, cwd: this.#run.cwd },
      most: 1 << 24, // no program prints as much as this on purpose
    });
  }

  #values(more: Values = {}): Values {
    const { hostname, port } = this.#address;
    return { host: hostname, port: `${port}`, ...this.#prepared?.values, ...more };
  }

  /** Replaces {host}, {port} and the values of the suite. */
  fill(text: string): string {
    return replace(text, this.#values());
  }

  /** Why a program that has done nothing right cannot be checked at all; "" if it can. */
  async diagnose(refused: boolean): Promise<string> {
    const { suite, at } = this.#run;
    const address = formatAddress(this.#address);
    if (at) return refused ? `nothing listens on ${address}\nhint: start your server before, or give its command` : "";
    if (this.#program && !this.#program.status) await inTime(this.#program.ended, 200);
    const program = this.#program;
    if (!program) return "";
    if (program.tooMuch) {
      return `your program printed more than 16 MiB, and was stopped\nhint: look for a loop that prints`;
    }
    if (program.status && !program.stopped) {
      if (suite.role === "client" && program.status.code === 0) return "";
      if ((await marked(this.#mark)).length > 0) return "";
      const what = suite.role === "server" ? `nothing listens on ${address}: your` : "your";
      const printed = program.stderr + program.stdout;
      const hint = startHint(printed, program.status) || bracesHint(this.#run.words, Object.keys(this.#values()));
      return `${what} program ${ending(program.status)}${output(program, 60)}${hint && `\nhint: ${hint}`}`;
    }
    if (suite.role === "client") return "";
    const over = suite.over === "udp" ? "udp" : "tcp";
    const addresses = await listeningAddresses(this.#mark, over);
    if (addresses.some((each) => each.endsWith(`:${this.#address.port}`))) {
      if (refused && await isListening(this.#address)) {
        return `your program did not listen on ${address} until ${inSeconds(limits.start)} were over${
          output(program, 10)
        }\n` +
          "hint: --timeout gives a slow start more time";
      }
      return !refused ? "" : `your program listens on ${addresses.join(" and ")}, and refuses ${address}\n` +
        "hint: bind to 127.0.0.1 or 0.0.0.0; a socket of IPv6 also serves IPv4 when IPV6_V6ONLY is 0";
    }
    if (addresses.length > 0) {
      return `your program listens on ${addresses.join(" and ")}, not on ${address}${output(program, 10)}\n` +
        "hint: take the port from {port} in your command or from the environment variable PORT, or give yours with --port";
    }
    if (!refused && Deno.build.os !== "linux") return "";
    return `your program runs, but after ${
      Math.round((Date.now() - this.#since) / 1000)
    } s it does not listen on ${address}` +
      `${output(program, 10)}\nhint: call ${
        over === "tcp" ? "bind and listen" : "bind"
      } before anything that waits; --timeout gives a slow start more time`;
  }

  /** It has done something right, or at least something. */
  hasAnswered(): void {
    this.answered = true;
    this.#awake = this.#program;
  }

  /** What has become of the program in a check that failed, and what to change, if that can be seen from what it has printed. */
  async report(wait: number): Promise<{ text: string; hint: string }> {
    const program = this.#program;
    if (program) await inTime(program.ended, wait); // its connections end a moment before it does
    if (!program) return { text: "", hint: "" };
    if (program.tooMuch) return { text: "\nyour program printed more than 16 MiB, and was stopped", hint: "" };
    const seconds = Math.round((Date.now() - this.#since) / 1000);
    const ended = !program.status || program.stopped && seconds === 0 // it has failed before that
      ? ""
      : program.stopped
      ? `\nthe checker stopped your program ${count(seconds, "second")} after its start`
      : `\nyour program ${ending(program.status)}`;
    const printed = program.stderr.slice(this.#printed.stderr);
    const crashed = /Traceback|^\s+at |Exception in thread|panicked|goroutine/m.test(printed);
    const hint = program.status && !program.stopped ? crashHint(printed) : "";
    return { text: ended + output(program, crashed ? 40 : 5, this.#printed), hint };
  }
}

/**
 * Whether a program uses the port. On macOS one that listens on all addresses does not keep another from opening the port on
 * 127.0.0.1, as `portInUse` does: so ask who is there.
 */
const isUsed = async (address: Address, over: "tcp" | "udp" | "both"): Promise<boolean> =>
  portInUse(address.port, over) || (over !== "udp" && await isListening(address));

/** Whether a TCP connection can be opened. */
async function isListening(address: Address): Promise<boolean> {
  try {
    (await Deno.connect(address)).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

/** What to change, by what a program has printed before it ended at its start; "" if that is not known. */
function startHint(printed: string, { code }: Ended): string {
  // macOS has a program in the place of each tool of its developers; it shows a window, and says this in the terminal.
  if (/^xcode-select: .*no developer tools were found/im.test(printed)) {
    return "this Mac has only a stand-in for the program: install it with xcode-select --install, or Python from python.org";
  }
  // Where Python is missing, Windows has a program of its name that says so, in the user's language, and exits with 9009.
  if (code === 9009 || /^Python was not found/m.test(printed)) {
    return "there is no program of this name: on Windows, write py in place of python3";
  }
  // Windows has no number in what Go prints, and Rust puts it in other words than Python.
  if (/EADDRINUSE|address already in use|AddrInUse|only one usage of each socket|error 10048/i.test(printed)) {
    return "the port is taken: set SO_REUSEADDR before bind, and take the port from {port} or the environment variable PORT";
  }
  if (/EOFError|NoSuchElementException|No line found/.test(printed)) {
    return "nobody types while a program is checked: take the port from {port} in your command or from the environment variable PORT";
  }
  if (/can't open file|Cannot find module|Could not find or load main class|Module not found/.test(printed)) {
    return "the command is started in the folder where you are: look at the name of the file, and at the folder";
  }
  return "";
}

/** A word that has the name of a value, but no braces: PowerShell removes them. "" if there is none. */
function bracesHint(words: readonly string[], names: readonly string[]): string {
  const name = names.find((name) => words.includes(name));
  if (name === undefined || words.some((word) => word.includes(`{${name}}`))) return "";
  return `your program was given the word ${name}: write {${name}} for its value, and "{${name}}" in PowerShell`;
}

/** How a program ended, for one who does not know signals by their numbers. */
function ending({ code }: Ended): string {
  const number = code >>> 0; // the runtime has it with a sign
  const [name, why] = {
    133: [
      "SIGTRAP",
      "it met an instruction that stops it: often an overflow, or an assertion, that the compiler has put there",
    ],
    134: ["SIGABRT", "it called abort: often a broken heap, such as memory that is freed twice"],
    [Deno.build.os === "darwin" ? 138 : 135]: ["SIGBUS", "it used memory that is not there"],
    136: ["SIGFPE", "it divided by zero"],
    137: ["SIGKILL", "something stopped it: often the limit of memory"],
    139: ["SIGSEGV", "it used memory that is not its own: look for a wrong pointer or index"],
    141: [
      "SIGPIPE",
      "it wrote to a connection that the other side had closed: ignore SIGPIPE, and look at what send returns",
    ],
    // Windows: what the system has ended a program for (NTSTATUS).
    0xc0000005: ["an access violation", "it used memory that is not its own: look for a wrong pointer or index"],
    0xc0000094: ["a division by zero", "look for a divisor that may be 0"],
    0xc00000fd: ["a stack overflow", "look for a function that calls itself without end"],
    0xc0000409: ["abort", "often a failed assertion, or a write behind the end of an array"],
  }[number] ?? []; // 128 and the number of the signal, also when a shell reports it of its child
  const shown = number > 0xffff ? `0x${number.toString(16)}` : code;
  return name ? `was ended by ${name} (exit code ${shown}): ${why}` : `ended with exit code ${code}`;
}

const replace = (text: string, values: Values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

/** What to change in a program that has ended by itself, by what it has printed; "" if that is not known. */
function crashHint(printed: string): string {
  const gone = /Connection(Reset|Aborted)|BrokenPipe|ECONN(RESET|ABORTED)|EPIPE|SocketException|wsa(recv|send)/;
  if (gone.test(printed) || /os error (32|54|104|1005[34])\)/.test(printed)) {
    return "a client may leave at any time: catch the error of recv and send for this client alone, and go on with the others";
  }
  if (/^socket\.timeout: /m.test(printed)) {
    return "until version 3.9, a socket of Python throws socket.timeout, not TimeoutError: catch socket.timeout, which every version has";
  }
  if (/UnicodeDecodeError|MalformedInputException|invalid utf-?8|Utf8Error/i.test(printed)) {
    return "what arrives may be any bytes: decode with errors='replace', or catch the error";
  }
  return "";
}

/** The problem with this hint in place of its own, if there is one. */
const withHint = (problem: string, hint: string) =>
  hint ? problem.replace(/\nhint: [^]*$/, `\nhint: ${hint}`) : problem;

/** The last lines of what a program has printed since then. */
function output(program: Program, lines: number, since = { stdout: 0, stderr: 0 }): string {
  const printed = program.stdout.slice(since.stdout) + program.stderr.slice(since.stderr);
  const tail = printed.trimEnd().split("\n").slice(-lines).join("\n");
  return tail === "" ? "" : tail.split("\n").map((line) => `\n  | ${printableLine(line.slice(0, 200))}`).join("");
}
