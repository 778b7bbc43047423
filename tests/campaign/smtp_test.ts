/** SMTP against hostile peers: thousands of broken dialogues for the server, hundreds of broken servers for the client. */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { selfSigned } from "../../tcp/_self_signed.ts";
import { codeOf } from "../../tcp/_socket_errors.ts";
import { startTlsServer, type Stream, tlsContext } from "../../tcp/_tls_server.ts";
import { freePort } from "../support/free_port.ts";
import { descriptors, listening, memory, testWith, until } from "../support/helpers.ts";
import { below, mutate, pick, type Random, seeded } from "../support/fuzz.ts";
import { pool } from "../support/pool.ts";
import { Program } from "../support/program.ts";
import { root } from "../support/tasks.ts";

const linux = Deno.build.os === "linux";
const pair = selfSigned();
const bytes = (text: string) => new TextEncoder().encode(text);

const folder = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
await Deno.writeTextFile(`${folder}/cert.pem`, pair.cert);
await Deno.writeTextFile(`${folder}/key.pem`, pair.key);
const certificate = ["--cert", `${folder}/cert.pem`, "--key", `${folder}/key.pem`];
const caCerts = [pair.cert];

/** Starts the server, which may use the folder, after a command of the shell. */
async function start(before: string, ...args: string[]): Promise<{ program: Program; port: number }> {
  const flags = ["-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, "smtp/server.ts", ...args];
  return await listening((port) => {
    const command = ["deno", "run", ...flags, "--port", `${port}`];
    return before ? ["sh", "-c", `${before}; exec "$@"`, "sh", Deno.execPath(), ...command.slice(1)] : command;
  });
}

async function send(port: number, ...args: string[]): Promise<Program> {
  const mail = ["--from", "ada@example.com", "--to", "alan@example.com", "--text", "Hi."];
  const flags = ["-N=127.0.0.1,localhost", `-R=${folder}`, "smtp/send.ts", ...mail, "--port", `${port}`, ...args];
  const program = new Program(["deno", "run", "--no-prompt", ...flags], { cwd: root });
  await program.end();
  return program;
}

/** Errors of a connection whose other side has had enough. */
const over = (error: unknown) =>
  ["ECONNRESET", "EPIPE", "ECONNABORTED", "EOF"].includes(codeOf(error)) ||
  error instanceof Deno.errors.InvalidData; // what TLS says when the stream is cut

const b64 = (text: string) => bytes(text).toBase64();
const envelope =
  "EHLO client.example.com\r\nMAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<c@d.example>\r\n";
const mail = "From: a@b\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?= x\r\n\r\n..dot\r\nGr\u00fc\u00dfe\r\n.\r\n";
const dialogues = [
  `${envelope}DATA\r\n${mail}QUIT\r\n`,
  `HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n${mail}RSET\r\nNOOP x\r\nVRFY a\r\nHELP\r\nEXPN l\r\nQUIT\r\n`,
  `${envelope}RCPT TO:<"a b\\"c"@[IPv6:::1]>\r\nDATA\r\n${mail}MAIL FROM:<@x,@y:a@b>\r\nRCPT TO:<no@d>\r\nDATA\r\nQUIT\r\n`,
  `EHLO x\r\nAUTH PLAIN ${
    b64("\0tim\0secret")
  }\r\nMAIL FROM:<\u00fc@b> SMTPUTF8 AUTH=<>\r\nRCPT TO:<\u4e16@d>\r\nDATA\r\n${mail}QUIT\r\n`,
  `EHLO x\r\nAUTH LOGIN\r\n${b64("tim")}\r\n${b64("secret")}\r\nAUTH CRAM-MD5\r\n${b64("tim 00")}\r\n*\r\nQUIT\r\n`,
  `EHLO x\r\nSTARTTLS\r\n\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03${"\0".repeat(60)}`,
].map(bytes);
const words = [
  ...[
    "\r",
    "\n",
    "\r\n",
    "\r\n.\r\n",
    "\n.\n",
    ".",
    "\0",
    "\x1b[2J",
    "\x85",
    "\u2028",
    "\u202e",
    "<",
    ">",
    '"',
    "@",
    ":",
  ],
  ...["=?utf-8?Q?", "?=", "=?x-no?B?AA==?=", " ".repeat(1500), "x".repeat(1100), "y".repeat(5000), "a@", "DATA\r\n"],
  ...[
    "STARTTLS\r\n",
    "AUTH PLAIN\r\n",
    "RCPT TO:<a@b>\r\n",
    "SIZE=99999999999999999999",
    "GET / HTTP/1.1\r\n",
    "\r\n".repeat(9),
  ],
].map(bytes);

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** One of the dialogues, broken: bits flipped, parts gone, doubled or moved, words put in, and another dialogue behind it. */
function brokenDialogue(random: Random): Uint8Array {
  let data: Uint8Array = pick(random, dialogues);
  for (let n = below(random, 4); n > 0; n--) {
    const at = below(random, data.length + 1);
    data = joined(data.subarray(0, at), pick(random, words), data.subarray(at));
  }
  if (below(random, 3) === 0) data = joined(data, pick(random, dialogues));
  return below(random, 4) === 0 ? data : mutate(data, random);
}

/** Sends bytes in pieces, and reads to the end of the stream; or leaves early. */
async function converse(conn: Deno.Conn, data: Uint8Array, random: Random): Promise<void> {
  const pieces = 1 + below(random, 4);
  const leaves = below(random, 10) === 0;
  try {
    for (let i = 0; i < pieces; i++) {
      const piece = data.subarray(i * data.length / pieces, (i + 1) * data.length / pieces);
      for (let at = 0; at < piece.length;) at += await conn.write(piece.subarray(at));
    }
    if (leaves) return;
    await conn.closeWrite();
    const buffer = new Uint8Array(16_384);
    while (await conn.read(buffer) !== null);
  } catch (error) {
    if (!over(error)) throw error;
  } finally {
    conn.close();
  }
}

/** Passes connections on to the server. After some bytes of the client it flips a bit, adds bytes or ends the connection. */
function corruptingProxy(to: number, random: Random): { port: number; [Symbol.dispose](): void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async (client: Deno.TcpConn) => {
    using _ = client;
    using server = await Deno.connect({ hostname: "127.0.0.1", port: to });
    const back = server.readable.pipeTo(client.writable).catch(() => {});
    const buffer = new Uint8Array(16_384);
    const [kind, where] = [below(random, 4), below(random, 4000)];
    let passed = 0;
    for (let n = await client.read(buffer); n !== null; n = await client.read(buffer)) {
      let piece = buffer.subarray(0, n);
      if (where >= passed && where < passed + n) {
        if (kind === 0) piece[where - passed] = (piece[where - passed] ?? 0) ^ 64;
        if (kind === 1) piece = joined(piece, bytes("EHLO plain\r\n"));
        if (kind === 2) break;
      }
      passed += n;
      for (let at = 0; at < piece.length;) at += await server.write(piece.subarray(at));
    }
    await server.closeWrite();
    await back;
  };
  (async () => {
    for await (const conn of listener) serve(conn).catch(() => {}); // one side has had enough
  })();
  return { port: listener.addr.port, [Symbol.dispose]: () => listener.close() };
}

/** Runs `work` for 0 to `total` - 1, `width` at a time. */
const inParallel = (total: number, width: number, work: (i: number) => Promise<void>) =>
  Promise.all(pool(width, Array.from({ length: total }, (_, i) => () => work(i))));

for (
  const [title, args] of [
    ["a Maildir", ["--maildir", `${folder}/mail`, "--show", "--max-errors", "1000", "--reject", "no@"]],
    ["users and a trace", [
      "--lenient",
      "--accept-any-password",
      "--max-line",
      "3000",
      "--trace",
      "--max-recipients",
      "2",
    ]],
  ] as const
) {
  testWith(linux, "/proc of Linux", `smtp/server.ts: 2000 broken dialogues, with ${title}`, async () => {
    const { program, port } = await start("", ...args, ...certificate);
    await using _ = program;
    const random = seeded(7 + title.length);
    const connect = () => Deno.connect({ hostname: "127.0.0.1", port });
    const some = (from: number, to: number) =>
      inParallel(to - from, 20, async () => await converse(await connect(), brokenDialogue(random), random));
    await some(0, 500); // what the runtime keeps is allocated now
    const before = { descriptors: await descriptors(program.pid), memory: await memory(program.pid) };
    await some(500, 2000);
    await until(async () => await descriptors(program.pid) <= before.descriptors, "as few descriptors as before");
    const grown = await memory(program.pid) - before.memory;
    assert(grown < 80, `${grown} MiB more`);
    const sent = await send(port, "--tls", "off");
    assertEquals([sent.status?.code, sent.stderr], [0, ""]);
    assertEquals(program.status, undefined, program.tail());
    if (!title.includes("trace")) assertEquals(program.stderr, "");
    // deno-lint-ignore no-control-regex -- the test looks for control characters
    const raw = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]|\n {4}at /.exec(program.stdout + program.stderr);
    assertEquals(raw, null, "no control and no stack trace is printed");
  });
}

