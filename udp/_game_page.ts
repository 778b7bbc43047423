/**
 * The game in a browser: a page that draws what this program shows, and sends it the keys. A page cannot send datagrams, so the
 * client of the game is still this program; between the two is a WebSocket.
 *
 * @module
 */
import { explain } from "../tcp/_socket_errors.ts";
import type { Key, Picture } from "./_game_screen.ts";
import { CELL, FIELD, isWall, TICKS_PER_SECOND } from "./_game_world.ts";

/** Bytes that wait for a page that is slow: more pictures would only be older ones. */
const MAX_UNSENT = 65_536;

export class GamePage implements Disposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** The window that plays: the newest. */
  #socket: WebSocket | undefined;
  #take: (key: Key) => void = () => {};

  /** Serves the page on this port of 127.0.0.1. @throws {Failure} when the port is in use, or is not allowed. */
  constructor(port: number) {
    const onListen = (addr: Deno.NetAddr) => console.log(`Open http://127.0.0.1:${addr.port}/ to play (Ctrl-C leaves)`);
    try {
      this.#server = Deno.serve({ hostname: "127.0.0.1", port, onListen }, (request) => this.#respond(request));
    } catch (error) {
      throw explain(error, { hostname: "127.0.0.1", port }, "--page");
    }
  }

  #respond(request: Request): Response {
    const { host, pathname } = new URL(request.url);
    const { port } = this.#server.addr;
    // A page of any site can have its name point to 127.0.0.1 (DNS rebinding), and may open a WebSocket to any server.
    if (![`127.0.0.1:${port}`, `localhost:${port}`].includes(host)) return new Response(null, { status: 421 });
    if (pathname === "/game" && request.headers.get("upgrade")?.toLowerCase() === "websocket") {
      if (request.headers.get("origin") !== `http://${host}`) return new Response(null, { status: 403 });
      return this.#play(request);
    }
    const found = pages[pathname];
    if (!found) return new Response("the game is at /\n", { status: 404 });
    const [type, text] = found;
    return new Response(text, {
      headers: {
        "Content-Type": `${type}; charset=UTF-8`,
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
      },
    });
  }

  #play(request: Request): Response {
    const { socket, response } = Deno.upgradeWebSocket(request);
    this.#socket?.close(1000, "another window plays");
    this.#socket = socket;
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      const key = keys.find((key) => `${key}` === data);
      if (key !== undefined && socket === this.#socket) this.#take(key);
    });
    socket.addEventListener("close", () => {
      if (socket === this.#socket) this.#take(0); // nobody is there: the player stops
    });
    socket.addEventListener("error", () => {}); // "close" follows
    return response;
  }

  /** Sends a picture to the window that plays. */
  show(picture: Picture): void {
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.OPEN && socket.bufferedAmount < MAX_UNSENT) {
      socket.send(JSON.stringify(picture));
    }
  }

  /** Calls `take` for each key. There may always be another one. */
  read(take: (key: Key) => void): Promise<void> {
    this.#take = take;
    return this.#server.finished;
  }

  [Symbol.dispose](): void {
    this.#socket?.close(1000, "the game is over");
    this.#server.shutdown().catch(() => {}); // the program ends now
  }
}

const keys: readonly Key[] = [0, 1, 2, 3, 4, "quit"];

