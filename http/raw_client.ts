/**
 * An HTTP client on a TCP socket: it writes a request and shows what it sent (`>`), what came back (`<`), and the body.
 *
 * Look at `receiveBody`: the end of a body is given by Content-Length, by the last chunk, or by the end of the connection. A
 * client that uses the wrong one reads too little or waits forever.
 *
 * First terminal: `deno run -N=127.0.0.1 -R=http http/one_request_server.ts`. This one:
 * `deno run -N=127.0.0.1 http/raw_client.ts /about.txt`. Both at once: `deno task http:raw`.
 * A server on the internet: `deno run -N http/raw_client.ts --follow https://example.com/`.
 * RFC 9112. API: Deno.connect, Deno.connectTls.
 *
 * @module
 */
import {
  type Address,
  clientOptions,
  connect,
  count,
  explain,
  Failure,
  flag,
  formatAddress,
  list,
  printable,
  run,
  text,
  within,
} from "../cli.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { progress } from "../tcp/_progress.ts";
import { caOption, explainTls, readCertificates } from "../tcp/_tls_client.ts";
import { traced } from "../tcp/_trace.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { Body, responseFraming } from "./_body.ts";
import { type BodySink, fileSink, terminalSink } from "./_body_sink.ts";
import { concat } from "./_concat.ts";
import { encodeRequest, Fields, headLength, MessageError, parseResponse, type ResponseHead } from "./_message.ts";

/** Sends a request, and shows the response to it. Returns the head of the response. */
async function exchange(conn: Deno.Conn, request: RawRequest, settings: Settings): Promise<ResponseHead> {
  const head = encode(request);
  for (const line of new TextDecoder().decode(head).trimEnd().split("\r\n")) {
    console.log(`> ${printable(line)}`.trimEnd());
  }
  console.log(">");
  await writeAll(conn, concat([head, request.body]));

  const reader = new BufferedReader(conn, 65_536, 65_536);
  const from = formatAddress(request.server);
  const fill = () => within(settings.timeout, reader.fill(), `${from} sent nothing for ${settings.timeout} s`);
  let response: ResponseHead;
  do { // any number of 1xx responses may come before the final one (RFC 9110 §15.2)
    response = await receiveHead(reader, fill, from);
    console.log(`< HTTP/1.${response.minor} ${response.status} ${printable(response.reason)}`.trimEnd());
    for (const [name, value] of response.fields) console.log(`< ${name}: ${printable(value)}`);
    console.log("<");
  } while (response.status < 200 && response.status !== 101);
  await receiveBody(reader, fill, response, request.method, settings.output);
  return response;
}

/** Reads bytes until the empty line that ends a head. What comes behind it stays in the reader. */
async function receiveHead(reader: BufferedReader, fill: () => Promise<boolean>, from: string): Promise<ResponseHead> {
  let length = headLength(reader.unread);
  while (length < 0) {
    if (!await fill()) {
      const when = reader.unread.length > 0 ? "before the response was complete" : "without sending a response";
      throw new Failure(`${from} closed the connection ${when}`);
    }
    length = headLength(reader.unread);
  }
  const response = parseResponse(reader.unread.subarray(0, length));
  reader.consume(length);
  return response;
}

/** Reads the body of a response into a file or to the terminal, and tells how it ended. */
async function receiveBody(
  reader: BufferedReader,
  fill: () => Promise<boolean>,
  response: ResponseHead,
  method: string,
  output: string,
): Promise<void> {
  const framing = responseFraming(response, method);
  const body = new Body(framing);
  const sink: BodySink = output ? await fileSink(output) : terminalSink();
  const showProgress = progress(output, framing.kind === "length" ? framing.length : Infinity);
  try {
    while (true) {
      reader.consume(body.push(reader.unread, (data) => sink.write(data)));
      showProgress(body.size);
      if (body.done) break;
      if (!await fill()) body.end();
    }
  } catch (error) {
    sink.discard();
    throw error;
  }
  sink.commit();
  for (const [name, value] of body.trailers) console.log(`< ${name}: ${printable(value)} (trailer)`);
  const size = count(body.size, "byte");
  const end = {
    none: "none: a response of this kind has no body",
    length: `${size}, as Content-Length promised`,
    chunked: `${size} in chunks, up to the last one`,
    close: `${size}, until the connection ended; without a length, nobody can tell if the body is complete`,
  };
  console.log(`body: ${end[framing.kind]}`);
}

