/** The UDP chat: the wire format, the suite on the server, and server and client when datagrams are lost. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "jsr:@std/assert@1";
import { within } from "../cli.ts";
import { parseAddress } from "../tcp/_address.ts";
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
} from "../udp/_chat_message.ts";
import { Room } from "../udp/_room.ts";
import { traced } from "../udp/_trace.ts";
import { freePort } from "./support/free_port.ts";
import { numbers } from "./support/fuzz.ts";
import {
  client,
  descriptors,
  failedWith,
  listening,
  memory,
  noSignals,
  runClient,
  serve,
  signals,
  suiteTest,
  testWith,
  until,
} from "./support/helpers.ts";
import { has, output, Program } from "./support/program.ts";
import { command, root } from "./support/tasks.ts";
import { longestDatagram } from "./suites/_suite.ts";
import "./parts/udp.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (data: Uint8Array) => new TextDecoder().decode(data);
const request = (text: string) => parseRequest(encode(text), 1024);
const reply = (text: string) => parseReply(encode(text));
const linux = Deno.build.os === "linux";
const netcat = (await output("sh", "-c", "nc -h 2>&1")).includes("OpenBSD");
const tmux = await has("tmux", "-V");

/** Starts the chat server: by the runtime's own sockets, or, with `--fast`, by system calls. */
type ServeChat = (...args: string[]) => Promise<{ program: Program; port: number }>;
const servePlain: ServeChat = (...args) => serve("udp/chat_server.ts", ...args);
const serveFast: ServeChat = (...args) =>
  listening((port) => command("udp/chat_server.ts", port, "--fast", ...args).toSpliced(2, 0, "--allow-ffi"));

/** A test of the chat server, over both of its paths. */
function chatTest(present: boolean, what: string, name: string, body: (serveChat: ServeChat) => Promise<void>): void {
  testWith(present, what, name, () => body(servePlain));
  testWith(present && linux, linux ? what : "Linux", `${name}, with --fast`, () => body(serveFast));
}

suiteTest("udp:chat", "chat_server.ts", () => servePlain());
if (linux) suiteTest("udp:chat", "chat_server.ts --fast", () => serveFast());

Deno.test("message: requests", () => {
  assertEquals(request("hi"), { kind: "message", text: "hi" });
  assertEquals(request("hi\r\n"), { kind: "message", text: "hi" });
  assertEquals(request(" /name x"), { kind: "message", text: " /name x" });
  assertEquals(request("/say 7 a  b"), { kind: "message", text: "a  b", id: 7 });
  assertEquals(request("/name anna"), { kind: "name", name: "anna" });
  assertEquals(request("/name"), { kind: "name", name: "" });
  assertEquals(request("/who\n"), { kind: "who" });
  assertEquals(request("/quit"), { kind: "quit" });
  assertEquals(request(""), { kind: "hello" });
  assertEquals(request("\n"), { kind: "hello" });
  assertEquals(request("x".repeat(1025)), { kind: "too long" });
  for (const text of ["/", "/say", "/say 1", "/say x y", "/say -1 y", "/say 1234567890 y", "/sayx 1 y", "/whoever"]) {
    assertEquals(request(text).kind, "unknown", text);
  }
});

Deno.test("message: any bytes become one harmless line", () => {
  assertEquals(request("a\nb\x1b[2Jc\u202ed\n"), { kind: "message", text: "a\\nb\\x1b[2Jc\\u{202e}d" });
  assertEquals(parseRequest(Uint8Array.of(0x68, 0xff, 0x69), 1024), { kind: "message", text: "h\ufffdi" });
  let seed = 1;
  for (let i = 0; i < 2000; i++) {
    const bytes = Uint8Array.from({ length: i % 40 }, () => (seed = seed * 48271 % 0x7fffffff) & 0xff);
    for (const line of [formatRequest(parseRequest(bytes, 1024)), formatReply(parseReply(bytes))]) {
      // deno-lint-ignore no-control-regex -- the test looks for these
      assert(!/[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]/.test(line), bytes.join(" "));
    }
  }
});

Deno.test("message: names", () => {
  for (const name of ["a", "Anna", "a1_.-", "x".repeat(20)]) assertEquals(nameError(name, 20), undefined, name);
  for (const name of ["", "1a", "127.0.0.1", "*", "a b", "a:", "аnna", "zoë", "a\n", "x".repeat(21), "#1"]) {
    assert(nameError(name, 20), name);
  }
});

