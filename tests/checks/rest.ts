/**
 * Checks for a REST API of users, as `rest/README.md` describes it: in any language, on any database.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { type Check, fail, limits, type Server, type Suite } from "./suite.ts";

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown;
}

interface Ask {
  readonly body?: unknown;
  /** The body as it is, instead. */
  readonly raw?: string;
  readonly type?: string;
  readonly headers?: Record<string, string>;
}

async function ask(
  server: Server,
  method: string,
  path: string,
  { body, raw, type, headers }: Ask = {},
): Promise<Reply> {
  const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const until = Date.now() + limits.patience;
  while (true) {
    try {
      const response = await fetch(`http://${server.hostname}:${server.port}${path}`, {
        method,
        body: text,
        headers: { ...text === undefined ? {} : { "content-type": type ?? "application/json" }, ...headers },
        redirect: "manual",
        signal: AbortSignal.timeout(limits.patience),
      });
      const got = await response.text();
      let json: unknown;
      try {
        json = JSON.parse(got);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
      }
      return { status: response.status, headers: response.headers, text: got, json };
    } catch (error) {
      if (server.starting?.() && Date.now() < until) {
        await new Promise((again) => setTimeout(again, 50));
        continue;
      }
      const said = error instanceof Error ? error.message : String(error);
      fail(`an answer to ${method} ${path}`, printable(said).slice(0, 150), "answer, whatever is asked");
    }
  }
}

function has(reply: Reply, status: number, hint: string): void {
  if (reply.status !== status) {
    fail(`status ${status}`, `${reply.status} ${printable(reply.text.slice(0, 100))}`, hint);
  }
}

const field = (value: unknown, name: string): unknown =>
  value !== null && typeof value === "object" ? Reflect.get(value, name) : undefined;

const someone = () => ({ name: "Grace Hopper", email: `${crypto.randomUUID()}@example.com` });

/** A new user: where it is, and what the server said of it. */
async function created(server: Server, user = someone()): Promise<{ path: string; reply: Reply; user: typeof user }> {
  const reply = await ask(server, "POST", "/users", { body: user });
  has(reply, 201, "POST /users creates a user");
  const location = reply.headers.get("location") ?? "";
  const path = location.replace(/^https?:\/\/[^/]+/, "");
  if (!/^\/users\/[^/]+$/.test(path)) {
    fail("Location: /users/ID", location || "none", "RFC 9110 §15.3.2: tell where it is");
  }
  return { path, reply, user };
}

/** An error as RFC 9457 has it, which names these fields. */
function problem(reply: Reply, status: number, hint: string, ...fields: string[]): void {
  has(reply, status, hint);
  const type = reply.headers.get("content-type") ?? "none";
  if (!type.startsWith("application/problem+json")) {
    fail("application/problem+json", type, "RFC 9457 §3: the type of a problem");
  }
  if (field(reply.json, "status") !== status) {
    fail(`"status": ${status}`, reply.text.slice(0, 100), "the status is a member");
  }
  const errors = JSON.stringify(field(reply.json, "errors") ?? []);
  for (const name of fields) {
    if (!errors.includes(`#/${name}"`)) {
      fail(`"errors" with a pointer #/${name}`, errors, "name every field that is wrong");
    }
  }
}

const check = (name: string, why: string, points: number, run: (server: Server) => Promise<void>): Check<Server> => (
  { name, why, points, run }
);

