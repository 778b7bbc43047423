/**
 * The lanes of the picture: one for each program, and for each other end whose trace nobody reads.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import type { Event } from "../../tcp/_trace_event.ts";
import type { Arrow, Connection, Lane } from "./entries.ts";
import type { Source } from "./model.ts";
import { Owners } from "./owners.ts";

/** Lanes for clients that are no program of ours: a web browser opens many connections. */
const MOST = 8;

export class Lanes {
  readonly #create: (source: Source) => Lane;
  readonly #sources = new Map<Source, Lane>();
  readonly #owners = new Owners();
  readonly #strangers = new Map<string, Lane>();
  #first: Lane | undefined;

  /** `create` makes a lane and shows it. */
  constructor(create: (source: Source) => Lane) {
    this.#create = create;
  }

  /** The first lane, for what belongs to no program. */
  get first(): Lane | undefined {
    return this.#first;
  }

  addSource(source: Source): void {
    this.#sources.set(source, this.#add(source));
  }

  /** Gives a relay one of its addresses. */
  give(source: Source, address: string): void {
    const lane = this.#sources.get(source);
    if (lane) this.#owners.give(address, lane.id);
  }

  laneOfSource(source: Source): Lane | undefined {
    return this.#sources.get(source);
  }

  /** Whether a program has sent a message, and not received it. */
  isSent(source: Source, event: Event): boolean {
    return this.#owners.isSent(source, event, this.#sources.get(source)?.id);
  }

  /** Whether the trace of the program with this address is read. */
  isTraced(address: string): boolean {
    return this.#owners.laneOf(address) !== undefined;
  }

  /** The lanes of an arrow. They may change, when the trace of the other side tells whose address it is. */
  place(arrow: Arrow, { client, server }: Connection, from: string): void {
    const [a, b] = [this.laneOf(client, "client"), this.laneOf(server, "server")];
    [arrow.from, arrow.to] = from === client ? [a, b] : [b, a];
  }

  /** The lane of an address, that of a new one if nobody is known to have it. */
  laneOf(address: string, side: "client" | "server"): number {
    const owner = this.#owners.laneOf(address);
    if (owner !== undefined) return owner;
    // The newest program of this side: its own trace has not come yet, or it has none.
    const newest = [...this.#sources].filter(([source]) => source.side === side).at(-1)?.[1];
    if (newest) return newest.id;
    const known = this.#strangers.get(address);
    if (known) return known.id;
    const last = [...this.#strangers.values()].at(-1);
    const isOne = this.#strangers.size < MOST || !last;
    const lane = isOne
      ? this.#add({ side, name: address.startsWith("kernel ") ? address : `${side} ${address}` })
      : last;
    this.#strangers.set(address, lane);
    return lane.id;
  }

  #add(source: Source): Lane {
    const lane = this.#create({ ...source, name: printable(source.name) });
    this.#first ??= lane;
    return lane;
  }
}
