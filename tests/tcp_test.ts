/** The TCP scripts: the suites on them, what they print, foreign peers, and bad days. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "jsr:@std/assert@1";
import { connect } from "node:net";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { Peer, reset } from "./suites/_peer.ts";
import { limits } from "./suites/_suite.ts";
import { freePort } from "./support/free_port.ts";
import {
  client,
  descriptors,
  failedWith,
  fewDescriptors,
  listening,
  memory,
  noSignals,
  runClient,
  serve,
  signals,
  suiteTest,
  testWith,
  until,
} from "./support/helpers.ts";
import "./parts/tcp.ts";
import "./parts/polled.ts";
import { optionsTest } from "./support/options.ts";
import { has, Program } from "./support/program.ts";
import { command, root } from "./support/tasks.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const at = (port: number) => ({ hostname: "127.0.0.1", port });
const python = await has("python3", "--version");
const linux = Deno.build.os === "linux";
/** `syscall_server.ts` where it runs: it must do what the other servers do. */
const calls = linux ? ["tcp/syscall_server.ts"] : [];

optionsTest("tcp/echo_server.ts", {
  "host": "127.0.0.1",
  "port": "7007, 0 to 65535",
  "timeout": "300",
  "chunk": "65536, 1 to 1048576",
  "max-clients": "10000, 1 to 1000000",
});
optionsTest("tcp/echo_client.ts", { "host": "127.0.0.1", "port": "7007, 1 to 65535", "wait": "0", "timeout": "5" });
optionsTest("tcp/reply_server.ts", {
  "host": "127.0.0.1",
  "port": "12345, 0 to 65535",
  "timeout": "300",
  "reply": "Hello from the server!",
  "size": "65536, 1 to 1048576",
  "max-clients": "1000, 1 to 1000000",
});
optionsTest("tcp/reply_client.ts", {
  "host": "127.0.0.1",
  "port": "12345, 1 to 65535",
  "wait": "0",
  "timeout": "5",
  "size": "65536, 1 to 1048576",
});
optionsTest("tcp/threaded_server.ts", {
  "host": "127.0.0.1",
  "port": "7008, 0 to 65535",
  "timeout": "300",
  "threads": `${navigator.hardwareConcurrency}, 1 to 256`,
  "chunk": "65536, 1 to 1048576",
  "max-clients": "10000, 1 to 1000000",
});
optionsTest("tcp/many_clients.ts", {
  "host": "127.0.0.1",
  "port": "7008, 1 to 65535",
  "wait": "0",
  "timeout": "5",
  "clients": "200, 1 to 20000",
  "messages": "100, 1 to 1000000",
  "size": "64, 1 to 1048576",
});

suiteTest("tcp:echo", "echo_server.ts", () => serve("tcp/echo_server.ts"));
suiteTest("tcp:echo", "echo_server.ts --trace=json", () => serve("tcp/echo_server.ts", "--trace=json"));
suiteTest("tcp:echo", "threaded_server.ts", () => serve("tcp/threaded_server.ts"));
if (linux) suiteTest("tcp:echo", "syscall_server.ts", () => serve("tcp/syscall_server.ts"));
if (linux) suiteTest("tcp:threaded", "syscall_server.ts", () => serve("tcp/syscall_server.ts"));
suiteTest("tcp:threaded", "threaded_server.ts", () => serve("tcp/threaded_server.ts"));
suiteTest("tcp:threaded", "echo_server.ts", () => serve("tcp/echo_server.ts"));
suiteTest("tcp:reply", "reply_server.ts", () => serve("tcp/reply_server.ts"));

/** A peer played by the test: one connection is accepted and handed to `talk`. */
async function play(talk: (peer: Peer) => Promise<void>, script: string, ...args: string[]): Promise<Program> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const program = client(script, listener.addr.port, ...args);
  using peer = new Peer(await listener.accept());
  await talk(peer);
  await program.end();
  return program;
}

Deno.test("echo_client: the arguments are one message; it prints it and the round-trip time", async () => {
  const { program, port } = await serve("tcp/echo_server.ts", "--once");
  const client = await runClient("tcp/echo_client.ts", port, "two", "words");
  assertMatch(client.stdout, /^Received: two words \(9 bytes, \d+\.\d\d ms\)\n$/);
  assertEquals([client.status?.code, (await program.end()).code], [0, 0]);
  assertMatch(program.stdout, /Connected by 127\.0\.0\.1:\d+\n127\.0\.0\.1:\d+ is done: 9 bytes echoed\n$/);
});

