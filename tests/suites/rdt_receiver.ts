/**
 * Checks for the receiver of a reliable transfer over UDP: here the suite is the sender, and the network that doubles and spoils.
 *
 * @module
 */
import { join } from "node:path";
import { isClosedLocally } from "../../tcp/_clients.ts";
import { localAddress } from "../../udp/_local_address.ts";
import { type Random, word, words } from "./_random.ts";
import { decode, described, encode, pieces, spoiled } from "./_rdt_peer.ts";
import { received, sent, step } from "./_record.ts";
import {
  type Check,
  contentOf,
  fail,
  inSeconds,
  inTime,
  limits,
  randomOf,
  sameBytes,
  type Server,
  type Suite,
} from "./_suite.ts";

/** Where the receiver writes. */
interface Desk {
  readonly file: string;
}

const desks = contentOf((random, folder) => {
  const content: Desk = { file: join(folder, word(random)) };
  return { content, values: { file: content.file } };
});

type Datagram = Uint8Array<ArrayBuffer>;

/** The checker's end: the sender of one file, whose network does what the check says. */
class Sender implements Disposable {
  readonly #server: Server;
  readonly #socket: Deno.DatagramConn;
  readonly #numbers: number[] = [];
  #changed = Promise.withResolvers<void>();
  #broken: Error | undefined;
  hasHeard = false;

