/**
 * Stands between UDP clients and a server, shows what passes, and shakes it: lost, late, double and broken datagrams for
 * anyone, without root.
 *
 * Look at `send`: a datagram that is late is overtaken by those behind it, and nobody is told of one that is lost. Each client
 * has a socket of its own towards the server, because its port is all by which the server can tell clients apart.
 *
 * First terminal: `deno task chat-server`. This one, also with `deno task udp-relay`:
 * `deno run -N=127.0.0.1 --unstable-net udp/relay.ts --to 127.0.0.1:9999 --trace=diagram --script 'client: drop 1'`.
 * A third: `deno task chat-client --port 9998 --name anna`.
 * RFC 768 (UDP), RFC 8085 (what a program must expect). API: Deno.listenDatagram.
 *
 * @module
 */
import { bind, count, flag, formatAddress, onStop, run, type Tracing } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { isClosedLocally } from "../tcp/_clients.ts";
import { Line } from "../tcp/_fate.ts";
import type { Side } from "../tcp/_network.ts";
import { announceSeed, checkPermission, fatesOf, type Plan, planOf, relayOptions } from "../tcp/_relay_options.ts";
import { obeyStdin } from "../tcp/_relay_control.ts";
import { RelayTrace } from "../tcp/_relay_trace.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { canonical, localAddress } from "./_local_address.ts";
import { Way } from "./_relay_way.ts";

/** Sends a datagram on in one direction, now or later, once, twice or never. */
function send(session: Session, side: Side, data: Uint8Array): void {
  const way = session.ways[side];
  const { queue } = session.relay.plan.networks[side];
  const fate = way.fates.next();
  way.count++;
  session.lastSeen = performance.now();
  if (fate.isLost || way.waiting + data.length > queue) {
    way.lost++;
    session.trace.held(side, data, fate.isLost ? "lost" : "lost: the queue is full");
    return;
  }
  const notes: string[] = [];
  const bytes = data.slice(); // the buffer is used again for the next datagram
  if (fate.flipAt !== undefined && bytes.length > 0) {
    const bit = Math.floor(fate.flipAt * bytes.length * 8);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ 128 >> (bit & 7);
    notes.push(`bit ${bit} flipped`);
  }
  if (fate.delay > 0) notes.push(`delayed ${Math.round(fate.delay)} ms`);
  if (fate.isTwice) notes.push("sent twice");
  const wait = way.line.wait(bytes.length) + fate.delay;
  if (fate.isLate) notes.push("after the next one");
  const isHeld = fate.isLate || wait > 0 || fate.flipAt !== undefined;
  let came = isHeld ? session.trace.held(side, data, "datagram") : undefined;
  const overtaken = way.overtake();
  const deliver = () => {
    for (let copy = fate.isTwice ? 2 : 1; copy > 0; copy--) {
      came = session.trace.passed(side, bytes, notes.join(", ") || "datagram", came);
      way.transmit(bytes);
    }
    overtaken?.();
  };
  if (fate.isLate) way.hold(bytes.length, deliver);
  else if (wait <= 0) deliver();
  else way.after(bytes.length, wait, deliver);
}

/** A client, by the address of its datagrams. */
interface Session {
  readonly name: string;
  readonly relay: Relay;
  /** Receives what the server sends to this client. */
  readonly socket: Deno.DatagramConn;
  readonly ways: Readonly<Record<Side, Way>>;
  readonly trace: RelayTrace;
  /** With --follow its port is the one from which the server answered first. */
  server: Deno.NetAddr;
  lastSeen: number;
}

interface Relay {
  readonly socket: Deno.DatagramConn;
  readonly plan: Plan;
  readonly flags: Tracing & { "max-clients": number; follow: boolean };
  readonly sessions: Map<string, Session>;
  clients: number;
}

/** Receives the clients' datagrams until the socket is closed. */
async function serve(relay: Relay): Promise<void> {
  const buffer = new Uint8Array(65_535);
  const { addr } = relay.socket;
  for await (const [data, from] of datagrams(relay.socket, buffer)) {
    // With this relay's own address as its forged source, the answer would come back as a request, and so on for ever.
    if (addr.transport === "udp" && from.port === addr.port) continue;
    const session = relay.sessions.get(formatAddress(from)) ?? open(relay, from);
    if (session) send(session, "client", data);
  }
}

/** A session for a new client; none when there are too many. */
function open(relay: Relay, from: Deno.NetAddr): Session | undefined {
  const { plan, sessions, flags } = relay;
  const name = formatAddress(from);
  if (sessions.size >= flags["max-clients"]) {
    console.log(`${name} is ignored: there are ${count(sessions.size, "client")} (--max-clients)`);
    return undefined;
  }
  const socket = openSocket(relay, name);
  if (!socket) return undefined;
  const number = ++relay.clients;
  const way = (side: Side, deliver: Way["deliver"]) =>
    new Way(fatesOf(plan, side, number), new Line(plan.networks[side]), deliver, logError);
  const ways = {
    client: way("client", (data) => socket.send(data, session.server)),
    server: way("server", (data) => relay.socket.send(data, from)),
  };
  const server: Deno.NetAddr = { transport: "udp", ...plan.to };
  const [near, far] = [ownAddress(relay.socket), ownAddress(socket)];
  const trace = new RelayTrace(
    flags,
    "udp",
    () => ({ client: name, server: formatAddress(session.server), near, far }),
  );
  const session: Session = { name, relay, socket, ways, trace, server, lastSeen: performance.now() };
  sessions.set(name, session);
  receiveReplies(session).catch(logError);
  return session;
}

