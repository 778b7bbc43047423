/**
 * The types of resource records and their data: on the wire, and as text in a zone file.
 *
 * A record's data is a list of fields, and a type is known by the list of what its fields are: one table serves for reading,
 * writing, parsing and printing. RFC 1035 §3.3, 3596 (AAAA), 2782 (SRV), 3403 (NAPTR), 8659 (CAA), 9460 (SVCB, HTTPS); the data
 * of a type that is not in the table is kept as bytes, and printed as RFC 3597 §5 has it.
 *
 * @module
 */
import { bytesOf, parseAddress, parseIpv4, printAddress } from "./address.ts";
import { parseParameters, printParameters } from "./svcb.ts";
import { FormatError, labels, type Reader, same, type Writer } from "./wire.ts";

/** A field's value: a name, an address or a number as such; character strings and opaque data as bytes. */
export type Value = string | number | Uint8Array;

/** A resource record (RFC 1035 §3.2.1). `ttl` in seconds. */
export interface ResourceRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly data: readonly Value[];
}

/** What a field is: how it is read up to `end`, written, parsed from the words of a zone file, and printed. */
interface Field {
  read(reader: Reader, end: number): Value;
  write(writer: Writer, value: Value): void;
  parse(words: Word[], origin: string): Value;
  print(value: Value): string;
}

/** A word of a zone file; one in quotes is a character string even if it is empty. */
export interface Word {
  readonly text: string;
  readonly quoted: boolean;
}

const number = (value: Value): number => {
  if (typeof value === "number") return value;
  throw new TypeError("a number was expected");
};
const text = (value: Value): string => {
  if (typeof value === "string") return value;
  throw new TypeError("a name was expected");
};
const bytes = (value: Value): Uint8Array => {
  if (typeof value === "object") return value;
  throw new TypeError("bytes were expected");
};

function next(words: Word[], what: string): string {
  const word = words.shift();
  if (word === undefined) throw new FormatError(`expected ${what}, and the record ends`);
  return word.text;
}

function integer(size: 1 | 2 | 4): Field {
  const limit = 256 ** size;
  return {
    read: (reader) => size === 1 ? reader.u8() : size === 2 ? reader.u16() : reader.u32(),
    write: (writer, value) =>
      size === 1 ? writer.u8(number(value)) : size === 2 ? writer.u16(number(value)) : writer.u32(number(value)),
    parse(words) {
      const word = next(words, "a number");
      if (/^\d+$/.test(word) && Number(word) < limit) return Number(word);
      throw new FormatError(`expected a number below ${limit}, not ${word}`);
    },
    print: (value) => `${number(value)}`,
  };
}

const seconds: Field = { ...integer(4), parse: (words) => parseTtl(next(words, "a time in seconds")) };

function name(compress: boolean): Field {
  return {
    read: (reader) => reader.name(),
    write: (writer, value) => writer.name(text(value), compress),
    parse: (words, origin) => absolute(next(words, "a domain name"), origin),
    print: text,
  };
}

/** An IPv4 address is a number of 32 bits (RFC 1035 §3.4.1), which takes less room than an array would. */
const ipv4: Field = {
  read: (reader) => reader.u32(),
  write: (writer, value) => writer.u32(number(value)),
  parse(words) {
    const word = next(words, "an IPv4 address");
    const parsed = parseIpv4(word);
    if (parsed !== undefined) return parsed;
    throw new FormatError(`expected an IPv4 address, not ${word}`);
  },
  print: (value) => printAddress(bytesOf(number(value))),
};

const ipv6: Field = {
  read: (reader) => reader.take(16),
  write: (writer, value) => writer.put(bytes(value)),
  parse(words) {
    const word = next(words, "an IPv6 address");
    const parsed = parseAddress(word);
    if (parsed?.length === 16) return parsed;
    throw new FormatError(`expected an IPv6 address, not ${word}`);
  },
  print: (value) => printAddress(bytes(value)),
};

