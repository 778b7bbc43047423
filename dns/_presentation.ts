/**
 * The presentation format: names, times and character strings as a zone file has them (RFC 1035 §5.1).
 *
 * @module
 */
import { canonicalName, FormatError, formatName, MAX_LABEL, parseName, unescapeAt } from "./_name.ts";

/**
 * A name of a zone file made absolute, with each byte written as in a name that was read from a message; `@` is the origin.
 *
 * @throws {FormatError} when it is not a name.
 */
export function toAbsolute(name: string, origin: string): string {
  if (name === "@") return origin;
  if (name === "") throw new FormatError("expected a name, not an empty word");
  // Most names are one plain label, and this test is quick. The origin has its final form already.
  if (name.length + origin.length < 200 && plainLabel.test(name)) return `${name}.${origin === "." ? "" : origin}`;
  const whole = endsWithDot(name) ? name : `${name}.${origin === "." ? "" : origin}`;
  // Most names are plain, and this test is quick. Any other is parsed: `\097` and `a` must become the same name.
  const isPlain = whole.length < 200 && plainName.test(whole);
  return isPlain ? whole : formatName(parseName(whole));
}

const plainLabel = new RegExp(`^[\\w*-]{1,${MAX_LABEL}}$`);
const plainName = new RegExp(`^(?:[\\w*-]{1,${MAX_LABEL}}\\.)+$`);

/** Whether a name ends with a dot that is not escaped. */
function endsWithDot(name: string): boolean {
  return name.includes("\\") ? /(^|[^\\])(\\\\)*\.$/.test(name) : name.endsWith(".");
}

const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** A time to live: seconds, or with units as in `1h30m` (an extension that every server has). */
export function parseTtl(word: string): number {
  const text = canonicalName(word);
  let total = 0;
  for (const [, number, unit] of text.matchAll(/(\d+)([smhdw]?)/g)) total += Number(number) * (units[unit || "s"] ?? 1);
  if (/^(\d+[smhdw]?)+$/.test(text) && total < 2 ** 31) return total;
  throw new FormatError(`expected a time in seconds, not ${word}`);
}

/** The bytes of a word, its escapes replaced. */
export function unescapeText(word: string): Uint8Array {
  const plain = new TextEncoder().encode(word);
  if (!word.includes("\\")) return plain;
  // One character a byte, so that the offsets are those of the bytes.
  const characters = Array.from(plain, (byte) => String.fromCharCode(byte)).join("");
  const bytes: number[] = [];
  for (let i = 0; i < characters.length;) {
    if (characters[i] !== "\\" || i + 1 === characters.length) bytes.push(characters.charCodeAt(i++));
    else {
      const { byte, end } = unescapeAt(characters, i);
      if (byte > 255) throw new FormatError(`expected a byte after \\, not ${byte}`);
      bytes.push(byte);
      i = end;
    }
  }
  return Uint8Array.from(bytes);
}

/** Bytes as a word without quotes. */
export function printBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => {
    const isPlain = byte > 32 && byte < 127 && !'"\\;()'.includes(String.fromCharCode(byte));
    return isPlain ? String.fromCharCode(byte) : `\\${byte.toString().padStart(3, "0")}`;
  }).join("");
}

/** Bytes as a character string in quotes. */
export function quoteText(bytes: Uint8Array): string {
  const characters = Array.from(bytes, (byte) => {
    if (byte === 34 || byte === 92) return `\\${String.fromCharCode(byte)}`;
    return byte < 32 || byte > 126 ? `\\${byte.toString().padStart(3, "0")}` : String.fromCharCode(byte);
  });
  return `"${characters.join("")}"`;
}
