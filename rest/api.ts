/**
 * The users API: a request in, a response out. No socket here, and no database but a `Store`.
 *
 * @module
 */
import { ifMatch, ifNoneMatch } from "jsr:@std/http@1/etag";
import { openapi } from "./openapi.ts";
import { page, PAGE_POLICY, script } from "./page.ts";
import { Problem } from "./problem.ts";
import { Changed, Duplicate, type Store, Unavailable, type Versioned } from "./store.ts";
import { InvalidUser, parseDraft, parsePatch } from "./user.ts";

/** What the API allows a request. */
export interface Limits {
  /** The longest body, in bytes. */
  readonly maxBody: number;
  /** How long a body may take to arrive, in seconds. */
  readonly timeout: number;
}

/** How many users a list has at most, and when it was not asked for a number. */
const PAGE = { most: 100, default: 20 };

const json = (value: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(value), { status, headers: { ...headers, "content-type": "application/json" } });

/** The entity tag of a user's state (RFC 9110 §8.8.3). */
const tagOf = (version: number) => `"v${version}"`;

const show = ({ user, version }: Versioned, status = 200, headers: Record<string, string> = {}) =>
  json(user, status, { ...headers, etag: tagOf(version), "cache-control": "no-cache" });

/** Answers a request; whatever is wrong with it becomes a problem (RFC 9457). A bug is thrown. */
export async function answer(request: Request, store: Store, limits: Limits): Promise<Response> {
  try {
    return await route(request, store, limits);
  } catch (error) {
    return problemOf(error).response();
  }
}

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Duplicate) {
    return new Problem(409, "another user has this email", {}, [{ pointer: "#/email", detail: "is taken" }]);
  }
  if (error instanceof Changed) return new Problem(412, "the user has changed since: get it again");
  if (error instanceof InvalidUser) return new Problem(422, error.message, {}, error.errors);
  if (error instanceof Unavailable) return new Problem(error.status, error.message, { "retry-after": "5" });
  throw error;
}

async function route(request: Request, store: Store, limits: Limits): Promise<Response> {
  const url = new URL(request.url);
  const path = url.pathname;
  if (path === "/") return await allow(request, { GET: () => html(page) });
  if (path === "/page.js") {
    const headers = { "content-type": "text/javascript; charset=UTF-8", "cache-control": "no-cache" };
    return await allow(request, { GET: () => new Response(script, { headers }) });
  }
  if (path === "/openapi.json") return await allow(request, { GET: () => json(openapi(limits.maxBody)) });
  if (path === "/users") {
    return await allow(request, {
      GET: () => list(url, store),
      POST: async () => {
        const draft = parseDraft(await readJson(request, limits, ["application/json"]));
        const made = await store.create(draft);
        return show(made, 201, { location: `/users/${made.user.id}` });
      },
    });
  }
  const [, digits] = /^\/users\/([^/]+)$/.exec(path) ?? [];
  if (digits === undefined) throw new Problem(404, "there is nothing here: see /openapi.json");
  const id = /^[1-9]\d{0,15}$/.test(digits) ? Number(digits) : 0;
  const none = () => new Problem(404, "there is no such user");
  const found = async () => id > 0 ? await store.get(id) : undefined;
  const update = async (parse: (value: unknown) => Partial<Parameters<Store["create"]>[0]>, types: string[]) => {
    const change = parse(await readJson(request, limits, types));
    const expected = await expectation(request, found);
    const changed = id > 0 ? await store.update(id, change, expected) : undefined;
    if (!changed) throw none();
    return show(changed);
  };
  return await allow(request, {
    GET: async () => {
      const user = await found();
      if (!user) throw none();
      const known = request.headers.get("if-none-match");
      if (known !== null && !ifNoneMatch(known, tagOf(user.version))) {
        return new Response(null, { status: 304, headers: { etag: tagOf(user.version), "cache-control": "no-cache" } });
      }
      return show(user);
    },
    PUT: () => update(parseDraft, ["application/json"]),
    PATCH: () => update(parsePatch, ["application/merge-patch+json", "application/json"]),
    DELETE: async () => {
      const expected = await expectation(request, found);
      if (id === 0 || !await store.delete(id, expected)) throw none();
      return new Response(null, { status: 204 });
    },
  });
}

type Methods = Record<string, () => Response | Promise<Response>>;

