/**
 * Checks your own server or client, written in any language: `deno task check`.
 *
 * ```sh
 * deno task check tcp:echo --at 127.0.0.1:7007                       # a server that is running
 * deno task check tcp:echo --port 7007 -- python3 my_server.py       # a server to start and stop
 * deno task check tcp:echo-client -- python3 my_client.py {host} {port}
 * ```
 *
 * @module
 */
import { type Address, Failure, formatAddress, integer, onStop, printable, run, seconds, text } from "../cli.ts";
import { reason } from "../tcp/_read_file.ts";
import { getAvailablePort } from "jsr:@std/net@1/get-available-port";
import { AssertionError } from "jsr:@std/assert@1";
import { suites } from "./suites/suites.ts";
import { Random } from "./suites/_random.ts";
import {
  type Check,
  type Client,
  inTime,
  limits,
  NotKnown,
  type Prepared,
  type Server,
  type Values,
} from "./suites/_suite.ts";
import { Program, stopAll } from "./support/program.ts";

/** The result of one check. */
interface Result {
  readonly check: Check<never>;
  /** What was wrong; undefined if the check passed. */
  readonly problem: string | undefined;
  /** Whether the check was not run: then `problem` says why. */
  readonly skipped?: boolean;
}

/** What a suite has made for this run. */
type Content = Prepared<object> | undefined;

/** Checks a server: the one that runs at `addr`, or one that is started there by `words`. */
async function* checkServer(
  checks: readonly Check<Server>[],
  addr: Address,
  words: readonly string[],
  content: Content,
): AsyncGenerator<Result> {
  const failed = new Set<string>();
  let program: Program | undefined;
  let starting: (() => boolean) | undefined;
  for (const check of checks) {
    if (program) await inTime(program.ended, 100); // a server that ends after its first client needs a moment
    // A server that has ended, by a crash or on purpose, is started again, so that one failure does not cause others.
    if (words.length > 0 && (!program || program.status)) {
      const started = program = start(words, addr, content);
      const until = Date.now() + 10_000;
      starting = () => started.status === undefined && Date.now() < until;
    }
    yield await attempt(check, { ...addr, starting, content: content?.content }, () => program, failed);
  }
}

/** Checks a client: each check starts it once or more, by `words`. */
async function* checkClient(
  checks: readonly Check<Client>[],
  words: readonly string[],
  content: Content,
): AsyncGenerator<Result> {
  const failed = new Set<string>();
  let last: Program | undefined;
  const client: Client = {
    content: content?.content,
    start: (port, values) => last = start(words, { hostname: "127.0.0.1", port }, content, values),
  };
  for (const check of checks) yield await attempt(check, client, () => last, failed);
}

/** Starts the program under check. It finds the address, and what the suite has made, in its arguments or in its environment. */
function start(words: readonly string[], addr: Address, content: Content, more: Values = {}): Program {
  const values: Values = { host: addr.hostname, port: `${addr.port}`, ...content?.values, ...more };
  const command = words.map((word) => word.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole));
  const env = Object.fromEntries(Object.entries(values).map(([name, value]) => [name.toUpperCase(), value]));
  return new Program(command, { env });
}

/**
 * Runs one check, unless one that it needs has failed. What was wrong is followed by the last lines of the program under check.
 */
async function attempt<T>(
  check: Check<T>,
  target: T,
  program: () => Program | undefined,
  failed: Set<string>,
): Promise<Result> {
  const missing = check.needs?.find((name) => failed.has(name));
  if (missing !== undefined) {
    failed.add(check.name);
    return { check, problem: `not run: it needs what "${missing}" asks for`, skipped: true };
  }
  try {
    await check.run(target);
    return { check, problem: undefined };
  } catch (error) {
    if (error instanceof NotKnown) return { check, problem: `not run: ${error.message}`, skipped: true };
    failed.add(check.name);
    if (!(error instanceof Error && error instanceof AssertionError)) throw error;
    const { status } = program() ?? {};
    const ended = status ? `\nyour program ended with exit code ${status.code}` : "";
    const tail = program()?.tail(3).split("\n").map((line) => `\n  | ${printable(line.slice(0, 120))}`).join("") ?? "";
    return { check, problem: `${error.message}${ended}${tail.trim() === "|" ? "" : tail}` };
  }
}

const names = Object.keys(suites).join(", ");

