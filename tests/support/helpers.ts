/**
 * What the tests share: they start the project's scripts with the permissions of their tasks, and run suites on them.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { freePort } from "./free_port.ts";
import { portInUse } from "./processes.ts";
import { output, Program } from "./program.ts";
import { selfSigned } from "../../tcp/_self_signed.ts";
import { Random, randomSeed } from "../suites/_random.ts";
import type { Values } from "../suites/_suite.ts";
import { suites } from "../suites/suites.ts";
import { command, root } from "./tasks.ts";

/** Starts a server on a free port, by the command that `start` returns, and waits until it listens. */
export async function listening(start: (port: number) => string[]): Promise<{ program: Program; port: number }> {
  for (let tries = 1;; tries++) {
    const port = freePort();
    const program = new Program(start(port), { cwd: root });
    try {
      await program.line(/listening on /i);
      return { program, port };
    } catch (error) {
      // The port was free, but another program has been faster: a machine has many.
      if (tries === 3 || !/ is in use: /.test(program.stderr)) throw error;
    }
  }
}

/** Starts a server of the project with the permissions of its task. */
export async function serve(script: string, ...args: string[]): Promise<{ program: Program; port: number }> {
  return await listening((port) => command(script, port, ...args));
}

/** Starts a client of the project that connects to this port. */
export function client(script: string, port: number, ...args: string[]): Program {
  return new Program(command(script, port, ...args), { cwd: root });
}

/** Runs a client to its end. */
export async function runClient(script: string, port: number, ...args: string[]): Promise<Program> {
  const program = client(script, port, ...args);
  await program.end();
  return program;
}

/**
 * Asserts an expected failure: this exit code, and this one line on stderr. Wrong usage also has the usage line, except where
 * the line itself is the whole command to type, with the right that is missing.
 */
export function failedWith(program: Program, code: number, line: RegExp): void {
  assertMatch(program.stderr, line);
  const lines = code === 2 && !/: add /.test(program.stderr) ? 2 : 1;
  assertEquals(program.stderr.trimEnd().split("\n").length, lines, program.stderr);
  assertEquals(program.status?.code, code);
  if (code !== 2) assert(!program.stderr.includes("usage: "), program.stderr);
}

/** Asserts that a tool (check, mark, watch) has refused its arguments: exit code 2, and one line that says what to give. */
export function refusedWith(program: Program, line: RegExp): void {
  assertMatch(program.stderr, line);
  assertEquals([program.status?.code, program.stderr.trimEnd().split("\n").length], [2, 1], program.stderr);
}

/** A test that needs something on the machine. If that is missing, the test is ignored, and its name says why. */
export function testWith(
  present: boolean,
  what: string,
  name: string,
  body: (t: Deno.TestContext) => Promise<void>,
): void {
  Deno.test(present ? name : `${name} (ignored: this machine has no ${what})`, { ignore: !present }, body);
}

/** In place of the word `deno` at the begin of a command: with 64 file descriptors. */
export const fewDescriptors = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", Deno.execPath()];

/** Whether a program can send Ctrl-C or SIGTERM to another. On Windows it can only end it at once. */
export const signals = Deno.build.os !== "windows";
export const noSignals = "way to send Ctrl-C to another program";

/** Whether the fixed ports of a task are free. */
export const portsFree = (...ports: number[]): boolean => !ports.some((port) => portInUse(port, "both"));

/** Runs the checks of a suite on a server that `start` starts, except those that this server is not made to pass. */
export function suiteTest(
  name: string,
  title: string,
  start: (values: Values) => Promise<{ program: Program; port: number }>,
  except: readonly string[] = [],
): void {
  const suite = suites[name];
  if (suite?.role !== "server") throw new Error(`${name} is not a suite for servers`);
  Deno.test(`${name} suite on ${title}`, async (t) => {
    const folder = await Deno.realPath(await Deno.makeTempDir());
    const prepared = await suite.prepare?.(new Random(randomSeed()), folder);
    const { program, port } = await start(prepared?.values ?? {});
    await using _ = program;
    for (const check of suite.checks) {
      if (except.includes(check.name)) continue;
      await t.step(check.name, () => check.run({ hostname: "127.0.0.1", port, content: prepared?.content }));
    }
    await Deno.remove(folder, { recursive: true });
    assertEquals(program.status, undefined, `the server has ended: ${program.tail()}`);
    if (!title.includes("--trace")) assertEquals(program.stderr, "");
  });
}

