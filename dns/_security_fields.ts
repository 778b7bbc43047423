/**
 * The fields of the records about keys and signatures: DNSSEC (RFC 4034), TLSA (RFC 6698), SSHFP (RFC 4255), OPENPGPKEY
 * (RFC 7929), TSIG (RFC 8945).
 *
 * @module
 */
import { asBytes, asNumber, type Field, nextWord, parseInteger, uint16, uint32, uint8, type Word } from "./_field.ts";
import { FormatError } from "./_name.ts";
import { typeName, typeNumber } from "./_record_types.ts";

/** The rest of the words as one text without spaces, which keys and signatures may have. */
function restOf(words: Word[], what: string): string {
  const text = words.splice(0).map(({ text }) => text).join("");
  if (text === "") throw new FormatError(`expected ${what}, but the record ends here`);
  return text;
}

/** The rest of the data, as hexadecimal digits. */
export const hexadecimal: Field = {
  read: (reader, end) => reader.take(end - reader.offset),
  write: (writer, value) => writer.put(asBytes(value)),
  parse(words) {
    const digits = restOf(words, "hexadecimal digits");
    if (!/^([\da-f]{2})+$/i.test(digits)) throw new FormatError(`expected pairs of hexadecimal digits, not ${digits}`);
    return Uint8Array.fromHex(digits);
  },
  print: (value) => asBytes(value).toHex(),
};

/** The rest of the data, in base64. */
export const base64: Field = {
  ...hexadecimal,
  parse(words) {
    const text = restOf(words, "base64");
    try {
      return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new FormatError(`expected base64, not ${text}`);
    }
  },
  print: (value) => asBytes(value).toBase64(),
};

/** The names of the algorithms (IANA's DNSSEC algorithm numbers). They are printed as numbers. */
const algorithms = new Map(Object.entries({
  "DSA": 3,
  "RSASHA1": 5,
  "DSA-NSEC3-SHA1": 6,
  "RSASHA1-NSEC3-SHA1": 7,
  "RSASHA256": 8,
  "RSASHA512": 10,
  "ECC-GOST": 12,
  "ECDSAP256SHA256": 13,
  "ECDSAP384SHA384": 14,
  "ED25519": 15,
  "ED448": 16,
  "PRIVATEDNS": 253,
  "PRIVATEOID": 254,
}));

/** The algorithm of a key: its number, or its name (RFC 4034 §2.2). */
export const algorithm: Field = {
  ...uint8,
  parse(words) {
    const word = nextWord(words, "an algorithm");
    return algorithms.get(word.toUpperCase()) ?? parseInteger(word, 2 ** 8);
  },
};

/** A record type: of the records that a signature is for. */
export const recordType: Field = {
  ...uint16,
  parse: (words) => parseType(nextWord(words, "a type of record")),
  print: (value) => typeName(asNumber(value)),
};

function parseType(word: string): number {
  const type = typeNumber(word);
  if (type === undefined) throw new FormatError(`expected a type of record, not ${word}`);
  return type;
}

/** A point in time: seconds since 1970, or `YYYYMMDDHHmmSS` in UTC (RFC 4034 §3.2). */
export const time: Field = {
  ...uint32,
  parse(words) {
    const word = nextWord(words, "a time");
    const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(word)?.slice(1).map(Number);
    if (!parts) return parseInteger(word, 2 ** 32);
    const [year = 0, month = 0, day, hour, minute, second] = parts;
    const seconds = Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
    if (seconds >= 0 && seconds < 2 ** 32 && printTime(seconds) === word) return seconds;
    throw new FormatError(`expected a time as YYYYMMDDHHmmSS, not ${word}`);
  },
  print: (value) => printTime(asNumber(value)),
};

const printTime = (seconds: number) => new Date(seconds * 1000).toISOString().replace(/\.000Z|\D/g, "");

/** A set of record types: windows of 256 types, each a number, a length, and a bit for each type (RFC 4034 §4.1.2). */
export const typeSet: Field = {
  read(reader, end) {
    const start = reader.offset;
    for (let previous = -1; reader.offset < end;) {
      const window = reader.u8();
      const length = reader.u8();
      if (window <= previous || length < 1 || length > 32) throw new FormatError("a set of record types is malformed");
      previous = window;
      reader.take(length);
    }
    return reader.bytes.subarray(start, reader.offset);
  },
  write: (writer, value) => writer.put(asBytes(value)),
  parse(words) {
    const numbers = words.splice(0).map(({ text }) => parseType(text));
    const bytes: number[] = [];
    for (const window of new Set(numbers.map((type) => type >> 8).sort((a, b) => a - b))) {
      const inWindow = numbers.filter((type) => type >> 8 === window).map((type) => type & 255);
      const bits = new Uint8Array((Math.max(...inWindow) >> 3) + 1);
      for (const bit of inWindow) bits[bit >> 3] = (bits[bit >> 3] ?? 0) | 0x80 >> (bit & 7);
      bytes.push(window, bits.length, ...bits);
    }
    return Uint8Array.from(bytes);
  },
  print(value) {
    const bytes = asBytes(value);
    const names: string[] = [];
    for (let at = 0; at < bytes.length; at += 2 + (bytes[at + 1] ?? 0)) {
      const bits = bytes.subarray(at + 2, at + 2 + (bytes[at + 1] ?? 0));
      for (let bit = 0; bit < bits.length * 8; bit++) {
        if ((bits[bit >> 3] ?? 0) & 0x80 >> (bit & 7)) names.push(typeName((bytes[at] ?? 0) << 8 | bit));
      }
    }
    return names.join(" ");
  },
};

const notInZones = (): never => {
  throw new FormatError("expected a record that a zone may have");
};

/** The time of TSIG: 48 bits. */
export const longTime: Field = {
  ...hexadecimal,
  read: (reader) => reader.take(6),
  parse: notInZones,
  print: (value) => `${Number(`0x${asBytes(value).toHex()}`)}`,
};

/** Bytes behind their length of 16 bits, in TSIG. */
export const sizedBytes: Field = {
  read: (reader) => reader.take(reader.u16()),
  write(writer, value) {
    writer.u16(asBytes(value).length);
    writer.put(asBytes(value));
  },
  parse: notInZones,
  print: (value) => `${asBytes(value).length} ${asBytes(value).toBase64()}`.trim(),
};
