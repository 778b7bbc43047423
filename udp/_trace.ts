/**
 * `--trace` for a UDP socket.
 *
 * @module
 */
import { formatAddress, type TraceForm } from "../cli.ts";
import { showMessage } from "../tcp/_trace.ts";

/**
 * Wraps a socket so that each datagram it receives or sends is shown on stderr. One entry is one datagram: UDP keeps the
 * boundaries of what was sent (RFC 768), TCP does not. Without `--trace` it is the socket itself.
 *
 * ```ts
 * const socket = traced(Deno.listenDatagram({ transport: "udp", port: 9999 }), flags.trace);
 * ```
 */
export function traced(socket: Deno.DatagramConn, form: TraceForm): Deno.DatagramConn {
  if (form === "") return socket;
  const name = (addr: Deno.Addr) => "hostname" in addr ? formatAddress(addr) : addr.transport;
  const local = name(socket.addr);
  const receive: Deno.DatagramConn["receive"] = async (buffer) => {
    const [datagram, from] = await socket.receive(buffer);
    showMessage(form, name(from), local, datagram, "datagram");
    return [datagram, from];
  };
  const send: Deno.DatagramConn["send"] = async (datagram, to) => {
    const sent = await socket.send(datagram, to);
    showMessage(form, local, name(to), datagram, "datagram");
    return sent;
  };
  return new Proxy(socket, {
    get(target, key) {
      if (key === "receive") return receive;
      if (key === "send") return send;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
