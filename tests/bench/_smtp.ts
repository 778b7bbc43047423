/**
 * The part of `deno task bench` about SMTP: the server, aiosmtpd and postfix's smtp-sink, with postfix's smtp-source as the
 * load: mails of 4 KiB on 20 connections, many mails on each. With TLS the load is Python's smtplib.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { certificate } from "../support/helpers.ts";
import { has, Program } from "../support/program.ts";
import { root } from "../support/tasks.ts";
import { cpu, rate, report } from "./_report.ts";
import { type Contender, cpuPerMessage, measureInTurns, startServer, type Tools } from "./_tools.ts";

const CONNECTIONS = 20;

export async function benchSmtp(tools: Tools): Promise<void> {
  const { folder } = tools;
  const source = await find("smtp-source");
  if (!source) throw new Failure("the load is smtp-source: install it (apt-get install postfix)", 3);
  await Deno.chmod(folder, 0o755); // smtp-sink runs as nobody
  const ours = (...args: string[]) => (port: number) => [
    ...[Deno.execPath(), "run", "-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, "smtp/server.ts", "--quiet"],
    ...["--port", `${port}`, ...args],
  ];
  const hasAiosmtpd = await has("/usr/bin/aiosmtpd", "--version");
  const aiosmtpd =
    (...args: string[]) => (port: number) => ["/usr/bin/aiosmtpd", "-n", "-l", `127.0.0.1:${port}`, ...args];

  const discarding = [await startServer(tools, "socketlab server", ours())];
  if (hasAiosmtpd) {
    discarding.push(await startServer(tools, "aiosmtpd", aiosmtpd("-c", "aiosmtpd.handlers.Sink")));
  }
  const sink = await find("smtp-sink");
  if (sink) {
    const user = Deno.uid() === 0 ? ["-u", "nobody"] : [];
    const start = (port: number) => [sink, ...user, `127.0.0.1:${port}`, "200"];
    discarding.push(await startServer(tools, "postfix smtp-sink", start));
  }
  await measure(`SMTP, 4 KiB, ${CONNECTIONS} connections, mails discarded`, discarding, source, tools);

  const storing = [await startServer(tools, "socketlab server, Maildir", ours("--maildir", `${folder}/ours`))];
  if (hasAiosmtpd) {
    const start = aiosmtpd("-c", "aiosmtpd.handlers.Mailbox", `${folder}/aiosmtpd`);
    storing.push(await startServer(tools, "aiosmtpd, Maildir", start));
  }
  await measure(`SMTP, 4 KiB, ${CONNECTIONS} connections, mails stored`, storing, source, tools);

  if (!await has("python3", "--version")) return;
  const { cert, key } = await certificate(folder);
  const secure = [await startServer(tools, "socketlab server, TLS", ours("--cert", cert, "--key", key))];
  if (hasAiosmtpd) {
    const start = aiosmtpd("-c", "aiosmtpd.handlers.Sink", "--tlscert", cert, "--tlskey", key);
    secure.push(await startServer(tools, "aiosmtpd, TLS", start));
  }
  await measureTls(secure, tools);
}

async function measure(title: string, contenders: Contender[], source: string, tools: Tools): Promise<void> {
  // smtp-source sends a number of mails, not for a time: the number follows from the rate of the round before.
  const mails = contenders.map(() => 400);
  const measured = await measureInTurns(tools.rounds, contenders, async (server, i) => {
    const number = mails[i] ?? 400;
    const options = ["-s", `${CONNECTIONS}`, "-m", `${number}`, "-l", "4096", "-d"];
    const envelope = ["-f", "a@example.com", "-t", "b@example.com"];
    let perSecond = NaN;
    const each = await cpuPerMessage(server, async () => {
      const before = performance.now();
      const load = new Program(tools.pin(1, [source, ...options, ...envelope, `127.0.0.1:${server.port}`]));
      if (!(await load.end(120)).success) throw new Failure(`${server.name}: ${load.tail()}`);
      perSecond = number / (performance.now() - before) * 1000;
      return number;
    });
    mails[i] = Math.max(400, Math.round(perSecond * tools.time));
    return [perSecond, each];
  }, true);
  report(tools, title, [rate("mails/s"), cpu], measured);
  for (const { program } of contenders) await program.stop();
}

/** The same under TLS. smtp-source has none: the load is Python, which needs more of its core than the servers. */
async function measureTls(contenders: Contender[], tools: Tools): Promise<void> {
  const measured = await measureInTurns(tools.rounds, contenders, async (server) => {
    let perSecond = NaN;
    const each = await cpuPerMessage(server, async () => {
      const args = [`${server.port}`, `${CONNECTIONS}`, "4096", `${tools.time}`];
      const load = new Program(tools.pin(1, ["python3", `${root}tests/bench/load_smtp.py`, ...args]));
      if (!(await load.end(tools.time + 60)).success) throw new Failure(`${server.name}: ${load.tail()}`);
      const [mails = NaN, time = NaN] = load.stdout.split(" ").map(Number);
      perSecond = mails / time;
      return mails;
    });
    return [perSecond, each];
  }, true);
  const title = `SMTP with STARTTLS, 4 KiB, ${CONNECTIONS} connections, mails discarded`;
  report(tools, title, [rate("mails/s"), cpu], measured);
  for (const { program } of contenders) await program.stop();
}

/** A program's path: Debian has postfix's in /usr/sbin, which is not on every PATH. */
async function find(name: string): Promise<string> {
  for (const path of [name, `/usr/sbin/${name}`]) if (await has("sh", "-c", `command -v ${path}`)) return path;
  return "";
}
