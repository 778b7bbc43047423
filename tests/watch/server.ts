/**
 * The web server of the picture: the page, its events as they come, and a message's bytes when it is opened.
 *
 * @module
 */
import { isAllowedHost } from "../../http/_allowed_host.ts";
import { dissect, type Field, type Protocol } from "./dissect.ts";
import type { Entry } from "./entries.ts";
import type { Model } from "./model.ts";
import { livePage, PAGE_POLICY, savedPage, script } from "./page.ts";

/** What is shown. */
export interface Show {
  model: Model;
  title: string;
  readonly protocol?: Protocol;
  /** Another one for each start, so that a page that was left open begins from the start. */
  run: string;
  /** Starts the exchange again over this network, with a new model. Returns why not, or "". */
  again?: (network: string) => string;
  /** The network of the last start. */
  network?: string;
}

/** A message as its reader sees it. */
export interface Details {
  /** Its bytes, as base64. */
  readonly data: string;
  readonly fields: readonly Field[];
}

/** Answers a request for the page or a part of it. */
export function answer(request: Request, show: Show): Response {
  // A page of another site, whose name leads to 127.0.0.1, must not read what passes here (DNS rebinding).
  if (!isAllowedHost(request.headers.get("host") ?? undefined, "127.0.0.1")) {
    return new Response("use the address that was printed", { status: 403 });
  }
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === "/again" && request.method === "POST") {
    return again(request, searchParams.get("network") ?? "", show);
  }
  if (request.method !== "GET") return new Response("only GET", { status: 405, headers: { allow: "GET" } });
  if (pathname === "/") {
    return html(livePage(show.title, show.again && (show.network ?? "")), { "content-security-policy": PAGE_POLICY });
  }
  if (pathname === "/page.js") {
    return new Response(script, { headers: { ...plain, "content-type": "text/javascript" } });
  }
  if (pathname === "/events") return events(request.headers.get("last-event-id") ?? "", show);
  if (pathname === "/saved.html") {
    return html(saved(show), { "content-disposition": 'attachment; filename="exchange.html"' });
  }
  const [, id] = /^\/message\/(\d{1,9})$/.exec(pathname) ?? [];
  const found = id === undefined ? undefined : details(Number(id), show);
  if (!found) return new Response("there is nothing here", { status: 404 });
  return new Response(JSON.stringify(found), { headers: { ...plain, "content-type": "application/json" } });
}

/** Starts the exchange again. A page of another site can send this request, too: its browser says so. */
function again(request: Request, network: string, show: Show): Response {
  const site = request.headers.get("sec-fetch-site") ?? "same-origin";
  if (site !== "same-origin") return new Response("only the page itself may do this", { status: 403 });
  const problem = show.again ? show.again(network) : "only a pair can be started again";
  return new Response(problem, { status: problem === "" ? 200 : 409 });
}

const plain = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

const html = (text: string, headers: Record<string, string>) =>
  new Response(text, { headers: { ...plain, "content-type": "text/html; charset=UTF-8", ...headers } });

/** The bytes and the fields of a message; undefined if it has none. */
export function details(id: number, { model, protocol }: Show): Details | undefined {
  const data = model.data.get(id);
  const arrow = model.entry(id);
  if (!data) return undefined;
  const connection = arrow?.kind === "arrow"
    ? model.connections.find((each) => each.id === arrow.connection)
    : undefined;
  const fields = dissect({
    data,
    transport: connection?.transport ?? "tcp",
    isFromClient: model.isFromClient.has(id),
    before: model.data.get(model.before.get(id) ?? 0) ?? new Uint8Array(),
  }, protocol);
  return { data: data.toBase64(), fields };
}

/** The whole exchange as one file, which needs no server. */
export function saved(show: Show): string {
  const entries = [...new Set(show.model.log)].filter((entry) => entry.kind !== "arrow" || !entry.isGone);
  const messages = Object.fromEntries([...show.model.data.keys()].map((id) => [id, details(id, show)]));
  return savedPage(show.title, { entries, messages });
}

/** The most entries in one event. */
const BATCH = 2000;

/** Milliseconds between two events: what happens meanwhile comes together. */
const PAUSE = 40;

/**
 * All entries so far, and then those that are new or have changed (Server-Sent Events). The id of an event is a place in
 * the log, so that a browser that connects again goes on from there. A slow browser is not sent more than it reads.
 */
function events(lastId: string, { model, run }: Show): Response {
  const [lastRun, lastPlace = "0"] = lastId.split(" ");
  let place = lastRun === run ? Number(lastPlace) : 0;
  let isOpen = true;
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      while (isOpen && place >= model.log.length) await model.changed;
      if (!isOpen) return;
      const entries: Entry[] = [...new Set(model.log.slice(place, place + BATCH))];
      place = Math.min(place + BATCH, model.log.length);
      const data = JSON.stringify({ run, entries, left: model.log.length - place });
      controller.enqueue(encoder.encode(`id: ${run} ${place}\ndata: ${data}\n\n`));
      if (place === model.log.length) await new Promise((next) => setTimeout(next, PAUSE));
    },
    cancel: () => void (isOpen = false),
  });
  return new Response(body, { headers: { ...plain, "content-type": "text/event-stream" } });
}
