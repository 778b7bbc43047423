/**
 * The chat's protocol, in both directions: pure functions between the text of a datagram and what it means. Each datagram is
 * one line of UTF-8; the table in README.md lists them all.
 *
 * A name begins with a letter, and control characters are escaped on both sides. So no client can forge a notice or a line
 * of another client.
 *
 * @module
 */
import { printable } from "../cli.ts";

/** What a client sends. A message with an `id` is relayed once, however often it arrives, and its echo carries the `id`. */
export type Request =
  | { readonly kind: "message"; readonly text: string; readonly id?: number } // TEXT, or /say ID TEXT
  | { readonly kind: "name"; readonly name: string } // /name NICK
  | { readonly kind: "who" } // /who
  | { readonly kind: "quit" } // /quit
  | { readonly kind: "hello" } // an empty datagram
  | { readonly kind: "too long" } // more bytes than the server accepts
  | { readonly kind: "unknown"; readonly command: string };

/** What the server sends: a relayed message, or a line that begins with `* `. */
export type Reply =
  | { readonly kind: "message"; readonly name: string; readonly text: string } // NAME: TEXT
  | { readonly kind: "echo"; readonly id: number; readonly name: string; readonly text: string } // #ID NAME: TEXT
  | { readonly kind: "welcome"; readonly name: string } // * you are NICK
  | { readonly kind: "members"; readonly names: readonly string[]; readonly more: number } // * here: NAME, NAME and 3 more
  | { readonly kind: "bye" } // * bye
  | { readonly kind: "refused"; readonly request: "name" | "any"; readonly text: string }
  | { readonly kind: "notice"; readonly text: string }; // * any other text

/** The refusals, in the words by which `parseReply` recognises them. */
export const refusals = {
  name: (problem: string): Reply => ({ kind: "refused", request: "name", text: problem }),
  tooLong: (size: number): Reply => ({ kind: "refused", request: "any", text: `too long: at most ${size} bytes` }),
  full: (clients: number): Reply => (
    { kind: "refused", request: "any", text: `the chat is full (${clients} clients): try again later` }
  ),
};

/**
 * Returns what is wrong with a nickname, or `undefined`. Only ASCII: otherwise "аnna" with a Cyrillic "а" could pose as
 * "anna".
 */
export function nameError(name: string, longest: number): string | undefined {
  if (name.length > longest) return `a name has at most ${longest} characters`;
  if (!/^[A-Za-z][A-Za-z0-9_.-]*$/.test(name)) return "a name is a letter, then letters, digits, - _ or .";
}

const decoder = new TextDecoder();

/** The text of a datagram without its line end. What could harm a terminal is escaped. */
function decodeLine(datagram: Uint8Array): string {
  const text = decoder.decode(datagram);
  return printable(text.endsWith("\n") ? text.slice(0, text.endsWith("\r\n") ? -2 : -1) : text);
}

/**
 * Parses a client's datagram of at most `size` bytes. Any bytes are a request of some kind.
 *
 * ```ts
 * parseRequest(new TextEncoder().encode("/say 7 hi"), 1024); // { kind: "message", text: "hi", id: 7 }
 * ```
 */
export function parseRequest(datagram: Uint8Array, size: number): Request {
  if (datagram.length > size) return { kind: "too long" };
  const line = decodeLine(datagram);
  if (!line.startsWith("/")) return line === "" ? { kind: "hello" } : { kind: "message", text: line };
  const [, id, text] = /^\/say (\d{1,9}) (.+)$/.exec(line) ?? [];
  if (text) return { kind: "message", text, id: Number(id) };
  const [command = "", name = ""] = line.split(" ", 2);
  if (command === "/name") return { kind: "name", name };
  if (command === "/who") return { kind: "who" };
  if (command === "/quit") return { kind: "quit" };
  return { kind: "unknown", command };
}

/** The line that a client sends for a request. */
export function formatRequest(request: Request): string {
  switch (request.kind) {
    case "message":
      return request.id === undefined ? request.text : `/say ${request.id} ${request.text}`;
    case "name":
      return `/name ${request.name}`;
    case "who":
    case "quit":
      return `/${request.kind}`;
    case "unknown":
      return request.command;
    case "hello":
    case "too long":
      return "";
  }
}

/**
 * Parses a server's datagram. A line of no known form is a message without a name.
 *
 * ```ts
 * parseReply(new TextEncoder().encode("#7 anna: hi")); // { kind: "echo", id: 7, name: "anna", text: "hi" }
 * ```
 */
export function parseReply(datagram: Uint8Array): Reply {
  const line = decodeLine(datagram);
  if (line.startsWith("* ")) return parseNotice(line.slice(2));
  const [, id, message = line] = /^#(\d{1,9}) (.*)$/.exec(line) ?? [];
  const [, name = "", text = message] = /^(\S+): (.*)$/.exec(message) ?? [];
  return id === undefined ? { kind: "message", name, text } : { kind: "echo", id: Number(id), name, text };
}

function parseNotice(text: string): Reply {
  const welcome = /^you are (.*)$/.exec(text);
  if (welcome) return { kind: "welcome", name: welcome[1] ?? "" };
  const members = /^here: (.*?)(?: and (\d+) more)?$/.exec(text);
  if (members) return { kind: "members", names: (members[1] ?? "").split(", "), more: Number(members[2] ?? 0) };
  if (text === "bye") return { kind: "bye" };
  if (/^(the|a) name /.test(text)) return refusals.name(text);
  if (/^(too long|the chat is full)/.test(text)) return { kind: "refused", request: "any", text };
  return { kind: "notice", text };
}

/** The line that the server sends for a reply. */
export function formatReply(reply: Reply): string {
  switch (reply.kind) {
    case "message":
      return reply.name === "" ? reply.text : `${reply.name}: ${reply.text}`;
    case "echo":
      return `#${reply.id} ${formatReply({ ...reply, kind: "message" })}`;
    case "welcome":
      return `* you are ${reply.name}`;
    case "members":
      return `* here: ${reply.names.join(", ")}${reply.more > 0 ? ` and ${reply.more} more` : ""}`;
    case "bye":
      return "* bye";
    case "refused":
    case "notice":
      return `* ${reply.text}`;
  }
}

/** Whether a reply answers a request: an echo by its `id`, a refusal by what it refuses. */
export function answers(reply: Reply, request: Request): boolean {
  if (request.kind === "quit") return reply.kind === "bye";
  if (reply.kind === "refused") return reply.request === "any" || reply.request === request.kind;
  if (request.kind === "message") return reply.kind === "echo" && reply.id === request.id;
  if (request.kind === "name") return reply.kind === "welcome";
  return request.kind === "who" && reply.kind === "members";
}
