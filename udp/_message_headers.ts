/**
 * The memory that recvmmsg and sendmmsg work on, as 64-bit Linux lays it out on x86-64 and arm64.
 *
 * @module
 */

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
  readonly #header = new DataView(this.headers.buffer);
  readonly #vectors = new DataView(new ArrayBuffer(BATCH * VECTOR));
  readonly #slots = Array.from({ length: BATCH }, (_, i) => i);

  constructor(readonly names: Uint8Array<ArrayBuffer>) {
    const [name, data, vector] = [names.buffer, this.data.buffer, this.#vectors.buffer].map(addressOf);
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

  /** Sends to another slot of the addresses than the one with the same index. */
  setName(index: number, slot: number): void {
    if (this.#slots[index] === slot) return;
    this.#slots[index] = slot;
    this.#header.setBigUint64(index * HEADER, addressOf(this.names.buffer) + BigInt(slot * NAME), true);
  }

  /** How many bytes were received into a slot. */
  received(index: number): number {
    return this.#header.getUint32(index * HEADER + 56, true);
  }

  setLength(index: number, length: number): void {
    this.#vectors.setUint32(index * VECTOR + 8, length, true);
  }
}

const addressOf = (memory: ArrayBuffer): bigint => BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory)));
