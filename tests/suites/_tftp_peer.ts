/**
 * The checker's side of a TFTP transfer, for servers and for clients: it can break every rule.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { isClosedLocally } from "../../tcp/_clients.ts";
import { localAddress } from "../../udp/_local_address.ts";
import { decode, encode, type Packet, PacketError } from "../../udp/_tftp_message.ts";
import { received, sent, step } from "./_record.ts";
import { fail, inSeconds, inTime, limits, quote, type Server } from "./_suite.ts";

/** The packet in words: "block 3 with 512 bytes". */
export function described(packet: Packet): string {
  switch (packet.kind) {
    case "data":
      return `block ${packet.block} with ${packet.data.length} bytes`;
    case "ack":
      return `the acknowledgement of block ${packet.block}`;
    case "error":
      return `the error ${packet.code} "${printable(packet.text)}"`;
    case "options":
      return `the options ${[...packet.options].map(([name, value]) => printable(`${name}=${value}`)).join(", ")}`;
    default:
      return "a request";
  }
}

/**
 * One side of a transfer: a socket of its own, whose port is this side's transfer id. The first answer says the other side's.
 */
export class TftpPeer implements Disposable {
  readonly #socket: Deno.DatagramConn;
  readonly #server: Deno.NetAddr;
  readonly #starting: (() => boolean) | undefined;
  readonly #packets: Packet[] = [];
  readonly #who: string;
  #changed = Promise.withResolvers<void>();
  #unreadable = "";
  #isClosed = false;
  #isAgreed = false;
  /** The port of the other side in this transfer; 0 before its first answer. */
  port = 0;

