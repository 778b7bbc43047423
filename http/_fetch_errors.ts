/**
 * What `fetch` throws, in one sentence each.
 *
 * @module
 */
import { type Address, Failure, formatAddress, printable } from "../cli.ts";
import { explainTls } from "../tcp/_tls_client.ts";

// Neither a class nor a code tells these errors apart. The words are the runtime's own, the same on every system.
const fetchErrors: [words: RegExp, describe: (why: string) => string][] = [
  [
    /requests to port \d+ are blocked/i,
    () => "is a port that fetch refuses, as browsers do: it belongs to another protocol",
  ],
  [/number of redirects \((\d+)\)/, (why) => `redirects more than ${why} times`],
  [/redirect to a non HTTP/, () => "redirects to something else than http:// or https://"],
  [/Invalid URL: '(.*)' with base/, (why) => `redirects to ${printable(why)}, which is not a URL`],
  [/\b(?:gzip|deflate|brotli|unexpected (?:EOF|end of file))\b/i, () => "sent content that cannot be decompressed"],
  [
    /reading a body|connection (?:closed|error|reset)|incomplete message/i,
    () => "closed the connection in the middle of the exchange",
  ],
  [/client error \(Connect\): (.*)/, (why) => `cannot be connected: ${printable(why)}`],
  [/client error \(\w+\): (.*)/, (why) => `did not answer as an HTTP server does: ${printable(why)}`],
];

/**
 * Turns what `fetch`, or reading its response, threw into one sentence, as `explain` does for a socket. `addr` is the server
 * of the URL. A bug comes back unchanged.
 */
export function explainFetch(error: unknown, addr: Address): unknown {
  // A redirect may lead to a server that no permission was given for: the error names it.
  const [, denied] = error instanceof Deno.errors.NotCapable ? /net access to "([^"]+)"/.exec(error.message) ?? [] : [];
  if (denied !== undefined) return new Failure(`no permission to use ${denied}: add -N=${denied}`, 2, `-N=${denied}`);
  const known = explainTls(error, addr, "try http://");
  if (!(known instanceof TypeError)) return known;
  // fetch throws a TypeError, whatever goes wrong. The reason is in its cause.
  const words = `${known.message} ${known.cause instanceof Error ? known.cause.message : ""}`;
  for (const [pattern, describe] of fetchErrors) {
    const [found, why = ""] = pattern.exec(words) ?? [];
    if (found !== undefined) return new Failure(`${formatAddress(addr)} ${describe(why)}`);
  }
  // The runtime threw it, not a script.
  if (/^\s+at .*\bext:/.test(known.stack?.split("\n")[1] ?? "")) {
    return new Failure(`${formatAddress(addr)}: ${printable(known.message)}`);
  }
  return known;
}
