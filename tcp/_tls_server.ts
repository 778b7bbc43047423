/**
 * TLS on the server's side of a connection that is already open: from its first byte, or after a plain dialogue, as
 * STARTTLS wants it (RFC 3207). `Deno.startTls` is for clients alone, so this stands on `node:tls`.
 *
 * @module
 */
import { Duplex } from "node:stream";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { Failure, printable } from "../cli.ts";
import { isClosedLocally } from "./_clients.ts";
import { type CertificatePair, checkedCertificate } from "./_self_signed.ts";
import { codeOf } from "./_socket_errors.ts";
import { underTls } from "./_trace.ts";
import { writeAll } from "./_write_all.ts";

/** What an exchange does with a connection, whether TLS protects it or not. */
export type Stream = Pick<Deno.Conn, "read" | "write" | "closeWrite">;

/** Reads a certificate and its key. @throws {Failure} with code 2 when they are not PEM, or do not belong together. */
export function tlsContext({ cert, key }: CertificatePair): SecureContext {
  try {
    checkedCertificate({ cert, key }); // node:tls would check it at the first client only
    return createSecureContext({ cert, key });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new Failure(`expected a certificate and its key, both PEM: ${printable(error.message)}`, 2);
  }
}

/**
 * Does the server's part of a TLS handshake on `conn`, and returns the protected stream. From then on `conn` must not be read
 * or written, but it is still to be closed: that ends the handshake, or the stream, at any time.
 *
 * @throws {Failure} when the client does not do its part.
 */
export async function startTlsServer(conn: Deno.TcpConn, context: SecureContext): Promise<Stream> {
  const { wire, trace } = underTls(conn);
  const socket = new TLSSocket(transportOf(wire), { isServer: true, secureContext: context });
  const stream = new TlsStream(socket);
  try {
    await stream.handshake();
    return trace(stream);
  } catch (error) {
    socket.destroy(); // frees what the TLS library has allocated for this client
    throw error;
  }
}

/** The connection as the stream under TLS: encrypted bytes in, encrypted bytes out. */
function transportOf(conn: Deno.TcpConn): Duplex {
  return new Duplex({
    async read() {
      try {
        const buffer = new Uint8Array(16_384);
        const n = await conn.read(buffer);
        this.push(n === null ? null : buffer.subarray(0, n));
      } catch (error) {
        this.destroy(error instanceof Error ? error : undefined);
      }
    },
    write(chunk: Uint8Array, _encoding, done) {
      writeAll(conn, chunk).then(() => done(), done);
    },
    final(done) {
      conn.closeWrite().then(() => done(), done);
    },
  });
}

/** Errors of the connection stay what they are; those of the TLS library are the client's fault. */
const explained = (error: Error): Error =>
  codeOf(error) !== "" || isClosedLocally(error) ? error : new Failure(`broke TLS: ${printable(error.message)}`);

/** A TLS socket with the methods of a `Deno.Conn`. */
class TlsStream implements Stream {
  readonly #socket: TLSSocket;
  /** Decrypted bytes that did not fit into the last buffer. */
  #rest: Uint8Array = new Uint8Array();
  #error: Error | undefined;
  /** Settles at the next event of the socket. */
  #changed = Promise.withResolvers<void>();

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    const notify = () => {
      this.#changed.resolve();
      this.#changed = Promise.withResolvers<void>();
    };
    // After the handshake the runtime reports broken records by `_tlsError` alone, and then reads no more.
    for (const event of ["error", "_tlsError"]) socket.on(event, (error: Error) => this.#error ??= explained(error));
    for (const event of ["secure", "readable", "end", "error", "_tlsError", "close"]) socket.on(event, notify);
  }

  async handshake(): Promise<void> {
    let secure = false;
    this.#socket.once("secure", () => secure = true);
    while (!secure) {
      if (this.#error || this.#socket.destroyed || this.#socket.readableEnded) {
        const why = this.#error?.message.replace(/^broke TLS: /, "") ?? "the client closed the connection";
        throw new Failure(`no TLS: ${printable(why)}`);
      }
      await this.#changed.promise;
    }
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      if (this.#error) throw this.#error;
      const chunk: Uint8Array | null = this.#socket.read();
      if (chunk !== null) this.#rest = chunk;
      else if (this.#socket.readableEnded || this.#socket.destroyed) return null;
      else await this.#changed.promise;
    }
    const n = Math.min(buffer.length, this.#rest.length);
    buffer.set(this.#rest.subarray(0, n));
    this.#rest = this.#rest.subarray(n);
    return n;
  }

  async write(data: Uint8Array): Promise<number> {
    if (this.#error) throw this.#error;
    const written = Promise.withResolvers<void>();
    this.#socket.write(data, (error) => error ? written.reject(explained(error)) : written.resolve());
    await written.promise;
    return data.length;
  }

  async closeWrite(): Promise<void> {
    const ended = Promise.withResolvers<void>();
    this.#socket.once("close", ended.resolve); // it may be destroyed before all is sent
    this.#socket.end(ended.resolve);
    await ended.promise;
  }
}
