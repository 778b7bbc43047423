/**
 * Master files, the text form of a zone (RFC 1035 §5): `$ORIGIN`, `$INCLUDE`, `$TTL` (RFC 2308 §4), `$GENERATE`, `@`,
 * relative names, parentheses, comments, quoted strings, and records that repeat the previous owner or TTL.
 *
 * @module
 */
import type { Word } from "./_field.ts";
import { generate } from "./_generate.ts";
import { FormatError } from "./_name.ts";
import { parseTtl, toAbsolute } from "./_presentation.ts";
import { parseData, type ResourceRecord } from "./_record.ts";
import { classes, isDataType, typeNumber, types } from "./_record_types.ts";

/** What is wrong with a master file, and in which line. `file` is the included file; "" is the zone's own. */
export class ZoneError extends Error {
  constructor(readonly line: number, message: string, readonly file = "") {
    super(message);
  }
}

/** A record of a master file, and the line it begins on. `file` is the included file; "" is the zone's own. */
export interface Entry {
  readonly record: ResourceRecord;
  readonly line: number;
  readonly file: string;
}

/** A file that `$INCLUDE` names. */
export interface IncludedFile {
  readonly file: string;
  readonly text: string;
}

/** Reads the file that an `$INCLUDE` in `from` names. @throws {FormatError} that says why it cannot. */
export type Include = (name: string, from: string) => IncludedFile;

/** Files within files, and files in all: one that includes itself must have an end. */
const MAX_DEPTH = 10;
const MAX_FILES = 1000;

/** For a zone that is in no file. */
export const noInclude: Include = (name) => {
  throw new FormatError(`expected no $INCLUDE of ${name}: this zone is not in a file`);
};

/** Reads the records of a master file, in their order. @throws {ZoneError} as `readMasterFile` does. */
export function parseMasterFile(text: string, include: Include = noInclude): Entry[] {
  const entries: Entry[] = [];
  readMasterFile(text, include, (record, line, file) => entries.push({ record, line, file }));
  return entries;
}

/**
 * Calls `add` for each record of a master file, in their order, as soon as it is read: a list of a million of them would cost
 * more than they do.
 *
 * @throws {ZoneError} with the line, and what was expected there.
 */
export function readMasterFile(
  text: string,
  include: Include,
  add: (record: ResourceRecord, line: number, file: string) => void,
): void {
  let files = 0;
  const parse = ({ text, file }: IncludedFile, parser: EntryParser, depth: number) => {
    if (++files > MAX_FILES || depth > MAX_DEPTH) {
      throw new FormatError(`expected at most ${MAX_FILES} included files, ${MAX_DEPTH} within each other`);
    }
    for (const { words, line, indented } of splitLines(text, file)) {
      try {
        const directive = indented ? "" : parser.directive(words);
        if (directive === "$INCLUDE") {
          // Nothing in the file changes what follows: it has its own origin, owner and TTL (RFC 1035 §5.1).
          const { name, inner } = parser.forInclude(words);
          parse(include(name, file), inner, depth + 1);
        } else if (directive === "$GENERATE") {
          for (const each of generate(words[1]?.text ?? "", words.slice(2))) {
            add(parser.parse(each, false), line, file);
          }
        } else if (directive === "") {
          add(parser.parse(words, indented), line, file);
        }
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        throw new ZoneError(line, error.message, file);
      }
    }
  };
  parse({ text, file: "" }, new EntryParser(), 0);
}

/** The words of one line, or of several lines within parentheses. */
interface Line {
  readonly words: Word[];
  /** The number of its first line. */
  readonly line: number;
  /** Whether it begins with a space: then it repeats the previous owner. */
  readonly indented: boolean;
}

