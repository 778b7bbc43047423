/**
 * A port for a program that is about to start.
 *
 * @module
 */
import { getAvailablePort } from "jsr:@std/net@1/get-available-port";

// These lie below those that systems give to clients and to port 0 (from 32768 on Linux, from 49152 on others): no connection
// of another test takes one before the program listens.
const [FIRST, COUNT] = [20_000, 12_000];
let next = Math.floor(Math.random() * COUNT);

/** A port that nobody uses, another one at each call. */
export const freePort = (): number => getAvailablePort({ preferredPort: FIRST + next++ % COUNT });