  constructor({ hostname, port, starting }: Pick<Server, "hostname" | "port" | "starting">, who = "") {
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: localAddress(hostname), port: 0 });
    this.#server = { transport: "udp", hostname, port };
    this.#starting = starting;
    this.#who = who;
    this.#receive().catch((error) => {
      if (!isClosedLocally(error)) throw error;
    });
  }

  async #receive(): Promise<void> {
    for await (const [datagram, from] of this.#socket) {
      if (from.transport !== "udp") continue;
      received(datagram, this.#who);
      this.port ||= from.port;
      if (from.port !== this.port) { // the answer to a request that was sent again
        await this.#socket.send(encode({ kind: "error", code: 5, text: "unknown transfer id" }), from);
        continue;
      }
      try {
        this.#packets.push(decode(datagram.slice()));
      } catch (error) {
        if (!(error instanceof PacketError)) throw error;
        this.#unreadable ||= `${quote(datagram)}: ${error.message}`;
      }
      this.#changed.resolve();
      this.#changed = Promise.withResolvers<void>();
    }
  }

  /** The server's side of a transfer: with the client at this port. */
  static serving(port: number): TftpPeer {
    const peer = new TftpPeer({ hostname: "127.0.0.1", port });
    peer.port = port;
    return peer;
  }

  /** The port of this side: its transfer id. */
  get ownPort(): number {
    const { addr } = this.#socket;
    return "port" in addr ? addr.port : 0;
  }

  /** Takes a packet that arrived at another socket. */
  take(packet: Packet): void {
    this.#packets.push(packet);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** Sends to the port of the transfer; before the first answer, and if `toServer`, to the server's own. */
  async send(packet: Packet | Uint8Array, toServer = false): Promise<void> {
    const bytes = packet instanceof Uint8Array ? packet : encode(packet);
    sent(bytes, this.#who);
    await this.#socket.send(bytes, { ...this.#server, port: toServer || !this.port ? this.#server.port : this.port });
  }

  /** Sends a request, again and again while the server may still be starting. */
  async request(
    kind: "read" | "write",
    file: string,
    options: Record<string, string> = {},
    mode = "octet",
  ): Promise<void> {
    while (true) {
      await this.send({ kind, file, mode, options: new Map(Object.entries(options)) }, true);
      if (this.#packets.length === 0) await inTime(this.#changed.promise, 500);
      if (this.port || this.#unreadable || !this.#starting?.()) return;
    }
  }

  /** The next packet; undefined when none arrives within `limit` milliseconds. */
  async next(limit = limits.patience): Promise<Packet | undefined> {
    const until = Date.now() + limit;
    while (this.#packets.length === 0) {
      if (this.#unreadable) {
        fail(
          "a packet of TFTP",
          this.#unreadable,
          "a packet begins with its opcode in two bytes, the higher first: 3 is data, 4 acknowledges, 5 is an error (RFC 1350 §5)",
        );
      }
      if (Date.now() >= until) return undefined;
      await inTime(this.#changed.promise, until - Date.now() + 1);
    }
    return this.#packets.shift();
  }

  /** The next packet of this kind. */
  async packet<K extends Packet["kind"]>(kind: K, what: string, hint: string): Promise<Extract<Packet, { kind: K }>> {
    let packet = await this.next();
    // The options come again when the server has not got their acknowledgement in time, or not yet.
    while (this.#isAgreed && packet?.kind === "options") packet = await this.next();
    this.#isAgreed ||= packet?.kind === "options";
    if (!packet) fail(what, `nothing in ${inSeconds(limits.patience)}`, hint);
    if (!isKind(packet, kind)) fail(what, described(packet), hint);
    return packet;
  }

  /** The block with this number. Earlier ones that come again are skipped. */
  async block(number: number, hint: string, blockSize = 512): Promise<Uint8Array> {
    while (true) {
      const { block, data } = await this.packet("data", `block ${number}`, hint);
      const wanted = number & 0xffff;
      if (block !== wanted) {
        if (number > 1 && ((wanted - block) & 0xffff) < 0x8000) continue; // it was sent again before the acknowledgement came
        const first = "the number of the first block is 1, of the next 2: two bytes, the higher first";
        fail(`block ${wanted}`, `block ${block}`, number === 1 ? first : hint);
      }
      if (data.length > blockSize) {
        fail(
          `at most ${blockSize} bytes in a block`,
          `${data.length}`,
          `a block has ${blockSize} bytes, the last one fewer`,
        );
      }
      return data;
    }
  }

  /** Reads a file from this block on, and acknowledges each block. */
  async rest(from: number, size: number, hint: string, blockSize = 512): Promise<Uint8Array> {
    const blocks: Uint8Array[] = [];
    for (let number = from, got = 0;; number++) {
      const data = await this.block(number, hint, blockSize);
      await this.ack(number);
      blocks.push(data);
      got += data.length;
      if (data.length < blockSize || got > size + blockSize) return joined(blocks);
    }
  }

  async ack(block: number): Promise<void> {
    await this.send({ kind: "ack", block: block & 0xffff });
  }

  /** Waits for the acknowledgement of a block. Earlier ones that come again are skipped. */
  async acknowledged(block: number, hint: string): Promise<void> {
    while (true) {
      const packet = await this.packet("ack", `the acknowledgement of block ${block}`, hint);
      if (packet.block === block) return;
      if (packet.block < block) continue;
      fail(`the acknowledgement of block ${block}`, described(packet), hint);
    }
  }

  /** Sends a whole file, block by block. */
  async write(bytes: Uint8Array, from = 1): Promise<void> {
    const hint = "acknowledge each block with its number: opcode 4";
    for (let number = from; (number - 1) * 512 <= bytes.length; number++) {
      await this.send({ kind: "data", block: number, data: bytes.subarray((number - 1) * 512, number * 512) });
      await this.acknowledged(number, hint);
    }
  }

  /** Waits for an error. @returns its code */
  async error(what: string, hint: string): Promise<number> {
    return (await this.packet("error", what, hint)).code;
  }

  /** How many packets that fit arrive in so many milliseconds. */
  async count(milliseconds: number, fits: (packet: Packet) => boolean): Promise<number> {
    const until = Date.now() + milliseconds;
    let found = 0;
    for (let packet = await this.next(milliseconds); packet; packet = await this.next(until - Date.now())) {
      if (fits(packet)) found++;
    }
    step(`waited ${inSeconds(milliseconds)}`, this.#who);
    return found;
  }

  /** Waits until a server that was busy has answered the request: in its queue it would delay the next client. */
  async leave(): Promise<void> {
    const until = Date.now() + limits.start;
    while (!this.port && Date.now() < until) await inTime(this.#changed.promise, until - Date.now() + 1);
  }

  /** Ends what is left of the transfer with an error, so that a server that serves one client at a time can serve the next. */
  [Symbol.dispose](): void {
    const error = encode({ kind: "error", code: 0, text: "the checker has seen enough" });
    const close = () => this.#socket.close();
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.port) this.#socket.send(error, { ...this.#server, port: this.port }).then(close, close);
    else close();
  }
}

const isKind = <K extends Packet["kind"]>(packet: Packet, kind: K): packet is Extract<Packet, { kind: K }> =>
  packet.kind === kind;

/** The blocks of a file in one piece. */
export function joined(blocks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(blocks.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const block of blocks) {
    whole.set(block, at);
    at += block.length;
  }
  return whole;
}
