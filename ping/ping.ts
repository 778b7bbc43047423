/**
 * Runs the system's `ping`, shows each reply as it arrives, and ends with statistics and a plot.
 *
 * Sending ICMP requires a privilege that most users lack; the system's `ping` has it. So this script runs it
 * (`Deno.Command`) and parses its output. Look at `pingArguments`: the four `ping` programs take different options.
 * `icmp_ping.ts` sends its own requests.
 *
 * This terminal: `deno run --allow-run=ping ping/ping.ts`, which pings 127.0.0.1, or the same with a host at the end. No
 * other: the kernel of the host answers. Task: `deno task ping`. RFC 792 (ICMP echo). API: Deno.Command.
 *
 * @module
 */
import { Failure, flag, integer, onStop, printable, run, seconds } from "../cli.ts";
import { hostArgument } from "./_host.ts";
import { createLineParser } from "./_ping_output.ts";
import { plot, statistics, summary } from "./_statistics.ts";

/** Reads the lines of a running `ping`, and prints each that says something about a request. Returns the times in ms. */
async function readTimes(
  child: Deno.ChildProcess,
  { os, isBusybox }: System,
  print: (line: string) => void,
): Promise<(number | undefined)[]> {
  const parse = createLineParser(os === "windows");
  const first = os === "linux" && !isBusybox ? 1 : 0; // iputils counts from 1, the others from 0
  const times: (number | undefined)[] = [];
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop() ?? ""; // a line can arrive in two parts
    for (const line of lines) {
      const parsed = parse(line);
      if (parsed.kind === "other") continue;
      print(printable(line));
      if (parsed.kind === "reply" && parsed.duplicate) continue;
      const i = parsed.sequence === undefined ? times.length : parsed.sequence - first;
      if (parsed.kind === "reply") times[i] = parsed.time;
      else if (i >= times.length) times[i] = undefined;
    }
  }
  return times;
}

/** The options of this system's `ping`. */
function pingArguments({ os, isBusybox }: System, settings: Settings, host: string): string[] {
  const { count, interval, timeout, size, ipv6 } = settings;
  const wholeSeconds = (time: number) => `${Math.max(1, Math.ceil(time))}`;
  const milliseconds = (time: number) => `${Math.max(1, time * 1000)}`;
  if (os === "windows") {
    // It sends one request per second; no option changes that.
    return [ipv6 ? "-6" : "-4", "-n", `${count}`, "-w", milliseconds(timeout), "-l", `${size}`, host];
  }
  const common = ["-c", `${count}`, "-s", `${size}`];
  if (os === "darwin") {
    // IPv6 has a program of its own there, ping6, without -W.
    const wait = ipv6 ? [] : ["-W", milliseconds(timeout)];
    return [...common, "-n", "-i", `${interval}`, ...wait, "--", host];
  }
  const family = ipv6 ? "-6" : "-4";
  if (isBusybox) return [family, ...common, "-i", wholeSeconds(interval), "-W", wholeSeconds(timeout), "--", host];
  return [family, ...common, "-n", "-O", "-i", `${interval}`, "-W", `${timeout}`, "--", host];
}

interface System {
  readonly os: typeof Deno.build.os;
  /** iputils and busybox are both called `ping`, but take different options. */
  readonly isBusybox: boolean;
}

interface Settings {
  readonly count: number;
  readonly interval: number;
  readonly timeout: number;
  readonly size: number;
  readonly ipv6: boolean;
}

const command = {
  name: "ping",
  about: "Measures the round-trip time to a host with the system's ping: each reply, then statistics and a plot.",
  run: "deno run --allow-run=ping ping/ping.ts",
  args: "[HOST]",
  examples: [
    "deno task ping 127.0.0.1",
    "deno task ping --count 10 --json example.com",
  ],
  options: {
    "count": integer(4, "echo requests to send", 1, 10_000),
    "interval": seconds(1, "time between two requests; below 0.2 only for root"),
    "timeout": seconds(1, "how long to wait for each reply", false),
    "size": integer(56, "bytes of payload", 0, 65_507, "BYTES"),
    "ipv6": flag("use IPv6"),
    "json": flag("print one JSON object instead"),
  },
};

await run(command, async (flags) => {
  const host = hostArgument(flags.args, flags.ipv6);
  const { os } = Deno.build;
  const system: System = { os, isBusybox: os === "linux" && await hasBusyboxPing() };
  const child = start(os === "darwin" && flags.ipv6 ? "ping6" : "ping", pingArguments(system, flags, host));
  let stopped = false;
  onStop(() => {
    stopped = true;
    child.kill("SIGINT"); // a terminal sends Ctrl-C to the child, too; `kill` signals only this process
  });

  const errors = new Response(child.stderr).text();
  const times = await readTimes(child, system, (line) => flags.json || console.log(line));
  const { code } = await child.status;
  const problem = ((await errors).trim().split("\n").at(-1) ?? "").replace(/^\S*ping6?: /, "");
  // Requests lost after the last reply print no line, but they were sent, unless the user stopped the run.
  const sent = stopped ? times.length : times.length === 0 && problem ? 0 : flags.count;
  if (sent === 0) {
    // `ping` has one exit code for all of its errors, so only its words tell (LC_ALL=C: in English).
    const exitCode = /not permitted|permission denied/i.test(problem) ? 3 : 1;
    throw new Failure(printable(problem) || `the system's ping ended with exit code ${code}`, exitCode);
  }
  const all = Array.from({ length: sent }, (_, i) => times[i]);
  const figures = statistics(all);
  if (flags.json) console.log(JSON.stringify({ host, times: all.map((time) => time ?? null), ...figures }));
  else console.log(`\n${host}: ${summary(figures)}\n${plot(all)}`);
  if (figures.received === 0) Deno.exitCode = 1;
});

function start(program: string, args: string[]): Deno.ChildProcess {
  try {
    return new Deno.Command(program, { args, env: { LC_ALL: "C" }, stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new Failure("this user may not run the system's ping (it needs CAP_NET_RAW): run it as root", 3);
    }
    if (error instanceof Deno.errors.NotCapable) {
      throw new Failure(`no permission to run ${program}: add --allow-run=${program}`, 2, `--allow-run=${program}`);
    }
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Failure("no ping program here; on Debian: apt-get install iputils-ping", 3);
  }
}

async function hasBusyboxPing(): Promise<boolean> {
  const child = start("ping", ["-V"]);
  const output = [child.stderr, child.stdout].map((stream) => new Response(stream).text());
  const [version = ""] = await Promise.all(output);
  await child.status;
  return /busybox/i.test(version);
}
