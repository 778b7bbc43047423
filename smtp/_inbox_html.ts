/**
 * The text and the HTML of a mail, as they may stand in the inbox. Pure functions.
 *
 * @module
 */
import { escape } from "jsr:@std/html@1/entities";
import { pagePolicy, visible } from "../http/_page.ts";
import type { ParsedMail } from "./_inbox_mail.ts";

/**
 * What the frame with a mail's HTML may do, as attribute and as policy. It runs no script, submits no form and never leads
 * the frame or the page elsewhere. A link may open a new tab, which is a normal page again. `allow-same-origin` lets the
 * page around it see the frame's links; without `allow-scripts` it gives the mail itself nothing.
 */
export const SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox";

/** The HTML of a mail loads nothing, not even from here. Only the inbox may put it into a frame. */
export const FRAME_POLICY = pagePolicy({ "sandbox": SANDBOX, "frame-ancestors": "'self'" });

/** How many characters the pictures in a mail's HTML may take: a picture that is used n times is inserted n times. */
const MAX_PICTURES_LENGTH = 32 << 20;

/** A mail's HTML for its frame: links open a new tab; `cid:` URLs, which browsers do not know, become `data:` URLs (RFC 2392). */
export function frameOf({ html, attachments }: ParsedMail): string {
  const pictures = new Map(attachments.toReversed().filter(({ id }) => id).map((part) => [part.id, part]));
  for (const [id, part] of [...pictures]) pictures.set(encodeURIComponent(id), part);
  let room = MAX_PICTURES_LENGTH;
  const shown = html.replace(/(\ssrc\s*=\s*["']?)cid:([^"'\s>]+)/gi, (whole, before: string, id: string) => {
    const picture = pictures.get(id);
    if (!picture || !/^image\/(png|jpeg|gif|webp)$/.test(picture.type)) return whole;
    const length = Math.ceil(picture.content.length / 3) * 4;
    if (length > room) return whole;
    room -= length;
    return `${before}data:${picture.type};base64,${picture.content.toBase64()}`;
  });
  return `<!DOCTYPE html>\n<base target="_blank">\n${shown}`;
}

/** Text as HTML: what misleads is escaped, and URLs and addresses are links that open a new tab. */
export function linkedText(text: string): string {
  let html = "";
  let at = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    const link = found.slice(0, lengthOfLink(found));
    const url = URL.parse(link.includes("://") ? link : `mailto:${link}`);
    if (!url) continue;
    html += shown(text.slice(at, index));
    html += `<a href="${escape(url.href)}" target="_blank" rel="noopener noreferrer">${shown(link)}</a>`;
    at = index + link.length;
  }
  return html + shown(text.slice(at));
}

/** A URL of the web, or an address. The limits keep the search linear. */
const LINK = /\bhttps?:\/\/[^\s<>"\p{C}]{1,2000}|\b(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,10}/giu;

/** The length of a URL without what ends the sentence around it: a full stop, or a bracket that was opened before it. */
function lengthOfLink(link: string): number {
  const surplus = (open: string, close: string) => link.split(close).length - link.split(open).length;
  const brackets: Record<string, number> = { ")": surplus("(", ")"), "]": surplus("[", "]"), "}": surplus("{", "}") };
  let length = link.length;
  for (; length > 0; length--) {
    const last = link[length - 1] ?? "";
    const left = brackets[last] ?? 0;
    if (left > 0) brackets[last] = left - 1;
    else if (!/[.,;:!?'*_~]/.test(last)) break;
  }
  return length;
}

/** Lines of text as HTML. A tab and an end of a line are no controls that mislead. */
const shown = (text: string): string =>
  text.split(/(\r?\n|\t)/).map((part) => part.trim() ? escape(visible(part)) : part).join("");
