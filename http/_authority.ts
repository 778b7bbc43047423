/**
 * Where a request is to go: its target, and its authority, which is a host and perhaps a port (RFC 9110 §7.1). Pure functions.
 *
 * @module
 */
import type { RequestHead } from "./_message.ts";

/** Whether a text is a host and perhaps a port: a name, an IPv4 address, or an IPv6 address in brackets (RFC 3986 §3.2). */
export function isAuthority(text: string): boolean {
  if (/^[\w.-]+(:\d{1,4})?$/.test(text)) return true; // most are, and this test is quick
  const [whole, ipv6, port = ""] =
    /^(?:(\[[\da-fA-F:.]+\])|(?:[\w.~!$&'()*+,;=-]|%[\da-fA-F]{2})*)(?::(\d{0,5}))?$/.exec(text) ?? [];
  if (whole === undefined || Number(port) > 65_535) return false;
  return ipv6 === undefined || URL.canParse(`http://${ipv6}/`);
}

/**
 * The authority that a request is for. One in the request target goes before the Host field (RFC 9112 §3.2.2); `undefined`
 * when there is neither.
 */
export function authorityOf({ target, fields }: Pick<RequestHead, "target" | "fields">): string | undefined {
  return authorityOfTarget(target) ?? fields.get("host");
}

/** The authority of a request target that is a complete URI; `undefined` for a path. */
export function authorityOfTarget(target: string): string | undefined {
  return target.startsWith("/") ? undefined : /^https?:\/\/([^/?]*)/i.exec(target)?.[1];
}

/** Whether a request target has one of the four forms of RFC 9112 §3.2, and the one that belongs to its method. */
export function isTarget(method: string, target: string): boolean {
  if (method !== "CONNECT" && /^\/[!"$-~]*$/.test(target)) return true; // printable ASCII, and no fragment
  if (target === "*") return method === "OPTIONS";
  if (method === "CONNECT") return /:\d+$/.test(target) && isAuthority(target);
  if (!/^[!"$-~]+$/.test(target)) return false;
  const authority = authorityOfTarget(target);
  return authority !== undefined && !/^(:|$)/.test(authority) && isAuthority(authority);
}
