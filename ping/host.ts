import { Failure, printable } from "../cli.ts";

/**
 * The host to ping: the one argument, or this machine itself. What begins with a letter, a digit or a colon is taken for a
 * flag by no program on any system.
 *
 * @throws {Failure} with code 2 when it is not the form of a name or an address, or there are two.
 */
export function hostArgument(args: readonly string[], ipv6: boolean): string {
  const host = args[0] ?? (ipv6 ? "::1" : "127.0.0.1");
  if (args.length > 1) throw new Failure(`one host at a time, not ${printable(args.join(" "))}`, 2);
  if (/^[\p{L}\d:][\p{L}\d:._%-]*$/u.test(host)) return host;
  throw new Failure(`${printable(host)} is not a host name or address`, 2);
}
