/** `deno task check` and `deno task mark`: the right checks catch each mistake, and right programs pass. `deno task demo`. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "jsr:@std/assert@1";
import { Failure } from "../cli.ts";
import { canned, right, wrong } from "./peers/table.ts";
import { levels } from "./suites/_suite.ts";
import { suites } from "./suites/suites.ts";
import { freePort } from "./support/free_port.ts";
import { portsFree, refusedWith, serve, testWith, until } from "./support/helpers.ts";
import { failures, judge, patiently, suitesAtOnce } from "./support/judge.ts";
import { readCapture } from "./support/pcapng.ts";
import { pool } from "./support/pool.ts";
import { areCaught, areRight, chosen } from "./support/rows.ts";
import { type Result, runSuite } from "./support/checking.ts";
import { has, output, Program } from "./support/program.ts";
import { stub } from "./support/stub.ts";
import { root } from "./support/tasks.ts";

const python = await has("python3", "--version");
const linux = Deno.build.os === "linux";

/** Runs `deno task check` to its end, as a user does who stands in `folder`. */
async function checkIn(folder: string, ...args: string[]): Promise<Program> {
  const flags = ["deno", "run", "-N", "--allow-run", "-E", "-R", "-W", `${root}tests/check.ts`];
  const program = new Program([...flags, ...args], { cwd: root, env: { INIT_CWD: folder } });
  await program.end(100);
  return program;
}
const check = (...args: string[]) => checkIn(root.replace(/.$/, ""), ...args);

const failed = (program: Program) => [...program.stdout.matchAll(/^✗ (.*) \(0\/\d+\)$/gm)].map(([, name]) => name);

Deno.test("check: right programs, in several styles, pass every check", async (t) => {
  // One of each suite, of those that start quickly; `deno task campaign` takes our own clients, and others.
  // The game's suites wait for half a minute of silence: they begin, and the others run meanwhile.
  const rank = ([suite, command]: readonly [string, string]) =>
    command.startsWith("deno") ? 2 : suite.startsWith("udp:game") ? 0 : 1;
  const rows = right.filter(chosen).toSorted((a, b) => rank(a) - rank(b));
  const isFirst = ([suite]: readonly [string, string], i: number) => rows.findIndex(([other]) => other === suite) === i;
  await areRight(t, rows.filter((row, i) => isFirst(row, i) || Deno.env.has("SUITE")));
});

// `deno task campaign` takes all of them, some with their whole suites, and so shows that no other check fails.
Deno.test("check: a mistake is caught by the check that is made for it, with a hint", async (t) => {
  await areCaught(t, wrong.filter(chosen).filter((_, i) => i % 10 === 0 || Deno.env.has("SUITE")));
});

testWith(python, "python3", "check: canned replies get under a tenth of the points", async (t) => {
  const points = (results: readonly Result[]) => results.reduce((sum, { check }) => sum + check.points, 0);
  await patiently(1500, async () => {
    const jobs = pool(suitesAtOnce, canned.map(([suite, command]) => () => judge(suite, command)));
    for (const [i, [suite, command]] of canned.entries()) {
      await t.step(`${suite} on ${command.join(" ")}`, async () => {
        const results = await jobs[i] ?? [];
        const passed = results.filter(({ state }) => state === "passed");
        assert(points(passed) < points(results) / 10, `${passed.map(({ check }) => check.name)}`);
      });
    }
  });
});

testWith(python, "python3", "check http:server: a first web server gets half of the points", async () => {
  const results = await patiently(2000, () => judge("http:server", "python3 http_first.py"));
  const [most, got] = [results, results.filter(({ state }) => state === "passed")]
    .map((results) => results.reduce((sum, { check }) => sum + check.points, 0));
  assert(most && got && got >= most / 2 && got <= most * 0.7, `${got} of ${most}`);
  for (const name of ["a page", "another file", "a picture", "five megabytes"]) {
    assert(!failures(results).includes(name), name);
  }
});

