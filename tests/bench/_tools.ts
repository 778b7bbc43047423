/**
 * What the parts of the bench share: servers on their own core, rounds, and tables.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { freePort } from "../support/free_port.ts";
import { has, Program } from "../support/program.ts";
import { root } from "../support/tasks.ts";

/** What a part of the bench needs from `bench.ts`. */
export interface Tools {
  /** How many rounds count. */
  readonly rounds: number;
  /** Seconds of load for each server in each round. */
  readonly time: number;
  /** A temporary folder. */
  readonly folder: string;
  /** A command that runs on this core: the servers on core 0, the load on core 1. */
  pin(core: 0 | 1, command: string[]): string[];
}

/** A running server that is measured. The first one of a table is ours. */
export interface Contender {
  readonly name: string;
  readonly port: number;
  readonly program: Program;
}

/** Makes the command of a server for a port. */
export type Start = (port: number) => string[] | Promise<string[]>;

/** A command of the project's tasks, with the Deno that runs this by its path: `taskset` does not look for it. */
export const deno = ([, ...args]: string[]): string[] => [Deno.execPath(), ...args];

/**
 * Starts a server on its core. The port is in its environment, too (PORT). Waits for a line of its output that matches `line`,
 * or, without `line`, until it accepts a connection.
 */
export async function startServer(
  tools: Tools,
  name: string,
  start: Start,
  { line, env = {} }: { line?: RegExp; env?: Record<string, string> } = {},
): Promise<Contender> {
  const port = freePort();
  const command = tools.pin(0, await start(port));
  const program = new Program(command, { cwd: root, env: { HOST: "127.0.0.1", PORT: `${port}`, ...env } });
  if (line) await program.line(line, 60);
  else await accepts(name, program, port);
  return { name, port, program };
}

async function accepts(name: string, program: Program, port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((again) => setTimeout(again, 50));
    }
  }
  throw new Failure(`${name} did not start: ${program.tail()}`);
}

/**
 * Measures the contenders in turns, so that a disturbance of the machine affects all of them. Returns the medians of the
 * numbers of each. With `warmUp` there is one more round, the first, which does not count.
 */
export async function measureInTurns<T>(
  rounds: number,
  contenders: readonly T[],
  measure: (contender: T, i: number) => Promise<number[]>,
  warmUp = false,
): Promise<number[][]> {
  const results = contenders.map((): number[][] => []);
  for (let round = warmUp ? 0 : 1; round <= rounds; round++) {
    for (const [i, contender] of contenders.entries()) {
      const numbers = await measure(contender, i);
      if (round > 0) results[i]?.push(numbers);
    }
  }
  return results.map((all) => (all[0] ?? []).map((_, column) => median(all.map((numbers) => numbers[column] ?? NaN))));
}

/** The middle one of some numbers: one disturbed round does not change it. */
export function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** Ours divided by theirs. */
export const ratio = (results: number[][], i: number): string =>
  ((results[0]?.[0] ?? NaN) / (results[i]?.[0] ?? NaN)).toFixed(2);

export function printTable(title: string, head: string[], rows: string[][]): void {
  console.log(`\n${title}`);
  for (const row of [head, ...rows]) {
    console.log(`  ${row.map((cell, i) => i === 0 ? cell.padEnd(28) : cell.padStart(17)).join("")}`);
  }
}

/** Fails with code 3 unless a program is installed. */
export async function need(program: string, packageName = program): Promise<void> {
  if (await has("sh", "-c", `command -v ${program}`)) return;
  throw new Failure(`the load of this part is ${program}: install it (apt-get install ${packageName})`, 3);
}
