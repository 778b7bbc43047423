/**
 * What a message says, in a few words.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { plainText } from "../../tcp/_trace_event.ts";

/** The first line of a text, or the first bytes. */
export function words(data: Uint8Array): string {
  if (data.length === 0) return "";
  const part = data.subarray(0, 80);
  const text = plainText(part, data.length > part.length);
  if (text === undefined) return part.subarray(0, 12).toHex().replace(/..(?=.)/g, "$& ");
  const [line = ""] = text.split(/\r?\n/);
  const shown = printable(line);
  return line.length < text.trimEnd().length || data.length > part.length ? `${shown}…` : shown;
}
