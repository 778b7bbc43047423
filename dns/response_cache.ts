/**
 * What was said to queries of late, by their bytes: whoever asks the same gets the same, but for the id.
 *
 * Each query has one slot, by its hash; two queries of one slot take each other's place. So the memory is bounded, whatever
 * is asked, and it is one array: tens of thousands of small ones would keep the garbage collector busy.
 */
export class ResponseCache {
  /** Slots of 256 bytes: the lengths of the query and of the response, in two bytes each, and the two of them. */
  #slots = new Uint8Array(SLOTS * SIZE);

  /** The response to this query, with its id; it is valid until the next call. */
  get(query: Uint8Array): Uint8Array | undefined {
    const slots = this.#slots;
    let at = slotOf(query);
    const length = (slots[at] ?? 0) << 8 | (slots[at + 1] ?? 0);
    const responseLength = (slots[at + 2] ?? 0) << 8 | (slots[at + 3] ?? 0);
    if (length !== query.length) return undefined;
    at += 4;
    for (let i = 2; i < length; i++) if (slots[at + i] !== query[i]) return undefined;
    at += length;
    slots[at] = query[0] ?? 0;
    slots[at + 1] = query[1] ?? 0;
    return slots.subarray(at, at + responseLength);
  }

  /** Remembers a response, if it is of a size to be remembered. */
  set(query: Uint8Array, response: Uint8Array): void {
    if (4 + query.length + response.length > SIZE) return;
    const at = slotOf(query);
    this.#slots.set([query.length >> 8, query.length, response.length >> 8, response.length], at);
    this.#slots.set(query, at + 4);
    this.#slots.set(response, at + 4 + query.length);
  }

  clear(): void {
    this.#slots = new Uint8Array(SLOTS * SIZE);
  }
}

const SLOTS = 131_072;
const SIZE = 256;

/** FNV-1a over all but the id. */
function slotOf(query: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 2; i < query.length; i++) hash = Math.imul(hash ^ (query[i] ?? 0), 0x01000193);
  return ((hash ^ hash >>> 15) & SLOTS - 1) * SIZE;
}