Deno.test("message: parse and format are inverse, in both directions", () => {
  const requests: Request[] = [
    { kind: "message", text: "hi there" },
    { kind: "message", text: "hi: there", id: 999_999_999 },
    { kind: "name", name: "anna" },
    { kind: "who" },
    { kind: "quit" },
    { kind: "hello" },
  ];
  for (const each of requests) assertEquals(request(formatRequest(each)), each);
  const replies: Reply[] = [
    { kind: "message", name: "anna", text: "hi: there" },
    { kind: "message", name: "[::1]:9999", text: "/who" },
    { kind: "echo", id: 7, name: "127.0.0.1:9999", text: "#1 x" },
    { kind: "welcome", name: "anna" },
    { kind: "members", names: ["anna", "127.0.0.1:9999"], more: 0 },
    { kind: "members", names: ["anna"], more: 8 },
    { kind: "bye" },
    { kind: "notice", text: "anna left" },
    refusals.name("the name anna is taken"),
    refusals.name(nameError("1", 20) ?? ""),
    refusals.name(nameError("a".repeat(21), 20) ?? ""),
    refusals.tooLong(1024),
    refusals.full(256),
  ];
  for (const each of replies) assertEquals(reply(formatReply(each)), each);
  // A line of no known form is shown as it came.
  for (const line of ["", "#", "#1", "* ", "*", "#x y", "hello", ": hi", "* byebye", "* here:"]) {
    assertEquals(formatReply(reply(line)), line);
  }
});

Deno.test("message: which reply answers which request", () => {
  const say: Request = { kind: "message", text: "hi", id: 7 };
  const name: Request = { kind: "name", name: "anna" };
  const table: [line: string, answered: Request[]][] = [
    ["#7 anna: hi", [say]],
    ["#8 anna: hi", []],
    ["anna: hi", []],
    ["bob: #7 anna: hi", []],
    ["* you are anna", [name]],
    ["* the name anna is taken", [name]],
    ["* a name has at most 20 characters", [name]],
    ["* here: anna", [{ kind: "who" }]],
    ["* bye", [{ kind: "quit" }]],
    ["* too long: at most 64 bytes", [say, name, { kind: "who" }]],
    ["* the chat is full (2 clients): try again later", [say, name, { kind: "who" }]],
    ["* bob left", []],
  ];
  for (const [line, answered] of table) {
    const all: Request[] = [say, name, { kind: "who" }, { kind: "quit" }];
    assertEquals(all.filter((each) => answers(reply(line), each)), answered, line);
  }
});

Deno.test("room: members by address, names without case, a limit", () => {
  const at = (port: number): Deno.NetAddr => ({ transport: "udp", hostname: "127.0.0.1", port });
  const room = new Room(2);
  const anna = room.join(at(1));
  const bob = room.join(at(2));
  if (!anna || !bob) throw new Error("there is room for two");
  assertEquals([anna.name, room.find(at(2)), room.find(at(3)), room.join(at(3))], [
    "127.0.0.1:1",
    bob,
    undefined,
    undefined,
  ]);
  anna.name = "anna";
  assertEquals([room.isTaken("ANNA", bob), room.isTaken("ANNA", anna)], [true, false]);
  assertEquals([room.names(100), room.names(10)], [{ names: ["anna", "127.0.0.1:2"], more: 0 }, {
    names: ["anna"],
    more: 1,
  }]);
  assertEquals([room.leave(anna), room.leave(anna)], [true, false]);
  assertEquals([...room.members()], [bob]);
});

Deno.test("trace: without --trace a socket is itself", () => {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  assert(traced(socket, { trace: "", pcap: "" }) === socket);
  assert(traced(socket, { trace: "json", pcap: "" }) !== socket);
  socket.close();
});

Deno.test("address: IPv4 and IPv6 in numbers", () => {
  const bytes = (text: string) => parseAddress(text)?.toHex();
  assertEquals(bytes("127.0.0.1"), "7f000001");
  assertEquals(bytes("::1"), "00000000000000000000000000000001");
  assertEquals(bytes("2001:db8::ff00:42:8329"), "20010db8000000000000ff0000428329");
  assertEquals(bytes("::ffff:192.0.2.1"), "00000000000000000000ffffc0000201");
  for (const text of ["", "256.0.0.1", "1.2.3", "localhost", "::1::", "1:2", ":"]) {
    assertEquals(parseAddress(text), undefined);
  }
});

/** Another client: a bare socket. */
class Stranger {
  readonly socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  constructor(readonly port: number) {}

  async send(data: string | Uint8Array): Promise<void> {
    const to = { transport: "udp" as const, hostname: "127.0.0.1", port: this.port };
    await this.socket.send(typeof data === "string" ? encode(data) : data, to);
  }
  async next(): Promise<string> {
    const [datagram] = await within(20, this.socket.receive(), "no datagram in 20 s");
    return decode(datagram);
  }
  async asks(data: string | Uint8Array): Promise<string> {
    await this.send(data);
    return await this.next();
  }
  get place(): string {
    const { addr } = this.socket;
    return "hostname" in addr ? `${addr.hostname}:${addr.port}` : "";
  }
  [Symbol.dispose](): void {
    this.socket.close();
  }
}

chatTest(true, "", "chat: a plain datagram is a message, printed with its sender and sent back", async (serveChat) => {
  const { program, port } = await serveChat();
  await using _ = program;
  using stranger = new Stranger(port);
  assertEquals(await stranger.asks("hi\n"), `${stranger.place}: hi`);
  await program.line(new RegExp(`^${stranger.place}: hi$`));
  await stranger.asks("/name anna");
  assertEquals(await stranger.asks("again"), "anna: again");
  await program.line(new RegExp(`^anna \\(${stranger.place}\\): again$`));
});

