/** Zone transfer (AXFR): its messages, who may have a zone, NSD as primary and as secondary, hostile servers. */
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "jsr:@std/assert@1";
import { Failure } from "../cli.ts";
import { firstMessage, withLength } from "../dns/_framing.ts";
import { parseMasterFile } from "../dns/_master_file.ts";
import { decode, encode, type Flags, type Message, rcodes } from "../dns/_message.ts";
import { buildQuery } from "../dns/_query_message.ts";
import { printData, type ResourceRecord } from "../dns/_record.ts";
import { typeName, typeNumber, types } from "../dns/_record_types.ts";
import { Responder } from "../dns/_responder.ts";
import { transferMessages, ZoneTransfer } from "../dns/_transfer.ts";
import { parseZone } from "../dns/_zone.ts";
import { ZoneNames } from "../dns/_zone_names.ts";
import { ask } from "../dns/query.ts";
import { freePort } from "./support/free_port.ts";
import { failedWith, listening, nsdCommand, serve, testWith, until } from "./support/helpers.ts";
import { has, Program } from "./support/program.ts";
import { root } from "./support/tasks.ts";

const sample = Deno.readTextFileSync(new URL("../dns/example.com.zone", import.meta.url));
const zone = parseZone(sample);
const question = (name: string, word: string) => ({ name, type: typeNumber(word) ?? 0, class: 1 });
const flags: Flags = {
  ...{ qr: true, opcode: 0, aa: true, tc: false, rd: false, ra: false, ad: false, cd: false, rcode: 0 },
};
const empty: Message = { id: 7, flags, questions: [], answers: [], authority: [], additional: [] };
const line = ({ name, ttl, type, data }: ResourceRecord) =>
  `${name.toLowerCase()} ${ttl} ${typeName(type)} ${printData(type, data)}`;
const fileLines = (text: string) => parseMasterFile(text).map(({ record }) => line(record)).toSorted();
const manyHosts = (count: number) =>
  `$ORIGIN many.test.\n$TTL 60\n@ SOA a b 5 1 1 1 1\n@ NS a\n$GENERATE 1-${count} h$ TXT "${"x".repeat(200)}"\n`;

Deno.test("transfer: every record of the zone, the SOA record first and last", () => {
  const head = { ...empty, questions: [question("example.com.", "AXFR")] };
  const messages = [...transferMessages(head, zone)].map(decode);
  const records = messages.flatMap(({ answers }) => answers);
  assertEquals([records[0]?.type, records.at(-1)?.type], [types.SOA, types.SOA]);
  assertEquals(records.slice(1).map(line).toSorted(), fileLines(sample));
});

Deno.test("transfer: a large zone is many messages, each made when it is asked for; only the first has the question", () => {
  const large = parseZone(manyHosts(500));
  const edns = { size: 1232, version: 0, dnssecOk: false };
  const all = [...transferMessages({ ...empty, edns, questions: [question("many.test.", "AXFR")] }, large)];
  assert(all.length >= 6 && all.every(({ length }) => length <= 16_384), `${all.map(({ length }) => length)}`);
  const messages = all.map(decode);
  assertEquals(messages.map(({ questions }) => questions.length), all.map((_, i) => i === 0 ? 1 : 0));
  assertEquals(messages.map(({ edns }) => edns !== undefined), all.map((_, i) => i === 0));
  assertEquals(messages.flatMap(({ answers }) => answers).length, 500 + 3);

  // The zone is not read further than the messages are taken.
  let read = 0;
  class Counted extends ZoneNames {
    override *[Symbol.iterator]() {
      for (const each of super[Symbol.iterator]()) {
        read += 1;
        yield each;
      }
    }
  }
  const names = new Counted(large.names.memory);
  const lazy = transferMessages(empty, { ...large, names })[Symbol.iterator]();
  lazy.next();
  assert(read > 10 && read < 200, `${read} of 501 names`);
});

Deno.test("transfer: a record of nearly 64 KiB has a message of its own", () => {
  const text = Array.from({ length: 250 }, () => `"${"y".repeat(250)}"`).join(" ");
  const big = parseZone(`${manyHosts(10)}big TXT ${text}\nlast A 192.0.2.1\n`);
  const messages = [...transferMessages(empty, big)].map(decode);
  assertEquals(messages.map(({ answers, flags }) => [answers.length, flags.tc]), [[12, false], [1, false], [2, false]]);
});

