/**
 * The game's datagrams, in both directions: pure functions between bytes and what they mean, as in "The game's protocol" of
 * README.md. Each begins with "SG1" and a byte for its kind; numbers are big-endian. Bytes of any other form are `undefined`.
 *
 * @module
 */
import type { Heading, PlayerState, Position, Snapshot } from "./_game_world.ts";

/** What a client sends. `cookie` is what the server has sent to the client's address: a forger does not know it. */
export type ClientMessage =
  | { readonly kind: "join"; readonly cookie: bigint; readonly name: string }
  /** The inputs with the numbers up to `last`: all that are not acknowledged, for a datagram before this one may be lost. */
  | { readonly kind: "inputs"; readonly cookie: bigint; readonly last: number; readonly headings: readonly Heading[] }
  | { readonly kind: "leave"; readonly cookie: bigint };

/** What the server sends. */
export type ServerMessage =
  | { readonly kind: "cookie"; readonly cookie: bigint }
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
  /** The game is full, or the server stops. */
  | { readonly kind: "full" }
  | { readonly kind: "end" };

const kinds = { join: 1, inputs: 2, leave: 3, cookie: 11, snapshot: 12, full: 13, end: 14 } as const;
const MAGIC = [0x53, 0x47, 0x31];
const HEAD = 4;
const COOKIE_END = HEAD + 8;
const PLAYER = 16;

export const MAX_NAME = 8;
/** Inputs in one datagram: two seconds of them may be lost. */
export const MAX_INPUTS = 40;
/** Players at the same time: one snapshot must fit into one datagram that no link divides. */
export const MAX_PLAYERS = 8;

/** Why a name is not one; `undefined` when it is. ASCII only: it goes to the terminals of others. */
export const nameError = (name: string): string | undefined =>
  new RegExp(`^[A-Za-z][A-Za-z0-9]{0,${MAX_NAME - 1}}$`).test(name)
    ? undefined
    : `a name is a letter, then up to ${MAX_NAME - 1} letters or digits`;

/** The bytes of a message, and a view to write them. */
function start(kind: number, size: number): { bytes: Uint8Array<ArrayBuffer>; view: DataView } {
  const bytes = new Uint8Array(size);
  bytes.set([...MAGIC, kind]);
  return { bytes, view: new DataView(bytes.buffer) };
}

/** The kind of a message; 0 when it is none of this game. */
const kindOf = (bytes: Uint8Array): number => MAGIC.every((byte, i) => bytes[i] === byte) ? bytes[3] ?? 0 : 0;

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array) => new DataView(buffer, byteOffset, byteLength);

export function encodeClient(message: ClientMessage): Uint8Array<ArrayBuffer> {
  const headings = message.kind === "inputs" ? message.headings : [];
  const rest = message.kind === "join" ? 1 + message.name.length : message.kind === "inputs" ? 5 + headings.length : 0;
  const { bytes, view } = start(kinds[message.kind], COOKIE_END + rest);
  view.setBigUint64(HEAD, message.cookie);
  if (message.kind === "join") putName(bytes, COOKIE_END, message.name);
  if (message.kind === "inputs") {
    view.setUint32(COOKIE_END, message.last);
    bytes[COOKIE_END + 4] = headings.length;
    bytes.set(headings, COOKIE_END + 5);
  }
  return bytes;
}

/** Parses what a client has sent. */
export function parseClient(bytes: Uint8Array): ClientMessage | undefined {
  if (bytes.length < COOKIE_END) return undefined;
  const view = viewOf(bytes);
  const cookie = view.getBigUint64(HEAD);
  const kind = kindOf(bytes);
  if (kind === kinds.leave) return bytes.length === COOKIE_END ? { kind: "leave", cookie } : undefined;
  if (kind === kinds.join) {
    const name = getName(bytes, COOKIE_END);
    const isWhole = bytes.length === COOKIE_END + 1 + (bytes[COOKIE_END] ?? 0);
    return isWhole && name !== undefined ? { kind: "join", cookie, name } : undefined;
  }
  if (kind !== kinds.inputs || bytes.length < COOKIE_END + 5) return undefined;
  const last = view.getUint32(COOKIE_END);
  const headings = Array.from(bytes.subarray(COOKIE_END + 5));
  const isRight = headings.length === bytes[COOKIE_END + 4] && headings.length <= MAX_INPUTS && headings.length <= last;
  return isRight && headings.every(isHeading) ? { kind: "inputs", cookie, last, headings } : undefined;
}

