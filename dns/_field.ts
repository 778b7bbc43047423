/**
 * The kinds of fields in the data of records: how each is read from a message, written to one, parsed from the words of a
 * zone file, and printed as a zone file has it.
 *
 * @module
 */
import { bytesOf, parseAddress, parseIpv4, printAddress } from "../tcp/_address.ts";
import { FormatError } from "./_name.ts";
import { parseTtl, printBytes, quoteText, toAbsolute, unescapeText } from "./_presentation.ts";
import { parseParameters, printParameters } from "./_svcb.ts";
import type { Reader, Writer } from "./_wire.ts";

/** A field's value: a name as a string, a number or an IPv4 address as a number, everything else as bytes. */
export type FieldValue = string | number | Uint8Array;

/** A word of a zone file. In quotes it is a character string, even if it is empty. */
export interface Word {
  readonly text: string;
  readonly quoted: boolean;
}

/** One kind of field. */
export interface Field {
  /** Reads the field from a message. The record's data ends at `end`. */
  read(reader: Reader, end: number): FieldValue;
  write(writer: Writer, value: FieldValue): void;
  /** Takes the words of the field off the list. @throws {FormatError} that says what was expected. */
  parse(words: Word[], origin: string): FieldValue;
  print(value: FieldValue): string;
}

export function asNumber(value: FieldValue): number {
  if (typeof value === "number") return value;
  throw new TypeError("a number was expected");
}

function asName(value: FieldValue): string {
  if (typeof value === "string") return value;
  throw new TypeError("a name was expected");
}

export function asBytes(value: FieldValue): Uint8Array {
  if (typeof value === "object") return value;
  throw new TypeError("bytes were expected");
}

/** Takes the next word off the list. @throws {FormatError} when there is none. */
export function nextWord(words: Word[], what: string): string {
  const word = words.shift();
  if (word === undefined) throw new FormatError(`expected ${what}, but the record ends here`);
  return word.text;
}

/** Parses a whole number below `limit`. */
export function parseInteger(word: string, limit: number): number {
  if (/^\d+$/.test(word) && Number(word) < limit) return Number(word);
  throw new FormatError(`expected a number below ${limit}, not ${word}`);
}

export const uint8: Field = {
  read: (reader) => reader.u8(),
  write: (writer, value) => writer.u8(asNumber(value)),
  parse: (words) => parseInteger(nextWord(words, "a number"), 2 ** 8),
  print: (value) => `${asNumber(value)}`,
};

export const uint16: Field = {
  read: (reader) => reader.u16(),
  write: (writer, value) => writer.u16(asNumber(value)),
  parse: (words) => parseInteger(nextWord(words, "a number"), 2 ** 16),
  print: (value) => `${asNumber(value)}`,
};

export const uint32: Field = {
  read: (reader) => reader.u32(),
  write: (writer, value) => writer.u32(asNumber(value)),
  parse: (words) => parseInteger(nextWord(words, "a number"), 2 ** 32),
  print: (value) => `${asNumber(value)}`,
};

/** A time in seconds. */
export const seconds: Field = { ...uint32, parse: (words) => parseTtl(nextWord(words, "a time in seconds")) };

/** A name that is never compressed: only the types of RFC 1035 may hold pointers (RFC 3597 §4). */
export const plainName: Field = {
  read: (reader) => reader.name(),
  write: (writer, value) => writer.name(asName(value), false),
  parse: (words, origin) => toAbsolute(nextWord(words, "a domain name"), origin),
  print: asName,
};

/** A name that may be compressed. */
export const domainName: Field = { ...plainName, write: (writer, value) => writer.name(asName(value)) };

/** An IPv4 address is a number of 32 bits (RFC 1035 §3.4.1), which takes less memory than an array of four bytes. */
export const ipv4: Field = {
  read: (reader) => reader.u32(),
  write: (writer, value) => writer.u32(asNumber(value)),
  parse(words) {
    const word = nextWord(words, "an IPv4 address");
    const address = parseIpv4(word);
    if (address === undefined) throw new FormatError(`expected an IPv4 address, not ${word}`);
    return address;
  },
  print: (value) => printAddress(bytesOf(asNumber(value))),
};

export const ipv6: Field = {
  read: (reader) => reader.take(16),
  write: (writer, value) => writer.put(asBytes(value)),
  parse(words) {
    const word = nextWord(words, "an IPv6 address");
    const address = parseAddress(word);
    if (address?.length !== 16) throw new FormatError(`expected an IPv6 address, not ${word}`);
    return address;
  },
  print: (value) => printAddress(asBytes(value)),
};

/** A character string: a length byte, then at most 255 bytes (RFC 1035 §3.3). */
export const characterString: Field = {
  read: (reader) => reader.take(reader.u8()),
  write(writer, value) {
    const bytes = asBytes(value);
    writer.u8(bytes.length);
    writer.put(bytes);
  },
  parse(words) {
    const bytes = unescapeText(nextWord(words, "a character string"));
    if (bytes.length > 255) throw new FormatError("expected a character string of at most 255 bytes");
    return bytes;
  },
  print: (value) => quoteText(asBytes(value)),
};

/** The tag of a CAA record: letters and digits, printed without quotes (RFC 8659 §4.1). */
export const caaTag: Field = {
  ...characterString,
  parse(words) {
    const word = nextWord(words, "a tag");
    if (!/^[a-z\d]{1,255}$/i.test(word)) throw new FormatError(`expected a tag of letters and digits, not ${word}`);
    return unescapeText(word);
  },
  print: (value) => printBytes(asBytes(value)),
};

/** The rest of the data as text in quotes: the value of a CAA record (RFC 8659 §4.1), the target of URI (RFC 7553 §4.4). */
export const longText: Field = {
  read: (reader, end) => reader.take(end - reader.offset),
  write: (writer, value) => writer.put(asBytes(value)),
  parse: (words) => unescapeText(nextWord(words, "a text")),
  print: (value) => quoteText(asBytes(value)),
};

/** The parameters of SVCB and HTTPS records, kept as bytes. Reading checks their order and length (RFC 9460 §2.2). */
export const svcbParameters: Field = {
  read(reader, end) {
    const start = reader.offset;
    let previous = -1;
    while (reader.offset < end) {
      const key = reader.u16();
      if (key <= previous) throw new FormatError("the parameters of SVCB are not in ascending order");
      previous = key;
      reader.take(reader.u16());
    }
    if (reader.offset !== end) throw new FormatError("a parameter of SVCB runs over the end of the record");
    return reader.bytes.subarray(start, end);
  },
  write: (writer, value) => writer.put(asBytes(value)),
  parse: (words) => parseParameters(words.splice(0).map(({ text }) => text)),
  print: (value) => printParameters(asBytes(value)),
};

/** Data as bytes, in the form of RFC 3597 §5: `\# LENGTH HEX`. It is for types that this program does not know. */
export const unknownData: Field = {
  read: (reader, end) => reader.take(end - reader.offset),
  write: (writer, value) => writer.put(asBytes(value)),
  parse(words) {
    const [, length, ...rest] = words.splice(0).map(({ text }) => text);
    const hex = rest.join("");
    if (!/^([0-9a-f]{2})*$/i.test(hex) || !/^\d+$/.test(length ?? "") || hex.length !== 2 * Number(length)) {
      throw new FormatError("expected \\#, a length and as many bytes in hexadecimal");
    }
    return Uint8Array.fromHex(hex);
  },
  print: (value) => `\\# ${asBytes(value).length} ${asBytes(value).toHex()}`.trim(),
};
