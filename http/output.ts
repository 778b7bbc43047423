/**
 * Where a client puts a body: a file, or the terminal.
 *
 * @module
 */
import { count, Failure, printable, printableLine, reason } from "../cli.ts";

/** Takes a body piece by piece. Either `finish` or `abandon` is called at the end. */
export interface Output {
  write(data: Uint8Array): void;
  finish(): void;
  abandon(): void;
}

/**
 * A file, which is there under its name only when all of the body has come: until then it is `FILE.part`.
 *
 * @throws {Failure} when it cannot be written.
 */
export async function toFile(path: string): Promise<Output> {
  const failed = (error: unknown) => new Failure(`cannot write ${printable(path)}: ${reason(error)}`);
  const part = `${path}.part`;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(part, { write: true, create: true, truncate: true });
  } catch (error) {
    throw failed(error);
  }
  return {
    write(data) {
      try {
        for (let at = 0; at < data.length;) at += file.writeSync(data.subarray(at));
      } catch (error) {
        throw failed(error);
      }
    },
    finish() {
      file.close();
      try {
        Deno.renameSync(part, path);
      } catch (error) {
        Deno.removeSync(part);
        throw failed(error);
      }
    },
    abandon() {
      file.close();
      Deno.removeSync(part);
    },
  };
}

/** Whether a content is text, by its first bytes. */
export function isText(start: Uint8Array): boolean {
  // deno-lint-ignore no-control-regex -- text has none of them
  return !/[\0-\x08\x0e-\x1a\ufffd]/.test(new TextDecoder().decode(start, { stream: true }));
}

/** The terminal: text line by line, with controls escaped; of anything else only how much it was. */
export function toTerminal(): Output {
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
    if (hidden > 0) console.log(`(${count(hidden, "byte")} that are not text: --output FILE keeps them)`);
    else print(decoder.decode(), true);
  };
  return {
    write(data) {
      text ??= isText(data.subarray(0, 512));
      if (text) print(decoder.decode(data, { stream: true }));
      else hidden += data.length;
    },
    finish,
    abandon: finish,
  };
}
