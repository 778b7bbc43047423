/**
 * The picture of an exchange: the traces of all its programs, merged. It grows line by line. No socket and no process.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import type { Event } from "../../tcp/_trace_event.ts";
import { DatagramFlow } from "./datagram_flow.ts";
import type { Arrow, Connection, Entry, Lane, Mark } from "./entries.ts";
import { Owners } from "./owners.ts";
import { parseEvent } from "./parse_event.ts";
import { type Sheet, StreamFlow } from "./stream_flow.ts";
import { words } from "./words.ts";

/** The most arrows and marks, and the most bytes of messages, that are kept. */
export const LIMITS = { entries: 200_000, bytes: 256 * 1024 * 1024 };

/** Lanes for clients that are no program of ours: a web browser opens many connections. */
const MOST_LANES = 8;

/** A program whose trace is read. A relay has no lane: it is the network between the others. */
export interface Source {
  readonly side: "client" | "server" | "relay";
  readonly name: string;
  /** A relay's server. */
  readonly to?: string;
}

interface Link {
  readonly connection: Connection;
  readonly streams: Readonly<Record<string, StreamFlow>>;
  readonly datagrams: Readonly<Record<string, DatagramFlow>>;
  readonly opened: { arrow?: Arrow; by: Set<string> };
}

/** A picture that grows. `log` has each entry once for every time it has changed. */
export class Model {
  readonly log: Entry[] = [];
  readonly data = new Map<number, Uint8Array>();
  readonly connections: Connection[] = [];
  /** The last message in the other direction, which some protocols need to be understood. */
  readonly before = new Map<number, number>();
  /** The messages that a client has sent. */
  readonly isFromClient = new Set<number>();
  readonly #entriesById = new Map<number, Entry>();
  readonly #sources = new Map<Source, Lane>();
  readonly #owners = new Owners();
  readonly #lanes: Lane[] = [];
  readonly #strangers = new Map<string, Lane>();
  readonly #links = new Map<string, Link>();
  readonly #last = new Map<string, number>();
  #ids = 0;
  #entries = 0;
  #bytes = 0;
  #isFull = false;
  #changed = Promise.withResolvers<void>();

  /** Settles when the log has grown. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  /** An entry by its number. */
  entry(id: number): Entry | undefined {
    return this.#entriesById.get(id);
  }

  /** Gives a program its lane. */
  addSource(source: Source): void {
    if (source.side === "relay") return;
    this.#sources.set(source, this.#addLane(source.side, source.name));
  }

  /** A line of a program's trace. One that is no event becomes a mark on its lane. */
  addLine(source: Source, line: string, t: number): void {
    const event = parseEvent(line);
    if (event) this.addEvent(source, event);
    else if (line.trim() !== "") this.addMark(source, line, t);
  }

