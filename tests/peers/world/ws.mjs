// The package ws, installed in the folder MODULES: a server, or with the argument "client" a client.
import { createRequire } from "node:module";

const { WebSocket, WebSocketServer } = createRequire(`${process.env.MODULES}/`)("ws");
if (process.argv[2] === "client") {
  const socket = new WebSocket(process.env.URL);
  const complain = (text) => {
    console.error(text);
    process.exitCode = 1;
  };
  socket.on("open", () => socket.send(process.env.TEXT));
  socket.on("message", (data, binary) => console.log(binary ? `${data.length} bytes` : `${data}`));
  socket.on("error", (error) => complain(error.message));
  socket.on("close", (code, reason) => code === 1000 || complain(`closed with ${code}: ${reason}`));
} else {
  const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.env.PORT) });
  server.on("connection", (socket) => {
    socket.on("error", console.error);
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  });
}
