/** TFTP: its packets, files over a bad network, other programs as peers, and hostile ones. */
import { assert, assertEquals, assertMatch, assertThrows } from "jsr:@std/assert@1";
import { within } from "../cli.ts";
import { decode, encode, negotiate, type Packet, PacketError } from "../udp/_tftp_message.ts";
import { descriptors, failedWith, fewDescriptors, listening, serve, testWith, until } from "./support/helpers.ts";
import { mutate, type Random, seeded } from "./support/fuzz.ts";
import { pool } from "./support/pool.ts";
import { has, Program, programsAtOnce } from "./support/program.ts";
import { root } from "./support/tasks.ts";

const linux = Deno.build.os === "linux";
const curl = await has("curl", "--version");
const windows = Deno.build.os === "windows";

const rights = (folder: string) => ["-N=127.0.0.1", `-R=${folder}`, `-W=${folder}`, "--unstable-net"];

/** Starts a server for a folder. */
const serveFolder = (folder: string, ...args: string[]) =>
  listening((port) => [
    ...["deno", "run", ...rights(folder), "udp/tftp_server.ts", folder, "--port", `${port}`, ...args],
  ]);

/** Runs a client to its end. */
async function client(folder: string, port: number, ...args: string[]): Promise<Program> {
  const argv = ["deno", "run", ...rights(folder), "udp/tftp_client.ts", "--port", `${port}`, ...args];
  const program = new Program(argv, { cwd: root });
  await program.end(60);
  return program;
}

/** A folder for a test, removed afterwards. Its path has a link where there are links, as /tmp has on macOS. */
async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/real`);
    if (!windows) await Deno.symlink("real", `${folder}/link`);
    await body(`${folder}/${windows ? "real" : "link"}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => i * 31 + (i >> 8) * 7);
const udp = (port: number): Deno.NetAddr => ({ transport: "udp", hostname: "127.0.0.1", port });
const portOf = (socket: Deno.DatagramConn) => socket.addr.transport === "udp" ? socket.addr.port : 0;

/** A raw socket of the test. */
class Raw {
  readonly socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  async send(packet: Packet | Uint8Array, to: Deno.NetAddr): Promise<void> {
    await this.socket.send(packet instanceof Uint8Array ? packet : encode(packet), to);
  }
  async receive(): Promise<{ packet: Packet; from: Deno.NetAddr }> {
    const [received, from] = await this.socket.receive(new Uint8Array(65_535));
    if (from.transport !== "udp") throw new Error("no address");
    return { packet: decode(received.slice()), from };
  }
  [Symbol.dispose](): void {
    this.socket.close();
  }
}

const read = (file: string, options: [string, string][] = [], mode = "octet"): Packet => ({
  kind: "read",
  file,
  mode,
  options: new Map(options),
});

Deno.test("packets: the bytes of RFC 1350 §5 and RFC 2347, both ways", () => {
  const text = (s: string) => new TextEncoder().encode(s);
  const cases: [Packet, Uint8Array][] = [
    [read("a.txt"), text("\0\x01a.txt\0octet\0")],
    [read("a", [["blksize", "1432"], ["tsize", "0"]]), text("\0\x01a\0octet\0blksize\x001432\0tsize\x000\0")],
    [{ kind: "write", file: "b", mode: "netascii", options: new Map() }, text("\0\x02b\0netascii\0")],
    [{ kind: "data", block: 0x1234, data: text("hi") }, text("\0\x03\x12\x34hi")],
    [{ kind: "ack", block: 65_535 }, Uint8Array.of(0, 4, 255, 255)],
    [{ kind: "error", code: 1, text: "no such file" }, text("\0\x05\0\x01no such file\0")],
    [{ kind: "options", options: new Map([["windowsize", "16"]]) }, text("\0\x06windowsize\x0016\0")],
  ];
  for (const [packet, expected] of cases) {
    assertEquals(encode(packet), expected);
    assertEquals(decode(expected), packet);
  }
  // The mode and the names of options in any case; the first of an option counts; one without a value does not.
  const mixed = decode(text("\0\x01a\0OcTeT\0BLKSIZE\x008\0blksize\x009\0tsize\0"));
  assertEquals(mixed, read("a", [["blksize", "8"]]));
  for (
    const wrong of ["", "\0", "\0\x04\0", "\0\x01a", "\0\x01\0octet\0", "\0\x07abcd", "\x01\x01a\0octet\0", "\0\0ab"]
  ) {
    assertThrows(() => decode(text(wrong)), PacketError, undefined, JSON.stringify(wrong));
  }
});

