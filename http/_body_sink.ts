/**
 * Where a client puts a body: a file, or the terminal.
 *
 * @module
 */
import { count, Failure, printable, printableLine } from "../cli.ts";
import { reason } from "../tcp/_read_file.ts";

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
    return new Failure(`cannot write ${name}: no permission: add ${flags}`, 1, flags);
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

/** Whether content is text, judged by its first bytes. */
export function isText(start: Uint8Array): boolean {
  // deno-lint-ignore no-control-regex -- text has no control characters but these: tab, line ends, form feed, escape
  return !/[\0-\x08\x0e-\x1a\ufffd]/.test(new TextDecoder().decode(start, { stream: true }));
}

/** Prints text line by line with control characters escaped; for other content prints only the size. */
export function terminalSink(): BodySink {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let text: boolean | undefined;
  let hidden = 0;
  let line = "";
  const print = (more: string, end = false) => {
    const lines = (line + more).split("\n");
    line = end ? "" : lines.pop() ?? "";
    if (end && lines.at(-1) === "") lines.pop();
    for (const each of lines) console.log(printableLine(each.replace(/\r$/, "")));
  };
  const finish = () => {
    if (hidden > 0) console.log(`(${count(hidden, "byte")} that are not text: save them with --output FILE)`);
    else print(decoder.decode(), true);
  };
  return {
    write(data) {
      text ??= isText(data.subarray(0, 512));
      if (text) print(decoder.decode(data, { stream: true }));
      else hidden += data.length;
    },
    commit: finish,
    discard: finish,
  };
}
