/**
 * A proxy's connections to servers: some stay open when a response is complete, and carry the next request (RFC 9112 §9.3).
 *
 * @module
 */
import type { Address } from "../cli.ts";
import type { ResponseHead } from "./_message.ts";
import type { AllowedServers } from "./_proxy_allow.ts";
import { IdleClosed, Origin, type OriginSettings } from "./_proxy_origin.ts";
import { ProxyError, type ProxyRequest } from "./_proxy_request.ts";

/** The settings of a proxy that concern its connections to servers. */
export interface OriginsSettings extends OriginSettings {
  /** Seconds after which a connection that nobody uses is closed. */
  readonly "idle-timeout": number;
}

/** A server's response to a request: its head, and the connection that the body comes on. */
interface Asked {
  readonly origin: Origin;
  readonly head: ResponseHead;
  /** When the request was sent, in milliseconds since 1970. */
  readonly requestTime: number;
}

/** What a client does with interim responses (1xx). */
type OnInterim = (head: ResponseHead) => Promise<void>;

export class Origins {
  readonly #allowed: AllowedServers;
  readonly #settings: OriginsSettings;
  /** Connections without a request, the oldest first, and when each has become idle. */
  readonly #idle = new Map<Origin, number>();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #most: number;

  constructor(allowed: AllowedServers, settings: OriginsSettings) {
    this.#allowed = allowed;
    this.#settings = settings;
    this.#most = settings["max-idle"];
    const limit = settings["idle-timeout"] * 1000;
    // One timer for all connections: a timer for each would be set and cleared with each request.
    if (limit > 0 && this.#most > 0) this.#timer = setInterval(() => this.#closeOld(Date.now() - limit), limit / 4);
  }

  /**
   * Sends a request, and receives the head of its response.
   *
   * A server may close an idle connection at any time, also at the very moment when the next request is on its way. So only a
   * request that may be sent twice goes on one, and is sent once more, on a new connection, if nothing at all came back (RFC 9110
   * §9.2.2: a proxy must not repeat a POST). Any other request has a new connection from the beginning.
   */
  async ask(request: ProxyRequest, self: string, body: () => AsyncIterable<Uint8Array>, onInterim: OnInterim) {
    const idle = mayRepeat(request) ? this.#take(request.to) : undefined;
    if (idle) {
      try {
        return await send(idle, request, self, body(), onInterim);
      } catch (error) {
        if (!(error instanceof IdleClosed)) throw error;
      }
    }
    return await send(await this.connect(request.to), request, self, body(), onInterim);
  }

  /** A new connection. @throws {ProxyError} 403, 502, 503 or 504 */
  async connect(to: Address): Promise<Origin> {
    try {
      return await Origin.connect(to, this.#allowed, this.#settings);
    } catch (error) {
      if (!(error instanceof ProxyError) || error.status !== 503 || this.#idle.size === 0) throw error;
      this.close(); // they have the file descriptors that are missing
      return await Origin.connect(to, this.#allowed, this.#settings);
    }
  }

  /** The connection to this server that has become idle last: its server is the least likely to close it now. */
  #take(to: Address): Origin | undefined {
    const found = [...this.#idle.keys()].findLast(({ to: { hostname, port } }) =>
      hostname === to.hostname && port === to.port
    );
    if (!found) return undefined;
    this.#idle.delete(found);
    found.wake();
    return found;
  }

  /** Keeps a connection open for the next request. If its response does not allow that, the caller closes it. */
  keep(origin: Origin): void {
    if (this.#most === 0 || !origin.isReusable) return;
    this.#idle.set(origin, Date.now());
    origin.rest(() => this.#drop(origin));
    for (const oldest of this.#idle.keys()) {
      if (this.#idle.size <= this.#most) break;
      this.#drop(oldest);
    }
  }

  #drop(origin: Origin): void {
    if (!this.#idle.delete(origin)) return;
    origin.wake();
    origin[Symbol.dispose]();
  }

  #closeOld(before: number): void {
    for (const [origin, since] of this.#idle) if (since <= before) this.#drop(origin);
  }

  /** Closes those that are idle. */
  close(): void {
    for (const origin of this.#idle.keys()) this.#drop(origin);
  }

  /** Keeps none any more: at the end, or because there are not enough file descriptors. */
  stop(): void {
    this.#most = 0;
    clearInterval(this.#timer);
    this.close();
  }
}

async function send(
  origin: Origin,
  request: ProxyRequest,
  self: string,
  body: AsyncIterable<Uint8Array>,
  onInterim: OnInterim,
): Promise<Asked> {
  try {
    const requestTime = Date.now();
    // Not awaited: a server may respond before it has all of the body.
    const sent = origin.send(request, self, body);
    sent.catch(() => {});
    return { origin, requestTime, head: await origin.receiveHead(request, sent, onInterim) };
  } catch (error) {
    origin[Symbol.dispose]();
    throw error;
  }
}

/** Whether a request means the same when it comes twice (RFC 9110 §9.2.2). A body has passed, and is not here any more. */
const mayRepeat = ({ method, hasBody }: ProxyRequest): boolean =>
  !hasBody && /^(GET|HEAD|OPTIONS|TRACE|PUT|DELETE)$/.test(method);
