/**
 * The directives of Cache-Control, in requests and in responses (RFC 9111 §5.2). Pure functions.
 *
 * @module
 */
import type { Fields } from "./_message.ts";

/** Directives by their names in lower case; one without an argument has "". */
export type Directives = ReadonlyMap<string, string>;

/** The largest number of seconds: an age or a lifetime beyond it counts as this (RFC 9111 §1.2.2). */
const MAX_SECONDS = 2 ** 31;

/** A directive with its argument, which may be in quotes, and what is before the next comma. */
const directive = /[\s,]*([!#$%&'*+.^_`|~\w-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?[^,"]*/y;

/** Parses Cache-Control. Of a directive that is there twice, the first counts (RFC 9111 §4.2.1). */
export function parseCacheControl(fields: Fields): Directives {
  const value = fields.get("cache-control");
  const found = new Map<string, string>();
  if (value === undefined) return found;
  for (let at = 0; at < value.length;) {
    directive.lastIndex = at;
    const [all = "", name = "", quoted, plain = ""] = directive.exec(value) ?? [];
    // Of what is malformed one character is skipped: a no-store behind it must not be missed.
    at += all.length || 1;
    if (name !== "" && !found.has(name.toLowerCase())) found.set(name.toLowerCase(), quoted ?? plain);
  }
  return found;
}

/**
 * The directives of a request. `Pragma: no-cache` is how HTTP/1.0 says no-cache: it counts only without Cache-Control (RFC
 * 9111 §5.4).
 */
export function requestDirectives(fields: Fields): Directives {
  if (!fields.has("cache-control") && fields.lists("pragma", "no-cache")) return new Map([["no-cache", ""]]);
  return parseCacheControl(fields);
}

/** The seconds of a directive; `undefined` when it is not there, and 0, which is stale at once, when it is malformed. */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const argument = directives.get(name);
  return argument === undefined ? undefined : parseSeconds(argument) ?? 0;
}

/** Parses a number of seconds (delta-seconds, RFC 9111 §1.2.2); `undefined` when it is none. */
export function parseSeconds(text: string): number | undefined {
  return /^\d+$/.test(text) ? Math.min(Number(text), MAX_SECONDS) : undefined;
}
