/** Ping: the output of each system's program, ICMP messages as bytes, the real programs, and a network that loses packets. */
import { assert, assertEquals, assertMatch } from "jsr:@std/assert@1";
import { checksum, decodeMessage, encodeEchoRequest, stripIpv4Header } from "../ping/_icmp.ts";
import { elapsed } from "../ping/_icmp_socket.ts";
import { createLineParser } from "../ping/_ping_output.ts";
import { parseControl } from "../ping/_recvmsg.ts";
import { plot, statistics, summary } from "../ping/_statistics.ts";
import { descriptors, failedWith, memory, testWith, until } from "./support/helpers.ts";
import { has, output, Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";
import "./parts/ping.ts";

/** The parsed lines of an output: one letter for each kind, and the times. */
function read(output: string, windows = false): { kinds: string; times: number[]; sequences: (number | undefined)[] } {
  const next = createLineParser(windows);
  const said = output.split("\n").map((line) => next(line)).filter(({ kind }) => kind !== "other");
  return {
    kinds: said.map((line) => line.kind === "reply" ? (line.duplicate ? "d" : "r") : line.kind[0]).join(""),
    times: said.flatMap((line) => line.kind === "reply" ? [line.time] : []),
    sequences: said.map((line) => "sequence" in line ? line.sequence : undefined),
  };
}

Deno.test("output: iputils", () => {
  const { kinds, times, sequences } = read(`PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.
64 bytes from 192.0.2.1: icmp_seq=1 ttl=57 time=10.3 ms
no answer yet for icmp_seq=2
64 bytes from 192.0.2.1: icmp_seq=3 ttl=57 time=1041 ms
64 bytes from 192.0.2.1: icmp_seq=3 ttl=57 time=1042 ms (DUP!)
From 198.51.100.9 icmp_seq=4 Destination Host Unreachable
From 198.51.100.1 icmp_seq=5 Time to live exceeded

--- 192.0.2.1 ping statistics ---
5 packets transmitted, 2 received, +1 duplicates, 60% packet loss, time 4005ms
rtt min/avg/max/mdev = 10.300/525.650/1041.000/515.350 ms, pipe 2`);
  assertEquals(kinds, "rlrdee");
  assertEquals(times, [10.3, 1041, 1042]);
  assertEquals(sequences, [1, 2, 3, 3, 4, 5]);
});

Deno.test("output: iputils in German, with a decimal comma, and IPv6", () => {
  assertEquals(read("64 Bytes von 127.0.0.1: icmp_seq=1 ttl=64 Zeit=0,034 ms").times, [0.034]);
  assertEquals(read("64 octets de ::1: icmp_seq=2 ttl=64 temps=0.05 ms").times, [0.05]);
  const line = createLineParser(false)("64 bytes from 2001:db8::1: icmp_seq=7 ttl=55 time=8.12 ms");
  assertEquals(line, { kind: "reply", from: "2001:db8::1", time: 8.12, ttl: 55, sequence: 7, duplicate: false });
});

Deno.test("output: busybox and macOS", () => {
  assertEquals(
    read(`PING 127.0.0.1 (127.0.0.1): 56 data bytes
64 bytes from 127.0.0.1: seq=0 ttl=64 time=0.053 ms
64 bytes from 127.0.0.1: seq=1 ttl=64 time=0.104 ms

--- 127.0.0.1 ping statistics ---
2 packets transmitted, 2 packets received, 0% packet loss
round-trip min/avg/max = 0.053/0.078/0.104 ms`),
    { kinds: "rr", times: [0.053, 0.104], sequences: [0, 1] },
  );
  assertEquals(
    read(`PING 192.0.2.1 (192.0.2.1): 56 data bytes
Request timeout for icmp_seq 0
64 bytes from 192.0.2.1: icmp_seq=1 ttl=57 time=12.345 ms

--- 192.0.2.1 ping statistics ---
2 packets transmitted, 1 packets received, 50.0% packet loss
round-trip min/avg/max/stddev = 12.345/12.345/12.345/0.000 ms`),
    { kinds: "lr", times: [12.345], sequences: [0, 1] },
  );
  assertEquals(read("16 bytes from ::1, icmp_seq=0 hlim=64 time=0.070 ms").times, [0.07]);
});

Deno.test("output: Windows, in several languages", () => {
  const of = (...lines: string[]) => read(["", ...lines, "", "x: 127.0.0.1:", "a = 4, b = 3"].join("\r\n"), true);
  const wanted = { kinds: "rlre", times: [1, 14], sequences: [undefined, undefined, undefined, undefined] };
  const strip = ({ kinds, times }: { kinds: string; times: number[] }) => ({ kinds, times });
  for (
    const lines of [
      [
        "Pinging 192.0.2.1 with 32 bytes of data:",
        "Reply from 192.0.2.1: bytes=32 time<1ms TTL=128",
        "Request timed out.",
        "Reply from 192.0.2.1: bytes=32 time=14ms TTL=57",
        "Reply from 198.51.100.1: Destination host unreachable.",
      ],
      [
        "Ping wird ausgeführt für 192.0.2.1 mit 32 Bytes Daten:",
        "Antwort von 192.0.2.1: Bytes=32 Zeit<1ms TTL=128",
        "Zeitüberschreitung der Anforderung.",
        "Antwort von 192.0.2.1: Bytes=32 Zeit=14ms TTL=57",
        "Antwort von 198.51.100.1: Zielhost nicht erreichbar.",
      ],
      [
        "Envoi d’une requête 'Ping'  192.0.2.1 avec 32 octets de données :",
        "Réponse de 192.0.2.1 : octets=32 temps<1ms TTL=128",
        "Délai d’attente de la demande dépassé.",
        "Réponse de 192.0.2.1 : octets=32 temps=14 ms TTL=57",
        "Réponse de 198.51.100.1 : Impossible de joindre l’hôte de destination.",
      ],
      [
        "192.0.2.1 に ping を送信しています 32 バイトのデータ:",
        "192.0.2.1 からの応答: バイト数 =32 時間 <1ms TTL=128",
        "要求がタイムアウトしました。",
        "192.0.2.1 からの応答: バイト数 =32 時間 =14ms TTL=57",
        "198.51.100.1 からの応答: 宛先ホストに到達できません。",
      ],
      [
        "Обмен пакетами с 192.0.2.1 по с 32 байтами данных:",
        "Ответ от 192.0.2.1: число байт=32 время<1мс TTL=128",
        "Превышен интервал ожидания для запроса.",
        "Ответ от 192.0.2.1: число байт=32 время=14мс TTL=57",
        "Ответ от 198.51.100.1: Заданный узел недоступен.",
      ],
    ]
  ) assertEquals(strip(of(...lines)), strip(wanted), lines[0]);
  assertEquals(strip(of("Pinging ::1 with 32 bytes of data:", "Reply from ::1: time<1ms ")), {
    kinds: "r",
    times: [1],
  });
});

Deno.test("statistics: figures and plot", () => {
  const figures = statistics([1, undefined, 3]);
  assertEquals([figures.sent, figures.received, figures.min, figures.avg, figures.max, figures.mdev], [
    3,
    2,
    1,
    2,
    3,
    1,
  ]);
  assertEquals(
    summary(figures),
    "3 sent, 2 received, 33.3 % lost\nround trip min/avg/max/mdev 1.000/2.000/3.000/1.000 ms",
  );
  assertEquals(summary(statistics([undefined])), "1 sent, 0 received, 100 % lost");
  assertEquals(statistics([]).loss, 0);
  assertEquals(plot([1, undefined, 8]), "▂×█");
  assertEquals(plot([undefined, undefined]), "××");
  assertEquals(plot(Array(130).fill(1)).split("\n").map((row) => row.length), [60, 60, 10]);
});

Deno.test("checksum: the example of RFC 1071 §3, odd lengths, and a message with its own", () => {
  const data = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assertEquals(checksum(data), ~0xddf2 & 0xffff);
  assertEquals(checksum(Uint8Array.of(1)), ~0x0100 & 0xffff);
  assertEquals(checksum(new Uint8Array(0)), 0xffff);
  assertEquals(checksum(encodeEchoRequest(4, { identifier: 77, sequence: 3, payload: Uint8Array.of(1, 2, 3) })), 0);
});

Deno.test("icmp: an echo request, byte by byte", () => {
  const echo = { identifier: 0x1234, sequence: 0x0102, payload: Uint8Array.of(0xaa, 0xbb) };
  assertEquals([...encodeEchoRequest(4, echo)], [8, 0, 0x3a, 0x0e, 0x12, 0x34, 1, 2, 0xaa, 0xbb]);
  assertEquals([...encodeEchoRequest(6, echo)], [128, 0, 0, 0, 0x12, 0x34, 1, 2, 0xaa, 0xbb]);
});

/** An IPv4 packet with ICMP in it, and as many words of options. */
function packet(message: Uint8Array, options = 0): Uint8Array {
  const bytes = new Uint8Array(20 + options * 4 + message.length);
  bytes.set([0x40 | (5 + options), 0, 0, bytes.length, 0, 0, 0, 0, 61, 1]);
  bytes.set(message, 20 + options * 4);
  return bytes;
}

Deno.test("icmp: replies, errors, IP options, and other messages", () => {
  const echo = { identifier: 7, sequence: 9, payload: Uint8Array.of(1, 2, 3, 4) };
  const request = encodeEchoRequest(4, echo);
  const reply = Uint8Array.from(request);
  reply[0] = 0;
  reply.set([0, 0], 2);
  const sum = checksum(reply);
  reply.set([sum >> 8, sum & 255], 2);
  assertEquals(decodeMessage(4, reply), { kind: "reply", echo });
  for (const options of [0, 1, 10]) {
    const read = stripIpv4Header(packet(reply, options));
    assertEquals([read?.ttl, read && decodeMessage(4, read.message)], [61, { kind: "reply", echo }]);
  }
  const damaged = Uint8Array.from(reply);
  damaged[10] = 99;
  assertEquals(decodeMessage(4, damaged), { kind: "other" });
  assertEquals(decodeMessage(4, request), { kind: "other" }); // on loopback a raw socket receives its own requests

  const error = (type: number, code: number, quoted: Uint8Array) => {
    const bytes = new Uint8Array(8 + quoted.length);
    bytes.set([type, code]);
    bytes.set(quoted, 8);
    const sum = checksum(bytes);
    bytes.set([sum >> 8, sum & 255], 2);
    return bytes;
  };
  const about = (type: number, code: number) => {
    const read = decodeMessage(4, error(type, code, packet(request, 2)));
    return read.kind === "error" ? [read.text, read.timeExceeded, read.echo.identifier, read.echo.sequence] : read.kind;
  };
  assertEquals(about(11, 0), ["time to live exceeded", true, 7, 9]);
  assertEquals(about(3, 1), ["destination unreachable: host", false, 7, 9]);
  assertEquals(about(3, 13), ["destination unreachable: code 13", false, 7, 9]);
  // RFC 792 lets an error quote no more than the header and 8 bytes: no payload, but identifier and sequence.
  assertEquals(decodeMessage(4, error(11, 0, packet(request).subarray(0, 28))).kind, "error");
  assertEquals(decodeMessage(4, error(11, 0, packet(request).subarray(0, 27))).kind, "other");
  assertEquals(decodeMessage(4, error(11, 0, new Uint8Array(0))).kind, "other");

  // Any bytes can be decoded without an error.
  let seed = 7;
  for (let i = 0; i < 3000; i++) {
    const bytes = Uint8Array.from({ length: i % 70 }, () => (seed = seed * 48271 % 0x7fffffff) & 0xff);
    for (const version of [4, 6] as const) decodeMessage(version, bytes);
    stripIpv4Header(bytes);
  }
});

/** Control messages as 64-bit Linux writes them: length, level and type, data, and padding to a multiple of 8 bytes. */
function controlBytes(...messages: [level: number, type: number, ...data: bigint[]][]): Uint8Array {
  return Uint8Array.from(messages.flatMap(([level, type, ...data]) => {
    const view = new DataView(new ArrayBuffer(16 + 8 * data.length));
    view.setBigUint64(0, BigInt(view.byteLength), true);
    view.setInt32(8, level, true);
    view.setInt32(12, type, true);
    data.forEach((word, i) => view.setBigInt64(16 + 8 * i, word, true));
    return [...new Uint8Array(view.buffer)];
  }));
}

Deno.test("recvmsg: control messages byte by byte, truncated, and with impossible lengths", () => {
  const stamp: [number, number, ...bigint[]] = [1, 35, 1_700_000_000n, 999_999_999n];
  assertEquals(parseControl(controlBytes(stamp)), { arrived: 1_700_000_000_999_999_999n });
  assertEquals(parseControl(controlBytes([0, 2, 61n], stamp)), { ttl: 61, arrived: 1_700_000_000_999_999_999n });
  assertEquals(parseControl(controlBytes(stamp, [41, 52, 255n])), { ttl: 255, arrived: 1_700_000_000_999_999_999n });
  assertEquals(parseControl(controlBytes([0, 52, 7n], [41, 2, 7n], [1, 2, 7n], [2, 35, 1n, 2n])), {});

  const odd = controlBytes([0, 2, 61n], stamp);
  odd[0] = 20; // as the kernel writes it: the padding does not count
  assertEquals(parseControl(odd).ttl, 61);
  assertEquals(parseControl(odd).arrived, 1_700_000_000_999_999_999n);
  assertEquals(parseControl(odd.subarray(0, 55)), { ttl: 61 });
  assertEquals(parseControl(odd.subarray(0, 15)), {});
  for (const length of [0, 8, 15, 57, 255]) {
    const wrong = controlBytes([0, 2, 61n], stamp);
    wrong[0] = length;
    assertEquals(parseControl(wrong), {}, `${length}`);
  }
  assertEquals(parseControl(controlBytes([1, 35, 5n])), {}); // too short for a time

  let seed = 11;
  for (let i = 0; i < 3000; i++) {
    parseControl(Uint8Array.from({ length: i % 90 }, () => (seed = seed * 48271 % 0x7fffffff) % 5 ? 0 : seed & 0x3f));
  }
});

Deno.test("times: by the kernel's clock, and by the other one when someone has set it or it is missing", () => {
  const sent = { kernel: 1_700_000_000_000_000_000n, steady: 10 };
  const at = (ns: bigint, steady: number) => ({ kernel: sent.kernel + ns, steady });
  assertEquals(elapsed(sent, at(40_000n, 10.5)), 0.04);
  assertEquals(elapsed(sent, at(0n, 10.5)), 0);
  assertEquals(elapsed(sent, at(500_000n, 10.5)), 0.5);
  assertEquals(elapsed(sent, at(-3_600_000_000_000n, 10.5)), 0.5); // set back by an hour
  assertEquals(elapsed(sent, at(3_600_000_000_000n, 10.5)), 0.5);
  assertEquals(elapsed(sent, { steady: 12 }), 2);
  assertEquals(elapsed({ steady: 10 }, at(40_000n, 10.5)), 0.5);
});

async function ping(
  script: "ping" | "icmp_ping" | "traceroute",
  args: string[],
  prefix: string[] = [],
  env = {},
): Promise<Program> {
  const flags = script === "ping" ? ["--allow-run=ping"] : ["-N=127.0.0.1", "--allow-ffi"];
  const command = [...prefix, Deno.execPath(), "run", "--no-prompt", ...flags, `ping/${script}.ts`, ...args];
  const program = new Program(command, { cwd: root, env });
  await program.end();
  return program;
}

const systemPing = (await has("ping", "-c", "1", "127.0.0.1")) && Deno.build.os === "linux";
const probe = await ping("icmp_ping", ["--count", "1"]);
const socket = probe.status?.code === 0;
const ipv6 = (await ping("icmp_ping", ["--count", "1", "--ipv6"])).status?.code === 0;
const drop = await has("setpriv", "--bounding-set=-net_raw", "true");

for (
  const [script, present, what] of [["ping", systemPing, "ping"], [
    "icmp_ping",
    socket,
    "right to open ICMP sockets",
  ]] as const
) {
  testWith(present, what, `${script}: 127.0.0.1 replies, and --json prints the same`, async () => {
    const program = await ping(script, ["--count", "3", "--interval", "0.2"]);
    assertEquals(program.status?.code, 0, program.stderr);
    assertEquals(program.stdout.match(/^64 bytes from 127\.0\.0\.1: .*ttl[ =]64 time[ =][\d.]+ ms$/gm)?.length, 3);
    assertMatch(
      program.stdout,
      /\n127\.0\.0\.1: 3 sent, 3 received, 0 % lost\nround trip min\/avg\/max\/mdev .* ms\n[▁▂▃▄▅▆▇█]{3}\n$/,
    );
    const json = JSON.parse((await ping(script, ["--count", "2", "--interval", "0.2", "--json"])).stdout);
    assertEquals([json.host, json.sent, json.received, json.loss, json.times.length], ["127.0.0.1", 2, 2, 0, 2]);
  });

  testWith(present && ipv6, `${what}, or IPv6`, `${script} --ipv6: ::1 replies`, async () => {
    const program = await ping(script, ["--count", "1", "--ipv6"]);
    assertEquals(program.status?.code, 0, program.stderr);
    assertMatch(program.stdout, /64 bytes from ::1: /);
  });

  testWith(present, what, `${script}: an unknown name is one line and exit code 1`, async () => {
    const program = script === "ping"
      ? await ping(script, ["no.such.invalid"])
      : new Program(["deno", "run", "-N", "--allow-ffi", "ping/icmp_ping.ts", "no.such.invalid"], { cwd: root });
    await program.end();
    failedWith(program, 1, /^(icmp_)?ping: .*(no\.such\.invalid|not known)/);
  });
}

testWith(
  systemPing && drop,
  "ping, or no setpriv",
  "ping: without the privilege to send ICMP it exits with 3",
  async () => {
    const program = await ping("ping", ["--count", "1"], ["setpriv", "--bounding-set=-net_raw"]);
    // On a system that lets every user ping, or whose ping needs another privilege, nothing is missing.
    if (program.status?.code !== 0) failedWith(program, 3, /^ping: .*(may not run|not permitted|denied)/i);
  },
);

testWith(
  systemPing,
  "ping",
  "ping: without the right to run ping it exits with 2 and says the whole command",
  async () => {
    const program = new Program(["deno", "run", "--no-prompt", "ping/ping.ts", "--count", "1"], { cwd: root });
    await program.end();
    failedWith(
      program,
      2,
      /^ping: no permission to run ping: add --allow-run=ping: deno run --allow-run=ping ping\/ping\.ts --count 1$/m,
    );
  },
);

Deno.test("ping: without a ping program it exits with 3 and says how to install one", async () => {
  const program = await ping("ping", [], [], { PATH: "/nowhere" });
  assertMatch(program.stderr, /ping: no ping program here; on Debian: apt-get install iputils-ping$/m);
  assertEquals(program.status?.code, 3);
});

testWith(Deno.build.os === "linux", "Linux", "ping: a fake ping that loses, answers late and twice", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(
    `${folder}/ping`,
    `#!/bin/sh
[ "$1" = -V ] && { echo "ping from iputils 20221126"; exit 0; }
echo "$@" > '${folder}/arguments'
echo 'PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.'
echo 'no answer yet for icmp_seq=1'
echo '64 bytes from 192.0.2.1: icmp_seq=2 ttl=57 time=2.5 ms'
echo '64 bytes from 192.0.2.1: icmp_seq=2 ttl=57 time=2.6 ms (DUP!)'
printf '64 bytes from 192.0.2.1: icmp_seq=4 ttl=57 time=7.5 ms \\033[2J\\n'
`,
    { mode: 0o755 },
  );
  const program = await ping("ping", ["--count", "5", "--size", "100", "--timeout", "0.5", "192.0.2.1"], [], {
    PATH: `${folder}:/usr/bin:/bin`,
  });
  const said = await Deno.readTextFile(`${folder}/arguments`);
  await Deno.remove(folder, { recursive: true });
  assertEquals(said, "-4 -c 5 -s 100 -n -O -i 1 -W 0.5 -- 192.0.2.1\n");
  assertMatch(program.stdout, /time=7\.5 ms \\x1b\[2J$/m);
  assertMatch(
    program.stdout,
    /5 sent, 2 received, 60 % lost\nround trip min\/avg\/max\/mdev 2\.500\/5\.000\/7\.500\/2\.500 ms\n×▃×█×\n$/,
  );
  assertEquals(program.status?.code, 0);
});

testWith(
  await has("sh", "-c", "true"),
  "sh",
  "ping on macOS: its options, and what it prints about requests that are lost, late and answered twice",
  async () => {
    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(`${folder}/mac.js`, 'Deno.build = { ...Deno.build, os: "darwin" };');
    await Deno.writeTextFile(
      `${folder}/ping`,
      `#!/bin/sh
echo "$@" > '${folder}/arguments'
cat <<end
PING 192.0.2.1 (192.0.2.1): 100 data bytes
Request timeout for icmp_seq 0
108 bytes from 192.0.2.1: icmp_seq=0 ttl=57 time=1001.250 ms
108 bytes from 192.0.2.1: icmp_seq=1 ttl=57 time=2.500 ms
108 bytes from 192.0.2.1: icmp_seq=1 ttl=57 time=2.600 ms (DUP!)
ping: sendto: No route to host
Request timeout for icmp_seq 2

--- 192.0.2.1 ping statistics ---
4 packets transmitted, 2 packets received, +1 duplicates, 50.0% packet loss
round-trip min/avg/max/stddev = 2.500/335.450/1001.250/470.798 ms
end
`,
      { mode: 0o755 },
    );
    const args = ["ping/ping.ts", "--count", "4", "--size", "100", "--timeout", "0.5", "192.0.2.1"];
    const flags = ["--no-prompt", `--preload=${folder}/mac.js`, "--allow-run=ping"];
    const program = new Program(["deno", "run", ...flags, ...args], {
      ...{ cwd: root, env: { PATH: `${folder}:/usr/bin:/bin` } },
    });
    await program.end();
    const said = await Deno.readTextFile(`${folder}/arguments`);
    await Deno.remove(folder, { recursive: true });
    assertEquals(said, "-c 4 -s 100 -n -i 1 -W 500 -- 192.0.2.1\n");
    assertMatch(
      program.stdout,
      /4 sent, 2 received, 50 % lost\nround trip min\/avg\/max\/mdev 2\.500\/501\.875\/1001\.250\/499\.375 ms\n█▁××\n$/,
    );
    assertEquals(program.status?.code, 0);
  },
);

testWith(
  socket && drop,
  "setpriv, or right to open ICMP sockets",
  "icmp_ping: without the privilege it exits with 3 and names what is missing",
  async () => {
    const program = await ping("icmp_ping", [], ["setpriv", "--bounding-set=-net_raw"]);
    failedWith(
      program,
      3,
      /^icmp_ping: this user may not open an ICMP socket; as root: sysctl -w net\.ipv4\.ping_group_range=/,
    );
    failedWith(
      await ping("icmp_ping", ["localhost"]),
      2,
      /^icmp_ping: no permission to look up localhost: add -N=localhost: deno run -N=127\.0\.0\.1,localhost --allow-ffi ping\/icmp_ping\.ts localhost$/m,
    );
  },
);

/** Runs a script after a module that changes what Deno tells it. */
async function changed(module: string, flags: string[], ...script: string[]): Promise<Program> {
  const file = await Deno.makeTempFile({ suffix: ".js" });
  await Deno.writeTextFile(file, module);
  const program = new Program(["deno", "run", "--no-prompt", `--preload=${file}`, ...flags, ...script], {
    cwd: root,
  });
  await program.end();
  await Deno.remove(file);
  return program;
}

/** A module that gives the scripts a C library with some functions replaced: `change` is the text of an object of them. */
const withLibrary = (change: string) => `
const open = Deno.dlopen;
Deno.dlopen = (name, symbols) => {
  const library = open("libc.so.6", symbols);
  const c = { ...library.symbols };
  const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250);
  return { symbols: { ...c, ...${change} }, close: () => library.close() };
};`;
const late = "recvmsg: (...args) => { pause(); return c.recvmsg(...args) }," +
  "recvfrom: (...args) => { pause(); return c.recvfrom(...args) }";
const noStamps =
  "setsockopt: (fd, level, option, ...rest) => option === 35 ? -1 : c.setsockopt(fd, level, option, ...rest)";
/** Right before a request, another echo request goes to this machine over the same socket, and its reply comes back. */
const stray = "setsockopt: (...args) => { c.fd = args[0]; return c.setsockopt(...args) }," +
  "clock_gettime: (...args) => { if (c.fd) c.sendto(c.fd, Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0), 8n, 0, " +
  "new Uint8Array([2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), 16); return c.clock_gettime(...args) }";
const granted = ["-N=127.0.0.1", "--allow-ffi"];
const stamps = socket && Deno.build.os === "linux" && ["x86_64", "aarch64"].includes(Deno.build.arch);

testWith(
  stamps,
  "right to open ICMP sockets (Linux)",
  "icmp_ping: the kernel's timestamp counts, however late the script reads the reply",
  async () => {
    const args = ["ping/icmp_ping.ts", "--count", "1", "--timeout", "0.2"];
    const stamped = await changed(withLibrary(`{ ${late} }`), granted, ...args);
    assertMatch(stamped.stdout, /\n127\.0\.0\.1: 1 sent, 1 received, 0 % lost\n/);
    assertEquals(stamped.status?.code, 0, stamped.stderr);
    // Packets of another program that arrived before the request do not end the time of its reply.
    const busy = await changed(withLibrary(`{ ${late}, ${stray} }`), granted, ...args);
    assertMatch(busy.stdout, /1 sent, 1 received, 0 % lost/);
    // Without it, the reading counts, and is too late: the two are told apart.
    const plain = await changed(withLibrary(`{ ${late}, ${noStamps} }`), granted, ...args);
    assertMatch(plain.stdout, /1 sent, 0 received, 100 % lost/);
    assertEquals(plain.status?.code, 1);
  },
);

testWith(
  socket && Deno.build.os === "linux",
  "right to open ICMP sockets (Linux)",
  "icmp_ping: without the kernel's timestamps it receives with recvfrom",
  async () => {
    const refused = `{ ${noStamps}, recvmsg: () => { throw new Error("not here") } }`;
    const program = await changed(
      withLibrary(refused),
      granted,
      "ping/icmp_ping.ts",
      "--count",
      "3",
      "--interval",
      "0.05",
    );
    assertEquals(program.stdout.match(/^64 bytes from 127\.0\.0\.1: sequence \d .*time [\d.]+ ms$/gm)?.length, 3);
    assertEquals(program.status?.code, 0, program.stderr);
  },
);

/**
 * A module that plays the ICMP sockets of macOS: a datagram socket gets what a raw one would get, with its IPv4 header, and in
 * an error the length of the quoted packet has its bytes swapped. Behind one router is the host.
 */
const macSockets = `
Deno.build = { ...Deno.build, os: "darwin", arch: "aarch64" };
const withSum = (message) => {
  let sum = 0;
  for (let i = 0; i < message.length; i += 2) sum += (message[i] << 8) + (message[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return message.with(2, (~sum >> 8) & 255).with(3, ~sum & 255);
};
const packet = (ttl, from, message) =>
  Uint8Array.of(0x45, 0, 0, 20 + message.length, 0, 0, 0, 0, ttl, 1, 0, 0, ...from, 127, 0, 0, 1, ...message);
const waiting = [];
let ttl = 64;
const symbols = {
  socket: (family, type, protocol) => family === 2 && type === 2 && protocol < 2 ? 7 : -1,
  setsockopt: (fd, level, option, value) => (level === 0 && option === 4 ? (ttl = value[0], 0) : -1),
  clock_gettime: () => 0,
  sendto: (fd, message, length, flags, to, size) => {
    if (fd !== 7) return -1n;
    const [sockaddrSize, sockaddrFamily] = to;
    if (sockaddrSize !== 16 || sockaddrFamily !== 2 || size !== 16) throw new Error("no sockaddr_in of macOS");
    const host = to.slice(4, 8);
    if (ttl > 1) waiting.push([host, packet(63, host, withSum(message.with(0, 0).with(2, 0).with(3, 0)))]);
    else {
      const error = withSum(Uint8Array.of(11, 0, 0, 0, 0, 0, 0, 0, ...packet(1, [127, 0, 0, 1], message)));
      const router = [192, 0, 2, 1];
      waiting.push([router, packet(64, router, error.with(10, error[11]).with(11, error[10]))]);
    }
    return length;
  },
  recvfrom: (fd, buffer, length, flags, sender) => {
    const [from, bytes] = waiting.shift() ?? [];
    if (flags !== 0x80 || !bytes) return -1n;
    sender.set([16, 2, 0, 0, ...from]);
    buffer.set(bytes);
    return BigInt(bytes.length);
  },
  poll: () => new Promise((done) => setTimeout(done, 1, 0)),
  close: () => 0,
  connect: () => 0,
  getsockname: () => 0,
};
Deno.dlopen = () => ({ symbols, close() {} });`;

testWith(
  Deno.build.os !== "windows",
  "way to stand in for macOS",
  "traceroute and icmp_ping on macOS: a datagram socket gets the errors of routers, too, and nobody needs root",
  async () => {
    const route = await changed(macSockets, granted, "ping/traceroute.ts", "--count", "2", "127.0.0.9");
    assertEquals([route.status?.code, route.stderr], [0, ""]);
    const [, first, second] = route.stdout.split("\n");
    assertMatch(first ?? "", /^ {2}1 {2}192\.0\.2\.1 {2}[\d.]+ ms {2}[\d.]+ ms$/);
    assertMatch(second ?? "", /^ {2}2 {2}127\.0\.0\.9 {2}[\d.]+ ms {2}[\d.]+ ms$/);

    const near = await changed(macSockets, granted, "ping/icmp_ping.ts", "--count", "1", "--trace=json", "127.0.0.9");
    assertEquals(near.status?.code, 0, near.stderr);
    assertMatch(near.stdout, /datagram socket\n64 bytes from 127\.0\.0\.9: sequence 1 ttl 63 time [\d.]+ ms\n/);
    const [request, reply] = near.stderr.trim().split("\n").map((line) => Uint8Array.fromBase64(JSON.parse(line).data));
    assertEquals(request?.slice(4), reply?.slice(4), "the identifier of the request is that of the program");

    const far = await changed(macSockets, granted, "ping/icmp_ping.ts", "--count", "1", "--ttl", "1", "127.0.0.9");
    assertMatch(far.stdout, /^sequence 1: time to live exceeded, says 192\.0\.2\.1$/m);
  },
);

testWith(
  Deno.build.os !== "windows",
  "way to stand in for macOS",
  "icmp_ping and ping on macOS: the library by its full path, ping6 with the whole command",
  async () => {
    const mac = `Deno.build = { ...Deno.build, os: "darwin", arch: "aarch64" };
Deno.dlopen = (name) => { throw new Error("asked for " + name) };`;
    const library = await changed(mac, granted, "ping/icmp_ping.ts");
    failedWith(library, 3, /^icmp_ping: the C library cannot be opened: asked for \/usr\/lib\/libSystem\.B\.dylib$/m);
    const six = await changed(mac, ["--allow-run=ping"], "ping/ping.ts", "--ipv6", "--count", "1");
    failedWith(
      six,
      2,
      /^ping: no permission to run ping6: add --allow-run=ping6: deno run --allow-run=ping,ping6 ping\/ping\.ts --ipv6 --count 1$/m,
    );
  },
);

testWith(Deno.build.os !== "windows", "libc", "icmp_ping: without --allow-ffi it says the whole command", async () => {
  const flags = [["-N=127.0.0.1"], ["-N=127.0.0.1", "--allow-ffi=libc.so.6"]];
  for (const permissions of flags) {
    const program = new Program(["deno", "run", "--no-prompt", ...permissions, "ping/icmp_ping.ts", "--count", "1"], {
      cwd: root,
    });
    await program.end();
    failedWith(
      program,
      2,
      /^icmp_ping: no permission to call the C library: add --allow-ffi: deno run .*--allow-ffi ping\/icmp_ping\.ts --count 1$/m,
    );
  }
});

testWith(
  socket && await has("tmux", "-V"),
  "tmux, or right to open ICMP sockets",
  "icmp_ping: the answer y to the prompt for --allow-ffi is enough",
  async () => {
    const folder = await Deno.makeTempDir();
    const on = (...args: string[]) => output("tmux", "-S", `${folder}/tmux`, ...args);
    const screen = () => on("capture-pane", "-p", "-J", "-t", "ping");
    const line = `'${Deno.execPath()}' run -N=127.0.0.1 ping/icmp_ping.ts --count 1; sleep 60`;
    await on(
      ...["-f", "/dev/null", "new-session", "-d", "-s", "ping", "-x", "150", "-y", "40"],
      `cd '${root}' && ${line}`,
    );
    try {
      await until(async () => (await screen()).includes("Allow?"), "the prompt");
      const replied = async () => (await screen()).includes("1 sent, 1 received");
      // Deno drops what is typed while it prints the prompt: type again, but not so often that this drops it, too.
      await until(async () => {
        await on("send-keys", "-t", "ping", "y", "Enter");
        return await until(replied, "", 1).then(() => true, () => false);
      }, "the reply");
    } finally {
      await on("kill-server");
      await Deno.remove(folder, { recursive: true });
    }
  },
);

testWith(
  socket && probe.stdout.includes("raw"),
  "right to open raw sockets",
  "traceroute: this machine is one hop away",
  async () => {
    const way = await ping("traceroute", []);
    assertMatch(way.stdout, /^to 127\.0\.0\.1, 30 hops at most\n {2}1 {2}127\.0\.0\.1 {2}([\d.]+ ms ? ?){3}\n$/);
    assertEquals(way.status?.code, 0, way.stderr);
  },
);

testWith(
  socket,
  "right to open ICMP sockets",
  "icmp_ping: two at the same time count only their own replies",
  async () => {
    const both = await Promise.all([1, 2].map(() => ping("icmp_ping", ["--count", "10", "--interval", "0.02"])));
    for (const program of both) {
      assertMatch(program.stdout, /10 sent, 10 received/);
      assert(!program.stdout.includes("duplicate"));
    }
  },
);

testWith(
  socket && Deno.build.os === "linux",
  "right to open ICMP sockets (Linux)",
  "icmp_ping: 500 requests leak neither descriptors nor memory",
  async () => {
    const program = new Program(
      ["deno", "run", "-N=127.0.0.1", "--allow-ffi", "ping/icmp_ping.ts", "--count", "10000", "--interval", "0.001"],
      { cwd: root },
    );
    await program.line(/sequence 500 /);
    const [size, open] = [await memory(program.pid), await descriptors(program.pid)];
    await program.line(/sequence 1400 /);
    const grown = await memory(program.pid) - size;
    assertEquals(await descriptors(program.pid), open);
    assert(grown < 60, `${grown} MiB more after 900 requests`);
    program.signal("SIGINT");
    assertEquals((await program.end()).code, 0);
    assertMatch(program.stdout, /\d+ sent, \d+ received, [\d.]+ % lost/);
  },
);

/** Makes network namespaces, runs a shell script in them, then `body`; deletes the namespaces afterwards. */
async function inNamespaces(names: string[], script: string, body: () => Promise<void>): Promise<void> {
  const sh = async (line: string) => (await new Deno.Command("sh", { args: ["-ec", line] }).output()).success;
  const remove = names.map((name) => `ip netns del ${name} 2>/dev/null || :`).join("\n");
  try {
    assert(
      await sh(`${names.map((name) => `ip netns add ${name}`).join("\n")}\n${script}`),
      "the namespaces are set up",
    );
    await body();
  } finally {
    await sh(remove);
  }
}

const id = `sl${Deno.pid}`;
const namespaces = socket &&
  await has("sh", "-c", `ip netns add ${id}p && ip netns exec ${id}p true; ok=$?; ip netns del ${id}p; exit $ok`);
const netem = namespaces && await has(
  "sh",
  "-c",
  `ip netns add ${id}q && tc -n ${id}q qdisc add dev lo root netem loss 1%; ok=$?; ip netns del ${id}q; exit $ok`,
);

testWith(
  namespaces && systemPing,
  "right to make network namespaces (as root: iproute2)",
  "ping and icmp_ping: a host that stops answering, and replies again later",
  async () => {
    const name = `${id}b`;
    await inNamespaces([name], `ip -n ${name} link set lo up`, async () => {
      const prefix = ["ip", "netns", "exec", name];
      const deaf = (on: 0 | 1) =>
        has("ip", "netns", "exec", name, "sysctl", "-qw", `net.ipv4.icmp_echo_ignore_all=${on}`);
      assert(await deaf(1));
      for (const script of ["ping", "icmp_ping"] as const) {
        const program = await ping(script, ["--count", "2", "--interval", "0.2", "--timeout", "0.3"], prefix);
        assertMatch(program.stdout, /2 sent, 0 received, 100 % lost\n××\n$/);
        assertEquals(program.status?.code, 1);
      }
      for (const script of ["ping", "icmp_ping"] as const) {
        await deaf(0);
        const flags = script === "ping" ? ["--allow-run=ping"] : ["-N=127.0.0.1", "--allow-ffi"];
        const args = [`ping/${script}.ts`, "--count", "6", "--interval", "0.3", "--timeout", "0.2"];
        const program = new Program([...prefix, Deno.execPath(), "run", ...flags, ...args], { cwd: root });
        await program.line(/(icmp_seq=|sequence )1 /);
        await deaf(1);
        await program.line(/(icmp_seq=|sequence )3/); // a line about a lost one
        await deaf(0);
        assertEquals((await program.end()).code, 0, program.stderr);
        assertMatch(program.stdout, /6 sent, [2-5] received, [\d.]+ % lost\n/);
        assertMatch(program.stdout, /\n[▁▂▃▄▅▆▇█]×+[▁▂▃▄▅▆▇█×]*\n$/);
      }
    });
  },
);

testWith(
  netem && systemPing,
  "right to make network namespaces, or no netem in its kernel",
  "ping and icmp_ping: a network that loses everything, then half",
  async () => {
    const name = `${id}a`;
    await inNamespaces(
      [name],
      `ip -n ${name} link set lo up; tc -n ${name} qdisc add dev lo root netem loss 100%`,
      async () => {
        const prefix = ["ip", "netns", "exec", name];
        for (const script of ["ping", "icmp_ping"] as const) {
          const program = await ping(script, ["--count", "2", "--interval", "0.2", "--timeout", "0.3"], prefix);
          assertMatch(program.stdout, /2 sent, 0 received, 100 % lost\n××\n$/);
          assertEquals(program.status?.code, 1);
        }
        await new Deno.Command("tc", {
          args: ["-n", name, "qdisc", "change", "dev", "lo", "root", "netem", "loss", "30%"],
        }).output();
        for (const script of ["ping", "icmp_ping"] as const) {
          const program = await ping(
            script,
            ["--count", "30", "--interval", "0.01", "--timeout", "0.1", "--json"],
            prefix,
          );
          const { sent, received, times } = JSON.parse(program.stdout);
          assertEquals([sent, times.length], [30, 30]);
          assertEquals(times.filter((time: number | null) => time === null).length, 30 - received);
          assert(received > 0 && received < 30, `${received} of 30`);
        }
      },
    );
  },
);

testWith(
  namespaces,
  "right to make network namespaces (as root: iproute2)",
  "icmp_ping: time exceeded and destination unreachable, from a router",
  async () => {
    const [here, router, there] = [`${id}h`, `${id}r`, `${id}t`];
    await inNamespaces(
      [here, router, there],
      `ip -n ${here} link add name a0 type veth peer name b0 netns ${router}
     ip -n ${there} link add name d0 type veth peer name c0 netns ${router}
     ip -n ${here} addr add 10.9.1.1/24 dev a0; ip -n ${router} addr add 10.9.1.2/24 dev b0
     ip -n ${router} addr add 10.9.2.2/24 dev c0; ip -n ${there} addr add 10.9.2.1/24 dev d0
     for at in "${here} a0" "${router} b0" "${router} c0" "${there} d0"; do set -- $at; ip -n $1 link set $2 up; done
     ip -n ${here} route add default via 10.9.1.2; ip -n ${there} route add default via 10.9.2.2
     ip netns exec ${router} sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratemask=0
     ip netns exec ${router} sysctl -qw net.ipv4.neigh.c0.retrans_time_ms=200`,
      async () => {
        const prefix = ["ip", "netns", "exec", here];
        const far = await ping("icmp_ping", ["--count", "2", "--interval", "0.2", "10.9.2.1"], prefix);
        assertMatch(far.stdout, /64 bytes from 10\.9\.2\.1: sequence 1 ttl 63 time /);
        const expired = await ping("icmp_ping", ["--count", "1", "--ttl", "1", "10.9.2.1"], prefix);
        assertMatch(expired.stdout, /^sequence 1: time to live exceeded, says 10\.9\.1\.2$/m);
        assert(!expired.stdout.includes("no reply"), expired.stdout); // it has not waited for one
        assertEquals(expired.status?.code, 1);
        const nowhere = await ping("icmp_ping", ["--count", "1", "10.77.0.1"], prefix);
        assertMatch(nowhere.stdout, /^sequence 1: destination unreachable: network, says 10\.9\.1\.2$/m);
        const way = await ping("traceroute", ["--timeout", "0.5", "10.9.2.1"], prefix);
        assertMatch(
          way.stdout,
          /^to 10\.9\.2\.1, 30 hops at most\n {2}1 {2}10\.9\.1\.2 {2}(\S+ ms {2}){2}\S+ ms\n {2}2 {2}10\.9\.2\.1 .*ms\n$/,
        );
        assertEquals(way.status?.code, 0, way.stderr);
        const short = await ping("traceroute", ["--timeout", "0.5", "--hops", "1", "--count", "1", "10.9.2.1"], prefix);
        failedWith(short, 1, /^traceroute: 10\.9\.2\.1 was not reached in 1 hop$/m);

        // No route, and a host that does not answer ARP: no round trip, whether the router says so in time or later.
        const noRoute = await ping("traceroute", ["10.77.0.1"], prefix);
        assertMatch(noRoute.stdout, /most\n {2}1 {2}10\.9\.1\.2 {2}destination unreachable: network\n$/);
        failedWith(noRoute, 1, /^traceroute: 10\.77\.0\.1 was not reached: .*: network, says 10\.9\.1\.2$/m);
        for (
          const [timeout, rows] of [["20", / {2}2 {2}10\.9\.1\.2 {2}destination unreachable: host\n$/], [
            "0.1",
            / {2}2 {2}\*[^.]*$/,
          ]] as const
        ) {
          const absent = await ping("traceroute", ["--timeout", timeout, "10.9.2.7"], prefix);
          assertMatch(absent.stdout, rows);
          failedWith(absent, 1, /^traceroute: 10\.9\.2\.7 was not reached: .*: host, says 10\.9\.1\.2$/m);
        }
        // The unprivileged socket, on a system that allows it to everyone.
        assert(await has("ip", "netns", "exec", here, "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"));
        const datagram = await ping("icmp_ping", ["--count", "2", "--interval", "0.05", "10.9.2.1"], prefix);
        assertMatch(datagram.stdout, /payload, datagram socket\n64 bytes from 10\.9\.2\.1: sequence 1 ttl 63 time /);
        assertEquals(datagram.status?.code, 0, datagram.stderr);
      },
    );
  },
);
