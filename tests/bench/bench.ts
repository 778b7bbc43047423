/**
 * Measures the project's servers and comparable ones in one run, and prints ratios: `deno task bench`.
 *
 * A load program runs on one core and the servers on another. Two numbers stand in each table: messages per second, and the CPU
 * time that a message costs the server, which depends much less on what else the machine does. The servers take turns for
 * several rounds; the tables show the medians, the ratios of ours to the others, and the lowest and highest ratio of a round.
 *
 * For TCP and UDP the load is `load.c`, and the tables show how busy its core was: near 100 %, the load was at its own limit, and
 * the server could do more.
 *
 * It needs Linux and `cc`. The other programs (`README.md` lists them) are optional: a server that is not installed is left out.
 *
 * @module
 */
import { Failure, flag, integer, onStop, run, seconds, text } from "../../cli.ts";
import { has, stopAll } from "../support/program.ts";
import { benchRpc, benchWebSocket } from "./_calls.ts";
import { benchDns } from "./_dns.ts";
import { benchGrowth } from "./_growth.ts";
import { benchProxy } from "./_proxy.ts";
import { benchRelay } from "./_relay.ts";
import { benchSmtp } from "./_smtp.ts";
import { benchClients, benchMemory, benchTcp } from "./_tcp.ts";
import { benchTftp } from "./_tftp.ts";
import { benchWindows } from "./_tftp_windows.ts";
import type { Tools } from "./_tools.ts";
import { benchUdp } from "./_udp.ts";
import { benchHttp, benchRest } from "./_web.ts";

const parts: Record<string, (tools: Tools) => Promise<void>> = {
  tcp: benchTcp,
  udp: benchUdp,
  rpc: benchRpc,
  tftp: benchTftp,
  windows: benchWindows,
  client: benchClients,
  dns: benchDns,
  http: benchHttp,
  proxy: benchProxy,
  websocket: benchWebSocket,
  smtp: benchSmtp,
  rest: benchRest,
  memory: benchMemory,
  growth: benchGrowth,
  relay: benchRelay,
};

const command = {
  name: "bench",
  about: `Measures the servers and comparable ones. Arguments choose some parts: ${Object.keys(parts).join(", ")}.`,
  run: "deno task bench",
  args: "[PART ...]",
  examples: [
    "deno task bench tcp udp --rounds 3",
    "deno task bench --json > bench.jsonl",
    "deno task bench growth --plots tests/bench",
    "deno task bench windows --plots udp",
  ],
  options: {
    "rounds": integer(5, "rounds, of which the median counts", 1, 100),
    "time": seconds(1, "how long the load for each server lasts in each round"),
    "json": flag("print one line of JSON for each table"),
    "plots": text("", "draw the tables of growth and windows as SVG files in this folder", "DIR"),
  },
};

await run(command, async (flags) => {
  const unknown = flags.args.find((name) => !Object.hasOwn(parts, name));
  if (unknown) throw new Failure(`there is no part ${unknown}: choose from ${Object.keys(parts).join(", ")}`, 2);
  const chosen = Object.entries(parts).filter(([name]) => flags.args.length === 0 || flags.args.includes(name));
  // The relay says at SIGTERM what has passed.
  if (Deno.build.os === "windows") throw new Failure("programs are stopped by SIGTERM, which Windows does not have", 3);
  if (chosen.some(([name]) => name !== "windows")) { // that part is in a lab sheet, and wants no load
    if (Deno.build.os !== "linux") throw new Failure("the load program uses epoll, which only Linux has", 3);
    if (!await has("cc", "--version")) {
      throw new Failure("the load is a C program: install gcc (apt-get install gcc)", 3);
    }
  }
  onStop(() => stopAll().then(() => Deno.exit(1)));
  const cores = await has("taskset", "-V") && navigator.hardwareConcurrency > 1;
  const pin = (core: number, argv: string[]) => cores ? ["taskset", "-c", `${core}`, ...argv] : argv;
  for (const [, bench] of chosen) {
    const folder = await Deno.makeTempDir();
    try {
      await bench({ ...flags, pin, folder });
    } finally {
      await stopAll();
      await Deno.remove(folder, { recursive: true });
    }
  }
});
