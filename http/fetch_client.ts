/**
 * An HTTP client that uses `fetch`: it gets a URL and shows the status code, the headers and the content.
 *
 * Look at what `fetch` does by itself: it resolves the name, connects, follows redirects, decompresses, and keeps the
 * connection for the next request. A 404 is not an error for `fetch`. `raw_client.ts` shows what goes over the wire.
 *
 * First terminal: `deno run -N=127.0.0.1 -R=. http/file_server.ts`. This one: `deno run -N=127.0.0.1 http/fetch_client.ts`.
 * Both at once: `deno task http:files`. A server on the internet: `deno run -N http/fetch_client.ts https://example.com/`.
 * WHATWG Fetch. API: Deno.createHttpClient (with `--ca` or `--proxy`), fetch.
 *
 * @module
 */
import { type Address, clientOptions, connect, count, Failure, flag, formatAddress, integer } from "../cli.ts";
import { printable, printableLine, run, type Tracing } from "../cli.ts";
import { type BodySink, fileSink } from "../tcp/_file_sink.ts";
import { caOption, readCertificates } from "../tcp/_tls_client.ts";
import { isText, memorySink } from "./_body_sink.ts";
import { explainFetch } from "./_fetch_errors.ts";
import { WebTrace } from "./_web_trace.ts";
import { proxyOf } from "./_proxy_option.ts";
import { chosenRequest, requestOptions } from "./_request_options.ts";
import { TimeLimit } from "./_time_limit.ts";

/** Sends a request, and puts the content of the response, decompressed, into `sink`. */
async function exchange(url: URL, init: Init, sink: BodySink, settings: Settings): Promise<Response> {
  const server = settings.proxy ?? settings.server;
  const name = formatAddress(server);
  const trace = new WebTrace(settings, "fetch_client", name, settings.proxy !== undefined);
  const limit = new TimeLimit(name, settings);
  const response = await connect({ ...settings, host: server.hostname, port: server.port }, async () => {
    if (trace.isOn) await trace.sendRequest(new Request(url, init));
    return await limit.step(fetch(url, init), () => "did not answer in time: is it the right host? It was silent for");
  });
  // The status and the headers are here. The content may still be on its way.
  trace.receiveHead(response);
  const content = response.body?.getReader();
  try {
    while (content) {
      const { done, value } = await limit.step(content.read(), () => "sent nothing for");
      if (done) break;
      trace.receive(value);
      sink.write(value);
    }
  } catch (error) {
    sink.discard();
    throw error;
  }
  trace.receiveEnd();
  sink.commit();
  return response;
}

/** A request for `fetch`. Its client trusts other certificates than the usual ones, or uses a proxy. */
type Init = RequestInit & { client?: Deno.HttpClient };

interface Settings extends Tracing {
  readonly server: Address;
  readonly proxy: Address | undefined;
  readonly wait: number;
  readonly timeout: number;
  readonly "max-time": number;
}

const command = {
  name: "fetch_client",
  about: "Gets a URL with fetch and shows status, headers and content.",
  run: "deno run -N=127.0.0.1 http/fetch_client.ts",
  args: "[URL | /PATH]",
  examples: [
    "deno task fetch-client /protocols.json",
    "deno task fetch-client --json http://127.0.0.1:8000/",
    "deno task fetch-client --port 5050 --method HEAD /users",
  ],
  options: {
    ...clientOptions(8000),
    ...requestOptions,
    "json": flag("print one JSON object, for other programs"),
    "size": integer(16, "the largest content to show, in MiB", 1, 1024),
    "ca": caOption,
  },
};

await run(command, async (flags) => {
  const url = parseUrl(flags.args[0] ?? "/", { hostname: flags.host, port: flags.port });
  const server = {
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || (url.protocol === "https:" ? 443 : 80)),
  };
  const { method, fields, body } = await chosenRequest(flags);
  const caCerts = await readCertificates(flags.ca);
  const proxy = proxyOf(flags.proxy);
  const client = caCerts || proxy
    ? Deno.createHttpClient({ caCerts, proxy: proxy && { url: `http://${formatAddress(proxy)}` } })
    : undefined;
  const init = checked(url, { method, headers: fields, body: flags.data ? body : undefined, client });
  const memory = flags.output ? undefined : memorySink(flags.size);
  const sink = memory ?? await fileSink(flags.output);
  const start = performance.now();
  const response = await exchange(url, init, sink, { ...flags, server, proxy }).catch((error) => {
    throw explainFetch(error, proxy ?? server);
  });
  const ms = performance.now() - start;
  if (flags.json) showJson(response, memory?.content());
  else show(response, memory?.content(), ms);
});

/** The request as `fetch` takes it. @throws {Failure} with code 2 when `fetch` would refuse it. */
function checked(url: URL, init: Init): Init {
  try {
    new Request(url, init);
    return init;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Failure(`fetch cannot send this request: ${printable(error.message)}`, 2);
  }
}

/** Prints a response for people. Without `content` it is in a file. */
function show(response: Response, content: Uint8Array | undefined, ms: number): void {
  const type = response.headers.get("content-type") ?? "";
  console.log(`Status code: ${response.status} ${printable(response.statusText)}`);
  if (response.redirected) console.log(`Redirected to: ${printable(response.url)}`);
  console.log("Headers:");
  for (const [name, value] of response.headers) console.log(`  ${name}: ${printable(value)}`);
  if (!content) return console.log(`The content is in the file, after ${ms.toFixed(1)} ms`);
  const size = count(content.length, "byte");
  console.log("Content:");
  const text = indented(content, type) ?? decodeText(content)?.replace(/\n$/, "");
  if (text === undefined) console.log(`  ${size} of ${printable(type) || "unknown type"}`);
  else for (const line of text.split("\n")) console.log(`  ${printableLine(line)}`.trimEnd());
  console.log(`${size} in ${ms.toFixed(1)} ms`);
}

/** Prints a response as one JSON object. */
function showJson({ url, status, statusText, headers }: Response, content: Uint8Array | undefined): void {
  const head = { url, status, statusText, headers: Object.fromEntries(headers) };
  if (!content) return console.log(escapeInvisible(JSON.stringify(head)));
  const text = decodeText(content);
  const plain = text !== undefined ? { text } : { base64: content.toBase64() };
  const json = parseJson(content, headers.get("content-type") ?? "");
  const print = (body: object) => escapeInvisible(JSON.stringify({ ...head, bytes: content.length, ...body }));
  console.log(json && unlessTooDeep(() => print({ json: json.value })) || print(plain));
}

/** JSON leaves some control characters and direction overrides as they are, which do harm in a terminal. */
function escapeInvisible(json: string): string {
  return json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => {
    const units = char.split("").map((unit) => unit.charCodeAt(0).toString(16).padStart(4, "0"));
    return `\\u${units.join("\\u")}`;
  });
}

/** Content of a JSON type, indented; `undefined` for other content. */
function indented(content: Uint8Array, type: string): string | undefined {
  const json = parseJson(content, type);
  return json && unlessTooDeep(() => JSON.stringify(json.value, null, 2));
}

/** What `stringify` returns; `undefined` when the value has so many levels that the stack is too small for them. */
function unlessTooDeep(stringify: () => string): string | undefined {
  try {
    return stringify();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
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
