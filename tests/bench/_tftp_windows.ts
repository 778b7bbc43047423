/**
 * The part of `deno task bench` about TFTP's windows: how fast a file comes through a network that delays every datagram and
 * loses some. Each transfer has a relay of its own with the same seed, so the same datagrams of each are lost.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { Program } from "../support/program.ts";
import { command as task, root } from "../support/tasks.ts";
import { drawPlot } from "./_plot.ts";
import { deno, startServer, type Tools } from "./_tools.ts";

/** Blocks of 1 KiB: as many KiB/s as blocks a second. */
const BLOCK = 1024;
const BLOCKS = 256;
const DELAY = 10;
const SEED = 7;
/** Seconds after which a transfer is cut. */
const LIMIT = 10;

const windows = [1, 4, 16, 64];
const losses = [0, 1, 5, 20];

/** How a transfer went. */
interface Cell {
  /** KiB/s; of a transfer that was cut those until then, of one that failed none. */
  readonly rate: number;
  /** Datagrams that the server sent for each block that arrived. */
  readonly cost: number;
  readonly end: "whole" | "cut" | "failed";
}

export async function benchWindows(tools: Tools): Promise<void> {
  const { folder, json } = tools;
  await Deno.writeTextFile(`${folder}/file.txt`, "0123456789abcde\n".repeat(BLOCKS * BLOCK / 16));
  const lines = new Map<string, [x: number, y: number][]>();
  const title = `TFTP, ${BLOCKS} blocks of ${BLOCK} bytes, ${DELAY} ms each way, seed ${SEED}`;
  if (!json) console.log(`\n${title}: KiB/s (datagrams sent a block)`);
  const print = (cells: string[]) =>
    console.log(`  ${cells.map((cell, i) => i === 0 ? cell.padEnd(11) : cell.padStart(16)).join("")}`);
  if (!json) print(["window", ...losses.map((loss) => `${loss} % lost`)]);
  for (const window of windows) {
    const cells: Cell[] = [];
    for (const loss of losses) {
      const cell = await transfer(tools, window, loss);
      cells.push(cell);
      if (json) console.log(JSON.stringify({ title, window, loss, ...cell }));
      const name = `${loss} % lost`;
      if (cell.rate > 0) lines.set(name, [...lines.get(name) ?? [], [window, cell.rate]]);
    }
    if (!json) print([`${window}`, ...cells.map(shown)]);
  }
  if (!json) console.log(`  * cut after ${LIMIT} s    † one side gave up`);
  const axes = { xName: "window (blocks)", xBase: 4, yName: "KiB/s", lines };
  await drawPlot(tools, "tftp_windows", { title: `TFTP: a round trip of ${2 * DELAY} ms, and losses`, ...axes });
}

const marks = { whole: "", cut: "*", failed: "†" };
const shown = ({ rate, cost, end }: Cell) => `${rate.toFixed(rate < 10 ? 1 : 0)}${marks[end]} (${cost.toFixed(2)})`;

/** Gets the file once, with a server, a relay and a client of its own. */
async function transfer(tools: Tools, window: number, loss: number): Promise<Cell> {
  const { folder } = tools;
  const files = ["deno", "run", "-N=127.0.0.1", `-R=${folder}`, "udp/tftp_server.ts", folder];
  const serve = (port: number) => deno([...files, "--port", `${port}`]);
  const server = await startServer(tools, "tftp_server", serve, { line: /listening/ });
  const network = ["--network", `delay=${DELAY}ms loss=${loss}%`, "--seed", `${SEED}`];
  const to = ["--to", `127.0.0.1:${server.port}`, "--follow"];
  const pass = (port: number) => deno(task("udp/relay.ts", port, ...to, ...network));
  const relay = await startServer(tools, "relay", pass, { line: /listening/ });
  const options = ["--window", `${window}`, "--block-size", `${BLOCK}`, "get", "file.txt"];
  const client = new Program(deno(task("udp/tftp_client.ts", relay.port, ...options)), { cwd: root });
  try {
    const end = await endOf(client);
    const kibs = client.stdout.length / 1024;
    const [, seconds] = / (\d+\.\d+) s, /.exec(client.stderr) ?? [];
    if (end === "whole" && (kibs !== BLOCKS * BLOCK / 1024 || !seconds)) throw new Failure(client.tail());
    const rate = end === "failed" ? 0 : kibs / (end === "cut" ? LIMIT : Number(seconds));
    await client.stop();
    await relay.program.stop(); // then it says how many datagrams there were
    const [, sent] = / (\d+) datagrams?[^,]* back/.exec(relay.program.stdout) ?? [];
    if (!sent) throw new Failure(`the relay has not said what passed: ${relay.program.tail()}`);
    return { rate, cost: Number(sent) / (kibs * 1024 / BLOCK), end };
  } finally {
    for (const program of [client, relay.program, server.program]) await program.stop();
  }
}

/** Waits for the end of a transfer, but not longer than LIMIT after its first block. */
async function endOf(client: Program): Promise<Cell["end"]> {
  await client.line(/^0123/, 60);
  const cut = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => cut.resolve(undefined), LIMIT * 1000);
  const ended = await Promise.race([client.ended, cut.promise]);
  clearTimeout(timer);
  return !ended ? "cut" : ended.success ? "whole" : "failed";
}
