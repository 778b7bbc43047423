/**
 * Checks your own server or client, written in any language: `deno task check`.
 *
 * ```sh
 * deno task check tcp:echo --at 127.0.0.1:7007                       # a server that is running
 * deno task check tcp:echo --port 7007 -- python3 my_server.py       # a server to start and stop
 * deno task check tcp:echo-client -- python3 my_client.py {host} {port}
 * ```
 *
 * @module
 */
import {
  type Address,
  Failure,
  flag,
  formatAddress,
  integer,
  list,
  onStop,
  printable,
  run,
  seconds,
  text,
} from "../cli.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { type Check, levels, limits, type Suite } from "./suites/_suite.ts";
import { randomSeed } from "./suites/_random.ts";
import { suites } from "./suites/suites.ts";
import { cwd, path, save } from "./support/cwd.ts";
import { type Result, runSuite } from "./support/checking.ts";
import { choose, parsePoints, type Points } from "./support/choice.ts";
import { capture, diagram, events, page } from "./support/evidence.ts";
import { pack } from "./support/pack.ts";
import { stopAll } from "./support/program.ts";
import { gradescope, junit, lines, type Report, score, specification, tap } from "./support/reports.ts";

const names = Object.keys(suites).join(", ");

const command = {
  name: "check",
  about: `Checks a server or a client of your own, in any language.
suites: ${names.replace(/(.{50,70}), /g, "$1,\n  ")}
In COMMAND, {host} and {port} are replaced by the real values, which are also
in the environment (HOST, PORT); --list says which other values a suite gives.
Folders and files are relative to where you are. Exit code 0: all passed;
1: not all; 2: wrong usage; 3: COMMAND cannot be started, or its port is in use.`,
  run: "deno task check",
  args: "SUITE [-- COMMAND ...]",
  examples: [
    "deno task check tcp:echo --list",
    "deno task check tcp:echo -- python3 my_server.py {port}",
    "deno task check tcp:echo-client -- python3 my_client.py {host} {port}",
    "deno task check tcp:echo --at 127.0.0.1:7007",
  ],
  options: {
    "list": flag("print what the suite asks for, and check nothing"),
    "at": text("", "check the server that is running there", "HOST:PORT"),
    "port": integer(0, "the server's port; 0: a free one", 0, 65535, "PORT"),
    "timeout": seconds(5, "how long the program may take for one step", false),
    "limit": seconds(30, "how long the checks that fail may take together", false),
    "level": text("strict", "up to which level: basic, robust or strict", "LEVEL"),
    "only": list("only the checks with this in their names", "NAME"),
    "skip": list("not the checks with this in their names", "NAME"),
    "network": text("", "put a bad network between: 'loss=20% seed=7'", "SETTINGS"),
    "next": flag("stop at the first check that fails"),
    "watch": flag("check again when a file beside the program changes"),
    "seed": integer(0, "send the same again; 0: something else in every run", 0, 0xffffffff),
    "content": text("", "with --at: the suite writes what the server must know there", "FOLDER"),
    "points": text("", 'own points, and hidden checks: {"exact bytes": 5}', "FILE"),
    "json": text("", "also write the results there, as results.json for Gradescope", "FILE"),
    "junit": text("", "also write them there as JUnit XML", "FILE"),
    "tap": flag("print them as TAP"),
    "evidence": text("", "write each check there: its bytes, a capture, and a page to look at", "FOLDER"),
    "pack": text("", "write an autograder for Gradescope there", "FOLDER"),
  },
};

await run(command, async (flags) => {
  const [name = "", ...words] = flags.args;
  const suite = suites[name];
  if (!suite) {
    const wrong = name ? `there is no suite ${printable(name)}: choose one of` : "give the name of a suite:";
    throw new Failure(`${wrong} ${names}`, 2);
  }
  if (flags.list) return console.log(specification(name, suite));
  if (flags.pack) {
    const split = flags.args.findIndex((word) => !suites[word]);
    const [chosen, rest] = split < 0 ? [flags.args, []] : [flags.args.slice(0, split), flags.args.slice(split)];
    return console.log(await pack(path(flags.pack), chosen, rest));
  }
  if (flags.at && words.length > 0) {
    throw new Failure("--at checks a server that is already running: leave out the command, or leave out --at", 2);
  }
  if (!flags.at && words.length === 0) {
    const how = suite.role === "server"
      ? "--at 127.0.0.1:7007, or with -- python3 server.py {port}"
      : "-- python3 client.py";
    throw new Failure(`${name} checks ${suite.about}: give the program to check with ${how}`, 2);
  }
  if (flags.at && suite.role === "client") throw new Failure(`${name} checks a client: give its command after --`, 2);
  const level = levels.find((level) => level === flags.level);
  if (!level) throw new Failure(`--level needs ${levels.join(", ")}, not ${printable(flags.level)}`, 2);
  const at = flags.at ? parseAddress(flags.at) : undefined;
  const points: Points = flags.points ? parsePoints(await read(path(flags.points)), suite) : new Map();
  const checks = choose(suite, { level, only: flags.only, skip: flags.skip, points });
  if (checks.length === 0) throw new Failure(`no check of ${name} is chosen: --list lists them`, 2);

  const once = () => checkOnce(name, suite, checks, points, { ...flags, at, words });
  if (!flags.watch) return void (Deno.exitCode = await once() ? 0 : 1);
  onStop(() => stopAll().then(() => Deno.exit(0)), "SIGHUP"); // a program has a process group of its own
  while (true) {
    const changed = nextChange();
    console.log("\x1b[2J\x1b[H");
    await once();
    console.log(`waiting for a change in ${printable(cwd)} (Ctrl-C ends)`);
    await changed;
  }
});

