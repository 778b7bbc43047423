/**
 * A TCP echo server made of the system calls themselves: socket, bind, listen, accept, recv, send, close, and epoll.
 *
 * One thread serves every client, because no call waits for one client: the sockets are non-blocking, and epoll says which
 * of them have something to read or room to write. `--calls` prints each call with its result. Compare `echo_server.ts`.
 *
 * This terminal: `deno run --allow-ffi tcp/syscall_server.ts`. The other: `deno run --allow-ffi tcp/syscall_client.ts hello`.
 * Both at once: `deno task tcp:syscalls`. Linux only. RFC 862 (echo), RFC 9293 §3.6 (half-close). API: Deno.dlopen.
 *
 * @module
 */
import { type Address, flag, formatAddress, integer, onStop, run, serverOptions } from "../cli.ts";
import { announce } from "./_announce.ts";
import { maxClients } from "./_clients.ts";
import { checkEvents, type PolledClient as Client, PolledClients } from "./_polled_clients.ts";
import * as sys from "./_system_calls.ts";

/** Opens a socket that clients can connect to. */
async function listen(calls: sys.SystemCalls, addr: Address): Promise<number> {
  const { call } = calls;
  const { family, bytes } = await calls.resolve(addr);
  // socket: an endpoint, still without an address. Its number is a file descriptor.
  const listener = calls.expect("socket", call.socket(family, sys.SOCK_STREAM | sys.SOCK_NONBLOCK, 0));
  // SO_REUSEADDR: without it, a restarted server could not bind while old connections are in TIME_WAIT, for a minute.
  call.setsockopt(listener, sys.SOL_SOCKET, sys.SO_REUSEADDR, new Int32Array([1]), 4);
  // bind: the address and the port at which it can be reached.
  calls.expect("bind", call.bind(listener, bytes, bytes.length));
  // listen: from now on the kernel itself answers each SYN, and queues the connections for accept.
  calls.expect("listen", call.listen(listener, 4096));
  return listener;
}

/** Echoes every client until the server is stopped: waits until the kernel has news of some sockets, and handles each. */
async function echoAll(server: PolledClients): Promise<void> {
  const { clients, listener } = server;
  while (server.isOpen()) {
    const ready = await server.wait();
    for (let i = 0; i < ready; i++) {
      const descriptor = server.events.descriptor(i);
      if (descriptor === listener) accept(server);
      const client = clients.get(descriptor);
      if (client?.unsent) flush(server, client);
      else if (client) receive(server, client);
    }
  }
}

/** Takes connections from the kernel's queue until it is empty. */
function accept(server: PolledClients): void {
  const { call } = server.calls;
  const from = new Uint8Array(28); // struct sockaddr_in6; the one of IPv4 is shorter
  while (!server.isFull()) {
    const descriptor = call.accept4(server.listener, from, new Uint32Array([from.length]), sys.SOCK_NONBLOCK);
    if (descriptor < 0) {
      if (server.calls.errno === "ECONNABORTED") continue; // the client has left the queue again
      // Without a free descriptor the connections stay in the queue until a client leaves.
      if (/^E[MN]FILE$/.test(server.calls.errno)) server.limitToDescriptors();
      return;
    }
    // Nagle's algorithm would hold back a small chunk (RFC 1122 §4.2.3.4).
    call.setsockopt(descriptor, sys.IPPROTO_TCP, sys.TCP_NODELAY, new Int32Array([1]), 4);
    server.add(descriptor, formatAddress(server.calls.addressIn(from)));
  }
}

/** Reads what a client has sent, and sends it back. */
function receive(server: PolledClients, client: Client): void {
  const { buffer, calls: { call } } = server;
  // recv: whatever has arrived, up to the size of the buffer. 0: the client has closed its side (FIN).
  const n = call.recv(client.descriptor, buffer, buffer.length, 0);
  if (n === 0) return server.close(client);
  if (n < 0) return void server.check(client);
  server.show(client.name, server.name, buffer.subarray(0, n));
  client.silentSince = server.now;
  transmit(server, client, buffer, n);
}

/** Sends `length` bytes to a client; what its connection has no room for is kept, and nothing more is read until it has left. */
function transmit(server: PolledClients, client: Client, data: sys.Bytes, length: number): void {
  // send: copies into the kernel's buffer. It may take only a part: the client does not read, and its window is closed.
  // MSG_NOSIGNAL: when the client is gone, return EPIPE instead of ending this process with SIGPIPE.
  const sent = server.calls.call.send(client.descriptor, data, length, sys.MSG_NOSIGNAL);
  if (sent < 0 && !server.check(client)) return;
  server.show(server.name, client.name, data.subarray(0, Math.max(0, sent)));
  client.echoed += Math.max(0, sent);
  const hadUnsent = client.unsent !== undefined;
  client.unsent = sent === length ? undefined : data.slice(Math.max(0, sent), length);
  if (hadUnsent !== (client.unsent !== undefined)) {
    server.watch(sys.EPOLL_CTL_MOD, client.descriptor, client.unsent ? sys.EPOLLOUT : sys.EPOLLIN);
  }
}

/** Sends what was kept, now that the connection has room again. */
function flush(server: PolledClients, client: Client): void {
  if (!client.unsent) return;
  client.silentSince = server.now;
  transmit(server, client, client.unsent, client.unsent.length);
}

const command = {
  name: "syscall_server",
  about: "Sends back every byte it receives over TCP, by the system calls of Linux.",
  run: "deno run --allow-ffi tcp/syscall_server.ts",
  examples: [
    "deno task syscall-server",
    "deno task syscall-server --calls",
  ],
  options: {
    ...serverOptions(7009, "close a client that is silent for this long; 0: never"),
    "calls": flag("print each system call on stderr"),
    "chunk": integer(65536, "bytes to read at a time", 1, 1 << 20),
    "max-clients": maxClients(100_000),
  },
};

await run(command, async (flags) => {
  const calls = new sys.SystemCalls(flags.calls);
  checkEvents(calls);
  const listener = await listen(calls, { hostname: flags.host, port: flags.port });
  const name = new Uint8Array(28);
  calls.call.getsockname(listener, name, new Uint32Array([name.length])); // with --port 0, the port that the kernel chose
  const addr = calls.addressIn(name);
  const server = new PolledClients(calls, listener, addr, flags);
  onStop(() => server.stop());
  announce("System call server", addr);
  await echoAll(server);
  if (flags.once && server.failed > 0) Deno.exitCode = 1;
});
