/**
 * A table of names: each has a number, in the order in which they were added, and is found by its bytes.
 *
 * The names stand one behind another in one block of memory, in the form that they have in a message. A map of strings takes
 * several times as much memory, the garbage collector looks at each of them, and the name in a query has to become a string
 * first.
 *
 * @module
 */
import { MAX_NAME, toWire } from "./_name.ts";
import { type Bytes, moreBytes, moreWords, newBytes, newWords, type Words } from "./_shared_memory.ts";
import { Reader } from "./_wire.ts";

/** What a table consists of. Another thread makes the same table of it. */
export interface NameTableMemory {
  /** How many names there are. */
  readonly size: number;
  /** The names, without compression. */
  readonly bytes: Bytes;
  /** Where each name begins, and where the last one ends. */
  readonly starts: Words;
  /** A hash table: a name's number plus one stands in the slot that its hash selects, or in the next free one behind it. */
  readonly slots: Words;
}

/** A table for about so many names, with so many bytes in all. It grows when there are more. */
export function emptyTable(bytes: number, names: number): NameTableMemory {
  const slots = 2 ** Math.ceil(Math.log2(Math.max(64, 2 * names))); // a power of two, for `&` in place of `%`
  return { size: 0, bytes: newBytes(bytes), starts: newWords(slots / 2), slots: newWords(slots) };
}

export class NameTable {
  #size: number;
  #bytes: Bytes;
  #starts: Words;
  #slots: Words;
  readonly #scratch = new Uint8Array(MAX_NAME);

  /** An empty table, or that of another thread. */
  constructor(memory: NameTableMemory = emptyTable(1024, 32)) {
    ({ size: this.#size, bytes: this.#bytes, starts: this.#starts, slots: this.#slots } = memory);
  }

  get size(): number {
    return this.#size;
  }

  get memory(): NameTableMemory {
    return { size: this.#size, bytes: this.#bytes, starts: this.#starts, slots: this.#slots };
  }

  /** A name in presentation format, as it was spelled when it was added. */
  nameAt(number: number): string {
    const reader = new Reader(this.#bytes, false);
    reader.offset = this.#starts[number] ?? 0;
    return reader.name();
  }

  /** The number of a name in presentation format; -1 when it is not in the table. */
  numberOf(name: string): number {
    return this.find(this.#scratch, 0, toWire(name, this.#scratch));
  }

  /** The number of the name whose bytes stand from `start` to `end`, in upper or lower case; -1 when it is not in the table. */
  find(bytes: Uint8Array, start: number, end: number): number {
    return (this.#slots[this.#findSlot(bytes, start, end)] ?? 0) - 1;
  }

  /** The number of the name whose bytes stand from `start` to `end`. A new one is added. */
  add(bytes: Uint8Array, start: number, end: number): number {
    const slot = this.#findSlot(bytes, start, end);
    const entry = this.#slots[slot];
    if (entry) return entry - 1;
    const number = this.#size++;
    const at = this.#starts[number] ?? 0;
    const next = at + end - start;
    if (next > this.#bytes.length) this.#bytes = moreBytes(this.#bytes, next);
    if (number + 1 === this.#starts.length) this.#starts = moreWords(this.#starts);
    for (let i = start; i < end; i++) this.#bytes[at + i - start] = bytes[i] ?? 0;
    this.#starts[number + 1] = next;
    this.#slots[slot] = number + 1;
    // At most half of the slots are in use, so a free one is near.
    if (2 * this.#size > this.#slots.length) this.#doubleSlots();
    return number;
  }

  /** The slot of a name: where it stands, or the free one where it would be added. */
  #findSlot(bytes: Uint8Array, start: number, end: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hashOf(bytes, start, end) & mask;
    for (let entry = slots[slot]; entry; entry = slots[slot]) {
      if (this.isName(entry - 1, bytes, start, end)) break;
      slot = slot + 1 & mask;
    }
    return slot;
  }

  /**
   * Whether the name with this number has these bytes. No name begins with another one, because a name ends with the empty label
   * of the root.
   */
  isName(number: number, bytes: Uint8Array, start: number, end: number): boolean {
    const own = this.#bytes;
    const distance = (this.#starts[number] ?? 0) - start;
    for (let i = start; i < end; i++) {
      const [a, b] = [own[i + distance] ?? 0, bytes[i] ?? 0];
      if (a !== b && lowerCase[a] !== lowerCase[b]) return false;
    }
    return true;
  }

  #doubleSlots(): void {
    const slots = newWords(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let number = 0; number < this.#size; number++) {
      let slot = hashOf(this.#bytes, this.#starts[number] ?? 0, this.#starts[number + 1] ?? 0) & mask;
      while (slots[slot]) slot = slot + 1 & mask;
      slots[slot] = number + 1;
    }
    this.#slots = slots;
  }
}

/** Each byte of a name in lower case. The lengths of labels are below the letters, and stay as they are. */
const lowerCase = Uint8Array.from({ length: 256 }, (_, byte) => byte >= 65 && byte <= 90 ? byte + 32 : byte);

/** The FNV-1a hash of a name. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (lowerCase[bytes[i] ?? 0] ?? 0), 0x01000193);
  return hash ^ hash >>> 15;
}
