import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "jsr:@std/assert@1";
import {
  type Command,
  Failure,
  flag,
  formatAddress,
  integer,
  parseFlags,
  printable,
  printableLine,
  seconds,
  text,
} from "../cli.ts";
import { clientOptions, connect, count, within } from "../cli.ts";
import { codeOf, explain } from "../tcp/_socket_errors.ts";
import { addPermissions, shellCommand } from "../tcp/_whole_command.ts";
import { stub } from "./support/stub.ts";

const options = {
  ...clientOptions(7007),
  "once": flag("stop"),
  "reply": text("hi", "what to say"),
  "size": integer(64, "bytes", 1, 100),
  "idle": seconds(1.5, "silence"),
};
const command: Command<typeof options> = {
  name: "x",
  about: "A test.",
  run: "deno run x.ts",
  args: "[WORD ...]",
  options,
};

Deno.test("a permission that is missing: the command has it once, beside those that it has already", () => {
  for (
    const [permissions, command, expected] of [
      ["-N=b:1", "deno run -N=a x.ts", "deno run -N=a,b:1 x.ts"],
      ["-N=a", "deno run -N=a,b x.ts", "deno run -N=a,b x.ts"],
      ["-R=a,c", "deno run -R=a,b x.ts", "deno run -R=a,b,c x.ts"],
      ["-N", "deno run -N=a x.ts", "deno run -N x.ts"],
      ["-N=a", "deno run -N x.ts", "deno run -N x.ts"],
      ["-N=a:1", "deno run -N=a,b x.ts", "deno run -N=a,b x.ts"],
      ["-N=a", "deno run -N=a:1,ab:1 x.ts", "deno run -N=ab:1,a x.ts"],
      ["-R=a/b", "deno run -R=a,c x.ts", "deno run -R=a,c x.ts"],
      ["--allow-ffi", "deno run --allow-ffi x.ts", "deno run --allow-ffi x.ts"],
      ["--allow-ffi", "deno run -N=a x.ts", "deno run --allow-ffi -N=a x.ts"],
      ["-R=. -W=.", "deno run -N=a -R=b x.ts", "deno run -W=. -N=a -R=b,. x.ts"],
      ["-N -E", "deno run -N=a x.ts", "deno run -E -N x.ts"],
      ["-R=. -W=.", "deno run -N=a x.ts", "deno run -R=. -W=. -N=a x.ts"],
    ] as const
  ) assertEquals(addPermissions(command, permissions).join(" "), expected);
});

Deno.test("a command to type is quoted as the system's shells want it", () => {
  const words = [
    "deno",
    "run",
    "-N=127.0.0.1,127.0.0.1:7007",
    "-R=a,b c",
    "--allow-ffi",
    "--wait=0.5",
    "tcp/x.ts",
    "it's",
  ];
  assertEquals(
    shellCommand(words, "linux"),
    `deno run -N=127.0.0.1,127.0.0.1:7007 '-R=a,b c' --allow-ffi --wait=0.5 tcp/x.ts 'it'\\''s'`,
  );
  // PowerShell would make "-N=127" and ".0.0.1" of -N=127.0.0.1.
  assertEquals(
    shellCommand([...words, "C:\\lab\\x.txt"], "windows"),
    `deno run "-N=127.0.0.1,127.0.0.1:7007" "-R=a,b c" --allow-ffi "--wait=0.5" tcp/x.ts "it's" C:\\lab\\x.txt`,
  );
  const failed = parseFailure("-N=127.0.0.1");
  assertStringIncludes(
    failed,
    Deno.build.os === "windows" ? 'usage: deno run "-N=127.0.0.1" x.ts' : "usage: deno run -N=127.0.0.1 x.ts",
  );
});

/** What a wrong option of a script with this right is told. */
function parseFailure(right: string): string {
  try {
    parseFlags({ ...command, run: `deno run ${right} x.ts` }, ["--nonsense"]);
  } catch (error) {
    if (error instanceof Failure) return error.message;
  }
  return "";
}

Deno.test("flags: values of their own types, and defaults", () => {
  const flags = parseFlags(command, [
    "--port",
    "80",
    "--once",
    "--idle=.25",
    "a",
    "007",
    "--reply",
    "a b",
    "--",
    "--size",
  ]);
  assertEquals(flags?.port, 80);
  assertEquals(flags?.once, true);
  assertEquals(flags?.idle, 0.25);
  assertEquals(flags?.reply, "a b");
  assertEquals(flags?.size, 64);
  assertEquals(flags?.host, "127.0.0.1");
  assertEquals(flags?.args, ["a", "007", "--size"]);
});

Deno.test("flags: --trace does not take the word after it, --trace=json is a form", () => {
  const flags = parseFlags(command, ["--trace", "hello"]);
  assertEquals([flags?.trace, flags?.args], ["text", ["hello"]]);
  assertEquals(parseFlags(command, ["--trace=json"])?.trace, "json");
  assertEquals(parseFlags(command, ["--", "--trace"])?.args, ["--trace"]);
  assertEquals(parseFlags(command, [])?.trace, "");
});

