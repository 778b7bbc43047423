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
  return decodeText(await readFile(path));
}

/** The text of a file: UTF-8, or UTF-16 with a mark at its beginning, which is what `>` writes in Windows PowerShell 5. */
export function decodeText(bytes: Uint8Array): string {
  const [first = 0, second = 0] = bytes;
  const mark = 256 * first + second;
  return new TextDecoder(mark === 0xfffe ? "utf-16le" : mark === 0xfeff ? "utf-16be" : "utf-8").decode(bytes);
}
