/** `udp/chat_server.ts --fast` under load, and the layout of what its system calls read and write. Linux. */
import { assertEquals, assertMatch } from "jsr:@std/assert@1";
import { within } from "../cli.ts";
import { listening, testWith } from "./support/helpers.ts";
import { Program } from "./support/program.ts";
import { command, root } from "./support/tasks.ts";

const linux = Deno.build.os === "linux";
const encode = (text: string) => new TextEncoder().encode(text);

const serveFast = (...args: string[]) =>
  listening((port) => command("udp/chat_server.ts", port, "--fast", ...args).toSpliced(2, 0, "--allow-ffi"));

/** A client's socket, closed at the end of a block. */
function socketOn(hostname: string): Deno.DatagramConn & Disposable {
  const socket = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  return Object.assign(socket, { [Symbol.dispose]: () => socket.close() });
}

testWith(linux, "Linux", "chat --fast: under a flood, timers run, silent members leave, Ctrl-C works", async () => {
  const { program, port } = await serveFast("--quiet", "--idle", "0.5");
  await using _ = program;
  const to = { transport: "udp", hostname: "127.0.0.1", port } as const;
  using silent = socketOn("127.0.0.1");
  using busy = socketOn("127.0.0.1");
  await silent.send(encode("/name anna"), to);
  const left = program.line(/^\* anna was silent for 0\.5 s and has left$/);
  let flooding = true;
  // /quit from one who is no member: the shortest exchange, so the server is busy with nothing but datagrams.
  const flood = (async () => {
    while (flooding) {
      for (let i = 0; i < 100; i++) await busy.send(encode("/quit"), to).catch(() => {});
      await within(0.01, busy.receive(new Uint8Array(100)), () => {});
    }
  })();
  await left;
  program.signal("SIGINT");
  assertEquals((await program.end()).code, 0, program.stderr);
  flooding = false;
  await flood;
  assertMatch(program.stdout, /^\* the server is stopping$/m);
});

testWith(
  linux,
  "Linux",
  "chat --fast: every member gets every message in order, more than one batch at a time",
  async () => {
    const { program, port } = await serveFast("--quiet");
    await using _ = program;
    const to = { transport: "udp", hostname: "127.0.0.1", port } as const;
    // More members than a batch has datagrams.
    const members = Array.from({ length: 100 }, () => socketOn("127.0.0.1"));
    const next = async (socket: Deno.DatagramConn) => {
      const [datagram] = await within(20, socket.receive(new Uint8Array(1024)), "no datagram in 20 s");
      return new TextDecoder().decode(datagram);
    };
    for (const [i, member] of members.entries()) {
      await member.send(encode(`/name m${i}`), to);
      while (await next(member) !== `* you are m${i}`);
    }
    const [first, ...others] = members;
    if (!first) throw new Error("there are members");
    const heard = others.map(async (member) => {
      const lines: string[] = [];
      while (lines.length < 5) {
        const line = await next(member);
        if (line.startsWith("m0: ")) lines.push(line);
      }
      return lines;
    });
    for (let i = 1; i <= 5; i++) {
      await first.send(encode(`/say ${i} text ${i}`), to);
      while (!(await next(first)).startsWith(`#${i} `));
    }
    for (const lines of await Promise.all(heard)) assertEquals(lines, [1, 2, 3, 4, 5].map((i) => `m0: text ${i}`));
    for (const member of members) member.close();
  },
);

testWith(linux, "Linux", "chat --fast: IPv6, --trace, a missing permission", async () => {
  const { program, port } = await listening((port) => [
    ...["deno", "run", "--allow-ffi", "-N", "--unstable-net", "udp/chat_server.ts"],
    ...["--host", "::1", "--port", `${port}`, "--fast", "--trace=json"],
  ]);
  await using _ = program;
  using socket = socketOn("::1");
  await socket.send(encode("hi"), { transport: "udp", hostname: "::1", port });
  const [datagram] = await within(20, socket.receive(new Uint8Array(100)), "no datagram in 20 s");
  assertMatch(new TextDecoder().decode(datagram), /^\[::1\]:\d+: hi$/);
  await program.line(/"from":"\[::1\]:\d+".*"note":"datagram"/);
  await program.line(new RegExp(`"data":"${datagram.toBase64().replaceAll("+", "\\+")}"`));

  const argv = ["deno", "run", "--no-prompt", "-N=127.0.0.1", "--unstable-net", "udp/chat_server.ts", "--fast"];
  const refused = new Program(argv, { cwd: root });
  assertEquals((await refused.end()).code, 2, refused.stderr);
  assertMatch(
    refused.stderr,
    /^chat_server: no permission to call the C library: add --allow-ffi: deno run --allow-ffi/,
  );
});

testWith(linux, "Linux", "structs: those of this machine are known, and others are noticed", async () => {
  // A program of its own, because the tests have no permission to call C.
  const script = `
    import { SystemCalls } from "${root}tcp/_system_calls.ts";
    import { hasThisStruct } from "${root}tcp/_polled_clients.ts";
    import { hasTheseStructs } from "${root}udp/_message_headers.ts";
    const { raw } = new SystemCalls();
    const late = (bytes) => new Uint8Array(bytes.buffer, bytes.byteOffset + 8); // as if each struct began elsewhere
    const othersIn = { ...raw, recvmmsg: (fd, bytes, n, flags, time) => raw.recvmmsg(fd, late(bytes), n, flags, time) };
    const othersOut = { ...raw, sendmmsg: (fd, bytes, n, flags) => raw.sendmmsg(fd, late(bytes), n, flags) };
    const other = { ...raw, epoll_wait: (fd, bytes, n, time) => raw.epoll_wait(fd, bytes.subarray(8), n - 1, time) };
    console.log([
      hasTheseStructs({ raw }), hasTheseStructs({ raw: othersIn }), hasTheseStructs({ raw: othersOut }),
      hasThisStruct({ raw }), hasThisStruct({ raw: other }),
    ].join(" "));`;
  const program = new Program(["deno", "eval", "--no-check", script], { cwd: root });
  assertEquals((await program.end()).code, 0, program.stderr);
  assertEquals(program.stdout.trim(), "true false false true false");
});
