/**
 * One direction of a TCP connection over a bad network: late, narrow, in slices, or cut off. The bytes and their order stay.
 *
 * @module
 */
import type { Socket } from "node:net";
import { count } from "../cli.ts";
import { type Fates, Line } from "./_fate.ts";
import type { Network } from "./_network.ts";

/** How a connection is cut off. */
export type Cut = "stall" | "reset" | "close" | "half-open";
const cuts = ["stall", "reset", "close", "half-open"] as const;

/** What waits in the relay: bytes, or the order to cut the connection off. */
interface Piece {
  readonly data: Uint8Array;
  readonly note: string;
  /** When it came in, if that has been shown. */
  readonly came?: number | undefined;
  /** When it goes on, on the clock of `performance.now()`. */
  readonly due: number;
  readonly cut?: Cut;
}

/** Milliseconds until a kernel sends a lost segment again; each time twice as long (RFC 6298 has a second, Linux 0.2). */
const RETRANSMISSION = 200;

/** What `passShaken` needs to know and to do. */
export interface Way {
  readonly from: Socket;
  readonly to: Socket;
  readonly network: Network;
  readonly fates: Fates;
  /** Shows what goes on, and when it came in, unless it does both at once. */
  readonly show: (data: Uint8Array, note: string, came?: number) => void;
  /** Shows what comes in and must wait, or is lost. Returns when. */
  readonly hold: (data: Uint8Array, note: string) => number | undefined;
  readonly cut: (how: Cut) => void;
}

/** Passes on what one side sends, until it ends its stream or the connection is cut off. Returns whether it has ended. */
export async function passShaken(way: Way): Promise<boolean> {
  const { to, network } = way;
  const queue = new Queue(network.queue);
  const sending = (async () => {
    for (let piece = await queue.take(); piece; piece = await queue.take()) {
      await until(piece.due);
      if (piece.cut) way.cut(piece.cut);
      else {
        way.show(piece.data, piece.note, piece.came);
        await write(to, piece.data);
      }
      queue.done(piece.data.length);
    }
  })();
  sending.catch(() => queue.close()); // it is awaited below; until then nothing must wait for room
  const isOver = await read(way, queue);
  if (isOver) queue.close();
  const came = isOver && queue.isBusy ? way.hold(nothing, "FIN") : undefined;
  await sending;
  if (isOver) way.show(nothing, "FIN", came);
  return isOver;
}

const nothing = new Uint8Array();

/** Reads until the end of the stream, and plans when each piece goes on. Returns false when the connection is to be cut. */
async function read({ from, network, fates, hold }: Way, queue: Queue): Promise<boolean> {
  const line = new Line(network);
  let [total, due] = [0, 0];
  const cutOff = async (cut: Cut) => {
    await queue.put({ data: nothing, note: "", due, cut });
    queue.close();
    return false;
  };
  for await (const chunk of from.iterator({ destroyOnReturn: false })) {
    const fate = fates.next();
    const limit = Math.min(...cuts.map((cut) => network[cut])); // it may change while the relay runs
    const command = cuts.find((cut) => cut === fate.command);
    if (command) {
      hold(chunk, `lost: ${command}`);
      return await cutOff(command);
    }
    const late = fate.delay + (2 ** fate.losses - 1) * RETRANSMISSION;
    const why = fate.losses > 0 ? ` (lost ${count(fate.losses, "time")})` : "";
    const note = late > 0 ? `delayed ${Math.round(late)} ms${why}` : "";
    const data: Uint8Array = chunk.subarray(0, Math.max(0, limit - total));
    const { slice, rate } = network;
    const atLimit = cuts.find((cut) => network[cut] === limit);
    const isHeld = late > 0 || rate < Infinity || data.length > slice || data.length < chunk.length;
    const came = isHeld ? hold(chunk, data.length === 0 ? `lost: ${atLimit}` : "") : undefined;
    for (let at = 0; at < data.length; at += slice) {
      const piece = data.subarray(at, at + slice);
      // A timer's turn between two slices: written at once, they would arrive together.
      const pause = slice < Infinity ? 1 : 0;
      due = Math.max(due + pause, performance.now() + line.wait(piece.length) + late); // none overtakes another
      await queue.put({ data: piece, note, came, due });
    }
    total += chunk.length;
    if (atLimit && total >= limit) return await cutOff(atLimit);
  }
  return true;
}

/** Writes all bytes; settles when the kernel has taken them. */
export function write(socket: Socket, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => socket.write(data, (error) => error ? reject(error) : resolve()));
}

async function until(due: number): Promise<void> {
  const wait = due - performance.now();
  if (wait > 0) await new Promise((go) => setTimeout(go, wait));
}

/** Pieces in order. It has room for some bytes: who puts more must wait, and so does not read more from its socket. */
class Queue {
  readonly #limit: number;
  #pieces: Piece[] = [];
  #bytes = 0;
  #closed = false;
  #changed = Promise.withResolvers<void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  async put(piece: Piece): Promise<void> {
    while (this.#bytes > this.#limit && !this.#closed) await this.#changed.promise;
    this.#pieces.push(piece);
    this.#bytes += piece.data.length;
    this.#notify();
  }

  /** Whether something waits. */
  get isBusy(): boolean {
    return this.#bytes > 0;
  }

  /** The next piece; `undefined` after the last one. It counts until it is `done`. */
  async take(): Promise<Piece | undefined> {
    while (this.#pieces.length === 0 && !this.#closed) await this.#changed.promise;
    return this.#pieces.shift();
  }

  done(size: number): void {
    this.#bytes -= size;
    this.#notify();
  }

  close(): void {
    this.#closed = true;
    this.#notify();
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
