// The users API with Node's http module, correct. It starts slowly, orders the members of a user as it likes, caps a limit that is
// too large, and ignores fields that it does not know.
import { createServer } from "node:http";

const users = new Map();
const tags = new Map();
let last = 0;
let changes = 0;

class Problem extends Error {
  constructor(status, detail, errors) {
    super(detail);
    Object.assign(this, { status, errors });
  }
}

async function json(request) {
  const type = (request.headers["content-type"] ?? "").split(";")[0];
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size <= 500_000) parts.push(part);
  }
  if (!["application/json", "application/merge-patch+json"].includes(type)) throw new Problem(415, "send JSON");
  if (size > 500_000) throw new Problem(413, "send less");
  try {
    return JSON.parse(Buffer.concat(parts).toString());
  } catch {
    throw new Problem(400, "this is not JSON");
  }
}

function fields(body, partly) {
  if (body === null || typeof body !== "object" || Array.isArray(body)) throw new Problem(422, "send an object");
  const errors = [];
  for (const [name, right] of [["email", /^[^@\s]+@[^@\s]+$/], ["name", /./]]) {
    if (partly && !(name in body)) continue;
    if (typeof body[name] !== "string" || !right.test(body[name])) {
      errors.push({ pointer: `#/${name}`, detail: "is wrong" });
    }
  }
  if (errors.length) throw new Problem(422, "wrong fields", errors);
  return Object.fromEntries(["email", "name"].filter((name) => name in body).map((name) => [name, body[name]]));
}

function save(id, user) {
  for (const [other, { email }] of users) {
    if (other !== id && email.toLowerCase() === user.email.toLowerCase()) throw new Problem(409, "this email is taken");
  }
  users.set(id, user);
  tags.set(id, `"${++changes}"`);
  return user;
}

async function handle(request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  const method = request.method;
  const send = (status, value, headers = {}) => {
    const text = value === undefined ? undefined : JSON.stringify(value, null, 2);
    response.writeHead(status, { ...text && { "content-type": "application/json; charset=utf-8" }, ...headers }).end(
      text,
    );
  };
  const allow = (...methods) => {
    if (methods.includes(method)) return true;
    response.setHeader("allow", [...methods, "OPTIONS"].join(", "));
    if (method === "OPTIONS") send(204);
    else throw new Problem(405, `not with ${method}`);
    return false;
  };
  if (pathname === "/openapi.json") {
    const operation = { get: { responses: { 200: { description: "fine" } } } };
    const paths = { "/users": operation, "/users/{id}": operation };
    return send(200, { openapi: "3.1.1", info: { title: "Users", version: "1" }, paths });
  }
  if (pathname === "/users") {
    if (!allow("GET", "HEAD", "POST")) return;
    if (method === "POST") {
      const given = fields(await json(request), false);
      const time = new Date().toISOString();
      const id = last + 1;
      const user = save(id, { ...given, updated: time, created: time, id });
      last = id;
      return send(201, user, { location: `http://${request.headers.host}/users/${id}`, etag: tags.get(id) });
    }
    const numbers = { limit: searchParams.get("limit") ?? "50", after: searchParams.get("after") ?? "0" };
    for (const text of Object.values(numbers)) if (!/^\d+$/.test(text)) throw new Problem(400, "send a number");
    const limit = Math.min(200, Number(numbers.limit));
    if (limit === 0) throw new Problem(400, "send a limit from 1");
    const words = (searchParams.get("q") ?? "").toLowerCase();
    const found = [...users.values()].filter(({ id, name, email }) =>
      id > Number(numbers.after) && `${name}\n${email}`.toLowerCase().includes(words)
    );
    const page = found.slice(0, limit);
    const next = new URLSearchParams({ q: words, limit: String(limit), after: String(page.at(-1)?.id) });
    return send(
      200,
      page,
      found.length > limit ? { link: `<http://${request.headers.host}/users?${next}>; rel=next` } : {},
    );
  }
  const [, word] = /^\/users\/([^/]+)$/.exec(pathname) ?? [];
  if (!word) throw new Problem(404, "nothing here");
  if (!allow("GET", "HEAD", "PUT", "PATCH", "DELETE")) return;
  const id = /^[1-9]\d*$/.test(word) ? Number(word) : 0;
  const body = method === "PUT" || method === "PATCH" ? await json(request) : undefined;
  const user = users.get(id);
  if (!user) throw new Problem(404, "no such user");
  const tag = tags.get(id);
  if (request.headers["if-match"] && request.headers["if-match"] !== tag) throw new Problem(412, "it has changed");
  if (method === "DELETE") {
    users.delete(id);
    return send(204);
  }
  if (body !== undefined) {
    const changed = save(id, { ...user, ...fields(body, method === "PATCH"), updated: new Date().toISOString() });
    return send(200, changed, { etag: tags.get(id) });
  }
  if (request.headers["if-none-match"] === tag) return send(304, undefined, { etag: tag });
  send(200, user, { etag: tag });
}

const server = createServer(async (request, response) => {
  response.on("close", () => console.log(`${request.method} ${request.url} ${response.statusCode}`));
  try {
    await handle(request, response);
  } catch (error) {
    const { status = 500, message, errors } = error;
    response.writeHead(status, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ type: "about:blank", status, title: "Not done", detail: message, errors }));
  }
});
setTimeout(() => server.listen(process.env.PORT, () => console.log("ready for users")), 1000);
