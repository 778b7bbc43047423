/**
 * The bad networks of the relays, and the packets of `--pcap`, without a process: settings and scripts, fates, bandwidth, shaken
 * streams, headers byte by byte. `relay_test.ts` imports it.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "jsr:@std/assert@1";
import { connect, createServer, type Socket } from "node:net";
import { Failure } from "../../cli.ts";
import { parseAddress, printAddress } from "../../tcp/_address.ts";
import { Capture } from "../../tcp/_capture.ts";
import { CaptureFile } from "../../tcp/_capture_file.ts";
import { Fates, Line } from "../../tcp/_fate.ts";
import { type Network, parseNetwork, parseScript, perfect, type Transport } from "../../tcp/_network.ts";
import { ACK, FIN, icmpPacket, maxSegment, PSH, RST, SYN, tcpPacket, udpPacket } from "../../tcp/_packet.ts";
import { change } from "../../tcp/_relay_control.ts";
import { announceSeed, checkPermission, fatesOf, isPlain, planOf, relayOptions } from "../../tcp/_relay_options.ts";
import { type Cut, passShaken } from "../../tcp/_shaken_stream.ts";
import { type Event, formatJson, formatText } from "../../tcp/_trace_event.ts";
import { readCapture } from "../support/pcapng.ts";
import { Captured, stub } from "../support/stub.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(/\s/g, ""));
const bytes = (text: string) => new TextEncoder().encode(text);

/** The failure of an action: its code and message. */
function failure(action: () => unknown): string {
  try {
    return `no failure: ${JSON.stringify(action())}`;
  } catch (error) {
    if (error instanceof Failure) return `${error.code}: ${error.message}`;
    throw error;
  }
}

Deno.test("settings: each unit at its limits", () => {
  const parsed = (text: string, transport: Transport = "tcp") =>
    failure(() => parseNetwork("network", text, transport));
  for (
    const [text, value] of [
      ...[["delay=0ms", 0], ["delay=1.5s", 1500], ["jitter=3600s", 3_600_000], ["delay=3600000ms", 3_600_000]],
      ...[["rate=1", 1], ["rate=1.5", 1.5], ["rate=1.5k", 1500], ["rate=2M", 2_000_000], [
        "rate=1099511627776",
        2 ** 40,
      ]],
      ...[["queue=1", 1], ["slice=64k", 64_000], ["stall=0", 0], ["reset=0", 0], ["close=1M", 1_000_000]],
      ...[["half-open=7", 7], ["loss=0", 0], ["loss=1", 1], ["loss=100%", 1], ["loss=0.25", 0.25], [
        "loss=12.5%",
        0.125,
      ]],
    ] as const
  ) assertEquals(parsed(text), `no failure: {"${text.split("=")[0]}":${value}}`);
  const forms = {
    delay: "a time such as 200ms or 1.5s",
    rate: "bytes per second such as 50k or 2M",
    queue: "a number of bytes from 1, such as 1500 or 64k",
    stall: "a number of bytes, such as 0, 1500 or 64k",
    loss: "a share such as 20% or 0.2",
  };
  for (
    const [name, ...values] of [
      ["delay", "1", "3600001ms", "1k", "1%", "-1s", "1.s", ""],
      ["rate", "0", "0.5", "1099511627777", "1s", "1ms", "1%", "1K", ""],
      ["queue", "0", "1.5", "1s", "1099511627777"],
      ["stall", "0.5", "-1", "1%"],
      ["loss", "1.01", "101%", "1k", "1s", "-1"],
    ] as const
  ) {
    for (const value of values) {
      const expected = `2: --network, column ${name.length + 2}: ${name} needs ${forms[name]}, not ${
        value || "the end"
      }`;
      assertEquals(parsed(`${name}=${value}`), expected);
    }
  }
  assertEquals(parsed("delay=1ms, loss=0 ,rate=5"), 'no failure: {"delay":1,"loss":0,"rate":5}');
  const tcp = "delay, jitter, rate, queue, loss, slice, stall, reset, close, half-open";
  const udp = "delay, jitter, rate, queue, loss, duplicate, reorder, flip";
  assertEquals(parsed(" delay=1ms  los=1"), `2: --network, column 13: expected one of ${tcp}, not los`);
  const repairs = " (TCP repairs that: a program sees a delay)";
  const none = " (a datagram has no connection)";
  for (const name of ["duplicate", "reorder", "flip"]) {
    assertEquals(parsed(`${name}=1`), `2: --network, column 1: expected one of ${tcp}, not ${name}${repairs}`);
  }
  for (const name of ["slice", "stall", "reset", "close", "half-open"]) {
    assertEquals(parsed(`${name}=1`, "udp"), `2: --network, column 1: expected one of ${udp}, not ${name}${none}`);
  }
  assertEquals(parsed("=1", "udp"), `2: --network, column 1: expected one of ${udp}, not the end`);
});