Deno.test("options: accepted as asked or lower, refused ones left out (RFC 2347)", () => {
  const limits = { blockSize: 1468, window: 16, timeout: 1 };
  const terms = (asked: [string, string][], size?: number) => {
    const { terms, answer } = negotiate(new Map(asked), limits, size);
    return [[terms.blockSize, terms.window, terms.timeout], [...answer].map((pair) => pair.join("="))];
  };
  assertEquals(terms([]), [[512, 1, 1], []]);
  assertEquals(terms([["blksize", "1000"], ["windowsize", "4"]]), [[1000, 4, 1], ["blksize=1000", "windowsize=4"]]);
  assertEquals(terms([["blksize", "65464"], ["windowsize", "65535"]]), [[1468, 16, 1], [
    "blksize=1468",
    "windowsize=16",
  ]]);
  for (const wrong of ["7", "65465", "-8", "1e3", "", "x", "0"]) {
    assertEquals(terms([["blksize", wrong]]), [[512, 1, 1], []]);
  }
  for (const wrong of ["0", "65536"]) assertEquals(terms([["windowsize", wrong]]), [[512, 1, 1], []]);
  assertEquals(terms([["timeout", "1"]]), [[512, 1, 1], ["timeout=1"]]);
  // A longer one would keep a transfer longer than --timeout allows.
  for (const wrong of ["0", "2", "255", "256"]) assertEquals(terms([["timeout", wrong]]), [[512, 1, 1], []]);
  assertEquals(terms([["tsize", "0"]], 77), [[512, 1, 1], ["tsize=77"]]);
  assertEquals(terms([["tsize", "9"]]), [[512, 1, 1], ["tsize=9"]]);
  assertEquals(terms([["unknown", "1"]]), [[512, 1, 1], []]);
});

Deno.test("get and put: every length around a block, with and without options, both modes", async () => {
  await inFolder(async (folder) => {
    const { program, port } = await serveFolder(folder, "--write");
    await using _ = program;
    for (
      const [length, ...options] of [
        [0],
        [511],
        [512],
        [513],
        [1024],
        [100_000, "--block-size", "1468", "--window", "8"],
        [3000, "--window", "5"],
      ] as [number, ...string[]][]
    ) {
      const content = bytes(length);
      await Deno.writeFile(`${folder}/local`, content);
      const put = await client(folder, port, ...options, "put", `${folder}/local`, `up${length}`);
      assertEquals([put.status?.code, await Deno.readFile(`${folder}/up${length}`)], [0, content], put.stderr);
      const get = await client(folder, port, ...options, "get", `up${length}`, `${folder}/down`);
      assertEquals([get.status?.code, await Deno.readFile(`${folder}/down`)], [0, content], get.stderr);
      assertMatch(get.stderr, new RegExp(`^up${length}: ${length} bytes? in \\d+ blocks?, 0 sent again, `));
    }
    await Deno.writeTextFile(`${folder}/text`, "one\ntwo\r\nthree\rfour");
    assertEquals((await client(folder, port, "--netascii", "get", "text")).stdout, "one\ntwo\r\nthree\rfour");
    await client(folder, port, "--netascii", "put", `${folder}/text`, "text2");
    assertEquals(await Deno.readTextFile(`${folder}/text2`), "one\ntwo\r\nthree\rfour");
    using raw = new Raw();
    await raw.send(read("text", [], "NETASCII"), udp(port));
    const { packet } = await raw.receive();
    assertEquals(packet, { kind: "data", block: 1, data: new TextEncoder().encode("one\r\ntwo\r\0\r\nthree\r\0four") });
    assertEquals([...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".part")), []);
  });
});