// These match at `lastIndex` only. In all of them, a backslash takes away the meaning of the character behind it.
const quotedWord = /"(?:[^"\\]|\\[^])*"/y;
const plainWord = /(?:[^\s;()"\\]|\\[^])+(?:"(?:[^"\\]|\\[^])*")?/y; // also key="value", for SVCB
const comment = /[^\n]*/y;

/** Splits a file into the words of its lines. Empty lines are left out. */
function* splitLines(text: string, file: string): Generator<Line> {
  let number = 1;
  let depth = 0; // of parentheses
  let line: Line = { words: [], line: number, indented: isSpace(text, 0) };
  let at = 0;
  while (at < text.length) {
    // Most lines are plain: this takes a third of the time that the general way below needs for them.
    const end = depth === 0 && line.words.length === 0 && !line.indented ? lineEnd(text, at) : -1;
    const words = end < 0 ? undefined : plainWords(text, at, end);
    if (words) {
      if (words.length > 0) yield { words, line: number, indented: false };
      at = end + 1;
      number += 1;
      line = { words: [], line: number, indented: isSpace(text, at) };
      continue;
    }
    const start = at;
    const char = text[at];
    if (char === "\n") {
      at += 1;
      number += 1;
      if (depth > 0) continue;
      if (line.words.length > 0) yield line;
      line = { words: [], line: number, indented: isSpace(text, at) };
    } else if (isSpace(text, at)) {
      at += 1;
    } else if (char === ";") {
      at = matchEnd(comment, text, at);
    } else if (char === "(") {
      at += 1;
      depth += 1;
    } else if (char === ")") {
      at += 1;
      depth -= 1;
      if (depth < 0) throw new ZoneError(number, "a ) without a (", file);
    } else if (char === '"') {
      at = matchEnd(quotedWord, text, at);
      if (at === 0) throw new ZoneError(number, "a quoted string has no end", file);
      const word = text.slice(start + 1, at - 1);
      line.words.push({ text: word, quoted: true });
      number += lineEnds(word);
    } else {
      at = matchEnd(plainWord, text, at);
      if (at === 0) throw new ZoneError(number, `unexpected ${char}`, file); // a backslash at the end of the file
      const word = text.slice(start, at);
      line.words.push({ text: word, quoted: false });
      number += lineEnds(word);
    }
  }
  if (depth > 0) throw new ZoneError(line.line, "a ( without a )", file);
  if (line.words.length > 0) yield line;
}

/** Where the line ends that `at` is in: at its line end, or at the end of the text. */
function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}

/** The words of a line without quotes, parentheses, comments, backslashes and uncommon characters; `undefined` for others. */
function plainWords(text: string, from: number, end: number): Word[] | undefined {
  const words: Word[] = [];
  let start = -1; // of the word
  for (let at = from; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === 32 || code === 9 || code === 13) {
      if (start >= 0) words.push({ text: text.slice(start, at), quoted: false });
      start = -1;
    } else if (code < 32 || code > 126 || code === 34 || code === 40 || code === 41 || code === 59 || code === 92) {
      return undefined; // a control, no ASCII, or one of "();\\
    } else if (start < 0) start = at;
  }
  if (start >= 0) words.push({ text: text.slice(start, end), quoted: false });
  return words;
}

/** Whether the character at `at` is a space other than a line end. */
function isSpace(text: string, at: number): boolean {
  const char = text[at];
  return char === " " || char === "\t" || char === "\r" || (char !== undefined && char !== "\n" && /\s/.test(char));
}

/** Where the match that begins at `at` ends; 0 when there is none. */
function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : 0;
}

const lineEnds = (word: string) => word.includes("\n") ? word.split("\n").length - 1 : 0;

/** Parses entries one after another: each may take its owner and its TTL from those before it. */
class EntryParser {
  #origin: string | undefined;
  #defaultTtl: number | undefined;
  #previousOwner: string | undefined;
  #previousTtl: number | undefined;

