/**
 * An ICMP socket of the C library, for Deno has none: `socket`, `sendto` and `recvfrom` through `Deno.dlopen`.
 *
 * @module
 */
import { Failure } from "../cli.ts";
import { type Version, withoutHeader } from "./icmp.ts";

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
  // On a thread of its own: it blocks until a packet comes, and the event loop must not.
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "isize", nonblocking: true },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/** A packet that has come: who sent it, its time to live where the socket tells it, and the ICMP message. */
export interface Packet {
  readonly from: string;
  readonly ttl?: number;
  readonly message: Uint8Array;
}

/** An open ICMP socket. */
export class IcmpSocket {
  readonly #library: Deno.DynamicLibrary<typeof symbols>;
  readonly #fd: number;
  readonly #version: Version;
  /** A raw socket sees every ICMP message of the machine; the other only replies to what it sent itself. */
  readonly raw: boolean;
  #receiving: Promise<unknown> = Promise.resolve();

  /**
   * Opens the unprivileged ICMP datagram socket or, where that is not allowed, a raw one; `errors` is for who wants to hear
   * the errors that requests draw, which only a raw one does.
   *
   * @throws {Failure} with code 3 when neither is allowed, naming the setting or right that is missing.
   */
  constructor(version: Version, ttl?: number, errors = false) {
    if (Deno.build.os === "windows") throw new Failure("this needs the sockets of Linux or macOS: try ping.ts", 3);
    try {
      this.#library = Deno.dlopen(linux ? "libc.so.6" : "libSystem.dylib", symbols);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) {
        throw new Failure("no permission to call the C library: add --allow-ffi", 1);
      }
      throw new Failure(`the C library cannot be opened: ${error instanceof Error ? error.message : error}`, 3);
    }
    const { socket, setsockopt, close } = this.#library.symbols;
    const family = version === 4 ? AF_INET : AF_INET6;
    const protocol = version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    let fd = errors ? -1 : socket(family, SOCK_DGRAM, protocol);
    this.raw = fd < 0;
    if (fd < 0) fd = socket(family, SOCK_RAW, protocol);
    if (fd < 0) {
      this.#library.close();
      const how = errors
        ? "run it as root (CAP_NET_RAW)"
        : linux
        ? 'as root: sysctl -w net.ipv4.ping_group_range="0 2147483647", or run it as root (CAP_NET_RAW)'
        : "run it as root";
      throw new Failure(`this user may not open an ICMP socket; ${how}`, 3);
    }
    this.#fd = fd;
    this.#version = version;
    const timeout = new BigInt64Array([0n, 100_000n]); // struct timeval: how long one recvfrom blocks
    let failed = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.byteLength) < 0;
    if (ttl !== undefined) {
      const [level, option] = version === 4 ? [0, IP_TTL] : [41, IPV6_UNICAST_HOPS];
      failed ||= setsockopt(fd, level, option, new Int32Array([ttl]), 4) < 0;
    }
    if (failed) {
      close(fd);
      this.#library.close();
      throw new Failure("the ICMP socket takes no time limit or no --ttl");
    }
  }

  /** Sends a message to an address in numbers. @throws {Failure} when the system refuses to send it. */
  send(message: Uint8Array<ArrayBuffer>, address: Uint8Array): void {
    const to = this.#socketAddress();
    to.set(address, this.#version === 4 ? 4 : 8);
    const sent = this.#library.symbols.sendto(this.#fd, message, BigInt(message.length), 0, to, to.length);
    if (sent < 0n) {
      throw new Failure("the system cannot send to this address: is there a route, is the --size too large?");
    }
  }

  /** The next packet; `undefined` when none has come for a tenth of a second. One call at a time. */
  async receive(): Promise<Packet | undefined> {
    const buffer = new Uint8Array(65_536);
    const from = this.#socketAddress();
    const length = new Uint32Array([from.length]);
    const receiving = this.#library.symbols.recvfrom(this.#fd, buffer, BigInt(buffer.length), 0, from, length);
    this.#receiving = receiving;
    const n = Number(await receiving);
    if (n < 0) return undefined;
    const packet = buffer.subarray(0, n);
    const sender = formatAddress(from.subarray(...this.#version === 4 ? [4, 8] : [8, 24]));
    // macOS delivers the IPv4 header on the datagram socket too.
    const headed = this.#version === 4 && (this.raw || !linux) ? withoutHeader(packet) : undefined;
    return headed ? { from: sender, ...headed } : { from: sender, message: packet };
  }

  /** Closes the socket, once a `receive` that is still blocked has come back. */
  async close(): Promise<void> {
    await this.#receiving;
    this.#library.symbols.close(this.#fd);
    this.#library.close();
  }

  /** struct sockaddr_in or sockaddr_in6, with no address in it yet. */
  #socketAddress(): Uint8Array<ArrayBuffer> {
    const size = this.#version === 4 ? 16 : 28;
    const family = this.#version === 4 ? AF_INET : AF_INET6;
    const addr = new Uint8Array(size);
    if (linux) new Uint16Array(addr.buffer)[0] = family; // in the machine's own byte order
    else addr.set([size, family]);
    return addr;
  }
}

/** The bytes of an address written in numbers; `undefined` when it is none. */
export function parseAddress(text: string): { version: Version; bytes: Uint8Array } | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (four) {
    const bytes = four.slice(1).map(Number);
    return bytes.every((byte) => byte < 256) ? { version: 4, bytes: Uint8Array.from(bytes) } : undefined;
  }
  if (!text.includes(":") || !URL.canParse(`http://[${text}]/`)) return undefined;
  // The URL parser knows every way to write an IPv6 address, and turns it into groups with at most one "::".
  const [head = "", tail = ""] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split("::");
  const groups = (part: string) => part === "" ? [] : part.split(":").map((group) => parseInt(group, 16));
  const [left, right] = [groups(head), groups(tail)];
  const all = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  return { version: 6, bytes: Uint8Array.from(all.flatMap((group) => [group >> 8, group & 255])) };
}

function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from(
    { length: 8 },
    (_, i) => (((bytes[2 * i] ?? 0) << 8) + (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}
