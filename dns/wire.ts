/**
 * The bytes of a DNS message: reading with every offset checked, writing with name compression (RFC 1035 §4.1.4).
 *
 * A domain name is a string in presentation form (RFC 1035 §5.1), always absolute: `www.example.com.`, and `.` for the root.
 * Bytes that are not plain stand as `\.` or `\200`, so that a name holds any byte and any string is one name only.
 *
 * @module
 */

/** A message that is not of the form that RFC 1035 describes. */
export class FormatError extends Error {}

/** More than a message can hold (RFC 1035 §4.2.2). */
export class TooLong extends FormatError {}

/** How a byte of a label is written: special characters behind a backslash, others than graphic ASCII as `\DDD`. */
const escapes = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  if (byte < 33 || byte > 126) return `\\${byte.toString().padStart(3, "0")}`;
  return '.\\"();@$'.includes(char) ? `\\${char}` : char;
});

/** The labels of a name as arrays of bytes. @throws {FormatError} when it is not a name, or too long (RFC 1035 §2.3.4). */
export function labels(name: string): number[][] {
  if (name === ".") return [];
  const result: number[][] = [];
  let label: number[] = [];
  let total = 1;
  for (let i = 0; i < name.length; i++) {
    let byte = name.charCodeAt(i);
    if (byte === 46) {
      if (label.length === 0) throw new FormatError(`${name}: an empty label`);
      result.push(label);
      label = [];
      continue;
    }
    if (byte === 92) {
      const decimal = /^\d{3}/.exec(name.slice(i + 1, i + 4))?.[0];
      byte = decimal === undefined ? name.charCodeAt(++i) : Number(decimal);
      if (decimal !== undefined) i += 3;
    }
    if (!(byte < 256)) throw new FormatError(`${name}: a character that is not one byte`);
    if (label.push(byte) > 63) throw new FormatError(`${name}: a label longer than 63 bytes`);
    if ((total += label.length === 1 ? 2 : 1) > 255) throw new FormatError(`${name}: longer than 255 bytes`);
  }
  if (label.length > 0) throw new FormatError(`${name}: no dot at the end`);
  return result;
}

/** Labels as a name. */
export function nameOf(parts: readonly (readonly number[])[]): string {
  return parts.length === 0 ? "." : parts.map((label) => label.map((byte) => escapes[byte]).join("") + ".").join("");
}

/** The form by which two names are the same: letters of ASCII in lower case (RFC 4343). */
export const same = (name: string): string => name.toLowerCase();

/** The name without its first label; `undefined` for the root. */
export function parent(name: string): string | undefined {
  if (name === ".") return undefined;
  let dot = name.indexOf(".");
  const escape = name.indexOf("\\");
  if (escape >= 0 && escape < dot) {
    for (dot = escape; dot < name.length && name[dot] !== "."; dot++) {
      if (name[dot] === "\\") dot++; // of "\DDD" this leaves two digits, which are no dots
    }
  }
  return dot < 0 || dot >= name.length ? undefined : name.slice(dot + 1) || ".";
}

/** Whether `name` is `zone` or below it; both in the form of `same`. */
export function isWithin(name: string, zone: string): boolean {
  if (zone === "." || name === zone) return true;
  if (!name.endsWith(zone)) return false;
  const before = name.slice(0, -zone.length);
  // The dot before must be one between labels, not an escaped one.
  return before.endsWith(".") && (/\\+(?=\.$)/.exec(before)?.[0].length ?? 0) % 2 === 0;
}

/** Reads a message from its first byte to its last. All methods throw a `FormatError` beyond the end. */
export class Reader {
  readonly bytes: Uint8Array;
  offset = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  u8(): number {
    const byte = this.bytes[this.offset++];
    if (byte === undefined) {
      throw new FormatError(`the message ends at byte ${this.bytes.length}, in the middle of a field`);
    }
    return byte;
  }

  u16(): number {
    return this.u8() << 8 | this.u8();
  }

  u32(): number {
    return this.u16() * 65536 + this.u16();
  }

  take(length: number): Uint8Array {
    const end = this.offset + length;
    if (end > this.bytes.length) throw new FormatError(`the message ends at byte ${this.bytes.length}, before ${end}`);
    const part = this.bytes.subarray(this.offset, end);
    this.offset = end;
    return part;
  }

