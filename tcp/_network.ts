/**
 * How bad the network is that a relay plays: parses `--network`, `--client`, `--server` and `--script`. Pure functions.
 *
 * @module
 */
import { Failure, printable } from "../cli.ts";

/** What happens to the messages of one direction, all of them or some by chance. */
export interface Network {
  /** Milliseconds that every message takes longer. */
  delay: number;
  /** Up to so many milliseconds more, by chance. */
  jitter: number;
  /** Bytes per second. */
  rate: number;
  /** The most bytes that wait in the relay. */
  queue: number;
  /** How likely a message is lost, arrives twice, arrives after the next one, or has a bit flipped: 0 to 1. */
  loss: number;
  duplicate: number;
  reorder: number;
  flip: number;
  /** TCP: how many bytes a piece has in which the stream goes on. */
  slice: number;
  /** TCP: after so many bytes nothing goes on, both connections are reset or closed, or only the receiver's is closed. */
  stall: number;
  reset: number;
  close: number;
  "half-open": number;
}

/** A network that changes nothing. */
export const perfect: Readonly<Network> = {
  ...{ delay: 0, jitter: 0, rate: Infinity, queue: 1 << 18, loss: 0, duplicate: 0, reorder: 0, flip: 0 },
  ...{ slice: Infinity, stall: Infinity, reset: Infinity, close: Infinity, "half-open": Infinity },
};

type Key = keyof Network;
export type Transport = "tcp" | "udp";

/** Which settings there are, and what their values are. */
const settings: Record<Transport, Partial<Record<Key, Unit>>> = {
  tcp: {
    ...{ delay: "time", jitter: "time", rate: "rate", queue: "size", loss: "share" },
    ...{ slice: "size", stall: "count", reset: "count", close: "count", "half-open": "count" },
  },
  udp: {
    ...{ delay: "time", jitter: "time", rate: "rate", queue: "size" },
    ...{ loss: "share", duplicate: "share", reorder: "share", flip: "share" },
  },
};

type Unit = "time" | "rate" | "size" | "count" | "share";

const forms: Record<Unit, string> = {
  time: "a time such as 200ms or 1.5s",
  rate: "bytes per second such as 50k or 2M",
  size: "a number of bytes from 1, such as 1500 or 64k",
  count: "a number of bytes, such as 0, 1500 or 64k",
  share: "a share such as 20% or 0.2",
};

const factors: Record<string, number> = { "": 1, k: 1000, M: 1_000_000, ms: 1, s: 1000 };

/** The value of a setting; `undefined` when it has another form. */
function parseValue(unit: Unit, text: string): number | undefined {
  const [, digits = "", suffix = ""] = /^(\d+(?:\.\d+)?)(%|k|M|ms|s|)$/.exec(text) ?? [];
  if (digits === "") return undefined;
  if (unit === "share") {
    const share = suffix === "%" ? Number(digits) / 100 : suffix === "" ? Number(digits) : NaN;
    return share <= 1 ? share : undefined;
  }
  const isTime = suffix === "ms" || suffix === "s";
  if (suffix === "%" || isTime !== (unit === "time")) return undefined;
  const value = Number(digits) * (factors[suffix] ?? NaN);
  if (unit === "time") return value <= 3_600_000 ? value : undefined;
  const least = unit === "count" ? 0 : 1;
  return value >= least && value <= 2 ** 40 && (unit === "rate" || Number.isInteger(value)) ? value : undefined;
}

/** A mistake in the value of an option, with the column where it is. */
const mistake = (option: string, column: number, why: string) =>
  new Failure(`--${option}, column ${column + 1}: ${why}`, 2);

/** Shows a word of the command line in a mistake. */
const shown = (word: string) => word === "" ? "the end" : printable(word);

/**
 * Parses the settings of both directions such as `delay=50ms`, or of one alone: `delay=50ms; client: loss=20%`.
 *
 * @throws {Failure} with code 2 and the column of a mistake.
 */
export function parseNetworks(option: string, text: string, transport: Transport): Record<Side, Partial<Network>> {
  const networks: Record<Side, Partial<Network>> = { client: {}, server: {} };
  let start = 0;
  for (const part of text.split(";")) {
    const [head = "", side] = /^\s*(?:(client|server)\s*:)?/.exec(part) ?? [];
    const network = parseNetwork(option, part.slice(head.length), transport, start + head.length);
    if (side !== "server") Object.assign(networks.client, network);
    if (side !== "client") Object.assign(networks.server, network);
    start += part.length + 1;
  }
  return networks;
}

