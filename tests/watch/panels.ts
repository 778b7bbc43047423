/**
 * The panels of the live page: how bad the network is, and which pairs are shown.
 *
 * @module
 */
import { escape } from "jsr:@std/html@1/entities";
import { visible } from "../../http/_page.ts";
import { parseNetworks, settingsOf, type Side, type Transport } from "../../tcp/_network.ts";
import { withoutSeed } from "./settings.ts";

/** How a setting is shown: its name, what is counted, and what a number in the panel stands for. */
const shown: Readonly<Record<string, { name: string; unit: string; factor: number }>> = {
  time: { name: "ms", unit: "ms", factor: 1 },
  share: { name: "%", unit: "%", factor: 100 },
  rate: { name: "bytes/s", unit: "", factor: 1 },
  size: { name: "bytes", unit: "", factor: 1 },
  count: { name: "after bytes", unit: "", factor: 1 },
};

/** What the panel of the network shows. */
export interface NetworkPanel {
  readonly transport: Transport;
  /** The settings of the start. */
  readonly network: string;
  /** Whether a relay stands between both, which can be told others. */
  readonly hasRelay: boolean;
  /** Whether the exchange can be started again. */
  readonly isPair: boolean;
}

/** The panel of the network, as HTML. */
export function networkPanel({ transport, network, hasRelay, isPair }: NetworkPanel): string {
  const { settings, seed } = withoutSeed(network);
  const given = parseNetworks("network", settings, transport);
  const cell = (key: string, side: Side, label: string, { unit, factor }: { unit: string; factor: number }) => {
    const value: unknown = Reflect.get(given[side], key);
    const text = typeof value === "number" ? `${+(value * factor).toPrecision(12)}` : "";
    const to = side === "client" ? "to the server" : "to the client";
    return `<td><input type="number" min="0" ${unit === "%" ? 'max="100" step="any" ' : ""}name="${side}.${key}" ` +
      `data-key="${key}" data-unit="${unit}" value="${text}" aria-label="${label}, ${to}"></td>`;
  };
  const rows = settingsOf(transport).map(({ key, unit }) => {
    const form = shown[unit] ?? { name: "", unit: "", factor: 1 };
    return `<tr><th scope="row">${key} <small>${form.name}</small></th>` +
      `${cell(key, "client", key, form)}${cell(key, "server", key, form)}</tr>`;
  });
  const seedRow = isPair
    ? `<tr><th scope="row">seed</th><td><input type="number" min="0" name="seed" value="${seed}" aria-label="seed"></td></tr>`
    : "";
  const hint = hasRelay
    ? "A change stands for what is sent from now on."
    : "No relay stands between both now: it does when the pair is run again.";
  return `<details id="network"><summary>Network: <code id="settings">${escape(settings || "perfect")}</code></summary>
<form><table><thead><tr><td></td><th scope="col">to the server →</th><th scope="col">← to the client</th></tr></thead>
<tbody>${rows.join("\n")}${seedRow}</tbody></table>
<p>${hint}</p>${isPair ? "<button>Run again</button>" : ""}</form></details>`;
}

/** The pairs that are shown one after another, as HTML. `chosen`: the one that the page shows. */
export function pairsPanel(pairs: readonly { name: string; state: string }[], chosen: string): string {
  const items = pairs.map(({ name, state }) =>
    `<li><a href="/?pair=${encodeURIComponent(name)}" data-name="${escape(name)}"${
      name === chosen ? ' aria-current="page"' : ""
    }>` +
    `${escape(visible(name))}${state ? ` ${state}` : ""}</a></li>`
  );
  return `<ul id="pairs" aria-label="Pairs">${items.join("")}</ul>`;
}
