/**
 * The part of `deno task bench` about UDP: the chat server, the same chat in Node, and servers that only echo.
 *
 * @module
 */
import { command as task } from "../support/tasks.ts";
import { compile, measureEcho, other } from "./_load.ts";
import { deno, type Tools } from "./_tools.ts";

export async function benchUdp(tools: Tools): Promise<void> {
  const load = [await compile("load", tools), "udp"];
  const candidates = [
    {
      name: "socketlab chat_server",
      needs: "",
      start: (port: number) => deno(task("udp/chat_server.ts", port, "--quiet")),
    },
    {
      name: "socketlab syscall_server",
      needs: "",
      start: (port: number) => deno(task("udp/syscall_server.ts", port)),
    },
    {
      name: "Deno, plain echo",
      needs: "",
      start: (port: number) => deno(["deno", "run", "-N=127.0.0.1", "tests/bench/udp_echo.ts", `${port}`]),
    },
    other("node", "Node dgram, the same chat", "node", "tests/bench/peers.mjs", "chat"),
    other("node", "Node dgram, plain echo", "node", "tests/bench/peers.mjs", "udp"),
    other("python3", "Python blocking, plain echo", "python3", "tests/bench/peers.py", "udp"),
  ];
  await measureEcho("UDP, 32 datagrams × 64 bytes at a time", candidates, load, { count: 32, size: 64 }, tools);
}
