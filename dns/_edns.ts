/**
 * The OPT record, which extends the header of a message: EDNS(0) (RFC 6891).
 *
 * @module
 */
import type { ResourceRecord } from "./_record.ts";
import { types } from "./_record_types.ts";
import type { Writer } from "./_wire.ts";

/** What the OPT record says about its sender (RFC 6891 §6.1). */
export interface Edns {
  /** The largest UDP payload that the sender accepts. */
  readonly size: number;
  readonly version: number;
  /** The sender wants DNSSEC records. */
  readonly dnssecOk: boolean;
}

/** The bytes of an OPT record without options. */
export const OPT_SIZE = 11;

/** What an OPT record says: its class and TTL have another meaning than those of other records. */
export function readOpt(opt: ResourceRecord): Edns {
  return { size: opt.class, version: opt.ttl >>> 16 & 255, dnssecOk: (opt.ttl & 0x8000) !== 0 };
}

/** Why an OPT record does not have the form of RFC 6891 §6.1.2; `undefined` when it has. */
export function findOptFault({ name, data: [options] }: ResourceRecord): string | undefined {
  if (name !== ".") return "an OPT record with an owner";
  if (!(options instanceof Uint8Array)) return "an OPT record without data";
  let at = 0; // each option is a code, a length, and as many bytes
  while (at + 4 <= options.length) at += 4 + ((options[at + 2] ?? 0) << 8 | (options[at + 3] ?? 0));
  return at === options.length ? undefined : "an option that runs over the end of the OPT record";
}

/** Writes an OPT record without options. `rcode` is the whole response code: its upper bits are here. */
export function writeOpt(writer: Writer, { size, version, dnssecOk }: Edns, rcode: number): void {
  writer.name(".");
  writer.u16(types.OPT);
  writer.u16(size); // in place of the class
  writer.u32((rcode >>> 4 << 24 | version << 16 | Number(dnssecOk) << 15) >>> 0); // in place of the TTL
  writer.u16(0);
}
