/**
 * One direction of a TCP connection: its writes and its reads, which need not have the same boundaries (RFC 9293 §3.7).
 *
 * @module
 */
import type { Arrow } from "./entries.ts";

/** What a flow asks of the picture that it belongs to. */
export interface Sheet {
  /** Adds an arrow of this direction. */
  add(data: Uint8Array, more: Partial<Pick<Arrow, "departed" | "arrived" | "note">>): Arrow;
  /** Says that an arrow has changed; `data`: its bytes have, too. */
  changed(arrow: Arrow, data?: Uint8Array): void;
}

interface Part {
  readonly arrow: Arrow;
  data: Uint8Array;
  /** Where it ends in the stream. */
  readonly end: number;
}

const nothing = new Uint8Array();

/**
 * The arrows of one direction. Each write is an arrow, which arrives when its last byte is read. A read of bytes that
 * nobody has written so far is an arrow, too: the line of its write may come later, or never when the sender is not
 * traced.
 */
export class StreamFlow {
  readonly #sheet: Sheet;
  #written = 0;
  #read = 0;
  /** Writes that are not read to their end. */
  readonly #onTheWay: Part[] = [];
  /** Reads for which the writes are missing. */
  readonly #guesses: Part[] = [];
  /** The reads whose bytes may belong to writes to come. */
  #reads: { end: number; t: number }[] = [];
  #end: Arrow | undefined;

  constructor(sheet: Sheet) {
    this.#sheet = sheet;
  }

  sent(data: Uint8Array, t: number): Arrow {
    const end = this.#written += data.length;
    const arrow = this.#sheet.add(data, { departed: t });
    for (let guess = this.#guesses[0]; guess; guess = this.#guesses[0]) {
      const rest = guess.end - end;
      if (rest >= guess.data.length) break;
      if (rest > 0) { // this read has taken more than this write
        guess.data = guess.data.subarray(-rest);
        this.#sheet.changed(guess.arrow, guess.data);
        break;
      }
      this.#guesses.shift();
      if (guess.arrow.isLost) Object.assign(arrow, { isLost: true, note: guess.arrow.note });
      guess.arrow.isGone = true;
      this.#sheet.changed(guess.arrow);
    }
    const read = this.#reads.find((read) => read.end >= end);
    if (read) this.#arrive(arrow, read.t);
    else this.#onTheWay.push({ arrow, data, end });
    this.#reads = this.#reads.filter((read) => read.end > end);
    return arrow;
  }

  /** Returns the arrows that arrive. */
  received(data: Uint8Array, t: number): Arrow[] {
    const arrows: Arrow[] = [];
    const end = this.#read += data.length;
    for (let part = this.#onTheWay[0]; part && part.end <= end; part = this.#onTheWay[0]) {
      this.#onTheWay.shift();
      this.#arrive(part.arrow, t);
      arrows.push(part.arrow);
    }
    if (end <= this.#written) return arrows;
    this.#reads.push({ end, t });
    const rest = data.subarray(-Math.min(data.length, end - this.#written));
    const arrow = this.#sheet.add(rest, { arrived: t });
    this.#guesses.push({ arrow, data: rest, end });
    return [...arrows, arrow];
  }

  /** The sender ends this direction. Returns the arrow of the end; undefined if it has already ended. */
  sentEnd(note: string, t: number): Arrow | undefined {
    if (this.#end?.departed !== undefined) return undefined;
    if (!this.#end) this.#end = this.#sheet.add(nothing, { departed: t, note });
    else {
      this.#end.departed = Math.min(t, this.#end.arrived ?? t);
      this.#sheet.changed(this.#end);
    }
    return this.#end;
  }

  /** The receiver sees the end of this direction. */
  receivedEnd(note: string, t: number): void {
    if (this.#end?.arrived !== undefined) return;
    if (!this.#end) return void (this.#end = this.#sheet.add(nothing, { arrived: t, note }));
    if (note === "RST") this.#end.note = note;
    this.#arrive(this.#end, t);
  }

  #arrive(arrow: Arrow, t: number): void {
    // The clocks of two processes may differ by some microseconds: nothing arrives before it has departed.
    arrow.arrived = Math.max(t, arrow.departed ?? t);
    this.#sheet.changed(arrow);
  }
}
