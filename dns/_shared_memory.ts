/**
 * Arrays of numbers that threads can share: of all that JavaScript has, only these may belong to several threads.
 *
 * @module
 */

export type Bytes = Uint8Array<SharedArrayBuffer>;
export type Words = Uint32Array<SharedArrayBuffer>;

export const newBytes = (length: number): Bytes => new Uint8Array(new SharedArrayBuffer(length));
export const newWords = (length: number): Words => new Uint32Array(new SharedArrayBuffer(4 * length));

/** An array with the content of `old`, and with room for `length` bytes, or for twice as many as before if that is more. */
export function moreBytes(old: Bytes, length: number): Bytes {
  const bigger = newBytes(Math.max(length, 2 * old.length));
  bigger.set(old);
  return bigger;
}

/** An array with the content of `old`, and with room for twice as many words. */
export function moreWords(old: Words): Words {
  const bigger = newWords(2 * old.length);
  bigger.set(old);
  return bigger;
}