Deno.test("echo_client: each line of stdin is a message; control characters are shown escaped", async () => {
  const { program, port } = await serve("tcp/echo_server.ts");
  await using _ = program;
  const piped = new Program(command("tcp/echo_client.ts", port), { cwd: root, stdin: true });
  await piped.input("one\n\nzwei \x1b[31mröt\nlast");
  assertEquals((await piped.end()).code, 0, piped.stderr);
  const lines = piped.stdout.trim().split("\n").map((line) => line.replace(/, \d.*/, ""));
  assertEquals(lines, [
    "Received: one (3 bytes",
    "Received: zwei \\x1b[31mröt (14 bytes",
    "Received: last (4 bytes",
  ]);
});

Deno.test("echo_client --binary: stdin's bytes come out of stdout as they went in", async () => {
  const { program, port } = await serve("tcp/echo_server.ts");
  await using _ = program;
  const bytes = Uint8Array.from({ length: 1_000_003 }, (_, i) => i * 31 + (i >> 7));
  const child = new Deno.Command(Deno.execPath(), {
    args: [...command("tcp/echo_client.ts", port, "--binary").slice(1)],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const writing = writer.write(bytes).then(() => writer.close());
  const [{ code, stdout, stderr }] = await Promise.all([child.output(), writing]);
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  assertEquals(stdout, bytes);
  assertMatch(new TextDecoder().decode(stderr), /^1000003 bytes came back as sent, in [\d.]+ ms\n$/);
});

Deno.test("echo_client: a byte that differs, a byte too many, an early end, a silent server", async () => {
  const wrong = await play(
    async (peer) => {
      await peer.upTo(5);
      await peer.send("heLlo");
    },
    "tcp/echo_client.ts",
    "hello",
  );
  failedWith(wrong, 1, /^echo_client: byte 2 of 5 differs: sent 108, received 76$/m);

  const more = await play(
    async (peer) => {
      await peer.upTo(5);
      await peer.send("hello!!");
    },
    "tcp/echo_client.ts",
    "hello",
  );
  failedWith(more, 1, /^echo_client: 127.0.0.1:\d+ sent 2 bytes more than it received$/m);

  const early = await play(
    async (peer) => {
      await peer.upTo(5);
      await peer.send("hel");
      await peer.end();
    },
    "tcp/echo_client.ts",
    "hello",
  );
  failedWith(early, 1, /^echo_client: 127.0.0.1:\d+ closed after 3 of 5 bytes$/m);

  const silent = await play(async (peer) => void await peer.upTo(5), "tcp/echo_client.ts", "--timeout", "0.2", "hello");
  failedWith(silent, 1, /^echo_client: no echo from 127.0.0.1:\d+ in 0.2 s$/m);
});

Deno.test("clients: a reset in the middle of the exchange, and a server that is killed, are one line", async () => {
  for (const script of ["tcp/echo_client.ts", "tcp/reply_client.ts"]) {
    const { createServer } = await import("node:net");
    const server = createServer((socket) => void socket.once("data", () => socket.resetAndDestroy()));
    await new Promise<void>((up) => server.listen(0, "127.0.0.1", up));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const program = await runClient(script, address.port, "hello");
    await new Promise<void>((down) => server.close(() => down()));
    failedWith(program, 1, /: 127\.0\.0\.1:\d+ reset the connection in the middle of the exchange$/m);
  }
  const { program, port } = await serve("tcp/threaded_server.ts");
  const many = client("tcp/many_clients.ts", port, "--messages", "100000", "--clients", "5");
  await many.line(/connected/);
  program.signal("SIGKILL");
  assertEquals((await many.end()).code, 1);
  assertMatch(many.stderr, /many_clients: \d+ of 500000 messages lost, 5 clients failed$/m);
});

Deno.test("many_clients: verifies every byte, and says what was lost", async () => {
  const { program, port } = await serve("tcp/threaded_server.ts", "--once");
  const many = await runClient("tcp/many_clients.ts", port, "--clients", "50", "--messages", "20", "--size", "3000");
  assertEquals([many.status?.code, (await program.end()).code], [0, 0], many.stderr + program.stderr);
  assertMatch(
    many.stdout,
    /1000 messages in [\d.]+ s: \d+ messages\/s\nround trip in ms: p50 [\d.]+ {2}p95 [\d.]+ {2}p99 /,
  );
  assertStringIncludes(many.stdout, "all 1000 messages came back, every byte the same");
  // What the client counted is what the workers counted.
  const served = (text: string) => text.match(/^worker \d+ served \d+ clients?$/gm);
  const sum = served(many.stdout)?.reduce((sum, line) => sum + Number(/served (\d+)/.exec(line)?.[1]), 0);
  assertEquals(sum, 50);
  for (const line of served(many.stdout) ?? []) assertStringIncludes(program.stdout, line);
  assertEquals(program.stdout.match(/^worker \d+: Connected by /gm)?.length, 50);
  assertEquals(program.stdout.match(/ is done: 60001 bytes received$/gm)?.length, 50, "the ENQ and twenty messages");

  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const liar = client("tcp/many_clients.ts", listener.addr.port, "--clients", "1", "--messages", "3", "--size", "8");
  using peer = new Peer(await listener.accept());
  await peer.send(await peer.upTo(1)); // the ENQ comes back: a plain echo server
  await peer.send(await peer.upTo(8));
  const message = await peer.upTo(8);
  message[7] = (message[7] ?? 0) ^ 0x80;
  await peer.send(message);
  await liar.end();
  assertEquals(liar.status?.code, 1);
  assertMatch(
    liar.stderr,
    /^client 1: byte 7 differs: sent \d+, received \d+\nmany_clients: 2 of 3 messages lost, 1 client failed$/m,
  );
});

Deno.test("many_clients: a message that does not come back in time is counted from one", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const args = ["--clients", "1", "--messages", "3", "--timeout", "0.5"];
  const many = client("tcp/many_clients.ts", listener.addr.port, ...args);
  using peer = new Peer(await listener.accept());
  await peer.send(await peer.upTo(1));
  await peer.send(await peer.upTo(64));
  await many.end();
  assertMatch(
    many.stderr,
    /^client 1: 127\.0\.0\.1:\d+ took longer than 0\.5 s to echo message 2\nmany_clients: 2 of 3 /,
  );
});

Deno.test("threaded_server --once: one client is enough", async () => {
  const { program, port } = await serve("tcp/threaded_server.ts", "--once");
  assertEquals((await runClient("tcp/echo_client.ts", port, "x")).status?.code, 0);
  assertEquals((await program.end()).code, 0);
});

Deno.test("threaded_server: ENQ as the first byte asks for the worker, later it is a byte like any other", async () => {
  const { program, port } = await serve("tcp/threaded_server.ts", "--threads", "1");
  await using _ = program;
  using peer = await Peer.connect(at(port));
  await peer.send("\x05ab\x05");
  assertEquals(await peer.upTo(12), encode("worker 1\nab\x05"));
});

testWith(linux, "Linux", "threaded_server: every worker serves, and all stop", async () => {
  const { program, port } = await serve("tcp/threaded_server.ts", "--threads", "3");
  await using _ = program;
  assertMatch(program.stdout, /^Threaded server \(3 threads\) listening on 127\.0\.0\.1:\d+$/m);
  const names = new Set<string>();
  for (let i = 0; i < 200 && names.size < 3; i++) {
    using peer = await Peer.connect(at(port));
    await peer.send("\x05");
    names.add(new TextDecoder().decode(await peer.upTo(9)));
  }
  assertEquals([...names].sort(), ["worker 1\n", "worker 2\n", "worker 3\n"]);
  program.signal("SIGINT");
  assertEquals((await program.end()).code, 0);
});

Deno.test("reply: the classic dialogue, word for word", async () => {
  const { program, port } = await serve("tcp/reply_server.ts", "--once");
  const asked = await runClient("tcp/reply_client.ts", port);
  assertEquals(asked.stdout, "Received from server: Hello from the server!\n");
  assertEquals((await program.end()).code, 0);
  assertMatch(
    program.stdout,
    /^Server listening on 127\.0\.0\.1:\d+\nConnected by 127\.0\.0\.1:\d+\nReceived from client: Hello from the client!\n/,
  );
});

Deno.test("reply_server: --reply, --close, and hostile bytes shown escaped", async () => {
  const { program, port } = await serve("tcp/reply_server.ts", "--reply", "Grüße", "--close");
  await using _ = program;
  using peer = await Peer.connect(at(port));
  await peer.send("\x1b]0;pwned\x07\r\nConnected by admin");
  assertEquals(await peer.upTo(100), encode("Grüße"));
  assertEquals(await peer.upTo(1), new Uint8Array());
  await program.line(/^Received from client: \\x1b\]0;pwned\\x07\\r\\nConnected by admin$/);
});

