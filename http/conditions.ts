/**
 * Conditional requests and ranges (RFC 9110 §13, §14): what a client that has a part of a file, or an old copy of it, asks.
 * Pure functions.
 *
 * @module
 */
import { ifMatch, ifNoneMatch } from "jsr:@std/http@1/etag";
import type { Fields } from "./message.ts";

/** What tells one state of a file from another (RFC 9110 §8.8). */
export interface Validators {
  /** An entity tag, in quotes. */
  readonly etag: string;
  /** When it was last modified, in milliseconds; HTTP's dates have whole seconds. */
  readonly modified: number;
}

/** A part of a file, `end` included, as in `bytes=0-99`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** An HTTP date (RFC 9110 §5.6.7), in milliseconds; `undefined` when it is none. */
export function parseDate(value: string | undefined): number | undefined {
  if (value === undefined || !/^[A-Z][a-z]+,? .*\d\d:\d\d:\d\d/.test(value)) return undefined;
  const time = Date.parse(value.endsWith("GMT") ? value : `${value} GMT`); // the form of C's asctime names no zone
  return Number.isNaN(time) ? undefined : time;
}

const seconds = (time: number) => Math.floor(time / 1000);

/**
 * What the preconditions of a GET or HEAD come to (RFC 9110 §13.2.2): 412 when one fails, 304 when the client's copy is
 * still good, 200 when it gets the file.
 */
export function precondition(fields: Fields, { etag, modified }: Validators): 200 | 304 | 412 {
  const match = fields.get("if-match");
  const unmodified = parseDate(fields.get("if-unmodified-since"));
  if (
    match !== undefined ? !ifMatch(match, etag) : unmodified !== undefined && seconds(modified) > seconds(unmodified)
  ) {
    return 412;
  }
  const none = fields.get("if-none-match");
  if (none !== undefined) return ifNoneMatch(none, etag) ? 200 : 304;
  const since = parseDate(fields.get("if-modified-since"));
  return since !== undefined && seconds(modified) <= seconds(since) ? 304 : 200;
}

/**
 * The ranges that a GET asks for of a file of `size` bytes: in their order, at most sixteen. `undefined` when it gets the
 * whole file: it asked for no range, for one in another unit, in a malformed way, for so many that the answer would be
 * longer than the file, or If-Range says that it has a part of another state of the file (RFC 9110 §13.1.5). An empty list
 * when all of them lie beyond its end: 416.
 */
export function ranges(fields: Fields, size: number, { etag, modified }: Validators): Range[] | undefined {
  const value = fields.get("range");
  if (value === undefined) return undefined;
  const condition = fields.get("if-range");
  if (condition !== undefined && condition !== etag) {
    const date = parseDate(condition);
    if (date === undefined || seconds(date) !== seconds(modified)) return undefined;
  }
  const [, list] = /^bytes=([\d\s,-]+)$/i.exec(value) ?? [];
  const specs = list?.split(",").map((spec) => spec.trim()).filter((spec) => spec !== "") ?? [];
  if (specs.length === 0 || specs.length > 16) return undefined;
  const wanted: Range[] = [];
  let total = 0;
  for (const spec of specs) {
    const [, first, last] = /^(\d*)-(\d*)$/.exec(spec) ?? [];
    if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
    if (first !== "" && last !== "" && Number(first) > Number(last)) return undefined;
    // -500 is the last 500 bytes; 500- is all from byte 500.
    const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
    const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1);
    if (start > end) continue; // beyond the end
    total += end - start + 1;
    wanted.push({ start, end });
  }
  return total > size ? undefined : wanted;
}

/** Whether Accept-Encoding takes this content coding (RFC 9110 §12.5.3). */
export function accepts(header: string | undefined, coding: string): boolean {
  if (header === undefined) return false;
  let any = false;
  for (const part of header.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((piece) => piece.trim());
    const taken = !parameters.some((parameter) => /^q\s*=\s*0(\.0*)?$/.test(parameter));
    if (name === coding) return taken;
    if (name === "*") any = taken;
  }
  return any;
}