/** A network between one client and a server: it loses, doubles and delays datagrams as `fate` says, each direction alike. */
function badNetwork(server: number, fate: (random: Random) => "lose" | "double" | "late" | "pass", seed: number) {
  const random = seeded(seed);
  const front = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const back = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  let client: Deno.NetAddr | undefined;
  let target = udp(server);
  const lost = { count: 0 };
  let held: (() => Promise<unknown>) | undefined;
  // Five tries in vain end a transfer, as they should: of ten datagrams in a row at most four come to harm.
  const harmed: boolean[] = [];
  const pass = async (send: () => Promise<unknown>) => {
    const chance = fate(random);
    const harm = (chance === "lose" || chance === "late") && harmed.slice(-9).filter((each) => each).length < 4;
    harmed.push(harm);
    const what = harm || chance === "double" ? chance : "pass";
    if (what === "lose") return void lost.count++;
    if (what === "late" && !held) return void (held = send);
    await send();
    if (what === "double") await send();
    const late = held;
    held = undefined;
    await late?.();
  };
  const forward = async (from: Deno.DatagramConn, isFront: boolean) => {
    const buffer = new Uint8Array(65_535);
    while (true) {
      const [datagram, addr] = await from.receive(buffer);
      if (addr.transport !== "udp") continue;
      const copy = datagram.slice();
      if (isFront) client = addr;
      else target = addr;
      const [to, out] = isFront ? [target, back] : [client, front];
      if (to) await pass(() => out.send(copy, to));
    }
  };
  const running = [forward(front, true), forward(back, false)].map((loop) => loop.catch(() => {})); // until they are closed
  return {
    port: portOf(front),
    lost,
    async close() {
      front.close();
      back.close();
      await Promise.all(running);
    },
  };
}

Deno.test("a bad network: whatever is lost, doubled or overtaken, the file arrives whole (seeds 1 to 6)", async () => {
  await inFolder(async (folder) => {
    const content = bytes(16_000);
    await Deno.writeFile(`${folder}/file`, content);
    const { program, port } = await serveFolder(folder, "--write", "--timeout", "4");
    await using _ = program;
    const runs = [[1, 1], [2, 4], [3, 16], [4, 1], [5, 8], [6, 32]].map(([seed = 0, window = 1]) => async () => {
      const network = badNetwork(port, (random) => {
        const n = random();
        return n < 0.1 ? "lose" : n < 0.2 ? "double" : n < 0.3 ? "late" : "pass";
      }, seed);
      const options = ["--timeout", "4", "--window", `${window}`];
      const verb = seed % 2 === 0 ? ["get", "file", `${folder}/got${seed}`] : ["put", `${folder}/file`, `put${seed}`];
      const run = await client(folder, network.port, ...options, ...verb);
      await network.close();
      assertEquals(run.status?.code, 0, `seed ${seed}, window ${window}: ${run.stderr}`);
      assert(network.lost.count > 0);
      assertEquals(await Deno.readFile(`${folder}/${seed % 2 === 0 ? "got" : "put"}${seed}`), content);
    });
    await Promise.all(pool(Math.min(runs.length, programsAtOnce - 1), runs)); // the server is a program, too
  });
});

Deno.test("the last acknowledgement is lost three times: the server still answers the last block", async () => {
  await inFolder(async (folder) => {
    const { program, port } = await serveFolder(folder, "--write", "--timeout", "2.5");
    await using _ = program;
    await Deno.writeFile(`${folder}/file`, bytes(100));
    let acknowledgements = 0;
    const front = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const back = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    let [target, from] = [udp(port), udp(0)];
    const running = [
      (async () => {
        for await (const [data, addr] of front) {
          if (addr.transport === "udp") from = addr;
          await back.send(data, target);
        }
      })(),
      (async () => {
        for await (const [data, addr] of back) {
          if (addr.transport === "udp") target = addr;
          const isLast = decode(data).kind === "ack" && data[3] === 1;
          if (!isLast || ++acknowledgements > 3) await front.send(data, from);
        }
      })(),
    ].map((loop) => loop.catch(() => {})); // until they are closed
    const run = await client(folder, portOf(front), "--timeout", "2.5", "put", `${folder}/file`, "copy");
    front.close();
    back.close();
    await Promise.all(running);
    assertEquals([run.status?.code, acknowledgements], [0, 4], run.stderr);
  });
});

