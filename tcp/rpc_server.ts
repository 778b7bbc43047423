/**
 * A server whose functions others call from far away: JSON-RPC 2.0 over TCP.
 *
 * A stream has no messages, so each is framed: by its length (as editors talk to language servers), or one a line. Each call
 * has an id, so that several can be on the way and be answered in any order; a call without an id gets no answer.
 *
 * This terminal: `deno run -N=127.0.0.1 tcp/rpc_server.ts`. The other:
 * `deno run -N=127.0.0.1 tcp/rpc_client.ts 'add(1, 2)' 'sleep(0.5)'`. Both at once: `deno task tcp:rpc`.
 * JSON-RPC 2.0 (jsonrpc.org). API: Deno.listen, Deno.Conn.
 *
 * @module
 */
import { bind, count, flag, integer, onStop, run, seconds, serverOptions } from "../cli.ts";
import { announce } from "./_announce.ts";
import { BufferedReader } from "./_buffered_reader.ts";
import { type Client, Clients, maxClients } from "./_clients.ts";
import { encodeFrame, type FrameForm, frameRoom, readFrame } from "./_rpc_frames.ts";
import { type Call, codes, formatCall, formatResponse, type Id, type Json, parseMessages } from "./_rpc_message.ts";
import { RpcError } from "./_rpc_message.ts";
import { methods } from "./_rpc_methods.ts";
import { writeAll } from "./_write_all.ts";

/** Answers the calls of one client until it closes its side. Returns how many there were. */
async function answerCalls(client: Client, flags: Settings): Promise<number> {
  const session = new Session(client, flags);
  const reader = new BufferedReader(client.conn, frameRoom(flags["max-message"]), 512);
  const answering = new Set<Promise<void>>();
  let calls = 0;
  try {
    for (let text = await session.read(reader); text !== undefined; text = await session.read(reader)) {
      client.idleTicks = 0;
      const { batch, messages } = parseMessages(text, flags["max-calls"]);
      calls += messages.length;
      // Not awaited: the next message may be answered before this one.
      const answer = Promise.all(messages.map((message) => session.answer(message))).then(async (responses) => {
        const present = responses.filter((response) => response !== undefined);
        if (present.length > 0) await session.send(batch ? present : present[0] ?? null); // a batch gets one answer (§6)
      });
      answering.add(answer);
      answer.then(() => answering.delete(answer), () => {}); // the one below fails with it
      await session.room();
    }
    await Promise.all(answering);
  } finally {
    session.cancelAll();
  }
  return calls;
}

/** One client's calls that are not answered yet, and what is being sent to it. */
class Session {
  readonly #running = new Set<AbortController>();
  readonly #cancellable = new Map<Id, AbortController>();
  #sending: Promise<void> = Promise.resolve();
  #unsent = 0;

  constructor(readonly client: Client, readonly flags: Settings) {}

  read(reader: BufferedReader): Promise<string | undefined> {
    return readFrame(reader, this.#form, this.flags["max-message"]);
  }

  get #form(): FrameForm {
    return this.flags.lines ? "lines" : "headers";
  }

  /** The response to a call; undefined for a notification, and for a response, which nobody here has asked for. */
  async answer(message: ReturnType<typeof parseMessages>["messages"][number]): Promise<Json | undefined> {
    if (message instanceof RpcError) return formatResponse(null, message);
    if (!("method" in message)) return undefined;
    const { id } = message;
    const outcome = await this.#call(message);
    if (id === undefined) return undefined;
    return formatResponse(id, outcome);
  }

  async #call({ id, method, params }: Call): Promise<Json | RpcError> {
    if (method === "$/cancelRequest") {
      const target = params !== undefined && !Array.isArray(params) ? params.id : undefined;
      if (typeof target === "string" || typeof target === "number") {
        this.#cancellable.get(target)?.abort(new RpcError(codes.cancelled, "Request cancelled"));
      }
      return null;
    }
    const run = methods.get(method);
    if (!run) return new RpcError(codes.methodNotFound, "Method not found");
    if (this.#running.size >= this.flags["max-calls"]) {
      return new RpcError(codes.tooMany, "Too many calls at the same time");
    }
    const controller = new AbortController();
    const limit = this.flags["call-timeout"];
    const timer = limit > 0
      ? setTimeout(() => controller.abort(new RpcError(codes.tooLate, `No result in ${limit} s`)), limit * 1000)
      : undefined;
    this.#running.add(controller);
    if (id !== undefined) this.#cancellable.set(id, controller);
    try {
      const progress = (percent: number) => {
        const told = { method: "$/progress", params: { token: id ?? null, value: percent } };
        if (id !== undefined) this.send(formatCall(told)).catch(() => {}); // the answer fails in the same way
      };
      return await run(params, { signal: controller.signal, progress });
    } catch (error) {
      if (error instanceof RpcError) return error;
      console.error(error); // a bug: the client must not learn the details
      return new RpcError(codes.internalError, "Internal error");
    } finally {
      clearTimeout(timer);
      this.#running.delete(controller);
      if (id !== undefined && this.#cancellable.get(id) === controller) this.#cancellable.delete(id);
    }
  }

  /** Sends one message after another: two that are written at the same time would be mixed. */
  send(message: Json): Promise<void> {
    const frame = encodeFrame(this.#form, JSON.stringify(message));
    this.#unsent += frame.length;
    this.#sending = this.#sending.then(async () => {
      await writeAll(this.client.conn, frame);
      this.#unsent -= frame.length;
      this.client.idleTicks = 0;
    });
    return this.#sending;
  }

  /** Waits while much is unsent: a client that calls and does not read must not fill the memory. */
  async room(): Promise<void> {
    if (this.#unsent > 1 << 20) await this.#sending;
  }

  /** Ends the calls of a client that has left. */
  cancelAll(): void {
    for (const controller of this.#running) {
      controller.abort(new RpcError(codes.cancelled, "Request cancelled"));
    }
  }
}

type Settings = { lines: boolean; "max-message": number; "max-calls": number; "call-timeout": number };

const command = {
  name: "rpc_server",
  about: "Answers calls in JSON-RPC 2.0 over TCP. The method `methods` lists what it can do.",
  run: "deno run -N=127.0.0.1 tcp/rpc_server.ts",
  examples: [
    "deno task rpc-server",
    "deno task rpc-server --port 4001 --trace",
  ],
  options: {
    ...serverOptions(4000, "close a client that is silent for this long; 0: never"),
    "lines": flag("one message a line, in place of Content-Length"),
    "call-timeout": seconds(30, "how long a call may take; 0: no limit"),
    "max-calls": integer(100, "calls of one client at the same time, or in one batch", 1, 100_000),
    "max-message": integer(1 << 20, "the longest message, in bytes", 64, 1 << 28),
    "max-clients": maxClients(1000),
  },
};

await run(command, async (flags) => {
  const clients = new Clients(flags);
  const listener = bind(flags, Deno.listen);
  onStop(() => clients.interrupt());
  announce("RPC server", listener.addr);
  for await (const conn of clients.accept(listener)) {
    clients.serve(conn, async (client) => {
      conn.setNoDelay(true);
      const calls = await answerCalls(client, flags);
      console.log(`${client.name} made ${count(calls, "call")}`);
    });
  }
  await clients.finished();
});
