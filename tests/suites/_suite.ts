/**
 * What a suite of checks is, and how a check fails.
 *
 * @module
 */
import { AssertionError } from "jsr:@std/assert@1";
import { count, printable } from "../../cli.ts";
import type { Program } from "../support/program.ts";

/** A server under check. */
export interface Server {
  readonly hostname: string;
  readonly port: number;
  /** Whether it may still be starting: then a refused connection is tried again. */
  readonly starting?: () => boolean;
}

/** A client under check: each start is a new process, which must connect to this port of 127.0.0.1. */
export interface Client {
  start(port: number): Program;
}

/** One check of a suite: `run` throws an `AssertionError` that says what was expected and what was received. */
export interface Check<T> {
  readonly name: string;
  /** One sentence: why it matters. */
  readonly why: string;
  readonly points: number;
  run(target: T): Promise<void>;
}

/** The checks of one protocol, for servers or for clients. */
export type Suite =
  | { readonly role: "server"; readonly about: string; readonly checks: readonly Check<Server>[] }
  | { readonly role: "client"; readonly about: string; readonly checks: readonly Check<Client>[] };

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
