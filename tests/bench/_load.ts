/**
 * Echo messages from `load.c`, for TCP and UDP servers.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { has, Program, stopAll } from "../support/program.ts";
import { root } from "../support/tasks.ts";
import { measureInTurns, printTable, ratio, type Start, startServer, type Tools } from "./_tools.ts";

/** A server to start: its command, and the program that it needs. */
export interface Candidate {
  readonly name: string;
  readonly needs: string;
  readonly start: Start;
}

/** A candidate that finds its port in its environment. */
export const other = (needs: string, name: string, ...argv: string[]): Candidate => ({
  name,
  needs,
  start: () => argv,
});

/** The candidates whose program is installed. */
export async function installed(candidates: readonly Candidate[]): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const candidate of candidates) {
    if (candidate.needs === "" || await has(candidate.needs, "--version")) found.push(candidate);
  }
  return found;
}

/** Compiles a C program of this folder; returns its path. */
export async function compile(name: string, { folder }: Tools): Promise<string> {
  const args = ["-O2", "-o", `${folder}/${name}`, `${root}tests/bench/${name}.c`];
  const { success, stderr } = await new Deno.Command("cc", { args }).output();
  if (!success) throw new Failure(`cc could not compile ${name}.c:\n${new TextDecoder().decode(stderr)}`);
  return `${folder}/${name}`;
}

/** Sends `count` messages of `size` bytes at a time to each server, and prints a table. */
export async function measureEcho(
  title: string,
  candidates: readonly Candidate[],
  load: string[],
  { count, size }: { count: number; size: number },
  tools: Tools,
): Promise<void> {
  const contenders = [];
  for (const { name, start } of await installed(candidates)) {
    contenders.push(await startServer(tools, name, start, { line: /listening/ }));
  }
  const results = await measureInTurns(tools.rounds, contenders, async ({ name, port }) => {
    const program = new Program(tools.pin(1, [...load, `${port}`, `${count}`, `${size}`, `${tools.time}`]));
    if (!(await program.end(tools.time + 30)).success) throw new Failure(`${name}: ${program.tail()}`);
    return program.stdout.split(" ").map(Number);
  });
  await stopAll();
  printTable(
    title,
    ["", "messages/s", "ours / it", "load's core"],
    contenders.map(({ name }, i) => {
      const [rate = 0, cpu = 0] = results[i] ?? [];
      return [name, `${cpu > 95 ? "≥" : ""}${Math.round(rate)}`, ratio(results, i), `${Math.round(cpu)} %`];
    }),
  );
}
