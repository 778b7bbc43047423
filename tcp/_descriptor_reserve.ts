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

/**
 * Milliseconds for them: with a full queue of connections they could wait for the others to be accepted. One that is given up
 * may be established nevertheless, and is then accepted as a client: on a busy machine 200 ms are too few.
 */
const PATIENCE = 2000;

/** Some descriptors in use for nothing, until they are released. */
export class DescriptorReserve {
  /** The server's connections to itself, both ends; `undefined` once they are released. */
  #connections: Deno.TcpConn[] | undefined = [];
  /** The ports of those that are not accepted yet. */
  readonly #ports = new Set<number>();

  constructor() {
    // When Deno 2.9 formats its first stack trace it opens files, and without a descriptor for them it panics. So that happens
    // here, and not for the error that says that no descriptor is left.
    String(new Error().stack);
  }

  /**
   * Connects some times to `listener`, which shares its port with no other. What is accepted afterwards must be shown to
   * `takes`. Without the permission to connect, or without room, there is no reserve, or a smaller one.
   */
  async open(listener: Deno.TcpListener): Promise<void> {
    const { hostname, port } = listener.addr;
    const { state } = await Deno.permissions.query({ name: "net", host: formatAddress({ hostname, port }) });
    if (state !== "granted") return;
    const signal = AbortSignal.timeout(PATIENCE);
    await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
      try {
        const conn = await Deno.connect({ hostname, port, signal });
        this.#ports.add(conn.localAddr.port);
        this.#keep(conn);
      } catch {
        // The server stops, or is out of descriptors already: `accept` will say so.
      }
    }));
  }

  /** Whether an accepted connection is one of the server to itself; then it is kept here. */
  takes(conn: Deno.TcpConn): boolean {
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
