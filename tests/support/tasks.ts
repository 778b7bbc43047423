/**
 * The tasks of `deno.json`. The tests start the scripts by them, so a permission or an option that is missing there fails here.
 *
 * @module
 */
import { join } from "node:path";
import { Failure } from "../../cli.ts";
import { freePort } from "./free_port.ts";

/** A task's name and its command. */
export type Task = [name: string, command: string];

/** The repository's folder, with a separator at its end. */
export const root = join(import.meta.dirname ?? "", "../../");

/** For a script that starts others, or reads files beside them. @throws {Failure} code 2, when it is started by URL */
export function needsCheckout(): void {
  if (import.meta.dirname === undefined) {
    throw new Failure("this wants a clone of the project: it does not run by URL", 2);
  }
}

/** The tasks that run both sides of an exchange, such as `tcp:echo`. */
export const pairs = (): Task[] => tasks().filter(([name]) => name.includes(":"));

/** The tasks that run one script and take further arguments, such as `echo-server`. */
export const scriptTasks = (): Task[] =>
  tasks().filter(([name, command]) => !name.includes(":") && /^deno run (.* )?(?!tests\/)\w+\/\w+\.ts$/.test(command));

function tasks(): Task[] {
  if (import.meta.dirname === undefined) return []; // help comes without a clone
  const config = parseJsonc(Deno.readTextFileSync(join(root, "deno.json")));
  const found = config !== null && typeof config === "object" && "tasks" in config ? config.tasks : undefined;
  if (found === null || typeof found !== "object") throw new TypeError("deno.json has no tasks");
  return Object.entries(found).map(([name, task]: [string, unknown]) => {
    const command = task !== null && typeof task === "object" && "command" in task ? task.command : undefined;
    if (typeof command !== "string") throw new TypeError(`the task ${name} has no command`);
    return [name, command];
  });
}

/** Replaces the port of a task's address. Port 0 stays: it is a client's own. */
const addressOnPort = (text: string, port: number) => text.replace(/127\.0\.0\.1:[1-9]\d*/g, `127.0.0.1:${port}`);

/** Finds the new port for one that stands in a task; `undefined` is that of a script which names none. */
export type Ports = (old: number | undefined) => number;

/** The port that a command of a pair names first: a server listens there, a client connects to it. */
export function ownPort(command: string): number | undefined {
  const [, digits] = /127\.0\.0\.1:([1-9]\d*)/.exec(command) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** New ports for a pair: `port` for its first server, and free ones for others, such as a proxy. */
export function newPorts(task: string, port: number): Ports {
  const all = new Set([...task.matchAll(/127\.0\.0\.1:([1-9]\d*)/g)].map(([, digits]) => Number(digits)));
  const others = new Map([...all].slice(1).map((old) => [old, freePort()]));
  return (old) => others.get(old ?? 0) ?? port;
}

/** A command of a pair, on other ports. Clients of DNS are told their server, all others a port. */
export function onPorts(command: string, ports: Ports): string {
  const there = command.replace(/(127\.0\.0\.1:)([1-9]\d*)/g, (_, host, old) => `${host}${ports(Number(old))}`);
  const port = ports(ownPort(command));
  const own = /dns\/(lookup|query)\.ts/.test(there) ? ` --server 127.0.0.1:${port}` : ` --port ${port}`;
  return there.includes(" --server ") ? there : there.replace(/ \S+\.ts(?= |$)/, (script) => script + own);
}

/** The commands of a pair: its servers, and its clients, which run one after another. A single program, such as ping, is a client. */
export function partsOf(task: string): { servers: string[]; clients: string[] } {
  const parts = task.split(" & ");
  return { servers: parts.slice(0, -1), clients: (parts.at(-1) ?? "").split(" && ") };
}

/** A pair, on other ports. A single program, such as ping, has none. */
export function pairOnPort(task: string, port: number): string {
  if (!task.includes(" & ")) return task;
  const ports = newPorts(task, port);
  return task.split(/( & | && )/).map((part) => part.includes(".ts") ? onPorts(part, ports) : part).join("");
}

/** Parses JSON with comments and trailing commas. The first alternative of each pattern keeps strings, which may contain either. */
export function parseJsonc(text: string): unknown {
  const withoutComments = text.replace(/("(?:\\.|[^"\\])*")|\/\/.*|\/\*[^]*?\*\//g, "$1");
  return JSON.parse(withoutComments.replace(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, "$1"));
}

/**
 * The command of a script as its pair's task has it, but on another port and without the options that make it part of the
 * pair: `command("tcp/echo_server.ts", 4000)` is `deno run -N=127.0.0.1:4000 tcp/echo_server.ts --port 4000`. A script that
 * is in no pair has the command of its own task.
 */
export function command(script: string, port: number, ...args: string[]): string[] {
  for (const [, task] of [...pairs(), ...scriptTasks()]) {
    for (const part of task.split(/ & | && /)) {
      const words = part.trim().split(/\s+/);
      const at = words.indexOf(script);
      if (at < 0) continue;
      const flags = words.slice(0, at).map((word) => addressOnPort(word, port));
      return [...flags, script, "--port", `${port}`, ...args];
    }
  }
  throw new Error(`no task runs ${script}`);
}
