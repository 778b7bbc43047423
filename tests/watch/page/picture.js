/**
 * Draws the part of the picture that is visible, as SVG.
 *
 * @module
 */
import { lanePlaces, layout, thickness, visibleRange } from "./layout.js";
import { startOf } from "./store.js";

/** Text as it may stand in SVG and HTML. */
export const safe = (text) => String(text).replace(/[&<>"']/g, (sign) => "&#" + sign.charCodeAt(0) + ";");

/** What an item says. */
export function labelOf(item) {
  if (item.kind === "mark") return item.text;
  const size = item.bytes === 0 ? "" : item.bytes + (item.bytes === 1 ? " byte" : " bytes");
  return [item.note, size, item.text].filter((part) => part !== "").join(" · ");
}

/** Milliseconds since the first message. */
export const timeOf = (t, store) => ((t - store.first) / 1000).toFixed(3);

export class Picture {
  zoom = 1;
  selected = 0;
  #store;
  #rows = [];
  #index = new Map();
  #longest = 0;
  height = 0;
  width = 0;
  places = new Map();

  constructor(store) {
    this.#store = store;
  }

  /** Computes where everything stands. */
  arrange(width) {
    this.#store.select();
    const { rows, height } = layout(this.#store.shown, this.zoom);
    [this.#rows, this.height] = [rows, height + 40];
    this.#longest = rows.reduce((most, { top, bottom }) => Math.max(most, bottom - top), 0);
    this.#index = new Map(this.#store.shown.map(({ id }, i) => [id, i]));
    Object.assign(this, lanePlaces(this.#store.lanes, width));
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
    const [first, last] = visibleRange(this.#rows, from - 60, to + 60, this.#longest);
    const lines = [...this.places.values()].map((x) =>
      `<line class="lane" x1="${x}" x2="${x}" y1="0" y2="${to - from}"/>`
    );
    const parts = [];
    for (let i = first; i < last; i++) parts.push(this.#item(this.#store.shown[i], this.#rows[i], 20 - from));
    return `<svg width="${this.width}" height="${to - from}" style="top: ${from}px" role="none">` +
      `<g aria-hidden="true">${lines.join("")}</g>${parts.join("")}</svg>`;
  }

  #item(item, { top, bottom }, shift) {
    const [time, label] = [timeOf(startOf(item), this.#store), this.#shown(item)];
    const y = top + shift;
    const shape = item.kind === "mark" ? this.#mark(item, y, label) : this.#arrow(item, y, bottom + shift, label);
    const colour = item.kind === "mark"
      ? ""
      : ` style="color: var(--hue-${this.#store.connections.get(item.connection)?.colour ?? 0})"`;
    const classes = [item.kind, item.isLost && "lost", item.isFailure && "failure"].filter((name) => name).join(" ");
    return `<g role="option" id="item-${item.id}" data-id="${item.id}" aria-selected="${item.id === this.selected}" ` +
      `aria-label="${safe(`${time} ${label}, ${this.#way(item)}`)}" class="${classes}"${colour}>` +
      `<text class="time" x="72" y="${y + 4}" text-anchor="end">${time}</text> ${shape}</g>`;
  }

  /** As much of an item's text as fits. */
  #shown(item) {
    const label = item.again === undefined ? labelOf(item) : `again: ${labelOf(item)}`;
    const length = item.kind === "mark" ? 400 : Math.abs(this.places.get(item.from) - this.places.get(item.to));
    const room = Math.floor(length / 7);
    return label.length > room ? `${label.slice(0, room - 1)}…` : label;
  }

  #mark({ lane }, y, label) {
    const x = this.places.get(lane) ?? 0;
    // On the last lane there is no room to the right.
    const isLast = x > this.width - 200 && this.places.size > 1;
    const at = isLast ? `x="${x - 10}" text-anchor="end"` : `x="${x + 10}"`;
    return `<circle cx="${x}" cy="${y}" r="4"/><text ${at} y="${y + 4}">${safe(label)}</text>`;
  }

  #arrow(item, y1, y2, label) {
    const [x1, whole] = [this.places.get(item.from) ?? 0, this.places.get(item.to) ?? 0];
    const x2 = item.isLost ? (x1 + whole) / 2 : whole;
    const size = thickness(item.bytes);
    const ends = `x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"`;
    const angle = Math.atan2(y2 - y1, x2 - x1) * 180 / Math.PI;
    // Without the trace of one side it is dashed: it has departed or arrived at a time that nobody knows.
    const isHalf = item.departed === undefined || (item.arrived === undefined && !item.isLost);
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
    const bow = whole > x1 ? -24 : 24;
    const tie = first === undefined
      ? ""
      : `<path class="tie" d="M${x1} ${from} C${x1 + bow} ${from} ${x1 + bow} ${y1} ${x1} ${y1}"/>`;
    // The text lies on its arrow; one that is lost begins it.
    const isForward = whole > x1;
    const slope = isForward ? angle : angle - 180;
    const x = item.isLost ? x1 + (isForward ? 12 : -12) : (x1 + x2) / 2;
    const anchor = !item.isLost ? "middle" : isForward ? "start" : "end";
    const at = `transform="translate(${x} ${item.isLost ? y1 : (y1 + y2) / 2}) rotate(${slope})"`;
    const text = this.zoom < 0.6 ? "" : `<text ${at} y="-4" text-anchor="${anchor}">${safe(label)}</text>`;
    return tie + line + head + text;
  }

  /** From which lane to which one. */
  #way({ kind, lane, from, to, isLost }) {
    const name = (id) => this.#store.lanes.find((lane) => lane.id === id)?.name ?? "";
    return kind === "mark" ? `at ${name(lane)}` : `from ${name(from)} to ${name(to)}${isLost ? ", lost" : ""}`;
  }
}
