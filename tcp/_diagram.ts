/**
 * `--trace=diagram`: the exchange as a picture for a terminal of 80 columns. The client is on the left, the server on the
 * right, and each message is an arrow with its time and the beginning of what it says. A relay stands in the middle: what it
 * passes on at once goes through it, and what it holds or loses comes only so far.
 *
 * @module
 */
import { count, printable } from "../cli.ts";
import { type Event, isEchoRequest, plainText } from "./_trace_event.ts";

/** Columns between the two sides. */
const WIDTH = 68;

/** The column of a relay between them, and what is left for each half. */
const MIDDLE = WIDTH >> 1;

/** A client and a server that exchange messages. */
interface Pair {
  readonly client: string;
  readonly server: string;
  readonly number: number;
  /** Whether each side has ended its part of the stream. */
  readonly ended: Set<string>;
}

/** Draws the messages of one program, in the order in which it sees them. */
export class Diagram {
  readonly #pairs = new Map<string, Pair>();
  #count = 0;
  #start = 0;

  /** The lines for one message. Before the first one of a pair, a line names the two sides. */
  draw(event: Event): string[] {
    const { from, to, note, t } = event;
    if (from === "" || to === "") return [this.#row(t, center(printable(note)))];
    const name = [event.transport, ...[from, to].sort()].join(" ");
    // The first message that is seen of two sides goes from the client to the server; a router only answers.
    const known = this.#pairs.get(name);
    const [client, server] = isAnswer(event) ? [to, from] : [from, to];
    const pair = known ?? { client, server, number: ++this.#count, ended: new Set<string>() };
    if (!known) this.#remember(name, pair);
    if (this.#start === 0) this.#start = t;
    const mark = this.#count > 1 ? `#${pair.number} ` : "";
    const row = this.#row(t, this.#line(event, pair, mark));
    if (note === "closed") this.#pairs.delete(name);
    return known ? [row] : [heading(pair, event), row];
  }

  /** A server that runs for long sees many clients: the oldest is forgotten, and gets a new number when it comes again. */
  #remember(name: string, pair: Pair): void {
    this.#pairs.set(name, pair);
    const [oldest] = this.#pairs.keys();
    if (this.#pairs.size > 10_000 && oldest !== undefined) this.#pairs.delete(oldest);
  }

  #row(t: number, line: string): string {
    return `${((t - (this.#start || t)) / 1000).toFixed(3).padStart(9)} │${line}│`;
  }

  #line(event: Event, { client, ended }: Pair, mark: string): string {
    const { from, note } = event;
    const isSilent = ["TLS", "closed"].includes(note) && (note === "TLS" || ended.has(from));
    if (isSilent) return center(`${mark}${note}`);
    if (["FIN", "closed", "RST"].includes(note)) ended.add(from);
    // A host that pings itself has one address for both sides.
    const isForward = event.transport === "icmp" ? !isAnswer(event) : from === client;
    const isLost = /^(lost|stall)/.test(note);
    if (event.side !== "relay") return arrow(isForward, mark + labelOf(event), isLost);
    return relayed(isForward, mark + labelOf(event), isLost ? "in" : event.half, isLost);
  }
}

const isAnswer = (event: Event) => event.transport === "icmp" && !isEchoRequest(event);

/** What stands on an arrow. */
function labelOf({ data, note, says, side }: Event): string {
  // Behind a relay the times say how long it has held a message, and the sign at its lane that it has lost it.
  const seen = side === "relay" ? note.replace(/^(delayed \d+ ms(, )?|lost$)/, "") : note;
  const words = seen === "datagram" ? "" : seen === "closed" ? "FIN (closed)" : printable(seen);
  if (data.length === 0) return words || "0 bytes";
  const text = plainText(data.subarray(0, 100), data.length > 100);
  const what = says ??
    (text === undefined ? data.subarray(0, 12).toHex().replace(/..(?=.)/g, "$& ") : `"${printable(text)}"`);
  return [count(data.length, "byte"), words, what].filter((part) => part !== "").join(" ");
}

/** An arrow with a label, which is cut where it does not fit; a lost message ends halfway. */
function arrow(isForward: boolean, label: string, isLost: boolean): string {
  const length = isLost ? Math.floor(WIDTH * 0.7) : WIDTH;
  const gap = " ".repeat(WIDTH - length);
  const shaft = arrowOf(isForward, label, length, isLost);
  return isForward ? `${shaft}${gap}` : `${gap}${shaft}`;
}

/** An arrow of so many columns. */
function arrowOf(isForward: boolean, label: string, length: number, isLost = false): string {
  const text = cut(label, length - 8);
  const dashes = length - 4 - columns(text);
  const [left, right] = ["─".repeat(1 + (dashes >> 1)), "─".repeat(dashes - (dashes >> 1))];
  const line = `${left} ${text} ${right}`;
  const end = isLost ? "✗" : isForward ? "▶" : "◀";
  return isForward ? `${line}${end}` : `${end}${line}`;
}

/** An arrow on one side of a relay, or through it. */
function relayed(isForward: boolean, label: string, half: "in" | "out" | undefined, isLost: boolean): string {
  const [left, right] = [MIDDLE, WIDTH - MIDDLE - 1];
  if (half === undefined) {
    const whole = arrowOf(isForward, label, WIDTH);
    const isThere = whole[MIDDLE] === "─" && columns(whole.slice(0, MIDDLE)) === MIDDLE;
    return isThere ? `${whole.slice(0, MIDDLE)}┼${whole.slice(MIDDLE + 1)}` : whole;
  }
  const isLeft = isForward === (half === "in");
  const shaft = arrowOf(isForward, label, isLeft ? left : right, isLost);
  return isLeft ? `${shaft}│${" ".repeat(right)}` : `${" ".repeat(left)}│${shaft}`;
}

function center(label: string): string {
  const text = cut(label, WIDTH - 2);
  const left = (WIDTH - columns(text)) >> 1;
  return `${" ".repeat(left)}${text}${" ".repeat(WIDTH - columns(text) - left)}`;
}

/** The line above the first message of two sides. */
function heading({ client, server, number }: Pair, { transport, side }: Event): string {
  const left = `#${number} client ${printable(client)}`;
  const right = `server ${printable(server)} (${transport})`;
  const gap = WIDTH + 2 - columns(left) - columns(right);
  const [before, after] = [MIDDLE - 1 - columns(left), gap - MIDDLE - 4 + columns(left)];
  if (side === "relay" && before > 0 && after > 0) {
    return `${" ".repeat(10)}${left}${" ".repeat(before)}relay${" ".repeat(after)}${right}`;
  }
  return gap > 0
    ? `${" ".repeat(10)}${left}${" ".repeat(gap)}${right}`
    : `${" ".repeat(10)}${left}\n${right.padStart(80)}`;
}

/** Characters of East Asian scripts and emoji, which take two columns of a terminal. */
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** How many columns of a terminal a text takes. */
function columns(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let n = 0;
  for (const char of text) n += wide.test(char) ? 2 : /[\p{M}\u200c\u200d]/u.test(char) ? 0 : 1;
  return n;
}

/** The beginning of a text that fits, with an ellipsis if there is more. */
function cut(text: string, most: number): string {
  if (columns(text) <= most) return text;
  const kept: string[] = [];
  let left = most - 1;
  for (const char of text) {
    left -= columns(char);
    if (left < 0) break;
    kept.push(char);
  }
  return `${kept.join("")}…`;
}
