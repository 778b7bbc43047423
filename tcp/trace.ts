/**
 * A TCP connection that shows its bytes.
 *
 * @module
 */
import { place, show } from "../cli.ts";

/**
 * Wraps a connection so that each read and write, the end of each side and the close are shown on stderr. What is shown
 * as one message is what one system call moved: TCP itself has no messages (RFC 9293 §3.7).
 *
 * ```ts
 * const conn = traced(await Deno.connect({ port: 7007 }), "text");
 * ```
 */
export function traced<C extends Deno.TcpConn | Deno.TlsConn>(conn: C, form: "text" | "json"): C {
  const here = place(conn.localAddr);
  const there = place(conn.remoteAddr);
  const nothing = new Uint8Array();
  let open = true;
  show(form, here, there, nothing, "connected");

  const read = async (buffer: Uint8Array): Promise<number | null> => {
    try {
      const n = await conn.read(buffer);
      show(form, there, here, buffer.subarray(0, n ?? 0), n === null ? "end of stream (FIN)" : "");
      return n;
    } catch (error) {
      if (open) show(form, there, here, nothing, error instanceof Error ? error.message : String(error));
      throw error;
    }
  };
  const write = async (data: Uint8Array): Promise<number> => {
    const n = await conn.write(data);
    show(form, here, there, data.subarray(0, n));
    return n;
  };
  const closeWrite = async (): Promise<void> => {
    await conn.closeWrite();
    show(form, here, there, nothing, "end of stream (FIN)");
  };
  const close = (): void => {
    if (open) show(form, here, there, nothing, "closed");
    open = false;
    conn.close();
  };

  return new Proxy(conn, {
    get(target, name) {
      if (name === "read") return read;
      if (name === "write") return write;
      if (name === "closeWrite") return closeWrite;
      if (name === "close" || name === Symbol.dispose) return close;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
