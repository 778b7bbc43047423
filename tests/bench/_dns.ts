/**
 * The part of `deno task bench` about DNS: the server, NSD and dnsmasq, with dnsperf as the load: 100 queries at a time.
 *
 * The first table is about the addresses of the sample zone. dnsmasq reads no zone files, so it gets them as host records. A
 * plain UDP echo in Deno shows the limit of its datagrams. The second table is about a zone of 100,000 records, with queries
 * in random order; dnsmasq gets these as a hosts file. The others are about the start with large zones, and the memory then.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { parseMasterFile } from "../../dns/_master_file.ts";
import { printData } from "../../dns/_record.ts";
import { nsdCommand } from "../support/helpers.ts";
import { has, output, Program } from "../support/program.ts";
import { root } from "../support/tasks.ts";
import { cpu, type Measured, rate, report } from "./_report.ts";
import {
  type Contender,
  cpuPerMessage,
  cpuSeconds,
  measureInTurns,
  need,
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
  await writeZone(zone, RECORDS);
  await writeHosts(`${folder}/hosts`, RECORDS);
  const queries = { few: `${folder}/few.txt`, many: `${folder}/many.txt` };
  await Deno.writeTextFile(queries.few, hosts.map(({ name }) => `${name} A\n`).join(""));
  await writeRandomQueries(queries.many, RECORDS);

  const withZones = await startInstalled(tools, zoneServers(tools, { "example.com": sample, "big.example": zone }));
  const others = await startInstalled(tools, [dnsmasq(hosts, `${folder}/hosts`), plainEcho]);

  const title = `DNS, ${RECORDS} records in random order`;
  await measure("DNS, the addresses of the sample zone", queries.few, [...withZones, ...others], tools);
  await measure(title, queries.many, [...withZones, ...others.filter(({ name }) => name === "dnsmasq")], tools);
  for (const { program } of [...withZones, ...others]) await program.stop();
  for (const records of [RECORDS, 10 * RECORDS]) await benchStart(tools, records);
}

/** A server to start, and the line that it prints when it answers. */
interface DnsServer {
  readonly name: string;
  readonly needs: string;
  readonly line: RegExp;
  readonly start: Start;
}

/** Our server, plain and with `--fast`, and NSD, on these zones. The fast one comes first. */
function zoneServers({ folder }: Tools, zones: Record<string, string>): DnsServer[] {
  const files = Object.values(zones);
  const ours = ["run", "-N=127.0.0.1", `-R=dns,${folder}`, "dns/server.ts", "--rate", "0"];
  const fast = [...ours.toSpliced(1, 0, "--allow-ffi"), "--fast"];
  const command = (args: string[]) => (port: number) => [Deno.execPath(), ...args, "--port", `${port}`, ...files];
  return [
    { name: "socketlab server --fast", needs: "", line: /listening/, start: command(fast) },
    { name: "socketlab server", needs: "", line: /listening/, start: command(ours) },
    { name: "NSD", needs: "nsd", line: /nsd started/, start: (port) => nsdCommand(folder, port, zones) },
  ];
}

/** dnsmasq, with some addresses as options and others in a file. */
function dnsmasq(hosts: readonly { name: string; address: string }[], file: string): DnsServer {
  const options = ["--bind-interfaces", "--no-resolv", "--no-hosts", "--log-facility=-", "--user=root"];
  const records = [...hosts.map(({ name, address }) => `--host-record=${name},${address}`), `--addn-hosts=${file}`];
  const start = (port: number) => [
    ...["dnsmasq", "--no-daemon", `--port=${port}`, "--listen-address=127.0.0.1"],
    ...[...options, ...records],
  ];
  return { name: "dnsmasq", needs: "dnsmasq", line: /read .*hosts - \d+ (names|addresses)/, start };
}

const plainEcho: DnsServer = {
  name: "Deno, plain echo",
  needs: "",
  line: /listening/,
  start: (port) => [Deno.execPath(), "run", "--unstable-net", "-N=127.0.0.1", "tests/bench/udp_echo.ts", `${port}`],
};

async function startInstalled(tools: Tools, servers: readonly DnsServer[]): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const { name, needs, line, start } of servers) {
    if (needs !== "" && !await has("sh", "-c", `command -v ${needs}`)) continue;
    contenders.push(await startServer(tools, name, start, { line }));
  }
  return contenders;
}

async function measure(title: string, file: string, contenders: Contender[], tools: Tools): Promise<void> {
  const measured = await measureInTurns(tools.rounds, contenders, async (server) => {
    const [perSecond, each] = await queryAll(tools, server, file);
    const calm = await dnsperf(tools, server, file, "-v", "-Q", `${CALM_RATE}`);
    return [perSecond, each, percentile99(calm)];
  });
  report(tools, title, [rate("queries/s"), cpu, { name: `p99 ms at ${CALM_RATE / 1000}k/s`, digits: 2 }], measured);
}