/** Does what the method asks for: HEAD as GET without the body, OPTIONS of itself, any other is 405 (RFC 9110 §9). */
async function allow(request: Request, methods: Methods): Promise<Response> {
  const names = Object.keys(methods).flatMap((name) => name === "GET" ? ["GET", "HEAD"] : [name]);
  const headers = { allow: [...names, "OPTIONS"].join(", ") };
  if (request.method === "OPTIONS") return new Response(null, { status: 204, headers });
  const head = request.method === "HEAD";
  const method = methods[head ? "GET" : request.method];
  if (!method) throw new Problem(405, `${request.method} is not allowed here`, headers);
  const response = await method();
  return head ? new Response(null, response) : response;
}

function html(text: string): Response {
  const headers = { "content-type": "text/html; charset=UTF-8", "cache-control": "no-cache" };
  return new Response(text, { headers: { ...headers, "content-security-policy": PAGE_POLICY } });
}

async function list(url: URL, store: Store): Promise<Response> {
  const number = (name: string, most: number, initial: number, least: number) => {
    const value = url.searchParams.get(name);
    if (value === null) return initial;
    if (/^\d{1,16}$/.test(value) && Number(value) <= most && Number(value) >= least) return Number(value);
    throw new Problem(400, `${name} is a number from ${least} to ${most}`);
  };
  const limit = number("limit", PAGE.most, PAGE.default, 1);
  const after = number("after", Number.MAX_SAFE_INTEGER, 0, 0);
  const q = url.searchParams.get("q") ?? "";
  if (q.length > 100 || q.includes("\0")) throw new Problem(400, "q is at most 100 characters");
  // One more than asked for tells whether there is another page.
  const users = await store.list({ limit: limit + 1, after, q });
  if (users.length <= limit) return json(users, 200, { "cache-control": "no-cache" });
  const shown = users.slice(0, limit);
  const next = new URLSearchParams({ limit: `${limit}`, after: `${shown.at(-1)?.id}`, ...q ? { q } : {} });
  return json(shown, 200, { link: `</users?${next}>; rel="next"`, "cache-control": "no-cache" }); // RFC 8288
}

/**
 * The state that If-Match and If-None-Match allow a change to (RFC 9110 §13.1.1, §13.1.2); undefined when they ask nothing.
 * The store compares again, in the same step as it changes: between here and there another client may be faster.
 */
async function expectation(
  request: Request,
  found: () => Promise<Versioned | undefined>,
): Promise<number | undefined> {
  const match = request.headers.get("if-match");
  const none = request.headers.get("if-none-match");
  if (match === null && none === null) return undefined;
  const user = await found();
  if (!user) return undefined; // 404 says more than 412
  const tag = tagOf(user.version);
  if ((match !== null && !ifMatch(match, tag)) || (none !== null && !ifNoneMatch(none, tag))) throw new Changed();
  return user.version;
}

/** A request's body as JSON. @throws {Problem} 400, 408, 413 or 415. */
async function readJson(request: Request, { maxBody, timeout }: Limits, types: string[]): Promise<unknown> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (!types.includes(type)) {
    const accept = request.method === "PATCH" ? { "accept-patch": types.join(", ") } : undefined; // RFC 5789 §3.1
    throw new Problem(415, `the body is ${types.join(" or ")}`, accept);
  }
  if (request.headers.has("content-encoding")) throw new Problem(415, "the body is not compressed");
  const tooLong = new Problem(413, `the body is at most ${maxBody} bytes`, { connection: "close" });
  if (Number(request.headers.get("content-length")) > maxBody) throw tooLong;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), timeout * 1000);
  try {
    while (reader) {
      const read = await Promise.race([reader.read(), late.promise]);
      if (read === "late") throw new Problem(408, `no body in ${timeout} s`, { connection: "close" });
      if (read.done) break;
      if ((size += read.value.length) > maxBody) throw tooLong;
      parts.push(read.value);
    }
  } catch (error) {
    // Not awaited: it settles when the connection ends.
    reader?.cancel().catch(() => {});
    if (error instanceof Problem) throw error;
    throw new Problem(400, "the body was cut short");
  } finally {
    clearTimeout(timer);
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await new Blob(parts).arrayBuffer());
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new Problem(400, `the body is no JSON: ${error.message}`);
    if (error instanceof TypeError) throw new Problem(400, "the body is not UTF-8");
    throw error;
  }
}
