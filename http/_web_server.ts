/**
 * A web server on `Deno.serve`, as `rest/server.ts` and `smtp/inbox.ts` use it: its trace, `--once`, and its end at Ctrl-C.
 *
 * @module
 */
import { type Address, bind, formatAddress, onStop, printable, type Tracing, within } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { isAllowedHost } from "./_allowed_host.ts";
import { WebTrace } from "./_web_trace.ts";

/** Answers one request. An error that it throws is a bug: `Deno.serve` prints it and answers 500. */
export type Handler = (request: Request, client: Deno.NetAddr) => Promise<Response>;

/** The flags of a web server that its socket and its end depend on. */
export interface WebFlags extends Tracing {
  readonly host: string;
  readonly port: number;
  readonly once: boolean;
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

  const onRequest = async (request: Request, { remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>) => {
    clearTimeout(idleTimer);
    pending++;
    try {
      const { addr } = server;
      const trace = new WebTrace(flags, "server", formatAddress(remoteAddr), formatAddress(addr));
      if (trace.isOn) request = trace.receiveRequest(request);
      const response = refuseForeignName(request, remoteAddr, addr, flags.quiet) ?? await handle(request, remoteAddr);
      response.headers.set("x-content-type-options", "nosniff"); // the Content-Type is true: browsers must not guess
      if (trace.isOn) await trace.sendResponse(response);
      return response;
    } finally {
      pending--;
      // Deno.serve does not report that a client has left: with --once, stop after one second without a request.
      if (flags.once && pending === 0) idleTimer = setTimeout(stopped.resolve, 1000);
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
