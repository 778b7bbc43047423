/**
 * Which servers a proxy may connect to. A proxy that connects to any is a door into the network that it stands in.
 *
 * @module
 */
import { type Address, Failure, formatAddress, printable } from "../cli.ts";
import { parseAddress, printAddress } from "../tcp/_address.ts";
import { ProxyError } from "./_proxy_request.ts";

/** A rule of `--allow`: a host in its normal form, and a port; `undefined` stands for any. */
interface Rule {
  readonly hostname: string;
  readonly port: number | undefined;
}

/** Which servers a proxy may connect to: those that `--allow` names, or else loopback alone; never the proxy itself. */
export class AllowedServers {
  readonly #rules: readonly Rule[];
  /** Where the proxy listens. */
  readonly #own: Address;

  constructor(rules: readonly Rule[], own: Address) {
    this.#rules = rules;
    this.#own = own;
  }

  /**
   * The hosts to connect to for a server of a request, in this order. `hostname` is as `URL` writes it.
   *
   * @throws {ProxyError} 403 when there is none.
   */
  hostsOf({ hostname, port }: Address): string[] {
    const hosts = addressesOf(hostname);
    const allowed = hosts.filter((host) =>
      !isUnspecified(host) &&
      (this.#rules.length === 0
        ? isLoopback(host)
        : this.#rules.some((rule) => (rule.port ?? port) === port && addressesOf(rule.hostname).includes(host)))
    );
    if (allowed.length === 0) {
      const names = this.#rules.length === 0 ? "localhost and the addresses of loopback" : "what --allow names";
      throw refused(
        "http_request_denied",
        `${printable(hostname)}:${port} is not allowed: this proxy connects to ${names}`,
      );
    }
    const others = allowed.filter((host) => !(port === this.#own.port && isLoopback(host)));
    if (others.length === 0) throw refused("destination_ip_prohibited", "that is the proxy itself");
    return others;
  }

  /**
   * Checks where a connection has come out, before anything is sent on it. A name may lead anywhere, and another place each
   * time that it is asked for: to this machine, although its page comes from elsewhere (DNS rebinding), or to the proxy.
   *
   * @throws {ProxyError} 403
   */
  check(host: string, local: Deno.Addr, remote: Deno.Addr): void {
    if (local.transport !== "tcp" || remote.transport !== "tcp") return;
    const [from, to] = [normal(local.hostname), normal(remote.hostname)];
    if (parseAddress(host) === undefined && (isLoopback(to) || isUnspecified(to))) {
      throw refused("destination_ip_prohibited", `${printable(host)} is a name of this machine: use localhost`);
    }
    // A connection from an address to itself does not leave the machine, whatever address that is.
    if (remote.port === this.#own.port && (isLoopback(to) || from === to)) {
      throw refused("destination_ip_prohibited", "that is the proxy itself");
    }
  }
}

const refused = (type: string, why: string) => new ProxyError(403, type, why);

/** A host in its normal form: an IPv4 address that is written as IPv6 is the IPv4 address (RFC 4291 §2.5.5.2). */
function normal(host: string): string {
  const bytes = parseAddress(host.replace(/^\[(.*)\]$/, "$1"));
  if (!bytes) return host.toLowerCase();
  const isMapped = bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255;
  return printAddress(isMapped ? bytes.subarray(12) : bytes);
}

/** The addresses that a host stands for without a resolver: those of localhost (RFC 6761 §6.3); any other name is itself. */
function addressesOf(hostname: string): string[] {
  const host = normal(hostname);
  return /^(.+\.)?localhost$/.test(host) ? ["127.0.0.1", "::1"] : [host];
}

const isLoopback = (host: string) => host === "::1" || /^127(\.\d+){3}$/.test(host);

/** The address that stands for any, and which Linux connects to this machine: 0.0.0.0 or ::. */
const isUnspecified = (host: string) => /^0(\.\d+){3}$/.test(host) || host === "::";

/** Parses `HOST:PORT`, where PORT may be `*`. @throws {Failure} with code 2 on another form. */
export function parseRule(text: string): Rule {
  const [, host = "", digits = ""] = /^(.+):(\d+|\*)$/.exec(text) ?? [];
  const hostname = URL.parse(`http://${host}/`)?.hostname;
  const port = digits === "*" ? undefined : Number(digits);
  if (hostname === undefined || /[/?#@\\\s]/.test(host) || port === 0 || (port ?? 0) > 65_535) {
    throw new Failure(`--allow needs HOST:PORT, or HOST:* for every port, not ${printable(text)}`, 2);
  }
  return { hostname: hostname.replace(/\.$/, ""), port };
}

/** Checks that this process may connect to what a rule names. @throws {Failure} with code 2 and the permission that is missing. */
export async function checkRule({ hostname, port }: Rule): Promise<void> {
  const host = addressesOf(hostname)[0] ?? hostname;
  const at = port === undefined ? (host.includes(":") ? `[${host}]` : host) : formatAddress({ hostname: host, port });
  const { state } = await Deno.permissions.query({ name: "net", host: at });
  if (state !== "granted") throw new Failure(`no permission to use ${at}: add -N=${at}`, 2, `-N=${at}`);
}