chatTest(true, "", "chat: an echo by number; a message that is resent is not relayed twice", async (serveChat) => {
  const { program, port } = await serveChat();
  await using _ = program;
  using anna = new Stranger(port);
  using bob = new Stranger(port);
  await anna.asks("/name anna");
  await bob.asks("/name bob");
  assertEquals(await anna.next(), `* ${bob.place} joined`);
  assertEquals(await anna.next(), `* ${bob.place} is now bob`);
  assertEquals(await anna.asks("/say 1 hello"), "#1 anna: hello");
  assertEquals(await anna.asks("/say 1 hello"), "#1 anna: hello");
  assertEquals(await anna.asks("/say 2 bye"), "#2 anna: bye");
  assertEquals([await bob.next(), await bob.next()], ["anna: hello", "anna: bye"]);
  // A restarted client on the same port counts from 1 again.
  assertEquals(await anna.asks("/name anna"), "* you are anna");
  assertEquals(await anna.asks("/say 1 back"), "#1 anna: back");
  assertEquals(await bob.next(), "anna: back");
});

chatTest(
  true,
  "",
  "chat: a client that is silent for --idle is removed, and the others are told",
  async (serveChat) => {
    const { program, port } = await serveChat("--idle", "0.3");
    await using _ = program;
    using anna = new Stranger(port);
    using bob = new Stranger(port);
    await anna.asks("/name anna");
    await bob.asks("/name bob");
    const busy = setInterval(() => bob.send("/name bob"), 50);
    const lines: string[] = [];
    while (lines.at(-1) !== "* anna was silent for 0.3 s and has left") lines.push(await bob.next());
    clearInterval(busy);
    while (await anna.next() !== "* silent for 0.3 s: you have left the chat");
    assertEquals(program.status, undefined);
  },
);

chatTest(true, "", "chat: limits on clients, datagrams and names", async (serveChat) => {
  const { program, port } = await serveChat(
    ...["--max-clients", "2", "--size", "100", "--name-length", "5"],
  );
  await using _ = program;
  using anna = new Stranger(port);
  using bob = new Stranger(port);
  using carl = new Stranger(port);
  assertEquals(await anna.asks("x".repeat(101)), "* too long: at most 100 bytes");
  assertEquals(await anna.asks("x".repeat(100)), `${anna.place}: ${"x".repeat(100)}`);
  assertEquals(await anna.asks("/name toolong"), "* a name has at most 5 characters");
  await bob.asks("/who");
  assertEquals(await carl.asks("hi"), "* the chat is full (2 clients): try again later");
  await bob.send("/quit");
  while (await bob.next() !== "* bye");
  assertMatch(await carl.asks("hi"), /: hi$/);
});

chatTest(true, "", "chat: /who is cut to about one datagram, however many clients there are", async (serveChat) => {
  const { program, port } = await serveChat("--size", "64");
  await using _ = program;
  const crowd = Array.from({ length: 10 }, () => new Stranger(port));
  for (const each of crowd) await each.asks("/who");
  using last = new Stranger(port);
  assertMatch(await last.asks("/who"), /^\* here: 127\.[^ ]+, 127\.[^ ]+, 127\.[^ ]+ and 8 more$/);
  for (const each of crowd) each.socket.close();
});

chatTest(linux, "Linux", "chat: many short-lived clients do not make the memory grow", async (serveChat) => {
  const { program, port } = await serveChat("--quiet", "--max-clients", "20");
  await using _ = program;
  const flood = async (rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      const crowd = Array.from({ length: 50 }, () => new Stranger(port));
      await Promise.all(crowd.map((each) => each.asks(`/name n${round}`)));
      for (const each of crowd) each.socket.close();
    }
  };
  await flood(20);
  const [before, open] = [await memory(program.pid), await descriptors(program.pid)];
  await flood(60);
  const after = await memory(program.pid);
  assert(after - before < 40, `${before} MiB before, ${after} MiB after 3,000 more strangers`);
  assertEquals(await descriptors(program.pid), open);
});

/** Plays a server that loses datagrams: `answer` returns what to send for each, if anything. */
async function lossy(
  answer: (line: string, n: number) => string[],
  ...args: string[]
): Promise<{ client: Program; heard: string[] }> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const heard: string[] = [];
  const program = client("udp/chat_client.ts", "port" in socket.addr ? socket.addr.port : 0, ...args);
  (async () => {
    for await (const [datagram, from] of socket) {
      const line = decode(datagram);
      const n = heard.filter((before) => before === line).length;
      heard.push(line);
      for (const reply of answer(line, n)) await socket.send(encode(reply), from);
    }
  })().catch(() => {}); // closed below
  await program.end();
  socket.close();
  return { client: program, heard };
}

