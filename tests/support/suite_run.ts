/**
 * Runs the checks of a suite on a program, in this process: all of them, or one and those that it needs. Unlike `checking.ts`, it
 * has no limits and no report, so that many runs can go on at the same time.
 *
 * @module
 */
import { getAvailablePort } from "jsr:@std/net@1/get-available-port";
import { AssertionError } from "jsr:@std/assert@1";
import { Random } from "../suites/_random.ts";
import { type Check, type Client, inTime, type Server, type Values } from "../suites/_suite.ts";
import { suites } from "../suites/suites.ts";
import { Program } from "./program.ts";
import { root } from "./tasks.ts";

/** What came of each check that was run: undefined for one that has passed, else what was wrong. */
export type Outcome = ReadonlyMap<string, string | undefined>;

/** The checks of a suite, or those that the one named `only` needs, in their order, and itself. */
function chosen(checks: readonly Check<never>[], only: string | undefined): ReadonlySet<string> {
  const names = new Set<string>();
  const add = (name: string) => {
    if (names.has(name)) return;
    names.add(name);
    for (const needed of checks.find((check) => check.name === name)?.needs ?? []) add(needed);
  };
  if (only === undefined) { for (const { name } of checks) names.add(name); }
  else add(only);
  return names;
}

/**
 * Runs a suite on the program that `words` start. Checks that need one that has failed are left out. `pause`: milliseconds that a
 * server gets before each check to end by itself; it is started again if it has.
 */
export async function runSuite(
  suiteName: string,
  words: readonly string[],
  only?: string,
  pause = 0,
): Promise<Outcome> {
  const suite = suites[suiteName];
  if (!suite) throw new Error(`there is no suite ${suiteName}`);
  const folder = await Deno.makeTempDir();
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 1;
  const prepared = await suite.prepare?.(new Random(seed), folder);
  const outcome = new Map<string, string | undefined>();
  const names = chosen(suite.checks, only);
  const started: Program[] = [];
  const start = (port: number, more: Values = {}) => {
    const values: Values = { host: "127.0.0.1", port: `${port}`, ...prepared?.values, ...more };
    const command = words.map((word) => word.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole));
    const env = Object.fromEntries(Object.entries(values).map(([name, value]) => [name.toUpperCase(), value]));
    const program = new Program(command, { env, cwd: root });
    started.push(program);
    return program;
  };
  const attempt = async <T>(check: Check<T>, target: T) => {
    if (!names.has(check.name) || check.needs?.some((name) => !outcome.has(name) || outcome.get(name))) return;
    try {
      await check.run(target);
      outcome.set(check.name, undefined);
    } catch (error) {
      if (!(error instanceof Error && error instanceof AssertionError)) throw error;
      outcome.set(check.name, `${error.message}\n(seed ${seed}) ${started.at(-1)?.tail() ?? ""}`);
    }
  };
  try {
    if (suite.role === "client") {
      const client: Client = { start, content: prepared?.content };
      for (const check of suite.checks) await attempt(check, client);
    } else {
      const port = getAvailablePort();
      let program = start(port);
      let failedBefore = false;
      for (const check of suite.checks) {
        if (failedBefore || pause > 0) await inTime(program.ended, Math.max(100, pause));
        if (program.status) program = start(port);
        const current = program;
        const until = Date.now() + 20_000;
        const starting = () => current.status === undefined && Date.now() < until;
        const server: Server = { hostname: "127.0.0.1", port, starting, content: prepared?.content };
        await attempt(check, server);
        failedBefore = outcome.get(check.name) !== undefined;
      }
    }
  } finally {
    await Promise.all(started.map((program) => program.stop()));
    await Deno.remove(folder, { recursive: true });
  }
  return outcome;
}

/** The names of the checks that have failed. */
export const failures = (outcome: Outcome): string[] =>
  [...outcome].filter(([, problem]) => problem !== undefined).map(([name]) => name);

/** What was wrong in each of them. */
export const problems = (outcome: Outcome): string =>
  [...outcome].filter(([, problem]) => problem).map(([name, problem]) => `${name}: ${problem}`).join("\n");

/** Runs jobs, `many` at a time: a check spends most of its time waiting. */
export async function inParallel(many: number, jobs: (() => Promise<void>)[]): Promise<void> {
  const left = [...jobs];
  await Promise.all(Array.from({ length: many }, async () => {
    for (let job = left.shift(); job; job = left.shift()) await job();
  }));
}
