/**
 * The suites of HTTP, REST, DNS and SMTP on foreign programs: right ones pass every check, each mistake is caught by the check
 * that names it, and canned replies get under a tenth of the points. The campaign proves the same in full, under load.
 */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { limits } from "./suites/_suite.ts";
import { suites } from "./suites/suites.ts";
import { testWith } from "./support/helpers.ts";
import { peers } from "./support/mistakes.ts";
import { has } from "./support/program.ts";
import { root } from "./support/tasks.ts";
import { failures, inParallel, type Outcome, problems, runSuite } from "./support/suite_run.ts";

const python = await has("python3", "--version");
const node = await has("node", "--version");

/** Waits `patience` ms for a step; if that was too little on a busy machine, once more with ten times as much. */
async function patiently(patience: number, attempt: () => Promise<boolean>): Promise<boolean> {
  limits.patience = patience;
  if (await attempt()) return true;
  limits.patience = 10 * patience;
  return await attempt();
}

testWith(python && node, "python3 and node", "suites: right programs in three styles pass every check", async () => {
  limits.patience = 20_000;
  const right = Object.entries(peers).flatMap(([suite, { right }]) => right.map((command) => ({ suite, command })));
  const wrong: string[] = [];
  await inParallel(
    4,
    right.map(({ suite, command }) => async () => {
      const outcome = await runSuite(suite, command.split(" "));
      if (failures(outcome).length > 0) wrong.push(`${suite} on ${command}\n${problems(outcome)}`);
      assertEquals(outcome.size, suites[suite]?.checks.length, `${suite} on ${command}`);
    }),
  );
  assertEquals(wrong, []);
});

for (const [suite, { wrong, mistakes, allowed, canned }] of Object.entries(peers)) {
  const checks = suites[suite]?.checks ?? [];
  testWith(python, "python3", `${suite}: each of ${Object.keys(mistakes).length} mistakes is caught`, async () => {
    const missed: string[] = [];
    const words = (way: string) => wrong.replace("WAY", way).split(" ");
    const jobs = Object.entries(mistakes).map(([way, check]) => async () => {
      let outcome: Outcome = new Map();
      const caught = await patiently(1000, async () => {
        outcome = await runSuite(suite, words(way), check);
        return failures(outcome).join() === check;
      });
      if (!caught) missed.push(`${way}: not caught by "${check}"\n${problems(outcome)}`);
      else assertMatch(outcome.get(check) ?? "", /^expected [^]+, got [^]+\nhint: \S/, way);
    });
    await inParallel(6, jobs);
    assertEquals(missed, []);
  });

  testWith(python, "python3", `${suite}: canned replies get under a tenth of the points`, async () => {
    limits.patience = 1500;
    const most = checks.reduce((sum, { points }) => sum + points, 0);
    for (const command of canned) {
      const outcome = await runSuite(suite, command);
      const points = checks.filter(({ name }) => outcome.has(name) && outcome.get(name) === undefined)
        .reduce((sum, { points }) => sum + points, 0);
      assert(points < most / 10, `${command.join(" ")}: ${points} of ${most}`);
    }
  });

  Deno.test(`${suite}: each check needs only checks before it, and has a level`, () => {
    for (const [i, { name, needs = [], level }] of checks.entries()) {
      assert(level !== undefined, name);
      const before = checks.slice(0, i).map(({ name }) => name);
      for (const needed of needs) assert(before.includes(needed), `${name} needs ${needed}`);
    }
  });

  Deno.test(`${suite}: the table of mistakes names checks of the suite`, () => {
    for (const [way, check] of Object.entries(mistakes)) {
      assert(checks.some(({ name }) => name === check), `${way}: ${check}`);
    }
    assert(Object.keys(mistakes).length >= 10);
    for (const way of allowed) assert(!(way in mistakes), way);
  });
}

Deno.test("the lab sheets have the checks, points and levels of their suites", async () => {
  for (const suite of Object.keys(peers)) {
    const sheet = await Deno.readTextFile(`${root}${suite.split(":")[0]}/README.md`);
    const rows = sheet.split("\n").filter((line) => line.startsWith("|"))
      .map((line) => line.slice(1, -1).split("|").map((cell) => cell.trim().replaceAll("\\", "")).join(" | "));
    for (const { name, points, level, why } of suites[suite]?.checks ?? []) {
      const row = [name, points, level, why.replaceAll("\\", "")].join(" | ");
      assert(rows.includes(row), `${suite}: the sheet has no row: ${row}`);
    }
  }
});

testWith(python, "python3", "http:server: a first web server gets half of the points", async () => {
  limits.patience = 5000;
  const outcome = await runSuite("http:server", ["python3", "tests/peers/http_first.py"]);
  const checks = suites["http:server"]?.checks ?? [];
  const most = checks.reduce((sum, { points }) => sum + points, 0);
  const got = checks.filter(({ name }) => outcome.has(name) && !outcome.get(name));
  const points = got.reduce((sum, { points }) => sum + points, 0);
  assert(points >= most / 2 && points <= most * 0.7, `${points} of ${most}`);
  for (const name of ["a page", "another file", "a picture", "five megabytes"]) {
    assertEquals(outcome.get(name), undefined);
  }
});
