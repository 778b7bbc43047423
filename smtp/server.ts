/**
 * A mail sink: accepts mail for any address over SMTP, prints it, stores it with `--maildir`, and never forwards it.
 *
 * Look at `serveClient`: commands are lines, often several at once (pipelining). After DATA the same stream carries the mail,
 * up to a line with a single dot. `_session.ts` decides what to reply, and `_data.ts` finds the end of a mail.
 *
 * This terminal: `deno run -N=127.0.0.1 smtp/server.ts`. The other:
 * `deno run -N=127.0.0.1 smtp/send.ts --from a@example.com --to b@example.com --text Hello`. Both: `deno task smtp:send`.
 * With `--maildir mail` add -R=mail -W=mail; with `--self-signed a.pem` -R=a.pem,a.key -W=a.pem,a.key.
 * RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 4954 (AUTH). API: Deno.listen, Deno.Conn, node:tls for STARTTLS.
 *
 * @module
 */
import type { SecureContext } from "node:tls";
import { bind, count, Failure, flag, integer, list, onStop, printable, printableLine } from "../cli.ts";
import { run, seconds, serverOptions, text } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { type Client, Clients, maxClients } from "../tcp/_clients.ts";
import { reason } from "../tcp/_read_file.ts";
import { certificateOf, certificateOptions } from "../tcp/_server_certificate.ts";
import { explain } from "../tcp/_socket_errors.ts";
import { tlsContext } from "../tcp/_tls_server.ts";
import { Inbox } from "./_inbox_server.ts";
import { DataDecoder, type Fault, TEXT_LINE } from "./_data.ts";
import { Excerpt, receivedFields } from "./_header.ts";
import { discardingWriter, Maildir, type MailWriter } from "./_maildir_writer.ts";
import { ServerConnection } from "./_server_connection.ts";
import { Session, type Step } from "./_session.ts";
import { type Envelope, type Settings, settingsOf } from "./_settings.ts";

/** One client's dialogue, from the greeting to the end. */
async function serveClient(connection: ServerConnection, sink: Sink): Promise<void> {
  let session = new Session(sink.settings, connection.isTls);
  connection.queue(session.greeting());
  while (true) {
    const line = await connection.readLine(session.maxLineLength);
    if (line === undefined) {
      sink.log(`${connection.client.name} left without QUIT`);
      return await connection.close();
    }
    let { reply, next } = typeof line === "string" ? session.rejectLine(line) : session.command(line);
    if (next === "data") {
      connection.queue(reply);
      await connection.flush();
      connection.isReceiving = true;
      ({ reply, next } = await acceptMail(connection, session, sink));
      connection.isReceiving = false;
    }
    connection.queue(reply);
    if (next === "command") continue; // the next command may have arrived already: `readLine` sends the replies before it waits
    await connection.flush();
    if (next === "close") return await connection.close(reply.code >= 400);

    // STARTTLS. Bytes from before the handshake are not protected, and an attacker may have added them: refuse them. For
    // the same reason the dialogue begins again, without a greeting (RFC 3207 §4.2).
    if (connection.reader.unread.length > 0) {
      throw new Failure("sent commands between STARTTLS and the handshake: closed");
    }
    if (!sink.tls) throw new Error("STARTTLS is not offered without a certificate");
    await connection.startTls(sink.tls);
    session = new Session(sink.settings, true);
  }
}

/** Receives a mail, stores and prints it. Reply 250 takes over the responsibility for it, so storing comes first. */
async function acceptMail(connection: ServerConnection, session: Session, sink: Sink): Promise<Step> {
  const { envelope } = session;
  if (!envelope) throw new Error("DATA is accepted only with an envelope");
  const { client } = connection;
  const writer = sink.maildir?.write() ?? discardingWriter;
  writer.add(receivedFields(envelope, client.conn.remoteAddr.hostname, sink.settings.name));
  const excerpt = new Excerpt(sink.show ? 65_536 : 8192);
  const { size, fault } = await receiveMail(connection, writer, excerpt, sink.settings);
  if (fault) {
    sink.log(`refused a mail from ${client.name}: ${faults[fault]}`);
    return session.replyToContent(fault);
  }
  const stored = await storeMail(writer);
  if (!(stored instanceof Error)) printMail(sink, envelope, size, excerpt);
  return session.replyToContent(stored);
}

