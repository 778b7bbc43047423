/**
 * DNS over UDP with `--fast`: many queries and many responses with one system call each.
 *
 * @module
 */
import { Failure } from "../cli.ts";
import type { DatagramBatch } from "../udp/_datagram_batch.ts";
import { Forwarder } from "./_forwarder.ts";
import type { RateLimit } from "./_rate_limit.ts";
import type { Responder } from "./_responder.ts";
import { parseServer } from "./_server_address.ts";
import { ask } from "./query.ts";

/** What queries over UDP are answered with. */
export interface DatagramService {
  readonly responder: Responder;
  readonly forwarder: Forwarder | undefined;
  readonly rateLimit: RateLimit;
  /** Called for each query. */
  readonly onQuery: (packet: Uint8Array) => void;
}

/** Answers queries until the socket is closed: one system call receives as many as wait, and one sends all responses. */
export async function answerBatches(batch: DatagramBatch, service: DatagramService): Promise<void> {
  const { responder, forwarder, rateLimit, onQuery } = service;
  for (let n = await batch.receive(); n >= 0; n = await batch.receive()) {
    for (let i = 0; i < n; i++) {
      try {
        const packet = batch.datagram(i);
        onQuery(packet);
        const outcome = responder.respond(packet, true);
        if (outcome.kind === "nothing") continue;
        if (!rateLimit.allows(batch.hostname(i))) batch.reply(i, responder.truncated(packet));
        else if (outcome.kind === "response") batch.reply(i, outcome.bytes);
        else forwarder?.respond(outcome.query, outcome.limit).then(batch.later(i)).catch(logError);
      } catch (error) {
        logError(error); // and answer the others
      }
    }
    batch.flush();
  }
}

/** A forwarder to the resolver that `--forward` names; `undefined` without one. @throws {Failure} with code 2. */
export function forwardTo(address: string, timeout: number): Forwarder | undefined {
  if (address === "") return undefined;
  const resolver = parseServer("--forward", address);
  return new Forwarder(async (question) => (await ask(resolver, question, { timeout })).message);
}

/**
 * Logs an error of one query, and the server goes on. Errors of system calls and a missing permission are expected; a bug
 * keeps its stack trace.
 */
export function logError(error: unknown): void {
  const isExpected = error instanceof Failure || error instanceof Deno.errors.NotCapable ||
    (error instanceof Error && Reflect.has(error, "code"));
  console.error(isExpected ? error.message : error);
}