Deno.test("reply_client: a server that closes without a reply, and one that says nothing", async () => {
  const closed = await play(async (peer) => {
    await peer.some("");
    await peer.end();
  }, "tcp/reply_client.ts");
  failedWith(closed, 1, /^reply_client: 127\.0\.0\.1:\d+ closed the connection without a reply$/m);
  const silent = await play(async (peer) => void await peer.some(""), "tcp/reply_client.ts", "--timeout", "0.2");
  failedWith(silent, 1, /^reply_client: no reply from 127\.0\.0\.1:\d+ in 0\.2 s$/m);
});

Deno.test("reply: bound to every address, it prints those for other machines, or how to see them", async () => {
  for (const sys of [true, false]) {
    const flags = ["deno", "run", "--no-prompt", "-N", ...sys ? ["-S=networkInterfaces"] : []];
    await using program = new Program([...flags, "tcp/reply_server.ts", "--host", "0.0.0.0", "--port", "0"], {
      cwd: root,
    });
    const [, port] = await program.line(/^Server listening on 0\.0\.0\.0:(\d+)$/);
    if (!sys) await program.line(/add -S=networkInterfaces to deno run/);
    else {
      using peer = await Peer.connect(at(Number(port))); // by now the addresses, if there are any, are printed
      await peer.send("hi");
      await peer.some("");
      for (const { address, family } of Deno.networkInterfaces()) {
        const shown = program.stdout.includes(`other machines can connect to ${address}:${port} (`);
        assertEquals(shown, family === "IPv4" && !address.startsWith("127."), address);
      }
    }
  }
});

