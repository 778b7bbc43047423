/**
 * The JSON API of the inbox: list, read, mark and delete mails, and wait for one. `_inbox_openapi.ts` describes it.
 *
 * @module
 */
import { within } from "../cli.ts";
import { dispatch } from "../http/_dispatch.ts";
import { Problem } from "../http/_problem.ts";
import type { WebRequest } from "../http/_web_connection.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { decode, type Inbox } from "./_inbox_server.ts";
import { type Match, matches, parseInteger, parseMatch, parseSince } from "./_inbox_query.ts";
import { done, json, revalidated } from "./_inbox_response.ts";
import type { Entry, ListedMail } from "./_maildir_reader.ts";

/** Answers a request for a path under `/api/`. @throws {Problem} */
export async function answerApi(request: WebRequest, inbox: Inbox): Promise<Response> {
  const { url } = request;
  if (url.pathname === "/api/mails") {
    return await dispatch(request, {
      GET: () => listMails(request, url.searchParams, inbox),
      DELETE: () => deleteMails(url.searchParams, inbox),
    });
  }
  if (url.pathname === "/api/wait") {
    return await dispatch(request, { GET: () => waitForMail(request, inbox) });
  }
  const [, encoded, part] = /^\/api\/mails\/([^/]+)(\/read)?$/.exec(url.pathname) ?? [];
  if (encoded === undefined) throw new Problem(404, "no such path: /openapi.json lists the paths of this API");
  const id = decode(encoded);
  const change = (action: (entry: Entry) => Promise<boolean>) => async () => {
    await inbox.withMail(id, async (entry) => await action(entry) || undefined);
    return done();
  };
  const { maildir } = inbox;
  if (part) {
    return await dispatch(request, {
      PUT: change((entry) => maildir.mark(entry, true)),
      DELETE: change((entry) => maildir.mark(entry, false)),
    });
  }
  return await dispatch(request, {
    GET: async () => json(await describe(id, inbox)),
    DELETE: change((entry) => maildir.delete(entry)),
  });
}

async function listMails(request: WebRequest, params: URLSearchParams, inbox: Inbox): Promise<Response> {
  const match = parseMatch(params, ["limit", "offset"]);
  const limit = parseInteger(params, "limit", 50, 1, 1000);
  const offset = parseInteger(params, "offset", 0, 0, 999_999_999);
  const { mails, ...counts } = await inbox.list(match, offset, limit);
  const body = JSON.stringify({ ...counts, offset, limit, mails: mails.map(summaryOf) });
  return await revalidated(request, body, "application/json");
}

async function deleteMails(params: URLSearchParams, inbox: Inbox): Promise<Response> {
  let deleted = 0;
  for (const mail of await inbox.select(parseMatch(params))) if (await inbox.maildir.delete(mail)) deleted++;
  return json({ deleted });
}

/** A mail as the list has it. */
function summaryOf({ id, from, to, cc, recipients, subject, excerpt, ...mail }: ListedMail) {
  const { received, size, isRead: read, hasAttachments } = mail;
  const time = new Date(received).toISOString();
  return { id, from, to, cc, recipients, subject, excerpt, received: time, size, read, hasAttachments };
}

/** A mail with its parts. @throws {Problem} 404 */
async function describe(id: string, inbox: Inbox) {
  return await inbox.withMail(id, async (entry) => {
    const listed = await inbox.maildir.listed(entry);
    const mail = await inbox.maildir.read(entry);
    if (!listed || !mail) return undefined;
    const path = `/mail/${encodeURIComponent(id)}`;
    const { from, to, cc, replyTo, subject, text, html, headers } = mail;
    return {
      ...{ ...summaryOf(listed), from, to, cc, replyTo, subject, text, html, headers, source: `${path}/raw` },
      attachments: mail.attachments.map(({ name, type, id, content }, i) => (
        { name, type, contentId: id, size: content.length, url: `${path}/part/${i}` }
      )),
    };
  });
}

/** Requests that may wait at the same time. */
const MAX_WAITING = 100;

/** Answers with the next mail that matches, as soon as it is there. @throws {Problem} 404 if none comes in time. */
async function waitForMail(request: WebRequest, inbox: Inbox): Promise<Response> {
  const params = request.url.searchParams;
  const match = parseMatch(params, ["since", "timeout"]);
  const since = parseSince(params);
  const timeout = parseInteger(params, "timeout", 10, 0, 300);
  if (inbox.waiting >= MAX_WAITING) throw new Problem(503, "too many requests are waiting", { "retry-after": "1" });
  inbox.waiting++;
  try {
    const found = await nextMail(match, since, timeout, inbox, request.left());
    if (!found) throw new Problem(404, `no mail that matches arrived within ${timeout} s`);
    return json(await describe(found.id, inbox));
  } finally {
    inbox.waiting--;
  }
}

async function nextMail(
  match: Match,
  since: number | undefined,
  timeout: number,
  inbox: Inbox,
  left: Promise<void>,
) {
  const { maildir, arrivals } = inbox;
  let hasLeft = false;
  left.then(() => hasLeft = true);
  const isMeant = matches(match);
  const checked = new Set(since === undefined ? maildir.entries().map(({ id }) => id) : []);
  const end = performance.now() + timeout * 1000;
  while (true) {
    const news = arrivals.next(); // before looking: what arrives meanwhile is not missed
    for (const entry of inbox.recentEntries().toReversed()) { // the oldest first
      if (checked.has(entry.id)) continue;
      if (since !== undefined && isBefore(entry.received, since)) {
        checked.add(entry.id);
        continue;
      }
      const mail = await maildir.listed(entry);
      if (!mail) continue; // it was moved just now: look again
      if (isMeant(mail)) return entry;
      checked.add(entry.id);
    }
    const rest = end - performance.now();
    if (rest <= 0) return undefined;
    if (arrivals.closed) throw new Problem(503, "the inbox is stopping");
    if (hasLeft) throw new Problem(400, "the client has closed its side of the connection: its place is free");
    // A file system may report nothing, a network's for example: so look again after a second anyway.
    await within(Math.min(rest, 1000) / 1000, Promise.race([news, left]), () => {});
  }
}

/** Whether a mail arrived before `since`. A name in whole seconds says no more than the second. */
const isBefore = (received: number, since: number): boolean =>
  received < (received % 1000 === 0 ? Math.floor(since / 1000) * 1000 : since);

/** What a change of the Maildir may fail with: a refusal instead of a stack trace. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  if (codeOf(error) === "EMFILE") {
    return new Problem(503, "the inbox has too many open files", { "retry-after": "1" });
  }
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  if (error instanceof Deno.errors.NotCapable || ["EACCES", "EPERM", "EROFS"].includes(String(code))) {
    return new Problem(403, "the inbox has no permission for this file of the Maildir");
  }
  return typeof code === "string" && /^E[A-Z]+$/.test(code)
    ? new Problem(503, `the file system said ${code}`)
    : undefined;
}
