/** UDP: servers that get anything, also from nowhere, clients whose servers send anything. Everything random has a seed. */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { within } from "../../cli.ts";
import { encode as packet } from "../../udp/_tftp_message.ts";
import { mutate, pick, seeded } from "../support/fuzz.ts";
import { descriptors, fewDescriptors, listening, memory, runClient, testWith, until } from "../support/helpers.ts";
import { assertEndedWell, assertHarmless, eachSeed, spoiled, udpServer } from "../support/hostile.ts";
import { has, Program } from "../support/program.ts";
import { command, root } from "../support/tasks.ts";

const linux = Deno.build.os === "linux";
const bytes = (text: string) => new TextEncoder().encode(text);
const at = (port: number): Deno.NetAddr => ({ transport: "udp", hostname: "127.0.0.1", port });
const open = () => Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
const nothing = new Map<string, string>();

/** A server: how to start it, what clients send, and how a right client shows that it is served. */
interface Subject {
  readonly start: (port: number) => string[];
  readonly inputs: readonly Uint8Array[];
  readonly request: Uint8Array;
  readonly answer: RegExp;
  readonly client?: readonly string[];
}

/** The server behind the relay. */
const responder = await listening((port) => command("udp/pinger_server.ts", port, "--loss", "0"));
globalThis.addEventListener("unload", () => void responder.program.stop());

const subjects: Record<string, Subject> = {
  "udp/chat_server.ts": {
    start: (port) => command("udp/chat_server.ts", port, "--max-clients", "10000"),
    inputs: ["/name anna", "/say 1 hello", "/say 999999999 a: b", "/who", "/quit", "hi\r\n", "gr\u00fc\u202e"].map(
      bytes,
    ),
    ...{ request: bytes("/quit"), answer: /^\* bye$/ },
    client: ["udp/chat_client.ts", "--name", "zoe", "--message", "hello"],
  },
  "udp/pinger_server.ts": {
    start: (port) => command("udp/pinger_server.ts", port, "--loss", "0"),
    inputs: [bytes("Ping 1 2026-11-28T12:00:00.000Z"), bytes("\u0149\ufb03"), new Uint8Array(3000).fill(255)],
    ...{ request: bytes("hi"), answer: /^HI$/, client: ["udp/pinger_client.ts", "--count", "1"] },
  },
  "udp/tftp_server.ts": {
    start: (port) => [
      ...["deno", "run", "-N=127.0.0.1", "-R=http/site", "--unstable-net", "udp/tftp_server.ts", "http/site"],
      ...["--port", `${port}`, "--timeout", "0.2", "--max-clients", "1000"],
    ],
    inputs: [
      packet({ kind: "read", file: "about.txt", mode: "octet", options: nothing }),
      packet({
        kind: "read",
        file: "about.txt",
        mode: "netascii",
        options: new Map([["blksize", "8"], ["timeout", "9"]]),
      }),
      packet({ kind: "write", file: "x", mode: "octet", options: new Map([["tsize", "5"]]) }),
      packet({ kind: "ack", block: 1 }),
      packet({ kind: "error", code: 1, text: "\x1b[2J" }),
    ],
    request: packet({ kind: "read", file: "about.txt", mode: "octet", options: nothing }),
    answer: /\w{3}/, // a block of the file, or an error in words
    client: ["udp/tftp_client.ts", "get", "about.txt"],
  },
  "udp/relay.ts": {
    start: (port) => command("udp/relay.ts", port, "--to", `127.0.0.1:${responder.port}`, "--timeout", "1"),
    ...{ inputs: [bytes("hello"), new Uint8Array(3000)], request: bytes("hi"), answer: /^HI$/ },
    client: ["udp/pinger_client.ts", "--count", "1"],
  },
  ...linux && {
    "udp/syscall_server.ts": {
      start: (port) => command("udp/syscall_server.ts", port),
      ...{ inputs: [bytes("hello"), new Uint8Array(3000)], request: bytes("hi"), answer: /^hi$/ },
      client: ["udp/syscall_client.ts", "--count", "10"],
    },
  },
};

/** Fails unless a right client is served; a datagram may be lost in a full buffer, so it is sent again. */
async function serves(program: Program, port: number, { request, answer }: Subject): Promise<void> {
  const socket = open();
  let receiving = socket.receive();
  await until(async () => {
    await socket.send(request, at(port));
    const received = await within(0.5, receiving, () => undefined);
    if (received === undefined) return false;
    receiving = socket.receive();
    return answer.test(String.fromCharCode(...received[0].subarray(0, 100)));
  }, `an answer: ${program.status?.code} ${program.tail()}`);
  receiving.catch(() => {}); // the socket is closed
  socket.close();
}

/** What servers may say on stderr of datagrams that cannot be answered. */
const unsent = /^((to 127\.0\.0\.1:\d+|not sent): [^\n]*\n)*$/;

const python = await has("python3", "-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 17)");