testWith(python, "python3", "reply: interoperates with the Python server and client of the first lab", async () => {
  const { program, port } = await serve("tcp/reply_server.ts");
  await using _ = program;
  await using snake = new Program(["python3", "tests/peers/reply_client.py", "classic"], {
    cwd: root,
    env: { HOST: "127.0.0.1", PORT: `${port}` },
  });
  await snake.end();
  assertEquals(snake.stdout, "Received from server: Hello from the server!\n");
  await program.line(/^Received from client: Hello from the client!$/);

  const own = freePort();
  await using server = new Program(["python3", "tests/peers/reply.py", "classic"], {
    cwd: root,
    env: { PORT: `${own}` },
  });
  await server.line(/listening/);
  const asked = await runClient("tcp/reply_client.ts", own, "Grüße");
  assertEquals(asked.stdout, "Received from server: Hello from the server!\n");
  await server.line(/^Received from client: Grüße$/);
});

Deno.test("--trace=json: every message with its bytes, and the ends of the stream", async () => {
  const { program, port } = await serve("tcp/echo_server.ts", "--once", "--trace=json");
  await runClient("tcp/echo_client.ts", port, "héllo");
  await program.end();
  const records = program.stderr.trim().split("\n").map((line) => JSON.parse(line));
  const server = `127.0.0.1:${port}`;
  const data = encode("héllo").toBase64();
  assertEquals(
    records.map((
      { side, transport, from, to, bytes, data, note },
    ) => [side, transport, from === server ? "←" : "→", from === server || to === server, bytes, data, note]),
    [
      ["server", "tcp", "→", true, 0, "", "accepted"],
      ["server", "tcp", "→", true, 6, data, ""],
      ["server", "tcp", "←", true, 6, data, ""],
      ["server", "tcp", "→", true, 0, "", "FIN"],
      ["server", "tcp", "←", true, 0, "", "closed"],
    ],
  );
  const times = records.map(({ t }) => t);
  assertEquals(times, times.toSorted(), "in the order in which they were seen");
  const first = new Date(times[0] / 1000).getTime(); // microseconds since 1970
  assert(Math.abs(Date.now() - first) < 600_000, `${first} is not the time of this test`);
});

