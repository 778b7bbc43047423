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

/** Some descriptors in use for nothing, until they are released. */
export class DescriptorReserve {
  readonly #connections: Deno.TcpConn[] = [];

  /**
   * Connects to `listener`, which shares its port with no other, and accepts, some times. Returns the connections of real clients that came in between. Without the
   * permission to connect, or without room, there is no reserve, or a smaller one.
   */
  async open(listener: Deno.TcpListener): Promise<Deno.TcpConn[]> {
    const { hostname, port } = listener.addr;
    const { state } = await Deno.permissions.query({ name: "net", host: formatAddress({ hostname, port }) });
    const clients: Deno.TcpConn[] = [];
    for (let i = 0; i < CONNECTIONS && state === "granted"; i++) {
      try {
        const outgoing = await Deno.connect({ hostname, port });
        this.#connections.push(outgoing);
        let accepted = await listener.accept();
        for (; accepted.remoteAddr.port !== outgoing.localAddr.port; accepted = await listener.accept()) {
          clients.push(accepted);
        }
        this.#connections.push(accepted);
      } catch {
        break; // the server stops, or is out of descriptors already: `accept` will say so
      }
    }
    return clients;
  }

  /** Gives the descriptors back. Returns how many. */
  release(): number {
    const connections = this.#connections.splice(0);
    for (const conn of connections) conn.close();
    return connections.length;
  }
}
