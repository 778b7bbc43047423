/**
 * The parts of `rest/` that decide and check, without a process. `rest_test.ts` imports it: what takes milliseconds comes
 * before what takes seconds.
 *
 * @module
 */
import { Ajv2020 } from "npm:ajv@8/dist/2020.js";
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import * as api from "../../rest/_api.ts";
import type { WebRequest } from "../../http/_web_connection.ts";
import { openapi } from "../../rest/_openapi.ts";
import { Problem } from "../../http/_problem.ts";
import { formatJson, parseJson, parseList, parseUser, problemDetail } from "../../rest/_reply.ts";
import { SqliteStore } from "../../rest/_sqlite_store.ts";
import { DuplicateEmail, MemoryStore, type Store, StoreUnavailable, VersionConflict } from "../../rest/_store.ts";
import { foldCase, InvalidUser, isShort, MAX_LENGTH, parseInput, parsePatch, searchKey } from "../../rest/_user.ts";
import { webRequest } from "../support/http.ts";
import { Captured, stub, Timers } from "../support/stub.ts";

const at = "http://localhost/users";
const limits = { maxBody: 20, timeout: 5 };

/** A request with a JSON body. */
const send = (body: BodyInit, headers: Record<string, string> = {}, method = "PUT") =>
  webRequest(new Request(at, { method, body, headers: { "content-type": "application/json", ...headers } }));

/** The status code of the problem that an action fails with, or what it returns. */
async function result(action: () => unknown): Promise<unknown> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof Problem) return error.status;
    throw error;
  }
}

Deno.test("the list: its limits, and the link to the next page", async () => {
  const store = new MemoryStore();
  for (let i = 1; i <= 21; i++) store.create({ name: `User ${i}`, email: `${i}@example.com` });
  const list = async (query: string) => {
    const response = await result(() => api.listUsers(new URL(`${at}?${query}`), store));
    if (!(response instanceof Response)) return response;
    const users = await response.json();
    assertEquals([response.status, response.headers.get("cache-control")], [200, "no-cache"]);
    return [users.length, users[0]?.id, users.at(-1)?.id, response.headers.get("link")];
  };
  assertEquals(await list(""), [20, 1, 20, '</users?limit=20&after=20>; rel="next"']);
  assertEquals(await list("limit=21"), [21, 1, 21, null]);
  assertEquals(await list("limit=1&after=20"), [1, 21, 21, null]);
  assertEquals(await list("limit=2&after=3&q=USER"), [2, 4, 5, '</users?limit=2&after=5&q=USER>; rel="next"']);
  assertEquals(await list("limit=100"), [21, 1, 21, null]);
  assertEquals(await list(`after=${Number.MAX_SAFE_INTEGER}`), [0, undefined, undefined, null]);
  assertEquals(await list(`q=${"x".repeat(100)}`), [0, undefined, undefined, null]);
  for (
    const wrong of [
      ...["limit=0", "limit=101", "limit=x", "limit=", "after=-1", `after=${Number.MAX_SAFE_INTEGER + 1}`],
      ...[`after=${"0".repeat(17)}`, `q=${"x".repeat(101)}`, "q=%00"],
    ]
  ) assertEquals(await list(wrong), 400, wrong);
  assertEquals(await list(`after=${"0".repeat(16)}&limit=1`), [1, 1, 1, '</users?limit=1&after=1>; rel="next"']);
  assertEquals(["1", "1234567890123456", "12345678901234567", "0", "01", "x", "-1", ""].map(api.parseId), [
    ...[1, 1234567890123456, 0, 0, 0, 0, 0, 0],
  ]);
});

