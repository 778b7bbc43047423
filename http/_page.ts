/**
 * The parts that all web pages of the project share: the frame, the base style, and the Content-Security-Policy.
 *
 * @module
 */
import { escape } from "jsr:@std/html@1/entities";

/** The style of every page, for light and dark, narrow and wide windows. */
const baseStyle = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 56rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.25rem; font-weight: 500; overflow-wrap: anywhere; }
h2 { font-size: 1.125rem; margin-top: 2rem; }
table { width: 100%; border-collapse: collapse; }
th { text-align: start; font-weight: 500; font-size: 0.875rem; opacity: 0.7; }
th, td { padding: 0.4rem 0.5rem; border-bottom: 1px solid color-mix(in srgb, currentcolor 15%, transparent); }
td { overflow-wrap: anywhere; }
td a { text-decoration: none; }
td a:hover { text-decoration: underline; }
`;

/** A whole page. `title` is text; `body` and `style` are HTML and CSS, in which all foreign text is already escaped. */
export function page({ title, style = "", body }: { title: string; style?: string; body: string }): string {
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escape(title)}</title>
<style>${baseStyle}${style}</style>
${body}
`;
}

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
