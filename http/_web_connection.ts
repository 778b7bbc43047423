/**
 * One connection of a web server: its bytes become requests, and a `Response` of the Fetch standard becomes bytes.
 *
 * @module
 */
import { Failure } from "../cli.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import type { Client } from "../tcp/_clients.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { authorityOf } from "./_authority.ts";
import { Body, requestFraming } from "./_body.ts";
import { httpDate } from "./_clock.ts";
import { concat } from "./_concat.ts";
import { headLength, MessageError, parseRequest, type RequestHead, wantsKeepAlive } from "./_message.ts";
import { reasonPhrase } from "./_reason_phrase.ts";

const encoder = new TextEncoder();

/** Bytes of further requests that are read while the client waits for a response. */
const READ_AHEAD = 16_384;

/** A request. It is no `Request` of the Fetch standard: to build one takes a third of the time of a small exchange. */
export interface WebRequest extends RequestHead {
  readonly url: URL;
  /** The body, to be read once. The rest of one that is not read to its end is dropped. */
  readonly body: AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** Settles when the client has closed its side, or sends without end: a response must not wait for more then. */
  readonly left: () => Promise<void>;
}

/** The connection of one client. */
export class WebConnection {
  readonly client: Client;
  readonly #reader: BufferedReader;
  /** Whether it may be closed at once, or is owed a response. */
  state: "idle" | "receiving" | "responding" = "idle";
  /** The authority of the last request that was allowed. */
  authority: string | undefined;
  /** The body of the last request. */
  #body = new Body({ kind: "none" });
  /** A read that has begun while the client waits for its response. */
  #ahead: Promise<boolean> | undefined;

  constructor(client: Client) {
    client.conn.setNoDelay(true);
    this.client = client;
    this.#reader = new BufferedReader(client.conn, 65_536, 2048);
  }

  /** The client's address, for the log. */
  get hostname(): string {
    return this.client.conn.remoteAddr.hostname;
  }

  /** Reads the next request, up to the start of its body. Returns `undefined` at the end of the stream. @throws {MessageError} */
  async receive(): Promise<WebRequest | undefined> {
    const reader = this.#reader;
    this.state = reader.unread.length > 0 ? "receiving" : "idle";
    let length = headLength(reader.unread);
    while (length < 0) {
      if (!await this.#fill()) return undefined;
      this.state = "receiving";
      length = headLength(reader.unread);
    }
    const head = parseRequest(reader.unread.subarray(0, length));
    reader.consume(length);
    this.#body = new Body(requestFraming(head));
    // From here on it is the server's turn, or there is another limit: that of the body.
    this.state = "responding";
    this.client.idleTicks = -Infinity;
    return { ...head, url: urlOf(head), body: this.#receiveBody(head), left: () => this.#left(this.#body) };
  }

  /** The data of the body, as it arrives. @throws {MessageError} when it is malformed, or the client closes its side in it. */
  async *#receiveBody({ minor, fields }: RequestHead): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const reader = this.#reader;
    const body = this.#body;
    if (!body.done && reader.unread.length === 0 && minor === 1 && fields.lists("expect", "100-continue")) {
      // A client that asks for this sends the body only now (RFC 9110 §10.1.1).
      await writeAll(this.client.conn, encoder.encode("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    while (!body.done) {
      if (reader.unread.length === 0 && !await this.#fill()) body.end();
      const parts: Uint8Array<ArrayBuffer>[] = [];
      reader.consume(body.push(reader.unread, (data) => parts.push(data.slice())));
      yield* parts;
    }
  }

  #fill(): Promise<boolean> {
    const reading = this.#ahead ?? this.#reader.fill();
    this.#ahead = undefined;
    return reading;
  }

  /** Reads ahead until the client closes or resets, or has sent more than any next request has. */
  async #left(body: Body): Promise<void> {
    const isWaiting = () => this.#body === body && this.state === "responding";
    try {
      while (isWaiting() && this.#reader.unread.length < READ_AHEAD) {
        this.#ahead ??= this.#reader.fill();
        if (!await this.#ahead) return;
        if (isWaiting()) this.#ahead = undefined;
      }
    } catch {
      // what it was is told by the next read
    }
  }

  /** Whether the next bytes are those of the next request: the body of the last one was read, or has arrived completely. */
  #isAtNextRequest(): boolean {
    if (!this.#body.done) this.#reader.consume(this.#body.push(this.#reader.unread, () => {}));
    return this.#body.done;
  }

  /**
   * Sends the response to a request: as a stream if it says its length, or else in one write. Returns whether the connection
   * can be used again; `last`: it must not.
   */
  async send(response: Response, request: RequestHead | undefined, last: boolean): Promise<boolean> {
    const { status, headers } = response;
    // The rest of a body that was not wanted is not read.
    let keepAlive = !last && request !== undefined && wantsKeepAlive(request) && this.#isAtNextRequest();
    let length: number | undefined;
    let head = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`;
    for (const [name, value] of headers) {
      if (name === "connection") keepAlive = false;
      else head += `${name}: ${value}\r\n`;
      if (name === "content-length") length = Number(value);
    }
    // The Content-Type is true: browsers must not guess.
    head += `x-content-type-options: nosniff\r\ndate: ${httpDate()}\r\n`;
    if (!keepAlive) head += "connection: close\r\n";
    else if (request?.minor === 0) head += "connection: keep-alive\r\n";
    const isHead = request?.method === "HEAD";
    if (length === undefined) {
      const body = await response.bytes();
      if (status !== 204 && status !== 304) head += `content-length: ${body.length}\r\n`;
      const bytes = encoder.encode(`${head}\r\n`);
      await this.#write(isHead || body.length === 0 ? bytes : concat([bytes, body]));
    } else {
      await this.#write(encoder.encode(`${head}\r\n`)).catch((error) => {
        response.body?.cancel(); // which closes its file
        throw error;
      });
      if (isHead) await response.body?.cancel();
      else if (response.body) await this.#stream(response.body, length);
    }
    return keepAlive;
  }

  async #stream(body: ReadableStream<Uint8Array<ArrayBuffer>>, length: number): Promise<void> {
    let left = length;
    for await (const part of body) { // leaving the loop cancels the stream, which closes its file
      await this.#write(part.subarray(0, left));
      if ((left -= part.length) <= 0) return;
    }
    if (left > 0) throw new Failure("the content became shorter while it was sent");
  }

  /** Writes all bytes. Each write that makes progress resets the idle timeout, so a slow reader stays connected. */
  async #write(data: Uint8Array): Promise<void> {
    for (let rest = data; rest.length > 0;) {
      this.client.idleTicks = 0;
      rest = rest.subarray(await this.client.conn.write(rest));
    }
    this.client.idleTicks = 0;
  }
}

/** The URL of a request. @throws {MessageError} 400 when its host cannot be part of one: `1.2.3.4.5`, for example. */
function urlOf(head: RequestHead): URL {
  const path = head.target.replace(/^https?:\/\/[^/?]*/i, "");
  const url = URL.parse(`http://${authorityOf(head) || "localhost"}${path.startsWith("/") ? "" : "/"}${path}`);
  if (!url) throw new MessageError(400, "malformed Host field: it must be a name or an address, and perhaps a port");
  return url;
}
