/**
 * The picture of an exchange: the traces of all its programs, merged. It grows line by line. No socket and no process.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { type Event, isEchoRequest } from "../../tcp/_trace_event.ts";
import { DatagramFlow } from "./datagram_flow.ts";
import { isUpgrade } from "./dissect_websocket.ts";
import { type Protocol, says } from "./dissect.ts";
import { Echoes } from "./echoes.ts";
import type { Arrow, Connection, Entry, Lane, Mark } from "./entries.ts";
import { Lanes } from "./lanes.ts";
import { parseEvent } from "./parse_event.ts";
import { type Sheet, StreamFlow } from "./stream_flow.ts";
import { words } from "./words.ts";

/** The most arrows and marks, and the most bytes of messages, that are kept. */
export const LIMITS = { entries: 200_000, bytes: 256 * 1024 * 1024 };

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
  readonly #lanes = new Lanes((side, name) => {
    const lane: Lane = { kind: "lane", id: ++this.#ids, side, name };
    this.#note(lane);
    return lane;
  });
  readonly #links = new Map<string, Link>();
  readonly #echoes = new Echoes();
  /** The connections that have become a WebSocket. */
  readonly #upgraded = new Set<number>();
  readonly #last = new Map<string, number>();
  #ids = 0;
  #entries = 0;
  #bytes = 0;
  #isFull = false;
  #changed = Promise.withResolvers<void>();

  /** `protocol`: how to read the messages; without it, their bytes decide. */
  constructor(readonly protocol?: Protocol) {}

  /** Settles when the log has grown. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  /** Another picture takes its place: who follows it goes on there. */
  close(): void {
    this.isClosed = true;
    this.touch();
  }

  isClosed = false;

  /** Wakes up those who wait for a change: something has changed that is not in the log. */
  touch(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** An entry by its number. */
  entry(id: number): Entry | undefined {
    return this.#entriesById.get(id);
  }

  /** Gives a program its lane. */
  addSource(source: Source): void {
    this.#lanes.addSource(source);
  }

  /** A line of a program's trace. One that is no event becomes a mark on its lane. */
  addLine(source: Source, line: string, t: number): void {
    const event = parseEvent(line);
    if (event) this.addEvent(source, event);
    else if (line.trim() !== "") this.addMark(source, line, t);
  }

  /** A note at one program. */
  addMark(source: Source, text: string, t: number, more: { data?: Uint8Array; isFailure?: true } = {}): void {
    const lane = this.#lanes.laneOfSource(source) ?? this.#lanes.first;
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
        return this.#lanes.isTraced(to) ? datagrams[from]?.missing() ?? [] : [];
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
    if (transport === "icmp") return this.#icmp(event);
    // `fetch` holds its connection itself: its client shows messages without addresses, the server shows their bytes.
    if (![from, to].every((name) => /:\d+$/.test(name))) {
      const what = /:\d+$/.test(from) ? "reads" : "sends";
      return this.addMark(source, note || `${what} ${words(data)}`, t, { data });
    }
    const isSent = source.side === "relay" ? from !== source.to : this.#lanes.isSent(source, event);
    // A proxy is a server on one connection and a client on the next: its trace says which.
    const isFromClient = source.side === "relay" ? from !== source.to : event.side === "client" ? isSent : !isSent;
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
    if (!/^(FIN|RST|closed)$/.test(note)) {
      return note && !this.#upgraded.has(connection.id) ? this.addMark(source, note, t) : undefined;
    }
    if (!isSent) return stream?.receivedEnd(note, t);
    // A close sends a FIN, unless the program has already ended its side.
    const isFirst = stream?.sentEnd(note === "closed" ? "FIN (closed)" : note, t);
    if (!isFirst) this.addMark(source, `closed ${to}`, t);
  }

  /** ICMP has no ports, and no program answers: the kernel of a host or of a router does. */
  #icmp(event: Event): void {
    const { from, to, data, note, t } = event;
    const isRequest = isEchoRequest(event);
    const [client, server] = isRequest ? [from, `kernel of ${to}`] : [to, `kernel of ${from}`];
    const { connection } = this.#linkOf("icmp", client, server, "");
    const arrow = this.#addArrow(connection, isRequest ? client : server, data, {
      ...isRequest ? { departed: t } : { arrived: t },
      note,
    });
    const dropped = this.#echoes.add(data, arrow);
    if (!dropped) return;
    dropped.isLost = true;
    this.#note(dropped);
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
      this.#lanes.place(opened.arrow, connection, connection.client); // by now both sides may be known
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
          Object.assign(arrow, { bytes: data.length, text: this.#textOf(data, connection, from) });
        }
        if (arrow.isGone) this.data.delete(arrow.id);
        this.#lanes.place(arrow, connection, from);
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
    const text = this.#textOf(data, connection, from);
    const base = { id, connection: connection.id, from: 0, to: 0, bytes: data.length, note: "", text };
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
    this.#lanes.place(arrow, connection, from);
    this.#note(arrow);
    return arrow;
  }

  /** What stands on an arrow. */
  #textOf(data: Uint8Array, { id, transport, client }: Connection, from: string): string {
    if (transport === "tcp" && isUpgrade(data)) this.#upgraded.add(id);
    const isFromClient = from === client;
    const nothing = new Uint8Array(); // a few words need no more than the message itself
    const subject = { data, transport, isFromClient, before: nothing, earlier: () => nothing };
    return says(subject, this.#upgraded.has(id) ? "websocket" : this.protocol) ?? words(data);
  }

  #hasRoom(bytes: number): boolean {
    if (this.#isFull) return false;
    this.#bytes += bytes;
    this.#isFull = ++this.#entries > LIMITS.entries || this.#bytes > LIMITS.bytes;
    const lane = this.#lanes.first;
    if (!this.#isFull || !lane) return !this.#isFull;
    const text = "the picture is full: what follows is not kept";
    const t = Date.now() * 1000;
    this.#note({ kind: "mark", id: ++this.#ids, lane: lane.id, t, bytes: 0, text, isFailure: true });
    return false;
  }

  #note(entry: Entry): void {
    this.log.push(entry);
    this.#entriesById.set(entry.id, entry);
    this.touch();
  }
}

/** A server that is bound to all addresses shows 0.0.0.0; its clients know it by one. */
const normal = (address: string) => address.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
