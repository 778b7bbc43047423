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

/** Starts the relays to a server, on `port`. @throws {Failure} with code 2 for settings that no relay knows */
export async function relayTo(
  to: Address,
  over: "tcp" | "udp" | "both",
  network: string,
  port = freePort(),
): Promise<Relay> {
  const [, seed = ""] = /\bseed=(\d+)/.exec(network) ?? [];
  const settings = ["--network", network.replace(/\bseed=\d+/, "").trim(), ...seed ? ["--seed", seed] : []];
  const programs: Program[] = [];
  for (const each of over === "both" ? ["udp", "tcp"] : [over]) {
    const relay = new Program([
      ...["deno", "run", "-N", `${each}/relay.ts`, "--port", `${port}`],
      ...["--to", formatAddress(to), ...settings],
    ], { cwd: root, onText: () => {} });
    programs.push(relay);
    try {
      await relay.line(/listening on /);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const [why = ""] = relay.stderr.split("\n");
      throw new Failure(
        why.replace(/^\w+: /, "") || "the relay of --network does not start",
        relay.status?.code === 2 ? 2 : 1,
      );
    }
  }
  return { port, programs };
}
