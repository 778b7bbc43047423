/**
 * The system calls of sockets, through the C library (`Deno.dlopen`), for Linux on x86-64 and arm64.
 *
 * A call returns -1 when it fails; `errno` then says why. The numbers and the sizes of the structs are the kernel's.
 *
 * @module
 */
import { type Address, Failure } from "../cli.ts";

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const SHUT_WR = 1;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLONESHOT = 1 << 30;
export const POLLIN = 1;
export const POLLOUT = 4;
export const AF_INET = 2;
const AF_INET6 = 10;

// A length is a size_t, of 64 bits. Both architectures pass it in a register whose upper half a 32-bit value clears, and a
// number is quicker to pass than a BigInt.
const symbols = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  recvmmsg: { parameters: ["i32", "buffer", "u32", "i32", "pointer"], result: "i32" },
  sendmmsg: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  eventfd_write: { parameters: ["i32", "u64"], result: "i32" },
  freeaddrinfo: { parameters: ["pointer"], result: "void" },
  inet_ntop: { parameters: ["i32", "buffer", "buffer", "u32"], result: "pointer" },
  __errno_location: { parameters: [], result: "pointer" },
  poll_here: { name: "poll", parameters: ["buffer", "u32", "i32"], result: "i32" },
  // On another thread: these wait, and the event loop must go on (timers, Ctrl-C).
  getaddrinfo: { parameters: ["buffer", "buffer", "buffer", "buffer"], result: "i32", nonblocking: true },
  wait_for_events: {
    name: "epoll_wait",
    parameters: ["i32", "buffer", "i32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32", nonblocking: true },
} as const;

type Symbols = Deno.StaticForeignLibraryInterface<typeof symbols>;
export type Bytes = Uint8Array<ArrayBuffer>;

/** The reasons of a failed call that a program acts on, by their number on Linux. */
const reasons: Record<number, string> = {
  4: "EINTR",
  11: "EAGAIN",
  13: "EACCES",
  23: "ENFILE",
  24: "EMFILE",
  32: "EPIPE",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  101: "ENETUNREACH",
  103: "ECONNABORTED",
  104: "ECONNRESET",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  113: "EHOSTUNREACH",
  115: "EINPROGRESS",
};

/** The name of an error's number: `EAGAIN`, or `errno 12` for one that no program here acts on. */
export const nameOf = (errno: number): string => reasons[errno] ?? `errno ${errno}`;

/** A system call that failed. `code` is the name of its `errno`. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  constructor(call: string, readonly code: string) {
    super(`${call} failed: ${code}`);
  }
}

/** The calls. With `show`, each is printed on stderr with its arguments and its result, as strace does. */
export class SystemCalls {
  readonly #symbols: Symbols;
  readonly #errno: Deno.UnsafePointerView;
  /** The calls by their names, as C has them. */
  readonly call: Symbols;
  /** The same, never printed: for what is no part of an exchange. */
  readonly raw: Symbols;
  #shownErrno: number | undefined;
  /** What a call on another thread reads and writes: held here, so that it is not collected meanwhile. */
  #lookup: object | undefined;

  /** @throws {Failure} on another system (code 3), or without the permission (code 2). */
  constructor(show = false) {
    this.#symbols = openLibrary();
    const errno = this.#symbols.__errno_location();
    if (errno === null) throw new Failure("the C library has no errno", 3);
    this.#errno = new Deno.UnsafePointerView(errno);
    this.raw = this.#symbols;
    this.call = show ? this.#shown() : this.#symbols;
  }

