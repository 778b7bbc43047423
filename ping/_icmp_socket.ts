/**
 * An ICMP socket. Deno has none, so this one calls the C library (`Deno.dlopen`).
 *
 * A round trip on loopback takes 0.04 ms, and much of what a script does takes longer. So the kernel says when a packet
 * arrived (`SO_TIMESTAMPNS`), and the time of a request is read right before it is sent.
 *
 * @module
 */
import { Failure } from "../cli.ts";
import { printAddress } from "../tcp/_address.ts";
import { decodeMessage, encodeEchoRequest, type IpVersion, restoreQuotedLength, stripIpv4Header } from "./_icmp.ts";
import { hasRecvmsg, MessageBuffer, timespec } from "./_recvmsg.ts";

const linux = Deno.build.os === "linux";
const AF_INET = 2;
const AF_INET6 = linux ? 10 : 30;
export const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const IPPROTO_IP = 0;
const IPPROTO_ICMP = 1;
const IPPROTO_IPV6 = 41;
const IPPROTO_ICMPV6 = 58;
const IP_TTL = linux ? 2 : 4;
const IPV6_UNICAST_HOPS = linux ? 16 : 4;
const MSG_DONTWAIT = linux ? 0x40 : 0x80;
const POLLIN = 1;
const CLOCK_REALTIME = 0;
// Linux only:
const SOL_SOCKET = 1;
const SO_TIMESTAMPNS = 35;
const IP_RECVTTL = 12;
const IPV6_RECVHOPLIMIT = 51;

export const libraryPath = linux ? "libc.so.6" : "/usr/lib/libSystem.B.dylib";

const symbols = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" },
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "isize" },
  // On another thread: this call blocks until a packet arrives, and the event loop must not block.
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32", nonblocking: true },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/** When a message was sent or received, by two clocks. */
export interface Moment {
  /** The clock of the kernel's timestamps, in nanoseconds. It is exact, but someone may set it. */
  readonly kernel?: bigint;
  /** `performance.now()`. For what is received it includes the time until this script has noticed. */
  readonly steady: number;
}

/** A received packet: its sender, its TTL if the socket delivers it, and the ICMP message. */
export interface Packet {
  readonly from: string;
  readonly ttl?: number;
  readonly message: Uint8Array;
  readonly received: Moment;
}

/** The milliseconds from one moment to another, or until now: by the kernel's clock, unless it was set in between. */
export function elapsed(sent: Moment, received: Moment = { steady: performance.now() }): number {
  const steady = received.steady - sent.steady;
  if (sent.kernel === undefined || received.kernel === undefined) return steady;
  const exact = Number(received.kernel - sent.kernel) / 1e6;
  return exact >= 0 && exact <= steady ? exact : steady;
}

/**
 * True when so many milliseconds have passed since `sent`, and `packet`, the last one received, is not of that time. What
 * arrived in time counts, even when this script reads it late: it may wait behind older packets.
 */
export function isOver(sent: Moment, limit: number, packet?: Packet): boolean {
  const arrived = packet?.received.kernel;
  if (arrived === undefined || sent.kernel === undefined) return elapsed(sent, packet?.received) >= limit;
  return Number(arrived - sent.kernel) / 1e6 >= limit;
}

export class IcmpSocket {
  readonly #library = openLibrary();
  /** Its file descriptor. */
  readonly fd: number;
  readonly version: IpVersion;
  /**
   * A raw socket receives every ICMP message of the machine. So does a datagram socket of macOS; that of Linux receives only
   * replies to its own requests.
   */
  readonly raw: boolean;
  /** Whether the kernel puts an identifier of its own choice into the requests. */
  readonly hasKernelIdentifier: boolean;
  // The C library writes into these. They are fields, so that they live as long as the socket.
  readonly #clock = new DataView(new ArrayBuffer(16)); // struct timespec
  readonly #events = new Int32Array(new ArrayBuffer(8)); // struct pollfd: the descriptor, and which events to wait for
  readonly #message: MessageBuffer | undefined;
  readonly #packet: Uint8Array<ArrayBuffer>;
  readonly #sender: Uint8Array<ArrayBuffer>;
  #lastSent = -Infinity;
  #receivedInARow = 0;

