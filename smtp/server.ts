/**
 * A mail sink: takes mail for anyone over SMTP, shows it, keeps it if it is told where, and sends nothing on. So a lab can't
 * leak mail.
 *
 * Look at `talk`: commands come in lines, several at once if the client likes (pipelining), and a mail's content in the same
 * stream, up to a line with a dot alone. `session.ts` knows what to answer, `data.ts` where a content ends; here are the
 * socket, TLS, and the file that the mail goes to before the client is told that it is safe.
 *
 * ```sh
 * deno run -N=127.0.0.1 smtp/server.ts                                         # shows mails and keeps none
 * deno run -N=127.0.0.1 -R=mail -W=mail smtp/server.ts --maildir mail          # keeps them
 * deno run -N=127.0.0.1 -R -W --allow-run=openssl smtp/server.ts --self-signed # with STARTTLS
 * ```
 *
 * Then, in a second terminal: `deno run -N=127.0.0.1 smtp/send.ts --from a@example.com --to b@example.com --text Hello`. Both
 * at once: `deno task smtp:send`.
 *
 * RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 4954 (AUTH). API: Deno.listen, Deno.listenTls.
 *
 * @module
 */
import {
  announce,
  bind,
  count,
  Failure,
  onStop,
  printable,
  printableLine,
  readText,
  reason,
  run,
  seconds,
  serverOptions,
  text,
  texts,
  toggle,
  whole,
} from "../cli.ts";
import { type Client, Clients } from "../tcp/clients.ts";
import { linger } from "../tcp/linger.ts";
import { traced } from "../tcp/trace.ts";
import { writeAll } from "../tcp/write_all.ts";
import { certificateOf } from "./certificate.ts";
import { DataDecoder } from "./data.ts";
import { Excerpt, receivedFields } from "./header.ts";
import { type Incoming, Maildir, nowhere } from "./maildir.ts";
import { type Reply, writeReply } from "./reply.ts";
import { Session, type Settings, type Step } from "./session.ts";
import { Stream } from "./stream.ts";
import { TlsDoor } from "./tls_door.ts";

const command = {
  name: "server",
  about: "Takes mail for anyone over SMTP, shows it, and sends nothing on.",
  run: "deno run -N=127.0.0.1 smtp/server.ts",
  options: {
    ...serverOptions(2525, "close a client that is silent for this long; 0: never"),
    "maildir": text("", "keep the mails in this Maildir", "DIR"),
    "show": toggle("print the content of each mail, too"),
    "quiet": toggle("print nothing about mails"),
    "cert": text("", "certificate for STARTTLS, PEM", "FILE"),
    "key": text("", "its private key, PEM", "FILE"),
    "self-signed": toggle("make a certificate with openssl, for 127.0.0.1 and localhost"),
    "tls-port": whole(0, "also listen here for TLS from the first byte; 0: not", 0, 65535, "PORT"),
    "user": text("", "only this user may send, with the password in --password-file", "NAME"),
    "password-file": text("", "the password of --user, in the first line", "FILE"),
    "insecure-auth": toggle("take passwords without TLS, too"),
    "reject": texts("refuse recipients with this in their address (550)", "PATTERN"),
    "defer": texts("put off recipients with this in their address (450)", "PATTERN"),
    "delay": seconds(0, "wait this long before each reply"),
    "size": whole(50 << 20, "the largest mail, in bytes", 1, 2 ** 40),
    "max-recipients": whole(100, "recipients of one mail", 1, 100_000),
    "max-errors": whole(20, "errors of one client", 1, 1_000_000),
    "max-clients": whole(1000, "clients at one time; more wait for their turn", 1, 1_000_000),
  },
};

const LF = 10;

