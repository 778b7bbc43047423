/**
 * The chat's datagrams. Each is one line of UTF-8.
 *
 * A client sends any text as a message, or one of
 *
 * ```text
 * /name NICK     be called NICK                            → "* you are NICK"
 * /who           who is here?                              → "* here: …"
 * /say ID TEXT   a message with a sequence number          → "#ID NAME: TEXT"
 * /quit          leave                                     → "* bye"
 * ```
 *
 * A server sends `NAME: TEXT` for a message and `* TEXT` for a notice of its own. A name begins with a letter, and control
 * characters are escaped in all that is relayed: so nobody can write a notice, or a line in another's name.
 *
 * @module
 */
import { printable } from "../cli.ts";

/** What a client asks for. `id` is there when it wants to recognise the echo of its message. */
export type Request =
  | { readonly kind: "message"; readonly text: string; readonly id?: number }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "who" }
  | { readonly kind: "quit" }
  | { readonly kind: "hello" }
  | { readonly kind: "unknown"; readonly command: string };

const decoder = new TextDecoder();

/** The text of a datagram: its line end left off, everything that could harm a terminal escaped. */
export function textOf(datagram: Uint8Array): string {
  const text = decoder.decode(datagram);
  return printable(text.endsWith("\n") ? text.slice(0, text.endsWith("\r\n") ? -2 : -1) : text);
}

/**
 * Reads a client's datagram; any bytes are a request of some kind.
 *
 * ```ts
 * parseRequest(new TextEncoder().encode("/say 7 hi")); // { kind: "message", text: "hi", id: 7 }
 * ```
 */
export function parseRequest(datagram: Uint8Array): Request {
  const text = textOf(datagram);
  if (!text.startsWith("/")) return text === "" ? { kind: "hello" } : { kind: "message", text };
  const said = /^\/say (\d{1,9}) (.+)$/.exec(text);
  if (said?.[1] && said[2]) return { kind: "message", text: said[2], id: Number(said[1]) };
  const [command = "", name = ""] = text.split(" ", 2);
  if (command === "/name") return { kind: "name", name };
  if (command === "/who") return { kind: "who" };
  if (command === "/quit") return { kind: "quit" };
  return { kind: "unknown", command };
}

/**
 * What is wrong with a nickname of at most `longest` characters; `undefined` when it will do. Only ASCII: with all of
 * Unicode, "аnna" in which the first letter is Cyrillic would pass for another's name.
 */
export function badName(name: string, longest: number): string | undefined {
  if (name.length > longest) return `a name has at most ${longest} characters`;
  if (!/^[A-Za-z][A-Za-z0-9_.-]*$/.test(name)) return "a name is a letter, then letters, digits, - _ or .";
}
