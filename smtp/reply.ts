/**
 * Replies: three digits, an enhanced status code, and text, in one line or several (RFC 5321 §4.2, RFC 2034).
 *
 * @module
 */

/** A reply of a server. */
export interface Reply {
  /** 2xx done, 3xx go on, 4xx not now, 5xx not at all. */
  readonly code: number;
  /** The enhanced status code, such as `5.1.1` (RFC 3463); "" where there is none. */
  readonly enhanced: string;
  readonly lines: readonly string[];
}

/** What is no reply. */
export class ReplyError extends Error {}

/** The longest reply line, and how many lines a reply may have. RFC 5321 §4.5.3.1.5 says 512 octets; servers say more. */
export const REPLY = { line: 4096, lines: 200 };

/** The bytes of a reply. Controls in its text are left out: what a client said may be told back in it. */
export function writeReply({ code, enhanced, lines }: Reply): Uint8Array<ArrayBuffer> {
  // deno-lint-ignore no-control-regex -- a line end would start another reply
  const clean = lines.map((line) => line.replace(/[\0-\x1f\x7f]/g, "?"));
  const text = clean.map((line, i) =>
    `${code}${i < lines.length - 1 ? "-" : " "}${enhanced && `${enhanced} `}${line}\r\n`
  );
  return new TextEncoder().encode(text.join(""));
}

/** Puts the lines of replies together as they come. */
export class ReplyParser {
  #rest = "";
  #lines: string[] = [];
  #code = "";
  readonly #decoder = new TextDecoder();

  /**
   * Takes the bytes that came next; returns the replies that are complete.
   *
   * @throws {ReplyError} on what is no reply, or too long for one.
   */
  push(bytes: Uint8Array): Reply[] {
    const replies: Reply[] = [];
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    while (true) {
      const end = this.#rest.indexOf("\n");
      if ((end < 0 ? this.#rest.length : end) > REPLY.line) throw new ReplyError("a reply line without end");
      if (end < 0) return replies;
      const line = this.#rest.slice(0, end).replace(/\r$/, "");
      this.#rest = this.#rest.slice(end + 1);
      const [, code = "", more, text = ""] = /^([2-5]\d\d)(?:([ -])(.*))?$/s.exec(line) ?? [];
      if (code === "" || (this.#code !== "" && code !== this.#code)) {
        throw new ReplyError(`no reply: ${line.slice(0, 100)}`);
      }
      this.#code = code;
      if (this.#lines.push(text) > REPLY.lines) throw new ReplyError("a reply without end");
      if (more === "-") continue;
      const enhanced = /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(this.#lines[0] ?? "")?.[1] ?? "";
      const strip = (line: string) =>
        enhanced && line.startsWith(enhanced) ? line.slice(enhanced.length).trimStart() : line;
      replies.push({ code: Number(code), enhanced, lines: this.#lines.map(strip) });
      [this.#lines, this.#code] = [[], ""];
    }
  }

  /** Whether something has come that is not yet a whole reply. */
  get pending(): boolean {
    return this.#rest !== "" || this.#lines.length > 0;
  }
}
