/**
 * The time as text.
 *
 * @module
 */

/** A text made of the time, anew each second: a busy server needs it more often than it changes. */
export function everySecond(format: (now: Date) => string): () => string {
  let made = NaN;
  let text = "";
  return () => {
    const second = Math.floor(Date.now() / 1000);
    if (second !== made) [made, text] = [second, format(new Date(second * 1000))];
    return text;
  };
}

/** The time as HTTP writes it (RFC 9110 §5.6.7). */
export const today = everySecond((now) => now.toUTCString());
