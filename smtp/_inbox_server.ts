/**
 * The web server of the inbox: which request gets which page, part of a mail, or answer of the API.
 *
 * @module
 */
import { dispatch } from "../http/_dispatch.ts";
import { visible } from "../http/_page.ts";
import { Problem } from "../http/_problem.ts";
import type { WebRequest } from "../http/_web_connection.ts";
import { serveWeb, type WebFlags } from "../http/_web_server.ts";
import { lengthOf } from "../tcp/_read_file.ts";
import { explain } from "../tcp/_socket_errors.ts";
import { answerApi, problemOf } from "./_inbox_api.ts";
import { Arrivals } from "./_inbox_arrivals.ts";
import { FRAME_POLICY, frameOf } from "./_inbox_html.ts";
import { openapi } from "./_inbox_openapi.ts";
import { inboxPage, mailPage, PAGE_POLICY } from "./_inbox_page.ts";
import { type Match, matches, parseInteger, parseMatch } from "./_inbox_query.ts";
import { json, noSuchMail, respond, revalidated } from "./_inbox_response.ts";
import { script } from "./_inbox_script.ts";
import { type Entry, type ListedMail, MaildirReader } from "./_maildir_reader.ts";

/** How many mails a page lists. */
const PAGE_SIZE = 50;

/** A Maildir that a web server shows. */
export class Inbox {
  /** Requests that wait for a mail. */
  waiting = 0;
  #recent: { entries: readonly Entry[]; changes: number; time: number } = { entries: [], changes: -1, time: 0 };

  private constructor(readonly maildir: MaildirReader, readonly arrivals: Arrivals, readonly isReadOnly: boolean) {}

  /**
   * Opens a Maildir that exists. It needs the permission to read it; with the permission to write it, mails can be deleted and
   * marked. @throws {Failure} if there is no such folder, or it may not be read.
   */
  static async open(folder: string): Promise<Inbox> {
    const arrivals = Arrivals.of(folder);
    const { state } = await Deno.permissions.query({ name: "write", path: folder });
    return new Inbox(new MaildirReader(folder), arrivals, state !== "granted");
  }

  /** Serves the inbox until Ctrl-C. `option` is that of its port. */
  async serve(flags: WebFlags, option = "--port"): Promise<void> {
    try {
      await serveWeb(flags, "Inbox", (request) => answer(request, this), () => this.arrivals.close());
    } catch (error) {
      throw explain(error, { hostname: flags.host, port: flags.port }, option);
    } finally {
      this.arrivals.close();
    }
  }

  /**
   * All mails, newest first, for requests that look again and again: they share one look into the folders, until something
   * changes there or half a second has passed.
   */
  recentEntries(): readonly Entry[] {
    const { changes } = this.arrivals;
    if (this.#recent.changes !== changes || performance.now() - this.#recent.time > 500) {
      this.#recent = { entries: this.maildir.entries(), changes, time: performance.now() };
    }
    return this.#recent.entries;
  }

  /** The mails that match. The first search reads all of them. */
  async select(match: Match): Promise<ListedMail[]> {
    return await this.maildir.filter(this.maildir.entries(), matches(match));
  }

  /** A part of the list of mails that match, and how many there are: `total` match, `unread` of them were not read. */
  async list(match: Match, offset: number, limit: number) {
    const { maildir } = this;
    const entries = maildir.entries();
    const isSearch = Object.values(match).some((text) => text !== "");
    const found: readonly Entry[] = isSearch ? await maildir.filter(entries, matches(match)) : entries;
    const unread = found.filter(({ isRead }) => !isRead).length;
    const mails = await maildir.filter(found.slice(offset, offset + limit), () => true);
    return { total: found.length, unread, mails };
  }

  /**
   * Does something with the mail of this id, and does it once more if the file was gone: a mail program may move it at any
   * time, to mark it as read. @throws {Problem} 404 if there is no such mail.
   */
  async withMail<T>(id: string, action: (entry: Entry) => Promise<T | undefined>): Promise<T> {
    for (let attempt = 0; attempt < 2; attempt++) {
      const entry = this.maildir.find(id);
      const result = entry && await action(entry);
      if (result !== undefined) return result;
    }
    throw noSuchMail();
  }

  /** Refuses a change that this inbox may not make. @throws {Problem} 403 */
  checkWritable(): void {
    if (this.isReadOnly) throw new Problem(403, `this inbox is read only: start it with -W=${this.maildir.path}`);
  }
}

