/**
 * The memory that recvmmsg and sendmmsg work on, as 64-bit Linux lays it out on x86-64 and arm64.
 *
 * @module
 */
import * as sys from "../tcp/_system_calls.ts";

/** Datagrams in a batch. */
export const BATCH = 64;
/** Room for the longest datagram. */
export const SLOT = 65_536;
/** A `struct sockaddr_in6`, rounded up. */
export const NAME = 32;
/** A `struct mmsghdr` of 64-bit Linux: a `struct msghdr` of 56 bytes, the length that was moved, and a gap. */
export const HEADER = 64;
const VECTOR = 16; // struct iovec: an address and a length of 8 bytes each

/** What recvmmsg or sendmmsg works on: headers, each of which points to an address and to the bytes of a datagram. */
export class Messages {
  // C knows these by their addresses alone. Each is an ArrayBuffer of its own, which never moves, held by this object.
  readonly headers = new Uint8Array(new ArrayBuffer(BATCH * HEADER));
  readonly data = new Uint8Array(new ArrayBuffer(BATCH * SLOT));
  readonly names = new Uint8Array(new ArrayBuffer(BATCH * NAME));
  /** The same memory as `names`. */
  readonly nameWords = new Uint32Array(this.names.buffer);
  readonly #header = new DataView(this.headers.buffer);
  readonly #vectors = new DataView(new ArrayBuffer(BATCH * VECTOR));

  constructor() {
    const [name, data, vector] = [this.names.buffer, this.data.buffer, this.#vectors.buffer].map(addressOf);
    for (let i = 0; i < BATCH; i++) {
      const header = i * HEADER;
      this.#header.setBigUint64(header, (name ?? 0n) + BigInt(i * NAME), true); // msg_name
      this.#header.setBigUint64(header + 16, (vector ?? 0n) + BigInt(i * VECTOR), true); // msg_iov
      this.#header.setBigUint64(header + 24, 1n, true); // msg_iovlen
      this.#vectors.setBigUint64(i * VECTOR, (data ?? 0n) + BigInt(i * SLOT), true); // iov_base
      this.#vectors.setUint32(i * VECTOR + 8, SLOT, true); // iov_len
    }
  }

  setNameLength(index: number, length: number): void {
    this.#header.setUint32(index * HEADER + 8, length, true);
  }

  /** A copy of an address. */
  name(index: number): Uint8Array<ArrayBuffer> {
    return this.names.slice(index * NAME, (index + 1) * NAME);
  }

  /** How many bytes were received into a slot. */
  received(index: number): number {
    return this.#header.getUint32(index * HEADER + 56, true);
  }

  /** A received datagram: a view. */
  datagram(index: number): Uint8Array<ArrayBuffer> {
    const start = index * SLOT;
    return this.data.subarray(start, start + this.received(index));
  }

  /** Copies a datagram that is to be sent. */
  setDatagram(index: number, data: Uint8Array): void {
    this.data.set(data, index * SLOT);
    this.#vectors.setUint32(index * VECTOR + 8, data.length, true);
  }
}

const addressOf = (memory: ArrayBuffer): bigint => BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory)));

/** The words of an address: as many as a `struct sockaddr_in6` has. */
const NAME_WORDS = 7;

/** Copies an address from one slot to another, word by word: quicker than a view and `set` for so few bytes. */
export function copyName(from: Messages, index: number, to: Messages, slot: number): void {
  const [source, target] = [index * NAME / 4, slot * NAME / 4];
  for (let i = 0; i < NAME_WORDS; i++) to.nameWords[target + i] = from.nameWords[source + i] ?? 0;
}

/**
 * Whether the structs of this machine are laid out as here: two datagrams from a socket to itself must come back as they were
 * sent, with their lengths and their sender.
 */
export function hasTheseStructs({ raw }: Pick<sys.SystemCalls, "raw">): boolean {
  const [sent, received] = [new Messages(), new Messages()];
  const socket = raw.socket(sys.AF_INET, sys.SOCK_DGRAM | sys.SOCK_NONBLOCK, 0);
  try {
    const own = new Uint8Array(16); // struct sockaddr_in
    new Uint16Array(own.buffer)[0] = sys.AF_INET;
    own.set([127, 0, 0, 1], 4);
    if (raw.bind(socket, own, own.length) < 0) return true; // no loopback: nothing can be said
    raw.getsockname(socket, own, new Uint32Array([own.length]));
    for (const [i, text] of ["a", "layout"].entries()) {
      sent.setDatagram(i, new TextEncoder().encode(text));
      sent.names.set(own, i * NAME);
      sent.setNameLength(i, own.length);
      received.setNameLength(i, NAME);
    }
    if (raw.sendmmsg(socket, sent.headers, 2, 0) !== 2) return false;
    if (raw.recvmmsg(socket, received.headers, 2, sys.MSG_DONTWAIT, null) !== 2) return false;
    return [0, 1].every((i) =>
      new TextDecoder().decode(received.datagram(i)) === ["a", "layout"][i] &&
      received.name(i).subarray(0, own.length).every((byte, k) => byte === own[k])
    );
  } finally {
    raw.close(socket);
  }
}
