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
 * @module
 */
import { count, Failure, flag, integer, onStop, printable, run, text } from "../cli.ts";
import { explain } from "../tcp/_socket_errors.ts";
import { type Protocol, protocols } from "./watch/dissect.ts";
import { Model } from "./watch/model.ts";
import { type Plan, planCommand, planPair } from "./watch/plan.ts";
import { checkAddress, runPlan } from "./watch/run.ts";
import { answer, saved, type Show } from "./watch/server.ts";
import { cwd, path, save } from "./support/cwd.ts";
import { stopAll } from "./support/program.ts";
import { pairs } from "./support/tasks.ts";

const names = pairs().map(([name]) => name).join(", ");

const command = {
  name: "watch",
  about: `Shows an exchange in the browser as it happens: every message an arrow, with
its bytes and fields. PAIR is one of the lessons:
  ${names.replace(/(.{50,66}), /g, "$1,\n  ")}
COMMAND is a server of your own, or with --to a client; a relay stands before
it. {host} and {port} are replaced, and are in the environment (HOST, PORT).`,
  run: "deno task watch",
  args: "PAIR | [-- COMMAND ...]",
  examples: [
    "deno task watch udp:chat --network loss=30%",
    "deno task watch -- python3 my_server.py {port}",
    "deno task watch --to 127.0.0.1:7007 -- python3 my_client.py {host} {port}",
  ],
  options: {
    "port": integer(0, "the page's port; 0: a free one", 0, 65535, "PORT"),
    "network": text("", "a bad network between both: 'loss=20% delay=50ms'", "SETTINGS"),
    "to": text("", "COMMAND is a client, and this is its server", "HOST:PORT"),
    "udp": flag("COMMAND speaks UDP"),
    "protocol": text("", `how to read the bytes: ${protocols.join(", ")}`, "NAME"),
    "save": text("", "write the page to FILE when the exchange is over, and end", "FILE"),
  },
};

await run(command, async (flags) => {
  const [first = "", ...more] = flags.args;
  const isPair = first !== "" && more.length === 0 && flags.to === "" && /^\w+:\w+$/.test(first);
  if (!isPair && first === "" && flags.to === "") throw new Failure(`give the name of a pair: ${names}`, 2);
  checkAddress(flags.to);
  const over = flags.udp ? "udp" : "tcp";
  const plan = isPair
    ? await planPair(first, flags.network)
    : planCommand(flags.args, { to: flags.to, over, network: flags.network, cwd });
  const protocol = parseProtocol(flags.protocol) ?? plan.protocol;
  const show: Show = { model: new Model(), title: plan.title, protocol, run: `${Date.now()}`, network: flags.network };
  onStop(() => stopAll().then(() => Deno.exit()));
  if (flags.save) {
    await runPlan(plan, show.model, console.log);
    return await save(path(flags.save), saved(show));
  }
  const server = servePage(flags.port, show);
  let isRunning = true;
  const start = (planned: Promise<Plan>) => runOnce(planned, show).finally(() => isRunning = false);
  if (isPair) {
    show.again = (network) => {
      if (isRunning) return "the exchange is still running: wait until it is over";
      isRunning = true;
      Object.assign(show, { model: new Model(), network, run: `${Date.now()}` });
      start(planPair(first, network));
      return "";
    };
  }
  await start(Promise.resolve(plan));
  await server.finished;
});

/** Runs a plan to its end. What fails is one line, and the page shows what there was until then. */
async function runOnce(planned: Promise<Plan>, show: Show): Promise<void> {
  const { model } = show;
  try {
    const plan = await planned;
    show.title = plan.title;
    await runPlan(plan, model, console.log);
    const arrows = new Set(model.log.filter((entry) => entry.kind === "arrow" && !entry.isGone));
    console.log(`watch: the exchange is over, with ${count(arrows.size, "message")}; the page stays until Ctrl-C`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(`watch: ${error.message}`);
    Deno.exitCode = 1;
  }
}

/** Serves the page. @throws {Failure} when the port is in use */
function servePage(port: number, show: Show): Deno.HttpServer {
  try {
    return Deno.serve({
      ...{ hostname: "127.0.0.1", port },
      onListen: ({ port }) => console.log(`watch: open http://127.0.0.1:${port}/`),
    }, (request) => answer(request, show));
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
