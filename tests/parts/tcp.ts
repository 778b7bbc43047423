/**
 * The parts of `tcp/` that accept, count and show, without a process. `tcp_test.ts` imports it: what takes milliseconds comes
 * before what takes seconds.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "jsr:@std/assert@1";
import { Failure } from "../../cli.ts";
import { announce } from "../../tcp/_announce.ts";
import { BufferedReader } from "../../tcp/_buffered_reader.ts";
import { type Client, Clients, isClosedLocally, maxClients } from "../../tcp/_clients.ts";
import { DescriptorReserve } from "../../tcp/_descriptor_reserve.ts";
import { drainAndClose } from "../../tcp/_drain_and_close.ts";
import { reportLatencies } from "../../tcp/_latencies.ts";
import { progress } from "../../tcp/_progress.ts";
import { readFile, readText, reason } from "../../tcp/_read_file.ts";
import { selfSigned } from "../../tcp/_self_signed.ts";
import { certificateOf } from "../../tcp/_server_certificate.ts";
import { explainTls, readCertificates } from "../../tcp/_tls_client.ts";
import { startTlsServer, tlsContext } from "../../tcp/_tls_server.ts";
import { showMessage, traced } from "../../tcp/_trace.ts";
import { writeAll } from "../../tcp/_write_all.ts";
import { has } from "../support/program.ts";
import { Captured, stub, Timers } from "../support/stub.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const local = { hostname: "127.0.0.1", port: 0 };
const openssl = await has("openssl", "version");

/** Both ends of a connection on loopback. */
async function pair(): Promise<{ own: Deno.TcpConn; other: Deno.TcpConn }> {
  using listener = Deno.listen(local);
  const [own, other] = await Promise.all([Deno.connect({ ...local, port: listener.addr.port }), listener.accept()]);
  return { own, other };
}

const flags = { "max-clients": 10, timeout: 0, once: false, trace: "", pcap: "" } as const;

Deno.test("clients: silent for four quarters of the limit, or longer", async () => {
  using timers = new Timers();
  const log: string[] = [];
  const told: string[] = [];
  const clients = new Clients({ ...flags, timeout: 2 }, {
    log: (line) => void log.push(line),
    onIdle: (client) => Promise.resolve(void told.push(client.name)),
  });
  assertEquals(timers.delays, [500]);
  const { own, other } = await pair();
  const hold = Promise.withResolvers<void>();
  let served: Client | undefined;
  const serving = clients.serve(own, async (client) => {
    served = client;
    await hold.promise;
  });
  assertEquals([clients.size, served?.idleTicks], [1, 0]);
  const tick = timers.started[0]?.run ?? (() => {});
  for (let i = 0; i < 4; i++) tick();
  assertEquals([log, told, served?.idleTicks], [[], [], 4]);
  tick();
  tick();
  assertEquals([log, told], [[`${served?.name} was silent for 2 s: closed`], [served?.name]]);
  for (let i = 0; i < 20 && clients.size > 0; i++) await Promise.resolve();
  assertEquals(clients.size, 0, "closed after the last message");
  assertEquals(await other.read(new Uint8Array(1)), null);
  hold.resolve();
  await serving;
  other.close();
  const before = timers.started.length;
  new Clients(flags);
  assertEquals(timers.started.length, before, "0: no limit");

  const quiet = new Clients({ ...flags, timeout: 1 }, { log: (line) => void log.push(line) });
  const second = await pair();
  const waiting = quiet.serve(second.own, async ({ conn }) => void await conn.read(new Uint8Array(1)));
  for (let i = 0; i < 5; i++) timers.started[before]?.run();
  assertEquals([await waiting, quiet.size, log.length], [false, 0, 2]);
  second.other.close();
});