/** Parses settings such as `loss=20% delay=50ms`, which begin at column `start`. @throws {Failure} as `parseNetworks` */
export function parseNetwork(option: string, text: string, transport: Transport, start = 0): Partial<Network> {
  const known = settings[transport];
  const network: Partial<Network> = {};
  for (const { 0: word, index: at } of text.matchAll(/[^\s,]+/g)) {
    const index = start + at;
    const [name = "", value = ""] = word.split("=", 2);
    const key = keysOf(known).find((key) => key === name);
    const unit = key && known[key];
    if (!key || !unit) {
      throw mistake(option, index, `expected one of ${keysOf(known).join(", ")}, not ${shown(name)}${otherwise(name)}`);
    }
    const parsed = parseValue(unit, value);
    if (parsed === undefined) {
      throw mistake(option, index + name.length + 1, `${name} needs ${forms[unit]}, not ${shown(value)}`);
    }
    network[key] = parsed;
  }
  return network;
}

/** Which settings there are, and what each one is. */
export const settingsOf = (transport: Transport): { key: string; unit: string }[] =>
  keysOf(settings[transport]).map((key) => ({ key, unit: settings[transport][key] ?? "" }));

const keysOf = (known: Partial<Record<Key, Unit>>) => Object.keys(perfect).filter((key): key is Key => key in known);

const commands: Record<Transport, readonly string[]> = {
  tcp: ["delay", "stall", "reset", "close", "half-open"],
  udp: ["drop", "duplicate", "delay", "swap", "flip"],
};

/** Why a word of UDP is none of TCP, or the other way round. */
function otherwise(name: string): string {
  if (/^(drop|duplicate|swap|reorder|flip)$/.test(name)) return " (TCP repairs that: a program sees a delay)";
  return /^(slice|stall|reset|close|half-open)$/.test(name) ? " (a datagram has no connection)" : "";
}

export type Side = "client" | "server";

/** What a script says of some messages that one side sends. */
export interface Rule {
  readonly side: Side;
  readonly command: string;
  /** The numbers of the messages, from 1 in each direction of each client: first and last of each range. */
  readonly numbers: readonly (readonly [number, number])[];
  /** Milliseconds, for `delay`. */
  readonly time: number;
}

/**
 * Parses a script: parts with a `;` between them, each with a side, a command, the numbers of messages, and for `delay` a time.
 *
 * ```ts
 * parseScript("client: drop 1,3; server: delay 2 200ms", "udp");
 * ```
 *
 * @throws {Failure} with code 2 and the column of a mistake.
 */
export function parseScript(text: string, transport: Transport): Rule[] {
  const rules: Rule[] = [];
  let start = 0;
  for (const part of text.split(";")) {
    if (part.trim() !== "") rules.push(parseRule(part, start, transport));
    start += part.length + 1;
  }
  return rules;
}

function parseRule(part: string, start: number, transport: Transport): Rule {
  const words = [...part.matchAll(/[^\s:]+|:/g)].map(({ 0: word, index }) => ({ word, at: start + index }));
  const end = { word: "", at: start + part.trimEnd().length };
  const fail = ({ word, at }: { word: string; at: number }, wanted: string) => {
    throw mistake("script", at, `expected ${wanted}, not ${shown(word)}`);
  };
  const [side = end, colon = end, command = end, list = end, ...more] = words;
  if (side.word !== "client" && side.word !== "server") return fail(side, "client or server");
  if (colon.word !== ":") fail(colon, `a colon after ${side.word}`);
  if (!commands[transport].includes(command.word)) {
    throw mistake(
      "script",
      command.at,
      `expected ${commands[transport].join(", ")}, not ${shown(command.word)}${otherwise(command.word)}`,
    );
  }
  const numbers = list.word.split(",").map((range): [number, number] => {
    const [, first, last = first] = /^([1-9]\d{0,8})(?:-([1-9]\d{0,8}))?$/.exec(range) ?? [];
    if (first === undefined || Number(first) > Number(last)) fail(list, "numbers of messages such as 1,3 or 2-5");
    return [Number(first), Number(last)];
  });
  let time = 0;
  if (command.word === "delay") {
    const given = more.shift() ?? end;
    time = parseValue("time", given.word) ?? fail(given, forms.time);
  }
  if (more[0]) fail(more[0], "the end, or ; and the next part");
  return { side: side.word, command: command.word, numbers, time };
}
