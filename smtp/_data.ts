/**
 * The content of a mail on the wire: a line with a single dot ends it, and any other line that starts with a dot gets a second
 * one (dot-stuffing, RFC 5321 §4.5.2).
 *
 * @module
 */

const CR = 13;
const LF = 10;
const DOT = 46;

/** The longest line of a mail, without its CR LF (RFC 5321 §4.5.3.1.6). */
export const TEXT_LINE = 998;

/** What is wrong with a content: a CR or an LF alone ("bare"), or a line that is too long ("long"). */
export type Fault = "bare" | "long";

/**
 * Reads the content of a mail from the bytes of a connection, and removes the doubled dots.
 *
 * Only CR LF `.` CR LF ends it. If one server passes LF `.` LF on and the next one takes it for the end, the next one reads
 * the rest as commands (SMTP smuggling). So a CR or an LF alone is a fault of the whole mail, which is reported at its end.
 */
export class DataDecoder {
  /** Where the next byte belongs: to the text of a line, its start, behind a dot there, behind a CR, or behind the end. */
  #state: "line start" | "dot" | "dot CR" | "text" | "CR" | "end" = "line start";
  #lineLength = 0;
  /** Bytes of content so far. */
  size = 0;
  /** The first fault so far. */
  fault: Fault | undefined;
  readonly #maxLine: number;

  /** `maxLine`: the longest line, without its CR LF. */
  constructor(maxLine = TEXT_LINE) {
    this.#maxLine = maxLine;
  }

  get done(): boolean {
    return this.#state === "end";
  }

  /** Decodes bytes and passes the content to `onData`. Returns how many of them belong to the mail: all, until it ends. */
  push(bytes: Uint8Array, onData: (content: Uint8Array) => void): number {
    let from = 0; // where the content that is not yet passed on begins
    const pass = (content: Uint8Array) => {
      this.size += content.length;
      if (content.length > 0) onData(content);
    };
    let at = 0;
    // Each step takes a byte, or only changes the state; then the next step takes it.
    while (at < bytes.length) {
      const byte = bytes[at];
      switch (this.#state) {
        case "line start":
          this.#lineLength = 0;
          this.#state = "text";
          if (byte !== DOT) break;
          pass(bytes.subarray(from, at)); // the dot itself is never content: the client has added it, or it ends the mail
          from = ++at;
          this.#state = "dot";
          break;
        case "dot":
          this.#state = "text";
          if (byte !== CR) break;
          from = ++at;
          this.#state = "dot CR";
          break;
        case "dot CR":
          if (byte === LF) {
            this.#state = "end";
            return at + 1;
          }
          pass(Uint8Array.of(CR)); // the mail goes on: the CR was content, though a faulty one
          this.#state = "CR";
          break;
        case "CR":
          if (byte === LF) at++;
          else this.fault ??= "bare";
          this.#state = byte === LF ? "line start" : "text";
          break;
        case "text": {
          const end = endOfText(bytes, at);
          this.#lineLength += end - at;
          if (this.#lineLength > this.#maxLine) this.fault ??= "long";
          at = end;
          if (at === bytes.length) break;
          // A bare LF does not start a line, so a dot behind it cannot end the mail.
          if (bytes[at++] === CR) this.#state = "CR";
          else this.fault ??= "bare";
        }
      }
    }
    pass(bytes.subarray(from));
    return bytes.length;
  }
}

/** Where the next CR or LF is, or the end of `bytes`. A loop: for lines as short as those of mails it beats `indexOf`. */
function endOfText(bytes: Uint8Array, at: number): number {
  while (at < bytes.length && bytes[at] !== CR && bytes[at] !== LF) at++;
  return at;
}

/**
 * Encodes a content for the wire: doubles the dots, adds the line that ends it, and turns every kind of line end into CR LF.
 *
 * ```ts
 * encodeData(new TextEncoder().encode(".\r\n")); // "..\r\n.\r\n"
 * ```
 */
export function encodeData(content: Uint8Array): Uint8Array<ArrayBuffer> {
  // Room for the most: a line end or a dot in place of each byte, and the end. Pages that are not written take no memory.
  const wire = new Uint8Array(2 * content.length + 5);
  let to = 0;
  let start = true;
  for (let at = 0; at < content.length; at++) {
    const byte = content[at] ?? 0;
    if (byte === CR || byte === LF) {
      if (byte === CR && content[at + 1] === LF) at++;
      wire[to++] = CR;
      wire[to++] = LF;
      start = true;
      continue;
    }
    if (start && byte === DOT) wire[to++] = DOT;
    wire[to++] = byte;
    start = false;
  }
  if (!start) {
    wire[to++] = CR;
    wire[to++] = LF;
  }
  wire.set([DOT, CR, LF], to);
  return wire.subarray(0, to + 3);
}
