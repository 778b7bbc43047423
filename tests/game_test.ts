/** The game over UDP: its messages, its rules, prediction and interpolation, the screen, hostile datagrams, a bad network. */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import {
  type ClientMessage,
  describe,
  encodeClient,
  encodeServer,
  nameError,
  parseClient,
  parseServer,
  type ServerMessage,
} from "../udp/_game_message.ts";
import { Interpolation, Prediction } from "../udp/_game_prediction.ts";
import { draw, parseKeys } from "../udp/_game_screen.ts";
import { cellOf, FIELD, type Heading, isWall, move, type Position, seek, World } from "../udp/_game_world.ts";
import { freePort } from "./support/free_port.ts";
import { below, mutate, type Random, seeded } from "./support/fuzz.ts";
import { client, failedWith, noSignals, runClient, serve, signals, testWith, until } from "./support/helpers.ts";
import { has, Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";

const place = ({ x, y }: Position) => ({ x, y });

// --- The messages

const headings: Heading[] = [1, 2, 3, 4, 0];
const clientMessages: ClientMessage[] = [
  { kind: "join", cookie: 0n, name: "a" },
  { kind: "join", cookie: 2n ** 64n - 1n, name: "Anna1234" },
  { kind: "inputs", cookie: 7n, last: 5, headings },
  { kind: "inputs", cookie: 7n, last: 2 ** 32 - 1, headings: Array<Heading>(40).fill(4) },
  { kind: "inputs", cookie: 7n, last: 0, headings: [] },
  { kind: "leave", cookie: 7n },
];
const player = { id: 3, name: "Ben12345", x: 370, y: 170, score: 9, wins: 255 };
const serverMessages: ServerMessage[] = [
  { kind: "cookie", cookie: 2n ** 63n },
  { kind: "full" },
  { kind: "end" },
  {
    kind: "snapshot",
    snapshot: {
      tick: 2 ** 32 - 1,
      you: 3,
      acknowledged: 9,
      players: [player, { ...player, id: 1 }],
      dots: [{ x: 37, y: 17 }],
    },
  },
  { kind: "snapshot", snapshot: { tick: 1, you: 1, acknowledged: 0, players: [], dots: [] } },
];

Deno.test("message: each comes back as it was, and says what it is in words", () => {
  for (const message of clientMessages) {
    assertEquals(parseClient(encodeClient(message)), message);
    assertEquals(parseServer(encodeClient(message)), undefined);
    assert(describe(encodeClient(message)) !== "");
  }
  for (const message of serverMessages) {
    assertEquals(parseServer(encodeServer(message)), message);
    assertEquals(parseClient(encodeServer(message)), undefined);
    assert(describe(encodeServer(message)) !== "");
  }
  assertEquals([...encodeClient({ kind: "inputs", cookie: 1n, last: 258, headings: [2, 3] })], [
    ...[0x53, 0x47, 0x31, 2, 0, 0, 0, 0, 0, 0, 0, 1],
    ...[0, 0, 1, 2, 2, 2, 3],
  ]);
});

Deno.test("message: bytes of any other form are none, and a mutated one is none or a whole one", () => {
  const random = seeded(4711);
  for (const message of [...clientMessages.map(encodeClient), ...serverMessages.map(encodeServer)]) {
    for (let n = 0; n < message.length; n++) {
      assertEquals([parseClient(message.subarray(0, n)), parseServer(message.subarray(0, n))], [undefined, undefined]);
    }
    const longer = Uint8Array.from([...message, 0]);
    assertEquals([parseClient(longer), parseServer(longer), describe(longer)], [undefined, undefined, ""]);
    for (let i = 0; i < 3000; i++) {
      const bytes = mutate(message, random);
      const [sent, received] = [parseClient(bytes), parseServer(bytes)];
      if (sent) assertEquals(encodeClient(sent), bytes);
      if (received) assertEquals(encodeServer(received), bytes);
    }
  }
  for (const name of ["", "1a", "a b", "abcdefghi", "ä", "a\x1b"]) assert(nameError(name), name);
  const inputs = encodeClient({ kind: "inputs", cookie: 1n, last: 2, headings: [1, 2] });
  assertEquals(parseClient(inputs.with(18, 5)), undefined, "there are four headings");
  assertEquals(parseClient(inputs.with(15, 1)), undefined, "two inputs up to number 1");
});

// --- The rules

/** A world with these players, at the same places for the same seed. */
function worldOf(seed: number, ...names: string[]): World {
  const world = new World(seed);
  names.forEach((name, i) => world.join(i + 1, name));
  return world;
}

const own = (world: World, id = 1) => {
  const found = world.snapshot(id).players.find((player) => player.id === id);
  if (!found) throw new Error(`no player ${id}`);
  return found;
};

Deno.test("world: a player runs 8 cells a second, and stops at walls and at the edge", () => {
  let at: Position = { x: 0, y: 0 };
  for (let i = 0; i < 20; i++) at = move(at, 2);
  assertEquals(at, { x: 80, y: 0 });
  for (const heading of [0, 1, 2, 3, 4] as const) {
    let at: Position = { x: 200, y: 80 };
    for (let i = 0; i < 500; i++) at = move(at, heading);
    assert(!isWall(cellOf(at)) && at.x >= 0 && at.y >= 0, `${heading}`);
    assertEquals(move(at, heading), at);
  }
  assertEquals(move({ x: 80, y: 80 }, 2), { x: 84, y: 80 });
  assertEquals(move({ x: 84, y: 80 }, 2), { x: 84, y: 80 }, "the wall at 9");
});

Deno.test("world: dots count, ten win the round, and then all begin from 0", () => {
  const world = worldOf(7, "anna", "ben");
  const events: string[] = [];
  for (let tick = 1; events.at(-1) !== "win"; tick++) {
    assert(tick < 5000, "ten dots are far less than 5000 ticks away");
    const { dots } = world.snapshot(1);
    assertEquals(new Set(dots.map(({ x, y }) => `${x},${y}`)).size, 5);
    assert(dots.every((dot) => !isWall(dot)));
    world.input(1, tick, [seek(own(world), dots)]);
    events.push(...world.step().map(({ kind }) => kind));
  }
  assertEquals(events.filter((kind) => kind === "dot").length, 10);
  assertEquals([own(world).score, own(world).wins, own(world, 2).wins], [0, 1, 0]);
  world.leave(2);
  assertEquals(world.snapshot(1).players.map(({ name }) => name), ["anna"]);
});

Deno.test("world: every dot can be reached from every place", () => {
  for (let seed = 1; seed < 40; seed++) {
    const world = worldOf(seed, "anna");
    const { dots } = world.snapshot(1);
    for (const dot of dots) {
      const before = world.tick;
      let at = place(own(world));
      while (cellOf(at).x !== dot.x || cellOf(at).y !== dot.y) {
        assert(++world.tick < before + 500);
        at = move(at, seek(at, [dot]));
      }
    }
  }
  assertEquals(seek({ x: 0, y: 0 }, []), 0);
});

Deno.test("world: an input counts once, in its order, whatever the network does with datagrams", () => {
  const world = worldOf(7, "anna");
  const all: Heading[] = [2, 2, 3, 3, 4];
  const expected = all.reduce((at, heading) => move(at, heading), place(own(world)));
  world.input(1, 2, all.slice(0, 2));
  world.input(1, 2, all.slice(0, 2)); // twice
  world.input(1, 5, all);
  world.input(1, 1, all.slice(0, 1)); // late
  world.input(9, 1, [1]); // of nobody
  for (let i = 0; i < 8; i++) world.step();
  assertEquals([place(own(world)), world.snapshot(1).acknowledged], [expected, 5]);
  // Inputs that are lost for ever are left out.
  world.input(1, 100, [1]);
  world.step();
  assertEquals(world.snapshot(1).acknowledged, 100);
});

Deno.test("world: who sends too fast gains nothing; who was late does what it owes, half a second at most", () => {
  const ran = (perTick: number, ticks: number, from = 0) => {
    const world = new World(3);
    world.join(1, "anna");
    let [number, moves] = [0, 0];
    for (let tick = 0; tick < ticks; tick++) {
      if (tick >= from) {
        // To and fro, so that each one is a move.
        const inputs = Array.from({ length: perTick }, (): Heading => number++ % 2 === 0 ? 2 : 4);
        world.input(1, number, inputs);
      }
      const before = world.snapshot(1).acknowledged;
      world.step();
      if (world.snapshot(1).acknowledged > before) moves += 1;
    }
    return { moves, acknowledged: world.snapshot(1).acknowledged };
  };
  assertEquals(ran(1, 100), { moves: 100, acknowledged: 100 });
  const fast = ran(20, 100);
  assertEquals(fast.moves, 100);
  // How far it comes in one direction says it all: a cheat of 40 inputs a tick against an honest player.
  const far = (perTick: number) => {
    const world = worldOf(11, "anna");
    const start = own(world);
    for (let tick = 1; tick <= 10; tick++) {
      world.input(1, tick * perTick, Array<Heading>(perTick).fill(start.x < 190 ? 2 : 4));
      world.step();
    }
    return Math.abs(own(world).x - start.x);
  };
  assertEquals([far(40), far(2)], [far(1), far(1)]);
  assert(far(1) > 0);
  // Silent for five seconds, and then ten inputs at once: they are done at once.
  assertEquals(ran(10, 101, 100).acknowledged, 10);
  assertEquals(ran(40, 101, 100).acknowledged, 40, "and of forty the last ten");
  // Five seconds of silence are not saved up: after the first ten, it is one input a tick again.
  const world = worldOf(11, "anna");
  const heading: Heading = own(world).x < 190 ? 2 : 4;
  const before = own(world).x;
  for (let tick = 0; tick < 100; tick++) world.step();
  for (let tick = 1; tick <= 3; tick++) {
    world.input(1, tick * 10, Array<Heading>(10).fill(heading));
    world.step();
  }
  assertEquals(Math.abs(own(world).x - before), 4 * (10 + 1 + 1));
});

// --- Prediction

/** One direction of a network: datagrams that are on their way. */
class Link<T> {
  readonly #random: Random;
  #flying: { at: number; message: T }[] = [];

  constructor(seed: number, readonly loss: number, readonly delay: number, readonly jitter = 0) {
    this.#random = seeded(seed);
  }

  send(message: T, now: number): void {
    for (let copies = this.#random() < 0.1 && this.loss > 0 ? 2 : 1; copies > 0; copies--) {
      if (this.#random() < this.loss) continue;
      this.#flying.push({ at: now + this.delay + below(this.#random, this.jitter + 1), message });
    }
  }

  arrive(now: number): T[] {
    const here = this.#flying.filter(({ at }) => at <= now);
    this.#flying = this.#flying.filter(({ at }) => at > now);
    return here.map(({ message }) => message);
  }
}

/** Plays `ticks` ticks with inputs by chance, and then as many without, over a network. All numbers are ticks. */
function simulate(
  seed: number,
  ticks: number,
  net: { loss: number; delay: number; jitter?: number; outage?: [number, number] },
) {
  const random = seeded(seed);
  const world = worldOf(seed, "anna");
  const prediction = new Prediction(own(world));
  const view = new Interpolation();
  const up = new Link<Uint8Array>(seed + 1, net.loss, net.delay, net.jitter);
  const down = new Link<Uint8Array>(seed + 2, net.loss, net.delay, net.jitter);
  const [from = Infinity, to = Infinity] = net.outage ?? [];
  let heading: Heading = 0;
  let wrong = 0;
  const predicted: Position[] = [];
  for (let now = 1; now <= ticks * 2; now++) {
    if (now > ticks) heading = 0;
    else if (random() < 0.15) heading = headings[below(random, 5)] ?? 0;
    const isOut = now >= from && now < to;
    const { last, headings: inputs } = prediction.next(heading);
    predicted[last] = place(prediction.position);
    const datagram = encodeClient({ kind: "inputs", cookie: 1n, last, headings: inputs });
    if (!isOut) up.send(datagram, now);
    for (const bytes of up.arrive(now)) {
      const message = parseClient(bytes);
      if (message?.kind === "inputs") world.input(1, message.last, message.headings);
    }
    world.step();
    if (!isOut) down.send(encodeServer({ kind: "snapshot", snapshot: world.snapshot(1) }), now);
    for (const bytes of down.arrive(now)) {
      const message = parseServer(bytes);
      if (message?.kind !== "snapshot" || !view.add(message.snapshot, now * 50)) continue;
      const truth = message.snapshot.players[0];
      const { acknowledged } = message.snapshot;
      if (!truth) continue;
      const then = predicted[acknowledged];
      if (then && (then.x !== truth.x || then.y !== truth.y)) wrong += 1;
      prediction.correct(truth, acknowledged);
    }
  }
  return { wrong, prediction, truth: place(own(world)), acknowledged: world.snapshot(1).acknowledged };
}

Deno.test("prediction: it equals the server at every tick when nothing is lost, however long the way is", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const { wrong, prediction, truth, acknowledged } = simulate(seed, 200, { loss: 0, delay: seed % 12 });
    assertEquals([wrong, prediction.corrections], [0, 0], `seed ${seed}`);
    assertEquals(place(prediction.position), truth);
    assert(acknowledged >= 400 - 12);
  }
});

