/**
 * The parameters of SVCB and HTTPS records (RFC 9460 §2.1, §14.3.2): `alpn=h2,h3 port=8443` and their bytes.
 *
 * @module
 */
import { parseAddress, printAddress } from "../tcp/_address.ts";
import { FormatError } from "./_name.ts";
import { printBytes, unescapeText } from "./_presentation.ts";

const keys = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];
const MANDATORY = 0;
const ALPN = 1;

const keyName = (key: number) => keys[key] ?? `key${key}`;

function keyNumber(name: string): number {
  const known = keys.indexOf(name);
  if (known >= 0) return known;
  const generic = /^key(0|[1-9]\d{0,4})$/.exec(name)?.[1];
  if (generic === undefined || Number(generic) > 65534) throw new FormatError(`expected a parameter, not ${name}`);
  return Number(generic);
}

/** The two bytes of a number. */
const u16 = (value: number) => [value >> 8, value & 255];

const latin1 = (bytes: Iterable<number>) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** The bytes of the value of a parameter that was given by its name. `bytes` is the value without its escapes. */
function encodeValue(name: string, bytes: Uint8Array): number[] {
  const value = latin1(bytes);
  const items = value === "" ? [] : value.split(",");
  const wrong = (what: string) => new FormatError(`expected ${what} after ${name}=, not ${printBytes(bytes)}`);
  switch (name) {
    case "mandatory":
      if (items.length === 0) throw wrong("parameters, separated by commas,");
      return items.map(keyNumber).sort((a, b) => a - b).flatMap(u16);
    case "alpn": {
      const ids = splitList(bytes);
      if (ids.some((id) => id.length === 0 || id.length > 255)) throw wrong("protocols, separated by commas,");
      return ids.flatMap((id) => [id.length, ...id]);
    }
    case "no-default-alpn":
      if (value !== "") throw wrong("nothing");
      return [];
    case "port":
      if (!/^\d{1,5}$/.test(value) || Number(value) > 65535) throw wrong("a port");
      return u16(Number(value));
    case "ipv4hint":
    case "ipv6hint": {
      const addresses = encodeAddresses(items, name === "ipv4hint" ? 4 : 16);
      if (!addresses) throw wrong(`${name === "ipv4hint" ? "IPv4" : "IPv6"} addresses, separated by commas,`);
      return addresses;
    }
    case "ech":
      try {
        if (value !== "") return [...Uint8Array.fromBase64(value)];
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
      }
      throw wrong("base64");
    default: // key123 means any bytes, even if this key has a name (RFC 9460 §2.1)
      return [...bytes];
  }
}

/** Splits a list at its commas. In an item, a backslash stands before a comma or a backslash (RFC 9460 appendix A.1). */
function splitList(value: Uint8Array): number[][] {
  const items: number[][] = [[]];
  for (let i = 0; i < value.length; i++) {
    const byte = value[i] ?? 0;
    if (byte === COMMA) items.push([]);
    else items.at(-1)?.push(byte === BACKSLASH ? value[++i] ?? BACKSLASH : byte);
  }
  return items;
}

const COMMA = ",".charCodeAt(0);
const BACKSLASH = "\\".charCodeAt(0);

/** The bytes of addresses of `size` bytes each; `undefined` when there is none, or one of another kind. */
function encodeAddresses(items: readonly string[], size: number): number[] | undefined {
  const bytes: number[] = [];
  for (const item of items) {
    const address = parseAddress(item);
    if (address?.length !== size) return undefined;
    bytes.push(...address);
  }
  return bytes.length === 0 ? undefined : bytes;
}

/** A parameter as its record has it. */
interface Parameter {
  readonly name: string;
  readonly key: number;
  readonly value: readonly number[];
}

/** Parses one word, `key` or `key=value` or `key="value"`. */
function parseParameter(word: string): Parameter {
  const [, name = "", quoted, plain = ""] = /^([^="]*)(?:="([^]*)"|=((?:[^"\\]|\\[^])*))?$/.exec(word) ?? [];
  const key = keyNumber(name);
  const value = encodeValue(name, unescapeText(quoted ?? plain));
  if (value.length > 65535) throw new FormatError(`expected at most 65535 bytes after ${name}=`);
  return { name, key, value };
}

