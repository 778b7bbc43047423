/** The walk from the root (`query.ts --iterate`): what responses mean, its limits, the small internet, hostile servers. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "jsr:@std/assert@1";
import { Failure } from "../cli.ts";
import type { QueryResult } from "../dns/_exchange.ts";
import { decode, encode, type Flags, type Message, type Question, rcodes } from "../dns/_message.ts";
import { printData, type ResourceRecord } from "../dns/_record.ts";
import { typeName, typeNumber, types } from "../dns/_record_types.ts";
import { DeadEnd, type Step, Walk, type WalkTree } from "../dns/_walk.ts";
import { judge } from "../dns/_walk_outcome.ts";
import { answer } from "../dns/_answer.ts";
import { parseMasterFile } from "../dns/_master_file.ts";
import { parseZone, type Zones } from "../dns/_zone.ts";
import { ask } from "../dns/query.ts";
import { explain } from "../tcp/_socket_errors.ts";
import { freePort } from "./support/free_port.ts";
import { failedWith, portsFree, testWith } from "./support/helpers.ts";
import { hasLoopbacks } from "./support/loopbacks.ts";
import { Program, programsAtOnce } from "./support/program.ts";
import { stub } from "./support/stub.ts";
import { command, pairOnPort, pairs, root } from "./support/tasks.ts";

const flags: Flags = {
  ...{ qr: true, opcode: 0, aa: false, tc: false, rd: false, ra: false, ad: false, cd: false, rcode: 0 },
};
const empty: Message = { id: 7, flags, questions: [], answers: [], authority: [], additional: [] };
const question = (name: string, word = "A") => ({ name, type: typeNumber(word) ?? 0, class: 1 });

/** Records, one a line, as in a zone file. */
const records = (text: string) => parseMasterFile(`$TTL 60\n${text}\n`).map(({ record }) => record);

/** A response: `answers | authority | additional`, records separated by semicolons in place of lines. */
function response(text: string, set: Partial<Flags> = {}): Message {
  const [answers = [], authority = [], additional = []] = text.split("|").map((part) =>
    records(part.replaceAll(";", "\n").replace(/^ +/gm, ""))
  );
  return { ...empty, flags: { ...flags, ...set }, answers, authority, additional };
}

Deno.test("judge: what a response means", () => {
  const aa = { aa: true };
  const nx = { rcode: rcodes.NXDOMAIN };
  const soa = "b.test. SOA n.b.test. h.b.test. 1 1 1 1 1";
  for (
    const [text, set, expected] of [
      // What a server may say of its own zone.
      ["a.b.test. A 192.0.2.1", aa, "answer A 192.0.2.1"],
      ["A.B.Test. A 192.0.2.1", aa, "answer A 192.0.2.1"],
      ["a.b.test. CNAME c.b.test.;c.b.test. A 192.0.2.2", aa, "answer CNAME c.b.test., A 192.0.2.2"],
      ["c.b.test. A 192.0.2.2;a.b.test. CNAME c.b.test.", aa, "answer CNAME c.b.test., A 192.0.2.2"],
      ["a.b.test. CNAME c.b.test.", aa, "alias c.b.test."],
      ["a.b.test. CNAME x.other.", aa, "alias x.other."],
      ["a.b.test. CNAME a.b.test.", aa, "alias a.b.test."],
      [`|${soa}`, { ...aa, ...nx }, "nothing 3"],
      [`|${soa}`, aa, "nothing 0"],
      ["", aa, "nothing 0"],
      [`|b.test. NS n.b.test.`, aa, "nothing 0"],
      ["|a.b.test. NS n.a.b.test.", {}, "referral a.b.test."],
      // It knows nothing about other zones: this address may be anyone's.
      ["a.b.test. CNAME x.other.;x.other. A 192.0.2.66", aa, "alias x.other."],
      ["x.other. A 192.0.2.66", aa, "nothing 0"],
      // Lame servers.
      ["", { rcode: rcodes.REFUSED }, "lame REFUSED"],
      ["", { rcode: rcodes.SERVFAIL }, "lame SERVFAIL"],
      ["", {}, "lame neither an answer nor a referral"],
      ["a.b.test. A 192.0.2.1", {}, "lame it answers from a cache, not from the zone (no AA flag)"],
      [`|${soa}`, nx, "lame NXDOMAIN without the AA flag"],
      ["|b.test. NS n.b.test.", {}, "lame it refers to the servers of b.test. again"],
      ["|test. NS n.test.", {}, "lame it refers upward, to test."],
      ["|. NS n.root.", {}, "lame it refers upward, to ."],
      ["|c.b.test. NS n.c.b.test.", {}, "lame it refers to c.b.test., which is elsewhere"],
      ["|other. NS n.other.", {}, "lame it refers to other., which is elsewhere"],
    ] as [string, Partial<Flags>, string][]
  ) {
    const outcome = judge(response(text, set), question("a.b.test."), "b.test.");
    const printed = "records" in outcome
      ? outcome.records.map(({ type, data }) => `${typeName(type)} ${printData(type, data)}`).join(", ")
      : "";
    const told = outcome.kind === "answer"
      ? printed
      : outcome.kind === "alias"
      ? outcome.target
      : outcome.kind === "referral"
      ? outcome.to.zone
      : outcome.kind === "lame"
      ? outcome.why
      : outcome.rcode;
    assertEquals(`${outcome.kind} ${told}`, expected, text);
  }
});

