/**
 * A proxy's connection to one client: requests come in, responses go out, and both bodies pass as they arrive.
 *
 * @module
 */
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import type { Client } from "../tcp/_clients.ts";
import { Body, encodeChunk, type Framing, requestFraming } from "./_body.ts";
import { httpDate } from "./_clock.ts";
import { concat } from "./_concat.ts";
import { evaluatePreconditions } from "./_conditions.ts";
import { parseDate } from "./_date.ts";
import { decodeLatin1, encodeLatin1 } from "./_latin1.ts";
import { parseRequest, type RequestHead, type ResponseHead, wantsKeepAlive } from "./_message.ts";
import type { ProxyError } from "./_proxy_request.ts";
import type { Stored } from "./_proxy_cache.ts";
import { reasonPhrase } from "./_reason_phrase.ts";
import { readHead } from "./_read_head.ts";

/** The largest body that goes in one write with its head. */
const MAX_SINGLE_WRITE = 65_536;

export class ProxyClient {
  readonly client: Client;
  readonly reader: BufferedReader;
  /** Whether it may be closed at once, or is owed a response. */
  state: "idle" | "receiving" | "responding" = "idle";
  /** The request that is being answered. */
  #request: RequestHead | undefined;
  #upload = new Body({ kind: "none" });
  #keepAlive = false;
  #isChunked = false;
  /** Whether the head of the final response has been sent: then no other response can be. */
  hasBegun = false;
  isTunnel = false;
  /** The status and the size of the response, for the log. */
  status = 0;
  bytes = 0;

  constructor(client: Client) {
    client.conn.setNoDelay(true);
    this.client = client;
    this.reader = new BufferedReader(client.conn, 65_536, 2048);
  }

