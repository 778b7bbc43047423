/**
 * The messages of a WebSocket connection: joins their fragments (RFC 6455 §5.4), and checks that text is UTF-8 (§8.1).
 *
 * @module
 */
import { concat } from "./_concat.ts";
import { closeCodes, type Frame, opcodes, WebSocketError } from "./_websocket_frame.ts";

/** A message: text, or bytes. */
export type Message = string | Uint8Array;

/** The most fragments of one message. Each costs memory, however short it is. */
const MAX_FRAGMENTS = 65_536;

/** Joins the fragments of messages, one message after another. */
export class MessageJoiner {
  readonly #maxMessage: number;
  #kind: number = opcodes.continuation; // no message has begun
  #size = 0;
  #fragments = 0;
  #parts: Uint8Array[] = [];
  #text = "";
  #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /** A message has at most `maxMessage` bytes. */
  constructor(maxMessage: number) {
    this.#maxMessage = maxMessage;
  }

  /**
   * Takes a frame that is not a control frame. Returns the message when the frame is its last fragment.
   *
   * @throws {WebSocketError} on a fragment in the wrong place, a message that is too long, or text that is not UTF-8: that is
   * noticed in the fragment where it stands, and a character may be divided between two fragments.
   */
  push({ fin, opcode, payload }: Frame): Message | undefined {
    const isFirst = opcode !== opcodes.continuation;
    if (isFirst === (this.#kind !== opcodes.continuation)) {
      const why = isFirst ? "a message begins within another one" : "a fragment belongs to no message";
      throw new WebSocketError(closeCodes.protocolError, why);
    }
    if (isFirst) this.#kind = opcode;
    this.#size += payload.length;
    if (this.#size > this.#maxMessage || ++this.#fragments > MAX_FRAGMENTS) {
      const most = `${this.#maxMessage} bytes and ${MAX_FRAGMENTS} fragments are the most`;
      throw new WebSocketError(closeCodes.tooBig, `a message is too long: ${most}`);
    }
    if (this.#kind === opcodes.text) this.#text += this.#decode(payload, fin);
    else this.#parts.push(payload);
    if (!fin) return undefined;
    const message = this.#kind === opcodes.text ? this.#text : concat(this.#parts);
    [this.#kind, this.#size, this.#fragments, this.#parts, this.#text] = [opcodes.continuation, 0, 0, [], ""];
    return message;
  }

  #decode(payload: Uint8Array, fin: boolean): string {
    try {
      return this.#decoder.decode(payload, { stream: !fin });
    } catch {
      throw new WebSocketError(closeCodes.invalidData, "a text message is not UTF-8");
    }
  }
}