Deno.test("chat_client: a request without an answer is sent again until one arrives", async () => {
  const { client, heard } = await lossy(
    (line, n) => {
      if (n === 0) return []; // the first of each kind is lost
      if (line === "/name anna") return ["* you are anna"];
      if (line === "/say 1 hello") return ["#1 anna: hello", "#1 anna: hello"]; // an answer may arrive twice
      return ["* bye"];
    },
    "--name",
    "anna",
    "--message",
    "hello",
  );
  assertEquals(client.status?.code, 0, client.stderr);
  assertEquals(client.stdout, "anna: hello\n");
  assertEquals([...new Set(heard)], ["/name anna", "/say 1 hello", "/quit"]);
});

Deno.test("chat_client --message: no echo within --timeout is exit code 1", async () => {
  const { client, heard } = await lossy(
    (line) => line === "/who" ? ["* here: you"] : [],
    ...["--message", "hello", "--timeout", "0.8"],
  );
  failedWith(client, 1, /^chat_client: no answer from 127\.0\.0\.1:\d+ in 0\.8 s: is the server running\?/);
  assertEquals(heard, ["/who", "/say 1 hello", "/say 1 hello"]);
});

Deno.test("chat_client: a message that the server refuses is one line and exit code 1, and it leaves", async () => {
  const { program, port } = await serve("udp/chat_server.ts", "--size", "64");
  await using _ = program;
  const long = "x".repeat(64);
  const refusal = /^chat_client: the server refused the message: too long: at most 64 bytes$/m;
  const one = await runClient("udp/chat_client.ts", port, "--name", "anna", "--message", long);
  failedWith(one, 1, refusal);
  assertEquals(one.stdout, "");
  await program.line(/^\* anna left$/);

  const piped = new Program(command("udp/chat_client.ts", port, "--name", "berta"), { cwd: root, stdin: true });
  await piped.input(`${long}\nshort\n`);
  await piped.end();
  failedWith(piped, 1, refusal);
  assertEquals(piped.stdout, "* here: berta\n* too long: at most 64 bytes\nberta: short\n");
});

Deno.test("chat: what Windows reports, refused datagrams and large ones, ends neither server nor client", async () => {
  const onWindows = (script: string, port: number, ...args: string[]) => {
    const [deno = "", sub = "", ...rest] = command(script, port, ...args);
    return [deno, sub, "--preload=tests/support/windows_datagrams.ts", ...rest];
  };
  const port = freePort();
  await using program = new Program(onWindows("udp/chat_server.ts", port, "--size", "2000"), { cwd: root });
  await program.line(/listening on/);
  using stranger = new Stranger(port);
  for (const size of [2001, 9000, longestDatagram]) {
    assertEquals(await stranger.asks(new Uint8Array(size).fill(0x61)), "* too long: at most 2000 bytes");
  }
  const anna = new Program(onWindows("udp/chat_client.ts", port, "--name", "anna"), { cwd: root, stdin: true });
  await anna.line(/^\* here: /);
  await stranger.send("y".repeat(1500));
  await anna.line(/: y{1500}$/);
  await anna.input("hello\n");
  assertEquals((await anna.end()).code, 0, anna.stderr);
  assertMatch(anna.stdout, /^anna: hello$/m);
  assertEquals([program.status, program.stderr], [undefined, ""]);
});

Deno.test("chat_client: a server that answers something else is not called missing", async () => {
  const { client } = await lossy((line) => [line], "--message", "hello", "--timeout", "0.3"); // a plain echo server
  failedWith(
    client,
    1,
    /^chat_client: no answer from .* in 0\.3 s, only datagrams of other kinds: is it a chat server\? \(--plain talks to any\)$/m,
  );
});

Deno.test("chat_client --plain: any UDP server, each text as it is, and what comes is shown", async () => {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const port = "port" in socket.addr ? socket.addr.port : 0;
  const heard: string[] = [];
  (async () => {
    for await (const [datagram, from] of socket) {
      const text = decode(datagram);
      heard.push(text);
      if (text !== "lost") await socket.send(encode(`${text.toUpperCase()}\x1b[2J`), from);
    }
  })();
  const plain = (...args: string[]) => command("udp/chat_client.ts", port, "--plain", ...args);
  const one = new Program(plain("--message", "hello"), { cwd: root });
  assertEquals((await one.end()).code, 0, one.stderr);
  assertEquals(one.stdout, "HELLO\\x1b[2J\n"); // nothing from the network controls the terminal
  await using typed = new Program(plain(), { cwd: root, stdin: true });
  await typed.input("/who\ntwo\n");
  assertEquals((await typed.end()).code, 0, typed.stderr);
  assertEquals(heard, ["hello", "/who", "two"]);
  const lost = new Program(plain("--message", "lost", "--timeout", "0.3"), { cwd: root });
  await lost.end();
  failedWith(lost, 1, /^chat_client: no answer from .* in 0\.3 s: a datagram was lost, or no server is there$/m);
  socket.close();
});

