/**
 * DNS messages as pure functions: RFC 1035 §4.1, with EDNS(0) (RFC 6891).
 *
 * @module
 */
import { readData, type ResourceRecord, writeData } from "./record.ts";
import { FormatError, Reader, TooLong, Writer } from "./wire.ts";

/** What is asked: the records of one type of one name. */
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
  /** The answer is from the zone itself. */
  readonly aa: boolean;
  /** Truncated: ask again over TCP. */
  readonly tc: boolean;
  /** Recursion is desired; recursion is available. */
  readonly rd: boolean;
  readonly ra: boolean;
  readonly ad: boolean;
  readonly cd: boolean;
  /** With EDNS, its upper 8 bits too. */
  readonly rcode: number;
}

/** The OPT record: what the sender can do (RFC 6891 §6.1). */
export interface Edns {
  /** The largest UDP payload that the sender can take. */
  readonly size: number;
  readonly version: number;
  /** DNSSEC records are wanted. */
  readonly dnssecOk: boolean;
}

/** A whole message. The OPT record is in `edns`, not in `additional`. */
export interface Message {
  readonly id: number;
  readonly flags: Flags;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  readonly additional: readonly ResourceRecord[];
  readonly edns?: Edns;
}

/** Response codes (RFC 1035 §4.1.1, RFC 6891 §9). */
export const rcodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;

/** The name of a response code. */
export function rcodeName(rcode: number): string {
  return Object.entries(rcodes).find(([, number]) => number === rcode)?.[0] ?? `RCODE${rcode}`;
}

/** The Internet. */
export const IN = 1;
/** The largest UDP payload that passes everywhere in one piece (RFC 9715): what is asked for, and the most that is sent. */
export const UDP_PAYLOAD = 1232;
const OPT = 41;

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
  if (end > reader.bytes.length) throw new FormatError(`the data of a record runs over the end of the message`);
  const data = type === OPT ? [reader.take(length)] : readData(reader, type, end);
  // RFC 2181 §8: a TTL with its highest bit set counts as 0. That of OPT is no time (RFC 6891 §6.1.3).
  return { name, type, class: class_, ttl: type !== OPT && ttl >= 2 ** 31 ? 0 : ttl, data };
}

/**
 * Reads a message.
 *
 * @throws {FormatError} when it is not a whole message of the form of RFC 1035, or has bytes after it.
 */
export function decode(bytes: Uint8Array): Message {
  const reader = new Reader(bytes);
  const id = reader.u16();
  const bits = reader.u16();
  const [questionCount, answerCount, authorityCount, additionalCount] = [
    reader.u16(),
    reader.u16(),
    reader.u16(),
    reader.u16(),
  ];
  const questions: Question[] = [];
  for (let i = 0; i < questionCount; i++) {
    questions.push({ name: reader.name(), type: reader.u16(), class: reader.u16() });
  }
  // A count can lie: reading ends where the message does, and no room is made before there is something to put in.
  const section = (count: number) => {
    const records: ResourceRecord[] = [];
    for (let i = 0; i < count; i++) records.push(readRecord(reader));
    return records;
  };
  const answers = section(answerCount);
  const authority = section(authorityCount);
  const all = section(additionalCount);
  if (reader.offset !== bytes.length) throw new FormatError(`${bytes.length - reader.offset} bytes after the message`);
  const [opt, second] = all.filter(({ type }) => type === OPT);
  if (second) throw new FormatError("two OPT records");
  if (opt && opt.name !== ".") throw new FormatError("an OPT record with an owner");
  const edns = opt &&
    { size: opt.class, version: opt.ttl >>> 16 & 255, dnssecOk: (opt.ttl & 0x8000) !== 0 };
  return {
    id,
    flags: readFlags(bits, opt ? opt.ttl >>> 24 : 0),
    questions,
    answers,
    authority,
    additional: all.filter(({ type }) => type !== OPT),
    ...edns && { edns },
  };
}

function writeRecord(writer: Writer, { name, type, class: class_, ttl, data }: ResourceRecord): void {
  writer.name(name);
  writer.u16(type);
  writer.u16(class_);
  writer.u32(ttl);
  const at = writer.length;
  writer.u16(0);
  writeData(writer, type, data);
  writer.set16(at, writer.length - at - 2);
}

/** Where messages are written, one at a time: a new buffer for each would cost more than the writing. */
const scratch = new Uint8Array(65535);

/**
 * Writes a message of at most `limit` bytes. When it does not fit, TC is set and the answer, authority and additional
 * sections are left out: a client then asks over TCP, and takes nothing half. Additional records that do not fit are left
 * out without TC, for nobody needs them (RFC 2181 §9).
 *
 * ```ts
 * encode({ id: 1, flags, questions: [{ name: "example.com.", type: 1, class: 1 }], answers: [], authority: [], additional: [] });
 * ```
 */
export function encode(message: Message, limit = 65535): Uint8Array<ArrayBuffer> {
  const { id, flags, questions, answers, authority, additional, edns } = message;
  const writer = new Writer(scratch);
  writer.u16(id);
  writer.u16(flagBits(flags));
  for (const section of [questions, answers, authority]) writer.u16(section.length);
  writer.u16(0);
  for (const { name, type, class: class_ } of questions) {
    writer.name(name);
    writer.u16(type);
    writer.u16(class_);
  }
  const opt = edns ? 11 : 0;
  const start = writer.length;
  let extra = 0;
  if (!fits(writer, [...answers, ...authority], limit - opt)) {
    writer.cut(start);
    writer.set16(2, flagBits({ ...flags, tc: true }));
    writer.set16(6, 0);
    writer.set16(8, 0);
  } else {
    for (const record of additional) {
      const before = writer.length;
      if (fits(writer, [record], limit - opt)) extra++;
      else {
        writer.cut(before);
        break;
      }
    }
  }
  if (edns) {
    writer.u8(0);
    writer.u16(OPT);
    writer.u16(edns.size);
    writer.u32(((flags.rcode >>> 4) << 24 | edns.version << 16 | Number(edns.dnssecOk) << 15) >>> 0);
    writer.u16(0);
    extra++;
  }
  writer.set16(10, extra);
  return writer.bytes();
}

function fits(writer: Writer, records: readonly ResourceRecord[], limit: number): boolean {
  try {
    for (const record of records) {
      writeRecord(writer, record);
      if (writer.length > limit) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof TooLong) return false;
    throw error;
  }
}

/** A message as it goes over TCP: behind its length in two bytes (RFC 1035 §4.2.2), to be sent with one write. */
export function withLength(message: Uint8Array): Uint8Array {
  const whole = new Uint8Array(2 + message.length);
  whole.set([message.length >> 8, message.length & 255]);
  whole.set(message, 2);
  return whole;
}
