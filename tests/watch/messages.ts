/**
 * The bytes of the messages, and what those who take them apart must know about each.
 *
 * @module
 */
import { type Protocol, says } from "./dissect.ts";
import { isUpgrade } from "./dissect_websocket.ts";
import type { Connection } from "./entries.ts";
import { words } from "./words.ts";

const nothing = new Uint8Array();

export class Messages {
  readonly data = new Map<number, Uint8Array>();
  /** The last message in the other direction, which some protocols need to be understood. */
  readonly before = new Map<number, number>();
  /** The messages that a client has sent. */
  readonly isFromClient = new Set<number>();
  /** The connections that have become a WebSocket. */
  readonly #upgraded = new Set<number>();
  readonly #last = new Map<string, number>();

  /** `protocol`: how to read the messages; without it, their bytes decide. */
  constructor(readonly protocol: Protocol | undefined) {}

  add(id: number, data: Uint8Array, connection: Connection, from: string): void {
    this.data.set(id, data);
    const isClient = from === connection.client;
    if (isClient) this.isFromClient.add(id);
    const before = this.#last.get(`${connection.id} ${isClient ? "server" : "client"}`);
    if (before !== undefined) this.before.set(id, before);
    this.#last.set(`${connection.id} ${isClient ? "client" : "server"}`, id);
  }

  /** Whether a connection has become a WebSocket. */
  isUpgraded({ id }: Connection): boolean {
    return this.#upgraded.has(id);
  }

  /** What stands on an arrow. */
  textOf(data: Uint8Array, { id, transport, client }: Connection, from: string): string {
    if (transport === "tcp" && isUpgrade(data)) this.#upgraded.add(id);
    // A few words need no more than the message itself.
    const subject = { data, transport, isFromClient: from === client, before: nothing, earlier: () => nothing };
    return says(subject, this.#upgraded.has(id) ? "websocket" : this.protocol) ?? words(data);
  }
}
