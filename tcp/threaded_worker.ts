/**
 * One thread of `threaded_server.ts`: a listener of its own on the shared port, and an echo loop for each client.
 *
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/// <reference lib="deno.unstable" />
import { bind, count, Failure } from "../cli.ts";
import { type Client, Clients } from "./clients.ts";
import { traced } from "./trace.ts";
import { writeAll } from "./write_all.ts";

/** What the server tells a worker: where to listen and with which limits; later, to stop. */
export type ToWorker = "stop" | {
  readonly hostname: string;
  readonly port: number;
  readonly shared: boolean;
  readonly flags: { timeout: number; chunk: number; "max-clients": number; trace: "" | "text" | "json" };
};

/** What a worker tells the server: where it listens or why it cannot, then how it stands each time that changes. */
export type FromWorker = { readonly problem: string } | { readonly listening: Deno.NetAddr } | {
  readonly open: number;
  readonly served: number;
  readonly failed: number;
  readonly over: boolean;
};

/** ASCII's enquiry, "who are you?": as a client's very first byte it is answered with the worker's name, not echoed. */
const ENQ = 5;

let clients: Clients | undefined;
let listener: Deno.TcpListener | undefined;

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data !== "stop") serve(data);
  else if (listener && !clients?.stopping) clients?.stop(listener);
};

async function serve({ hostname, port, shared, flags }: Exclude<ToWorker, "stop">): Promise<void> {
  let served = 0;
  let failed = 0;
  const tell = (message: FromWorker) => self.postMessage(message);
  const state = (over = false) => ({ open: clients?.size ?? 0, served, failed, over });
  const log = (line: string) => console.log(`${self.name}: ${line}`);

  try {
    listener = bind({ hostname, port }, (addr) => Deno.listen({ ...addr, reusePort: shared }));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return tell({ problem: error.message });
  }
  const accepting = listener;
  const mine = clients = new Clients({ max: flags["max-clients"], idle: flags.timeout, log });
  tell({ listening: listener.addr });

  while (true) {
    const conn = await mine.next(() => accepting.accept());
    if (conn === undefined) break;
    mine.serve(flags.trace ? traced(conn, flags.trace) : conn, echo).then((well) => {
      served += 1;
      failed += well ? 0 : 1;
      tell(state());
    });
    tell(state());
  }
  await mine.finished();
  tell(state(true));

  async function echo(client: Client): Promise<void> {
    const { conn, name } = client;
    log(`Connected by ${name}`);
    conn.setNoDelay(true);
    const buffer = new Uint8Array(flags.chunk);
    let total = 0;
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      let chunk = buffer.subarray(0, n);
      if (total === 0 && chunk[0] === ENQ) {
        await writeAll(conn, new TextEncoder().encode(`${self.name}\n`));
        chunk = chunk.subarray(1);
      }
      if (chunk.length > 0) await writeAll(conn, chunk);
      client.quiet = 0;
      total += n;
    }
    log(`${name} is done: ${count(total, "byte")} received`);
  }
}
