/**
 * The server of a game over UDP. Its world is the only truth: clients send what their players want to do, never where they
 * are.
 *
 * Twenty times a second it does one input of each player and sends everybody the state of the world. It resends nothing: a
 * lost state is replaced by the next one, 50 ms later. Look at `take`: what a datagram can do, and what a forged one cannot.
 *
 * This terminal: `deno run -N=127.0.0.1 --unstable-net udp/game_server.ts`. Two others:
 * `deno run -N=127.0.0.1 --unstable-net udp/game_client.ts --name anna`. With a player that plays itself: `deno task udp:game`.
 * RFC 768 (UDP), RFC 8085 (how to use it), RFC 7873 (cookies). API: Deno.listenDatagram.
 *
 * @module
 */
import { bind, count, flag, formatAddress, integer, onStop, run, seconds, serverOptions } from "../cli.ts";
import { announce } from "../tcp/_announce.ts";
import { codeOf } from "../tcp/_socket_errors.ts";
import { Cookies } from "./_game_cookies.ts";
import { describe, encodeServer, MAX_PLAYERS, parseClient, type ServerMessage } from "./_game_message.ts";
import { Ticker } from "./_game_ticker.ts";
import { seek, TICKS_PER_SECOND, World } from "./_game_world.ts";
import { traced } from "./_trace.ts";

/** Takes one datagram: a client joins, says what its player wants to do, or leaves. */
async function take(game: Game, datagram: Uint8Array, from: Deno.NetAddr): Promise<void> {
  const message = parseClient(datagram);
  if (!message) return; // anyone can send anything to this port
  const address = formatAddress(from);
  const cookie = game.cookies.of(address);
  // The source of a datagram can be forged. Who has the cookie has received something at that address.
  if (message.cookie !== cookie) {
    if (message.kind === "join") await send(game, { kind: "cookie", cookie }, from);
    return;
  }
  const player = game.players.get(address);
  if (player) player.lastSeen = game.world.tick;
  if (message.kind === "join" && !player) await join(game, address, from, message.name);
  else if (message.kind === "inputs" && player) game.world.input(player.id, message.last, message.headings);
  else if (message.kind === "leave") {
    const isLast = leave(game, address, "left");
    await send(game, { kind: "end" }, from); // also when it has left before: the first answer was lost
    if (isLast) game.onEmpty();
  }
}

/** One tick: the world moves on, and everybody gets its new state. A state that is lost is not sent again. */
async function tick(game: Game): Promise<void> {
  const { world, players, flags } = game;
  if (flags.bot) world.input(BOT, world.tick + 1, [botHeading(world)]);
  for (const { kind, player } of world.step()) {
    if (kind === "win") console.log(`${player.name} wins the round: ${count(player.wins, "round")} won`);
  }
  for (const [address, { id, addr, lastSeen }] of players) {
    if (flags.idle === 0 || world.tick - lastSeen <= flags.idle * TICKS_PER_SECOND) {
      await send(game, { kind: "snapshot", snapshot: world.snapshot(id) }, addr);
    } else if (leave(game, address, `was silent for ${flags.idle} s`)) game.onEmpty();
  }
}

async function join(game: Game, address: string, addr: Deno.NetAddr, name: string): Promise<void> {
  const { players, world, flags } = game;
  const taken = new Set([...players.values()].map(({ id }) => id));
  const id = Array.from({ length: flags.players }, (_, i) => i + 1).find((id) => !taken.has(id));
  if (id === undefined) return await send(game, { kind: "full" }, addr);
  players.set(address, { id, name, addr, lastSeen: world.tick });
  world.join(id, name);
  console.log(`${name} joined from ${address}`);
}

/** Removes a player. Returns whether it was the last one. */
function leave({ players, world }: Game, address: string, why: string): boolean {
  const player = players.get(address);
  if (!player) return false;
  players.delete(address);
  world.leave(player.id);
  console.log(`${player.name} ${why}`);
  return players.size === 0;
}

interface Game {
  readonly socket: Deno.DatagramConn;
  readonly world: World;
  readonly cookies: Cookies;
  /** The players by their addresses. All that a datagram can make the server store is here, and has a limit. */
  readonly players: Map<
    string,
    { readonly id: number; readonly name: string; readonly addr: Deno.NetAddr; lastSeen: number }
  >;
  readonly flags: { readonly idle: number; readonly players: number; readonly bot: boolean };
  /** Called when the last player has left. */
  readonly onEmpty: () => void;
}

/** The id of the player that the server plays itself. */
const BOT = 100;

function botHeading(world: World) {
  const { players, dots } = world.snapshot(BOT);
  const own = players.find(({ id }) => id === BOT);
  // It rests in every third second: it shall be beaten.
  return own && world.tick % (3 * TICKS_PER_SECOND) < 2 * TICKS_PER_SECOND ? seek(own, dots) : 0;
}

const { timeout: _, once, ...options } = serverOptions(9990, "");
const command = {
  name: "game_server",
  about: "A game over UDP for several players: collect dots, ten win the round.",
  run: "deno run -N=127.0.0.1 --unstable-net udp/game_server.ts",
  examples: [
    "deno task game-server",
    "deno task game-server --bot",
    "deno task game-server --players 4 --trace",
  ],
  options: {
    ...options,
    "once": { ...once, help: "exit when the last player has left" },
    "players": integer(2, "players at the same time; more are refused", 1, MAX_PLAYERS - 1),
    "bot": flag("the server plays, too: for who is alone"),
    "idle": seconds(5, "a player that is silent for this long leaves; 0: never"),
    "seed": integer(0, "where the dots are: the same for the same number; 0: anywhere", 0, 2 ** 32 - 1),
  },
};

await run(command, async (flags) => {
  const stopped = Promise.withResolvers<void>();
  const listen = (addr: { hostname: string; port: number }) => Deno.listenDatagram({ ...addr, transport: "udp" });
  const socket = traced(bind(flags, listen), flags, "server", describe);
  onStop(stopped.resolve);
  const [seed = 1] = flags.seed ? [flags.seed] : crypto.getRandomValues(new Uint32Array(1));
  const world = new World(seed);
  if (flags.bot) world.join(BOT, "bot");
  const game: Game = {
    socket,
    world,
    cookies: new Cookies(),
    players: new Map(),
    flags,
    onEmpty: flags.once ? stopped.resolve : () => {},
  };
  if (socket.addr.transport === "udp") announce("Game server", socket.addr);
  const ticker = new Ticker(() => tick(game));
  await Promise.race([stopped.promise, serve(game), ticker.running]);
  ticker.stop();
  for (const { addr } of game.players.values()) await send(game, { kind: "end" }, addr);
});

/** Receives datagrams, one after another. */
async function serve(game: Game): Promise<void> {
  const buffer = new Uint8Array(65_535);
  while (true) {
    try {
      const [datagram, from] = await game.socket.receive(buffer);
      if (from.transport === "udp") await take(game, datagram, from);
    } catch (error) {
      if (codeOf(error) !== "ECONNRESET") throw error; // Windows: an earlier datagram was refused
    }
  }
}

async function send({ socket }: Game, message: ServerMessage, to: Deno.NetAddr): Promise<void> {
  await socket.send(encodeServer(message), to).catch((error) => {
    console.error(`to ${formatAddress(to)}: ${error instanceof Error ? error.message : error}`);
  });
}
