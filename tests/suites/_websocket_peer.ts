/**
 * One side of a WebSocket, the client's or the server's: it talks to the program under check, and can break every rule.
 *
 * @module
 */
import { concat } from "../../http/_concat.ts";
import { encodeRequest, headLength, MessageError, parseResponse, type ResponseHead } from "../../http/_message.ts";
import { decodeClose, decodeFrame, encodeFrame, type Frame, opcodes } from "../../http/_websocket_frame.ts";
import { WebSocketError } from "../../http/_websocket_frame.ts";
import { handshakeFault, handshakeRequest, newKey } from "../../http/_websocket_handshake.ts";
import { Peer } from "./_peer.ts";
import { step } from "./_record.ts";
import { fail, Gone, quote, type Server } from "./_suite.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** The key of one frame. */
const newMask = () => crypto.getRandomValues(new Uint8Array(4));

/** One frame of a client, masked. */
export function frameOf(opcode: number, payload: string | Uint8Array, fin = true): Uint8Array {
  return encodeFrame({ fin, opcode, payload: typeof payload === "string" ? encode(payload) : payload }, newMask());
}

/** A connection after its handshake. */
export class SocketPeer implements Disposable {
  /** The masking keys of the program's frames, in their order. */
  readonly masks: Uint8Array[] = [];
  #unread: Uint8Array = new Uint8Array();

  /** `side` is the checker's: a client masks its frames, a server does not. */
  constructor(readonly peer: Peer, readonly side: "client" | "server" = "client") {}

  /** Sends a handshake, and reads the head of the response. `change` may make the request a wrong one. */
  static async ask(
    server: Server,
    change: (request: string) => string = (request) => request,
    path = "/",
  ): Promise<{ socket: SocketPeer; response: ResponseHead; key: string }> {
    const socket = new SocketPeer(await Peer.connect(server));
    const key = newKey();
    const request = encodeRequest(handshakeRequest(`${server.hostname}:${server.port}`, path, key));
    await socket.peer.send(change(new TextDecoder().decode(request)));
    try {
      return { socket, response: await socket.#head(), key };
    } catch (error) {
      socket.peer.close();
      throw error;
    }
  }

  /** Opens a connection, and checks the response. */
  static async open(server: Server, path = "/"): Promise<SocketPeer> {
    const { socket, response, key } = await SocketPeer.ask(server, undefined, path);
    const fault = handshakeFault(response, key);
    if (fault === "") return socket;
    socket.peer.close();
    fail(
      "a response that opens the connection",
      fault,
      "RFC 6455 §4.2.2 lists the fields of the response with status 101",
    );
  }

  async #head(): Promise<ResponseHead> {
    const hint = "answer a handshake as soon as its empty line has arrived";
    while (true) {
      try {
        const length = headLength(this.#unread);
        if (length >= 0) {
          const response = parseResponse(this.#unread.subarray(0, length));
          this.#unread = this.#unread.subarray(length);
          return response;
        }
      } catch (error) {
        if (!(error instanceof MessageError)) throw error;
        fail("a response of HTTP/1.1", error.message, "lines end in CR LF, and an empty one ends the head");
      }
      const more = await this.peer.some(hint);
      if (more.length === 0) fail("a response of HTTP/1.1", "the end of the connection", hint);
      this.#unread = concat([this.#unread, more]);
    }
  }

  async send(opcode: number, payload: string | Uint8Array, fin = true): Promise<void> {
    const plain = { fin, opcode, payload: typeof payload === "string" ? encode(payload) : payload };
    await this.peer.send(encodeFrame(plain, this.side === "client" ? newMask() : undefined));
  }

  /** The next frame; undefined at the end of the connection. */
  async receive(hint: string): Promise<Frame | undefined> {
    while (true) {
      try {
        const found = decodeFrame(this.#unread, { masked: this.side === "server", maxFrame: 1 << 24 });
        if (found) {
          const start = found.size - found.frame.payload.length;
          if (this.side === "server") this.masks.push(this.#unread.slice(start - 4, start));
          this.#unread = this.#unread.subarray(found.size);
          return found.frame;
        }
      } catch (error) {
        if (!(error instanceof WebSocketError)) throw error;
        fail(
          "a frame",
          `${error.message}: ${quote(this.#unread.subarray(0, 14))}`,
          /length/.test(error.message)
            ? "write up to 125 in 7 bits; up to 65535 as 126 and two bytes; what is longer as 127 and eight bytes, the highest first"
            : "byte 1 has FIN and the opcode, byte 2 the length, without a mask from a server (RFC 6455 §5.2)",
        );
      }
      const more = await this.peer.some(hint);
      if (more.length === 0) return undefined;
      this.#unread = concat([this.#unread, more]);
    }
  }

  /** The next message, whose fragments may be any; a ping in between is answered. */
  async message(hint: string): Promise<{ opcode: number; data: Uint8Array }> {
    const parts: Uint8Array[] = [];
    let kind: number = opcodes.continuation;
    while (true) {
      const frame = await this.receive(hint);
      if (!frame) fail("a message", "the end of the connection", hint);
      if (frame.opcode === opcodes.ping) await this.send(opcodes.pong, frame.payload);
      if (frame.opcode === opcodes.close) fail("a message", `a close frame ${quote(frame.payload)}`, hint);
      if (frame.opcode >= opcodes.close) continue;
      if ((frame.opcode === opcodes.continuation) !== (parts.length > 0)) {
        fail(
          "fragments in their order",
          `the opcode ${frame.opcode}`,
          "only the first fragment has the opcode of the message",
        );
      }
      kind ||= frame.opcode;
      parts.push(frame.payload);
      if (frame.fin) return { opcode: kind, data: concat(parts) };
    }
  }

  /** Reads until the close frame; fails unless it has one of these codes, or there is none and `orEnd` allows that. */
  async closesWith(codes: readonly number[], hint: string, orEnd = false): Promise<void> {
    const wanted = `a close frame with ${codes.join(" or ")}`;
    try {
      for (let frame = await this.receive(hint); frame; frame = await this.receive(hint)) {
        if (frame.opcode !== opcodes.close) continue;
        const code = closeOf(frame);
        step(`the program closes with ${code}`);
        if (!codes.includes(code)) fail(wanted, `the code ${code}`, hint);
        return;
      }
    } catch (error) {
      if (error instanceof Gone && orEnd) return;
      throw error;
    }
    if (!orEnd) fail(wanted, "the end of the connection without one", hint);
  }

  /** Waits until the program ends the connection. */
  async ends(hint: string): Promise<void> {
    try {
      const frame = await this.receive(hint);
      if (frame) fail("the end of the TCP connection", `a frame with opcode ${frame.opcode}`, hint);
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
    }
  }

  [Symbol.dispose](): void {
    this.peer.close();
  }
}

function closeOf({ payload }: Frame): number {
  try {
    return decodeClose(payload).code;
  } catch (error) {
    if (!(error instanceof WebSocketError)) throw error;
    fail(
      "a close frame with a code and a reason in UTF-8",
      error.message,
      "two bytes with the code, then the reason (§5.5.1)",
    );
  }
}