Deno.test("chat_client: the name that it repeats is the one that was typed, not what the server says", async () => {
  const heard: string[] = [];
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const port = "port" in socket.addr ? socket.addr.port : 0;
  const args = ["--name", "anna", "--keepalive", "0.05"];
  await using program = new Program(command("udp/chat_client.ts", port, ...args), { cwd: root, stdin: true });
  (async () => {
    for await (const [datagram, from] of socket) {
      const line = decode(datagram);
      heard.push(line);
      await socket.send(encode(line.startsWith("/name") ? "* you are root /quit" : "* here: you"), from);
    }
  })().catch(() => {}); // closed below
  await program.line(/^\* here: you$/);
  await program.input("/name berta\n", true);
  await until(() => heard.filter((line) => line === "/name berta").length > 2, "the name again");
  socket.close();
  assertEquals([...new Set(heard)].sort(), ["/name anna", "/name berta", "/who"]);
});

Deno.test("chat_client: only datagrams of the server count", async () => {
  using forger = new Stranger(0);
  let from: Deno.Addr | undefined;
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const port = "port" in socket.addr ? socket.addr.port : 0;
  const program = client("udp/chat_client.ts", port, "--message", "hello");
  (async () => {
    for await (const [datagram, addr] of socket) {
      from = addr;
      const line = decode(datagram);
      if (line.startsWith("/say")) await forger.socket.send(encode("#1 forged: hello"), from);
      await socket.send(encode(line === "/who" ? "* here: you" : line === "/quit" ? "* bye" : "#1 you: hello"), from);
    }
  })().catch(() => {});
  await program.end();
  socket.close();
  assertEquals(program.stdout, "you: hello\n");
});

Deno.test("chat_client: a name that is taken, a server that is full", async () => {
  const { program, port } = await serve("udp/chat_server.ts", "--max-clients", "1");
  await using _ = program;
  using anna = new Stranger(port);
  await anna.asks("/name anna");
  failedWith(await runClient("udp/chat_client.ts", port, "--message", "hi"), 1, /^chat_client: the chat is full/);
  failedWith(
    await runClient("udp/chat_client.ts", port, "--name", "b:", "--message", "x"),
    2,
    /^chat_client: --name needs a letter, .*, not b:$/m,
  );
  const second = await serve("udp/chat_server.ts");
  await using __ = second.program;
  using bob = new Stranger(second.port);
  await bob.asks("/name bob");
  const taken = await runClient("udp/chat_client.ts", second.port, "--name", "BOB", "--message", "hi");
  failedWith(taken, 1, /^chat_client: the name BOB is taken$/m);
});

Deno.test("chat_client: each line of stdin is a message; Ctrl-C leaves and the others are told", async () => {
  const { program, port } = await serve("udp/chat_server.ts");
  await using _ = program;
  const piped = new Program(command("udp/chat_client.ts", port, "--name", "anna"), { cwd: root, stdin: true });
  await piped.input("one\n\n/who\n/name berta\ntwo\n");
  assertEquals((await piped.end()).code, 0, piped.stderr);
  assertEquals(piped.stdout, "* here: anna\nanna: one\n* here: anna\n* you are berta\nberta: two\n");
  await program.line(/^\* berta left$/);

  if (!signals) return;
  const waiting = new Program(command("udp/chat_client.ts", port, "--name", "carl"), { cwd: root, stdin: true });
  await waiting.line(/^\* here: carl$/);
  waiting.signal("SIGINT");
  assertEquals((await waiting.end()).code, 0);
  await program.line(/^\* carl left$/);
});

chatTest(signals, noSignals, "chat_server: it tells the members that it is stopping", async (serveChat) => {
  const { program, port } = await serveChat();
  using anna = new Stranger(port);
  await anna.asks("/who");
  program.signal("SIGTERM");
  assertEquals(await anna.next(), "* the server is stopping");
  assertEquals((await program.end()).code, 0);
});

/** A real datagram, damaged: cut, with a part repeated, with bits flipped, or with another one behind it. */
function mutate(datagrams: readonly string[], next: (n: number) => number): Uint8Array<ArrayBuffer> {
  let bytes = [...encode(datagrams[next(datagrams.length)] ?? "")];
  for (let i = next(3); i >= 0; i--) {
    const at = next(bytes.length + 1);
    const kind = next(4);
    if (kind === 0) bytes = bytes.slice(0, at);
    else if (kind === 1) {
      bytes.splice(
        at,
        0,
        ...Array.from({ length: next(40) }, () => bytes.slice(at, at + 30)).flat(),
      );
    } else if (kind === 2) bytes = bytes.map((byte) => next(8) ? byte : byte ^ (1 << next(8)));
    else bytes.push(...encode(datagrams[next(datagrams.length)] ?? ""));
  }
  return Uint8Array.from(bytes);
}

// deno-lint-ignore no-control-regex -- the tests look for these
const controls = /[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]/;

