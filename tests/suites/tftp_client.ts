/**
 * Checks for a TFTP client that gets a file: here the suite plays the server, and the network between.
 *
 * @module
 */
import { join } from "node:path";
import { printable } from "../../cli.ts";
import { isClosedLocally } from "../../tcp/_clients.ts";
import { decode, type Packet, PacketError } from "../../udp/_tftp_message.ts";
import type { Program } from "../support/program.ts";
import { clientEnd, complained, succeeded } from "./_clients.ts";
import { type Random, word, words } from "./_random.ts";
import { received, step } from "./_record.ts";
import {
  type Check,
  type Client,
  contentOf,
  fail,
  inSeconds,
  inTime,
  limits,
  quote,
  randomOf,
  sameBytes,
  type Suite,
} from "./_suite.ts";
import { TftpPeer } from "./_tftp_peer.ts";

/** Where the client writes: a new name in this folder for each start. */
interface Desk {
  readonly folder: string;
  readonly random: Random;
}

const desks = contentOf((random, folder) => {
  const content: Desk = { folder, random };
  return { content, values: { name: `${word(random)}.bin`, file: join(folder, word(random)) } };
});

type Request = Extract<Packet, { kind: "read" | "write" }>;

interface Played {
  readonly program: Program;
  readonly requests: readonly Request[];
  /** What the client has written; undefined if there is no such file. */
  readonly saved: Uint8Array | undefined;
  /** How many acknowledgements arrived at the port of the request. */
  readonly misdirected: number;
}

const giveUp =
  "count the tries without an answer, and give up after a few: one line of error, and an exit code that is not 0";
const requestHint = "send 00 01, the name of {name}, a zero byte, octet, a zero byte, to {host} and {port}";

/** Plays the server for one run of the client. It answers the request after the first `lost` ones. */
async function play(
  client: Client,
  serve: (peer: TftpPeer) => Promise<void>,
  lost = 0,
  endHint = "end after the acknowledgement of the last block",
  times = 4,
): Promise<Played> {
  const { folder, random } = desks.of(client);
  const [name, file] = [`${word(random)}.bin`, join(folder, word(random))];
  const door = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: client.port ?? 0 });
  const requests: Request[] = [];
  const started = Promise.withResolvers<TftpPeer>();
  let peer: TftpPeer | undefined;
  let misdirected = 0;
  const listening = (async () => {
    for await (const [datagram, from] of door) {
      received(datagram, "the port of the request");
      const packet = parse(datagram);
      if (packet?.kind === "read" && from.transport === "udp") {
        requests.push(packet);
        if (requests.length <= lost) step("this request is lost");
        else if (!peer) {
          peer = TftpPeer.serving(from.port);
          step(`the server answers from port ${peer.ownPort}`);
          started.resolve(peer);
        }
      } else if (packet) {
        misdirected++;
        peer?.take(packet);
      } else started.reject(malformed(datagram));
    }
  })().catch((error) => {
    if (!isClosedLocally(error)) throw error;
  });
  started.promise.catch(() => {}); // it is awaited below
  const program = client.start("port" in door.addr ? door.addr.port : 0, { name, file });
  try {
    const wait = lost < Infinity ? Math.max(limits.start, limits.patience * 4) : 0;
    const ended = program.ended.then(() => inTime(started.promise, 100));
    const found = wait > 0 ? await inTime(Promise.race([started.promise, ended]), wait) : undefined;
    if (wait > 0 && !found) {
      const got = program.status
        ? `none before the program ended with ${program.status.code}`
        : `none in ${inSeconds(wait)}`;
      if (requests.length === 0) fail("a request to read (opcode 1)", got, requestHint);
      fail(
        "the request again",
        got,
        "wait a second or two for an answer, and send the request again; give up after a few",
      );
    }
    if (found) await serve(found);
    await clientEnd(program, endHint, times, lost > 0 ? limits.start : 0);
  } finally {
    await program.stop();
    peer?.[Symbol.dispose]();
    door.close();
    await listening;
  }
  const wrong = requests.find((request) => request.file !== name);
  if (wrong) fail(`the name ${name} in the request`, printable(wrong.file), requestHint);
  const saved = await Deno.readFile(file).catch(() => undefined);
  return { program, requests, saved, misdirected };
}

