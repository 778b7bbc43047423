/**
 * The rules of the game, without a clock and without a socket: the same inputs give the same world, on the server and in the
 * prediction of a client.
 *
 * Players run on a field with a few walls and collect dots. Who has ten wins the round.
 *
 * @module
 */

/** The field in cells. A position counts in tenths of a cell, so that a step is a whole number: it is the same everywhere. */
export const FIELD = { width: 38, height: 18 };
export const CELL = 10;
/** How far a player runs in one tick. */
const STEP = 4;
export const TICKS_PER_SECOND = 20;
/** Dots that make a round. */
export const WIN = 10;
const DOTS = 5;

/** Where a player runs: not at all, up, right, down, left. */
export type Heading = 0 | 1 | 2 | 3 | 4;
const directions = [[0, 0], [0, -1], [1, 0], [0, 1], [-1, 0]] as const;

export interface Position {
  readonly x: number;
  readonly y: number;
}

/** The cell of a position, in cells. */
export const cellOf = ({ x, y }: Position): Position => ({ x: Math.round(x / CELL), y: Math.round(y / CELL) });

/** Whether there is a wall, or the edge of the field. */
export function isWall({ x, y }: Position): boolean {
  if (x < 0 || y < 0 || x >= FIELD.width || y >= FIELD.height) return true;
  if (x === 9) return y >= 5 && y <= 12;
  if (x === 28) return y >= 5 && y <= 12;
  return (y === 4 || y === 13) && x >= 15 && x <= 22;
}

/** One tick of one player. Server and client call this same function: that is why a prediction can be right. */
export function move(from: Position, heading: Heading): Position {
  const [dx, dy] = directions[heading];
  const to = { x: from.x + dx * STEP, y: from.y + dy * STEP };
  const isInside = Math.min(to.x, to.y) >= 0 && to.x <= (FIELD.width - 1) * CELL && to.y <= (FIELD.height - 1) * CELL;
  return isInside && !isWall(cellOf(to)) ? to : from;
}

/** The heading of the shortest way to the nearest dot, for a player that plays by itself. */
export function seek(from: Position, dots: readonly Position[]): Heading {
  const key = ({ x, y }: Position) => y * FIELD.width + x;
  const wanted = new Set(dots.map(key));
  const start = cellOf(from);
  const seen = new Set([key(start)]);
  let edge: { at: Position; first: Heading }[] = [{ at: start, first: 0 }];
  while (edge.length > 0) {
    const next: typeof edge = [];
    for (const { at, first } of edge) {
      if (wanted.has(key(at))) return first;
      for (const heading of [1, 2, 3, 4] as const) {
        const [dx, dy] = directions[heading];
        const to = { x: at.x + dx, y: at.y + dy };
        if (isWall(to) || seen.has(key(to))) continue;
        seen.add(key(to));
        next.push({ at: to, first: first || heading });
      }
    }
    edge = next;
  }
  return 0;
}

/** What everybody may know of a player. */
export interface PlayerState extends Position {
  readonly id: number;
  readonly name: string;
  /** Dots in this round. */
  readonly score: number;
  /** Rounds won. */
  readonly wins: number;
}

/** The inputs of one player that the server has, and what it owes the player. */
interface Player {
  state: PlayerState;
  /** Inputs that wait for their tick. */
  readonly queue: { readonly number: number; readonly heading: Heading }[];
  /** The number of the last input that was done, or left out. */
  done: number;
  /** The highest number that has arrived. */
  received: number;
  /** Ticks that have passed without an input: late ones may be done at once. */
  owed: number;
}

/** The most inputs that wait, and the most that are done at once: half a second. */
const BURST = 10;

/** What the server sends to one player after each tick. */
export interface Snapshot {
  readonly tick: number;
  /** The receiver's own id, and the number of its last input in this state. */
  readonly you: number;
  readonly acknowledged: number;
  readonly players: readonly PlayerState[];
  readonly dots: readonly Position[];
}

/** What has happened in a tick. */
export interface Event {
  readonly kind: "dot" | "win";
  readonly player: PlayerState;
}

/** The one truth, on the server. */
export class World {
  readonly #players = new Map<number, Player>();
  #dots: Position[] = [];
  #random: number;
  tick = 0;

  /** The same `seed` puts the dots at the same places. */
  constructor(seed: number) {
    this.#random = seed >>> 0;
    while (this.#dots.length < DOTS) this.#dots.push(this.#freeCell());
  }

  /** Adds a player at a free place. */
  join(id: number, name: string): void {
    const { x, y } = this.#freeCell();
    const state = { id, name, x: x * CELL, y: y * CELL, score: 0, wins: 0 };
    this.#players.set(id, { state, queue: [], done: 0, received: 0, owed: 0 });
  }

  leave(id: number): void {
    this.#players.delete(id);
  }

  /** Takes the inputs with the numbers up to `last`. Those that were here before are left out: a datagram may come twice. */
  input(id: number, last: number, headings: readonly Heading[]): void {
    const player = this.#players.get(id);
    if (!player) return;
    for (const [i, heading] of headings.entries()) {
      const number = last - headings.length + 1 + i;
      if (number <= player.received) continue;
      player.received = number;
      player.queue.push({ number, heading });
    }
    // Who sends more than one input a tick gains nothing: the oldest are lost.
    for (const { number } of player.queue.splice(0, player.queue.length - BURST)) player.done = number;
  }

  /** One tick: each player does one input, and as many more as it was late with. */
  step(): Event[] {
    this.tick += 1;
    const events: Event[] = [];
    for (const player of this.#players.values()) {
      player.owed = Math.min(BURST, player.owed + 1);
      for (; player.owed > 0; player.owed--) {
        const input = player.queue.shift();
        if (!input) break;
        player.done = input.number;
        player.state = { ...player.state, ...move(player.state, input.heading) };
        this.#collect(player, events);
      }
    }
    return events;
  }

  #collect(player: Player, events: Event[]): void {
    const here = cellOf(player.state);
    const dot = this.#dots.findIndex(({ x, y }) => x === here.x && y === here.y);
    if (dot < 0) return;
    this.#dots[dot] = this.#freeCell();
    player.state = { ...player.state, score: player.state.score + 1 };
    events.push({ kind: "dot", player: player.state });
    if (player.state.score < WIN) return;
    player.state = { ...player.state, wins: Math.min(255, player.state.wins + 1) };
    events.push({ kind: "win", player: player.state });
    for (const each of this.#players.values()) each.state = { ...each.state, score: 0 };
  }

  /** The state of the world for one player. */
  snapshot(id: number): Snapshot {
    const { tick } = this;
    const players = Array.from(this.#players.values(), ({ state }) => state);
    return { tick, you: id, acknowledged: this.#players.get(id)?.done ?? 0, players, dots: [...this.#dots] };
  }

  /** A cell without a wall, a dot or a player. */
  #freeCell(): Position {
    while (true) {
      const cell = { x: this.#next(FIELD.width), y: this.#next(FIELD.height) };
      const isSame = ({ x, y }: Position) => x === cell.x && y === cell.y;
      const isTaken = this.#dots.some(isSame) || [...this.#players.values()].some(({ state }) => isSame(cellOf(state)));
      if (!isWall(cell) && !isTaken) return cell;
    }
  }

  /** A whole number below `limit`, the same ones for the same seed (xorshift, Marsaglia 2003). */
  #next(limit: number): number {
    let x = this.#random || 1;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return Math.floor(this.#random / 2 ** 32 * limit);
  }
}
