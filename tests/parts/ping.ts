/**
 * The parts of `ping/` that parse, decide and count, without a process and without a right: the C library and the kernel
 * behind it are played by `Kernel`, which reads and writes the structs of 64-bit Linux. `ping_test.ts` imports it.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { hostArgument } from "../../ping/_host.ts";
import { checksum, decodeMessage, encodeEchoRequest, type IpVersion, stripIpv4Header } from "../../ping/_icmp.ts";
import { elapsed, IcmpSocket, isOver, type Packet } from "../../ping/_icmp_socket.ts";
import { createLineParser } from "../../ping/_ping_output.ts";
import { hasRecvmsg, parseControl, timespec } from "../../ping/_recvmsg.ts";
import { resolve } from "../../ping/_resolve.ts";
import { identifierOf, localAddress } from "../../ping/_socket_name.ts";
import { plot, statistics, summary } from "../../ping/_statistics.ts";
import { IcmpTrace } from "../../ping/_trace.ts";
import { Captured, stub } from "../support/stub.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(/\s/g, ""));

/** The failure of an action: its code and message. */
function failure(action: () => unknown): string {
  try {
    return `no failure: ${action()}`;
  } catch (error) {
    if (error instanceof Failure) return `${error.code}: ${error.message}`;
    throw error;
  }
}

Deno.test("host: a name or an address, and nothing that is an option", () => {
  for (
    const host of ["a", "ü.example", "192.0.2.1", "::1", "fe80::1%eth0", "a-b_c.d", "1", "9a", ":"]
  ) assertEquals(hostArgument([host], false), host);
  assertEquals([hostArgument([], false), hostArgument([], true)], ["127.0.0.1", "::1"]);
  for (const wrong of ["-c", "", ".a", "_a", "a b", "a\x1b", "%a", "a/b"]) {
    const shown = wrong.replace("\x1b", "\\x1b");
    assertEquals(failure(() => hostArgument([wrong], false)), `2: ${shown} is not a host name or address`);
  }
  assertEquals(failure(() => hostArgument(["a", "b"], false)), "2: give one host, not a b");
});

Deno.test("resolve: addresses of both versions, names, and what is none", async () => {
  assertEquals(await resolve("192.0.2.1", 6), { version: 4, bytes: Uint8Array.of(192, 0, 2, 1) });
  assertEquals(await resolve("::1", 4), { version: 6, bytes: hex(`${"00".repeat(15)}01`) });
  assertEquals(await resolve("localhost", 4), { version: 4, bytes: Uint8Array.of(127, 0, 0, 1) });
  const error = await assertRejects(() => resolve("a..b\x1b", 6), Failure);
  assertEquals(error.message, "no IPv6 address found for a..b\\x1b: check the name");
});

/** A message with its checksum. */
function summed(version: IpVersion, bytes: Uint8Array): Uint8Array {
  if (version === 6) return bytes;
  bytes.set([0, 0], 2);
  const sum = checksum(bytes);
  bytes.set([sum >> 8, sum & 255], 2);
  return bytes;
}

const echo = { identifier: 0x8001, sequence: 0xff02, payload: hex("a1a2a3") };
const request = { 4: encodeEchoRequest(4, echo), 6: encodeEchoRequest(6, echo) };

/** The IP header of a packet that an error quotes: with IPv4 perhaps with options. */
const header = {
  4: (options = 0) =>
    hex(`4${(5 + options).toString(16)} 00 0000 0000 0000 3d 01 0000 c0000201 c0000202 ${"00".repeat(4 * options)}`),
  6: () => hex(`6 0000000 0000 3a 40 ${"00".repeat(32)}`),
};

