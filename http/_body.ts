/**
 * The body of an HTTP/1.1 message: finds its end and removes the framing (RFC 9112 §6, §7). It takes the bytes in pieces of
 * any size, and touches no socket.
 *
 * @module
 */
import { concat } from "./_concat.ts";
import { Fields, HEAD_LIMITS, MessageError, parseField, type RequestHead, type ResponseHead } from "./_message.ts";

/** How a body is delimited: there is none, by its length, in chunks, or by the end of the connection. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "close" };

const none: Framing = { kind: "none" };

/** Parses Content-Length. @throws {MessageError} when there are several, it is not a number, or it is too large. */
function parseContentLength(fields: Fields): number | undefined {
  const value = fields.get("content-length");
  if (value === undefined) return undefined;
  // Digits only: `Number` also accepts "0x10", "1e3" and "+1", and a proxy might not. A list of lengths is an error too.
  if (!/^\d+$/.test(value)) throw new MessageError(400, "Content-Length must be exactly one decimal number");
  if (value.length > 15) throw new MessageError(413, "Content-Length is too large");
  return Number(value);
}

/** Parses the transfer codings, in the order in which they were applied. @throws {MessageError} with a length beside it. */
function parseTransferCodings({ fields, minor }: RequestHead | ResponseHead): string[] | undefined {
  const value = fields.get("transfer-encoding");
  if (value === undefined) return undefined;
  // If a proxy used one field and the server the other, they would disagree on where the request ends (request smuggling,
  // RFC 9112 §11.2).
  if (fields.get("content-length") !== undefined) {
    throw new MessageError(400, "the message has both Content-Length and Transfer-Encoding: only one is allowed");
  }
  if (minor === 0) throw new MessageError(400, "HTTP/1.0 does not have Transfer-Encoding");
  return value.split(",").map((coding) => coding.trim().toLowerCase());
}

/**
 * How the body of a request is delimited (RFC 9112 §6.3).
 *
 * @throws {MessageError} 400 when the framing is ambiguous, 501 for a transfer coding other than chunked, 413 for a length
 * that is too large.
 */
export function requestFraming(head: RequestHead): Framing {
  const codings = parseTransferCodings(head);
  if (codings) {
    if (codings.at(-1) !== "chunked") {
      throw new MessageError(400, "chunked must be the last transfer coding of a request");
    }
    if (codings.length > 1) throw new MessageError(501, "the only supported transfer coding is chunked");
    return { kind: "chunked" };
  }
  const length = parseContentLength(head.fields);
  return length ? { kind: "length", length } : none;
}

/**
 * How the body of the response to a request with this method is delimited (RFC 9112 §6.3).
 *
 * @throws {MessageError} when the framing is ambiguous.
 */
export function responseFraming(head: ResponseHead, method: string): Framing {
  const { status } = head;
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return none;
  const codings = parseTransferCodings(head);
  if (codings) return codings.at(-1) === "chunked" ? { kind: "chunked" } : { kind: "close" };
  const length = parseContentLength(head.fields);
  return length === undefined ? { kind: "close" } : { kind: "length", length };
}

/** Which part comes next: data, a chunk-size line, the line end after a chunk's data, the trailers, or nothing. */
type State = "data" | "size" | "line end" | "trailers" | "done";

/**
 * Decodes a body while it is being received.
 *
 * ```ts
 * const body = new Body({ kind: "chunked" });
 * const used = body.push(bytes, (data) => parts.push(data)); // bytes.subarray(used) is the start of the next message
 * if (body.done) …
 * ```
 */
export class Body {
  readonly #framing: Framing;
  #state: State = "data";
  /** Bytes left in this chunk, or in the whole body. */
  #left = Infinity;
  #line: number[] = [];
  #lines = 0;
  /** Bytes of data that have come so far. */
  size = 0;
  /** The fields after the last chunk (RFC 9112 §7.1.2). */
  readonly trailers = new Fields();

  constructor(framing: Framing) {
    this.#framing = framing;
    if (framing.kind === "none") this.#state = "done";
    if (framing.kind === "length") this.#left = framing.length;
    if (framing.kind === "length" && framing.length === 0) this.#state = "done";
    if (framing.kind === "chunked") this.#state = "size";
  }

  /** Whether the body is complete. One that ends with the connection is complete after `end`. */
  get done(): boolean {
    return this.#state === "done";
  }

  /**
   * Takes the next bytes and passes the data in them to `onData`, as views of `bytes`. Returns how many of the bytes belong
   * to this body.
   *
   * @throws {MessageError} when the chunks are malformed.
   */
  push(bytes: Uint8Array, onData: (data: Uint8Array) => void): number {
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state !== "data") {
        this.#parseFraming(bytes[at++] ?? 0);
        continue;
      }
      const part = bytes.subarray(at, at + this.#left);
      at += part.length;
      this.size += part.length;
      this.#left -= part.length;
      if (this.#left === 0) this.#state = this.#framing.kind === "chunked" ? "line end" : "done";
      onData(part);
    }
    return at;
  }

  /** Tells that the connection has ended. @throws {MessageError} when the body is not complete (RFC 9112 §8). */
  end(): void {
    if (this.#framing.kind === "close") this.#state = "done";
    if (this.#state === "done") return;
    const expected = this.#framing.kind === "length" ? `${this.#framing.length} bytes` : "a last chunk";
    throw new MessageError(400, `the connection ended after ${this.size} bytes of the body; expected ${expected}`);
  }

  /** Takes one byte of a chunk-size line, of the line end after a chunk, or of a trailer. */
  #parseFraming(byte: number): void {
    this.#line.push(byte);
    if (this.#line.length > HEAD_LIMITS.line) {
      throw new MessageError(431, `a line between two chunks is longer than ${HEAD_LIMITS.line} bytes`);
    }
    if (byte !== 10) return;
    if (this.#line.at(-2) !== 13) {
      throw new MessageError(400, "a line between two chunks ends in LF alone: every line must end in CR LF");
    }
    const line = new TextDecoder().decode(Uint8Array.from(this.#line.slice(0, -2)));
    this.#line = [];
    if (this.#state === "line end") {
      if (line !== "") throw new MessageError(400, "a chunk has more data than its size says");
      this.#state = "size";
    } else if (this.#state === "size") this.#startChunk(line);
    else if (line === "") this.#state = "done";
    else if (++this.#lines > HEAD_LIMITS.fields) {
      throw new MessageError(431, `the body has more than ${HEAD_LIMITS.fields} trailers`);
    } else parseField(line, this.trailers);
  }

  #startChunk(line: string): void {
    // A chunk extension is ignored (RFC 9112 §7.1.1), but never read as part of the size.
    const [, digits] = /^([0-9a-fA-F]+)[ \t]*(?:;[\t\x20-\x7e\x80-\uffff]*)?$/.exec(line) ?? [];
    if (digits === undefined) throw new MessageError(400, "malformed chunk size: it must be a hexadecimal number");
    if (digits.length > 12) throw new MessageError(413, "the chunk size is too large");
    this.#left = parseInt(digits, 16);
    this.#state = this.#left === 0 ? "trailers" : "data";
  }
}

/** Encodes one chunk (RFC 9112 §7.1). An empty one is the last. */
export function encodeChunk(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  return concat([encoder.encode(`${data.length.toString(16)}\r\n`), data, encoder.encode("\r\n")]);
}
