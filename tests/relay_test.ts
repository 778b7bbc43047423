/**
 * The relays: what they pass on, what they do to it, and what they survive.
 */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "jsr:@std/assert@1";
import { connect } from "node:net";
import { Failure, within } from "../cli.ts";
import { Fates } from "../tcp/_fate.ts";
import { parseNetwork, parseNetworks, parseScript, perfect } from "../tcp/_network.ts";
import {
  client,
  fewDescriptors,
  listening,
  memory,
  noSignals,
  runClient,
  serve,
  signals,
  testWith,
  until,
} from "./support/helpers.ts";
import { readCapture } from "./support/pcapng.ts";
import { has, output, Program } from "./support/program.ts";
import { command, root } from "./support/tasks.ts";
import { Peer } from "./suites/_peer.ts";
import { suites } from "./suites/suites.ts";
import "./parts/network.ts";

const at = (port: number) => ({ hostname: "127.0.0.1", port });
const encode = (text: string) => new TextEncoder().encode(text);

/** A relay in front of a server. */
const relayTo = (port: number, transport: "tcp" | "udp", ...args: string[]) =>
  serve(`${transport}/relay.ts`, "--to", `127.0.0.1:${port}`, ...args);

const linux = Deno.build.os === "linux";
const python = await has("python3", "--version");

/** Starts a script with few file descriptors. */
const few = (script: string, ...args: string[]) =>
  listening((port) => {
    const [, ...rest] = command(script, port, ...args);
    return [...fewDescriptors, ...rest];
  });

Deno.test("relay: settings with their units", () => {
  assertEquals(parseNetwork("network", "loss=20% delay=50ms,jitter=1.5s", "udp"), {
    loss: 0.2,
    delay: 50,
    jitter: 1500,
  });
  assertEquals(parseNetwork("network", "loss=0.5 rate=50k queue=2M", "tcp"), {
    loss: 0.5,
    rate: 50_000,
    queue: 2_000_000,
  });
  assertEquals(parseNetwork("client", "reset=0", "tcp"), { reset: 0 });
  assertEquals(parseNetwork("network", "  ", "udp"), {});
});

Deno.test("relay: settings of one direction stand behind its name, and the others are for both", () => {
  assertEquals(parseNetworks("network", "delay=1s loss=5%; client: loss=20%;server:rate=2k", "udp"), {
    client: { delay: 1000, loss: 0.2 },
    server: { delay: 1000, loss: 0.05, rate: 2000 },
  });
  const failure = assertThrows(() => parseNetworks("network", "delay=1s; client: los=1%", "udp"), Failure);
  assertMatch(failure.message, /^--network, column 19: expected one of delay, .*, not los$/);
});

Deno.test("relay: a script names sides, commands, messages and times", () => {
  assertEquals(parseScript("client: drop 1,3; server:delay 2-4 200ms;", "udp"), [
    { side: "client", command: "drop", numbers: [[1, 1], [3, 3]], time: 0 },
    { side: "server", command: "delay", numbers: [[2, 4]], time: 200 },
  ]);
});

