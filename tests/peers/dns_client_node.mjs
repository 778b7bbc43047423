// A correct DNS client with Node's dgram and net modules. It prints a log, and the address in the middle of it. The arguments are
// host, port and name.
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { randomInt } from "node:crypto";

const [host, port, name] = process.argv.slice(2);
const labels = name.split(".").flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
const head = Buffer.alloc(12);
head.writeUInt16BE(randomInt(65536), 0);
head[2] = 1; // recursion desired
head[5] = 1;
const question = Buffer.concat([...labels, Buffer.from([0, 0, 1, 0, 1])]);
const query = Buffer.concat([head, question]);

const giveUp = (why) => {
  console.error(`no address: ${why}`);
  process.exit(1);
};

/** The addresses in a response to the query; undefined when it is none. */
function parse(bytes) {
  const same = bytes.length >= query.length && bytes.readUInt16BE(0) === query.readUInt16BE(0) && bytes[2] >= 128 &&
    bytes.subarray(12, query.length).toString("latin1").toLowerCase() === question.toString("latin1").toLowerCase();
  if (!same) return undefined;
  const addresses = [];
  let at = query.length;
  try {
    for (let left = bytes.readUInt16BE(6); left > 0; left--) {
      while (bytes.readUInt8(at) > 0 && bytes[at] < 192) at += 1 + bytes[at];
      at += bytes[at] === 0 ? 1 : 2;
      const [type, size] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 8)];
      if (type === 1) addresses.push(Array.from({ length: 4 }, (_, i) => bytes.readUInt8(at + 10 + i)).join("."));
      at += 10 + size;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return giveUp("the response is cut off");
  }
  return { code: bytes[3] & 15, truncated: (bytes[2] & 2) > 0, addresses };
}

function finish({ code, addresses }) {
  if (code !== 0) giveUp(`code ${code}`);
  for (const address of addresses) console.log(`${name} has address ${address}`);
  process.exit(0);
}

const socket = createSocket("udp4");
let tries = 0;
const send = () => {
  if (++tries > 4) giveUp("the server is silent");
  console.log(`query ${tries}`);
  socket.send(query);
};
socket.on("error", () => {}); // perhaps nobody listens yet
socket.on("message", (bytes) => {
  const response = parse(bytes);
  if (!response) return console.log(`${bytes.length} bytes that are no response`);
  if (!response.truncated) return finish(response);
  const stream = connect(
    Number(port),
    host,
    () => stream.write(Buffer.concat([Buffer.from([0, query.length]), query])),
  );
  let got = Buffer.alloc(0);
  stream.on("error", (error) => giveUp(error.message));
  stream.on("data", (piece) => {
    got = Buffer.concat([got, piece]);
    if (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) finish(parse(got.subarray(2)));
  });
});
socket.connect(Number(port), host, () => {
  send();
  setInterval(send, 600);
});
