/**
 * The part of `deno task bench` about DNS: the server beside NSD and dnsmasq, with dnsperf as the load.
 *
 * dnsperf runs on a core of its own, the servers on another, with 100 queries under way. dnsmasq has no zone files: it is given
 * the zone's addresses as host records, and everyone is asked for these alone in the first table. The second is a zone of
 * 100,000 records, each asked for at random. A plain echo in Deno is there to show the limit: what its datagrams cost when
 * nothing is done to them.
 *
 * @module
 */
import { getAvailablePort } from "jsr:@std/net@1/get-available-port";
import { Failure } from "../cli.ts";
import { parseMasterFile } from "../dns/master_file.ts";
import { printData } from "../dns/record.ts";
import { memory, nsdCommand } from "./helpers.ts";
import { has, Program } from "./program.ts";
import { root } from "./tasks.ts";

/** What the other parts of the bench lend. */
export interface Tools {
  readonly rounds: number;
  readonly time: number;
  pin(core: number, argv: string[]): string[];
  median(numbers: number[]): number;
  table(title: string, head: string[], rows: string[][]): void;
}

interface Contender {
  readonly name: string;
  readonly program: Program;
  readonly port: number;
  /** Milliseconds until it served: the median of as many starts as there are rounds. */
  readonly start: number;
}

const big = 100_000;
const calmRate = 10_000;

/** Measures and prints; `folder` is for what is made for it. */
export async function benchDns(folder: string, tools: Tools): Promise<void> {
  if (!await has("dnsperf", "-h")) throw new Failure("the load is dnsperf: install it (apt-get install dnsperf)", 3);
  const sample = `${root}dns/example.com.zone`;
  const hosts = parseMasterFile(await Deno.readTextFile(sample))
    .filter(({ record }) => record.type === 1 && !/[*\\]|sub\./.test(record.name))
    .map(({ record }) => ({ name: record.name.slice(0, -1), address: printData(1, record.data) }));
  const zone = `${folder}/big.zone`;
  const line = (i: number) => `h${i} A 10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}`;
  const head = "$ORIGIN big.example.\n$TTL 1h\n@ SOA ns host 1 4h 30m 2w 5m\n@ NS ns\nns A 192.0.2.1\n";
  await Deno.writeTextFile(zone, head + Array.from({ length: big }, (_, i) => line(i)).join("\n") + "\n");
  let seed = 1;
  const random = () => (seed = seed * 48271 % 0x7fffffff) % big;
  const queries = { few: `${folder}/few.txt`, many: `${folder}/many.txt` };
  await Deno.writeTextFile(queries.few, hosts.map(({ name }) => `${name} A\n`).join(""));
  await Deno.writeTextFile(
    queries.many,
    Array.from({ length: 200_000 }, () => `h${random()}.big.example A\n`).join(""),
  );

  const contenders: Contender[] = [];
  const start = async (name: string, line: RegExp, argv: (port: number) => string[] | Promise<string[]>) => {
    const times: number[] = [];
    while (true) {
      const port = getAvailablePort();
      const command = await argv(port);
      const before = performance.now();
      const program = new Program(tools.pin(0, command), { cwd: root });
      await program.line(line, 60);
      times.push(performance.now() - before);
      if (times.length === tools.rounds) {
        contenders.push({ name, program, port, start: tools.median(times) });
        return;
      }
      await program.stop();
    }
  };
  await start("socketlab server", /listening/, (port) => [
    ...[
      Deno.execPath(),
      "run",
      "-N=127.0.0.1",
      `-R=dns,${folder}`,
      "dns/server.ts",
      "--port",
      `${port}`,
      "--rate",
      "0",
    ],
    ...[sample, zone],
  ]);
  if (await has("sh", "-c", "command -v nsd")) {
    await start("NSD", /nsd started/, async (port) => {
      return await nsdCommand(folder, port, { "example.com": sample, "big.example": zone });
    });
  }
  if (await has("dnsmasq", "--version")) {
    await start("dnsmasq", /started/, (port) => [
      ...["dnsmasq", "--no-daemon", `--port=${port}`, "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv"],
      ...[
        "--no-hosts",
        "--log-facility=-",
        "--user=root",
        ...hosts.map(({ name, address }) => `--host-record=${name},${address}`),
      ],
    ]);
  }

  const echo = (port: number) => ["-N=127.0.0.1", "tests/peers/udp_echo.ts", `${port}`];
  await start("Deno, plain echo", /listening/, (port) => [Deno.execPath(), "run", "--unstable-net", ...echo(port)]);

  for (
    const [title, file, all] of [
      ["DNS, the sample zone's addresses, 100 queries under way", queries.few, contenders],
      ["DNS, 100,000 records at random", queries.many, contenders.filter(({ name }) => /socketlab|NSD/.test(name))],
    ] as const
  ) {
    const rates = all.map((): number[] => []);
    const worst = all.map((): number[] => []);
    for (let round = 0; round < tools.rounds; round++) {
      for (const [i, { name, port }] of all.entries()) {
        const options = ["-s", "127.0.0.1", "-p", `${port}`, "-d", file, "-l", `${tools.time}`, "-q", "100"];
        const load = new Program(tools.pin(1, ["dnsperf", ...options]));
        await load.end(tools.time + 30);
        const rate = /Queries per second:\s+([\d.]+)/.exec(load.stdout)?.[1];
        if (rate === undefined) throw new Failure(`${name}: ${load.tail()}`);
        rates[i]?.push(Number(rate));
        // The times of single queries, at a rate that all of them can keep up with.
        const calm = new Program(tools.pin(1, ["dnsperf", ...options, "-v", "-Q", `${calmRate}`]));
        await calm.end(tools.time + 30);
        worst[i]?.push(percentile99(calm.stdout));
      }
    }
    const ours = tools.median(rates[0] ?? []);
    const rows: string[][] = [];
    for (const [i, { name, program, start }] of all.entries()) {
      const rate = tools.median(rates[i] ?? []);
      const numbers = [
        tools.median(worst[i] ?? []).toFixed(2),
        (await memory(program.pid)).toFixed(0),
        start.toFixed(0),
      ];
      rows.push([name, Math.round(rate).toString(), (ours / rate).toFixed(2), ...numbers]);
    }
    tools.table(title, ["", "queries/s", "ours / it", `p99 ms at ${calmRate / 1000}k/s`, "MiB", "ms to start"], rows);
  }
}

/** The 99th percentile in milliseconds, from the lines of single queries: `> NOERROR name A 0.000123`. */
function percentile99(text: string): number {
  const times = [...text.matchAll(/^> \S+ \S+ \S+ ([\d.]+)$/gm)].map(([, time]) => Number(time) * 1000).sort((a, b) =>
    a - b
  );
  return times[Math.floor(times.length * 0.99)] ?? NaN;
}
