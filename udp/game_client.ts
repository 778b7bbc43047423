/**
 * The client of a game over UDP: it sends what its player wants to do, and shows the world in the terminal or a browser.
 *
 * An answer of the server takes a whole round trip. So the client predicts where its own inputs lead and shows that at once;
 * when the server says otherwise, it corrects itself. The others it shows a little in the past, between two states. Look at
 * `tick` and `take`, then at `correct` in `_game_prediction.ts`.
 *
 * First terminal: `deno run -N=127.0.0.1 --unstable-net udp/game_server.ts`. This one, and another:
 * `deno run -N=127.0.0.1 --unstable-net udp/game_client.ts --name anna`. It plays by itself: `deno task udp:game`.
 * RFC 768 (UDP), RFC 8085 §3.1. API: Deno.listenDatagram.
 *
 * @module
 */
import { clientOptions, count, Failure, formatAddress, integer, onStop, run, seconds, text, within } from "../cli.ts";
import { codeOf, explain } from "../tcp/_socket_errors.ts";
import { type ClientMessage, describe, encodeClient, nameError, parseServer } from "./_game_message.ts";
import { Interpolation, Prediction } from "./_game_prediction.ts";
import { GamePage } from "./_game_page.ts";
import { Screen } from "./_game_screen.ts";
import { Ticker } from "./_game_ticker.ts";
import { type Heading, seek, type Snapshot, TICKS_PER_SECOND } from "./_game_world.ts";
import { canonical, localAddress } from "./_local_address.ts";
import { traced } from "./_trace.ts";

/** One tick: predicts what this input does, and sends it with all that are not acknowledged: a datagram may be lost. */
async function tick(session: Session): Promise<void> {
  const { prediction, cookie } = session;
  if (!prediction) {
    // Not joined yet: four times a second, for the request or its answer may be lost.
    if (session.ticks++ % 5 === 0) await send(session, { kind: "join", cookie, name: session.name });
    return;
  }
  const { last, headings } = prediction.next(session.choose(session));
  session.sent.set(last, performance.now());
  await send(session, { kind: "inputs", cookie, last, headings });
}

/** Takes one datagram of the server. A state that is late or doubled is left out: a newer one is known. */
function take(session: Session, datagram: Uint8Array): void {
  const message = parseServer(datagram);
  if (message?.kind === "cookie") session.cookie = message.cookie;
  if (message?.kind === "full") {
    throw new Failure("the game is full: try again later, or start a server with --players");
  }
  if (message?.kind === "end") {
    if (!session.isLeaving) throw new Failure("the server has ended the game");
    session.left.resolve();
  }
  if (message?.kind !== "snapshot") return;
  const { snapshot } = message;
  const own = snapshot.players.find(({ id }) => id === snapshot.you);
  if (!own || !session.others.add(snapshot, performance.now())) return;
  session.lastHeard = performance.now();
  session.received += 1;
  session.firstTick ||= snapshot.tick;
  session.prediction ??= new Prediction(own);
  session.prediction.correct(own, snapshot.acknowledged);
  const sentAt = session.sent.get(snapshot.acknowledged);
  if (sentAt !== undefined) session.roundTrip = performance.now() - sentAt;
  for (const number of session.sent.keys()) if (number <= snapshot.acknowledged) session.sent.delete(number);
  session.onSnapshot(snapshot);
}

/** Leaves the game. If no answer arrives, the server finds out by the silence of this client. */
async function leave(session: Session): Promise<void> {
  session.isLeaving = true;
  for (let tries = 0, left = false; tries < 5 && !left; tries++) {
    await send(session, { kind: "leave", cookie: session.cookie });
    left = await within(0.2, session.left.promise.then(() => true), () => false);
  }
}

/** Receives datagrams. Anyone can send to this port: only those from the server count. */
async function receive(session: Session): Promise<never> {
  const { socket, server } = session;
  const buffer = new Uint8Array(65_535);
  let source = canonical(server.hostname);
  while (true) {
    const [datagram, from] = await socket.receive(buffer).catch(ignoreReset) ?? [];
    if (!datagram || from?.transport !== "udp" || from.port !== server.port) continue;
    source ??= canonical(from.hostname); // the server was given by its name
    if (canonical(from.hostname) === source) take(session, datagram);
  }
}

interface Session {
  readonly socket: Deno.DatagramConn;
  readonly server: Deno.NetAddr;
  readonly name: string;
  readonly others: Interpolation;
  /** Chooses the heading of the next tick: the last key, or the way to a dot. */
  readonly choose: (session: Session) => Heading;
  onSnapshot: (snapshot: Snapshot) => void;
  cookie: bigint;
  /** From the first state of the world on. */
  prediction?: Prediction;
  /** When each input was sent that is not acknowledged. */
  readonly sent: Map<number, number>;
  isLeaving: boolean;
  /** Settles when the server knows that this client has left. */
  readonly left: PromiseWithResolvers<void>;
  ticks: number;
  received: number;
  firstTick: number;
  lastHeard: number;
  roundTrip: number;
}

