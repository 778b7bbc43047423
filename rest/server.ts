/**
 * A REST API for users: create, list, read, change and delete them as JSON over HTTP.
 *
 * Look at the status codes: 201 with Location; 404, 409, 412 and 422 with a problem that names the error. `handle` shows which
 * request does what to the store; `_api.ts` has the details of bodies and conditions.
 *
 * This terminal: `deno run -N=127.0.0.1 rest/server.ts`, or with `-R=. -W=.` and `--db users.sqlite` to store users in a file.
 * The other: `deno run -N=127.0.0.1 rest/client.ts list`, or a browser at http://127.0.0.1:5050/. Both: `deno task rest:users`.
 * RFC 9110 (methods, status codes, conditions), 9457 (problems), 7396 (merge patch), 8288 (links). API: Deno.listen, node:sqlite.
 *
 * @module
 */
import { Failure, flag, integer, printable, run, seconds, serverOptions, text } from "../cli.ts";
import { maxClients } from "../tcp/_clients.ts";
import { dispatch } from "../http/_dispatch.ts";
import { Problem } from "../http/_problem.ts";
import type { WebRequest } from "../http/_web_connection.ts";
import { serveWeb } from "../http/_web_server.ts";
import * as api from "./_api.ts";
import { openapi } from "./_openapi.ts";
import { pageResponse, scriptResponse } from "./_page.ts";
import { MemoryStore, type Store, StoreUnavailable } from "./_store.ts";

/** Handles one request. Throws a `Problem`, or an error of the store, that becomes a response with its status code. */
async function handle(request: WebRequest, store: Store, limits: api.Limits): Promise<Response> {
  const { url } = request;
  const [, id] = /^\/users\/([^/]+)$/.exec(url.pathname) ?? [];
  if (id !== undefined) return await handleUser(request, api.parseId(id), store, limits);
  switch (url.pathname) {
    case "/users":
      return await dispatch(request, {
        GET: () => api.listUsers(url, store),
        POST: async () => {
          const created = await store.create(await api.readInput(request, limits));
          return api.userResponse(created, 201, { location: `/users/${created.user.id}` });
        },
      });
    case "/openapi.json":
      return await dispatch(request, { GET: () => api.jsonResponse(openapi(limits.maxBody)) });
    case "/":
      return await dispatch(request, { GET: pageResponse });
    case "/page.js":
      return await dispatch(request, { GET: scriptResponse });
    default:
      throw new Problem(404, "no such path: /openapi.json lists the paths of this API");
  }
}

/** Handles a request for one user: /users/{id}. */
async function handleUser(request: WebRequest, id: number, store: Store, limits: api.Limits): Promise<Response> {
  return await dispatch(request, {
    GET: async () => api.conditionalResponse(request, await store.get(id)),
    PUT: async () => {
      const input = await api.readInput(request, limits);
      return api.userResponse(await store.update(id, input, await api.expectedVersion(request, store, id)));
    },
    PATCH: async () => {
      const patch = await api.readPatch(request, limits);
      return api.userResponse(await store.update(id, patch, await api.expectedVersion(request, store, id)));
    },
    DELETE: async () => {
      const existed = await store.delete(id, await api.expectedVersion(request, store, id));
      if (!existed) throw api.noSuchUser();
      return new Response(null, { status: 204 });
    },
  });
}

const command = {
  name: "server",
  about: "A REST API for users: /users, /users/{id}, /openapi.json, and a page at /.",
  run: "deno run -N=127.0.0.1 rest/server.ts",
  examples: [
    "deno task rest-server",
    "deno task rest-server --port 5051 --trace",
  ],
  options: {
    ...serverOptions(5050, ""),
    "timeout": seconds(10, "how long a request, its body or the database may take; 0: no limit"),
    "db": text("", "where users are stored: an SQLite file or a postgres:// URL; default: in memory", "FILE|URL"),
    "max-clients": maxClients(1000),
    "exit-after": integer(0, "as --once, but after this many requests; 0: never", 0, 1_000_000),
    "max-body": integer(65536, "the maximum length of a request's body, in bytes", 1, 1 << 30),
    "quiet": flag("do not print a line for each request"),
  },
};

await run(command, async (flags) => {
  const store = await openStore(flags.db, flags.timeout);
  const limits = { maxBody: flags["max-body"], timeout: flags.timeout };
  await serveWeb(flags, "Users API", async (request, { hostname }) => {
    const response = await handle(request, store, limits).catch(api.errorResponse);
    const line = `${hostname} ${request.method} ${request.target} ${response.status}`;
    if (!flags.quiet) console.log(printable(line));
    return response;
  });
  await store.close();
});

/** Opens the store that `--db` names. The module of a database is loaded only if it is needed. */
async function openStore(db: string, timeout: number): Promise<Store> {
  if (db === "") return new MemoryStore();
  const isPostgres = /^postgres(ql)?:\/\//.test(db);
  const shown = printable(db.replace(/\/\/[^@/]*@/, "//")); // without the password
  try {
    if (isPostgres) return await (await import("./_postgres_store.ts")).PostgresStore.open(db, timeout);
    return new (await import("./_sqlite_store.ts")).SqliteStore(db);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      const folder = db.replace(/[^/\\]*$/, "") || ".";
      const permissions = isPostgres ? "-N -E" : `-R=${folder} -W=${folder}`;
      throw new Failure(`no permission to open ${shown}: add ${permissions}`, 2, permissions);
    }
    if (
      error instanceof StoreUnavailable || (error instanceof Error && Reflect.get(error, "code") === "ERR_SQLITE_ERROR")
    ) {
      throw new Failure(`cannot use ${shown}: ${printable(error.message)}`);
    }
    throw error;
  }
}
