/**
 * The page that lists a folder.
 *
 * @module
 */
import { escape } from "jsr:@std/html@1/entities";

/** A file or folder in the list; `size` in bytes, `modified` as the file system has it. */
export interface Entry {
  readonly name: string;
  readonly folder: boolean;
  readonly size: number;
  readonly modified: Date | null;
}

const order = new Intl.Collator("en", { numeric: true });

/** `1.5 KiB` and the like. */
export function humanSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) [bytes, unit] = [bytes / 1024, unit + 1];
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 56rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.25rem; font-weight: 500; overflow-wrap: anywhere; }
h1 a, td a { text-decoration: none; }
h1 a:hover, td a:hover { text-decoration: underline; }
table { width: 100%; border-collapse: collapse; }
th { text-align: start; font-weight: 500; font-size: 0.875rem; opacity: 0.7; }
th, td { padding: 0.4rem 0.5rem; border-bottom: 1px solid color-mix(in srgb, currentcolor 15%, transparent); }
td:first-child { overflow-wrap: anywhere; }
td a { display: block; }
.size, .date { text-align: end; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr:hover td { background: color-mix(in srgb, currentcolor 5%, transparent); }
@media (max-width: 36rem) { .date { display: none; } }
`;

/**
 * The page for a folder: folders first, then files, each in the order in which people sort (`file2` before `file10`).
 *
 * `segments` is the folder's path, decoded; `hidden` is how many entries were left out because there are too many.
 */
export function listing(segments: readonly string[], entries: readonly Entry[], hidden: number): string {
  const names = segments.filter((segment) => segment !== "");
  const crumbs = names.map((name, i) =>
    ` / <a href="${"../".repeat(names.length - 1 - i) || "./"}">${escape(name)}</a>`
  );
  const sorted = [...entries].sort((a, b) => Number(b.folder) - Number(a.folder) || order.compare(a.name, b.name));
  const rows = sorted.map(({ name, folder, size, modified }) => {
    const slash = folder ? "/" : "";
    const date = modified?.toISOString();
    return `<tr><td><a href="${encodeURIComponent(name)}${slash}">${escape(name)}${slash}</a></td>` +
      `<td class="size"${folder ? "" : ` title="${size} bytes"`}>${folder ? "–" : humanSize(size)}</td>` +
      `<td class="date">${
        date ? `<time datetime="${date}">${date.slice(0, 16).replace("T", " ")}</time>` : ""
      }</td></tr>`;
  });
  const up = names.length > 0 ? `<tr><td><a href="../">../</a></td><td></td><td class="date"></td></tr>\n` : "";
  const title = `/${names.join("/")}`;
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escape(title)}</title>
<style>${style}</style>
<h1><a href="${"../".repeat(names.length) || "./"}">root</a>${crumbs.join("")}</h1>
<table>
<thead><tr><th>Name</th><th class="size">Size</th><th class="date">Modified (UTC)</th></tr></thead>
<tbody>
${up}${rows.join("\n")}
</tbody>
</table>
${entries.length === 0 ? "<p>This folder is empty.</p>\n" : ""}${hidden > 0 ? `<p>… and ${hidden} more.</p>\n` : ""}`;
}
