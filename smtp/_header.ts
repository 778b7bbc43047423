/**
 * The header of a received mail: the fields that a server adds (RFC 5321 §4.4), and the subject for its log.
 *
 * @module
 */
import { decodeWords } from "npm:postal-mime@4";
import type { Envelope } from "./_settings.ts";

/**
 * The fields that a server writes in front of a mail: the sender, the recipients, and how it arrived. The name after `from` is
 * what the client claimed to be; the address in brackets is the real one.
 */
export function receivedFields({ from, to, helo, protocol }: Envelope, address: string, name: string): Uint8Array {
  const literal = address.includes(":") ? `IPv6:${address}` : address;
  const only = to.length === 1 ? `\r\n\tfor <${to[0]}>` : ""; // `for` names one recipient (RFC 5321 §4.4)
  const date = new Date().toUTCString().replace("GMT", "+0000");
  return new TextEncoder().encode(
    `Return-Path: <${from}>\r\n` + to.map((mailbox) => `Delivered-To: ${mailbox}\r\n`).join("") +
      `Received: from ${helo} ([${literal}])\r\n\tby ${name} with ${protocol}${only};\r\n\t${date}\r\n`,
  );
}

/** The first bytes of a mail, for the log. */
export class Excerpt {
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];
  #left: number;

  constructor(limit: number) {
    this.#left = limit;
  }

  add(content: Uint8Array): void {
    if (this.#left === 0) return;
    const part = content.slice(0, this.#left);
    this.#parts.push(part);
    this.#left -= part.length;
  }

  /** Its lines, followed by `…` if the limit is reached. */
  lines(): string[] {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const text = this.#parts.map((part) => decoder.decode(part, { stream: true })).join("");
    const lines = text.replace(/\r\n$/, "").split("\r\n");
    return this.#left === 0 ? [...lines, "…"] : lines;
  }

  /** The subject, unfolded and with its encoded words (RFC 2047) decoded. */
  subject(): string {
    const lines = this.lines();
    const header = lines.slice(0, Math.max(0, lines.indexOf(""))).join("\r\n").replace(/\r\n(?=[ \t])/g, "");
    const [, subject = "no subject"] = /^Subject:[ \t]*(.*)$/im.exec(header) ?? [];
    return decodeWords(subject);
  }
}
