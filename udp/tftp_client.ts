/**
 * A TFTP client: gets a file from a server, or puts one there, over UDP.
 *
 * The server answers from another port than the one it was asked at: this port is the transfer's id. Without options it is
 * stop-and-wait: one block on the way, 512 bytes a round trip. `--window` sends several blocks before it waits.
 *
 * First terminal: `deno run -N=127.0.0.1 -R=http --unstable-net udp/tftp_server.ts http/site`. This one:
 * `deno run -N=127.0.0.1 --unstable-net udp/tftp_client.ts get protocols.json`. Both: `deno task udp:tftp`.
 * RFC 1350, RFC 2347, RFC 2348, RFC 2349, RFC 7440 (windows). API: Deno.listenDatagram.
 *
 * @module
 */
import { clientOptions, count, Failure, flag, integer, printable, printableLine, run, seconds } from "../cli.ts";
import { fileSink } from "../tcp/_file_sink.ts";
import { readFile } from "../tcp/_read_file.ts";
import { writeAll } from "../tcp/_write_all.ts";
import { localAddress } from "./_local_address.ts";
import { asNetascii, fromNetascii, Refusal } from "./_tftp_files.ts";
import { acceptTerms, errorCodes, type Packet, plainTerms, type Terms } from "./_tftp_message.ts";
import { dally, Link, receiveFile, type Report, sendFile, type Sink, type Source, TRIES } from "./_tftp_transfer.ts";
import { traced } from "./_trace.ts";

/** Gets a file: asks for it, and acknowledges its blocks. */
async function get(link: Link, request: Request, terms: Terms, sink: Sink): Promise<Report> {
  const first = await ask(link, request, terms.timeout);
  const agreed = agree(first, terms);
  // The first answer is the options, acknowledged as block 0, or already the first block.
  const opening: Packet = first.kind === "options" ? { kind: "ack", block: 0 } : request;
  if (first.kind === "options") await link.send(opening);
  else link.putBack(first);
  const report = await receiveFile(link, sink, agreed, opening);
  await dally(link, report.blocks, Math.min(agreed.timeout, 0.5));
  return report;
}

/** Puts a file: asks whether the server takes it, and sends its blocks. */
async function put(link: Link, request: Request, terms: Terms, source: Source): Promise<Report> {
  const first = await ask(link, request, terms.timeout);
  if (first.kind === "data") throw new Failure("the server sends a file where it should receive one");
  return await sendFile(link, source, agree(first, terms));
}

/** Sends the request until the server answers it. */
async function ask(link: Link, request: Request, timeout: number): Promise<Packet> {
  for (let tries = 0; tries < request.tries; tries++) {
    await link.send(request);
    const answer = await link.receive(performance.now() + timeout * 1000);
    if (answer) return answer;
  }
  throw new Failure(
    `no answer from ${link.peerName} in ${+(request.tries * timeout).toFixed(2)} s: is the server running?`,
  );
}

/** The terms of the server's first answer. Without options in it, they are those of 1981. */
function agree(first: Packet, asked: Terms): Terms {
  const agreed = first.kind === "options"
    ? acceptTerms(first.options, asked)
    : { ...plainTerms, timeout: asked.timeout };
  if (!agreed) throw new Refusal(errorCodes.optionRefused, "the server answered options that were not asked for");
  return agreed;
}

type Request = Extract<Packet, { kind: "read" | "write" }> & { tries: number };

const { wait, ...options } = clientOptions(6969);
const command = {
  name: "tftp_client",
  about: "Gets a file over TFTP, or puts one: get NAME [FILE], put FILE [NAME]. Without FILE it goes to stdout.",
  run: "deno run -N=127.0.0.1 --unstable-net udp/tftp_client.ts",
  args: "get|put NAME [NAME]",
  examples: [
    "deno task tftp-client get protocols.json",
    "deno task tftp-client --window 4 --trace get protocols.json",
  ],
  options: {
    ...options,
    "wait": { ...wait, help: "keep asking for this long while nobody answers" },
    "timeout": seconds(5, "give up on a server that is silent for this long", false),
    "block-size": integer(512, "bytes of a block", 8, 65_464),
    "window": integer(1, "blocks on the way before an acknowledgement", 1, 65_535),
    "netascii": flag("transfer a text, whatever ends its lines on either side"),
  },
};