Deno.test("ICMP: requests and replies, byte by byte, and the checksum of RFC 1071", () => {
  assertEquals(request[4].toHex(), "0800" + "3458" + "8001" + "ff02" + "a1a2a3");
  assertEquals(request[6].toHex(), "8000" + "0000" + "8001" + "ff02" + "a1a2a3");
  assertEquals([checksum(hex("0001f203f4f5f6f7")), checksum(hex("")), checksum(hex("01"))], [0x220d, 0xffff, 0xfeff]);
  assertEquals([checksum(hex("ffff0001")), checksum(hex("ffff")), checksum(hex("fffe0001"))], [0xfffe, 0, 0]);
  assertEquals(checksum(hex("ffffffff0001")), 0xfffe, "a carry may cause another one");
  for (const version of [4, 6] as const) {
    const reply = summed(version, request[version].with(0, version === 4 ? 0 : 129));
    assertEquals(decodeMessage(version, reply), { kind: "reply", echo });
    assertEquals(decodeMessage(version, request[version]), { kind: "other" }, "our own, on loopback");
    assertEquals(decodeMessage(version, reply.subarray(0, 7)), { kind: "other" });
    const short = summed(version, reply.slice(0, 8));
    assertEquals(decodeMessage(version, short), { kind: "reply", echo: { ...echo, payload: hex("") } });
    const damaged = decodeMessage(version, reply.with(10, 0)).kind;
    assertEquals(damaged, version === 4 ? "other" : "reply", "with IPv6 the kernel has checked it");
  }
});

Deno.test("ICMP: the errors of both versions, and the request that they quote", () => {
  const told = (version: IpVersion, type: number, code: number, quoted: Uint8Array) => {
    const bytes = new Uint8Array(8 + quoted.length);
    bytes.set([type, code]);
    bytes.set(quoted, 8);
    const message = decodeMessage(version, summed(version, bytes));
    if (message.kind !== "error") return message.kind;
    assertEquals([message.echo.identifier, message.echo.sequence], [echo.identifier, echo.sequence]);
    return `${message.text}${message.timeExceeded ? " (time)" : ""}`;
  };
  const quote = (version: IpVersion) => Uint8Array.of(...header[version](), ...request[version]);
  const texts = {
    4: [
      ...[[11, 0, "time to live exceeded (time)"], [11, 1, "reassembly time exceeded (time)"]],
      ...["network", "host", "protocol", "port", "fragmentation needed", "source route failed", "code 6"].map(
        (what, code) => [3, code, `destination unreachable: ${what}`],
      ),
      ...[[0, 0, "reply"], [8, 0, "other"], [1, 0, "other"], [2, 0, "other"], [4, 0, "other"], [12, 0, "other"]],
    ],
    6: [
      ...[[3, 0, "time to live exceeded (time)"], [3, 1, "reassembly time exceeded (time)"], [2, 0, "packet too big"]],
      ...[
        ...["no route", "prohibited", "beyond scope", "address", "port", "source address failed policy"],
        ...["route rejected", "code 7"],
      ].map((what, code) => [1, code, `destination unreachable: ${what}`]),
      ...[[128, 0, "other"], [4, 0, "other"], [0, 0, "other"], [11, 0, "other"]],
    ],
  } as const;
  for (const version of [4, 6] as const) {
    for (const [type, code, text] of texts[version]) {
      const quoted = type === 0 && version === 4 ? request[4].subarray(4) : quote(version);
      if (text !== "reply") assertEquals(told(version, Number(type), Number(code), quoted), text);
    }
    const type = version === 4 ? 11 : 3;
    const whole = quote(version);
    const size = header[version]().length;
    assert(told(version, type, 0, whole.subarray(0, size + 8)).startsWith("time"), "no payload");
    assertEquals(told(version, type, 0, whole.subarray(0, size + 7)), "other");
    assertEquals(told(version, type, 0, hex("")), "other");
    assertEquals(told(version, type, 0, whole.with(size, version === 4 ? 0 : 129)), "other", "a reply caused it");
    assertEquals(told(version, type, 0, whole.with(0, version === 4 ? 0x65 : 0x40)), "other", "another version");
    assertEquals(told(version, type, 0, whole.with(version === 4 ? 9 : 6, 17)), "other", "UDP caused it");
  }
  assert(told(4, 11, 0, Uint8Array.of(...header[4](10), ...request[4])).startsWith("time"));
});

