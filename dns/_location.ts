/**
 * The data of LOC, a place on Earth (RFC 1876): `52 22 23.000 N 4 53 32.000 E -2.00m 1m 10000m 10m`.
 *
 * @module
 */
import { asBytes, type Field, nextWord, unknownData, type Word } from "./_field.ts";
import { FormatError } from "./_name.ts";

/** The equator and the meridian of Greenwich, in thousandths of a second of arc. */
const ORIGIN = 2 ** 31;
/** Altitudes are counted from 100 km below the sea, in centimetres. */
const DEPTH = 10_000_000;
/** Sizes when a zone file leaves them out, in centimetres: of the place, and the error of its position and altitude. */
const DEFAULT_SIZES = [100, 1_000_000, 1_000];

/** All the data of LOC. */
export const location: Field = {
  read(reader, end) {
    const data = reader.take(end - reader.offset);
    if (data[0] === 0 && data.length !== 16) throw new FormatError("the data of LOC does not have 16 bytes");
    return data;
  },
  write: (writer, value) => writer.put(asBytes(value)),
  parse(words) {
    const latitude = parseAngle(words, 90, "N", "S");
    const longitude = parseAngle(words, 180, "E", "W");
    const altitude = parseMetres(nextWord(words, "an altitude"), -DEPTH, 2 ** 32 - DEPTH - 1) + DEPTH;
    const sizes = DEFAULT_SIZES.map((initial) => {
      const word = words.shift()?.text;
      return encodeSize(word === undefined ? initial : parseMetres(word, 0, 9_000_000_000));
    });
    const data = new DataView(new ArrayBuffer(16));
    for (const [i, size] of sizes.entries()) data.setUint8(1 + i, size);
    for (const [i, number] of [latitude, longitude, altitude].entries()) data.setUint32(4 + 4 * i, number);
    return new Uint8Array(data.buffer);
  },
  print(value) {
    const bytes = asBytes(value);
    const sizes = [...bytes.subarray(1, 4)];
    const isKnown = bytes[0] === 0 && sizes.every((size) => size >> 4 < 10 && (size & 15) < 10);
    if (!isKnown) return unknownData.print(value); // another version of the format
    const data = new DataView(bytes.buffer, bytes.byteOffset);
    return [
      printAngle(data.getUint32(4), "N", "S"),
      printAngle(data.getUint32(8), "E", "W"),
      printMetres(data.getUint32(12) - DEPTH),
      ...sizes.map((size) => printMetres((size >> 4) * 10 ** (size & 15))),
    ].join(" ");
  },
};

/** Takes degrees, with minutes and seconds if there are any, and the direction. */
function parseAngle(words: Word[], most: number, positive: string, negative: string): number {
  const parts: number[] = [];
  const patterns = [/^\d{1,3}$/, /^[0-5]?\d$/, /^[0-5]?\d(\.\d{1,3})?$/];
  while (true) {
    const word = nextWord(words, `${positive} or ${negative}`);
    const letter = word.toUpperCase();
    if (parts.length > 0 && (letter === positive || letter === negative)) {
      const [degrees = 0, minutes = 0, seconds = 0] = parts;
      const angle = Math.round(((degrees * 60 + minutes) * 60 + seconds) * 1000);
      if (angle > most * 3_600_000) throw new FormatError(`expected at most ${most} degrees`);
      return ORIGIN + (letter === positive ? angle : -angle);
    }
    if (!patterns[parts.length]?.test(word)) {
      throw new FormatError(`expected degrees, minutes, seconds and ${positive} or ${negative}, not ${word}`);
    }
    parts.push(Number(word));
  }
}

function printAngle(value: number, positive: string, negative: string): string {
  const angle = Math.abs(value - ORIGIN);
  const [degrees, minutes] = [Math.floor(angle / 3_600_000), Math.floor(angle / 60_000) % 60];
  return `${degrees} ${minutes} ${(angle % 60_000 / 1000).toFixed(3)} ${value < ORIGIN ? negative : positive}`;
}

/** Parses metres, with an `m` behind them or not, to centimetres. */
function parseMetres(word: string, least: number, most: number): number {
  const centimetres = Math.round(Number(word.replace(/m$/i, "")) * 100);
  if (/^-?\d+(\.\d{1,2})?m?$/i.test(word) && centimetres >= least && centimetres <= most) return centimetres;
  throw new FormatError(`expected metres from ${least / 100} to ${most / 100}, not ${word}`);
}

const printMetres = (centimetres: number) =>
  `${centimetres % 100 === 0 ? centimetres / 100 : (centimetres / 100).toFixed(2)}m`;

/** A size as one digit and a power of ten, each in four bits; the other digits are lost. */
function encodeSize(centimetres: number): number {
  const exponent = Math.max(0, `${centimetres}`.length - 1);
  return Math.floor(centimetres / 10 ** exponent) << 4 | exponent;
}