Deno.test("responder: which queries get a zone", () => {
  const responder = new Responder(new Map([[zone.origin, zone]]), false);
  const first = (name: string, word: string, change: (message: Message) => Message = (message) => message) => {
    const { bytes } = buildQuery(question(name, word), false);
    const messages = responder.transfer(encode(change(decode(bytes))));
    return messages && [...messages].map(decode)[0];
  };
  assertEquals(first("example.com.", "A"), undefined);
  assertEquals(first("example.com.", "AXFR")?.answers.length, 56);
  assertEquals(first("EXAMPLE.com.", "AXFR")?.flags.aa, true);
  // RFC 5936 §2.2.1: a name that is not the origin of a zone.
  assertEquals(first("www.example.com.", "AXFR")?.flags.rcode, rcodes.NOTAUTH);
  assertEquals(first("example.org.", "AXFR")?.flags.rcode, rcodes.NOTAUTH);
  const withSerial = (serial: number) => (message: Message) => {
    const data = zone.soa.data.with(2, serial);
    return { ...message, authority: [{ ...zone.soa, data }] };
  };
  const serial = 2026010101;
  for (
    const [known, count] of [
      [serial - 1, 56],
      [serial, 1],
      [serial + 1, 1],
      [serial + 2 ** 31 + 2, 56], // so far ahead that it is behind (RFC 1982)
    ] as const
  ) {
    assertEquals(first("example.com.", "IXFR", withSerial(known % 2 ** 32))?.answers.length, count, `${known}`);
  }
  assertEquals(first("example.com.", "IXFR")?.answers.length, 56);
  const change = (part: Partial<Message>) => (message: Message) => ({ ...message, ...part });
  assertEquals(first("example.com.", "AXFR", change({ flags })), undefined, "a response");
  assertEquals(first("example.com.", "AXFR", change({ questions: [] })), undefined);
  assertEquals(
    first("example.com.", "AXFR", change({ questions: [{ ...question("example.com.", "AXFR"), class: 3 }] })),
    undefined,
  );
});

Deno.test("receiver: what ends a transfer with an error", () => {
  const query = buildQuery(question("example.com.", "AXFR"), false);
  const base = { ...empty, id: query.id, questions: [query.question] };
  const { soa } = zone;
  const a = { ...soa, name: "a.example.com.", type: types.A, data: [1] };
  const other = { ...soa, data: soa.data.with(2, 9) };
  const receive = (...parts: (Partial<Message> | Uint8Array)[]) => {
    const transfer = new ZoneTransfer(query);
    for (const part of parts) transfer.accept(part instanceof Uint8Array ? part : encode({ ...base, ...part }));
    return transfer;
  };
  const { complete, records, messages } = receive({ answers: [soa] }, { questions: [], answers: [a] }, {
    answers: [soa],
  });
  assertEquals([complete, records, messages], [true, 3, 3]);
  assertEquals(receive({ answers: [soa, a] }).complete, false);
  for (
    const [line, ...parts] of [
      [/: the server answered REFUSED$/, { flags: { ...flags, rcode: rcodes.REFUSED } }],
      [/ after 1 record: the server answered SERVFAIL$/, { answers: [soa] }, { flags: { ...flags, rcode: 2 } }],
      [/: it begins with a\.example\.com\. A, not with the SOA record of the zone$/, { answers: [a] }],
      [/: it begins with other\. SOA/, { answers: [{ ...soa, name: "other." }] }],
      [/ after 2 records: b\.example\.org\. is outside of the zone$/, {
        answers: [soa, { ...a, name: "b.example.org." }],
      }],
      [/: the last SOA record is another one$/, { answers: [soa, a, other] }],
      [/: there are records after the last SOA record$/, { answers: [soa, a, soa, a] }],
      [/: a message has no record$/, { answers: [soa] }, {}],
      [/: message 2 is not of this transfer .*its id differs/, { answers: [soa] }, { id: query.id ^ 1 }],
      [/: message 1 is not of this transfer .*no question/, { questions: [], answers: [soa] }],
      [/: message 1 is not of this transfer .*another name/, { questions: [question("x.", "AXFR")], answers: [soa] }],
      [/: message 1 is not a DNS message/, Uint8Array.of(1, 2, 3)],
    ] as [RegExp, ...(Partial<Message> | Uint8Array)[]][]
  ) {
    const { message } = assertThrows(() => receive(...parts), Failure);
    assertMatch(message, /^no transfer of example\.com\./);
    assertMatch(message, line);
  }
});

