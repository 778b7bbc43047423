/**
 * A web server for a function that makes responses of requests, as `rest/server.ts` and `smtp/inbox.ts` use it.
 *
 * `Deno.serve` is shorter to use. But it accepts clients until the system has no file descriptor left, and then it ends; and
 * it waits without limit for a request that arrives slowly. Here `Clients` accepts, as in every server of `tcp/`.
 *
 * @module
 */
import { bind, onStop, printable, type Tracing } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { type Client, Clients } from "../tcp/_clients.ts";
import { drainAndClose } from "../tcp/_drain_and_close.ts";
import { isAllowedHost } from "./_allowed_host.ts";
import { authorityOf } from "./_authority.ts";
import { MessageError } from "./_message.ts";
import { Problem } from "./_problem.ts";
import { WebConnection, type WebRequest } from "./_web_connection.ts";

/** Answers one request. An error that it throws is a bug: it is printed, and the response is 500. */
export type Handler = (request: WebRequest, client: Deno.NetAddr) => Promise<Response>;

/** The flags of a web server that its sockets and its end depend on. */
export interface WebFlags extends Tracing {
  readonly "host": string;
  readonly "port": number;
  readonly "once": boolean;
  /** End when at least so many requests were answered, and a second has passed without another. 0: never. */
  readonly "exit-after"?: number;
  readonly "timeout": number;
  readonly "max-clients": number;
  /** Print no line for a request that is refused. */
  readonly "quiet"?: boolean;
}

/**
 * Serves HTTP until Ctrl-C. `what` is the server's name in the line that says where it listens. `endWaiting` is called at
 * Ctrl-C: it must end those responses that wait for something.
 */
export async function serveWeb(
  flags: WebFlags,
  what: string,
  handle: Handler,
  endWaiting: () => void = () => {},
): Promise<void> {
  const connections = new Map<Client, WebConnection>();
  const log = (line: string) => flags.quiet || console.log(printable(line));
  const refuse = async (connection: WebConnection, problem: Problem) => {
    log(`${connection.hostname} - ${problem.status}: ${problem.message}`);
    await connection.send(problem.toResponse(), undefined, true);
  };
  const clients = new Clients({ ...flags, once: false }, {
    log: (line) => /^[\d[]/.test(line) || console.log(line), // what a client does to its connection is worth no line
    descriptors: 2, // the connection, and a file that the handler opens
    async onIdle(client) {
      const connection = connections.get(client);
      if (connection?.state !== "receiving") return;
      await refuse(connection, new Problem(408, `the request was not complete after ${flags.timeout} s`));
    },
    onInterrupt() {
      endWaiting();
      for (const [client, { state }] of connections) if (state === "idle") clients.close(client);
    },
  });
  const listener = bind(flags, Deno.listen);
  onStop(() => clients.interrupt());
  const { hostname } = listener.addr;
  // With --once a client may come back, as browsers do: the server stops after one second without a request.
  const enough = flags.once ? 1 : flags["exit-after"] || Infinity;
  const countdown = enough < Infinity ? new Countdown(1000, enough, () => clients.interrupt()) : undefined;

  const answer = async (connection: WebConnection, request: WebRequest): Promise<Response> => {
    const authority = authorityOf(request);
    if (authority === connection.authority || isAllowedHost(authority, hostname)) {
      connection.authority = authority;
      return await handle(request, connection.client.conn.remoteAddr).catch(failed);
    }
    // RFC 9110 §15.5.20
    log(`${connection.hostname} ${request.method} ${request.target} 421: no name of loopback: ${authority}`);
    const names = "the name localhost or the address 127.0.0.1";
    return new Problem(421, `this server does not answer to ${request.url.hostname}: open it by ${names}`).toResponse();
  };
  const serve = async (client: Client) => {
    const connection = new WebConnection(client);
    connections.set(client, connection);
    try {
      for (let request = await connection.receive(); request; request = await connection.receive()) {
        countdown?.stop();
        const response = await answer(connection, request).finally(() => countdown?.start());
        if (!await connection.send(response, request, clients.stopping)) return await drainAndClose(client.conn);
      }
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      countdown?.stop();
      // After a malformed request, the start of the next one is unknown: send the error and close.
      await refuse(connection, new Problem(error.status, error.message)).finally(() => countdown?.start());
      await drainAndClose(client.conn);
    } finally {
      connections.delete(client);
    }
  };

  announce(what, listener.addr);
  for await (const conn of clients.accept(listener)) clients.serve(conn, serve);
  await clients.finished();
}

/** Calls `action` some time after the last of several things has ended, `enough` of them or more. */
class Countdown {
  #running = 0;
  #ended = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly milliseconds: number, readonly enough: number, readonly action: () => void) {}

  stop(): void {
    this.#running++;
    clearTimeout(this.#timer);
  }

  start(): void {
    this.#ended++;
    if (--this.#running === 0 && this.#ended >= this.enough) this.#timer = setTimeout(this.action, this.milliseconds);
  }
}

/** An error that a handler did not expect: a bug. */
function failed(error: unknown): Response {
  console.error(error);
  return new Problem(500, "internal error: see the server's log").toResponse(); // the client must not learn the details
}