const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const html = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>A game over UDP</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; background: light-dark(#fff, #15181d); color: light-dark(#1c2024, #e4e7eb); }
main { max-width: 50rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.25rem; margin: 0; }
ul { display: flex; flex-wrap: wrap; gap: 0 1.5rem; min-height: 1.5em; padding: 0; margin: 0.5rem 0; list-style: none; }
canvas { width: 100%; display: block; border: 1px solid; border-radius: 6px; touch-action: none; }
#keys { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-top: 0.5rem; }
button { font: inherit; min-width: 3rem; padding: 0.4rem 0.7rem; }
</style>
<main>
<h1>A game over UDP</h1>
<p>You are the filled circle. Ten dots win the round. Arrows or WASD run, space stops.</p>
<ul id="scores" aria-label="Scores"></ul>
<canvas id="field" width="${FIELD.width * 20}" height="${FIELD.height * 20}" role="img" aria-label="The field"></canvas>
<div id="keys">
<button value="4" aria-label="left">←</button> <button value="1" aria-label="up">↑</button>
<button value="3" aria-label="down">↓</button> <button value="2" aria-label="right">→</button>
<button value="0">Stop</button> <button value="quit">Leave</button>
</div>
<p id="status">connecting …</p>
</main>
<script src="/page.js" type="module"></script>
`;

const walls = Array.from(
  { length: FIELD.width * FIELD.height },
  (_, i) => [i % FIELD.width, Math.floor(i / FIELD.width)],
)
  .filter(([x = 0, y = 0]) => isWall({ x, y }));

const script = `const walls = ${JSON.stringify(walls)};
const cell = 20; // pixels
const tick = ${1000 / TICKS_PER_SECOND}; // milliseconds
const canvas = document.querySelector("#field");
const pen = canvas.getContext("2d");
const status = document.querySelector("#status");
const scores = document.querySelector("#scores");
const socket = new WebSocket(new URL("/game", location.href.replace("http", "ws")));
let last, now, since = 0;

socket.addEventListener("message", ({ data }) => {
  [last, now, since] = [now, JSON.parse(data), performance.now()];
  if (status.textContent !== now.status) status.textContent = now.status;
  const lines = now.players.map(({ id, name, score, wins }) =>
    (id === now.you ? "you, " : "") + name + ": " + score + " (" + wins + " won)");
  if (lines.join() === scores.dataset.shown) return;
  scores.dataset.shown = lines.join();
  scores.replaceChildren(...lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line; // a name is text, even if it looks like HTML
    return item;
  }));
});
socket.addEventListener("close", ({ reason }) => {
  status.role = "alert"; // until now it changed with each tick: nobody wants to hear that
  status.textContent = reason || "the client of the game has ended";
});

const send = (key) => socket.readyState === WebSocket.OPEN && socket.send(key);
const keys = { ArrowUp: 1, ArrowRight: 2, ArrowDown: 3, ArrowLeft: 4, w: 1, d: 2, s: 3, a: 4, " ": 0 };
addEventListener("keydown", (event) => {
  const key = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  // The space bar presses a button that has the focus.
  if (key === undefined || event.ctrlKey || event.metaKey || event.altKey || (key === 0 && event.target.value)) return;
  event.preventDefault();
  if (!event.repeat) send(String(key));
});
document.querySelector("#keys").addEventListener("click", ({ target }) => target.value && send(target.value));

const isDark = matchMedia("(prefers-color-scheme: dark)");
function circle(x, y, radius) {
  pen.beginPath();
  pen.arc((x + 0.5) * cell, (y + 0.5) * cell, radius * cell, 0, 2 * Math.PI);
}
function draw() {
  requestAnimationFrame(draw);
  if (!now) return;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const [ink, own, other] = isDark.matches ? ["#9ba5b0", "#86b7ff", "#ff9a92"] : ["#57606a", "#0a55b8", "#b3261e"];
  pen.fillStyle = ink;
  for (const [x, y] of walls) pen.fillRect(x * cell, y * cell, cell, cell);
  for (const { x, y } of now.dots) circle(x, y, 0.2), pen.fill();
  const part = Math.min(1, (performance.now() - since) / tick); // between two pictures a player moves evenly
  for (const player of now.players) {
    const from = last?.players.find(({ id }) => id === player.id) ?? player;
    const [x, y] = ["x", "y"].map((axis) => (from[axis] + (player[axis] - from[axis]) * part) / ${CELL});
    pen.fillStyle = pen.strokeStyle = player.id === now.you ? own : other;
    pen.lineWidth = 2;
    circle(x, y, 0.5);
    player.id === now.you ? pen.fill() : pen.stroke();
    pen.font = "12px system-ui";
    if (player.id !== now.you) pen.fillText(player.name.slice(0, 8), x * cell, y * cell - 4);
  }
}
draw();
`;

const pages: Readonly<Record<string, [type: string, text: string]>> = {
  "/": ["text/html", html],
  "/page.js": ["text/javascript", script],
};
