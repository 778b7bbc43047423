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
import { type Check, type Client, inTime, limits, type Server } from "./suites/_suite.ts";
import { Program, stopAll } from "./support/program.ts";

/** The result of one check. */
interface Result {
  readonly check: Check<never>;
  /** What was wrong; undefined if the check passed. */
  readonly problem: string | undefined;
}

/** Checks a server: the one that runs at `addr`, or one that is started there by `words`. */
async function* checkServer(
  checks: readonly Check<Server>[],
  addr: Address,
  words: readonly string[],
): AsyncGenerator<Result> {
  let program: Program | undefined;
  let starting: (() => boolean) | undefined;
  for (const check of checks) {
    if (program) await inTime(program.ended, 100); // a server that ends after its first client needs a moment
    // A server that has ended, by a crash or on purpose, is started again, so that one failure does not cause others.
    if (words.length > 0 && (!program || program.status)) {
      const started = program = start(words, addr);
      const until = Date.now() + 10_000;
      starting = () => started.status === undefined && Date.now() < until;
    }
    yield { check, problem: await attempt(check, { ...addr, starting }, () => program) };
  }
}

/** Checks a client: each check starts it once or more, by `words`. */
async function* checkClient(checks: readonly Check<Client>[], words: readonly string[]): AsyncGenerator<Result> {
  let last: Program | undefined;
  const client = { start: (port: number) => last = start(words, { hostname: "127.0.0.1", port }) };
  for (const check of checks) yield { check, problem: await attempt(check, client, () => last) };
}

/** Starts the program under check. It finds the address in its arguments or in its environment. */
function start(words: readonly string[], { hostname, port }: Address): Program {
  const command = words.map((word) => word.replaceAll("{host}", hostname).replaceAll("{port}", `${port}`));
  return new Program(command, { env: { HOST: hostname, PORT: `${port}` } });
}

/** Runs one check. Returns what was wrong, followed by the last lines of the program under check. */
async function attempt<T>(
  check: Check<T>,
  target: T,
  program: () => Program | undefined,
): Promise<string | undefined> {
  try {
    await check.run(target);
    return undefined;
  } catch (error) {
    if (!(error instanceof Error && error instanceof AssertionError)) throw error;
    const { status } = program() ?? {};
    const ended = status ? `\nyour program ended with exit code ${status.code}` : "";
    const tail = program()?.tail(3).split("\n").map((line) => `\n  | ${printable(line.slice(0, 120))}`).join("") ?? "";
    return `${error.message}${ended}${tail.trim() === "|" ? "" : tail}`;
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

  const results: Result[] = [];
  try {
    const addr = flags.at ? parseAddress(flags.at) : { hostname: "127.0.0.1", port: flags.port || getAvailablePort() };
    const checking = suite.role === "server"
      ? checkServer(suite.checks, addr, words)
      : checkClient(suite.checks, words);
    for await (const result of checking) {
      results.push(result);
      report(result);
    }
  } finally {
    await stopAll();
  }

  const passed = results.filter(({ problem }) => problem === undefined);
  const points = (list: Result[]) => list.reduce((sum, { check }) => sum + check.points, 0);
  console.log(
    `${name}: ${passed.length} of ${results.length} checks passed, ${points(passed)} of ${points(results)} points`,
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

function report({ check, problem }: Result): void {
  const mark = problem === undefined ? "✓" : "✗";
  console.log(`${mark} ${check.name} (${problem === undefined ? check.points : 0}/${check.points})`);
  if (problem === undefined) return;
  for (const line of [check.why, ...problem.split("\n")]) console.log(`    ${line}`);
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
