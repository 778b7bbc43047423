/**
 * Runs suites on the programs of tests/peers, in this process, several at a time: a check spends most of its time waiting.
 *
 * @module
 */
import { delimiter, dirname } from "node:path";
import { type Check, limits } from "../suites/_suite.ts";
import { randomSeed } from "../suites/_random.ts";
import { suites } from "../suites/suites.ts";
import { type Result, runSuite } from "./checking.ts";
import { output, programsAtOnce } from "./program.ts";
import { root } from "./tasks.ts";

// Where versions of Python are managed, `python3` is a script that looks for the interpreter. It takes several times as long as
// a program of tests/peers, and hundreds of those are started: find the interpreter once.
const python = (await output("python3", "-c", "import sys; print(sys.executable)")).trim();
if (python) Deno.env.set("PATH", [dirname(python), Deno.env.get("PATH") ?? ""].join(delimiter));

/** How many suites run at a time, each with one program; some threads are left for what else the runtime reads. */
export const suitesAtOnce = Math.min(6, Math.max(1, programsAtOnce - 2));

/** The project's own programs are started in its folder, the others beside their files. */
const peers = `${root}tests/peers`;

/** Runs a suite, or the checks of these names alone, on a program. */
export async function judge(
  name: string,
  command: string | readonly string[],
  only: readonly string[] = [],
): Promise<Result[]> {
  const suite = suites[name];
  if (!suite) throw new Error(`there is no suite ${name}`);
  const checks: readonly Check<never>[] = suite.checks;
  const results: Result[] = [];
  const words = typeof command === "string" ? command.split(" ") : command;
  const run = {
    suite,
    checks: only.length > 0 ? checks.filter((check) => only.includes(check.name)) : checks,
    words,
    port: 0,
    seed: randomSeed(),
    cwd: words[0] === "deno" ? root : peers,
    limit: 60,
  };
  for await (const result of runSuite(run)) results.push(result);
  return results;
}

/** The names of the checks that failed. */
export const failures = (results: readonly Result[]): string[] =>
  results.filter(({ state }) => state === "failed").map(({ check }) => check.name);

/** Sets how long a program may take for one step, for what `body` does. */
export async function patiently<T>(milliseconds: number, body: () => Promise<T>): Promise<T> {
  const before = { ...limits };
  limits.patience = milliseconds;
  limits.leastStart = 40_000; // every program here does start, also on a machine with much else to do
  try {
    return await body();
  } finally {
    limits.patience = before.usual;
    limits.leastStart = before.leastStart;
  }
}