Deno.test("ICMP: the IPv4 header before a message, with its TTL", () => {
  const strip = (bytes: Uint8Array) => {
    const found = stripIpv4Header(bytes);
    return found && `${found.ttl} ${found.message.toHex()}`;
  };
  assertEquals(strip(Uint8Array.of(...header[4](), 1, 2)), "61 0102");
  assertEquals(strip(Uint8Array.of(...header[4](10), 3)), "61 03");
  assertEquals([strip(header[4]()), strip(header[4](1).subarray(0, 23))], ["61 ", undefined]);
  for (const wrong of [header[4]().with(0, 0x44), header[4]().with(0, 0x55), header[4]().with(9, 58), hex("")]) {
    assertEquals(strip(wrong), undefined);
  }
});

/** Control messages as 64-bit Linux writes them: length, level and type, data, and padding to a multiple of 8 bytes. */
function controlBytes(...messages: [level: number, type: number, data: Uint8Array][]): Uint8Array {
  return Uint8Array.from(messages.flatMap(([level, type, data]) => {
    const view = new DataView(new ArrayBuffer(16));
    view.setBigUint64(0, BigInt(16 + data.length), true);
    view.setInt32(8, level, true);
    view.setInt32(12, type, true);
    return [...new Uint8Array(view.buffer), ...data, ...new Uint8Array((8 - data.length % 8) % 8)];
  }));
}

const stamp = hex("0100000000000000 0200000000000000"); // a second and two nanoseconds

Deno.test("recvmsg: control messages, to the last byte", () => {
  const read = (...messages: Parameters<typeof controlBytes>) => parseControl(controlBytes(...messages));
  assertEquals(read([1, 35, stamp]), { arrived: 1_000_000_002n });
  assertEquals([read([0, 2, hex("40000000")]), read([41, 52, hex("ffffffff")])], [{ ttl: 64 }, { ttl: -1 }]);
  assertEquals(read([0, 2, hex("40000000")], [1, 35, stamp]), { ttl: 64, arrived: 1_000_000_002n });
  assertEquals(read([1, 35, stamp], [41, 52, hex("07000000")]), { arrived: 1_000_000_002n, ttl: 7 });
  for (const other of [[0, 52], [41, 2], [1, 2], [2, 35], [1, 36], [0, 35]] as const) {
    assertEquals(read([...other, stamp]), {}, `${other}`);
  }
  assertEquals([read([1, 35, stamp.subarray(0, 15)]), read([0, 2, hex("400000")])], [{}, {}], "too short");
  // After an empty one, and one that fills the buffer to its last byte.
  assertEquals(read([9, 9, hex("")], [0, 2, hex("40000000")]), { ttl: 64 });
  const unpadded = controlBytes([0, 2, hex("40000000")]).subarray(0, 20);
  assertEquals([parseControl(unpadded), parseControl(unpadded.subarray(0, 19))], [{ ttl: 64 }, {}]);
  for (const length of [0, 8, 15, 25]) {
    const wrong = controlBytes([0, 2, hex("40000000")]).with(0, length);
    assertEquals(parseControl(wrong), {}, `${length}`);
  }
  assertEquals(timespec(new DataView(stamp.buffer)), 1_000_000_002n);
});

Deno.test("times: which clock counts, and when a time limit is over", () => {
  const sent = { kernel: 1_700_000_000_000_000_000n, steady: 10 };
  const at = (ns: bigint, steady: number) => ({ kernel: sent.kernel + ns, steady });
  const packet = (received: Packet["received"]): Packet => ({ from: "", message: hex(""), received });
  for (
    const [ns, steady, time] of [
      ...[[40_000n, 10.5, 0.04], [0n, 10.5, 0], [500_000n, 10.5, 0.5], [500_001n, 10.5, 0.5], [-1n, 10.25, 0.25]],
    ] as const
  ) assertEquals(elapsed(sent, at(ns, steady)), time);
  assertEquals([elapsed(sent, { steady: 12 }), elapsed({ steady: 10 }, at(40_000n, 10.5))], [2, 0.5]);
  const over = (ns: bigint) => isOver(sent, 1000, packet(at(ns, 5000)));
  assertEquals(
    [over(999_999_999n), over(1_000_000_000n)],
    [false, true],
    "by the kernel's clock, however late it is read",
  );
  const steady = (ms: number) => isOver(sent, 1000, packet({ steady: 10 + ms }));
  assertEquals([steady(999), steady(1000)], [false, true]);
  const unstamped = (ms: number) => isOver({ steady: 10 }, 1000, packet(at(0n, 10 + ms)));
  assertEquals([unstamped(999), unstamped(1000)], [false, true]);
  using _ = stub(performance, "now", () => 1010);
  assertEquals([isOver(sent, 1000), isOver(sent, 1001), elapsed(sent)], [true, false, 1000]);
});

