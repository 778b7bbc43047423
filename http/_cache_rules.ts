/**
 * What a shared cache may keep, and when it may send it again (RFC 9111). Pure functions: they know no socket and no clock.
 *
 * @module
 */
import { type Directives, parseCacheControl, parseSeconds, requestDirectives, secondsOf } from "./_cache_control.ts";
import { parseDate } from "./_date.ts";
import { Fields, type RequestHead, type ResponseHead } from "./_message.ts";

/** A request, as far as a cache looks at it. Its fields are those that the origin server gets. */
export type CacheRequest = Pick<RequestHead, "method" | "fields"> & { readonly hasBody?: boolean };

/** A response, as far as a cache looks at it. */
export type CacheResponse = Pick<ResponseHead, "status" | "fields">;

/** A response with the times, in milliseconds, at which its request was sent and its head was received. */
export interface Timed extends CacheResponse {
  readonly requestTime: number;
  readonly responseTime: number;
}

/** Status codes that may be kept without any word about it (RFC 9110 §15.1). 206 is not among them: a part is not kept here. */
const HEURISTIC = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);

/** Status codes that a cache treats in its own way: for must-understand (RFC 9111 §5.2.2.3). */
const UNDERSTOOD = new Set([...HEURISTIC, 302, 303, 307, 400, 401, 403, 406, 500, 502, 503, 504]);

/** The heuristic lifetime of a response is at most a day. */
const MAX_HEURISTIC = 86_400;

/** Whether the answer to this request may come from the cache at all. What a stored response cannot answer goes past it. */
export function isCacheable({ method, fields, hasBody = false }: CacheRequest): boolean {
  if ((method !== "GET" && method !== "HEAD") || hasBody) return false; // what a body means to the server, no cache knows
  // A part of a representation, and conditions that only the origin server may evaluate (RFC 9111 §4.3.2).
  return !["range", "if-range", "if-match", "if-unmodified-since"].some((name) => fields.has(name));
}

/** Whether a response may be kept for other clients (RFC 9111 §3). `heuristic` and `received` are as in `freshnessLifetime`. */
export function mayStore(
  request: CacheRequest,
  response: CacheResponse,
  heuristic: number,
  received: number,
): boolean {
  const { status, fields } = response;
  const says = parseCacheControl(fields);
  if (request.method !== "GET" || !isCacheable(request)) return false;
  if (status < 200 || status === 206 || status === 304) return false;
  const isUnderstood = UNDERSTOOD.has(status);
  if (says.has("must-understand") ? !isUnderstood : says.has("no-store")) return false;
  if (requestDirectives(request.fields).has("no-store") || says.has("private")) return false;
  const isShared = says.has("public") || says.has("s-maxage");
  // The answer to one user's credentials is for others only if the server says so (RFC 9111 §3.5).
  if (request.fields.has("authorization") && !isShared && !says.has("must-revalidate")) return false;
  // A cookie is mostly for one client. RFC 9111 §7.3 leaves it to the server to say so; many servers forget.
  if (fields.has("set-cookie") && !isShared) return false;
  if (fields.lists("vary", "*")) return false; // it never matches another request (§4.1)
  const isExplicit = isShared || says.has("max-age") || fields.has("expires");
  if (!isExplicit && !(heuristic > 0 && HEURISTIC.has(status))) return false;
  // Without a lifetime and a validator it could never be sent again.
  return hasValidator(response) || freshnessLifetime(response, heuristic, received) > 0;
}

const hasValidator = ({ fields }: CacheResponse) => fields.has("etag") || fields.has("last-modified");

/**
 * How many seconds a response is fresh (RFC 9111 §4.2.1): as long as its server says; or else `heuristic`, such as 0.1, of the
 * time since it was modified. `received` stands for a missing Date.
 */
export function freshnessLifetime({ status, fields }: CacheResponse, heuristic: number, received: number): number {
  const says = parseCacheControl(fields);
  const explicit = secondsOf(says, "s-maxage") ?? secondsOf(says, "max-age");
  if (explicit !== undefined) return explicit;
  const date = parseDate(fields.get("date")) ?? received;
  if (fields.has("expires")) {
    // A malformed date, above all "0", is in the past (RFC 9111 §5.3).
    return Math.max(0, ((parseDate(fields.get("expires")) ?? 0) - date) / 1000);
  }
  const modified = parseDate(fields.get("last-modified"));
  if (modified === undefined || !(HEURISTIC.has(status) || says.has("public"))) return 0;
  return Math.min(MAX_HEURISTIC, Math.max(0, (date - modified) / 1000 * heuristic));
}

/** How many seconds old a response was when it was received (RFC 9111 §4.2.3): by its Age, or by its Date. */
export function initialAge({ fields, requestTime, responseTime }: Timed): number {
  const apparent = Math.max(0, (responseTime - (parseDate(fields.get("date")) ?? responseTime)) / 1000);
  const [first = ""] = fields.get("age")?.split(",") ?? [];
  // The time on the way counts, too: the Age was right when the response was sent.
  const corrected = (parseSeconds(first.trim()) ?? 0) + (responseTime - requestTime) / 1000;
  return Math.max(apparent, corrected);
}