Deno.test("flags: help", () => assertEquals(parseFlags(command, ["--port", "x", "-h"]), undefined));

for (
  const [argv, says] of [
    [["--prot", "1"], "unknown option --prot (did you mean --port?)"],
    [["--hlep"], "unknown option --hlep (did you mean --help?)"],
    [["--xylophone"], "unknown option --xylophone\n"],
    [["-x"], "unknown option -x"],
    [["--no-once"], "unknown option --no-once"],
    [["--port"], "--port needs a value"],
    [["--port", "--once"], "--port needs a value"],
    [["--port", "0"], "--port needs a whole number from 1 to 65535, not 0"],
    [["--port", "65536"], "--port needs a whole number from 1 to 65535, not 65536"],
    [["--port", "1e3"], "--port needs a whole number"],
    [["--port", "0x50"], "--port needs a whole number"],
    [["--port", "8\x1b[2J"], "not 8\\x1b[2J"],
    [["--size", "1.5"], "--size needs a whole number from 1 to 100"],
    [["--idle", "-1"], "--idle needs a number of seconds from 0 to 86400, not -1"],
    [["--idle=-1"], "--idle needs a number of seconds from 0 to 86400, not -1"],
    [["--idle=NaN"], "--idle needs a number of seconds"],
    [["--idle=Infinity"], "--idle needs a number of seconds"],
    [["--trace=xml"], "--trace needs text, json or diagram, not xml"],
  ] as const
) {
  Deno.test(`flags: ${JSON.stringify(argv)} is wrong usage`, () => {
    const failure = assertThrowsFailure(() => parseFlags(command, [...argv]));
    assertEquals(failure.code, 2);
    assertStringIncludes(failure.message, says);
    assertStringIncludes(failure.message, "usage: deno run x.ts [OPTION ...] [WORD ...]");
  });
}

Deno.test("flags: a script without arguments takes none", () => {
  const bare = { ...command, args: undefined };
  assertStringIncludes(assertThrowsFailure(() => parseFlags(bare, ["word"])).message, "unexpected argument word");
  assertStringIncludes(assertThrowsFailure(() => parseFlags(bare, ["--", "word"])).message, "unexpected argument word");
});

Deno.test("printable: controls, line separators, bidi overrides and broken UTF-8 are harmless", () => {
  assertEquals(printable("plain Grüße 世界 👩‍👩‍👧"), "plain Grüße 世界 👩‍👩‍👧");
  assertEquals(printable("a\r\n\tb"), "a\\r\\n\\tb");
  assertEquals(printable("\x1b[31m\x07\x7f\x9b2J"), "\\x1b[31m\\x07\\x7f\\x9b2J");
  assertEquals(printable("\u061c\xad"), "\\u{61c}\\xad");
  assertEquals(printable("\u2028\u2029\u202e\u2066\ufeff"), "\\u{2028}\\u{2029}\\u{202e}\\u{2066}\\u{feff}");
  assertEquals(printable("\u{e0041}\ud800"), "\\u{e0041}\\u{d800}");
  assertEquals(printable(Uint8Array.of(0x41, 0xff, 0x42)), "A\ufffdB");
});

Deno.test("formatAddress: an IPv6 address stands in brackets", () => {
  assertEquals(formatAddress({ hostname: "127.0.0.1", port: 80 }), "127.0.0.1:80");
  assertEquals(formatAddress({ hostname: "::1", port: 80 }), "[::1]:80");
});

Deno.test("count: one and many", () => {
  assertEquals([count(0, "byte"), count(1, "byte"), count(2, "byte")], ["0 bytes", "1 byte", "2 bytes"]);
});

Deno.test("explain: an expected error becomes one line, a bug stays what it is", () => {
  const at = { hostname: "127.0.0.1", port: 7007 };
  const refused = explain(new Deno.errors.ConnectionRefused("os error 111"), at);
  assertMatch(String(refused), /127\.0\.0\.1:7007 refused the connection: is the server running\?/);
  assertMatch(String(explain(new Deno.errors.AddrInUse("x"), at)), /127\.0\.0\.1:7007 is in use/);
  assertMatch(String(explain(new Deno.errors.BrokenPipe("x"), at)), /reset the connection/);
  assertMatch(String(explain(new Error("failed to lookup address information"), at)), /no address found for 127/);
  for (const code of ["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL"]) { // those of node:dns; EAI_AGAIN is that of a machine offline
    const error = Object.assign(new Error(`getaddrinfo ${code} example.com`), { code });
    assertMatch(String(explain(error, at)), /no address found for 127/);
  }
  for (const number of [11001, 11002, 11003, 11004]) { // those of Windows, in the words of its language
    const error = new Error(`Der Host ist unbekannt. (os error ${number})`);
    assertEquals([codeOf(error, "windows"), codeOf(error, "linux")], ["ENOTFOUND", ""]);
  }
  const invalid = Object.assign(new TypeError("Invalid argument (os error 22)"), { code: "EINVAL" }); // of setNoDelay
  assertEquals(["darwin", "windows", "linux"].map((os) => codeOf(invalid, os)), ["ECONNRESET", "ECONNRESET", ""]);
  for (const [number, code] of [[48, "EADDRINUSE"], [61, "ECONNREFUSED"], [64, "EHOSTDOWN"], [65, "EHOSTUNREACH"]]) {
    assertEquals(codeOf(new Error(`(os error ${number})`), "darwin"), code);
  }
  assertEquals(codeOf(new Error("Die Verbindung wurde abgelehnt. (os error 10061)"), "windows"), "ECONNREFUSED");
  assertMatch(String(explain(new Deno.errors.PermissionDenied("x"), { ...at, port: 80 })), /a --port from 1024/);
  assertMatch(
    String(explain(new Deno.errors.PermissionDenied("x"), at)),
    /does not allow .*7007: choose another --port/,
  );
  assertMatch(String(explain(new DOMException("Signal timed out.", "TimeoutError"), at)), /did not answer in time/);
  assertMatch(String(explain(new Deno.errors.NotCapable("x"), at)), /add -N=127\.0\.0\.1:7007/);
  const bug = new TypeError("x is not a function");
  assertEquals(explain(bug, at), bug);
  const failure = new Failure("as it is");
  assertEquals(explain(failure, at), failure);
});

