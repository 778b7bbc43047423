/**
 * The client of an HTTP server under check.
 *
 * @module
 */
import { Body, responseFraming } from "../../http/_body.ts";
import { headLength, MessageError, parseResponse, type ResponseHead } from "../../http/_message.ts";
import { Peer } from "./_peer.ts";
import { fail, Gone, quote, type Server } from "./_suite.ts";

/** A GET request; `more` are further field lines. */
export const get = (more = "", target = "/", version = "HTTP/1.1") =>
  `GET ${target} ${version}\r\nHost: localhost\r\n${more}\r\n`;
/** A GET request after which the server closes the connection. */
export const last = get("Connection: close\r\n");

/** A complete response. */
export interface Response {
  readonly head: ResponseHead;
  readonly body: Uint8Array;
}

/** A client of the server under check: sends bytes, and parses the responses strictly. */
export class HttpPeer {
  #unread = new Uint8Array();

  constructor(readonly peer: Peer) {}

  static async connect(server: Server): Promise<HttpPeer> {
    return new HttpPeer(await Peer.connect(server));
  }

  async send(text: string): Promise<void> {
    await this.peer.send(text);
  }

  /** Reads the response to a request with this method; `undefined` if the connection ends or is reset before it. */
  async response(method: string, hint: string): Promise<Response | undefined> {
    try {
      while (true) {
        const head = await this.#head(hint);
        if (head === undefined) return undefined;
        if (head.status >= 200) return { head, body: await this.#body(head, method, hint) };
      }
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      return fail("a response in the form of RFC 9112", error.message, hint);
    }
  }

  /** Reads what follows the last response; nothing if the connection ends there. */
  async rest(hint: string): Promise<Uint8Array> {
    return this.#unread.length > 0 ? this.#unread : await this.#more(hint);
  }

  async #head(hint: string): Promise<ResponseHead | undefined> {
    while (true) {
      const length = headLength(this.#unread);
      if (length >= 0) {
        const head = parseResponse(this.#unread.subarray(0, length));
        this.#unread = this.#unread.slice(length);
        return head;
      }
      const more = await this.#more(hint);
      if (more.length === 0 && this.#unread.length > 0) fail("a complete head", quote(this.#unread), hint);
      if (more.length === 0) return undefined;
      this.#unread = Uint8Array.from([...this.#unread, ...more]);
    }
  }

  async #body(head: ResponseHead, method: string, hint: string): Promise<Uint8Array> {
    const body = new Body(responseFraming(head, method));
    const parts: Uint8Array[] = [];
    let bytes: Uint8Array = this.#unread;
    while (true) {
      const used = body.push(bytes, (data) => parts.push(data.slice()));
      this.#unread = bytes.slice(used);
      if (body.done) break;
      bytes = await this.#more(hint);
      if (bytes.length === 0) body.end();
      if (body.done) break;
    }
    return new Uint8Array(await new Blob(parts.map((part) => Uint8Array.from(part))).arrayBuffer());
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

/** Sends one request on its own connection. */
export async function ask(
  server: Server,
  request: string,
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
  response ? `status ${response.head.status}` : "a closed connection";