Deno.test("check: the lab sheets have the checks, points and levels of their suites", async () => {
  for (
    const suite of [
      "http:server",
      "http:client",
      "http:proxy",
      "http:websocket",
      "http:websocket-client",
      "rest:users",
      "dns:server",
      "dns:client",
      "smtp:server",
      "smtp:client",
      "tcp:rpc",
      "tcp:rpc-client",
      "udp:game",
      "udp:game-client",
      "udp:rdt-receiver",
      "udp:rdt-sender",
      "udp:tftp",
      "udp:tftp-client",
    ]
  ) {
    const sheet = await Deno.readTextFile(`${root}${suite.split(":")[0]}/README.md`);
    const rows = sheet.split("\n").filter((line) => line.startsWith("|"))
      .map((line) => line.slice(1, -1).split("|").map((cell) => cell.trim().replaceAll("\\", "")).join(" | "));
    for (const { name, points, level = "basic", why } of suites[suite]?.checks ?? []) {
      const row = [name, points, level, why.replaceAll("\\", "")].join(" | ");
      assert(rows.includes(row), `${suite}: the sheet has no row: ${row}`);
    }
  }
});

Deno.test("check --at: a server that is running; --json: the results for Gradescope", async () => {
  const { program: server, port } = await serve("tcp/reply_server.ts", "--close");
  await using _ = server;
  const file = await Deno.makeTempFile({ suffix: ".json" });
  const program = await check("tcp:reply", "--at", `127.0.0.1:${port}`, "--timeout", "1", "--json", file);
  assertEquals(failed(program), ["a conversation"], program.stdout + program.stderr);
  assertMatch(program.stdout, /^tcp:reply: 7 of 8 checks passed, 12 of 14 points \(--seed \d+\)$/m);
  assertMatch(
    program.stdout,
    /^✗ a conversation \(0\/2\)\n {4}A connection .*\n {4}expected .*, got .*\n {4}hint: loop/m,
  );
  const { tests } = JSON.parse(await Deno.readTextFile(file));
  await Deno.remove(file);
  assertEquals(tests.length, 8);
  assertEquals(Object.keys(tests[0]).sort(), [
    ...["max_score", "name", "number", "output", "output_format", "score", "status", "tags", "visibility"],
  ]);
  const wrong = tests.find(({ name }: { name: string }) => name === "a conversation");
  assertEquals([wrong.score, wrong.max_score, wrong.status], [0, 2, "failed"]);
  assertStringIncludes(wrong.output, "hint:");
  assertEquals(tests.filter(({ status }: { status: string }) => status === "passed").length, 7);
});

