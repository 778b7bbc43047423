/**
 * A UDP socket that receives and sends many datagrams with one system call each (recvmmsg, sendmmsg): for Linux.
 *
 * A datagram costs a call to receive it and another to answer it, and at a hundred thousand a second the calls cost more than
 * the answers. Under load several datagrams wait in the kernel, so one call gets them all; without load it gets one.
 *
 * @module
 */
import { type Address, Failure, formatAddress, type Tracing } from "../cli.ts";
import * as sys from "../tcp/_system_calls.ts";
import { isTraced, showMessage } from "../tcp/_trace.ts";
import { BATCH, copyName, hasTheseStructs, HEADER, Messages, NAME } from "./_message_headers.ts";

/**
 * A socket for batches of datagrams.
 *
 * ```ts
 * const calls = openCalls();
 * const batch = await DatagramBatch.open(calls, { hostname: "127.0.0.1", port: 9999 }, flags);
 * for (let n = await batch.receive(); n >= 0; n = await batch.receive()) {
 *   for (let i = 0; i < n; i++) batch.reply(i, batch.datagram(i));
 *   batch.flush();
 * }
 * ```
 */
export class DatagramBatch {
  readonly #calls: sys.SystemCalls;
  readonly #descriptor: number;
  readonly #in = new Messages();
  readonly #out = new Messages();
  readonly #poll = new Int32Array(new ArrayBuffer(8)); // struct pollfd
  readonly #nameLength: number;
  readonly #hostnames = new Map<number, string>();
  #received = BATCH;
  #pending = 0;
  #lastTurn = 0;
  #open = true;
  #waiting: Promise<unknown> | undefined;

  readonly #tracing: Tracing;
  readonly #isTraced: boolean;
  /** The address to which the socket is connected, as `--trace` shows it. */
  readonly #peer: string;

  private constructor(calls: sys.SystemCalls, descriptor: number, nameLength: number, tracing: Tracing, peer: string) {
    this.#tracing = tracing;
    this.#isTraced = isTraced(tracing);
    this.#peer = peer;
    this.#calls = calls;
    this.#descriptor = descriptor;
    this.#nameLength = nameLength;
    this.#poll.set([descriptor, sys.POLLIN]);
    for (let i = 0; i < BATCH; i++) this.#out.setNameLength(i, nameLength);
  }

  /**
   * Opens a socket at an address. With `shared`, other sockets that are opened like this may have the same one: the kernel
   * spreads the senders over them (SO_REUSEPORT).
   *
   * @throws {sys.SystemError} when the address is in use, or no address of this machine.
   */
  static async open(calls: sys.SystemCalls, addr: Address, tracing: Tracing, shared = false): Promise<DatagramBatch> {
    const { family, bytes } = await calls.resolve(addr);
    const socket = openSocket(calls, family, "bind", bytes, shared);
    return new DatagramBatch(calls, socket, bytes.length, tracing, "");
  }

  /** Opens a socket that sends to one address, and receives from it alone. Nothing is sent yet: UDP has no handshake. */
  static async connect(calls: sys.SystemCalls, addr: Address, tracing: Tracing): Promise<DatagramBatch> {
    const { family, bytes } = await calls.resolve(addr);
    const socket = openSocket(calls, family, "connect", bytes);
    return new DatagramBatch(calls, socket, 0, tracing, formatAddress(addr));
  }

  /** Where the socket is bound. */
  get addr(): Address {
    const name = new Uint8Array(28);
    this.#calls.call.getsockname(this.#descriptor, name, new Uint32Array([name.length]));
    return this.#calls.addressIn(name);
  }

