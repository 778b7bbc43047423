/**
 * What `tests/check_test.ts` asserts of some rows of `tests/peers/table.ts`, and `tests/campaign/check_test.ts` of all.
 *
 * @module
 */
import { assertEquals, assertMatch, equal } from "jsr:@std/assert@1";
import { suites } from "../suites/suites.ts";
import { failures, judge, patiently, suitesAtOnce } from "./judge.ts";
import { pool } from "./pool.ts";
import { has } from "./program.ts";

const python = await has("python3", "--version");
const node = await has("node", "--version");

/** Whether a row can run on this machine, and its suite begins with `SUITE` (`SUITE=tcp:`), if that is set. */
export function chosen([suite, command]: readonly [string, string, ...unknown[]]): boolean {
  if (!suite.startsWith(Deno.env.get("SUITE") ?? "")) return false;
  return command.startsWith("deno") || (command.startsWith("node") ? node : python);
}

/** Each program passes every check of its suite. `jobs` run at a time. */
export async function areRight(
  t: Deno.TestContext,
  rows: readonly (readonly [string, string])[],
  jobs = suitesAtOnce,
) {
  await patiently(15_000, async () => {
    const runs = pool(jobs, rows.map(([suite, command]) => () => judge(suite, command)));
    for (const [i, [suite, command]] of rows.entries()) {
      await t.step(`${suite} on ${command}`, async () => {
        const results = await runs[i] ?? [];
        assertEquals(results.filter(({ state }) => state !== "passed").map(({ problem }) => problem), []);
      });
    }
  });
}

type Mistake = readonly [suite: string, command: string, caught: readonly string[]];

/**
 * Runs the checks of these names, or all of them, on a program with a mistake.
 *
 * Some mistakes are races, which a wrong program wins at times: what others caught, or none, runs once more, and the test says so.
 */
export async function judgeMistake([suite, command, caught]: Mistake, only: readonly string[] = []) {
  const results = await judge(suite, command, only);
  if (equal(failures(results), caught)) return results;
  console.log(`${suite} on ${command}: caught by ${failures(results).join(", ") || "no check"}; once more`);
  return await judge(suite, command, only);
}

/** Each mistake is caught by the checks that are made for it, with a hint, while the first of its suite passes. */
export async function areCaught(t: Deno.TestContext, rows: readonly Mistake[]) {
  // A program that passes the first check has started, and does something right.
  const firstOf = (suite: string) => suites[suite]?.checks[0]?.name ?? "";
  await patiently(2000, async () => {
    const runs = pool(suitesAtOnce, rows.map((row) => () => judgeMistake(row, [firstOf(row[0]), ...row[2]])));
    for (const [i, [suite, command, caught]] of rows.entries()) {
      await t.step(`${suite} on ${command}: ${caught.join(", ")}`, async () => {
        const results = await runs[i] ?? [];
        assertEquals(failures(results), caught, results.map(({ problem }) => problem).join("\n"));
        for (const { state, problem } of results) {
          if (state === "failed") assertMatch(problem, /^expected [^]*hint: |^your program ended/); // not: it does not listen
        }
      });
    }
  });
}
