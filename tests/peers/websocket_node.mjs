// A WebSocket server that echoes messages, by hand on node:http. Its replies come in fragments of up to 1000 bytes.
import { createHash } from "node:crypto";
import { createServer } from "node:http";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const refuse = (code) => {
  throw Object.assign(new Error(), { close: code });
};

function decode(buffer) {
  if (buffer.length < 2) return;
  const [first, second] = buffer;
  const opcode = first & 15;
  const fin = first > 127;
  if (first & 0x70 || ![0, 1, 2, 8, 9, 10].includes(opcode) || second < 128) refuse(1002);
  let length = second & 127;
  let at = 2;
  if (opcode > 7 && (length > 125 || !fin)) refuse(1002);
  if (length === 126) {
    if (buffer.length < 4) return;
    length = buffer.readUInt16BE(2);
    at = 4;
    if (length < 126) refuse(1002);
  } else if (length === 127) {
    if (buffer.length < 10) return;
    const long = buffer.readBigUInt64BE(2);
    if (long < 65536n || long >> 63n) refuse(1002);
    if (long > 1n << 24n) refuse(1009);
    length = Number(long);
    at = 10;
  }
  if (buffer.length < at + 4 + length) return;
  const payload = Buffer.from(buffer.subarray(at + 4, at + 4 + length));
  for (let i = 0; i < length; i++) payload[i] ^= buffer[at + i % 4];
  return { fin, opcode, payload, size: at + 4 + length };
}

function encode(opcode, payload, fin = true) {
  const head = Buffer.alloc(payload.length < 126 ? 2 : 4);
  head[0] = (fin ? 128 : 0) | opcode;
  head[1] = payload.length < 126 ? payload.length : 126;
  if (payload.length > 125) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

function echo(socket) {
  let unread = Buffer.alloc(0);
  let message;
  const strict = new TextDecoder("utf-8", { fatal: true });
  const check = (bytes) => {
    try {
      strict.decode(bytes);
    } catch {
      refuse(1007);
    }
  };
  const take = ({ fin, opcode, payload }) => {
    if (opcode === 8) {
      const code = payload.length > 1 ? payload.readUInt16BE() : 0;
      const known = (code > 999 && code < 1004) || (code > 1006 && code < 1015) || (code > 2999 && code < 5000);
      if (payload.length && !known) refuse(1002);
      check(payload.subarray(2));
      socket.end(encode(8, payload.subarray(0, 2)));
    } else if (opcode === 9) socket.write(encode(10, payload));
    else if (opcode < 3) {
      if ((opcode === 0) !== (message !== undefined)) refuse(1002);
      message ??= { opcode, parts: [] };
      message.parts.push(payload);
      if (!fin) return;
      const whole = Buffer.concat(message.parts);
      if (message.opcode === 1) check(whole);
      for (let at = 0; at === 0 || at < whole.length; at += 1000) {
        socket.write(encode(at ? 0 : message.opcode, whole.subarray(at, at + 1000), at + 1000 >= whole.length));
      }
      message = undefined;
    }
  };
  return (data) => {
    unread = Buffer.concat([unread, data]);
    try {
      for (let frame = decode(unread); frame && !socket.writableEnded; frame = decode(unread)) {
        unread = unread.subarray(frame.size);
        take(frame);
      }
    } catch (error) {
      if (!error.close) throw error;
      socket.end(encode(8, Buffer.from([error.close >> 8, error.close & 255])));
      socket.removeAllListeners("data").resume();
    }
  };
}

const server = createServer((_, response) => response.writeHead(426, { "Sec-WebSocket-Version": "13" }).end());
server.on("upgrade", (request, socket, head) => {
  socket.on("error", () => {});
  const { "sec-websocket-key": key, "sec-websocket-version": version, upgrade } = request.headers;
  if (!key || version !== "13" || upgrade.toLowerCase() !== "websocket") {
    return socket.end("HTTP/1.1 400 Bad Request\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n");
  }
  const accept = createHash("sha1").update(key + GUID).digest("base64");
  const fields = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
  socket.setNoDelay(true).write(`HTTP/1.1 101 Switching Protocols\r\n${fields}`);
  const take = echo(socket);
  take(head);
  socket.on("data", take);
  socket.on("end", () => socket.end());
});
server.listen(Number(process.env.PORT), "127.0.0.1");