for (
  const [parse, transport, text, says] of [
    [parseScript, "udp", "client: drop 1; server: dely 2 1s", "--script, column 25: expected drop, duplicate, delay,"],
    [parseScript, "udp", "peer: drop 1", "--script, column 1: expected client or server, not peer"],
    [parseScript, "udp", "client drop 1", "--script, column 8: expected a colon after client, not drop"],
    [
      parseScript,
      "udp",
      "client: drop",
      "--script, column 13: expected numbers of messages such as 1,3 or 2-5, not the end",
    ],
    [parseScript, "udp", "client: drop 3-1", "--script, column 14: expected numbers"],
    [parseScript, "udp", "client: drop 0", "--script, column 14: expected numbers"],
    [parseScript, "udp", "client: delay 1 200", "--script, column 17: expected a time such as 200ms or 1.5s, not 200"],
    [parseScript, "udp", "client: drop 1 2", "--script, column 16: expected the end"],
    [parseScript, "tcp", "client: drop 1", "not drop (TCP repairs that"],
    [parseScript, "udp", "client: reset 1", "not reset (a datagram has no connection)"],
    [parseScript, "udp", "\x1b[2J: drop 1", "not \\x1b[2J"],
    [network, "udp", "delay=1s lose=3%", "--network, column 10: expected one of delay,"],
    [network, "udp", "loss=101%", "--network, column 6: loss needs a share such as 20% or 0.2, not 101%"],
    [network, "udp", "loss", "--network, column 6: loss needs a share such as 20% or 0.2, not the end"],
    [network, "tcp", "slice=0", "--network, column 7: slice needs a number of bytes from 1"],
    [network, "udp", "slice=5", "not slice (a datagram has no connection)"],
  ] as const
) {
  Deno.test(`relay: ${JSON.stringify(text)} is told with its column`, () => {
    const failure = assertThrows(() => parse(text, transport), Failure);
    assertEquals(failure.code, 2);
    assert(failure.message.includes(says), failure.message);
  });
}

function network(text: string, transport: "tcp" | "udp") {
  return parseNetwork("network", text, transport);
}

Deno.test("relay: chance is the same for the same seed, and each client has its own", () => {
  const shaken = { ...perfect, loss: 0.3, jitter: 100, flip: 0.1 };
  const fates = (seed: number, number: number) => {
    const all = new Fates(shaken, [], "client", seed, number);
    return Array.from({ length: 1000 }, () => all.next());
  };
  assertEquals(fates(7, 1), fates(7, 1));
  const lost = (list: { isLost: boolean }[]) => list.map(({ isLost }) => Number(isLost)).join("");
  assert(lost(fates(7, 1)) !== lost(fates(8, 1)) && lost(fates(7, 1)) !== lost(fates(7, 2)));
  const share = lost(fates(7, 1)).replaceAll("0", "").length / 1000;
  assert(share > 0.24 && share < 0.36, `${share} of the messages were lost, not about 0.3`);
});

for (const args of [[], ["--network", "delay=1ms jitter=2ms slice=40000"]]) {
  Deno.test(`tcp/relay.ts ${args.join(" ")}: the suite of echo servers passes through it`, async (t) => {
    const echo = await serve("tcp/echo_server.ts");
    await using _ = echo.program;
    const relay = await relayTo(echo.port, "tcp", ...args);
    await using __ = relay.program;
    const suite = suites["tcp:echo"];
    if (suite?.role !== "server") throw new Error("tcp:echo is a suite for servers");
    for (const check of suite.checks) await t.step(check.name, () => check.run(at(relay.port)));
    if (signals) relay.program.signal("SIGTERM");
    else return; // Windows can only end it at once
    assertEquals([(await relay.program.end()).code, relay.program.stderr], [0, ""]);
  });
}

// Programs for Windows are also tried under Wine: there, 1000 sockets take not ten times as long as 100, but seventy times.
const many = Deno.build.os === "windows" ? 100 : 500;

Deno.test(`tcp/relay.ts: ${many} connections at once, each of them half-closed`, async () => {
  const echo = await serve("tcp/echo_server.ts");
  await using _ = echo.program;
  const { program, port } = await relayTo(echo.port, "tcp");
  await using __ = program;
  const peers: Peer[] = [];
  for (let i = 0; i < many; i++) peers.push(await Peer.connect(at(port)));
  await Promise.all(peers.map(async (peer, i) => {
    await peer.send(`client ${i}`);
    await peer.end();
    assertEquals(await peer.upTo(100), encode(`client ${i}`), "and then the end of the stream");
    peer.close();
  }));
});

