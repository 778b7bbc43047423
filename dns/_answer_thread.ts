/**
 * One thread of `server.ts --fast --threads`: a socket and zones of its own. Threads of JavaScript share no objects, so each
 * reads the zone files itself, all of them at the same time.
 *
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/// <reference lib="deno.unstable" />
import { Failure } from "../cli.ts";
import { explain } from "../tcp/_socket_errors.ts";
import { DatagramBatch, openCalls } from "../udp/_datagram_batch.ts";
import { answerBatches, forwardTo } from "./_answer_batches.ts";
import type { FromThread, ThreadSettings, ToThread } from "./_answer_threads.ts";
import { questionKey } from "./_question_key.ts";
import { RateLimit } from "./_rate_limit.ts";
import { Responder } from "./_responder.ts";
import { readZones } from "./_zone_files.ts";

const tell = (message: FromThread) => self.postMessage(message);

let reload = () => {};

self.onmessage = ({ data }: MessageEvent<ToThread>) => {
  if (data === "reload") reload();
  else start(data);
};

async function start(settings: ThreadSettings): Promise<void> {
  const { host, port, files, threads } = settings;
  try {
    const forwarder = forwardTo(settings.forward, settings["forward-timeout"]);
    const responder = new Responder(await readZones(files), forwarder !== undefined);
    const rateLimit = new RateLimit(Math.ceil(settings.rate / threads));
    reload = () => {
      // What is wrong with a file is said by the server's own thread.
      readZones(files).then((zones) => responder.reload(zones)).catch(() => {});
    };
    const isCounted = settings.once || settings["exit-after"] > 0;
    const onQuery = isCounted ? (packet: Uint8Array) => tell({ asked: questionKey(packet) }) : () => {};
    const batch = await DatagramBatch.open(openCalls(), { hostname: host, port }, settings, true);
    tell("listening");
    await answerBatches(batch, { responder, forwarder, rateLimit, onQuery });
  } catch (error) {
    const known = explain(error, { hostname: host, port });
    if (!(known instanceof Failure)) throw error;
    tell({ problem: known.message });
  }
}
