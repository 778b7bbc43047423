/**
 * A proxy's connection to an origin server: requests go out, responses come in, one after another.
 *
 * @module
 */
import { type Address, formatAddress, type Tracing, within } from "../cli.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { traced } from "../tcp/_trace.ts";
import { Body, encodeChunk, type Framing, responseFraming } from "./_body.ts";
import { decodeLatin1, encodeLatin1 } from "./_latin1.ts";
import { MessageError, parseResponse, type ResponseHead } from "./_message.ts";
import type { AllowedServers } from "./_proxy_allow.ts";
import { explainConnect } from "./_proxy_connect_error.ts";
import { ProxyError, type ProxyRequest, via } from "./_proxy_request.ts";
import { readHead } from "./_read_head.ts";

/** The settings of a proxy that concern its connections to servers. */
export interface OriginSettings extends Tracing {
  readonly "wait": number;
  readonly "origin-timeout": number;
  /** How many connections without a request stay open; 0: each ends with its response. */
  readonly "max-idle": number;
}

/** The most 1xx responses before the final one. */
const MAX_INTERIM = 10;

/** The server has closed a connection that was idle, before anything of a response has come. */
export class IdleClosed extends ProxyError {
  constructor(name: string) {
    super(502, "connection_terminated", `${name} closed the connection that was kept open`);
  }
}

export class Origin implements Disposable {
  /** The server as the request has named it. */
  readonly to: Address;
  /** Its address, for messages. */
  readonly name: string;
  readonly conn: Deno.TcpConn;
  readonly #limit: number;
  readonly #isKept: boolean;
  readonly #reader: BufferedReader;
  #isOpen = true;
  #isIdle = false;
  /** Whether it has carried an exchange before. */
  #isOld = false;
  /** The read that notices the end of an idle connection: it becomes the first of the next response. */
  #waiting: Promise<boolean> | undefined;
  /** What has passed of this exchange, and whether another one may follow it. */
  #isSent = false;
  #hasBegun = false;
  #isComplete = false;
  #mayFollow = false;

  private constructor(conn: Deno.TcpConn, to: Address, name: string, settings: OriginSettings) {
    conn.setNoDelay(true);
    this.conn = conn;
    this.to = to;
    this.name = name;
    this.#limit = settings["origin-timeout"];
    this.#isKept = settings["max-idle"] > 0;
    this.#reader = new BufferedReader(conn, 65_536, 16_384);
  }

  /** Connects to the server of a request. @throws {ProxyError} 403, 502, 503 or 504 */
  static async connect(to: Address, allowed: AllowedServers, settings: OriginSettings): Promise<Origin> {
    const until = Date.now() + settings.wait * 1000;
    const name = to.hostname.startsWith("[") ? `${to.hostname}:${to.port}` : formatAddress(to);
    const hosts = allowed.hostsOf(to);
    for (let i = 0;; i = (i + 1) % hosts.length) {
      const hostname = hosts[i] ?? "";
      try {
        const signal = settings["origin-timeout"] > 0
          ? AbortSignal.timeout(settings["origin-timeout"] * 1000)
          : undefined;
        const conn = await Deno.connect({ hostname, port: to.port, signal });
        try {
          allowed.check(hostname, conn.localAddr, conn.remoteAddr);
        } catch (error) {
          conn.close();
          throw error;
        }
        return new Origin(traced(conn, settings), to, name, settings);
      } catch (error) {
        // localhost has two addresses. A server may listen on the second one alone.
        if (i < hosts.length - 1 && codeOf(error) === "ECONNREFUSED") continue;
        if (codeOf(error) !== "ECONNREFUSED" || Date.now() >= until) {
          throw explainConnect(error, name, settings["origin-timeout"]);
        }
        await new Promise((again) => setTimeout(again, 50));
      }
    }
  }

