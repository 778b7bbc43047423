/**
 * The opening handshake of a WebSocket connection: a request of HTTP/1.1 that asks for another protocol, and the response that
 * agrees (RFC 6455 §4). Pure functions.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { authorityOf } from "./_authority.ts";
import { Fields, type RequestHead, type ResponseHead } from "./_message.ts";

/** A handshake that is refused: with this status, and these fields. */
export class HandshakeError extends Error {
  constructor(readonly status: 400 | 403 | 405 | 426, message: string, readonly fields: [string, string][] = []) {
    super(message);
  }
}

/** The same text for all servers. No other program answers with its hash, by accident or from a cache (RFC 6455 §1.3). */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The value of Sec-WebSocket-Accept for a Sec-WebSocket-Key: it proves that the server has read the request. */
export const acceptKey = (key: string): string => createHash("sha1").update(key + GUID).digest("base64");

/** Whether a request asks for the WebSocket protocol at all; any other one is an ordinary request of HTTP. */
export const asksForWebSocket = ({ fields }: RequestHead): boolean => fields.lists("upgrade", "websocket");

/**
 * Checks a client's handshake (RFC 6455 §4.2.1). Returns the fields of the response with status 101.
 *
 * @throws {HandshakeError} when it is malformed, has another version, or comes from a page of another origin.
 */
export function acceptHandshake(request: RequestHead, allowedOrigins: readonly string[] = []): Fields {
  const { method, minor, fields } = request;
  if (method !== "GET") throw new HandshakeError(405, "a handshake is a GET request", [["Allow", "GET"]]);
  if (minor < 1) throw new HandshakeError(400, "a handshake needs HTTP/1.1");
  if (!asksForWebSocket(request) || !fields.lists("connection", "upgrade")) {
    throw new HandshakeError(426, "this path is a WebSocket: Upgrade: websocket and Connection: Upgrade are missing", [
      ["Upgrade", "websocket"],
      ["Sec-WebSocket-Version", "13"],
    ]);
  }
  if (fields.get("sec-websocket-version") !== "13") {
    throw new HandshakeError(426, "only version 13 of the protocol is spoken here", [
      ["Upgrade", "websocket"],
      ["Sec-WebSocket-Version", "13"],
    ]);
  }
  const key = fields.get("sec-websocket-key") ?? "";
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key)) { // 16 bytes; the last character has four bits that are zero
    throw new HandshakeError(400, "Sec-WebSocket-Key must be 16 bytes in base64");
  }
  if (fields.has("transfer-encoding") || (fields.get("content-length") ?? "0") !== "0") {
    throw new HandshakeError(400, "a handshake has no body");
  }
  checkOrigin(request, allowedOrigins);
  return new Fields([["Upgrade", "websocket"], ["Connection", "Upgrade"], ["Sec-WebSocket-Accept", acceptKey(key)]]);
}

/**
 * A browser lets the scripts of any page open a WebSocket to any server, with the cookies of that server, and says in Origin
 * whose page it is. So the server must check it (RFC 6455 §10.2). Programs that are no browsers send none.
 */
function checkOrigin(request: RequestHead, allowed: readonly string[]): void {
  const origin = request.fields.get("origin");
  if (origin === undefined || allowed.includes(origin) || allowed.includes("*")) return;
  const host = authorityOf(request)?.toLowerCase();
  if (host !== undefined && [`http://${host}`, `https://${host}`].includes(origin.toLowerCase())) return;
  throw new HandshakeError(403, "pages of this origin may not connect: --allow-origin allows it");
}

/** A client's key: 16 random bytes in base64. */
export const newKey = (): string => crypto.getRandomValues(new Uint8Array(16)).toBase64();

/** The head of a client's handshake (RFC 6455 §4.1). */
export function handshakeRequest(host: string, target: string, key: string): Omit<RequestHead, "minor"> {
  const fields = new Fields([
    ["Host", host],
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Key", key],
    ["Sec-WebSocket-Version", "13"],
  ]);
  return { method: "GET", target, fields };
}

/** What is wrong with a server's response to a handshake with this key (RFC 6455 §4.1); "" when nothing is. */
export function handshakeFault({ status, fields }: ResponseHead, key: string): string {
  if (status !== 101) return `the status is ${status}, not 101`;
  if (fields.get("upgrade")?.toLowerCase() !== "websocket") return "Upgrade: websocket is missing";
  if (!fields.lists("connection", "upgrade")) return "Connection: Upgrade is missing";
  if (fields.get("sec-websocket-accept") !== acceptKey(key)) return "Sec-WebSocket-Accept does not belong to the key";
  const unasked = ["sec-websocket-extensions", "sec-websocket-protocol"].find((name) => fields.has(name));
  return unasked ? `nobody has asked for ${unasked}` : "";
}