/** Writes a program in Python to a new folder, and checks it from there. */
async function checkPython(source: string, suite: string, ...args: string[]) {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/program.py`, source);
  const program = await checkIn(folder, suite, ...args, "--json", "results.json", "--", "python3", "program.py");
  const json = JSON.parse(await Deno.readTextFile(`${folder}/results.json`));
  await Deno.remove(folder, { recursive: true });
  return { program, json };
}

const listen = (port: string) => `import os, socket\ns = socket.create_server(("127.0.0.1", ${port}))\n`;

testWith(
  python,
  "python3",
  "check: one cause is told once, with the whole traceback; the rest is not run",
  async () => {
    const { program, json } = await checkPython("def f():\n    1 / 0\nf()\n", "tcp:echo");
    assertEquals(failed(program), ["exact bytes"], program.stdout);
    assertMatch(program.stdout, /your program ended with exit code 1\n.*\| Traceback[^]*in f\n[^]*ZeroDivisionError/);
    assertEquals(program.stdout.match(/Traceback/g)?.length, 1);
    assertEquals(json.tests.filter(({ tags }: { tags: string[] }) => tags.includes("not run")).length, 10);
    const client = await checkPython("1 / 0\n", "tcp:echo-client");
    assertEquals(failed(client.program), ["sends, receives, prints"], client.program.stdout);
  },
);

testWith(
  python,
  "python3",
  "check: what ended a program is said in words, and what to change",
  async () => {
    const hint = async (source: string) => (await checkPython(source, "tcp:echo")).program.stdout;
    const [killed, input, missing] = await Promise.all([
      hint("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"),
      hint("port = int(input('Which port? '))\n"),
      check("tcp:echo", "--", "python3", "no_such_file.py").then(({ stdout }) => stdout),
    ]);
    if (linux) assertStringIncludes(killed, "was ended by SIGSEGV (exit code 139): it used memory that is not its own");
    assertMatch(input, /EOFError[^]*\n {4}hint: nobody types while a program is checked: take the port from \{port\}/);
    assertMatch(missing, /\n {4}hint: the command is started in the folder where you are/);
    assertEquals(missing.match(/^ {4}not run: /gm)?.length, 1, missing); // for ten checks
  },
);

testWith(
  python,
  "python3",
  "check: a program that starts slowly keeps its time also after a check that failed",
  async () => {
    const source = `import sys, time\ntime.sleep(2.5)\nsys.argv[1:] = ["spins-at-end"]\n` +
      await Deno.readTextFile(`${root}tests/peers/echo_client.py`);
    const only = ["sends", "closes early", "no server"].flatMap((name) => ["--only", name]);
    const { program } = await checkPython(source, "tcp:echo-client", "--timeout", "2", "--limit", "20", ...only);
    assertEquals(failed(program), ["the server closes early"], program.stdout);
  },
);

testWith(
  linux && python,
  "python3 on Linux",
  "check: the port on which a server listens instead is named",
  async () => {
    const { program } = await checkPython(
      `${listen("0")}print(s.getsockname()[1], flush=True)\ns.accept()\n`,
      "tcp:echo",
    );
    const [, port] = /\| (\d+)$/m.exec(program.stdout) ?? [];
    assertStringIncludes(program.stdout, `your program listens on 127.0.0.1:${port}, not on 127.0.0.1:`);
    assertStringIncludes(program.stdout, "hint: take the port from {port}");
    const six = await checkPython(
      "import os, socket\ns = socket.socket(socket.AF_INET6)\ns.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n" +
        's.bind(("::1", int(os.environ["PORT"])))\ns.listen()\ns.accept()\n',
      "tcp:echo",
    );
    assertMatch(six.program.stdout, /your program listens on \[::1\]:(\d+), and refuses 127\.0\.0\.1:\1$/m);
  },
);

testWith(
  python,
  "python3",
  "check: a port that is in use before the start: one line, exit code 3, no points",
  async () => {
    const other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const source = `${listen('int(os.environ["PORT"])')}s.accept()\n`;
    const { program, json } = await checkPython(source, "tcp:echo", "--port", `${other.addr.port}`);
    other.close();
    assertEquals(program.status?.code, 3);
    assertMatch(program.stderr, /^check: 127\.0\.0\.1:\d+ is in use before your program starts: .*\n$/);
    assertEquals(json.tests.map(({ score }: { score: number }) => score), Array(11).fill(0));
    assertStringIncludes(json.output, "is in use before your program starts");
  },
);

Deno.test(
  "check: a port that another program has on all addresses is in use, also where it can be opened on 127.0.0.1",
  async () => {
    const other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    (async () => {
      for await (const conn of other) conn.close();
    })().catch(() => {});
    const suite = suites["tcp:echo"];
    assert(suite?.role === "server");
    const words = ["python3", "-c", "input()"];
    const settings = { suite, words, port: other.addr.port, seed: 1, cwd: root, limit: 20 };
    using _ = stub(Deno, "listen", () => ({ close() {} })); // as on macOS
    await assertRejects(
      () => Array.fromAsync(runSuite({ ...settings, checks: suite.checks })),
      Failure,
      "is in use before your program starts",
    );
    other.close();
  },
);

testWith(linux && python, "python3 on Linux", "check: a daemon is checked, and ended", async () => {
  const mark = `mark${crypto.randomUUID()}`;
  const source = `import os, runpy, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for fd in (0, 1, 2): os.close(fd)
os.execvp("python3", ["python3", ${JSON.stringify(`${root}tests/peers/echo_wrong.py`)}, "correct", "${mark}"])
`;
  const { program } = await checkPython(source, "tcp:echo", "--only", "exact", "--only", "turn");
  assertEquals([failed(program), program.status?.code], [[], 0], program.stdout);
  assertEquals(await output("pgrep", "-f", `^python3 .*${mark}`), "");
});

testWith(python, "python3", "check: output without end, and a program that never answers, end in time", async () => {
  const endless = await checkPython("while True: print('x' * 10000)\n", "tcp:echo");
  assertStringIncludes(endless.program.stdout, "your program printed more than 16 MiB, and was stopped");
  const source = `${listen('int(os.environ["PORT"])')}l = []\nwhile True: l.append(s.accept())\n`;
  const silent = await checkPython(source, "tcp:threaded", "--timeout", "1", "--limit", "3");
  assertEquals(failed(silent.program), ["a silent client"], silent.program.stdout);
  const cut = await checkPython(source, "tcp:echo", "--timeout", "60", "--limit", "1");
  assertStringIncludes(cut.program.stdout, "were over (--limit)");
});

testWith(linux, "execute permissions of Linux", "check: a command that cannot be executed: exit code 3", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/server`, "no program");
  const denied = await checkIn(folder, "tcp:echo", "--", "./server");
  assertMatch(denied.stderr, /^check: \.\/server cannot be executed: run chmod \+x/);
  assertEquals(denied.status?.code, 3);
  await Deno.remove(folder, { recursive: true });
});