Deno.test("prediction: with 20 % lost, 200 ms each way, late and doubled datagrams it converges", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const { prediction, truth, acknowledged } = simulate(seed, 200, { loss: 0.2, delay: 4, jitter: 3 });
    assertEquals(place(prediction.position), truth, `seed ${seed}`);
    assert(acknowledged > 380, `${acknowledged}`);
  }
});

Deno.test("prediction: after three seconds without a network the client is wrong, is corrected, and is right again", () => {
  let corrected = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const { prediction, truth } = simulate(seed, 200, { loss: 0.2, delay: 2, outage: [60, 120] });
    corrected += prediction.corrections;
    assertEquals(place(prediction.position), truth, `seed ${seed}`);
    assert(prediction.pending <= 40);
  }
  assert(corrected > 20, `${corrected} corrections`);
});

Deno.test("prediction: a dot that the player has run over is as good as collected, until the server has its say", () => {
  const prediction = new Prediction({ x: 0, y: 0 });
  for (let i = 0; i < 5; i++) prediction.next(2);
  assertEquals([prediction.hasPassed({ x: 1, y: 0 }), prediction.hasPassed({ x: 4, y: 0 })], [true, false]);
  prediction.correct({ x: 0, y: 0 }, 5);
  assertEquals(prediction.hasPassed({ x: 1, y: 0 }), false);
});

