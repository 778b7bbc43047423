/**
 * `--control`: a relay that is told on stdin, while it runs, how bad its network is from now on.
 *
 * @module
 */
import { Failure, printableLine, type Tracing } from "../cli.ts";
import { parseNetworks, perfect, type Transport } from "./_network.ts";
import { announceSeed, type Plan } from "./_relay_options.ts";
import { showMessage } from "./_trace.ts";

/**
 * Takes each line of stdin for the settings of the network, as `--network` does: it stands for what arrives from then on, and
 * an empty line for a perfect network. A mistake is one line on stderr, and changes nothing.
 */
export async function obeyStdin(plan: Plan, transport: Transport, flags: Tracing): Promise<void> {
  for await (const line of linesOf(Deno.stdin.readable)) {
    try {
      change(plan, line, transport);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      console.error(`relay: ${error.message.replace("--", "")}`);
      continue;
    }
    const note = `network: ${line.trim() || "perfect"}`;
    console.log(printableLine(note));
    announceSeed(plan);
    showMessage(flags, { side: "relay", transport, from: "", to: "", data: new Uint8Array(), note });
  }
}

/** Changes the networks of a plan, which the connections that are open look at, too. @throws {Failure} for a mistake */
export function change({ networks }: Plan, line: string, transport: Transport): void {
  const { client, server } = parseNetworks("network", line, transport);
  Object.assign(networks.client, perfect, client);
  Object.assign(networks.server, perfect, server);
}

/** The longest line; what is longer is a mistake. */
const LONGEST = 10_000;

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split(/\r?\n/);
    rest = (lines.pop() ?? "").slice(0, LONGEST);
    yield* lines;
  }
  if (rest !== "") yield rest;
}
