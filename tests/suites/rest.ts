/**
 * Checks for the REST API of users that `rest/README.md` describes, in any language and with any database. The users differ in
 * every run.
 *
 * @module
 */
import { equal } from "jsr:@std/assert@1";
import { printable } from "../../cli.ts";
import { HttpPeer } from "./_http_peer.ts";
import { Random, randomSeed, word } from "./_random.ts";
import {
  ask,
  createUser,
  expectStatus,
  field,
  readReply,
  type Reply,
  requestText,
  someone,
  tryAsk,
} from "./_rest_peer.ts";
import { recordIn, Recording } from "./_record.ts";
import { type Check, contentOf, fail, type Server, type Suite } from "./_suite.ts";

type Level = Check<Server>["level"];
const needs = ["create"];
const check = (
  name: string,
  why: string,
  points: number,
  level: Level,
  run: (server: Server, random: Random) => Promise<void>,
  more: readonly string[] = [],
): Check<Server> => ({
  ...{ name, why, points, level, needs: name === "create" ? [] : [...needs, ...more] },
  run: (server) => run(server, randoms.find(server) ?? fallback),
});
const randoms = contentOf((random) => ({ content: random, values: {} }));
const fallback = new Random(randomSeed());

const show = (reply: Reply) => printable(reply.text.slice(0, 200)) || "an empty body";

/** Fails unless these members of a user have these values. */
function expectUser(reply: Reply, wanted: Record<string, unknown>, hint: string): void {
  for (const [name, value] of Object.entries(wanted)) {
    if (!equal(field(reply.json, name), value)) fail(`"${name}": ${JSON.stringify(value)}`, show(reply), hint);
  }
}

/** Fails unless the server refuses this body with the status 422. */
async function refuses(server: Server, body: unknown, hint: string): Promise<Reply> {
  const reply = await ask(server, "POST", "/users", { body });
  expectStatus(reply, 422, `POST /users ${JSON.stringify(body).slice(0, 80)}`, hint);
  return reply;
}