chatTest(linux, "Linux", "chat_server: thousands of damaged datagrams harm nothing", async (serveChat) => {
  const { program, port } = await serveChat();
  await using _ = program;
  const real = [
    "/name anna",
    "/name bob",
    "/say 1 hello",
    "/say 999999999 a: b",
    "/who",
    "/quit",
    "hi\r\n",
    "größer \u202e",
  ];
  const next = numbers(20_240_517);
  const crowd = Array.from({ length: 12 }, () => new Stranger(port));
  using guest = new Stranger(port);
  const send = async (datagrams: number) => {
    for (let i = 1; i <= datagrams; i++) {
      await crowd[next(crowd.length)]?.send(mutate(real, next));
      // So many fit into the server's receive buffer. This question is answered without joining the chat.
      if (i % 50 === 0) assertEquals(await guest.asks("/quit"), "* bye");
    }
  };
  await send(1500);
  const [before, open] = [await memory(program.pid), await descriptors(program.pid)];
  await send(3000);
  const grown = await memory(program.pid) - before;
  assert(grown < 40, `${grown} MiB more after 3,000 more datagrams`);
  assertEquals(await descriptors(program.pid), open);
  for (const each of crowd) each.socket.close();

  const right = await runClient("udp/chat_client.ts", port, "--name", "zoe", "--message", "hello");
  assertEquals([right.status?.code, right.stderr], [0, ""]);
  assertMatch(right.stdout, /^zoe: hello$/m);
  assert(!controls.test(program.stdout), "no control character is printed");
  assertEquals([program.status, program.stderr], [undefined, ""]);
});

/** What a hostile server sends for the request `line`; `next` gives it numbers. */
type Hostile = (line: string, next: (n: number) => number) => (string | Uint8Array<ArrayBuffer>)[];
const rightReply = (line: string) =>
  line === "/quit" ? "* bye" : line.startsWith("/say") ? `#${line.slice(5).replace(" ", " anna: ")}` : "* you are anna";
const replies = ["* you are anna", "#1 anna: hello", "* bye", "* here: anna, bob and 7 more", "bob: hi", "* bob left"];
const noise = (next: (n: number) => number) => Uint8Array.from({ length: next(300) }, () => next(256));
const hostile: Record<string, Hostile> = {
  "garbage": (_, next) => [noise(next), noise(next), noise(next)],
  "garbage, then the right reply": (line, next) => [noise(next), new Uint8Array(0), rightReply(line)],
  "a flood of garbage": (_, next) => Array.from({ length: 300 }, () => noise(next)),
  "a flood of messages": (line) => [...Array.from({ length: 300 }, (_, i) => `bob: ${i}`), rightReply(line)],
  "the echo of its own request": (line) => [line],
  "echoes of other requests": () => ["#2 anna: hello", "#999999999 a: b", "#1x anna: hello", "#-1 anna: hello", "#0 :"],
  "the longest datagrams": (line) => [
    ...[new Uint8Array(longestDatagram).fill(0x61), "#1 anna: ".padEnd(longestDatagram, "\x1b"), line],
  ],
  "a right reply of the greatest length": (line) => [rightReply(line).padEnd(longestDatagram, "\x07")],
  "goodbye to everything": () => ["* bye"],
  "refusals": () => ["* the name \x1b[2J\u202e is taken", "* too long: at most 0 bytes"],
  "a right reply, doubled and damaged": (line, next) => [mutate([rightReply(line)], next), mutate(replies, next)],
  "damaged replies": (_, next) => Array.from({ length: 20 }, () => mutate(replies, next)),
  "right replies, each five times": (line) => Array<string>(5).fill(rightReply(line)),
};

Deno.test("chat_client: hostile servers, each run ends with 0 or 1 and at most one line on stderr", async (t) => {
  const attack = async (answer: Hostile, seed: number, wrongPort = false) => {
    const next = numbers(seed);
    using server = new Stranger(0);
    using other = new Stranger(0); // sends from another port
    const source = wrongPort ? other.socket : server.socket;
    const port = Number(server.place.split(":")[1]);
    const args = ["--name", "anna", "--message", "hello", "--timeout", "0.3"];
    const program = client("udp/chat_client.ts", port, ...args);
    (async () => {
      for await (const [datagram, from] of server.socket) {
        for (const reply of answer(decode(datagram), next)) {
          await source.send(typeof reply === "string" ? encode(reply) : reply, from);
        }
      }
    })().catch(() => {}); // the socket is closed
    const { code } = await program.end();
    assert(code === 0 || code === 1, `exit code ${code}: ${program.tail()}`);
    assertMatch(program.stderr, code === 0 ? /^$/ : /^chat_client: [^\n]*\n$/);
    assert(!controls.test(program.stdout + program.stderr), "no control character is printed");
    return program;
  };
  for (const [name, answer] of Object.entries(hostile)) {
    await t.step(name, async () => {
      await attack(answer, 1); // `deno task campaign` has a hundred
    });
  }
  await t.step("right replies from another port", async () => {
    const program = await attack((line) => [rightReply(line)], 1, true);
    assertEquals([program.status?.code, program.stdout], [1, ""]);
  });
});

testWith(netcat, "OpenBSD's nc", "chat: nc -u is a client", async () => {
  const { program, port } = await serve("udp/chat_server.ts");
  await using _ = program;
  await using nc = new Program(["nc", "-u", "127.0.0.1", `${port}`], { stdin: true });
  await nc.input("hi from nc\n", true);
  await nc.line(/^127\.0\.0\.1:\d+: hi from nc/);
  await program.line(/^127\.0\.0\.1:\d+: hi from nc$/);
});

