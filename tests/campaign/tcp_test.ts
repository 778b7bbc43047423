/** TCP: servers that get anything, clients whose servers do anything. Everything random has a seed. */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { below, mutate, pick, type Random, seeded } from "../support/fuzz.ts";
import { descriptors, memory, runClient, serve, testWith, until } from "../support/helpers.ts";
import { assertEndedWell, eachSeed, spoilStream, tcpServer } from "../support/hostile.ts";
import { encodeFrame } from "../../tcp/_rpc_frames.ts";
import { codeOf } from "../../tcp/_socket_errors.ts";

const linux = Deno.build.os === "linux";
const bytes = (text: string) => new TextEncoder().encode(text);

/** Errors of a connection whose other side has had enough. */
function ignoreEnd(error: unknown): void {
  if (!["ECONNRESET", "EPIPE", "ECONNABORTED"].includes(codeOf(error))) throw error;
}

const inputs = ["hello", "\x05", "\x05hello", "line\r\nline\n", "\x1b[2J\u202e\x9b31m", "x".repeat(5000)].map(bytes);

const calls = linux ? ["tcp/syscall_server.ts"] : [];
for (const script of ["tcp/echo_server.ts", "tcp/reply_server.ts", "tcp/threaded_server.ts", ...calls]) {
  testWith(linux, "/proc of Linux", `${script}: 2000 clients with mutated inputs leave nothing behind`, async () => {
    const { program, port } = await serve(script);
    await using _ = program;
    const random = seeded(11);
    /** Sends an input, or a part of it, and reads what comes back, leaves at once, or resets the connection. */
    const attack = async () => {
      const data = mutate(pick(random, inputs), random);
      const way = below(random, 4);
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      try {
        await conn.write(data);
        if (way === 0) return; // with unread bytes, the kernel resets the connection
        if (way === 1 && data.length > 0) await conn.read(new Uint8Array(1));
        if (way < 2) return;
        await conn.closeWrite();
        const buffer = new Uint8Array(65_536);
        let total = 0;
        for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) total += n;
        if (script.includes("echo") || script.includes("syscall")) assertEquals(total, data.length);
      } catch (error) {
        ignoreEnd(error);
      }
    };
    const run = async (count: number) => {
      for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: 20 }, attack));
    };
    await run(500); // what the runtime keeps is allocated now
    const before = [await descriptors(program.pid), await memory(program.pid)] as const;
    await run(1500);
    await until(async () => await descriptors(program.pid) <= before[0], "the descriptors back");
    const grown = await memory(program.pid) - before[1];
    assert(grown < 60, `${grown} MiB more`);
    const client = script.replace("server", "client").replace(/threaded|syscall/, "echo");
    assertEquals((await runClient(client, port, "hello")).status?.code, 0);
    assertEquals([program.status, program.stderr], [undefined, ""], program.tail());
    // deno-lint-ignore no-control-regex -- they are what must not reach a terminal
    assertEquals(/[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/.exec(program.stdout), null);
  });
}

/** What a server does with a connection, and with the bytes that it has got. */
const hostile: ((conn: Deno.TcpConn, got: Uint8Array, random: Random) => Promise<unknown> | void)[] = [
  (conn) => conn.close(),
  () => {}, // silent
  (conn, got) => conn.write(got),
  (conn, got) => conn.write(got.subarray(0, 1)),
  (conn, got, random) => conn.write(mutate(got, random)),
  (conn, _got, random) => conn.write(Uint8Array.from({ length: 1 + below(random, 3000) }, () => below(random, 256))),
  (conn) => conn.write(bytes("\x1b[2J\x1b]0;title\x07\u202e\x9b31m\0")),
  (conn) => flood(conn, bytes("\x1b".repeat(60_000)), 0),
  (conn) => flood(conn, bytes("x"), 30),
  async (conn, got) => {
    for (const byte of got) await conn.write(Uint8Array.of(byte));
    await conn.write(bytes("more"));
  },
  async (conn, got, random) => {
    await conn.write(mutate(got, random));
    await conn.closeWrite();
  },
];

/** Sends the same again and again, until the client has had enough. */
async function flood(conn: Deno.TcpConn, data: Uint8Array<ArrayBuffer>, pause: number): Promise<void> {
  while (true) {
    await conn.write(data);
    if (pause > 0) await new Promise((next) => setTimeout(next, pause));
  }
}

/** A server that is hostile in one way. With `early` it does not wait for the client. */
function serveHostile(way: (typeof hostile)[number], random: Random, early: boolean) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns: Deno.TcpConn[] = [];
  (async () => {
    for await (const conn of listener) {
      conns.push(conn);
      const buffer = new Uint8Array(65_536);
      const n = early ? 0 : await conn.read(buffer).catch(() => 0) ?? 0;
      const act = async () => await way(conn, early ? bytes("hello") : buffer.subarray(0, n), random);
      act().catch(() => {}); // the client has left, or the server is closed already
    }
  })();
  return {
    port: listener.addr.port,
    [Symbol.dispose]() {
      listener.close();
      for (const conn of conns) {
        try {
          conn.close();
        } catch (error) {
          if (!(error instanceof Deno.errors.BadResource)) throw error; // its own hostility has closed it
        }
      }
    },
  };
}

