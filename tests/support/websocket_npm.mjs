// The package ws as the other side: an echo server on PORT, a client that prints what its messages bring back, or the client
// that the suite http:websocket-client asks for.
// Its name is an argument: written in an import it would have to be in deno.lock.
import process from "node:process";

const [name, role, port, ...messages] = process.argv.slice(2);
const { WebSocket, WebSocketServer } = await import(name);
if (role === "server") {
  const server = new WebSocketServer(
    { host: "127.0.0.1", port: Number(port) },
    () => console.log("listening on", port),
  );
  server.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
} else if (role === "checked") {
  const socket = new WebSocket(process.env.URL);
  const complain = (text) => {
    console.error(text);
    process.exitCode = 1;
  };
  socket.on("open", () => socket.send(process.env.TEXT));
  socket.on("message", (data, isBinary) => console.log(isBinary ? `${data.length} bytes` : `${data}`));
  socket.on("error", (error) => complain(error.message));
  socket.on("close", (code, reason) => code === 1000 || complain(`closed with ${code} ${reason}`));
} else {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  socket.on("open", () => messages.forEach((message) => socket.send(message)));
  socket.on("message", (data) => {
    console.log(`got ${data.length}`);
    messages.pop();
    if (messages.length === 0) socket.ping("p");
  });
  socket.on("pong", () => socket.close(1000, "bye"));
  socket.on("close", (code) => console.log(`closed ${code}`));
}
