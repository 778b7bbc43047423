/**
 * What the picture is made of. The browser gets these as JSON; the bytes of a message only when it asks for them.
 *
 * @module
 */

/** A program, a relay, or the other end of a relay: a vertical line of the picture. */
export interface Lane {
  readonly kind: "lane";
  readonly id: number;
  readonly side: "client" | "relay" | "server";
  readonly name: string;
  /** Whether it is a relay over a perfect network, which only looks on. */
  readonly isPassive?: true;
}

/** Two addresses that exchange messages. */
export interface Connection {
  readonly kind: "connection";
  readonly id: number;
  readonly transport: string;
  readonly client: string;
  readonly server: string;
  /** The connection of a client with a relay, of which this one is the part between relay and server. */
  partOf?: number;
}

/** A message from one lane to another. Times are in microseconds since 1970. */
export interface Arrow {
  readonly kind: "arrow";
  readonly id: number;
  readonly connection: number;
  from: number;
  to: number;
  /** When its sender has sent it; undefined while no trace says so. */
  departed?: number;
  /** When its receiver has read its last byte; undefined while no trace says so. */
  arrived?: number;
  bytes: number;
  /** What the trace says about it: FIN, connected, delayed 20 ms. */
  note: string;
  /** What its bytes say, in a few words. */
  text: string;
  /** Whether it does not arrive. */
  isLost?: true;
  /** The first datagram that had the same bytes. */
  again?: number;
  /** Of an arrow that goes out of a relay: when its message came in there, and as which arrow, where that is known. */
  came?: number;
  through?: number;
  /** Whether its message goes out of a relay as it has come in. */
  isSame?: true;
  /** Of an arrow that comes to a relay or goes out of it: the lane on the other side of the relay. */
  beyond?: number;
  /** It was a guess, and has become a part of another arrow. */
  isGone?: true;
}

/** Something that concerns one program alone. */
export interface Mark {
  readonly kind: "mark";
  readonly id: number;
  readonly lane: number;
  readonly t: number;
  readonly bytes: number;
  readonly text: string;
  readonly isFailure?: true;
  /** It has become a part of an arrow. */
  isGone?: true;
}

export type Entry = Lane | Connection | Arrow | Mark;
