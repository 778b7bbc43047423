/** `deno task check`: the right checks catch each wrong peer, and no program that was started is left behind. `deno task demo`. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "jsr:@std/assert@1";
import { Failure } from "../cli.ts";
import { suites } from "./suites/suites.ts";
import { output, portsFree, serve, testWith, until } from "./support/helpers.ts";
import { has, Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";

const python = await has("python3", "--version");
const linux = Deno.build.os === "linux";

/** Runs `deno task check` to its end. */
async function check(...args: string[]): Promise<Program> {
  const program = new Program(["deno", "task", "--quiet", "check", ...args], { cwd: root });
  await program.end(100);
  return program;
}

const failed = (program: Program) => [...program.stdout.matchAll(/^✗ (.*) \(0\/\d+\)$/gm)].map(([, name]) => name);

/** Each peer, the suite that checks it, and exactly the checks that it must fail. */
const peers: [suite: string, peer: string, caught: string[]][] = [
  ["tcp:echo", "echo_threads.py", []],
  ["tcp:echo", "echo_wrong.py correct", []],
  ["tcp:echo", "echo_wrong.py decodes-as-text", ["binary 0–255"]],
  ["tcp:echo", "echo_wrong.py reads-once", ["1 MiB", "one byte at a time", "many small writes", "half-close"]],
  ["tcp:echo", "echo_wrong.py keeps-open", ["half-close"]],
  ["tcp:echo", "echo_wrong.py one-at-a-time", ["fifty at once, one of them silent"]],
  ["tcp:echo", "echo_wrong.py dies-on-reset", ["a client that resets"]],
  ["tcp:echo", "echo_wrong.py waits-for-lines", [
    "binary 0–255",
    "1 MiB",
    "one byte at a time",
    "many small writes",
    "ten clients in turn",
    "fifty at once, one of them silent",
    "a client that resets",
  ]],
  ["tcp:echo", "echo_wrong.py drops-last-byte", [
    "exact bytes",
    "binary 0–255",
    "1 MiB",
    "many small writes",
    "half-close",
    "ten clients in turn",
    "fifty at once, one of them silent",
    "a client that resets",
  ]],
  ["tcp:threaded", "echo_threads.py", []],
  ["tcp:threaded", "echo_wrong.py blocks-on-send", ["a client that never reads"]],
  ["tcp:threaded", "echo_wrong.py one-at-a-time", suites["tcp:threaded"]?.checks.map(({ name }) => name) ?? []],
  ["tcp:reply", "reply.py classic", ["a conversation", "a silent client at the same time"]],
  ["tcp:reply", "reply.py never-replies", suites["tcp:reply"]?.checks.map(({ name }) => name) ?? []],
  ["tcp:reply", "reply.py decodes-strictly", [
    "bytes that are not text",
    "a conversation",
    "a silent client at the same time",
  ]],
  ["tcp:reply", "reply.py serves-one-client", [
    "the next client",
    "bytes that are not text",
    "a client that says nothing",
    "a client that resets",
    "a conversation",
    "a silent client at the same time",
  ]],
  ["tcp:echo-client", "echo_client.py correct", []],
  ["tcp:echo-client", "echo_client.py reads-once", ["an echo in pieces"]],
  ["tcp:echo-client", "echo_client.py compares-nothing", ["a wrong byte"]],
  ["tcp:echo-client", "echo_client.py spins-at-end", ["the server closes early"]],
  ["tcp:echo-client", "echo_client.py shows-stack-trace", ["no server"]],
  ["tcp:reply-client", "reply_client.py", ["the server closes without a reply", "no server"]],
  ["udp:chat", "chat.py correct", []],
  ["udp:chat", "chat.py dies-on-bytes", ["any datagram"]],
  ["udp:chat", "chat.py raw-lines", ["no forged line"]],
  ["udp:chat", "chat.py raw-controls", ["no forged line", "no terminal controls"]],
  ["udp:chat", "chat.py shares-names", ["a name that is taken"]],
  ["udp:chat", "chat.py keeps-who-left", ["/quit"]],
  ["udp:chat", "chat.py no-echo", ["an echo to the sender"]],
  ["udp:chat-client", "chat_client.py correct", []],
  ["udp:chat-client", "chat_client.py sends-once", [
    "lost datagrams",
    "a forged echo",
    "a line that resembles the echo",
  ]],
  ["udp:chat-client", "chat_client.py new-number", ["lost datagrams", "a line that resembles the echo"]],
  ["udp:chat-client", "chat_client.py shows-all", ["an echo that arrives twice"]],
  ["udp:chat-client", "chat_client.py any-source", ["a forged echo"]],
  ["udp:chat-client", "chat_client.py any-echo", ["a line that resembles the echo"]],
  ["udp:chat-client", "chat_client.py deaf", ["messages from others"]],
  ["udp:chat-client", "chat_client.py raw-controls", ["no terminal controls"]],
  ["udp:chat-client", "chat_client.py dies-on-bytes", ["any datagram"]],
  ["udp:chat-client", "chat_client.py floods", ["a silent server", "no server"]],
  ["udp:chat-client", "chat_client.py shrugs", ["a silent server", "no server"]],
  ["udp:chat-client", "chat_client.py vanishes", ["/quit at the end"]],
];

