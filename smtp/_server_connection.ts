/**
 * The server's side of one connection: lines in, replies out, in plain text or under TLS.
 *
 * @module
 */
import type { SecureContext } from "node:tls";
import { within } from "../cli.ts";
import { BufferedReader } from "../tcp/_buffered_reader.ts";
import type { Client } from "../tcp/_clients.ts";
import { drainAndClose } from "../tcp/_drain_and_close.ts";
import { startTlsServer, type Stream } from "../tcp/_tls_server.ts";
import { writeAll } from "../tcp/_write_all.ts";
import type { Fault } from "./_data.ts";
import { encodeReplies, type Reply } from "./_reply.ts";

const CR = 13;
const LF = 10;

/** One client's connection. */
export class ServerConnection {
  readonly client: Client;
  readonly #delay: number;
  /** What replies are written to: the connection, or the TLS stream on it; undefined during the TLS handshake. */
  #stream: Stream | undefined;
  #replies: Reply[] = [];
  #closing = false;
  isTls = false;
  /** Whether a mail is being received and stored: a server that stops must not cut that off. */
  isReceiving = false;
  /** Bytes from the client. STARTTLS replaces it. */
  reader: BufferedReader;

  /** `delay`: seconds to wait before replies are sent. */
  constructor(client: Client, delay: number) {
    this.client = client;
    this.#delay = delay;
    this.#stream = client.conn;
    this.reader = new BufferedReader(client.conn);
  }

  /** Adds a reply to those that are sent before the next wait for the client. */
  queue(reply: Reply): void {
    this.#replies.push(reply);
  }

  /** Sends the queued replies, in one write: the replies to pipelined commands belong together (RFC 2920 §3.2). */
  async flush(): Promise<void> {
    if (this.#replies.length === 0) return;
    const bytes = encodeReplies(...this.#replies);
    this.#replies = [];
    if (this.#delay > 0) await new Promise((go) => setTimeout(go, this.#delay * 1000));
    if (this.#stream) await writeAll(this.#stream, bytes);
  }

  /**
   * Reads a line, and returns it without its CR LF: a view that is valid until the next read. Returns what is wrong with the
   * line if it is too long or ends in LF alone, and undefined when the client has closed its side. A line that is too long
   * is dropped up to its end: the next command begins there.
   */
  async readLine(maxLength: number): Promise<Uint8Array | Fault | undefined> {
    let isLong = false;
    while (true) {
      const { unread } = this.reader;
      const end = unread.indexOf(LF);
      isLong ||= (end < 0 ? unread.length : end + 1) > maxLength;
      if (end >= 0) {
        this.client.idleTicks = 0; // not before: a client that sends a byte now and then must not stay forever
        this.reader.consume(end + 1);
        if (isLong) return "long";
        return unread[end - 1] === CR ? unread.subarray(0, end - 1) : "bare";
      }
      if (isLong) this.reader.consume(unread.length);
      await this.flush();
      if (!await this.reader.fill()) return undefined;
    }
  }

  /** Starts TLS: all that follows is protected. @throws {Failure} if the handshake fails. */
  async startTls(context: SecureContext): Promise<void> {
    this.#stream = undefined;
    const stream = await startTlsServer(this.client.conn, context).catch((error) => {
      throw this.#closing ? new Deno.errors.Interrupted("dismissed in the TLS handshake") : error;
    });
    this.client.idleTicks = 0;
    [this.#stream, this.isTls] = [stream, true];
    this.reader = new BufferedReader(stream); // a new one: nothing that came in plain text is left in it
  }

  /** Sends a last reply to a client that did not ask for one, on the current stream. Gives up after a second. */
  async dismiss(reply: Reply): Promise<void> {
    if (this.#closing) return;
    const stream = this.#stream;
    this.#closing = stream === undefined; // in a TLS handshake no reply can be sent
    if (!stream) return;
    const last = async () => {
      await writeAll(stream, encodeReplies(reply));
      await this.close();
    };
    await within(1, last(), () => {}); // the client may not be reading
  }

  /** Ends TLS. With `drain`: also reads what the client is still sending, so that the last reply reaches it. */
  async close(drain = false): Promise<void> {
    const stream = this.#stream;
    if (!stream || this.#closing) return;
    this.#closing = true;
    if (drain) await drainAndClose(stream);
    else if (this.isTls) await stream.closeWrite();
  }
}
