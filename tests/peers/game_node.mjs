// A server of the game over UDP on node:dgram. PORT is in the environment.
import crypto from "node:crypto";
import dgram from "node:dgram";

const socket = dgram.createSocket("udp4");
const cookies = new Map(); // the newest thousand: any of them that is not here is asked for again
const players = new Map();
let tick = 0;

const isWall = (x, y) =>
  x < 0 || y < 0 || x > 37 || y > 17 || [9, 28].includes(x) && y > 4 && y < 13 ||
  [4, 13].includes(y) && x > 14 && x < 23;
const dots = [];
const free = () => {
  for (;;) {
    const [x, y] = [crypto.randomInt(38), crypto.randomInt(18)];
    const isTaken = [...dots, ...[...players.values()].map((p) => [Math.round(p.x / 10), Math.round(p.y / 10)])]
      .some((each) => each[0] === x && each[1] === y);
    if (!isTaken && !isWall(x, y)) return [x, y];
  }
};
while (dots.length < 5) dots.push(free());

const send = (kind, { port, address }, ...parts) =>
  socket.send(Buffer.concat([Buffer.from([0x53, 0x47, 0x31, kind]), ...parts]), port, address);

socket.on("message", (data, from) => {
  if (data.length < 12 || data.toString("latin1", 0, 3) !== "SG1") return;
  const [kind, rest, key] = [data[3], data.subarray(12), `${from.address}:${from.port}`];
  const cookie = cookies.get(key);
  if (!cookie?.equals(data.subarray(4, 12))) {
    if (kind !== 1) return;
    if (!cookie) cookies.set(key, Buffer.concat([crypto.randomBytes(7), Buffer.from([9])]));
    if (cookies.size > 1000) cookies.delete(cookies.keys().next().value);
    return send(11, from, cookies.get(key));
  }
  const player = players.get(key);
  if (player) player.heard = Date.now();
  if (kind === 1 && !player) {
    const name = rest.toString("latin1", 1);
    if (rest[0] !== name.length || !/^[a-z][a-z0-9]{0,7}$/i.test(name)) return;
    const id = [1, 2].find((id) => ![...players.values()].some((p) => p.id === id));
    if (!id) return send(13, from);
    const [x, y] = free().map((part) => part * 10);
    players.set(key, {
      id,
      name,
      from,
      x,
      y,
      score: 0,
      wins: 0,
      queue: [],
      last: 0,
      done: 0,
      owed: 0,
      heard: Date.now(),
    });
  } else if (kind === 2 && player && rest.length >= 5) {
    const [last, count, headings] = [rest.readUInt32BE(), rest[4], [...rest.subarray(5)]];
    if (count !== headings.length || count > 40 || count > last || headings.some((each) => each > 4)) return;
    headings.forEach((heading, i) => {
      const number = last - count + 1 + i;
      if (number > player.last) player.queue.push([player.last = number, heading]);
    });
    while (player.queue.length > 10) player.done = player.queue.shift()[0];
  } else if (kind === 3 && rest.length === 0) {
    players.delete(key);
    send(14, from);
  }
});

function step(player) {
  player.owed = Math.min(10, player.owed + 1);
  for (; player.owed > 0 && player.queue.length > 0; player.owed--) {
    const [number, heading] = player.queue.shift();
    player.done = number;
    const x = player.x + [0, 0, 4, 0, -4][heading];
    const y = player.y + [0, -4, 0, 4, 0][heading];
    if (x >= 0 && y >= 0 && x <= 370 && y <= 170 && !isWall(Math.round(x / 10), Math.round(y / 10))) {
      [player.x, player.y] = [x, y];
    }
    const [cellX, cellY] = [Math.round(player.x / 10), Math.round(player.y / 10)];
    const dot = dots.findIndex((each) => each[0] === cellX && each[1] === cellY);
    if (dot < 0) continue;
    dots[dot] = free();
    if (++player.score < 10) continue;
    player.wins++;
    for (const each of players.values()) each.score = 0;
  }
}

setInterval(() => {
  tick++;
  for (const [key, player] of players) {
    if (Date.now() - player.heard > 5000) players.delete(key);
    else step(player);
  }
  const rows = [...players.values()].map((player) => {
    const row = Buffer.alloc(16);
    row[0] = player.id;
    row.writeUInt16BE(player.x, 1);
    row.writeUInt16BE(player.y, 3);
    row.set([player.score, player.wins, player.name.length], 5);
    row.write(player.name, 8);
    return row;
  });
  for (const player of players.values()) {
    const head = Buffer.alloc(11);
    head.writeUInt32BE(tick);
    head.writeUInt32BE(player.done, 4);
    head.set([player.id, rows.length, dots.length], 8);
    send(12, player.from, head, ...rows, Buffer.from(dots.flat()));
  }
}, 50);
socket.bind(Number(process.env.PORT), "127.0.0.1");
