/**
 * The checks themselves: mistakes with their whole suite, so that no other check fails; right programs while the machine is busy.
 * By itself it takes a part of them; `ALL=1 TIMES=20` takes all, for an hour.
 */
import { assertEquals } from "jsr:@std/assert@1";
import { right, wrong } from "../peers/table.ts";
import { failures, patiently, suitesAtOnce } from "../support/judge.ts";
import { pool } from "../support/pool.ts";
import { areCaught, areRight, chosen, judgeMistake } from "../support/rows.ts";

const times = Number(Deno.env.get("TIMES") ?? 1);
const all = Deno.env.get("ALL") === "1";

Deno.test("check: each mistake is caught by the check that is made for it, with a hint", async (t) => {
  await areCaught(t, wrong.filter(chosen));
});

Deno.test("check: a mistake is caught by its check, and by no other", async (t) => {
  const rows = wrong.filter(chosen).filter((_, i) => all || i % 12 === 0);
  await patiently(4000, async () => {
    const jobs = pool(suitesAtOnce, rows.map((row) => () => judgeMistake(row)));
    for (const [i, [suite, command, caught]] of rows.entries()) {
      await t.step(`${suite} on ${command}`, async () => assertEquals(failures(await jobs[i] ?? []), caught));
    }
  });
});

/** A loop that keeps a processor busy until it is told. Its threads end with this process, however that ends. */
const busy = "data:text/javascript,onmessage = ({ data }) => { while (Atomics.load(data, 0) === 0); close(); };";

Deno.test(`check: right programs pass ${times} times of ${times}, beside four busy loops`, async (t) => {
  const over = new Int32Array(new SharedArrayBuffer(4));
  const loops = Array.from({ length: 4 }, () => new Worker(busy, { type: "module" }));
  for (const loop of loops) loop.postMessage(over);
  try {
    await areRight(
      t,
      right.filter(chosen).filter(([, command], i) => all || i % 4 === 0 || command.startsWith("deno")).flatMap((row) =>
        Array<typeof row>(times).fill(row)
      ),
      4,
    );
  } finally {
    Atomics.store(over, 0, 1);
  }
});
