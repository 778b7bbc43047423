/**
 * `--trace` and `--pcap`: a TCP connection that shows its bytes, and where a message is shown.
 *
 * @module
 */
import { formatAddress, type TraceForm, type Tracing } from "../cli.ts";
import { Capture } from "./_capture.ts";
import { Diagram } from "./_diagram.ts";
import { codeOf } from "./_socket_errors.ts";
import { type Event, formatJson, formatText, type Message } from "./_trace_event.ts";

/** Whether messages are to be shown at all. Without that, an exchange must not pay for it. */
export const isTraced = ({ trace, pcap }: Tracing): boolean => trace !== "" || pcap !== "";

/** The connections that are traced, and the connection itself of each. */
const originals = new WeakMap<Deno.Conn, { wire: Deno.TcpConn; show: Show }>();

/** The names of the connections that are open, so that TLS on one of them is not shown as a second connection. */
const open = new Set<string>();

const nothing = new Uint8Array();

/**
 * Wraps a connection so that each read and write, the end of each side and the close are shown. Each line is what one system
 * call moved: TCP itself has no messages (RFC 9293 §3.7). Without `--trace` and `--pcap` it is the connection itself.
 *
 * ```ts
 * const conn = traced(await connect(flags, Deno.connect), flags);
 * ```
 */
export function traced<C extends Deno.TcpConn | Deno.TlsConn>(conn: C, flags: Tracing, side: Side = "client"): C {
  if (!isTraced(flags)) return conn;
  const local = formatAddress(conn.localAddr);
  const remote = formatAddress(conn.remoteAddr);
  const name = `${local} ${remote}`;
  const show = shower(flags, side, local, remote);
  if (!open.has(name)) {
    open.add(name);
    if (side === "client") show.sent(nothing, "connected");
    else show.received(nothing, "accepted");
  }
  if ("handshake" in conn) show.sent(nothing, "TLS");

  const stream = tracedStream(conn, show);
  const close = (): void => {
    if (open.delete(name)) show.sent(nothing, "closed");
    conn.close();
  };
  const wrapped = new Proxy(conn, {
    get(target, key) {
      if (key === "read") return stream.read;
      if (key === "write") return stream.write;
      if (key === "closeWrite") return stream.closeWrite;
      if (key === "close" || key === Symbol.dispose) return close;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  if (!("handshake" in conn)) originals.set(wrapped, { wire: conn, show });
  return wrapped;
}

type Side = "client" | "server";
type Stream = Pick<Deno.Conn, "read" | "write" | "closeWrite">;
type Show = Record<"sent" | "received", (data: Uint8Array, note: string, t?: number) => void>;

/** What shows the messages of one connection, by their direction. */
function shower(flags: Tracing, side: Side, local: string, remote: string): Show {
  const rest = { side, transport: "tcp" } as const;
  return {
    sent: (data, note, t) => showMessage(flags, { ...rest, from: local, to: remote, data, note }, t),
    received: (data, note, t) => showMessage(flags, { ...rest, from: remote, to: local, data, note }, t),
  };
}

function tracedStream(stream: Stream, show: Show): Stream {
  let isOver = false;
  /** Shows how the other side has ended the connection, once; an end by this side is shown by its `close`. */
  const failed = (error: unknown): never => {
    const isLocal = error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource;
    const isReset = ["ECONNRESET", "ECONNABORTED", "EPIPE"].includes(codeOf(error));
    if (!isLocal && !isOver) show.received(nothing, isReset ? "RST" : error instanceof Error ? error.message : "");
    isOver = true;
    throw error;
  };
  return {
    async read(buffer) {
      const n = await stream.read(buffer).catch(failed);
      show.received(buffer.subarray(0, n ?? 0), n === null ? "FIN" : "");
      return n;
    },
    async write(data) {
      const t = now(); // before the write: the other side may read it before this side knows that it is written
      const n = await stream.write(data).catch(failed);
      show.sent(data.subarray(0, n), "", t);
      return n;
    },
    async closeWrite() {
      const t = now();
      await stream.closeWrite();
      show.sent(nothing, "FIN", t);
    },
  };
}

/**
 * For TLS on the server's side: the connection under it, untraced, and the trace of the stream that TLS protects. So the
 * exchange is shown in plain, and not the encrypted bytes. Without a trace both come back as they are.
 */
export function underTls(conn: Deno.TcpConn): { wire: Deno.TcpConn; trace: (stream: Stream) => Stream } {
  const original = originals.get(conn);
  if (!original) return { wire: conn, trace: (stream) => stream };
  const { wire, show } = original;
  const trace = (stream: Stream) => {
    show.received(nothing, "TLS");
    return tracedStream(stream, show);
  };
  return { wire, trace };
}

let capture: Capture | undefined;
let diagram: Diagram | undefined;

/** The time in microseconds since 1970. */
export const now = (): number => Math.round((performance.timeOrigin + performance.now()) * 1000);

/** Shows one message where the flags say. */
export function showMessage(flags: Tracing, message: Message, t?: number): void {
  if (!isTraced(flags)) return; // some servers ask for each message: looking at the clock would cost more than all the rest
  const event: Event = { t: t ?? now(), ...message };
  if (flags.pcap) (capture ??= new Capture(flags.pcap)).add(event);
  for (const line of linesOf(flags.trace, event)) console.error(line);
}

function linesOf(form: TraceForm, event: Event): string[] {
  if (form === "diagram") return (diagram ??= new Diagram()).draw(event);
  if (form === "json") return [formatJson(event)];
  return form === "text" ? formatText(event) : [];
}
