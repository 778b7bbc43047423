/**
 * Reads a stream whose messages do not end where a read ends: lines, or messages that begin with their length.
 *
 * ```ts
 * const reader = new BufferedReader(conn);
 * while (await reader.fill()) {
 *   for (let end = reader.unread.indexOf(10); end >= 0; end = reader.unread.indexOf(10)) {
 *     handleLine(reader.unread.subarray(0, end));
 *     reader.consume(end + 1); // what is behind it is the beginning of the next line
 *   }
 * }
 * ```
 */
export class BufferedReader {
  readonly #conn: Pick<Deno.Conn, "read">;
  readonly #limit: number;
  #buffer: Uint8Array;
  #start = 0;
  #end = 0;

  /** The buffer has `initial` bytes and grows up to `limit`, which must be more than the longest message. */
  constructor(conn: Pick<Deno.Conn, "read">, limit = 65_536, initial = 4096) {
    this.#conn = conn;
    this.#limit = limit;
    this.#buffer = new Uint8Array(initial);
  }

  /** The bytes that have arrived and are not consumed: a view that is valid until the next `fill`. */
  get unread(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Marks the first `size` bytes of `unread` as used. */
  consume(size: number): void {
    this.#start += size;
  }

  /** Reads more bytes, once. Returns false at the end of the stream. */
  async fill(): Promise<boolean> {
    if (this.#start > 0) this.#buffer.copyWithin(0, this.#start, this.#end);
    [this.#start, this.#end] = [0, this.#end - this.#start];
    if (this.#end === this.#limit) throw new Error("consume some bytes before more are read: the buffer is full");
    // A full buffer doubles: fewer system calls for a busy client, little memory for an idle one.
    if (this.#end === this.#buffer.length) {
      const larger = new Uint8Array(Math.min(2 * this.#buffer.length, this.#limit));
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    const n = await this.#conn.read(this.#buffer.subarray(this.#end));
    this.#end += n ?? 0;
    return n !== null;
  }
}
