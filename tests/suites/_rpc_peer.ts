/**
 * A client of JSON-RPC that talks to the server under check, and can break every rule.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { encodeFrame } from "../../tcp/_rpc_frames.ts";
import type { Json } from "../../tcp/_rpc_message.ts";
import { Peer } from "./_peer.ts";
import { byHand } from "./_record.ts";
import { fail, quote, type Server } from "./_suite.ts";

type JsonObject = { [name: string]: Json };

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const shown = (value: Json | undefined): string => printable(JSON.stringify(value) ?? "nothing").slice(0, 200);

/** A call as JSON; a notification when `id` is undefined. */
export const call = (method: string, params: Json | undefined, id?: Json): JsonObject => ({
  jsonrpc: "2.0",
  ...id !== undefined && { id },
  method,
  ...params !== undefined && { params },
});

/** The frame of a message. */
export const frame = (message: Json): Uint8Array => encodeFrame("headers", JSON.stringify(message));

/** A connection to the server under check. */
export class RpcPeer implements Disposable {
  #unread: Uint8Array = new Uint8Array();

  private constructor(readonly peer: Peer, readonly server: Server) {}

  static async connect(server: Server): Promise<RpcPeer> {
    return new RpcPeer(await Peer.connect(server), server);
  }

  async send(message: Json): Promise<void> {
    const text = JSON.stringify(message);
    const length = new TextEncoder().encode(text).length;
    const { hostname, port } = this.server;
    if (length < 300) {
      const quoted = text.replaceAll("'", "'\\''");
      byHand(`(printf 'Content-Length: ${length}\\r\\n\\r\\n%s' '${quoted}'; sleep 1) | nc ${hostname} ${port}`);
    }
    await this.peer.send(frame(message));
  }

  /** The next message, of any kind. */
  async message(hint: string): Promise<Json> {
    const { message, rest } = await readMessage(this.peer, this.#unread, hint);
    this.#unread = rest;
    return message;
  }

  /** The next response. Notifications from the server are skipped. */
  async response(hint: string): Promise<JsonObject> {
    while (true) {
      const message = await this.message(hint);
      if (isObject(message) && "method" in message && message.id === undefined) continue;
      return checked(message, hint);
    }
  }

  /** Calls a method, and fails unless this is the response. */
  async calls(method: string, params: Json, id: Json, wanted: Json, hint: string): Promise<void> {
    await this.send(call(method, params, id));
    same(await this.response(hint), id, wanted, hint);
  }

  /** Waits for an error with this code and id. */
  async error(code: number, id: Json, hint: string): Promise<void> {
    isError(await this.response(hint), code, id, hint);
  }

  [Symbol.dispose](): void {
    this.peer.close();
  }
}

const headHint = "begin each message with Content-Length: NUMBER\\r\\n\\r\\n, then so many bytes of JSON";
const bytesHint =
  "Content-Length counts bytes, not characters: len(text.encode()); send so many, and nothing behind them";

/** Reads the next frame from `unread` and the connection. Returns its message, and the bytes behind it. */
export async function readMessage(
  peer: Peer,
  unread: Uint8Array,
  hint: string,
): Promise<{ message: Json; rest: Uint8Array }> {
  let all = unread;
  const more = async (hint: string) => {
    const data = await peer.some(hint);
    if (data.length === 0) fail("a whole message", `the end of the connection after ${quote(all)}`, hint);
    const joined = new Uint8Array(all.length + data.length);
    joined.set(all);
    joined.set(data, all.length);
    all = joined;
  };
  while (headEnd(all) < 0) {
    if (all.length > 4096) fail("a header and an empty line", quote(all), headHint);
    await more(hint);
  }
  const start = headEnd(all) + 4;
  const head = new TextDecoder("latin1").decode(all.subarray(0, start));
  const length = Number(/^content-length:[ \t]*(\d+)[ \t]*$/im.exec(head)?.[1] ?? NaN);
  if (!(length < 1 << 24)) fail("Content-Length: NUMBER", `"${printable(head)}"`, headHint);
  while (all.length < start + length) await more(bytesHint);
  const body = all.subarray(start, start + length);
  try {
    return {
      message: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)),
      rest: all.subarray(start + length),
    };
  } catch {
    fail(`${length} bytes of JSON in UTF-8`, quote(body), bytesHint);
  }
}

/** Where the empty line of a header begins; -1 while it has not arrived. */
function headEnd(bytes: Uint8Array): number {
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 5000));
  const end = text.indexOf("\r\n\r\n");
  if (end < 0 && /\n\n/.test(text)) fail("lines of the header that end in \\r\\n", quote(bytes), headHint);
  return end;
}

/** A response of JSON-RPC 2.0. */
function checked(message: Json, hint: string): JsonObject {
  if (!isObject(message)) fail("a response: an object", shown(message), hint);
  if (message.jsonrpc !== "2.0") {
    fail('"jsonrpc": "2.0" in the response', shown(message), "each message has it (§4, §5)");
  }
  if (message.id === undefined) fail('"id" in the response', shown(message), "a response has the id of its call (§5)");
  if (("result" in message) === ("error" in message)) {
    fail("either result or error", shown(message), "a response has one of them, and not the other (§5)");
  }
  return message;
}

/** Fails unless this is the response with that id and result. */
export function same(response: JsonObject, id: Json, wanted: Json, hint: string): void {
  if (JSON.stringify(response.id) !== JSON.stringify(id)) {
    fail(`"id": ${JSON.stringify(id)}`, shown(response), "return the id of the call as it came: its type, too (§5)");
  }
  if (JSON.stringify(response.result) !== JSON.stringify(wanted)) {
    fail(`"result": ${shown(wanted)}`, shown(response), hint);
  }
}

/** Fails unless this is an error with that code and id. */
export function isError(response: JsonObject, code: number, id: Json, hint: string): void {
  const { error } = response;
  if (!isObject(error) || error.code !== code || typeof error.message !== "string") {
    fail(`"error": {"code": ${code}, "message": …}`, shown(response), hint);
  }
  if (response.id !== id) fail(`"id": ${JSON.stringify(id)}`, shown(response), hint);
}

/** The responses of a batch, by their ids. */
export function batchOf(message: Json, hint: string): Map<Json, JsonObject> {
  if (!Array.isArray(message)) fail("an array of responses", shown(message), hint);
  return new Map(message.map((each) => [checked(each, hint).id ?? null, checked(each, hint)]));
}
