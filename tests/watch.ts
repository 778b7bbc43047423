/**
 * Shows an exchange in the browser as it happens: `deno task watch`.
 *
 * ```sh
 * deno task watch tcp:echo                                    # a pair of deno.json
 * deno task watch udp:chat --network loss=30%                 # the same over a bad network
 * deno task watch -- python3 my_server.py {port}              # a server of your own, behind a relay
 * deno task watch --to 127.0.0.1:7007 -- python3 my_client.py {host} {port}
 * ```
 *
 * `deno task demo --watch` shows all pairs, one after another.
 *
 * @module
 */
import { Failure, flag, integer, onStop, printable, run, text } from "../cli.ts";
import { explain } from "../tcp/_socket_errors.ts";
import { type Protocol, protocols } from "./watch/dissect.ts";
import { Model } from "./watch/model.ts";
import { type Plan, planCommand, planPair } from "./watch/plan.ts";
import { checkAddress, runPlan } from "./watch/run.ts";
import { answer, saved } from "./watch/server.ts";
import { Stage } from "./watch/stage.ts";
import { cwd, path, save } from "./support/cwd.ts";
import { stopAll } from "./support/program.ts";
import { needsCheckout, pairs } from "./support/tasks.ts";

const names = pairs().map(([name]) => name).join(", ");

const command = {
  name: "watch",
  about: `Shows an exchange in the browser as it happens: every message an arrow, with
its bytes and fields. PAIR is one of the lessons; several are shown one after
another, and tcp stands for all of TCP:
  ${names.replace(/(.{50,66}), /g, "$1,\n  ")}
COMMAND is a server of your own, or with --to a client; a relay stands before
it. {host} and {port} are replaced, and are in the environment (HOST, PORT).`,
  run: "deno task watch",
  args: "PAIR ... | [-- COMMAND ...]",
  examples: [
    "deno task watch udp:chat --network loss=30%",
    "deno task watch -- python3 my_server.py {port}",
    "deno task watch --to 127.0.0.1:7007 -- python3 my_client.py {host} {port}",
  ],
  options: {
    "port": integer(0, "the page's port; 0: a free one", 0, 65535, "PORT"),
    "network": text("", "a bad network between both: 'loss=20% delay=50ms'", "SETTINGS"),
    "script": text("", "what it does to some messages: 'client: drop 1,3'", "SCRIPT"),
    "to": text("", "COMMAND is a client, and this is its server", "HOST:PORT"),
    "udp": flag("COMMAND speaks UDP"),
    "protocol": text("", `how to read the bytes: ${protocols.join(", ")}`, "NAME"),
    "save": text("", "write the page to FILE when the exchange is over, and end", "FILE"),
  },
};

await run(command, async (flags) => {
  needsCheckout();
  checkAddress(flags.to);
  const protocol = parseProtocol(flags.protocol);
  const chosen = flags.to === "" && !Deno.args.includes("--") ? chosenPairs(flags.args) : [];
  const [first] = chosen;
  if (first === undefined && flags.args.length === 0 && flags.to === "") {
    throw new Failure(`give the name of a pair: ${names}`, 2);
  }
  onStop(() => stopAll().then(() => Deno.exit()), "SIGHUP");
  const over = flags.udp ? "udp" : "tcp";
  const planOf = async (name: string | undefined, network = flags.network) =>
    name === undefined
      ? planCommand(flags.args, { to: flags.to, over, network, script: flags.script, cwd })
      : await planPair(name, network, flags.script);
  if (flags.save) {
    if (chosen.length > 1) throw new Failure("--save takes one pair", 2);
    const plan = await planOf(first);
    const show = { model: new Model(protocol ?? plan.protocol), title: plan.title, run: "" };
    await runPlan(plan, show.model, console.log);
    return await save(path(flags.save), saved(show));
  }
  const stage = new Stage(protocol);
  if (chosen.length <= 1) {
    let planned: Plan | undefined = await planOf(first); // its mistakes are told before anything is started
    const next = async (network: string) => {
      const plan = planned ?? await planOf(first, network);
      planned = undefined;
      return plan;
    };
    stage.add(planned.title, next, flags.network, first !== undefined);
  } else for (const name of chosen) stage.add(name, (network) => planOf(name, network), flags.network, true);
  const server = servePage(flags.port, stage);
  await stage.play();
  await server.finished;
});

/** The pairs that are asked for, by their names or by the protocol in front of the colon. @throws {Failure} code 2 */
function chosenPairs(args: readonly string[]): string[] {
  const all = pairs().map(([name]) => name);
  const chosen = args.flatMap((arg) => all.filter((name) => name === arg || name.startsWith(`${arg}:`)));
  const unknown = args.find((arg) => /^\w+:\w+$/.test(arg) && !all.includes(arg));
  if (unknown) throw new Failure(`there is no pair ${unknown}: ${names}`, 2);
  return args.every((arg) => all.some((name) => name === arg || name.startsWith(`${arg}:`))) ? chosen : [];
}

/** Serves the page. @throws {Failure} when the port is in use */
function servePage(port: number, stage: Stage): Deno.HttpServer {
  try {
    return Deno.serve({
      ...{ hostname: "127.0.0.1", port },
      onListen: ({ port }) => console.log(`watch: open http://127.0.0.1:${port}/`),
    }, (request) => answer(request, stage.current, stage.gallery));
  } catch (error) {
    throw explain(error, { hostname: "127.0.0.1", port });
  }
}

function parseProtocol(name: string): Protocol | undefined {
  const found = protocols.find((protocol) => protocol === name);
  if (name !== "" && !found) {
    throw new Failure(`--protocol needs one of ${protocols.join(", ")}, not ${printable(name)}`, 2);
  }
  return found;
}