/** Runs jobs, `many` at a time, and returns a promise for each. A check spends most of its time waiting. */
function pool<T>(many: number, jobs: (() => Promise<T>)[]): Promise<T>[] {
  const results = jobs.map(() => Promise.withResolvers<T>());
  let next = 0;
  const work = async () => {
    while (next < jobs.length) {
      const i = next++;
      await jobs[i]?.().then(results[i]?.resolve, results[i]?.reject);
    }
  };
  for (let i = 0; i < many; i++) work();
  return results.map(({ promise }) => promise);
}

testWith(python, "python3", "check: the right checks catch each wrong peer", async (t) => {
  // A correct program gets more time, in case the machine is busy. A wrong one often does not answer at all.
  const timeout = (caught: string[]) => ["--timeout", caught.length > 0 ? "0.8" : "10"];
  const run = (suite: string, peer: string, caught: string[]) =>
    check(suite, ...timeout(caught), "--", "python3", ...`tests/peers/${peer}`.split(" "));
  const programs = pool(3, peers.map(([suite, peer, caught]) => () => run(suite, peer, caught)));
  for (const [i, [suite, peer, caught]] of peers.entries()) {
    await t.step(`${suite} on ${peer}: ${caught.join(", ") || "nothing to catch"}`, async () => {
      const program = await programs[i];
      if (!program) throw new Error("the check did not run");
      assertEquals(failed(program), caught, program.stdout + program.stderr);
      assertEquals(program.status?.code, caught.length > 0 ? 1 : 0);
    });
  }
});

Deno.test("check dns:client on query.ts: nothing to catch", async () => {
  const query = ["deno", "run", "-N=127.0.0.1", "dns/query.ts", "--server", "{host}:{port}", "--timeout", "3"];
  const program = await check("dns:client", "--timeout", "5", "--", ...query, "{name}");
  assertEquals(failed(program), [], program.stdout + program.stderr);
});

Deno.test("check udp:chat-client on chat_client.ts: nothing to catch", async () => {
  const command = ["deno", "run", "-N=127.0.0.1", "udp/chat_client.ts", "--port", "{port}", "--timeout=3"];
  const program = await check("udp:chat-client", "--timeout", "5", "--", ...command, "--message=hello");
  assertEquals(failed(program), [], program.stdout + program.stderr);
});

Deno.test("check smtp:client on send.ts: nothing to catch", async () => {
  const command = [
    "deno",
    "run",
    "-N=127.0.0.1",
    "smtp/send.ts",
    "--port",
    "{port}",
    "--timeout=3",
    "--text",
    "{text}",
  ];
  const addresses = ["--from=a@example.com", "--to={to}"];
  const program = await check("smtp:client", "--timeout", "5", "--", ...command, ...addresses);
  assertEquals(failed(program), [], program.stdout + program.stderr);
});

