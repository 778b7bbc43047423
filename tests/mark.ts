/**
 * Runs a suite on many submissions, several at a time: `deno task mark tcp:echo submissions -- python3 server.py {port}`. Each
 * folder in FOLDER is a submission, in which the command is started. See tests/suites/README.md.
 *
 * @module
 */
import { count, Failure, integer, onStop, printable, run, seconds, text } from "../cli.ts";
import { suites } from "./suites/suites.ts";
import { path } from "./support/cwd.ts";
import { pool } from "./support/pool.ts";
import { Program, stopAll } from "./support/program.ts";
import { needsCheckout } from "./support/tasks.ts";

const command = {
  name: "mark",
  about: `Checks every folder in FOLDER with a suite, several at a time, and shows which check failed how often.
In RESULTS there is a results file for each submission (for Gradescope), and what the check printed.`,
  run: "deno task mark",
  args: "SUITE FOLDER -- COMMAND ...",
  examples: [
    "deno task mark tcp:echo submissions -- python3 server.py {port}",
  ],
  options: {
    "results": text("", "where the results go; without it, FOLDER-results", "RESULTS"),
    "jobs": integer(4, "how many submissions at a time", 1, 64),
    "time": seconds(120, "how long one submission may take in all", false),
    "timeout": seconds(5, "how long a program may take for one step", false),
    "points": text("", "own points, and hidden checks, as for deno task check", "FILE"),
  },
};

/** What the results file of one submission says; read back from the checker's own JSON. */
interface Marks {
  readonly name: string;
  readonly points: number;
  readonly of: number;
  readonly failed: readonly string[];
  readonly note: string;
}

await run(command, async (flags) => {
  needsCheckout();
  const [suite = "", folder = "", ...words] = flags.args;
  if (!suites[suite] || folder === "" || words.length === 0) {
    const example = "deno task mark tcp:echo submissions -- python3 server.py {port}";
    throw new Failure(`give a suite, a folder of submissions, and the command to start in each: ${example}`, 2);
  }
  const from = path(folder.replace(/[\\/]+$/, ""));
  const to = flags.results ? path(flags.results) : `${from}-results`;
  onStop(() => stopAll().then(() => Deno.exit(1)), "SIGHUP");
  const names: string[] = [];
  try {
    for (const entry of Deno.readDirSync(from)) if (entry.isDirectory) names.push(entry.name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory)) throw error;
    throw new Failure(`there is no folder ${printable(from)}`, 2);
  }
  if (names.length === 0) throw new Failure(`there is no folder in ${printable(from)}: each submission is one`, 2);
  await Deno.mkdir(to, { recursive: true });

  const checker = ["deno", "run", "-N", "--allow-run", "-E", "-R", "-W", `${import.meta.dirname}/check.ts`, suite];
  const options = ["--timeout", `${flags.timeout}`, ...flags.points ? ["--points", path(flags.points)] : []];
  const jobs = pool(
    flags.jobs,
    names.sort().map((name) => async (): Promise<Marks> => {
      const file = `${to}/${name}.json`;
      const program = new Program([...checker, ...options, "--json", file, "--", ...words], {
        cwd: `${import.meta.dirname}/..`,
        env: { INIT_CWD: `${from}/${name}` },
      });
      const timer = setTimeout(() => program.stop(), flags.time * 1000);
      const { code } = await program.ended.finally(() => clearTimeout(timer));
      await program.stop();
      await Deno.writeTextFile(`${to}/${name}.txt`, program.stdout + program.stderr);
      const note = program.stopped ? `stopped after ${flags.time} s` : code > 1 ? program.tail(1) : "";
      return { name, ...await marks(file), note };
    }),
  );
  const all: Marks[] = [];
  for (const job of jobs) {
    const { name, points, of, note } = (all[all.length] = await job);
    console.log(`${printable(name).padEnd(24)} ${`${points}`.padStart(4)} of ${of}${note && `  ${printable(note)}`}`);
  }
  const often = new Map<string, number>();
  for (const { failed } of all) for (const check of failed) often.set(check, (often.get(check) ?? 0) + 1);
  console.log(`\n${count(all.length, "submission")}${often.size > 0 ? "; failed most often:" : ""}`);
  for (const [check, times] of [...often].sort(([, a], [, b]) => b - a)) {
    console.log(`${`${times}`.padStart(5)}  ${check}`);
  }
  console.log(`results: ${printable(to)}`);
});

/** Points and failed checks of a results file that the checker wrote. */
async function marks(file: string): Promise<{ points: number; of: number; failed: string[] }> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof SyntaxError)) throw error;
  }
  const list: unknown = typeof parsed === "object" && parsed !== null ? Reflect.get(parsed, "tests") : [];
  const [failed, sums]: [string[], [number, number]] = [[], [0, 0]];
  for (const test of Array.isArray(list) ? list : []) {
    const [points, of] = [Number(test.score), Number(test.max_score)];
    sums[0] += points;
    sums[1] += of;
    // A check that was not run failed for the reason of another one.
    if (points < of && !(Array.isArray(test.tags) && test.tags.includes("not run"))) failed.push(String(test.name));
  }
  return { points: sums[0], of: sums[1], failed };
}
