/**
 * Checks for a client of the game in `udp/README.md` that plays by itself: here the suite plays the server, and the network
 * between.
 *
 * @module
 */
import { printable } from "../../cli.ts";
import { isClosedLocally } from "../../tcp/_clients.ts";
import { type ClientMessage, encodeServer, MAX_INPUTS, parseClient } from "../../udp/_game_message.ts";
import { type PlayerState, type Snapshot, World } from "../../udp/_game_world.ts";
import type { Program } from "../support/program.ts";
import { clientEnd, complained, noServer, succeeded, withoutServer } from "./_clients.ts";
import { nickname } from "./_game_peer.ts";
import type { Random } from "./_random.ts";
import { received, sent, step } from "./_record.ts";
import {
  type Check,
  type Client,
  contentOf,
  fail,
  inSeconds,
  inTime,
  limits,
  quote,
  randomOf,
  type Suite,
} from "./_suite.ts";

const players = contentOf((random) => ({ content: { random }, values: { name: nickname(random), seconds: "1" } }));

/** The id of the client's player, and the game as the client sees it. */
interface Game {
  readonly name: string;
  readonly id: number;
  readonly cookie: bigint;
  readonly world: World;
  readonly random: Random;
  /** How many ticks have passed since the client joined; 0 before. */
  ticks: number;
}

/** What the server does otherwise than usual. */
interface Manner {
  /** How long the client plays, in seconds. */
  readonly seconds?: number;
  /** How many ticks the check needs: on a busy machine a second may have few. */
  readonly ticks?: number;
  /** What it sends for the `nth` message of this kind, from 0; undefined: what is usual. */
  readonly answer?: (message: ClientMessage, nth: number, game: Game) => Uint8Array[] | undefined;
  /** What it sends after a tick. */
  readonly state?: (snapshot: Snapshot, game: Game) => Uint8Array[];
  /** What somebody else sends after a tick, from another port. */
  readonly forged?: (snapshot: Snapshot, game: Game) => Uint8Array[];
}

interface Arrived {
  readonly message: ClientMessage;
  /** When, in milliseconds. */
  readonly time: number;
  /** The last input that was done, in the snapshots before. */
  readonly done: number;
}

interface Played {
  readonly program: Program;
  readonly game: Game;
  readonly arrived: readonly Arrived[];
  /** What was no message of a client. */
  readonly unreadable: readonly Uint8Array[];
}

const TICK = 50;

const portOf = (address: Deno.Addr): number => "port" in address ? address.port : 0;

/** Plays the server for one run of the client; once more, and for longer, if this machine was too busy to play it. */
async function play(client: Client, manner: Manner, hint: string): Promise<Played> {
  const { ticks = 5, seconds = 1 } = manner;
  const played = await playOnce(client, manner, hint);
  if (played.game.ticks >= ticks || of("inputs", played).length === 0) return played;
  step(`only ${played.game.ticks} ticks: once more, and for longer`);
  return await playOnce(client, { ...manner, seconds: seconds * 4 }, hint);
}

