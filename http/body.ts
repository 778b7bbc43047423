/**
 * The body of an HTTP/1.1 message: where it ends, and its bytes without the framing (RFC 9112 §6, §7). Pure functions and
 * one state machine; it is fed with bytes as they come, in any pieces.
 *
 * @module
 */
import { Fields, HEAD, MessageError, parseField, type RequestHead, type ResponseHead } from "./message.ts";

/** How a body is delimited: not there, by its length, in chunks, or by the end of the connection. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "close" };

const none: Framing = { kind: "none" };

/** The Content-Length. @throws {MessageError} when there are several, when it is no number, or when it is too large. */
function lengthOf(fields: Fields): number | undefined {
  const value = fields.get("content-length");
  if (value === undefined) return undefined;
  // Digits only: `Number` would also take "0x10", "1e3" and "+1", and the next program might not. Nor a list of lengths.
  if (!/^\d+$/.test(value)) throw new MessageError(400, "Content-Length is one number");
  if (value.length > 15) throw new MessageError(413, "Content-Length is beyond all bounds");
  return Number(value);
}

/** The transfer codings, in the order in which they were applied. @throws {MessageError} where a length is given too. */
function codingsOf({ fields, minor }: RequestHead | ResponseHead): string[] | undefined {
  const value = fields.get("transfer-encoding");
  if (value === undefined) return undefined;
  // A proxy that goes by the one and a server that goes by the other would cut the stream at two different places.
  if (fields.get("content-length") !== undefined) {
    throw new MessageError(400, "both Content-Length and Transfer-Encoding");
  }
  if (minor === 0) throw new MessageError(400, "Transfer-Encoding in HTTP/1.0, which has none");
  return value.split(",").map((coding) => coding.trim().toLowerCase());
}

/**
 * How the body of a request is delimited (RFC 9112 §6.3).
 *
 * @throws {MessageError} 400 when that is ambiguous, 501 for a transfer coding other than chunked, 413 for a length beyond
 * all bounds.
 */
export function requestFraming(head: RequestHead): Framing {
  const codings = codingsOf(head);
  if (codings) {
    if (codings.at(-1) !== "chunked") throw new MessageError(400, "the last transfer coding of a request is chunked");
    if (codings.length > 1) throw new MessageError(501, "a transfer coding other than chunked");
    return { kind: "chunked" };
  }
  const length = lengthOf(head.fields);
  return length ? { kind: "length", length } : none;
}

/**
 * How the body of the response to a request with this method is delimited (RFC 9112 §6.3).
 *
 * @throws {MessageError} when that is ambiguous.
 */
export function responseFraming(head: ResponseHead, method: string): Framing {
  const { status } = head;
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return none;
  const codings = codingsOf(head);
  if (codings) return codings.at(-1) === "chunked" ? { kind: "chunked" } : { kind: "close" };
  const length = lengthOf(head.fields);
  return length === undefined ? { kind: "close" } : { kind: "length", length };
}

/** Where a `Body` is: in data, in a chunk-size line, at the line end after a chunk's data, in the trailers, at its end. */
type State = "data" | "size" | "line end" | "trailers" | "done";

/**
 * A body being received: takes bytes as they come and passes on its data.
 *
 * ```ts
 * const body = new Body({ kind: "chunked" });
 * const used = body.push(bytes, (data) => parts.push(data)); // bytes.subarray(used) belongs to the next message
 * if (body.done) …
 * ```
 */
export class Body {
  readonly #framing: Framing;
  #state: State = "data";
  /** Of the data of this chunk, or of the whole body, what is still to come. */
  #left = Infinity;
  #line: number[] = [];
  #lines = 0;
  /** Bytes of data so far. */
  size = 0;
  /** What came after the last chunk (RFC 9112 §7.1.2). */
  readonly trailers = new Fields();

  constructor(framing: Framing) {
    this.#framing = framing;
    if (framing.kind === "none") this.#state = "done";
    if (framing.kind === "length") this.#left = framing.length;
    if (framing.kind === "length" && framing.length === 0) this.#state = "done";
    if (framing.kind === "chunked") this.#state = "size";
  }

  /** Whether all of it has come. One that is delimited by the end of the connection is done at `end`. */
  get done(): boolean {
    return this.#state === "done";
  }

  /**
   * Takes the bytes that came next and passes its data to `take`, as views of `bytes`. Returns how many of them belonged to
   * this body.
   *
   * @throws {MessageError} when the chunks are malformed.
   */
  push(bytes: Uint8Array, take: (data: Uint8Array) => void): number {
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state !== "data") {
        this.#take(bytes[at++] ?? 0);
        continue;
      }
      const part = bytes.subarray(at, at + Math.min(this.#left, bytes.length - at));
      at += part.length;
      this.size += part.length;
      this.#left -= part.length;
      if (this.#left === 0) this.#state = this.#framing.kind === "chunked" ? "line end" : "done";
      take(part);
    }
    return at;
  }

  /** The connection has ended. @throws {MessageError} when that cut the body short (RFC 9112 §8). */
  end(): void {
    if (this.#framing.kind === "close") this.#state = "done";
    if (this.#state === "done") return;
    const promised = this.#framing.kind === "length" ? `${this.#framing.length} bytes` : "a last chunk";
    throw new MessageError(400, `the body ended after ${this.size} bytes, before ${promised}`);
  }

  /** One byte of the framing. */
  #take(byte: number): void {
    this.#line.push(byte);
    if (this.#line.length > HEAD.line) throw new MessageError(431, "an endless line between two chunks");
    if (byte !== 10) return;
    if (this.#line.at(-2) !== 13) throw new MessageError(400, "a line between chunks ends in CR LF, not in LF alone");
    const line = new TextDecoder().decode(Uint8Array.from(this.#line.slice(0, -2)));
    this.#line = [];
    if (this.#state === "line end") {
      if (line !== "") throw new MessageError(400, "more data than the chunk's size");
      this.#state = "size";
    } else if (this.#state === "size") this.#startChunk(line);
    else if (line === "") this.#state = "done";
    else if (++this.#lines > HEAD.fields) throw new MessageError(431, `more than ${HEAD.fields} trailers`);
    else parseField(line, this.trailers);
  }

  #startChunk(line: string): void {
    // An extension after the size means nothing to us (RFC 9112 §7.1.1), but is not taken for part of the number.
    const [, digits] = /^([0-9a-fA-F]+)[ \t]*(?:;[\t\x20-\x7e\x80-\uffff]*)?$/.exec(line) ?? [];
    if (digits === undefined) throw new MessageError(400, "a chunk's size is a hexadecimal number");
    if (digits.length > 12) throw new MessageError(413, "a chunk's size is beyond all bounds");
    this.#left = parseInt(digits, 16);
    this.#state = this.#left === 0 ? "trailers" : "data";
  }
}

/** One chunk with its size (RFC 9112 §7.1). The empty one is the last. */
export function writeChunk(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const size = new TextEncoder().encode(`${data.length.toString(16)}\r\n`);
  const chunk = new Uint8Array(size.length + data.length + 2);
  chunk.set(size);
  chunk.set(data, size.length);
  chunk.set([13, 10], size.length + data.length);
  return chunk;
}
