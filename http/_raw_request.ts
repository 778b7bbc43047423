/**
 * The request of `raw_client.ts`: where it goes, its bytes, and how it follows a redirect. No socket here.
 *
 * @module
 */
import { type Address, Failure, formatAddress, printable } from "../cli.ts";
import { encodeRequest, Fields, MessageError } from "./_message.ts";

/** A request, and the server that it goes to. */
export interface RawRequest extends Destination {
  readonly method: string;
  readonly fields: readonly [name: string, value: string][];
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The server, and the request target as it stands in the request line. */
export interface Destination {
  readonly tls: boolean;
  readonly server: Address;
  readonly target: string;
}

/** The bytes of a request's head, with default fields. @throws {Failure} with code 2 when the request is malformed. */
export function encode({ tls, server, method, target, fields, body }: RawRequest): Uint8Array<ArrayBuffer> {
  const defaults: [string, string][] = [
    ["Host", formatAddress(server).replace(tls ? /:443$/ : /:80$/, "")],
    ["User-Agent", "socketlab"],
    ["Accept", "*/*"],
    ["Connection", "close"],
  ];
  if (body.length > 0) {
    defaults.push(["Content-Type", "application/x-www-form-urlencoded"], ["Content-Length", `${body.length}`]);
  }
  const isGiven = (name: string) => fields.some(([given]) => given.toLowerCase() === name.toLowerCase());
  try {
    const all = new Fields([...defaults.filter(([name]) => !isGiven(name)), ...fields]);
    return encodeRequest({ method, target, fields: all });
  } catch (error) {
    if (error instanceof MessageError) throw new Failure(error.message, 2);
    throw error;
  }
}

/** The request that follows a redirect. */
export function redirect(request: RawRequest, location: string, status: number): RawRequest {
  const { tls, server, target } = request;
  const from = new URL(target, `${tls ? "https" : "http"}://${formatAddress(server)}`);
  if (!URL.canParse(location, from.href)) {
    throw new Failure(`${formatAddress(server)} redirects to ${printable(location)}, which is not a URL`);
  }
  const to = new URL(location, from);
  if (!isHttp(to)) {
    throw new Failure(
      `${formatAddress(server)} redirects to ${printable(location)}: not a plain http:// or https:// URL`,
    );
  }
  let { method, fields, body } = request;
  // Do not send credentials and cookies to another origin.
  if (to.origin !== from.origin) fields = fields.filter(([name]) => !/^(authorization|cookie|host)$/i.test(name));
  // 307 and 308 repeat the method and the body. After 301, 302 and 303 clients send a GET (RFC 9110 §15.4).
  if (status < 307 && method !== "HEAD") {
    [method, body] = ["GET", new Uint8Array()];
    fields = fields.filter(([name]) => !/^content-/i.test(name));
  }
  return { ...parseDestination(to.href, server), method, fields, body };
}

/** Parses a URL, or a path on `server`. A path is sent just as it was given, dots and all; a URL is normalized. */
export function parseDestination(given: string, server: Address): Destination {
  if (given.startsWith("/")) return { tls: false, server, target: given };
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (!url || !isHttp(url)) {
    const forms = "a URL starts with http:// or https://, a path with /";
    throw new Failure(`${printable(given)} is not a URL or a path: ${forms}`, 2);
  }
  const tls = url.protocol === "https:";
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  return { tls, server: { hostname, port: Number(url.port || (tls ? 443 : 80)) }, target: url.pathname + url.search };
}

/** Whether a URL can be requested here. A name and a password in it are refused: a redirect must not choose them. */
const isHttp = (url: URL) => /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
