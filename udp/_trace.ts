/**
 * `--trace` and `--pcap` for a UDP socket.
 *
 * @module
 */
import { formatAddress, type Tracing } from "../cli.ts";
import { isTraced, now, showMessage } from "../tcp/_trace.ts";

/**
 * Wraps a socket so that each datagram it receives or sends is shown. One entry is one datagram: UDP keeps the boundaries of
 * what was sent (RFC 768), TCP does not. Without `--trace` and `--pcap` it is the socket itself. `says` puts the bytes of a
 * datagram into words, for the diagram.
 *
 * ```ts
 * const socket = traced(Deno.listenDatagram({ transport: "udp", port: 9999 }), flags, "server");
 * ```
 */
export function traced(
  socket: Deno.DatagramConn,
  flags: Tracing,
  side: "client" | "server" = "client",
  says?: (data: Uint8Array) => string,
): Deno.DatagramConn {
  if (!isTraced(flags)) return socket;
  const name = (addr: Deno.Addr) => "hostname" in addr ? formatAddress(addr) : addr.transport;
  const local = name(socket.addr);
  const show = (from: string, to: string, data: Uint8Array, t = now()) => {
    showMessage(flags, { side, transport: "udp", from, to, data, note: "datagram", says: says?.(data) }, t);
  };
  const receive: Deno.DatagramConn["receive"] = async (buffer) => {
    const [datagram, from] = await socket.receive(buffer);
    show(name(from), local, datagram);
    return [datagram, from];
  };
  const send: Deno.DatagramConn["send"] = async (datagram, to) => {
    const t = now(); // before it is sent: the other side may have it before `send` returns
    const sent = await socket.send(datagram, to);
    show(local, name(to), datagram, t);
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
