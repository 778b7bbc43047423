// A TFTP client on node:dgram that gets a file. HOST, PORT, NAME and FILE are in the environment.
import dgram from "node:dgram";
import fs from "node:fs";

const { HOST, PORT, NAME, FILE } = process.env;
const socket = dgram.createSocket("udp4");
const parts = [];
let peer;
let last = Buffer.from(`\0\x01${NAME}\0octet\0`);
let tries = 0;
let timer;

function send() {
  clearTimeout(timer);
  timer = setTimeout(() => ++tries > 4 ? end(1, "no answer") : send(), 1000);
  socket.send(last, peer?.port ?? Number(PORT), HOST);
}

function end(code, text) {
  clearTimeout(timer);
  if (text) console.error(text);
  socket.close();
  process.exitCode = code;
}

socket.on("message", (data, from) => {
  peer ??= from;
  if (from.port !== peer.port) return socket.send("\0\x05\0\x05unknown\0", from.port, from.address);
  const opcode = data.readUInt16BE(0);
  const number = data.readUInt16BE(2);
  if (opcode === 5) return end(1, `error ${number}: ${data.toString("utf8", 4).replace(/\0.*/s, "")}`);
  if (opcode !== 3) return;
  tries = 0;
  if (number === (parts.length & 0xffff)) return parts.length ? send() : undefined;
  if (number !== ((parts.length + 1) & 0xffff)) return;
  parts.push(data.subarray(4));
  last = Buffer.from([0, 4, number >> 8, number & 255]);
  if (data.length === 516) return send();
  fs.writeFileSync(FILE, Buffer.concat(parts));
  socket.send(last, peer.port, HOST, () => end(0));
});
send();
