/**
 * A UDP socket that shows its datagrams.
 *
 * @module
 */
import { place, show } from "../cli.ts";

/**
 * Wraps a socket so that each datagram received and sent is shown on stderr. One line is one datagram: UDP keeps the
 * boundaries of what was sent (RFC 768), where TCP does not.
 *
 * ```ts
 * const socket = traced(Deno.listenDatagram({ transport: "udp", port: 9999 }), "text");
 * ```
 */
export function traced(socket: Deno.DatagramConn, form: "text" | "json"): Deno.DatagramConn {
  const name = (addr: Deno.Addr) => "hostname" in addr ? place(addr) : addr.transport;
  const here = name(socket.addr);
  const receive: Deno.DatagramConn["receive"] = async (buffer) => {
    const [data, from] = await socket.receive(buffer);
    show(form, name(from), here, data, "datagram");
    return [data, from];
  };
  const send: Deno.DatagramConn["send"] = async (data, to) => {
    const sent = await socket.send(data, to);
    show(form, here, name(to), data, "datagram");
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