/** A stored response, as far as it decides whether it may be sent again. Times in seconds. */
export interface Reusable {
  readonly says: Directives;
  readonly lifetime: number;
  /** How old it is now. */
  readonly age: number;
}

/** Why a stored response may, or may not, be sent without asking the origin server (RFC 9111 §4). */
export type Verdict = "fresh" | "stale" | "stale, but allowed" | "request";

/** Decides whether a stored response may be sent without asking the origin server; `request`: it is the client that wants more. */
export function judge({ says, lifetime, age }: Reusable, request: CacheRequest): Verdict {
  const asks = requestDirectives(request.fields);
  if (asks.has("no-cache")) return "request";
  if (says.has("no-cache")) return "stale"; // it may be kept, but not sent without validation (§5.2.2.4)
  const maxAge = secondsOf(asks, "max-age") ?? Infinity;
  if (age > maxAge || maxAge === 0) return "request"; // 0 is how browsers reload a page
  if (lifetime > age) return lifetime - age >= (secondsOf(asks, "min-fresh") ?? 0) ? "fresh" : "request";
  // max-stale without an argument accepts any age (§5.2.1.2).
  const maxStale = asks.get("max-stale") === "" ? Infinity : secondsOf(asks, "max-stale") ?? -1;
  return age - lifetime <= maxStale && !mustRevalidate(says) ? "stale, but allowed" : "stale";
}

/** Whether a stale response must never be sent: s-maxage says the same for a shared cache (RFC 9111 §5.2.2.10). */
const mustRevalidate = (says: Directives) =>
  ["must-revalidate", "proxy-revalidate", "s-maxage", "no-cache"].some((name) => says.has(name));

/** Whether a stored response may be sent because the origin server failed: only if it says stale-if-error (RFC 5861 §4). */
export function mayServeOnError({ says, lifetime, age }: Reusable, request: CacheRequest): boolean {
  if (mustRevalidate(says) || requestDirectives(request.fields).has("no-cache")) return false;
  return age - lifetime <= (secondsOf(says, "stale-if-error") ?? -1);
}

/** The fields that ask the origin server whether a stored response is still right (RFC 9111 §4.3.1). */
export function conditions({ fields }: CacheResponse): [name: string, value: string][] {
  const [etag, modified] = [fields.get("etag"), fields.get("last-modified")];
  return [
    ...etag === undefined ? [] : [["If-None-Match", etag] satisfies [string, string]],
    ...modified === undefined ? [] : [["If-Modified-Since", modified] satisfies [string, string]],
  ];
}

/** Whether a 304 is about this stored response: a strong entity tag must be the same (RFC 9111 §4.3.4). */
export function isAbout({ fields }: CacheResponse, stored: CacheResponse): boolean {
  const etag = fields.get("etag");
  return etag === undefined || etag.startsWith("W/") || etag === stored.fields.get("etag");
}

/** Fields of a 304 that must not change a stored response: they belong to its content (RFC 9111 §3.2). */
const UNCHANGED = new Set(["content-length", "content-encoding", "content-type", "content-range"]);

/** The fields of a stored response after a 304: those that the 304 has are new (RFC 9111 §4.3.4). */
export function updatedFields(stored: Fields, response: Fields): Fields {
  const fresh = [...response].filter(([name]) => !UNCHANGED.has(name.toLowerCase()));
  const names = new Set(fresh.map(([name]) => name.toLowerCase()));
  // An Age that was received belongs to the older response.
  return new Fields([
    ...[...stored].filter(([name]) => !names.has(name.toLowerCase()) && !/^age$/i.test(name)),
    ...fresh,
  ]);
}

/** The request fields that the response depends on, with their values: the second part of its key (RFC 9111 §4.1). */
export function selectingFields({ fields }: CacheResponse, request: CacheRequest): [name: string, value: string][] {
  const names = (fields.get("vary") ?? "").toLowerCase().split(",").map((name) => name.trim());
  return names.filter((name) => name !== "").map((name) => [name, selectingValue(name, request)]);
}

/** Whether a stored response answers this request, too. */
export function matches(
  selecting: readonly (readonly [name: string, value: string])[],
  request: CacheRequest,
): boolean {
  return selecting.every(([name, value]) => selectingValue(name, request) === value);
}

/** Spaces around the members of a list make no difference, nor whether they come in one field or in several. */
const selectingValue = (name: string, { fields }: CacheRequest): string =>
  fields.has(name) ? `=${fields.get(name)?.split(",").map((part) => part.trim()).join(",")}` : "";

const SAFE = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/**
 * The URLs of which no stored response is right any more: after a method that may have changed something, that of the
 * request, and those that Location and Content-Location name on the same server (RFC 9111 §4.4).
 */
export function invalidated(method: string, url: string, { status, fields }: CacheResponse): string[] {
  if (SAFE.has(method) || status < 200 || status > 399) return [];
  const own = URL.parse(url)?.origin;
  const named = ["location", "content-location"].map((name) => fields.get(name));
  const others = named.map((text) => text === undefined ? null : URL.parse(text, url));
  return [url, ...others.flatMap((other) => other && other.origin === own ? [other.href.replace(/#.*/, "")] : [])];
}
