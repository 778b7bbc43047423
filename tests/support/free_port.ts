/**
 * A port for a program that is about to start.
 *
 * @module
 */
import { Failure } from "../../cli.ts";
import { portInUse } from "./processes.ts";

// These lie below those that systems give to clients and to port 0 (from 32768 on Linux, from 49152 on others): no connection
// of another test takes one before the program listens.
const [FIRST, COUNT] = [20_000, 12_000];
let next = Math.floor(Math.random() * COUNT);

/** A port that nobody uses, another one at each call. */
export function freePort(): number {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + next++ % COUNT;
    if (!portInUse(port, "both")) return port;
  }
  throw new Failure(`no port from ${FIRST} to ${FIRST + COUNT - 1} is free`, 3);
}
