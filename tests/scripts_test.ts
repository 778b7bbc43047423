/**
 * What is true of every script: its task, its help, wrong usage, a port in use, a host that does not exist, Ctrl-C, the form
 * of its text.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "jsr:@std/assert@1";
import { freePort } from "./support/free_port.ts";
import { client, failedWith, noSignals, runClient, serve, signals, testWith } from "./support/helpers.ts";
import { pool } from "./support/pool.ts";
import { has, Program } from "./support/program.ts";
import { pairs, parseJsonc, partsOf, root, scriptTasks } from "./support/tasks.ts";

const folders = ["tcp", "udp", "http", "ping", "dns", "smtp", "rest"];
const tasks = scriptTasks().map(([task, command]) => ({ task, command, script: command.split(" ").at(-1) ?? "" }));
const scripts = tasks.map(({ script }) => script);
/** Those that run here: the system calls are those of Linux. */
const present = scripts.filter((script) => Deno.build.os === "linux" || !script.includes("syscall"));
/** A relay is a server to its clients. */
const isServer = (script: string) => /server|relay/.test(script);
const servers = present.filter(isServer);
/** These have no partner among the scripts. */
const alone = present.filter((script) => /^ping\/|^dns\/(lookup|query)|^smtp\/inbox/.test(script));
const clients = present.filter((script) => !servers.includes(script) && !alone.includes(script));

/** The arguments without which a script does not start: a folder that its task may read, or a value without a default. */
const needs = (script: string) =>
  script === "http/file_server.ts"
    ? ["--root", "http/site"]
    : script === "tcp/rpc_client.ts"
    ? ["now()"]
    : script === "udp/tftp_server.ts"
    ? ["http/site"]
    : script === "udp/tftp_client.ts"
    ? ["get", "protocols.json"]
    : script === "udp/game_client.ts"
    ? ["--play", "1"]
    : script.endsWith("/relay.ts")
    ? ["--to", "127.0.0.1:7777"]
    : script === "smtp/send.ts"
    ? ["--to", "b@example.com", "--text", "hi"]
    : [];

/** All that a script needs to listen or connect anywhere. */
const rights = (script: string) => script.includes("syscall") ? ["--allow-ffi"] : ["-N", "-R"];

const textOf = (script: string) => Deno.readTextFileSync(`${root}${script}`);

Deno.test("deno.json may have comments and trailing commas", () => {
  const text = '{ // a "comment"\n "a": "// not one", /* , */ "b": [1, 2, ], "c": ", }", // last\n}';
  assertEquals(parseJsonc(text), { a: "// not one", b: [1, 2], c: ", }" });
});

Deno.test("every script has a task; every other file of the folders begins with an underscore", () => {
  const found = folders.flatMap((folder) =>
    [...Deno.readDirSync(`${root}${folder}`)].filter(({ name }) => /^[^_].*(?<!_worker)\.ts$/.test(name))
      .map(({ name }) => `${folder}/${name}`)
  );
  assertEquals(scripts.toSorted(), found.toSorted());
});

for (const { task, command, script } of tasks) {
  Deno.test(`deno task ${task}: has a name with dashes, grants loopback and named files only, and takes arguments`, () => {
    assertMatch(task, /^[a-z]+(-[a-z]+)*$/);
    for (const flag of command.split(" ").slice(2, -1)) {
      // A library that is loaded may do anything: --allow-ffi cannot be limited to a part of it.
      assertMatch(
        flag,
        /^(-q|-N=127\.0\.0\.1|-[RW]=[^/\s]+|--allow-run=\w+|--allow-ffi|--unstable-net|-S=\w+)$/,
        command,
      );
    }
    assertMatch(script, /^[a-z]+\/\w+\.ts$/, "what is typed behind the task's name are arguments of the script");
  });
}

Deno.test("the tasks of the whole start with the permissions that they grant", async () => {
  for (const names of [["demo", "watch", "check"], ["mark", "world", "bench"]]) { // Windows may hear no more at once
    await Promise.all(names.map(async (name) => {
      const program = new Program(["deno", "task", "-q", name, "--help"], { cwd: root });
      const { code } = await program.end();
      assertEquals([code, program.stderr], [0, ""], name);
      assertMatch(program.stdout, new RegExp(`^usage: deno task ${name} `, "m"));
    }));
  }
});

