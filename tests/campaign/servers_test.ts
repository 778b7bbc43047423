/** Every TCP server: with few file descriptors, and with hundreds of slow clients beside the right ones. */
import { assert, assertEquals } from "jsr:@std/assert@1";
import { within } from "../../cli.ts";
import { withLength } from "../../dns/_framing.ts";
import { encode } from "../../dns/_message.ts";
import { concat } from "../../http/_concat.ts";
import { encodeRequest } from "../../http/_message.ts";
import { encodeFrame as encodeFrameOf, opcodes } from "../../http/_websocket_frame.ts";
import { handshakeRequest, newKey } from "../../http/_websocket_handshake.ts";
import { encodeFrame } from "../../tcp/_rpc_frames.ts";
import { codeOf } from "../../tcp/_socket_errors.ts";
import { freePort } from "../support/free_port.ts";
import { mutate, pick, seeded } from "../support/fuzz.ts";
import { descriptors, fewDescriptors, listening, memory, testWith, until } from "../support/helpers.ts";
import type { Program } from "../support/program.ts";
import { command } from "../support/tasks.ts";

const linux = Deno.build.os === "linux";
const folder = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
for (const name of ["", "/new", "/cur", "/tmp"]) await Deno.mkdir(`${folder}/mail${name}`);
await Deno.writeTextFile(`${folder}/mail/new/1700000000.1.x`, "From: a@b.example\r\nSubject: Hi\r\n\r\nText\r\n");

