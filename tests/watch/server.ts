/**
 * The web server of the picture: the page, its events as they come, and a message's bytes when it is opened.
 *
 * @module
 */
import { isAllowedHost } from "../../http/_allowed_host.ts";
import type { Transport } from "../../tcp/_network.ts";
import { dissect, type Field } from "./dissect.ts";
import type { Entry } from "./entries.ts";
import type { Model } from "./model.ts";
import { livePage, PAGE_POLICY, savedPage, script } from "./page.ts";
import { networkPanel, pairsPanel } from "./panels.ts";
import { subjectOf } from "./subject.ts";

/** What is shown. */
export interface Show {
  model: Model;
  title: string;
  /** Another one for each start, so that a page that was left open begins from the start. */
  run: string;
  /** Starts the exchange again over this network, with a new model. Returns why not, or "". */
  again?: (network: string) => string;
  /** How bad the network is from now on. Returns why not, or "". */
  change?: (network: string) => Promise<string>;
  /** The network of the last start, of a show with `again` or `change`. */
  network?: string;
  transport?: Transport;
}

/** Several shows, one after another. */
export interface Gallery {
  readonly list: () => { name: string; state: string }[];
  readonly get: (name: string) => Show | undefined;
}

/** A message as its reader sees it. */
export interface Details {
  /** Its bytes, as base64. */
  readonly data: string;
  readonly fields: readonly Field[];
}

/** Answers a request for the page or a part of it. Without the name of a pair, it is about `current`. */
export async function answer(request: Request, current: Show, gallery?: Gallery): Promise<Response> {
  // A page of another site, whose name leads to 127.0.0.1, must not read what passes here (DNS rebinding).
  if (!isAllowedHost(request.headers.get("host") ?? undefined, "127.0.0.1")) {
    return new Response("use the address that was printed", { status: 403 });
  }
  const { pathname, searchParams } = new URL(request.url);
  const name = searchParams.get("pair");
  const show = name === null ? current : gallery?.get(name);
  if (!show) return new Response("there is no such pair", { status: 404 });
  if ((pathname === "/again" || pathname === "/network") && request.method === "POST") {
    return await obey(request, pathname, searchParams.get("network") ?? "", show);
  }
  if (request.method !== "GET") return new Response("only GET", { status: 405, headers: { allow: "GET" } });
  if (pathname === "/") {
    const chosen = gallery?.list().find(({ name }) => gallery.get(name) === show)?.name ?? "";
    const options = { network: panelOf(show), pairs: gallery && pairsPanel(gallery.list(), chosen) };
    return html(livePage(show.title, options), { "content-security-policy": PAGE_POLICY });
  }
  if (pathname === "/page.js") {
    return new Response(script, { headers: { ...plain, "content-type": "text/javascript" } });
  }
  if (pathname === "/events") {
    return events(request.headers.get("last-event-id") ?? "", show, {
      isFollowing: name === null,
      pairs: () => JSON.stringify(gallery?.list() ?? []),
    });
  }
  if (pathname === "/saved.html") {
    return html(saved(show), { "content-disposition": 'attachment; filename="exchange.html"' });
  }
  const [, id] = /^\/message\/(\d{1,9})$/.exec(pathname) ?? [];
  const found = id === undefined ? undefined : details(Number(id), show);
  if (!found) return new Response("there is nothing here", { status: 404 });
  return new Response(JSON.stringify(found), { headers: { ...plain, "content-type": "application/json" } });
}

/** Starts the exchange again, or changes its network. A page of another site can send this, too: its browser says so. */
async function obey(request: Request, path: string, network: string, show: Show): Promise<Response> {
  const site = request.headers.get("sec-fetch-site") ?? "same-origin";
  if (site !== "same-origin") return new Response("only the page itself may do this", { status: 403 });
  const problem = path === "/again"
    ? show.again?.(network) ?? "only a pair can be started again"
    : await show.change?.(network) ?? "no relay is running: it does when the exchange is run again";
  const done = path === "/again" ? "" : `network: ${network || "perfect"}`;
  return new Response(problem || done, { status: problem === "" ? 200 : 409, headers: plain });
}

/** The panel of the network; undefined where there is none. */
const panelOf = ({ network, transport = "tcp", again, change }: Show): string | undefined =>
  again || change
    ? networkPanel({ transport, network: network ?? "", hasRelay: change !== undefined, isPair: again !== undefined })
    : undefined;

const plain = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

const html = (text: string, headers: Record<string, string>) =>
  new Response(text, { headers: { ...plain, "content-type": "text/html; charset=UTF-8", ...headers } });

/** The bytes and the fields of a message; undefined if it has none. */
export function details(id: number, { model }: Show): Details | undefined {
  const subject = subjectOf(model, id);
  return subject && { data: subject.data.toBase64(), fields: dissect(subject, model.protocol) };
}

/** The whole exchange as one file, which needs no server. */
export function saved(show: Show): string {
  const entries = [...new Set(show.model.log)].filter((entry) => !("isGone" in entry && entry.isGone));
  const messages = Object.fromEntries([...show.model.data.keys()].map((id) => [id, details(id, show)]));
  return savedPage(show.title, { entries, messages });
}

/** The most entries in one event. */
const BATCH = 2000;

/** Milliseconds between two events: what happens meanwhile comes together. */
const PAUSE = 40;

/** What events are about besides the picture. */
interface Following {
  /** Whether they go on with the next picture when another one takes the place of this. */
  readonly isFollowing: boolean;
  /** The pairs that are shown one after another, as JSON. */
  readonly pairs: () => string;
}

/**
 * All entries so far, and then those that are new or have changed (Server-Sent Events). The id of an event is a place in
 * the log, so that a browser that connects again goes on from there. A slow browser is not sent more than it reads.
 */
function events(lastId: string, { model, run }: Show, { isFollowing, pairs }: Following): Response {
  const [lastRun, lastPlace = ""] = lastId.split(" ");
  // Anyone can send any id: one that is no place in this log means the start.
  let place = lastRun === run && /^\d{1,9}$/.test(lastPlace) ? Number(lastPlace) : 0;
  if (place > model.log.length) place = 0;
  let known = pairs();
  let isOpen = true;
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      while (isOpen && place >= model.log.length && known === pairs()) {
        // The browser asks again, and learns that there is another run.
        if (model.isClosed && isFollowing) return controller.close();
        await model.changed;
      }
      if (!isOpen) return;
      const entries: Entry[] = [...new Set(model.log.slice(place, place + BATCH))];
      place = Math.min(place + BATCH, model.log.length);
      known = pairs();
      const data = JSON.stringify({ run, entries, left: model.log.length - place, pairs: JSON.parse(known) });
      controller.enqueue(encoder.encode(`retry: 300\nid: ${run} ${place}\ndata: ${data}\n\n`));
      if (place === model.log.length) await new Promise((next) => setTimeout(next, PAUSE));
    },
    cancel: () => void (isOpen = false),
  });
  return new Response(body, { headers: { ...plain, "content-type": "text/event-stream" } });
}