Deno.test("one user: 404, 304, and the version that a change must find", async () => {
  const store = new MemoryStore();
  const found = store.create({ name: "Ada", email: "ada@example.com" });
  const get = async (tag?: string) => {
    const request = webRequest(new Request(at, { headers: tag ? { "if-none-match": tag } : {} }));
    const response = await result(() => api.conditionalResponse(request, found));
    return response instanceof Response
      ? [response.status, response.headers.get("etag"), response.headers.get("cache-control"), await response.text()]
      : response;
  };
  const whole = [200, '"v1"', "no-cache", JSON.stringify(found.user)];
  assertEquals([await get(), await get('"v2"')], [whole, whole]);
  assertEquals([await get('"v1"'), await get("*")], [[304, '"v1"', "no-cache", ""], [304, '"v1"', "no-cache", ""]]);
  assertEquals(await result(() => api.conditionalResponse(webRequest(new Request(at)), undefined)), 404);
  assertEquals(await result(() => api.userResponse(undefined)), 404);
  assertEquals(api.jsonResponse([]).status, 200);
  const created = api.userResponse(found, 201, { location: "/x" });
  assertEquals([created.status, created.headers.get("location"), created.headers.get("content-type")], [
    ...[201, "/x", "application/json"],
  ]);
  const expected = async (headers: Record<string, string>, id = 1) => {
    try {
      return await api.expectedVersion(webRequest(new Request(at, { headers })), store, id);
    } catch (error) {
      if (error instanceof VersionConflict) return "conflict";
      throw error;
    }
  };
  const [own, other] = ['"v1"', '"v0"'];
  assertEquals(await expected({}), undefined);
  assertEquals([await expected({ "if-match": own }), await expected({ "if-match": other })], [1, "conflict"]);
  assertEquals([await expected({ "if-none-match": own }), await expected({ "if-none-match": other })], ["conflict", 1]);
  assertEquals(await expected({ "if-match": own, "if-none-match": own }), "conflict");
  assertEquals([await expected({ "if-match": other }, 9), await expected({ "if-match": "*" })], [undefined, 1]);
});

Deno.test("bodies: their type, coding, length and time", async () => {
  const read = (request: WebRequest, own = limits) => result(() => api.readPatch(request, own));
  assertEquals(await read(send('{"name":"A"}')), { name: "A" });
  const most = '{"name":"ABCDEFGHI"}';
  assertEquals(most.length, 20);
  assertEquals([await read(send(most)), await read(send(`${most} `))], [{ name: "ABCDEFGHI" }, 413]);
  const stream = (...parts: (string | Error)[]) =>
    new ReadableStream({
      start(body) {
        for (const part of parts) {
          if (part instanceof Error) body.error(part);
          else body.enqueue(new TextEncoder().encode(part));
        }
        if (!parts.some((part) => part instanceof Error)) body.close();
      },
    });
  assertEquals([await read(send(stream('{"name":', '"A"}'))), await read(send(stream(most, " ")))], [
    { name: "A" },
    413,
  ]);
  await assertRejects(() => read(send(stream(new Error("reset")))), Error, "reset"); // the connection's, and no answer helps
  assertEquals(await read(send("{}", { "content-length": "21" })), 413);
  assertEquals(await read(send("{}", { "content-length": "20" })), {});
  assertEquals([await read(send("{")), await read(send(Uint8Array.of(34, 255, 34))), await read(send(""))], [
    400,
    400,
    400,
  ]);
  assertEquals(
    await read(webRequest(new Request(at, { method: "PUT", headers: { "content-type": "application/json" } }))),
    400,
  );
  for (
    const [type, status] of [["Application/JSON; charset=x", {}], ["application/merge-patch+json", {}], [
      "text/plain",
      415,
    ], ["", 415]]
  ) {
    assertEquals(await read(send("{}", { "content-type": `${type}` })), status, `${type}`);
  }
  for (const [coding, status] of [["identity", {}], ["Identity, ", {}], ["gzip", 415], ["identity, gzip", 415]]) {
    assertEquals(await read(send("{}", { "content-encoding": `${coding}` })), status, `${coding}`);
  }
  assertEquals(
    await result(() => api.readInput(send("{}", { "content-type": "application/merge-patch+json" }), limits)),
    415,
  );
  await assertRejects(async () => await api.readInput(send("{}"), limits), InvalidUser);
  const problem = (request: WebRequest) => api.readPatch(request, limits).then(() => undefined, (error) => error);
  const patch = await problem(send("{}", { "content-type": "x/y" }, "PATCH"));
  assertEquals(patch.headers, { "accept-patch": "application/merge-patch+json, application/json" });
  assertEquals((await problem(send("{}", { "content-type": "x/y" }))).headers, {});
  assertEquals((await problem(send(`${most} `))).headers, { connection: "close" });

  const silent = new ReadableStream();
  using timers = new Timers();
  const late = read(send(silent));
  for (let i = 0; i < 20 && timers.started.length === 0; i++) await Promise.resolve();
  assertEquals(timers.delays, [5000]);
  timers.started[0]?.run();
  assertEquals(await late, 408);
});

