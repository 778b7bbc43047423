/**
 * An HTTP client on a TCP socket: it writes a request and shows what it sent (`>`), what came back (`<`), and the body.
 *
 * Look at `receiveBody`: the end of a body is given by Content-Length, by the last chunk, or by the end of the connection. A
 * client that uses the wrong one reads too little or waits forever.
 *
 * First terminal: `deno run -N=127.0.0.1 -R=http http/one_request_server.ts`. This one:
 * `deno run -N=127.0.0.1 http/raw_client.ts /about.txt`. Both at once: `deno task http:raw`.
 * A server on the internet: `deno run -N http/raw_client.ts --follow https://example.com/`.
 * RFC 9112. API: Deno.connect, Deno.startTls.
 *
 * @module
 */
import { type Address, clientOptions, connect, count, Failure, flag, formatAddress } from "../cli.ts";
import { printable, run, type Tracing } from "../cli.ts";
import { type BodySink, fileSink } from "../tcp/_file_sink.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { progress } from "../tcp/_progress.ts";
import { explain } from "../tcp/_socket_errors.ts";
import { caOption, explainTls, readCertificates, startTlsClient } from "../tcp/_tls_client.ts";
import { traced } from "../tcp/_trace.ts";
import { Body, responseFraming } from "./_body.ts";
import { terminalSink } from "./_body_sink.ts";
import { concat } from "./_concat.ts";
import { headLength, MessageError, parseResponse, type ResponseHead } from "./_message.ts";
import { type Destination, encode, parseDestination, type RawRequest, redirect } from "./_raw_request.ts";
import { absoluteTarget, connectRequest, proxyOf } from "./_proxy_option.ts";
import { chosenRequest, requestOptions } from "./_request_options.ts";
import { TimeLimit } from "./_time_limit.ts";

/** Sends a request, and shows the response to it. Returns the head of the response. */
async function exchange(conn: Deno.Conn, request: RawRequest, settings: Settings): Promise<ResponseHead> {
  const head = encode(request);
  showRequest(head);
  const server = new Server(conn, peerOf(request, settings), settings);
  await server.send(concat([head, request.body]));

  let response = await server.receiveHead();
  show(response);
  // Interim responses may come before the final one (RFC 9110 §15.2).
  for (let interim = 1; response.status < 200 && response.status !== 101; interim++) {
    if (interim > MAX_INTERIM) {
      throw new Failure(`${server.name} sent more than ${MAX_INTERIM} interim responses (1xx)`);
    }
    response = await server.receiveHead();
    show(response);
  }
  await receiveBody(server, response, request.method, settings.output);
  return response;
}

/** The most 1xx responses before the final one. */
const MAX_INTERIM = 10;

function showRequest(head: Uint8Array): void {
  for (const line of new TextDecoder().decode(head).trimEnd().split("\r\n")) {
    console.log(`> ${printable(line)}`.trimEnd());
  }
  console.log(">");
}

function show({ minor, status, reason, fields }: ResponseHead): void {
  console.log(`< HTTP/1.${minor} ${status} ${printable(reason)}`.trimEnd());
  for (const [name, value] of fields) console.log(`< ${name}: ${printable(value)}`);
  console.log("<");
}

/** The connection to a server. Each step, such as a write or a whole head, has a limit, and so have all of them together. */
class Server {
  readonly name: string;
  readonly reader: BufferedReader;
  readonly #conn: Deno.Conn;
  readonly #limit: TimeLimit;
  #firstFill: Promise<boolean> | undefined;

  constructor(conn: Deno.Conn, addr: Address, settings: Settings) {
    this.name = formatAddress(addr);
    this.reader = new BufferedReader(conn, 65_536, 65_536);
    this.#conn = conn;
    this.#limit = new TimeLimit(this.name, settings);
  }

  /** Writes a request. A server may respond before it has read all of a body, and then close: that ends the writing. */
  async send(bytes: Uint8Array): Promise<void> {
    const response = this.reader.fill();
    this.#firstFill = response;
    const write = async () => {
      for (let written = 0; written < bytes.length;) {
        written += await this.#limit.step(this.#conn.write(bytes.subarray(written)), () => "took nothing for");
      }
    };
    const written = write().catch(async (error) => {
      if (error instanceof Failure) throw error;
      await response; // the connection was reset, but the response to it may be here
    });
    await Promise.race([written, response]);
  }

  /** Reads more bytes. Returns false at the end of the stream. */
  async fill(): Promise<boolean> {
    const filled = this.#firstFill ?? this.reader.fill();
    this.#firstFill = undefined;
    return await this.#limit.step(filled, () => "sent nothing for");
  }

