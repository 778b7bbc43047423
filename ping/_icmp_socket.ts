/**
 * An ICMP socket. Deno has none, so this one calls `socket`, `sendto` and `recvfrom` of the C library (`Deno.dlopen`).
 *
 * @module
 */
import { Failure } from "../cli.ts";
import { printAddress } from "../udp/_address.ts";
import { type IpVersion, stripIpv4Header } from "./_icmp.ts";

const linux = Deno.build.os === "linux";
const AF_INET = 2;
const AF_INET6 = linux ? 10 : 30;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const SOL_SOCKET = linux ? 1 : 0xffff;
const SO_RCVTIMEO = linux ? 20 : 0x1006;
const IP_TTL = linux ? 2 : 4;
const IPV6_UNICAST_HOPS = linux ? 16 : 4;

const symbols = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  // On another thread: this call blocks until a packet arrives, and the event loop must not block.
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "isize", nonblocking: true },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/** A received packet: its sender, its TTL if the socket delivers it, and the ICMP message. */
export interface Packet {
  readonly from: string;
  readonly ttl?: number;
  readonly message: Uint8Array;
}

export class IcmpSocket {
  readonly #library: Deno.DynamicLibrary<typeof symbols>;
  readonly #fd: number;
  readonly version: IpVersion;
  /** A raw socket receives every ICMP message of the machine; a datagram socket only replies to its own requests. */
  readonly raw: boolean;
  #receiving: Promise<unknown> = Promise.resolve();

  /**
   * Opens an unprivileged ICMP datagram socket, or a raw one if that is not allowed. With `receiveErrors` it opens a raw
   * one, because only a raw socket receives the ICMP errors that requests cause.
   *
   * @throws {Failure} with code 3 when neither is allowed; it names the missing setting or privilege.
   */
  constructor(version: IpVersion, ttl?: number, receiveErrors = false) {
    if (Deno.build.os === "windows") {
      throw new Failure("this script needs the ICMP sockets of Linux or macOS: use ping.ts", 3);
    }
    try {
      this.#library = Deno.dlopen(linux ? "libc.so.6" : "libSystem.dylib", symbols);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) {
        throw new Failure("no permission to call the C library: add --allow-ffi", 1, "--allow-ffi");
      }
      throw new Failure(`the C library cannot be opened: ${error instanceof Error ? error.message : error}`, 3);
    }
    const { socket, setsockopt, close } = this.#library.symbols;
    const family = version === 4 ? AF_INET : AF_INET6;
    const protocol = version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    let fd = receiveErrors ? -1 : socket(family, SOCK_DGRAM, protocol);
    this.raw = fd < 0;
    if (fd < 0) fd = socket(family, SOCK_RAW, protocol);
    if (fd < 0) {
      this.#library.close();
      const how = receiveErrors
        ? "run it as root (CAP_NET_RAW)"
        : linux
        ? 'as root: sysctl -w net.ipv4.ping_group_range="0 2147483647", or run it as root (CAP_NET_RAW)'
        : "run it as root";
      throw new Failure(`this user may not open an ICMP socket; ${how}`, 3);
    }
    this.#fd = fd;
    this.version = version;
    const timeout = new BigInt64Array([0n, 100_000n]); // struct timeval: how long one recvfrom blocks
    let failed = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.byteLength) < 0;
    if (ttl !== undefined) {
      const [level, option] = version === 4 ? [0, IP_TTL] : [41, IPV6_UNICAST_HOPS];
      failed ||= setsockopt(fd, level, option, new Int32Array([ttl]), 4) < 0;
    }
    if (failed) {
      close(fd);
      this.#library.close();
      throw new Failure("the system refuses a time limit or this --ttl for the ICMP socket");
    }
  }

  /** Sends a message to an address of 4 or 16 bytes. @throws {Failure} when the system refuses to send it. */
  send(message: Uint8Array<ArrayBuffer>, address: Uint8Array): void {
    const to = this.#socketAddress();
    to.set(address, this.version === 4 ? 4 : 8);
    const sent = this.#library.symbols.sendto(this.#fd, message, BigInt(message.length), 0, to, to.length);
    if (sent < 0n) {
      throw new Failure("the system cannot send to this address: is there a route, is the --size too large?");
    }
  }

  /** Returns the next packet; `undefined` when none arrives for a tenth of a second. One call at a time. */
  async receive(): Promise<Packet | undefined> {
    const buffer = new Uint8Array(65_536);
    const from = this.#socketAddress();
    const length = new Uint32Array([from.length]);
    const receiving = this.#library.symbols.recvfrom(this.#fd, buffer, BigInt(buffer.length), 0, from, length);
    this.#receiving = receiving;
    const n = Number(await receiving);
    if (n < 0) return undefined;
    const packet = buffer.subarray(0, n);
    const sender = printAddress(from.subarray(...this.version === 4 ? [4, 8] : [8, 24]));
    // macOS delivers the IPv4 header on a datagram socket, too.
    const headed = this.version === 4 && (this.raw || !linux) ? stripIpv4Header(packet) : undefined;
    return headed ? { from: sender, ...headed } : { from: sender, message: packet };
  }

  /** Closes the socket after a `receive` that is still blocked has returned. */
  async close(): Promise<void> {
    await this.#receiving;
    this.#library.symbols.close(this.#fd);
    this.#library.close();
  }

  /** A struct sockaddr_in or sockaddr_in6, still without an address. */
  #socketAddress(): Uint8Array<ArrayBuffer> {
    const size = this.version === 4 ? 16 : 28;
    const family = this.version === 4 ? AF_INET : AF_INET6;
    const addr = new Uint8Array(size);
    if (linux) new Uint16Array(addr.buffer)[0] = family; // in the machine's own byte order
    else addr.set([size, family]);
    return addr;
  }
}
