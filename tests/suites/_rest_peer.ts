/**
 * The client of a users API under check. Each request has a connection of its own, so that what is wrong with one response does
 * not reach the next.
 *
 * @module
 */
import { formatAddress, printable } from "../../cli.ts";
import type { Fields } from "../../http/_message.ts";
import { HttpPeer } from "./_http_peer.ts";
import { type Random, word } from "./_random.ts";
import { fail, Gone, type Server } from "./_suite.ts";

export interface Reply {
  readonly status: number;
  readonly fields: Fields;
  readonly text: string;
  /** The body as JSON; undefined if it is not JSON. */
  readonly json: unknown;
}

export interface RequestOptions {
  readonly body?: unknown;
  /** The text of the body, instead of `body`. */
  readonly raw?: string;
  readonly type?: string;
  readonly headers?: Record<string, string>;
}

/** The bytes of a request. */
export function requestText(
  server: Server,
  method: string,
  path: string,
  options: RequestOptions,
  keep = false,
): string {
  const { body, raw, type = "application/json", headers = {} } = options;
  const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${formatAddress(server)}`, "Accept: */*"];
  if (text !== undefined) {
    lines.push(`Content-Type: ${type}`, `Content-Length: ${new TextEncoder().encode(text).length}`);
  }
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (!keep) lines.push("Connection: close");
  return `${lines.join("\r\n")}\r\n\r\n${text ?? ""}`;
}

/** Sends a request, and returns the response; undefined if the connection ends before it. */
export async function tryAsk(
  server: Server,
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<Reply | undefined> {
  using peer = await HttpPeer.connect(server);
  try {
    await peer.send(requestText(server, method, path, options));
  } catch (error) {
    if (!(error instanceof Gone)) throw error; // it may have answered before it has read all of a body
  }
  return await readReply(peer, method, path);
}

export async function readReply(peer: HttpPeer, method: string, path: string): Promise<Reply | undefined> {
  const response = await peer.response(method, `answer ${method} ${path}, whatever happens`);
  if (!response) return undefined;
  const text = new TextDecoder().decode(response.body);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { status: response.head.status, fields: response.head.fields, text, json };
}

/** Sends a request, and returns the response, which must come. */
export async function ask(server: Server, method: string, path: string, options?: RequestOptions): Promise<Reply> {
  return await tryAsk(server, method, path, options) ?? fail(
    `a response to ${method} ${path}`,
    "the end of the connection",
    "answer every request, also after an exception: catch it, and send the status 500",
  );
}

/** Fails unless the reply has one of these statuses. */
export function expectStatus(reply: Reply, status: number | readonly number[], what: string, hint: string): void {
  const wanted = typeof status === "number" ? [status] : status;
  if (wanted.includes(reply.status)) return;
  fail(`status ${wanted.join(" or ")} to ${what}`, `${reply.status} ${printable(reply.text.slice(0, 100))}`, hint);
}

export const field = (value: unknown, name: string): unknown =>
  value !== null && typeof value === "object" ? Reflect.get(value, name) : undefined;

export interface User {
  readonly name: string;
  readonly email: string;
}

/** A user that nobody has seen before. */
export const someone = (random: Random): User => ({
  name: `${word(random)[0]?.toUpperCase()}${word(random)} ${word(random)}`,
  email: `${word(random)}.${word(random)}@${word(random)}.example`,
});

/** Creates a user; returns its path and the server's reply. */
export async function createUser(server: Server, user: User): Promise<{ path: string; reply: Reply; user: User }> {
  const reply = await ask(server, "POST", "/users", { body: user });
  expectStatus(reply, [201, 200], `POST /users ${JSON.stringify(user)}`, "create the user, and answer 201");
  const id = field(reply.json, "id");
  const location = (reply.fields.get("location") ?? "").replace(/^https?:\/\/[^/]+/, "");
  const path = id === undefined ? location : `/users/${id}`;
  if (path === "") {
    const hint = 'send the new user as JSON, with its id: {"id": 1, "name": …, "email": …}';
    fail('the new user, with "id"', printable(reply.text.slice(0, 100)) || "an empty body", hint);
  }
  return { path, reply, user };
}
