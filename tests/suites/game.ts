/**
 * Checks for a server of the game in `udp/README.md`: its world is the only truth, whatever datagrams come, and how often.
 *
 * @module
 */
import { encodeClient } from "../../udp/_game_message.ts";
import {
  CELL,
  cellOf,
  FIELD,
  type Heading,
  isWall,
  move,
  type Position,
  TICKS_PER_SECOND,
  WIN,
} from "../../udp/_game_world.ts";
import { at, GamePlayer, headingNames, nickname } from "./_game_peer.ts";
import { type Random, word } from "./_random.ts";
import { step } from "./_record.ts";
import { type Check, fail, inSeconds, longestDatagram, randomOf, type Server, type Suite } from "./_suite.ts";

/** A player in the game; `beside` is in it already. */
const enter = (server: Server, beside?: GamePlayer) => GamePlayer.enter(server, nickname(randomOf(server)), "", beside);

const cookies = "a cookie";
const joins = "joining";
const moves = "inputs";
const both = "two players";
const leaves = "leaving";
const again = "inputs that come again";
const collects = "a dot";
const stateless = "no state without a cookie";

const inTurn =
  "do one input a tick, in the order of their numbers, and say in each snapshot which was the last one done";

/** Headings by chance that all lead somewhere, and a stop. */
function stroll(player: GamePlayer, random: Random, steps: number): Heading[] {
  const headings: Heading[] = [];
  let from: Position = player.place;
  while (headings.length < steps) {
    const heading = ([0, 1, 2, 3, 4] as const)[random.integer(0, 4)] ?? 0;
    const to = move(from, heading);
    if (heading !== 0 && at(to) === at(from)) continue;
    headings.push(heading);
    from = to;
  }
  return headings;
}

/** A player that has done so many inputs by chance. */
async function moved(server: Server, steps: number): Promise<GamePlayer> {
  await using unless = new AsyncDisposableStack(); // it leaves, unless all goes well
  const player = unless.use(await enter(server));
  await player.press(stroll(player, randomOf(server), steps));
  await player.done(inTurn);
  unless.move();
  return player;
}

const cells = Array.from({ length: FIELD.width * FIELD.height }, (_, i): Position => ({
  x: i % FIELD.width,
  y: Math.floor(i / FIELD.width),
}));
/** Cells from which one can run into a wall, and in which direction. */
const besideWalls = cells.filter((cell) => !isWall(cell)).flatMap(({ x, y }) => {
  const sides = [[x, y - 1], [x + 1, y], [x, y + 1], [x - 1, y]] as const;
  const side = sides.findIndex(([x, y]) => x >= 0 && y >= 0 && x < FIELD.width && y < FIELD.height && isWall({ x, y }));
  const heading = ([1, 2, 3, 4] as const)[side];
  return heading ? [{ x, y, heading }] : [];
});

/** Which player has a name, in the newest state that another one has. */
const seen = (by: GamePlayer, name: string) => by.newest.players.find((player) => player.name === name);

/** The world of a snapshot, without what is for its receiver alone. */
const worldOf = ({ players, dots }: GamePlayer["newest"]): string =>
  JSON.stringify([
    players.toSorted((a, b) => a.id - b.id),
    dots.map(({ x, y }) => [x, y]).toSorted(([x = 0, y = 0], [a = 0, b = 0]) => x - a || y - b),
  ]);

/** Waits a few ticks, and fails if this player has moved, or is gone. */
async function unmoved(player: GamePlayer, hint: string): Promise<void> {
  await player.ticks(5, hint);
  player.verify(hint);
  const { acknowledged } = player.newest;
  if (acknowledged !== player.lastInput) fail(`${player.lastInput} as the last input done`, `${acknowledged}`, hint);
}

/** Fails if an address that may not be in the game has heard more than cookies, or is seen there. */
async function outside(stranger: GamePlayer, anna: GamePlayer, hint: string): Promise<void> {
  await anna.ticks(6, hint);
  await stranger.catchUp();
  const { count, name, heard } = stranger;
  if (count("snapshot") > 0) fail("at most a cookie", heard, hint);
  if (seen(anna, name)) fail(`no player ${name}`, "this player in the other's snapshot", hint);
}

