/**
 * DNS messages as pure functions: RFC 1035 §4.1, with EDNS(0) (RFC 6891).
 *
 * @module
 */
import { type Edns, findOptFault, OPT_SIZE, readOpt, writeOpt } from "./_edns.ts";
import { FormatError } from "./_name.ts";
import { readData, type ResourceRecord, writeData } from "./_record.ts";
import { types } from "./_record_types.ts";
import { Reader, TooLong, Writer } from "./_wire.ts";

/** A question: the records of one type of one name. */
export interface Question {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** The header's flags and codes (RFC 1035 §4.1.1, RFC 4035 §3.1.6 for AD and CD). */
export interface Flags {
  /** A response, not a query. */
  readonly qr: boolean;
  readonly opcode: number;
  /** Authoritative answer: it comes from the zone itself. */
  readonly aa: boolean;
  /** Truncated: the client must ask again over TCP. */
  readonly tc: boolean;
  /** Recursion desired: the client wants the server to ask other servers. */
  readonly rd: boolean;
  /** Recursion available: the server does so. */
  readonly ra: boolean;
  readonly ad: boolean;
  readonly cd: boolean;
  /** The response code. With EDNS it has 12 bits; the upper 8 are in the OPT record. */
  readonly rcode: number;
}

/** A whole message. The OPT record is in `edns`, and a TSIG record in `tsig`, not in `additional`. */
export interface Message {
  readonly id: number;
  readonly flags: Flags;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  readonly additional: readonly ResourceRecord[];
  readonly edns?: Edns;
  /** The signature of a message that is signed with a shared key (RFC 8945). */
  readonly tsig?: ResourceRecord;
}

/** A message whose OPT record is wrong. `query` is the rest of it: the response to it has an OPT record (RFC 6891 §7). */
export class EdnsError extends FormatError {
  constructor(message: string, readonly query: Message) {
    super(message);
  }
}

/** Response codes (RFC 1035 §4.1.1, RFC 6672 §2.2, RFC 8945 §3, RFC 6891 §9). */
export const rcodes = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  NOTAUTH: 9,
  BADVERS: 16,
} as const;

/** The name of a response code. */
export function rcodeName(rcode: number): string {
  return Object.entries(rcodes).find(([, number]) => number === rcode)?.[0] ?? `RCODE${rcode}`;
}

/**
 * The largest UDP payload that fits into IPv6's minimum MTU: 1280 − 40 (IPv6 header) − 8 (UDP header). We advertise it, and
 * never send more.
 */
export const UDP_PAYLOAD = 1232;

/** The largest UDP payload for a client without EDNS (RFC 1035 §4.2.1). */
export const PLAIN_PAYLOAD = 512;

function readFlags(bits: number, upper: number): Flags {
  return {
    qr: (bits & 0x8000) !== 0,
    opcode: bits >>> 11 & 15,
    aa: (bits & 0x400) !== 0,
    tc: (bits & 0x200) !== 0,
    rd: (bits & 0x100) !== 0,
    ra: (bits & 0x80) !== 0,
    ad: (bits & 0x20) !== 0,
    cd: (bits & 0x10) !== 0,
    rcode: upper << 4 | bits & 15,
  };
}

function flagBits({ qr, opcode, aa, tc, rd, ra, ad, cd, rcode }: Flags): number {
  return Number(qr) << 15 | opcode << 11 | Number(aa) << 10 | Number(tc) << 9 | Number(rd) << 8 | Number(ra) << 7 |
    Number(ad) << 5 | Number(cd) << 4 | rcode & 15;
}

function readRecord(reader: Reader): ResourceRecord {
  const name = reader.name();
  const type = reader.u16();
  const class_ = reader.u16();
  const ttl = reader.u32();
  const length = reader.u16();
  const end = reader.offset + length;
  if (end > reader.bytes.length) throw new FormatError("the data of a record runs over the end of the message");
  const data = type === types.OPT ? [reader.take(length)] : readData(reader, type, end);
  // A TTL with its highest bit set counts as 0 (RFC 2181 §8). The TTL field of OPT holds flags (RFC 6891 §6.1.3).
  return { name, type, class: class_, ttl: type !== types.OPT && ttl >= 2 ** 31 ? 0 : ttl, data };
}

/**
 * Decodes a message.
 *
 * @throws {FormatError} when it does not have the form of RFC 1035 §4.1, or when bytes follow it.
 */
export function decode(bytes: Uint8Array): Message {
  const { message, length } = decodePrefix(bytes);
  if (length !== bytes.length) throw new FormatError(`${bytes.length - length} bytes after the message`);
  return message;
}

