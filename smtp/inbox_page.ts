/**
 * The pages of the inbox. All that comes from a mail is escaped here; the one thing that is not, its HTML, has a frame and a
 * policy of its own.
 *
 * @module
 */
import { escape } from "jsr:@std/html@1/entities";
import type { Mail, Summary } from "./mailbox.ts";

/** The inbox itself: its own script and style, and frames of its own, which can lead nowhere else. */
export const PAGE_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; " +
  "img-src data:; frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/** The HTML of a mail: no scripts, no forms, nothing from anywhere but what is in it. */
export const FRAME_POLICY =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; " +
  "base-uri 'none'; frame-ancestors 'self'";

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.25rem; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; }
th { text-align: start; font-weight: 500; font-size: 0.875rem; opacity: 0.7; white-space: nowrap; }
th, td { padding: 0.4rem 0.5rem; border-bottom: 1px solid color-mix(in srgb, currentcolor 15%, transparent);
  vertical-align: top; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
iframe { width: 100%; height: 24rem; border: 1px solid color-mix(in srgb, currentcolor 30%, transparent); background: #fff; }
a { text-decoration: none; }
a:hover { text-decoration: underline; }
time, .size { white-space: nowrap; }
@media (max-width: 40rem) { .to, .size { display: none; } }
`;

const frame = (title: string, body: string) =>
  `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escape(title)}</title>
<style>${style}</style>
${body}
`;

/** The list of mails. */
export function listPage(mails: readonly Summary[]): string {
  const rows = mails.map(({ name, from, to, subject, received, size }) => {
    const date = new Date(received).toISOString();
    return `<tr><td>${escape(from)}</td><td class="to">${escape(to)}</td>` +
      `<td><a href="/mail/${encodeURIComponent(name)}/">${escape(subject)}</a></td>` +
      `<td><time datetime="${date}">${
        date.slice(0, 16).replace("T", " ")
      }</time></td><td class="size">${size} B</td></tr>`;
  });
  return frame(
    "Inbox",
    `<h1>Inbox</h1>
<table>
<thead><tr><th>From</th><th class="to">To</th><th>Subject</th><th>Received (UTC)</th><th class="size">Size</th></tr></thead>
<tbody id="mails">
${rows.join("\n")}
</tbody>
</table>
${mails.length === 0 ? "<p>No mail yet. It appears here when it comes.</p>" : ""}
<script src="/page.js" type="module"></script>`,
  );
}

/** One mail. */
export function mailPage(name: string, { subject, headers, text, html, attachments }: Mail): string {
  const path = `/mail/${encodeURIComponent(name)}`;
  const fields = headers.map(({ name, value }) => `<tr><th>${escape(name)}</th><td>${escape(value)}</td></tr>`);
  const files = attachments.map(({ name, type, content }, i) =>
    `<li><a href="${path}/part/${i}">${escape(name)}</a> (${escape(type)}, ${content.length} bytes)</li>`
  );
  return frame(
    subject || "(no subject)",
    `<p><a href="/">Inbox</a></p>
<h1>${escape(subject || "(no subject)")}</h1>
${text ? `<pre id="text">${escape(text)}</pre>` : ""}
${html ? `<iframe sandbox src="${path}/html" title="The mail's HTML" referrerpolicy="no-referrer"></iframe>` : ""}
${files.length > 0 ? `<h2>Attachments</h2>\n<ul>\n${files.join("\n")}\n</ul>` : ""}
<h2>Header</h2>
<table id="header">${fields.join("\n")}</table>
<p><a href="${path}/raw">Source</a></p>`,
  );
}

/** How many characters the pictures in a mail's HTML may take: one that is named again and again is there each time. */
const PICTURES = 32 << 20;

/**
 * The HTML of a mail, with the pictures that came with it: HTML names them by `cid:` (RFC 2392), which browsers do not know.
 */
export function withPictures({ html, attachments }: Mail): string {
  let room = PICTURES;
  return html.replace(/(\ssrc\s*=\s*["']?)cid:([^"'\s>]+)/gi, (whole, before: string, id: string) => {
    const picture = attachments.find((part) => part.id === id || encodeURIComponent(part.id) === id);
    if (!picture || !/^image\/(png|jpeg|gif|webp)$/.test(picture.type)) return whole;
    const length = Math.ceil(picture.content.length / 3) * 4;
    if (length > room) return whole;
    room -= length;
    return `${before}data:${picture.type};base64,${picture.content.toBase64()}`;
  });
}

/** Fetches the list anew when the server says that there is something new. */
export const script = `new EventSource("/events").addEventListener("message", async () => {
  const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
  document.querySelector("#mails").replaceWith(page.querySelector("#mails"));
  document.querySelector("p")?.remove();
});
`;