const command = {
  name: "check",
  about: `Checks a server or a client of your own, in any language.
suites: ${names}
In COMMAND, {host} and {port} are replaced by the real values, which are also in the environment variables HOST and PORT.`,
  run: "deno task check",
  args: "SUITE [-- COMMAND ...]",
  options: {
    "at": text("", "check the server that is running there", "HOST:PORT"),
    "port": integer(0, "the port of COMMAND's server; 0: a free port, given to it as {port}", 0, 65535, "PORT"),
    "timeout": seconds(5, "how long the program may take for one step"),
    "seed": integer(0, "makes the same contents again; 0: others in every run", 0, 0xffffffff),
    "content": text("", "with --at: where the suite writes what the server has to know, and leaves it", "FOLDER"),
    "json": text("", "also write the results there, as results.json for Gradescope", "FILE"),
  },
};

await run(command, async (flags) => {
  limits.patience = flags.timeout * 1000;
  onStop(() => stopAll().then(() => Deno.exit(1)));
  const [name = "", ...words] = flags.args;
  const suite = suites[name];
  if (!suite) {
    const wrong = name ? `there is no suite ${printable(name)}: choose one of` : "give the name of a suite:";
    throw new Failure(`${wrong} ${names}`, 2);
  }
  if (flags.at && words.length > 0) {
    throw new Failure("--at checks a server that is already running: leave out the command, or leave out --at", 2);
  }
  if (!flags.at && words.length === 0) {
    const how = suite.role === "server"
      ? "--at 127.0.0.1:7007, or with -- python3 server.py {port}"
      : "-- python3 client.py";
    throw new Failure(`${name} checks ${suite.about}: give the program to check with ${how}`, 2);
  }
  if (flags.at && suite.role === "client") throw new Failure(`${name} checks a client: give its command after --`, 2);

  const seed = flags.seed || (crypto.getRandomValues(new Uint32Array(1))[0] ?? 1);
  const folder = flags.content || await Deno.makeTempDir();
  const results: Result[] = [];
  try {
    const content = flags.at && !flags.content ? undefined : await suite.prepare?.(new Random(seed), folder);
    const addr = flags.at ? parseAddress(flags.at) : { hostname: "127.0.0.1", port: flags.port || getAvailablePort() };
    const checking = suite.role === "server"
      ? checkServer(suite.checks, addr, words, content)
      : checkClient(suite.checks, words, content);
    for await (const result of checking) {
      results.push(result);
      report(result);
    }
  } finally {
    await stopAll();
    if (!flags.content) await Deno.remove(folder, { recursive: true });
  }

  const passed = results.filter(({ problem }) => problem === undefined);
  const points = (list: Result[]) => list.reduce((sum, { check }) => sum + check.points, 0);
  console.log(
    `${name}: ${passed.length} of ${results.length} checks passed, ${points(passed)} of ${points(results)} points${
      suite.prepare ? ` (--seed ${seed})` : ""
    }`,
  );
  if (flags.json) {
    try {
      await Deno.writeTextFile(flags.json, gradescope(results));
    } catch (error) {
      throw new Failure(`cannot write ${printable(flags.json)}: ${reason(error)}`);
    }
  }
  if (passed.length < results.length) Deno.exitCode = 1;
});

function report({ check, problem, skipped }: Result): void {
  const mark = problem === undefined ? "✓" : skipped ? "–" : "✗";
  console.log(`${mark} ${check.name} (${problem === undefined ? check.points : 0}/${check.points})`);
  if (problem === undefined) return;
  for (const line of [...skipped ? [] : [check.why], ...problem.split("\n")]) console.log(`    ${line}`);
}

/** The results in the form that Gradescope's autograder reads. */
function gradescope(results: Result[]): string {
  const tests = results.map(({ check, problem }) => ({
    name: check.name,
    score: problem === undefined ? check.points : 0,
    max_score: check.points,
    status: problem === undefined ? "passed" : "failed",
    output: problem === undefined ? check.why : `${check.why}\n${problem}`,
  }));
  return JSON.stringify({ tests }, null, 2) + "\n";
}

function parseAddress(at: string): Address {
  const [, hostname = "", port] = /^(?:\[([\da-fA-F:.]+)\]|([^:]+)):(\d+)$/.exec(at)?.filter((part) => part) ?? [];
  if (Number(port) >= 1 && Number(port) <= 65535) return { hostname, port: Number(port) };
  const example = formatAddress({ hostname: "127.0.0.1", port: 7007 });
  throw new Failure(`--at wants HOST:PORT, such as ${example}, not ${printable(at)}`, 2);
}