const command = {
  name: "game_client",
  about: "Plays the game of game_server.ts: collect dots, ten win the round.",
  run: "deno run -N=127.0.0.1 --unstable-net udp/game_client.ts",
  examples: [
    "deno task game-client --name anna",
    "deno task game-client --name ben --page 8090",
    "deno task game-client --play 10",
    "deno task game-client --port 9998",
  ],
  options: {
    ...clientOptions(9990),
    "name": {
      ...text("player", "how the others see you", "NAME"),
      parse(raw: string) {
        if (nameError(raw)) throw new RangeError(nameError(raw));
        return raw;
      },
    },
    "page": integer(0, "play in a browser: serve a page at this port of 127.0.0.1", 0, 65535, "PORT"),
    "play": seconds(0, "play by itself for this long, without a terminal"),
  },
};

await run(command, async (flags) => {
  const { host, port, timeout } = flags;
  let heading: Heading = 0;
  using screen = flags.page > 0 ? new GamePage(flags.page) : flags.play === 0 ? new Screen() : undefined;
  const session: Session = {
    socket: traced(openSocket(localAddress(host)), flags, "client", describe),
    server: { transport: "udp", hostname: host, port },
    ...{ name: flags.name, others: new Interpolation(), cookie: 0n, sent: new Map() },
    ...{ isLeaving: false, left: Promise.withResolvers<void>() },
    ...{ ticks: 0, received: 0, firstTick: 0, lastHeard: performance.now(), roundTrip: 0 },
    choose: flags.play === 0 ? () => heading : seekDot,
    onSnapshot: flags.play === 0 ? () => {} : reporter(),
  };
  const over = Promise.withResolvers<void>();
  onStop(over.resolve);
  // The end of the input, such as a terminal that was closed, is the end of the game.
  screen?.read((key) => key === "quit" ? over.resolve() : heading = key).then(over.resolve, over.resolve);
  const ticker = new Ticker(async () => {
    const silence = (performance.now() - session.lastHeard) / 1000;
    const patience = session.prediction ? timeout : timeout && Math.max(flags.wait, timeout);
    if (patience > 0 && silence > patience) {
      const none = `no answer from ${formatAddress(session.server)} in ${patience} s`;
      throw new Failure(`${none}: is the server running? (UDP does not report a missing one)`);
    }
    await tick(session);
    screen?.show(picture(session));
    if (flags.play > 0 && (session.prediction?.ticks ?? 0) >= flags.play * TICKS_PER_SECOND) over.resolve();
  });
  try {
    const received = receive(session);
    await Promise.race([over.promise, ticker.running, received]);
    ticker.stop();
    if (session.cookie !== 0n) await Promise.race([leave(session), received]);
  } finally {
    ticker.stop();
  }
  if (flags.play > 0) summarize(session);
});

/** The world as this client sees it: itself as predicted, the others a little in the past. */
function picture({ others, prediction, roundTrip, server }: Session) {
  const { newest } = others;
  if (!newest || !prediction) return { you: 0, players: [], dots: [], status: `joining ${formatAddress(server)} ...` };
  const now = performance.now();
  const players = newest.players.map((player) => ({
    ...player,
    ...player.id === newest.you ? prediction.position : others.positionOf(player.id, now),
  }));
  const dots = newest.dots.filter((dot) => !prediction.hasPassed(dot));
  const { corrections, pending } = prediction;
  const status = `${roundTrip.toFixed(0)} ms to the server and back, ${count(pending, "input")} not acknowledged, ` +
    count(corrections, "correction");
  return { you: newest.you, players, dots, status };
}

/** The way to the nearest dot, from where the prediction is. */
function seekDot({ prediction, others: { newest } }: Session): Heading {
  const dots = newest?.dots.filter((dot) => !prediction?.hasPassed(dot)) ?? [];
  return prediction ? seek(prediction.position, dots) : 0;
}

/** Prints who has collected a dot, for who plays without a terminal. */
function reporter(): (snapshot: Snapshot) => void {
  let before = "";
  return ({ players }) => {
    const scores = players.map(({ name, score, wins }) => `${name} ${score}${wins > 0 ? ` (${wins} won)` : ""}`).join(
      ", ",
    );
    if (scores !== before) console.log(scores);
    before = scores;
  };
}

/** What the network has done, and what the prediction has made of it. */
function summarize({ prediction, received, firstTick, others: { newest }, roundTrip }: Session): void {
  if (!prediction || !newest) return;
  const missed = newest.tick - firstTick + 1 - received;
  console.log(`${count(prediction.ticks, "input")} sent, ${count(received, "state")} received, ${missed} lost or late`);
  const largest = (prediction.largest / 10).toFixed(1);
  const corrected = prediction.corrections === 0
    ? "no correction"
    : `${count(prediction.corrections, "correction")} of at most ${largest} cells`;
  console.log(`${roundTrip.toFixed(1)} ms to the server and back; ${corrected}`);
}

async function send({ socket, server }: Session, message: ClientMessage): Promise<void> {
  await socket.send(encodeClient(message), server).catch(ignoreReset);
}

/** On Windows `send` and `receive` report that an earlier datagram was refused. That one is lost; the next may arrive. */
function ignoreReset(error: unknown): undefined {
  if (codeOf(error) !== "ECONNRESET") throw error;
}

/** Opens the socket to send from. When it fails, its own address is to blame, not the server's. */
function openSocket(hostname: string): Deno.DatagramConn {
  try {
    return Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  } catch (error) {
    throw explain(error, { hostname, port: 0 });
  }
}
