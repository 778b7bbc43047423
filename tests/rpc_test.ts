/** JSON-RPC over TCP: the examples of its specification, frames in pieces, calls that overtake each other, hostile peers. */
import { assert, assertEquals, assertMatch, assertRejects } from "jsr:@std/assert@1";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { encodeFrame, type FrameForm, frameRoom, readFrame } from "../tcp/_rpc_frames.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { client, descriptors, failedWith, memory, runClient, serve, testWith, until } from "./support/helpers.ts";
import { mutate, pick, seeded } from "./support/fuzz.ts";
import { Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";
import "./parts/rpc.ts";

const linux = Deno.build.os === "linux";
const encode = (text: string) => new TextEncoder().encode(text);

/** A connection by hand. */
class Peer {
  readonly #reader: BufferedReader;
  private constructor(readonly conn: Deno.Conn, readonly form: FrameForm) {
    this.#reader = new BufferedReader(conn, frameRoom(1 << 20));
  }
  static async connect(port: number, form: FrameForm = "headers"): Promise<Peer> {
    return new Peer(await Deno.connect({ hostname: "127.0.0.1", port }), form);
  }
  static of = (conn: Deno.Conn) => new Peer(conn, "headers");
  async send(message: unknown): Promise<void> {
    await writeAll(this.conn, encodeFrame(this.form, typeof message === "string" ? message : JSON.stringify(message)));
  }
  async receive(): Promise<unknown> {
    const text = await readFrame(this.#reader, this.form, 1 << 20);
    return text === undefined ? undefined : JSON.parse(text);
  }
  async ask(message: unknown): Promise<unknown> {
    await this.send(message);
    return await this.receive();
  }
  [Symbol.dispose](): void {
    this.conn.close();
  }
}

const v = { jsonrpc: "2.0" };
const error = (code: number, message: string, id: unknown = null) => ({ ...v, id, error: { code, message } });

Deno.test("the examples of the specification (JSON-RPC 2.0 §7)", async () => {
  const { program, port } = await serve("tcp/rpc_server.ts");
  await using _ = program;
  using peer = await Peer.connect(port);
  assertEquals(await peer.ask({ ...v, method: "add", params: [42, -23], id: 1 }), { ...v, id: 1, result: 19 });
  assertEquals(await peer.ask({ ...v, method: "add", params: { a: 1, b: 2 }, id: "x" }), { ...v, id: "x", result: 3 });
  assertEquals(await peer.ask({ ...v, method: "foobar", id: "1" }), error(-32601, "Method not found", "1"));
  assertEquals(
    await peer.ask('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]'),
    error(-32700, "Parse error"),
  );
  assertEquals(await peer.ask({ ...v, method: 1, params: "bar" }), error(-32600, "Invalid Request"));
  assertEquals(await peer.ask([]), error(-32600, "Invalid Request"));
  assertEquals(await peer.ask([1]), [error(-32600, "Invalid Request")]);
  assertEquals(await peer.ask([1, 2, 3]), Array(3).fill(error(-32600, "Invalid Request")));
  await peer.send({ ...v, method: "add", params: [1, 2] }); // a notification: no answer,
  await peer.send([{ ...v, method: "add", params: [1, 2] }, { ...v, method: "now" }]); // a batch of them: none, either
  await peer.send({ ...v, id: 9, result: 7 }); // and a response that nobody asked for
  assertEquals(
    await peer.ask([
      { ...v, method: "add", params: [1, 2], id: "1" },
      { ...v, method: "echo", params: [7] },
      { ...v, method: "echo", params: ["é€😀"], id: "2" },
      { foo: "boo" },
      { ...v, method: "foo.get", params: { name: "myself" }, id: "5" },
      { ...v, method: "echo", id: null },
    ]),
    [
      { ...v, id: "1", result: 3 },
      { ...v, id: "2", result: ["é€😀"] },
      error(-32600, "Invalid Request"),
      error(-32601, "Method not found", "5"),
      { ...v, id: null, result: null },
    ],
  );
  for (const wrong of [[1], [1, "2"], { a: 1 }, [1, 2, null]]) {
    const answer = await peer.ask({ ...v, method: "add", params: wrong, id: 1 });
    assertEquals(answer, { ...v, id: 1, error: { code: -32602, message: "Invalid params", data: "numbers: a, b" } });
  }
  for (
    const wrong of [{ method: "add", id: 1 }, { ...v, method: "add", params: 1, id: 1 }, {
      ...v,
      method: "add",
      id: [],
    }]
  ) {
    assertEquals(await peer.ask(wrong), error(-32600, "Invalid Request"));
  }
});

Deno.test("frames: any pieces, both forms, the length in bytes, and what is no frame", async () => {
  const messages = ["{}", '"é€😀"', "", JSON.stringify("x".repeat(5000))];
  for (const form of ["headers", "lines"] as const) {
    const whole = messages.flatMap((text) => [...encodeFrame(form, text)]);
    for (const size of [1, 3, 7, 100_000]) {
      let at = 0;
      const conn = {
        read(buffer: Uint8Array): Promise<number | null> {
          const part = whole.slice(at, at + Math.min(size, buffer.length));
          buffer.set(part);
          at += part.length;
          return Promise.resolve(part.length || null);
        },
      };
      const reader = new BufferedReader(conn, frameRoom(6000), 16);
      for (const text of messages) assertEquals(await readFrame(reader, form, 6000), text);
      assertEquals(await readFrame(reader, form, 6000), undefined);
    }
  }
  const fails = async (form: FrameForm, text: string | Uint8Array, says: string, limit = 100) => {
    const bytes = typeof text === "string" ? encode(text) : text;
    let at = 0;
    const conn = {
      read(buffer: Uint8Array): Promise<number | null> {
        const part = bytes.subarray(at, at + buffer.length);
        buffer.set(part);
        at += part.length;
        return Promise.resolve(part.length || null);
      },
    };
    await assertRejects(() => readFrame(new BufferedReader(conn, frameRoom(limit)), form, limit), Error, says);
  };
  await fails("headers", "Content-Length: 3\r\n\r\nab", "closed in the middle of a message");
  await fails("headers", "Content-Length: 3\r\n", "closed in the middle of a message");
  await fails("headers", "Content-Type: x\r\n\r\n{}", "without one Content-Length");
  await fails("headers", "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "without one Content-Length");
  await fails("headers", "Content-Length: -2\r\n\r\n{}", "without one Content-Length");
  await fails("headers", "Content-Length: 101\r\n\r\n", "more than 100 bytes");
  await fails("headers", `X: ${"x".repeat(5000)}`, "headers of more than 4096 bytes", 10_000);
  await fails("headers", Uint8Array.of(...encode("Content-Length: 1\r\n\r\n"), 0xff), "not UTF-8");
  await fails("lines", "x".repeat(101), "more than 100 bytes");
  await fails("lines", `${"x".repeat(101)}\n`, "more than 100 bytes");
  await fails("lines", "half", "closed in the middle of a message");
});

Deno.test("calls overtake each other, tell how far they are, and can be cancelled", async () => {
  const { program, port } = await serve("tcp/rpc_server.ts", "--call-timeout", "0.5", "--max-calls", "3");
  await using _ = program;
  using peer = await Peer.connect(port);
  const call = (id: number, method: string, ...params: unknown[]) => peer.send({ ...v, id, method, params });
  await call(1, "sleep", 0.3);
  await call(2, "add", 1, 2);
  assertEquals(await peer.receive(), { ...v, id: 2, result: 3 });
  const progress = [];
  let answer = await peer.receive();
  for (; typeof answer === "object" && answer !== null && "params" in answer; answer = await peer.receive()) {
    progress.push(answer.params);
  }
  assertEquals(progress, Array.from({ length: 10 }, (_, i) => ({ token: 1, value: (i + 1) * 10 })));
  assertEquals(answer, { ...v, id: 1, result: "slept for 0.3 s" });

  /** The next response: progress may come before it. */
  const response = async () => {
    while (true) {
      const message = await peer.receive();
      if (typeof message === "object" && message !== null && !("method" in message)) return message;
    }
  };
  await call(3, "sleep", 60);
  await peer.send({ ...v, method: "$/cancelRequest", params: { id: 3 } });
  assertEquals(await response(), error(-32800, "Request cancelled", 3));
  await call(4, "sleep", 60);
  assertEquals(await response(), error(-32000, "No result in 0.5 s", 4));
  for (let id = 5; id < 9; id++) await call(id, "sleep", 60);
  assertEquals(await response(), error(-32001, "Too many calls at the same time", 8));
  for (const id of [5, 6, 7]) await peer.send({ ...v, method: "$/cancelRequest", params: { id } });
  for (const id of [5, 6, 7]) assertEquals(await response(), error(-32800, "Request cancelled", id));
  for (const params of [undefined, [3], { id: 99 }, { id: {} }]) {
    await peer.send({ ...v, method: "$/cancelRequest", params });
  }
  await call(9, "now");
  assertMatch(JSON.stringify(await response()), /"result":"\d{4}-\d\d-\d\dT/);
});

Deno.test("rpc_client: answers as they come, errors, batches, notifications, lines, a call that takes too long", async () => {
  for (const lines of [[], ["--lines"]]) {
    const { program, port } = await serve("tcp/rpc_server.ts", ...lines);
    await using _ = program;
    const both = await runClient("tcp/rpc_client.ts", port, ...lines, "sleep(0.3)", 'echo("ü")');
    assertEquals(both.status?.code, 0, both.stderr);
    assertMatch(
      both.stdout,
      /^ +\d+ ms {2}echo\("ü"\) → \["ü"\]\n[^]*^ +\d+ ms {2}sleep\(0\.3\) → "slept for 0\.3 s"\n$/m,
    );
    const batch = await runClient(
      "tcp/rpc_client.ts",
      port,
      ...lines,
      "--batch",
      "add(1, 2)",
      'add({"a": 1, "b": 1})',
      "no()",
    );
    assertEquals(batch.status?.code, 1);
    assertMatch(batch.stdout, /add\(1, 2\) → 3\n.*→ 2\n.*no\(\) → error -32601: Method not found\n$/);
    const notified = await runClient("tcp/rpc_client.ts", port, ...lines, "--notify", "add(1, 2)");
    assertEquals([notified.status?.code, notified.stdout], [0, ""]);
    await program.line(/^127\.0\.0\.1:\d+ made 1 call$/);
    const late = await runClient("tcp/rpc_client.ts", port, ...lines, "--timeout", "0.2", "sleep(50)");
    assertEquals(late.status?.code, 1);
    assertMatch(late.stderr, /^rpc_client: no answer in 0\.2 s: cancelled$/m);
    assertMatch(late.stdout, /sleep\(50\) → error -32800: Request cancelled$/m);
  }
  for (const wrong of ["add", "add(1", "add(x)", "(1)"]) {
    const { code } = await new Program(["deno", "run", "-N=127.0.0.1", "tcp/rpc_client.ts", wrong], { cwd: root })
      .end();
    assertEquals(code, 2, wrong);
  }
});

Deno.test("rpc_client: hostile servers, each run ends with 1 and one line", async () => {
  const answers: [bytes: Uint8Array, line: RegExp][] = [
    [encode("hello\r\n\r\n"), /: sent headers without one Content-Length$/m],
    [encodeFrame("headers", "{"), /: the server sent what is no message: Parse error$/m],
    [encodeFrame("headers", '{"jsonrpc":"2.0","id":1}'), /: the server sent what is no message: Invalid Request$/m],
    [encode("Content-Length: 99999999999\r\n\r\n"), /: sent a message of more than \d+ bytes$/m],
    [
      encodeFrame("headers", JSON.stringify(error(-32700, "\x1b[31mno\u202e\n"))),
      /the server says: \\x1b\[31mno\\u\{202e\}\\n$/m,
    ],
    [
      encodeFrame("headers", JSON.stringify({ ...v, id: 77, result: 1 })),
      /: the server closed before it had answered 1 of/m,
    ],
    [new Uint8Array(), /: the server closed before it had answered 1 of the calls$/m],
  ];
  for (const [bytes, line] of answers) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const program = client("tcp/rpc_client.ts", listener.addr.port, "now()");
    const conn = await listener.accept();
    await conn.read(new Uint8Array(4096));
    await conn.write(bytes);
    await conn.closeWrite();
    await program.end();
    conn.close();
    listener.close();
    failedWith(program, 1, line);
  }
});

Deno.test("rpc_client --timeout: servers that read nothing, send progress without end, or reset after it: one line", async () => {
  type Way = [what: string, serve: (conn: Deno.TcpConn) => Promise<unknown>, call: string];
  const late = /^rpc_client: no answer in 0\.5 s: cancelled\n$/;
  // A command line of Windows has 32,767 characters at most: fewer than the buffers of a connection take unread.
  const silent: Way = ["reads nothing", () => new Promise(() => {}), `echo("${"x".repeat(120_000)}")`];
  const ways: Way[] = [
    ...Deno.build.os === "windows" ? [] : [silent],
    ["answers nothing", (conn) => conn.read(new Uint8Array(4096)), "now()"],
    ["sends progress without end", async (conn) => {
      const frame = encodeFrame("headers", JSON.stringify({ ...v, method: "$/progress", params: { token: 1 } }));
      while (true) await writeAll(conn, frame);
    }, "now()"],
    ["closes when it gets the cancellation", async (conn) => {
      await conn.read(new Uint8Array(4096));
      await conn.read(new Uint8Array(4096));
      conn.close();
    }, "now()"],
  ];
  for (const [what, serve, call] of ways) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const calls = call.length > 1000 ? Array<string>(10).fill(call) : [call];
    const program = client("tcp/rpc_client.ts", listener.addr.port, "--timeout", "0.5", ...calls);
    const early = program.ended.then(() =>
      Promise.reject(new Error(`it ended before it was served: ${program.tail()}`))
    );
    const conn = await Promise.race([listener.accept(), early]);
    serve(conn).catch(() => {}); // the client has ended
    await program.end();
    try {
      conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    assertEquals(program.status?.code, 1, what);
    assertMatch(program.stderr, late, what);
  }
});

Deno.test("rpc_server: a batch has a limit, and what a client that has left called is cancelled", async () => {
  const { program, port } = await serve("tcp/rpc_server.ts", "--max-calls", "3");
  await using _ = program;
  using peer = await Peer.connect(port);
  const now = { ...v, id: 1, method: "now" };
  assertEquals(await peer.ask(Array(4).fill(now)), error(-32001, "More than 3 calls in a batch"));
  // A megabyte of the shortest members, each of which would be answered with an error.
  assertEquals(await peer.ask(`[${"1,".repeat(400_000)}1]`), error(-32001, "More than 3 calls in a batch"));
  assertEquals(await peer.ask([1, 1, 1]), Array(3).fill(error(-32600, "Invalid Request")));
});

testWith(
  linux,
  "Linux",
  "rpc_server: thousands of damaged messages, clients that do not read: nothing is left (seed 6)",
  async () => {
    const { program, port } = await serve("tcp/rpc_server.ts", "--timeout", "3", "--max-message", "10000");
    await using _ = program;
    const random = seeded(6);
    const inputs = [
      encodeFrame("headers", JSON.stringify({ ...v, id: 1, method: "add", params: [1, 2] })),
      encodeFrame("headers", JSON.stringify([{ ...v, id: 1, method: "echo", params: ["x"] }, { ...v, method: "now" }])),
      encodeFrame("headers", JSON.stringify({ ...v, id: 2, method: "sleep", params: [0.01] })),
      encodeFrame("headers", JSON.stringify({ ...v, method: "$/cancelRequest", params: { id: 2 } })),
    ];
    using right = await Peer.connect(port);
    await right.ask({ ...v, id: 1, method: "now" });
    const before = [await descriptors(program.pid), await memory(program.pid)];
    for (let batch = 0; batch < 50; batch++) {
      await Promise.all(Array.from({ length: 20 }, async () => {
        using conn = await Deno.connect({ hostname: "127.0.0.1", port });
        for (let i = 0; i < 3; i++) await conn.write(mutate(pick(random, inputs), random)).catch(() => {}); // closed already
      }));
      assertEquals(await right.ask({ ...v, id: batch, method: "add", params: [batch, 1] }), {
        ...v,
        id: batch,
        result: batch + 1,
      });
    }
    // It calls and calls, and reads no answer.
    using deaf = await Deno.connect({ hostname: "127.0.0.1", port });
    const echo = encodeFrame("headers", JSON.stringify({ ...v, id: 1, method: "echo", params: ["x".repeat(9000)] }));
    let closed = false;
    const calling = (async () => {
      while (!closed) await writeAll(deaf, echo);
    })().catch(() => {}); // the server closes it
    await program.line(/was silent for 3 s: closed$/, 60);
    closed = true;
    await calling;
    await until(async () => await descriptors(program.pid) <= (before[0] ?? 0) + 1, "as few descriptors as before", 30);
    const size = await memory(program.pid);
    assert(size < (before[1] ?? 0) + 80, `${before[1]} → ${size} MiB`);
    assertEquals(program.stderr, "");
  },
);
