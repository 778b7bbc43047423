/**
 * The clients of a server on epoll, without a process: the system calls are played by `Kernel`. `tcp_test.ts` imports it.
 *
 * @module
 */
import { assertEquals, assertThrows } from "jsr:@std/assert@1";
import { PolledClients } from "../../tcp/_polled_clients.ts";
import { Events, nameOf, SystemCalls, SystemError } from "../../tcp/_system_calls.ts";
import { Captured, stub } from "../support/stub.ts";

/** The C library and the kernel: notes each call, and answers as the test says. */
class Kernel {
  readonly calls: string[] = [];
  errno = 11;
  /** What `epoll_wait` and the wait on another thread return. */
  ready: number[] = [];
  /** Calls that fail, by how they begin. */
  readonly refused: string[] = [];
  #descriptor = 10;
  readonly #stubs = [
    stub(Deno, "dlopen", () => ({ symbols: this.#symbols, close: () => {} })),
    stub(Deno.permissions, "requestSync", () => ({ state: "granted" })),
    stub(Deno, "UnsafePointerView", this.#view()),
  ];

  #view() {
    const errno = () => this.errno;
    return class {
      getInt32 = errno;
    };
  }

  #call(name: string, ...args: unknown[]): number {
    const call = `${name} ${args.join(" ")}`;
    this.calls.push(call);
    return this.refused.some((each) => call.startsWith(each)) ? -1 : 0;
  }

  readonly #symbols = {
    __errno_location: () => ({}),
    epoll_create1: (flags: number) => this.#call("epoll_create1", flags) || this.#descriptor++,
    eventfd: (initial: number, flags: number) => this.#call("eventfd", initial, flags) || this.#descriptor++,
    eventfd_write: (fd: number, value: bigint) => this.#call("eventfd_write", fd, value),
    epoll_ctl: (epoll: number, operation: number, fd: number, event: Uint8Array<ArrayBuffer>) => {
      const words = new Uint32Array(event.buffer);
      const data = words[Deno.build.arch === "x86_64" ? 1 : 2];
      return this.#call("epoll_ctl", epoll, operation, fd, words[0], data);
    },
    epoll_wait: (epoll: number, events: Uint8Array, count: number, limit: number) => {
      this.#call("epoll_wait", epoll, events.length / count, count, limit);
      return this.ready.shift() ?? 0;
    },
    wait_for_events: (epoll: number, _events: Uint8Array, count: number, limit: number) => {
      this.#call("wait_for_events", epoll, count, limit);
      return Promise.resolve(this.ready.shift() ?? 0);
    },
    close: (fd: number) => this.#call("close", fd),
  };

