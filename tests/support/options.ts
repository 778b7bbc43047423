/**
 * A script's options, as its user meets them.
 *
 * @module
 */
import { assertEquals } from "jsr:@std/assert@1";
import { pool } from "./pool.ts";
import { Program } from "./program.ts";
import { root } from "./tasks.ts";

/** Tests the defaults of a script's options, and from where to where its numbers go: `{ size: "16, 1 to 1024" }`. */
export function optionsTest(script: string, expected: Record<string, string>): void {
  Deno.test(`${script}: the defaults and the limits of its options`, async () => {
    const run = async (option: string) => {
      const program = new Program(["deno", "run", script, option], { cwd: root });
      await program.end();
      return program;
    };
    const { stdout } = await run("--help");
    const unwrapped = stdout.replace(/\n {24}/g, " ");
    const rows = [...unwrapped.matchAll(/^ {2}--([\w-]+) (\S+)?.*\(default: (.*)\)$/gm)];
    // A few at a time: on a slow machine, twenty that start together would all be late.
    const found = pool(
      4,
      rows.map(([, name = "", value = "", initial = ""]) => async () => {
        if (!/^(N|PORT)$/.test(value)) return [name, initial];
        const { status, stderr } = await run(`--${name}=x`);
        const [, from, to] = / needs a whole number from (\d+) to (\d+), not x$/m.exec(stderr) ?? [];
        assertEquals(status?.code, 2);
        return [name, `${initial}, ${from} to ${to}`];
      }),
    );
    assertEquals(Object.fromEntries(await Promise.all(found)), expected);
  });
}