Deno.test("--trace: text in quotes, other bytes as a hex dump", async () => {
  const { program, port } = await serve("tcp/echo_server.ts", "--trace");
  await using _ = program;
  using peer = await Peer.connect(at(port));
  await peer.send("line\r\n");
  await peer.upTo(6);
  await program.line(/^ {4}"line\\r\\n"$/);
  await peer.send(Uint8Array.of(0, 1, 0x41, 0xff));
  await program.line(/^ {4}0000 {2}00 01 41 ff {38}\.\.A\.$/);
});

for (const script of ["tcp/echo_server.ts", ...calls]) {
  testWith(signals, noSignals, `${script}: Ctrl-C: an exchange in flight is finished, then exit code 0`, async () => {
    const { program, port } = await serve(script);
    await using _ = program;
    using peer = await Peer.connect(at(port));
    await peer.send("before");
    await peer.upTo(6);
    program.signal("SIGINT");
    await program.line(/^stopping: waiting up to 5 s for 1 client to finish/);
    await peer.send("after");
    assertEquals(await peer.upTo(5), encode("after"));
    const late = await Peer.connect(at(port)).then((peer) => peer.close(), (error: Error) => error.message);
    assertMatch(String(late), /refus/i);
    await peer.end();
    assertEquals((await program.end()).code, 0);
  });
}

// A terminal sends Ctrl-C to `deno task` and to the script, and `deno task` passes its own on: two signals for one key.
testWith(signals, noSignals, "Ctrl-C in a terminal, with deno task: an exchange in flight is finished", async () => {
  const { program, port } = await listening((port) => ["deno", "task", "echo-server", "--port", `${port}`]);
  await using _ = program;
  using peer = await Peer.connect(at(port));
  await peer.send("before");
  await peer.upTo(6);
  program.signalGroup("SIGINT");
  await program.line(/^stopping: waiting up to 5 s for 1 client to finish/);
  await peer.send("after");
  assertEquals(await peer.upTo(5), encode("after"));
  await peer.end();
  assertEquals((await program.end()).code, 0, program.stderr);
});

testWith(signals, noSignals, "Ctrl-C twice: at once, with exit code 1", async () => {
  for (const script of ["tcp/echo_server.ts", "tcp/reply_server.ts", "tcp/threaded_server.ts", ...calls]) {
    const { program, port } = await serve(script);
    using peer = await Peer.connect(at(port));
    await peer.send("here");
    await peer.some("");
    program.signal("SIGINT");
    await program.line(/stopping: waiting up to 5 s/);
    await new Promise((again) => setTimeout(again, 600)); // what comes sooner belongs to the same key
    program.signal("SIGINT");
    assertEquals((await program.end()).code, 1, script);
  }
});

testWith(signals, noSignals, "a client that does not leave is cut off 5 s after Ctrl-C: exit code 0", async () => {
  await Promise.all(["tcp/reply_server.ts", ...calls].map(async (script) => {
    const { program, port } = await serve(script);
    using peer = await Peer.connect(at(port));
    await peer.send("here");
    await peer.some("");
    program.signal("SIGTERM");
    await program.line(/^127\.0\.0\.1:\d+ did not finish in time: closed$/);
    assertEquals((await program.end()).code, 0, script);
  }));
});

Deno.test("a client that is silent for --timeout is closed, one that is not stays", async () => {
  const scripts = ["tcp/echo_server.ts", "tcp/reply_server.ts", "tcp/threaded_server.ts", ...calls];
  await Promise.all(scripts.map(async (script) => {
    const { program, port } = await serve(script, "--timeout", "2");
    await using _ = program;
    using silent = await Peer.connect(at(port));
    using alive = await Peer.connect(at(port));
    const ended = silent.upTo(1);
    let over = false;
    ended.then(() => over = true);
    while (!over) {
      await alive.send("x");
      assert((await alive.some("")).length > 0, `${script} closed a client that was not silent`);
      await new Promise((again) => setTimeout(again, 50));
    }
    assertEquals(await ended, new Uint8Array());
    await program.line(/127\.0\.0\.1:\d+ was silent for 2 s: closed$/);
  }));
});

