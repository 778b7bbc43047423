/**
 * A command line: how long it may be, and its text.
 *
 * @module
 */

/** The longest command line with its CR LF, and the longest in an AUTH exchange (RFC 5321 §4.5.3.1.4, RFC 4954 §4). */
export const COMMAND_LINE = { plain: 2048, auth: 12_288 };

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes a command line. Returns `undefined` if it is not UTF-8 or contains a control character other than a tab. */
export function decodeLine(line: Uint8Array): string | undefined {
  try {
    const text = utf8.decode(line);
    return /(?!\t)\p{Cc}/u.test(text) ? undefined : text; // none of them has a meaning in a command
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}
