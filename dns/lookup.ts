/**
 * Looks up names and addresses with the system's resolver, or with a server that is named.
 *
 * Look at how little there is to it: `Deno.resolveDns` builds the query, sends it, checks the answer and takes it apart.
 * `query.ts` does all that by hand, and shows what this one cannot: where an answer comes from, and how long it will last.
 *
 * ```sh
 * deno run -N dns/lookup.ts www.example.com
 * deno run -N=127.0.0.1:5300 dns/lookup.ts --server 127.0.0.1:5300 --type MX,TXT example.com
 * ```
 *
 * Start `deno run -N=127.0.0.1 -R=dns --unstable-net dns/server.ts` first for the second. Both: `deno task dns:lookup`.
 *
 * RFC 1035 §3.2.2 (types), §3.5 (reverse). API: Deno.resolveDns.
 *
 * @module
 */
import { explain, Failure, place, printable, reach, run, seconds, text, toggle } from "../cli.ts";
import { parseAddress, reverseName } from "./address.ts";
import { parseServer } from "./server_address.ts";

const types = ["A", "AAAA", "ANAME", "CAA", "CNAME", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "TXT"] as const;
type Type = typeof types[number];

const command = {
  name: "lookup",
  about: "Looks up a name, or an address in reverse. Without --type: the IPv4 and IPv6 addresses.",
  run: "deno run -N dns/lookup.ts",
  args: "NAME ...",
  options: {
    "type": text("", `types, with commas between: ${types.join(", ")}`, "TYPE,..."),
    "server": text("", "the server to ask, instead of the system's", "HOST[:PORT]"),
    "wait": seconds(0, "keep trying to reach --server for this long"),
    "timeout": seconds(5, "how long one question may take"),
    "json": toggle("print JSON"),
  },
};

await run(command, async (flags) => {
  if (flags.args.length === 0) throw new Failure("which name?", 2);
  const wanted = flags.type === "" ? undefined : flags.type.toUpperCase().split(",").map(parseType);
  const server = flags.server === "" ? undefined : parseServer("--server", flags.server);
  if (server && parseAddress(server.hostname) === undefined) {
    throw new Failure("--server wants an address here, for the runtime's resolver takes no name", 2);
  }
  const options = server && { nameServer: { ipAddr: server.hostname, port: server.port } };
  if (server && flags.wait > 0) {
    // Over UDP nobody says that there is no server; over TCP the system does, and every DNS server has both (RFC 7766).
    const { hostname, port } = server;
    const attempt = (signal: AbortSignal) => Deno.connect({ hostname, port, signal });
    (await reach({ host: hostname, port, wait: flags.wait, timeout: flags.timeout }, attempt)).close();
  }

  const found: { name: string; type: Type; value: unknown }[] = [];
  const missing: string[] = [];
  for (const name of flags.args) {
    const reverse = reverseName(name);
    const asked: readonly Type[] = wanted ?? (reverse === undefined ? ["A", "AAAA"] : ["PTR"]);
    const answers = await Promise.all(asked.map((type) => records(reverse ?? name, type)));
    const before = found.length;
    for (const [i, type] of asked.entries()) for (const value of answers[i] ?? []) found.push({ name, type, value });
    if (found.length > before) continue;
    // The runtime does not tell a name that is not there from one without such records. If it has others, it is there.
    const others = await Promise.all(
      types.filter((type) => !asked.includes(type)).map((type) => records(reverse ?? name, type)),
    );
    const exists = others.some((values) => values.length > 0);
    missing.push(
      exists ? `${printable(name)} has no records of type ${asked.join(" or ")}` : `no such name: ${printable(name)}`,
    );
  }

  if (flags.json) console.log(JSON.stringify(found, null, 2));
  else {
    const width = Math.max(...found.map(({ name }) => name.length), 0);
    for (const { name, type, value } of found) {
      console.log(`${printable(name).padEnd(width)}  ${type.padEnd(5)}  ${line(value)}`);
    }
  }
  if (missing.length > 0) throw new Failure(missing.join("; "));

  async function records(name: string, type: Type): Promise<unknown[]> {
    const at = server ? place(server) : "the system's resolver";
    try {
      const signal = AbortSignal.timeout(flags.timeout * 1000);
      // The types of `resolveDns` want one type at a time; the values are only shown here, whatever they are.
      const found: unknown[] = await Deno.resolveDns(name, type as "TXT", { ...options, signal });
      return found;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      if (error instanceof Deno.errors.NotCapable) {
        throw explain(error, server ?? { hostname: "the resolver", port: 53 });
      }
      const message = error instanceof Error ? `${error.name} ${error.message}` : "";
      if (/time|abort/i.test(message)) throw new Failure(`no answer from ${at} in ${flags.timeout} s`);
      if (/\blabel\b/i.test(message)) {
        throw new Failure(`${printable(name)} is no name that the runtime's resolver takes: query.ts asks for any`, 2);
      }
      throw new Failure(`${at} cannot be asked: ${printable(message)}`);
    }
  }
});

function parseType(word: string): Type {
  const type = types.find((type) => type === word);
  if (type) return type;
  throw new Failure(`--type wants one of ${types.join(", ")}, not ${printable(word)}`, 2);
}

/** A record's data on one line: text as it is, several fields one after the other. */
function line(value: unknown): string {
  if (Array.isArray(value)) return value.map((part) => JSON.stringify(part)).map(printable).join(" ");
  if (value !== null && typeof value === "object") {
    return Object.values(value).map((part) => printable(String(part))).join(" ");
  }
  return printable(String(value));
}