Deno.test("scripts: sides, commands, messages, and the column of a mistake", () => {
  const parsed = (text: string, transport: Transport = "udp") => failure(() => parseScript(text, transport));
  assertEquals(parseScript(" client : drop 1,3-5,999999999 ;; server:delay 2 1.5s;", "udp"), [
    { side: "client", command: "drop", numbers: [[1, 1], [3, 5], [999_999_999, 999_999_999]], time: 0 },
    { side: "server", command: "delay", numbers: [[2, 2]], time: 1500 },
  ]);
  for (const command of ["duplicate", "swap", "flip"]) {
    assertEquals(parseScript(`client: ${command} 1`, "udp").length, 1);
  }
  for (const command of ["stall", "reset", "close", "half-open"]) {
    assertEquals(parseScript(`server: ${command} 2-2`, "tcp")[0]?.numbers, [[2, 2]]);
  }
  const numbers = "numbers of messages such as 1,3 or 2-5";
  for (
    const [text, why] of [
      ["client", "7: expected a colon after client, not the end"],
      ["client drop", "8: expected a colon after client, not drop"],
      ["clients: drop 1", "1: expected client or server, not clients"],
      ["; peer: drop 1", "3: expected client or server, not peer"],
      ["client:  ", "8: expected drop, duplicate, delay, swap, flip, not the end"],
      ["client: drop", `13: expected ${numbers}, not the end`],
      ["client: drop 0", `14: expected ${numbers}, not 0`],
      ["client: drop 2-1", `14: expected ${numbers}, not 2-1`],
      ["client: drop 1,", `14: expected ${numbers}, not 1,`],
      ["client: drop 1000000000", `14: expected ${numbers}, not 1000000000`],
      ["client: delay 1", "16: expected a time such as 200ms or 1.5s, not the end"],
      ["client: delay 1 2", "17: expected a time such as 200ms or 1.5s, not 2"],
      ["client: delay 1 2s 3", "20: expected the end, or ; and the next part, not 3"],
      ["client: drop 1; client: drop 1 2s", "32: expected the end, or ; and the next part, not 2s"],
      [
        "client: drop 1; server: stall 1",
        "25: expected drop, duplicate, delay, swap, flip, not stall (a datagram has no connection)",
      ],
    ]
  ) assertEquals(parsed(text ?? ""), `2: --script, column ${why}`);
  const wrong = "2: --script, column 9: expected delay, stall, reset, close, half-open, not drop";
  assertEquals(parsed("client: drop 1", "tcp"), `${wrong} (TCP repairs that: a program sees a delay)`);
});

Deno.test("fates: by the script, message by message, and the same by chance for the same seed", () => {
  const rules = parseScript(
    "client: drop 2-3,5; client: duplicate 3; client: swap 4; client: flip 5; client: delay 3-4 100ms; client: delay 4 7ms; server: drop 1",
    "udp",
  );
  const plain = new Fates({ ...perfect, delay: 5 }, rules, "client", 1, 1);
  const told = Array.from({ length: 6 }, () => {
    const { isLost, isTwice, isLate, flipAt, delay, losses, command } = plain.next();
    assertEquals([losses, command], [0, undefined]);
    return `${isLost ? "lost " : ""}${isTwice ? "twice " : ""}${isLate ? "late " : ""}${
      flipAt === undefined ? "" : "flip "
    }${delay}`;
  });
  assertEquals(told, ["5", "lost 5", "lost twice 105", "late 112", "lost flip 5", "5"]);
  const cuts = new Fates(
    perfect,
    parseScript("server: delay 1-9 1ms; server: reset 2; server: half-open 3", "tcp"),
    "server",
    1,
    1,
  );
  assertEquals([1, 2, 3, 4].map(() => cuts.next().command), [undefined, "reset", "half-open", undefined]);
  // A seed that was printed gives the same on every machine, and after every change of this program.
  const shaken = { ...perfect, loss: 0.3, duplicate: 0.2, reorder: 0.25, flip: 0.1, jitter: 100, delay: 5 };
  const chance = (...[side, seed, client]: ["client" | "server", number, number]) => {
    const fates = new Fates(shaken, [], side, seed, client);
    return Array.from({ length: 10 }, () => {
      const { isLost, losses, isTwice, isLate, flipAt, delay } = fates.next();
      return `${isLost ? `l${losses}` : ""}${isTwice ? "d" : ""}${isLate ? "s" : ""}${
        flipAt ? `f${flipAt.toFixed(3)}` : ""
      } ${delay.toFixed(1)}`;
    }).join("|");
  };
  assertEquals(
    chance("client", 7, 1),
    "l1 37.5| 96.1| 56.2| 12.2|sf0.087 90.6|d 62.1|s 57.3|l1 63.4|s 48.7|l1df0.450 54.1",
  );
  assertEquals(chance("server", 7, 1), " 70.0|d 43.5|s 41.5|s 81.7|d 46.8| 85.2| 81.4|f0.239 48.9|l1s 88.5|l1d 36.4");
  assertEquals(chance("client", 7, 2), "d 36.3|l5 12.6|ds 62.2|f0.490 9.2| 88.7|d 40.7|s 96.7| 38.6| 16.0| 49.2");
  assertEquals(
    chance("client", 8, 1),
    "l2d 81.3| 35.5|s 28.2|l1 38.0|l2 70.9|l2 32.1|l3s 47.2| 10.8|s 61.1|l1 86.2",
  );
  const always = new Fates({ ...perfect, loss: 1, duplicate: 1, reorder: 1, flip: 1 }, [], "client", 3, 1).next();
  assertEquals([always.isLost, always.losses, always.isTwice, always.isLate, always.flipAt !== undefined], [
    ...[true, 6, true, true, true],
  ]);
  const often = new Fates({ ...perfect, loss: 0.999 }, [], "client", 3, 1);
  assert(Array.from({ length: 100 }, () => often.next().losses).every((n) => n <= 6));
});

