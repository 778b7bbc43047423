/**
 * What the page knows of the exchange, and which part of it is shown.
 *
 * @module
 */

/** The lanes, the connections, the arrows and the marks. `shown` has those that the picture shows, in their order. */
export class Store {
  lanes = [];
  connections = new Map();
  items = new Map();
  shown = [];
  /** Whether a relay has a lane, where its reader has chosen. Without one, what it passes on goes from sender to receiver. */
  isRelayChosen;
  /** Only this connection; 0: all of them. */
  only = 0;
  /** How many items are shown; Infinity: all that there are. */
  limit = Infinity;
  #isSorted = true;
  /** Whether there is a note at the relay, such as that of another network. */
  #hasRelaySpoken = false;

  /** Takes entries that are new, or have changed. */
  add(entries) {
    for (const entry of entries) {
      if (entry.kind === "mark" && entry.lane === this.relay?.id) this.#hasRelaySpoken = true;
      if (entry.kind === "lane") {
        const at = this.lanes.findIndex(({ id }) => id === entry.id);
        if (at < 0) this.lanes.push(entry);
      } else if (entry.kind === "connection") this.#addConnection(entry);
      else if (entry.isGone) this.items.delete(entry.id);
      else this.items.set(entry.id, entry);
    }
    this.#isSorted = false;
  }

  /** A relay that only looks on needs no lane, until its network is changed. */
  get isRelayShown() {
    return this.isRelayChosen ?? (this.relay !== undefined && (!this.relay.isPassive || this.#hasRelaySpoken));
  }

  get relay() {
    return this.lanes.find(({ side }) => side === "relay");
  }

  /**
   * The lanes that are shown, in their order: the first client stands left of the server, the others to its right. With a
   * relay or a proxy before the server, all are left.
   */
  get shownLanes() {
    const [clients, relays, servers] = ["client", "relay", "server"].map((side) =>
      this.lanes.filter((lane) => lane.side === side)
    );
    const between = this.isRelayShown ? relays : [];
    const left = servers.length + between.length > 1 ? clients.length : 1;
    return [...clients.slice(0, left), ...between, ...servers, ...clients.slice(left)];
  }

  /** Connections have their colours in turn. */
  #addConnection(entry) {
    const { colour = this.connections.size % 6 } = this.connections.get(entry.partOf ?? entry.id) ?? {};
    this.connections.set(entry.id, { ...entry, colour });
  }

  /** The connections as their reader chooses among them: the two parts of one that passes a relay are one. */
  choices() {
    const all = [...this.connections.values()];
    const behind = new Map(all.map(({ partOf, server }) => [partOf, server])); // the server of the second part
    return all.filter(({ partOf }) => partOf === undefined).map(({ id, transport, client, server }) => {
      return { id, name: `${client} ↔ ${behind.get(id) ?? server} (${transport})` };
    });
  }

  /** An item as it is shown without the relay's lane; undefined if it is a part of another one then. */
  #withoutRelay(item, relay, shownAs) {
    if (item.kind === "mark") return item.lane === relay.id ? { ...item, lane: this.shownLanes[0]?.id } : item;
    if (item.kind !== "arrow" || item.beyond === undefined) return item.to === relay.id ? undefined : item;
    if (item.to === relay.id) {
      const departed = item.departed ?? item.arrived;
      return item.isLost ? { ...item, to: item.beyond, departed, arrived: undefined } : undefined;
    }
    const again = shownAs.get(this.items.get(item.through)?.again);
    const arrived = item.arrived ?? item.departed;
    return { ...item, from: item.beyond, departed: item.came ?? item.departed, arrived, again, came: undefined };
  }

  #view() {
    const all = [...this.items.values()];
    const { relay } = this;
    if (!relay || this.isRelayShown) return all;
    // What has come to the relay goes on as the arrow that it goes out as, or is lost.
    const shownAs = new Map(all.filter(({ through }) => through).map(({ through, id }) => [through, id]));
    for (const { id, isLost } of all) if (isLost) shownAs.set(id, id);
    return all.map((item) => this.#withoutRelay(item, relay, shownAs)).filter((item) => item);
  }

  /** Sorts and selects what is shown. */
  select() {
    if (this.#isSorted) return;
    this.#isSorted = true;
    const isChosen = (id) => id === this.only || this.connections.get(id)?.partOf === this.only;
    const all = this.#view().filter(({ kind, connection }) =>
      this.only === 0 || (kind === "arrow" && isChosen(connection))
    );
    all.sort((a, b) => startOf(a) - startOf(b) || a.id - b.id);
    this.total = all.length;
    this.first = all.length > 0 ? startOf(all[0]) : 0;
    this.shown = this.limit === Infinity ? all : all.slice(0, this.limit);
  }

  total = 0;
  first = 0;

  /** Shows other items: those of one connection, no more than `limit`, or with another lane. */
  change({ only = this.only, limit = this.limit, isRelayChosen = this.isRelayChosen }) {
    Object.assign(this, { only, limit, isRelayChosen });
    this.#isSorted = false;
  }
}

/** When an item begins, in microseconds. */
export const startOf = (item) => item.kind === "mark" ? item.t : item.departed ?? item.arrived;

/** When it ends: when it arrives, or is lost. */
export const endOf = (item) => item.kind === "mark" ? item.t : Math.max(item.arrived ?? item.departed, startOf(item));
