/**
 * Captures that the scripts write with `--pcap`, as Wireshark sees them.
 *
 * @module
 */
import { assert, assertEquals } from "jsr:@std/assert@1";
import { type Part, planPair } from "../watch/plan.ts";
import { hasLoopbacks } from "./loopbacks.ts";
import { readCapture } from "./pcapng.ts";
import { has, output, Program } from "./program.ts";
import { root } from "./tasks.ts";

const hasTshark = await has("tshark", "--version");

/** How Wireshark is to read a port, such as `udp,dns`, and what it must see there. A lesson without a row is only to be clean. */
const lessons: Record<string, { decode?: string; sees: RegExp }> = {
  "tcp:echo": { sees: /^TCP/ },
  "tcp:syscalls": { sees: /^TCP/ },
  "udp:chat": { sees: /^UDP/ },
  "udp:tftp": { decode: "udp,tftp", sees: /^TFTP Data Packet, Block: 1/ },
  "dns:lookup": { decode: "udp,dns", sees: /^DNS .*response.* A www\.example\.com/i },
  "dns:walk": { decode: "udp,dns", sees: /^DNS .*response/i },
  "http:raw": { decode: "tcp,http", sees: /^HTTP HTTP\/1\.1 200 OK/ },
  "http:files": { decode: "tcp,http", sees: /^HTTP(\/JSON)? HTTP\/1\.1 200 OK/ },
  "http:websocket": { decode: "tcp,http", sees: /^WebSocket WebSocket Text \[FIN\]/ },
  "rest:users": { decode: "tcp,http", sees: /^HTTP(\/JSON)? HTTP\/1\.1 201 Created/ },
  "smtp:send": { decode: "tcp,smtp", sees: /^SMTP C: .*RCPT TO:<alan@example\.com>/ },
  "ping:icmp": { sees: /^ICMP Echo \(ping\) reply .*\(request in 1\)/ },
  "ping:traceroute": { sees: /^ICMP Echo \(ping\) request .*ttl=1/ },
};

/** Asserts that a capture is whole, that tshark complains about nothing in it, and that it sees what it should. */
export async function checkCapture(
  file: string,
  port: number,
  who: string,
  { decode = "", sees }: { decode?: string; sees: RegExp },
) {
  const packets = readCapture(await Deno.readFile(file));
  assert(packets.some(({ data }) => data.length > 0), `${who}: the file has packets`);
  if (!hasTshark) return packets;
  const options = [
    ...decode ? ["-d", `${decode.replace(",", `.port==${port},`)}`] : [],
    ...["ip", "tcp", "udp"].flatMap((name) => ["-o", `${name}.check_checksum:TRUE`]),
    ...["_ws.malformed", "_ws.expert.severity", "tcp.connection.rst", "_ws.col.Protocol", "_ws.col.Info"].flatMap((
      name,
    ) => ["-e", name]),
  ];
  const lines = (await output("tshark", "-n", "-r", file, "-T", "fields", ...options)).trimEnd().split("\n");
  const rows = lines.map((line) => line.split("\t"));
  const info = (row: string[]) => row.slice(3).join(" ");
  for (const row of rows) {
    const [malformed = "", severity = "", reset = ""] = row;
    // A reset is no fault of the file: over TLS a client that has its whole response closes before it
    // has read the server's close_notify, and its kernel answers that with RST, if it comes in time.
    const worst = Math.max(...severity.split(",").map(Number));
    assert(malformed === "" && (worst < 0x600000 || reset !== ""), `${who}: ${info(row)}: severity ${severity}`);
  }
  assert(rows.some((row) => sees.test(info(row))), `${who}:\n${rows.map(info).slice(0, 30).join("\n")}`);
  return packets;
}

/** What the name of a test says of it. */
export const inWireshark = hasTshark ? ", with no word of complaint by tshark" : "";

/** Tests what the programs of a lesson write with `--pcap`. */
export function leavesCleanCapture(name: string): void {
  Deno.test({
    name: `pcap: ${name}: every program of the lesson${inWireshark}`,
    ignore: /syscalls|^ping/.test(name) && Deno.build.os !== "linux" || name === "dns:walk" && !hasLoopbacks,
    async fn() {
      const folder = await Deno.makeTempDir();
      try {
        const { servers, clients } = await planPair(name, "");
        const files: { file: string; side: string }[] = [];
        const begin = ({ command, isTraced, source }: Part): Program => {
          const file = `${folder}/${files.length}.pcapng`;
          if (!isTraced) return new Program(command, { cwd: root });
          const [deno = "", run = "", ...rest] = command;
          const words = rest.flatMap((word) => word === "--trace=json" ? ["--pcap", file] : [word]);
          files.push({ file, side: source.side === "client" ? "the clients" : source.name });
          return new Program([deno, run, `-W=${file}`, ...words], { cwd: root });
        };
        await using running = new AsyncDisposableStack();
        const serving = servers.map((server) => running.use(begin(server)));
        for (const server of serving) await server.line(/listening on /i);
        for (const client of clients) {
          const program = running.use(begin(client));
          const { code } = await program.end(60);
          if (name.startsWith("ping") && code === 3) return; // the right to open an ICMP socket is missing
          assertEquals(code, 0, program.stderr);
        }
        await Promise.all(serving.map((server) => server.end(20)));
        const port = Number(/:(\d+)/.exec(serving[0]?.stdout ?? "")?.[1] ?? 0);
        // A file of this format is a row of sections: those of several clients, one behind the other, are one, too.
        const all = new Map<string, string[]>();
        for (const { side, file } of files) all.set(side, [...all.get(side) ?? [], file]);
        for (const [side, parts] of all) {
          const whole = await Promise.all(parts.map((part) => Deno.readFile(part)));
          await Deno.writeFile(`${folder}/whole`, await new Blob(whole).bytes());
          await checkCapture(`${folder}/whole`, port, `${name}, ${side}`, lessons[name] ?? { sees: /./ });
        }
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