Deno.test("bandwidth: a message waits for those before it", () => {
  let now = 1000;
  using _ = stub(performance, "now", () => now);
  const network = { ...perfect, rate: 2000 };
  const line = new Line(network);
  assertEquals([line.wait(1000), line.wait(500)], [500, 750]);
  now += 600;
  assertEquals(line.wait(100), 200);
  now += 5000;
  assertEquals([line.wait(0), line.wait(20)], [0, 10], "a quiet time is not saved up");
  network.rate = 4000;
  assertEquals(line.wait(40), 20, "a rate that changes stands for what comes from then on");
  const wide = new Line(perfect);
  assertEquals([wide.wait(1e9), wide.wait(1)], [0, 0]);
});

Deno.test("relay's options: the server, both directions, the seed", async () => {
  const options = relayOptions(7);
  assertEquals(options.to.parse?.("[::1]:65535"), { hostname: "::1", port: 65_535 });
  assertEquals(options.to.parse?.("a:1"), { hostname: "a", port: 1 });
  for (const wrong of ["a:0", "a:65536", "a", ":5x", "a:100000"]) {
    let error: unknown;
    try {
      options.to.parse?.(wrong);
    } catch (thrown) {
      error = thrown;
    }
    assertEquals(`${error}`, "RangeError: HOST:PORT, such as 127.0.0.1:7007");
  }
  assertEquals([options.seed.parse?.("2147483647"), options["max-clients"].parse?.("1000000"), options.port.default], [
    ...[2 ** 31 - 1, 1_000_000, 7],
  ]);
  assertEquals([options.seed.default, options["max-clients"].default], [0, 1000]);
  const to = { hostname: "a", port: 1 };
  const flags = { to, network: "delay=1ms", client: "", server: "", script: "", seed: 5, control: false };
  const plan = planOf({ ...flags, client: "delay=2ms loss=1%", script: "server: delay 1 1s" }, "tcp");
  assertEquals([plan.networks.client, plan.networks.server, plan.seed, plan.rules.length], [
    ...[{ ...perfect, delay: 2, loss: 0.01 }, { ...perfect, delay: 1 }, 5, 1],
  ]);
  assertEquals(failure(() => planOf({ ...flags, to: "" }, "tcp")).slice(0, 28), "2: --to HOST:PORT is missing");
  {
    using _ = stub(crypto, "getRandomValues", (array: Uint16Array) => array.fill(65_535));
    assertEquals(planOf({ ...flags, seed: 0 }, "tcp").seed, 65_536, "never 0");
  }
  const plain = (text: string, script = "") => {
    const plan = planOf({ ...flags, network: text, script }, "tcp");
    return [isPlain(plan, "client"), isPlain(plan, "server")];
  };
  assertEquals([plain(""), plain("queue=5"), plain("slice=5"), plain("", "client: reset 1")], [
    ...[[true, true], [true, true], [false, false], [false, true]],
  ]);
  assert(!isPlain(planOf({ ...flags, network: "", control: true }, "tcp"), "client"), "it may change");
  assertEquals(fatesOf(plan, "server", 1).next().delay, 1001);
  change(plan, "loss=100%; server: delay=3ms", "tcp");
  assertEquals([plan.networks.client, plan.networks.server], [
    { ...perfect, loss: 1 },
    { ...perfect, loss: 1, delay: 3 },
  ]);
  change(plan, " ", "tcp");
  assertEquals(plan.networks.client, perfect);
  using console = new Captured();
  for (const text of ["delay=1ms rate=5", "loss=1%", "jitter=1ms"]) {
    announceSeed(planOf({ ...flags, network: text }, "udp"));
  }
  for (const text of ["duplicate=1%", "reorder=1%", "flip=1%"]) announceSeed(planOf({ ...flags, server: text }, "udp"));
  assertEquals(console.log, Array(5).fill("the same once more: --seed 5"));
  using _ = stub(Deno.permissions, "query", ({ host }: { host: string }) => (
    Promise.resolve({ state: host === "a:1" ? "granted" : "prompt" })
  ));
  await checkPermission({ hostname: "a", port: 1 });
  const denied = await assertRejects(() => checkPermission({ hostname: "::1", port: 1 }), Failure);
  assertEquals(denied.message, "no permission to use [::1]:1: add -N=[::1]:1");
});

