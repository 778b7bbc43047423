/**
 * Starts the programs of a plan and adds to the picture what they print.
 *
 * @module
 */
import { Failure, printableLine, within } from "../../cli.ts";
import type { Transport } from "../../tcp/_network.ts";
import { Program } from "../support/program.ts";
import type { Model } from "./model.ts";
import { parseEvent } from "./parse_event.ts";
import type { Part, Plan } from "./plan.ts";
import { mistakeIn, withoutSeed } from "./settings.ts";

/** The longest line of a trace: a write of a mebibyte, as base64. */
const LONGEST = 4 << 20;

/** Seconds that a server has to end after its last client. */
const PATIENCE = 5;

/** The relay of an exchange, which can be told how bad its network is while it runs. */
export class Control {
  #relay: Program | undefined;

  constructor(readonly transport: Transport) {}

  begin(relay: Program): void {
    this.#relay = relay;
  }

  /** From now on the network is so. Returns why not, or "". */
  async change(network: string): Promise<string> {
    const mistake = mistakeIn(network, this.transport);
    if (mistake) return mistake;
    if (!this.#relay || this.#relay.status) return "the relay has ended, with the exchange";
    // It may end in this moment.
    return await this.#relay.input(`${withoutSeed(network).settings}\n`, true).then(
      () => "",
      () => "the relay has ended, with the exchange",
    );
  }
}

/** Runs a plan until all its clients have ended, or its programs are stopped. @throws {Failure} if one does not start */
export async function runPlan(
  plan: Plan,
  model: Model,
  print: (line: string) => void,
  control?: Control,
): Promise<void> {
  const { servers, relay, clients, hint, isChain } = plan;
  // A proxy stands between the client and the server.
  const lanes = isChain ? servers.toReversed() : servers;
  for (const part of [...clients.slice(0, 1), relay, ...lanes]) if (part) model.addSource(part.source);
  await using programs = new AsyncDisposableStack();
  const begin = (part: Part) => programs.use(start(part, model, print));
  const serving = servers.map(begin);
  // Clients that are started here need a server that listens; a server of the user need not say when it does.
  for (const [i, part] of servers.entries()) {
    const program = serving[i];
    if (program && clients.length > 0) await listens(program, part.source.name);
  }
  const beside = plan.beside && begin(plan.beside);
  if (beside) await listens(beside, "the relay over TCP");
  const network = relay && begin(relay);
  if (network) {
    await listens(network, "the relay");
    control?.begin(network);
  }
  if (hint) print(hint);
  for (const [i, part] of clients.entries()) {
    if (i > 0) model.addSource(part.source);
    const { code } = await begin(part).ended;
    if (code !== 0) break;
  }
  if (clients.length === 0) await (serving[0] ?? network)?.ended;
  else await Promise.all(serving.map((program) => within(PATIENCE, program.ended, () => program.stop())));
  await programs.disposeAsync();
  model.finish();
}

/** Waits until a program listens. @throws {Failure} when it ends before, or says nothing for long */
async function listens(program: Program, name: string): Promise<void> {
  try {
    await program.line(/listening on /i);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const how = program.status ? `ended with exit code ${program.status.code}` : "has said nothing for 20 s";
    throw new Failure(`${name} ${how}: it does not listen`);
  }
}

function start(part: Part, model: Model, print: (line: string) => void): Program {
  const { source, isTraced } = part;
  const name = source.side === "relay" ? "relay" : source.name;
  const lines = { stdout: new Lines(), stderr: new Lines() };
  const take = (line: string, stream: "stdout" | "stderr") => {
    const isEvent = stream === "stderr" && isTraced && parseEvent(line) !== undefined;
    if (!isEvent && line.trim() !== "") print(`${name}: ${printableLine(line.slice(0, 300))}`);
    if (stream === "stderr" || !isTraced) model.addLine(source, line, now());
  };
  const program = new Program(part.command, {
    ...{ cwd: part.cwd, env: part.env, stdin: source.side === "relay" },
    onText: (text, stream) => lines[stream].split(text).forEach((line) => take(line, stream)),
  });
  program.ended.then(({ code, signal }) => {
    for (const stream of ["stdout", "stderr"] as const) lines[stream].split("\n").forEach((line) => take(line, stream));
    const isBad = code !== 0 && !program.stopped;
    const how = program.stopped ? "was stopped" : signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
    if (source.side !== "relay" || isBad) model.addMark(source, how, now(), isBad ? { isFailure: true } : {});
    if (isBad) print(`${name} ${how}`);
  });
  return program;
}

const now = () => Date.now() * 1000;

/** Takes lines out of a text that arrives in parts. */
export class Lines {
  #rest = "";

  /** The lines that are now complete. One that is too long is cut into several. */
  split(text: string): string[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > LONGEST) {
      lines.push(this.#rest);
      this.#rest = "";
    }
    return lines.map((line) => line.replace(/\r$/, ""));
  }
}

/** Checks an address that the user has given. @throws {Failure} code 2 */
export function checkAddress(to: string): void {
  if (to !== "" && !/^.+:\d{1,5}$/.test(to)) throw new Failure(`--to needs HOST:PORT, not ${printableLine(to)}`, 2);
}