Deno.test("clients: how an exchange ended, what is logged, and the exit code with --once", async () => {
  using console = new Captured();
  const code = Deno.exitCode;
  const serve = async (error: unknown, once = false) => {
    const { own, other } = await pair();
    const clients = new Clients({ ...flags, once });
    const complete = await clients.serve(own, () => error === undefined ? Promise.resolve() : Promise.reject(error));
    const name = `127.0.0.1:${own.localAddr.port}`;
    assertEquals([clients.size, await other.read(new Uint8Array(1))], [0, null], "closed, whatever happens");
    other.close();
    const exit = Deno.exitCode;
    Deno.exitCode = code;
    assert(name.length > 0);
    return [
      complete,
      exit - code,
      console.log.splice(0).map((line) => line.replace(/^\S+ /, "")),
      console.error.splice(0).length,
    ];
  };
  const coded = (code: string) => Object.assign(new Error("x"), { code });
  assertEquals(await serve(undefined, true), [true, 0, [], 0]);
  assertEquals(await serve(new Failure("broke off")), [false, 0, ["broke off"], 0]);
  for (const each of ["ECONNRESET", "ECONNABORTED", "EPIPE", "ETIMEDOUT"]) {
    assertEquals(await serve(coded(each), true), [false, 1, ["reset the connection"], 0]);
  }
  for (const closed of [new Deno.errors.Interrupted("x"), new Deno.errors.BadResource("x")]) {
    assertEquals([await serve(closed), isClosedLocally(closed)], [[false, 0, [], 0], true]);
  }
  assertEquals([await serve(new TypeError("a bug")), isClosedLocally(new TypeError("x"))], [[false, 0, [], 1], false]);
  const parse = maxClients(7);
  assertEquals([parse.default, parse.parse?.("1"), parse.parse?.("1000000")], [7, 1, 1_000_000]);
  for (const wrong of ["0", "1000001", "x"]) assertThrows(() => parse.parse?.(wrong), RangeError);
});

