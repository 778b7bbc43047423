/**
 * Text of which each character is one byte (ISO 8859-1). HTTP does not say which encoding a field's value has (RFC 9110 §5.5);
 * a proxy passes on the bytes that it has received.
 *
 * @module
 */

/** Decodes bytes, each into the character of its number. `TextDecoder("latin1")` would change 0x80–0x9f. */
export function decodeLatin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}

const encoder = new TextEncoder();

/** Encodes text that `decodeLatin1` has made. */
export function encodeLatin1(text: string): Uint8Array<ArrayBuffer> {
  if (/^[\0-\x7f]*$/.test(text)) return encoder.encode(text);
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