for (const script of ["tcp/echo_server.ts", ...calls]) {
  Deno.test(`${script}: at --max-clients the next one waits for a place, and gets it`, async () => {
    const { program, port } = await serve(script, "--max-clients", "2");
    await using _ = program;
    const [one, two] = [await Peer.connect(at(port)), await Peer.connect(at(port))];
    for (const peer of [one, two]) {
      await peer.send("in");
      await peer.upTo(2);
    }
    using three = await Peer.connect(at(port));
    await three.send("me too");
    const answer = three.upTo(6);
    await two.send("still served");
    assertEquals(await two.upTo(12), encode("still served"));
    assertEquals(program.stdout.match(/Connected by/g)?.length, 2);
    one.close();
    assertEquals(await answer, encode("me too"));
    two.close();
  });
}

for (const script of ["tcp/echo_server.ts", ...calls]) {
  Deno.test(`${script}: a client that resets is one line in the log`, async () => {
    const { program, port } = await serve(script);
    await using _ = program;
    await reset(at(port)); // two connections: the first only sees whether the server is up
    await program.line(/^127\.0\.0\.1:\d+ reset the connection$/);
  });
}

Deno.test("--once: the exit code tells how the first client's exchange ended", async () => {
  for (const script of ["tcp/echo_server.ts", "tcp/reply_server.ts", ...calls]) {
    const { program, port } = await serve(script, "--once");
    const { connect } = await import("node:net");
    const socket = connect(port, "127.0.0.1", () => socket.write("hi"));
    socket.once("data", () => socket.resetAndDestroy());
    assertEquals((await program.end()).code, 1, `${script}: ${program.tail()}`);
    assertMatch(program.stdout, /reset the connection\n$/);
  }
});

for (const script of ["tcp/echo_server.ts", ...calls]) {
  testWith(linux, "Linux", `${script}: 10,000 connections opened and dropped leave nothing behind`, async () => {
    const { program, port } = await serve(script);
    await using _ = program;
    assertEquals((await runClient("tcp/echo_client.ts", port, "x")).status?.code, 0); // by now it has its reserve
    const before = await descriptors(program.pid);
    for (let batch = 0; batch < 100; batch++) {
      const conns = await Promise.all(Array.from({ length: 100 }, () => Deno.connect({ port, hostname: "127.0.0.1" })));
      for (const conn of conns) conn.close();
    }
    using peer = await Peer.connect(at(port));
    await peer.send("still there?");
    assertEquals(await peer.upTo(12), encode("still there?"));
    await until(async () => await descriptors(program.pid) <= before + 1, `as few descriptors as before, ${before}`);
    const size = await memory(program.pid);
    assert(size < 300, `${size} MiB resident`);
  });
}

for (const script of ["tcp/echo_server.ts", ...calls]) {
  Deno.test(
    `${script}: a client that never reads does not fill the server's memory, and is closed`,
    { ignore: !linux },
    async () => {
      const { program, port } = await serve(script, "--timeout", "1");
      await using _ = program;
      const before = await memory(program.pid);
      using deaf = await Deno.connect({ port, hostname: "127.0.0.1" });
      const chunk = new Uint8Array(1 << 20);
      let error: unknown;
      try {
        for (let i = 0; i < 1000; i++) await deaf.write(chunk); // stuck long before this, until the server closes
      } catch (caught) {
        error = caught;
      }
      assert(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe, String(error));
      await program.line(/was silent for 1 s: closed/);
      const after = await memory(program.pid);
      assert(after - before < 50, `${before} MiB before, ${after} MiB after`);
    },
  );
}

Deno.test("a worker of the threaded server says that it has started, so that all can begin to listen together", async () => {
  const worker = new Worker(new URL("../tcp/threaded_worker.ts", import.meta.url), { type: "module" });
  const first = await new Promise((heard) => worker.onmessage = ({ data }) => heard(data));
  worker.terminate();
  assertEquals(first, "ready");
});

