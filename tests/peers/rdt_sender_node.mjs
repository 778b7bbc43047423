// Sends a file over UDP on node:dgram, go-back-N. HOST, PORT and FILE are in the environment; WINDOW packets at a time.
import dgram from "node:dgram";
import fs from "node:fs";

const { HOST, PORT, FILE, WINDOW = "4" } = process.env;
const socket = dgram.createSocket("udp4");

function checksum(bytes) {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum >>> 16) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function packet(number, kind, data = Buffer.alloc(0)) {
  const bytes = Buffer.concat([Buffer.alloc(8), data]);
  bytes.writeUInt32BE(number);
  bytes[6] = kind;
  bytes.writeUInt16BE(checksum(bytes), 4);
  return bytes;
}

const content = fs.readFileSync(FILE);
const packets = [];
for (let at = 0; at < content.length; at += 512) {
  packets.push(packet(packets.length, 0, content.subarray(at, at + 512)));
}
packets.push(packet(packets.length, 1));

let base = 0;
let next = 0;
let tries = 0;
let timer;

function send() {
  for (; next < Math.min(base + Number(WINDOW), packets.length); next++) socket.send(packets[next], Number(PORT), HOST);
}

function watch() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (++tries === 30) return end(1, "the receiver is silent");
    next = base;
    send();
    watch();
  }, 200);
}

function end(code, text) {
  clearTimeout(timer);
  if (text) console.error(text);
  socket.close();
  process.exitCode = code;
}

socket.on("message", (bytes, from) => {
  if (from.address !== HOST || from.port !== Number(PORT)) return;
  if (bytes.length !== 8 || checksum(bytes) !== 0 || bytes[6] !== 2) return;
  const number = bytes.readUInt32BE();
  if (number <= base || number > next) return;
  [base, tries] = [number, 0];
  if (base === packets.length) return end(0);
  send();
  watch();
});
send();
watch();
