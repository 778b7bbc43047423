/** `dns/server.ts --fast`: what the plain path answers, by system calls that move many datagrams. Linux. */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { buildQuery } from "../dns/_query_message.ts";
import { typeNumber } from "../dns/_record_types.ts";
import { ask } from "../dns/query.ts";
import { descriptors, listening, memory, suiteTest, testWith, until } from "./support/helpers.ts";
import { mutate, seeded } from "./support/fuzz.ts";
import { freePort } from "./support/free_port.ts";
import { output, Program } from "./support/program.ts";
import { command, root } from "./support/tasks.ts";

const linux = Deno.build.os === "linux";

/** The server with `--fast`, and the permission that it needs. */
const serveFast = (...args: string[]) =>
  listening((port) => command("dns/server.ts", port, "--fast", ...args).toSpliced(2, 0, "--allow-ffi"));

const servePlain = (...args: string[]) => listening((port) => command("dns/server.ts", port, ...args));

const socketOn = (hostname = "127.0.0.1") => Deno.listenDatagram({ transport: "udp", hostname, port: 0 });

/** A query with this id. */
const query = (id: number, name = "www.example.com.", type = "A") => {
  const { bytes } = buildQuery(question(name, type), false);
  new DataView(bytes.buffer).setUint16(0, id);
  return bytes;
};

const question = (name: string, type: string) => ({ name, type: typeNumber(type) ?? 0, class: 1 });

if (linux) {
  suiteTest("dns:server", "server.ts --fast", ({ zone = "" }) =>
    listening((port) => {
      const flags = ["--allow-ffi", "-N=127.0.0.1", `-R=${zone}`];
      return ["deno", "run", ...flags, "dns/server.ts", `--port=${port}`, "--fast", zone];
    }));
}

/** The server with two threads, which also read their modules. */
const serveThreads = (...args: string[]) =>
  listening((port) => [
    ...["deno", "run", "--allow-ffi", "-N=127.0.0.1", "-R", "--unstable-net", "dns/server.ts"],
    ...["--port", `${port}`, "--fast", "--threads", "2", ...args],
  ]);

if (linux) suiteTest("dns:server", "server.ts --fast --threads 2", ({ zone = "" }) => serveThreads(zone));

testWith(
  linux,
  "Linux",
  "--threads: every client is answered, by new zones after SIGHUP; --exit-after counts all",
  async () => {
    const folder = await Deno.makeTempDir();
    const file = `${folder}/one.zone`;
    const write = (address: string) =>
      Deno.writeTextFile(file, `$ORIGIN one.example.\n$TTL 60\n@ SOA ns host 1 1 1 1 1\n@ NS ns\n* A ${address}\n`);
    await write("192.0.2.1");
    const { program, port } = await serveThreads("--rate", "0", "--exit-after", "2000", file);
    await using _ = program;
    // With so many ports, it is as good as certain that each of the two threads gets some of them.
    const sockets = Array.from({ length: 40 }, () => socketOn());
    let asked = 0;
    const round = async () => {
      const answers = new Set<string>();
      for (const [id, socket] of sockets.entries()) {
        await socket.send(query(id, `n${asked}.one.example.`), { transport: "udp", hostname: "127.0.0.1", port });
        const [response] = await socket.receive(new Uint8Array(512));
        assertEquals(new DataView(response.buffer, response.byteOffset).getUint16(0), id);
        answers.add(response.subarray(-15, -11).join(".")); // behind the address stands OPT, of 11 bytes
        asked++;
      }
      return [...answers];
    };
    assertEquals(await round(), ["192.0.2.1"]);
    const threads = await output("sh", "-c", `cat /proc/${program.pid}/task/*/comm`);
    assertMatch(threads, /^worker-\d+$/m);
    await write("192.0.2.2");
    program.signal("SIGHUP");
    await until(async () => {
      const answers = await round();
      assert(asked < 1900, "each thread has read the zone again");
      return answers.join() === "192.0.2.2";
    }, "all threads answer from the new zone");
    while (asked < 2000) await round();
    assertEquals((await program.end()).code, 0, program.stderr);
    for (const socket of sockets) socket.close();
    await Deno.remove(folder, { recursive: true });
  },
);

testWith(linux, "Linux", "--threads: wrong usage, and a missing permission", async () => {
  const end = async (rights: string[], ...args: string[]) => {
    const program = new Program(["deno", "run", "--no-prompt", ...rights, "dns/server.ts", "--threads", "2", ...args], {
      cwd: root,
    });
    assertEquals((await program.end()).code, 2, program.stderr);
    return program.stderr;
  };
  const rights = ["--allow-ffi", "-N=127.0.0.1", "-R=dns", "-W", "--unstable-net"];
  assertMatch(await end(rights), /^server: --threads needs --fast\n/);
  const pcap = await Deno.makeTempFile();
  assertMatch(await end(rights, "--fast", "--pcap", pcap), /^server: --pcap needs --threads 1/);
  await Deno.remove(pcap);
  const port = `${freePort()}`;
  assertMatch(
    await end(rights, "--fast", "--port", port),
    /^server: no permission to read the modules of a thread: add -R=cli\.ts,dns,tcp,udp: deno run /,
  );
});

