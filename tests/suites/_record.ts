/**
 * The evidence of a check: its steps, and every byte that went either way. Peers record by themselves; a suite adds steps.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { count, printable } from "../../cli.ts";

/** One thing that happened: a step of the check, or bytes on the way. `who` tells several connections apart. */
export interface Entry {
  /** Milliseconds since the check began. */
  readonly time: number;
  readonly kind: "step" | "sent" | "received";
  readonly text: string;
  readonly who: string;
  readonly size: number;
  readonly data: Uint8Array;
}

/** How many bytes of one message, and of a check, are kept; of the others only the number is. */
const most = { message: 1 << 18, check: 1 << 23, entries: 20_000 };

/** What happened in one check. */
export class Recording {
  readonly entries: Entry[] = [];
  /** A command that does the same by hand. */
  byHand = "";
  /** How long the program may take for one step of this check, in milliseconds; 0: the usual time. */
  patience = 0;
  /** How long a client may take to connect, in milliseconds; 0: the usual time. */
  start = 0;
  /** Whether each message stands for itself, as a datagram does. */
  apart = false;
  received = 0;
  sent = 0;
  #kept = 0;
  #last = 0;
  readonly #start = performance.now();

  add(kind: Entry["kind"], text: string, who = "", bytes: Uint8Array = new Uint8Array()): void {
    const data = bytes.slice(0, Math.max(0, Math.min(most.message, most.check - this.#kept)));
    this.#kept += data.length;
    const time = performance.now() - this.#start;
    const last = this.entries.at(-1);
    if (kind !== "step") {
      this[kind] += bytes.length;
      // A suite reads a line byte by byte, because a mail may follow: that is one message, not many.
      if (this.entries.length >= most.entries) return;
      if (
        !this.apart && last?.kind === kind && last.who === who && time - this.#last < 1 && bytes.length < 100 &&
        last.size < 4096
      ) {
        const joined = new Uint8Array([...last.data, ...data]);
        this.entries[this.entries.length - 1] = { ...last, data: joined, size: last.size + bytes.length };
        this.#last = time;
        return;
      }
    }
    this.#last = time;
    this.entries.push({ time, kind, text, who, size: bytes.length, data });
  }

  /** When the check began, in milliseconds since 1970. */
  get began(): number {
    return performance.timeOrigin + this.#start;
  }

  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** The last steps in short, a line each. */
  summary(most = 10): string[] {
    const entries = this.apart ? this.entries : this.#joined();
    const several = new Set(this.entries.map(({ who }) => who).filter((who) => who)).size > 1;
    const lines = entries.map((entry) =>
      `${(entry.time / 1000).toFixed(3)} s  ${line(several ? entry : { ...entry, who: "" }, 48)}`
    );
    return lines.length > most ? [`… ${count(lines.length - most, "step")} before`, ...lines.slice(-most)] : lines;
  }

  /** The entries, with what a stream carried in several pieces, one way and without a step between, as one. */
  #joined(): Entry[] {
    const joined: Entry[] = [];
    let pieces = 1;
    for (const entry of this.entries) {
      const last = joined.at(-1);
      const goesOn = last && entry.kind !== "step" && entry.kind === last.kind && entry.who === last.who;
      pieces = goesOn ? pieces + 1 : 1;
      if (!goesOn) {
        joined.push(entry);
        continue;
      }
      const data = last.data.length < 48 ? new Uint8Array([...last.data, ...entry.data.subarray(0, 48)]) : last.data;
      const text = `in ${pieces} pieces, the last at ${(entry.time / 1000).toFixed(3)} s`;
      joined[joined.length - 1] = { ...last, data, size: last.size + entry.size, text };
    }
    return joined;
  }

  /** All of it, with the bytes in hex and as text. */
  dump(): string {
    return this.entries.map((entry) => {
      const rows = Array.from({ length: Math.ceil(entry.data.length / 16) }, (_, i) => {
        const row = entry.data.subarray(i * 16, i * 16 + 16);
        const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
        return `    ${(i * 16).toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${asText(row)}`;
      });
      if (entry.data.length < entry.size) rows.push(`    … ${entry.size - entry.data.length} more bytes are not kept`);
      return [`${(entry.time / 1000).toFixed(6)} s  ${line(entry, 0)}`, ...rows].join("\n");
    }).join("\n") + "\n";
  }
}

function line({ kind, text, who, size, data }: Entry, most: number): string {
  if (kind === "step") return `${text}${who && ` (${who})`}`;
  const quoted = most > 0 && data.length > 0 ? ` "${readable(data, most, size)}"` : "";
  return `${kind === "sent" ? "checker → program" : "checker ← program"}  ${count(size, "byte")}${size ? quoted : ""}${
    text && `  ${text}`
  }${who && `  (${who})`}`;
}

const asText = (row: Uint8Array) => Array.from(row, (b) => b > 31 && b < 127 ? String.fromCharCode(b) : ".").join("");

/** The first bytes as text, at most `most`. Those that are not UTF-8 are \\xff, so that they can be told apart, in 100 characters. */
export function readable(data: Uint8Array, most: number, size = data.length): string {
  const bytes = data.subarray(0, most);
  const text = printable(bytes);
  if (!text.includes("\ufffd")) return size > most ? `${text}…` : text;
  const letters = Array.from(bytes, (byte) => byte > 31 && byte < 127 ? String.fromCharCode(byte) : hex(byte));
  while (letters.join("").length > 100) letters.pop();
  return letters.join("") + (letters.length < size ? "…" : "");
}

const hex = (byte: number) => `\\x${byte.toString(16).padStart(2, "0")}`;

const current = new AsyncLocalStorage<Recording>();

/** Runs a check, or a part of one, and records what happens in it. */
export const recordIn = <T>(recording: Recording, body: () => Promise<T>): Promise<T> => current.run(recording, body);

/** The patience of the running check, in milliseconds; 0 if it has none of its own. */
export const ownPatience = (): number => current.getStore()?.patience ?? 0;

/** Whether the program has sent anything in the running check. */
export const hasHeard = (): boolean => (current.getStore()?.received ?? 0) > 0;

/** How long a client may take to connect in the running check, in milliseconds; 0 if it has no limit of its own. */
export const ownStart = (): number => current.getStore()?.start ?? 0;

/** Says what the check does next, in a few words: "ends its side (FIN)". */
export const step = (text: string, who = ""): void => current.getStore()?.add("step", text, who);
/** Bytes that go to the program. */
export const sent = (data: Uint8Array, who = ""): void => current.getStore()?.add("sent", "", who, data);
/** Bytes that came from the program. */
export const received = (data: Uint8Array, who = ""): void => current.getStore()?.add("received", "", who, data);
/**
 * A line for the terminal of this system. On macOS, `nc` ends its side at the end of its input without the option `-N`. So does
 * Windows' `ncat`, which is that of Nmap, for Git Bash.
 */
export function inTerminal(line: string, os: string = Deno.build.os): string {
  if (os === "windows") return line.replace(/\bnc (?:-N )?/g, "ncat ").replaceAll("ncat -u -w1 ", "ncat -u -i 1 ");
  return os === "darwin" ? line.replaceAll("nc -N ", "nc ") : line;
}

/** A line that does what this check does by hand, when it depends on what differs in every run. */
export function byHand(line: string): void {
  const recording = current.getStore();
  if (recording) recording.byHand = inTerminal(line);
}
