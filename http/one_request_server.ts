/**
 * An HTTP server with nothing between you and the bytes: it takes one connection, parses one request, answers it with a
 * file, closes, and takes the next.
 *
 * Look at `answer`: a response is a status line, some fields, an empty line and a body, and all of it is bytes that this
 * script puts together. While it talks to one client, every other one waits, for as long as that client likes, up to
 * `--timeout`: connect with `nc 127.0.0.1 8080`, say nothing, and try another. `file_server.ts` is the same without that.
 *
 * ```sh
 * deno run -N=127.0.0.1 -R=http http/one_request_server.ts
 * deno run -N=127.0.0.1 -R=. http/one_request_server.ts --root .   # files of your own
 * ```
 *
 * Then, in a second terminal: `deno run -N=127.0.0.1 http/raw_client.ts`, or a browser. Both at once: `deno task http:raw`.
 *
 * RFC 9112 (the messages), RFC 9110 (what they mean). API: Deno.listen, Deno.open.
 *
 * @module
 */
import { contentType } from "jsr:@std/media-types@1/content-type";
import { STATUS_TEXT } from "jsr:@std/http@1/status";
import { announce, bind, Failure, onStop, printable, run, seconds, serverOptions, text, toggle } from "../cli.ts";
import { type Client, Clients } from "../tcp/clients.ts";
import { linger } from "../tcp/linger.ts";
import { traced } from "../tcp/trace.ts";
import { writeAll } from "../tcp/write_all.ts";
import { requestFraming } from "./body.ts";
import {
  concat,
  Fields,
  HEAD,
  headLength,
  MessageError,
  parseRequest,
  type RequestHead,
  writeResponse,
} from "./message.ts";
import { findPage, open, realFolder, segmentsOf, type Site, slashed } from "./target.ts";

const command = {
  name: "one_request_server",
  about: "Serves the files of a folder over HTTP, one request at a time, with every byte written by hand.",
  run: "deno run -N=127.0.0.1 -R=http http/one_request_server.ts",
  options: {
    ...serverOptions(8080, ""),
    "timeout": seconds(10, "how long a client has for its request, and may be silent while it reads; 0: no limit"),
    "root": text("", "the folder whose files are served; default: a small sample site", "DIR"),
    "dotfiles": toggle("serve names that start with a dot, too"),
  },
};

await run(command, async (flags) => {
  const root = flags.root || (import.meta.dirname === undefined ? "." : `${import.meta.dirname}/site`);
  const site: Site = { root: await realFolder(root), dotfiles: flags.dotfiles, followSymlinks: false };
  const listener = bind({ hostname: flags.host, port: flags.port }, (addr) => Deno.listen(addr));
  const clients = new Clients({ max: 1, idle: flags.timeout, log: console.log });
  onStop(() => clients.stop(listener));
  announce("HTTP server", listener.addr);

  while (true) {
    const conn = await clients.next(() => listener.accept());
    if (conn === undefined) break;
    if (flags.once) clients.stop(listener);
    // Awaited: the next client is accepted when this one is done. In the meantime the kernel's queue holds it.
    const worked = await clients.serve(flags.trace ? traced(conn, flags.trace) : conn, exchange);
    if (!flags.once) continue;
    if (!worked) Deno.exit(1);
    break;
  }
  await clients.finished();

  async function exchange(client: Client): Promise<void> {
    const { conn, name } = client;
    let said = "";
    try {
      const request = await receive(conn);
      if (request === undefined) return console.log(`${name} closed the connection without a request`);
      said = `${request.method} ${request.target}`;
      const status = await answer(client, request);
      console.log(`${name} "${printable(said)}" ${status} ${STATUS_TEXT[status]}`);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      console.log(`${name} "${printable(said)}" ${error.status} ${STATUS_TEXT[error.status]}: ${error.message}`);
      await respond(conn, said.startsWith("HEAD "), error.status, `${error.message}\n`);
    }
    await linger(conn);
  }

  /** Reads until the empty line that ends the head of a request. It may come in any number of pieces. */
  async function receive(conn: Deno.TcpConn): Promise<RequestHead | undefined> {
    const buffer = new Uint8Array(HEAD.section + HEAD.line);
    let got = 0;
    while (true) {
      const n = await conn.read(buffer.subarray(got));
      if (n === null && got === 0) return undefined;
      if (n === null) throw new MessageError(400, "the connection ended inside of a head");
      got += n;
      const length = headLength(buffer.subarray(0, got));
      if (length >= 0) return parseRequest(buffer.subarray(0, length));
    }
  }

  /** Answers a request; returns the status code that it answered with. */
  async function answer(client: Client, request: RequestHead): Promise<number> {
    const { conn } = client;
    requestFraming(request); // a body is not wanted, but one that is delimited in two ways is an error all the same
    const head = request.method === "HEAD";
    if (request.method !== "GET" && !head) return await respond(conn, head, 405, "", [["Allow", "GET, HEAD"]]);
    const segments = segmentsOf(request.target);
    const found = await findPage(site, segments);
    if (found && "folder" in found && segments.at(-1) !== "") {
      const location = slashed(segments);
      return await respond(conn, head, 301, `see ${location}\n`, [["Location", location]]);
    }
    const page = found && "path" in found ? found : undefined;
    const opened = page && await open(page);
    if (!opened) return await respond(conn, head, 404, "there is no such file here\n");

    using file = opened.file;
    const name = segments.at(-1) || "index.html";
    const fields = new Fields([
      ["Date", new Date().toUTCString()],
      ["Content-Type", contentType(name.slice(name.lastIndexOf("."))) ?? "application/octet-stream"],
      ["Content-Length", `${opened.info.size}`],
      ["Connection", "close"],
    ]);
    await writeAll(conn, writeResponse({ status: 200, reason: "OK", fields }));
    if (head) return 200;
    const buffer = new Uint8Array(16384);
    for (let left = opened.info.size; left > 0;) {
      const n = await file.read(buffer.subarray(0, Math.min(left, buffer.length)));
      // The length has been promised: all that is left to say that this is not the whole is to close before.
      if (n === null) throw new Failure(`${printable(page?.path ?? "")} became shorter while it was sent`);
      await writeAll(conn, buffer.subarray(0, n));
      client.quiet = 0;
      left -= n;
    }
    return 200;
  }

  /** Sends a response whose body is a line of text. */
  async function respond(
    conn: Deno.TcpConn,
    head: boolean,
    status: number,
    why: string,
    more: [string, string][] = [],
  ): Promise<number> {
    const reason = STATUS_TEXT[status] ?? "";
    const body = new TextEncoder().encode(`${status} ${reason}\n${why}`);
    const fields = new Fields([
      ["Date", new Date().toUTCString()],
      ["Content-Type", "text/plain; charset=UTF-8"],
      ["Content-Length", `${body.length}`],
      ...more,
      ["Connection", "close"],
    ]);
    const written = writeResponse({ status, reason, fields });
    await writeAll(conn, head ? written : concat(written, body));
    return status;
  }
});
