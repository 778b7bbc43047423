// A server of JSON-RPC on node:net. PORT is in the environment; it listens on all addresses, of IPv6 too.
import net from "node:net";

const isNumber = (value) => typeof value === "number";
const methods = {
  add(params) {
    const [a, b] = Array.isArray(params) ? params : [params?.a, params?.b];
    if (!isNumber(a) || !isNumber(b)) throw { code: -32602, message: "Invalid params" };
    return a + b;
  },
  echo: (params) => params,
  sleep: ([seconds]) => new Promise((wake) => setTimeout(wake, seconds * 1000, null)),
};

async function respond(call) {
  if (call?.jsonrpc !== "2.0" || typeof call.method !== "string") {
    return { jsonrpc: "2.0", id: null, error: { code: -32600, message: "Invalid Request" } };
  }
  const head = { jsonrpc: "2.0", id: call.id };
  let response;
  try {
    if (!Object.hasOwn(methods, call.method)) throw { code: -32601, message: "Method not found" };
    response = { ...head, result: await methods[call.method](call.params) };
  } catch (error) {
    response = { ...head, error };
  }
  return "id" in call ? response : undefined;
}

async function answer(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return { jsonrpc: "2.0", id: null, error: { code: -32700, message: "Parse error" } };
  }
  if (!Array.isArray(message) || message.length === 0) return respond(message);
  const responses = (await Promise.all(message.map(respond))).filter(Boolean);
  return responses.length > 0 ? responses : undefined;
}

net.createServer((socket) => {
  let unread = Buffer.alloc(0);
  socket.on("error", (error) => console.log(error.code));
  socket.on("data", (data) => {
    unread = Buffer.concat([unread, data]);
    for (let end = unread.indexOf("\r\n\r\n"); end >= 0; end = unread.indexOf("\r\n\r\n")) {
      const length = Number(/^content-length: *(\d+)$/im.exec(unread.toString("latin1", 0, end))?.[1]);
      if (!(length < 1e8)) return socket.end();
      if (unread.length < end + 4 + length) return;
      const text = unread.toString("utf8", end + 4, end + 4 + length);
      unread = unread.subarray(end + 4 + length);
      answer(text).then((reply) => {
        if (!reply) return;
        const body = JSON.stringify(reply);
        socket.write(`Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      });
    }
  });
}).listen(Number(process.env.PORT));
