/**
 * The suites of HTTP, REST, DNS and SMTP, proved in full: right programs pass every check twenty times of twenty beside four busy
 * loops, and each wrong one fails the check that names its mistake and no other.
 */
import { assertEquals } from "jsr:@std/assert@1";
import { limits } from "../suites/_suite.ts";
import { suites } from "../suites/suites.ts";
import { testWith } from "../support/helpers.ts";
import { peers } from "../support/mistakes.ts";
import { has, Program } from "../support/program.ts";
import { failures, inParallel, problems, runSuite } from "../support/suite_run.ts";

const python = await has("python3", "--version");
const node = await has("node", "--version");
const RUNS = 20;

testWith(
  python && node,
  "python3 and node",
  "suites: right programs pass 20 times of 20, beside four busy loops",
  async (t) => {
    limits.patience = 30_000;
    const loops = Array.from({ length: 4 }, () => new Program(["python3", "-c", "while True: pass"]));
    try {
      for (const [suite, { right }] of Object.entries(peers)) {
        for (const command of right) {
          await t.step(`${suite} on ${command}`, async () => {
            const wrong: string[] = [];
            await inParallel(
              4,
              Array.from({ length: RUNS }, () => async () => {
                const outcome = await runSuite(suite, command.split(" "));
                if (failures(outcome).length > 0) wrong.push(problems(outcome));
                assertEquals(outcome.size, suites[suite]?.checks.length);
              }),
            );
            assertEquals(wrong, []);
          });
        }
      }
    } finally {
      await Promise.all(loops.map((loop) => loop.stop()));
    }
  },
);

for (const [suite, { wrong, mistakes, allowed }] of Object.entries(peers)) {
  testWith(python, "python3", `${suite}: each mistake fails the check that names it, and no other`, async (t) => {
    limits.patience = 3000;
    const ways = [...Object.entries(mistakes), ...allowed.map((way): [string, string] => [way, ""])];
    const results = new Map<string, string[]>();
    await inParallel(
      4,
      ways.map(([way]) => async () => {
        results.set(way, failures(await runSuite(suite, wrong.replace("WAY", way).split(" "), undefined, 200)));
      }),
    );
    for (const [way, check] of ways) {
      await t.step(`${way}: ${check || "allowed"}`, () => assertEquals(results.get(way)?.join(), check));
    }
  });
}