  /**
   * Sends a request, and its body as it arrives from the client. A server that stops reading may have responded: that is no
   * error here. Anything else that goes wrong with the body ends the connection, for the request is not complete.
   */
  async send(request: ProxyRequest, self: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    const { method, target, fields, framing } = request;
    [this.#isSent, this.#hasBegun, this.#isComplete] = [false, false, false];
    let head = `${method} ${target} HTTP/1.1\r\n`;
    for (const [name, value] of [...fields, via(request, self)]) head += `${name}: ${value}\r\n`;
    if (framing.kind === "chunked") head += "Transfer-Encoding: chunked\r\n";
    // POST and the like without a body say so (RFC 9110 §8.6).
    if (framing.kind === "length") head += `Content-Length: ${framing.length}\r\n`;
    else if (framing.kind === "none" && /^(POST|PUT|PATCH)$/.test(method)) head += "Content-Length: 0\r\n";
    if (!this.#isKept) head += "Connection: close\r\n";
    await this.#write(encodeLatin1(`${head}\r\n`));
    try {
      for await (const data of body) await this.#write(framing.kind === "chunked" ? encodeChunk(data) : data);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    if (framing.kind === "chunked") await this.#write(encodeChunk(new Uint8Array()));
    this.#isSent = true;
  }

  /** Writes all bytes, as fast as the server takes them. */
  async #write(data: Uint8Array): Promise<void> {
    const late = () => this.#fail(504, "http_response_timeout", `took nothing for ${this.#limit} s`);
    try {
      for (let rest = data; rest.length > 0;) {
        rest = rest.subarray(await within(this.#limit, this.conn.write(rest), late));
      }
    } catch (error) {
      if (!["ECONNRESET", "ECONNABORTED", "EPIPE"].includes(codeOf(error))) throw error;
    }
  }

  /**
   * Receives the head of the final response; `sent` ends when the request is sent, and only then the server's time begins.
   * `onInterim` gets those before it (1xx), which are for the client, too (RFC 9110 §15.2).
   */
  async receiveHead(
    request: ProxyRequest,
    sent: Promise<void>,
    onInterim: (head: ResponseHead) => Promise<void>,
  ): Promise<ResponseHead> {
    for (let interim = 0; interim <= MAX_INTERIM; interim++) {
      const received = this.#receiveHead();
      received.catch(() => {});
      await Promise.race([received, sent]); // if the client fails in its body, that is what is thrown
      const late = () => this.#fail(504, "http_response_timeout", `sent no response in ${this.#limit} s`);
      const head = await within(this.#limit, received, late);
      if (head.status >= 200) {
        this.#mayFollow = mayFollow(request, head);
        return head;
      }
      if (head.status === 101) this.#fail(502, "http_protocol_error", "switched protocols, which nobody had asked for");
      await onInterim(head);
    }
    return this.#fail(502, "http_protocol_error", `sent more than ${MAX_INTERIM} interim responses (1xx)`);
  }

  async #receiveHead(): Promise<ResponseHead> {
    try {
      const isOver = await this.#waiting === false;
      this.#waiting = undefined;
      const parse = (bytes: Uint8Array) => parseResponse(bytes, decodeLatin1);
      const head = isOver ? undefined : await readHead(this.#reader, parse, () => this.#hasBegun = true);
      if (head) return head;
    } catch (error) {
      if (error instanceof MessageError) this.#fail(502, "http_protocol_error", `broke the protocol: ${error.message}`);
      if (!["ECONNRESET", "ECONNABORTED"].includes(codeOf(error))) throw error;
    }
    if (this.#isOld && !this.#hasBegun) throw new IdleClosed(this.name);
    return this.#fail(502, "http_response_incomplete", "closed the connection before its response was complete");
  }

  /** How the body of a response is delimited. @throws {ProxyError} 502 when that is ambiguous, or compressed for the transfer. */
  framingOf(response: ResponseHead, method: string): Framing {
    try {
      const framing = responseFraming(response, method);
      const coding = response.fields.get("transfer-encoding");
      // The proxy sends no TE: a server may use chunked, and no other transfer coding (RFC 9110 §10.1.4).
      this.#isComplete = framing.kind === "none";
      if (framing.kind === "none" || coding === undefined || /^chunked$/i.test(coding)) return framing;
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.#fail(502, "http_protocol_error", `broke the protocol: ${error.message}`);
    }
    return this.#fail(502, "http_response_transfer_coding", "uses a transfer coding that nobody had asked for");
  }

  /** The data of the body as it arrives, as views that are valid until the next. @throws {ProxyError} when it is not complete. */
  async *body(framing: Framing): AsyncGenerator<Uint8Array> {
    const body = new Body(framing);
    const late = () => this.#fail(504, "http_response_timeout", `sent nothing for ${this.#limit} s`);
    try {
      while (!body.done) {
        const parts: Uint8Array[] = [];
        this.#reader.consume(body.push(this.#reader.unread, (data) => parts.push(data)));
        for (const part of parts) yield part;
        if (!body.done && !await within(this.#limit, this.#reader.fill(), late)) body.end();
      }
      this.#isComplete = framing.kind !== "close";
    } catch (error) {
      if (error instanceof MessageError) this.#fail(502, "http_response_incomplete", error.message);
      if (!["ECONNRESET", "ECONNABORTED"].includes(codeOf(error))) throw error;
      this.#fail(502, "http_response_incomplete", "reset the connection in the middle of its response");
    }
  }

  /** Whether the next request may go on this connection. Bytes behind the response are none that anybody has asked for. */
  get isReusable(): boolean {
    return this.#isSent && this.#isComplete && this.#mayFollow && this.#reader.unread.length === 0;
  }

  /** Waits for the next request. `onEnd` is called when the server closes the connection, or sends something unasked. */
  rest(onEnd: () => void): void {
    this.#isIdle = this.#isOld = true;
    this.#waiting = this.#reader.fill();
    const ended = () => this.#isIdle && onEnd();
    this.#waiting.then(ended, ended);
  }

  /** Ends the rest. */
  wake(): void {
    this.#isIdle = false;
  }

  #fail(status: number, type: string, what: string): never {
    throw new ProxyError(status, type, `${this.name} ${what}`);
  }

  [Symbol.dispose](): void {
    if (this.#isIdle) return; // it is kept for the next request
    if (this.#isOpen) this.conn.close();
    this.#isOpen = false;
  }
}

/**
 * Whether another exchange may follow on the connection (RFC 9112 §9.3). Two schemes of authentication hold for a connection and
 * not for a request: after them, the next client would be taken for this one.
 */
function mayFollow({ fields }: ProxyRequest, response: ResponseHead): boolean {
  if (response.minor === 0 || response.fields.lists("connection", "close")) return false;
  const schemes = `${fields.get("authorization") ?? ""},${response.fields.get("www-authenticate") ?? ""}`;
  return !/(^|,) *(ntlm|negotiate)\b/i.test(schemes);
}