  constructor(server: Server) {
    this.#server = server;
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: localAddress(server.hostname), port: 0 });
    this.#receive().catch((error) => {
      if (isClosedLocally(error)) return;
      this.#broken = error;
      this.#changed.resolve();
    });
  }

  async #receive(): Promise<void> {
    for await (const [datagram] of this.#socket) {
      received(datagram);
      this.hasHeard = true;
      const packet = decode(datagram);
      if (packet.kind !== "acknowledgement") {
        fail("an acknowledgement", described(packet), "a receiver sends acknowledgements only: kind 2, no data");
      }
      this.#numbers.push(packet.number);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers<void>();
    }
  }

  async send(datagram: Datagram): Promise<void> {
    sent(datagram);
    const { hostname, port } = this.#server;
    await this.#socket.send(datagram, { transport: "udp", hostname, port });
  }

  /** The number of the next acknowledgement; undefined when none comes. */
  async next(limit = limits.patience): Promise<number | undefined> {
    const until = Date.now() + limit;
    while (this.#numbers.length === 0) {
      if (this.#broken) throw this.#broken;
      if (Date.now() >= until) return undefined;
      await inTime(this.#changed.promise, until - Date.now() + 1);
    }
    return this.#numbers.shift();
  }

  /** Waits until everything before `number` is acknowledged. More than that cannot have arrived. */
  async acknowledged(number: number, hint: string, most = number): Promise<number> {
    while (true) {
      const got = await this.next();
      if (got === undefined) fail(`acknowledgement ${number}`, `none in ${inSeconds(limits.patience)}`, hint);
      if (got > most) fail(`acknowledgement ${number}`, `acknowledgement ${got}`, hint);
      if (got >= number) return got;
    }
  }

  /** Sends the first packet, again and again while the receiver may still be starting. */
  async begin(datagram: Datagram): Promise<void> {
    while (true) {
      await this.send(datagram);
      for (const until = Date.now() + 500; !this.hasHeard && Date.now() < until;) {
        await inTime(this.#changed.promise, until - Date.now() + 1);
      }
      if (this.hasHeard || !this.#server.starting?.()) return;
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** A file as packets: its data, and the end. */
function packetsOf(bytes: Datagram, size?: number): Datagram[] {
  const data = pieces(bytes, size).map((piece, number) => encode("data", number, piece));
  return [...data, encode("end", data.length)];
}

/** What happens on the network before packet `number` is sent. */
type Twist = (sender: Sender, number: number, packets: readonly Datagram[]) => Promise<void>;

const answer = "answer each packet that has arrived whole with the number that you await next: after data 0 it is 1";
const appends = "append the data of each packet, the bytes after the eight of header, once and in order, in binary";

/** Sends a file packet by packet, with a twist before each, and fails unless {file} has it. */
async function takes(server: Server, bytes: Datagram, twist?: Twist, hint = answer, size?: number): Promise<void> {
  const packets = packetsOf(bytes, size);
  await transfer(server, bytes, hint, async (sender) => {
    for (const [number, packet] of packets.entries()) {
      await twist?.(sender, number, packets);
      if (number === 0) await sender.begin(packet);
      else await sender.send(packet);
      await sender.acknowledged(number + 1, hint);
    }
  });
}

/** Lets `run` send the file, and compares what the receiver has written. The next file is for a new process. */
async function transfer(server: Server, bytes: Datagram, hint: string, run: (sender: Sender) => Promise<void>) {
  const { file } = desks.of(server);
  using sender = new Sender(server);
  try {
    await run(sender);
    const until = Date.now() + limits.patience;
    while (true) {
      const got = await Deno.readFile(file).catch(() => undefined);
      if (got && (got.length >= bytes.length || Date.now() > until)) {
        sameBytes(got, bytes, hint === answer ? appends : hint);
        break;
      }
      if (Date.now() > until) fail("the file {file}", "none", "write the file before you acknowledge the end");
      await inTime(new Promise(() => {}), 20);
    }
  } finally {
    if (sender.hasHeard) {
      await server.program?.()?.stop();
      await Deno.remove(file).catch(() => {});
    }
  }
}

const short = "a short file";
const many = "a file of many packets";
const twice = "a packet twice";
const shortText = (server: Server): Datagram =>
  new TextEncoder().encode(words(randomOf(server), 6).replace(/^((..)*)$/, "$1."));
const sixPackets = (server: Server): Datagram => randomOf(server).bytes(512 * 5 + randomOf(server).integer(1, 511));

/** What happens to each ten packets in a row, in another order each time. */
const troubles = ["lost", "lost", "spoiled", "spoiled", "twice", "twice", "late", "", "", ""] as const;

/** Goes back N over a bad network: four packets, and what is not acknowledged once more. */
async function goBack(sender: Sender, packets: readonly Datagram[], random: Random, hint: string): Promise<void> {
  let bag: (typeof troubles)[number][] = [];
  let base = 0;
  for (let rounds = 0, arrived = 0; base < packets.length; rounds++) {
    let late: Datagram | undefined;
    const before = arrived;
    for (let number = base; number < Math.min(base + 4, packets.length); number++) {
      const packet = packets[number];
      if (!packet) break;
      if (bag.length === 0) bag = [...troubles];
      const [trouble = ""] = bag.splice(random.integer(0, bag.length - 1), 1);
      if (trouble) step(`packet ${number}: ${trouble}`);
      if (trouble === "lost") continue;
      if (trouble === "spoiled") {
        await sender.send(spoiled(packet, random.integer(0, packet.length - 1), 1 << random.integer(0, 7)));
        continue;
      }
      if (trouble === "late") {
        late = packet;
        continue;
      }
      await sender.send(packet);
      if (trouble === "twice") await sender.send(packet);
      if (number === arrived) arrived++;
    }
    if (late) await sender.send(late);
    // A receiver may keep what came early: then it acknowledges more.
    const most = Math.min(base + 4, packets.length);
    if (arrived > before) base = await sender.acknowledged(arrived, hint, most);
    else if (late) base = Math.max(base, await sender.next(100) ?? 0);
    arrived = Math.max(arrived, base);
    if (rounds > 1000) fail("the whole file", `${base} packets of it`, hint);
  }
}

const checks: Check<Server>[] = [
  {
    name: short,
    why:
      "Data 0 has all of a short file, the end is number 1; each is acknowledged with the number that is awaited next.",
    points: 3,
    run: (server) => takes(server, shortText(server)),
  },
  {
    name: many,
    why: "The packets are put together in order. A file is any bytes, and 300 packets are more than a byte counts.",
    points: 3,
    needs: [short],
    run: (server) => takes(server, randomOf(server).bytes(512 * 300 + randomOf(server).integer(1, 511))),
  },
  {
    name: "an empty file",
    why: "An empty file is the end alone, with the number 0: the file is there, without bytes.",
    points: 1,
    needs: [short],
    run: (server) => takes(server, new Uint8Array()),
  },
  {
    name: twice,
    why: "When an acknowledgement is lost, the packet comes again: it is acknowledged again, and written once.",
    points: 3,
    needs: [many],
    run: (server) =>
      takes(server, sixPackets(server), async (sender, number, packets) => {
        const packet = packets[number - 1];
        if (!packet || number % 2 === 0) return;
        step(`the acknowledgement of packet ${number - 1} is lost`);
        await sender.send(packet);
        await sender.acknowledged(number, "acknowledge a packet that you have already, and do not write it again");
      }),
  },
  {
    name: "a spoiled packet",
    why: "Bits change on the way, in the data or in the header: a packet with a wrong checksum has not arrived.",
    points: 3,
    needs: [twice],
    run: (server) => {
      const hint = "add up the whole datagram, its checksum too: unless that is 0xffff, throw it away";
      return takes(server, sixPackets(server), async (sender, number, packets) => {
        const [packet, last] = [packets[number], packets[number - 1]];
        if (!packet || !last || number > 3) return;
        step(`packet ${number} is spoiled, then the one before comes again`);
        await sender.send(spoiled(packet, [0, 8, 6, packet.length - 1][number] ?? 8));
        await sender.send(last);
        await sender.acknowledged(number, hint);
      }, hint);
    },
  },
  {
    name: "a gap",
    why:
      "A packet that comes before its turn must not be written there, nor acknowledged: that would cover the missing one.",
    points: 3,
    level: "robust",
    needs: [twice],
    async run(server) {
      const bytes = sixPackets(server);
      const packets = packetsOf(bytes);
      const hint =
        "an acknowledgement of n says that all before n have arrived: write a packet only if it is the next one";
      await transfer(server, bytes, hint, async (sender) => {
        let kept = 0; // what a receiver has that keeps what comes early
        for (const [number, packet] of packets.entries()) {
          const [last, early] = [packets[number - 1], packets[number + 1]];
          if (last && early && number === 2) {
            step("packet 3 overtakes packet 2; then packet 1 comes again");
            await sender.send(early);
            await sender.send(last);
            await sender.acknowledged(number, hint);
            kept = number + 2;
          }
          if (number === 0) await sender.begin(packet);
          else await sender.send(packet);
          await sender.acknowledged(number + 1, hint, Math.max(number + 1, kept));
        }
      });
    },
  },
  {
    name: "an old packet",
    why: "The network delivers late: packet 0 may come again after packet 2, and is not the next one.",
    points: 2,
    level: "robust",
    needs: [twice],
    run: (server) =>
      takes(server, sixPackets(server), async (sender, number, packets) => {
        const [first] = packets;
        if (number !== 3 || !first) return;
        step("packet 0 arrives once more, late");
        await sender.send(first);
        await sender.acknowledged(3, "acknowledge it with the number that you await, and do not write it");
      }, "write a packet only if its number is the one that you await"),
  },
  {
    name: "a window",
    why: "A sender with a window sends several at once, and goes back to the one that was lost.",
    points: 2,
    level: "robust",
    needs: ["a gap"],
    async run(server) {
      const bytes = randomOf(server).bytes(512 * 7 + randomOf(server).integer(1, 511));
      const packets = packetsOf(bytes);
      const hint = "compare the whole number with the one that you await, and throw away all others";
      await transfer(server, bytes, hint, async (sender) => {
        const [first] = packets;
        if (!first) return;
        await sender.begin(first);
        await sender.acknowledged(1, hint);
        step("packet 2 is lost, 1 and 3 to 6 arrive");
        for (const number of [1, 3, 4, 5, 6]) await sender.send(packets[number] ?? first);
        await sender.acknowledged(2, hint);
        for (const packet of packets.slice(2)) await sender.send(packet);
        await sender.acknowledged(packets.length, hint);
      });
    },
  },
  {
    name: "the end twice",
    why: "The acknowledgement of the end may be lost, too: the receiver stays for a second or two, and repeats it.",
    points: 2,
    level: "robust",
    needs: [short],
    async run(server) {
      const bytes = shortText(server);
      const hint = "after the end wait a second or two, and acknowledge it again when it comes again";
      await transfer(server, bytes, hint, async (sender) => {
        const [data, end] = packetsOf(bytes);
        if (!data || !end) return;
        await sender.begin(data);
        await sender.acknowledged(1, answer);
        for (let time = 0; time < 3; time++) {
          if (time > 0) {
            step("the acknowledgement of the end is lost");
            await inTime(new Promise(() => {}), 100);
          }
          await sender.send(end);
          await sender.acknowledged(2, time > 0 ? hint : answer);
        }
      });
    },
  },
  {
    name: "an early end",
    why: "The end may overtake the last data: it has a number, too, and waits for its turn.",
    points: 2,
    level: "robust",
    needs: [twice, "a gap"],
    async run(server) {
      const bytes = randomOf(server).bytes(700);
      const hint = "look at the number of the end as at that of data: it ends the file only if it is the next one";
      await transfer(server, bytes, hint, async (sender) => {
        const [first, second, end] = packetsOf(bytes);
        if (!first || !second || !end) return;
        await sender.begin(first);
        await sender.acknowledged(1, answer);
        step("the end overtakes packet 1; then packet 0 comes again");
        await sender.send(end);
        await sender.send(first);
        await sender.acknowledged(1, hint);
        await sender.send(second);
        await sender.acknowledged(2, hint, 3);
        await sender.send(end);
        await sender.acknowledged(3, hint);
      });
    },
  },
  {
    name: "a stranger",
    why: "Anyone can send to a UDP port: after its first packet the file is from that address alone.",
    points: 1,
    level: "robust",
    needs: [twice],
    run: (server) => {
      const hint = "keep the address of data 0, and throw away what comes from another one";
      return takes(server, sixPackets(server), async (sender, number, packets) => {
        const last = packets[number - 1];
        if (number !== 2 || !last) return;
        using stranger = new Sender(server);
        step("another port sends a packet 2 of its own");
        await stranger.send(encode("data", 2, new Uint8Array(512).fill(88)));
        await sender.send(last);
        await sender.acknowledged(2, hint);
      }, hint);
    },
  },
  {
    name: "what is no packet",
    why: "Any datagram can arrive at an open port: none may end the receiver.",
    points: 1,
    level: "robust",
    needs: [twice],
    run: (server) =>
      takes(server, sixPackets(server), async (sender, number) => {
        if (number === 1) { for (const size of [0, 3, 7]) await sender.send(new Uint8Array(size).fill(255)); }
      }, "look at the length before you take the header apart"),
  },
  {
    name: "a bad network",
    why:
      "Now everything happens at once: lost, spoiled, doubled and late, three out of ten are well. The file arrives.",
    points: 3,
    level: "robust",
    needs: ["a spoiled packet", "a gap", "an old packet", "a window", "an early end"],
    async run(server) {
      const bytes = randomOf(server).bytes(512 * 40 + randomOf(server).integer(1, 511));
      const hint =
        "throw away what is spoiled or not awaited, however often, and answer with the number that you await";
      await transfer(server, bytes, hint, async (sender) => {
        const [first, ...rest] = packetsOf(bytes);
        if (!first) return;
        await sender.begin(first);
        await sender.acknowledged(1, hint);
        await goBack(sender, [first, ...rest], randomOf(server), hint);
      });
    },
  },
];

const suite: Suite = {
  role: "server",
  about: "the receiver of a file over UDP, with a network that loses, doubles, delays and spoils",
  over: "udp",
  given: "{port} (PORT): where it listens, on 127.0.0.1. {file} (FILE): the path to write the file to.",
  prints: "what you like",
  exits: "one file for each start: it ends by itself a second or two after the end, or it is ended",
  limits:
    "a packet: 4 bytes of number, 2 of checksum (RFC 1071, over header and data), 1 of kind (0 data, 1 end, 2 acknowledgement), " +
    "1 zero, then 1 to 512 bytes of data; the higher byte first. Data is numbered from 0, the end has the next number. An " +
    "acknowledgement has the number that is awaited next: all before it have arrived. The file is written before the end is " +
    "acknowledged. What comes too early may be kept or thrown away",
  sheet: "udp/README.md#a-reliable-transfer-of-your-own",
  prepare: desks.prepare,
  checks,
};

export default suite;
