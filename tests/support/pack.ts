/**
 * Writes an autograder for Gradescope that works without the internet: the checker, Deno and its packages in one folder.
 *
 * @module
 */
import { Failure, printable } from "../../cli.ts";
import { suites } from "../suites/suites.ts";
import { root } from "./tasks.ts";

const setup = `#!/usr/bin/env bash
# Gradescope runs this once, while it builds the container. Install here what the submissions need:
# apt-get update && apt-get install -y python3 nodejs default-jdk-headless
chmod +x /autograder/source/deno
`;

const autograder = (suites: readonly string[]) =>
  `#!/usr/bin/env bash
# Gradescope runs this for each submission. AUTOGRADER is its folder; elsewhere another one can be given.
home=\${AUTOGRADER:-/autograder}
mkdir -p "$home/results"
export DENO_DIR="$home/deno_dir" DENO_NO_UPDATE_CHECK=1 INIT_CWD="$home/submission"
cd "$home/source" || exit 1
command=$(cat command)
for suite in ${suites.join(" ")}; do
  timeout 300 ./deno run --no-prompt --cached-only --node-modules-dir=manual -N --allow-run -E -R -W tests/check.ts "$suite" \\
    --json "$home/results/$suite.json" -- bash -c "exec $command"
done
./deno run --no-prompt -R -W tests/support/merge.ts "$home/results/results.json" ${
    suites.map((suite) => `"$home/results/${suite}.json"`).join(" ")
  }
`;

/** Writes the autograder to `folder`; returns what to do with it. */
export async function pack(folder: string, names: readonly string[], words: readonly string[]): Promise<string> {
  if (names.length === 0 || words.length === 0) {
    throw new Failure("--pack needs suites and a command: --pack DIR tcp:echo -- python3 server.py {port}", 2);
  }
  const role = suites[names[0] ?? ""]?.role;
  if (names.some((name) => suites[name]?.role !== role)) {
    throw new Failure("--pack needs suites that one command serves: all for servers, or all for clients", 2);
  }
  await Deno.mkdir(folder, { recursive: true });
  const files = new Set(["deno.json", "deno.lock", "tests/support/merge.ts", ...await modules()]);
  for (const file of files) {
    const target = `${folder}/${file}`;
    await Deno.mkdir(target.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(`${root}${file}`, target);
  }
  await Deno.copyFile(Deno.execPath(), `${folder}/deno`);
  // {port} and the like are replaced by the checker, within the words of bash.
  await Deno.writeTextFile(`${folder}/command`, `${words.map(shellWord).join(" ")}\n`);
  await Deno.writeTextFile(`${folder}/setup.sh`, setup, { mode: 0o755 });
  await Deno.writeTextFile(`${folder}/run_autograder`, autograder(names), { mode: 0o755 });
  const install = ["install", "--node-modules-dir=auto", "--entrypoint", "tests/check.ts"];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args: install, cwd: folder }).output();
  if (!success) {
    throw new Failure(`cannot pack the packages: ${printable(new TextDecoder().decode(stderr).slice(-200))}`);
  }
  return `${folder} is packed. Zip what is in it (cd ${
    printable(folder)
  } && zip -qry ../autograder.zip .), and upload that.`;
}

const shellWord = (word: string) => /^[\w{}@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** The files of the project that the checker imports. */
async function modules(): Promise<string[]> {
  const args = ["info", "--json", "tests/check.ts"];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd: root, stderr: "null" }).output();
  const graph: { modules: { local?: string }[] } = JSON.parse(new TextDecoder().decode(stdout));
  return graph.modules.flatMap(({ local }) => local?.startsWith(root) ? [local.slice(root.length)] : []);
}
