/**
 * Resource records, and their data in a message and in a zone file.
 *
 * A record's data is a list of fields. One table lists the fields of each type; reading, writing, parsing and printing all
 * use it. RFC 1035 §3.3, RFC 3596 (AAAA), 2782 (SRV), 3403 (NAPTR), 8659 (CAA), 9460 (SVCB, HTTPS), 3597 (unknown types).
 *
 * @module
 */
import {
  caaTag,
  caaValue,
  characterString,
  domainName,
  type Field,
  type FieldValue,
  ipv4,
  ipv6,
  plainName,
  seconds,
  svcbParameters,
  uint16,
  uint32,
  uint8,
  unknownData,
  type Word,
} from "./_field.ts";
import { FormatError } from "./_name.ts";
import { typeName, types } from "./_record_types.ts";
import type { Reader, Writer } from "./_wire.ts";

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
  [types.AAAA, [ipv6]],
  [types.SRV, [uint16, uint16, uint16, plainName]],
  [types.NAPTR, [uint16, uint16, characterString, characterString, characterString, plainName]],
  [types.SVCB, [uint16, plainName, svcbParameters]],
  [types.HTTPS, [uint16, plainName, svcbParameters]],
  [types.CAA, [uint8, caaTag, caaValue]],
]);
const unknownLayout = [unknownData];

/** The field at `index`; the further ones of TXT are character strings too. */
const fieldAt = (fields: readonly Field[], index: number): Field => fields[index] ?? characterString;

/** Reads the data of a record up to `end`. @throws {FormatError} when it does not have its type's form. */
export function readData(reader: Reader, type: number, end: number): FieldValue[] {
  const fields = layouts.get(type) ?? unknownLayout;
  const data = fields.map((field) => field.read(reader, end));
  while (type === types.TXT && reader.offset < end) data.push(characterString.read(reader, end));
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
  const fields = layouts.get(type);
  const isGeneric = words[0]?.text === "\\#" && !words[0].quoted;
  if (isGeneric) {
    const bytes = unknownData.parse(words, origin);
    if (fields) {
      throw new FormatError(`expected the data of ${typeName(type)} in its usual form: \\# is for unknown types`);
    }
    return [bytes];
  }
  if (!fields) {
    throw new FormatError(
      `expected \\# LENGTH HEX (RFC 3597): this program does not know the format of ${typeName(type)}`,
    );
  }
  const data = fields.map((field) => field.parse(words, origin));
  while (type === types.TXT && words.length > 0) data.push(characterString.parse(words, origin));
  if (words[0]) throw new FormatError(`expected the end of the record, not ${words[0].text}`);
  return data;
}

/** The data of a record as a zone file has it. */
export function printData(type: number, data: readonly FieldValue[]): string {
  const fields = layouts.get(type) ?? unknownLayout;
  return data.map((value, i) => fieldAt(fields, i).print(value)).filter((part) => part !== "").join(" ");
}
