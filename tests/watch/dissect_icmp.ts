/**
 * The fields of an ICMP message, and of the request that an error quotes (RFC 792, RFC 4443).
 *
 * @module
 */
import { count } from "../../cli.ts";
import { printAddress } from "../../tcp/_address.ts";
import type { Field } from "./dissect.ts";

/** What each type is. Only 3 means something in both versions: what an error quotes says which one it is. */
const types: Readonly<Record<number, string>> = {
  ...{ 0: "echo reply", 3: "destination unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded" },
  ...{ 1: "destination unreachable", 2: "packet too big", 128: "echo request", 129: "echo reply" },
};

export function dissectIcmp(data: Uint8Array): Field[] {
  if (data.length < 8) return [{ start: 0, end: data.length, text: "broken: an ICMP message has at least 8 bytes" }];
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const type = data[0] ?? 0;
  const quoted = quotedEcho(data);
  const isV6 = quoted !== undefined && (data[8] ?? 0) >> 4 === 6;
  const name = type === 3 && isV6 ? "time exceeded" : types[type];
  const fields: Field[] = [
    { start: 0, end: 1, text: `type ${type}${name ? ` ${name}` : ""}` },
    { start: 1, end: 2, text: `code ${data[1]}` },
    { start: 2, end: 4, text: `checksum 0x${hex4(view.getUint16(2))}` },
  ];
  if ([0, 8, 128, 129].includes(type)) {
    fields.push(
      { start: 4, end: 6, text: `identifier 0x${hex4(view.getUint16(4))}` },
      { start: 6, end: 8, text: `sequence ${view.getUint16(6)}` },
    );
    if (data.length > 8) fields.push({ start: 8, end: data.length, text: `payload ${count(data.length - 8, "byte")}` });
    return fields;
  }
  fields.push({ start: 4, end: 8, text: "unused, or the size that fits" });
  if (quoted === undefined) {
    return data.length > 8 ? [...fields, { start: 8, end: data.length, text: "the packet that caused it" }] : fields;
  }
  const [ttlAt, toAt, toEnd] = isV6 ? [15, 32, 48] : [16, 24, 28];
  const inner = dissectIcmp(data.subarray(quoted)).map(({ start, end, text }) => (
    { start: quoted + start, end: quoted + end, text: `quoted ${text}` }
  ));
  return [
    ...fields,
    { start: 8, end: quoted, text: "quoted IP header" },
    { start: ttlAt, end: ttlAt + 1, text: `quoted ttl ${data[ttlAt]}` },
    { start: toAt, end: toEnd, text: `quoted destination ${printAddress(data.subarray(toAt, toEnd))}` },
    ...inner,
  ];
}

/** Where the request begins that an error quotes, behind its IP header; undefined when the message quotes none. */
export function quotedEcho(data: Uint8Array): number | undefined {
  const isError = [1, 2, 3, 11].includes(data[0] ?? 0);
  const first = data[8] ?? 0;
  const at = first >> 4 === 4 ? 8 + 4 * (first & 15) : 48;
  const protocol = first >> 4 === 4 ? data[17] === 1 : first >> 4 === 6 && data[14] === 58;
  return isError && protocol && at >= 28 && data.length >= at + 8 ? at : undefined;
}

const hex4 = (value: number) => value.toString(16).padStart(4, "0");
