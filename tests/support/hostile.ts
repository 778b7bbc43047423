/**
 * Hostile peers for clients, and what must be true of a client that has met one.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { isClosedLocally } from "../../tcp/_clients.ts";
import { below, mutate, pick, type Random, seeded } from "./fuzz.ts";
import { pool } from "./pool.ts";
import type { Program } from "./program.ts";

// deno-lint-ignore no-control-regex -- they are what must not reach a terminal
const controls = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]/;

/** Fails if a text has what could harm a terminal: controls, and overrides of its direction. */
export const assertHarmless = (text: string, what = "printed"): void => assertEquals(controls.exec(text), null, what);

/**
 * A client has met a hostile server: it has ended with 0 or 1, and with at most one line on stderr. What it prints must be
 * harmless, unless it passes on `isData`: the bytes of a file, as they are.
 */
export function assertEndedWell(program: Program, what: string, isData = false): void {
  const said = `${what}: exit code ${program.status?.code}: ${program.tail(20)}`;
  assert([0, 1].includes(program.status?.code ?? -1), said);
  assertMatch(program.stderr, /^([^\n]*\n)?$/, said);
  assert(program.stderr.length < 2000, said);
  assertHarmless(isData ? program.stderr : program.stdout + program.stderr, said);
}

/** Runs `meet` for the seeds from 1 to `count`, eight at a time. */
export async function eachSeed(count: number, meet: (random: Random, seed: number) => Promise<void>): Promise<void> {
  await Promise.all(pool(8, Array.from({ length: count }, (_, i) => () => meet(seeded(1000 + i), i + 1))));
}

/** A TCP server that does to each connection what `play` says, and may not wait for a request. */
export function tcpServer(play: (conn: Deno.TcpConn) => Promise<unknown>): { port: number; [Symbol.dispose](): void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  (async () => {
    for await (const conn of listener) {
      open.add(conn);
      play(conn).catch(() => {}); // the client has left
    }
  })().catch(() => {}); // closed below
  const close = () => {
    listener.close();
    for (const conn of open) {
      try {
        conn.close();
      } catch (error) {
        if (!isClosedLocally(error)) throw error; // `play` has closed it
      }
    }
  };
  return { port: listener.addr.port, [Symbol.dispose]: close };
}

/** A UDP server that sends for each datagram what `answer` returns. */
export function udpServer(
  answer: (datagram: Uint8Array, n: number) => readonly Uint8Array[],
): { port: number; [Symbol.dispose](): void } {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  (async () => {
    for (let n = 0;; n++) {
      const [datagram, from] = await socket.receive(new Uint8Array(65_535));
      for (const reply of answer(datagram, n)) await socket.send(reply, from).catch(() => {}); // its socket is closed
    }
  })().catch(() => {}); // closed below
  const port = socket.addr.transport === "udp" ? socket.addr.port : 0;
  return { port, [Symbol.dispose]: () => socket.close() };
}

const garbage = (random: Random, length: number) => Uint8Array.from({ length }, () => below(random, 256));

/** What a hostile server sends in place of the right answers: some datagrams, or the parts of a stream. */
export function spoiled(answers: readonly Uint8Array[], random: Random): Uint8Array[] {
  const ways: (() => Uint8Array[])[] = [
    () => answers.map((answer) => mutate(answer, random)),
    () => answers.map((answer) => mutate(answer, random)),
    () => answers.flatMap((answer) => [mutate(answer, random), answer]),
    () => answers.flatMap((answer) => Array<Uint8Array>(5).fill(answer)),
    () => [...answers].reverse(),
    () => [garbage(random, 1 + below(random, 1400))],
    () => Array.from({ length: 40 }, () => garbage(random, below(random, 600))),
    () => [new TextEncoder().encode("\x1b[2J\x1b]0;title\x07\u202e\x9b31m\0\n")],
    () => [],
  ];
  return pick(random, ways)();
}

/** Sends what `spoiled` makes of some answers, whole or in pieces; then closes, ends its side, goes on for ever or is silent. */
export async function spoilStream(conn: Deno.TcpConn, answers: readonly Uint8Array[], random: Random): Promise<void> {
  const size = pick(random, [1, 1 + below(random, 50), 65_536]);
  const end = below(random, 6);
  const parts = spoiled(answers, random);
  for (const part of parts) {
    for (let at = 0, n = 0; at < part.length && n < 200; at += size, n++) {
      await conn.write(part.subarray(at, at + size));
    }
  }
  if (end === 0) return; // silent from now on
  if (end === 1) return await conn.closeWrite();
  while (end === 2 && parts.some(({ length }) => length > 0)) for (const part of parts) await conn.write(part);
  while (end === 3) {
    await conn.write(Uint8Array.of(below(random, 256)));
    await new Promise((next) => setTimeout(next, 30));
  }
  conn.close();
}
