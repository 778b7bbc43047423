/**
 * Takes a message apart: each field with the bytes that it stands in. The protocols' own parsers say what is right.
 *
 * A protocol that is new needs a name in `protocols`, and a row in `dissectors`.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { type Field, fieldsOf, summary } from "../../dns/_dissect.ts";
import { describe } from "../../udp/_game_message.ts";
import { dissectChat, dissectGame, dissectTftp, saysTftp } from "./dissect_datagrams.ts";
import { dissectHttp, isHttp } from "./dissect_http.ts";
import { dissectIcmp } from "./dissect_icmp.ts";
import { dissectSmtp, isSmtp } from "./dissect_smtp.ts";
import { dissectWebSocket, isUpgrade, saysWebSocket } from "./dissect_websocket.ts";

export type { Field };

/** A message, and what is known about it. */
export interface Subject {
  readonly data: Uint8Array;
  readonly transport: string;
  readonly isFromClient: boolean;
  /** The last message of the other side; empty if there is none. */
  readonly before: Uint8Array;
  /** All that its sender has sent before on this connection, for protocols whose units may begin in an earlier message. */
  readonly earlier: () => Uint8Array;
}

export const protocols = ["dns", "http", "smtp", "chat", "tftp", "game", "icmp", "websocket"] as const;
export type Protocol = typeof protocols[number];

interface Dissector {
  readonly fields: (subject: Subject) => Field[];
  /** What a message says in a few words, where it is not text; undefined where that is not known. */
  readonly says?: (subject: Subject) => string | undefined;
}

const dissectors: Readonly<Record<Protocol, Dissector>> = {
  dns: {
    fields: ({ transport, data }) => transport === "tcp" ? framed(data) : fieldsOf(data),
    says: ({ transport, data }) => summary(transport === "tcp" ? data.subarray(2) : data),
  },
  http: { fields: ({ data }) => dissectHttp(data) },
  smtp: { fields: dissectSmtp },
  chat: { fields: dissectChat },
  tftp: { fields: ({ data }) => dissectTftp(data), says: ({ data }) => saysTftp(data) },
  game: { fields: ({ data }) => dissectGame(data), says: ({ data }) => describe(data) },
  icmp: { fields: ({ data }) => dissectIcmp(data), says: () => "" }, // its note says it
  websocket: { fields: dissectWebSocket, says: saysWebSocket },
};

/** The protocol of a pair or a suite, by its name; undefined where the bytes decide. */
export function protocolOf(name: string): Protocol | undefined {
  if (name.startsWith("http:websocket")) return "websocket";
  const [, word = ""] = /^(?:udp:)?(\w+)/.exec(name.replace(/^rest:/, "http:").replace(/^ping:/, "icmp:")) ?? [];
  return protocols.find((protocol) => protocol === word);
}

/** The fields of a message; none where its protocol is not known. Without `protocol`, the bytes decide. */
export function dissect(subject: Subject, protocol = guess(subject)): Field[] {
  if (subject.data.length === 0 || protocol === undefined) return [];
  return dissectors[protocol].fields(subject);
}

/** The longest message that is put into words: longer ones are content. */
const MOST = 4096;

/** What a message says in a few words; undefined where its text or its bytes say it best. */
export function says(subject: Subject, protocol = guess(subject)): string | undefined {
  if (subject.data.length === 0 || subject.data.length > MOST || protocol === undefined) return undefined;
  return dissectors[protocol].says?.(subject);
}

function guess(subject: Subject): Protocol | undefined {
  const { transport, data } = subject;
  if (transport === "icmp") return "icmp";
  if (transport === "tcp") {
    if (isHttp(data)) return "http";
    return isUpgrade(subject.earlier()) ? "websocket" : isSmtp(subject) ? "smtp" : undefined;
  }
  const isDns = data.length >= 12 && !fieldsOf(data).some(({ text }) => /^broken|bytes after the message$/.test(text));
  return isDns ? "dns" : undefined;
}

/** DNS messages on a stream, each after its length (RFC 1035 §4.2.2). */
function framed(data: Uint8Array): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at + 2 <= data.length;) {
    const length = (data[at] ?? 0) << 8 | (data[at + 1] ?? 0);
    fields.push({ start: at, end: at + 2, text: `length ${length}` });
    at += 2;
    for (const { start, end, text } of fieldsOf(data.subarray(at, at + length))) {
      fields.push({ start: at + start, end: at + end, text });
    }
    at += length;
  }
  return fields;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A part of a text as it may be shown. */
export const textOf = (data: Uint8Array, start: number, end: number): string =>
  printable(decoder.decode(data.subarray(start, end)));

/** The lines of a text from `at`, each from its first byte to behind its line end. */
export function* linesOf(data: Uint8Array, at = 0): Generator<{ start: number; end: number; text: string }> {
  while (at < data.length) {
    const found = data.indexOf(10, at);
    const end = found < 0 ? data.length : found + 1;
    const visible = found < 0 ? end : data[found - 1] === 13 && found > at ? found - 1 : found;
    yield { start: at, end, text: textOf(data, at, visible) };
    at = end;
  }
}
