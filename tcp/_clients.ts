/**
 * The clients of a TCP server: accepts them, serves them, limits how many there are and how long one may be silent, and
 * ends them when the server stops.
 *
 * @module
 */
import { count, Failure, formatAddress, integer, type Option, type Tracing, within } from "../cli.ts";
import { DescriptorReserve } from "./_descriptor_reserve.ts";
import { codeOf } from "./_socket_errors.ts";
import { traced } from "./_trace.ts";

/** One client that is being served. */
export interface Client {
  readonly conn: Deno.TcpConn;
  /** Its address and port, for the log. */
  readonly name: string;
  /** How many quarters of the time limit have passed since bytes moved. Set it to 0 whenever they do. */
  idleTicks: number;
}

/** The flags of a server that concern its clients. */
export interface Limits extends Tracing {
  /** Clients at the same time. Those over it wait in the kernel's queue of connections until one leaves. */
  readonly "max-clients": number;
  /** Seconds in which a client must send, or take, at least one byte. 0: no limit. */
  readonly timeout: number;
  /** Stop after the first client; the exit code then says how its exchange ended. */
  readonly once: boolean;
}

/** What a server may do besides. */
export interface Hooks {
  /** Prints a line about a client; the default is `console.log`. */
  readonly log?: (line: string) => void;
  /** Sends a last message to a client that was silent for too long. It is closed afterwards, or when it does not read it. */
  readonly onIdle?: (client: Client) => Promise<void>;
  /** Called at Ctrl-C, when the listeners are closed and the clients are still there. */
  readonly onInterrupt?: () => void;
  /** File descriptors that a client needs: 1 for its connection, more where it has a file open as well. */
  readonly descriptors?: number;
  /** Called when the system has no descriptor left: from now on there may be this many clients at the same time. */
  readonly onLimited?: (most: number) => void;
  /** Whether other listeners share the port (SO_REUSEPORT). */
  readonly sharedPort?: boolean;
}

/** Seconds that clients have to finish after Ctrl-C. */
const GRACE = 5;

/** Seconds that a client has to take the last message. */
const LAST_MESSAGE = 2;

/** Descriptors that stay free when the system has no more of them. */
const SPARE = 8;

/** The option of every server that limits its clients. */
export const maxClients = (initial: number): Option<number> =>
  integer(initial, "clients at the same time; more wait for their turn", 1, 1_000_000);

/** Whether an error says that this process has closed the socket: so ends a pending accept, read or write. */
export const isClosedLocally = (error: unknown): boolean =>
  error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource;

/**
 * The clients of one server.
 *
 * ```ts
 * const clients = new Clients(flags);
 * onStop(() => clients.interrupt());
 * for await (const conn of clients.accept(listener)) clients.serve(conn, echo);
 * await clients.finished();
 * ```
 */
export class Clients {
  readonly #limits: Limits;
  readonly #hooks: Hooks;
  readonly #log: (line: string) => void;
  readonly #clients = new Set<Client>();
  readonly #listeners = new Set<Deno.TcpListener>();
  readonly #idleTimer: ReturnType<typeof setInterval> | undefined;
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  #interrupted = false;
  /** How many clients there may be at the same time. */
  #capacity: number;
  readonly #reserve = new DescriptorReserve();
  #outOfDescriptors = false;
  /** Settles when a client has left, or the server stops. */
  #changed = Promise.withResolvers<void>();
  /** Whether no more clients are accepted. */
  stopping = false;

  constructor(limits: Limits, hooks: Hooks = {}) {
    this.#limits = limits;
    this.#hooks = hooks;
    this.#log = hooks.log ?? console.log;
    this.#capacity = limits["max-clients"];
    // One timer for all clients: a timer for each read would cost more than the read.
    if (limits.timeout > 0) this.#idleTimer = setInterval(() => this.#closeIdle(), limits.timeout * 250);
  }

  /** How many clients are being served. */
  get size(): number {
    return this.#clients.size;
  }

