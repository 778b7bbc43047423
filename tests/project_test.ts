/**
 * What is true of the project as a whole: the types that `deno check` knows, what a first run fetches, and
 * scripts that are started by URL.
 */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { cpSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { failedWith, refusedWith } from "./support/helpers.ts";
import { Program } from "./support/program.ts";
import { parseJsonc, root, scriptTasks } from "./support/tasks.ts";

/** A part of a JSON file, by the keys that lead to it. */
function part(path: string, ...keys: string[]): Record<string, unknown> {
  let value = parseJsonc(Deno.readTextFileSync(join(root, path)));
  for (const key of keys) value = value !== null && typeof value === "object" ? Reflect.get(value, key) : undefined;
  if (value === null || typeof value !== "object") throw new TypeError(`${path} has no ${keys.join(".")}`);
  return { ...value };
}

/** What `deno check` says about a text. */
async function check(text: string): Promise<Program> {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(join(folder, "planted.ts"), text);
  const program = new Program(["deno", "check", "--config", join(root, "deno.json"), join(folder, "planted.ts")]);
  await program.end(120);
  await Deno.remove(folder, { recursive: true });
  return program;
}

Deno.test("deno check knows the types of every package that deno.json maps to a copy without types", async () => {
  const names = Object.keys(part("deno.json", "imports"));
  assert(names.length > 0);
  const typed = names.map((name, i) =>
    `import * as m${i} from "${name}"; export const t${i}: 0 extends 1 & typeof m${i} ? never : true = true;`
  );
  const right = await check(typed.join("\n"));
  assertEquals(right.status?.code, 0, right.stderr);
});

Deno.test("deno check reports what the packages' own types would report", async () => {
  const planted = {
    'import { STATUS_TEXT } from "jsr:@std/http@1/status"; export const text = (code: number) => STATUS_TEXT[code];':
      /TS7053/,
    'import { contentType } from "jsr:@std/media-types@1/content-type"; contentType(4);': /TS2345/,
    'import { ifMatch } from "jsr:@std/http@1/etag"; ifMatch("*");': /TS2554/,
    'import { parseArgs } from "jsr:@std/cli@1/parse-args"; parseArgs([], { strings: ["x"] });': /TS2561|TS2353/,
    'import { assertMatch } from "jsr:@std/assert@1"; assertMatch(3, /3/);': /TS2345/,
  };
  const wrong = await check(Object.keys(planted).join("\n"));
  assertEquals(wrong.status?.code, 1);
  for (const error of Object.values(planted)) assertMatch(wrong.stderr, error);
});

Deno.test("a first run fetches what scripts and tests import, and nothing that only the tests in a browser need", () => {
  const { specifiers, npm } = { specifiers: part("deno.lock", "specifiers"), npm: part("deno.lock", "npm") };
  const imported = new Set<string>();
  const add = (text: string) => {
    for (const [, name = ""] of text.matchAll(/"(npm:[\w-]+@[\d.]+)[/"]/g)) imported.add(name);
  };
  add(JSON.stringify(part("deno.json", "imports")));
  for (
    const folder of ["tcp", "udp", "http", "dns", "smtp", "rest", "ping", "tests", "tests/support", "tests/campaign"]
  ) {
    for (const { name } of Deno.readDirSync(join(root, folder))) {
      // The tests in a browser and one beside npm:ws fetch their own packages, when they run.
      if (name.endsWith(".ts") && !/^(browser|accessibility|websocket_test)\.ts$/.test(name)) {
        add(Deno.readTextFileSync(join(root, folder, name)));
      }
    }
  }
  assertEquals(Object.keys(specifiers).toSorted(), [...imported].toSorted());
  assertEquals(Object.keys(npm).filter((name) => /^(playwright|axe)/.test(name)), []);
});