async function playOnce(client: Client, manner: Manner, hint: string): Promise<Played> {
  const { random } = players.of(client);
  const open = (port: number) => Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port });
  const [socket, other] = [open(client.port ?? 0), open(0)];
  const cookie = new DataView(random.bytes(8).buffer).getBigUint64(0) | 1n;
  const world = new World(random.next());
  const game: Game = { name: nickname(random), id: random.integer(1, 200), cookie, world, random, ticks: 0 };
  const seconds = manner.seconds ?? 1;
  const arrived: Arrived[] = [];
  const unreadable: Uint8Array[] = [];
  const first = Promise.withResolvers<true>();
  const caughtUp = Promise.withResolvers<void>();
  let [from, isIn, done]: [Deno.Addr | undefined, boolean, number] = [undefined, false, 0];
  const sending = async (datagrams: readonly Uint8Array[], forged: boolean) => {
    if (datagrams.length > 0 && forged) step("someone else sends from another port:");
    for (const bytes of datagrams) {
      sent(bytes, forged ? "another port" : "");
      if (from) await (forged ? other : socket).send(bytes, from);
    }
  };
  const tick = async () => {
    if (!isIn) return;
    world.step();
    game.ticks += 1;
    const snapshot = world.snapshot(game.id);
    if (manner.forged) await sending(manner.forged(snapshot, game), true);
    await sending(manner.state?.(snapshot, game) ?? [state(snapshot)], false);
    done = snapshot.acknowledged;
  };
  const ticker = setInterval(() =>
    tick().catch((error) => {
      if (!isClosedLocally(error)) throw error;
    }), TICK);
  const usual = (message: ClientMessage): Uint8Array[] => {
    const isRight = message.cookie === cookie;
    if (message.kind === "join" && !isRight) return [encodeServer({ kind: "cookie", cookie })];
    if (!isRight) return [];
    if (message.kind === "join") {
      if (!isIn && !left) world.join(game.id, message.name);
      isIn = !left;
      return [];
    }
    if (message.kind === "inputs") world.input(game.id, message.last, message.headings);
    if (message.kind !== "leave") return [];
    return [encodeServer({ kind: "end" })];
  };
  let left = false;
  const serving = (async () => {
    for await (const [datagram, address] of socket) {
      if (portOf(address) === portOf(other.addr)) {
        caughtUp.resolve();
        continue;
      }
      received(datagram);
      first.resolve(true);
      const message = parseClient(datagram.slice());
      if (!message) {
        unreadable.push(datagram.slice());
        continue;
      }
      from = address;
      const nth = arrived.filter((each) => each.message.kind === message.kind).length;
      arrived.push({ message, time: performance.now(), done });
      await sending(manner.answer?.(message, nth, game) ?? usual(message), false);
      if (message.kind === "leave" && message.cookie === cookie) [left, isIn] = [true, false];
    }
  })().catch((error) => {
    if (!isClosedLocally(error)) throw error;
  });
  const program = client.start(portOf(socket.addr), {
    name: game.name,
    seconds: `${seconds}`,
  });
  try {
    const ended = program.ended.then(() => inTime(first.promise, 100));
    if (!await inTime(Promise.race([first.promise, ended]), limits.start)) {
      const got = program.status
        ? `none before the program ended with ${program.status.code}`
        : `none in ${inSeconds(limits.start)}`;
      fail("a join (kind 1) at {host} and {port}", got, joinHint);
    }
    await clientEnd(program, hint, 4, Math.min(seconds, 5) * 4000 + 8000);
    await other.send(new Uint8Array(), socket.addr); // it comes behind all that the client has sent
    await inTime(caughtUp.promise);
  } finally {
    clearInterval(ticker);
    await program.stop();
    for (const each of [socket, other]) each.close();
    await serving;
  }
  return { program, game, arrived, unreadable };
}

const state = (snapshot: Snapshot): Uint8Array => encodeServer({ kind: "snapshot", snapshot });

/** The snapshot with other numbers of the client's own player. */
const withOwn = (snapshot: Snapshot, own: Partial<PlayerState>): Snapshot => ({
  ...snapshot,
  players: snapshot.players.map((player) => player.id === snapshot.you ? { ...player, ...own } : player),
});

const joinHint = 'send "SG1", 1, eight bytes of cookie (first 0), the length of {name}, and {name}';
const endHint = "play for {seconds} seconds, then leave and end";
const inputsHint =
  'send "SG1", 2, the cookie, the number of the last input in 4 bytes, how many follow, and a byte for each';

type Kind<K extends ClientMessage["kind"]> = Extract<ClientMessage, { kind: K }>;

/** The messages of a kind, with the time of each. */
function of<K extends ClientMessage["kind"]>(kind: K, { arrived }: Played): (Arrived & { message: Kind<K> })[] {
  const isKind = (each: Arrived): each is Arrived & { message: Kind<K> } => each.message.kind === kind;
  return arrived.filter(isKind);
}

/** Fails if a datagram that should be of this kind has another form. */
function readable({ unreadable }: Played, kind: number, what: string, hint: string): void {
  const wrong = unreadable.find((bytes) => bytes[3] === kind || kind === 1 && ![2, 3].includes(bytes[3] ?? 0));
  if (wrong) fail(what, quote(wrong), hint);
}

/** The number of the first input in a datagram. */
const firstOf = ({ last, headings }: Kind<"inputs">) => last - headings.length + 1;

