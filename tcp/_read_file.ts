/**
 * Files that the command line names, and open files.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";

/** Why the file system refused, without the call and the number that Deno appends. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return printable(String(error));
  return printable(error.message.replace(/ \(os error \d+\).*$/s, ""));
}

/**
 * The length of an open file, which is then at its start. `stat` wants the permission for the file's path without links, and
 * on macOS a path often has one: /tmp.
 */
export function lengthOf(file: Deno.FsFile): number {
  const length = file.seekSync(0, Deno.SeekMode.End);
  file.seekSync(0, Deno.SeekMode.Start);
  return length;
}

/** Reads a file that the command line names. @throws {Failure} with code 2 that says why it cannot. */
export async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    const file = printable(path);
    if (error instanceof Deno.errors.NotCapable) {
      throw new Failure(`cannot read ${file}: no permission: add -R=${file}`, 2, `-R=${file}`);
    }
    throw new Failure(`cannot read ${file}: ${reason(error)}`, 2);
  }
}

/** Reads a text file that the command line names. @throws {Failure} with code 2 that says why it cannot. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readFile(path));
}
