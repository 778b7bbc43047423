/**
 * The part of `deno task bench` about the relays: what passes through one that does nothing, beside the same without it.
 *
 * @module
 */
import { command as task } from "../support/tasks.ts";
import { type Candidate, compile, measureEcho, other } from "./_load.ts";
import { deno, startServer, type Tools } from "./_tools.ts";

export async function benchRelay(tools: Tools): Promise<void> {
  const load = await compile("load", tools);
  const epoll = other("", "direct", await compile("echo_epoll", tools));
  for (const size of [64, 65536]) {
    const title = `TCP echo through the relay, 50 connections × ${size} bytes`;
    await measureEcho(title, await pair("tcp", epoll, tools), [load, "tcp"], { count: 50, size }, tools);
  }
  const echo: Candidate = {
    name: "direct",
    needs: "",
    start: (port) => deno(["deno", "run", "-N=127.0.0.1", "tests/bench/udp_echo.ts", `${port}`]),
  };
  const title = "UDP echo through the relay, 32 datagrams × 64 bytes at a time";
  await measureEcho(title, await pair("udp", echo, tools), [load, "udp"], { count: 32, size: 64 }, tools);
}

/** A relay before a server of its own, and the same server without one. */
async function pair(transport: "tcp" | "udp", server: Candidate, tools: Tools): Promise<Candidate[]> {
  const behind = await startServer(tools, "the server behind the relay", server.start, { line: /listening/ });
  const start = (port: number) =>
    deno(task(`${transport}/relay.ts`, port, "--to", `127.0.0.1:${behind.port}`, "--max-clients", "2000"));
  return [{ name: `through ${transport}/relay.ts`, needs: "", start }, server];
}