/** Parses parameters as a zone file has them, each one word, and sorts them by their keys. */
export function parseParameters(words: readonly string[]): Uint8Array {
  const parameters = words.map(parseParameter).sort((a, b) => a.key - b.key);
  for (const [i, { key }] of parameters.entries()) {
    if (parameters[i + 1]?.key === key) throw new FormatError(`expected ${keyName(key)} once`);
  }
  checkConsistency(parameters);
  return Uint8Array.from(parameters.flatMap(({ key, value }) => [...u16(key), ...u16(value.length), ...value]));
}

/** Whether the parameters fit together. A client ignores a record that contradicts itself (RFC 9460 §2.4.3, §7.1.1, §8). */
function checkConsistency(parameters: readonly Parameter[]): void {
  const has = (key: number) => parameters.some((parameter) => parameter.key === key);
  const find = (name: string) => parameters.find((parameter) => parameter.name === name);
  if (find("no-default-alpn") && !has(ALPN)) throw new FormatError("expected alpn beside no-default-alpn");
  const mandatory = find("mandatory")?.value ?? [];
  const named = chunks(Uint8Array.from(mandatory), 2).map(number);
  for (const [i, key] of named.entries()) {
    if (key === MANDATORY) throw new FormatError("expected other parameters after mandatory=, not itself");
    if (named[i + 1] === key) throw new FormatError(`expected ${keyName(key)} once after mandatory=`);
    if (!has(key)) throw new FormatError(`expected the parameter ${keyName(key)}, which mandatory= names`);
  }
}

/** The bytes cut into parts of `size` bytes. */
function chunks(value: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(value.length / size) }, (_, i) => value.subarray(i * size, (i + 1) * size));
}

/** The number in the first two bytes. */
const number = (two: Uint8Array) => ((two[0] ?? 0) << 8) + (two[1] ?? 0);

/** A value as text; `undefined` when it does not have its key's form, or when this program does not know the form. */
function decodeValue(key: number, value: Uint8Array): string | undefined {
  const isList = (size: number) => value.length > 0 && value.length % size === 0;
  switch (keyName(key)) {
    case "mandatory":
      return isList(2) ? chunks(value, 2).map((two) => keyName(number(two))).join(",") : undefined;
    case "alpn": {
      const ids: string[] = [];
      let at = 0;
      for (; at < value.length; at += 1 + (value[at] ?? 0)) {
        const id = value.subarray(at + 1, at + 1 + (value[at] ?? 0));
        const escaped = Array.from(id).flatMap((byte) =>
          byte === COMMA || byte === BACKSLASH ? [BACKSLASH, byte] : [byte]
        );
        ids.push(printBytes(Uint8Array.from(escaped)));
      }
      return at === value.length && !ids.includes("") ? ids.join(",") : undefined;
    }
    case "no-default-alpn":
      return value.length === 0 ? "" : undefined;
    case "port":
      return value.length === 2 ? `${number(value)}` : undefined;
    case "ipv4hint":
      return isList(4) ? chunks(value, 4).map((four) => four.join(".")).join(",") : undefined;
    case "ipv6hint":
      return isList(16) ? chunks(value, 16).map(printAddress).join(",") : undefined;
    case "ech":
      return value.length > 0 ? value.toBase64() : undefined;
  }
}

/** Prints parameters as a zone file has them. Their order and lengths were checked when they were read. */
export function printParameters(data: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at + 4 <= data.length;) {
    const key = number(data.subarray(at));
    const length = number(data.subarray(at + 2));
    const bytes = data.subarray(at + 4, at + 4 + length);
    const known = decodeValue(key, bytes);
    const [name, value] = known === undefined ? [`key${key}`, printBytes(bytes)] : [keyName(key), known];
    parts.push(value === "" ? name : `${name}=${value}`);
    at += 4 + length;
  }
  return parts.join(" ");
}
