/**
 * Where the user stands. `deno task` changes to the folder of the project, and says in INIT_CWD where it was called.
 *
 * @module
 */

export const cwd = Deno.env.get("INIT_CWD") ?? Deno.cwd();

/** The path of a file or a folder that the user named. */
export const path = (name: string): string => /^(\/|[A-Za-z]:[\\/]|\\\\)/.test(name) ? name : `${cwd}/${name}`;
