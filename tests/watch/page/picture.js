/**
 * Draws the part of the picture that is visible, as SVG.
 *
 * @module
 */
import { lanePlaces, layout, layoutToScale, thickness, visibleRange } from "./layout.js";
import { startOf } from "./store.js";

/** Text as it may stand in SVG and HTML. */
export const safe = (text) => String(text).replace(/[&<>"']/g, (sign) => "&#" + sign.charCodeAt(0) + ";");

/** What an item says, in parts: the first one is what matters. */
function partsOf(item) {
  if (item.kind === "mark") return [item.text.replace(/\s+/g, " ")];
  const size = item.bytes === 0 ? "" : item.bytes + (item.bytes === 1 ? " byte" : " bytes");
  const again = item.again === undefined ? "" : "sent again";
  const lost = item.isLost && !/^(lost|not |stall|half-open)/.test(item.note) ? "lost" : "";
  const parts = item.text === "" ? [item.note, size, lost, again] : [item.text, size, item.note, lost, again];
  return parts.filter((part) => part !== "");
}

/** What an item says. */
export const labelOf = (item) => partsOf(item).join(" · ");

/** Milliseconds since the first message. */
export const timeOf = (t, store) => ((t - store.first) / 1000).toFixed(3);

/** The same as it stands beside the picture, where there is little room. */
const shortTime = (time) => time.length > 7 ? time.slice(0, -2) : time;

/** Items that are drawn at once; where more stand on a screen, they lie on each other. */
const MOST_DRAWN = 1000;

/** How many characters fit into so many pixels. */
const fitting = (pixels) => Math.max(4, Math.floor(pixels / 7.3));

/** Ways through a relay that are drawn of one message, which goes on in slices. */
const MOST_PASSAGES = 8;

/** Half the width of a relay. */
const RELAY = 22;

const cut = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;

export class Picture {
  zoom = 1;
  isToScale = false;
  selected = 0;
  #store;
  #rows = [];
  #index = new Map();
  #longest = 0;
  /** How far below its arrival at a relay a message goes out at most. */
  #longestHold = 0;
  #relay;
  #isOneOfMany = new Set();
  height = 0;
  width = 0;
  places = new Map();

  constructor(store) {
    this.#store = store;
  }

  /** Computes where everything stands. */
  arrange(width) {
    this.#store.select();
    const { rows, height } = (this.isToScale ? layoutToScale : layout)(this.#store.shown, this.zoom);
    [this.#rows, this.height] = [rows, height + 40];
    this.#longest = rows.reduce((most, { top, bottom }) => Math.max(most, bottom - top), 0);
    this.#longestHold = rows.reduce((most, { top, came = top }) => Math.max(most, top - came || 0), 0);
    this.#index = new Map(this.#store.shown.map(({ id }, i) => [id, i]));
    Object.assign(this, lanePlaces(this.#store.shownLanes, width));
    this.#relay = this.#store.relay?.id;
    this.#isOneOfMany = this.#slices();
  }

  /** The slices of a message that are not among its first ones: their ways through the relay would cover each other. */
  #slices() {
    const counts = new Map();
    const all = this.#store.shown.filter(({ came, isSame }) => came !== undefined && !isSame);
    for (const { came } of all) counts.set(came, 0);
    return new Set(
      all.filter(({ came }) => counts.set(came, counts.get(came) + 1).get(came) > MOST_PASSAGES).map(({ id }) => id),
    );
  }

  /** The height of an item; undefined if it is not shown. */
  topOf(id) {
    return this.#rows[this.#index.get(id)]?.top;
  }

  indexOf(id) {
    return this.#index.get(id) ?? -1;
  }

  /** The SVG of what stands between two heights. */
  draw(from, to) {
    const [first, last] = visibleRange(this.#rows, from - 60, to + 60 + this.#longestHold, this.#longest);
    const line = (x) => `<line class="lane" x1="${x}" x2="${x}" y1="0" y2="${to - from}"/>`;
    const lines = [...this.places].map(([id, x]) =>
      id === this.#relay
        ? `<rect class="relay" x="${x - RELAY}" y="0" width="${2 * RELAY}" height="${to - from}"/>` +
          line(x - RELAY) + line(x + RELAY)
        : line(x)
    );
    const parts = [];
    const step = Math.ceil((last - first) / MOST_DRAWN);
    for (let i = first; i < last; i++) {
      const item = this.#store.shown[i];
      if (i % step === 0 || item.isLost || item.id === this.selected) {
        parts.push(this.#item(item, this.#rows[i], 20 - from));
      }
    }
    return `<svg width="${this.width}" height="${Math.max(0, to - from)}" style="top: ${from}px" role="none">` +
      `<g aria-hidden="true">${lines.join("")}</g>${parts.join("")}</svg>`;
  }

  #item(item, { top, bottom, came, hasText }, shift) {
    const time = shortTime(timeOf(startOf(item), this.#store));
    const isSelected = item.id === this.selected;
    const isTold = (hasText && this.zoom >= 0.6) || isSelected;
    const y = top + shift;
    const [what, more] = !isTold ? ["", ""] : item.kind === "mark" ? [this.#note(item), ""] : this.#text(item);
    const text = safe(what) + (more && `<tspan class="more"> · ${safe(more)}</tspan>`);
    const shape = item.kind === "mark"
      ? this.#mark(item, y, what)
      : this.#arrow(item, y, bottom + shift, came + shift, text);
    const colour = item.kind === "mark" ? "" : ` style="color: ${this.#colourOf(item)}"`;
    const classes = [item.kind, item.isLost && "lost", item.isFailure && "failure"].filter((name) => name).join(" ");
    const place = isTold
      ? `<text class="time" x="${this.#left() - 20}" y="${y + 4}" text-anchor="end">${time}</text>`
      : "";
    return `<g role="option" id="item-${item.id}" data-id="${item.id}" aria-selected="${isSelected}" ` +
      `aria-label="${
        safe(`${time} ${this.#said(item, what, more)}, ${this.#way(item)}`)
      }" class="${classes}"${colour}>` +
      `${place} ${shape}</g>`;
  }

  #left() {
    return this.places.values().next().value ?? 96;
  }

  /** What an item says to those who do not see it: what stands there, and all of it where that is cut off. */
  #said(item, what, more) {
    const shown = [what, more].filter((part) => part !== "").join(" · ");
    const whole = labelOf(item);
    return shown === whole || shown === "" ? whole : `${shown}: ${whole}`;
  }

  /** As much of an arrow's text as fits: what it says, then the rest. */
  #text(item) {
    const [what = "", ...rest] = partsOf(item).filter((part) => !/^delayed \d+ ms$/.test(part)); // the arrow slants
    const distance = Math.abs(this.#edge(item.from, item.to) - this.#edge(item.to, item.from));
    const room = fitting(item.isLost ? distance - 40 : distance - 30);
    const shown = cut(what, room);
    const more = rest.reduce((so, part) => {
      const longer = so === "" ? part : `${so} · ${part}`;
      return shown.length + 3 + longer.length <= room ? longer : so;
    }, "");
    return [shown, more];
  }

  /** As much of a mark's text as fits between its lane and the next one. */
  #note(item) {
    const x = this.places.get(item.lane) ?? 0;
    const isLast = this.#isLast(x);
    const others = [...this.places.values()].filter((place) => isLast ? place < x : place > x)
      .map((place) => Math.abs(place - x));
    return cut(labelOf(item), fitting(Math.min(440, ...others, this.width) - 40));
  }

  /** On the last lane there is no room to the right. */
  #isLast(x) {
    return x > this.width - 200 && this.places.size > 1;
  }

  /** A note at a lane, with a frame around it: what a program prints, or how it ends. */
  #mark(item, y, label) {
    const x = this.places.get(item.lane) ?? 0;
    const dot = `<circle cx="${x}" cy="${y}" r="4"/>`;
    if (label === "") return dot;
    const width = label.length * 6.4 + 14;
    const left = this.#isLast(x) ? x - 12 - width : x + 12;
    return `${dot}<rect class="note" x="${left}" y="${y - 9}" width="${width}" height="18" rx="4"/>` +
      `<text x="${left + width / 2}" y="${y + 4}" text-anchor="middle">${safe(label)}</text>`;
  }

  /** Where an arrow between two lanes touches the first one: a relay has two edges. */
  #edge(id, other) {
    const x = this.places.get(id) ?? 0;
    if (id !== this.#relay) return x;
    return x + (this.places.get(other) < x ? -RELAY : RELAY);
  }

  /** The way of a message through a relay, from the time when it comes in to the time when it goes out. */
  #passage(item, x, came, y) {
    if (item.from !== this.#relay || item.came === undefined || this.#isOneOfMany.has(item.id)) return "";
    const colour = this.#colourOf(item);
    return `<line class="passage" style="color: ${colour}" x1="${
      this.#edge(item.from, item.beyond)
    }" y1="${came}" x2="${x}" y2="${y}"/>`;
  }

  #colourOf({ connection }) {
    return `var(--hue-${this.#store.connections.get(connection)?.colour ?? 0})`;
  }

  #arrow(item, y1, y2, came, text) {
    const [x1, whole] = [this.#edge(item.from, item.to), this.#edge(item.to, item.from)];
    // What arrives at a relay is lost there, what never arrives, somewhere on its way.
    const isDropped = item.isLost && item.to === this.#relay && item.arrived !== undefined;
    const x2 = isDropped ? this.places.get(item.to) : item.isLost ? (x1 + whole) / 2 : whole;
    const size = thickness(item.bytes);
    const ends = `x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"`;
    const angle = Math.atan2(y2 - y1, x2 - x1) * 180 / Math.PI;
    // Without the trace of one side it is dashed: it has departed or arrived at a time that nobody knows.
    const isBesideRelay = item.from === this.#relay || item.to === this.#relay;
    const isHalf = !isBesideRelay && (item.departed === undefined || (item.arrived === undefined && !item.isLost));
    const reach = 8 + size;
    // The line ends before the point of its head, which would not be seen below a thick line.
    const part = item.isLost ? 1 : 1 - 0.8 * reach / Math.max(reach, Math.hypot(x2 - x1, y2 - y1));
    const line = `<line x1="${x1}" y1="${y1}" x2="${x1 + part * (x2 - x1)}" y2="${y1 + part * (y2 - y1)}" ` +
      `stroke-width="${size}"${isHalf ? ' stroke-dasharray="7 4"' : ""}/><line class="hit" ${ends}/>`;
    const head = item.isLost
      ? `<path stroke-width="3" d="M${x2 - 6} ${y2 - 6} l12 12 m0 -12 l-12 12"/>`
      : `<path class="head" d="M0 0 L${-reach} ${reach / 2} L${-reach} ${-reach / 2} Z" ` +
        `transform="translate(${x2} ${y2}) rotate(${angle})"/>`;
    const first = item.again === undefined ? undefined : this.topOf(item.again);
    const from = first === undefined ? 0 : y1 - (this.#rows[this.#index.get(item.id)].top - first);
    const bow = whole > x1 ? -22 : 22;
    const tie = first === undefined
      ? ""
      : `<path class="tie" d="M${x1} ${from} C${x1 + bow} ${from} ${x1 + bow} ${y1} ${x1} ${y1}"/>`;
    // The text lies on its arrow, and begins at its sender: the next item begins below that.
    const isForward = whole > x1;
    const slope = isForward ? angle : angle - 180;
    const y = y1 + 14 * (y2 - y1) / Math.max(1, Math.abs(x2 - x1));
    const place = `transform="translate(${x1 + (isForward ? 14 : -14)} ${y}) rotate(${slope})"`;
    const words = text && `<text ${place} y="-5" text-anchor="${isForward ? "start" : "end"}">${text}</text>`;
    return this.#passage(item, x1, came, y1) + tie + line + head + words;
  }

  /** From which lane to which one. */
  #way({ kind, lane, from, to, isLost }) {
    const name = (id) => this.#store.lanes.find((lane) => lane.id === id)?.name ?? "";
    return kind === "mark" ? `at ${name(lane)}` : `from ${name(from)} to ${name(to)}${isLost ? ", lost" : ""}`;
  }
}
