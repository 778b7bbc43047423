/**
 * Runs every server–client pair, one after another, and sums up: `deno task demo`.
 *
 * @module
 */
import { count, run } from "../cli.ts";
import { pairs } from "./tasks.ts";

const command = {
  name: "demo",
  about: "Runs the server-client pairs of deno.json one after another and sums up. Arguments choose some of them.",
  run: "deno task demo",
  args: "[PAIR ...]",
  options: {},
};

await run(command, async ({ args }) => {
  const rows: { name: string; mark: string; seconds: string; reason: string }[] = [];
  for (const [name] of pairs()) {
    if (args.length > 0 && !args.some((arg) => name === arg || name.startsWith(`${arg}:`))) continue;
    console.log(`\n── ${name} ${"─".repeat(Math.max(0, 60 - name.length))}`);
    const start = performance.now();
    const { code, last } = await runPair(name);
    rows.push({
      name,
      mark: code === 0 ? "✓" : code === 3 ? "skipped" : "✗",
      seconds: ((performance.now() - start) / 1000).toFixed(1),
      reason: code === 0 ? "" : last || `exit code ${code}`,
    });
  }
  console.log(`\n${"pair".padEnd(16)} ${"".padEnd(8)} seconds`);
  for (const { name, mark, seconds, reason } of rows) {
    console.log(`${name.padEnd(16)} ${mark.padEnd(8)} ${seconds.padStart(7)}  ${reason}`.trimEnd());
  }
  const failed = rows.filter(({ mark }) => mark === "✗").length;
  const skipped = rows.filter(({ mark }) => mark === "skipped").length;
  console.log(`\n${count(rows.length - failed - skipped, "pair")} worked, ${failed} failed, ${skipped} skipped`);
  if (failed > 0 || rows.length === 0) Deno.exit(1);
});

/** Runs one task, passing on what it prints as it comes; `last` is its last line on stderr. */
async function runPair(name: string): Promise<{ code: number; last: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", name],
    stdin: "null",
    stdout: "inherit",
    stderr: "piped",
  }).spawn();
  let last = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    await Deno.stderr.write(new TextEncoder().encode(text));
    last = text.trimEnd().split("\n").at(-1) || last;
  }
  return { code: (await child.status).code, last };
}
