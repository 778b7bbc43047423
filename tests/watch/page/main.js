/**
 * Joins the parts: what comes from the server, the picture, the keys and the buttons.
 *
 * @module
 */
import { lightUp, showDetails } from "./details.js";
import { save, toMermaid, toSvg } from "./export.js";
import { followNetwork } from "./network.js";
import { Picture, safe } from "./picture.js";
import { Store } from "./store.js";

const find = (selector) => document.querySelector(selector);
const [scroll, lanes, area, section, status] = ["#scroll", "#lanes", "#picture", "#details", "#status"].map(find);
const store = new Store();
const picture = new Picture(store);
const embedded = find("#data") && JSON.parse(find("#data").textContent);

const messages = new Map();
/** The bytes and the fields of a message, from the server or from this file. */
async function load(id = picture.selected) {
  if (embedded) return embedded.messages[id];
  if (!messages.has(id)) {
    const response = await fetch(`/message/${id}${location.search}`);
    if (!response.ok) throw new Error(await response.text());
    messages.set(id, await response.json());
  }
  return messages.get(id);
}

let isFollowing = true; // until its reader scrolls up
let isPlanned = false;
let isArranged = false;
/** From where to where the picture is drawn. */
let drawn = [0, 0];

/** Draws at most once a frame. `isNew`: something else is shown than before. */
function redraw(isNew) {
  isArranged &&= !isNew;
  if (isPlanned) return;
  isPlanned = true;
  requestAnimationFrame(() => {
    isPlanned = false;
    if (!isArranged) arrange();
    const [top, seen] = [scroll.scrollTop, scroll.clientHeight];
    // More than is seen: most of the steps of a scroll need no drawing then.
    drawn = [Math.max(0, top - seen), Math.min(area.clientHeight, top + 2 * seen)];
    area.innerHTML = picture.draw(...drawn);
    if (document.getElementById(`item-${picture.selected}`)) {
      area.setAttribute("aria-activedescendant", `item-${picture.selected}`);
    } else area.removeAttribute("aria-activedescendant");
  });
}

function arrange() {
  isArranged = true;
  picture.arrange(scroll.clientWidth);
  area.style.height = `${picture.height}px`;
  area.style.width = lanes.style.width = `${picture.width}px`;
  const [first = 0, second = picture.width] = picture.places.values();
  const shownLanes = store.shownLanes;
  lanes.innerHTML = shownLanes.map(({ id, name }, i) => {
    const isLast = i === shownLanes.length - 1 && shownLanes.length <= 3;
    const place = i === 0 ? "first" : isLast ? "last" : "";
    const room = roomOfName(i, first, second);
    const style = `left: ${picture.places.get(id)}px; max-width: ${room}px`;
    return `<span class="${place}" style="${style}" title="${safe(name)}">${safe(name)}</span>`;
  }).join("");
  if (isFollowing) scroll.scrollTop = picture.height;
  const { total, limit } = store;
  const hidden = limit < total ? `, ${total - limit} more to come` : "";
  const said = `${Math.min(total, limit)} events${hidden}`;
  if (status.textContent !== said) status.textContent = said;
  listConnections();
  find("#relay").hidden = find("#held").hidden = !store.relay;
  find("#relay").setAttribute("aria-pressed", store.isRelayShown);
}

/** The pixels for the name of a lane, so that it does not touch the next one. */
function roomOfName(i, first, second) {
  const count = picture.places.size;
  if (count < 3) return Math.min(second - first, picture.width / 2) - 8;
  // The name of a relay is short, and there is all the room beside it.
  if (count === 3 && picture.places.has(store.relay?.id)) return (i === 0 ? second : picture.width - second) - 64;
  return second - first - 36;
}

/** The connections, of which one can be shown alone. */
function listConnections() {
  const list = find("#connections");
  const choices = store.choices();
  const said = choices.map(({ id, name }) => `${id} ${name}`).join();
  if (list.dataset.said === said) return;
  list.dataset.said = said;
  const chosen = list.value;
  list.replaceChildren(new Option("all", ""), ...choices.map(({ id, name }) => new Option(name, id)));
  list.value = chosen;
}

/** Chooses an item, and opens it. */
function choose(id) {
  picture.selected = id;
  const item = store.shown[picture.indexOf(id)] ?? store.items.get(id);
  const top = picture.topOf(id);
  if (top !== undefined && (top < scroll.scrollTop || top > scroll.scrollTop + scroll.clientHeight - 80)) {
    isFollowing = false;
    scroll.scrollTop = top - scroll.clientHeight / 2;
  }
  redraw(false);
  if (!item) return;
  showDetails(section, item, store, load, () => picture.selected === id).catch((error) => {
    section.textContent = `The message cannot be loaded: ${error.message}`;
  });
}

