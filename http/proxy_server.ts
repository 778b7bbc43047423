/**
 * A caching web proxy: it passes requests on to their servers, and keeps the responses that may be sent again.
 *
 * Look at `exchange`: a request is answered from the cache, or passed on, or passed on with the question whether the stored
 * response is still right. `_cache_rules.ts` decides which; every response says it in Cache-Status.
 *
 * This terminal: `deno run -N=127.0.0.1 http/proxy_server.ts`. A server: `deno task file-server --max-age 60`. A client, or a
 * browser: `deno run -N=127.0.0.1 http/raw_client.ts --proxy 127.0.0.1:3128 http://127.0.0.1:8000/`. All: `deno task http:proxy`.
 * RFC 9110 §7.6 and §9.3.6, RFC 9111 (caching), RFC 9211 (Cache-Status). API: Deno.listen, Deno.connect.
 *
 * @module
 */
import { bind, count, flag, integer, list, onStop, run, seconds, serverOptions } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { type Client, Clients, maxClients } from "../tcp/_clients.ts";
import { drainAndClose } from "../tcp/_drain_and_close.ts";
import { AccessLog } from "./_access_log.ts";
import { requestDirectives } from "./_cache_control.ts";
import { conditions, mayServeOnError } from "./_cache_rules.ts";
import { encodeRequest, Fields, MessageError, type RequestHead, type ResponseHead } from "./_message.ts";
import { AllowedServers, checkRule, parseRule } from "./_proxy_allow.ts";
import { ageOf, type Lookup, ResponseCache, reusable, type Stored } from "./_proxy_cache.ts";
import { ProxyClient, proxyStatus } from "./_proxy_client.ts";
import { Origins } from "./_proxy_origins.ts";
import { FinalRecipient, forwarded, parseProxyRequest, ProxyError, type ProxyRequest } from "./_proxy_request.ts";
import { tunnel } from "./_proxy_tunnel.ts";

/** Answers one request. Returns what the cache did, for the log. */
async function exchange(client: ProxyClient, request: ProxyRequest, proxy: Proxy): Promise<string> {
  if (request.method === "CONNECT") return await openTunnel(client, request, proxy);
  const found = proxy.cache.find(request.url, request);
  if (found.stored && /^fresh|allowed/.test(found.verdict)) return await sendStored(client, found.stored, "hit", proxy);
  if (requestDirectives(request.fields).has("only-if-cached")) {
    throw new ProxyError(504, "http_request_denied", "it is not in the cache, and the request says only-if-cached");
  }
  try {
    return await passOn(client, request, found, proxy);
  } catch (error) {
    const mayHelp = found.stored && mayServeOnError(reusable(found.stored), request);
    if (!mayHelp || !(error instanceof ProxyError) || error.status < 500 || client.hasBegun) throw error;
    return await sendStored(client, found.stored, "hit", proxy); // it is stale, but its server has allowed that
  }
}

/** Passes a request on to its server, and the response back to the client piece by piece. Keeps a copy if that is allowed. */
async function passOn(client: ProxyClient, request: ProxyRequest, found: Lookup, proxy: Proxy): Promise<string> {
  const { cache, self, clients, origins } = proxy;
  const { method, url } = request;
  const { stored } = found;
  const passOnInterim = (head: ResponseHead) => client.sendInterim(forwarded(head, self));
  const asked = stored ? withConditions(request, stored) : request;
  const answer = await origins.ask(asked, self, () => client.body(), passOnInterim);
  using origin = answer.origin;
  const { head: received, requestTime } = answer;
  const times = { requestTime, responseTime: Date.now() };
  const framing = origin.framingOf(received, method);
  const response = forwarded(received, self);
  cache.invalidate(method, url, response);

  if (stored && response.status === 304) {
    origins.keep(origin);
    const updated = cache.refresh(stored, response, times);
    if (updated) return await sendStored(client, updated, `${why(found)}; fwd-status=304`, proxy);
    // It is about another response than the stored one: ask once more, without conditions.
    return await passOn(client, request, { verdict: "stale" }, proxy);
  }
  if (stored && response.status >= 500 && mayServeOnError(reusable(stored), request)) {
    return await sendStored(client, stored, `hit; fwd-status=${response.status}`, proxy);
  }
  using copy = cache.record(url, request, response, times);
  const status = `${why(found)}${copy ? "; stored" : ""}`;
  await client.start(response, `Cache-Status: ${self}; ${status}\r\n`, framing, clients.stopping);
  for await (const data of origin.body(framing)) {
    await client.send(data); // awaited: a client that reads slowly slows down the server, and nothing piles up here
    copy?.add(data);
  }
  origins.keep(origin); // complete: the next request to this server may use the connection
  await client.end();
  copy?.commit();
  return status;
}

