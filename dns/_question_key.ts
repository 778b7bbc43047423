/** The first question of a query as a key: its name in lower case, its type and class; for bytes without one, any text. */
export function questionKey(query: Uint8Array): string {
  let end = 12; // behind the header
  while (end < query.length && query[end] !== 0) end += 1 + (query[end] ?? 0);
  return new TextDecoder("latin1").decode(query.subarray(12, end + 5)).toLowerCase();
}
