import { codeOf } from "../cli.ts";
import type { Client, Clients } from "../tcp/_clients.ts";

/**
 * The clients over TCP, in the order of their last response.
 *
 * A client may keep its connection for later queries. When the system has no file descriptor left, new clients would have to
 * wait for those that only sit there: so the server closes the ones that were silent for longest (RFC 7766 §6.2.3). A client
 * whose connection is closed connects again with its next query.
 */
export class SilentClients {
  readonly #all: Clients;
  /** The longest silent first. */
  readonly #order = new Set<Client>();
  /** How many clients may stay when one more arrives. */
  #most = Infinity;

  constructor(all: Clients) {
    this.#all = all;
  }

  /** A client has come, or got a response. */
  touch(client: Client): void {
    this.#order.delete(client);
    this.#order.add(client);
  }

  /** A client has left. */
  remove(client: Client): void {
    this.#order.delete(client);
  }

  /** Closes clients while there are too many. */
  makeRoom(): void {
    for (const client of this.#order) {
      if (this.#all.size <= this.#most) return;
      this.#order.delete(client);
      this.#all.close(client);
    }
  }

  /** Notices when this listener cannot accept for want of a descriptor. */
  watch(listener: Deno.TcpListener): Deno.TcpListener {
    const accept = listener.accept.bind(listener);
    listener.accept = async () => {
      try {
        return await accept();
      } catch (error) {
        const isExhausted = ["EMFILE", "ENFILE"].includes(codeOf(error)) && this.#all.size > 0;
        if (isExhausted && this.#most === Infinity) {
          // `Clients` now lowers its limit by 8 at most. With fewer clients than that, it goes on accepting.
          this.#most = Math.max(1, this.#all.size - 9);
          setTimeout(() => this.makeRoom());
        }
        throw error;
      }
    };
    return listener;
  }
}
