/**
 * A static file server with keep-alive, caching, ranges, compression and folder listings, for many clients at once.
 *
 * Look at `serve`: one connection carries many requests, and one `read` may return the start of the next one, so the rest of
 * the buffer is kept. It uses `Deno.listen` and not `Deno.serve`: `Deno.serve` sets no time limit for a request to arrive, so
 * slow clients can occupy it (Slowloris).
 *
 * This terminal: `deno run -N=127.0.0.1 -R=. http/file_server.ts`. The other: `deno run -N=127.0.0.1 http/fetch_client.ts`,
 * or a browser. Both at once: `deno task http:files`.
 * RFC 9110 (§13 conditions, §14 ranges), RFC 9112 §9 (connections). API: Deno.listen, Deno.open.
 *
 * @module
 */
import { bind, Failure, flag, integer, onStop, printable, run, seconds, serverOptions, text } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { type Client, Clients, maxClients } from "../tcp/_clients.ts";
import { drainAndClose } from "../tcp/_drain_and_close.ts";
import { certificateOf, certificateOptions, type StartTls, tlsStarter } from "../tcp/_server_certificate.ts";
import type { Stream } from "../tcp/_tls_server.ts";
import { AccessLog } from "./_access_log.ts";
import { isAllowedHost } from "./_allowed_host.ts";
import { authorityOf } from "./_authority.ts";
import { requestFraming } from "./_body.ts";
import { buildResponse } from "./_build_response.ts";
import { concat } from "./_concat.ts";
import type { Range } from "./_conditions.ts";
import { FileCache, MAX_SINGLE_WRITE } from "./_file_cache.ts";
import { headLength, MessageError, parseRequest, type RequestHead, wantsKeepAlive } from "./_message.ts";
import { encodeHead, type FileResponse, MISDIRECTED, sizeOf, statusPage } from "./_response.ts";
import { namedFolder, readMore, realFolder } from "./_site.ts";

/** Serves the requests of one connection in order, until one side closes it. */
async function serve(connection: Connection, server: Server): Promise<void> {
  const { client, stream } = connection;
  const reader = new BufferedReader(stream, 65_536, 2048);
  try {
    while (true) {
      connection.state = reader.unread.length > 0 ? "receiving" : "idle";
      let length = headLength(reader.unread);
      while (length < 0) {
        if (!await reader.fill()) return;
        connection.state = "receiving";
        length = headLength(reader.unread);
      }
      const request = parseRequest(reader.unread.subarray(0, length));
      reader.consume(length); // what is behind it is the start of the next request
      connection.state = "responding";
      client.idleTicks = 0;
      // This server has no use for a body. It does not read one, so what follows it is not read either.
      const keepAlive = requestFraming(request).kind === "none" && wantsKeepAlive(request) && !server.clients.stopping;
      await respond(connection, server, request, keepAlive);
      client.idleTicks = 0;
      if (!keepAlive || server.clients.stopping) return await drainAndClose(stream);
    }
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    // After a malformed request, the start of the next one is unknown: send the error and close.
    await sendError(connection, server, error.status, error.message);
    await drainAndClose(stream);
  }
}

/** Responds to one request. */
async function respond(
  connection: Connection,
  server: Server,
  request: RequestHead,
  keepAlive: boolean,
): Promise<void> {
  const { cache, log } = server;
  const { hostname } = connection.client.conn.remoteAddr;
  const authority = authorityOf(request);
  const isAllowed = authority === connection.authority || isAllowedHost(authority, server.hostname);
  if (isAllowed) connection.authority = authority;
  const cached = isAllowed && keepAlive ? cache.response(request) : undefined;
  if (cached) {
    await write(connection, cached.bytes);
    return log.add(hostname, request, 200, cached.size);
  }
  const response = isAllowed ? await buildResponse(request, cache) : statusPage(421, [], MISDIRECTED);
  using _file = response.file;
  const head = encodeHead(response, { minor: request.minor, keepAlive, cors: cache.cors });
  const body = request.method === "HEAD" ? [] : response.body;
  await send(connection, head, body, response.file, request.target);
  log.add(hostname, request, response.status, sizeOf(body), response.why);
}

/** Sends a head and a body; `target` is its name in an error message. */
async function send(
  connection: Connection,
  head: Uint8Array,
  body: FileResponse["body"],
  file: Deno.FsFile | undefined,
  target: string,
): Promise<void> {
  const [first] = body;
  if (body.length <= 1 && (!first || (first instanceof Uint8Array && first.length <= MAX_SINGLE_WRITE))) {
    return await write(connection, first ? concat([head, first]) : head);
  }
  await write(connection, head);
  for (const part of body) {
    if (part instanceof Uint8Array) await write(connection, part);
    else if (file) await sendRange(connection, file, part, target);
  }
}

/** Sends a range of a file, a buffer at a time: as fast as the client reads, and never more of it in memory. */
async function sendRange(connection: Connection, file: Deno.FsFile, { start, end }: Range, target: string) {
  const buffer = new Uint8Array(Math.min(BUFFER_SIZE, end - start + 1));
  await file.seek(start, Deno.SeekMode.Start);
  for (let left = end - start + 1; left > 0;) {
    const n = await readMore(file, buffer.subarray(0, Math.min(left, buffer.length)));
    if (n === null) {
      // Content-Length is already sent: only an early close tells the client that the body is incomplete.
      console.error(`file_server: ${printable(target)} became shorter while it was sent, or unreadable`);
      throw new Failure("the file became shorter while it was sent");
    }
    await write(connection, buffer.subarray(0, n));
    left -= n;
  }
}

