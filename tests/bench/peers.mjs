// The servers and the client in Node that `deno task bench` compares. HOST and PORT are in the environment.
import dgram from "node:dgram";
import net from "node:net";
import process from "node:process";

const host = process.env.HOST ?? "127.0.0.1";
const port = Number(process.env.PORT);
const up = () => console.log(`listening on ${port}`);

if (process.argv[2] === "tcp") {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("data", (data) => {
      // The same as pipe(), without its overhead.
      if (!socket.write(data)) {
        socket.pause();
        socket.once("drain", () => socket.resume());
      }
    });
    socket.on("end", () => socket.end());
    socket.on("error", () => socket.destroy());
  });
  server.listen({ port, host, backlog: 1024 }, up);
} else if (process.argv[2] === "udp") {
  const socket = dgram.createSocket("udp4");
  socket.on("message", (data, from) => socket.send(data, from.port, from.address));
  socket.bind(port, host, up);
} else if (process.argv[2] === "chat") {
  // Only what chat_server.ts does with a message: look up the sender, escape the text, relay it to everyone.
  const socket = dgram.createSocket("udp4");
  const members = new Map();
  socket.on("message", (data, from) => {
    const address = `${from.address}:${from.port}`;
    let member = members.get(address);
    if (!member) members.set(address, member = { from, name: address, seen: 0 });
    member.seen = Date.now();
    const text = data.toString().replace(/\r?\n$/, "");
    if (text === "/quit") return members.delete(address);
    const safe = /^[ -~]*$/.test(text) ? text : text.replace(/\p{C}/gu, "?");
    const line = Buffer.from(`${member.name}: ${safe}`);
    for (const { from } of members.values()) socket.send(line, from.port, from.address);
  });
  socket.bind(port, host, up);
} else {
  const message = "Hello from Node!";
  const socket = net.connect({ port, host, noDelay: true }, () => socket.write(message));
  let back = "";
  socket.on("data", (data) => {
    back += data;
    if (back.length < message.length) return;
    console.log("Received:", back);
    socket.end();
  });
  socket.on("error", (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
