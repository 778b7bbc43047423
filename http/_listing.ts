/**
 * The page that lists a folder.
 *
 * @module
 */
import { escape } from "jsr:@std/html@1/entities";
import { page, visible } from "./_page.ts";

/** A file or folder in the list. `size` is in bytes; `modified` is `null` if the file system does not report it. */
export interface Entry {
  readonly name: string;
  readonly folder: boolean;
  readonly size: number;
  readonly modified: Date | null;
}

/** Compares names as people sort them: `file2` before `file10`. */
const collator = new Intl.Collator("en", { numeric: true });

/** Formats a size: `1.5 KiB`. */
export function humanSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) [bytes, unit] = [bytes / 1024, unit + 1];
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

const style = `
h1 a { text-decoration: none; }
h1 a:hover { text-decoration: underline; }
h1 a, td a, td span { unicode-bidi: isolate; } /* a name in another script does not turn round what stands beside it */
td a, td span { display: block; }
.size, .date { text-align: end; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.size, td.date { color: var(--muted); }
tbody tr:hover td { background: var(--raised); }
@media (max-width: 36rem) { .date { display: none; } }
`;

/**
 * The page for a folder: folders first, then files.
 *
 * `segments` is the folder's path, decoded; `hidden` is how many entries were left out because there are too many,
 * `unreadable` how many because their names are not UTF-8.
 */
export function listing(
  segments: readonly string[],
  entries: readonly Entry[],
  hidden: number,
  unreadable = 0,
): string {
  const names = segments.filter((segment) => segment !== "");
  const crumbs = names.map((name, i) =>
    ` / <a href="${"../".repeat(names.length - 1 - i) || "./"}">${escape(visible(name))}</a>`
  );
  const sorted = [...entries].sort((a, b) => Number(b.folder) - Number(a.folder) || collator.compare(a.name, b.name));
  const parentRow = names.length > 0 ? `<tr><td><a href="../">../</a></td><td></td><td class="date"></td></tr>\n` : "";
  const notes = [
    ...entries.length === 0 ? ["<p>This folder is empty.</p>"] : [],
    ...hidden > 0 ? [`<p>… and ${hidden} more.</p>`] : [],
    ...unreadable > 0 ? [`<p>… and ${unreadable} with a name that is not UTF-8: it cannot be requested.</p>`] : [],
  ];
  return page({
    title: `/${names.map(visible).join("/")}`,
    style,
    body: `<h1><a href="${"../".repeat(names.length) || "./"}">root</a>${crumbs.join("")}</h1>
<table>
<thead><tr><th>Name</th><th class="size">Size</th><th class="date">Modified (UTC)</th></tr></thead>
<tbody>
${parentRow}${sorted.map(row).join("\n")}
</tbody>
</table>
${notes.join("\n")}`,
  });
}

function row({ name, folder, size, modified }: Entry): string {
  const slash = folder ? "/" : "";
  const shown = `${escape(visible(name))}${slash}`;
  const date = modified?.toISOString();
  const time = date ? `<time datetime="${date}">${date.slice(0, 16).replace("T", " ")}</time>` : "";
  // The server refuses a backslash in a path, because Windows takes it for a slash: a link would lead to 400.
  const link = name.includes("\\")
    ? `<span title="a name with a backslash cannot be requested">${shown}</span>`
    : `<a href="${encodeURIComponent(name)}${slash}">${shown}</a>`;
  return `<tr><td>${link}</td>` +
    `<td class="size"${folder ? "" : ` title="${size} bytes"`}>${folder ? "–" : humanSize(size)}</td>` +
    `<td class="date">${time}</td></tr>`;
}
