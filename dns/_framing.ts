/**
 * DNS messages on a TCP stream, which has no boundaries: each one follows its length in two bytes (RFC 1035 §4.2.2).
 *
 * @module
 */

/** The most bytes that a message and its length have. */
export const MAX_FRAME = 2 + 65535;

/** A message after its length, to be sent with one write. */
export function withLength(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(2 + message.length);
  frame[0] = message.length >> 8;
  frame[1] = message.length;
  frame.set(message, 2);
  return frame;
}

/** The first message in the bytes of a stream, without its length; `undefined` while it is incomplete. */
export function firstMessage(bytes: Uint8Array): Uint8Array | undefined {
  const [high, low] = [bytes[0], bytes[1]];
  if (high === undefined || low === undefined) return undefined;
  const end = 2 + (high << 8 | low);
  return end <= bytes.length ? bytes.subarray(2, end) : undefined;
}