  /** The directive that these words are, `$ORIGIN` and `$TTL` already followed; "" when they are a record. */
  directive(words: readonly Word[]): string {
    const [first, value, ...rest] = words;
    if (first === undefined || first.quoted || !first.text.startsWith("$")) return "";
    const name = first.text.toUpperCase();
    if (name === "$INCLUDE" || name === "$GENERATE") return name;
    if (name !== "$ORIGIN" && name !== "$TTL") {
      throw new FormatError(`expected $ORIGIN, $TTL, $INCLUDE, $GENERATE or a record, not ${first.text}`);
    }
    if (rest[0]) throw new FormatError(`expected the end of the line, not ${rest[0].text}`);
    if (name === "$ORIGIN") this.#origin = toAbsolute(value?.text ?? "", this.#origin ?? ".");
    else this.#defaultTtl = parseTtl(value?.text ?? "");
    return name;
  }

  /** The file that `$INCLUDE FILE [ORIGIN]` names, and a parser for it. */
  forInclude([, name, origin, ...rest]: readonly Word[]): { name: string; inner: EntryParser } {
    if (name === undefined || name.text === "") throw new FormatError("expected a file after $INCLUDE");
    if (rest[0]) throw new FormatError(`expected the end of the line, not ${rest[0].text}`);
    const inner = new EntryParser();
    inner.#origin = origin ? toAbsolute(origin.text, this.#origin ?? ".") : this.#origin;
    inner.#defaultTtl = this.#defaultTtl;
    inner.#previousOwner = this.#previousOwner;
    inner.#previousTtl = this.#previousTtl;
    return { name: name.text, inner };
  }

  /** Parses one record. @throws {FormatError} that says what was expected. */
  parse(words: Word[], indented: boolean): ResourceRecord {
    const name = indented ? this.#previousOwner : this.#owner(words);
    if (name === undefined) {
      throw new FormatError("expected a name: there is no previous record whose name this line could repeat");
    }
    this.#previousOwner = name;
    const givenTtl = this.#ttlAndClass(words);
    const type = this.#type(words);
    const data = parseData(type, words, this.#origin ?? ".");

    // The default TTL is $TTL (RFC 2308 §4), else that of the previous record (RFC 1035 §5.1), else the SOA's MINIMUM.
    const ttl = givenTtl ?? this.#defaultTtl ?? this.#previousTtl ?? soaMinimum(type, data);
    if (ttl === undefined) throw new FormatError("expected a TTL: there is no $TTL and no previous record");
    this.#previousTtl = ttl;
    return { name, type, class: classes.IN, ttl, data };
  }

  #owner(words: Word[]): string {
    const name = words.shift()?.text ?? "";
    if (this.#origin === undefined && !name.endsWith(".")) {
      throw new FormatError(`expected $ORIGIN before the name ${name}`);
    }
    return toAbsolute(name, this.#origin ?? ".");
  }

  /** Takes the TTL and the class off the list. They come in either order, and both are optional. Returns the TTL. */
  #ttlAndClass(words: Word[]): number | undefined {
    let ttl: number | undefined;
    for (let i = 0; i < 2; i++) {
      const word = words[0]?.text ?? "";
      if (!/^[\dchi]/i.test(word)) return ttl; // as most types
      if (/^\d/.test(word)) ttl = parseTtl(word);
      else if (/^(CH|HS|CS|CLASS(?!1$)\d+)$/i.test(word)) throw new FormatError(`expected class IN, not ${word}`);
      else if (!/^(IN|CLASS1)$/i.test(word)) return ttl;
      words.shift();
    }
    return ttl;
  }

  #type(words: Word[]): number {
    const word = words.shift()?.text;
    if (word === undefined) throw new FormatError("expected a type of record");
    const type = typeNumber(word);
    if (type === undefined) {
      throw new FormatError(`expected a type of record, not ${word}: TYPE and its number stand for any other type`);
    }
    if (!isDataType(type)) throw new FormatError(`expected a type that a zone may have, not ${word}`);
    return type;
  }
}

/** The last field of an SOA record; `undefined` for other types. */
function soaMinimum(type: number, data: ResourceRecord["data"]): number | undefined {
  const minimum = type === types.SOA ? data[6] : undefined;
  return typeof minimum === "number" ? minimum : undefined;
}