Deno.test("judge: glue counts only for names that the server can know; servers and addresses are limited", () => {
  const outcome = judge(
    response(
      "|a.b.test. NS n1.a.b.test.;a.b.test. NS N2.b.test.;a.b.test. NS n.other.;a.b.test. NS n1.a.b.test.;x.b.test. NS no.|" +
        "n1.a.b.test. AAAA ::1;n1.a.b.test. A 127.0.0.3;n2.b.test. A 127.0.0.4;n.other. A 192.0.2.66;no. A 192.0.2.67",
    ),
    question("a.b.test."),
    "b.test.",
  );
  assertEquals(outcome.kind === "referral" && outcome.to.servers, [
    { name: "n1.a.b.test.", glue: ["127.0.0.3", "::1"], ignored: [] },
    { name: "n2.b.test.", glue: ["127.0.0.4"], ignored: [] },
    { name: "n.other.", glue: [], ignored: ["192.0.2.66"] },
  ]);
  const many = Array.from({ length: 3000 }, (_, i) => `a.b.test. NS n${i}.b.test.`).join(";");
  const addresses = Array.from({ length: 200 }, (_, i) => `n0.b.test. A 127.0.0.${i}`).join(";");
  const flood = judge(response(`|${many}|${addresses}`), question("a.b.test."), "b.test.");
  const { servers, omitted } = flood.kind === "referral" ? flood.to : { servers: [], omitted: 0 };
  assertEquals([servers.length, omitted, servers[0]?.glue.length], [13, 2987, 4]);
});

/** What a walk has shown, one line a step. */
class Log implements WalkTree {
  constructor(readonly lines: string[] = [], readonly depth = 0) {}

  #add(line: string): Log {
    this.lines.push(`${" ".repeat(this.depth)}${line}`);
    return new Log(this.lines, this.depth + 1);
  }

  step = ({ zone, address, outcome: { kind } }: Step) => this.#add(`${zone} ${address} ${kind}`);
  lookup = ({ name }: Question, from: string, reason: string) => this.#add(`${reason} ${name} from ${from}`);
  fail(why: string): DeadEnd {
    this.#add(`fail ${why}`);
    return new DeadEnd(question("x."), why);
  }
}

type Serve = (question: Question) => Message | undefined;

/** A walk through servers that are functions. */
function walkThrough(servers: Record<string, Serve>, seconds = 0) {
  const log = new Log();
  const walk = new Walk("root", (address, question) => {
    const message = servers[address]?.(question);
    if (!message) return Promise.reject(new Failure(`no answer from ${address}`));
    return Promise.resolve<QueryResult>({ message, size: 0, extra: 0, time: 1, transport: "UDP" });
  }, seconds);
  const resolve = (name: string, word = "A") => walk.resolve(question(name, word), log);
  return { walk, lines: log.lines, resolve };
}

const always = (message: Message): Serve => () => message;
const aa = { aa: true };

