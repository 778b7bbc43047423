/**
 * The exchange as a file: SVG, or a sequence diagram of Mermaid. What is filtered out is left out.
 *
 * @module
 */
import { labelOf, safe } from "./picture.js";

/** The whole picture as SVG, with its own colours. */
export function toSvg(picture, store) {
  const styles = getComputedStyle(document.documentElement);
  const names = [
    "page",
    "raised",
    "line",
    "text",
    "muted",
    "edge",
    "danger",
    ...[0, 1, 2, 3, 4, 5].map((i) => `hue-${i}`),
  ];
  const probe = document.createElement("span");
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = styles.getPropertyValue(`--${name}`);
    return getComputedStyle(probe).color;
  };
  const colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
  probe.remove();
  const body = picture.draw(0, picture.height)
    .replace(/var\(--([\w-]+)\)/g, (_, name) => colours[name])
    .replace(/<svg [^>]*>|<\/svg>$/g, "").replace(/ role="\w*"| aria-\w+="[^"]*"| tabindex="0"/g, "");
  const style = `text { font: 12px sans-serif; fill: ${colours.text}; }
.arrow text { paint-order: stroke; stroke: ${colours.page}; stroke-width: 3px; }
.time, .more, .mark text { fill: ${colours.muted}; stroke: none; } .more { font-size: 11px; }
.lane { stroke: ${colours.edge}; stroke-width: 2; } .relay { fill: ${colours.raised}; }
.arrow line, .arrow path { stroke: currentColor; fill: none; } .arrow .hit { display: none; }
.arrow .head { fill: currentColor; stroke: none; } .arrow .tie { stroke-dasharray: 2 3; }
.arrow .passage { stroke-width: 1.5; stroke-dasharray: 3 3; } .lost { color: ${colours.danger} !important; }
.mark { color: ${colours.edge}; } .mark circle { fill: currentColor; } .failure { color: ${colours.danger}; }
.mark .note { fill: ${colours.raised}; stroke: ${colours.line}; } .failure text { fill: ${colours.danger}; }`;
  const heads = store.shownLanes.map(({ id, name }, i, all) => {
    const isLast = i > 0 && i === all.length - 1;
    const place = isLast
      ? `x="${picture.width - 4}" text-anchor="end"`
      : `x="${picture.places.get(id)}" text-anchor="middle"`;
    return `<text ${place} y="16">${safe(name)}</text>`;
  });
  const [width, height] = [picture.width, picture.height + 24];
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>` +
    `<style>${style}</style><rect width="100%" height="100%" fill="${colours.page}"/>${heads.join("")}` +
    `<g transform="translate(0 24)">${body}</g></svg>`;
}

/** The exchange as a diagram of Mermaid. A semicolon or a number sign would end a line or begin an entity there. */
export function toMermaid(store) {
  const clean = (text) => text.replace(/[;#<>]/g, (sign) => `#${sign.charCodeAt(0)};`).replace(/\s+/g, " ") || " ";
  const lines = store.shown.map((item) =>
    item.kind === "mark"
      ? `note over L${item.lane}: ${clean(item.text)}`
      : `L${item.from}${item.isLost ? "-x" : "->>"}L${item.to}: ${clean(labelOf(item))}`
  );
  const lanes = store.shownLanes.map(({ id, name }) => `participant L${id} as ${clean(name)}`);
  return ["sequenceDiagram", ...lanes, ...lines].join("\n  ") + "\n";
}

/** Lets the browser save a text as a file. */
export function save(text, type, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
