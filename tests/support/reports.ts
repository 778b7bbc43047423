/**
 * The results of a run: for a terminal, for Gradescope, as JUnit XML and as TAP.
 *
 * @module
 */
import { count } from "../../cli.ts";
import { inTerminal } from "../suites/_record.ts";
import type { Suite } from "../suites/_suite.ts";
import { levels } from "../suites/_suite.ts";
import type { Result } from "./checking.ts";

/** What is known of a run, at any time. */
export interface Report {
  readonly name: string;
  readonly seed: number;
  readonly results: readonly Result[];
  /** The checks that have not been run yet. */
  readonly open: readonly { name: string; points: number }[];
  /** The names of the checks that a student does not see. */
  readonly hidden: ReadonlySet<string>;
  readonly seconds: number;
  /** Why the run ended early; "" if it did not. */
  readonly trouble: string;
}

/** Points of the checks that passed, and of all that count. */
export function score(results: readonly Result[]): { passed: number; all: number; points: number; of: number } {
  const counted = results.filter(({ counts }) => counts);
  const passed = counted.filter(({ state }) => state === "passed");
  const sum = (list: readonly Result[]) => list.reduce((points, { check }) => points + check.points, 0);
  return { passed: passed.length, all: counted.length, points: sum(passed), of: sum(counted) };
}

/**
 * One check for a terminal: a line, and for one that failed what happened, what was expected, and how to do it by hand. Why
 * it was not run is said once for all that follow each other.
 */
export function lines({ check, state, problem, recording }: Result, before?: Result): string[] {
  const mark = { passed: "✓", failed: "✗", "not run": "–" }[state];
  const head = `${mark} ${check.name} (${state === "passed" ? check.points : 0}/${check.points})`;
  if (state === "passed") return [head];
  if (state === "not run") return problem === before?.problem ? [head] : [head, `    ${problem}`];
  return [head, ...[check.why, ...evidence(problem, recording)].map((line) => `    ${line}`)];
}

/** What was wrong, the steps before it, and a command to do the same by hand. */
function evidence(problem: string, recording: Result["recording"]): string[] {
  const steps = recording.summary();
  return [
    ...problem.split("\n"),
    ...steps.length > 0 ? ["what happened:", ...steps.map((step) => `  ${step}`)] : [],
    ...recording.byHand ? [`by hand: ${recording.byHand}`] : [],
  ];
}

/** In the form that Gradescope's autograder reads. What has not been run yet has no points. */
export function gradescope({ name, results, open, hidden, seconds, seed, trouble }: Report): string {
  const row = (check: Report["open"][number], i: number, passed: boolean, output: string, tags: string[]) => ({
    name: check.name,
    number: `${i + 1}`,
    score: passed ? check.points : 0,
    max_score: check.points,
    status: passed ? "passed" : "failed",
    output,
    output_format: "text",
    tags,
    visibility: hidden.has(check.name) ? "hidden" : "visible",
  });
  const done = results.filter(({ counts }) => counts).map(({ check, state, problem, recording }, i) => {
    const output = state === "failed" ? [check.why, ...evidence(problem, recording)].join("\n") : problem || check.why;
    return row(check, i, state === "passed", output, [
      check.level ?? "basic",
      ...state === "not run" ? ["not run"] : [],
    ]);
  });
  const missing = open.map((check, i) => row(check, done.length + i, false, trouble || "did not finish", ["not run"]));
  const result = {
    output: trouble || `${name}, --seed ${seed}`,
    output_format: "text",
    visibility: "visible",
    stdout_visibility: "hidden",
    execution_time: Math.round(seconds * 1000) / 1000,
    tests: [...done, ...missing],
  };
  return JSON.stringify(result, null, 2) + "\n";
}

// What XML 1.0 §2.2 does not allow in a document, not even escaped; line ends and tabs are.
const notXml = /(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu;
const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;" };
const xml = (text: string) => text.replace(notXml, "\ufffd").replace(/[&<>"\n]/g, (char) => entities[char] ?? char);

/** As JUnit XML, which most CI systems read. */
export function junit({ name, results, open, seconds, trouble }: Report): string {
  const cases = results.map(({ check, state, problem, recording, ...result }) => {
    const start = `  <testcase classname="${xml(name)}" name="${xml(check.name)}" time="${result.seconds.toFixed(3)}"`;
    if (state === "passed") return `${start}/>`;
    if (state === "not run") return `${start}><skipped message="${xml(problem)}"/></testcase>`;
    const [first = ""] = problem.split("\n");
    const body = xml([check.why, ...evidence(problem, recording)].join("\n"));
    return `${start}><failure message="${xml(first)}">${body}</failure></testcase>`;
  });
  const missing = open.map((check) =>
    `  <testcase classname="${xml(name)}" name="${xml(check.name)}"><error message="${
      xml(trouble || "did not finish")
    }"/></testcase>`
  );
  const number = (state: Result["state"]) => results.filter((result) => result.state === state).length;
  const counts = `tests="${results.length + open.length}" failures="${
    number("failed")
  }" errors="${open.length}" skipped="${number("not run")}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuite name="${xml(name)}" ${counts} time="${seconds.toFixed(3)}">`,
    ...cases,
    ...missing,
    "</testsuite>",
    "",
  ].join("\n");
}

/** As TAP version 14, a line a check; what was wrong follows as comments. */
export function tap({ results }: Report): string {
  const rows = results.flatMap(({ check, state, problem, recording }, i) => {
    const title = `${i + 1} - ${check.name.replace(/[#\\]/g, "\\$&")}`;
    if (state === "passed") return [`ok ${title}`];
    if (state === "not run") return [`not ok ${title} # SKIP ${problem.replaceAll("\n", " ")}`];
    return [`not ok ${title}`, ...evidence(problem, recording).map((line) => `# ${line}`)];
  });
  return ["TAP version 14", `1..${results.length}`, ...rows, ""].join("\n");
}

/** The specification of a suite: what is asked of a program, and nothing else is. */
export function specification(name: string, suite: Suite): string {
  const { about, role, given, prints, exits, limits, sheet, checks } = suite;
  const where = role === "server"
    ? "{host} and {port} in its command, HOST and PORT in its environment: where it listens"
    : "{host} and {port} in its command, HOST and PORT in its environment: where its server listens";
  const rows = [["arguments", given ?? where], ["prints", prints], ["exit code", exits], ["limits", limits]]
    .concat(sheet ? [["lab sheet", sheet]] : []);
  const parts = levels.flatMap((level) => {
    const own = checks.filter((check) => (check.level ?? "basic") === level);
    if (own.length === 0) return [];
    const points = own.reduce((sum, check) => sum + check.points, 0);
    return ["", `${level}: ${count(own.length, "check")}, ${count(points, "point")}`].concat(own.flatMap((check) => [
      `  ${check.name} (${check.points})`,
      `      ${check.why}`,
      ...check.needs?.length ? [`      needs: ${check.needs.join(", ")}`] : [],
      ...check.byHand ? [`      by hand: ${inTerminal(check.byHand)}`] : [],
    ]));
  });
  return [`${name}: ${about}`, ...rows.flatMap(([key, value]) => value ? [`  ${key}: ${value}`] : []), ...parts].join(
    "\n",
  );
}
