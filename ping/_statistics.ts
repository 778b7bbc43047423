/**
 * The statistics of a run of pings, and a plot of its times.
 *
 * @module
 */

/** The figures at the end of every `ping`. Times in milliseconds; `mdev` is the standard deviation. */
export interface Statistics {
  readonly sent: number;
  readonly received: number;
  /** Per cent. */
  readonly loss: number;
  readonly min?: number;
  readonly avg?: number;
  readonly max?: number;
  readonly mdev?: number;
}

/** The round-trip time of each request in milliseconds; `undefined` if it was lost. */
export type Times = readonly (number | undefined)[];

/**
 * Computes the statistics of all requests that were sent.
 *
 * ```ts
 * statistics([1, undefined, 3]); // { sent: 3, received: 2, loss: 33.3…, min: 1, avg: 2, max: 3, mdev: 1 }
 * ```
 */
export function statistics(times: Times): Statistics {
  const got = times.filter((time) => time !== undefined);
  const [sent, received] = [times.length, got.length];
  const loss = sent === 0 ? 0 : 100 * (sent - received) / sent;
  if (received === 0) return { sent, received, loss };
  const avg = got.reduce((sum, time) => sum + time, 0) / received;
  const variance = got.reduce((sum, time) => sum + (time - avg) ** 2, 0) / received;
  return { sent, received, loss, min: Math.min(...got), avg, max: Math.max(...got), mdev: Math.sqrt(variance) };
}

/** The summary of a run, in one or two lines. */
export function summary({ sent, received, loss, min, avg, max, mdev }: Statistics): string {
  const ms = (time = 0) => time.toFixed(3);
  const line = `${sent} sent, ${received} received, ${Number(loss.toFixed(1))} % lost`;
  return received === 0 ? line : `${line}\nround trip min/avg/max/mdev ${ms(min)}/${ms(avg)}/${ms(max)}/${ms(mdev)} ms`;
}

const bars = "▁▂▃▄▅▆▇█";

/** Draws one bar per request, 60 in a line; the highest is the longest time, and × is a lost request. */
export function plot(times: Times): string {
  const longest = Math.max(...times.map((time) => time ?? 0));
  const bar = (time: number | undefined) =>
    time === undefined ? "×" : bars[Math.min(7, Math.floor(time / longest * 8))] ?? bars[0];
  const row = times.map(bar).join("");
  return (row.match(/.{1,60}/gu) ?? []).join("\n");
}
