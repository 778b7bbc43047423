/**
 * The pages of the inbox: the list, and one mail. All text of a mail is escaped here, except its HTML: that is shown in a
 * frame with its own policy.
 *
 * @module
 */
import { escape } from "jsr:@std/html@1/entities";
import { count } from "../cli.ts";
import { humanSize } from "../http/_listing.ts";
import { foreign, page, pagePolicy, visible } from "../http/_page.ts";
import { linkedText, SANDBOX } from "./_inbox_html.ts";
import type { Mailbox, ParsedMail } from "./_inbox_mail.ts";
import { style } from "./_inbox_style.ts";
import type { Entry, ListedMail } from "./_maildir_reader.ts";

/** The inbox itself runs its own script. Its frames can show nothing but this server. */
export const PAGE_POLICY = pagePolicy({
  "script-src": "'self'",
  "connect-src": "'self'",
  "frame-src": "'self'",
  "form-action": "'self'",
});

/** A page of the list. */
export interface ListPage {
  readonly mails: readonly ListedMail[];
  /** How many mails match the search, and how many of them were not read. */
  readonly total: number;
  readonly unread: number;
  /** The search, or "". */
  readonly q: string;
  readonly number: number;
  readonly pageSize: number;
  readonly isReadOnly: boolean;
}

/** The list of mails. */
export function inboxPage({ mails, total, unread, q, number, pageSize, isReadOnly }: ListPage): string {
  const found = q === "" ? count(total, "mail") : `${count(total, "mail")} with “${visible(q)}”`;
  const summary = total === 0 ? found : `${found}, ${unread} unread`;
  const clear = total === 0 || isReadOnly
    ? ""
    : button("clear", q === "" ? "Delete all" : "Delete these", `data-total="${total}"`);
  return page({
    title: unread > 0 ? `(${unread}) Inbox` : "Inbox",
    style,
    data: { page: "list", ...isReadOnly ? { readOnly: "" } : {} },
    body: `<header>
<h1><a href="/">Inbox</a></h1>
<form role="search" action="/">
<input type="search" name="q" value="${escape(q)}" maxlength="200" aria-label="Search mails" placeholder="Search mails">
<button>Search</button>
</form>
<span id="tools">${clear}</span>
</header>
<p id="status" role="status"></p>
${isReadOnly ? READ_ONLY : ""}
<p id="summary">${escape(summary)}</p>
<ul id="mails" aria-label="Mails">
${mails.map((mail) => row(mail, isReadOnly)).join("\n")}
</ul>
<div id="empty">${total > 0 ? "" : `<p>${q === "" ? EMPTY : "No mail matches this search."}</p>`}</div>
<nav id="pages" aria-label="Pages">${pages(total, q, number, pageSize)}</nav>
<p class="footer">For tests: <a href="/openapi.json">the API</a></p>
<script src="/page.js" type="module"></script>`,
  });
}

const EMPTY = "No mail yet. New mail appears here by itself.";
const READ_ONLY = `<p class="note">Read only. To delete mails and to mark them as read, ` +
  `start the inbox with <code>-W</code> and the Maildir's folder.</p>`;

function row(
  { id, from, to, subject, excerpt, received, size, isRead, hasAttachments }: ListedMail,
  isReadOnly: boolean,
) {
  const title = subjectOf(subject);
  const sender = from.map(shortName).join(", ") || "(nobody)";
  const recipients = to.map(shortName).join(", ") || "(nobody)";
  const field = (kind: string, text: string, whole = text) =>
    `<span class="${kind}" title="${escape(visible(whole))}">${foreign(text)}</span>`;
  const remove = `<button type="button" class="delete" aria-label="Delete ${escape(title)}" title="Delete">✕</button>`;
  return `<li data-id="${escape(id)}" class="${isRead ? "read" : "unread"}"><a href="/mail/${
    encodeURIComponent(id)
  }/">` +
    `<span class="state">${isRead ? "" : "Unread"}</span>` +
    field("from", sender, from.map(fullName).join(", ")) +
    field("to", `To ${recipients}`, to.map(fullName).join(", ")) +
    field("subject", title) + field("excerpt", excerpt) + time(received) +
    `<span class="size">${hasAttachments ? PAPERCLIP : ""}${humanSize(size)}</span></a>` +
    `${isReadOnly ? "" : remove}</li>`;
}

const PAPERCLIP =
  '<svg role="img" aria-label="with attachments" width="14" height="14" viewBox="0 0 16 16" fill="none" ' +
  'stroke="currentcolor" stroke-width="1.4"><path d="M13 7.5 7.6 13a3 3 0 0 1-4.3-4.3l6-6a2 2 0 0 1 2.9 2.9l-5.8 5.8a1 1 0 0 1-1.5-1.4L10 5"/></svg> ';