/** Time that passes only while somebody waits for it. */
class VirtualTime {
  now = 0;
  readonly waits: number[] = [];
  readonly #stubs = [
    stub(performance, "now", () => this.now),
    stub(globalThis, "setTimeout", (run: () => void, ms: number) => {
      this.waits.push(Math.round(ms));
      this.now += ms;
      queueMicrotask(run);
    }),
  ];
  [Symbol.dispose](): void {
    for (const each of this.#stubs) each[Symbol.dispose]();
  }
}

/** Both ends of a connection of node:net. */
async function pair(): Promise<[own: Socket, other: Socket]> {
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer({ allowHalfOpen: true }, accepted.resolve);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const addr = server.address();
  if (addr === null || typeof addr === "string") throw new Error("no port");
  const own = connect({ host: "127.0.0.1", port: addr.port, allowHalfOpen: true });
  const other = await accepted.promise;
  server.close();
  return [own, other];
}

/** Passes messages through a bad network. Returns what was shown, what arrived, and when. */
async function shaken(network: Partial<Network>, script: string, ...messages: string[]) {
  const [[client, from], [to, server]] = [await pair(), await pair()];
  using time = new VirtualTime();
  const shown: string[] = [];
  const held: string[] = [];
  const wasHeld: boolean[] = [];
  const cuts: Cut[] = [];
  let arrived = "";
  server.on("data", (data: Uint8Array) => arrived += new TextDecoder().decode(data));
  const whole = { ...perfect, ...network };
  const passing = passShaken({
    ...{ from, to, network: whole, fates: new Fates(whole, parseScript(script, "tcp"), "client", 1, 1) },
    show: (data, note, came) => {
      if (note !== "FIN") shown.push(`${time.now} ${new TextDecoder().decode(data)}${note && ` ${note}`}`);
      wasHeld.push(came !== undefined);
    },
    hold: (data, note) => {
      held.push(`${time.now} ${new TextDecoder().decode(data)}${note && ` ${note}`}`);
      return time.now;
    },
    cut: (how) => cuts.push(how),
  });
  for (const each of messages) {
    const before = shown.length;
    await new Promise((sent) => client.write(each, sent));
    // The next message is another read of the relay.
    for (let i = 0; i < 1000 && shown.length === before && cuts.length === 0; i++) {
      await new Promise((turn) => setImmediate(turn));
    }
  }
  client.end();
  const isOver = await passing;
  const ended = new Promise((closed) => server.once("close", closed));
  for (const each of [from, client]) each.destroy();
  to.end();
  server.resume();
  server.end();
  await ended;
  to.destroy();
  return { shown, held, wasHeld, arrived, cuts, isOver, waits: time.waits };
}

Deno.test("shaken stream: late, narrow, in slices, and always in order", async () => {
  assertEquals(await shaken({}, "", "one", "two"), {
    ...{ shown: ["0 one", "0 two"], held: [], wasHeld: [false, false, false] },
    ...{ arrived: "onetwo", cuts: [], isOver: true, waits: [] },
  });
  assertEquals(await shaken({ delay: 30 }, "client: delay 2 200ms", "one", "two"), {
    ...{ shown: ["30 one delayed 30 ms", "260 two delayed 230 ms"], held: ["0 one", "30 two"] },
    ...{ wasHeld: [true, true, false], arrived: "onetwo", cuts: [], isOver: true },
    waits: [30, 230],
  });
  assertEquals((await shaken({ rate: 100 }, "", "0123456789")).shown, ["100 0123456789"], "ten bytes take a tenth");
  const sliced = await shaken({ slice: 2 }, "", "abcde");
  assertEquals([sliced.shown, sliced.held], [["1 ab", "2 cd", "3 e"], ["0 abcde"]], "it came in as a whole");
  assertEquals((await shaken({ slice: 2, rate: 100 }, "", "abcde")).shown, ["20 ab", "40 cd", "50 e"]);
  const lost = await shaken({ loss: 1 }, "", "x");
  assertEquals(lost.shown, [`${63 * 200} x delayed 12600 ms (lost 6 times)`]);
});

