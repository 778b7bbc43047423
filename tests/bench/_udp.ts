/**
 * The part of `deno task bench` about UDP: the chat server, the same chat in Node, and servers that only echo.
 *
 * @module
 */
import { command as task } from "../support/tasks.ts";
import { benchLoad, type Candidate, compile, other } from "./_load.ts";
import { deno, type Tools } from "./_tools.ts";

export async function benchUdp(tools: Tools): Promise<void> {
  const program = await compile("load", tools);
  const ours = (name: string, start: Candidate["start"]): Candidate => ({
    name: `socketlab ${name}`,
    needs: "",
    start,
  });
  const chats = [
    ours("chat_server", (port) => deno(task("udp/chat_server.ts", port, "--quiet"))),
    ours("chat_server --fast", (port) => {
      const [name = "", run = "", ...args] = deno(task("udp/chat_server.ts", port, "--quiet", "--fast"));
      return [name, run, "--allow-ffi", ...args];
    }),
    other("node", "Node dgram, the same chat", "node", "tests/bench/peers.mjs", "chat"),
  ];
  const echoes = [
    ours("syscall_server", (port) => deno(task("udp/syscall_server.ts", port))),
    {
      name: "Deno, a plain loop",
      needs: "",
      start: (port: number) => deno(["deno", "run", "-N=127.0.0.1", "tests/bench/udp_echo.ts", `${port}`]),
    },
    other("node", "Node dgram", "node", "tests/bench/peers.mjs", "udp"),
    other("python3", "Python, a blocking loop", "python3", "tests/bench/peers.py", "udp"),
    other("", "C recvmmsg", await compile("echo_datagrams", tools)),
  ];
  const load = { program, mode: "udp", count: 32, message: ["64"] } as const;
  await benchLoad(tools, "UDP echo, 32 datagrams × 64 bytes at a time", echoes, load);
  await benchLoad(tools, "UDP chat with one member, 32 datagrams × 64 bytes at a time", chats, load);
}