/** Fails unless the client has played: inputs from number 1 on, none left out, and exit code 0 at the end. */
function hasPlayed(played: Played, hint: string, least = 5): void {
  readable(played, 2, "inputs (kind 2)", inputsHint);
  const inputs = of("inputs", played).filter(({ message }) => message.cookie === played.game.cookie);
  const [first] = inputs;
  if (!first) {
    const got = of("inputs", played).length > 0 ? "inputs with another cookie" : "none";
    fail("inputs (kind 2) with the cookie", `${got}: "${printable(played.program.tail(2))}"`, hint);
  }
  let highest = 0;
  for (const { message } of inputs) {
    if (message.headings.length > 0 && firstOf(message) > highest + 1) {
      fail(`the input ${highest + 1}`, `inputs ${firstOf(message)} to ${message.last}`, "number the inputs 1, 2, 3 …");
    }
    highest = Math.max(highest, message.last);
  }
  if (highest < least) fail(`${least} inputs or more`, `${highest}: "${printable(played.program.tail(2))}"`, hint);
  succeeded(played.program);
}

const printsScore = ({ stdout }: Program, name: string, score: number) =>
  new RegExp(`\\b${name}\\b\\D{0,3}\\b${score}\\b`).test(stdout);

/** Datagrams that no server of the game sends. */
function rubbish(snapshot: Snapshot, random: Random): Uint8Array[] {
  const bytes = state(withOwn(snapshot, { score: 99 }));
  return [
    new Uint8Array(),
    random.bytes(12),
    random.bytes(1400),
    Uint8Array.of(0x53, 0x47, 0x31),
    bytes.with(0, 0x54), // TG1
    bytes.with(3, 99), // an unknown kind
    ...[4, 10, 14, 15, bytes.length - 1].map((length) => bytes.subarray(0, length)),
    Uint8Array.of(...bytes, 0),
    bytes.with(13, 200), // two hundred players
    Uint8Array.of(0x53, 0x47, 0x31, 14, 0), // an end that is too long
  ];
}

const joins = "a join";
const cookies = "the cookie";
const inputs = "inputs";
const score = "the score";
const leaves = "leaving";
const goesOn = "ignore it, and go on playing";

