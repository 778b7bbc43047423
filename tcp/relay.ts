/**
 * Stands between TCP clients and a server, shows what passes, and shakes it: a bad network for anyone, without root.
 *
 * Look at `passOn`: two of them are one connection, because each direction is a stream of its own. `write` waits until the
 * kernel has taken the bytes. So a receiver that reads slowly slows down the sender: flow control goes through the relay.
 *
 * First terminal: `deno task echo-server`. This one, also with `deno task tcp-relay`:
 * `deno run -N=127.0.0.1 tcp/relay.ts --to 127.0.0.1:7007 --trace=diagram --network 'delay=200ms'`.
 * A third: `deno task echo-client --port 7777 Hello`.
 * RFC 9293 §3.6 (half-close). API: Deno.args, node:net (Deno.TcpConn cannot reset a connection).
 *
 * @module
 */
import { connect, createServer, type Socket } from "node:net";
import { type Address, bind, count, Failure, formatAddress, onStop, run, type Tracing, within } from "../cli.ts";
import { announce } from "./_announce.ts";
import { roomForSockets } from "./_descriptor_reserve.ts";
import type { Side } from "./_network.ts";
import { obeyStdin } from "./_relay_control.ts";
import { announceSeed, checkPermission, fatesOf, isPlain, type Plan, planOf, relayOptions } from "./_relay_options.ts";
import { RelayTrace } from "./_relay_trace.ts";
import { type Cut, passShaken, write } from "./_shaken_stream.ts";
import { codeOf, explain } from "./_socket_errors.ts";

/** Passes on what one side sends, until it ends its stream; then ends the stream to the other side. */
async function passOn(link: Link, side: Side): Promise<void> {
  const [from, to] = side === "client" ? [link.client, link.server] : [link.server, link.client];
  for await (const data of from.iterator({ destroyOnReturn: false })) {
    link.show(side, data);
    await write(to, data);
  }
  link.show(side, nothing, "FIN");
  to.end();
}

/** As `passOn`, over the network of the plan. */
async function shakeOn(link: Link, side: Side): Promise<void> {
  const [from, to] = side === "client" ? [link.client, link.server] : [link.server, link.client];
  const isOver = await passShaken({
    ...{ from, to, network: link.plan.networks[side], fates: fatesOf(link.plan, side, link.number) },
    show: (data, note, came) => link.show(side, data, note, came),
    hold: (data, note) => link.trace.held(side, data, note),
    cut: (how) => link.cut(side, how),
  });
  if (isOver) return void to.end();
  for await (const data of from.iterator({ destroyOnReturn: false })) {
    link.trace.held(side, data, `lost: ${link.cutBy}`);
  }
  link.end();
}

/** A client's connection, and the one to the server that belongs to it. */
class Link {
  readonly name: string;
  readonly trace: RelayTrace;
  readonly bytes = { client: 0, server: 0 };
  /** How the relay has cut it off. */
  cutBy: Cut | undefined;
  #resetBy: Side | undefined;

  constructor(
    readonly client: Socket,
    readonly server: Socket,
    readonly plan: Plan,
    readonly number: number,
    tracing: Tracing,
  ) {
    this.name = formatAddress({ hostname: client.remoteAddress ?? "", port: client.remotePort ?? 0 });
    const ends = { client: this.name, server: formatAddress(plan.to), near: localOf(client), far: "" };
    this.trace = new RelayTrace(tracing, "tcp", () => (ends.far ||= localOf(server), ends));
  }

  /** Passes on both directions, until both have ended. */
  async serve(): Promise<void> {
    const both = (["client", "server"] as const).map(async (side) => {
      try {
        await (isPlain(this.plan, side) ? passOn(this, side) : shakeOn(this, side));
      } catch (error) {
        if (!this.cutBy) this.#failed(side, error);
      }
    });
    await Promise.all(both);
    this.end();
  }

  /** Shows what goes on, and when it came in, unless it does both at once. */
  show(side: Side, data: Uint8Array, note = "", came?: number): void {
    this.bytes[side] += data.length;
    this.trace.passed(side, data, note, came);
  }

  /** One side has reset its connection: so the other side's is reset, too. */
  #failed(side: Side, error: unknown): void {
    if (codeOf(error) === "" && !(error instanceof Error && "code" in error)) throw error;
    if (this.#resetBy) return;
    this.#resetBy = side;
    this.show(side, nothing, "RST");
    this.client.resetAndDestroy();
    this.server.resetAndDestroy();
  }

  cut(side: Side, how: Cut): void {
    this.cutBy = how;
    const other = side === "client" ? "server" : "client";
    const end = how === "reset" ? "RST" : "FIN";
    if (how === "stall") this.trace.held(side, nothing, how);
    else this.trace.ended(side, end);
    if (how === "reset" || how === "close") this.trace.ended(other, end);
    if (how === "reset") {
      this.client.resetAndDestroy();
      this.server.resetAndDestroy();
    } else if (how === "close") {
      this.client.destroySoon();
      this.server.destroySoon();
    } // The receiver's connection is gone. The sender does not learn of it, and waits.
    else if (how === "half-open") (side === "client" ? this.server : this.client).destroySoon();
  }

