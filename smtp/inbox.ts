/**
 * Shows a Maildir in a browser: the list of mails, and each mail with its text, its HTML and its attachments. New mail
 * appears by itself.
 *
 * Look at the policies for a mail's HTML: anyone can send a mail, so its HTML is shown in a sandboxed frame without scripts,
 * forms or remote content. Loading a remote picture would tell the sender that the mail was read.
 *
 * First `deno task smtp-server --maildir mail`, then `deno run -N=127.0.0.1 -R=mail smtp/inbox.ts` or `deno task smtp-inbox`,
 * and open http://127.0.0.1:8025/. Send a mail with `deno task smtp-send --to you@example.com --text Hello`.
 * RFC 5322 and 2045 (mails), WHATWG HTML §9.2 (server-sent events). API: Deno.serve, Deno.watchFs.
 *
 * @module
 */
import { ServerSentEventStream } from "jsr:@std/http@1/server-sent-event-stream";
import { Failure, printable, run, serverOptions, text } from "../cli.ts";
import { requestUrl, serveWeb } from "../http/_web_server.ts";
import { reason } from "../tcp/_read_file.ts";
import { FRAME_POLICY, inboxPage, inlinePictures, mailPage, PAGE_POLICY, script } from "./_inbox_page.ts";
import { MaildirReader, type ParsedMail } from "./_maildir_reader.ts";

/** Answers one request: the list, one mail or a part of it, or the stream of events. `host` is where this server listens. */
async function handle(request: Request, maildir: MaildirReader, events: NewMailEvents, host: string) {
  const url = requestUrl(request);
  if (!url) return errorResponse("400 Bad Request: the Host field is not a valid host");
  // DNS rebinding: a foreign site can point its own name at this machine, and its script could then read the mails. So a
  // server on loopback accepts only the names of loopback.
  if (LOOPBACK.test(host) && !LOOPBACK.test(url.hostname)) {
    return errorResponse("421 Misdirected Request: open the inbox by the name localhost or the address 127.0.0.1");
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return errorResponse("405 Method Not Allowed", { allow: "GET, HEAD" });
  }
  if (url.pathname === "/") return htmlResponse(inboxPage(await maildir.list()), PAGE_POLICY);
  if (url.pathname === "/page.js") return content(script, "text/javascript; charset=UTF-8");
  if (url.pathname === "/events") return content(events.subscribe(), "text/event-stream");

  const [, encodedName = "", part = ""] = /^\/mail\/([^/]+)\/(|html|raw|part\/\d+)$/.exec(url.pathname) ?? [];
  const name = decodeName(encodedName);
  const mail = await maildir.read(name);
  if (!mail) return errorResponse("404 Not Found");
  if (part === "") return htmlResponse(mailPage(name, mail), PAGE_POLICY);
  if (part === "raw") return content(mail.raw, "text/plain; charset=UTF-8");
  if (part !== "html") return attachmentResponse(mail, Number(part.slice("part/".length)));
  // In the frame, the policy of the page around it says where a link may lead. A page of its own has no such limit.
  if (request.headers.get("sec-fetch-dest") === "document") {
    return new Response(null, { status: 302, headers: { location: new URL("./", url).href } });
  }
  return htmlResponse(inlinePictures(mail), FRAME_POLICY);
}

const LOOPBACK = /^(localhost|127\.[\d.]+|\[?::1\]?)$/;

/** The browsers that show the list. Each has an event stream, which reports new mail. */
class NewMailEvents {
  readonly #streams = new Set<ReadableStreamDefaultController<{ data: string }>>();

  /** Opens an event stream. It ends when the browser leaves, or with `close`. */
  subscribe(): ReadableStream<Uint8Array> {
    let stream: ReadableStreamDefaultController<{ data: string }>;
    const messages = new ReadableStream<{ data: string }>({
      start: (controller) => {
        stream = controller;
        this.#streams.add(stream);
      },
      cancel: () => void this.#streams.delete(stream),
    });
    return messages.pipeThrough(new ServerSentEventStream());
  }

  /** Reports new mail to all browsers. */
  notify(): void {
    for (const stream of this.#streams) {
      // If the browser has not read the last event yet, a second one adds nothing.
      if ((stream.desiredSize ?? 0) > 0) stream.enqueue({ data: "new" });
    }
  }

  /** Ends all streams. */
  close(): void {
    for (const stream of this.#streams) stream.close();
    this.#streams.clear();
  }
}

const command = {
  name: "inbox",
  about: "Shows a Maildir in a browser.",
  run: "deno run -N=127.0.0.1 -R=mail smtp/inbox.ts",
  options: {
    ...serverOptions(8025, "accepted as by every server, without effect"),
    "maildir": text("mail", "the Maildir", "DIR"),
  },
};

await run(command, async (flags) => {
  const maildir = new MaildirReader(flags.maildir);
  const events = new NewMailEvents();
  const watcher = watch(flags.maildir);
  const watching = notifyOfChanges(watcher, events);
  await serveWeb(flags, "Inbox", async (request) => {
    const response = await handle(request, maildir, events, flags.host);
    response.headers.set("referrer-policy", "no-referrer");
    return response;
  }, () => events.close());
  watcher.close();
  await watching;
});

/** Reports new mail at most ten times per second: mails can arrive by the hundred, and a browser then loads the list. */
async function notifyOfChanges(watcher: Deno.FsWatcher, events: NewMailEvents): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const _ of watcher) {
    timer ??= setTimeout(() => {
      timer = undefined;
      events.notify();
    }, 100);
  }
}

/** Watches the folder in which new mails appear. @throws {Failure} if there is no such folder. */
function watch(maildir: string): Deno.FsWatcher {
  const folder = printable(`${maildir}/new`);
  try {
    return Deno.watchFs(`${maildir}/new`);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      const [why] = reason(error).split(", run again");
      throw new Failure(`cannot watch ${folder}: ${why}: add -R=${printable(maildir)}`, 1, `-R=${maildir}`);
    }
    throw new Failure(`cannot watch ${folder}: ${reason(error)}: start the server with --maildir first`);
  }
}

/** Decodes the name of a mail's file. Such a name is ASCII; unlike `decodeURIComponent` this accepts any other byte, too. */
function decodeName(encoded: string): string {
  return encoded.replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

function content(body: BodyInit, type: string): Response {
  return new Response(body, { headers: { "content-type": type } });
}

/** An error for people: its status code and what is wrong. */
function errorResponse(text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, { status: Number(text.slice(0, 3)), headers });
}

function htmlResponse(page: string, policy: string): Response {
  return new Response(page, {
    headers: {
      "content-type": "text/html; charset=UTF-8",
      "content-security-policy": policy,
      "x-dns-prefetch-control": "off", // even a DNS query for a name in the mail would tell that it was read
    },
  });
}

/** An attachment is always downloaded and never shown, whatever type it claims. RFC 8187 has the form of its name. */
function attachmentResponse(mail: ParsedMail, index: number): Response {
  const found = mail.attachments[index];
  if (!found) return errorResponse("404 Not Found");
  return new Response(found.content, {
    headers: {
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(found.name).replaceAll("'", "%27")}`,
      "content-security-policy": "sandbox; default-src 'none'",
    },
  });
}