/** Runs `query.ts` with the permission for one server. */
async function query(port: number, ...args: string[]): Promise<Program> {
  const at = `127.0.0.1:${port}`;
  const program = new Program(["deno", "run", `-N=${at},127.0.0.1:0`, "dns/query.ts", "--server", at, ...args], {
    cwd: root,
  });
  await program.end();
  return program;
}

Deno.test("server: gives zones to the addresses of --allow-transfer only, and never over UDP", async () => {
  const { program, port } = await serve("dns/server.ts");
  await using _ = program;
  failedWith(
    await query(port, "example.com", "AXFR"),
    1,
    /^query: no transfer of example\.com\.: the server answered REFUSED$/m,
  );
  const others = await serve("dns/server.ts", "--allow-transfer", "192.0.2.7", "--allow-transfer", "::1");
  await using _others = others.program;
  failedWith(await query(others.port, "example.com", "AXFR"), 1, /REFUSED$/m);
  const open = await serve("dns/server.ts", "--allow-transfer", "127.0.0.1");
  await using _open = open.program;
  const server = { transport: "udp" as const, hostname: "127.0.0.1", port: open.port };
  for (const tcp of [false, true]) {
    const { message } = await ask(server, question("example.com.", "AXFR"), { timeout: 10, tcp });
    assertEquals([message.flags.rcode, message.answers.length], tcp ? [rcodes.NOERROR, 56] : [rcodes.REFUSED, 0]);
  }
  const wrong = new Program(["deno", "run", "-R=dns", "dns/server.ts", "--allow-transfer", "everybody"], { cwd: root });
  await wrong.end();
  assertEquals(wrong.status?.code, 2);
  assertStringIncludes(wrong.stderr, "server: --allow-transfer needs an address, not everybody\n");
});

Deno.test("query AXFR: the records as lines of a zone file, their data alone, or as JSON", async () => {
  const { program, port } = await serve("dns/server.ts", "--allow-transfer", "127.0.0.1");
  await using _ = program;
  const plain = await query(port, "example.com", "AXFR");
  assertEquals([plain.status?.code, plain.stderr], [0, ""]);
  const [records = "", summary = ""] = plain.stdout.split("\n;; ");
  assertEquals(fileLines(records), [...fileLines(sample), line(zone.soa)].toSorted());
  assertMatch(summary, /^56 records in 1 message, \d+ bytes, over TCP in [\d.]+ ms\n$/);
  const short = await query(port, "--short", "example.com", "AXFR");
  assertEquals(short.stdout.trimEnd().split("\n").length, 56);
  assertMatch(short.stdout, /^ns1\.example\.com\. hostmaster\.example\.com\. 2026010101 /);
  const json = await query(port, "--json", "example.com", "AXFR");
  const { records: list, messages } = JSON.parse(json.stdout);
  assertEquals([list.length, messages, list[0].type, list.at(-1).type], [56, 1, "SOA", "SOA"]);
  const trace = await query(port, "--short", "--trace", "example.com", "AXFR");
  assertMatch(trace.stderr, /^ +\d+ {2}type AXFR$/m);
  assertMatch(trace.stderr, /^ {7}6 {2}answers 56$/m);
});

