// A correct DNS server with Node's dgram and net modules. It starts slowly: UDP a moment before TCP. It compresses no name.
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const numbers = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, CAA: 257 };
const u16 = (n) => [n >> 8 & 255, n & 255];
const u32 = (n) => [...u16(n >>> 16), ...u16(n & 65535)];
const ascii = (text) => [...Buffer.from(text, "latin1")];
const name = (
  text,
) => [...text.split(".").filter((label) => label).flatMap((label) => [label.length, ...ascii(label)]), 0];

function address6(text) {
  const [left, right] = text.split("::");
  const groups = (part) => part ? part.split(":").map((group) => parseInt(group, 16)) : [];
  const [head, tail] = [groups(left), groups(right)];
  return [...head, ...Array(8 - head.length - tail.length).fill(0), ...tail].flatMap(u16);
}

function data(type, words) {
  if (words[0] === "\\#") return [...Buffer.from(words.slice(2).join(""), "hex")];
  switch (type) {
    case "A":
      return words[0].split(".").map(Number);
    case "AAAA":
      return address6(words[0]);
    case "MX":
      return [...u16(Number(words[0])), ...name(words[1])];
    case "SRV":
      return [...words.slice(0, 3).map(Number).flatMap(u16), ...name(words[3])];
    case "SOA":
      return [...name(words[0]), ...name(words[1]), ...words.slice(2).map(Number).flatMap(u32)];
    case "TXT":
      return words.flatMap((word) => [word.length, ...ascii(word)]);
    case "CAA":
      return [Number(words[0]), words[1].length, ...ascii(words[1]), ...ascii(words[2])];
    default:
      return name(words[0]);
  }
}

const zone = new Map();
let origin = "";
for (const line of readFileSync(process.env.ZONE, "latin1").split("\n")) {
  if (line === "" || line.startsWith(";")) continue;
  const [owner, ttl, , type, ...words] = line.match(/"[^"]*"|\S+/g).map((word) => word.replace(/^"|"$/g, ""));
  if (type === "SOA") origin = owner.toLowerCase();
  const record = {
    owner,
    type: numbers[type] ?? Number(type.slice(4)),
    ttl: Number(ttl),
    data: data(type, words),
    words,
  };
  const key = owner.toLowerCase();
  zone.set(key, [...zone.get(key) ?? [], record]);
}
const exists = (key) => [...zone.keys()].some((owner) => owner === key || owner.endsWith(`.${key}`));
const inZone = (key) => key === origin || key.endsWith(`.${origin}`);
const soa = () =>
  zone.get(origin).filter(({ type }) => type === 6).map((record) => ({
    ...record,
    ttl: Math.min(record.ttl, Number(record.words[6])),
  }));

/** What the zone says: the code, the sections, and whether the answer is authoritative. */
function look(asked, type, answers = [], depth = 0) {
  const key = asked.toLowerCase();
  if (!inZone(key)) return { code: answers.length ? 0 : 5, answers, authority: [], aa: answers.length > 0 };
  const labels = key.split(".");
  for (let i = labels.length - origin.split(".").length - 1; i >= 0; i--) {
    const servers = (zone.get(labels.slice(i).join(".")) ?? []).filter((record) => record.type === 2);
    if (servers.length) return { code: 0, answers, authority: servers, aa: answers.length > 0 };
  }
  let records = zone.get(key);
  if (!records && !exists(key)) {
    let parent = key;
    do parent = parent.slice(parent.indexOf(".") + 1); while (!exists(parent));
    records = zone.get(`*.${parent}`)?.map((record) => ({ ...record, owner: asked }));
    if (!records) return { code: 3, answers, authority: soa(), aa: true };
  }
  const alias = records?.find((record) => record.type === 5);
  if (alias && type !== 5 && type !== 255) {
    if (depth > 10) return { code: 2, answers, authority: [], aa: true };
    return look(alias.words[0], type, [...answers, alias], depth + 1);
  }
  const found = (records ?? []).filter((record) => record.type === type || type === 255);
  return { code: 0, answers: [...answers, ...found], authority: found.length ? [] : soa(), aa: true };
}

