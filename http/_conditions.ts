/**
 * Conditional requests and range requests (RFC 9110 §13, §14), for clients that have an old copy or a part of a file; and
 * Accept-Encoding. Pure functions.
 *
 * @module
 */
import { ifMatch, ifNoneMatch } from "jsr:@std/http@1/etag";
import { parseDate } from "./_date.ts";
import type { Fields } from "./_message.ts";

/** The validators of a file: they change when the file changes (RFC 9110 §8.8). */
export interface Validators {
  /** An entity tag, in quotes. */
  readonly etag: string;
  /** When the file was last modified, in milliseconds. HTTP's dates have whole seconds. */
  readonly modified: number;
}

/** A part of a file. `end` is included, as in `bytes=0-99`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

const seconds = (time: number) => Math.floor(time / 1000);

/** A list of entity tags without its spaces. No tag has one, and many of them in a row would cost the library much time. */
const withoutSpaces = (tags: string | undefined) => tags?.replace(/[ \t]+/g, "");

/**
 * Evaluates the preconditions of a GET or HEAD (RFC 9110 §13.2.2): 412 if one fails, 304 if the client's copy is current,
 * otherwise 200.
 */
export function evaluatePreconditions(fields: Fields, { etag, modified }: Validators): 200 | 304 | 412 {
  const match = withoutSpaces(fields.get("if-match"));
  const unmodified = parseDate(fields.get("if-unmodified-since"));
  if (
    match !== undefined ? !ifMatch(match, etag) : unmodified !== undefined && seconds(modified) > seconds(unmodified)
  ) {
    return 412;
  }
  const none = withoutSpaces(fields.get("if-none-match"));
  if (none !== undefined) return ifNoneMatch(none, etag) ? 200 : 304;
  const since = parseDate(fields.get("if-modified-since"));
  return since !== undefined && seconds(modified) <= seconds(since) ? 304 : 200;
}

/**
 * Parses the Range field of a GET for a file of `size` bytes. Returns `undefined` to send the whole file: there is no Range,
 * another unit, a malformed list, more than sixteen ranges, ranges that together are longer than the file, or an If-Range
 * that does not match (RFC 9110 §13.1.5). Returns an empty list if every range lies beyond the end: send 416.
 */
export function parseRanges(fields: Fields, size: number, { etag, modified }: Validators): Range[] | undefined {
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
    const [, first = "", last = ""] = /^(\d*)-(\d*)$/.exec(spec) ?? [];
    if (first === "" && last === "") return undefined;
    if (first !== "" && last !== "" && Number(first) > Number(last)) return undefined;
    // -500 means the last 500 bytes; 500- means everything from byte 500.
    const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
    const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1);
    if (start > end) continue; // beyond the end
    total += end - start + 1;
    wanted.push({ start, end });
  }
  return total > size ? undefined : wanted;
}

/**
 * The weight that Accept-Encoding gives to a content coding, from 0 to 1 (RFC 9110 §12.5.3): 0 stands for one that the client
 * does not accept. `identity`, which is no coding, is accepted unless the field excludes it; unless the field names it, any
 * coding that is accepted goes before it.
 */
export function codingWeight(header: string | undefined, coding: string): number {
  const unnamed = coding === "identity" ? 0.0001 : 0; // the smallest weight that a field can have is 0.001
  let any: number | undefined;
  for (const member of header?.toLowerCase().split(",") ?? []) {
    const [name = "", ...parameters] = member.split(";").map((piece) => piece.trim());
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
    const value = /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 0; // malformed: better not
    if (name === coding || name === `x-${coding}`) return value; // x-gzip is gzip (RFC 9110 §8.4.1.3)
    if (name === "*") any = value;
  }
  return coding === "identity" && any !== 0 ? unnamed : any ?? unnamed;
}