testWith(
  python,
  "python3",
  "check: --level, --only, --skip, --next, --points, --seed, --tap, --junit, --evidence",
  async () => {
    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(
      `${folder}/points.json`,
      '{"exact bytes": 7, "half-close": {"points": 3, "hidden": true}}',
    );
    const echo = (way: string, ...args: string[]) =>
      checkIn(folder, "tcp:echo", ...args, "--", "python3", `${root}tests/peers/echo_wrong.py`, way);
    const [level, files, next, tap, again] = await Promise.all([
      echo("correct", "--level", "basic", "--skip", "turn"),
      echo("keeps-open", "--timeout", "2", "--only", "exact", "--only", "half", "--junit", "j.xml", "--json", "r.json")
        .then((program) => program),
      echo("decodes-as-text", "--next"),
      echo("correct", "--tap", "--only", "exact"),
      echo(
        "keeps-open",
        "--only",
        "exact",
        "--only",
        "half",
        "--points",
        "points.json",
        "--json",
        "p.json",
        "--evidence",
        "e",
      )
        .then((program) => program),
    ]);
    assertMatch(level.stdout, /^tcp:echo: 7 of 7 checks passed, 10 of 10 points \(--seed \d+\)$/m);
    assertEquals(failed(files), ["half-close"]);
    const junit = await Deno.readTextFile(`${folder}/j.xml`);
    assertMatch(junit, /<testsuite name="tcp:echo" tests="2" failures="1" errors="0" skipped="0" time="[\d.]+">/);
    assertMatch(junit, /<failure message="expected the end of the stream, got a connection left open">/);
    assertEquals(next.stdout.match(/^[✓✗–]/gm), ["✓", "✓", "✗"]);
    assertStringIncludes(next.stdout, "2 of 11 so far; next: tcp/README.md#echo");
    assertEquals(tap.stdout, "TAP version 14\n1..1\nok 1 - exact bytes\n");
    assertMatch(again.stdout, /^tcp:echo: 1 of 2 checks passed, 7 of 10 points/m);
    const { tests } = JSON.parse(await Deno.readTextFile(`${folder}/p.json`));
    assertEquals(tests.map(({ visibility }: { visibility: string }) => visibility), ["visible", "hidden"]);
    const evidence = await Deno.readTextFile(`${folder}/e/02_half-close.txt`);
    assertMatch(evidence, /^half-close: failed$/m);
    assertMatch(
      evidence,
      /checker → program {2}\d+ bytes.*\n {4}000000 {2}([\da-f]{2} ){15}[\da-f]{2} {2}[a-z]{16}$/m,
    );
    assertMatch(evidence, /│─+ \d+ bytes "[a-z]+… ─+▶│[^]*│◀─+ \d+ bytes/); // the diagram
    // The page and the capture have the message that the diagram has.
    const [, message = ""] = /\d+ bytes "([a-z]{8})/.exec(evidence) ?? [];
    const packets = readCapture(await Deno.readFile(`${folder}/e/02_half-close.pcapng`));
    assert(packets.some(({ data }) => new TextDecoder("latin1").decode(data).includes(message)));
    const page = await Deno.readTextFile(`${folder}/e/02_half-close.html`);
    assert(page.includes(message), "the page lacks a message");
    assertMatch(page, /<title>tcp:echo: half-close/);
    const [, seed = ""] = /--seed (\d+)/.exec(next.stdout) ?? [];
    const sent = async () => {
      const program = await echo("strips", "--only", "exact", "--seed", seed);
      return /checker → program.*/.exec(program.stdout)?.[0];
    };
    assertEquals(await sent(), await sent());
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(
  python && linux,
  "python3 on Linux",
  "check --network: a relay stands between checker and program",
  async () => {
    const peers = `${root}tests/peers`;
    const over = (suite: string, network: string, ...command: string[]) =>
      checkIn(peers, suite, "--network", network, "--level", "basic", "--skip", "long", "--", ...command);
    const [right, server, wrong, again, unknown] = await Promise.all([
      over("dns:client", "delay=20ms seed=7", "python3", "dns_client.py", "correct"),
      over("smtp:server", "slice=7", "python3", "smtp_asyncio.py", "{mailbox}", "{port}"),
      over("http:client", "slice=7 rate=1k", "python3", "http_client.py", "reads-once", "{url}"),
      checkIn(peers, "http:client", "--only", "a page", "--", "python3", "http_client.py", "reads-once", "{url}"),
      over("udp:chat", "los=3%", "python3", "chat.py", "correct"),
    ]);
    assertEquals(failed(right), []);
    assertEquals(failed(server), []);
    assertEquals(failed(wrong)[0], "a page"); // the first piece is no longer the whole response
    assertEquals(again.status?.code, 0);
    refusedWith(unknown, /^check: --network, column 1: expected one of delay, .*, not los$/m);
  },
);

Deno.test("check --list: the whole specification", async () => {
  const program = await check("tcp:echo-client", "--list");
  assertEquals(program.status?.code, 0);
  assertMatch(
    program.stdout,
    /arguments: .*\{text\}[^]*exit code: 0 when[^]*robust: 3 checks, 3 points[^]*needs: sends, /,
  );
});

testWith(
  python,
  "python3",
  "the sheet's command for GitHub Classroom finds the submission beside the checkout",
  async () => {
    const sheet = await Deno.readTextFile(`${root}tests/suites/README.md`);
    const [, words = ""] = /`npx -y deno@[\d.]+ (task --cwd socketlab check [^`]+)`/.exec(sheet) ?? [];
    const args = words.split(" ").map((word) => word === "socketlab" ? root : word);
    args.splice(args.indexOf("--"), 0, "--only", "exact bytes");
    const folder = await Deno.makeTempDir();
    await Deno.copyFile(`${root}tests/peers/echo_threads.py`, `${folder}/server.py`);
    // Where a task runs the tests, there is already a place that it was called from.
    await using program = new Program(["deno", ...args], { cwd: folder, env: { INIT_CWD: folder } });
    await program.end(60);
    assertEquals(program.status?.code, 0, program.stdout + program.stderr);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).toSorted(), ["results.xml", "server.py"]);
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(python, "python3", "check --watch: checks again when a file changes", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/client.py`, "print('one')\n");
  const flags = ["deno", "run", "-N", "--allow-run", "-E", "-R", "-W", `${root}tests/check.ts`];
  await using program = new Program([...flags, "tcp:reply-client", "--watch", "--", "python3", "client.py"], {
    env: { INIT_CWD: folder },
  });
  await program.line(/^waiting for a change/, 60);
  assertMatch(program.stdout, /\| one/);
  await Deno.writeTextFile(`${folder}/client.py`, "print('two')\n");
  await program.line(/\| two/, 60);
  await Deno.remove(folder, { recursive: true });
});

