// The package ws, installed in the folder MODULES.
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(`${process.env.MODULES}/`)("ws");
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.env.PORT) });
server.on("connection", (socket) => {
  socket.on("error", console.error);
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});