const suite: Suite = {
  role: "server",
  about: "a REST API of users",
  checks: [
    check("create", "RFC 9110 §9.3.3: what a POST has made has an address, in Location.", 3, async (server) => {
      const { reply, user } = await created(server);
      for (const [name, value] of Object.entries(user)) {
        if (field(reply.json, name) !== value) fail(`"${name}": "${value}"`, reply.text.slice(0, 200), "show the user");
      }
      for (const name of ["created", "updated"]) {
        const time = field(reply.json, name);
        if (typeof time !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(time)) {
          fail(`"${name}" as 2026-01-31T12:00:00Z`, `${time}`, "RFC 3339 §5.6 has the form of a time");
        }
      }
    }),
    check("get", "What was created can be read again, by the same address.", 2, async (server) => {
      const { path, reply } = await created(server);
      const got = await ask(server, "GET", path);
      has(got, 200, "GET reads a user");
      if (JSON.stringify(got.json) !== JSON.stringify(reply.json)) {
        fail(reply.text, got.text, "the same user, the same JSON");
      }
    }),
    check(
      "no such user",
      "RFC 9110 §15.5.5: what is not there is 404, whatever was asked of it.",
      2,
      async (server) => {
        for (const path of ["/users/999999999", "/users/abc", "/users/-1", "/users/1e3"]) {
          problem(await ask(server, "GET", path), 404, `${path} is no user`);
        }
        problem(await ask(server, "DELETE", "/users/999999999"), 404, "there is nothing to delete");
        problem(await ask(server, "PUT", "/users/999999999", { body: someone() }), 404, "a PUT creates no user here");
      },
    ),
    check(
      "list, page by page",
      "RFC 8288: a link leads to the next page; no user is missed or shown twice.",
      2,
      async (server) => {
        const mark = crypto.randomUUID();
        const made: string[] = [];
        for (let i = 0; i < 5; i++) {
          made.push(
            (await created(server, { name: mark, email: `${i}@${mark}.example` })).path,
          );
        }
        const seen: unknown[] = [];
        let path = `/users?limit=2&q=${mark.toUpperCase()}`;
        for (let pages = 0; path && pages < 5; pages++) {
          const reply = await ask(server, "GET", path);
          has(reply, 200, "GET /users lists");
          if (!Array.isArray(reply.json)) fail("an array", reply.text.slice(0, 100), "a list of users");
          if (reply.json.length > 2) fail("two users with limit=2", `${reply.json.length}`, "limit is the most");
          seen.push(...reply.json.map((user) => `/users/${field(user, "id")}`));
          path = /<(?:https?:\/\/[^/>]+)?([^>]*)>; *rel="?next"?/.exec(reply.headers.get("link") ?? "")?.[1] ?? "";
        }
        if (seen.join() !== made.join()) {
          fail(
            made.join(", "),
            seen.join(", "),
            "order by id, and go on after the last one shown",
          );
        }
      },
    ),
    check("a bad page", "What is asked in a wrong way is 400, and not guessed at.", 1, async (server) => {
      for (const query of ["limit=0", "limit=x", "limit=1000000", "after=-1"]) {
        problem(await ask(server, "GET", `/users?${query}`), 400, `${query} is no page`);
      }
    }),
    check("replace", "RFC 9110 §9.3.4: PUT puts all of a user anew.", 2, async (server) => {
      const { path, reply } = await created(server);
      const other = { ...someone(), name: "Rear Admiral" };
      const put = await ask(server, "PUT", path, { body: other });
      has(put, 200, "PUT replaces");
      if (field(put.json, "email") !== other.email || field(put.json, "created") !== field(reply.json, "created")) {
        fail("the new email and the old time of creation", put.text, "created stays");
      }
      problem(await ask(server, "PUT", path, { body: { name: "only" } }), 422, "a PUT has all fields", "email");
    }),
    check(
      "change",
      "RFC 7396: a merge patch changes what it names, and null removes, which no field here can be.",
      2,
      async (server) => {
        const { path, user } = await created(server);
        const patched = await ask(server, "PATCH", path, {
          body: { name: "Amazing" },
          type: "application/merge-patch+json",
        });
        has(patched, 200, "PATCH changes");
        if (field(patched.json, "name") !== "Amazing" || field(patched.json, "email") !== user.email) {
          fail("the new name and the old email", patched.text, "leave alone what is not in the patch");
        }
        problem(await ask(server, "PATCH", path, { body: { email: null } }), 422, "email cannot be removed", "email");
      },
    ),
    check("delete", "RFC 9110 §9.3.5: 204, and then it is gone.", 2, async (server) => {
      const { path, user } = await created(server);
      const deleted = await ask(server, "DELETE", path);
      has(deleted, 204, "DELETE deletes");
      problem(await ask(server, "GET", path), 404, "it is gone");
      problem(await ask(server, "DELETE", path), 404, "it cannot be deleted twice");
      await created(server, user); // its email is free again
    }),
    check(
      "an email twice",
      "RFC 9110 §15.5.10: what collides with the state of things is 409; case makes no other address.",
      2,
      async (server) => {
        const { user, path } = await created(server);
        problem(await ask(server, "POST", "/users", { body: user }), 409, "two users may not have one email");
        problem(
          await ask(server, "POST", "/users", { body: { ...user, email: user.email.toUpperCase() } }),
          409,
          "compare without case",
        );
        const other = await created(server);
        problem(await ask(server, "PATCH", other.path, { body: { email: user.email } }), 409, "nor by a change");
        has(await ask(server, "PUT", path, { body: { ...user, name: "Same" } }), 200, "but a user may keep its own");
      },
    ),
    check("malformed JSON", "RFC 9110 §15.5.1: what is no JSON is 400.", 1, async (server) => {
      for (const raw of ["{", "", '{"name": "a",}', "name=a"]) {
        problem(await ask(server, "POST", "/users", { raw }), 400, "catch the parser's error");
      }
    }),
    check(
      "every bad field",
      "RFC 9457 §3: one answer tells all that is wrong, so that a form can show it.",
      2,
      async (server) => {
        const post = async (body: unknown, ...fields: string[]) =>
          problem(await ask(server, "POST", "/users", { body }), 422, `${JSON.stringify(body)} is no user`, ...fields);
        await post({}, "name", "email");
        await post({ name: "", email: "nobody" }, "name", "email");
        await post({ name: 7, email: ["a@b"] }, "name", "email");
        await post({ ...someone(), name: "x".repeat(101) }, "name");
        await post({ ...someone(), name: "a\u0000b" }, "name");
        await post({ ...someone(), admin: true }, "admin");
        await post([someone()]);
        await post(null);
      },
    ),
    check(
      "another type",
      "RFC 9110 §15.5.16: a body of another type is 415; a web page could send it without asking.",
      1,
      async (server) => {
        const raw = JSON.stringify(someone());
        problem(await ask(server, "POST", "/users", { raw, type: "text/plain" }), 415, "look at Content-Type");
      },
    ),
    check("too long", "RFC 9110 §15.5.14: a body without end is 413, not memory.", 1, async (server) => {
      const body = { ...someone(), name: "x".repeat(2_000_000) };
      problem(await ask(server, "POST", "/users", { body }), 413, "stop reading at a limit");
    }),
    check(
      "If-Match",
      "RFC 9110 §13.1.1: who changes what another has changed since is told so: no update is lost.",
      2,
      async (server) => {
        const { path, reply } = await created(server);
        const tag = reply.headers.get("etag") ?? (await ask(server, "GET", path)).headers.get("etag") ?? "";
        if (!/^"[^"]+"$/.test(tag)) fail('ETag: "…"', tag || "none", "RFC 9110 §8.8.3: an entity tag for each state");
        const headers = { "if-match": tag };
        has(
          await ask(server, "PATCH", path, { body: { name: "First" }, headers }),
          200,
          "the state is the one it names",
        );
        problem(
          await ask(server, "PATCH", path, { body: { name: "Second" }, headers }),
          412,
          "the state has changed since",
        );
        problem(await ask(server, "DELETE", path, { headers }), 412, "for DELETE, too");
        has(
          await ask(server, "GET", path, { headers: { "if-none-match": tag } }),
          200,
          "an old copy is not good any more",
        );
        const now = (await ask(server, "GET", path)).headers.get("etag") ?? "";
        has(await ask(server, "GET", path, { headers: { "if-none-match": now } }), 304, "a copy that is still good");
      },
    ),
    check(
      "another method",
      "RFC 9110 §15.5.6: 405 tells in Allow what there is, and so does OPTIONS.",
      1,
      async (server) => {
        for (const [path, wanted] of [["/users", "GET, POST"], ["/users/1", "GET, PUT, PATCH, DELETE"]] as const) {
          for (const reply of [await ask(server, "BREW", path), await ask(server, "OPTIONS", path)]) {
            if (reply.status >= 400) problem(reply, 405, "not every method is allowed");
            const allow = reply.headers.get("allow") ?? "none";
            if (!wanted.split(", ").every((name) => allow.split(/, */).includes(name))) {
              fail(
                wanted,
                allow,
                "list them in Allow",
              );
            }
          }
        }
      },
    ),
    check(
      "many at once",
      "Two clients may create the same user in one moment: one of them wins.",
      2,
      async (server) => {
        const user = someone();
        const replies = await Promise.all(
          Array.from({ length: 10 }, () => ask(server, "POST", "/users", { body: user })),
        );
        const codes = replies.map(({ status }) => status).sort().join();
        const wanted = [201, ...Array(9).fill(409)].join();
        if (codes !== wanted) fail(wanted, codes, "let the database see to it that an email is there once");
      },
    ),
    check("a description", "OpenAPI 3.1: what the API does, for people and programs.", 1, async (server) => {
      const { json } = await ask(server, "GET", "/openapi.json");
      const version = field(json, "openapi");
      if (typeof version !== "string" || !version.startsWith("3.1")) {
        fail('"openapi": "3.1.0"', `${version}`, "serve /openapi.json");
      }
      const paths = Object.keys(field(json, "paths") ?? {});
      for (const path of ["/users", "/users/{id}"]) {
        if (!paths.includes(path)) fail(path, paths.join(), "describe every path");
      }
    }),
  ],
};

export default suite;
