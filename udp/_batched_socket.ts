/**
 * A UDP socket like that of `Deno.listenDatagram`, over batches of datagrams (`--fast`): what is sent while a batch is
 * answered leaves with one system call.
 *
 * @module
 */
import type { Address, Tracing } from "../cli.ts";
import type { Bytes } from "../tcp/_system_calls.ts";
import { DatagramBatch, openCalls } from "./_datagram_batch.ts";

/** What a server of datagrams uses of a socket. */
export type Datagrams = Pick<Deno.DatagramConn, "addr" | "receive" | "send" | "close">;

/** The most senders that are remembered. One that is forgotten costs a little time when it comes again. */
const MAX_SENDERS = 10_000;

/** Opens such a socket. @throws {Failure} where the system calls are missing (code 3), or the permission (code 2). */
export async function openBatched(addr: Address, tracing: Tracing): Promise<Datagrams> {
  return new BatchedSocket(await DatagramBatch.open(openCalls(), addr, tracing));
}

class BatchedSocket implements Datagrams {
  readonly addr: Deno.NetAddr;
  readonly #batch: DatagramBatch;
  /** The senders by their addresses, and what the kernel knows them by. */
  readonly #senders = new Map<string, Deno.NetAddr>();
  readonly #addresses = new WeakMap<Deno.Addr, Bytes>();
  #received = 0;
  #next = 0;
  /** Whether the next datagram is being waited for: then nobody else sends what is to be sent. */
  #isWaiting = false;

  constructor(batch: DatagramBatch) {
    this.#batch = batch;
    this.addr = { transport: "udp", ...batch.addr };
  }

  /** The next datagram: a view that is valid until the next call. It waits when the batch is answered. */
  async receive(): Promise<[Uint8Array<ArrayBuffer>, Deno.NetAddr]> {
    while (this.#next >= this.#received) {
      this.#batch.flush();
      this.#isWaiting = true;
      [this.#next, this.#received] = [0, await this.#batch.receive()];
      this.#isWaiting = false;
      if (this.#received < 0) throw new Deno.errors.BadResource("the socket is closed");
    }
    const index = this.#next++;
    return [this.#batch.datagram(index), this.#sender(index)];
  }

  #sender(index: number): Deno.NetAddr {
    const bytes = this.#batch.senderBytes(index);
    const key = String.fromCharCode(...new Uint16Array(bytes.buffer));
    let sender = this.#senders.get(key);
    if (!sender) {
      if (this.#senders.size >= MAX_SENDERS) this.#senders.clear();
      sender = { transport: "udp", ...this.#batch.sender(index) };
      this.#senders.set(key, sender);
      this.#addresses.set(sender, bytes);
    }
    return sender;
  }

  /** Sends a datagram to an address from `receive`. One that cannot be sent is lost, as it may be on the way. */
  send(datagram: Uint8Array, to: Deno.Addr): Promise<number> {
    const address = this.#addresses.get(to);
    if (!address) return Promise.reject(new TypeError("only an address from which a datagram has come"));
    this.#batch.sendTo(address, datagram);
    if (this.#isWaiting) this.#batch.flush();
    return Promise.resolve(datagram.length);
  }

  close(): void {
    this.#batch.flush();
    this.#batch.close();
  }
}