Deno.test(
  "no file descriptors left: the clients inside are served, and later ones when there is room",
  { ignore: !linux },
  async () => {
    for (const script of ["tcp/echo_server.ts", "tcp/threaded_server.ts", ...calls]) {
      const port = freePort();
      await using program = new Program([...fewDescriptors, ...command(script, port).slice(1)], { cwd: root });
      await program.line(/listening on/);
      assertEquals((await runClient("tcp/echo_client.ts", port, "x")).status?.code, 0); // by now it has its reserve
      const peers = await Promise.all(Array.from({ length: 80 }, () => Peer.connect(at(port))));
      await program.line(/no file descriptors left \(\d+ clients connected\): new clients must wait; raise ulimit -n$/);
      if (script === "tcp/echo_server.ts") { // the workers of the other one share the limit
        await until(async () => await descriptors(program.pid) <= 60, "some of the 64 descriptors are free again");
      }
      const answers = peers.map(async (peer, i) => {
        await peer.send(`client ${i}`);
        return new TextDecoder().decode(await peer.upTo(`client ${i}`.length));
      });
      // Whoever is inside is answered and leaves, so everyone gets in at last.
      await Promise.all(answers.map(async (answer, i) => {
        assertEquals(await answer, `client ${i}`);
        peers[i]?.close();
      }));
      assertEquals(program.status, undefined);
    }
  },
);

testWith(linux, "Linux", "many_clients: more clients than file descriptors is one line and exit code 1", async () => {
  const { program, port } = await serve("tcp/echo_server.ts");
  await using _ = program;
  const many = new Program([...fewDescriptors, ...command("tcp/many_clients.ts", port).slice(1)], { cwd: root });
  await many.end();
  failedWith(
    many,
    1,
    /^many_clients: this process has too many open files and sockets: raise the limit with ulimit -n$/m,
  );
});

limits.patience = 20_000; // a machine under load is no failure of the scripts

for (const script of ["tcp/echo_server.ts", ...calls]) {
  Deno.test(`${script}: clients that reset while they wait for their turn do not end it`, async () => {
    const { program, port } = await serve(script, "--max-clients", "1");
    await using _ = program;
    const first = await Deno.connect({ hostname: "127.0.0.1", port });
    await program.line(/Connected by/);
    for (let i = 0; i < 20; i++) {
      const gone = Promise.withResolvers<void>();
      const socket = connect(port, "127.0.0.1", () => socket.resetAndDestroy());
      socket.once("close", () => gone.resolve());
      await gone.promise;
    }
    first.close();
    using next = await Deno.connect({ hostname: "127.0.0.1", port });
    await next.write(new TextEncoder().encode("still there?"));
    const buffer = new Uint8Array(100);
    assertEquals(new TextDecoder().decode(buffer.subarray(0, await next.read(buffer) ?? 0)), "still there?");
    assertEquals(program.stderr, "");
  });
}

Deno.test("BufferedReader: lines in any pieces, a buffer that grows, and the end of the stream", async () => {
  const pieces = ["one\ntw", "o\n", "three".repeat(3), "\n", "rest"].map(encode);
  const read = (buffer: Uint8Array) => {
    const piece = pieces[0];
    if (piece === undefined) return Promise.resolve(null);
    const n = Math.min(buffer.length, piece.length);
    buffer.set(piece.subarray(0, n));
    if (n === piece.length) pieces.shift();
    else pieces[0] = piece.subarray(n);
    return Promise.resolve(n);
  };
  const reader = new BufferedReader({ read }, 64, 4);
  const lines: string[] = [];
  do {
    for (let end = reader.unread.indexOf(10); end >= 0; end = reader.unread.indexOf(10)) {
      lines.push(new TextDecoder().decode(reader.unread.subarray(0, end)));
      reader.consume(end + 1);
    }
  } while (await reader.fill());
  assertEquals(lines, ["one", "two", "threethreethree"]);
  assertEquals(reader.unread, encode("rest"));
});

Deno.test("BufferedReader: a message longer than its limit is an error, not memory", async () => {
  const reader = new BufferedReader({ read: (buffer) => Promise.resolve(buffer.length) }, 16, 4);
  await assertRejects(
    async () => {
      while (await reader.fill());
    },
    Error,
    "the buffer is full",
  );
  assertEquals(reader.unread.length, 16);
});

testWith(linux, "Linux", "syscall_client: a message longer than all buffers comes back from every server", async () => {
  const long = "0123456789abcdef".repeat(6000); // as long as one argument may be
  for (const server of ["tcp/echo_server.ts", ...calls]) {
    const { program, port } = await serve(server);
    await using _ = program;
    const { stdout, stderr, status } = await runClient("tcp/syscall_client.ts", port, long);
    assertEquals([stderr, status?.code], ["", 0]);
    assertStringIncludes(stdout, `Received: ${long} (96000 bytes, `);
  }
});