Deno.test("shaken stream: cut off after so many bytes, or at a message", async () => {
  const { shown, held, arrived, cuts, isOver } = await shaken({ stall: 4 }, "", "abc", "def", "ghi");
  assertEquals([shown, held, arrived, cuts, isOver], [["0 abc", "0 d"], ["0 def"], "abcd", ["stall"], false]);
  for (const cut of ["reset", "close", "half-open"] as const) {
    const at = await shaken({ [cut]: 3 }, "", "abc", "def");
    assertEquals([at.arrived, at.cuts, at.isOver], ["abc", [cut], false]);
    const scripted = await shaken({}, `client: ${cut} 2`, "abc", "def");
    assertEquals([scripted.arrived, scripted.cuts, scripted.isOver], ["abc", [cut], false]);
    assertEquals(scripted.held, [`0 def lost: ${cut}`], "what does not go on is shown as lost");
    const none = await shaken({ [cut]: 0 }, "", "abc");
    assertEquals([none.arrived, none.cuts, none.shown, none.held], ["", [cut], [], [`0 abc lost: ${cut}`]]);
  }
  const both = await shaken({ stall: 5, reset: 2 }, "", "abc");
  assertEquals([both.arrived, both.cuts], ["ab", ["reset"]], "whichever comes first");
  const longer = await shaken({ reset: 4 }, "", "abc");
  assertEquals([longer.arrived, longer.cuts, longer.isOver], ["abc", [], true]);
});

const [a, b] = [{ address: hex("c0000201"), port: 0x1234 }, { address: hex("c0000202"), port: 53 }];
const [a6, b6] = [
  ...[{ address: hex(`20010db8${"00".repeat(11)}01`), port: 0x1234 }, {
    address: hex(`${"00".repeat(15)}01`),
    port: 53,
  }],
];

Deno.test("packets: headers of IP, UDP and TCP, byte by byte (RFC 791, 8200, 768, 9293)", () => {
  const ip = (length: string, protocol: string, sum: string) =>
    `4500${length} 0000 4000 40${protocol} ${sum} c0000201 c0000202`;
  const ip6 = (length: string, protocol: string) =>
    `60000000 ${length} ${protocol}40 ${a6?.address.toHex()} ${b6?.address.toHex()}`;
  const same = (packet: Uint8Array, expected: string) => assertEquals(packet, hex(expected));
  if (!a6 || !b6) throw new Error("no addresses");
  same(udpPacket(a, b, hex("686921")), `${ip("001f", "11", "b6ca")} 1234 0035 000b e001 686921`);
  same(udpPacket(a6, b6, hex("6869")), `${ip6("000a", "11")} 1234 0035 000a 574d 6869`);
  // A checksum of 0 is sent as ffff: this datagram adds up to it.
  const sum = udpPacket(a, b, hex("0000")).subarray(26, 28);
  same(udpPacket(a, b, sum).subarray(20), `1234 0035 000a ffff ${sum.toHex()}`);
  // The kernel computes the checksum of some sockets: whatever stands there is replaced (RFC 792, RFC 4443 §2.3).
  same(
    icmpPacket(a, b, hex("0800ffff8001ff02a1a2a3"), 9),
    `4500001f 0000 4000 0901 edda c0000201 c0000202 08003458 8001ff02 a1a2a3`,
  );
  same(icmpPacket(a6, b6, hex("8000ffff8001ff02a1a2a3")), `${ip6("000b", "3a")} 80008e57 8001ff02 a1a2a3`);
  for (const [text, expected] of [["0800ff", "0800f7"], ["08", "08"], ["", ""]] as const) {
    same(icmpPacket(a, b, hex(text)).subarray(20), expected);
  }
  // Words that add up to exactly 0x10000: the carry counts.
  const [one, two] = [{ address: hex("00000001"), port: 1 }, { address: hex("00000002"), port: 2 }];
  same(udpPacket(one, two, hex("ffd5")).subarray(20), "0001 0002 000a fffe ffd5");
  same(
    tcpPacket(a, b, { flags: SYN, sequence: 0xffff_fffe, acknowledgement: 0, data: hex("") }),
    `${ip("0030", "06", "b6c4")} 1234 0035 fffffffe 00000000 7002 ffff f381 0000 0204ffd7 0103030e`,
  );
  same(
    tcpPacket(a6, b6, { flags: SYN | ACK, sequence: 1, acknowledgement: 0x8000_0001, data: hex("") }),
    `${ip6("001c", "06")} 1234 0035 00000001 80000001 7012 ffff c9cb 0000 0204ffc3 0103030e`,
  );
  same(
    tcpPacket(a, b, { flags: PSH | ACK, sequence: 2 ** 32 + 5, acknowledgement: 7, data: hex("010203") }),
    `${ip("002b", "06", "b6c9")} 1234 0035 00000005 00000007 5018 ffff 154f 0000 010203`,
  );
  assertEquals([maxSegment(a), maxSegment(a6), SYN, FIN, RST, PSH, ACK], [65_495, 65_475, 2, 1, 4, 8, 16]);
});

