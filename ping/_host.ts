import { Failure, printable } from "../cli.ts";

/**
 * The HOST argument; the default is this machine. It must begin with a letter, a digit or a colon, so that no `ping`
 * program reads it as an option.
 *
 * @throws {Failure} with code 2 when it is neither a name nor an address, or when there are two.
 */
export function hostArgument(args: readonly string[], ipv6: boolean): string {
  const host = args[0] ?? (ipv6 ? "::1" : "127.0.0.1");
  if (args.length > 1) throw new Failure(`give one host, not ${printable(args.join(" "))}`, 2);
  if (/^[\p{L}\d:][\p{L}\d:._%-]*$/u.test(host)) return host;
  throw new Failure(`${printable(host)} is not a host name or address`, 2);
}
