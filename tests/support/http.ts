/**
 * What the tests of HTTP share: file servers, requests byte by byte, and servers with a prepared response.
 *
 * @module
 */
import { Fields } from "../../http/_message.ts";
import type { WebRequest } from "../../http/_web_connection.ts";
import { writeAll } from "../../tcp/_write_all.ts";
import { listening } from "./helpers.ts";
import type { Program } from "./program.ts";

/** A file server for a folder of the test's own. It may read everything: that it gives out only the folder is its own doing. */
export async function serveFolder(
  folder: string,
  ...args: string[]
): Promise<{ program: Program; port: number; at: string }> {
  return await serveFolderBy(["deno"], "http/file_server.ts", folder, ...args);
}

/** Serves a folder by this script, started by a command that limits it. */
export async function serveFolderBy(deno: string[], script: string, folder: string, ...args: string[]) {
  const flags = ["run", "-N=127.0.0.1", "-R", script, "--root", folder, ...args];
  const started = await listening((port) => [...deno, ...flags, "--port", `${port}`]);
  return { ...started, at: `http://127.0.0.1:${started.port}` };
}

export async function folderOf(files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const [name, content] of Object.entries(files)) {
    if (name.includes("/")) await Deno.mkdir(`${folder}/${name.replace(/\/[^/]*$/, "")}`, { recursive: true });
    if (!name.endsWith("/")) {
      await Deno.writeFile(
        `${folder}/${name}`,
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      );
    }
  }
  return folder;
}

/** Sends bytes and returns all that comes back until the end of the connection. */
export async function raw(port: number, request: string | Uint8Array): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const bytes = typeof request === "string" ? new TextEncoder().encode(request) : request;
  let all = "";
  const buffer = new Uint8Array(65536);
  try {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      all += new TextDecoder().decode(buffer.subarray(0, n));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  return all;
}

export const get = (path: string, more = "") =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${more}\r\n`;

/** Serves one response after another, a connection each, and keeps the requests. */
export function canned(...responses: string[]): { port: number; requests: string[]; [Symbol.dispose](): void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const requests: string[] = [];
  (async () => {
    for await (const conn of listener) {
      let request = "";
      const buffer = new Uint8Array(65536);
      // Head and body may come apart: a body of the promised length follows the empty line.
      const whole = () => {
        const [head = "", body] = request.split("\r\n\r\n");
        return body !== undefined && body.length >= Number(/^Content-Length: (\d+)$/mi.exec(head)?.[1] ?? 0);
      };
      while (!whole()) {
        const n = await conn.read(buffer);
        if (n === null) break;
        request += new TextDecoder().decode(buffer.subarray(0, n));
      }
      requests.push(request);
      const response = responses[requests.length - 1] ?? "";
      await writeAll(conn, new TextEncoder().encode(response.replaceAll("{port}", `${listener.addr.port}`)));
      conn.close();
    }
  })().catch(() => {}); // closed by the test
  return { port: listener.addr.port, requests, [Symbol.dispose]: () => listener.close() };
}

/** A request as a handler of the web server gets it. */
export function webRequest(request: Request): WebRequest {
  const url = new URL(request.url);
  return {
    ...{ method: request.method, target: url.pathname + url.search, minor: 1, url },
    fields: new Fields([...request.headers]),
    body: request.body ?? (async function* () {})(),
    left: () => new Promise(() => {}),
  };
}