/** How many bytes of a mail a client must send in the time limit. */
const BLOCK = 16_384;

/** Receives a mail's content, up to the line with a single dot. Returns its size, and what is wrong with it. */
async function receiveMail(connection: ServerConnection, writer: MailWriter, excerpt: Excerpt, settings: Settings) {
  const { client, reader } = connection;
  const decoder = new DataDecoder(settings.line);
  let block = BLOCK;
  const onData = (content: Uint8Array) => {
    if (decoder.fault || decoder.size > settings.size) return; // refused, but read to its end: the reply must not come before
    writer.add(content);
    excerpt.add(content);
  };
  try {
    while (true) {
      reader.consume(decoder.push(reader.unread, onData));
      if (decoder.done) break;
      await writer.flush();
      if (!await reader.fill()) throw new Failure("left in the middle of a mail");
      // The time limit is for a block (RFC 5321 §4.5.3.2.5): a byte now and then must not keep the connection for ever.
      if ((block -= reader.unread.length) > 0) continue;
      [block, client.idleTicks] = [BLOCK, 0];
    }
    const fault: Fault | "size" | undefined = decoder.size > settings.size ? "size" : decoder.fault;
    if (fault) await writer.discard();
    return { size: decoder.size, fault };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

/** Finishes a mail on the disk. Returns its name, or why it could not be stored. */
async function storeMail(writer: MailWriter): Promise<{ stored: string } | Error> {
  try {
    return { stored: await writer.commit() };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.error(`server: a mail could not be stored: ${reason(error)}`);
    return error;
  }
}

function printMail(sink: Sink, { from, to }: Envelope, size: number, excerpt: Excerpt): void {
  const recipients = to.map((mailbox) => `<${printable(mailbox)}>`).join(" ");
  sink.log(`mail from <${printable(from)}> to ${recipients}, ${count(size, "byte")}: ${printable(excerpt.subject())}`);
  if (!sink.show) return;
  for (const line of excerpt.lines()) sink.log(`  | ${printableLine(line)}`.trimEnd());
}

/** What the server does with mail. */
interface Sink {
  readonly settings: Settings;
  readonly tls: SecureContext | undefined;
  readonly maildir: Maildir | undefined;
  /** Whether to print the content of mails. */
  readonly show: boolean;
  readonly log: (line: string) => void;
}

const faults = { bare: "a CR or an LF alone", long: "a line is too long", size: "larger than --size" };

const command = {
  name: "server",
  about: "Accepts mail for any address over SMTP, prints it, and forwards nothing.",
  run: "deno run -N=127.0.0.1 smtp/server.ts",
  examples: [
    "deno task smtp-server --show",
    "deno task smtp-server --maildir mail",
    "deno task smtp-server --delay 2 --reject @example.net --trace",
  ],
  groups: {
    "TLS": ["cert", "key", "self-signed", "tls-port"],
    "Login": ["user", "password-file", "accept-any-password", "insecure-auth"],
    "Replies and limits": [
      ...["reject", "defer", "delay", "size", "max-line", "lenient"],
      ...["max-recipients", "max-errors", "max-clients"],
    ],
  },
  options: {
    ...serverOptions(2525, "limit for silence, and for 16 KiB of a mail; 0: none"),
    "maildir": text("", "store the mails in this Maildir", "DIR"),
    "inbox": integer(0, "port of its inbox in the browser; 0: none", 0, 65535, "PORT"),
    "show": flag("print the content of each mail, too"),
    "quiet": flag("print nothing about mails"),
    ...certificateOptions,
    "tls-port": integer(0, "port with TLS from the first byte; 0: none", 0, 65535, "PORT"),
    "user": text("", "only this user may send; needs --password-file", "NAME"),
    "password-file": text("", "a file with the password of --user in its first line", "FILE"),
    "accept-any-password": flag("offer a login, and accept every user and password"),
    "insecure-auth": flag("accept passwords even without TLS"),
    "reject": list("refuse addresses with PATTERN (550)", "PATTERN"),
    "defer": list("refuse these temporarily (450)", "PATTERN"),
    "delay": seconds(0, "wait this long before each reply"),
    "size": integer(50 << 20, "the largest mail, in bytes", 1, 2 ** 40),
    "max-line": integer(TEXT_LINE, "the longest line of a mail, in octets", 1, 2 ** 40),
    "lenient": flag("take malformed addresses that other servers take"),
    "max-recipients": integer(100, "most recipients of one mail", 1, 100_000),
    "max-errors": integer(20, "close a client after this many errors", 1, 1_000_000),
    "max-clients": maxClients(1000),
  },
};

await run(command, async (flags) => {
  if (flags.inbox > 0 && !flags.maildir) throw new Failure("--inbox needs --maildir", 2);
  const hasTls = flags.cert !== "" || flags["self-signed"] !== "";
  if (flags["tls-port"] > 0 && !hasTls) throw new Failure("--tls-port needs --cert and --key, or --self-signed", 2);
  const settings = await settingsOf(flags, hasTls);
  const pair = await certificateOf(flags, "smtp-send --ca");
  const tls = pair && tlsContext(pair);
  const maildir = flags.maildir ? new Maildir(flags.maildir, "localhost") : undefined;
  await maildir?.open();
  const log = flags.quiet ? () => {} : console.log;
  const sink: Sink = { settings, tls, maildir, show: flags.show, log };

  const connections = new Map<Client, ServerConnection>();
  const dismiss = async (client: Client, enhanced: string, why: string) =>
    await connections.get(client)?.dismiss({ code: 421, enhanced, lines: [why] });
  const clients = new Clients(flags, {
    log,
    descriptors: maildir ? 2 : 1, // the connection, and the file of the mail
    onIdle: (client) => dismiss(client, "4.4.2", "you were silent for too long"),
    onInterrupt() {
      for (const [client, { isReceiving }] of connections) {
        const close = () => clients.close(client);
        if (!isReceiving) dismiss(client, "4.3.2", "the server is stopping").then(close, close);
      }
    },
  });
  const listener = bind(flags, Deno.listen);
  const tlsListener = flags["tls-port"] > 0 ? bindTls(flags.host, flags["tls-port"]) : undefined;
  onStop(() => clients.interrupt());
  announce("Mail server", listener.addr);
  if (tlsListener) announce("Mail server with TLS from the first byte", tlsListener.addr);

  const accept = async (from: Deno.TcpListener, implicitTls: boolean) => {
    for await (const conn of clients.accept(from)) {
      clients.serve(conn, async (client) => {
        client.conn.setNoDelay(true);
        const connection = new ServerConnection(client, flags.delay);
        connections.set(client, connection);
        try {
          if (implicitTls && tls) await connection.startTls(tls);
          await serveClient(connection, sink);
        } finally {
          connections.delete(client);
        }
      });
    }
  };
  const serving = Promise.all([accept(listener, false), tlsListener && accept(tlsListener, true)])
    .then(() => clients.finished());
  const inbox = flags.inbox > 0 ? await Inbox.open(flags.maildir) : undefined;
  const reading = inbox?.serve({ ...flags, port: flags.inbox, once: false }, "--inbox");
  // With --once the mail ends the server. Otherwise both sides finish what is in flight at Ctrl-C.
  await (flags.once
    ? Promise.race([serving, reading?.then(() => serving) ?? serving])
    : Promise.all([serving, reading]));
});

/** As `bind`, for the second port: an error names this one. */
function bindTls(host: string, port: number): Deno.TcpListener {
  try {
    return bind({ host, port }, Deno.listen);
  } catch (error) {
    throw explain(error, { hostname: host, port }, "--tls-port");
  }
}
