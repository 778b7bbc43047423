/**
 * Checks for the sender of a reliable transfer over UDP: here the suite is the receiver, and the network that loses and spoils.
 *
 * @module
 */
import { join } from "node:path";
import { isClosedLocally } from "../../tcp/_clients.ts";
import type { Program } from "../support/program.ts";
import { clientEnd, complained, succeeded } from "./_clients.ts";
import { type Random, word, words } from "./_random.ts";
import { decode, described, encode, type Packet, spoiled } from "./_rdt_peer.ts";
import { received, sent, step } from "./_record.ts";
import {
  type Check,
  type Client,
  contentOf,
  fail,
  inSeconds,
  inTime,
  randomOf,
  sameBytes,
  type Suite,
} from "./_suite.ts";

/** Where the file to send is: a new one in this folder for each start. */
interface Desk {
  readonly folder: string;
}

const desks = contentOf((random, folder) => {
  const content: Desk = { folder };
  return { content, values: { file: join(folder, word(random)) } };
});

/** The checker's end: the receiver, and what the network can do to its acknowledgements. */
class Receiver {
  next = 0;
  isEnded = false;
  readonly parts: Uint8Array[] = [];
  readonly #socket: Deno.DatagramConn;
  readonly #to: Deno.Addr;

  constructor(socket: Deno.DatagramConn, to: Deno.Addr) {
    this.#socket = socket;
    this.#to = to;
  }

  /** Takes a packet: the next one counts, every other one is thrown away. */
  take({ kind, number, data }: Packet): void {
    if (number !== this.next || this.isEnded) return;
    if (kind === "end") this.isEnded = true;
    else this.parts.push(data);
    this.next++;
  }

  async send(bytes: Uint8Array<ArrayBuffer>, socket = this.#socket): Promise<void> {
    sent(bytes);
    await socket.send(bytes, this.#to);
  }

  async acknowledge(number = this.next): Promise<void> {
    await this.send(encode("acknowledgement", number));
  }

  async stranger(number: number): Promise<void> {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    step(`another port acknowledges ${number}`);
    await this.send(encode("acknowledgement", number), socket).finally(() => socket.close());
  }
}

/** What the network and the receiver do with a packet that comes; `time` counts how often it has come. */
type Network = (receiver: Receiver, packet: Packet, time: number) => Promise<void>;

const good: Network = async (receiver, packet) => {
  receiver.take(packet);
  await receiver.acknowledge();
};

interface Played {
  readonly program: Program;
  readonly receiver: Receiver | undefined;
  /** How often the packet came that came most often. */
  readonly most: number;
}

/** Thirty tries of 0.2 s, and some time to start. */
const leastEnd = 10_000;

/** Lets the program send these bytes over the network. */
async function play(client: Client, bytes: Uint8Array, network: Network = good, least = leastEnd): Promise<Played> {
  const file = join(desks.of(client).folder, word(randomOf(client), 12));
  await Deno.writeFile(file, bytes);
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: client.port ?? 0 });
  const copies = new Map<number, number>();
  const tries = new Map<number, { time: number; at: number }>();
  const before = new Map<number, Packet>();
  let receiver: Receiver | undefined;
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => {}); // it is awaited below
  const listening = (async () => {
    for await (const [datagram, from] of socket) {
      received(datagram);
      receiver ??= new Receiver(socket, from);
      const packet = decode(datagram);
      expectPacket(packet, before.get(packet.number));
      before.set(packet.number, packet);
      copies.set(packet.number, (copies.get(packet.number) ?? 0) + 1);
      // On a busy machine the checker may be late, and find copies that were sent before it could answer: they share the fate.
      const last = tries.get(packet.number);
      const isNew = !last || performance.now() - last.at > 100;
      const time = (last?.time ?? 0) + (isNew ? 1 : 0);
      if (isNew) tries.set(packet.number, { time, at: performance.now() });
      await network(receiver, packet, time);
    }
  })().catch((error) => {
    if (!isClosedLocally(error)) broken.reject(error);
  });
  const program = client.start("port" in socket.addr ? socket.addr.port : 0, { file });
  try {
    const end = clientEnd(
      program,
      "end with 0 when the end is acknowledged; give up after 10 to 30 tries without progress",
      4,
      least,
    );
    await Promise.race([end, broken.promise]);
    // What the program sent last may still be on its way to the loop above.
    if (!receiver) await inTime(new Promise(() => {}), 50);
  } finally {
    await program.stop();
    socket.close();
    await listening;
  }
  return { program, receiver, most: Math.max(0, ...copies.values()) };
}