testWith(
  linux,
  "Linux",
  "syscall_client: a server that is not there, silent, wrong, or gone, is one line",
  async () => {
    const free = await runClient("tcp/syscall_client.ts", freePort());
    failedWith(free, 1, /^syscall_client: 127\.0\.0\.1:\d+ refused the connection: is the server running\?$/m);

    const talks: [answer: (peer: Peer) => Promise<void>, line: RegExp][] = [
      [async (peer) => void await peer.upTo(5), /: 127\.0\.0\.1:\d+ did not answer in time: is it the right host\?$/m],
      [async (peer) => await peer.send("heLlo").then(() => peer.end()), /: byte 2 of 5 differs$/m],
      [async (peer) => await peer.send("hello!!"), /: the server sent more than it received$/m],
      [async (peer) => await peer.send("hel").then(() => peer.end()), /: 127\.0\.0\.1:\d+ closed after 3 of 5 bytes$/m],
    ];
    for (const [answer, line] of talks) {
      const program = await play(answer, "tcp/syscall_client.ts", "--timeout", "0.3", "hello");
      failedWith(program, 1, line);
    }
  },
);

testWith(linux, "Linux", "--calls: the system calls of an exchange, in the order of every textbook", async () => {
  const { program: server, port } = await serve("tcp/syscall_server.ts", "--calls", "--once");
  const client = await runClient("tcp/syscall_client.ts", port, "--calls", "hi");
  assertEquals([client.status?.code, (await server.end()).code], [0, 0]);
  const names = (stderr: string) =>
    [...stderr.matchAll(/^(?!epoll|eventfd|set|get)(\w+)\(.*\) = .*$/gm)].map(([, name]) => name);
  assertEquals(names(client.stderr), [
    "socket",
    "connect",
    "poll",
    "poll",
    "send",
    "shutdown",
    "poll",
    "recv",
    "poll",
    "recv",
    "close",
  ]);
  assertEquals(names(server.stderr).slice(0, 7), ["socket", "bind", "listen", "accept4", "recv", "send", "recv"]);
  assertMatch(client.stderr, /^connect\(\d+, \{…\}, 16\) = -1 EINPROGRESS$/m);
  // The sheet shows the client's side: the same calls, of another socket and with another text.
  const [, sheet = ""] = /^(socket\([^`]+\n)Received: /m.exec(await Deno.readTextFile(`${root}tcp/README.md`)) ?? [];
  const everyCall = (text: string) => [...text.matchAll(/^(\w+)\(.*\) = /gm)].map(([, name]) => name);
  assertEquals(everyCall(sheet), everyCall(client.stderr));
  assertMatch(server.stderr, /^recv\(\d+, "hi", 65536, 0\) = 2$/m);
});

Deno.test("threaded_server: without the permission to read its workers' modules it prints the command that grants it", async () => {
  const argv = ["deno", "run", "--no-prompt", "-N=127.0.0.1", "tcp/threaded_server.ts", "--port", "0"];
  const program = new Program(argv, { cwd: root });
  await program.end();
  failedWith(
    program,
    2,
    /^threaded_server: .*: add -R=cli\.ts,tcp: deno run .*-R=cli\.ts,tcp.* tcp\/threaded_server\.ts --port 0$/m,
  );
});

testWith(linux, "Linux", "syscall_server: an address in use, IPv6, a missing permission", async () => {
  const { program, port } = await serve("tcp/syscall_server.ts", "--host", "::1");
  const second = client("tcp/syscall_server.ts", port, "--host", "::1");
  await second.end();
  failedWith(
    second,
    1,
    /^syscall_server: \[::1\]:\d+ is in use: stop the other program, or wait a minute if it has just ended, or choose another --port: deno task syscall-server --host ::1 --port \d+$/m,
  );
  const echoed = await runClient("tcp/syscall_client.ts", port, "--host", "::1", "six");
  assertMatch(echoed.stdout, /^Received: six \(3 bytes/);
  await program.line(/^Connected by \[::1\]:\d+$/);
  await program.stop();

  for (const script of ["tcp/syscall_server.ts", "tcp/syscall_client.ts"]) {
    const bare = new Program(["deno", "run", "--no-prompt", script], { cwd: root });
    assertEquals((await bare.end()).code, 2);
    assertMatch(
      bare.stderr,
      /: no permission to call the C library: add --allow-ffi: deno run --allow-ffi tcp\/\w+\.ts$/m,
    );
  }
});
