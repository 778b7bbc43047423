/** A plain UDP echo server: the limit of Deno's datagrams, for `deno task bench`. */
const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: Number(Deno.args[0]) });
console.log(`listening on 127.0.0.1:${Deno.args[0]}`);
const buffer = new Uint8Array(65535);
while (true) {
  const [data, from] = await socket.receive(buffer);
  await socket.send(data, from);
}
