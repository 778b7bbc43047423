/**
 * The methods that `rpc_server.ts` offers.
 *
 * @module
 */
import { codes, type Json, type Params, RpcError } from "./_rpc_message.ts";

/** What a method has beside its parameters. */
export interface Context {
  /** Aborts when the call is cancelled, takes too long, or the client has left. */
  readonly signal: AbortSignal;
  /** Tells the client how far the call has come, in percent. */
  readonly progress: (percent: number) => void;
}

export type Method = (params: Params, context: Context) => Json | Promise<Json>;

/** The methods by their names. */
export const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["methods", () => [...methods.keys()]],
  ["echo", (params) => params ?? null],
  ["add", (params) => numbers(params, "a", "b").reduce((sum, n) => sum + n, 0)],
  ["now", () => new Date().toISOString()],
  ["sleep", async (params, { signal, progress }) => {
    const [s = 0] = numbers(params, "seconds");
    if (!(s >= 0 && s <= 60)) throw new RpcError(codes.invalidParams, "Invalid params", "from 0 to 60 seconds");
    for (let step = 1; step <= 10; step++) {
      await pause(s * 100, signal);
      progress(step * 10);
    }
    return `slept for ${s} s`;
  }],
]);

/** Numbers by position, or by these names (§4.2). */
function numbers(params: Params, ...names: string[]): number[] {
  const values = Array.isArray(params) ? params : names.map((name) => params?.[name]);
  const found = values.filter((value) => typeof value === "number");
  if (found.length === names.length && values.length === names.length) return found;
  throw new RpcError(codes.invalidParams, "Invalid params", `numbers: ${names.join(", ")}`);
}

/** Waits, until `signal` aborts. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
  });
}
