/**
 * The part of `deno task bench` about growth: what a message costs a server when there are more connections, longer messages,
 * or a larger zone. Each table becomes a plot when there is a folder for it (`--plots`).
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { has } from "../support/program.ts";
import { benchStart } from "./_dns.ts";
import { type Candidate, compile, loadColumns, measureLoad, startAll } from "./_load.ts";
import { drawPlot, type Plot } from "./_plot.ts";
import { cpu, type Measured, medianOf, rate, report } from "./_report.ts";
import { echoServers } from "./_tcp.ts";
import { type Contender, deno, type Tools } from "./_tools.ts";
import { nginxCommand } from "./_web.ts";

export async function benchGrowth(tools: Tools): Promise<void> {
  const program = await compile("load", tools);
  await growConnections(tools, program);
  await growMessages(tools, program);
  await growFileServer(tools, program);
  await growZones(tools);
}

async function growConnections(tools: Tools, program: string): Promise<void> {
  const plot = new Points("TCP echo of 64 bytes: CPU time a message", "connections", "µs");
  await withServers(tools, await echoServers(tools), async (servers) => {
    for (const count of [1, 50, 500, 5000]) {
      const measured = await measureLoad(tools, servers, { program, mode: "tcp", count, message: ["64"] });
      report(tools, `TCP echo, ${count} × 64 bytes`, loadColumns, measured);
      plot.add(count, measured, 1);
    }
  });
  await drawPlot(tools, "tcp_connections", plot);
}

async function growMessages(tools: Tools, program: string): Promise<void> {
  const plot = new Points("TCP echo, 50 connections: CPU time a message", "bytes", "µs");
  await withServers(tools, await echoServers(tools), async (servers) => {
    for (const size of [64, 1024, 16_384, 65_536, 1 << 20]) {
      const measured = await measureLoad(tools, servers, { program, mode: "tcp", count: 50, message: [`${size}`] });
      report(tools, `TCP echo, 50 × ${size} bytes`, loadColumns, measured);
      plot.add(size, measured, 1);
    }
  });
  await drawPlot(tools, "tcp_message_sizes", plot);
}

async function growFileServer(tools: Tools, program: string): Promise<void> {
  const { folder } = tools;
  const www = `${folder}/growth`;
  await Deno.mkdir(www);
  await Deno.writeTextFile(`${www}/small.txt`, "0123456789abcde\n".repeat(256));
  const message = `${folder}/get.txt`;
  await Deno.writeTextFile(message, "GET /small.txt HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  // Under full load the runtime accepts a few connections a round: the last of 5,000 may wait for half a minute.
  const options = ["--root", www, "--quiet", "--timeout", "0"];
  const files = ["deno", "run", "-N=127.0.0.1", `-R=${www}`, "http/file_server.ts", ...options];
  const candidates: Candidate[] = [{
    name: "socketlab file_server",
    needs: "",
    start: (port) => deno([...files, "--port", `${port}`]),
  }];
  if (await has("sh", "-c", "command -v nginx")) {
    // It prints no line when it listens; the shell says so for it, a moment before.
    const start = async (port: number) => {
      const command = (await nginxCommand(folder, www, port)).join(" ");
      return ["sh", "-c", `nginx -t -q -c ${folder}/nginx.conf; echo listening; exec ${command}`];
    };
    candidates.push({ name: "nginx, one worker", needs: "", start });
  }
  const plot = new Points("HTTP, a file of 4 KiB: CPU time a request", "connections", "µs");
  await withServers(tools, candidates, async (servers) => {
    for (const count of [1, 50, 500, 5000]) {
      const measured = await measureLoad(tools, servers, { program, mode: "call", count, message: [message] });
      report(tools, `HTTP, a file of 4 KiB, ${count} connections`, [rate("requests/s"), cpu], measured);
      plot.add(count, measured, 1);
    }
  });
  await drawPlot(tools, "http_connections", plot);
}

async function growZones(tools: Tools): Promise<void> {
  if (!await has("sh", "-c", "command -v dnsperf")) return;
  const start = new Points("DNS: CPU time until the server answers", "records", "ms");
  const size = new Points("DNS: memory", "records", "MiB");
  const each = new Points("DNS, names in random order: CPU time a query", "records", "µs");
  for (const records of [10, 1000, 100_000, 1_000_000]) {
    const measured = await benchStart(tools, records);
    start.add(records, measured, 1);
    size.add(records, measured, 2);
    each.add(records, measured, 4);
  }
  await drawPlot(tools, "dns_start", start);
  await drawPlot(tools, "dns_memory", size);
  await drawPlot(tools, "dns_queries", each);
}

async function withServers(
  tools: Tools,
  candidates: readonly Candidate[],
  measure: (servers: Contender[]) => Promise<void>,
): Promise<void> {
  const servers = await startAll(tools, candidates);
  try {
    await measure(servers);
  } finally {
    for (const { program } of servers) await program.stop();
  }
}

/** The medians of one column over several tables. */
class Points implements Plot {
  readonly lines = new Map<string, [x: number, y: number][]>();

  constructor(readonly title: string, readonly xName: string, readonly yName: string) {}

  add(x: number, measured: readonly Measured[], column: number): void {
    for (const each of measured) {
      const y = medianOf(each, column);
      if (!(y > 0)) throw new Failure(`${each.name} has used no CPU time: let it run for longer (--time)`);
      this.lines.set(each.name, [...this.lines.get(each.name) ?? [], [x, y]]);
    }
  }
}
