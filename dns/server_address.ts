import { Failure, parseHost, printable } from "../cli.ts";

/**
 * A server as it is given to an option: `HOST` or `HOST:PORT`, port 53 if there is none; IPv6 with or without brackets.
 *
 * @throws {Failure} with code 2 when it is of another form.
 */
export function parseServer(option: string, server: string): Deno.NetAddr {
  const six = /^(?:\[([\da-f:.]+)\](?::(\d+))?|([\da-f:.]*:[\da-f:.]*:[\da-f:.]*))$/i.exec(server);
  const four = /^([^:\[\]]+)(?::(\d+))?$/.exec(server);
  const hostname = six?.[1] ?? six?.[3] ?? four?.[1];
  const port = Number(six?.[2] ?? four?.[2] ?? 53);
  try {
    if (hostname !== undefined && port >= 1 && port <= 65535) {
      return { transport: "udp", hostname: parseHost(hostname), port };
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw new Failure(`${option} wants HOST[:PORT], not ${printable(server)}`, 2);
}
