/**
 * Prints the response to a query, as `dig` does.
 *
 * @module
 */
import { count, printable } from "../cli.ts";
import { type Message, rcodeName, rcodes } from "./_message.ts";
import type { QueryResult } from "./_exchange.ts";
import { printData, type ResourceRecord } from "./_record.ts";
import { className, typeName } from "./_record_types.ts";
import type { ZoneTransfer } from "./_transfer.ts";

const flagNames = ["qr", "aa", "tc", "rd", "ra", "ad", "cd"] as const;

/** Prints a whole response and how it came; `server` is HOST:PORT. */
export function printResponse({ message, size, extra, time, transport }: QueryResult, server: string): void {
  const { id, flags, questions, answers, authority, additional, edns, tsig } = message;
  const set = flagNames.filter((name) => flags[name]);
  console.log(`;; ${rcodeName(flags.rcode)}, id ${id}, flags ${set.join(" ")}, opcode ${flags.opcode}`);
  if (edns) console.log(`;; EDNS version ${edns.version}, UDP payload ${edns.size}${edns.dnssecOk ? ", DO" : ""}`);
  for (const { name, type } of questions) console.log(`;; question: ${printable(name)} ${typeName(type)}`);
  if (extra > 0) console.log(`;; warning: ${count(extra, "byte")} after the end of the message`);
  printSection("answer", answers);
  printSection("authority", authority);
  printSection("additional", tsig ? [...additional, tsig] : additional);
  console.log(`\n;; ${size} bytes from ${server} over ${transport} in ${time.toFixed(2)} ms`);
}

function printSection(title: string, records: readonly ResourceRecord[]): void {
  if (records.length === 0) return;
  console.log(`\n;; ${title}`);
  for (const record of records) console.log(formatRecord(record));
}

/** A record as a line of a zone file. */
function formatRecord({ name, ttl, class: class_, type, data }: ResourceRecord): string {
  const kind = `${className(class_)} ${typeName(type).padEnd(6)}`;
  return printable(`${name.padEnd(24)} ${String(ttl).padEnd(7)} ${kind} ${printData(type, data)}`);
}

/** Prints a whole response as one JSON object; names and data are texts, as in a zone file. */
export function printJson({ message, size, extra, time, transport }: QueryResult, server: string): void {
  const { id, flags: { rcode, opcode }, questions, answers, authority, additional, edns, tsig } = message;
  const records = (list: readonly ResourceRecord[]) => list.map(recordAsJson);
  const response = {
    ...{ server, transport, milliseconds: Math.round(time * 100) / 100, bytes: size, bytesAfterMessage: extra },
    ...{ id, rcode: rcodeName(rcode), opcode, flags: flagNames.filter((name) => message.flags[name]) },
    edns: edns ? { version: edns.version, payload: edns.size, dnssecOk: edns.dnssecOk } : null,
    question: questions.map(({ name, type, class: class_ }) => (
      { name, class: className(class_), type: typeName(type) }
    )),
    answer: records(answers),
    authority: records(authority),
    additional: records(tsig ? [...additional, tsig] : additional),
  };
  console.log(JSON.stringify(response, null, 2));
}

const recordAsJson = ({ name, ttl, class: class_, type, data }: ResourceRecord) => (
  { name, ttl, class: className(class_), type: typeName(type), data: printData(type, data) }
);

/** Prints the records of a zone as they come: as a zone file, their data alone, or as one JSON object. */
export async function printZone(
  transfer: ZoneTransfer,
  parts: AsyncIterable<readonly ResourceRecord[]>,
  { short, json }: { short: boolean; json: boolean },
): Promise<void> {
  const start = performance.now();
  const format = (record: ResourceRecord) =>
    json
      ? JSON.stringify(recordAsJson(record))
      : short
      ? printable(printData(record.type, record.data))
      : formatRecord(record);
  let isFirst = true;
  for await (const records of parts) {
    const lines = records.map(format);
    if (json) console.log(`${isFirst ? '{"records": [' : ","}\n${lines.join(",\n")}`);
    else console.log(lines.join("\n"));
    isFirst = false;
  }
  const time = performance.now() - start;
  const { messages, bytes } = transfer;
  if (json) {
    console.log(`],\n${JSON.stringify({ messages, bytes, milliseconds: Math.round(time * 100) / 100 }).slice(1)}`);
  } else if (!short) {
    const size = `${count(transfer.records, "record")} in ${count(messages, "message")}, ${count(bytes, "byte")}`;
    console.log(`\n;; ${size}, over TCP in ${time.toFixed(2)} ms`);
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