function move(to) {
  const item = store.shown[Math.max(0, Math.min(to, store.shown.length - 1))];
  if (item) choose(item.id);
}

const isPaused = () => store.limit !== Infinity;

function pause(limit) {
  store.change({ limit });
  const button = find("#pause");
  if (button) button.textContent = isPaused() ? "Go on" : "Pause";
  isFollowing = true;
  redraw(true);
}

/** Shows one item more, and opens it. */
function step(limit = (isPaused() ? store.limit : 0) + 1) {
  store.select();
  pause(limit > store.total && embedded ? Infinity : limit);
  arrange();
  move(store.shown.length - 1);
}

function zoom(factor) {
  picture.zoom = Math.max(0.1, Math.min(picture.isToScale ? 500 : 8, picture.zoom * factor));
  isFollowing = false;
  redraw(true);
  if (picture.selected) {
    arrange();
    scroll.scrollTop = (picture.topOf(picture.selected) ?? 0) - scroll.clientHeight / 2;
  }
}

/** Shows the true time, or the compressed one again. */
function toScale() {
  picture.isToScale = !picture.isToScale;
  find("#scale").setAttribute("aria-pressed", picture.isToScale);
  picture.zoom = 1;
  zoom(1);
}

/** Shows the relay's lane, or what it passes on as one arrow. */
function showRelay() {
  store.change({ isRelayChosen: !store.isRelayShown });
  redraw(true);
}

const actions = {
  pause: () => pause(isPaused() ? Infinity : store.shown.length),
  step: () => step(),
  start: () => step(1),
  in: () => zoom(1.25),
  out: () => zoom(0.8),
  scale: toScale,
  relay: showRelay,
  svg: () => save(toSvg(picture, store), "image/svg+xml", "exchange.svg"),
  mermaid: () => save(toMermaid(store), "text/plain", "exchange.mmd"),
};
for (const [id, action] of Object.entries(actions)) find(`#${id}`)?.addEventListener("click", action);

const keys = { p: "pause", s: "step", b: "start", "+": "in", "=": "in", "-": "out", t: "scale", r: "relay" };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input")) return;
  const at = picture.indexOf(picture.selected);
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: store.shown.length - 1 };
  if (event.target === area && event.key in moves) move(moves[event.key]);
  else if (event.key in keys) actions[keys[event.key]]();
  else return;
  event.preventDefault();
});

area.addEventListener("click", (event) => {
  const item = event.target.closest("[data-id]");
  if (item) choose(Number(item.dataset.id));
});
let lastTop = 0;
scroll.addEventListener("scroll", () => {
  // Only its reader scrolls up; that the picture has grown below is no reason to stay behind.
  if (scroll.scrollTop < lastTop) isFollowing = false;
  else if (scroll.scrollTop + scroll.clientHeight >= picture.height) isFollowing = true;
  lastTop = scroll.scrollTop;
  const bottom = Math.min(area.clientHeight, scroll.scrollTop + scroll.clientHeight);
  if (scroll.scrollTop < drawn[0] || bottom > drawn[1]) redraw(false);
});
find("#connections").addEventListener("change", (event) => {
  store.change({ only: Number(event.target.value) });
  redraw(true);
});
if (find("#network")) followNetwork(find("#network"), (text) => status.textContent = text);
addEventListener("resize", () => redraw(true));
lightUp(section, load);

if (embedded) {
  isFollowing = false;
  store.add(embedded.entries);
  redraw(true);
} else {
  const events = new EventSource(`/events${location.search}`);
  let run = "";
  events.addEventListener("message", ({ data }) => {
    const { entries, run: newRun, pairs = [] } = JSON.parse(data);
    for (const { name, state } of pairs) {
      for (const link of document.querySelectorAll("#pairs a")) {
        if (link.dataset.name === name) link.textContent = `${name} ${state}`;
      }
    }
    if (run && run !== newRun) return location.reload(); // the task was started again, on the same port
    run = newRun;
    store.add(entries);
    redraw(true);
  });
  events.addEventListener("error", () => {
    const isGone = () => events.readyState !== EventSource.OPEN;
    setTimeout(() => isGone() && (status.textContent = "deno task watch has ended: what was shown stays."), 2000);
  });
}