Deno.test("server: a secondary that does not read is closed after --timeout; others are answered meanwhile", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/many.zone`, manyHosts(60_000)); // 13 MB: more than the kernel's buffers take
  const { program, port } = await listening((port) => [
    ...["deno", "run", "-N=127.0.0.1", `-R=${folder}`, "dns/server.ts", "--port", `${port}`, `${folder}/many.zone`],
    ...["--allow-transfer", "127.0.0.1", "--timeout", "3"],
  ]);
  await using _ = program;
  const silent = await Deno.connect({ hostname: "127.0.0.1", port });
  await silent.write(withLength(buildQuery(question("many.test.", "AXFR"), false).bytes));
  const whole = query(port, "--short", "many.test", "AXFR");
  const server = { transport: "udp" as const, hostname: "127.0.0.1", port };
  const { message } = await ask(server, question("h7.many.test.", "TXT"), { timeout: 10 });
  assertEquals(message.answers.length, 1);
  assertEquals((await whole).stdout.split("\n").length, 60_003 + 1);
  await program.line(/^127\.0\.0\.1:\d+ was silent for 3 s: closed$/);
  silent.close();
  assertEquals(program.stderr, "");
  await program.stop();
  await Deno.remove(folder, { recursive: true });
});

/** A server over TCP that does what `serve` does with its first client. */
async function hostile(serve: (conn: Deno.TcpConn, id: number) => Promise<void>, ...args: string[]): Promise<Program> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    const conn = await listener.accept();
    const buffer = new Uint8Array(600);
    let query: Uint8Array | undefined;
    for (let end = 0; !query;) {
      end += await conn.read(buffer.subarray(end)) ?? 0;
      query = firstMessage(buffer.subarray(0, end));
    }
    await serve(conn, decode(query).id).catch(() => {}); // the client may have left
    conn.close();
  })();
  const program = await query(listener.addr.port, "--timeout", "1", ...args, "example.com", "AXFR");
  await serving;
  listener.close();
  return program;
}

Deno.test("query AXFR: hostile servers: exit code 1 and one line", async () => {
  const questions = [question("example.com.", "AXFR")];
  const { soa } = zone;
  const a = { ...soa, name: "a.example.com.", type: types.A, data: [1] };
  const send = (conn: Deno.TcpConn, part: Partial<Message>) =>
    conn.write(withLength(encode({ ...empty, questions, ...part })));
  for (
    const [line, serve] of [
      [/: the server closed the connection before the end/, () => Promise.resolve()],
      [/ after 2 records: the server closed the connection before the end/, async (conn, id) => {
        await send(conn, { id, answers: [soa, a] });
      }],
      [/ after 2 records: no more messages in 1 s$/m, async (conn, id) => {
        await send(conn, { id, answers: [soa, a] });
        await conn.read(new Uint8Array(1)); // until the client leaves
      }],
      [/: no more messages in 1 s$/m, async (conn) => {
        for (let i = 0; i < 60_000; i += 10) await conn.write(Uint8Array.of(255)); // a message that never ends
        await conn.read(new Uint8Array(1));
      }],
      [/ is not a DNS message/, async (conn) => {
        await conn.write(withLength(new TextEncoder().encode("HTTP/1.1 400 Bad Request")));
      }],
      [/: the last SOA record is another one$/m, async (conn, id) => {
        await send(conn, { id, answers: [soa, a, { ...soa, data: soa.data.with(2, 1) }] });
      }],
    ] as [RegExp, (conn: Deno.TcpConn, id: number) => Promise<void>][]
  ) {
    const program = await hostile(serve);
    failedWith(program, 1, /^query: no transfer of example\.com\./);
    assertMatch(program.stderr, line);
  }
  const both = await query(freePort(), "--iterate", "example.com", "AXFR");
  assertEquals([both.status?.code, both.stderr], [2, "query: --iterate and AXFR exclude each other\n"]);
  const refused = await query(freePort(), "example.com", "AXFR");
  failedWith(refused, 1, /127\.0\.0\.1:\d+ refused the connection/);
});

const nsd = Deno.build.os === "linux" && await has("sh", "-c", "command -v nsd");

testWith(nsd, "nsd", "NSD: gets the sample zone from server.ts, and query.ts gets it from there", async () => {
  const folder = await Deno.makeTempDir();
  const { program, port } = await serve("dns/server.ts", "--allow-transfer", "127.0.0.1");
  await using _ = program;
  const theirs = freePort();
  const start = await nsdCommand(folder, theirs, { "example.com": `${folder}/none.zone` });
  const more = [`  request-xfr: 127.0.0.1@${port} NOKEY`, "  provide-xfr: 127.0.0.1 NOKEY"];
  await Deno.writeTextFile(`${folder}/nsd.conf`, more.join("\n") + "\n", { append: true });
  await using secondary = new Program(start);
  const its = { transport: "udp" as const, hostname: "127.0.0.1", port: theirs };
  await until(
    async () => {
      const found = await ask(its, question("www.example.com.", "A"), { timeout: 1 }).catch(() => undefined);
      return found?.message.answers.length === 3;
    },
    "NSD answers from the zone that it got",
    60,
  );
  const back = await query(theirs, "example.com", "AXFR");
  assertEquals([back.status?.code, back.stderr], [0, ""]);
  assertEquals(fileLines(back.stdout.split("\n;; ")[0] ?? ""), [...fileLines(sample), line(zone.soa)].toSorted());
  await secondary.stop();
  await Deno.remove(folder, { recursive: true });
});