for (const [name, subject] of Object.entries(subjects)) {
  testWith(linux, "/proc of Linux", `${name}: 3000 mutated datagrams leave nothing behind`, async () => {
    const { program, port } = await listening(subject.start);
    await using _ = program;
    const random = seeded(31);
    const attack = async (count: number) => {
      // Some ports, so that a server that tells clients apart by them has many, and forgets them again.
      for (let i = 0; i < count; i += 50) {
        const sockets = Array.from({ length: 5 }, open);
        for (let n = 0; n < 50; n++) {
          const datagram = mutate(pick(random, subject.inputs), random).subarray(0, 65_507);
          await sockets[n % sockets.length]?.send(datagram, at(port));
        }
        for (const socket of sockets) socket.close();
        await serves(program, port, subject); // it keeps up: little is lost in a full buffer
      }
    };
    await attack(1000); // what the runtime keeps is allocated now
    await serves(program, port, subject);
    const before = [await descriptors(program.pid), await memory(program.pid)] as const;
    await attack(2000);
    await until(async () => await descriptors(program.pid) <= before[0] + 2, "the descriptors back", 30);
    const grown = await memory(program.pid) - before[1];
    assert(grown < 60, `${grown} MiB more`);
    if (subject.client) {
      const [script = "", ...args] = subject.client;
      const right = await runClient(script, port, "--timeout", "10", ...args);
      assertEquals(right.status?.code, 0, right.tail());
    }
    assertEquals(program.status, undefined, program.tail());
    assertMatch(program.stderr, unsent);
    assertHarmless(program.stdout);
  });

  testWith(linux, "ulimit", `${name} at ulimit -n 64: 150 clients at once, and one afterwards`, async () => {
    const { program, port } = await listening((port) => {
      const [, ...rest] = subject.start(port);
      return [...fewDescriptors, ...rest];
    });
    await using _ = program;
    const sockets = Array.from({ length: 150 }, open);
    for (const socket of sockets) await socket.send(subject.request, at(port));
    const [first] = sockets;
    if (first) await within(20, first.receive(), "the first client is not served");
    for (const socket of sockets) socket.close();
    await serves(program, port, subject);
    assertEquals(program.status, undefined, program.tail());
    assertMatch(program.stderr, unsent);
  });

  testWith(python, "right to raw sockets", `${name}: datagrams from port 0 and from other addresses`, async () => {
    const { program, port } = await listening(subject.start);
    await using _ = program;
    const script = "import socket,struct,sys\nport=int(sys.argv[1])\n" +
      "s=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_UDP)\n" +
      "for word in sys.argv[2:]:\n for source in [0,0,port]:\n  data=bytes.fromhex(word)\n" +
      "  s.sendto(struct.pack('!HHHH',source,port,8+len(data),0)+data,('127.0.0.1',0))\n";
    const inputs = subject.inputs.filter(({ length }) => length < 1000).map((input) => input.toHex());
    assert(await has("python3", "-c", script, `${port}`, ...inputs));
    await serves(program, port, subject);
    assertEquals(program.status, undefined, program.tail());
    assertMatch(program.stderr, unsent);
    // The server does not answer itself for ever.
    const printed = program.stdout.length;
    await serves(program, port, subject);
    assert(program.stdout.length - printed < 2000, program.tail());
  });
}

// --- The clients at hostile servers ---

const data = (block: number, length: number) => packet({ kind: "data", block, data: new Uint8Array(length) });
const clients: [title: string, script: string, args: string[], answers: (got: Uint8Array) => Uint8Array[]][] = [
  [
    "chat_client",
    "udp/chat_client.ts",
    ["--name", "anna", "--message", "hello"],
    () => ["* you are anna", "#1 anna: hello", "* bye", "* here: anna, bob and 7 more", "bob: hi"].map(bytes),
  ],
  ["pinger_client", "udp/pinger_client.ts", ["--count", "3"], (got) => [got, bytes("PING 1")]],
  ["tftp_client get", "udp/tftp_client.ts", ["get", "x"], () => [
    packet({ kind: "options", options: new Map([["blksize", "512"]]) }),
    ...[data(1, 512), data(2, 512), data(3, 100), packet({ kind: "error", code: 1, text: "\x1b[31mno\u202e\nfile" })],
  ]],
  ["tftp_client put", "udp/tftp_client.ts", ["put", "http/site/protocols.json"], (got) => [
    packet({ kind: "ack", block: (got[2] ?? 0) * 256 + (got[3] ?? 0) }),
    ...[packet({ kind: "ack", block: 0 }), packet({ kind: "ack", block: 1 }), data(1, 9)],
  ]],
  ...linux
    ? [
      ["syscall_client", "udp/syscall_client.ts", ["--count", "20", "--batch", "5"], (got) => [got]] satisfies [
        string,
        string,
        string[],
        (got: Uint8Array) => Uint8Array[],
      ],
    ]
    : [],
];
for (const [title, script, args, answers] of clients) {
  Deno.test(`${title} at 100 hostile servers: in time, exit code 0 or 1, one line at most`, async () => {
    await eachSeed(100, async (random, seed) => {
      using server = udpServer((got) => spoiled(answers(got.slice()), random).map((each) => each.subarray(0, 65_507)));
      const [deno = "", run = "", ...words] = command(script, server.port, "--timeout", "0.2", ...args);
      const program = new Program([deno, run, "-R=http/site", ...words], { cwd: root });
      await program.end(30);
      assertEndedWell(program, `seed ${seed}`, args[0] === "get");
    });
  });
}
