/**
 * What the suites for clients share. A suite starts the client and plays the server for it.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { freePort } from "../support/free_port.ts";
import type { Program } from "../support/program.ts";
import { Peer } from "./_peer.ts";
import { step } from "./_record.ts";
import { type Check, type Client, fail, inSeconds, inTime, limits, quote, type Values } from "./_suite.ts";

/**
 * Plays a TCP server for one run of the client: `serve` talks to it. The connection stays open on this side until the client
 * has ended, unless `serve` closes it: a client must end by itself.
 */
export async function playServer<T>(
  client: Client,
  hint: string,
  serve: (peer: Peer, port: number) => Promise<T>,
  values: (port: number) => Values = () => ({}),
): Promise<{ program: Program; result: T }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: client.port ?? 0 });
  const program = client.start(listener.addr.port, values(listener.addr.port));
  try {
    const ended = program.ended.then(() => undefined); // it will not connect any more
    const accepting = listener.accept().catch(() => undefined);
    const conn = await inTime(Promise.race([accepting, ended.then(() => inTime(accepting, 100))]), limits.start);
    if (!conn) {
      const got = program.status
        ? `none before the program ended with exit code ${program.status.code}`
        : `none in ${inSeconds(limits.start)}`;
      fail(`a connection to 127.0.0.1:${listener.addr.port}`, got, "connect to the given {host} and {port}");
    }
    using peer = new Peer(conn);
    const result = await serve(peer, listener.addr.port);
    await clientEnd(program, hint);
    return { program, result };
  } finally {
    listener.close();
    await program.stop();
  }
}

/** Waits until the client ends by itself, at most so many times `patience`, or `least` milliseconds. */
export async function clientEnd(program: Program, hint: string, times = 2, least = 0): Promise<void> {
  const limit = Math.max(limits.patience * times, least);
  if (await inTime(program.ended, limit)) return step(`the program ended with ${program.status?.code}`);
  fail("the client to end", `a client that still runs after ${inSeconds(limit)}`, hint);
}

/** Fails unless the exit code is 0. */
export function succeeded(program: Program, hint = "exit with code 0 after a success"): void {
  if (program.status?.code !== 0) fail("exit code 0", `${program.status?.code}: ${printable(program.tail(1))}`, hint);
}

/** Fails unless the client has printed this text. */
export function printed(program: Program, text: Uint8Array, hint: string): void {
  const wanted = new TextDecoder().decode(text).trim();
  if (!program.stdout.includes(wanted)) fail(`${quote(text)} on stdout`, `"${printable(program.stdout)}"`, hint);
}

/** Fails unless the client ended with an error of its own, in words and not in a stack trace. */
export function complained(program: Program, about: string): void {
  if (program.status?.code === 0) {
    fail("an exit code other than 0", "0", `detect ${about}, print one line about it, and exit with code 1`);
  }
  if (/Traceback|^\s+at |Exception in thread|panicked/m.test(program.stderr + program.stdout)) {
    fail("one line that says what went wrong", "a stack trace", `catch the error and print one line about ${about}`);
  }
}

/** The client's first message. */
export async function firstMessage(peer: Peer): Promise<Uint8Array> {
  const data = await peer.some("send a message after connecting");
  if (data.length === 0) fail("a message", "the end of the connection", "send a message before you close");
  return data;
}

/** For every client: no server listens on the port. */
export const noServer: Check<Client> = {
  name: "no server",
  why:
    "It is normal that a server is not running: the client prints one line, and no stack trace, and exits with a code other than 0.",
  points: 1,
  run: (client) => withoutServer(client),
};

/** Starts the client while no server listens on its port. It ends in time, in `least` milliseconds or in more, and complains. */
export async function withoutServer(client: Client, least = 0): Promise<void> {
  // A relay would accept the connection.
  const port = client.isShaken ? freePort() : client.port || freePort();
  step(`nothing listens on 127.0.0.1:${port}`);
  const program = client.start(port);
  try {
    await clientEnd(program, "stop trying after a few seconds", 2, Math.max(limits.start, least));
    complained(program, "a refused connection");
  } finally {
    await program.stop();
  }
}
