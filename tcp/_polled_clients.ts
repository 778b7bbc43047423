/**
 * The clients of a server that asks the kernel which of them are ready (epoll).
 *
 * @module
 */
import { type Address, count, Failure, formatAddress, type Tracing } from "../cli.ts";
import * as sys from "./_system_calls.ts";
import { showMessage } from "./_trace.ts";

/** How long a server that is stopped waits for its clients, in seconds. */
const GRACE = 5;

/** The options that matter here. */
type Settings = Tracing & { chunk: number; once: boolean; timeout: number; "max-clients": number };

/** A connected client. */
export interface PolledClient {
  readonly descriptor: number;
  readonly name: string;
  /** What it was not yet sent, because it does not read. */
  unsent?: sys.Bytes;
  echoed: number;
  silentSince: number;
}

/** The listening socket, the clients, and the epoll that watches them all. */
export class PolledClients {
  readonly clients = new Map<number, PolledClient>();
  readonly events = new sys.Events(512);
  readonly buffer: sys.Bytes;
  readonly name: string;
  /** The time of the last events, in milliseconds. */
  now = performance.now();
  failed = 0;
  readonly #epoll: number;
  readonly #alarm: number;
  readonly #reserve: number[];
  #capacity: number;
  #served = 0;
  #accepting = true;
  #stopAt = Infinity;
  #lastTurn = 0;
  #lastSweep = 0;
  /** Milliseconds between two looks for silent clients. */
  readonly #sweepInterval: number;

