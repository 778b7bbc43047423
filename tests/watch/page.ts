/**
 * The page, live from a server or saved in one file. Its scripts are the files in `page/`.
 *
 * @module
 */
import { escape } from "jsr:@std/html@1/entities";
import { page, pagePolicy, visible } from "../../http/_page.ts";
import type { Details } from "./server.ts";
import type { Entry } from "./entries.ts";
import details from "./page/details.js" with { type: "text" };
import exporting from "./page/export.js" with { type: "text" };
import layout from "./page/layout.js" with { type: "text" };
import main from "./page/main.js" with { type: "text" };
import picture from "./page/picture.js" with { type: "text" };
import store from "./page/store.js" with { type: "text" };
import { style } from "./style.ts";

/** In the order in which one uses the other. */
const parts: readonly string[] = [store, layout, picture, details, exporting, main];

/** The script: the parts one after another, without the lines that join them as modules. */
export const script = `"use strict";\n${
  parts.map((text) => text.replace(/^import .*\n/gm, "").replace(/^export /gm, "")).join("\n")
}`;

const scriptHash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(script))).toBase64();

export const PAGE_POLICY = pagePolicy({ "script-src": "'self'", "connect-src": "'self'" });

/** A file has no header: its policy stands in it. There it cannot say `frame-ancestors`. */
const SAVED_POLICY = pagePolicy({ "script-src": `'sha256-${scriptHash}'` }).replace(/; frame-ancestors 'none'/, "");

/** The page that shows an exchange as it happens. `network`: it can be started again, over this one or another. */
export const livePage = (title: string, network?: string): string =>
  page({ title, style, body: body(title, `<script src="/page.js" defer></script>`, true, network) });

/** The page with everything in it. */
export function savedPage(
  title: string,
  all: { entries: readonly Entry[]; messages: Record<string, Details | undefined> },
): string {
  // `<` would end the script, or begin a comment in it.
  const json = JSON.stringify(all).replaceAll("<", "\\u003c");
  const scripts = `<script type="application/json" id="data">${json}</script>\n<script>${script}</script>`;
  const whole = page({ title, style, body: body(title, scripts, false) });
  const policy = `<meta http-equiv="content-security-policy" content="${SAVED_POLICY}">`;
  return whole.replace('<meta charset="utf-8">', (meta) => `${meta}\n${policy}`);
}

const button = (id: string, text: string, title: string) =>
  `<button type="button" id="${id}" title="${title}">${text}</button>`;

const againForm = (network: string) =>
  `<form id="again"><input name="network" value="${escape(network)}" placeholder="loss=20% delay=50ms" size="20"
aria-label="Network" title="A bad network between both sides; empty: none"> <button>Run again</button></form>`;

const body = (title: string, scripts: string, isLive: boolean, network?: string) =>
  `<header>
<h1>${escape(visible(title))}</h1>
<div id="tools">
${isLive ? button("pause", "Pause", "Stop the picture; what comes is kept (p)") : ""}
${button("step", "Step", "Show the next message (s)")}
${button("start", "From the start", "Step through the exchange from its start (b)")}
${button("out", "−", "Smaller (-)").replace(">−<", ' aria-label="Smaller">−<')}
${button("in", "+", "Larger (+)").replace(">+<", ' aria-label="Larger">+<')}
<label>Connection <select id="connections"><option value="">all</option></select></label>
${isLive ? `<a id="save" href="/saved.html" download="exchange.html">Save page</a>` : ""}
${button("svg", "SVG", "Save the picture as SVG")}
${button("mermaid", "Mermaid", "Save the exchange as a sequence diagram of Mermaid")}
${network === undefined ? "" : againForm(network)}
</div>
<p id="status" role="status"></p>
</header>
<div id="views">
<div id="scroll">
<div id="lanes"></div>
<div id="picture" role="listbox" tabindex="0" aria-label="Messages" aria-describedby="keys"></div>
</div>
<section id="details" aria-label="Message" tabindex="0"><p>Choose a message: a click, or the arrow keys.</p></section>
</div>
<p id="keys">↑ ↓ choose a message; Home, End the first and the last; p stops, s goes one message on, + − zoom.
The distance between two messages grows with the time between them, but less than that; the numbers are milliseconds. A
dashed arrow was shown by one of its two programs alone.</p>
${scripts}`;
