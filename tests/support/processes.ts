/**
 * Finds what a program under check has left behind, and the ports on which it listens. On Linux, and with `lsof` and `ps` on
 * macOS; elsewhere nothing is found.
 *
 * @module
 */
import { formatAddress } from "../../cli.ts";
import { printAddress } from "../../tcp/_address.ts";
import { output } from "./program.ts";

/** What a shell prints. Windows has none, and nothing is found there. */
const shell = (script: string) => Deno.build.os === "windows" ? "" : output("sh", "-c", script);

/** The processes that were started with `mark` in their environment, and their children, even those that are daemons. */
export async function marked(mark: string): Promise<number[]> {
  const found = Deno.build.os === "linux"
    ? await shell(`grep -lsF -- '${mark}' /proc/[0-9]*/environ`)
    : await shell(`ps -axEww -o pid=,command= | grep -F -- '${mark}' | grep -v grep`);
  const pids = found.split("\n").map((line) => Number(/(\d+)/.exec(line)?.[1] ?? 0));
  return pids.filter((pid) => pid > 0 && pid !== Deno.pid);
}

/** Ends the marked processes. Returns how many there were. */
export async function endMarked(mark: string): Promise<number> {
  let ended = 0;
  for (let round = 0; round < 5; round++) { // a process may start another one while it is ended
    const pids = await marked(mark);
    if (pids.length === 0) break;
    ended = Math.max(ended, pids.length);
    for (const pid of pids) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) throw error;
      }
    }
    await new Promise((again) => setTimeout(again, 20));
  }
  return ended;
}

/** The addresses on which the marked processes listen, such as `0.0.0.0:7007`. */
export async function listeningAddresses(mark: string, over: "tcp" | "udp"): Promise<string[]> {
  const pids = await marked(mark);
  if (pids.length === 0) return [];
  if (Deno.build.os !== "linux") {
    const which = over === "tcp" ? "-iTCP -sTCP:LISTEN" : "-iUDP";
    const found = await shell(`lsof -nP -a -p ${pids.join(",")} ${which} -Fn`);
    return [...found.matchAll(/^n(.+)$/gm)].map(([, name = ""]) => name);
  }
  const files = await shell(pids.map((pid) => `ls -l /proc/${pid}/fd`).join("; "));
  const inodes = new Set([...files.matchAll(/socket:\[(\d+)\]/g)].map(([, inode]) => inode));
  const tables = await shell(`cat /proc/net/${over} /proc/net/${over}6`);
  return tables.split("\n").flatMap((line) => {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    const [address = "", port = ""] = local.split(":");
    if (!inodes.has(inode) || state !== (over === "tcp" ? "0A" : "07")) return [];
    return [formatAddress({ hostname: addressOf(address), port: parseInt(port, 16) })];
  });
}

/** An address as Linux writes it in /proc/net: words of four bytes, each with its lowest byte first. */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).map((byte) => parseInt(byte, 16)).reverse()
  );
  return printAddress(Uint8Array.from(bytes));
}

/** Whether another program already uses a port of 127.0.0.1, or the system keeps it, as Windows does with some. */
export function portInUse(port: number, over: "tcp" | "udp" | "both"): boolean {
  try {
    if (over !== "udp") Deno.listen({ hostname: "127.0.0.1", port }).close();
    if (over !== "tcp") Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port }).close();
    return false;
  } catch (error) {
    const reserved = error instanceof Deno.errors.PermissionDenied && port >= 1024;
    if (error instanceof Deno.errors.AddrInUse || reserved) return true;
    throw error;
  }
}