  /** A note at one program. */
  addMark(source: Source, text: string, t: number, more: { data?: Uint8Array; isFailure?: true } = {}): void {
    const lane = this.#sources.get(source) ?? this.#lanes[0];
    if (!lane || !this.#hasRoom(more.data?.length ?? 0)) return;
    const id = ++this.#ids;
    const bytes = more.data?.length ?? 0;
    if (more.data) this.data.set(id, more.data);
    const mark: Mark = { kind: "mark", id, lane: lane.id, t, bytes, text: printable(text.slice(0, 300)) };
    this.#note(more.isFailure ? { ...mark, isFailure: true } : mark);
  }

  /** All programs have ended: what has not arrived so far never will. */
  finish(): void {
    for (const { datagrams, connection: { client, server } } of this.#links.values()) {
      // Without the trace of the receiver nobody knows whether it has received a datagram.
      const lost = [client, server].flatMap((from) => {
        const to = from === client ? server : client;
        return this.#owners.laneOf(to) === undefined ? [] : datagrams[from]?.missing() ?? [];
      });
      for (const arrow of lost) {
        arrow.isLost = true;
        arrow.note ||= "not received";
        this.#note(arrow);
      }
    }
  }

  /** An event of a program's trace. */
  addEvent(source: Source, event: Event): void {
    const { from, to, transport, data, note, t } = event;
    // `fetch` holds its connection itself: its client shows messages without addresses, the server shows their bytes.
    if (![from, to].every((name) => /:\d+$/.test(name))) {
      const what = /:\d+$/.test(from) ? "reads" : "sends";
      return this.addMark(source, note || `${what} ${words(data)}`, t, { data });
    }
    const isSent = source.side === "relay"
      ? from !== source.to
      : this.#owners.isSent(source, event, this.#sources.get(source)?.id);
    const isFromClient = source.side === "client" ? isSent : source.side === "server" ? !isSent : from !== source.to;
    const [client, server] = isFromClient ? [from, to] : [to, from];
    const link = this.#linkOf(transport, client, server, note === "connected" || note === "accepted" ? note : "");
    if (source.side === "relay") this.#passed(link, event);
    else if (transport === "tcp") this.#tcp(link, source, event, isSent);
    else if (isSent) link.datagrams[from]?.sent(data, t);
    else link.datagrams[from]?.received(data, t);
  }

  #tcp({ streams, opened, connection }: Link, source: Source, event: Event, isSent: boolean): void {
    const { from, to, data, note, t } = event;
    const stream = streams[from];
    if (note === "connected" || note === "accepted") return this.#open(opened, connection, note, t);
    if (data.length > 0) return isSent ? stream?.sent(data, t) : stream?.received(data, t);
    // Another note, such as TLS or a WebSocket's frame, is about what has been sent before or comes next.
    if (!/^(FIN|RST|closed)$/.test(note)) return note ? this.addMark(source, note, t) : undefined;
    if (!isSent) return stream?.receivedEnd(note, t);
    // A close sends a FIN, unless the program has already ended its side.
    const isFirst = stream?.sentEnd(note === "closed" ? "FIN (closed)" : note, t);
    if (!isFirst) this.addMark(source, `closed ${to}`, t);
  }

