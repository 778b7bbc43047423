/**
 * An HTTP client that uses `fetch`: it gets a URL and shows the status code, the headers and the content.
 *
 * Look at what `fetch` does by itself: it resolves the name, connects, follows redirects, decompresses, and keeps the
 * connection for the next request. A 404 is not an error for `fetch`. `raw_client.ts` shows what goes over the wire.
 *
 * First terminal: `deno run -N=127.0.0.1 -R=. http/file_server.ts`. This one: `deno run -N=127.0.0.1 http/fetch_client.ts`.
 * Both at once: `deno task http:files`. A server on the internet: `deno run -N http/fetch_client.ts https://example.com/`.
 * WHATWG Fetch. API: Deno.createHttpClient (with `--ca`), fetch.
 *
 * @module
 */
import {
  type Address,
  clientOptions,
  connect,
  count,
  Failure,
  flag,
  formatAddress,
  integer,
  printable,
  printableLine,
  run,
  type TraceForm,
} from "../cli.ts";
import { caOption, readCertificates } from "../tcp/_tls_client.ts";
import { showMessage } from "../tcp/_trace.ts";
import { isText } from "./_body_sink.ts";
import { concat } from "./_concat.ts";
import { explainFetch } from "./_fetch_errors.ts";

/** Gets a URL. Returns the response and its content, decompressed. @throws {Failure} when the content is too large. */
async function get(
  url: URL,
  server: Address,
  settings: Settings,
): Promise<{ response: Response; content: Uint8Array }> {
  const { trace, size, client } = settings;
  const nothing = new Uint8Array();
  const response = await connect({ ...settings, host: server.hostname, port: server.port }, ({ signal }) => {
    showMessage(trace, "fetch_client", formatAddress(server), nothing, `GET ${url.href}`);
    return fetch(url, { signal, client });
  });
  // The status and the headers are here. The content may still be on its way.
  showMessage(trace, formatAddress(server), "fetch_client", nothing, `${response.status} ${response.statusText}`);
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of response.body ?? []) {
    total += part.length;
    // Limit the decompressed size: a few compressed bytes can expand to gigabytes.
    if (total > size << 20) throw new Failure(`the content is larger than ${size} MiB: raise --size`);
    parts.push(part);
  }
  return { response, content: concat(parts) };
}

/** How to get a URL. `client` trusts other certificates than the usual ones. */
interface Settings {
  readonly wait: number;
  readonly timeout: number;
  readonly trace: TraceForm;
  readonly size: number;
  readonly client?: Deno.HttpClient;
}

const command = {
  name: "fetch_client",
  about: "Gets a URL with fetch and shows status, headers and content.",
  run: "deno run -N=127.0.0.1 http/fetch_client.ts",
  args: "[URL | /PATH]",
  options: {
    ...clientOptions(8000),
    "json": flag("print one JSON object, for other programs"),
    "size": integer(16, "the largest content to read, in MiB", 1, 1024),
    "ca": caOption,
  },
};

await run(command, async (flags) => {
  const url = parseUrl(flags.args[0] ?? "/", { hostname: flags.host, port: flags.port });
  const server = {
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || (url.protocol === "https:" ? 443 : 80)),
  };
  const caCerts = await readCertificates(flags.ca);
  const client = caCerts && Deno.createHttpClient({ caCerts });
  const start = performance.now();
  const { response, content } = await get(url, server, { ...flags, client }).catch((error) => {
    throw explainFetch(error, server);
  });
  const ms = performance.now() - start;
  if (flags.json) showJson(response, content);
  else show(response, content, ms);
});

/** Prints a response for people. */
function show(response: Response, content: Uint8Array, ms: number): void {
  const type = response.headers.get("content-type") ?? "";
  const json = parseJson(content, type);
  const size = count(content.length, "byte");
  console.log(`Status code: ${response.status} ${printable(response.statusText)}`);
  if (response.redirected) console.log(`Redirected to: ${printable(response.url)}`);
  console.log("Headers:");
  for (const [name, value] of response.headers) console.log(`  ${name}: ${printable(value)}`);
  console.log("Content:");
  const text = json ? JSON.stringify(json.value, null, 2) : decodeText(content)?.replace(/\n$/, "");
  if (text === undefined) console.log(`  ${size} of ${printable(type) || "unknown type"}`);
  else for (const line of text.split("\n")) console.log(`  ${printableLine(line)}`.trimEnd());
  console.log(`${size} in ${ms.toFixed(1)} ms`);
}

/** Prints a response as one JSON object. */
function showJson({ url, status, statusText, headers }: Response, content: Uint8Array): void {
  const json = parseJson(content, headers.get("content-type") ?? "");
  const text = decodeText(content);
  const body = json ? { json: json.value } : text !== undefined ? { text } : { base64: content.toBase64() };
  const fields = Object.fromEntries(headers);
  console.log(JSON.stringify({ url, status, statusText, headers: fields, bytes: content.length, ...body }));
}

function decodeText(content: Uint8Array): string | undefined {
  return isText(content.subarray(0, 4096)) ? new TextDecoder().decode(content) : undefined;
}

/** Parses the content if its media type is JSON. Returns `undefined` for another type or malformed JSON. */
function parseJson(content: Uint8Array, type: string): { value: unknown } | undefined {
  if (!/^(application|text)\/([\w.-]+\+)?json\b/i.test(type)) return undefined;
  try {
    return { value: JSON.parse(new TextDecoder().decode(content)) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined; // it is shown as text
  }
}

/** Parses a URL, or a path on `server`. */
function parseUrl(given: string, server: Address): URL {
  const text = given.startsWith("/") ? `http://${formatAddress(server)}${given}` : given;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return url;
  const forms = "a URL starts with http:// or https://, a path with /";
  throw new Failure(`${printable(given)} is not a URL or a path: ${forms}`, 2);
}
