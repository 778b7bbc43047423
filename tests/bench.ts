/**
 * Measures the project's servers beside others that do the same, in one run, and prints ratios: `deno task bench`.
 *
 * The load is a C program (`peers/load.c`) on a core of its own, the server is on another. So that it is the server that
 * is measured, the table has what the load itself used of its core: below 100 % it was waiting for the server. Where it is
 * at its limit the figure is marked with `≥`, for then the server could do more; the epoll loop in C is there to show that
 * limit. The servers take turns, several rounds, and the median counts.
 *
 * Linux, with `cc`, `taskset`, `python3` and `node`; what is missing is left out, but for `cc`.
 *
 * @module
 */
import { getAvailablePort } from "jsr:@std/net@1/get-available-port";
import { Failure, onStop, run, seconds, whole } from "../cli.ts";
import { benchDns } from "./bench_dns.ts";
import { benchSmtp } from "./bench_smtp.ts";
import { benchHttp, benchRest } from "./bench_web.ts";
import { has, Program, stopAll } from "./program.ts";
import { memory } from "./helpers.ts";
import { command as task, root } from "./tasks.ts";

const command = {
  name: "bench",
  about:
    "Measures the servers beside others that do the same. Arguments choose: tcp, udp, dns, http, rest, smtp, client, memory.",
  run: "deno task bench",
  args: "[PART ...]",
  options: {
    "rounds": whole(5, "rounds, of which the median counts", 1, 100),
    "time": seconds(1, "how long each server is loaded in each round"),
  },
};

/** A server to measure: its command, told the port by `{port}` or PORT. */
interface Contender {
  readonly name: string;
  readonly start: (port: number) => string[];
  readonly needs: string;
}

const peer = (needs: string, name: string, ...argv: string[]): Contender => ({ name, needs, start: () => argv });

await run(command, async (flags) => {
  onStop(() => stopAll().then(() => Deno.exit(1)));
  if (Deno.build.os !== "linux") throw new Failure("the load is written for Linux's epoll", 3);
  if (!await has("cc", "--version")) throw new Failure("the load is a C program: install gcc (apt-get install gcc)", 3);
  const wants = (part: string) => flags.args.length === 0 || flags.args.includes(part);
  const built = await Deno.makeTempDir();
  const compile = async (name: string) => {
    const { success, stderr } = await new Deno.Command("cc", {
      args: ["-O2", "-o", `${built}/${name}`, `${root}/tests/peers/${name}.c`],
    }).output();
    if (!success) throw new Failure(`cc could not compile ${name}.c:\n${new TextDecoder().decode(stderr)}`);
    return `${built}/${name}`;
  };
  const cores = await has("taskset", "-V") && navigator.hardwareConcurrency > 1;
  const pin = (core: number, argv: string[]) => cores ? ["taskset", "-c", `${core}`, ...argv] : argv;
  const present = new Map<string, boolean>();
  for (const name of ["python3", "node"]) present.set(name, await has(name, "--version"));

  try {
    const load = await compile("load");
    const epoll = await compile("echo_epoll");
    const tcp: Contender[] = [
      { name: "socketlab echo_server", needs: "", start: (port) => deno(task("tcp/echo_server.ts", port)) },
      peer("node", "Node net", "node", "tests/peers/bench.mjs", "tcp"),
      peer("python3", "Python asyncio protocol", "python3", "tests/peers/bench.py", "protocol"),
      peer("python3", "Python asyncio streams", "python3", "tests/peers/bench.py", "streams"),
      peer("python3", "Python threads", "python3", "tests/peers/echo_threads.py"),
      peer("", "C epoll", epoll),
    ];
    const udp: Contender[] = [
      { name: "socketlab chat_server", needs: "", start: (port) => deno(task("udp/chat_server.ts", port, "--quiet")) },
      {
        name: "Deno, plain echo",
        needs: "",
        start: (port) => deno(["deno", "run", "-N=127.0.0.1", "tests/peers/udp_echo.ts", `${port}`]),
      },
      peer("node", "Node dgram, the same chat", "node", "tests/peers/bench.mjs", "chat"),
      peer("node", "Node dgram, plain echo", "node", "tests/peers/bench.mjs", "udp"),
      peer("python3", "Python blocking, plain echo", "python3", "tests/peers/bench.py", "udp"),
    ];

    const measure = async (title: string, all: Contender[], proto: "tcp" | "udp", count: number, size: number) => {
      const contenders = all.filter(({ needs }) => present.get(needs) ?? true);
      const started = await Promise.all(contenders.map((contender) => startServer(contender, pin)));
      const rates = contenders.map((): number[] => []);
      const loads = contenders.map((): number[] => []);
      for (let round = 0; round < flags.rounds; round++) {
        for (const [i, { port }] of started.entries()) {
          const line = pin(1, [load, proto, `${port}`, `${count}`, `${size}`, `${flags.time}`]);
          const program = new Program(line);
          const { success } = await program.end(flags.time + 30);
          if (!success) throw new Failure(`${contenders[i]?.name}: ${program.tail()}`);
          const [rate = 0, cpu = 0] = program.stdout.split(" ").map(Number);
          rates[i]?.push(rate);
          loads[i]?.push(cpu);
        }
      }
      await stopAll();
      const ours = median(rates[0] ?? []);
      table(
        title,
        ["", "messages/s", "ours / it", "load's core"],
        contenders.map(({ name }, i) => {
          const [rate, cpu] = [median(rates[i] ?? []), median(loads[i] ?? [])];
          return [name, `${cpu > 95 ? "≥" : ""}${Math.round(rate)}`, (ours / rate).toFixed(2), `${Math.round(cpu)} %`];
        }),
      );
    };

    if (wants("tcp")) {
      await measure("TCP echo, 1 connection × 64 bytes", tcp, "tcp", 1, 64);
      await measure("TCP echo, 50 connections × 64 bytes", tcp, "tcp", 50, 64);
      await measure("TCP echo, 500 connections × 64 bytes", tcp, "tcp", 500, 64);
      await measure("TCP echo, 50 connections × 64 KiB", tcp, "tcp", 50, 65536);
    }
    if (wants("udp")) await measure("UDP, 32 datagrams × 64 bytes in flight", udp, "udp", 32, 64);
    if (wants("client")) await clients(flags.rounds * 4, present, epoll);
    if (wants("dns")) await benchDns(built, { ...flags, pin, median, table });
    if (wants("http")) await benchHttp(built, { ...flags, pin, median, table });
    if (wants("smtp")) await benchSmtp(built, { ...flags, pin, median, table });
    if (wants("rest")) await benchRest(built, { ...flags, pin, median, table });
    if (wants("memory")) {
      const rows: string[][] = [];
      for (const contender of tcp.slice(0, 3).filter(({ needs }) => present.get(needs) ?? true)) {
        rows.push(await idle(contender, pin));
      }
      const ours = Number(rows[0]?.[2]);
      table(
        "memory with 1,000 idle connections",
        ["", "MiB before", "MiB with them", "ours / it"],
        rows.map((row) => [...row, (ours / Number(row[2])).toFixed(2)]),
      );
    }
  } finally {
    await stopAll();
    await Deno.remove(built, { recursive: true });
  }
});

