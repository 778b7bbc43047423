import { Failure, parseHost, printable } from "../cli.ts";
import { parseAddress, printAddress } from "../tcp/_address.ts";

// A name or an IPv4 address with an optional port, an IPv6 address in brackets with one, and an IPv6 address alone.
const forms = [
  /^(?<hostname>[^:\[\]]+)(?::(?<port>\d+))?$/,
  /^\[(?<hostname>[\da-f:.]+)\](?::(?<port>\d+))?$/i,
  /^(?<hostname>[\da-f:.]*:[\da-f:.]*:[\da-f:.]*)$/i,
];

/**
 * Parses the value of an option that names a server: `HOST` or `HOST:PORT`; the default port is 53. An IPv6 address needs
 * brackets only before a port.
 *
 * @throws {Failure} with code 2 when it has another form.
 */
export function parseServer(option: string, server: string): Deno.NetAddr {
  const { hostname, port: digits = "53" } = forms.map((form) => form.exec(server)).find((match) => match)?.groups ?? {};
  const port = Number(digits);
  try {
    if (hostname !== undefined && port >= 1 && port <= 65535) {
      return { transport: "udp", hostname: parseHost(hostname), port };
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw new Failure(`${option} needs HOST[:PORT], not ${printable(server)}`, 2);
}

/** The server by its address: a response comes from there, whatever the name of the server is. @throws {Failure} */
export async function resolveServer(server: Deno.NetAddr): Promise<Deno.NetAddr> {
  return { ...server, hostname: canonicalAddress(server.hostname) ?? await lookUp(server.hostname) };
}

/** Whether two addresses are the same host and port, however they are written. */
export function isSameAddress(one: Deno.NetAddr, other: Deno.NetAddr): boolean {
  return one.port === other.port && canonicalAddress(one.hostname) === canonicalAddress(other.hostname);
}

function canonicalAddress(text: string): string | undefined {
  const bytes = parseAddress(text);
  return bytes && printAddress(bytes);
}

/** The address of a name, from the system's resolver. */
async function lookUp(name: string): Promise<string> {
  // Only a server that is given by its name needs this module.
  const { lookup } = await import("node:dns/promises");
  try {
    const found = await lookup(name, { all: true });
    const [first] = found.toSorted((a, b) => a.family - b.family);
    if (first) return first.address;
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    const flag = `-N=${printable(name)}`;
    // Deno reports a missing permission under this code. The others are ENOTFOUND, EAI_AGAIN and the like.
    if (error.code === "EPERM") {
      throw new Failure(`no permission to look up ${printable(name)}: add ${flag}`, 2, flag);
    }
  }
  throw new Failure(`no address found for ${printable(name)}: check the name`);
}
