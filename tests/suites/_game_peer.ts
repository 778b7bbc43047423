/**
 * A player of the game over UDP for the suite of its server: it knows where its own inputs lead, and compares each state of
 * the world with that. It can break every rule.
 *
 * @module
 */
import { isClosedLocally } from "../../tcp/_clients.ts";
import { type ClientMessage, encodeClient, parseServer, type ServerMessage } from "../../udp/_game_message.ts";
import {
  CELL,
  cellOf,
  FIELD,
  type Heading,
  isWall,
  move,
  type PlayerState,
  type Position,
  seek,
  type Snapshot,
} from "../../udp/_game_world.ts";
import { localAddress } from "../../udp/_local_address.ts";
import { type Random, word } from "./_random.ts";
import { received, sent, step } from "./_record.ts";
import { fail, inSeconds, inTime, limits, quote, type Server } from "./_suite.ts";

/** The most inputs that this player lets wait: of more than ten, a server leaves out the oldest. */
const WAITING = 8;
/** Who leaves without a goodbye is removed after five seconds; until then its place may be taken. */
const ROOM = 15_000;

/** A name by chance, as the game wants it. */
export const nickname = (random: Random): string => word(random, random.integer(6, 8));

export const headingNames = ["stop", "up", "right", "down", "left"] as const;

export const at = ({ x, y }: Position): string => `x ${x}, y ${y}`;

/** The largest position, in tenths of a cell. */
const EDGE = { x: (FIELD.width - 1) * CELL, y: (FIELD.height - 1) * CELL };

/** Why a server's datagram is none, as exactly as possible. */
function fault(bytes: Uint8Array): string {
  if (bytes.length < 4 || new TextDecoder().decode(bytes.subarray(0, 3)) !== "SG1") {
    return `${quote(bytes)}, which does not begin with SG1 and a kind`;
  }
  const [kind = 0] = bytes.subarray(3);
  if (kind === 11) return `a cookie (kind 11) of ${bytes.length} bytes, not of 12`;
  if (kind === 13 || kind === 14) return `the kind ${kind} with ${bytes.length} bytes, not with 4`;
  if (kind !== 12) return `the kind ${kind}, which a server does not send`;
  if (bytes.length < 15) return `a snapshot (kind 12) of ${bytes.length} bytes, without its first 15`;
  const [players = 0, dots = 0] = bytes.subarray(13);
  const size = 15 + 16 * players + 2 * dots;
  if (bytes.length === size && players <= 8) {
    return "a snapshot with a name that is none: byte 7 of a player is its length";
  }
  return `a snapshot of ${bytes.length} bytes, which says in bytes 13 and 14 that it has ${players} players and ${dots} dots: ` +
    `15 + 16 × ${players} + 2 × ${dots} = ${size} bytes`;
}

/** What is wrong in a state of the world; "" if it can be true. */
function untrue({ you, players, dots }: Snapshot): string {
  if (!players.some(({ id }) => id === you)) return `your id ${you}, but the players ${players.map(({ id }) => id)}`;
  if (new Set(players.map(({ id }) => id)).size < players.length) return "two players with one id";
  const outside = players.find(({ x, y }) => x > EDGE.x || y > EDGE.y);
  if (outside) return `${outside.name} at ${at(outside)}, outside of x 0 to ${EDGE.x}, y 0 to ${EDGE.y}`;
  const stuck = players.find((player) => isWall(cellOf(player)));
  if (stuck) return `${stuck.name} in a wall, at ${at(stuck)}`;
  const dot = dots.find(isWall);
  return dot ? `a dot in a wall or outside, at ${at(dot)}` : "";
}

export class GamePlayer {
  readonly #socket: Deno.DatagramConn;
  readonly #server: Deno.NetAddr;
  readonly #starting: (() => boolean) | undefined;
  readonly #who: string;
  #changed = Promise.withResolvers<void>();
  #isClosed = false;
  readonly name: string;
  cookie = 0n;
  /** All that has arrived, in its order. */
  readonly messages: ServerMessage[] = [];
  /** The states of the world, in the order of their ticks. */
  readonly snapshots: Snapshot[] = [];
  #unreadable = "";
  /** The inputs, and where each leads: input 1 is the first, `#positions[0]` the place before it. */
  readonly #inputs: Heading[] = [];
  readonly #positions: Position[] = [];
  #verified = 0;

