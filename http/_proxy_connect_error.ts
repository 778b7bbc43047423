import { codeOf } from "../tcp/_socket_errors.ts";
import { ProxyError } from "./_proxy_request.ts";

/** Why there is no connection to a server; a bug comes back unchanged. */
export function explainConnect(error: unknown, name: string, seconds: number): unknown {
  if (error instanceof Deno.errors.NotCapable) {
    return new ProxyError(
      403,
      "http_request_denied",
      `the proxy may not use ${name}: start it with -N=${name} as well`,
    );
  }
  const fault = (status: number, type: string, what: string) => new ProxyError(status, type, `${name} ${what}`);
  switch (codeOf(error)) {
    case "ECONNREFUSED":
      return fault(502, "connection_refused", "refused the connection: is the server running?");
    case "ENOTFOUND":
      return fault(502, "dns_error", "has no address: check the name");
    case "ETIMEDOUT":
      return fault(504, "connection_timeout", `did not accept the connection in ${seconds} s`);
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EADDRNOTAVAIL":
      return fault(502, "destination_ip_unroutable", "cannot be reached from this machine");
    case "EMFILE":
    case "ENFILE":
      return fault(503, "proxy_internal_error", "was not connected: the proxy has no file descriptors left");
    case "ECONNRESET":
    case "ECONNABORTED":
      return fault(502, "connection_terminated", "reset the connection");
    default:
      return error;
  }
}
