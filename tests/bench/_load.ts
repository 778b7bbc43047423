/**
 * Messages from `load.c`: echoes over TCP and UDP, and any message with an answer of constant length.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { has, Program } from "../support/program.ts";
import { root } from "../support/tasks.ts";
import { cpu, type Measured, rate, report } from "./_report.ts";
import { type Contender, measureInTurns, type Start, startServer, type Tools } from "./_tools.ts";

/** A server to start: its command, and the program that it needs. */
export interface Candidate {
  readonly name: string;
  readonly needs: string;
  readonly start: Start;
  readonly env?: Record<string, string>;
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

/** Starts the candidates whose program is installed, and waits until each says that it is listening. */
export async function startAll(tools: Tools, candidates: readonly Candidate[]): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const { name, start, env } of await installed(candidates)) {
    contenders.push(await startServer(tools, name, start, { line: /listening/, env }));
  }
  return contenders;
}

/** Compiles a C program of this folder; returns its path. */
export async function compile(name: string, { folder }: Tools): Promise<string> {
  const args = ["-O2", "-o", `${folder}/${name}`, `${root}tests/bench/${name}.c`];
  const { success, stderr } = await new Deno.Command("cc", { args }).output();
  if (!success) throw new Failure(`cc could not compile ${name}.c:\n${new TextDecoder().decode(stderr)}`);
  return `${folder}/${name}`;
}

/** How `load.c` is to send: see there. */
export interface Load {
  readonly program: string;
  readonly mode: "tcp" | "udp" | "call";
  readonly count: number;
  /** The size of a message, or the files with the message and the opening. */
  readonly message: readonly string[];
}

/** Sends messages to each server in turns. Returns, for each round: messages per second, CPU µs each, the load's CPU. */
export function measureLoad(tools: Tools, contenders: Contender[], load: Load): Promise<Measured[]> {
  return measureInTurns(tools.rounds, contenders, async ({ name, port, program: { pid } }) => {
    const args = [load.mode, port, load.count, tools.time, pid, ...load.message].map(String);
    const program = new Program(tools.pin(1, [load.program, ...args]));
    if (!(await program.end(tools.time + 90)).success) throw new Failure(`${name}: ${program.tail()}`);
    return program.stdout.split(" ").slice(0, 3).map(Number);
  });
}

/** The columns of `measureLoad`. */
export const loadColumns = [rate("messages/s"), cpu, { name: "load's core %" }];

/** Starts servers, measures them, prints a table, and stops them. */
export async function benchLoad(tools: Tools, title: string, candidates: readonly Candidate[], load: Load) {
  const contenders = await startAll(tools, candidates);
  const measured = await measureLoad(tools, contenders, load);
  for (const { program } of contenders) await program.stop();
  report(tools, title, loadColumns, measured);
  return measured;
}