/** A listener that accepts what the test gives it. */
function scripted(...answers: (Deno.TcpConn | Error)[]) {
  let [closed, calls] = [0, 0];
  const end = Promise.withResolvers<Deno.TcpConn>();
  end.promise.catch(() => {}); // it may end when nobody accepts
  const real = Deno.listen(local);
  const close = real.close.bind(real);
  const listener = {
    addr: { transport: "tcp", hostname: "192.0.2.1", port: 1 },
    accept: () => {
      calls++;
      const answer = answers.shift();
      if (answer === undefined) return end.promise;
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
    close: () => {
      if (closed++ === 0) close();
      end.reject(new Deno.errors.BadResource("closed"));
    },
  };
  for (const [name, value] of Object.entries(listener)) Object.defineProperty(real, name, { value });
  return { listener: real, closed: () => closed, calls: () => calls };
}

Deno.test("clients: accepted one after another, as many as there is room for, until the server stops", async () => {
  const log: string[] = [];
  const hooks = { log: (line: string) => void log.push(line), sharedPort: true };
  const pairs = await Promise.all([pair(), pair(), pair()]);
  const [a, b, c] = pairs.map(({ own }) => own);
  if (!a || !b || !c) throw new Error("no connections");
  const coded = (code: string) => Object.assign(new Error("x"), { code });
  const gone = [coded("ECONNRESET"), coded("ECONNABORTED"), new Deno.errors.NotConnected("x")];
  const { listener, closed, calls } = scripted(...gone, a, b, c);
  const clients = new Clients({ ...flags, "max-clients": 2 }, hooks);
  const holds = [a, b, c].map(() => Promise.withResolvers<void>());
  const accepted: Deno.TcpConn[] = [];
  const accepting = (async () => {
    for await (const conn of clients.accept(listener)) {
      clients.serve(conn, () => holds[accepted.push(conn) - 1]?.promise ?? Promise.resolve());
    }
  })();
  const turns = async () => {
    for (let i = 0; i < 50; i++) await Promise.resolve();
  };
  await turns();
  assertEquals([accepted.length, clients.size, calls()], [2, 2, 5], "the third one waits");
  holds[0]?.resolve();
  await turns();
  assertEquals([accepted.length, clients.size], [3, 2]);
  clients.stop();
  clients.stop();
  assertEquals([closed(), clients.stopping], [1, true]);
  await accepting;
  let finished = false;
  const ending = clients.finished().then(() => finished = true);
  await turns();
  assertEquals(finished, false);
  for (const hold of holds) hold.resolve();
  await ending;
  assertEquals([clients.size, log], [0, []]);
  const late = scripted();
  for await (const _ of clients.accept(late.listener)) throw new Error("nobody is accepted after the end");
  assertEquals([late.closed(), late.calls()], [1, 0]);
  for (const { other } of pairs) other.close();

  const once = new Clients({ ...flags, once: true }, hooks);
  const first = await pair();
  const single = scripted(first.own);
  for await (const conn of once.accept(single.listener)) conn.close();
  assertEquals([single.closed(), once.stopping], [1, true]);
  first.other.close();
  const broken = scripted(new TypeError("a bug"));
  await assertRejects(() => new Clients(flags, hooks).accept(broken.listener).next(), TypeError, "a bug");
});

Deno.test("clients: without descriptors there is room for fewer, and it is said once", async () => {
  for (const [descriptors, released, room] of [[1, 16, 10], [2, 16, 5], [3, 0, 1], [undefined, 16, 10]] as const) {
    const log: string[] = [];
    const clients = new Clients({ ...flags, "max-clients": 1000 }, {
      ...{ log: (line) => void log.push(line), sharedPort: true },
      ...descriptors === undefined ? {} : { descriptors },
    });
    using _ = stub(DescriptorReserve.prototype, "release", () => released);
    const pairs = await Promise.all(Array.from({ length: 12 }, pair));
    const error = Object.assign(new Error("x"), { code: released > 0 ? "EMFILE" : "ENFILE" });
    const conns = pairs.map(({ own }) => own);
    const { listener, calls } = scripted(...conns.slice(0, 2), error, error, ...conns.slice(2));
    const hold = Promise.withResolvers<void>();
    using timers = new Timers();
    const accepting = (async () => {
      for await (const conn of clients.accept(listener)) clients.serve(conn, () => hold.promise);
    })();
    const turns = async () => {
      for (let i = 0; i < 200; i++) await Promise.resolve();
    };
    await turns();
    assertEquals([clients.size, timers.delays], [2, released > 0 && room > 2 ? [100] : [100]]);
    timers.started[0]?.run();
    await turns();
    timers.started[1]?.run();
    await turns();
    assertEquals(log, ["no file descriptors left (2 clients connected): new clients must wait; raise ulimit -n"]);
    assertEquals(clients.size, Math.max(2, room), `${descriptors} for each`);
    assert(calls() >= 3);
    clients.stop();
    hold.resolve();
    await accepting;
    await clients.finished();
    for (const { own, other } of pairs) {
      other.close();
      try {
        own.close();
      } catch {
        // it was served, and so it is closed
      }
    }
  }
});

Deno.test("clients: Ctrl-C gives those inside five seconds", async () => {
  using timers = new Timers();
  const log: string[] = [];
  let interrupts = 0;
  const clients = new Clients({ ...flags, once: true }, {
    ...{ log: (line) => void log.push(line), onInterrupt: () => void interrupts++ },
  });
  const { own, other } = await pair();
  const serving = clients.serve(own, async ({ conn }) => void await conn.read(new Uint8Array(1)));
  clients.interrupt();
  assertEquals([clients.stopping, interrupts, timers.delays], [true, 1, [5000]]);
  assertEquals(log, ["stopping: waiting up to 5 s for 1 client to finish (Ctrl-C again stops now)"]);
  const code = Deno.exitCode;
  timers.started[0]?.run();
  assertEquals([await serving, clients.size, Deno.exitCode], [false, 0, code]);
  assertMatch(log[1] ?? "", /^127\.0\.0\.1:\d+ did not finish in time: closed$/);
  await clients.finished();
  other.close();
  const idle = new Clients(flags, { log: (line) => void log.push(line) });
  idle.interrupt();
  assertEquals([log.length, timers.started.length], [2, 1], "nobody to wait for");
});

Deno.test("clients: with --once, a connection of the server to itself is never the client", async () => {
  // As on a busy machine: the connections of the reserve are given up, but the kernel has established them.
  const { connect } = Deno;
  const lost: Deno.TcpConn[] = [];
  using _ = stub(Deno, "connect", async (options: Deno.ConnectOptions) => {
    lost.push(await connect(options));
    throw new DOMException("Signal timed out.", "TimeoutError");
  });
  using listener = Deno.listen(local);
  const clients = new Clients({ ...flags, once: true });
  const accepted = clients.accept(listener).next();
  for (let i = 0; i < 3; i++) await Deno.permissions.query({ name: "net" }); // the reserve asks, too, and then connects
  const client = await connect({ ...local, port: listener.addr.port });
  const { value } = await accepted;
  assertEquals(value?.remoteAddr.port, client.localAddr.port);
  for (const conn of [client, value, ...lost]) conn?.close();
});

Deno.test("clients: the reserve is opened once, and not on a port that others share", async () => {
  for (const [shared, expected] of [[false, 1], [true, 0]] as const) {
    let opened = 0;
    using _ = stub(DescriptorReserve.prototype, "open", () => Promise.resolve(opened++ < 0 ? [] : []));
    const clients = new Clients(flags, { sharedPort: shared });
    const accepting = [scripted(), scripted()].map(async ({ listener }) => {
      for await (const _ of clients.accept(listener)) throw new Error("nobody comes");
    });
    for (let i = 0; i < 20; i++) await Promise.resolve();
    clients.stop();
    await Promise.all(accepting);
    assertEquals(opened, expected);
  }
});

Deno.test("the reserve of descriptors: the server's connections to itself are told from those of clients", async () => {
  using listener = Deno.listen(local);
  using real = await Deno.connect({ ...local, port: listener.addr.port });
  const reserve = new DescriptorReserve();
  await reserve.open(listener);
  const clients: number[] = [];
  for (let i = 0; i < 9; i++) {
    const conn = await listener.accept();
    if (await reserve.takes(conn)) continue;
    clients.push(conn.remoteAddr.port);
    conn.close();
  }
  assertEquals(clients, [real.localAddr.port]);
  assertEquals([reserve.release(), reserve.release()], [16, 0]);
  using _ = stub(Deno, "connect", () => Promise.reject(new Error("x")));
  const none = new DescriptorReserve();
  await none.open(listener);
  assertEquals(none.release(), 0);
});

Deno.test("the reserve of descriptors: on a busy machine its connections are told from those of clients, too", async () => {
  using listener = Deno.listen(local);
  const reserve = new DescriptorReserve();
  const opening = reserve.open(listener);
  const until = performance.now() + 300;
  await Promise.resolve();
  while (performance.now() < until); // the process gets no turn while its connections are made
  await opening;
  for (let i = 0; i < 8; i++) assert(await reserve.takes(await listener.accept()), `connection ${i}`);
  assertEquals(reserve.release(), 16);
});

Deno.test("draining: up to a limit of bytes, of time, or to the end", async () => {
  const drained = async (limit: number | undefined, ...reads: (number | null | Error)[]) => {
    let [closed, calls] = [0, 0];
    const conn = {
      closeWrite: () => Promise.resolve(void closed++),
      read: (buffer: Uint8Array) => {
        const n = reads[calls++] ?? null;
        assertEquals(buffer.length, 16_384);
        return n instanceof Error ? Promise.reject(n) : Promise.resolve(n);
      },
    };
    await drainAndClose(conn, limit);
    return [closed, calls];
  };
  assertEquals([await drained(10, 5, 4, 1, 1), await drained(10, 5, 5, 1), await drained(10, null)], [[1, 3], [1, 2], [
    1,
    1,
  ]]);
  const full = Array<number>(65).fill(16_384);
  assertEquals(await drained(undefined, ...full), [1, 64], "a MiB");
  assertEquals(await drained(10, Object.assign(new Error("x"), { code: "ECONNRESET" })), [1, 1]);
  await assertRejects(() => drained(10, new TypeError("a bug")), TypeError);
  using timers = new Timers();
  const slow = drainAndClose({ closeWrite: () => Promise.resolve(), read: () => new Promise(() => {}) });
  await Promise.resolve();
  await Promise.resolve();
  assertEquals(timers.delays, [2000]);
  timers.started[0]?.run();
  await slow;
});

Deno.test("buffered reading: how the buffer grows, and what is left in it", async () => {
  const sizes: number[] = [];
  const reader = new BufferedReader(
    {
      read(buffer) {
        sizes.push(buffer.length);
        for (let i = 0; i < buffer.length; i++) buffer[i] = sizes.length + i;
        return Promise.resolve(sizes.length > 9 ? null : buffer.length);
      },
    },
    20,
    4,
  );
  assertEquals(reader.unread.length, 0);
  assertEquals([await reader.fill(), reader.unread], [true, Uint8Array.of(1, 2, 3, 4)]);
  reader.consume(1);
  assertEquals([await reader.fill(), reader.unread], [true, Uint8Array.of(2, 3, 4, 2)]);
  await reader.fill();
  await reader.fill();
  await reader.fill();
  assertEquals([sizes, reader.unread.length], [[4, 1, 4, 8, 4], 20]);
  await assertRejects(() => reader.fill(), Error, "the buffer is full");
  reader.consume(20);
  assertEquals([reader.unread.length, await reader.fill(), sizes.at(-1)], [0, true, 20]);
  sizes.push(0, 0, 0, 0);
  reader.consume(15);
  assertEquals([await reader.fill(), reader.unread.length], [false, 5]);
  let taken = 0;
  await writeAll({ write: (data) => Promise.resolve(Math.min(data.length, ++taken)) }, new Uint8Array(6));
  assertEquals(taken, 3);
  const initial: number[] = [];
  const large = new BufferedReader({ read: (buffer) => Promise.resolve(initial.push(buffer.length) && buffer.length) });
  while (await large.fill().catch(() => false));
  assertEquals(initial, [4096, 4096, 8192, 16_384, 32_768], "65,536 bytes by default");
});

Deno.test("--trace: as text, as a hex dump, as JSON, cut at 512 bytes", () => {
  using console = new Captured();
  const shown = (data: Uint8Array | string, note = "", form: "text" | "json" | "" = "text") => {
    const message = { side: "client", transport: "tcp", from: "a", to: "b", note } as const;
    showMessage({ trace: form, pcap: "" }, { ...message, data: typeof data === "string" ? bytes(data) : data });
    return console.error.splice(0).map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{3} /, ""));
  };
  assertEquals(shown("", "", ""), []);
  assertEquals([shown(""), shown("", "closed"), shown("x"), shown("xy", "note")], [
    ...[["a → b  0 bytes"], ["a → b  closed"], ["a → b  1 byte", '    "x"'], ["a → b  2 bytes  note", '    "xy"']],
  ]);
  assertEquals(shown("a\r\n\tü"), ["a → b  6 bytes", '    "a\\r\\n\\tü"']);
  assertEquals(shown("x".repeat(512)), ["a → b  512 bytes", `    "${"x".repeat(512)}"`]);
  assertEquals(shown("x".repeat(513)), ["a → b  513 bytes", `    "${"x".repeat(512)}" … and 1 more`]);
  assertEquals(
    shown(`${"x".repeat(511)}ü`)[1],
    `    "${"x".repeat(511)}" … and 1 more`,
    "half a letter is no reason for a dump",
  );
  const dump = Uint8Array.of(0, 31, 32, 65, 126, 127, 128, 255, 10, 0, 0, 0, 0, 0, 0, 15, 66);
  assertEquals(shown(dump).slice(1), [
    "    0000  00 1f 20 41 7e 7f 80 ff 0a 00 00 00 00 00 00 0f  .. A~...........",
    `    0010  42${" ".repeat(45)}  B`,
  ]);
  const many = shown(new Uint8Array(600));
  assertEquals([many.length, many.at(-1)], [34, "    … and 88 more"]);
  assertMatch(many.at(-2) ?? "", /^ {4}01f0 {2}/);
  const { t, ...rest } = JSON.parse(shown("hi", "note", "json")[0] ?? "");
  const sides = { side: "client", transport: "tcp", from: "a", to: "b" };
  assertEquals(rest, { ...sides, bytes: 2, data: "aGk=", note: "note" });
  assert(Number.isSafeInteger(t) && Math.abs(t / 1000 - Date.now()) < 60_000);
});

