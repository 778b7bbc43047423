/**
 * The other end of a TCP connection to the program under check.
 *
 * @module
 */
import { connect } from "node:net";
import { isClosedLocally } from "../../tcp/_clients.ts";
import { fail, Gone, inTime, limits, type Server } from "./_suite.ts";

/** One end of a TCP connection to the program under check. */
export class Peer {
  readonly conn: Deno.TcpConn;
  #open = true;

  constructor(conn: Deno.TcpConn) {
    this.conn = conn;
    conn.setNoDelay(true);
  }

  /** Connects. While the server may still be starting, a refused connection is tried again. */
  static async connect({ hostname, port, starting }: Server): Promise<Peer> {
    while (true) {
      try {
        return new Peer(await Deno.connect({ hostname, port, signal: AbortSignal.timeout(limits.patience) }));
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionRefused && starting?.()) {
          await new Promise((again) => setTimeout(again, 50));
          continue;
        }
        const what = error instanceof Error ? error.message : String(error);
        fail(`a connection to ${hostname}:${port}`, what, "keep listening after a client has left");
      }
    }
  }

  /** Sends all of it. Fails when the other side reads nothing for `patience`. */
  async send(data: Uint8Array | string): Promise<void> {
    let bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    while (bytes.length > 0) {
      const n = await inTime(this.#try(this.conn.write(bytes), "while sending"));
      if (n === undefined) fail("the bytes to be read", `${bytes.length} unread bytes`, "read while you write");
      bytes = bytes.subarray(n);
    }
  }

  /** Reads once: the next bytes that arrive, or none at the end of the stream. */
  async some(hint: string): Promise<Uint8Array> {
    const buffer = new Uint8Array(65536);
    const n = await inTime(this.#try(this.conn.read(buffer), "while waiting for a reply"));
    if (n === undefined) fail("a reply", `nothing in ${limits.patience / 1000} s`, hint);
    return buffer.subarray(0, n ?? 0);
  }

  /** Reads `size` bytes; fewer if the stream ends, is reset, or nothing arrives for `patience`. */
  async upTo(size: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(size);
    let got = 0;
    while (got < size) {
      const n = await inTime(this.conn.read(buffer.subarray(got)).catch(() => null));
      if (!n) break;
      got += n;
    }
    return buffer.subarray(0, got);
  }

  /** Ends this side (FIN): the other side reads the end of the stream, and can still send. */
  async end(): Promise<void> {
    await this.#try(this.conn.closeWrite(), "while this side was ending");
  }

  close(): void {
    if (this.#open) this.conn.close();
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #try<T>(promise: Promise<T>, when: string): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      if (isClosedLocally(error)) throw error;
      const what = error instanceof Error ? error.message : String(error);
      const hint = "look for a crash, or for a close() that is too early";
      throw new Gone(`expected the connection to stay open, got ${what}, ${when}\nhint: ${hint}`);
    }
  }
}

/**
 * A client that sends something and then resets the connection (RST, RFC 9293 §3.5.3). Deno's `close` ends the stream first
 * (FIN), which a server may take for a proper end; `node:net` can reset without it.
 */
export async function reset(server: Server, message: string | Uint8Array = "about to vanish"): Promise<void> {
  (await Peer.connect(server)).close(); // now it is listening
  const closed = Promise.withResolvers<void>();
  const socket = connect(server.port, server.hostname, () => socket.write(message));
  socket.once("data", () => socket.resetAndDestroy());
  socket.once("error", () => closed.resolve());
  socket.once("close", () => closed.resolve());
  const late = setTimeout(() => socket.resetAndDestroy(), 500); // if the server does not reply
  await closed.promise.finally(() => clearTimeout(late));
}