testWith(
  Deno.build.os === "linux",
  "/proc",
  "tcp/relay.ts: a receiver that does not read stops the sender, not the relay's memory",
  async () => {
    const echo = await serve("tcp/echo_server.ts");
    await using _ = echo.program;
    const { program, port } = await relayTo(echo.port, "tcp", "--network", "delay=1ms");
    await using __ = program;
    const peers = await Promise.all(Array.from({ length: 10 }, () => Peer.connect(at(port))));
    const before = await memory(program.pid);
    const block = new Uint8Array(1 << 20);
    // Writes until nothing is taken any more for a while: all buffers on the way are full.
    await Promise.all(peers.map(async ({ conn }) => {
      for (let sent = 0; sent < 64 << 20;) {
        const n = await Promise.race([conn.write(block), new Promise<void>((full) => setTimeout(full, 1000))]);
        if (n === undefined) return;
        sent += n;
      }
      throw new Error("64 MiB were taken, though nobody reads what comes back");
    }));
    const grown = await memory(program.pid) - before;
    assert(grown < 100, `10 connections took ${grown} MiB`);
    for (const peer of peers) peer.close();
  },
);

Deno.test("tcp/relay.ts: a reset of one side resets the other; no server is one line, and the relay goes on", async () => {
  const listener = Deno.listen(at(0));
  const { program, port } = await relayTo(listener.addr.port, "tcp", "--trace=json");
  await using _ = program;
  const socket = connect(port, "127.0.0.1", () => socket.write("x"));
  socket.on("error", () => {});
  const accepted = await listener.accept();
  await accepted.read(new Uint8Array(1));
  socket.resetAndDestroy();
  const error = await accepted.read(new Uint8Array(1)).catch((error) => error);
  assert(error instanceof Deno.errors.ConnectionReset, String(error));
  await program.line(/"side":"relay".*"note":"RST"/);
  accepted.close();

  listener.close();
  const refused = () => Deno.connect(at(listener.addr.port)).then((conn) => conn.close(), () => "refused");
  await until(async () => await refused() === "refused", "the closed port refuses connections");
  // The end may come before connect() has returned: then it is connect that fails.
  const ended = await Deno.connect(at(port)).then(async (conn) => {
    using _ = conn;
    return await conn.read(new Uint8Array(1));
  }).catch((error) => error);
  assert(ended === null || ended instanceof Deno.errors.ConnectionReset, String(ended));
  await program.line(
    /^127\.0\.0\.1:\d+ cannot be served: 127\.0\.0\.1:\d+ refused the connection: is the server running\?$/,
  );
  assertEquals(program.status, undefined, "it goes on");
});

testWith(
  linux,
  "ulimit",
  "tcp/relay.ts at ulimit -n 64: as many clients as it has room for, again and again",
  async () => {
    const echo = await serve("tcp/echo_server.ts");
    await using _ = echo.program;
    const { program, port } = await few("tcp/relay.ts", "--to", `127.0.0.1:${echo.port}`);
    await using __ = program;
    const exchange = async () => {
      try {
        using conn = await Deno.connect(at(port));
        await conn.write(encode("hello"));
        const buffer = new Uint8Array(9);
        return await conn.read(buffer) === 5;
      } catch (error) {
        if (
          !(error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.ConnectionReset)
        ) throw error;
        return false;
      }
    };
    for (let round = 0; round < 3; round++) {
      const all = await Promise.all(Array.from({ length: 150 }, exchange));
      assert(all.filter((worked) => worked).length >= 5, `round ${round}: ${all}`);
      await until(exchange, "a client is served afterwards");
    }
    await program.line(/^\d+ clients are connected: others are refused until one leaves \(raise ulimit -n for more\)$/);
    assertEquals([program.status, program.stderr], [undefined, ""]);
  },
);