/** The C library and the kernel: what a program sees of them through `Deno.dlopen`. */
class Kernel {
  /** Calls in their order, with their arguments as texts. */
  readonly calls: string[] = [];
  /** The packets that wait: the struct sockaddr of the sender, the bytes, and control messages. */
  readonly waiting: { from: Uint8Array; data: Uint8Array; control?: Uint8Array }[] = [];
  /** Calls that fail, by how they begin. */
  readonly refused: string[] = [];
  /** The struct sockaddr that the kernel gives to a socket. */
  name = hex("");
  readonly #base = 0x7f00_0000_1000n;
  readonly #stubs = [
    stub(Deno, "dlopen", () => ({ symbols: this.#symbols, close: () => void this.calls.push("dlclose") })),
    stub(Deno.permissions, "requestSync", () => ({ state: "granted" })),
    stub(Deno.UnsafePointer, "of", (memory: ArrayBuffer) => memory),
    stub(Deno.UnsafePointer, "value", () => this.#base),
  ];

  /** Notes a call. Returns whether it is refused. */
  #call(name: string, ...args: unknown[]): boolean {
    const call = `${name} ${args.join(" ")}`;
    this.calls.push(call);
    return this.refused.some((each) => call.startsWith(each));
  }

  readonly #symbols = {
    socket: (family: number, type: number, protocol: number) => this.#call("socket", family, type, protocol) ? -1 : 7,
    setsockopt: (fd: number, level: number, option: number, value: Int32Array, size: number) =>
      this.#call("setsockopt", fd, level, option, value, size) ? -1 : 0,
    clock_gettime: (clock: number, time: DataView) => {
      time.setBigInt64(0, 5n, true);
      time.setBigInt64(8, 6n, true);
      return this.#call("clock_gettime", clock) ? -1 : 0;
    },
    sendto: (fd: number, data: Uint8Array, length: bigint, flags: number, to: Uint8Array, size: number) => {
      const isRefused = this.#call("sendto", fd, data.subarray(0, Number(length)).toHex(), flags, to.toHex(), size);
      return isRefused || fd < 0 ? -1n : length;
    },
    recvmsg: (fd: number, header: Uint8Array, flags: number) => {
      this.#call("recvmsg", fd, flags);
      const next = this.waiting.shift();
      if (!next) return -1n;
      // struct msghdr: name and its length, iovec and how many, control and its length.
      const view = new DataView(header.buffer, header.byteOffset, 56);
      const at = (offset: number) => Number(view.getBigUint64(offset, true) - this.#base);
      const memory = new Uint8Array(header.buffer);
      assertEquals([view.getUint32(8, true), view.getBigUint64(24, true), view.getBigUint64(40, true)], [32, 1n, 256n]);
      memory.set(next.from, at(0));
      view.setUint32(8, next.from.length, true);
      const vector = new DataView(header.buffer, at(16), 16);
      const room = Number(vector.getBigUint64(8, true));
      memory.set(next.data.subarray(0, room), Number(vector.getBigUint64(0, true) - this.#base));
      const control = next.control ?? hex("");
      memory.set(control, at(32));
      view.setBigUint64(40, BigInt(control.length), true);
      return BigInt(Math.min(next.data.length, room));
    },
    recvfrom: (fd: number, room: Uint8Array, size: bigint, flags: number, from: Uint8Array, length: Uint32Array) => {
      this.#call("recvfrom", fd, size, flags, length);
      const next = this.waiting.shift();
      if (!next) return -1n;
      room.set(next.data);
      from.set(next.from);
      return BigInt(next.data.length);
    },
    poll: (events: Int32Array, count: bigint, limit: number) => {
      this.#call("poll", events, count, limit);
      return Promise.resolve(0);
    },
    close: (fd: number) => this.#call("close", fd) ? -1 : 0,
    connect: (fd: number, addr: Uint8Array, size: number) => this.#call("connect", fd, addr.toHex(), size) ? -1 : 0,
    getsockname: (fd: number, name: Uint8Array, size: Uint32Array) => {
      name.set(this.name.subarray(0, name.length));
      return this.#call("getsockname", fd, size) ? -1 : 0;
    },
  };

  [Symbol.dispose](): void {
    for (const each of this.#stubs) each[Symbol.dispose]();
  }
}

const simulated = { ignore: !hasRecvmsg || Deno.build.os !== "linux" };
const sender = {
  4: hex("0200 0000 c0000207 0000000000000000"),
  6: hex(`0a00 0000 00000000 ${"00".repeat(15)}07 00000000`),
};
const probes = (address: string) => ["clock_gettime 0", `sendto -1  0 ${address}`, "recvmsg 7 64"];

Deno.test({
  ...simulated,
  name: "socket: the numbers that the kernel is given, for both versions, and what comes back",
  fn: async () => {
    for (const version of [4, 6] as const) {
      using kernel = new Kernel();
      const socket = new IcmpSocket(version);
      const empty = version === 4 ? `0200${"00".repeat(14)} 16` : `0a00${"00".repeat(26)} 28`;
      const options = version === 4 ? ["setsockopt 7 0 12 1 4"] : ["setsockopt 7 41 51 1 4"];
      assertEquals(kernel.calls.splice(0), [
        version === 4 ? "socket 2 2 1" : "socket 10 2 58",
        "setsockopt 7 1 35 1 4",
        ...options,
        ...probes(empty),
      ]);
      assertEquals([socket.version, socket.raw], [version, false]);
      socket.setTtl(9);
      const address = version === 4 ? hex("c0000207") : hex(`${"00".repeat(15)}07`);
      const moment = socket.send(hex("0102"), address);
      assertEquals(moment.kernel, 5_000_000_006n);
      assertEquals(kernel.calls.splice(0), [
        version === 4 ? "setsockopt 7 0 2 9 4" : "setsockopt 7 41 16 9 4",
        "clock_gettime 0",
        `sendto 7 0102 0 ${sender[version].toHex()} ${sender[version].length}`,
      ]);
      const ttl: [number, number, Uint8Array] = version === 4 ? [0, 2, hex("3d000000")] : [41, 52, hex("3d000000")];
      kernel.waiting.push(
        { from: sender[version], data: request[version], control: controlBytes([1, 35, stamp], ttl) },
        { from: sender[version], data: hex("09") },
      );
      const first = await socket.receive(performance.now() + 50);
      assertEquals([first?.from, first?.ttl, first?.message], [
        version === 4 ? "192.0.2.7" : "::7",
        61,
        request[version],
      ]);
      assertEquals(first?.received.kernel, 1_000_000_002n);
      const second = await socket.receive(0);
      assertEquals([second?.ttl, second?.received.kernel, second?.message], [undefined, undefined, hex("09")]);
      assertEquals(kernel.calls.splice(0), ["recvmsg 7 64", "recvmsg 7 64"]);
      socket.close();
      assertEquals(kernel.calls, ["close 7", "dlclose"]);
    }
  },
});

Deno.test({
  ...simulated,
  name: "socket: how long it waits, and that a flood lets timers have their turn",
  fn: async () => {
    using kernel = new Kernel();
    const socket = new IcmpSocket(4);
    let now = 1000;
    using _ = stub(performance, "now", () => now);
    const waited = async (until: number) => {
      kernel.calls.length = 0;
      assertEquals(await socket.receive(until), undefined);
      return kernel.calls;
    };
    assertEquals(await waited(1050.25), ["recvmsg 7 64", "poll 7,1 1 51", "recvmsg 7 64"]);
    assertEquals((await waited(1100))[1], "poll 7,1 1 100");
    assertEquals((await waited(5000))[1], "poll 7,1 1 100", "a tenth of a second at most");
    assertEquals((await waited(900))[1], "poll 7,1 1 0");
    const flood = async (n: number) => {
      kernel.calls.length = 0;
      for (let i = 0; i < n; i++) {
        kernel.waiting.push({ from: sender[4], data: hex("01") });
        await socket.receive(++now);
      }
      return kernel.calls.filter((call) => call.startsWith("poll"));
    };
    assertEquals([await flood(63), await flood(1), await flood(63)], [[], ["poll 7,1 1 0"], []]);
    await waited(1000);
    assertEquals(await flood(63), [], "nothing came in between: the count begins again");
    socket.close();
  },
});

Deno.test({
  ...simulated,
  name: "socket: raw where others are not allowed, without the kernel's time where it has none, and what is refused",
  fn: async () => {
    {
      using kernel = new Kernel();
      kernel.refused.push("socket 2 2");
      const socket = new IcmpSocket(4);
      assertEquals([socket.raw, ...kernel.calls.slice(0, 2)], [true, "socket 2 2 1", "socket 2 3 1"]);
      kernel.waiting.push(
        { from: sender[4], data: Uint8Array.of(...header[4](1), 5, 6), control: controlBytes([0, 2, hex("07000000")]) },
        { from: sender[4], data: hex("00") },
      );
      const packet = await socket.receive(0);
      assertEquals([packet?.ttl, packet?.message], [61, hex("0506")], "behind the IP header");
      assertEquals((await socket.receive(0))?.message, hex("00"), "no IP header: as it is");
    }
    {
      using kernel = new Kernel();
      const socket = new IcmpSocket(6, true);
      assertEquals([socket.raw, kernel.calls[0]], [true, "socket 10 3 58"], "only a raw one receives errors");
      kernel.waiting.push({ from: sender[6], data: hex("4500") });
      assertEquals((await socket.receive(0))?.message, hex("4500"), "IPv6 delivers no header");
      kernel.refused.push("setsockopt 7 41 16", "sendto 7");
      assertEquals(failure(() => socket.setTtl(300)), "1: the system refuses a TTL of 300");
      const why = "1: the system cannot send to this address: is there a route, is the --size too large?";
      assertEquals(failure(() => socket.send(hex("00"), new Uint8Array(16))), why);
    }
    {
      using kernel = new Kernel();
      kernel.refused.push("setsockopt 7 1 35");
      const socket = new IcmpSocket(4);
      assertEquals(kernel.calls.filter((call) => call.startsWith("setsockopt")), ["setsockopt 7 1 35 1 4"]);
      let now = 1000;
      using _ = stub(performance, "now", () => now += 0.125);
      const sent = socket.send(hex("00"), hex("c0000207"));
      assertEquals([sent.kernel, sent.steady], [undefined, 1000.125]);
      kernel.calls.length = 0;
      assertEquals(await socket.receive(2000), undefined);
      const asked = kernel.calls.filter((call) => call.startsWith("recvfrom"));
      // For a millisecond after it has sent, it asks again and again; each look at the clock takes an eighth here.
      assert(asked.length >= 4 && asked.length <= 6, `${asked.length}`);
      assertEquals([asked[0], kernel.calls.at(-2)], ["recvfrom 7 65536 64 16", "poll 7,1 1 100"]);
      kernel.waiting.push({ from: sender[4], data: hex("0102") });
      const packet = await socket.receive(2000);
      assertEquals([packet?.from, packet?.ttl, packet?.message], ["192.0.2.7", undefined, hex("0102")]);
      assertEquals(packet?.received.kernel, undefined);
    }
    {
      using kernel = new Kernel();
      kernel.refused.push("socket");
      const root = "run it as root (CAP_NET_RAW)";
      const group = `as root: sysctl -w net.ipv4.ping_group_range="0 2147483647", or ${root}`;
      const why = "3: this user may not open an ICMP socket; ";
      assertEquals(failure(() => new IcmpSocket(4)), why + group);
      assertEquals(failure(() => new IcmpSocket(4, true)), why + root);
      assertEquals(kernel.calls, ["socket 2 2 1", "socket 2 3 1", "dlclose", "socket 2 3 1", "dlclose"]);
      using _denied = stub(Deno.permissions, "requestSync", () => ({ state: "denied" }));
      assertEquals(failure(() => new IcmpSocket(4)), "2: no permission to call the C library: add --allow-ffi");
    }
    using _kernel = new Kernel();
    using _missing = stub(Deno, "dlopen", () => {
      throw new Error("no such library");
    });
    assertEquals(failure(() => new IcmpSocket(4)), "3: the C library cannot be opened: no such library");
  },
});

Deno.test({
  ...simulated,
  name: "trace: the address and the identifier that the kernel has chosen, and which messages are shown",
  fn: () => {
    {
      using kernel = new Kernel();
      kernel.name = hex("0200 1234 c0000209 0000000000000000");
      assertEquals([localAddress(hex("c0000207")), identifierOf(5)], ["192.0.2.9", 0x1234]);
      assertEquals(kernel.calls.splice(0), [
        ...["socket 2 2 0", "connect 7 02000009c00002070000000000000000 16", "getsockname 7 16", "close 7", "dlclose"],
        ...["getsockname 5 28", "dlclose"],
      ]);
      kernel.name = hex(`0a00 0000 00000000 ${"00".repeat(15)}09 00000000`);
      assertEquals(localAddress(hex(`${"00".repeat(15)}07`)), "::9");
      assertEquals(kernel.calls[1], `connect 7 0a00000900000000${"00".repeat(15)}0700000000 28`);
      kernel.refused.push("getsockname");
      assertEquals([localAddress(hex("c0000207")), localAddress(new Uint8Array(16)), identifierOf(5)], [
        "0.0.0.0",
        "::",
        0,
      ]);
      kernel.refused.push("connect");
      kernel.calls.length = 0;
      assertEquals([localAddress(hex("c0000207")), kernel.calls.includes("close 7")], ["0.0.0.0", true]);
    }
    using kernel = new Kernel();
    using console = new Captured();
    kernel.name = hex("0200 1234 c0000209 0000000000000000");
    const shown = (raw: boolean, trace: "" | "json", act: (trace: IcmpTrace) => void) => {
      const tracing = new IcmpTrace({ trace, pcap: "" }, new IcmpSocket(4, raw), "192.0.2.7", hex("c0000207"));
      act(tracing);
      return console.error.splice(0).map((line) => JSON.parse(line));
    };
    const at = { kernel: 1_800_000_000_000_001_999n, steady: 0 };
    const [sent] = shown(false, "json", (trace) => trace.sent(request[4], at, 9));
    assertEquals([sent.t, sent.from, sent.to, sent.note], [
      ...[1_800_000_000_000_001, "192.0.2.9", "192.0.2.7", "echo request 65282, ttl 9"],
    ]);
    assertEquals(Uint8Array.fromBase64(sent.data).subarray(4, 6).toHex(), "1234", "the kernel's identifier");
    const [own] = shown(true, "json", (trace) => trace.sent(request[4], at, 9));
    assertEquals(Uint8Array.fromBase64(own.data).subarray(4, 6).toHex(), "8001", "a raw socket's own");
    const reply = summed(4, request[4].with(0, 0));
    const exceeded = summed(4, Uint8Array.of(11, 0, 0, 0, 0, 0, 0, 0, ...header[4](), ...request[4]));
    const answers = shown(true, "json", (trace) => {
      for (const message of [reply, exceeded, hex("00")]) trace.received({ from: "192.0.2.1", message, received: at });
      trace.received({ from: "192.0.2.1", ttl: 61, message: reply, received: at });
    });
    assertEquals(answers.map(({ from, to, note }) => `${from} ${to} ${note}`), [
      "192.0.2.1 192.0.2.9 echo reply 65282",
      "192.0.2.1 192.0.2.9 time to live exceeded: request 65282",
      "192.0.2.1 192.0.2.9 echo reply 65282, ttl 61",
    ]);
    assertEquals(shown(true, "", (trace) => trace.sent(request[4], at, 9)), []);
  },
});

Deno.test("output: each line of a ping program, word for word", () => {
  const unix = createLineParser(false);
  const reply = { kind: "reply", from: "192.0.2.1", time: 10.3, ttl: 57, sequence: 1, duplicate: false } as const;
  for (
    const [line, expected] of [
      ["64 bytes from 192.0.2.1: icmp_seq=1 ttl=57 time=10.3 ms", reply],
      ["64 bytes from 192.0.2.1: icmp_seq=1 ttl=57 time=10.3 ms (DUP!)", { ...reply, duplicate: true }],
      ["64 bytes from x (192.0.2.1): seq=0 ttl=57 time<1 ms", { ...reply, time: 1, sequence: 0 }],
      ["16 bytes from fe80::1%lo0, icmp_seq=2 hlim=64 time=0,07 ms", {
        ...reply,
        ...{ from: "fe80::1%lo0", time: 0.07, ttl: 64, sequence: 2 },
      }],
      ["64 bytes from ::1: icmp_seq=1 time=1 ms", { ...reply, from: "::1", time: 1, ttl: undefined }],
      ["icmp_seq=1 ttl=57 time=10.3 ms", { ...reply, from: "" }],
      ["From 192.0.2.9 icmp_seq=4 Host Unreachable", {
        ...{ kind: "error", text: "Host Unreachable (from 192.0.2.9)", sequence: 4 },
      }],
      ["From fe80::1: icmp_seq=4 No route", { kind: "error", text: "No route (from fe80::1)", sequence: 4 }],
      ["no answer yet for icmp_seq=2", { kind: "lost", sequence: 2 }],
      ["Request timeout for icmp_seq 3", { kind: "lost", sequence: 3 }],
      ["PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.", { kind: "other" }],
      ["", { kind: "other" }],
    ] as const
  ) assertEquals<unknown>(unix(line), expected, line);

  const windows = createLineParser(true);
  const said = (lines: string[]) => lines.map((line) => windows(line));
  const from = { kind: "reply", from: "192.0.2.1", ttl: 128, time: 1, duplicate: false } as const;
  assertEquals<unknown>(
    said([
      "Reply from 192.0.2.1: bytes=32 time<1ms TTL=128", // before the heading
      "Pinging x:",
      "Pinging x [192.0.2.1] with 32 bytes of data:\r",
      "Reply from 192.0.2.1: bytes=32 time<1ms TTL=128\r",
      "Reply from ::1: time=14ms",
      "Request timed out.",
      "Reply from 192.0.2.9: Host unreachable.",
      "",
      "Ping statistics for 192.0.2.1:",
      "Reply from 192.0.2.1: bytes=32 time<1ms TTL=128",
    ]),
    [
      ...[{ kind: "other" }, { kind: "other" }, { kind: "other" }],
      ...[from, { ...from, from: "::1", time: 14, ttl: undefined }, { kind: "lost" }],
      ...[{ kind: "error", text: "Reply from 192.0.2.9: Host unreachable." }],
      ...[{ kind: "other" }, { kind: "other" }, { kind: "other" }],
    ],
  );
});

Deno.test("statistics: the figures, the summary and the bars", () => {
  assertEquals(statistics([1, undefined, 3, 8]), {
    ...{ sent: 4, received: 3, loss: 25, min: 1, avg: 4, max: 8, mdev: Math.sqrt((9 + 1 + 16) / 3) },
  });
  assertEquals([statistics([]), statistics([undefined])], [
    ...[{ sent: 0, received: 0, loss: 0 }, { sent: 1, received: 0, loss: 100 }],
  ]);
  assertEquals(
    summary(statistics([2])),
    "1 sent, 1 received, 0 % lost\nround trip min/avg/max/mdev 2.000/2.000/2.000/0.000 ms",
  );
  assertEquals(summary(statistics([1, undefined, undefined])).split("\n")[0], "3 sent, 1 received, 66.7 % lost");
  assertEquals(summary(statistics([undefined])), "1 sent, 0 received, 100 % lost");
  assertEquals(plot([0, 0.99, 1, 2, 3, 4, 5, 6, 7, 7.99, 8, undefined]), "▁▁▂▃▄▅▆▇███×");
  assertEquals([plot([0, 0]), plot([undefined]), plot([])], ["▁▁", "×", ""]);
  assertEquals(plot(Array(61).fill(1)).split("\n").map((row) => row.length), [60, 1]);
  assertEquals(plot(Array(60).fill(1)).length, 60);
});
