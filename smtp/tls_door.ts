/**
 * TLS on the server's side of a connection that is open already, for STARTTLS.
 *
 * `Deno.startTls` does it for clients alone. So there is a door: a TLS listener of this process' own on the loopback
 * interface. A connection that is to have TLS is passed through it, byte by byte, and what comes out on the other side is
 * the plain text.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";
import { closedHere } from "../tcp/clients.ts";
import { writeAll } from "../tcp/write_all.ts";

/** A door for any number of connections. */
export class TlsDoor {
  readonly #listener: Deno.TlsListener;
  /** Who is in the door, by the port that it came from: another process on this machine may knock, too. */
  readonly #inside = new Map<number, (conn: Deno.TlsConn) => void>();

  /** @throws {Failure} with code 2 when the certificate and the key, both PEM, are none, or do not belong together. */
  constructor(cert: string, key: string) {
    try {
      this.#listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      throw new Failure(`expected a certificate and its key, both PEM: ${printable(error.message)}`, 2);
    }
    this.#answer();
  }

  async #answer(): Promise<void> {
    try {
      for await (const conn of this.#listener) {
        const enter = this.#inside.get(conn.remoteAddr.port);
        if (enter) enter(conn);
        else conn.close();
      }
    } catch (error) {
      if (!closedHere(error)) throw error;
    }
  }

  /**
   * Puts TLS on a connection: returns its plain side once the handshake is done, and a promise that what was written there
   * has gone out. `conn` is not to be read or written any more, but is still to be closed, after that.
   *
   * @throws when the client does not do its part of the handshake.
   */
  async enter(conn: Deno.TcpConn): Promise<{ plain: Deno.TlsConn; sent: Promise<void> }> {
    const outer = await Deno.connect({ hostname: "127.0.0.1", port: this.#listener.addr.port });
    const entered = Promise.withResolvers<Deno.TlsConn>();
    this.#inside.set(outer.localAddr.port, entered.resolve);
    outer.setNoDelay(true);
    const sent = pipe(outer, conn);
    Promise.all([pipe(conn, outer), sent]).finally(() => {
      outer.close();
      this.#inside.delete(outer.localAddr.port);
    });
    const plain = await entered.promise;
    await plain.handshake();
    return { plain, sent };
  }

  close(): void {
    this.#listener.close();
  }
}

/** Passes bytes on until one of the two ends or breaks; then it ends the other. */
async function pipe(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(16_384);
  try {
    for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
      await writeAll(to, buffer.subarray(0, n));
    }
    await to.closeWrite();
  } catch (error) {
    // Whatever broke, the two who talk notice by the end of their own connection.
    if (!(error instanceof Error)) throw error;
    await to.closeWrite().catch(() => {});
  }
}
