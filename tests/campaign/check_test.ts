/**
 * The checks themselves, for a few minutes: each mistake with its whole suite, so that no other check fails; right programs
 * again and again (`TIMES=20`), also while the machine is busy.
 */
import { assertEquals } from "jsr:@std/assert@1";
import { right, wrong } from "../peers/table.ts";
import { failures, judge, patiently, pool } from "../support/judge.ts";
import { has, Program } from "../support/program.ts";

const python = await has("python3", "--version");
const node = await has("node", "--version");
const runs = (command: string) => command.startsWith("deno") || (command.startsWith("node") ? node : python);
const times = Number(Deno.env.get("TIMES") ?? 2);
/** `SUITE=tcp:` runs what begins with it. */
const chosen = ([suite, command]: readonly [string, string, ...unknown[]]) =>
  suite.startsWith(Deno.env.get("SUITE") ?? "") && runs(command);

Deno.test("check: a mistake is caught by its check, and by no other", async (t) => {
  const rows = wrong.filter(chosen);
  await patiently(2000, async () => {
    const jobs = pool(3, rows.map(([suite, command]) => () => judge(suite, command)));
    for (const [i, [suite, command, caught]] of rows.entries()) {
      await t.step(`${suite} on ${command}`, async () => assertEquals(failures(await jobs[i] ?? []), caught));
    }
  });
});

for (const busy of [0, 4]) {
  Deno.test(`check: right programs pass ${times} times of ${times}, with ${busy} busy loops`, async (t) => {
    const loops = Array.from({ length: busy }, () => new Program(["deno", "eval", "while (true);"]));
    try {
      await patiently(15_000, async () => {
        for (const [suite, command] of right.filter(chosen)) {
          await t.step(`${suite} on ${command}`, async () => {
            const problems: string[] = [];
            for (let i = 0; i < times; i++) {
              const results = await judge(suite, command);
              problems.push(...results.filter(({ state }) => state !== "passed").map(({ problem }) => problem));
            }
            assertEquals(problems, []);
          });
        }
      });
    } finally {
      await Promise.all(loops.map((loop) => loop.stop()));
    }
  });
}