await run(command, async (flags) => {
  if ((flags.user === "") !== (flags["password-file"] === "")) throw new Failure("--user wants --password-file", 2);
  const maildir = flags.maildir ? new Maildir(flags.maildir, "localhost") : undefined;
  await maildir?.open().catch((error) => {
    throw new Failure(`cannot use ${printable(flags.maildir)}: ${reason(error)}`);
  });
  const pair = await certificateOf(flags);
  const patterns = (list: string[]) => list.map((pattern) => pattern.toLowerCase());
  const [rejected, deferred] = [patterns(flags.reject), patterns(flags.defer)];
  const settings: Settings = {
    name: "localhost",
    size: flags.size,
    recipients: flags["max-recipients"],
    errors: flags["max-errors"],
    tls: pair !== undefined,
    credentials: flags.user
      ? { user: flags.user, password: (await readText(flags["password-file"])).split(/\r?\n/)[0] ?? "" }
      : undefined,
    insecureAuth: flags["insecure-auth"],
    judge(mailbox) {
      const lower = mailbox.toLowerCase();
      if (rejected.some((pattern) => lower.includes(pattern))) return "reject";
      return deferred.some((pattern) => lower.includes(pattern)) ? "defer" : undefined;
    },
  };
  const door = pair && new TlsDoor(pair.cert, pair.key);
  if (flags["tls-port"] > 0 && !door) throw new Failure("--tls-port wants --cert and --key, or --self-signed", 2);

  const listen = (port: number) => bind({ hostname: flags.host, port }, (addr) => Deno.listen(addr));
  const listener = listen(flags.port);
  const tlsListener = flags["tls-port"] > 0 ? listen(flags["tls-port"]) : undefined;
  const log = flags.quiet ? () => {} : console.log;
  const dismiss = (conn: Deno.TcpConn | Deno.TlsConn, enhanced: string, why: string) =>
    writeAll(conn, writeReply({ code: 421, enhanced, lines: [why] }));
  /** Those who are between two mails. */
  const waiting = new Map<Client, Stream>();
  const clients = new Clients({
    max: flags["max-clients"],
    idle: flags.timeout,
    log,
    late: async (client) =>
      await dismiss(waiting.get(client)?.conn ?? client.conn, "4.4.2", "you were silent for too long"),
  });
  onStop(() => {
    clients.stop(listener);
    tlsListener?.close();
    for (const [client, { conn }] of waiting) {
      dismiss(conn, "4.3.2", "the server stops").catch(() => {}).finally(() => clients.close(client)); // it is gone, too
    }
  });
  announce("Mail server", listener.addr);
  if (tlsListener) announce("with TLS from the first byte,", tlsListener.addr);

  const serve = (conn: Deno.TcpConn, tls: boolean) =>
    clients.serve(flags.trace ? traced(conn, flags.trace) : conn, (client) => talk(client, tls));
  const accept = async (from: Deno.TcpListener, tls: boolean) => {
    while (true) {
      const conn = await clients.next(() => from.accept());
      if (conn === undefined) return;
      const served = serve(conn, tls);
      if (!flags.once) continue;
      clients.stop(listener);
      tlsListener?.close();
      if (!await served) Deno.exit(1);
      return;
    }
  };
  await Promise.race([accept(listener, false), ...tlsListener ? [accept(tlsListener, true)] : []]);
  await clients.finished();
  door?.close();

  /** One client's dialogue, from the greeting to the end of the connection. */
  async function talk(client: Client, tls: boolean): Promise<void> {
    client.conn.setNoDelay(true);
    const stream = new Stream(client.conn);
    if (tls) await secure(client, stream);
    let session = new Session(settings, tls);
    let replies: Reply[] = [];
    const say = async () => {
      if (replies.length === 0) return;
      const bytes = replies.map(writeReply);
      replies = [];
      if (flags.delay > 0) await new Promise((go) => setTimeout(go, flags.delay * 1000));
      // Replies to commands that came together go out together (RFC 2920 §3.2).
      await writeAll(stream.conn, bytes.length === 1 && bytes[0] ? bytes[0] : await join(bytes));
    };
    replies.push(session.greeting());
    waiting.set(client, stream);
    try {
      while (true) {
        const step = nextStep(session, stream);
        if (step === undefined) {
          await say();
          if (!await stream.fill()) return log(`${client.name} left without QUIT`);
          continue;
        }
        client.quiet = 0;
        replies.push(step.reply);
        if (step.next === "command") continue;
        await say();
        // Who was dismissed may still be talking, and is to read why.
        if (step.next === "close") {
          return step.reply.code >= 400 && !stream.sent ? await linger(client.conn) : undefined;
        }
        if (step.next === "data") {
          waiting.delete(client);
          replies.push((await receive(client, stream, session)).reply);
          waiting.set(client, stream);
        } else {
          // What came before the handshake was said in the clear, by whomever (RFC 3207 §5): it is not taken.
          if (stream.unread.length > 0) throw new Failure("sent commands behind STARTTLS: closed");
          await secure(client, stream);
          session = new Session(settings, true);
        }
      }
    } finally {
      waiting.delete(client);
      if (stream.sent) {
        await stream.conn.closeWrite().catch(() => {}); // it is over, whichever side has ended it
        stream.conn.close();
        await stream.sent;
      }
    }
  }

  async function secure(client: Client, stream: Stream): Promise<void> {
    if (!door) throw new Error("STARTTLS is not offered without a certificate");
    try {
      const { plain, sent } = await door.enter(client.conn);
      [stream.conn, stream.sent] = [plain, sent];
    } catch (error) {
      throw new Failure(`no TLS: ${printable(error instanceof Error ? error.message : String(error))}`);
    }
  }

  /** Reads the content of a mail and keeps it; what to answer tells whether it is safe. */
  async function receive(client: Client, stream: Stream, session: Session): Promise<Step> {
    const { envelope } = session;
    if (!envelope) throw new Error("DATA is not answered with 354 without an envelope");
    const mail: Incoming = maildir?.receive() ?? nowhere();
    const decoder = new DataDecoder();
    const excerpt = new Excerpt(flags.show ? 65_536 : 8192);
    let wanted = true;
    try {
      mail.add(receivedFields(envelope, client.conn.remoteAddr.hostname, settings.name));
      const take = (content: Uint8Array) => {
        if (decoder.size > flags.size || decoder.fault) wanted = false;
        if (!wanted) return; // read to its end all the same: the reply comes after it
        mail.add(content);
        excerpt.add(content);
      };
      while (true) {
        stream.take(decoder.push(stream.unread, take));
        if (decoder.done) break;
        await mail.drain();
        if (!await stream.fill()) throw new Failure("left in the middle of a mail");
        client.quiet = 0;
      }
      const fault = decoder.size > flags.size ? "size" : decoder.fault;
      if (fault) {
        await mail.abandon();
        log(`${client.name} sent a mail that was refused: ${fault}`);
        return session.delivered(fault, "");
      }
    } catch (error) {
      await mail.abandon();
      throw error;
    }
    let kept: string | Error;
    try {
      kept = await mail.keep();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      console.error(`server: a mail could not be kept: ${printable(error.message)}`);
      kept = error;
    }
    if (!(kept instanceof Error) && !flags.quiet) {
      const to = envelope.to.map((mailbox) => `<${printable(mailbox)}>`).join(" ");
      const subject = excerpt.subject();
      console.log(
        `mail from <${printable(envelope.from)}> to ${to}, ${count(decoder.size, "byte")}: ${printable(subject)}`,
      );
      if (flags.show) {
        for (const line of excerpt.lines()) console.log(`  | ${printableLine(line)}`.trimEnd());
      }
    }
    return session.delivered(undefined, kept);
  }
});

/** The step for the next line in the buffer; `undefined` when there is no whole one. */
function nextStep(session: Session, stream: Stream): Step | undefined {
  const line = stream.unread;
  const end = line.indexOf(LF);
  if ((end < 0 ? line.length : end + 1) > session.longest) return session.unreadable("long");
  if (end < 0) return undefined;
  stream.take(end + 1);
  return line[end - 1] === 13 ? session.command(line.subarray(0, end - 1)) : session.unreadable("bare");
}

async function join(parts: Uint8Array<ArrayBuffer>[]): Promise<Uint8Array> {
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
