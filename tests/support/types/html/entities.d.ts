/** Replaces & < > " ' by entities. */
export function escape(text: string): string;
/** Replaces entities by their characters: five names, and all numbers, unless `entityList` has others. */
export function unescape(text: string, options?: { entityList?: Record<string, string> }): string;
