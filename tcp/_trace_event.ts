/**
 * What a trace is made of, and how one message looks as text or as JSON: no socket here.
 *
 * @module
 */
import { count, printable } from "../cli.ts";

/** One message, or another event of an exchange. */
export interface Message {
  /** Which side has seen it. */
  readonly side: "client" | "server" | "relay";
  readonly transport: "tcp" | "udp" | "icmp";
  readonly from: string;
  readonly to: string;
  /** Its bytes; under TLS those that TLS protects. */
  readonly data: Uint8Array;
  /** connected, accepted, TLS, FIN, RST, closed, datagram, or what else is to be said. */
  readonly note: string;
  /** What the bytes say, for a diagram, where they are not text. */
  readonly says?: string;
  /** How many routers its packet may still pass, where the program knows that. */
  readonly ttl?: number;
  /** The addresses of a relay that it passes: the one that it comes to, and the one that it goes on from. */
  readonly via?: readonly [string, string];
  /** Whether it only comes in at a relay, or only goes out. What a relay passes on at once does both. */
  readonly half?: "in" | "out";
  /** When a message that goes out has come in. */
  readonly came?: number;
}

/** Whether an event is an echo request of ICMP, of IPv4 or IPv6. The other messages of ICMP are answers to one. */
export const isEchoRequest = ({ transport, data }: Pick<Message, "transport" | "data">): boolean =>
  transport === "icmp" && (data[0] === 8 || data[0] === 128);

/** A message and when it was seen, in microseconds since 1970. */
export type Event = Message & { readonly t: number };

/** One event as a line of JSON. */
export function formatJson({ t, side, transport, from, to, data, note, via, half, came }: Event): string {
  return JSON.stringify({
    ...{ t, side, transport, from, to, bytes: data.length, data: data.toBase64(), note, via, half, came },
  });
}

/** One event for people: when, from where to where, how many bytes, and the bytes or a note. */
export function formatText({ t, from, to, data, note, half }: Event): string[] {
  const way = from === "" && to === "" ? "" : ` ${from} → ${to}`; // some notes are about the network itself
  const head = `${new Date(t / 1000).toISOString().slice(11, 23)}${way}`;
  const said = note === "FIN" ? "end of stream (FIN)" : note === "RST" ? "reset (RST)" : note;
  const words = [said, half === "in" ? "comes in" : ""].filter((word) => word !== "").join(", ");
  if (data.length === 0) return [`${head}  ${printable(words) || "0 bytes"}`];
  const lines = [`${head}  ${count(data.length, "byte")}${words && `  ${printable(words)}`}`];
  const part = data.subarray(0, 512); // enough to see what it is; --trace=json has every byte
  const rest = data.length > part.length ? ` … and ${data.length - part.length} more` : "";
  const plain = plainText(part, rest !== "");
  if (plain !== undefined) return [...lines, `    "${printable(plain)}"${rest}`];
  return [...lines, ...hexDump(part), ...rest ? [`   ${rest}`] : []];
}

/** The bytes as text; `undefined` when they are not UTF-8, or have controls other than line ends and tabs. */
export function plainText(data: Uint8Array, isCut = false): string | undefined {
  const plain = new TextDecoder("utf-8", { ignoreBOM: true }).decode(data, { stream: isCut });
  // deno-lint-ignore no-control-regex -- these are what makes bytes something else than text
  return /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]/.test(plain) ? undefined : plain;
}

const hex = (byte: number) => byte.toString(16).padStart(2, "0");

/** Sixteen bytes a line: their offset, in hexadecimal, and as ASCII. */
function hexDump(data: Uint8Array): string[] {
  const lines: string[] = [];
  for (let offset = 0; offset < data.length; offset += 16) {
    const row = data.subarray(offset, offset + 16);
    const ascii = Array.from(row, (byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".").join("");
    const bytes = Array.from(row, hex).join(" ").padEnd(47);
    lines.push(`    ${offset.toString(16).padStart(4, "0")}  ${bytes}  ${ascii}`);
  }
  return lines;
}
