/**
 * A Maildir as a web page: the list of mails, and each of them with its text, its HTML and its attachments. New mail appears
 * by itself.
 *
 * Look at what a mail may do here: nothing. Anyone can send one, so its HTML is shown in a frame without scripts, without
 * forms, and without a single byte from elsewhere: a picture that is fetched tells the sender that the mail was read.
 *
 * ```sh
 * deno run -N=127.0.0.1 -R=mail -W=mail smtp/server.ts --maildir mail
 * deno run -N=127.0.0.1 -R=mail smtp/inbox.ts --maildir mail
 * ```
 *
 * Then open http://127.0.0.1:8025/ and send a mail, as `deno task smtp:send` does.
 *
 * RFC 5322 and 2045 (mails), WHATWG HTML (server-sent events). API: Deno.serve, Deno.watchFs.
 *
 * @module
 */
import { ServerSentEventStream } from "jsr:@std/http@1/server-sent-event-stream";
import { announce, bind, Failure, onStop, printable, reason, run, serverOptions, show, text } from "../cli.ts";
import { FRAME_POLICY, listPage, mailPage, PAGE_POLICY, script, withPictures } from "./inbox_page.ts";
import { Mailbox } from "./mailbox.ts";

const command = {
  name: "inbox",
  about: "Shows a Maildir in a browser.",
  run: "deno run -N=127.0.0.1 -R=mail smtp/inbox.ts",
  options: {
    ...serverOptions(8025, ""),
    "maildir": text("mail", "the Maildir", "DIR"),
  },
};

const LOOPBACK = /^(localhost|127\.[\d.]+|\[?::1\]?)$/;

await run(command, async (flags) => {
  const mailbox = new Mailbox(flags.maildir);
  const done = Promise.withResolvers<void>();
  /** For each browser that waits for news: how to tell it, and how to end. */
  const listeners = new Set<{ tell(): void; end(): void }>();
  const watcher = watch(`${flags.maildir}/new`);

  const at = { hostname: flags.host, port: flags.port };
  const listening = Promise.withResolvers<Deno.NetAddr>();
  const server = bind(at, (addr) => Deno.serve({ ...addr, onListen: listening.resolve }, handle));
  onStop(done.resolve);
  announce("Inbox", await listening.promise);
  let news: ReturnType<typeof setTimeout> | undefined;
  (async () => {
    for await (const _ of watcher) {
      // Mails may come by the hundred, and a browser reads the whole list each time.
      news ??= setTimeout(() => {
        news = undefined;
        for (const { tell } of listeners) tell();
      }, 100);
    }
  })();
  await done.promise;
  watcher.close();
  clearTimeout(news);
  for (const { end } of [...listeners]) end();
  await Promise.race([server.shutdown(), new Promise((late) => setTimeout(late, 5000))]);

  async function handle(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const response = await route(request, url);
    response.headers.set("x-content-type-options", "nosniff");
    response.headers.set("referrer-policy", "no-referrer");
    if (flags.trace) {
      show(flags.trace, "browser", "inbox", new Uint8Array(), `${request.method} ${url.pathname} ${response.status}`);
    }
    if (flags.once) setTimeout(done.resolve, 1000);
    return response;
  }

  async function route(request: Request, { pathname, hostname }: URL): Promise<Response> {
    // A page from elsewhere can have its name lead to this machine (DNS rebinding), and would then read the mails.
    if (LOOPBACK.test(flags.host) && !LOOPBACK.test(hostname)) {
      return new Response("421 Misdirected Request: ask by the address of this server\n", { status: 421 });
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("405 Method Not Allowed\n", { status: 405, headers: { allow: "GET, HEAD" } });
    }
    if (pathname === "/") return html(listPage(await mailbox.list()), PAGE_POLICY);
    if (pathname === "/page.js") {
      return new Response(script, { headers: { "content-type": "text/javascript; charset=UTF-8" } });
    }
    if (pathname === "/events") return new Response(events(), { headers: { "content-type": "text/event-stream" } });
    const [, encoded = "", part = ""] = /^\/mail\/([^/]+)\/(|html|raw|part\/\d+)$/.exec(pathname) ?? [];
    // The names of mails are of ASCII, which is decoded without failing.
    const name = encoded.replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
    const mail = await mailbox.read(name);
    if (!mail) return new Response("404 Not Found\n", { status: 404 });
    if (part === "") return html(mailPage(name, mail), PAGE_POLICY);
    if (part === "raw") return new Response(mail.raw, { headers: { "content-type": "text/plain; charset=UTF-8" } });
    if (part === "html") {
      // In the frame the page around it has the last word on where it may lead; on its own nobody has.
      if (request.headers.get("sec-fetch-dest") === "document") {
        return new Response(null, { status: 302, headers: { location: new URL("./", request.url).href } });
      }
      return html(withPictures(mail), FRAME_POLICY);
    }
    const attachment = mail.attachments[Number(part.slice(5))];
    if (!attachment) return new Response("404 Not Found\n", { status: 404 });
    // Never shown here, whatever it says that it is: it is downloaded, under its name (RFC 8187).
    const headers = {
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename*=UTF-8''${
        encodeURIComponent(attachment.name).replaceAll("'", "%27")
      }`,
      "content-security-policy": "sandbox; default-src 'none'",
    };
    return new Response(attachment.content, { headers });
  }

  /** Tells the browser that there is something new, until it leaves. */
  function events(): ReadableStream<Uint8Array> {
    let listener: { tell(): void; end(): void };
    const messages = new ReadableStream<{ data: string }>({
      start(controller) {
        listener = {
          tell() {
            // To a browser that has not read the last news, there is nothing to add.
            if ((controller.desiredSize ?? 0) > 0) controller.enqueue({ data: "new" });
          },
          end() {
            listeners.delete(listener);
            controller.close();
          },
        };
        listeners.add(listener);
      },
      cancel: () => void listeners.delete(listener),
    });
    return messages.pipeThrough(new ServerSentEventStream());
  }
});

/** Watches the folder in which new mails appear. @throws {Failure} when it is not there. */
function watch(folder: string): Deno.FsWatcher {
  try {
    return Deno.watchFs(folder);
  } catch (error) {
    throw new Failure(`cannot watch ${printable(folder)}: ${reason(error)}: start the server with --maildir first`);
  }
}

function html(page: string, policy: string): Response {
  return new Response(page, {
    headers: {
      "content-type": "text/html; charset=UTF-8",
      "content-security-policy": policy,
      "x-dns-prefetch-control": "off", // even a name that is looked up tells that a mail was read
    },
  });
}
