/** The users API under requests made from its own description, under mutated requests, and its client at hostile servers. */
import { assert, assertEquals } from "jsr:@std/assert@1";
import fc from "npm:fast-check@4";
import { printable, within } from "../../cli.ts";
import { Description, type Operation, type Schema } from "../support/described.ts";
import { mutate, pick, seeded } from "../support/fuzz.ts";
import {
  descriptors,
  listening,
  memory,
  postgres,
  postgresPrograms,
  runClient,
  serve,
  testWith,
  until,
} from "../support/helpers.ts";
import type { Program } from "../support/program.ts";

const SEED = 2026;
const linux = Deno.build.os === "linux";

// --- Requests from the description ---

/** Any text, and what parsers and stores treat in a special way. */
const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.string({ unit: "grapheme", maxLength: 120 }),
  fc.constantFrom(
    "",
    " ",
    "\u200b",
    "\u202e",
    "\ud800",
    "\0",
    "%00",
    "'; --",
    "__proto__",
    "😀".repeat(100),
    "x".repeat(300),
  ),
);

/** A value that a schema allows, or nearly. */
function valueOf(description: Description, node: Schema): fc.Arbitrary<unknown> {
  const schema = description.resolve(node);
  if (schema.type === "string") {
    const near = fc.tuple(fc.constantFrom<string>(...schema.examples ?? [""]), anyText, fc.nat(20))
      .map(([example, text, at]) => example.slice(0, at) + text + example.slice(at));
    return fc.oneof({ arbitrary: near, weight: 3 }, fc.constantFrom(...schema.examples ?? [""]), anyText);
  }
  if (schema.type === "integer") {
    const { minimum = -10, maximum = 1e21 } = schema;
    return fc.oneof(
      fc.integer({ min: minimum, max: minimum + 4 }),
      fc.constantFrom(minimum - 1, maximum, maximum + 1, 1.5),
    );
  }
  if (schema.type !== "object") return fc.jsonValue({ maxDepth: 2 });
  const members = Object.entries(schema.properties ?? {}).map(([name, member]) => {
    const value = fc.oneof({ arbitrary: valueOf(description, member), weight: 9 }, fc.jsonValue({ maxDepth: 2 }));
    const isRequired = schema.required?.includes(name);
    return fc.option(fc.tuple(fc.constant(name), value), { freq: isRequired ? 20 : 2, nil: undefined });
  });
  const extra = fc.option(fc.tuple(anyText, fc.jsonValue({ maxDepth: 1 })), { freq: 5, nil: undefined });
  const rare = fc.oneof({ arbitrary: fc.constant(undefined), weight: 9 }, extra);
  return fc.tuple(...members, rare).map((all) => {
    // JSON.parse: a member called __proto__ is one like any other.
    const pairs = all.filter((pair) => pair !== undefined).map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`);
    return JSON.parse(`{${pairs.join(",")}}`);
  });
}

/** A request for an operation of the description. */
interface Request {
  readonly operation: Operation;
  readonly id: string;
  readonly query: Record<string, string>;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

function requestOf(description: Description, operation: Operation): fc.Arbitrary<Request> {
  const ids = fc.oneof(
    { arbitrary: fc.integer({ min: 1, max: 60 }).map(String), weight: 9 },
    fc.constantFrom(
      ...["0", "-1", "1.5", "1e3", "abc", "٣", "%00", "9007199254740991", "9999999999999999", "99999999999999999999"],
    ),
  );
  const named = (place: string) => operation.parameters.filter((parameter) => parameter.in === place);
  const query = fc.tuple(
    ...named("query").map(({ name, schema }) =>
      fc.option(
        fc.oneof({ arbitrary: valueOf(description, schema), weight: 4 }, anyText).map((value) => [name, `${value}`]),
      )
    ),
  ).map((all) => Object.fromEntries(all.filter((pair) => pair !== null).map(([k, v]) => [k, v?.toWellFormed()])));
  const tags = fc.constantFrom('"v1"', '"v2"', '"v3"', "*", 'W/"v1"', '"v1", "v2"', "v1", '"', "", ",", "é");
  const conditions = fc.tuple(
    ...named("header").map(({ name }) => fc.option(fc.tuple(fc.constant(name), tags), { freq: 2 })),
  ).map((all) => Object.fromEntries(all.filter((pair) => pair !== null)));
  if (!operation.body) return fc.record({ operation: fc.constant(operation), id: ids, query, headers: conditions });

  const [type = "", { schema = {} } = {}] = Object.entries(operation.body.content)[0] ?? [];
  const json = valueOf(description, schema).map((value) => JSON.stringify(value));
  const text = fc.oneof(
    { arbitrary: json, weight: 12 },
    fc.tuple(json, fc.nat(60)).map(([text, end]) => text.slice(0, end)),
    fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
    fc.constantFrom("", "[".repeat(30_000), `{"name":"${"x".repeat(70_000)}"}`, "\ufeff{}"),
  );
  const types = fc.oneof(
    { arbitrary: fc.constantFrom(type, `${type}; charset=utf-8`, type.toUpperCase()), weight: 15 },
    fc.constantFrom(
      ...["text/plain", "application/xml", "application/jsonx", "*/*", ""],
    ),
  );
  const codings = fc.oneof(
    { arbitrary: fc.constantFrom(undefined, "identity"), weight: 15 },
    fc.constantFrom("gzip", "identity, br"),
  );
  return fc.record({
    operation: fc.constant(operation),
    id: ids,
    query,
    headers: conditions,
    body: text,
    type: types,
    coding: codings,
  })
    .map(({ type, coding, ...request }) => ({
      ...request,
      headers: { ...request.headers, "content-type": type, ...coding ? { "content-encoding": coding } : {} },
    }));
}

/** The status codes that the description leaves for a request. */
function expectedStatus(description: Description, { operation, id, query, headers, body }: Request): number[] {
  for (const { name, schema } of operation.parameters.filter((parameter) => parameter.in === "query")) {
    const raw = query[name];
    if (raw === undefined) continue;
    const value = schema.type === "integer" && /^\d{1,16}$/.test(raw) ? Number(raw) : raw;
    if (description.mismatch(schema, value)) return [400];
  }
  if (operation.body) {
    const { "content-type": type = "", "content-encoding": coding = "identity" } = headers;
    const content = operation.body.content[type.split(";")[0]?.toLowerCase() ?? ""];
    if (!content || coding !== "identity") return [415];
    if (new TextEncoder().encode(body).length > MAX_BODY) return [413];
    let value: unknown;
    try {
      value = JSON.parse((body ?? "").replace(/^\ufeff/, ""));
    } catch {
      return [400];
    }
    if (description.mismatch(content.schema, value)) return [422];
  }
  if (!operation.path.includes("{id}")) return operation.method === "GET" ? [200] : [201, 409];
  if (!/^[1-9]\d*$/.test(id)) return [404];
  const success = operation.method === "GET" ? [200, 304] : operation.method === "DELETE" ? [204] : [200, 409];
  return [404, ...Object.keys(headers).some((name) => name.startsWith("If-")) ? [412] : [], ...success];
}

const MAX_BODY = 65_536; // the default of --max-body

/** Sends requests made from the description that the server gives of itself, and compares each response with it. */
async function fuzz(program: Program, port: number, numRuns: number): Promise<void> {
  const description = new Description(await (await fetch(`http://127.0.0.1:${port}/openapi.json`)).json());
  const seen = new Set<string>();
  const send = async (request: Request) => {
    const { operation: { method, path, ...operation }, id, query, headers, body } = request;
    const target = path.replace("{id}", id) + (method === "GET" ? `?${new URLSearchParams(query)}` : "");
    const response = await fetch(`http://127.0.0.1:${port}${target}`, { method, headers, body });
    const text = await response.text();
    description.check({ method, path, ...operation }, response.status, response.headers, text);
    const expected = expectedStatus(description, request);
    assert(expected.includes(response.status), `${response.status} ${text}, expected ${expected}`);
    seen.add(`${method} ${response.status}`);
  };
  // Few users are deleted, so that the other requests find some.
  const requests = fc.oneof(
    ...description.operations.map((operation) => ({
      ...{ arbitrary: requestOf(description, operation), weight: operation.method === "DELETE" ? 1 : 6 },
    })),
  );
  await fc.assert(fc.asyncProperty(requests, send), { seed: SEED, numRuns });
  const rare = "GET 304,POST 201,POST 409,POST 413,POST 415,PUT 422,PATCH 400,PATCH 412,DELETE 204".split(",");
  assertEquals(rare.filter((name) => !seen.has(name)), []);
  assertEquals([program.stderr, program.status], ["", undefined]);
}

Deno.test("rest/server.ts: requests made from openapi.json get what it says, and nothing else", async (t) => {
  await t.step("in memory", async () => {
    const { program, port } = await serve("rest/server.ts", "--quiet");
    await using _ = program;
    await fuzz(program, port, 1000);
  });
  await t.step("on SQLite", async () => {
    const folder = await Deno.makeTempDir();
    const flags = [
      "-N=127.0.0.1",
      `-R=${folder}`,
      `-W=${folder}`,
      "rest/server.ts",
      "--quiet",
      "--db",
      `${folder}/users`,
    ];
    {
      const { program, port } = await listening((port) => ["deno", "run", ...flags, "--port", `${port}`]);
      await using _ = program;
      await fuzz(program, port, 1000);
    }
    await Deno.remove(folder, { recursive: true });
  });
  const programs = linux ? await postgresPrograms() : "";
  await t.step({
    name: "on PostgreSQL",
    ignore: programs === "",
    async fn() {
      const database = await postgres(programs);
      try {
        const flags = ["-N=127.0.0.1", "-E", "rest/server.ts", "--quiet", "--db", database.url];
        const { program, port } = await listening((port) => ["deno", "run", ...flags, "--port", `${port}`]);
        await using _ = program;
        await fuzz(program, port, 1000);
      } finally {
        await database.remove();
      }
    },
  });
});

// --- Mutated requests ---

const text = (...lines: string[]) => lines.join("\r\n");
const json = '{"name":"Ada Lovelace","email":"ada@example.com"}';
const fields = ["Host: localhost", "Content-Type: application/json"];
const requests = [
  text("GET /users?limit=2&after=0&q=ada HTTP/1.1", "Host: localhost", "Connection: close", "", ""),
  text("GET http://localhost/users/1 HTTP/1.1", "Host: localhost", 'If-None-Match: "v1", W/"v2"', "", ""),
  text("POST /users HTTP/1.1", ...fields, `Content-Length: ${json.length}`, "", json),
  text("POST /users HTTP/1.1", ...fields, "Transfer-Encoding: chunked", "", "31", json, "0", "", ""),
  text(
    "PUT /users/1 HTTP/1.1",
    ...fields,
    'If-Match: "v1"',
    "Content-Length: 24",
    "Expect: 100-continue",
    "",
    json.slice(24),
  ),
  text("PATCH /users/1 HTTP/1.0", ...fields, "Content-Encoding: identity", `Content-Length: ${json.length}`, "", json),
  text("DELETE /users/1 HTTP/1.1", "Host: [::1]:5050", "", "", "OPTIONS * HTTP/1.1", "Host: localhost", "", ""),
  text("PRI * HTTP/2.0", "", "SM", "", "\0\0\0\x04\0\0\0\0\0"),
];

testWith(linux, "/proc", "rest/server.ts: thousands of mutated requests do no harm", async () => {
  const { program, port } = await serve("rest/server.ts", "--quiet");
  await using _ = program;
  const at = { hostname: "127.0.0.1", port };
  const random = seeded(SEED);
  const exchange = async (request: Uint8Array<ArrayBuffer>) => {
    using conn = await Deno.connect(at);
    const sending = (async () => {
      for (let n = 0; n < request.length;) n += await conn.write(request.subarray(n));
      await conn.closeWrite();
    })().catch(() => {}); // the server may close the connection first
    const buffer = new Uint8Array(65_536);
    const reading = (async () => {
      while (await conn.read(buffer) !== null);
    })().catch(() => {});
    await within(10, Promise.all([sending, reading]), `the server neither answers nor closes: ${printable(request)}`);
  };
  const run = async (count: number) => {
    const originals = requests.map((request) => new TextEncoder().encode(request));
    const inputs = Array.from({ length: count }, () => mutate(pick(random, originals), random));
    await Promise.all(Array.from({ length: 16 }, async () => {
      for (let input = inputs.pop(); input; input = inputs.pop()) await exchange(input);
    }));
  };
  await run(1000);
  const before = [await descriptors(program.pid), await memory(program.pid)] as const;
  await run(3000);
  await until(async () => await descriptors(program.pid) <= before[0] + 5, "the descriptors back");
  const after = await memory(program.pid);
  assert(after < before[1] + 50, `${before[1]} MiB, then ${after} MiB`);
  assertEquals((await runClient("rest/client.ts", port, "list")).status?.code, 0);
  assertEquals([program.stderr, program.status], ["", undefined]);
});

// --- The client at hostile servers ---

// A string has a byte in each of its characters here.
const utf8 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
const ok = (body: string, ...fields: string[]) =>
  text("HTTP/1.1 200 OK", "Connection: close", `Content-Length: ${body.length}`, ...fields, "", body);
const status = (line: string, ...fields: string[]) => text(`HTTP/1.1 ${line}`, "Content-Length: 0", ...fields, "", "");
const ada = { id: 1, name: "Ada", email: "ada@example.com", updated: "2026-01-31T12:00:00Z" };
const deep = "[".repeat(100_000) + "]".repeat(100_000);
const forever = (head: string, part: string, pause = 0) => ({ head, part, pause });

/** What a server sends: all at once, or a beginning and then a part again and again. */
const hostile: Record<string, string | ReturnType<typeof forever>> = {
  nothing: "",
  "a line": "hello\r\n",
  "another protocol": "220 mail.example ESMTP\r\n",
  "random bytes": String.fromCharCode(...Array.from({ length: 200 }, (_, i) => i * 7 % 256)),
  "half a head": "HTTP/1.1 200 OK\r\nContent-Le",
  "half a body": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[",
  "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
  "a huge length": "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n[]",
  "a bad chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n[]\r\n0\r\n\r\n",
  "broken gzip": ok("this is not gzip", "Content-Encoding: gzip"),
  "broken brotli": ok("this is not brotli", "Content-Encoding: br"),
  "an unknown coding": ok("[]", "Content-Encoding: rot13"),
  "a redirect to itself": status("302 Found", "Location: /users"),
  "a redirect to a file": status("302 Found", "Location: file:///etc/passwd"),
  "a redirect to another port": status("307 Temporary Redirect", "Location: http://127.0.0.1:1/"),
  "a malformed redirect": status("301 Moved", "Location: http://["),
  "a redirect without a place": status("302 Found"),
  "status 101": status("101 Switching Protocols", "Upgrade: h2c", "Connection: Upgrade"),
  "status 204": "HTTP/1.1 204 No Content\r\n\r\n",
  "status 304": "HTTP/1.1 304 Not Modified\r\n\r\n",
  "status 999": status("999 \x1b[31mred"),
  "status 42": status("42 What"),
  "no reason": status("500"),
  "a problem with controls": ok('{"detail":"\\u001b[2J\\u202e\\nx"}').replace("200 OK", "400 Bad Request"),
  "a long problem": ok(`{"detail":"${"x".repeat(100_000)}"}`).replace("200 OK", "400 Bad Request"),
  "HTML": ok("<html>").replace("200 OK", "404 NOT FOUND"),
  "no JSON": ok("[1,"),
  "a number": ok("7"),
  "null": ok("null"),
  "a list of null": ok("[null]"),
  "a list of lists": ok("[[]]"),
  "nested deeply": ok(deep),
  "a user nested deeply": ok(`[{"deep":${deep},${JSON.stringify(ada).slice(1)}]`),
  "a user with controls": ok(utf8(JSON.stringify([{ ...ada, name: "\x1b[31m\u202e\n\x9b", "\u2028": "\x7f" }]))),
  "a huge id": ok(JSON.stringify([ada]).replace("1", "1e999")),
  "an object by names": ok('{"ada": {"email": "ada@example.com"}, "\\u001b[2J": {}}'),
  "more users than asked for": ok(JSON.stringify(Array(150_000).fill(0)).replaceAll("0", JSON.stringify(ada))),
  "empty pages without end": ok("[]", 'Link: </users?after=1>; rel="next"'),
  "pages without end": ok(JSON.stringify(Array(100).fill(ada)), 'Link: </users?after=1>; rel="next"'),
  "a link elsewhere": ok(JSON.stringify([ada]), 'Link: <//evil.example/@[/\\>; rel="next"'),
  "bytes that are not UTF-8": ok('[{"name":"\xff"}]'),
  "a thousand fields": `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(1000)}\r\n[]`,
  "a long field": `HTTP/1.1 200 OK\r\nX: ${"y".repeat(1_000_000)}\r\n\r\n[]`,
  "an endless head": forever("HTTP/1.1 200 OK\r\n", "X: y\r\n".repeat(10_000)),
  "an endless line": forever("HTTP/1.1 200 ", "x".repeat(60_000)),
  "endless interim responses": forever("", "HTTP/1.1 102 Processing\r\n\r\n".repeat(2000)),
  "an endless body": forever("HTTP/1.1 200 OK\r\n\r\n[", "0,".repeat(30_000)),
  "endless chunks": forever("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n".repeat(10_000)),
  "an endless problem": forever("HTTP/1.1 500 Oh\r\n\r\n{", " ".repeat(60_000)),
  "silence": forever("", "", 1000),
  "a slow head": forever("HTTP/1.1 200 OK\r\n", "X: y\r\n", 20),
  "a slow body": forever("HTTP/1.1 200 OK\r\n\r\n[", " ", 20),
};

/** Serves what it is told to every client, until it is closed. */
class HostileServer implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly port = this.#listener.addr.port;
  readonly #conns = new Set<Deno.TcpConn>();

  constructor(readonly behavior: string | ReturnType<typeof forever>) {
    this.#run();
  }

  async #run(): Promise<void> {
    try {
      for await (const conn of this.#listener) {
        this.#conns.add(conn);
        this.#serve(conn).catch(() => {}).finally(() => this.#close(conn)); // the client may leave at any time
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error; // the listener was closed
    }
  }

  async #serve(conn: Deno.TcpConn): Promise<void> {
    const send = async (text: string) => {
      const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
      for (let n = 0; n < bytes.length;) n += await conn.write(bytes.subarray(n));
    };
    const { behavior } = this;
    await conn.read(new Uint8Array(65_536));
    if (typeof behavior === "string") return await send(behavior);
    await send(behavior.head);
    while (this.#conns.has(conn)) {
      await send(behavior.part);
      await new Promise((resolve) => setTimeout(resolve, behavior.pause));
    }
  }

  #close(conn: Deno.TcpConn): void {
    if (this.#conns.delete(conn)) conn.close();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const conn of this.#conns) this.#close(conn);
  }
}

Deno.test("rest/client.ts: at hostile servers every run ends, with exit code 0 or 1 and at most one line on stderr", async () => {
  const commands = [
    ["list"],
    ["list", "--json"],
    ["get", "1", "--json"],
    ["create", "--name", "Ada", "--email", "ada@example.com"],
    ["delete", "1"],
  ];
  const cases = Object.entries(hostile).flatMap(([name, behavior], i) =>
    [commands[0], ...i % 3 === 0 ? [commands[1 + i / 3 % 4]] : []].map((args = []) => ({ name, behavior, args }))
  );
  const wrong: string[] = [];
  await Promise.all(Array.from({ length: 4 }, async () => {
    for (let next = cases.pop(); next; next = cases.pop()) {
      using server = new HostileServer(next.behavior);
      const { stdout, stderr, status } = await runClient("rest/client.ts", server.port, ...next.args, "--timeout", "1");
      const isSafe = !/[^\n\P{Cc}]|[\p{Zl}\p{Zp}\p{Cs}\u202e]/u.test(stdout + stderr);
      const lines = stderr === "" ? 0 : stderr.trimEnd().split("\n").length;
      const isRight = status?.code === 0 ? lines === 0 : status?.code === 1 && lines === 1;
      if (!isRight || !isSafe || stderr.length > 1000) {
        wrong.push(`${next.args[0]} at ${next.name}: ${status?.code} ${JSON.stringify(stderr.slice(0, 300))}`);
      }
    }
  }));
  assertEquals(wrong, []);
});
