/** The users API: the suite on every store, crashes, full disks, the client's commands, and misuse. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "jsr:@std/assert@1";
import { DatabaseSync } from "node:sqlite";
import { openapi } from "../rest/_openapi.ts";
import { PostgresStore } from "../rest/_postgres_store.ts";
import { formatJson } from "../rest/_reply.ts";
import { SqliteStore } from "../rest/_sqlite_store.ts";
import { DuplicateEmail, MemoryStore, type Store, StoreUnavailable, VersionConflict } from "../rest/_store.ts";
import { InvalidUser, parseInput, parsePatch } from "../rest/_user.ts";
import { suites } from "./suites/suites.ts";
import { Description } from "./support/described.ts";
import { freePort } from "./support/free_port.ts";
import {
  descriptors,
  failedWith,
  listening,
  memory,
  noSignals,
  postgres,
  postgresPrograms,
  runClient,
  serve,
  signals,
  suiteTest,
  testWith,
  until,
} from "./support/helpers.ts";
import { optionsTest } from "./support/options.ts";
import { has, output, Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";
import "./parts/rest.ts";

const linux = Deno.build.os === "linux";
const programs = linux ? await postgresPrograms() : "";
const maxBody = 65536; // the default of --max-body

/** The server on a database file in a folder. */
async function serveFile(folder: string, ...args: string[]): Promise<{ program: Program; port: number; at: string }> {
  const flags = [
    "-N=127.0.0.1",
    `-R=${folder}`,
    `-W=${folder}`,
    "rest/server.ts",
    "--db",
    `${folder}/users.sqlite`,
    ...args,
  ];
  const started = await listening((port) => ["deno", "run", ...flags, "--port", `${port}`]);
  return { ...started, at: `http://127.0.0.1:${started.port}` };
}

const post = (at: string, body: unknown) =>
  fetch(`${at}/users`, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });

/** Sends a request as it stands; `fetch` would change its Host field. */
async function exchange(port: number, ...head: string[]): Promise<{ status: number; headers: Headers; text: string }> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(new TextEncoder().encode([...head, "Connection: close", "", ""].join("\r\n")));
  const [first = "", text = ""] = (await new Response(conn.readable).text()).split("\r\n\r\n");
  const [line = "", ...fields] = first.split("\r\n");
  const pairs = fields.map((field): [string, string] => [field.replace(/:.*/, ""), field.replace(/^[^:]*: */, "")]);
  return { status: Number(line.split(" ")[1]), headers: new Headers(pairs), text };
}

optionsTest("rest/server.ts", {
  "host": "127.0.0.1",
  "port": "5050, 0 to 65535",
  "timeout": "10",
  "max-body": "65536, 1 to 1073741824",
  "exit-after": "0, 0 to 1000000",
  "max-clients": "1000, 1 to 1000000",
});
optionsTest("rest/client.ts", {
  "host": "127.0.0.1",
  "port": "5050, 1 to 65535",
  "wait": "0",
  "timeout": "5",
  "limit": "1000, 1 to 1000000",
});

suiteTest("rest:users", "rest/server.ts in memory", () => serve("rest/server.ts"));
suiteTest("rest:users", "rest/server.ts --trace", () => serve("rest/server.ts", "--trace"));
const folderOfSuite = await Deno.makeTempDir();
suiteTest("rest:users", "rest/server.ts on SQLite", () => serveFile(folderOfSuite));
globalThis.addEventListener("unload", () => Deno.removeSync(folderOfSuite, { recursive: true }));

