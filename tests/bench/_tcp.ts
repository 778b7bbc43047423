/**
 * The parts of `deno task bench` about TCP: echo servers, client processes, and memory.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { memory } from "../support/helpers.ts";
import { command as task, root } from "../support/tasks.ts";
import { type Candidate, compile, installed, measureEcho, other } from "./_load.ts";
import { deno, measureInTurns, printTable, ratio, startServer, type Tools } from "./_tools.ts";

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
const node = other("node", "Node net", "node", "tests/bench/peers.mjs", "tcp");
const asyncio = other("python3", "Python asyncio protocol", "python3", "tests/bench/peers.py", "protocol");

export async function benchTcp(tools: Tools): Promise<void> {
  const load = [await compile("load", tools), "tcp"];
  const candidates = [
    ours,
    systemCalls,
    node,
    asyncio,
    other("python3", "Python asyncio streams", "python3", "tests/bench/peers.py", "streams"),
    other("python3", "Python threads", "python3", "tests/peers/echo_threads.py"),
    other("", "C epoll", await compile("echo_epoll", tools)),
  ];
  for (const count of [1, 50, 500]) {
    const title = `TCP echo, ${count} connection${count > 1 ? "s" : ""} × 64 bytes`;
    await measureEcho(title, candidates, load, { count, size: 64 }, tools);
  }
  await measureEcho("TCP echo, 50 connections × 64 KiB", candidates, load, { count: 50, size: 65536 }, tools);
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
  const results = await measureInTurns(tools.rounds * 4, clients, async ({ name, start }) => {
    const [program = "", ...args] = await start(port);
    const before = performance.now();
    const env = { HOST: "127.0.0.1", PORT: `${port}` };
    const { success } = await new Deno.Command(program, { args, cwd: root, env }).output();
    if (!success) throw new Failure(`the client of ${name} failed`);
    return [performance.now() - before];
  }, true); // the first round fills the caches
  printTable(
    "a TCP client, process start to finish",
    ["", "ms", "ours / it"],
    clients.map(({ name }, i) => [name, (results[i]?.[0] ?? NaN).toFixed(1), ratio(results, i)]),
  );
}

/** A server's resident memory, before and with a thousand connections that have sent one message and are idle. */
export async function benchMemory(tools: Tools): Promise<void> {
  const rows: [name: string, before: number, after: number][] = [];
  for (const { name, start } of await installed([ours, node, asyncio])) {
    const { program, port } = await startServer(tools, name, start, { line: /listening/ });
    const before = await memory(program.pid);
    const conns = await Promise.all(Array.from({ length: 1000 }, async () => {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      await conn.write(new Uint8Array(64));
      await conn.read(new Uint8Array(64));
      return conn;
    }));
    rows.push([name, before, await memory(program.pid)]);
    for (const conn of conns) conn.close();
    await program.stop();
  }
  const [, , first = NaN] = rows[0] ?? [];
  printTable(
    "memory with 1,000 idle connections",
    ["", "MiB before", "MiB with them", "ours / it"],
    rows.map(([name, before, after]) => [name, before.toFixed(0), after.toFixed(0), (first / after).toFixed(2)]),
  );
}