  [Symbol.dispose](): void {
    for (const each of this.#stubs) each[Symbol.dispose]();
  }
}

const linux = { ignore: Deno.build.os !== "linux" || !["x86_64", "aarch64"].includes(Deno.build.arch) };
const eventSize = Deno.build.arch === "x86_64" ? 12 : 16;
const flags = { trace: "", pcap: "", chunk: 100, once: false, timeout: 8, "max-clients": 2 } as const;
const addr = { hostname: "127.0.0.1", port: 7 };

Deno.test({
  ...linux,
  name: "polled clients: what the kernel watches, who may come, and who has to go",
  fn: async () => {
    using kernel = new Kernel();
    using console = new Captured();
    let now = 1000;
    using _ = stub(performance, "now", () => now);
    const server = new PolledClients(new SystemCalls(), 3, addr, flags);
    assertEquals(kernel.calls.splice(0), [
      ...["epoll_create1 0", "eventfd 0 2048", ...Array(8).fill("eventfd 0 0")],
      ...["epoll_ctl 10 1 3 1 3", `epoll_ctl 10 1 11 ${1 | 1 << 30} 11`],
    ]);
    assertEquals([server.name, server.buffer.length, server.now, server.isFull(), server.isOpen()], [
      ...["127.0.0.1:7", 100, 1000, false, true],
    ]);
    server.add(20, "a");
    assertEquals([kernel.calls.splice(0), server.isFull()], [["epoll_ctl 10 1 20 1 20"], false]);
    server.add(21, "b");
    assertEquals([kernel.calls.splice(0), server.isFull()], [["epoll_ctl 10 1 21 1 21", "epoll_ctl 10 2 3 0 3"], true]);
    server.pause();
    assertEquals(kernel.calls, [], "once");
    const [a, b] = [server.clients.get(20), server.clients.get(21)];
    if (!a || !b) throw new Error("two clients");
    assertEquals(a, { descriptor: 20, name: "a", echoed: 0, silentSince: 1000 });
    a.echoed = 1;
    server.close(a);
    assertEquals(
      [kernel.calls.splice(0), server.clients.size],
      [["close 20", "epoll_ctl 10 1 3 1 3"], 1],
      "room again",
    );
    assertEquals([server.check(b), server.failed], [true, 0], "EAGAIN: it would only have had to wait");
    kernel.errno = 4;
    assertEquals(server.check(b), true, "EINTR");
    for (
      const [errno, why] of [
        [104, "reset the connection"],
        [32, "reset the connection"],
        [110, "reset the connection"],
        [113, "was lost: EHOSTUNREACH"],
        [5, "was lost: errno 5"],
      ] as const
    ) {
      server.add(22, "c");
      const c = server.clients.get(22);
      kernel.errno = errno;
      assertEquals([c && server.check(c), server.clients.has(22)], [false, false]);
      assertEquals(console.log.at(-1), `c ${why}`);
    }
    assertEquals(server.failed, 5);
    assertEquals(console.log.slice(0, 3), ["Connected by a", "Connected by b", "a is done: 1 byte echoed"]);
    assertEquals([nameOf(11), nameOf(12)], ["EAGAIN", "errno 12"]);

    // It waits here for a millisecond, on another thread when nothing has come, and looks for silent clients.
    kernel.calls.length = 0;
    kernel.ready = [2];
    server.now = 15;
    assertEquals([await server.wait(), kernel.calls.splice(0)], [2, [`epoll_wait 10 ${eventSize} 512 1`]]);
    server.now = 1000;
    kernel.ready = [0, 3];
    now = 1010;
    const waited = [await server.wait(), kernel.calls.splice(0)];
    assertEquals(waited, [0, ["wait_for_events 10 512 1000"]], "twenty milliseconds without another thread's turn");
    kernel.ready = [0, 3];
    assertEquals([await server.wait(), kernel.calls.splice(0)], [3, [
      `epoll_wait 10 ${eventSize} 512 1`,
      "wait_for_events 10 512 1000",
    ]]);
    kernel.ready = [-1, 1];
    assertEquals([await server.wait(), kernel.calls.splice(0).length], [1, 2]);
    now = 1030;
    server.now = 1030;
    kernel.ready = [1];
    assertEquals([await server.wait(), kernel.calls.splice(0)], [1, ["wait_for_events 10 512 1000"]]);
    const later = async (ms: number) => {
      now = ms;
      kernel.ready = [1, 1];
      await server.wait();
      return server.clients.size;
    };
    assertEquals([await later(8999), await later(9000)], [1, 1], "it looks once a second");
    assertEquals([await later(9998), await later(9999), console.log.at(-1)], [1, 0, "b was silent for 8 s: closed"]);
  },
});

Deno.test({
  ...linux,
  name: "polled clients: Ctrl-C gives five seconds, --once serves one, and without descriptors there is room for fewer",
  fn: async () => {
    using kernel = new Kernel();
    using console = new Captured();
    let now = 0;
    using _ = stub(performance, "now", () => now);
    const server = new PolledClients(new SystemCalls(), 3, addr, { ...flags, timeout: 0, "max-clients": 9 });
    kernel.calls.length = 0;
    server.limitToDescriptors();
    assertEquals(kernel.calls.splice(0), [
      "epoll_ctl 10 2 3 0 3",
      ...Array.from({ length: 8 }, (_, i) => `close ${12 + i}`),
    ]);
    assertEquals(console.log.splice(0), [
      "no file descriptors left (0 clients connected): new clients must wait; raise ulimit -n",
    ]);
    server.limitToDescriptors();
    assertEquals([kernel.calls.length, console.log.length, server.isFull()], [0, 0, false], "it is said once");
    server.add(20, "a");
    assertEquals(server.isFull(), true, "one may always come");
    now = 1_000_000;
    kernel.ready = [1, 1];
    await server.wait();
    assertEquals(server.clients.size, 1, "no time limit");
    kernel.calls.length = 0;
    console.log.length = 0;
    server.stop();
    assertEquals(kernel.calls.splice(0), ["close 3", "eventfd_write 11 1"]);
    assertEquals(console.log.splice(0), [
      "stopping: waiting up to 5 s for 1 client to finish (Ctrl-C again stops now)",
    ]);
    server.now = now + 4999;
    assertEquals(server.isOpen(), true);
    server.now = now + 5000;
    assertEquals([server.isOpen(), console.log, server.failed], [false, ["a did not finish in time: closed"], 0]);
    assertEquals(kernel.calls, ["close 20"], "nobody is accepted any more");

    const once = new PolledClients(new SystemCalls(), 3, addr, { ...flags, once: true, timeout: 2 });
    assertEquals([once.isOpen(), once.isFull()], [true, false]);
    once.add(30, "x");
    assertEquals([once.isOpen(), once.isFull()], [true, true]);
    const x = once.clients.get(30);
    if (x) once.close(x);
    assertEquals([once.isOpen(), once.isFull()], [false, true]);
    kernel.calls.length = 0;
    kernel.ready = [0, 1];
    await once.wait();
    assertEquals(kernel.calls.at(-1), "wait_for_events 20 512 500", "a quarter of the time limit");
    console.log.length = 0;
    new PolledClients(new SystemCalls(), 3, addr, flags).stop();
    assertEquals(console.log, [], "nobody to wait for");
    const traced = new PolledClients(new SystemCalls(), 3, addr, { ...flags, trace: "json" });
    traced.add(30, "x");
    const shown = traced.clients.get(30);
    if (shown) traced.close(shown);
    const notes = console.error.map((line) => JSON.parse(line)).map(({ from, to, note }) => `${from} ${to} ${note}`);
    assertEquals(notes, ["x 127.0.0.1:7 accepted", "127.0.0.1:7 x closed"]);
    console.log.length = 0;
    kernel.refused.push("eventfd 0 0");
    const poor = new PolledClients(new SystemCalls(), 3, addr, flags);
    poor.limitToDescriptors();
    assertEquals(console.log, [], "nothing to free");
    kernel.refused.push("epoll_create1");
    kernel.errno = 24;
    assertThrows(
      () => new PolledClients(new SystemCalls(), 3, addr, flags),
      SystemError,
      "epoll_create1 failed: EMFILE",
    );
    const events = new Events(2);
    events.bytes.set(Events.of(77, 5), eventSize);
    assertEquals([events.descriptor(0), events.descriptor(1), events.descriptor(2)], [0, 77, -1]);
  },
});