interface Wanted {
  readonly at: Address | undefined;
  readonly words: readonly string[];
  readonly port: number;
  readonly timeout: number;
  readonly limit: number;
  readonly seed: number;
  readonly content: string;
  readonly network: string;
  readonly next: boolean;
  readonly watch: boolean;
  readonly json: string;
  readonly junit: string;
  readonly tap: boolean;
  readonly evidence: string;
}

/** Runs the checks once, prints and writes the results; returns whether all passed. */
async function checkOnce(
  name: string,
  suite: Suite,
  checks: readonly Check<never>[],
  points: Points,
  wanted: Wanted,
): Promise<boolean> {
  limits.patience = wanted.timeout * 1000;
  const seed = wanted.seed || randomSeed();
  const start = performance.now();
  const results: Result[] = [];
  const hidden = new Set([...points].filter(([, { hidden }]) => hidden).map(([name]) => name));
  const write = async (trouble = "") => {
    const open = checks.slice(results.length);
    const report: Report = {
      ...{ name, seed, results, open, hidden, trouble },
      seconds: (performance.now() - start) / 1000,
    };
    if (wanted.json) await save(path(wanted.json), gradescope(report));
    if (wanted.junit) await save(path(wanted.junit), junit(report));
    return report;
  };
  await write(); // whatever happens next, there are results
  if (wanted.evidence) await Deno.mkdir(path(wanted.evidence), { recursive: true });
  if (!wanted.watch) onStop(() => write("stopped by Ctrl-C").then(stopAll).then(() => Deno.exit(1)), "SIGHUP");
  try {
    const running = runSuite({
      ...{ suite, checks, cwd, seed, words: wanted.words, port: wanted.port, limit: wanted.limit },
      ...{ at: wanted.at, network: wanted.network },
      folder: wanted.content ? path(wanted.content) : undefined,
    });
    for await (const result of running) {
      if (!wanted.tap) { for (const line of lines(result, results.at(-1))) console.log(line); }
      results.push(result);
      if (wanted.evidence) await keep(path(wanted.evidence), results.length, name, suite, result);
      if (wanted.json || wanted.junit) await write();
      if (wanted.next && result.state === "failed") {
        console.log(
          `    ${results.length - 1} of ${checks.length} so far; next: ${
            suite.sheet ?? `deno task check ${name} --list`
          }`,
        );
        break;
      }
    }
  } catch (error) {
    if (error instanceof Failure) results.length = 0; // who knows which program has passed those before
    await write(error instanceof Failure ? error.message : "the checker itself failed");
    if (wanted.watch && error instanceof Failure) console.log(error.message);
    else throw error;
  } finally {
    await stopAll();
  }
  const report = await write(wanted.next ? "not run yet (--next)" : "");
  const { passed, all, points: got, of } = score(results);
  if (wanted.tap) console.log(tap(report).trimEnd());
  else console.log(`${name}: ${passed} of ${all} checks passed, ${got} of ${of} points (--seed ${seed})`);
  return results.length === checks.length && passed === all;
}

/** Writes the evidence of one check: all bytes with a diagram, the packets, and a page that shows both. */
async function keep(folder: string, number: number, suiteName: string, suite: Suite, result: Result): Promise<void> {
  const { check, state, problem, recording, port } = result;
  const name = `${folder}/${`${number}`.padStart(2, "0")}_${check.name.replace(/[^\w-]+/g, "_")}`;
  const head = [`${check.name}: ${state}`, check.why, problem, recording.byHand && `by hand: ${recording.byHand}`];
  const all = events(recording, suite, port);
  const parts = [head.filter((line) => line).join("\n"), diagram(all), recording.dump()];
  await save(`${name}.txt`, parts.filter((part) => part !== "").join("\n\n"));
  if (state === "not run") return;
  capture(`${name}.pcapng`, all);
  await save(`${name}.html`, page(`${suiteName}: ${check.name}`, suiteName, all));
}

async function read(file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new Failure(`cannot read ${printable(file)}: ${codeOf(error) || error.name}`, 2);
  }
}

/** Settles when a file in the user's folder has changed. */
async function nextChange(): Promise<void> {
  using watcher = Deno.watchFs(cwd);
  for await (const { kind, paths } of watcher) {
    if (kind !== "access" && !paths.every((path) => /__pycache__|\.(json|xml|pyc|swp)$|~$/.test(path))) break;
  }
  await new Promise((settled) => setTimeout(settled, 100)); // an editor writes more than once
}

function parseAddress(at: string): Address {
  const [, hostname = "", port] = /^(?:\[([\da-fA-F:.]+)\]|([^:]+)):(\d+)$/.exec(at)?.filter((part) => part) ?? [];
  if (Number(port) >= 1 && Number(port) <= 65535) return { hostname, port: Number(port) };
  const example = formatAddress({ hostname: "127.0.0.1", port: 7007 });
  throw new Failure(`--at wants HOST:PORT, such as ${example}, not ${printable(at)}`, 2);
}