function parse(datagram: Uint8Array): Packet | undefined {
  try {
    const packet = decode(datagram.slice());
    // A request ends in a zero byte, and has one behind its name.
    if (packet.kind === "read" && datagram.at(-1) !== 0) return undefined;
    return packet;
  } catch (error) {
    if (error instanceof PacketError) return undefined;
    throw error;
  }
}

function malformed(datagram: Uint8Array): Error {
  try {
    return fail("a request to read (opcode 1)", quote(datagram), requestHint);
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

/** Fails unless the client has saved exactly this, and says so by its exit code. */
function got({ program, saved }: Played, bytes: Uint8Array, hint: string): void {
  if (!saved) {
    fail(
      "the file {file}",
      `none: "${printable(program.tail(2))}"`,
      "write the data of the blocks to the path of {file}",
    );
  }
  sameBytes(saved, bytes, hint);
  succeeded(program);
}

/** The blocks of a file, the last one with fewer than 512 bytes. */
const blocksOf = (bytes: Uint8Array) =>
  Array.from({ length: Math.floor(bytes.length / 512) + 1 }, (_, i) => bytes.subarray(i * 512, i * 512 + 512));

const ackHint =
  "acknowledge each block: 00 04, and its number with the higher byte first, to the port that the block came from";

const sendBlock = (peer: TftpPeer, block: number, data: Uint8Array) => peer.send({ kind: "data", block, data });

/** Sends a file from this block on, and waits for each acknowledgement. */
async function sendRest(peer: TftpPeer, bytes: Uint8Array, from = 1): Promise<void> {
  for (const [i, data] of blocksOf(bytes).entries()) {
    if (i + 1 < from) continue;
    await sendBlock(peer, i + 1, data);
    await peer.acknowledged(i + 1, ackHint);
  }
}

const short = "a short file";
const many = "a file of many blocks";
const shortText = (client: Client) => new TextEncoder().encode(words(randomOf(client), 6));
const fiveBlocks = (client: Client) => randomOf(client).bytes(512 * 4 + randomOf(client).integer(1, 511));
const appends = "append the bytes after the four of header, each block once and in order, in binary";

/** Sends one file whole, and compares what was saved. */
const whole = async (client: Client, bytes: Uint8Array, hint: string) =>
  got(await play(client, (peer) => sendRest(peer, bytes)), bytes, hint);

const checks: Check<Client>[] = [
  {
    name: short,
    why: "RFC 1350 §2: the client asks for a file; block 1 has fewer than 512 bytes, so it is the last one.",
    points: 3,
    run: (client) => whole(client, shortText(client), appends),
  },
  {
    name: "the mode",
    why: "RFC 1350 §1: octet transfers bytes as they are; netascii changes the line ends.",
    points: 1,
    needs: [short],
    async run(client) {
      const { requests } = await play(client, (peer) => sendRest(peer, shortText(client)));
      const mode = requests[0]?.mode ?? "";
      if (mode !== "octet") fail("the mode octet in the request", printable(mode), "ask for the mode octet");
    },
  },
  {
    name: "the transfer id",
    why:
      "RFC 1350 §4: the server answers from a new port, the id of this transfer. What belongs to the transfer goes there.",
    points: 2,
    needs: [short],
    async run(client) {
      const { misdirected } = await play(client, (peer) => sendRest(peer, fiveBlocks(client)));
      if (misdirected > 0) {
        const hint = "send acknowledgements to the address that recvfrom returned with the first block";
        fail("every acknowledgement at the port of the blocks", `${misdirected} at the port of the request`, hint);
      }
    },
  },
  {
    name: many,
    why:
      "RFC 1350 §2: a file comes in blocks of 512 bytes, each after the acknowledgement of the one before. It is any bytes.",
    points: 3,
    needs: [short],
    run: (client) => whole(client, randomOf(client).bytes(512 * 20 + randomOf(client).integer(1, 511)), appends),
  },
  {
    name: "a file that fills its last block",
    why: "RFC 1350 §6: a file of 1,024 bytes ends with an empty block.",
    points: 2,
    needs: [many],
    run: (client) =>
      whole(
        client,
        randomOf(client).bytes(1024),
        "a block with fewer than 512 bytes ends the file, also one with none: acknowledge it",
      ),
  },
  {
    name: "an empty file",
    why: "RFC 1350 §6: an empty file is one block without bytes, and becomes a file without bytes.",
    points: 1,
    needs: ["a file that fills its last block"],
    run: (client) => whole(client, new Uint8Array(), "create the file also when its only block is empty"),
  },
  {
    name: "no such file",
    why: "RFC 1350 §5: instead of a block an error may come. The client says what it was; its text is not the file.",
    points: 2,
    needs: [short],
    async run(client) {
      const text = words(randomOf(client), 2);
      const { program, saved } = await play(client, (peer) => peer.send({ kind: "error", code: 1, text }));
      complained(program, "the error that the server has sent");
      if (!(program.stdout + program.stderr).includes(text)) {
        fail(
          `"${text}" in the output`,
          `"${printable(program.tail(2))}"`,
          "print the text of the error: it ends with a zero byte",
        );
      }
      // An empty file does no harm: many clients open it before they ask.
      if (saved?.length) {
        fail("nothing in the file", quote(saved), "look at the opcode before you write: 5 is an error, not a block");
      }
    },
  },
  {
    name: "a lost request",
    why: "RFC 1350 §2: datagrams get lost. If no answer comes, the client asks again.",
    points: 2,
    level: "robust",
    needs: [short],
    async run(client) {
      const bytes = shortText(client);
      got(await play(client, (peer) => sendRest(peer, bytes), 1), bytes, appends);
    },
  },
  {
    name: "a silent server",
    why: "UDP does not say whether a server is there. After a few requests the client gives up, and says so.",
    points: 2,
    level: "robust",
    needs: ["a lost request", "no such file"],
    async run(client) {
      const { program, requests } = await play(client, () => Promise.resolve(), Infinity, giveUp);
      complained(program, "a server that does not answer");
      if (requests.length > 20) {
        fail("a few requests", `${requests.length}`, "wait a second or more before each new try");
      }
    },
  },
  {
    name: "a block twice",
    why:
      "RFC 1350 §2: an acknowledgement may be lost; then the block comes again. It is acknowledged again, and written once.",
    points: 2,
    level: "robust",
    needs: [many],
    async run(client) {
      const bytes = fiveBlocks(client);
      const hint = "acknowledge a block that you have already got again, and do not write it";
      const played = await play(client, async (peer) => {
        for (const [i, data] of blocksOf(bytes).entries()) {
          await sendBlock(peer, i + 1, data);
          await peer.acknowledged(i + 1, ackHint);
          if (i % 2 === 1) continue;
          step(`the acknowledgement of block ${i + 1} is lost`);
          if (i + 1 === blocksOf(bytes).length) break; // the client may have gone
          await sendBlock(peer, i + 1, data);
          await peer.acknowledged(i + 1, hint);
        }
      });
      got(played, bytes, hint);
    },
  },
  {
    name: "an old block",
    why: "UDP may deliver late: a block that comes after its successor must not be written.",
    points: 1,
    level: "robust",
    needs: ["a block twice"],
    async run(client) {
      const bytes = fiveBlocks(client);
      const blocks = blocksOf(bytes);
      const played = await play(client, async (peer) => {
        for (const number of [1, 2]) {
          await sendBlock(peer, number, blocks[number - 1] ?? bytes);
          await peer.acknowledged(number, ackHint);
        }
        step("block 1 arrives once more, late");
        await sendBlock(peer, 1, blocks[0] ?? bytes);
        await sendRest(peer, bytes, 3);
      });
      got(played, bytes, "write a block only if its number is the next one");
    },
  },
  {
    name: "a stranger",
    why: "RFC 1350 §4: a block from another port does not belong to the transfer, and must not get into the file.",
    points: 2,
    level: "robust",
    needs: [many],
    async run(client) {
      const bytes = fiveBlocks(client);
      const played = await play(client, async (peer) => {
        await sendBlock(peer, 1, bytes.subarray(0, 512));
        await peer.acknowledged(1, ackHint);
        using stranger = TftpPeer.serving(peer.port);
        step("another port sends a block 2 of its own, and an error");
        await sendBlock(stranger, 2, new Uint8Array(512).fill(88));
        await stranger.send({ kind: "error", code: 0, text: "stop" });
        await sendRest(peer, bytes, 2);
      });
      got(
        played,
        bytes,
        "the first block fixes the server's port: compare the sender of each datagram with it, and go on waiting",
      );
    },
  },
  {
    name: "an error in the middle",
    why: "RFC 1350 §7: the server may give up at any time. What has arrived is not the file.",
    points: 1,
    level: "robust",
    needs: [many, "no such file"],
    async run(client) {
      const bytes = fiveBlocks(client);
      const { program } = await play(client, async (peer) => {
        await sendBlock(peer, 1, bytes.subarray(0, 512));
        await peer.acknowledged(1, ackHint);
        await peer.send({ kind: "error", code: 0, text: "disk failure" });
      });
      complained(program, "the error that the server has sent");
    },
  },
  {
    name: "silence in the middle",
    why: "The server may vanish during a transfer: the client gives up after a few tries, and says so.",
    points: 1,
    level: "robust",
    needs: [many, "a silent server"],
    async run(client) {
      const bytes = fiveBlocks(client);
      const { program } = await play(
        client,
        async (peer) => {
          await sendBlock(peer, 1, bytes.subarray(0, 512));
          await peer.acknowledged(1, ackHint);
          step("the server sends nothing more");
        },
        0,
        giveUp,
      );
      complained(program, "a server that sends nothing more");
    },
  },
  {
    name: "a stranger is told",
    why: "RFC 1350 §4: a datagram from another port gets the error 5 (unknown transfer id), sent to that port.",
    points: 1,
    level: "strict",
    needs: ["a stranger"],
    async run(client) {
      const bytes = fiveBlocks(client);
      await play(client, async (peer) => {
        await sendBlock(peer, 1, bytes.subarray(0, 512));
        await peer.acknowledged(1, ackHint);
        using stranger = TftpPeer.serving(peer.port);
        await sendBlock(stranger, 2, new Uint8Array(512).fill(88));
        const code = await stranger.error(
          "the error 5 to the stranger",
          "send an error with the code 5 to the stranger's port",
        );
        if (code !== 5) fail("the code 5", `${code}`, "unknown transfer id is the error 5");
        await sendRest(peer, bytes, 2);
      });
    },
  },
  {
    name: "no half file",
    why:
      "A file that has its name is whole: after an error in the middle there is none, or it was written under another name.",
    points: 1,
    level: "strict",
    needs: ["an error in the middle"],
    async run(client) {
      const bytes = fiveBlocks(client);
      const { saved } = await play(client, async (peer) => {
        await sendBlock(peer, 1, bytes.subarray(0, 512));
        await peer.acknowledged(1, ackHint);
        await peer.send({ kind: "error", code: 0, text: "disk failure" });
      });
      if (saved?.length) {
        fail(
          "no half file",
          quote(saved),
          "write to another name, and rename it at the end; or remove it after an error",
        );
      }
    },
  },
];

const suite: Suite = {
  role: "client",
  about: "a TFTP client that gets a file",
  over: "udp",
  leastPatience: 3000,
  given:
    "{host} and {port} (HOST, PORT): the server. {name} (NAME): the file to ask for. {file} (FILE): the path to write it to.",
  prints: "what you like; for an error of the server its text",
  exits: "0 when the whole file was written; another code and one line about it otherwise",
  limits:
    "no options are needed; it sends again when no answer comes, at most four times --timeout later (a second is usual); it " +
    "gives up and ends at most four times --timeout after the last answer",
  sheet: "udp/README.md#files-over-datagrams-tftp",
  prepare: desks.prepare,
  checks,
};

export default suite;
