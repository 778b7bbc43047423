/**
 * `$GENERATE`, which many servers know from BIND: one line of a master file that stands for many records.
 *
 * `$GENERATE 1-3 host$ A 192.0.2.$` means host1, host2 and host3. `${OFFSET,WIDTH,BASE}` adds to the number, and writes it
 * with leading zeros, as decimal (d), octal (o), hexadecimal (x, X), or as the labels of an ip6.arpa name (n, N).
 *
 * @module
 */
import type { Word } from "./_field.ts";
import { FormatError } from "./_name.ts";

/** The most records that one line may stand for. */
const MAX_RECORDS = 65_536;

/** The words of each record that a `$GENERATE` line stands for. `range` is START-STOP or START-STOP/STEP. */
export function* generate(range: string, words: readonly Word[]): Generator<Word[]> {
  const [start = NaN, stop = NaN, step = 1] = /^(\d{1,10})-(\d{1,10})(?:\/(\d{1,10}))?$/.exec(range)?.slice(1)
    .map((part) => part === undefined ? undefined : Number(part)) ?? [];
  if (!(start <= stop) || step < 1) throw new FormatError(`expected START-STOP or START-STOP/STEP, not ${range}`);
  if ((stop - start) / step >= MAX_RECORDS) {
    throw new FormatError(`expected at most ${MAX_RECORDS} records, not ${range}`);
  }
  for (let number = start; number <= stop; number += step) {
    yield words.map(({ text, quoted }) => ({ text: substitute(text, number), quoted }));
  }
}

/** Replaces each `$` and `${...}`; `$$`, and `\$` once its escape is read, is a dollar sign. */
function substitute(text: string, number: number): string {
  return text.replace(/\\[^]|\$\$|\$\{([^}]*)\}|\$/g, (all, modifiers?: string) => {
    if (all.startsWith("\\")) return all;
    if (all === "$$") return "\\$";
    return modifiers === undefined ? `${number}` : format(number, modifiers);
  });
}

/** A number as `OFFSET,WIDTH,BASE` say. */
function format(number: number, modifiers: string): string {
  const [, offset, width = "0", base = "d"] = /^(-?\d{1,10})(?:,(\d{1,3})(?:,([doxXnN]))?)?$/.exec(modifiers) ?? [];
  const value = number + Number(offset);
  if (offset === undefined || value < 0 || Number(width) > 255) {
    throw new FormatError(`expected \${OFFSET,WIDTH,BASE}, and a number from 0, not \${${modifiers}}`);
  }
  const digits = value.toString(base === "d" ? 10 : base === "o" ? 8 : 16);
  const inCase = base === "X" || base === "N" ? digits.toUpperCase() : digits;
  if (base !== "n" && base !== "N") return inCase.padStart(Number(width), "0");
  // The last digit comes first, and the width counts the dots.
  const labels = inCase.padStart(Math.ceil(Number(width) / 2), "0").split("").reverse().join(".");
  return labels.length < Number(width) ? `${labels}.` : labels;
}
