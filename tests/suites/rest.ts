/**
 * Checks for the REST API of users that `rest/README.md` describes, in any language and with any database.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { type Check, fail, limits, type Server, type Suite } from "./_suite.ts";

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined if it is not JSON. */
  readonly json: unknown;
}

interface RequestOptions {
  readonly body?: unknown;
  /** The text of the body, instead of `body`. */
  readonly raw?: string;
  readonly type?: string;
  readonly headers?: Record<string, string>;
}

async function ask(
  server: Server,
  method: string,
  path: string,
  { body, raw, type, headers }: RequestOptions = {},
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
      const message = error instanceof Error ? error.message : String(error);
      fail(`an answer to ${method} ${path}`, printable(message).slice(0, 150), "answer every request");
    }
  }
}

/** Fails unless the reply has this status. */
function expectStatus(reply: Reply, status: number, hint: string): void {
  if (reply.status !== status) {
    fail(`status ${status}`, `${reply.status} ${printable(reply.text.slice(0, 100))}`, hint);
  }
}

const field = (value: unknown, name: string): unknown =>
  value !== null && typeof value === "object" ? Reflect.get(value, name) : undefined;

const someone = () => ({ name: "Grace Hopper", email: `${crypto.randomUUID()}@example.com` });

/** Creates a user; returns its path and the server's reply. */
async function createUser(
  server: Server,
  user = someone(),
): Promise<{ path: string; reply: Reply; user: typeof user }> {
  const reply = await ask(server, "POST", "/users", { body: user });
  expectStatus(reply, 201, "answer POST /users with 201");
  const location = reply.headers.get("location") ?? "";
  const path = location.replace(/^https?:\/\/[^/]+/, "");
  if (!/^\/users\/[^/]+$/.test(path)) {
    fail("Location: /users/ID", location || "none", "put the URL of the new user into Location (RFC 9110 §15.3.2)");
  }
  return { path, reply, user };
}

