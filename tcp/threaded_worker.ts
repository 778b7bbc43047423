/**
 * One thread of `threaded_server.ts`: a listener of its own on the shared port, and an echo loop for each client.
 *
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/// <reference lib="deno.unstable" />
import { bind, count, Failure, type Tracing } from "../cli.ts";
import { type Client, Clients } from "./_clients.ts";
import { ENQ } from "./_enquiry.ts";
import { explain } from "./_socket_errors.ts";
import { writeAll } from "./_write_all.ts";

/** Echoes one client until it closes its side. Returns how many bytes it sent. */
async function echo(client: Client, chunk: number): Promise<number> {
  const { conn } = client;
  conn.setNoDelay(true);
  const buffer = new Uint8Array(chunk);
  let total = 0;
  for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
    let bytes = buffer.subarray(0, n);
    if (total === 0 && bytes[0] === ENQ) {
      await writeAll(conn, new TextEncoder().encode(`${self.name}\n`));
      bytes = bytes.subarray(1);
    }
    if (bytes.length > 0) await writeAll(conn, bytes);
    client.idleTicks = 0;
    total += n;
  }
  return total;
}

/** What the server tells a worker: where to listen and with which limits; later, to stop. */
export type ToWorker = "stop" | {
  readonly shared: boolean;
  readonly flags: Tracing & {
    host: string;
    port: number;
    timeout: number;
    chunk: number;
    "max-clients": number;
  };
};

/** What a worker tells the server: that it has started, where it listens or why it cannot, its counts whenever they change. */
export type FromWorker = "ready" | { readonly problem: string } | { readonly listening: Deno.NetAddr } | {
  readonly open: number;
  readonly served: number;
  readonly failed: number;
  readonly over: boolean;
};

let clients: Clients | undefined;

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data === "stop") clients?.interrupt();
  else serve(data);
};
self.postMessage("ready" satisfies FromWorker);

async function serve({ shared, flags }: Exclude<ToWorker, "stop">): Promise<void> {
  const tell = (message: FromWorker) => self.postMessage(message);
  const log = (line: string) => console.log(`${self.name}: ${line}`);
  let listener: Deno.TcpListener;
  try {
    listener = bind(flags, (addr) => Deno.listen({ ...addr, reusePort: shared }));
  } catch (error) {
    const known = explain(error, { hostname: flags.host, port: flags.port });
    if (!(known instanceof Failure)) throw error;
    return tell({ problem: known.message });
  }
  const all = clients = new Clients({ ...flags, once: false }, { log, sharedPort: shared });
  tell({ listening: listener.addr });

  let served = 0;
  let failed = 0;
  const state = (over = false) => ({ open: all.size, served, failed, over });
  for await (const conn of all.accept(listener)) {
    all.serve(conn, async (client) => {
      log(`Connected by ${client.name}`);
      log(`${client.name} is done: ${count(await echo(client, flags.chunk), "byte")} received`);
    }).then((complete) => {
      served += 1;
      failed += complete ? 0 : 1;
      tell(state());
    });
    tell(state());
  }
  await all.finished();
  tell(state(true));
}
