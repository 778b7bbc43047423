/**
 * How fast and how evenly messages were answered. A pure function.
 *
 * @module
 */

/** Reports round trips in milliseconds, which are sorted, of `elapsed` seconds: messages a second, percentiles, a histogram. */
export function reportLatencies(sorted: Float64Array, elapsed: number): string[] {
  const rate = Math.round(sorted.length / elapsed);
  const first = `${sorted.length} messages in ${elapsed.toFixed(2)} s: ${rate} messages/s`;
  if (sorted.length === 0) return [first];
  const at = (p: number) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0).toFixed(2);
  const lines = [first, `round trip in ms: p50 ${at(0.5)}  p95 ${at(0.95)}  p99 ${at(0.99)}  max ${at(1)}`];
  // Each row covers twice the time of the row before: latencies spread over orders of magnitude.
  const buckets = new Map<number, number>();
  for (const ms of sorted) {
    const bucket = Math.ceil(Math.log2(Math.max(ms, 1 / 64)));
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
  }
  const most = Math.max(...buckets.values());
  for (let bucket = Math.min(...buckets.keys()); bucket <= Math.max(...buckets.keys()); bucket++) {
    const n = buckets.get(bucket) ?? 0;
    const bar = "█".repeat(Math.ceil(n / most * 30)).padEnd(30);
    lines.push(`  up to ${String(2 ** bucket).padStart(8)} ms ${bar} ${n}`);
  }
  return lines;
}
