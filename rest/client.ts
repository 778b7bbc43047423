/**
 * A client of the users API, on `fetch`: it lists, reads, creates, changes and deletes users.
 *
 * Look at `call`: `fetch` does not throw on a status of 400 or more. The body says what is wrong, and this client prints it.
 *
 * First terminal: `deno run -N=127.0.0.1 rest/server.ts`. This one:
 * `deno run -N=127.0.0.1 rest/client.ts create --name "Ada Lovelace" --email ada@example.com`, then `list`, `get 1`,
 * `update 1 --email countess@example.com`, `delete 1`. Both at once: `deno task rest:users`.
 * RFC 9110 §9 (methods), RFC 9457 (problems), RFC 8288 (links). API: Deno.args, fetch.
 *
 * @module
 */
import {
  clientOptions,
  connect,
  Failure,
  flag,
  formatAddress,
  integer,
  printable,
  run,
  text,
  type Tracing,
} from "../cli.ts";
import { explainFetch } from "../http/_fetch_errors.ts";
import { WebTrace } from "../http/_web_trace.ts";
import { formatJson, parseJson, parseList, parseUser, problemDetail, type User } from "./_reply.ts";

/** Sends one request and reads the response. @throws {Failure} with what the server says is wrong. */
async function call(server: Server, method: string, path: string, input?: Partial<User>): Promise<Reply> {
  const at = nameOf(server);
  const trace = new WebTrace(server, "client", at);
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  const init = input && { body: JSON.stringify(input), headers: { "content-type": type } };
  const { response, text } = await connect(server, async ({ signal }) => {
    if (trace.isOn) await trace.sendRequest(new Request(`http://${at}${path}`, { method, ...init }));
    // A redirect is shown, not followed: it could lead to any server, and repeats the change there.
    const response = await fetch(`http://${at}${path}`, { method, signal, redirect: "manual", ...init });
    return { response, text: await readText(response, at) };
  }).catch((error) => {
    throw explainFetch(error, { hostname: server.host, port: server.port });
  });
  trace.receiveHead(response);
  trace.receive(new TextEncoder().encode(text));
  trace.receiveEnd();

  const body = parseJson(text);
  const status = `${response.status} ${printable(response.statusText)}`;
  const location = response.headers.get("location");
  if (response.status >= 300 && response.status < 400 && location !== null) {
    throw new Failure(`${status}: ${at} redirects to ${printable(location)}`);
  }
  if (!response.ok) throw new Failure(`${status}: ${problemDetail(body)}`);
  if (body === undefined && text !== "") throw new Failure(`${at} did not send JSON: is it a users API?`);
  return { body, nextPath: /<(\/[^>]*)>; *rel="next"/.exec(response.headers.get("link") ?? "")?.[1] };
}

/** Reads page after page of the list, by the link that each page has to the next one. */
async function listUsers(server: Server, limit: number, q: string): Promise<unknown[]> {
  const users: unknown[] = [];
  const query = new URLSearchParams({ limit: `${Math.min(limit, 100)}`, ...q ? { q } : {} });
  let path: string | undefined = `/users?${query}`;
  while (path !== undefined && users.length < limit) {
    const { body, nextPath }: Reply = await call(server, "GET", path);
    const page = parseList(body, nameOf(server));
    for (const user of page.slice(0, limit - users.length)) users.push(user);
    path = page.length > 0 ? nextPath : undefined; // a server could link from one empty page to the next for ever
  }
  return users;
}

/** Which server to call, and how. */
interface Server extends Tracing {
  readonly host: string;
  readonly port: number;
  readonly wait: number;
  readonly timeout: number;
}

/** A response: its JSON, and the path that its link to the next page has. */
interface Reply {
  readonly body: unknown;
  readonly nextPath?: string;
}

/** The longest text of a response, in characters. A page of 100 users has less than a tenth of a megabyte. */
const MAX_TEXT = 16 << 20;

const command = {
  name: "client",
  about: `Lists, reads, creates, changes and deletes users of a REST API.
commands: list (the default), get ID, create --name NAME --email EMAIL, update ID [--name NAME] [--email EMAIL], delete ID`,
  run: "deno run -N=127.0.0.1 rest/client.ts",
  args: "[COMMAND [ID]]",
  examples: [
    "deno task rest-client list",
    "deno task rest-client create --name Ada --email ada@example.com",
    "deno task rest-client update 1 --email countess@example.com",
  ],
  options: {
    ...clientOptions(5050),
    "name": text("", "the user's name"),
    "email": text("", "the user's email"),
    "q": text("", "list: only users with this text in their name or email"),
    "limit": integer(1000, "list: this many users at most", 1, 1_000_000),
    "json": flag("print the server's JSON, with all its fields"),
  },
};

await run(command, async (flags) => {
  const [name = "list", id = ""] = checkArguments(flags);
  const input = { ...flags.name ? { name: flags.name } : {}, ...flags.email ? { email: flags.email } : {} };
  const print = ({ body }: Reply) => {
    const user = parseUser(body, nameOf(flags));
    console.log(flags.json ? formatJson(body) : formatUser(user));
  };

  if (name === "create") print(await call(flags, "POST", "/users", input));
  else if (name === "get") print(await call(flags, "GET", `/users/${id}`));
  else if (name === "update") print(await call(flags, "PATCH", `/users/${id}`, input));
  else if (name === "delete") {
    await call(flags, "DELETE", `/users/${id}`);
    console.log(`deleted user ${id}`);
  } else {
    const list = await listUsers(flags, flags.limit, flags.q);
    const users = list.map((user) => parseUser(user, nameOf(flags)));
    if (flags.json) console.log(formatJson(list));
    else if (users.length === 0) console.log("no users");
    else for (const user of users) console.log(formatUser(user));
  }
});

/** Returns the command and its id. @throws {Failure} with code 2 if there is no such command, or it lacks something. */
function checkArguments({ args, name, email }: { args: string[]; name: string; email: string }): string[] {
  const [command = "list", id, ...rest] = args;
  const usageError = (why: string) => new Failure(`${why} (--help lists the commands)`, 2);
  if (!["list", "get", "create", "update", "delete"].includes(command)) {
    throw usageError(`unknown command ${printable(command)}`);
  }
  const needsId = ["get", "update", "delete"].includes(command);
  const unexpected = needsId ? rest[0] : id;
  if (unexpected !== undefined) throw usageError(`unexpected argument ${printable(unexpected)} of ${command}`);
  if (needsId && !/^\d+$/.test(id ?? "")) {
    throw usageError(`${command} needs the id of a user, for example: ${command} 1`);
  }
  if (command === "create" && !(name && email)) throw usageError("create needs --name and --email");
  if (command === "update" && !name && !email) throw usageError("update needs --name or --email");
  return args;
}

function formatUser({ id, name, email, updated }: User): string {
  return `${`${id}`.padStart(4)}  ${printable(name).padEnd(24)}  ${printable(email).padEnd(32)}  ${printable(updated)}`;
}

/** Reads the text of a response, up to a limit: a server may send without end. */
async function readText(response: Response, from: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length > MAX_TEXT) throw new Failure(`${from} sent more than ${MAX_TEXT >> 20} MiB: is it a users API?`);
  }
  return text + decoder.decode();
}

function nameOf({ host, port }: { host: string; port: number }): string {
  return formatAddress({ hostname: host, port });
}
