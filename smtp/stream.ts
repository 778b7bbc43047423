/**
 * A client's bytes: those that have come and are not yet understood.
 *
 * @module
 */

/** As large as a buffer gets: larger than the longest line that is taken, so that there is always room for more of one. */
const LARGEST = 65_536;

/** One client's stream, be it under TLS or not. */
export class Stream {
  conn: Deno.TcpConn | Deno.TlsConn;
  /** Under TLS: settles when all that was written has gone out. */
  sent: Promise<void> | undefined;
  #buffer = new Uint8Array(4096);
  #start = 0;
  #end = 0;

  constructor(conn: Deno.TcpConn) {
    this.conn = conn;
  }

  /** What has come and is still to be taken. */
  get unread(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Leaves the first `size` bytes of `unread` behind. */
  take(size: number): void {
    this.#start += size;
  }

  /** Reads more; false at the end of the stream. */
  async fill(): Promise<boolean> {
    if (this.#start > 0) this.#buffer.copyWithin(0, this.#start, this.#end);
    [this.#start, this.#end] = [0, this.#end - this.#start];
    if (this.#end === this.#buffer.length) this.#grow();
    const n = await this.conn.read(this.#buffer.subarray(this.#end));
    this.#end += n ?? 0;
    // Who fills the buffer has much to say: a larger one saves it system calls, and the others memory.
    if (this.#end === this.#buffer.length && this.#end < LARGEST) this.#grow();
    return n !== null;
  }

  #grow(): void {
    if (this.#buffer.length === LARGEST) throw new Error("what is unread has to be taken before more is read");
    const larger = new Uint8Array(Math.min(4 * this.#buffer.length, LARGEST));
    larger.set(this.unread);
    [this.#end, this.#start] = [this.#end - this.#start, 0];
    this.#buffer = larger;
  }
}
