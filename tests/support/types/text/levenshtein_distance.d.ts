/** How many insertions, deletions and replacements make one text of the other. */
export function levenshteinDistance(one: string, other: string): number;
