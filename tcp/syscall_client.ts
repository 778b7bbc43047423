/**
 * A TCP echo client made of the system calls themselves: socket, connect, send, recv, shutdown, close, and poll.
 *
 * The socket is non-blocking, so `connect` returns at once: the handshake goes on in the kernel, and `poll` says when it is
 * over, or that time is up. `--calls` prints each call with its result. Compare `echo_client.ts`.
 *
 * First terminal: `deno run --allow-ffi tcp/syscall_server.ts`. This one: `deno run --allow-ffi tcp/syscall_client.ts hello`.
 * Both at once: `deno task tcp:syscalls`. Linux only. RFC 862 (echo), RFC 9293 §3.6 (half-close). API: Deno.dlopen.
 *
 * @module
 */
import { type Address, clientOptions, connect, count, Failure, flag, formatAddress, printable, run } from "../cli.ts";
import * as sys from "./_system_calls.ts";
import { showMessage } from "./_trace.ts";

/** Connects to a server, and returns the socket. @throws {sys.SystemError} when the server refuses or does not answer. */
async function openConnection(calls: sys.SystemCalls, addr: Address, timeout: number): Promise<number> {
  const { call } = calls;
  const { family, bytes } = await calls.resolve(addr);
  const socket = calls.expect("socket", call.socket(family, sys.SOCK_STREAM | sys.SOCK_NONBLOCK, 0));
  // connect: the kernel sends SYN, and chooses a port for this side.
  if (call.connect(socket, bytes, bytes.length) < 0 && calls.errno !== "EINPROGRESS") {
    const error = new sys.SystemError("connect", calls.errno);
    call.close(socket);
    throw error;
  }
  await waitFor(calls, socket, sys.POLLOUT, timeout); // writable: the handshake is over, and this says how it ended:
  const error = new Int32Array(1);
  call.getsockopt(socket, sys.SOL_SOCKET, sys.SO_ERROR, error, new Uint32Array([4]));
  if (error[0] === 0) return socket;
  call.close(socket);
  throw new sys.SystemError("connect", sys.nameOf(error[0] ?? 0));
}

/** Sends a message, and returns what comes back until the server closes its side. */
async function echo(
  calls: sys.SystemCalls,
  socket: number,
  message: sys.Bytes,
  timeout: number,
  show: Show,
): Promise<Uint8Array> {
  const { call } = calls;
  const received = new Uint8Array(message.length + 1); // one more: a server that sends more than it got is noticed
  let sent = 0;
  let got = 0;
  while (true) {
    // Both directions at once: a client that only sends stops a server that waits until somebody reads what it sends back.
    const ready = await waitFor(calls, socket, sent < message.length ? sys.POLLIN | sys.POLLOUT : sys.POLLIN, timeout);
    if (ready & sys.POLLOUT) {
      const rest = message.slice(sent, sent + 65536);
      // send: copies as much as fits into the kernel's buffer, perhaps only a part.
      const n = calls.expect("send", call.send(socket, rest, rest.length, sys.MSG_NOSIGNAL));
      show("sent", rest.subarray(0, n));
      sent += n;
      // shutdown: this side has no more to send, and the kernel says so to the server (FIN). It can still receive.
      if (sent === message.length) calls.expect("shutdown", call.shutdown(socket, sys.SHUT_WR));
    }
    if (ready & ~sys.POLLOUT) {
      const room = received.subarray(got);
      const n = calls.expect("recv", call.recv(socket, room, room.length, 0));
      show("received", room.subarray(0, n));
      if (n === 0) return received.subarray(0, got); // recv: 0 is the server's FIN
      got += n;
      if (got > message.length) throw new Failure("the server sent more than it received");
    }
  }
}

/** Waits until a socket is ready, at most `timeout` seconds (0: no limit). Returns for what it is ready. */
async function waitFor(calls: sys.SystemCalls, socket: number, events: number, timeout: number): Promise<number> {
  const poll = new Int32Array([socket, events]); // struct pollfd; the upper half of the second word is the answer
  if (await calls.call.poll(poll, 1, timeout === 0 ? -1 : Math.ceil(timeout * 1000)) === 0) {
    throw new sys.SystemError("poll", "ETIMEDOUT");
  }
  return (poll[1] ?? 0) >> 16;
}

type Show = (what: "sent" | "received", data: Uint8Array) => void;

const command = {
  name: "syscall_client",
  about: "Sends a message to an echo server by the system calls of Linux, and checks that it comes back.",
  run: "deno run --allow-ffi tcp/syscall_client.ts",
  args: "[MESSAGE ...]",
  examples: [
    "deno task syscall-client Hello, system calls!",
  ],
  options: {
    ...clientOptions(7009),
    "calls": flag("print each system call on stderr"),
  },
};

await run(command, async (flags) => {
  const calls = new sys.SystemCalls(flags.calls);
  const message = new TextEncoder().encode(flags.args.join(" ") || "Hello, system calls!");
  const socket = await connect(flags, (addr) => openConnection(calls, addr, flags.timeout));
  const server = formatAddress({ hostname: flags.host, port: flags.port });
  const name = new Uint8Array(28);
  calls.call.getsockname(socket, name, new Uint32Array([name.length]));
  const local = formatAddress(calls.addressIn(name));
  showMessage(flags, {
    side: "client",
    transport: "tcp",
    from: local,
    to: server,
    data: new Uint8Array(),
    note: "connected",
  });
  const show: Show = (what, data) => {
    const [from, to] = what === "sent" ? [local, server] : [server, local];
    const note = data.length === 0 ? "FIN" : "";
    showMessage(flags, { side: "client", transport: "tcp", from, to, data, note });
  };
  const start = performance.now();
  const received = await echo(calls, socket, message, flags.timeout, show);
  calls.call.close(socket);
  if (received.length < message.length) {
    throw new Failure(`${server} closed after ${received.length} of ${count(message.length, "byte")}`);
  }
  const differs = received.findIndex((byte, i) => byte !== message[i]);
  if (differs >= 0) throw new Failure(`byte ${differs} of ${message.length} differs`);
  const ms = (performance.now() - start).toFixed(2);
  console.log(`Received: ${printable(received)} (${count(received.length, "byte")}, ${ms} ms)`);
});
