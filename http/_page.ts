/**
 * The parts that all web pages of the project share: the frame, the base style, the Content-Security-Policy, and text of
 * other people.
 *
 * @module
 */
import { escape } from "jsr:@std/html@1/entities";
import { printable } from "../cli.ts";

/** The style of every page, for light and dark, narrow and wide windows. A page may set `--width`. */
const baseStyle = `
:root {
  color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; --width: 56rem;
  --page: light-dark(#ffffff, #15181d); --raised: light-dark(#f4f6f8, #1e2229); --text: light-dark(#1c2024, #e4e7eb);
  --muted: light-dark(#57606a, #9ba5b0); --line: light-dark(#d9dee4, #323842); --edge: light-dark(#818b96, #6b7683);
  --accent: light-dark(#0a55b8, #86b7ff); --danger: light-dark(#b3261e, #ff9a92);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); }
main { max-width: var(--width); margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.25rem; font-weight: 600; overflow-wrap: anywhere; }
h2 { font-size: 1.125rem; font-weight: 600; margin-top: 2rem; }
a { color: var(--accent); text-underline-offset: 0.15em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
table { width: 100%; border-collapse: collapse; }
th { text-align: start; font-weight: 500; font-size: 0.875rem; color: var(--muted); }
th, td { padding: 0.4rem 0.5rem; border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; }
td a { text-decoration: none; }
td a:hover { text-decoration: underline; }
input, button { font: inherit; color: inherit; padding: 0.4rem 0.7rem; border: 1px solid var(--edge); border-radius: 6px; }
input { background: var(--page); min-width: 0; }
button { background: var(--raised); cursor: pointer; }
button:hover { border-color: var(--accent); }
button:disabled { opacity: 0.6; cursor: default; }
`;

/** For text that is only for those who hear the page: `<span class="hidden-text">`. Few pages need it. */
const hiddenText = `
.hidden-text { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;

/** What a page is made of. */
export interface PageParts {
  readonly title: string;
  readonly style?: string;
  /** What the script of the page needs to know: `{ readOnly: "" }` becomes the attribute `data-read-only` of `<main>`. */
  readonly data?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A whole page. `title` and `data` are text; `body` and `style` are HTML and CSS, in which all foreign text is escaped. */
export function page({ title, style = "", data = {}, body }: PageParts): string {
  const attributes = Object.entries(data).map(([name, value]) =>
    ` data-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}="${escape(value)}"`
  );
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escape(title)}</title>
<style>${baseStyle}${body.includes('class="hidden-text"') ? hiddenText : ""}${style}</style>
<body>
<main${attributes.join("")}>
${body}
</main>
`;
}

/** Controls, separators of lines, and what turns the direction of text round (Unicode Bidirectional Algorithm §2). */
const misleading = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text of another person, as it may stand in a page: what misleads is shown as an escape (`\x00`, `\u{202e}`), so that a file
 * `cod\u{202e}txt.exe` does not look like one that ends in `.txt`. Text without any visible character is escaped as a whole.
 * The result is text, not HTML: `escape` it.
 */
export function visible(text: string): string {
  return /[^\s\p{C}\p{Z}]/u.test(text) ? text.replace(misleading, printable) : printable(text);
}

/** Text of another person as HTML. Its direction ends where it ends. */
export const foreign = (text: string): string => `<bdi>${escape(visible(text))}</bdi>`;

/**
 * The Content-Security-Policy of a page. Without arguments the page may load nothing but its own style sheet, even if a file
 * name or a user's name contained HTML that was not escaped. `directives` adds to that or replaces a part of it.
 *
 * ```ts
 * pagePolicy({ "script-src": "'self'", "connect-src": "'self'" });
 * ```
 */
export function pagePolicy(directives: Record<string, string> = {}): string {
  const all = {
    "default-src": "'none'",
    "style-src": "'unsafe-inline'",
    "img-src": "data:",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    ...directives,
  };
  return Object.entries(all).map(([name, value]) => value ? `${name} ${value}` : name).join("; ");
}
