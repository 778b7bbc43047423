/**
 * The game in a terminal of 80 columns and 24 lines: what to draw, which key means what, and the terminal put back in order
 * however the program ends.
 *
 * @module
 */
import { Failure } from "../cli.ts";
import { CELL, FIELD, type Heading, isWall, type PlayerState, type Position } from "./_game_world.ts";

/** What one picture shows. Positions are in tenths of a cell, dots in cells. */
export interface Picture {
  readonly you: number;
  /** The players, where they are to be drawn. */
  readonly players: readonly PlayerState[];
  readonly dots: readonly Position[];
  /** The line below the field. */
  readonly status: string;
}

/** The lines of a picture: two columns are one cell, so that it is as wide as high. */
export function draw({ you, players, dots, status }: Picture): string[] {
  const cells: string[][] = Array.from(
    { length: FIELD.height },
    (_, y) => Array.from({ length: FIELD.width }, (_, x) => isWall({ x, y }) ? "##" : "  "),
  );
  const put = (x: number, y: number, text: string) => {
    const row = cells[y];
    if (row && x >= 0 && x < row.length) row[x] = text;
  };
  for (const { x, y } of dots) put(x, y, "()");
  // The own player last: it is never hidden by another one.
  for (const { id, name, x, y } of players.toSorted((a, b) => Number(a.id === you) - Number(b.id === you))) {
    put(Math.round(x / CELL), Math.round(y / CELL), id === you ? "@@" : name.slice(0, 2).padEnd(2, "'"));
  }
  const edge = `+${"-".repeat(2 * FIELD.width)}+`;
  const scores = players.map(({ id, name, score, wins }) => `${id === you ? "@@ " : ""}${name} ${score} (${wins} won)`);
  return [
    scores.join("   ").slice(0, 78),
    ...[edge, ...cells.map((row) => `|${row.join("")}|`), edge],
    "You are @@. Ten () win the round. Arrows or WASD run, space stops, q quits.",
    status,
  ].map((line) => line.slice(0, 79));
}

/** What a key does. */
export type Key = Heading | "quit";

const keys: Record<string, Key> = {
  ...{ "\x1b[A": 1, "\x1b[C": 2, "\x1b[B": 3, "\x1b[D": 4, "\x1bOA": 1, "\x1bOC": 2, "\x1bOB": 3, "\x1bOD": 4 },
  ...{ w: 1, d: 2, s: 3, a: 4, W: 1, D: 2, S: 3, A: 4, " ": 0, q: "quit", Q: "quit" },
  ...{ "\x03": "quit", "\x04": "quit" }, // Ctrl-C and Ctrl-D: in raw mode they are keys like any other
};

/** The keys in what a terminal sends; several may come at once. */
export function parseKeys(text: string): Key[] {
  // deno-lint-ignore no-control-regex -- an arrow is an escape character, then "[" or "O", then a letter
  return [...text.matchAll(/\x1b[[O][A-D]|[^]/g)].flatMap(([key]) => keys[key] ?? []);
}

/** Takes the terminal for the game, until it is disposed of. */
export class Screen {
  #isOpen = true;
  readonly #onUnload = () => this[Symbol.dispose]();

  /** @throws {Failure} with code 3 where there is no terminal */
  constructor() {
    if (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal()) {
      throw new Failure("there is no terminal to play in: --page PORT plays in a browser, --play SECONDS by itself", 3);
    }
    // Also when the program is ended by an error, or by `Deno.exit` elsewhere.
    globalThis.addEventListener("unload", this.#onUnload);
    Deno.stdin.setRaw(true); // each key at once, and not shown
    write("\x1b[?1049h\x1b[?25l\x1b[2J"); // a screen of its own, without a cursor
  }

  /** Shows a picture. Each line is written over the one that was there: clearing first would flicker. */
  show(picture: Picture): void {
    if (!this.#isOpen) return;
    const { columns, rows } = Deno.consoleSize(); // 0 where the terminal does not say
    // A longer line would go on below.
    const visible = draw(picture).slice(0, rows || 24).map((line) => `${line.slice(0, columns || 80)}\x1b[K`);
    write(`\x1b[H${visible.join("\r\n")}\x1b[J`);
  }

  /** Calls `take` for each key, until there are no more. */
  async read(take: (key: Key) => void): Promise<void> {
    const buffer = new Uint8Array(64);
    for (let n = await Deno.stdin.read(buffer); n !== null; n = await Deno.stdin.read(buffer)) {
      for (const key of parseKeys(new TextDecoder().decode(buffer.subarray(0, n)))) take(key);
    }
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    globalThis.removeEventListener("unload", this.#onUnload);
    write("\x1b[?25h\x1b[?1049l");
    Deno.stdin.setRaw(false);
  }
}

const write = (text: string) => {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
};
