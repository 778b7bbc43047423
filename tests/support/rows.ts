/**
 * What `tests/check_test.ts` asserts of some rows of `tests/peers/table.ts`, and `tests/campaign/check_test.ts` of all.
 *
 * @module
 */
import { assertEquals, assertMatch } from "jsr:@std/assert@1";
import { suites } from "../suites/suites.ts";
import { failures, judge, patiently } from "./judge.ts";
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
export async function areRight(t: Deno.TestContext, rows: readonly (readonly [string, string])[], jobs: number) {
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

/** Each mistake is caught by the checks that are made for it, with a hint, while the first of its suite passes. */
export async function areCaught(
  t: Deno.TestContext,
  rows: readonly (readonly [string, string, readonly string[]])[],
) {
  // A program that passes the first check has started, and does something right.
  const firstOf = (suite: string) => suites[suite]?.checks[0]?.name ?? "";
  await patiently(2000, async () => {
    const runs = pool(
      6,
      rows.map(([suite, command, caught]) => () => judge(suite, command, [firstOf(suite), ...caught])),
    );
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