Deno.test("an acknowledgement that comes twice does not double what follows (the sorcerer's apprentice)", async () => {
  await inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/file`, bytes(512 * 20));
    const { program, port } = await serveFolder(folder, "--timeout", "25");
    await using _ = program;
    using raw = new Raw();
    await raw.send(read("file"), udp(port));
    const seen: number[] = [];
    while (true) {
      const { packet, from } = await raw.receive();
      if (packet.kind !== "data") throw new Error(packet.kind);
      seen.push(packet.block);
      for (let i = 0; i < 3; i++) await raw.send({ kind: "ack", block: packet.block }, from);
      if (packet.data.length < 512) break;
    }
    assertEquals(seen, Array.from({ length: 21 }, (_, i) => i + 1));
  });
});

Deno.test("block numbers wrap: a file of more than 65,535 blocks", async () => {
  await inFolder(async (folder) => {
    const content = bytes(8 * 65_540);
    await Deno.writeFile(`${folder}/file`, content);
    const { program, port } = await serveFolder(folder);
    await using _ = program;
    const run = await client(folder, port, "--block-size", "8", "--window", "64", "get", "file", `${folder}/got`);
    assertEquals(run.status?.code, 0, run.stderr);
    assertMatch(run.stderr, / in 65541 blocks/);
    assertEquals(await Deno.readFile(`${folder}/got`), content);
  });
});

Deno.test("a stranger's port is answered with error 5, and the transfer goes on (RFC 1350 §4)", async () => {
  await inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/file`, bytes(1000));
    const { program, port } = await serveFolder(folder);
    await using _ = program;
    using raw = new Raw();
    using stranger = new Raw();
    await raw.send(read("file"), udp(port));
    const { packet, from } = await raw.receive();
    assertEquals(packet.kind === "data" && packet.block, 1);
    assert(from.port !== port, "the transfer has a port of its own");
    await stranger.send({ kind: "ack", block: 1 }, from);
    assertEquals((await stranger.receive()).packet, { kind: "error", code: 5, text: "unknown transfer id" });
    await raw.send({ kind: "ack", block: 1 }, from);
    const second = (await raw.receive()).packet;
    assertEquals(second.kind === "data" && [second.block, second.data.length], [2, 488]);
    await raw.send({ kind: "ack", block: 2 }, from);
    await program.line(/reads file: 1000 bytes in 2 blocks, 0 sent again$/);
  });
});

Deno.test("server --write: without the permission it prints the command that grants it, before it takes requests", async () => {
  const argv = [
    "deno",
    "run",
    "--no-prompt",
    "-N=127.0.0.1",
    "-R=http",
    "udp/tftp_server.ts",
    "--port",
    "0",
    "--write",
  ];
  const program = new Program([...argv, "http/site"], { cwd: root });
  await program.end(10);
  failedWith(
    program,
    2,
    /^tftp_server: no permission to write to http\/site: add -W=http\/site: deno run .*-W=http\/site/m,
  );
  assertEquals(program.stdout, "");
});

