/**
 * The time as text, formatted at most once a second.
 *
 * @module
 */

/** Formats the time at most once a second and caches it: a busy server needs the text more often than it changes. */
export function cachePerSecond(format: (now: Date) => string): () => string {
  let cachedSecond = NaN;
  let text = "";
  return () => {
    const second = Math.floor(Date.now() / 1000);
    if (second !== cachedSecond) [cachedSecond, text] = [second, format(new Date(second * 1000))];
    return text;
  };
}

/** The time now, in HTTP's form (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`. */
export const httpDate = cachePerSecond((now) => now.toUTCString());