for (const [at, { script, task }] of tasks.entries()) {
  const name = script.replace(/.*\/|\.ts$/g, "");

  Deno.test(`${script}: --help lists every option, with what 0 means for a time, and exits with 0`, async () => {
    // No permission at all: help opens nothing.
    const program = new Program(["deno", "run", script, "--help"], { cwd: root });
    const { code } = await program.end();
    assertEquals(code, 0, program.stderr);
    assertMatch(program.stdout, /^usage: deno run "?-/m);
    assertStringIncludes(program.stdout, "  --help, -h ");
    for (const line of program.stdout.split("\n")) assert(line.length <= 80, `80 columns: ${line}`);
    const examples = program.stdout.split("\n").filter((line) => line.startsWith("  deno task "));
    assert(examples.length > 0, "examples");
    for (const example of examples) assertStringIncludes(`${example} `, `  deno task ${task} `);
    const text = program.stdout.replace(/\s+/g, " ");
    assert(!/(; may be repeated){2}/.test(text), text);
    for (
      const [, option = "", words = ""] of text.matchAll(
        / (--[a-z-]+) [A-Z]+ (?:(?! --)[^()])*?one of ([a-z, -]+) \(default/g,
      )
    ) {
      for (const example of examples) {
        const [, word] = example.split(`${option} `);
        if (word) assert(words.split(", ").includes(word.split(" ")[0] ?? ""), `${example}: ${option} has ${words}`);
      }
    }
    if (!alone.includes(script)) {
      for (const option of ["--host HOST", "--port PORT", "--trace[=json]"]) {
        assertStringIncludes(program.stdout, option);
      }
      assertStringIncludes(program.stdout, isServer(script) ? "--once" : "--wait S");
    }
    // 0 is no limit for each time limit, or is refused.
    const rows = [...program.stdout.replace(/\n {24}/g, " ").matchAll(/^ {2}--([a-z-]+) S +(.*)$/gm)];
    for (const [, option = "", words = ""] of rows) {
      // These are no limits: no time is no time there.
      if (/^(wait|delay|interval|listen|play)$/.test(option) || /; 0: (no limit|never|none)/.test(words)) continue;
      const program = new Program(["deno", "run", script, `--${option}=0`], { cwd: root });
      await program.end();
      failedWith(program, 2, new RegExp(`^${name}: --${option} needs a number of seconds above 0`));
    }
  });

  Deno.test(`${script}: wrong usage is exit code 2 with the usage line, and nothing is opened`, async () => {
    const wrong = script === "smtp/inbox.ts"
      ? [["--nonsense"], ["--port", "70000"], ["--maildir"], ["x"]]
      : script.startsWith("dns/") && alone.includes(script)
      ? [
        ["--nonsense"],
        ["--timeout"],
        ["--timeout=-1"],
        [],
        ["--server=:", "x"],
        ["--server=[::1", "x"],
        [
          "x",
          "--server=a:99999",
        ],
        ["x", "--server", "a b"],
        ["x", "--server=256.1.1.1"],
      ]
      : alone.includes(script)
      ? [["--nonsense"], ["--count"], ["--count=0"], ["--interval=-1"], ["--timeout=x"], ["--", "-c5"], ["a", "b"]]
      : [
        ["--nonsense"],
        ["--port"],
        ["--port", "70000"],
        ["--port=x"],
        ["--trace=xml"],
        [
          servers.includes(script) && !script.startsWith("udp") ? "--timeout=-1" : "--host=",
        ],
        ["--host=127.0.0.1:80"],
        ["--host", "a b"],
        ["--host=256.1.1.1"],
      ];
    // One parser reads the options of all: each script shows its first, and one of the others.
    for (const argv of wrong.filter((_, row) => row === 0 || row === 1 + at % (wrong.length - 1))) {
      const program = new Program(["deno", "run", "--no-prompt", script, ...argv], { cwd: root });
      await program.end();
      assertMatch(program.stderr, new RegExp(`^${name}: .*\\n(usage: deno run "?-.*\\n)?$`));
      assertEquals(program.status?.code, 2, program.stderr);
      assertEquals(program.stdout, "");
    }
  });

  // These read their zone or their folder first.
  if (
    !alone.includes(script) && !script.includes("syscall") &&
    !["dns/server.ts", "udp/tftp_server.ts", "http/one_request_server.ts", "http/file_server.ts"].includes(script)
  ) {
    Deno.test(`${script}: without permission it prints the command that grants it`, async () => {
      const args = script.includes("chat_client") ? ["--timeout=1"] : needs(script);
      const program = new Program(["deno", "run", "--no-prompt", script, ...args], { cwd: root });
      await program.end();
      const address = "127\\.0\\.0\\.1:\\d+";
      const line =
        `^${name}: no permission to use ${address}: add -N=${address}: deno run .*-N=127\\.0\\.0\\.1"? .*${script}.*$`;
      failedWith(program, 2, new RegExp(line, "m"));
    });
  }

  Deno.test(`${script}: a short header with the commands, then the exchange, then the options`, () => {
    const text = textOf(script);
    const header = text.slice(0, text.indexOf("*/") + 2);
    assert(text.startsWith("/**"));
    assert(header.split("\n").length <= 14, `the header has ${header.split("\n").length} lines`);
    assertMatch(header, new RegExp(`deno run -.* ${script}`));
    assertMatch(header, /`deno task [\w-]+(:\w+)?/);
    assertMatch(header, /API: Deno\.|API: Worker/);
    if (/listenDatagram\(|reusePort/.test(text)) assertStringIncludes(header, "--unstable-net");
    const exchange = text.search(/^(export )?(async )?function\b/m);
    assert(exchange > 0 && exchange < text.indexOf("\nconst command"), "no function stands before the options");
  });
}

for (const [at, script] of servers.entries()) {
  Deno.test(`${script}: a port in use is one line and exit code 1`, async () => {
    const first = await serve(script, ...needs(script));
    await using _ = first.program;
    const program = await runClient(script, first.port, ...needs(script));
    failedWith(
      program,
      1,
      /: 127\.0\.0\.1:\d+ is in use: stop the other program, or wait a minute if it has just ended, or choose another --port: /m,
    );
    assertEquals(program.stdout, "");
    // What it proposes is its own task, on another port, with the arguments that it was given.
    const { task } = tasks.find((task) => task.script === script) ?? {};
    const { port } = first;
    const words = ["deno", "task", task, ...needs(script), "--port", port > 55_000 ? port - 10_000 : port + 10_000];
    assertStringIncludes(program.stderr, `: ${words.join(" ")}\n`);
  });

  // One function opens the port of all of them: half of the servers try the one, half the other.
  const [what, host, line] = at % 2 === 0
    ? ["an address that is not this machine's", "192.0.2.77", /is not an address of this machine/] as const
    : ["a name that does not exist", "no.such.invalid", /no address found/] as const;
  Deno.test(`${script}: ${what} is one line and exit code 1`, async () => {
    const argv = ["deno", "run", ...rights(script), script, "--host", host, ...needs(script)];
    const program = new Program(argv, { cwd: root });
    await program.end();
    failedWith(program, 1, line);
  });

  Deno.test(`${script}: --port 0 takes a free port and prints it; SIGTERM and Ctrl-C end the server with exit code 0`, async () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const program = new Program(["deno", "run", ...rights(script), script, "--port", "0", ...needs(script)], {
        cwd: root,
      });
      const [, port] = await program.line(/listening on 127\.0\.0\.1:(\d+)$/i);
      assert(Number(port) > 0);
      program.signal(signal);
      const { code } = await program.end();
      if (signals) assertEquals(code, 0, program.stderr);
      assertEquals(program.stderr, "");
    }
  });
}

testWith(
  Deno.build.os === "linux",
  "/dev/full",
  "a full disk behind the output is one line, not a stack trace",
  async () => {
    const argv = ["deno", "run", "-N=127.0.0.1", "tcp/echo_server.ts"];
    for (const option of ["--help", "--port=0"]) {
      const program = new Program(["sh", "-c", 'exec "$@" >/dev/full', "sh", ...argv, option], { cwd: root });
      await program.end();
      failedWith(program, 1, /^echo_server: the disk that its output goes to is full$/m);
    }
  },
);

// Most of them give a silent client five seconds after Ctrl-C: wait for several at a time.
testWith(
  signals,
  noSignals,
  "servers: --once, a silent client, then Ctrl-C: each ends, with exit code 0",
  async (t) => {
    const tried = servers.filter((script) => script !== "tcp/relay.ts"); // it needs a server behind it: relay_test.ts
    const jobs = pool(6, tried.map((script) => () => interrupt(script)));
    for (const [i, script] of tried.entries()) await t.step(script, async () => await jobs[i]);
  },
);

testWith(
  Deno.build.os === "linux" && await has("script", "--version"),
  "script, for a terminal",
  "servers: Ctrl-C at the question for a permission ends the script",
  async (t) => {
    const tried = servers.filter((script) => !script.endsWith("/relay.ts")); // they do not ask: they say what is missing
    const jobs = pool(6, tried.map((script) => () => leaveQuestion(script)));
    for (const [i, script] of tried.entries()) await t.step(script, async () => await jobs[i]);
  },
);

/** Starts a server in a terminal without the permission to listen, and answers Deno's question with Ctrl-C. */
async function leaveQuestion(script: string): Promise<void> {
  const argv = ["deno", "run", "-R", script, ...needs(script)].join(" ");
  await using program = new Program(["script", "--quiet", "--command", argv, "/dev/null"], { cwd: root, stdin: true });
  await program.line(/Allow\?/);
  await new Promise((registered) => setTimeout(registered, 300)); // a handler that came before the question is there by now
  await program.input("\x03", true);
  await program.end(10);
}

/** Starts a server with `--once`, connects to it without a word, and ends it. */
async function interrupt(script: string): Promise<void> {
  const { program, port } = await serve(script, "--once", ...needs(script));
  await using _ = program;
  // A DNS server has both: a datagram that is not a query, and a connection without one.
  if (/^(udp|dns)\//.test(script)) {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    await socket.send(new TextEncoder().encode("hi"), { transport: "udp", hostname: "127.0.0.1", port });
    socket.close();
  }
  using _conn = script.startsWith("udp/") ? undefined : await Deno.connect({ hostname: "127.0.0.1", port });
  await new Promise((accepted) => setTimeout(accepted, 300));
  assertEquals(program.status, undefined, program.tail());
  program.signal("SIGINT");
  const { code } = await program.end(20);
  assertEquals([code, program.stderr], [0, ""], program.stdout);
}

for (const script of clients) {
  Deno.test(`${script}: a server that is not running, and a host that does not exist`, async () => {
    const udp = script.startsWith("udp");
    const byCall = script === "udp/syscall_client.ts";
    const args = ["--timeout", "0.3", ...script.includes("chat") ? ["--message", "hi"] : needs(script)];
    const port = freePort(); // no other test gets it from the system
    failedWith(
      await runClient(script, port, ...args),
      1,
      byCall
        ? /: no server listens at 127\.0\.0\.1:\d+: its kernel says "port unreachable"$/m
        : udp
        ? /: no answer from 127\.0\.0\.1:\d+ in 0\.3 s: is the server running/
        : /: 127\.0\.0\.1:\d+ refused the connection: is the server running\?$/m,
    );
    const program = new Program(["deno", "run", ...rights(script), script, "--host", "no.such.invalid", ...args], {
      cwd: root,
    });
    await program.end();
    failedWith(program, 1, /: no address found for no\.such\.invalid: check the name$/m);
  });
}

for (const [name, task] of pairs().filter(([, task]) => task.includes(" & ") && !task.includes("dns/"))) {
  const able = Deno.build.os === "linux" || !name.endsWith(":syscalls");
  testWith(
    able,
    "system calls of Linux",
    `${name}: with --wait the client may be started before the server`,
    async () => {
      // With a proxy before the server, the proxy is what the client connects to.
      const { servers, clients } = partsOf(task);
      const [serverScript = "", clientScript = ""] = [servers.at(-1) ?? "", clients[0] ?? ""].map((part) =>
        /\w+\/\w+\.ts/.exec(part)?.[0] ?? ""
      );
      const port = freePort();
      const message = clientScript.includes("many")
        ? ["--clients", "20"]
        : clientScript.includes("chat")
        ? ["--message", "hi"]
        : clientScript.startsWith("tcp") && !clientScript.includes("rpc")
        ? ["hi"]
        : needs(clientScript);
      const first = client(clientScript, port, "--wait", "20", ...message);
      await using server = client(serverScript, port, ...needs(serverScript));
      await server.line(/listening on/);
      assertEquals((await first.end()).code, 0, first.stderr);
    },
  );
}