Deno.test("within: passes on what comes in time, fails with the message when it is late", async () => {
  assertEquals(await within(5, Promise.resolve(7), "late"), 7);
  const never = new Promise<number>(() => {});
  const error = await within(0.01, never, "too late").catch((error: unknown) => error);
  assertEquals(error instanceof Failure && error.message, "too late");
});

function assertThrowsFailure(body: () => unknown): Failure {
  const error: unknown = assertThrows(body);
  if (!(error instanceof Failure)) throw error;
  return error;
}

Deno.test("printableLine: tabs stay, a backslash and a t are no tab, and controls are escaped", () => {
  assertEquals(printableLine("a\tC:\\temp\u001b[2J"), "a\tC:\\temp\\x1b[2J");
});

Deno.test("an option with an empty value needs one, also where the shell made an argument of it", () => {
  const bare = { ...command, args: undefined };
  assertMatch(assertThrowsFailure(() => parseFlags(bare, ["--reply", ""])).message, /^--reply needs a value\n/);
});

Deno.test("--host: names and addresses, and none with a port or whatever else", () => {
  const hostOf = (raw: string) => parseFlags({ ...command, options: clientOptions(1) }, [`--host=${raw}`])?.host;
  for (
    const [raw, host] of [["localhost", "localhost"], ["::1", "::1"], ["[::1]", "::1"], [
      "fe80::1%eth0",
      "fe80::1%eth0",
    ]]
  ) {
    assertEquals(hostOf(raw ?? ""), host);
  }
  assertEquals(hostOf("b\u00fccher.example"), "xn--bcher-kva.example");
  for (
    const raw of ["127.0.0.1:80", "[::1]:80", "a b", "a/b", "a@b", "256.1.1.1", "1:2", "%41", "::1%", "a?b", "a\\b"]
  ) {
    assertMatch(
      assertThrowsFailure(() => hostOf(raw)).message,
      /^--host needs a name or an address, without a port, not /,
    );
  }
});

Deno.test("connect: again while it is refused, until the wait is over; with a time limit, or none", async () => {
  let now = 1000;
  const waits: number[] = [];
  using _clock = stub(Date, "now", () => now);
  using _timer = stub(globalThis, "setTimeout", (run: () => void, ms: number) => {
    waits.push(ms);
    now += ms;
    queueMicrotask(run);
  });
  let chance = 0;
  using _chance = stub(Math, "random", () => chance = 1 - chance);
  const limits: number[] = [];
  using _limit = stub(AbortSignal, "timeout", (ms: number) => (limits.push(ms), new AbortController().signal));
  const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  const tried = async (wait: number, timeout: number, ...outcomes: (Error | string)[]) => {
    waits.length = limits.length = 0;
    const addresses: unknown[] = [];
    const dial = ({ signal, ...addr }: { hostname: string; port: number; signal?: AbortSignal }) => {
      addresses.push({ ...addr, limited: signal !== undefined });
      const outcome = outcomes.shift() ?? refused;
      return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
    };
    const result = await connect({ host: "h", port: 7, wait, timeout }, dial).catch((error: Error) => error.message);
    assertEquals(addresses, Array(addresses.length).fill({ hostname: "h", port: 7, limited: timeout > 0 }));
    return [result, addresses.length, waits.length, ...limits.slice(0, 1)];
  };
  assertEquals(await tried(0, 2, "in"), ["in", 1, 0, 2000]);
  assertEquals(await tried(1, 0, refused, refused, "in"), ["in", 3, 2]);
  assertEquals(waits, [75, 25], "clients that wait do not all come in the same millisecond");
  assertEquals(await tried(0, 0), ["refused", 1, 0]);
  assertEquals(await tried(0.1, 0), ["refused", 3, 2], "at 0, 75 and 100 ms");
  assertEquals(await tried(9, 0, new Error("a bug")), ["a bug", 1, 0]);
});