testWith(linux, "/proc of Linux", "smtp/server.ts: 600 broken dialogues under TLS", async () => {
  const tlsPort = freePort();
  // A flipped bit can make a TLS record longer than what follows: then both sides wait for the time limit.
  const args = ["--accept-any-password", "--timeout", "5", "--tls-port", `${tlsPort}`, ...certificate];
  const { program, port } = await start("", ...args);
  await using _ = program;
  const random = seeded(23);
  using proxy = corruptingProxy(tlsPort, random);
  const one = async () => {
    const kind = below(random, 5);
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: kind < 3 ? proxy.port : tlsPort });
    const data = brokenDialogue(random);
    if (kind === 4) return await converse(conn, data, random); // no TLS at all
    await converse(await Deno.startTls(conn, { hostname: "localhost", caCerts }), data, random);
  };
  await inParallel(200, 20, one);
  const before = { descriptors: await descriptors(program.pid), memory: await memory(program.pid) };
  await inParallel(400, 20, one);
  await until(async () => await descriptors(program.pid) <= before.descriptors, "as few descriptors as before");
  const grown = await memory(program.pid) - before.memory;
  assert(grown < 80, `${grown} MiB more`);
  for (const [at, mode] of [[port, "required"], [tlsPort, "implicit"]] as const) {
    const sent = await send(at, "--tls", mode, "--ca", `${folder}/cert.pem`);
    assertEquals([sent.status?.code, sent.stderr], [0, ""]);
  }
  if (Deno.env.get("SHOW")) {
    console.error(
      program.stdout.replace(/127.0.0.1:[0-9]+/g, "A").split("\n").reduce(
        (m, l) => m.set(l.slice(0, 90), (m.get(l.slice(0, 90)) ?? 0) + 1),
        new Map<string, number>(),
      ),
    );
  }
  assertEquals([program.status, program.stderr], [undefined, ""], program.tail());
});

