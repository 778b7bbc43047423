/**
 * The addresses of `dns:walk`. Apart from the other helpers: who imports this needs the permission to listen there.
 *
 * @module
 */

/** Whether this machine answers for the addresses of `dns:walk`. macOS does when they were added. */
export const hasLoopbacks = [2, 3, 4].every((last) => {
  try {
    Deno.listen({ hostname: `127.0.0.${last}`, port: 0 }).close();
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrNotAvailable)) throw error;
    return false;
  }
});
