/**
 * Where a client puts a body: a file, or the terminal.
 *
 * @module
 */
import { count, Failure, printableLine } from "../cli.ts";
import type { BodySink } from "../tcp/_file_sink.ts";
import { concat } from "./_concat.ts";

/** Keeps a body of up to `limit` MiB in memory. */
export function memorySink(limit: number): BodySink & { content(): Uint8Array } {
  let parts: Uint8Array[] = [];
  let size = 0;
  return {
    write(data) {
      size += data.length;
      // Decompressed, a few bytes can become gigabytes.
      if (size > limit << 20) {
        throw new Failure(`the content is larger than ${limit} MiB: raise --size, or use --output`);
      }
      parts.push(data);
    },
    commit() {},
    discard: () => void (parts = []),
    content: () => concat(parts),
  };
}

/** Whether content is text, judged by its first bytes. */
export function isText(start: Uint8Array): boolean {
  // deno-lint-ignore no-control-regex -- text has no control characters but these: tab, line ends, form feed, escape
  return !/[\0-\x08\x0e-\x1a\ufffd]/.test(new TextDecoder().decode(start, { stream: true }));
}

/** Prints text with control characters escaped, as it comes; for other content prints only the size. */
export function terminalSink(): BodySink {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const encoder = new TextEncoder();
  let text: boolean | undefined;
  let hidden = 0;
  let isLineOpen = false;
  let carriageReturn = ""; // at the end of a piece: it is part of a line end if a line feed follows
  let isClosed = false;
  const print = (more: string) => {
    const piece = carriageReturn + more;
    carriageReturn = piece.endsWith("\r") ? "\r" : "";
    const whole = piece.slice(0, piece.length - carriageReturn.length).replaceAll("\r\n", "\n");
    if (whole === "") return;
    isLineOpen = !whole.endsWith("\n");
    const shown = encoder.encode(whole.split("\n").map(printableLine).join("\n"));
    try {
      for (let at = 0; at < shown.length && !isClosed;) at += Deno.stdout.writeSync(shown.subarray(at));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      isClosed = true;
      throw new Failure("the program that reads this output has ended");
    }
  };
  const finish = () => {
    if (hidden > 0) return console.log(`(${count(hidden, "byte")} that are not text: save them with --output FILE)`);
    print(decoder.decode());
    if (isLineOpen || carriageReturn) console.log();
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
