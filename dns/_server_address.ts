import { Failure, parseHost, printable } from "../cli.ts";

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
