/**
 * A message that is opened: its fields, and its bytes as hexadecimal numbers and as text.
 *
 * @module
 */
import { labelOf, safe, timeOf } from "./picture.js";

/** Bytes that are shown at first. */
const FIRST = 4096;

/** The name of a field, which stands before its value; some fields are words alone. */
const NAME =
  /^(?!end of|last line|more lines|the )(?:enhanced code|UDP payload size|extended rcode|masking key|error code|quoted \w+|\S+)(?= )/;

/** Shows an item, and its bytes if it has some. `load` returns them, with the fields. */
export async function showDetails(section, item, store, load, isCurrent) {
  const connection = store.connections.get(item.connection);
  const times = item.kind === "mark" ? [["", item.t]] : [["sent ", item.departed], ["read ", item.arrived]];
  const when = times.filter(([, t]) => t !== undefined).map(([word, t]) => `${word}at ${timeOf(t, store)} ms`);
  const took = item.departed !== undefined && item.arrived !== undefined
    ? `, ${((item.arrived - item.departed) / 1000).toFixed(3)} ms on its way`
    : "";
  const held = item.came < item.departed
    ? `, held by the relay for ${((item.departed - item.came) / 1000).toFixed(3)} ms`
    : "";
  const way = connection ? `${connection.client} ↔ ${connection.server} (${connection.transport})` : "";
  section.innerHTML = `<h2>${safe(labelOf(item))}</h2><p>${safe(when.join(", ") + took + held)}<br>${safe(way)}</p>`;
  if (item.bytes === 0) return;
  const { data, fields } = await load(item.id);
  if (!isCurrent()) return; // another message has been chosen meanwhile
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  const list = fields.map(({ text }, i) => {
    const [name = ""] = NAME.exec(text) ?? [];
    const shown = name === "" ? safe(text) : `<b>${safe(name)}</b>${safe(text.slice(name.length))}`;
    return `<li><button type="button" data-field="${i}">${shown}</button></li>`;
  });
  section.insertAdjacentHTML(
    "beforeend",
    (list.length > 0 ? `<ul id="fields" aria-label="Fields">${list.join("")}</ul>` : "") +
      `<pre id="bytes" tabindex="0" aria-label="Bytes">${hexDump(bytes.subarray(0, FIRST))}</pre>` +
      (bytes.length > FIRST ? `<button type="button" id="all">Show all ${bytes.length} bytes</button>` : ""),
  );
  section.querySelector("#all")?.addEventListener("click", (event) => {
    section.querySelector("#bytes").innerHTML = hexDump(bytes);
    event.target.remove();
  });
}

/** Sixteen bytes a line; each has its number, in both columns. */
function hexDump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const cell = (text, i) => `<i data-at="${at + i}">${text}</i>`;
    const hex = row.map((byte, i) => cell(byte.toString(16).padStart(2, "0"), i)).join(" ");
    const text = row.map((byte, i) => cell(byte > 31 && byte < 127 ? safe(String.fromCharCode(byte)) : ".", i)).join(
      "",
    );
    const pad = " ".repeat(3 * (16 - row.length));
    lines.push(`<span class="offset">${at.toString(16).padStart(4, "0")}</span>  ${hex}${pad}  ${text}`);
  }
  return lines.join("\n");
}

/** Lights the bytes of a field, or the fields of a byte, while the pointer or the focus is there. */
export function lightUp(section, load) {
  const light = async (event) => {
    for (const lit of section.querySelectorAll(".lit")) lit.classList.remove("lit");
    const target = event.target.closest("[data-field], [data-at]");
    if (!target || event.type === "mouseout") return;
    const { fields } = await load();
    if (!section.contains(target)) return;
    target.classList.add("lit");
    if (target.dataset.field !== undefined) {
      const { start, end } = fields[target.dataset.field];
      for (const byte of section.querySelectorAll("[data-at]")) {
        if (byte.dataset.at >= start && byte.dataset.at < end) byte.classList.add("lit");
      }
      section.querySelector(`[data-at="${start}"]`)?.scrollIntoView({ block: "nearest" });
    } else {
      const at = Number(target.dataset.at);
      for (const byte of section.querySelectorAll(`[data-at="${at}"]`)) byte.classList.add("lit");
      const found = fields.map(({ start, end }, i) => [end - start, i, start <= at && at < end]).filter(([, , has]) =>
        has
      );
      for (const [, i] of found) section.querySelector(`[data-field="${i}"]`)?.classList.add("lit");
    }
  };
  for (const type of ["mouseover", "mouseout", "focusin", "focusout", "click"]) section.addEventListener(type, light);
}