const basic: readonly Check<Server>[] = [
  check(
    "create",
    "RFC 9110 §15.3.2: POST /users with a name and an email creates a user, and gets it as JSON, with an id of its own.",
    3,
    "basic",
    async (server, random) => {
      const hint = "answer with the new user: its id, its name and its email";
      const ids = new Set<unknown>();
      for (let i = 0; i < 2; i++) {
        const { reply, user } = await createUser(server, someone(random));
        expectUser(reply, { ...user }, hint);
        const id = field(reply.json, "id");
        if (id === undefined || ids.has(id)) fail('an "id" that no other user has', show(reply), hint);
        ids.add(id);
      }
    },
  ),
  check(
    "the status of a creation",
    "RFC 9110 §15.3.2: a request that has created something gets 201.",
    1,
    "basic",
    async (server, random) => {
      const { reply } = await createUser(server, someone(random));
      expectStatus(reply, 201, "POST /users", "answer 201 Created, and not 200, when a user was created");
    },
  ),
  check(
    "Location",
    "RFC 9110 §9.3.3: the answer to POST gives the URL of the new user in Location: /users/ID.",
    1,
    "basic",
    async (server, random) => {
      const { reply } = await createUser(server, someone(random));
      const location = reply.fields.get("location") ?? "";
      if (!/^(https?:\/\/[^/]+)?\/users\/[^/]+$/.test(location)) {
        fail("Location: /users/ID", location || "no Location", "put the URL of the new user into Location");
      }
    },
  ),
  check(
    "get",
    "RFC 9110 §9.3.1: a user that was created can be read at its URL: the same JSON, its members in any order.",
    2,
    "basic",
    async (server, random) => {
      const first = await createUser(server, someone(random));
      const second = await createUser(server, someone(random));
      for (const { path, reply } of [first, second]) {
        const got = await ask(server, "GET", path);
        expectStatus(got, 200, `GET ${path}`, "answer GET of a user with 200");
        if (!equal(got.json, reply.json)) fail(show(reply), show(got), "send the same JSON for the same user");
      }
    },
  ),
  check(
    "the type of JSON",
    "RFC 9110 §8.3, RFC 8259 §11: JSON is sent with Content-Type: application/json. A browser that is told text/html runs " +
      "the scripts in it.",
    1,
    "basic",
    async (server, random) => {
      const { path, reply } = await createUser(server, someone(random));
      for (const [what, got] of [["POST /users", reply], ["GET " + path, await ask(server, "GET", path)]] as const) {
        const type = got.fields.get("content-type") ?? "no Content-Type";
        if (/^application\/json\b/i.test(type)) continue;
        fail(`Content-Type: application/json to ${what}`, type, "set Content-Type to application/json");
      }
    },
    ["get"],
  ),
  check(
    "no such user",
    "RFC 9110 §15.5.5: GET, PUT and DELETE of a user that does not exist get 404.",
    2,
    "basic",
    async (server, random) => {
      const path = "/users/999999999";
      const hint = "answer 404 when there is no such user";
      expectStatus(await ask(server, "GET", path), 404, `GET ${path}`, hint);
      expectStatus(await ask(server, "DELETE", path), 404, `DELETE ${path}`, hint);
      const put = await ask(server, "PUT", path, { body: someone(random) });
      expectStatus(put, 404, `PUT ${path}`, "answer 404: here PUT does not create a user");
    },
  ),
  check(
    "list",
    "GET /users gets 200 and an array of users, those that were created among them.",
    2,
    "basic",
    async (server, random) => {
      const made = [await createUser(server, someone(random)), await createUser(server, someone(random))];
      const reply = await ask(server, "GET", "/users?limit=100");
      expectStatus(reply, 200, "GET /users", "answer GET /users with 200");
      if (!Array.isArray(reply.json)) fail("an array, [{…}, {…}]", show(reply), "send a list of users");
      const emails: unknown[] = reply.json.map((user) => field(user, "email"));
      for (const { user: { email } } of made) {
        if (emails.includes(email)) continue;
        fail(`the user with the email ${email} in the list`, `${emails.length} others`, "list all users");
      }
    },
  ),
  check(
    "replace",
    "RFC 9110 §9.3.4: PUT replaces the whole user, and gets 200 and the new state; so does GET after it.",
    2,
    "basic",
    async (server, random) => {
      const { path } = await createUser(server, someone(random));
      const other = someone(random);
      const put = await ask(server, "PUT", path, { body: other });
      expectStatus(put, 200, `PUT ${path}`, "answer PUT with 200 and the user");
      expectUser(put, { ...other }, "replace name and email by what the request has");
      expectUser(await ask(server, "GET", path), { ...other }, "store what PUT has sent");
    },
    ["get"],
  ),
  check(
    "change",
    "RFC 7396: PATCH with application/merge-patch+json changes only the fields it names, and gets 200 and the user.",
    2,
    "basic",
    async (server, random) => {
      const { path, user } = await createUser(server, someone(random));
      const { name } = someone(random);
      const patched = await ask(server, "PATCH", path, { body: { name }, type: "application/merge-patch+json" });
      expectStatus(patched, 200, `PATCH ${path} ${JSON.stringify({ name })}`, "answer PATCH with 200 and the user");
      try {
        expectUser(patched, { name, email: user.email }, "do not change a field that is not in the patch");
      } catch (error) {
        await recordIn(new Recording(), () => tryAsk(server, "DELETE", path)); // half a user would disturb the checks that follow
        throw error;
      }
      expectUser(await ask(server, "GET", path), { name, email: user.email }, "store what PATCH has changed");
    },
    ["get"],
  ),
  check(
    "delete",
    "RFC 9110 §9.3.5: DELETE gets 204, and after that the user is 404; its email can be used again.",
    2,
    "basic",
    async (server, random) => {
      const { path, user } = await createUser(server, someone(random));
      expectStatus(await ask(server, "DELETE", path), 204, `DELETE ${path}`, "answer DELETE with 204, without a body");
      expectStatus(await ask(server, "GET", path), 404, `GET ${path}`, "answer 404: the user was deleted");
      expectStatus(await ask(server, "DELETE", path), 404, `DELETE ${path}`, "answer 404: the user is already deleted");
      await createUser(server, user);
    },
    ["no such user"],
  ),
  check(
    "ids are not used again",
    "An old URL must not lead to another user: the id of a deleted user is not given to the next one.",
    1,
    "basic",
    async (server, random) => {
      const { path } = await createUser(server, someone(random));
      await ask(server, "DELETE", path);
      const next = await createUser(server, someone(random));
      if (next.path === path) {
        fail("a new id", `${path} again`, "count the ids up, and never take the highest plus one");
      }
    },
    ["delete"],
  ),
  check(
    "malformed JSON",
    "RFC 9110 §15.5.1: a body that is not JSON gets 400.",
    1,
    "basic",
    async (server) => {
      for (const raw of ["{", "", '{"name": "a",}', "name=a"]) {
        const reply = await ask(server, "POST", "/users", { raw });
        expectStatus(reply, 400, `POST /users ${raw || "(empty)"}`, "catch the parser's error, and answer 400");
      }
    },
  ),
  check(
    "bad fields",
    "RFC 9110 §15.5.21: JSON that is not a user gets 422: name and email are texts, not empty, and the email has an @.",
    2,
    "basic",
    async (server, random) => {
      const { name, email } = someone(random);
      for (
        const body of [{}, { name }, { email }, { name: "", email }, { name, email: "nobody" }, { name: 7, email }]
      ) {
        await refuses(server, body, "test each field: is it there, is it a text, is it not empty; answer 422");
      }
    },
  ),
];

