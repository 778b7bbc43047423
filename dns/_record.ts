/**
 * Resource records, and their data in a message and in a zone file.
 *
 * A record's data is a list of fields. One table lists the fields of each type; reading, writing, parsing and printing all
 * use it. RFC 1035 §3.3, RFC 1183 (RP, AFSDB), 3596 (AAAA), 2782 (SRV), 3403 (NAPTR), 6672 (DNAME), 7208 (SPF), 7553 (URI),
 * 8659 (CAA), 9460 (SVCB, HTTPS), 3597 (unknown types); `_security_fields.ts` and `_location.ts` name the others.
 *
 * @module
 */
import {
  caaTag,
  characterString,
  domainName,
  type Field,
  type FieldValue,
  ipv4,
  ipv6,
  longText,
  plainName,
  seconds,
  svcbParameters,
  uint16,
  uint32,
  uint8,
  unknownData,
  type Word,
} from "./_field.ts";
import { location } from "./_location.ts";
import { FormatError } from "./_name.ts";
import { typeName, types } from "./_record_types.ts";
import { algorithm, base64, hexadecimal, longTime, recordType, sizedBytes, time, typeSet } from "./_security_fields.ts";
import { Reader, Writer } from "./_wire.ts";

/** A resource record (RFC 1035 §3.2.1). `ttl` in seconds. */
export interface ResourceRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly data: readonly FieldValue[];
}

const layouts = new Map<number, readonly Field[]>([
  [types.A, [ipv4]],
  [types.NS, [domainName]],
  [types.CNAME, [domainName]],
  [types.SOA, [domainName, domainName, uint32, seconds, seconds, seconds, seconds]],
  [types.PTR, [domainName]],
  [types.HINFO, [characterString, characterString]],
  [types.MX, [uint16, domainName]],
  [types.TXT, [characterString]], // one or more
  [types.SPF, [characterString]], // one or more
  [types.RP, [plainName, plainName]],
  [types.AFSDB, [uint16, plainName]],
  [types.AAAA, [ipv6]],
  [types.LOC, [location]],
  [types.SRV, [uint16, uint16, uint16, plainName]],
  [types.NAPTR, [uint16, uint16, characterString, characterString, characterString, plainName]],
  [types.DNAME, [plainName]],
  [types.DS, [uint16, algorithm, uint8, hexadecimal]],
  [types.CDS, [uint16, algorithm, uint8, hexadecimal]],
  [types.SSHFP, [uint8, uint8, hexadecimal]],
  [types.RRSIG, [recordType, algorithm, uint8, uint32, time, time, uint16, plainName, base64]],
  [types.NSEC, [plainName, typeSet]],
  [types.DNSKEY, [uint16, uint8, algorithm, base64]],
  [types.CDNSKEY, [uint16, uint8, algorithm, base64]],
  [types.TLSA, [uint8, uint8, uint8, hexadecimal]],
  [types.SMIMEA, [uint8, uint8, uint8, hexadecimal]],
  [types.OPENPGPKEY, [base64]],
  [types.TSIG, [plainName, longTime, uint16, sizedBytes, uint16, uint16, sizedBytes]],
  [types.SVCB, [uint16, plainName, svcbParameters]],
  [types.HTTPS, [uint16, plainName, svcbParameters]],
  [types.URI, [uint16, uint16, longText]],
  [types.CAA, [uint8, caaTag, longText]],
]);
const unknownLayout = [unknownData];

/** Whether records of this type have as many character strings as they like. */
const isText = (type: number) => type === types.TXT || type === types.SPF;

/** The field at `index`; the further ones of TXT are character strings too. */
const fieldAt = (fields: readonly Field[], index: number): Field => fields[index] ?? characterString;

/** The most bytes of a record's data: its length field has two bytes (RFC 1035 §3.2.1). */
const MAX_DATA = 65535;
/** More bytes than a record's names and numbers can have. */
const NAMES_SIZE = 1000;

/** Reads the data of a record up to `end`. @throws {FormatError} when it does not have its type's form. */
export function readData(reader: Reader, type: number, end: number): FieldValue[] {
  const fields = layouts.get(type) ?? unknownLayout;
  const data = fields.map((field) => field.read(reader, end));
  while (isText(type) && reader.offset < end) data.push(characterString.read(reader, end));
  if (reader.offset !== end) {
    throw new FormatError(`the length field of the ${typeName(type)} record does not match its data`);
  }
  return data;
}

/** Writes the data of a record, without its length. */
export function writeData(writer: Writer, type: number, data: readonly FieldValue[]): void {
  const fields = layouts.get(type) ?? unknownLayout;
  for (let i = 0; i < data.length; i++) fieldAt(fields, i).write(writer, data[i] ?? "");
}

/** Parses the data of a record from the words of a zone file. @throws {FormatError} that says what was expected. */
export function parseData(type: number, words: Word[], origin: string): FieldValue[] {
  const data = parseFields(type, words, origin);
  const size = data.reduce((sum: number, value) => sum + (typeof value === "object" ? value.length + 1 : 0), 0);
  // Few records are so long that counting all their bytes is worth while.
  if (size > MAX_DATA - NAMES_SIZE) {
    const writer = new Writer(new Uint8Array(size + NAMES_SIZE), false);
    writeData(writer, type, data);
    if (writer.length > MAX_DATA) throw new FormatError(`expected at most ${MAX_DATA} bytes of data`);
  }
  return data;
}

function parseFields(type: number, words: Word[], origin: string): FieldValue[] {
  const fields = layouts.get(type);
  const isGeneric = words[0]?.text === "\\#" && !words[0].quoted;
  if (isGeneric) {
    const bytes = unknownData.parse(words, origin);
    // The bytes of a known type must have its form: records are the same, however they are written (RFC 3597 §5).
    return fields && bytes instanceof Uint8Array ? readData(new Reader(bytes, false), type, bytes.length) : [bytes];
  }
  if (!fields) {
    throw new FormatError(
      `expected \\# LENGTH HEX (RFC 3597): this program does not know the format of ${typeName(type)}`,
    );
  }
  const data = fields.map((field) => field.parse(words, origin));
  while (isText(type) && words.length > 0) data.push(characterString.parse(words, origin));
  if (words[0]) throw new FormatError(`expected the end of the record, not ${words[0].text}`);
  return data;
}

/** The data of a record as a zone file has it. */
export function printData(type: number, data: readonly FieldValue[]): string {
  const fields = layouts.get(type) ?? unknownLayout;
  return data.map((value, i) => fieldAt(fields, i).print(value)).filter((part) => part !== "").join(" ");
}
