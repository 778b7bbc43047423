import { Failure, parseHost, printable } from "../cli.ts";
import type { Question } from "./_message.ts";
import { FormatError } from "./_name.ts";
import { toAbsolute } from "./_presentation.ts";
import { classes, typeNumber } from "./_record_types.ts";
import { reverseName } from "./_reverse_name.ts";

/**
 * The question that the arguments of a command ask: for the addresses (A) of a name, for the name (PTR) of an address, or for
 * the type that the second argument names.
 *
 * @throws {Failure} with code 2 when they are not a name and a type.
 */
export function parseQuestion(args: readonly string[]): Question {
  const [name, ...more] = args;
  if (name === undefined || more.length > 1) {
    throw new Failure("give one name and at most one type, for example: www.example.com MX", 2);
  }
  const reverse = reverseName(name);
  const [typeWord = reverse ? "PTR" : "A"] = more;
  const type = typeNumber(typeWord);
  if (type === undefined) throw new Failure(`there is no type ${printable(typeWord)}`, 2);
  try {
    return { name: toAbsolute(reverse ?? toAscii(name), "."), type, class: classes.IN };
  } catch (error) {
    if (error instanceof FormatError) throw new Failure(printable(error.message), 2);
    throw error;
  }
}

/** The name as DNS has it: letters beyond ASCII become an A-label, `xn--...` (RFC 5891). */
function toAscii(name: string): string {
  if (name === "@") return "\\@"; // only a zone file has an origin
  if (/^[ -~]*$/.test(name)) return name;
  try {
    return parseHost(name);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return name; // `toAbsolute` says what is wrong
  }
}