Deno.test("server: names that lead out, links, missing files, wrong modes, no right to write, files that exist", async () => {
  await inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/root/sub`, { recursive: true });
    await Deno.writeTextFile(`${folder}/secret`, "secret");
    await Deno.writeTextFile(`${folder}/root/sub/file`, "inside");
    await Deno.writeTextFile(`${folder}/root/.hidden`, "hidden");
    if (!windows) {
      await Deno.symlink(`${folder}/secret`, `${folder}/root/link`);
      await Deno.symlink(folder, `${folder}/root/out`);
    }
    const { program, port } = await serveFolder(`${folder}/root`);
    await using _ = program;
    const code = async (request: Packet | Uint8Array) => {
      using raw = new Raw();
      await raw.send(request, udp(port));
      const { packet, from } = await raw.receive();
      // Ends the transfer: it would send its block again, perhaps to the next socket of this test on the same port.
      if (packet.kind === "data") await raw.send({ kind: "ack", block: packet.block }, from);
      return packet.kind === "error"
        ? packet.code
        : packet.kind === "data"
        ? new TextDecoder().decode(packet.data)
        : packet.kind;
    };
    assertEquals(await code(read("sub/file")), "inside");
    assertEquals(await code(read("/sub/file")), "inside"); // as many clients write it
    const outside = ["../secret", "sub/../../secret", "..\\secret", ".hidden", "sub/.", "a\nb"];
    const links = windows ? [] : ["link", "out/secret"];
    for (const name of [...outside, ...links, "sub", "file:stream", "C:/secret", "a?b", "sub//file", "x".repeat(300)]) {
      assertEquals(await code(read(name)), 2, name);
    }
    assertEquals(await code(read("missing")), 1);
    assertEquals(await code(read("missing/file")), 1);
    assertEquals(await code(read("sub/file", [], "mail")), 4);
    assertEquals(await code({ kind: "write", file: "new", mode: "octet", options: new Map() }), 2);
    assertEquals(await code({ kind: "data", block: 1, data: bytes(3) }), 4);
    await program.stop();

    const writable = await serveFolder(`${folder}/root`, "--write", "--max-size", "1000");
    await using __ = writable.program;
    const put = async (file: string, tsize: string) => {
      using raw = new Raw();
      await raw.send({ kind: "write", file, mode: "octet", options: new Map([["tsize", tsize]]) }, udp(writable.port));
      const { packet } = await raw.receive();
      return packet.kind === "error" ? packet.code : packet.kind;
    };
    assertEquals(await put("new", "1001"), 3);
    assertEquals(await put("../new", "1"), 2);
    assertEquals(await put("sub/file", "1"), 6);
    const long = await client(folder, writable.port, "put", `${folder}/secret`, "sub/file");
    failedWith(long, 1, /^tftp_client: 127\.0\.0\.1:\d+ says: the file exists \(6\)$/m);
    await Deno.writeFile(`${folder}/big`, bytes(1001));
    const big = await client(folder, writable.port, "put", `${folder}/big`);
    failedWith(big, 1, /says: a file may have 1000 bytes \(3\)$/m);
    const left = [...Deno.readDirSync(`${folder}/root`)].map(({ name }) => name).toSorted();
    assertEquals(left, windows ? [".hidden", "sub"] : [".hidden", "link", "out", "sub"]);
  });
});

Deno.test("a client that falls silent, and a server that does, leave nothing half written", async () => {
  await inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/file`, bytes(5000));
    const { program, port } = await serveFolder(folder, "--write", "--timeout", "0.25", "--once");
    using raw = new Raw();
    await raw.send({ kind: "write", file: "half", mode: "octet", options: new Map() }, udp(port));
    const { from } = await raw.receive();
    await raw.send({ kind: "data", block: 1, data: bytes(512) }, from);
    assertEquals((await program.end()).code, 1);
    assertMatch(program.stdout, /writes half: 127\.0\.0\.1:\d+ has not sent block 2$/m);

    const silent = new Raw();
    const getting = client(folder, portOf(silent.socket), "--timeout", "0.25", "get", "file", `${folder}/half`);
    const request = await silent.receive();
    await silent.send({ kind: "data", block: 1, data: bytes(512) }, request.from);
    failedWith(await getting, 1, /^tftp_client: 127\.0\.0\.1:\d+ has not sent block 2$/m);
    silent[Symbol.dispose]();
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["file"]);
  });
});

Deno.test("client: hostile servers, each run ends with 0 or 1 and one line (seed 4)", async () => {
  const random = seeded(4);
  const answers: Packet[] = [
    { kind: "data", block: 1, data: bytes(100) },
    { kind: "data", block: 1, data: bytes(512) },
    { kind: "data", block: 2, data: bytes(600) },
    { kind: "options", options: new Map([["blksize", "65464"], ["windowsize", "9"]]) },
    { kind: "error", code: 1, text: "\x1b[31mno\u202e such\nfile" },
    { kind: "ack", block: 0 },
  ];
  await Promise.all(Array.from({ length: 4 }, async (_, lane) => {
    for (let i = 0; i < 2; i++) { // `deno task campaign` has a hundred
      using server = new Raw();
      (async () => {
        for (let n = 0; n < 12; n++) {
          const [, from] = await server.socket.receive(new Uint8Array(65_535));
          const answer = encode(answers[(lane * 2 + i + n) % answers.length] ?? { kind: "ack", block: 0 });
          if (from.transport === "udp") await server.send(n % 3 === 2 ? mutate(answer, random) : answer, from);
        }
      })().catch(() => {}); // closed, when the client has ended
      const verb = i % 2 === 0 ? ["get", "x"] : ["put", "http/site/protocols.json"];
      const argv = ["deno", "run", "-N=127.0.0.1", "-R=http/site", "--unstable-net", "udp/tftp_client.ts"];
      const run = new Program([...argv, "--port", `${portOf(server.socket)}`, "--timeout", "0.25", ...verb], {
        cwd: root,
      });
      await run.end();
      assert(run.status?.code === 0 || run.status?.code === 1, run.tail());
      assertEquals(run.stderr.trimEnd().split("\n").length, 1, run.stderr);
      // deno-lint-ignore no-control-regex -- a terminal must not get these from a server
      assert(!/[\0-\x09\x0b-\x1f\u202e]/.test(run.stderr), run.stderr);
    }
  }));
});

