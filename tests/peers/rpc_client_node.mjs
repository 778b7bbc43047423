// A client of JSON-RPC on node:net. HOST, PORT, A and B are in the environment.
import net from "node:net";

const { HOST, PORT, A, B } = process.env;
let unread = Buffer.alloc(0);
const fail = (text) => {
  console.error(text);
  process.exit(1);
};

const socket = net.connect(Number(PORT), HOST, () => {
  const text = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "add", params: [Number(A), Number(B)] });
  socket.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
});
socket.on("error", (error) => fail(error.message));
socket.on("end", () => fail("the server closed"));
socket.on("data", (data) => {
  unread = Buffer.concat([unread, data]);
  for (let end = unread.indexOf("\r\n\r\n"); end >= 0; end = unread.indexOf("\r\n\r\n")) {
    const length = Number(/^content-length: *(\d+)/im.exec(unread.toString("latin1", 0, end))[1]);
    if (unread.length < end + 4 + length) return;
    const text = unread.toString("utf8", end + 4, end + 4 + length);
    unread = unread.subarray(end + 4 + length);
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      fail("not JSON");
    }
    if (message.method || (message.id !== 1 && message.id !== null)) continue;
    if (message.error) fail(message.error.message);
    console.log(message.result);
    process.exit(0);
  }
});
