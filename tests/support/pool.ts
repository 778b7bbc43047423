/** Runs jobs, `many` at a time, in their order. Returns a promise for each. */
export function pool<T>(many: number, jobs: readonly (() => Promise<T>)[]): Promise<T>[] {
  const results = jobs.map(() => Promise.withResolvers<T>());
  let next = 0;
  const work = async () => {
    while (next < jobs.length) {
      const i = next++;
      await jobs[i]?.().then(results[i]?.resolve, results[i]?.reject);
    }
  };
  for (let i = 0; i < many; i++) work();
  // A job may fail before its promise is awaited. That must not end the program: the error is there for the one who awaits.
  for (const { promise } of results) promise.catch(() => {});
  return results.map(({ promise }) => promise);
}
