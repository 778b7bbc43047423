/**
 * A TCP echo server on several threads: a pool of workers that all accept on the same port.
 *
 * One thread of JavaScript serves thousands of clients that mostly wait, as `echo_server.ts` does; a second core is used
 * only by a second thread. Each worker (`threaded_worker.ts`) opens its own listener on the port with SO_REUSEPORT, and
 * the kernel deals the connections out by a hash of both addresses: no thread hands a connection to another. Look at
 * how evenly they fall in the last lines of `many_clients.ts`.
 *
 * ```sh
 * deno run -N=127.0.0.1 -R=cli.ts,tcp --unstable-net tcp/threaded_server.ts
 * ```
 *
 * Then, in a second terminal: `deno run -N=127.0.0.1 tcp/many_clients.ts`. Both at once: `deno task tcp:threaded`.
 *
 * socket(7) SO_REUSEPORT. API: Worker, Deno.listen with reusePort.
 *
 * @module
 */
import { announce, count, explain, Failure, onStop, run, serverOptions, whole } from "../cli.ts";
import type { FromWorker, ToWorker } from "./threaded_worker.ts";

const command = {
  name: "threaded_server",
  about: "Sends back every byte it receives over TCP, on several threads. A first byte ENQ (5) asks which one it is.",
  run: "deno run -N=127.0.0.1 -R=cli.ts,tcp --unstable-net tcp/threaded_server.ts",
  options: {
    ...serverOptions(7008, "close a client that is silent for this long; 0: never"),
    "threads": whole(navigator.hardwareConcurrency, "workers that accept clients", 1, 256),
    "chunk": whole(65536, "bytes to read at a time", 1, 1 << 20),
    "max-clients": whole(10_000, "clients of one worker at one time; more wait for their turn", 1, 1_000_000),
  },
};

await run(command, async (flags) => {
  // Windows has no SO_REUSEPORT, and macOS gives every connection to the socket that was opened last.
  const shared = Deno.build.os === "linux";
  const threads = shared ? flags.threads : 1;
  if (threads < flags.threads) console.log(`${Deno.build.os} cannot share a port among threads: running with one`);

  // A second server could share the port just as the threads do, and would take half of the clients unnoticed. So ask
  // first whether anyone answers there. (Only on loopback: elsewhere the question might go to another machine.)
  if (/^(127\.|::1?$|localhost$|0\.0\.0\.0$)/.test(flags.host) && flags.port !== 0) {
    const addr = { hostname: flags.host, port: flags.port };
    const taken = await Deno.connect(addr).then((conn) => conn.close(), (error) => error);
    if (taken === undefined) throw explain(new Deno.errors.AddrInUse(), addr);
    if (!(taken instanceof Deno.errors.ConnectionRefused)) throw explain(taken, addr);
  }

  const done = Promise.withResolvers<void>();
  const states = Array.from({ length: threads }, () => ({ open: 0, served: 0, failed: 0, over: false }));
  const total = (key: "open" | "served" | "failed") => states.reduce((sum, state) => sum + state[key], 0);
  const workers = states.map((_, i) =>
    new Worker(import.meta.resolve("./threaded_worker.ts"), { type: "module", name: `worker ${i + 1}` })
  );
  for (const [i, worker] of workers.entries()) {
    worker.onerror = (event) => {
      if (!/Requires read access/.test(event.message)) return; // a bug: it keeps its stack trace
      event.preventDefault();
      done.reject(new Failure("no permission to read the worker's modules: add -R=cli.ts,tcp to deno run"));
    };
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if ("problem" in data) return done.reject(new Failure(data.problem));
      if ("listening" in data) {
        // The first worker's listener makes a number of port 0; the others then share it.
        if (i === 0) listen(workers.slice(1), data.listening.port);
        if (++listening === threads) announce(`Threaded server (${count(threads, "thread")})`, data.listening);
        return;
      }
      Object.assign(states[i] ?? {}, data);
      if (flags.once && total("served") > 0 && total("open") === 0) stop();
      if (states.every(({ over }) => over)) done.resolve();
    };
  }
  let listening = 0;
  const listen = (some: Worker[], port: number) => {
    const start: ToWorker = { hostname: flags.host, port, shared, flags };
    for (const worker of some) worker.postMessage(start);
  };
  const stop = () => workers.forEach((worker) => worker.postMessage("stop" satisfies ToWorker));
  onStop(stop);
  listen(workers.slice(0, 1), flags.port);

  await done.promise;
  for (const [i, { served }] of states.entries()) console.log(`worker ${i + 1} served ${count(served, "client")}`);
  if (flags.once && total("failed") > 0) Deno.exit(1);
});
