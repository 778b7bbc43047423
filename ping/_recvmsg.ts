/**
 * The memory that `recvmsg` works on, as 64-bit Linux lays it out: a `struct msghdr`, which points to room for the packet,
 * its sender and its control messages. The layout is the same on x86-64 and arm64.
 *
 * @module
 */

/** True where the layouts below hold. Elsewhere `recvfrom` has to do. */
export const hasRecvmsg = Deno.build.os === "linux" && ["x86_64", "aarch64"].includes(Deno.build.arch);

const SOL_SOCKET = 1;
const SCM_TIMESTAMPNS = 35;
const hopLimits = [[0, 2], [41, 52]] as const; // IP_TTL of IPPROTO_IP; IPV6_HOPLIMIT of IPPROTO_IPV6

/** What the kernel says about a packet beside its bytes. */
export interface Control {
  /** When it arrived, in nanoseconds since 1970: `SO_TIMESTAMPNS`. */
  readonly arrived?: bigint;
  /** Its TTL or hop limit: `IP_RECVTTL`, `IPV6_RECVHOPLIMIT`. */
  readonly ttl?: number;
}

/**
 * Parses control messages. Each is a `struct cmsghdr` (length of 8 bytes, level and type of 4 each) and its data, padded
 * to a multiple of 8 bytes. One with an impossible length ends the list.
 */
export function parseControl(bytes: Uint8Array): Control {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: { arrived?: bigint; ttl?: number } = {};
  for (let at = 0; at + 16 <= bytes.length;) {
    const length = Number(view.getBigUint64(at, true));
    if (length < 16 || at + length > bytes.length) break;
    const [level, type, data] = [view.getInt32(at + 8, true), view.getInt32(at + 12, true), at + 16];
    if (level === SOL_SOCKET && type === SCM_TIMESTAMPNS && length >= 32) found.arrived = timespec(view, data);
    if (length >= 20 && hopLimits.some((each) => each[0] === level && each[1] === type)) {
      found.ttl = view.getInt32(data, true);
    }
    at += Math.ceil(length / 8) * 8;
  }
  return found;
}

/** A `struct timespec` (seconds and nanoseconds of 8 bytes each) in nanoseconds. */
export function timespec(view: DataView, at = 0): bigint {
  return view.getBigInt64(at, true) * 1_000_000_000n + view.getBigInt64(at + 8, true);
}

const header = { at: 0, size: 56 };
const vector = { at: 56, size: 16 }; // one struct iovec
const sender = { at: 72, size: 32 };
const control = { at: 104, size: 256 };
const packet = { at: 360, size: 65_536 };

/** A `struct msghdr` and all that it points to. C knows only addresses, so this object must live as long as they are used. */
export class MessageBuffer {
  // One ArrayBuffer of its own: it never moves. The garbage collector may move the bytes of a small typed array.
  readonly #memory = new ArrayBuffer(packet.at + packet.size);
  readonly #view = new DataView(this.#memory);
  /** What to give to `recvmsg`. */
  readonly header = new Uint8Array(this.#memory, header.at, header.size);
  readonly sender = new Uint8Array(this.#memory, sender.at, sender.size);

  constructor() {
    const base = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.#memory)));
    const set = (at: number, value: bigint) => this.#view.setBigUint64(at, value, true);
    set(0, base + BigInt(sender.at)); // msg_name
    set(16, base + BigInt(vector.at)); // msg_iov
    set(24, 1n); // msg_iovlen
    set(32, base + BigInt(control.at)); // msg_control
    set(vector.at, base + BigInt(packet.at)); // iov_base
    set(vector.at + 8, BigInt(packet.size)); // iov_len
  }

  /** Before each call: the kernel has replaced both lengths by those of the packet before. */
  reset(): void {
    this.#view.setUint32(8, sender.size, true); // msg_namelen
    this.#view.setBigUint64(40, BigInt(control.size), true); // msg_controllen
  }

  /** A copy of the first `length` bytes of the packet that has arrived. */
  packet(length: number): Uint8Array {
    return new Uint8Array(this.#memory, packet.at, Math.min(length, packet.size)).slice();
  }

  control(): Control {
    const length = Math.min(Number(this.#view.getBigUint64(40, true)), control.size);
    return parseControl(new Uint8Array(this.#memory, control.at, length));
  }
}
