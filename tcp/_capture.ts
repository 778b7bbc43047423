/**
 * `--pcap`: the messages of an exchange as packets, for Wireshark.
 *
 * A program sees messages and not packets. So the packets are made: a handshake where a connection begins, segments for each
 * message, and a FIN or a reset at the end. What TLS protects stands in them in plain.
 *
 * @module
 */
import { parseAddress } from "./_address.ts";
import { ACK, type Endpoint, FIN, icmpPacket, maxSegment, PSH, RST, SYN, tcpPacket, udpPacket } from "./_packet.ts";
import { CaptureFile } from "./_capture_file.ts";
import type { Event } from "./_trace_event.ts";

/** A connection: its two ends, the client's first, and what each has sent. */
interface Connection {
  readonly ends: readonly [Endpoint, Endpoint];
  /** The sequence number of the next byte. */
  readonly next: [number, number];
  /** What each end has acknowledged of the other's bytes. */
  readonly acknowledged: [number, number];
  readonly ended: [boolean, boolean];
  readonly client: string;
  /** Whether a message has gone over it. */
  used: boolean;
}

/** Bytes that one end sends before the other acknowledges them. */
const UNACKNOWLEDGED = 1 << 20;

/** Connections that are remembered: a server on `Deno.serve` does not learn when one has ended. */
const MOST_CONNECTIONS = 10_000;

const nothing: Uint8Array = new Uint8Array();

/** A capture that grows message by message. */
export class Capture {
  readonly #file: CaptureFile;
  readonly #connections = new Map<string, Connection>();
  readonly #unknown = new Map<string, Endpoint>();

  /** Appends to a file. Several threads may append to the same one. */
  constructor(path: string) {
    this.#file = new CaptureFile(path);
  }

  /** Adds the packets of one message. A note that is not about the network has none. */
  add(event: Event): void {
    const { t, from, to, transport, data, note } = event;
    if (from === "" || to === "") return;
    const isLost = transport === "udp" && /^lost/.test(note);
    if (event.half === "in" && !isLost) return; // a relay's messages are written when they go out
    if (transport === "tcp") this.#addTcp(event);
    else if (transport === "icmp") this.#addIcmp(event);
    else if (transport === "udp" && (data.length > 0 || note === "datagram" || event.side === "relay")) {
      // The relay says here what it did to a datagram.
      this.#file.add(t, udpPacket(...this.#ends(from, to), data), note === "datagram" ? "" : note);
    }
  }

  #addTcp({ t, from, to, data, note }: Event): void {
    const key = [from, to].sort().join(" ");
    let connection = this.#connections.get(key);
    const begins = note === "connected" || note === "accepted";
    if (begins || !connection && data.length > 0) connection = this.#open(t, key, from, to);
    if (!connection) return;
    if (note === "TLS" && connection.used) connection = this.#reopen(t, key, connection, from, to);
    connection.used ||= data.length > 0;
    const { next, acknowledged, ended } = connection;
    const sender = from === connection.client ? 0 : 1;
    const receiver = 1 - sender as 0 | 1;
    const most = maxSegment(connection.ends[0]);
    for (let at = 0; at < data.length && !ended[sender]; at += most) {
      this.#send(t, connection, sender, PSH | ACK, data.subarray(at, at + most));
      if (next[sender] - acknowledged[receiver] > UNACKNOWLEDGED) this.#send(t, connection, receiver, ACK);
    }
    if (note === "RST") this.#send(t, connection, sender, RST | ACK);
    else if ((note === "FIN" || note === "closed") && !ended[sender]) {
      this.#send(t, connection, sender, FIN | ACK);
      this.#send(t, connection, receiver, ACK);
      ended[sender] = true;
    }
    if (note === "closed" || note === "RST") this.#connections.delete(key);
  }

  /**
   * Begins the part of a connection that TLS protects as a connection of its own. After STARTTLS, Wireshark expects encrypted
   * bytes there, and would not see that these are in plain.
   */
  #reopen(t: number, key: string, connection: Connection, from: string, to: string): Connection {
    for (const sender of [0, 1] as const) this.#send(t, connection, sender, FIN | ACK);
    this.#send(t, connection, 0, ACK);
    const isClient = from === connection.client;
    return this.#open(t, key, connection.client, isClient ? to : from);
  }

  /** Begins a connection with its handshake: SYN, SYN and ACK, ACK. */
  #open(t: number, key: string, from: string, to: string): Connection {
    const first = () => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
    const next: [number, number] = [first(), first()];
    const connection: Connection = {
      ...{
        ends: this.#ends(from, to),
        next,
        acknowledged: [...next],
        ended: [false, false],
        client: from,
        used: false,
      },
    };
    this.#send(t, connection, 0, SYN);
    this.#send(t, connection, 1, SYN | ACK);
    this.#send(t, connection, 0, ACK);
    this.#connections.set(key, connection);
    const [oldest] = this.#connections.keys();
    if (this.#connections.size > MOST_CONNECTIONS && oldest !== undefined) this.#connections.delete(oldest);
    return connection;
  }

  #send(t: number, connection: Connection, sender: 0 | 1, flags: number, data = nothing): void {
    const { ends, next, acknowledged } = connection;
    const receiver = 1 - sender as 0 | 1;
    const acknowledgement = flags & ACK ? next[receiver] : 0;
    if (flags & ACK) acknowledged[sender] = acknowledgement;
    const segment = { flags, sequence: next[sender], acknowledgement, data };
    this.#file.add(t, tcpPacket(ends[sender], ends[receiver], segment));
    next[sender] += data.length + (flags & (SYN | FIN) ? 1 : 0); // SYN and FIN count as a byte each
  }

  /** ICMP has no ports: its ends are addresses alone. */
  #addIcmp({ t, from, to, data, ttl }: Event): void {
    const [source, target] = [parseAddress(from), parseAddress(to)];
    if (!source || !target) return;
    this.#file.add(t, icmpPacket({ address: source, port: 0 }, { address: target, port: 0 }, data, ttl));
  }

  /** Both ends of a message. Addresses of two families become IPv6 both (RFC 4291 §2.5.5.2). */
  #ends(from: string, to: string): [Endpoint, Endpoint] {
    const ends: [Endpoint, Endpoint] = [this.#endpoint(from), this.#endpoint(to)];
    if (ends[0].address.length === ends[1].address.length) return ends;
    return [mapped(ends[0]), mapped(ends[1])];
  }

  /** `HOST:PORT` as bytes. A name that has no known address gets one of 192.0.2.0/24, which belongs to nobody (RFC 5737). */
  #endpoint(text: string): Endpoint {
    const [, host = text, port] = /^\[?(.*?)\]?:(\d+)$/.exec(text) ?? [];
    const address = host === "localhost" ? Uint8Array.of(127, 0, 0, 1) : parseAddress(host.replace(/%.*/, ""));
    if (address) return { address, port: Number(port) };
    const known = this.#unknown.get(text);
    if (known) return known;
    const number = this.#unknown.size % 250 + 1;
    const made = { address: Uint8Array.of(192, 0, 2, number), port: Number(port ?? 49_152 + number) };
    this.#unknown.set(text, made);
    return made;
  }
}

function mapped({ address, port }: Endpoint): Endpoint {
  if (address.length === 16) return { address, port };
  return { address: Uint8Array.of(...new Uint8Array(10), 255, 255, ...address), port };
}
