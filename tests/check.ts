/**
 * Checks someone's own server or client, written in any language: `deno task check`.
 *
 * ```sh
 * deno task check tcp:echo --at 127.0.0.1:7007                       # a server that is running
 * deno task check tcp:echo --port 7007 -- python3 my_server.py       # one to start and stop
 * deno task check tcp:echo-client -- python3 my_client.py {host} {port}
 * ```
 *
 * @module
 */
import { Failure, onStop, place, printable, reason, run, seconds, text, whole } from "../cli.ts";
import { getAvailablePort } from "jsr:@std/net@1/get-available-port";
import { AssertionError } from "jsr:@std/assert@1";
import { suites } from "./checks/suites.ts";
import { type Check, inTime, limits, type Suite } from "./checks/suite.ts";
import { Program, stopAll } from "./program.ts";

const command = {
  name: "check",
  about: `Checks a server or a client of your own, in any language.
suites: ${Object.keys(suites).join(", ")}
In the command {host} and {port} are replaced; they are also set in the environment, as HOST and PORT.`,
  run: "deno task check",
  args: "SUITE [-- COMMAND ...]",
  options: {
    "at": text("", "check the server that listens there", "HOST:PORT"),
    "port": whole(0, "the port on which COMMAND's server listens; 0: a free one, as {port}", 0, 65535, "PORT"),
    "timeout": seconds(5, "how long the program may take for one step"),
    "json": text("", "also write the results there, as a Gradescope results.json", "FILE"),
  },
};

/** How one check came out. */
interface Result {
  readonly check: Check<never>;
  /** What was wrong; undefined when nothing was. */
  readonly problem: string | undefined;
}

await run(command, async (flags) => {
  limits.patience = flags.timeout * 1000;
  onStop(() => stopAll().then(() => Deno.exit(1)));
  const [name = "", ...words] = flags.args;
  const suite = suites[name];
  const known = `choose one of ${Object.keys(suites).join(", ")}`;
  if (!suite) throw new Failure(name ? `there is no suite ${printable(name)}: ${known}` : `which suite? ${known}`, 2);
  if (flags.at && words.length > 0) throw new Failure("--at is for a server that runs: leave out the command", 2);
  if (!flags.at && words.length === 0) {
    const example = suite.role === "server"
      ? `--at 127.0.0.1:7007, or -- python3 server.py {port}`
      : "-- python3 client.py";
    throw new Failure(`${name} checks ${suite.about}: tell which, by ${example}`, 2);
  }
  if (flags.at && suite.role === "client") throw new Failure(`${name} checks a client: give its command after --`, 2);

  const results: Result[] = [];
  const done = (result: Result) => {
    results.push(result);
    report(result);
  };
  try {
    await runSuite(suite, flags, words, done);
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
  if (passed.length < results.length) Deno.exit(1);
});

async function runSuite(
  suite: Suite,
  flags: { at: string; port: number },
  words: readonly string[],
  done: (result: Result) => void,
): Promise<void> {
  const start = (hostname: string, port: number) => {
    const argv = words.map((word) => word.replaceAll("{host}", hostname).replaceAll("{port}", `${port}`));
    return new Program(argv, { env: { HOST: hostname, PORT: `${port}` } });
  };

  if (suite.role === "client") {
    let last: Program | undefined;
    const client = { start: (port: number) => last = start("127.0.0.1", port) };
    for (const check of suite.checks) done({ check, problem: await attempt(check, client, () => last) });
    return;
  }

  const at = flags.at ? parsePlace(flags.at) : { hostname: "127.0.0.1", port: flags.port || getAvailablePort() };
  let program: Program | undefined;
  let starting: (() => boolean) | undefined;
  for (const check of suite.checks) {
    // A server that has ended, by a crash or because it serves just one client, starts anew: a check is about itself.
    // It is given a moment to end.
    if (program) await inTime(program.ended, 100);
    if (words.length > 0 && (!program || program.status)) {
      program = start(at.hostname, at.port);
      const [started, until] = [program, Date.now() + 10_000];
      starting = () => started.status === undefined && Date.now() < until;
    }
    done({ check, problem: await attempt(check, { ...at, starting }, () => program) });
  }
}

/** Runs one check; returns what was wrong, with what the program under check said last. */
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

function report({ check, problem }: Result): void {
  const mark = problem === undefined ? "✓" : "✗";
  console.log(`${mark} ${check.name} (${problem === undefined ? check.points : 0}/${check.points})`);
  if (problem === undefined) return;
  for (const line of [check.why, ...problem.split("\n")]) console.log(`    ${line}`);
}

/** The form in which Gradescope's autograder takes results. */
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

function parsePlace(at: string): { hostname: string; port: number } {
  const [, hostname = "", port] = /^(?:\[([\da-fA-F:.]+)\]|([^:]+)):(\d+)$/.exec(at)?.filter((part) => part) ?? [];
  if (Number(port) >= 1 && Number(port) <= 65535) return { hostname, port: Number(port) };
  throw new Failure(
    `--at wants HOST:PORT, as ${place({ hostname: "127.0.0.1", port: 7007 })}, not ${printable(at)}`,
    2,
  );
}
