/**
 * The command to type after a failure, with all it needs. Only `cli.ts` uses it, and the help.
 *
 * @module
 */
import { type Address, type Command, type Failure, printable } from "../cli.ts";
import { ANOTHER_PORT } from "./_socket_errors.ts";

/** The command that avoids a failure: with the permission that is missing, or with another port. "" for all other failures. */
export function wholeCommand(command: Command<unknown>, { permission, message }: Failure, addr?: Address): string {
  const isUrl = /^https?:/.test(Deno.mainModule);
  if (permission) {
    const words = addPermissions(command.run, permission);
    return shellCommand([...isUrl ? [...words.slice(0, -1), Deno.mainModule] : words, ...Deno.args]);
  }
  const task = /^deno task \S+/.exec(command.examples?.[0] ?? "")?.[0];
  if (!addr || !task || isUrl || !message.endsWith(ANOTHER_PORT)) return "";
  const others = Deno.args.filter((word, i) => !/^--port(=|$)/.test(word) && Deno.args[i - 1] !== "--port");
  const port = addr.port > 55_000 ? addr.port - 10_000 : addr.port + 10_000;
  return shellCommand([...task.split(" "), ...others, "--port", `${port}`]);
}

/**
 * The words of a command with more permissions: `-N=a` and `-N=b` become `-N=a,b`. A wider one stands for those that it holds:
 * `-N=a` for `-N=a:80`, `-R=a` for `-R=a/b`, `-N` for all.
 */
export function addPermissions(command: string, permissions: string): string[] {
  const words = command.split(" ");
  let end = 2; // behind "deno run"
  for (const permission of permissions.split(/ (?=-)/)) {
    const [name, values] = permission.split("=");
    const at = words.findIndex((word) => word.split("=")[0] === name);
    const granted = words[at]?.split("=")[1];
    if (at < 0) words.splice(end++, 0, permission);
    else if (values === undefined) words[at] = permission;
    else if (granted !== undefined) {
      const all = [...new Set(`${granted},${values}`.split(","))];
      const isHeld = (value: string) =>
        all.some((wide) => value.startsWith(wide) && /[:/]/.test(value[wide.length] ?? ""));
      words[at] = `${name}=${all.filter((value) => !isHeld(value)).join(",")}`;
    }
  }
  return words;
}

/** A command for the shell of this system: words with other than plain characters are quoted. */
export function shellCommand(words: readonly string[], os: string = Deno.build.os): string {
  return words.map((word) => {
    // PowerShell takes a comma for a list, and splits a word with a dash in front at its first dot.
    if (os === "windows") return /^(?!-.*\.)[\w+=:./\\-]+$/.test(word) ? word : `"${printable(word)}"`;
    return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${printable(word).replaceAll("'", "'\\''")}'`;
  }).join(" ");
}
