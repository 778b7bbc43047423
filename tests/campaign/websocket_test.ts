/** WebSocket: a server that gets any bytes before and after the handshake, clients whose servers send any. With seeds. */
import { assert, assertEquals } from "jsr:@std/assert@1";
import { within } from "../../cli.ts";
import { concat } from "../../http/_concat.ts";
import { encodeRequest } from "../../http/_message.ts";
import { encodeClose, encodeFrame, opcodes } from "../../http/_websocket_frame.ts";
import { acceptKey, handshakeRequest, newKey } from "../../http/_websocket_handshake.ts";
import { codeOf } from "../../tcp/_socket_errors.ts";
import { below, mutate, seeded } from "../support/fuzz.ts";
import { descriptors, memory, runClient, serve, testWith, until } from "../support/helpers.ts";
import { assertEndedWell, assertHarmless, eachSeed, spoilStream, tcpServer } from "../support/hostile.ts";

const linux = Deno.build.os === "linux";
const bytes = (text: string) => new TextEncoder().encode(text);

/** Frames of a client if there is a key, of a server if not. */
const frames = (key?: Uint8Array) => [
  encodeFrame({ fin: true, opcode: opcodes.text, payload: bytes("hello \x1b[2J\u202e") }, key),
  encodeFrame({ fin: false, opcode: opcodes.text, payload: bytes("gr\u00fc") }, key),
  encodeFrame({ fin: true, opcode: opcodes.continuation, payload: bytes("\u00dfe") }, key),
  encodeFrame({ fin: true, opcode: opcodes.ping, payload: bytes("are you there") }, key),
  encodeFrame({ fin: true, opcode: opcodes.binary, payload: new Uint8Array(300) }, key),
  encodeFrame({ fin: true, opcode: opcodes.close, payload: encodeClose(1000, "bye \x9b31m") }, key),
];
const handshake = encodeRequest(handshakeRequest("localhost", "/chat", newKey()));

for (const args of [[], ["--echo"]]) {
  testWith(
    linux,
    "/proc of Linux",
    `websocket_server.ts ${args}: 1200 mutated dialogues leave nothing behind`,
    async () => {
      const { program, port } = await serve("http/websocket_server.ts", "--timeout", "2", ...args);
      await using _ = program;
      const random = seeded(71);
      const attack = async () => {
        using conn = await Deno.connect({ hostname: "127.0.0.1", port });
        const key = Uint8Array.from({ length: 4 }, () => below(random, 256));
        const dialogue = concat([handshake, ...frames(key).slice(below(random, 6))]);
        // Half of them have a right handshake, or nothing behind it would be reached.
        const kept = below(random, 2) ? handshake.length : 0;
        const data = concat([dialogue.subarray(0, kept), mutate(dialogue.subarray(kept), random)]);
        try {
          for (let at = 0; at < data.length;) at += await conn.write(data.subarray(at));
          if (below(random, 3) === 0) return;
          await conn.closeWrite();
          const buffer = new Uint8Array(65_536);
          const reading = (async () => {
            while (await conn.read(buffer) !== null);
          })();
          await within(20, reading, "the server does not close");
        } catch (error) {
          if (!["ECONNRESET", "EPIPE", "ECONNABORTED"].includes(codeOf(error))) throw error;
        }
      };
      const run = async (count: number) => {
        for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: 20 }, attack));
      };
      await run(400);
      const before = [await descriptors(program.pid), await memory(program.pid)] as const;
      await run(800);
      await until(async () => await descriptors(program.pid) <= before[0], "the descriptors back", 30);
      const grown = await memory(program.pid) - before[1];
      assert(grown < 60, `${grown} MiB more`);
      const right = await runClient("http/websocket_client.ts", port, "--listen", "0.2", "Hello");
      assertEquals(right.status?.code, 0, right.tail());
      assertEquals([program.status, program.stderr], [undefined, ""], program.tail());
      assertHarmless(program.stdout);
    },
  );
}

for (const [count, args] of [[60, []], [100, ["--raw"]]] as const) {
  Deno.test(`websocket_client.ts ${args} at ${count} hostile servers: in time, exit code 0 or 1, one line at most`, async () => {
    await eachSeed(count, async (random, seed) => {
      using server = tcpServer(async (conn) => {
        const buffer = new Uint8Array(65_536);
        const head = new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
        const key = /^sec-websocket-key: (.*)\r$/im.exec(head)?.[1] ?? "";
        const fields = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(key)}`;
        const answer = bytes(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n\r\n`);
        const isRight = below(random, 4) > 0;
        if (isRight) await conn.write(answer);
        await spoilStream(conn, isRight ? frames() : [answer, ...frames()], random);
      });
      const limits = ["--timeout=0.4", "--listen=0.2"];
      assertEndedWell(
        await runClient("http/websocket_client.ts", server.port, ...limits, ...args, "hi"),
        `seed ${seed}`,
      );
    });
  });
}