Deno.test("walk: a server that does not answer is left out; what was learnt is known afterwards", async () => {
  const { resolve, lines, walk } = walkThrough({
    root: always(
      response("|test. NS n1.test.;test. NS n2.test.|n1.test. A 127.0.0.8;n2.test. A 127.0.0.9;n2.test. A 127.0.0.2"),
    ),
    "127.0.0.2": always(response("a.test. A 192.0.2.1", aa)),
  });
  const { rcode, records } = await resolve("a.test.");
  assertEquals([rcode, records.length], [0, 1]);
  const known = ["test. 127.0.0.8 lame", "test. 127.0.0.9 lame", "test. 127.0.0.2 answer"];
  assertEquals(lines.map((line) => line.trim()), [". root referral", ...known]);
  await resolve("a.test.");
  assertEquals([walk.queries, lines.slice(4)], [7, known]);
});

Deno.test("walk: the DS records of a zone come from the zone above it", async () => {
  const { resolve, lines } = walkThrough({
    root: ({ name, type }) =>
      type === types.DS ? response(`${name} DS 1 8 2 00`, aa) : response("|test. NS n.test.|n.test. A 127.0.0.2"),
    "127.0.0.2": always(response("a.test. A 192.0.2.1", aa)),
  });
  await resolve("a.test.");
  assertEquals((await resolve("test.", "DS")).records.length, 1);
  assertEquals(lines.at(-1), ". root answer");
});

Deno.test("walk: aliases that lead in a circle, or on and on", async () => {
  const circle = walkThrough({
    root: ({ name }) => response(`${name} CNAME ${name.startsWith("a") ? "b" : "A"}.test.`, aa),
  });
  await assertRejects(() => circle.resolve("a.test."), DeadEnd, "the aliases lead back to a.test.: a loop");
  assertEquals(circle.walk.queries, 2);
  let i = 0;
  const endless = walkThrough({ root: ({ name }) => response(`${name} CNAME n${i++}.test.`, aa) });
  await assertRejects(() => endless.resolve("a.test."), DeadEnd, "more than 16 aliases in a row");
});

Deno.test("walk: two zones whose only servers are in each other", async () => {
  const { resolve, walk, lines } = walkThrough({
    root: ({ name }) => name.endsWith("left.") ? response("|left. NS n.right.") : response("|right. NS n.left."),
  });
  await assertRejects(() => resolve("a.left."), DeadEnd, "no server of left. answers for it; none has an address");
  assertEquals(walk.queries, 2);
  assert(lines.some((line) => line.includes("a loop: this lookup has begun above")), lines.join("\n"));
});

Deno.test("walk: a chain of zones that each name a server in the next one", async () => {
  const { resolve, walk } = walkThrough({
    root: ({ name }) => {
      const n = Number(/(\d+)\.$/.exec(name)?.[1]);
      return response(`|z${n}. NS n.z${n + 1}.`);
    },
  });
  await assertRejects(() => resolve("a.z1."), DeadEnd, "no server of z1. answers for it; none has an address");
  assert(walk.queries <= 6, `${walk.queries}`);
});

Deno.test("walk: a referral to 3,000 servers without addresses costs a few queries", async () => {
  const servers = Array.from({ length: 3000 }, (_, i) => `evil. NS n${i}.victim.`).join(";");
  const { resolve, walk } = walkThrough({
    root: ({ name }) =>
      name.endsWith("evil.") ? response(`|${servers}`) : response("", { rcode: rcodes.NXDOMAIN, aa: true }),
  });
  await assertRejects(() => resolve("a.evil."), DeadEnd, "none has an address");
  assertEquals(walk.queries, 4);
});

Deno.test("walk: servers that multiply the work: the number of queries has a limit", async () => {
  // Each zone has three servers without addresses, whose names are aliases of names in more such zones.
  let n = 0;
  const { resolve, walk } = walkThrough({
    root: ({ name }) => {
      if (name.endsWith(".servers.")) return response(`${name} CNAME a.z${++n}.`, aa);
      const zone = name.replace(/^a\./, "");
      return response(`|${[1, 2, 3].map((i) => `${zone} NS s${i}.${zone}servers.`).join(";")}`);
    },
  });
  await assertRejects(() => resolve("a.z."), DeadEnd);
  assertEquals(walk.queries, 100);
});

