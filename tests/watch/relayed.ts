/**
 * What the trace of a relay says: the relay is the server of the client, and the client of the server.
 *
 * @module
 */
import type { Event } from "../../tcp/_trace_event.ts";
import type { Arrow, Entry } from "./entries.ts";
import type { Lanes } from "./lanes.ts";
import type { Link, Links } from "./links.ts";
import type { Source } from "./model.ts";

/** Messages that a relay holds, and that are remembered until they go out. */
const REMEMBERED = 2000;

/** The picture that the arrows belong to. */
interface Sheet {
  readonly links: Links;
  readonly lanes: Lanes;
  /** A note at one program. */
  readonly mark: (source: Source, text: string, t: number) => void;
  /** Shows an entry again, that has changed. */
  readonly note: (entry: Entry) => void;
}

export class Relayed {
  readonly #sheet: Sheet;
  /** The addresses from which relays talk to their servers. */
  readonly #far = new Set<string>();
  /** The last messages that have come in, and whether they still wait. */
  readonly #came = new Map<string, { data: Uint8Array; arrow: Arrow | undefined; isWaiting: boolean }>();

  constructor(sheet: Sheet) {
    this.#sheet = sheet;
  }

  add(source: Source, event: Event): void {
    const { transport, from, to, note, half, via: [at, next] = ["", ""] } = event;
    const { links, lanes } = this.#sheet;
    for (const address of [at, next]) lanes.give(source, address);
    // The first message that passes two addresses of a relay comes from the client.
    const isFromClient = !this.#far.has(at);
    if (isFromClient) this.#far.add(next);
    const isOpening = note === "connected";
    const [comes, goes] = isFromClient
      ? [
        links.of(transport, from, at, isOpening ? "accepted" : ""),
        links.of(transport, next, to, isOpening ? note : ""),
      ]
      : [links.of(transport, at, from), links.of(transport, to, next)];
    const [front, back] = isFromClient ? [comes, goes] : [goes, comes];
    if (back.connection.partOf === undefined) {
      back.connection.partOf = front.connection.id;
      this.#sheet.note(back.connection);
    }
    const isLost = /^lost/.test(note);
    const came = half === "out" ? undefined : this.#comesIn(comes, event, isLost);
    if (came && isLost) {
      this.#change(came, { isLost: true, note, beyond: lanes.laneOf(to, isFromClient ? "server" : "client") });
    }
    if (came) this.#remember(comes, event, came.at(-1), half === "in" && !isLost);
    if (half === "in" && event.data.length === 0 && note !== "FIN") this.#sheet.mark(source, note, event.t);
    if (half === "in" || isLost) return;
    const first = this.#came.get(keyOf(comes, event.came ?? event.t));
    if (first) first.isWaiting = false;
    const arrow = this.#goesOut(goes, event);
    if (!arrow) return;
    const isSame = first && equal(first.data, event.data) ? true : undefined;
    const beyond = lanes.laneOf(from, isFromClient ? "client" : "server");
    delete arrow.again; // its sender has sent it again, not the relay
    // A reset that the relay itself has sent has come from nobody.
    const whenCame = event.came ?? (half === undefined ? event.t : undefined);
    this.#change([arrow], {
      ...whenCame === undefined ? {} : { came: whenCame },
      ...isSame ? { isSame } : {},
      beyond,
      ...transport === "udp" && first?.arrow ? { through: first.arrow.id } : {},
      note: note === "datagram" ? arrow.note : note,
    });
  }

  /** The messages that a relay has not sent on so far. */
  waiting(): Arrow[] {
    return [...this.#came.values()].flatMap(({ arrow, isWaiting }) => isWaiting && arrow ? arrow : []);
  }

  /** The relay as a server, or as a client that gets a reply. Returns the arrows that arrive. */
  #comesIn(link: Link, { transport, from, data, note, t }: Event, isLost: boolean): Arrow[] {
    const flow = link.from(from);
    if (transport === "udp") return [flow.datagrams.received(data, t)];
    if (note === "connected") return [link.open("accepted", t)];
    if (note === "FIN" || note === "RST") flow.stream.receivedEnd(note, t);
    return data.length > 0 || isLost ? flow.stream.received(data, t) : [];
  }

  #goesOut(link: Link, { transport, data, note, t, via: [, next] = ["", ""] }: Event): Arrow | undefined {
    const flow = link.from(next);
    if (transport === "udp") return flow.datagrams.sent(data, t);
    if (note === "connected") return link.open("connected", t);
    if (note === "FIN" || note === "RST") return flow.stream.sentEnd(note, t);
    return data.length > 0 ? flow.stream.sent(data, t) : undefined;
  }

  #remember(link: Link, { data, t }: Event, arrow: Arrow | undefined, isWaiting: boolean): void {
    this.#came.set(keyOf(link, t), { data, arrow, isWaiting });
    const [oldest] = this.#came.keys();
    if (this.#came.size > REMEMBERED && oldest !== undefined) this.#came.delete(oldest);
  }

  #change(arrows: readonly Arrow[], more: Partial<Arrow>): void {
    for (const arrow of arrows) {
      if (arrow.from === 0) continue; // there was no room for it
      this.#sheet.note(Object.assign(arrow, more));
    }
  }
}

const keyOf = ({ connection }: Link, t: number) => `${connection.id} ${t}`;

const equal = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i]);
