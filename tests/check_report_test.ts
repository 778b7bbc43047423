/** What `deno task check` says about a program that fails a check: its hint, its output, its bytes; and how long it waits. */
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "jsr:@std/assert@1";
import { Failure } from "../cli.ts";
import { encode } from "../udp/_tftp_message.ts";
import { Peer } from "./suites/_peer.ts";
import { inTerminal, received, recordIn, Recording, sent, step } from "./suites/_record.ts";
import { type Check, fail, limits, quote, type Server, type Suite } from "./suites/_suite.ts";
import { TftpPeer } from "./suites/_tftp_peer.ts";
import { ask } from "./suites/_dns_peer.ts";
import { type Result, runSuite } from "./support/checking.ts";
import { freePort } from "./support/free_port.ts";
import { testWith, until } from "./support/helpers.ts";
import { judge } from "./support/judge.ts";
import { portInUse } from "./support/processes.ts";
import { has, Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";

const python = await has("python3", "--version");

/** Runs a suite with these checks on a program in Python. */
async function run(source: string, checks: readonly Check<Server>[], more: Partial<Suite> = {}): Promise<Result[]> {
  const suite: Suite = { about: "a server", ...more, role: "server", checks };
  const results: Result[] = [];
  const all: readonly Check<never>[] = suite.checks;
  const program = { words: ["python3", "-c", source], cwd: root };
  for await (const result of runSuite({ suite, checks: all, ...program, port: 0, seed: 1, limit: 30 })) {
    results.push(result);
  }
  return results;
}

const check = (name: string, run: (server: Server) => Promise<void>): Check<Server> => ({
  ...{ name, why: "It matters.", points: 1, run },
});

const says = (word: string) =>
  check(word, async (server) => {
    using peer = await Peer.connect(server);
    await peer.send(word);
    const reply = await peer.some("reply");
    if (reply.length === 0) fail("a reply", "the end of the connection", "loop over recv");
  });

/** Prints each word, replies, and leaves at "boom" with that line on stderr. */
const talker = (line: string) => `
import os, socket, sys
s = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    c, _ = s.accept()
    word = c.recv(100).decode()
    print("word", word, flush=True)
    if word == "boom":
        print(${JSON.stringify(line)}, file=sys.stderr, flush=True)
        os._exit(1)
    c.sendall(b"x")
    c.close()
`;

testWith(
  python,
  "python3",
  "check: a crash has the hint for its reason, and the output of this check alone",
  async () => {
    const problem = async (line: string) =>
      (await run(talker(line), ["before", "boom"].map(says))).map(({ problem }) => problem).join("");
    const [reset, mac, aborted, bytes, late, other] = await Promise.all([
      problem("ConnectionResetError: [Errno 104]"),
      problem("Connection reset by peer (os error 54)"),
      problem("read tcp 127.0.0.1:7007: wsarecv: An existing connection was forcibly closed by the remote host."),
      problem("UnicodeDecodeError: 'utf-8' codec"),
      problem("socket.timeout: timed out"),
      problem("ZeroDivisionError: division by zero"),
    ]);
    for (const gone of [reset, mac, aborted]) {
      assertMatch(gone, /hint: a client may leave at any time: catch the error of recv and send for this client alone/);
    }
    assertMatch(bytes, /hint: what arrives may be any bytes/);
    assertMatch(late, /hint: .*: catch socket\.timeout, which every version has/);
    assertMatch(other, /hint: loop over recv\n/);
    assertStringIncludes(other, "| word boom");
    assertEquals(other.match(/word before/), null); // it belongs to the check that passed
  },
);

testWith(python, "python3", "check: a program that finds its port taken is told so, once", async () => {
  const source = "import errno, os; raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))";
  const results = await run(source, ["one", "two"].map(says));
  assertEquals(results.map(({ state }) => state), ["failed", "not run"]);
  assertMatch(results[0]?.problem ?? "", /\| OSError: [^]*\nhint: the port is taken: set SO_REUSEADDR before bind/);
});

/** Runs a suite on a program that prints this and ends at its start. */
async function ending(line: string, code: number, ...args: string[]): Promise<string> {
  const checks: readonly Check<never>[] = [says("one")];
  const suite: Suite = { about: "a server", role: "server", checks };
  const words = ["deno", "eval", `console.error(${JSON.stringify(line)}); Deno.exit(${code})`, ...args];
  for await (const { problem } of runSuite({ suite, checks, words, cwd: root, port: 0, seed: 1, limit: 30 })) {
    return problem;
  }
  return "";
}

Deno.test("check: what programs print on Windows at their end has its hint, too", async () => {
  const [missing, rust, go] = await Promise.all([
    ending("Python was not found; run without arguments to install from the Microsoft Store", 49),
    ending("Error: Jede Socketadresse darf nur einmal verwendet werden. (os error 10048)", 1),
    ending("listen tcp 127.0.0.1:7007: bind: Only one usage of each socket address is normally permitted.", 1),
  ]);
  assertMatch(missing, /\nhint: there is no program of this name: on Windows, write py in place of python3$/);
  for (const taken of [rust, go]) assertMatch(taken, /\nhint: the port is taken: /);
});

Deno.test("check: a command that has lost its braces, as in PowerShell, has its hint", async () => {
  const [lost, right] = await Promise.all([ending("usage", 2, "port"), ending("usage", 2, "port", "{port}")]);
  assertMatch(
    lost,
    /\nhint: your program was given the word port: write \{port\} for its value, and "\{port\}" in PowerShell$/,
  );
  assertEquals(right.match(/hint/), null);
});

Deno.test("check: what macOS prints in place of a tool that is missing, and the signal of a trap, have their hints", async () => {
  const [missing, trap] = await Promise.all([
    ending("xcode-select: note: No developer tools were found, requesting install.", 1),
    ending("Fatal error: Unexpectedly found nil while unwrapping an Optional value", 133),
  ]);
  assertMatch(missing, /\nhint: this Mac has only a stand-in for the program: install it with xcode-select --install/);
  assertMatch(trap, /your program was ended by SIGTRAP \(exit code 133\): it met an instruction that stops it/);
});

Deno.test("check: the line to type by hand has the form of nc on this system", () => {
  const line = "printf '\\000' | nc -N 127.0.0.1 7007 | xxd";
  const forms = ["linux", "darwin", "windows"].map((os) => inTerminal(line, os));
  assertEquals(forms, [line, "printf '\\000' | nc 127.0.0.1 7007 | xxd", "printf '\\000' | ncat 127.0.0.1 7007 | xxd"]);
  assertEquals(inTerminal("echo a | nc -u -w1 127.0.0.1 9999", "windows"), "echo a | ncat -u -i 1 127.0.0.1 9999");
  assertEquals(inTerminal("nc -l 4000    (a line)", "windows"), "ncat -l 4000    (a line)");
});

testWith(
  Deno.build.os === "windows",
  "exit codes of Windows",
  "check: a crash on Windows is said in words",
  async () => {
    const [memory, missing, own] = await Promise.all([
      ending("", 0xc0000005 | 0),
      ending("Python wurde nicht gefunden", 9009),
      ending("", -1),
    ]);
    assertMatch(memory, /your program was ended by an access violation \(exit code 0xc0000005\): it used memory/);
    assertMatch(missing, /\nhint: there is no program of this name: on Windows, write py in place of python3$/);
    assertMatch(own, /your program ended with exit code -1/);
    assertThrows(() => new Program(["python3.99"]), Failure, "or check the name, which is py on Windows");
  },
);

testWith(
  Deno.build.os === "windows",
  "pipes that other programs inherit (Windows)",
  "check: a program has ended, although another one still holds its output",
  async () => {
    const port = freePort();
    const other = `for await (const _ of Deno.listen({ hostname: "127.0.0.1", port: ${port} })) Deno.exit()`;
    const options = `{ args: ["eval", ${JSON.stringify(other)}], stdin: "null", stdout: "inherit", detached: true }`;
    const source = `new Deno.Command(Deno.execPath(), ${options}).spawn(); console.log("over"); Deno.exit(3);`;
    const program = new Program(["deno", "eval", source], { cwd: root });
    assertEquals([(await program.end()).code, program.stdout], [3, "over\n"]);
    const isThere = () =>
      Deno.connect({ hostname: "127.0.0.1", port }).then((conn) => (conn.close(), true), () => false);
    await until(isThere, "the other one runs");
  },
);

testWith(python, "python3", "check: a UDP server that has answered once is not starting any more", async () => {
  const server = `
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", int(os.environ["PORT"])))
while True: s.sendto(*s.recvfrom(100))
`;
  const seen: (boolean | undefined)[] = [];
  const asks = check("asks", async ({ hostname, port, starting }) => {
    const socket = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
    const answer = socket.receive();
    let isThere = false;
    answer.then(() => isThere = true);
    while (!isThere) {
      await socket.send(Uint8Array.of(1), { transport: "udp", hostname, port });
      await new Promise((again) => setTimeout(again, 50));
    }
    await answer;
    socket.close();
    seen.push(starting?.());
  });
  await run(server, [asks, { ...asks, name: "again" }], { over: "udp" });
  assertEquals(seen, [true, false]);
});

testWith(
  python,
  "python3",
  "check: where a second is usual, a step keeps its time also after checks that failed",
  async () => {
    const patience: number[] = [];
    const looks = (name: string) =>
      check(name, (server) => says("x").run(server).then(() => void patience.push(limits.patience)));
    // As if it had cost more time than the limit has for one step: the check takes some, and --limit says the rest.
    const slow = check("slow", async () => {
      await new Promise((go) => setTimeout(go, 300));
      fail("much", "little", "do more");
    });
    const suite = [looks("first"), slow, looks("second")];
    const before = limits.usual;
    for (const leastPatience of [0, 4000]) {
      const results: Result[] = [];
      const all: Suite = { about: "a server", role: "server", checks: suite, leastPatience };
      const words = ["python3", "-c", talker("")];
      const asked: readonly Check<never>[] = suite;
      for await (
        const result of runSuite({ suite: all, checks: asked, words, cwd: root, port: 0, seed: 1, limit: 20 })
      ) results.push(result);
      assertEquals(results.map(({ state }) => state), ["passed", "failed", "passed"]);
    }
    assertEquals(patience[0], before);
    assert((patience[3] ?? 0) >= 4000, `${patience}`);
  },
);

Deno.test("check: bytes that are no text are shown so that they can be told apart", () => {
  assertEquals(quote(new TextEncoder().encode("grün")), '5 bytes "grün"');
  assertEquals(quote(Uint8Array.of(0x61, 0xfa, 0xfb, 0x0a)), '4 bytes "a\\xfa\\xfb\\x0a"');
  assertEquals(quote(new Uint8Array(300).fill(0xff)), `300 bytes "${"\\xff".repeat(25)}…"`);
});

Deno.test("check: what a stream carries in many pieces is one line of what happened; each datagram is one", async () => {
  const recording = new Recording();
  const write = () =>
    recordIn(recording, async () => {
      for (const letter of "GET / HTTP/1.1") {
        sent(new TextEncoder().encode(letter));
        await new Promise((go) => setTimeout(go, 2));
      }
      step("waits");
      received(Uint8Array.of(65));
    });
  await write();
  const lines = recording.summary();
  assertEquals(lines.length, 3);
  assertMatch(
    lines[0] ?? "",
    /checker → program {2}14 bytes "GET \/ HTTP\/1\.1" {2}in 14 pieces, the last at \d\.\d{3} s$/,
  );
  recording.apart = true;
  assertEquals(recording.summary(20).length, 16);
});

testWith(
  python,
  "python3",
  "check tcp:reply: until its last check, a server may serve one client at a time",
  async () => {
    const names = ["answers a message", "the next client", "bytes that are not text", "a client that resets"];
    const results = await judge("tcp:reply", "python3 reply.py one-at-a-time", names);
    assertEquals(results.map(({ state, problem }) => problem || state), names.map(() => "passed"));
  },
);

testWith(
  python,
  "python3",
  "check: another program that takes the port while a slow one starts gives it no points",
  async () => {
    const folder = await Deno.makeTempDir();
    const port = freePort();
    const source = "import sys, time; open('started', 'w').close(); time.sleep(1.5); sys.exit(1)";
    const flags = ["deno", "run", "-N", "--allow-run", "-E", "-R", "-W", `${root}tests/check.ts`];
    const args = ["tcp:reply", "--port", `${port}`, "--json", "r.json", "--", "python3", "-c", source];
    const program = new Program([...flags, ...args], { cwd: root, env: { INIT_CWD: folder } });
    await until(async () => await Deno.stat(`${folder}/started`).then(() => true, () => false), "the program runs");
    const other = Deno.listen({ hostname: "127.0.0.1", port });
    const serving = (async () => {
      for await (const conn of other) {
        for (
          let n = await conn.read(new Uint8Array(99)).catch(() => null);
          n;
          n = await conn.read(new Uint8Array(99))
        ) {
          await new Promise((go) => setTimeout(go, 400)); // so the checks take longer than the program that ends
          await conn.write(new Uint8Array([120])).catch(() => {});
        }
      }
    })().catch(() => {});
    const { code } = await program.end(60);
    other.close();
    await serving;
    const { tests } = JSON.parse(await Deno.readTextFile(`${folder}/r.json`));
    await Deno.remove(folder, { recursive: true });
    assertEquals([code, tests.map(({ score }: { score: number }) => score)], [3, Array(8).fill(0)], program.stdout);
    assertMatch(program.stderr, /^check: .*(is in use before your program starts|another program listens there)/);
  },
);

Deno.test("check udp:tftp: options that come again, because the acknowledgement was late, are no fault", async () => {
  const server = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const port = "port" in server.addr ? server.addr.port : 0;
  using peer = new TftpPeer({ hostname: "127.0.0.1", port });
  await peer.request("read", "file", { blksize: "600" });
  const [, from] = await server.receive();
  const options = encode({ kind: "options", options: new Map([["blksize", "600"]]) });
  for (const packet of [options, options, encode({ kind: "data", block: 1, data: Uint8Array.of(7) })]) {
    await server.send(packet, from);
  }
  await peer.packet("options", "the options", "");
  assertEquals(await peer.block(1, "send block 1"), Uint8Array.of(7));
  server.close();
});

testWith(
  python,
  "python3",
  "check smtp:client: who takes a line of a reply for a whole one is told how a reply ends",
  async () => {
    const [result] = await judge("smtp:client", "python3 smtp_client.py one-line-replies", ["a mail"]);
    assertMatch(
      result?.problem ?? "",
      /hint: (send the mail after 354; )?a reply may have several lines: read on until a line has a space/,
    );
  },
);

testWith(
  python,
  "python3",
  "check http:client: a client that reads once fails where that is asked for, and no later check",
  async () => {
    const names = ["a page", "a long page", "until the end", "1xx before the response"];
    const results = await judge("http:client", "python3 http_client.py reads-once {url}", names);
    assertEquals(results.map(({ state }) => state), ["passed", "failed", "not run", "not run"]);
  },
);

Deno.test("check dns:server: SERVFAIL from a server that still reads its zone is asked once more, later", async () => {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for (const rcode of [2, 2, 0]) {
      const [query, from] = await socket.receive();
      await socket.send(query.map((byte, i) => i === 2 ? byte | 0x80 : i === 3 ? rcode : byte), from);
    }
  })();
  const server = { hostname: "127.0.0.1", port: "port" in socket.addr ? socket.addr.port : 0 };
  const { flags } = await ask({ ...server, starting: () => true }, "www.example.com.", "A");
  await serving;
  socket.close();
  assertEquals(flags.rcode, 0);
});

Deno.test("check: a server has ended when its checks are over", async () => {
  const [result] = await judge("tcp:echo", "deno run -N=127.0.0.1 tcp/echo_server.ts --port {port}", ["exact bytes"]);
  assertEquals([result?.state, result?.problem], ["passed", ""]);
  assert(!portInUse(result?.port ?? 0, "tcp"));
});
