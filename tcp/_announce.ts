/**
 * Tells where a server listens.
 *
 * @module
 */
import { type Address, formatAddress } from "../cli.ts";

/** Prints where a server listens. Bound to every address, it also prints those that other machines can use. */
export function announce(what: string, addr: Address): void {
  console.log(`${what} listening on ${formatAddress(addr)}`);
  if (addr.hostname !== "0.0.0.0" && addr.hostname !== "::") return;
  try {
    for (const { address, family, name } of Deno.networkInterfaces()) {
      if (/^(127\.|::1$|fe80:)/.test(address) || (family === "IPv6" && addr.hostname === "0.0.0.0")) continue;
      console.log(`other machines can connect to ${formatAddress({ ...addr, hostname: address })} (${name})`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    console.log("to see the addresses for other machines, add -S=networkInterfaces to deno run");
  }
}