/** What a join with any name looks like. */
const joinBytes = (cookie: bigint, name: string): Uint8Array => {
  const bytes = encodeClient({ kind: "join", cookie, name: "x".repeat(name.length) });
  bytes.set(Array.from(name, (letter) => letter.charCodeAt(0)), 13);
  return bytes;
};

/** Datagrams of no form that the sheet has. */
function rubbish(cookie: bigint, random: Random): Uint8Array[] {
  const inputs = encodeClient({ kind: "inputs", cookie, last: 60_000, headings: [1, 2, 3, 4] });
  const leave = encodeClient({ kind: "leave", cookie });
  const tooMany = new Uint8Array(17 + 41).fill(2);
  tooMany.set(inputs.subarray(0, 16));
  tooMany[16] = 41;
  return [
    new Uint8Array(),
    Uint8Array.of(0x53),
    ...[random.bytes(3), random.bytes(12), random.bytes(1400), new Uint8Array(longestDatagram).fill(0xff)],
    ...[3, 4, 11].map((length) => leave.subarray(0, length)),
    ...[4, 12, 15, 16, 17, inputs.length - 1].map((length) => inputs.subarray(0, length)),
    Uint8Array.of(...leave, 0),
    Uint8Array.of(...inputs, 1),
    inputs.with(0, 0x54), // TG1
    inputs.with(3, 9), // an unknown kind
    inputs.with(3, 12), // what only a server sends
    inputs.with(16, 255),
    inputs.with(18, 5), // there are four directions
    inputs.with(18, 255),
    tooMany,
    encodeClient({ kind: "join", cookie, name: "x" }).with(12, 200),
  ];
}

