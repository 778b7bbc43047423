/** What holds for every script: help, wrong usage, a port in use, a host that is not there, the form of its header. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "jsr:@std/assert@1";
import { getAvailablePort } from "jsr:@std/net@1/get-available-port";
import { client, failedWith, runClient, serve } from "./helpers.ts";
import { Program } from "./program.ts";
import { pairs, root } from "./tasks.ts";

/** Those of the tasks, and the one that is for a browser alone. */
const scripts = [...new Set(pairs().flatMap(([, task]) => task.match(/\w+\/\w+\.ts/g) ?? [])), "smtp/inbox.ts"];
const servers = scripts.filter((script) => script.includes("server"));
const alone = scripts.filter((script) => /^ping\/|^dns\/(lookup|query)|^smtp\/inbox/.test(script));
const clients = scripts.filter((script) => !servers.includes(script) && !alone.includes(script));

/** What a script needs to be started with: the folder that its task's permission is for, or what there is no default for. */
const needs = (script: string) =>
  script === "http/file_server.ts"
    ? ["--root", "http/site"]
    : script === "smtp/send.ts"
    ? ["--to", "b@example.com", "--text", "hi"]
    : [];

for (const script of scripts) {
  const name = script.replace(/.*\/|\.ts$/g, "");

  Deno.test(`${script}: --help tells every option and exits 0`, async () => {
    // No permission at all: help opens nothing.
    const program = new Program(["deno", "run", script, "--help"], { cwd: root });
    const { code } = await program.end();
    assertEquals(code, 0, program.stderr);
    assertStringIncludes(program.stdout, "usage: deno run -");
    if (alone.includes(script)) return;
    for (const option of ["--host HOST", "--port PORT", "--trace[=json]"]) assertStringIncludes(program.stdout, option);
    assertStringIncludes(program.stdout, servers.includes(script) ? "--once" : "--wait S");
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
    for (const argv of wrong) {
      const program = new Program(["deno", "run", "--no-prompt", script, ...argv], { cwd: root });
      await program.end();
      assertMatch(program.stderr, new RegExp(`^${name}: .*\\n(usage: deno run -.*\\n)?$`));
      assertEquals(program.status?.code, 2, program.stderr);
      assertEquals(program.stdout, "");
    }
  });

  // These read their zone or their folder first.
  if (
    !alone.includes(script) && !["dns/server.ts", "http/one_request_server.ts", "http/file_server.ts"].includes(script)
  ) {
    Deno.test(`${script}: without permission it says which one it needs`, async () => {
      const args = script.includes("chat_client") ? ["--timeout=1"] : needs(script);
      const program = new Program(["deno", "run", "--no-prompt", script, ...args], { cwd: root });
      await program.end();
      const line = `^${name}: no permission to use 127.0.0.1:\\d+: add -N=127.0.0.1:\\d+ to deno run$`;
      failedWith(program, 1, new RegExp(line, "m"));
    });
  }

  Deno.test(`${script}: the header tells how to run it, and its partner`, () => {
    const text = Deno.readTextFileSync(new URL(`../${script}`, import.meta.url));
    const header = text.slice(0, text.indexOf("*/"));
    assert(text.startsWith("/**"));
    assertMatch(header, new RegExp(`deno run -.* ${script}`));
    assertMatch(header, /`deno task \w+(:\w+)?`/);
    assertMatch(header, /API: Deno\.|API: Worker/);
    if (/listenDatagram\(|reusePort/.test(text)) assertStringIncludes(header, "--unstable-net");
  });
}

for (const script of servers) {
  Deno.test(`${script}: a port in use is one line and exit code 1`, async () => {
    const first = await serve(script, ...needs(script));
    await using _ = first.program;
    const program = await runClient(script, first.port, ...needs(script));
    failedWith(program, 1, /: 127\.0\.0\.1:\d+ is in use: stop the other program, or choose another --port$/m);
    assertEquals(program.stdout, "");
  });

  Deno.test(`${script}: an address that is not this machine's, and a name that is nobody's`, async () => {
    for (
      const [host, line] of [["192.0.2.77", /is not an address of this machine/], [
        "no.such.invalid",
        /no address found/,
      ]] as const
    ) {
      const program = new Program(["deno", "run", "-N", "-R", script, "--host", host], { cwd: root });
      await program.end();
      failedWith(program, 1, line);
    }
  });

  Deno.test(`${script}: --port 0 takes a free port and says which; SIGTERM and Ctrl-C end it with exit code 0`, async () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const program = new Program(["deno", "run", "-N=127.0.0.1", "-R", script, "--port", "0"], { cwd: root });
      const [, port] = await program.line(/listening on 127\.0\.0\.1:(\d+)$/i);
      assert(Number(port) > 0);
      program.signal(signal);
      assertEquals((await program.end()).code, 0, program.stderr);
      assertEquals(program.stderr, "");
    }
  });
}

for (const script of clients) {
  Deno.test(`${script}: a server that is not there, and a host that is not`, async () => {
    const udp = script.startsWith("udp");
    const args = ["--timeout", "0.3", ...udp ? ["--message", "hi"] : needs(script)];
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    listener.close(); // now nobody listens on this port
    failedWith(
      await runClient(script, listener.addr.port, ...args),
      1,
      udp
        ? /: no answer from 127\.0\.0\.1:\d+ in 0\.3 s: is the server running/
        : /: 127\.0\.0\.1:\d+ refused the connection: is the server running\?$/m,
    );
    const program = new Program(["deno", "run", "-N", script, "--host", "no.such.invalid", ...args], { cwd: root });
    await program.end();
    failedWith(program, 1, /: no address found for no\.such\.invalid: check the name$/m);
  });
}

for (const [name, task] of pairs().filter(([, task]) => task.includes(" & ") && !task.includes("dns/"))) {
  Deno.test(`${name}: with --wait the client may be started before the server`, async () => {
    const [serverScript = "", clientScript = ""] = task.match(/\w+\/\w+\.ts/g) ?? [];
    const port = getAvailablePort();
    const message = clientScript.includes("many")
      ? []
      : clientScript.includes("chat")
      ? ["--message", "hi"]
      : clientScript.startsWith("tcp")
      ? ["hi"]
      : needs(clientScript);
    const first = client(clientScript, port, "--wait", "20", ...message);
    await using server = client(serverScript, port, ...needs(serverScript));
    await server.line(/listening on/);
    assertEquals((await first.end()).code, 0, first.stderr);
  });
}