Deno.test("addresses: as text and as bytes", () => {
  for (
    const [text, bytes] of [
      ...[["0.0.0.0", "00000000"], ["255.255.255.255", "ffffffff"], ["1.2.3.4", "01020304"]],
      ...[["::", "00".repeat(16)], ["::1", `${"00".repeat(15)}01`], ["1::", `0001${"00".repeat(14)}`]],
      ...[["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"], [
        "fe80::abcd:0:1",
        `fe80${"00".repeat(8)}abcd00000001`,
      ]],
    ]
  ) {
    assertEquals(parseAddress(text ?? "")?.toHex(), bytes, text);
    assertEquals(printAddress(hex(bytes ?? "")), text);
  }
  for (
    const wrong of ["", "1.2.3", "1.2.3.256", "1.2.3.4.5", "::1::", "1:2", "[::1]", "a", "0x1.2.3.4", "1.2.3.0004"]
  ) {
    assertEquals(parseAddress(wrong), undefined, wrong);
  }
});

const event = (more: Partial<Event>): Event => ({
  ...{ t: 1_800_000_000_000_000, side: "client", transport: "tcp", from: "192.0.2.1:5", to: "192.0.2.2:7", note: "" },
  ...{ data: new Uint8Array(), ...more },
});
const back = { from: "192.0.2.2:7", to: "192.0.2.1:5" };

/** The packets in a capture of these events: the direction, the flags, numbers counted from the first ones, and the length. */
async function captured(...events: Partial<Event>[]) {
  const path = await Deno.makeTempFile();
  let next = 0xffff_fff0; // the sequence numbers wrap
  using _ = stub(crypto, "getRandomValues", (array: Uint32Array) => array.fill(next++));
  const capture = new Capture(path);
  for (const each of events) capture.add(event(each));
  const packets = readCapture(await Deno.readFile(path));
  await Deno.remove(path);
  const lines = packets.map(({ from, flags, sequence, acknowledgement, data }) => {
    const isClient = from === "192.0.2.1:5";
    const [own, other] = isClient ? [0xffff_fff0, 0xffff_fff1] : [0xffff_fff1, 0xffff_fff0];
    const acknowledged = flags.includes("A") ? (acknowledgement - other) >>> 0 : acknowledgement;
    return `${isClient ? ">" : "<"}${flags} ${(sequence - own) >>> 0} ${acknowledged} ${data.length}`;
  });
  return { packets, lines };
}

Deno.test("capture: a connection from its handshake to its end, with numbers that fit", async () => {
  const handshake = [">S 0 0 0", "<SA 0 1 0", ">A 1 1 0"];
  const whole = await captured(
    { note: "connected" },
    { data: bytes("hello") },
    { ...back, data: bytes("ok") },
    { note: "FIN" },
    { note: "FIN" }, // again: nothing
    { data: bytes("after its end") },
    { ...back, data: bytes("!"), note: "FIN" },
    { note: "closed" },
  );
  assertEquals(whole.lines, [
    ...handshake,
    ...[">PA 1 1 5", "<PA 1 6 2", ">FA 6 3 0", "<A 3 7 0", "<PA 3 7 1", "<FA 4 7 0", ">A 7 5 0"],
  ]);
  assertEquals(whole.packets[0]?.t, 1_800_000_000_000_000);
  // Seen from its middle; closed by the server; a note alone is nothing; a reset.
  assertEquals((await captured({ data: bytes("a") }, { ...back, note: "closed" })).lines, [
    ...[...handshake, ">PA 1 1 1", "<FA 1 2 0", ">A 2 2 0"],
  ]);
  assertEquals(
    (await captured({ note: "FIN" }, { note: "says something" }, { from: "", note: "connected" })).lines,
    [],
  );
  assertEquals((await captured({ to: "", data: bytes("x") })).lines, []);
  assertEquals((await captured({ note: "accepted" }, { ...back, note: "RST" }, { note: "FIN" })).lines, [
    ...[...handshake, "<RA 1 1 0"],
  ]);
  const size = 65_495;
  assertEquals((await captured({ data: new Uint8Array(size + 1) })).lines.slice(3), [
    `>PA 1 1 ${size}`,
    `>PA ${size + 1} 1 1`,
  ]);
  assertEquals((await captured({ data: new Uint8Array(size) })).lines.length, 4);
  // The other end acknowledges when more than a mebibyte is on its way.
  const much = await captured({ data: new Uint8Array(17 * size) });
  assertEquals(much.lines.slice(-2), [`>PA ${16 * size + 1} 1 ${size}`, `<A 1 ${17 * size + 1} 0`]);
  const exact = await captured({ data: new Uint8Array(1 << 20) }, { data: bytes("x") }, { data: bytes("y") });
  assertEquals(exact.lines.slice(-4).map((line) => line[0]), [">", ">", "<", ">"], "not before");
});