  /**
   * Waits for datagrams, at the longest until `performance.now()` is `until`. Returns how many have arrived, 0 when time is
   * up, -1 when the socket was closed.
   *
   * @throws {sys.SystemError} when a connected socket's datagram was refused (ICMP port unreachable).
   */
  async receive(until = Infinity): Promise<number> {
    while (this.#open) {
      // Every five milliseconds let timers, signals and other sockets have their turn, whatever the load is.
      const now = performance.now();
      if (now - this.#lastTurn > 5) await this.#wait(0);
      const n = this.#receiveNow();
      if (n > 0 && this.#isTraced) this.#showReceived(n);
      if (n > 0) return n;
      if (this.#calls.errno === "ECONNREFUSED") throw new sys.SystemError("recvmmsg", "ECONNREFUSED");
      if (now >= until) return 0;
      // Waiting on this thread holds everything else up, waiting on another takes 50 µs to come back: first here, briefly.
      if (this.#calls.call.poll_here(this.#poll, 1, 1) <= 0) {
        await this.#wait(Math.ceil(Math.min(200, Math.max(0, until - now))));
      }
    }
    return -1;
  }

  #receiveNow(): number {
    // The kernel has replaced the lengths of the addresses by those of the last senders.
    for (let i = 0; i < this.#received; i++) this.#in.setNameLength(i, NAME);
    const n = this.#calls.call.recvmmsg(this.#descriptor, this.#in.headers, BATCH, sys.MSG_DONTWAIT, null);
    this.#received = Math.max(0, n);
    return n;
  }

  #showReceived(n: number): void {
    const local = formatAddress(this.addr);
    for (let i = 0; i < n; i++) {
      this.#show(this.#peer || formatAddress(this.sender(i)), local, this.datagram(i));
    }
  }

  #show(from: string, to: string, data: Uint8Array): void {
    const side = this.#peer ? "client" : "server";
    showMessage(this.#tracing, { side, transport: "udp", from, to, data, note: "datagram" });
  }

  async #wait(limit: number): Promise<void> {
    this.#waiting = this.#calls.call.poll(this.#poll, 1, limit);
    await this.#waiting;
    this.#lastTurn = performance.now();
  }

  /** A received datagram: a view, valid until the next `receive`. */
  datagram(index: number): Uint8Array<ArrayBuffer> {
    return this.#in.datagram(index);
  }

  /** The address of a sender. */
  sender(index: number): Address {
    return this.#calls.addressIn(this.#in.name(index));
  }

  /** The address of a sender as C has it, a `struct sockaddr`: `sendTo` takes it. */
  senderBytes(index: number): sys.Bytes {
    return this.#in.name(index);
  }

  /** The host of a sender as text; quicker than `sender` for one that was seen before. */
  hostname(index: number): string {
    if (this.#nameLength > 16) return this.sender(index).hostname;
    const key = this.#in.nameWords[index * NAME / 4 + 1] ?? 0; // struct sockaddr_in: the four bytes of the address
    let text = this.#hostnames.get(key);
    if (text === undefined) {
      if (this.#hostnames.size >= 10_000) this.#hostnames.clear();
      text = this.sender(index).hostname;
      this.#hostnames.set(key, text);
    }
    return text;
  }

  /** Keeps a copy of an answer to the sender of a datagram, until `flush`. */
  reply(index: number, data: Uint8Array): void {
    if (this.#isTraced) {
      const to = this.#peer || formatAddress(this.sender(index));
      this.#show(formatAddress(this.addr), to, data);
    }
    if (this.#pending === BATCH) this.flush();
    copyName(this.#in, index, this.#out, this.#pending);
    this.#out.setDatagram(this.#pending++, data);
  }

  /** Keeps a copy of a datagram to the address to which the socket is connected. */
  send(data: Uint8Array): void {
    this.reply(0, data);
  }

  /** Keeps a copy of a datagram to an address from `senderBytes`, until `flush`. */
  sendTo(address: sys.Bytes, data: Uint8Array): void {
    if (this.#isTraced) this.#show(formatAddress(this.addr), formatAddress(this.#calls.addressIn(address)), data);
    if (this.#pending === BATCH) this.flush();
    this.#out.names.set(address, this.#pending * NAME);
    this.#out.setDatagram(this.#pending++, data);
  }

  /** Sends what `reply`, `send` and `sendTo` have kept. */
  flush(): void {
    const total = this.#pending;
    this.#pending = 0;
    for (let sent = 0; sent < total;) {
      const headers = this.#out.headers.subarray(sent * HEADER);
      const n = this.#calls.call.sendmmsg(this.#descriptor, headers, total - sent, sys.MSG_DONTWAIT);
      // One that cannot be sent (no route, no room in the kernel) is lost, as it may be on the way; the others are not.
      sent += Math.max(1, n);
    }
  }

  /** A function that sends one datagram to this sender, also after the next `receive`. */
  later(index: number): (data: Uint8Array) => void {
    const address = this.senderBytes(index);
    return (data) => {
      if (!this.#open) return;
      this.sendTo(address, data);
      this.flush();
    };
  }

  /** Closes the socket, when no other thread waits for it any more. */
  async close(): Promise<void> {
    this.#open = false;
    await this.#waiting;
    this.#calls.call.close(this.#descriptor);
  }
}

/** The system calls, when their structs are those that this program knows. @throws {Failure} with code 3 when they are not. */
export function openCalls(show = false): sys.SystemCalls {
  const calls = new sys.SystemCalls(show);
  if (!hasTheseStructs(calls)) throw new Failure("recvmmsg has other structs here than this script knows", 3);
  return calls;
}

/** Opens a UDP socket, and binds or connects it. */
function openSocket(
  calls: sys.SystemCalls,
  family: number,
  how: "bind" | "connect",
  addr: sys.Bytes,
  shared = false,
): number {
  const { call } = calls;
  const descriptor = calls.expect("socket", call.socket(family, sys.SOCK_DGRAM | sys.SOCK_NONBLOCK, 0));
  try {
    // Room for a burst: what arrives when it is full is lost.
    call.setsockopt(descriptor, sys.SOL_SOCKET, sys.SO_RCVBUF, new Int32Array([1 << 20]), 4);
    if (shared) call.setsockopt(descriptor, sys.SOL_SOCKET, sys.SO_REUSEPORT, new Int32Array([1]), 4);
    calls.expect(how, call[how](descriptor, addr, addr.length));
    return descriptor;
  } catch (error) {
    call.close(descriptor);
    throw error;
  }
}
