import type { Client, Clients } from "../tcp/_clients.ts";

/** Milliseconds that every client may be silent: its query, or the next one, may be on its way. */
const PATIENCE = 500;

/**
 * The clients over TCP, in the order of their last response.
 *
 * A client may keep its connection for later queries. When the system has no file descriptor left, new clients would have to
 * wait for those that only sit there: so the server closes the ones that were silent for longest (RFC 7766 §6.2.3). A client
 * whose connection is closed connects again with its next query.
 */
export class SilentClients {
  readonly #all: Clients;
  /** Since when each is silent; the longest silent first. */
  readonly #silentSince = new Map<Client, number>();
  /** How many clients may stay when one more arrives. */
  #most = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(all: Clients) {
    this.#all = all;
  }

  /** A client has come, or got a response. */
  touch(client: Client): void {
    this.#silentSince.delete(client);
    this.#silentSince.set(client, performance.now());
  }

  /** A client has left. */
  remove(client: Client): void {
    this.#silentSince.delete(client);
  }

  /** Closes clients while there are too many, as soon as they were silent for some time. */
  makeRoom(): void {
    clearTimeout(this.#timer);
    for (const [client, since] of this.#silentSince) {
      if (this.#all.size <= this.#most) return;
      const wait = since + PATIENCE - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.makeRoom(), wait);
        return;
      }
      this.#silentSince.delete(client);
      this.#all.close(client);
    }
  }

  /** From now on there may be `most` clients at the same time: keep a place free for one that arrives. */
  limit(most: number): void {
    this.#most = Math.max(1, most - 1);
    this.makeRoom();
  }
}
