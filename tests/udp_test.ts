/** The UDP chat: the wire format, the suite on the server, and what server and client do when datagrams are lost. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "jsr:@std/assert@1";
import { badName, parseRequest, textOf } from "../udp/message.ts";
import {
  client,
  descriptors,
  failedWith,
  memory,
  output,
  runClient,
  serve,
  suiteTest,
  testWith,
  until,
} from "./helpers.ts";
import { has, Program } from "./program.ts";
import { command, root } from "./tasks.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (data: Uint8Array) => new TextDecoder().decode(data);
const request = (text: string) => parseRequest(encode(text));
const linux = Deno.build.os === "linux";
const netcat = (await output("sh", "-c", "nc -h 2>&1")).includes("OpenBSD");
const tmux = await has("tmux", "-V");

suiteTest("udp:chat", "chat_server.ts", () => serve("udp/chat_server.ts"));

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
  for (const text of ["/", "/say", "/say 1", "/say x y", "/say -1 y", "/say 1234567890 y", "/sayx 1 y", "/whoever"]) {
    assertEquals(request(text).kind, "unknown", text);
  }
});

Deno.test("message: whatever the bytes, the text is one harmless line", () => {
  assertEquals(textOf(encode("a\nb\x1b[2Jc\u202ed\n")), "a\\nb\\x1b[2Jc\\u{202e}d");
  assertEquals(textOf(Uint8Array.of(0x68, 0xff, 0x69)), "h\ufffdi");
  let seed = 1;
  for (let i = 0; i < 2000; i++) {
    const bytes = Uint8Array.from({ length: i % 40 }, () => (seed = seed * 48271 % 0x7fffffff) & 0xff);
    // deno-lint-ignore no-control-regex -- just those must not be there
    assert(!/[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]/.test(textOf(bytes)), bytes.join(" "));
    parseRequest(bytes);
  }
});

Deno.test("message: names", () => {
  for (const name of ["a", "Anna", "a1_.-", "x".repeat(20)]) assertEquals(badName(name, 20), undefined, name);
  for (const name of ["", "1a", "127.0.0.1", "*", "a b", "a:", "аnna", "zoë", "a\n", "x".repeat(21), "#1"]) {
    assert(badName(name, 20), name);
  }
});

/** A foreign client: a bare socket. */
class Stranger {
  readonly socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  constructor(readonly port: number) {}

  async send(data: string | Uint8Array): Promise<void> {
    const to = { transport: "udp" as const, hostname: "127.0.0.1", port: this.port };
    await this.socket.send(typeof data === "string" ? encode(data) : data, to);
  }
  async next(): Promise<string> {
    return decode((await this.socket.receive())[0]);
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

Deno.test("chat: a plain datagram is a message, printed with its sender and sent back", async () => {
  const { program, port } = await serve("udp/chat_server.ts");
  await using _ = program;
  using stranger = new Stranger(port);
  assertEquals(await stranger.asks("hi\n"), `${stranger.place}: hi`);
  await program.line(new RegExp(`^${stranger.place}: hi$`));
  await stranger.asks("/name anna");
  assertEquals(await stranger.asks("again"), "anna: again");
  await program.line(new RegExp(`^anna \\(${stranger.place}\\): again$`));
});

Deno.test("chat: an echo by number; a message that is resent is not relayed twice", async () => {
  const { program, port } = await serve("udp/chat_server.ts");
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
  // A client that starts anew on the same port counts from one again.
  assertEquals(await anna.asks("/name anna"), "* you are anna");
  assertEquals(await anna.asks("/say 1 back"), "#1 anna: back");
  assertEquals(await bob.next(), "anna: back");
});

Deno.test("chat: silence for --idle is the end, and the others are told", async () => {
  const { program, port } = await serve("udp/chat_server.ts", "--idle", "0.3");
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
});

Deno.test("chat: limits on clients, datagrams and names", async () => {
  const { program, port } = await serve(
    "udp/chat_server.ts",
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

Deno.test("chat: /who is cut to about a datagram, whatever the number of clients", async () => {
  const { program, port } = await serve("udp/chat_server.ts", "--size", "64");
  await using _ = program;
  const crowd = Array.from({ length: 10 }, () => new Stranger(port));
  for (const each of crowd) await each.asks("/who");
  using last = new Stranger(port);
  assertMatch(await last.asks("/who"), /^\* here: 127\.[^ ]+, 127\.[^ ]+, 127\.[^ ]+ and 8 more$/);
  for (const each of crowd) each.socket.close();
});

testWith(linux, "Linux", "chat: strangers do not make the memory grow", async () => {
  const { program, port } = await serve("udp/chat_server.ts", "--quiet", "--max-clients", "20");
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

/** A server that loses datagrams: it hands each to `answer`, which sends or does not. */
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

Deno.test("chat_client: what gets no answer is sent again, until it does", async () => {
  const { client, heard } = await lossy(
    (line, n) => {
      if (n === 0) return []; // the first of each is lost
      if (line === "/name anna") return ["* you are anna"];
      if (line === "/say 1 hello") return ["#1 anna: hello", "#1 anna: hello"]; // and an answer may come twice
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

Deno.test("chat_client: only the server is listened to", async () => {
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
    /^chat_client: --name wants a letter, .*, not b:$/m,
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

  const waiting = new Program(command("udp/chat_client.ts", port, "--name", "carl"), { cwd: root, stdin: true });
  await waiting.line(/^\* here: carl$/);
  waiting.signal("SIGINT");
  assertEquals((await waiting.end()).code, 0);
  await program.line(/^\* carl left$/);
});

Deno.test("chat_server: it tells those here that it is stopping", async () => {
  const { program, port } = await serve("udp/chat_server.ts");
  using anna = new Stranger(port);
  await anna.asks("/who");
  program.signal("SIGTERM");
  assertEquals(await anna.next(), "* the server is stopping");
  assertEquals((await program.end()).code, 0);
});

testWith(netcat, "OpenBSD's nc", "chat: nc -u is a client", async () => {
  const { program, port } = await serve("udp/chat_server.ts");
  await using _ = program;
  await using nc = new Program(["nc", "-u", "127.0.0.1", `${port}`], { stdin: true });
  await nc.input("hi from nc\n", true);
  await nc.line(/^127\.0\.0\.1:\d+: hi from nc/);
  await program.line(/^127\.0\.0\.1:\d+: hi from nc$/);
});

testWith(tmux, "tmux", "chat_client on a terminal: what arrives does not tear apart what is typed", async () => {
  const { program, port } = await serve("udp/chat_server.ts");
  await using _ = program;
  const session = `socketlab-${port}`;
  const on = (...args: string[]) => output("tmux", "-L", session, ...args);
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
  }
  assertStringIncludes(program.stdout, "half a message");
});
