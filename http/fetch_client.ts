/**
 * An HTTP client on `fetch`: it gets a URL and shows the status code, the headers and the content.
 *
 * Look at how little is left to do, and at what `fetch` does without a word: it resolves the name, connects, follows redirects,
 * undoes compression, keeps the connection for the next request, and does not take a 404 for an error. `raw_client.ts` shows
 * what goes over the wire.
 *
 * ```sh
 * deno run -N=127.0.0.1 http/fetch_client.ts
 * deno run -N http/fetch_client.ts https://jsonplaceholder.typicode.com/todos/1   # an API on the internet
 * ```
 *
 * Start `deno run -N=127.0.0.1 -R=. http/file_server.ts` in another terminal first. Both at once: `deno task http:files`.
 *
 * WHATWG Fetch. API: Deno.createHttpClient (with `--ca`), fetch.
 *
 * @module
 */
import {
  clientOptions,
  count,
  Failure,
  place,
  printable,
  printableLine,
  reach,
  run,
  show,
  text,
  toggle,
  whole,
} from "../cli.ts";
import { readCertificates } from "../tcp/certificates.ts";
import { isText } from "./output.ts";

const command = {
  name: "fetch_client",
  about: "Gets a URL with fetch and shows status, headers and content.",
  run: "deno run -N=127.0.0.1 http/fetch_client.ts",
  args: "[URL | /PATH]",
  options: {
    ...clientOptions(8000),
    "json": toggle("one JSON object on stdout, for other programs"),
    "size": whole(16, "the largest content that is shown, in MiB", 1, 1024),
    "ca": text("", "the certificate that an https server's is signed with, if no public one", "FILE"),
  },
};

await run(command, async (flags) => {
  const url = parseUrl(flags.args[0] ?? "/", flags);
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  const client = flags.ca ? Deno.createHttpClient({ caCerts: await readCertificates(flags.ca) }) : undefined;
  const trace = (from: string, to: string, note: string) => {
    if (flags.trace) show(flags.trace, from, to, new Uint8Array(), note);
  };

  const start = performance.now();
  const { response, content } = await reach({ ...flags, host: hostname, port }, async (signal) => {
    trace("fetch_client", place({ hostname, port }), `GET ${url.href}`);
    const response = await fetch(url, { signal, client });
    trace(place({ hostname, port }), "fetch_client", `${response.status} ${response.statusText}`);
    return { response, content: await read(response, flags.size << 20) };
  });
  const took = performance.now() - start;

  const type = response.headers.get("content-type") ?? "";
  const json = parseJson(content, type);
  const text = !json && isText(content.subarray(0, 4096)) ? decode(content) : undefined;
  if (flags.json) {
    const headers = Object.fromEntries(response.headers);
    const { status, statusText, url } = response;
    const body = json ? { json: json.value } : text !== undefined ? { text } : { base64: content.toBase64() };
    return console.log(JSON.stringify({ url, status, statusText, headers, bytes: content.length, ...body }));
  }
  console.log(`Status code: ${response.status} ${printable(response.statusText)}`);
  if (response.redirected) console.log(`Redirected to: ${printable(response.url)}`);
  console.log("Headers:");
  for (const [name, value] of response.headers) console.log(`  ${name}: ${printable(value)}`);
  console.log("Content:");
  const shown = json ? JSON.stringify(json.value, null, 2) : text?.replace(/\n$/, "");
  if (shown === undefined) console.log(`  ${count(content.length, "byte")} of ${printable(type) || "unknown type"}`);
  else for (const line of shown.split("\n")) console.log(`  ${printableLine(line)}`.trimEnd());
  console.log(`${count(content.length, "byte")} in ${took.toFixed(1)} ms`);
});

/** A response's content, decompressed. @throws {Failure} when it is longer than `limit` bytes. */
async function read(response: Response, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    // A few bytes can unpack to gigabytes: what counts is what comes out.
    if ((size += part.length) > limit) throw new Failure(`more than ${limit >> 20} MiB of content: --size allows more`);
    parts.push(part);
  }
  return await new Blob(parts).bytes();
}

function decode(content: Uint8Array): string {
  return new TextDecoder().decode(content);
}

/** JSON that says it is, and is. */
function parseJson(content: Uint8Array, type: string): { value: unknown } | undefined {
  if (!/^(application|text)\/([\w.-]+\+)?json\b/i.test(type)) return undefined;
  try {
    return { value: JSON.parse(decode(content)) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined; // it is shown as the text that it is
  }
}

function parseUrl(given: string, flags: { host: string; port: number }): URL {
  const base = `http://${place({ hostname: flags.host, port: flags.port })}`;
  const text = given.startsWith("/") ? base + given : given;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new Failure(`a URL starts with http:// or https:// and a host, a path with /: ${printable(given)}`, 2);
}
