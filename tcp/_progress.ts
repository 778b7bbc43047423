/**
 * A progress bar on stderr. It shows nothing where stderr is not a terminal.
 *
 * ```ts
 * const show = progress("messages", 100);
 * show(50); // messages ████████████████████···················· 50 %
 * ```
 *
 * Returns a function to call with how much of `total` is done. At `total` the bar disappears.
 */
export function progress(label: string, total: number): (done: number) => void {
  if (!Deno.stderr.isTerminal()) return () => {};
  let shown = -1;
  return (done) => {
    const step = Math.floor(Math.min(1, done / total) * 40);
    if (step === shown) return;
    shown = step;
    const bar = `\r${label} ${"█".repeat(step)}${"·".repeat(40 - step)} ${Math.round(step * 2.5)} %`;
    Deno.stderr.writeSync(new TextEncoder().encode(step < 40 ? bar : `\r${" ".repeat(bar.length)}\r`));
  };
}
