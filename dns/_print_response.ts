/**
 * Prints the response to a query, as `dig` does.
 *
 * @module
 */
import { printable } from "../cli.ts";
import { type Message, rcodeName, rcodes } from "./_message.ts";
import type { QueryResult } from "./_query_message.ts";
import { printData, type ResourceRecord } from "./_record.ts";
import { typeName } from "./_record_types.ts";

const flagNames = ["qr", "aa", "tc", "rd", "ra", "ad", "cd"] as const;

/** Prints a whole response and how it came; `server` is HOST:PORT. */
export function printResponse({ message, size, time, transport }: QueryResult, server: string): void {
  const { id, flags, questions, answers, authority, additional, edns } = message;
  const set = flagNames.filter((name) => flags[name]);
  console.log(`;; ${rcodeName(flags.rcode)}, id ${id}, flags ${set.join(" ")}, opcode ${flags.opcode}`);
  if (edns) console.log(`;; EDNS version ${edns.version}, UDP payload ${edns.size}${edns.dnssecOk ? ", DO" : ""}`);
  for (const { name, type } of questions) console.log(`;; question: ${printable(name)} ${typeName(type)}`);
  printSection("answer", answers);
  printSection("authority", authority);
  printSection("additional", additional);
  console.log(`\n;; ${size} bytes from ${server} over ${transport} in ${time.toFixed(2)} ms`);
}

function printSection(title: string, records: readonly ResourceRecord[]): void {
  if (records.length === 0) return;
  console.log(`\n;; ${title}`);
  for (const { name, ttl, type, data } of records) {
    const fields = `${name.padEnd(24)} ${String(ttl).padEnd(7)} IN ${typeName(type).padEnd(6)} ${
      printData(type, data)
    }`;
    console.log(printable(fields));
  }
}

/** Prints only the data of the answers. */
export function printAnswers({ answers }: Message): void {
  for (const { type, data } of answers) console.log(printable(printData(type, data)));
}

/** What a response code other than NOERROR means. */
export function describeRcode(rcode: number): string {
  if (rcode === rcodes.NXDOMAIN) return "no such name (NXDOMAIN)";
  if (rcode === rcodes.REFUSED) return "the server does not answer for this name (REFUSED)";
  if (rcode === rcodes.SERVFAIL) return "the server failed to get an answer (SERVFAIL)";
  return `the server answered ${rcodeName(rcode)}`;
}