  /**
   * Opens an unprivileged ICMP datagram socket, or a raw one if that is not allowed. With `receiveErrors` it opens one that
   * receives the ICMP errors that requests cause: on Linux, a raw one.
   *
   * @throws {Failure} with code 3 when neither is allowed; it names the missing setting or privilege.
   */
  constructor(version: IpVersion, receiveErrors = false) {
    this.version = version;
    const { socket } = this.#library.symbols;
    const family = version === 4 ? AF_INET : AF_INET6;
    const protocol = version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    let fd = receiveErrors && linux ? -1 : socket(family, SOCK_DGRAM, protocol);
    this.raw = fd < 0;
    this.hasKernelIdentifier = linux && !this.raw;
    if (fd < 0) fd = socket(family, SOCK_RAW, protocol);
    if (fd < 0) {
      this.#library.close();
      const how = !linux
        ? "run it as root"
        : receiveErrors
        ? "run it as root (CAP_NET_RAW)"
        : 'as root: sysctl -w net.ipv4.ping_group_range="0 2147483647", or run it as root (CAP_NET_RAW)';
      throw new Failure(`this user may not open an ICMP socket; ${how}`, 3);
    }
    this.fd = fd;
    this.#events.set([fd, POLLIN]);
    if (hasRecvmsg && this.#setOption(SOL_SOCKET, SO_TIMESTAMPNS, 1)) {
      this.#message = new MessageBuffer();
      if (version === 4) this.#setOption(IPPROTO_IP, IP_RECVTTL, 1);
      else this.#setOption(IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    }
    this.#packet = new Uint8Array(this.#message ? 0 : 65_536);
    this.#sender = socketAddress(version).name;
    this.#warmUp();
  }

  /** Sets how many routers a packet may pass. @throws {Failure} when the system refuses it. */
  setTtl(ttl: number): void {
    const done = this.version === 4
      ? this.#setOption(IPPROTO_IP, IP_TTL, ttl)
      : this.#setOption(IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl);
    if (!done) throw new Failure(`the system refuses a TTL of ${ttl}`);
  }

  /** Sends a message to an address of 4 or 16 bytes. @throws {Failure} when the system refuses to send it. */
  send(message: Uint8Array<ArrayBuffer>, address: Uint8Array): Moment {
    const to = socketAddress(this.version).name;
    to.set(address, this.version === 4 ? 4 : 8);
    const { clock_gettime, sendto } = this.#library.symbols;
    const length = BigInt(message.length);
    const steady = performance.now();
    clock_gettime(CLOCK_REALTIME, this.#clock); // and nothing else before the message leaves
    const sent = sendto(this.fd, message, length, 0, to, to.length);
    if (sent < 0n) {
      throw new Failure("the system cannot send to this address: is there a route, is the --size too large?");
    }
    this.#lastSent = steady;
    return { kernel: this.#message && timespec(this.#clock), steady };
  }

  /**
   * Returns the next packet, or `undefined` when none arrives until `performance.now()` is `until`, at most a tenth of a
   * second from now. One call at a time.
   */
  async receive(until: number): Promise<Packet | undefined> {
    // A flood of packets must not keep the event loop from timers and Ctrl-C: `#wait` goes through it.
    if (++this.#receivedInARow % 64 === 0) await this.#wait(0);
    let packet = this.#receiveNow();
    // Without the kernel's timestamps, waking up a thread would count as a part of a short round trip.
    while (!packet && !this.#message && performance.now() < Math.min(until, this.#lastSent + 1)) {
      packet = this.#receiveNow();
    }
    if (packet) return packet;
    this.#receivedInARow = 0;
    await this.#wait(Math.min(until - performance.now(), 100));
    return this.#receiveNow();
  }

  /** Closes the socket. No `receive` may be waiting. */
  close(): void {
    this.#library.symbols.close(this.fd);
    this.#library.close();
  }

  /** Waits for a packet, at most so many milliseconds. */
  async #wait(limit: number): Promise<void> {
    await this.#library.symbols.poll(this.#events, 1n, Math.max(0, Math.ceil(limit)));
  }

  /** Returns the packet that has arrived; does not wait for one. */
  #receiveNow(): Packet | undefined {
    const { recvmsg, recvfrom } = this.#library.symbols;
    let n: number;
    if (this.#message) {
      this.#message.reset();
      n = Number(recvmsg(this.fd, this.#message.header, MSG_DONTWAIT));
    } else {
      const [packet, sender] = [this.#packet, this.#sender];
      const size = new Uint32Array([sender.length]);
      n = Number(recvfrom(this.fd, packet, BigInt(packet.length), MSG_DONTWAIT, sender, size));
    }
    const steady = performance.now();
    return n < 0 ? undefined : this.#received(n, steady);
  }

  /** The packet of `n` bytes in the buffer. */
  #received(n: number, steady: number): Packet {
    const { arrived, ttl } = this.#message?.control() ?? {};
    const packet = this.#message?.packet(n) ?? this.#packet.slice(0, n);
    const sender = this.#message?.sender ?? this.#sender;
    const from = printAddress(sender.subarray(...this.version === 4 ? [4, 8] : [8, 24]));
    const received = { kernel: arrived, steady };
    // A raw socket delivers the IPv4 header, too, and so does a datagram socket of macOS.
    const headed = this.version === 4 && (this.raw || !linux) ? stripIpv4Header(packet) : undefined;
    const message = headed ? restoreQuotedLength(headed.message) : packet;
    return { from, ttl: headed?.ttl ?? ttl, message, received };
  }

  /** Runs once what runs between a request and its reply, so that the first request pays for no compilation. */
  #warmUp(): void {
    const { clock_gettime, sendto } = this.#library.symbols;
    clock_gettime(CLOCK_REALTIME, this.#clock);
    sendto(-1, this.#sender, 0n, 0, this.#sender, this.#sender.length); // no such descriptor
    this.#receiveNow();
    this.#received(0, performance.now());
    const payload = new Uint8Array(56);
    decodeMessage(this.version, encodeEchoRequest(this.version, { identifier: 0, sequence: 0, payload }));
  }

  #setOption(level: number, option: number, value: number): boolean {
    return this.#library.symbols.setsockopt(this.fd, level, option, new Int32Array([value]), 4) === 0;
  }
}

/** A struct sockaddr_in or sockaddr_in6, still without an address. */
export function socketAddress(version: IpVersion): { name: Uint8Array<ArrayBuffer>; family: number } {
  const size = version === 4 ? 16 : 28;
  const family = version === 4 ? AF_INET : AF_INET6;
  const name = new Uint8Array(size);
  if (linux) new Uint16Array(name.buffer)[0] = family; // in the machine's own byte order
  else name.set([size, family]);
  return { name, family };
}

/** Opens the C library. @throws {Failure} with code 1 without the permission, with code 3 where there is none. */
function openLibrary(): Deno.DynamicLibrary<typeof symbols> {
  if (Deno.build.os === "windows") {
    throw new Failure("this script needs the ICMP sockets of Linux or macOS: on Windows use ping.ts, or tracert", 3);
  }
  // The permission for one library holds for a path, and the path of libc differs between systems: ask for the whole one.
  if (Deno.permissions.requestSync({ name: "ffi" }).state !== "granted") {
    throw new Failure("no permission to call the C library: add --allow-ffi", 2, "--allow-ffi");
  }
  try {
    return Deno.dlopen(libraryPath, symbols);
  } catch (error) {
    throw new Failure(`the C library cannot be opened: ${error instanceof Error ? error.message : error}`, 3);
  }
}
