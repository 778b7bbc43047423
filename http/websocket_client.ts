/**
 * A WebSocket client: it sends its arguments as messages, shows what comes, and closes with the code 1000.
 *
 * By default it uses the runtime's `WebSocket`, the one that browsers have. With `--raw` the handshake, the masks and the
 * frames are made here: look at `converse`, and at `--raw --trace`, which shows each frame.
 *
 * First terminal: `deno run -N=127.0.0.1 http/websocket_server.ts --echo`. This one:
 * `deno run -N=127.0.0.1 http/websocket_client.ts Hello`. Both at once: `deno task http:websocket`.
 * RFC 6455. API: Deno.connect, WebSocket.
 *
 * @module
 */
import { clientOptions, connect, count, Failure, flag, formatAddress } from "../cli.ts";
import { type Address, printable, run, seconds, text, within } from "../cli.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { explain } from "../tcp/_socket_errors.ts";
import { caOption, explainTls, readCertificates, startTlsClient } from "../tcp/_tls_client.ts";
import { traced } from "../tcp/_trace.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { encodeRequest, headLength, MessageError, parseResponse, type ResponseHead } from "./_message.ts";
import { closeFailure, describeClose, WebSocketConnection } from "./_websocket_connection.ts";
import { closeCodes } from "./_websocket_frame.ts";
import { handshakeFault, handshakeRequest, newKey } from "./_websocket_handshake.ts";
import type { Message } from "./_websocket_message.ts";

/** Sends messages, shows what comes while `isEnough` has not settled, and closes. */
async function converse(socket: Socket, messages: string[], isEnough: Promise<void>): Promise<void> {
  for (const message of messages) await socket.send(message);
  isEnough.then(() => socket.close(closeCodes.normal)).catch(() => {}); // the loop fails with it
  for await (const message of socket.messages()) {
    console.log(`Received: ${typeof message === "string" ? printable(message) : count(message.length, "byte")}`);
  }
  await socket.ended();
}

/** What both kinds of connections have. */
interface Socket {
  send(message: string): Promise<void>;
  messages(): AsyncGenerator<Message>;
  close(code: number): Promise<void>;
  /** Waits until the TCP connection has ended, too. */
  ended(): Promise<void>;
  readonly closed: { code: number; reason: string } | undefined;
}

/** Opens a connection by hand: the handshake on a TCP connection, or under TLS on one; then frames. */
async function openRaw({ isTls, server, target }: Destination, flags: Settings): Promise<Socket> {
  const host = formatAddress(server);
  const tcp = await connect({ ...flags, host: server.hostname, port: server.port }, Deno.connect);
  tcp.setNoDelay(true);
  const conn = isTls
    ? traced(await startTlsClient(tcp, server, flags.timeout, flags.caCerts), flags)
    : traced(tcp, flags);
  const key = newKey();
  // A port that the scheme implies does not stand in Host (RFC 6455 §4.1).
  await writeAll(conn, encodeRequest(handshakeRequest(host.replace(isTls ? /:443$/ : /:80$/, ""), target, key)));
  const reader = new BufferedReader(conn, MAX_MESSAGE + 64);
  const response = await within(flags.timeout, receiveHead(reader), `${host} did not answer in ${flags.timeout} s`);
  const fault = handshakeFault(response, key);
  if (fault) throw new Failure(`${host} opened no WebSocket: ${printable(fault)}`);
  return new WebSocketConnection(conn, reader, "client", { ...flags, maxFrame: MAX_MESSAGE, maxMessage: MAX_MESSAGE });
}

async function receiveHead(reader: BufferedReader): Promise<ResponseHead> {
  while (await reader.fill()) {
    try {
      const length = headLength(reader.unread);
      if (length < 0) continue;
      const response = parseResponse(reader.unread.subarray(0, length));
      reader.consume(length); // what is behind it are frames
      return response;
    } catch (error) {
      throw error instanceof MessageError ? new Failure(`the server broke the protocol: ${error.message}`) : error;
    }
  }
  throw new Failure("the server closed the connection without an answer");
}

/** The longest message that `--raw` takes, in bytes. */
const MAX_MESSAGE = 16 << 20;

