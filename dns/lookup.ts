/**
 * Looks up names and addresses with the runtime's resolver, which asks the system's DNS server or the one you name.
 *
 * One call does it all: `Deno.resolveDns` builds the query, sends it, checks the response and parses it. `query.ts` does
 * the same step by step, and shows what you cannot see here: who answered, and how long the answer may be cached.
 *
 * First terminal: `deno run -N=127.0.0.1 -R=dns --unstable-net dns/server.ts`. This one:
 * `deno run -N=127.0.0.1 dns/lookup.ts --server 127.0.0.1:5300 www.example.com`. Both: `deno task dns:lookup`.
 * With the system's DNS server: `deno run -N dns/lookup.ts www.example.com`.
 * RFC 1035 §3.2.2 (types), §3.5 (reverse). API: Deno.resolveDns.
 *
 * @module
 */
import { connect, Failure, flag, formatAddress, printable, run, seconds, text } from "../cli.ts";
import { parseAddress } from "../tcp/_address.ts";
import { explain } from "../tcp/_socket_errors.ts";
import { reverseName } from "./_reverse_name.ts";
import { parseServer } from "./_server_address.ts";

const types = ["A", "AAAA", "ANAME", "CAA", "CNAME", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "TXT"] as const;
type Type = typeof types[number];

/** Looks up the records of some types of a name, all at the same time. */
async function lookUp(name: string, wanted: readonly Type[], resolver: Resolver): Promise<Found[]> {
  const answers = await Promise.all(wanted.map((type) => resolve(name, type, resolver)));
  return wanted.flatMap((type, i) => (answers[i] ?? []).map((value) => ({ type, value })));
}

/** The records of one type of a name; none when there are none. @throws {Failure} when the resolver does not answer. */
async function resolve(name: string, type: Type, { server, timeout }: Resolver): Promise<unknown[]> {
  const nameServer = server && { ipAddr: server.hostname, port: server.port };
  const signal = timeout > 0 ? AbortSignal.timeout(timeout * 1000) : undefined;
  try {
    // TypeScript's overloads of `resolveDns` need one literal type. The values are only printed, so any of them will do.
    return await Deno.resolveDns(name, type as "TXT", { nameServer, signal });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw explainLookup(error, name, { server, timeout });
  }
}

/** Why there are no such records. `resolveDns` reports NXDOMAIN and NODATA the same way. */
async function explainMissing(
  name: string,
  shown: string,
  wanted: readonly Type[],
  resolver: Resolver,
): Promise<string> {
  // If the name has records of another type, it exists. Otherwise nothing is known: only names below it may exist.
  const others = await lookUp(name, types.filter((type) => !wanted.includes(type)), resolver);
  if (others.length > 0) return `${printable(shown)} has no records of type ${wanted.join(" or ")}`;
  const what = wanted.every((type) => type === "A" || type === "AAAA") ? "address" : `${wanted.join(" or ")} record`;
  return `no ${what} found for ${printable(shown)}`;
}

/** Whom to ask, and for how many seconds. Without a server it is the system's. */
interface Resolver {
  readonly server: Deno.NetAddr | undefined;
  readonly timeout: number;
}

/** A record that was found. */
interface Found {
  readonly type: Type;
  readonly value: unknown;
}

const command = {
  name: "lookup",
  about:
    "Looks up names with the runtime's resolver. Without --type: the IPv4 and IPv6 addresses of a name, or the name of an address.",
  run: "deno run -N=127.0.0.1 dns/lookup.ts",
  args: "NAME ...",
  examples: [
    "deno task dns-lookup --server 127.0.0.1:5300 www.example.com",
    "deno task dns-lookup --server 127.0.0.1:5300 --type MX example.com",
  ],
  options: {
    "type": text("", `types, separated by commas: ${types.join(", ")}`, "TYPE,..."),
    "server": text("", "the server to ask, instead of the system's", "ADDRESS[:PORT]"),
    "wait": seconds(0, "keep trying to reach --server for this long"),
    "timeout": seconds(5, "how long to wait for each answer; 0: no limit"),
    "json": flag("print JSON"),
  },
};

await run(command, async (flags) => {
  if (flags.args.length === 0) throw new Failure("give a name to look up, for example www.example.com", 2);
  const wanted = flags.type === "" ? undefined : flags.type.toUpperCase().split(",").map(parseType);
  const server = flags.server === "" ? undefined : parseAddressOfServer(flags.server);
  const resolver = { server, timeout: flags.timeout };
  if (server && flags.wait > 0) await waitFor(server, flags);

  const found: ({ name: string } & Found)[] = [];
  const missing: string[] = [];
  for (const shown of flags.args) {
    const reverse = reverseName(shown);
    const name = reverse ?? shown;
    const asked = wanted ?? (reverse ? ["PTR"] as const : ["A", "AAAA"] as const);
    const records = await lookUp(name, asked, resolver);
    found.push(...records.map((record) => ({ name: shown, ...record })));
    if (records.length === 0) missing.push(await explainMissing(name, shown, asked, resolver));
  }

  if (flags.json) console.log(JSON.stringify(found, null, 2));
  else printRecords(found);
  if (missing.length > 0) throw new Failure(missing.join("; "));
});

/** Waits until a server listens. A missing one is noticed over TCP, and every DNS server supports TCP (RFC 7766). */
async function waitFor(server: Deno.NetAddr, { wait, timeout }: { wait: number; timeout: number }): Promise<void> {
  try {
    (await connect({ host: server.hostname, port: server.port, wait, timeout }, Deno.connect)).close();
  } catch (error) {
    throw explain(error, server);
  }
}

/** What went wrong when the runtime's resolver was asked. */
function explainLookup(error: unknown, name: string, { server, timeout }: Resolver): unknown {
  if (error instanceof Deno.errors.NotCapable) {
    if (server) return explain(error, server);
    return new Failure("no --server, and no permission to ask the system's resolver: add -N", 2, "-N");
  }
  const at = server ? formatAddress(server) : "the system's resolver";
  const message = error instanceof Error ? `${error.name} ${error.message}` : "";
  if (/time|abort/i.test(message)) return new Failure(`no answer from ${at} in ${timeout} s`);
  if (/\blabel\b/i.test(message)) {
    const why = "the runtime's resolver does not accept the name";
    return new Failure(`${why} ${printable(name)}; query.ts can ask for any name`, 2);
  }
  return new Failure(`the lookup at ${at} failed: ${printable(message)}`);
}

function parseAddressOfServer(option: string): Deno.NetAddr {
  const server = parseServer("--server", option);
  if (parseAddress(server.hostname) !== undefined) return server;
  throw new Failure("--server needs an IP address: the runtime's resolver does not accept a host name there", 2);
}

function parseType(word: string): Type {
  const type = types.find((type) => type === word);
  if (type) return type;
  throw new Failure(`--type needs one of ${types.join(", ")}, not ${printable(word)}`, 2);
}

function printRecords(records: readonly ({ name: string } & Found)[]): void {
  const width = Math.max(...records.map(({ name }) => name.length), 0);
  for (const { name, type, value } of records) {
    console.log(`${printable(name).padEnd(width)}  ${type.padEnd(5)}  ${formatValue(value)}`);
  }
}

/** A record's data on one line: text as it is, several fields one after the other. */
function formatValue(value: unknown): string {
  if (Array.isArray(value)) return value.map((part) => JSON.stringify(part)).map(printable).join(" ");
  if (value !== null && typeof value === "object") {
    return Object.values(value).map((part) => printable(String(part))).join(" ");
  }
  return printable(String(value));
}
