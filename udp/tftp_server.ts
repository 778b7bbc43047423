/**
 * A TFTP server: files over UDP, which promises nothing. What TCP does in the kernel is a few lines here.
 *
 * Each transfer has a socket of its own: its port is the transfer's id, so this port stays free for the next request. The
 * transfer itself, blocks, acknowledgements, windows and what is sent again, is in `_tftp_transfer.ts`.
 *
 * This terminal: `deno run -N=127.0.0.1 -R=http --unstable-net udp/tftp_server.ts http/site`. The other:
 * `deno run -N=127.0.0.1 --unstable-net udp/tftp_client.ts get protocols.json`. Both: `deno task udp:tftp`.
 * RFC 1350, RFC 2347, RFC 2348, RFC 2349, RFC 7440 (windows). API: Deno.listenDatagram.
 *
 * @module
 */
import * as cli from "../cli.ts";
import { bind, count, Failure, formatAddress, printable, run } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { asNetascii, fromNetascii, locate, openSource, Refusal, Upload } from "./_tftp_files.ts";
import { decode, encode, errorCodes, negotiate, type Packet, PacketError, type Terms } from "./_tftp_message.ts";
import { dally, Link, receiveFile, type Report, sendFile, TRIES } from "./_tftp_transfer.ts";
import { traced } from "./_trace.ts";

type Request = Extract<Packet, { kind: "read" | "write" }>;

/**
 * Serves one request to its end, and makes the transfer's socket once it has the file: after a burst of requests that took
 * all descriptors for sockets, none would be left for a file.
 */
async function transfer(server: Server, connect: () => Link, request: Request): Promise<Report> {
  if (request.mode !== "octet" && request.mode !== "netascii") {
    throw new Refusal(errorCodes.illegalOperation, "the modes are octet and netascii");
  }
  const path = await locate(server.root, request.file);
  return request.kind === "read"
    ? await sendTo(connect, request, path, server.limits)
    : await receiveFrom(connect, request, path, server);
}

/** The client reads: it gets blocks, and acknowledges them. */
async function sendTo(connect: () => Link, request: Request, path: string, limits: Terms): Promise<Report> {
  const file = await openSource(path);
  try {
    const link = connect();
    const source = request.mode === "netascii" ? await asNetascii(file) : file;
    const { terms, answer } = negotiate(request.options, limits, source.size);
    // A client that asked for options first learns which of them it gets, and acknowledges them with block 0.
    if (answer.size > 0) await offer(link, answer, terms);
    return await sendFile(link, source, terms);
  } finally {
    file.close();
  }
}

/** Sends the accepted options until the client acknowledges them as block 0. */
async function offer(link: Link, answer: Map<string, string>, { timeout }: Terms): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    await link.send({ kind: "options", options: answer });
    const deadline = performance.now() + timeout * 1000;
    for (let packet = await link.receive(deadline); packet; packet = await link.receive(deadline)) {
      if (packet.kind === "ack" && packet.block === 0) return;
    }
  }
  throw new Failure("did not answer the options");
}

/** The client writes: it sends blocks, and this side acknowledges them, first of all its request as block 0. */
async function receiveFrom(connect: () => Link, request: Request, path: string, server: Server): Promise<Report> {
  if (!server.writable) throw new Refusal(errorCodes.accessViolation, "this server only reads: start it with --write");
  const size = Number(request.options.get("tsize") ?? 0);
  if (size > server.maxSize) throw new Refusal(errorCodes.diskFull, `a file may have ${server.maxSize} bytes`);
  const upload = await Upload.create(path, server.maxSize);
  try {
    const link = connect();
    const { terms, answer } = negotiate(request.options, server.limits);
    const opening: Packet = answer.size > 0 ? { kind: "options", options: answer } : { kind: "ack", block: 0 };
    await link.send(opening);
    const plain = request.mode === "netascii" ? fromNetascii() : (data: Uint8Array) => data;
    const sink = { write: (data: Uint8Array) => upload.write(plain(data)), finish: () => upload.finish() };
    const report = await receiveFile(link, sink, terms, opening);
    await dally(link, report.blocks, 2 * terms.timeout); // the sender sends again after one
    return report;
  } finally {
    await upload.discard();
  }
}

interface Server {
  readonly root: string;
  readonly writable: boolean;
  readonly maxSize: number;
  readonly limits: Terms;
}

const { timeout: _, ...options } = cli.serverOptions(6969, "");
const command = {
  name: "tftp_server",
  about:
    "Serves the files of a folder over TFTP, and takes files with --write. The argument is the folder; without it, this one.",
  run: "deno run -N=127.0.0.1 -R=http --unstable-net udp/tftp_server.ts",
  args: "[FOLDER]",
  examples: [
    "deno task tftp-server http/site",
    "deno task tftp-server --trace=diagram http/site",
  ],
  options: {
    ...options,
    "write": cli.flag("take files, too; none is replaced"),
    "max-size": cli.integer(64 * 1024 * 1024, "the longest file to take, in bytes", 0, 2 ** 40),
    "timeout": cli.seconds(5, "give up on a client that is silent for this long", false),
    "block-size": cli.integer(1468, "the largest block that a client gets when it asks", 8, 65_464),
    "window": cli.integer(64, "the largest window that a client gets when it asks, in blocks", 1, 65_535),
    "max-clients": cli.integer(64, "transfers at the same time; more are refused", 1, 10_000),
  },
};

