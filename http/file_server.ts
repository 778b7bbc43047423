/**
 * A server for the files of a folder, as one would run it: many clients at once on connections that stay open, caches that
 * ask before they fetch again, downloads that go on where they broke off, compression, and a page that lists a folder.
 *
 * Look at `serve`: one connection carries request after request, and the bytes of the next may come together with those of
 * this one, so what is left in the buffer is never thrown away. It stands on `Deno.listen` and `message.ts`, as
 * `one_request_server.ts` does, and not on `Deno.serve`, which does not tell a slow client from an honest one: it has no
 * limit on the time that a request may take to arrive. (`rest/server.ts` shows `Deno.serve`.)
 *
 * ```sh
 * deno run -N=127.0.0.1 -R=. http/file_server.ts                       # the folder you are in
 * deno run -N -R -S=networkInterfaces http/file_server.ts --host 0.0.0.0 --root ~/site   # for other machines
 * ```
 *
 * Then, in a second terminal: `deno run -N=127.0.0.1 http/fetch_client.ts`, or a browser. Both at once:
 * `deno task http:files`.
 *
 * RFC 9110 (semantics; §13 conditions, §14 ranges), RFC 9112 §9 (connections). API: Deno.listen, Deno.open.
 *
 * @module
 */
import { STATUS_TEXT } from "jsr:@std/http@1/status";
import {
  announce,
  bind,
  Failure,
  onStop,
  printable,
  run,
  seconds,
  serverOptions,
  text,
  toggle,
  whole,
} from "../cli.ts";
import { type Client, Clients } from "../tcp/clients.ts";
import { traced } from "../tcp/trace.ts";
import { requestFraming } from "./body.ts";
import { type Answer, answerTo, describe, type Field, headOf, sizeOf } from "./answer.ts";
import { today } from "./clock.ts";
import type { Range } from "./conditions.ts";
import { Files } from "./files.ts";
import { linger } from "../tcp/linger.ts";
import { AccessLog } from "./log.ts";
import { concat, headLength, MessageError, parseRequest, type RequestHead } from "./message.ts";
import { realFolder } from "./target.ts";

const command = {
  name: "file_server",
  about: "Serves the files of a folder over HTTP.",
  run: "deno run -N=127.0.0.1 -R=. http/file_server.ts",
  options: {
    ...serverOptions(8000, ""),
    "timeout": seconds(30, "how long a request may take to arrive, and a client may be silent; 0: no limit"),
    "root": text(".", "the folder whose files are served", "DIR"),
    "dotfiles": toggle("serve names that start with a dot, too"),
    "follow-symlinks": toggle("serve what symbolic links lead to outside of the folder, too"),
    "cors": toggle("let scripts of every web site read the files"),
    "quiet": toggle("no access log"),
    "max-clients": whole(10_000, "clients at one time; more wait for their turn", 1, 1_000_000),
  },
};

/** Up to here a head and a body go out in one write, in bytes. */
const ONE_WRITE = 65536;
/** How much of a file is in memory while it is sent, in bytes. */
const BUFFER = 262144;
/** The fields that make a GET more than a plain one. */
const conditional = ["range", "if-none-match", "if-modified-since", "if-match", "if-unmodified-since"];

/** The state of a connection: whether it waits for a request, and whether a part of one has come. */
interface Connection {
  waiting: boolean;
  halfway: boolean;
}

