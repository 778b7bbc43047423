/**
 * The part of `deno task bench` about SMTP: the mail sink beside aiosmtpd and postfix's smtp-sink, with postfix's smtp-source as
 * the load: mails of 4 KiB on 20 connections at a time, each connection with many mails.
 *
 * @module
 */
import { Failure } from "../cli.ts";
import type { Tools } from "./bench_dns.ts";
import { type Contender, started } from "./bench_web.ts";
import { memory } from "./helpers.ts";
import { has, Program } from "./program.ts";

const connections = 20;

/** Measures and prints; `folder` is for what is made for it. */
export async function benchSmtp(folder: string, tools: Tools): Promise<void> {
  const find = async (name: string) => {
    for (const path of [name, `/usr/sbin/${name}`]) if (await has("sh", "-c", `command -v ${path}`)) return path;
    return "";
  };
  const source = await find("smtp-source");
  if (!source) throw new Failure("the load is smtp-source: install it (apt-get install postfix)", 3);
  await Deno.chmod(folder, 0o755); // smtp-sink runs as nobody
  const start = (name: string, command: (port: number) => string[]) => started(tools, name, {}, command);
  const ours = (...args: string[]) => (port: number) => [
    ...[Deno.execPath(), "run", "-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, "smtp/server.ts", "--quiet"],
    ...["--port", `${port}`, ...args],
  ];
  const aiosmtpd = await has("/usr/bin/aiosmtpd", "--version");
  const other =
    (...args: string[]) => (port: number) => ["/usr/bin/aiosmtpd", "-n", "-l", `127.0.0.1:${port}`, ...args];

  const measure = async (title: string, all: Contender[]) => {
    const rates = all.map((): number[] => []);
    // As many mails as take each of them about the same time, and that one is known after the first round.
    const mails = all.map(() => 400);
    for (let round = 0; round <= tools.rounds; round++) {
      for (const [i, { name, port }] of all.entries()) {
        const count = mails[i] ?? 400;
        const options = [
          "-s",
          `${connections}`,
          "-m",
          `${count}`,
          "-l",
          "4096",
          "-d",
          "-f",
          "a@example.com",
          "-t",
          "b@example.com",
        ];
        const before = performance.now();
        const load = new Program(tools.pin(1, [source, ...options, `127.0.0.1:${port}`]));
        if (!(await load.end(120)).success) throw new Failure(`${name}: ${load.tail()}`);
        const rate = count / (performance.now() - before) * 1000;
        mails[i] = Math.max(400, Math.round(rate * tools.time));
        if (round > 0) rates[i]?.push(rate);
      }
    }
    const first = tools.median(rates[0] ?? []);
    const rows: string[][] = [];
    for (const [i, { name, program }] of all.entries()) {
      const rate = tools.median(rates[i] ?? []);
      rows.push([name, `${Math.round(rate)}`, (first / rate).toFixed(2), (await memory(program.pid)).toFixed(0)]);
    }
    tools.table(title, ["", "mails/s", "ours / it", "MiB"], rows);
    for (const { program } of all) await program.stop();
  };

  const looking = [await start("socketlab server", ours())];
  if (aiosmtpd) looking.push(await start("aiosmtpd", other("-c", "aiosmtpd.handlers.Sink")));
  const sink = await find("smtp-sink");
  if (sink) {
    const as = Deno.uid() === 0 ? ["-u", "nobody"] : [];
    looking.push(await start("postfix smtp-sink", (port) => [sink, ...as, `127.0.0.1:${port}`, "200"]));
  }
  await measure(`SMTP, 4 KiB, ${connections} connections, not kept`, looking);
  const keeping = [await start("socketlab server, Maildir", ours("--maildir", `${folder}/ours`))];
  if (aiosmtpd) {
    keeping.push(await start("aiosmtpd, Maildir", other("-c", "aiosmtpd.handlers.Mailbox", `${folder}/aiosmtpd`)));
  }
  await measure(`SMTP, 4 KiB, ${connections} connections, kept`, keeping);
}
