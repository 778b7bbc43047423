/**
 * Runs every server–client pair, one after another, and prints a table of the results: `deno task demo`.
 *
 * @module
 */
import { count, Failure, flag, onStop, printable, run } from "../cli.ts";
import { freePort } from "./support/free_port.ts";
import { portInUse } from "./support/processes.ts";
import { needsCheckout, pairOnPort, pairs } from "./support/tasks.ts";

/** The result of one pair: its exit code, its time, the last line it printed on stderr, and the port that was in use. */
interface Row {
  readonly name: string;
  readonly code: number;
  readonly seconds: number;
  readonly last: string;
  readonly taken: string;
}

/** The pair that is running. */
let child: Deno.ChildProcess | undefined;
let stopped = false;

/** Runs the task of a pair. When another program has its port, it runs once more, on a port that is free. */
async function runPair(name: string, task: string): Promise<Row> {
  console.log(`\n── ${name} ${"─".repeat(Math.max(0, 60 - name.length))}`);
  const row = await runTask(name, [name]);
  if (row.code === 0 || stopped) return row;
  const taken = row.taken || takenPort(task);
  if (taken === "") return row;
  console.log(`${taken} is in use: once more, on another port`);
  return await runTask(name, ["--eval", pairOnPort(task, freePort())]);
}

/** A port of a pair that another program has: its client may fail there before its server says so. */
function takenPort(task: string): string {
  const ports = [...task.matchAll(/127\.0\.0\.1:([1-9]\d*)/g)].map(([, digits]) => Number(digits));
  const port = ports.find((port) => portInUse(port, "both"));
  return port === undefined ? "" : `127.0.0.1:${port}`;
}

/** Runs a task and passes on what it prints. */
async function runTask(name: string, task: string[]): Promise<Row> {
  const start = performance.now();
  child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...task],
    stdin: "null",
    stdout: "inherit",
    stderr: "piped",
  }).spawn();
  let [last, taken] = ["", ""];
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    await Deno.stderr.write(new TextEncoder().encode(text));
    last = text.trimEnd().split("\n").at(-1) || last;
    taken ||= /(\S+) is in use/.exec(text)?.[1] ?? "";
  }
  const { code } = await child.status;
  child = undefined;
  return { name, code, seconds: (performance.now() - start) / 1000, last, taken };
}

const command = {
  name: "demo",
  about: "Runs the server-client pairs of deno.json, one after another. Arguments choose some of them.",
  run: "deno task demo",
  args: "[PAIR ...]",
  examples: [
    "deno task demo",
    "deno task demo tcp udp:chat",
    "deno task demo --watch dns",
  ],
  options: {
    "watch": flag("show them in the browser, one after another"),
  },
};

await run(command, async ({ args, watch }) => {
  needsCheckout();
  const rows: Row[] = [];
  onStop(() => {
    stopped = true;
    // Ctrl-C reaches the pair as well, because it is in the same process group. SIGTERM reaches this process alone.
    try {
      child?.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error; // it has just ended
    }
  });
  const isMeant = (name: string, arg: string) => name === arg || name.startsWith(`${arg}:`);
  const unknown = args.find((arg) => !pairs().some(([name]) => isMeant(name, arg)));
  if (unknown !== undefined) {
    throw new Failure(`there is no pair ${printable(unknown)}: ${pairs().map(([name]) => name).join(", ")}`, 2);
  }
  const chosen = pairs().filter(([name]) => args.length === 0 || args.some((arg) => isMeant(name, arg)));
  if (watch) return await watchPairs(chosen.map(([name]) => name));
  for (const [name, task] of chosen) {
    const row = await runPair(name, task);
    if (stopped) break;
    rows.push(row);
  }
  printTable(rows);
  if (stopped || rows.some((row) => mark(row) === "✗")) Deno.exitCode = 1;
});

/** `deno task watch` with these pairs: it needs more rights than this script has. */
async function watchPairs(names: string[]): Promise<void> {
  child = new Deno.Command(Deno.execPath(), { args: ["task", "--quiet", "watch", ...names], stdin: "null" }).spawn();
  Deno.exitCode = (await child.status).code;
}

/** Exit code 3: this machine lacks something that the pair needs. */
function mark({ code }: Row): string {
  return code === 0 ? "✓" : code === 3 ? "skipped" : "✗";
}

function printTable(rows: Row[]): void {
  console.log(`\n${"pair".padEnd(16)} ${"".padEnd(8)} seconds`);
  for (const row of rows) {
    const why = row.code === 0 ? "" : row.last || `exit code ${row.code}`;
    const time = row.seconds.toFixed(1).padStart(7);
    console.log(`${row.name.padEnd(16)} ${mark(row).padEnd(8)} ${time}  ${why}`.trimEnd());
  }
  const failed = rows.filter((row) => mark(row) === "✗").length;
  const skipped = rows.filter((row) => mark(row) === "skipped").length;
  console.log(`\n${count(rows.length - failed - skipped, "pair")} worked, ${failed} failed, ${skipped} skipped`);
}
