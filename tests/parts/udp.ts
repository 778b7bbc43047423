/**
 * The parts of `udp/` that parse, decide and count, without a process: the chat's lines, TFTP's packets, transfers and files, and
 * the memory that recvmmsg and sendmmsg work on. `udp_test.ts` imports it.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { SystemCalls, SystemError } from "../../tcp/_system_calls.ts";
import {
  answers,
  formatReply,
  formatRequest,
  nameError,
  parseReply,
  parseRequest,
  refusals,
  type Reply,
  type Request,
} from "../../udp/_chat_message.ts";
import { DatagramBatch } from "../../udp/_datagram_batch.ts";
import { localAddress } from "../../udp/_local_address.ts";
import { BATCH, copyName, HEADER, Messages, NAME, SLOT } from "../../udp/_message_headers.ts";
import { Room } from "../../udp/_room.ts";
import { asNetascii, fromNetascii, locate, openSource, Refusal, Upload } from "../../udp/_tftp_files.ts";
import {
  acceptTerms,
  decode,
  encode,
  errorCodes,
  negotiate,
  type Packet,
  PacketError,
  plainTerms,
  wholeNumber,
} from "../../udp/_tftp_message.ts";
import { dally, Link, receiveFile, sendFile, type Sink, type Source, TRIES } from "../../udp/_tftp_transfer.ts";
import { Captured, stub, Timers } from "../support/stub.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(/\s/g, ""));
const bytes = (text: string) => new TextEncoder().encode(text);
const windows = Deno.build.os === "windows";

Deno.test("chat: each line of a client, at its limits", () => {
  for (
    const [text, expected] of [
      ["hi\r\n", { kind: "message", text: "hi" }],
      ["hi\n", { kind: "message", text: "hi" }],
      ["hi\r", { kind: "message", text: "hi\\r" }],
      ["hi\n\n", { kind: "message", text: "hi\\n" }],
      ["12345678", { kind: "message", text: "12345678" }],
      ["123456789", { kind: "too long" }],
      ["", { kind: "hello" }],
      ["\r\n", { kind: "hello" }],
      ["/say 1 a", { kind: "message", text: "a", id: 1 }],
      ["/who x", { kind: "who" }],
      ["/quit", { kind: "quit" }],
      ["/name a", { kind: "name", name: "a" }],
      ["/name", { kind: "name", name: "" }],
      ["/say x y", { kind: "unknown", command: "/say" }],
      ["/", { kind: "unknown", command: "/" }],
    ] as const
  ) assertEquals<Request>(parseRequest(bytes(text), 8), expected, text);
  assertEquals(parseRequest(bytes("/say 999999999 a"), 99), { kind: "message", text: "a", id: 999_999_999 });
  assertEquals(parseRequest(bytes("/say 1000000000 a"), 99), { kind: "unknown", command: "/say" });
  const lines: (readonly [Request, string])[] = [
    ...[[{ kind: "message", text: "a" }, "a"], [{ kind: "message", text: "a", id: 0 }, "/say 0 a"]] as const,
    ...[[{ kind: "name", name: "b" }, "/name b"], [{ kind: "who" }, "/who"], [{ kind: "quit" }, "/quit"]] as const,
    ...[[{ kind: "unknown", command: "/x" }, "/x"], [{ kind: "hello" }, ""], [{ kind: "too long" }, ""]] as const,
  ];
  for (const [request, line] of lines) assertEquals(formatRequest(request), line);
  assertEquals([nameError("abcd", 4), nameError("a", 4), nameError("a0_.-", 5)], [undefined, undefined, undefined]);
  assertEquals(nameError("abcde", 4), "a name has at most 4 characters");
  for (const wrong of ["", "0a", "-a", "a b", "ä", "a:"]) {
    assertEquals(nameError(wrong, 4), "a name is a letter, then letters, digits, - _ or .", wrong);
  }
});

Deno.test("chat: each line of the server, both ways, and what it answers", () => {
  const lines: [string, Reply][] = [
    ["anna: hi: x", { kind: "message", name: "anna", text: "hi: x" }],
    ["hi", { kind: "message", name: "", text: "hi" }],
    ["#999999999 anna: hi", { kind: "echo", id: 999_999_999, name: "anna", text: "hi" }],
    ["#0 anna: ", { kind: "echo", id: 0, name: "anna", text: "" }],
    ["#1 hi", { kind: "echo", id: 1, name: "", text: "hi" }],
    ["#1000000000 a: hi", { kind: "message", name: "", text: "#1000000000 a: hi" }],
    ["* you are anna", { kind: "welcome", name: "anna" }],
    ["* here: anna, bob and 12 more", { kind: "members", names: ["anna", "bob"], more: 12 }],
    ["* here: anna", { kind: "members", names: ["anna"], more: 0 }],
    ["* bye", { kind: "bye" }],
    ["* a name x", { kind: "refused", request: "name", text: "a name x" }],
    ["* the name x is taken", refusals.name("the name x is taken")],
    ["* too long: at most 9 bytes", refusals.tooLong(9)],
    ["* the chat is full (3 clients): try again later", refusals.full(3)],
    ["* the names", { kind: "notice", text: "the names" }],
    ["* ", { kind: "notice", text: "" }],
    ["*", { kind: "message", name: "", text: "*" }],
  ];
  for (const [line, reply] of lines) {
    assertEquals(parseReply(bytes(line)), reply, line);
    assertEquals(formatReply(reply), line);
  }
  const say = { kind: "message", text: "x", id: 1 } as const;
  const requests: Request[] = [say, { kind: "name", name: "a" }, { kind: "who" }, { kind: "quit" }, { kind: "hello" }];
  const answered = (line: string) =>
    requests.filter((each) => answers(parseReply(bytes(line)), each)).map((r) => r.kind);
  for (
    const [line, kinds] of [
      ["#1 a: x", ["message"]],
      ["#2 a: x", []],
      ["a: x", []],
      ["* you are a", ["name"]],
      ["* a name x", ["name"]],
      ["* here: a", ["who"]],
      ["* bye", ["quit"]],
      ["* too long: x", ["message", "name", "who", "hello"]],
      ["* x left", []],
    ] as const
  ) assertEquals(answered(line), [...kinds], line);
});

Deno.test("room: who is in it, at its limits", () => {
  using _ = stub(Date, "now", () => 77);
  const at = (port: number): Deno.NetAddr => ({ transport: "udp", hostname: "::1", port });
  const room = new Room(2);
  const [a, b] = [room.join(at(1)), room.join(at(2))];
  if (!a || !b) throw new Error("there is room for two");
  assertEquals(a, { addr: at(1), place: "[::1]:1", name: "[::1]:1", lastSeen: 77, lastSequence: 0 });
  assertEquals([room.join(at(3)), room.find(at(1)) === a, room.find(at(3))], [undefined, true, undefined]);
  [a.name, b.name] = ["anna", "bob"];
  assertEquals([room.isTaken("BOB", a), room.isTaken("bob", b), room.isTaken("x", a)], [true, false, false]);
  assertEquals([room.names(11), room.names(10), room.names(6), room.names(5)], [
    ...[{ names: ["anna", "bob"], more: 0 }, { names: ["anna"], more: 1 }],
    ...[{ names: ["anna"], more: 1 }, { names: [], more: 2 }],
  ]);
  assertEquals([room.leave(a), room.leave(a), room.find(at(1)), [...room.members()]], [true, false, undefined, [b]]);
  assertEquals(room.join(at(3))?.place, "[::1]:3");
});

Deno.test("address: which one to bind for a server", () => {
  assertEquals(["127.0.0.1", "127.9.9.9", "localhost"].map(localAddress), ["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
  assertEquals(["::1", "2001:db8::1", "192.0.2.1", "localhost.x", "1.127.0.1"].map(localAddress), [
    ...["::1", "::", "0.0.0.0", "0.0.0.0", "0.0.0.0"],
  ]);
});

Deno.test("TFTP: packets, byte by byte (RFC 1350 §5, RFC 2347)", () => {
  const none = new Map<string, string>();
  const packets: [Packet, string][] = [
    [{ kind: "read", file: "ä", mode: "octet", options: none }, "0001 c3a4 00 6f63746574 00"],
    [
      { kind: "write", file: "b", mode: "x", options: new Map([["a", "1"], ["c", ""]]) },
      "0002 6200 7800 6100 3100 6300 00",
    ],
    [{ kind: "data", block: 0xfedc, data: hex("0102") }, "0003 fedc 0102"],
    [{ kind: "data", block: 0, data: hex("") }, "0003 0000"],
    [{ kind: "ack", block: 0x0102 }, "0004 0102"],
    [{ kind: "error", code: 0x0103, text: "ü" }, "0005 0103 c3bc 00"],
    [{ kind: "options", options: new Map([["a", "1"]]) }, "0006 6100 3100"],
  ];
  for (const [packet, text] of packets) {
    assertEquals(encode(packet).toHex(), text.replaceAll(" ", ""));
    assertEquals(decode(hex(text)), packet, text);
  }
  assertEquals(decode(hex("0005 0001 61 00 62")), { kind: "error", code: 1, text: "a" }, "up to its zero byte");
  assertEquals(decode(hex("0001 61 00 4f")), { kind: "read", file: "a", mode: "o", options: none }, "without the last");
  assertEquals(decode(hex("0006 4100 3100 61 00 32 00 62 00")), { kind: "options", options: new Map([["a", "1"]]) });
  for (
    const [wrong, why] of [
      ...[["", "a packet has at least four bytes"], ["000401", "a packet has at least four bytes"]],
      ...[["0001 00 6f", "a request has the name of a file and a mode"], ["0002 61 00", "a request has"]],
      ...[["0000 0000", "there is no opcode 0"], ["0007 0000", "there is no opcode 7"]],
      ...[["0103 0001", "there is no opcode 259"]],
    ] as const
  ) assertThrows(() => decode(hex(wrong)), PacketError, why);
});

Deno.test("TFTP: options, at the limits of RFC 2348, 2349 and 7440", () => {
  const number = (text: string | undefined) => wholeNumber(text, 5, 10);
  assertEquals(["5", "10", "0007"].map(number), [5, 10, 7]);
  assertEquals(
    ["4", "11", "", "-5", "5.0", "5x", "00000000000000005", undefined].map(number),
    Array(8).fill(undefined),
  );
  const limits = { blockSize: 1468, window: 16, timeout: 3 };
  const agreed = (asked: Record<string, string>, size?: number) => {
    const { terms: { blockSize, window, timeout }, answer } = negotiate(new Map(Object.entries(asked)), limits, size);
    return `${blockSize} ${window} ${timeout} ${[...answer].map((each) => each.join("="))}`;
  };
  for (
    const [asked, expected] of [
      [{}, "512 1 3 "],
      [{ blksize: "8" }, "8 1 3 blksize=8"],
      [{ blksize: "7" }, "512 1 3 "],
      [{ blksize: "65464" }, "1468 1 3 blksize=1468"],
      [{ blksize: "65465" }, "512 1 3 "],
      [{ windowsize: "1" }, "512 1 3 windowsize=1"],
      [{ windowsize: "65535" }, "512 16 3 windowsize=16"],
      [{ windowsize: "0" }, "512 1 3 "],
      [{ windowsize: "65536" }, "512 1 3 "],
      [{ timeout: "1" }, "512 1 1 timeout=1"],
      [{ timeout: "3" }, "512 1 3 timeout=3"],
      [{ timeout: "4" }, "512 1 3 "],
      [{ timeout: "255" }, "512 1 3 "],
      [{ timeout: "0" }, "512 1 3 "],
      [{ timeout: "256" }, "512 1 3 "],
      [{ tsize: "0" }, "512 1 3 tsize=0"],
      [{ tsize: "9007199254740991" }, "512 1 3 tsize=9007199254740991"],
      [{ tsize: "9007199254740992" }, "512 1 3 "],
      [{ other: "1" }, "512 1 3 "],
    ] as const
  ) assertEquals(agreed(asked), expected);
  assertEquals(agreed({ tsize: "0" }, 0), "512 1 3 tsize=0");
  assertEquals(agreed({ tsize: "5" }, 77), "512 1 3 tsize=77");
  const accepted = (answer: Record<string, string>, asked = limits) => {
    const terms = acceptTerms(new Map(Object.entries(answer)), asked);
    return terms && `${terms.blockSize} ${terms.window} ${terms.timeout}`;
  };
  assertEquals([accepted({}), accepted({ blksize: "8", windowsize: "16" })], ["512 1 3", "8 16 3"]);
  assertEquals([accepted({ blksize: "1468" }), accepted({ blksize: "1469" })], ["1468 1 3", undefined]);
  assertEquals([accepted({ windowsize: "17" }), accepted({ windowsize: "0" }), accepted({ blksize: "7" })], [
    ...[undefined, undefined, undefined],
  ]);
  const huge = { ...limits, blockSize: 70_000, window: 70_000 };
  assertEquals(
    [
      accepted({ blksize: "65464" }, huge),
      accepted({ blksize: "65465" }, huge),
      accepted({ windowsize: "65536" }, huge),
    ],
    ["65464 1 3", undefined, undefined],
  );
  const small = { ...limits, blockSize: 100 };
  assertEquals(
    [accepted({}, small), accepted({ blksize: "101" }, small)],
    ["512 1 3", "101 1 3"],
    "512 needs no option",
  );
  assertEquals(plainTerms, { blockSize: 512, window: 1, timeout: 1 });
});

const peer: Deno.NetAddr = { transport: "udp", hostname: "192.0.2.1", port: 69 };

/** A socket, its network and the clock: what arrives, and when, is up to the test. */
class Wire implements Deno.DatagramConn {
  now = 1000;
  readonly sent: { packet: Packet; to: Deno.Addr }[] = [];
  closed = false;
  /** What the other side does with a packet. */
  onPacket: (packet: Packet) => void = () => {};
  readonly addr: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: 1 };
  readonly #waiting: [Uint8Array<ArrayBuffer>, Deno.Addr][] = [];
  #receiver: ((datagram: [Uint8Array<ArrayBuffer>, Deno.Addr]) => void) | undefined;
  readonly #timers = new Timers();
  readonly #clock = stub(performance, "now", () => this.now);

  /** A datagram arrives. */
  deliver(packet: Packet | string, from: Deno.Addr = peer): void {
    const datagram = typeof packet === "string" ? hex(packet) : Uint8Array.from(encode(packet));
    if (this.#receiver) this.#receiver([datagram, from]);
    else this.#waiting.push([datagram, from]);
    this.#receiver = undefined;
  }

  /** Time passes, and nothing arrives. Nothing is left waiting, either: promises settle first. */
  async pass(ms: number): Promise<void> {
    for (let i = 0; i < 20; i++) await Promise.resolve();
    this.now += ms;
    for (const { run, delay } of this.#timers.started) if (delay === 20) run();
    for (let i = 0; i < 20; i++) await Promise.resolve();
  }

  receive(): Promise<[Uint8Array<ArrayBuffer>, Deno.Addr]> {
    const next = this.#waiting.shift();
    return next ? Promise.resolve(next) : new Promise((resolve) => this.#receiver = resolve);
  }

  send(datagram: Uint8Array, to: Deno.Addr): Promise<number> {
    const packet = decode(datagram.slice());
    this.sent.push({ packet, to });
    this.onPacket(packet);
    return Promise.resolve(datagram.length);
  }

  /** What was sent since the last call, in short: `data 1 (512)`, `ack 1`. */
  take(): string {
    return this.sent.splice(0).map(({ packet }) => {
      if (packet.kind === "data") return `data ${packet.block} (${packet.data.length})`;
      return packet.kind === "ack" ? `ack ${packet.block}` : packet.kind;
    }).join(", ");
  }

  close(): void {
    this.closed = true;
  }
  joinMulticastV4 = () => Promise.reject(new Error("none"));
  joinMulticastV6 = () => Promise.reject(new Error("none"));
  async *[Symbol.asyncIterator](): AsyncGenerator<[Uint8Array<ArrayBuffer>, Deno.Addr]> {
    while (!this.closed) yield await this.receive();
  }
  [Symbol.dispose](): void {
    this.#timers[Symbol.dispose]();
    this.#clock[Symbol.dispose]();
  }
}

const source = (size: number): Source => ({
  size,
  read: (offset, length) => Promise.resolve(new Uint8Array(Math.min(length, size - offset)).fill(offset % 251)),
});
const ack = (block: number): Packet => ({ kind: "ack", block });
const data = (block: number, length = 8): Packet => ({ kind: "data", block, data: new Uint8Array(length) });
const terms = (window: number, blockSize = 8) => ({ blockSize, window, timeout: 2 });

/** The failure of a promise. */
const failure = async (promise: Promise<unknown>) => (await assertRejects(() => promise, Failure)).message;

Deno.test("TFTP: a file is sent block by block; the last is shorter, or empty", async () => {
  for (
    const [size, blocks] of [[0, "1 (0)"], [7, "1 (7)"], [8, "1 (8), data 2 (0)"], [
      17,
      "1 (8), data 2 (8), data 3 (1)",
    ]] as const
  ) {
    using wire = new Wire();
    wire.onPacket = (packet) => packet.kind === "data" && wire.deliver(ack(packet.block));
    wire.now = 5;
    const report = await sendFile(new Link(wire, peer, true), source(size), terms(1));
    assertEquals(wire.take(), `data ${blocks}`);
    assertEquals(report, { bytes: size, blocks: Math.floor(size / 8) + 1, resent: 0, ended: 5 });
  }
});

Deno.test("TFTP: a block that is not acknowledged is sent again, five times in all", async () => {
  using wire = new Wire();
  const sending = failure(sendFile(new Link(wire, peer, true), source(17), terms(1)));
  await wire.pass(1999);
  assertEquals(wire.take(), "data 1 (8)");
  await wire.pass(1);
  assertEquals(wire.take(), "data 1 (8)");
  wire.deliver(data(1)); // no acknowledgement, and its time goes on
  wire.deliver(ack(2)); // of a block that was not sent
  wire.deliver(ack(0)); // of the block before, again: it would double what follows
  await wire.pass(2000);
  assertEquals(wire.take(), "data 1 (8)");
  wire.deliver(ack(1));
  await wire.pass(0);
  assertEquals(wire.take(), "data 2 (8)");
  for (let i = 1; i < TRIES; i++) {
    await wire.pass(2000);
    assertEquals(wire.take(), "data 2 (8)");
  }
  await wire.pass(2000);
  assertEquals([wire.take(), await sending, TRIES], ["", "192.0.2.1:69 has not acknowledged block 2", 5]);
});

Deno.test("TFTP: a window of blocks, and a gap in it", async () => {
  using wire = new Wire();
  const sending = sendFile(new Link(wire, peer, true), source(44), terms(3));
  const step = async (...packets: Packet[]) => {
    for (const each of packets) {
      wire.deliver(each);
      await wire.pass(0);
    }
    return wire.take();
  };
  assertEquals(await step(ack(9)), "data 1 (8), data 2 (8), data 3 (8)");
  assertEquals(await step(ack(1)), "data 2 (8), data 3 (8), data 4 (8)");
  assertEquals(await step(ack(1)), "data 2 (8), data 3 (8), data 4 (8)", "block 2 is missing");
  assertEquals(await step(ack(1), ack(0), ack(65_535)), "", "once");
  assertEquals(await step(ack(4)), "data 5 (8), data 6 (4)");
  assertEquals(await step(ack(7)), "", "there is no such block");
  assertEquals(await step(ack(5)), "data 6 (4)");
  assertEquals(await step(ack(5)), "data 6 (4)", "another gap");
  await step(ack(6));
  assertEquals({ ...await sending, ended: 0 }, { bytes: 44, blocks: 6, resent: 2 + 3 + 1 + 1, ended: 0 });
});

Deno.test("TFTP: a window that was sent twice, and acknowledged twice, does not double the next", async () => {
  using wire = new Wire();
  const sending = sendFile(new Link(wire, peer, true), source(63), terms(2));
  const after = async (ms: number, ...packets: Packet[]) => {
    for (const each of packets) wire.deliver(each);
    await wire.pass(ms);
    return wire.take();
  };
  assertEquals(await after(50), "data 1 (8), data 2 (8)");
  assertEquals(await after(0, ack(2)), "data 3 (8), data 4 (8)", "the round trip takes 50 ms");
  assertEquals(await after(2000), "data 3 (8), data 4 (8)", "nothing has come for two seconds");
  assertEquals(await after(0, ack(4)), "data 5 (8), data 6 (8)");
  assertEquals(await after(99, ack(4)), "", "the answer to the other copy");
  assertEquals(await after(0, ack(6)), "data 7 (8), data 8 (7)");
  assertEquals(await after(0, ack(6)), "data 7 (8), data 8 (7)", "blocks 5 and 6 were sent once: this is a gap");
  assertEquals(await after(0, ack(8)), "");
  assertEquals((await sending).resent, 4);
});

Deno.test("TFTP: a gap behind a window that was sent twice is found after two round trips", async () => {
  using wire = new Wire();
  const sending = sendFile(new Link(wire, peer, true), source(47), terms(2));
  const after = async (ms: number, ...packets: Packet[]) => {
    for (const each of packets) wire.deliver(each);
    await wire.pass(ms);
    return wire.take();
  };
  await after(50);
  assertEquals(await after(0, ack(2)), "data 3 (8), data 4 (8)");
  assertEquals(await after(2000), "data 3 (8), data 4 (8)");
  assertEquals(await after(99, ack(4), ack(4)), "data 5 (8), data 6 (7)");
  assertEquals(await after(1), "data 5 (8), data 6 (7)");
  wire.deliver(ack(6));
  await sending;
});

/** A sink that notes what happens to it. */
function sinkOf(): { sink: Sink; log: string[] } {
  const log: string[] = [];
  const write = (data: Uint8Array) => Promise.resolve(void log.push(`${data.length}`));
  return { log, sink: { write, finish: () => Promise.resolve(void log.push("end")) } };
}

Deno.test("TFTP: blocks are received in order, and acknowledged once a window", async () => {
  using wire = new Wire();
  const { sink, log } = sinkOf();
  const receiving = receiveFile(new Link(wire, peer, true), sink, terms(2), ack(0));
  const step = async (...packets: Packet[]) => {
    for (const each of packets) {
      wire.deliver(each);
      await wire.pass(0);
    }
    return wire.take();
  };
  assertEquals(await step(data(0)), "", "nothing was received yet");
  await wire.pass(2000);
  assertEquals(wire.take(), "ack 0", "what this side has said first, again");
  assertEquals(await step(data(1)), "");
  assertEquals(await step(data(2)), "ack 2");
  assertEquals([await step(data(2)), await step(data(2))], ["ack 2", "ack 2"], "its acknowledgement was lost");
  assertEquals(
    [await step(data(4)), await step(data(4)), await step(data(5))],
    ["ack 2", "", ""],
    "a gap is told once",
  );
  assertEquals([await step(data(3)), await step(data(6))], ["", ""], "further than the window");
  assertEquals([await step(data(5)), await step(data(4)), await step(ack(1), data(1))], ["ack 3", "", ""]);
  await wire.pass(1999);
  assertEquals(wire.take(), "");
  await wire.pass(1);
  assertEquals(wire.take(), "ack 4", "how far it has come");
  wire.now = 7;
  assertEquals(await step(data(5, 7)), "ack 5");
  assertEquals([await receiving, log], [{ bytes: 39, blocks: 5, resent: 6, ended: 7 }, [
    "8",
    "8",
    "8",
    "8",
    "7",
    "end",
  ]]);
});

Deno.test("TFTP: a block that comes again amid a window is not acknowledged on its own", async () => {
  using wire = new Wire();
  const { sink } = sinkOf();
  const receiving = receiveFile(new Link(wire, peer, true), sink, terms(3), ack(0));
  const step = async (...packets: Packet[]) => {
    for (const each of packets) wire.deliver(each);
    await wire.pass(0);
    return wire.take();
  };
  assertEquals(await step(data(1), data(2)), "");
  assertEquals(await step(data(1), data(2), data(3)), "ack 3", "the window comes again, and is whole now");
  assertEquals(await step(data(4, 1)), "ack 4");
  await receiving;
});

Deno.test("TFTP: what a receiver gives up on: silence, a block that is too long, an error, what is no packet", async () => {
  const receive = (wire: Wire) => failure(receiveFile(new Link(wire, peer, true), sinkOf().sink, terms(1), ack(0)));
  using silent = new Wire();
  const waiting = receive(silent);
  silent.deliver(data(1));
  await silent.pass(0);
  for (let i = 1; i < TRIES; i++) await silent.pass(2000);
  assertEquals(silent.take(), "ack 1, ack 1, ack 1, ack 1, ack 1");
  await silent.pass(2000);
  assertEquals([silent.take(), await waiting], ["", "192.0.2.1:69 has not sent block 2"]);
  for (
    const [packet, why] of [
      [data(1, 9), "192.0.2.1:69 sent a block that is too long"],
      [{ kind: "error", code: 3, text: "full\x1b" }, "192.0.2.1:69 says: full\\x1b (3)"],
      ["0009 0000", "192.0.2.1:69 sent what is no packet of TFTP: there is no opcode 9"],
    ] as const
  ) {
    using wire = new Wire();
    wire.deliver(packet);
    assertEquals(await receive(wire), why);
  }
});

Deno.test("TFTP: the last block again is answered, until it is quiet", async () => {
  using wire = new Wire();
  const dallying = dally(new Link(wire, peer, true), 65_537, 3);
  let over = false;
  dallying.then(() => over = true);
  await wire.pass(2999);
  wire.deliver(data(1));
  await wire.pass(0);
  assertEquals([wire.take(), over], ["ack 1", false]);
  await wire.pass(2999);
  wire.deliver(data(2));
  wire.deliver(ack(1));
  await wire.pass(0);
  assertEquals([wire.take(), over], ["", false]);
  await wire.pass(1);
  assertEquals(over, true);
  await dallying;
});

Deno.test("TFTP: the other side has one address, and its port is fixed by its first answer", async () => {
  using wire = new Wire();
  const link = new Link(wire, peer, false);
  const from = (port: number, hostname = peer.hostname): Deno.NetAddr => ({ transport: "udp", hostname, port });
  assertEquals(link.peerName, "192.0.2.1:69");
  wire.deliver(ack(1), { transport: "unix", path: "/x" });
  wire.deliver(ack(2), from(5000, "192.0.2.2"));
  wire.deliver(ack(3), from(5000));
  assertEquals(await link.receive(Infinity), ack(3));
  const unknown = { kind: "error", code: errorCodes.unknownTransferId, text: "unknown transfer id" } as const;
  assertEquals(wire.sent.splice(0), [{ packet: unknown, to: from(5000, "192.0.2.2") }]);
  assertEquals(link.peerName, "192.0.2.1:5000");
  wire.deliver(ack(4), from(5001));
  wire.deliver(ack(5), from(5000));
  assertEquals([await link.receive(Infinity), wire.sent.splice(0)], [ack(5), [{ packet: unknown, to: from(5001) }]]);
  await link.send(ack(6));
  assertEquals(wire.sent, [{ packet: ack(6), to: from(5000) }]);
  link.putBack(ack(7));
  wire.deliver(ack(8), from(5000));
  assertEquals([await link.receive(Infinity), await link.receive(Infinity)], [ack(7), ack(8)]);
  // A limit that has passed loses nothing: what arrives later is the next packet.
  const late = link.receive(wire.now + 5);
  await wire.pass(5);
  assertEquals(await late, undefined);
  wire.deliver(ack(9), from(5000));
  assertEquals(await link.receive(Infinity), ack(9));
  link.close();
  assertEquals(wire.closed, true);
});

/** The refusal of an action: its code and message. */
async function refused(action: Promise<unknown>): Promise<string> {
  const error: unknown = await assertRejects(() => action);
  return error instanceof Refusal ? `${error.code}: ${error.message}` : `${error}`;
}

Deno.test("TFTP: which names lead to files, and to none outside of the folder", async () => {
  const root = await Deno.makeTempDir();
  await Deno.mkdir(`${root}/in/deep`, { recursive: true });
  await Deno.mkdir(`${root}/inside`);
  const folder = `${root}/in`;
  for (const name of ["a", "a.b", "deep/a", "/a", "//deep/a", "ü", "a b"]) {
    assertEquals(await locate(folder, name), `${folder}/${name.replace(/^\/+/, "")}`);
  }
  const path = (length: number) => `deep/${"a".repeat(length - 5)}`;
  assertEquals(await locate(folder, path(255)), `${folder}/${path(255)}`);
  for (
    const name of [
      ...[
        "",
        ".",
        "..",
        "../a",
        "deep/../a",
        ".a",
        "deep//a",
        "deep/",
        "a\\b",
        "c:a",
        "a*",
        "a?",
        'a"',
        "a<",
        "a>",
        "a|",
      ],
      ...["a~1", "a\x00", "a\n", "a.", "a ", "deep/a.", path(256)],
    ]
  ) assertEquals(await refused(locate(folder, name)), "2: this name is not allowed", name);
  assertEquals(await refused(locate(folder, "none/a")), "1: no such file");
  if (!windows) {
    await Deno.symlink(`${root}/inside`, `${folder}/out`);
    await Deno.symlink(`${folder}/deep`, `${folder}/same`);
    assertEquals(await refused(locate(folder, "out/a")), "2: this name leads out of the folder");
    assertEquals(await locate(folder, "same/a"), `${folder}/same/a`);
    assertEquals(await locate("/", "a"), "//a");
  }
  await Deno.writeTextFile(`${folder}/file`, "x");
  assert(/^1: no such file|^0: the file/.test(await refused(openSource(`${folder}/file/a`))));
  await Deno.remove(root, { recursive: true });
});

Deno.test("TFTP: a file is read ahead, and what is no file is refused", async () => {
  const folder = await Deno.makeTempDir();
  const content = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
  await Deno.writeFile(`${folder}/a`, content);
  const file = await openSource(`${folder}/a`);
  let reads = 0;
  {
    const { seek } = Deno.FsFile.prototype;
    using _ = stub(Deno.FsFile.prototype, "seek", function (this: Deno.FsFile, at: number, how: Deno.SeekMode) {
      reads++;
      return seek.call(this, at, how);
    });
    assertEquals(file.size, 300_000);
    const same = async (offset: number, length: number) => {
      assertEquals(await file.read(offset, length), content.subarray(offset, offset + length), `${offset} ${length}`);
      return reads;
    };
    assertEquals([await same(0, 512), await same(512, 512), await same(262_143, 1), await same(0, 1)], [1, 1, 1, 1]);
    assertEquals(await same(262_143, 2), 2, "half of it was not read ahead");
    assertEquals([await same(299_999, 512), await same(300_000, 512), await same(262_142, 1)], [2, 2, 3]);
    assertEquals(await same(0, 300_000), 4, "more than is read ahead");
  }
  await Deno.truncate(`${folder}/a`, 10);
  const shorter = await openSource(`${folder}/a`);
  await Deno.truncate(`${folder}/a`, 5);
  assertEquals(await refused(shorter.read(0, 10)), "0: the file became shorter");
  for (const each of [file, shorter]) each.close();
  assertEquals(await refused(openSource(folder)), "2: this is no file");
  assertEquals(await refused(openSource(`${folder}/none`)), "1: no such file");
  for (
    const [error, expected] of [
      [new Deno.errors.NotADirectory("x"), "1: no such file"],
      [new Deno.errors.PermissionDenied("x"), "2: this file may not be used"],
      [new Deno.errors.NotCapable("x"), "2: this file may not be used"],
      [Object.assign(new Error("x"), { code: "EIO" }), "0: the file system refused"],
      [new TypeError("a bug"), "TypeError: a bug"],
    ] as const
  ) {
    using _ = stub(Deno, "open", () => Promise.reject(error));
    assertEquals(await refused(openSource(`${folder}/a`)), expected);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("TFTP: a file that arrives has its name when it is whole, and replaces none", async () => {
  const folder = await Deno.makeTempDir();
  const names = () =>
    [...Deno.readDirSync(folder)].map(({ name }) => name.replace(/^\.[\da-f-]{36}\.part$/, "part")).sort();
  const whole = await Upload.create(`${folder}/a`, 4);
  await whole.write(bytes("ab"));
  assertEquals(names(), ["part"]);
  await whole.write(bytes("cd"));
  await whole.finish();
  await whole.discard();
  assertEquals([names(), await Deno.readTextFile(`${folder}/a`)], [["a"], "abcd"]);
  assertEquals(await refused(Upload.create(`${folder}/a`, 4)), "6: the file exists");
  const long = await Upload.create(`${folder}/b`, 4);
  await long.write(bytes("abcd"));
  assertEquals(await refused(long.write(bytes("e"))), "3: a file may have 4 bytes");
  await long.discard();
  await long.discard();
  assertEquals(names(), ["a"]);
  const taken = await Upload.create(`${folder}/c`, 4);
  await Deno.writeTextFile(`${folder}/c`, "first");
  assertEquals(await refused(taken.finish()), "6: the file exists");
  assertEquals([names(), await Deno.readTextFile(`${folder}/c`)], [["a", "c"], "first"]);
  assertEquals(await refused(Upload.create(`${folder}/none/d`, 4)), "1: no such file");
  const broken = await Upload.create(`${folder}/d`, 4);
  {
    const full = Object.assign(new Error("no space"), { code: "ENOSPC" });
    using _ = stub(broken.file, "write", () => Promise.reject(full));
    assertEquals(await refused(broken.write(bytes("a"))), "0: the file system refused");
  }
  {
    using _ = stub(Deno, "link", () => Promise.reject(new Deno.errors.PermissionDenied("x")));
    assertEquals(await refused(broken.finish()), "2: this file may not be used");
  }
  assertEquals(names(), ["a", "c"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("TFTP: netascii, both ways, also when a CR is the last byte of a block", async () => {
  let closed = 0;
  const of = (content: Uint8Array, size = content.length) => ({
    ...{ size, close: () => void closed++ },
    read: (offset: number, length: number) => Promise.resolve(content.subarray(offset, offset + length)),
  });
  const text = await asNetascii(of(bytes("a\nb\r\rc\n")));
  assertEquals(text.size, 11);
  assertEquals([await text.read(0, 100), await text.read(2, 3)], [bytes("a\r\nb\r\0\r\0c\r\n"), bytes("\nb\r")]);
  text.close();
  assertEquals(closed, 1);
  const most = 16 * 1024 * 1024;
  assertEquals(await refused(asNetascii(of(hex(""), most + 1))), "0: too long for netascii: use the mode octet");
  assertEquals((await asNetascii(of(hex(""), most))).size, 0);
  const back = fromNetascii();
  const parts = ["a\r", "\nb\r", "\0\r\0c\r", "d\r\r\n", "\r", "\r", "\n"].map((part) =>
    new TextDecoder().decode(back(bytes(part)))
  );
  assertEquals(parts, ["a", "\nb", "\r\rc", "\rd\r\n", "", "\r", "\n"]);
});

/** The C library and the kernel, as recvmmsg and sendmmsg see them: addresses lead into the memory of the program. */
class Kernel {
  readonly calls: string[] = [];
  readonly waiting: { from: Uint8Array; data: Uint8Array }[] = [];
  readonly sent: string[] = [];
  /** Results of the next calls of `sendmmsg`, `poll_here`. */
  readonly taken: number[] = [];
  readonly ready: number[] = [];
  errno = 11;
  readonly #memory: ArrayBuffer[] = [];
  readonly #stubs = [
    stub(Deno, "dlopen", () => ({ symbols: this.#symbols, close: () => {} })),
    stub(Deno.permissions, "requestSync", () => ({ state: "granted" })),
    stub(Deno.UnsafePointer, "of", (memory: ArrayBuffer) => memory),
    stub(Deno.UnsafePointer, "value", (memory: ArrayBuffer) => {
      if (!this.#memory.includes(memory)) this.#memory.push(memory);
      return BigInt(this.#memory.indexOf(memory) + 1) << 32n;
    }),
    stub(Deno, "UnsafePointerView", this.#view()),
  ];

  #view() {
    const errno = () => this.errno;
    return class {
      getInt32 = errno;
    };
  }

  /** The bytes at an address. */
  #at(address: bigint, length: number): Uint8Array {
    const memory = this.#memory[Number(address >> 32n) - 1];
    if (!memory) throw new Error(`no memory at ${address}`);
    return new Uint8Array(memory, Number(address & 0xffff_ffffn), length);
  }

  /** A struct mmsghdr: the address, the one struct iovec, and the length that was moved. */
  #message(headers: Uint8Array, index: number) {
    const view = new DataView(headers.buffer, headers.byteOffset + index * 64, 64);
    if (view.getBigUint64(24, true) !== 1n) throw new Error("one iovec was expected");
    const vector = this.#at(view.getBigUint64(16, true), 16);
    const { buffer, byteOffset } = vector;
    const [base, size] = [0, 8].map((at) => new DataView(buffer, byteOffset).getBigUint64(at, true));
    const name = this.#at(view.getBigUint64(0, true), view.getUint32(8, true));
    return { view, name, data: this.#at(base ?? 0n, Number(size)) };
  }

  readonly #symbols = {
    __errno_location: () => ({}),
    socket: (...args: unknown[]) => (this.calls.push(`socket ${args.join(" ")}`), 9),
    setsockopt: (...args: unknown[]) => (this.calls.push(`setsockopt ${args.join(" ")}`), 0),
    bind: (
      fd: number,
      addr: Uint8Array,
      size: number,
    ) => (this.calls.push(`bind ${fd} ${addr.toHex()} ${size}`), this.bound),
    connect: (
      fd: number,
      addr: Uint8Array,
      size: number,
    ) => (this.calls.push(`connect ${fd} ${addr.toHex()} ${size}`), 0),
    getsockname: (_fd: number, name: Uint8Array, size: Uint32Array) => (name.set(ipv4(99)), size[0] = 16, 0),
    inet_ntop: (family: number, bytes: Uint8Array, text: Uint8Array) => {
      text.set(new TextEncoder().encode(family === 2 ? bytes.subarray(0, 4).join(".") : `6.${bytes[15]}`));
      this.calls.push("inet_ntop");
    },
    recvmmsg: (fd: number, headers: Uint8Array, count: number, flags: number, timeout: unknown) => {
      this.calls.push(`recvmmsg ${fd} ${count} ${flags} ${timeout}`);
      const batch = this.waiting.splice(0, count);
      for (const [i, { from, data: sent }] of batch.entries()) {
        const { view, name, data } = this.#message(headers, i);
        assert(name.length === 32 && data.length === 65_536, "room for any address and any datagram");
        name.set(from);
        view.setUint32(8, from.length, true);
        data.set(sent);
        view.setUint32(56, sent.length, true);
      }
      return batch.length || -1;
    },
    sendmmsg: (fd: number, headers: Uint8Array, count: number, flags: number) => {
      this.calls.push(`sendmmsg ${fd} ${count} ${flags}`);
      const n = this.taken.shift() ?? count;
      for (let i = 0; i < n; i++) {
        const { name, data } = this.#message(headers, i);
        this.sent.push(`${new TextDecoder().decode(data)} to ${name.toHex()}`);
      }
      return n;
    },
    poll_here: (events: Int32Array, count: number, limit: number) => {
      this.calls.push(`poll_here ${events} ${count} ${limit}`);
      return this.ready.shift() ?? 0;
    },
    poll: (events: Int32Array, count: number, limit: number) => {
      this.calls.push(`poll ${events} ${count} ${limit}`);
      return Promise.resolve(0);
    },
    close: (fd: number) => (this.calls.push(`close ${fd}`), 0),
  };
  bound = 0;

  [Symbol.dispose](): void {
    for (const each of this.#stubs) each[Symbol.dispose]();
  }
}

/** A struct sockaddr_in: 192.0.2.1 at a port. */
const ipv4 = (port: number, last = 1) =>
  hex(`0200 ${port.toString(16).padStart(4, "0")} c000020${last} 0000000000000000`);
const linux = { ignore: Deno.build.os !== "linux" || !["x86_64", "aarch64"].includes(Deno.build.arch) };

Deno.test({
  ...linux,
  name: "datagrams: a batch is received and answered, each datagram at its own address and length",
  fn: async () => {
    using kernel = new Kernel();
    let now = 0;
    using _clock = stub(performance, "now", () => now);
    const calls = new SystemCalls();
    using _ = stub(calls, "resolve", () => Promise.resolve({ family: 2, bytes: ipv4(53) }));
    const batch = await DatagramBatch.open(calls, { hostname: "192.0.2.1", port: 53 }, { trace: "", pcap: "" });
    assertEquals(kernel.calls.splice(0), [
      `socket 2 ${2 | 0o4000} 0`,
      `setsockopt 9 1 8 ${1 << 20} 4`,
      `bind 9 ${ipv4(53).toHex()} 16`,
    ]);
    assertEquals(batch.addr, { hostname: "192.0.2.1", port: 99 });
    kernel.calls.length = 0;
    for (let i = 0; i < 70; i++) kernel.waiting.push({ from: ipv4(1000 + i, i % 3), data: bytes(`datagram ${i}`) });
    assertEquals(await batch.receive(), 64);
    const text = (i: number) => new TextDecoder().decode(batch.datagram(i));
    assertEquals([0, 1, 63].map(text), ["datagram 0", "datagram 1", "datagram 63"]);
    assertEquals([batch.sender(0), batch.sender(63)], [
      ...[{ hostname: "192.0.2.0", port: 1000 }, { hostname: "192.0.2.0", port: 1063 }],
    ]);
    kernel.calls.length = 0;
    assertEquals([0, 1, 2, 3, 4, 5].map((i) => batch.hostname(i)), [0, 1, 2, 0, 1, 2].map((n) => `192.0.2.${n}`));
    assertEquals(kernel.calls.splice(0).length, 3, "a host that was seen before is known");
    const later = batch.later(5);
    batch.reply(63, bytes("last"));
    batch.reply(2, bytes("third"));
    assertEquals(kernel.sent, []);
    batch.flush();
    assertEquals(kernel.sent.splice(0), [`last to ${ipv4(1063, 0).toHex()}`, `third to ${ipv4(1002, 2).toHex()}`]);
    assertEquals(kernel.calls.splice(0), ["sendmmsg 9 2 64"]);
    batch.reply(0, bytes("a"));
    batch.reply(1, bytes("bc"));
    batch.flush();
    assertEquals(kernel.sent.splice(0), [`a to ${ipv4(1000, 0).toHex()}`, `bc to ${ipv4(1001, 1).toHex()}`]);
    // One that cannot be sent is lost, and those behind it are not.
    kernel.taken.push(1, -1, 1);
    for (const [i, each] of ["x", "y", "z"].entries()) batch.reply(i, bytes(each));
    kernel.calls.length = 0;
    batch.flush();
    assertEquals(kernel.sent.splice(0).map((line) => line[0]), ["x", "z"]);
    assertEquals(kernel.calls.splice(0), ["sendmmsg 9 3 64", "sendmmsg 9 2 64", "sendmmsg 9 1 64"]);
    now = 3;
    assertEquals([await batch.receive(), text(0), text(5)], [6, "datagram 64", "datagram 69"]);
    later(bytes("late"));
    assertEquals(kernel.sent.splice(0), [`late to ${ipv4(1005, 2).toHex()}`]);
    await batch.close();
    later(bytes("too late"));
    assertEquals([kernel.sent, await batch.receive(), kernel.calls.at(-1)], [[], -1, "close 9"]);
  },
});

Deno.test({
  ...linux,
  name: "datagrams: how long a batch waits, what a connected socket sends and is told",
  fn: async () => {
    using kernel = new Kernel();
    let now = 0;
    using _clock = stub(performance, "now", () => now);
    const calls = new SystemCalls();
    using _ = stub(calls, "resolve", () => Promise.resolve({ family: 10, bytes: new Uint8Array(28).fill(6) }));
    const tracing = { trace: "json", pcap: "" } as const;
    const batch = await DatagramBatch.connect(calls, { hostname: "::6", port: 7 }, tracing);
    assertEquals(kernel.calls.splice(0)[2], `connect 9 ${"06".repeat(28)} 28`);
    assertEquals(await batch.receive(0), 0);
    assertEquals(kernel.calls.splice(0), ["recvmmsg 9 64 64 null"], "no time to wait");
    const waits = async (until: number) => {
      const { length } = kernel.calls;
      kernel.ready.push(0, 1);
      const receiving = batch.receive(until);
      for (let i = 0; i < 3; i++) await Promise.resolve();
      now = until;
      assertEquals(await receiving, 0);
      now = 0;
      return kernel.calls.splice(0).slice(length).filter((call) => call.startsWith("poll"));
    };
    const [here, ...there] = await waits(150.5);
    assertEquals([here, there[0]], ["poll_here 9,1 1 1", "poll 9,1 1 151"]);
    assertEquals((await waits(5000))[1], "poll 9,1 1 200", "at most a fifth of a second");
    kernel.ready.length = 0;
    kernel.ready.push(1);
    now = 6;
    kernel.waiting.push({ from: hex(""), data: bytes("x") });
    using console = new Captured();
    kernel.calls.length = 0;
    await batch.close();
    const open = await DatagramBatch.connect(calls, { hostname: "::6", port: 7 }, tracing);
    assertEquals(await open.receive(), 1);
    const [line = ""] = console.error;
    const shown = JSON.parse(line);
    assertEquals([shown.side, shown.from, shown.to, shown.note], ["client", "[::6]:7", "192.0.2.1:99", "datagram"]);
    assert(kernel.calls.includes("poll 9,1 1 0"), "after five milliseconds others have their turn");
    for (let i = 0; i < 65; i++) open.send(bytes(`${i}`));
    assertEquals(kernel.sent.length, 64, "a full batch is sent");
    assertEquals(kernel.calls.filter((call) => call.startsWith("sendmmsg")), ["sendmmsg 9 64 64"], "at once");
    open.flush();
    assertEquals([kernel.sent.length, kernel.sent[64]], [65, "64 to "]);
    assertEquals(JSON.parse(console.error.at(-1) ?? "").to, "[::6]:7");
    kernel.errno = 111;
    const refused: unknown = await assertRejects(() => open.receive());
    assert(refused instanceof SystemError && refused.message === "recvmmsg failed: ECONNREFUSED");
    kernel.bound = -1;
    kernel.errno = 98;
    await assertRejects(
      () => DatagramBatch.open(calls, { hostname: "::6", port: 7 }, tracing),
      SystemError,
      "bind failed: EADDRINUSE",
    );
    assertEquals(kernel.calls.at(-1), "close 9");
    await open.close();
  },
});

Deno.test({
  ...linux,
  name: "datagrams: the structs of recvmmsg and sendmmsg, one behind the other",
  fn: () => {
    using _kernel = new Kernel();
    assertEquals([BATCH, SLOT, NAME, HEADER], [64, 65_536, 32, 64]);
    const messages = new Messages();
    const view = new DataView(messages.headers.buffer);
    const words = (i: number) =>
      [0, 8, 16, 24, 32, 40, 48, 56].map((at) => Number(view.getBigUint64(i * 64 + at, true)));
    const [name = 0, , vector = 0] = words(0);
    for (const i of [0, 1, 63]) assertEquals(words(i), [name + 32 * i, 0, vector + 16 * i, 1, 0, 0, 0, 0]);
    messages.setNameLength(1, 28);
    view.setUint32(64 + 56, 1234, true);
    assertEquals([words(1), messages.received(1)], [[name + 32, 28, vector + 16, 1, 0, 0, 0, 1234], 1234]);
    messages.names.set(Uint8Array.from({ length: 28 }, (_, i) => i + 1), 32);
    const other = new Messages();
    copyName(messages, 1, other, 63);
    assertEquals([other.name(63), other.name(62)], [messages.name(1), new Uint8Array(32)]);
  },
});