testWith(programs !== "", "PostgreSQL (apt-get install postgresql)", "rest:users on PostgreSQL", async (t) => {
  const database = await postgres(programs);
  try {
    const suite = suites["rest:users"];
    if (suite?.role !== "server") throw new Error("there is no suite");
    const port = freePort();
    const command = ["deno", "run", "-N=127.0.0.1", "-E", "rest/server.ts", "--port", `${port}`, "--db", database.url];
    await using program = new Program(command, { cwd: root });
    await program.line(/listening on /i);
    for (const check of suite.checks) await t.step(check.name, () => check.run({ hostname: "127.0.0.1", port }));
    await t.step("a second server on the same database", async () => {
      const other = freePort();
      const again = command.map((word) => word === `${port}` ? `${other}` : word);
      await using second = new Program(again, { cwd: root });
      await second.line(/listening on /i);
      const made = await post(`http://127.0.0.1:${port}`, { name: "shared", email: "shared@example.com" });
      const { id } = await made.json();
      const got = await (await fetch(`http://127.0.0.1:${other}/users/${id}`)).json();
      assertEquals(got.name, "shared");
    });
    await t.step("the store itself", async () => {
      const store = await PostgresStore.open(database.url, 5);
      await exercise(store);
      await store.close();
    });
    await t.step("a database that is silent is 503 in time, and one that is back is used at once", async () => {
      const gate = new Gate(Number(new URL(database.url).port));
      await gate.open();
      const through = database.url.replace(/:\d+\//, `:${gate.port}/`);
      const db = freePort();
      const words = command.map((word) => word === `${port}` ? `${db}` : word === database.url ? through : word);
      await using server = new Program([...words, "--timeout", "1"], { cwd: root });
      await server.line(/listening on /i);
      const statuses = async (count: number) => {
        const url = `http://127.0.0.1:${db}/users`;
        const signal = AbortSignal.timeout(15_000);
        const responses = await Promise.all(Array.from({ length: count }, () => fetch(url, { signal })));
        for (const response of responses) await response.body?.cancel();
        return [...new Set(responses.map(({ status }) => status))];
      };
      assertEquals(await statuses(16), [200]);
      gate.freeze(); // it still accepts connections, as a frozen process does
      assertEquals(await statuses(16), [503]);
      assertEquals(await statuses(16), [503]);
      await gate.open();
      await until(async () => (await statuses(16)).join() === "200", "the database is used", 8);
      await gate.close();
      for (let i = 0; i < 6; i++) assertEquals(await statuses(16), [503]);
      await gate.open();
      // After so many failed attempts, the next one must not be seconds away.
      await until(async () => (await statuses(16)).join() === "200", "the database is used", 8);
      await gate.close();
      assertEquals(server.status, undefined);
      assert(!/^ +at /m.test(server.stderr), server.stderr);
    });
    await t.step("a query that takes too long is cancelled, and the change is not made", async () => {
      const store = await PostgresStore.open(database.url, 0.5);
      const { user } = await store.create({ name: "locked", email: "locked@example.com" });
      const { default: connect } = await import("npm:postgres@3");
      const other = connect(database.url, { max: 1 });
      await other.begin(async (sql) => {
        await sql`SELECT * FROM users WHERE id = ${user.id} FOR UPDATE`;
        await assertRejects(() => store.update(user.id, { name: "late" }), StoreUnavailable, "did not answer in time");
      });
      await other.end();
      assertEquals((await store.get(user.id))?.user.name, "locked");
      await store.close();
    });
    await t.step("a database that goes away is 503, and the server keeps running", async () => {
      await database.stop();
      const response = await fetch(`http://127.0.0.1:${port}/users`);
      assertEquals([response.status, response.headers.get("content-type")], [503, "application/problem+json"]);
      await response.body?.cancel();
    });
    await t.step("a database that cannot be reached is one line and exit code 1", async () => {
      const program = new Program(command.map((word) => word === `${port}` ? "0" : word), { cwd: root });
      await program.end();
      failedWith(program, 1, /^server: cannot use postgres:\/\/127\.0\.0\.1:\d+\/postgres: /m);
    });
  } finally {
    await database.remove();
  }
});

/** Forwards connections to a port of this machine, until it is frozen or closed. */
class Gate {
  readonly port = freePort();
  #listener: Deno.TcpListener | undefined;
  #accepting: Promise<void> | undefined;
  #frozen = false;
  readonly #conns = new Set<Deno.TcpConn>();

  constructor(readonly target: number) {}

  /** Forwards new connections. */
  async open(): Promise<void> {
    await this.close();
    this.#frozen = false;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: this.port });
    this.#accepting = this.#accept(this.#listener).catch((error) => {
      if (!(error instanceof Deno.errors.BadResource)) throw error; // it was closed
    });
  }

  /** From now on every byte is lost. */
  freeze(): void {
    this.#frozen = true;
  }

  /** Refuses connections, and ends those there are. */
  async close(): Promise<void> {
    this.#listener?.close();
    this.#listener = undefined;
    await this.#accepting;
    for (const conn of this.#conns) conn.close();
    this.#conns.clear();
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    for await (const conn of listener) {
      const other = await Deno.connect({ hostname: "127.0.0.1", port: this.target });
      for (const [from, to] of [[conn, other], [other, conn]] as const) {
        this.#conns.add(from);
        this.#forward(from, to).catch(() => {}).finally(() => {
          for (const each of [from, to]) if (this.#conns.delete(each)) each.close();
        });
      }
    }
  }

  async #forward(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
      if (this.#frozen) continue;
      for (let sent = 0; sent < n;) sent += await to.write(buffer.subarray(sent, n));
    }
  }
}

