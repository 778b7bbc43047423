/**
 * A transfer of TFTP: reliable delivery over datagrams that get lost, double and overtake each other. Both sides use it.
 *
 * With a window of one block it is stop-and-wait (RFC 1350 §2): each block waits for the acknowledgement of the one before.
 * With a larger window it is go-back-N (RFC 7440): after a loss the sender goes back to the first block that is missing.
 *
 * @module
 */
import { Failure, formatAddress, printable } from "../cli.ts";
import { decode, encode, errorCodes, type Packet, PacketError, type Terms } from "./_tftp_message.ts";

/** How often something is sent in vain before a side gives up: `--timeout` is the time of all tries. */
export const TRIES = 5;

/** Where the blocks of a file come from. */
export interface Source {
  readonly size: number;
  /** Bytes from this offset: as many as asked for, fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** What happened on the way. */
export interface Report {
  bytes: number;
  blocks: number;
  /** Blocks or acknowledgements that were sent again. */
  resent: number;
  /** When the last block was acknowledged: `performance.now()`. */
  ended: number;
}

/** Sends a file, from its first block on. */
export async function sendFile(link: Link, source: Source, terms: Terms): Promise<Report> {
  const { blockSize, window, timeout } = terms;
  const last = Math.floor(source.size / blockSize) + 1; // a file that fills its last block is followed by an empty one
  const report: Report = { bytes: source.size, blocks: last, resent: 0, ended: 0 };
  let acknowledged = 0;
  let sent = 0; // the highest block that was sent at all
  let sentAgain = 0; // the highest block that was sent more than once
  let mayComeTwice = false; // whether the last acknowledged block was among them: its acknowledgement may come twice
  let wentBackTo = 0;
  let roundTrip = timeout * 500; // milliseconds; a guess, until one is measured
  let tries = 0;
  while (acknowledged < last) {
    const until = Math.min(acknowledged + window, last);
    for (let block = acknowledged + 1; block <= until; block++) {
      const data = await source.read((block - 1) * blockSize, blockSize);
      await link.send({ kind: "data", block: block & 0xffff, data });
      if (block > sent) continue;
      report.resent++;
      sentAgain = Math.max(sentAgain, block);
    }
    sent = Math.max(sent, until);

    const sentAt = performance.now();
    let deadline = sentAt + timeout * 1000;
    let isGapLikely = false;
    while (true) {
      const packet = await link.receive(deadline);
      if (packet === undefined) {
        if (!isGapLikely && ++tries === TRIES) {
          throw new Failure(`${link.peerName} has not acknowledged block ${acknowledged + 1}`);
        }
        break; // send the window again
      }
      if (packet.kind !== "ack") continue;
      // The number has 16 bits: it is the block next to the last acknowledged one that ends in these.
      const block = acknowledged + ((packet.block - acknowledged) & 0xffff);
      if (block > acknowledged && block <= sent) {
        mayComeTwice = block <= sentAgain;
        if (!mayComeTwice) roundTrip = performance.now() - sentAt; // of others nobody knows which copy it answers
        acknowledged = block;
        tries = 0;
        break;
      }
      // The same acknowledgement again. To send again now would double every packet from here to the end: the sorcerer's
      // apprentice (RFC 1123 §4.2.3.1). Only a window has a gap that it may tell of, and it is filled once.
      if (block === acknowledged && window > 1 && sent > acknowledged && wentBackTo !== acknowledged + 1) {
        wentBackTo = acknowledged + 1;
        if (!mayComeTwice) break;
        // If it is the answer to the block's second copy, that of this window is on its way: without it there is a gap.
        isGapLikely = true;
        deadline = Math.min(deadline, performance.now() + 2 * roundTrip);
      }
    }
  }
  return { ...report, ended: performance.now() };
}

/** Where the blocks of a file go: each once, in order. */
export interface Sink {
  write(data: Uint8Array): Promise<void>;
  /** All of it was written. The sender is told only after this. */
  finish(): Promise<void>;
}

/** Receives a file, and acknowledges it. `opening` is what this side has sent before the first block. */
export async function receiveFile(
  link: Link,
  sink: Sink,
  terms: Terms,
  opening: Packet,
): Promise<Report> {
  const { blockSize, window, timeout } = terms;
  const report: Report = { bytes: 0, blocks: 0, resent: 0, ended: 0 };
  let received = 0;
  let unacknowledged = 0;
  let toldGapAt = -1;
  let tries = 0;
  // What the other side waits for: the request, its answer, or the acknowledgement of the last block.
  let answer: Packet = opening;
  const acknowledge = async () => {
    answer = { kind: "ack", block: received & 0xffff };
    unacknowledged = 0;
    await link.send(answer);
  };
  let deadline = performance.now() + timeout * 1000;
  while (true) {
    const packet = await link.receive(deadline);
    if (packet === undefined) {
      if (++tries === TRIES) throw new Failure(`${link.peerName} has not sent block ${received + 1}`);
      if (unacknowledged > 0) await acknowledge();
      else await link.send(answer);
      report.resent++;
      deadline = performance.now() + timeout * 1000;
      continue;
    }
    if (packet.kind !== "data") continue;
    const ahead = (packet.block - received) & 0xffff;
    if (ahead === 1) {
      if (packet.data.length > blockSize) throw new Failure(`${link.peerName} sent a block that is too long`);
      await sink.write(packet.data);
      received++;
      report.bytes += packet.data.length;
      report.blocks = received;
      tries = 0;
      deadline = performance.now() + timeout * 1000;
      const isLast = packet.data.length < blockSize;
      if (isLast) await sink.finish();
      if (isLast || ++unacknowledged >= window) await acknowledge();
      if (isLast) return { ...report, ended: performance.now() };
    } else if (ahead === 0 && received > 0) {
      if (unacknowledged > 0) continue; // amid a window, whose rest comes again, too
      await acknowledge(); // the last block again: its acknowledgement was lost
      report.resent++;
    } else if (ahead > 1 && ahead <= window && toldGapAt !== received) {
      toldGapAt = received; // a block is missing: say so once, or every block behind the gap would ask for all of them
      await acknowledge();
      report.resent++;
    }
  }
}

/**
 * The receiver's last acknowledgement may be lost, and then the sender sends its last block again: answer until nothing has come
 * for `quiet` seconds, or the sender thinks that the transfer failed (RFC 1350 §6, "dallying").
 */
export async function dally(link: Link, last: number, quiet: number): Promise<void> {
  // A sender that never stops must not hold this side for ever: it has as many tries as everywhere.
  const end = performance.now() + TRIES * quiet * 1000;
  let deadline = performance.now() + quiet * 1000;
  for (let packet = await link.receive(deadline); packet; packet = await link.receive(deadline)) {
    if (performance.now() >= end) return;
    if (packet.kind === "data" && packet.block === (last & 0xffff)) {
      deadline = Math.min(end, performance.now() + quiet * 1000);
      await link.send({ kind: "ack", block: packet.block });
    }
  }
}

/** One side's socket for a transfer. Its port is this side's transfer id, the other side's port is the other's. */
export class Link {
  readonly #socket: Deno.DatagramConn;
  #peer: Deno.NetAddr;
  /** Whether the other side has already answered, from the port that it chose for this transfer. */
  #isFixed: boolean;
  #receiving: ReturnType<Deno.DatagramConn["receive"]> | undefined;
  #next: Packet | undefined;
  #late: { deadline: number; resolve: () => void } | undefined;
  readonly #timer = setInterval(() => {
    if (this.#late && performance.now() >= this.#late.deadline) this.#late.resolve();
  }, 20);
  readonly #buffer = new Uint8Array(65_535);