const ownAddress = ({ addr }: Deno.DatagramConn) => addr.transport === "udp" ? formatAddress(addr) : "";

/** A socket towards the server; none when the system has no descriptor left. */
function openSocket({ plan, sessions }: Relay, name: string): Deno.DatagramConn | undefined {
  try {
    return Deno.listenDatagram({ transport: "udp", hostname: localAddress(plan.to.hostname), port: 0 });
  } catch (error) {
    if (codeOf(error) !== "EMFILE" && codeOf(error) !== "ENFILE") throw error;
    console.log(`${name} is ignored: no file descriptors left for more than ${count(sessions.size, "client")}`);
    return undefined;
  }
}

async function receiveReplies(session: Session): Promise<void> {
  const buffer = new Uint8Array(65_535);
  const wanted = canonical(session.server.hostname);
  let mayMove = session.relay.flags.follow;
  for await (const [data, from] of datagrams(session.socket, buffer)) {
    // Anyone can send to this port: only the server's datagrams count.
    if (wanted !== undefined && canonical(from.hostname) !== wanted) continue;
    if (mayMove) session.server = { ...session.server, port: from.port };
    mayMove = false;
    if (from.port === session.server.port) send(session, "server", data);
  }
}

/** The datagrams that arrive, each valid until the next one; ends when the socket is closed. */
async function* datagrams(
  socket: Deno.DatagramConn,
  buffer: Uint8Array,
): AsyncGenerator<[data: Uint8Array, from: Deno.NetAddr]> {
  while (true) {
    try {
      const [data, from] = await socket.receive(buffer);
      if (from.transport === "udp") yield [data, from];
    } catch (error) {
      if (isClosedLocally(error)) return;
      // On Windows `receive` reports that an earlier datagram was refused (ICMP port unreachable): go on.
      if (codeOf(error) !== "ECONNRESET" && codeOf(error) !== "ECONNREFUSED") throw error;
    }
  }
}

function logError(error: unknown): void {
  // An error of the system has a code: an address to which nothing can be sent, for example.
  const isExpected = error instanceof Error && "code" in error;
  if (!isClosedLocally(error)) console.error(isExpected ? `not sent: ${error.message}` : error);
}

/** Forgets a client, and says how much went each way. */
function close({ name, relay, socket, ways: { client, server } }: Session): void {
  if (!relay.sessions.delete(name)) return;
  socket.close();
  const said = ({ count: all, lost }: Way) => `${count(all, "datagram")}${lost > 0 ? ` (${lost} lost)` : ""}`;
  console.log(`${name}: ${said(client)} to the server, ${said(server)} back`);
}

const command = {
  name: "relay",
  about: `Passes datagrams on to a server, shows what passes, and shakes it.
SETTINGS: delay=TIME jitter=TIME rate=BYTES/s queue=BYTES, and by chance
loss=SHARE duplicate=SHARE reorder=SHARE flip=SHARE (a bit of the datagram);
'loss=5%; client: delay=1s' has some for one direction alone.
SCRIPT: 'client: drop 1,3; server: delay 2 200ms', with drop, duplicate, delay,
swap (with the next one), flip; the numbers count the datagrams a direction.`,
  run: "deno run -N=127.0.0.1 --unstable-net udp/relay.ts",
  examples: [
    "deno task udp-relay --to 127.0.0.1:9999 --trace=diagram",
    "deno task udp-relay --to 127.0.0.1:9999 --network loss=20% --seed 7",
    "deno task udp-relay --to 127.0.0.1:6969 --follow --trace=diagram",
  ],
  options: {
    ...relayOptions(9998),
    "follow": flag("the server answers from another port, as TFTP does: go there"),
  },
};

await run(command, async (flags) => {
  const plan = planOf(flags, "udp");
  await checkPermission(plan.to, flags.follow);
  const socket = bind(flags, (addr) => Deno.listenDatagram({ ...addr, transport: "udp" }));
  const relay: Relay = { socket, plan, flags, sessions: new Map(), clients: 0 };
  const stop = () => {
    for (const session of [...relay.sessions.values()]) close(session);
    socket.close();
  };
  onStop(stop);
  // UDP has no end of an exchange: with --once the relay stops when its first client has been silent for a second.
  const patience = flags.once ? 1 : flags.timeout;
  const forgetSilent = () => {
    for (const session of [...relay.sessions.values()]) {
      const { client, server } = session.ways;
      const isSilent = performance.now() - session.lastSeen > patience * 1000 && client.waiting + server.waiting === 0;
      if (isSilent) close(session);
    }
    if (flags.once && relay.clients > 0 && relay.sessions.size === 0) stop();
  };
  if (patience > 0) setInterval(forgetSilent, Math.min(patience * 250, 5000));
  if (socket.addr.transport === "udp") announce(`UDP relay to ${formatAddress(plan.to)}`, socket.addr);
  announceSeed(plan);
  if (flags.control) obeyStdin(plan, "udp", flags);
  await serve(relay);
});
