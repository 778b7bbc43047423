/**
 * The parts of `deno task bench` about HTTP and REST, with wrk as the load: 50 connections that stay open.
 *
 * Files: the file server beside nginx with one worker, Node with serve-handler, and Python's http.server. The users API on
 * SQLite: beside Flask (threaded) and Express with better-sqlite3, all with a write-ahead log that is flushed at each commit.
 *
 * @module
 */
import { getAvailablePort } from "jsr:@std/net@1/get-available-port";
import { Failure } from "../cli.ts";
import type { Tools } from "./bench_dns.ts";
import { memory } from "./helpers.ts";
import { has, Program } from "./program.ts";
import { root } from "./tasks.ts";

/** A server that is measured. */
export interface Contender {
  readonly name: string;
  readonly port: number;
  readonly program: Program;
}

const connections = 50;

/** Starts a server on its core. `start` gives its command; the port is in PORT, too. It is up when it can be connected to. */
export async function started(
  tools: Tools,
  name: string,
  env: Record<string, string>,
  start: (port: number) => string[] | Promise<string[]>,
): Promise<Contender> {
  const port = getAvailablePort();
  const command = await start(port);
  const program = new Program(tools.pin(0, command), { cwd: root, env: { PORT: `${port}`, ...env } });
  for (let tries = 0; tries < 200; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return { name, port, program };
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((again) => setTimeout(again, 50));
    }
  }
  throw new Failure(`${name} did not start: ${program.tail()}`);
}

/** Requests a second with wrk, of each contender in turn, and its memory afterwards. */
async function load(tools: Tools, title: string, all: Contender[], path: string, script?: string): Promise<void> {
  const rates = all.map((): number[] => []);
  for (let round = 0; round < tools.rounds; round++) {
    for (const [i, { name, port }] of all.entries()) {
      const options = ["-t1", `-c${connections}`, `-d${Math.max(1, Math.round(tools.time))}`];
      const url = `http://127.0.0.1:${port}${path}`;
      const program = new Program(tools.pin(1, ["wrk", ...options, ...script ? ["-s", script] : [], url]));
      await program.end(tools.time + 30);
      const rate = /Requests\/sec:\s+([\d.]+)/.exec(program.stdout)?.[1];
      if (rate === undefined || /Non-2xx/.test(program.stdout)) throw new Failure(`${name}: ${program.tail()}`);
      rates[i]?.push(Number(rate));
    }
  }
  const ours = tools.median(rates[0] ?? []);
  const rows: string[][] = [];
  for (const [i, { name, program }] of all.entries()) {
    const rate = tools.median(rates[i] ?? []);
    rows.push([name, `${Math.round(rate)}`, (ours / rate).toFixed(2), (await memory(program.pid)).toFixed(0)]);
  }
  tools.table(title, ["", "requests/s", "ours / it", "MiB"], rows);
}