await run(command, async (flags) => {
  const site = {
    root: await realFolder(flags.root),
    dotfiles: flags.dotfiles,
    followSymlinks: flags["follow-symlinks"],
  };
  const files = new Files(site);
  const log = new AccessLog(!flags.quiet);
  const listener = bind({ hostname: flags.host, port: flags.port }, (addr) => Deno.listen(addr));
  const connections = new Map<Client, Connection>();
  const clients = new Clients({ max: flags["max-clients"], idle: flags.timeout, log: () => {}, late });
  onStop(() => {
    clients.stop(listener);
    for (const [client, { waiting, halfway }] of connections) if (waiting && !halfway) clients.close(client);
  });
  announce("File server", listener.addr);

  while (true) {
    const conn = await clients.next(() => listener.accept());
    if (conn === undefined) break;
    const served = clients.serve(flags.trace ? traced(conn, flags.trace) : conn, serve);
    if (!flags.once) continue;
    clients.stop(listener);
    await served;
    break;
  }
  await clients.finished();
  log.flush();

  /** Serves the requests of one connection, in their order, until one side has had enough. */
  async function serve(client: Client): Promise<void> {
    const { conn } = client;
    const connection = { waiting: true, halfway: false };
    connections.set(client, connection);
    conn.setNoDelay(true);
    let buffer = new Uint8Array(2048);
    let got = 0;
    try {
      while (true) {
        const length = headLength(buffer.subarray(0, got));
        if (length < 0) {
          if (got === buffer.length) buffer = concat(buffer, new Uint8Array(buffer.length));
          const n = await conn.read(buffer.subarray(got));
          if (n === null) return;
          got += n;
          connection.halfway = true;
          continue;
        }
        const request = parseRequest(buffer.subarray(0, length));
        const framing = requestFraming(request);
        connection.waiting = false;
        client.quiet = 0;
        const keep = framing.kind === "none" && !clients.stopping &&
          (request.minor === 1
            ? !request.fields.lists("connection", "close")
            : request.fields.lists("connection", "keep-alive"));
        buffer.copyWithin(0, length, got);
        got -= length;
        if (!await respond(client, request, keep) || clients.stopping) return await linger(conn);
        client.quiet = 0;
        connection.waiting = true;
        connection.halfway = got > 0;
      }
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      // What follows a malformed request cannot be told from the rest of it: this was the last on this connection.
      await refuse(client, error.status, error.message);
      await linger(conn);
    } finally {
      connections.delete(client);
    }
  }

  /** Answers one request; false when the connection is not to be used for another. */
  async function respond(client: Client, request: RequestHead, keep: boolean): Promise<boolean> {
    const { method, target, minor, fields } = request;
    const plain = keep && method === "GET" && minor === 1 && !flags.cors &&
      !conditional.some((name) => fields.has(name));
    const file = plain ? files.quick(target, fields.get("accept-encoding")) : undefined;
    if (file?.body && file.body.length <= ONE_WRITE) {
      // The same bytes as a moment ago, but for the date.
      const date = today();
      if (file.wire?.date !== date) {
        const head = headOf({ status: 200, fields: describe(file), body: [file.body] }, {
          minor,
          keep,
          cors: flags.cors,
        });
        file.wire = { date, bytes: concat(head, file.body) };
      }
      await put(client, file.wire.bytes);
      log.add(client.conn.remoteAddr.hostname, request, 200, file.size);
      return true;
    }
    const answer = await answerTo(request, files, flags.cors);
    using _file = answer.file;
    await send(client, request, answer, keep);
    return keep;
  }

  async function send(client: Client, request: RequestHead, answer: Answer, keep: boolean): Promise<void> {
    const head = headOf(answer, { minor: request.minor, keep, cors: flags.cors });
    const parts = request.method === "HEAD" ? [] : answer.body;
    const size = sizeOf(parts);
    const [bytes] = parts;
    if (parts.length <= 1 && !(bytes && "start" in bytes) && size <= ONE_WRITE) {
      await put(client, bytes ? concat(head, bytes) : head);
    } else {
      await put(client, head);
      for (const part of parts) {
        if (part instanceof Uint8Array) await put(client, part);
        else if (answer.file) await sendRange(client, answer.file, part, request.target);
      }
    }
    log.add(client.conn.remoteAddr.hostname, request, answer.status, size);
  }

  /** Writes all of it. A client is not silent as long as it takes something, be it little. */
  async function put(client: Client, data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length;) {
      at += await client.conn.write(data.subarray(at));
      client.quiet = 0;
    }
  }

  /** Sends a part of a file, a buffer at a time: as fast as the client takes it, and never more of it in memory. */
  async function sendRange(client: Client, file: Deno.FsFile, { start, end }: Range, target: string): Promise<void> {
    const buffer = new Uint8Array(Math.min(BUFFER, end - start + 1));
    await file.seek(start, Deno.SeekMode.Start);
    for (let left = end - start + 1; left > 0;) {
      const n = await file.read(buffer.subarray(0, Math.min(left, buffer.length)));
      if (n === null) {
        // The length has been promised: all that is left to say that this is not the whole is to close before.
        console.error(`file_server: ${printable(target)} became shorter while it was sent`);
        throw new Failure("the file became shorter while it was sent");
      }
      await put(client, buffer.subarray(0, n));
      left -= n;
    }
  }

  /** Says what was wrong with a request, or with its absence. */
  async function refuse(client: Client, status: number, why: string): Promise<void> {
    const fields: Field[] = [["Content-Type", "text/plain; charset=UTF-8"]];
    const body = new TextEncoder().encode(`${status} ${STATUS_TEXT[status]}: ${why}\n`);
    log.add(client.conn.remoteAddr.hostname, undefined, status, body.length);
    await put(
      client,
      concat(headOf({ status, fields, body: [body] }, { minor: 1, keep: false, cors: flags.cors }), body),
    );
  }

  /** A client that took too long: inside of a request it is told so (RFC 9110 §15.5.9), between two there is nothing to say. */
  async function late(client: Client): Promise<void> {
    const connection = connections.get(client);
    if (connection?.waiting && connection.halfway) await refuse(client, 408, `no request in ${flags.timeout} s`);
  }
});