const checks: Check<Server>[] = [
  {
    name: cookies,
    why: "The source of a datagram can be forged. A client that sends back the cookie has received it at that address.",
    points: 2,
    byHand: "printf 'SG1\\1\\0\\0\\0\\0\\0\\0\\0\\0\\4anna' | nc -u -w1 {host} {port} | xxd",
    async run(server) {
      await using anna = new GamePlayer(server, nickname(randomOf(server)));
      await anna.ask();
      const others = anna.messages.find(({ kind }) => kind !== "cookie");
      if (others) fail("a cookie and nothing else", anna.heard, "store nothing before the cookie has come back");
    },
  },
  {
    name: joins,
    why: "A join with the cookie adds a player; then the server sends it the state of the world after each tick.",
    points: 3,
    needs: [cookies],
    async run(server) {
      await using anna = await enter(server);
      await anna.ticks(3);
      const { own, name, newest: { dots, acknowledged } } = anna;
      const start = "a new player has its name, a free place, and nothing yet";
      if (own.name !== name) fail(`the name ${name}`, own.name, start);
      if (acknowledged !== 0) fail("0 as the last input done", `${acknowledged}`, start);
      if (own.score !== 0 || own.wins !== 0) fail("0 dots and 0 rounds", `${own.score} and ${own.wins}`, start);
      if (dots.length !== 5) fail("five dots", `${dots.length}`, "there are always five dots");
    },
  },
  {
    name: "twenty ticks a second",
    why:
      "The world moves on twenty times a second, and each player receives each state. From 10 to 30 a second will do.",
    points: 2,
    needs: [joins],
    async run(server) {
      await using anna = await enter(server);
      let got = "";
      // On a busy machine a second may be missing: then it is measured again.
      for (let tries = 1; tries <= 3; tries++) {
        const [start, from, before] = [performance.now(), anna.newest.tick, anna.snapshots.length];
        for (let spoken = start; performance.now() < start + 2500;) {
          await anna.change(2500);
          if (performance.now() < spoken + 400) continue;
          await anna.press([0]); // it is not silent
          spoken = performance.now();
        }
        const seconds = (performance.now() - start) / 1000;
        const ticks = (anna.newest.tick - from) / seconds;
        const states = (anna.snapshots.length - before) / seconds;
        if (Math.min(ticks, states) >= 10 && Math.max(ticks, states) <= 30) return;
        got = `${ticks.toFixed(1)} ticks and ${states.toFixed(1)} snapshots a second`;
        step(`${got}: measured again`);
      }
      fail(
        "twenty of each",
        got,
        "wait for the next twentieth of a second, then count the tick by 1, and send each player the state",
      );
    },
  },
  {
    name: moves,
    why:
      "Each input moves its player by 4 tenths of a cell. A snapshot has the place after the last input that is done.",
    points: 3,
    needs: [joins],
    async run(server) {
      await using anna = await enter(server);
      // Only the first inputs may be done at once: the ticks before had none.
      for (let round = 0; round < 3; round++) {
        await anna.press(stroll(anna, randomOf(server), 8));
        await anna.done(inTurn);
      }
    },
  },
  {
    name: again,
    why:
      "A client repeats each input until it is acknowledged, and the network doubles datagrams: each input counts once.",
    points: 3,
    needs: [moves],
    async run(server) {
      await using anna = await enter(server);
      const hint = "keep the highest number that has arrived, and leave out inputs with that number or a lower one";
      const heading = anna.freest;
      await anna.press([heading, heading, heading]);
      step("the same datagram twice more");
      await anna.repeat(1);
      await anna.repeat(1);
      await anna.done(hint);
      step("five inputs, of which three are known");
      await anna.press([heading, heading], 1);
      await anna.done(hint);
      await unmoved(anna, hint);
    },
  },
  {
    name: "the edge and the walls",
    why: "A player stays where it is when an input would lead it out of the field or into a wall.",
    points: 2,
    needs: [again],
    async run(server) {
      await using anna = await enter(server);
      const hint =
        "test the cell of the new place, its tenths rounded: if it is a wall or outside, leave the player where it is";
      const near = anna.way(besideWalls);
      step("to a wall, and against it");
      await anna.run(near, inTurn);
      const here = cellOf(anna.place);
      const { heading = 1 } = besideWalls.find(({ x, y }) => x === here.x && y === here.y) ?? {};
      await anna.run(Array<Heading>(6).fill(heading), hint);
      // A step of 4 tenths does not fit before one of two opposite edges: there the player stays in the middle of a step.
      const [left, top] = [anna.place.x % 4 !== 0, anna.place.y % 4 !== 0];
      const edges = { x: left ? 0 : FIELD.width - 1, y: top ? 0 : FIELD.height - 1 };
      step("to the edge, and against it");
      await anna.run(anna.way(cells.filter(({ x, y }) => x === edges.x || y === edges.y)), inTurn);
      const out = cellOf(anna.place).x === edges.x ? (left ? 4 : 2) : top ? 1 : 3;
      await anna.run(Array<Heading>(6).fill(out), hint);
    },
  },
  {
    name: both,
    why: "There is one truth: all snapshots of one tick show the same world, with both players in it.",
    points: 3,
    needs: [moves],
    async run(server) {
      const random = randomOf(server);
      await using anna = await enter(server);
      await using ben = await enter(server, anna);
      const hint =
        "keep one world, and send it to all; only the id, and the last input done, are those of the receiver";
      const meets = () => seen(anna, ben.name) && seen(ben, anna.name) ? true : undefined;
      await anna.until("both players in the snapshots of both", hint, meets);
      const { tick } = anna.newest;
      if (anna.own.id === ben.own.id) fail("two ids", `${anna.own.id} for both`, "give each player an id of its own");
      for (const player of [anna, ben, anna]) {
        await player.press(stroll(player, random, 6));
        await player.done(inTurn);
      }
      await ben.ticks(2);
      for (const each of [anna, ben]) {
        each.possible();
        each.verify(hint);
      }
      let compared = 0;
      for (const mine of anna.snapshots.filter((each) => each.tick > tick)) {
        const other = ben.snapshots.find((each) => each.tick === mine.tick);
        if (!other) continue;
        compared += 1;
        if (worldOf(mine) !== worldOf(other)) {
          fail(
            `one world in tick ${mine.tick}`,
            `${worldOf(mine)} for one player, ${worldOf(other)} for the other`,
            hint,
          );
        }
      }
      if (compared === 0) fail("snapshots of the same ticks", "no tick that both have", "count one tick for all");
    },
  },
  {
    name: collects,
    why: "A player collects a dot when it comes to its cell: that counts one, and a new dot appears on another cell.",
    points: 3,
    needs: [again],
    async run(server) {
      await using anna = await enter(server);
      await collect(anna, 1);
      await anna.ticks(3);
      if (anna.own.score !== 1) fail("1 dot", `${anna.own.score}, without another step`, "a dot that is taken is gone");
    },
  },
  {
    name: leaves,
    why: "A leave is answered with the end. Then the others see the player no more, and it receives no more snapshots.",
    points: 2,
    needs: [both],
    async run(server) {
      const hint = "delete the player and its address when its leave arrives";
      // All players of the checks before have left: the game is not full.
      await using anna = await GamePlayer.enter(server, nickname(randomOf(server)), hint);
      await using ben = await GamePlayer.enter(server, nickname(randomOf(server)), hint);
      await anna.until("both players", "send all players", () => seen(anna, ben.name) ? true : undefined);
      await ben.leave();
      await anna.until(`no ${ben.name} in the snapshots`, hint, () => seen(anna, ben.name) ? undefined : true);
      await ben.catchUp();
      const before = ben.count("snapshot");
      await anna.ticks(4);
      await ben.catchUp();
      const more = ben.count("snapshot") - before;
      if (more > 1) fail("no snapshot after the end", `${more}`, hint);
    },
  },
  {
    name: stateless,
    why:
      "Without cookies, one datagram with a forged address would make the server send twenty a second to a stranger.",
    points: 3,
    level: "robust",
    needs: [both],
    async run(server) {
      await using anna = await enter(server);
      await using eve = new GamePlayer(server, nickname(randomOf(server)));
      step("joins without a cookie, with one by chance, and with that of another address");
      for (const cookie of [0n, 0n, 1n, anna.cookie, 0n]) {
        await eve.send({ kind: "join", cookie, name: eve.name });
      }
      const hint =
        "compute the cookie from the address and a secret, and compare: any other cookie gets only the right one";
      await outside(eve, anna, hint);
      step("inputs of an address that has a cookie and has not joined");
      await eve.ask();
      await eve.send({ kind: "inputs", cookie: eve.cookie, last: 3, headings: [1, 2, 3] });
      await outside(eve, anna, "only a join adds a player");
    },
  },
  {
    name: "forged datagrams",
    why:
      "A forger may know the address of a player, but not its cookie: inputs and leaves with another cookie do nothing.",
    points: 2,
    level: "robust",
    needs: [moves],
    async run(server) {
      await using anna = await moved(server, 3);
      const hint = "ignore inputs and leaves whose cookie is not that of the address they come from";
      for (const cookie of [anna.cookie ^ 1n, 0n, anna.cookie ^ (1n << 63n)]) {
        await anna.send({
          kind: "inputs",
          cookie,
          last: anna.lastInput + 3,
          headings: Array<Heading>(3).fill(anna.freest),
        });
        await anna.send({ kind: "leave", cookie });
      }
      await unmoved(anna, hint);
      if (anna.count("end") > 0) fail("no end", "the end of a forged leave", hint);
    },
  },
  {
    name: "a join twice",
    why: "A datagram may arrive twice: a second join of the same address changes nothing.",
    points: 1,
    level: "robust",
    needs: [moves],
    async run(server) {
      await using anna = await moved(server, 5);
      await anna.send({ kind: "join", cookie: anna.cookie, name: anna.name });
      const hint = "ignore a join from an address that has joined";
      await unmoved(anna, hint);
      const found = anna.newest.players.filter(({ name }) => name === anna.name).length;
      if (found !== 1) fail("one player", `${found} of the name ${anna.name}`, hint);
    },
  },
  {
    name: "inputs that come late",
    why:
      "A datagram may overtake an earlier one: inputs with lower numbers than those that have arrived are out of date.",
    points: 2,
    level: "robust",
    needs: [again],
    async run(server) {
      await using anna = await enter(server);
      const heading = anna.freest;
      await anna.press(Array<Heading>(6).fill(heading));
      await anna.done(inTurn);
      step("inputs 1 to 3 arrive now, and again");
      for (let times = 0; times < 2; times++) {
        await anna.send({ kind: "inputs", cookie: anna.cookie, last: 3, headings: Array<Heading>(3).fill(heading) });
      }
      await unmoved(anna, "compare each number with the highest that has arrived, not only with the last datagram's");
    },
  },
  {
    name: "inputs that never come",
    why:
      "A client repeats its newest forty inputs: older ones may be lost for ever, and the server does not wait for them.",
    points: 1,
    level: "robust",
    needs: [moves],
    async run(server) {
      await using anna = await moved(server, 2);
      anna.lose(randomOf(server).integer(45, 400));
      step(`${anna.lastInput - 2} inputs are lost`);
      await anna.press([anna.freest]);
      await anna.done(
        "do the inputs that have come in the order of their numbers: a number that is missing is no reason to wait",
      );
    },
  },
  {
    name: "too many inputs",
    why:
      "A client that sends more inputs gains nothing: one is done in a tick, and at most ten more for ticks without one.",
    points: 3,
    level: "robust",
    needs: [again],
    async run(server) {
      await using anna = await enter(server);
      const long = 2 * (TICKS_PER_SECOND + 4);
      const headings = [1, 2, 3, 4] as const;
      const places = cells.filter((cell) => {
        const from = { x: cell.x * CELL, y: cell.y * CELL };
        return !isWall(cell) && headings.some((heading) => anna.free(heading, from) > long + 5);
      });
      step("to a place from which one can run far");
      await anna.run(anna.way(places), inTurn);
      const [from, heading] = [anna.own, anna.freest];
      const { tick } = anna.newest;
      step(`ten inputs a tick: ${headingNames[heading]}`);
      let number = anna.lastInput;
      while (anna.newest.tick < tick + TICKS_PER_SECOND) {
        number += 10;
        await anna.send({
          kind: "inputs",
          cookie: anna.cookie,
          last: number,
          headings: Array<Heading>(10).fill(heading),
        });
        await anna.ticks(1);
      }
      for (const each of anna.snapshots.filter((each) => each.tick > tick)) {
        const own = each.players.find(({ id }) => id === each.you) ?? from;
        const steps = Math.max(Math.abs(own.x - from.x), Math.abs(own.y - from.y)) / 4;
        const passed = each.tick - tick;
        // Ten that it was late with, and two for what was on its way.
        if (steps > passed + 12) {
          fail(
            `at most ${passed + 10} steps in ${passed} ticks`,
            `${steps}, from ${at(from)} to ${at(own)}`,
            "let inputs wait, and do one a tick; of more than ten that wait leave out the oldest",
          );
        }
      }
    },
  },
  {
    name: "leaving twice",
    why: "The end may be lost, and then the leave comes again: it is answered again, although the player is gone.",
    points: 1,
    level: "robust",
    needs: [leaves],
    async run(server) {
      await using anna = await enter(server);
      await anna.leave();
      await anna.leave("answer a leave with the right cookie with the end, also when the address has no player");
    },
  },
  {
    name: "a silent player",
    why:
      "A client may vanish without a leave: after five seconds of silence its player is removed. From 2 to 15 will do.",
    points: 2,
    level: "robust",
    needs: [leaves],
    async run(server) {
      await using anna = await enter(server);
      await using ben = await enter(server, anna);
      await anna.until("both players", "send all players", () => seen(anna, ben.name) ? true : undefined);
      const [start, { tick }] = [performance.now(), anna.newest];
      step("the player is silent");
      const passed = () => [(anna.newest.tick - tick) / TICKS_PER_SECOND, (performance.now() - start) / 1000];
      while (seen(anna, ben.name)) {
        if (Math.min(...passed()) > 15) {
          fail(
            `no ${ben.name} after five seconds of silence`,
            `this player after ${inSeconds(performance.now() - start)}`,
            "keep the tick of the last datagram of each player, and remove who is silent for a hundred ticks",
          );
        }
        await anna.press([0]);
        await anna.ticks(5);
      }
      if (Math.max(...passed()) < 1.9) {
        fail(
          "a player that is silent for two seconds to stay",
          `it is gone after ${inSeconds(performance.now() - start)}`,
          "a client may have to wait for its network: remove it after five seconds",
        );
      }
    },
  },
  {
    name: "a full game",
    why: "The game is for two players. A third one is answered with full, and may join when another has left.",
    points: 2,
    level: "robust",
    needs: [leaves],
    async run(server) {
      await using anna = await enter(server);
      await using ben = await enter(server, anna);
      await using carl = new GamePlayer(server, nickname(randomOf(server)));
      await carl.ask();
      const ask = () => carl.send({ kind: "join", cookie: carl.cookie, name: carl.name });
      await ask();
      const hint = "when two players are in, answer a join with the right cookie with full (kind 13)";
      const answered = () => carl.count("full") + carl.count("snapshot") > 0 ? true : undefined;
      await carl.until("full (kind 13)", hint, answered, { again: ask });
      if (carl.count("snapshot") > 0) fail("full (kind 13)", carl.heard, hint);
      await ben.leave();
      await carl.join();
    },
  },
  {
    name: "any datagram",
    why: "Anyone can send any bytes to an open port: those of another form than in the sheet change nothing.",
    points: 2,
    level: "robust",
    needs: [moves, stateless],
    async run(server) {
      const random = randomOf(server);
      await using anna = await enter(server);
      await using eve = new GamePlayer(server, nickname(random));
      await anna.press(stroll(anna, random, 3));
      await anna.done(inTurn);
      await eve.ask();
      for (const each of [eve, anna]) for (const bytes of rubbish(each.cookie, random)) await each.sendBytes(bytes);
      const hint =
        "test the length before you read, then each byte; a datagram of any other form is ignored as a whole";
      await unmoved(anna, hint);
      await anna.press(stroll(anna, random, 3));
      await anna.done(hint);
      await outside(eve, anna, hint);
    },
  },
  {
    name: "names",
    why:
      "A name is shown on the terminals of others: it is a letter, then up to seven letters or digits, all in ASCII.",
    points: 1,
    level: "robust",
    needs: [leaves, stateless],
    async run(server) {
      const random = randomOf(server);
      await using anna = await enter(server);
      await using eve = new GamePlayer(server, nickname(random));
      await eve.ask();
      for (const name of ["", "7up", "a b", `${word(random, 3)}\x1b[2J`, word(random, 9), "an\xefa", "a\0"]) {
        await eve.sendBytes(joinBytes(eve.cookie, name));
      }
      await anna.ticks(6);
      await eve.catchUp();
      const others = anna.newest.players.filter(({ id }) => id !== anna.newest.you);
      if (others.length > 0 || eve.count("snapshot") > 0) {
        fail("no player of such a name", eve.heard, "test the name of a join, and ignore the datagram if it is none");
      }
      await eve.join();
    },
  },
  {
    name: "ten dots win",
    why: "A player with ten dots has won the round: that counts one, and the next round begins with 0 dots.",
    points: 2,
    level: "strict",
    needs: [collects],
    async run(server) {
      await using anna = await enter(server);
      for (let dots = 1; dots < WIN; dots++) await collect(anna, dots);
      await anna.run(anna.way(anna.newest.dots), inTurn);
      const { score, wins } = anna.own;
      if (score !== 0 || wins !== 1) {
        fail(
          "0 dots and 1 round after ten dots",
          `${score} and ${wins}`,
          "count the round of the player, and put the dots of all to 0",
        );
      }
    },
  },
];

