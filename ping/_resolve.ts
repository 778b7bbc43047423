import { lookup } from "node:dns/promises";
import { Failure, printable } from "../cli.ts";
import { parseAddress } from "../tcp/_address.ts";
import type { IpVersion } from "./_icmp.ts";

/**
 * Returns the bytes of a host's address and its version. The system's resolver looks up a name.
 *
 * @throws {Failure} when the name has no address of this version.
 */
export async function resolve(host: string, version: IpVersion): Promise<{ version: IpVersion; bytes: Uint8Array }> {
  const bytes = parseAddress(host) ?? parseAddress(await lookUp(host, version));
  if (!bytes) throw new Failure(`no IPv${version} address found for ${printable(host)}: check the name`);
  return { version: bytes.length === 4 ? 4 : 6, bytes };
}

/** The first address of a name; "" when it has none. */
async function lookUp(name: string, version: IpVersion): Promise<string> {
  try {
    return (await lookup(name, { family: version })).address;
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    if (error.code !== "EPERM") return ""; // ENOTFOUND, EAI_AGAIN and others of getaddrinfo
    const flag = `-N=${printable(name)}`; // Deno reports a missing permission under this code
    throw new Failure(`no permission to look up ${printable(name)}: add ${flag}`, 2, flag);
  }
}
