/**
 * One thread of `server.ts --fast --threads`, with a socket of its own. Threads of JavaScript share no objects, but memory: all
 * threads answer from that of the zones that the server's own thread has read.
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
import { receiveZones } from "./_zone.ts";

const tell = (message: FromThread) => self.postMessage(message);

let responder: Responder | undefined;

self.onmessage = ({ data }: MessageEvent<ToThread>) => {
  if ("host" in data) start(data);
  else responder?.reload(receiveZones(data.zones));
};

async function start(settings: ThreadSettings): Promise<void> {
  const { host, port, zones, threads } = settings;
  try {
    const forwarder = forwardTo(settings.forward, settings["forward-timeout"]);
    responder = new Responder(receiveZones(zones), forwarder !== undefined);
    const rateLimit = new RateLimit(Math.ceil(settings.rate / threads));
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
