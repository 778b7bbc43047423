/**
 * Addresses of a client's socket.
 *
 * @module
 */
import { parseAddress, printAddress } from "../tcp/_address.ts";

/**
 * The address to bind for a socket that sends to `server`: loopback for a server on loopback, so that `-N=127.0.0.1` is
 * enough; otherwise all addresses.
 *
 * ```ts
 * Deno.listenDatagram({ transport: "udp", hostname: localAddress("127.0.0.1"), port: 0 });
 * ```
 */
export function localAddress(server: string): string {
  if (/^(127\.|localhost$)/.test(server)) return "127.0.0.1";
  if (!server.includes(":")) return "0.0.0.0";
  return server === "::1" ? "::1" : "::";
}

/** An address in the one form of RFC 5952; `undefined` for a name. */
export function canonical(hostname: string): string | undefined {
  const bytes = parseAddress(hostname);
  return bytes && printAddress(bytes);
}