/** Writes all bytes. Each write that makes progress resets the idle timeout, so a slow reader stays connected. */
async function write({ client, stream, isTls }: Connection, data: Uint8Array): Promise<void> {
  // Under TLS a write ends when all of it is sent, so a record at a time shows the progress (RFC 8446 §5.1).
  const most = isTls ? 16_384 : Infinity;
  for (let rest = data; rest.length > 0;) {
    rest = rest.subarray(await stream.write(rest.length > most ? rest.subarray(0, most) : rest));
    client.idleTicks = 0;
  }
}

/** Sends an error response: the request was malformed, or it did not arrive in time. */
async function sendError(connection: Connection, { log, cache }: Server, status: number, why: string): Promise<void> {
  const response = statusPage(status, [], why);
  const head = encodeHead(response, { minor: 1, keepAlive: false, cors: cache.cors });
  log.addFault(connection.client.conn.remoteAddr.hostname, why, status, sizeOf(response.body));
  await send(connection, head, response.body, undefined, "");
}

/** One client's connection. */
interface Connection {
  readonly client: Client;
  /** What carries the requests and responses: the TCP connection, or TLS on it. */
  readonly stream: Stream;
  readonly isTls: boolean;
  /** Whether it may be closed at once, or is owed a response. */
  state: "idle" | "receiving" | "responding";
  /** The authority of the last request that was allowed. */
  authority: string | undefined;
}

/** Opens the connection of a client, with its TLS handshake if there is a certificate. */
async function open(client: Client, { startTls, log }: Server): Promise<Connection> {
  const { conn } = client;
  conn.setNoDelay(true);
  const rest = { client, isTls: startTls !== undefined, state: "idle", authority: undefined } as const;
  if (!startTls) return { ...rest, stream: conn };
  try {
    return { ...rest, stream: await startTls(conn) };
  } catch (error) {
    if (error instanceof Failure) log.addFault(conn.remoteAddr.hostname, error.message);
    throw error;
  }
}

/** What the connections of one server share. */
interface Server {
  readonly clients: Clients;
  readonly cache: FileCache;
  readonly log: AccessLog;
  readonly connections: Map<Client, Connection>;
  /** The address that it listens on. */
  readonly hostname: string;
  /** Does the server's part of a TLS handshake, if there is a certificate. */
  readonly startTls: StartTls | undefined;
}

/** How much of a file is in memory while it is sent, in bytes. */
const BUFFER_SIZE = 262_144;

const command = {
  name: "file_server",
  about: "Serves the files of a folder over HTTP.",
  run: "deno run -N=127.0.0.1 -R=. http/file_server.ts",
  args: "[FOLDER]",
  examples: [
    "deno task file-server http/site",
    "deno task file-server --port 8001 --trace http/site",
  ],
  groups: { "TLS": ["cert", "key", "self-signed"] },
  options: {
    ...serverOptions(8000, ""),
    "timeout": seconds(30, "how long a request may take, and a client may be idle; 0: no limit"),
    "root": text("", "the folder whose files are served, as FOLDER", "DIR"),
    "dotfiles": flag("also serve files whose names start with a dot"),
    "follow-symlinks": flag("follow symbolic links that lead outside the folder"),
    "cors": flag("let scripts of every web site read the files"),
    "max-age": integer(0, "seconds that a cache may use a file without asking", 0, 31_536_000),
    "quiet": flag("no access log"),
    ...certificateOptions,
    "max-clients": maxClients(10_000),
  },
};

await run(command, async (flags) => {
  const root = await realFolder(namedFolder(flags) ?? ".");
  const site = { root, dotfiles: flags.dotfiles, followSymlinks: flags["follow-symlinks"] };
  const pair = await certificateOf(flags, "fetch-client --ca");
  const clients = new Clients(flags, {
    // The access log has what is worth a line about a client: such a line begins with an address.
    log: (line) => /^[\d[]/.test(line) || console.log(line),
    descriptors: 2, // the connection, and a file that is too large for the cache
    async onIdle(client) {
      // Between two requests there is nothing to say. Inside one it is 408 (RFC 9110 §15.5.9).
      const connection = server.connections.get(client);
      if (connection?.state !== "receiving") return;
      await sendError(connection, server, 408, `the request was not complete after ${flags.timeout} s`);
    },
    onInterrupt() {
      for (const [client, { state }] of server.connections) if (state === "idle") clients.close(client);
    },
  });
  const listener = bind(flags, Deno.listen);
  onStop(() => clients.interrupt());
  const server: Server = {
    ...{
      clients,
      cache: new FileCache(site, flags.cors, flags["max-age"]),
      log: new AccessLog(!flags.quiet),
      connections: new Map(),
    },
    ...{ hostname: listener.addr.hostname, startTls: pair && await tlsStarter(pair) },
  };
  announce(pair ? "File server with TLS" : "File server", listener.addr);

  for await (const conn of clients.accept(listener)) {
    clients.serve(conn, async (client) => {
      const connection = await open(client, server);
      server.connections.set(client, connection);
      await serve(connection, server).finally(() => server.connections.delete(client));
    });
  }
  await clients.finished();
  server.log.flush();
});