const isHeading = (byte: number): byte is Heading => byte <= 4;

export function encodeServer(message: ServerMessage): Uint8Array<ArrayBuffer> {
  if (message.kind === "cookie") {
    const { bytes, view } = start(kinds.cookie, COOKIE_END);
    view.setBigUint64(HEAD, message.cookie);
    return bytes;
  }
  if (message.kind !== "snapshot") return start(kinds[message.kind], HEAD).bytes;
  const { tick, you, acknowledged, players, dots } = message.snapshot;
  const { bytes, view } = start(kinds.snapshot, HEAD + 11 + players.length * PLAYER + dots.length * 2);
  view.setUint32(HEAD, tick);
  view.setUint32(HEAD + 4, acknowledged);
  bytes.set([you, players.length, dots.length], HEAD + 8);
  let at = HEAD + 11;
  for (const { id, x, y, score, wins, name } of players) {
    bytes[at] = id;
    view.setUint16(at + 1, x);
    view.setUint16(at + 3, y);
    bytes.set([score, wins], at + 5);
    putName(bytes, at + 7, name);
    at += PLAYER;
  }
  for (const { x, y } of dots) {
    bytes.set([x, y], at);
    at += 2;
  }
  return bytes;
}

/** Parses what the server has sent. */
export function parseServer(bytes: Uint8Array): ServerMessage | undefined {
  const view = viewOf(bytes);
  const kind = kindOf(bytes);
  if (kind === kinds.full && bytes.length === HEAD) return { kind: "full" };
  if (kind === kinds.end && bytes.length === HEAD) return { kind: "end" };
  if (kind === kinds.cookie && bytes.length === COOKIE_END) return { kind: "cookie", cookie: view.getBigUint64(HEAD) };
  if (kind !== kinds.snapshot || bytes.length < HEAD + 11) return undefined;
  const [you = 0, playerCount = 0, dotCount = 0] = bytes.subarray(HEAD + 8);
  const dotsAt = HEAD + 11 + playerCount * PLAYER;
  if (bytes.length !== dotsAt + dotCount * 2 || playerCount > MAX_PLAYERS) return undefined;
  const players: PlayerState[] = [];
  for (let at = HEAD + 11; at < dotsAt; at += PLAYER) {
    const [id = 0] = bytes.subarray(at);
    const [score = 0, wins = 0] = bytes.subarray(at + 5);
    const name = getName(bytes, at + 7);
    if (name === undefined) return undefined;
    players.push({ id, x: view.getUint16(at + 1), y: view.getUint16(at + 3), score, wins, name });
  }
  const dots: Position[] = [];
  for (let at = dotsAt; at < bytes.length; at += 2) dots.push({ x: bytes[at] ?? 0, y: bytes[at + 1] ?? 0 });
  const tick = view.getUint32(HEAD);
  return { kind: "snapshot", snapshot: { tick, you, acknowledged: view.getUint32(HEAD + 4), players, dots } };
}

/** A name after its length. */
function putName(bytes: Uint8Array, at: number, name: string): void {
  bytes[at] = name.length;
  bytes.set(new TextEncoder().encode(name), at + 1);
}

function getName(bytes: Uint8Array, at: number): string | undefined {
  const length = bytes[at] ?? 0;
  const name = new TextDecoder().decode(bytes.subarray(at + 1, at + 1 + length));
  return nameError(name) === undefined ? name : undefined;
}

/** A datagram in a few words, for the trace. */
export function describe(bytes: Uint8Array): string {
  const client = parseClient(bytes);
  if (client?.kind === "inputs") return `inputs ${client.last - client.headings.length + 1} to ${client.last}`;
  if (client) return client.kind === "join" ? `join ${client.name}${client.cookie ? "" : ", no cookie yet"}` : "leave";
  const server = parseServer(bytes);
  if (server?.kind === "snapshot") {
    const { tick, acknowledged, you, players } = server.snapshot;
    const own = players.find(({ id }) => id === you);
    return `tick ${tick}, input ${acknowledged} done${own ? `: ${own.x},${own.y}` : ""}`;
  }
  return server?.kind ?? "";
}
