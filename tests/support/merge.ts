/**
 * Merges the results files of several suites into one, for Gradescope: `merge.ts TO FROM ...`.
 *
 * @module
 */
const [to = "", ...from] = Deno.args;
const tests: unknown[] = [];
let seconds = 0;
for (const [i, file] of from.entries()) {
  const { execution_time, tests: some } = JSON.parse(await Deno.readTextFile(file));
  const suite = file.replace(/^.*\/|\.json$/g, "");
  seconds += execution_time;
  tests.push(
    ...some.map((test: { name: string; number: string }) => ({
      ...test,
      number: from.length > 1 ? `${i + 1}.${test.number}` : test.number,
      name: from.length > 1 ? `${suite}: ${test.name}` : test.name,
    })),
  );
}
await Deno.writeTextFile(to, JSON.stringify({ execution_time: seconds, stdout_visibility: "hidden", tests }, null, 2));