/** A character string: a byte that tells the length, and at most 255 bytes (RFC 1035 §3.3). */
const string: Field = {
  read: (reader) => reader.take(reader.u8()),
  write(writer, value) {
    writer.u8(bytes(value).length);
    writer.put(bytes(value));
  },
  parse(words) {
    const value = unescape(next(words, "a character string"));
    if (value.length > 255) throw new FormatError("expected a character string of at most 255 bytes");
    return value;
  },
  print: (value) => quote(bytes(value)),
};

/** The rest of the data, as text in quotes: the value of a CAA record (RFC 8659 §4.1). */
const rest: Field = {
  read: (reader, end) => reader.take(end - reader.offset),
  write: (writer, value) => writer.put(bytes(value)),
  parse: (words) => unescape(next(words, "a value")),
  print: (value) => quote(bytes(value)),
};

/** The tag of a CAA record: a character string, but without quotes. */
const tag: Field = { ...string, print: (value) => new TextDecoder().decode(bytes(value)) };

/** The rest of the data, as bytes in hexadecimal: the parameters of SVCB, whose order and length are checked on reading. */
const parameters: Field = {
  read(reader, end) {
    const start = reader.offset;
    for (let last = -1; reader.offset < end;) {
      const key = reader.u16();
      if (key <= last) throw new FormatError("the parameters of SVCB are not in ascending order");
      last = key;
      reader.take(reader.u16());
    }
    if (reader.offset !== end) throw new FormatError("a parameter of SVCB runs over the end of the record");
    return reader.bytes.subarray(start, end);
  },
  write: (writer, value) => writer.put(bytes(value)),
  parse: (words) => parseParameters(words.splice(0)),
  print: (value) => printParameters(bytes(value)),
};

const layouts: Readonly<Record<string, readonly [type: number, ...fields: Field[]]>> = {
  A: [1, ipv4],
  NS: [2, name(true)],
  CNAME: [5, name(true)],
  SOA: [6, name(true), name(true), integer(4), seconds, seconds, seconds, seconds],
  PTR: [12, name(true)],
  HINFO: [13, string, string],
  MX: [15, integer(2), name(true)],
  TXT: [16, string],
  AAAA: [28, ipv6],
  SRV: [33, integer(2), integer(2), integer(2), name(false)],
  NAPTR: [35, integer(2), integer(2), string, string, string, name(false)],
  SVCB: [64, integer(2), name(false), parameters],
  HTTPS: [65, integer(2), name(false), parameters],
  CAA: [257, integer(1), tag, rest],
};

const numbers = new Map(Object.entries(layouts).map(([name, [type]]) => [name, type]));
for (const [name, type] of [["OPT", 41], ["IXFR", 251], ["AXFR", 252], ["ANY", 255]] as const) numbers.set(name, type);
const names = new Map([...numbers].map(([name, type]) => [type, name]));
const fieldsOf = new Map(Object.values(layouts).map(([type, ...fields]): [number, Field[]] => [type, fields]));

/** The number of a type by its name, `TYPE123` included; `undefined` when there is no such type. */
export function typeNumber(name: string): number | undefined {
  const generic = /^TYPE(\d{1,5})$/i.exec(name)?.[1];
  const number = generic === undefined ? undefined : Number(generic);
  return numbers.get(name) ?? numbers.get(name.toUpperCase()) ??
    (number !== undefined && number < 65536 ? number : undefined);
}

/** The name of a type, or `TYPE123` (RFC 3597 §5). */
export const typeName = (type: number): string => names.get(type) ?? `TYPE${type}`;

const TXT = 16;

/** Reads the data of a record up to `end`. @throws {FormatError} when it is not just of its type's form. */
export function readData(reader: Reader, type: number, end: number): Value[] {
  const fields = fieldsOf.get(type);
  if (!fields) return [reader.take(end - reader.offset)];
  const data = fields.map((field) => field.read(reader, end));
  while (type === TXT && reader.offset < end) data.push(string.read(reader, end));
  if (reader.offset !== end) throw new FormatError(`the data of a ${typeName(type)} record is not as long as it says`);
  return data;
}

