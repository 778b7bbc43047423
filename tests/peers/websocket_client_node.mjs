// A WebSocket client by hand on node:http. URL and TEXT are in the environment.
import { createHash, randomBytes } from "node:crypto";
import { get } from "node:http";

const fail = (text) => {
  console.error(text);
  process.exit(1);
};
/** As `fail`, but what has been printed goes out first: `process.exit` does not wait for it. */
const complain = (text) => {
  console.error(text);
  process.exitCode = 1;
};

function encode(opcode, payload) {
  const head = Buffer.from([128 | opcode, 128 | Math.min(payload.length, 126)]);
  const length = Buffer.alloc(payload.length < 126 ? 0 : 2);
  if (length.length) length.writeUInt16BE(payload.length);
  const key = randomBytes(4);
  return Buffer.concat([head, length, key, payload.map((byte, i) => byte ^ key[i % 4])]);
}

function refuse(code) {
  throw Object.assign(new Error(`the server breaks a rule: ${code}`), { close: code });
}

const strict = new TextDecoder("utf-8", { fatal: true });
function decodeText(bytes) {
  try {
    return strict.decode(bytes);
  } catch {
    refuse(1007);
  }
}

/** The first frame of the bytes, and how many bytes it has. */
function decode(bytes) {
  if (bytes.length < 2) return;
  const opcode = bytes[0] & 15;
  const fin = bytes[0] > 127;
  if (bytes[0] & 0x70 || ![0, 1, 2, 8, 9, 10].includes(opcode) || bytes[1] > 127) refuse(1002);
  if (opcode > 7 && (bytes[1] > 125 || !fin)) refuse(1002);
  const more = bytes[1] === 126 ? 2 : bytes[1] === 127 ? 8 : 0;
  if (bytes.length < 2 + more) return;
  const length = more === 2 ? bytes.readUInt16BE(2) : more === 8 ? Number(bytes.readBigUInt64BE(2)) : bytes[1];
  if (length > 1e8) refuse(1009);
  const size = 2 + more + length;
  if (bytes.length >= size) return { fin, opcode, payload: bytes.subarray(2 + more, size), size };
}

const key = randomBytes(16).toString("base64");
const request = get(process.env.URL.replace("ws:", "http:"), {
  headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": 13 },
});
request.on("error", (error) => fail(error.message));
request.on("response", ({ statusCode }) => fail(`the status is ${statusCode}`));
request.on("upgrade", ({ statusCode, headers }, socket, head) => {
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  if (statusCode !== 101 || headers["sec-websocket-accept"] !== accept) fail("no WebSocket answers");
  if (headers.upgrade?.toLowerCase() !== "websocket" || !/\bupgrade\b/i.test(headers.connection)) fail("no upgrade");
  if (headers["sec-websocket-extensions"] || headers["sec-websocket-protocol"]) fail("more than was asked for");
  socket.setNoDelay(true);
  socket.write(encode(1, Buffer.from(process.env.TEXT)));
  let isClosed = false;
  let unread = head;
  let message;
  const take = ({ fin, opcode, payload }) => {
    if (opcode === 8) {
      const code = payload.length > 1 ? payload.readUInt16BE() : 0;
      const known = (code > 999 && code < 1004) || (code > 1006 && code < 1015) || (code > 2999 && code < 5000);
      if (payload.length && !known) refuse(1002);
      const reason = decodeText(payload.subarray(2));
      isClosed = true;
      socket.end(encode(8, payload.subarray(0, 2)));
      if (code && code !== 1000) complain(`closed with ${code}: ${reason}`);
    } else if (opcode === 9) socket.write(encode(10, payload));
    else if (opcode < 3) {
      if ((opcode === 0) !== (message !== undefined)) refuse(1002);
      message ??= { opcode, parts: [] };
      message.parts.push(payload);
      if (!fin) return;
      const whole = Buffer.concat(message.parts);
      console.log(message.opcode === 1 ? decodeText(whole) : `binary: ${whole.length}`);
      message = undefined;
    }
  };
  const read = (data) => {
    unread = Buffer.concat([unread, data]);
    try {
      for (let frame = decode(unread); frame && !isClosed; frame = decode(unread)) {
        unread = unread.subarray(frame.size);
        take(frame);
      }
    } catch (error) {
      if (!error.close) throw error;
      isClosed = true;
      socket.end(encode(8, Buffer.from([error.close >> 8, error.close & 255])));
      complain(error.message);
    }
  };
  socket.on("data", read);
  socket.on("end", () => isClosed || complain("the server has ended the connection without a close frame"));
  socket.on("error", (error) => isClosed || complain(error.message));
  read(Buffer.alloc(0));
});
