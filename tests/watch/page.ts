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
import network from "./page/network.js" with { type: "text" };
import picture from "./page/picture.js" with { type: "text" };
import store from "./page/store.js" with { type: "text" };
import { style } from "./style.ts";

/** In the order in which one uses the other. */
const parts: readonly string[] = [store, layout, picture, details, exporting, network, main];

/** The script: the parts one after another, without the lines that join them as modules. */
export const script = `"use strict";\n${
  parts.map((text) => text.replace(/^import .*\n/gm, "").replace(/^export /gm, "")).join("\n")
}`;

const scriptHash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(script))).toBase64();

export const PAGE_POLICY = pagePolicy({ "script-src": "'self'", "connect-src": "'self'" });

/** A file has no header: its policy stands in it. There it cannot say `frame-ancestors`. */
const SAVED_POLICY = pagePolicy({ "script-src": `'sha256-${scriptHash}'` }).replace(/; frame-ancestors 'none'/, "");

/** What the page can do besides showing the exchange. */
export interface PageOptions {
  /** The panel that says how bad the network is, as HTML. */
  readonly network?: string;
  /** The pairs that are shown one after another, as HTML. */
  readonly pairs?: string;
}

/** The page that shows an exchange as it happens. */
export const livePage = (title: string, options: PageOptions): string =>
  page({ title, style, body: body(title, `<script src="/page.js" defer></script>`, options) });

/** The page with everything in it. */
export function savedPage(
  title: string,
  all: { entries: readonly Entry[]; messages: Record<string, Details | undefined> },
): string {
  // `<` would end the script, or begin a comment in it.
  const json = JSON.stringify(all).replaceAll("<", "\\u003c");
  const scripts = `<script type="application/json" id="data">${json}</script>\n<script>${script}</script>`;
  const whole = page({ title, style, body: body(title, scripts) });
  const policy = `<meta http-equiv="content-security-policy" content="${SAVED_POLICY}">`;
  return whole.replace('<meta charset="utf-8">', (meta) => `${meta}\n${policy}`);
}

const button = (id: string, text: string, title: string, more = "") =>
  `<button type="button" id="${id}" title="${title}"${more}>${text}</button>`;

const line = (dash: string, end: string) =>
  `<svg viewBox="0 0 34 10" aria-hidden="true"><path d="M0 5H26"${dash}/>${end}</svg>`;
const head = '<path d="M26 1L33 5L26 9Z" fill="currentcolor"/>';

const legend = `<p id="legend"><span>${line("", head)} sent and read: as long as it slants</span>
<span>${line(' stroke-dasharray="7 4"', head)} shown by one of its two programs alone</span>
<span>${line("", '<path d="M22 1l8 8m0-8l-8 8"/>')} lost</span>
<span id="held" hidden>${line(' stroke-dasharray="3 3"', "")} held by the relay (<kbd>r</kbd> hides its lane)</span>
<span>numbers: milliseconds. The scale of time is compressed: <kbd>t</kbd> shows it as it is</span>
<span id="keys"><kbd>↑</kbd> <kbd>↓</kbd> choose, <kbd>Home</kbd> <kbd>End</kbd> first and last, <kbd>p</kbd> pause,
<kbd>s</kbd> step, <kbd>b</kbd> from the begin, <kbd>+</kbd> <kbd>−</kbd> zoom</span></p>`;

const body = (title: string, scripts: string, live?: PageOptions) =>
  `<header>
<h1>${escape(visible(title))}</h1>
<div id="tools">
<span class="group">
${live ? button("pause", "Pause", "Stop the picture; what comes is kept (p)") : ""}
${button("step", "Step", "Show the next message (s)")}
${button("start", "From the start", "Step through the exchange from its start (b)")}
</span>
<span class="group">
${button("out", "−", "Smaller (-)", ' aria-label="Smaller"')}
${button("in", "+", "Larger (+)", ' aria-label="Larger"')}
${button("scale", "To scale", "Show the true time (t)", ' aria-pressed="false"')}
${button("relay", "Relay", "Show what the relay gets and what it sends (r)", ' aria-pressed="true" hidden')}
</span>
<label>Connection <select id="connections"><option value="">all</option></select></label>
<span class="group">
${live ? `<a id="save" href="/saved.html" download="exchange.html">Save page</a>` : ""}
${button("svg", "SVG", "Save the picture as SVG")}
${button("mermaid", "Mermaid", "Save the exchange as a sequence diagram of Mermaid")}
</span>
</div>
<p id="status" role="status"></p>
</header>
${live?.pairs ?? ""}
<div id="views">
<div id="scroll">
<div id="lanes"></div>
<div id="picture" role="listbox" tabindex="0" aria-label="Messages" aria-describedby="keys"></div>
</div>
<div id="side">
${live?.network ?? ""}
<section id="details" aria-label="Message" tabindex="0"><p>Choose a message: a click, or the arrow keys.</p></section>
</div>
</div>
${legend}
${scripts}`;
