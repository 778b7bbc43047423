/**
 * A REST API for users on `Deno.serve`: create, list, get, change and delete them as JSON over HTTP.
 *
 * Look at what the status code says and what the body adds to it: 201 with Location, 404, 409, 412, 422, each with a problem
 * that names what is wrong. `api.ts` is the whole of it, from request to response; here is only where it listens, and where
 * users are kept.
 *
 * ```sh
 * deno run -N=127.0.0.1 rest/server.ts                                          # in memory
 * deno run -N=127.0.0.1 -R=. -W=. rest/server.ts --db users.sqlite              # in a file
 * deno run -N -E rest/server.ts --db postgres://user@127.0.0.1:5432/users    # in a database server
 * ```
 *
 * Then, in a second terminal: `deno run -N=127.0.0.1 rest/client.ts list`, or a browser. Both at once: `deno task rest:users`.
 *
 * RFC 9110 (methods, status codes, conditions), RFC 9457 (problems), RFC 7396 (merge patch), RFC 8288 (links). API: Deno.serve.
 *
 * @module
 */
import {
  announce,
  bind,
  Failure,
  onStop,
  place,
  printable,
  run,
  seconds,
  serverOptions,
  show,
  text,
  toggle,
  whole,
} from "../cli.ts";
import { answer } from "./api.ts";
import { Problem } from "./problem.ts";
import { MemoryStore, type Store, Unavailable } from "./store.ts";

const command = {
  name: "server",
  about: "A REST API for users: /users, /users/{id}, /openapi.json, and a page at /.",
  run: "deno run -N=127.0.0.1 rest/server.ts",
  options: {
    ...serverOptions(5000, ""),
    "timeout": seconds(10, "how long the body of a request may take to arrive"),
    "db": text("", "keep users there: a file, or postgres://…; default: in memory", "FILE|URL"),
    "max-body": whole(65536, "the longest body of a request, in bytes", 1, 1 << 30),
    "quiet": toggle("no line for each request"),
  },
};

await run(command, async (flags) => {
  const store = await openStore(flags.db, flags.timeout);
  const limits = { maxBody: flags["max-body"], timeout: flags.timeout };
  const done = Promise.withResolvers<void>();
  let idle: ReturnType<typeof setTimeout> | undefined;
  let busy = 0;

  const handle = async (request: Request, { remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>): Promise<Response> => {
    clearTimeout(idle);
    busy++;
    if (flags.trace) showRequest(request, remoteAddr);
    let response: Response;
    try {
      response = await answer(request, store, limits);
    } catch (error) {
      console.error(error); // a bug: the client is told no more than that there is one
      response = new Problem(500, "the server has made a mistake").response();
    }
    response.headers.set("x-content-type-options", "nosniff");
    if (flags.trace) await showResponse(response, remoteAddr);
    if (!flags.quiet) {
      const { pathname, search } = new URL(request.url);
      console.log(`${remoteAddr.hostname} ${request.method} ${printable(pathname + search)} ${response.status}`);
    }
    busy--;
    // There is no telling from here when a client has left; a second without a request will do.
    if (flags.once && busy === 0) idle = setTimeout(done.resolve, 1000);
    return response;
  };

  const at = { hostname: flags.host, port: flags.port };
  const listening = Promise.withResolvers<Deno.NetAddr>();
  const server = bind(at, (addr) => Deno.serve({ ...addr, onListen: listening.resolve }, handle));
  onStop(done.resolve);
  announce("Users API", await listening.promise);
  await done.promise;

  // What is being answered is answered; who only keeps a connection open is not waited for.
  await Promise.race([server.shutdown(), new Promise((late) => setTimeout(late, 5000))]);
  await store.close();

  function showRequest(request: Request, from: Deno.NetAddr): void {
    const { pathname, search } = new URL(request.url);
    trace(place(from), place(server.addr), `${request.method} ${pathname}${search}`, request.headers, "");
  }

  async function showResponse(response: Response, to: Deno.NetAddr): Promise<void> {
    const body = response.body ? await response.clone().text() : "";
    trace(place(server.addr), place(to), `${response.status}`, response.headers, body);
  }

  /** What Deno.serve hands over and takes, which is not the bytes of the wire: names in lower case, the framing undone. */
  function trace(from: string, to: string, first: string, headers: Headers, body: string): void {
    const lines = [first, ...[...headers].map(([name, value]) => `${name}: ${value}`), "", body];
    if (flags.trace) show(flags.trace, from, to, new TextEncoder().encode(lines.join("\r\n")));
  }
});

/** Opens the store that `--db` names. The modules of those with a database are read only where they are needed. */
async function openStore(db: string, seconds: number): Promise<Store> {
  if (db === "") return new MemoryStore();
  const shown = printable(db.replace(/\/\/[^@/]*@/, "//")); // not the password
  try {
    if (/^postgres(ql)?:\/\//.test(db)) {
      return await (await import("./postgres_store.ts")).PostgresStore.open(db, seconds);
    }
    return new (await import("./sqlite_store.ts")).SqliteStore(db);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new Failure(`no permission for ${shown}: ${printable(error.message)}`);
    }
    if (error instanceof Unavailable || (error instanceof Error && Reflect.get(error, "code") === "ERR_SQLITE_ERROR")) {
      throw new Failure(`cannot use ${shown}: ${printable(error.message)}`);
    }
    throw error;
  }
}
