/** The game over UDP: floods of mutated datagrams, thousands of addresses, few file descriptors, a player who cheats. */
import { assert, assertEquals } from "jsr:@std/assert@1";
import { type ClientMessage, encodeClient, parseServer } from "../../udp/_game_message.ts";
import type { Heading, Snapshot } from "../../udp/_game_world.ts";
import { mutate, pick, seeded } from "../support/fuzz.ts";
import { client, fewDescriptors, listening, memory, testWith, until } from "../support/helpers.ts";
import { command } from "../support/tasks.ts";

const linux = Deno.build.os === "linux";

/** A socket that speaks the game by hand: the last state that it has got, and its cookie. */
function peer(port: number) {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const state: { cookie: bigint; snapshot?: Snapshot; replies: number; bytes: number } = {
    ...{ cookie: 0n, replies: 0, bytes: 0 },
  };
  (async () => {
    for await (const [bytes] of socket) {
      const message = parseServer(bytes);
      state.replies += 1;
      state.bytes += bytes.length;
      if (message?.kind === "cookie") state.cookie = message.cookie;
      if (message?.kind === "snapshot") state.snapshot = message.snapshot;
    }
  })().catch(() => {});
  const sendBytes = (bytes: Uint8Array) =>
    socket.send(bytes, { transport: "udp", hostname: "127.0.0.1", port }).catch(() => {}); // the kernel's buffer is full
  const send = (message: ClientMessage) => sendBytes(encodeClient(message));
  const join = async (name: string) => {
    await until(async () => {
      await send({ kind: "join", cookie: state.cookie, name });
      return state.snapshot !== undefined;
    }, `${name} has joined`);
  };
  return { state, send, sendBytes, join, [Symbol.dispose]: () => socket.close() };
}

testWith(
  linux,
  "ulimit",
  "game server at ulimit -n 64: 15,000 mutated datagrams from 60 addresses; the game goes on",
  async () => {
    const { program, port } = await listening((port) => {
      const [, ...args] = command("udp/game_server.ts", port);
      return [...fewDescriptors, ...args];
    });
    await using _ = program;
    const anna = client("udp/game_client.ts", port, "--play", "8", "--wait", "5", "--name", "anna", "--timeout", "10");
    await program.line(/^anna joined/);
    const before = await memory(program.pid);
    const random = seeded(20_260_101);
    const peers = Array.from({ length: 60 }, () => peer(port));
    for (const each of peers) await each.send({ kind: "join", cookie: 0n, name: "eve" });
    const headings: Heading[] = [1, 2, 3, 4];
    for (let i = 0; i < 15_000; i++) {
      const each = pick(random, peers);
      const { cookie } = each.state;
      const good: ClientMessage = pick(random, [
        { kind: "join", cookie, name: "eve" },
        { kind: "inputs", cookie, last: 1 + Math.floor(random() * 1000), headings: [pick(random, headings)] },
        { kind: "leave", cookie },
      ]);
      await each.sendBytes(mutate(encodeClient(good), random));
      if (i % 500 === 0) await new Promise((next) => setTimeout(next, 10));
    }
    assertEquals([(await anna.end(60)).code, anna.stderr], [0, ""], anna.stdout);
    assert(await memory(program.pid) < before + 60, "the server keeps nothing of strangers");
    for (const each of peers) each[Symbol.dispose]();
    assertEquals([program.status, program.stderr], [undefined, ""]);
  },
);

Deno.test("game server: an address without a cookie gets no more bytes than it has sent", async () => {
  const { program, port } = await listening((port) => command("udp/game_server.ts", port));
  await using _ = program;
  using eve = peer(port);
  let sent = 0;
  for (let i = 0; i < 300; i++) {
    const join = encodeClient({ kind: "join", cookie: 0n, name: "e" });
    sent += join.length;
    await eve.sendBytes(join);
  }
  await until(() => eve.state.replies > 10, "cookies");
  using anna = peer(port);
  await anna.join("anna");
  const from = anna.state.snapshot?.tick ?? 0;
  await until(() => (anna.state.snapshot?.tick ?? 0) > from + 20, "a second of the game");
  assert(eve.state.bytes <= sent, `${eve.state.bytes} bytes for ${sent}`);
  assertEquals(anna.state.snapshot?.players.length, 1);
});

Deno.test("game server: a player who sends 50 inputs a tick runs no further than the ticks allow", async () => {
  const { program, port } = await listening((port) => command("udp/game_server.ts", port, "--seed", "5"));
  await using _ = program;
  using eve = peer(port);
  await eve.join("eve");
  const start = eve.state.snapshot;
  let last = 0;
  await until(async () => {
    // To and fro over 5 cells, so that no wall stops it; each input is one number.
    const headings = Array.from({ length: 40 }, (): Heading => ++last % 20 < 10 ? 2 : 4);
    await eve.send({ kind: "inputs", cookie: eve.state.cookie, last, headings });
    return (eve.state.snapshot?.tick ?? 0) > (start?.tick ?? 0) + 60;
  }, "three seconds");
  // Most of its inputs were left out. Of those that were done, there is at most one a tick: the others see it move so.
  const before = eve.state.snapshot?.players[0];
  const tick = eve.state.snapshot?.tick ?? 0;
  await eve.send({ kind: "inputs", cookie: eve.state.cookie, last: last += 40, headings: Array<Heading>(40).fill(1) });
  await until(() => (eve.state.snapshot?.tick ?? 0) > tick, "one more tick");
  const after = eve.state.snapshot;
  const moved = Math.abs((after?.players[0]?.y ?? 0) - (before?.y ?? 0));
  assert(moved <= 4 * ((after?.tick ?? 0) - tick + 10), `${moved} in ${(after?.tick ?? 0) - tick} ticks`);
  assertEquals(program.stderr, "");
});