testWith(
  tmux,
  "tmux",
  "chat_client on a terminal: what arrives does not break the line that is being typed",
  async () => {
    const { program, port } = await serve("udp/chat_server.ts");
    await using _ = program;
    const session = `socketlab-${port}`;
    const folder = await Deno.makeTempDir();
    const on = (...args: string[]) => output("tmux", "-S", `${folder}/tmux`, ...args);
    const screen = () => on("capture-pane", "-p", "-t", session);
    const line = command("udp/chat_client.ts", port, "--name", "anna").map((word) =>
      word === "deno" ? Deno.execPath() : word
    );
    await on(
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-s",
      session,
      "-x",
      "70",
      "-y",
      "20",
      `cd '${root}' && ${line.join(" ")}; sleep 60`,
    );
    try {
      await until(async () => /^>/m.test(await screen()), "the prompt");
      await on("send-keys", "-t", session, "-l", "half a mess");
      await until(async () => (await screen()).includes("> half a mess"), "what was typed");
      using bob = new Stranger(port);
      await bob.send("I interrupt");
      await until(async () => (await screen()).includes("I interrupt"), "what came");
      const shown = await screen();
      assertMatch(shown, new RegExp(`${bob.place}: I interrupt\n> half a mess\n`));
      assertEquals(shown.match(/half a mess/g)?.length, 1, shown);
      await on("send-keys", "-t", session, "-l", "age");
      await on("send-keys", "-t", session, "Enter");
      await until(async () => (await screen()).includes("anna: half a message"), "the echo");
      await on("send-keys", "-t", session, "C-c");
      await program.line(/^\* anna left$/);
    } finally {
      await on("kill-server");
      await Deno.remove(folder, { recursive: true });
    }
    assertStringIncludes(program.stdout, "half a message");
  },
);

testWith(
  linux,
  "Linux",
  "udp/syscall_server.ts: datagrams of every length come back, to whoever sent them",
  async () => {
    for (const host of ["127.0.0.1", "::1"]) {
      const { program, port } = await serve("udp/syscall_server.ts", "--host", host, "--calls");
      await using _ = program;
      const one = Deno.listenDatagram({ transport: "udp", hostname: host, port: 0 });
      const two = Deno.listenDatagram({ transport: "udp", hostname: host, port: 0 });
      for (const length of [0, 1, 512, 65_507 - 20]) {
        for (const socket of [one, two]) {
          const sent = Uint8Array.from({ length }, (_, i) => i * 7 + (socket === one ? 1 : 2));
          await socket.send(sent, { transport: "udp", hostname: host, port });
          const [received, from] = await socket.receive(new Uint8Array(65_536));
          assertEquals(received, sent);
          assertEquals(from, { transport: "udp", hostname: host, port });
        }
      }
      one.close();
      two.close();
      assertMatch(program.stderr, /^recvmmsg\(\d+, .* = 1$/m);
      program.signal("SIGINT");
      assertEquals((await program.end()).code, 0);
      assertMatch(program.stdout, /^8 datagrams echoed$/m);
    }
  },
);

testWith(linux, "Linux", "udp/syscall_server.ts: hundreds of datagrams at once, and Ctrl-C under load", async () => {
  const { program, port } = await serve("udp/syscall_server.ts");
  await using _ = program;
  const sockets = Array.from(
    { length: 8 },
    () => Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 }),
  );
  await Promise.all(sockets.map(async (socket, s) => {
    for (let i = 0; i < 50; i++) {
      await socket.send(Uint8Array.of(s, i), { transport: "udp", hostname: "127.0.0.1", port });
    }
    for (let i = 0; i < 50; i++) assertEquals((await socket.receive())[0], Uint8Array.of(s, i));
  }));
  sockets.forEach((socket) => socket.close());
  const load = client("udp/syscall_client.ts", port, "--count", "10000000", "--timeout", "0.2");
  await until(async () => (await output("cat", "/proc/net/udp")).split("\n").length > 2, "the load has begun");
  program.signal("SIGINT");
  assertEquals((await program.end()).code, 0);
  assertEquals((await load.end()).code, 1); // its server is gone
});

testWith(
  linux,
  "Linux",
  "udp/syscall_client.ts: what is lost, doubled or of another length is not counted",
  async () => {
    const server = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    if (server.addr.transport !== "udp") throw new Error("no port");
    const program = client(
      "udp/syscall_client.ts",
      server.addr.port,
      ..."--count 10 --batch 5 --timeout 0.3".split(" "),
    );
    const [first, from] = await server.receive();
    await server.send(first, from); // it asks first whether anybody is there
    for (let i = 0; i < 10; i++) {
      const [datagram, from] = await server.receive();
      const number = datagram[3] ?? 0;
      assertEquals(datagram.length, 64);
      if (number === 3) continue;
      await server.send(number === 7 ? datagram.subarray(1) : datagram, from);
      if (number === 2) await server.send(datagram, from);
    }
    assertEquals((await program.end()).code, 1);
    assertMatch(program.stdout, /^8 datagrams of 10 came back in .*\n\d+ round trips\/s, 2 lost\n$/);
  },
);