  /** Accepts connections one after another, as long as there is room; ends when the server stops. */
  async *accept(listener: Deno.TcpListener): AsyncGenerator<Deno.TcpConn> {
    this.#listeners.add(listener);
    if (this.stopping) listener.close();
    // Its connections are among those that are accepted afterwards: with --once, one must not be taken for the client.
    const isForMany = this.#listeners.size === 1 && !this.#hooks.sharedPort && !this.#limits.once;
    if (isForMany) await this.#reserve.open(listener);
    while (!this.stopping) {
      if (this.size >= this.#capacity) await this.#changed.promise;
      else {
        const conn = await this.#acceptOne(listener);
        if (conn && this.#limits.once) this.stop();
        if (conn) yield conn;
      }
    }
  }

  async #acceptOne(listener: Deno.TcpListener): Promise<Deno.TcpConn | undefined> {
    try {
      const conn = await listener.accept();
      return await this.#reserve.takes(conn) ? undefined : conn;
    } catch (error) {
      if (this.stopping) return undefined;
      const code = codeOf(error);
      // The client was gone before it was accepted: no reason to stop.
      if (code === "ECONNRESET" || code === "ECONNABORTED") return undefined;
      if (error instanceof Deno.errors.NotConnected) return undefined;
      if (code !== "EMFILE" && code !== "ENFILE") throw error;
      this.#limitToDescriptors();
      // Descriptors are also freed elsewhere in the process: try again soon, at the latest.
      await within(0.1, this.#changed.promise, () => {});
      return undefined;
    }
  }

  /** The system has no descriptor left: the kernel keeps further connections queued until clients leave. */
  #limitToDescriptors(): void {
    if (this.#outOfDescriptors) return;
    this.#outOfDescriptors = true;
    this.#log(
      `no file descriptors left (${count(this.size, "client")} connected): new clients must wait; raise ulimit -n`,
    );
    const available = this.size + this.#reserve.release() - SPARE;
    this.#capacity = Math.max(1, Math.floor(available / (this.#hooks.descriptors ?? 1)));
    this.#hooks.onLimited?.(this.#capacity);
  }

  /**
   * Serves one client by calling `exchange`, and closes its connection, whatever happens. Returns whether the exchange came
   * to its end: false when the client reset the connection, was silent for too long or was cut off.
   */
  async serve(accepted: Deno.TcpConn, exchange: (client: Client) => Promise<void>): Promise<boolean> {
    const conn = traced(accepted, this.#limits, "server");
    const client: Client = { conn, name: formatAddress(conn.remoteAddr), idleTicks: 0 };
    this.#clients.add(client);
    try {
      await exchange(client);
      return true;
    } catch (error) {
      this.#report(client, error);
      if (this.#limits.once && !this.#interrupted) Deno.exitCode = 1;
      return false;
    } finally {
      this.close(client);
    }
  }

  #report(client: Client, error: unknown): void {
    if (error instanceof Failure) this.#log(`${client.name} ${error.message}`);
    else if (["ECONNRESET", "ECONNABORTED", "EPIPE", "ETIMEDOUT"].includes(codeOf(error))) {
      this.#log(`${client.name} reset the connection`);
    } else if (!isClosedLocally(error)) console.error(error); // a bug: show its stack trace, and serve the others
  }

  /** Closes a client's connection, whatever it is doing. */
  close(client: Client): void {
    if (!this.#clients.delete(client)) return;
    client.conn.close();
    this.#notify();
  }

  #closeIdle(): void {
    for (const client of this.#clients) {
      // At the fifth tick the client has had four whole quarters of its time.
      if (++client.idleTicks < 5) continue;
      client.idleTicks = -Infinity; // once is enough
      this.#log(`${client.name} was silent for ${this.#limits.timeout} s: closed`);
      const close = () => this.close(client);
      // A client that does not read, or is gone, does not get the message. It is closed anyway.
      if (this.#hooks.onIdle) within(LAST_MESSAGE, this.#hooks.onIdle(client), () => {}).then(close, close);
      else close();
    }
  }

  /** Accepts no more clients: closes the listeners, which ends a pending accept too. */
  stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    for (const listener of this.#listeners) listener.close();
    this.#notify();
  }

  /** Stops, and gives the clients that are being served five seconds to finish: for Ctrl-C. */
  interrupt(): void {
    this.stop();
    this.#interrupted = true;
    this.#hooks.onInterrupt?.();
    if (this.size === 0) return;
    this.#log(
      `stopping: waiting up to ${GRACE} s for ${count(this.size, "client")} to finish (Ctrl-C again stops now)`,
    );
    this.#graceTimer = setTimeout(() => {
      for (const client of this.#clients) {
        this.#log(`${client.name} did not finish in time: closed`);
        this.close(client);
      }
    }, GRACE * 1000);
  }

  /** Waits until the last client has left. */
  async finished(): Promise<void> {
    while (this.size > 0) await this.#changed.promise;
    clearTimeout(this.#graceTimer);
    clearInterval(this.#idleTimer);
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
