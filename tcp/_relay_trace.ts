/**
 * What a relay shows of the messages that pass it: when each comes in, when it goes out, and what was done to it.
 *
 * @module
 */
import type { Tracing } from "../cli.ts";
import type { Side, Transport } from "./_network.ts";
import { isTraced, now, showMessage } from "./_trace.ts";
import type { Message } from "./_trace_event.ts";

/** The addresses of a client, of its server, and those of the relay towards each of them. */
export interface Ends {
  readonly client: string;
  readonly server: string;
  readonly near: string;
  readonly far: string;
}

const nothing = new Uint8Array();

/** The messages between one client and its server. Without `--trace` and `--pcap` it does nothing. */
export class RelayTrace {
  readonly #flags: Tracing;
  readonly #transport: Transport;
  readonly #ends: () => Ends;

  /** `ends` is asked for each message: a server may answer from another port. */
  constructor(flags: Tracing, transport: Transport, ends: () => Ends) {
    [this.#flags, this.#transport, this.#ends] = [flags, transport, ends];
  }

  /** A message goes out. It has come in at this moment, unless `came` says when. Returns when it came in. */
  passed(side: Side, data: Uint8Array, note: string, came?: number): number | undefined {
    if (!isTraced(this.#flags)) return undefined;
    const t = now();
    this.#show(side, data, note, came === undefined ? {} : { half: "out", came }, t);
    return came ?? t;
  }

  /** A message comes in, and must wait, or never goes out. Returns when. */
  held(side: Side, data: Uint8Array, note: string): number | undefined {
    if (!isTraced(this.#flags)) return undefined;
    const t = now();
    this.#show(side, data, note, { half: "in" }, t);
    return t;
  }

  /** The relay itself ends a connection: nothing has come in. */
  ended(side: Side, note: string): void {
    if (isTraced(this.#flags)) this.#show(side, nothing, note, { half: "out" });
  }

  #show(side: Side, data: Uint8Array, note: string, more: Pick<Message, "half" | "came">, t = now()): void {
    const { client, server, near, far } = this.#ends();
    const way = side === "client"
      ? { from: client, to: server, via: [near, far] as const }
      : { from: server, to: client, via: [far, near] as const };
    showMessage(this.#flags, { side: "relay", transport: this.#transport, ...way, data, note, ...more }, t);
  }
}
