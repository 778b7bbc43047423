/**
 * The panel of the network: what is set there is what the relay does from then on, and what a pair is started with again.
 *
 * @module
 */

/** The settings of the panel as `--network` takes them: `delay=20ms; client: loss=30%`. */
export function settingsOf(inputs) {
  const told = ({ name, value, dataset }) => [name.split(".")[0], `${dataset.key}=${value}${dataset.unit}`];
  const set = inputs.filter(({ dataset, value }) => dataset.key && value !== "").map(told);
  const sides = ["client", "server"].map((side) => set.filter(([each]) => each === side).map(([, text]) => text));
  const both = sides[0].filter((text) => sides[1].includes(text));
  const alone = sides.map((all) => all.filter((text) => !both.includes(text)).join(" "));
  const parts = [both.join(" "), alone[0] && `client: ${alone[0]}`, alone[1] && `server: ${alone[1]}`];
  return parts.filter((part) => part).join("; ");
}

/** Sends what is set to the relay, and starts a pair again. `say` shows what came of it. */
export function followNetwork(panel, say) {
  const inputs = [...panel.querySelectorAll("input")];
  const shown = panel.querySelector("#settings");
  const post = async (path, network) => {
    const response = await fetch(`${path}?network=${encodeURIComponent(network)}`, { method: "POST" });
    return { isDone: response.ok, text: await response.text() };
  };
  panel.addEventListener("change", async () => {
    const network = settingsOf(inputs);
    shown.textContent = network || "perfect";
    say((await post("/network", network)).text);
  });
  panel.addEventListener("submit", async (event) => {
    event.preventDefault();
    const seed = panel.querySelector("[name=seed]")?.value;
    const { isDone, text } = await post(
      "/again",
      [settingsOf(inputs), seed && `seed=${seed}`].filter((part) => part).join(" "),
    );
    if (isDone) location.reload();
    else say(text);
  });
}