/** A request, and the server that it goes to. */
interface RawRequest extends Destination {
  readonly method: string;
  readonly fields: readonly [name: string, value: string][];
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The server, and the request target as it stands in the request line. */
interface Destination {
  readonly tls: boolean;
  readonly server: Address;
  readonly target: string;
}

interface Settings {
  readonly timeout: number;
  readonly output: string;
}

const command = {
  name: "raw_client",
  about: "Sends an HTTP request, every byte of it written by hand, and shows the response.",
  run: "deno run -N=127.0.0.1 http/raw_client.ts",
  args: "[URL | /PATH]",
  options: {
    ...clientOptions(8080),
    "method": text("", "the request's method (GET, or POST with --data)", "METHOD"),
    "header": list("a field of the request, 'Name: value'", "FIELD", "H"),
    "data": text("", "the request's body"),
    "follow": flag("follow redirects, at most ten"),
    "output": text("", "write the body to FILE", "FILE"),
    "ca": caOption,
  },
};

await run(command, async (flags) => {
  const { host, port } = flags;
  let request: RawRequest = {
    ...parseDestination(flags.args[0] ?? "/", { hostname: host, port }),
    method: flags.method || (flags.data ? "POST" : "GET"),
    fields: flags.header.map(parseField),
    body: new TextEncoder().encode(flags.data),
  };
  encode(request); // a malformed request is wrong usage: say so before anything is opened
  const caCerts = await readCertificates(flags.ca);

  for (let redirects = 0;; redirects++) {
    const { tls, server } = request;
    const target = { ...flags, host: server.hostname, port: server.port };
    try {
      const dialTls = (addr: Address) => Deno.connectTls({ ...addr, caCerts });
      using conn = traced(await (tls ? connect(target, dialTls) : connect(target, Deno.connect)), flags.trace);
      const response = await exchange(conn, request, flags);
      const location = response.fields.get("location");
      if (!flags.follow || response.status < 300 || response.status > 399 || location === undefined) return;
      if (redirects === 10) throw new Failure("stopped after ten redirects");
      request = redirect(request, location, response.status);
      console.log();
    } catch (error) {
      if (!(error instanceof MessageError)) throw tls ? explainTls(error, server) : explain(error, server);
      throw new Failure(`${formatAddress(server)} broke the protocol: ${error.message}`);
    }
  }
});

/** The bytes of a request's head, with default fields. @throws {Failure} with code 2 when the request is malformed. */
function encode({ tls, server, method, target, fields, body }: RawRequest): Uint8Array<ArrayBuffer> {
  const defaults: [string, string][] = [
    ["Host", formatAddress(server).replace(tls ? /:443$/ : /:80$/, "")],
    ["User-Agent", "socketlab"],
    ["Accept", "*/*"],
    ["Connection", "close"],
  ];
  if (body.length > 0) {
    defaults.push(["Content-Type", "application/x-www-form-urlencoded"], ["Content-Length", `${body.length}`]);
  }
  const isGiven = (name: string) => fields.some(([given]) => given.toLowerCase() === name.toLowerCase());
  try {
    const all = new Fields([...defaults.filter(([name]) => !isGiven(name)), ...fields]);
    return encodeRequest({ method, target, fields: all });
  } catch (error) {
    if (error instanceof MessageError) throw new Failure(error.message, 2);
    throw error;
  }
}

/** The request that follows a redirect. */
function redirect(request: RawRequest, location: string, status: number): RawRequest {
  const { tls, server, target } = request;
  const from = new URL(target, `${tls ? "https" : "http"}://${formatAddress(server)}`);
  if (!URL.canParse(location, from.href)) {
    throw new Failure(`${formatAddress(server)} redirects to ${printable(location)}, which is not a URL`);
  }
  const to = new URL(location, from);
  let { method, fields, body } = request;
  // Do not send credentials and cookies to another origin.
  if (to.origin !== from.origin) fields = fields.filter(([name]) => !/^(authorization|cookie|host)$/i.test(name));
  // 307 and 308 repeat the method and the body. After 301, 302 and 303 clients send a GET (RFC 9110 §15.4).
  if (status < 307 && method !== "HEAD") {
    [method, body] = ["GET", new Uint8Array()];
    fields = fields.filter(([name]) => !/^content-/i.test(name));
  }
  return { ...parseDestination(to.href, server), method, fields, body };
}

function parseField(line: string): [string, string] {
  const [, name, value] = /^([^:\s]+):[ \t]*(.*)$/s.exec(line) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new Failure(`--header needs 'Name: value', not ${printable(line)}`, 2);
}

/** Parses a URL, or a path on `server`. A path is sent just as it was given, dots and all; a URL is normalized. */
function parseDestination(given: string, server: Address): Destination {
  if (given.startsWith("/")) return { tls: false, server, target: given };
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) {
    const forms = "a URL starts with http:// or https://, a path with /";
    throw new Failure(`${printable(given)} is not a URL or a path: ${forms}`, 2);
  }
  const tls = url.protocol === "https:";
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  return { tls, server: { hostname, port: Number(url.port || (tls ? 443 : 80)) }, target: url.pathname + url.search };
}