/** Decodes the message that the bytes begin with. Returns how long it is, too. @throws {FormatError} as `decode` does. */
export function decodePrefix(bytes: Uint8Array): { message: Message; length: number } {
  const reader = new Reader(bytes);
  const id = reader.u16();
  const bits = reader.u16();
  const questionCount = reader.u16();
  const answerCount = reader.u16();
  const authorityCount = reader.u16();
  const additionalCount = reader.u16();
  // Do not trust the counts: stop at the end of the message, and allocate nothing in advance.
  const questions: Question[] = [];
  for (let i = 0; i < questionCount; i++) {
    questions.push({ name: reader.name(), type: reader.u16(), class: reader.u16() });
  }
  const answers = readRecords(reader, answerCount);
  const authority = readRecords(reader, authorityCount);
  const additional = readRecords(reader, additionalCount);
  const length = reader.offset;

  const tsig = additional.at(-1)?.type === types.TSIG ? additional.pop() : undefined; // it is the last record
  const opt = additional.find(({ type }) => type === types.OPT);
  const flags = readFlags(bits, opt ? opt.ttl >>> 24 : 0);
  const plain = { id, flags, questions, answers, authority, additional, ...tsig && { tsig } };
  if (additional.some(({ type }) => type === types.TSIG)) {
    throw new FormatError("a TSIG record that is not the last one");
  }
  if (!opt) return { message: plain, length };

  const message = { ...plain, additional: additional.filter(({ type }) => type !== types.OPT), edns: readOpt(opt) };
  const isOne = message.additional.length === additional.length - 1;
  const fault = isOne ? findOptFault(opt) : "two OPT records";
  if (fault) throw new EdnsError(fault, message);
  return { message, length };
}

function readRecords(reader: Reader, count: number): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  for (let i = 0; i < count; i++) records.push(readRecord(reader));
  return records;
}

function writeRecord(writer: Writer, { name, type, class: class_, ttl, data }: ResourceRecord): void {
  writer.name(name);
  writer.u16(type);
  writer.u16(class_);
  writer.u32(ttl);
  const lengthAt = writer.length;
  writer.u16(0); // the length, not known yet
  writeData(writer, type, data);
  writer.setU16(lengthAt, writer.length - lengthAt - 2);
}

/** Where messages are written, one at a time: allocating a buffer for each would cost more than writing it. */
const scratch = new Uint8Array(65535);

/** The offsets of the header's fields (RFC 1035 §4.1.1). */
const header = { flags: 2, answerCount: 6, authorityCount: 8, additionalCount: 10 };

/**
 * Encodes a message in at most `limit` bytes. If it does not fit, sets TC and omits all records; the client then asks over
 * TCP. Omits additional records that do not fit without TC: they are optional (RFC 2181 §9), except the first `glue` ones.
 *
 * ```ts
 * encode({ id: 1, flags, questions: [{ name: "example.com.", type: 1, class: 1 }], answers: [], authority: [], additional: [] });
 * ```
 */
export function encode(message: Message, limit = 65535, glue = 0): Uint8Array<ArrayBuffer> {
  const { id, flags, questions, answers, authority, additional, edns, tsig } = message;
  const writer = new Writer(scratch);
  writer.u16(id);
  writer.u16(flagBits(flags));
  writer.u16(questions.length);
  writer.u16(answers.length);
  writer.u16(authority.length);
  writer.u16(0); // the number of additional records, not known yet
  for (const { name, type, class: class_ } of questions) {
    writer.name(name);
    writer.u16(type);
    writer.u16(class_);
  }

  const room = limit - (edns ? OPT_SIZE : 0);
  const questionEnd = writer.length;
  let additionalCount = glue;
  const isComplete = tryWrite(writer, answers, room) && tryWrite(writer, authority, room) &&
    (glue === 0 || tryWrite(writer, additional.slice(0, glue), room));
  if (isComplete) {
    for (let i = glue; i < additional.length; i++) {
      const record = additional[i];
      if (!record || !tryWrite(writer, [record], room)) break;
      additionalCount++;
    }
  } else {
    additionalCount = 0;
    writer.truncate(questionEnd);
    writer.setU16(header.flags, flagBits({ ...flags, tc: true }));
    writer.setU16(header.answerCount, 0);
    writer.setU16(header.authorityCount, 0);
  }
  if (edns) {
    writeOpt(writer, edns, flags.rcode);
    additionalCount++;
  }
  if (tsig) {
    writeRecord(writer, tsig);
    additionalCount++;
  }
  writer.setU16(header.additionalCount, additionalCount);
  return writer.bytes();
}

/** Writes all of the records if the message then has at most `limit` bytes; otherwise none of them. */
function tryWrite(writer: Writer, records: readonly ResourceRecord[], limit: number): boolean {
  const start = writer.length;
  let fits = true;
  try {
    for (const record of records) {
      writeRecord(writer, record);
      fits = writer.length <= limit;
      if (!fits) break;
    }
  } catch (error) {
    if (!(error instanceof TooLong)) throw error;
    fits = false;
  }
  if (!fits) writer.truncate(start);
  return fits;
}
