/**
 * Recent responses, keyed by the bytes of the query; only the id is replaced.
 *
 * A hash selects one slot per query; a new entry replaces the old one, so memory is bounded. It is one array, because many
 * small ones would burden the garbage collector.
 */
export class ResponseCache {
  /** Each slot: the length of the query and of the response, two bytes each, then the query and the response. */
  #slots = new Uint8Array(SLOTS * SLOT_SIZE);

  /** The response to this query, with its id. It is a view of the cache: valid until the next call. */
  get(query: Uint8Array): Uint8Array | undefined {
    const slots = this.#slots;
    const slot = slotOf(query);
    const queryLength = (slots[slot] ?? 0) << 8 | (slots[slot + 1] ?? 0);
    const responseLength = (slots[slot + 2] ?? 0) << 8 | (slots[slot + 3] ?? 0);
    if (queryLength !== query.length) return undefined;
    const start = slot + HEAD;
    for (let i = ID; i < queryLength; i++) if (slots[start + i] !== query[i]) return undefined;
    const response = slots.subarray(start + queryLength, start + queryLength + responseLength);
    response[0] = query[0] ?? 0;
    response[1] = query[1] ?? 0;
    return response;
  }

  /** Stores a response, if it and its query fit into a slot. */
  set(query: Uint8Array, response: Uint8Array): void {
    if (HEAD + query.length + response.length > SLOT_SIZE) return;
    const slot = slotOf(query);
    this.#slots.set([query.length >> 8, query.length, response.length >> 8, response.length], slot);
    this.#slots.set(query, slot + HEAD);
    this.#slots.set(response, slot + HEAD + query.length);
  }

  /** Forgets every response. */
  clear(): void {
    this.#slots = new Uint8Array(SLOTS * SLOT_SIZE);
  }
}

const SLOTS = 131_072; // a power of two
const SLOT_SIZE = 256;
/** The bytes of the two lengths that a slot begins with. */
const HEAD = 4;
/** The bytes of the id, which a query begins with. */
const ID = 2;

/** Where the slot of a query begins: the FNV-1a hash of all bytes but the id. */
function slotOf(query: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = ID; i < query.length; i++) hash = Math.imul(hash ^ (query[i] ?? 0), 0x01000193);
  return ((hash ^ hash >>> 15) & SLOTS - 1) * SLOT_SIZE;
}
