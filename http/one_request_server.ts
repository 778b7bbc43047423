/**
 * An HTTP server on a TCP socket: it accepts one connection, parses one request, sends a file, closes, and accepts the next.
 *
 * Look at `respond`: a response is a status line, some fields, an empty line and a body, all of them bytes. While the server
 * is busy with one client, all others wait. Try it: connect with `nc 127.0.0.1 8080`, send nothing, and start a second
 * client. `file_server.ts` serves many clients at once.
 *
 * This terminal: `deno run -N=127.0.0.1 -R=http http/one_request_server.ts`. The other:
 * `deno run -N=127.0.0.1 http/raw_client.ts`, or a browser. Both at once: `deno task http:raw`.
 * RFC 9112 (the messages), RFC 9110 (what they mean). API: Deno.listen, Deno.open.
 *
 * @module
 */
import { contentType } from "jsr:@std/media-types@1/content-type";
import { bind, Failure, flag, onStop, printable, run, seconds, serverOptions, text } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { type Client, Clients } from "../tcp/_clients.ts";
import { drainAndClose } from "../tcp/_drain_and_close.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { isAllowedHost } from "./_allowed_host.ts";
import { authorityOf } from "./_authority.ts";
import { requestFraming } from "./_body.ts";
import { concat } from "./_concat.ts";
import { encodeResponse, Fields, headLength, MessageError, parseRequest, type RequestHead } from "./_message.ts";
import { folderPath, parseTargetPath } from "./_path.ts";
import { reasonPhrase } from "./_reason_phrase.ts";
import { MISDIRECTED } from "./_response.ts";
import { FileError, findFileOrIndex, namedFolder, openChecked, readMore, realFolder, type Site } from "./_site.ts";

/** Receives one request and responds to it. `hostname` is the address that the server listens on. */
async function exchange(client: Client, site: Site, hostname: string): Promise<void> {
  const { conn, name } = client;
  let line = "";
  try {
    const request = await receive(conn);
    if (request === undefined) return console.log(`${name} closed the connection without a request`);
    line = `${request.method} ${request.target}`;
    const status = await respond(client, request, site, hostname);
    console.log(`${name} "${printable(line)}" ${status} ${reasonPhrase(status)}`);
  } catch (error) {
    if (!(error instanceof MessageError || error instanceof FileError)) throw error;
    const { status, message } = error;
    console.log(`${name} "${printable(line)}" ${status} ${reasonPhrase(status)}: ${message}`);
    await sendText(conn, line.startsWith("HEAD "), status, `${message}\n`);
  }
  await drainAndClose(conn);
}

/** Reads until the empty line that ends the head of a request. The head may come in any number of pieces. */
async function receive(conn: Deno.TcpConn): Promise<RequestHead | undefined> {
  const reader = new BufferedReader(conn);
  while (await reader.fill()) {
    const length = headLength(reader.unread);
    if (length >= 0) return parseRequest(reader.unread.subarray(0, length));
  }
  if (reader.unread.length === 0) return undefined;
  throw new MessageError(400, "the client closed the connection before the end of the request head");
}

/** Responds to a request. Returns the status code of the response. */
async function respond(client: Client, request: RequestHead, site: Site, hostname: string): Promise<number> {
  const { conn } = client;
  requestFraming(request); // the body is ignored, but ambiguous framing is still an error
  const isHead = request.method === "HEAD";
  if (!isAllowedHost(authorityOf(request), hostname)) {
    return await sendText(conn, isHead, 421, `${MISDIRECTED}\n`);
  }
  if (request.method !== "GET" && !isHead) return await sendText(conn, isHead, 405, "", [["Allow", "GET, HEAD"]]);
  const segments = parseTargetPath(request.target);
  const found = await findFileOrIndex(site, segments);
  if (found && "folder" in found && segments.at(-1) !== "") {
    const location = folderPath(segments);
    return await sendText(conn, isHead, 301, `see ${location}\n`, [["Location", location]]);
  }
  const opened = found && "path" in found ? await openChecked(found) : undefined;
  if (!opened) return await sendText(conn, isHead, 404, "there is no such file here\n");

  using file = opened.file;
  const name = segments.at(-1) || "index.html";
  const fields = new Fields([
    ["Date", new Date().toUTCString()],
    ["Content-Type", contentType(name.slice(name.lastIndexOf("."))) ?? "application/octet-stream"],
    ["Content-Length", `${opened.info.size}`],
    ["Connection", "close"],
  ]);
  await writeAll(conn, encodeResponse({ status: 200, reason: "OK", fields }));
  if (!isHead) await sendFile(client, file, opened.info.size, name);
  return 200;
}

