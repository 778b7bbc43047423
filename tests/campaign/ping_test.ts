/** Ping: its parsers get mutated packets and lines, and `ping.ts` a `ping` program that prints anything. With seeds. */
import { assert, assertEquals } from "jsr:@std/assert@1";
import { decodeMessage, encodeEchoRequest, stripIpv4Header } from "../../ping/_icmp.ts";
import { createLineParser } from "../../ping/_ping_output.ts";
import { parseControl } from "../../ping/_recvmsg.ts";
import { mutate, pick, seeded } from "../support/fuzz.ts";
import { testWith } from "../support/helpers.ts";
import { assertHarmless, eachSeed } from "../support/hostile.ts";
import { Program } from "../support/program.ts";
import { root } from "../support/tasks.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("ICMP: 50,000 mutated packets are decoded to something, and never fail", () => {
  const random = seeded(81);
  const request = encodeEchoRequest(4, { identifier: 7, sequence: 1, payload: bytes("payload of a ping") });
  const header = Uint8Array.of(0x45, 0, 0, 84, 0, 0, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1);
  const reply = Uint8Array.of(0, ...request.subarray(1));
  const error = Uint8Array.of(11, 0, 0, 0, 0, 0, 0, 0, ...header, ...request.subarray(0, 8));
  const error6 = Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0x60, ...new Uint8Array(39), 128, ...request.subarray(1));
  const control = Uint8Array.of(32, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 35, 0, 0, 0, ...new Uint8Array(16));
  for (let i = 0; i < 50_000; i++) {
    const packet = mutate(pick(random, [reply, error, error6, Uint8Array.of(...header, ...reply)]), random);
    for (const version of [4, 6] as const) assert(typeof decodeMessage(version, packet).kind === "string");
    stripIpv4Header(packet);
    parseControl(mutate(control, random));
  }
});

const output = `PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.
64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.034 ms
no answer yet for icmp_seq=2
64 bytes from 127.0.0.1: icmp_seq=3 ttl=64 time=1041 ms (DUP!)
From 198.51.100.9 icmp_seq=4 Destination Host Unreachable

--- 127.0.0.1 ping statistics ---
5 packets transmitted, 2 received, +1 duplicates, 60% packet loss, time 4005ms
rtt min/avg/max/mdev = 10.300/525.650/1041.000/515.350 ms, pipe 2
`;

Deno.test("ping's output: 20,000 mutated ones have times that are numbers, however long a line is", () => {
  const random = seeded(82);
  for (let i = 0; i < 20_000; i++) {
    const text = new TextDecoder().decode(mutate(bytes(output), random));
    for (const windows of [false, true]) {
      const parse = createLineParser(windows);
      for (const line of text.split("\n").map(parse)) if (line.kind === "reply") assert(line.time >= 0, text);
    }
  }
  for (const part of ["1", ".", ":", " ", "a", "=", "icmp_seq=1 ", "time<1", "1.1.1.1 "]) {
    for (const windows of [false, true]) {
      createLineParser(windows)(`64 bytes from ${part.repeat(200_000 / part.length)}`);
    }
  }
});

testWith(
  Deno.build.os !== "windows",
  "sh",
  "ping.ts: 50 ping programs that print anything: one line at most",
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      await eachSeed(50, async (random, seed) => {
        const own = `${folder}/${seed}`;
        await Deno.mkdir(own);
        await Deno.writeFile(`${own}/out`, mutate(bytes(output), random));
        if (seed % 10 === 0) await Deno.writeTextFile(`${own}/out`, "1".repeat(300_000), { append: true });
        await Deno.writeFile(`${own}/err`, mutate(bytes("ping: \x1b[2Junknown host\n"), random));
        const script = `#!/bin/sh\ncat ${own}/out\ncat ${own}/err >&2\nexit ${pick(random, [0, 1, 2, 255])}\n`;
        await Deno.writeTextFile(`${own}/ping`, script, { mode: 0o755 });
        const env = { PATH: `${own}:${Deno.env.get("PATH")}` };
        const argv = ["deno", "run", "--allow-run=ping", "ping/ping.ts", "--count", "3", "127.0.0.1"];
        const program = new Program(argv, { cwd: root, env });
        await program.end(60);
        const what = `seed ${seed}: ${program.status?.code} ${program.stderr.slice(0, 500)}`;
        assert([0, 1].includes(program.status?.code ?? -1), what);
        assertEquals(program.stderr.split("\n").length <= 2, true, what);
        assertHarmless(program.stdout + program.stderr, what);
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