/** Fails unless the reply is an error in the form of RFC 9457 that names these fields. */
function expectProblem(reply: Reply, status: number, hint: string, ...fields: string[]): void {
  expectStatus(reply, status, hint);
  const type = reply.headers.get("content-type") ?? "none";
  if (!type.startsWith("application/problem+json")) {
    fail("application/problem+json", type, "send errors with the type of RFC 9457 §3");
  }
  if (field(reply.json, "status") !== status) {
    fail(`"status": ${status}`, reply.text.slice(0, 100), "repeat the status in the member status");
  }
  const errors = JSON.stringify(field(reply.json, "errors") ?? []);
  for (const name of fields) {
    if (!errors.includes(`#/${name}"`)) {
      fail(`"errors" with a pointer #/${name}`, errors, "name every wrong field");
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
    check(
      "create",
      "RFC 9110 §9.3.3: the answer to POST gives the URL of the new user in Location.",
      3,
      async (server) => {
        const { reply, user } = await createUser(server);
        for (const [name, value] of Object.entries(user)) {
          if (field(reply.json, name) !== value) {
            fail(
              `"${name}": "${value}"`,
              reply.text.slice(0, 200),
              "send the new user in the answer",
            );
          }
        }
        for (const name of ["created", "updated"]) {
          const time = field(reply.json, name);
          if (typeof time !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(time)) {
            fail(`"${name}" in the form 2026-01-31T12:00:00Z`, `${time}`, "send times in the form of RFC 3339 §5.6");
          }
        }
      },
    ),
    check("get", "A user that was created can be read at its URL.", 2, async (server) => {
      const { path, reply } = await createUser(server);
      const got = await ask(server, "GET", path);
      expectStatus(got, 200, "answer GET of a user with 200");
      if (JSON.stringify(got.json) !== JSON.stringify(reply.json)) {
        fail(reply.text, got.text, "send the same JSON for the same user");
      }
    }),
    check(
      "no such user",
      "RFC 9110 §15.5.5: every method on a user that does not exist gets 404.",
      2,
      async (server) => {
        for (const path of ["/users/999999999", "/users/abc", "/users/-1", "/users/1e3"]) {
          expectProblem(await ask(server, "GET", path), 404, `answer 404: there is no user ${path}`);
        }
        expectProblem(
          await ask(server, "DELETE", "/users/999999999"),
          404,
          "answer 404: there is no such user to delete",
        );
        expectProblem(
          await ask(server, "PUT", "/users/999999999", { body: someone() }),
          404,
          "answer 404: PUT must not create a user",
        );
      },
    ),
    check(
      "list, page by page",
      "RFC 8288: a link leads to the next page; no user is missing and none is on two pages.",
      2,
      async (server) => {
        const mark = crypto.randomUUID();
        const made: string[] = [];
        for (let i = 0; i < 5; i++) {
          made.push(
            (await createUser(server, { name: mark, email: `${i}@${mark}.example` })).path,
          );
        }
        const seen: unknown[] = [];
        let path = `/users?limit=2&q=${mark.toUpperCase()}`;
        for (let pages = 0; path && pages < 5; pages++) {
          const reply = await ask(server, "GET", path);
          expectStatus(reply, 200, "answer GET /users with 200");
          if (!Array.isArray(reply.json)) fail("an array", reply.text.slice(0, 100), "send a list of users");
          if (reply.json.length > 2) {
            fail("two users with limit=2", `${reply.json.length}`, "send at most so many users as limit says");
          }
          seen.push(...reply.json.map((user) => `/users/${field(user, "id")}`));
          path = /<(?:https?:\/\/[^/>]+)?([^>]*)>; *rel="?next"?/.exec(reply.headers.get("link") ?? "")?.[1] ?? "";
        }
        if (seen.join() !== made.join()) {
          fail(
            made.join(", "),
            seen.join(", "),
            "order by id, and begin the next page after the last user of this one",
          );
        }
      },
    ),
    check("a bad page", "A malformed query parameter gets 400; the server must not guess.", 1, async (server) => {
      for (const query of ["limit=0", "limit=x", "limit=1000000", "after=-1"]) {
        expectProblem(await ask(server, "GET", `/users?${query}`), 400, `answer 400 to ${query}`);
      }
    }),
    check("replace", "RFC 9110 §9.3.4: PUT replaces the whole user.", 2, async (server) => {
      const { path, reply } = await createUser(server);
      const other = { ...someone(), name: "Rear Admiral" };
      const put = await ask(server, "PUT", path, { body: other });
      expectStatus(put, 200, "answer PUT with 200");
      if (field(put.json, "email") !== other.email || field(put.json, "created") !== field(reply.json, "created")) {
        fail("the new email and the old time of creation", put.text, 'do not change "created"');
      }
      expectProblem(
        await ask(server, "PUT", path, { body: { name: "only" } }),
        422,
        "refuse a PUT without all fields",
        "email",
      );
    }),
    check(
      "change",
      'RFC 7396: a merge patch changes only the fields it names; null means "remove", and no field here can be removed.',
      2,
      async (server) => {
        const { path, user } = await createUser(server);
        const patched = await ask(server, "PATCH", path, {
          body: { name: "Amazing" },
          type: "application/merge-patch+json",
        });
        expectStatus(patched, 200, "answer PATCH with 200");
        if (field(patched.json, "name") !== "Amazing" || field(patched.json, "email") !== user.email) {
          fail("the new name and the old email", patched.text, "do not change a field that is not in the patch");
        }
        expectProblem(
          await ask(server, "PATCH", path, { body: { email: null } }),
          422,
          "refuse null: email cannot be removed",
          "email",
        );
      },
    ),
    check("delete", "RFC 9110 §9.3.5: DELETE answers 204, and after that the user is 404.", 2, async (server) => {
      const { path, user } = await createUser(server);
      const deleted = await ask(server, "DELETE", path);
      expectStatus(deleted, 204, "answer DELETE with 204");
      expectProblem(await ask(server, "GET", path), 404, "answer 404: the user was deleted");
      expectProblem(await ask(server, "DELETE", path), 404, "answer 404: the user is already deleted");
      await createUser(server, user); // its email can be used again
    }),
    check(
      "the same email twice",
      "RFC 9110 §15.5.10: a request that conflicts with the stored data gets 409; emails that differ only in case are the same.",
      2,
      async (server) => {
        const { user, path } = await createUser(server);
        expectProblem(
          await ask(server, "POST", "/users", { body: user }),
          409,
          "refuse an email that another user has",
        );
        expectProblem(
          await ask(server, "POST", "/users", { body: { ...user, email: user.email.toUpperCase() } }),
          409,
          "compare emails without case",
        );
        const other = await createUser(server);
        expectProblem(
          await ask(server, "PATCH", other.path, { body: { email: user.email } }),
          409,
          "PATCH must not set an email that another user has",
        );
        expectStatus(
          await ask(server, "PUT", path, { body: { ...user, name: "Same" } }),
          200,
          "accept the email that the user already has",
        );
      },
    ),
    check("malformed JSON", "RFC 9110 §15.5.1: a body that is not JSON gets 400.", 1, async (server) => {
      for (const raw of ["{", "", '{"name": "a",}', "name=a"]) {
        expectProblem(await ask(server, "POST", "/users", { raw }), 400, "catch the parser's error, and answer 400");
      }
    }),
    check(
      "every bad field",
      "RFC 9457 §3: one answer names all wrong fields, so that a form can show all errors at once.",
      2,
      async (server) => {
        const post = async (body: unknown, ...fields: string[]) =>
          expectProblem(
            await ask(server, "POST", "/users", { body }),
            422,
            `answer 422: ${JSON.stringify(body)} is not a user`,
            ...fields,
          );
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
      "RFC 9110 §15.5.16: a body of another type gets 415, because any web page can make a browser send text/plain without a preflight request.",
      1,
      async (server) => {
        const raw = JSON.stringify(someone());
        expectProblem(
          await ask(server, "POST", "/users", { raw, type: "text/plain" }),
          415,
          "check Content-Type, and answer 415",
        );
      },
    ),
    check(
      "too long",
      "RFC 9110 §15.5.14: limit the length of a body and answer 413, or a client can fill the server's memory.",
      1,
      async (server) => {
        const body = { ...someone(), name: "x".repeat(2_000_000) };
        expectProblem(await ask(server, "POST", "/users", { body }), 413, "stop reading at a limit, and answer 413");
      },
    ),
    check(
      "If-Match",
      "RFC 9110 §13.1.1: if the user was changed after the client read it, a change with If-Match gets 412, so no update is lost.",
      2,
      async (server) => {
        const { path, reply } = await createUser(server);
        const tag = reply.headers.get("etag") ?? (await ask(server, "GET", path)).headers.get("etag") ?? "";
        if (!/^"[^"]+"$/.test(tag)) {
          fail('ETag: "…"', tag || "none", "send an entity tag with each user (RFC 9110 §8.8.3)");
        }
        const headers = { "if-match": tag };
        expectStatus(
          await ask(server, "PATCH", path, { body: { name: "First" }, headers }),
          200,
          "If-Match names the current state, so allow the change",
        );
        expectProblem(
          await ask(server, "PATCH", path, { body: { name: "Second" }, headers }),
          412,
          "If-Match names an old state: answer 412",
        );
        expectProblem(
          await ask(server, "DELETE", path, { headers }),
          412,
          "If-Match names an old state: answer 412 to DELETE, too",
        );
        expectStatus(
          await ask(server, "GET", path, { headers: { "if-none-match": tag } }),
          200,
          "If-None-Match names an old state: send the user",
        );
        const now = (await ask(server, "GET", path)).headers.get("etag") ?? "";
        expectStatus(
          await ask(server, "GET", path, { headers: { "if-none-match": now } }),
          304,
          "If-None-Match names the current state: answer 304",
        );
      },
    ),
    check(
      "another method",
      "RFC 9110 §15.5.6: a 405 response lists the allowed methods in Allow; so does the answer to OPTIONS.",
      1,
      async (server) => {
        for (const [path, wanted] of [["/users", "GET, POST"], ["/users/1", "GET, PUT, PATCH, DELETE"]] as const) {
          for (const reply of [await ask(server, "BREW", path), await ask(server, "OPTIONS", path)]) {
            if (reply.status >= 400) expectProblem(reply, 405, "answer 405 to a method that is not allowed");
            const allow = reply.headers.get("allow") ?? "none";
            if (!wanted.split(", ").every((name) => allow.split(/, */).includes(name))) {
              fail(
                wanted,
                allow,
                "list the allowed methods in Allow",
              );
            }
          }
        }
      },
    ),
    check(
      "many at once",
      "Two clients may try to create the same user at the same moment: exactly one must succeed.",
      2,
      async (server) => {
        const user = someone();
        const replies = await Promise.all(
          Array.from({ length: 10 }, () => ask(server, "POST", "/users", { body: user })),
        );
        const codes = replies.map(({ status }) => status).sort().join();
        const wanted = [201, ...Array(9).fill(409)].join();
        if (codes !== wanted) fail(wanted, codes, "let the database enforce that each email is unique");
      },
    ),
    check(
      "a description",
      "OpenAPI 3.1: a description of the API that people and programs can read.",
      1,
      async (server) => {
        const { json } = await ask(server, "GET", "/openapi.json");
        const version = field(json, "openapi");
        if (typeof version !== "string" || !version.startsWith("3.1")) {
          fail('"openapi": "3.1.0"', `${version}`, "serve /openapi.json");
        }
        const paths = Object.keys(field(json, "paths") ?? {});
        for (const path of ["/users", "/users/{id}"]) {
          if (!paths.includes(path)) fail(path, paths.join(), "describe every path");
        }
      },
    ),
  ],
};

export default suite;
