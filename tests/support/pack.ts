/** Placeholder. @module */
export const pack = (_folder: string, _suites: readonly string[], _words: readonly string[]): Promise<string> =>
  Promise.resolve("");