  /** Why the last call failed. */
  get errno(): string {
    return nameOf(this.#shownErrno ?? this.#errno.getInt32());
  }

  /** Returns the result of a call. @throws {SystemError} when it is -1. */
  expect(name: string, result: number): number {
    if (result < 0) throw new SystemError(name, this.errno);
    return result;
  }

  /**
   * The first address of a name, as a `struct sockaddr` for bind and connect (getaddrinfo, RFC 3493 §6.1).
   *
   * @throws {SystemError} with the code ENOTFOUND.
   */
  async resolve({ hostname, port }: Address): Promise<{ family: number; bytes: Bytes }> {
    const { getaddrinfo, freeaddrinfo } = this.#symbols;
    const name = new TextEncoder().encode(`${hostname}\0`);
    const service = new TextEncoder().encode(`${port}\0`);
    const hints = new Int32Array(12); // struct addrinfo: flags, family, type, protocol, …
    hints[2] = SOCK_STREAM;
    const found = new BigUint64Array(1); // a pointer to the first of a list
    this.#lookup = { name, service, hints, found };
    const failed = await getaddrinfo(name, service, hints, found);
    const info = failed === 0 ? Deno.UnsafePointer.create(found[0] ?? 0n) : null;
    if (info === null) throw new SystemError("getaddrinfo", "ENOTFOUND");
    const fields = new Deno.UnsafePointerView(info);
    const family = fields.getInt32(4);
    const bytes = new Uint8Array(fields.getUint32(16)); // socklen_t ai_addrlen, then a gap, then a pointer: ai_addr
    const address = fields.getPointer(24);
    if (address) new Deno.UnsafePointerView(address).copyInto(bytes);
    freeaddrinfo(info);
    this.#lookup = undefined;
    return { family, bytes };
  }

  /** The address in a `struct sockaddr`. */
  addressIn(bytes: Bytes): Address {
    const family = new Uint16Array(bytes.buffer)[0] ?? 0;
    const name = new Uint8Array(46); // INET6_ADDRSTRLEN
    this.call.inet_ntop(family, bytes.subarray(family === AF_INET6 ? 8 : 4), name, name.length);
    const hostname = new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
    return { hostname, port: new DataView(bytes.buffer).getUint16(2) };
  }

  /** The calls, each of which prints itself. */
  #shown(): Symbols {
    return new Proxy({ ...this.#symbols }, {
      get: (target, name: keyof Symbols & string) => (...args: unknown[]) => {
        const result: unknown = Reflect.apply(Reflect.get(target, name), undefined, args);
        // Printing makes system calls of its own, and they change errno.
        this.#shownErrno = this.#errno.getInt32();
        if (result instanceof Promise) {
          return result.then((n: unknown) => {
            if (n !== 0) console.error(this.#line(name === "wait_for_events" ? "epoll_wait" : name, args, n));
            return n;
          });
        }
        const isHelper = /^(inet_ntop|eventfd|freeaddrinfo|__errno)/.test(name);
        // What only asks whether there is something would fill the screen.
        const isQuestion = /^(epoll_wait|poll)/.test(name) && result === 0 || name === "recvmmsg" && result === -1;
        if (!isHelper && !isQuestion) console.error(this.#line(name, args, result));
        return result;
      },
    });
  }

  #line(name: string, args: unknown[], result: unknown): string {
    const moved = name === "recv" || name === "send" ? Number(result) : 0;
    const words = args.map((arg) => {
      if (!(arg instanceof Uint8Array)) return arg instanceof Int32Array ? `[${arg}]` : String(arg);
      if (moved <= 0) return "{…}";
      return JSON.stringify(new TextDecoder().decode(arg.subarray(0, Math.min(moved, 32)))) + (moved > 32 ? "…" : "");
    });
    return `${name}(${words.join(", ")}) = ${result}${result === -1 ? ` ${this.errno}` : ""}`;
  }
}

/**
 * The events of an epoll: an array of `struct epoll_event`, which is packed on x86-64 and has a gap of four bytes elsewhere.
 * `data`, which the kernel returns as it was given, is the descriptor.
 */
export class Events {
  readonly bytes: Bytes;
  readonly #words: Int32Array;
  static readonly #size = Deno.build.arch === "x86_64" ? 12 : 16;

  constructor(readonly length: number) {
    this.bytes = new Uint8Array(length * Events.#size);
    this.#words = new Int32Array(this.bytes.buffer);
  }

  /** The descriptor of the event at `index`. */
  descriptor(index: number): number {
    return this.#words[(index + 1) * Events.#size / 4 - 2] ?? -1;
  }

  /** One `struct epoll_event`: wait for `events` of this descriptor. */
  static of(descriptor: number, events: number): Bytes {
    const one = new Events(1);
    one.#words[0] = events;
    one.#words[Events.#size / 4 - 2] = descriptor;
    return one.bytes;
  }
}

function openLibrary(): Symbols {
  const { os, arch } = Deno.build;
  if (os !== "linux") throw new Failure("this needs system calls that only Linux has", 3);
  if (arch !== "x86_64" && arch !== "aarch64") throw new Failure(`the structs of ${arch} are not known here`, 3);
  // The permission for one library is bound to its path, which differs between systems: ask for the whole one.
  if (Deno.permissions.requestSync({ name: "ffi" }).state !== "granted") {
    throw new Failure("no permission to call the C library: add --allow-ffi", 2, "--allow-ffi");
  }
  try {
    return Deno.dlopen("libc.so.6", symbols).symbols;
  } catch (error) {
    throw new Failure(`the C library cannot be opened: ${error instanceof Error ? error.message : error}`, 3);
  }
}
