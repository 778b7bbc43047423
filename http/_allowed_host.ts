/**
 * Which names of itself a web server answers to: the defence against DNS rebinding.
 *
 * @module
 */

/** The names of loopback (RFC 6761 §6.3) and its addresses, as `URL` writes them: in lower case, an IPv6 address in brackets. */
const LOOPBACK = /^((.+\.)?localhost|127\.\d+\.\d+\.\d+|\[::1\])\.?$/;

/**
 * Whether a server that listens on the address `listeningOn` may answer a request with this Host field.
 *
 * A page of any site can have its own name point to 127.0.0.1, and its scripts may then read what a server on this machine
 * answers: to the browser it is one site (DNS rebinding). The Host field still names that site. So a server on loopback accepts
 * only the names of loopback. A server on another address cannot know all its names, and accepts every Host.
 *
 * Without a Host field (HTTP/1.0) or with an empty one, no browser has sent the request.
 */
export function isAllowedHost(host: string | undefined, listeningOn: string): boolean {
  return !host || !isLoopback(listeningOn) || isLoopback(host);
}

/** Whether `host`, with or without a port, is a name or an address of loopback. */
function isLoopback(host: string): boolean {
  if (host === "::1") return true; // an address to listen on is written without brackets
  if (/[/?#@\\\s]/.test(host)) return false; // more than a host: `URL` would take it apart
  return LOOPBACK.test(URL.parse(`http://${host}`)?.hostname ?? "");
}