/** What every store must do, and which errors it throws. */
async function exercise(store: Store): Promise<void> {
  const mark = crypto.randomUUID();
  const ada = await store.create({ name: "Ada", email: `ada@${mark}` });
  assertEquals([ada.version, ada.user.created], [1, ada.user.updated]);
  await assertRejects(async () => await store.create({ name: "Other", email: `ADA@${mark}` }), DuplicateEmail);
  const changed = await store.update(ada.user.id, { name: "Ada L." }, 1);
  assertEquals([changed?.version, changed?.user.name, changed?.user.email], [2, "Ada L.", `ada@${mark}`]);
  await assertRejects(async () => await store.update(ada.user.id, { name: "X" }, 1), VersionConflict);
  await assertRejects(async () => await store.delete(ada.user.id, 1), VersionConflict);
  const [ä, percent] = [await store.create({ name: "Ärger 100%_", email: `x@${mark}` }), `%${mark}`];
  assertEquals((await store.list({ limit: 9, after: 0, q: "äRGER 100%_" })).map(({ id }) => id), [ä.user.id]);
  assertEquals(await store.list({ limit: 9, after: 0, q: percent }), [], "a percent sign is not a pattern");
  assertEquals((await store.list({ limit: 1, after: ada.user.id, q: mark })).map(({ id }) => id), [ä.user.id]);
  const hostile = await store.create({ name: "'); DROP TABLE users; --", email: `y@${mark}` });
  assertEquals((await store.get(hostile.user.id))?.user.name, "'); DROP TABLE users; --");
  await assertRejects(async () => await store.update(hostile.user.id, { email: `X@${mark}` }), DuplicateEmail);
  assertEquals((await store.get(hostile.user.id))?.version, 1, "a failed change changes nothing");
  for (const { user } of [ada, ä, hostile]) assertEquals(await store.delete(user.id), true);
  assertEquals([await store.delete(ada.user.id), await store.get(ada.user.id)], [false, undefined]);
  assertEquals(await store.update(ada.user.id, { name: "X" }), undefined);
  assert(
    (await store.create({ name: "New", email: `ada@${mark}` })).user.id > hostile.user.id,
    "an id is not used again",
  );
  const times = await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    try {
      return (await store.create({ name: `${i}`, email: `same@${mark}` })).version;
    } catch (error) {
      assert(error instanceof DuplicateEmail);
      return 0;
    }
  }));
  assertEquals(times.filter((version) => version === 1).length, 1);
}

Deno.test("the stores in memory and in a file do the same", async () => {
  await exercise(new MemoryStore());
  const folder = await Deno.makeTempDir();
  const store = new SqliteStore(`${folder}/users.sqlite`);
  await exercise(store);
  store.close();
  await Deno.remove(folder, { recursive: true });
  const small = new MemoryStore(1);
  small.create({ name: "a", email: "a@b" });
  assertThrows(() => small.create({ name: "b", email: "b@b" }), StoreUnavailable);
});

Deno.test("valid and invalid users", () => {
  assertEquals(parseInput({ name: "Ünï 👋", email: "a+b@ex.ample", id: 7, created: "x" }), {
    name: "Ünï 👋",
    email: "a+b@ex.ample",
  });
  assertEquals(parsePatch({}), {});
  const errors = (value: unknown, parse: (value: unknown) => unknown = parseInput) => {
    const error = assertThrows(() => parse(value), InvalidUser);
    return error instanceof InvalidUser ? error.errors.map(({ pointer, detail }) => `${pointer} ${detail}`) : [];
  };
  assertEquals(errors({}), ["#/name is missing", "#/email is missing"]);
  assertEquals(errors({ name: " ", email: "a@b@c", "a/b~c": 1 }), [
    "#/name is empty",
    "#/email is not an email address",
    "#/a~1b~0c is not a field of a user",
  ]);
  assertEquals(errors({ name: null }, parsePatch), ["#/name cannot be removed"]);
  assertEquals(errors({ name: "a\u202eb\u2028", email: "a b@c" }), [
    "#/name has control characters",
    "#/email is not an email address",
  ]);
  assertEquals(errors({ name: "\ud800", email: "a@b" }), ["#/name has control characters"]);
  // A character beyond U+FFFF counts once.
  const emoji = "😀".repeat(100);
  assertEquals(parsePatch({ name: emoji, email: `${"😀".repeat(64)}@x` }).name, emoji);
  assertEquals(errors({ name: `${emoji}x` }, parsePatch), ["#/name is longer than 100 characters"]);
  assertEquals(errors({ email: `${"😀".repeat(65)}@x` }, parsePatch), ["#/email is not an email address"]);
  assertEquals(errors({ name: "\u200b \u3000" }, parsePatch), ["#/name is empty"]);
  assertEquals(parsePatch({ name: "\u0928\u200d\u092e" }).name, "\u0928\u200d\u092e"); // a joiner of some scripts
  // RFC 6901 §6: a pointer is a valid URI fragment, whatever the field's name is.
  assertEquals(errors({ "a#b": 1, "\ud800": 1, "ä\n": 1 }, parsePatch), [
    "#/a%23b is not a field of a user",
    "#/%EF%BF%BD is not a field of a user",
    "#/%C3%A4%0A is not a field of a user",
  ]);
  for (const value of [null, 1, "x", []]) assertEquals(errors(value), ["# a user must be a JSON object"]);
  const proto = JSON.parse('{"__proto__": {"name": "x"}, "name": "a", "email": "a@b"}');
  assertEquals(errors(proto), ["#/__proto__ is not a field of a user"]);
});

