/**
 * Which checks of a suite are run, and what each is worth.
 *
 * @module
 */
import { Failure, printable } from "../../cli.ts";
import { type Check, type Level, levels, type Suite } from "../suites/_suite.ts";

/** A teacher's own points of a check, and whether students see it. */
export type Points = ReadonlyMap<string, { readonly points: number; readonly hidden: boolean }>;

/** The checks up to a level, with names that contain one of `only` and none of `skip`, and their points. */
export function choose(
  suite: Suite,
  { level, only, skip, points }: { level: Level; only: readonly string[]; skip: readonly string[]; points: Points },
): Check<never>[] {
  const named = (check: Check<never>, words: readonly string[]) => words.some((word) => check.name.includes(word));
  return suite.checks
    .filter((check) => levels.indexOf(check.level ?? "basic") <= levels.indexOf(level))
    .filter((check) => (only.length === 0 || named(check, only)) && !named(check, skip))
    .map((check) => ({ ...check, points: points.get(check.name)?.points ?? check.points }));
}

/**
 * Parses a file of points: `{"exact bytes": 5, "half-close": {"points": 3, "hidden": true}}`.
 *
 * @throws {Failure} with code 2 if it is not JSON, or names a check that the suite does not have.
 */
export function parsePoints(text: string, suite: Suite): Points {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Failure(`--points: not JSON: ${printable(error.message)}`, 2);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new Failure('--points: needs an object: {"exact bytes": 5}', 2);
  }
  return new Map(
    Object.entries(parsed).map(([name, value]) => {
      const check = suite.checks.find((check) => check.name === name);
      if (!check) throw new Failure(`--points: the suite has no check ${printable(name)}`, 2);
      const isObject = typeof value === "object" && value !== null;
      const points: unknown = isObject ? Reflect.get(value, "points") ?? check.points : value;
      const hidden: unknown = isObject ? Reflect.get(value, "hidden") ?? false : false;
      if (typeof points !== "number" || !(points >= 0) || typeof hidden !== "boolean") {
        throw new Failure(`--points: ${printable(name)} needs a number, or {"points": 3, "hidden": true}`, 2);
      }
      return [name, { points, hidden }];
    }),
  );
}
