/**
 * `--trace`: a TCP connection that shows its bytes, and how a message is shown.
 *
 * @module
 */
import { count, formatAddress, printable, type TraceForm } from "../cli.ts";

/**
 * Wraps a connection so that each read and write, the end of each side and the close are shown on stderr. Each line is
 * what one system call moved: TCP itself has no messages (RFC 9293 §3.7). Without `--trace` it is the connection itself.
 *
 * ```ts
 * const conn = traced(await connect(flags, Deno.connect), flags.trace);
 * ```
 */
export function traced<C extends Deno.TcpConn | Deno.TlsConn>(conn: C, form: TraceForm): C {
  if (form === "") return conn;
  const local = formatAddress(conn.localAddr);
  const remote = formatAddress(conn.remoteAddr);
  const nothing = new Uint8Array();
  let open = true;
  showMessage(form, local, remote, nothing, "connected");

  const read = async (buffer: Uint8Array): Promise<number | null> => {
    try {
      const n = await conn.read(buffer);
      showMessage(form, remote, local, buffer.subarray(0, n ?? 0), n === null ? "end of stream (FIN)" : "");
      return n;
    } catch (error) {
      if (open) showMessage(form, remote, local, nothing, error instanceof Error ? error.message : String(error));
      throw error;
    }
  };
  const write = async (data: Uint8Array): Promise<number> => {
    const n = await conn.write(data);
    showMessage(form, local, remote, data.subarray(0, n));
    return n;
  };
  const closeWrite = async (): Promise<void> => {
    await conn.closeWrite();
    showMessage(form, local, remote, nothing, "end of stream (FIN)");
  };
  const close = (): void => {
    if (open) showMessage(form, local, remote, nothing, "closed");
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

const hex = (byte: number) => byte.toString(16).padStart(2, "0");

/** Shows one message on stderr: when, from where to where, how many bytes, and the bytes or a note. */
export function showMessage(form: TraceForm, from: string, to: string, data: Uint8Array, note = ""): void {
  if (form === "") return;
  const t = new Date().toISOString();
  if (form === "json") {
    return console.error(JSON.stringify({ t, from, to, bytes: data.length, data: data.toBase64(), note }));
  }
  const head = `${t.slice(11, 23)} ${from} → ${to}`;
  if (data.length === 0) return console.error(`${head}  ${note || "0 bytes"}`);
  console.error(`${head}  ${count(data.length, "byte")}${note && `  ${note}`}`);
  const part = data.subarray(0, 512); // enough to see what it is; --trace=json has every byte
  const rest = data.length > part.length ? ` … and ${data.length - part.length} more` : "";
  const plain = new TextDecoder("utf-8", { ignoreBOM: true }).decode(part, { stream: rest !== "" });
  // deno-lint-ignore no-control-regex -- a message with controls other than line ends and tabs is shown as a hex dump
  if (!/[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]/.test(plain)) return console.error(`    "${printable(plain)}"${rest}`);
  console.error(hexDump(part).join("\n"));
  if (rest) console.error(`   ${rest}`);
}

/** Sixteen bytes a line: their offset, in hexadecimal, and as ASCII. */
function hexDump(data: Uint8Array): string[] {
  const lines: string[] = [];
  for (let offset = 0; offset < data.length; offset += 16) {
    const row = data.subarray(offset, offset + 16);
    const ascii = Array.from(row, (byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".").join("");
    const bytes = Array.from(row, hex).join(" ").padEnd(47);
    lines.push(`    ${offset.toString(16).padStart(4, "0")}  ${bytes}  ${ascii}`);
  }
  return lines;
}