/** Whether the npm packages that two of the others are made of could be put into a folder. */
async function packages(folder: string, ...names: string[]): Promise<boolean> {
  if (!await has("npm", "--version")) return false;
  const npm = new Program(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", ...names], { cwd: folder });
  return (await npm.end(300)).success;
}

/** Measures and prints; `folder` is for what is made for it. */
export async function benchHttp(folder: string, tools: Tools): Promise<void> {
  if (!await has("sh", "-c", "command -v wrk")) {
    throw new Failure("the load is wrk: install it (apt-get install wrk)", 3);
  }
  const www = `${folder}/www`;
  await Deno.mkdir(www);
  await Deno.writeTextFile(`${www}/small.txt`, "0123456789abcde\n".repeat(256));
  await Deno.writeFile(`${www}/large.bin`, new Uint8Array(100 << 20).fill(7));
  const files = ["run", "-N=127.0.0.1", `-R=${www}`, "http/file_server.ts", "--root", www, "--quiet"];
  const all = [
    await started(tools, "socketlab file_server", {}, (port) => [Deno.execPath(), ...files, "--port", `${port}`]),
  ];
  if (await has("sh", "-c", "command -v nginx")) {
    all.push(await started(tools, "nginx, one worker", {}, async (port) => await nginx(folder, www, port)));
  }
  if (await packages(folder, "serve-handler")) {
    const node = ["node", "tests/peers/bench_web.mjs", "files", www];
    all.push(await started(tools, "Node, serve-handler", { MODULES: folder }, () => node));
  }
  if (await has("python3", "--version")) {
    const python = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", www];
    all.push(await started(tools, "Python http.server", {}, (port) => [...python, `${port}`]));
  }
  await load(tools, "HTTP, a file of 4 KiB, 50 connections", all, "/small.txt");

  const speeds = all.map((): number[] => []);
  for (let round = 0; round < tools.rounds; round++) {
    for (const [i, { port }] of all.entries()) {
      const url = `http://127.0.0.1:${port}/large.bin`;
      const curl = new Program(
        tools.pin(1, ["curl", "-s", "-o", "/dev/null", "-w", "%{speed_download} %{size_download}", url]),
      );
      await curl.end(60);
      const [speed, size] = curl.stdout.split(" ").map(Number);
      if (size !== 100 << 20) throw new Failure(`${all[i]?.name} sent ${size} bytes`);
      speeds[i]?.push((speed ?? 0) / 1e6);
    }
  }
  const ours = tools.median(speeds[0] ?? []);
  const rows: string[][] = [];
  for (const [i, { name, program }] of all.entries()) {
    const speed = tools.median(speeds[i] ?? []);
    rows.push([name, `${Math.round(speed)}`, (ours / speed).toFixed(2), (await memory(program.pid)).toFixed(0)]);
  }
  tools.table("HTTP, a file of 100 MiB", ["", "MB/s", "ours / it", "MiB"], rows);
  for (const { program } of all) await program.stop();
}

async function nginx(folder: string, www: string, port: number): Promise<string[]> {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${folder}/${name};`
  );
  await Deno.writeTextFile(
    `${folder}/nginx.conf`,
    `worker_processes 1; daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
     events { worker_connections 1024; }
     http {
       access_log off; sendfile on; keepalive_requests 1000000000; types { text/plain txt; } ${temporary.join(" ")}
       server { listen 127.0.0.1:${port}; root ${www}; }
     }`,
  );
  return ["nginx", "-c", `${folder}/nginx.conf`];
}

/** Measures and prints; `folder` is for what is made for it. */
export async function benchRest(folder: string, tools: Tools): Promise<void> {
  if (!await has("sh", "-c", "command -v wrk")) {
    throw new Failure("the load is wrk: install it (apt-get install wrk)", 3);
  }
  const flags = ["run", "-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, "rest/server.ts", "--quiet"];
  const all = [
    await started(tools, "socketlab users API", {}, (port) => {
      return [Deno.execPath(), ...flags, "--db", `${folder}/ours.sqlite`, "--port", `${port}`];
    }),
  ];
  if (await has("python3", "-c", "import flask")) {
    all.push(
      await started(
        tools,
        "Flask, threaded",
        {},
        () => ["python3", "tests/peers/bench_flask.py", `${folder}/flask.sqlite`],
      ),
    );
  }
  // better-sqlite3 is C++: where no built one can be downloaded, it is compiled against the headers of Node that are here.
  const modules = `${folder}/modules`;
  await Deno.mkdir(modules);
  if (await packages(modules, "express", "better-sqlite3")) {
    const loads = ["-e", `require("${modules}/node_modules/better-sqlite3")(":memory:")`];
    if (!await has("node", ...loads)) {
      const build = ["npx", "--yes", "node-gyp", "rebuild", "--release", "--nodedir=/usr"];
      await new Program(build, { cwd: `${modules}/node_modules/better-sqlite3` }).end(600);
    }
    if (await has("node", ...loads)) {
      const node = ["node", "tests/peers/bench_web.mjs", "users", `${folder}/express.sqlite`];
      all.push(await started(tools, "Express, better-sqlite3", { MODULES: modules }, () => node));
    }
  }
  const script = `${folder}/post.lua`;
  await Deno.writeTextFile(
    script,
    `local n = 0
     local start = os.time() .. "-" .. tostring({}):sub(8)
     request = function()
       n = n + 1
       local body = '{"name":"Somebody","email":"' .. n .. "-" .. start .. '@example.com"}'
       return wrk.format("POST", "/users", { ["Content-Type"] = "application/json" }, body)
     end`,
  );
  await load(tools, "REST on SQLite, POST /users, 50 connections", all, "/users", script);
  await load(tools, "REST on SQLite, GET /users/1, 50 connections", all, "/users/1");
  for (const { program } of all) await program.stop();
}