for (
  const [script, args] of [
    ["tcp/echo_client.ts", ["hello", "again"]],
    ["tcp/reply_client.ts", ["hello"]],
    ["tcp/many_clients.ts", ["--clients=3", "--messages=2"]],
  ] as const
) {
  Deno.test(`${script} at 100 hostile servers: in time, exit code 0 or 1, one line at most`, async () => {
    let next = 0;
    await Promise.all(Array.from({ length: 8 }, async () => {
      while (next < 100) {
        const i = next++;
        const way = hostile[i % hostile.length] ?? (() => {});
        using server = serveHostile(way, seeded(i), i % 3 === 0);
        const program = await runClient(script, server.port, "--timeout=0.4", ...args);
        const what = `way ${i % hostile.length}, run ${i}: ${program.tail(20)}`;
        const code = program.status?.code ?? -1;
        assert([0, 1].includes(code), what);
        assertMatch(program.stderr, code === 0 ? /^$/ : /^(client \d: .*\n)*\w+: .*\n$/, what);
        // deno-lint-ignore no-control-regex -- they are what must not reach a terminal
        assertEquals(/[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/.exec(program.stdout + program.stderr), null, what);
      }
    }));
  });
}

// --- Remote calls, the system calls, and a relay ---

const rpc = (value: unknown) => encodeFrame("headers", JSON.stringify(value));
const call = (method: string, params: unknown, id?: number) => rpc({ jsonrpc: "2.0", id, method, params });

/** What a right server sends to `add(1, 2)` and `methods()`. */
const rpcAnswers = [
  call("$/progress", { token: 1, value: 50 }),
  rpc({ jsonrpc: "2.0", id: 1, result: 3 }),
  rpc({ jsonrpc: "2.0", id: 2, result: ["\x1b[2J\u202e", { a: null }] }),
  rpc([{ jsonrpc: "2.0", id: 2, error: { code: -32601, message: "\x9b31m", data: [[[]]] } }]),
];

for (
  const [count, script, args, answers] of [
    [100, "tcp/rpc_client.ts", ["add(1, 2)", "methods()"], () => rpcAnswers],
    [
      40,
      "tcp/rpc_client.ts",
      ["--lines", "--batch", "add(1, 2)", "methods()"],
      () => rpcAnswers.map((frame) => bytes(new TextDecoder().decode(frame).replace(/^[^]*\r\n\r\n/, "") + "\n")),
    ],
    [60, "tcp/syscall_client.ts", ["hello"], (got: Uint8Array) => [got]],
  ] as const
) {
  testWith(
    linux || script.includes("rpc"),
    "Linux",
    `${script} ${args[0]} at ${count} hostile servers: in time, exit code 0 or 1, one line at most`,
    async () => {
      await eachSeed(count, async (random, seed) => {
        using server = tcpServer(async (conn) => {
          const buffer = new Uint8Array(65_536);
          const n = below(random, 5) ? await conn.read(buffer) ?? 0 : 0;
          await spoilStream(conn, answers(buffer.slice(0, n)), random);
        });
        assertEndedWell(await runClient(script, server.port, "--timeout=0.4", ...args), `seed ${seed}`);
      });
    },
  );
}

testWith(
  linux,
  "/proc of Linux",
  "tcp/relay.ts: 1000 clients and a server that do anything leave nothing behind",
  async () => {
    const random = seeded(61);
    using server = tcpServer((conn) => {
      const buffer = new Uint8Array(65_536);
      return conn.read(buffer).then((n) => spoilStream(conn, [buffer.slice(0, n ?? 0), bytes("more")], random));
    });
    const { program, port } = await serve("tcp/relay.ts", "--to", `127.0.0.1:${server.port}`, "--timeout", "1");
    await using _ = program;
    const attack = async () => {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      try {
        await conn.write(mutate(pick(random, inputs), random));
        if (below(random, 3) === 0) return;
        if (below(random, 2) === 0) await conn.closeWrite();
        await conn.read(new Uint8Array(100));
      } catch (error) {
        ignoreEnd(error);
      }
    };
    const run = async (count: number) => {
      for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: 20 }, attack));
    };
    await run(300);
    const before = [await descriptors(program.pid), await memory(program.pid)] as const;
    await run(700);
    await until(async () => await descriptors(program.pid) <= Math.max(40, before[0]), "the descriptors back", 30);
    const grown = await memory(program.pid) - before[1];
    assert(grown < 80, `${grown} MiB more`);
    assertEquals([program.status, program.stderr], [undefined, ""], program.tail());
  },
);
