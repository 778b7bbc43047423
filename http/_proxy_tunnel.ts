/**
 * The tunnel that CONNECT opens (RFC 9110 §9.3.6): bytes both ways, of which the proxy understands nothing.
 *
 * @module
 */
import { codeOf } from "../tcp/_socket_errors.ts";
import { writeAll } from "../tcp/_write_all.ts";

/** One end of a tunnel. */
type End = Pick<Deno.Conn, "read" | "write" | "closeWrite">;

/** How many bytes went through a tunnel: to the server, and back. */
export interface Passed {
  sent: number;
  received: number;
}

/**
 * Passes bytes both ways until both sides have ended, or one has reset its connection. `first` are bytes that the client has
 * sent behind its request. `onBytes` is called whenever some have passed.
 */
export async function tunnel(client: End, server: End, first: Uint8Array, onBytes: () => void): Promise<Passed> {
  const passed = { sent: first.length, received: 0 };
  if (first.length > 0) await writeAll(server, first);
  const up = passOn(client, server, (size) => {
    passed.sent += size;
    onBytes();
  });
  const down = passOn(server, client, (size) => {
    passed.received += size;
    onBytes();
  });
  // One side may end its stream, and still receive: so does the tunnel (RFC 9293 §3.6).
  await Promise.all([up, down]).catch((error) => {
    if (!["ECONNRESET", "ECONNABORTED", "EPIPE"].includes(codeOf(error))) throw error;
  });
  return passed;
}

/** Passes on what one side sends, then ends the stream to the other side. One that does not read is not read from either. */
async function passOn(from: End, to: End, onBytes: (size: number) => void): Promise<void> {
  let buffer = new Uint8Array(4096);
  for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
    await writeAll(to, buffer.subarray(0, n));
    onBytes(n);
    if (n === buffer.length && n < 65_536) buffer = new Uint8Array(2 * n);
  }
  await to.closeWrite();
}
