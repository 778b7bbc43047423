/**
 * A web server on `Deno.serve`, as `rest/server.ts` and `smtp/inbox.ts` use it: its trace, `--once`, and its end at Ctrl-C.
 *
 * @module
 */
import { type Address, bind, formatAddress, onStop, printable, type TraceForm, within } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { showMessage } from "../tcp/_trace.ts";
import { isAllowedHost } from "./_allowed_host.ts";

/** Answers one request. An error that it throws is a bug: `Deno.serve` prints it and answers 500. */
export type Handler = (request: Request, client: Deno.NetAddr) => Promise<Response>;

/** The flags of a web server that its socket and its end depend on. */
export interface WebFlags {
  readonly host: string;
  readonly port: number;
  readonly once: boolean;
  /** End when at least so many requests were answered, and a second has passed without another. 0: never. */
  readonly "exit-after"?: number;
  readonly trace: TraceForm;
  /** Print no line for a request that is refused. */
  readonly quiet?: boolean;
}

/** Seconds that requests have to finish after Ctrl-C. */
const GRACE = 5;

/**
 * Serves HTTP until Ctrl-C. `what` is the server's name in the line that says where it listens. `endStreams` is called before
 * the server waits for its responses to end: it must end those that have no end of their own.
 */
export async function serveWeb(
  flags: WebFlags,
  what: string,
  handle: Handler,
  endStreams: () => void = () => {},
): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  const listening = Promise.withResolvers<Deno.NetAddr>();
  let idleTimer: ReturnType<typeof setTimeout> | undefined;
  let pending = 0;
  let answered = 0;
  const enough = flags.once ? 1 : flags["exit-after"] || Infinity;

  const onRequest = async (request: Request, { remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>) => {
    clearTimeout(idleTimer);
    pending++;
    try {
      const { addr } = server;
      if (flags.trace) traceRequest(flags.trace, request, remoteAddr, addr);
      const response = refuseForeignName(request, remoteAddr, addr, flags.quiet) ?? await handle(request, remoteAddr);
      response.headers.set("x-content-type-options", "nosniff"); // the Content-Type is true: browsers must not guess
      if (flags.trace) await traceResponse(flags.trace, response, addr, remoteAddr);
      return response;
    } finally {
      pending--;
      answered++;
      // Deno.serve does not report that a client has left: with --once, stop after one second without a request.
      if (answered >= enough && pending === 0) idleTimer = setTimeout(stopped.resolve, 1000);
    }
  };
  const onListen = (addr: Deno.NetAddr) => listening.resolve(addr);
  const server: Deno.HttpServer<Deno.NetAddr> = bind(flags, (addr) => Deno.serve({ ...addr, onListen }, onRequest));
  onStop(stopped.resolve);
  announce(what, await listening.promise);
  await stopped.promise;
  endStreams();
  // Requests that are being handled are finished. A client that only keeps its connection open is not waited for.
  await within(GRACE, server.shutdown(), () => {});
}

/**
 * Answers 421 (RFC 9110 §15.5.20) to a request for a name that is not this server's, with problem details (RFC 9457);
 * `undefined` for any other. The handler answers a malformed name.
 */
function refuseForeignName(request: Request, client: Address, own: Address, quiet = false): Response | undefined {
  const url = requestUrl(request); // its host is that of an absolute target, or else the Host field (RFC 9110 §7.1)
  if (!url || isAllowedHost(url.host, own.hostname)) return undefined;
  if (!quiet) {
    const line = `${client.hostname} ${request.method} ${requestTarget(request)} 421: no name of loopback: ${url.host}`;
    console.log(printable(line));
  }
  const detail =
    `this server does not answer to ${url.hostname}: open it by the name localhost or the address 127.0.0.1`;
  const problem = { type: "about:blank", title: "Misdirected Request", status: 421, detail };
  return Response.json(problem, { status: 421, headers: { "content-type": "application/problem+json" } });
}

/**
 * The URL of a request, or `null` if its Host field is not a host and a port: then the response must be 400 (RFC 9112 §3.2).
 * `Deno.serve` joins Host and target without a check, so a Host `a/b` would end up in the path.
 */
export function requestUrl(request: Request): URL | null {
  return /[/?#@\\]/.test(request.headers.get("host") ?? "") ? null : URL.parse(request.url);
}

/** The path and query of a request, for a log: its URL may be malformed. */
export function requestTarget(request: Request): string {
  return request.url.replace(/^\w+:\/\/[^/?#]*/, "");
}

// Deno.serve passes on messages, not the bytes of the wire: names are in lower case, and the framing is removed.

function traceRequest(form: TraceForm, request: Request, from: Address, to: Address): void {
  const head = [`${request.method} ${requestTarget(request)}`, ...fieldLines(request.headers), "", ""].join("\r\n");
  showMessage(form, formatAddress(from), formatAddress(to), new TextEncoder().encode(head));
}

async function traceResponse(form: TraceForm, response: Response, from: Address, to: Address): Promise<void> {
  const head = [`${response.status}`, ...fieldLines(response.headers), "", ""].join("\r\n");
  const isStream = response.headers.get("content-type") === "text/event-stream"; // has no end that could be waited for
  const body = response.body && !isStream ? await response.clone().arrayBuffer() : new ArrayBuffer();
  const message = new Uint8Array(await new Blob([head, body]).arrayBuffer());
  showMessage(form, formatAddress(from), formatAddress(to), message);
}

const fieldLines = (headers: Headers): string[] => [...headers].map(([name, value]) => `${name}: ${value}`);
