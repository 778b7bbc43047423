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
import { bind, Failure, flag, onStop, printable, run, seconds, serverOptions, text } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { type Client, Clients, maxClients } from "../tcp/_clients.ts";
import { drainAndClose } from "../tcp/_drain_and_close.ts";
import { AccessLog } from "./_access_log.ts";
import { requestFraming } from "./_body.ts";
import { buildResponse } from "./_build_response.ts";
import { concat } from "./_concat.ts";
import type { Range } from "./_conditions.ts";
import { FileCache, MAX_SINGLE_WRITE } from "./_file_cache.ts";
import { headLength, MessageError, parseRequest, type RequestHead } from "./_message.ts";
import { encodeHead, type FileResponse, sizeOf, statusPage } from "./_response.ts";
import { realFolder } from "./_site.ts";

/** Serves the requests of one connection in order, until one side closes it. */
async function serve(client: Client, server: Server): Promise<void> {
  const { conn } = client;
  conn.setNoDelay(true);
  const reader = new BufferedReader(conn, 65_536, 2048);
  try {
    while (true) {
      server.states.set(client, reader.unread.length > 0 ? "receiving" : "idle");
      let length = headLength(reader.unread);
      while (length < 0) {
        if (!await reader.fill()) return;
        server.states.set(client, "receiving");
        length = headLength(reader.unread);
      }
      const request = parseRequest(reader.unread.subarray(0, length));
      reader.consume(length); // what is behind it is the start of the next request
      server.states.set(client, "responding");
      client.idleTicks = 0;
      // This server has no use for a body. It does not read one, so what follows it is not read either.
      const keepAlive = requestFraming(request).kind === "none" && wantsKeepAlive(request) && !server.clients.stopping;
      await respond(client, server, request, keepAlive);
      client.idleTicks = 0;
      if (!keepAlive || server.clients.stopping) return await drainAndClose(conn);
    }
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    // After a malformed request, the start of the next one is unknown: send the error and close.
    await sendError(client, server, error.status, error.message);
    await drainAndClose(conn);
  } finally {
    server.states.delete(client);
  }
}

/** Whether the client wants to send more requests on this connection: by default in HTTP/1.1 (RFC 9112 §9.3). */
const wantsKeepAlive = ({ minor, fields }: RequestHead) =>
  minor === 1 ? !fields.lists("connection", "close") : fields.lists("connection", "keep-alive");

/** Responds to one request. */
async function respond(client: Client, server: Server, request: RequestHead, keepAlive: boolean): Promise<void> {
  const { cache, log } = server;
  const cached = keepAlive ? cache.response(request) : undefined;
  if (cached) {
    await write(client, cached.bytes);
    return log.add(client.conn.remoteAddr.hostname, request, 200, cached.size);
  }
  const response = await buildResponse(request, cache);
  using _file = response.file;
  const head = encodeHead(response, { minor: request.minor, keepAlive, cors: cache.cors });
  const body = request.method === "HEAD" ? [] : response.body;
  await send(client, head, body, response.file, request.target);
  log.add(client.conn.remoteAddr.hostname, request, response.status, sizeOf(body));
}

/** Sends a head and a body; `target` is its name in an error message. */
async function send(
  client: Client,
  head: Uint8Array,
  body: FileResponse["body"],
  file: Deno.FsFile | undefined,
  target: string,
): Promise<void> {
  const [first] = body;
  if (body.length <= 1 && (!first || (first instanceof Uint8Array && first.length <= MAX_SINGLE_WRITE))) {
    return await write(client, first ? concat([head, first]) : head);
  }
  await write(client, head);
  for (const part of body) {
    if (part instanceof Uint8Array) await write(client, part);
    else if (file) await sendRange(client, file, part, target);
  }
}

/** Sends a range of a file, a buffer at a time: as fast as the client reads, and never more of it in memory. */
async function sendRange(client: Client, file: Deno.FsFile, { start, end }: Range, target: string): Promise<void> {
  const buffer = new Uint8Array(Math.min(BUFFER_SIZE, end - start + 1));
  await file.seek(start, Deno.SeekMode.Start);
  for (let left = end - start + 1; left > 0;) {
    const n = await file.read(buffer.subarray(0, Math.min(left, buffer.length)));
    if (n === null) {
      // Content-Length is already sent: only an early close tells the client that the body is incomplete.
      console.error(`file_server: ${printable(target)} became shorter while it was sent`);
      throw new Failure("the file became shorter while it was sent");
    }
    await write(client, buffer.subarray(0, n));
    left -= n;
  }
}

/** Writes all bytes. Each write that makes progress resets the idle timeout, so a slow reader stays connected. */
async function write(client: Client, data: Uint8Array): Promise<void> {
  for (let written = 0; written < data.length;) {
    written += await client.conn.write(data.subarray(written));
    client.idleTicks = 0;
  }
}

/** Sends an error response: the request was malformed, or it did not arrive in time. */
async function sendError(client: Client, { log, cache }: Server, status: number, why: string): Promise<void> {
  const response = statusPage(status, [], why);
  const head = encodeHead(response, { minor: 1, keepAlive: false, cors: cache.cors });
  log.add(client.conn.remoteAddr.hostname, undefined, status, sizeOf(response.body));
  await send(client, head, response.body, undefined, "");
}

/** What the connections of one server share. */
interface Server {
  readonly clients: Clients;
  readonly cache: FileCache;
  readonly log: AccessLog;
  /** What each connection is doing: whether it may be closed at once, or is owed a response. */
  readonly states: Map<Client, "idle" | "receiving" | "responding">;
}

/** How much of a file is in memory while it is sent, in bytes. */
const BUFFER_SIZE = 262_144;

const command = {
  name: "file_server",
  about: "Serves the files of a folder over HTTP.",
  run: "deno run -N=127.0.0.1 -R=. http/file_server.ts",
  options: {
    ...serverOptions(8000, ""),
    "timeout": seconds(30, "how long a request may take, and a client may be idle; 0: no limit"),
    "root": text(".", "the folder whose files are served", "DIR"),
    "dotfiles": flag("also serve files whose names start with a dot"),
    "follow-symlinks": flag("follow symbolic links that lead outside the folder"),
    "cors": flag("let scripts of every web site read the files"),
    "quiet": flag("no access log"),
    "max-clients": maxClients(10_000),
  },
};

await run(command, async (flags) => {
  const root = await realFolder(flags.root);
  const site = { root, dotfiles: flags.dotfiles, followSymlinks: flags["follow-symlinks"] };
  const clients = new Clients(flags, {
    log: () => {}, // the access log has what is worth a line
    descriptors: 2, // the connection, and a file that is too large for the cache
    async onIdle(client) {
      // Between two requests there is nothing to say. Inside one it is 408 (RFC 9110 §15.5.9).
      if (server.states.get(client) !== "receiving") return;
      await sendError(client, server, 408, `the request was not complete after ${flags.timeout} s`);
    },
    onInterrupt() {
      for (const [client, state] of server.states) if (state === "idle") clients.close(client);
    },
  });
  const log = new AccessLog(!flags.quiet);
  const server: Server = { clients, cache: new FileCache(site, flags.cors), log, states: new Map() };
  onStop(() => clients.interrupt());
  const listener = bind(flags, Deno.listen);
  announce("File server", listener.addr);

  for await (const conn of clients.accept(listener)) clients.serve(conn, (client) => serve(client, server));
  await clients.finished();
  log.flush();
});