for (const script of ["raw_client", "fetch_client"]) {
  Deno.test(`check http:client on ${script}.ts: nothing to catch`, async () => {
    const command = ["deno", "run", "-N=127.0.0.1", `http/${script}.ts`, "--timeout=3", "{url}"];
    const program = await check("http:client", "--timeout", "5", "--", ...command);
    assertEquals(failed(program), [], program.stdout + program.stderr);
  });
}

Deno.test("check: the project's own clients pass; {host} and {port} are replaced in their options", async () => {
  for (const [suite, script] of [["tcp:echo-client", "echo_client"], ["tcp:reply-client", "reply_client"]] as const) {
    const program = await check(
      ...[suite, "--timeout", "10", "--", "deno", "run", "-N=127.0.0.1", `tcp/${script}.ts`],
      ...["--host", "{host}", "--port={port}", "--timeout=3", "hello"],
    );
    assertEquals([failed(program), program.status?.code], [[], 0], program.stdout + program.stderr);
  }
});

Deno.test("check --at: a server that is running; --json: the results for Gradescope", async () => {
  const { program: server, port } = await serve("tcp/reply_server.ts", "--close");
  await using _ = server;
  const file = await Deno.makeTempFile({ suffix: ".json" });
  const program = await check("tcp:reply", "--at", `127.0.0.1:${port}`, "--timeout", "1", "--json", file);
  assertEquals(failed(program), ["a conversation"], program.stdout + program.stderr);
  assertMatch(program.stdout, /^tcp:reply: 7 of 8 checks passed, 12 of 14 points$/m);
  assertMatch(
    program.stdout,
    /^✗ a conversation \(0\/2\)\n {4}A connection .*\n {4}expected .*, got .*\n {4}hint: loop/m,
  );
  const { tests } = JSON.parse(await Deno.readTextFile(file));
  await Deno.remove(file);
  assertEquals(tests.length, 8);
  assertEquals(Object.keys(tests[0]), ["name", "score", "max_score", "status", "output"]);
  const wrong = tests.find(({ name }: { name: string }) => name === "a conversation");
  assertEquals([wrong.score, wrong.max_score, wrong.status], [0, 2, "failed"]);
  assertStringIncludes(wrong.output, "hint:");
  assertEquals(tests.filter(({ status }: { status: string }) => status === "passed").length, 7);
});

testWith(
  linux && await has("pgrep", "-V"),
  "pgrep of Linux",
  "check: the programs it started are stopped, and their children, even after Ctrl-C",
  async () => {
    // A shell that starts the server as its child, and a child that ignores SIGTERM.
    const mark = `mark${crypto.randomUUID()}`;
    const shell =
      `sh -c 'trap "" TERM; while :; do sleep 0.1; done' ${mark} & python3 tests/peers/echo_threads.py ${mark}; :`;
    const alive = async () =>
      (await output("pgrep", "-f", `^(python3|sh) .*${mark}`)).trim().split("\n").filter((pid) => pid);
    const program = await check("tcp:echo", "--timeout", "10", "--", "sh", "-c", shell);
    if (python) assertEquals(failed(program), [], program.stdout);
    await until(async () => (await alive()).length === 0, "no program is left");

    const flags = ["-N", "--allow-run", "-E", "-R", "-W"];
    const client = ["tests/check.ts", "tcp:echo-client", "--", "sh", "-c", shell];
    const waiting = new Program(["deno", "run", ...flags, ...client], { cwd: root });
    await until(async () => (await alive()).length > 0, "the program has started");
    waiting.signal("SIGINT");
    assertEquals((await waiting.end()).code, 1, waiting.stderr);
    await until(async () => (await alive()).length === 0, "no program is left after Ctrl-C");
  },
);