/** Sends a response of the cache. Its age says how old it is; `status` is for Cache-Status (RFC 9211). */
async function sendStored(client: ProxyClient, stored: Stored, status: string, proxy: Proxy): Promise<string> {
  const age = Math.floor(ageOf(stored));
  const said = `${status}; ttl=${Math.floor(stored.lifetime) - age}`;
  const more = `Age: ${age}\r\nCache-Status: ${proxy.self}; ${said}\r\n`;
  await client.sendStored(stored, more, proxy.clients.stopping);
  return said;
}

/** Why a request is passed on, as Cache-Status says it. */
const why = ({ verdict }: Lookup) => `fwd=${verdict}`;

/** A request that asks whether a stored response is still right. The client's own conditions wait for the answer. */
function withConditions(request: ProxyRequest, stored: Stored): ProxyRequest {
  const others = [...request.fields].filter(([name]) => !/^if-(none-match|modified-since)$/i.test(name));
  return { ...request, fields: new Fields([...others, ...conditions(stored)]) };
}

/** Connects to a server, and passes bytes both ways: TLS, mostly. */
async function openTunnel(client: ProxyClient, request: ProxyRequest, proxy: Proxy): Promise<string> {
  if (request.hasBody) throw new ProxyError(400, "http_request_error", "CONNECT has no body");
  using origin = await proxy.origins.connect(request.to);
  const first = await client.startTunnel();
  const { conn } = client.client;
  const { sent, received } = await tunnel(conn, origin.conn, first, () => client.client.idleTicks = 0);
  client.bytes = received;
  return `tunnel; ${count(sent, "byte")} to the server`;
}

/** Serves the requests of one connection in order, until one side closes it. */
async function serve(client: Client, proxy: Proxy): Promise<void> {
  const side = new ProxyClient(client);
  proxy.open.set(client, side);
  try {
    for (let request = await side.receive(); request; request = await side.receive()) {
      await respond(side, request, proxy);
      if (side.isTunnel) return;
      if (!side.canContinue) return await drainAndClose(client.conn);
    }
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    // After a malformed head, the start of the next request is unknown: send the error and close.
    await side.sendError(error, "", true);
    proxy.log.addFault(client.conn.remoteAddr.hostname, error.message, error.status, side.bytes);
    await drainAndClose(client.conn);
  } finally {
    proxy.open.delete(client);
  }
}

/** Responds to one request, whatever goes wrong with it. */
async function respond(side: ProxyClient, request: RequestHead, proxy: Proxy): Promise<void> {
  const { hostname } = side.client.conn.remoteAddr;
  let said: string;
  try {
    said = await exchange(side, parseProxyRequest(request, proxy.self), proxy);
  } catch (error) {
    if (error instanceof FinalRecipient) said = await answerItself(side, request, proxy);
    else if (error instanceof ProxyError || error instanceof MessageError) {
      said = error.message;
      const more = error instanceof ProxyError ? proxyStatus(proxy.self, error) : "";
      // After the head nothing but the end of the connection can say that the response is not complete.
      if (side.hasBegun) side.abort();
      else await side.sendError(error, more, proxy.clients.stopping || error instanceof MessageError);
    } else throw error;
  }
  proxy.log.add(hostname, request, side.status, side.bytes, said);
}

