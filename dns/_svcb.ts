/**
 * The parameters of SVCB and HTTPS records (RFC 9460 §2.1, §14.3.2): `alpn=h2,h3 port=8443` and their bytes.
 *
 * @module
 */
import { parseAddress, printAddress } from "../udp/_address.ts";
import { FormatError } from "./_name.ts";

const keys = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];

const keyName = (key: number) => keys[key] ?? `key${key}`;

function keyNumber(name: string): number {
  const known = keys.indexOf(name);
  if (known >= 0) return known;
  const generic = /^key(\d{1,5})$/.exec(name)?.[1];
  if (generic === undefined || Number(generic) > 65534) throw new FormatError(`expected a parameter, not ${name}`);
  return Number(generic);
}

/** The two bytes of a number. */
const u16 = (value: number) => [value >> 8, value & 255];

/** The bytes of a parameter's value. */
function encodeValue(key: number, value: string): number[] {
  const items = value === "" ? [] : value.split(",");
  const wrong = (what: string) => new FormatError(`expected ${what} after ${keyName(key)}=, not ${value}`);
  switch (keyName(key)) {
    case "mandatory":
      return items.map(keyNumber).sort((a, b) => a - b).flatMap(u16);
    case "alpn":
      if (items.length === 0 || items.some((id) => id === "" || id.length > 255)) {
        throw wrong("protocols, separated by commas,");
      }
      return items.flatMap((id) => [id.length, ...new TextEncoder().encode(id)]);
    case "no-default-alpn":
      if (value !== "") throw wrong("nothing");
      return [];
    case "port":
      if (!/^\d{1,5}$/.test(value) || Number(value) > 65535) throw wrong("a port");
      return u16(Number(value));
    case "ipv4hint":
    case "ipv6hint": {
      const isIPv4 = keyName(key) === "ipv4hint";
      const addresses = encodeAddresses(items, isIPv4 ? 4 : 16);
      if (!addresses) throw wrong(`${isIPv4 ? "IPv4" : "IPv6"} addresses, separated by commas,`);
      return addresses;
    }
    case "ech":
      try {
        return [...Uint8Array.fromBase64(value)];
      } catch {
        throw wrong("base64");
      }
    default:
      return [...new TextEncoder().encode(value)];
  }
}

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

/** Parses parameters as a zone file has them, each one word, and sorts them by their keys. */
export function parseParameters(words: readonly string[]): Uint8Array {
  const parameters = words.map((word) => {
    const [, name = "", value = ""] = /^([^=]*)=?"?(.*?)"?$/.exec(word) ?? [];
    const key = keyNumber(name);
    return { key, value: encodeValue(key, value) };
  }).sort((a, b) => a.key - b.key);
  for (const [i, { key }] of parameters.entries()) {
    if (parameters[i + 1]?.key === key) throw new FormatError(`expected ${keyName(key)} once`);
  }
  return Uint8Array.from(parameters.flatMap(({ key, value }) => [...u16(key), ...u16(value.length), ...value]));
}

/** The bytes cut into parts of `size` bytes. */
function chunks(value: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(value.length / size) }, (_, i) => value.subarray(i * size, (i + 1) * size));
}

/** The number in the first two bytes. */
const number = (two: Uint8Array) => ((two[0] ?? 0) << 8) + (two[1] ?? 0);

/** A parameter's value as text. */
function decodeValue(key: number, value: Uint8Array): string {
  switch (keyName(key)) {
    case "mandatory":
      return chunks(value, 2).map((two) => keyName(number(two))).join(",");
    case "alpn": {
      const ids: string[] = [];
      for (let at = 0; at < value.length; at += 1 + (value[at] ?? 0)) {
        ids.push(ascii(value.subarray(at + 1, at + 1 + (value[at] ?? 0))));
      }
      return ids.join(",");
    }
    case "port":
      return `${number(value)}`;
    case "ipv4hint":
      return chunks(value, 4).map((four) => four.join(".")).join(",");
    case "ipv6hint":
      return value.length % 16 === 0 ? chunks(value, 16).map(printAddress).join(",") : value.toHex();
    case "ech":
      return value.toBase64();
    default:
      return ascii(value);
  }
}

/** Bytes as a zone file has them without quotes. */
function ascii(value: Uint8Array): string {
  return Array.from(value, (byte) => {
    const plain = byte > 32 && byte < 127 && byte !== 34 && byte !== 92 && byte !== 59;
    return plain ? String.fromCharCode(byte) : `\\${byte.toString().padStart(3, "0")}`;
  }).join("");
}

/** Prints parameters as a zone file has them. Their form was checked when they were read. */
export function printParameters(data: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at + 4 <= data.length;) {
    const key = number(data.subarray(at));
    const length = number(data.subarray(at + 2));
    const value = decodeValue(key, data.subarray(at + 4, at + 4 + length));
    parts.push(value === "" ? keyName(key) : `${keyName(key)}=${value}`);
    at += 4 + length;
  }
  return parts.join(" ");
}