/** The runtime's WebSocket, whose events become a sequence of messages. */
class WebSocketEvents implements Socket {
  closed: { code: number; reason: string } | undefined;
  readonly #socket: WebSocket;
  readonly #messages: Message[] = [];
  #changed = Promise.withResolvers<void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      this.#messages.push(data instanceof ArrayBuffer ? new Uint8Array(data) : String(data));
      this.#changed.resolve();
    });
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
      this.#changed.resolve();
    });
  }

  /** Opens a connection; while nobody listens, it is tried again for `flags.wait` seconds. */
  static async open({ isTls, server, target }: Destination, flags: Settings): Promise<Socket> {
    const host = formatAddress(server);
    const to = { ...flags, host: server.hostname, port: server.port };
    const client = flags.caCerts ? Deno.createHttpClient({ caCerts: flags.caCerts }) : undefined;
    const dial = async () => {
      const socket = new WebSocket(`${isTls ? "wss" : "ws"}://${host}${target}`, { client });
      const events = new WebSocketEvents(socket);
      const opened = Promise.withResolvers<void>();
      socket.addEventListener("open", () => opened.resolve());
      socket.addEventListener("error", (event) => opened.reject(openError(event, server)));
      await within(flags.timeout, opened.promise, `${host} did not answer in ${flags.timeout} s`);
      return events;
    };
    try {
      return await connect(to, dial);
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      (await connect(to, Deno.connect)).close(); // it fails too, with an error that says why
      throw new Failure(`${host} opened no WebSocket: ${printable(error.message)}`);
    }
  }

  async *messages(): AsyncGenerator<Message> {
    while (true) {
      for (let next = this.#messages.shift(); next !== undefined; next = this.#messages.shift()) yield next;
      if (this.closed) return;
      await this.#changed.promise;
      this.#changed = Promise.withResolvers<void>();
    }
  }

  send(message: string): Promise<void> {
    this.#socket.send(message);
    return Promise.resolve();
  }

  close(code: number): Promise<void> {
    this.#socket.close(code);
    return Promise.resolve();
  }

  /** The event that ends the messages comes when the connection has ended. */
  ended(): Promise<void> {
    return Promise.resolve();
  }
}

/** An error event has only the runtime's words. So that `--wait` works, these become an error with a code. */
function openError(event: Event, server: Address): unknown {
  const message = event instanceof ErrorEvent ? event.message : "";
  if (/tcp connect error|dns error/.test(message)) {
    return Object.assign(new Deno.errors.ConnectionRefused(message), { code: "ECONNREFUSED" });
  }
  const error = explainTls(new Error(message), server, PLAIN);
  return error instanceof Failure
    ? error
    : new Failure(`${formatAddress(server)} opened no WebSocket: ${printable(message)}`);
}

const command = {
  name: "websocket_client",
  about: "Sends its arguments over a WebSocket as messages, and shows what comes.",
  run: "deno run -N=127.0.0.1 http/websocket_client.ts",
  args: "[URL] [MESSAGE ...]",
  examples: [
    "deno task websocket-client --listen 60 Hello",
    "deno task websocket-client --raw --trace ws://127.0.0.1:8085/chat Hello",
  ],
  options: {
    ...clientOptions(8085),
    "path": text("/chat", "the path of the WebSocket, without a URL", "/PATH"),
    "listen": seconds(1, "how long to show messages before it closes"),
    "raw": flag("make the handshake and the frames by hand"),
    "ca": caOption,
  },
};

interface Settings {
  readonly host: string;
  readonly port: number;
  readonly wait: number;
  readonly timeout: number;
  readonly trace: "" | "text" | "json" | "diagram";
  readonly pcap: string;
  readonly caCerts: string[] | undefined;
}

/** What a URL says: whether TLS protects the connection, the server, and the path with its query. */
interface Destination {
  readonly isTls: boolean;
  readonly server: Address;
  readonly target: string;
}

/** Takes a URL apart (RFC 6455 §3). @throws {Failure} with code 2 when it is not that of a WebSocket. */
function parseDestination(text: string): Destination {
  const url = URL.parse(text);
  if (!url || url.hostname === "" || /[#@]/.test(text)) {
    throw new Failure(`a URL is ws://HOST:PORT/PATH or wss://…, without user and fragment, not ${printable(text)}`, 2);
  }
  const isTls = url.protocol === "wss:";
  const server = { hostname: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || (isTls ? 443 : 80)) };
  return { isTls, server, target: url.pathname + url.search };
}

/** What to do when a server does not speak TLS. */
const PLAIN = "try ws://";

await run(command, async (flags) => {
  if (!/^\/[!-"$-~]*$/.test(flags.path)) throw new Failure("--path begins with / and has no spaces", 2);
  const [first = "", ...rest] = flags.args;
  const isUrl = /^wss?:\/\//i.test(first);
  const to = isUrl
    ? parseDestination(first)
    : { isTls: false, server: { hostname: flags.host, port: flags.port }, target: flags.path };
  const settings = { ...flags, caCerts: await readCertificates(flags.ca) };
  // The runtime does not show its frames.
  const isRaw = flags.raw || flags.trace !== "" || flags.pcap !== "";
  const socket = await (isRaw ? openRaw(to, settings) : WebSocketEvents.open(to, settings)).catch((error) => {
    throw to.isTls ? explainTls(error, to.server, PLAIN) : explain(error, to.server);
  });
  const over = new Promise<void>((resolve) => setTimeout(resolve, flags.listen * 1000));
  const late = over.then(() =>
    new Promise<never>((_, reject) => {
      if (flags.timeout === 0) return;
      setTimeout(() => reject(new Failure(`the server did not close in ${flags.timeout} s`)), flags.timeout * 1000);
    })
  );
  await Promise.race([converse(socket, isUrl ? rest : flags.args, over), late]);
  console.log(`Closed: ${printable(describeClose(socket.closed))}`);
  const failure = closeFailure(socket.closed);
  if (failure) throw failure;
});
