/**
 * The parts of the users API that `server.ts` puts together: methods, conditions, bodies, and responses. They use no socket,
 * and they reach the users only through a `Store`.
 *
 * @module
 */
import { ifMatch, ifNoneMatch } from "jsr:@std/http@1/etag";
import { printable, within } from "../cli.ts";
import { concat } from "../http/_concat.ts";
import { MessageError } from "../http/_message.ts";
import { Problem } from "../http/_problem.ts";
import type { WebRequest } from "../http/_web_connection.ts";
import { DuplicateEmail, type Store, StoreUnavailable, VersionConflict, type VersionedUser } from "./_store.ts";
import { InvalidUser, isShort, parseInput, parsePatch, type UserInput } from "./_user.ts";

/** The limits of a request's body. */
export interface Limits {
  /** The maximum length, in bytes. */
  readonly maxBody: number;
  /** Seconds in which it must arrive; 0: no limit. */
  readonly timeout: number;
}

/** The largest and the default number of users in a list. */
const PAGE_SIZE = { max: 100, default: 20 };

export function jsonResponse(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { ...headers, "content-type": "application/json" } });
}

/** The entity tag of a user (RFC 9110 §8.8.3): its version. */
const entityTag = (version: number) => `"v${version}"`;

/** A user as JSON. @throws {Problem} 404 if there is none. */
export function userResponse(
  found: VersionedUser | undefined,
  status = 200,
  headers: Record<string, string> = {},
): Response {
  if (!found) throw noSuchUser();
  return jsonResponse(found.user, status, { ...headers, ...validators(found) });
}

/** A user for a GET: 304 without a body if the client already has this version (RFC 9110 §13.1.2). */
export function conditionalResponse(request: WebRequest, found: VersionedUser | undefined): Response {
  const cached = request.fields.get("if-none-match");
  if (!found || cached === undefined || ifNoneMatch(cached, entityTag(found.version))) return userResponse(found);
  return new Response(null, { status: 304, headers: validators(found) });
}

/** A cache may store the response, but must ask with its entity tag before it uses it again. */
const validators = ({ version }: VersionedUser) => ({ etag: entityTag(version), "cache-control": "no-cache" });

export const noSuchUser = (): Problem => new Problem(404, "there is no such user");

/** The id in a path; 0, which no user has, if it is not a number. */
export const parseId = (text: string): number => /^[1-9]\d{0,15}$/.test(text) ? Number(text) : 0;