  /**
   * A name. A pointer must lead to before where the pointers so far have led: so there can be no loop, however long the
   * chain, and no way forward.
   */
  name(): string {
    let at = this.offset;
    let limit = at;
    let after: number | undefined;
    const codes: number[] = []; // of the characters: strings put together piece by piece are slow to look up later
    let total = 1;
    while (true) {
      const length = this.bytes[at];
      if (length === undefined) throw new FormatError(`a name runs over the end of the message`);
      if (length === 0) break;
      if (length >= 192) {
        const low = this.bytes[at + 1];
        if (low === undefined) throw new FormatError(`a pointer runs over the end of the message`);
        const target = (length & 63) << 8 | low;
        after ??= at + 2;
        if (target >= limit) throw new FormatError(`the pointer at byte ${at} does not lead backward`);
        at = limit = target;
        continue;
      }
      if (length > 63) throw new FormatError(`byte ${at} is neither the length of a label nor a pointer`);
      if ((total += length + 1) > 255) throw new FormatError(`a name is longer than 255 bytes`);
      if (at + length >= this.bytes.length) throw new FormatError(`a label runs over the end of the message`);
      for (let i = at + 1; i <= at + length; i++) {
        const byte = this.bytes[i] ?? 0;
        const escaped = escapes[byte];
        if (escaped?.length === 1) codes.push(byte);
        else for (const char of escaped ?? "") codes.push(char.charCodeAt(0));
      }
      codes.push(46);
      at += length + 1;
    }
    this.offset = after ?? at + 1;
    return codes.length === 0 ? "." : String.fromCharCode.apply(null, codes);
  }
}

/** Writes a message into `buffer`, or a larger one as needed, of 65,535 bytes at most (RFC 1035 §4.2.2). */
export class Writer {
  #bytes: Uint8Array<ArrayBuffer>;
  /** Where names stand, and the ends of names, as `same` has them. */
  readonly #names = new Map<string, number>();
  /** A name whose ends are not in `#names` yet: most messages hold one name, and that several times. */
  #last: { readonly name: string; readonly at: number } | undefined;
  length = 0;

  constructor(buffer = new Uint8Array(512)) {
    this.#bytes = buffer;
  }

  /** What has been written, or its first part. */
  bytes(length = this.length): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, length);
  }

  #room(more: number): void {
    if (this.length + more > 65535) throw new TooLong("a message longer than 65535 bytes");
    if (this.length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.min(65535, 2 * (this.length + more)));
    larger.set(this.#bytes.subarray(0, this.length));
    this.#bytes = larger;
  }

  u8(value: number): void {
    this.#room(1);
    this.#bytes[this.length++] = value;
  }

  u16(value: number): void {
    this.#room(2);
    this.#bytes[this.length++] = value >>> 8;
    this.#bytes[this.length++] = value;
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  put(data: ArrayLike<number>): void {
    this.#room(data.length);
    this.#bytes.set(data, this.length);
    this.length += data.length;
  }

  /** Writes a 16-bit value over an earlier one. */
  set16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  /** Forgets what was written after `length`, the names in it too. */
  cut(length: number): void {
    this.length = length;
    this.#rememberEnds();
    for (const [name, at] of this.#names) if (at >= length) this.#names.delete(name);
  }

  /** A name; unless `compress` is false its end may be a pointer to where the same labels stand already. */
  name(name: string, compress = true): void {
    if (name.includes("\\") || name.length > 200) return this.#escapedName(name, compress);
    if (name === ".") return this.u8(0);
    const lower = same(name);
    const at = this.length;
    const whole = compress ? this.#names.get(lower) : undefined;
    if (whole !== undefined) return this.u16(0xc000 | whole);
    this.#rememberEnds();
    let end: number | undefined;
    for (let start = 0; start < name.length && end === undefined; start++) {
      const dot = name.indexOf(".", start);
      const length = dot - start;
      if (length < 1 || length > 63) throw new FormatError(`${name}: not a name`);
      this.#room(length + 1);
      this.#bytes[this.length++] = length;
      for (; start < dot; start++) this.#bytes[this.length++] = name.charCodeAt(start);
      if (compress) end = this.#names.get(lower.slice(dot + 1));
    }
    if (end === undefined) this.u8(0);
    else this.u16(0xc000 | end);
    this.#remember(lower, at);
    this.#last = { name: lower, at };
  }

  /** What stands beyond 14 bits cannot be pointed to. */
  #remember(name: string, at: number): void {
    if (at < 0x4000 && !this.#names.has(name)) this.#names.set(name, at);
  }

  #rememberEnds(): void {
    if (!this.#last) return;
    const { name, at } = this.#last;
    for (let dot = name.indexOf("."); dot < name.length - 1; dot = name.indexOf(".", dot + 1)) {
      this.#remember(name.slice(dot + 1), at + dot + 1);
    }
    this.#last = undefined;
  }

  /** The same for a name that holds other bytes than plain ones, or is so long that it may be too long. */
  #escapedName(name: string, compress: boolean): void {
    this.#rememberEnds();
    let rest = same(name);
    for (const label of labels(name)) {
      const at = compress ? this.#names.get(rest) : undefined;
      if (at !== undefined) return this.u16(0xc000 | at);
      this.#remember(rest, this.length);
      this.u8(label.length);
      this.put(label);
      rest = parent(rest) ?? ".";
    }
    this.u8(0);
  }
}