Deno.test("walk: a name of 127 labels, each a zone, is the longest way down", async () => {
  const deep = "a.".repeat(127);
  const { resolve, walk } = walkThrough({
    "root": always(response("|a. NS n.a.|n.a. A 127.0.0.2")),
    "127.0.0.2": ({ name }) => {
      // One label more than the last query was referred to.
      const zone = name.slice(-2 * Math.min(127, walk.queries));
      return response(`|${zone} NS n.${zone}|n.${zone} A 127.0.0.2`);
    },
  });
  await assertRejects(() => resolve(deep), DeadEnd, "no answer after 100 queries");
});

Deno.test("walk: it may take a limited time, also when each server answers in time", async () => {
  const { resolve } = walkThrough({
    root: ({ name }) => {
      for (const start = performance.now(); performance.now() < start + 20;);
      return response(`${name} CNAME a${name}`, aa);
    },
  }, 0.05);
  await assertRejects(() => resolve("a.test."), DeadEnd, "the time of this walk is over");
});

Deno.test("walk: a missing permission ends it at once", async () => {
  const walk = new Walk("root", () => Promise.reject(new Failure("no permission", 2)), 0);
  const { code } = await assertRejects(() => walk.resolve(question("a."), new Log()), Failure, "no permission");
  assertEquals([code, walk.queries], [2, 1]);
});

Deno.test("the small internet: every referral leads to a server that its zones name", () => {
  const read = (name: string) => parseZone(Deno.readTextFileSync(`${root}dns/internet/${name}.zone`));
  const zones = new Map(["root", "test", "library", "shop", "press"].map((name) => [name, read(name)]));
  const served: Record<string, string[]> = {
    ...{ "127.0.0.1": ["root"], "127.0.0.2": ["test"], "127.0.0.3": ["library"], "127.0.0.4": ["shop", "press"] },
  };
  // The same as the tasks say.
  const task = new Map(pairs()).get("dns:walk") ?? "";
  for (const [address, names] of Object.entries(served)) {
    const part = task.split(" & ").find((part) => part.endsWith(names.map((n) => ` dns/internet/${n}.zone`).join("")));
    assert(part && part.includes(address === "127.0.0.1" ? "dns/server.ts --once" : `--host ${address}`), address);
  }
  for (const [name, { names }] of zones) {
    for (const [owner, sets] of names) {
      for (const { type, data } of sets.flat()) {
        if (type !== types.A || !printData(type, data).startsWith("127.")) continue;
        const at = served[printData(type, data)] ?? [];
        const isItsServer = at.some((zone) =>
          zones.get(zone)?.names.get(zones.get(zone)?.origin ?? "")?.flat().some((record) =>
            record.type === types.NS && record.data[0] === owner
          )
        );
        assert(isItsServer || owner === "dns.shop.test.", `${name}: ${owner} ${printData(type, data)}`);
      }
    }
  }
});

// --- Real processes: addresses of 127.0.0.0/8, which Linux and Windows have.

const noLoopbacks = "addresses of 127.0.0.0/8 besides 127.0.0.1";
const hasRoom = hasLoopbacks && programsAtOnce > 4; // four servers, and the client
const noRoom = `${noLoopbacks}, or too few processors for five programs at once`;

