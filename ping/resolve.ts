import { lookup } from "node:dns/promises";
import { Failure, printable } from "../cli.ts";
import type { Version } from "./icmp.ts";
import { parseAddress } from "./socket.ts";

/**
 * The bytes of a host's address: of one written in numbers, or of a name, by the system's resolver.
 *
 * @throws {Failure} when the name has no address of this version.
 */
export async function resolve(host: string, version: Version): Promise<{ version: Version; bytes: Uint8Array }> {
  const written = parseAddress(host);
  if (written) return written;
  const none = new Failure(`no IPv${version} address found for ${printable(host)}: check the name`);
  try {
    const found = parseAddress((await lookup(host, { family: version })).address);
    if (found) return found;
  } catch (error) {
    const denied = error instanceof Error && "code" in error && error.code === "EPERM";
    if (denied) throw new Failure(`no permission to look up ${printable(host)}: add -N=${printable(host)} to deno run`);
  }
  throw none;
}