Deno.test("by URL: every script is found with all its parts, and one that wants a file says which", async () => {
  await using files = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const path = join(root, new URL(request.url).pathname);
    const headers = { "content-type": "text/plain" };
    return new Response(await Deno.readTextFile(path).catch(() => "404"), { headers });
  });
  // A cache of its own for the scripts. The project's packages are copied into it: not every file system has links.
  await using cleanup = new AsyncDisposableStack();
  const folder = await Deno.realPath(await Deno.makeTempDir());
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const info = new Program(["deno", "info", "--json"], { cwd: root });
  await info.end();
  const { npmCache }: { npmCache: string } = JSON.parse(info.stdout);
  const packages = new Set(Object.keys(part("deno.lock", "npm")).map((name) => name.split(/\b[@/]/, 1)[0]));
  const isOurs = (path: string) =>
    relative(npmCache, path).split(sep).every((name, i) => i !== 1 || packages.has(name));
  cpSync(npmCache, join(folder, "npm"), { recursive: true, filter: isOurs });
  await Deno.mkdir(join(folder, "empty"));
  const at = (script: string) => `http://127.0.0.1:${files.addr.port}/${script}`;
  await Deno.copyFile(join(root, "deno.lock"), join(folder, "deno.lock"));
  const lock = ["--lock", join(folder, "deno.lock"), "--frozen=false"];
  const config = ["--config", join(root, "deno.json")];
  const start = (verb: string, ...args: string[]) =>
    new Program(["deno", verb, ...lock, ...args.includes("--config") ? [] : config, ...args], {
      cwd: join(folder, "empty"),
      env: { DENO_DIR: folder },
    });

  const scripts = scriptTasks().map(([, command]) => command.split(" ").at(-1) ?? "");
  const all = start("cache", ...scripts.map(at));
  await all.end(120);
  assertEquals(all.status?.code, 0, all.stderr);
  const rights = ["-q", "--no-prompt", "-N=127.0.0.1", `-R=${folder}`];
  for (
    const [script, line] of [
      ["dns/server.ts", /^server: give a zone file: /m],
      ["http/one_request_server.ts", /^one_request_server: give a folder: /m],
    ] as const
  ) {
    const program = start("run", ...rights, at(script));
    await program.end();
    refusedWith(program, line);
  }
  // Those that start other scripts.
  for (const name of ["demo", "watch", "mark", "world"]) {
    const program = start("run", ...rights, "--allow-run", "-E", "-R", "-W", at(`tests/${name}.ts`));
    await program.end();
    refusedWith(program, new RegExp(`^${name}: this wants a clone of the project: it does not run by URL$`, "m"));
  }
  // The command that grants what is missing is one to type here: it has the URL, and the flag that deno.json has elsewhere.
  const quoted = (text: string) => text.replaceAll(/[.?]/g, "\\$&");
  const denied = start("run", "-q", "--no-prompt", at("tcp/echo_server.ts"));
  await denied.end();
  failedWith(
    denied,
    2,
    new RegExp(`^echo_server: .* deno run "?-N=127\\.0\\.0\\.1"? "?${quoted(at("tcp/echo_server.ts"))}"?$`, "m"),
  );
  await Deno.writeTextFile(join(folder, "stable.json"), JSON.stringify({ imports: part("deno.json", "imports") }));
  for (const script of ["tcp/threaded_server.ts", "udp/pinger_client.ts"]) {
    const program = start("run", "--config", join(folder, "stable.json"), ...rights, at(script));
    await program.end();
    failedWith(
      program,
      2,
      new RegExp(`: add --unstable-net: deno run .*--unstable-net "?${quoted(at(script))}"?$`, "m"),
    );
  }
  for (const script of ["tcp/threaded_server.ts", "http/file_server.ts"]) {
    await using program = start("run", ...rights, at(script), "--port", "0");
    await program.line(/listening on 127/);
  }
});

/** The commands in blocks of README and sheets. */
function* commands(): Generator<[file: string, command: string]> {
  const folders = ["", "tcp/", "udp/", "dns/", "http/", "smtp/", "rest/", "ping/", "tests/suites/", "tests/bench/"];
  for (const file of folders.map((folder) => `${folder}README.md`)) {
    let block = ""; // the language of the block, "" outside of one
    for (const line of Deno.readTextFileSync(join(root, file)).split("\n")) {
      const fence = /^\s*```(.*)$/.exec(line);
      if (fence) block = block === "" ? fence[1] || "text" : "";
      const command = block === "sh" && !fence ? line : block !== "" ? /^\s*\$ (.*)/.exec(line)?.[1] : undefined;
      if (command) yield [file, command];
    }
  }
}

/** A command without what it quotes. */
const bare = (command: string) => command.replace(/'[^']*'|"[^"]*"/g, "x");

Deno.test("the commands in README and sheets mean the same in zsh, where # begins no comment and ? and * want a file", () => {
  let seen = 0;
  for (const [file, command] of commands()) {
    seen++;
    assert(!/(^|\s)#|[?*[\]!^~]|(^|\s)=/.test(bare(command)), `${file}: ${command}`);
  }
  assert(seen > 100, `${seen} commands`);
});

Deno.test("commands that begin with deno in README and sheets mean the same in PowerShell, which only takes their braces", () => {
  let seen = 0;
  for (const [file, command] of commands()) {
    if (!command.startsWith("deno ") || /[|<]/.test(bare(command))) continue; // the README sends the others to Git Bash
    seen++;
    // A dash and a dot make two words, @ takes a variable apart; the others end the command, or begin an expression.
    assert(!/(^|\s)-\S*\.|(^|\s)@|[;&$()`]/.test(bare(command)), `${file}: ${command}`);
  }
  assert(seen > 100, `${seen} commands`);
});

Deno.test("the peers in Python run with version 3.9, which macOS has", () => {
  const folder = join(root, "tests/peers");
  // 3.10 brought match, and TimeoutError for what a socket throws; 3.11 asyncio.timeout, and TimeoutError for what asyncio throws.
  const later = /^.*((?<!asyncio\.)\bTimeoutError|^\s+match .*:$|asyncio\.(timeout|TaskGroup)\b).*$/m;
  for (const { name } of Deno.readDirSync(folder)) {
    const found = name.endsWith(".py") && later.exec(Deno.readTextFileSync(join(folder, name)));
    assert(!found, `${name}: ${found && found[0]}`);
  }
});
