/**
 * Where the user stands. `deno task` changes to the folder of the project, and says in INIT_CWD where it was called.
 *
 * @module
 */
import { Failure, printable } from "../../cli.ts";
import { codeOf } from "../../tcp/_socket_errors.ts";

export const cwd = Deno.env.get("INIT_CWD") ?? Deno.cwd();

/** The path of a file or a folder that the user named. */
export const path = (name: string): string => /^(\/|[A-Za-z]:[\\/]|\\\\)/.test(name) ? name : `${cwd}/${name}`;

/** Writes a file that the user named. @throws {Failure} when it cannot be written */
export async function save(file: string, content: string): Promise<void> {
  try {
    await Deno.writeTextFile(file, content);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new Failure(`cannot write ${printable(file)}: ${codeOf(error) || error.name}`);
  }
}
