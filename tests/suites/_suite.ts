/**
 * What a suite of checks is, and how a check fails.
 *
 * @module
 */
import { AssertionError } from "jsr:@std/assert@1";
import { count, printable } from "../../cli.ts";
import type { Program } from "../support/program.ts";
import type { Random } from "./_random.ts";

/** A server under check. */
export interface Server {
  readonly hostname: string;
  readonly port: number;
  /** Whether it may still be starting: then a refused connection is tried again. */
  readonly starting?: () => boolean;
  /** What the suite has made for this run; undefined for a server that was running before. */
  readonly content?: unknown;
}

/** A client under check: each start is a new process, which must connect to this port of 127.0.0.1. */
export interface Client {
  /** `values` are for this start alone: a URL, for example. */
  start(port: number, values?: Values): Program;
  readonly content?: unknown;
}

/** One check of a suite: `run` throws an `AssertionError` that says what was expected and what was received. */
export interface Check<T> {
  readonly name: string;
  /** One sentence: why it matters. */
  readonly why: string;
  readonly points: number;
  /** What is asked of a first program, of one that others use, and of one that follows the specification to the letter. */
  readonly level?: "basic" | "robust" | "strict";
  /** The names of the checks that must have passed: if one has not, this one would only repeat what is wrong. */
  readonly needs?: readonly string[];
  run(target: T): Promise<void>;
}

/** Texts that replace `{name}` in the command of a program under check; they are also in its environment, as NAME. */
export type Values = Readonly<Record<string, string>>;

/** What a suite has made for one run: something the checks know, and what the program is told of it. */
export interface Prepared<C> {
  readonly content: C;
  readonly values: Values;
}

type Prepare = (random: Random, folder: string) => Promise<Prepared<object>>;

/** The checks of one protocol, for servers or for clients. */
export type Suite =
  & {
    readonly about: string;
    /** The values that the program is given, and what it does with them. */
    readonly given?: string;
    /** Makes what differs in every run, from the seed; files in `folder`. */
    readonly prepare?: Prepare;
  }
  & (
    | { readonly role: "server"; readonly checks: readonly Check<Server>[] }
    | { readonly role: "client"; readonly checks: readonly Check<Client>[] }
  );

/** A check that cannot be run: nobody knows what the program has been given. */
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

/** How long a program under check may take for one step, in milliseconds; `deno task check --timeout` sets it. */
export const limits = { patience: 5000 };

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

/** Formats bytes for a report: their number, and the first of them as text in quotes. */
export function quote(data: Uint8Array): string {
  if (data.length === 0) return "nothing";
  const text = printable(data.subarray(0, 40));
  return `${count(data.length, "byte")} "${text}${data.length > 40 ? "…" : ""}"`;
}

/** Waits for `promise`, at most `limit` milliseconds; returns `undefined` if it took longer. */
export async function inTime<T>(promise: Promise<T>, limit = limits.patience): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), limit));
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Fails unless the program sent back exactly these bytes, and names the first one that differs. */
export function sameBytes(got: Uint8Array, sent: Uint8Array, hint: string): void {
  const at = sent.findIndex((byte, i) => byte !== got[i]);
  if (at < 0 && got.length === sent.length) return;
  const where = at >= 0 && at < got.length ? ` (byte ${at} is ${got[at]}, not ${sent[at]})` : "";
  fail(quote(sent), quote(got) + where, hint);
}