testWith(linux, "/proc of Linux", "smtp/server.ts: 6000 clients leave before TLS", async () => {
  const tlsPort = freePort();
  const { program, port } = await start("", "--tls-port", `${tlsPort}`, "--quiet", ...certificate);
  await using _ = program;
  using greeted = await Deno.connect({ hostname: "127.0.0.1", port });
  await greeted.read(new Uint8Array(100)); // what the server opens for itself is open now
  const few = await descriptors(program.pid);
  const leave = async (total: number) => {
    await inParallel(total, 20, async () => (await Deno.connect({ hostname: "127.0.0.1", port: tlsPort })).close());
    await until(async () => await descriptors(program.pid) <= few, "as few descriptors as before");
  };
  await leave(3000); // until then the runtime takes its memory
  const before = await memory(program.pid);
  await leave(3000);
  const grown = await memory(program.pid) - before;
  assert(grown < 100, `${grown} MiB more`);
  assertEquals([program.status, program.stderr], [undefined, ""], program.tail());
});

testWith(
  linux,
  "ulimit",
  "smtp/server.ts: 60 clients with TLS and a mail each, and 64 descriptors",
  async () => {
    const { program, port } = await start("ulimit -n 64", "--maildir", `${folder}/few`, "--quiet", ...certificate);
    await using _ = program;
    const block = bytes(`${"y".repeat(70)}\r\n`.repeat(5000)); // more than is kept in memory: the file is open
    let waiting = 60;
    const everybodyIsThere = Promise.withResolvers<void>();
    const outcomes: string[] = [];
    await inParallel(60, 60, async () => {
      const plain = await Deno.connect({ hostname: "127.0.0.1", port });
      if (--waiting === 0) everybodyIsThere.resolve();
      await everybodyIsThere.promise;
      const ask = async (conn: Deno.Conn, data: string | Uint8Array) => {
        const all = typeof data === "string" ? bytes(data) : data;
        for (let at = 0; at < all.length;) at += await conn.write(all.subarray(at));
        const buffer = new Uint8Array(4096);
        return new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
      };
      assertMatch(await ask(plain, ""), /^220 /);
      await ask(plain, "EHLO x\r\n");
      await ask(plain, "STARTTLS\r\n");
      using conn = await Deno.startTls(plain, { hostname: "localhost", caCerts });
      for (const line of ["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA"]) await ask(conn, `${line}\r\n`);
      outcomes.push((await ask(conn, joined(block, bytes(".\r\n")))).slice(0, 3));
      assertMatch(await ask(conn, "QUIT\r\n"), /^221 /);
    });
    assertEquals(outcomes.filter((code) => /^250|452$/.test(code)).length, 60, outcomes.join());
    assertEquals([...Deno.readDirSync(`${folder}/few/new`)].length, outcomes.filter((code) => code === "250").length);
    assertEquals([...Deno.readDirSync(`${folder}/few/tmp`)], []);
    const sent = await send(port, "--tls", "required", "--host", "localhost", "--ca", `${folder}/cert.pem`);
    assertEquals([sent.status?.code, sent.stderr], [0, ""]);
    assertEquals(program.status, undefined, program.tail());
    // A mail for which no file can be opened is refused temporarily, and said in one line.
    const said = program.stderr.split("\n").filter((line) => line !== "");
    assertEquals(said.length, outcomes.filter((code) => code === "452").length, program.stderr);
    assert(
      said.every((line) => /^server: a mail could not be stored: Too many open files$/.test(line)),
      program.stderr,
    );
  },
);