  #open(opened: Link["opened"], connection: Connection, note: string, t: number): void {
    const isClient = note === "connected";
    if (!opened.arrow) {
      opened.arrow = this.#addArrow(connection, connection.client, new Uint8Array(), {
        ...isClient ? { departed: t } : { arrived: t },
        note: "connected",
      });
    } else {
      const { departed = t, arrived = t } = opened.arrow;
      opened.arrow.departed = isClient ? Math.min(t, arrived) : departed;
      opened.arrow.arrived = isClient ? arrived : Math.max(t, departed);
      this.#note(opened.arrow);
    }
  }

  /** A relay shows a message when it passes it on, and says for how long it has held it. */
  #passed({ connection, datagrams }: Link, { transport, from, data, note, t }: Event): void {
    const delay = Number(/delayed (\d+) ms/.exec(note)?.[1] ?? 0) * 1000;
    const isLost = /^(lost|stall|half-open)/.test(note);
    const times = isLost ? { departed: t } : { departed: t - delay, arrived: t };
    const shown = note === "datagram" ? "" : note;
    const arrow = transport === "udp"
      ? datagrams[from]?.passed(data, times, shown)
      : this.#addArrow(connection, from, data, { ...times, note: shown });
    if (!isLost || !arrow) return;
    arrow.isLost = true;
    this.#note(arrow);
  }

  /** The link of two addresses. A port that is used again, for a new connection, is a new link. */
  #linkOf(transport: string, client: string, server: string, opening: string): Link {
    const key = `${transport} ${[normal(client), normal(server)].sort().join(" ")}`;
    const known = this.#links.get(key);
    if (known && !(opening && known.opened.by.has(opening))) {
      if (opening) known.opened.by.add(opening);
      return known;
    }
    const connection: Connection = { kind: "connection", id: ++this.#ids, transport, client, server };
    this.connections.push(connection);
    this.#note(connection);
    const sheet = (from: string): Sheet => ({
      add: (data, more) => this.#addArrow(connection, from, data, more),
      changed: (arrow, data) => {
        if (arrow.from === 0) return; // there was no room for it
        if (data) {
          this.data.set(arrow.id, data);
          Object.assign(arrow, { bytes: data.length, text: words(data) });
        }
        if (arrow.isGone) this.data.delete(arrow.id);
        this.#place(arrow, connection, from);
        this.#note(arrow);
      },
    });
    const [one, other] = [sheet(client), sheet(server)];
    const link: Link = {
      connection,
      streams: { [client]: new StreamFlow(one), [server]: new StreamFlow(other) },
      datagrams: { [client]: new DatagramFlow(one), [server]: new DatagramFlow(other) },
      opened: { by: new Set(opening ? [opening] : []) },
    };
    this.#links.set(key, link);
    return link;
  }

  #addArrow(
    connection: Connection,
    from: string,
    data: Uint8Array,
    more: Partial<Pick<Arrow, "departed" | "arrived" | "note">>,
  ): Arrow {
    const id = ++this.#ids;
    const base = { id, connection: connection.id, from: 0, to: 0, bytes: data.length, note: "", text: words(data) };
    const arrow: Arrow = { kind: "arrow", ...base, ...more };
    if (!this.#hasRoom(data.length)) return arrow; // it is counted by nobody
    if (data.length > 0) {
      this.data.set(id, data);
      if (from === connection.client) this.isFromClient.add(id);
      const other = from === connection.client ? "server" : "client";
      const before = this.#last.get(`${connection.id} ${other}`);
      if (before !== undefined) this.before.set(id, before);
      this.#last.set(`${connection.id} ${from === connection.client ? "client" : "server"}`, id);
    }
    this.#place(arrow, connection, from);
    this.#note(arrow);
    return arrow;
  }

  /** The lanes of an arrow. They may change, when the trace of the other side tells whose address it is. */
  #place(arrow: Arrow, { client, server }: Connection, from: string): void {
    const [a, b] = [this.#laneOf(client, "client"), this.#laneOf(server, "server")];
    [arrow.from, arrow.to] = from === client ? [a, b] : [b, a];
  }

  #laneOf(address: string, side: "client" | "server"): number {
    const owner = this.#owners.laneOf(address);
    if (owner !== undefined) return owner;
    // The newest program of this side: its own trace has not come yet, or it has none.
    const programs = [...this.#sources].filter(([source]) => source.side === side);
    const newest = programs.at(-1)?.[1];
    if (newest) return newest.id;
    const known = this.#strangers.get(address);
    if (known) return known.id;
    const [last] = [...this.#strangers.values()].slice(-1);
    const isOne = this.#strangers.size < MOST_LANES || !last;
    const lane = isOne ? this.#addLane(side, `${side} ${address}`) : last;
    this.#strangers.set(address, lane);
    return lane.id;
  }

  #addLane(side: "client" | "server", name: string): Lane {
    const lane: Lane = { kind: "lane", id: ++this.#ids, side, name: printable(name) };
    this.#lanes.push(lane);
    this.#note(lane);
    return lane;
  }

  #hasRoom(bytes: number): boolean {
    if (this.#isFull) return false;
    this.#bytes += bytes;
    this.#isFull = ++this.#entries > LIMITS.entries || this.#bytes > LIMITS.bytes;
    const lane = this.#lanes[0];
    if (!this.#isFull || !lane) return !this.#isFull;
    const text = "the picture is full: what follows is not kept";
    const t = Date.now() * 1000;
    this.#note({ kind: "mark", id: ++this.#ids, lane: lane.id, t, bytes: 0, text, isFailure: true });
    return false;
  }

  #note(entry: Entry): void {
    this.log.push(entry);
    this.#entriesById.set(entry.id, entry);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

/** A server that is bound to all addresses shows 0.0.0.0; its clients know it by one. */
const normal = (address: string) => address.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