Deno.test("interpolation: between two states, 150 ms in the past; late and doubled ones are left out", () => {
  const view = new Interpolation();
  const at = (tick: number, x: number) => ({
    ...{ tick, you: 1, acknowledged: 0, dots: [] },
    players: [{ ...player, id: 2, x, y: 0 }],
  });
  assertEquals(view.positionOf(2, 0), undefined);
  assert(view.add(at(10, 0), 1500));
  assertEquals([view.add(at(10, 5), 1501), view.add(at(9, 5), 1502)], [false, false]);
  // Tick 11 is lost.
  assert(view.add(at(12, 80), 1600));
  const x = (now: number) => Math.round(view.positionOf(2, now)?.x ?? NaN);
  assertEquals([x(1600), x(1650), x(1700), x(1725), x(1750), x(1900)], [0, 0, 40, 60, 80, 80]);
  assertEquals(view.positionOf(3, 1700), undefined);
  // A slow datagram does not turn back the time.
  assert(view.add(at(13, 120), 1900));
  assertEquals(x(1775), 100);
});

// --- The screen

Deno.test("screen: 80 columns and 24 lines, whatever a server says", () => {
  const dots = [{ x: 0, y: 0 }, { x: 37, y: 17 }, { x: 255, y: 255 }];
  const players = [
    { ...player, id: 1, name: "anna", x: 0, y: 0 },
    ...Array.from({ length: 7 }, (_, i) => ({ ...player, id: 2 + i, x: 65_535, y: 60 })),
  ];
  const lines = draw({ you: 1, players, dots, status: "s".repeat(200) });
  assert(lines.length <= 24 && lines.every((line) => line.length < 80), lines.join("\n"));
  assertEquals(lines.length, FIELD.height + 5);
  assertMatch(lines[2] ?? "", /^\|@@ +\|$/, "the own player is above a dot");
  assertMatch(lines[19] ?? "", / \(\)\|$/);
  const other = draw({ you: 1, players: [{ ...player, id: 2, name: "b", x: 20, y: 0 }], dots: [], status: "" });
  assertMatch(other[2] ?? "", /^\| {4}b' +\|$/);
});

Deno.test("screen: keys", () => {
  assertEquals(parseKeys("\x1b[A\x1b[Cw"), [1, 2, 1]);
  assertEquals(parseKeys("\x1bOB\x1b[Da sdxq"), [3, 4, 4, 0, 3, 2, "quit"]);
  assertEquals(parseKeys("\x03"), ["quit"]);
  assertEquals(parseKeys("\x1b[5~Z"), []);
});

// --- The programs

Deno.test("game: a game that is full refuses a player", async () => {
  const { program, port } = await serve("udp/game_server.ts", "--players", "1");
  await using _ = program;
  await using anna = client("udp/game_client.ts", port, "--play", "60", "--name", "anna");
  await program.line(/^anna joined/);
  failedWith(
    await runClient("udp/game_client.ts", port, "--play", "1"),
    1,
    /^game_client: the game is full: try again later, or start a server with --players$/m,
  );
  assertEquals(anna.status, undefined, anna.tail());
});

Deno.test("game: two clients that play by themselves see the same scores", async () => {
  const before = performance.now();
  const { program, port } = await serve("udp/game_server.ts", "--seed", "5");
  await using _ = program;
  // On a slow machine anna plays longer: she must still be there when ben has started and plays.
  const starting = (performance.now() - before) / 1000;
  const anna = client("udp/game_client.ts", port, "--play", `${Math.ceil(4 + 3 * starting)}`, "--name", "anna");
  await program.line(/^anna joined from 127\.0\.0\.1:\d+$/);
  const ben = client("udp/game_client.ts", port, "--play", "4", "--name", "ben");
  await program.line(/^ben joined/);
  for (const each of [anna, ben]) {
    assertEquals([(await each.end(60)).code, each.stderr], [0, ""]);
    assertMatch(each.stdout, /^\d+ inputs sent, \d+ states received, \d+ lost or late\n.* to the server and back; /m);
  }
  await program.line(/^ben left$/);
  await program.line(/^anna left$/);
  const scores = (text: string) => text.split("\n").filter((line) => /^anna \d.*, ben \d/.test(line));
  assert(scores(ben.stdout).length > 2, ben.stdout);
  // What ben has seen, anna has seen in the same order.
  const seen = scores(anna.stdout).join("\n");
  assert(scores(ben.stdout).slice(1, -1).every((line) => seen.includes(line)), `${anna.stdout}\n${ben.stdout}`);
  assertEquals(program.stderr, "");
});

Deno.test("game: under the relay with 200 ms and 20 % lost it is playable", async () => {
  const { program, port } = await serve("udp/game_server.ts", "--once");
  await using _ = program;
  const at = freePort();
  const network = ["--network", "loss=20% delay=100ms", "--seed", "7"];
  await using relay = new Program(
    ["deno", "run", "-N=127.0.0.1", "udp/relay.ts", "--port", `${at}`, "--to", `127.0.0.1:${port}`, ...network],
    { cwd: root },
  );
  await relay.line(/listening on/);
  const played = await runClient("udp/game_client.ts", at, "--play", "6", "--wait", "10", "--name", "anna");
  assertEquals([played.status?.code, played.stderr], [0, ""]);
  const [, lost] = /(\d+) lost or late$/m.exec(played.stdout) ?? [];
  assert(Number(lost) > 5, played.stdout);
  // The server agrees with what the client has done: its last line of scores.
  const [, dots] = played.stdout.split("\n").filter((line) => /^anna \d/.test(line)).at(-1)?.match(/^anna (\d+)/) ?? [];
  assert(Number(dots) >= 1, played.stdout);
  assertMatch(played.stdout, /^[2-9]\d{2,}\.\d ms to the server and back|^\d{4,}\.\d ms/m);
});

/** A client by hand. */
function raw(port: number) {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const server = { transport: "udp" as const, hostname: "127.0.0.1", port };
  const received: ServerMessage[] = [];
  (async () => {
    for await (const [bytes] of socket) {
      const message = parseServer(bytes);
      if (message) received.push(message);
    }
  })().catch(() => {});
  const sendBytes = (bytes: Uint8Array) => socket.send(bytes, server);
  const send = (message: ClientMessage) => sendBytes(encodeClient(message));
  const has = (kind: string) => until(() => received.some((message) => message.kind === kind), kind);
  const cookie = () => received.find((message) => message.kind === "cookie")?.cookie ?? 0n;
  const snapshot = () => received.findLast((message) => message.kind === "snapshot")?.snapshot;
  /** Joins as the sheet says: a first request, the cookie, the request with the cookie. */
  const join = async (name: string) => {
    await send({ kind: "join", cookie: 0n, name });
    await has("cookie");
    await send({ kind: "join", cookie: cookie(), name });
    await has("snapshot");
  };
  return { received, send, sendBytes, has, cookie, snapshot, join, [Symbol.dispose]: () => socket.close() };
}

Deno.test("game: a forged datagram moves nobody and removes nobody; without a cookie there is no state", async () => {
  const { program, port } = await serve("udp/game_server.ts", "--seed", "5");
  await using _ = program;
  using anna = raw(port);
  await anna.join("anna");
  const before = anna.snapshot()?.players[0];
  using eve = raw(port);
  // Eve has a cookie of her own, and has heard that of anna.
  await eve.send({ kind: "join", cookie: 0n, name: "eve" });
  await eve.has("cookie");
  for (const cookie of [anna.cookie(), eve.cookie(), 0n, 1n]) {
    await eve.send({ kind: "inputs", cookie, last: 20, headings: Array<Heading>(20).fill(2) });
    await eve.send({ kind: "leave", cookie });
  }
  await eve.send({ kind: "join", cookie: anna.cookie(), name: "anna" });
  const { tick = 0 } = anna.snapshot() ?? {};
  await until(() => (anna.snapshot()?.tick ?? 0) > tick + 5, "more ticks");
  assertEquals(anna.snapshot()?.players[0], before);
  assertEquals(eve.snapshot(), undefined);
  assertEquals(eve.received.map(({ kind }) => kind).toSorted(), ["cookie", "cookie", "end"]);
  // Her own inputs do count.
  await anna.send({ kind: "inputs", cookie: anna.cookie(), last: 3, headings: [2, 4, 2] });
  await until(() => anna.snapshot()?.acknowledged === 3, "the inputs are done");
  await anna.send({ kind: "leave", cookie: anna.cookie() });
  await program.line(/^anna left$/);
  await anna.has("end");
  await anna.send({ kind: "leave", cookie: anna.cookie() }); // the answer might have been lost
  await until(() => anna.received.filter(({ kind }) => kind === "end").length === 2, "the second answer");
  assertEquals(program.stdout.match(/left/g)?.length, 1);
});

Deno.test("game: mutated datagrams change nothing for the others; who is silent leaves", async () => {
  const { program, port } = await serve("udp/game_server.ts", "--idle", "3", "--once");
  await using _ = program;
  const anna = client("udp/game_client.ts", port, "--play", "4", "--name", "anna");
  await program.line(/^anna joined/);
  using silent = raw(port);
  await silent.join("silent");
  using eve = raw(port);
  const random = seeded(42);
  const good = clientMessages.map((message) => encodeClient({ ...message, cookie: silent.cookie() }));
  for (let i = 0; i < 3000; i++) {
    await eve.sendBytes(mutate(good[i % good.length] ?? new Uint8Array(), random));
    if (i % 200 === 0) await new Promise((next) => setTimeout(next, 5));
  }
  await program.line(/^silent was silent for 3 s$/);
  assertEquals([(await anna.end()).code, anna.stderr], [0, ""], anna.stdout);
  assertEquals((await program.end()).code, 0);
  assertEquals(program.stderr, "");
});

Deno.test("game client: datagrams from others, garbage, and a server that says anything", async () => {
  const server = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const port = server.addr.transport === "udp" ? server.addr.port : 0;
  const program = client("udp/game_client.ts", port, "--play", "1", "--timeout", "3");
  const [first, from] = await server.receive();
  assertEquals(parseClient(first)?.kind, "join");
  const send = (bytes: Uint8Array) => server.send(bytes, from);
  // A stranger ends nothing.
  const stranger = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  await stranger.send(encodeServer({ kind: "end" }), from);
  await stranger.send(encodeServer({ kind: "full" }), from);
  stranger.close();
  const snapshot = { tick: 1, you: 3, acknowledged: 0, players: [player], dots: [{ x: 0, y: 0 }] };
  const random = seeded(5);
  for (let i = 0; i < 500; i++) await send(mutate(encodeServer({ kind: "snapshot", snapshot }), random));
  await send(encodeServer({ kind: "snapshot", snapshot: { ...snapshot, tick: 4_000_000_000, acknowledged: 4e9 } }));
  await send(encodeServer({ kind: "snapshot", snapshot: { ...snapshot, you: 99 } }));
  assertEquals([(await program.end()).code, program.stderr], [0, ""], program.stdout);
  server.close();
});

Deno.test("game client: a server that ends, and one that falls silent", async () => {
  const { program, port } = await serve("udp/game_server.ts");
  await using _ = program;
  const anna = client("udp/game_client.ts", port, "--play", "60", "--name", "anna");
  await program.line(/^anna joined/);
  if (signals) {
    program.signal("SIGTERM");
    assertEquals((await program.end()).code, 0);
    await anna.end();
    failedWith(anna, 1, /^game_client: the server has ended the game$/m);
  }
  await anna.stop();

  const second = await serve("udp/game_server.ts");
  const ben = client("udp/game_client.ts", second.port, "--play", "60", "--timeout", "1");
  await second.program.line(/joined/);
  second.program.signal("SIGKILL");
  await ben.end();
  failedWith(ben, 1, /^game_client: no answer from 127\.0\.0\.1:\d+ in 1 s: is the server running\?/m);
});

testWith(
  signals,
  noSignals,
  "game: --once ends the server after the last player; Ctrl-C makes a client leave",
  async () => {
    const { program, port } = await serve("udp/game_server.ts", "--once", "--bot");
    await using _ = program;
    const anna = client("udp/game_client.ts", port, "--play", "60", "--name", "anna");
    await program.line(/^anna joined/);
    anna.signal("SIGINT");
    assertEquals([(await anna.end()).code, anna.stderr], [0, ""]);
    assertEquals([(await program.end()).code, program.stderr], [0, ""]);
    assertMatch(program.stdout, /^anna left$/m);
  },
);

Deno.test("game client: without a terminal, a wrong name", async () => {
  const none = await runClient("udp/game_client.ts", freePort(), "--play", "0");
  failedWith(
    none,
    3,
    /^game_client: there is no terminal to play in: --page PORT plays in a browser, --play SECONDS by itself$/m,
  );
  const held = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = await runClient("udp/game_client.ts", freePort(), "--page", `${held.addr.port}`);
  held.close();
  failedWith(taken, 1, new RegExp(`127\\.0\\.0\\.1:${held.addr.port} is in use: .* choose another --page$`, "m"));
  const wrong = await runClient("udp/game_client.ts", freePort(), "--play", "1", "--name", "a\x1bb");
  failedWith(wrong, 2, /^game_client: --name needs a name is a letter|a letter, then up to 7 letters or digits/m);
});

const python = Deno.build.os === "linux" && await has("python3", "--version");

// Plays in a pseudo-terminal: sends keys, a signal, or ends the server; then compares the terminal's settings.
const inTerminal = `
import fcntl, os, pty, re, select, signal, struct, subprocess, sys, termios, time
how, command = sys.argv[1], sys.argv[2:]
master, slave = pty.openpty()
rows, columns = (8, 30) if how == "small" else (24, 80)
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
before = termios.tcgetattr(slave)
child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
shown, done, end = b"", False, time.time() + 20
while child.poll() is None and time.time() < end:
    if select.select([master], [], [], 0.1)[0]:
        shown += os.read(master, 65536)
    if not done and b"@@ anna" in shown:
        done = True
        if how in ("key", "small"): os.write(master, b"\\x1b[Cq")
        if how == "ctrl-c": os.write(master, b"\\x03")
        if how == "term": child.send_signal(signal.SIGTERM)
        if how == "server": print("now", flush=True)
while select.select([master], [], [], 0.2)[0]:
    shown += os.read(master, 65536)
for frame in shown.split(b"\\x1b[H")[1:]:
    lines = re.sub(b"\\x1b[^A-Za-z]*[A-Za-z]", b"", frame.split(b"\\x1b[?25h")[0]).replace(b"\\r", b"").split(b"\\n")
    if len(lines) > rows or max(map(len, lines)) > columns: print("too large", frame)
print(child.poll(), b"\\x1b[?1049h" in shown, shown.rfind(b"\\x1b[?1049l") > shown.rfind(b"@@ anna"), shown.rfind(b"\\x1b[?25h") > 0,
      termios.tcgetattr(slave) == before, b"has ended the game" in shown)
`;

testWith(python, "python3", "game client in a terminal: each way out gives the terminal back as it was", async () => {
  for (const how of ["key", "ctrl-c", "term", "server", "small"]) {
    const { program, port } = await serve("udp/game_server.ts");
    await using _ = program;
    const play = ["deno", "run", "-N=127.0.0.1", "udp/game_client.ts", "--port", `${port}`, "--name", "anna"];
    const terminal = new Program(["python3", "-c", inTerminal, how, Deno.execPath(), ...play.slice(1)], { cwd: root });
    if (how === "server") {
      await terminal.line(/^now$/);
      program.signal("SIGTERM");
    }
    await terminal.end(40);
    const isServer = how === "server";
    const expected = [isServer ? "1" : "0", "True", "True", "True", "True", isServer ? "True" : "False"].join(" ");
    assertEquals(terminal.stdout.replace("now\n", "").trimEnd(), expected, `${how}: ${terminal.stderr}`);
  }
});