/** A subject as it may stand in a page, never without a visible character. It is text, not HTML. */
const subjectOf = (subject: string): string => subject.trim() === "" ? "(no subject)" : visible(subject);

const shortName = ({ name, address }: Mailbox): string => name.trim() || address;
const fullName = ({ name, address }: Mailbox): string =>
  name.trim() === "" ? address : address ? `${name} <${address}>` : name;

/** A time in UTC. The script in the browser shows it in the time zone of its reader. */
function time(milliseconds: number): string {
  const date = new Date(milliseconds).toISOString();
  return `<time datetime="${date}">${date.slice(0, 16).replace("T", " ")}</time>`;
}

function pages(total: number, q: string, number: number, pageSize: number): string {
  const first = (number - 1) * pageSize;
  if (total <= pageSize && number === 1) return "";
  const link = (to: number, text: string, shown: boolean) => {
    const params = new URLSearchParams({ ...q === "" ? {} : { q }, ...to > 1 ? { page: `${to}` } : {} });
    return shown ? `<a href="/?${escape(`${params}`)}">${text}</a>` : `<span></span>`;
  };
  const range = first < total ? `${first + 1}–${Math.min(total, first + pageSize)} of ${total}` : `${total} in all`;
  return link(Math.min(number - 1, Math.ceil(total / pageSize)), "← Newer", number > 1) + `<span>${range}</span>` +
    link(number + 1, "Older →", first + pageSize < total);
}

const button = (id: string, text: string, more = ""): string =>
  `<button type="button" id="${id}" ${more}>${text}</button>`;

/** One mail. `newer` and `older` are the ids of the mails beside it in the list. */
export function mailPage(
  { id, received, isRead }: Entry,
  mail: ParsedMail,
  { newer, older }: { newer?: string; older?: string },
  isReadOnly: boolean,
): string {
  const path = `/mail/${encodeURIComponent(id)}`;
  const title = subjectOf(mail.subject);
  const neighbour = (to: string | undefined, text: string) =>
    to === undefined ? "" : `<a href="/mail/${encodeURIComponent(to)}/">${text}</a>`;
  const changes = isReadOnly ? "" : button("mark", "Mark as unread") + button("delete", "Delete");
  const addresses = (name: string, all: readonly Mailbox[]) =>
    all.length === 0 ? "" : `<dt>${name}</dt><dd>${all.map((each) => foreign(fullName(each))).join(", ")}</dd>`;
  const frame =
    `<iframe sandbox="${SANDBOX}" src="${path}/html" title="The mail as HTML" referrerpolicy="no-referrer"></iframe>`;
  const fields = mail.headers.map(({ name, value }) =>
    `<tr><th scope="row">${foreign(name)}</th><td>${foreign(value)}</td></tr>`
  );
  return page({
    title,
    style,
    data: { page: "mail", id, ...isRead ? {} : { unread: "" }, ...isReadOnly ? { readOnly: "" } : {} },
    body: `<nav class="bar" aria-label="Mail"><a href="/">← Inbox</a><span>${neighbour(newer, "Newer")}${
      neighbour(older, "Older")
    }</span>
<span>${changes}</span></nav>
<p id="status" role="status"></p>
<h1>${escape(title)}</h1>
<dl>${addresses("From", mail.from)}${addresses("To", mail.to)}${addresses("Cc", mail.cc)}${
      addresses("Reply to", mail.replyTo)
    }<dt>Received</dt><dd>${time(received)}</dd></dl>
${attachments(path, mail)}
${mail.html ? frame : ""}
${mail.text ? section("text", "Text", `<pre id="text" dir="auto">${linkedText(mail.text)}</pre>`, !mail.html) : ""}
${section("header", "Header", `<table id="header">${fields.join("\n")}</table>`, false)}
<p><a href="${path}/raw">Source</a></p>
<script src="/page.js" type="module"></script>`,
  });
}

const section = (id: string, title: string, body: string, open: boolean): string =>
  `<details class="${id}"${open ? " open" : ""}><summary>${title}</summary>\n${body}\n</details>`;

function attachments(path: string, mail: ParsedMail): string {
  const files = mail.attachments.map(({ name, type, content }, i) =>
    `<li><a href="${path}/part/${i}" download>${foreign(name)}</a> <span>${foreign(type)}, ${
      humanSize(content.length)
    }</span></li>`
  );
  return files.length === 0
    ? ""
    : `<h2 id="files">Attachments</h2>\n<ul class="files" aria-labelledby="files">\n${files.join("\n")}\n</ul>`;
}
