/**
 * What a suite of checks is, and how a check fails.
 *
 * @module
 */
import { AssertionError } from "jsr:@std/assert@1";
import { count } from "../../cli.ts";
import type { Program } from "../support/program.ts";
import { Random, randomSeed } from "./_random.ts";
import { ownPatience, ownStart, readable } from "./_record.ts";

/** A server under check. */
export interface Server {
  readonly hostname: string;
  readonly port: number;
  /** Whether it may still be starting: then a refused connection is tried again. */
  readonly starting?: () => boolean;
  /** What the suite has made for this run; undefined for a server that was running before. */
  readonly content?: unknown;
  /** What differs in every run, from the seed. */
  readonly random?: Random;
  /** Its process; undefined for a server that was running before. */
  readonly program?: () => Program | undefined;
}

/** A client under check: each start is a new process, which must connect to this port of 127.0.0.1. */
export interface Client {
  /** `values` are for this start alone: a URL, for example. */
  start(port: number, values?: Values): Program;
  /** The port on which the suite's server must listen (--port); 0 or nothing: a free one. */
  readonly port?: number;
  /** Whether the client reaches this port over a relay. */
  readonly isShaken?: boolean;
  readonly content?: unknown;
  readonly random?: Random;
}

/** What is asked of a first program, of one that others use, and of one that follows the specification to the letter. */
export type Level = "basic" | "robust" | "strict";
export const levels: readonly Level[] = ["basic", "robust", "strict"];

/** One check of a suite: `run` throws an `AssertionError` that says what was expected and what was received. */
export interface Check<T> {
  readonly name: string;
  /** One sentence: why it matters. */
  readonly why: string;
  readonly points: number;
  /** Without it, a check is basic. */
  readonly level?: Level;
  /** The names of the checks that must have passed: if one has not, this one would only repeat what is wrong. */
  readonly needs?: readonly string[];
  /** A command that does the same by hand; {host}, {port} and the values of the suite are replaced. */
  readonly byHand?: string;
  run(target: T): Promise<void>;
}

/** The run's random numbers, for contents of which the program need not know before. */
export const randomOf = ({ random }: { readonly random?: Random }): Random => random ?? new Random(randomSeed());

/** Texts that replace `{name}` in the command of a program under check; they are also in its environment, as NAME. */
export type Values = Readonly<Record<string, string>>;

/** What a suite has made for one run: something the checks know, and what the program is told of it. */
export interface Prepared<C> {
  readonly content: C;
  readonly values: Values;
}

/** What `--list` says beside the checks: the specification of the program. */
interface Specification {
  /** What it checks: "a TCP echo server". */
  readonly about: string;
  /** The values that the program is given, and what it does with them. */
  readonly given?: string;
  readonly prints?: string;
  readonly exits?: string;
  /** What may differ, and which sizes and times are asked for. */
  readonly limits?: string;
  /** The section of a lab sheet: "tcp/README.md#echo". */
  readonly sheet?: string;
  /** What its port is of; without it, TCP. */
  readonly over?: "tcp" | "udp" | "both";
  /** A program may take so many milliseconds for one step, also when others have failed: it sends again after a second, perhaps. */
  readonly leastPatience?: number;
  /** Makes what differs in every run, from the seed; files in `folder`. */
  readonly prepare?: (random: Random, folder: string) => Promise<Prepared<object>>;
}

/** The checks of one protocol, for servers or for clients. */
export type Suite =
  & Specification
  & (
    | { readonly role: "server"; readonly checks: readonly Check<Server>[] }
    | { readonly role: "client"; readonly checks: readonly Check<Client>[] }
  );

/** A check that cannot be run: nobody knows what the program has been given. It does not count. */
export class NotKnown extends Error {
  constructor() {
    super("the server was started without what this check asks for: give its command, or --content");
  }
}

/** What a suite makes for a run, with its type. */
export interface ContentKind<C> {
  readonly prepare: (random: Random, folder: string) => Promise<Prepared<C>>;
  /** The content that a check was given; undefined without one. */
  find(target: { readonly content?: unknown }): C | undefined;
  /** The content that a check was given. @throws {NotKnown} without one. */
  of(target: { readonly content?: unknown }): C;
}

