/**
 * What a client shows between the snapshots of the server: its own player where its inputs will have brought it, the others
 * a little in the past. Pure: no clock and no socket.
 *
 * @module
 */
import { cellOf, type Heading, move, type Position, type Snapshot, TICKS_PER_SECOND } from "./_game_world.ts";
import { MAX_INPUTS } from "./_game_message.ts";

/** The client's own player: moved at once, and put right when the server says otherwise. */
export class Prediction {
  /** Inputs that the server has not acknowledged, and where each has led. */
  #pending: { readonly number: number; readonly heading: Heading; readonly position: Position }[] = [];
  #number = 0;
  position: Position;
  /** How often the server has said otherwise, and by how much at most, in tenths of a cell. */
  corrections = 0;
  largest = 0;

  constructor(start: Position) {
    this.position = start;
  }

  /** Predicts one tick. Returns what to send: the number of this input, and all inputs that are not acknowledged. */
  next(heading: Heading): { last: number; headings: Heading[] } {
    this.position = move(this.position, heading);
    this.#pending.push({ number: ++this.#number, heading, position: this.position });
    if (this.#pending.length > MAX_INPUTS) this.#pending.shift();
    return { last: this.#number, headings: this.#pending.map(({ heading }) => heading) };
  }

  /** Takes the server's position after the input `acknowledged`, and does the later inputs once more from there. */
  correct(truth: Position, acknowledged: number): void {
    const before = this.position;
    let at = { x: truth.x, y: truth.y };
    this.#pending = this.#pending.filter(({ number }) => number > acknowledged)
      .map(({ number, heading }) => ({ number, heading, position: at = move(at, heading) }));
    this.position = at;
    const error = Math.max(Math.abs(at.x - before.x), Math.abs(at.y - before.y));
    if (error > 0) this.corrections += 1;
    this.largest = Math.max(this.largest, error);
  }

  /** Whether the player has been on a cell, and the server does not know it yet: the dot there is as good as collected. */
  hasPassed({ x, y }: Position): boolean {
    return this.#pending.map(({ position }) => cellOf(position)).some((cell) => cell.x === x && cell.y === y);
  }

  /** How many inputs there were. */
  get ticks(): number {
    return this.#number;
  }

  /** How many inputs are not acknowledged. */
  get pending(): number {
    return this.#pending.length;
  }
}

/** How far in the past the others are shown: so long the next snapshot may take, and one be lost. */
const DELAY = 3; // ticks
const TICK = 1000 / TICKS_PER_SECOND;

/** The snapshots, and where a player was between two of them. */
export class Interpolation {
  readonly #snapshots: Snapshot[] = [];
  /** When the server's tick 0 would have arrived, by the fastest snapshot so far. */
  #start = Infinity;

  get newest(): Snapshot | undefined {
    return this.#snapshots.at(-1);
  }

  /** Keeps a snapshot that arrives `now`, in milliseconds. False: it is late or doubled, a newer one is known. */
  add(snapshot: Snapshot, now: number): boolean {
    if (this.newest && snapshot.tick <= this.newest.tick) return false;
    this.#snapshots.push(snapshot);
    if (this.#snapshots.length > 40) this.#snapshots.shift();
    // The clocks of two machines do not run alike: what was the fastest is forgotten slowly.
    this.#start = Math.min(this.#start + 0.1, now - snapshot.tick * TICK);
    return true;
  }

  /** Where another player is shown. */
  positionOf(id: number, now: number): Position | undefined {
    const at = (now - this.#start) / TICK - DELAY;
    const find = (snapshot: Snapshot | undefined) => snapshot?.players.find((player) => player.id === id);
    const after = this.#snapshots.find(({ tick }) => tick >= at) ?? this.newest;
    const before = this.#snapshots.findLast(({ tick }) => tick < at) ?? after;
    const [from, to] = [find(before), find(after)];
    if (!before || !after || !from || !to || before === after) return to ?? from;
    const share = (at - before.tick) / (after.tick - before.tick);
    return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
  }
}