/** The servers of the small internet, on a free port, as the pair's task starts them but without an end. */
async function internet() {
  const port = freePort();
  const task = pairOnPort(new Map(pairs()).get("dns:walk") ?? "", port);
  const stack = new AsyncDisposableStack();
  for (const part of task.split(" & ").slice(0, -1)) {
    const command = part.replace(/ --once| --exit-after \d+/, "").split(" ");
    const program = stack.use(new Program(command, { cwd: root }));
    await program.line(/listening on /);
  }
  return { port, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const allAddresses = "-N=127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4";

async function walk(port: number, ...args: string[]): Promise<Program> {
  const at = ["--server", `127.0.0.1:${port}`];
  const program = new Program(["deno", "run", allAddresses, "dns/query.ts", "--iterate", ...at, ...args], {
    cwd: root,
  });
  await program.end(60);
  return program;
}

testWith(hasRoom, noRoom, "query --iterate: the trees of the lab sheet", async () => {
  await using net = await internet();
  const tree = async (...args: string[]) => {
    const program = await walk(net.port, ...args);
    const text = program.stdout.replace(/[\d.]+ ms/g, "1 ms").replaceAll(` in 1 ms`, "");
    return { program, tree: text.split("\n") };
  };
  const alias = await tree("www.library.test");
  assertEquals([alias.program.status?.code, alias.program.stderr], [0, ""]);
  assertEquals(alias.tree, [
    "www.library.test. A",
    "└─ root server 127.0.0.1: a referral to test. (1 ms)",
    "   │  test. NS ns.test. (glue 127.0.0.2)",
    "   └─ ns.test. 127.0.0.2: a referral to library.test. (1 ms)",
    "      │  library.test. NS ns.library.test. (glue 127.0.0.3)",
    "      └─ ns.library.test. 127.0.0.3: an alias (1 ms)",
    "         │  www.library.test. 3600 CNAME www.shop.test.",
    "         └─ www.shop.test. A: from test., which is known",
    "            └─ ns.test. 127.0.0.2: a referral to shop.test. (1 ms)",
    "               │  shop.test. NS ns.shop.test. (glue 127.0.0.4)",
    "               └─ ns.shop.test. 127.0.0.4: the answer (1 ms)",
    "                    www.shop.test. 3600 A 192.0.2.44",
    "",
    ";; 5 queries",
    "",
  ]);
  const glueless = await tree("www.press.test");
  assertEquals(glueless.tree.slice(4, 10), [
    "      │  press.test. NS dns.shop.test. (no glue)",
    "      ├─ dns.shop.test. A: from test., which is known",
    "      │  └─ ns.test. 127.0.0.2: a referral to shop.test. (1 ms)",
    "      │     │  shop.test. NS ns.shop.test. (glue 127.0.0.4)",
    "      │     └─ ns.shop.test. 127.0.0.4: the answer (1 ms)",
    "      │          dns.shop.test. 3600 A 127.0.0.4",
  ]);
  for (
    const [name, line] of [
      ["x.lame.test", /^query: x\.lame\.test\. A: no server of lame\.test\. answers for it; 127\.0\.0\.4: REFUSED$/m],
      ["x.left.test", /^query: x\.left\.test\. A: no server of left\.test\. answers for it; none has an address$/m],
      [
        "loop.library.test",
        /^query: loop\.library\.test\. A: the aliases lead back to loop\.library\.test\.: a loop$/m,
      ],
      ["nobody.shop.test", /^query: nobody\.shop\.test: no such name \(NXDOMAIN\)$/m],
      ["nobody.example", /^query: nobody\.example: no such name \(NXDOMAIN\)$/m],
    ] as const
  ) {
    const { program } = await tree(name);
    failedWith(program, 1, line);
    assertMatch(program.stdout, /└─ .*\n\n;; \d quer/);
  }
  const nothing = await tree("shop.test", "AAAA");
  assertEquals(nothing.program.status?.code, 0);
  assertStringIncludes(nothing.program.stdout, "no such record (NOERROR, no answer)");

  assertEquals((await walk(net.port, "--short", "www.library.test")).stdout, "www.shop.test.\n192.0.2.44\n");
  const json = JSON.parse((await walk(net.port, "--json", "www.press.test")).stdout);
  assertEquals([json.rcode, json.queries, json.answer[0].data], ["NOERROR", 5, "192.0.2.55"]);
  const [first] = json.walk;
  assertEquals([first.zone, first.source, first.outcome, first.referral.zone], [".", "given", "referral", "test."]);
  const [lookup, last] = first.then[0].then;
  assertEquals([lookup.lookup, lookup.reason, last.source, last.outcome], [
    ...["dns.shop.test.", "address", "lookup", "answer"],
  ]);
  const failed = await walk(net.port, "--json", "x.left.test");
  assertMatch(JSON.parse(failed.stdout).failed, /none has an address$/);
  failedWith(failed, 1, /none has an address$/m);
});

testWith(hasRoom, noRoom, "query --iterate: --trace and --pcap have every server", async () => {
  await using net = await internet();
  const file = await Deno.makeTempFile();
  const at = ["--server", `127.0.0.1:${net.port}`, "--short", "--trace=json", "--pcap", file, "www.library.test"];
  const program = new Program(["deno", "run", allAddresses, `-W=${file}`, "dns/query.ts", "--iterate", ...at], {
    cwd: root,
  });
  assertEquals((await program.end()).code, 0, program.stderr);
  const events = program.stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
  const peers = (side: "from" | "to") => events.map((event) => String(event[side]).split(":")[0]);
  const asked = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.4"];
  assertEquals(peers("to").filter((_, i) => i % 2 === 0), asked);
  assertEquals(peers("from").filter((_, i) => i % 2 === 1), asked);
  assert((await Deno.stat(file)).size > 10 * 60);
  await Deno.remove(file);
});

// Both tasks have the same port: files of tests run side by side, the tests of one file do not.
testWith(portsFree(5300), "port 5300 free", "dns:lookup: one task runs the server, lookup and query", async () => {
  const task = new Program(["deno", "task", "--quiet", "dns:lookup"], { cwd: root });
  assertEquals((await task.end(60)).code, 0, task.stderr);
  assertStringIncludes(task.stdout, "web.example.com  AAAA   2001:db8::80");
  assertStringIncludes(task.stdout, ";; question: www.example.com. A");
  assertEquals(command("dns/server.ts", 5300).includes("-R=dns"), true);
});

testWith(
  hasLoopbacks && portsFree(5300),
  `${noLoopbacks}, or port 5300 is in use`,
  "dns:walk: one task runs the servers and the walk",
  async () => {
    const task = new Program(["deno", "task", "--quiet", "dns:walk"], { cwd: root });
    assertEquals((await task.end(60)).code, 0, task.stderr);
    // The tree is in one piece, whenever the servers start.
    assertMatch(task.stdout, /^www\.library\.test\. A\n└─ .*\n( +.*\n)+\n;; 5 queries in /m);
  },
);

/** Servers that answer as the functions say, at addresses of 127.0.0.0/8 and one port. */
function hostileServers(servers: Record<string, (question: Question) => Message | Uint8Array | undefined>) {
  const port = freePort();
  const sockets = Object.entries(servers).map(([hostname, serve]) => {
    const socket = Deno.listenDatagram({ transport: "udp", hostname, port });
    (async () => {
      for await (const [packet, from] of socket) {
        const { id, questions } = decode(packet);
        const [asked] = questions;
        const reply = asked && serve({ ...asked, name: asked.name.toLowerCase() });
        if (!reply) continue;
        await socket.send(reply instanceof Uint8Array ? reply : encode({ ...reply, id, questions }), from);
      }
    })().catch(() => {});
    return socket;
  });
  return { port, [Symbol.dispose]: () => sockets.forEach((socket) => socket.close()) };
}

const zonesOf = (text: string): Zones => {
  const zone = parseZone(text);
  return new Map([[zone.origin, zone]]);
};

testWith(
  hasLoopbacks,
  noLoopbacks,
  "query --iterate: hostile servers: exit code 1, or the answer, and one line",
  async () => {
    const honest = zonesOf(
      "$TTL 60\ngood. SOA n.good. h.good. 1 1 1 1 1\n NS n.good.\nn.good. A 127.0.0.3\nwww.good. A 192.0.2.1\n",
    );
    using net = hostileServers({
      "127.0.0.1": ({ name }) => {
        if (name.endsWith("upward.")) return response("|upward. NS n.upward.|n.upward. A 127.0.0.2");
        if (name.endsWith("many.")) {
          return response(`|${Array.from({ length: 30 }, (_, i) => `many. NS n${i}.`).join(";")}`);
        }
        if (name.endsWith("good.")) {
          return response("|good. NS n1.good.;good. NS n2.good.|n1.good. A 127.0.0.2;n2.good. A 127.0.0.3");
        }
        return response("", { aa: true, rcode: rcodes.NXDOMAIN });
      },
      "127.0.0.2": ({ name }) => {
        if (name.startsWith("up")) return response("|. NS a.root.|a.root. A 127.0.0.1");
        if (name.startsWith("garbage")) return new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n");
        if (name.startsWith("silent")) return undefined;
        return response("", { rcode: rcodes.SERVFAIL });
      },
      "127.0.0.3": (question) => {
        const { rcode, answers, authority } = answer(honest, { ...question, name: "www.good." });
        const renamed = answers.map((record: ResourceRecord) => ({ ...record, name: question.name }));
        return { ...empty, flags: { ...flags, aa: true, rcode }, answers: renamed, authority };
      },
    });
    const run = (...args: string[]) => walk(net.port, "--timeout", "0.6", ...args);
    failedWith(await run("upa.upward"), 1, /; 127\.0\.0\.2: it refers upward, to \.$/m);
    failedWith(await run("a.many"), 1, /: no server of many\. answers for it; none has an address$/m);
    failedWith(await run("nothing"), 1, /: no such name \(NXDOMAIN\)$/m);
    // The second server answers in place of the first one.
    for (
      const [name, why] of [
        ["www.good", "SERVFAIL"],
        ["garbage.good", "it is not a DNS message"],
        ["silent.good", "no answer from 127.0.0.2"],
        ["up.good", "it refers upward, to ."],
      ] as const
    ) {
      const program = await run(name);
      assertEquals([program.status?.code, program.stderr], [0, ""], program.stdout);
      assertStringIncludes(program.stdout, `├─ n1.good. 127.0.0.2: `);
      assertStringIncludes(program.stdout, why);
      assertMatch(program.stdout, /└─ n2\.good\. 127\.0\.0\.3: the answer/);
    }
  },
);

testWith(
  hasRoom,
  noRoom,
  "query --iterate: without permission it prints the command for the next server",
  async () => {
    await using net = await internet();
    const at = `127.0.0.1:${net.port}`;
    const command = ["deno", "run", "--no-prompt", `-N=${at},127.0.0.1:0`, "dns/query.ts", "--iterate", "--server", at];
    const program = new Program([...command, "www.library.test"], { cwd: root });
    await program.end();
    failedWith(program, 2, /^query: no permission to use 127\.0\.0\.2:\d+: add -N=127\.0\.0\.2:\d+: deno run /m);
  },
);

testWith(
  hasLoopbacks,
  noLoopbacks,
  "server: without permission to answer a client it prints one line, and goes on",
  async () => {
    const port = freePort();
    await using program = new Program(
      [
        "deno",
        "run",
        "-q",
        "--no-prompt",
        "-N=127.0.0.2",
        "-R=dns",
        "dns/server.ts",
        "--host=127.0.0.2",
        `--port=${port}`,
      ],
      { cwd: root },
    );
    await program.line(/listening on /);
    const server = { transport: "udp" as const, hostname: "127.0.0.2", port };
    await assertRejects(
      () => ask(server, question("www.example.com."), { timeout: 1 }),
      Failure,
      "no answer from 127.0.0.2",
    );
    await program.line(/Requires net access to "127\.0\.0\.1:\d+"/);
    assert(program.stderr.split("\n").every((line) => /^Requires net access|^$/.test(line)), program.stderr);
  },
);

Deno.test("an address of 127.0.0.0/8 that macOS does not have: what to type, and exit code 3", () => {
  const error = new Deno.errors.AddrNotAvailable("Can't assign requested address (os error 49)");
  const tell = (os: string, hostname: string) => {
    using _ = stub(Deno, "build", { ...Deno.build, os });
    const failure = explain(error, { hostname, port: 5300 });
    return failure instanceof Failure ? [failure.code, failure.message] : failure;
  };
  assertEquals(tell("darwin", "127.0.0.2"), [
    3,
    "127.0.0.2 is not an address of this machine: add it with: sudo ifconfig lo0 alias 127.0.0.2",
  ]);
  assertEquals(tell("darwin", "192.0.2.1"), [1, "192.0.2.1 is not an address of this machine: check --host"]);
  assertEquals(tell("linux", "127.0.0.2"), [1, "127.0.0.2 is not an address of this machine: check --host"]);
});