/** Sends as many queries as it answers. Returns how many a second, and the server's CPU time for each in microseconds. */
export async function queryAll(tools: Tools, server: Contender, file: string): Promise<[number, number]> {
  let perSecond = NaN;
  const each = await cpuPerMessage(server, async () => {
    const text = await dnsperf(tools, server, file);
    perSecond = Number(/Queries per second:\s+([\d.]+)/.exec(text)?.[1]);
    return Number(/Queries completed:\s+(\d+)/.exec(text)?.[1]);
  });
  if (Number.isNaN(perSecond)) throw new Failure(`${server.name} has answered nothing: ${server.program.tail()}`);
  return [perSecond, each];
}

async function dnsperf(tools: Tools, { port }: Contender, file: string, ...more: string[]): Promise<string> {
  const options = ["-s", "127.0.0.1", "-p", `${port}`, "-d", file, "-l", `${tools.time}`, "-q", "100", ...more];
  const load = new Program(tools.pin(1, ["dnsperf", ...options]));
  await load.end(tools.time + 30);
  return load.stdout;
}

/**
 * Starts each server with these zones, several times. Returns for each: the milliseconds and the CPU milliseconds until it
 * answers, its memory in MiB then, and what it answers to `file`: queries a second, and the CPU time for each.
 */
async function measureStarts(tools: Tools, servers: readonly DnsServer[], file: string): Promise<Measured[]> {
  const present = [];
  for (const server of servers) {
    if (server.needs === "" || await has("sh", "-c", `command -v ${server.needs}`)) present.push(server);
  }
  return await measureInTurns(tools.rounds, present, async ({ name, start, line }) => {
    const before = performance.now();
    const contender = await startServer(tools, name, start, { line });
    const [time, used] = [performance.now() - before, await cpuSeconds(contender) * 1000];
    const size = await groupMemory(contender);
    const [perSecond, each] = await queryAll(tools, contender, file);
    await contender.program.stop();
    return [time, used, size, perSecond, each];
  });
}

/** The memory of a server and its children in MiB, what they share counted once: the sum of their proportional sizes. */
async function groupMemory({ program }: Contender): Promise<number> {
  const script = `for f in /proc/[0-9]*/stat; do read -r line < $f 2>/dev/null || continue; set -- \${line##*) }; ` +
    `if [ "$3" = ${program.pid} ]; then cat \${f%stat}smaps_rollup; fi; done`;
  const sizes = (await output("sh", "-c", script)).matchAll(/^Pss:\s+(\d+)/gm);
  return [...sizes].reduce((sum, [, kib]) => sum + Number(kib), 0) / 1024;
}

/** Prints how long the servers take to start with a zone of so many records, and how much memory they have then. */
export async function benchStart(tools: Tools, records: number): Promise<Measured[]> {
  const [zone, queries] = [`${tools.folder}/start.zone`, `${tools.folder}/start.txt`];
  await writeZone(zone, records);
  await writeRandomQueries(queries, records);
  const measured = await measureStarts(tools, zoneServers(tools, { "big.example": zone }), queries);
  const columns = [
    { name: "ms to start", ratio: "it / ours" } as const,
    { name: "CPU ms", ratio: "it / ours" } as const,
    { name: "MiB", ratio: "it / ours" } as const,
    rate("queries/s"),
    cpu,
  ];
  report(tools, `DNS, a zone of ${records} records`, columns, measured);
  return measured;
}

/** Writes a zone with so many addresses. */
async function writeZone(path: string, records: number): Promise<void> {
  const line = (i: number) => `h${i} A 10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}\n`;
  const head = "$ORIGIN big.example.\n$TTL 1h\n@ SOA ns host 1 4h 30m 2w 5m\n@ NS ns\nns A 192.0.2.1\n";
  await Deno.writeTextFile(path, head);
  for (let from = 0; from < records; from += 10_000) {
    const lines = Array.from({ length: Math.min(10_000, records - from) }, (_, i) => line(from + i));
    await Deno.writeTextFile(path, lines.join(""), { append: true });
  }
}

/** Writes the addresses of such a zone as a hosts file. */
async function writeHosts(path: string, records: number): Promise<void> {
  const line = (i: number) => `10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255} h${i}.big.example\n`;
  await Deno.writeTextFile(path, Array.from({ length: records }, (_, i) => line(i)).join(""));
}

/** Writes queries for the names of such a zone, in random order. */
async function writeRandomQueries(path: string, records: number): Promise<void> {
  let seed = 1;
  const random = () => (seed = seed * 48271 % 0x7fffffff) % records;
  await Deno.writeTextFile(path, Array.from({ length: 200_000 }, () => `h${random()}.big.example A\n`).join(""));
}

/** The 99th percentile in milliseconds, from dnsperf's lines for single queries: `> NOERROR name A 0.000123`. */
function percentile99(text: string): number {
  const lines = text.matchAll(/^> \S+ \S+ \S+ ([\d.]+)$/gm);
  const times = [...lines].map(([, time]) => Number(time) * 1000).sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] ?? NaN;
}
