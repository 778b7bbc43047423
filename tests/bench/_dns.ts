/**
 * The part of `deno task bench` about DNS: the server, NSD and dnsmasq, with dnsperf as the load: 100 queries at a time.
 *
 * The first table is about the addresses of the sample zone. dnsmasq reads no zone files, so it gets them as host records. A
 * plain UDP echo in Deno shows the limit of its datagrams. The second table is about a zone of 100,000 records, with queries
 * in random order.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { parseMasterFile } from "../../dns/_master_file.ts";
import { printData } from "../../dns/_record.ts";
import { memory, nsdCommand } from "../support/helpers.ts";
import { has, Program } from "../support/program.ts";
import { root } from "../support/tasks.ts";
import {
  type Contender,
  measureInTurns,
  median,
  need,
  printTable,
  ratio,
  type Start,
  startServer,
  type Tools,
} from "./_tools.ts";

/** Records of the large zone. */
const RECORDS = 100_000;
/** Queries per second for the table's latencies: a rate that every server can answer. */
const CALM_RATE = 10_000;

export async function benchDns(tools: Tools): Promise<void> {
  await need("dnsperf");
  const { folder } = tools;
  const sample = `${root}dns/example.com.zone`;
  const hosts = parseMasterFile(await Deno.readTextFile(sample))
    .filter(({ record }) => record.type === 1 && !/[*\\]|sub\./.test(record.name))
    .map(({ record }) => ({ name: record.name.slice(0, -1), address: printData(1, record.data) }));
  const zone = `${folder}/big.zone`;
  await writeLargeZone(zone);
  const queries = { few: `${folder}/few.txt`, many: `${folder}/many.txt` };
  await Deno.writeTextFile(queries.few, hosts.map(({ name }) => `${name} A\n`).join(""));
  await writeRandomQueries(queries.many);

  const contenders: Contender[] = [];
  const startTimes = new Map<string, number>();
  const start = async (name: string, line: RegExp, command: Start) => {
    const times: number[] = [];
    for (let round = 1; round <= tools.rounds; round++) {
      const before = performance.now();
      const contender = await startServer(tools, name, command, { line });
      times.push(performance.now() - before);
      if (round < tools.rounds) await contender.program.stop();
      else contenders.push(contender);
    }
    startTimes.set(name, median(times));
  };
  const ours = ["run", "-N=127.0.0.1", `-R=dns,${folder}`, "dns/server.ts", "--rate", "0"];
  await start("socketlab server", /listening/, (port) => [Deno.execPath(), ...ours, "--port", `${port}`, sample, zone]);
  const fast = [...ours.toSpliced(1, 0, "--allow-ffi"), "--fast"];
  await start("the same, --fast", /listening/, (port) => [Deno.execPath(), ...fast, "--port", `${port}`, sample, zone]);
  if (await has("sh", "-c", "command -v nsd")) {
    const zones = { "example.com": sample, "big.example": zone };
    await start("NSD", /nsd started/, (port) => nsdCommand(folder, port, zones));
  }
  if (await has("dnsmasq", "--version")) {
    const records = hosts.map(({ name, address }) => `--host-record=${name},${address}`);
    const options = ["--bind-interfaces", "--no-resolv", "--no-hosts", "--log-facility=-", "--user=root", ...records];
    await start("dnsmasq", /started/, (port) => [
      ...["dnsmasq", "--no-daemon", `--port=${port}`, "--listen-address=127.0.0.1"],
      ...options,
    ]);
  }
  const echo = ["run", "--unstable-net", "-N=127.0.0.1", "tests/bench/udp_echo.ts"];
  await start("Deno, plain echo", /listening/, (port) => [Deno.execPath(), ...echo, `${port}`]);

  const title = `DNS, ${RECORDS} records in random order`;
  const withZones = contenders.filter(({ name }) => name !== "dnsmasq" && name !== "Deno, plain echo");
  await measure("DNS, the addresses of the sample zone", queries.few, contenders, startTimes, tools);
  await measure(title, queries.many, withZones, startTimes, tools);
}

async function measure(
  title: string,
  file: string,
  contenders: Contender[],
  startTimes: Map<string, number>,
  tools: Tools,
): Promise<void> {
  const results = await measureInTurns(tools.rounds, contenders, async ({ name, port }) => {
    const dnsperf = async (...more: string[]) => {
      const options = ["-s", "127.0.0.1", "-p", `${port}`, "-d", file, "-l", `${tools.time}`, "-q", "100", ...more];
      const load = new Program(tools.pin(1, ["dnsperf", ...options]));
      await load.end(tools.time + 30);
      return load;
    };
    const full = await dnsperf();
    const rate = /Queries per second:\s+([\d.]+)/.exec(full.stdout)?.[1];
    if (rate === undefined) throw new Failure(`${name}: ${full.tail()}`);
    const calm = await dnsperf("-v", "-Q", `${CALM_RATE}`);
    return [Number(rate), percentile99(calm.stdout)];
  });
  const rows: string[][] = [];
  for (const [i, { name, program }] of contenders.entries()) {
    const [rate = NaN, p99 = NaN] = results[i] ?? [];
    const size = (await memory(program.pid)).toFixed(0);
    const started = (startTimes.get(name) ?? NaN).toFixed(0);
    rows.push([name, Math.round(rate).toString(), ratio(results, i), p99.toFixed(2), size, started]);
  }
  const latency = `p99 ms at ${CALM_RATE / 1000}k/s`;
  printTable(title, ["", "queries/s", "ours / it", latency, "MiB", "ms to start"], rows);
}

async function writeLargeZone(path: string): Promise<void> {
  const line = (i: number) => `h${i} A 10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}`;
  const head = "$ORIGIN big.example.\n$TTL 1h\n@ SOA ns host 1 4h 30m 2w 5m\n@ NS ns\nns A 192.0.2.1\n";
  await Deno.writeTextFile(path, head + Array.from({ length: RECORDS }, (_, i) => line(i)).join("\n") + "\n");
}

async function writeRandomQueries(path: string): Promise<void> {
  let seed = 1;
  const random = () => (seed = seed * 48271 % 0x7fffffff) % RECORDS;
  await Deno.writeTextFile(path, Array.from({ length: 200_000 }, () => `h${random()}.big.example A\n`).join(""));
}

/** The 99th percentile in milliseconds, from dnsperf's lines for single queries: `> NOERROR name A 0.000123`. */
function percentile99(text: string): number {
  const lines = text.matchAll(/^> \S+ \S+ \S+ ([\d.]+)$/gm);
  const times = [...lines].map(([, time]) => Number(time) * 1000).sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] ?? NaN;
}
