// Receives a file over UDP on node:dgram, one packet after the other. PORT and FILE are in the environment.
import dgram from "node:dgram";
import fs from "node:fs";

const { PORT, FILE } = process.env;
const socket = dgram.createSocket("udp4");
const parts = [];
let awaited = 0;
let peer;

function checksum(bytes) {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum >>> 16) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

socket.on("message", (bytes, from) => {
  if (bytes.length < 8 || checksum(bytes) !== 0) return;
  peer ??= `${from.address}:${from.port}`;
  if (`${from.address}:${from.port}` !== peer) return;
  if (bytes.readUInt32BE() === awaited) {
    awaited++;
    if (bytes[6] === 0) parts.push(bytes.subarray(8));
    else {
      fs.writeFileSync(FILE, Buffer.concat(parts));
      setTimeout(() => socket.close(), 1500);
    }
  } else if (bytes.readUInt32BE() > awaited) return; // the sender goes back by itself
  const answer = Buffer.alloc(8);
  answer.writeUInt32BE(awaited);
  answer[6] = 2;
  answer.writeUInt16BE(checksum(answer), 4);
  socket.send(answer, from.port, from.address);
});
socket.bind(Number(PORT), "127.0.0.1");
