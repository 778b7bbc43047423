/**
 * What a picture knows about one of its messages, for those who take it apart.
 *
 * @module
 */
import type { Subject } from "./dissect.ts";
import type { Arrow } from "./entries.ts";
import type { Model } from "./model.ts";

const nothing = new Uint8Array();

/** The most bytes that are searched for the begin of a unit, such as a frame. */
const MOST = 4 << 20;

/** A message as a subject; undefined if it has no bytes. */
export function subjectOf(model: Model, id: number): Subject | undefined {
  const [data, arrow] = [model.data.get(id), model.entry(id)];
  if (!data) return undefined;
  const connection = arrow?.kind === "arrow"
    ? model.connections.find((each) => each.id === arrow.connection)
    : undefined;
  return {
    data,
    transport: connection?.transport ?? "tcp",
    isFromClient: model.messages.isFromClient.has(id),
    before: model.data.get(model.messages.before.get(id) ?? 0) ?? nothing,
    earlier: () => arrow?.kind === "arrow" ? earlier(model, arrow) : nothing,
  };
}

/** The bytes that go in the direction of an arrow, before it. */
function earlier(model: Model, arrow: Arrow): Uint8Array {
  const { isFromClient } = model.messages;
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const [id, data] of model.data) { // in the order in which they were added
    const other = model.entry(id);
    if (id === arrow.id || other?.kind !== "arrow" || other.connection !== arrow.connection) continue;
    if (isFromClient.has(id) !== isFromClient.has(arrow.id)) continue;
    if (startOf(other) > startOf(arrow) || (startOf(other) === startOf(arrow) && id > arrow.id)) continue;
    length += data.length;
    if (length > MOST) return nothing;
    parts.push(data);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const startOf = ({ departed, arrived }: Arrow) => departed ?? arrived ?? 0;
