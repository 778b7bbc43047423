/**
 * `--threads`: further threads that answer queries over UDP. Each has a socket of its own at the same port, and the kernel
 * spreads the clients over them by their addresses (SO_REUSEPORT).
 *
 * @module
 */
import { join } from "node:path";
import { Failure, type Tracing } from "../cli.ts";
import { type SharedZone, shareZones, type Zones } from "./_zone.ts";

/** What a thread needs to know of the server's flags. */
export interface ThreadSettings extends Tracing {
  readonly "host": string;
  readonly "port": number;
  readonly "zones": readonly SharedZone[];
  readonly "forward": string;
  readonly "forward-timeout": number;
  readonly "rate": number;
  readonly "threads": number;
  readonly "once": boolean;
  readonly "exit-after": number;
}

/** What the server tells a thread: how to start; later, other zones. */
export type ToThread = ThreadSettings | Pick<ThreadSettings, "zones">;

/** What a thread tells the server: that it answers or why it cannot; what each query asks, if the server counts them. */
export type FromThread = "listening" | { readonly asked: string } | { readonly problem: string };

/** The threads beside the server's own. */
export class AnswerThreads {
  readonly #workers: readonly Worker[];

  private constructor(workers: readonly Worker[]) {
    this.#workers = workers;
  }

  /** Starts the threads, and waits until all of them answer. @throws {Failure} when one of them cannot. */
  static async start(settings: ThreadSettings, onQuestion: (asked: string) => void): Promise<AnswerThreads> {
    checkPermission();
    const url = new URL("./_answer_thread.ts", import.meta.url);
    const workers: Worker[] = [];
    await Promise.all(Array.from({ length: settings.threads - 1 }, (_, i) => {
      const worker = new Worker(url, { type: "module", name: `thread ${i + 2}` });
      workers.push(worker);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      worker.onmessage = ({ data }: MessageEvent<FromThread>) => {
        if (data === "listening") resolve();
        else if ("asked" in data) onQuestion(data.asked);
        else reject(new Failure(data.problem));
      };
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      const message: ToThread = settings;
      worker.postMessage(message);
      return promise;
    }));
    return new AnswerThreads(workers);
  }

  /** Lets each thread answer from other zones. */
  reload(zones: Zones): void {
    const message: ToThread = { zones: shareZones(zones) };
    for (const worker of this.#workers) worker.postMessage(message);
  }
}

/** @throws {Failure} with code 2 without the permission to read the modules of a thread. */
function checkPermission(): void {
  const parts = ["cli.ts", "dns", "tcp", "udp"];
  const { dirname } = import.meta;
  if (dirname === undefined) return; // started by URL: nothing is read
  for (const part of parts) {
    const { state } = Deno.permissions.querySync({ name: "read", path: join(dirname, "..", part) });
    const right = `-R=${parts}`;
    if (state !== "granted") {
      throw new Failure(`no permission to read the modules of a thread: add ${right}`, 2, `${right} --allow-ffi`);
    }
  }
}
