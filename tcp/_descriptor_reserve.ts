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
import { formatAddress, within } from "../cli.ts";
import { codeOf } from "./_socket_errors.ts";

/** Connections of a server to itself: each takes two descriptors. */
const CONNECTIONS = 8;

/** Seconds for them: with a full queue of connections they could wait for the others to be accepted. */
const PATIENCE = 0.2;

/** Some descriptors in use for nothing, until they are released. */
export class DescriptorReserve {
  /** The server's connections to itself, both ends; `undefined` once they are released. */
  #connections: Deno.TcpConn[] | undefined = [];
  /** The ports of those that are not accepted yet. */
  readonly #ports = new Set<number>();
  #connecting = 0;
  /** Until when an accepted connection waits for the server to learn whether it is its own. */
  #until = 0;

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
    this.#until = performance.now() + 3000;
    const connect = async () => {
      this.#connecting++;
      try {
        const conn = await Deno.connect({ hostname, port });
        this.#ports.add(conn.localAddr.port);
        this.#keep(conn);
      } catch {
        // The server stops, or is out of descriptors already: `accept` will say so.
      } finally {
        this.#connecting--;
      }
    };
    await within(PATIENCE, Promise.all(Array.from({ length: CONNECTIONS }, connect)), () => {});
  }

  /** Whether an accepted connection is one of the server to itself; then it is kept here. */
  async takes(conn: Deno.TcpConn): Promise<boolean> {
    const { port } = conn.remoteAddr;
    // On a busy machine a connection may be accepted before this process learns that it is connected.
    while (this.#connecting > 0 && !this.#ports.has(port) && performance.now() < this.#until) {
      await new Promise((next) => setTimeout(next, 5));
    }
    if (this.#ports.size === 0 || !this.#ports.delete(port)) return false;
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

/**
 * How many sockets this process can open at most, up to `most`: tried out, for the runtime does not tell. For a server whose
 * `accept` must never fail. Without the permission to listen on a port of the system's choice it is `most`.
 */
export async function roomForSockets(hostname: string, most: number): Promise<number> {
  const addr = { hostname, port: 0 };
  const { state } = await Deno.permissions.query({ name: "net", host: formatAddress(addr) });
  const sockets: Deno.TcpListener[] = [];
  try {
    while (state === "granted" && sockets.length < most) sockets.push(Deno.listen(addr));
    return most;
  } catch (error) {
    if (codeOf(error) !== "EMFILE" && codeOf(error) !== "ENFILE") throw error;
    return sockets.length;
  } finally {
    for (const socket of sockets) socket.close();
  }
}