Deno.test("openapi.json is complete and true: every path, method, status code, type and body", async () => {
  const description = new Description(openapi(maxBody));
  const seen = new Set<string>();
  const { program, port } = await serve("rest/server.ts", "--timeout", "0.2");
  await using _ = program;
  const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    const raw = typeof body === "string" || body instanceof ReadableStream ? body : JSON.stringify(body);
    const init = { method, body: raw, headers: { ...raw === undefined ? {} : { "content-type": type }, ...headers } };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    check(method, path, response.status, response.headers, await response.text());
  };
  const check = (method: string, path: string, status: number, headers: Headers, text: string) => {
    const template = path.replace(/\?.*/, "").replace(/^\/users\/.+/, "/users/{id}");
    const operation = description.operations.find((each) => each.method === method && each.path === template);
    if (!operation) throw new Error(`${method} ${template} is not in the description`);
    description.check(operation, status, headers, text);
    seen.add(`${method} ${template} ${status}`);
  };
  const user = { name: "Ada", email: "ada@example.com" };
  const long = { ...user, name: "x".repeat(maxBody) };
  const plain = { "content-type": "text/plain" };
  const slow = () => new ReadableStream<Uint8Array<ArrayBuffer>>({ start: (body) => body.enqueue(new Uint8Array(1)) });
  await ask("POST", "/users", user);
  await ask("POST", "/users", { ...user, email: "alan@example.com" });
  await ask("GET", "/users?limit=1");
  await ask("GET", "/users?limit=0");
  await ask("GET", "/users/1");
  await ask("GET", "/users/1", undefined, { "if-none-match": '"v1"' });
  await ask("GET", "/users/99");
  await ask("POST", "/users", "{");
  await ask("POST", "/users", user);
  await ask("POST", "/users", long);
  await ask("POST", "/users", user, plain);
  await ask("POST", "/users", {});
  await ask("POST", "/users", slow());
  for (const method of ["PUT", "PATCH"]) {
    await ask(method, "/users/1", user);
    await ask(method, "/users/1", "{");
    await ask(method, "/users/99", user);
    await ask(method, "/users/2", user);
    await ask(method, "/users/1", user, { "if-match": '"v0"' });
    await ask(method, "/users/1", long);
    await ask(method, "/users/1", user, plain);
    await ask(method, "/users/1", { name: 1 });
    await ask(method, "/users/1", slow());
  }
  await ask("DELETE", "/users/1", undefined, { "if-match": '"v0"' });
  await ask("DELETE", "/users/1");
  await ask("DELETE", "/users/1");
  for (const { method, path } of description.operations) {
    const target = path.replace("{id}", "1");
    for (const host of ["evil.example", "a b"]) {
      const { status, headers, text } = await exchange(port, `${method} ${target} HTTP/1.1`, `Host: ${host}`);
      check(method, target, status, headers, text);
    }
  }
  // These depend on the store: other tests show them.
  const ofTheStore = ["500", "503", "507"];
  const documented = description.operations.flatMap(({ method, path, responses }) =>
    Object.keys(responses).filter((code) => !ofTheStore.includes(code)).map((code) => `${method} ${path} ${code}`)
  );
  assertEquals(documented.filter((each) => !seen.has(each)), [], "documented, and does not happen");
});

testWith(linux, "kill -9", "rest/server.ts on SQLite: acknowledged changes survive kill -9", async () => {
  const folder = await Deno.makeTempDir();
  const acknowledged = new Set<string>();
  for (let round = 0; round < 3; round++) {
    const { program, at } = await serveFile(folder, "--quiet");
    let sending = true;
    const clients = Array.from({ length: 8 }, async () => {
      while (sending) {
        const email = `${crypto.randomUUID()}@example.com`;
        try {
          const response = await post(at, { name: "n", email });
          await response.body?.cancel();
          if (response.status === 201) acknowledged.add(email);
        } catch (error) {
          if (!(error instanceof TypeError)) throw error; // the server was killed
          return;
        }
      }
    });
    await until(() => acknowledged.size > (round + 1) * 100, "some users");
    program.signal("SIGKILL");
    await Promise.all(clients);
    sending = false;
    await program.ended;
  }
  const store = new SqliteStore(`${folder}/users.sqlite`);
  const kept = new Set((await store.list({ limit: 1_000_000, after: 0, q: "" })).map(({ email }) => email));
  store.close();
  assertEquals([...acknowledged].filter((email) => !kept.has(email)), []);
  await Deno.remove(folder, { recursive: true });
});