testWith(
  python,
  "python3",
  "tcp/relay.ts --timeout: a server whose queue of connections is full is no server",
  async () => {
    // In Python, because a queue of length 0 needs one to say so. Two connections fill it.
    const script = "import socket,time;s=socket.socket();s.bind(('127.0.0.1',0));s.listen(0);" +
      "print('listening on',s.getsockname()[1],flush=True);c=[socket.socket() for _ in 'abc'];" +
      "[x.setblocking(False) or x.connect_ex(s.getsockname()) for x in c];print('full',flush=True);time.sleep(60)";
    await using full = new Program(["python3", "-c", script]);
    const [, silent = ""] = await full.line(/listening on (\d+)/);
    await full.line(/full/);
    const { program, port } = await relayTo(Number(silent), "tcp", "--timeout", "0.5");
    await using _ = program;
    using conn = await Deno.connect(at(port));
    await assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    await program.line(/ cannot be served: 127\.0\.0\.1:\d+ did not answer in 0\.5 s$/);
  },
);

testWith(
  linux,
  "ulimit",
  "udp/relay.ts at ulimit -n 64: clients over it are ignored, the others are served",
  async () => {
    const responder = await serve("udp/pinger_server.ts", "--loss", "0");
    await using _ = responder.program;
    const { program, port } = await few("udp/relay.ts", "--to", `127.0.0.1:${responder.port}`);
    await using __ = program;
    const sockets = Array.from({ length: 150 }, () => Deno.listenDatagram({ transport: "udp", ...at(0) }));
    for (const socket of sockets) await socket.send(encode("hi"), { transport: "udp", ...at(port) });
    const [first] = sockets;
    const answer = async () => {
      const [datagram] = await within(20, first?.receive() ?? Promise.reject(), "the first client is not served");
      return new TextDecoder().decode(datagram);
    };
    assertEquals(await answer(), "HI");
    await program.line(/ is ignored: no file descriptors left for more than \d+ clients$/);
    await first?.send(encode("again"), { transport: "udp", ...at(port) });
    assertEquals(await answer(), "AGAIN");
    for (const socket of sockets) socket.close();
    assertEquals([program.status, program.stderr], [undefined, ""]);
  },
);

Deno.test("tcp/relay.ts: cuts a connection off after some bytes, or at a message", async () => {
  const echo = await serve("tcp/echo_server.ts");
  await using _ = echo.program;
  const says: [string[], RegExp][] = [
    [["--client", "reset=2"], /reset the connection/],
    [["--client", "close=2"], /closed after 0 of 5 bytes/],
    [["--server", "stall=2"], /no echo from .* in 1 s/],
    [["--client", "half-open=2"], /no echo from .* in 1 s/],
    [["--script", "server: reset 1"], /reset the connection/],
  ];
  await Promise.all(says.map(async ([args, line]) => {
    const relay = await relayTo(echo.port, "tcp", "--once", ...args);
    const asked = await runClient("tcp/echo_client.ts", relay.port, "--timeout", "1", "Hello");
    assertEquals(asked.status?.code, 1);
    assertMatch(asked.stderr, line);
    assertEquals((await relay.program.end()).code, 1, "the exchange was not whole");
    assertMatch(relay.program.stdout, /; the relay cut it off: \w+/);
  }));
});

/** Starts a relay that is told on its stdin what its network is like. */
async function controlled(transport: "tcp" | "udp", to: number): Promise<{ relay: Program; port: number }> {
  const words = command(`${transport}/relay.ts`, 0, "--to", `127.0.0.1:${to}`, "--control", "--trace=json");
  const relay = new Program(words, { cwd: root, stdin: true });
  const [, port] = await relay.line(/listening on 127\.0\.0\.1:(\d+)/);
  return { relay, port: Number(port) };
}