Deno.test("check: wrong usage is one line and exit code 2, a missing program exit code 3", async () => {
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  for (
    const [args, code, line] of [
      [[], 2, /give the name of a suite: .*tcp:echo, tcp:echo-client/],
      [["tcp:ecko"], 2, /there is no suite tcp:ecko: choose one of/],
      [["tcp:echo"], 2, /tcp:echo checks a TCP echo server: give the program to check with --at/],
      [["tcp:echo", "--at", "7007"], 2, /--at wants HOST:PORT, such as 127.0.0.1:7007, not 7007/],
      [["tcp:echo", "--at", "127.0.0.1:0"], 2, /--at wants HOST:PORT/],
      [["tcp:echo", "--at", "127.0.0.1:7007", "--", "x"], 2, /leave out the command/],
      [["tcp:echo-client", "--at", "127.0.0.1:7007"], 2, /checks a client: give its command after --/],
      [["tcp:echo", "--", "no-such-program-here"], 3, /there is no program no-such-program-here on this machine/],
    ] as const
  ) {
    const program = await check(...args);
    assertMatch(program.stderr, line);
    assertEquals([program.status?.code, program.stderr.trimEnd().split("\n").length], [code, 1], program.stderr);
  }
  await assertRejects(
    async () => await new Program(["deno"], { cwd: `${root}no-such-folder` }).end(),
    Failure,
    "no folder",
  );
  const nobody = await check("tcp:echo", "--at", `127.0.0.1:${closed.addr.port}`);
  assertEquals([nobody.status?.code, failed(nobody).length], [1, suites["tcp:echo"]?.checks.length]);
  assertStringIncludes(nobody.stdout, "expected a connection to 127.0.0.1:");
});

Deno.test("check: every check says why it matters, and counts", () => {
  for (const [name, { checks }] of Object.entries(suites)) {
    assertEquals(new Set(checks.map(({ name }) => name)).size, checks.length, name);
    for (const check of checks) {
      assert(check.points > 0, check.name);
      assertMatch(check.why, /^[A-Z].*\.$/);
    }
  }
});

testWith(
  portsFree(7007, 9999),
  "ports 7007 and 9999 free",
  "demo: ✓ for a pair that works, ✗ with its reason and exit code 1 for one that does not",
  async () => {
    const demo = async (...args: string[]) => {
      const program = new Program(["deno", "task", "--quiet", "demo", ...args], { cwd: root });
      await program.end(100);
      return program;
    };
    const held = Deno.listen({ hostname: "127.0.0.1", port: 7007 });
    const fails = await demo("tcp:echo");
    held.close();
    assertEquals(fails.status?.code, 1);
    assertMatch(fails.stdout, /^tcp:echo +✗ +[\d.]+ +.+$/m);
    assertMatch(fails.stderr, /echo_server: 127\.0\.0\.1:7007 is in use/);

    const works = await demo("udp");
    assertMatch(works.stdout, /^── udp:chat ─+\nChat server listening on 127\.0\.0\.1:9999$/m);
    assertMatch(works.stdout, /^udp:chat +✓ +[\d.]+$/m);
    assertMatch(works.stdout, /^1 pair worked, 0 failed, 0 skipped$/m);
    assertEquals(works.status?.code, 0);
    assertEquals((await demo("no:such")).status?.code, 1);
  },
);

testWith(
  portsFree(9999) && linux,
  "port 9999 free, on Linux",
  "demo: Ctrl-C prints the table so far, with exit code 1",
  async () => {
    const program = new Program(["deno", "run", "-R=deno.json", "--allow-run", "tests/demo.ts", "udp", "ping:icmp"], {
      cwd: root,
    });
    await program.line(/^── ping:icmp/, 60);
    await new Promise((started) => setTimeout(started, 500));
    program.signal("SIGINT");
    assertEquals((await program.end()).code, 1, program.stderr);
    assertMatch(program.stdout, /^udp:chat +✓ +[\d.]+\n\n1 pair worked, 0 failed, 0 skipped$/m);
  },
);
