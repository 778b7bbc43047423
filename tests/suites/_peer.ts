/**
 * The other end of a TCP connection to the program under check.
 *
 * @module
 */
import { connect } from "node:net";
import { isClosedLocally } from "../../tcp/_clients.ts";
import { received, sent, step } from "./_record.ts";
import { fail, Gone, inSeconds, inTime, limits, Refused, type Server } from "./_suite.ts";

/** One end of a TCP connection to the program under check. */
export class Peer {
  readonly conn: Deno.TcpConn;
  /** Tells several connections apart in the evidence. */
  readonly #name: string;
  #open = true;

  constructor(conn: Deno.TcpConn) {
    this.conn = conn;
    conn.setNoDelay(true);
    this.#name = `checker's port ${conn.localAddr.port}`;
    step(`connected with ${conn.remoteAddr.hostname}:${conn.remoteAddr.port}`, this.#name);
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
        step(`cannot connect to ${hostname}:${port}`);
        if (error instanceof Deno.errors.ConnectionRefused) {
          throw new Refused(
            `expected a connection to ${hostname}:${port}, got a refusal: nothing listens there any more\n` +
              "hint: keep the listening socket open, and call accept in a loop",
          );
        }
        if (error instanceof Deno.errors.ConnectionReset) {
          throw new Gone(
            `expected a connection to ${hostname}:${port} that stays open, got a reset as soon as it was made\n` +
              "hint: look for a crash, or for a close() that is too early",
          );
        }
        const what = error instanceof DOMException && error.name === "TimeoutError"
          ? `none in ${inSeconds(limits.patience)}`
          : error instanceof Error
          ? error.message
          : String(error);
        fail(`a connection to ${hostname}:${port}`, what, "call accept again while you serve a client");
      }
    }
  }

  /** Sends all of it. Fails when the other side reads nothing for `patience`. */
  async send(data: Uint8Array | string): Promise<void> {
    let bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    while (bytes.length > 0) {
      const n = await inTime(this.#try(this.conn.write(bytes), "while sending"));
      if (n === undefined) fail("the bytes to be read", `${bytes.length} unread bytes`, "read while you write");
      sent(bytes.subarray(0, n), this.#name);
      bytes = bytes.subarray(n);
    }
  }

  /** Reads once: the next bytes that arrive, or none at the end of the stream. */
  async some(hint: string): Promise<Uint8Array> {
    const buffer = new Uint8Array(65536);
    const n = await inTime(this.#try(this.conn.read(buffer), "while waiting for a reply"));
    if (n === undefined) fail("a reply", `nothing in ${inSeconds(limits.patience)}`, hint);
    this.#note(buffer, n);
    return buffer.subarray(0, n ?? 0);
  }

  #note(buffer: Uint8Array, n: number | null): void {
    if (n === null) step("the program has ended its side", this.#name);
    else received(buffer.subarray(0, n), this.#name);
  }

  /** Reads `size` bytes; fewer if the stream ends, is reset, or nothing arrives for `patience`. */
  async upTo(size: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(size);
    let got = 0;
    while (got < size) {
      const n = await inTime(this.conn.read(buffer.subarray(got)).catch(() => null));
      if (n === undefined) step(`waited ${inSeconds(limits.patience)} for more`, this.#name);
      else this.#note(buffer.subarray(got), n);
      if (!n) break;
      got += n;
    }
    return buffer.subarray(0, got);
  }

  /** Ends this side (FIN): the other side reads the end of the stream, and can still send. */
  async end(): Promise<void> {
    step("the checker ends its side (FIN)", this.#name);
    await this.#try(this.conn.closeWrite(), "while the checker ended its side");
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
      const what = error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe
        ? "a reset"
        : error instanceof Error
        ? error.message
        : String(error);
      step(`${what} ${when}`, this.#name);
      const hint = "look for a crash, for a close() that is too early, or for bytes that you have not read before it";
      throw new Gone(`expected the connection to stay open, got ${what}, ${when}\nhint: ${hint}`);
    }
  }
}

/**
 * Opens so many connections, one after another, and keeps them open. `greet` talks to the program before the next one connects:
 * then it has accepted this one, and a server with a short queue (`listen(1)`) is not overrun.
 */
export async function connectMany(
  server: Server,
  clients: number,
  greet: (peer: Peer, i: number) => Promise<void>,
): Promise<Peer[]> {
  const peers: Peer[] = [];
  try {
    for (let i = 0; i < clients; i++) {
      const peer = await Peer.connect(server);
      peers.push(peer);
      await greet(peer, i);
    }
    return peers;
  } catch (error) {
    for (const peer of peers) peer.close();
    throw error;
  }
}

/**
 * A client that sends something and then resets the connection (RST, RFC 9293 §3.5.3). Deno's `close` ends the stream first
 * (FIN), which a server may take for a proper end; `node:net` can reset without it.
 */
export async function reset(server: Server, message: string | Uint8Array = "about to vanish"): Promise<void> {
  (await Peer.connect(server)).close(); // now it is listening
  step("another client connects, sends, and resets its connection (RST)");
  const closed = Promise.withResolvers<void>();
  sent(typeof message === "string" ? new TextEncoder().encode(message) : message, "the one that resets");
  const socket = connect(server.port, server.hostname, () => socket.write(message));
  socket.once("data", () => socket.resetAndDestroy());
  socket.once("error", () => closed.resolve());
  socket.once("close", () => closed.resolve());
  const late = setTimeout(() => socket.resetAndDestroy(), 500); // if the server does not reply
  await closed.promise.finally(() => clearTimeout(late));
}
