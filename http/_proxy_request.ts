/**
 * What a proxy makes of a request and of a response before it passes them on (RFC 9110 §7.6, RFC 9112 §3.2). Pure functions.
 *
 * @module
 */
import type { Address } from "../cli.ts";
import { authorityOfTarget } from "./_authority.ts";
import { type Framing, requestFraming } from "./_body.ts";
import { httpDate } from "./_clock.ts";
import { Fields, type RequestHead, type ResponseHead } from "./_message.ts";

/** Why the proxy answers a request itself. `type` is that of Proxy-Status (RFC 9209 §2.3). */
export class ProxyError extends Error {
  constructor(readonly status: number, readonly type: string, message: string) {
    super(message);
  }
}

/** A request to a proxy, and what its origin server gets of it. */
export interface ProxyRequest extends RequestHead {
  /** The origin server. */
  readonly to: Address;
  /** The URL in its normal form: the key of the cache. */
  readonly url: string;
  /** The request target for the origin server: a path. */
  readonly target: string;
  /** Those fields that are for the origin server. */
  readonly fields: Fields;
  readonly framing: Framing;
  readonly hasBody: boolean;
}

/** Fields that concern one connection, whether Connection names them or not (RFC 9110 §7.6.1), and those for a proxy alone. */
const HOP_BY_HOP = ["connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
const FOR_PROXY = ["proxy-authorization", "proxy-authenticate", "proxy-authentication-info"];

/** The fields that are passed on: not those that concern one connection, to which a sender may add others by Connection. */
function endToEnd(fields: Fields, ...more: string[]): [name: string, value: string][] {
  const named = fields.get("connection")?.toLowerCase().split(",").map((name) => name.trim()) ?? [];
  const dropped = new Set([...HOP_BY_HOP, ...FOR_PROXY, ...more, ...named.filter((name) => name !== "content-length")]);
  return [...fields].filter(([name]) => !dropped.has(name.toLowerCase()));
}

/**
 * Parses a request to a proxy: its target is a complete URL. `self` is the proxy's name in Via.
 *
 * @throws {ProxyError} when it is not for a proxy, has come in a circle, or may not be passed on.
 * @throws {MessageError} when its framing is ambiguous.
 */
export function parseProxyRequest(head: RequestHead, self: string): ProxyRequest {
  const { method, minor } = head;
  const framing = requestFraming(head);
  const hasBody = framing.kind !== "none";
  if (isLoop(head.fields, self)) {
    throw new ProxyError(508, "proxy_loop_detected", "this request has passed through this proxy already: see its Via");
  }
  if (method === "CONNECT") return { ...head, to: parseAuthority(head.target, 0), url: "", framing, hasBody };
  const authority = authorityOfTarget(head.target);
  if (authority === undefined) {
    throw new ProxyError(
      400,
      "http_request_error",
      "this is a proxy: a request to it names a complete URL (curl -x, or HTTP proxy in the settings of a browser)",
    );
  }
  if (!/^http:/i.test(head.target)) {
    throw new ProxyError(501, "http_request_error", "for https:// the client opens a tunnel by CONNECT");
  }
  const to = parseAuthority(authority, 80);
  const host = to.port === 80 ? to.hostname : `${to.hostname}:${to.port}`;
  const path = head.target.slice("http://".length + authority.length);
  // Without a path, OPTIONS asks about the whole server (RFC 9112 §3.2.4).
  const target = path.startsWith("/") ? path : path === "" && method === "OPTIONS" ? "*" : `/${path}`;
  const { fields, left } = forwards(head);
  // The target names the server; a Host beside it says nothing (RFC 9112 §3.2.2).
  const all = new Fields([["Host", host], ...fields]);
  if (left === 0) throw new FinalRecipient(head);
  return {
    method,
    minor,
    to,
    url: `http://${host}${path.startsWith("/") ? path : `/${path}`}`,
    target,
    fields: all,
    framing,
    hasBody,
  };
}

/** A TRACE or OPTIONS that is to be answered here, and not passed on: its Max-Forwards is 0 (RFC 9110 §7.6.2). */
export class FinalRecipient extends Error {
  constructor(readonly request: RequestHead) {
    super("Max-Forwards is 0");
  }
}

/** The fields that are passed on, and how often a TRACE or OPTIONS may be passed on. */
function forwards({ method, minor, fields }: RequestHead): { fields: [string, string][]; left: number } {
  // HTTP/1.0 does not have Expect, and its sender does not wait (RFC 9110 §10.1.1).
  const kept = endToEnd(fields, "host", "content-length", ...minor === 0 ? ["expect"] : []);
  const limit = method === "TRACE" || method === "OPTIONS" ? fields.get("max-forwards") : undefined;
  if (limit === undefined || !/^\d+$/.test(limit)) return { fields: kept, left: Infinity };
  const less = kept.filter(([name]) => name.toLowerCase() !== "max-forwards");
  return { fields: [...less, ["Max-Forwards", `${Math.max(0, Number(limit) - 1)}`]], left: Number(limit) };
}

/** Authorities that were parsed lately, for a browser sends many requests to one. */
const parsed = new Map<string, Address>();

/**
 * Parses a host and a port; `port` is the default, 0 for none. A host has many forms (`LOCALHOST`, `0x7f.1`), and `URL` brings
 * them into one, with an IPv6 address in brackets.
 */
function parseAuthority(authority: string, port: number): Address {
  const known = parsed.get(authority);
  if (known) return known;
  const [, host = "", digits = ""] = /^(.*?)(?::(\d*))?$/.exec(authority) ?? [];
  const hostname = URL.parse(`http://${host}/`)?.hostname ?? "";
  const address = { hostname: hostname.replace(/\.$/, ""), port: Number(digits) || port };
  if (address.hostname === "" || address.port === 0) {
    throw new ProxyError(400, "http_request_error", `malformed authority in the request target: ${authority}`);
  }
  if (parsed.size > 1000) parsed.clear();
  if (port !== 0) parsed.set(authority, address);
  return address;
}

/** Whether one of the proxies that a request has passed is `self` (RFC 9110 §7.6.3). A comment may stand behind each. */
function isLoop(fields: Fields, self: string): boolean {
  return fields.get("via")?.split(",").some((member) => member.trim().split(/[ \t]+/)[1] === self) ?? false;
}

/** The field that says which proxy has passed a message on. */
export const via = (
  { minor }: { readonly minor: 0 | 1 },
  self: string,
): [string, string] => ["Via", `1.${minor} ${self}`];

/** A response as it is passed on, and kept. A final one without a Date gets one (RFC 9110 §6.6.1). */
export function forwarded(response: ResponseHead, self: string): ResponseHead {
  const { status, fields } = response;
  const kept = endToEnd(fields, ...status === 204 || status < 200 ? ["content-length"] : []);
  if (!fields.has("date") && status >= 200) kept.unshift(["Date", httpDate()]);
  return { ...response, fields: new Fields([...kept, via(response, self)]) };
}
