/**
 * The content of a mail on the wire: a line with a dot alone ends it, and a line that starts with a dot gets one more
 * (RFC 5321 §4.5.2).
 *
 * @module
 */

const CR = 13;
const LF = 10;
const DOT = 46;

/** The longest line of a mail, with its CR LF (RFC 5321 §4.5.3.1.6). */
export const TEXT_LINE = 1000;

/** What was wrong with a content: line ends that are not CR LF, or a line that is too long. */
export type Fault = "bare" | "long";

/**
 * Takes the content of a mail from the bytes of a connection, dots undone.
 *
 * Only CR LF `.` CR LF ends it. A server that also takes LF `.` LF for the end, behind one that does not, reads what stands
 * after it as commands: that is how mails were smuggled past servers that check them. So bare line ends are a fault of the
 * whole mail, to be refused at its true end.
 */
export class DataDecoder {
  // Where the next byte is: at the start of a line, after its dot, inside of it, after a CR; or after the end.
  #state: "start" | "dot" | "dot cr" | "line" | "cr" | "end" = "start";
  #column = 0;
  /** Bytes of content. */
  size = 0;
  fault: Fault | undefined;

  /** Whether the end has come. */
  get done(): boolean {
    return this.#state === "end";
  }

  /** Takes bytes, and passes on the content; returns how many of them belonged to it. */
  push(bytes: Uint8Array, take: (content: Uint8Array) => void): number {
    let from = 0; // what is not yet passed on
    const flush = (to: number) => {
      if (to > from) {
        this.size += to - from;
        take(bytes.subarray(from, to));
      }
    };
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "line") {
        // The quick way through the inside of a line.
        const lf = bytes.indexOf(LF, at);
        const end = lf < 0 ? bytes.length : lf;
        const cr = bytes.subarray(at, end).indexOf(CR);
        const stop = cr < 0 ? end : at + cr;
        this.#column += stop - at;
        at = stop;
        if (this.#column > TEXT_LINE - 2) this.fault ??= "long";
        if (at === bytes.length) break;
      }
      const byte = bytes[at];
      const state = this.#state;
      if (state === "dot cr") {
        if (byte === LF) {
          this.#state = "end"; // the dot was never passed on
          return at + 1;
        }
        this.fault ??= "bare";
        take(Uint8Array.of(CR)); // it was content after all; `from` is at this byte
        this.size++;
        this.#state = byte === CR ? "cr" : "line";
      } else if (state === "dot") {
        // The dot was added by the sender, and is left out, whatever follows.
        from = at;
        if (byte === CR) [this.#state, from] = ["dot cr", at + 1];
        else {
          if (byte === LF) this.fault ??= "bare";
          [this.#state, this.#column] = ["line", 1];
        }
      } else if (state === "start" && byte === DOT) {
        flush(at);
        from = at + 1;
        this.#state = "dot";
      } else if (state === "cr") {
        if (byte === LF) [this.#state, this.#column] = ["start", 0];
        else {
          this.fault ??= "bare";
          this.#state = byte === CR ? "cr" : "line";
        }
      } else if (byte === CR) this.#state = "cr";
      else if (byte === LF) {
        this.fault ??= "bare";
        [this.#state, this.#column] = ["line", 0]; // after a bare LF there is no start of a line, nor a dot that ends anything
      } else [this.#state, this.#column] = ["line", this.#state === "start" ? 1 : this.#column + 1];
      at++;
    }
    flush(bytes.length);
    return bytes.length;
  }
}

/**
 * A content as it goes over the wire: dots doubled, and the line that ends it. Line ends become CR LF, whichever they were.
 *
 * ```ts
 * encodeData(new TextEncoder().encode(".\r\n")); // "..\r\n.\r\n"
 * ```
 */
export function encodeData(content: Uint8Array): Uint8Array<ArrayBuffer> {
  let size = content.length + 5;
  for (let at = 0; at < content.length; at++) {
    if (content[at] === LF || content[at] === CR || content[at] === DOT) size++;
  }
  const wire = new Uint8Array(size);
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