  /** `peer` is the address of the other side; with `isFixed` false it may answer from another port of its host, once. */
  constructor(socket: Deno.DatagramConn, peer: Deno.NetAddr, isFixed: boolean) {
    this.#socket = socket;
    this.#peer = peer;
    this.#isFixed = isFixed;
  }

  get peerName(): string {
    return formatAddress(this.#peer);
  }

  async send(packet: Packet): Promise<void> {
    await this.#socket.send(encode(packet), this.#peer);
  }

  /**
   * The next packet of the other side; undefined when none has come until `performance.now()` is `deadline`.
   *
   * @throws {Failure} when the other side reports an error, or sends bytes that are no packet.
   */
  async receive(deadline: number): Promise<Packet | undefined> {
    const next = this.#next;
    this.#next = undefined;
    if (next) return next;
    while (true) {
      // Datagrams wait in the socket: a time limit that has passed while others were handled loses none of them.
      this.#receiving ??= this.#socket.receive(this.#buffer);
      const received = await Promise.race([this.#receiving, this.#untilLate(deadline)]);
      if (received === undefined) return undefined;
      this.#receiving = undefined;
      const [bytes, from] = received;
      if (from.transport !== "udp" || !await this.#isPeer(from)) continue;
      return this.#parse(bytes);
    }
  }

  /** Settles a little after `deadline`. One timer looks now and then: a timer a packet would cost more than the packet. */
  #untilLate(deadline: number): Promise<undefined> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#late = { deadline, resolve: () => resolve(undefined) };
    return promise;
  }

  /** Whether a datagram is from the other side. A stranger is told that this port knows no transfer with it (RFC 1350 §4). */
  async #isPeer(from: Deno.NetAddr): Promise<boolean> {
    const isHost = from.hostname === this.#peer.hostname;
    if (isHost && !this.#isFixed) {
      this.#peer = from;
      this.#isFixed = true;
    }
    if (isHost && from.port === this.#peer.port) return true;
    const error = { kind: "error", code: errorCodes.unknownTransferId, text: "unknown transfer id" } as const;
    await this.#socket.send(encode(error), from).catch(() => {}); // its address may be forged: nobody can be told
    return false;
  }

  #parse(bytes: Uint8Array): Packet {
    try {
      const packet = decode(bytes);
      if (packet.kind === "error") {
        throw new Failure(`${this.peerName} says: ${printable(packet.text)} (${packet.code})`);
      }
      return packet;
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      throw new Failure(`${this.peerName} sent what is no packet of TFTP: ${error.message}`);
    }
  }

  /** Has the next `receive` return this packet: it was read too early. */
  putBack(packet: Packet): void {
    this.#next = packet;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#receiving?.catch(() => {}); // closing ends it with an error that nobody waits for
    this.#socket.close();
  }
}
