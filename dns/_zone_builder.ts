/**
 * Collects the records of a zone, and makes the memory of `_zone_names.ts` of them.
 *
 * @module
 */
import { MAX_NAME, toWire } from "./_name.ts";
import { emptyTable, NameTable } from "./_name_table.ts";
import { type ResourceRecord, writeData } from "./_record.ts";
import { type Bytes, moreBytes, moreWords, newBytes, newWords } from "./_shared_memory.ts";
import { Writer } from "./_wire.ts";
import { readSets, type RRsets, ZoneNames } from "./_zone_names.ts";

/** A name with more records than this keeps them as objects until the end. */
const MANY = 50;

export class ZoneBuilder {
  readonly #originLength: number;
  readonly #table: NameTable;
  #places = newWords(64);
  #bytes: Bytes;
  #length = 1; // 0 stands for no records
  readonly #name = new Uint8Array(MAX_NAME);
  /** Room for the longest record. */
  readonly #record = new Uint8Array(1 << 17);
  readonly #writer = new Writer(this.#record, false);

  // The records of one name usually stand together in a file: they are objects until another name begins.
  #open = -1;
  #openSets: RRsets = [];
  readonly #large = new Map<number, RRsets>();

  /** There is room at first for a zone file of `length` bytes; what is not used takes no memory. */
  constructor(origin: string, length: number) {
    this.#table = new NameTable(emptyTable(length, length / 32));
    this.#bytes = newBytes(Math.max(1024, length));
    this.#originLength = toWire(origin, this.#name);
    this.#table.add(this.#name, 0, this.#originLength);
  }

  /**
   * The records of a name, for adding others until the next call; an empty list for a new name, `undefined` for one outside of
   * the zone.
   */
  open(name: string): RRsets | undefined {
    const end = toWire(name, this.#name);
    const known = this.#table.size;
    const number = this.#table.add(this.#name, 0, end);
    if (number === this.#open) return this.#openSets;
    this.#close();
    if (number === known && !this.#addParents(end)) return undefined;
    while (this.#places.length < this.#table.size) this.#places = moreWords(this.#places);
    this.#open = number;
    return this.#openSets = this.#large.get(number) ?? readSets(this.#bytes, this.#places[number] ?? 0, name);
  }

  /** The names and records that were added. */
  finish(): ZoneNames {
    this.#close();
    for (const [number, sets] of this.#large) this.#write(number, sets);
    const table = this.#table.memory;
    return new ZoneNames({ table, places: this.#places.subarray(0, table.size), bytes: this.#bytes });
  }

  /**
   * Adds the names between a new name and the origin: they exist too, without records (RFC 4592 §2.2.2). Returns whether the
   * name is in the zone.
   */
  #addParents(end: number): boolean {
    let at = 1 + (this.#name[0] ?? 0);
    for (; end - at > this.#originLength; at += 1 + (this.#name[at] ?? 0)) {
      const known = this.#table.size;
      if (this.#table.add(this.#name, at, end) < known) return true;
    }
    return end - at === this.#originLength && this.#table.isName(0, this.#name, at, end);
  }

  #close(): void {
    const [number, sets] = [this.#open, this.#openSets];
    this.#open = -1;
    if (sets.length > 1 || (sets[0]?.length ?? 0) > 1) {
      const count = sets.reduce((sum, set) => sum + set.length, 0);
      if (count > MANY) return void this.#large.set(number, sets);
    }
    if (sets.length > 0) this.#write(number, sets);
    this.#openSets = [];
  }

  #write(number: number, sets: RRsets): void {
    const place = this.#length;
    this.#places[number] = place;
    this.#length += 4;
    let count = 0;
    for (const set of sets) {
      for (const record of set) this.#writeRecord(record);
      count += set.length;
    }
    new DataView(this.#bytes.buffer).setUint32(place, count);
  }

  #writeRecord({ type, class: class_, ttl, data }: ResourceRecord): void {
    const writer = this.#writer;
    writer.truncate(0);
    writer.u16(type);
    writer.u16(class_);
    writer.u32(ttl);
    writer.u16(0); // the length, not known yet
    writeData(writer, type, data);
    writer.setU16(8, writer.length - 10);
    const end = this.#length + writer.length;
    // With room for the number of the next name's records.
    if (end + 4 > this.#bytes.length) this.#bytes = moreBytes(this.#bytes, end + 4);
    for (let i = 0; i < writer.length; i++) this.#bytes[this.#length + i] = this.#record[i] ?? 0;
    this.#length = end;
  }
}