/** Answers one request. An error that is not expected is a bug, and thrown. */
export async function answer(request: WebRequest, inbox: Inbox): Promise<Response> {
  const isApi = request.url.pathname.startsWith("/api/");
  let response: Response;
  try {
    if (request.method !== "GET" && request.method !== "HEAD") {
      refuseOtherSites(request);
      if (isApi) inbox.checkWritable();
    }
    response = isApi ? await answerApi(request, inbox) : await answerPage(request, inbox);
  } catch (error) {
    const problem = problemOf(error);
    if (!problem) throw error;
    response = isApi ? problem.toResponse() : problem.toText();
    response.headers.set("cache-control", "private, no-cache");
  }
  response.headers.set("referrer-policy", "no-referrer");
  response.headers.set("cross-origin-resource-policy", "same-origin"); // no other site may show a part of a mail
  return response;
}

/**
 * Another site's page can send a request here, though it cannot read the response: it must not delete mails (cross-site
 * request forgery). A browser says which site a request comes from; other clients say nothing. @throws {Problem} 403
 */
function refuseOtherSites(request: WebRequest): void {
  const site = request.fields.get("sec-fetch-site") ?? "same-origin";
  const origin = request.fields.get("origin");
  if (site === "same-origin" && (origin === undefined || URL.parse(origin)?.host === request.url.host)) return;
  throw new Problem(403, "only the inbox's own page may change mails");
}

async function answerPage(request: WebRequest, inbox: Inbox): Promise<Response> {
  const { url } = request;
  const get = (body: () => Promise<Response> | Response) => dispatch(request, { GET: body });
  if (url.pathname === "/") return await get(() => listPage(request, inbox));
  if (url.pathname === "/page.js") {
    return await get(() => revalidated(request, script, "text/javascript; charset=UTF-8"));
  }
  if (url.pathname === "/openapi.json") return await get(() => json(openapi));

  const [, encoded = "", part = ""] = /^\/mail\/([^/]+)\/(|html|raw|part\/\d{1,6})$/.exec(url.pathname) ?? [];
  const id = decode(encoded);
  if (part === "raw") return await get(() => sourceOf(id, inbox));
  // In the frame, the page around it takes care of the links. A page of its own would follow them itself.
  if (part === "html" && request.fields.get("sec-fetch-dest") === "document") {
    return await get(() => new Response(null, { status: 302, headers: { location: "./" } }));
  }
  return await get(() =>
    inbox.withMail(id, async (entry) => {
      const mail = await inbox.maildir.read(entry);
      if (part === "html") return mail && respond(frameOf(mail), HTML, { "content-security-policy": FRAME_POLICY });
      if (part !== "") return mail && attachment(mail.attachments[Number(part.slice("part/".length))]);
      return mail && respond(mailPage(entry, mail, neighbours(entry, inbox), inbox.isReadOnly), HTML, PAGE_HEADERS);
    })
  );
}

const HTML = "text/html; charset=UTF-8";
const PAGE_HEADERS = {
  "content-security-policy": PAGE_POLICY,
  "x-dns-prefetch-control": "off", // even a DNS query for a name in the mail would tell that it was read
};

async function listPage(request: WebRequest, inbox: Inbox): Promise<Response> {
  const { url } = request;
  const match = parseMatch(url.searchParams, ["page"]);
  const number = parseInteger(url.searchParams, "page", 1, 1, 9_999_999);
  const { mails, total, unread } = await inbox.list(match, (number - 1) * PAGE_SIZE, PAGE_SIZE);
  const { isReadOnly } = inbox;
  const q = url.searchParams.get("q")?.trim() ?? "";
  const page = inboxPage({ mails, total, unread, q, number, pageSize: PAGE_SIZE, isReadOnly });
  return await revalidated(request, page, HTML, PAGE_HEADERS);
}

/** The mails before and after a mail in the list. */
function neighbours({ id }: Entry, { maildir }: Inbox): { newer?: string; older?: string } {
  const entries = maildir.entries();
  const at = entries.findIndex((entry) => entry.id === id);
  return { newer: entries[at - 1]?.id, older: entries[at + 1]?.id };
}

async function sourceOf(id: string, inbox: Inbox): Promise<Response> {
  const file = await inbox.withMail(id, (entry) => inbox.maildir.open(entry));
  return respond(file.readable, "text/plain; charset=UTF-8", {
    "content-length": `${lengthOf(file)}`, // so it is sent as it is read, whatever its size
    "content-security-policy": FRAME_POLICY,
  });
}

/** An attachment is always downloaded and never shown, whatever type it claims. RFC 8187 has the form of its name. */
function attachment(part: { name: string; content: Uint8Array<ArrayBuffer> } | undefined): Response {
  if (!part) throw new Problem(404, "the mail has no such part");
  const name = visible(part.name).replace(/[/\\]/g, "_"); // a name, never a path
  return respond(part.content, "application/octet-stream", {
    "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(name).replaceAll("'", "%27")}`,
    "content-security-policy": "sandbox; default-src 'none'",
  });
}

/** Decodes a mail's id in a path; an id that cannot be decoded is the id of no mail. */
export function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return "";
  }
}