Deno.test("--trace: a connection shows what it does, and is itself without", async () => {
  const { own, other } = await pair();
  assertEquals(traced(own, { trace: "", pcap: "" }) === own, true);
  using console = new Captured();
  const conn = traced(own, { trace: "json", pcap: "" });
  await conn.write(bytes("hi"));
  await other.write(bytes("you"));
  await conn.read(new Uint8Array(9));
  conn.setNoDelay(true);
  await conn.closeWrite();
  await other.closeWrite();
  assertEquals(await conn.read(new Uint8Array(9)), null);
  assertEquals(conn.localAddr, own.localAddr);
  {
    using _ = stub(own, "read", () => Promise.reject(new Error("broken")));
    await assertRejects(() => conn.read(new Uint8Array(1)), Error, "broken");
  }
  conn.close();
  await assertRejects(() => conn.read(new Uint8Array(1)));
  const [from, to] = [own.localAddr, own.remoteAddr].map(({ port }) => `127.0.0.1:${port}`);
  const lines = console.error.map((line) => JSON.parse(line)).map((
    { from, to, bytes, note },
  ) => [from, to, bytes, note]);
  assertEquals(lines, [
    ...[[from, to, 0, "connected"], [from, to, 2, ""], [to, from, 3, ""], [from, to, 0, "FIN"]],
    ...[[to, from, 0, "FIN"], [to, from, 0, "broken"], [from, to, 0, "closed"]],
  ]);
  other.close();
});

