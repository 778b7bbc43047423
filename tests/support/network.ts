/**
 * A bad network between the checker and the program: a relay, as `deno task tcp-relay` and `udp-relay` start it.
 *
 * @module
 */
import { type Address, Failure, formatAddress } from "../../cli.ts";
import { freePort } from "./free_port.ts";
import { Program } from "./program.ts";
import { root } from "./tasks.ts";

/** What stands before a server: connect to its port instead. */
export interface Relay {
  readonly port: number;
  readonly programs: readonly Program[];
}

/** The command of a relay. Its settings may have a seed, such as `loss=20% seed=7`. */
export function relayCommand(over: "tcp" | "udp", port: number, to: string, network: string): string[] {
  const [seed, number = ""] = /\bseed=(\d+)/.exec(network) ?? [""];
  const settings = network.replace(seed, "").trim();
  const net = to.startsWith("127.0.0.1:") ? "-N=127.0.0.1" : "-N";
  return [
    ...["deno", "run", net, `${over}/relay.ts`, "--port", `${port}`, "--to", to],
    ...settings ? ["--network", settings] : [],
    ...number ? ["--seed", number] : [],
  ];
}

/** Starts the relays to a server, on `port`. @throws {Failure} with code 2 for settings that no relay knows */
export async function relayTo(
  to: Address,
  over: "tcp" | "udp" | "both",
  network: string,
  port = freePort(),
): Promise<Relay> {
  const programs: Program[] = [];
  for (const each of over === "both" ? ["udp", "tcp"] as const : [over]) {
    const relay = new Program(relayCommand(each, port, formatAddress(to), network), { cwd: root, onText: () => {} });
    programs.push(relay);
    try {
      await relay.line(/listening on /);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const [why = ""] = relay.stderr.split("\n");
      await Promise.all(programs.map((program) => program.stop()));
      throw new Failure(
        why.replace(/^\w+: /, "") || "the relay of --network does not start",
        relay.status?.code === 2 ? 2 : 1,
      );
    }
  }
  return { port, programs };
}
