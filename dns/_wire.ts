/**
 * The bytes of a DNS message: reading with every offset checked, writing with name compression (RFC 1035 §4.1.4).
 *
 * @module
 */
import { canonicalName, escapes, FormatError, MAX_LABEL, MAX_NAME, parseName, unescapeAt } from "./_name.ts";

/** A message that is longer than its length over TCP can say (RFC 1035 §4.2.2). */
export class TooLong extends FormatError {}

/** The first byte of a pointer has its two highest bits set; its other 14 bits are the offset. */
const POINTER = 0xc0;
const MAX_POINTER = 0x3fff;
const DOT = ".".charCodeAt(0);
const BACKSLASH = "\\".charCodeAt(0);

/** Reads a message from its first byte to its last. All methods throw a `FormatError` beyond the end. */
export class Reader {
  readonly bytes: Uint8Array;
  readonly #compressed: boolean;
  offset = 0;

  /** `compressed`: whether a name may have pointers. */
  constructor(bytes: Uint8Array, compressed = true) {
    this.bytes = bytes;
    this.#compressed = compressed;
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

  /** The next `length` bytes: a view, not a copy. */
  take(length: number): Uint8Array {
    const end = this.offset + length;
    if (length < 0) throw new FormatError(`the data of a record ends before byte ${this.offset}`);
    if (end > this.bytes.length) throw new FormatError(`the message ends at byte ${this.bytes.length}, before ${end}`);
    const part = this.bytes.subarray(this.offset, end);
    this.offset = end;
    return part;
  }

  /** A name. Each pointer must point before the target of the previous one, so there can be no loop. */
  name(): string {
    const codes: number[] = []; // character codes: a string built by concatenation is slow as a Map key
    let at = this.offset;
    let lowest = at; // a pointer must lead before this byte
    let end: number | undefined; // where the name ends here: behind its first pointer
    let size = 1;
    for (let length = this.#nameByte(at); length !== 0; length = this.#nameByte(at)) {
      if (length >= POINTER) {
        if (!this.#compressed) throw new FormatError("expected a name without compression");
        const target = (length & 0x3f) << 8 | this.#nameByte(at + 1);
        if (target >= lowest) throw new FormatError(`the pointer at byte ${at} does not lead backward`);
        end ??= at + 2;
        at = lowest = target;
        continue;
      }
      if (length > MAX_LABEL) throw new FormatError(`byte ${at} is neither the length of a label nor a pointer`);
      size += length + 1;
      if (size > MAX_NAME) throw new FormatError(`a name is longer than ${MAX_NAME} bytes`);
      for (let i = at + 1; i <= at + length; i++) this.#pushEscaped(codes, this.#nameByte(i));
      codes.push(DOT);
      at += length + 1;
    }
    this.offset = end ?? at + 1;
    return codes.length === 0 ? "." : String.fromCharCode.apply(null, codes);
  }

  #nameByte(at: number): number {
    const byte = this.bytes[at];
    if (byte === undefined) throw new FormatError("a name runs over the end of the message");
    return byte;
  }

  #pushEscaped(codes: number[], byte: number): void {
    const text = escapes[byte] ?? "";
    if (text.length === 1) codes.push(byte);
    else for (const char of text) codes.push(char.charCodeAt(0));
  }
}

/** Writes a message into `buffer`. */
export class Writer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #compresses: boolean;
  /** Where each name stands that was written, and each name that is its end, in canonical form. */
  readonly #offsets = new Map<string, number>();
  /** How many bytes have been written. */
  length = 0;

  /** The default buffer has room for the longest message. `compresses`: whether a name may have pointers. */
  constructor(buffer: Uint8Array<ArrayBuffer> = new Uint8Array(65535), compresses = true) {
    this.#bytes = buffer;
    this.#compresses = compresses;
  }

  /** A copy of what has been written. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.length);
  }

  u8(value: number): void {
    this.#checkRoom(1);
    this.#bytes[this.length++] = value;
  }

  u16(value: number): void {
    this.u8(value >>> 8);
    this.u8(value);
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value);
  }

  put(data: Uint8Array): void {
    this.#checkRoom(data.length);
    this.#bytes.set(data, this.length);
    this.length += data.length;
  }

  /** Writes a 16-bit value over an earlier one. */
  setU16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  /** Drops what was written after `length`. */
  truncate(length: number): void {
    this.length = length;
    for (const [name, offset] of this.#offsets) if (offset >= length) this.#offsets.delete(name);
  }

  /**
   * Writes a name label by label. As soon as the rest of it already stands in the message, a pointer to that place ends it,
   * unless `compress` is false.
   */
  name(name: string, compress = true): void {
    if (name === ".") return this.u8(0);
    if (name.length >= MAX_NAME) parseName(name); // throws when it is too long
    const canonical = canonicalName(name);
    for (let start = 0; start < name.length;) {
      if (this.#compresses) {
        const rest = canonical.slice(start);
        const offset = this.#offsets.get(rest);
        if (offset !== undefined && compress) return this.u16(POINTER << 8 | offset);
        if (offset === undefined && this.length <= MAX_POINTER) this.#offsets.set(rest, this.length);
      }
      start = this.#label(name, start);
    }
    this.u8(0);
  }

  /** Writes the label of `name` that begins at `start`, and returns where the next one begins. */
  #label(name: string, start: number): number {
    const lengthAt = this.length;
    this.u8(0); // the length, not known yet
    let at = start;
    for (let code = name.charCodeAt(at); code !== DOT; code = name.charCodeAt(at)) {
      let byte = code;
      let end = at + 1;
      if (code === BACKSLASH) ({ byte, end } = unescapeAt(name, at));
      if (!(byte < 256)) throw new FormatError(`${name}: not a name`); // NaN: the last label has no dot behind it
      this.u8(byte);
      at = end;
    }
    const length = this.length - lengthAt - 1;
    if (length < 1 || length > MAX_LABEL) throw new FormatError(`${name}: not a name`);
    this.#bytes[lengthAt] = length;
    return at + 1;
  }

  #checkRoom(size: number): void {
    // Without this check, a Uint8Array ignores what is written behind its end.
    if (this.length + size > this.#bytes.length) throw new TooLong(`a message longer than ${this.#bytes.length} bytes`);
  }
}
