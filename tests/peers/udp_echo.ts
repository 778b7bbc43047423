/** What `deno task bench` measures beside chat_server.ts: Deno's datagrams with nothing done to them. */
const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: Number(Deno.args[0]) });
console.log(`listening on 127.0.0.1:${Deno.args[0]}`);
const buffer = new Uint8Array(65535);
while (true) {
  const [data, from] = await socket.receive(buffer);
  await socket.send(data, from);
}