testWith(
  linux && await has("pgrep", "-V"),
  "pgrep of Linux",
  "check: the programs it started are stopped, and their children and files, even after Ctrl-C and in a closed terminal",
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
    for (const signal of ["SIGINT", "SIGHUP"] as const) { // Ctrl-C, and a terminal that is closed
      const temporary = await Deno.makeTempDir();
      const waiting = new Program(["deno", "run", ...flags, ...client], { cwd: root, env: { TMPDIR: temporary } });
      await until(async () => (await alive()).length > 0, "the program has started");
      waiting.signal(signal);
      assertEquals((await waiting.end()).code, 1, waiting.stderr);
      await until(async () => (await alive()).length === 0, `no program is left after ${signal}`);
      await Deno.remove(temporary); // which it can only if nothing is in it
    }
  },
);

testWith(
  python,
  "python3",
  "mark: a folder of submissions: the points of each, what failed most often, a results file each",
  async () => {
    const folder = await Deno.makeTempDir();
    const source = await Deno.readTextFile(`${root}tests/peers/echo_wrong.py`);
    for (const [name, way] of [["ada", "correct"], ["alan", "keeps-open"], ["barbara", "keeps-open"]] as const) {
      await Deno.mkdir(`${folder}/all/${name}`, { recursive: true });
      await Deno.writeTextFile(`${folder}/all/${name}/server.py`, `import sys\nsys.argv[1:] = ["${way}"]\n${source}`);
    }
    await Deno.mkdir(`${folder}/all/linus`);
    const mark = async (...args: string[]) => {
      const flags = ["deno", "run", "-N", "--allow-run", "-E", "-R", "-W", `${root}tests/mark.ts`];
      const program = new Program([...flags, ...args], { cwd: root, env: { INIT_CWD: folder } });
      await program.end(100);
      return program;
    };
    const program = await mark("tcp:echo", "all", "--timeout", "2", "--", "python3", "server.py");
    assertEquals(program.status?.code, 0, program.stderr);
    const most = suites["tcp:echo"]?.checks.reduce((sum, { points }) => sum + points, 0);
    assertMatch(program.stdout, new RegExp(`^ada +${most} of ${most}$`, "m"));
    assertMatch(program.stdout, /^linus +0 of /m);
    assertMatch(program.stdout, /^4 submissions; failed most often:\n +2 {2}half-close$/m);
    const { tests } = JSON.parse(await Deno.readTextFile(`${folder}/all-results/alan.json`));
    assertEquals(tests.length, suites["tcp:echo"]?.checks.length);
    assertMatch(await Deno.readTextFile(`${folder}/all-results/barbara.txt`), /^✗ half-close/m);
    await Deno.mkdir(`${folder}/best`);
    await Deno.rename(`${folder}/all/ada`, `${folder}/best/ada`);
    const best = await mark("tcp:echo", "best", "--", "python3", "server.py");
    assertMatch(best.stdout, /^1 submission\nresults: \S+best-results$/m);
    refusedWith(await mark("tcp:echo", "nowhere", "--", "x"), /^mark: there is no folder \S+nowhere$/m);
    refusedWith(await mark("tcp:echo"), /^mark: give a suite, a folder of submissions, and the command/m);
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(
  linux && python,
  "python3 on Linux",
  "check --pack: an autograder that runs in a folder of its own, without a network",
  async () => {
    const home = await Deno.makeTempDir();
    const packed = await checkIn(
      home,
      "--pack",
      "source",
      "tcp:echo",
      "tcp:threaded",
      "--",
      "python3",
      "server.py",
      "{port}",
    );
    assertEquals(packed.status?.code, 0, packed.stdout + packed.stderr);
    await Deno.mkdir(`${home}/submission`);
    await Deno.copyFile(`${root}tests/peers/echo_asyncio.py`, `${home}/submission/server.py`);
    const nowhere = "http://127.0.0.1:9"; // whatever would be downloaded fails
    const env = { AUTOGRADER: home, HTTPS_PROXY: nowhere, HTTP_PROXY: nowhere };
    const grading = new Program(["bash", `${home}/source/run_autograder`], { env });
    await grading.end(200);
    const { tests } = JSON.parse(await Deno.readTextFile(`${home}/results/results.json`));
    const number = ["tcp:echo", "tcp:threaded"].map((suite) => suites[suite]?.checks.length ?? 0);
    assertEquals(tests.length, number.reduce((sum, checks) => sum + checks, 0), grading.stdout + grading.stderr);
    assertEquals(new Set(tests.map(({ number }: { number: string }) => number)).size, tests.length);
    assertEquals(tests.filter(({ status }: { status: string }) => status !== "passed"), []);
    await Deno.remove(home, { recursive: true });
  },
);

Deno.test("check: wrong usage is one line and exit code 2, a missing program exit code 3", async () => {
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
  const closed = freePort(); // no other test gets it from the system
  const nobody = await check("tcp:echo", "--at", `127.0.0.1:${closed}`);
  assertEquals([nobody.status?.code, failed(nobody)], [1, ["exact bytes"]]);
  assertStringIncludes(nobody.stdout, `nothing listens on 127.0.0.1:${closed}`);
});

Deno.test("check: every check says why it matters, and counts", () => {
  for (const [name, { checks }] of Object.entries(suites)) {
    assertEquals(new Set(checks.map(({ name }) => name)).size, checks.length, name);
    for (const check of checks) {
      assert(check.points > 0, check.name);
      assertMatch(check.why, /^[A-Z/].*\.$/);
      assert(levels.includes(check.level ?? "basic"));
      const before = checks.slice(0, checks.findIndex((each) => each.name === check.name)).map(({ name }) => name);
      for (const needed of check.needs ?? []) assert(before.includes(needed), `${name}: ${check.name} needs ${needed}`);
    }
  }
});

testWith(
  portsFree(7007, 9999),
  "ports 7007 and 9999 free",
  "demo: ✓ for a pair that works, also when another program has its port; one that there is not is refused",
  async () => {
    const demo = async (...args: string[]) => {
      const program = new Program(["deno", "task", "--quiet", "demo", ...args], { cwd: root });
      await program.end(100);
      return program;
    };
    const held = Deno.listen({ hostname: "127.0.0.1", port: 7007 });
    const again = await demo("tcp:echo");
    held.close();
    assertEquals(again.status?.code, 0, again.stderr);
    assertMatch(again.stdout, /^127\.0\.0\.1:7007 is in use: once more, on another port$/m);
    assertMatch(again.stdout, /^tcp:echo +✓ +[\d.]+$/m);

    const works = await demo("udp:chat");
    assertMatch(works.stdout, /^── udp:chat ─+\nChat server listening on 127\.0\.0\.1:9999$/m);
    assertMatch(works.stdout, /^udp:chat +✓ +[\d.]+$/m);
    assertMatch(works.stdout, /^1 pair worked, 0 failed, 0 skipped$/m);
    assertEquals(works.status?.code, 0);
    refusedWith(await demo("udp:chat", "no:such"), /^demo: there is no pair no:such: tcp:echo, /);
  },
);

/** Runs the demo of one more pair, in a copy of the project. */
async function demoOf(command: string): Promise<Program> {
  const folder = await Deno.makeTempDir();
  const files = ["cli.ts", "deno.json", "deno.lock", "tcp", "tests"].map((name) => root + name);
  await output("cp", "-r", ...files, folder);
  const config = await Deno.readTextFile(`${folder}/deno.json`);
  await Deno.writeTextFile(
    `${folder}/deno.json`,
    config.replace('"tasks": {', `"tasks": { "tcp:more": ${JSON.stringify({ description: "", command })},`),
  );
  const program = new Program(["deno", "task", "--quiet", "demo", "tcp:more"], { cwd: folder });
  await program.end(60);
  await Deno.remove(folder, { recursive: true });
  return program;
}

testWith(linux, "cp of Linux", "demo: ✗ with its reason and exit code 1 for a pair that fails", async () => {
  const program = await demoOf(`deno eval 'console.error("no luck"); Deno.exit(7)'`);
  assertEquals(program.status?.code, 1, program.stderr);
  assertMatch(program.stdout, /^tcp:more +✗ +[\d.]+ +no luck$/m);
});

testWith(
  linux && portsFree(7007),
  "cp of Linux, or port 7007 is in use",
  "demo: once more on another port, also when the client fails at the other program before the server says so",
  async () => {
    const held = Deno.listen({ hostname: "127.0.0.1", port: 7007 });
    held.accept().then((conn) => conn.close());
    const [server, client] = ["echo_server.ts --once", "echo_client.ts --wait 30 Hello"]
      .map((script) => `deno run -q -N=127.0.0.1:7007 tcp/${script}`);
    const program = await demoOf(`sleep 1 && ${server} & ${client}`);
    held.close();
    assertMatch(program.stdout, /^tcp:more +✓ +[\d.]+$/m, program.stderr);
  },
);

testWith(
  portsFree(9999, 9990) && linux,
  "ports 9999 and 9990 free, on Linux",
  "demo: Ctrl-C prints the table so far, with exit code 1",
  async () => {
    const program = new Program(["deno", "task", "--quiet", "demo", "udp:chat", "udp:game"], { cwd: root });
    await program.line(/^── udp:game/, 60);
    await new Promise((started) => setTimeout(started, 500));
    program.signalGroup("SIGINT"); // as a terminal does
    assertEquals((await program.end()).code, 1, program.stderr);
    assertMatch(program.stdout, /^udp:chat +✓ +[\d.]+\n\n1 pair worked, 0 failed, 0 skipped$/m);
  },
);
