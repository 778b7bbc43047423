/**
 * Master files, the text form of a zone (RFC 1035 §5): `$ORIGIN`, `$TTL` (RFC 2308 §4), `@`, relative names, parentheses,
 * comments, quoted strings, and an owner or a TTL left out.
 *
 * @module
 */
import { IN } from "./message.ts";
import { absolute, parseData, parseTtl, type ResourceRecord, typeNumber, type Word } from "./record.ts";
import { FormatError } from "./wire.ts";

/** What is wrong with a master file, and in which line. */
export class ZoneError extends Error {
  constructor(readonly line: number, message: string) {
    super(message);
  }
}

/** One entry: its words, the line it begins on, and whether that begins with a space, for then it has no owner. */
interface Entry {
  readonly words: Word[];
  readonly line: number;
  readonly indented: boolean;
}

/** Splits a file into entries: a line each, or several within parentheses. */
function* entries(text: string): Generator<Entry> {
  // Space, then a comment, a parenthesis, a quoted string, a word (or key="value"), a line end, or none of these.
  const token =
    /[^\S\n]*(?:;[^\n]*|([()])|"((?:[^"\\]|\\[^])*)"|((?:[^\s;()"\\]|\\[^])+(?:"(?:[^"\\]|\\[^])*")?)|(\n)|$|(.))/gsy;
  let words: Word[] = [];
  let line = 1;
  let start = 1;
  let depth = 0;
  let indented = false;
  let fresh = true;
  while (token.lastIndex < text.length) {
    const [whole = "", parenthesis, quoted, plain, newline, wrong] = token.exec(text) ?? [];
    if (wrong !== undefined) {
      throw new ZoneError(line, wrong === '"' ? "a quoted string has no end" : `unexpected ${wrong}`);
    }
    if (fresh && newline === undefined) {
      indented = /^\s/.test(whole);
      start = line;
      fresh = false;
    }
    if (parenthesis === "(") depth++;
    else if (parenthesis === ")" && --depth < 0) throw new ZoneError(line, "a ) without a (");
    else if (quoted !== undefined) words.push({ text: quoted, quoted: true });
    else if (plain !== undefined) words.push({ text: plain, quoted: false });
    if (newline !== undefined) line++;
    else if (quoted?.includes("\n") || plain?.includes("\n")) line += whole.split("\n").length - 1;
    if (newline === undefined || depth > 0) continue;
    if (words.length > 0) yield { words, line: start, indented };
    words = [];
    fresh = true;
  }
  if (depth > 0) throw new ZoneError(start, "a ( without a )");
  if (words.length > 0) yield { words, line: start, indented };
}

/**
 * Reads the records of a master file, in their order, each with its line.
 *
 * @throws {ZoneError} with the line, and what was expected there.
 */
export function parseMasterFile(text: string): { record: ResourceRecord; line: number }[] {
  const records: { record: ResourceRecord; line: number }[] = [];
  let origin: string | undefined;
  let defaultTtl: number | undefined;
  let owner: string | undefined;
  let lastTtl: number | undefined;

  for (const { words, line, indented } of entries(text)) {
    try {
      const directive = !indented && words[0]?.text.startsWith("$") ? words[0].text.toUpperCase() : undefined;
      if (directive === "$ORIGIN") {
        origin = absolute(words[1]?.text ?? "", origin ?? ".");
        continue;
      }
      if (directive === "$TTL") {
        defaultTtl = parseTtl(words[1]?.text ?? "");
        continue;
      }
      if (directive !== undefined) {
        throw new FormatError(`expected $ORIGIN, $TTL or a record, not ${words[0]?.text}`);
      }
      if (!indented) {
        const name = words.shift()?.text ?? "";
        if (origin === undefined && !name.endsWith(".")) {
          throw new FormatError(`expected $ORIGIN before the name ${name}`);
        }
        owner = absolute(name, origin ?? ".");
      }
      if (owner === undefined) throw new FormatError("expected a name: there is none before it to repeat");

      // TTL and class come in either order, and either may be left out.
      let ttl: number | undefined;
      for (let seen = 0; seen < 2 && words[0]; seen++) {
        if (/^\d/.test(words[0].text)) ttl = parseTtl(words.shift()?.text ?? "");
        else if (/^(IN|CH|HS|CS)$/i.test(words[0].text)) {
          if (!/^IN$/i.test(words[0].text)) throw new FormatError(`expected class IN, not ${words[0].text}`);
          words.shift();
        }
      }
      const word = words.shift()?.text;
      const type = word === undefined ? undefined : typeNumber(word);
      if (type === undefined) {
        throw new FormatError(`expected a type of record${word === undefined ? "" : `, not ${word}`}`);
      }
      const data = parseData(type, words, origin ?? ".");
      // RFC 1035 had the TTL of the record before as the default; $TTL is newer, and what an SOA record says serves if all
      // else is missing.
      const [, , , , , , minimum] = word?.toUpperCase() === "SOA" ? data : [];
      ttl ??= defaultTtl ?? lastTtl ?? (typeof minimum === "number" ? minimum : undefined);
      if (ttl === undefined) throw new FormatError("expected a TTL: there is no $TTL and no record before");
      lastTtl = ttl;
      records.push({ record: { name: owner, type, class: IN, ttl, data }, line });
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new ZoneError(line, error.message);
    }
  }
  return records;
}