  end(): void {
    this.client.destroy();
    this.server.destroy();
  }
}

const nothing = new Uint8Array();

/** Descriptors for those that are refused. */
const SPARE = 16;

const command = {
  name: "relay",
  about: `Passes TCP connections on to a server, shows what passes, and shakes it.
SETTINGS: delay=TIME jitter=TIME rate=BYTES/s queue=BYTES loss=SHARE
slice=BYTES, and stall, reset, close or half-open=BYTES, which cut the
connection off after so many. Some for one direction alone:
'rate=9k; client: delay=1s'.
SCRIPT: 'client: delay 1,3 200ms; server: reset 2', with delay, stall, reset,
close, half-open; the numbers count the reads of each direction.`,
  run: "deno run -N=127.0.0.1 tcp/relay.ts",
  examples: [
    "deno task tcp-relay --to 127.0.0.1:7007 --trace=diagram",
    "deno task tcp-relay --to 127.0.0.1:8000 --network 'delay=50ms slice=1'",
  ],
  options: relayOptions(7777),
};

await run(command, async (flags) => {
  const plan = planOf(flags, "tcp");
  await checkPermission(plan.to);
  bind(flags, Deno.listen).close(); // its errors are the same on every system, those of node:net are not
  const links = new Set<Link>();
  const over = Promise.withResolvers<void>();
  let [clients, isStopping] = [0, false];
  // Each client takes two descriptors.
  const room = Math.floor((await roomForSockets(flags.host, 2 * flags["max-clients"] + SPARE) - SPARE) / 2);
  const most = Math.max(1, room);

  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    socket.on("error", () => {}); // the loop that reads it throws the same error
    const outgoing = connect({ ...nodeAddress(plan.to), allowHalfOpen: true, noDelay: true });
    outgoing.on("error", () => {});
    const link = new Link(socket, outgoing, plan, ++clients, flags);
    links.add(link);
    isStopping ||= flags.once;
    // Without a descriptor for the next client node:net would never accept again. So nobody listens while there is no room.
    if (isStopping || links.size >= most) server.close();
    if (!isStopping && links.size >= most) {
      const why = most === flags["max-clients"] ? "--max-clients" : "raise ulimit -n for more";
      console.log(`${count(links.size, "client")} are connected: others are refused until one leaves (${why})`);
    }
    serveLink(link, flags.timeout).then((isWhole) => {
      links.delete(link);
      if (flags.once && !isWhole) Deno.exitCode = 1;
      if (isStopping && links.size === 0) over.resolve();
      else setTimeout(listen, 50); // its descriptors are free by then
    });
  });
  const stop = () => {
    isStopping = true;
    server.close();
    if (links.size === 0) return over.resolve();
    console.log(`stopping: waiting up to 5 s for ${count(links.size, "client")} to finish (Ctrl-C again stops now)`);
    setTimeout(over.resolve, 5000);
  };
  onStop(stop);
  let addr = { hostname: flags.host, port: flags.port };
  const listen = () => {
    if (!server.listening && !isStopping && links.size < most) server.listen(nodeAddress(addr));
  };
  server.on("error", over.reject);
  server.once("listening", () => {
    const own = server.address();
    if (own === null || typeof own === "string") throw new Error("a TCP server has an address and a port");
    addr = { hostname: own.address, port: own.port };
    announce(`TCP relay to ${formatAddress(plan.to)}`, addr);
    announceSeed(plan);
    if (flags.control) obeyStdin(plan, "tcp", flags);
  });
  listen();
  await over.promise;
});

/** Connects to the server, and passes on until the end. Returns whether the server was reached and nobody reset. */
async function serveLink(link: Link, timeout: number): Promise<boolean> {
  const { client, server, name, plan } = link;
  try {
    const connected = Promise.withResolvers<void>();
    server.once("connect", connected.resolve).once("error", connected.reject);
    await within(timeout, connected.promise, `${formatAddress(plan.to)} did not answer in ${timeout} s`);
  } catch (error) {
    const known = explain(error, plan.to);
    if (!(known instanceof Error && (known instanceof Failure || "code" in known))) throw error;
    console.error(`${name} cannot be served: ${known.message}`);
    client.resetAndDestroy();
    server.destroy();
    return false;
  }
  link.show("client", nothing, "connected");
  if (timeout > 0) {
    for (const socket of [client, server]) {
      socket.setTimeout(timeout * 1000, () => {
        console.log(`${name} was silent for ${timeout} s: closed`);
        link.cutBy ??= "close";
        link.end();
      });
    }
  }
  await link.serve();
  const { bytes, cutBy } = link;
  const end = cutBy ? `; the relay cut it off: ${cutBy}` : "";
  console.log(`${name}: ${count(bytes.client, "byte")} to the server, ${count(bytes.server, "byte")} back${end}`);
  return !cutBy;
}

/** The relay's own address of a connection; "" before it is connected, and after its end. */
function localOf({ localAddress = "", localPort }: Socket): string {
  return localPort ? formatAddress({ hostname: localAddress, port: localPort }) : "";
}

/** An address as node:net takes it. */
function nodeAddress({ hostname, port }: Address): { host: string; port: number } {
  return { host: hostname, port };
}
