/**
 * The parts of `deno task bench` about calls in JSON-RPC and messages over WebSocket, beside the packages that most programs in
 * Node use: vscode-jsonrpc, which editors are made with, and ws.
 *
 * @module
 */
import { command as task } from "../support/tasks.ts";
import { benchLoad, type Candidate, compile } from "./_load.ts";
import { deno, install, type Tools } from "./_tools.ts";

const CONNECTIONS = 50;

/** The peers in Node, when their packages can be installed. */
async function inNode(tools: Tools, name: string, packageName: string, what: string): Promise<Candidate[]> {
  if (!await install(tools.folder, packageName)) return [];
  const start = () => ["node", "tests/bench/peers_npm.mjs", what];
  return [{ name, needs: "node", start, env: { MODULES: tools.folder } }];
}

export async function benchRpc(tools: Tools): Promise<void> {
  const program = await compile("load", tools);
  const ours = (name: string, ...args: string[]): Candidate => (
    { name, needs: "", start: (port) => deno(task("tcp/rpc_server.ts", port, ...args)) }
  );
  const call = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "add", params: [20, 22] });
  const message = `${tools.folder}/call.txt`;
  await Deno.writeTextFile(message, `Content-Length: ${call.length}\r\n\r\n${call}`);
  const candidates = [
    ours("socketlab rpc_server"),
    ...await inNode(tools, "Node, vscode-jsonrpc", "vscode-jsonrpc", "rpc"),
  ];
  const title = `JSON-RPC, add(20, 22), ${CONNECTIONS} connections`;
  await benchLoad(tools, title, candidates, { program, mode: "call", count: CONNECTIONS, message: [message] });
}

export async function benchWebSocket(tools: Tools): Promise<void> {
  const program = await compile("load", tools);
  const opening = `${tools.folder}/upgrade.txt`;
  const fields = [
    "GET / HTTP/1.1",
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${new Uint8Array(16).toBase64()}`,
    "Sec-WebSocket-Version: 13",
  ];
  await Deno.writeTextFile(opening, `${fields.join("\r\n")}\r\n\r\n`);
  const candidates: Candidate[] = [
    {
      name: "socketlab websocket_server",
      needs: "",
      start: (port) => deno(task("http/websocket_server.ts", port, "--echo")),
    },
    ...await inNode(tools, "Node, ws", "ws", "websocket"),
  ];
  for (const size of [64, 16_384]) {
    const frame = `${tools.folder}/frame-${size}.bin`;
    await Deno.writeFile(frame, maskedFrame(size));
    const load = { program, mode: "call", count: CONNECTIONS, message: [frame, opening] } as const;
    await benchLoad(tools, `WebSocket echo, ${CONNECTIONS} connections × ${size} bytes`, candidates, load);
  }
}

/** A text of `size` bytes as a client sends it: one masked frame (RFC 6455 §5.2). */
function maskedFrame(size: number): Uint8Array {
  const length = size < 126 ? [size] : [126, size >> 8, size & 255];
  const mask = [1, 2, 3, 4];
  const text = Array.from({ length: size }, (_, i) => 97 + i % 26);
  const masked = text.map((byte, i) => byte ^ (mask[i % 4] ?? 0));
  return Uint8Array.of(0x81, 0x80 | (length[0] ?? 0), ...length.slice(1), ...mask, ...masked);
}