function read(query) {
  const [questions, ...counts] = [4, 6, 8, 10].map((at) => query.readUInt16BE(at));
  if (questions !== 1) throw new RangeError("one question");
  const labels = [];
  let at = 12;
  for (let size = query.readUInt8(at); size > 0; size = query.readUInt8(at)) {
    if (size > 63 || at + 1 + size > query.length) throw new RangeError("a label");
    labels.push(query.toString("latin1", at + 1, at + 1 + size));
    at += 1 + size;
  }
  const type = query.readUInt16BE(at + 1);
  at += 5;
  const question = query.subarray(12, at);
  let edns;
  for (let left = counts[0] + counts[1] + counts[2]; left > 0; left--) {
    if (query.readUInt8(at) !== 0) throw new RangeError("only OPT is expected");
    if (query.readUInt16BE(at + 1) === 41) {
      edns = { size: query.readUInt16BE(at + 3), version: query.readUInt8(at + 6) };
    }
    at += 11 + query.readUInt16BE(at + 9);
  }
  if (at !== query.length) throw new RangeError("the end");
  return { asked: `${labels.join(".")}.`, type, question, edns };
}

const bytes = ({ owner, type, ttl, data }) => [
  ...name(owner),
  ...u16(type),
  ...u16(1),
  ...u32(ttl),
  ...u16(data.length),
  ...data,
];

function respond(query, most) {
  if (query.length < 12 || query[2] & 0x80) return undefined;
  const opcode = query[2] >> 3 & 15;
  const head = (code, counts, bits = 0) => [
    ...query.subarray(0, 2),
    ...u16(0x8000 | opcode << 11 | bits | (query[2] & 1) << 8 | code & 15),
    ...counts.flatMap(u16),
  ];
  if (opcode !== 0) return Buffer.from(head(4, [0, 0, 0, 0]));
  let parsed;
  try {
    parsed = read(query);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return Buffer.from(head(1, [0, 0, 0, 0]));
  }
  const { asked, type, question, edns } = parsed;
  const opt = (code) => edns ? [0, ...u16(41), ...u16(1232), code >> 4, 0, 0, 0, 0, 0] : [];
  const extra = edns ? 1 : 0;
  if (edns?.version > 0) return Buffer.from([...head(16, [1, 0, 0, 1]), ...question, ...opt(16)]);
  const { code, answers, authority, aa } = look(asked, type);
  const glue = authority.filter((record) => record.type === 2)
    .flatMap(({ words }) => (zone.get(words[0].toLowerCase()) ?? []).filter((record) => [1, 28].includes(record.type)));
  const bits = aa ? 0x400 : 0;
  const counts = [1, answers.length, authority.length, glue.length + extra];
  const whole = [
    ...head(code, counts, bits),
    ...question,
    ...[...answers, ...authority, ...glue].flatMap(bytes),
    ...opt(0),
  ];
  if (whole.length <= Math.max(512, Math.min(1232, edns?.size ?? 512)) || most > 512) return Buffer.from(whole);
  return Buffer.from([...head(code, [1, 0, 0, extra], bits | 0x200), ...question, ...opt(0)]);
}

const port = Number(process.env.PORT);
setTimeout(() => {
  const socket = createSocket("udp4", (query, { address, port }) => {
    const response = respond(query, 512);
    if (response) socket.send(response, port, address);
  });
  socket.bind(port, "127.0.0.1", () => console.log("UDP is ready"));
}, 600);
setTimeout(() => {
  createServer((socket) => {
    let rest = Buffer.alloc(0);
    socket.on("error", (error) => console.log(error.code));
    socket.on("data", (piece) => {
      rest = Buffer.concat([rest, piece]);
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
        const end = 2 + rest.readUInt16BE(0);
        const response = respond(rest.subarray(2, end), 65535);
        rest = rest.subarray(end);
        if (response) socket.write(Buffer.from([...u16(response.length), ...response]));
      }
    });
  }).listen(port, "127.0.0.1", () => console.log("TCP is ready"));
}, 1000);
