// An echo server in Node with a mistake: what it could not send yet is lost when the client ends its side. PORT is in the environment.
import { createServer } from "node:net";

createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => {});
  socket.on("data", (data) => socket.write(data));
  socket.on("end", () => socket.destroy());
}).listen(Number(process.env.PORT), "127.0.0.1");