const bytes = (text: string) => new TextEncoder().encode(text);
const get = (path: string) => bytes(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
const query = withLength(encode({
  ...{ id: 7, answers: [], authority: [], additional: [] },
  flags: { qr: false, opcode: 0, aa: false, tc: false, rd: true, ra: false, ad: false, cd: false, rcode: 0 },
  questions: [{ name: "www.example.com.", type: 1, class: 1 }],
}));

/** A server: how to start it, what a right client sends, and what it gets. */
interface Subject {
  readonly start: (port: number) => string[];
  readonly request: Uint8Array;
  readonly response: RegExp;
}

/** Starts a script with the permissions of its task. */
const task = (script: string, ...args: string[]) => (port: number) => command(script, port, ...args);
/** Starts a script that may use the folder. */
const withFolder = (script: string, ...args: string[]) => (port: number) => [
  ...["deno", "run", "-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, script],
  ...args.map((arg) => arg.replace("{port}", `${port}`)),
];

const subjects: Record<string, Subject> = {
  "tcp/echo_server.ts": { start: task("tcp/echo_server.ts"), request: bytes("hello"), response: /^hello/ },
  "tcp/reply_server.ts": { start: task("tcp/reply_server.ts"), request: bytes("hello"), response: /^Hello from/ },
  "tcp/threaded_server.ts": { start: task("tcp/threaded_server.ts"), request: bytes("hello"), response: /^hello/ },
  "tcp/rpc_server.ts": {
    start: task("tcp/rpc_server.ts"),
    request: encodeFrame("headers", '{"jsonrpc":"2.0","id":1,"method":"echo","params":["hello"]}'),
    response: /"result":\["hello"\]/,
  },
  ...linux && {
    "tcp/syscall_server.ts": { start: task("tcp/syscall_server.ts"), request: bytes("hello"), response: /^hello/ },
  },
  "http/websocket_server.ts": {
    start: task("http/websocket_server.ts", "--echo"),
    request: concat([
      encodeRequest(handshakeRequest("localhost", "/", newKey())),
      encodeFrameOf({ fin: true, opcode: opcodes.text, payload: bytes("hello") }, new Uint8Array(4)),
    ]),
    response: /^HTTP\/1\.1 101 [^]*hello/,
  },
  "http/one_request_server.ts": {
    ...{ start: task("http/one_request_server.ts", "--timeout=1"), request: get("/about.txt") },
    response: /^HTTP\/1\.1 200 /,
  },
  "http/file_server.ts": {
    ...{ start: task("http/file_server.ts", "--root=http/site"), request: get("/about.txt") },
    response: /^HTTP\/1\.1 200 /,
  },
  "dns/server.ts": { start: task("dns/server.ts"), request: query, response: new RegExp("\xc0\0\x02\x50") },
  "smtp/server.ts": { start: task("smtp/server.ts"), request: bytes("QUIT\r\n"), response: /^220 [^]*221 / },
  "smtp/inbox.ts": {
    start: withFolder("smtp/inbox.ts", "--maildir", `${folder}/mail`, "--port={port}"),
    ...{ request: get("/mail/1700000000.1.x/raw"), response: /^HTTP\/1\.1 200 [^]*Subject: Hi/ },
  },
  "smtp/server.ts --inbox": {
    start: withFolder(
      ...["smtp/server.ts", `--port=${freePort()}`, "--maildir", `${folder}/mail`, "--inbox={port}"] as const,
    ),
    ...{ request: get("/mail/1700000000.1.x/raw"), response: /^HTTP\/1\.1 200 [^]*Subject: Hi/ },
  },
  "rest/server.ts": { start: task("rest/server.ts"), request: get("/users"), response: /^HTTP\/1\.1 200 / },
};

const connect = (port: number) => Deno.connect({ hostname: "127.0.0.1", port });

/** Sends the request of a right client, reads until the response has come, and closes. Returns what came. */
async function exchange(conn: Deno.TcpConn, { request, response }: Subject): Promise<string> {
  using _ = conn;
  await conn.write(request);
  const buffer = new Uint8Array(65_536);
  let all = "";
  for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
    all += String.fromCharCode(...buffer.subarray(0, n));
    if (response.test(all)) break;
  }
  return all;
}

/** Fails unless `count` clients that come at the same time are all served, or get a response that matches `other`. */
async function serves(port: number, subject: Subject, count: number, limit: number, other = /^x/): Promise<void> {
  const conns = await Promise.all(Array.from({ length: count }, () => connect(port)));
  const all = Promise.all(conns.map((conn) => exchange(conn, subject)));
  const wrong = (await within(limit, all, `not all of ${count} clients were served in ${limit} s`))
    .filter((response) => !subject.response.test(response) && !other.test(response));
  assertEquals(wrong, []);
}

/** The server is as it was: it runs, it has said nothing on stderr, and its descriptors are back. */
async function isWell(program: Program, before: number): Promise<void> {
  await until(async () => await descriptors(program.pid) <= before, "the descriptors back");
  assertEquals([program.status, program.stderr], [undefined, ""], program.tail());
}

for (const [name, subject] of Object.entries(subjects)) {
  testWith(linux, "ulimit", `${name} at ulimit -n 64: 150 clients at once are served in turn`, async () => {
    const { program, port } = await listening((port) => {
      const [, ...args] = subject.start(port);
      return [...fewDescriptors, ...args];
    });
    await using _ = program;
    if (name.includes("--inbox")) await program.line(/Inbox listening/);
    // Before the first accept fails, a client may find no descriptor for its file. Afterwards the rest have to wait.
    await serves(port, subject, 150, 40, /^HTTP\/1\.1 503 [^]*retry-after: 1/i);
    for (let round = 0; round < 2; round++) await serves(port, subject, 150, 40, /^HTTP\/1\.1 503 [^]*retry-after: 1/i);
    await isWell(program, 64);
  });

  // One request at a time is what this server shows: a slow client delays all others.
  if (name.includes("one_request")) continue;
  testWith(linux, "/proc of Linux", `${name}: 500 slow clients beside 100 right ones`, async () => {
    const { program, port } = await listening(subject.start);
    await using _ = program;
    if (name.includes("--inbox")) await program.line(/Inbox listening/);
    await serves(port, subject, 10, 20);
    const before = await descriptors(program.pid);
    const slow = await Promise.all(Array.from({ length: 500 }, async () => {
      const conn = await connect(port);
      await conn.write(subject.request.subarray(0, 1));
      return conn;
    }));
    await serves(port, subject, 100, 20);
    for (const conn of slow) await conn.write(subject.request.subarray(1, 2));
    await serves(port, subject, 100, 20);
    for (const conn of slow) conn.close();
    await isWell(program, before + 16); // a thread of the runtime may have opened some for itself
    assert(await memory(program.pid) < 400);
  });
}

const ID = "1700000000.1.x";
const inboxRequests = [
  get("/"),
  get("/api/mails?q=hi&from=a&limit=3&offset=0"),
  get("/api/wait?subject=none&timeout=0&since=2026-01-01T00:00:00Z"),
  get(`/mail/${ID}/`),
  get(`/mail/${ID}/raw`),
  get(`/mail/${ID}/part/0`),
  bytes(`PUT /api/mails/${ID}/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello`),
  bytes("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n"),
  bytes(`GET /openapi.json HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`.repeat(3)),
];

testWith(linux, "/proc of Linux", "smtp/inbox.ts: 2000 mutated requests leave nothing behind", async () => {
  const subject = subjects["smtp/inbox.ts"];
  if (!subject) throw new Error("the inbox is one of the servers");
  const { program, port } = await listening(subject.start);
  await using _ = program;
  const random = seeded(17);
  const attack = async () => {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const leaves = random() < 0.2;
    try {
      const request = mutate(pick(random, inboxRequests), random);
      for (let at = 0; at < request.length;) at += await conn.write(request.subarray(at));
      if (leaves) return;
      await conn.closeWrite();
      const buffer = new Uint8Array(65_536);
      while (await conn.read(buffer) !== null);
    } catch (error) {
      if (!["ECONNRESET", "EPIPE", "ECONNABORTED"].includes(codeOf(error))) throw error;
    }
  };
  const run = async (count: number) => {
    for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: 20 }, attack));
  };
  await run(600); // what the runtime keeps is allocated now
  const before = [await descriptors(program.pid), await memory(program.pid)] as const;
  await run(1400);
  await serves(port, { ...subject, request: get("/"), response: /^HTTP\/1\.1 200 / }, 10, 20);
  await isWell(program, before[0]);
  const grown = await memory(program.pid) - before[1];
  assert(grown < 60, `${grown} MiB more`);
  // deno-lint-ignore no-control-regex -- they are what must not reach a terminal
  assertEquals(/[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/.exec(program.stdout), null);
});
