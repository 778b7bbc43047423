/**
 * The client's side of the dialogue: commands out, replies in, both shown.
 *
 * @module
 */
import { Failure, place, printable, within } from "../cli.ts";
import { traced } from "../tcp/trace.ts";
import { writeAll } from "../tcp/write_all.ts";
import { type Reply, ReplyError, ReplyParser } from "./reply.ts";

/** What a reply means to the one who sends: whether to try again makes sense (RFC 5321 §4.2.1). */
export function verdict({ code, enhanced, lines }: Reply): string {
  const what = code >= 500 ? "for good" : code >= 400 ? "for now" : "unexpectedly";
  return `${what}: ${[code, enhanced, printable(lines.join(" / "))].filter((part) => part !== "").join(" ")}`;
}

/** A connection to a mail server. */
export class Dialogue {
  #raw: Deno.TcpConn | Deno.TlsConn;
  #conn: Deno.TcpConn | Deno.TlsConn;
  #parser = new ReplyParser();
  #replies: Reply[] = [];
  readonly #buffer = new Uint8Array(16_384);
  #last = "connecting";
  /** Nobody is there any more, or nobody that makes sense. */
  #over = false;

  constructor(
    conn: Deno.TcpConn | Deno.TlsConn,
    readonly server: { hostname: string; port: number },
    readonly timeout: number,
    readonly show: (line: string) => void,
    readonly trace: "" | "text" | "json",
  ) {
    this.#raw = conn;
    this.#conn = trace ? traced(conn, trace) : conn;
  }

  /** Sends a command, or several at once; `shown` is what to show of one that has a secret in it. */
  async send(commands: string[], shown = commands): Promise<void> {
    for (const line of shown) this.show(`C: ${printable(line)}`);
    this.#last = shown.at(-1)?.split(" ")[0] ?? "";
    await this.#write(new TextEncoder().encode(commands.map((line) => `${line}\r\n`).join("")));
  }

  /** Sends bytes that are no command. */
  async sendContent(bytes: Uint8Array, shown: string): Promise<void> {
    this.show(`C: ${shown}`);
    this.#last = "the mail";
    await this.#write(bytes);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    // A server that reads nothing is as silent as one that says nothing; each piece has its time.
    for (let at = 0; at < bytes.length; at += 1 << 20) {
      const late = `${place(this.server)} took nothing for ${this.timeout} s`;
      await this.#within(writeAll(this.#conn, bytes.subarray(at, at + (1 << 20))), late);
    }
  }

  async #within<T>(work: Promise<T>, late: string): Promise<T> {
    try {
      return await within(this.timeout, work, late);
    } catch (error) {
      this.#over = true;
      throw error;
    }
  }

  #end(why: string): Failure {
    this.#over = true;
    return new Failure(`${place(this.server)} ${why}`);
  }

  /**
   * The next reply.
   *
   * @throws {Failure} when the server says something else, closes, is silent, or dismisses us (421).
   */
  async reply(): Promise<Reply> {
    while (this.#replies.length === 0) {
      const late = `${place(this.server)} did not answer ${this.#last} in ${this.timeout} s`;
      const n = await this.#within(this.#conn.read(this.#buffer), late);
      if (n === null) throw this.#end(`closed the connection after ${this.#last}`);
      try {
        this.#replies.push(...this.#parser.push(this.#buffer.subarray(0, n)));
      } catch (error) {
        if (!(error instanceof ReplyError)) throw error;
        throw this.#end(`does not speak SMTP: ${printable(error.message)}`);
      }
    }
    const reply = this.#replies.shift();
    if (!reply) throw new Error("there is one, as was just seen");
    reply.lines.forEach((line, i) => {
      const text = [reply.enhanced, printable(line)].filter((part) => part !== "").join(" ");
      this.show(`S: ${reply.code}${i < reply.lines.length - 1 ? "-" : " "}${text}`);
    });
    if (reply.code === 421) throw this.#end(`ended the dialogue ${verdict(reply)}`);
    return reply;
  }

  /** One command and its reply. */
  async ask(command: string, shown = command): Promise<Reply> {
    await this.send([command], [shown]);
    return await this.reply();
  }

  /**
   * Goes on under TLS (RFC 3207).
   *
   * @throws {Failure} when the server has said more than that it is ready: it would seem to be said under TLS, and could
   * come from anyone on the way.
   */
  async startTls(caCerts: string[] | undefined): Promise<void> {
    if (this.#replies.length > 0 || this.#parser.pending) {
      throw this.#end("said more than 220 before TLS: someone on the way may have");
    }
    if (!("setNoDelay" in this.#raw)) throw new TypeError("TLS is there already");
    this.#last = "STARTTLS";
    const late = `${place(this.server)} did not finish the TLS handshake in ${this.timeout} s`;
    await this.#within(this.#handshake(this.#raw, caCerts), late);
    this.show("-- TLS --");
  }

  async #handshake(raw: Deno.TcpConn, caCerts: string[] | undefined): Promise<void> {
    const conn = await Deno.startTls(raw, { hostname: this.server.hostname, caCerts });
    this.#raw = conn;
    this.#conn = this.trace ? traced(conn, this.trace) : conn; // what is said, not what goes over the wire
    await conn.handshake();
  }

  /** Takes leave, whatever became of the mail (RFC 5321 §4.1.1.10), and closes. How the farewell goes changes nothing. */
  async close(): Promise<void> {
    if (!this.#over) {
      await this.ask("QUIT").catch((error) => this.show(`(${printable(error.message)})`));
    }
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error; // `Deno.startTls` took it, and gave nothing back
    }
  }
}
