/**
 * The local address to send datagrams from: as near as the server's, so that a server on this machine needs no wider
 * permission than for its own address.
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