/** Writes the data of a record, without its length. */
export function writeData(writer: Writer, type: number, data: readonly Value[]): void {
  const fields = fieldsOf.get(type);
  data.forEach((value, i) => {
    if (fields) (fields[i] ?? string).write(writer, value);
    else writer.put(bytes(value));
  });
}

/** Reads the data of a record from the words of a zone file. @throws {FormatError} that says what was expected. */
export function parseData(type: number, words: Word[], origin: string): Value[] {
  const fields = fieldsOf.get(type);
  if (words[0]?.text === "\\#" && !words[0].quoted) {
    const hex = words.slice(2).map(({ text }) => text).join("");
    if (!/^([0-9a-f]{2})*$/i.test(hex) || hex.length !== 2 * Number(words[1]?.text)) {
      throw new FormatError("expected \\#, a length and as many bytes in hexadecimal");
    }
    if (fields) throw new FormatError(`expected the data of ${typeName(type)} in its own form`);
    return [Uint8Array.fromHex(hex)];
  }
  if (!fields) throw new FormatError(`expected \\# and bytes: the form of ${typeName(type)} is not known`);
  const data = fields.map((field) => field.parse(words, origin));
  while (type === TXT && words.length > 0) data.push(string.parse(words, origin));
  if (words[0]) throw new FormatError(`expected the end of the record, not ${words[0].text}`);
  return data;
}

/** The data of a record as a zone file has it. */
export function printData(type: number, data: readonly Value[]): string {
  const fields = fieldsOf.get(type);
  if (fields) return data.map((value, i) => (fields[i] ?? string).print(value)).filter((part) => part !== "").join(" ");
  return data.map((value) => `\\# ${bytes(value).length} ${bytes(value).toHex()}`.trim()).join(" ");
}

/** A name of a zone file made absolute. @throws {FormatError} when it is none. */
export function absolute(name: string, origin: string): string {
  if (name === "@") return origin;
  const relative = name.includes("\\") ? !/(^|[^\\])(\\\\)*\.$/.test(name) : !name.endsWith(".");
  const whole = relative ? `${name}.${origin === "." ? "" : origin}` : name;
  const plain = whole.length < 200 && /^(?:[\w*-]{1,63}\.)+$/.test(whole);
  if (!plain) labels(whole); // which says what is wrong, if anything is
  return whole;
}

/** A time to live: seconds, or with units as in `1h30m` (an extension that every server has). */
export function parseTtl(word: string): number {
  const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
  const parts = [...same(word).matchAll(/(\d+)([smhdw]?)/g)];
  const total = parts.reduce((sum, [, n, unit]) => sum + Number(n) * (units[unit || "s"] ?? 1), 0);
  if (parts.map(([part]) => part).join("") === same(word) && parts.length > 0 && total < 2 ** 31) return total;
  throw new FormatError(`expected a time in seconds, not ${word}`);
}

/** The bytes of a word with its escapes taken out (RFC 1035 §5.1). */
function unescape(word: string): Uint8Array {
  const plain = new TextEncoder().encode(word);
  const result: number[] = [];
  for (let i = 0; i < plain.length; i++) {
    if (plain[i] !== 92) result.push(plain[i] ?? 0);
    else {
      const decimal = /^\d{3}/.exec(String.fromCharCode(...plain.subarray(i + 1, i + 4)))?.[0];
      if (decimal !== undefined && Number(decimal) > 255) {
        throw new FormatError(`expected a byte after \\, not ${decimal}`);
      }
      result.push(decimal === undefined ? plain[i + 1] ?? 92 : Number(decimal));
      i += decimal === undefined ? 1 : 3;
    }
  }
  return Uint8Array.from(result);
}

function quote(data: Uint8Array): string {
  const parts = Array.from(data, (byte) => {
    if (byte === 34 || byte === 92) return `\\${String.fromCharCode(byte)}`;
    return byte < 32 || byte > 126 ? `\\${byte.toString().padStart(3, "0")}` : String.fromCharCode(byte);
  });
  return `"${parts.join("")}"`;
}