Deno.test("latencies: messages a second, percentiles, and a histogram", () => {
  assertEquals(reportLatencies(new Float64Array(), 2), ["0 messages in 2.00 s: 0 messages/s"]);
  const hundred = Float64Array.from({ length: 100 }, (_, i) => i + 1);
  assertEquals(reportLatencies(hundred, 3).slice(0, 2), [
    "100 messages in 3.00 s: 33 messages/s",
    "round trip in ms: p50 51.00  p95 96.00  p99 100.00  max 100.00",
  ]);
  const row = (limit: string, blocks: number, n: number) =>
    `  up to ${limit.padStart(8)} ms ${"█".repeat(blocks).padEnd(30)} ${n}`;
  assertEquals(reportLatencies(Float64Array.of(0.001, 0.5, 0.5, 0.6, 3, 4, 4), 1).slice(2), [
    ...[row("0.015625", 10, 1), row("0.03125", 0, 0), row("0.0625", 0, 0), row("0.125", 0, 0), row("0.25", 0, 0)],
    ...[row("0.5", 20, 2), row("1", 10, 1), row("2", 0, 0), row("4", 30, 3)],
  ]);
});

Deno.test("a progress bar, on a terminal alone", () => {
  let out: string[] = [];
  using _ = stub(Deno.stderr, "writeSync", (data: Uint8Array) => out.push(text(data)));
  using terminal = stub(Deno.stderr, "isTerminal", () => true);
  const show = progress("x", 80);
  for (const done of [0, 1, 2, 40, 79, 80, 99]) show(done);
  const bar = (step: number, percent: number) => `\rx ${"█".repeat(step)}${"·".repeat(40 - step)} ${percent} %`;
  assertEquals(out, [bar(0, 0), bar(1, 3), bar(20, 50), bar(39, 98), `\r${" ".repeat(49)}\r`]);
  out = [];
  terminal[Symbol.dispose]();
  using __ = stub(Deno.stderr, "isTerminal", () => false);
  progress("x", 1)(1);
  assertEquals(out, []);
});