Deno.test("a sender that repeats its last block without end: client and server end the transfer", async () => {
  await inFolder(async (folder) => {
    using server = new Raw();
    let isOver = false;
    const sending = (async () => {
      const [, from] = await server.socket.receive(new Uint8Array(1000));
      while (!isOver && from.transport === "udp") {
        await server.send({ kind: "data", block: 1, data: bytes(100) }, from);
        await new Promise((next) => setTimeout(next, 20));
      }
    })();
    const run = await client(folder, portOf(server.socket), "--timeout", "0.5", "get", "x", `${folder}/got`);
    assertEquals([run.status?.code, await Deno.readFile(`${folder}/got`)], [0, bytes(100)], run.stderr);
    isOver = true;
    await sending;

    const { program, port } = await serveFolder(folder, "--write", "--timeout", "0.5");
    await using _ = program;
    using writer = new Raw();
    await writer.send({ kind: "write", file: "up", mode: "octet", options: new Map() }, udp(port));
    const { from } = await writer.receive();
    const before = Date.now();
    await until(async () => {
      await writer.send({ kind: "data", block: 1, data: bytes(100) }, from);
      return /writes up: 100 bytes/.test(program.stdout);
    }, `the server ends the transfer that began at ${before}`);
  });
});

testWith(
  linux,
  "ulimit",
  "server at ulimit -n 64: a transfer for which it has no socket is refused with an error",
  async () => {
    await inFolder(async (folder) => {
      await Deno.writeFile(`${folder}/file`, bytes(600));
      const { program, port } = await listening((port) => [
        ...[...fewDescriptors, "run", ...rights(folder), "udp/tftp_server.ts"],
        ...[folder, "--port", `${port}`, "--timeout", "2", "--max-clients", "1000"],
      ]);
      await using _ = program;
      const raws = Array.from({ length: 120 }, () => new Raw());
      program.signal("SIGSTOP"); // it finds all the requests at once, as on a slow machine
      for (const raw of raws) await raw.send(read("file"), udp(port));
      program.signal("SIGCONT");
      const answers = Promise.all(raws.map(async (raw) => (await raw.receive()).packet.kind));
      const kinds = await within(20, answers, "not all were answered");
      for (const raw of raws) raw[Symbol.dispose]();
      assert(kinds.includes("data"), kinds.join());
      assert(kinds.filter((kind) => kind === "error").length > 5, kinds.join());
      assertEquals([program.status, program.stderr], [undefined, ""]);
      // Those that were silent have been given up.
      await until(
        async () => (await client(folder, port, "get", "file", `${folder}/got`)).status?.code === 0,
        "a place",
      );
    });
  },
);

testWith(linux, "Linux", "server: thousands of damaged requests harm nothing (seed 5)", async () => {
  await inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/file`, bytes(2000));
    const { program, port } = await serveFolder(folder, "--write", "--timeout", "1", "--max-size", "5000");
    await using _ = program;
    const random = seeded(5);
    const inputs = [
      encode(read("file")),
      encode(read("file", [["blksize", "1468"], ["windowsize", "64"], ["timeout", "1"]])),
      encode({ kind: "write", file: "up", mode: "octet", options: new Map([["tsize", "5"]]) }),
      encode({ kind: "ack", block: 1 }),
    ];
    const before = await descriptors(program.pid);
    using raw = new Raw();
    for (let i = 0; i < 3000; i++) {
      await raw.send(mutate(inputs[i % inputs.length] ?? new Uint8Array(), random), udp(port));
      if (i % 100 === 0) { // another source port, or the first transfer would hide the rest
        using other = new Raw();
        await other.send(mutate(inputs[1] ?? new Uint8Array(), random), udp(port));
      }
    }
    await until(async () => await descriptors(program.pid) <= before + 1, "all transfers have ended", 30);
    assertEquals((await client(folder, port, "get", "file", `${folder}/got`)).status?.code, 0);
    assertEquals(await Deno.readFile(`${folder}/got`), bytes(2000));
    assertEquals(program.stderr, "");
    assertEquals([...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".part")), []);
  });
});

testWith(curl, "curl", "curl gets and puts files", async () => {
  await inFolder(async (folder) => {
    const content = bytes(70_000);
    await Deno.writeFile(`${folder}/file`, content);
    const { program, port } = await serveFolder(folder, "--write");
    await using _ = program;
    for (const options of [[], ["--tftp-blksize", "1400"], ["--tftp-no-options"]]) {
      const get = new Program(["curl", "-s", ...options, "-o", `${folder}/got`, `tftp://127.0.0.1:${port}/file`]);
      assertEquals([(await get.end()).code, await Deno.readFile(`${folder}/got`)], [0, content], get.tail());
      const name = `put${options.length}${options[0] ?? ""}`;
      const put = new Program(["curl", "-s", ...options, "-T", `${folder}/file`, `tftp://127.0.0.1:${port}/${name}`]);
      assertEquals([(await put.end()).code, await Deno.readFile(`${folder}/${name}`)], [0, content], put.tail());
    }
  });
});

