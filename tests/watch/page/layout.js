/**
 * Where things stand: time downwards, lanes side by side. Pure functions.
 *
 * @module
 */
import { endOf, startOf } from "./store.js";

/** Pixels between two items at least, and what a longer time adds at most. */
const ROW = 26;
const MOST = 90;

/** Pixels of a whole exchange that is drawn to scale, without zoom: at least so many, and so many for an item. */
const TO_SCALE = { least: 1200, item: 16 };

/** How far below the last event another one stands that comes `microseconds` later. */
export const gap = (microseconds) => Math.min(MOST, 10 * Math.log10(1 + microseconds / 100));

/**
 * The height of each event. An item begins at least a row below the one before it, so that their texts do not overlap;
 * the end of an arrow only needs its time. What a relay passes on unchanged has said already what it says: it has a text
 * where there is room. Returns an array with `top` and `bottom` for each item, and the whole height; `came` is where an arrow
 * that goes out of a relay has come in.
 */
export function layout(items, zoom) {
  const events = items.flatMap((item, i) => [
    ...[[startOf(item), i, 0], [endOf(item), i, 1]],
    ...item.came === undefined ? [] : [[item.came, i, -1]],
  ]);
  events.sort(([t1, i1, end1], [t2, i2, end2]) => t1 - t2 || i1 - i2 || end1 - end2);
  const rows = items.map(() => ({ top: 0, bottom: 0, hasText: true }));
  let [y, last, lastStart] = [0, events[0]?.[0] ?? 0, -ROW * zoom];
  for (const [t, i, which] of events) {
    y += gap(t - last) * zoom;
    last = t;
    if (which > 0) rows[i].bottom = y;
    else if (which < 0) rows[i].came = y;
    else {
      if (!items[i].isSame || items[i].came === undefined) y = Math.max(y, lastStart + ROW * zoom);
      rows[i].hasText = y >= lastStart + ROW * zoom;
      if (rows[i].hasText) lastStart = y;
      rows[i].top = y;
    }
  }
  return { rows, height: y + 2 * ROW };
}

/** As `layout`, with the true time: what happens together stands together. A text for which there is no room is left out. */
export function layoutToScale(items, zoom) {
  const first = items.length > 0 ? startOf(items[0]) : 0;
  const last = items.reduce((latest, item) => Math.max(latest, endOf(item)), first + 1);
  const whole = zoom * Math.max(TO_SCALE.least, TO_SCALE.item * items.length);
  const scale = whole / (last - first);
  let lastText = -Infinity;
  const rows = items.map((item) => {
    const [top, bottom, came] = [startOf(item), endOf(item), item.came].map((t) => (t - first) * scale);
    const hasText = top - lastText >= 14;
    if (hasText) lastText = top;
    return { top, bottom, came, hasText };
  });
  return { rows, height: whole + 2 * ROW };
}

/** Where the lanes stand, in a picture that is at least so wide. */
export function lanePlaces(lanes, width) {
  const isNarrow = width < 480;
  const margin = isNarrow ? 72 : 96; // the times stand left of the first lane
  const right = isNarrow ? 24 : lanes.length > 3 ? 110 : 48; // the outer names stand at the edges, of many lanes in their middle
  const least = lanes.length === 3 ? 170 : isNarrow ? 200 : 240;
  const step = Math.max(least, (width - margin - right) / Math.max(1, lanes.length - 1));
  const places = new Map(lanes.map(({ id }, i) => [id, margin + i * step]));
  return { places, width: Math.max(width, margin + right + step * Math.max(0, lanes.length - 1)) };
}

/** The items between two heights: their tops are in order, and no arrow is longer than what stands above `from`. */
export function visibleRange(rows, from, to, longest) {
  const find = (y) => {
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].top < y) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return [find(from - longest), find(to)];
}

/** The thickness of an arrow: one more pixel for sixteen times the bytes. */
export const thickness = (bytes) => 1.5 + Math.log2(1 + bytes) / 4;