/** Waits until `condition` is true; fails with `what` after `limit` seconds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, limit = 20): Promise<void> {
  const end = Date.now() + limit * 1000;
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`not within ${limit} s: ${what}`);
    await new Promise((again) => setTimeout(again, 20));
  }
}

/** Resident memory of a process in MiB. Linux. */
export async function memory(pid: number): Promise<number> {
  const kib = /VmRSS:\s+(\d+)/.exec(await output("cat", `/proc/${pid}/status`))?.[1];
  if (kib === undefined) throw new Error(`process ${pid} is gone`);
  return Number(kib) / 1024;
}

/** How many file descriptors a process has open. Linux. */
export async function descriptors(pid: number): Promise<number> {
  return (await output("ls", `/proc/${pid}/fd`)).trim().split("\n").length;
}

/** Writes a key and a self-signed certificate for 127.0.0.1 and localhost to `folder`. */
export async function certificate(folder: string): Promise<{ cert: string; key: string }> {
  const pair = selfSigned();
  const files = { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` };
  await Deno.writeTextFile(files.cert, pair.cert);
  await Deno.writeTextFile(files.key, pair.key);
  return files;
}

/** The command of NSD for a port of 127.0.0.1 and some zone files. Its configuration and state are in `folder`. */
export async function nsdCommand(folder: string, port: number, zones: Record<string, string>): Promise<string[]> {
  const state = { pidfile: "nsd.pid", xfrdfile: "xfrd.state", zonelistfile: "zone.list", xfrdir: "." };
  const lines = [
    "server:",
    `  ip-address: 127.0.0.1@${port}`,
    ...['username: ""', 'chroot: ""', 'database: ""', "server-count: 1", "rrl-ratelimit: 0"].map((line) => `  ${line}`),
    ...Object.entries(state).map(([key, file]) => `  ${key}: "${folder}/${file}"`),
    "remote-control:",
    "  control-enable: no",
    ...Object.entries(zones).flatMap(([name, file]) => ["zone:", `  name: "${name}"`, `  zonefile: "${file}"`]),
  ];
  await Deno.writeTextFile(`${folder}/nsd.conf`, lines.join("\n") + "\n");
  return ["nsd", "-d", "-c", `${folder}/nsd.conf`];
}

/** The folder of PostgreSQL's programs on Debian; "" if it is not installed. */
export async function postgresPrograms(): Promise<string> {
  return (await output("sh", "-c", "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1")).trim();
}

/**
 * Starts a PostgreSQL server on a free port, with its data in a new folder. PostgreSQL refuses to run as root: then it runs as
 * the user that its package has created.
 */
export async function postgres(
  programs: string,
): Promise<{ url: string; stop: () => Promise<void>; remove: () => Promise<void> }> {
  const as = Deno.uid() === 0 ? ["runuser", "-u", "postgres", "--"] : [];
  const run = async (...command: string[]) => {
    const [name = "", ...args] = [...as, ...command];
    const { success, stdout, stderr } = await new Deno.Command(name, { args, cwd: "/" }).output();
    if (!success) throw new Error(`${command[0]}: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout).trim();
  };
  const folder = await run("mktemp", "-d");
  await run(`${programs}/initdb`, "-D", `${folder}/data`, "--auth=trust", "-U", "users", "--no-sync");
  const port = freePort();
  const options = ["-p", `${port}`, "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off"];
  // Shared memory as files of its folder: whatever ends it, nothing is left in the system.
  options.push("-c", "dynamic_shared_memory_type=mmap");
  const program = new Program([...as, `${programs}/postgres`, "-D", `${folder}/data`, ...options], { cwd: "/" });
  await program.line(/database system is ready to accept connections/, 60);
  const stop = async () => {
    // With a signal alone it waits for its clients, and is killed at last: then its shared memory stays.
    if (!program.status) await run(`${programs}/pg_ctl`, "stop", "-D", `${folder}/data`, "-m", "fast");
    await program.stop();
  };
  return {
    url: `postgres://users@127.0.0.1:${port}/postgres`,
    stop,
    remove: async () => {
      await stop();
      await run("rm", "-rf", folder);
    },
  };
}