Deno.test("errors become problems; the details of a bug stay in the log", async () => {
  using console = new Captured();
  const told = async (error: unknown) => {
    const response = api.errorResponse(error);
    assertEquals(response.headers.get("content-type"), "application/problem+json");
    const { status, title, errors } = await response.json();
    assertEquals(response.status, status);
    return [status, title, response.headers.get("retry-after"), errors?.[0]?.pointer];
  };
  assertEquals(await told(new Problem(404, "x", { "retry-after": "9" })), [404, "Not Found", "9", undefined]);
  assertEquals(await told(new DuplicateEmail()), [409, "Conflict", null, "#/email"]);
  assertEquals(await told(new VersionConflict()), [412, "Precondition Failed", null, undefined]);
  const [first] = [{ pointer: "#/name", detail: "is empty" }];
  assertEquals(await told(new InvalidUser([first])), [422, "Unprocessable Entity", null, "#/name"]);
  assertEquals(await told(new StoreUnavailable(507, "full")), [507, "Insufficient Storage", "5", undefined]);
  assertEquals(console.error, []);
  assertEquals(await told(new StoreUnavailable(503, "x", new Error("the cause\x1b"))), [
    503,
    "Service Unavailable",
    "5",
    undefined,
  ]);
  assertEquals(console.error, ["database: the cause\\x1b"]);
  assertEquals(await told(new TypeError("secret")), [500, "Internal Server Error", null, undefined]);
  assertMatch(console.error[1] ?? "", /secret/);
  assert(!(await api.errorResponse(new TypeError("secret")).text()).includes("secret"));
});

Deno.test("users: each limit on both sides, and twenty errors at most", () => {
  assertEquals([MAX_LENGTH.name, MAX_LENGTH.email], [100, 254]);
  const email = (local: number, domain: number) => `${"a".repeat(local)}@${"b".repeat(domain)}`;
  assertEquals(parseInput({ name: "n".repeat(100), email: email(64, 189) }).email.length, 254);
  const errors = (value: unknown, parse: (value: unknown) => unknown = parsePatch) => {
    const error = assertThrows(() => parse(value), InvalidUser);
    return error instanceof InvalidUser ? error.errors.map(({ pointer, detail }) => `${pointer} ${detail}`) : [];
  };
  assertEquals(errors({ name: "n".repeat(101) }), ["#/name is longer than 100 characters"]);
  assertEquals(errors({ email: email(64, 190) }), ["#/email is longer than 254 characters"]);
  assertEquals(errors({ email: email(65, 5) }), ["#/email is not an email address"]);
  assertEquals(errors({ name: 5, email: [] }), ["#/name is not a string", "#/email is not a string"]);
  assertEquals(errors({ name: null, email: null }), ["#/name cannot be removed", "#/email cannot be removed"]);
  assertEquals(errors({ name: "", email: "a\0@b" }), ["#/name is empty", "#/email has control characters"]);
  assertEquals(errors({ name: "a" }, parseInput), ["#/email is missing"]);
  assertEquals(errors({ name: undefined, email: "a@b" }, parseInput), ["#/name is not a string"]);
  const many = Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`x${i}`, 1]));
  assertEquals(errors(many).length, 20);
  assertEquals(parsePatch({ id: 5, created: 1, updated: null, name: "A" }), { name: "A" });
  const told = assertThrows(() => parseInput({ name: "" }), InvalidUser);
  assertEquals(told instanceof Error && told.message, "name is empty; email is missing");
  const whole = assertThrows(() => parseInput(null), InvalidUser);
  assertEquals(whole instanceof Error && whole.message, "a user must be a JSON object");
  assertEquals([isShort("ab", 2), isShort("abc", 2), isShort("😀😀", 2), isShort("😀😀", 1)], [
    true,
    false,
    true,
    false,
  ]);
  assertEquals(foldCase("A\u0308"), "ä");
  assertEquals(searchKey({ name: "A", email: "B@c" }), "a\nb@c");
});

/** What every store does, step by step. */
async function exercise(store: Store): Promise<void> {
  const a = await store.create({ name: "A", email: "a@x" });
  const b = await store.create({ name: "B", email: "b@x" });
  assertEquals([a.user.id, b.user.id, a.version, a.user.created === a.user.updated], [1, 2, 1, true]);
  const ids = async (limit: number, after: number, q = "") =>
    (await store.list({ limit, after, q })).map(({ id }) => id);
  assertEquals([await ids(9, 0), await ids(1, 0), await ids(2, 0), await ids(9, 1), await ids(9, 2)], [
    [1, 2],
    [1],
    [1, 2],
    [2],
    [],
  ]);
  assertEquals([await ids(9, 0, "B@X"), await ids(9, 0, "x"), await ids(9, 0, "c")], [[2], [1, 2], []]);
  await assertRejects(async () => await store.create({ name: "C", email: "A@X" }), DuplicateEmail);
  await assertRejects(async () => await store.update(1, { email: "b@x" }), DuplicateEmail);
  await assertRejects(async () => await store.update(1, { name: "C" }, 2), VersionConflict);
  await assertRejects(async () => await store.delete(1, 2), VersionConflict);
  assertEquals((await store.update(1, { email: "A@x" }, 1))?.version, 2, "its own email in another case");
  const changed = await store.update(1, { email: "c@x" });
  assertEquals([changed?.version, changed?.user.name, changed?.user.email], [3, "A", "c@x"]);
  assertEquals((await store.get(1))?.user, changed?.user);
  assertEquals((await store.create({ name: "D", email: "a@x" })).user.id, 3, "the email is free again");
  assertEquals([await store.update(9, {}), await store.delete(9), await store.delete(9, 1), await store.get(9)], [
    ...[undefined, false, false, undefined],
  ]);
  assertEquals([await store.delete(1, 3), await store.get(1)], [true, undefined]);
  assertEquals((await store.create({ name: "E", email: "c@x" })).user.id, 4);
  await store.close();
}