/** Fails if a sender must not send this packet, now that it has sent another one with its number. */
function expectPacket(packet: Packet, before: Packet | undefined): void {
  if (packet.kind === "acknowledgement") {
    fail("data or the end", described(packet), "the kind of data is 0, of the end 1");
  }
  if (!before) return;
  if (before.kind !== packet.kind) {
    fail(described(before), described(packet), "each packet has a number of its own, the end too: the next one");
  }
  sameBytes(
    packet.data,
    before.data,
    `a number (4 bytes) belongs to one packet: send data ${packet.number} again with the same bytes`,
  );
}

const begin = "send the first packet, number 0, to {host} and {port}";

/** Sends, and fails unless exactly these bytes have arrived. */
async function arrives(
  client: Client,
  bytes: Uint8Array,
  hint: string,
  network: Network = good,
  least = leastEnd,
): Promise<Played> {
  const played = await play(client, bytes, network, least);
  const { program, receiver } = played;
  if (!receiver) fail("data 0, or the end", `none: "${program.tail(1)}"`, begin);
  if (!receiver.isEnded) {
    const now =
      `${receiver.parts.length} packets of data, and no number ${receiver.next} before your program ended with`;
    fail("all packets and the end", `${now} ${program.status?.code}`, hint);
  }
  sameBytes(joined(receiver.parts), bytes, "each packet takes the next bytes of the file, read in binary");
  succeeded(program);
  return played;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const short = "a short file";
const many = "a file of many packets";
const lost = "a lost packet";
/** With an odd number of bytes: the checksum must pad them. */
const shortText = (client: Client) => new TextEncoder().encode(words(randomOf(client), 6).replace(/^((..)*)$/, "$1."));
const sixPackets = (client: Client) => randomOf(client).bytes(512 * 5 + randomOf(client).integer(1, 511));

/** What a bad network does with ten packets in a row, in another order each time. */
const troubles = ["lost", "lost", "spoiled", "unheard", "misheard", "twice", "late", "", "", ""] as const;

function badNetwork(random: Random): Network {
  let bag: (typeof troubles)[number][] = [];
  return async (receiver, packet) => {
    if (bag.length === 0) bag = [...troubles];
    const [trouble] = bag.splice(random.integer(0, bag.length - 1), 1);
    if (trouble) step(`${described(packet)}: ${trouble}`);
    if (trouble === "lost" || trouble === "spoiled") return;
    const old = Math.max(0, receiver.next - 1);
    receiver.take(packet);
    if (trouble === "unheard") return;
    if (trouble === "misheard") return await receiver.send(spoiled(encode("acknowledgement", receiver.next), 3, 4));
    if (trouble === "late") await receiver.acknowledge(old);
    await receiver.acknowledge();
    if (trouble === "twice") await receiver.acknowledge();
  };
}

const again =
  "start a timer of 0.2 s with a packet; when it ends before the acknowledgement comes, send again what is not acknowledged";

const checks: Check<Client>[] = [
  {
    name: short,
    why: "Data 0 takes all of a short file, the end has the next number; each is acknowledged, then the sender ends.",
    points: 3,
    run: async (client) => void await arrives(client, shortText(client), again),
  },
  {
    name: many,
    why:
      "A file is cut into packets of at most 512 bytes, numbered from 0. It is any bytes, and 300 packets are more than a byte counts.",
    points: 3,
    needs: [short],
    run: async (client) =>
      void await arrives(client, randomOf(client).bytes(512 * 300 + randomOf(client).integer(1, 511)), again),
  },
  {
    name: "an empty file",
    why: "An empty file is the end alone, with the number 0.",
    points: 1,
    needs: [short],
    run: async (client) => void await arrives(client, new Uint8Array(), again),
  },
  {
    name: lost,
    why: "UDP loses datagrams: a packet whose acknowledgement does not come in time is sent again, with its number.",
    points: 3,
    needs: [many],
    run: async (client) =>
      void await arrives(client, sixPackets(client), again, async (receiver, packet, time) => {
        if (time === 1 && (packet.number === 0 || packet.number === 3)) return step(`${described(packet)} is lost`);
        await good(receiver, packet, time);
      }),
  },
  {
    name: "the end is lost",
    why: "The last packet may be lost like any other: the sender stays until the end is acknowledged.",
    points: 2,
    needs: [lost],
    run: async (client) =>
      void await arrives(
        client,
        shortText(client),
        "keep the timer also for the end, until it is acknowledged",
        async (receiver, packet, time) => {
          if (packet.kind === "end" && time === 1) return step("the end is lost");
          await good(receiver, packet, time);
        },
      ),
  },
  {
    name: "a lost acknowledgement",
    why: "Acknowledgements are lost, too: one for a later number says that all before it have arrived.",
    points: 2,
    level: "robust",
    needs: [lost],
    run: async (client) => {
      const hint = "an acknowledgement of n covers every packet before n: go on with packet n";
      // Two packets at a time for one that has a window; one that has none sends the first of them again.
      await arrives(client, sixPackets(client), hint, async (receiver, packet, time) => {
        receiver.take(packet);
        if (time === 1 && packet.number % 2 === 0) return step(`the acknowledgement of ${described(packet)} is lost`);
        await receiver.acknowledge();
      });
    },
  },
  {
    name: "an old acknowledgement",
    why: "The network delivers late: the acknowledgement of an earlier packet says nothing about the one that waits.",
    points: 2,
    level: "robust",
    needs: [lost],
    run: async (client) => {
      const hint = "go on only when the acknowledged number is larger than that of your first packet that waits";
      await arrives(client, sixPackets(client), hint, async (receiver, packet, time) => {
        if (time === 1 && packet.number === 2) {
          step(`${described(packet)} is lost, and old acknowledgements arrive`);
          return await receiver.acknowledge(1);
        }
        await good(receiver, packet, time);
      });
    },
  },
  {
    name: "a spoiled acknowledgement",
    why: "Bits change on the way: an acknowledgement with a wrong checksum is none.",
    points: 2,
    level: "robust",
    needs: [lost],
    run: async (client) => {
      const hint = "add up the whole datagram, its checksum too: unless that is 0xffff, go on waiting";
      await arrives(client, sixPackets(client), hint, async (receiver, packet, time) => {
        if (time === 1 && packet.number === 2) {
          step(`${described(packet)} is lost; the acknowledgement of 2 becomes one of 3`);
          return await receiver.send(spoiled(encode("acknowledgement", 2), 3));
        }
        await good(receiver, packet, time);
      });
    },
  },
  {
    name: "a stranger",
    why: "Anyone can send to a UDP port: an acknowledgement counts only when it comes from the receiver's address.",
    points: 1,
    level: "robust",
    needs: [lost],
    run: async (client) => {
      const hint = "compare what recvfrom says with {host} and {port}, or connect the socket";
      await arrives(client, sixPackets(client), hint, async (receiver, packet, time) => {
        if (time === 1 && packet.number === 2) {
          step(`${described(packet)} is lost`);
          return await receiver.stranger(3);
        }
        await good(receiver, packet, time);
      });
    },
  },
  {
    name: "what is no packet",
    why: "Any datagram can arrive at an open port: none may end the sender.",
    points: 1,
    level: "robust",
    needs: [lost],
    run: async (client) => {
      const hint = "look at the length before you take the header apart";
      await arrives(client, sixPackets(client), hint, async (receiver, packet, time) => {
        if (packet.number === 1) { for (const size of [0, 3, 7]) await receiver.send(new Uint8Array(size).fill(255)); }
        await good(receiver, packet, time);
      });
    },
  },
  {
    name: "a silent receiver",
    why: "A receiver may not be there. After 10 to 30 tries the sender gives up, and says so.",
    points: 2,
    level: "robust",
    needs: [lost],
    async run(client) {
      const { program, receiver, most } = await play(client, shortText(client), () => Promise.resolve());
      if (!receiver) fail("data 0", "nothing", begin);
      complained(program, "a receiver that does not answer");
      if (most > 60) fail("10 to 30 tries", `${most}`, `wait ${inSeconds(200)} before each new try`);
    },
  },
  {
    name: "a bad network",
    why:
      "Now everything happens at once: lost, spoiled, doubled and late, three out of ten are well. The file arrives.",
    points: 3,
    level: "robust",
    needs: ["the end is lost", "a lost acknowledgement", "an old acknowledgement", "a spoiled acknowledgement"],
    run: async (client) => {
      const bytes = randomOf(client).bytes(512 * 20 + randomOf(client).integer(1, 511));
      const hint = "count the tries of one packet, not of all: start again from 0 after each progress";
      await arrives(client, bytes, hint, badNetwork(randomOf(client)), 2 * leastEnd);
    },
  },
];

const suite: Suite = {
  role: "client",
  about: "the sender of a file over UDP, with a network that loses, doubles, delays and spoils",
  over: "udp",
  leastPatience: 2000,
  given: "{host} and {port} (HOST, PORT): the receiver. {file} (FILE): the path of the file to send.",
  prints: "what you like",
  exits: "0 when the end is acknowledged; another code and one line about it when the receiver is silent",
  limits:
    "a packet: 4 bytes of number, 2 of checksum (RFC 1071, over header and data), 1 of kind (0 data, 1 end, 2 acknowledgement), " +
    "1 zero, then 1 to 512 bytes of data; the higher byte first. Data is numbered from 0, the end has the next number. An " +
    "acknowledgement has the number that is awaited next: all before it have arrived. The receiver keeps nothing that comes " +
    "too early. Send again after 0.2 s, give up after 10 to 30 tries without progress. Any window will do, also of one packet",
  sheet: "udp/README.md#a-reliable-transfer-of-your-own",
  prepare: desks.prepare,
  checks,
};

export default suite;