const robust: readonly Check<Server>[] = [
  check(
    "other bad bodies",
    "A list, null or a number is JSON, but no user: 422. PUT needs all fields, and PATCH cannot remove one.",
    1,
    "robust",
    async (server, random) => {
      for (const body of [[someone(random)], null, 7, { ...someone(random), email: ["a@b"] }]) {
        await refuses(server, body, "test that the body is an object before you read its fields");
      }
      const { path, user } = await createUser(server, someone(random));
      const put = await ask(server, "PUT", path, { body: { name: user.name } });
      expectStatus(put, 422, `PUT ${path} without an email`, "refuse a PUT without all fields");
      const type = "application/merge-patch+json";
      const patch = await ask(server, "PATCH", path, { body: { email: null }, type });
      expectStatus(patch, 422, `PATCH ${path} {"email": null}`, "refuse null: email cannot be removed");
    },
    ["bad fields", "replace", "change"],
  ),
  check(
    "not an id",
    "A path such as /users/abc, /users/-1 or /users/1e3 is no user: 404.",
    1,
    "robust",
    async (server) => {
      for (const path of ["/users/abc", "/users/-1", "/users/1e3"]) {
        const reply = await ask(server, "GET", path);
        expectStatus(reply, [404, 400], `GET ${path}`, "an id that cannot be one is a user that does not exist");
      }
    },
    ["no such user"],
  ),
  check(
    "search",
    "GET /users?q=TEXT lists the users whose name or email has this text, in upper or lower case.",
    1,
    "robust",
    async (server, random) => {
      const { user } = await createUser(server, someone(random));
      await createUser(server, someone(random));
      for (const text of [user.name.split(" ")[1] ?? "", user.email.toUpperCase()]) {
        const path = `/users?q=${encodeURIComponent(text)}`;
        const { json } = await ask(server, "GET", path);
        const emails = Array.isArray(json) ? json.map((user) => field(user, "email")) : [];
        if (equal(emails, [user.email])) continue;
        fail(`the user ${user.email} alone to GET ${path}`, `${emails.length} users`, "compare without case");
      }
    },
    ["list"],
  ),
  check(
    "page by page",
    'RFC 8288: limit=2 sends at most two users; Link: <…>; rel="next" leads to the next page, and the last page has none. ' +
      "No user is missing, and none is on two pages.",
    2,
    "robust",
    async (server, random) => {
      const mark = word(random, 12);
      const made: unknown[] = [];
      for (let i = 0; i < 5; i++) {
        const { reply } = await createUser(server, { ...someone(random), name: `${mark} ${i}` });
        made.push(field(reply.json, "id"));
      }
      const seen: unknown[] = [];
      let path = `/users?limit=2&q=${mark}`;
      for (let pages = 0; path !== "" && pages < 6; pages++) {
        const reply = await ask(server, "GET", path);
        expectStatus(reply, 200, `GET ${path}`, "answer GET /users with 200");
        if (!Array.isArray(reply.json)) fail("an array", show(reply), "send a list of users");
        if (reply.json.length > 2) fail("two users with limit=2", `${reply.json.length}`, "send at most limit users");
        seen.push(...reply.json.map((user) => field(user, "id")));
        path = /<(?:https?:\/\/[^/>]+)?([^>]*)>; *rel="?next"?/i.exec(reply.fields.get("link") ?? "")?.[1] ?? "";
      }
      if (!equal(seen, made)) {
        fail(
          `the ids ${made.join(", ")}, in the order of their creation`,
          seen.join(", ") || "none",
          "order by id; send Link as long as there are more; begin the next page after the last user of this one",
        );
      }
    },
    ["list", "search"],
  ),
  check(
    "a bad page",
    "A malformed query parameter gets 400: the server must not guess. A limit that is too large is 400, or fewer are sent.",
    1,
    "robust",
    async (server) => {
      for (const query of ["limit=0", "limit=x", "after=-1"]) {
        expectStatus(await ask(server, "GET", `/users?${query}`), 400, `GET /users?${query}`, `answer 400 to ${query}`);
      }
      const large = await ask(server, "GET", "/users?limit=1000000");
      expectStatus(large, [200, 400], "GET /users?limit=1000000", "answer 400, or send as many as you like");
    },
    ["list"],
  ),
  check(
    "created and updated",
    "RFC 3339 §5.6: a user has the times of its creation and of its last change; PUT and PATCH change the second only.",
    2,
    "robust",
    async (server, random) => {
      const { path, reply } = await createUser(server, someone(random));
      for (const name of ["created", "updated"]) {
        const time = field(reply.json, name);
        if (typeof time !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(time)) {
          fail(`"${name}" in the form 2026-01-31T12:00:00Z`, `${time}`, "send times in the form of RFC 3339");
        }
      }
      await new Promise((go) => setTimeout(go, 1100)); // a time may have whole seconds
      const put = await ask(server, "PUT", path, { body: someone(random) });
      if (field(put.json, "created") !== field(reply.json, "created")) {
        fail(`the old "created", ${field(reply.json, "created")}`, show(put), 'do not change "created"');
      }
      if (field(put.json, "updated") === field(reply.json, "updated")) {
        fail('a new "updated"', `${field(put.json, "updated")}, as before`, 'set "updated" when the user changes');
      }
    },
    ["replace"],
  ),
  check(
    "the same email twice",
    "RFC 9110 §15.5.10: POST, PUT or PATCH with the email of another user gets 409. A user may keep its own.",
    2,
    "robust",
    async (server, random) => {
      const { user, path } = await createUser(server, someone(random));
      const again = await ask(server, "POST", "/users", { body: user });
      expectStatus(again, 409, "a second POST with this email", "refuse an email that another user has");
      const other = await createUser(server, someone(random));
      const type = "application/merge-patch+json";
      const patch = await ask(server, "PATCH", other.path, { body: { email: user.email }, type });
      expectStatus(patch, 409, "PATCH with the email of another user", "test the email in PATCH and PUT, too");
      const keep = await ask(server, "PUT", path, { body: { ...user, name: "Same" } });
      expectStatus(keep, 200, "PUT with its own email", "accept the email that the user already has");
    },
    ["replace", "change"],
  ),
  check(
    "emails in upper and lower case",
    "A@B.example and a@b.example are the same mailbox nearly everywhere: the second gets 409.",
    1,
    "robust",
    async (server, random) => {
      const { user } = await createUser(server, someone(random));
      const again = await ask(server, "POST", "/users", { body: { ...user, email: user.email.toUpperCase() } });
      expectStatus(again, 409, `POST with ${user.email.toUpperCase()}`, "compare emails without case");
    },
    ["the same email twice"],
  ),
  check(
    "many at once",
    "Two clients may try to create the same user at the same moment: exactly one gets 201, the others 409.",
    2,
    "robust",
    async (server, random) => {
      const user = someone(random);
      const replies = await Promise.all(
        Array.from({ length: 4 }, () => ask(server, "POST", "/users", { body: user })),
      );
      const codes = replies.map(({ status }) => status).sort();
      const [first = 0, ...others] = codes;
      const right = first < 300 && others.every((status) => status === 409);
      if (!right) {
        const hint = "look and store in one step: a lock, or a unique index of the database";
        fail("201, 409, 409, 409", codes.join(", "), hint);
      }
    },
    ["the same email twice"],
  ),
  check(
    "a slow client at the same time",
    "A client that sends half a request and waits must not stop the server from serving the others.",
    1,
    "robust",
    async (server, random) => {
      using slow = await HttpPeer.connect(server);
      await slow.send(requestText(server, "POST", "/users", { body: someone(random) }).slice(0, -10));
      const hint =
        "the server serves nobody else while it waits for the first: give each client its own thread or task";
      const reply = await ask(server, "GET", "/users?limit=1");
      expectStatus(reply, 200, "GET /users while another client is slow", hint);
    },
    ["list"],
  ),
  check(
    "another type",
    "RFC 9110 §15.5.16: a body of another type gets 415: any web page can make a browser send text/plain to 127.0.0.1.",
    1,
    "robust",
    async (server, random) => {
      const raw = JSON.stringify(someone(random));
      const reply = await ask(server, "POST", "/users", { raw, type: "text/plain" });
      expectStatus(reply, 415, "POST with Content-Type: text/plain", "check Content-Type, and answer 415");
    },
  ),
  check(
    "an error on an open connection",
    "RFC 9112 §9.3: a server that answers before it has read the body must read the rest of it, or close the connection: " +
      "else the body is taken for the next request.",
    1,
    "robust",
    async (server, random) => {
      const hint = "read the body before you answer an error, or send Connection: close and close";
      const raw = JSON.stringify(someone(random));
      using peer = await HttpPeer.connect(server);
      await peer.send(requestText(server, "POST", "/users", { raw, type: "text/plain" }, true));
      const first = await readReply(peer, "POST", "/users");
      if (!first || first.fields.lists("connection", "close")) return;
      await peer.send(requestText(server, "GET", "/users", {})).catch(() => {});
      const second = await readReply(peer, "GET", "/users");
      if (second) expectStatus(second, 200, "GET /users after an error on the same connection", hint);
    },
    ["list"],
  ),
  check(
    "another method",
    "RFC 9110 §15.5.6: DELETE /users and an unknown method get 405 with the allowed methods in Allow, or 501 (400 from a parser that knows no such method).",
    1,
    "robust",
    async (server) => {
      for (const method of ["DELETE", "BREW"]) {
        const reply = await ask(server, method, "/users");
        expectStatus(reply, [405, 501, 400], `${method} /users`, "answer 405 to a method that is not allowed");
        const allow = reply.fields.get("allow") ?? "no Allow";
        if (reply.status === 405 && !["GET", "POST"].every((name) => allow.split(/, */).includes(name))) {
          fail("Allow: GET, POST with the status 405", allow, "list the allowed methods in Allow");
        }
      }
    },
  ),
  check(
    "too long",
    "RFC 9110 §15.5.14: limit the length of a body and answer 413 (or close), or a client can fill the server's memory. " +
      "Here it is 2 MB.",
    1,
    "robust",
    async (server, random) => {
      const body = { ...someone(random), name: "x".repeat(2_000_000) };
      const reply = await tryAsk(server, "POST", "/users", { body });
      if (reply) expectStatus(reply, 413, "a body of 2 MB", "stop reading at a limit, and answer 413");
    },
  ),
];

