/**
 * What a suite of checks is, and the TCP peer the checks talk through.
 *
 * @module
 */
import { connect } from "node:net";
import { AssertionError } from "jsr:@std/assert@1";
import { count, printable } from "../../cli.ts";
import { closedHere } from "../../tcp/clients.ts";
import type { Program } from "../program.ts";

/** A server that is checked. */
export interface Server {
  readonly hostname: string;
  readonly port: number;
  /** Whether it is just starting, so that a refused connection is to be tried again. */
  readonly starting?: () => boolean;
}

/** A client that is checked: each start is a new process, told to connect to a port of 127.0.0.1. */
export interface Client {
  start(port: number): Program;
}

/** One check of a suite: `run` throws an `AssertionError` that says what was expected and what came. */
export interface Check<T> {
  readonly name: string;
  /** One sentence: why it matters. */
  readonly why: string;
  readonly points: number;
  run(target: T): Promise<void>;
}

/** The checks of one protocol, for servers or for clients. */
export type Suite =
  | { readonly role: "server"; readonly about: string; readonly checks: readonly Check<Server>[] }
  | { readonly role: "client"; readonly about: string; readonly checks: readonly Check<Client>[] };

/** How long a program under check may take for one step, in milliseconds; `deno task check --timeout` sets it. */
export const limits = { patience: 5000 };

/** Fails the check: what was expected, what came, and where to look. */
export function fail(expected: string, got: string, hint: string): never {
  throw new AssertionError(`expected ${expected}, got ${got}\nhint: ${hint}`);
}

/** The program under check has ended or reset the connection. */
export class Gone extends AssertionError {
  constructor(message: string) {
    super(message);
  }
}

/** Bytes as they are shown in a report: text in quotes, cut when long, with their number. */
export function quote(data: Uint8Array): string {
  if (data.length === 0) return "nothing";
  const text = printable(data.subarray(0, 40));
  return `${count(data.length, "byte")} "${text}${data.length > 40 ? "…" : ""}"`;
}

/** Waits for `promise`, at most `patience`; `undefined` when it took longer. */
export async function inTime<T>(promise: Promise<T>, limit = limits.patience): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), limit));
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Fails unless both are the same bytes, naming the first that differs. */
export function sameBytes(got: Uint8Array, sent: Uint8Array, hint: string): void {
  const at = sent.findIndex((byte, i) => byte !== got[i]);
  if (at < 0 && got.length === sent.length) return;
  const where = at >= 0 && at < got.length ? ` (byte ${at} is ${got[at]}, not ${sent[at]})` : "";
  fail(quote(sent), quote(got) + where, hint);
}

/** One end of a TCP connection to the program under check. */
export class Peer {
  readonly conn: Deno.TcpConn;

  constructor(conn: Deno.TcpConn) {
    this.conn = conn;
    conn.setNoDelay(true);
  }

  /** Connects; while the server may still be starting, a refusal is tried again. */
  static async connect({ hostname, port, starting }: Server): Promise<Peer> {
    while (true) {
      try {
        return new Peer(await Deno.connect({ hostname, port, signal: AbortSignal.timeout(limits.patience) }));
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionRefused && starting?.()) {
          await new Promise((again) => setTimeout(again, 50));
          continue;
        }
        const what = error instanceof Error ? error.message : String(error);
        fail(`a connection to ${hostname}:${port}`, what, "does the server go on listening after a client has left?");
      }
    }
  }

  /** Sends all of it; fails when the other side takes nothing for `patience`. */
  async send(data: Uint8Array | string): Promise<void> {
    let bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    while (bytes.length > 0) {
      const n = await inTime(this.#try(this.conn.write(bytes), "sending"));
      if (n === undefined) fail("the bytes to be read", `${bytes.length} still unread`, "read while you write");
      bytes = bytes.subarray(n);
    }
  }

  /** The next bytes that come, whatever number; none at the end of the stream. */
  async some(hint: string): Promise<Uint8Array> {
    const buffer = new Uint8Array(65536);
    const n = await inTime(this.#try(this.conn.read(buffer), "waiting for an answer"));
    if (n === undefined) fail("an answer", `nothing in ${limits.patience / 1000} s`, hint);
    return buffer.subarray(0, n ?? 0);
  }

  /** Exactly `size` bytes, or fewer when the stream ends, is reset, or nothing comes for `patience`. */
  async upTo(size: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(size);
    let got = 0;
    while (got < size) {
      const n = await inTime(this.conn.read(buffer.subarray(got)).catch(() => null));
      if (!n) break;
      got += n;
    }
    return buffer.subarray(0, got);
  }

  /** Ends this side (FIN): the other side reads the end of the stream, and can still send. */
  async end(): Promise<void> {
    await this.#try(this.conn.closeWrite(), "ending this side");
  }

  close(): void {
    this.conn.close();
  }

  [Symbol.dispose](): void {
    this.conn.close();
  }

  async #try<T>(promise: Promise<T>, when: string): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      if (closedHere(error)) throw error;
      const what = error instanceof Error ? error.message : String(error);
      const hint = "did the program crash, or close too early?";
      throw new Gone(`expected the connection to stay open, got ${what}, ${when}\nhint: ${hint}`);
    }
  }
}

/**
 * A client that sends something and then resets the connection (RST, RFC 9293 §3.5.3). Deno's own `close` ends the stream
 * first (FIN), which a server may take for a proper end; `node:net` can do without.
 */
export async function reset(server: Server): Promise<void> {
  (await Peer.connect(server)).close(); // it is up
  const closed = Promise.withResolvers<void>();
  const socket = connect(server.port, server.hostname, () => socket.write("about to vanish"));
  socket.once("data", () => socket.resetAndDestroy());
  socket.once("error", () => closed.resolve());
  socket.once("close", () => closed.resolve());
  const late = setTimeout(() => socket.resetAndDestroy(), 500); // a server that does not answer is reset all the same
  await closed.promise.finally(() => clearTimeout(late));
}

/** Fails unless the client ended with an error of its own, in words and not in a stack trace. */
export function complained(program: Program, about: string): void {
  if (program.status?.code === 0) fail("an exit code other than 0", "0", `notice ${about}, say so, and exit with 1`);
  if (/Traceback|^\s+at |Exception in thread|panicked/m.test(program.stderr + program.stdout)) {
    fail("one line that says what went wrong", "a stack trace", `catch the error: ${about} is to be expected`);
  }
}

/** For every client over TCP: nobody listens where it is told to connect to. */
export const noServer: Check<Client> = {
  name: "no server",
  why: "A server that is not there is an everyday event: one line and an exit code, not a stack trace.",
  points: 1,
  async run(client) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    listener.close(); // now nobody listens on this port
    const program = client.start(listener.addr.port);
    try {
      const ended = await inTime(program.ended, limits.patience * 2);
      if (!ended) {
        fail("the client to end", `it still runs ${limits.patience * 2 / 1000} s later`, "do not try for ever");
      }
      complained(program, "a refused connection");
    } finally {
      await program.stop();
    }
  },
};
