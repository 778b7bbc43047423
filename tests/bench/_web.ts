/**
 * The parts of `deno task bench` about HTTP and REST, with wrk as the load: 50 connections that stay open.
 *
 * Files: our file server, nginx with one worker, Node with serve-handler, and Python's http.server. Users: our API on SQLite,
 * Flask (threaded), and Express with better-sqlite3, all with a write-ahead log that is flushed to the disk at each commit.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { memory } from "../support/helpers.ts";
import { has, Program } from "../support/program.ts";
import { cpu, type Measured, rate, report } from "./_report.ts";
import { type Contender, cpuPerMessage, install, measureInTurns, need, startServer, type Tools } from "./_tools.ts";

const CONNECTIONS = 50;

/** Measures requests per second with wrk, and prints them with each server's memory. */
export async function load(
  tools: Tools,
  title: string,
  all: Contender[],
  path: string,
  script?: string,
): Promise<void> {
  const measured = await measureInTurns(tools.rounds, all, async (server) => {
    const options = ["-t1", `-c${CONNECTIONS}`, `-d${Math.max(1, Math.round(tools.time))}`];
    const url = `http://127.0.0.1:${server.port}${path}`;
    let perSecond = NaN;
    const each = await cpuPerMessage(server, async () => {
      const program = new Program(tools.pin(1, ["wrk", ...options, ...script ? ["-s", script] : [], url]));
      await program.end(tools.time + 30);
      perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(program.stdout)?.[1]);
      const total = /(\d+) requests in/.exec(program.stdout)?.[1];
      if (total === undefined || /Non-2xx/.test(program.stdout)) throw new Failure(`${server.name}: ${program.tail()}`);
      return Number(total);
    });
    return [perSecond, each];
  });
  report(tools, title, [rate("requests/s"), cpu, { name: "MiB" }], await withMemory(measured, all));
}

/** Adds a column: each server's memory now. */
async function withMemory(measured: Measured[], all: Contender[]): Promise<Measured[]> {
  const sizes = await Promise.all(all.map(({ program }) => memory(program.pid)));
  return measured.map(({ name, rounds }, i) => ({ name, rounds: rounds.map((each) => [...each, sizes[i] ?? NaN]) }));
}

export async function benchHttp(tools: Tools): Promise<void> {
  await need("wrk");
  const { folder } = tools;
  const www = `${folder}/www`;
  await Deno.mkdir(www);
  await Deno.writeTextFile(`${www}/small.txt`, "0123456789abcde\n".repeat(256));
  await Deno.writeFile(`${www}/large.bin`, new Uint8Array(100 << 20).fill(7));
  const files = ["run", "-N=127.0.0.1", `-R=${www}`, "http/file_server.ts", "--root", www, "--quiet"];
  const all = [
    await startServer(tools, "socketlab file_server", (port) => [Deno.execPath(), ...files, "--port", `${port}`]),
  ];
  if (await has("sh", "-c", "command -v nginx")) {
    all.push(await startServer(tools, "nginx, one worker", (port) => nginxCommand(folder, www, port)));
  }
  if (await install(folder, "serve-handler")) {
    const node = ["node", "tests/bench/peers_web.mjs", "files", www];
    all.push(await startServer(tools, "Node, serve-handler", () => node, { env: { MODULES: folder } }));
  }
  if (await has("python3", "--version")) {
    const python = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", www];
    all.push(await startServer(tools, "Python http.server", (port) => [...python, `${port}`]));
  }
  await load(tools, "HTTP, a file of 4 KiB, 50 connections", all, "/small.txt");

  const measured = await measureInTurns(tools.rounds, all, async (server) => {
    const format = "%{speed_download} %{size_download}";
    const url = `http://127.0.0.1:${server.port}/large.bin`;
    let rate = NaN;
    const each = await cpuPerMessage(server, async () => {
      const curl = new Program(tools.pin(1, ["curl", "-s", "-o", "/dev/null", "-w", format, url]));
      await curl.end(60);
      const [speed = NaN, size] = curl.stdout.split(" ").map(Number);
      if (size !== 100 << 20) throw new Failure(`${server.name} sent ${size} bytes`);
      rate = speed / 1e6;
      return 1000; // so that it comes out in milliseconds
    });
    return [rate, each];
  });
  const columns = [rate("MB/s"), { ...cpu, name: "CPU ms each", digits: 0 }, { name: "MiB" }];
  report(tools, "HTTP, a file of 100 MiB", columns, await withMemory(measured, all));
  for (const { program } of all) await program.stop();
}

/** Writes nginx's configuration; returns its command. */
export async function nginxCommand(folder: string, www: string, port: number): Promise<string[]> {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${folder}/${name};`
  );
  await Deno.writeTextFile(
    `${folder}/nginx.conf`,
    `worker_processes 1; daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
     events { worker_connections 8192; }
     http {
       access_log off; sendfile on; keepalive_requests 1000000000; types { text/plain txt; } ${temporary.join(" ")}
       server { listen 127.0.0.1:${port} backlog=1024; root ${www}; }
     }`,
  );
  return ["nginx", "-c", `${folder}/nginx.conf`];
}

export async function benchRest(tools: Tools): Promise<void> {
  await need("wrk");
  const { folder } = tools;
  const flags = ["run", "-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, "rest/server.ts", "--quiet"];
  const all = [
    await startServer(tools, "socketlab users API", (port) => {
      return [Deno.execPath(), ...flags, "--db", `${folder}/ours.sqlite`, "--port", `${port}`];
    }),
  ];
  if (await has("python3", "-c", "import flask")) {
    all.push(
      await startServer(tools, "Flask, threaded", () => {
        return ["python3", "tests/bench/peers_flask.py", `${folder}/flask.sqlite`];
      }),
    );
  }
  // better-sqlite3 is a C++ addon: if no built one can be downloaded, it is compiled with the headers of the installed Node.
  const modules = `${folder}/modules`;
  await Deno.mkdir(modules);
  if (await install(modules, "express", "better-sqlite3")) {
    const loads = ["-e", `require("${modules}/node_modules/better-sqlite3")(":memory:")`];
    if (!await has("node", ...loads)) {
      const build = ["npx", "--yes", "node-gyp", "rebuild", "--release", "--nodedir=/usr"];
      await new Program(build, { cwd: `${modules}/node_modules/better-sqlite3` }).end(600);
    }
    if (await has("node", ...loads)) {
      const node = ["node", "tests/bench/peers_web.mjs", "users", `${folder}/express.sqlite`];
      all.push(await startServer(tools, "Express, better-sqlite3", () => node, { env: { MODULES: modules } }));
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
