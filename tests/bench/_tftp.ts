/**
 * The part of `deno task bench` about TFTP: our server, atftpd and dnsmasq, with curl as the load. curl acknowledges each
 * block, so a block costs a round trip: the server's CPU time for a block says more than the speed.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { has, Program } from "../support/program.ts";
import { cpu, rate, report } from "./_report.ts";
import { type Contender, cpuPerMessage, measureInTurns, need, startServer, type Tools } from "./_tools.ts";

const SIZE = 16 << 20;
/** The longest block that fits into an Ethernet frame (RFC 2348). */
const BLOCK = 1468;

export async function benchTftp(tools: Tools): Promise<void> {
  await need("curl");
  const { folder } = tools;
  await Deno.chmod(folder, 0o755); // the others run as nobody
  await Deno.writeFile(`${folder}/file.bin`, new Uint8Array(SIZE).fill(7));
  const script = ["run", "-N=127.0.0.1", `-R=${folder}`, "udp/tftp_server.ts"];
  const ours = (port: number) => [Deno.execPath(), ...script, "--port", `${port}`, folder];
  const all = [await startServer(tools, "socketlab tftp_server", ours, { line: /listening/ })];
  if (await has("sh", "-c", "command -v atftpd")) {
    const options = ["--daemon", "--no-fork", "--bind-address", "127.0.0.1", "--logfile", "/dev/null"];
    all.push(await startUdp(tools, "atftpd", (port) => ["atftpd", ...options, "--port", `${port}`, folder]));
  }
  if (await has("dnsmasq", "--version")) {
    // It has no option for TFTP's port, so it listens on the usual one: only root may.
    const options = ["--no-daemon", "--port=0", "--enable-tftp", `--tftp-root=${folder}`, "--user=root"];
    const address = ["--listen-address=127.0.0.1", "--bind-interfaces", "--log-facility=-"];
    if (Deno.uid() === 0) {
      all.push({ ...await startUdp(tools, "dnsmasq", () => ["dnsmasq", ...options, ...address]), port: 69 });
    }
  }
  const measured = await measureInTurns(tools.rounds, all, async (server) => {
    let perSecond = NaN;
    const each = await cpuPerMessage(server, async () => {
      const options = [
        "-s",
        "-o",
        "/dev/null",
        "--tftp-blksize",
        `${BLOCK}`,
        "-w",
        "%{speed_download} %{size_download}",
      ];
      const url = `tftp://127.0.0.1:${server.port}/file.bin`;
      const curl = new Program(tools.pin(1, ["curl", ...options, url]));
      await curl.end(120);
      const [speed = NaN, size = NaN] = curl.stdout.split(" ").map(Number);
      if (size !== SIZE) throw new Failure(`${server.name} sent ${size} bytes: ${server.program.tail()}`);
      perSecond = speed / BLOCK;
      return SIZE / BLOCK;
    });
    return [perSecond, each];
  }, true);
  const title = `TFTP, a file of ${SIZE >> 20} MiB in blocks of ${BLOCK} bytes, one at a time`;
  report(tools, title, [rate("blocks/s"), cpu], measured);
  for (const { program } of all) await program.stop();
}

/** Starts a server that prints nothing, and accepts no connection either: it has half a second. */
async function startUdp(tools: Tools, name: string, start: (port: number) => string[]): Promise<Contender> {
  const server = await startServer(tools, name, start, { line: /^/ });
  await new Promise((ready) => setTimeout(ready, 500));
  return server;
}
