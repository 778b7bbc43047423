/**
 * Which programs are started for a pair of `deno.json` or for a command of the user: on free ports, with their traces.
 *
 * @module
 */
import { basename } from "node:path";
import { Failure, formatAddress } from "../../cli.ts";
import { freePort } from "../support/free_port.ts";
import { relayCommand } from "../support/network.ts";
import { newPorts, onPorts, ownPort, pairs, partsOf, root } from "../support/tasks.ts";
import { type Protocol, protocolOf } from "./dissect.ts";
import type { Source } from "./model.ts";
import { checkSettings } from "./settings.ts";

/** A program to start. */
export interface Part {
  readonly source: Source;
  readonly command: readonly string[];
  readonly env?: Record<string, string>;
  readonly cwd: string;
  /** Whether it prints its trace on stderr. Of another one, the lines of stdout are shown. */
  readonly isTraced: boolean;
}

/** What is started: the servers, then the relay, then the clients one after another. */
export interface Plan {
  readonly title: string;
  /** The last one is what the clients connect to: of a pair with a proxy, it is the proxy. */
  readonly servers: readonly Part[];
  /** Whether each server asks the one before it, as a proxy does. */
  readonly isChain?: boolean;
  readonly relay?: Part;
  /** The same port over TCP, where clients of a protocol over UDP use both: a relay that passes everything on. */
  readonly beside?: Part;
  readonly clients: readonly Part[];
  readonly protocol?: Protocol;
  readonly over: "tcp" | "udp";
  /** What the user has to do. */
  readonly hint?: string;
}

/**
 * The plan of a pair, such as `tcp:echo`. `network`: the settings of a relay before the server; `script`: what it does to
 * some messages.
 *
 * @throws {Failure} code 2
 */
export async function planPair(name: string, network: string, script = ""): Promise<Plan> {
  const isRelayed = network !== "" || script !== "";
  const over = /^(udp|dns)/.test(name) ? "udp" : "tcp";
  const task = pairs().find(([pair]) => pair === name)?.[1];
  if (task === undefined) {
    const names = pairs().map(([pair]) => pair).join(", ");
    throw new Failure(`${name === "" ? "give the name of a pair" : `there is no pair ${name}`}: ${names}`, 2);
  }
  const { servers, clients } = partsOf(task);
  const isPair = servers.length > 0;
  if (isRelayed && !isPair) throw new Failure(`${name} has no server, so no relay can stand before it`, 2);
  // A relay stands before one server alone: there must be no other on the same port.
  const isChain = servers.filter((server) => ownPort(server) === ownPort(servers.at(-1) ?? "")).length <= 1;
  if (isRelayed && !isChain) {
    throw new Failure(`${name} has ${servers.length} servers: start a relay before one by hand`, 2);
  }
  checkSettings(network, script, over);
  const ports = newPorts(task, freePort());
  const last = servers.at(-1) ?? "";
  const port = ports(ownPort(last));
  const relayed = isRelayed ? freePort() : port;
  const beforeRelay = (old: number | undefined) => ports(old) === port ? relayed : ports(old);
  const parsed = [...servers, ...clients].map((command, i) => {
    const isServer = i < servers.length;
    const words = splitWords(isPair ? onPorts(command, isServer ? ports : beforeRelay) : command);
    return { words, isServer, script: words.findIndex((word) => /\.ts$/.test(word)) };
  });
  const scripts = [...new Set(parsed.map(({ words, script }) => words[script] ?? ""))];
  const traceable = new Map(
    await Promise.all(scripts.map(async (script) => [script, await canTrace(script)] as const)),
  );
  const parts = parsed.map(({ words, script, isServer }): Part => {
    const file = words[script] ?? "";
    const isTraced = traceable.get(file) === true;
    const command = [...words.slice(0, script + 1), ...isTraced ? ["--trace=json"] : [], ...words.slice(script + 1)];
    // Servers of the same script differ in what they serve.
    const source = isServer
      ? {
        side: "server" as const,
        name: parsed.filter(({ words, script }) => words[script] === file).length > 1
          ? `${file} ${basename(words.slice(script + 1).find((word) => word.includes("/")) ?? "")}`
          : file,
      }
      : { side: "client" as const, name: file };
    return { source, command, cwd: root, isTraced };
  });
  const to = `127.0.0.1:${port}`;
  return {
    title: [name, network, script].filter((part) => part !== "").join(", "),
    servers: parts.slice(0, servers.length),
    isChain,
    ...isRelayed ? relaysOf(name, over, relayed, to, network, script) : {},
    over,
    clients: parts.slice(servers.length),
    protocol: protocolOf(name),
  };
}

/** What the plan of a command needs to know. */
export interface Wanted {
  /** The server of a client; "" when the command is a server. */
  readonly to: string;
  readonly over: "tcp" | "udp";
  readonly network: string;
  readonly script?: string;
  readonly cwd: string;
}

/** The plan of a command: a server or a client of the user, behind a relay that shows what passes. */
export function planCommand(words: readonly string[], { to, over, network, script = "", cwd }: Wanted): Plan {
  checkSettings(network, script, over);
  const [server, relay] = [freePort(), freePort()];
  const port = to === "" ? server : relay;
  const fill = (word: string) => word.replaceAll("{host}", "127.0.0.1").replaceAll("{port}", `${port}`);
  const part = (side: "client" | "server"): Part => ({
    source: { side, name: words.join(" ") },
    command: words.map(fill),
    env: { HOST: "127.0.0.1", PORT: `${port}` },
    ...{ cwd, isTraced: false },
  });
  const at = formatAddress({ hostname: "127.0.0.1", port: relay });
  const hint = `connect your client to ${at}`;
  return {
    title: words.join(" ") || `${over} ${to}`,
    servers: to === "" ? [part("server")] : [],
    over,
    relay: relayPart(over, relay, to || `127.0.0.1:${server}`, network, script),
    clients: to !== "" && words.length > 0 ? [part("client")] : [],
    ...to === "" || words.length === 0 ? { hint } : {},
  };
}

/** The relay of a pair. The runtime's resolver asks over TCP, too; a server of TFTP answers from another port. */
function relaysOf(name: string, over: "tcp" | "udp", port: number, to: string, network: string, script: string) {
  const relay = relayPart(over, port, to, network, script);
  if (name === "udp:tftp") return { relay: { ...relay, command: [...relay.command, "--follow"] } };
  if (!name.startsWith("dns:")) return { relay };
  return { relay, beside: { ...relayPart("tcp", port, to, ""), source: relay.source } };
}

function relayPart(over: "tcp" | "udp", port: number, to: string, network: string, script = ""): Part {
  const scripted = script === "" ? [] : ["--script", script];
  const command = [...relayCommand(over, port, to, network), ...scripted, "--control", "--trace=json"];
  const isPassive = network === "" && script === "";
  const source: Source = { side: "relay", name: "the relay", ...isPassive ? { isPassive } : {} };
  return { source, command, cwd: root, isTraced: true };
}

/** The words of a task's command: those in single quotes may have spaces. */
export const splitWords = (command: string): string[] =>
  [...command.trim().matchAll(/'([^']*)'|[^\s']+/g)].map(([word, quoted]) => quoted ?? word);

/** Whether a script has `--trace`: the runtime's own resolver and the system's ping show nothing. */
async function canTrace(script: string): Promise<boolean> {
  const args = ["run", "--no-prompt", script, "--help"];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd: root, stdin: "null", stderr: "null" })
    .output();
  return new TextDecoder().decode(stdout).includes("--trace");
}
