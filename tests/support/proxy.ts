/**
 * What the tests of the proxy share: origin servers that say exactly what a test wants, and requests byte by byte.
 *
 * @module
 */
import { BufferedReader } from "../../tcp/_buffered_reader.ts";
import { writeAll } from "../../tcp/_write_all.ts";
import { Body, requestFraming, responseFraming } from "../../http/_body.ts";
import { decodeLatin1 } from "../../http/_latin1.ts";
import { parseRequest, parseResponse, type RequestHead, type ResponseHead } from "../../http/_message.ts";
import { readHead } from "../../http/_read_head.ts";
import { listening } from "./helpers.ts";
import type { Program } from "./program.ts";

const encoder = new TextEncoder();

/** A request as an origin server has received it. */
export interface Received extends RequestHead {
  readonly body: string;
}

/** What an origin server sends: bytes, or pieces of them with whatever happens in between. */
export type Reply = string | Uint8Array | AsyncIterable<string | Uint8Array>;

/** An origin server of a test. It closes each connection after its response. */
export interface TestOrigin extends Disposable {
  readonly port: number;
  readonly at: string;
  readonly requests: Received[];
}

/** Starts an origin server on 127.0.0.1. `reply` is called with each request, and its number. */
export function startOrigin(reply: (request: Received, number: number) => Reply): TestOrigin {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const requests: Received[] = [];
  const serve = async (conn: Deno.TcpConn) => {
    try {
      const reader = new BufferedReader(conn);
      const head = await readHead(reader, (bytes) => parseRequest(bytes));
      if (!head) return;
      const request = { ...head, body: await readBody(reader, new Body(requestFraming(head))) };
      requests.push(request);
      const answer = reply(request, requests.length);
      const pieces = typeof answer === "string" || answer instanceof Uint8Array ? [answer] : answer;
      for await (const piece of pieces) await writeAll(conn, typeof piece === "string" ? encoder.encode(piece) : piece);
      await conn.closeWrite();
      while (await conn.read(new Uint8Array(4096)) !== null);
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError) throw error; // a bug of the test, and not of the network
    } finally {
      conn.close();
    }
  };
  (async () => {
    for await (const conn of listener) serve(conn);
  })().catch(() => {}); // closed by the test
  const { port } = listener.addr;
  return { port, at: `http://127.0.0.1:${port}`, requests, [Symbol.dispose]: () => listener.close() };
}

async function readBody(reader: BufferedReader, body: Body): Promise<string> {
  let text = "";
  while (true) {
    reader.consume(body.push(reader.unread, (data) => text += decodeLatin1(data)));
    if (body.done) return text;
    if (!await reader.fill()) body.end();
  }
}

/** A response with a length. */
export const respond = (body: string, ...fields: string[]): string =>
  ["HTTP/1.1 200 OK", `Content-Length: ${encoder.encode(body).length}`, ...fields, "", body].join("\r\n");

/** Starts the proxy. It may use the whole network: what it connects to is its own doing. */
export async function startProxy(...args: string[]): Promise<{ program: Program; port: number }> {
  return await listening((port) => ["deno", "run", "-N", "http/proxy_server.ts", "--port", `${port}`, ...args]);
}

/** A connection to a proxy, with requests and responses one after another. */
export class ProxyPeer implements Disposable {
  readonly conn: Deno.TcpConn;
  readonly reader: BufferedReader;

  private constructor(conn: Deno.TcpConn) {
    this.conn = conn;
    this.reader = new BufferedReader(conn);
  }

  static async connect(port: number): Promise<ProxyPeer> {
    return new ProxyPeer(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async send(text: string | Uint8Array): Promise<void> {
    await writeAll(this.conn, typeof text === "string" ? encoder.encode(text) : text);
  }

  /** Reads the head of the next response. */
  async head(): Promise<ResponseHead> {
    const head = await readHead(this.reader, (bytes) => parseResponse(bytes, decodeLatin1));
    if (!head) throw new Error("the proxy closed the connection without a response");
    return head;
  }

  /** Reads the next final response. */
  async response(method = "GET"): Promise<ResponseHead & { body: string }> {
    let head = await this.head();
    while (head.status < 200) head = await this.head();
    return { ...head, body: await readBody(this.reader, new Body(responseFraming(head, method))) };
  }

  [Symbol.dispose](): void {
    this.conn.close();
  }
}

/** A request for a proxy. */
export const absolute = (url: string, ...fields: string[]): string =>
  [`GET ${url} HTTP/1.1`, `Host: ${new URL(url).host}`, ...fields, "", ""].join("\r\n");

/** Asks a proxy for a URL, on a connection of its own. */
export async function ask(port: number, url: string, ...fields: string[]): Promise<ResponseHead & { body: string }> {
  using peer = await ProxyPeer.connect(port);
  await peer.send(absolute(url, ...fields));
  return await peer.response();
}

/** What Cache-Status says, without the name of the proxy. */
export const said = ({ fields }: ResponseHead): string => fields.get("cache-status")?.replace(/^[^;]*; /, "") ?? "";
