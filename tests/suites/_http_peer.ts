/**
 * The client of an HTTP server under check.
 *
 * @module
 */
import { Body, responseFraming } from "../../http/_body.ts";
import { concat } from "../../http/_concat.ts";
import { MessageError, parseResponse, type ResponseHead } from "../../http/_message.ts";
import { formatAddress } from "../../cli.ts";
import { Peer } from "./_peer.ts";
import { byHand } from "./_record.ts";
import { fail, Gone, inTime, limits, quote, type Server } from "./_suite.ts";

/** A GET request; `more` are further field lines. */
export const get = (more = "", target = "/", version = "HTTP/1.1") =>
  `GET ${target} ${version}\r\nHost: localhost\r\n${more}\r\n`;
/** A GET request after which the server closes the connection. */
export const last = get("Connection: close\r\n");
/** A GET request for this target, after which the server closes the connection. */
export const once = (target: string) => get("Connection: close\r\n", target);

/** A complete response. */
export interface Response {
  readonly head: ResponseHead;
  readonly body: Uint8Array;
  /** Whether a line of its head ends in LF alone. One check asks for that; the others accept it. */
  readonly bareLf: boolean;
}

/** A client of the server under check: sends bytes, and parses the responses. */
export class HttpPeer {
  #unread = new Uint8Array();
  #bareLf = false;

  private constructor(readonly peer: Peer, readonly server: Server) {}

  static async connect(server: Server): Promise<HttpPeer> {
    return new HttpPeer(await Peer.connect(server), server);
  }

  async send(text: string | Uint8Array): Promise<void> {
    if (typeof text === "string" && text.length > 10 && text.length < 1000) {
      byHand(`printf '${escaped(text)}' | nc ${formatAddress(this.server).replace(/:(\d+)$/, " $1")}`);
    }
    await this.peer.send(text);
  }

  /** Reads the response to a request with this method; `undefined` if the connection ends or is reset before it. */
  async response(method: string, hint: string): Promise<Response | undefined> {
    while (true) {
      const head = await this.#head(hint);
      if (head === undefined) return undefined;
      if (head.status >= 200) return { head, body: await this.#body(head, method), bareLf: this.#bareLf };
    }
  }

  /** Reads what follows the last response; nothing if the connection ends there. */
  async rest(hint: string): Promise<Uint8Array> {
    return this.#unread.length > 0 ? this.#unread : await this.#more(hint);
  }

  /** Reads what follows a response that should be the last, for half a second at most. */
  async trailing(): Promise<Uint8Array> {
    if (this.#unread.length > 0) return this.#unread;
    return await inTime(this.#more("").catch(() => new Uint8Array()), Math.min(500, limits.patience)) ??
      new Uint8Array();
  }

  async #head(hint: string): Promise<ResponseHead | undefined> {
    while (true) {
      if (this.#unread.length > 0) this.#mustBeHttp();
      const length = headEnd(this.#unread);
      if (length > 0) {
        const bytes = this.#unread.subarray(0, length);
        this.#unread = this.#unread.slice(length);
        return this.#parse(bytes);
      }
      if (this.#unread.length > 100_000) {
        fail("a head, and an empty line after it", quote(this.#unread), "send an empty line after the last field");
      }
      const more = await this.#more(hint);
      if (more.length === 0 && this.#unread.length > 0) {
        fail(
          "a head that ends in an empty line",
          `the end of the connection after ${quote(this.#unread)}`,
          "send \\r\\n after each line of the head, and once more before the body",
        );
      }
      if (more.length === 0) return undefined;
      this.#unread = concat([this.#unread, more]);
    }
  }

  #mustBeHttp(): void {
    const start = new TextEncoder().encode("HTTP/");
    const wrong = start.findIndex((byte, i) => i < this.#unread.length && byte !== this.#unread[i]);
    if (wrong < 0) return;
    fail(
      "a response that begins with a status line, such as HTTP/1.1 200 OK",
      quote(this.#unread),
      "send HTTP/1.1 200 OK, the fields, an empty line, and only then the body; nothing between two responses",
    );
  }

  #parse(bytes: Uint8Array): ResponseHead {
    const text = new TextDecoder("latin1").decode(bytes);
    if (/(?<!\r)\n/.test(text)) this.#bareLf = true;
    const lines = Uint8Array.from(text.replace(/\r?\n/g, "\r\n"), (char) => char.charCodeAt(0));
    try {
      return parseResponse(lines);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      return fail(
        "a head such as HTTP/1.1 200 OK, and a line Name: value for each field",
        `${quote(bytes)}: ${error.message}`,
        "write the head as RFC 9112 §4 and §5 say",
      );
    }
  }

  async #body(head: ResponseHead, method: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let body: Body | undefined;
    try {
      body = new Body(responseFraming(head, method));
      let bytes: Uint8Array = this.#unread;
      while (true) {
        const used = body.push(bytes, (data) => parts.push(data.slice()));
        this.#unread = bytes.slice(used);
        if (body.done) break;
        bytes = await this.#more("send the whole body, and close the connection when its head has no Content-Length");
        if (bytes.length === 0) body.end();
        if (body.done) break;
      }
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      const size = parts.reduce((sum, part) => sum + part.length, 0);
      const length = head.fields.get("content-length");
      if (body && length !== undefined) {
        fail(
          `${length} bytes of body, as Content-Length says`,
          `the end of the connection after ${size}`,
          "send Content-Length with the number of bytes that you send, and send all of them before you close",
        );
      }
      fail("a body in the form of RFC 9112 §6 and §7", error.message, "check Content-Length and the chunks");
    }
    return concat(parts);
  }

  /** The next bytes; none at the end of the connection. A reset counts as an end, because the response before it is valid. */
  async #more(hint: string): Promise<Uint8Array> {
    try {
      return await this.peer.some(hint);
    } catch (error) {
      if (error instanceof Gone) return new Uint8Array();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.peer.close();
  }
}

/** Text as `printf` of a shell takes it, in single quotes. */
export const escaped = (text: string): string =>
  text.replaceAll("\\", "\\\\").replaceAll("%", "%%").replaceAll("'", "'\\''")
    .replaceAll("\r", "\\r").replaceAll("\n", "\\n");

/** The length of a head, with its empty line; -1 if it is incomplete. Accepts lines that end in LF alone. */
function headEnd(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at + 1] === 10) return at + 2;
    if (bytes[at + 1] === 13 && bytes[at + 2] === 10) return at + 3;
  }
  return -1;
}

/** Sends one request on its own connection. */
export async function ask(
  server: Server,
  request: string | Uint8Array,
  hint: string,
  method = "GET",
): Promise<Response | undefined> {
  using peer = await HttpPeer.connect(server);
  try {
    await peer.send(request);
  } catch (error) {
    // A server may reply and close before it has read all of a bad request: then its response counts.
    if (!(error instanceof Gone)) throw error;
  }
  return await peer.response(method, hint);
}

/** The status of a response, for a report. */
export const status = (response: Response | undefined) =>
  response ? `status ${response.head.status}` : "the end of the connection, without a response";
