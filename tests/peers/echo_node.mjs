// A correct echo server in Node, which logs. The port is in the environment (PORT).
import { createServer } from "node:net";

createServer({ allowHalfOpen: true }, (socket) => {
  console.log("connected", socket.remotePort);
  socket.on("error", (error) => console.error(error.message));
  socket.pipe(socket);
}).listen(Number(process.env.PORT), "127.0.0.1", 5);
