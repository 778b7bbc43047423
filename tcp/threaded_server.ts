/**
 * A TCP echo server on several threads: a pool of workers that all accept on the same port.
 *
 * One thread of JavaScript serves thousands of clients that mostly wait, as `echo_server.ts` does; a second core is used
 * only by a second thread. Each worker (`threaded_worker.ts`) opens its own listener on the port with SO_REUSEPORT, and
 * the kernel distributes the connections by a hash of both addresses. The last lines of `many_clients.ts` show how evenly.
 *
 * This terminal: `deno run -N=127.0.0.1 -R=cli.ts,tcp --unstable-net tcp/threaded_server.ts`. The other:
 * `deno run -N=127.0.0.1 tcp/many_clients.ts`. Both: `deno task tcp:threaded`. API: Worker, Deno.listen with reusePort.
 *
 * @module
 */
import { type Address, count, Failure, integer, onStop, run, serverOptions } from "../cli.ts";
import { announce } from "./_announce.ts";
import { maxClients } from "./_clients.ts";
import { codeOf } from "./_socket_errors.ts";
import type { FromWorker, ToWorker } from "./threaded_worker.ts";

/** Starts the workers and has them listen; settles when all of them have ended. Returns what each of them counted. */
async function serve(threads: number, shared: boolean, flags: Settings, onListen: (addr: Address) => void) {
  const workers = Array.from({ length: threads }, (_, i) => {
    const name = `worker ${i + 1}`;
    return new Worker(import.meta.resolve("./threaded_worker.ts"), { type: "module", name });
  });
  const counts = workers.map(() => ({ open: 0, served: 0, failed: 0, over: false }));
  const done = Promise.withResolvers<void>();
  const tell = (worker: Worker | undefined, message: ToWorker) => worker?.postMessage(message);
  const stop = () => workers.forEach((worker) => tell(worker, "stop"));
  onStop(stop);

  let ready = 0;
  let listening = 0;
  for (const [i, worker] of workers.entries()) {
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data === "ready") {
        // All begin to listen together: one that listens alone gets every client that is waiting for the server. Nobody waits
        // at port 0, which the first worker's listener turns into a number.
        const first = flags.port === 0 ? workers.slice(0, 1) : workers;
        if (++ready === threads) first.forEach((worker) => tell(worker, { shared, flags }));
        return;
      }
      if ("problem" in data) return done.reject(new Failure(data.problem));
      if ("listening" in data) {
        if (i === 0 && flags.port === 0) {
          workers.slice(1).forEach((other) => tell(other, { shared, flags: { ...flags, port: data.listening.port } }));
        }
        if (++listening === threads) onListen(data.listening);
        return;
      }
      counts[i] = data;
      const [open, served] = [total(counts, "open"), total(counts, "served")];
      if (flags.once && served > 0 && open === 0) stop();
      if (counts.every(({ over }) => over)) done.resolve();
    };
  }
  await done.promise;
  return counts;
}

const total = (counts: { open: number; served: number; failed: number }[], key: "open" | "served" | "failed") =>
  counts.reduce((sum, each) => sum + each[key], 0);

/** @throws {Deno.errors.AddrInUse} when a server listens where the flags say. */
async function expectNobody({ host, port }: Settings): Promise<void> {
  try {
    (await Deno.connect({ hostname: host, port })).close();
  } catch (error) {
    if (codeOf(error) === "ECONNREFUSED") return;
    throw error;
  }
  throw new Deno.errors.AddrInUse("a server answers there");
}

/** Asks for the permission to read the modules of the workers, once for all of them. @throws {Failure} when it is missing. */
async function expectModules(): Promise<void> {
  const flag = "-R=cli.ts,tcp";
  if (import.meta.dirname === undefined) return; // started by URL: their modules come from there, too
  for (const path of ["../cli.ts", "../tcp"]) {
    const { state } = await Deno.permissions.request({ name: "read", path: `${import.meta.dirname}/${path}` });
    if (state !== "granted") throw new Failure(`no permission to read the workers' modules: add ${flag}`, 2, flag);
  }
}

type Settings = Exclude<ToWorker, "stop">["flags"] & { once: boolean };

const command = {
  name: "threaded_server",
  about:
    "Sends back every byte it receives over TCP, on several threads. A first byte ENQ (5) asks for the name of the thread.",
  run: "deno run -N=127.0.0.1 -R=cli.ts,tcp --unstable-net tcp/threaded_server.ts",
  examples: [
    "deno task threaded-server",
    "deno task threaded-server --threads 2 --trace",
  ],
  options: {
    ...serverOptions(7008, "close a client that is silent for this long; 0: never"),
    "threads": integer(navigator.hardwareConcurrency, "workers that accept clients", 1, 256),
    "chunk": integer(65536, "bytes to read at a time", 1, 1 << 20),
    "max-clients": maxClients(10_000), // of each worker
  },
};

await run(command, async (flags) => {
  // Windows has no SO_REUSEPORT, and macOS gives every connection to the socket that was opened last.
  const shared = Deno.build.os === "linux";
  const threads = shared ? flags.threads : 1;

  // A second server could share the port just as the threads do, and would take half of the clients unnoticed. So ask
  // first whether a server answers there. (Only on loopback: elsewhere the question might go to another machine.)
  if (/^(127\.|::1?$|localhost$|0\.0\.0\.0$)/.test(flags.host) && flags.port !== 0) await expectNobody(flags);

  await expectModules();
  const counts = await serve(threads, shared, flags, (addr) => {
    if (threads < flags.threads) console.log(`${Deno.build.os} cannot share a port among threads: using one thread`);
    announce(`Threaded server (${count(threads, "thread")})`, addr);
  });
  for (const [i, { served }] of counts.entries()) console.log(`worker ${i + 1} served ${count(served, "client")}`);
  if (flags.once && total(counts, "failed") > 0) Deno.exitCode = 1;
});
