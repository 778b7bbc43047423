/**
 * Which program has which address. A trace says who sends to whom, and not which of both it is: that follows from its
 * first messages.
 *
 * @module
 */
import type { Event } from "../../tcp/_trace_event.ts";

/** The addresses of the programs, as far as their traces have told. */
export class Owners {
  readonly #own = new WeakMap<object, { own: Set<string>; others: Set<string> }>();
  readonly #lanes = new Map<string, number>();

  /** Whether a program has sent a message, and not received it. */
  isSent(program: object, { side, from, to }: Event, lane: number | undefined): boolean {
    let known = this.#own.get(program);
    if (!known) this.#own.set(program, known = { own: new Set(), others: new Set() });
    const isKnown = known.own.has(from) || known.own.has(to);
    // The first message goes from the client to the server. A TFTP server answers from a port of its own.
    const isSent = isKnown
      ? known.own.has(from)
      : known.others.has(from) || known.others.has(to)
      ? known.others.has(to)
      : side === "client";
    const [own, other] = isSent ? [from, to] : [to, from];
    known.own.add(own);
    known.others.add(other);
    if (lane !== undefined) this.#lanes.set(own, lane);
    return isSent;
  }

  /** Gives a program an address of which its trace has told. */
  give(address: string, lane: number): void {
    this.#lanes.set(address, lane);
  }

  /** The lane of the program that has an address; undefined as long as no trace has shown it. */
  laneOf(address: string): number | undefined {
    return this.#lanes.get(address);
  }
}
