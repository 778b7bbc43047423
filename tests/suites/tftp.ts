/**
 * Checks for a TFTP server: files over UDP, with everything that gets lost, doubled or forged on the way.
 *
 * @module
 */
import { join } from "node:path";
import { asNetascii } from "../../udp/_tftp_files.ts";
import type { Packet } from "../../udp/_tftp_message.ts";
import { type Random, word, words } from "./_random.ts";
import { byHand, step } from "./_record.ts";
import { type Check, contentOf, fail, inTime, limits, randomOf, sameBytes, type Server, type Suite } from "./_suite.ts";
import { described, joined, TftpPeer } from "./_tftp_peer.ts";

interface File {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What the folder of the server has, and what lies beside it. */
interface Shelf {
  readonly folder: string;
  readonly short: File;
  readonly long: File;
  /** Its last block is full. */
  readonly full: File;
  readonly empty: File;
  /** Lines that end in LF. */
  readonly text: File;
  readonly secret: { readonly path: string; readonly absolute: string };
}

const encode = (text: string) => new TextEncoder().encode(text);

async function makeShelf(random: Random, folder: string): Promise<Shelf> {
  const root = join(folder, "root");
  const beside = join(folder, "root2");
  for (const each of [root, beside]) await Deno.mkdir(each, { recursive: true });
  const file = async (ending: string, bytes: Uint8Array<ArrayBuffer>): Promise<File> => {
    const name = `${word(random)}.${ending}`;
    await Deno.writeFile(join(root, name), bytes);
    return { name, bytes };
  };
  const secret = `${word(random)}.txt`;
  await Deno.writeTextFile(join(beside, secret), `secret ${words(random, 5)}`);
  return {
    folder: root,
    short: await file("txt", encode(words(random, 8))),
    long: await file("bin", random.bytes(512 * random.integer(20, 30) + random.integer(1, 511))),
    full: await file("bin", random.bytes(512 * random.integer(2, 4))),
    empty: await file("txt", new Uint8Array()),
    text: await file("txt", encode(`${words(random, 5)}\n${words(random, 5)}\n${words(random, 5)}\n`)),
    secret: { path: `../root2/${secret}`, absolute: join(beside, secret) },
  };
}

const shelves = contentOf(async (random, folder) => {
  const content = await makeShelf(random, folder);
  return { content, values: { root: content.folder } };
});

const first = "a short file";
const reads = "a file of many blocks";
const again = "a lost acknowledgement";

/** Reads a file with a request of its own, and compares it. */
async function get(server: Server, { name, bytes }: File, hint: string, mode = "octet"): Promise<void> {
  using peer = new TftpPeer(server);
  byHand(`curl -s tftp://${server.hostname}:${server.port}/${name} | cmp - ${name}`);
  await peer.request("read", name, {}, mode);
  sameBytes(await peer.rest(1, bytes.length, hint), bytes, hint);
}

/** Waits until the server has a file of this name with these bytes. */
async function kept(folder: string, { name, bytes }: File): Promise<void> {
  const until = Date.now() + limits.patience;
  while (true) {
    const got = await Deno.readFile(join(folder, name)).catch(() => undefined);
    if (got && (got.length === bytes.length || Date.now() > until)) {
      return sameBytes(got, bytes, "append the data of each block, the bytes after its four of header, as they are");
    }
    if (Date.now() > until) {
      fail(`the file ${name} in {root}`, "none", "create the file when the request (opcode 2) arrives");
    }
    await inTime(new Promise(() => {}), 20);
  }
}

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

/** A file that the server does not have yet. */
const newFile = (server: Server, blocks: number): File => {
  const random = randomOf(server);
  return { name: `${word(random)}.bin`, bytes: random.bytes(512 * blocks + random.integer(1, 511)) };
};

/** Asks for a file, and fails unless the server refuses it. */
async function refuses(server: Server, kind: "read" | "write", name: string, hint: string): Promise<number> {
  using peer = new TftpPeer(server);
  await peer.request(kind, name);
  return await peer.error(`an error (opcode 5) for the file ${name}`, hint);
}

/** Asks for a file with an option; returns the options of the answer (OACK). */
async function agrees(peer: TftpPeer, file: string, asked: Record<string, string>): Promise<Map<string, string>> {
  await peer.request("read", file, asked);
  const hint =
    "answer a request with options that you know with OACK (opcode 6), the names and values of those that you accept";
  const { options } = await peer.packet("options", `the options (OACK, opcode 6)`, hint);
  for (const name of options.keys()) {
    if (!(name in asked)) fail("only options that were asked for", name, "RFC 2347: leave out what you do not know");
  }
  return options;
}

/** The number in an option of the answer. */
function optionOf(options: Map<string, string>, name: string, most: number): number {
  const value = Number(options.get(name));
  if (!(value >= 1 && value <= most)) {
    fail(`${name} from 1 to ${most} in the answer`, options.get(name) ?? "none", "accept the value, or a smaller one");
  }
  return value;
}

const isBlock = (number: number) => (packet: Packet) => packet.kind === "data" && packet.block === number;

const checks: Check<Server>[] = [
  {
    name: first,
    why: "RFC 1350 §2: a request to read is answered with block 1; it has fewer than 512 bytes, so it is the last one.",
    points: 3,
    run: (server) =>
      get(
        server,
        shelves.of(server).short,
        "send 00 03, the block's number 00 01, and the bytes of the file in {root}",
      ),
  },
  {
    name: reads,
    why:
      "RFC 1350 §2: a file is sent in blocks of 512 bytes, each when the one before is acknowledged. A file is any bytes.",
    points: 3,
    needs: [first],
    run: (server) => get(server, shelves.of(server).long, "after the acknowledgement of block n send block n + 1"),
  },
  {
    name: "a file that fills its last block",
    why:
      "RFC 1350 §6: a block with fewer than 512 bytes ends the file, so one of 1,024 bytes is followed by an empty block.",
    points: 2,
    needs: [reads],
    run: (server) =>
      get(
        server,
        shelves.of(server).full,
        "when the last block has 512 bytes, send one more with no bytes: 4 of header",
      ),
  },
  {
    name: "an empty file",
    why: "RFC 1350 §6: an empty file is one block without bytes.",
    points: 1,
    needs: [first],
    run: (server) => get(server, shelves.of(server).empty, "send block 1 without bytes"),
  },
  {
    name: "no such file",
    why: "RFC 1350 §5: a file that does not exist gets an error (opcode 5) with the code 1.",
    points: 2,
    needs: [first],
    async run(server) {
      const hint = "send 00 05, the code 00 01, a text and a zero byte; then serve the next client";
      const code = await refuses(server, "read", `${word(randomOf(server))}.txt`, hint);
      if (code !== 1) fail("the code 1 (file not found)", `${code}`, hint);
      await get(server, shelves.of(server).short, "serve the next client after an error");
    },
  },
  {
    name: again,
    why: "RFC 1350 §2: datagrams get lost. A block that is not acknowledged in time is sent again.",
    points: 3,
    needs: [reads],
    async run(server) {
      const { name, bytes } = shelves.of(server).long;
      using peer = new TftpPeer(server);
      await peer.request("read", name);
      const hint =
        "set a timeout of a second on the socket; when it is over, send the last block again, and wait again";
      const start = [await peer.block(1, hint)];
      await peer.ack(1);
      start.push(await peer.block(2, hint));
      step("the acknowledgement of block 2 is lost");
      for (let found = false; !found;) {
        const packet = await peer.next();
        if (!packet) fail("block 2 again", "nothing more", hint);
        found = isBlock(2)(packet);
      }
      await peer.ack(2);
      sameBytes(joined([...start, await peer.rest(3, bytes.length, hint)]), bytes, hint);
    },
  },
  {
    name: "a file is written",
    why:
      "RFC 1350 §4: a request to write is acknowledged as block 0; then the client sends blocks, and each is acknowledged.",
    points: 3,
    needs: [first],
    async run(server) {
      const { folder } = shelves.of(server);
      const file = newFile(server, 5);
      using peer = new TftpPeer(server);
      await peer.request("write", file.name);
      await peer.acknowledged(0, "answer a request to write (opcode 2) with 00 04 00 00");
      await peer.write(file.bytes);
      await kept(folder, file);
    },
  },
  {
    name: "a port of its own",
    why:
      "RFC 1350 §4: each transfer has a port of its own, its transfer id, so that the server's port is free for requests.",
    points: 1,
    level: "robust",
    needs: [first],
    async run(server) {
      const hint = "open a new socket for each transfer, bound to port 0, and send the blocks from it";
      const { short } = shelves.of(server);
      using peer = new TftpPeer(server);
      await peer.request("read", short.name);
      await peer.rest(1, short.bytes.length, hint);
      if (peer.port === server.port) fail("an answer from a new port", `one from port ${peer.port}`, hint);
    },
  },
  {
    name: "two clients at once",
    why: "While one client waits, or has gone, others are served.",
    points: 2,
    level: "robust",
    needs: [reads, "a port of its own"],
    async run(server) {
      const { long, short } = shelves.of(server);
      using slow = new TftpPeer(server, "the first client");
      await slow.request("read", long.name);
      const hint = "run each transfer in a thread or task of its own, and receive the next request at once";
      const start = await slow.block(1, hint);
      step("the first client waits; a second one reads another file");
      using second = new TftpPeer(server, "the second client");
      try {
        await second.request("read", short.name);
        sameBytes(await second.rest(1, short.bytes.length, hint), short.bytes, hint);
      } catch (error) {
        slow[Symbol.dispose]();
        await second.leave();
        throw error;
      }
      await slow.ack(1);
      sameBytes(joined([start, await slow.rest(2, long.bytes.length, hint)]), long.bytes, hint);
    },
  },
  {
    name: "an acknowledgement twice",
    why:
      "RFC 1123 §4.2.3.1, the sorcerer's apprentice: a server that sends a block for each acknowledgement doubles every block " +
      "from the first doubled acknowledgement on.",
    points: 2,
    level: "robust",
    needs: [again],
    async run(server) {
      const { name, bytes } = shelves.of(server).long;
      using peer = new TftpPeer(server);
      await peer.request("read", name);
      const hint =
        "act on an acknowledgement only when it has the number of the block that you wait for, and ignore others";
      const blocks = [];
      let doubled = 0;
      for (let number = 1; number <= 8; number++) {
        blocks.push(await peer.block(number, hint));
        // A sender that answers each acknowledgement has sent the next block twice when this one is acknowledged twice.
        doubled += number > 1 ? await peer.count(60, isBlock(number)) : 0;
        await peer.ack(number);
        await peer.ack(number);
      }
      if (doubled >= 5) fail("each block once", `${doubled} of 7 blocks a second time`, hint);
      sameBytes(joined([...blocks, await peer.rest(9, bytes.length, hint)]), bytes, hint);
    },
  },
  {
    name: "an old acknowledgement",
    why: "UDP may deliver late: the acknowledgement of an earlier block says nothing about the one that waits.",
    points: 1,
    level: "robust",
    needs: ["an acknowledgement twice"],
    async run(server) {
      const { name, bytes } = shelves.of(server).long;
      using peer = new TftpPeer(server);
      await peer.request("read", name);
      const hint = "compare the number of an acknowledgement with that of the block that you have sent last";
      const blocks = [];
      for (let number = 1; number <= 4; number++) {
        blocks.push(await peer.block(number, hint));
        if (number < 4) await peer.ack(number);
      }
      step("block 4 waits; an acknowledgement of block 1 arrives late");
      await peer.ack(1);
      if (await peer.count(150, isBlock(5)) > 0) fail("no block 5 before block 4 is acknowledged", "block 5", hint);
      await peer.ack(4);
      sameBytes(joined([...blocks, await peer.rest(5, bytes.length, hint)]), bytes, hint);
    },
  },
  {
    name: "a block twice",
    why:
      "RFC 1350 §2: the acknowledgement may be lost, and then the block comes again. It is acknowledged again, and written once.",
    points: 2,
    level: "robust",
    needs: ["a file is written"],
    async run(server) {
      const { folder } = shelves.of(server);
      const file = newFile(server, 4);
      using peer = new TftpPeer(server);
      await peer.request("write", file.name);
      await peer.acknowledged(0, "answer a request to write (opcode 2) with 00 04 00 00");
      const hint = "write a block only if its number is the next one; acknowledge the one before again";
      const block = (number: number) =>
        peer.send({ kind: "data", block: number, data: file.bytes.subarray((number - 1) * 512, number * 512) });
      await block(1);
      await peer.acknowledged(1, hint);
      step("the acknowledgement of block 1 is lost");
      await block(1);
      await peer.acknowledged(1, hint);
      await peer.write(file.bytes, 2);
      await kept(folder, file);
    },
  },
  {
    name: "a stranger",
    why: "RFC 1350 §4: a datagram from another port does not belong to the transfer, and must not disturb it.",
    points: 2,
    level: "robust",
    needs: [reads, "a port of its own"],
    async run(server) {
      const { name, bytes } = shelves.of(server).long;
      using peer = new TftpPeer(server);
      await peer.request("read", name);
      const hint = "compare address and port of each datagram with those of the client, and go on waiting";
      const start = await peer.block(1, hint);
      using stranger = new TftpPeer({ ...server, port: peer.port }, "a stranger");
      step("another port acknowledges block 1, and reports an error");
      await stranger.send({ kind: "ack", block: 1 });
      await stranger.send({ kind: "error", code: 0, text: "stop" });
      if (await peer.count(150, isBlock(2)) > 0) fail("no block 2 before block 1 is acknowledged", "block 2", hint);
      await peer.ack(1);
      sameBytes(joined([start, await peer.rest(2, bytes.length, hint)]), bytes, hint);
    },
  },
  {
    name: "an error ends the transfer",
    why: "RFC 1350 §7: the client may give up with an error; it is not acknowledged, and nothing more is sent.",
    points: 1,
    level: "robust",
    needs: [again],
    async run(server) {
      using peer = new TftpPeer(server);
      await peer.request("read", shelves.of(server).long.name);
      const hint = "end the transfer when a packet with opcode 5 arrives from the client";
      await peer.block(1, hint);
      await peer.send({ kind: "error", code: 3, text: "disk full" });
      await peer.count(100, () => true); // what was already on the way
      if (await peer.count(Math.min(limits.patience, 3000), () => true) > 0) {
        fail("nothing more", "the block again", hint);
      }
    },
  },
  {
    name: "no path leaves the folder",
    why:
      "A name with dots, or one that begins with /, must not reach a file outside of {root}, not even in root2 beside it.",
    points: 3,
    level: "robust",
    needs: [first, "no such file"],
    async run(server) {
      const { secret, folder } = shelves.of(server);
      const hint =
        "resolve the whole path first, then compare it with {root} and a separator behind it; else send an error";
      const names = [secret.path, secret.absolute, `./x/../${secret.path}`];
      for (const name of names) await refuses(server, "read", name, hint);
      const written = `../${word(randomOf(server))}.txt`;
      using peer = new TftpPeer(server);
      await peer.request("write", written);
      const answer = await peer.next();
      if (answer?.kind === "error") return;
      if (answer?.kind !== "ack") fail(`an error for writing ${written}`, answer ? described(answer) : "nothing", hint);
      // A server for which the folder is the root of everything (chroot) writes it there: that is no way out.
      await peer.write(randomOf(server).bytes(20));
      if (await exists(join(folder, written))) fail(`an error for writing ${written}`, "a file beside {root}", hint);
    },
  },
  {
    name: "modes in capitals",
    why: "RFC 1350 §5: the mode is octet in any mixture of upper and lower case.",
    points: 1,
    level: "robust",
    needs: [first],
    run: (server) => get(server, shelves.of(server).short, "compare the mode without case", "OcTeT"),
  },
  {
    name: "unknown options",
    why: "RFC 2347: options follow the mode in a request. One that a server does not know is ignored, and is no error.",
    points: 1,
    level: "robust",
    needs: [first],
    async run(server) {
      const { name, bytes } = shelves.of(server).short;
      using peer = new TftpPeer(server);
      await peer.request("read", name, { [word(randomOf(server))]: "7" });
      const hint = "answer as if the request had no options: with block 1";
      sameBytes(await peer.rest(1, bytes.length, hint), bytes, hint);
    },
  },
  {
    name: "what is no request",
    why: "Any datagram can arrive at an open port: none may end the server.",
    points: 2,
    level: "robust",
    needs: [first],
    async run(server) {
      await get(server, shelves.of(server).short, "serve one client after another"); // now it is listening
      using stranger = new TftpPeer(server, "a stranger");
      const rubbish = [[], [0], [0, 1], [0, 1, 0, 0], [0, 1, 97, 0], [0, 9, 1, 2], [255, 255, 255], [0, 1, 97, 98], [
        0,
        4,
        0,
        1,
      ]];
      for (const bytes of rubbish) await stranger.send(Uint8Array.from(bytes), true);
      await stranger.send(encode(`\0\x01${shelves.of(server).short.name}\0nonsense\0`), true);
      await stranger.send(new Uint8Array(9000).fill(255), true);
      await get(server, shelves.of(server).short, "catch the errors of one request, and receive the next");
    },
  },
  {
    name: "netascii",
    why: "RFC 1350 §1: in the mode netascii each line ends in CR LF on the way.",
    points: 1,
    level: "strict",
    needs: [reads],
    async run(server) {
      const { name, bytes } = shelves.of(server).text;
      const source = { size: bytes.length, read: () => Promise.resolve(bytes), close() {} };
      const wanted = await (await asNetascii(source)).read(0, 1 << 20);
      await get(
        server,
        { name, bytes: Uint8Array.from(wanted) },
        "replace each LF by CR LF before you divide it into blocks",
        "netascii",
      );
    },
  },
  {
    name: "a stranger is told",
    why: "RFC 1350 §4: a datagram from another port gets the error 5 (unknown transfer id), sent to that port.",
    points: 1,
    level: "strict",
    needs: ["a stranger"],
    async run(server) {
      using peer = new TftpPeer(server);
      await peer.request("read", shelves.of(server).long.name);
      const hint = "send an error with the code 5 to the stranger's port, and go on with the transfer";
      await peer.block(1, hint);
      using stranger = new TftpPeer({ ...server, port: peer.port }, "a stranger");
      await stranger.send({ kind: "ack", block: 1 });
      const code = await stranger.error("the error 5 to the stranger", hint);
      if (code !== 5) fail("the code 5", `${code}`, hint);
    },
  },
  {
    name: "the last block twice",
    why:
      "RFC 1350 §6: the acknowledgement of the last block may be lost, too. So the server stays for a while, and repeats it.",
    points: 1,
    level: "strict",
    needs: ["a block twice"],
    async run(server) {
      const { folder } = shelves.of(server);
      const file = newFile(server, 1);
      using peer = new TftpPeer(server);
      await peer.request("write", file.name);
      await peer.acknowledged(0, "answer a request to write (opcode 2) with 00 04 00 00");
      await peer.write(file.bytes);
      await peer.send({ kind: "data", block: 2, data: file.bytes.subarray(512) });
      await peer.acknowledged(
        2,
        "after the last block keep the socket open for a second or two, and acknowledge that block again",
      );
      await kept(folder, file);
    },
  },
  {
    name: "blksize",
    why:
      "RFC 2348: the client may ask for other blocks. The server answers with OACK, waits for the acknowledgement of block 0, and sends.",
    points: 2,
    level: "strict",
    needs: [reads, "unknown options"],
    async run(server) {
      const { name, bytes } = shelves.of(server).long;
      const asked = randomOf(server).integer(600, 1400);
      using peer = new TftpPeer(server);
      const size = optionOf(await agrees(peer, name, { blksize: `${asked}` }), "blksize", asked);
      const hint =
        "the client acknowledges the options as block 0: send block 1 then, with the size that was agreed on";
      if (await peer.count(60, isBlock(1)) > 0) fail("no block before the options are acknowledged", "block 1", hint);
      await peer.ack(0);
      sameBytes(await peer.rest(1, bytes.length, hint, size), bytes, hint);
    },
  },
  {
    name: "tsize",
    why: "RFC 2349: a client asks for the size of the file with tsize 0; the answer has it.",
    points: 1,
    level: "strict",
    needs: [reads, "unknown options"],
    async run(server) {
      const { name, bytes } = shelves.of(server).long;
      using peer = new TftpPeer(server);
      const size = (await agrees(peer, name, { tsize: "0" })).get("tsize");
      if (size !== `${bytes.length}`) {
        fail(`tsize ${bytes.length}`, `${size}`, "answer with the size of the file in bytes");
      }
      await peer.ack(0);
      sameBytes(
        await peer.rest(1, bytes.length, "send the file after the options"),
        bytes,
        "send the file after the options",
      );
    },
  },
  {
    name: "windowsize",
    why:
      "RFC 7440: with a window of n blocks, n are sent before an acknowledgement. After a loss the server goes back to what is missing.",
    points: 2,
    level: "strict",
    needs: ["blksize"],
    async run(server) {
      const { name, bytes } = shelves.of(server).long;
      using peer = new TftpPeer(server);
      const window = optionOf(await agrees(peer, name, { windowsize: "4" }), "windowsize", 4);
      await peer.ack(0);
      const hint = "after an acknowledgement of block n send the blocks from n + 1 on, as many as the window has";
      const blocks = [];
      for (let number = 1; number <= window; number++) blocks.push(await peer.block(number, hint));
      step(`all but block 1 of the window count as lost`);
      await peer.ack(1);
      blocks.length = 1;
      for (let got = 512; got <= bytes.length + 512;) {
        const data = await peer.block(blocks.length + 1, hint);
        blocks.push(data);
        got += data.length;
        if (data.length < 512) break;
        if ((blocks.length - 1) % window === 0) await peer.ack(blocks.length);
      }
      await peer.ack(blocks.length);
      sameBytes(joined(blocks), bytes, hint);
    },
  },
];

const suite: Suite = {
  role: "server",
  about: "a TFTP server, which serves and takes files",
  over: "udp",
  leastPatience: 3000,
  given:
    "{host} and {port} in its command, or HOST and PORT in its environment: where it listens. {root} (ROOT): its folder.",
  prints: "what you like",
  exits: "it runs until the checker stops it",
  limits:
    "files have up to 16,000 bytes; it sends again what is not acknowledged, at most --timeout later (a second is usual); " +
    "what is written has a new name, and appears in {root} when its last block is acknowledged",
  sheet: "udp/README.md#files-over-datagrams-tftp",
  prepare: shelves.prepare,
  checks,
};

export default suite;
