/**
 * One side of a WebSocket connection after the handshake: yields messages, answers pings, sends, and closes (RFC 6455 §5–§7).
 *
 * @module
 */
import { Failure, formatAddress, type Tracing } from "../cli.ts";
import type { BufferedReader } from "../tcp/_buffered_reader.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { showMessage } from "../tcp/_trace.ts";
import { writeAll } from "../tcp/_write_all.ts";
import {
  closeCodes,
  decodeClose,
  decodeFrame,
  describeFrame,
  encodeClose,
  encodeFrame,
  type Frame,
  opcodes,
  WebSocketError,
} from "./_websocket_frame.ts";
import { type Message, MessageJoiner } from "./_websocket_message.ts";

/** What a connection allows. */
export interface WebSocketLimits extends Tracing {
  /** The longest frame and the longest message, in bytes. */
  readonly maxFrame: number;
  readonly maxMessage: number;
}

type Side = "client" | "server";

/** What frames are written to: a TCP connection, or TLS on one. */
export type Wire = Pick<Deno.TcpConn, "write" | "close" | "localAddr" | "remoteAddr">;

const nothing = new Uint8Array();

/** A connection. `reader` must have room for a whole frame, and holds what came behind the handshake. */
export class WebSocketConnection {
  /** How the other side has closed it, or why this side did; undefined while it is open. */
  closed: { code: number; reason: string } | undefined;
  /** Bytes that are on their way to the socket. */
  unsent = 0;
  #sending: Promise<void> = Promise.resolve();
  #closeSent = false;

  constructor(
    readonly conn: Wire,
    readonly reader: BufferedReader,
    readonly side: Side,
    readonly limits: WebSocketLimits,
    /** Called whenever bytes have arrived. */
    readonly onBytes: () => void = () => {},
  ) {}

  /**
   * Yields the messages of the other side until it closes. A frame that breaks a rule is answered with a close frame that has
   * its code; then `closed` says what was wrong.
   */
  async *messages(): AsyncGenerator<Message> {
    const joiner = new MessageJoiner(this.limits.maxMessage);
    try {
      for (let frame = await this.#receive(); frame; frame = await this.#receive()) {
        if (frame.opcode === opcodes.close) {
          this.closed = decodeClose(frame.payload);
          // A close frame is answered with one, that has the same code (§5.5.1).
          return await this.close(this.closed.code);
        }
        // Awaited: who pings and does not read is not read either.
        if (frame.opcode === opcodes.ping) await this.#send(opcodes.pong, frame.payload);
        if (frame.opcode >= opcodes.close) continue; // a pong needs no answer
        const message = joiner.push(frame);
        if (message !== undefined) yield message;
      }
      this.closed ??= { code: 1006, reason: "" }; // the connection ended without a close frame: never sent (§7.4.1)
    } catch (error) {
      if (!(error instanceof WebSocketError)) throw error;
      await this.refuse(error.code, error.message);
    }
  }

  /** Closes because of what the other side has sent: then nothing more is read as a message. */
  async refuse(code: number, reason: string): Promise<void> {
    this.closed = { code, reason };
    await this.close(code, reason);
  }

  async #receive(): Promise<Frame | undefined> {
    const rules = { masked: this.side === "server", maxFrame: this.limits.maxFrame };
    while (true) {
      const found = decodeFrame(this.reader.unread, rules);
      if (found) {
        this.reader.consume(found.size);
        this.#show(found.frame, false);
        return found.frame;
      }
      if (!await this.reader.fill()) return undefined;
      this.onBytes();
    }
  }

  /** Sends a message. The promise settles when the kernel has taken it, and everything before it. */
  send(message: Message): Promise<void> {
    if (typeof message !== "string") return this.#send(opcodes.binary, message);
    return this.#send(opcodes.text, new TextEncoder().encode(message));
  }

  /** Asks for a sign of life: the other side must answer with a pong (§5.5.2). */
  ping(): Promise<void> {
    return this.#send(opcodes.ping, nothing);
  }

  /** Sends a close frame, once; nothing is sent after it (§5.5.1). */
  async close(code: number, reason = ""): Promise<void> {
    if (this.#closeSent) return;
    const sent = this.#send(opcodes.close, encodeClose(code, reason));
    this.#closeSent = true;
    await sent;
  }

  /** Waits until the other side ends the TCP connection, and closes it: a client leaves the first end to the server (§7.1.1). */
  async ended(): Promise<void> {
    const { reader } = this;
    try {
      do {
        reader.consume(reader.unread.length);
      } while (await reader.fill());
    } catch (error) {
      if (codeOf(error) !== "ECONNRESET") throw error; // it has ended it in its own way
    }
    this.conn.close();
  }

  /** Sends one frame after another: two that are written at the same time would be mixed. */
  #send(opcode: number, payload: Uint8Array): Promise<void> {
    if (this.#closeSent) return this.#sending;
    const frame = { fin: true, opcode, payload };
    const key = this.side === "client" ? crypto.getRandomValues(new Uint8Array(4)) : undefined;
    const bytes = encodeFrame(frame, key);
    this.unsent += bytes.length;
    this.#sending = this.#sending.then(async () => {
      this.#show(frame, true);
      await writeAll(this.conn, bytes);
      this.unsent -= bytes.length;
    });
    return this.#sending;
  }

  /** `--trace` shows the bytes of each system call; this line says what frame they are. */
  #show(frame: Frame, isOwn: boolean): void {
    const { trace } = this.limits;
    if (trace === "") return;
    const [own, other] = [formatAddress(this.conn.localAddr), formatAddress(this.conn.remoteAddr)];
    const [from, to] = isOwn ? [own, other] : [other, own];
    const note = describeFrame(frame);
    showMessage({ trace, pcap: "" }, { side: this.side, transport: "tcp", from, to, data: nothing, note });
  }
}

/** How a connection was closed, in words: `1000`, `1002: a reserved bit is set`. */
export function describeClose(closed: { code: number; reason: string } | undefined): string {
  if (!closed || closed.code === 1006) return "without a close frame";
  if (closed.code === closeCodes.noCode) return "without a code";
  return closed.reason ? `${closed.code}: ${closed.reason}` : `${closed.code}`;
}

/** An end that is not the proper one, as a failure of the exchange. */
export function closeFailure(closed: { code: number; reason: string } | undefined): Failure | undefined {
  const isProper = closed &&
    [closeCodes.normal, closeCodes.goingAway, closeCodes.noCode].some((c) => c === closed.code);
  return isProper ? undefined : new Failure(`the connection was closed ${describeClose(closed)}`);
}