Deno.test("stores: versions, emails that are used once, lists", async () => {
  await exercise(new MemoryStore());
  await exercise(new SqliteStore(":memory:"));
  const two = new MemoryStore(2);
  for (const email of ["a@x", "b@x"]) two.create({ name: "A", email });
  const full = assertThrows(
    () => two.create({ name: "A", email: "c@x" }),
    StoreUnavailable,
    "no room for more than 2 users",
  );
  assertEquals(full instanceof StoreUnavailable && full.status, 507);
  assertEquals(new MemoryStore().maxUsers, 1_000_000);
});

Deno.test("a store in a file: another process that holds it, and what SQLite reports", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/users.sqlite`;
  const store = new SqliteStore(path);
  const { DatabaseSync } = await import("node:sqlite");
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  const waiting = store.create({ name: "A", email: "a@x" });
  await Promise.resolve();
  other.exec("COMMIT");
  assertEquals((await waiting).version, 1, "it waits");
  other.exec("BEGIN IMMEDIATE");
  assertEquals((await store.get(1))?.user.name, "A", "reading works");
  let now = Date.now();
  {
    const delays: number[] = [];
    const timeout = setTimeout;
    using _ = stub(Date, "now", () => now);
    using __ = stub(globalThis, "setTimeout", (run: () => void, delay: number) => {
      delays.push(delay);
      now += 2500;
      return timeout(run, 0);
    });
    const busy = await store.update(1, { name: "B" }).catch((error) => error);
    assert(
      busy instanceof StoreUnavailable && busy.status === 503 && busy.message === "another process holds the database",
    );
    assertEquals(delays, [10, 10], "until 5 s are over");
  }
  other.exec("COMMIT");
  assertEquals((await store.update(1, { name: "B" }))?.user.name, "B", "the failed change is not half made");
  other.exec("DROP TABLE users");
  const gone = await store.get(1).catch((error) => error);
  assert(gone instanceof StoreUnavailable && gone.status === 503 && gone.cause instanceof Error);
  other.close();
  store.close();
  for (
    const [message, status] of [["database or disk is full", 507], ["disk I/O error", 507], [
      "File too large",
      507,
    ]] as const
  ) {
    const { StatementSync } = await import("node:sqlite");
    const failing = new SqliteStore(":memory:");
    using _ = stub(StatementSync.prototype, "run", () => {
      throw Object.assign(new Error(message), { code: "ERR_SQLITE_ERROR" });
    });
    const error = await failing.create({ name: "A", email: "a@x" }).catch((error) => error);
    assert(error instanceof StoreUnavailable && error.status === status && error.cause instanceof Error, `${error}`);
    failing.close();
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the client's checks: what came, and what was wanted", () => {
  const user = { id: 1, name: "A", email: "a@b", updated: "t" };
  assertEquals(parseUser({ ...user, more: 1 }, "h"), user);
  const failure = (action: () => unknown) => {
    const error = assertThrows(action, Failure);
    return error instanceof Failure ? error.message : "";
  };
  const sent = (value: unknown) => failure(() => parseUser(value, "h")).replace(/ instead of .*/, "");
  for (
    const [value, expected] of [
      [undefined, "h sent something that is not JSON"],
      [null, "h sent null"],
      [5, "h sent 5"],
      [[], "h sent an empty list"],
      [[1], "h sent a list"],
      ["x\x1b", 'h sent the string "x\\x1b"'],
      ["x".repeat(40), `h sent the string "${"x".repeat(40)}"`],
      ["x".repeat(41), `h sent the string "${"x".repeat(40)}…"`],
      [{}, "h sent an empty object"],
      [{ a: 1 }, "h sent an object with the field a"],
      [{ a: 1, b: 1, c: 1, d: 1, e: 1 }, "h sent an object with the fields a, b, c, d, e"],
      [{ a: 1, b: 1, c: 1, d: 1, e: 1, f: 1 }, "h sent an object with the fields a, b, c, d, e, …"],
      [{ ["n".repeat(41)]: 1 }, `h sent an object with the field ${"n".repeat(40)}…`],
      [{ ...user, id: "1" }, 'h sent a user whose id is the string "1"'],
      [{ ...user, name: 1 }, "h sent a user whose name is 1"],
      [{ ...user, email: null }, "h sent a user whose email is null"],
      [{ ...user, updated: [] }, "h sent a user whose updated is an empty list"],
      [{ id: 1, name: "A", email: "a@b" }, "h sent an object with the fields id, name, email"],
    ] as const
  ) assertEquals(sent(value), expected);
  assertEquals(parseList([1], "h"), [1]);
  assertMatch(failure(() => parseList({}, "h")), /^h sent an empty object instead of a list of users: /);
  assertEquals(problemDetail({ detail: "why\x1b" }), "why\\x1b");
  assertEquals([problemDetail({ detail: "x".repeat(500) }).length, problemDetail({ detail: "x".repeat(501) })], [
    ...[500, `${"x".repeat(500)}…`],
  ]);
  for (const value of [{ detail: 5 }, [], "x", null, undefined]) {
    assertMatch(problemDetail(value), /^the server does not say why: /);
  }
  assertEquals([parseJson("[1]"), parseJson("x"), parseJson("")], [[1], undefined, undefined]);
  assertEquals(formatJson({ a: "\x7f\u202e\u{e0001}\n" }), '{"a":"\\u007f\\u202e\\udb40\\udc01\\n"}');
  const deep = {
    toJSON: () => {
      throw new RangeError("Maximum call stack size exceeded");
    },
  };
  assertMatch(failure(() => formatJson(deep)), /nested too deeply/);
  assertThrows(
    () =>
      formatJson({
        toJSON: () => {
          throw new TypeError("a bug");
        },
      }),
    TypeError,
    "a bug",
  );
});

Deno.test("openapi.json: its schemas take what the server takes, and nothing else", () => {
  const document = openapi(1000);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(JSON.parse(JSON.stringify(document)), "api");
  const valid = (schema: string, value: unknown) => ajv.validate(`api#/components/schemas/${schema}`, value);
  const input = { name: "A", email: "a@b" };
  const user = { id: 1, ...input, created: "2026-01-01T00:00:00.000Z", updated: "2026-01-01T00:00:00.000Z" };
  const problem = { type: "about:blank", title: "t", status: 400, detail: "d" };
  const error = { pointer: "#/name", detail: "d" };
  for (
    const [schema, value, expected] of [
      ["User", user, true],
      ["User", { ...user, id: 0 }, false],
      ["User", { ...user, more: 1 }, false],
      ["User", input, false],
      ["UserInput", input, true],
      ["UserInput", { ...input, more: 1 }, false],
      ["UserInput", { name: "A" }, false],
      ["UserPatch", {}, true],
      ["UserPatch", { name: "A" }, true],
      ["UserPatch", { more: 1 }, false],
      ["UserPatch", { name: "n".repeat(101) }, false],
      ["Problem", { ...problem, errors: [error] }, true],
      ["Problem", { ...problem, status: 399 }, false],
      ["Problem", { ...problem, status: 599 }, true],
      ["Problem", { ...problem, status: 600 }, false],
      ["Problem", { ...problem, more: 1 }, false],
      ["Problem", { ...problem, errors: [{ ...error, more: 1 }] }, false],
    ] as const
  ) assertEquals(valid(schema, value), expected, `${schema} ${JSON.stringify(value)}`);
  const described = JSON.parse(JSON.stringify(document));
  const users = described.paths["/users"];
  assertEquals(users.get.parameters.slice(0, 2).map(({ schema }: { schema: Record<string, unknown> }) => schema), [
    { type: "integer", minimum: 1, maximum: 100, default: 20 },
    { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0 },
  ]);
  assertEquals(users.get.parameters[2].schema.maxLength, 100);
  assertEquals(users.post.requestBody.required, true);
  assertEquals(users.get.responses["200"].headers.Link.required, false);
  assertEquals(users.post.responses["201"].headers.Location.required, true);
  const one = described.paths["/users/{id}"].parameters[0];
  assertEquals([one.required, one.schema], [true, { type: "integer", minimum: 1 }]);
});
