/**
 * `--proxy`: a client asks a proxy instead of the server.
 *
 * @module
 */
import { type Address, formatAddress, type Option, text } from "../cli.ts";
import { isAuthority } from "./_authority.ts";
import { encodeRequest, Fields } from "./_message.ts";
import type { Destination } from "./_raw_request.ts";

/** The option of a client that may ask a proxy. */
export const proxyOption: Option<string> = {
  ...text("", "send the request to this proxy", "HOST:PORT"),
  parse(raw) {
    if (!isAuthority(raw) || !proxyOf(raw)?.port) throw new RangeError("HOST:PORT");
    return raw;
  },
};

/** The proxy that a client asks; `undefined` for none. */
export function proxyOf(value: string): Address | undefined {
  const [, host = "", port = ""] = /^\[?(.+?)\]?:(\d+)$/.exec(value) ?? [];
  return host === "" ? undefined : { hostname: host, port: Number(port) };
}

/** The request target for a proxy: the complete URL, for the proxy must know the server, too (RFC 9112 §3.2.2). */
export function absoluteTarget({ server, target }: Destination): string {
  return target.startsWith("/") ? `http://${formatAddress(server).replace(/:80$/, "")}${target}` : target;
}

/** The request for a tunnel to a server (RFC 9110 §9.3.6). Its target is the authority alone. */
export function connectRequest(server: Address): Uint8Array<ArrayBuffer> {
  const authority = formatAddress(server);
  return encodeRequest({ method: "CONNECT", target: authority, fields: new Fields([["Host", authority]]) });
}
