/**
 * The fields of the chat's datagrams, of TFTP's packets, and of the game's messages.
 *
 * @module
 */
import { parseReply, parseRequest } from "../../udp/_chat_message.ts";
import { parseClient, parseServer } from "../../udp/_game_message.ts";
import { decode, PacketError } from "../../udp/_tftp_message.ts";
import { type Field, type Subject, textOf } from "./dissect.ts";

/** A datagram of the chat: what it is, then its words. */
export function dissectChat({ data, isFromClient }: Subject): Field[] {
  const { kind } = isFromClient ? parseRequest(data, data.length) : parseReply(data);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);
  const whole: Field = { start: 0, end: data.length, text: `kind ${kind}` };
  const isUtf8 = new TextEncoder().encode(text).length === data.length; // otherwise no character tells where it stands
  if (!isUtf8) return [whole];
  const pattern = isFromClient
    ? /^(?:(\/say)( \d+)|(\/\w+))?(.*)$/s
    : kind === "echo"
    ? /^()(#\d+)()( \S+:)(.*)$/s
    : kind === "message"
    ? /^()()()(\S+:)(.*)$/s
    : /^()()(\*)(.*)$/s;
  const names = isFromClient
    ? ["command", "id", "command", kind === "name" ? "name" : "text"]
    : ["", "id", "notice", kind === "echo" || kind === "message" ? "name" : "text", "text"];
  let at = 0;
  const parts = (pattern.exec(text) ?? []).slice(1).flatMap((part = "", i) => {
    const start = at + (part.startsWith(" ") ? 1 : 0);
    at += new TextEncoder().encode(part).length;
    return part.trim() === "" ? [] : [{ start, end: at, text: `${names[i]} ${textOf(data, start, at)}` }];
  });
  return [whole, ...parts];
}

/** A packet of TFTP (RFC 1350 §5). */
export function dissectTftp(data: Uint8Array): Field[] {
  try {
    const packet = decode(data);
    const opcode = { start: 0, end: 2, text: `opcode ${data[1]} ${packet.kind}` };
    switch (packet.kind) {
      case "data":
        return [opcode, number("block", packet.block), {
          ...{ start: 4, end: data.length },
          text: `data ${packet.data.length} bytes`,
        }];
      case "ack":
        return [opcode, number("block", packet.block)];
      case "error":
        return [opcode, number("error code", packet.code), ...texts(data, 4, ["message"])];
      case "options":
        return [opcode, ...texts(data, 2, [])];
      default:
        return [opcode, ...texts(data, 2, ["file", "mode"])];
    }
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return [{ start: 0, end: data.length, text: `broken: ${error.message}` }];
  }
}

/** A packet of TFTP in a few words. */
export function saysTftp(data: Uint8Array): string | undefined {
  const [opcode, ...fields] = dissectTftp(data);
  if (!opcode || opcode.text.startsWith("broken")) return undefined;
  return [
    opcode.text.replace(/^opcode \d+ /, ""),
    ...fields.map(({ text }) => text.replace(/^(file|mode|option|value|data) /, "")),
  ]
    .filter((text) => !/^\d+ bytes$/.test(text)).join(" ");
}

const number = (name: string, value: number): Field => ({ start: 2, end: 4, text: `${name} ${value}` });

/** Texts that each end with a zero byte; after those with a name, options and their values follow (RFC 2347). */
function texts(data: Uint8Array, at: number, names: readonly string[]): Field[] {
  const fields: Field[] = [];
  for (let i = 0; at < data.length; i++) {
    const found = data.indexOf(0, at);
    const end = found < 0 ? data.length : found;
    const name = names[i] ?? ((i - names.length) % 2 === 0 ? "option" : "value");
    fields.push({ start: at, end: Math.min(end + 1, data.length), text: `${name} ${textOf(data, at, end)}` });
    at = end + 1;
  }
  return fields;
}

/** A message of the game (the table in udp/README.md). */
export function dissectGame(data: Uint8Array): Field[] {
  const client = parseClient(data);
  const server = parseServer(data);
  const { kind } = client ?? server ?? {};
  if (kind === undefined) return [{ start: 0, end: data.length, text: "broken: no message of the game" }];
  const fields: Field[] = [{ start: 0, end: 3, text: "SG1" }, { start: 3, end: 4, text: `kind ${data[3]} ${kind}` }];
  const add = (length: number, text: string) => {
    const start = fields.at(-1)?.end ?? 0;
    fields.push({ start, end: start + length, text });
  };
  if (client || kind === "cookie") add(8, `cookie ${data.subarray(4, 12).toHex()}`);
  if (client?.kind === "join") add(1 + client.name.length, `name ${client.name}`);
  if (client?.kind === "inputs") {
    const { last, headings } = client;
    add(4, `last input ${last}`);
    add(1, `inputs ${headings.length}`);
    headings.forEach((heading, i) => add(1, `input ${last - headings.length + 1 + i} ${directions[heading]}`));
  }
  if (server?.kind !== "snapshot") return fields;
  const { tick, acknowledged, you, players, dots } = server.snapshot;
  add(4, `tick ${tick}`);
  add(4, `last input done ${acknowledged}`);
  add(1, `you are player ${you}`);
  add(1, `players ${players.length}`);
  add(1, `dots ${dots.length}`);
  for (const { id, name, x, y, score, wins } of players) {
    add(16, `player ${id} ${name} at ${x / 10},${y / 10}, ${score} dots, ${wins} rounds won`);
  }
  for (const { x, y } of dots) add(2, `dot at ${x},${y}`);
  return fields;
}

const directions = ["stop", "up", "right", "down", "left"];