  constructor(readonly calls: sys.SystemCalls, readonly listener: number, addr: Address, readonly flags: Settings) {
    const { call } = calls;
    this.name = formatAddress(addr);
    this.buffer = new Uint8Array(flags.chunk);
    // epoll: a list of sockets in the kernel. Asking it costs the same for ten sockets and for ten thousand.
    this.#epoll = calls.expect("epoll_create1", call.epoll_create1(0));
    // eventfd: a descriptor that this process makes readable, to wake up the wait for events at Ctrl-C.
    this.#alarm = calls.expect("eventfd", call.eventfd(0, sys.SOCK_NONBLOCK));
    this.#capacity = flags["max-clients"];
    this.#sweepInterval = Math.ceil(Math.min(1000, (flags.timeout || 4) * 250));
    this.#reserve = Array.from({ length: 8 }, () => call.eventfd(0, 0)).filter((descriptor) => descriptor >= 0);
    this.watch(sys.EPOLL_CTL_ADD, listener, sys.EPOLLIN);
    this.watch(sys.EPOLL_CTL_ADD, this.#alarm, sys.EPOLLIN | sys.EPOLLONESHOT);
  }

  /** Waits until at least one socket is ready. Returns how many events there are; none at least once a second. */
  async wait(): Promise<number> {
    const { call } = this.calls;
    const { bytes, length } = this.events;
    // Waiting on this thread holds up timers and Ctrl-C; waiting on another one takes 50 µs to come back. So wait here for
    // a millisecond; there when nothing has come by then, and in any case fifty times a second.
    let n = this.now - this.#lastTurn < 20 ? call.epoll_wait(this.#epoll, bytes, length, 1) : 0;
    if (n <= 0) {
      n = await call.wait_for_events(this.#epoll, bytes, length, this.#sweepInterval);
      this.#lastTurn = performance.now();
    }
    this.now = performance.now();
    if (this.now - this.#lastSweep >= this.#sweepInterval) this.#sweep();
    return n;
  }

  /** Adds an accepted connection. */
  add(descriptor: number, name: string): void {
    this.clients.set(descriptor, { descriptor, name, echoed: 0, silentSince: this.now });
    this.watch(sys.EPOLL_CTL_ADD, descriptor, sys.EPOLLIN);
    this.show(name, this.name, new Uint8Array(), "accepted");
    console.log(`Connected by ${name}`);
    if (this.isFull()) this.pause();
  }

  /** Ends the connection of a client to which everything was sent. */
  close(client: PolledClient, why?: string): void {
    // close: the kernel sends FIN, and gives the number to the next socket.
    this.calls.call.close(client.descriptor);
    this.clients.delete(client.descriptor);
    this.show(this.name, client.name, new Uint8Array(), why ?? "closed");
    if (why) console.log(`${client.name} ${why}`);
    else console.log(`${client.name} is done: ${count(client.echoed, "byte")} echoed`);
    this.#served++;
    if (why && this.#stopAt === Infinity) this.failed++;
    this.#resume();
  }

  /** After a call that returned -1: true when it only would have had to wait; anything else ends the client. */
  check(client: PolledClient): boolean {
    const { errno } = this.calls;
    if (errno === "EAGAIN" || errno === "EINTR") return true;
    this.close(client, /^(ECONNRESET|EPIPE|ETIMEDOUT)$/.test(errno) ? "reset the connection" : `was lost: ${errno}`);
    return false;
  }

  isFull(): boolean {
    return this.clients.size >= this.#capacity || (this.flags.once && this.#served + this.clients.size > 0);
  }

  /** Whether there is something left to do: false after the first client with `--once`, and after Ctrl-C. */
  isOpen(): boolean {
    if (this.flags.once && this.#served > 0 && this.clients.size === 0) return false;
    if (this.now >= this.#stopAt) {
      for (const client of this.clients.values()) this.close(client, "did not finish in time: closed");
    }
    return this.#stopAt === Infinity || this.clients.size > 0;
  }

  /** No descriptor is left for another client. Frees a few, for the process needs some, and accepts nobody for now. */
  limitToDescriptors(): void {
    this.pause();
    if (this.#reserve.length === 0) return;
    const connected = count(this.clients.size, "client");
    console.log(`no file descriptors left (${connected} connected): new clients must wait; raise ulimit -n`);
    for (const descriptor of this.#reserve.splice(0)) this.calls.call.close(descriptor);
    this.#capacity = Math.max(1, this.clients.size);
  }

  /** Accepts nobody for now; the kernel keeps the connections in its queue. */
  pause(): void {
    if (this.#accepting) this.watch(sys.EPOLL_CTL_DEL, this.listener, 0);
    this.#accepting = false;
  }

  /** Accepts no more clients, and gives the connected ones five seconds to finish: for Ctrl-C. */
  stop(): void {
    this.#stopAt = performance.now() + GRACE * 1000;
    this.pause();
    this.calls.call.close(this.listener);
    this.calls.call.eventfd_write(this.#alarm, 1n);
    if (this.clients.size === 0) return;
    const left = count(this.clients.size, "client");
    console.log(`stopping: waiting up to ${GRACE} s for ${left} to finish (Ctrl-C again stops now)`);
  }

  /** Adds, changes or removes what the epoll watches of a descriptor. */
  watch(operation: number, descriptor: number, events: number): void {
    const { call } = this.calls;
    this.calls.expect(
      "epoll_ctl",
      call.epoll_ctl(this.#epoll, operation, descriptor, sys.Events.of(descriptor, events)),
    );
  }

  /** Shows a message, with `--trace` or `--pcap`. */
  show(from: string, to: string, data: Uint8Array, note = ""): void {
    showMessage(this.flags, { side: "server", transport: "tcp", from, to, data, note });
  }

  #resume(): void {
    if (this.#accepting || this.isFull() || this.#stopAt !== Infinity) return;
    this.#accepting = true;
    this.watch(sys.EPOLL_CTL_ADD, this.listener, sys.EPOLLIN);
  }

  /** Closes the clients that have been silent for too long. */
  #sweep(): void {
    const { timeout } = this.flags;
    this.#lastSweep = this.now;
    this.#resume();
    if (timeout === 0) return;
    for (const client of this.clients.values()) {
      if (this.now - client.silentSince >= timeout * 1000) this.close(client, `was silent for ${timeout} s: closed`);
    }
  }
}

/** Checks that an epoll's events are as this program knows them. @throws {Failure} with code 3 when they are not. */
export function checkEvents(calls: sys.SystemCalls): void {
  if (!hasThisStruct(calls)) throw new Failure("epoll has another struct here than this script knows", 3);
}

/** Whether an epoll event is laid out as here: two descriptors that are readable must come back. */
export function hasThisStruct({ raw }: Pick<sys.SystemCalls, "raw">): boolean {
  const epoll = raw.epoll_create1(0);
  const descriptors = [raw.eventfd(1, sys.SOCK_NONBLOCK), raw.eventfd(1, sys.SOCK_NONBLOCK)];
  const events = new sys.Events(2);
  for (const each of descriptors) raw.epoll_ctl(epoll, sys.EPOLL_CTL_ADD, each, sys.Events.of(each, sys.EPOLLIN));
  const n = raw.epoll_wait(epoll, events.bytes, events.length, 0);
  for (const each of [epoll, ...descriptors]) raw.close(each);
  const found = [events.descriptor(0), events.descriptor(1)];
  return n === 2 && descriptors.every((each) => found.includes(each));
}
