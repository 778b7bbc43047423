/**
 * A DNS message taken apart, field by field, with the offset of each: for `--trace`.
 *
 * @module
 */
import { rcodeName } from "./message.ts";
import { printData, readData, typeName } from "./record.ts";
import { FormatError, Reader } from "./wire.ts";

/** The fields of a message, a line each; where it is broken the last line says so. */
export function dissect(bytes: Uint8Array): string {
  const reader = new Reader(bytes);
  const lines: string[] = [];
  const line = (at: number, text: string) => lines.push(`    ${at.toString().padStart(4)}  ${text}`);
  const field = <T>(read: () => T, print: (value: T) => string): T => {
    const at = reader.offset;
    const value = read();
    line(at, print(value));
    return value;
  };
  const u16 = (what: string, print = (value: number) => `${value}`) =>
    field(() => reader.u16(), (value) => `${what} ${print(value)}`);
  const type = () => u16("type", typeName);
  const class_ = () => u16("class", (value) => value === 1 ? "IN" : `${value}`);

  try {
    u16("id", (id) => `0x${id.toString(16).padStart(4, "0")}`);
    u16("flags", (bits) => {
      const names = [[15, "QR"], [10, "AA"], [9, "TC"], [8, "RD"], [7, "RA"], [5, "AD"], [4, "CD"]] as const;
      const set = names.filter(([bit]) => bits >>> bit & 1).map(([, name]) => name).join(" ");
      return `0x${bits.toString(16).padStart(4, "0")}  ${set || "-"}  opcode ${bits >>> 11 & 15}  ${
        rcodeName(bits & 15)
      }`;
    });
    const questions = u16("questions");
    const counts = ["answers", "authority", "additional"].map((name) => [name, u16(name)] as const);
    for (let i = 0; i < questions; i++) {
      field(() => reader.name(), (name) => `question ${name}`);
      type();
      class_();
    }
    for (const [section, count] of counts) {
      for (let i = 0; i < count; i++) {
        field(() => reader.name(), (name) => `${section} ${name}`);
        const number = type();
        if (number === 41) {
          u16("UDP payload size");
          field(
            () => reader.u32(),
            (ttl) => `extended rcode ${ttl >>> 24}, version ${ttl >>> 16 & 255}, flags ${ttl & 0xffff}`,
          );
        } else {
          class_();
          field(() => reader.u32(), (ttl) => `ttl ${ttl} s`);
        }
        const end = u16("length") + reader.offset;
        const at = reader.offset;
        const data = number === 41 ? [reader.take(end - at)] : readData(reader, number, end);
        if (end > at) line(at, `data ${printData(number, data)}`);
      }
    }
    if (reader.offset < bytes.length) line(reader.offset, `${bytes.length - reader.offset} bytes after the message`);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    line(reader.offset, `broken: ${error.message}`);
  }
  return lines.join("\n");
}