/** Declares what a suite makes. `make` returns it, and the values for the program. */
export function contentOf<C extends object>(
  make: (random: Random, folder: string) => Prepared<C> | Promise<Prepared<C>>,
): ContentKind<C> {
  const made = new WeakSet<object>();
  const isMade = (value: unknown): value is C => typeof value === "object" && value !== null && made.has(value);
  const find = ({ content }: { readonly content?: unknown }) => isMade(content) ? content : undefined;
  return {
    find,
    async prepare(random, folder) {
      const prepared = await make(random, folder);
      made.add(prepared.content);
      return prepared;
    },
    of(target) {
      const content = find(target);
      if (!content) throw new NotKnown();
      return content;
    },
  };
}

/** The longest datagram that this system sends. UDP has room for 65,507 bytes; macOS refuses more than net.inet.udp.maxdgram. */
export const longestDatagram = Deno.build.os === "darwin" ? 9216 : 65_507;

/**
 * How long a program under check may take for one step, in milliseconds. `deno task check --timeout` sets it; it shrinks when
 * checks have failed, so that a program that never answers does not take minutes.
 */
export const limits = {
  usual: 5000,
  get patience(): number {
    return ownPatience() || this.usual;
  },
  /** How long a program may take from its start until it listens or connects: some languages compile it first. */
  get start(): number {
    return ownStart() || Math.max(this.leastStart, this.usual * 2);
  },
  leastStart: 20_000,
  set patience(milliseconds: number) {
    this.usual = milliseconds;
  },
};

/** Fails the check: what was expected, what was received, and what to do. */
export function fail(expected: string, got: string, hint: string): never {
  throw new AssertionError(`expected ${expected}, got ${got}\nhint: ${hint}`);
}

/** The program under check has ended, or has reset the connection. */
export class Gone extends AssertionError {
  constructor(message: string) {
    super(message);
  }
}

/** Nothing listens on the port of the program under check. */
export class Refused extends AssertionError {
  constructor(message: string) {
    super(message);
  }
}

/** Formats bytes for a report: their number, and the first of them as text in quotes. */
export function quote(data: Uint8Array): string {
  if (data.length === 0) return "nothing";
  return `${count(data.length, "byte")} "${readable(data, 40)}"`;
}

/** Formats milliseconds: `3.6 s`. */
export const inSeconds = (milliseconds: number): string => `${+(milliseconds / 1000).toFixed(1)} s`;

/** Waits for `promise`, at most `limit` milliseconds; returns `undefined` if it took longer. */
export async function inTime<T>(promise: Promise<T>, limit = limits.patience): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), limit));
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Fails unless the program sent exactly these bytes; shows those around the first one that differs, with a mark under it. */
export function sameBytes(got: Uint8Array, wanted: Uint8Array, hint: string): void {
  const at = firstDifference(got, wanted);
  if (at < 0) return;
  fail(quote(wanted), `${quote(got)}\n${difference(got, wanted)}`, hint);
}

/** The position of the first byte that differs; -1 if they are the same. */
function firstDifference(got: Uint8Array, wanted: Uint8Array): number {
  const shorter = Math.min(got.length, wanted.length);
  for (let i = 0; i < shorter; i++) if (got[i] !== wanted[i]) return i;
  return got.length === wanted.length ? -1 : shorter;
}

/** Three lines: what was expected and what came around the first difference, in hex and as text, and a mark under it. */
export function difference(got: Uint8Array, wanted: Uint8Array): string {
  const at = Math.max(0, firstDifference(got, wanted));
  const from = Math.max(0, at - 6);
  const row = (name: string, bytes: Uint8Array) => {
    const part = Array.from(bytes.subarray(from, from + 14));
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0"));
    if (from + 14 >= bytes.length) hex.push("end");
    const text = part.map((byte) => byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".").join("");
    return `  ${name}  ${from > 0 ? "… " : "  "}${hex.join(" ").padEnd(45)}  ${text}`;
  };
  const mark = `  ${" ".repeat(12 + 3 * (at - from))}^^ byte ${at}, counted from 0`;
  return [row("expected", wanted), row("got     ", got), mark].join("\n");
}