/** Sends the content of a file as the body; `name` is its name in an error message. */
async function sendFile(client: Client, file: Deno.FsFile, size: number, name: string): Promise<void> {
  const buffer = new Uint8Array(16_384);
  for (let left = size; left > 0;) {
    const n = await readMore(file, buffer.subarray(0, Math.min(left, buffer.length)));
    // Content-Length is already sent: only an early close tells the client that the body is incomplete.
    if (n === null) {
      throw new Failure(`did not get all of ${printable(name)}: the file became shorter while it was sent`);
    }
    await writeAll(client.conn, buffer.subarray(0, n));
    client.idleTicks = 0;
    left -= n;
  }
}

/** Sends a response whose body is its status and a line of text. Returns the status code. */
async function sendText(
  conn: Deno.TcpConn,
  isHead: boolean,
  status: number,
  line: string,
  more: [string, string][] = [],
): Promise<number> {
  const reason = reasonPhrase(status);
  const body = new TextEncoder().encode(`${status} ${reason}\n${line}`);
  const fields = new Fields([
    ["Date", new Date().toUTCString()],
    ["Content-Type", "text/plain; charset=UTF-8"],
    ["Content-Length", `${body.length}`],
    ...more,
    ["Connection", "close"],
  ]);
  const head = encodeResponse({ status, reason, fields });
  await writeAll(conn, isHead ? head : concat([head, body])); // the response to HEAD has no body (RFC 9110 §9.3.2)
  return status;
}

const command = {
  name: "one_request_server",
  about: "Serves the files of a folder over HTTP, one request at a time, with every byte written by hand.",
  run: "deno run -N=127.0.0.1 -R=http http/one_request_server.ts",
  args: "[FOLDER]",
  examples: [
    "deno task one-request-server",
    "deno task one-request-server --once --trace http/site",
  ],
  options: {
    ...serverOptions(8080, ""),
    "timeout": seconds(10, "how long a request may take, and a client may be idle; 0: no limit"),
    "root": text("", "the folder whose files are served, as FOLDER; default: a small sample site", "DIR"),
    "dotfiles": flag("also serve files whose names start with a dot"),
  },
};

await run(command, async (flags) => {
  const site: Site = {
    root: await realFolder(namedFolder(flags) ?? sampleSite()),
    dotfiles: flags.dotfiles,
    followSymlinks: false,
  };
  const clients = new Clients({ ...flags, "max-clients": 1 });
  const listener = bind(flags, Deno.listen);
  onStop(() => clients.interrupt());
  announce("HTTP server", listener.addr);

  for await (const conn of clients.accept(listener)) {
    // Awaited: the next client is accepted when this one is done. In the meantime the kernel's queue holds it.
    await clients.serve(conn, (client) => exchange(client, site, listener.addr.hostname));
  }
  await clients.finished();
});

/** The path of the sample site, which is beside this file. */
function sampleSite(): string {
  const { dirname } = import.meta;
  if (dirname === undefined) {
    throw new Failure("give a folder: a script that is started by URL has no sample site beside it", 2);
  }
  return `${dirname}/site`;
}