Deno.test("where a server listens: the addresses for other machines", () => {
  using console = new Captured();
  const all = [
    ...[["127.0.0.1", "IPv4"], ["192.0.2.1", "IPv4"], ["::1", "IPv6"], ["fe80::1", "IPv6"], ["2001:db8::1", "IPv6"]],
  ].map(([address, family]) => ({ address, family, name: "eth0" }));
  const told = (hostname: string, interfaces: () => unknown) => {
    using _ = stub(Deno, "networkInterfaces", interfaces);
    announce("Server", { hostname, port: 7 });
    return console.log.splice(0).slice(1);
  };
  const [v4, v6] = ["192.0.2.1:7", "[2001:db8::1]:7"].map((at) => `other machines can connect to ${at} (eth0)`);
  assertEquals([told("127.0.0.1", () => all), told("0.0.0.0", () => all), told("::", () => all)], [[], [`${v4}`], [
    `${v4}`,
    `${v6}`,
  ]]);
  const denied = told("0.0.0.0", () => {
    throw new Deno.errors.NotCapable("x");
  });
  assertEquals(denied, ["to see the addresses for other machines, add -S=networkInterfaces to deno run"]);
  assertThrows(() =>
    told("::", () => {
      throw new TypeError("a bug");
    }), TypeError);
});

/** The failure of an action: its code and message. */
async function failure(action: () => unknown): Promise<[number, string] | undefined> {
  try {
    await action();
  } catch (error) {
    if (error instanceof Failure) return [error.code, error.message];
    throw error;
  }
}

