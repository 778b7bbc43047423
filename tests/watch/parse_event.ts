/**
 * A line of `--trace=json`, checked. A program of another hand may print anything.
 *
 * @module
 */
import type { Event } from "../../tcp/_trace_event.ts";

const sides = ["client", "server", "relay"] as const;
const transports = ["tcp", "udp", "icmp"] as const;

/** The event in a line; undefined when the line is none. */
export function parseEvent(line: string): Event | undefined {
  if (!line.startsWith("{")) return undefined;
  const { t, side, transport, from, to, data, note, via, half, came } = parseObject(line);
  const knownSide = sides.find((each) => each === side);
  const knownTransport = transports.find((each) => each === transport);
  if (typeof t !== "number" || !Number.isFinite(t) || t < 0 || !knownSide || !knownTransport) return undefined;
  if (typeof from !== "string" || typeof to !== "string" || typeof note !== "string") return undefined;
  const bytes = typeof data === "string" ? decode(data) : undefined;
  if (!bytes) return undefined;
  const event = { t, side: knownSide, transport: knownTransport, from, to, data: bytes, note };
  if (knownSide !== "relay" || from === "") return event;
  const [at, next] = Array.isArray(via) ? via : [];
  if (typeof at !== "string" || typeof next !== "string") return undefined;
  if (half !== undefined && half !== "in" && half !== "out") return undefined;
  if (came !== undefined && !(typeof came === "number" && came <= t)) return undefined;
  return { ...event, via: [at, next], ...half ? { half } : {}, ...came === undefined ? {} : { came } };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === "object" ? { ...value } : {};
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}

function decode(base64: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(base64);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
