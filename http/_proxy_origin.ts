/**
 * A proxy's connection to the origin server of one request.
 *
 * @module
 */
import { type Address, formatAddress, type Tracing, within } from "../cli.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { traced } from "../tcp/_trace.ts";
import { Body, encodeChunk, responseFraming } from "./_body.ts";
import { decodeLatin1, encodeLatin1 } from "./_latin1.ts";
import { MessageError, parseResponse, type ResponseHead } from "./_message.ts";
import type { AllowedServers } from "./_proxy_allow.ts";
import { ProxyError, type ProxyRequest, via } from "./_proxy_request.ts";
import { readHead } from "./_read_head.ts";

/** The settings of a proxy that concern its connections to servers. */
export interface OriginSettings extends Tracing {
  readonly "wait": number;
  readonly "origin-timeout": number;
}

/** The most 1xx responses before the final one. */
const MAX_INTERIM = 10;

export class Origin implements Disposable {
  /** Its address, for messages. */
  readonly name: string;
  readonly conn: Deno.TcpConn;
  readonly #limit: number;
  readonly #reader: BufferedReader;
  #isOpen = true;

  private constructor(conn: Deno.TcpConn, name: string, limit: number) {
    conn.setNoDelay(true);
    this.conn = conn;
    this.name = name;
    this.#limit = limit;
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
        return new Origin(traced(conn, settings), name, settings["origin-timeout"]);
      } catch (error) {
        // localhost has two addresses. A server may listen on the second one alone.
        if (i < hosts.length - 1 && codeOf(error) === "ECONNREFUSED") continue;
        if (codeOf(error) !== "ECONNREFUSED" || Date.now() >= until) throw explainConnect(error, name, settings);
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
    let head = `${method} ${target} HTTP/1.1\r\n`;
    for (const [name, value] of [...fields, via(request, self)]) head += `${name}: ${value}\r\n`;
    if (framing.kind === "chunked") head += "Transfer-Encoding: chunked\r\n";
    // POST and the like without a body say so (RFC 9110 §8.6).
    if (framing.kind === "length") head += `Content-Length: ${framing.length}\r\n`;
    else if (framing.kind === "none" && /^(POST|PUT|PATCH)$/.test(method)) head += "Content-Length: 0\r\n";
    await this.#write(encodeLatin1(`${head}Connection: close\r\n\r\n`));
    try {
      for await (const data of body) await this.#write(framing.kind === "chunked" ? encodeChunk(data) : data);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    if (framing.kind === "chunked") await this.#write(encodeChunk(new Uint8Array()));
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
  async receiveHead(sent: Promise<void>, onInterim: (head: ResponseHead) => Promise<void>): Promise<ResponseHead> {
    for (let interim = 0; interim <= MAX_INTERIM; interim++) {
      const received = this.#receiveHead();
      received.catch(() => {});
      await Promise.race([received, sent]); // if the client fails in its body, that is what is thrown
      const late = () => this.#fail(504, "http_response_timeout", `sent no response in ${this.#limit} s`);
      const head = await within(this.#limit, received, late);
      if (head.status >= 200) return head;
      if (head.status === 101) this.#fail(502, "http_protocol_error", "switched protocols, which nobody had asked for");
      await onInterim(head);
    }
    return this.#fail(502, "http_protocol_error", `sent more than ${MAX_INTERIM} interim responses (1xx)`);
  }

  async #receiveHead(): Promise<ResponseHead> {
    try {
      const head = await readHead(this.#reader, (bytes) => parseResponse(bytes, decodeLatin1));
      if (head) return head;
    } catch (error) {
      if (error instanceof MessageError) this.#fail(502, "http_protocol_error", `broke the protocol: ${error.message}`);
      if (!["ECONNRESET", "ECONNABORTED"].includes(codeOf(error))) throw error;
    }
    return this.#fail(502, "http_response_incomplete", "closed the connection before its response was complete");
  }

  /** How the body of a response is delimited. @throws {ProxyError} 502 when that is ambiguous, or compressed for the transfer. */
  framingOf(response: ResponseHead, method: string): ReturnType<typeof responseFraming> {
    try {
      const framing = responseFraming(response, method);
      const coding = response.fields.get("transfer-encoding");
      // The proxy sends no TE: a server may use chunked, and no other transfer coding (RFC 9110 §10.1.4).
      if (framing.kind === "none" || coding === undefined || /^chunked$/i.test(coding)) return framing;
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.#fail(502, "http_protocol_error", `broke the protocol: ${error.message}`);
    }
    return this.#fail(502, "http_response_transfer_coding", "uses a transfer coding that nobody had asked for");
  }

  /** The data of the body as it arrives, as views that are valid until the next. @throws {ProxyError} when it is not complete. */
  async *body(framing: ReturnType<typeof responseFraming>): AsyncGenerator<Uint8Array> {
    const body = new Body(framing);
    const late = () => this.#fail(504, "http_response_timeout", `sent nothing for ${this.#limit} s`);
    try {
      while (!body.done) {
        const parts: Uint8Array[] = [];
        this.#reader.consume(body.push(this.#reader.unread, (data) => parts.push(data)));
        for (const part of parts) yield part;
        if (!body.done && !await within(this.#limit, this.#reader.fill(), late)) body.end();
      }
    } catch (error) {
      if (error instanceof MessageError) this.#fail(502, "http_response_incomplete", error.message);
      if (!["ECONNRESET", "ECONNABORTED"].includes(codeOf(error))) throw error;
      this.#fail(502, "http_response_incomplete", "reset the connection in the middle of its response");
    }
  }

  #fail(status: number, type: string, what: string): never {
    throw new ProxyError(status, type, `${this.name} ${what}`);
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) this.conn.close();
    this.#isOpen = false;
  }
}

/** Why there is no connection to a server; a bug comes back unchanged. */
function explainConnect(error: unknown, name: string, settings: OriginSettings): unknown {
  if (error instanceof Deno.errors.NotCapable) {
    return new ProxyError(
      403,
      "http_request_denied",
      `the proxy may not use ${name}: start it with -N=${name} as well`,
    );
  }
  const fault = (status: number, type: string, what: string) => new ProxyError(status, type, `${name} ${what}`);
  switch (codeOf(error)) {
    case "ECONNREFUSED":
      return fault(502, "connection_refused", "refused the connection: is the server running?");
    case "ENOTFOUND":
      return fault(502, "dns_error", "has no address: check the name");
    case "ETIMEDOUT":
      return fault(504, "connection_timeout", `did not accept the connection in ${settings["origin-timeout"]} s`);
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EADDRNOTAVAIL":
      return fault(502, "destination_ip_unroutable", "cannot be reached from this machine");
    case "EMFILE":
    case "ENFILE":
      return fault(503, "proxy_internal_error", "was not connected: the proxy has no file descriptors left");
    case "ECONNRESET":
    case "ECONNABORTED":
      return fault(502, "connection_terminated", "reset the connection");
    default:
      return error;
  }
}
