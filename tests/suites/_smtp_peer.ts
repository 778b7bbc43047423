/**
 * The client of an SMTP server under check.
 *
 * @module
 */
import { type Reply, ReplyError, ReplyParser } from "../../smtp/_reply.ts";
import { escaped } from "./_http_peer.ts";
import { Peer } from "./_peer.ts";
import { byHand } from "./_record.ts";
import { fail, Gone, inTime, limits, quote, type Server } from "./_suite.ts";

/** A client of the server under check. */
export class SmtpPeer {
  readonly #parser = new ReplyParser();
  readonly #replies: Reply[] = [];

  #before = 0; // the last byte that was received
  /** Whether a reply line ends in LF alone. One check asks for that; the others accept it. */
  bareLf = false;

  #commands = "";

  private constructor(readonly peer: Peer, readonly server: Server) {}

  /** Connects and reads the greeting. */
  static async connect(server: Server): Promise<SmtpPeer> {
    const peer = new SmtpPeer(await Peer.connect(server), server);
    try {
      peer.expect(await peer.reply("greet the client with 220"), [220], "greet the client with 220");
      return peer;
    } catch (error) {
      peer.peer.close(); // so that a server that serves one client at a time can serve the next
      throw error;
    }
  }

  /** Reads the next reply; `undefined` if the connection ends or is reset instead. */
  async next(hint: string): Promise<Reply | undefined> {
    while (this.#replies.length === 0) {
      let bytes: Uint8Array;
      try {
        bytes = await this.peer.some(hint);
      } catch (error) {
        if (error instanceof Gone) return undefined;
        throw error;
      }
      if (bytes.length === 0) return undefined;
      for (const byte of bytes) {
        if (byte === 10 && this.#before !== 13) this.bareLf = true;
        this.#before = byte;
      }
      try {
        this.#replies.push(...this.#parser.push(bytes));
      } catch (error) {
        if (!(error instanceof ReplyError)) throw error;
        fail(
          "a reply: three digits, a space or a hyphen, text",
          quote(bytes),
          "begin each line of a reply with its code: 250 ok (RFC 5321 §4.2)",
        );
      }
    }
    return this.#replies.shift();
  }

  async reply(hint: string): Promise<Reply> {
    return await this.next(hint) ?? fail("a reply", "the end of the connection", hint);
  }

  /** Whether another reply arrives within 0.3 s. */
  async repliesAgain(): Promise<boolean> {
    const more = await inTime(this.next("").catch(() => undefined), Math.min(300, limits.patience));
    return more !== undefined;
  }

  expect(reply: Reply, codes: number[], hint: string): Reply {
    if (!codes.includes(reply.code)) {
      fail(`the code ${codes.join(" or ")}`, `${reply.code} ${reply.lines.join(" / ")}`, hint);
    }
    return reply;
  }

  /** Sends a command; fails unless the reply has one of these codes. */
  async ask(command: string, codes: number[], hint: string): Promise<Reply> {
    await this.#send(command);
    return this.expect(await this.reply(hint), codes, hint);
  }

  async #send(command: string): Promise<void> {
    this.#commands += `${command}\r\n`;
    const { hostname, port } = this.server;
    byHand(`(printf '${escaped(this.#commands)}'; sleep 1) | nc ${hostname} ${port}`);
    await this.peer.send(`${command}\r\n`);
  }

  /** Sends EHLO; returns the offered extensions, by their first word. */
  async hello(): Promise<Map<string, string>> {
    const { lines } = await this.ask("EHLO check.example.com", [250], "answer EHLO with 250");
    return new Map(
      lines.slice(1).map((line) => {
        const [name = "", ...rest] = line.split(" ");
        return [name.toUpperCase(), rest.join(" ")];
      }),
    );
  }

  /** Sends the envelope and DATA, up to the reply 354. */
  async data(to = ["b@example.com"]): Promise<void> {
    await this.from();
    for (const mailbox of to) {
      await this.ask(`RCPT TO:<${mailbox}>`, [250], `answer RCPT TO:<${mailbox}> with 250: each recipient is accepted`);
    }
    await this.ask("DATA", [354], "answer DATA with 354: then the client sends the mail");
  }

  /** Sends MAIL, with a correct address. */
  async from(): Promise<void> {
    await this.ask("MAIL FROM:<a@example.com>", [250], "answer MAIL FROM:<a@example.com> with 250");
  }

  /** Sends a command that the server must refuse permanently (5yz). */
  async refuses(command: string, hint: string): Promise<void> {
    await this.#send(command);
    const { code, lines } = await this.reply(hint);
    if (code < 500 || code > 599) fail(`an error (5yz) to ${command}`, `${code} ${lines.join(" / ")}`, hint);
  }

  /** Sends DATA, which the server must refuse: at once or, as RFC 5321 §4.1.1.4 allows, after the mail. */
  async refusesData(hint: string): Promise<void> {
    await this.peer.send("DATA\r\n");
    let { code } = await this.reply(hint);
    if (code === 354) {
      await this.peer.send(".\r\n");
      code = (await this.reply(hint)).code;
    }
    if (code < 400) fail("an error (503 or 554) to DATA", `${code}`, hint);
  }

  /** Sends a complete mail, which the server must accept. */
  async mail(content: string): Promise<void> {
    await this.data();
    await this.peer.send(`${content}.\r\n`);
    const hint = "a line with a dot alone ends the mail (CR LF . CR LF): then answer 250";
    this.expect(await this.reply(hint), [250], hint);
  }

  [Symbol.dispose](): void {
    this.peer.close();
  }
}
