/**
 * The settings of a network, as the command line and the page give them.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { parseNetworks, parseScript, type Transport } from "../../tcp/_network.ts";

/** A seed stands among the settings of `watch` and `check`, and is none of a relay's. */
export function withoutSeed(network: string): { settings: string; seed: string } {
  const [word = "", seed = ""] = /\bseed=(\d+)/.exec(network) ?? [];
  return { settings: network.replace(word, "").trim(), seed };
}

/** Checks what a relay is to be told, before one is started. @throws {Failure} with code 2 and the column of a mistake */
export function checkSettings(network: string, script: string, transport: Transport): void {
  const blank = network.replace(/\bseed=\d+/, (seed) => " ".repeat(seed.length)); // the columns stay
  parseNetworks("network", blank, transport);
  parseScript(script, transport);
}

/** What is wrong with the settings of the page; "" when nothing is. */
export function mistakeIn(network: string, transport: Transport): string {
  try {
    checkSettings(network, "", transport);
    return "";
  } catch (error) {
    if (error instanceof Failure) return error.message.replace("--", "");
    throw error;
  }
}