/** Runs to the nearest dot, and fails unless it counts as this player's `score`-th. */
async function collect(player: GamePlayer, score: number): Promise<void> {
  const { dots } = player.newest;
  await player.run(player.way(dots), inTurn);
  const hint = "after each input compare the player's cell, its tenths rounded, with those of the dots";
  const here = cellOf(player.place);
  const { own, newest } = player;
  if (own.score !== score) fail(`${score} after the dot at ${at(here)} (in cells)`, `${own.score}`, hint);
  if (newest.dots.some((dot) => at(dot) === at(here))) fail("the dot to be gone", `it at ${at(here)}`, hint);
  if (newest.dots.length !== dots.length) {
    fail(`${dots.length} dots`, `${newest.dots.length}`, "put a new dot on a free cell for each that is collected");
  }
}

const suite: Suite = {
  role: "server",
  about: "the server of a game over UDP, whose world is the only truth",
  over: "udp",
  given:
    "{host} and {port} in its command, or HOST and PORT in its environment: where it listens. It is for two players, without one " +
    "of its own.",
  prints: "what you like",
  exits: "it runs until the checker stops it",
  limits: "two players and a third address; at most ten inputs wait, unless a check sends too many",
  sheet: "udp/README.md#the-games-protocol",
  checks,
};

export default suite;
