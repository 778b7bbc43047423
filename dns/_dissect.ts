/**
 * Shows a DNS message field by field, each with its offset: for `--trace`.
 *
 * @module
 */
import { count, type TraceForm } from "../cli.ts";
import { decode, rcodeName } from "./_message.ts";
import { FormatError } from "./_name.ts";
import { printData, readData } from "./_record.ts";
import { className, typeName, types } from "./_record_types.ts";
import { Reader } from "./_wire.ts";

/** Shows the fields of a message on stderr, with `--trace` as text. */
export function showFields(packet: Uint8Array, trace: TraceForm): void {
  if (trace === "text") console.error(dissect(packet));
}

/** A field of a message, and its bytes: from `start` to before `end`. */
export interface Field {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The fields of a message, a line each. Where the message is broken, the last line says so. */
export const dissect = (bytes: Uint8Array): string =>
  fieldsOf(bytes).map(({ start, text }) => `    ${start.toString().padStart(4)}  ${text}`).join("\n");

/** The fields of a message, in their order. Where the message is broken, the last one says so. */
export function fieldsOf(bytes: Uint8Array): Field[] {
  const dissection = new Dissection(bytes);
  try {
    dissection.message();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    dissection.add(dissection.reader.offset, `broken: ${error.message}`);
  }
  return dissection.fields;
}

/** A message in a few words: its question, and for a response its code and how many answers it has. */
export function summary(packet: Uint8Array): string {
  try {
    const { flags, questions: [question], answers } = decode(packet);
    const asked = question ? `${question.name} ${typeName(question.type)}` : "no question";
    return flags.qr ? `${rcodeName(flags.rcode)}, ${count(answers.length, "answer")}: ${asked}` : `${asked}?`;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return `broken: ${error.message}`;
  }
}

const flagNames = [[15, "QR"], [10, "AA"], [9, "TC"], [8, "RD"], [7, "RA"], [5, "AD"], [4, "CD"]] as const;

class Dissection {
  readonly reader: Reader;
  readonly fields: Field[] = [];

  constructor(bytes: Uint8Array) {
    this.reader = new Reader(bytes);
  }

  /** Adds a field that has been read to its end. */
  add(start: number, text: string, end = this.reader.offset): void {
    const last = this.reader.bytes.length; // a reader that has failed stands behind it
    this.fields.push({ start: Math.min(start, last), end: Math.min(end, last), text });
  }

  message(): void {
    this.#u16((id) => `id 0x${hex4(id)}`);
    this.#u16((bits) => {
      const set = flagNames.filter(([bit]) => bits >>> bit & 1).map(([, name]) => name).join(" ");
      return `flags 0x${hex4(bits)}  ${set || "-"}  opcode ${bits >>> 11 & 15}  ${rcodeName(bits & 15)}`;
    });
    const questions = this.#u16((n) => `questions ${n}`);
    const answers = this.#u16((n) => `answers ${n}`);
    const authority = this.#u16((n) => `authority ${n}`);
    const additional = this.#u16((n) => `additional ${n}`);
    for (let i = 0; i < questions; i++) this.#question();
    for (let i = 0; i < answers; i++) this.#record("answers");
    for (let i = 0; i < authority; i++) this.#record("authority");
    for (let i = 0; i < additional; i++) this.#record("additional");
    const { bytes, offset } = this.reader;
    if (offset < bytes.length) this.add(offset, `${bytes.length - offset} bytes after the message`, bytes.length);
  }

  #question(): void {
    this.#name("question");
    this.#u16((type) => `type ${typeName(type)}`);
    this.#class();
  }

  #record(section: string): void {
    this.#name(section);
    const type = this.#u16((type) => `type ${typeName(type)}`);
    if (type === types.OPT) {
      this.#u16((size) => `UDP payload size ${size}`);
      this.#u32((n) => `extended rcode ${n >>> 24}, version ${n >>> 16 & 255}, flags ${n & 0xffff}`);
    } else {
      this.#class();
      this.#u32((ttl) => `ttl ${ttl} s`);
    }
    const length = this.#u16((n) => `length ${n}`);
    const start = this.reader.offset;
    const end = start + length;
    const data = type === types.OPT ? [this.reader.take(length)] : readData(this.reader, type, end);
    if (length > 0) this.add(start, `data ${printData(type, data)}`);
  }

  #class(): void {
    this.#u16((value) => `class ${className(value)}`);
  }

  #name(what: string): void {
    const { offset } = this.reader;
    this.add(offset, `${what} ${this.reader.name()}`);
  }

  #u16(print: (value: number) => string): number {
    const { offset } = this.reader;
    const value = this.reader.u16();
    this.add(offset, print(value));
    return value;
  }

  #u32(print: (value: number) => string): void {
    const { offset } = this.reader;
    this.add(offset, print(this.reader.u32()));
  }
}

const hex4 = (value: number) => value.toString(16).padStart(4, "0");
