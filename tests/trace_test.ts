/**
 * What makes an exchange visible: `--trace=diagram`, and `--pcap` for every pair.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "jsr:@std/assert@1";
import { shellCommand } from "../tcp/_whole_command.ts";
import { Capture } from "../tcp/_capture.ts";
import { Diagram } from "../tcp/_diagram.ts";
import { RelayTrace } from "../tcp/_relay_trace.ts";
import { showMessage } from "../tcp/_trace.ts";
import type { Event } from "../tcp/_trace_event.ts";
import { freePort } from "./support/free_port.ts";
import { checkCapture, inWireshark, leavesCleanCapture } from "./support/captures.ts";
import { certificate, client, serve, signals } from "./support/helpers.ts";
import { readCapture } from "./support/pcapng.ts";
import { Program } from "./support/program.ts";
import { stub } from "./support/stub.ts";
import { command, root } from "./support/tasks.ts";

const encode = (text: string) => new TextEncoder().encode(text);

const event = (more: Partial<Event>): Event => ({
  ...{ t: 1_800_000_000_000_000, side: "client", transport: "tcp", from: "127.0.0.1:50000", to: "127.0.0.1:7" },
  ...{ data: new Uint8Array(), note: "" },
  ...more,
});
const back = { from: "127.0.0.1:7", to: "127.0.0.1:50000" };

Deno.test("diagram: a column a side, an arrow a message, 80 columns whatever a message says", () => {
  const diagram = new Diagram();
  const t = 1_800_000_000_000_000;
  const lines = [
    ...diagram.draw(event({ t, note: "connected" })),
    ...diagram.draw(event({ t: t + 1500, data: encode("Hello\n") })),
    ...diagram.draw(event({ t: t + 2000, ...back, data: encode("世界 ".repeat(40)) })),
    ...diagram.draw(event({ t: t + 2001, ...back, data: Uint8Array.of(0, 255, 7) })),
    ...diagram.draw(event({ t: t + 3000, note: "FIN" })),
    ...diagram.draw(event({ t: t + 4000, ...back, note: "\x1b[31mbroken" })),
    ...diagram.draw(event({ t: t + 5000, note: "closed" })),
  ];
  assertMatch(lines[0] ?? "", /^ {10}#1 client 127\.0\.0\.1:50000 +server 127\.0\.0\.1:7 \(tcp\)$/);
  assertMatch(lines[1] ?? "", /^ {4}0\.000 │─+ connected ─+▶│$/);
  assertMatch(lines[2] ?? "", /^ {4}1\.500 │─+ 6 bytes "Hello\\n" ─+▶│$/);
  assertMatch(lines[3] ?? "", /^ {4}2\.000 │◀─+ 280 bytes "世界 .*… ─+│$/);
  assertMatch(lines[4] ?? "", /^ {4}2\.001 │◀─+ 3 bytes 00 ff 07 ─+│$/);
  assertMatch(lines[6] ?? "", /│◀─+ \\x1b\[31mbroken ─+│$/);
  assertMatch(lines[7] ?? "", /^ {4}5\.000 │ +closed +│$/, "its FIN has been drawn");
  for (const line of lines) assertEquals(line.replace(/[世界]/g, "xx").length, 80, line);
});

Deno.test("diagram: several clients have numbers, a lost message ends halfway", () => {
  const diagram = new Diagram();
  diagram.draw(event({ transport: "udp", data: encode("a"), note: "datagram" }));
  const [heading, first] = diagram.draw(
    event({ transport: "udp", from: "[::1]:50001", to: "[::1]:7", data: encode("b"), note: "lost" }),
  );
  assertMatch(heading ?? "", /#2 client \[::1\]:50001 +server \[::1\]:7 \(udp\)$/);
  assertMatch(first ?? "", /│─+ #2 1 byte lost "b" ─+✗ +│$/);
});

Deno.test("a trace that is off does not even look at the clock, in a server nor in a relay", () => {
  let looks = 0;
  using _ = stub(performance, "now", () => ++looks);
  const off = { trace: "", pcap: "" } as const;
  showMessage(off, event({ data: encode("x") }));
  const relay = new RelayTrace(off, "udp", () => {
    throw new Error("nobody asks for the addresses");
  });
  assertEquals(relay.passed("client", encode("x"), "datagram"), undefined);
  assertEquals(relay.held("client", encode("x"), "lost"), undefined);
  relay.ended("server", "RST");
  assertEquals(looks, 0);
});

Deno.test("diagram: a relay stands in the middle: what it passes on at once goes through, the rest only so far", () => {
  const diagram = new Diagram();
  const t = 1_800_000_000_000_000;
  const relay = { side: "relay", transport: "udp", data: encode("hello"), note: "datagram" } as const;
  const lines = [
    ...diagram.draw(event({ t, ...relay })),
    ...diagram.draw(event({ t: t + 1000, ...relay, half: "in" })),
    ...diagram.draw(event({ t: t + 201_000, ...relay, half: "out", note: "delayed 200 ms" })),
    ...diagram.draw(event({ t: t + 202_000, ...relay, ...back, note: "lost", half: "in" })),
    ...diagram.draw(event({ t: t + 203_000, ...relay, ...back, half: "in", data: encode("世界".repeat(40)) })),
    ...diagram.draw(event({ t: t + 204_000, ...relay, ...back, data: encode("世界".repeat(40)) })),
    ...diagram.draw(event({ t: t + 205_000, ...relay, ...back, half: "out", note: "bit 7 flipped" })),
    ...diagram.draw(event({ t: t + 206_000, ...relay, data: new Uint8Array(), note: "" })),
  ];
  assertMatch(lines[0] ?? "", /^ {10}#1 client 127\.0\.0\.1:50000 +relay +server 127\.0\.0\.1:7 \(udp\)$/);
  assertMatch(lines[1] ?? "", /^ {4}0\.000 │─+ 5 bytes "hello" ─+▶│$/);
  assertMatch(lines[2] ?? "", /^ {4}1\.000 │─+ 5 bytes "hello" ─+▶│ {33}│$/);
  assertMatch(lines[3] ?? "", /^ {2}201\.000 │ {34}│─+ 5 bytes "hello" ─+▶│$/, "the times say how late it is");
  assertMatch(lines[4] ?? "", /^ {2}202\.000 │ {34}│✗─+ 5 bytes "hello" ─+│$/);
  assertMatch(lines[7] ?? "", /^ {2}205\.000 │◀─+ 5 bytes bit 7 flipped "h.*… ─+│ {33}│$/);
  assertMatch(lines[8] ?? "", /^ {2}206\.000 │─+ 0 bytes ─+▶│$/);
  for (const line of lines) assertEquals(line.replace(/[世界]/g, "xx").length, 80, line);
});

/** A capture of these events. */
async function captured(...events: Partial<Event>[]) {
  const path = await Deno.makeTempFile();
  try {
    const capture = new Capture(path);
    for (const each of events) capture.add(event(each));
    return readCapture(await Deno.readFile(path));
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("pcap: handshake, data in segments, FIN and RST, with sequence numbers that fit", async () => {
  const large = crypto.getRandomValues(new Uint8Array(65_000));
  const data = new Uint8Array([...large, ...large, 1]);
  const packets = await captured({ note: "connected" }, { data }, { ...back, data: encode("ok") }, { note: "FIN" }, {
    ...back,
    note: "RST",
  });
  assertEquals(packets.map(({ flags, from }) => `${flags} ${from === "127.0.0.1:50000" ? "→" : "←"}`), [
    ...["S →", "SA ←", "A →", "PA →", "PA →", "PA ←", "FA →", "A ←", "RA ←"],
  ]);
  const sent = packets.filter(({ from, data }) => from === "127.0.0.1:50000" && data.length > 0);
  assertEquals(new Uint8Array(sent.flatMap(({ data }) => [...data])), data);
  const at = (i: number) => packets[i]?.sequence ?? 0;
  assertEquals([(at(3) - at(0)) >>> 0, (at(4) - at(3)) >>> 0], [1, 65_495], "the SYN counts as a byte");
  assertEquals(packets[5]?.acknowledgement, (at(3) + data.length) >>> 0);
  assertEquals(packets[7]?.acknowledgement, (at(6) + 1) >>> 0, "and so does the FIN");
});

Deno.test("pcap: IPv6, UDP, names, two families, and a comment on what the relay did", async () => {
  const [six, name, mixed, ...more] = await captured(
    { transport: "udp", from: "[2001:db8::1]:1000", to: "[::1]:53", data: encode("odd"), note: "datagram" },
    { transport: "udp", from: "fetch_client", to: "localhost:80", data: encode("a"), note: "datagram: lost" },
    { transport: "udp", from: "[::1]:5", to: "127.0.0.1:6", data: encode("x"), note: "datagram" },
    { transport: "udp", side: "relay", half: "in", data: encode("x"), note: "datagram" }, // it comes again, when it goes out
    { note: "not about the network" },
  );
  assertEquals([six?.from, six?.to], [
    "20010db8000000000000000000000001:1000",
    "00000000000000000000000000000001:53",
  ]);
  assertMatch(name?.from ?? "", /^192\.0\.2\.1:\d+$/);
  assertEquals([name?.to, name?.comment], ["127.0.0.1:80", "datagram: lost"]);
  assertEquals([mixed?.to, more.length], ["00000000000000000000ffff7f000001:6", 0]);
});

Deno.test("pcap: a file that cannot be written is exit code 2, one line, and nothing is opened", async () => {
  const run = async (...args: string[]) => {
    const program = new Program(["deno", "run", "--no-prompt", ...args], { cwd: root });
    await program.end();
    assertEquals([program.status?.code, program.stdout], [2, ""], program.stderr);
    return program.stderr;
  };
  assertEquals(
    await run("-N=127.0.0.1", "tcp/echo_client.ts", "--pcap", "x y.pcapng"),
    `echo_client: no permission to write x y.pcapng: add ${shellCommand(["-W=x y.pcapng"])}: ` +
      shellCommand(["deno", "run", "-W=x y.pcapng", "-N=127.0.0.1", "tcp/echo_client.ts", "--pcap", "x y.pcapng"]) +
      "\n",
  );
  assertEquals(
    await run("-W", "dns/query.ts", "--pcap=no/such/folder/x", "a.example"),
    "query: cannot write no/such/folder/x: is there such a folder?\n",
  );
});

// `deno task campaign` takes every lesson.
for (const lesson of ["tcp:echo", "udp:tftp", "dns:lookup", "http:websocket", "smtp:send"]) leavesCleanCapture(lesson);

/** What no lesson does: DNS over TCP, and TLS. */
const variants: { server: string[]; client: string[]; decode: string; sees: RegExp }[] = [
  {
    server: ["dns/server.ts"],
    client: ["dns/query.ts", "--tcp", "--server", "127.0.0.1:{port}", "www.example.com"],
    ...{ decode: "tcp,dns", sees: /^DNS .*response.* A www\.example\.com/i },
  },
  {
    server: ["smtp/server.ts", "--cert={folder}/cert.pem", "--key={folder}/key.pem"],
    client: ["smtp/send.ts", "--to", "c@example.com", "--text", "Hi", "--tls=required", "--ca={folder}/cert.pem"],
    ...{ decode: "tcp,smtp", sees: /^SMTP C: .*RCPT TO:<c@example\.com>/ },
  },
  {
    server: ["http/file_server.ts", "--root", "http/site", "--cert={folder}/cert.pem", "--key={folder}/key.pem"],
    client: ["http/raw_client.ts", "https://127.0.0.1:{port}/about.txt", "--ca={folder}/cert.pem"],
    ...{ decode: "tcp,http", sees: /^HTTP HTTP\/1\.1 200 OK/ },
  },
  {
    server: ["http/websocket_server.ts", "--echo", "--cert={folder}/cert.pem", "--key={folder}/key.pem"],
    client: ["http/websocket_client.ts", "wss://127.0.0.1:{port}/", "Hi", "--listen=0.5", "--ca={folder}/cert.pem"],
    ...{ decode: "tcp,http", sees: /^WebSocket WebSocket Text \[FIN\]/ },
  },
];

Deno.test(
  `pcap: DNS over TCP, and both sides of TLS in plain${inWireshark}`,
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      await certificate(folder);
      await Promise.all(variants.map(async (variant, i) => {
        const port = freePort();
        const start = ([script = "", ...args]: string[], file: string) => {
          const words = args.map((word) => word.replace("{folder}", folder).replace("{port}", `${port}`));
          const [deno = "", run = "", ...rest] = command(script, port, ...words, "--pcap", file);
          const at = rest.indexOf("--port");
          if (words.includes("--server")) rest.splice(at, 2);
          return new Program([deno, run, `-W=${file}`, `-R`, ...rest.filter((flag) => !/^-R=/.test(flag))], {
            cwd: root,
          });
        };
        await using server = start(variant.server, `${folder}/server${i}`);
        await server.line(/listening on/);
        const client = start(variant.client, `${folder}/client${i}`);
        assertEquals((await client.end()).code, 0, client.stderr);
        server.signal("SIGTERM");
        const { code } = await server.end();
        if (signals) assertEquals(code, 0, server.stderr);
        for (const side of ["server", "client"]) {
          const packets = await checkCapture(`${folder}/${side}${i}`, port, `${variant.client[0]}, ${side}`, variant);
          const sent = packets.filter(({ data }) => data.length > 0);
          assert(sent.some(({ to }) => to.endsWith(`:${port}`)), `the ${side}'s file has requests`);
          assert(sent.some(({ from }) => from.endsWith(`:${port}`)), "and responses");
        }
      }));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

Deno.test("--trace=diagram: both sides draw the same exchange", async () => {
  const { program, port } = await serve("tcp/echo_server.ts", "--once", "--trace=diagram");
  await using server = program;
  const echo = client("tcp/echo_client.ts", port, "--trace=diagram", "Hello");
  await echo.end();
  await server.end();
  const arrows = (text: string) =>
    text.trimEnd().split("\n").slice(1).map((line) =>
      line.replace(/^.*?│|[─ ]+/g, " ").replace(/accepted/, "connected")
    );
  assertEquals(arrows(server.stderr).slice(0, 4), arrows(echo.stderr).slice(0, 4));
  assertStringIncludes(echo.stderr, `server 127.0.0.1:${port} (tcp)`);
});