/** What a right server says in turn: after each the client sends something. */
const rightReplies = [
  "220 mail.example.com ESMTP\r\n",
  "250-mail.example.com\r\n250-AUTH PLAIN CRAM-MD5\r\n250 SIZE 1000000\r\n",
  "250 2.1.0 sender\r\n",
  "250 2.1.5 recipient\r\n",
  "354 go on\r\n",
  "250 2.0.0 taken\r\n",
  "221 2.0.0 goodbye\r\n",
];

/** Ways in which a server can break a reply. */
const hostile: Record<string, (conn: Stream, reply: string, random: Random) => Promise<void>> = {
  "random bytes": (conn, _, random) =>
    conn.write(Uint8Array.from({ length: 2000 }, () => below(random, 256))).then(() => {}),
  "a broken reply": (conn, reply, random) => conn.write(mutate(bytes(reply), random)).then(() => {}),
  "a line without end": (conn) => forever(conn, bytes("250 " + "x".repeat(5000))),
  "lines without end": (conn) => forever(conn, bytes("250-more\r\n".repeat(100))),
  "replies without end": (conn) => forever(conn, bytes("250 ok\r\n".repeat(100))),
  "errors without end": (conn) => forever(conn, bytes("500 no\r\n".repeat(100))),
  async "a byte now and then"(conn, reply) {
    for (const byte of bytes(reply.repeat(50))) {
      await conn.write(Uint8Array.of(byte));
      await new Promise((go) => setTimeout(go, 50));
    }
  },
  "silence": () => new Promise((go) => setTimeout(go, 3000)),
  "an early end": (conn) => conn.closeWrite(),
  "controls": (conn, reply) =>
    conn.write(bytes(`${reply.slice(0, 3)} \x1b[2J\x07\x9b31m\u202e\u2028\0\b\r\n`)).then(() => {}),
  async "another code"(conn, _, random) {
    const code = pick(random, [
      "199",
      "200",
      "211",
      "299",
      "300",
      "334",
      "399",
      "400",
      "421",
      "499",
      "500",
      "555",
      "599",
      "600",
      "25",
      "2500",
    ]);
    await conn.write(bytes(`${code} x\r\n`));
  },
  "TLS after all": (conn, _, random) =>
    conn.write(bytes(`220 go\r\n${pick(random, ["", "\x16\x03\x01\0\x05hello", "\x15\x03\x03\0\x02\x02\x28"])}`)).then(
      () => {},
    ),
};

/** Writes the same again and again, until the client has had enough. */
async function forever(conn: Stream, data: Uint8Array): Promise<void> {
  while (true) await conn.write(data);
}

/** A server that is right up to a reply, and hostile from there on. */
async function serveHostile(
  conn: Deno.TcpConn,
  step: number,
  way: string,
  random: Random,
  tls: boolean,
): Promise<void> {
  using _ = conn;
  const stream = tls ? await startTlsServer(conn, tlsContext(pair)) : conn;
  const buffer = new Uint8Array(65_536);
  for (const [i, reply] of rightReplies.entries()) {
    const offer = way === "TLS after all" && i === 1 ? "250-x\r\n250 STARTTLS\r\n" : reply;
    if (i === step) await hostile[way]?.(stream, offer, random);
    else await stream.write(bytes(offer));
    if (await stream.read(buffer) === null) return;
  }
}

for (const tls of [false, true]) {
  const title = `send.ts: 90 hostile servers${tls ? " with TLS" : ""}: it ends in time, with one line at most`;
  Deno.test(title, async () => {
    const random = seeded(tls ? 41 : 40);
    await inParallel(90, 6, async (i) => {
      const ways = Object.keys(hostile);
      const [way, step] = [ways[i % ways.length] ?? "", Math.floor(i / ways.length)];
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const serving = (async () => {
        for await (const conn of listener) await serveHostile(conn, step, way, random, tls).catch(() => {});
      })();
      const more = tls ? ["--tls", "implicit", "--ca", `${folder}/cert.pem`] : [];
      const sent = await send(listener.addr.port, "--timeout", "1", ...more);
      listener.close();
      await serving;
      const what = `${way} at reply ${step}: ${sent.tail(20)}`;
      assert([0, 1].includes(sent.status?.code ?? -1), what);
      assertMatch(sent.stderr, sent.status?.code === 0 ? /^$/ : /^send: .*\n$/, what);
      // deno-lint-ignore no-control-regex -- the test looks for control characters
      assertEquals(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/.exec(sent.stdout + sent.stderr), null, what);
    });
  });
}
