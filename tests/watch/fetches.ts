/**
 * The requests of `fetch`. It holds its connection itself: its program knows when it asks and when it reads, and not from
 * which port. The trace of the server has the port. A request that stands on one connection alone, in the time of the call,
 * is that of the call.
 *
 * @module
 */
import type { Event } from "../../tcp/_trace_event.ts";
import type { Arrow, Connection, Entry, Mark } from "./entries.ts";
import type { Source } from "./model.ts";

/** A call of `fetch`, and the marks that stand for its messages until its connection is known. */
interface Call {
  readonly source: Source;
  readonly server: string;
  readonly startLine: string;
  readonly sent: number;
  readonly reads: number[];
  readonly marks: Mark[];
}

/** Calls that are remembered. */
const REMEMBERED = 2000;

export class Fetches {
  readonly #calls: Call[] = [];

  /** A message of a program that does not know its port. */
  add(source: Source, { from, to, data, t }: Event, mark: Mark): void {
    if (/:\d+$/.test(from)) {
      const call = this.#calls.findLast((each) => each.source === source);
      call?.reads.push(t);
      call?.marks.push(mark);
    } else if (this.#calls.length < REMEMBERED) {
      this.#calls.push({ source, server: to, startLine: startLineOf(data), sent: t, reads: [], marks: [mark] });
    }
  }

  /**
   * Finds the arrows of the calls, and tells them their other ends. Returns what has changed: the arrows, and the marks that
   * they replace.
   */
  match(entries: Iterable<Entry>, data: ReadonlyMap<number, Uint8Array>): Entry[] {
    if (this.#calls.length === 0) return [];
    const connections = new Map<number, Connection>();
    const arrows = new Map<number, Arrow[]>();
    for (const entry of entries) {
      if (entry.kind === "connection") connections.set(entry.id, entry);
      if (entry.kind !== "arrow" || entry.isGone || entry.from === 0) continue;
      const list = arrows.get(entry.connection);
      if (list) list.push(entry);
      else arrows.set(entry.connection, [entry]);
    }
    return this.#calls.flatMap((call) => {
      const end = call.reads.at(-1) ?? Infinity;
      const requests = [...connections.values()].filter(({ server }) => server === call.server).flatMap(({ id }) =>
        (arrows.get(id) ?? []).filter((arrow) =>
          arrow.departed === undefined && (arrow.arrived ?? 0) >= call.sent && (arrow.arrived ?? 0) <= end &&
          startLineOf(data.get(arrow.id)) === call.startLine
        )
      );
      const [request] = requests;
      return request && requests.length === 1 ? tell(call, request, arrows.get(request.connection) ?? []) : [];
    });
  }
}

/** Tells the arrows of a call when its program has sent and read them. */
function tell({ sent, reads, marks }: Call, request: Arrow, all: readonly Arrow[]): Entry[] {
  const opening = all.find(({ note, departed, arrived = 0 }) =>
    note === "connected" && departed === undefined && arrived >= sent && arrived <= (request.arrived ?? 0)
  );
  for (const arrow of opening ? [opening, request] : [request]) arrow.departed = sent;
  const last = reads.at(-1) ?? 0;
  const response = all.filter(({ bytes, departed, arrived, from }) =>
    bytes > 0 && arrived === undefined && from === request.to && departed !== undefined &&
    departed >= (request.arrived ?? 0) && departed <= last
  );
  for (const arrow of response) arrow.arrived = reads.find((t) => t >= (arrow.departed ?? 0));
  for (const mark of marks) mark.isGone = true;
  return [...opening ? [opening] : [], request, ...response, ...marks];
}

/** The line that begins a message of HTTP. */
function startLineOf(data: Uint8Array | undefined): string {
  const end = data?.indexOf(13) ?? -1;
  return end < 0 ? "" : new TextDecoder().decode(data?.subarray(0, end));
}