/** A page of the list. @throws {Problem} 400 if a parameter is wrong. */
export async function listUsers({ searchParams }: URL, store: Store): Promise<Response> {
  const number = (name: string, initial: number, min: number, max: number) => {
    const value = searchParams.get(name);
    if (value === null) return initial;
    if (/^\d{1,16}$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    throw new Problem(400, `${name} must be a number from ${min} to ${max}`);
  };
  const limit = number("limit", PAGE_SIZE.default, 1, PAGE_SIZE.max);
  const after = number("after", 0, 0, Number.MAX_SAFE_INTEGER);
  const q = searchParams.get("q") ?? "";
  if (!isShort(q, 100)) throw new Problem(400, "q must have at most 100 characters");
  if (q.includes("\0")) throw new Problem(400, "q must not contain a NUL character");
  // One user more than the limit shows whether there is another page.
  const users = await store.list({ limit: limit + 1, after, q });
  if (users.length <= limit) return jsonResponse(users, 200, { "cache-control": "no-cache" });
  const shown = users.slice(0, limit);
  const next = new URLSearchParams({ limit: `${limit}`, after: `${shown.at(-1)?.id}`, ...q ? { q } : {} });
  // RFC 8288: the client follows the link, and need not know the parameters.
  return jsonResponse(shown, 200, { link: `</users?${next}>; rel="next"`, "cache-control": "no-cache" });
}

/**
 * Checks If-Match and If-None-Match (RFC 9110 §13.1). Returns the version that the change must find, or `undefined` without
 * these fields. The store compares it again within the change: another client may change the user in between.
 *
 * @throws {VersionConflict}
 */
export async function expectedVersion(request: WebRequest, store: Store, id: number): Promise<number | undefined> {
  const match = request.fields.get("if-match");
  const noneMatch = request.fields.get("if-none-match");
  if (match === undefined && noneMatch === undefined) return undefined;
  const found = await store.get(id);
  if (!found) return undefined; // the change itself will find that there is no such user, and 404 says more than 412
  const tag = entityTag(found.version);
  if (match !== undefined && !ifMatch(match, tag)) throw new VersionConflict();
  if (noneMatch !== undefined && !ifNoneMatch(noneMatch, tag)) throw new VersionConflict();
  return found.version;
}

/** Reads all fields of a user from a body. @throws {Problem} or {InvalidUser} */
export async function readInput(request: WebRequest, limits: Limits): Promise<UserInput> {
  return parseInput(await readJson(request, limits, ["application/json"]));
}

/** Reads some fields of a user from a body: a merge patch. @throws {Problem} or {InvalidUser} */
export async function readPatch(request: WebRequest, limits: Limits): Promise<Partial<UserInput>> {
  return parsePatch(await readJson(request, limits, ["application/merge-patch+json", "application/json"]));
}

/** Reads a body as JSON. @throws {Problem} 400, 408, 413 or 415. */
async function readJson(request: WebRequest, limits: Limits, types: string[]): Promise<unknown> {
  const type = request.fields.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (!types.includes(type)) {
    const accept = request.method === "PATCH" ? { "accept-patch": types.join(", ") } : undefined; // RFC 5789 §3.1
    throw new Problem(415, `Content-Type must be ${types.join(" or ")}`, accept);
  }
  const coding = request.fields.get("content-encoding") ?? "identity"; // "identity": not compressed (RFC 9110 §12.5.3)
  if (!/^(identity|[\s,])*$/i.test(coding)) {
    throw new Problem(415, "compressed bodies (Content-Encoding) are not accepted", { "accept-encoding": "identity" });
  }
  const body = await readBody(request, limits);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    if (error instanceof SyntaxError) throw new Problem(400, `the body is not valid JSON: ${error.message}`);
    if (error instanceof TypeError) throw new Problem(400, "the body is not valid UTF-8");
    throw error;
  }
}

async function readBody(request: WebRequest, { maxBody, timeout }: Limits): Promise<Uint8Array<ArrayBuffer>> {
  // The rest of the body is not read, so the connection cannot be used again.
  const close = { connection: "close" };
  const tooLong = new Problem(413, `the body is longer than ${maxBody} bytes`, close);
  if (Number(request.fields.get("content-length")) > maxBody) throw tooLong;
  const readAll = async () => {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    for await (const part of request.body) {
      if ((size += part.length) > maxBody) throw tooLong;
      parts.push(part);
    }
    return concat(parts);
  };
  try {
    return await within(timeout, readAll(), () => {
      throw new Problem(408, `the body did not arrive within ${timeout} s`, close);
    });
  } catch (error) {
    throw error instanceof MessageError ? new Problem(error.status, error.message, close) : error;
  }
}

/** Turns an error into a response: problem details (RFC 9457). An error that is not expected is a bug. */
export function errorResponse(error: unknown): Response {
  return toProblem(error).toResponse();
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof DuplicateEmail) {
    return new Problem(409, "another user has this email", {}, [{ pointer: "#/email", detail: "is taken" }]);
  }
  if (error instanceof VersionConflict) {
    return new Problem(412, "the user was changed after you read it: GET it again and repeat your change");
  }
  if (error instanceof InvalidUser) return new Problem(422, error.message, {}, error.errors);
  if (error instanceof StoreUnavailable) {
    if (error.cause instanceof Error) console.error(`database: ${printable(error.cause.message)}`);
    return new Problem(error.status, error.message, { "retry-after": "5" });
  }
  console.error(error);
  return new Problem(500, "internal error: see the server's log"); // the client must not learn the details
}
