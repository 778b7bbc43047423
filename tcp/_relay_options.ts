/**
 * The options of both relays.
 *
 * @module
 */
import { type Address, Failure, flag, formatAddress, integer, type Option, parseHost } from "../cli.ts";
import { serverOptions, text } from "../cli.ts";
import { Fates } from "./_fate.ts";
import { type Network, parseNetwork, parseNetworks, parseScript, perfect, type Rule } from "./_network.ts";
import type { Side, Transport } from "./_network.ts";

const toOption: Option<Address | ""> = {
  ...{ default: "", help: "the server that the clients are to reach", value: "HOST:PORT" },
  parse(raw) {
    const [, host = "", port = ""] = /^(.*):(\d{1,5})$/.exec(raw) ?? [];
    if (!(Number(port) >= 1 && Number(port) <= 65_535)) throw new RangeError("HOST:PORT, such as 127.0.0.1:7007");
    return { hostname: parseHost(host), port: Number(port) };
  },
};

export const relayOptions = (port: number) => ({
  ...serverOptions(port, "forget a silent client after this; 0: never"),
  "to": toOption,
  "network": text("", "shake both directions: 'loss=20% delay=50ms'", "SETTINGS"),
  "client": text("", "shake what the clients send", "SETTINGS"),
  "server": text("", "shake what the server sends", "SETTINGS"),
  "script": text("", "shake some messages: 'client: delay 1,3 200ms'", "SCRIPT"),
  "control": flag("read settings from stdin while it runs, a line each"),
  "seed": integer(0, "the same seed, the same chance; 0: a new one", 0, 2 ** 31 - 1),
  "max-clients": integer(1000, "clients at the same time; more are refused", 1, 1_000_000),
});

/** What a relay does with the messages of its clients. */
export interface Plan {
  readonly to: Address;
  readonly networks: Readonly<Record<Side, Network>>;
  readonly rules: readonly Rule[];
  readonly seed: number;
  /** Whether the networks may change while it runs. */
  readonly isControlled: boolean;
}

/** The plan of a command line. @throws {Failure} with code 2 when there is a mistake in it. */
export function planOf(
  flags: Record<Side | "network" | "script", string> & { to: Address | ""; seed: number; control: boolean },
  transport: Transport,
): Plan {
  if (flags.to === "") throw new Failure("--to HOST:PORT is missing: which server are the clients to reach?", 2);
  const { client, server } = parseNetworks("network", flags.network, transport);
  const networks = {
    client: { ...perfect, ...client, ...parseNetwork("client", flags.client, transport) },
    server: { ...perfect, ...server, ...parseNetwork("server", flags.server, transport) },
  };
  const rules = parseScript(flags.script, transport);
  const seed = flags.seed || 1 + (crypto.getRandomValues(new Uint16Array(1))[0] ?? 0);
  return { to: flags.to, networks, rules, seed, isControlled: flags.control };
}

/** Whether one direction is passed on as it is, until the end. */
export function isPlain({ networks, rules, isControlled }: Plan, side: Side): boolean {
  if (isControlled) return false;
  const isPerfect = Object.entries(perfect).every(([key, value]) =>
    key === "queue" || Reflect.get(networks[side], key) === value
  );
  return isPerfect && !rules.some((rule) => rule.side === side);
}

/** The fates of what one side of a client's exchange sends. */
export const fatesOf = ({ networks, rules, seed }: Plan, side: Side, client: number): Fates =>
  new Fates(networks[side], rules, side, seed, client);

/** Says which seed was taken, where chance has a part in it. */
export function announceSeed({ networks, seed }: Plan): void {
  const isByChance = Object.values(networks).some(({ loss, duplicate, reorder, flip, jitter }) =>
    loss + duplicate + reorder + flip + jitter > 0
  );
  if (isByChance) console.log(`the same once more: --seed ${seed}`);
}

/**
 * Checks that the relay may use the server's address, or any port of its host.
 *
 * @throws {Failure} with the flag of `deno run` that is missing.
 */
export async function checkPermission(to: Address, anyPort = false): Promise<void> {
  const at = anyPort ? formatAddress(to).replace(/:\d+$/, "") : formatAddress(to);
  const { state } = await Deno.permissions.query({ name: "net", host: at });
  if (state !== "granted") throw new Failure(`no permission to use ${at}: add -N=${at}`, 2, `-N=${at}`);
}