const mounts = linux && await has("unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt");
testWith(
  mounts,
  "right to mount",
  "rest/server.ts on SQLite: a full disk is 507, and reading still works",
  async () => {
    await using cleanup = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir();
    cleanup.defer(() => Deno.remove(folder, { recursive: true }));
    const port = freePort();
    const flags = ["-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`];
    const server = ["rest/server.ts", "--quiet", "--port", `${port}`, "--db", `${folder}/users.sqlite`];
    const mount = 'mount -t tmpfs -o size=2m none "$0" && exec "$@"';
    const argv = ["unshare", "-m", "sh", "-c", mount, folder, Deno.execPath(), "run", ...flags, ...server];
    await using program = new Program(argv, { cwd: root });
    await program.line(/listening on /i);
    const at = `http://127.0.0.1:${port}`;
    let status = 201;
    let made = 0;
    while (status === 201 && made < 10_000) {
      const response = await post(at, { name: "x".repeat(100), email: `${crypto.randomUUID()}@example.com` });
      if ((status = response.status) === 201) made++;
      else assertEquals((await response.json()).detail, "the database's disk is full");
      await response.body?.cancel().catch(() => {});
    }
    assertEquals([status, made > 50], [507, true]);
    const listed = await (await fetch(`${at}/users?limit=100`)).json();
    assertEquals(listed.length, Math.min(made, 100));
    assertEquals(program.status, undefined);
  },
);

Deno.test("rest/server.ts on SQLite: while another process writes, changes wait and reading works; then they are made", async () => {
  const folder = await Deno.makeTempDir();
  {
    const { program, at } = await serveFile(folder, "--quiet");
    await using _ = program;
    const other = new DatabaseSync(`${folder}/users.sqlite`);
    other.exec("BEGIN IMMEDIATE");
    const posts = Array.from({ length: 5 }, (_, i) => post(at, { name: "n", email: `${i}@example.com` }));
    for (let i = 0; i < 20; i++) assertEquals(await (await fetch(`${at}/users`)).text(), "[]");
    other.exec("COMMIT");
    other.close();
    for (const response of await Promise.all(posts)) {
      assertEquals(response.status, 201);
      await response.body?.cancel();
    }
    assertEquals(program.stderr, "");
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("rest/server.ts on SQLite: a table that is gone is 503 and one line, without a stack trace", async () => {
  const folder = await Deno.makeTempDir();
  {
    const { program, at } = await serveFile(folder);
    await using _ = program;
    const other = new DatabaseSync(`${folder}/users.sqlite`);
    other.exec("DROP TABLE users");
    other.close();
    for (const send of [() => fetch(`${at}/users`), () => post(at, { name: "n", email: "a@b" })]) {
      const response = await send();
      assertEquals([response.status, response.headers.get("retry-after")], [503, "5"]);
      assertStringIncludes(await response.text(), "the database reports an error: see the server's log");
    }
    assertMatch(program.stderr, /^(database: no such table: users.*\n){2}$/);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("rest/server.ts: a database that cannot be used is one line and exit code 1", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/users.sqlite`, "this is not a database, but it is long enough to be examined");
  const run = async (...args: string[]) => {
    const program = new Program(["deno", "run", "--no-prompt", "-N=127.0.0.1", ...args, "--port=0"], { cwd: root });
    await program.end();
    return program;
  };
  const all = [`-R=${folder}`, `-W=${folder}`, "rest/server.ts", "--db"];
  failedWith(
    await run(...all, `${folder}/users.sqlite`),
    1,
    /^server: cannot use .*users\.sqlite: file is not a database$/m,
  );
  failedWith(
    await run(...all, `${folder}/none/users.sqlite`),
    1,
    /^server: cannot use .*: unable to open database file: .*$/m,
  );
  for (const url of ["postgres://[", "postgres://u:%zz@127.0.0.1/", "postgres://127.0.0.1:1/x", "postgresql://"]) {
    const program = await run("-E", "-S=uid", "rest/server.ts", "--db", url);
    failedWith(program, 1, /^server: cannot use postgres(ql)?:\/\/.*: \S.*$/m);
  }
  failedWith(
    await run("rest/server.ts", "--db", "users.sqlite"),
    2,
    /^server: no permission to open users\.sqlite: add -R=\. -W=\.: deno run "?-R=\."? "?-W=\."? "?-N=.* --db users\.sqlite .*$/m,
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("rest/client.ts: every command, what it prints, and its exit codes", async () => {
  const { program: server, port } = await serve("rest/server.ts");
  await using _ = server;
  const run = async (...args: string[]) => await runClient("rest/client.ts", port, ...args);
  assertEquals((await run("list")).stdout, "no users\n");
  const made = await run("create", "--name", "Ada \u202e Lovelace", "--email", "ada@example.com");
  failedWith(made, 1, /^client: 422 Unprocessable Entity: name has control characters$/m);
  const ada = await run("create", "--name", "Ada Lovelace", "--email", "ada@example.com");
  assertMatch(ada.stdout, /^ {3}1 {2}Ada Lovelace {14}ada@example\.com {19}\d{4}-/);
  failedWith(
    await run("create", "--name", "B", "--email", "ADA@example.com"),
    1,
    /^client: 409 Conflict: another user has this email$/m,
  );
  assertMatch((await run("update", "1", "--name", "Countess")).stdout, /Countess +ada@example\.com/);
  assertEquals(JSON.parse((await run("get", "1", "--json")).stdout).name, "Countess");
  for (let i = 0; i < 120; i++) {
    await (await post(`http://127.0.0.1:${port}`, { name: `n${i}`, email: `${i}@many.example` })).body?.cancel();
  }
  assertEquals(JSON.parse((await run("list", "--json", "--q", "MANY")).stdout).length, 120);
  const [first] = JSON.parse((await run("list", "--json", "--limit", "1")).stdout);
  assertEquals(Object.keys(first), ["id", "name", "email", "created", "updated"], "unchanged");
  assertEquals((await run("list", "--limit", "7")).stdout.trim().split("\n").length, 7);
  const traced = await run("get", "2", "--trace");
  assertMatch(traced.stderr, new RegExp(`client → 127\\.0\\.0\\.1:${port} [^]*"GET /users/2 HTTP/1\\.1\\\\r\\\\n`));
  assertMatch(traced.stderr, /→ client [^]*"HTTP\/1\.1 200 OK\\r\\n[^]*\{"id":2,/);
  assertEquals((await run("delete", "1")).stdout, "deleted user 1\n");
  failedWith(await run("get", "1"), 1, /^client: 404 Not Found: there is no such user$/m);
  for (
    const args of [["fly"], ["get"], ["get", "x"], ["delete", "1", "2"], ["list", "1"], ["create", "--name", "x"], [
      "update",
      "1",
    ]]
  ) {
    const program = await run(...args);
    assertEquals([program.status?.code, program.stderr.trimEnd().split("\n").length], [2, 1], program.stderr);
  }
});

Deno.test("rest/server.ts: a malformed Host or method is a problem and one line, and --once still ends", async () => {
  const { program, port } = await serve("rest/server.ts", "--once");
  await using _ = program;
  const hosts = ["a b", "a:99999", "[::1", "a/b", "a?b", "1.2.3.4.5"];
  for (const host of hosts) {
    const { status, headers, text } = await exchange(port, "GET /users HTTP/1.1", `Host: ${host}`);
    assertEquals([status, headers.get("content-type")], [400, "application/problem+json"], host);
    assertStringIncludes(text, '"detail":"malformed Host field: it must be a name or an address, and perhaps a port"');
  }
  // A name that every JavaScript object has.
  assertEquals((await exchange(port, "toString /users HTTP/1.1", "Host: localhost")).status, 405);
  assertEquals((await program.end()).code, 0);
  assertEquals(program.stderr, "");
  const lines = program.stdout.trimEnd().split("\n").slice(1);
  assertEquals(lines.length, hosts.length + 1, program.stdout);
  for (const line of lines.slice(0, -1)) assertMatch(line, /^127\.0\.0\.1 - 400: malformed Host field/);
  assertEquals(lines.at(-1), "127.0.0.1 toString /users 405");
});

Deno.test("rest/server.ts: --exit-after 2 waits for a slow second client, and ends after it", async () => {
  const { program, port } = await serve("rest/server.ts", "--exit-after", "2");
  await using _ = program;
  const list = async () => (await exchange(port, "GET /users HTTP/1.1", "Host: localhost")).status;
  assertEquals(await list(), 200);
  await new Promise((later) => setTimeout(later, 1500)); // longer than --once would wait
  assertEquals(await list(), 200);
  assertEquals([(await program.end()).code, program.stderr], [0, ""]);
});

Deno.test("rest/server.ts: a page of another site that points its name to this machine gets 421", async () => {
  const { program, port } = await serve("rest/server.ts");
  await using _ = program;
  const ask = (line: string, ...fields: string[]) => exchange(port, line, ...fields);
  for (const target of ["/", "/users", "/openapi.json", "/nothing"]) {
    const { status, headers, text } = await ask(`GET ${target} HTTP/1.1`, `Host: evil.example:${port}`);
    assertEquals([status, headers.get("content-type")], [421, "application/problem+json"]);
    assertEquals(JSON.parse(text).status, 421);
  }
  // An absolute target goes before the Host field (RFC 9112 §3.2.2).
  assertEquals((await ask("GET http://evil.example/users HTTP/1.1", "Host: localhost")).status, 421);
  assertEquals((await ask("GET http://localhost/users HTTP/1.1", "Host: evil.example")).status, 200);
  for (const host of [`127.0.0.1:${port}`, "LocalHost", "users.localhost", "[::1]"]) {
    assertEquals((await ask("GET /users HTTP/1.1", `Host: ${host}`)).status, 200, host);
  }
  assertEquals((await ask("GET /users HTTP/1.0")).status, 200);
  await program.stop();
  const lines = program.stdout.trimEnd().split("\n").filter((line) => line.includes(" 421"));
  assertEquals([lines.length, program.stderr], [5, ""]);
  assertEquals(lines[1], `127.0.0.1 GET /users 421: no name of loopback: evil.example:${port}`);
});

testWith(
  signals,
  noSignals,
  "rest/server.ts: --once, a connected client, then Ctrl-C: exit code 0 within 5 s, no stack trace",
  async () => {
    const { program, port } = await serve("rest/server.ts", "--once");
    await using _ = program;
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new TextEncoder().encode("GET /users HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    await conn.read(new Uint8Array(1000));
    program.signal("SIGINT");
    assertEquals([(await program.end(6)).code, program.stderr], [0, ""]);
  },
);

Deno.test("rest/client.ts: a response of more than 16 MiB is not read to its end", async () => {
  const body = " ".repeat((16 << 20) + 1);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response(body));
  const program = await runClient("rest/client.ts", server.addr.port, "list");
  failedWith(program, 1, /^client: 127\.0\.0\.1:\d+ sent more than 16 MiB: is it a users API\?$/m);
  await server.shutdown();
});

Deno.test("rest/client.ts: at another API it says in one line which form came and which it wanted", async () => {
  const user = '{"id": 1, "name": "Ada", "email": "ada@example.com", "updated": "2026-01-31T12:00:00Z"}';
  const list = /instead of a list of users: \[{"id": 1, "name": "Ada", …}, …\]$/m;
  const fields = /instead of a user with id \(a number\), name, email and updated \(strings\)$/m;
  const keyed = '{"ada": {"email": "ada@example.com"}, "alan": {"email": "alan@example.com"}}';
  const cases: [command: string, status: string, body: string, ...lines: RegExp[]][] = [
    ["list", "200 OK", keyed, /^client: 127\.0\.0\.1:\d+ sent an object with the fields ada, alan instead of/m, list],
    ["list", "200 OK", "{}", /sent an empty object instead of/, list],
    ["list", "200 OK", '"none"', /sent the string "none" instead of/, list],
    ["list", "200 OK", "hello", /did not send JSON: is it a users API\?$/m],
    ["list", "200 OK", "[7]", /sent 7 instead of/, fields],
    ["list", "200 OK", user, /sent an object with the fields id, name, email, updated instead of/, list],
    ["get", "200 OK", `[${user}]`, /sent a list instead of/, fields],
    ["get", "200 OK", user.replace("1", '"1"'), /sent a user whose id is the string "1" instead of/, fields],
    ["get", "200 OK", '{"username": "ada"}', /sent an object with the field username instead of/, fields],
    [
      "create",
      "201 Created",
      '{"message": "User created"}',
      /sent an object with the field message instead of/,
      fields,
    ],
    ["create", "201 Created", "", /sent something that is not JSON instead of/, fields],
    [
      "get",
      "404 NOT FOUND",
      '{"error": "\\u202eno"}',
      /404 Not Found: the server does not say why: it sent an object with the field error instead of a problem with the field detail$/m,
    ],
    [
      "get",
      "500 Oh",
      "<html>",
      /500 Internal Server Error: the server does not say why: it sent something that is not JSON /,
    ],
    [
      "delete",
      "405 Oh",
      '{"a\\n":1,"b":1,"c":1,"d":1,"e":1,"f":1}',
      /it sent an object with the fields a\\n, b, c, d, e, … instead/,
    ],
    ["get", "302 Found", "", /302 Found: 127\.0\.0\.1:\d+ redirects to \/users\/$/m],
  ];
  for (const [name, status, body, ...lines] of cases) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const served = (async () => {
      using conn = await listener.accept();
      await conn.read(new Uint8Array(4096));
      const location = status.startsWith("3") ? "Location: /users/\r\n" : "";
      const head = `HTTP/1.1 ${status}\r\n${location}Content-Length: ${body.length}\r\n\r\n`;
      await conn.write(new TextEncoder().encode(head + body));
    })();
    const args = name === "create" ? ["--name", "Ada", "--email", "a@b"] : name === "list" ? [] : ["1"];
    const program = await runClient("rest/client.ts", listener.addr.port, name, ...args);
    for (const line of lines) failedWith(program, 1, line);
    await served;
    listener.close();
  }
});

Deno.test("rest/client.ts --json: what a terminal must not receive is escaped as JSON has it", () => {
  const value = { name: "a\u202e\x9b\x7f\u2028😀ä", "\u061c": ["\x1b"] };
  const json = formatJson(value);
  assertEquals(json, '{"name":"a\\u202e\\u009b\\u007f\\u2028😀ä","\\u061c":["\\u001b"]}');
  assertEquals(JSON.parse(json), value);
  assertEquals(formatJson("\u{e0001}"), '"\\udb40\\udc01"');
});

testWith(
  linux,
  "/proc of Linux",
  "rest/server.ts: 1 GiB of body is 413, a slow body 408; clients that leave early cost nothing",
  async () => {
    const { program, port } = await serve("rest/server.ts", "--quiet", "--timeout", "1");
    await using _ = program;
    const at = { hostname: "127.0.0.1", port };
    const head = (length: number | string) =>
      new TextEncoder().encode(
        `POST /users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${length}\r\n\r\n`,
      );
    const start = async (line: string) => {
      const conn = await Deno.connect(at);
      await conn.write(head(line));
      const read = async () => {
        const buffer = new Uint8Array(2000);
        return new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
      };
      return { conn, read };
    };
    {
      const { conn, read } = await start(`Content-Length: ${1 << 30}`);
      assertMatch(await read(), /^HTTP\/1\.1 413 /);
      conn.close();
    }
    {
      const { conn, read } = await start("Transfer-Encoding: chunked");
      const chunk = new TextEncoder().encode(`10000\r\n${"x".repeat(65536)}\r\n`);
      const sending = (async () => {
        for (let i = 0; i < 16_384; i++) for (let n = 0; n < chunk.length;) n += await conn.write(chunk.subarray(n));
      })().catch(() => {}); // the server closes the connection
      assertMatch(await read(), /^HTTP\/1\.1 413 /);
      conn.close();
      await sending;
    }
    {
      const { conn, read } = await start("Content-Length: 10");
      assertMatch(await read(), /^HTTP\/1\.1 408 /);
      conn.close();
    }
    const before = await descriptors(program.pid);
    for (let i = 0; i < 300; i++) (await start("Content-Length: 10")).conn.close();
    assertEquals((await fetch(`http://127.0.0.1:${port}/users`).then((response) => response.json())).length, 0);
    await until(async () => await descriptors(program.pid) <= before + 10, "the descriptors back");
    assert(await memory(program.pid) < 200);
    assertEquals(program.stderr, "");
  },
);

Deno.test("rest/server.ts: 500 clients that never finish their head do not block the others", async () => {
  const { program, port } = await serve("rest/server.ts", "--quiet");
  await using _ = program;
  const slow = await Promise.all(Array.from({ length: 500 }, async () => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new TextEncoder().encode("GET /users HTTP/1.1\r\nHo"));
    return conn;
  }));
  for (let i = 0; i < 20; i++) {
    const response = await fetch(`http://127.0.0.1:${port}/users`);
    assertEquals([response.status, await response.text()], [200, "[]"]);
  }
  for (const conn of slow) conn.close();
});

Deno.test("rest/server.ts: the page has a policy, and scripts of other sites can neither read nor write", async () => {
  const { program, port } = await serve("rest/server.ts");
  await using _ = program;
  const at = `http://127.0.0.1:${port}`;
  const page = await fetch(at);
  assertStringIncludes(page.headers.get("content-security-policy") ?? "", "script-src 'self'");
  assertMatch(await page.text(), /<title>Users API<\/title>/);
  const preflight = await fetch(`${at}/users`, { method: "OPTIONS", headers: { origin: "https://evil.example" } });
  assertEquals(preflight.headers.get("access-control-allow-origin"), null);
  for (
    const [coding, status] of [["identity", 201], ["Identity, identity", 201], ["gzip", 415], ["identity, br", 415]]
  ) {
    const response = await fetch(`${at}/users`, {
      method: "POST",
      body: JSON.stringify({ name: "a", email: `${crypto.randomUUID()}@b` }),
      headers: { "content-type": "application/json", "content-encoding": `${coding}` },
    });
    const accepted = status === 415 ? "identity" : null;
    assertEquals([coding, response.status, response.headers.get("accept-encoding")], [coding, status, accepted]);
    await response.body?.cancel();
  }
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]) {
    const response = await fetch(`${at}/users`, {
      method: "POST",
      body: new TextEncoder().encode('{"name":"a","email":"a@b"}'),
      headers: type ? { "content-type": type } : {},
    });
    assertEquals(response.status, 415);
    await response.body?.cancel();
  }
  for (const method of ["PUT", "POST", "DELETE"]) {
    const response = await fetch(`${at}/openapi.json`, { method });
    assertEquals([response.status, response.headers.get("allow")], [405, "GET, HEAD, OPTIONS"]);
    await response.body?.cancel();
  }
});

testWith(await has("curl", "--version"), "curl", "rest/server.ts: curl, as in the lab sheet", async () => {
  const { program, port } = await serve("rest/server.ts");
  await using _ = program;
  const at = `http://127.0.0.1:${port}/users`;
  const json = ["-H", "Content-Type: application/json"];
  const made = await output("curl", "-si", at, ...json, "-d", '{"name": "Ada", "email": "ada@example.com"}');
  assertMatch(made, /^HTTP\/1\.1 201 Created\r\n[^]*location: \/users\/1\r\n[^]*"email":"ada@example\.com"/);
  const head = await output("curl", "-sI", `${at}/1`);
  assertMatch(head, /^HTTP\/1\.1 200 OK\r\n[^]*etag: "v1"/);
  // RFC 9110 §9.3.2: HEAD sends the fields of GET.
  const { length } = await output("curl", "-s", `${at}/1`);
  assertStringIncludes(head, `content-length: ${length}\r\n`);
  const lost = await output(
    "curl",
    "-si",
    "-X",
    "PUT",
    `${at}/1`,
    ...json,
    "-H",
    'If-Match: "v0"',
    "-d",
    '{"name":"B","email":"b@b"}',
  );
  assertMatch(lost, /^HTTP\/1\.1 412 Precondition Failed\r\n[^]*application\/problem\+json/);
});