Deno.test("pinger: the same datagrams are lost for the same seed, and the summary adds up", async () => {
  const { program, port } = await serve("udp/pinger_server.ts", "--loss", "41", "--seed", "7");
  await using _ = program;
  const pinger = await runClient("udp/pinger_client.ts", port, "--timeout", "0.5", "--count", "10");
  assertEquals(pinger.status?.code, 0, pinger.stderr);
  // The die: 1.2, 6.2, 97.7, 69.9, 52.1, 40.6, 46.6, 24.0, 55.3, 73.0 percent.
  const lost = [1, 2, 6, 8];
  assertEquals([...program.stdout.matchAll(/: Ping (\d+) .*\(lost\)$/gm)].map(([, number]) => Number(number)), lost);
  const found = [...pinger.stdout.matchAll(/^(\d+): lost, no answer in 0\.5 s$/gm)].map(([, number]) => Number(number));
  assertEquals(found, lost);
  assertStringIncludes(pinger.stdout, "10 sent, 6 received, 40 % lost");
  const times = [...pinger.stdout.matchAll(/^\d+: (\d+\.\d{3}) ms$/gm)].map(([, ms]) => Number(ms));
  const [, min, avg, max] = /^round trip min\/avg\/max (\S+)\/(\S+)\/(\S+) ms$/m.exec(pinger.stdout) ?? [];
  assertEquals([times.length, Number(min), Number(max)], [6, Math.min(...times), Math.max(...times)]);
  assert(Math.abs(Number(avg) - times.reduce((sum, ms) => sum + ms, 0) / 6) < 0.0011, pinger.stdout);
});

Deno.test("pinger_server: --loss 0 and 100, capitals, hostile bytes shown escaped", async () => {
  for (const loss of [0, 100]) {
    const { program, port } = await serve("udp/pinger_server.ts", "--loss", `${loss}`);
    await using _ = program;
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    for (let i = 0; i < 20; i++) {
      await socket.send(encode("a\x1b[31mß"), { transport: "udp", hostname: "127.0.0.1", port });
      if (loss === 0) assertEquals(new TextDecoder().decode((await socket.receive())[0]), "A\x1b[31MSS");
    }
    await program.line(/: a\\x1b\[31mß( \(lost\))?$/);
    await until(() => program.stdout.split("\n").length >= 21, "all are printed");
    assertEquals(program.stdout.includes("(lost)"), loss === 100);
    socket.close();
  }
});

Deno.test("pinger_server: an answer that is longer than a datagram is lost, and the next one is not", async () => {
  const { program, port } = await serve("udp/pinger_server.ts", "--loss", "0");
  await using _ = program;
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const to: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };
  await socket.send(new Uint8Array(longestDatagram).fill(0xff), to); // each byte is no character: U+FFFD, three bytes
  await socket.send(encode("hi"), to);
  const [answer] = await within(20, socket.receive(), `no answer: ${program.tail()}`);
  assertEquals(new TextDecoder().decode(answer), "HI");
  assertMatch(program.stderr, /^to 127\.0\.0\.1:\d+: not sent: .*\n$/);
  socket.close();
});

Deno.test("pinger_client: a late answer is not the next one's, a stranger's counts for nothing, nobody there", async () => {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const stranger = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  if (socket.addr.transport !== "udp") throw new Error("no port");
  const pinger = client("udp/pinger_client.ts", socket.addr.port, "--timeout", "0.3", "--count", "3");
  const texts: Uint8Array[] = [];
  for (let i = 0; i < 3; i++) {
    const [datagram, from] = await socket.receive();
    texts.push(datagram.slice());
    if (i === 0) await stranger.send(datagram, from); // as if it were the server's
    if (i === 1) await socket.send(texts[0] ?? datagram, from); // the first one's answer, late
    if (i === 2) await socket.send(datagram, from);
  }
  assertEquals((await pinger.end()).code, 0);
  assertMatch(pinger.stdout, /^1: lost.*\n2: lost.*\n3: \d+\.\d{3} ms\n3 sent, 1 received, 67 % lost\nround trip/);
  const none = await runClient("udp/pinger_client.ts", socket.addr.port, "--timeout", "0.1", "--count", "2");
  failedWith(none, 1, /^pinger_client: no answer from 127\.0\.0\.1:\d+ in 0\.1 s: is the server running\?$/m);
  for (let i = 0; i < 2; i++) await socket.receive(); // what it has sent
  const slow = client("udp/pinger_client.ts", socket.addr.port, "--timeout", "0.3", "--count", "2");
  const [first, from] = await socket.receive();
  const late = first.slice();
  await socket.receive(); // the first one is lost by now
  await socket.send(late, from);
  await slow.end();
  failedWith(slow, 1, /: no answer from 127\.0\.0\.1:\d+ in 0\.3 s, only late or other datagrams: raise --timeout$/m);
  socket.close();
  stranger.close();
});
