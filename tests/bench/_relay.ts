/**
 * The part of `deno task bench` about the relays: what passes through one that does nothing, beside the same without it.
 *
 * @module
 */
import { command as task } from "../support/tasks.ts";
import { benchLoad, type Candidate, compile, other } from "./_load.ts";
import { deno, startServer, type Tools } from "./_tools.ts";

export async function benchRelay(tools: Tools): Promise<void> {
  const program = await compile("load", tools);
  const stream = other("", "direct", await compile("echo_epoll", tools));
  for (const size of ["64", "65536"]) {
    const load = { program, mode: "tcp", count: 50, message: [size] } as const;
    await bench(tools, `TCP echo through the relay, 50 connections × ${size} bytes`, stream, load);
  }
  const datagrams = other("", "direct", await compile("echo_datagrams", tools));
  const load = { program, mode: "udp", count: 32, message: ["64"] } as const;
  await bench(tools, "UDP echo through the relay, 32 datagrams × 64 bytes at a time", datagrams, load);
}

/** A relay before a server of its own, and the same server without one: all of them share a core. */
async function bench(tools: Tools, title: string, server: Candidate, load: Parameters<typeof benchLoad>[3]) {
  const behind = await startServer(tools, "the server behind the relay", server.start, { line: /listening/ });
  const script = `${load.mode}/relay.ts`;
  const start = (port: number) => deno(task(script, port, "--to", `127.0.0.1:${behind.port}`, "--max-clients", "2000"));
  await benchLoad(tools, title, [{ name: `through ${script}`, needs: "", start }, server], load);
  await behind.program.stop();
}