Deno.test("files that the command line names, and what TLS tells a client", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/a`, "ü");
  assertEquals([await readText(`${folder}/a`), (await readFile(`${folder}/a`)).length], ["ü", 2]);
  const marked = [[0xff, 0xfe, 0xfc, 0], [0xfe, 0xff, 0, 0xfc], [0xef, 0xbb, 0xbf, 0xc3, 0xbc]];
  for (const content of marked) {
    await Deno.writeFile(`${folder}/c`, new Uint8Array(content));
    assertEquals(await readText(`${folder}/c`), "ü", "as PowerShell and editors on Windows write it");
  }
  assertMatch(`${await failure(() => readFile(`${folder}/b`))}`, /^2,cannot read \S+\/b: [^(]+$/);
  {
    using _ = stub(Deno, "readFile", () => Promise.reject(new Deno.errors.NotCapable("x")));
    assertEquals(await failure(() => readFile("f")), [2, "cannot read f: no permission: add -R=f"]);
  }
  assertEquals([reason("x\x1b"), reason(new Error("No such file (os error 2): open 'x'"))], ["x\\x1b", "No such file"]);
  assertEquals(await readCertificates(""), undefined);
  assertMatch(`${await failure(() => readCertificates(`${folder}/a`))}`, /^2,\S+: expected a certificate in PEM$/);
  await Deno.writeTextFile(`${folder}/a`, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  assertMatch(`${await failure(() => readCertificates(`${folder}/a`))}`, /^2,\S+: expected a certificate in PEM$/);
  const addr = { hostname: "h", port: 1 };
  const told = (error: unknown) => {
    const known = explainTls(error, addr);
    return known instanceof Failure ? known.message : known;
  };
  assertEquals(
    told(new Error("x: invalid peer certificate: UnknownIssuer: y")),
    "no TLS with h:1: no known authority has signed its certificate: if you know whose it is, trust it with --ca FILE",
  );
  assertEquals(told(new Error("x", { cause: new Error("Handshake eof)") })), "no TLS with h:1: Handshake eof");
  assertMatch(`${told(Object.assign(new Error("x"), { code: "ECONNRESET" }))}`, /^h:1 reset the connection/);
  const [bug, known] = [new TypeError("x"), new Failure("invalid peer certificate: x")];
  assertEquals([told(bug), explainTls(known, addr) === known, told("text")], [bug, true, "text"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a certificate, value by value (RFC 5280, X.690)", () => {
  const der = (from: number) => {
    const { cert } = selfSigned(from);
    return Uint8Array.fromBase64(cert.replaceAll(/-----.*-----|\n/g, "")).toHex();
  };
  const hexOf = (text: string) => bytes(text).toHex();
  const one = der(Date.UTC(2026, 0, 2, 3, 4, 5));
  const name = `30143112301006035504030c09${hexOf("localhost")}`;
  const algorithm = "300a06082a8648ce3d040302";
  const dates = `301e170d${hexOf("260101030405Z")}170d${hexOf("270102030405Z")}`;
  const extensions = "a3633061" + // 97 bytes
    "300c0603551d130101ff04023000" + "300e0603551d0f0101ff040403020780" + "30130603551d25040c300a06082b06010505070301" +
    `302c0603551d11042530238209${hexOf("localhost")}87047f0000018710${"00".repeat(15)}01`;
  const key = "3059301306072a8648ce3d020106082a8648ce3d03010703420004[0-9a-f]{128}";
  assertMatch(
    one,
    new RegExp(
      `^3082[0-9a-f]{4}3082[0-9a-f]{4}a0030201020210[4-7][0-9a-f]{31}${algorithm}${name}${dates}${name}${key}${extensions}` +
        `${algorithm}034[4-9]0030[0-9a-f]+$`,
    ),
  );
  const late = `180f${hexOf("20500101000000Z")}`;
  assert(
    der(Date.UTC(2050, 0, 2)).includes(late) && !der(Date.UTC(2050, 0, 1)).includes(late),
    "two digits until 2049",
  );
  assertMatch(selfSigned().cert, /^-----BEGIN CERTIFICATE-----\n(.{64}\n)+.{1,64}\n-----END CERTIFICATE-----\n$/);
});

const options = (cert = "", key = "", selfSigned = "") => ({ cert, key, "self-signed": selfSigned });

Deno.test("a server's certificate: which options go together", async () => {
  assertEquals(await certificateOf(options(), "x"), undefined);
  for (const wrong of [options("a"), options("", "a"), options("a", "b", "c")]) {
    assertEquals((await failure(() => certificateOf(wrong, "x")))?.[0], 2);
  }
  assertEquals((await failure(() => tlsContext({ cert: "x", key: "y" })))?.[0], 2);
});

Deno.test({
  name: "a server's certificate: made once, kept, renewed at its end; never in place of another file",
  ignore: !openssl,
}, async () => {
  using console = new Captured();
  const folder = await Deno.makeTempDir();
  const path = `${folder}/sub/deep/a.pem`;
  const made = await certificateOf(options("", "", path), "client --ca");
  assertEquals(console.log, [`${path} is a certificate for localhost: trust it with client --ca ${path}`]);
  assertEquals([await Deno.readTextFile(path), await Deno.readTextFile(`${folder}/sub/deep/a.key`)], [
    made?.cert,
    made?.key,
  ]);
  if (Deno.build.os !== "windows") {
    assertEquals(
      [Deno.statSync(`${folder}/sub`), Deno.statSync(`${folder}/sub/deep/a.key`)].map(({ mode }) =>
        (mode ?? 0) & 0o777
      ),
      [0o700, 0o600],
    );
  }
  assertEquals(await certificateOf(options("", "", path), "x"), made, "kept");
  assertEquals(await certificateOf(options(path, `${folder}/sub/deep/a.key`), "x"), made, "or from files");
  const now = Date.now();
  const day = 86_400_000;
  const end = now + 365 * day;
  const at = async (time: number) => {
    using _ = stub(Date, "now", () => time);
    return (await certificateOf(options("", "", path), "x"))?.cert === made?.cert;
  };
  assertEquals(await at(end - day - 60_000), true);
  assertEquals(await at(end - day + 60_000), false, "it ends within a day: a new one");
  for (const [cert, key] of [["other", undefined], [undefined, "other"], ["other", "other"], [made?.cert, "other"]]) {
    for (const [name, content] of [["b.crt", cert], ["b.key", key]]) {
      if (content !== undefined) await Deno.writeTextFile(`${folder}/${name}`, content);
      else await Deno.remove(`${folder}/${name}`).catch(() => {});
    }
    const [code, message] = await failure(() => certificateOf(options("", "", `${folder}/b.crt`), "x")) ?? [];
    assertEquals(code, 2);
    assertMatch(message ?? "", /b\.crt and \S+b\.key are not a pair that --self-signed has made/);
  }
  if (Deno.build.os !== "windows") { // a link that others have made is not written through
    for (const [link, target] of [["c.pem", "away1"], ["d.key", "away2"]]) {
      await Deno.symlink(`${folder}/${target}`, `${folder}/${link}`);
    }
    for (const name of ["c.pem", "d.pem"]) {
      assertEquals((await failure(() => certificateOf(options("", "", `${folder}/${name}`), "x")))?.[0], 2);
    }
    for (const name of ["away1", "away2"]) {
      await assertRejects(() => Deno.stat(`${folder}/${name}`), Deno.errors.NotFound);
    }
  }
  // A pair that belongs together, and is not one of those that are made here.
  const files = ["-keyout", `${folder}/b.key`, "-out", `${folder}/b.crt`];
  const args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...files];
  await new Deno.Command("openssl", { args: [...args, "-subj", "/CN=other"], stderr: "null" }).output();
  assertMatch(`${await failure(() => certificateOf(options("", "", `${folder}/b.crt`), "x"))}`, /^2,.* are not a pair/);
  const fails = async (error: unknown) => {
    using _ = stub(Deno, "readTextFile", () => Promise.reject(error));
    return await failure(() => certificateOf(options("", "", "c.cer"), "x"));
  };
  assertEquals(await fails(new Deno.errors.NotCapable("x")), [
    ...[2, "no permission to make a certificate: add -W=c.cer,c.key -R=c.cer,c.key"],
  ]);
  assertEquals(await fails(new Error("disk (os error 5)")), [2, "cannot keep a certificate in c.cer: disk"]);
  // TLS on a connection that is open: what arrives decrypted, in pieces, and both ends.
  if (!made) throw new Error("no certificate");
  const context = tlsContext(made);
  const { own, other } = await pair();
  const starting = startTlsServer(own, context);
  const client = await Deno.startTls(other, { hostname: "localhost", caCerts: [made.cert] });
  const stream = await starting;
  await client.write(bytes("hello"));
  const buffer = new Uint8Array(3);
  assertEquals([await stream.read(buffer), text(buffer)], [3, "hel"]);
  assertEquals([await stream.read(buffer), text(buffer.subarray(0, 2))], [2, "lo"]);
  assertEquals(await stream.write(bytes("answer")), 6);
  const got = new Uint8Array(20);
  assertEquals(text(got.subarray(0, await client.read(got) ?? 0)), "answer");
  await stream.closeWrite();
  assertEquals(await client.read(got), null);
  client.close();
  assertEquals(await stream.read(buffer), null);
  own.close();
  for (
    const [sent, expected] of [["", /^0?no TLS: the client closed the connection$/], [
      "GET / HTTP/1.1\r\n\r\n",
      /^no TLS: /,
    ]] as const
  ) {
    const { own, other } = await pair();
    await other.write(bytes(sent));
    if (sent === "") await other.closeWrite();
    assertMatch((await failure(() => startTlsServer(own, context)))?.[1] ?? "", expected);
    own.close();
    other.close();
  }
  await Deno.remove(folder, { recursive: true });
});