  /** Reads bytes until the empty line that ends a head. What comes behind it stays in the reader. */
  async receiveHead(): Promise<ResponseHead> {
    const late = () => this.reader.unread.length > 0 ? "did not send a whole head in" : "sent nothing for";
    const length = await this.#limit.step(this.#fillHead(), late);
    const response = parseResponse(this.reader.unread.subarray(0, length));
    this.reader.consume(length);
    return response;
  }

  async #fillHead(): Promise<number> {
    let length = headLength(this.reader.unread);
    while (length < 0) {
      if (!await this.fill()) {
        const when = this.reader.unread.length > 0 ? "before the response was complete" : "without sending a response";
        throw new Failure(`${this.name} closed the connection ${when}`);
      }
      length = headLength(this.reader.unread);
    }
    return length;
  }
}

/** Reads the body of a response into a file or to the terminal, and tells how it ended. */
async function receiveBody(server: Server, response: ResponseHead, method: string, output: string): Promise<void> {
  const { reader } = server;
  const framing = responseFraming(response, method);
  const body = new Body(framing);
  const sink: BodySink = output ? await fileSink(output) : terminalSink();
  // A body in the terminal is its own progress: a bar would overwrite it.
  const showProgress = output ? progress(output, framing.kind === "length" ? framing.length : Infinity) : () => {};
  try {
    while (true) {
      reader.consume(body.push(reader.unread, (data) => sink.write(data)));
      showProgress(body.size);
      if (body.done) break;
      if (!await server.fill()) body.end();
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

interface Settings extends Tracing {
  readonly wait: number;
  readonly timeout: number;
  readonly "max-time": number;
  readonly output: string;
  readonly proxy: string;
}

const command = {
  name: "raw_client",
  about: "Sends an HTTP request, every byte of it written by hand, and shows the response.",
  run: "deno run -N=127.0.0.1 http/raw_client.ts",
  args: "[URL | /PATH]",
  examples: [
    "deno task raw-client /",
    "deno task raw-client --method HEAD --trace http://127.0.0.1:8080/",
  ],
  options: {
    ...clientOptions(8080),
    ...requestOptions,
    "follow": flag("follow redirects, at most ten"),
    "ca": caOption,
  },
};

await run(command, async (flags) => {
  const { host, port, follow } = flags;
  const destination = parseDestination(flags.args[0] ?? "/", { hostname: host, port });
  let request: RawRequest = { ...destination, ...await chosenRequest(flags) };
  encode(request); // a malformed request is wrong usage: say so before anything is opened
  const caCerts = await readCertificates(flags.ca);

  for (let redirects = 0;; redirects++) {
    const { tls } = request;
    const peer = peerOf(request, flags);
    try {
      using conn = await open(request, flags, caCerts);
      // A tunnel leads to the server itself. Without TLS it is the proxy that reads the request.
      const asked = flags.proxy && !tls ? { ...request, target: absoluteTarget(request) } : request;
      const response = await exchange(conn, asked, flags);
      const location = response.fields.get("location");
      if (!follow || response.status < 300 || response.status > 399 || location === undefined) return;
      if (redirects === 10) throw new Failure("stopped after ten redirects");
      request = redirect(request, location, response.status);
      console.log();
    } catch (error) {
      if (!(error instanceof MessageError)) {
        throw tls ? explainTls(error, peer, "try http://") : explain(error, peer);
      }
      throw new Failure(`${formatAddress(peer)} broke the protocol: ${error.message}`);
    }
  }
});

/** Whom a request is sent to: its server, or the proxy. */
function peerOf({ server }: Destination, { proxy }: Pick<Settings, "proxy">): Address {
  return proxyOf(proxy) ?? server;
}

/** Connects to the server of a request, or to the proxy; with a TLS handshake for https. */
async function open(request: Destination, settings: Settings, caCerts: string[] | undefined) {
  const { tls, server } = request;
  const peer = peerOf(request, settings);
  const tcp = await connect({ ...settings, host: peer.hostname, port: peer.port }, Deno.connect);
  if (!tls) return traced(tcp, settings);
  if (settings.proxy) await openTunnel(traced(tcp, settings), server, peer, settings);
  return traced(await startTlsClient(tcp, server, settings.timeout, caCerts), settings);
}

/** Asks the proxy for a tunnel to a server. Whatever is sent afterwards goes to the server. */
async function openTunnel(conn: Deno.TcpConn, to: Address, proxy: Address, settings: Settings): Promise<void> {
  const request = connectRequest(to);
  showRequest(request);
  const server = new Server(conn, proxy, settings);
  await server.send(request);
  const response = await server.receiveHead();
  show(response);
  if (response.status < 200 || response.status > 299) {
    conn.close();
    throw new Failure(`the proxy ${formatAddress(proxy)} opens no tunnel to ${formatAddress(to)}: ${response.status}`);
  }
}