await run(command, async (flags) => {
  const [verb, name, other, ...more] = flags.args;
  if ((verb !== "get" && verb !== "put") || !name || more.length > 0) {
    throw new Failure("say what to do: get NAME [FILE], or put FILE [NAME]", 2);
  }
  const terms = { blockSize: flags["block-size"], window: flags.window, timeout: flags.timeout / TRIES };
  const file = verb === "put" ? await readFile(name) : undefined;
  const asked = new Map<string, string>();
  if (terms.blockSize !== plainTerms.blockSize) asked.set("blksize", `${terms.blockSize}`);
  if (terms.window > 1) asked.set("windowsize", `${terms.window}`);
  if (asked.size > 0) asked.set("tsize", `${file?.length ?? 0}`);
  const request: Request = {
    kind: verb === "get" ? "read" : "write",
    file: verb === "get" ? name : other ?? name.replace(/.*[/\\]/, ""),
    mode: flags.netascii ? "netascii" : "octet",
    options: asked,
    tries: Math.max(TRIES, Math.ceil(flags.wait / terms.timeout)),
  };
  const peer = await resolve(flags.host, flags.port);
  const socket = Deno.listenDatagram({ transport: "udp", hostname: localAddress(peer.hostname), port: 0 });
  const link = new Link(traced(socket, flags), peer, false);
  const start = performance.now();
  try {
    const report = file
      ? await put(link, request, terms, flags.netascii ? await asNetascii(sourceOf(file)) : sourceOf(file))
      : await receive(link, request, terms, other);
    const s = (report.ended - start) / 1000;
    const rate = (report.bytes / 1024 / s).toFixed(0);
    const { bytes, blocks, resent } = report;
    console.error(
      `${printable(request.file)}: ${count(bytes, "byte")} in ${count(blocks, "block")}, ${resent} sent again, ` +
        `${s.toFixed(3)} s, ${rate} KiB/s`,
    );
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    await link.send({ kind: "error", code: error.code, text: error.message });
    throw new Failure(error.message);
  } finally {
    link.close();
  }
});

/** Gets a file to `path`, or to stdout. */
async function receive(link: Link, request: Request, terms: Terms, path: string | undefined): Promise<Report> {
  const file = path === undefined ? undefined : await fileSink(path);
  const plain = request.mode === "netascii" ? fromNetascii() : (data: Uint8Array) => data;
  let isWhole = false;
  try {
    return await get(link, request, terms, {
      write: async (data) => file ? file.write(plain(data)) : await print(plain(data)),
      finish: () => {
        file?.commit();
        isWhole = true;
        return Promise.resolve();
      },
    });
  } finally {
    if (!isWhole) file?.discard();
  }
}

/** Writes to stdout as it is; to a terminal without control characters. */
async function print(data: Uint8Array): Promise<void> {
  if (!Deno.stdout.isTerminal()) return await writeAll(Deno.stdout, data);
  const lines = new TextDecoder().decode(data).split("\n").map(printableLine);
  await writeAll(Deno.stdout, new TextEncoder().encode(lines.join("\n")));
}

function sourceOf(file: Uint8Array): Source & { close(): void } {
  const read = (offset: number, length: number) => Promise.resolve(file.subarray(offset, offset + length));
  return { size: file.length, read, close() {} };
}

/** The address of a host: answers come from an address, not from a name. */
async function resolve(hostname: string, port: number): Promise<Deno.NetAddr> {
  const { lookup } = await import("node:dns/promises");
  const { address } = await lookup(hostname);
  return { transport: "udp", hostname: address, port };
}
