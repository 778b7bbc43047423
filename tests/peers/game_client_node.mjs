// A client of the game on node:dgram that stands still most of the time. HOST, PORT, NAME and SECONDS are in the environment.
import dgram from "node:dgram";

const { HOST, PORT, NAME, SECONDS } = process.env;
const socket = dgram.createSocket("udp4");
let cookie = Buffer.alloc(8);
let tick = -1;
let heard = Date.now();
let [joined, leaves, ticks] = [0, 0, 0];
let waiting = [];
let last = 0;
const scores = new Map();

const send = (kind, ...parts) =>
  socket.send(Buffer.concat([Buffer.from([0x53, 0x47, 0x31, kind]), cookie, ...parts]), Number(PORT), HOST);

function end(problem) {
  if (problem) console.error(problem);
  process.exit(problem ? 1 : 0);
}

socket.on("error", (error) => end(error.message));
socket.on("message", (data, from) => {
  if (from.port !== Number(PORT) || from.address !== HOST) return;
  if (data.length < 4 || data.toString("latin1", 0, 3) !== "SG1") return;
  const kind = data[3];
  if (kind === 11 && data.length === 12) {
    const isNew = !cookie.equals(data.subarray(4));
    cookie = Buffer.from(data.subarray(4));
    if (isNew && !joined) join();
  }
  if (kind === 13 && data.length === 4) end("the game is full");
  if (kind === 14 && data.length === 4) end(leaves > 0 ? "" : "the server has ended the game");
  if (kind !== 12 || data.length < 15 || data.length !== 15 + 16 * data[13] + 2 * data[14]) return;
  const now = data.readUInt32BE(4);
  if (now <= tick) return;
  tick = now;
  heard = Date.now();
  joined ||= heard;
  const done = data.readUInt32BE(8);
  waiting = waiting.filter(({ number }) => number > done);
  for (let i = 0, at = 15; i < data[13]; i++, at += 16) {
    const [name, score] = [data.toString("latin1", at + 8, at + 8 + data[at + 7]), data[at + 5]];
    if (scores.get(data[at]) !== score) console.log(`${name}: ${score}`);
    scores.set(data[at], score);
  }
});

const join = () => send(1, Buffer.from([NAME.length]), Buffer.from(NAME));

setInterval(() => {
  ticks++;
  if (Date.now() - heard > 7000 && !leaves) end("no answer from the server");
  if (!joined) {
    if (ticks % 5 === 1) join();
  } else if (Date.now() < joined + 1000 * Number(SECONDS)) {
    waiting.push({ number: ++last, heading: last % 8 === 0 ? 2 : 0 });
    waiting = waiting.slice(-40);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(last);
    head[4] = waiting.length;
    send(2, head, Buffer.from(waiting.map(({ heading }) => heading)));
  } else if (ticks % 4 === 0) {
    if (leaves++ === 5) end("");
    send(3);
  }
}, 50);