/** A command with the Deno that runs this, by its path. */
function deno([, ...argv]: string[]): string[] {
  return [Deno.execPath(), ...argv];
}

/** Starts a server on its core, and waits until it listens. */
async function startServer(
  contender: Contender,
  pin: (core: number, argv: string[]) => string[],
): Promise<{ program: Program; port: number }> {
  const port = getAvailablePort();
  const program = new Program(pin(0, contender.start(port)), {
    cwd: root,
    env: { HOST: "127.0.0.1", PORT: `${port}` },
  });
  await program.line(/listening/);
  return { program, port };
}

/** Whole client processes, start to finish, against one server: one message, its echo, the end. */
async function clients(runs: number, present: Map<string, boolean>, epoll: string): Promise<void> {
  const { port } = await startServer(peer("", "C epoll", epoll), (_, argv) => argv);
  const all: Contender[] = [
    { name: "socketlab echo_client", needs: "", start: (port) => deno(task("tcp/echo_client.ts", port, "hello")) },
    peer("node", "Node net", "node", "tests/peers/bench.mjs", "client"),
    peer("python3", "Python socket", "python3", "tests/peers/echo_client.py", "correct"),
  ];
  const contenders = all.filter(({ needs }) => present.get(needs) ?? true);
  const times = contenders.map((): number[] => []);
  for (let round = 0; round <= runs; round++) {
    for (const [i, { name, start }] of contenders.entries()) {
      const [program = "", ...args] = start(port);
      const before = performance.now();
      const { success } = await new Deno.Command(program, {
        args,
        cwd: root,
        env: { HOST: "127.0.0.1", PORT: `${port}` },
      })
        .output();
      if (!success) throw new Failure(`the client of ${name} failed`);
      if (round > 0) times[i]?.push(performance.now() - before); // the first fills the caches
    }
  }
  await stopAll();
  const ours = median(times[0] ?? []);
  table(
    "a TCP client, process start to finish",
    ["", "ms", "ours / it"],
    contenders.map(({ name }, i) => {
      const time = median(times[i] ?? []);
      return [name, time.toFixed(1), (ours / time).toFixed(2)];
    }),
  );
}

/** A server's resident memory before and with a thousand connections that have said one word and then nothing. */
async function idle(contender: Contender, pin: (core: number, argv: string[]) => string[]): Promise<string[]> {
  const { program, port } = await startServer(contender, pin);
  const before = await memory(program.pid);
  const conns = await Promise.all(Array.from({ length: 1000 }, async () => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new Uint8Array(64));
    await conn.read(new Uint8Array(64));
    return conn;
  }));
  const after = await memory(program.pid);
  for (const conn of conns) conn.close();
  await program.stop();
  return [contender.name, before.toFixed(0), after.toFixed(0)];
}

function median(numbers: number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function table(title: string, head: string[], rows: string[][]): void {
  console.log(`\n${title}`);
  for (const row of [head, ...rows]) {
    console.log(`  ${row.map((cell, i) => i === 0 ? cell.padEnd(28) : cell.padStart(14)).join("")}`);
  }
}
