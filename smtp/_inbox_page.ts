/**
 * The pages of the inbox. All text of a mail is escaped here, except its HTML: that is shown in a frame with its own policy.
 *
 * @module
 */
import { escape } from "jsr:@std/html@1/entities";
import { page, pagePolicy } from "../http/_page.ts";
import type { MailSummary, ParsedMail } from "./_maildir_reader.ts";

/** The inbox itself runs its own script. Its frames can show nothing but this server. */
export const PAGE_POLICY = pagePolicy({ "script-src": "'self'", "connect-src": "'self'", "frame-src": "'self'" });

/** The HTML of a mail runs no script, submits no form, and loads nothing. Only the inbox may put it into a frame. */
export const FRAME_POLICY = pagePolicy({ "sandbox": "", "frame-ancestors": "'self'" });

const style = `
body { max-width: 60rem; }
th { white-space: nowrap; }
th, td { vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
iframe { width: 100%; height: 24rem; border: 1px solid color-mix(in srgb, currentcolor 30%, transparent); background: #fff; }
time, .size { white-space: nowrap; }
@media (max-width: 40rem) { .to, .size { display: none; } }
`;

/** The list of mails. */
export function inboxPage(mails: readonly MailSummary[]): string {
  const rows = mails.map(({ name, from, to, subject, received, size }) => {
    const date = new Date(received).toISOString();
    return `<tr><td>${escape(from)}</td><td class="to">${escape(to)}</td>` +
      `<td><a href="/mail/${encodeURIComponent(name)}/">${escape(subject)}</a></td>` +
      `<td><time datetime="${date}">${date.slice(0, 16).replace("T", " ")}</time></td>` +
      `<td class="size">${size} B</td></tr>`;
  });
  return page({
    title: "Inbox",
    style,
    body: `<h1>Inbox</h1>
<table>
<thead><tr><th>From</th><th class="to">To</th><th>Subject</th><th>Received (UTC)</th><th class="size">Size</th></tr></thead>
<tbody id="mails">
${rows.join("\n")}
</tbody>
</table>
${mails.length === 0 ? '<p id="empty">No mail yet. New mail appears here by itself.</p>' : ""}
<script src="/page.js" type="module"></script>`,
  });
}

/** One mail. */
export function mailPage(name: string, { subject, headers, text, html, attachments }: ParsedMail): string {
  const path = `/mail/${encodeURIComponent(name)}`;
  const title = subject || "(no subject)";
  const fields = headers.map(({ name, value }) => `<tr><th>${escape(name)}</th><td>${escape(value)}</td></tr>`);
  const files = attachments.map(({ name, type, content }, i) =>
    `<li><a href="${path}/part/${i}">${escape(name)}</a> (${escape(type)}, ${content.length} bytes)</li>`
  );
  return page({
    title,
    style,
    body: `<p><a href="/">Inbox</a></p>
<h1>${escape(title)}</h1>
${text ? `<pre id="text">${escape(text)}</pre>` : ""}
${html ? `<iframe sandbox src="${path}/html" title="The mail's HTML" referrerpolicy="no-referrer"></iframe>` : ""}
${files.length > 0 ? `<h2>Attachments</h2>\n<ul>\n${files.join("\n")}\n</ul>` : ""}
<h2>Header</h2>
<table id="header">${fields.join("\n")}</table>
<p><a href="${path}/raw">Source</a></p>`,
  });
}

/** How many characters the pictures in a mail's HTML may take: a picture that is used n times is inserted n times. */
const MAX_PICTURES_LENGTH = 32 << 20;

/** Replaces `cid:` URLs (RFC 2392), which browsers do not support, with the attached pictures as `data:` URLs. */
export function inlinePictures({ html, attachments }: ParsedMail): string {
  let room = MAX_PICTURES_LENGTH;
  return html.replace(/(\ssrc\s*=\s*["']?)cid:([^"'\s>]+)/gi, (whole, before: string, id: string) => {
    const picture = attachments.find((part) => part.id === id || encodeURIComponent(part.id) === id);
    if (!picture || !/^image\/(png|jpeg|gif|webp)$/.test(picture.type)) return whole;
    const length = Math.ceil(picture.content.length / 3) * 4;
    if (length > room) return whole;
    room -= length;
    return `${before}data:${picture.type};base64,${picture.content.toBase64()}`;
  });
}

/** Runs in the browser: loads the list again when the server reports new mail. Only the newest list is shown. */
export const script = `let newest = 0;
new EventSource("/events").addEventListener("message", async () => {
  const number = ++newest;
  const html = await (await fetch("/")).text();
  if (number !== newest) return;
  const page = new DOMParser().parseFromString(html, "text/html");
  document.querySelector("#mails").replaceWith(page.querySelector("#mails"));
  document.querySelector("#empty")?.remove();
});
`;