  /** Receives the head of the next request; `undefined` at the end of the connection. @throws {MessageError} */
  async receive(): Promise<RequestHead | undefined> {
    this.state = "idle";
    this.#request = undefined;
    [this.hasBegun, this.#keepAlive, this.#isChunked, this.status, this.bytes] = [false, false, false, 0, 0];
    const onBytes = () => this.state = "receiving";
    const request = await readHead(this.reader, (head) => parseRequest(head, decodeLatin1), onBytes);
    // Known before anything else happens: the body of a request that is refused must not be taken for the next request.
    if (request) this.#upload = new Body(requestFraming(request));
    this.#request = request;
    this.state = "responding";
    this.client.idleTicks = -Infinity; // it is the proxy's turn, or the server's, which has a limit of its own
    return request;
  }

  /** The data of the body of the request, as it arrives. @throws {MessageError} when it is malformed, or not complete. */
  async *body(): AsyncGenerator<Uint8Array> {
    const upload = this.#upload;
    while (!upload.done) {
      const parts: Uint8Array[] = [];
      this.reader.consume(upload.push(this.reader.unread, (data) => parts.push(data)));
      for (const part of parts) yield part;
      if (upload.done) break;
      this.client.idleTicks = 0;
      if (!await this.reader.fill()) upload.end();
    }
    this.client.idleTicks = -Infinity;
  }

  /** Whether the next bytes are those of the next request: the body of this one was passed on, or has arrived completely. */
  #isAtNextRequest(): boolean {
    if (!this.#upload.done) this.reader.consume(this.#upload.push(this.reader.unread, () => {}));
    return this.#upload.done;
  }

  /** Sends an interim response (1xx). HTTP/1.0 does not have them. */
  async sendInterim({ status, reason, fields }: ResponseHead): Promise<void> {
    if (this.#request?.minor === 1) await this.#write(encodeLatin1(`${headOf(status, reason, fields)}\r\n`));
  }

  /** Opens a tunnel: from here on, nothing on this connection is HTTP (RFC 9110 §9.3.6). Returns what has come behind the request. */
  async startTunnel(): Promise<Uint8Array> {
    this.isTunnel = true;
    this.#begin(200);
    await this.#write(encodeLatin1("HTTP/1.1 200 Connection Established\r\n\r\n"));
    this.client.idleTicks = 0;
    return this.reader.unread.slice();
  }

  /**
   * Starts a response that is passed on. `framing` is that of the server's response: a body without a length goes in chunks, or
   * up to the end of the connection. `more` are further field lines; `last`: this is the last response of the connection.
   */
  async start({ status, reason, fields }: ResponseHead, more: string, framing: Framing, last: boolean): Promise<void> {
    const isOpenEnded = framing.kind === "chunked" || framing.kind === "close";
    this.#isChunked = isOpenEnded && this.#request?.minor === 1;
    this.#keepAlive = !last && !(isOpenEnded && !this.#isChunked) && this.#request !== undefined &&
      wantsKeepAlive(this.#request);
    const coding = this.#isChunked ? "Transfer-Encoding: chunked\r\n" : "";
    this.#begin(status);
    await this.#write(encodeLatin1(`${headOf(status, reason, fields)}${more}${coding}${this.#connection()}\r\n`));
  }

  /** Sends some of the body of the response. */
  async send(data: Uint8Array): Promise<void> {
    this.bytes += data.length;
    if (data.length > 0) await this.#write(this.#isChunked ? encodeChunk(data) : data);
  }

  /** Ends the body of the response. */
  async end(): Promise<void> {
    if (this.#isChunked) await this.#write(encodeChunk(new Uint8Array()));
  }

  /** Sends a stored response; or 304, if the client's own copy is the same (RFC 9111 §4.3.2). `more` is, for example, its Age. */
  async sendStored(stored: Stored, more: string, last: boolean): Promise<void> {
    const request = this.#request;
    this.#keepAlive = !last && request !== undefined && wantsKeepAlive(request);
    const tail = `${more}${this.#connection()}\r\n`;
    if (request && isCurrent(request, stored)) {
      this.#begin(304);
      const fields = [...stored.fields].filter(([name]) => !/^(content-(?!location)|age$)/i.test(name));
      return await this.#write(encodeLatin1(headOf(304, reasonPhrase(304), fields) + tail));
    }
    this.#begin(stored.status);
    const head = concat([stored.head, encodeLatin1(tail)]);
    const body = request?.method === "HEAD" ? stored.body.subarray(0, 0) : stored.body;
    this.bytes = body.length;
    if (body.length <= MAX_SINGLE_WRITE) return await this.#write(concat([head, body]));
    await this.#write(head);
    await this.#write(body);
  }

  /** Sends a response of the proxy itself: why there is none of the server. */
  async sendError(
    { status, message }: { status: number; message: string },
    more: string,
    last: boolean,
  ): Promise<void> {
    const reason = reasonPhrase(status);
    await this.sendText(status, "text/plain; charset=UTF-8", `${status} ${reason}\n${message}\n`, more, last);
  }

  /** Sends a response of the proxy itself. */
  async sendText(status: number, type: string, text: string, more: string, last: boolean): Promise<void> {
    const request = this.#request;
    this.#keepAlive = !last && request !== undefined && wantsKeepAlive(request) && this.#isAtNextRequest();
    const body = new TextEncoder().encode(text);
    const fields: [string, string][] = [
      ["Date", httpDate()],
      ["Content-Type", type],
      ["Content-Length", `${body.length}`],
      ["X-Content-Type-Options", "nosniff"],
    ];
    this.#begin(status);
    const head = encodeLatin1(`${headOf(status, reasonPhrase(status), fields)}${more}${this.#connection()}\r\n`);
    const isHead = request?.method === "HEAD";
    this.bytes = isHead ? 0 : body.length;
    await this.#write(isHead ? head : concat([head, body]));
  }

  /** The response cannot be completed: only the end of the connection tells the client. */
  abort(): void {
    this.#keepAlive = false;
  }

  /** Whether the next request can be received: both bodies are complete, and both sides want it. */
  get canContinue(): boolean {
    return this.#keepAlive && this.#upload.done;
  }

  #begin(status: number): void {
    this.hasBegun = true;
    this.status = status;
  }

  #connection(): string {
    if (!this.#keepAlive) return "Connection: close\r\n";
    return this.#request?.minor === 0 ? "Connection: keep-alive\r\n" : "";
  }

  /** Writes all bytes. A client that takes none for a while is closed. */
  async #write(data: Uint8Array): Promise<void> {
    for (let rest = data; rest.length > 0;) {
      this.client.idleTicks = 0;
      rest = rest.subarray(await this.client.conn.write(rest));
    }
    this.client.idleTicks = this.state === "responding" ? -Infinity : 0;
  }
}

function headOf(status: number, reason: string, fields: Iterable<readonly [name: string, value: string]>): string {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (const [name, value] of fields) text += `${name}: ${value}\r\n`;
  return text;
}

/** Whether the client has the same copy, as its own conditions say. */
function isCurrent({ fields }: RequestHead, stored: Stored): boolean {
  if (stored.status !== 200) return false;
  const etag = stored.fields.get("etag");
  // Without Last-Modified, Date is the time to compare with.
  const modified = parseDate(stored.fields.get("last-modified") ?? stored.fields.get("date"));
  if (fields.has("if-none-match")) {
    return etag !== undefined && evaluatePreconditions(fields, { etag, modified: modified ?? 0 }) === 304;
  }
  return fields.has("if-modified-since") && modified !== undefined &&
    evaluatePreconditions(fields, { etag: etag ?? "", modified }) === 304;
}

/** The field that says why the proxy answers itself (RFC 9209). */
export const proxyStatus = (self: string, { type }: ProxyError): string => `Proxy-Status: ${self}; error=${type}\r\n`;
