/**
 * File descriptors kept for what clients need besides their connection: a file that one asks for, or the socket of a
 * question that is passed on.
 *
 * A server that accepts until the system refuses has no descriptor left, and can then do nothing for the clients it has. The
 * runtime does not tell the limit (`ulimit -n`). So the server connects to itself a few times at the start. When it runs
 * out, it closes these connections and has as many descriptors again.
 *
 * @module
 */
import { formatAddress } from "../cli.ts";

/** Connections of a server to itself: each takes two descriptors. */
const CONNECTIONS = 8;

/** Seconds for one of them: with a full queue of connections it could take until others are accepted, which wait for it. */
const PATIENCE = 0.2;

/** Some descriptors in use for nothing, until they are released. */
export class DescriptorReserve {
  /** The server's connections to itself, both ends; `undefined` once they are released. */
  #connections: Deno.TcpConn[] | undefined = [];
  /** The ports of those that are not accepted yet. */
  readonly #ports = new Set<number>();
  /** Settles when the connection that is just being opened has a port. */
  #connecting: Promise<unknown> | undefined;

  constructor() {
    // When Deno 2.9 formats its first stack trace it opens files, and without a descriptor for them it panics. So that happens
    // here, and not for the error that says that no descriptor is left.
    String(new Error().stack);
  }

  /**
   * Connects some times to `listener`, which shares its port with no other. What is accepted from then on must be shown to
   * `takes`. Without the permission to connect, or without room, there is no reserve, or a smaller one.
   */
  async open(listener: Deno.TcpListener): Promise<void> {
    const { hostname, port } = listener.addr;
    const { state } = await Deno.permissions.query({ name: "net", host: formatAddress({ hostname, port }) });
    for (let i = 0; i < CONNECTIONS && state === "granted"; i++) {
      this.#connecting = Deno.connect({ hostname, port, signal: AbortSignal.timeout(PATIENCE * 1000) }).then((conn) => {
        this.#ports.add(conn.localAddr.port);
        this.#keep(conn);
      });
      try {
        await this.#connecting;
      } catch {
        break; // the server stops, or is out of descriptors already: `accept` will say so
      }
    }
    this.#connecting = undefined;
  }

  /** Whether an accepted connection is one of the server to itself; then it is kept here. */
  async takes(conn: Deno.TcpConn): Promise<boolean> {
    // The accepted end of a connection may be known here before the other one.
    await this.#connecting?.catch(() => {});
    if (this.#ports.size === 0 || !this.#ports.delete(conn.remoteAddr.port)) return false;
    this.#keep(conn);
    return true;
  }

  #keep(conn: Deno.TcpConn): void {
    if (this.#connections) this.#connections.push(conn);
    else conn.close();
  }

  /** Gives the descriptors back. Returns how many. */
  release(): number {
    const connections = this.#connections ?? [];
    this.#connections = undefined;
    for (const conn of connections) conn.close();
    return connections.length;
  }
}
