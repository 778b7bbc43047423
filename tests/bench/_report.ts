/**
 * Tables of the bench: medians, ratios and their spread.
 *
 * @module
 */

/** What was measured of one server: the numbers of each round, one for each column of the table. */
export interface Measured {
  readonly name: string;
  readonly rounds: readonly (readonly number[])[];
}

/** A column of numbers. */
export interface Column {
  readonly name: string;
  /** Digits behind the point; 0 by default. */
  readonly digits?: number;
  /** Whether a ratio stands beside it, and which way: above 1 is better for ours. */
  readonly ratio?: "ours / it" | "it / ours";
}

/** Messages a second, which grow with what else the machine does. */
export const rate = (name: string): Column => ({ name, ratio: "ours / it" });
/** The CPU time of the server for one message, which depends much less on it. */
export const cpu: Column = { name: "CPU µs each", digits: 1, ratio: "it / ours" };

/** The middle one of some numbers: one disturbed round does not change it. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] ?? NaN : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** The median of one column. */
export const medianOf = ({ rounds }: Measured, column: number): number =>
  median(rounds.map((numbers) => numbers[column] ?? NaN));

/**
 * Ours to another's, round by round: both were measured within seconds, so what disturbs the machine for longer disturbs
 * both. Returns the median of the ratios, the lowest and the highest one.
 */
export function ratioOf(ours: Measured, it: Measured, column: number, way: Column["ratio"] = "ours / it") {
  const ratios = ours.rounds.map((numbers, round) => {
    const [a, b] = [numbers[column] ?? NaN, it.rounds[round]?.[column] ?? NaN];
    return way === "ours / it" ? a / b : b / a;
  });
  return { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}

/** Prints what was measured: as a table, or as one line of JSON. The first server is ours. */
export function report(
  { json }: { json: boolean },
  title: string,
  columns: readonly Column[],
  measured: readonly Measured[],
): void {
  const [ours] = measured;
  if (!ours) return;
  if (json) {
    const servers = measured.map((it) => ({ ...it, ratios: ratiosOf(ours, it, columns) }));
    return console.log(JSON.stringify({ title, columns, servers }));
  }
  const head = ["", ...columns.flatMap(({ name, ratio }) => ratio ? [name, ratio] : [name])];
  const rows = measured.map((it) => [
    it.name,
    ...columns.flatMap(({ digits = 0, ratio }, i) => {
      const number = medianOf(it, i).toFixed(digits);
      return ratio ? [number, it === ours ? "1" : formatRatio(ratioOf(ours, it, i, ratio))] : [number];
    }),
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]?.length ?? 0)));
  console.log(`\n${title}`);
  for (const row of [head, ...rows]) {
    console.log(
      `  ${row.map((cell, i) => i === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart((widths[i] ?? 0) + 3)).join("")}`,
    );
  }
}

const ratiosOf = (ours: Measured, it: Measured, columns: readonly Column[]) =>
  Object.fromEntries(columns.flatMap(({ name, ratio }, i) => ratio ? [[name, ratioOf(ours, it, i, ratio)]] : []));

/** `0.95 (0.90–1.02)`: the median, and from which round to which. */
const formatRatio = ({ median, least, most }: ReturnType<typeof ratioOf>) =>
  `${median.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`;
