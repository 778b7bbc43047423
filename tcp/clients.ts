/**
 * The clients a server is serving: how many at most, how long one may be silent, and how they end when the server does.
 *
 * @module
 */
import { count, Failure, place } from "../cli.ts";

/** One client: its connection, its name in the log, and when it last did something. */
export interface Client {
  readonly conn: Deno.TcpConn;
  readonly name: string;
  /** For how many looks of the sweeper nothing has moved. Set it to 0 whenever bytes have. */
  quiet: number;
}

/** What a server allows its clients, and where it logs. */
export interface Limits {
  /** Clients at one time; those over it wait in the kernel's queue of connections until one leaves. */
  readonly max: number;
  /** Seconds in which a client must send, or take, at least one byte. 0: no limit. */
  readonly idle: number;
  readonly log: (line: string) => void;
  /** Says a last word to a client that was silent for too long; it is closed afterwards. */
  readonly late?: (client: Client) => Promise<void>;
}

/**
 * Whether an error says that this side closed the socket: that is how a pending accept, read or write ends, and whoever has
 * closed it knows why.
 */
export const closedHere = (error: unknown): boolean =>
  error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource;

/** The clients being served. One object a server; see `echo_server.ts` for its use. */
export class Clients {
  readonly #limits: Limits;
  readonly #clients = new Set<Client>();
  #left = Promise.withResolvers<void>();
  #sweeper: ReturnType<typeof setInterval> | undefined;
  #starved = false;
  /** Set by `stop`: no more clients are to be accepted. */
  stopping = false;

  constructor(limits: Limits) {
    this.#limits = limits;
    // One timer looks at all clients: a timer for each read would cost more than the read. Four looks a limit, and a
    // fifth before a client is closed, so that it had the whole of its time.
    if (limits.idle > 0) this.#sweeper = setInterval(() => this.#sweep(), limits.idle * 250);
  }

  get size(): number {
    return this.#clients.size;
  }

  /**
   * The next connection, by calling `accept` when there is room; `undefined` when the server is stopping.
   *
   * A connection that was reset while it waited is no reason to stop. Nor is a process without a file descriptor left
   * (EMFILE): the kernel keeps the connection queued, and accepting goes on as soon as a client leaves.
   */
  async next(accept: () => Promise<Deno.TcpConn>): Promise<Deno.TcpConn | undefined> {
    while (!this.stopping) {
      if (this.#clients.size >= this.#limits.max) {
        await this.#left.promise;
        continue;
      }
      try {
        const conn = await accept();
        this.#starved = false;
        return conn;
      } catch (error) {
        if (this.stopping) return undefined;
        const { ConnectionReset, ConnectionAborted, NotConnected } = Deno.errors;
        if ([ConnectionReset, ConnectionAborted, NotConnected].some((kind) => error instanceof kind)) continue;
        if (!(error instanceof Error && /^E[MN]FILE$/.test(String(Reflect.get(error, "code"))))) throw error;
        if (!this.#starved) {
          this.#limits.log(
            `out of file descriptors with ${count(this.size, "client")}: new ones wait (raise ulimit -n)`,
          );
        }
        this.#starved = true;
        const timer = Promise.withResolvers<void>(); // descriptors are also used up, and freed, outside of this set
        const again = setTimeout(timer.resolve, 100);
        await Promise.race([this.#left.promise, timer.promise]);
        clearTimeout(again);
      }
    }
    return undefined;
  }

  /**
   * Serves one client and closes its connection, whatever happens. `exchange` talks to it until it is done. The result
   * tells whether it came to its end: false when the client reset the connection, was silent too long or was cut off.
   */
  async serve(conn: Deno.TcpConn, exchange: (client: Client) => Promise<void>): Promise<boolean> {
    const client: Client = { conn, name: place(conn.remoteAddr), quiet: 0 };
    this.#clients.add(client);
    try {
      await exchange(client);
      return true;
    } catch (error) {
      const gone = error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
        error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.TimedOut;
      if (gone || error instanceof Failure) {
        this.#limits.log(`${client.name} ${gone ? "reset the connection" : error.message}`);
      } else if (!closedHere(error)) console.error(error); // a bug in this exchange: show it, and go on with the others
      return false;
    } finally {
      this.close(client);
    }
  }

  #sweep(): void {
    for (const client of this.#clients) {
      if (++client.quiet > 4) {
        this.#limits.log(`${client.name} was silent for ${this.#limits.idle} s: closed`);
        client.quiet = -Infinity; // it is being closed: once is enough
        const last = this.#limits.late?.(client).catch(() => {}); // it does not read either, or is gone: as well
        if (last) last.then(() => this.close(client));
        else this.close(client);
      }
    }
  }

  /** Ends a client's connection, whatever it is doing. */
  close(client: Client): void {
    if (!this.#clients.delete(client)) return;
    client.conn.close();
    this.#left.resolve();
    this.#left = Promise.withResolvers<void>();
  }

  /** No more clients: closes `listener`, so that an `accept` that waits ends too. */
  stop(listener: Deno.Listener): void {
    this.stopping = true;
    listener.close();
    this.#left.resolve(); // `next` may be waiting for room
    this.#left = Promise.withResolvers<void>();
  }

  /** Waits until every client has left, after `stop` for `grace` seconds at most: then those still here are closed. */
  async finished(grace = 5): Promise<void> {
    if (this.size > 0) {
      this.#limits.log(`stopping: up to 5 s for ${count(this.size, "client")} to finish (Ctrl-C again: now)`);
    }
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#left.resolve();
    }, grace * 1000);
    while (this.size > 0 && !late) await this.#left.promise;
    clearTimeout(timer);
    clearInterval(this.#sweeper);
    for (const client of [...this.#clients]) {
      this.#limits.log(`${client.name} was cut off`);
      this.close(client);
    }
  }
}
