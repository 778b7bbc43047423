/**
 * A file that is written while it arrives, and gets its name when all of it is there.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";
import { reason } from "./_read_file.ts";

/** Takes a body piece by piece. At the end call `commit`, or `discard` when the body is not complete. */
export interface BodySink {
  write(data: Uint8Array): void;
  commit(): void;
  discard(): void;
}

/**
 * Writes to `FILE.part`, and renames it to `FILE` when the body is complete.
 *
 * @throws {Failure} when the file cannot be written.
 */
export async function fileSink(path: string): Promise<BodySink> {
  const failure = (error: unknown) => {
    const name = printable(path);
    if (!(error instanceof Deno.errors.NotCapable)) return new Failure(`cannot write ${name}: ${reason(error)}`);
    const flags = `-R=${name}.part -W=${name},${name}.part`; // to rename a file is to read it, too
    return new Failure(`cannot write ${name}: no permission: add ${flags}`, 2, flags);
  };
  const part = `${path}.part`;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(part, { write: true, create: true, truncate: true });
  } catch (error) {
    throw failure(error);
  }
  return {
    write(data) {
      try {
        for (let at = 0; at < data.length;) at += file.writeSync(data.subarray(at));
      } catch (error) {
        throw failure(error);
      }
    },
    commit() {
      file.close();
      try {
        Deno.renameSync(part, path);
      } catch (error) {
        Deno.removeSync(part);
        throw failure(error);
      }
    },
    discard() {
      file.close();
      Deno.removeSync(part);
    },
  };
}
