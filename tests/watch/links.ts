/**
 * Who exchanges messages with whom: a link for each two addresses, with the arrows of both directions.
 *
 * @module
 */
import { DatagramFlow } from "./datagram_flow.ts";
import type { Arrow, Connection } from "./entries.ts";
import { type Sheet, StreamFlow } from "./stream_flow.ts";

/** The arrows of one direction. */
interface Flow {
  readonly stream: StreamFlow;
  readonly datagrams: DatagramFlow;
}

/** Two addresses, and the arrows of both directions. */
export class Link {
  /** Which of its two sides have shown how it begins. */
  readonly openedBy = new Set<string>();
  #opening: Arrow | undefined;
  readonly #sheet: Sheet;
  readonly #flows: readonly [client: Flow, server: Flow];

  constructor(readonly connection: Connection, sheetOf: (connection: Connection, from: string) => Sheet) {
    const flow = (sheet: Sheet): Flow => ({ stream: new StreamFlow(sheet), datagrams: new DatagramFlow(sheet) });
    this.#sheet = sheetOf(connection, connection.client);
    this.#flows = [flow(this.#sheet), flow(sheetOf(connection, connection.server))];
  }

  /** Shows how a connection begins: its client has connected, or its server has accepted it. */
  open(note: "connected" | "accepted", t: number): Arrow {
    const isClient = note === "connected";
    if (!this.#opening) {
      const more = { ...isClient ? { departed: t } : { arrived: t }, note: "connected" };
      return this.#opening = this.#sheet.add(new Uint8Array(), more);
    }
    const { departed = t, arrived = t } = this.#opening;
    this.#opening.departed = isClient ? Math.min(t, arrived) : departed;
    this.#opening.arrived = isClient ? arrived : Math.max(t, departed);
    this.#sheet.changed(this.#opening);
    return this.#opening;
  }

  /** What one of the two has sent. */
  from(address: string): Flow {
    const [client, server] = this.#flows;
    return normal(address) === normal(this.connection.client) ? client : server;
  }
}

export class Links {
  readonly #links = new Map<string, Link>();
  readonly #connect: (transport: string, client: string, server: string) => Connection;
  readonly #sheetOf: (connection: Connection, from: string) => Sheet;

  /** `connect` makes a connection and shows it; `sheetOf` is where the arrows of one direction are drawn. */
  constructor(
    connect: (transport: string, client: string, server: string) => Connection,
    sheetOf: (connection: Connection, from: string) => Sheet,
  ) {
    [this.#connect, this.#sheetOf] = [connect, sheetOf];
  }

  all(): Iterable<Link> {
    return this.#links.values();
  }

  /** The link of two addresses. A port that is used again, for a new connection, is a new link. */
  of(transport: string, client: string, server: string, opening = ""): Link {
    const key = `${transport} ${[normal(client), normal(server)].sort().join(" ")}`;
    const known = this.#links.get(key);
    if (known && !(opening && known.openedBy.has(opening))) {
      if (opening) known.openedBy.add(opening);
      return known;
    }
    const link = new Link(this.#connect(transport, client, server), this.#sheetOf);
    if (opening) link.openedBy.add(opening);
    this.#links.set(key, link);
    return link;
  }
}

/** A server that is bound to all addresses shows 0.0.0.0; its clients know it by one. */
const normal = (address: string) => address.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