Deno.test("tcp/relay.ts: --control changes the network of a connection that is open; a mistake changes nothing", async () => {
  const echo = await serve("tcp/echo_server.ts");
  await using _ = echo.program;
  const { relay, port } = await controlled("tcp", echo.port);
  await using __ = relay;
  using peer = await Peer.connect(at(port));
  const echoed = async (text: string) => {
    await peer.send(text);
    assertEquals(await peer.upTo(text.length), encode(text));
  };
  await echoed("one");
  await relay.input("server: slice=1\n", true);
  await relay.line(/^network: server: slice=1$/);
  await echoed("two");
  await relay.input("server: slice=1 delay=5\n", true);
  await relay.line(/^relay: network, column 23: delay needs a time such as 200ms or 1\.5s, not 5$/);
  await echoed("six");
  await relay.input("\n", true);
  await relay.line(/^network: perfect$/);
  await echoed("ten");
  await relay.input("client: reset=0\n"); // and the end of stdin is no end of the relay
  await relay.line(/^network: client: reset=0$/);
  await peer.send("end");
  await relay.line(/the relay cut it off: reset$/);
  assertEquals(relay.status, undefined);
  const back = relay.stderr.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line))
    .filter(({ from, bytes, half }) => from === `127.0.0.1:${echo.port}` && bytes > 0 && half !== "in");
  assertEquals(back.map(({ data }) => atob(data)), ["one", "t", "w", "o", "s", "i", "x", "ten"]);
});

Deno.test("udp/relay.ts: --control loses what comes from then on", async () => {
  const server = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  if (server.addr.transport !== "udp") throw new Error("a UDP socket has an address and a port");
  const { relay, port } = await controlled("udp", server.addr.port);
  await using _ = relay;
  const send = (text: string) => socket.send(encode(text), { transport: "udp", hostname: "127.0.0.1", port });
  const received = async () =>
    new TextDecoder().decode((await within(20, server.receive(), `no datagram\n${relay.stderr}`))[0]);
  await send("one");
  assertEquals(await received(), "one");
  await relay.input("client: loss=100%\n", true);
  await relay.line(/^network: client: loss=100%$/);
  await relay.line(/^the same once more: --seed \d+$/);
  await send("two");
  await relay.line(/"note":"lost"/);
  await relay.input("\n", true);
  await relay.line(/^network: perfect$/);
  await send("six");
  assertEquals(await received(), "six");
  server.close();
  socket.close();
});

Deno.test("tcp/relay.ts: --once ends with the first client", async () => {
  const echo = await serve("tcp/echo_server.ts");
  await using _ = echo.program;
  const once = await relayTo(echo.port, "tcp", "--once");
  assertEquals((await runClient("tcp/echo_client.ts", once.port, "Hello")).stdout.slice(0, 15), "Received: Hello");
  assertEquals((await once.program.end()).code, 0);
  assertMatch(once.program.stdout, /^127\.0\.0\.1:\d+: 5 bytes to the server, 5 bytes back$/m);
});

testWith(signals, noSignals, "tcp/relay.ts: Ctrl-C waits for a client, and ends", async () => {
  const echo = await serve("tcp/echo_server.ts");
  await using _ = echo.program;
  const relay = await relayTo(echo.port, "tcp");
  using peer = await Peer.connect(at(relay.port));
  await peer.send("a");
  await peer.upTo(1);
  relay.program.signal("SIGINT");
  await relay.program.line(/^stopping: waiting up to 5 s for 1 client/);
  await peer.send("b");
  assertEquals(await peer.upTo(1), encode("b"));
  await peer.end();
  assertEquals([(await relay.program.end()).code, relay.program.stderr], [0, ""]);
});

Deno.test("udp/relay.ts: the suite of chat servers passes through it", async (t) => {
  const chat = await serve("udp/chat_server.ts", "--quiet");
  await using _ = chat.program;
  const relay = await relayTo(chat.port, "udp");
  await using __ = relay.program;
  const suite = suites["udp:chat"];
  if (suite?.role !== "server") throw new Error("udp:chat is a suite for servers");
  for (const check of suite.checks) await t.step(check.name, () => check.run(at(relay.port)));
});

