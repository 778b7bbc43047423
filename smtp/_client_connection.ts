/**
 * The client's side of one connection: commands out, replies in, both shown; in plain text or under TLS.
 *
 * @module
 */
import { type Address, Failure, formatAddress, printable, type Tracing, within } from "../cli.ts";
import { explainTls } from "../tcp/_tls_client.ts";
import { traced } from "../tcp/_trace.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { type Reply, ReplyError, ReplyParser } from "./_reply.ts";

/** Describes a reply that is an error: permanent (5yz) or temporary (4yz), RFC 5321 §4.2.1. */
export function describeReply({ code, enhanced, lines }: Reply): string {
  const kind = code >= 500 ? "permanently" : code >= 400 ? "temporarily" : "with an unexpected reply";
  return `${kind}: ${[code, enhanced, printable(lines.join(" / "))].filter((part) => part !== "").join(" ")}`;
}

/** A connection to a mail server. */
export class ClientConnection {
  /** The socket itself: `Deno.startTls` takes no other. */
  #socket: Deno.TcpConn;
  #conn: Deno.TcpConn | Deno.TlsConn;
  #parser = new ReplyParser();
  #replies: Reply[] = [];
  readonly #buffer = new Uint8Array(16_384);
  readonly #server: Address;
  readonly #timeout: number;
  readonly #tracing: Tracing;
  readonly #show: (line: string) => void;
  #lastCommand = "connecting";
  /** Whether the connection is unusable: closed, timed out, or not SMTP. */
  #failed = false;
  isTls = false;

  /** `timeout`: seconds for each step, 0 for no limit. `show` gets the lines of the dialogue. */
  constructor(
    conn: Deno.TcpConn,
    server: Address,
    options: Tracing & { timeout: number; show: (line: string) => void },
  ) {
    this.#socket = conn;
    this.#conn = traced(conn, options);
    this.#server = server;
    [this.#timeout, this.#tracing, this.#show] = [options.timeout, options, options.show];
  }

  /** Sends one command, or several at once. `shown` is printed instead, to hide a secret. */
  async send(commands: string[], shown = commands): Promise<void> {
    for (const line of shown) this.#show(`C: ${printable(line)}`);
    this.#lastCommand = shown.at(-1)?.split(" ")[0] ?? "";
    await this.#write(new TextEncoder().encode(commands.map((line) => `${line}\r\n`).join("")));
  }

  /** Sends a mail's content. `shown` is printed instead. */
  async sendContent(bytes: Uint8Array, shown: string): Promise<void> {
    this.#show(`C: ${shown}`);
    this.#lastCommand = "the mail";
    await this.#write(bytes);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    // The time limit is for each piece: it notices a server that stops reading, and does not limit the whole mail.
    for (let at = 0; at < bytes.length; at += 1 << 20) {
      await this.#within(writeAll(this.#conn, bytes.subarray(at, at + (1 << 20))), "read nothing");
    }
  }

  /** Receives the next reply. @throws {Failure} if it does not arrive in time, is not SMTP, or ends the dialogue (421). */
  async reply(): Promise<Reply> {
    const reply = await this.#within(this.#receive(), `did not answer ${this.#lastCommand}`);
    reply.lines.forEach((line, i) => {
      const text = [reply.enhanced, printable(line)].filter((part) => part !== "").join(" ");
      this.#show(`S: ${reply.code}${i < reply.lines.length - 1 ? "-" : " "}${text}`);
    });
    if (reply.code === 421) throw this.#fail(`ended the dialogue ${describeReply(reply)}`);
    return reply;
  }

  async #receive(): Promise<Reply> {
    while (true) {
      const reply = this.#replies.shift();
      if (reply) return reply;
      const n = await this.#conn.read(this.#buffer);
      if (n === null) throw this.#fail(`closed the connection after ${this.#lastCommand}`);
      try {
        this.#replies.push(...this.#parser.push(this.#buffer.subarray(0, n)));
      } catch (error) {
        if (!(error instanceof ReplyError)) throw error;
        throw this.#fail(`does not speak SMTP: ${printable(error.message)}`);
      }
    }
  }

  /** Sends a command and returns its reply. */
  async ask(command: string, shown = command): Promise<Reply> {
    await this.send([command], [shown]);
    return await this.reply();
  }

  /**
   * Starts TLS: all that follows is protected (RFC 3207).
   *
   * @throws {Failure} when plain text follows the 220 reply: an attacker could have added it, and it would look as if it came
   * over TLS.
   */
  async startTls(caCerts: string[] | undefined): Promise<void> {
    if (this.#replies.length > 0 || this.#parser.pending) {
      throw this.#fail("sent more than the 220 reply before TLS; an attacker may have added it, so the client closed");
    }
    this.#lastCommand = "the TLS handshake";
    await this.#within(this.#handshake(caCerts), "did not finish the TLS handshake");
    this.isTls = true;
    this.#show("-- TLS --");
  }

  async #handshake(caCerts: string[] | undefined): Promise<void> {
    const conn = await Deno.startTls(this.#socket, { hostname: this.#server.hostname, caCerts });
    this.#conn = traced(conn, this.#tracing); // shows the dialogue, not the encrypted bytes
    await conn.handshake();
  }

  /** Sends QUIT (RFC 5321 §4.1.1.10) and closes. Shows an error of QUIT, but does not throw it: the mail's fate is known. */
  async close(): Promise<void> {
    if (!this.#failed) {
      await this.ask("QUIT").catch((thrown) => {
        const error = explainTls(thrown, this.#server);
        if (!(error instanceof Failure)) throw error;
        this.#show(`(${error.message})`);
      });
    }
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error; // `Deno.startTls` has consumed the socket, and failed
    }
  }

  async #within<T>(work: Promise<T>, late: string): Promise<T> {
    try {
      return await within(this.#timeout, work, `${formatAddress(this.#server)} ${late} in ${this.#timeout} s`);
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  #fail(why: string): Failure {
    this.#failed = true;
    return new Failure(`${formatAddress(this.#server)} ${why}`);
  }
}
