/**
 * Joins byte arrays, above all a head and its body for one write. With two writes, Nagle's algorithm can hold the second back
 * until the first is acknowledged.
 */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