Deno.test("udp/relay.ts: a script loses the first datagrams, and the client of the chat sends them again", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const chat = await serve("udp/chat_server.ts");
    await using _ = chat.program;
    const script = "client: drop 2; server: delay 2 50ms; server: duplicate 3";
    const file = `${folder}/relay.pcapng`;
    const [deno = "", run = "", ...rest] = command("udp/relay.ts", 0, "--to", `127.0.0.1:${chat.port}`, "--once");
    const more = ["--script", script, "--trace=json", "--pcap", file];
    const relay = new Program([deno, run, `-W=${file}`, ...rest, ...more], { cwd: root });
    const [, port] = await relay.line(/listening on 127\.0\.0\.1:(\d+)/);
    const anna = client("udp/chat_client.ts", Number(port), "--name", "anna", "--message", "hello");
    assertEquals((await anna.end()).code, 0, anna.stderr);
    assertEquals(anna.stdout, "anna: hello\n");
    assertEquals((await relay.end()).code, 0, relay.stderr);
    const events = relay.stderr.trim().split("\n").map((line) => JSON.parse(line));
    const server = `127.0.0.1:${chat.port}`;
    const brief = events.map(({ to, data, note }) => `${to === server ? "→" : "←"} ${atob(data)} (${note})`);
    assertEquals(brief, [
      "→ /name anna (datagram)",
      "← * you are anna (datagram)",
      "→ /say 1 hello (lost)",
      "→ /say 1 hello (datagram)",
      "← #1 anna: hello (datagram)",
      "← #1 anna: hello (delayed 50 ms)",
      "→ /quit (datagram)",
      "← * bye (sent twice)",
      "← * bye (sent twice)",
    ]);
    assertMatch(relay.stdout, /: 4 datagrams \(1 lost\) to the server, 3 datagrams back$/m);
    const held = events.filter(({ half, note }) => half === "in" && note !== "lost");
    const late = events.find(({ note }) => note === "delayed 50 ms");
    assertEquals(held.map(({ t }) => t), [late.came], "it says when it came in");
    assertEquals(events.map(({ half }) => half ?? ""), ["", "", "in", "", "in", "out", "", "", "out"]);
    const ports = events.map(({ via }) => new Set(via)).reduce((all, each) => all.union(each));
    assertEquals([ports.size, ports.has(`127.0.0.1:${port}`)], [2, true], "its own two addresses");
    const packets = readCapture(await Deno.readFile(file));
    assertEquals(
      packets.map(({ comment }) => comment),
      brief.toSpliced(4, 1).map((line) => /\((.*)\)$/.exec(line)?.[1]?.replace("datagram", "")),
    );
    if (await has("tshark", "--version")) {
      assertEquals(await output("tshark", "-n", "-r", file, "-Y", "_ws.expert.severity >= 0x600000"), "");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("udp/relay.ts: a datagram that is late is overtaken, a broken one has one bit flipped, a full queue loses", async () => {
  const server = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  if (server.addr.transport !== "udp") throw new Error("a UDP socket has an address and a port");
  const script = "client: swap 1; client: flip 3; client: delay 4-6 600ms";
  const { program, port } = await relayTo(
    server.addr.port,
    "udp",
    "--script",
    script,
    "--network",
    "queue=11",
    "--trace=json",
  );
  await using _ = program;
  for (const text of ["one", "two", "\0\0\0", "late 4", "late 5"]) {
    await socket.send(encode(text), { transport: "udp", hostname: "127.0.0.1", port });
  }
  const receive = async () => {
    const [data] = await within(20, server.receive(), `no datagram\n${program.stderr}`);
    return data;
  };
  assertEquals(await receive(), encode("two"));
  const [first, second] = [await receive(), await receive()];
  const [flipped, held] = first[0] === 111 ? [second, first] : [first, second];
  assertEquals(held, encode("one"));
  const bits = [...flipped].map((byte) => byte.toString(2).replaceAll("0", "")).join("");
  assertEquals([flipped.length, bits], [3, "1"]);
  assertEquals(await receive(), encode("late 4"));
  await program.line(/"note":"lost: the queue is full"/);
  server.close();
  socket.close();
});