Deno.test("capture: what TLS protects after STARTTLS is a connection of its own", async () => {
  const { lines } = await captured({ data: bytes("EHLO") }, { note: "TLS" }, { data: bytes("x") });
  assertEquals(lines.slice(3, 7), [">PA 1 1 4", ">FA 5 1 0", "<FA 1 6 0", ">A 6 2 0"]);
  assertEquals(lines.slice(7).map((line) => line.split(" ")[0]), [">S", "<SA", ">A", ">PA"]);
  const server = await captured({ data: bytes("EHLO") }, { ...back, note: "TLS" }, { ...back, data: bytes("x") });
  assertEquals(server.lines.slice(7).map((line) => line.split(" ")[0]), [">S", "<SA", ">A", "<PA"]);
  const first = await captured({ note: "connected" }, { note: "TLS" }, { data: bytes("x") });
  assertEquals(first.lines.map((line) => line.split(" ")[0]), [">S", "<SA", ">A", ">PA"], "TLS from the start");
});

Deno.test("capture: datagrams, notes of a relay, names, two families, the oldest of ten thousand connections", async () => {
  const udp = { transport: "udp", note: "datagram" } as const;
  const { packets } = await captured(
    { ...udp, data: bytes("a") },
    { ...udp, note: "lost", data: bytes("b"), side: "relay" },
    { ...udp, note: "lost", side: "relay" },
    { ...udp },
    { ...udp, note: "nothing" },
    { ...udp, from: "localhost:9", to: "[fe80::1%eth0]:8", data: bytes("c") },
    { ...udp, from: "one", to: "two:80", data: bytes("d") },
    { ...udp, from: "one", to: "192.0.2.9:1", data: bytes("e") },
    { transport: "icmp", data: bytes("f") }, // its ends are addresses alone
  );
  assertEquals(packets.map(({ from, to, comment, data }) => `${from} ${to} ${comment} ${data.length}`), [
    "192.0.2.1:5 192.0.2.2:7  1",
    "192.0.2.1:5 192.0.2.2:7 lost 1",
    "192.0.2.1:5 192.0.2.2:7 lost 0",
    "192.0.2.1:5 192.0.2.2:7  0",
    `${"00".repeat(10)}ffff7f000001:9 fe80${"00".repeat(13)}01:8  1`,
    "192.0.2.1:49153 192.0.2.2:80  1",
    "192.0.2.1:49153 192.0.2.9:1  1",
  ]);
  const path = await Deno.makeTempFile();
  {
    const packets: string[] = [];
    using _ = stub(
      CaptureFile.prototype,
      "add",
      (t: number, packet: Uint8Array) => packets.push(`${t} ${packet.toHex()}`),
    );
    const capture = new Capture(path);
    for (const [from, to] of [["one", "192.0.2.1"], ["192.0.2.1", "one"], ["192.0.2.1", "192.0.2.2"]]) {
      capture.add(event({ transport: "icmp", from, to, data: hex("0800000000000000"), ttl: 7 }));
    }
    const [source, target] = [a, b].map(({ address }) => ({ address, port: 0 }));
    const packet = source && target && icmpPacket(source, target, hex("0800000000000000"), 7).toHex();
    assertEquals(packets, [`1800000000000000 ${packet}`]);
  }
  using _ = stub(CaptureFile.prototype, "add", () => added++);
  let added = 0;
  const capture = new Capture(path);
  for (let i = 0; i < 10_000; i++) capture.add(event({ from: `${i >> 8}.0.0.1:${i & 255}`, note: "connected" }));
  const opens = (from: string) => {
    added = 0;
    capture.add(event({ from, data: bytes("x") }));
    return added === 4; // a handshake first
  };
  assertEquals([opens("0.0.0.1:0"), opens("9.9.9.9:9"), opens("0.0.0.1:1"), opens("0.0.0.1:0")], [
    false,
    true,
    false,
    true,
  ]);
  await Deno.remove(path);
});