const tftpd = linux && await has("sh", "-c", "in.tftpd -V | grep -q tftp-hpa") && Deno.uid() === 0;
testWith(
  tftpd,
  "in.tftpd (tftpd-hpa) and root",
  "tftpd-hpa serves our client, and our server the client tftp",
  async () => {
    await inFolder(async (folder) => {
      const content = bytes(30_000);
      await Deno.writeFile(`${folder}/file`, content);
      await Deno.chmod(folder, 0o755);
      const other = await listening((port) => [
        "sh",
        "-c",
        `in.tftpd -L -u root -a 127.0.0.1:${port} -s ${folder} & echo listening on it; wait`,
      ]);
      await using _ = other.program;
      const got = await client(
        folder,
        other.port,
        "--wait",
        "5",
        "--block-size",
        "1000",
        "get",
        "file",
        `${folder}/got`,
      );
      assertEquals([got.status?.code, await Deno.readFile(`${folder}/got`)], [0, content], got.stderr);
      const { program, port } = await serveFolder(folder, "--write");
      await using __ = program;
      const run = new Program(["tftp", "-m", "binary", "127.0.0.1", `${port}`, "-c", "get", "file", `${folder}/got2`]);
      assertEquals([(await run.end()).code, await Deno.readFile(`${folder}/got2`)], [0, content], run.tail());
      const text = new Program(["tftp", "127.0.0.1", `${port}`, "-c", "put", `${folder}/file`, "ascii"]);
      assertEquals([(await text.end()).code, (await Deno.stat(`${folder}/ascii`)).size], [0, 30_000], text.tail());
    });
  },
);

Deno.test("a relay with --follow goes to the port of the transfer; without it nothing comes back", async () => {
  await inFolder(async (folder) => {
    const content = bytes(5_000);
    await Deno.writeFile(`${folder}/file`, content);
    const { program, port } = await serveFolder(folder);
    await using _ = program;
    const relayTo = (...args: string[]) => serve("udp/relay.ts", "--to", `127.0.0.1:${port}`, ...args);
    // The client never gets the first answer, but the relay knows the port since then.
    const relay = await relayTo("--follow", "--script", "server: drop 1");
    await using __ = relay.program;
    const got = await client(folder, relay.port, "--window", "4", "get", "file", `${folder}/got`);
    assertEquals([got.status?.code, await Deno.readFile(`${folder}/got`)], [0, content], got.stderr);
    const deaf = await relayTo();
    await using ___ = deaf.program;
    failedWith(await client(folder, deaf.port, "--timeout", "0.5", "get", "file"), 1, /no answer from/);
  });
});

Deno.test("wrong usage, a folder that is not there, a port where nobody listens", async () => {
  for (
    const [script, args, line] of [
      ["tftp_client", [], /^tftp_client: say what to do: get NAME \[FILE\], or put FILE \[NAME\]$/m],
      ["tftp_client", ["get"], /say what to do/],
      ["tftp_client", ["put", "missing"], /cannot read missing/],
      ["tftp_server", ["nowhere"], /^tftp_server: there is no folder nowhere$/m],
    ] as const
  ) {
    const program = new Program(["deno", "run", "-N=127.0.0.1", "-R", `udp/${script}.ts`, ...args], { cwd: root });
    assertEquals((await program.end()).code, 2, program.stderr);
    assertMatch(program.stderr, line);
  }
  using nobody = new Raw();
  const run = await client(".", portOf(nobody.socket), "--timeout", "0.25", "get", "x");
  failedWith(run, 1, /^tftp_client: no answer from 127\.0\.0\.1:\d+ in 0\.25 s: is the server running\?$/m);
});
