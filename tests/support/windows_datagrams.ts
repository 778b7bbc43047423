/**
 * Makes the UDP sockets of a script fail as those of Windows do. Load it before the script: `deno run --preload=…`.
 *
 * @module
 */
Deno.listenDatagram = new Proxy(Deno.listenDatagram, {
  apply(listen, self, args) {
    const socket: Deno.DatagramConn = Reflect.apply(listen, self, args);
    const { receive, send } = socket;
    let refused = 0;
    socket.send = (datagram, to) => {
      refused++;
      return send.call(socket, datagram, to);
    };
    socket.receive = async (buffer = new Uint8Array(1024)) => {
      // Windows reports an ICMP port unreachable for an earlier datagram here. This one reports it for every datagram.
      if (refused-- > 0) throw new Deno.errors.ConnectionReset("forcibly closed by the remote host (os error 10054)");
      refused = 0;
      const [datagram, from] = await receive.call(socket, new Uint8Array(65_535));
      if (datagram.length > buffer.length) throw new Error("larger than the internal message buffer (os error 10040)");
      return [datagram, from];
    };
    return socket;
  },
});
