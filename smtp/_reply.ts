/**
 * Replies: three digits, an enhanced status code, and text, in one line or several (RFC 5321 §4.2, RFC 2034).
 *
 * @module
 */

export interface Reply {
  /** 2yz success, 3yz continue, 4yz temporary failure, 5yz permanent failure (RFC 5321 §4.2.1). */
  readonly code: number;
  /** The enhanced status code, such as `5.1.1` (RFC 3463); "" if there is none. */
  readonly enhanced: string;
  readonly lines: readonly string[];
}

/** The bytes are not a reply. */
export class ReplyError extends Error {}

/** The longest reply line, and the most lines of a reply. RFC 5321 §4.5.3.1.5 allows 512 octets; servers send longer ones. */
export const REPLY = { line: 4096, lines: 200 };

/** The longest text of a reply line that is sent: with its code and CR LF it stays under 512 octets. */
const TEXT = 480;

/** Encodes replies. Their text may quote the client: control characters become `?`, and a long text is cut. */
export function encodeReplies(...replies: Reply[]): Uint8Array<ArrayBuffer> {
  const lines = replies.flatMap(({ code, enhanced, lines }) =>
    lines.map((line, i) => {
      const clean = line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?"); // a line end would start another reply
      return `${code}${i < lines.length - 1 ? "-" : " "}${enhanced && `${enhanced} `}${cut(clean)}\r\n`;
    })
  );
  return new TextEncoder().encode(lines.join(""));
}

/** As much of a text as fits, without half a character. */
function cut(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(TEXT));
  return read < text.length ? `${text.slice(0, read)}...` : text;
}

/** Reads replies from the bytes of a connection. */
export class ReplyParser {
  #rest = "";
  #lines: string[] = [];
  #code = "";
  readonly #decoder = new TextDecoder();

  /**
   * Parses the next bytes, and returns the replies that are now complete.
   *
   * @throws {ReplyError} when the bytes are not a reply, or it is too long.
   */
  push(bytes: Uint8Array): Reply[] {
    const replies: Reply[] = [];
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    while (true) {
      const end = this.#rest.indexOf("\n");
      if ((end < 0 ? this.#rest.length : end) > REPLY.line) throw new ReplyError("a reply line is too long");
      if (end < 0) return replies;
      const line = this.#rest.slice(0, end).replace(/\r$/, "");
      this.#rest = this.#rest.slice(end + 1);
      const [, code = "", more, text = ""] = /^([2-5]\d\d)(?:([ -])(.*))?$/s.exec(line) ?? [];
      if (code === "" || (this.#code !== "" && code !== this.#code)) {
        throw new ReplyError(`not a reply: ${line.slice(0, 100)}`);
      }
      this.#code = code;
      if (this.#lines.push(text) > REPLY.lines) throw new ReplyError("a reply has too many lines");
      if (more === "-") continue;
      const enhanced = /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(this.#lines[0] ?? "")?.[1] ?? "";
      const strip = (line: string) =>
        enhanced && line.startsWith(enhanced) ? line.slice(enhanced.length).trimStart() : line;
      replies.push({ code: Number(code), enhanced, lines: this.#lines.map(strip) });
      [this.#lines, this.#code] = [[], ""];
    }
  }

  /** Whether a part of a reply has arrived. */
  get pending(): boolean {
    return this.#rest !== "" || this.#lines.length > 0;
  }
}
