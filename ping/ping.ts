/**
 * Runs the system's `ping`, shows each reply as it comes, and sums up with a plot.
 *
 * A program may not send ICMP without a right that few have; the system's `ping` has it. So this starts it
 * (`Deno.Command`), with the flags that it has on this system, and reads what it prints. Look at `arguments_`: the four
 * programs called `ping` agree on little more than their name. `icmp_ping.ts` does without it.
 *
 * ```sh
 * deno run --allow-run=ping ping/ping.ts 127.0.0.1
 * ```
 *
 * No partner: the kernel of the other machine answers. Task: `deno task ping`.
 *
 * RFC 792 (ICMP echo). API: Deno.Command.
 *
 * @module
 */
import { Failure, onStop, printable, run, seconds, toggle, whole } from "../cli.ts";
import { hostArgument } from "./host.ts";
import { reader } from "./output.ts";
import { plot, statistics, summary } from "./statistics.ts";

const command = {
  name: "ping",
  about: "Measures the way to a host with the system's ping: each reply, then statistics and a plot.",
  run: "deno run --allow-run=ping ping/ping.ts",
  args: "[HOST]",
  options: {
    "count": whole(4, "echo requests to send", 1, 10_000),
    "interval": seconds(1, "time between them; below 0.2 only for root"),
    "timeout": seconds(1, "how long to wait for each reply"),
    "size": whole(56, "bytes of payload", 0, 65_507, "BYTES"),
    "ipv6": toggle("use IPv6"),
    "json": toggle("print one JSON object instead"),
  },
};

interface Settings {
  readonly count: number;
  readonly interval: number;
  readonly timeout: number;
  readonly size: number;
  readonly ipv6: boolean;
}

await run(command, async (flags) => {
  const host = hostArgument(flags.args, flags.ipv6);
  const { os } = Deno.build;
  const busybox = os === "linux" && await isBusybox();
  const program = os === "darwin" && flags.ipv6 ? "ping6" : "ping";
  const child = start(program, arguments_(os, busybox, flags, host));
  let stopped = false;
  onStop(() => {
    stopped = true; // Ctrl-C reaches the child by itself where there is a terminal; kill(1) only reaches this process
    child.kill("SIGINT");
  });

  const errors = new Response(child.stderr).text();
  const read = reader(os === "windows");
  const times: (number | undefined)[] = [];
  const first = os === "linux" && !busybox ? 1 : 0;
  let highest = -1;
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const said = read(line);
      if (said.kind === "other") continue;
      if (!flags.json) console.log(printable(line));
      if (said.kind === "reply" && said.duplicate) continue;
      const at = said.sequence === undefined ? times.length : said.sequence - first;
      highest = Math.max(highest, at);
      if (said.kind === "reply") times[at] = said.time;
      else if (at >= times.length) times[at] = undefined;
    }
  }
  const { code } = await child.status;
  const problem = ((await errors).trim().split("\n").at(-1) ?? "").replace(/^\S*ping6?: /, "");
  // Requests after the last reply left no line of their own: they were sent all the same, unless it was stopped.
  const sent = stopped ? highest + 1 : highest < 0 && problem ? 0 : flags.count;
  if (sent === 0) {
    const right = /not permitted|permission denied/i.test(problem) ? 3 : 1;
    throw new Failure(printable(problem) || `the system's ping ended with exit code ${code}`, right);
  }
  const all = Array.from({ length: sent }, (_, i) => times[i]);
  const figures = statistics(all);
  if (flags.json) console.log(JSON.stringify({ host, times: all.map((time) => time ?? null), ...figures }));
  else console.log(`\n${host}: ${summary(figures)}\n${plot(all)}`);
  if (figures.received === 0) Deno.exit(1);
});

function start(program: string, args: string[]): Deno.ChildProcess {
  try {
    return new Deno.Command(program, { args, env: { LC_ALL: "C" }, stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new Failure("this user may not run the system's ping (it wants CAP_NET_RAW): run it as root", 3);
    }
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable)) throw error;
    // With --allow-run=ping a program that does not exist is one that may not be run.
    const how = "on Debian: apt-get install iputils-ping";
    throw new Failure(`no ping program here, or no permission to run it (--allow-run=ping); ${how}`, 3);
  }
}

/** iputils and busybox share a name but not their flags. */
async function isBusybox(): Promise<boolean> {
  const child = start("ping", ["-V"]);
  const [said] = await Promise.all([
    new Response(child.stderr).text(),
    new Response(child.stdout).text(),
    child.status,
  ]);
  return /busybox/i.test(said);
}

function arguments_(os: typeof Deno.build.os, busybox: boolean, settings: Settings, host: string): string[] {
  const { count, interval, timeout, size, ipv6 } = settings;
  const whole = (seconds: number) => `${Math.max(1, Math.ceil(seconds))}`;
  if (os === "windows") {
    // Its interval is a second, and is not to be changed.
    return [ipv6 ? "-6" : "-4", "-n", `${count}`, "-w", `${Math.max(1, timeout * 1000)}`, "-l", `${size}`, host];
  }
  const common = ["-c", `${count}`, "-s", `${size}`];
  if (os === "darwin") {
    // Milliseconds here; and ping6, a program of its own, has no such flag.
    const wait = ipv6 ? [] : ["-W", `${Math.max(1, timeout * 1000)}`];
    return [...common, "-n", "-i", `${interval}`, ...wait, "--", host];
  }
  const family = ipv6 ? "-6" : "-4";
  if (busybox) return [family, ...common, "-i", whole(interval), "-W", whole(timeout), "--", host];
  return [family, ...common, "-n", "-O", "-i", `${interval}`, "-W", `${timeout}`, "--", host];
}