const checks: Check<Client>[] = [
  {
    name: joins,
    why: "The client asks to join with its name. It does not know its cookie yet, so that is 0.",
    points: 2,
    async run(client) {
      const played = await play(client, {}, endHint);
      readable(played, 1, "a join (kind 1)", joinHint);
      const [first] = of("join", played);
      const { name } = played.game;
      if (!first || first.message !== played.arrived[0]?.message) {
        fail("a join (kind 1) as the first datagram", played.arrived[0]?.message.kind ?? "none", joinHint);
      }
      if (first.message.cookie !== 0n) fail("the cookie 0 in the first join", `${first.message.cookie}`, joinHint);
      if (first.message.name !== name) {
        fail(`the name ${name}`, first.message.name, "use the name that is given as {name}");
      }
    },
  },
  {
    name: cookies,
    why:
      "The server answers with a cookie. The next join has it, and so shows that the client receives at its address.",
    points: 3,
    needs: [joins],
    async run(client) {
      const played = await play(client, {}, endHint);
      if (of("join", played).some(({ message }) => message.cookie === played.game.cookie)) return;
      const hint = "keep the 8 bytes behind SG1 and 11, and send the join once more, with them as its cookie";
      fail("a join with the cookie", `${of("join", played).length} joins without it`, hint);
    },
  },
  {
    name: inputs,
    why:
      "From the first snapshot on the client says what its player does, in inputs with the numbers 1, 2, 3 and so on.",
    points: 3,
    needs: [cookies],
    async run(client) {
      hasPlayed(await play(client, {}, endHint), "when a snapshot (kind 12) comes, you are in the game: send inputs");
    },
  },
  {
    name: "twenty a second",
    why: "An input is what a player does in a twentieth of a second. From 10 to 30 a second will do.",
    points: 1,
    needs: [inputs],
    async run(client) {
      let got = "";
      // On a busy machine a second may be missing: then it is measured again.
      for (let tries = 1; tries <= 3; tries++) {
        const sent = of("inputs", await play(client, { seconds: 2 }, endHint));
        const [first, last] = [sent[0], sent.at(-1)];
        if (!first || !last) fail("inputs", "none", inputsHint);
        const seconds = (last.time - first.time) / 1000;
        const rate = (last.message.last - first.message.last) / seconds;
        if (rate >= 10 && rate <= 30) return;
        got = `${rate.toFixed(1)} a second`;
        step(`${got}: measured again`);
      }
      fail("twenty inputs a second", got, "wait until the next twentieth of a second before each input");
    },
  },
  {
    name: leaves,
    why: "UDP has no connection: after {seconds} seconds the client sends a leave, and ends when the server answers.",
    points: 2,
    needs: [inputs],
    async run(client) {
      const played = await play(client, {}, endHint);
      readable(played, 3, "a leave (kind 3)", 'send "SG1", 3 and the cookie, 12 bytes');
      if (!of("leave", played).some(({ message }) => message.cookie === played.game.cookie)) {
        fail("a leave (kind 3) with the cookie", "none", "send a leave before you end");
      }
      succeeded(played.program);
    },
  },
  {
    name: score,
    why: "Only the server knows who has how many dots: the client prints each change, as NAME DOTS.",
    points: 2,
    needs: [inputs],
    async run(client) {
      const [one, two] = [randomOf(client).integer(1, 4), randomOf(client).integer(5, 9)];
      const score = (ticks: number) => ticks < 5 ? 0 : ticks < 10 ? one : two;
      const played = await play(
        client,
        { ticks: 14, state: (snapshot, { ticks }) => [state(withOwn(snapshot, { score: score(ticks) }))] },
        endHint,
      );
      const { program, game: { name } } = played;
      for (const wanted of [one, two]) {
        if (!printsScore(program, name, wanted)) {
          const hint = "print a line when the dots of a player in a snapshot change, such as anna 3, ben 5";
          fail(`"${name} ${wanted}" on stdout`, `"${printable(program.tail(3))}"`, hint);
        }
      }
    },
  },
  {
    name: "all that is not done",
    why:
      "A datagram may be lost: each one repeats all inputs that are not done by the last snapshot, but at most forty.",
    points: 3,
    needs: [inputs],
    async run(client) {
      const played = await play(
        client,
        { seconds: 3, state: (snapshot) => [state({ ...snapshot, acknowledged: 0 })] },
        endHint,
      );
      const hint = "keep the inputs that are not done in a list, and send all of them each time, without changing one";
      hasPlayed(played, hint);
      const known = new Map<number, number>();
      for (const { message } of of("inputs", played)) {
        const wanted = Math.max(1, message.last - MAX_INPUTS + 1);
        if (message.headings.length > 0 && firstOf(message) > wanted) {
          fail(`inputs ${wanted} to ${message.last}`, `only ${firstOf(message)} to ${message.last}`, hint);
        }
        for (const [i, heading] of message.headings.entries()) {
          const before = known.get(firstOf(message) + i);
          if (before !== undefined && before !== heading) {
            fail(`${before} as input ${firstOf(message) + i}, as before`, `${heading}`, hint);
          }
          known.set(firstOf(message) + i, heading);
        }
      }
    },
  },
  {
    name: "what is done",
    why: "A snapshot says which input was the last one done: this one and those before it are not sent again.",
    points: 2,
    needs: [inputs],
    async run(client) {
      const played = await play(client, { seconds: 2, ticks: 20 }, endHint);
      const sent = of("inputs", played).filter(({ message }) => message.headings.length > 0);
      // What was done ten datagrams ago is known now, on a busy machine, too.
      const later = sent.slice(10).map((each, i) => ({ ...each, done: sent[i]?.done ?? 0 })).filter(({ done }) =>
        done > 0
      );
      const last = later.at(-1);
      if (last && later.every(({ message, done }) => firstOf(message) <= done)) {
        fail(
          `inputs after ${last.done}, which was done ten datagrams before`,
          `inputs ${firstOf(last.message)} to ${last.message.last}`,
          "when a snapshot comes, delete the inputs up to the number in its bytes 8 to 11",
        );
      }
    },
  },
  {
    name: "a lost join",
    why: "Any datagram may be lost, also a join or the cookie: the client asks again, about four times a second.",
    points: 2,
    level: "robust",
    needs: [inputs],
    async run(client) {
      const lost = new Set<string>();
      const played = await play(client, {
        answer(message, nth, { cookie }) {
          const isSecond = message.kind === "join" && message.cookie === cookie;
          if (message.kind !== "join" || (isSecond ? lost.has("second") : nth >= 2)) return undefined;
          if (isSecond) lost.add("second");
          step("this join is lost");
          return [];
        },
      }, endHint);
      hasPlayed(played, "when no answer comes in a quarter of a second, send the join again");
    },
  },
  {
    name: "a lost leave",
    why: "A leave may be lost, too: the client repeats it a few times, and ends also without an answer.",
    points: 2,
    level: "robust",
    needs: [leaves],
    async run(client) {
      const lose = (message: ClientMessage) => message.kind === "leave" ? [] : undefined;
      const played = await play(client, { answer: lose }, "end after five leaves, also when none was answered");
      const leaves = of("leave", played).length;
      if (leaves < 2) {
        fail("the leave again", `${leaves}`, "wait for the end, and send the leave again when it does not come");
      }
      if (leaves > 20) fail("five leaves", `${leaves}`, "wait a fifth of a second or more before each new try");
      succeeded(played.program, "the game was played: the server finds out by the silence");
    },
  },
  {
    name: "a late snapshot",
    why: "A snapshot may arrive after a later one, or twice: if its tick is not higher, it is out of date.",
    points: 2,
    level: "robust",
    needs: [score],
    async run(client) {
      const [late, now] = [randomOf(client).integer(1, 4), randomOf(client).integer(5, 9)];
      const played = await play(client, {
        ticks: 14,
        state(snapshot, { ticks }) {
          const newest = state(withOwn(snapshot, { score: ticks < 8 ? 0 : now }));
          if (ticks < 10) return [newest];
          return [newest, newest, state({ ...withOwn(snapshot, { score: late }), tick: snapshot.tick - 5 })];
        },
      }, endHint);
      const { program, game: { name } } = played;
      hasPlayed(played, goesOn);
      if (printsScore(program, name, late)) {
        const hint = "keep the highest tick, and ignore a snapshot whose tick is not higher";
        fail(`no "${name} ${late}"`, `"${printable(program.tail(3))}"`, hint);
      }
      if (!printsScore(program, name, now)) {
        fail(`"${name} ${now}"`, `"${printable(program.tail(3))}"`, "a newer snapshot counts");
      }
    },
  },
  {
    name: "a stranger",
    why: "Anyone can send to the client's port: only datagrams from the server's address and port count.",
    points: 2,
    level: "robust",
    needs: [score],
    async run(client) {
      const other = randomOf(client).integer(11, 99);
      const played = await play(client, {
        ticks: 8,
        forged: (snapshot, { ticks }) =>
          ticks % 4 !== 3 ? [] : [
            state({ ...withOwn(snapshot, { score: other }), tick: snapshot.tick + 1000, acknowledged: 1000 }),
            encodeServer({ kind: "cookie", cookie: 7n }),
            encodeServer({ kind: "full" }),
            encodeServer({ kind: "end" }),
          ],
      }, endHint);
      const hint = "compare the address and port of each datagram with those of the server";
      hasPlayed(played, hint);
      const { program, game: { name } } = played;
      if (printsScore(program, name, other)) fail(`no "${name} ${other}"`, `"${printable(program.tail(3))}"`, hint);
    },
  },
  {
    name: "any datagram",
    why: "A datagram can be empty, cut, or contain any bytes: those of another form than in the sheet are ignored.",
    points: 2,
    level: "robust",
    needs: [score],
    async run(client) {
      const played = await play(client, {
        ticks: 8,
        state: (snapshot, { ticks, random }) => [...ticks === 4 ? rubbish(snapshot, random) : [], state(snapshot)],
      }, endHint);
      const hint = "test the length before you read, then SG1 and the kind; ignore what has another form, and go on";
      hasPlayed(played, hint);
      const { program, game: { name } } = played;
      if (printsScore(program, name, 99)) fail(`no "${name} 99"`, `"${printable(program.tail(3))}"`, hint);
    },
  },
  {
    name: "eight players",
    why: "A snapshot has as many players and dots as its bytes 13 and 14 say: eight players and no dots, for example.",
    points: 2,
    level: "robust",
    needs: [score],
    async run(client) {
      const random = randomOf(client);
      const dots = random.integer(1, 9);
      const others = Array.from({ length: 7 }, (_, i): PlayerState => ({
        ...{ id: 201 + i, name: nickname(random), x: random.integer(0, 370), y: random.integer(0, 30) },
        ...{ score: i === 6 ? dots : 0, wins: 255 },
      }));
      const played = await play(client, {
        state: (snapshot) => [state({ ...snapshot, players: [...others, ...snapshot.players], dots: [] })],
      }, endHint);
      const hint = "read 16 bytes for each player, as many as byte 13 says, and look for yours by its id";
      hasPlayed(played, hint);
      const name = others.at(-1)?.name ?? "";
      if (!printsScore(played.program, name, dots)) {
        fail(`"${name} ${dots}" on stdout`, `"${printable(played.program.tail(3))}"`, hint);
      }
    },
  },
  {
    name: "a full game",
    why: "When the game is full, the client says so in one line, and its exit code is not 0.",
    points: 1,
    level: "robust",
    needs: [leaves],
    async run(client) {
      const full = (message: ClientMessage, _nth: number, { cookie }: Game) =>
        message.kind === "join" && message.cookie === cookie ? [encodeServer({ kind: "full" })] : undefined;
      const hint = "when full (kind 13) comes, print one line, and end";
      complained((await play(client, { seconds: 30, answer: full }, hint)).program, "a game that is full");
    },
  },
  {
    name: "the server ends the game",
    why:
      "A server that stops sends the end to all players: the client says so in one line, and its exit code is not 0.",
    points: 1,
    level: "robust",
    needs: [leaves],
    async run(client) {
      let [hasEnded, later] = [false, 0];
      const sending = (snapshot: Snapshot, { ticks }: Game) => {
        hasEnded = ticks >= 10;
        return ticks < 10 ? [state(snapshot)] : ticks < 15 ? [encodeServer({ kind: "end" })] : [];
      };
      const answer = ({ kind }: ClientMessage) => {
        if (hasEnded && kind === "inputs") later++;
        return undefined;
      };
      const hint = "when the end (kind 14) comes before your leave, print one line, and end";
      const { program } = await play(client, { seconds: 30, state: sending, answer }, hint);
      complained(program, "a game that the server has ended");
      // On a busy machine some are on their way: two seconds of them.
      if (later > 40) fail("no inputs after the end", `${later}`, hint);
    },
  },
  {
    name: "a server that falls silent",
    why: "A server may vanish: after some seconds without a snapshot the client gives up, and says so.",
    points: 2,
    level: "robust",
    needs: ["the server ends the game"],
    async run(client) {
      const silent = (snapshot: Snapshot, { ticks }: Game) => ticks < 10 ? [state(snapshot)] : [];
      const hint = "note when the last snapshot came, and give up after five seconds";
      const lose = (message: ClientMessage) => message.kind === "leave" ? [] : undefined;
      const played = await play(client, { seconds: 60, state: silent, answer: lose }, hint);
      complained(played.program, "a server that sends nothing more");
    },
  },
  {
    ...noServer,
    level: "robust",
    needs: ["a lost join", "a server that falls silent"],
    // UDP does not refuse: the client finds out by the silence.
    run: (client) => withoutServer(client, 20_000),
  },
];

const suite: Suite = {
  role: "client",
  about: "a client of the game over UDP that plays by itself",
  over: "udp",
  leastPatience: 3000,
  given:
    "{host} and {port} (HOST, PORT): the server. {name} (NAME): its player. {seconds} (SECONDS): how long it plays, counted from " +
    "the first snapshot; in which direction it runs is up to it.",
  prints: "NAME DOTS for each player, in a line whenever the dots of one change: anna 3, ben 5",
  exits:
    "0 after a game that was played, also when its leave gets no answer; another code and one line about it otherwise",
  limits: "it gives up 5 to 10 seconds after the last datagram of the server; it ends by itself",
  sheet: "udp/README.md#the-games-protocol",
  prepare: players.prepare,
  checks,
};

export default suite;