Deno.test("capture file: its blocks, byte by byte (pcapng)", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, hex("aa"));
  const file = new CaptureFile(path);
  file.add(2 ** 32 * 3 + 5, hex("0102030405"), "é");
  file.add(7, hex("01020304"));
  const written = await Deno.readFile(path);
  const view = new DataView(written.buffer, 1);
  const section = view.getUint32(4, true);
  assertEquals(
    written.subarray(0, 1 + 24).toHex(),
    `aa 0a0d0d0a ${written.subarray(5, 9).toHex()} 4d3c2b1a 0100 0000 ffffffffffffffff`.replaceAll(" ", ""),
  );
  const comment = view.getUint16(26, true);
  assertEquals([view.getUint16(24, true), section % 4], [1, 0]);
  const after = 28 + Math.ceil(comment / 4) * 4;
  assertEquals(
    written.subarray(1 + after, 1 + section).toHex(),
    `0400 0900 ${bytes("socketlab").toHex()} 000000 00000000 ${written.subarray(5, 9).toHex()}`.replaceAll(" ", ""),
  );
  assertEquals(
    written.subarray(1 + section).toHex(),
    (`01000000 20000000 6500 0000 00000000 0900 0100 06000000 00000000 20000000` +
      "06000000 34000000 00000000 03000000 05000000 05000000 05000000 0102030405000000 0100 0200 c3a90000 00000000 34000000" +
      "06000000 24000000 00000000 00000000 07000000 04000000 04000000 01020304 24000000").replaceAll(" ", ""),
  );
  using console = new Captured();
  using _ = stub(Deno.FsFile.prototype, "writeSync", () => {
    throw new Error("no space");
  });
  file.add(1, hex("00"));
  file.add(1, hex("00"));
  assertEquals(console.error, ["the capture ends here: no space"], "once, and the exchange goes on");
  await Deno.remove(path);
});

Deno.test("trace: one event as JSON and as text", () => {
  const shown = (more: Partial<Event>) => formatText(event(more));
  const head = "08:00:00.000 192.0.2.1:5 → 192.0.2.2:7  ";
  assertEquals(JSON.parse(formatJson(event({ data: hex("00ff"), note: "n" }))), {
    ...{ t: 1_800_000_000_000_000, side: "client", transport: "tcp", from: "192.0.2.1:5", to: "192.0.2.2:7" },
    ...{ bytes: 2, data: "AP8=", note: "n" },
  });
  assertEquals(shown({ from: "", to: "", note: "network: perfect" }), ["08:00:00.000  network: perfect"]);
  assertEquals(shown({ from: "", note: "x" }), ["08:00:00.000  → 192.0.2.2:7  x"]);
  assertEquals([shown({}), shown({ note: "FIN" }), shown({ note: "RST" }), shown({ note: "x\x1b" })].flat(), [
    ...["0 bytes", "end of stream (FIN)", "reset (RST)", "x\\x1b"].map((text) => head + text),
  ]);
  assertEquals(shown({ data: bytes("a\tb\r\n"), note: "FIN" }), [
    `${head}5 bytes  end of stream (FIN)`,
    '    "a\\tb\\r\\n"',
  ]);
  assertEquals(shown({ data: bytes("x".repeat(512)) })[1], `    "${"x".repeat(512)}"`);
  assertEquals(shown({ data: bytes("x".repeat(513)) })[1], `    "${"x".repeat(512)}" … and 1 more`);
  assertEquals(shown({ data: bytes("x".repeat(511) + "é") })[1], `    "${"x".repeat(511)}" … and 1 more`);
  const all = Uint8Array.from({ length: 600 }, (_, i) => i);
  const lines = shown({ data: all });
  assertEquals([lines.length, lines[1], lines.at(-1)], [
    ...[34, "    0000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................", "    … and 88 more"],
  ]);
  assertEquals(
    [lines[3]?.slice(-17), lines[8]?.slice(-17)],
    ["  !\"#$%&'()*+,-./", " pqrstuvwxyz{|}~."],
  );
  assertEquals(shown({ data: hex("000a7f") })[1], `    0000  00 0a 7f${" ".repeat(39)}  ...`);
  for (const binary of ["08", "0b", "0c", "0e", "1f", "7f", "ff"]) {
    assert(shown({ data: hex(binary) })[1]?.startsWith("    0000"), binary);
  }
  for (const plain of ["09", "0a", "0d", "20", "c3a9"]) {
    assert(shown({ data: hex(plain) })[1]?.startsWith('    "'), plain);
  }
});
