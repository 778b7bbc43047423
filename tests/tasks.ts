/**
 * The tasks of `deno.json`, which are also what the tests start: so a permission or a flag that is missing there fails here.
 *
 * @module
 */
const folders = /^(tcp|udp|http|ping|dns|smtp|rest)(:|$)/;

/** The repository's folder. */
export const root = new URL("..", import.meta.url).pathname;

/** The name and command of each task that runs a server–client pair. */
export function pairs(): [name: string, command: string][] {
  const text = Deno.readTextFileSync(new URL("../deno.json", import.meta.url));
  const config: unknown = JSON.parse(text.replace(/^\s*\/\/.*$/gm, ""));
  const tasks = config !== null && typeof config === "object" && "tasks" in config ? config.tasks : undefined;
  if (tasks === null || typeof tasks !== "object") throw new TypeError("deno.json has no tasks");
  return Object.entries(tasks).filter(([name]) => folders.test(name)).map(([name, task]) => [name, String(task)]);
}

/**
 * The command of a script as its task has it, but on another port and without the flags that make it a part of a pair:
 * `command("tcp/echo_server.ts", 4000)` is `deno run -N=127.0.0.1:4000 tcp/echo_server.ts --port 4000`.
 */
export function command(script: string, port: number, ...args: string[]): string[] {
  for (const [, task] of pairs()) {
    for (const part of task.split(/ & | && /)) {
      const words = part.trim().split(/\s+/);
      const at = words.indexOf(script);
      if (at < 0) continue;
      const flags = words.slice(0, at).map((word) => word.replace(/(127\.0\.0\.1):[1-9]\d*/g, `$1:${port}`));
      return [...flags, script, "--port", `${port}`, ...args];
    }
  }
  throw new Error(`no task runs ${script}`);
}
