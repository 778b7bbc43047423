/**
 * Domain names.
 *
 * A name is a string in presentation format (RFC 1035 §5.1), always absolute: `www.example.com.`, and `.` for the root.
 * Special bytes are escaped, as `\.` or `\200`, always in the same way: so a name can hold any byte, and two strings are the same
 * name only if they differ in nothing but the case of their letters.
 *
 * @module
 */

/** Bytes or text that do not have the form that RFC 1035 describes. */
export class FormatError extends Error {}

/** The limits of RFC 1035 §2.3.4, in bytes. A name's length counts the length byte of each label and of the root. */
export const MAX_LABEL = 63;
export const MAX_NAME = 255;

/** How each byte of a label is written: special characters behind a backslash, bytes that are not graphic ASCII as `\DDD`. */
export const escapes: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  if (byte < 33 || byte > 126) return `\\${byte.toString().padStart(3, "0")}`;
  return '.\\"();@$'.includes(char) ? `\\${char}` : char;
});

/** The byte that the escape at `at` stands for, `\.` or `\200`, and where the escape ends. NaN or more than 255: not a byte. */
export function unescapeAt(text: string, at: number): { byte: number; end: number } {
  const decimal = /^\d{3}/.exec(text.slice(at + 1, at + 4))?.[0];
  if (decimal !== undefined) return { byte: Number(decimal), end: at + 4 };
  return { byte: text.charCodeAt(at + 1), end: at + 2 };
}

/** The labels of a name as arrays of bytes. @throws {FormatError} when it is not a name. */
export function parseName(name: string): number[][] {
  if (name === ".") return [];
  const labels: number[][] = [];
  let label: number[] = [];
  let size = 1; // of the whole name: the root's length byte
  for (let i = 0; i < name.length;) {
    if (name[i] === ".") {
      if (label.length === 0) throw new FormatError(`${name}: an empty label`);
      labels.push(label);
      label = [];
      i += 1;
      continue;
    }
    const { byte, end } = name[i] === "\\" ? unescapeAt(name, i) : { byte: name.charCodeAt(i), end: i + 1 };
    const isDecimal = end === i + 4;
    if (byte > 127 && !isDecimal) {
      throw new FormatError(`${name}: expected ASCII: write an A-label (xn--..., RFC 5891), or each byte as \\DDD`);
    }
    if (!(byte < 256)) throw new FormatError(`${name}: expected a byte behind a backslash`);
    size += label.length === 0 ? 2 : 1; // a label's first byte has the length byte before it
    label.push(byte);
    if (label.length > MAX_LABEL) throw new FormatError(`${name}: a label longer than ${MAX_LABEL} bytes`);
    if (size > MAX_NAME) throw new FormatError(`${name}: longer than ${MAX_NAME} bytes`);
    i = end;
  }
  if (label.length > 0) throw new FormatError(`${name}: no dot at the end`);
  return labels;
}

/** Labels as a name in presentation format. */
export function formatName(labels: readonly (readonly number[])[]): string {
  if (labels.length === 0) return ".";
  return labels.map((label) => label.map((byte) => escapes[byte]).join("") + ".").join("");
}

const DOT = ".".charCodeAt(0);
const BACKSLASH = "\\".charCodeAt(0);

/** Writes a name as it is in a message, without compression: labels behind their lengths, and an empty one. Returns its length. */
export function toWire(name: string, target: Uint8Array): number {
  let lengthAt = 0;
  let at = 1;
  for (let i = name === "." ? 1 : 0; i < name.length;) {
    const code = name.charCodeAt(i);
    if (code === DOT) {
      target[lengthAt] = at - lengthAt - 1;
      lengthAt = at++;
      i += 1;
    } else if (code === BACKSLASH) {
      const { byte, end } = unescapeAt(name, i);
      target[at++] = byte;
      i = end;
    } else {
      target[at++] = code;
      i += 1;
    }
  }
  target[lengthAt] = 0;
  return at;
}

/** The canonical form, for comparing names: ASCII letters in lower case (RFC 4343). */
export const canonicalName = (name: string): string => name.toLowerCase();

/** The name without its first label; `undefined` for the root. */
export function parentName(name: string): string | undefined {
  if (name === ".") return undefined;
  let dot = name.indexOf(".");
  const escape = name.indexOf("\\");
  if (escape >= 0 && escape < dot) {
    dot = escape;
    // A character behind a backslash is no dot between labels. Of "\DDD" this skips one digit; the others are no dots either.
    while (dot < name.length && name[dot] !== ".") dot += name[dot] === "\\" ? 2 : 1;
  }
  return dot < 0 || dot >= name.length ? undefined : name.slice(dot + 1) || ".";
}

/** Whether `name` is `zone` or below it. Both are in canonical form. */
export function isSubdomain(name: string, zone: string): boolean {
  if (zone === "." || name === zone) return true;
  if (!name.endsWith(zone)) return false;
  if (!name.includes("\\")) return name[name.length - zone.length - 1] === ".";
  const prefix = name.slice(0, -zone.length);
  // The dot before the zone's name must separate two labels. Behind an odd number of backslashes it is an escaped one.
  const backslashes = /\\+(?=\.$)/.exec(prefix)?.[0].length ?? 0;
  return prefix.endsWith(".") && backslashes % 2 === 0;
}