testWith(
  linux,
  "Linux",
  "--fast: byte for byte the responses of the plain path, to right and to damaged queries",
  async () => {
    const [fast, plain] = [await serveFast("--rate", "0"), await servePlain("--rate", "0")];
    await using _ = fast.program;
    await using __ = plain.program;
    const socket = socketOn();
    const ports = [fast.port, plain.port];
    const exchange = async (bytes: Uint8Array) => {
      for (const port of ports) await socket.send(bytes, { transport: "udp", hostname: "127.0.0.1", port });
      const responses = new Map<number, string>();
      while (responses.size < ports.length) {
        const [response, from] = await socket.receive(new Uint8Array(65_535));
        if (from.transport === "udp") responses.set(from.port, response.toHex());
      }
      assertEquals(responses.get(fast.port), responses.get(plain.port), bytes.toHex());
    };
    const names = ["www.example.com.", "example.com.", "missing.example.com.", "a.wild.example.com.", "example.org."];
    const queries = names.flatMap((name, i) =>
      ["A", "AAAA", "MX", "TXT", "SOA", "ANY"].map((type) => query(1000 + i, name, type))
    );
    for (const right of queries) await exchange(right);
    const random = seeded(20);
    let sent = 0;
    for (let i = 0; i < 1000; i++) {
      const damaged = mutate(queries[i % queries.length] ?? new Uint8Array(), random);
      // Neither path answers what is shorter than a header, or a response: there is nothing to compare.
      if (damaged.length < 12 || damaged.length > 65_000 || ((damaged[2] ?? 0) & 0x80) !== 0) continue;
      await exchange(damaged);
      sent++;
    }
    socket.close();
    assert(sent > 500, `${sent} damaged queries`);
  },
);

testWith(
  linux,
  "Linux",
  "--fast: a thousand queries at once from many ports, TCP meanwhile, Ctrl-C under load",
  async () => {
    const { program, port } = await serveFast("--rate", "0");
    await using _ = program;
    const tcp = () =>
      ask({ transport: "tcp", hostname: "127.0.0.1", port }, question("www.example.com.", "A"), {
        timeout: 20,
        tcp: true,
      });
    assertEquals((await tcp()).message.flags.rcode, 0); // by now it has its reserve of descriptors
    const round = () =>
      Promise.all(sockets.map(async (socket, s) => {
        for (let i = 0; i < 50; i++) {
          await socket.send(query(s * 100 + i), { transport: "udp", hostname: "127.0.0.1", port });
        }
        for (let i = 0; i < 50; i++) {
          const [response] = await socket.receive(new Uint8Array(512));
          assertEquals(new DataView(response.buffer, response.byteOffset).getUint16(0), s * 100 + i);
        }
      }));
    const sockets = Array.from({ length: 20 }, () => socketOn());
    await round();
    const before = [await descriptors(program.pid), await memory(program.pid)];
    const overTcp = tcp();
    await round();
    assertEquals((await overTcp).message.flags.rcode, 0);
    await until(async () => await descriptors(program.pid) <= Math.max(64, before[0] ?? 0), "few descriptors");
    const size = await memory(program.pid);
    assert(size < (before[1] ?? 0) + 60, `${before[1]} → ${size} MiB`);

    let flooding = true;
    const flood = Promise.all(sockets.map(async (socket) => {
      while (flooding) {
        await socket.send(query(1), { transport: "udp", hostname: "127.0.0.1", port }).catch(() => {});
      }
    }));
    program.signal("SIGINT");
    assertEquals((await program.end()).code, 0, program.stderr);
    flooding = false;
    await flood;
    sockets.forEach((socket) => socket.close());
  },
);

testWith(linux, "Linux", "--fast: --rate, --forward, IPv6, and what cannot be", async () => {
  const upstream = await servePlain();
  await using _ = upstream.program;
  const rights = ["--allow-ffi", "-N", "-R=dns", "--unstable-net"];
  const options = ["--fast", "--rate", "2", "--host", "::1", "--forward", `127.0.0.1:${upstream.port}`];
  const fast = await listening((port) => ["deno", "run", ...rights, "dns/server.ts", "--port", `${port}`, ...options]);
  await using __ = fast.program;
  const socket = socketOn("::1");
  const truncated: boolean[] = [];
  for (let id = 1; id <= 5; id++) {
    await socket.send(query(id), { transport: "udp", hostname: "::1", port: fast.port });
    const [response] = await socket.receive(new Uint8Array(512));
    truncated.push(((response[2] ?? 0) & 2) !== 0);
  }
  socket.close();
  assert(truncated.slice(2).some((cut) => cut), "over the limit, a response says: ask over TCP");

  const argv = ["deno", "run", "--no-prompt", "-N=127.0.0.1", "-R=dns", "--unstable-net", "dns/server.ts", "--fast"];
  const program = new Program(argv, { cwd: root });
  assertEquals((await program.end()).code, 2, program.stderr);
  assertMatch(
    program.stderr,
    /^server: no permission to call the C library: add --allow-ffi: deno run --allow-ffi -N=/,
  );
});

testWith(linux, "Linux", "--fast --trace: every datagram is shown", async () => {
  const { program, port } = await serveFast("--trace=json");
  await using _ = program;
  const socket = socketOn();
  await socket.send(query(7), { transport: "udp", hostname: "127.0.0.1", port });
  const [response] = await socket.receive(new Uint8Array(512));
  socket.close();
  await program.line(/"from":"127\.0\.0\.1:\d+".*"note":"datagram"/);
  const shown = program.stderr.trim().split("\n").map((line) => JSON.parse(line).data);
  assertEquals(shown, [query(7).toBase64(), response.toBase64()]);
});
