/**
 * The names of a zone and their records in wire form: a response takes the bytes as they are, and threads share them.
 * `_zone_builder.ts` makes them.
 *
 * @module
 */
import { canonicalName } from "./_name.ts";
import { NameTable, type NameTableMemory } from "./_name_table.ts";
import { readData, type ResourceRecord } from "./_record.ts";
import type { Bytes, Words } from "./_shared_memory.ts";
import { Reader } from "./_wire.ts";

/**
 * The RRsets of a name: its records, those of one type together (RFC 2181 §5). The list is empty for an empty non-terminal, a
 * name that only has names below it.
 */
export type RRsets = ResourceRecord[][];

/** What the names of a zone consist of. Another thread makes the same of it. */
export interface ZoneMemory {
  readonly table: NameTableMemory;
  /** Where the records of each name begin in `bytes`; 0 for a name without records. */
  readonly places: Words;
  /**
   * For each name that has records: how many (4 bytes), then the records, those of one type together. They are as in a message,
   * without their owner: type, class, TTL, the length of the data, and the data without compression.
   */
  readonly bytes: Bytes;
}

/** Records of one type that stand one behind another in the memory. */
export interface RecordRange {
  readonly count: number;
  readonly start: number;
  readonly end: number;
}

export class ZoneNames {
  readonly #table: NameTable;
  readonly #places: Words;
  /** The records of all names: see `ZoneMemory`. */
  readonly bytes: Bytes;

  constructor({ table, places, bytes }: ZoneMemory) {
    this.#table = new NameTable(table);
    this.#places = places;
    this.bytes = bytes;
  }

  get memory(): ZoneMemory {
    return { table: this.#table.memory, places: this.#places, bytes: this.bytes };
  }

  /** The records of a name; `undefined` when the name does not exist. */
  get(name: string): RRsets | undefined {
    const number = this.#table.numberOf(name);
    return number < 0 ? undefined : this.#setsOf(number);
  }

  /** The records of one type; `undefined` when there are none. */
  getSet(name: string, type: number): ResourceRecord[] | undefined {
    const number = this.#table.numberOf(name);
    const range = this.findRange(number, type);
    if (!range) return undefined;
    const reader = new Reader(this.bytes, false);
    reader.offset = range.start;
    const owner = this.#table.nameAt(number);
    return Array.from({ length: range.count }, () => readRecord(reader, owner));
  }

  /** All names in canonical form, in the order of the zone file, and their records. */
  *[Symbol.iterator](): Generator<[name: string, sets: RRsets]> {
    for (let number = 0; number < this.#table.size; number++) {
      yield [canonicalName(this.#table.nameAt(number)), this.#setsOf(number)];
    }
  }

  /** How many records there are, and of how many types. */
  count(): { records: number; types: number } {
    const types = new Set<number>();
    let records = 0;
    for (const place of this.#places) {
      let at = place + COUNT;
      for (let left = place === 0 ? 0 : u32At(this.bytes, place); left > 0; left--) {
        types.add(u16At(this.bytes, at));
        records += 1;
        at = recordEnd(this.bytes, at);
      }
    }
    return { records, types: types.size };
  }

  /** The number of the name whose bytes stand from `start` to `end`; -1 when it does not exist. */
  find(bytes: Uint8Array, start: number, end: number): number {
    return this.#table.find(bytes, start, end);
  }

  /** Where the records of one type stand that the name with this number has; `undefined` when there are none. */
  findRange(number: number, type: number): RecordRange | undefined {
    const place = this.#places[number] ?? 0;
    let at = place + COUNT;
    for (let left = place === 0 ? 0 : u32At(this.bytes, place); left > 0; left--) {
      if (u16At(this.bytes, at) === type) return rangeOf(this.bytes, type, at, left);
      at = recordEnd(this.bytes, at);
    }
  }

  #setsOf(number: number): RRsets {
    return readSets(this.bytes, this.#places[number] ?? 0, this.#table.nameAt(number));
  }
}

/** The bytes of the number of a name's records, and of what stands before the data of a record. */
const COUNT = 4;
const HEAD = 10;

/** The records of a type from `start`; as many records as `most` are left of the name. */
function rangeOf(bytes: Bytes, type: number, start: number, most: number): RecordRange {
  let count = 1;
  let end = recordEnd(bytes, start);
  for (; count < most && u16At(bytes, end) === type; count++) end = recordEnd(bytes, end);
  return { count, start, end };
}

/** Where the record that begins at `at` ends. */
export const recordEnd = (bytes: Bytes, at: number): number => at + HEAD + u16At(bytes, at + HEAD - 2);

export const u16At = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) << 8 | (bytes[at + 1] ?? 0);
const u32At = (bytes: Uint8Array, at: number): number => u16At(bytes, at) * 65536 + u16At(bytes, at + 2);

/** The records whose number stands at `place`; none for 0. */
export function readSets(bytes: Bytes, place: number, owner: string): RRsets {
  const sets: RRsets = [];
  const reader = new Reader(bytes, false);
  reader.offset = place;
  for (let left = place === 0 ? 0 : reader.u32(); left > 0; left--) {
    const record = readRecord(reader, owner);
    const set = sets.at(-1);
    if (set?.[0]?.type === record.type) set.push(record);
    else sets.push([record]); // an empty list that grows would reserve room for sixteen more
  }
  return sets;
}

function readRecord(reader: Reader, name: string): ResourceRecord {
  const [type, class_, ttl, length] = [reader.u16(), reader.u16(), reader.u32(), reader.u16()];
  return { name, type, class: class_, ttl, data: readData(reader, type, reader.offset + length) };
}