const strict: readonly Check<Server>[] = [
  check(
    "errors are problems",
    'RFC 9457 §3: each error has the type application/problem+json, and its status code as the member "status".',
    2,
    "strict",
    async (server) => {
      const replies: [string, Reply][] = [
        ["GET /users/999999999", await ask(server, "GET", "/users/999999999")],
        ["POST /users {}", await ask(server, "POST", "/users", { body: {} })],
      ];
      for (const [what, reply] of replies) {
        const type = reply.fields.get("content-type") ?? "no Content-Type";
        if (!/^application\/problem\+json\b/i.test(type)) {
          fail(`application/problem+json to ${what}`, type, "send errors with this type");
        }
        if (field(reply.json, "status") !== reply.status) {
          fail(`"status": ${reply.status} to ${what}`, show(reply), "repeat the status code in the member status");
        }
      }
    },
    ["no such user", "bad fields"],
  ),
  check(
    "every bad field",
    'RFC 9457 §3: one answer names all wrong fields in "errors", each with a pointer: [{"pointer": "#/email", …}].',
    1,
    "strict",
    async (server, random) => {
      const { email } = someone(random);
      const cases: [unknown, string[]][] = [[{}, ["name", "email"]], [{ name: "", email: 7 }, ["name", "email"]]];
      for (const [body, names] of [...cases, [{ name: "", email }, ["name"]] as [unknown, string[]]]) {
        const reply = await refuses(server, body, "answer 422");
        const errors: unknown = field(reply.json, "errors");
        const pointers = Array.isArray(errors) ? errors.map((error) => field(error, "pointer")) : [];
        const wanted = names.map((name) => `#/${name}`);
        if (wanted.every((pointer) => pointers.includes(pointer)) && pointers.length === wanted.length) continue;
        fail(
          `"errors" with the pointers ${wanted.join(" and ")} to ${JSON.stringify(body)}`,
          show(reply),
          "collect the errors of all fields before you answer",
        );
      }
    },
    ["bad fields", "errors are problems"],
  ),
  check(
    "unknown fields",
    'A field that users do not have is refused (422) or ignored, but not stored: {"admin": true} must make nobody an admin.',
    1,
    "strict",
    async (server, random) => {
      const body = { ...someone(random), admin: true };
      const reply = await ask(server, "POST", "/users", { body });
      if (reply.status >= 400 && reply.status < 500) return;
      if (field((await ask(server, "GET", `/users/${field(reply.json, "id")}`)).json, "admin") !== undefined) {
        fail('no "admin" in the user', '"admin": true', "take name and email from the request, and nothing else");
      }
    },
    ["get"],
  ),
  check(
    "If-Match",
    "RFC 9110 §13.1.1: if the user was changed after the client read it, a change with If-Match gets 412, so no update is " +
      "lost.",
    2,
    "strict",
    async (server, random) => {
      const { path, reply } = await createUser(server, someone(random));
      const tag = reply.fields.get("etag") ?? (await ask(server, "GET", path)).fields.get("etag") ?? "";
      if (!/^"[^"]+"$/.test(tag)) {
        fail('ETag: "…" with each user', tag || "none", "send an entity tag with each user (RFC 9110 §8.8.3)");
      }
      const type = "application/merge-patch+json";
      const headers = { "If-Match": tag };
      const patch = (name: string) => ask(server, "PATCH", path, { body: { name }, type, headers });
      expectStatus(await patch("First"), 200, "PATCH with the current tag", "If-Match names the current state");
      expectStatus(await patch("Second"), 412, "PATCH with an old tag", "If-Match names an old state: answer 412");
      const gone = await ask(server, "DELETE", path, { headers });
      expectStatus(gone, 412, "DELETE with an old tag", "If-Match names an old state: answer 412 to DELETE, too");
    },
    ["change"],
  ),
  check(
    "If-None-Match",
    "RFC 9110 §13.1.2: GET with the current tag in If-None-Match gets 304, and with an old one 200.",
    1,
    "strict",
    async (server, random) => {
      const { path } = await createUser(server, someone(random));
      const tag = (await ask(server, "GET", path)).fields.get("etag") ?? "";
      const read = () => ask(server, "GET", path, { headers: { "If-None-Match": tag } });
      expectStatus(await read(), 304, "GET with the current tag", "answer 304, without a body");
      await ask(server, "PUT", path, { body: someone(random) });
      expectStatus(await read(), 200, "GET with an old tag", "If-None-Match names an old state: send the user");
    },
    ["If-Match", "replace"],
  ),
  check(
    "a description",
    "OpenAPI 3.1: /openapi.json describes the API to programs: its version, and the paths /users and /users/{id}.",
    1,
    "strict",
    async (server) => {
      const { json } = await ask(server, "GET", "/openapi.json");
      const version = field(json, "openapi");
      if (typeof version !== "string" || !version.startsWith("3.1")) {
        fail('"openapi": "3.1.0"', `${version}`, "serve /openapi.json");
      }
      const paths = Object.keys(field(json, "paths") ?? {});
      for (const path of ["/users", "/users/{id}"]) {
        if (!paths.includes(path)) fail(`the path ${path}`, paths.join(", ") || "none", "describe every path");
      }
    },
  ),
];

const suite: Suite = {
  role: "server",
  about: "a REST API of users",
  prepare: randoms.prepare,
  given: "{port} (PORT): where to listen, on 127.0.0.1. There are no users at the start.",
  limits: "Members of a user may be in any order, and ids of any kind; bodies have up to 1 KB; one has 2 MB.",
  sheet: "rest/README.md#check-yours",
  checks: [...basic, ...robust, ...strict],
};

export default suite;