  constructor({ hostname, port, starting }: Server, name: string) {
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: localAddress(hostname), port: 0 });
    this.#server = { transport: "udp", hostname, port };
    this.#starting = starting;
    this.name = name;
    this.#who = `the player ${name}`;
    this.#receive().catch((error) => {
      if (!isClosedLocally(error)) throw error;
    });
  }

  async #receive(): Promise<void> {
    for await (const [datagram] of this.#socket) {
      received(datagram, this.#who);
      const message = parseServer(datagram.slice());
      if (!message) this.#unreadable ||= fault(datagram);
      else this.messages.push(message);
      if (message?.kind === "cookie") this.cookie = message.cookie;
      const { tick = -1 } = this.snapshots.at(-1) ?? {};
      if (message?.kind === "snapshot" && message.snapshot.tick > tick) this.snapshots.push(message.snapshot);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers<void>();
    }
  }

  async sendBytes(bytes: Uint8Array): Promise<void> {
    sent(bytes, this.#who);
    await this.#socket.send(bytes, this.#server);
  }

  async send(message: ClientMessage): Promise<void> {
    await this.sendBytes(encodeClient(message));
  }

  /** How many messages of this kind have arrived. */
  count = (kind: ServerMessage["kind"]): number => this.messages.filter((message) => message.kind === kind).length;

  /** All that has arrived in words: "1 cookie, 12 snapshots". */
  get heard(): string {
    const kinds = new Map<string, number>();
    for (const { kind } of this.messages) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    const parts = Array.from(kinds, ([kind, n]) => `${n} ${kind}${n > 1 && kind === "snapshot" ? "s" : ""}`);
    return [...parts, ...this.#unreadable ? [this.#unreadable] : []].join(", ") || "nothing";
  }

  /** Waits at most so many milliseconds until something arrives. */
  change = (milliseconds: number): Promise<void | undefined> => inTime(this.#changed.promise, milliseconds);

  /** Waits until `found` returns something. `again` is done each second. */
  async until<T>(
    what: string,
    hint: string,
    found: () => T | undefined,
    { again = () => Promise.resolve() }: { again?: () => Promise<void> } = {},
  ): Promise<T> {
    const limit = limits.patience;
    const pause = () => this.#starting?.() ? 250 : 1000;
    let [end, next] = [Date.now() + limit, Date.now() + pause()];
    while (true) {
      const value = found();
      if (value !== undefined) return value;
      if (this.#unreadable) {
        fail(what, this.#unreadable, "see the bytes of each kind in the lab sheet; the highest comes first");
      }
      if (Date.now() > end) {
        if (this.messages.length > 0 || !this.#starting?.()) fail(what, `${this.heard} in ${inSeconds(limit)}`, hint);
        end = Date.now() + limit;
      }
      if (Date.now() > next) {
        await again();
        next = Date.now() + pause();
      }
      await this.change(Math.max(1, Math.min(end, next) - Date.now() + 1));
    }
  }

  /** Asks to join, without a cookie, until one arrives. */
  async ask(): Promise<void> {
    const ask = () => this.send({ kind: "join", cookie: 0n, name: this.name });
    await ask();
    await this.until(
      "a cookie (kind 11)",
      'answer a join whose cookie is not that of its address with "SG1", 11 and the cookie',
      () => this.messages.length > 0 ? true : undefined,
      { again: ask },
    );
    if (this.cookie) return;
    const hint = this.count("cookie") > 0
      ? "the cookie is any number but 0, which stands for none"
      : 'answer a join whose cookie is not that of its address with "SG1", 11 and the cookie, and nothing else';
    fail("a cookie (kind 11) that is not 0", this.heard, hint);
  }

  /**
   * Asks once more, with the cookie; while the game is full, for as long as a silent player may be in it. Where it must not be
   * full, `full` is the hint. Meanwhile `beside` shows that it is not silent.
   */
  async join(full = "", beside?: GamePlayer): Promise<Snapshot> {
    const ask = () => this.send({ kind: "join", cookie: this.cookie, name: this.name });
    await ask();
    const end = Date.now() + ROOM;
    while (this.snapshots.length === 0 && Date.now() < end) {
      const before = this.count("full");
      await this.until(
        "a snapshot (kind 12) after a join with the cookie",
        "add the player, and send it the state of the world after each tick",
        () => this.snapshots.length > 0 || this.count("full") > before ? true : undefined,
        { again: ask },
      );
      if (this.snapshots.length > 0) break;
      if (full) fail("a place in the game, for all players have left", "full (kind 13)", full);
      step("the game is full: once more in a second", this.#who);
      await inTime(new Promise(() => {}), 1000);
      await beside?.press([0]);
      await ask();
    }
    const [first] = this.snapshots;
    if (!first) fail("a place in the game", this.heard, "when a player has left, or was silent, its place is free");
    this.possible(first);
    this.#positions.push(this.#own(first));
    return first;
  }

  /** Fails if a state of the world cannot be true. */
  possible(snapshot = this.newest): void {
    const wrong = untrue(snapshot);
    if (!wrong) return;
    const hint = wrong.startsWith("two")
      ? "give each player an id that no other has"
      : "look at the places of the bytes; the highest of a number comes first";
    fail("a state of the world that can be true", wrong, hint);
  }

  /** A player that has joined. If the game must not be full, `full` is the hint. */
  static async enter(server: Server, name: string, full = "", beside?: GamePlayer): Promise<GamePlayer> {
    const player = new GamePlayer(server, name);
    try {
      await player.ask();
      await player.join(full, beside);
      return player;
    } catch (error) {
      await player[Symbol.asyncDispose]();
      throw error;
    }
  }

  get newest(): Snapshot {
    const newest = this.snapshots.at(-1);
    if (!newest) throw new TypeError("not in the game");
    return newest;
  }

  #own({ you, players }: Snapshot): PlayerState {
    const own = players.find(({ id }) => id === you);
    return own ??
      fail(`a player with your id ${you}`, `the ids ${players.map(({ id }) => id)}`, "list the receiver, too");
  }

  /** This player in the newest state. */
  get own(): PlayerState {
    return this.#own(this.newest);
  }

  /** Where its inputs so far lead. */
  get place(): Position {
    return this.#positions.at(-1) ?? this.own;
  }

  get lastInput(): number {
    return this.#inputs.length;
  }

  /** How far it could run from `from`, in steps. */
  free(heading: Heading, from = this.place): number {
    let steps = 0;
    for (let to = move(from, heading); at(to) !== at(from); to = move(from, heading)) [from, steps] = [to, steps + 1];
    return steps;
  }

  /** The heading in which it can run farthest. */
  get freest(): Heading {
    return ([1, 2, 3, 4] as const).reduce((best, each) => this.free(each) > this.free(best) ? each : best);
  }

  /** Sends the inputs from this number to that one, new or again. */
  async repeat(from: number, to = this.lastInput): Promise<void> {
    await this.send({ kind: "inputs", cookie: this.cookie, last: to, headings: this.#inputs.slice(from - 1, to) });
  }

  /** Sends new inputs, in one datagram; before them, those from the number `from` on once more. */
  async press(headings: readonly Heading[], from = this.lastInput + 1): Promise<void> {
    for (const heading of headings) {
      this.#positions.push(move(this.place, heading));
      this.#inputs.push(heading);
    }
    await this.repeat(from);
  }

  /** Counts so many inputs that never reach the server. */
  lose(inputs: number): void {
    for (let i = 0; i < inputs; i++) {
      this.#positions.push(this.place);
      this.#inputs.push(0);
    }
  }

  /** Waits until all but so many inputs are done, and compares each state on the way. */
  async done(hint: string, waiting = 0): Promise<void> {
    while (this.newest.acknowledged < this.lastInput - waiting) {
      const { acknowledged } = this.newest;
      await this.until(
        `a snapshot that says that input ${acknowledged + 1} is done`,
        hint,
        () => this.newest.acknowledged > acknowledged ? true : undefined,
        { again: () => this.repeat(Math.max(1, acknowledged + 1, this.lastInput - 39)) },
      );
    }
    this.verify(hint);
  }

  /** Fails if a state since the last call has this player elsewhere than its inputs lead. */
  verify(hint: string): void {
    for (const snapshot of this.snapshots.slice(this.#verified)) {
      const { acknowledged, tick } = snapshot;
      const [own, place] = [this.#own(snapshot), this.#positions[acknowledged]];
      if (!place) {
        fail(`at most ${this.lastInput} as the last input done`, `${acknowledged}`, hint);
      }
      if (at(own) !== at(place)) {
        const heading = headingNames[this.#inputs[acknowledged - 1] ?? 0];
        const after = acknowledged === 0 ? "before the first input" : `after input ${acknowledged} (${heading})`;
        const from = acknowledged === 0 ? "" : ` from ${at(this.#positions[acknowledged - 1] ?? place)}`;
        fail(`${at(place)} ${after}${from}`, `${at(own)} in tick ${tick}`, hint);
      }
    }
    this.#verified = this.snapshots.length;
  }

  /** Runs as a client does: each datagram has all inputs that are not done, eight at most. Compares each state. */
  async run(headings: readonly Heading[], hint: string): Promise<void> {
    for (const [i, heading] of headings.entries()) {
      if (i >= WAITING) await this.done(hint, WAITING - 1);
      await this.press([heading], this.newest.acknowledged + 1);
    }
    await this.done(hint);
  }

  /** The inputs of the shortest way to the nearest of these cells. */
  way(cells: readonly Position[]): Heading[] {
    const headings: Heading[] = [];
    let from = this.place;
    while (!cells.some(({ x, y }) => x === cellOf(from).x && y === cellOf(from).y)) {
      const heading = seek(from, cells);
      if (heading === 0) throw new RangeError("no way");
      headings.push(heading);
      from = move(from, heading);
    }
    return headings;
  }

  /** Waits for so many more ticks. */
  async ticks(
    count: number,
    hint = "send every player the state of the world twenty times a second, whatever arrives",
  ): Promise<void> {
    const { tick } = this.newest;
    for (let n = 1; n <= count; n++) {
      await this.until(
        "a snapshot after each tick",
        hint,
        () => this.newest.tick >= tick + n ? true : undefined,
      );
    }
  }

  /** Leaves, and waits for the answer. */
  async leave(hint = "answer a leave with the end (kind 14)"): Promise<void> {
    const ends = this.count("end");
    const leave = () => this.send({ kind: "leave", cookie: this.cookie });
    await leave();
    await this.until("the end (kind 14)", hint, () => this.count("end") > ends ? true : undefined, { again: leave });
  }

  /** Waits until all that has arrived here is in `messages`: what it sends itself comes behind that. */
  async catchUp(): Promise<void> {
    const { addr } = this.#socket;
    if (addr.transport !== "udp") throw new TypeError("not a UDP socket");
    const hostname = addr.hostname.replace(/^0\.0\.0\.0$/, "127.0.0.1").replace(/^::$/, "::1");
    const before = this.count("full");
    await this.#socket.send(Uint8Array.of(0x53, 0x47, 0x31, 13), { ...addr, hostname });
    await this.until(
      "its own datagram",
      "check again: the checker could not reach itself",
      () => this.count("full") > before ? true : undefined,
    );
    this.messages.splice(this.messages.findLastIndex(({ kind }) => kind === "full"), 1);
  }

  /** Leaves, without minding whether that works. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (let tries = 0; tries < 2 && this.cookie && this.count("end") === 0; tries++) {
      await this.send({ kind: "leave", cookie: this.cookie }).catch(() => {});
      for (let n = 0; n < 20 && this.count("end") === 0; n++) await this.change(15);
    }
    this.#socket.close();
  }
}
