/**
 * One direction between two UDP addresses: what is sent and what arrives, matched by its bytes.
 *
 * @module
 */
import type { Arrow } from "./entries.ts";
import type { Sheet } from "./stream_flow.ts";

/** Different datagrams that are remembered, to recognise one that is sent again. */
const REMEMBERED = 2000;

/** The arrows of one direction. A datagram that is sent again is tied to the first one with its bytes. */
export class DatagramFlow {
  readonly #sheet: Sheet;
  readonly #onTheWay = new Map<string, Arrow[]>();
  readonly #guesses = new Map<string, Arrow[]>();
  readonly #first = new Map<string, number>();

  constructor(sheet: Sheet) {
    this.#sheet = sheet;
  }

  sent(data: Uint8Array, t: number): Arrow {
    const key = data.toBase64();
    const guess = take(this.#guesses, key);
    if (guess) {
      guess.departed = Math.min(t, guess.arrived ?? t);
      this.#sheet.changed(guess);
      return guess;
    }
    const arrow = this.#add(key, data, { departed: t });
    put(this.#onTheWay, key, arrow);
    return arrow;
  }

  received(data: Uint8Array, t: number): Arrow {
    const key = data.toBase64();
    const known = take(this.#onTheWay, key);
    if (known) {
      known.arrived = Math.max(t, known.departed ?? t);
      this.#sheet.changed(known);
      return known;
    }
    const arrow = this.#add(key, data, { arrived: t });
    put(this.#guesses, key, arrow);
    return arrow;
  }

  /** The datagrams that have not arrived so far. */
  missing(): Arrow[] {
    return [...this.#onTheWay.values()].flat();
  }

  #add(key: string, data: Uint8Array, more: Parameters<Sheet["add"]>[1]): Arrow {
    const arrow = this.#sheet.add(data, more);
    const first = this.#first.get(key);
    if (first === undefined) this.#first.set(key, arrow.id);
    else arrow.again = first;
    const [oldest] = this.#first.keys();
    if (this.#first.size > REMEMBERED && oldest !== undefined) this.#first.delete(oldest);
    return arrow;
  }
}

function put(map: Map<string, Arrow[]>, key: string, arrow: Arrow): void {
  const list = map.get(key);
  if (list) list.push(arrow);
  else map.set(key, [arrow]);
}

function take(map: Map<string, Arrow[]>, key: string): Arrow | undefined {
  const list = map.get(key);
  const arrow = list?.shift();
  if (list?.length === 0) map.delete(key);
  return arrow;
}
