/**
 * The picture of an exchange: the traces of all its programs, merged. It grows line by line. No socket and no process.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { type Event, isEchoRequest } from "../../tcp/_trace_event.ts";
import type { Protocol } from "./dissect.ts";
import { Echoes } from "./echoes.ts";
import type { Arrow, Connection, Entry, Lane, Mark } from "./entries.ts";
import { Fetches } from "./fetches.ts";
import { Lanes } from "./lanes.ts";
import { type Link, Links } from "./links.ts";
import { Messages } from "./messages.ts";
import { parseEvent } from "./parse_event.ts";
import { Relayed } from "./relayed.ts";
import type { Sheet } from "./stream_flow.ts";
import { words } from "./words.ts";

/** The most arrows and marks, and the most bytes of messages, that are kept. */
export const LIMITS = { entries: 200_000, bytes: 256 * 1024 * 1024 };

/** A program whose trace is read. */
export interface Source {
  readonly side: "client" | "server" | "relay";
  readonly name: string;
  /** Whether it is a relay over a perfect network, which only looks on. */
  readonly isPassive?: true;
}

/** A picture that grows. `log` has each entry once for every time it has changed. */
export class Model {
  readonly log: Entry[] = [];
  readonly messages: Messages;
  readonly data: Map<number, Uint8Array>;
  readonly connections: Connection[] = [];
  readonly #entriesById = new Map<number, Entry>();
  readonly #lanes = new Lanes((source) => {
    const lane: Lane = { kind: "lane", id: ++this.#ids, ...source };
    this.#note(lane);
    return lane;
  });
  readonly #links: Links = new Links((transport, client, server) => {
    const connection: Connection = { kind: "connection", id: ++this.#ids, transport, client, server };
    this.connections.push(connection);
    this.#note(connection);
    return connection;
  }, (connection, from) => this.#sheetOf(connection, from));
  readonly #relayed = new Relayed({
    ...{ links: this.#links, lanes: this.#lanes },
    mark: (source, text, t) => void this.addMark(source, text, t),
    note: (entry) => this.#note(entry),
  });
  readonly #echoes = new Echoes();
  readonly #fetches = new Fetches();
  #ids = 0;
  #entries = 0;
  #bytes = 0;
  #isFull = false;
  #changed = Promise.withResolvers<void>();

  /** `protocol`: how to read the messages; without it, their bytes decide. */
  constructor(readonly protocol?: Protocol) {
    this.messages = new Messages(protocol);
    this.data = this.messages.data;
  }

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
  addMark(
    source: Source,
    text: string,
    t: number,
    more: { data?: Uint8Array; isFailure?: true } = {},
  ): Mark | undefined {
    const lane = this.#lanes.laneOfSource(source) ?? this.#lanes.first;
    if (!lane || !this.#hasRoom(more.data?.length ?? 0)) return undefined;
    const id = ++this.#ids;
    const bytes = more.data?.length ?? 0;
    if (more.data) this.data.set(id, more.data);
    const base = { kind: "mark", id, lane: lane.id, t, bytes, text: printable(text.slice(0, 300)) } as const;
    const mark: Mark = more.isFailure ? { ...base, isFailure: true } : base;
    this.#note(mark);
    return mark;
  }

  /** All programs have ended: what has not arrived so far never will. */
  finish(): void {
    const lose = (arrow: Arrow, note: string) => {
      arrow.isLost = true;
      arrow.note ||= note;
      this.#note(arrow);
    };
    for (const link of this.#links.all()) {
      const { client, server } = link.connection;
      // Without the trace of the receiver nobody knows whether it has received a datagram.
      for (const [from, to] of [[client, server], [server, client]] as const) {
        if (!this.#lanes.isTraced(to)) continue;
        for (const arrow of link.from(from).datagrams.missing()) lose(arrow, "not received");
      }
    }
    for (const arrow of this.#relayed.waiting()) lose(arrow, "held until the end");
    for (const entry of this.#fetches.match(this.#entriesById.values(), this.data)) {
      if (entry.kind === "mark") this.data.delete(entry.id);
      this.#note(entry);
    }
  }

  /** An event of a program's trace. */
  addEvent(source: Source, event: Event): void {
    const { from, to, transport, data, note, t } = event;
    if (transport === "icmp") return this.#icmp(event);
    // `fetch` holds its connection itself: its client shows messages without addresses, the server shows their bytes.
    if (![from, to].every((name) => /:\d+$/.test(name))) {
      const what = /:\d+$/.test(from) ? "reads" : "sends";
      const mark = this.addMark(source, note || `${what} ${words(data)}`, t, { data });
      if (mark && note === "" && from !== "" && to !== "") this.#fetches.add(source, event, mark);
      return;
    }
    if (source.side === "relay") return this.#relayed.add(source, event);
    const isSent = this.#lanes.isSent(source, event);
    // A proxy is a server on one connection and a client on the next: its trace says which.
    const isFromClient = event.side === "client" ? isSent : !isSent;
    const [client, server] = isFromClient ? [from, to] : [to, from];
    const link = this.#links.of(transport, client, server, note === "connected" || note === "accepted" ? note : "");
    if (transport === "tcp") this.#tcp(link, source, event, isSent);
    else if (isSent) link.from(from).datagrams.sent(data, t);
    else link.from(from).datagrams.received(data, t);
  }

  #tcp(link: Link, source: Source, event: Event, isSent: boolean): void {
    const { from, to, data, note, t } = event;
    const { stream } = link.from(from);
    if (note === "connected" || note === "accepted") link.open(note, t);
    else if (data.length > 0 && isSent) stream.sent(data, t);
    else if (data.length > 0) stream.received(data, t);
    else if (!/^(FIN|RST|closed)$/.test(note)) {
      // Another note, such as TLS or a WebSocket's frame, is about what has been sent before or comes next.
      if (note && !this.messages.isUpgraded(link.connection)) this.addMark(source, note, t);
    } else if (!isSent) stream.receivedEnd(note, t);
    // A close sends a FIN, unless the program has already ended its side.
    else if (!stream.sentEnd(note === "closed" ? "FIN (closed)" : note, t)) this.addMark(source, `closed ${to}`, t);
  }

  /** ICMP has no ports, and no program answers: the kernel of a host or of a router does. */
  #icmp(event: Event): void {
    const { from, to, data, note, t } = event;
    const isRequest = isEchoRequest(event);
    const [client, server] = isRequest ? [from, `kernel of ${to}`] : [to, `kernel of ${from}`];
    const { connection } = this.#links.of("icmp", client, server);
    const arrow = this.#addArrow(connection, isRequest ? client : server, data, {
      ...isRequest ? { departed: t } : { arrived: t },
      note,
    });
    const dropped = this.#echoes.add(data, arrow);
    if (!dropped) return;
    dropped.isLost = true;
    this.#note(dropped);
  }

  /** What the arrows of one direction ask of the picture. */
  #sheetOf(connection: Connection, from: string): Sheet {
    return {
      add: (data, more) => this.#addArrow(connection, from, data, more),
      changed: (arrow, data) => {
        if (arrow.from === 0) return; // there was no room for it
        if (data) {
          this.data.set(arrow.id, data);
          Object.assign(arrow, { bytes: data.length, text: this.messages.textOf(data, connection, from) });
        }
        if (arrow.isGone) this.data.delete(arrow.id);
        this.#lanes.place(arrow, connection, from);
        this.#note(arrow);
      },
    };
  }

  #addArrow(
    connection: Connection,
    from: string,
    data: Uint8Array,
    more: Partial<Pick<Arrow, "departed" | "arrived" | "note">>,
  ): Arrow {
    const id = ++this.#ids;
    const text = this.messages.textOf(data, connection, from);
    const base = { id, connection: connection.id, from: 0, to: 0, bytes: data.length, note: "", text };
    const arrow: Arrow = { kind: "arrow", ...base, ...more };
    if (!this.#hasRoom(data.length)) return arrow; // it is counted by nobody
    if (data.length > 0) this.messages.add(id, data, connection, from);
    this.#lanes.place(arrow, connection, from);
    this.#note(arrow);
    return arrow;
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
