/**
 * Both sides of a proxy under check: the browser that asks it, and the origin server that it asks.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { Body, requestFraming } from "../../http/_body.ts";
import { concat } from "../../http/_concat.ts";
import { headLength, MessageError, parseRequest, type RequestHead } from "../../http/_message.ts";
import { ask, type Response } from "./_http_peer.ts";
import { Peer } from "./_peer.ts";
import { step } from "./_record.ts";
import { fail, Gone, type Server } from "./_suite.ts";

/** A request as the origin server gets it from the proxy. */
export interface OriginRequest extends RequestHead {
  readonly body: Uint8Array;
}

/** What the origin server sends: a whole response, or pieces of one. */
export type Reply = string | Uint8Array | AsyncIterable<string | Uint8Array>;

/** The origin server of one check. It closes each connection after its response, and says so. */
export class Origin implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #peers = new Set<Peer>();
  /** What the proxy has asked. */
  readonly requests: OriginRequest[] = [];
  /** What is wrong with a request of the proxy. */
  #fault = "";

  /** `reply` is called with each request and its number, from 1. */
  constructor(reply: (request: OriginRequest, number: number) => Reply) {
    this.#serve(reply).catch(() => {}); // the check is over
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** The URL of a path on this server. */
  url(path = "/"): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  async #serve(reply: (request: OriginRequest, number: number) => Reply): Promise<void> {
    for await (const conn of this.#listener) {
      const peer = new Peer(conn);
      step("this is the proxy's connection to the origin server");
      this.#peers.add(peer);
      this.#exchange(peer, reply).catch(() => {}).finally(() => {
        this.#peers.delete(peer);
        peer.close();
      });
    }
  }

  async #exchange(peer: Peer, reply: (request: OriginRequest, number: number) => Reply): Promise<void> {
    const request = await this.#receive(peer);
    if (!request) return;
    this.requests.push(request);
    const answer = reply(request, this.requests.length);
    const pieces = typeof answer === "string" || answer instanceof Uint8Array ? [answer] : answer;
    for await (const piece of pieces) await peer.send(piece);
    await peer.end();
    await peer.upTo(65_536); // whatever the proxy still sends, so that no reset overtakes the response
  }

  async #receive(peer: Peer): Promise<OriginRequest | undefined> {
    let bytes: Uint8Array = new Uint8Array();
    const more = async () => {
      const some = await peer.some("send the request to the origin server");
      bytes = concat([bytes, some]);
      return some.length > 0;
    };
    try {
      let length = headLength(bytes);
      while (length < 0) {
        if (!await more()) return undefined;
        length = headLength(bytes);
      }
      const head = parseRequest(bytes.subarray(0, length));
      bytes = bytes.subarray(length);
      const parts: Uint8Array[] = [];
      for (const body = new Body(requestFraming(head));;) {
        bytes = bytes.subarray(body.push(bytes, (data) => parts.push(data.slice())));
        if (body.done) return { ...head, body: concat(parts) };
        if (!await more()) body.end();
      }
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.#fault ||= `${printable(new TextDecoder().decode(bytes.subarray(0, 60)))}: ${error.message}`;
      await peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return undefined;
    }
  }

  /** Fails if the proxy has sent a malformed request. */
  mustBeWhole(): void {
    if (this.#fault) {
      fail("a request to the origin server as RFC 9112 §3 has it", this.#fault, "check what you send on");
    }
  }

  /** The last request. Fails if there was none. */
  last(hint: string): OriginRequest {
    this.mustBeWhole();
    return this.requests.at(-1) ?? fail("a request to the origin server", "none", hint);
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const peer of this.#peers) peer.close();
  }
}

/** A response of the origin server; `fields` are lines such as `ETag: "1"`. */
export function answer(body: string | Uint8Array, fields: readonly string[] = [], status = "200 OK"): Uint8Array {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const length = status.startsWith("304") ? [] : [`Content-Length: ${bytes.length}`];
  const head = [`HTTP/1.1 ${status}`, `Date: ${new Date().toUTCString()}`, ...length, ...fields, "Connection: close"];
  return concat([new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`), bytes]);
}

/** What the browser asks for. */
export interface Asked {
  readonly method?: string;
  readonly fields?: readonly string[];
  readonly body?: string;
  readonly host?: string;
}

/** The request of a browser that uses a proxy. */
export function requestFor(url: string, { method = "GET", fields = [], body = "", host }: Asked = {}): string {
  const lines = [`${method} ${url} HTTP/1.1`, `Host: ${host ?? new URL(url).host}`, ...fields];
  if (body !== "") lines.push(`Content-Length: ${new TextEncoder().encode(body).length}`);
  return [...lines, "Connection: close", "", body].join("\r\n");
}

/** Asks the proxy for a URL of the origin server. */
export async function browse(server: Server, origin: Origin, path: string, hint: string, asked: Asked = {}) {
  const response = await ask(server, requestFor(origin.url(path), asked), hint, asked.method);
  origin.mustBeWhole();
  return response ?? fail("a response", "the end of the connection", hint);
}

/** The body of a response as text. */
export const textOf = ({ body }: Response): string => new TextDecoder().decode(body);

/** Asks, and expects 200 with this body. */
export async function expects(
  server: Server,
  origin: Origin,
  path: string,
  wanted: string,
  hint: string,
  asked: Asked = {},
): Promise<Response> {
  const response = await browse(server, origin, path, hint, asked);
  if (response.head.status !== 200) fail("status 200", `status ${response.head.status}`, hint);
  if (textOf(response) !== wanted) fail(`"${wanted}"`, `"${printable(textOf(response).slice(0, 100))}"`, hint);
  return response;
}

/** Fails unless the origin server has been asked so often. */
export function asked(origin: Origin, times: number, hint: string): void {
  const got = origin.requests.length;
  if (got !== times) {
    fail(`${times} request${times === 1 ? "" : "s"} to the origin server`, `${got}`, hint);
  }
}

/** Reads a response to its end, and says whether it is complete, for those that must not be. */
export async function readRaw(peer: Peer, hint: string): Promise<{ bytes: Uint8Array; isReset: boolean }> {
  let bytes: Uint8Array = new Uint8Array();
  try {
    while (true) {
      const some = await peer.some(hint);
      if (some.length === 0) return { bytes, isReset: false };
      bytes = concat([bytes, some]);
    }
  } catch (error) {
    if (error instanceof Gone) return { bytes, isReset: true };
    throw error;
  }
}
