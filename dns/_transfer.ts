/**
 * Zone transfer: a whole zone in as many messages over TCP as it needs, its SOA record first and last (AXFR, RFC 5936).
 * Here are both sides, without their sockets.
 *
 * @module
 */
import { count, Failure, printable } from "../cli.ts";
import { decode, encode, type Message, rcodeName, rcodes } from "./_message.ts";
import { canonicalName, FormatError, isSubdomain } from "./_name.ts";
import { mismatch, type Query } from "./_query_message.ts";
import { printData, type ResourceRecord, writeData } from "./_record.ts";
import { typeName, types } from "./_record_types.ts";
import { Writer } from "./_wire.ts";
import type { Zone } from "./_zone.ts";

/** The bytes that the records of one message may have. A pointer cannot lead behind byte 16,383: later names would be longer. */
const MESSAGE_SIZE = 16_000;

/**
 * The messages of a transfer, each made when the one before it is sent: a large zone needs no memory twice. The first has the
 * question and the OPT record of `head`; the others may leave them out (RFC 5936 §2.2).
 */
export function* transferMessages(head: Message, zone: Zone): Generator<Uint8Array> {
  let answers: ResourceRecord[] = [];
  let size = 0;
  let next = head;
  for (const record of transferRecords(zone)) {
    const length = uncompressedLength(record);
    if (answers.length > 0 && size + length > MESSAGE_SIZE) {
      yield encode({ ...next, answers });
      next = { ...head, questions: [], edns: undefined };
      [answers, size] = [[], 0];
    }
    answers.push(record);
    size += length;
  }
  yield encode({ ...next, answers });
}

/** All records of a zone, its SOA record first and once more at the end (RFC 5936 §2.2). */
function* transferRecords({ soa, names }: Zone): Generator<ResourceRecord> {
  yield soa;
  for (const [, sets] of names) {
    for (const set of sets) if (set[0]?.type !== types.SOA) yield* set;
  }
  yield soa;
}

const measure = new Writer();

function uncompressedLength({ name, type, data }: ResourceRecord): number {
  measure.truncate(0);
  measure.name(name);
  writeData(measure, type, data);
  return measure.length + 10; // type, class, TTL and length
}

/** The serial number of a zone's version in its SOA record. */
const serialOf = ({ data }: ResourceRecord): number => typeof data[2] === "number" ? data[2] : 0;

/**
 * Whether the zone is not newer than the version that a secondary server has, which an IXFR query names (RFC 1995 §3). Serial
 * numbers wrap around: the newer one is less than 2³¹ ahead (RFC 1982 §3.2).
 */
export function isUpToDate(zone: Zone, { authority: [known] }: Message): boolean {
  return known?.type === types.SOA && (serialOf(zone.soa) - serialOf(known) | 0) <= 0;
}

/** What one transfer may bring, so that a hostile server cannot send for ever. */
const MAX_RECORDS = 20_000_000;

/** Receives a transfer, message after message. */
export class ZoneTransfer {
  readonly query: Query;
  readonly #zone: string;
  #soa: ResourceRecord | undefined;
  /** Whether the last SOA record has come. */
  complete = false;
  records = 0;
  messages = 0;
  bytes = 0;

  constructor(query: Query) {
    this.query = query;
    this.#zone = canonicalName(query.question.name);
  }

  /** The records of the next message. @throws {Failure} when it is none of this transfer, or ends it. */
  accept(packet: Uint8Array): readonly ResourceRecord[] {
    const { flags: { rcode }, answers } = this.#decode(packet);
    if (rcode !== rcodes.NOERROR) throw this.#broken(`the server answered ${rcodeName(rcode)}`);
    for (const record of answers) this.#check(record);
    if (answers.length === 0) throw this.#broken("a message has no record");
    this.messages += 1;
    this.bytes += packet.length;
    return answers;
  }

  #decode(packet: Uint8Array): Message {
    try {
      const message = decode(packet);
      // Only the first message must have the question (RFC 5936 §2.2.1).
      const { id, question } = this.query;
      const questions = this.messages > 0 && message.questions.length === 0 ? [question] : message.questions;
      const reason = mismatch({ ...message, questions }, this.query);
      if (reason === undefined) return message;
      throw this.#broken(`message ${this.messages + 1} is not of this transfer (id ${id}): ${reason}`);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw this.#broken(`message ${this.messages + 1} is not a DNS message: ${printable(error.message)}`);
    }
  }

  #check(record: ResourceRecord): void {
    const { name, type, data } = record;
    if (this.complete) throw this.#broken("there are records after the last SOA record");
    if (++this.records > MAX_RECORDS) throw this.#broken("there is no end");
    if (!this.#soa) {
      if (type !== types.SOA || canonicalName(name) !== this.#zone) {
        throw this.#broken(`it begins with ${printable(name)} ${typeName(type)}, not with the SOA record of the zone`);
      }
      this.#soa = record;
    } else if (type === types.SOA) {
      const [first, last] = [this.#soa.data, data].map((each) => canonicalName(printData(type, each)));
      if (canonicalName(name) !== this.#zone || first !== last) {
        throw this.#broken("the last SOA record is another one");
      }
      this.complete = true;
    } else if (!isSubdomain(canonicalName(name), this.#zone)) {
      throw this.#broken(`${printable(name)} is outside of the zone`);
    }
  }

  /** Why the transfer ends before its last SOA record: a failure says how far it came. A bug comes back unchanged. */
  explain(error: unknown): unknown {
    const isNews = error instanceof Failure && error.code === 1 && !(error instanceof BrokenTransfer);
    return isNews ? this.#broken(error.message) : error;
  }

  #broken(why: string): Failure {
    const after = this.records === 0 ? "" : ` after ${count(this.records, "record")}`;
    return new BrokenTransfer(`no transfer of ${printable(this.#zone)}${after}: ${why}`);
  }
}

class BrokenTransfer extends Failure {}
