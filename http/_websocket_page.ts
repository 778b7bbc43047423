/**
 * The chat page of the WebSocket server, and its script, which runs in the browser.
 *
 * @module
 */
import { page, pagePolicy } from "./_page.ts";

/** The page at `/`. */
export const chatPage = page({
  title: "Chat",
  style: `
form { display: flex; flex-wrap: wrap; gap: 0.75rem; align-items: end; }
label { display: grid; flex: 1 1 12rem; font-size: 0.875rem; }
input { font-size: 1rem; }
#log p { margin: 0; padding: 0.25rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
#log p.own { color: var(--muted); }
#status { min-height: 1.5em; }
`,
  body: `<h1>Chat</h1>
<form id="say">
<label>Message <input name="text" autocomplete="off" required maxlength="1000"></label>
<button disabled>Send</button>
</form>
<p id="status" role="status">connecting …</p>
<div id="log" role="log" aria-label="Messages"></div>
<script src="/page.js" type="module"></script>`,
});

/** The page runs its own script, which may connect to this server. In this policy 'self' includes ws: and wss:. */
export const chatPolicy = pagePolicy({ "script-src": "'self'", "connect-src": "'self'" });

/** The script of the page. It has no template literals, because their backquotes would end the string. */
export const chatScript = `const log = document.querySelector("#log");
const status = document.querySelector("#status");
const say = document.querySelector("#say");
const most = 200; // older messages leave the page

const url = new URL("/chat", location.href);
url.protocol = url.protocol.replace("http", "ws");
const socket = new WebSocket(url);

function show(text, isOwn) {
  const item = document.createElement("p");
  item.dir = "auto"; // a message may be written from right to left
  item.className = isOwn ? "own" : "";
  item.textContent = text; // text stays text, even if it looks like HTML
  log.prepend(item);
  while (log.children.length > most) log.lastChild.remove();
}

socket.addEventListener("open", () => {
  status.textContent = "connected";
  say.querySelector("button").disabled = false;
});
socket.addEventListener("message", (event) => show(event.data, false));
socket.addEventListener("close", (event) => {
  status.textContent = "closed: " + event.code + " " + event.reason + " (reload the page to connect again)";
  say.querySelector("button").disabled = true;
});
say.addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  const text = say.elements.text.value;
  socket.send(text);
  show("you: " + text, true);
  say.reset();
});
`;
