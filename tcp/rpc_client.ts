/**
 * A client that calls functions of a server far away: JSON-RPC 2.0 over TCP.
 *
 * It sends all its calls before it waits, and prints the answers as they come: a quick one overtakes a slow one, and the id
 * says which call each belongs to. A call that takes too long is given up, and the server is told to stop it.
 *
 * First terminal: `deno run -N=127.0.0.1 tcp/rpc_server.ts`. This one:
 * `deno run -N=127.0.0.1 tcp/rpc_client.ts 'sleep(0.5)' 'add(1, 2)'`. Both at once: `deno task tcp:rpc`.
 * JSON-RPC 2.0 (jsonrpc.org). API: Deno.connect, Deno.Conn.
 *
 * @module
 */
import { clientOptions, connect, Failure, flag, printable, run } from "../cli.ts";
import { BufferedReader } from "./_buffered_reader.ts";
import { encodeFrame, type FrameForm, frameRoom, readFrame } from "./_rpc_frames.ts";
import { type Call, formatCall, type Json, parseMessages, type Response, RpcError } from "./_rpc_message.ts";
import { codeOf } from "./_socket_errors.ts";
import { traced } from "./_trace.ts";
import { writeAll } from "./_write_all.ts";

/** Sends calls, and yields the messages that come back until each call has its response. */
async function* exchange(conn: Deno.TcpConn, calls: Call[], options: Options): AsyncGenerator<Response | Call> {
  const form: FrameForm = options.lines ? "lines" : "headers";
  const messages = calls.map(formatCall);
  // A batch is one message that holds all calls; the server answers it with one, too (§6).
  const texts = options.batch ? [JSON.stringify(messages)] : messages.map((message) => JSON.stringify(message));
  for (const text of texts) await writeAll(conn, encodeFrame(form, text));
  options.onSent();

  const reader = new BufferedReader(conn, frameRoom(MAX_MESSAGE));
  const open = new Set(calls.flatMap(({ id }) => id ?? []));
  while (open.size > 0) {
    const text = await readFrame(reader, form, MAX_MESSAGE);
    if (text === undefined) throw new Failure(`the server closed before it had answered ${open.size} of the calls`);
    for (const message of parseMessages(text, MAX_BATCH).messages) {
      if (message instanceof RpcError) throw new Failure(`the server sent what is no message: ${message.message}`);
      yield message;
      if ("method" in message) continue;
      // The error of a message that the server could not read has the id null: nobody knows whose it is.
      if (message.id === null) throw new Failure(`the server says: ${printable(message.error?.message ?? "")}`);
      open.delete(message.id);
    }
  }
}

/** The longest message that the client takes, in bytes. */
const MAX_MESSAGE = 16 << 20;

/** The most responses in one message. */
const MAX_BATCH = 10_000;

/** `add(1, 2)` or `add({"a": 1, "b": 2})`: a method, and its parameters in JSON, by position or by name. */
function parseCall(text: string, id: number | undefined): Call {
  const [, method, inner = ""] = /^([\w.$/-]+)\(([^]*)\)$/.exec(text.trim()) ?? [];
  if (method === undefined) throw new Failure(`a call looks like add(1, 2), not like ${printable(text)}`, 2);
  try {
    const params: Json[] = JSON.parse(`[${inner}]`);
    const [first] = params;
    const named = params.length === 1 && typeof first === "object" && first !== null && !Array.isArray(first);
    const given = named ? first : params.length > 0 ? params : undefined;
    return id === undefined ? { method, params: given } : { id, method, params: given };
  } catch {
    throw new Failure(`the parameters of ${printable(text)} are not JSON: texts need "quotes"`, 2);
  }
}

interface Options {
  readonly lines: boolean;
  readonly batch: boolean;
  /** Called when all calls are on their way. */
  readonly onSent: () => void;
}

const command = {
  name: "rpc_client",
  about: "Calls functions of a server in JSON-RPC 2.0. Each argument is a call, such as 'add(1, 2)' or 'methods()'.",
  run: "deno run -N=127.0.0.1 tcp/rpc_client.ts",
  args: "[CALL ...]",
  examples: [
    "deno task rpc-client 'methods()'",
    "deno task rpc-client --trace 'sleep(1)' 'add(1, 2)'",
  ],
  options: {
    ...clientOptions(4000),
    "lines": flag("one message a line, in place of Content-Length"),
    "batch": flag("send all calls as one message"),
    "notify": flag("send notifications: they get no answer"),
  },
};

await run(command, async (flags) => {
  const words = flags.args.length > 0 ? flags.args : ["methods()"];
  const calls = words.map((word, i) => parseCall(word, flags.notify ? undefined : i + 1));
  const conn = traced(await connect(flags, Deno.connect), flags);
  conn.setNoDelay(true);
  const start = performance.now();
  const open = new Set(calls.keys());
  let [isSent, isLate] = [false, false];
  const onLate = () => {
    isLate = true;
    giveUp(conn, isSent ? calls.filter((_, i) => open.has(i)) : [], flags);
  };
  const late = flags.timeout > 0 ? setTimeout(onLate, flags.timeout * 1000) : undefined;
  const show = (message: Response | Call) => {
    const ms = (performance.now() - start).toFixed(0).padStart(5);
    if ("method" in message) {
      return console.log(`${ms} ms  ${printable(message.method)} ${printable(JSON.stringify(message.params ?? null))}`);
    }
    const index = Number(message.id) - 1;
    const { error, result } = message;
    const outcome = error ? `error ${error.code}: ${error.message}` : JSON.stringify(result);
    const data = error?.data === undefined ? "" : ` (${JSON.stringify(error.data)})`;
    console.log(`${ms} ms  ${printable(words[index] ?? `id ${message.id}`)} → ${printable(outcome + data)}`);
    open.delete(index);
    if (error) Deno.exitCode = 1;
  };
  try {
    for await (const message of exchange(conn, calls, { ...flags, onSent: () => isSent = true })) show(message);
  } catch (error) {
    // That it took too long is said already.
    if (!isLate || !(error instanceof Failure || codeOf(error))) throw error;
  }
  clearTimeout(late);
  if (!isLate) await conn.closeWrite();
  conn.close();
});

/** Tells the server to stop the calls that have no answer yet; each then gets an error, at once. */
function giveUp(conn: Deno.TcpConn, calls: Call[], { lines, timeout }: { lines: boolean; timeout: number }): void {
  console.error(`rpc_client: no answer in ${timeout} s: cancelled`);
  Deno.exitCode = 1;
  const messages = calls.map(({ id = null }) => formatCall({ method: "$/cancelRequest", params: { id } }));
  const frames = messages.map((message) => encodeFrame(lines ? "lines" : "headers", JSON.stringify(message)));
  (async () => {
    for (const frame of frames) await writeAll(conn, frame);
  })().catch(() => {}); // the connection is broken: what happened is said above
  // A server that does not know this notification goes on, and another one reads nothing: wait for neither.
  setTimeout(() => Deno.exit(1), 1000);
}
