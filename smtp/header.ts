/**
 * What a server looks at in a mail, and what it adds to it: the trace fields of RFC 5321 §4.4.
 *
 * @module
 */
import { decodeWords } from "npm:postal-mime@4";
import type { Envelope } from "./session.ts";

/**
 * The fields that a server puts in front of a mail: who it was from, whom it was for, and how it came. The client's own name
 * is what it said, the address in brackets what is known.
 */
export function receivedFields({ from, to, helo, protocol }: Envelope, address: string, name: string): Uint8Array {
  const literal = address.includes(":") ? `IPv6:${address}` : address;
  const only = to.length === 1 ? `\r\n\tfor <${to[0]}>` : ""; // of several, none (RFC 5321 §4.4)
  const date = new Date().toUTCString().replace("GMT", "+0000");
  return new TextEncoder().encode(
    `Return-Path: <${from}>\r\n` + to.map((mailbox) => `Delivered-To: ${mailbox}\r\n`).join("") +
      `Received: from ${helo} ([${literal}])\r\n\tby ${name} with ${protocol}${only};\r\n\t${date}\r\n`,
  );
}

/** The first bytes of a mail. */
export class Excerpt {
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];
  #left: number;

  constructor(readonly most: number) {
    this.#left = most;
  }

  add(content: Uint8Array): void {
    if (this.#left === 0) return;
    const part = content.slice(0, this.#left);
    this.#parts.push(part);
    this.#left -= part.length;
  }

  lines(): string[] {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const text = this.#parts.map((part) => decoder.decode(part, { stream: true })).join("");
    const lines = text.replace(/\r\n$/, "").split("\r\n");
    return this.#left === 0 ? [...lines, "…"] : lines;
  }

  /** The subject, with its folds and its encoded words (RFC 2047) undone. */
  subject(): string {
    const lines = this.lines();
    const header = lines.slice(0, Math.max(0, lines.indexOf(""))).join("\r\n").replace(/\r\n(?=[ \t])/g, "");
    const [, subject = "no subject"] = /^Subject:[ \t]*(.*)$/im.exec(header) ?? [];
    return decodeWords(subject);
  }
}
