/**
 * One end of an HTTP connection to the program under check.
 *
 * @module
 */
import { Body, responseFraming } from "../../http/body.ts";
import { headLength, MessageError, parseResponse, type ResponseHead } from "../../http/message.ts";
import { fail, Gone, Peer, quote, type Server } from "./suite.ts";

/** A response, all of it. */
export interface Response {
  readonly head: ResponseHead;
  readonly body: Uint8Array;
}

/** A client of the server under check: sends bytes, and takes responses apart strictly. */
export class HttpPeer {
  #left = new Uint8Array();

  constructor(readonly peer: Peer) {}

  static async connect(server: Server): Promise<HttpPeer> {
    return new HttpPeer(await Peer.connect(server));
  }

  async send(text: string): Promise<void> {
    await this.peer.send(text);
  }

  /** The next response, to a request with this method; `undefined` when the connection ends, or is reset, before it. */
  async response(method: string, hint: string): Promise<Response | undefined> {
    try {
      while (true) {
        const head = await this.#head(hint);
        if (head === undefined) return undefined;
        if (head.status >= 200) return { head, body: await this.#body(head, method, hint) };
      }
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      return fail("a response as RFC 9112 has it", error.message, hint);
    }
  }

  /** What comes after the last response: nothing, when the connection ends there. */
  async rest(hint: string): Promise<Uint8Array> {
    return this.#left.length > 0 ? this.#left : await this.#more(hint);
  }

  async #head(hint: string): Promise<ResponseHead | undefined> {
    while (true) {
      const length = headLength(this.#left);
      if (length >= 0) {
        const head = parseResponse(this.#left.subarray(0, length));
        this.#left = this.#left.slice(length);
        return head;
      }
      const more = await this.#more(hint);
      if (more.length === 0 && this.#left.length > 0) fail("a whole head", quote(this.#left), hint);
      if (more.length === 0) return undefined;
      this.#left = Uint8Array.from([...this.#left, ...more]);
    }
  }

  async #body(head: ResponseHead, method: string, hint: string): Promise<Uint8Array> {
    const body = new Body(responseFraming(head, method));
    const parts: Uint8Array[] = [];
    let bytes: Uint8Array = this.#left;
    while (true) {
      const used = body.push(bytes, (data) => parts.push(data.slice()));
      this.#left = bytes.slice(used);
      if (body.done) break;
      bytes = await this.#more(hint);
      if (bytes.length === 0) body.end();
      if (body.done) break;
    }
    return new Uint8Array(await new Blob(parts.map((part) => Uint8Array.from(part))).arrayBuffer());
  }

  /** The next bytes; none at the end of the connection, be it a reset: what came before that counts. */
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
