// The package vscode-jsonrpc, installed in the folder MODULES: a server, or with "client" a client.
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";

const { createMessageConnection, ResponseError, SocketMessageReader, SocketMessageWriter } = createRequire(
  `${process.env.MODULES}/`,
)("vscode-jsonrpc/node");
const { HOST, PORT, A, B } = process.env;
const over = (socket) => createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));

if (process.argv[2] === "client") {
  const socket = connect(Number(PORT), HOST, () => {
    const connection = over(socket);
    connection.onClose(() => leave("the server has closed the connection"));
    connection.listen();
    connection.sendRequest("add", Number(A), Number(B)).then((sum) => {
      console.log(sum);
      process.exit(0);
    }, (error) => leave(error.message));
  });
  const leave = (text) => {
    console.error(text);
    process.exit(1);
  };
  socket.on("error", (error) => leave(error.message));
} else {
  const wrong = (text) => new ResponseError(-32602, text);
  const byName = (given) => given.length === 1 && !Array.isArray(given[0]) && typeof given[0] === "object";
  createServer((socket) => {
    const connection = over(socket);
    connection.onRequest("add", (...args) => {
      const given = args.slice(0, -1); // the last one tells whether the call was cancelled
      const [a, b] = byName(given) ? [given[0].a, given[0].b] : given;
      return typeof a === "number" && typeof b === "number" ? a + b : wrong("add wants two numbers");
    });
    connection.onRequest("echo", (...args) => byName(args.slice(0, -1)) ? args[0] : args.slice(0, -1));
    connection.onRequest("sleep", (seconds) => new Promise((wake) => setTimeout(wake, seconds * 1000, null)));
    connection.onError(() => {});
    connection.listen();
    socket.on("error", () => connection.dispose());
  }).listen(Number(PORT), "127.0.0.1");
}
