/**
 * Answers the most frequent queries from bytes to bytes: for records without names in their data, of a name that exists. No
 * message is decoded or encoded, because the records stand in the memory of the zone as a response has them. All other queries
 * take the way of `_answer.ts`, which would give the same bytes for these.
 *
 * @module
 */
import { OPT_SIZE } from "./_edns.ts";
import { PLAIN_PAYLOAD, UDP_PAYLOAD } from "./_message.ts";
import { MAX_NAME, toWire } from "./_name.ts";
import { NameTable } from "./_name_table.ts";
import { classes, types } from "./_record_types.ts";
import type { Zone, Zones } from "./_zone.ts";
import { recordEnd, u16At } from "./_zone_names.ts";

/** Types without names in their data: nothing in it can be compressed, and no addresses help with it. */
const plainTypes = new Set<number>([types.A, types.AAAA, types.TXT, types.CAA, types.SSHFP, types.TLSA]);

/** The offsets of the header's fields (RFC 1035 §4.1.1): each has two bytes. The question begins behind them. */
const header = { flags: 2, questions: 4, answers: 6, authority: 8, additional: 10, end: 12 };
/** Flags in the first and in the second byte. */
const [QR, AA, RD, CD] = [0x80, 0x04, 0x01, 0x10];
const POINTER = 0xc0;

/** The offsets in an OPT record, behind its owner "." (RFC 6891 §6.1.2). */
const opt = { type: 1, size: 3, version: 6, flags: 7, length: 9 };
/** The flag of a client that wants DNSSEC records. */
const DO = 0x80;
/** The OPT record of every response. */
const ownOpt = Uint8Array.of(0, 0, types.OPT, UDP_PAYLOAD >> 8, UDP_PAYLOAD & 255, 0, 0, 0, 0, 0, 0);

/** A zone, and how many bytes its origin has in a message. */
interface SizedZone extends Zone {
  readonly originLength: number;
}

/** Quick answers over UDP from some zones. */
export class QuickAnswers {
  readonly #zones: SizedZone[] = [];
  /** The origins of the zones, numbered as these are. */
  readonly #origins = new NameTable();
  readonly #response = new Uint8Array(UDP_PAYLOAD);

  constructor(zones: Zones) {
    const name = new Uint8Array(MAX_NAME);
    for (const zone of zones.values()) {
      const originLength = toWire(zone.origin, name);
      this.#origins.add(name, 0, originLength);
      this.#zones.push({ ...zone, originLength });
    }
  }

  /** The response to a query: a view, valid until the next call. `undefined` when the query is none of the frequent ones. */
  answer(query: Uint8Array): Uint8Array | undefined {
    // One question, no flag but RD in the first byte, and at most one record: OPT.
    if (((query[header.flags] ?? 0) & ~RD) !== 0 || u16At(query, header.questions) !== 1) return undefined;
    if (u16At(query, header.answers) + u16At(query, header.authority) !== 0) return undefined;
    const hasOpt = u16At(query, header.additional);
    const nameEnd = findNameEnd(query);
    const questionEnd = nameEnd + 4; // the type and the class
    if (nameEnd === 0 || hasOpt > 1 || questionEnd + hasOpt * OPT_SIZE !== query.length) return undefined;
    const type = u16At(query, nameEnd);
    if (!plainTypes.has(type) || u16At(query, nameEnd + 2) !== classes.IN) return undefined;
    const limit = hasOpt ? payloadLimit(query, questionEnd) : PLAIN_PAYLOAD;

    const zone = this.#findZone(query, nameEnd);
    const name = zone?.names.find(query, header.end, nameEnd) ?? -1;
    const records = zone?.names.findRange(name, type);
    if (!zone || !records || zone.redirects || zone.delegates && isDelegated(zone, query, nameEnd)) return undefined;
    // In place of its owner, a record has a pointer of two bytes to the name in the question.
    const size = questionEnd + 2 * records.count + (records.end - records.start) + hasOpt * OPT_SIZE;
    if (size > limit) return undefined;

    const response = this.#response;
    for (let i = 0; i < questionEnd; i++) response[i] = query[i] ?? 0;
    response[header.flags] = QR | AA | (query[header.flags] ?? 0);
    response[header.flags + 1] = (query[header.flags + 1] ?? 0) & CD;
    response[header.answers + 1] = records.count; // one byte is enough for what fits into a datagram
    let at = questionEnd;
    const { bytes } = zone.names;
    for (let i = records.start; i < records.end;) {
      response[at++] = POINTER;
      response[at++] = header.end;
      for (const end = recordEnd(bytes, i); i < end;) response[at++] = bytes[i++] ?? 0;
    }
    if (hasOpt) {
      response.set(ownOpt, at);
      response[at + opt.flags] = (query[questionEnd + opt.flags] ?? 0) & DO;
    }
    return response.subarray(0, size);
  }

  /** The zone of the name in the question: the one with the longest origin that is the name or above it. */
  #findZone(query: Uint8Array, nameEnd: number): SizedZone | undefined {
    for (let at = header.end; at < nameEnd; at += 1 + (query[at] ?? 0)) {
      const zone = this.#zones[this.#origins.find(query, at, nameEnd)];
      if (zone) return zone;
    }
  }
}

/** Whether the name is at or below a delegation to another zone's servers. */
function isDelegated({ names, originLength }: SizedZone, query: Uint8Array, nameEnd: number): boolean {
  for (let at = header.end; nameEnd - at > originLength; at += 1 + (query[at] ?? 0)) {
    if (names.findRange(names.find(query, at, nameEnd), types.NS)) return true;
  }
  return false;
}

/** Where the name of the question ends; 0 when it is too long. A name with a pointer in it will not be found. */
function findNameEnd(query: Uint8Array): number {
  let at = header.end;
  for (let length = query[at] ?? MAX_NAME; length > 0; length = query[at] ?? MAX_NAME) {
    at += 1 + length;
    if (at - header.end >= MAX_NAME) return 0;
  }
  return at + 1;
}

/** How long the response to a query with this OPT record may be; 0 when the record does not have the usual form. */
function payloadLimit(query: Uint8Array, at: number): number {
  const isUsual = query[at] === 0 && u16At(query, at + opt.type) === types.OPT && query[at + opt.version] === 0 &&
    u16At(query, at + opt.length) === 0;
  return isUsual ? Math.min(Math.max(u16At(query, at + opt.size), PLAIN_PAYLOAD), UDP_PAYLOAD) : 0;
}
