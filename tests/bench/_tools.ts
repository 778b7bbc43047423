/**
 * What the parts of the bench share: servers on their own core, rounds, and the CPU time of a server.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { freePort } from "../support/free_port.ts";
import { has, output, Program } from "../support/program.ts";
import { root } from "../support/tasks.ts";
import type { Measured } from "./_report.ts";

/** What a part of the bench needs from `bench.ts`. */
export interface Tools {
  /** How many rounds count. */
  readonly rounds: number;
  /** Seconds of load for each server in each round. */
  readonly time: number;
  /** A temporary folder. */
  readonly folder: string;
  /** Print a line of JSON for each table. */
  readonly json: boolean;
  /** The folder for the plots; "" for none. */
  readonly plots: string;
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
 * Measures the contenders in turns, so that a disturbance of the machine affects all of them. Returns the numbers of each
 * round. With `warmUp` there is one more round, the first, which does not count.
 */
export async function measureInTurns<T extends { readonly name: string }>(
  rounds: number,
  contenders: readonly T[],
  measure: (contender: T, i: number) => Promise<number[]>,
  warmUp = false,
): Promise<Measured[]> {
  const results = contenders.map(({ name }): { name: string; rounds: number[][] } => ({ name, rounds: [] }));
  for (let round = warmUp ? 0 : 1; round <= rounds; round++) {
    for (const [i, contender] of contenders.entries()) {
      const numbers = await measure(contender, i);
      if (round > 0) results[i]?.rounds.push(numbers);
    }
  }
  return results;
}

/**
 * Seconds of CPU time that a server has used until now: those of all processes of its group, all threads, and of its children
 * that have ended. The kernel counts them in ticks of 10 ms.
 */
export async function cpuSeconds({ program }: Contender): Promise<number> {
  // Deno itself may read /proc only with all permissions.
  const text = await output("sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null");
  let ticks = 0;
  for (const line of text.split("\n")) {
    // Behind the name: state, ppid, pgrp, and from the 11th: utime, stime, cutime, cstime.
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
    if (fields[2] !== `${program.pid}`) continue;
    ticks += fields.slice(11, 15).map(Number).reduce((sum, each) => sum + each, 0);
  }
  return ticks / 100;
}

/** Measures how much CPU time a server uses while `load` runs: microseconds for each of the `count` messages of the load. */
export async function cpuPerMessage(server: Contender, load: () => Promise<number>): Promise<number> {
  const before = await cpuSeconds(server);
  const count = await load();
  return (await cpuSeconds(server) - before) / count * 1e6;
}

/** Fails with code 3 unless a program is installed. */
export async function need(program: string, packageName = program): Promise<void> {
  if (await has("sh", "-c", `command -v ${program}`)) return;
  throw new Failure(`the load of this part is ${program}: install it (apt-get install ${packageName})`, 3);
}

/** Installs npm packages into a folder for a server in Node; returns whether that worked. */
export async function install(folder: string, ...names: string[]): Promise<boolean> {
  if (!await has("npm", "--version")) return false;
  const npm = new Program(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", ...names], { cwd: folder });
  return (await npm.end(300)).success;
}
