// A TFTP server on node:dgram, driven by events. PORT and ROOT are in the environment.
import dgram from "node:dgram";
import fs from "node:fs";
import path from "node:path";

const root = fs.realpathSync(process.env.ROOT);

const packet = (opcode, number, data = Buffer.alloc(0)) => {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(opcode);
  head.writeUInt16BE(number & 0xffff, 2);
  return Buffer.concat([head, data]);
};

function transfer(request, client) {
  const socket = dgram.createSocket("udp4");
  let step; // what an incoming packet does
  let last = []; // what is sent again
  let timer;
  let tries = 0;
  const end = () => {
    clearTimeout(timer);
    socket.close();
  };
  const send = (packets) => {
    last = packets;
    for (const each of packets) socket.send(each, client.port, client.address);
    clearTimeout(timer);
    timer = setTimeout(() => tries++ < 6 ? send(last) : end(), 1000);
  };
  const refuse = (code, text) => {
    socket.send(packet(5, code, Buffer.from(text + "\0")), client.port, client.address, end);
    step = () => {};
  };
  socket.on("message", (data, from) => {
    if (from.port !== client.port || from.address !== client.address) {
      return socket.send(packet(5, 5, Buffer.from("unknown transfer id\0")), from.port, from.address);
    }
    if (data.length < 4) return;
    if (data.readUInt16BE() === 5) return end();
    tries = 0;
    step?.(data.readUInt16BE(), data.readUInt16BE(2), data);
  });

  const opcode = request.length < 2 ? 0 : request.readUInt16BE();
  const [name = "", mode = "", ...words] = request.subarray(2).toString().split("\0");
  if ((opcode !== 1 && opcode !== 2) || !/^(octet|netascii)$/i.test(mode)) return refuse(4, "not understood");
  const file = path.resolve(root, name);
  if (!file.startsWith(root + path.sep)) return refuse(2, "not allowed");

  if (opcode === 2) {
    const parts = [];
    step = (kind, number, data) => {
      if (kind !== 3) return;
      if (number === (parts.length & 0xffff)) return send(last);
      if (number !== ((parts.length + 1) & 0xffff)) return;
      parts.push(data.subarray(4));
      if (data.length < 516) fs.writeFileSync(file, Buffer.concat(parts));
      send([packet(4, parts.length)]);
      if (data.length < 516) tries = 3; // stays for a while, and then goes
    };
    return send([packet(4, 0)]);
  }

  let content;
  try {
    content = fs.readFileSync(file);
  } catch {
    return refuse(1, "file not found");
  }
  if (/^netascii$/i.test(mode)) content = Buffer.from(content.toString("latin1").replaceAll("\n", "\r\n"), "latin1");
  const [terms, options] = [{ blksize: 512, windowsize: 1 }, []];
  for (let i = 0; i + 1 < words.length; i += 2) {
    const option = words[i].toLowerCase();
    if (option === "tsize") options.push(option, content.length);
    if (option in terms) {
      terms[option] = Math.min(Number(words[i + 1]), option === "blksize" ? 1468 : 16);
      options.push(option, terms[option]);
    }
  }
  const blocks = Math.floor(content.length / terms.blksize) + 1;
  let done = options.length > 0 ? -1 : 0;
  const sendWindow = () => {
    const until = Math.min(done + terms.windowsize, blocks);
    const packets = [];
    for (let n = done + 1; n <= until; n++) {
      packets.push(packet(3, n, content.subarray((n - 1) * terms.blksize, n * terms.blksize)));
    }
    send(packets);
  };
  step = (kind, number) => {
    if (kind !== 4) return;
    if (done < 0) {
      if (number !== 0) return;
      done = 0;
      return sendWindow();
    }
    const acked = done + ((number - done) & 0xffff);
    if (acked <= done || acked > Math.min(done + terms.windowsize, blocks)) return;
    done = acked;
    if (done === blocks) end();
    else sendWindow();
  };
  if (done < 0) send([Buffer.from(`\0\x06${options.join("\0")}\0`)]);
  else sendWindow();
}

const door = dgram.createSocket("udp4");
door.on("message", transfer);
door.bind(Number(process.env.PORT), () => console.log("ready"));
