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
  /** Only this connection; 0: all of them. */
  only = 0;
  /** How many items are shown; Infinity: all that there are. */
  limit = Infinity;
  #isSorted = true;

  /** Takes entries that are new, or have changed. */
  add(entries) {
    for (const entry of entries) {
      if (entry.kind === "lane") {
        const at = this.lanes.findIndex(({ id }) => id === entry.id);
        if (at < 0) this.lanes.push(entry);
      } else if (entry.kind === "connection") this.#addConnection(entry);
      else if (entry.isGone) this.items.delete(entry.id);
      else this.items.set(entry.id, entry);
    }
    // The first client stands left of the server, the others to its right; but with a proxy before the server, all are left.
    const [clients, servers] = ["client", "server"].map((side) => this.lanes.filter((lane) => lane.side === side));
    const left = servers.length > 1 ? clients.length : 1;
    this.lanes = [...clients.slice(0, left), ...servers, ...clients.slice(left)];
    this.#isSorted = false;
  }

  /** Connections have their colours in turn. */
  #addConnection(entry) {
    const { colour = this.connections.size % 6 } = this.connections.get(entry.id) ?? {};
    this.connections.set(entry.id, { ...entry, colour });
  }

  /** Sorts and selects what is shown. */
  select() {
    if (this.#isSorted) return;
    this.#isSorted = true;
    const all = [...this.items.values()].filter(({ kind, connection }) =>
      this.only === 0 || (kind === "arrow" && connection === this.only)
    );
    all.sort((a, b) => startOf(a) - startOf(b) || a.id - b.id);
    this.total = all.length;
    this.first = all.length > 0 ? startOf(all[0]) : 0;
    this.shown = this.limit === Infinity ? all : all.slice(0, this.limit);
  }

  total = 0;
  first = 0;

  /** Shows other items: those of one connection, or no more than `limit`. */
  change({ only = this.only, limit = this.limit }) {
    [this.only, this.limit, this.#isSorted] = [only, limit, false];
  }
}

/** When an item begins, in microseconds. */
export const startOf = (item) => item.kind === "mark" ? item.t : item.departed ?? item.arrived;

/** When it ends: when it arrives, or is lost. */
export const endOf = (item) => item.kind === "mark" ? item.t : Math.max(item.arrived ?? item.departed, startOf(item));
