/**
 * The parts of `deno task bench` about TCP: echo servers, client processes, and memory.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { memory } from "../support/helpers.ts";
import { command as task, root } from "../support/tasks.ts";
import { benchLoad, type Candidate, compile, installed, other } from "./_load.ts";
import { type Measured, report } from "./_report.ts";
import { deno, measureInTurns, startServer, type Tools } from "./_tools.ts";

const ours: Candidate = {
  name: "socketlab echo_server",
  needs: "",
  start: (port) => deno(task("tcp/echo_server.ts", port)),
};
const systemCalls: Candidate = {
  name: "socketlab syscall_server",
  needs: "",
  start: (port) => deno(task("tcp/syscall_server.ts", port)),
};
const plainLoop: Candidate = {
  name: "Deno, a plain loop",
  needs: "",
  start: (port) => deno(["deno", "run", "-N=127.0.0.1", "tests/bench/tcp_echo.ts", `${port}`]),
};
const node = other("node", "Node net", "node", "tests/bench/peers.mjs", "tcp");
const asyncio = other("python3", "Python asyncio protocol", "python3", "tests/bench/peers.py", "protocol");

/** The echo servers that take any number of connections. */
export async function echoServers(tools: Tools): Promise<Candidate[]> {
  return [ours, systemCalls, plainLoop, node, asyncio, other("", "C epoll", await compile("echo_epoll", tools))];
}

export async function benchTcp(tools: Tools): Promise<void> {
  const program = await compile("load", tools);
  const candidates = [
    ...await echoServers(tools),
    other("python3", "Python asyncio streams", "python3", "tests/bench/peers.py", "streams"),
    other("python3", "Python threads", "python3", "tests/peers/echo_threads.py"),
  ];
  for (const count of [1, 50, 500]) {
    const title = `TCP echo, ${count} connection${count > 1 ? "s" : ""} × 64 bytes`;
    await benchLoad(tools, title, candidates, { program, mode: "tcp", count, message: ["64"] });
  }
  const title = "TCP echo, 50 connections × 64 KiB";
  await benchLoad(tools, title, candidates, { program, mode: "tcp", count: 50, message: ["65536"] });
}

/** Client processes from start to end, against one server: connect, send a message, receive its echo, exit. */
export async function benchClients(tools: Tools): Promise<void> {
  const epoll = await compile("echo_epoll", tools);
  const { port } = await startServer({ ...tools, pin: (_, argv) => argv }, "C epoll", () => [epoll], {
    line: /listening/,
  });
  const clients = await installed([
    {
      name: "socketlab echo_client",
      needs: "",
      start: (port) => deno(task("tcp/echo_client.ts", port, "hello")),
    },
    other("node", "Node net", "node", "tests/bench/peers.mjs", "client"),
    other("python3", "Python socket", "python3", "tests/peers/echo_client.py", "correct"),
  ]);
  const measured = await measureInTurns(tools.rounds * 4, clients, async ({ name, start }) => {
    const [program = "", ...args] = await start(port);
    const before = performance.now();
    const env = { HOST: "127.0.0.1", PORT: `${port}` };
    const { success } = await new Deno.Command(program, { args, cwd: root, env }).output();
    if (!success) throw new Failure(`the client of ${name} failed`);
    return [performance.now() - before];
  }, true); // the first round fills the caches
  report(tools, "a TCP client, process start to finish", [{ name: "ms", digits: 1, ratio: "it / ours" }], measured);
}

/** How many connections are open while memory is measured. */
const IDLE = 1000;

/** A server's resident memory, before and with connections that have sent one message each and are idle. */
export async function benchMemory(tools: Tools): Promise<void> {
  const measured: Measured[] = [];
  for (const { name, start } of await installed(await echoServers(tools))) {
    const { program, port } = await startServer(tools, name, start, { line: /listening/ });
    const before = await memory(program.pid);
    const conns = await Promise.all(Array.from({ length: IDLE }, async () => {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      await conn.write(new Uint8Array(64));
      await conn.read(new Uint8Array(64));
      return conn;
    }));
    const after = await memory(program.pid);
    measured.push({ name, rounds: [[before, after, (after - before) / IDLE * 1024]] });
    for (const conn of conns) conn.close();
    await program.stop();
  }
  const columns = [
    { name: "MiB before" },
    { name: "MiB with them", ratio: "it / ours" } as const,
    { name: "KiB a connection", digits: 1 },
  ];
  report(tools, `memory with ${IDLE} idle TCP connections`, columns, measured);
}