type Settings = cli.Tracing & { host: string; once: boolean; "max-clients": number };

await run(command, async (flags) => {
  const root = flags.args[0] ?? ".";
  const server = {
    root,
    writable: flags.write,
    maxSize: flags["max-size"],
    limits: { blockSize: flags["block-size"], window: flags.window, timeout: flags.timeout / TRIES },
  };
  await locate(root, "x").catch((error) => {
    if (!(error instanceof Refusal)) throw error;
    const folder = printable(root);
    if (error.code === errorCodes.notFound) throw new Failure(`there is no folder ${folder}`, 2);
    throw new Failure(`no permission to read ${folder}: add -R=${folder}`, 2, `-R=${folder}`);
  });
  if (flags.write) await expectWritable(root);
  const listen = (addr: { hostname: string; port: number }) => Deno.listenDatagram({ ...addr, transport: "udp" });
  const socket = traced(bind(flags, listen), flags, "server");
  const stopped = Promise.withResolvers<void>();
  cli.onStop(stopped.resolve);
  if (socket.addr.transport === "udp") announce("TFTP server", socket.addr);
  await Promise.race([stopped.promise, serve(socket, server, flags)]);
});

/** Asks for the permission to write at the start: Deno's question at the first upload would stop the server for all. */
async function expectWritable(folder: string): Promise<void> {
  const { state } = await Deno.permissions.request({ name: "write", path: folder });
  const flag = `-W=${printable(folder)}`;
  if (state !== "granted") throw new Failure(`no permission to write to ${printable(folder)}: add ${flag}`, 2, flag);
}

/** Takes requests until the process ends, or with --once until the first transfer has. */
async function serve(socket: Deno.DatagramConn, server: Server, flags: Settings): Promise<void> {
  const active = new Set<string>();
  const buffer = new Uint8Array(65_535);
  const first = Promise.withResolvers<void>();
  while (true) {
    const received = await Promise.race([receiveNext(socket, buffer), first.promise]);
    if (!received) return;
    const [bytes, from] = received;
    const name = formatAddress(from);
    if (active.has(name)) continue; // the same request again: its answer is on the way, or was lost and will come again
    const request = parseRequest(bytes);
    if (request === undefined) continue;
    const refuse = async (code: number, text: string) => {
      await socket.send(encode({ kind: "error", code, text }), from).catch(() => {}); // its address may be forged
    };
    if (request.kind !== "read" && request.kind !== "write") {
      await refuse(errorCodes.illegalOperation, "a transfer begins with a request");
      continue;
    }
    if (active.size >= flags["max-clients"]) {
      await refuse(errorCodes.undefined, "too many transfers: try again later");
      continue;
    }
    active.add(name);
    // Not awaited: other clients are served at the same time.
    serveOne(server, request, from, flags, refuse).then((worked) => {
      active.delete(name);
      if (flags.once && !worked) Deno.exitCode = 1;
      if (flags.once) first.resolve();
    });
  }
}

/** The next datagram. Windows reports a refused one here; it was no request. */
async function receiveNext(socket: Deno.DatagramConn, buffer: Uint8Array): Promise<[Uint8Array, Deno.NetAddr]> {
  while (true) {
    try {
      const [bytes, from] = await socket.receive(buffer);
      if (from.transport === "udp") return [bytes.slice(), from];
    } catch (error) {
      if (codeOf(error) !== "ECONNRESET") throw error;
    }
  }
}

/** The packet in a datagram; undefined for garbage, and for errors, which are never answered. */
function parseRequest(bytes: Uint8Array): Packet | undefined {
  try {
    const packet = decode(bytes);
    return packet.kind === "error" ? undefined : packet;
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return undefined;
  }
}

/** Serves one request on a socket of its own, and logs how it ended. Returns whether it worked. */
async function serveOne(
  server: Server,
  request: Request,
  from: Deno.NetAddr,
  flags: Settings,
  refuse: (code: number, text: string) => Promise<void>,
): Promise<boolean> {
  const what = `${formatAddress(from)} ${request.kind === "read" ? "reads" : "writes"} ${printable(request.file)}`;
  let link: Link | undefined;
  const connect = () => {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: flags.host, port: 0 });
    return link = new Link(traced(socket, flags, "server"), from, true);
  };
  try {
    const { bytes, blocks, resent } = await transfer(server, connect, request);
    console.log(`${what}: ${count(bytes, "byte")} in ${count(blocks, "block")}, ${resent} sent again`);
    return true;
  } catch (error) {
    if (error instanceof Refusal) {
      // Before there is a socket for the transfer, the client is told from this one.
      if (link) await link.send({ kind: "error", code: error.code, text: error.message }).catch(() => {});
      else await refuse(error.code, error.message);
      console.log(`${what}: refused, ${error.message}`);
    } else if (error instanceof Failure || hasCode(error)) {
      if (!link) await refuse(errorCodes.undefined, "too many transfers: try again later");
      console.log(`${what}: ${error.message}`);
    } else {
      console.error(error); // a bug: show its stack trace, and serve the others
    }
    return false;
  } finally {
    link?.close();
  }
}

/** Whether an error is the system's: an address to which nothing can be sent, or no descriptor left. Any other one is a bug. */
function hasCode(error: unknown): error is Error {
  return error instanceof Error && "code" in error;
}