/** Answers a TRACE or OPTIONS that may go no further: TRACE shows the request as it came here, without its secrets. */
async function answerItself(side: ProxyClient, request: RequestHead, { clients }: Proxy): Promise<string> {
  const { method, target, fields } = request;
  const shown = [...fields].filter(([name]) => !/^(cookie|authorization|proxy-authorization)$/i.test(name));
  const text = method === "TRACE"
    ? new TextDecoder().decode(encodeRequest({ method, target, fields: new Fields(shown) }))
    : "";
  await side.sendText(200, method === "TRACE" ? "message/http" : "text/plain", text, "", clients.stopping);
  return "Max-Forwards is 0";
}

/** What the connections of one proxy share. */
interface Proxy {
  /** Its name in Via, Cache-Status and Proxy-Status. It differs in every run: so a loop is a loop, and not another proxy. */
  readonly self: string;
  readonly origins: Origins;
  readonly cache: ResponseCache;
  readonly clients: Clients;
  readonly log: AccessLog;
  readonly open: Map<Client, ProxyClient>;
}

const command = {
  name: "proxy_server",
  about: "A web proxy with a cache. It connects to loopback alone, unless --allow names servers.",
  run: "deno run -N=127.0.0.1 http/proxy_server.ts",
  examples: [
    "deno task proxy-server",
    "deno task proxy-server --allow localhost:8000 --trace",
  ],
  groups: {
    "Servers": ["allow", "origin-timeout", "max-idle", "idle-timeout"],
    "Cache": ["cache", "max-object", "heuristic"],
  },
  options: {
    ...serverOptions(3128, ""),
    "timeout": seconds(60, "how long a request may take, and a client may be idle; 0: no limit"),
    "allow": list("connect to this server; HOST:*: to all of its ports", "HOST:PORT"),
    "wait": seconds(0, "keep trying for this long while a server refuses"),
    "origin-timeout": seconds(20, "how long a server may take for each step; 0: no limit"),
    "max-idle": integer(64, "connections to servers that stay open; 0: none", 0, 100_000),
    "idle-timeout": seconds(15, "how long one stays open without a request; 0: no limit"),
    "cache": integer(64, "how much is stored at most, in MiB; 0: nothing", 0, 65_536, "MIB"),
    "max-object": integer(8, "how much of one response, in MiB", 1, 1024, "MIB"),
    "heuristic": integer(10, "fresh without a word: this part of its time unmodified", 0, 100, "PERCENT"),
    "exit-after": integer(0, "as --once, but after this many clients; 0: never", 0, 1_000_000),
    "quiet": flag("no access log"),
    "max-clients": maxClients(1000),
  },
};

await run(command, async (flags) => {
  const rules = flags.allow.map(parseRule);
  for (const rule of rules) await checkRule(rule);
  const clients: Clients = new Clients(flags, {
    log: (line) => /^[\d[]/.test(line) || console.log(line), // the access log has what is worth a line about a client
    descriptors: 2, // the connection, and that to a server
    async onIdle(client) {
      const side = proxy.open.get(client);
      if (side?.state !== "receiving") return;
      const why = `the request was not complete after ${flags.timeout} s`;
      await side.sendError({ status: 408, message: why }, "", true);
      proxy.log.addFault(client.conn.remoteAddr.hostname, why, 408, side.bytes);
    },
    onLimited: () => proxy.origins.stop(), // each takes a descriptor that a client may need
    onInterrupt() {
      for (const [client, { state }] of proxy.open) if (state === "idle") clients.close(client);
    },
  });
  const listener = bind(flags, Deno.listen);
  onStop(() => clients.interrupt());
  const limits = { total: flags.cache << 20, object: flags["max-object"] << 20, heuristic: flags.heuristic / 100 };
  const proxy: Proxy = {
    self: `socketlab-${crypto.randomUUID().slice(0, 8)}`,
    origins: new Origins(new AllowedServers(rules, listener.addr), flags),
    cache: new ResponseCache(limits),
    ...{ clients, log: new AccessLog(!flags.quiet), open: new Map() },
  };
  announce("Web proxy", listener.addr);

  let accepted = 0;
  for await (const conn of clients.accept(listener)) {
    if (++accepted === flags["exit-after"]) clients.stop();
    clients.serve(conn, (client) => serve(client, proxy));
  }
  await clients.finished();
  proxy.origins.stop();
  proxy.log.flush();
});
