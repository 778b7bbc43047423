// The servers in Node on npm packages that `deno task bench` compares: `rpc` is vscode-jsonrpc, `websocket` is ws.
// The packages are in the folder MODULES. PORT is in the environment.
import { createRequire } from "node:module";
import { createServer } from "node:net";

const require = createRequire(`${process.env.MODULES}/`);
const port = Number(process.env.PORT);
const up = () => console.log("listening");

if (process.argv[2] === "rpc") {
  const { createMessageConnection, SocketMessageReader, SocketMessageWriter } = require("vscode-jsonrpc/node");
  createServer({ noDelay: true }, (socket) => {
    const connection = createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));
    connection.onRequest("add", (a, b) => a + b);
    connection.onError(() => {});
    connection.listen();
    socket.on("error", () => connection.dispose());
    socket.on("close", () => connection.dispose());
  }).listen({ port, host: "127.0.0.1", backlog: 1024 }, up);
} else {
  const { WebSocketServer } = require("ws");
  const server = new WebSocketServer({ port, host: "127.0.0.1", backlog: 1024 }, up);
  server.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("error", () => socket.terminate());
  });
}
