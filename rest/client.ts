/**
 * A client of the users API, on `fetch`: a command for each thing that one can do to a user.
 *
 * Look at `call`: a status code of 400 or more is no error to `fetch`. The server says in the body what was wrong, and this
 * client says it on.
 *
 * ```sh
 * deno run -N=127.0.0.1 rest/client.ts create --name "Ada Lovelace" --email ada@example.com
 * deno run -N=127.0.0.1 rest/client.ts list --q ada
 * deno run -N=127.0.0.1 rest/client.ts update 1 --email countess@example.com
 * deno run -N=127.0.0.1 rest/client.ts delete 1
 * ```
 *
 * Start `deno run -N=127.0.0.1 rest/server.ts` in another terminal first. Both at once: `deno task rest:users`.
 *
 * RFC 9110 §9 (methods), RFC 9457 (problems). API: Deno.args, fetch.
 *
 * @module
 */
import { clientOptions, Failure, place, printable, reach, run, show, text, toggle, whole } from "../cli.ts";

const command = {
  name: "client",
  about: `Lists, gets, creates, updates and deletes users of a REST API.
commands: list, get ID, create --name NAME --email EMAIL, update ID [--name NAME] [--email EMAIL], delete ID`,
  run: "deno run -N=127.0.0.1 rest/client.ts",
  args: "COMMAND [ID]",
  options: {
    ...clientOptions(5000),
    "name": text("", "the user's name"),
    "email": text("", "the user's email"),
    "q": text("", "list: only users with this in their name or email"),
    "limit": whole(1000, "list: this many users at most", 1, 1_000_000),
    "json": toggle("print JSON, as it came"),
  },
};

/** A user as the server shows it, as far as this client needs it. */
interface User {
  readonly id: number;
  readonly name: string;
  readonly email: string;
  readonly updated: string;
}

await run(command, async (flags) => {
  const [name = "list", id, ...rest] = flags.args;
  const base = `http://${place({ hostname: flags.host, port: flags.port })}`;
  const wrong = (why: string) => new Failure(`${why} (--help tells the commands)`, 2);
  if (!["list", "get", "create", "update", "delete"].includes(name)) {
    throw wrong(`there is no command ${printable(name)}`);
  }
  const wantsId = ["get", "update", "delete"].includes(name);
  if (rest.length > 0 || (!wantsId && id !== undefined)) {
    throw wrong(`${name} takes no ${printable(rest[0] ?? id ?? "")}`);
  }
  if (wantsId && !/^\d+$/.test(id ?? "")) throw wrong(`${name} wants the number of a user`);
  const given = { ...flags.name ? { name: flags.name } : {}, ...flags.email ? { email: flags.email } : {} };
  if (name === "create" && !(flags.name && flags.email)) throw wrong("create wants --name and --email");
  if (name === "update" && Object.keys(given).length === 0) throw wrong("update wants --name or --email");

  if (name === "list") await list();
  else if (name === "create") print(await call("POST", "/users", given));
  else if (name === "get") print(await call("GET", `/users/${id}`));
  else if (name === "update") print(await call("PATCH", `/users/${id}`, given));
  else {
    await call("DELETE", `/users/${id}`);
    console.log(`deleted user ${id}`);
  }

  /** Gets page after page, by the links that each has to the next. */
  async function list(): Promise<void> {
    const users: User[] = [];
    const size = Math.min(flags.limit, 100);
    let path = `/users?${new URLSearchParams({ limit: `${size}`, ...flags.q ? { q: flags.q } : {} })}`;
    while (path && users.length < flags.limit) {
      const { body, link } = await call("GET", path);
      if (!Array.isArray(body)) throw new Failure(`${base} sent no list of users`);
      users.push(...body.map(parse));
      path = /<(\/[^>]*)>; *rel="next"/.exec(link)?.[1] ?? "";
    }
    users.length = Math.min(users.length, flags.limit);
    if (flags.json) console.log(JSON.stringify(users));
    else if (users.length === 0) console.log("no users");
    else for (const user of users) console.log(line(user));
  }

  function print({ body }: Reply): void {
    const user = parse(body);
    console.log(flags.json ? JSON.stringify(body) : line(user));
  }

  /** One request. @throws {Failure} that says what the server found wrong with it. */
  async function call(method: string, path: string, body?: unknown): Promise<Reply> {
    const init = body === undefined ? {} : {
      body: JSON.stringify(body),
      headers: { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" },
    };
    const trace = (from: string, to: string, first: string, text: string) => {
      if (flags.trace) show(flags.trace, from, to, new TextEncoder().encode(`${first}\r\n\r\n${text}`));
    };
    const { response, text } = await reach(flags, async (signal) => {
      trace("client", place({ hostname: flags.host, port: flags.port }), `${method} ${path}`, init.body ?? "");
      const response = await fetch(base + path, { method, signal, ...init });
      return { response, text: await response.text() };
    });
    trace(place({ hostname: flags.host, port: flags.port }), "client", `${response.status}`, text);
    const value = parseJson(text);
    if (!response.ok) throw new Failure(`${response.status} ${printable(response.statusText)}: ${reason(value)}`);
    if (value === undefined && text !== "") throw new Failure(`${base} sent no JSON: is it a users API?`);
    return { body: value, link: response.headers.get("link") ?? "" };
  }
});

interface Reply {
  readonly body: unknown;
  readonly link: string;
}

function parse(value: unknown): User {
  const { id, name, email, updated }: Record<string, unknown> = { ...(typeof value === "object" ? value : {}) };
  if (typeof id === "number" && typeof name === "string" && typeof email === "string" && typeof updated === "string") {
    return { id, name, email, updated };
  }
  throw new Failure("the server sent something that is no user: is it a users API?");
}

function line({ id, name, email, updated }: User): string {
  return `${`${id}`.padStart(4)}  ${printable(name).padEnd(24)}  ${printable(email).padEnd(32)}  ${printable(updated)}`;
}

/** What a problem says (RFC 9457): the detail, which names the fields. */
function reason(value: unknown): string {
  const detail = value !== null && typeof value === "object" && "detail" in value ? value.detail : undefined;
  return typeof detail === "string" ? printable(detail) : "the server does not say why";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
